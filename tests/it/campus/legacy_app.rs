//! [`LegacyApp`]: a campus application of twenty years' standing, as a hand-made HTTP/1.1 server. It writes down
//! every byte it is sent, and answers each path as a test tells it to, well or badly.

use super::legacy_wire::{Received, Wire, read_request};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, mpsc, watch};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Makes the bytes of an answer from a request.
pub type Reply = Arc<dyn Fn(&Received) -> Vec<u8> + Send + Sync>;

/// Pieces of a body, as a test pushes them.
type Pieces = Arc<tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>>;

/// How a path is answered.
#[derive(Clone)]
pub enum Behaviour {
    /// 200 with the request as JSON: `method`, `target`, `headers` (pairs, in order), `body`.
    Echo,
    /// A status, headers and a body with its length.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// As `Answer`, but not before the test says so.
    Held(Arc<Notify>, u16, Vec<u8>),
    /// An endless answer (`text/event-stream`) of the pieces the test pushes; see [`LegacyApp::stream`].
    Stream(Pieces),
    /// As `Stream`, but an answer that announces so many bytes; see [`LegacyApp::announce`].
    Announced(usize, Pieces),
    /// So many bytes of `x`, chunked or with a length.
    Big { bytes: usize, chunked: bool },
    /// Accepts a WebSocket and sends every message back.
    WebSocketEcho,
    /// 200 as soon as the head has been read, then closes without reading the body.
    AnswerBeforeBody,
    /// These bytes, whatever they mean, then the end of the connection.
    Raw(Vec<u8>),
    /// No byte: the connection is closed once the head has been read.
    HangUp,
    /// So many informational answers (103) before a plain 200.
    Informational(usize),
    /// Whatever the function says, byte for byte; the connection stays open.
    Custom(Reply),
}

impl Behaviour {
    /// 200 with `text`.
    pub fn text(text: &str) -> Self {
        Self::answer(200, &[("Content-Type", "text/plain")], text)
    }

    pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let headers = headers.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self::Answer(status, headers, body.as_bytes().to_vec())
    }

    /// 200 whose chunked body does not follow the grammar (T81).
    pub fn invalid_chunking() -> Self {
        Self::Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nnonsense\r\n".to_vec())
    }

    /// 200 that promises more than it sends.
    pub fn cut_short() -> Self {
        Self::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this".to_vec())
    }

    /// 200 with one header of `bytes` bytes (T81).
    pub fn huge_header(bytes: usize) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nX-Huge: {}\r\nContent-Length: 0\r\n\r\n", "h".repeat(bytes));
        Self::Raw(head.into_bytes())
    }
}

/// A running app. Dropping it stops it and cuts its connections.
pub struct LegacyApp {
    place: Place,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    accepting: tokio::task::JoinHandle<()>,
}

enum Place {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

#[derive(Default)]
struct Shared {
    behaviours: Mutex<HashMap<String, Behaviour>>,
    received: Mutex<Vec<Arc<Received>>>,
    arrived: Notify,
    connections: AtomicU64,
    open: AtomicUsize,
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Vec<Arc<Received>>> {
        self.received.lock().expect("nobody panics while holding this lock")
    }

    fn behaviour(&self, target: &str) -> Behaviour {
        let path = target.split('?').next().unwrap_or_default();
        let known = self.behaviours.lock().expect("nobody panics while holding this lock");
        known.get(path).or_else(|| known.get("*")).cloned().unwrap_or(Behaviour::Echo)
    }
}

impl LegacyApp {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        Self::run(Place::Tcp(address), Listener::Tcp(listener))
    }

    /// Listens with TLS.
    pub async fn start_tls(config: Arc<rustls::ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        Self::run(Place::Tls(address), Listener::Tls(listener, config.into()))
    }

    /// Listens on a Unix socket at `path`.
    pub async fn start_unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("the test names a free path");
        Self::run(Place::Unix(path.to_owned()), Listener::Unix(listener))
    }

    fn run(place: Place, listener: Listener) -> Self {
        let shared = Arc::<Shared>::default();
        let (stop, stopped) = watch::channel(false);
        let accepting = tokio::spawn(accept(listener, shared.clone(), stopped));
        Self { place, shared, stop, accepting }
    }

    /// As a policy file names it: `http://127.0.0.1:PORT`, `https://localhost:PORT` or `unix:/PATH`.
    pub fn upstream(&self) -> String {
        match &self.place {
            Place::Tcp(address) => format!("http://{address}"),
            Place::Tls(address) => format!("https://localhost:{}", address.port()),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Panics for an app on a Unix socket.
    pub fn address(&self) -> SocketAddr {
        match &self.place {
            Place::Tcp(address) | Place::Tls(address) => *address,
            Place::Unix(path) => panic!("the app listens on {}", path.display()),
        }
    }

    /// From now on, answers `path` (without query; `*` is every other path) so.
    pub fn on(&self, path: &str, behaviour: Behaviour) -> &Self {
        self.shared
            .behaviours
            .lock()
            .expect("nobody panics while holding this lock")
            .insert(path.to_owned(), behaviour);
        self
    }

    /// Answers `path` with whatever is pushed into the returned sender, until that is dropped. For one request.
    pub fn stream(&self, path: &str) -> mpsc::Sender<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(16);
        self.on(path, Behaviour::Stream(Arc::new(tokio::sync::Mutex::new(receiver))));
        sender
    }

    /// Answers `path` with a body of `length` bytes, which come as they are sent.
    pub fn announce(&self, path: &str, length: usize) -> mpsc::Sender<Vec<u8>> {
        let (sender, receiver) = mpsc::channel(16);
        self.on(path, Behaviour::Announced(length, Arc::new(tokio::sync::Mutex::new(receiver))));
        sender
    }

    /// Answers `path` with `text`, but only after [`Notify::notify_one`] on what is returned.
    pub fn hold(&self, path: &str, text: &str) -> Arc<Notify> {
        let go = Arc::new(Notify::new());
        self.on(path, Behaviour::Held(go.clone(), 200, text.as_bytes().to_vec()));
        go
    }

    /// Every request so far, in order of arrival. A request counts from the end of its head; its body is
    /// there once [`Received::complete`].
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.shared.received().clone()
    }

    /// Panics when nothing has arrived.
    #[track_caller]
    pub fn last_request(&self) -> Arc<Received> {
        self.shared.received().last().expect("the app has received a request").clone()
    }

    /// Waits until `count` requests have arrived, and returns them all.
    pub async fn wait_for_requests(&self, count: usize) -> Vec<Arc<Received>> {
        let waiting = async {
            loop {
                let arrived = self.shared.arrived.notified();
                tokio::pin!(arrived);
                arrived.as_mut().enable();
                if self.shared.received().len() >= count {
                    return self.requests();
                }
                arrived.await;
            }
        };
        let in_time = tokio::time::timeout(super::http::PATIENCE, waiting).await;
        in_time.unwrap_or_else(|_| panic!("only {} of {count} requests reached the app", self.requests().len()))
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.shared.received().clear();
    }

    /// How many connections were ever opened to it.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many are open now.
    pub fn open_connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Stops accepting, cuts every connection, and frees the port before it returns.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for LegacyApp {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.accepting.abort();
    }
}

enum Listener {
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
    Unix(UnixListener),
}

async fn accept(listener: Listener, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    let mut until = stopped.clone();
    loop {
        let arrived = async {
            Some(match &listener {
                Listener::Tcp(tcp) | Listener::Tls(tcp, _) => {
                    let (stream, _) = tcp.accept().await.ok()?;
                    stream.set_nodelay(true).ok()?;
                    Box::new(stream) as Wire
                }
                Listener::Unix(unix) => Box::new(unix.accept().await.ok()?.0) as Wire,
            })
        };
        let arrived = tokio::select! {
            arrived = arrived => arrived,
            _ = until.wait_for(|stop| *stop) => return,
        };
        let tls = if let Listener::Tls(_, acceptor) = &listener { Some(acceptor.clone()) } else { None };
        if let Some(wire) = arrived {
            tokio::spawn(connection(wire, tls, shared.clone(), stopped.clone()));
        }
    }
}

struct OpenCount(Arc<Shared>);

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(wire: Wire, tls: Option<TlsAcceptor>, shared: Arc<Shared>, mut stopped: watch::Receiver<bool>) {
    let number = shared.connections.fetch_add(1, Ordering::SeqCst) + 1;
    shared.open.fetch_add(1, Ordering::SeqCst);
    let _counted = OpenCount(shared.clone());
    let conversation = async {
        let wire = match tls {
            // A client that does not trust the app breaks off here.
            Some(acceptor) => Box::new(acceptor.accept(wire).await?),
            None => wire,
        };
        converse(wire, &shared, number).await
    };
    tokio::select! {
        // The other end going away is its own business: what the app saw is written down.
        _ = conversation => {}
        _ = stopped.wait_for(|stop| *stop) => {}
    }
}

/// Serves one connection until either side has had enough.
async fn converse(mut wire: Wire, shared: &Shared, number: u64) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let note = |received: Received| {
            let received = Arc::new(received);
            shared.received().push(received.clone());
            shared.arrived.notify_waiters();
            received
        };
        let Some((received, body)) = read_request(&mut wire, &mut buffer, number, note).await? else { return Ok(()) };
        let behaviour = shared.behaviour(&received.target);
        match behaviour {
            Behaviour::HangUp => return Ok(()),
            Behaviour::AnswerBeforeBody => {
                wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nearly").await?;
                return wire.shutdown().await;
            }
            Behaviour::WebSocketEcho => return echo_messages(wire, buffer, &received).await,
            behaviour => {
                body.read(&mut wire, &mut buffer, &received).await?;
                shared.arrived.notify_waiters();
                if !answer(&mut wire, behaviour, &received).await? || received.says_close() {
                    return wire.shutdown().await;
                }
            }
        }
    }
}

/// Answers one request that has been read whole; says whether the connection can go on.
async fn answer<W: AsyncWrite + Unpin>(
    wire: &mut W,
    behaviour: Behaviour,
    received: &Received,
) -> std::io::Result<bool> {
    match behaviour {
        Behaviour::Answer(status, headers, body) => plain(wire, received, status, &headers, &body).await?,
        Behaviour::Held(go, status, body) => {
            go.notified().await;
            plain(wire, received, status, &[], &body).await?;
        }
        Behaviour::Stream(pieces) => {
            wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await?;
            let mut pieces = pieces.lock().await;
            while let Some(piece) = pieces.recv().await {
                chunk(wire, &piece).await?;
            }
            wire.write_all(b"0\r\n\r\n").await?;
        }
        Behaviour::Announced(length, pieces) => {
            wire.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes()).await?;
            let mut pieces = pieces.lock().await;
            while let Some(piece) = pieces.recv().await {
                wire.write_all(&piece).await?;
                wire.flush().await?;
            }
        }
        Behaviour::Big { bytes, chunked } => big(wire, bytes, chunked).await?,
        Behaviour::Raw(bytes) => {
            wire.write_all(&bytes).await?;
            return Ok(false);
        }
        Behaviour::Informational(count) => {
            for _ in 0..count {
                wire.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n").await?;
            }
            plain(wire, received, 200, &[], b"at last").await?;
        }
        Behaviour::Custom(make) => wire.write_all(&make(received)).await?,
        Behaviour::Echo | Behaviour::HangUp | Behaviour::AnswerBeforeBody | Behaviour::WebSocketEcho => {
            let headers = [("Content-Type".to_owned(), "application/json".to_owned())];
            plain(wire, received, 200, &headers, received.as_json().to_string().as_bytes()).await?;
        }
    }
    wire.flush().await?;
    Ok(true)
}

async fn plain<W: AsyncWrite + Unpin>(
    wire: &mut W,
    received: &Received,
    status: u16,
    headers: &[(String, String)],
    body: &[u8],
) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let bodiless = status == 204 || status == 304 || (100..200).contains(&status);
    if !bodiless {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if !bodiless && received.method != "HEAD" {
        bytes.extend_from_slice(body);
    }
    wire.write_all(&bytes).await
}

async fn big<W: AsyncWrite + Unpin>(wire: &mut W, bytes: usize, chunked: bool) -> std::io::Result<()> {
    let framing = if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {bytes}") };
    wire.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").as_bytes()).await?;
    let piece = vec![b'x'; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(piece.len());
        if chunked {
            chunk(wire, &piece[..now]).await?;
        } else {
            wire.write_all(&piece[..now]).await?;
        }
        left -= now;
    }
    if chunked { wire.write_all(b"0\r\n\r\n").await } else { Ok(()) }
}

async fn chunk<W: AsyncWrite + Unpin>(wire: &mut W, piece: &[u8]) -> std::io::Result<()> {
    wire.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
    wire.write_all(piece).await?;
    wire.write_all(b"\r\n").await?;
    wire.flush().await
}

async fn echo_messages<W: AsyncRead + AsyncWrite + Unpin>(
    mut wire: W,
    early: Vec<u8>,
    received: &Received,
) -> std::io::Result<()> {
    use futures_util::{SinkExt, StreamExt};
    let key = received.all("sec-websocket-key");
    let [key] = key[..] else {
        return wire.write_all(b"HTTP/1.1 400 Not a WebSocket\r\nContent-Length: 0\r\n\r\n").await;
    };
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    wire.write_all(head.as_bytes()).await?;
    wire.flush().await?;
    let mut socket = WebSocketStream::from_partially_read(wire, early, Role::Server, None).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_text() || message.is_binary() {
            socket.send(message).await.map_err(std::io::Error::other)?;
        }
    }
    Ok(())
}
