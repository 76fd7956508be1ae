//! [`Outages`]: which providers cannot be reached just now. Nobody can sign in there again, so sessions of theirs whose
//! absolute end passes live on within a bound. Told by `tokens`, remembered in memory only.

use crate::domain::ClientName;
use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

pub(super) struct Outages {
    /// How long a session may live beyond its absolute end; zero: not at all.
    pub(super) grace: Duration,
    away: RwLock<BTreeSet<ClientName>>,
}

impl Outages {
    pub(super) fn new(grace: Duration) -> Self {
        Self { grace, away: RwLock::default() }
    }

    pub(super) fn set(&self, client: &ClientName, away: bool) {
        let mut set = self.away.write().unwrap_or_else(PoisonError::into_inner);
        if away {
            set.insert(client.clone());
        } else {
            set.remove(client);
        }
    }

    /// How long sessions of this client may live beyond their absolute end just now.
    pub(super) fn grace_of(&self, client: &ClientName) -> Duration {
        let away = || self.away.read().unwrap_or_else(PoisonError::into_inner).contains(client);
        if !self.grace.is_zero() && away() { self.grace } else { Duration::ZERO }
    }
}
