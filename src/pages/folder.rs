//! [`Folder`]: what an operator's directory of templates holds, read once at start and bounded; and [`Layers`]: a
//! site's own directory over the organisation's. Called by [`super::Pages`].

use super::{templates, texts};
use crate::domain::{Language, Problem};
use std::path::{Path, PathBuf};

/// Bytes; larger files are refused.
const LARGEST: u64 = 256 * 1024;
const MOST_FILES: usize = 100;
/// Directories of sites.
const MOST_SITES: usize = 2_000;
/// The directory that holds one directory a site.
const SITES: &str = "sites";

/// Files other than templates and texts that change something.
const KNOWN: &[&str] =
    &["style.css", "custom.css", "icon.svg", "logo.svg", "logo.png", "orcid-icon.svg", "orcid-icon.png"];

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
        for name in names.iter().filter(|name| *name != SITES) {
            if let Err(problem) = folder.take(name) {
                problems.push(problem.file(path.join(name)));
            }
        }
        (folder, problems)
    }

    /// The directories of single sites below `path`, by the site's name.
    pub(super) fn of_sites(path: &Path) -> (Vec<(String, Folder)>, Vec<Problem>) {
        let place = path.join(SITES);
        let mut problems = Vec::new();
        if !place.is_dir() {
            return (Vec::new(), problems);
        }
        let names = names(&place).unwrap_or_else(|error| {
            problems.push(Problem::error(format!("this directory cannot be read: {error}")).file(&place));
            Vec::new()
        });
        if names.len() > MOST_SITES {
            problems.push(Problem::error(format!("at most {MOST_SITES} sites may have a directory here")).file(&place));
            return (Vec::new(), problems);
        }
        let mut sites = Vec::new();
        for name in names {
            let (folder, found) = Folder::read(&place.join(&name));
            problems.extend(found);
            sites.push((name, folder));
        }
        (sites, problems)
    }

    fn take(&mut self, name: &str) -> Result<(), Box<Problem>> {
        let is_template = name.ends_with(".html");
        let is_text = texts::FILES.contains(&name);
        if !is_template && !is_text && !KNOWN.contains(&name) {
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
        if is_template || is_text {
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
    fn file(&self, name: &str) -> Option<&[u8]> {
        self.others.iter().find(|(known, _)| known == name).map(|(_, body)| body.as_slice())
    }
}

/// Directories whose files stand for ours: the organisation's first, then a site's, which goes before it.
#[derive(Clone, Copy)]
pub(super) struct Layers<'a>(pub &'a [&'a Folder]);

impl<'a> Layers<'a> {
    /// A file that is no template.
    pub(super) fn file(self, name: &str) -> Option<&'a [u8]> {
        self.0.iter().rev().find_map(|folder| folder.file(name))
    }

    /// Every directory's file of this name, the organisation's first.
    pub(super) fn each(self, name: &str) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        self.0.iter().filter_map(move |folder| folder.file(name))
    }

    /// The text files of a language: where each is, and what it says.
    pub(super) fn texts(self, language: Language) -> impl Iterator<Item = (PathBuf, &'a str)> {
        let name = format!("{language}.toml");
        self.0.iter().filter_map(move |folder| {
            // Its bytes were found to be UTF-8.
            let source = std::str::from_utf8(folder.file(&name)?).ok()?;
            Some((folder.path.join(&name), source))
        })
    }

    pub(super) fn templates(self) -> impl Iterator<Item = &'a (String, String)> {
        self.0.iter().flat_map(|folder| folder.templates.iter())
    }

    /// Where the template of this name was read.
    pub(super) fn place_of(self, template: &str) -> PathBuf {
        let has = |folder: &&&Folder| folder.templates.iter().any(|(name, _)| name == template);
        let folder = self.0.iter().rev().find(has).or(self.0.first());
        folder.map(|folder| folder.path.join(template)).unwrap_or_else(|| PathBuf::from(template))
    }

    /// Whether pages of this language differ from ours.
    pub(super) fn change(self, language: Language) -> bool {
        self.templates().next().is_some() || self.texts(language).next().is_some()
    }
}

/// Sorted, so that complaints come in the same order every time; hidden files and editors' copies are
/// nobody's mistake.
fn names(path: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path)?.take(10 * MOST_SITES) {
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
        .chain(texts::FILES)
        .map(|known| (strsim::jaro(known, name), known))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let problem = Problem::warning("this file changes nothing: no page uses a file of this name");
    match near {
        Some((likeness, known)) if likeness > 0.8 => problem.remedy(format!("did you mean `{known}`?")),
        _ => problem.remedy("move it out of the templates directory"),
    }
}
