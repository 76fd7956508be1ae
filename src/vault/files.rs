//! Small files that are always whole: written beside, synced, renamed, the directory synced.
//! Used for the format file, the names key, the buckets of data keys and the journal.

use super::VaultFault;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The name a file has while it is being written. Leftovers of a crash are overwritten by the next write.
pub(super) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// Writes `bytes` to `path` and syncs them, without renaming anything. Mode 0600.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), VaultFault> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(VaultFault::file("write", path))
}

/// Makes renames and new files in `directory` survive a power cut.
pub(super) fn sync_directory(directory: &Path) -> Result<(), VaultFault> {
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(VaultFault::file("sync", directory))
}

/// Puts `bytes` in place of whatever `path` held: after a crash either the old or the new text is there.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), VaultFault> {
    let beside = unfinished(path);
    write_synced(&beside, bytes)?;
    fs::rename(&beside, path).map_err(VaultFault::file("replace", path))?;
    sync_directory(parent(path))
}

/// The directory a file stands in.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Reads a whole file of at most `limit` bytes; `None` when there is none.
pub(super) fn read_if_there(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, VaultFault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(VaultFault::file("open", path)(fault)),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(VaultFault::file("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(VaultFault::Damaged {
            path: path.to_owned(),
            what: format!("it has more than {limit} bytes"),
            remedy: "Restore it from a backup.",
        });
    }
    Ok(Some(bytes))
}

/// Makes a directory, and those above it, that only the gate's own user can enter.
pub(super) fn make_private_directory(directory: &Path) -> Result<(), VaultFault> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(VaultFault::file("make", directory))
}

/// Whether anything stands at `path`.
pub(super) fn exists(path: &Path) -> Result<bool, VaultFault> {
    path.try_exists().map_err(VaultFault::file("look at", path))
}
