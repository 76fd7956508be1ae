//! [`Bounded`]: a map that forgets what has not been asked for in a while. Used by `warm` and
//! `data_keys`, each shard behind its own lock.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Takes the end of a key for its hash: the keys are keyed hashes already, or hashes of what only we draw, so nobody can
/// choose many that fall together. The end, because shards and buckets are told apart by how a key begins.
#[derive(Debug, Default)]
struct End(u64);

impl Hasher for End {
    fn write(&mut self, bytes: &[u8]) {
        match bytes.last_chunk() {
            Some(end) => self.0 = u64::from_ne_bytes(*end),
            None => bytes.iter().for_each(|&byte| self.0 = self.0 << 8 | u64::from(byte)),
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Map<K, V> = HashMap<K, V, BuildHasherDefault<End>>;

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

    #[test]
    fn never_more_than_its_bound_and_the_last_used_stay() {
        let mut map = Bounded::new(100);
        for key in 0..1000u32 {
            map.insert(key, key);
            assert!(map.len() <= 100);
            assert_eq!(map.get(&0).copied(), Some(0), "used all the time, after {key}");
        }
        assert_eq!(map.get(&999).copied(), Some(999));
        assert_eq!(map.get(&500).copied(), None);
        map.remove(&0);
        assert_eq!(map.get(&0), None);
    }
}
