//! [`Stripes`]: changes to one person's rows take turns within this process, so that they do not spoil
//! each other's conditions. The conditions remain what holds between processes.

use super::names::Locator;
use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 1024;

pub(super) struct Stripes(Vec<Mutex<()>>);

impl Stripes {
    pub(super) fn new() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(())).collect())
    }

    /// Waits until nobody else changes anything of these people. Dropping what it gives lets others on.
    pub(super) async fn lock(&self, people: &[Locator]) -> Vec<MutexGuard<'_, ()>> {
        let stripe = |person: &Locator| usize::from(u16::from_be_bytes([person.0[14], person.0[15]])) % STRIPES;
        let mut wanted: Vec<usize> = people.iter().map(stripe).collect();
        // Always in the same order, each once: two that want the same two cannot wait for each other.
        wanted.sort_unstable();
        wanted.dedup();
        let mut held = Vec::with_capacity(wanted.len());
        for stripe in wanted {
            held.push(self.0[stripe].lock().await);
        }
        held
    }
}
