//! [`Cipher`]: the one way anything is encrypted here. Called by `seal`, `data_keys` and `names`.

use crate::domain::Chance;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use std::fmt;
use zeroize::Zeroizing;

/// Random bytes in front of every ciphertext.
pub(super) const NONCE: usize = 24;
/// Bytes a sealed text is longer than the plain one, its header aside.
pub(super) const OVERHEAD: usize = NONCE + 16;

/// A subkey of `secret` for one purpose (HKDF-SHA256, RFC 5869): keys of different purposes say
/// nothing about each other.
pub(super) fn subkey(secret: &[u8], purpose: &str) -> hmac::Key {
    let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"lychgate vault 1");
    let info = [purpose.as_bytes()];
    let key = salt.extract(secret);
    hmac::Key::from(key.expand(&info, hmac::HMAC_SHA256).expect("one hash length can always be expanded"))
}

/// AES-256-GCM with 24 random bytes of nonce: the first half derives a key for this one message, the
/// second is the nonce under it. Twelve random bytes alone would repeat too soon in a vault that
/// rewrites a million records a day for years; twenty-four do not.
pub(super) struct Cipher {
    derive: hmac::Key,
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(…)")
    }
}

impl Cipher {
    pub(super) fn new(secret: &[u8], purpose: &str) -> Self {
        Self { derive: subkey(secret, purpose) }
    }

    fn message_key(&self, nonce: &[u8; NONCE]) -> (LessSafeKey, Nonce) {
        let key = hmac::sign(&self.derive, &nonce[..NONCE_LEN]);
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("an HMAC-SHA256 is as long as an AES-256 key");
        let mut rest = [0; NONCE_LEN];
        rest.copy_from_slice(&nonce[NONCE_LEN..]);
        (LessSafeKey::new(key), Nonce::assume_unique_for_key(rest))
    }

    /// Gives `header ‖ nonce ‖ ciphertext ‖ tag`. The header is authenticated together with `address`,
    /// the place the text belongs to: moved elsewhere it no longer opens (T72).
    pub(super) fn seal(&self, chance: &dyn Chance, header: &[u8], address: &[u8], plain: &[u8]) -> Vec<u8> {
        let nonce = chance.bytes::<NONCE>();
        let (key, last) = self.message_key(&nonce);
        let mut sealed = Vec::with_capacity(header.len() + OVERHEAD + plain.len());
        sealed.extend_from_slice(header);
        sealed.extend_from_slice(&nonce);
        let start = sealed.len();
        sealed.extend_from_slice(plain);
        let tag = key
            .seal_in_place_separate_tag(last, Aad::from(associated(header, address)), &mut sealed[start..])
            .expect("records are far below the limit of 64 GiB");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what follows a header of `header` bytes; `None` when anything about it is not as sealed.
    pub(super) fn open(&self, sealed: &[u8], header: usize, address: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (head, body) = sealed.split_at_checked(header)?;
        let (nonce, body) = body.split_first_chunk::<NONCE>()?;
        let (key, last) = self.message_key(nonce);
        let mut text = Zeroizing::new(body.to_vec());
        let length = key.open_in_place(last, Aad::from(associated(head, address)), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// Header and address with the header's length in front, so that no two pairs read the same.
fn associated(header: &[u8], address: &[u8]) -> Vec<u8> {
    let mut both = Vec::with_capacity(1 + header.len() + address.len());
    both.push(u8::try_from(header.len()).expect("headers have a few dozen bytes"));
    both.extend_from_slice(header);
    both.extend_from_slice(address);
    both
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemChance;

    #[test]
    fn t72_only_the_right_key_header_and_place_open_a_text() {
        let chance = SystemChance::default();
        let cipher = Cipher::new(&[7; 32], "test");
        let sealed = cipher.seal(&chance, b"\x01head", b"here", b"the plain text");
        assert_eq!(&**cipher.open(&sealed, 5, b"here").unwrap(), b"the plain text");
        assert!(cipher.open(&sealed, 5, b"there").is_none(), "another place");
        assert!(cipher.open(&sealed, 4, b"here").is_none(), "another header");
        assert!(Cipher::new(&[7; 32], "other").open(&sealed, 5, b"here").is_none(), "another purpose");
        assert!(Cipher::new(&[8; 32], "test").open(&sealed, 5, b"here").is_none(), "another key");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(cipher.open(&changed, 5, b"here").is_none(), "byte {at}");
            assert!(cipher.open(&sealed[..at], 5, b"here").is_none(), "cut at {at}");
        }
        assert_ne!(sealed, cipher.seal(&chance, b"\x01head", b"here", b"the plain text"), "nonces are random");
    }
}
