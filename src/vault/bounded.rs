//! [`Bounded`]: a map that forgets what has not been asked for in a while. Used by `warm` and
//! `data_keys`, each shard behind its own lock.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Takes the last eight bytes of a key for its hash. The keys are hashes already, keyed ones or of what only we draw, so
/// nobody can choose many that fall together; and shards are told apart by how a key begins.
#[derive(Debug, Default)]
struct EndOfKey(u64);

impl Hasher for EndOfKey {
    fn write(&mut self, bytes: &[u8]) {
        // Of an array, its length comes first.
        if let Some(end) = bytes.last_chunk() {
            self.0 = u64::from_ne_bytes(*end);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<EndOfKey>>;

/// Two generations: what is used moves to the young one; when that is full the old one is forgotten
/// and the young one grows old. All room is taken at the start, so that nothing allocates later.
#[derive(Debug)]
pub(super) struct Bounded<K, V> {
    young: Map<K, V>,
    old: Map<K, V>,
    half: usize,
}

impl<K: Eq + Hash + Copy, V> Bounded<K, V> {
    /// Holds at most `most` values, and always the half of them that was used last.
    pub(super) fn new(most: usize) -> Self {
        let half = (most / 2).max(1);
        let map = || Map::with_capacity_and_hasher(half, BuildHasherDefault::default());
        Self { young: map(), old: map(), half }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<&mut V> {
        if let Some(value) = self.old.remove(key) {
            self.insert(*key, value);
        }
        self.young.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old.clear();
            std::mem::swap(&mut self.young, &mut self.old);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.young.remove(key);
        self.old.remove(key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::HashedSessionKey;
    use crate::vault::names::Locator;
    use std::hash::BuildHasher;

    #[test]
    fn never_more_than_its_bound_and_the_last_used_stay() {
        let mut map = Bounded::new(100);
        let numbered = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for number in 0..1000 {
            map.insert(numbered(number), number);
            assert!(map.len() <= 100);
            assert_eq!(map.get(&numbered(0)).copied(), Some(0), "used all the time, after {number}");
        }
        assert_eq!(map.get(&numbered(999)).copied(), Some(999));
        assert_eq!(map.get(&numbered(500)).copied(), None);
        map.remove(&numbered(0));
        assert_eq!(map.get(&numbered(0)), None);
    }

    /// Were it anything else, the length perhaps, all keys would fall together, and no answer would tell.
    #[test]
    fn the_hash_of_a_key_is_its_end() {
        let hasher = BuildHasherDefault::<EndOfKey>::default();
        let key: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(hasher.hash_one(HashedSessionKey(key)).to_ne_bytes(), key[24..]);
        let locator: [u8; 16] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(hasher.hash_one(Locator(locator)).to_ne_bytes(), locator[8..]);
    }
}
