//! [`Store`]: the small interface beneath the vault. Rows with addresses, changed in batches that are
//! atomic and, once answered, durable. `sled` implements it; one conformance suite runs against each.

#[cfg(test)]
pub(super) mod conformance;
mod group;
mod sled;

pub(super) use self::sled::{Opened, Opening, SledStore};

use super::trees::{Address, Tree};
use super::{VaultFault, journal};
use crate::domain::UnixTime;
use async_trait::async_trait;

/// What must hold, at the moment a batch is applied, for it to be applied.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    Absent(Address),
    Present(Address),
    /// The row holds exactly these bytes.
    Equals(Address, Vec<u8>),
}

/// One change to one row.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A row with an expiry may be removed by [`Store::sweep`] from that instant on; until it is, it is
    /// still found: whoever cares about the second compares for himself.
    Put {
        at: Address,
        value: Vec<u8>,
        expires: Option<UnixTime>,
    },
    Delete {
        at: Address,
    },
}

/// Changes that happen together or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) operations: Vec<Operation>,
}

impl Batch {
    pub(crate) fn when(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    pub(crate) fn put(&mut self, at: Address, value: Vec<u8>) {
        self.operations.push(Operation::Put { at, value, expires: None });
    }

    pub(crate) fn put_until(&mut self, at: Address, value: Vec<u8>, expires: UnixTime) {
        self.operations.push(Operation::Put { at, value, expires: Some(expires) });
    }

    pub(crate) fn delete(&mut self, at: Address) {
        self.operations.push(Operation::Delete { at });
    }

    /// The most bytes it can take in the journal.
    fn weight(&self) -> usize {
        let one = |operation: &Operation| match operation {
            Operation::Put { at, value, .. } => journal::weight(at, Some(value)),
            Operation::Delete { at } => journal::weight(at, None),
        };
        self.operations.iter().map(one).sum()
    }
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Every operation was applied and is durable.
    Written,
    /// A condition did not hold; nothing was applied.
    Conflict,
}

/// What a watcher is told about a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Written,
    Deleted,
}

/// Called after a change has become durable and before its writer is answered, on the store's own
/// thread: must be quick and must not call the store.
pub(crate) type Watcher = Box<dyn Fn(&Address, Change) + Send + Sync>;

/// The largest value a row may hold, in bytes.
pub(crate) const LARGEST_VALUE: usize = 16 * 1024;

/// A store of rows. Safe to call from any runtime, and from none.
#[async_trait]
pub(crate) trait Store: Send + Sync + 'static {
    async fn get(&self, at: &Address) -> Result<Option<Vec<u8>>, VaultFault>;

    /// Applies a batch. Atomic: a reader or a crash sees all of it or nothing. Durable on return, power
    /// cuts included; dropping the future does not undo it. Conditions are checked in the order in which
    /// batches are applied, so that of two that exclude each other exactly one is written.
    async fn write(&self, batch: Batch) -> Result<Outcome, VaultFault>;

    /// Up to `limit` rows whose address begins with `prefix`, in order, beginning behind `after`.
    async fn scan(
        &self,
        prefix: &Address,
        after: Option<&Address>,
        limit: usize,
    ) -> Result<Vec<(Address, Vec<u8>)>, VaultFault>;

    /// Removes rows that have expired by `now`, looking at no more than `limit` groups that were written
    /// together. Gives how many groups it looked at: less than `limit` means that nothing is left.
    async fn sweep(&self, now: UnixTime, limit: usize) -> Result<usize, VaultFault>;

    /// Tells `watcher` about every later change to rows of `tree`, on whichever node it happens.
    fn watch(&self, tree: Tree, watcher: Watcher);

    /// Whether the store still reads and writes.
    fn health(&self) -> Result<(), VaultFault>;

    /// Applies what has been handed in, flushes, and gives the files free. Blocks. Later calls fail.
    fn close(&self);

    async fn put(&self, at: Address, value: Vec<u8>) -> Result<(), VaultFault> {
        let mut batch = Batch::default();
        batch.put(at, value);
        self.write(batch).await.map(|_| ())
    }

    /// `expected` is the value the row must have (`None`: it must not exist).
    async fn compare_and_set(
        &self,
        at: Address,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
    ) -> Result<Outcome, VaultFault> {
        let condition = match expected {
            None => Condition::Absent(at.clone()),
            Some(value) => Condition::Equals(at.clone(), value),
        };
        let mut batch = Batch::default().when(condition);
        batch.put(at, value);
        self.write(batch).await
    }

    async fn delete(&self, at: Address) -> Result<(), VaultFault> {
        let mut batch = Batch::default();
        batch.delete(at);
        self.write(batch).await.map(|_| ())
    }
}
