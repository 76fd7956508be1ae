//! Literal bytes to a server and everything it says back: for requests no honest client can be made to send
//! (T12, T26, T28, T76-T78, T82).

use super::http::{PATIENCE, client_config, connect_tls};
use super::legacy_wire::Wire;
use rustls::RootCertStore;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// After this much silence on an open connection a server has nothing more to say.
const SILENCE: Duration = Duration::from_millis(400);

/// A connection under the test's full control.
pub struct Raw {
    wire: Wire,
}

/// What a server said.
#[derive(Clone, Debug)]
pub struct Said {
    pub bytes: Vec<u8>,
    /// Whether it then ended the connection.
    pub closed: bool,
}

impl Raw {
    /// Plain TCP.
    pub async fn plain(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.expect("the server listens");
        tcp.set_nodelay(true).expect("a fresh socket takes options");
        Self { wire: Box::new(tcp) }
    }

    /// TLS with HTTP/1.1, asking for `name`.
    pub async fn tls(address: SocketAddr, name: &str, roots: Arc<RootCertStore>) -> Self {
        Self::tls_speaking(address, name, roots, &["http/1.1"]).await.expect("the handshake succeeds")
    }

    /// TLS offering `protocols`; an error when the handshake fails.
    pub async fn tls_speaking(
        address: SocketAddr,
        name: &str,
        roots: Arc<RootCertStore>,
        protocols: &[&str],
    ) -> io::Result<Self> {
        let (stream, _) = connect_tls(address, name, client_config(roots, protocols)).await?;
        Ok(Self { wire: Box::new(stream) })
    }

    /// TLS with a client configuration of the test's own: without SNI, one version only, and the like (T82).
    pub async fn tls_with(address: SocketAddr, name: &str, config: rustls::ClientConfig) -> io::Result<Self> {
        let (stream, _) = connect_tls(address, name, Arc::new(config)).await?;
        Ok(Self { wire: Box::new(stream) })
    }

    /// Sends `bytes`. A server that has already hung up is not an error: it may refuse before it has all.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes).await;
    }

    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.write_all(bytes.as_ref()).await?;
        self.wire.flush().await
    }

    /// Reads exactly `count` bytes; an error at the end of the connection.
    pub async fn read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let reading = self.wire.read_exact(&mut bytes);
        tokio::time::timeout(PATIENCE, reading).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(bytes)
    }

    /// Reads to the end of the connection, or until the server has been silent for a while after saying
    /// something.
    pub async fn hear(&mut self) -> Said {
        self.hear_for(PATIENCE, SILENCE).await
    }

    /// Reads to the end of the connection, but no longer than `patience`, and no longer than `silence` after
    /// the last byte.
    pub async fn hear_for(&mut self, patience: Duration, silence: Duration) -> Said {
        let end = Instant::now() + patience;
        let mut bytes = Vec::new();
        loop {
            let until = if bytes.is_empty() { end } else { end.min(Instant::now() + silence) };
            match tokio::time::timeout_at(until, self.wire.read_buf(&mut bytes)).await {
                Err(_) => return Said { bytes, closed: false },
                // A reset is an end as well.
                Ok(Ok(0) | Err(_)) => return Said { bytes, closed: true },
                Ok(Ok(_)) => {}
            }
        }
    }

    /// How long the server lets the connection stand open in silence; `None` if longer than `patience`.
    pub async fn closes_within(&mut self, patience: Duration) -> Option<Duration> {
        let start = Instant::now();
        self.hear_for(patience, patience).await.closed.then(|| start.elapsed())
    }

    /// Closes our side for writing.
    pub async fn finish(&mut self) {
        let _ = self.wire.shutdown().await;
    }
}

impl Said {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The status of every HTTP/1 answer in it, interim ones included, following each answer's length so that
    /// nothing inside a body is taken for a head.
    pub fn statuses(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        let mut rest = &self.bytes[..];
        while let Some((status, after)) = one_answer(rest) {
            statuses.push(status);
            rest = after;
        }
        statuses
    }

    /// The status of the only answer. Panics when there is none, or more than one.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let statuses = self.statuses();
        assert!(statuses.len() == 1, "expected one answer, got {statuses:?}:\n{}", self.text());
        statuses[0]
    }

    /// Panics unless the server refused with one of `statuses` and ended the connection, or ended it without
    /// a word.
    #[track_caller]
    pub fn assert_refused(&self, statuses: &[u16]) -> &Self {
        assert!(self.closed, "the connection was left open:\n{}", self.text());
        let said = self.statuses();
        let fine = said.is_empty() || (said.len() == 1 && statuses.contains(&said[0]));
        assert!(fine, "expected a refusal ({statuses:?}), got {said:?}:\n{}", self.text());
        self
    }
}

fn one_answer(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status: u16 = head.strip_prefix("http/1.")?.get(2..5)?.parse().ok()?;
    let rest = &bytes[end..];
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    if (100..200).contains(&status) || status == 204 || status == 304 {
        return Some((status, rest));
    }
    if let Some(length) = field("content-length:").and_then(|length| length.parse::<usize>().ok()) {
        return Some((status, rest.get(length..).unwrap_or_default()));
    }
    if field("transfer-encoding:").is_some() {
        let end = rest.windows(5).position(|window| window == b"0\r\n\r\n").map_or(rest.len(), |at| at + 5);
        return Some((status, &rest[end..]));
    }
    Some((status, &[]))
}

/// Sends `bytes` over TLS to `address`, and returns what is said.
pub async fn exchange(address: SocketAddr, name: &str, roots: Arc<RootCertStore>, bytes: impl AsRef<[u8]>) -> Said {
    let mut raw = Raw::tls(address, name, roots).await;
    raw.send(bytes).await;
    raw.hear().await
}

/// Sends `bytes` over plain TCP to `address`, and returns what is said.
pub async fn exchange_plain(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Said {
    let mut raw = Raw::plain(address).await;
    raw.send(bytes).await;
    raw.hear().await
}

/// A TLS record with a ClientHello that offers nothing newer than `version` (1.0 is 0x0301, 1.1 is 0x0302)
/// and the suites of its time, for `name`: what rustls cannot be made to say (T82).
pub fn old_client_hello(version: u16, name: &str) -> Vec<u8> {
    let [major, minor] = version.to_be_bytes();
    let sni = with_length(&[&[0][..], &with_length(name.as_bytes())].concat());
    let extensions = [&[0, 0][..], &with_length(&sni)].concat();
    // TLS_RSA_WITH_AES_128_CBC_SHA, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, TLS_RSA_WITH_3DES_EDE_CBC_SHA
    let suites = with_length(&[0x00, 0x2f, 0xc0, 0x13, 0x00, 0x0a]);
    let mut hello = vec![major, minor];
    hello.extend([0x5a; 32]);
    hello.push(0);
    hello.extend(suites);
    hello.extend([1, 0]);
    hello.extend(with_length(&extensions));
    let mut handshake = vec![1, 0];
    handshake.extend(with_length(&hello));
    let mut record = vec![22, 3, 1];
    record.extend(with_length(&handshake));
    record
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("handshakes are short");
    [&length.to_be_bytes()[..], bytes].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_their_lengths() {
        let said = |text: &str| Said { bytes: text.as_bytes().to_vec(), closed: true };
        let two =
            "HTTP/1.1 200 OK\r\nContent-Length: 31\r\n\r\nHTTP/1.1 999 Not one\r\n\r\n.......HTTP/1.1 400 Bad\r\n\r\n";
        assert_eq!(said(two).statuses(), [200, 400]);
        assert_eq!(said("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 X\r\n\r\n").statuses(), [100, 204]);
        assert_eq!(
            said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nHTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n")
                .statuses(),
            [200, 400]
        );
        assert!(said("").statuses().is_empty());
    }
}
