//! [`Attempt`]: a sign-in under way. It travels sealed in the browser, one cookie each, named by its id, so
//! that a flood of them costs the gate nothing (invariant 8, T80) and parallel tabs do not meet (B2).

use super::arrival::Arrival;
use super::sealed::{self, Kind};
use super::{OwnRequest, SignIn};
use crate::domain::{Chance, ClientName, ScopeSet, UnixTime};
use crate::session::cookie;
use crate::vault::Sealer;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Attempt cookies begin so; then the id.
const PREFIX: &str = "__Host-Http-lychgate-try-";
/// How long a researcher may take at ORCID.
pub(super) const LIFE: Duration = Duration::from_secs(15 * 60);
/// Attempts alive in one browser; the oldest gives way (B3).
const ALIVE: usize = 6;
/// Longest cookie in bytes, name included (T63).
const LONGEST: usize = 1_536;
/// Characters of an id's text.
const ID_TEXT: usize = 27;
/// Most cookies of this kind looked at.
const LOOKED_AT: usize = 24;

/// 160 random bits; the `state` parameter and the cookie's name are its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AttemptId(pub(super) [u8; 20]);

impl AttemptId {
    pub(super) fn draw(chance: &dyn Chance) -> Self {
        Self(chance.bytes())
    }

    pub(super) fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads a `state`; only the one spelling is accepted.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut id = [0; 20];
        let decoded = text.len() == ID_TEXT && URL_SAFE_NO_PAD.decode_slice(text, &mut id).ok()? == 20;
        decoded.then_some(Self(id))
    }

    fn cookie_name(&self) -> String {
        format!("{PREFIX}{}", self.text())
    }

    /// Nonce and verifier are derived, not stored: nothing to steal from the cookie, nothing to keep
    /// (T35; 256 bits each).
    pub(super) fn derive(&self, sealer: &Sealer) -> String {
        URL_SAFE_NO_PAD.encode(sealer.mac(&self.0))
    }
}

/// What must be known again when the provider sends the browser back.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) client: ClientName,
    pub(super) asked: ScopeSet,
    pub(super) at: UnixTime,
    /// The provider was asked to make the person sign in anew (`prompt=login`).
    pub(super) prompted: bool,
    pub(super) arrival: Option<Arrival>,
}

impl Attempt {
    pub(super) fn is_expired(&self, now: UnixTime) -> bool {
        now.since(self.at) > LIFE || self.at > now.plus(Duration::from_secs(60))
    }

    /// Until when its single-use mark must be kept.
    pub(super) fn mark_until(&self) -> UnixTime {
        self.at.plus(2 * LIFE)
    }
}

impl SignIn {
    /// The cookies that a new attempt takes: its own, and the end of those that must give way.
    /// `None` if it does not fit a cookie.
    pub(super) fn keep_attempt(
        &self,
        request: &OwnRequest,
        id: AttemptId,
        attempt: &Attempt,
    ) -> Option<Vec<HeaderValue>> {
        let name = id.cookie_name();
        let text = sealed::seal(&self.attempts, Kind::Attempt, &id.text(), attempt);
        if name.len() + text.len() > LONGEST {
            return None;
        }
        let mut cookies = self.attempts_to_end(request);
        let age = u32::try_from(LIFE.as_secs()).expect("fifteen minutes fit");
        cookies.push(cookie::set(&name, &text, Some(age)));
        Some(cookies)
    }

    /// Expires what is no attempt of ours, what is too old, and the oldest beyond the limit.
    fn attempts_to_end(&self, request: &OwnRequest) -> Vec<HeaderValue> {
        let now = self.clock.now();
        let mut alive = Vec::new();
        let mut ended = Vec::new();
        for id in attempt_ids(request) {
            match self.attempt(request, id) {
                Some(attempt) if !attempt.is_expired(now) => alive.push((attempt.at, id)),
                _ => ended.push(id),
            }
        }
        alive.sort_by_key(|(at, _)| *at);
        let surplus = (alive.len() + 1).saturating_sub(ALIVE);
        ended.extend(alive.into_iter().take(surplus).map(|(_, id)| id));
        ended.iter().map(|id| cookie::expire(&id.cookie_name())).collect()
    }

    /// The attempt under `id` that this browser holds, expired or not.
    pub(super) fn attempt(&self, request: &OwnRequest, id: AttemptId) -> Option<Attempt> {
        let value = cookie::only(&id.cookie_name(), request.cookies())?;
        sealed::open(&self.attempts, Kind::Attempt, &id.text(), std::str::from_utf8(value).ok()?)
    }

    /// The only attempt this browser holds: what an error without `state` must belong to
    /// (`orcid.md` §2.3).
    pub(super) fn sole_attempt(&self, request: &OwnRequest) -> Option<(AttemptId, Attempt)> {
        let now = self.clock.now();
        let ids = attempt_ids(request);
        let held = ids.into_iter().filter_map(|id| Some((id, self.attempt(request, id)?)));
        let mut alive = held.filter(|(_, attempt)| !attempt.is_expired(now));
        let sole = alive.next()?;
        alive.next().is_none().then_some(sole)
    }

    /// Ends an attempt in the browser.
    pub(super) fn end_attempt(id: AttemptId) -> HeaderValue {
        cookie::expire(&id.cookie_name())
    }
}

fn attempt_ids(request: &OwnRequest) -> Vec<AttemptId> {
    let names = cookie::pairs(request.cookies()).filter_map(|(name, _)| name.strip_prefix(PREFIX.as_bytes()));
    let ids = names.filter_map(|text| AttemptId::read(std::str::from_utf8(text).ok()?));
    let mut seen = Vec::new();
    for id in ids.take(LOOKED_AT) {
        if !seen.contains(&id) {
            seen.push(id);
        }
    }
    seen
}
