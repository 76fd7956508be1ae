//! The queue of tokens to revoke at ORCID: superseded pairs and those of withdrawn connections. Durable,
//! in the order in which they are due; drained by `tokens`.

use super::store::{Batch, Condition, Outcome};
use super::{ConnectionKey, Core, Vault, VaultFault, trees};
use crate::domain::{AccessToken, Grant, UnixTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub(super) const WHAT: &str = "a queued revocation";
/// The first pause after a failure; each further one doubles it, up to a day.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// About three months of trying. Then the token is forgotten here, and the log says so.
const MOST_ATTEMPTS: u32 = 100;

/// Names an entry of the queue as it stands; a failure gives it another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationId(pub(super) trees::Address);

/// A token to revoke. Revoking one token of a pair revokes the pair (`orcid.md` §5.2).
#[derive(Clone, Debug)]
pub struct Revocation {
    pub id: RevocationId,
    pub key: ConnectionKey,
    pub token: AccessToken,
}

/// An entry as it lies on disk, inside its seal. Sealed under the ring and not under the researcher's
/// data key: whoever is erased still wants the tokens revoked.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Queued {
    #[zeroize(skip)]
    key: ConnectionKey,
    token: String,
    attempts: u32,
}

impl Queued {
    pub(super) fn new(key: &ConnectionKey, token: &AccessToken) -> Self {
        Self { key: key.clone(), token: token.expose().to_owned(), attempts: 0 }
    }
}

/// How long to wait after `attempts` failures.
fn pause(attempts: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST_PAUSE)
}

impl Core {
    /// Adds entries that are due at once.
    pub(super) fn queue_revocations(&self, batch: &mut Batch, entries: impl Iterator<Item = Queued>) {
        let now = self.clock.now();
        for entry in entries {
            let at = trees::revocation(now, self.chance.bytes());
            batch.put(at.clone(), self.keys.seal_record(&at, &entry));
        }
    }

    /// Queues the tokens of a grant that nobody keeps.
    pub(super) async fn give_back(&self, key: &ConnectionKey, grant: &Grant) -> Result<(), VaultFault> {
        let mut batch = Batch::default();
        self.queue_revocations(&mut batch, std::iter::once(Queued::new(key, &grant.access_token)));
        self.store.write(batch).await.map(|_| ())
    }
}

impl Vault {
    /// Up to `most` revocations that are due, the longest due first. They stay in the queue until
    /// [`Vault::revocation_done`] or [`Vault::revocation_failed`]; two callers may get the same one, which
    /// does no harm.
    pub async fn due_revocations(&self, now: UnixTime, most: usize) -> Result<Vec<Revocation>, VaultFault> {
        let end = trees::revocation(UnixTime(now.0.saturating_add(1)), [0; 8]);
        let rows = self.core.store.scan(&trees::revocations(), None, most).await?;
        let due = rows.into_iter().take_while(|(at, _)| at < &end);
        due.map(|(at, sealed)| {
            let queued: Queued = self.core.keys.open_record(WHAT, &at, &sealed)?;
            let (key, token) = (queued.key.clone(), AccessToken::new(queued.token.as_str()));
            Ok(Revocation { id: RevocationId(at), key, token })
        })
        .collect()
    }

    /// The token is revoked, or can never be: takes it off the queue.
    pub async fn revocation_done(&self, id: &RevocationId) -> Result<(), VaultFault> {
        self.core.store.delete(id.0.clone()).await
    }

    /// Puts it back for later: after a minute, then twice as long each time, up to a day; after a
    /// hundred failures it is given up. Without effect if it is no longer queued under this id.
    pub async fn revocation_failed(&self, id: &RevocationId, now: UnixTime) -> Result<(), VaultFault> {
        let core = &self.core;
        let Some(sealed) = core.store.get(&id.0).await? else { return Ok(()) };
        let mut queued: Queued = core.keys.open_record(WHAT, &id.0, &sealed)?;
        queued.attempts += 1;
        let mut batch = Batch::default().when(Condition::Equals(id.0.clone(), sealed));
        batch.delete(id.0.clone());
        if queued.attempts < MOST_ATTEMPTS {
            let at = trees::revocation(now.plus(pause(queued.attempts)), core.chance.bytes());
            batch.put(at.clone(), core.keys.seal_record(&at, &queued));
        } else {
            tracing::error!(client = %queued.key.client, "a token could not be revoked for three months: given up");
        }
        // A conflict means that somebody else has dealt with it.
        match core.store.write(batch).await? {
            Outcome::Written | Outcome::Conflict => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_day() {
        for (attempts, seconds) in
            [(1, 60), (2, 120), (3, 240), (11, 61_440), (12, 86_400), (99, 86_400), (u32::MAX, 86_400)]
        {
            assert_eq!(pause(attempts).as_secs(), seconds, "{attempts}");
        }
    }
}
