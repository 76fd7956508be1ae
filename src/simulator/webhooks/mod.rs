//! Webhooks: which client wants to hear of changes of which record, and the runs that tell it (`orcid.md` §7).
//! Registered through `api`; run by a task of `handle`, and by its levers.
//!
//! `registry` knows who wants to hear and when, `target` which addresses may be told, `delivery` how one is told,
//! `run` does it all.

mod delivery;
mod registry;
mod run;
mod target;

pub use run::{WebhookDelivery, WebhookOutcome};

pub(super) use registry::{Refused, Registry, Removal};
pub(super) use run::{keep_running, run};
pub(super) use target::is_sound;
