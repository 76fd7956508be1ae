//! [`Outcomes`]: what became of an attempt, for a minute. Of several equal callbacks one does the work; the
//! others wait and receive the same, for the browser has thrown the first answer away (J15, T37).

use super::attempt::AttemptId;
use crate::domain::{IncidentId, UnixTime};
use crate::pages::Notice;
use crate::session::cookie::SessionKey;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long an outcome is remembered.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How long an exchange may be under way before its place is given up.
const UNDER_WAY: Duration = Duration::from_secs(120);
/// Most outcomes kept; beyond, the oldest are forgotten, and their duplicates meet the spent mark.
const KEPT: usize = 16_384;

/// How the work on one attempt ended.
#[derive(Clone)]
pub(super) enum Ending {
    /// The browser's new session, and where to go with it.
    SignedIn {
        key: SessionKey,
        onward: String,
    },
    /// The grant waits for its person to say that it is theirs.
    Unconfirmed,
    /// The mark was spent before: by a process that has ended since.
    Spent,
    Trouble {
        notice: Notice,
        incident: IncidentId,
    },
}

type Place = watch::Receiver<Option<(UnixTime, Ending)>>;

#[derive(Default)]
struct Ledger {
    places: HashMap<AttemptId, Place>,
    /// Oldest first, with the time each began.
    order: VecDeque<(UnixTime, AttemptId)>,
}

#[derive(Default)]
pub(super) struct Outcomes {
    ledger: Arc<Mutex<Ledger>>,
}

/// What a callback has to do.
pub(super) enum Turn {
    /// The work is yours.
    Work(Worker),
    /// Somebody is or was at it.
    Wait(Waiter),
}

/// The duty to tell the others how it ended. Dropped without a word (a panic), they hear of it too.
pub(super) struct Worker {
    told: watch::Sender<Option<(UnixTime, Ending)>>,
}

pub(super) struct Waiter {
    place: Place,
}

impl Outcomes {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_turn(&self, id: AttemptId, now: UnixTime) -> Turn {
        let mut ledger = self.ledger();
        ledger.forget_old(now);
        if let Some(place) = ledger.places.get(&id) {
            let forgotten = matches!(&*place.borrow(), Some((at, _)) if now.since(*at) > REMEMBERED);
            if !forgotten {
                return Turn::Wait(Waiter { place: place.clone() });
            }
        }
        let (told, place) = watch::channel(None);
        if ledger.places.insert(id, place).is_none() {
            ledger.order.push_back((now, id));
        }
        Turn::Work(Worker { told })
    }
}

impl Ledger {
    fn forget_old(&mut self, now: UnixTime) {
        while let Some((began, id)) = self.order.front() {
            if self.order.len() < KEPT && now.since(*began) <= REMEMBERED + UNDER_WAY {
                break;
            }
            self.places.remove(id);
            self.order.pop_front();
        }
    }
}

impl Worker {
    pub(super) fn tell(self, now: UnixTime, ending: Ending) {
        // Nobody may be waiting; the ledger keeps a receiver anyway.
        let _ = self.told.send(Some((now, ending)));
    }
}

impl Waiter {
    /// The outcome, or `None` if it does not come: the worker died, or takes longer than `patience`.
    pub(super) async fn ending(mut self, patience: Duration) -> Option<Ending> {
        let told = tokio::time::timeout(patience, self.place.wait_for(Option::is_some)).await;
        let told = told.ok()?.ok()?;
        told.as_ref().map(|(_, ending)| ending.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn id(n: u8) -> AttemptId {
        AttemptId([n; 20])
    }

    fn work(turn: Turn) -> Worker {
        match turn {
            Turn::Work(worker) => worker,
            Turn::Wait(_) => panic!("somebody else works already"),
        }
    }

    fn wait(turn: Turn) -> Waiter {
        match turn {
            Turn::Wait(waiter) => waiter,
            Turn::Work(_) => panic!("the work is given away twice"),
        }
    }

    #[tokio::test]
    async fn t37_fifty_callbacks_and_one_works() {
        let outcomes = Outcomes::default();
        let worker = work(outcomes.take_turn(id(1), NOW));
        let waiters: Vec<_> = (0..49).map(|_| wait(outcomes.take_turn(id(1), NOW))).collect();
        work(outcomes.take_turn(id(2), NOW));
        worker.tell(NOW, Ending::Spent);
        for waiter in waiters {
            assert!(matches!(waiter.ending(Duration::from_secs(1)).await, Some(Ending::Spent)));
        }
        let late = wait(outcomes.take_turn(id(1), NOW.plus(REMEMBERED)));
        assert!(matches!(late.ending(Duration::ZERO).await, Some(Ending::Spent)));
    }

    #[tokio::test]
    async fn t37_after_a_minute_it_is_forgotten() {
        let outcomes = Outcomes::default();
        work(outcomes.take_turn(id(1), NOW)).tell(NOW, Ending::Spent);
        work(outcomes.take_turn(id(1), UnixTime(NOW.0 + 61)));
    }

    #[tokio::test]
    async fn a_worker_that_dies_leaves_nobody_waiting() {
        let outcomes = Outcomes::default();
        let worker = work(outcomes.take_turn(id(1), NOW));
        let waiter = wait(outcomes.take_turn(id(1), NOW));
        drop(worker);
        assert!(waiter.ending(Duration::from_secs(30)).await.is_none());
    }

    #[test]
    fn outcomes_are_bounded() {
        let outcomes = Outcomes::default();
        for n in 0..u32::try_from(KEPT).unwrap() * 2 {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            work(outcomes.take_turn(AttemptId(bytes), NOW)).tell(NOW, Ending::Spent);
        }
        let ledger = outcomes.ledger();
        assert!(ledger.places.len() <= KEPT && ledger.order.len() <= KEPT);
    }
}
