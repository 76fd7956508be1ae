//! One connection to an HTTP server, over real TLS or plain, in HTTP/1.1 or HTTP/2: what `browser` is built
//! on. Knows no cookies and follows nothing.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long anything may take before the test fails with a message instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A request body.
pub type Body = BoxBody<Bytes, Infallible>;

/// A body of known length.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

/// A body sent in `pieces` without saying how long it will be, followed by `trailers`.
pub fn pieces(pieces: Vec<Bytes>, trailers: Option<HeaderMap>) -> Body {
    let frames = pieces.into_iter().map(Frame::data).chain(trailers.map(Frame::trailers)).map(Ok::<_, Infallible>);
    StreamBody::new(futures_util::stream::iter(frames)).boxed()
}

/// A body that ends when the sender is dropped; for uploads a test pushes piece by piece.
pub fn channel() -> (tokio::sync::mpsc::Sender<Bytes>, Body) {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let stream = futures_util::stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|piece| piece.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes))))
    });
    // A receiver is not Sync and BoxBody asks for it; the lock is never contended.
    (sender, BoxBody::new(StreamBody::new(sync_stream(stream))))
}

fn sync_stream<S>(stream: S) -> impl futures_util::Stream<Item = S::Item> + Sync
where
    S: futures_util::Stream + Send + Unpin,
{
    let stream = std::sync::Mutex::new(stream);
    futures_util::stream::poll_fn(move |context| {
        let mut stream = stream.lock().expect("nobody panics while holding this lock");
        futures_util::Stream::poll_next(std::pin::Pin::new(&mut *stream), context)
    })
}

/// TLS settings of a client that trusts `roots` alone and offers `protocols`. Kept by its owner, so that
/// sessions are resumed as browsers resume them.
pub fn client_config(roots: Arc<RootCertStore>, protocols: &[&str]) -> Arc<ClientConfig> {
    super::temp::install_provider();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// What the TLS handshake agreed on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// The certificates the server showed, leaf first.
    pub certificates: Vec<CertificateDer<'static>>,
    pub version: Option<rustls::ProtocolVersion>,
    pub resumed: bool,
    pub h2: bool,
}

impl Agreed {
    /// Names in the leaf, in its order.
    pub fn names(&self) -> Vec<String> {
        let Some(leaf) = self.certificates.first() else { return Vec::new() };
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).expect("rustls has parsed this certificate");
        let names = parsed.subject_alternative_name().expect("the extension is well formed");
        names.map_or_else(Vec::new, |names| {
            names
                .value
                .general_names
                .iter()
                .map(|name| name.to_string().replace("DNSName(", "").replace(')', ""))
                .collect()
        })
    }
}

/// Opens a TLS connection to `address`, asking for and checking `name`. No SNI is sent when `name` is an IP
/// address.
pub async fn connect_tls(
    address: SocketAddr,
    name: &str,
    config: Arc<ClientConfig>,
) -> io::Result<(TlsStream<TcpStream>, Agreed)> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let server = ServerName::try_from(name.trim_end_matches('.').to_owned())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stream = TlsConnector::from(config).connect(server, tcp).await?;
    let session = stream.get_ref().1;
    let agreed = Agreed {
        certificates: session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|der| der.clone().into_owned())
            .collect(),
        version: session.protocol_version(),
        resumed: matches!(session.handshake_kind(), Some(rustls::HandshakeKind::Resumed)),
        h2: session.alpn_protocol() == Some(b"h2"),
    };
    Ok((stream, agreed))
}

#[derive(Clone)]
enum Sender {
    One(Arc<tokio::sync::Mutex<http1::SendRequest<Body>>>),
    Two(http2::SendRequest<Body>),
}

/// An open connection. Clones share it; over HTTP/1.1 they take turns.
#[derive(Clone)]
pub struct Line {
    sender: Sender,
    agreed: Option<Arc<Agreed>>,
    /// Where it leads, for messages.
    address: SocketAddr,
}

impl Line {
    /// Opens a TLS connection; the server's choice of protocol decides between HTTP/1.1 and HTTP/2.
    pub async fn tls(address: SocketAddr, name: &str, config: Arc<ClientConfig>) -> io::Result<Self> {
        let (stream, agreed) = connect_tls(address, name, config).await?;
        let sender = if agreed.h2 { h2(stream).await? } else { h1(stream).await? };
        Ok(Self { sender, agreed: Some(Arc::new(agreed)), address })
    }

    /// Opens a plain HTTP/1.1 connection.
    pub async fn plain(address: SocketAddr) -> io::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        Ok(Self { sender: h1(tcp).await?, agreed: None, address })
    }

    /// `None` on a plain connection.
    pub fn agreed(&self) -> Option<&Agreed> {
        self.agreed.as_deref()
    }

    pub fn is_h2(&self) -> bool {
        matches!(self.sender, Sender::Two(_))
    }

    /// Whether the next request can be sent here; an HTTP/1.1 connection in use is not free.
    pub fn is_free(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.try_lock().is_ok_and(|sender| sender.is_ready()),
            Sender::Two(sender) => sender.is_ready(),
        }
    }

    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.try_lock().is_ok_and(|sender| sender.is_closed()),
            Sender::Two(sender) => sender.is_closed(),
        }
    }

    /// Sends a request whose address is absolute. The `Host` header (HTTP/1.1) or `:authority` (HTTP/2)
    /// comes from that address unless the caller has put in a `Host` of its own.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        match &self.sender {
            Sender::One(sender) => {
                let uri = request.uri().clone();
                let authority = uri.authority().expect("the address is absolute").as_str();
                if !request.headers().contains_key(http::header::HOST) {
                    let host = HeaderValue::from_str(authority).expect("an authority is printable ASCII");
                    request.headers_mut().insert(http::header::HOST, host);
                }
                let target = uri.path_and_query().map_or("/", |target| target.as_str());
                *request.uri_mut() = target.parse().expect("part of an address that parsed");
                *request.version_mut() = Version::HTTP_11;
                let mut sender = sender.lock().await;
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                *request.version_mut() = Version::HTTP_2;
                // What belongs to one connection may not be sent in HTTP/2 (RFC 9113 §8.2.2).
                for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"] {
                    request.headers_mut().remove(HeaderName::from_static(name));
                }
                let mut sender = sender.clone();
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", if self.is_h2() { "HTTP/2" } else { "HTTP/1.1" }, self.address)
    }
}

async fn h1(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> io::Result<Sender> {
    let (sender, connection) =
        http1::Builder::new().max_headers(1000).handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(Sender::One(Arc::new(tokio::sync::Mutex::new(sender))))
}

async fn h2(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> io::Result<Sender> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(1 << 20)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(Sender::Two(sender))
}
