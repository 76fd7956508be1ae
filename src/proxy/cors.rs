//! Cross-origin requests that meet the gate instead of the app (T32): a preflight carries no cookie,
//! so it is answered here, and only for origins the site lists.

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
