//! Client authentication at the token and revoke endpoints, and the error bodies of the 2026 server
//! (`orcid.md` §3.4, §3.5). Called by `token` and `revoke`.

use super::answer::{Answer, JSON, json, plain, with};
use super::clients::{ClientState, SimulatedClient};
use super::visit::{Fields, Visit};
use super::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use serde::Serialize;
use std::sync::Arc;

/// The text for whatever is wrong with a code or a token and has no text of its own.
pub(super) const GENERIC: &str =
    "One of the provided parameters is invalid, or, the provided token/code is invalid or expired";

/// Errors of the forwarding proxy put `error` first …
#[derive(Serialize)]
struct ProxyError<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// … those of the authorization server behind it put it last.
#[derive(Serialize)]
struct ServerError<'a> {
    error_description: &'a str,
    error: &'a str,
}

pub(super) fn proxy_error(status: StatusCode, error: &str, error_description: &str) -> Answer {
    body(status, &ProxyError { error, error_description })
}

pub(super) fn server_error(status: StatusCode, error: &str, error_description: &str) -> Answer {
    body(status, &ServerError { error_description, error })
}

/// A JSON answer of these fields in their order.
pub(super) fn body(status: StatusCode, fields: &impl Serialize) -> Answer {
    match serde_json::to_string(fields) {
        Ok(text) => json(status, text),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}"),
    }
}

/// Anything but a form is refused with a page, not with JSON (`orcid.md` §3).
pub(super) fn unsupported_media_type() -> Answer {
    let page = "<!doctype html><html lang=\"en\"><title>SIMULATED: HTTP Status 415</title>\
                <h1>SIMULATED: HTTP Status 415 – Unsupported Media Type</h1></html>";
    with(
        plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, super::answer::HTML, page),
        header::ACCEPT,
        "application/x-www-form-urlencoded",
    )
}

/// A required field, or the proxy's complaint that it is missing.
pub(super) fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Box<Answer>> {
    fields.filled(name).ok_or_else(|| {
        Box::new(proxy_error(StatusCode::UNAUTHORIZED, "invalid_request", &format!("{name} is required")))
    })
}

/// Proves which client is calling: by HTTP Basic if there is an `Authorization` header, else by
/// `client_id` and `client_secret` in the form.
///
/// A Bearer header is taken for credentials too, as ORCID's proxy does, and fails.
pub(super) fn client(world: &World, visit: &Visit, fields: &Fields) -> Result<Arc<SimulatedClient>, Box<Answer>> {
    let failed = || Box::new(server_error(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed"));
    let (id, secret) = match visit.headers.get(header::AUTHORIZATION) {
        Some(value) => basic(value.as_bytes()).ok_or_else(failed)?,
        None => (required(fields, "client_id")?.to_owned(), required(fields, "client_secret")?.to_owned()),
    };
    let client = world.client(&id).filter(|client| same(client.secret.expose(), &secret)).ok_or_else(failed)?;
    match client.state {
        ClientState::Active => Ok(client),
        ClientState::Locked => {
            Err(Box::new(server_error(StatusCode::BAD_REQUEST, "unauthorized_client", "The client is locked")))
        }
        ClientState::Deactivated => {
            Err(Box::new(server_error(StatusCode::BAD_REQUEST, "unauthorized_client", "The client is deactivated")))
        }
    }
}

/// Reads `Basic …` (RFC 7617); id and secret are form-encoded inside (RFC 6749 §2.3.1).
fn basic(value: &[u8]) -> Option<(String, String)> {
    let value = std::str::from_utf8(value).ok()?;
    let (scheme, credentials) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decoded = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_encoding::percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
    };
    Some((decoded(id)?, decoded(secret)?))
}

/// Compares two secrets by their hashes, so that the time taken tells nothing about either.
fn same(known: &str, sent: &str) -> bool {
    let hash = |text: &str| ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    hash(known).as_ref() == hash(sent).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials() {
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(basic(encoded("APP-1:se%3Acret").as_bytes()), pair("APP-1", "se:cret"));
        assert_eq!(basic(encoded("a:b:c").as_bytes()), pair("a", "b:c"));
        for bad in ["Bearer x", "Basic", "Basic !!", "Basic YQ=="] {
            assert_eq!(basic(bad.as_bytes()), None, "{bad}");
        }
    }
}
