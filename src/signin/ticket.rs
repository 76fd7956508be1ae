//! [`Ticket`]: brings a sign-in from the sign-in host to one site host (J5). Sealed, sixty seconds,
//! spent once, and worth nothing without the arrival cookie of the browser that set out for it.

use super::arrival::{Arrival, ArrivalHash, Target};
use super::language::in_chosen_language;
use super::sealed::{self, Kind};
use super::settings::ARRIVE;
use super::{OwnRequest, SignIn};
use crate::domain::{Host, SiteName, UnixTime};
use crate::vault::{HashedSessionKey, Sealer};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a ticket may be under way.
const LIFE: Duration = Duration::from_secs(60);

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Ticket {
    pub(super) id: [u8; 20],
    pub(super) site: SiteName,
    pub(super) root: [u8; 32],
    pub(super) hash: ArrivalHash,
    pub(super) target: Target,
    at: UnixTime,
}

impl Ticket {
    pub(super) fn new(id: [u8; 20], arrival: &Arrival, root: &HashedSessionKey, now: UnixTime) -> Self {
        let (site, hash, target) = (arrival.site.clone(), arrival.hash, arrival.target.clone());
        Self { id, site, root: root.0, hash, target, at: now }
    }

    pub(super) fn seal(&self, sealer: &Sealer, host: &Host) -> String {
        sealed::seal(sealer, Kind::Ticket, host.as_str(), self)
    }

    /// Opens a ticket for `host`; one sealed for another host, or anything else sealed, does not open.
    pub(super) fn open(sealer: &Sealer, host: &Host, text: &str) -> Option<Self> {
        sealed::open(sealer, Kind::Ticket, host.as_str(), text)
    }

    /// Whether the browser that holds an arrival cookie with `hash` may redeem it now. A clock that was
    /// set back makes tickets of the future, which are none.
    pub(super) fn is_good(&self, site: &SiteName, hash: ArrivalHash, now: UnixTime) -> bool {
        self.site == *site && self.hash == hash && self.at <= now && now.since(self.at) <= LIFE
    }

    /// Until when its single-use mark must be kept.
    pub(super) fn mark_until(&self) -> UnixTime {
        self.at.plus(2 * LIFE)
    }
}

impl SignIn {
    /// The address that signs the browser in at the site it came from.
    pub(super) fn ticket_address(&self, request: &OwnRequest, arrival: &Arrival, root: &HashedSessionKey) -> String {
        let ticket = Ticket::new(self.chance.bytes(), arrival, root, self.clock.now());
        let arrive = in_chosen_language(ARRIVE, request);
        format!("{}{arrive}?ticket={}", self.origin(&arrival.host), ticket.seal(&self.tickets, &arrival.host))
    }
}
