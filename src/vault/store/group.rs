//! What one group of batches amounts to: conditions checked in order against the store and the earlier
//! members, changes merged, expiries indexed. Pure but for the rows it looks up; used by `sled`.

use super::{Batch, Change, Condition, LARGEST_VALUE, Operation, Outcome};
use crate::domain::UnixTime;
use crate::vault::VaultFault;
use crate::vault::journal::{Entry, LARGEST_BATCH};
use crate::vault::trees::{Address, Tree, sortable};
use std::collections::{BTreeMap, HashMap};

/// How a row is stored: when it expires, eight bytes that sort (all ones: never), then its value.
const EXPIRY: usize = 8;
const NEVER: [u8; EXPIRY] = [0xff; EXPIRY];

pub(super) fn wrap(value: &[u8], expires: Option<UnixTime>) -> Vec<u8> {
    [&expires.map_or(NEVER, sortable)[..], value].concat()
}

/// The value of a stored row.
pub(super) fn unwrap(stored: &[u8]) -> Result<&[u8], VaultFault> {
    stored.get(EXPIRY..).ok_or(VaultFault::Unreadable { what: "a row of the store" })
}

/// Whether a stored row has expired by `now`.
pub(super) fn has_expired(stored: &[u8], now: UnixTime) -> bool {
    stored.get(..EXPIRY).is_some_and(|expiry| expiry != NEVER && expiry <= &sortable(now)[..])
}

/// Where the list of addresses that expire together lies: below their expiry and the first of them.
fn expiry_row(expires: UnixTime, first: &Address) -> Address {
    Address::new(Tree::Expiry, &[&sortable(expires), first.bytes()])
}

/// The expiry rows up to and including `now` lie below this address.
pub(super) fn expiry_end(now: UnixTime) -> Address {
    Address::new(Tree::Expiry, &[&sortable(UnixTime(now.0.saturating_add(1)))])
}

pub(super) type Lookup<'a> = &'a dyn Fn(&Address) -> Result<Option<Vec<u8>>, VaultFault>;

/// The merged changes of a group.
#[derive(Default)]
pub(super) struct Group {
    /// Rows as they become, stored form; `None`: deleted.
    pub(super) rows: HashMap<Address, Option<Vec<u8>>>,
    /// In order, for the watchers.
    pub(super) changes: Vec<(Address, Change)>,
    /// What the journal must hold before anything is acknowledged.
    pub(super) kept: Vec<Entry>,
}

impl Group {
    fn stored(&self, at: &Address, lookup: Lookup) -> Result<Option<Vec<u8>>, VaultFault> {
        match self.rows.get(at) {
            Some(row) => Ok(row.clone()),
            None => lookup(at),
        }
    }

    fn holds(&self, condition: &Condition, lookup: Lookup) -> Result<bool, VaultFault> {
        Ok(match condition {
            Condition::Absent(at) => self.stored(at, lookup)?.is_none(),
            Condition::Present(at) => self.stored(at, lookup)?.is_some(),
            Condition::Equals(at, value) => match self.stored(at, lookup)? {
                Some(stored) => unwrap(&stored)? == value,
                None => false,
            },
        })
    }

    /// Takes a batch in if its conditions hold.
    pub(super) fn admit(&mut self, batch: Batch, lookup: Lookup) -> Result<Outcome, VaultFault> {
        for operation in &batch.operations {
            if let Operation::Put { value, .. } = operation
                && value.len() > LARGEST_VALUE
            {
                return Err(VaultFault::TooLarge { bytes: value.len(), limit: LARGEST_VALUE });
            }
        }
        let bytes = batch.weight();
        if bytes > LARGEST_BATCH {
            return Err(VaultFault::TooLarge { bytes, limit: LARGEST_BATCH });
        }
        for condition in &batch.conditions {
            if !self.holds(condition, lookup)? {
                return Ok(Outcome::Conflict);
            }
        }
        // All lookups come before the first change: a batch that fails half-way must leave no trace.
        let expiring = self.not_yet_indexed(&batch, lookup)?;
        for (expires, addresses) in expiring {
            let row = expiry_row(expires, &addresses[0]);
            let list: Vec<&[u8]> = addresses.iter().map(Address::bytes).collect();
            let list = postcard::to_stdvec(&list).expect("byte strings can always be written");
            self.rows.insert(row, Some(wrap(&list, None)));
        }
        batch.operations.into_iter().for_each(|operation| self.apply(operation));
        Ok(Outcome::Written)
    }

    /// The rows that get a new expiry, by that expiry. A row that is rewritten with the expiry it has
    /// is in the index already, together with its companions.
    fn not_yet_indexed(&self, batch: &Batch, lookup: Lookup) -> Result<BTreeMap<UnixTime, Vec<Address>>, VaultFault> {
        let mut expiring: BTreeMap<UnixTime, Vec<Address>> = BTreeMap::new();
        for operation in &batch.operations {
            let Operation::Put { at, expires: Some(expires), .. } = operation else { continue };
            let indexed = self.stored(at, lookup)?.is_some_and(|row| row.starts_with(&sortable(*expires)));
            if !indexed {
                expiring.entry(*expires).or_default().push(at.clone());
            }
        }
        Ok(expiring)
    }

    fn apply(&mut self, operation: Operation) {
        let (at, value, expires) = match operation {
            Operation::Put { at, value, expires } => (at, Some(value), expires),
            Operation::Delete { at } => (at, None, None),
        };
        // An ended session must stay ended even if the disk loses the store's last words.
        if at.tree().is_kept() || at.tree() == Tree::Sessions && value.is_none() {
            self.kept.push(Entry { at: at.bytes().to_vec(), value: value.clone() });
        }
        self.changes.push((at.clone(), if value.is_some() { Change::Written } else { Change::Deleted }));
        self.rows.insert(at, value.map(|value| wrap(&value, expires)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_carry_their_expiry() {
        for (expires, now, expired) in [
            (Some(10), 9, false),
            (Some(10), 10, true),
            (Some(-5), -6, false),
            (Some(-5), 0, true),
            (None, i64::MAX, false),
        ] {
            let row = wrap(b"value", expires.map(UnixTime));
            assert_eq!(unwrap(&row).unwrap(), b"value");
            assert_eq!(has_expired(&row, UnixTime(now)), expired, "{expires:?} at {now}");
        }
        assert!(unwrap(b"short").is_err());
    }

    #[test]
    fn a_batch_that_fails_leaves_no_trace_in_its_group() {
        let mut group = Group::default();
        let at = Address::new(Tree::Spent, &[b"a"]);
        let mut batch = Batch::default();
        batch.put(at.clone(), vec![0; 10]);
        batch.put(at, vec![0; LARGEST_VALUE + 1]);
        assert!(matches!(group.admit(batch, &|_| Ok(None)), Err(VaultFault::TooLarge { .. })));
        assert!(group.rows.is_empty() && group.changes.is_empty() && group.kept.is_empty());
    }
}
