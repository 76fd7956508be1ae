//! A run: tells every webhook that is due, client by client, and notes how it went (`orcid.md` §7).

use super::delivery;
use super::registry::{Hook, Key};
use super::target::Target;
use crate::domain::OrcidId;
use crate::simulator::clients::ClientState;
use crate::simulator::world::World;
use futures_util::StreamExt;
use http::StatusCode;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How often we look whether the period is over.
const TICK: Duration = Duration::from_secs(1);
/// Clients told at once. One client's webhooks are told one after the other.
const AT_ONCE: usize = 8;

/// What became of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookOutcome {
    /// Answered 2xx.
    Delivered,
    /// Answered otherwise. After a 429 the client is left alone for the rest of the run.
    Refused,
    /// Nobody answered in time, or not in HTTP.
    Unanswered,
    /// Not sent: the address is not one of this machine.
    NotHere,
    /// Not sent: `webhook-failures` has it fail.
    MadeToFail,
}

/// One delivery of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookDelivery {
    pub orcid: OrcidId,
    pub client: String,
    /// As it was registered; it may hold a secret of the client's.
    pub uri: String,
    pub outcome: WebhookOutcome,
    /// What was answered, if anything was.
    pub status: Option<u16>,
}

/// Runs once a `webhook-period`, by the machine's clock, until the task is dropped.
pub(in crate::simulator) async fn keep_running(world: Arc<World>) {
    let mut last = world.clock.now();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = world.clock.now();
        let period = Duration::from_secs(world.switches().webhook_period.0.unsigned_abs());
        // A clock that was set back begins the period anew.
        if now < last || now.since(last) >= period {
            last = now;
            run(&world).await;
        }
    }
}

/// Tells every webhook that is due, and waits for another run to end first.
pub(in crate::simulator) async fn run(world: &World) -> Vec<WebhookDelivery> {
    let _alone = world.webhook_run.lock().await;
    let mut deliveries: Vec<WebhookDelivery> = futures_util::stream::iter(due(world))
        .map(|(client, due)| tell(world, client, due))
        .buffer_unordered(AT_ONCE)
        .concat()
        .await;
    deliveries.sort_by(|a, b| (a.orcid, &a.uri).cmp(&(b.orcid, &b.uri)));
    deliveries
}

/// What is due, by client. A deactivated client hears nothing.
fn due(world: &World) -> BTreeMap<String, Vec<Key>> {
    let now = world.now();
    let books = world.books();
    let mut by_client: BTreeMap<String, Vec<Key>> = BTreeMap::new();
    let revision = |orcid| books.records.get(&orcid).map(|record| record.revision);
    for (key, Hook { client, .. }) in books.webhooks.due(now, revision) {
        let is_told = books.clients.get(&client).is_some_and(|known| known.state != ClientState::Deactivated);
        if is_told {
            by_client.entry(client).or_default().push(key);
        }
    }
    by_client
}

async fn tell(world: &World, client: String, due: Vec<Key>) -> Vec<WebhookDelivery> {
    let mut told = Vec::new();
    for key in due {
        // What changes from here on is another change.
        let Some(revision) = world.record(key.0).map(|record| record.revision) else { continue };
        let (outcome, status) = attempt(world, &key.1).await;
        let now = world.now();
        let mut books = world.books();
        match outcome {
            WebhookOutcome::Delivered => books.webhooks.note_success(&key, revision),
            _ => books.webhooks.note_failure(&key, now),
        }
        drop(books);
        let (orcid, uri) = key;
        let status = status.map(|status| status.as_u16());
        told.push(WebhookDelivery { orcid, client: client.clone(), uri, outcome, status });
        if status == Some(StatusCode::TOO_MANY_REQUESTS.as_u16()) {
            break;
        }
    }
    told
}

async fn attempt(world: &World, uri: &str) -> (WebhookOutcome, Option<StatusCode>) {
    if world.take_one(|switches| &mut switches.webhook_failures.0) {
        return (WebhookOutcome::MadeToFail, None);
    }
    let Some(target) = Target::read(uri) else { return (WebhookOutcome::NotHere, None) };
    match delivery::post(&target).await {
        Ok(status) if status.is_success() => (WebhookOutcome::Delivered, Some(status)),
        Ok(status) => (WebhookOutcome::Refused, Some(status)),
        Err(error) => {
            tracing::debug!(%error, "a webhook was not answered");
            (WebhookOutcome::Unanswered, None)
        }
    }
}
