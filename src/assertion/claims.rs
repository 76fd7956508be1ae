//! What an assertion says (RFC 7519 §4, OpenID Connect Core §5.1). Called by [`super::Assertions`].

use crate::domain::{Identity, SiteName, UnixTime};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Names longer than this, in bytes, are left out: header space at an app is scarce (T13).
const LONGEST_NAME: usize = 512;
/// Scopes beyond this many are left out; ORCID has six.
const MOST_SCOPES: usize = 32;

pub(super) struct Claims<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) identity: &'a Identity,
    pub(super) issued: UnixTime,
    pub(super) expires: UnixTime,
    pub(super) jti: [u8; 16],
    pub(super) sid: String,
}

impl Claims<'_> {
    pub(super) fn to_json(&self) -> Vec<u8> {
        let mut claims = Map::new();
        let mut text = |name: &str, value: String| claims.insert(name.to_owned(), Value::String(value));
        text("iss", self.issuer.to_owned());
        text("sub", self.identity.subject.to_string());
        text("aud", self.audience.to_owned());
        text("jti", URL_SAFE_NO_PAD.encode(self.jti));
        text("sid", self.sid.clone());
        let names = [
            ("name", &self.identity.name),
            ("given_name", &self.identity.given_name),
            ("family_name", &self.identity.family_name),
        ];
        for (claim, name) in names {
            if let Some(name) = name.as_ref().filter(|name| !name.is_empty() && name.len() <= LONGEST_NAME) {
                text(claim, name.clone());
            }
        }
        if let Some(uri) = self.identity.uri() {
            text("orcid", uri);
        }
        let scopes = self.identity.scopes.iter().take(MOST_SCOPES).map(|scope| scope.as_str().into()).collect();
        claims.insert("scopes".to_owned(), Value::Array(scopes));
        for (claim, time) in [("iat", self.issued), ("exp", self.expires), ("auth_time", self.identity.signed_in_at)] {
            claims.insert(claim.to_owned(), time.0.into());
        }
        Value::Object(claims).to_string().into_bytes()
    }
}

/// A name for the session that two sites cannot compare and nobody can turn back into the session's
/// stored hash.
pub(super) fn session_id(session_binding: &[u8; 32], site: &SiteName) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(b"lychgate assertion sid\0");
    context.update(session_binding);
    context.update(site.as_str().as_bytes());
    URL_SAFE_NO_PAD.encode(&context.finish().as_ref()[..16])
}
