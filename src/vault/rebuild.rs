//! Opens the store and the journal together. Each knows how far the other had come, so a loss in either
//! is noticed; a lost store is rebuilt from the journal, with every session ended.

use super::data_keys::DataKeys;
use super::format::Layout;
use super::journal::{self, Entry, Identity, Journal, Mark, Reading};
use super::store::{Opened, Opening, SledStore};
use super::trees::{self, Address, Tree};
use super::{VaultFault, connections, files};
use crate::domain::UnixTime;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Rows written at once.
const AT_ONCE: usize = 256;

pub(super) struct Rebuilding<'a> {
    pub(super) layout: &'a Layout,
    pub(super) identity: Identity,
    pub(super) people: &'a DataKeys,
    pub(super) now: UnixTime,
}

/// What the journal holds behind the mark the store has applied.
#[derive(Default)]
struct Behind {
    /// The mark was met.
    met: bool,
    frames: u64,
    /// The entries of the first frame behind it.
    first: Vec<Entry>,
}

impl Rebuilding<'_> {
    pub(super) fn open_store(self) -> Result<SledStore, VaultFault> {
        let store = self.open_files()?;
        let applied = match &store {
            Ok(store) => store.get(&trees::journal_mark())?.as_deref().and_then(Mark::from_bytes),
            Err(_) => None,
        };
        let mut behind = Behind::default();
        let reading = journal::read(&self.identity, &mut |mark, entries| {
            if behind.met {
                behind.frames += 1;
                if behind.frames == 1 {
                    behind.first = entries;
                }
            }
            behind.met |= Some(mark) == applied;
        })?;
        if let Some(Reading { torn: torn @ 1.., .. }) = reading {
            tracing::warn!(
                bytes = torn,
                "the journal ends in an unfinished frame, which was never acknowledged; it is dropped"
            );
        }
        let (store, journal) = match (store, reading) {
            (Err(_), None) => self.begin()?,
            (Err(why), Some(reading)) => self.rebuild(&why, &reading)?,
            (Ok(store), None) => self.rewrite_journal(store, applied)?,
            (Ok(store), Some(reading)) => match applied {
                None => {
                    drop(store);
                    self.rebuild("it does not know how far it had come", &reading)?
                }
                Some(applied) => self.join(store, applied, &reading, behind)?,
            },
        };
        store.start(journal, &self.layout.damage_mark())
    }

    /// The store as its own files have it; the reason if there is none that can be used.
    fn open_files(&self) -> Result<Result<Opening, String>, VaultFault> {
        let path = self.layout.store();
        if files::exists(&self.layout.damage_mark())? {
            return Ok(Err("it reported corruption while it was in use".to_owned()));
        }
        if !files::exists(&path)? {
            return Ok(Err("it is missing".to_owned()));
        }
        let store = match Opening::open(&path)? {
            Opened::Whole(store) => store,
            Opened::Broken(why) => return Ok(Err(why)),
        };
        // sled takes an empty or cut file for a new store and says nothing.
        match store.get(&trees::store_id()) {
            Ok(Some(id)) if id == self.identity.store_id => Ok(Ok(store)),
            Ok(Some(_)) => Ok(Err("it belongs to another vault".to_owned())),
            Ok(None) => Ok(Err("it is empty".to_owned())),
            Err(fault) => Ok(Err(fault.to_string())),
        }
    }

    /// Rows that make a store ours, and say how far it has come. Written last.
    fn stamp(&self, store: &Opening, mark: Mark) -> Result<(), VaultFault> {
        store.write(vec![
            (trees::store_id(), Some(self.identity.store_id.to_vec())),
            (trees::journal_mark(), Some(mark.bytes())),
        ])
    }

    fn open_empty(&self) -> Result<Opening, VaultFault> {
        match Opening::open(&self.layout.store())? {
            Opened::Whole(store) => Ok(store),
            Opened::Broken(what) => Err(VaultFault::Store { what }),
        }
    }

    /// Neither store nor journal: a new vault, or one that was not finished being made.
    fn begin(&self) -> Result<(Opening, Journal), VaultFault> {
        if DataKeys::any(&self.layout.directory)? {
            return Err(VaultFault::Damaged {
                path: self.layout.journal(),
                what: "it is missing, and so is the store".to_owned(),
                remedy: "Restore both from a backup.",
            });
        }
        self.move_aside()?;
        let journal = Journal::write_new(self.identity.clone(), 1, std::iter::empty())?;
        let store = self.open_empty()?;
        self.stamp(&store, journal.mark())?;
        Ok((store, journal))
    }

    /// The store is whole, the journal is gone: it is written anew from the store.
    fn rewrite_journal(&self, store: Opening, applied: Option<Mark>) -> Result<(Opening, Journal), VaultFault> {
        let path = self.identity.path.display();
        tracing::error!(%path, "the journal is missing; a new one is written from the store");
        let generation = applied.map_or(1, |mark| mark.generation + 1);
        let journal = Journal::write_new(self.identity.clone(), generation, store.rows(&trees::connections()))?;
        self.stamp(&store, journal.mark())?;
        Ok((store, journal))
    }

    /// Both are there: makes sure that they agree.
    fn join(
        &self,
        store: Opening,
        applied: Mark,
        reading: &Reading,
        behind: Behind,
    ) -> Result<(Opening, Journal), VaultFault> {
        let damaged = |what: &str| VaultFault::Damaged {
            path: self.identity.path.clone(),
            what: what.to_owned(),
            remedy: "Restore it from a backup; or, if the store beside it is whole, move the journal away, and the next \
                     start writes a new one from the store.",
        };
        let found = reading.mark;
        if found.generation < applied.generation {
            return Err(damaged("it is an older copy than the store"));
        }
        if found.generation == applied.generation && !behind.met {
            return Err(damaged("it lacks what the store says was written to it"));
        }
        // Died between putting a rewritten journal in place and noting it: it holds what the store holds.
        let just_rewritten = found.generation == applied.generation + 1 && found.end == reading.base;
        if !just_rewritten && (found.generation != applied.generation || behind.frames > 1) {
            drop(store);
            return self.rebuild("it has lost changes that were acknowledged", reading);
        }
        if behind.frames == 1 {
            // Died between journal and store. Nobody was told, but a token in there is a live one: kept.
            let rows =
                behind.first.into_iter().filter_map(|entry| Some((Address::from_bytes(&entry.at)?, entry.value)));
            store.write(rows.collect())?;
        }
        if found != applied {
            self.stamp(&store, found)?;
        }
        Ok((store, Journal::resume(self.identity.clone(), reading.base, found)?))
    }

    /// Fills a new store from the journal. Sessions start empty: the lost store may have been the only
    /// one to know that somebody signed out.
    fn rebuild(&self, why: &str, reading: &Reading) -> Result<(Opening, Journal), VaultFault> {
        let aside = self.move_aside()?;
        let store = self.open_empty()?;
        let (rebuilt, erased) = self.replay(&store)?;
        self.stamp(&store, reading.mark)?;
        let mark = self.layout.damage_mark();
        if files::exists(&mark)? {
            std::fs::remove_file(&mark).map_err(VaultFault::file("remove", &mark))?;
            files::sync_directory(files::parent(&mark))?;
        }
        if reading.frames > 0 || aside.is_some() {
            let aside = aside.map(|path| path.display().to_string()).unwrap_or_default();
            tracing::error!(
                why,
                connections = rebuilt,
                erased,
                moved_to = aside,
                "the store could not be used and was rebuilt from the journal; everybody has to sign in again"
            );
        }
        Ok((store, Journal::resume(self.identity.clone(), reading.base, reading.mark)?))
    }

    /// Writes the connections that the journal ends with, those of erased researchers left out. Gives
    /// how many were written and how many left out.
    fn replay(&self, store: &Opening) -> Result<(usize, usize), VaultFault> {
        let mut rows = BTreeMap::new();
        journal::read(&self.identity, &mut |_, entries| {
            for Entry { at, value } in entries {
                let Some(at) = Address::from_bytes(&at).filter(|at| at.tree() == Tree::Connections) else { continue };
                match value {
                    Some(value) => drop(rows.insert(at, value)),
                    None => drop(rows.remove(&at)),
                }
            }
        })?;
        let (mut written, mut erased) = (0, 0);
        let mut some = Vec::with_capacity(AT_ONCE);
        for (at, value) in rows {
            if self.people.is_erased(connections::WHAT, &value)? {
                erased += 1;
                continue;
            }
            written += 1;
            some.push((at, Some(value)));
            if some.len() == AT_ONCE {
                store.write(std::mem::take(&mut some))?;
            }
        }
        store.write(some)?;
        Ok((written, erased))
    }

    /// Keeps the files of a store that cannot be used, one generation of them. Gives where they are now.
    fn move_aside(&self) -> Result<Option<PathBuf>, VaultFault> {
        let path = self.layout.store();
        if !files::exists(&path)? {
            return Ok(None);
        }
        let directory = &self.layout.directory;
        let entries = std::fs::read_dir(directory).map_err(VaultFault::file("read", directory))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("store.lost-") {
                std::fs::remove_dir_all(entry.path()).map_err(VaultFault::file("remove", &entry.path()))?;
            }
        }
        let aside = directory.join(format!("store.lost-{}", self.now.0));
        std::fs::rename(&path, &aside).map_err(VaultFault::file("move aside", &path))?;
        files::sync_directory(directory)?;
        Ok(Some(aside))
    }
}
