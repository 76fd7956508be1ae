//! [`Flights`]: of many requests that need the same cold session, one reads it and all receive it. Owned by
//! [`super::Sessions`].

use super::SessionFault;
use crate::vault::{HashedSessionKey, LiveSession};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) type Loaded = Result<Option<Arc<LiveSession>>, SessionFault>;
pub(super) type Flight = Shared<BoxFuture<'static, Loaded>>;

/// Most different sessions read at once.
const MOST: usize = 4_096;

/// Reads under way. Held weakly: a read nobody waits for any more ends, and its place is free.
#[derive(Default)]
pub(super) struct Flights {
    under_way: Mutex<HashMap<[u8; 32], WeakShared<BoxFuture<'static, Loaded>>>>,
}

impl Flights {
    /// Joins the read of `key`, or begins it with `read`.
    pub(super) fn board<F>(&self, key: HashedSessionKey, read: impl FnOnce() -> F) -> Result<Flight, SessionFault>
    where
        F: Future<Output = Loaded> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        // A finished read says how things were: the next request looks again.
        if let Some(flight) = under_way.get(&key.0).and_then(WeakShared::upgrade)
            && flight.peek().is_none()
        {
            return Ok(flight);
        }
        if under_way.len() >= MOST {
            under_way.retain(|_, flight| flight.upgrade().is_some_and(|flight| flight.peek().is_none()));
            if under_way.len() >= MOST {
                return Err(SessionFault::TooMany);
            }
        }
        let flight = read().boxed().shared();
        if let Some(weak) = flight.downgrade() {
            under_way.insert(key.0, weak);
        }
        Ok(flight)
    }
}
