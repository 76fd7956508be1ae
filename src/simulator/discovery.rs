//! The discovery document and ORCID's cross-origin headers (`orcid.md` §1.2). Called by `route`.

use super::answer::{Answer, JSON, plain};
use super::lies;
use super::switches::{ClientAuthentication, IssuerParameter, Pkce, Switches};
use super::world::World;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;

/// The document as it is told at the moment.
pub(super) fn told(world: &World, switches: &Switches) -> String {
    let honest = document(&world.base, switches);
    if !lies::touch_discovery(switches) {
        return honest;
    }
    let Ok(Value::Object(mut members)) = serde_json::from_str(&honest) else { return honest };
    lies::about_discovery(switches, &mut members, &world.facts(switches, None, None));
    Value::Object(members).to_string()
}

/// The key set as it is told at the moment.
pub(super) fn keys(world: &World, switches: &Switches) -> String {
    let ring = world.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    if !lies::touch_keys(switches) {
        return ring.jwks(switches.jwks_alg);
    }
    let mut keys = ring.values();
    drop(ring);
    lies::about_keys(switches, &mut keys, &world.facts(switches, None, None));
    serde_json::json!({ "keys": keys }).to_string()
}

/// The names of the keys published, the signing one first.
pub(super) fn kids(world: &World) -> Vec<String> {
    let ring = world.keys.read().unwrap_or_else(std::sync::PoisonError::into_inner);
    ring.kids().map(str::to_owned).collect()
}

/// The document for `base`, byte for byte as orcid.org printed its own in October 2026: Jackson's pretty
/// printer (a space on both sides of the colon, arrays on one line), `issuer` last, no final line break.
///
/// It leaves out revocation, PKCE and client credentials, because ORCID's does; the switches that add members
/// add them before `issuer`.
pub(super) fn document(base: &str, switches: &Switches) -> String {
    let text = |value: String| format!("\"{value}\"");
    let list = |values: &[&str]| {
        let quoted: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
        format!("[ {} ]", quoted.join(", "))
    };
    let basic = switches.client_auth == ClientAuthentication::Basic;
    let authentication = if basic { "client_secret_basic" } else { "client_secret_post" };
    let mut fields = vec![
        ("token_endpoint_auth_signing_alg_values_supported", list(&["RS256"])),
        ("id_token_signing_alg_values_supported", list(&["RS256"])),
        ("userinfo_endpoint", text(format!("{base}/oauth/userinfo"))),
        ("authorization_endpoint", text(format!("{base}/oauth/authorize"))),
        ("token_endpoint", text(format!("{base}/oauth/token"))),
        ("jwks_uri", text(format!("{base}/oauth/jwks"))),
        ("claims_supported", list(&["family_name", "given_name", "name", "auth_time", "iss", "sub"])),
        ("scopes_supported", list(&["openid"])),
        ("subject_types_supported", list(&["public"])),
        ("response_types_supported", list(&["code", "id_token", "id_token token"])),
        ("claims_parameter_supported", "false".to_owned()),
        ("token_endpoint_auth_methods_supported", list(&[authentication])),
        ("grant_types_supported", list(&["authorization_code", "implicit", "refresh_token"])),
    ];
    match switches.pkce {
        Pkce::Absent => {}
        Pkce::S256 => fields.push(("code_challenge_methods_supported", list(&["S256"]))),
        Pkce::Plain => fields.push(("code_challenge_methods_supported", list(&["plain"]))),
    }
    if switches.iss_parameter == IssuerParameter::Promised {
        fields.push(("authorization_response_iss_parameter_supported", "true".to_owned()));
    }
    fields.push(("issuer", text(base.to_owned())));
    let lines: Vec<String> = fields.iter().map(|(key, value)| format!("  \"{key}\" : {value}")).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// The key that is not published, under the names of those that are: for whoever looks where a lie of the id_token
/// points to.
pub(super) fn foreign_keys(world: &World) -> String {
    let named = kids(world).into_iter().filter_map(|kid| {
        let mut foreign = world.foreign_key()?.jwk();
        foreign["kid"] = kid.into();
        Some(foreign)
    });
    serde_json::json!({ "keys": named.collect::<Vec<_>>() }).to_string()
}

/// Adds what ORCID adds on discovery, JWKS and userinfo: the `Origin` echoed, credentials allowed, no `Vary`.
pub(super) fn with_cors(mut answer: Answer, request: &HeaderMap) -> Answer {
    let headers = answer.headers_mut();
    if let Some(origin) = request.get(header::ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    answer
}

/// The answer to a preflight on those three paths: empty, with ORCID's fixed lists.
pub(super) fn preflight(request: &HeaderMap) -> Answer {
    let mut answer = with_cors(plain(StatusCode::OK, JSON, String::new()), request);
    let headers = answer.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, PUT, DELETE"));
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-Requested-With,Origin,Content-Type,Accept,Authorization,x-csrf-token,x-xsrf-token"),
    );
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_length_and_the_ends_of_the_captured_one() {
        let text = document("https://orcid.org", &Switches::default());
        // `orcid.md` §1.2: the capture of 2026-10-01 had 826 bytes.
        assert_eq!(text.len(), 826);
        assert!(text.starts_with("{\n  \"token_endpoint_auth_signing_alg_values_supported\" : [ \"RS256\" ],\n"));
        assert!(text.ends_with(",\n  \"issuer\" : \"https://orcid.org\"\n}"));
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
