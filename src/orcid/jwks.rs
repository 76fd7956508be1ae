//! [`KeySet`]: the public keys a provider publishes, reduced to those an ID token may be signed with
//! (RFC 7517). `directory` fetches it, `signed_token` verifies with it; the verifying is ring's.

use super::OrcidTrouble;
use super::settings::SigningAlgorithm;
use super::trouble::{Defect, Endpoint};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::core::{
    CoreJsonWebKey, CoreJsonWebKeySet, CoreJsonWebKeyType, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm,
};
use openidconnect::{JsonWebKey, JsonWebKeyAlgorithm};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};

/// The most keys kept, and the largest document read; ORCID publishes one key in half a KiB.
const MAX_KEYS: usize = 64;
const MAX_DOCUMENT: usize = 256 * 1024;

/// The most keys tried for one token (`attacks.md` D1 row 7, T58).
const MAX_TRIES: usize = 4;

/// The usable keys of one provider.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<VerifyingKey>,
}

#[derive(Debug)]
struct VerifyingKey {
    kid: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed point, 65 bytes.
    P256(Vec<u8>),
}

/// Why no key confirmed a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotVerified {
    /// No published key answers to the token's `kid`, or the token names none and no key fits:
    /// fetching the set again may help.
    NoKey,
    /// A key was found and says no.
    Wrong,
}

impl KeySet {
    /// Reads a JWK set. Keys that cannot verify `allowed` algorithms are left out: other types, keys
    /// for encryption, RSA below 2048 bits, other curves, and keys published with their private half
    /// (whoever reads the set could sign with them).
    pub(super) fn read(document: &[u8], allowed: &[SigningAlgorithm]) -> Result<Self, OrcidTrouble> {
        let unusable = |defect| OrcidTrouble::Unusable { endpoint: Endpoint::Keys, defect };
        if document.len() > MAX_DOCUMENT {
            return Err(unusable(Defect::TooLarge));
        }
        let set: CoreJsonWebKeySet = serde_json::from_slice(document).map_err(|_| unusable(Defect::Malformed))?;
        if set.keys().len() > MAX_KEYS {
            return Err(unusable(Defect::TooManyKeys));
        }
        let keys: Vec<_> = set.keys().iter().filter_map(|key| usable(key, allowed)).collect();
        if keys.is_empty() { Err(unusable(Defect::NoUsableKey)) } else { Ok(Self { keys }) }
    }

    /// Verifies `signature` over `message`. With a `kid`, keys of that id are tried; if there are
    /// none, keys without an id; without a `kid`, all keys of the right type. Never more than four.
    pub(super) fn verify(
        &self,
        algorithm: SigningAlgorithm,
        kid: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), NotVerified> {
        let named = |key: &&VerifyingKey| key.kid.as_deref() == kid && key.fits(algorithm);
        let nameless = |key: &&VerifyingKey| key.kid.is_none() && key.fits(algorithm);
        let mut candidates: Vec<&VerifyingKey> = match kid {
            Some(_) => self.keys.iter().filter(named).collect(),
            None => self.keys.iter().filter(|key| key.fits(algorithm)).collect(),
        };
        let certain = kid.is_some() && !candidates.is_empty();
        if kid.is_some() && candidates.is_empty() {
            candidates = self.keys.iter().filter(nameless).collect();
        }
        if candidates.iter().take(MAX_TRIES).any(|key| key.verify(message, signature)) {
            return Ok(());
        }
        // Only a key found by its very id says no; a guess may have met an outdated set.
        if certain { Err(NotVerified::Wrong) } else { Err(NotVerified::NoKey) }
    }
}

impl VerifyingKey {
    fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        matches!(
            (&self.material, algorithm),
            (Material::Rsa { .. }, SigningAlgorithm::Rs256) | (Material::P256(_), SigningAlgorithm::Es256)
        )
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
        }
    }
}

/// The key in ring's terms, if an ID token may be signed with it.
fn usable(key: &CoreJsonWebKey, allowed: &[SigningAlgorithm]) -> Option<VerifyingKey> {
    if !matches!(key.key_use(), None | Some(CoreJsonWebKeyUse::Signature)) {
        return None;
    }
    let (algorithm, declared) = match key.key_type() {
        CoreJsonWebKeyType::RSA => (SigningAlgorithm::Rs256, CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256),
        CoreJsonWebKeyType::EllipticCurve => (SigningAlgorithm::Es256, CoreJwsSigningAlgorithm::EcdsaP256Sha256),
        _ => return None,
    };
    // ORCID's own key names no algorithm (`orcid.md` §1.3): then any allowed one of its type will do.
    let fits = match key.signing_alg() {
        JsonWebKeyAlgorithm::Unspecified => true,
        JsonWebKeyAlgorithm::Algorithm(named) => *named == declared,
        JsonWebKeyAlgorithm::Unsupported => false,
    };
    if !fits || !allowed.contains(&algorithm) {
        return None;
    }
    // The library keeps the numbers to itself, but writes them out as they were published.
    let members = serde_json::to_value(key).ok()?;
    if members.get("d").is_some() || members.get("k").is_some() {
        return None;
    }
    let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(members.get(name)?.as_str()?).ok();
    let material = match algorithm {
        SigningAlgorithm::Rs256 => rsa(number("n")?, number("e")?)?,
        SigningAlgorithm::Es256 if members.get("crv")? == "P-256" => p256(&number("x")?, &number("y")?)?,
        SigningAlgorithm::Es256 => return None,
    };
    Some(VerifyingKey { kid: key.key_id().map(|kid| kid.to_string()), material })
}

fn rsa(n: Vec<u8>, e: Vec<u8>) -> Option<Material> {
    let strip = |number: Vec<u8>| number.into_iter().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    let (n, e) = (strip(n), strip(e));
    let bits = (n.len() * 8).checked_sub(usize::try_from(n.first()?.leading_zeros()).ok()?)?;
    ((2048..=8192).contains(&bits) && !e.is_empty()).then_some(Material::Rsa { n, e })
}

fn p256(x: &[u8], y: &[u8]) -> Option<Material> {
    (x.len() == 32 && y.len() == 32).then(|| Material::P256([&[4u8], x, y].concat()))
}
