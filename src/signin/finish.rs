//! The one worker of an attempt: spend it, exchange the code, keep the grant, name the session (T36, T37,
//! T64, T65). Called by `callback` once for each attempt.

use super::SignIn;
use super::attempt::{Attempt, AttemptId};
use super::endings::Landed;
use super::outcomes::Ending;
use super::settings::{ACCOUNT, SIGN_IN};
use super::sign_in_page::lacking;
use super::{OwnRequest, StepFault};
use crate::domain::{AuthorizationCode, Grant, IncidentId};
use crate::orcid::{Blame, OrcidTrouble, Proof, Provider};
use crate::pages::Notice;
use crate::tokens::{self, Deposit};
use crate::vault::{Change, HashedSessionKey, Mark, RevocationId};
use std::sync::Arc;
use std::time::Duration;

/// Exchanges under way at once; beyond, callbacks queue for a moment. A flood of made-up codes cannot
/// turn the gate into a flood at ORCID.
pub(super) const EXCHANGES: usize = 128;
/// Exchanges under way at once from one address.
pub(super) const EXCHANGES_EACH: u8 = 8;
/// How long a callback queues.
const QUEUE: Duration = Duration::from_secs(8);
/// What the store may take, to spend the attempt and to keep the grant.
const STORE: Duration = Duration::from_secs(5);

/// How long [`SignIn::finish`] may take in all.
pub(super) fn patience(provider: &Provider) -> Duration {
    QUEUE + provider.settings().exchange_limit() + STORE
}

/// A verified grant, about to be kept.
pub(super) struct Keeping<'a> {
    pub(super) provider: &'a Provider,
    pub(super) attempt: &'a Attempt,
    pub(super) grant: &'a Grant,
    /// The name of its queued revocation, if it waited for its person.
    pub(super) held: Option<RevocationId>,
    pub(super) confirmed: bool,
}

impl SignIn {
    pub(super) async fn finish(
        &self,
        provider: &Arc<Provider>,
        id: AttemptId,
        attempt: &Attempt,
        code: AuthorizationCode,
        iss: Option<&str>,
        request: &OwnRequest,
    ) -> Ending {
        // Before the queue, or one address's made-up codes would fill it and shut everybody out.
        let Some(_own) = self.places.take(request.peer) else {
            return self.ending(Notice::TooManyRequests, attempt, &"too many sign-ins at once from one address");
        };
        let Ok(Ok(_place)) = tokio::time::timeout(QUEUE, self.exchanges.acquire()).await else {
            return self.ending(Notice::TooManyRequests, attempt, &"too many sign-ins at once");
        };
        let previous = match self.root(request).await {
            Ok(previous) => previous,
            Err(fault) => return self.ending(Notice::StoreUnavailable, attempt, &fault),
        };
        // Spent before the code is used: whatever happens next, no second exchange (T37). A code used
        // twice would take back the tokens of the first use (`orcid.md` §3.3).
        let mark = Mark { purpose: "attempt", id: id.0 };
        match self.vault.spend(mark, attempt.mark_until()).await {
            Ok(true) => {}
            Ok(false) => return Ending::Spent,
            Err(fault) => return self.ending(Notice::StoreUnavailable, attempt, &fault),
        }
        let (nonce, verifier) = (id.derive(&self.nonces), id.derive(&self.verifiers));
        let proof = Proof {
            nonce: &nonce,
            pkce_verifier: &verifier,
            iss,
            asked: &attempt.asked,
            signed_in_since: attempt.prompted.then_some(attempt.at),
        };
        let limit = provider.settings().exchange_limit();
        let Ok(exchanged) = tokio::time::timeout(limit, provider.exchange(code, &proof)).await else {
            let cause = format!("the provider took more than {} s in all", limit.as_secs());
            return self.ending(Notice::ProviderUnreachable, attempt, &cause);
        };
        match exchanged {
            Err(trouble) => self.ending(notice_of(&trouble), attempt, &trouble),
            Ok(grant) if self.wants_confirmation(attempt, &grant, previous.as_deref()) => {
                self.hold(provider, id, attempt, grant).await
            }
            Ok(grant) => {
                let keeping = Keeping { provider, attempt, grant: &grant, held: None, confirmed: false };
                self.land(keeping, request).await
            }
        }
    }

    /// Keeps the grant and gives the browser a session of its own.
    pub(super) async fn land(&self, keeping: Keeping<'_>, request: &OwnRequest) -> Ending {
        let attempt = keeping.attempt;
        match self.keep(keeping, request).await {
            Ok(ending) => ending,
            Err(fault) => self.ending(Notice::StoreUnavailable, attempt, &fault),
        }
    }

    async fn keep(&self, keeping: Keeping<'_>, request: &OwnRequest) -> Result<Ending, StepFault> {
        let Keeping { provider, attempt, grant, held, confirmed } = keeping;
        let key = self.sessions.draw(&*self.chance);
        let root = HashedSessionKey(key.hash());
        let settings = provider.settings();
        let deposit = Deposit {
            grant,
            environment: settings.environment,
            client: settings.name.clone(),
            root,
            agent: request.agent(),
            place: Some(request.place()),
            previous: self.sessions.authentic(request.cookies()),
            proven: attempt.prompted,
            held,
        };
        let Some(completed) = tokens::deposit(&self.vault, deposit).await? else {
            return Ok(self.ending(
                Notice::SessionEnded,
                attempt,
                &"the provider says that the person signed out there, or it takes the grant back already",
            ));
        };
        let missing = match &attempt.arrival {
            Some(arrival) => lacking(&completed.connection.scopes, &arrival.scopes),
            None => Default::default(),
        };
        let first_time = completed.change == Change::New;
        // A confirmation is a form, and a form's answer may not lead to just any site (`form-action`).
        let worth_a_page = completed.change != Change::Same || !missing.is_empty() || confirmed;
        let arrival = attempt.arrival.as_ref().map(|arrival| self.resumed(arrival));
        tracing::info!(
            client = %settings.name,
            site.name = arrival.as_ref().map_or("", |arrival| arrival.site.as_str()),
            first_time,
            "a researcher signed in"
        );
        let onward = match arrival {
            _ if worth_a_page => self.connected_address(Landed { missing, first_time, arrival, at: self.clock.now() }),
            Some(arrival) => self.address_with(SIGN_IN, &arrival),
            None => ACCOUNT.to_owned(),
        };
        Ok(Ending::SignedIn { key, onward })
    }

    /// Logs once, with the number the page will show.
    pub(super) fn ending(&self, notice: Notice, attempt: &Attempt, cause: &dyn std::fmt::Display) -> Ending {
        let incident = IncidentId::draw(&*self.chance);
        let site = attempt.arrival.as_ref().map_or("", |arrival| arrival.site.as_str());
        tracing::warn!(%incident, site.name = site, client = %attempt.client, %cause, "a sign-in failed");
        Ending::Trouble { notice, incident }
    }
}

/// Which page a failed exchange deserves.
fn notice_of(trouble: &OrcidTrouble) -> Notice {
    match trouble.blame() {
        Blame::Outage => Notice::ProviderUnreachable,
        // A code too old or used: what a slow or repeated sign-in looks like.
        Blame::Grant => Notice::AttemptExpired,
        Blame::Provider => Notice::SignInFailed,
        Blame::Registration | Blame::Ourselves => Notice::Internal,
    }
}
