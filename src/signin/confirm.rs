//! `/.lychgate/sign-in/confirm`: a site on shared computers has whoever signed in look at name and iD before the
//! connection is kept. ORCID's own session there may be the former visitor's (`orcid.md` §12).
//!
//! The question belongs to the browser that holds the attempt's sealed cookie, and to no other.

use super::arrival::Mode;
use super::attempt::{Attempt, AttemptId};
use super::finish::Keeping;
use super::form_token::{self, Action};
use super::outcomes::{Ending, Turn};
use super::settings::{CONFIRM, START};
use super::unconfirmed::Held;
use super::{OwnRequest, SignIn, StepFault, allowing, with_cookies};
use crate::domain::Grant;
use crate::orcid::Provider;
use crate::pages::{self, ConfirmPage, Notice, Page, PersonView};
use crate::vault::{ConnectionKey, HashedSessionKey, LiveSession, VaultFault};
use bytes::Bytes;
use http::{Method, Response};
use std::time::Duration;

/// When the provider is told to take back what nobody has confirmed: well behind the last answer.
const GIVEN_BACK_AFTER: Duration = Duration::from_secs(20 * 60);
/// How long a second answer waits for the first one's.
const PATIENCE: Duration = Duration::from_secs(10);

impl SignIn {
    /// Whether the site wants it, unless the same person is signed in in this browser already. A site that is gone
    /// meanwhile may have wanted it.
    pub(super) fn wants_confirmation(&self, attempt: &Attempt, grant: &Grant, previous: Option<&LiveSession>) -> bool {
        let wanted = |arrival| self.site_of(arrival).is_none_or(|site| site.confirm);
        let wanted = attempt.arrival.as_ref().is_some_and(wanted);
        let same = previous.is_some_and(|previous| {
            previous.identity.subject == grant.subject && previous.identity.client == attempt.client
        });
        wanted && !same
    }

    pub(super) fn confirm_address(id: AttemptId) -> String {
        format!("{CONFIRM}?attempt={}", id.text())
    }

    /// Lets the grant wait for its person. Its revocation is queued before anything else can happen.
    pub(super) async fn hold(&self, provider: &Provider, id: AttemptId, attempt: &Attempt, grant: Grant) -> Ending {
        let settings = provider.settings();
        let (environment, client) = (settings.environment, settings.name.clone());
        let key = ConnectionKey { environment, client, subject: grant.subject.clone() };
        let now = self.clock.now();
        let revocation = match self.vault.hold(&key, &grant, now.plus(GIVEN_BACK_AFTER)).await {
            Ok(revocation) => revocation,
            Err(fault) => return self.ending(Notice::StoreUnavailable, attempt, &fault),
        };
        let Some(turned_away) = self.unconfirmed.wait(id, Held { key, grant, at: now, revocation }, now) else {
            return Ending::Unconfirmed;
        };
        if let Err(fault) = self.give_back(&turned_away).await {
            return self.ending(Notice::StoreUnavailable, attempt, &fault);
        }
        self.ending(Notice::TooManyRequests, attempt, &"too many sign-ins wait to be confirmed")
    }

    /// Has the provider take the grant back now.
    async fn give_back(&self, held: &Held) -> Result<(), VaultFault> {
        match &held.revocation {
            Some(revocation) => self.vault.give_back_now(revocation).await,
            None => Ok(()),
        }
    }

    pub(super) async fn confirm(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if request.is_reading() {
            let parameters = request.parameters().ok();
            let id = parameters.and_then(|parameters| AttemptId::read(parameters.get("attempt")?));
            return self.ask_whether_it_is_you(id, request).await;
        }
        if request.method != Method::POST {
            let answer = self.notice(Notice::MethodNotAllowed, None, request.language);
            return Ok(allowing(answer, "GET, HEAD, POST"));
        }
        if !form_token::from_our_page(&request.headers, &self.home()) {
            tracing::warn!(action = ?Action::Confirm, "another origin tried to change something");
            return Ok(self.notice(Notice::CrossSiteRefused, None, request.language));
        }
        let Ok(form) = request.form() else {
            return Ok(self.notice(Notice::BadRequest, None, request.language));
        };
        let id = form.get("attempt").and_then(AttemptId::read);
        let Some((id, attempt)) = id.and_then(|id| Some((id, self.attempt(request, id)?))) else {
            return self.without_attempt(request, None, Notice::AttemptUnknown).await;
        };
        if !form_token::verify(&self.forms, &shown_to(id), Action::Confirm, form.get("token").unwrap_or_default()) {
            return Ok(self.notice(Notice::FormExpired, None, request.language));
        }
        match form.get("me") {
            Some("yes") => self.it_is_me(id, attempt, request).await,
            Some("no") => self.it_is_not_me(id, &attempt).await,
            _ => Ok(self.notice(Notice::BadRequest, None, request.language)),
        }
    }

    async fn ask_whether_it_is_you(
        &self,
        id: Option<AttemptId>,
        request: &OwnRequest,
    ) -> Result<Response<Bytes>, StepFault> {
        let Some((id, attempt)) = id.and_then(|id| Some((id, self.attempt(request, id)?))) else {
            return self.without_attempt(request, None, Notice::AttemptUnknown).await;
        };
        let person = self.unconfirmed.look(id, self.clock.now(), person_of);
        let (Some(person), Some(provider)) = (person, self.provider_view(&attempt.client)) else {
            return self.without_attempt(request, Some((id, attempt)), Notice::AttemptExpired).await;
        };
        let site = attempt.arrival.as_ref().and_then(|arrival| self.site_of(arrival));
        let page = ConfirmPage {
            person,
            site: site.map(|site| self.site_view(&site)),
            action: CONFIRM.to_owned(),
            attempt: id.text(),
            token: form_token::issue(&self.forms, &shown_to(id), Action::Confirm),
            provider,
        };
        Ok(self.show(request, &Page::Confirm(page)))
    }

    /// Two answers at once are one: the browser throws the first one's cookie away (J15).
    async fn it_is_me(
        &self,
        id: AttemptId,
        attempt: Attempt,
        request: &OwnRequest,
    ) -> Result<Response<Bytes>, StepFault> {
        let ending = match self.confirmations.take_turn(id, self.clock.now()) {
            Turn::Wait(waiter) => waiter.ending(PATIENCE).await,
            Turn::Work(worker) => {
                let ending = self.keep_confirmed(id, &attempt, request).await;
                worker.tell(self.clock.now(), ending.clone());
                Some(ending)
            }
        };
        self.give(ending, request, id, attempt).await
    }

    async fn keep_confirmed(&self, id: AttemptId, attempt: &Attempt, request: &OwnRequest) -> Ending {
        let held = self.unconfirmed.take(id, self.clock.now());
        let (Some(held), Some(provider)) = (held, self.providers.get(&attempt.client)) else {
            return self.ending(Notice::AttemptExpired, attempt, &"nobody confirmed it in time");
        };
        let Held { grant, revocation, .. } = held;
        let keeping = Keeping { provider, attempt, grant: &grant, held: revocation, confirmed: true };
        self.land(keeping, request).await
    }

    /// What was granted is given back, and ORCID asks who it is. Whoever was signed in here stays so until then.
    async fn it_is_not_me(&self, id: AttemptId, attempt: &Attempt) -> Result<Response<Bytes>, StepFault> {
        if let Some(held) = self.unconfirmed.take(id, self.clock.now()) {
            self.give_back(&held).await?;
            tracing::info!(client = %attempt.client, "somebody said that a sign-in was not theirs; it is given back");
        }
        let again = match &attempt.arrival {
            Some(arrival) => self.address_with(START, &arrival.renewed(self.clock.now(), Mode::Another)),
            None => START.to_owned(),
        };
        Ok(with_cookies(pages::redirect(&again), vec![Self::end_attempt(id)]))
    }
}

fn person_of(held: &Held) -> PersonView {
    PersonView {
        name: held.grant.name.clone(),
        id: held.grant.subject.to_string(),
        uri: held.grant.subject.orcid().map(|id| id.uri(held.key.environment.record_base())),
    }
}

/// What the form's token is bound to: there is no session yet, but an attempt nobody else can bring.
fn shown_to(id: AttemptId) -> HashedSessionKey {
    let mut key = [0; 32];
    key[..id.0.len()].copy_from_slice(&id.0);
    HashedSessionKey(key)
}
