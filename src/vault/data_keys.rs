//! Every researcher has a data key; what is kept about them is sealed under it, and erasing them means
//! destroying it. Data keys lie in 1,024 small files outside of the store and the journal, so that no
//! old page and no journal line can bring one back.

mod bucket;
mod keeper;

use super::bounded::Bounded;
use super::cipher::Cipher;
use super::key_ring::KeyId;
use super::names::Locator;
use super::seal::{self, Keys};
use super::trees::Address;
use super::{VaultFault, files};
use crate::domain::Chance;
use bucket::{BUCKETS, DataKeyId, Entry, Erased, bucket_of};
use keeper::{Keeper, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroizing;

/// Requests waiting for the keeper; further ones wait for a place.
const QUEUE: usize = 1024;
/// Data keys kept in memory, about 150 bytes each.
const CACHED: usize = 65_536;
const SHARDS: usize = 64;

/// The layout of personal records: version, locator, data key id, then nonce, ciphertext and tag.
const VERSION: u8 = 1;
const HEADER: usize = 1 + 16 + 8;

/// A researcher's key, ready for use.
#[derive(Debug)]
pub(super) struct DataKey {
    person: Locator,
    id: DataKeyId,
    cipher: Cipher,
}

impl DataKey {
    fn new(entry: &Entry) -> Self {
        Self { person: Locator(entry.person), id: entry.id, cipher: Cipher::new(&entry.secret, "personal record") }
    }

    /// Seals a record of this researcher for the row at `address`.
    pub(super) fn seal(&self, chance: &dyn Chance, address: &Address, record: &impl Serialize) -> Vec<u8> {
        let mut header = [0; HEADER];
        header[0] = VERSION;
        header[1..17].copy_from_slice(&self.person.0);
        header[17..].copy_from_slice(&self.id);
        self.cipher.seal(chance, &header, address.bytes(), &seal::encode(record))
    }
}

/// What readers and the keeper share.
struct Shared {
    directory: PathBuf,
    store_id: [u8; 16],
    keys: Arc<Keys>,
    chance: Arc<dyn Chance>,
    /// Locked while a bucket is read into it and while a changed one is told to it, so that a reader
    /// cannot put back what the keeper has just destroyed.
    cache: Vec<Mutex<Bounded<Locator, Arc<DataKey>>>>,
    erased: RwLock<Erased>,
}

impl Shared {
    fn cache(&self, bucket: u16) -> MutexGuard<'_, Bounded<Locator, Arc<DataKey>>> {
        self.cache[usize::from(bucket) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bucket without the keys that must never come back.
    fn read(&self, bucket: u16) -> Result<Vec<Entry>, VaultFault> {
        let mut entries = bucket::read(&self.directory, bucket, &self.keys, &self.store_id)?;
        let erased = self.erased.read().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| !erased.holds(Locator(entry.person), &entry.id));
        Ok(entries)
    }
}

/// All data keys of a vault.
pub(super) struct DataKeys {
    shared: Arc<Shared>,
    requests: RwLock<Option<mpsc::Sender<Request>>>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl DataKeys {
    fn directory(vault: &Path) -> PathBuf {
        vault.join("people")
    }

    /// Whether the vault in `directory` has ever had a researcher.
    pub(super) fn any(vault: &Path) -> Result<bool, VaultFault> {
        let directory = Self::directory(vault);
        if !files::exists(&directory)? {
            return Ok(false);
        }
        let mut entries = std::fs::read_dir(&directory).map_err(VaultFault::file("read", &directory))?;
        Ok(entries.next().is_some())
    }

    /// Opens the buckets, applies the list of the erased first, and starts the keeper, which seals
    /// anew whatever is not under the active key.
    pub(super) fn open(
        vault: &Path,
        store_id: [u8; 16],
        keys: Arc<Keys>,
        chance: Arc<dyn Chance>,
    ) -> Result<Self, VaultFault> {
        let directory = Self::directory(vault);
        files::make_private_directory(&directory)?;
        let erased = RwLock::new(Erased::load(vault)?);
        let cache = (0..SHARDS).map(|_| Mutex::new(Bounded::new(CACHED / SHARDS))).collect();
        let shared = Arc::new(Shared { directory, store_id, keys, chance, cache, erased });
        let (requests, queue) = mpsc::channel(QUEUE);
        let keeper = Keeper::new(shared.clone());
        let keeper = std::thread::Builder::new()
            .name("vault-people".to_owned())
            .spawn(move || keeper.run(queue))
            .map_err(|fault| VaultFault::Store { what: format!("no thread for its data keys: {fault}") })?;
        let people = Self { shared, requests: RwLock::new(Some(requests)), keeper: Mutex::new(Some(keeper)) };
        // Fails now rather than at some researcher's next visit when a key has been dropped too soon.
        let ring: Vec<KeyId> = people.shared.keys.shown().iter().map(|key| key.id).collect();
        match people.lacking(&ring)? {
            None => Ok(people),
            Some((bucket, id)) => {
                let (what, path) = (bucket.display().to_string(), people.shared.keys.path());
                Err(VaultFault::KeyDropped { what, id: id.to_string(), path })
            }
        }
    }

    /// The person's key, if they have one. Reads a small file when it is not in memory.
    pub(super) fn find(&self, person: Locator) -> Result<Option<Arc<DataKey>>, VaultFault> {
        let bucket = bucket_of(person);
        let mut cache = self.shared.cache(bucket);
        if let Some(key) = cache.get(&person) {
            return Ok(Some(key.clone()));
        }
        let entries = self.shared.read(bucket)?;
        let Some(entry) = entries.iter().find(|entry| entry.person == person.0) else { return Ok(None) };
        let key = Arc::new(DataKey::new(entry));
        cache.insert(person, key.clone());
        Ok(Some(key))
    }

    /// The person's key; a new one, durable on return, if they have none.
    pub(super) async fn find_or_make(&self, person: Locator) -> Result<Arc<DataKey>, VaultFault> {
        match self.find(person)? {
            Some(key) => Ok(key),
            None => self.ask(|answer| Request::Make { person, answer }).await,
        }
    }

    /// Destroys the person's key, if they have one: nothing sealed under it can be read from then on.
    pub(super) async fn erase(&self, person: Locator) -> Result<(), VaultFault> {
        self.ask(|answer| Request::Erase { person, answer }).await
    }

    /// The first bucket, if any, that lies under a key which is not among `ring`, and that key.
    pub(super) fn lacking(&self, ring: &[KeyId]) -> Result<Option<(PathBuf, KeyId)>, VaultFault> {
        for bucket in 0..BUCKETS {
            let sealed_with = bucket::sealed_with(&self.shared.directory, bucket)?;
            if let Some(id) = sealed_with.filter(|id| !ring.contains(id)) {
                return Ok(Some((bucket::path(&self.shared.directory, bucket), id)));
            }
        }
        Ok(None)
    }

    /// Has the keeper seal anew, in its own time, what is not under the active key.
    pub(super) async fn reseal(&self) -> Result<(), VaultFault> {
        self.ask(|answer| Request::Reseal { answer }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, VaultFault>>) -> Request,
    ) -> Result<T, VaultFault> {
        let requests = self.requests.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (answer, answered) = oneshot::channel();
        requests.ok_or(VaultFault::Closed)?.send(request(answer)).await.map_err(|_| VaultFault::Closed)?;
        answered.await.map_err(|_| VaultFault::Closed)?
    }

    /// Opens a personal record; `None` when its researcher has been erased since it was sealed.
    pub(super) fn open_record<T: DeserializeOwned>(
        &self,
        what: &'static str,
        address: &Address,
        sealed: &[u8],
    ) -> Result<Option<T>, VaultFault> {
        let plain = self.open_plain(what, address, sealed)?;
        plain.map(|plain| seal::decode(what, &plain)).transpose()
    }

    /// The same for a kind of record that has got a further field since the first gates, an option at its end.
    pub(super) fn open_grown_record<T: DeserializeOwned>(
        &self,
        what: &'static str,
        address: &Address,
        sealed: &[u8],
    ) -> Result<Option<T>, VaultFault> {
        let plain = self.open_plain(what, address, sealed)?;
        plain.map(|plain| seal::decode_grown(what, &plain)).transpose()
    }

    fn open_plain(
        &self,
        what: &'static str,
        address: &Address,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, VaultFault> {
        let Some((person, id)) = sealed_for(what, sealed)? else { return Err(VaultFault::Unreadable { what }) };
        let Some(key) = self.find(person)?.filter(|key| key.id == id) else { return Ok(None) };
        key.cipher.open(sealed, HEADER, address.bytes()).ok_or(VaultFault::Unreadable { what }).map(Some)
    }

    /// Whose record this is.
    pub(super) fn owner(what: &'static str, sealed: &[u8]) -> Result<Locator, VaultFault> {
        let owner = sealed_for(what, sealed)?.map(|(person, _)| person);
        owner.ok_or(VaultFault::Unreadable { what })
    }

    /// Whether the researcher this record belongs to has been erased since.
    pub(super) fn is_erased(&self, what: &'static str, sealed: &[u8]) -> Result<bool, VaultFault> {
        let Some((person, id)) = sealed_for(what, sealed)? else { return Err(VaultFault::Unreadable { what }) };
        Ok(self.find(person)?.is_none_or(|key| key.id != id))
    }

    /// Finishes what was handed in and stops the keeper. Blocks.
    pub(super) fn close(&self) {
        self.requests.write().unwrap_or_else(PoisonError::into_inner).take();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if keeper.is_some_and(|keeper| keeper.join().is_err()) {
            tracing::error!("the keeper of the data keys had panicked");
        }
    }
}

impl Drop for DataKeys {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whose record this is and which of their keys sealed it.
fn sealed_for(what: &'static str, sealed: &[u8]) -> Result<Option<(Locator, DataKeyId)>, VaultFault> {
    let Some((version, rest)) = sealed.split_first() else { return Ok(None) };
    if *version != VERSION {
        return Err(VaultFault::RecordVersion { what, version: *version });
    }
    let Some((person, rest)) = rest.split_first_chunk::<16>() else { return Ok(None) };
    Ok(rest.first_chunk::<8>().map(|id| (Locator(*person), *id)))
}
