//! Whether a session's person left it: signed out, disconnected, or gave the browser to somebody else. Of a session that
//! ended by its time nothing is noted: whoever comes back to it may be the same person, and of one that was left, hardly.

use super::store::Batch;
use super::trees::{self, Address};
use super::{Core, HashedSessionKey, Vault, VaultFault};
use crate::domain::UnixTime;
use std::time::Duration;

/// How long after its absolute end a session may be asked about: what the browser still says of it is worth nothing
/// from then on.
pub const AFTERLIFE: Duration = Duration::from_secs(12 * 3600);
/// Roots of one browser, each replaced by the next, that are looked at. Nobody signs in so often in one day.
const LINE: usize = 16;
/// Bytes of a key that name a row: as many as other marks have.
const NAME: usize = 20;

fn note(session: &HashedSessionKey) -> Address {
    trees::spent("left", &session.0[..NAME])
}

impl Core {
    /// Notes that the person of a session left it. Nothing in the row says who that was.
    pub(super) fn left_into(&self, batch: &mut Batch, session: &HashedSessionKey, expires: UnixTime) {
        batch.put_until(note(session), Vec::new(), expires.plus(AFTERLIFE));
    }

    /// Notes that in one browser the same person's root `new` takes the place of `old`: who leaves the one has left
    /// the other. For callers that hold the person's stripe.
    pub(super) async fn followed_into(
        &self,
        batch: &mut Batch,
        old: &HashedSessionKey,
        new: &HashedSessionKey,
        expires: UnixTime,
    ) -> Result<(), VaultFault> {
        if self.store.get(&note(old)).await?.is_none() {
            batch.put_until(note(old), new.0[..NAME].to_vec(), expires.plus(AFTERLIFE));
        }
        Ok(())
    }
}

impl Vault {
    /// Whether somebody left this site session, its root, or a root of the same browser that took its place. Known
    /// for [`AFTERLIFE`] after its absolute end.
    pub async fn was_left(&self, session: &HashedSessionKey, root: &HashedSessionKey) -> Result<bool, VaultFault> {
        let store = &self.core.store;
        if store.get(&note(session)).await?.is_some() {
            return Ok(true);
        }
        let mut next = note(root);
        for _ in 0..LINE {
            match store.get(&next).await? {
                None => return Ok(false),
                Some(after) if after.is_empty() => return Ok(true),
                Some(after) => next = trees::spent("left", &after),
            }
        }
        Ok(true)
    }
}
