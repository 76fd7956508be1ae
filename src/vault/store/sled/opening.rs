//! [`Opening`]: a sled directory that has been opened but serves nobody yet. `rebuild` looks at it,
//! mends or fills it, and starts the store.

use super::readers::Readers;
use super::snapshots;
use super::writer::Writer;
use super::{QUEUE, Shared, SledStore};
use crate::vault::journal::Journal;
use crate::vault::store::group;
use crate::vault::trees::Address;
use crate::vault::{VaultFault, files};
use sled::{Config, Db, Mode};
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Bytes of pages sled keeps in memory; its own default is a gigabyte.
const CACHE: u64 = 64 * 1024 * 1024;
/// A restarted gate may meet the last breath of the one before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// What opening a directory came to.
pub(in crate::vault) enum Opened {
    Whole(Opening),
    /// sled cannot read its own files; why, in its words.
    Broken(String),
}

pub(in crate::vault) struct Opening {
    pub(super) db: Db,
    /// The log file once more, to sync it ourselves.
    pub(super) data: File,
    pub(super) directory: PathBuf,
}

impl Opening {
    /// Opens or makes the store in `directory`. Blocks.
    pub(in crate::vault) fn open(directory: &Path) -> Result<Opened, VaultFault> {
        snapshots::put_in_order(directory)?;
        let config = Config::new()
            .path(directory)
            .cache_capacity(CACHE)
            .mode(Mode::LowSpace)
            .flush_every_ms(Some(500))
            .print_profile_on_drop(false);
        let start = Instant::now();
        loop {
            // On damaged files sled returns errors in some places and panics in others.
            let fault = match catch_unwind(AssertUnwindSafe(|| config.open())) {
                Ok(Ok(db)) => return Self::finish(db, directory).map(Opened::Whole),
                Ok(Err(fault)) => fault,
                Err(_) => return Ok(Opened::Broken("it panicked while reading its files".to_owned())),
            };
            match fault {
                sled::Error::Io(fault) if fault.to_string().contains("could not acquire lock") => {
                    if start.elapsed() > PATIENCE {
                        return Err(VaultFault::InUse { directory: directory.to_owned() });
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                sled::Error::Io(fault)
                    if !matches!(
                        fault.kind(),
                        std::io::ErrorKind::UnexpectedEof
                            | std::io::ErrorKind::InvalidData
                            | std::io::ErrorKind::InvalidInput
                            | std::io::ErrorKind::Other
                    ) =>
                {
                    return Err(VaultFault::file("open", directory)(fault));
                }
                damaged => return Ok(Opened::Broken(damaged.to_string())),
            }
        }
    }

    fn finish(db: Db, directory: &Path) -> Result<Self, VaultFault> {
        let path = directory.join("db");
        let data = File::options().read(true).write(true).open(&path).map_err(VaultFault::file("open", &path))?;
        // sled has given a new snapshot its name and made older parts of its log void, but syncs no directory.
        files::sync_directory(directory)?;
        Ok(Self { db, data, directory: directory.to_owned() })
    }

    pub(in crate::vault) fn get(&self, at: &Address) -> Result<Option<Vec<u8>>, VaultFault> {
        let stored = self.db.get(at.bytes()).map_err(|fault| failed(&fault))?;
        stored.map(|stored| group::unwrap(&stored).map(<[u8]>::to_vec)).transpose()
    }

    /// All rows below `prefix`, one at a time.
    pub(in crate::vault) fn rows(
        &self,
        prefix: &Address,
    ) -> impl Iterator<Item = Result<(Address, Vec<u8>), VaultFault>> + use<> {
        rows(&self.db, prefix)
    }

    /// Writes rows (`None`: deletes them) and makes them durable.
    pub(in crate::vault) fn write(&self, rows: Vec<(Address, Option<Vec<u8>>)>) -> Result<(), VaultFault> {
        let mut batch = sled::Batch::default();
        for (at, value) in rows {
            match value {
                Some(value) => batch.insert(at.bytes(), group::wrap(&value, None)),
                None => batch.remove(at.bytes()),
            }
        }
        self.db.apply_batch(batch).and_then(|()| self.db.flush()).map_err(|fault| failed(&fault))?;
        self.data.sync_data().map_err(|fault| VaultFault::Store { what: fault.to_string() })
    }

    /// Starts serving; `journal` stands where this store does. `damage_mark` is the file to make when
    /// sled reports corruption later.
    pub(in crate::vault) fn start(self, journal: Journal, damage_mark: &Path) -> Result<SledStore, VaultFault> {
        let Self { db, data, directory } = self;
        let db = Arc::new(db);
        let shared = Arc::new(Shared {
            broken: OnceLock::new(),
            readers: Readers::new(db.clone()),
            watchers: RwLock::default(),
            damage_mark: damage_mark.to_owned(),
        });
        let (jobs, queue) = mpsc::channel(QUEUE);
        let writer = Writer { db, data, directory, journal, shared: shared.clone(), since_snapshot: 0 };
        let writer = std::thread::Builder::new()
            .name("vault-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|fault| VaultFault::Store { what: format!("no thread for its writer: {fault}") })?;
        Ok(SledStore { jobs: RwLock::new(Some(jobs)), shared, writer: Mutex::new(Some(writer)) })
    }
}

fn failed(fault: &sled::Error) -> VaultFault {
    VaultFault::Store { what: fault.to_string() }
}

/// All rows below `prefix`, one at a time.
pub(super) fn rows(db: &Db, prefix: &Address) -> impl Iterator<Item = Result<(Address, Vec<u8>), VaultFault>> + use<> {
    db.scan_prefix(prefix.bytes()).map(|row| {
        let (key, stored) = row.map_err(|fault| failed(&fault))?;
        let address = Address::from_bytes(&key).ok_or(VaultFault::Unreadable { what: "a row's address" })?;
        Ok((address, group::unwrap(&stored)?.to_vec()))
    })
}
