//! Reads one TOML text with positions: every complaint gets its line, unknown keys a "did you mean".
//! Used by the compilers of site, hand-off, rules and cases; performs no IO.

use crate::domain::Problem;
use crate::domain::quantity;
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Collects complaints; shared by all readers of one load.
#[derive(Debug, Default)]
pub(super) struct Complaints(RefCell<Vec<Problem>>);

impl Complaints {
    pub(super) fn add(&self, problem: Problem) {
        self.0.borrow_mut().push(problem);
    }

    pub(super) fn errors(&self) -> usize {
        self.0.borrow().iter().filter(|problem| problem.is_error()).count()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) line: usize,
    pub(super) key: String,
}

impl<T> Found<T> {
    pub(super) fn with<U>(&self, value: U) -> Found<U> {
        Found { value, line: self.line, key: self.key.clone() }
    }
}

/// One file under reading: its name and where its lines begin.
#[derive(Debug)]
pub(super) struct Source<'p> {
    pub(super) file: PathBuf,
    starts: Vec<usize>,
    pub(super) complaints: &'p Complaints,
}

impl<'p> Source<'p> {
    pub(super) fn new(file: &Path, text: &str, complaints: &'p Complaints) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file: file.to_owned(), starts, complaints }
    }

    /// The one-based line of a byte offset.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }

    pub(super) fn error(&self, line: usize, key: &str, message: impl Into<String>) -> Problem {
        Problem::error(message).file(&self.file).line(line).key(key)
    }

    pub(super) fn warning(&self, line: usize, key: &str, message: impl Into<String>) -> Problem {
        Problem::warning(message).file(&self.file).line(line).key(key)
    }

    pub(super) fn add(&self, problem: Problem) {
        self.complaints.add(problem);
    }
}

/// The kind of a value, in words for complaints.
fn kind(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text \"{}\"", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) => "a date".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// One table of the file. Unknown keys have been complained about when it exists.
#[derive(Clone, Debug)]
pub(super) struct Table<'t> {
    pub(super) source: &'t Source<'t>,
    pub(super) name: String,
    pub(super) line: usize,
    table: &'t DeTable<'t>,
}

impl<'t> Table<'t> {
    /// `allowed` lists the keys of this table; an empty list allows any (the `headers` map).
    pub(super) fn new(
        source: &'t Source<'t>,
        name: String,
        line: usize,
        table: &'t DeTable<'t>,
        allowed: &[&str],
    ) -> Self {
        let this = Self { source, name, line, table };
        for key in table.keys() {
            let word: &str = key.get_ref();
            if !allowed.is_empty() && !allowed.contains(&word) {
                this.unknown(word, source.line(key.span().start), allowed);
            }
        }
        this
    }

    fn unknown(&self, word: &str, line: usize, allowed: &[&str]) {
        let shown: String = word.chars().take(60).collect();
        let problem = self
            .source
            .error(line, &self.path(&shown), format!("there is no key `{shown}` here"))
            .expected(quantity::one_of(allowed.iter().copied()));
        self.source.add(match quantity::nearest(word, allowed.iter().copied()) {
            Some(near) => problem.remedy(format!("did you mean `{near}`?")),
            None => problem.remedy("remove the line, or see docs/POLICIES.md for what a site file may hold"),
        });
    }

    /// The key's full path, `rule[2].scopes`.
    pub(super) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(super) fn complain(&self, message: impl Into<String>) -> Problem {
        self.source.error(self.line, &self.name, message)
    }

    fn value(&self, key: &str) -> Option<(&'t DeValue<'t>, usize)> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(name, value)| {
            let start = name.span().start;
            (value.get_ref(), self.source.line(start))
        })
    }

    /// The line of `key`, or of the table when it is absent.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.value(key).map_or(self.line, |(_, line)| line)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &'t str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    fn wrong_type(&self, line: usize, path: &str, value: &DeValue<'_>, expected: &str) {
        self.source.add(
            self.source
                .error(line, path, "this has the wrong type")
                .found(kind(value))
                .expected(expected)
                .remedy("see docs/POLICIES.md for the form of this key"),
        );
    }

    fn read<T>(&self, key: &str, expected: &str, take: impl FnOnce(&'t DeValue<'t>) -> Option<T>) -> Option<Found<T>> {
        let (value, line) = self.value(key)?;
        match take(value) {
            Some(taken) => Some(Found { value: taken, line, key: self.path(key) }),
            None => {
                self.wrong_type(line, &self.path(key), value, expected);
                None
            }
        }
    }

    /// A text without control characters.
    pub(super) fn text(&self, key: &str) -> Option<Found<String>> {
        let found = self.read(key, "a text in quotation marks", |value| value.as_str().map(str::to_owned))?;
        if found.value.chars().any(char::is_control) {
            self.source.add(self.source.error(found.line, &found.key, "this text holds control characters"));
            return None;
        }
        Some(found)
    }

    pub(super) fn flag(&self, key: &str) -> Option<Found<bool>> {
        self.read(key, "`true` or `false`", DeValue::as_bool)
    }

    /// Whether `key` is exactly this word; says nothing if it is anything else.
    pub(super) fn is_word(&self, key: &str, word: &str) -> bool {
        self.value(key).is_some_and(|(value, _)| value.as_str() == Some(word))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, key: &str, choices: &[(&str, T)]) -> Option<Found<T>> {
        let words = || choices.iter().map(|(word, _)| *word);
        let found = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == found.value) {
            return Some(found.with(*value));
        }
        let problem = self
            .source
            .error(found.line, &found.key, format!("`{}` is not one of the possible words", found.value))
            .expected(quantity::one_of(words()));
        self.source.add(match quantity::nearest(&found.value, words()) {
            Some(near) => problem.remedy(format!("did you mean \"{near}\"?")),
            None => problem.remedy("choose one of the words above"),
        });
        None
    }

    pub(super) fn duration(&self, key: &str) -> Option<Found<Duration>> {
        let found = self.read(key, quantity::DURATION_FORM, |value| value.as_str().map(str::to_owned))?;
        match quantity::duration(&found.value) {
            Ok(value) => Some(found.with(value)),
            Err(message) => {
                self.source.add(self.source.error(found.line, &found.key, message).expected(quantity::DURATION_FORM));
                None
            }
        }
    }

    /// A number of bytes, written as a number or as a text with a unit.
    pub(super) fn size(&self, key: &str) -> Option<Found<u64>> {
        let found = self.read(key, quantity::SIZE_FORM, |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.to_string()),
            _ => None,
        })?;
        match quantity::size(&found.value) {
            Ok(value) => Some(found.with(value)),
            Err(message) => {
                self.source.add(self.source.error(found.line, &found.key, message).expected(quantity::SIZE_FORM));
                None
            }
        }
    }

    /// The elements of a list, or one element standing alone when `single` allows it. Each has its own line.
    pub(super) fn elements(&self, key: &str, single: bool, expected: &str) -> Option<Found<Vec<Element<'t>>>> {
        self.read(key, expected, |value| match value {
            DeValue::Array(list) => Some(
                list.iter()
                    .enumerate()
                    .map(|(at, element)| Element {
                        value: element.get_ref(),
                        line: self.source.line(element.span().start),
                        path: format!("{}[{}]", self.path(key), at + 1),
                    })
                    .collect(),
            ),
            one @ DeValue::String(_) if single => {
                Some(vec![Element { value: one, line: self.line_of(key), path: self.path(key) }])
            }
            _ => None,
        })
    }

    /// A list of texts. Elements of another type are complained about and left out.
    pub(super) fn texts(&self, key: &str, single: bool) -> Option<Found<Vec<Found<String>>>> {
        let expected = if single { "a text or a list of texts" } else { "a list of texts, such as [\"…\", \"…\"]" };
        let list = self.elements(key, single, expected)?;
        let mut texts = Vec::new();
        for element in &list.value {
            match element.value.as_str() {
                Some(text) => {
                    texts.push(Found { value: text.to_owned(), line: element.line, key: element.path.clone() });
                }
                None => self.wrong_type(element.line, &element.path, element.value, "a text in quotation marks"),
            }
        }
        Some(list.with(texts))
    }

    /// A table inside this one.
    pub(super) fn table(&self, key: &str, allowed: &[&str]) -> Option<Table<'t>> {
        let found = self.read(key, "a table", DeValue::as_table)?;
        Some(Table::new(self.source, found.key, found.line, found.value, allowed))
    }

    /// A list of tables, `[[key]]`; named `key[1]`, `key[2]`, … in complaints.
    pub(super) fn tables(&self, key: &str, allowed: &[&str]) -> Vec<Table<'t>> {
        let expected = format!("one or more tables headed [[{key}]]");
        let Some(list) = self.elements(key, false, &expected) else { return Vec::new() };
        let mut tables = Vec::new();
        for element in list.value {
            match element.value {
                DeValue::Table(table) => {
                    tables.push(Table::new(self.source, element.path, element.line, table, allowed));
                }
                other => self.wrong_type(element.line, &element.path, other, &expected),
            }
        }
        tables
    }
}

/// One element of a list.
#[derive(Clone, Debug)]
pub(super) struct Element<'t> {
    pub(super) value: &'t DeValue<'t>,
    pub(super) line: usize,
    pub(super) path: String,
}

/// Parses the text; syntax errors become complaints and `None` comes back.
pub(super) fn parse<'a>(source: &Source<'_>, text: &'a str) -> Option<Spanned<DeTable<'a>>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let line = error.span().map_or(1, |span| source.line(span.start));
        let message = error.message().lines().next().unwrap_or("this is not TOML");
        source.add(
            Problem::error(format!("not valid TOML: {message}"))
                .file(&source.file)
                .line(line)
                .remedy("mend the line; texts stand in quotation marks, lists in [ ], tables in { }"),
        );
    }
    errors.is_empty().then_some(table)
}
