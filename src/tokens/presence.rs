//! Finds out whether a provider is there at all, so that nobody loses a session while they could not sign in again (F14).
//! One background task for each client, started by `app` where sessions may outlive their end (`sessions.outage_grace`).

use crate::domain::{ClientName, Clock, UnixTime};
use crate::metrics::Metrics;
use crate::orcid::{OrcidTrouble, Provider};
use crate::vault::Vault;
use std::sync::Arc;
use std::time::Duration;

/// From one question to the next, while there are answers. Two a minute are far below what ORCID bears (`orcid.md`
/// §8.7), so that no chance has to spread them.
const EVERY: Duration = Duration::from_secs(30);
/// And while there are none: neither the beginning nor the end of an outage is noticed late.
const SOON: Duration = Duration::from_secs(5);
/// How often the task looks whether it may ask.
const TICK: Duration = Duration::from_millis(500);
/// Questions without an answer in a row that make an outage. One may be lost by chance.
const MISSED: u32 = 2;

/// What the watch works with.
pub struct PresenceParts {
    pub vault: Arc<Vault>,
    pub provider: Arc<Provider>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    /// By how much sessions may outlive their end; for the log.
    pub grace: Duration,
}

/// Runs until aborted. Each question is over within the provider's timeouts. That it watches is to be seen at once, in
/// the metrics.
pub fn watch_presence(parts: PresenceParts) -> impl Future<Output = ()> {
    let mut presence = Presence::new(parts);
    async move {
        loop {
            presence.step().await;
            tokio::time::sleep(TICK).await;
        }
    }
}

pub(super) struct Presence {
    parts: PresenceParts,
    client: ClientName,
    /// When to ask again.
    next: UnixTime,
    /// Questions without an answer, in a row.
    missed: u32,
    away: bool,
    /// The code of the last answer, if that was no good: it is said once.
    odd: Option<&'static str>,
}

impl Presence {
    pub(super) fn new(parts: PresenceParts) -> Self {
        let client = parts.provider.settings().name.clone();
        parts.metrics.provider_away.with_label_values(&[client.as_str()]).set(0);
        Self { parts, client, next: UnixTime(i64::MIN), missed: 0, away: false, odd: None }
    }

    /// Asks, if it is time to.
    pub(super) async fn step(&mut self) {
        let now = self.parts.clock.now();
        // A pause longer than any means that the clock was set back meanwhile.
        if now < self.next && self.next.since(now) <= EVERY {
            return;
        }
        let answer = self.parts.provider.answers().await;
        self.hear(answer, self.parts.clock.now());
    }

    /// Takes an answer in, or that there was none. Who answers is there, however badly: behind an answer that is not
    /// believed may be anybody, and nobody keeps a session alive with one (T62).
    pub(super) fn hear(&mut self, answer: Result<(), OrcidTrouble>, now: UnixTime) {
        let trouble = answer.err();
        let absent = trouble.as_ref().is_some_and(OrcidTrouble::is_absence);
        self.missed = if absent { self.missed.saturating_add(1) } else { 0 };
        self.next = now.plus(if absent { SOON } else { EVERY });
        let odd = trouble.as_ref().filter(|_| !absent);
        if let Some(trouble) = odd
            && self.odd != Some(trouble.code())
        {
            let client = &self.client;
            tracing::warn!(%client, cause = %trouble, "the provider answers, though not as it should: that is no outage, and sessions end as ever");
        }
        self.odd = odd.map(OrcidTrouble::code);
        self.say(self.missed >= MISSED, trouble.as_ref());
    }

    fn say(&mut self, away: bool, trouble: Option<&OrcidTrouble>) {
        if away == self.away {
            return;
        }
        self.away = away;
        self.parts.vault.provider_away(&self.client, away);
        self.parts.metrics.provider_away.with_label_values(&[self.client.as_str()]).set(i64::from(away));
        let client = &self.client;
        if let (true, Some(trouble)) = (away, trouble) {
            let seconds = self.parts.grace.as_secs();
            tracing::warn!(%client, cause = %trouble, seconds, "the provider cannot be reached; sessions that would end live on until it can, for so many seconds at most");
        } else {
            tracing::info!(%client, "the provider can be reached again; sessions end as ever");
        }
    }
}

/// Whoever no longer asks may not go on saying that the provider is away.
impl Drop for Presence {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let client = &self.client;
            tracing::error!(%client, "whether the provider can be reached is no longer asked; no session outlives its end until a restart");
        }
        if self.away {
            self.parts.vault.provider_away(&self.client, false);
            self.parts.metrics.provider_away.with_label_values(&[self.client.as_str()]).set(0);
        }
    }
}
