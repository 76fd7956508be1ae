//! [`Keeper`]: the one thread that changes buckets. Takes what has queued up, writes every bucket
//! concerned once, makes it durable, and answers.

use super::bucket::{self, BUCKETS, Entry, bucket_of};
use super::{DataKey, Shared};
use crate::vault::names::Locator;
use crate::vault::{VaultFault, files};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

/// Requests that are made durable together.
const GROUP: usize = 256;
/// Files synced at the same time: the file system makes one journal commit of them.
const AT_ONCE: usize = 8;

pub(super) enum Request {
    Make { person: Locator, answer: oneshot::Sender<Result<Arc<DataKey>, VaultFault>> },
    Erase { person: Locator, answer: oneshot::Sender<Result<(), VaultFault>> },
    Reseal { answer: oneshot::Sender<Result<(), VaultFault>> },
}

pub(super) struct Keeper {
    shared: Arc<Shared>,
    /// The next bucket to look at for a key that is no longer active.
    reseal_from: u16,
}

/// The buckets a group changes, and the keys that are destroyed by it.
#[derive(Default)]
struct Changes {
    buckets: BTreeMap<u16, Vec<Entry>>,
    destroyed: Vec<Entry>,
    /// Whose keys are to be destroyed, be it once more because the first attempt failed half-way.
    erased: Vec<Locator>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, reseal_from: 0 }
    }

    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        loop {
            let first = if self.reseal_from < BUCKETS {
                match queue.try_recv() {
                    Ok(request) => request,
                    Err(TryRecvError::Disconnected) => return,
                    Err(TryRecvError::Empty) => {
                        self.reseal_some();
                        continue;
                    }
                }
            } else {
                let Some(request) = queue.blocking_recv() else { return };
                request
            };
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(request) = queue.try_recv()
            {
                group.push(request);
            }
            self.serve(group);
        }
    }

    fn serve(&mut self, group: Vec<Request>) {
        let mut changes = Changes::default();
        let planned = group.iter().try_for_each(|request| self.plan(request, &mut changes));
        if planned.is_err() && group.len() > 1 {
            // A bucket that cannot be read must fail its own researchers only.
            return group.into_iter().for_each(|request| self.serve(vec![request]));
        }
        let done = planned.and_then(|()| self.store(&changes));
        for request in group {
            // A caller that has gone away does not want to know.
            match request {
                Request::Make { person, answer } => {
                    let entries = changes.buckets.get(&bucket_of(person));
                    let made = || entries?.iter().find(|entry| entry.person == person.0);
                    let key = || made().map(|entry| Arc::new(DataKey::new(entry))).ok_or(VaultFault::Closed);
                    let _ = answer.send(done.as_ref().map_err(VaultFault::again).and_then(|()| key()));
                }
                Request::Erase { answer, .. } | Request::Reseal { answer } => {
                    let _ = answer.send(done.as_ref().map_err(VaultFault::again).copied());
                }
            }
        }
    }

    fn plan(&mut self, request: &Request, changes: &mut Changes) -> Result<(), VaultFault> {
        let (Request::Make { person, .. } | Request::Erase { person, .. }) = request else {
            self.reseal_from = 0;
            return Ok(());
        };
        if matches!(request, Request::Erase { .. }) {
            changes.erased.push(*person);
        }
        let bucket = bucket_of(*person);
        let entries = match changes.buckets.entry(bucket) {
            std::collections::btree_map::Entry::Occupied(taken) => taken.into_mut(),
            std::collections::btree_map::Entry::Vacant(free) => free.insert(self.shared.read(bucket)?),
        };
        let found = entries.iter().position(|entry| entry.person == person.0);
        match (request, found) {
            // Two sign-ins of a new researcher at once: the second takes the first one's key.
            (Request::Make { .. }, None) => {
                let (id, secret) = (self.shared.chance.bytes(), self.shared.chance.bytes());
                entries.push(Entry { person: person.0, id, secret });
            }
            (Request::Erase { .. }, Some(at)) => changes.destroyed.push(entries.swap_remove(at)),
            _ => {}
        }
        Ok(())
    }

    /// The list of the erased comes first: should we die in between, the key is never used again.
    fn store(&self, changes: &Changes) -> Result<(), VaultFault> {
        if !changes.destroyed.is_empty() {
            self.shared.erased.write().unwrap_or_else(PoisonError::into_inner).add(&changes.destroyed)?;
        }
        // From here on the list keeps their keys from being read again, whether the buckets can be replaced
        // or not.
        for person in &changes.erased {
            self.shared.cache(bucket_of(*person)).remove(person);
        }
        self.replace(&changes.buckets)
    }

    /// Writes buckets beside the old ones, syncs them, and puts them in place.
    fn replace(&self, buckets: &BTreeMap<u16, Vec<Entry>>) -> Result<(), VaultFault> {
        let Shared { directory, keys, store_id, .. } = &*self.shared;
        let write = |bucket: u16, entries: &[Entry]| {
            let text = bucket::sealed(entries, bucket, keys, store_id);
            files::write_synced(&files::unfinished(&bucket::path(directory, bucket)), &text)
        };
        let all: Vec<_> = buckets.iter().collect();
        std::thread::scope(|threads| {
            let share = all.len().div_ceil(AT_ONCE).max(1);
            let workers: Vec<_> = all
                .chunks(share)
                .map(|some| {
                    threads.spawn(move || some.iter().try_for_each(|(bucket, entries)| write(**bucket, entries)))
                })
                .collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined.into_iter().try_for_each(|done| done.unwrap_or(Err(VaultFault::Closed)))
        })?;
        for bucket in buckets.keys() {
            let path = bucket::path(directory, *bucket);
            std::fs::rename(files::unfinished(&path), &path).map_err(VaultFault::file("replace", &path))?;
        }
        files::sync_directory(directory)
    }

    /// Looks at the next few buckets and seals anew what is not under the active key.
    fn reseal_some(&mut self) {
        let end = BUCKETS.min(self.reseal_from + 16);
        let mut stale = BTreeMap::new();
        for bucket in self.reseal_from..end {
            let active = self.shared.keys.active();
            let entries = bucket::sealed_with(&self.shared.directory, bucket).and_then(|id| match id {
                Some(id) if id != active => self.shared.read(bucket).map(Some),
                _ => Ok(None),
            });
            match entries {
                Ok(Some(entries)) => drop(stale.insert(bucket, entries)),
                Ok(None) => {}
                Err(fault) => tracing::error!(%fault, "a bucket of data keys cannot be sealed anew"),
            }
        }
        self.reseal_from = end;
        if !stale.is_empty()
            && let Err(fault) = self.replace(&stale)
        {
            tracing::error!(%fault, "data keys stay sealed under an older key until the next start");
        }
    }
}
