//! The vault: the only door to disk. Connections, sessions, single-use marks, queued revocations and
//! signing keys, sealed and durable. `session`, `tokens`, `signin` and `app` call it.
//!
//! Beneath it lies a small [`store::Store`]; beside that a [`journal`] of what cannot be had again, and
//! the researchers' [`data_keys`], which make erasing possible. `trees` is the file format on one page.

mod blocking;
mod bounded;
mod cipher;
mod connections;
mod data_keys;
mod fault;
mod files;
mod format;
mod housekeeping;
mod journal;
mod key_ring;
mod lapsed;
mod left;
mod life;
mod names;
mod outages;
mod provider_sessions;
mod rebuild;
mod revocations;
mod rotation;
mod rounds;
mod seal;
mod session_record;
mod sessions;
mod sign_in;
mod signing_keys;
mod site_use;
mod spent;
mod spool;
mod store;
mod stripes;
#[cfg(test)]
mod tests;
mod trees;
mod warm;
mod withdrawal;

pub use connections::{Change, Connection, ConnectionKey, GrantEvent, Page, Renewal, TokenPair};
pub use fault::VaultFault;
pub use key_ring::{KeyId, KeySummary, generate_key_file, list_keys, rotate_key_file};
pub use lapsed::Lapsed;
pub use left::AFTERLIFE;
pub use provider_sessions::{ProviderSignOut, ProviderSignedOut};
pub use revocations::{Revocation, RevocationId};
pub use rotation::Sealing;
pub use rounds::{Round, Stage};
pub use seal::{Purpose, Sealer};
pub use session_record::{HashedSessionKey, ListedSession, LiveSession, Session, SessionKind};
pub use sessions::Warm;
pub use sign_in::{Completed, SignInCompletion};
pub use signing_keys::StoredSigningKey;
pub use site_use::SiteUse;
pub use spent::Mark;
pub use spool::{
    FormFacts, FormId, FormWriter, KeptForm, Refused as FormRefused, Sender, Spool, SpoolLimits, TakenForm,
};

use crate::domain::{Chance, ClientName, Clock, UnixTime};
use data_keys::DataKeys;
use format::Layout;
use housekeeping::Housekeeping;
use key_ring::KeyRing;
use life::Measure;
use names::{ConnectionId, Names};
use outages::Outages;
use rebuild::Rebuilding;
use seal::Keys;
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::{Change as RowChange, Store};
use stripes::Stripes;
use trees::Tree;
use warm::WarmSessions;

/// How often a change is tried again when its rows changed meanwhile.
const RETRIES: usize = 16;
/// How long after its end a session waits to be found ended.
const TO_LAPSE: Duration = Duration::from_secs(120);

/// Where the vault lies and how long its sessions live.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// A directory for the vault alone; made if need be, mode 0700.
    pub directory: PathBuf,
    /// The key ring; made with one key if the vault is new and there is none.
    pub key_file: PathBuf,
    /// Whether the people in it are the simulator's. The two kinds never share a vault.
    pub simulated: bool,
    /// A session ends when it has not been used for this long.
    pub idle: Duration,
    /// And at the latest this long after the sign-in.
    pub absolute: Duration,
    /// Beyond that, while nobody can sign in again because the provider cannot be reached; zero: not at all.
    pub outage_grace: Duration,
    /// Sessions kept in memory, about a kilobyte each.
    pub warm_sessions: u64,
}

/// The parts that the vault and its housekeeping share.
struct Core {
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    keys: Arc<Keys>,
    names: Names,
    people: DataKeys,
    store: Arc<dyn Store>,
    warm: Arc<WarmSessions>,
    stripes: Stripes,
    /// Told when somebody took permissions back, so that the provider hears of it at once.
    given_back: tokio::sync::Notify,
    outages: Outages,
    idle: Duration,
    absolute: Duration,
}

impl Core {
    fn measure(&self) -> Measure<'_> {
        Measure { now: self.clock.now(), idle: self.idle, outages: &self.outages }
    }

    /// When the rows of a session that lives until `expires` may be swept: not before whoever looks every few seconds
    /// has seen that it lapsed.
    fn row_until(&self, expires: UnixTime) -> UnixTime {
        expires.plus(self.outages.grace).plus(TO_LAPSE)
    }

    /// Until when it is remembered how such a session ended.
    fn remembered_until(&self, expires: UnixTime) -> UnixTime {
        self.row_until(expires).plus(AFTERLIFE)
    }
}

/// The open vault. Its methods work on any runtime; dropping their futures never leaves half of a
/// change, and a change already handed to the store happens all the same.
pub struct Vault {
    core: Arc<Core>,
    housekeeping: Housekeeping,
    settings: VaultSettings,
    store_id: [u8; 16],
    /// Whether the last change of sealing keys went through to its end; held while one is under way.
    settled: tokio::sync::Mutex<bool>,
    /// Owns the directory until it is dropped.
    lock: Mutex<Option<File>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("directory", &self.settings.directory).finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens the vault, or makes it if the directory is empty. Blocks, for some seconds if another gate
    /// is just giving it free; call it outside of a runtime's threads. Rebuilds the store from the
    /// journal when its files are lost.
    pub fn open(
        settings: VaultSettings,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Arc<Self>, VaultFault> {
        let layout = Layout { directory: settings.directory.clone() };
        let lock = layout.lock()?;
        let found = layout.look(&settings.key_file)?;
        if let Some(format) = found {
            layout.check(format, settings.simulated)?;
        }
        let ring = load_ring(&settings, &*clock, &*chance)?;
        let keys = Arc::new(Keys::new(&ring, chance.clone()));
        let store_id = match found {
            Some(format) => format,
            None => layout.create(settings.simulated, &*chance)?,
        }
        .store_id;
        let names = open_names(&layout, &keys, &store_id, &*chance)?;
        let people = DataKeys::open(&settings.directory, store_id, keys.clone(), chance.clone())?;
        let identity = journal::Identity { path: layout.journal(), store_id, key: names.lasting("journal") };
        let rebuilding = Rebuilding { layout: &layout, identity, people: &people, now: clock.now() };
        let store: Arc<dyn Store> = Arc::new(rebuilding.open_store()?);
        let warm = Arc::new(WarmSessions::new(settings.warm_sessions));
        watch(&*store, &warm);
        let (idle, absolute) = (settings.idle, settings.absolute);
        let (stripes, given_back) = (Stripes::new(), tokio::sync::Notify::new());
        let outages = Outages::new(settings.outage_grace);
        let core =
            Core { clock, chance, keys, names, people, store, warm, stripes, given_back, outages, idle, absolute };
        let core = Arc::new(core);
        blocking::wait_for(core.reseal_rows())?;
        let (housekeeping, settled) = (Housekeeping::start(core.clone())?, tokio::sync::Mutex::new(true));
        Ok(Arc::new(Self { core, housekeeping, settings, store_id, settled, lock: Mutex::new(Some(lock)) }))
    }

    /// Seals and opens what travels in browsers, for one purpose.
    pub fn sealer(&self, purpose: Purpose) -> Sealer {
        Sealer::new(self.core.keys.clone(), purpose, |name| self.core.names.lasting(name))
    }

    /// A provider cannot be reached, or can be again: until then sessions of its people outlive their absolute end by
    /// up to [`VaultSettings::outage_grace`]. Forgotten when the vault is closed.
    pub fn provider_away(&self, client: &ClientName, away: bool) {
        self.core.outages.set(client, away);
    }

    /// Whether the vault still reads and writes. Asks, does not try: the store notices by itself.
    pub async fn healthy(&self) -> Result<(), VaultFault> {
        self.core.store.health()
    }

    /// Finishes what was handed in, flushes, and gives the directory free: it can be opened again at
    /// once. Blocks. Every later call that needs the store fails with [`VaultFault::Closed`].
    pub fn close(&self) {
        self.housekeeping.close();
        self.core.people.close();
        self.core.store.close();
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        self.close();
    }
}

/// The key ring; a new one only for a vault that holds nothing sealed yet.
fn load_ring(settings: &VaultSettings, clock: &dyn Clock, chance: &dyn Chance) -> Result<KeyRing, VaultFault> {
    let VaultSettings { directory, key_file, .. } = settings;
    if let Some(ring) = KeyRing::load(key_file)? {
        return Ok(ring);
    }
    let missing = || VaultFault::KeyFileMissing { path: key_file.clone(), directory: directory.clone() };
    if Names::exist(directory)? {
        return Err(missing());
    }
    let id = generate_key_file(key_file, clock, chance)?;
    tracing::warn!(path = %key_file.display(), key = %id, "made a key file; keep a copy of it apart from the vault's backups");
    KeyRing::load(key_file)?.ok_or_else(missing)
}

fn open_names(layout: &Layout, keys: &Keys, store_id: &[u8], chance: &dyn Chance) -> Result<Names, VaultFault> {
    if let Some(names) = Names::load(&layout.directory, keys, store_id)? {
        return Ok(names);
    }
    if files::exists(&layout.journal())? || DataKeys::any(&layout.directory)? {
        return Err(VaultFault::Damaged {
            path: layout.directory.join("names"),
            what: "it is missing".to_owned(),
            remedy: "Restore it from a backup: without it no researcher can be found again.",
        });
    }
    Names::create(&layout.directory, keys, store_id, chance)
}

/// What ends or changes in the store does so in memory too, before anybody is answered.
fn watch(store: &dyn Store, warm: &Arc<WarmSessions>) {
    let sessions = warm.clone();
    let ended = move |at: &trees::Address, change| {
        if let (RowChange::Deleted, Some(key)) = (change, trees::session_in(at)) {
            sessions.ended(&key);
        }
    };
    store.watch(Tree::Sessions, Box::new(ended));
    let connections = warm.clone();
    let changed = move |at: &trees::Address, _| {
        if let Ok(id) = at.key().try_into() {
            connections.connection_changed(ConnectionId(id));
        }
    };
    store.watch(Tree::Connections, Box::new(changed));
}
