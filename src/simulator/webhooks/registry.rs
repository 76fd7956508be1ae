//! [`Registry`]: the webhooks and which of them are due (`orcid.md` §7). Pure; kept in the books, written by `api`
//! and by `run`.

use crate::domain::{OrcidId, UnixTime};
use std::collections::BTreeMap;
use std::time::Duration;

/// Most webhooks at once.
const MOST: usize = 10_000;
/// Failures after which one is not told any more, until it is made anew.
const MOST_FAILURES: u32 = 25;
/// What each failure adds to the pause before the next attempt.
const PAUSE: Duration = Duration::from_secs(600);

/// A webhook is the pair of a record and an address.
pub(in crate::simulator) type Key = (OrcidId, String);

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Hook {
    /// The client that registered it, which alone may take it back.
    pub(in crate::simulator) client: String,
    /// The revision of the record at the last success, at first at the registration.
    told: u64,
    failures: u32,
    failed: UnixTime,
}

/// There are too many.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Refused;

#[derive(Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Removal {
    Removed,
    Unknown,
    /// Another client registered it.
    AnothersHook,
}

#[derive(Default)]
pub(in crate::simulator) struct Registry {
    hooks: BTreeMap<Key, Hook>,
}

impl Registry {
    /// Registers a webhook for changes after `revision`; `false`: it was there and stays as it is, whoever's it is.
    pub(in crate::simulator) fn register(&mut self, key: Key, client: &str, revision: u64) -> Result<bool, Refused> {
        if self.hooks.contains_key(&key) {
            return Ok(false);
        }
        if self.hooks.len() >= MOST {
            return Err(Refused);
        }
        let hook = Hook { client: client.to_owned(), told: revision, failures: 0, failed: UnixTime(0) };
        self.hooks.insert(key, hook);
        Ok(true)
    }

    pub(in crate::simulator) fn remove(&mut self, key: &Key, client: &str) -> Removal {
        match self.hooks.get(key) {
            None => Removal::Unknown,
            Some(hook) if hook.client != client => Removal::AnothersHook,
            Some(_) => {
                self.hooks.remove(key);
                Removal::Removed
            }
        }
    }

    /// Those that have not heard of their record's latest change and may be tried again by now.
    pub(super) fn due(&self, now: UnixTime, revision: impl Fn(OrcidId) -> Option<u64>) -> Vec<(Key, Hook)> {
        let is_due = |(orcid, _): &Key, hook: &Hook| {
            let changed = revision(*orcid).is_some_and(|revision| revision > hook.told);
            let rested = hook.failures == 0 || now.since(hook.failed) >= PAUSE * hook.failures;
            changed && rested && hook.failures < MOST_FAILURES
        };
        self.hooks
            .iter()
            .filter(|(key, hook)| is_due(key, hook))
            .map(|(key, hook)| (key.clone(), hook.clone()))
            .collect()
    }

    /// Notes that the address has heard of this revision.
    pub(super) fn note_success(&mut self, key: &Key, revision: u64) {
        if let Some(hook) = self.hooks.get_mut(key) {
            hook.told = revision;
            hook.failures = 0;
        }
    }

    pub(super) fn note_failure(&mut self, key: &Key, now: UnixTime) {
        if let Some(hook) = self.hooks.get_mut(key) {
            hook.failures = hook.failures.saturating_add(1);
            hook.failed = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::people;

    fn key(n: usize) -> Key {
        (people::ORDINARY.parse().unwrap(), format!("http://127.0.0.1/{n}"))
    }

    fn is_due(registry: &Registry, now: i64, revision: u64) -> bool {
        !registry.due(UnixTime(now), |_| Some(revision)).is_empty()
    }

    #[test]
    fn one_is_due_when_its_record_has_changed_and_until_it_has_heard() {
        let mut registry = Registry::default();
        assert_eq!(registry.register(key(1), "APP-1", 3), Ok(true));
        assert!(!is_due(&registry, 0, 3), "nothing has changed since the registration");
        assert!(is_due(&registry, 0, 4));
        registry.note_success(&key(1), 4);
        assert!(!is_due(&registry, 0, 4));
        assert!(is_due(&registry, 0, 6));
        assert!(registry.due(UnixTime(0), |_| None).is_empty());
    }

    #[test]
    fn each_failure_makes_the_pause_longer_and_the_twenty_fifth_ends_it() {
        let mut registry = Registry::default();
        registry.register(key(1), "APP-1", 0).unwrap();
        for failures in 1..=24 {
            registry.note_failure(&key(1), UnixTime(1_000));
            assert!(!is_due(&registry, 1_000 + failures * 600 - 1, 1), "{failures}");
            assert!(is_due(&registry, 1_000 + failures * 600, 1), "{failures}");
        }
        registry.note_failure(&key(1), UnixTime(1_000));
        assert!(!is_due(&registry, i64::MAX, 1));
        // Registering it once more changes nothing; making it anew does.
        assert_eq!(registry.register(key(1), "APP-1", 0), Ok(false));
        assert!(!is_due(&registry, i64::MAX, 1));
        assert_eq!(registry.remove(&key(1), "APP-1"), Removal::Removed);
        registry.register(key(1), "APP-1", 0).unwrap();
        assert!(is_due(&registry, 0, 1));
        registry.note_failure(&key(1), UnixTime(0));
        registry.note_success(&key(1), 1);
        assert!(is_due(&registry, 0, 2), "a success forgets the failures");
    }

    #[test]
    fn only_its_own_client_takes_one_back_and_there_is_an_end_of_them() {
        let mut registry = Registry::default();
        registry.register(key(0), "APP-1", 0).unwrap();
        assert_eq!(registry.register(key(0), "APP-2", 9), Ok(false));
        assert_eq!(registry.remove(&key(0), "APP-2"), Removal::AnothersHook);
        assert_eq!(registry.remove(&key(1), "APP-1"), Removal::Unknown);
        for n in 1..MOST {
            registry.register(key(n), "APP-1", 0).unwrap();
        }
        assert_eq!(registry.register(key(MOST), "APP-1", 0), Err(Refused));
        assert_eq!(registry.remove(&key(0), "APP-1"), Removal::Removed);
        assert_eq!(registry.register(key(MOST), "APP-1", 0), Ok(true));
    }
}
