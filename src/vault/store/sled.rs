//! [`SledStore`]: the embedded store, and the only user of sled. All writes go through one thread that
//! commits them in groups, and now and then opens the tree again; reads go straight to the tree.
//!
//! sled is given no chance to acknowledge early: its default flush is lazy, its explicit one is no
//! fsync, and `flush_async` has been seen to hang for good (`stack.md` §4.3).

mod opening;
mod readers;
mod snapshots;
mod writer;

pub(in crate::vault) use opening::{Opened, Opening};

use super::group::{self};
use super::{Batch, Outcome, Store, Watcher};
use crate::domain::UnixTime;
use crate::vault::VaultFault;
use crate::vault::trees::{Address, Tree};
use async_trait::async_trait;
use readers::Readers;
use sled::Db;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Writes waiting for the writer; further ones wait for a place.
const QUEUE: usize = 1024;

/// What the writer is asked to do.
enum Job {
    Write { batch: Batch, answer: oneshot::Sender<Result<Outcome, VaultFault>> },
    Sweep { now: UnixTime, limit: usize, answer: oneshot::Sender<Result<usize, VaultFault>> },
}

/// What the writer shares with the store's handles.
struct Shared {
    /// Set once, when what the disk holds is no longer certain: from then on everything fails.
    broken: OnceLock<String>,
    readers: Readers,
    watchers: RwLock<Vec<(Tree, Watcher)>>,
    /// Made when sled reports corruption, so that the next start rebuilds.
    damage_mark: PathBuf,
}

impl Shared {
    fn health(&self) -> Result<(), VaultFault> {
        self.broken.get().map_or(Ok(()), |what| Err(VaultFault::Store { what: what.clone() }))
    }

    /// Fails closed: after a write whose fate is unknown, what a read would show may not be durable.
    fn fail(&self, what: String) -> VaultFault {
        tracing::error!(what, "the store failed; the gate answers 503 until it is started again");
        let what = self.broken.get_or_init(|| what).clone();
        self.readers.close();
        VaultFault::Store { what }
    }

    fn sled_failed(&self, fault: &sled::Error) -> VaultFault {
        if matches!(fault, sled::Error::Corruption { .. } | sled::Error::ReportableBug(_))
            && let Err(unmarked) = std::fs::write(&self.damage_mark, b"The store reported corruption.\n")
        {
            tracing::error!(%unmarked, "cannot note that the store is corrupt");
        }
        self.fail(fault.to_string())
    }
}

/// The embedded store.
pub(in crate::vault) struct SledStore {
    jobs: RwLock<Option<mpsc::Sender<Job>>>,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SledStore {
    async fn tree(&self) -> Result<Arc<Db>, VaultFault> {
        self.shared.health()?;
        self.shared.readers.tree().await.ok_or_else(|| self.gone())
    }

    /// Why nobody answers any more.
    fn gone(&self) -> VaultFault {
        self.shared.health().err().unwrap_or(VaultFault::Closed)
    }

    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, VaultFault>>) -> Job + Send,
    ) -> Result<T, VaultFault> {
        self.shared.health()?;
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(VaultFault::Closed)?;
        let (answer, answered) = oneshot::channel();
        jobs.send(job(answer)).await.map_err(|_| self.gone())?;
        drop(jobs);
        answered.await.map_err(|_| self.gone())?
    }
}

/// Why a scan failed: by sled, or by what it found.
enum ScanFault {
    Sled(sled::Error),
    Row(VaultFault),
}

fn scan(
    db: &Db,
    prefix: &Address,
    after: Option<&Address>,
    limit: usize,
) -> Result<Vec<(Address, Vec<u8>)>, ScanFault> {
    // The smallest key behind `after` is `after` with a zero byte appended.
    let start = after.map_or_else(|| prefix.bytes().to_vec(), |after| [after.bytes(), &[0]].concat());
    let mut rows = Vec::new();
    for row in db.range(start..).take(limit) {
        let (key, stored) = row.map_err(ScanFault::Sled)?;
        if !key.starts_with(prefix.bytes()) {
            break;
        }
        let address =
            Address::from_bytes(&key).ok_or(ScanFault::Row(VaultFault::Unreadable { what: "a row's address" }))?;
        rows.push((address, group::unwrap(&stored).map_err(ScanFault::Row)?.to_vec()));
    }
    Ok(rows)
}

#[async_trait]
impl Store for SledStore {
    async fn get(&self, at: &Address) -> Result<Option<Vec<u8>>, VaultFault> {
        let stored = self.tree().await?.get(at.bytes()).map_err(|fault| self.shared.sled_failed(&fault))?;
        stored.map(|stored| group::unwrap(&stored).map(<[u8]>::to_vec)).transpose()
    }

    async fn write(&self, batch: Batch) -> Result<Outcome, VaultFault> {
        self.ask(|answer| Job::Write { batch, answer }).await
    }

    async fn scan(
        &self,
        prefix: &Address,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<(Address, Vec<u8>)>, VaultFault> {
        let db = self.tree().await?;
        let (prefix, after) = (prefix.clone(), after.cloned());
        let work = move || scan(&db, &prefix, after.as_ref(), limit);
        // Our own threads have no runtime and may block.
        let rows = match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(work).await.map_err(|_| VaultFault::Closed)?,
            Err(_) => work(),
        };
        rows.map_err(|fault| match fault {
            ScanFault::Sled(fault) => self.shared.sled_failed(&fault),
            ScanFault::Row(fault) => fault,
        })
    }

    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, VaultFault> {
        self.ask(|answer| Job::Sweep { now, limit, answer }).await
    }

    fn watch(&self, tree: Tree, watcher: Watcher) {
        self.shared.watchers.write().unwrap_or_else(PoisonError::into_inner).push((tree, watcher));
    }

    fn health(&self) -> Result<(), VaultFault> {
        self.shared.health()?;
        let open = self.jobs.read().unwrap_or_else(PoisonError::into_inner).is_some();
        if open { Ok(()) } else { Err(VaultFault::Closed) }
    }

    fn close(&self) {
        // Without senders the writer finishes what it was handed and stops.
        self.jobs.write().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the store's writer had panicked");
        }
        self.shared.readers.close();
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::tests::store::{numbered, open, snapshots};

    #[tokio::test]
    async fn whoever_reads_for_very_long_puts_the_snapshot_off_and_is_not_disturbed() {
        let place = tempfile::tempdir().unwrap();
        let store = open(place.path(), None);
        let folder = place.path().join("store");
        let write = async || {
            for number in 0..=writer::SNAPSHOT_EVERY {
                store.put(numbered(1), number.to_be_bytes().to_vec()).await.unwrap();
            }
        };
        let before = snapshots(&folder);
        let held = store.tree().await.unwrap();
        write().await;
        assert_eq!(snapshots(&folder), before, "somebody holds the tree");
        assert!(held.get(numbered(1).bytes()).unwrap().is_some());
        drop(held);
        write().await;
        assert_ne!(snapshots(&folder), before, "nobody does");
        assert!(store.get(&numbered(1)).await.unwrap().is_some());
    }
}
