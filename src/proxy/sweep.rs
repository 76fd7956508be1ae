//! Ends open exchanges (WebSockets, event streams, long answers) whose session or admission has
//! ended meanwhile. The engine's hooks run only when bytes flow; this runs by the clock.

use super::door::{OpenRequests, Standing};
use super::shared::Shared;
use crate::policy::{Decision, Facts, Site, decide};
use crate::session::Standings;
use crate::vault::{HashedSessionKey, LiveSession};
use std::sync::Arc;
use std::time::Duration;

/// How often one core looks at its open exchanges: an ended session is noticed within twice this.
const EVERY: Duration = Duration::from_secs(2);
/// By how much a clock may seem to go back without having been set.
const AWRY: Duration = Duration::from_secs(60);

/// Runs until the core's runtime stops.
pub(super) async fn run(shared: Arc<Shared>, open: Arc<OpenRequests>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        for request in open.older_than(shared.clock.now()) {
            let Some(standing) = request.standing() else { continue };
            if !still_admitted(&shared, standing).await {
                shared.metrics.streams_ended.inc();
                tracing::info!(site.name = %standing.site, "an open exchange was ended with its session or admission");
                request.end();
            }
        }
    }
}

/// Memory answers here; a store that has to be asked is asked elsewhere.
async fn standing_of(shared: &Shared, key: HashedSessionKey) -> Standings {
    if let Some(known) = shared.sessions.standing_in_memory(&key) {
        return known;
    }
    let sessions = shared.sessions.clone();
    shared.background.spawn(async move { sessions.standing(key).await }).await.unwrap_or(Standings::Unknown)
}

/// A WebSocket may outlive its session for as long as its site grants, if time alone has ended it. In doubt it does not:
/// whoever signed out must not be answered for.
async fn outliving(
    shared: &Shared,
    site: &Site,
    standing: &Standing,
    key: HashedSessionKey,
) -> Option<Arc<LiveSession>> {
    if site.websocket_grace.is_zero() || !standing.connection.is_socket() {
        return None;
    }
    let sessions = shared.sessions.clone();
    let lapsed = shared.background.spawn(async move { sessions.lapsed(key).await }).await.ok()??;
    let now = shared.clock.now();
    // A clock that was set back gives nobody more time.
    let is_granted = lapsed.at <= now.plus(AWRY) && now < lapsed.at.plus(site.websocket_grace);
    is_granted.then_some(lapsed.was)
}

/// Asks the policy in force now about the session as it is now. A store that cannot say leaves the
/// exchange open until it can: it was admitted, and nothing new is granted by keeping it.
async fn still_admitted(shared: &Shared, standing: &Standing) -> bool {
    let policies = shared.policies.load_full();
    let Some(site) = policies.site(&standing.site) else { return false };
    let live: Option<Arc<LiveSession>> = match standing.session {
        None => None,
        Some(key) => match standing_of(shared, key).await {
            Standings::Live(live) => Some(live),
            Standings::Ended => match outliving(shared, site, standing, key).await {
                Some(was) => Some(was),
                None => return false,
            },
            Standings::Unknown => return true,
        },
    };
    let facts = Facts {
        site,
        method: &standing.method,
        path: &standing.path,
        visitor: live.as_ref().map(|live| &live.identity),
        peer: standing.connection.peer.ip(),
        now: shared.clock.now(),
    };
    matches!(decide(&facts), Decision::Admit(_))
}
