//! The list of iDs a rule admits: written out, or kept in files of one iD a line. Called by
//! `compile_rules`.

use super::keys;
use super::load::Reader;
use super::read::Table;
use crate::domain::{Environment, OrcidId, Problem};
use std::path::Path;
use toml::de::DeValue;

const EXPECTED: &str = "a list of iDs and files, such as [\"0000-0002-1825-0097\", { file = \"admins.txt\" }]";

/// Reads `researchers`; sorted, without repetition. `None` when the rule has no such key.
pub(super) fn researchers(
    table: &Table<'_>,
    environment: Option<Environment>,
    reader: &Reader<'_>,
) -> Option<Vec<OrcidId>> {
    let list = table.elements("researchers", false, EXPECTED)?;
    let source = table.source;
    if list.value.is_empty() {
        let problem = source.error(list.line, &list.key, "an empty list of researchers lets nobody in");
        source.add(problem.remedy("remove the key to admit every researcher, or list at least one iD"));
    }
    let mut ids = Vec::new();
    for element in &list.value {
        match element.value {
            DeValue::String(text) => match read_id(text, environment) {
                Ok(id) => ids.push(id),
                Err(problem) => source.add(problem.file(&source.file).line(element.line).key(element.path.clone())),
            },
            DeValue::Table(inner) => {
                let entry = Table::new(source, element.path.clone(), element.line, inner, keys::RESEARCHERS);
                match entry.text("file") {
                    Some(found) => {
                        let path = source.file.parent().unwrap_or(Path::new("")).join(&found.value);
                        match reader.read(&path) {
                            Ok(text) => ids.extend(read_list(source, &path, &text, environment)),
                            Err(error) => {
                                let message = format!("the file {} cannot be read: {error}", path.display());
                                let problem = source.error(found.line, &found.key, message);
                                source.add(problem.expected("a text file with one iD a line"));
                            }
                        }
                    }
                    None if entry.has("file") => {}
                    None => source.add(entry.complain("the entry names no file").expected(EXPECTED)),
                }
            }
            _ => {
                let problem = source.error(element.line, &element.path, "this has the wrong type");
                source.add(problem.expected(EXPECTED));
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Some(ids)
}

/// One iD a line; `#` begins a comment, empty lines are skipped. A file may be empty: striking off the
/// last researcher must work like striking off any other.
fn read_list(
    source: &super::read::Source<'_>,
    path: &Path,
    text: &str,
    environment: Option<Environment>,
) -> Vec<OrcidId> {
    let mut ids = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim().trim_start_matches('\u{feff}');
        if entry.is_empty() {
            continue;
        }
        match read_id(entry, environment) {
            Ok(id) => ids.push(id),
            Err(problem) => source.add(problem.file(path).line(at + 1)),
        }
    }
    if ids.is_empty() {
        let problem = Problem::warning("this list names nobody, so the rules that use it admit nobody through it");
        source.add(problem.file(path));
    }
    ids
}

fn read_id(text: &str, environment: Option<Environment>) -> Result<OrcidId, Box<Problem>> {
    let id = text.parse::<OrcidId>().map_err(|error| {
        Problem::error(error.to_string())
            .expected("an ORCID iD such as 0000-0002-1825-0097")
            .remedy("copy the iD from the researcher's record; never guess a check digit")
    })?;
    let sandboxed = text.contains("sandbox.orcid.org");
    let real = text.contains("//orcid.org") || text.contains("//www.orcid.org");
    match environment {
        Some(Environment::Production) if sandboxed => {
            let problem = Problem::error(format!("`{text}` is an iD of the sandbox, the site's client is not"));
            Err(problem.remedy("list the researcher's real iD: the same digits belong to somebody else there").into())
        }
        Some(Environment::Sandbox) if real => {
            let problem = Problem::error(format!("`{text}` is a real iD, the site's client is one of the sandbox"));
            Err(problem.remedy("list the researcher's iD at sandbox.orcid.org").into())
        }
        _ => Ok(id),
    }
}
