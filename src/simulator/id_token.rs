//! The id_token as ORCID makes it (`orcid.md` §1.4), or as a lie has it. Called by the token endpoint and the
//! implicit flow.

use super::clients::SimulatedClient;
use super::lies::{self, Draft, Facts, Signing};
use super::people::Person;
use super::switches::{Amr as AmrForm, Switches};
use super::world::World;
use crate::domain::{OrcidId, UnixTime};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;
use serde_json::Value;
use std::sync::PoisonError;

/// What is known about the sign-in that is told of.
pub(super) struct Occasion<'a> {
    pub(super) client: &'a SimulatedClient,
    /// `None` in the implicit flow when no access token was asked for.
    pub(super) access_token: Option<&'a str>,
    pub(super) nonce: Option<&'a str>,
    pub(super) switches: &'a Switches,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
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

/// The signed token for `person`, as ORCID makes it or as the lies being told have it. `None` only if signing
/// itself fails.
pub(super) fn signed(world: &World, person: &Person, on: &Occasion<'_>) -> Option<String> {
    let signed_in = world.books().records.get(&person.orcid).and_then(|record| record.signed_in);
    let claims = claims(world, person, on, signed_in.unwrap_or(on.now))?;
    sign(world, &claims, on.switches, &world.facts(on.switches, Some(person), Some(on.client)))
}

/// The claims as JSON text. `auth_time` is the last sign-in of the record, not of this browser.
fn claims(world: &World, person: &Person, on: &Occasion<'_>, auth_time: UnixTime) -> Option<String> {
    let factor = if person.mfa { "mfa" } else { "pwd" };
    // Member clients alone are told about the second factor.
    let amr = match on.switches.amr {
        _ if !on.client.member => None,
        AmrForm::Text => Some(Amr::Text(factor)),
        AmrForm::List => Some(Amr::List([factor])),
        AmrForm::Absent => None,
    };
    serde_json::to_string(&Claims {
        at_hash: on.access_token.map(at_hash),
        aud: &on.client.id,
        sub: person.orcid,
        auth_time: auth_time.0,
        amr,
        iss: &world.base,
        exp: on.now.0.saturating_add(on.switches.id_token_lifetime.0),
        iat: on.now.0,
        nonce: on.nonce,
        name: person.public_credit_name(),
        given_name: person.public_given(),
        family_name: person.public_family(),
        jti: super::random::uuid(&*world.chance),
    })
    .ok()
}

/// Left half of the access token's SHA-256, base64url (OpenID Connect Core §3.1.3.6).
fn at_hash(access_token: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16])
}

/// Signs `claims` (JSON) as a compact JWS with the header `{"kid":…,"alg":"RS256"}` (`orcid.md` §1.4), or as the
/// lies being told have it. `None` only if the signature itself fails.
fn sign(world: &World, claims: &str, switches: &Switches, facts: &Facts) -> Option<String> {
    let keys = world.keys.read().unwrap_or_else(PoisonError::into_inner);
    let key = keys.signing()?;
    if switches.lies().next().is_none() {
        let message = message(&format!("{{\"kid\":\"{}\",\"alg\":\"RS256\"}}", key.kid()), claims);
        return Some(joined(&message, &key.sign(message.as_bytes())?));
    }
    let header = serde_json::json!({"kid": key.kid(), "alg": "RS256"});
    let (Value::Object(header), Ok(Value::Object(claims))) = (header, serde_json::from_str(claims)) else {
        return None;
    };
    let mut draft = Draft { header, claims, signing: Signing::Usual };
    lies::about_id_token(switches, &mut draft, facts);
    let header = Value::Object(draft.header).to_string();
    let message = message(&header, &Value::Object(draft.claims).to_string());
    let bytes = message.as_bytes();
    let signature = match draft.signing {
        Signing::TwoParts => return Some(message),
        Signing::Nothing => Vec::new(),
        Signing::Usual => key.sign(bytes)?,
        Signing::Hmac(secret) => {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), bytes).as_ref().to_vec()
        }
        Signing::Elliptic => world.elliptic.sign(bytes)?,
        Signing::Foreign => world.foreign_key()?.sign(bytes)?,
        Signing::Broken => {
            let mut signature = key.sign(bytes)?;
            *signature.last_mut()? ^= 1;
            signature
        }
        Signing::OtherClaims => key.sign(self::message(&header, "{}").as_bytes())?,
    };
    Some(joined(&message, &signature))
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn joined(message: &str, signature: &[u8]) -> String {
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}
