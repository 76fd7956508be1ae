//! The vault's directory: what lies where, the FORMAT file that says what it is, and the lock that says
//! whose it is. Used by `Vault::open`.
//!
//! ```text
//! FORMAT        version, store id, simulated or not; plain text
//! lock          held by the gate that owns the vault
//! names         the key that hashes people's names, sealed under the ring
//! people/000…   researchers' data keys in 1,024 buckets, sealed under the ring
//! erased        whose data keys were destroyed
//! journal       the rows that cannot be had again, in the order in which they were written
//! store/        sled
//! spool/        forms kept over a sign-in, sealed; emptied at every start
//! ```

use super::{VaultFault, files};
use crate::domain::Chance;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The format this program writes, and the newest it reads.
const VERSION: u32 = 1;
const TITLE: &str = "lychgate vault";
/// A restarted gate may meet the last breath of the one before it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) store_id: [u8; 16],
    pub(super) simulated: bool,
}

/// Where the parts of a vault lie.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) directory: PathBuf,
}

impl Layout {
    fn format(&self) -> PathBuf {
        self.directory.join("FORMAT")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.directory.join("journal")
    }

    pub(super) fn store(&self) -> PathBuf {
        self.directory.join("store")
    }

    /// Made when sled reports corruption: the next start rebuilds.
    pub(super) fn damage_mark(&self) -> PathBuf {
        self.directory.join("store-damaged")
    }

    /// Makes the directory and takes it for this process; some seconds' patience. The lock goes with
    /// the handle.
    pub(super) fn lock(&self) -> Result<File, VaultFault> {
        files::make_private_directory(&self.directory)?;
        let path = self.directory.join("lock");
        let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let lock = open.map_err(VaultFault::file("open", &path))?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(lock),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(VaultFault::InUse { directory: self.directory.clone() });
                }
                Err(TryLockError::Error(fault)) => return Err(VaultFault::file("lock", &path)(fault)),
            }
        }
    }

    /// Reads what kind of vault lies here; `None` when the directory is empty but for the lock and
    /// `key_file`.
    pub(super) fn look(&self, key_file: &Path) -> Result<Option<Format>, VaultFault> {
        let path = self.format();
        if let Some(text) = files::read_if_there(&path, 4096)? {
            return self.parse(&text).map(Some);
        }
        let entries = std::fs::read_dir(&self.directory).map_err(VaultFault::file("read", &self.directory))?;
        for entry in entries {
            let entry = entry.map_err(VaultFault::file("read", &self.directory))?;
            let ours = ["lock", "FORMAT.new"].map(OsStr::new).contains(&entry.file_name().as_os_str());
            let key = key_file.file_name() == Some(&entry.file_name());
            if !ours && !key {
                return Err(VaultFault::Foreign { directory: self.directory.clone() });
            }
        }
        Ok(None)
    }

    /// Version first: of a newer format nothing else is believed.
    fn parse(&self, text: &[u8]) -> Result<Format, VaultFault> {
        let bad = |what| VaultFault::FormatFile { path: self.format(), what };
        let text = std::str::from_utf8(text).map_err(|_| bad("it is not text"))?;
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(bad("its first line is another program's"));
        }
        let mut value = |name: &str, what| {
            let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or_else(|| bad(what))
        };
        let found: u32 =
            value("format", "its version is missing")?.parse().map_err(|_| bad("its version is no number"))?;
        if found > VERSION {
            return Err(VaultFault::Newer { directory: self.directory.clone(), found, known: VERSION });
        }
        if found != VERSION {
            return Err(bad("there never was such a version"));
        }
        let id = value("store", "its store id is missing")?;
        let id =
            u128::from_str_radix(id, 16).ok().filter(|_| id.len() == 32).ok_or_else(|| bad("its store id is none"))?;
        let simulated = match value("simulated", "it does not say whether it is simulated")? {
            "yes" => true,
            "no" => false,
            _ => return Err(bad("it does not say whether it is simulated")),
        };
        Ok(Format { store_id: id.to_be_bytes(), simulated })
    }

    /// Makes this directory a vault.
    pub(super) fn create(&self, simulated: bool, chance: &dyn Chance) -> Result<Format, VaultFault> {
        let format = Format { store_id: chance.bytes(), simulated };
        let id = u128::from_be_bytes(format.store_id);
        let simulated = if simulated { "yes" } else { "no" };
        let text = format!("{TITLE}\nformat {VERSION}\nstore {id:032x}\nsimulated {simulated}\n");
        files::replace(&self.format(), text.as_bytes())?;
        Ok(format)
    }

    /// A simulator's invented people and real researchers never share a vault.
    pub(super) fn check(&self, format: Format, simulated: bool) -> Result<(), VaultFault> {
        let directory = self.directory.clone();
        match (format.simulated, simulated) {
            (true, false) => Err(VaultFault::HoldsSimulation { directory }),
            (false, true) => Err(VaultFault::HoldsReality { directory }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemChance;

    #[test]
    fn a_newer_or_foreign_directory_is_refused_and_left_alone() {
        let id = "0".repeat(32);
        for (text, says) in [
            (format!("lychgate vault\nformat 2\nfuture {id}\n"), "has format 2, this program knows up to 1"),
            (format!("lychgate vault\nformat 0\nstore {id}\nsimulated no\n"), "there never was such a version"),
            ("another program\n".to_owned(), "another program's"),
            (String::new(), "another program's"),
            (format!("lychgate vault\nformat 1\nstore {}\nsimulated no\n", &id[1..]), "its store id is none"),
            (format!("lychgate vault\nformat 1\nstore {id}\nsimulated perhaps\n"), "whether it is simulated"),
            (format!("lychgate vault\nformat 1\nstore {id}\n"), "whether it is simulated"),
        ] {
            let place = tempfile::tempdir().unwrap();
            let layout = Layout { directory: place.path().to_owned() };
            std::fs::write(layout.format(), &text).unwrap();
            let fault = layout.look(Path::new("/elsewhere/keys")).unwrap_err().to_string();
            assert!(fault.contains(says), "{fault}");
            assert_eq!(std::fs::read_to_string(layout.format()).unwrap(), text);
        }
        let place = tempfile::tempdir().unwrap();
        let layout = Layout { directory: place.path().to_owned() };
        std::fs::write(place.path().join("holiday.jpg"), "x").unwrap();
        assert!(matches!(layout.look(Path::new("keys")), Err(VaultFault::Foreign { .. })));
    }

    #[test]
    fn simulated_and_real_never_share() {
        let place = tempfile::tempdir().unwrap();
        let layout = Layout { directory: place.path().to_owned() };
        for made in [true, false] {
            let format = layout.create(made, &SystemChance::default()).unwrap();
            assert_eq!(layout.look(Path::new("keys")).unwrap(), Some(format));
            assert!(layout.check(format, made).is_ok());
            let fault = layout.check(format, !made).unwrap_err().to_string();
            assert!(fault.contains("a directory of its own") || fault.contains("a directory of their own"), "{fault}");
        }
    }
}
