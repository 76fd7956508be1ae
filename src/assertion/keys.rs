//! [`AssertionKeys`]: the key that signs now, the next one already published, and retiring ones that
//! still verify (RFC 7517, RFC 7518 §3.4). Built by `app` from what the vault keeps.

use super::AssertionFault;
use crate::domain::UnixTime;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// A new key is published this long before it signs, so that apps that cache the key set know it.
pub const PUBLISH_AHEAD: Duration = Duration::from_secs(60 * 60);
/// How long a replaced key stays published: longer than any assertion and any sane cache.
pub const VERIFIES_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// One signing key as the vault keeps it.
#[derive(Clone)]
pub struct KeyMaterial {
    /// The RFC 7638 thumbprint, as [`generate_key`] makes it.
    pub kid: String,
    /// A P-256 key pair in PKCS #8.
    pub pkcs8: Zeroizing<Vec<u8>>,
    pub created: UnixTime,
    /// When it must no longer be published; `None` while no successor exists.
    pub retire_at: Option<UnixTime>,
}

impl fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyMaterial").field("kid", &self.kid).field("created", &self.created).finish_non_exhaustive()
    }
}

/// A fresh key pair. ECDSA keys and nonces come from the operating system inside `ring`, which takes
/// no other source; everything else random is an argument.
pub fn generate_key(now: UnixTime) -> Result<KeyMaterial, AssertionFault> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map_err(|_| AssertionFault::Signing)?;
    let pkcs8 = Zeroizing::new(document.as_ref().to_vec());
    let pair = read_pair(&pkcs8)?;
    let (x, y) = coordinates(&pair);
    Ok(KeyMaterial { kid: thumbprint(&x, &y), pkcs8, created: now, retire_at: None })
}

/// What has to happen to the stored keys; decided here, done by `app`.
#[derive(Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Make and store a new key, which signs from an hour later on.
    pub make: bool,
    /// Give these keys this end.
    pub retire: Vec<(String, UnixTime)>,
    /// Drop these keys.
    pub drop: Vec<String>,
}

/// Looks at all stored keys; each signs for `signs_for`. Asked at the start and a few times a day.
pub fn plan_rotation(keys: &[KeyMaterial], now: UnixTime, signs_for: Duration) -> Rotation {
    let drop =
        keys.iter().filter(|key| key.retire_at.is_some_and(|end| end <= now)).map(|key| key.kid.clone()).collect();
    let mut open: Vec<&KeyMaterial> = keys.iter().filter(|key| key.retire_at.is_none()).collect();
    open.sort_by_key(|key| key.created);
    let newest = open.pop();
    // A key made in the future of a clock that was set back counts as new.
    let make = newest.is_none_or(|key| now.since(key.created) >= signs_for);
    let retire = match newest {
        Some(newest) if now.since(newest.created) >= PUBLISH_AHEAD => {
            open.into_iter().map(|key| (key.kid.clone(), now.plus(VERIFIES_AFTER))).collect()
        }
        _ => Vec::new(),
    };
    Rotation { make, retire, drop }
}

struct Key {
    kid: String,
    pair: EcdsaKeyPair,
    created: UnixTime,
    retire_at: Option<UnixTime>,
    x: String,
    y: String,
}

/// A set of keys that overlap. Immutable: a rotation makes a new set.
pub struct AssertionKeys {
    /// Newest first.
    keys: Vec<Key>,
    random: SystemRandom,
}

impl fmt::Debug for AssertionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}

impl AssertionKeys {
    /// Fails with [`AssertionFault::BadKey`] if a key is no P-256 pair, and [`AssertionFault::NoKey`]
    /// for an empty set: a gate that should sign and cannot must not start.
    pub fn new(material: &[KeyMaterial]) -> Result<Self, AssertionFault> {
        let mut keys = Vec::with_capacity(material.len());
        for stored in material {
            let pair = read_pair(&stored.pkcs8)?;
            let (x, y) = coordinates(&pair);
            let (kid, created, retire_at) = (stored.kid.clone(), stored.created, stored.retire_at);
            keys.push(Key { kid, pair, created, retire_at, x, y });
        }
        if keys.is_empty() {
            return Err(AssertionFault::NoKey);
        }
        keys.sort_by_key(|key| std::cmp::Reverse(key.created));
        Ok(Self { keys, random: SystemRandom::new() })
    }

    /// The newest key that apps have had time to learn; if there is none, the oldest.
    fn signer(&self, now: UnixTime) -> Result<&Key, AssertionFault> {
        let usable = || self.keys.iter().filter(|key| key.retire_at.is_none_or(|end| end > now));
        usable()
            .find(|key| key.created.plus(PUBLISH_AHEAD) <= now)
            .or_else(|| usable().next_back())
            .or_else(|| self.keys.first())
            .ok_or(AssertionFault::NoKey)
    }

    /// Signs a payload: header, payload and signature, compact (RFC 7515 §7.1).
    pub(super) fn sign(&self, payload: &[u8], now: UnixTime) -> Result<String, AssertionFault> {
        let key = self.signer(now)?;
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": key.kid }).to_string();
        let mut compact = URL_SAFE_NO_PAD.encode(header);
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut compact);
        let signature = key.pair.sign(&self.random, compact.as_bytes()).map_err(|_| AssertionFault::Signing)?;
        compact.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut compact);
        Ok(compact)
    }

    /// All keys that may still verify something (RFC 7517 §5, RFC 7518 §6.2).
    pub fn jwks(&self, now: UnixTime) -> serde_json::Value {
        let published = self.keys.iter().filter(|key| key.retire_at.is_none_or(|end| end > now));
        let keys: Vec<_> = published
            .map(|key| {
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.kid, "x": key.x, "y": key.y })
            })
            .collect();
        json!({ "keys": keys })
    }
}

fn read_pair(pkcs8: &[u8]) -> Result<EcdsaKeyPair, AssertionFault> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, &SystemRandom::new())
        .map_err(|_| AssertionFault::BadKey)
}

/// The two halves of the uncompressed point (SEC 1 §2.3.3), base64url.
fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    let point = pair.public_key().as_ref();
    let (x, y) = point[1..].split_at((point.len() - 1) / 2);
    (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
}

/// RFC 7638 §3: the members that matter, in lexicographic order, without spaces.
fn thumbprint(x: &str, y: &str) -> String {
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes()))
}
