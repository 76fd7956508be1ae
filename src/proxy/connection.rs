//! One accepted TLS connection: what is known about it, and the stream wrapper that carries that
//! knowledge through the engine. `door` makes them, `visit` reads them.

use super::coalesced::Coalesced;
use super::introduction::Introduction;
use crate::domain::Host;
use crate::policy::Admission;
use crate::tls::Certificate;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, TimingDigest, UniqueID,
    UniqueIDType,
};
use pingora::proxy::Session;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;

/// What the gate knows about a connection once its handshake is done.
pub struct Connection {
    pub peer: SocketAddr,
    /// The server name the client asked for, in canonical form.
    pub sni: Option<Host>,
    /// The certificate it was shown: other hosts on this connection must be covered by it (T28).
    pub certificate: Arc<Certificate>,
    pub is_h2: bool,
    /// Requests whose heads were read whole.
    requests: AtomicU64,
    /// The gate has taken over the request now on the wire: from here on answers are ours.
    head_accepted: AtomicBool,
    head_started: AtomicBool,
    /// The request line on the wire holds more than two blanks, or bytes that belong in no request line.
    odd_request_line: AtomicBool,
    head_progress: Notify,
    /// A WebSocket runs over it, and the gate ends it.
    ends_socket: AtomicBool,
    is_socket: AtomicBool,
    /// How its visitor was introduced to an app last.
    introduced: Mutex<Option<Arc<Introduction>>>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).field("sni", &self.sni).finish_non_exhaustive()
    }
}

impl Connection {
    pub fn new(peer: SocketAddr, sni: Option<Host>, certificate: Arc<Certificate>, is_h2: bool) -> Self {
        Self {
            peer,
            sni,
            certificate,
            is_h2,
            requests: AtomicU64::new(0),
            head_accepted: AtomicBool::new(false),
            head_started: AtomicBool::new(false),
            odd_request_line: AtomicBool::new(false),
            head_progress: Notify::new(),
            ends_socket: AtomicBool::new(false),
            is_socket: AtomicBool::new(false),
            introduced: Mutex::default(),
        }
    }

    /// The connection behind a request; `None` only if the engine was fed a foreign stream.
    pub fn of(session: &Session) -> Option<Arc<Connection>> {
        Self::of_downstream(session.as_downstream())
    }

    pub fn of_downstream(session: &pingora::protocols::http::ServerSession) -> Option<Arc<Connection>> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest.user_data.as_ref()?.downcast_ref::<Arc<Connection>>().cloned()
    }

    /// A new HTTP/1.1 head may come; returns how many requests came before it.
    pub fn expect_head(&self) -> u64 {
        self.head_accepted.store(false, Ordering::Release);
        self.head_started.store(false, Ordering::Release);
        self.odd_request_line.store(false, Ordering::Release);
        self.requests.load(Ordering::Relaxed)
    }

    /// The head on the wire was read whole; the engine may not answer by itself any more. Over HTTP/2 it is only
    /// counted: nobody watches heads there.
    pub fn accept_head(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if !self.is_h2 {
            self.head_accepted.store(true, Ordering::Release);
            self.head_progress.notify_one();
        }
    }

    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    pub fn head_started(&self) -> bool {
        self.head_started.load(Ordering::Acquire)
    }

    pub fn head_accepted(&self) -> bool {
        self.head_accepted.load(Ordering::Acquire)
    }

    /// Whether the engine may have mended the request line (it turns a blank in the target into `%20`
    /// and shows us the mended bytes, T26). HTTP/1.1 only.
    pub fn request_line_is_odd(&self) -> bool {
        self.odd_request_line.load(Ordering::Acquire)
    }

    /// The app has agreed to a WebSocket: from here on its frames fill the connection.
    pub fn becomes_socket(&self) {
        self.is_socket.store(true, Ordering::Release);
    }

    /// Whether the app has agreed to a WebSocket here.
    pub fn is_socket(&self) -> bool {
        self.is_socket.load(Ordering::Acquire)
    }

    /// The exchange is about to be dropped because the gate says so.
    pub fn is_ended(&self) {
        self.ends_socket.store(self.is_socket(), Ordering::Release);
    }

    /// How the visitor is introduced on this permit: as the last time, if nothing has changed.
    pub fn introduction(
        &self,
        admission: &Admission,
        host: &Host,
        public_port: u16,
    ) -> pingora::Result<Arc<Introduction>> {
        let mut last = self.introduced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(introduction) = last.as_ref().filter(|last| last.serves(admission, host)) {
            return Ok(introduction.clone());
        }
        let introduction = Arc::new(Introduction::new(admission, self.peer.ip(), host, public_port)?);
        *last = Some(introduction.clone());
        Ok(introduction)
    }

    /// Resolves when the first byte of a head arrives, and again when the head is complete.
    pub async fn head_progress(&self) {
        self.head_progress.notified().await;
    }
}

/// The TLS stream as the engine sees it. Over HTTP/1.1 it replaces what the engine would write before
/// a head was accepted (its own bare 400 with a banner) by the gate's page.
pub(super) struct GateStream<S: AsyncWrite + Unpin> {
    inner: Coalesced<S>,
    connection: Arc<Connection>,
    digest: Arc<ProxyDigest>,
    bad_request: Bytes,
    replaced: Option<usize>,
    /// Bytes seen since the head on the wire began, and how many there may be before it is accepted: the
    /// engine itself would take a megabyte.
    seen: usize,
    most: usize,
    /// Blanks so far in a request line that has not ended yet.
    blanks: Option<u8>,
}

impl<S: AsyncWrite + Unpin> GateStream<S> {
    /// `bad_request` is a whole HTTP/1.1 response with `Connection: close`.
    /// A head may have `head_limit` bytes.
    pub(super) fn new(
        inner: S,
        connection: Arc<Connection>,
        bad_request: Bytes,
        head_limit: usize,
    ) -> pingora::Result<Self> {
        let header = Box::new(ResponseHeader::build(200, None)?);
        let digest = Arc::new(ProxyDigest::new(header, Some(Box::new(connection.clone()))));
        let most = head_limit.saturating_add(ENGINE_BUFFER);
        let inner = Coalesced::new(inner, !connection.is_h2);
        Ok(Self { inner, connection, digest, bad_request, replaced: None, seen: 0, most, blanks: None })
    }

    /// Looks at bytes of a head as they come in, before the engine does. A head always begins with a
    /// read of its own: the engine does not reuse a connection that brought bytes early.
    fn look_at(&mut self, bytes: &[u8]) {
        if !self.connection.head_started.swap(true, Ordering::AcqRel) {
            self.blanks = Some(0);
            self.seen = 0;
            self.connection.head_progress.notify_one();
        }
        let Some(mut blanks) = self.blanks else { return };
        for &byte in bytes {
            match byte {
                b'\n' => {
                    self.blanks = None;
                    return;
                }
                b' ' => blanks = blanks.saturating_add(1),
                b'\r' | 0x21..=0x7e => {}
                _ => blanks = u8::MAX,
            }
            if blanks > 2 {
                self.connection.odd_request_line.store(true, Ordering::Release);
            }
        }
        self.blanks = Some(blanks);
    }
}

/// A whole unmasked Close frame of a server (RFC 6455 §5.5.1), with code 1008, policy violation (§7.4.1): a script then
/// knows that connecting again at once leads nowhere.
const SESSION_ENDED: &[u8] = b"\x88\x0f\x03\xf0session ended";

impl<S: AsyncWrite + Unpin> Drop for GateStream<S> {
    /// The engine gives a stream back to nobody when its exchange is dropped: this is the only place left to say why a
    /// WebSocket ends. Nothing can be waited for here, so it is said if the socket takes it at once, as an idle one does;
    /// should half a message of the app have gone before, that message never ends, and the browser drops it.
    fn drop(&mut self) {
        if !self.connection.ends_socket.load(Ordering::Acquire) {
            return;
        }
        let mut now = Context::from_waker(std::task::Waker::noop());
        let told = Pin::new(&mut self.inner).poll_write(&mut now, SESSION_ENDED);
        if matches!(told, Poll::Ready(Ok(_))) {
            // Whoever does not hear it notices the end of the connection all the same.
            let _ = Pin::new(&mut self.inner).poll_flush(&mut now);
            let _ = Pin::new(&mut self.inner).poll_shutdown(&mut now);
        }
    }
}

/// How much of a body the engine may read together with a head.
const ENGINE_BUFFER: usize = 128 * 1024;

impl<S: AsyncWrite + Unpin> fmt::Debug for GateStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateStream").field("connection", &self.connection).finish_non_exhaustive()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for GateStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before && !self.connection.is_h2 {
            self.look_at(&buf.filled()[before..]);
            self.seen = self.seen.saturating_add(buf.filled().len() - before);
            // Heads a little too long are read and answered with 431; endless ones end here.
            if self.seen > self.most && !self.connection.head_accepted() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> GateStream<S> {
    fn must_replace(&self) -> bool {
        !self.connection.is_h2 && !self.connection.head_accepted()
    }

    /// Writes our own page instead of `offered` bytes of the engine's, and says they were taken.
    fn poll_replace(&mut self, cx: &mut Context<'_>, offered: usize) -> Poll<io::Result<usize>> {
        let mut at = self.replaced.unwrap_or(0);
        while at < self.bad_request.len() {
            let written = match Pin::new(&mut self.inner).poll_write(cx, &self.bad_request[at..]) {
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(fault)) => return Poll::Ready(Err(fault)),
                Poll::Pending => {
                    self.replaced = Some(at);
                    return Poll::Pending;
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            at += written;
        }
        self.replaced = Some(at);
        Poll::Ready(Ok(offered))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for GateStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.must_replace() {
            return self.poll_replace(cx, buf.len());
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.must_replace() {
            let offered = bufs.iter().map(|buf| buf.len()).sum();
            return self.poll_replace(cx, offered);
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[async_trait]
impl<S: AsyncWrite + Shutdown + Send + Unpin> Shutdown for GateStream<S> {
    async fn shutdown(&mut self) {
        // A peer that is gone cannot be told anything, and is shut out all the same.
        let _gone = self.inner.flush().await;
        self.inner.get_mut().shutdown().await;
    }
}

impl<S: UniqueID + AsyncWrite + Unpin> UniqueID for GateStream<S> {
    fn id(&self) -> UniqueIDType {
        self.inner.get_ref().id()
    }
}

impl<S: Ssl + AsyncWrite + Unpin> Ssl for GateStream<S> {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ref().get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ref().get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.get_ref().selected_alpn_proto()
    }
}

impl<S: GetTimingDigest + AsyncWrite + Unpin> GetTimingDigest for GateStream<S> {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_ref().get_timing_digest()
    }
}

impl<S: AsyncWrite + Unpin> GetProxyDigest for GateStream<S> {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digest.clone())
    }
}

impl<S: GetSocketDigest + AsyncWrite + Unpin> GetSocketDigest for GateStream<S> {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_ref().get_socket_digest()
    }
}

impl<S: AsyncWrite + Unpin> Peek for GateStream<S> {}
