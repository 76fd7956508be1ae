//! A small, bounded HTTP/1.1 server for answers that need little waiting: the ops listener, the plain-HTTP
//! redirects, the admin socket. One request a connection, a cap on connections, a deadline on each.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

/// From accept to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest request head in bytes.
const HEAD: usize = 16 * 1024;

/// Makes the answer to a request. The body is never read.
pub type Answerer = Arc<dyn Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync>;

/// Serves a bound, non-blocking listener until `stop` turns true; at most `most` connections at once,
/// further ones are closed.
pub async fn serve(
    listener: TcpListener,
    most: usize,
    answer: Answerer,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(most));
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else {
            // Out of file descriptors: trying at once again would only burn the core.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let Ok(place) = room.clone().try_acquire_owned() else { continue };
        let answer = answer.clone();
        tokio::spawn(async move {
            serve_one(tcp, |request| ready(answer(&request))).await;
            drop(place);
        });
    }
}

/// Answers one request on a connection and closes it.
pub async fn serve_one<S, A, F>(stream: S, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    let service = service_fn(|request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Errors here are broken clients; there is nobody to tell.
    let _ = tokio::time::timeout(PATIENCE, serving).await;
}
