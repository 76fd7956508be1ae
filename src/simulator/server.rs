//! The sockets: accepts connections on loopback, reads each request within bounds, answers it, and can be
//! made to fail as a whole. Started by `mod`; the only file here that knows TCP, TLS and HTTP framing.

use super::answer::{Answer, HTML, plain};
use super::calls::Endpoint;
use super::face::Face;
use super::manners::Given;
use super::outage::{Outage, Valve, unavailable};
use super::route;
use super::visit::Visit;
use super::world::World;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Most connections at once; a further one waits to be accepted.
const MOST_CONNECTIONS: usize = 512;
/// Largest request body in bytes.
const LARGEST_BODY: usize = 64 * 1024;
/// Largest request head in bytes.
const LARGEST_HEAD: usize = 64 * 1024;
/// How long a head, a body or a TLS handshake may take; an idle connection is closed after as long.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the handle may tell the running server. The answer comes once it is done.
pub(super) enum Order {
    Outage(Option<Outage>, oneshot::Sender<io::Result<()>>),
    Stop(oneshot::Sender<()>),
}

/// Opens the listener; refuses every address that is not loopback, because whoever reaches the simulator
/// can sign in as anybody.
pub(super) fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    if !at.ip().is_loopback() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the simulator listens on loopback only: found {at}, expected 127.0.0.1 or [::1] and a port"),
        ));
    }
    reserve(at)?.listen(1_024)
}

/// A socket that holds its port without listening: a connection to it is refused.
fn reserve(at: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    Ok(socket)
}

/// The one task of a running simulator; every connection is a child that ends with it.
pub(super) struct Server {
    pub(super) world: Arc<World>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) valve: Arc<Valve>,
    pub(super) orders: mpsc::Receiver<Order>,
}

impl Server {
    /// Runs until told to stop or until the handle is gone.
    pub(super) async fn run(mut self, mut doors: Vec<Door>) {
        let mut connections = JoinSet::new();
        loop {
            let room = connections.len() < MOST_CONNECTIONS;
            tokio::select! {
                order = self.orders.recv() => match order {
                    None => return,
                    Some(Order::Stop(done)) => {
                        drop(doors);
                        connections.shutdown().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(Order::Outage(outage, done)) => {
                        let outcome = doors.iter_mut().try_for_each(|door| door.switch(outage));
                        if outcome.is_ok() {
                            self.valve.set(outage);
                            if outage == Some(Outage::Refuse) {
                                connections.shutdown().await;
                            }
                        }
                        let _ = done.send(outcome);
                    }
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
                accepted = accept(&doors), if room => match accepted {
                    Ok((face, stream)) => {
                        let (world, tls, valve) = (self.world.clone(), self.tls.clone(), self.valve.clone());
                        connections.spawn(connection(stream, tls, Listening { face, world, valve }));
                    }
                    Err(error) => {
                        tracing::debug!(%error, "the simulator could not accept a connection");
                        // Out of descriptors, most likely: without a pause this would spin.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
    }
}

/// A listener, open or shut.
pub(super) struct Door {
    face: Face,
    at: SocketAddr,
    open: Option<TcpListener>,
    held: Option<TcpSocket>,
}

impl Door {
    /// Opens one at a loopback address.
    pub(super) fn open(face: Face, at: SocketAddr) -> io::Result<Self> {
        let listener = listen(at)?;
        Ok(Self { face, at: listener.local_addr()?, open: Some(listener), held: None })
    }

    /// Where it is, with the port it got.
    pub(super) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Opens or shuts it as the outage demands. While it is shut its port stays reserved, so that nobody else
    /// gets it.
    fn switch(&mut self, outage: Option<Outage>) -> io::Result<()> {
        if outage == Some(Outage::Refuse) {
            if self.open.take().is_some() {
                self.held = Some(reserve(self.at)?);
            }
        } else if self.open.is_none() {
            let socket = match self.held.take() {
                Some(socket) => socket,
                None => reserve(self.at)?,
            };
            self.open = Some(socket.listen(1_024)?);
        }
        Ok(())
    }
}

/// The next connection at any open door.
async fn accept(doors: &[Door]) -> io::Result<(Face, TcpStream)> {
    poll_fn(|context| {
        for door in doors {
            if let Some(listener) = &door.open
                && let Poll::Ready(accepted) = listener.poll_accept(context)
            {
                return Poll::Ready(accepted.map(|(stream, _)| (door.face, stream)));
            }
        }
        Poll::Pending
    })
    .await
}

/// What a connection needs to know of the simulator.
#[derive(Clone)]
struct Listening {
    face: Face,
    world: Arc<World>,
    valve: Arc<Valve>,
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, here: Listening) {
    // A failed option costs latency only.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(stream, here).await,
        Some(tls) => match tokio::time::timeout(PATIENCE, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, here).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the simulator failed"),
            Err(_) => tracing::debug!("a TLS handshake with the simulator took too long"),
        },
    }
}

async fn serve<S>(stream: S, here: Listening)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PATIENCE)
        .max_concurrent_streams(32)
        .max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX));
    let spoken = Arc::new(AtomicBool::new(false));
    let begun = spoken.clone();
    let service = service_fn(move |request| {
        spoken.store(true, Ordering::Relaxed);
        let here = here.clone();
        async move { Ok::<_, Infallible>(answer(request, &here).await) }
    });
    tokio::select! {
        ended = builder.serve_connection(TokioIo::new(stream), service) => if let Err(error) = ended {
            tracing::debug!(%error, "a connection to the simulator ended early");
        },
        () = silence(&begun) => tracing::debug!("a connection to the simulator said nothing in time"),
    }
}

/// Ends if a connection brings no whole request in time. The framing library's own limits begin only once
/// it knows which version of HTTP is spoken.
async fn silence(begun: &AtomicBool) {
    tokio::time::sleep(PATIENCE).await;
    if begun.load(Ordering::Relaxed) {
        std::future::pending().await
    }
}

async fn answer(request: Request<Incoming>, here: &Listening) -> Given {
    let Listening { face, world, valve } = here;
    let (parts, body) = request.into_parts();
    let face = face.named(&host(&parts));
    let endpoint = route::endpoint(face, &parts.method, parts.uri.path());
    world.calls.count(endpoint);
    let method = parts.method.clone();
    let target = parts.uri.to_string();
    let switches = world.switches();
    let answer = match instead(world, valve, switches.latency.0).await {
        Some(answer) => answer,
        None => usual(parts, body, world, face, endpoint).await,
    };
    let given = switches.manner(endpoint).give(answer, &target, &world.calls.blanks).await;
    world.calls.note(endpoint, &method, Some(given.status()));
    given
}

/// The answer of an outage or of a burst, after the wait that the switch demands.
async fn instead(world: &World, valve: &Valve, latency: i64) -> Option<Answer> {
    if latency > 0 {
        tokio::time::sleep(Duration::from_millis(latency.unsigned_abs())).await;
    }
    if let Some(outage) = valve.now()
        && let Some(answer) = valve.instead(outage).await
    {
        return Some(answer);
    }
    world.take_one(|switches| &mut switches.unavailable_next.0).then(unavailable)
}

/// The name the request is for: HTTP/2 has it in the address, HTTP/1.1 in a header.
fn host(parts: &Parts) -> String {
    let header = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    parts.uri.host().or_else(header).unwrap_or("").to_owned()
}

async fn usual(parts: Parts, body: Incoming, world: &World, face: Face, endpoint: Endpoint) -> Answer {
    match read(body).await {
        Ok(body) => {
            let visit = Visit {
                face,
                path: parts.uri.path().to_owned(),
                query: parts.uri.query().unwrap_or("").to_owned(),
                method: parts.method,
                headers: parts.headers,
                body,
            };
            route::answer(world, endpoint, &visit)
        }
        Err(status) => refused(status),
    }
}

/// The whole body, if it is small enough and arrives in time.
async fn read(body: Incoming) -> Result<Bytes, StatusCode> {
    match tokio::time::timeout(PATIENCE, Limited::new(body, LARGEST_BODY).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn refused(status: StatusCode) -> Answer {
    let reason = status.canonical_reason().unwrap_or("refused");
    let page = format!(
        "<!doctype html><html lang=\"en\"><title>SIMULATED: {reason}</title><h1>SIMULATED: {reason}</h1></html>"
    );
    // What is left of the body is not read, so the connection cannot go on.
    super::answer::with(plain(status, HTML, page), header::CONNECTION, "close")
}
