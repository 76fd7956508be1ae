//! The gate's listeners: sockets taken before anything runs, one thread with one current-thread
//! runtime per core, each with its own socket and its own pool of connections to the apps.

use super::Gate;
use super::connection::{Connection, GateStream};
use super::door::{Door, DoorLimits, OpenRequests};
use super::shared::Shared;
use super::sweep;
use crate::domain::{Host, Language, counted_as};
use crate::pages::Notice;
use crate::tls::CertificateStore;
use bytes::Bytes;
use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::{ALPN, GetSocketDigest, SocketDigest, Ssl};
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// What the listeners need besides the shared gate.
#[derive(Clone)]
pub struct ListenSettings {
    pub tls: Arc<rustls::ServerConfig>,
    pub certificates: Arc<CertificateStore>,
    pub handshake: Duration,
    pub door: DoorLimits,
    /// Open connections in all, and from one address (one /64 for IPv6).
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    /// How long requests under way may take after a stop.
    pub drain: Duration,
}

/// Sockets that are taken but not yet served.
pub struct Bound {
    sockets: Vec<TcpListener>,
    pub address: SocketAddr,
}

/// Pending connections the kernel keeps per socket.
const BACKLOG: i32 = 1024;

/// Takes `address` (port 0 allowed) with one socket per core. The first is bound alone, so that a
/// port which anybody else holds is an error; only then is the port opened to our own others.
pub fn bind(address: SocketAddr, cores: usize) -> io::Result<Bound> {
    let first = socket(address)?;
    first.bind(&address.into())?;
    first.set_reuse_port(true)?;
    first.listen(BACKLOG)?;
    let bound = first.local_addr()?.as_socket().ok_or_else(|| io::Error::other("not an internet address"))?;
    let mut sockets = vec![TcpListener::from(first)];
    for _ in 1..cores.max(1) {
        let other = socket(address)?;
        other.set_reuse_port(true)?;
        other.bind(&bound.into())?;
        other.listen(BACKLOG)?;
        sockets.push(TcpListener::from(other));
    }
    Ok(Bound { sockets, address: bound })
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket that somebody else opened for us (systemd): shared by all cores.
pub fn inherit(listener: &TcpListener, cores: usize) -> io::Result<Bound> {
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let sockets = (0..cores.max(1)).map(|_| listener.try_clone()).collect::<io::Result<_>>()?;
    Ok(Bound { sockets, address })
}

/// The open gate.
pub struct Running {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    cores: Vec<JoinHandle<()>>,
}

impl Running {
    /// Stops accepting, lets requests under way finish within the drain time, and returns when every
    /// core has ended. Blocks: call it off the runtimes.
    pub fn stop(self) {
        self.stop.send_replace(true);
        for core in self.cores {
            if core.join().is_err() {
                tracing::error!("a listener core ended in a panic");
            }
        }
    }
}

/// Opens the gate on `bound`; returns when every core accepts.
pub fn open(bound: Bound, shared: &Arc<Shared>, settings: &ListenSettings) -> io::Result<Running> {
    let (stop, stopped) = watch::channel(false);
    let counts = Arc::new(Counts::new(settings));
    let bad_request = whole_response(shared);
    let (ready, readies) = mpsc::channel();
    let mut cores = Vec::new();
    for (at, listener) in bound.sockets.into_iter().enumerate() {
        let open_requests = Arc::new(OpenRequests::default());
        let door = Door::new(engine(Gate::new(shared.clone(), open_requests.clone()))?, settings.door);
        let core = Core {
            shared: shared.clone(),
            settings: settings.clone(),
            acceptor: Arc::new(Acceptor::from_server_config(settings.tls.clone())),
            door,
            open_requests,
            counts: counts.clone(),
            bad_request: bad_request.clone(),
            stopped: stopped.clone(),
        };
        let ready = ready.clone();
        let thread = std::thread::Builder::new().name(format!("gate-{at}")).spawn(move || core.run(listener, ready))?;
        cores.push(thread);
    }
    drop(ready);
    for _ in &cores {
        readies.recv().map_err(|_| io::Error::other("a listener core did not start"))??;
    }
    Ok(Running { address: bound.address, stop, cores })
}

/// The engine's constructor ends in a panic when the system's certificate authorities cannot be read.
fn engine(gate: Gate) -> io::Result<HttpProxy<Gate>> {
    let conf = ServerConf { threads: 1, max_retries: 4, upstream_keepalive_pool_size: 256, ..ServerConf::default() };
    catch_unwind(AssertUnwindSafe(|| HttpProxy::new(gate, Arc::new(conf)))).map_err(|_| {
        io::Error::other(
            "the system's certificate authorities cannot be read (SSL_CERT_FILE and SSL_CERT_DIR name them)",
        )
    })
}

/// Our page for a head that the engine cannot parse, as bytes: at that point no request exists.
fn whole_response(shared: &Shared) -> Bytes {
    let answer = shared.notice(Notice::BadRequest, None, Language::default());
    let mut bytes = b"HTTP/1.1 400 Bad Request\r\n".to_vec();
    for (name, value) in answer.headers() {
        if name == http::header::CONTENT_LENGTH {
            continue;
        }
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("content-length: {}\r\nconnection: close\r\n\r\n", answer.body().len()).as_bytes());
    bytes.extend_from_slice(answer.body());
    bytes.into()
}

struct Core {
    shared: Arc<Shared>,
    settings: ListenSettings,
    acceptor: Arc<Acceptor>,
    door: Arc<Door>,
    open_requests: Arc<OpenRequests>,
    counts: Arc<Counts>,
    bad_request: Bytes,
    stopped: watch::Receiver<bool>,
}

impl Core {
    fn run(self, listener: TcpListener, ready: mpsc::Sender<io::Result<()>>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(fault) => {
                let _ = ready.send(Err(fault));
                return;
            }
        };
        runtime.block_on(async {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => {
                    let _ = ready.send(Ok(()));
                    drop(ready);
                    self.accept(listener).await;
                }
                Err(fault) => {
                    let _ = ready.send(Err(fault));
                }
            }
        });
    }

    async fn accept(mut self, listener: tokio::net::TcpListener) {
        let mut connections = JoinSet::new();
        let sweeper = tokio::spawn(sweep::run(self.shared.clone(), self.open_requests.clone()));
        loop {
            tokio::select! {
                biased;
                _ = self.stopped.changed() => break,
                Some(ended) = connections.join_next() => report(ended),
                accepted = listener.accept() => self.take(accepted, &mut connections).await,
            }
        }
        // What the kernel has already completed for us belongs to visitors: none of it is dropped.
        for _ in 0..BACKLOG {
            match timeout(Duration::ZERO, listener.accept()).await {
                Ok(accepted @ Ok(_)) => self.take(accepted, &mut connections).await,
                Ok(Err(_)) | Err(_) => break,
            }
        }
        drop(listener);
        self.door.cleanup().await;
        let drained = timeout(self.settings.drain, async {
            while let Some(ended) = connections.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!(open = connections.len(), "the drain time is over; what is still open is cut");
        }
        sweeper.abort();
    }

    async fn take(&self, accepted: io::Result<(TcpStream, SocketAddr)>, connections: &mut JoinSet<()>) {
        let (tcp, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(fault) => {
                // Out of file descriptors: trying at once again would only burn the core.
                tracing::warn!(%fault, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                return;
            }
        };
        let Some(place) = self.counts.enter(peer.ip()) else {
            self.shared.metrics.connections_refused.inc();
            return;
        };
        let serve = Serve {
            acceptor: self.acceptor.clone(),
            door: self.door.clone(),
            shared: self.shared.clone(),
            certificates: self.settings.certificates.clone(),
            bad_request: self.bad_request.clone(),
            stopped: self.stopped.clone(),
            handshake: self.settings.handshake,
            first_request: self.settings.door.head,
        };
        connections.spawn(async move {
            serve.shared.metrics.connections.inc();
            let metrics = serve.shared.metrics.clone();
            serve.connection(tcp, peer).await;
            metrics.connections.dec();
            drop(place);
        });
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(fault) = ended
        && fault.is_panic()
    {
        tracing::error!("serving a connection ended in a panic; other connections are not touched");
    }
}

/// One connection's way from the socket to the engine.
struct Serve {
    acceptor: Arc<Acceptor>,
    door: Arc<Door>,
    shared: Arc<Shared>,
    certificates: Arc<CertificateStore>,
    bad_request: Bytes,
    stopped: watch::Receiver<bool>,
    handshake: Duration,
    first_request: Duration,
}

impl Serve {
    async fn connection(self, tcp: TcpStream, peer: SocketAddr) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let mut stream: Stream = tcp.into();
        if stream.set_nodelay().is_err() {
            return;
        }
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        let _ = digest.peer_addr.set(Some(peer.into()));
        stream.set_socket_digest(digest);
        let tls = match timeout(self.handshake, self.acceptor.tls_handshake(stream)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(_)) | Err(_) => {
                self.shared.metrics.handshake_failures.inc();
                return;
            }
        };
        let sni = tls.get_ssl().and_then(|ssl| ssl.server_name()).and_then(|name| name.parse::<Host>().ok());
        let Some(certificate) = self.certificates.current().choose(sni.as_ref().map(Host::as_str)).cloned() else {
            return;
        };
        let is_h2 = matches!(tls.selected_alpn_proto(), Some(ALPN::H2));
        let connection = Arc::new(Connection::new(peer, sni, certificate, is_h2));
        let Ok(stream) = GateStream::new(tls, connection.clone(), self.bad_request.clone(), self.shared.head_limit)
        else {
            return;
        };
        let serving = self.door.process_new(Box::new(stream), &self.stopped);
        tokio::select! {
            biased;
            _ = serving => {}
            // Over HTTP/1.1 the door watches each head; an h2 client that never sends one is nobody.
            () = silent(&connection, self.first_request), if is_h2 => {}
        }
    }
}

/// Resolves when the connection has brought no request for `patience`; never once it has.
async fn silent(connection: &Connection, patience: Duration) {
    tokio::time::sleep(patience).await;
    if connection.requests() > 0 {
        std::future::pending::<()>().await;
    }
}

/// Open connections, in all and per address.
struct Counts {
    all: AtomicUsize,
    most: usize,
    each: Mutex<HashMap<IpAddr, usize>>,
    most_each: usize,
}

/// A counted connection; dropping it makes room.
struct Place {
    counts: Arc<Counts>,
    address: IpAddr,
}

impl Counts {
    fn new(settings: &ListenSettings) -> Self {
        Self {
            all: AtomicUsize::new(0),
            most: settings.max_connections,
            each: Mutex::default(),
            most_each: settings.max_connections_per_address,
        }
    }

    fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = counted_as(address);
        if self.all.fetch_add(1, Ordering::AcqRel) >= self.most {
            self.all.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        let mut each = self.each.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = each.entry(address).or_default();
        if *count >= self.most_each {
            self.all.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        *count += 1;
        Some(Place { counts: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.counts.all.fetch_sub(1, Ordering::AcqRel);
        let mut each = self.counts.each.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(count) = each.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_holds_is_an_error_even_against_ourselves() {
        let first = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        assert_eq!(first.sockets.len(), 2);
        assert_ne!(first.address.port(), 0);
        let again = bind(first.address, 2);
        assert_eq!(again.err().map(|fault| fault.kind()), Some(io::ErrorKind::AddrInUse));
        let address = first.address;
        drop(first);
        assert!(bind(address, 1).is_ok());
    }

    #[test]
    fn connections_are_capped_in_all_and_per_address() {
        let counts = Arc::new(Counts { all: AtomicUsize::new(0), most: 3, each: Mutex::default(), most_each: 2 });
        let [a, b] = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse::<IpAddr>().unwrap());
        let first = counts.enter(a).unwrap();
        let _second = counts.enter(a).unwrap();
        assert!(counts.enter(a).is_none());
        let _third = counts.enter(b).unwrap();
        assert!(counts.enter("192.0.2.9".parse().unwrap()).is_none());
        drop(first);
        assert!(counts.enter("2001:db8::ffff".parse().unwrap()).is_some());
    }
}
