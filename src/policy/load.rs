//! Reads policy files and makes the [`PolicySet`] in force, or says everything that is wrong with them.
//! Called by `app` at start and at every reload, by `check` and `explain`. The only IO of `policy`.

use super::compile::{Claims, Surroundings, compile};
use super::keys;
use super::read::{Complaints, Found, Source, Table, parse};
use super::reserved::ReservedNames;
use super::site::Site;
use crate::domain::{ClientName, Environment, Host, Membership, Problem, Scope, SiteName};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest file read, in bytes (policy files, lists of iDs, authorities).
const MAX_FILE: u64 = 4 << 20;

/// What policies need to know of the configuration.
#[derive(Clone, Debug)]
pub struct PolicyContext {
    pub sign_in_host: Host,
    pub clients: BTreeMap<ClientName, ClientFacts>,
    pub default_client: Option<ClientName>,
}

/// A client registration as policies see it.
#[derive(Clone, Debug)]
pub struct ClientFacts {
    pub environment: Environment,
    pub membership: Membership,
    /// `openid` or `/authenticate`: what every sign-in asks for.
    pub base_scope: Scope,
    /// Its researchers are known by the provider's own names for them, not by iDs.
    pub foreign_subjects: bool,
}

/// All sites, as one generation: a request is decided by one set from beginning to end.
#[derive(Debug)]
pub struct PolicySet {
    sites: Vec<Arc<Site>>,
    by_host: HashMap<Host, usize>,
    reserved: ReservedNames,
    generation: String,
    files: Vec<PathBuf>,
}

impl PolicySet {
    pub fn site_for_host(&self, host: &Host) -> Option<&Arc<Site>> {
        self.by_host.get(host).map(|index| &self.sites[*index])
    }

    pub fn site(&self, name: &SiteName) -> Option<&Arc<Site>> {
        self.sites.iter().find(|site| site.name == *name)
    }

    /// In the order of their files' names.
    pub fn sites(&self) -> &[Arc<Site>] {
        &self.sites
    }

    /// The identity header names of all sites and presets.
    pub fn reserved(&self) -> &ReservedNames {
        &self.reserved
    }

    /// Sixteen hexadecimal digits that differ when any file read for this set differed.
    pub fn generation(&self) -> &str {
        &self.generation
    }

    /// Every file this set was made from, lists of iDs and authorities included; watch these.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// Reads files, and remembers what it read.
pub(super) struct Reader<'a> {
    read: &'a dyn Fn(&Path) -> io::Result<String>,
    seen: RefCell<BTreeMap<PathBuf, String>>,
}

impl Reader<'_> {
    pub(super) fn read(&self, path: &Path) -> io::Result<String> {
        if let Some(text) = self.seen.borrow().get(path) {
            return Ok(text.clone());
        }
        let text = (self.read)(path)?;
        self.seen.borrow_mut().insert(path.to_owned(), text.clone());
        Ok(text)
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("the file is larger than {} MiB", MAX_FILE >> 20)));
    }
    Ok(text)
}

/// Reads every `*.toml` of `directory` (hidden files and sub-directories aside) in the order of names.
/// The set is `None` if and only if a problem is an error.
pub fn load(directory: &Path, context: &PolicyContext) -> (Option<PolicySet>, Vec<Problem>) {
    let (files, mut problems) = gather(directory);
    let (set, mut found) = load_files(&files, context);
    problems.append(&mut found);
    let broken = problems.iter().any(Problem::is_error);
    (set.filter(|_| !broken), problems)
}

fn gather(directory: &Path) -> (Vec<(PathBuf, String)>, Vec<Problem>) {
    let unreadable = |path: &Path, error: &io::Error| {
        Problem::error(format!("cannot be read: {error}"))
            .file(path)
            .remedy("look at the name and at the permissions of the account the gate runs as")
    };
    let entries = match std::fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return (Vec::new(), vec![unreadable(directory, &error)]),
    };
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        !hidden && path.extension().is_some_and(|extension| extension == "toml") && !path.is_dir()
    });
    paths.sort();
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        match read_bounded(&path) {
            Ok(text) => files.push((path, text)),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    if files.is_empty() && problems.is_empty() {
        let problem = Problem::warning("there are no policy files, so the gate protects nothing");
        problems.push(problem.file(directory).remedy("write one file NAME.toml for each site"));
    }
    (files, problems)
}

/// The same from texts already read; lists of iDs are still read from beside the given paths.
pub fn load_files(files: &[(PathBuf, String)], context: &PolicyContext) -> (Option<PolicySet>, Vec<Problem>) {
    let complaints = Complaints::default();
    let reader = Reader { read: &read_bounded, seen: RefCell::default() };
    let around = Surroundings { context, reader: &reader };
    let mut read = Vec::new();
    for (path, text) in files {
        let source = Source::new(path, text, &complaints);
        let (claims, site) = match parse(&source, text) {
            Some(table) => compile(&Table::new(&source, String::new(), 1, table.get_ref(), keys::TOP), around),
            None => (Claims::default(), None),
        };
        read.push((path.clone(), claims, site));
    }
    complain_of_rival_claims(&read, &complaints);
    let broken = complaints.errors() > 0;
    let mut problems = complaints.into_problems();
    problems.sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
    if broken {
        return (None, problems);
    }
    let sites: Vec<Arc<Site>> = read.into_iter().filter_map(|(_, _, site)| site).map(Arc::new).collect();
    (Some(assemble(sites, files, reader.seen.into_inner())), problems)
}

fn assemble(sites: Vec<Arc<Site>>, files: &[(PathBuf, String)], lists: BTreeMap<PathBuf, String>) -> PolicySet {
    let by_host = sites
        .iter()
        .enumerate()
        .flat_map(|(index, site)| site.hosts.iter().map(move |host| (host.clone(), index)))
        .collect();
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    let mut paths = Vec::new();
    for (path, text) in files.iter().map(|(path, text)| (path, text)).chain(&lists) {
        for part in [path.as_os_str().as_encoded_bytes(), text.as_bytes()] {
            hash.update(&(part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        paths.push(path.clone());
    }
    let generation = hash.finish().as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let reserved = ReservedNames::new(&sites);
    PolicySet { sites, by_host, reserved, generation, files: paths }
}

type FileRead = (PathBuf, Claims, Option<Site>);

/// Names, hosts and audiences belong to one site each.
fn complain_of_rival_claims(read: &[FileRead], complaints: &Complaints) {
    let mut names: HashMap<&SiteName, (&Path, usize)> = HashMap::new();
    let mut hosts: HashMap<&Host, (&Path, usize)> = HashMap::new();
    let mut audiences: HashMap<&str, &Path> = HashMap::new();
    for (path, claims, site) in read {
        if let Some(found) = &claims.name {
            let Found { value, line, key } = found;
            match names.get(value) {
                Some((other, at)) => complaints.add(
                    Problem::error(format!("another site is called `{value}` too: {}:{at}", other.display()))
                        .file(path)
                        .line(*line)
                        .key(key.clone()),
                ),
                None => drop(names.insert(value, (path, *line))),
            }
        }
        for Found { value, line, key } in &claims.hosts {
            match hosts.get(value) {
                Some((other, at)) => complaints.add(
                    Problem::error(format!("the host `{value}` is claimed twice"))
                        .file(path)
                        .line(*line)
                        .key(key.clone())
                        .found(format!("also at {}:{at}", other.display()))
                        .remedy("a host belongs to one site; remove it from one of the two files"),
                ),
                None => drop(hosts.insert(value, (path, *line))),
            }
        }
        let audience =
            site.as_ref().and_then(|site| site.hand_off.assertion.as_ref()).map(|spec| spec.audience.as_str());
        if let Some(audience) = audience
            && let Some(other) = audiences.insert(audience, path)
        {
            // One site's assertion would be good at the other (T18).
            let message = format!("the audience `{audience}` is used by another site too: {}", other.display());
            let problem = Problem::error(message).file(path).key("hand-off.assertion.audience");
            complaints.add(problem.remedy("give each site an audience of its own; its name is the default"));
        }
    }
}
