//! Answers as plain values: JSON, redirects, and the headers every answer carries. Used by all endpoints;
//! only `server` knows sockets.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

pub(super) type Answer = Response<Full<Bytes>>;

pub(super) const JSON: &str = "application/json;charset=UTF-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// An answer with this body, never cached, never sniffed.
pub(super) fn plain(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// A JSON answer of the token endpoint and its kin, with the headers of RFC 6749 §5.1.
pub(super) fn json(status: StatusCode, body: String) -> Answer {
    let mut answer = plain(status, JSON, body);
    answer.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    answer
}

/// 303 to `location`. `no-referrer`, because the location may carry a code.
pub(super) fn see_other(location: &str) -> Answer {
    let mut answer = plain(StatusCode::SEE_OTHER, HTML, Bytes::new());
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    match HeaderValue::from_str(location) {
        Ok(location) => {
            headers.insert(header::LOCATION, location);
        }
        Err(_) => *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    answer
}

/// Sets one more header, if its value can be one.
pub(super) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().append(name, value);
    }
    answer
}
