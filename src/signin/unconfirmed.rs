//! [`Unconfirmed`]: grants that wait for their person to say "this is me". In memory only: whatever is lost with
//! the process, its revocation is queued already.

use super::attempt::AttemptId;
use crate::domain::{Grant, UnixTime};
use crate::vault::{ConnectionKey, RevocationId};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// Most grants that wait; beyond it newcomers are turned away, and nobody who came before.
const MOST: usize = 256;
/// Most of one person; beyond it their own oldest gives way.
const EACH: usize = 4;

/// A grant that waits.
pub(super) struct Held {
    pub(super) key: ConnectionKey,
    pub(super) grant: Grant,
    pub(super) at: UnixTime,
    /// `None` if the token is in use already and must not be revoked.
    pub(super) revocation: Option<RevocationId>,
}

#[derive(Default)]
pub(super) struct Unconfirmed {
    held: Mutex<Vec<(AttemptId, Held)>>,
}

impl Unconfirmed {
    /// Without those that have waited too long. A clock set back makes nobody wait longer.
    fn held(&self, now: UnixTime) -> MutexGuard<'_, Vec<(AttemptId, Held)>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(_, held)| now.since(held.at) < PATIENCE && held.at <= now.plus(PATIENCE));
        held
    }

    /// Lets a grant wait; gives it back if there is no room.
    pub(super) fn wait(&self, id: AttemptId, newcomer: Held, now: UnixTime) -> Option<Held> {
        let mut held = self.held(now);
        if held.iter().filter(|(_, held)| held.key == newcomer.key).count() >= EACH
            && let Some(oldest) = held.iter().position(|(_, held)| held.key == newcomer.key)
        {
            held.remove(oldest);
        }
        if held.len() >= MOST {
            return Some(newcomer);
        }
        held.push((id, newcomer));
        None
    }

    pub(super) fn holds(&self, id: AttemptId, now: UnixTime) -> bool {
        self.held(now).iter().any(|(known, _)| *known == id)
    }

    /// Whom the grant speaks of.
    pub(super) fn look<T>(&self, id: AttemptId, now: UnixTime, show: impl FnOnce(&Held) -> T) -> Option<T> {
        self.held(now).iter().find(|(known, _)| *known == id).map(|(_, held)| show(held))
    }

    /// The grant, for the one answer.
    pub(super) fn take(&self, id: AttemptId, now: UnixTime) -> Option<Held> {
        let mut held = self.held(now);
        let at = held.iter().position(|(known, _)| *known == id)?;
        Some(held.remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AccessToken, Environment, Mfa, Subject};

    const NOW: UnixTime = UnixTime(1_790_000_000);

    fn id(number: usize) -> AttemptId {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&(number as u64).to_be_bytes());
        AttemptId(id)
    }

    fn held(person: usize) -> Held {
        let subject = Subject::Foreign(person.to_string());
        Held {
            key: ConnectionKey {
                environment: Environment::Other,
                client: "main".parse().unwrap(),
                subject: subject.clone(),
            },
            grant: Grant {
                subject,
                name: None,
                given_name: None,
                family_name: None,
                mfa: Mfa::Unknown,
                scopes: Default::default(),
                access_token: AccessToken::new("a token"),
                refresh_token: None,
                expires: None,
                at_provider: None,
            },
            at: NOW,
            revocation: None,
        }
    }

    #[test]
    fn a_grant_waits_five_minutes_and_is_taken_once() {
        let unconfirmed = Unconfirmed::default();
        assert!(unconfirmed.wait(id(1), held(1), NOW).is_none());
        assert!(unconfirmed.holds(id(1), UnixTime(NOW.0 + 299)) && !unconfirmed.holds(id(2), NOW));
        assert!(unconfirmed.take(id(1), NOW).is_some() && unconfirmed.take(id(1), NOW).is_none());
        assert!(unconfirmed.wait(id(1), held(1), NOW).is_none());
        assert!(unconfirmed.take(id(1), UnixTime(NOW.0 + 300)).is_none(), "too late");
    }

    #[test]
    fn grants_that_wait_are_bounded_and_the_older_ones_stay() {
        let unconfirmed = Unconfirmed::default();
        for number in 0..6 {
            assert!(unconfirmed.wait(id(number), held(0), NOW).is_none());
        }
        let kept: Vec<bool> = (0..6).map(|number| unconfirmed.holds(id(number), NOW)).collect();
        assert_eq!(kept, [false, false, true, true, true, true], "one person has so many and no more");
        for number in 6..6 + MOST - EACH {
            assert!(unconfirmed.wait(id(number), held(number), NOW).is_none());
        }
        assert!(unconfirmed.wait(id(9_999), held(9_999), NOW).is_some());
        assert!(unconfirmed.holds(id(2), NOW) && unconfirmed.holds(id(6), NOW));
        assert!(unconfirmed.wait(id(9_999), held(9_999), UnixTime(NOW.0 + 301)).is_none(), "room again");
    }
}
