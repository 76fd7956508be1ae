//! The id_token's claims as ORCID makes them (`orcid.md` §1.4). Called by the token endpoint.

use super::people::Person;
use crate::domain::{Chance, OrcidId, UnixTime};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

/// Life of an id_token in seconds.
pub(super) const LIFETIME: i64 = 86_400;

/// What a token exchange knows about the sign-in.
pub(super) struct Occasion<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// Member clients alone are told about the second factor.
    pub(super) member: bool,
    /// Say `amr` as the standard's array instead of ORCID's string.
    pub(super) amr_array: bool,
    pub(super) access_token: &'a str,
    pub(super) nonce: Option<&'a str>,
    /// Last sign-in of the record.
    pub(super) auth_time: UnixTime,
    pub(super) now: UnixTime,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Amr {
    Text(&'static str),
    List([&'static str; 1]),
}

#[derive(Serialize)]
struct Claims<'a> {
    at_hash: String,
    aud: &'a str,
    sub: OrcidId,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<Amr>,
    iss: &'a str,
    exp: i64,
    iat: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    given_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    family_name: Option<&'a str>,
    jti: String,
}

/// The claims as JSON text, unsigned.
pub(super) fn claims(person: &Person, on: &Occasion<'_>, chance: &dyn Chance) -> Option<String> {
    let factor = if person.mfa { "mfa" } else { "pwd" };
    let told = if on.amr_array { Amr::List([factor]) } else { Amr::Text(factor) };
    let amr = on.member.then_some(told);
    serde_json::to_string(&Claims {
        at_hash: at_hash(on.access_token),
        aud: on.client_id,
        sub: person.orcid,
        auth_time: on.auth_time.0,
        amr,
        iss: on.issuer,
        exp: on.now.0.saturating_add(LIFETIME),
        iat: on.now.0,
        nonce: on.nonce,
        name: person.public_credit_name(),
        given_name: person.public_given(),
        family_name: person.public_family(),
        jti: super::random::uuid(chance),
    })
    .ok()
}

/// Left half of the access token's SHA-256, base64url (OpenID Connect Core §3.1.3.6).
fn at_hash(access_token: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}
