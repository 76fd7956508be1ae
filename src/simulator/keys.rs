//! The signing keys: RSA 2048, RS256, published as a JWKS shaped like ORCID's (`orcid.md` §1.3); and the
//! elliptic key that some lies need. Used by the id_token, the JWKS endpoint and key rotation.

use crate::domain::Chance;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use serde_json::{Value, json};
use std::fmt;
use std::io;
use zeroize::Zeroizing;

/// Most keys published at once: the one that signs and the one it replaced.
const MOST_KEYS: usize = 2;

/// A PKCS #8 RSA private key as PEM. Making one takes a moment, so tests share one.
#[derive(Clone)]
pub struct SigningKeyPem(Zeroizing<String>);

impl SigningKeyPem {
    /// A fresh 2048-bit key. Blocks for tenths of a second (seconds in an unoptimised build).
    pub fn generate(chance: &dyn Chance) -> io::Result<Self> {
        let key = rsa::RsaPrivateKey::new(&mut Dice(chance), 2048).map_err(io::Error::other)?;
        Ok(Self(key.to_pkcs8_pem(LineEnding::LF).map_err(io::Error::other)?))
    }

    /// Takes a PEM text (`BEGIN PRIVATE KEY`); whether it is a usable key shows when the simulator starts.
    pub fn from_pem(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The PEM text, to be kept and given to [`SigningKeyPem::from_pem`].
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SigningKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeyPem(…)")
    }
}

/// [`Chance`] in the shape the `rsa` crate asks for.
struct Dice<'a>(&'a dyn Chance);

impl rand08::RngCore for Dice<'_> {
    fn next_u32(&mut self) -> u32 {
        u32::from_le_bytes(self.0.bytes())
    }

    fn next_u64(&mut self) -> u64 {
        u64::from_le_bytes(self.0.bytes())
    }

    fn fill_bytes(&mut self, into: &mut [u8]) {
        self.0.fill(into);
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), rand08::Error> {
        self.0.fill(into);
        Ok(())
    }
}

impl rand08::CryptoRng for Dice<'_> {}

/// One key, ready to sign.
pub(super) struct SigningKey {
    kid: String,
    pair: RsaKeyPair,
    modulus: String,
    public_pem: String,
    exponent: String,
}

impl SigningKey {
    pub(super) fn load(pem: &SigningKeyPem) -> io::Result<Self> {
        let unusable = |why: String| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("the simulator's signing key cannot be used: {why}"))
        };
        let key = rsa::RsaPrivateKey::from_pkcs8_pem(pem.expose()).map_err(|error| unusable(error.to_string()))?;
        let der = key.to_pkcs8_der().map_err(|error| unusable(error.to_string()))?;
        let pair = RsaKeyPair::from_pkcs8(der.as_bytes()).map_err(|error| unusable(error.to_string()))?;
        let parts = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
        Ok(Self {
            kid: kid_of(&parts.n),
            public_pem: key
                .to_public_key()
                .to_public_key_pem(LineEnding::LF)
                .map_err(|error| unusable(error.to_string()))?,
            modulus: URL_SAFE_NO_PAD.encode(&parts.n),
            exponent: URL_SAFE_NO_PAD.encode(&parts.e),
            pair,
        })
    }
}

impl SigningKey {
    /// The public half, as the JWKS has it.
    pub(super) fn jwk(&self) -> Value {
        json!({"kty": "RSA", "e": self.exponent, "use": "sig", "kid": self.kid, "n": self.modulus})
    }

    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    pub(super) fn modulus(&self) -> &str {
        &self.modulus
    }

    /// The public half as `BEGIN PUBLIC KEY`.
    pub(super) fn public_pem(&self) -> &str {
        &self.public_pem
    }

    /// RS256 over `message`. `None` only if the signature itself fails.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        // PKCS #1 v1.5 is deterministic; ring wants a generator for blinding only.
        let rng = ring::rand::SystemRandom::new();
        self.pair.sign(&RSA_PKCS1_SHA256, &rng, message, &mut signature).ok()?;
        Some(signature)
    }
}

/// A P-256 key, for lies: ORCID has none.
pub(super) struct EllipticKey {
    pair: EcdsaKeyPair,
    jwk: Value,
}

impl EllipticKey {
    pub(super) fn generate() -> io::Result<Self> {
        let rng = ring::rand::SystemRandom::new();
        let failed = |_| io::Error::other("an elliptic key could not be made");
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &rng)
            .map_err(|error| io::Error::other(error.to_string()))?;
        // An uncompressed point: one byte, then both coordinates.
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let jwk = json!({"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "elliptic", "x": x, "y": y});
        Ok(Self { pair, jwk })
    }

    pub(super) fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// ES256 over `message`. `None` only if the signature itself fails.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let rng = ring::rand::SystemRandom::new();
        self.pair.sign(&rng, message).ok().map(|signature| signature.as_ref().to_vec())
    }
}

/// `sim-orcid-org-` and 32 lower-case alphanumerics, after the pattern of ORCID's own (`orcid.md` §1.3);
/// a hash of the key, so that a shared key keeps its name.
fn kid_of(modulus: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, modulus);
    let mut kid = String::from("sim-orcid-org-");
    for byte in &hash.as_ref()[..16] {
        kid.push_str(&format!("{byte:02x}"));
    }
    kid
}

/// The published keys, the signing one first.
pub(super) struct KeyRing {
    keys: Vec<SigningKey>,
}

impl KeyRing {
    pub(super) fn new(key: SigningKey) -> Self {
        Self { keys: vec![key] }
    }

    /// `key` signs from now on. With `overlap` the former one stays published, otherwise it is gone at once.
    pub(super) fn rotate(&mut self, key: SigningKey, overlap: bool) {
        self.keys.insert(0, key);
        self.keys.truncate(if overlap { MOST_KEYS } else { 1 });
    }

    /// The JWKS: compact, without `alg` unless asked for (`orcid.md` §1.3, §11 quirk 3).
    pub(super) fn jwks(&self, with_alg: bool) -> String {
        let alg = if with_alg { "\"alg\":\"RS256\"," } else { "" };
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|key| {
                format!(
                    "{{\"kty\":\"RSA\",\"e\":\"{}\",\"use\":\"sig\",\"kid\":\"{}\",{alg}\"n\":\"{}\"}}",
                    key.exponent, key.kid, key.modulus
                )
            })
            .collect();
        format!("{{\"keys\":[{}]}}", keys.join(","))
    }

    /// The keys as values, for lies to work on.
    pub(super) fn values(&self) -> Vec<Value> {
        self.keys.iter().map(SigningKey::jwk).collect()
    }

    /// The names of the keys, the signing one first.
    pub(super) fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(SigningKey::kid)
    }

    /// The key that signs.
    pub(super) fn signing(&self) -> Option<&SigningKey> {
        self.keys.first()
    }
}
