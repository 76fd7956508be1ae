//! [`WarmSessions`]: the sessions in memory, so that a signed-in request touches no disk. The store's
//! watchers tell it what ended or changed, before whoever caused it is answered.

use super::bounded::Bounded;
use super::life::{Life, Measure};
use super::names::ConnectionId;
use super::{HashedSessionKey, LiveSession};
use crate::domain::UnixTime;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;
/// Counters of changed connections. Two connections that share one only read each other's sessions
/// from the store more often.
const EPOCHS: usize = 4096;

/// A session in memory.
pub(super) struct WarmSession {
    live: Arc<LiveSession>,
    life: Life,
    /// The life the store knows of.
    written: Life,
    connection: ConnectionId,
    /// The connection's epoch before it was read: another one now means that it has changed.
    epoch: u64,
}

impl WarmSession {
    pub(super) fn new(live: Arc<LiveSession>, life: Life, written: Life, connection: ConnectionId, epoch: u64) -> Self {
        Self { live, life, written, connection, epoch }
    }
}

enum Slot {
    Live(WarmSession),
    Ended,
}

struct Shard {
    sessions: Bounded<HashedSessionKey, Slot>,
    /// Counts the ends in this shard, to notice one that happens while a session is being read.
    ends: u64,
}

/// What one look at the memory came to.
pub(super) enum Seen {
    Cold,
    Ended,
    /// Its time was up, which nobody has noticed before.
    JustEnded,
    Live(Arc<LiveSession>),
    /// Live, and its use is worth writing back.
    Used {
        live: Arc<LiveSession>,
        life: Life,
    },
}

/// Taken before a session is read from the store; what was read may be kept only with it.
pub(super) struct Ticket {
    key: HashedSessionKey,
    ends: u64,
}

pub(super) struct WarmSessions {
    shards: Vec<Mutex<Shard>>,
    epochs: Vec<AtomicU64>,
}

impl WarmSessions {
    /// Holds about `most` sessions.
    pub(super) fn new(most: u64) -> Self {
        let each = usize::try_from(most).unwrap_or(usize::MAX / 2).div_ceil(SHARDS);
        let shard = || Mutex::new(Shard { sessions: Bounded::new(each), ends: 0 });
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            epochs: (0..EPOCHS).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn shard(&self, key: &HashedSessionKey) -> MutexGuard<'_, Shard> {
        self.shards[usize::from(key.0[0]) % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn epoch(&self, id: ConnectionId) -> &AtomicU64 {
        &self.epochs[usize::from(u16::from_be_bytes([id.0[0], id.0[23]])) % EPOCHS]
    }

    pub(super) fn look(&self, key: &HashedSessionKey, measure: Measure<'_>) -> Seen {
        let mut shard = self.shard(key);
        let Some(slot) = shard.sessions.get(key) else { return Seen::Cold };
        let Slot::Live(warm) = slot else { return Seen::Ended };
        let Some(life) = measure.used(warm.life, &warm.live.identity.client) else {
            *slot = Slot::Ended;
            shard.ends += 1;
            return Seen::JustEnded;
        };
        warm.life = life;
        if warm.epoch != self.epoch(warm.connection).load(Ordering::Acquire) {
            return Seen::Cold;
        }
        let live = warm.live.clone();
        if life.is_news(&warm.written) { Seen::Used { live, life } } else { Seen::Live(live) }
    }

    /// The same look without counting as use: an open stream that nobody speaks on keeps no session alive.
    pub(super) fn peek(&self, key: &HashedSessionKey, measure: Measure<'_>) -> Seen {
        let mut shard = self.shard(key);
        let Some(slot) = shard.sessions.get(key) else { return Seen::Cold };
        let Slot::Live(warm) = slot else { return Seen::Ended };
        if measure.used(warm.life, &warm.live.identity.client).is_none() {
            *slot = Slot::Ended;
            shard.ends += 1;
            return Seen::JustEnded;
        }
        if warm.epoch != self.epoch(warm.connection).load(Ordering::Acquire) {
            return Seen::Cold;
        }
        Seen::Live(warm.live.clone())
    }

    /// When a warm session ends if it is never used again.
    pub(super) fn idle_end(&self, key: &HashedSessionKey, measure: Measure<'_>) -> Option<UnixTime> {
        match self.shard(key).sessions.get(key) {
            Some(Slot::Live(warm)) => Some(measure.idle_end(warm.life, &warm.live.identity.client)),
            _ => None,
        }
    }

    /// The use is on its way to the store.
    pub(super) fn note_written(&self, key: &HashedSessionKey, life: Life) {
        if let Some(Slot::Live(warm)) = self.shard(key).sessions.get(key) {
            warm.written = life;
        }
    }

    /// A child was used, which counts as use of its root; `life` is in the store already.
    pub(super) fn note_use(&self, root: &HashedSessionKey, life: Life) {
        if let Some(Slot::Live(warm)) = self.shard(root).sessions.get(root) {
            warm.life = Life { over: warm.life.over.min(life.over), used: warm.life.used.max(life.used) };
            warm.written = life;
        }
    }

    pub(super) fn ticket(&self, key: &HashedSessionKey) -> Ticket {
        Ticket { key: *key, ends: self.shard(key).ends }
    }

    /// Keeps what was read, unless some session of the shard has ended since: it may have been this one.
    pub(super) fn keep(&self, ticket: Ticket, mut session: WarmSession) {
        let mut shard = self.shard(&ticket.key);
        if shard.ends != ticket.ends {
            return;
        }
        match shard.sessions.get(&ticket.key) {
            Some(Slot::Ended) => return,
            Some(Slot::Live(held)) => {
                session.life =
                    Life { over: session.life.over.min(held.life.over), used: session.life.used.max(held.life.used) };
            }
            None => {}
        }
        shard.sessions.insert(ticket.key, Slot::Live(session));
    }

    /// Remembers that the store does not know this session.
    pub(super) fn keep_ended(&self, ticket: Ticket) {
        self.shard(&ticket.key).sessions.insert(ticket.key, Slot::Ended);
    }

    /// A session has ended in the store.
    pub(super) fn ended(&self, key: &HashedSessionKey) {
        let mut shard = self.shard(key);
        shard.ends += 1;
        // Only what is warm: a sweep of a million expired sessions must not drive out the live ones.
        if let Some(slot) = shard.sessions.get(key) {
            *slot = Slot::Ended;
        }
    }

    pub(super) fn connection_epoch(&self, id: ConnectionId) -> u64 {
        self.epoch(id).load(Ordering::Acquire)
    }

    /// A connection has changed in the store: the next look at its sessions reads them again.
    pub(super) fn connection_changed(&self, id: ConnectionId) {
        self.epoch(id).fetch_add(1, Ordering::AcqRel);
    }
}
