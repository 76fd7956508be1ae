//! The door between the accept loop and the engine: one task per connection, deadlines for heads and
//! idle connections, and a handle by which any single request can be ended from outside.

use super::Gate;
use super::connection::Connection;
use crate::domain::SiteName;
use crate::domain::UnixTime;
use crate::policy::CanonicalPath;
use crate::vault::HashedSessionKey;
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use slab::Slab;
use std::future::{poll_fn, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

tokio::task_local! {
    /// The request that the current task serves; set by the door, read by the engine's hooks.
    pub(super) static OPEN_REQUEST: Arc<OpenRequest>;
}

/// How long the door waits for what.
#[derive(Clone, Copy, Debug)]
pub struct DoorLimits {
    /// From the first byte of a head to its last.
    pub head: Duration,
    /// An open connection without a request.
    pub keepalive: Duration,
}

/// On whose strength an admitted request stays open.
#[derive(Debug)]
pub struct Standing {
    pub session: Option<HashedSessionKey>,
    pub site: SiteName,
    pub method: http::Method,
    pub path: CanonicalPath,
    pub connection: Arc<Connection>,
    pub since: UnixTime,
}

/// One request under way. Ending it drops the whole exchange: over HTTP/1.1 the connection closes,
/// over h2 the stream is reset.
#[derive(Debug, Default)]
pub struct OpenRequest {
    is_ended: AtomicBool,
    waiting: AtomicWaker,
    standing: OnceLock<Standing>,
}

impl OpenRequest {
    pub fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.waiting.wake();
    }

    /// Resolves once the request was ended. For the one task that serves it.
    async fn ended(&self) {
        let mut known: Option<Waker> = None;
        poll_fn(|cx| {
            // First the waker, then the look: an end between the two wakes it. Once is enough: only an end takes the
            // waker out again, and then the look finds that.
            if !known.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                self.waiting.register(cx.waker());
                known = Some(cx.waker().clone());
            }
            if self.is_ended.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    pub fn standing(&self) -> Option<&Standing> {
        self.standing.get()
    }
}

/// The admitted requests of one core that must end when their session or their admission does.
#[derive(Debug, Default)]
pub struct OpenRequests {
    open: Mutex<Slab<Arc<OpenRequest>>>,
}

/// Takes the request off the list when the exchange is over, however it ended.
#[derive(Debug)]
pub struct Listed {
    place: usize,
    list: Arc<OpenRequests>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.list.lock().try_remove(self.place);
    }
}

impl OpenRequests {
    fn lock(&self) -> std::sync::MutexGuard<'_, Slab<Arc<OpenRequest>>> {
        // A panic while the list is held leaves it whole: inserts and removes are single steps.
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Puts the current task's request on the list with what it stands on.
    pub fn list(self: &Arc<Self>, standing: Standing) -> Option<Listed> {
        let request = OPEN_REQUEST.try_with(Arc::clone).ok()?;
        if request.standing.set(standing).is_err() {
            return None;
        }
        let place = self.lock().insert(request);
        Some(Listed { place, list: self.clone() })
    }

    /// The requests that have been open since before `moment`.
    pub fn older_than(&self, moment: UnixTime) -> Vec<Arc<OpenRequest>> {
        let open = self.lock();
        let older = |request: &&Arc<OpenRequest>| request.standing().is_some_and(|standing| standing.since < moment);
        open.iter().map(|(_, request)| request).filter(older).cloned().collect()
    }
}

/// The engine's application: `HttpProxy` with a watch beside each request.
pub(super) struct Door {
    proxy: Arc<HttpProxy<Gate>>,
    options: HttpServerOptions,
    h2: H2Options,
    limits: DoorLimits,
}

impl Door {
    pub(super) fn new(mut proxy: HttpProxy<Gate>, limits: DoorLimits) -> Arc<Self> {
        let mut options = HttpServerOptions::default();
        options.h2_idle_timeout = Some(limits.keepalive);
        // CONNECT comes to our own filter, which answers 405 with our own page before anything else.
        options.allow_connect_method_proxying = true;
        proxy.server_options = Some(options.clone());
        proxy.handle_init_modules();
        let mut h2 = default_h2_options();
        h2.max_concurrent_streams(100).max_header_list_size(64 * 1024);
        Arc::new(Self { proxy: Arc::new(proxy), options, h2, limits })
    }

    /// Runs until a deadline has passed without progress, or the request is ended from outside. HTTP/1.1 only.
    async fn watch(&self, connection: &Connection, earlier: u64, request: &OpenRequest) {
        let idle = if earlier == 0 { self.limits.head } else { self.limits.keepalive };
        if self.head_arrives(connection, idle).await {
            request.ended().await;
            connection.is_ended();
        }
    }

    /// Waits for the first byte and then for the whole head; `false` when either takes too long
    /// (slow heads, T79).
    async fn head_arrives(&self, connection: &Connection, idle: Duration) -> bool {
        let first = Instant::now() + idle;
        while !connection.head_started() && !connection.head_accepted() {
            if timeout_at(first, connection.head_progress()).await.is_err() {
                return false;
            }
        }
        let whole = Instant::now() + self.limits.head;
        while !connection.head_accepted() {
            if timeout_at(whole, connection.head_progress()).await.is_err() {
                return false;
            }
        }
        true
    }
}

#[async_trait]
impl HttpServerApp for Door {
    // Not an `async fn`: the session moves straight into the engine's future, and the future around that one, which is
    // polled at every wake-up, stays small.
    fn process_new_http<'door, 'watch, 'exchange>(
        self: &'door Arc<Self>,
        session: ServerSession,
        shutdown: &'watch ShutdownWatch,
    ) -> BoxFuture<'exchange, Option<ReusedHttpStream>>
    where
        'door: 'exchange,
        'watch: 'exchange,
        Self: 'exchange,
    {
        let Some(connection) = Connection::of_downstream(&session) else { return Box::pin(ready(None)) };
        let request = Arc::new(OpenRequest::default());
        let exchange = OPEN_REQUEST.scope(request.clone(), self.proxy.process_new_http(session, shutdown));
        if connection.is_h2 {
            return Box::pin(async move {
                tokio::select! {
                    biased;
                    reusable = exchange => reusable,
                    () = request.ended() => None,
                }
            });
        }
        let earlier = connection.expect_head();
        Box::pin(async move {
            tokio::select! {
                biased;
                reusable = exchange => reusable,
                () = self.watch(&connection, earlier, &request) => None,
            }
        })
    }

    fn h2_options(&self) -> Option<H2Options> {
        Some(self.h2.clone())
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}
