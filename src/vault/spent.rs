//! Attempts and tickets already used. [`Vault::spend`] says yes exactly once.

use super::store::{Batch, Condition, Outcome};
use super::{Vault, VaultFault, trees};
use crate::domain::UnixTime;

/// A thing that may be used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it is, such as `attempt` or `ticket`; ids of different purposes are different things.
    pub purpose: &'static str,
    pub id: [u8; 20],
}

impl Vault {
    /// `true` exactly once per mark, however many ask at the same time, and durable before it is said.
    /// The mark is forgotten some time after `expires`: nobody may accept the thing from then on.
    pub async fn spend(&self, mark: Mark, expires: UnixTime) -> Result<bool, VaultFault> {
        let at = trees::spent(mark.purpose, &mark.id);
        let mut batch = Batch::default().when(Condition::Absent(at.clone()));
        batch.put_until(at, Vec::new(), expires);
        Ok(self.core.store.write(batch).await? == Outcome::Written)
    }

    /// Whether a mark has been spent, without spending it.
    pub(super) async fn is_spent(&self, mark: Mark) -> Result<bool, VaultFault> {
        Ok(self.core.store.get(&trees::spent(mark.purpose, &mark.id)).await?.is_some())
    }
}
