//! [`Language`]: the languages our pages speak, and which of them a visitor reads.

use std::fmt;
use std::str::FromStr;

/// A language with a catalogue of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    #[default]
    En,
    Es,
    Fr,
    De,
    Pt,
    Zh,
    Ar,
}

/// It names no language of ours.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("this is none of the languages en, es, fr, de, pt, zh and ar")]
pub struct UnknownLanguage;

/// Bytes of an `Accept-Language` that are looked at: a browser sends some fifty.
const LONGEST_HEADER: usize = 1_000;
/// Entries of an `Accept-Language` that are looked at.
const MOST_ENTRIES: usize = 32;

impl Language {
    pub const ALL: [Language; 7] =
        [Language::En, Language::Es, Language::Fr, Language::De, Language::Pt, Language::Zh, Language::Ar];

    /// The primary subtag (RFC 5646 §2.2.1): name of the catalogue, part of an address.
    pub fn tag(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::Es => "es",
            Language::Fr => "fr",
            Language::De => "de",
            Language::Pt => "pt",
            Language::Zh => "zh",
            Language::Ar => "ar",
        }
    }

    /// What its readers call it.
    pub fn own_name(self) -> &'static str {
        match self {
            Language::En => "English",
            Language::Es => "Español",
            Language::Fr => "Français",
            Language::De => "Deutsch",
            Language::Pt => "Português",
            Language::Zh => "中文",
            Language::Ar => "العربية",
        }
    }

    pub fn is_rtl(self) -> bool {
        self == Language::Ar
    }

    /// What a visitor reads: what they chose here before (`cookie`), else what their browser asks for
    /// (`Accept-Language`, RFC 9110 §12.5.4), else English. Neither is trusted to be short or well-formed.
    pub fn choose(cookie: Option<&str>, accept_language: Option<&str>) -> Language {
        if let Some(chosen) = cookie.and_then(|text| text.parse().ok()) {
            return chosen;
        }
        let Some(header) = accept_language.filter(|header| header.len() <= LONGEST_HEADER) else {
            return Language::default();
        };
        let mut best: Option<(Language, u16)> = None;
        for (language, weight) in header.split(',').take(MOST_ENTRIES).filter_map(entry) {
            // Of equal ones the first: browsers list them by preference.
            if weight > 0 && best.is_none_or(|(_, known)| weight > known) {
                best = Some((language, weight));
            }
        }
        best.map_or(Language::default(), |(language, _)| language)
    }
}

/// `pt-BR;q=0.8`: a language of ours and its weight in thousandths. Whatever is malformed says nothing.
fn entry(text: &str) -> Option<(Language, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next()?;
    let language = range.split('-').next()?.to_ascii_lowercase().parse().ok()?;
    match parts.next() {
        None => Some((language, 1_000)),
        Some(parameter) => {
            let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
            Some((language, weight(value)?))
        }
    }
}

/// `qvalue` of RFC 9110 §12.4.2, in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = if decimals.is_empty() { 0 } else { format!("{decimals:0<3}").parse().ok()? };
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

impl FromStr for Language {
    type Err = UnknownLanguage;

    /// Reads a tag exactly as [`Language::tag`] writes it.
    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL.into_iter().find(|language| language.tag() == text).ok_or(UnknownLanguage)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cookie_goes_before_the_browser_and_english_is_last() {
        for (cookie, header, chosen) in [
            (None, None, Language::En),
            (None, Some("de"), Language::De),
            (None, Some("de-CH, fr;q=0.9"), Language::De),
            (None, Some("nl, fr;q=0.7, es;q=0.8"), Language::Es),
            (None, Some("nl, fr;q=0.5, es;q=0.5"), Language::Fr),
            (None, Some("pt-BR,pt;q=0.9,en;q=0.8"), Language::Pt),
            (None, Some("zh-Hant-TW"), Language::Zh),
            (None, Some("AR-eg"), Language::Ar),
            (None, Some("nl, da"), Language::En),
            (None, Some("*"), Language::En),
            (None, Some("de;q=0, fr;q=0.001"), Language::Fr),
            (None, Some("de;q=0"), Language::En),
            (None, Some("de;q=2, fr;q=0.1"), Language::Fr),
            (None, Some("de;q=0.1234, fr;q=0.1"), Language::Fr),
            (None, Some("de;level=1, fr;q=0.1"), Language::Fr),
            (None, Some("de ; q=1.0 , fr"), Language::De),
            (None, Some(",,;;,fr"), Language::Fr),
            (Some("fr"), Some("de"), Language::Fr),
            (Some("FR"), Some("de"), Language::De),
            (Some("xx"), Some("de"), Language::De),
            (Some(""), None, Language::En),
        ] {
            assert_eq!(Language::choose(cookie, header), chosen, "{cookie:?} {header:?}");
        }
    }

    #[test]
    fn no_header_costs_more_than_a_little() {
        let long = format!("{}de", "nl,".repeat(400));
        assert_eq!(Language::choose(None, Some(&long)), Language::En, "longer than any browser's");
        let many = format!("{}de", "x,".repeat(40));
        assert_eq!(Language::choose(None, Some(&many)), Language::En, "more entries than any browser's");
    }

    #[test]
    fn tags_are_read_as_written_and_only_arabic_runs_from_the_right() {
        for language in Language::ALL {
            assert_eq!(language.tag().parse(), Ok(language));
            assert_eq!(language.is_rtl(), language == Language::Ar);
        }
        assert_eq!("De".parse::<Language>(), Err(UnknownLanguage));
    }

    proptest! {
        #[test]
        fn no_header_makes_a_panic(cookie in proptest::option::of(".*"), header in ".*") {
            let _ = Language::choose(cookie.as_deref(), Some(&header));
        }
    }
}
