//! [`Folder`]: what an operator's directory of templates holds, read once at start and bounded.
//! Called by [`super::Pages::new`].

use super::{templates, texts};
use crate::domain::Problem;
use std::path::{Path, PathBuf};

/// Bytes; larger files are refused.
const LARGEST: u64 = 256 * 1024;
const MOST_FILES: usize = 100;

/// Files other than templates that change something.
const KNOWN: &[&str] =
    &[texts::FILE, "style.css", "custom.css", "icon.svg", "logo.svg", "logo.png", "orcid-icon.svg", "orcid-icon.png"];

/// The files found, by name.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub path: PathBuf,
    /// Templates: file name and source.
    pub templates: Vec<(String, String)>,
    others: Vec<(String, Vec<u8>)>,
}

impl Folder {
    /// Reads `path`. Files that change nothing are remarked upon, for they are likely misspelled.
    pub(super) fn read(path: &Path) -> (Folder, Vec<Problem>) {
        let mut folder = Folder { path: path.to_owned(), ..Folder::default() };
        let mut problems = Vec::new();
        let names = match names(path) {
            Ok(names) => names,
            Err(error) => {
                let problem = Problem::error(format!("the templates directory cannot be read: {error}")).file(path);
                return (folder, vec![problem.remedy("create it, or take the setting away")]);
            }
        };
        for name in names {
            if let Err(problem) = folder.take(&name) {
                problems.push(problem.file(path.join(&name)));
            }
        }
        (folder, problems)
    }

    fn take(&mut self, name: &str) -> Result<(), Box<Problem>> {
        let is_template = name.ends_with(".html");
        if !is_template && !KNOWN.contains(&name) {
            return Err(stranger(name).into());
        }
        if self.templates.len() + self.others.len() >= MOST_FILES {
            return Err(Problem::error(format!("a templates directory may hold at most {MOST_FILES} files")).into());
        }
        let file = self.path.join(name);
        let unreadable = |error: std::io::Error| Problem::error(format!("this file cannot be read: {error}"));
        let length = std::fs::metadata(&file).map_err(unreadable)?.len();
        if length > LARGEST {
            return Err(Problem::error("this file is too large for a page")
                .found(format!("{length} bytes"))
                .expected(format!("at most {LARGEST} bytes"))
                .into());
        }
        let body = std::fs::read(&file).map_err(unreadable)?;
        if is_template || name == texts::FILE {
            let text = String::from_utf8(body).map_err(|_| Problem::error("this file is not UTF-8 text"))?;
            match is_template {
                true => self.templates.push((name.to_owned(), text)),
                false => self.others.push((name.to_owned(), text.into_bytes())),
            }
        } else {
            self.others.push((name.to_owned(), body));
        }
        Ok(())
    }

    /// A file that is no template, by name.
    pub(super) fn file(&self, name: &str) -> Option<&[u8]> {
        self.others.iter().find(|(known, _)| known == name).map(|(_, body)| body.as_slice())
    }

    /// The text file, whose bytes were found to be UTF-8.
    pub(super) fn texts(&self) -> Option<&str> {
        self.file(texts::FILE).and_then(|body| std::str::from_utf8(body).ok())
    }
}

/// Sorted, so that complaints come in the same order every time; hidden files and editors' copies are
/// nobody's mistake.
fn names(path: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)?.take(10 * MOST_FILES) {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !name.ends_with('~') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn stranger(name: &str) -> Problem {
    let near = templates::names()
        .chain(KNOWN.iter().copied())
        .map(|known| (strsim::jaro(known, name), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let problem = Problem::warning("this file changes nothing: no page uses a file of this name");
    match near {
        Some((likeness, known)) if likeness > 0.8 => problem.remedy(format!("did you mean `{known}`?")),
        _ => problem.remedy("move it out of the templates directory"),
    }
}
