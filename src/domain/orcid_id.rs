//! [`OrcidId`]: sixteen characters, the last an ISO 7064 MOD 11-2 check character (`orcid.md` §9.1).
//! Past the edge an iD is never a `String`.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A checked ORCID iD in its one canonical form, `0000-0002-1825-0097`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrcidId([u8; 19]);

/// Why a text is not an ORCID iD.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadOrcidId {
    #[error("`{0}` is not an ORCID iD: expected sixteen digits in groups of four, such as 0000-0002-1825-0097")]
    Shape(String),
    #[error("`{found}` is mistyped: its last character would have to be `{expected}`")]
    CheckDigit { found: String, expected: char },
}

impl OrcidId {
    /// The canonical text, nineteen ASCII characters with hyphens.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("made of ASCII digits, X and hyphens only")
    }

    /// The sixteen characters without hyphens.
    pub fn compact(&self) -> String {
        self.as_str().replace('-', "")
    }

    /// The record's address, such as `https://orcid.org/0000-0002-1825-0097`, in an environment whose
    /// records live under `base` (see `Environment::record_base`).
    pub fn uri(&self, base: &str) -> String {
        format!("{base}/{}", self.as_str())
    }
}

/// The check character for the first fifteen digits (ISO 7064 MOD 11-2).
fn check_character(digits: &[u8]) -> u8 {
    let total = digits.iter().fold(0u32, |total, digit| (total + u32::from(digit - b'0')) * 2 % 11);
    match (12 - total % 11) % 11 {
        10 => b'X',
        n => b'0' + u8::try_from(n).expect("a remainder below ten"),
    }
}

impl FromStr for OrcidId {
    type Err = BadOrcidId;

    /// Takes the canonical form, the form without hyphens, a lower-case `x`, and the record's address
    /// with `http` or `https`, with or without `www.`, production or sandbox.
    fn from_str(text: &str) -> Result<Self, BadOrcidId> {
        let shape = || BadOrcidId::Shape(text.chars().take(64).collect());
        let bare = strip_address(text.trim_matches([' ', '\t']));
        let hyphenated = bare.len() == 19;
        let mut characters = Vec::with_capacity(16);
        for (at, byte) in bare.bytes().enumerate() {
            if hyphenated && matches!(at, 4 | 9 | 14) {
                if byte != b'-' {
                    return Err(shape());
                }
                continue;
            }
            characters.push(byte.to_ascii_uppercase());
        }
        if characters.len() != 16
            || !characters[..15].iter().all(u8::is_ascii_digit)
            || !(characters[15].is_ascii_digit() || characters[15] == b'X')
        {
            return Err(shape());
        }
        let expected = check_character(&characters[..15]);
        if characters[15] != expected {
            return Err(BadOrcidId::CheckDigit { found: bare.to_owned(), expected: char::from(expected) });
        }
        let mut canonical = [b'-'; 19];
        for (group, four) in characters.chunks(4).enumerate() {
            canonical[group * 5..group * 5 + 4].copy_from_slice(four);
        }
        Ok(Self(canonical))
    }
}

fn strip_address(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else { return text };
    let rest = rest.strip_prefix("www.").unwrap_or(rest);
    rest.strip_prefix("orcid.org/").or_else(|| rest.strip_prefix("sandbox.orcid.org/")).unwrap_or(text)
}

impl TryFrom<String> for OrcidId {
    type Error = BadOrcidId;

    fn try_from(text: String) -> Result<Self, BadOrcidId> {
        text.parse()
    }
}

impl From<OrcidId> for String {
    fn from(id: OrcidId) -> String {
        id.as_str().to_owned()
    }
}

impl fmt::Display for OrcidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OrcidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrcidId({})", self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t75_every_spelling_becomes_the_one_canonical_form() {
        for spelling in [
            "0000-0002-1694-233X",
            "0000-0002-1694-233x",
            "000000021694233X",
            "https://orcid.org/0000-0002-1694-233X",
            "http://orcid.org/0000-0002-1694-233x",
            "http://www.orcid.org/0000-0002-1694-233X",
            "https://sandbox.orcid.org/0000-0002-1694-233X",
            " 0000-0002-1694-233X ",
        ] {
            assert_eq!(spelling.parse::<OrcidId>().unwrap().as_str(), "0000-0002-1694-233X", "{spelling}");
        }
    }

    #[test]
    fn wrong_check_digits_and_shapes_are_refused() {
        assert_eq!(
            "0000-0002-1825-0098".parse::<OrcidId>(),
            Err(BadOrcidId::CheckDigit { found: "0000-0002-1825-0098".into(), expected: '7' })
        );
        for bad in [
            "",
            "0000",
            "0000-0002-1825-00971",
            "0000_0002_1825_0097",
            "X000-0002-1825-0097",
            "０000-0002-1825-0097",
            "https://evil.example/0000-0002-1825-0097",
            "0000-0002-1825-0097/",
            "00000002-1825-0097-",
            "0000-0002-18250-097",
        ] {
            assert!(matches!(bad.parse::<OrcidId>(), Err(BadOrcidId::Shape(_))), "{bad}");
        }
    }

    #[test]
    fn forms_for_apps() {
        let id: OrcidId = "0000-0002-1825-0097".parse().unwrap();
        assert_eq!(id.compact(), "0000000218250097");
        assert_eq!(id.uri("https://orcid.org"), "https://orcid.org/0000-0002-1825-0097");
    }
}
