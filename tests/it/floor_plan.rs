//! Reads the sources and says, kindly, when an import goes up, when a module speaks to a crate that another
//! one keeps, or when a file grows out of hand. The plan itself is in `src/lib.rs` and docs/ARCHITECTURE.md.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The house, ground floor first. An import goes to a lower floor only; neighbours do not know each other.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["assertion", "config", "metrics", "orcid", "pages", "policy", "small_http", "tls", "vault"],
    &["session", "tokens"],
    &["signin"],
    &["ops", "proxy"],
    &["app"],
    &["demo"],
    &["cli"],
];

/// Whom a module may know, where that is less than all floors below.
const KNOWS_ONLY: &[(&str, &[&str])] = &[
    // Shares no code with `orcid`, so that one mistake cannot hide on both sides.
    ("simulator", &["domain"]),
];

/// By whom a module may be known, where that is less than all floors above.
const KNOWN_ONLY_TO: &[(&str, &[&str])] = &[
    // Settings are translated once, in `app`; a module takes its own part of them.
    ("config", &["app", "demo", "cli"]),
    ("simulator", &["app", "demo", "cli"]),
];

/// Crates (and one method) that few may name: the word, the places, and why.
const KEPT: &[(&str, &[&str], &str)] = &[
    ("sled", &["vault/store/"], "the store can be exchanged only while one file knows which it is"),
    ("openidconnect", &["orcid/"], "the rest of the house speaks of grants and subjects"),
    (
        "pingora",
        &["proxy/", "app.rs", "app/", "tls.rs", "tls/"],
        "own pages are plain values, only the gate knows sockets",
    ),
    ("pingora_core", &["proxy/", "app.rs", "app/", "tls.rs", "tls/"], "it is part of pingora"),
    (
        "expose",
        &["domain/token.rs", "vault/", "orcid/", "tokens/withdraw.rs", "simulator/"],
        "a secret is opened for sealing, renewal, revocation and the call to ORCID, and nowhere else",
    ),
];

const LONGEST_FILE: usize = 500;

/// One source file.
struct Source {
    /// Below `src/`, with `/`.
    path: String,
    /// The text without comments, literals and tests; lines stay where they were.
    code: String,
    lines: usize,
    opens_with_doc: bool,
    /// Tests may look over every fence.
    is_test: bool,
}

impl Source {
    /// The top-level module it belongs to; `None` for `lib.rs` and `main.rs`, which know everybody.
    fn module(&self) -> Option<&str> {
        let first = self.path.split('/').next().unwrap_or_default();
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    fn place(&self, at: usize) -> String {
        format!("src/{}:{}", self.path, self.code[..at].lines().count().max(1))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(&file).expect("sources are readable");
        let path = file.strip_prefix(&root).expect("it was found below the root").to_string_lossy().replace('\\', "/");
        let name = path.rsplit('/').next().unwrap_or_default();
        let is_test = name == "tests.rs" || name.ends_with("_tests.rs") || path.contains("/tests/");
        Source {
            code: without_tests(&bare(&text)),
            lines: text.lines().count(),
            opens_with_doc: text.starts_with("//!"),
            is_test,
            path,
        }
    };
    files.into_iter().map(read).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("sources are readable") {
        let path = entry.expect("sources are readable").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Blanks comments, strings and characters, keeping every line break.
fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(fence) =
            raw_fence(rest).filter(|_| !out.ends_with(|c: char| c.is_alphanumeric() || c == '_'))
        {
            let close = format!("\"{fence}");
            let open = rest.find('"').map_or(0, |quote| quote + 1);
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..length].chars().filter(|c| *c == '\n'));
        out.push(' ');
        rest = &rest[length..];
    }
    out
}

/// The `#`s of a raw string that starts here.
fn raw_fence(text: &str) -> Option<String> {
    let after = text.strip_prefix("r").or_else(|| text.strip_prefix("br"))?;
    let fence: String = after.chars().take_while(|c| *c == '#').collect();
    after[fence.len()..].starts_with('"').then_some(fence)
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Cuts the `#[cfg(test)]` module that ends a file.
fn without_tests(code: &str) -> String {
    match code.find("#[cfg(test)]\nmod tests {") {
        Some(at) => code[..at].to_owned(),
        None => code.to_owned(),
    }
}

/// Every `crate::NAME` and `crate::{NAME…, NAME…}`, with its place in the text.
fn crate_references(code: &str) -> Vec<(usize, String)> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.push((at, word(rest)));
            continue;
        };
        let mut depth = 0;
        let mut starts = true;
        for (offset, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => starts = true,
                c if starts && !c.is_whitespace() => {
                    found.push((at, word(&group[offset..])));
                    starts = false;
                }
                _ => {}
            }
        }
    }
    found.retain(|(_, name)| name.chars().next().is_some_and(char::is_lowercase));
    found
}

/// Whether `name` stands at `at` as a word of its own.
fn words<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name)
        .filter(move |(at, _)| !code[..*at].ends_with(part) && !code[at + name.len()..].starts_with(part))
        .map(|(at, _)| at)
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Why `from` may not know `to`; `None` when it may.
fn objection(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    if let Some((_, known)) = KNOWS_ONLY.iter().find(|(module, _)| *module == from) {
        return (!known.contains(&to)).then(|| format!("`{from}` knows only {known:?}"));
    }
    if let Some((_, known)) = KNOWN_ONLY_TO.iter().find(|(module, _)| *module == to) {
        return (!known.contains(&from)).then(|| format!("`{to}` is known only to {known:?}"));
    }
    match (floor(from), floor(to)) {
        (Some(from_floor), Some(to_floor)) if to_floor < from_floor => None,
        (Some(from_floor), Some(to_floor)) if to_floor == from_floor => Some(format!(
            "`{from}` and `{to}` live on the same floor and do not know each other; what both need belongs lower down"
        )),
        (Some(_), Some(_)) => Some(format!("`{to}` lives above `{from}`; move what is needed down, or the caller up")),
        _ => Some(format!(
            "`{from}` or `{to}` has no place in the plan yet: give it one in tests/it/floor_plan.rs and src/lib.rs"
        )),
    }
}

/// Gathers all complaints, so that one run shows them all.
fn complain(complaints: &[String]) {
    let mut text = String::new();
    for complaint in complaints {
        let _ = writeln!(text, "  {complaint}");
    }
    assert!(complaints.is_empty(), "the house is not as planned (docs/ARCHITECTURE.md):\n{text}");
}

#[test]
fn imports_go_down() {
    let sources = sources();
    assert!(sources.len() > 20, "the sources were not found");
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test) {
        let Some(module) = source.module() else { continue };
        for (at, name) in crate_references(&source.code) {
            if let Some(why) = objection(module, &name) {
                complaints.push(format!("{}: `crate::{name}`: {why}", source.place(at)));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn what_one_module_keeps_no_other_names() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test) {
        for (word, places, why) in KEPT {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for at in words(&source.code, word) {
                let named = source.code[at + word.len()..].starts_with("::") || *word == "expose";
                if named {
                    complaints.push(format!("{}: `{word}` is kept by {places:?}: {why}", source.place(at)));
                }
            }
        }
    }
    complain(&complaints);
}

#[test]
fn only_the_decision_makes_an_admission() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| source.path != "policy/decide.rs") {
        for at in words(&source.code, "Admission") {
            let before = source.code[..at].trim_end();
            let harmless = ["->", "impl", "for", "struct", "&", "dyn"].iter().any(|word| before.ends_with(word));
            if source.code[at + "Admission".len()..].trim_start().starts_with('{') && !harmless {
                complaints.push(format!("{}: an `Admission` is made in policy/decide.rs alone", source.place(at)));
            }
        }
    }
    complain(&complaints);
}

#[test]
fn files_stay_readable() {
    let mut complaints = Vec::new();
    for source in sources() {
        if source.lines > LONGEST_FILE {
            complaints
                .push(format!("src/{} has {} lines; {LONGEST_FILE} are a file's limit", source.path, source.lines));
        }
        if !source.opens_with_doc && !source.is_test {
            complaints.push(format!("src/{} does not open by saying what lives there (`//!`)", source.path));
        }
    }
    complain(&complaints);
}

#[test]
fn the_reader_of_sources_is_not_blind() {
    let code = bare(
        "use crate::{domain::{Host, Scope}, policy::decide, app};\n// crate::cli\nlet a: &'a str = \"crate::cli\"; crate::vault::x(r#\"crate::cli\"#, 'c', '\\'');\nfn f() -> crate::tls::X {}",
    );
    let names: Vec<String> = crate_references(&code).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["domain", "policy", "app", "vault", "tls"]);
    assert_eq!(words("sled::x sledge::y my_sled::z (sled::a)", "sled").count(), 2);
    for (from, to, fine) in [
        ("signin", "vault", true),
        ("vault", "policy", false),
        ("policy", "signin", false),
        ("simulator", "orcid", false),
        ("simulator", "domain", true),
        ("proxy", "config", false),
        ("app", "config", true),
        ("proxy", "newcomer", false),
    ] {
        assert_eq!(objection(from, to).is_none(), fine, "{from} -> {to}");
    }
    let cut = without_tests(&bare("fn a() {}\n#[cfg(test)]\nmod tests {\n use crate::cli;\n}"));
    assert!(crate_references(&cut).is_empty());
}
