//! Client authentication at the token and revoke endpoints (`orcid.md` §3.4). Called by `token`.

use super::answer::{Answer, plain, with};
use super::clients::{ClientState, SimulatedClient};
use super::refusal::Refusal;
use super::switches::{ClientAuthentication, Switches};
use super::visit::{Fields, Visit};
use super::world::World;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, header};
use std::sync::Arc;

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
pub(super) fn required<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, Refusal> {
    fields.filled(name).ok_or(Refusal::FieldMissing(name))
}

/// Proves which client is calling: by HTTP Basic if there is an `Authorization` header, else by
/// `client_id` and `client_secret` in the form; by one of them alone if the switch says so.
///
/// The 2026 server takes a Bearer header for credentials too, and fails. The legacy one took it for the
/// token that a renewal replaces (`orcid.md` §5.1).
pub(super) fn client(
    world: &World,
    switches: &Switches,
    visit: &Visit,
    fields: &Fields,
) -> Result<Arc<SimulatedClient>, Refusal> {
    let header = visit.headers.get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes);
    let header = header.filter(|value| !switches.is_legacy() || !is_bearer(value));
    let header = if switches.client_auth == ClientAuthentication::Post { None } else { header };
    let (id, secret) = match header {
        Some(value) => basic(value).ok_or(Refusal::SecretWrong)?,
        None if switches.client_auth == ClientAuthentication::Basic => return Err(Refusal::SecretWrong),
        None => (required(fields, "client_id")?.to_owned(), required(fields, "client_secret")?.to_owned()),
    };
    let client = world.client(&id).ok_or(Refusal::ClientUnknown(id))?;
    if !same(client.secret.expose(), &secret) {
        return Err(Refusal::SecretWrong);
    }
    match client.state {
        ClientState::Active => Ok(client),
        ClientState::Locked => Err(Refusal::ClientLocked),
        ClientState::Deactivated => Err(Refusal::ClientDeactivated),
    }
}

fn is_bearer(value: &[u8]) -> bool {
    value.len() > 7 && value[..7].eq_ignore_ascii_case(b"bearer ")
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
pub(super) fn same(known: &str, sent: &str) -> bool {
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
