//! [`Spool`]: forms that somebody sent just when a sign-in was needed, kept for some minutes so that no work is
//! lost (J4). `proxy` puts them in and takes them out; `signin` shows them and throws them away.
//!
//! A form's bytes lie sealed in a file of their own, never in the store: they are large, short-lived and worth
//! nothing to a restarted gate. Everything else about a form, its key among it, is in memory alone, so what a crash
//! leaves behind opens for nobody, and [`Vault::spool`] removes it.

mod file;
mod quota;
#[cfg(test)]
mod tests;

use super::{HashedSessionKey, Vault, VaultFault, files};
use crate::domain::{Chance, Clock, Host, SiteName, UnixTime};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use file::{SealedFile, Sealing};
use quota::{Quota, Reservation};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How much is kept, for how long.
#[derive(Clone, Copy, Debug)]
pub struct SpoolLimits {
    /// Bytes of one form.
    pub body: u64,
    /// Forms of one browser.
    pub per_browser: usize,
    /// Bytes from one address; of IPv6, from one /64.
    pub per_address: u64,
    /// Bytes altogether.
    pub total: u64,
    pub lifetime: Duration,
}

/// Names a kept form. Knowing one is worth nothing without the browser it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FormId([u8; FormId::BYTES]);

impl FormId {
    const BYTES: usize = 15;

    /// Reads what [`fmt::Display`] wrote.
    pub fn read(text: &str) -> Option<Self> {
        let mut id = [0; Self::BYTES];
        (URL_SAFE_NO_PAD.decode_slice(text, &mut id).ok()? == Self::BYTES).then_some(Self(id))
    }
}

impl fmt::Display for FormId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// From whom a form comes.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The session key the browser showed, of a session that lives or has ended.
    pub browser: HashedSessionKey,
    /// A keyed hash of the connection, as in [`FormFacts`].
    pub person: [u8; 16],
    pub address: IpAddr,
    /// The forms it holds cookies of. A browser that signed in anew meanwhile is no new browser.
    pub holds: &'a [FormId],
}

/// What a form needs to be sent once more, and to whom it belongs.
#[derive(Clone, PartialEq, Eq)]
pub struct FormFacts {
    pub site: SiteName,
    pub host: Host,
    /// Path and query it was sent to, canonical.
    pub target: String,
    pub content_type: String,
    /// The page of this origin that it was on.
    pub referer: Option<String>,
    /// A keyed hash of the connection whose session sent it.
    pub person: [u8; 16],
}

impl fmt::Debug for FormFacts {
    /// Neither query nor person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FormFacts({})", self.site)
    }
}

/// A form as it is kept.
#[derive(Clone, Debug)]
pub struct KeptForm {
    pub id: FormId,
    pub facts: Arc<FormFacts>,
    pub size: u64,
    pub at: UnixTime,
}

/// Why a form is not kept. Whoever came earlier stays: the newcomer is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("it is larger than a form may be")]
    TooLarge,
    #[error("this browser has as many kept forms as it may")]
    BrowserFull,
    #[error("there is no room for it")]
    Full,
    #[error(transparent)]
    Disk(#[from] VaultFault),
}

struct Entry {
    form: KeptForm,
    browser: HashedSessionKey,
    file: Arc<SealedFile>,
    _room: Reservation,
}

/// All forms kept at the moment.
pub struct Spool {
    directory: PathBuf,
    lifetime: Duration,
    quota: Arc<Quota>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    kept: Mutex<HashMap<FormId, Entry>>,
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spool({} forms)", self.kept().len())
    }
}

impl Vault {
    /// Opens the place for forms, once per gate, and empties it: no key of what an earlier gate left exists any more.
    /// Blocks.
    pub fn spool(&self, limits: SpoolLimits) -> Result<Arc<Spool>, VaultFault> {
        let directory = self.settings.directory.join("spool");
        Spool::open(directory, limits, self.core.clock.clone(), self.core.chance.clone())
    }
}

impl Spool {
    fn open(
        directory: PathBuf,
        limits: SpoolLimits,
        clock: Arc<dyn Clock>,
        chance: Arc<dyn Chance>,
    ) -> Result<Arc<Self>, VaultFault> {
        files::make_private_directory(&directory)?;
        file::wipe(&directory)?;
        let quota = Arc::new(Quota::new(limits));
        let spool = Self { directory, lifetime: limits.lifetime, quota, clock, chance, kept: Mutex::default() };
        Ok(Arc::new(spool))
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<FormId, Entry>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a form is kept.
    pub fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Begins to keep a form of `announced` bytes, or of a length nobody has said. Touches no disk.
    pub fn begin(self: &Arc<Self>, sender: &Sender<'_>, announced: Option<u64>) -> Result<FormWriter, Refused> {
        let elsewhere = {
            let kept = self.kept();
            let foreign = |id: &&FormId| kept.get(id).is_some_and(|entry| entry.browser != sender.browser);
            sender.holds.iter().filter(foreign).count()
        };
        let room = self.quota.reserve(sender, elsewhere, announced.unwrap_or(0))?;
        let id = FormId(self.chance.bytes());
        let sealing = Sealing::new(self.directory.join(id.to_string()), self.chance.clone());
        Ok(FormWriter { spool: self.clone(), id, browser: sender.browser, sealing, room, size: 0 })
    }

    /// What is known about a form that is still kept.
    pub fn find(&self, id: FormId) -> Option<KeptForm> {
        self.kept().get(&id).filter(|entry| self.is_alive(entry)).map(|entry| entry.form.clone())
    }

    fn is_alive(&self, entry: &Entry) -> bool {
        self.clock.now() < entry.form.at.plus(self.lifetime)
    }

    /// The bytes of a form; `None` when it is gone. Blocks.
    pub fn read(&self, id: FormId) -> Result<Option<Vec<u8>>, VaultFault> {
        let found = self.kept().get(&id).filter(|entry| self.is_alive(entry)).map(|it| (it.file.clone(), it.form.size));
        found.map(|(file, size)| file.read(size)).transpose()
    }

    /// Takes a form out, whatever for; `Some` exactly once, however many ask. Its bytes are gone from the disk once
    /// what is given is dropped, which blocks.
    ///
    /// In memory alone, for a restart leaves no form that could be taken a second time.
    pub fn take(&self, id: FormId) -> Option<TakenForm> {
        let entry = self.kept().remove(&id)?;
        self.is_alive(&entry).then_some(TakenForm { _entry: entry })
    }

    /// Removes all forms of one person. Blocks for as long as removing a few files takes.
    pub fn forget(&self, person: [u8; 16]) {
        drop(self.remove(|entry| entry.form.facts.person == person));
    }

    fn remove(&self, which: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut kept = self.kept();
        let ids: Vec<FormId> = kept.iter().filter(|(_, entry)| which(entry)).map(|(id, _)| *id).collect();
        ids.iter().filter_map(|id| kept.remove(id)).collect()
    }

    /// Removes what is too old. Blocks for as long as removing a few files takes.
    pub fn sweep(&self) {
        let gone = self.remove(|entry| !self.is_alive(entry));
        if !gone.is_empty() {
            tracing::info!(forms = gone.len(), "kept forms that nobody came back for were thrown away");
        }
    }
}

/// A form that was taken out.
pub struct TakenForm {
    _entry: Entry,
}

impl fmt::Debug for TakenForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakenForm(…)")
    }
}

/// A form on its way in. Dropped before [`FormWriter::finish`], it leaves nothing behind.
pub struct FormWriter {
    spool: Arc<Spool>,
    id: FormId,
    browser: HashedSessionKey,
    sealing: Sealing,
    room: Reservation,
    size: u64,
}

impl fmt::Debug for FormWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FormWriter(…)")
    }
}

impl FormWriter {
    /// The next bytes. Blocks.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Refused> {
        self.size += bytes.len() as u64;
        self.room.grow(self.size)?;
        Ok(self.sealing.append(bytes)?)
    }

    /// All bytes are there: keeps the form. Blocks.
    pub fn finish(self, facts: FormFacts) -> Result<FormId, Refused> {
        let FormWriter { spool, id, browser, sealing, mut room, size } = self;
        let file = Arc::new(sealing.finish()?);
        room.written();
        let form = KeptForm { id, facts: Arc::new(facts), size, at: spool.clock.now() };
        spool.kept().insert(id, Entry { form, browser, file, _room: room });
        Ok(id)
    }
}
