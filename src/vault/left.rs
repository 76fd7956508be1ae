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
/// Sessions of one browser, each replaced by the next, that are looked at. Nobody signs in so often in one day.
const LINE: usize = 16;
/// Bytes of a key that name a row: as many as other marks have.
const NAME: usize = 20;

fn note(session: &HashedSessionKey) -> Address {
    trees::spent("left", &session.0[..NAME])
}

/// Where the line of a session ends: one that was left, or the name of the last that took a place in it.
#[derive(PartialEq, Eq)]
enum LineEnd {
    Left,
    Open(Vec<u8>),
}

impl Core {
    /// Notes that the person of a session left it. Nothing in the row says who that was.
    pub(super) fn left_into(&self, batch: &mut Batch, session: &HashedSessionKey, expires: UnixTime) {
        batch.put_until(note(session), Vec::new(), self.remembered_until(expires));
    }

    /// Notes that in one browser the same person's session `new` takes the place of `old`: who leaves the one has left
    /// the other. Where two tabs replace the same one, the later stands behind the earlier. For callers that hold the
    /// person's stripe.
    pub(super) async fn followed_into(
        &self,
        batch: &mut Batch,
        old: &HashedSessionKey,
        new: &HashedSessionKey,
        expires: UnixTime,
    ) -> Result<(), VaultFault> {
        if let LineEnd::Open(last) = self.end_of_line(old).await? {
            batch.put_until(trees::spent("left", &last), new.0[..NAME].to_vec(), self.remembered_until(expires));
        }
        Ok(())
    }

    async fn end_of_line(&self, session: &HashedSessionKey) -> Result<LineEnd, VaultFault> {
        let mut last = session.0[..NAME].to_vec();
        for _ in 0..LINE {
            match self.store.get(&trees::spent("left", &last)).await? {
                None => return Ok(LineEnd::Open(last)),
                Some(after) if after.is_empty() => return Ok(LineEnd::Left),
                Some(after) => last = after,
            }
        }
        Ok(LineEnd::Left)
    }

    /// Whether `new` is `old` or took its place, and nobody left them.
    pub(super) async fn led_to(&self, old: &HashedSessionKey, new: &HashedSessionKey) -> Result<bool, VaultFault> {
        Ok(old == new || self.end_of_line(old).await? == LineEnd::Open(new.0[..NAME].to_vec()))
    }
}

impl Vault {
    /// Whether somebody left this site session or its root, or one of the same browser that took their place. Known
    /// for [`AFTERLIFE`] after its absolute end.
    pub async fn was_left(&self, session: &HashedSessionKey, root: &HashedSessionKey) -> Result<bool, VaultFault> {
        let core = &self.core;
        Ok(core.end_of_line(session).await? == LineEnd::Left || core.end_of_line(root).await? == LineEnd::Left)
    }
}
