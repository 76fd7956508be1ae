//! [`Encoding`]: how a person's name travels in a header when it is not plain ASCII (pains: names break
//! headers). Pure text; called by `handoff`.

use super::fold;
use super::path::is_unreserved;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The forms a site can choose. A value that is printable ASCII (and for `Percent` holds no `%`) is
/// sent as it is in every form but says so: the `…-Encoding` header stands only beside encoded values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Every UTF-8 byte but `A-Z a-z 0-9 - . _ ~`, space and `' ( ) , / : @` as `%XX` (RFC 3986 §2.1).
    Percent,
    /// UTF-8 bytes as they are (RFC 9110 §5.5 calls them obs-text).
    Utf8,
    /// `UTF-8''` and percent-encoding (RFC 8187 §3.2.1).
    Rfc8187,
    /// The UTF-8 bytes in base64url without padding (RFC 4648 §5).
    Base64url,
    /// A plain likeness: accents dropped, other letters `?`. Lossy; a name of which nothing remains is no name.
    AsciiFold,
}

impl Encoding {
    pub(super) const WORDS: &'static [(&'static str, Encoding)] = &[
        ("percent", Encoding::Percent),
        ("utf8", Encoding::Utf8),
        ("rfc8187", Encoding::Rfc8187),
        ("base64url", Encoding::Base64url),
        ("ascii-fold", Encoding::AsciiFold),
    ];

    /// As policy files and the `…-Encoding` header spell it.
    pub fn as_str(self) -> &'static str {
        Encoding::WORDS.iter().find(|(_, encoding)| *encoding == self).map_or("percent", |(word, _)| word)
    }

    /// Whether anything remains of a value in this form. What is ASCII already stays as it is in every form.
    pub(super) fn can_say(self, value: &str) -> bool {
        self != Encoding::AsciiFold || value.is_ascii() || fold::to_ascii(value).is_some()
    }

    /// The encoded text, or `None` when the value may stand as it is. `Some(None)` when this form has
    /// nothing to say for it.
    pub(super) fn apply(self, value: &str) -> Option<Option<String>> {
        let plain = value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        match self {
            Encoding::Percent if plain && !value.contains('%') => None,
            Encoding::Percent => Some(Some(percent(value, |byte| {
                is_unreserved(byte) || matches!(byte, b' ' | b'\'' | b'(' | b')' | b',' | b'/' | b':' | b'@')
            }))),
            _ if plain => None,
            Encoding::Utf8 => Some(Some(value.to_owned())),
            Encoding::Rfc8187 => Some(Some(format!("UTF-8''{}", percent(value, is_attr_char)))),
            Encoding::Base64url => Some(Some(URL_SAFE_NO_PAD.encode(value))),
            Encoding::AsciiFold => Some(fold::to_ascii(value)),
        }
    }
}

/// `attr-char` of RFC 8187 §3.2.1.
fn is_attr_char(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'#' | b'$' | b'&' | b'+' | b'^' | b'`' | b'|')
}

fn percent(value: &str, kept: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(value.len() * 2);
    for byte in value.bytes() {
        if kept(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Takes the line breaks, control and direction-changing characters out of a person's name: each run of
/// them becomes one space, so that no form, and no app that decodes it, ever sees one (T13).
pub(super) fn tame(name: &str) -> String {
    let unruly = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    name.split(unruly).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_world_in_every_form() {
        for (name, encoding, want) in [
            ("Josiah Carberry", Encoding::Percent, None),
            ("O'Neil, Jr. (R&D)", Encoding::Percent, None),
            ("José García", Encoding::Percent, Some("Jos%C3%A9 Garc%C3%ADa")),
            ("José & Co+", Encoding::Percent, Some("Jos%C3%A9 %26 Co%2B")),
            ("100% Bob", Encoding::Percent, Some("100%25 Bob")),
            ("王小明", Encoding::Percent, Some("%E7%8E%8B%E5%B0%8F%E6%98%8E")),
            ("محمد", Encoding::Percent, Some("%D9%85%D8%AD%D9%85%D8%AF")),
            ("Jose\u{301}", Encoding::Percent, Some("Jose%CC%81")),
            ("🦀", Encoding::Percent, Some("%F0%9F%A6%80")),
            ("王小明", Encoding::Utf8, Some("王小明")),
            ("José García", Encoding::Rfc8187, Some("UTF-8''Jos%C3%A9%20Garc%C3%ADa")),
            ("José", Encoding::Base64url, Some("Sm9zw6k")),
            ("José García", Encoding::AsciiFold, Some("Jose Garcia")),
            ("100% Bob", Encoding::Base64url, None),
        ] {
            let got = encoding.apply(name);
            assert_eq!(got, want.map(|text| Some(text.to_owned())), "{name} {encoding:?}");
        }
        assert_eq!(Encoding::AsciiFold.apply("محمد"), Some(None));
    }

    #[test]
    fn t13_unruly_characters_become_one_space() {
        for (name, want) in [
            ("a\r\nX-ORCID-iD: b", "a X-ORCID-iD: b"),
            ("a\rb", "a b"),
            ("a\0b", "a b"),
            ("\u{202e}evil", "evil"),
            ("a\u{85}\u{2028}b", "a b"),
            ("\n", ""),
        ] {
            assert_eq!(tame(name), want, "{name:?}");
        }
    }
}
