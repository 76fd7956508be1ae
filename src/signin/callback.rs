//! `/.lychgate/callback/NAME`: the provider sends the browser back. What is local and cheap is checked
//! before anything reaches store or network; every answer but one is a redirect, so that a code never
//! stays in an address bar (T36-T43, T47; J2, J15).

use super::answer::{Answer, BadAnswer, ProviderError};
use super::arrival::Arrival;
use super::attempt::{Attempt, AttemptId};
use super::finish::patience;
use super::navigation::is_fetched_ahead;
use super::outcomes::{Ending, Turn};
use super::settings::{ACCOUNT, SIGN_IN};
use super::{OwnRequest, SignIn, StepFault, with_cookies};
use crate::domain::IncidentId;
use crate::orcid::Provider;
use crate::pages::{self, Notice};
use crate::session::cookie;
use bytes::Bytes;
use http::{HeaderValue, Method, Response};
use std::sync::Arc;

impl SignIn {
    pub(super) async fn callback(&self, name: &str, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let Some(provider) = self.providers.iter().find(|(client, _)| client.as_str() == name).map(|(_, it)| it) else {
            return Ok(self.notice(Notice::NotFound, None, request.language));
        };
        if request.method != Method::GET {
            return Ok(super::allowing(self.notice(Notice::MethodNotAllowed, None, request.language), "GET"));
        }
        if is_fetched_ahead(&request.headers) {
            // The code would be spent, and the attempt's cookie with it, for an answer that nobody may ever see.
            return Ok(pages::unauthorized_json(&format!("{}{SIGN_IN}", self.home())));
        }
        let answer = match Answer::read(request.parameters()) {
            Ok(answer) => answer,
            Err(bad) => return Ok(self.no_answer(bad, request)),
        };
        // RFC 9207 §2.4: what another issuer says is dropped, code or error, before anything comes of it (T41).
        if answer.iss().is_some_and(|iss| *iss != provider.settings().issuer) {
            tracing::warn!(client = name, "a callback named another issuer; refused");
            return Ok(self.trouble(Notice::SignInFailed, None, None));
        }
        match answer {
            Answer::Error { error, state, .. } => {
                let id = state.as_deref().and_then(AttemptId::read);
                Ok(self.provider_said_no(provider, error, id, state.is_some(), request))
            }
            Answer::Code { code, state, iss } => {
                let held = AttemptId::read(&state).and_then(|id| Some((id, self.attempt(request, id)?)));
                // T42: an attempt belongs to the registration it was begun with.
                let Some((id, attempt)) = held.filter(|(_, attempt)| attempt.client == provider.settings().name) else {
                    return self.without_attempt(request, None, Notice::AttemptUnknown).await;
                };
                if attempt.is_expired(self.clock.now()) {
                    return self.without_attempt(request, Some((id, attempt)), Notice::AttemptExpired).await;
                }
                let ending = match self.outcomes.take_turn(id, self.clock.now()) {
                    Turn::Wait(waiter) => waiter.ending(patience(provider)).await,
                    Turn::Work(worker) => {
                        let ending = self.finish(provider, id, &attempt, code, iss.as_deref(), request).await;
                        worker.tell(self.clock.now(), ending.clone());
                        Some(ending)
                    }
                };
                self.give(ending, request, id, attempt).await
            }
        }
    }

    /// The same outcome for everybody who holds the attempt's cookie.
    pub(super) async fn give(
        &self,
        ending: Option<Ending>,
        request: &OwnRequest,
        id: AttemptId,
        attempt: Attempt,
    ) -> Result<Response<Bytes>, StepFault> {
        match ending {
            Some(Ending::SignedIn { key, onward }) => {
                let cookies = vec![cookie::set(cookie::SESSION, &key.text(), None), Self::end_attempt(id)];
                Ok(with_cookies(pages::redirect(&onward), cookies))
            }
            Some(Ending::Unconfirmed) => Ok(pages::redirect(&Self::confirm_address(id))),
            // Back at the callback while the question is still open: it is asked again.
            Some(Ending::Spent) if self.unconfirmed.holds(id, self.clock.now()) => {
                Ok(pages::redirect(&Self::confirm_address(id)))
            }
            Some(Ending::Spent) => self.without_attempt(request, Some((id, attempt)), Notice::AttemptUnknown).await,
            Some(Ending::Trouble { notice, incident }) => {
                let answer = self.trouble(notice, Some(incident), attempt.arrival.as_ref());
                Ok(with_cookies(answer, vec![Self::end_attempt(id)]))
            }
            None => Ok(self.trouble(Notice::Internal, Some(IncidentId::draw(&*self.chance)), attempt.arrival.as_ref())),
        }
    }

    /// No attempt to go with the answer: a second tab, the back button, a bookmark (B2, B12). Whoever is
    /// signed in goes on to where they wanted; everybody else may start again.
    pub(super) async fn without_attempt(
        &self,
        request: &OwnRequest,
        held: Option<(AttemptId, Attempt)>,
        notice: Notice,
    ) -> Result<Response<Bytes>, StepFault> {
        let (ended, arrival) = match held {
            Some((id, attempt)) => (vec![Self::end_attempt(id)], attempt.arrival),
            None => (Vec::new(), None),
        };
        let answer = match (self.root(request).await?, &arrival) {
            (Some(_), Some(arrival)) => pages::redirect(&self.address_with(SIGN_IN, &self.resumed(arrival))),
            (Some(_), None) => pages::redirect(ACCOUNT),
            (None, arrival) => self.trouble(notice, None, arrival.as_ref()),
        };
        Ok(with_cookies(answer, ended))
    }

    fn no_answer(&self, bad: BadAnswer, request: &OwnRequest) -> Response<Bytes> {
        tracing::info!(why = %bad, "a callback that is no answer");
        match bad {
            // The only page shown at the callback address itself: nothing secret is in it, and the
            // script that looks into the fragment needs to be there (`orcid.md` §2.3).
            BadAnswer::Neither => {
                let arrival = self.sole_attempt(request).and_then(|(_, attempt)| attempt.arrival);
                let page = self.trouble_notice(Notice::CallbackIncomplete, None, arrival.as_ref());
                without_referrer(self.show(request, &page))
            }
            BadAnswer::NoState => self.trouble(Notice::AttemptUnknown, None, None),
            BadAnswer::Parameters | BadAnswer::Both | BadAnswer::Code => self.trouble(Notice::BadRequest, None, None),
        }
    }

    /// `error=…`: the pending sign-in ends, an older session is left as it was (J2, J4).
    fn provider_said_no(
        &self,
        provider: &Arc<Provider>,
        error: ProviderError,
        id: Option<AttemptId>,
        has_state: bool,
        request: &OwnRequest,
    ) -> Response<Bytes> {
        let held = match id {
            Some(id) => self.attempt(request, id).map(|attempt| (id, attempt)),
            None if has_state => None,
            None => self.sole_attempt(request),
        };
        let held = held.filter(|(_, attempt)| attempt.client == provider.settings().name);
        let cookies: Vec<HeaderValue> = held.iter().map(|(id, _)| Self::end_attempt(*id)).collect();
        let arrival = held.and_then(|(_, attempt)| attempt.arrival).map(|arrival| self.resumed(&arrival));
        let client = provider.settings().name.as_str();
        let answer = match error {
            ProviderError::Denied => {
                tracing::info!(client, "a researcher denied access");
                self.denied(arrival.as_ref())
            }
            ProviderError::Trouble | ProviderError::Other => {
                let incident = IncidentId::draw(&*self.chance);
                tracing::warn!(%incident, client, error = error.as_str(), "the provider sent a browser back with an error");
                self.trouble(Notice::ProviderError, Some(incident), arrival.as_ref())
            }
        };
        with_cookies(answer, cookies)
    }

    /// An arrival taken up again after the provider answered: whatever the visitor chose on the way out
    /// has been done.
    pub(super) fn resumed(&self, arrival: &Arrival) -> Arrival {
        arrival.renewed(self.clock.now(), super::arrival::Mode::Usual)
    }
}

/// T47: the callback's own address is nobody else's business.
fn without_referrer(mut answer: Response<Bytes>) -> Response<Bytes> {
    answer.headers_mut().insert(http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    answer
}
