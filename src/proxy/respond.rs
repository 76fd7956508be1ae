//! Writes an answer of our own (`http::Response<Bytes>`, made by `pages` and `signin`) to the wire.
//! No other code of ours writes a response.

use crate::domain::Language;
use crate::session::cookie;
use bytes::Bytes;
use http::{HeaderMap, Response};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use std::time::Duration;

/// How much of an unread request body is taken before an early answer, and for how long: small bodies are gone
/// by then, and the connection can be kept.
const BEFORE: Bounds = Bounds { bytes: 64 * 1024, time: Duration::from_secs(1) };

/// How much more is taken behind the answer. Closing an HTTP/1.1 connection while a visitor is still sending makes
/// the kernel reset it, and the reset destroys the answer on its way (RFC 9112 §9.6); a reset of an h2 stream
/// right behind the answer is allowed (RFC 9113 §8.1), and a failure to some clients, curl among them.
const BEHIND: Bounds = Bounds { bytes: 8 * 1024 * 1024, time: Duration::from_secs(5) };

/// How long somebody may take to send a form to the gate itself.
const FORM: Duration = Duration::from_secs(20);

struct Bounds {
    bytes: usize,
    time: Duration,
}

/// One year, this host alone (`design.md` §4).
pub(super) const HSTS: &str = "max-age=31536000";

/// What a page of ours speaks to whoever sent this request. Asked for when a page is made, so that a request
/// on its way to an app pays nothing for it.
pub(super) fn language(session: &Session) -> Language {
    read_language(&session.req_header().headers)
}

fn read_language(headers: &HeaderMap) -> Language {
    let cookie = cookie::only(cookie::LANGUAGE, headers.get_all(http::header::COOKIE).iter());
    let cookie = cookie.and_then(|value| std::str::from_utf8(value).ok());
    let accepted = headers.get(http::header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::choose(cookie, accepted)
}

/// Sends `answer`; a body is left out for `HEAD`, its length is kept.
pub(super) async fn send(session: &mut Session, answer: Response<Bytes>, hsts: bool) -> pingora::Result<()> {
    // Who waits for `100 Continue` sends nothing yet, and waits for us (RFC 9110 §10.1.1).
    let waits = session.req_header().headers.contains_key(http::header::EXPECT);
    let unread = !session.as_downstream_mut().is_body_done() && (waits || !drain(session, &BEFORE).await);
    // What is left of an HTTP/1.1 body would be read as the next request.
    let closes = unread && !session.as_downstream().is_http2();
    if closes {
        session.set_keepalive(None);
    }
    let (parts, body) = answer.into_parts();
    let mut header = ResponseHeader::build(parts.status, Some(parts.headers.len() + 1))?;
    for (name, value) in &parts.headers {
        header.append_header(name, value)?;
    }
    if hsts {
        header.insert_header(http::header::STRICT_TRANSPORT_SECURITY, HSTS)?;
    }
    let without_body = session.req_header().method == http::Method::HEAD
        || parts.status == http::StatusCode::NO_CONTENT
        || parts.status == http::StatusCode::NOT_MODIFIED;
    if parts.status != http::StatusCode::NO_CONTENT {
        header.insert_header(http::header::CONTENT_LENGTH, body.len())?;
    }
    let ends = without_body || body.is_empty();
    session.write_response_header(Box::new(header), ends).await?;
    if !ends {
        session.write_response_body(Some(body), true).await?;
    }
    if closes {
        // Nothing more will be said: that much may be known at once.
        session.as_downstream_mut().shutdown().await;
    }
    if unread {
        drain(session, &BEHIND).await;
    }
    Ok(())
}

/// Reads on in the request's body, and throws away what comes; `true` once nothing is left of it.
async fn drain(session: &mut Session, bounds: &Bounds) -> bool {
    if session.as_downstream_mut().is_body_done() {
        return true;
    }
    let read = async {
        let mut taken = 0;
        while taken < bounds.bytes {
            match session.as_downstream_mut().read_request_body().await {
                Ok(Some(bytes)) => taken += bytes.len(),
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
        false
    };
    tokio::time::timeout(bounds.time, read).await.unwrap_or(false)
}

/// Reads a small form sent to one of our own addresses; `None` when it is larger than `limit`. It must be there in
/// [`FORM`]: over h2 the engine waits for a body without end (T79).
pub(super) async fn read_body(session: &mut Session, limit: usize) -> pingora::Result<Option<Bytes>> {
    let read = async {
        let mut body = Vec::new();
        while let Some(bytes) = session.as_downstream_mut().read_request_body().await? {
            if body.len() + bytes.len() > limit {
                return Ok(None);
            }
            body.extend_from_slice(&bytes);
        }
        Ok(Some(body.into()))
    };
    let too_slow = |_| Err(pingora::Error::new_down(pingora::ErrorType::ReadTimedout));
    tokio::time::timeout(FORM, read).await.unwrap_or_else(too_slow)
}
