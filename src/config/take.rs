//! [`Take`]: typed access to a [`File`], one getter for each kind of key. Every mistake becomes a
//! complaint and the default goes on, so that all of them are found in one run. Used by `build`.

use super::file::{File, Given, Origin};
use super::keys::{self, CLIENT, KEYS, Kind};
use super::settings::Effective;
use crate::domain::Problem;
use crate::domain::quantity;
use figment::value::Value;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(super) struct Take<'a> {
    pub(super) file: &'a File,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Take<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, problems: RefCell::default() }
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    /// Adds a complaint about the value of `path`, placed where that was set.
    pub(super) fn complain(&self, path: &str, problem: Problem) {
        self.problems.borrow_mut().push(self.file.place(problem, path));
    }

    /// The value as written or by default.
    fn given(&self, path: &str) -> Option<Given> {
        let default = || {
            let text = keys::find(path).expect("only keys of the table are asked for").default?;
            Some(Given { value: Value::from(text), origin: Origin::Default })
        };
        self.file.given(path).cloned().or_else(default)
    }

    pub(super) fn is_set(&self, path: &str) -> bool {
        self.file.given(path).is_some()
    }

    /// Whether the value in force stands in the configuration file itself.
    pub(super) fn is_in_file(&self, path: &str) -> bool {
        self.file.given(path).is_some_and(|given| matches!(given.origin, Origin::File(_)))
    }

    fn wrong(&self, path: &str, given: &Given, expected: &str) {
        let secret = keys::find(path).is_some_and(|key| key.secret);
        let problem = Problem::error("this has the wrong type").expected(expected);
        self.complain(path, if secret { problem } else { problem.found(words(&given.value)) });
    }

    /// A value written as text; `convert` says what is wrong with it.
    fn convert<T>(&self, path: &str, expected: &str, convert: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let given = self.given(path)?;
        let Some(text) = given.value.as_str() else {
            self.wrong(path, &given, expected);
            return None;
        };
        match convert(text.trim()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.complain(path, Problem::error(message).expected(expected));
                None
            }
        }
    }

    /// A text without control characters; an empty one counts as a mistake.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let read = |text: &str| match text {
            "" => Err("this is empty".to_owned()),
            text if text.chars().any(char::is_control) => Err("this holds control characters".to_owned()),
            text => Ok(text.to_owned()),
        };
        self.convert(path, "a text in quotation marks", read)
    }

    /// A text that must be there.
    pub(super) fn required(&self, path: &str, example: &str) -> Option<String> {
        if !self.is_set(path) {
            let name = path.rsplit('.').next().unwrap_or(path);
            let problem = Problem::error(format!("`{name}` is missing")).expected(example);
            let variable = format!("LYCHGATE__{}", path.to_ascii_uppercase().replace('-', "_").replace('.', "__"));
            self.complain(path, problem.remedy(format!("add it to the file, or set {variable}")));
            return None;
        }
        self.text(path)
    }

    pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&self, path: &str, expected: &str) -> Option<T> {
        self.convert(path, expected, |text| text.parse::<T>().map_err(|error| error.to_string()))
    }

    pub(super) fn choice<T: Copy>(&self, path: &str, choices: &[(&str, T)]) -> Option<T> {
        let words = || choices.iter().map(|(word, _)| *word);
        self.convert(path, &quantity::one_of(words()), |text| {
            if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
                return Ok(*value);
            }
            let shown: String = text.chars().take(60).collect();
            Err(match quantity::nearest(text, words()) {
                Some(near) => format!("`{shown}` is not one of the possible words; did you mean \"{near}\"?"),
                None => format!("`{shown}` is not one of the possible words"),
            })
        })
    }

    /// The same without complaining a second time.
    pub(super) fn choice_quietly<T: Copy>(&self, path: &str, choices: &[(&str, T)]) -> Option<T> {
        let given = self.given(path)?;
        let text = given.value.as_str()?.trim();
        choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
    }

    pub(super) fn flag(&self, path: &str) -> bool {
        let Some(given) = self.given(path) else { return false };
        match (&given.value, &given.origin) {
            (Value::Bool(_, flag), _) => *flag,
            // Only the file can tell a word from a text.
            (Value::String(_, text), origin) if !matches!(origin, Origin::File(_)) && text == "true" => true,
            (Value::String(_, text), origin) if !matches!(origin, Origin::File(_)) && text == "false" => false,
            _ => {
                self.wrong(path, &given, "true or false");
                false
            }
        }
    }

    /// A whole number within the bounds of the key table.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        let given = self.given(path)?;
        let Some(Kind::Number(low, high)) = keys::find(path).map(|key| key.kind) else { return None };
        let expected = format!("a whole number from {low} to {high}");
        let number = match (&given.value, &given.origin) {
            (Value::Num(_, number), _) => whole(*number),
            (Value::String(_, text), Origin::Variable(_) | Origin::CommandLine | Origin::Default) => {
                text.trim().parse::<u64>().ok()
            }
            _ => None,
        };
        match number {
            Some(number) if (low..=high).contains(&number) => Some(number),
            Some(number) => {
                let problem = Problem::error("this number is out of bounds").found(number).expected(expected);
                self.complain(path, problem);
                None
            }
            None => {
                self.wrong(path, &given, &expected);
                None
            }
        }
    }

    pub(super) fn count(&self, path: &str) -> Option<usize> {
        self.number(path).and_then(|number| usize::try_from(number).ok())
    }

    /// A length of time between the two, both included.
    pub(super) fn duration(&self, path: &str, low: Duration, high: Duration) -> Option<Duration> {
        let value = self.convert(path, quantity::DURATION_FORM, quantity::duration)?;
        if (low..=high).contains(&value) {
            return Some(value);
        }
        let problem = Problem::error("this length of time is out of bounds").found(format!("{value:?}"));
        self.complain(path, problem.expected(format!("from {} to {}", spoken(low), spoken(high))));
        None
    }

    /// A number of bytes between the two, both included.
    pub(super) fn size(&self, path: &str, low: u64, high: u64) -> Option<u64> {
        let given = self.given(path)?;
        let text = match &given.value {
            Value::Num(_, number) => whole(*number).map(|number| number.to_string()),
            other => other.as_str().map(str::to_owned),
        };
        let Some(text) = text else {
            self.wrong(path, &given, quantity::SIZE_FORM);
            return None;
        };
        match quantity::size(&text) {
            Ok(value) if (low..=high).contains(&value) => Some(value),
            Ok(value) => {
                let problem = Problem::error("this size is out of bounds").found(format!("{value} bytes"));
                self.complain(path, problem.expected(format!("from {low} to {high} bytes")));
                None
            }
            Err(message) => {
                self.complain(path, Problem::error(message).expected(quantity::SIZE_FORM));
                None
            }
        }
    }

    pub(super) fn address(&self, path: &str) -> Option<SocketAddr> {
        const EXPECTED: &str = "an address and a port, such as \"0.0.0.0:443\", \"127.0.0.1:0\" or \"[::]:443\"";
        self.convert(path, EXPECTED, |text| {
            text.parse()
                .map_err(|_| format!("`{}` is not an address to listen on", text.chars().take(60).collect::<String>()))
        })
    }

    /// The same without complaining a second time.
    pub(super) fn address_quietly(&self, path: &str) -> Option<SocketAddr> {
        self.given(path)?.value.as_str()?.trim().parse().ok()
    }

    /// A file or directory, resolved against the folder of the configuration file.
    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        self.text(path).map(|text| self.resolve(&text))
    }

    pub(super) fn resolve(&self, text: &str) -> PathBuf {
        let base = self.file.path.parent().unwrap_or(std::path::Path::new(""));
        base.join(text)
    }

    /// A list of texts; outside the file, words between commas.
    pub(super) fn list(&self, path: &str) -> Option<Vec<String>> {
        const EXPECTED: &str = "a list of texts, such as [\"RS256\"]";
        let given = self.given(path)?;
        let list: Option<Vec<String>> = match (&given.value, &given.origin) {
            (Value::Array(_, list), _) => list.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
            (Value::String(..), Origin::File(_)) => None,
            (Value::String(_, text), _) => Some(text.split(',').map(|one| one.trim().to_owned()).collect()),
            _ => None,
        };
        match list {
            Some(list) if list.is_empty() => {
                self.complain(path, Problem::error("this list is empty").expected(EXPECTED));
                None
            }
            Some(list) => Some(list),
            None => {
                self.wrong(path, &given, EXPECTED);
                None
            }
        }
    }

    /// The tables of a list, as written: `(path, table)`. Complains of anything else.
    pub(super) fn tables(&self, path: &str, expected: &str) -> Vec<(String, figment::value::Dict)> {
        let Some(given) = self.file.given(path) else { return Vec::new() };
        let Some(list) = given.value.as_array() else {
            self.wrong(path, given, expected);
            return Vec::new();
        };
        if list.is_empty() {
            self.complain(path, Problem::error("this list is empty").expected(expected));
        }
        let mut tables = Vec::new();
        for (at, one) in list.iter().enumerate() {
            let at = format!("{path}[{}]", at + 1);
            match one.as_dict() {
                Some(dict) => tables.push((at, dict.clone())),
                None => self.complain(&at, Problem::error("this has the wrong type").expected(expected)),
            }
        }
        tables
    }

    /// Every key with its value and source, in the order of the key table.
    pub(super) fn effective(&self) -> Vec<Effective> {
        let mut all = Vec::new();
        for key in KEYS.iter().filter(|key| !key.path.starts_with(CLIENT)) {
            all.push(self.effective_line(key.path, key));
        }
        for client in &self.file.clients {
            for key in KEYS {
                if let Some(name) = key.path.strip_prefix(CLIENT) {
                    all.push(self.effective_line(&format!("clients.{client}.{name}"), key));
                }
            }
        }
        all
    }

    fn effective_line(&self, path: &str, key: &keys::Key) -> Effective {
        let given = self.given(path);
        let value = match &given {
            None => "(not set)".to_owned(),
            Some(_) if key.secret => "(hidden)".to_owned(),
            Some(given) => written(&given.value),
        };
        let source = match given.map(|given| given.origin) {
            None | Some(Origin::Default) => "default".to_owned(),
            Some(Origin::File(line)) => format!("{}:{line}", self.file.path.display()),
            Some(Origin::Variable(name)) => name,
            Some(Origin::CommandLine) => "command line".to_owned(),
        };
        Effective { key: path.to_owned(), value, source }
    }
}

/// A number that is whole and not negative (figment keeps signed and unsigned ones apart).
fn whole(number: figment::value::Num) -> Option<u64> {
    let signed = || number.to_i128().and_then(|number| u64::try_from(number).ok());
    number.to_u128().and_then(|number| u64::try_from(number).ok()).or_else(signed)
}

/// A length of time in words a file would use.
fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{} ms", duration.as_millis()),
        seconds if seconds % 86_400 == 0 => format!("{} days", seconds / 86_400),
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// What was found, in words.
fn words(value: &Value) -> String {
    match value {
        Value::String(_, text) => format!("the text \"{}\"", text.chars().take(60).collect::<String>()),
        Value::Bool(_, flag) => format!("`{flag}`"),
        Value::Num(_, number) => match number.to_i128() {
            Some(number) => format!("the number {number}"),
            None => "a value of another kind".to_owned(),
        },
        Value::Array(..) => "a list".to_owned(),
        Value::Dict(..) => "a table".to_owned(),
        Value::Char(..) | Value::Empty(..) => "a value of another kind".to_owned(),
    }
}

/// A value as a file would spell it, without quotation marks around single texts.
fn written(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => number.to_i128().map_or("(not a number)".to_owned(), |number| number.to_string()),
        Value::Array(_, list) => format!("[{}]", list.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, dict) => {
            let pairs = dict.iter().map(|(name, value)| format!("{name} = {}", written(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Char(_, one) => one.to_string(),
        Value::Empty(..) => String::new(),
    }
}
