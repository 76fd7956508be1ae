//! Random texts in ORCID's shapes: UUIDs for tokens, six characters for codes (`orcid.md` §3.2, §3.3).
//! Used by the ledger, the id_token and the browser sessions.

use crate::domain::Chance;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A version 4 UUID in lower case (RFC 9562 §5.4).
pub(super) fn uuid(chance: &dyn Chance) -> String {
    let mut bytes: [u8; 16] = chance.bytes();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// Six characters out of A-Z, a-z, 0-9, each equally likely.
pub(super) fn code(chance: &dyn Chance) -> String {
    let mut text = String::with_capacity(6);
    while text.len() < 6 {
        let [byte] = chance.bytes();
        // 248 is the largest multiple of 62 that fits a byte: what lies above would favour some characters.
        if byte < 248 {
            text.push(char::from(ALPHANUMERIC[usize::from(byte) % 62]));
        }
    }
    text
}

/// 128 random bits as 22 characters of base64url: the value of the session cookie.
pub(super) fn session_key(chance: &dyn Chance) -> String {
    URL_SAFE_NO_PAD.encode(chance.bytes::<16>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemChance;

    #[test]
    fn shapes() {
        let chance = SystemChance::default();
        let uuid = uuid(&chance);
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert_eq!(uuid, uuid.to_lowercase());
        let code = code(&chance);
        assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(session_key(&chance).len(), 22);
    }
}
