//! [`Places`]: how many things one address may have under way, so that what one place makes up leaves room for
//! everybody else (T80). Asked by `finish` before an exchange, by `back_channel` before a token is looked into.

use crate::domain::counted_as;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most addresses counted at once; beyond, newcomers are turned away.
const ADDRESSES: usize = 4_096;

/// Who has how many under way. Addresses without any are not kept.
#[derive(Debug)]
pub(super) struct Places {
    each: u8,
    taken: Mutex<HashMap<IpAddr, u8>>,
}

/// One place; given back when dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    whose: IpAddr,
}

impl Places {
    /// So many for each address.
    pub(super) fn new(each: u8) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// A place for `peer`; `None` when it has all of its own, or too many addresses are about.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Place<'_>> {
        let whose = counted_as(peer);
        let mut taken = self.lock();
        if !taken.contains_key(&whose) && taken.len() >= ADDRESSES {
            return None;
        }
        let count = taken.entry(whose).or_default();
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place { places: self, whose })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u8>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.whose) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn t80_one_address_has_eight_places_however_it_is_written() {
        for (address, same, other) in
            [("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::ffff:2:3:4", "2001:db8:0:1::1")]
        {
            let places = Places::new(8);
            let mut held: Vec<_> = (0..8).map(|_| places.take(ip(address)).unwrap()).collect();
            assert!(places.take(ip(address)).is_none() && places.take(ip(same)).is_none(), "{address}");
            assert!(places.take(ip(other)).is_some(), "{other}");
            held.pop();
            held.push(places.take(ip(same)).unwrap());
            assert!(places.take(ip(address)).is_none());
            drop(held);
            assert!(places.lock().is_empty(), "nothing is kept of who has gone");
        }
    }

    #[test]
    fn t80_the_addresses_counted_are_bounded() {
        let places = Places::new(8);
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        let mut held: Vec<_> = (0..ADDRESSES).map(|n| places.take(address(n)).unwrap()).collect();
        assert!(places.take(address(ADDRESSES)).is_none());
        assert!(places.take(address(0)).is_some(), "whoever is in already is not turned away");
        held.pop();
        assert!(places.take(address(ADDRESSES)).is_some());
    }
}
