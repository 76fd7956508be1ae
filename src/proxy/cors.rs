//! Cross-origin requests that meet the gate instead of the app (T32): a preflight carries no cookie,
//! so it is answered here, and only for origins the site lists. A WebSocket carries all of them and asks no preflight.

use crate::domain::{Host, return_to};
use crate::policy::Site;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use pingora::http::RequestHeader;

fn listed_origin<'a>(request: &'a RequestHeader, site: &Site) -> Option<&'a HeaderValue> {
    let origin = request.headers.get(header::ORIGIN)?;
    let text = origin.to_str().ok()?;
    site.cors_origins.iter().any(|listed| listed == text).then_some(origin)
}

/// The answer to a preflight from a listed origin; `None` for everything else.
pub(super) fn preflight(request: &RequestHeader, site: &Site) -> Option<Response<Bytes>> {
    let method = request.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)?;
    if request.method != Method::OPTIONS {
        return None;
    }
    let origin = listed_origin(request, site)?;
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let headers = answer.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
    if let Some(wanted) = request.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(answer)
}

/// Lets script of a listed origin read our 401.
pub(super) fn allow(mut answer: Response<Bytes>, request: &RequestHeader, site: &Site) -> Response<Bytes> {
    if let Some(origin) = listed_origin(request, site) {
        let origin = origin.clone();
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    answer
}

/// Whether the page that opens a WebSocket may: it is of this very host, or of an origin that the site lists. No browser
/// leaves the origin out, and none is kept by CORS from opening a socket and reading it, with the visitor's cookies if the
/// page's host is a sister of this one (B9; RFC 6455 §10.2). What is no browser names no origin, and has no cookies but
/// its own.
pub(super) fn may_open_socket(request: &RequestHeader, site: &Site, host: &Host, public_port: u16) -> bool {
    let mut origins = request.headers.get_all(header::ORIGIN).iter();
    let Some(origin) = origins.next() else { return true };
    if origins.next().is_some() {
        return false;
    }
    let is = |allowed: &str| origin.as_bytes() == allowed.as_bytes();
    is(&return_to::origin(host, public_port)) || site.cors_origins.iter().any(|listed| is(listed))
}
