//! An ID token's way from text to believed claims (OpenID Connect Core §3.1.3.7; `attacks.md` T49-T60).
//! Our own verifier: the library's fails on ORCID's string `amr` and skips `iat`, `azp`, `at_hash`.

use super::jwks::{KeySet, NotVerified};
use super::settings::SigningAlgorithm;
use super::trouble::Check;
use crate::domain::{Mfa, UnixTime};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::Nonce;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The longest token looked at; ORCID's are under two KiB.
const MAX_TOKEN: usize = 32 * 1024;
const MAX_KID: usize = 256;

/// A token answers a code that is minutes old at most (`orcid.md` §3.3); a much older one is a replay
/// or a broken clock.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// The last second of the year 9999: no honest date lies beyond, and sums stay far from overflow (T52).
const LAST_DATE: i64 = 253_402_300_799;

/// A compact JWS whose header has been read and found acceptable; its signature has not been looked at.
pub(super) struct SignedToken<'a> {
    algorithm: SigningAlgorithm,
    kid: Option<String>,
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

/// Only what decides something. `jku`, `x5u`, `jwk` and their like are not even read (T59).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    /// Present, whatever it lists: we understand no critical extension (RFC 7515 §4.1.11).
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// What the token must say, besides being signed.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// `None` at a renewal: there is no sign-in to answer (Core §12.2).
    pub(super) nonce: Option<&'a str>,
    pub(super) access_token: &'a str,
    pub(super) leeway: Duration,
    pub(super) now: UnixTime,
}

/// The claims of a token that passed every check. `subject` is still a text.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) name: Option<String>,
    pub(super) given_name: Option<String>,
    pub(super) family_name: Option<String>,
    pub(super) mfa: Mfa,
}

/// The claims as sent. Dates, names and `amr` are taken as they come and judged below, so that one odd
/// claim does not hide which rule was broken.
#[derive(Deserialize)]
struct RawClaims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    azp: Option<String>,
    exp: Option<Value>,
    iat: Option<Value>,
    nbf: Option<Value>,
    nonce: Option<String>,
    at_hash: Option<String>,
    amr: Option<Value>,
    name: Option<Value>,
    given_name: Option<Value>,
    family_name: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'a> SignedToken<'a> {
    /// Takes a token apart. Refuses every algorithm that is not in `allowed`: `none` and HMAC cannot
    /// be in that list by its type (T49).
    pub(super) fn read(token: &'a str, allowed: &[SigningAlgorithm]) -> Result<Self, Check> {
        if token.len() > MAX_TOKEN {
            return Err(Check::IdTokenShape);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Check::IdTokenShape)?;
        let (header, payload) = message.split_once('.').ok_or(Check::IdTokenShape)?;
        if payload.contains('.') {
            return Err(Check::IdTokenShape);
        }
        let header = decode(header).ok_or(Check::IdTokenShape)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Check::Header)?;
        let foreign_type = header.typ.is_some_and(|typ| !typ.eq_ignore_ascii_case("jwt"));
        // `typ` keeps access and logout tokens of the same issuer apart (RFC 8725 §3.11).
        if header.crit || foreign_type || header.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(Check::Header);
        }
        let algorithm = *allowed.iter().find(|one| one.as_str() == header.alg).ok_or(Check::Algorithm)?;
        let signature = decode(signature).ok_or(Check::IdTokenShape)?;
        Ok(Self { algorithm, kid: header.kid, message, payload, signature })
    }

    /// Verifies the signature with a published key.
    pub(super) fn verify(&self, keys: &KeySet) -> Result<(), NotVerified> {
        keys.verify(self.algorithm, self.kid.as_deref(), self.message.as_bytes(), &self.signature)
    }

    /// Reads and checks the claims. Call it after [`SignedToken::verify`] said yes.
    pub(super) fn claims(&self, expected: &Expected<'_>) -> Result<Claims, Check> {
        let payload = decode(self.payload).ok_or(Check::IdTokenShape)?;
        let claims: RawClaims = serde_json::from_slice(&payload).map_err(|_| Check::Claims)?;
        if claims.iss.as_deref() != Some(expected.issuer) {
            return Err(Check::Issuer);
        }
        check_audience(&claims, expected.client_id)?;
        check_dates(&claims, expected)?;
        if let Some(nonce) = expected.nonce {
            let sent = claims.nonce.as_deref().ok_or(Check::Nonce)?;
            if !same_secret(sent, nonce) {
                return Err(Check::Nonce);
            }
        }
        if let Some(at_hash) = &claims.at_hash
            && !same_secret(at_hash, &access_token_hash(self.algorithm, expected.access_token))
        {
            return Err(Check::AccessTokenHash);
        }
        Ok(Claims {
            subject: claims.sub.ok_or(Check::Subject)?,
            mfa: mfa(claims.amr.as_ref()),
            name: claims.name.as_ref().and_then(person_name),
            given_name: claims.given_name.as_ref().and_then(person_name),
            family_name: claims.family_name.as_ref().and_then(person_name),
        })
    }
}

/// A name as a provider sends it: `null`, blank or padded when it is not public (`orcid.md` §3.2).
/// Control characters go, and what exceeds 300 characters: a name is shown, never compared.
pub(super) fn person_name(sent: &Value) -> Option<String> {
    let clean: String = sent.as_str()?.chars().filter(|character| !character.is_control()).collect();
    let short: String = clean.trim().chars().take(300).collect();
    (!short.is_empty()).then_some(short)
}

fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

/// Us, and nobody else: no further audience is trusted here, so a token that names one is refused
/// even if it names us too (Core §3.1.3.7 rules 3 to 5; T51).
fn check_audience(claims: &RawClaims, client_id: &str) -> Result<(), Check> {
    let ours = match &claims.aud {
        Some(OneOrMany::One(audience)) => audience == client_id,
        Some(OneOrMany::Many(audiences)) => {
            !audiences.is_empty() && audiences.iter().all(|audience| audience == client_id)
        }
        None => false,
    };
    if !ours {
        return Err(Check::Audience);
    }
    match &claims.azp {
        Some(party) if party != client_id => Err(Check::AuthorizedParty),
        _ => Ok(()),
    }
}

fn check_dates(claims: &RawClaims, expected: &Expected<'_>) -> Result<(), Check> {
    let leeway = i64::try_from(expected.leeway.as_secs()).unwrap_or(i64::MAX);
    let now = expected.now.0;
    let expires = claims.exp.as_ref().and_then(numeric_date).ok_or(Check::Expiry)?;
    if expires.saturating_add(leeway) <= now {
        return Err(Check::Expiry);
    }
    let issued = claims.iat.as_ref().and_then(numeric_date).ok_or(Check::IssuedAt)?;
    let oldest = now.saturating_sub(leeway).saturating_sub(i64::try_from(MAX_AGE.as_secs()).unwrap_or(i64::MAX));
    if issued > now.saturating_add(leeway) || issued < oldest {
        return Err(Check::IssuedAt);
    }
    match claims.nbf.as_ref().map(numeric_date) {
        Some(None) => Err(Check::NotBefore),
        Some(Some(from)) if from > now.saturating_add(leeway) => Err(Check::NotBefore),
        _ => Ok(()),
    }
}

/// Seconds since 1970, a fraction allowed (RFC 7519 §2); not negative, not after the year 9999, not a text.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range is checked first")]
fn numeric_date(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    let seconds = match number.as_i64() {
        Some(whole) => whole,
        None => number.as_f64().filter(|date| (0.0..=LAST_DATE as f64).contains(date))? as i64,
    };
    (0..=LAST_DATE).contains(&seconds).then_some(seconds)
}

/// Left half of the hash that belongs to the algorithm, base64url (Core §3.1.3.6). An algorithm
/// without a known hash cannot come here, so there is nothing to fail open (T56, CVE-2026-28498).
fn access_token_hash(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let hash = match algorithm {
        SigningAlgorithm::Rs256 | SigningAlgorithm::Es256 => &ring::digest::SHA256,
    };
    let digest = ring::digest::digest(hash, access_token.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..digest.as_ref().len() / 2])
}

/// Compares without telling by its duration where two texts differ: the library's `Nonce` compares
/// hashes (its feature `timing-resistant-secret-traits`).
fn same_secret(one: &str, other: &str) -> bool {
    Nonce::new(one.to_owned()) == Nonce::new(other.to_owned())
}

/// ORCID sends a text, the standard wants a list (`orcid.md` §1.4); anything else says nothing (T60).
fn mfa(amr: Option<&Value>) -> Mfa {
    let methods: Vec<&str> = match amr {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if methods.contains(&"mfa") {
        Mfa::Enabled
    } else if methods.contains(&"pwd") {
        Mfa::PasswordOnly
    } else {
        Mfa::Unknown
    }
}
