//! What an ID token claims, and which of it is believed (OpenID Connect Core §3.1.3.7; `attacks.md` T49-T60).
//! Our own verifier: the library's fails on ORCID's string `amr` and skips `iat`, `azp`, `at_hash`.

use super::claims::{OneOrMany, Watch, check_audience, is_id, person_name};
use super::settings::SigningAlgorithm;
use super::signed_token::{SignedToken, present};
use super::trouble::Check;
use crate::domain::{Mfa, UnixTime};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::Nonce;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// A token answers a code that is minutes old at most (`orcid.md` §3.3); a much older one is a replay
/// or a broken clock.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// What the token must say, besides being signed.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    /// `None` at a renewal: there is no sign-in to answer (Core §12.2).
    pub(super) nonce: Option<&'a str>,
    pub(super) access_token: &'a str,
    pub(super) watch: Watch,
    /// The person was told at that moment to sign in anew.
    pub(super) signed_in_since: Option<UnixTime>,
    /// The claim that holds the iD, where that is not `sub`.
    pub(super) subject_claim: Option<&'a str>,
}

/// The claims of a token that passed every check. `subject` is still a text.
#[derive(Debug)]
pub(super) struct Claims {
    /// `sub`, as sent.
    pub(super) subject: String,
    /// The value of the claim that was expected to hold the iD, if one was.
    pub(super) named_by_claim: Option<String>,
    pub(super) sid: Option<String>,
    /// `iat`.
    pub(super) issued: UnixTime,
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
    auth_time: Option<Value>,
    name: Option<Value>,
    given_name: Option<Value>,
    family_name: Option<Value>,
    sid: Option<Value>,
    /// A token that reports an event is no ID token, whatever else it says (RFC 8417 §4.1).
    #[serde(default, deserialize_with = "present")]
    events: bool,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Reads and checks the claims of a token whose signature is right.
pub(super) fn claims(token: &SignedToken<'_>, expected: &Expected<'_>) -> Result<Claims, Check> {
    let claims: RawClaims = token.payload()?;
    if claims.iss.as_deref() != Some(expected.issuer) {
        return Err(Check::Issuer);
    }
    check_audience(claims.aud.as_ref(), claims.azp.as_deref(), expected.client_id)?;
    let watch = expected.watch;
    watch.check_expiry(claims.exp.as_ref().ok_or(Check::Expiry)?)?;
    let issued = watch.check_issued(claims.iat.as_ref(), MAX_AGE)?;
    watch.check_not_before(claims.nbf.as_ref())?;
    if claims.events {
        return Err(Check::OtherKind);
    }
    if let Some(since) = expected.signed_in_since {
        watch.check_signed_in(claims.auth_time.as_ref(), since)?;
    }
    if let Some(nonce) = expected.nonce {
        let sent = claims.nonce.as_deref().ok_or(Check::Nonce)?;
        if !same_secret(sent, nonce) {
            return Err(Check::Nonce);
        }
    }
    if let Some(at_hash) = &claims.at_hash
        && !same_secret(at_hash, &access_token_hash(token.algorithm, expected.access_token))
    {
        return Err(Check::AccessTokenHash);
    }
    let named_by_claim = match expected.subject_claim {
        Some(name) => Some(only_text(claims.others.get(name)).ok_or(Check::SubjectClaim)?),
        None => None,
    };
    Ok(Claims {
        subject: claims.sub.ok_or(Check::Subject)?,
        named_by_claim,
        // One that could not be compared later is as good as none.
        sid: claims.sid.as_ref().and_then(Value::as_str).filter(|sid| is_id(sid)).map(str::to_owned),
        issued,
        mfa: mfa(claims.amr.as_ref()),
        name: claims.name.as_ref().and_then(person_name),
        given_name: claims.given_name.as_ref().and_then(person_name),
        family_name: claims.family_name.as_ref().and_then(person_name),
    })
}

/// A text, or a list of exactly one, as directories with many-valued attributes send them. Of two iDs
/// nobody could say which one signed in.
fn only_text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Array(many) => match many.as_slice() {
            [Value::String(text)] => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
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
