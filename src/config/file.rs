//! [`File`]: the configuration as written, merged from file, environment and command line (figment), each
//! value with the place it came from. Made and consumed by `load`.

use super::keys::{self, CLIENT, KEYS, Kind};
use crate::domain::quantity;
use crate::domain::{ClientName, Problem};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Variables beginning with this are ours.
const PREFIX: &str = "LYCHGATE__";

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration file, at this line.
    File(usize),
    /// This environment variable.
    Variable(String),
    CommandLine,
    Default,
}

/// A value as written. No `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Every known key that was set anywhere, by its path. No `Debug`: secrets are among them.
pub(super) struct File {
    pub(super) path: PathBuf,
    values: BTreeMap<String, Given>,
    /// Client registrations, also those with nothing in them.
    pub(super) clients: BTreeSet<ClientName>,
    /// Lines of paths that are not values: tables, certificates.
    lines: BTreeMap<String, usize>,
}

impl File {
    pub(super) fn given(&self, path: &str) -> Option<&Given> {
        self.values.get(path)
    }

    /// The line of a table such as `clients.main` or `tls.certificates[2]`.
    pub(super) fn line(&self, path: &str) -> Option<usize> {
        self.lines.get(path).copied()
    }

    /// A complaint that points to where `path` was set, or to its table.
    pub(super) fn place(&self, problem: Problem, path: &str) -> Problem {
        let table = path.rsplit_once('.').map_or(path, |(table, _)| table);
        match self.values.get(path).map(|given| &given.origin) {
            Some(Origin::Variable(name)) => problem.key(name.clone()),
            Some(Origin::CommandLine) => problem.key(format!("{path} (command line)")),
            Some(Origin::File(line)) => problem.file(&self.path).line(*line).key(path),
            Some(Origin::Default) | None => {
                let problem = problem.file(&self.path).key(path);
                match self.line(path).or_else(|| self.line(table)) {
                    Some(line) => problem.line(line),
                    None => problem,
                }
            }
        }
    }
}

/// One source of values, in the shape figment merges.
struct Layer {
    name: &'static str,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Merges the layers. `None` when the text is not TOML at all; everything else comes with complaints.
pub(super) fn read(
    path: &Path,
    text: &str,
    overrides: &[(String, String)],
    variables: &[(String, String)],
    problems: &mut Vec<Problem>,
) -> Option<File> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let line_at = |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
    for error in &errors {
        let message = error.message().lines().next().unwrap_or("this is not TOML").to_owned();
        let line = error.span().map_or(1, |span| line_at(span.start));
        let problem = Problem::error(format!("not valid TOML: {message}")).file(path).line(line);
        problems.push(problem.remedy("mend the line; texts stand in quotation marks, lists in [ ], tables in { }"));
    }
    let mut walk = Walk { path, line_at: &line_at, lines: BTreeMap::new(), problems };
    let from_file = walk.file(table.get_ref());
    let lines = walk.lines;
    let (from_environment, names) = environment(variables, problems);
    let from_command_line = command_line(overrides, problems);
    if !errors.is_empty() {
        return None;
    }
    let figment = Figment::from(Layer { name: "file", dict: from_file })
        .merge(Layer { name: "environment", dict: from_environment })
        .merge(Layer { name: "command line", dict: from_command_line });
    Some(collect(path, &figment, lines, &names))
}

fn collect(path: &Path, figment: &Figment, lines: BTreeMap<String, usize>, names: &BTreeMap<String, String>) -> File {
    let clients: BTreeSet<ClientName> = match figment.find_value("clients") {
        Ok(Value::Dict(_, dict)) => dict.keys().filter_map(|name| name.parse().ok()).collect(),
        _ => BTreeSet::new(),
    };
    let mut paths: Vec<String> = Vec::new();
    for key in KEYS {
        match key.path.strip_prefix(CLIENT) {
            Some(name) => paths.extend(clients.iter().map(|client| format!("clients.{client}.{name}"))),
            None => paths.push(key.path.to_owned()),
        }
    }
    let mut values = BTreeMap::new();
    for path in paths {
        let Ok(value) = figment.find_value(&path) else { continue };
        let layer = figment.get_metadata(value.tag()).map(|metadata| metadata.name.as_ref());
        let origin = match (layer, names.get(&path)) {
            (Some("environment"), Some(name)) => Origin::Variable(name.clone()),
            (Some("command line"), _) => Origin::CommandLine,
            _ => Origin::File(lines.get(&path).copied().unwrap_or(1)),
        };
        values.insert(path, Given { value, origin });
    }
    File { path: path.to_owned(), values, clients, lines }
}

/// Walks the parsed file: notes lines, complains of unknown keys, builds the layer.
struct Walk<'a> {
    path: &'a Path,
    line_at: &'a dyn Fn(usize) -> usize,
    lines: BTreeMap<String, usize>,
    problems: &'a mut Vec<Problem>,
}

impl Walk<'_> {
    fn file(&mut self, top: &DeTable<'_>) -> Dict {
        let mut dict = Dict::new();
        for (name, value) in top {
            let (section, line) = (name.get_ref().as_ref(), (self.line_at)(name.span().start));
            self.lines.insert(section.to_owned(), line);
            if !keys::sections().contains(&section) {
                let problem = unknown_section(section).file(self.path).line(line).key(section);
                self.problems.push(problem);
                continue;
            }
            let DeValue::Table(table) = value.get_ref() else {
                self.not_a_table(section, line);
                continue;
            };
            let inner = if section == "clients" { self.clients(table) } else { self.section(section, section, table) };
            dict.insert(section.to_owned(), inner.into());
        }
        dict
    }

    fn not_a_table(&mut self, path: &str, line: usize) {
        let problem = Problem::error("this has the wrong type").file(self.path).line(line).key(path);
        self.problems.push(problem.expected(format!("a table headed [{path}]")));
    }

    fn clients(&mut self, table: &DeTable<'_>) -> Dict {
        let mut dict = Dict::new();
        for (name, value) in table {
            let (client, line) = (name.get_ref().as_ref(), (self.line_at)(name.span().start));
            let path = format!("clients.{client}");
            self.lines.insert(path.clone(), line);
            if let Err(error) = client.parse::<ClientName>() {
                self.problems.push(Problem::error(error.to_string()).file(self.path).line(line).key(path));
                continue;
            }
            match value.get_ref() {
                DeValue::Table(inner) => {
                    let inner = self.section("clients", &path, inner);
                    dict.insert(client.to_owned(), inner.into());
                }
                _ => self.not_a_table(&path, line),
            }
        }
        dict
    }

    fn section(&mut self, section: &str, at: &str, table: &DeTable<'_>) -> Dict {
        let mut dict = Dict::new();
        for (name, value) in table {
            let (word, line) = (name.get_ref().as_ref(), (self.line_at)(name.span().start));
            let path = format!("{at}.{word}");
            if keys::find(&path).is_none() {
                let shown: String = path.chars().take(80).collect();
                self.problems.push(unknown_key(section, word).file(self.path).line(line).key(shown));
                continue;
            }
            self.lines.insert(path.clone(), line);
            if let DeValue::Array(list) = value.get_ref() {
                for (at, element) in list.iter().enumerate() {
                    self.lines.insert(format!("{path}[{}]", at + 1), (self.line_at)(element.span().start));
                }
            }
            dict.insert(word.to_owned(), figment_value(value.get_ref()));
        }
        dict
    }
}

/// TOML to figment. Numbers stay texts until their key says what they are, so that none is ever rounded.
fn figment_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::from(text.as_ref()),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::from(number),
            Err(_) => Value::from(f64::NAN),
        },
        DeValue::Float(number) => Value::from(number.as_str().parse::<f64>().unwrap_or(f64::NAN)),
        // No key is a date: a kind that no reader takes, so that each complains in its own words.
        DeValue::Datetime(_) => Value::from(f64::NAN),
        DeValue::Array(list) => Value::from(list.iter().map(|one| figment_value(one.get_ref())).collect::<Vec<_>>()),
        DeValue::Table(table) => Value::from(
            table
                .iter()
                .map(|(name, value)| (name.get_ref().to_string(), figment_value(value.get_ref())))
                .collect::<Dict>(),
        ),
    }
}

fn unknown_section(section: &str) -> Problem {
    let sections = keys::sections();
    let shown: String = section.chars().take(60).collect();
    let problem =
        Problem::error(format!("there is no section `{shown}`")).expected(quantity::one_of(sections.iter().copied()));
    match quantity::nearest(section, sections) {
        Some(near) => problem.remedy(format!("did you mean [{near}]?")),
        None => match keys::section_of(section) {
            Some(home) => problem.remedy(format!("`{shown}` belongs in the section [{home}]")),
            None => problem.remedy("remove it, or see docs/CONFIGURATION.md for what there is"),
        },
    }
}

fn unknown_key(section: &str, word: &str) -> Problem {
    let known = keys::of_section(section);
    let shown: String = word.chars().take(60).collect();
    let problem =
        Problem::error(format!("there is no key `{shown}` here")).expected(quantity::one_of(known.iter().copied()));
    let near = quantity::nearest(word, known);
    match (keys::section_of(word), near) {
        (Some(home), _) => problem.remedy(format!("`{shown}` belongs in the section [{home}]")),
        (None, Some(near)) => problem.remedy(format!("did you mean `{near}`?")),
        (None, None) => problem.remedy("remove it, or see docs/CONFIGURATION.md for what there is"),
    }
}

/// `LYCHGATE__SECTION__KEY`, `LYCHGATE__CLIENTS__NAME__KEY` (an `_` in NAME stands for `-`). Empty values
/// count as not set. Returns the layer and the variable behind each path.
fn environment(variables: &[(String, String)], problems: &mut Vec<Problem>) -> (Dict, BTreeMap<String, String>) {
    let (mut dict, mut names) = (Dict::new(), BTreeMap::new());
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            if name.starts_with("LYCHGATE_") && name.contains("__") {
                let problem = Problem::warning("this variable is not read: two underscores follow LYCHGATE");
                problems.push(problem.key(name.clone()).remedy(format!("did you mean {PREFIX}…?")));
            }
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let mut parts: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
        if let [section, client, _] = parts.as_mut_slice()
            && section == "clients"
        {
            *client = client.replace('_', "-");
        }
        match set(&mut dict, &parts, value) {
            Ok(path) => drop(names.insert(path, name.clone())),
            Err(problem) => problems.push(problem.key(name.clone())),
        }
    }
    (dict, names)
}

/// `section.key=value` pairs.
fn command_line(overrides: &[(String, String)], problems: &mut Vec<Problem>) -> Dict {
    let mut dict = Dict::new();
    for (path, value) in overrides {
        let parts: Vec<String> = path.split('.').map(str::to_owned).collect();
        let key = format!("{path} (command line)");
        if keys::find(path).is_some_and(|key| key.secret) {
            let problem = Problem::error("a secret on the command line can be read by everybody on this machine");
            problems.push(problem.key(key).remedy("use secret_file, credential or an environment variable"));
            continue;
        }
        if let Err(problem) = set(&mut dict, &parts, value) {
            problems.push(problem.key(key));
        }
    }
    dict
}

/// Puts one text value into a layer, if there is such a key.
fn set(dict: &mut Dict, parts: &[String], value: &str) -> Result<String, Box<Problem>> {
    let path = parts.join(".");
    let section = parts.first().map(String::as_str).unwrap_or_default();
    let word = parts.last().map(String::as_str).unwrap_or_default();
    if !keys::sections().contains(&section) {
        return Err(unknown_section(section).into());
    }
    if section == "clients" {
        let name = parts.get(1).map(String::as_str).unwrap_or_default();
        name.parse::<ClientName>().map_err(|error| Problem::error(error.to_string()))?;
    }
    let depth = if section == "clients" { 3 } else { 2 };
    let Some(key) = keys::find(&path).filter(|_| parts.len() == depth) else {
        return Err(unknown_key(section, word).into());
    };
    if key.kind == Kind::Certificates {
        return Err(Problem::error("certificates are named in the configuration file alone")
            .remedy("write certificates = [{ cert = \"…\", key = \"…\" }] under [tls]")
            .into());
    }
    let mut inner = dict;
    for part in &parts[..depth - 1] {
        let next = inner.entry(part.clone()).or_insert_with(|| Value::from(Dict::new()));
        let Value::Dict(_, below) = next else { return Err(unknown_key(section, word).into()) };
        inner = below;
    }
    inner.insert(word.to_owned(), Value::from(value));
    Ok(path)
}
