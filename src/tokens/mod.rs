//! Custody of ORCID's tokens: kept here, withdrawn here, shown to nobody. `signin` deposits; `app` runs the
//! withdrawals, the watch for what was taken back there, and the one for whether it is there, in the background.

mod deposit;
mod pace;
mod presence;
mod renew;
mod watch;
mod withdraw;

pub use deposit::{Deposit, deposit};
pub use presence::{PresenceParts, watch_presence};
pub use watch::{WatchParts, WatchPlan, watch_connections};
pub use withdraw::drain_revocations;

use crate::domain::ClientName;
use crate::orcid::Provider;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The client registrations at work, by name.
pub type Providers = BTreeMap<ClientName, Arc<Provider>>;

#[cfg(test)]
mod tests;
