//! The ops listener: health, readiness and metrics, read-only, loopback by default, and nothing else.
//! It never shares a socket with the gate (T87).

use crate::metrics::Metrics;
use crate::small_http::{self, Answerer};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::watch;

/// Asks the parts of the gate whether it can serve; the text says what is wrong.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Connections at once: a scraper and a few probes.
const MOST: usize = 64;

/// Serves until `stop` turns true. `listener` is bound and non-blocking.
pub async fn run(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    ready: Readiness,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let answer: Answerer = Arc::new(move |request| answer(request, &metrics, &ready));
    small_http::serve(listener, MOST, answer, stop).await
}

fn answer(request: &Request<Incoming>, metrics: &Metrics, ready: &Readiness) -> Response<Full<Bytes>> {
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/health") => (StatusCode::OK, "text/plain", "alive\n".into()),
        (&Method::GET | &Method::HEAD, "/ready") => match ready() {
            Ok(()) => (StatusCode::OK, "text/plain", "ready\n".into()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("{why}\n").into_bytes()),
        },
        (&Method::GET | &Method::HEAD, "/metrics") => match metrics.render() {
            Ok(text) => (StatusCode::OK, "text/plain; version=0.0.4", text),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "metrics failed\n".into()),
        },
        (&Method::GET | &Method::HEAD, _) => (StatusCode::NOT_FOUND, "text/plain", "not found\n".into()),
        _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "read only\n".into()),
    };
    let body: Vec<u8> = body;
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    }
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}
