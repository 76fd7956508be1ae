//! [`Quota`]: who takes how much room in the spool. Room is taken before a byte is written and given back by
//! dropping the [`Reservation`], so that a flood is refused at the door and nobody's form is thrown out for another's.

use super::super::HashedSessionKey;
use super::{Refused, Sender, SpoolLimits};
use crate::domain::counted_as;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The smallest form is counted as this many bytes, for what is remembered beside it.
pub(super) const LEAST: u64 = 64 * 1024;
/// Forms being received at a time: each holds a thread of the background.
pub(super) const UNDER_WAY: usize = 32;
/// Of which from one address.
pub(super) const UNDER_WAY_EACH: usize = 8;
/// And of which from one person, in however many browsers, wherever they are.
pub(super) const UNDER_WAY_PERSON: usize = 2;

#[derive(Debug, Default)]
struct Share {
    bytes: u64,
    under_way: usize,
}

#[derive(Debug, Default)]
struct Taken {
    total: Share,
    addresses: HashMap<IpAddr, Share>,
    browsers: HashMap<HashedSessionKey, usize>,
    /// Forms each person is sending at the moment.
    people: HashMap<[u8; 16], usize>,
}

#[derive(Debug)]
pub(super) struct Quota {
    limits: SpoolLimits,
    taken: Mutex<Taken>,
}

impl Quota {
    pub(super) fn new(limits: SpoolLimits) -> Self {
        Self { limits, taken: Mutex::default() }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a form of `bytes`. `elsewhere` is how many more forms the browser holds than are counted for it.
    pub(super) fn reserve(
        self: &Arc<Self>,
        sender: &Sender<'_>,
        elsewhere: usize,
        bytes: u64,
    ) -> Result<Reservation, Refused> {
        if bytes > self.limits.body {
            return Err(Refused::TooLarge);
        }
        let Sender { browser, person, .. } = *sender;
        let address = counted_as(sender.address);
        let bytes = bytes.max(LEAST);
        let mut taken = self.taken();
        if taken.browsers.get(&browser).copied().unwrap_or(0) + elsewhere >= self.limits.per_browser {
            return Err(Refused::BrowserFull);
        }
        let here = taken.addresses.get(&address);
        let (here_bytes, here_under_way) = here.map_or((0, 0), |share| (share.bytes, share.under_way));
        let fits = taken.total.bytes.saturating_add(bytes) <= self.limits.total
            && here_bytes.saturating_add(bytes) <= self.limits.per_address
            && taken.total.under_way < UNDER_WAY
            && here_under_way < UNDER_WAY_EACH
            && taken.people.get(&person).copied().unwrap_or(0) < UNDER_WAY_PERSON;
        if !fits {
            return Err(Refused::Full);
        }
        *taken.browsers.entry(browser).or_default() += 1;
        *taken.people.entry(person).or_default() += 1;
        let Taken { total, addresses, .. } = &mut *taken;
        for share in [total, addresses.entry(address).or_default()] {
            share.bytes += bytes;
            share.under_way += 1;
        }
        drop(taken);
        Ok(Reservation { quota: self.clone(), browser, person, address, bytes, under_way: true })
    }

    #[cfg(test)]
    pub(super) fn is_unused(&self) -> bool {
        let taken = self.taken();
        let nobody = taken.addresses.is_empty() && taken.browsers.is_empty() && taken.people.is_empty();
        nobody && taken.total.bytes == 0 && taken.total.under_way == 0
    }
}

/// Room that somebody has.
#[derive(Debug)]
pub(super) struct Reservation {
    quota: Arc<Quota>,
    browser: HashedSessionKey,
    person: [u8; 16],
    address: IpAddr,
    bytes: u64,
    under_way: bool,
}

impl Reservation {
    /// Room for `size` bytes in all.
    pub(super) fn grow(&mut self, size: u64) -> Result<(), Refused> {
        let limits = &self.quota.limits;
        if size > limits.body {
            return Err(Refused::TooLarge);
        }
        let Some(more) = size.checked_sub(self.bytes).filter(|more| *more > 0) else { return Ok(()) };
        let more = more.max(LEAST);
        let mut taken = self.quota.taken();
        let Taken { total, addresses, .. } = &mut *taken;
        let here = addresses.entry(self.address).or_default();
        if total.bytes.saturating_add(more) > limits.total || here.bytes.saturating_add(more) > limits.per_address {
            return Err(Refused::Full);
        }
        total.bytes += more;
        here.bytes += more;
        drop(taken);
        self.bytes += more;
        Ok(())
    }

    /// Everything is there: another form may be received.
    pub(super) fn written(&mut self) {
        if std::mem::take(&mut self.under_way) {
            let mut taken = self.quota.taken();
            let Taken { total, addresses, people, .. } = &mut *taken;
            less(people, &self.person);
            total.under_way -= 1;
            if let Some(share) = addresses.get_mut(&self.address) {
                share.under_way -= 1;
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.written();
        let mut taken = self.quota.taken();
        taken.total.bytes -= self.bytes;
        if let Some(share) = taken.addresses.get_mut(&self.address) {
            share.bytes -= self.bytes;
            if share.bytes == 0 {
                taken.addresses.remove(&self.address);
            }
        }
        less(&mut taken.browsers, &self.browser);
    }
}

/// One less of `key`; none are not listed.
fn less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
