//! [`load`]: the one door to the configuration. Called by `app` at start and by the verbs.

use super::settings::Settings;
use super::{build, file, secrets};
use crate::domain::Problem;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest configuration file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads the configuration: `path`, over it the variables `LYCHGATE__SECTION__KEY` of `env`, over those
/// `overrides` (`("gate.listen", "127.0.0.1:0")`). `env` is the whole environment, for
/// `CREDENTIALS_DIRECTORY` is looked up in it too. The settings are `None` if and only if a problem is an
/// error.
pub fn load(
    path: &Path,
    overrides: Vec<(String, String)>,
    env: impl IntoIterator<Item = (String, String)>,
) -> (Option<Settings>, Vec<Problem>) {
    let (settings, problems) = load_broken(path, overrides, env);
    let broken = problems.iter().any(Problem::is_error);
    (settings.filter(|_| !broken), problems)
}

/// The same, but gives the settings even with errors among the problems, as far as they could be made: for
/// `check`, which goes on to what they point at. Nothing may be started with them.
pub fn load_broken(
    path: &Path,
    overrides: Vec<(String, String)>,
    env: impl IntoIterator<Item = (String, String)>,
) -> (Option<Settings>, Vec<Problem>) {
    let mut variables: Vec<(String, String)> =
        env.into_iter().filter(|(name, _)| name.starts_with("LYCHGATE_") || name == "CREDENTIALS_DIRECTORY").collect();
    variables.sort();
    let credentials = variables.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY");
    let credentials = credentials.map(|(_, value)| PathBuf::from(value)).filter(|path| path.is_absolute());
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return (None, vec![secrets::unreadable(path, &error).file(path)]),
    };
    let mut problems = Vec::new();
    let written = file::read(path, &text, &overrides, &variables, &mut problems);
    let settings = written.and_then(|written| {
        let (settings, mut found) = build::build(&written, credentials.as_deref());
        problems.append(&mut found);
        settings
    });
    problems.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    problems.dedup();
    (settings, problems)
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("the file is larger than 1 MiB"));
    }
    Ok(text)
}
