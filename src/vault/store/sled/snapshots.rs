//! sled's snapshot files after a kill or a power loss, put in order before it opens.

use crate::vault::{VaultFault, files};
use std::path::Path;

/// How sled names a snapshot while it writes it; it renames it when it is whole.
const BEGUN: &str = ".generating";

/// What a kill leaves of a begun snapshot sled takes for its newest one at the next start, and reports damage (it passes
/// over names that end otherwise): the store would be rebuilt from the journal, without its sessions (T71). It is removed;
/// the snapshot before, and all written since, are still there. A **whole** one gets its name: after a power loss the
/// renaming can be undone, while what sled wrote next is there, zeros over parts of the log that only the older snapshot
/// needs. The vault's lock is held, so nobody else is writing one.
pub(super) fn put_in_order(directory: &Path) -> Result<(), VaultFault> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(VaultFault::file("read", directory)(fault)),
    };
    let mut changed = false;
    for entry in entries {
        let path = entry.map_err(VaultFault::file("read", directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(name) = name.strip_suffix(BEGUN).filter(|name| name.starts_with("snap.")) else { continue };
        changed = true;
        if is_whole(&std::fs::read(&path).map_err(VaultFault::file("read", &path))?) {
            std::fs::rename(&path, directory.join(name)).map_err(VaultFault::file("rename", &path))?;
        } else {
            std::fs::remove_file(&path).map_err(VaultFault::file("remove", &path))?;
        }
    }
    if changed { files::sync_directory(directory) } else { Ok(()) }
}

/// Whether a snapshot was written to its end: the text, eight bytes of length, and a CRC-32 of the text (sled 0.34).
fn is_whole(bytes: &[u8]) -> bool {
    let Some((rest, sum)) = bytes.split_last_chunk::<4>() else { return false };
    let Some((text, _)) = rest.split_last_chunk::<8>() else { return false };
    // A disk may show zeros where nothing was written yet, and nothing has the sum zero.
    !text.is_empty() && crc32fast::hash(text) == u32::from_le_bytes(*sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn files(directory: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let is_snapshot = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("snap.");
        entries.filter(is_snapshot).collect()
    }

    /// Told by a snapshot that sled itself wrote, so that another layout of another sled is noticed.
    #[test]
    fn t71_a_whole_snapshot_gets_its_name_and_a_part_of_one_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("store");
        for _ in 0..2 {
            let db = sled::Config::new().path(&folder).open().unwrap();
            db.insert("a", "b").unwrap();
            db.flush().unwrap();
        }
        let [named] = &files(&folder)[..] else { panic!("sled keeps one snapshot") };
        let whole = std::fs::read(named).unwrap();
        let begun = PathBuf::from(format!("{}{BEGUN}", named.display()));
        std::fs::rename(named, &begun).unwrap();
        put_in_order(&folder).unwrap();
        assert_eq!(files(&folder), std::slice::from_ref(named));
        assert_eq!(std::fs::read(named).unwrap(), whole);
        let mut changed = whole.clone();
        changed[0] ^= 1;
        let cut = &whole[..whole.len() - 1];
        for left in [&b""[..], &[0; 12], &[0; 4096], &whole[..12], cut, &changed] {
            std::fs::write(&begun, left).unwrap();
            put_in_order(&folder).unwrap();
            assert_eq!(files(&folder), std::slice::from_ref(named), "{} bytes", left.len());
            assert_eq!(std::fs::read(named).unwrap(), whole, "{} bytes", left.len());
        }
        put_in_order(&place.path().join("nowhere")).unwrap();
    }
}
