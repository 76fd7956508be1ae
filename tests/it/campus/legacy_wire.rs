//! How [`LegacyApp`](super::legacy_app::LegacyApp) reads requests: byte by byte, trusting nobody, writing down
//! exactly what came.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::Notify;

/// A connection of whatever kind.
pub type Wire = Box<dyn Stream>;

pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// One request as it arrived.
#[derive(Debug, Default)]
pub struct Received {
    /// The head, byte for byte, its empty line included.
    pub raw_head: Vec<u8>,
    pub method: String,
    pub target: String,
    pub version: String,
    /// Names as written and values, in order; bytes that are not UTF-8 are shown as `\u{fffd}`.
    pub headers: Vec<(String, String)>,
    /// Which of the app's connections it came on, counting from 1.
    pub connection: u64,
    rest: Mutex<Rest>,
    grew: Notify,
}

#[derive(Debug, Default)]
struct Rest {
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    complete: bool,
}

impl Received {
    /// Every value of the header `name`, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The only value of the header `name`; panics when it came twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} came {} times", all.len());
        all.first().copied()
    }

    /// The names, as written, of all headers and trailers that an application might take for `name`: letters
    /// in any case, and `_`, `.`, blank and `-` all the same (T09).
    pub fn aliases(&self, name: &str) -> Vec<String> {
        let fold = |name: &str| name.trim().to_ascii_lowercase().replace(['_', '.', ' '], "-");
        let wanted = fold(name);
        let rest = self.rest();
        let names = self.headers.iter().chain(&rest.trailers).map(|(key, _)| key);
        names.filter(|key| fold(key) == wanted).cloned().collect()
    }

    /// The names in the `Cookie` headers.
    pub fn cookie_names(&self) -> Vec<&str> {
        let cookies = self.all("cookie").into_iter().flat_map(|line| line.split(';'));
        cookies.map(|pair| pair.split('=').next().unwrap_or_default().trim()).collect()
    }

    /// What has arrived of the body; chunks put together.
    pub fn body(&self) -> Vec<u8> {
        self.rest().body.clone()
    }

    pub fn trailers(&self) -> Vec<(String, String)> {
        self.rest().trailers.clone()
    }

    /// Waits until `length` bytes of the body have arrived, or all of it.
    pub async fn wait_for_body(&self, length: usize) {
        let waiting = async {
            loop {
                let grew = self.grew.notified();
                tokio::pin!(grew);
                grew.as_mut().enable();
                if self.complete() || self.rest().body.len() >= length {
                    return;
                }
                grew.await;
            }
        };
        let in_time = tokio::time::timeout(super::http::PATIENCE, waiting).await;
        in_time.unwrap_or_else(|_| panic!("only {} of {length} bytes of the body reached the app", self.body().len()));
    }

    /// Whether the body has arrived to its end.
    pub fn complete(&self) -> bool {
        self.rest().complete
    }

    pub fn as_json(&self) -> serde_json::Value {
        serde_json::json!({
            "method": self.method,
            "target": self.target,
            "headers": self.headers,
            "body": String::from_utf8_lossy(&self.body()),
        })
    }

    pub(super) fn says_close(&self) -> bool {
        self.version == "HTTP/1.0" || self.all("connection").iter().any(|value| value.eq_ignore_ascii_case("close"))
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().expect("nobody panics while holding this lock")
    }
}

/// The body that is still to be read.
#[derive(Clone, Copy)]
pub enum BodyKind {
    Length(usize),
    Chunked,
}

/// Reads one head, hands it to `note`, and says how its body is framed. `None` at the end of the connection.
/// Bytes beyond the head stay in `buffer`.
pub async fn read_request(
    wire: &mut Wire,
    buffer: &mut Vec<u8>,
    connection: u64,
    note: impl FnOnce(Received) -> Arc<Received>,
) -> io::Result<Option<(Arc<Received>, BodyKind)>> {
    let end = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        if !more(wire, buffer).await? {
            return Ok(None);
        }
    };
    let raw_head: Vec<u8> = buffer.drain(..end).collect();
    let text = String::from_utf8_lossy(&raw_head).into_owned();
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let mut word = || words.next().unwrap_or_default();
    let mut received =
        Received { raw_head, method: word(), target: word(), version: word(), connection, ..Received::default() };
    received.headers = lines.filter(|line| !line.is_empty()).map(field).collect();
    let chunked = !received.all("transfer-encoding").is_empty();
    let lengths: Vec<Option<usize>> = received.all("content-length").iter().map(|length| length.parse().ok()).collect();
    let kind = match (chunked, &lengths[..]) {
        (true, []) => Ok(BodyKind::Chunked),
        (false, []) => Ok(BodyKind::Length(0)),
        (false, [Some(length)]) => Ok(BodyKind::Length(*length)),
        // No gate may pass such framing on: written down for the test to see, then the connection ends.
        _ => Err(broken("the framing of a request")),
    };
    let received = note(received);
    Ok(Some((received, kind?)))
}

impl BodyKind {
    /// Reads the body into `received`, piece by piece as it comes.
    pub(super) async fn read(self, wire: &mut Wire, buffer: &mut Vec<u8>, received: &Received) -> io::Result<()> {
        match self {
            BodyKind::Length(length) => take(wire, buffer, length, received).await?,
            BodyKind::Chunked => loop {
                let line = line(wire, buffer).await?;
                let size = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| broken("a chunk's size"))?;
                if size == 0 {
                    loop {
                        let trailer = self::line(wire, buffer).await?;
                        if trailer.is_empty() {
                            break;
                        }
                        received.rest().trailers.push(field(&trailer));
                    }
                    break;
                }
                take(wire, buffer, size, received).await?;
                if !self::line(wire, buffer).await?.is_empty() {
                    return Err(broken("a chunk's end"));
                }
            },
        }
        received.rest().complete = true;
        received.grew.notify_waiters();
        Ok(())
    }
}

async fn take(wire: &mut Wire, buffer: &mut Vec<u8>, length: usize, received: &Received) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        if buffer.is_empty() && !more(wire, buffer).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let now = left.min(buffer.len());
        received.rest().body.extend(buffer.drain(..now));
        received.grew.notify_waiters();
        left -= now;
    }
    Ok(())
}

async fn line(wire: &mut Wire, buffer: &mut Vec<u8>) -> io::Result<String> {
    loop {
        if let Some(end) = find(buffer, b"\r\n") {
            let line: Vec<u8> = buffer.drain(..end + 2).collect();
            return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        if !more(wire, buffer).await? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn more(wire: &mut Wire, buffer: &mut Vec<u8>) -> io::Result<bool> {
    Ok(wire.read_buf(buffer).await? > 0)
}

fn field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim().to_owned())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is malformed"))
}
