//! [`VaultFault`]: everything that can keep the vault from answering, in words an operator can act on.
//! Holds no secret and no personal data. Made all over `vault`, read by whoever called it.

use std::io;
use std::path::{Path, PathBuf};

/// Why the vault could not do what was asked. "Not there" is never a fault: that is an `Option`.
#[derive(Debug, thiserror::Error)]
pub enum VaultFault {
    #[error("cannot {doing} {path}: {source}", path = .path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },

    #[error(
        "the vault directory {directory} is in use by another gate; stop that one first, or give this one a directory of its own",
        directory = .directory.display()
    )]
    InUse { directory: PathBuf },

    #[error(
        "{directory} holds files but no vault (there is no FORMAT file in it); point the vault at an empty directory or at an existing vault",
        directory = .directory.display()
    )]
    Foreign { directory: PathBuf },

    #[error("{path} is not the format file of a vault ({what}); restore it from a backup", path = .path.display())]
    FormatFile { path: PathBuf, what: &'static str },

    #[error(
        "the vault in {directory} has format {found}, this program knows up to {known}; use the newer program that wrote it",
        directory = .directory.display()
    )]
    Newer { directory: PathBuf, found: u32, known: u32 },

    #[error(
        "the vault in {directory} belongs to the simulator, whose people are invented; real sign-ins need a directory of their own",
        directory = .directory.display()
    )]
    HoldsSimulation { directory: PathBuf },

    #[error(
        "the vault in {directory} holds real connections; the simulator needs a directory of its own",
        directory = .directory.display()
    )]
    HoldsReality { directory: PathBuf },

    #[error(
        "the key file {path} may be read or written by others (mode {mode:04o}); its keys open the whole vault: chmod 600 {path}",
        path = .path.display()
    )]
    KeyFileExposed { path: PathBuf, mode: u32 },

    #[error(
        "the key file {path} is missing, and without it nothing in {directory} can be read; put it back from its safe copy",
        path = .path.display(), directory = .directory.display()
    )]
    KeyFileMissing { path: PathBuf, directory: PathBuf },

    #[error("the key file {path} exists already and is left as it is; `lychgate keys rotate` adds a key to it", path = .path.display())]
    KeyFileExists { path: PathBuf },

    #[error("the key file {path}, line {line}: {what}; expected `ID CREATED KEY`: 8 hex digits, seconds since 1970, 64 hex digits", path = .path.display())]
    KeyLine { path: PathBuf, line: usize, what: &'static str },

    #[error("the key file {path} holds {what}", path = .path.display())]
    KeyFile { path: PathBuf, what: &'static str },

    #[error(
        "{what} is sealed with key {id}, which the key file {path} no longer holds; put that key's line back, or name the key file of this vault",
        path = .path.display()
    )]
    KeyDropped { what: String, id: String, path: PathBuf },

    #[error(
        "the key file {path} holds another key under the id {id} than the one in use; put that key's line back as it was, and give a new key an id of its own, as `lychgate keys rotate` does",
        path = .path.display()
    )]
    KeyAltered { id: String, path: PathBuf },

    #[error("{path} is damaged: {what}. {remedy}", path = .path.display())]
    Damaged { path: PathBuf, what: String, remedy: &'static str },

    #[error("{what} does not open: it was changed on disk, or belongs elsewhere")]
    Unreadable { what: &'static str },

    #[error("{what} was written in record format {version}, which this program does not know")]
    RecordVersion { what: &'static str, version: u8 },

    #[error("the store failed: {what}; nothing is read or written until the gate is started again")]
    Store { what: String },

    #[error("there is no room to write: {what}")]
    NoRoom { what: String },

    #[error("a record or change of {bytes} bytes is too large for the store, the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },

    #[error("the vault has been closed")]
    Closed,

    #[error("too many changes to the same record at once; try again")]
    Contended,
}

impl VaultFault {
    /// Turns an input or output error into a fault that says what was being done to which file.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { doing, path, source }
    }

    /// The same fault once more, for several callers that wait for one write.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::File { doing, path, source } => {
                let source = io::Error::new(source.kind(), source.to_string());
                Self::File { doing, path: path.clone(), source }
            }
            Self::Damaged { path, what, remedy } => Self::Damaged { path: path.clone(), what: what.clone(), remedy },
            Self::KeyDropped { what, id, path } => {
                Self::KeyDropped { what: what.clone(), id: id.clone(), path: path.clone() }
            }
            Self::TooLarge { bytes, limit } => Self::TooLarge { bytes: *bytes, limit: *limit },
            Self::NoRoom { what } => Self::NoRoom { what: what.clone() },
            Self::Unreadable { what } => Self::Unreadable { what },
            Self::Closed => Self::Closed,
            Self::Store { what } => Self::Store { what: what.clone() },
            other => Self::Store { what: other.to_string() },
        }
    }
}
