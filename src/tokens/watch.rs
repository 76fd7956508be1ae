//! Finds out by itself what was taken back or has changed at ORCID (J8, F6; `orcid.md` §5.3: nobody is told). Asks
//! about one connection after the other, round after round. One background task for each client, started by `app`.

use super::pace::{LONGEST, Pace};
use super::renew::renew;
use crate::domain::{Broken, Chance, ClientName, Clock, UnixTime};
use crate::metrics::Metrics;
use crate::orcid::{OrcidTrouble, Provider, RecordStatus};
use crate::vault::{ConnectionKey, Page, Round, Stage, Vault, VaultFault};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Connections read at a time; as many may be asked about twice after a restart.
const PAGE: usize = 64;
/// How often the task looks whether it may ask.
const TICK: Duration = Duration::from_millis(500);
/// How long to leave a store alone that failed.
const STORE_PAUSE: Duration = Duration::from_secs(60);
/// So many connections broken in a row, and none sound between them: that is not people changing their minds, but
/// ORCID refusing this client, or being wrong. The round waits, so that such a day breaks few.
const SUSPICIOUS: u32 = 5;

/// How often, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct WatchPlan {
    /// From one round to the next. A round that takes longer is followed by the next at once.
    pub every: Duration,
    /// Questions a second.
    pub rate: u32,
}

/// What a watch works with.
pub struct WatchParts {
    pub vault: Arc<Vault>,
    pub provider: Arc<Provider>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    pub metrics: Arc<Metrics>,
    pub plan: WatchPlan,
}

/// Runs until aborted. How far a round is lies in the vault: a restart goes on where it was.
pub async fn watch_connections(parts: WatchParts) {
    let mut watch = Watch::new(parts);
    loop {
        let pause = match watch.step().await {
            Ok(Step::Went) => continue,
            Ok(Step::Rests) => TICK,
            Err(fault) => {
                tracing::error!(cause = %fault, "connections could not be looked through for withdrawals");
                STORE_PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// What one step did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Went,
    /// There is nothing to do for now.
    Rests,
}

pub(super) struct Watch {
    parts: WatchParts,
    client: ClientName,
    pace: Pace,
    round: Option<Round>,
    /// To be asked about, in order, and where the vault goes on behind them.
    queue: VecDeque<ConnectionKey>,
    behind: Option<Page>,
    /// The token of the first in the queue was refused once.
    doubted: bool,
    /// Connections found broken since the last sound one.
    broken_in_a_row: u32,
}

/// What came of one question.
pub(super) enum Outcome {
    Sound,
    /// The token was refused; once proves nothing.
    Doubted,
    Broken(Broken),
    /// What ORCID said is about a token that is no longer in use.
    Superseded,
    /// There was nothing to ask with.
    NoToken,
    /// ORCID is away or asked too much: it says nothing about anybody.
    Later(OrcidTrouble),
    Unclear(OrcidTrouble),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Outcome::Sound => "sound",
            Outcome::Doubted => "doubted",
            Outcome::Broken(why) => why.word(),
            Outcome::Superseded => "superseded",
            Outcome::NoToken => "no-token",
            Outcome::Later(_) => "later",
            Outcome::Unclear(_) => "unclear",
        }
    }
}

impl Watch {
    pub(super) fn new(parts: WatchParts) -> Self {
        Self {
            client: parts.provider.settings().name.clone(),
            pace: Pace::new(parts.plan.rate),
            parts,
            round: None,
            queue: VecDeque::new(),
            behind: None,
            doubted: false,
            broken_in_a_row: 0,
        }
    }

    /// Begins a round, reads on, or asks about one connection.
    pub(super) async fn step(&mut self) -> Result<Step, VaultFault> {
        let now = self.parts.clock.now();
        if let Some(key) = self.queue.front().cloned() {
            if !self.pace.may_ask(now) {
                return Ok(Step::Rests);
            }
            self.ask(&key, now).await?;
            if self.queue.is_empty() {
                let at = self.behind.take().map_or(Stage::Over, Stage::Behind);
                self.go_on(at, now).await?;
            }
            return Ok(Step::Went);
        }
        let round = match &self.round {
            Some(round) => round,
            None => {
                let stored = self.parts.vault.round(&self.client).await?;
                self.round.insert(stored.unwrap_or(Round { next: now, at: Stage::Over }))
            }
        };
        let after = match &round.at {
            Stage::Beginning => None,
            Stage::Behind(page) => Some(page.clone()),
            // A next round further off than any means that the clock was set back meanwhile.
            Stage::Over if now < round.next && round.next.since(now) <= self.parts.plan.every => {
                return Ok(Step::Rests);
            }
            Stage::Over => {
                self.round = Some(Round { next: self.next_round(now), at: Stage::Over });
                self.go_on(Stage::Beginning, now).await?;
                return Ok(Step::Went);
            }
        };
        self.read_on(after, now).await?;
        Ok(Step::Went)
    }

    /// Up to a tenth early, so that the gates of the world do not all begin on the hour.
    fn next_round(&self, now: UnixTime) -> UnixTime {
        let drawn = u64::from(u16::from_be_bytes(self.parts.chance.bytes()));
        let every = self.parts.plan.every.as_secs();
        now.plus(Duration::from_secs(every - every / 10 * drawn / u64::from(u16::MAX)))
    }

    async fn go_on(&mut self, at: Stage, now: UnixTime) -> Result<(), VaultFault> {
        let next = self.round.as_ref().map_or(now, |round| round.next);
        let round = Round { next, at };
        self.parts.vault.keep_round(&self.client, &round).await?;
        self.round = Some(round);
        Ok(())
    }

    async fn read_on(&mut self, after: Option<Page>, now: UnixTime) -> Result<(), VaultFault> {
        let (connections, behind) = self.parts.vault.connections(after, PAGE).await?;
        let environment = self.parts.provider.settings().environment;
        let ours = connections.into_iter().filter(|connection| {
            let key = &connection.key;
            connection.broken.is_none() && key.client == self.client && key.environment == environment
        });
        self.queue = ours.map(|connection| connection.key).collect();
        match (self.queue.is_empty(), behind) {
            (true, behind) => self.go_on(behind.map_or(Stage::Over, Stage::Behind), now).await,
            (false, behind) => {
                self.behind = behind;
                Ok(())
            }
        }
    }

    /// Asks about the first of the queue, which leaves it unless it has to be asked about again.
    async fn ask(&mut self, key: &ConnectionKey, now: UnixTime) -> Result<(), VaultFault> {
        let outcome = look(&self.parts.vault, &self.parts.provider, key, self.doubted, now).await?;
        let client = &self.client;
        self.parts.metrics.record_checks.with_label_values(&[client.as_str(), outcome.word()]).inc();
        if !matches!(outcome, Outcome::Later(_)) {
            self.pace.answered();
        }
        self.doubted = matches!(outcome, Outcome::Doubted);
        match outcome {
            Outcome::Doubted => return Ok(()),
            Outcome::Later(trouble) => {
                let silence = self.pace.unanswered(now).as_secs();
                tracing::info!(%client, cause = %trouble, silence, "the look at connections has to wait");
                return Ok(());
            }
            Outcome::Unclear(trouble) => {
                tracing::warn!(%client, cause = %trouble, "ORCID's answer about a connection says nothing; left as it is");
            }
            Outcome::Sound => self.broken_in_a_row = 0,
            Outcome::Broken(why) => {
                tracing::info!(%client, reason = why.word(), "a connection is broken: ORCID no longer stands behind it");
                self.broken_in_a_row += 1;
            }
            Outcome::Superseded | Outcome::NoToken => {}
        }
        if self.broken_in_a_row >= SUSPICIOUS {
            self.broken_in_a_row = 0;
            self.pace.be_silent(now, LONGEST);
            let silence = LONGEST.as_secs();
            tracing::error!(%client, silence, "ORCID refuses one connection after the other; is the client still registered?");
        }
        self.queue.pop_front();
        Ok(())
    }
}

/// One question about one connection, with the newest token as the vault has it now. `doubted`: the last one's
/// answer was that its token is not known; the same answer again counts.
async fn look(
    vault: &Vault,
    provider: &Provider,
    key: &ConnectionKey,
    doubted: bool,
    now: UnixTime,
) -> Result<Outcome, VaultFault> {
    if !provider.has_records() {
        return renew(vault, provider, key).await;
    }
    let pairs = vault.token_pairs(key).await?;
    let usable = pairs.iter().rev().find(|pair| pair.expires.is_none_or(|at| at > now));
    let Some((token, orcid)) = usable.map(|pair| &pair.access_token).zip(key.subject.orcid()) else {
        return Ok(Outcome::NoToken);
    };
    let why = match provider.record_status(token, orcid).await {
        Ok(RecordStatus::Fine) => return Ok(Outcome::Sound),
        Ok(RecordStatus::TokenRefused) if !doubted => return Ok(Outcome::Doubted),
        Ok(RecordStatus::TokenRefused) => Broken::Withdrawn,
        Ok(RecordStatus::Deprecated { primary }) => Broken::Deprecated { primary },
        Ok(RecordStatus::Locked) => Broken::Locked,
        Ok(RecordStatus::Deactivated) => Broken::Deactivated,
        Err(trouble) if trouble.is_outage() => return Ok(Outcome::Later(trouble)),
        Err(trouble) => return Ok(Outcome::Unclear(trouble)),
    };
    Ok(if vault.mark_broken(key, token, why).await? { Outcome::Broken(why) } else { Outcome::Superseded })
}
