//! [`Texts`]: every word the pages say in one language, by key, from the files in `en/`, `es/` and so on and an
//! operator's `en.toml`, `es.toml`, …. What a translation lacks stands there in English. Templates fetch them with `t("key", value=…)`, so that a translation never touches a template.

use crate::domain::{Language, Problem};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// Their names in the operator's folder, one a language.
pub const FILES: [&str; 7] = ["en.toml", "es.toml", "fr.toml", "de.toml", "pt.toml", "zh.toml", "ar.toml"];
/// Begins the keys of lines for providers that are no ORCID.
const OTHER: &str = "other.";
/// The files of one catalogue: each page brings its own, so that they can be written and translated one by one.
const ENGLISH: &[&str] = &[
    include_str!("en/common.toml"),
    include_str!("en/journeys.toml"),
    include_str!("en/account.toml"),
    include_str!("en/badge.toml"),
    include_str!("en/choose.toml"),
    include_str!("en/broken.toml"),
    include_str!("en/confirm.toml"),
    include_str!("en/kept.toml"),
    include_str!("en/notices.toml"),
    include_str!("en/onward.toml"),
    include_str!("en/other.toml"),
    include_str!("en/session.toml"),
];

macro_rules! translation {
    ($tag:literal) => {
        &[
            include_str!(concat!($tag, "/common.toml")),
            include_str!(concat!($tag, "/journeys.toml")),
            include_str!(concat!($tag, "/kept.toml")),
            include_str!(concat!($tag, "/account.toml")),
            include_str!(concat!($tag, "/badge.toml")),
            include_str!(concat!($tag, "/broken.toml")),
            include_str!(concat!($tag, "/choose.toml")),
            include_str!(concat!($tag, "/confirm.toml")),
            include_str!(concat!($tag, "/notices.toml")),
            include_str!(concat!($tag, "/onward.toml")),
            include_str!(concat!($tag, "/other.toml")),
            include_str!(concat!($tag, "/session.toml")),
        ]
    };
}

/// A text added to English is missed in each of these by the test `every_translation_says_everything`.
const TRANSLATIONS: [(Language, &[&str]); 6] = [
    (Language::Es, translation!("es")),
    (Language::Fr, translation!("fr")),
    (Language::De, translation!("de")),
    (Language::Pt, translation!("pt")),
    (Language::Zh, translation!("zh")),
    (Language::Ar, translation!("ar")),
];

/// A catalogue: dotted key to text with `{placeholders}`.
#[derive(Clone, Debug)]
pub struct Texts {
    lines: BTreeMap<String, String>,
}

static EMBEDDED: LazyLock<Texts> = LazyLock::new(|| Texts { lines: lines(ENGLISH) });

static TRANSLATED: LazyLock<BTreeMap<Language, Texts>> = LazyLock::new(|| {
    let translated = TRANSLATIONS.iter().map(|(language, sources)| {
        let mut whole = EMBEDDED.lines.clone();
        whole.extend(lines(sources));
        (*language, Texts { lines: whole })
    });
    translated.collect()
});

fn lines(sources: &[&str]) -> BTreeMap<String, String> {
    let mut lines = BTreeMap::new();
    for source in sources {
        let table: toml::Table = source.parse().expect("the embedded catalogues are tested to parse");
        flatten("", &table, &mut |key, text| {
            lines.insert(key, text.unwrap_or_default().to_owned());
        });
    }
    lines
}

impl Texts {
    /// The embedded English catalogue.
    pub fn english() -> &'static Texts {
        &EMBEDDED
    }

    /// The embedded catalogue of a language.
    pub fn of(language: Language) -> &'static Texts {
        TRANSLATED.get(&language).unwrap_or(&EMBEDDED)
    }

    /// The text under `key` as written, placeholders and all.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines.get(key).map(String::as_str)
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.lines.keys().map(String::as_str)
    }

    /// The text under `key` with its placeholders filled in by `value`, which says nothing for a name
    /// it does not know: the placeholder then stays as written. A value is never read for placeholders.
    pub fn fill(&self, key: &str, mut value: impl FnMut(&str) -> Option<String>) -> Option<String> {
        Some(fill(self.get(key)?, |text| text.to_owned(), &mut value))
    }

    /// The same catalogue as it reads where people sign in elsewhere than at ORCID: each line under
    /// `other.` in the place of the one it stands for.
    pub(super) fn for_others(&self) -> Texts {
        let mut others = self.clone();
        for (key, text) in &self.lines {
            if let Some(key) = key.strip_prefix(OTHER) {
                others.lines.insert(key.to_owned(), text.clone());
            }
        }
        others
    }

    /// What a scope means, in plain words (`orcid.md` §4.1).
    pub fn scope(&self, scope: &str) -> String {
        let key = format!("scope.{}", scope.trim_start_matches('/').replace('/', "-"));
        match self.get(&key) {
            Some(text) if key != "scope.other" => text.to_owned(),
            _ => self.fill("scope.other", |_| Some(scope.to_owned())).unwrap_or_else(|| scope.to_owned()),
        }
    }

    /// This catalogue with the lines of an operator's file laid over it, and what is wrong with that
    /// file: not TOML, not a text, a key nobody asks for, a placeholder nobody fills.
    pub fn overlaid(&self, source: &str, file: &Path) -> (Texts, Vec<Problem>) {
        let table: toml::Table = match source.parse() {
            Ok(table) => table,
            Err(error) => return (self.clone(), vec![unreadable(&error, source, file)]),
        };
        let mut merged = self.clone();
        let mut problems = Vec::new();
        flatten("", &table, &mut |key, text| {
            let complain = |problem: Problem| problem.file(file).key(key.clone());
            match (text, self.get(&key)) {
                (None, _) => problems.push(complain(Problem::error("this is not a text").expected("a string"))),
                (Some(_), None) => problems.push(complain(unknown_key(self, &key))),
                (Some(text), Some(original)) => {
                    if let Some(stranger) = placeholders(text).find(|name| !fills(original, name)) {
                        let message = format!("nothing fills the placeholder {{{stranger}}} in this text");
                        problems.push(complain(Problem::error(message)).expected(original.to_owned()));
                    }
                    merged.lines.insert(key, text.to_owned());
                }
            }
        });
        (merged, problems)
    }
}

/// Fills placeholders: `literal` treats the text between them, `value` gives what stands for a name.
pub fn fill(
    text: &str,
    mut literal: impl FnMut(&str) -> String,
    value: &mut dyn FnMut(&str) -> Option<String>,
) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else { break };
        out.push_str(&literal(&rest[..open]));
        let name = &rest[open + 1..open + close];
        out.push_str(&value(name).unwrap_or_else(|| literal(&rest[open..=open + close])));
        rest = &rest[open + close + 1..];
    }
    out.push_str(&literal(rest));
    out
}

/// The names between braces.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name))
}

/// Whether a page fills `name` in the text whose embedded form is `original`.
fn fills(original: &str, name: &str) -> bool {
    name == "organisation" || placeholders(original).any(|known| known == name)
}

fn flatten(prefix: &str, table: &toml::Table, visit: &mut dyn FnMut(String, Option<&str>)) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, visit),
            other => visit(key, other.as_str()),
        }
    }
}

fn unreadable(error: &toml::de::Error, source: &str, file: &Path) -> Problem {
    let problem = Problem::error(format!("this text file cannot be read: {}", error.message())).file(file);
    match error.span() {
        Some(span) => problem.line(source.bytes().take(span.start).filter(|b| *b == b'\n').count() + 1),
        None => problem,
    }
}

fn unknown_key(texts: &Texts, key: &str) -> Problem {
    let near = texts.keys().max_by(|a, b| strsim::jaro(a, key).total_cmp(&strsim::jaro(b, key)));
    let problem = Problem::error("no page asks for a text of this name").found(key);
    match near {
        Some(near) => problem.remedy(format!("did you mean `{near}`?")),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_leaves_values_alone() {
        let mut value = |name: &str| (name == "site").then(|| "a {host} b".to_owned());
        for (text, filled) in [
            ("Sign in to {site}", "Sign in to a {host} b"),
            ("{site}{site}", "a {host} ba {host} b"),
            ("{nobody} {site", "{nobody} {site"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(fill(text, |text| text.to_owned(), &mut value), filled, "{text}");
        }
    }

    #[test]
    fn scopes_in_plain_words() {
        let texts = Texts::english();
        assert!(texts.scope("openid").starts_with("Get your ORCID iD"));
        assert!(texts.scope("/activities/update").starts_with("Add works"));
        assert_eq!(texts.scope("/foo"), "Use the permission “/foo”");
        assert_eq!(texts.scope("/other"), "Use the permission “/other”");
        for (scope, _) in crate::domain::scope::THREE_LEGGED {
            assert!(!texts.scope(scope).contains(scope), "{scope} needs plain words");
        }
    }

    #[test]
    fn an_operators_file_changes_single_lines_and_is_checked() {
        let (texts, problems) = Texts::english().overlaid(
            "[sign-in]\nbutton = \"Los geht's bei {organisation}\"\n[step-up]\ntitle = 7\n",
            Path::new("en.toml"),
        );
        assert_eq!(texts.get("sign-in.button"), Some("Los geht's bei {organisation}"));
        assert_eq!(texts.get("sign-in.title"), Texts::english().get("sign-in.title"));
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].key.as_deref(), Some("step-up.title"));

        let (_, problems) =
            Texts::english().overlaid("[sign-in]\nbuton = \"x\"\nnote = \"{nam}\"\n", Path::new("en.toml"));
        let shown: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert!(shown[0].contains("did you mean `sign-in.button`?"), "{shown:?}");
        assert!(shown[1].contains("{nam}"), "{shown:?}");

        let (_, problems) = Texts::english().overlaid("lang = \"en\"\n[sign-in\n", Path::new("en.toml"));
        assert_eq!(problems[0].line, Some(2), "{problems:?}");
    }

    #[test]
    fn every_notice_and_label_has_words() {
        let texts = Texts::english();
        for notice in super::super::Notice::ALL {
            for part in ["title", "text", "advice"] {
                assert!(texts.get(&format!("notice.{}.{part}", notice.code())).is_some(), "{notice:?} {part}");
            }
        }
        for label in super::super::LinkLabel::ALL {
            assert!(texts.get(&format!("link.{}", label.key())).is_some(), "{label:?}");
        }
    }

    /// Tells a translator exactly what is to be written where.
    #[test]
    fn every_translation_says_everything() {
        let english = &EMBEDDED.lines;
        let names = |text: &str| placeholders(text).map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        let mut complaints = String::new();
        for (language, sources) in TRANSLATIONS {
            let own = lines(sources);
            let lacking: Vec<&str> = english.keys().filter(|key| !own.contains_key(*key)).map(String::as_str).collect();
            let unasked: Vec<&str> = own.keys().filter(|key| !english.contains_key(*key)).map(String::as_str).collect();
            if !lacking.is_empty() {
                complaints += &format!("src/pages/{language}/ lacks: {}\n", lacking.join(", "));
            }
            if !unasked.is_empty() {
                complaints += &format!("src/pages/{language}/ says what nobody asks for: {}\n", unasked.join(", "));
            }
            for (key, text) in &own {
                let Some(original) = english.get(key) else { continue };
                if names(text) != names(original) {
                    complaints += &format!("{language} {key}: other placeholders than in {original:?}\n");
                }
                let same_everywhere =
                    ["lang", "dir", "provider.production", "layout.orcid-id", "badge.id", "badge.alone"]
                        .contains(&key.as_str());
                if text == original && !same_everywhere {
                    complaints += &format!("{language} {key}: still English\n");
                }
            }
            assert_eq!(own.get("dir").map(String::as_str), Some(if language.is_rtl() { "rtl" } else { "ltr" }));
            assert!(own["lang"].starts_with(language.tag()), "{language}: {}", own["lang"]);
        }
        assert!(complaints.is_empty(), "translations are not complete:\n{complaints}");
    }

    #[test]
    fn no_translation_says_a_thing_twice() {
        for (language, sources) in TRANSLATIONS {
            let mut count = 0;
            for source in sources {
                flatten("", &source.parse().unwrap(), &mut |_, _| count += 1);
            }
            assert_eq!(count, lines(sources).len(), "{language}: a key stands in two files");
        }
    }

    #[test]
    fn what_is_said_elsewhere_stands_for_a_line_and_names_no_orcid() {
        for language in Language::ALL {
            let texts = Texts::of(language);
            let others = texts.for_others();
            for key in texts.keys().filter_map(|key| key.strip_prefix(OTHER)) {
                let here = texts.get(key).unwrap_or_else(|| panic!("{key} stands for nothing"));
                let there = others.get(key).unwrap();
                assert_ne!(here, there, "{language} {key}");
                assert!(!there.contains("ORCID") && !there.contains(" iD"), "{language} {key}: {there}");
                assert!(placeholders(there).all(|name| fills(here, name)), "{key} asks for more than it is given");
            }
            assert_eq!(others.get("denied.needs"), texts.get("denied.needs"));
        }
    }

    #[test]
    fn no_text_stands_in_two_files() {
        let mut lines = 0;
        for source in ENGLISH {
            flatten("", &source.parse().unwrap(), &mut |key, text| {
                assert!(text.is_some(), "{key} is not a text");
                lines += 1;
            });
        }
        assert_eq!(lines, Texts::english().keys().count(), "a key stands in two files");
    }

    #[test]
    fn brand_words_are_spelled_right() {
        let spelled = ["ORCiD", "Orcid", "ORCID ID", "ORCID-ID", "ORCID-iD", "ORCID id", "ORCID ids"];
        for (language, (key, text)) in Language::ALL
            .into_iter()
            .flat_map(|language| Texts::of(language).lines.iter().map(move |it| (language, it)))
        {
            for wrong in spelled {
                assert!(!text.contains(wrong), "{language} {key} says {wrong:?}");
            }
        }
        for key in Texts::english().keys() {
            let text = Texts::english().get(key).unwrap();
            for wrong in ["ORCID number", "Log in", "log in", "login", "user"] {
                assert!(!text.contains(wrong), "{key} says {wrong:?}");
            }
        }
    }
}
