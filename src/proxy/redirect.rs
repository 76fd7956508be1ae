//! The plain-HTTP listener: sends browsers to https on hosts we know and says 421 to all others. It
//! serves nothing else and reads no body.

use crate::domain::Host;
use crate::domain::return_to::{ReturnTo, origin};
use crate::small_http::{self, Answerer};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use std::net::TcpListener;
use std::sync::Arc;
use tokio::sync::watch;

/// Says whether a host is served by the gate.
pub type KnownHost = Arc<dyn Fn(&Host) -> bool + Send + Sync>;

/// Connections at once; plain HTTP is a courtesy, not a service.
const MOST: usize = 1024;

/// Serves until `stop` turns true. `listener` is bound and non-blocking.
pub async fn run(
    listener: TcpListener,
    known: KnownHost,
    public_port: u16,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let answer: Answerer = Arc::new(move |request| answer(request, &known, public_port));
    small_http::serve(listener, MOST, answer, stop).await
}

fn answer(request: &Request<Incoming>, known: &KnownHost, public_port: u16) -> Response<Full<Bytes>> {
    let (status, location) = redirect(request, known, public_port);
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    if let Some(location) = location.and_then(|location| header::HeaderValue::try_from(location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn redirect<B>(request: &Request<B>, known: &KnownHost, public_port: u16) -> (StatusCode, Option<String>) {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return (StatusCode::BAD_REQUEST, None) };
    let Some((host, _)) = host.to_str().ok().and_then(|text| Host::from_authority(text).ok()) else {
        return (StatusCode::BAD_REQUEST, None);
    };
    if !known(&host) {
        return (StatusCode::MISDIRECTED_REQUEST, None);
    }
    if !matches!(request.method().as_str(), "GET" | "HEAD") {
        // A form that went over plain HTTP has already been read by others; it is not sent on.
        return (StatusCode::FORBIDDEN, None);
    }
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    match ReturnTo::new(host.clone(), target) {
        Ok(page) => (StatusCode::PERMANENT_REDIRECT, Some(page.url(public_port))),
        Err(_) => (StatusCode::PERMANENT_REDIRECT, Some(format!("{}/", origin(&host, public_port)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_hosts_are_redirected() {
        let known: KnownHost = Arc::new(|host: &Host| host.as_str() == "wiki.example");
        for (host, target, method, expected) in [
            ("wiki.example", "/a?b=c", "GET", (308, Some("https://wiki.example/a?b=c"))),
            ("WIKI.example:80", "/", "HEAD", (308, Some("https://wiki.example/"))),
            ("wiki.example", "//evil.example/", "GET", (308, Some("https://wiki.example/"))),
            ("evil.example", "/", "GET", (421, None)),
            ("wiki.example@evil", "/", "GET", (400, None)),
            ("wiki.example", "/", "POST", (403, None)),
        ] {
            let request = Request::builder().method(method).uri(target).header("host", host).body(()).unwrap();
            let (status, location) = redirect(&request, &known, 443);
            assert_eq!((status.as_u16(), location.as_deref()), expected, "{host} {target}");
        }
    }
}
