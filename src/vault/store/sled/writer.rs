//! [`Writer`]: the one thread that writes. It takes what has queued up, applies it as one batch, makes
//! it durable, tells the watchers, and only then answers.

use super::opening::{Opened, Opening, rows};
use super::{Job, Shared};
use crate::domain::UnixTime;
use crate::vault::VaultFault;
use crate::vault::journal::{GROUP_BYTES, Journal};
use crate::vault::store::group::{self, Group};
use crate::vault::store::{Batch, Change, Outcome};
use crate::vault::trees::{self, Address, Tree};
use sled::Db;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Operations that are made durable together.
const GROUP: usize = 256;

/// Rows between two snapshots: a start reads back the changes of that many at most (docs/PERFORMANCE.md, "A start with
/// 1,000,000 sessions"). Unit tests take one every few rows, so that all of them live through it.
pub(super) const SNAPSHOT_EVERY: usize = if cfg!(test) { 64 } else { 1_000_000 };
/// How long a snapshot waits for those who are reading, a few milliseconds each.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a store that cannot be opened again, for want of descriptors or room, is tried; everybody waits meanwhile.
const SHORTAGE: Duration = Duration::from_secs(30);

pub(super) struct Writer {
    pub(super) db: Arc<Db>,
    pub(super) data: File,
    pub(super) directory: PathBuf,
    pub(super) journal: Journal,
    pub(super) shared: Arc<Shared>,
    /// Rows changed since sled last wrote its snapshot.
    pub(super) since_snapshot: usize,
}

/// Marks the store broken when its writer ends by a panic: nobody else would notice.
struct Watchdog(Arc<Shared>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail("its writer panicked".to_owned());
        }
    }
}

type Answer = oneshot::Sender<Result<Outcome, VaultFault>>;

impl Writer {
    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let _watchdog = Watchdog(self.shared.clone());
        let mut next = queue.blocking_recv();
        while let Some(job) = next.take() {
            match job {
                Job::Write { batch, answer } => next = self.collect(&mut queue, batch, answer),
                Job::Sweep { now, limit, answer } => {
                    // A caller that has gone away does not want to know.
                    let _ = answer.send(self.sweep(now, limit));
                }
            }
            if self.since_snapshot >= SNAPSHOT_EVERY && self.shared.health().is_ok() {
                self = match self.take_snapshot() {
                    Ok(writer) => writer,
                    // It is noted and logged; whoever waits in the queue is told as the queue goes.
                    Err(_) => return,
                };
            }
            if next.is_none() {
                next = queue.blocking_recv();
            }
        }
    }

    /// sled writes its snapshot only when it is opened, and every start reads all that was written since. So that this
    /// does not grow for as long as a gate runs, the tree is opened again; whoever comes meanwhile waits.
    fn take_snapshot(mut self) -> Result<Self, VaultFault> {
        let begun = Instant::now();
        let rows = self.since_snapshot;
        let mark = self.stored(&trees::journal_mark())?;
        self.shared.readers.pause();
        while Arc::strong_count(&self.db) > 1 {
            if begun.elapsed() > PATIENCE {
                tracing::warn!("somebody reads from the store for very long; it takes its snapshot another time");
                self.shared.readers.resume(self.db.clone());
                self.since_snapshot -= SNAPSHOT_EVERY / 10;
                return Ok(self);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let Self { db, data, directory, journal, shared, .. } = self;
        drop((db, data));
        let Opening { db, data, directory } = loop {
            match Opening::open(&directory) {
                Ok(Opened::Whole(opening)) => break opening,
                Ok(Opened::Broken(what)) => return Err(shared.fail(format!("cannot be opened again: {what}"))),
                Err(fault) if begun.elapsed() > SHORTAGE => return Err(shared.fail(fault.to_string())),
                // The files are closed and whole. Too few descriptors, or no room for a moment, must not end everything.
                Err(fault) => tracing::warn!(%fault, "the store cannot be opened again yet"),
            }
            std::thread::sleep(Duration::from_millis(500));
        };
        let writer = Self { db: Arc::new(db), data, directory, journal, shared, since_snapshot: 0 };
        // sled takes an empty or cut file for a new store and says nothing.
        if writer.stored(&trees::journal_mark())? != mark {
            return Err(writer.shared.fail("it has lost what it held when it was opened again".to_owned()));
        }
        writer.shared.readers.resume(writer.db.clone());
        tracing::info!(rows, ms = begun.elapsed().as_millis(), "the store has taken its snapshot");
        Ok(writer)
    }

    /// Takes further writes as long as some are waiting and the group has room, and commits them.
    /// Gives a job that was taken but is none.
    fn collect(&mut self, queue: &mut mpsc::Receiver<Job>, batch: Batch, answer: Answer) -> Option<Job> {
        let (mut operations, mut bytes) = (batch.operations.len(), batch.weight());
        let mut jobs = vec![(batch, answer)];
        let mut other = None;
        while operations < GROUP && bytes < GROUP_BYTES {
            match queue.try_recv() {
                Ok(Job::Write { batch, answer }) => {
                    operations += batch.operations.len();
                    bytes += batch.weight();
                    jobs.push((batch, answer));
                }
                Ok(job) => {
                    other = Some(job);
                    break;
                }
                Err(_) => break,
            }
        }
        self.commit(jobs);
        other
    }

    fn commit(&mut self, jobs: Vec<(Batch, Answer)>) {
        let mut group = Group::default();
        let mut answers = Vec::with_capacity(jobs.len());
        for (batch, answer) in jobs {
            let outcome = self.shared.health().and_then(|()| group.admit(batch, &|at| self.stored(at)));
            answers.push((answer, outcome));
        }
        let stored = self.store(group);
        for (answer, outcome) in answers {
            // Even a conflict may rest on an earlier member of the group, so it waits and fails with it.
            let outcome = match (&stored, outcome) {
                (Err(fault), Ok(_)) => Err(fault.again()),
                (_, outcome) => outcome,
            };
            let _ = answer.send(outcome);
        }
        if stored.is_ok() && self.journal.wants_rewriting() {
            self.rewrite_journal();
        }
    }

    fn stored(&self, at: &Address) -> Result<Option<Vec<u8>>, VaultFault> {
        match self.db.get(at.bytes()) {
            Ok(stored) => Ok(stored.map(|stored| stored.to_vec())),
            Err(fault) => Err(self.shared.sled_failed(&fault)),
        }
    }

    /// Journal first: a frame the store does not follow is cut off or applied at the next start; a row
    /// the journal does not know would be lost with the store.
    fn store(&mut self, group: Group) -> Result<(), VaultFault> {
        self.shared.health()?;
        let Group { mut rows, changes, kept } = group;
        if rows.is_empty() {
            return Ok(());
        }
        if !kept.is_empty() {
            let mark = self.journal.append(&kept).map_err(|fault| match fault {
                VaultFault::Store { what } => self.shared.fail(what),
                other => other,
            })?;
            rows.insert(trees::journal_mark(), Some(group::wrap(&mark.bytes(), None)));
        }
        self.apply(rows.into_iter().map(|(at, row)| (at.bytes().to_vec(), row)))?;
        self.make_durable()?;
        self.tell(&changes);
        Ok(())
    }

    fn apply(&mut self, rows: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<(), VaultFault> {
        let mut batch = sled::Batch::default();
        for (at, row) in rows {
            self.since_snapshot += 1;
            match row {
                Some(row) => batch.insert(at, row),
                None => batch.remove(at),
            }
        }
        self.db.apply_batch(batch).map_err(|fault| self.shared.sled_failed(&fault))
    }

    /// sled writes its buffers to the file and asks the kernel to begin; the sync waits for the disk.
    fn make_durable(&self) -> Result<(), VaultFault> {
        self.db.flush().map_err(|fault| self.shared.sled_failed(&fault))?;
        // After a failed sync the kernel forgets what was not written: trying again would lie.
        self.data.sync_data().map_err(|fault| self.shared.fail(format!("cannot sync: {fault}")))
    }

    fn tell(&self, changes: &[(Address, Change)]) {
        let watchers = self.shared.watchers.read().unwrap_or_else(PoisonError::into_inner);
        for (at, change) in changes {
            watchers.iter().filter(|(tree, _)| *tree == at.tree()).for_each(|(_, watcher)| watcher(at, *change));
        }
    }

    /// Not made durable by itself: what comes back after a crash has expired and is swept again.
    fn sweep(&mut self, now: UnixTime, limit: usize) -> Result<usize, VaultFault> {
        self.shared.health()?;
        let failed = |fault: sled::Error| self.shared.sled_failed(&fault);
        let from = Address::new(Tree::Expiry, &[]);
        let due = self.db.range(from.bytes()..group::expiry_end(now).bytes()).take(limit);
        let (mut gone, mut changes, mut groups) = (Vec::new(), Vec::new(), 0);
        for row in due {
            let (key, list) = row.map_err(failed)?;
            let list: Vec<&[u8]> = postcard::from_bytes(group::unwrap(&list)?).unwrap_or_default();
            for at in list.into_iter().filter_map(Address::from_bytes) {
                // The row may have been deleted, or written again to live longer.
                if self.stored(&at)?.is_some_and(|row| group::has_expired(&row, now)) {
                    gone.push((at.bytes().to_vec(), None));
                    changes.push((at, Change::Deleted));
                }
            }
            gone.push((key.to_vec(), None));
            groups += 1;
        }
        if groups > 0 {
            self.apply(gone.into_iter())?;
            self.tell(&changes);
        }
        Ok(groups)
    }

    /// The journal has grown to a multiple of what it must hold: writes it anew from the store.
    fn rewrite_journal(&mut self) {
        let rewritten = self.journal.rewrite(rows(&self.db, &trees::connections()));
        match rewritten {
            Ok(mark) => {
                let row = (trees::journal_mark().bytes().to_vec(), Some(group::wrap(&mark.bytes(), None)));
                // A fault has already been noted and logged where it happened.
                let _ = self.apply(std::iter::once(row)).and_then(|()| self.make_durable());
            }
            Err(VaultFault::Store { what }) => drop(self.shared.fail(what)),
            Err(fault) => {
                self.journal.postpone_rewriting();
                tracing::warn!(%fault, path = %self.journal.path().display(), "cannot rewrite the journal; it goes on growing");
            }
        }
    }
}
