//! [`Housekeeping`]: the thread that writes back when sessions were used, ends those whose time is up,
//! and sweeps expired rows. What it has not got to when the gate dies only shortens sessions.

use super::life::Life;
use super::session_record::SessionRecord;
use super::store::{Batch, Condition};
use super::{Core, HashedSessionKey, LiveSession, SessionKind, VaultFault, blocking, trees};
use futures_util::future::join_all;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Chores waiting; beyond it the next use of a session tries again.
const QUEUE: usize = 65_536;
/// Chores done together, so that they share one commit.
const TOGETHER: usize = 128;
/// How often expired rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(30);
/// Groups of rows removed at once: small, for the writer does nothing else meanwhile.
const SWEEP: usize = 128;
/// Rounds of sweeping in one go.
const ROUNDS: usize = 64;

enum Chore {
    Used { live: Arc<LiveSession>, life: Life },
    Expired(HashedSessionKey),
    Stop,
}

pub(super) struct Housekeeping {
    chores: SyncSender<Chore>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Housekeeping {
    pub(super) fn start(core: Arc<Core>) -> Result<Self, VaultFault> {
        let (chores, queue) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("vault-house".to_owned())
            .spawn(move || run(&core, &queue))
            .map_err(|fault| VaultFault::Store { what: format!("no thread for its housekeeping: {fault}") })?;
        Ok(Self { chores, thread: Mutex::new(Some(thread)) })
    }

    /// Has a use written back; `false` when there is too much to do just now.
    pub(super) fn was_used(&self, live: Arc<LiveSession>, life: Life) -> bool {
        self.chores.try_send(Chore::Used { live, life }).is_ok()
    }

    /// Has a session ended whose time is up. If there is too much to do just now, the sweep will do it.
    pub(super) fn has_expired(&self, key: HashedSessionKey) {
        if let Err(TrySendError::Full(_)) = self.chores.try_send(Chore::Expired(key)) {
            tracing::debug!("housekeeping is behind; an expired session waits for the sweep");
        }
    }

    /// Does what is waiting and stops. Blocks.
    pub(super) fn close(&self) {
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        // The thread can only be gone already by having panicked.
        let _ = self.chores.send(Chore::Stop);
        if thread.join().is_err() {
            tracing::error!("the vault's housekeeping had panicked");
        }
    }
}

fn run(core: &Core, queue: &Receiver<Chore>) {
    let mut sweep_at = Instant::now() + SWEEP_EVERY;
    loop {
        let first = match queue.recv_timeout(sweep_at.saturating_duration_since(Instant::now())) {
            Ok(chore) => Some(chore),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let chores: Vec<Chore> = first.into_iter().chain(queue.try_iter().take(TOGETHER)).collect();
        let stop = chores.iter().any(|chore| matches!(chore, Chore::Stop));
        blocking::wait_for(join_all(chores.into_iter().map(|chore| do_chore(core, chore))));
        if stop {
            return;
        }
        if Instant::now() >= sweep_at {
            sweep(core);
            sweep_at = Instant::now() + SWEEP_EVERY;
        }
    }
}

async fn do_chore(core: &Core, chore: Chore) {
    let done = match chore {
        Chore::Used { live, life } => write_back(core, &live, life).await,
        Chore::Expired(key) => core.lapse(&key).await,
        Chore::Stop => Ok(()),
    };
    if let Err(fault) = done {
        tracing::warn!(%fault, "a session's use or end could not be written; it will end early rather than late");
    }
}

/// Notes a use in the session's row and, if it is a child, in its root's.
async fn write_back(core: &Core, live: &LiveSession, life: Life) -> Result<(), VaultFault> {
    let session = &live.session;
    let id = core.names.connection(&session.connection);
    let Some(data_key) = core.people.find(id.locator())? else { return Ok(()) };
    let put = async |key: &HashedSessionKey, record: SessionRecord| {
        let address = trees::session(key);
        let sealed = data_key.seal(&*core.chance, &address, &record);
        // Only while it is there: a use must not bring back what has ended.
        let mut batch = Batch::default().when(Condition::Present(address.clone()));
        batch.put_until(address, sealed, core.row_until(record.expires));
        core.store.write(batch).await
    };
    put(&session.key, SessionRecord::of(session, life)).await?;
    let SessionKind::Site { site, root, .. } = &session.kind else { return Ok(()) };
    core.note_site_still_used(id, site, life.used, &data_key).await?;
    let Some((_, mut parent)) = core.session_record(root).await? else { return Ok(()) };
    let used = Life { over: parent.life.over.min(life.over), used: parent.life.used.max(life.used) };
    if used.is_news(&parent.life) {
        parent.life = used;
        put(root, parent).await?;
        core.warm.note_use(root, used);
    }
    Ok(())
}

/// Removes what has expired, a little at a time.
fn sweep(core: &Core) {
    for _ in 0..ROUNDS {
        match blocking::wait_for(core.store.sweep(core.clock.now(), SWEEP)) {
            Ok(looked_at) if looked_at == SWEEP => {}
            Ok(_) => return,
            Err(fault) => {
                tracing::warn!(%fault, "expired rows could not be removed; they stay a little longer");
                return;
            }
        }
    }
}
