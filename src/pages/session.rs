//! The script for pages of apps that stay open: it warns before the session ends, in the page's language. Kept
//! among the assets by [`super::Pages`]; docs/HEADERS.md tells apps how to use it.

use super::texts::Texts;
use serde_json::{Map, Value};

/// Its address below the assets, which apps write into their pages.
pub(super) const NAME: &str = "session";
const SOURCE: &str = include_str!("session.js");
/// What stands in for the texts in the source.
const PLACE: &str = "\"texts of every language\"";
const KEYS: [&str; 10] = [
    "session.soon",
    "session.ends",
    "session.last",
    "session.ended",
    "session.ended-text",
    "session.another",
    "session.another-text",
    "session.renew",
    "session.again",
    "session.hide",
];

/// The script with the words of these catalogues, by language tag.
pub(super) fn script<'a>(catalogues: impl Iterator<Item = &'a Texts>) -> String {
    let of_language = |texts: &Texts| {
        let tag = texts.get("lang").unwrap_or_default();
        let tag = tag.split('-').next().unwrap_or_default().to_owned();
        let word = |key: &&str| {
            let name = key.trim_start_matches("session.").to_owned();
            (name, Value::from(texts.get(key).unwrap_or_default()))
        };
        (tag, Value::Object(KEYS.iter().map(word).collect()))
    };
    let words: Map<String, Value> = catalogues.map(of_language).collect();
    SOURCE.replacen(PLACE, &Value::Object(words).to_string(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Language;

    #[test]
    fn it_speaks_every_language_and_stays_small() {
        let script = script(Language::ALL.into_iter().map(Texts::of));
        assert!(!script.contains(PLACE));
        for (language, words) in [("en", "Stay signed in"), ("de", "Sie sind abgemeldet"), ("ar", "إخفاء")] {
            assert!(script.contains(&format!("\"{language}\":{{")) && script.contains(words), "{language}");
        }
        for key in Texts::english().keys().filter(|key| key.starts_with("session.")) {
            assert!(KEYS.contains(&key), "{key} is written for nobody");
            assert!(SOURCE.contains(&format!("\"{}\"", key.trim_start_matches("session."))), "nothing asks for {key}");
        }
        assert!(script.len() < 16 << 10, "{} bytes", script.len());
        let forbidden = ["innerHTML", "eval(", "setAttribute(\"style\"", "document.write", "localStorage"];
        assert!(forbidden.iter().all(|word| !script.contains(word)), "a strict policy of the app allows it all");
    }
}
