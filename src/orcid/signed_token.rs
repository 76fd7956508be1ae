//! A signed token's way from text to a payload whose signature is right (RFC 7515, RFC 8725): what ID
//! tokens, logout tokens and signed userinfo have in common. What they claim is judged by their own files.

use super::jwks::{KeySet, NotVerified};
use super::settings::SigningAlgorithm;
use super::trouble::Check;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The longest token looked at; ORCID's are under two KiB.
const MAX_TOKEN: usize = 32 * 1024;
const MAX_KID: usize = 256;

/// What a token is taken for. Its header may say so too, and must not say otherwise: `typ` keeps access,
/// ID and logout tokens of one issuer apart (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Id,
    /// Back-Channel Logout §2.4: `logout+jwt` is recommended, `JWT` and nothing are common.
    Logout,
    Userinfo,
}

impl TokenKind {
    fn takes(self, typ: &str) -> bool {
        // RFC 7515 §4.1.9: `application/` may be left out.
        let typ = typ.to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        typ == "jwt" || self == TokenKind::Logout && typ == "logout+jwt"
    }
}

/// A compact JWS whose header has been read and found acceptable; its signature has not been looked at.
pub(super) struct SignedToken<'a> {
    pub(super) algorithm: SigningAlgorithm,
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

/// For a member of which only matters that it is there, be it `null`.
pub(super) fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl<'a> SignedToken<'a> {
    /// Takes a token apart. Refuses every algorithm that is not in `allowed`: `none` and HMAC cannot
    /// be in that list by its type (T49).
    pub(super) fn read(token: &'a str, allowed: &[SigningAlgorithm], kind: TokenKind) -> Result<Self, Check> {
        if token.len() > MAX_TOKEN {
            return Err(Check::Shape);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Check::Shape)?;
        let (header, payload) = message.split_once('.').ok_or(Check::Shape)?;
        if payload.contains('.') {
            return Err(Check::Shape);
        }
        let header = decode(header).ok_or(Check::Shape)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| Check::Header)?;
        let foreign_type = header.typ.is_some_and(|typ| !kind.takes(&typ));
        if header.crit || foreign_type || header.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(Check::Header);
        }
        let algorithm = *allowed.iter().find(|one| one.as_str() == header.alg).ok_or(Check::Algorithm)?;
        let signature = decode(signature).ok_or(Check::Shape)?;
        Ok(Self { algorithm, kid: header.kid, message, payload, signature })
    }

    /// Verifies the signature with a published key.
    pub(super) fn verify(&self, keys: &KeySet) -> Result<(), NotVerified> {
        keys.verify(self.algorithm, self.kid.as_deref(), self.message.as_bytes(), &self.signature)
    }

    /// What it claims. Believe it only after [`SignedToken::verify`] said yes.
    pub(super) fn payload<T: DeserializeOwned>(&self) -> Result<T, Check> {
        let payload = decode(self.payload).ok_or(Check::Shape)?;
        serde_json::from_slice(&payload).map_err(|_| Check::Claims)
    }
}

fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}
