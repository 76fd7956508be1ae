//! Assertions signed this minute, so that a signed-in request costs a look-up and not a signature
//! (`design.md` §7). Bounded; owned by [`super::Assertions`].

use crate::domain::{Identity, SiteName, UnixTime};
use http::HeaderValue;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Listener cores rarely meet on one of so many locks.
const SHARDS: usize = 16;
/// About 16,000 assertions of one kilobyte in all.
const PER_SHARD: usize = 1024;

/// What an assertion was signed for. Two requests share one only if all of it is equal.
pub(super) struct Place<'a> {
    pub(super) session: &'a [u8; 32],
    pub(super) site: &'a SiteName,
    pub(super) audience: &'a str,
    pub(super) identity: &'a Arc<Identity>,
    pub(super) now: UnixTime,
}

impl Place<'_> {
    fn minute(&self) -> i64 {
        self.now.0.div_euclid(60)
    }
}

struct Entry {
    minute: i64,
    expires: UnixTime,
    audience: Box<str>,
    identity: Arc<Identity>,
    value: HeaderValue,
}

impl Entry {
    /// A step-up within the minute changes the identity: then the old assertion is not the answer. Nor is one that
    /// was to end with its session, when that lives on after all.
    fn serves(&self, place: &Place<'_>) -> bool {
        self.minute == place.minute()
            && place.now < self.expires
            && *self.audience == *place.audience
            && (Arc::ptr_eq(&self.identity, place.identity) || self.identity == *place.identity)
    }
}

type Shard = HashMap<([u8; 32], SiteName), Entry>;

#[derive(Default)]
pub(super) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
}

impl Cache {
    fn shard(&self, place: &Place<'_>) -> MutexGuard<'_, Shard> {
        // The session's hash is uniform, so its first byte spreads well.
        let index = usize::from(place.session[0]) % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, place: &Place<'_>) -> Option<HeaderValue> {
        let shard = self.shard(place);
        let entry = shard.get(&(*place.session, place.site.clone()))?;
        entry.serves(place).then(|| entry.value.clone())
    }

    pub(super) fn put(&self, place: &Place<'_>, expires: UnixTime, value: HeaderValue) {
        let mut shard = self.shard(place);
        if shard.len() >= PER_SHARD {
            shard.retain(|_, entry| entry.minute == place.minute());
            if shard.len() >= PER_SHARD {
                // Losing them costs signatures, nothing else.
                shard.clear();
            }
        }
        let (minute, audience, identity) = (place.minute(), place.audience.into(), place.identity.clone());
        let entry = Entry { minute, expires, audience, identity, value };
        shard.insert((*place.session, place.site.clone()), entry);
    }

    pub(super) fn clear(&self) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}
