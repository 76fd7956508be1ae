//! `/.lychgate/sign-in/start`: mints an attempt and sends the browser to the provider (J1, J4; T35). A link
//! on our page, or a redirect, leads here; nothing is stored.

use super::arrival::{Arrival, Mode, Target};
use super::attempt::{Attempt, AttemptId};
use super::choose::registration;
use super::hint::HINT_COOKIE;
use super::navigation::is_navigation;
use super::settings::{SIGN_IN, START};
use super::sign_in_page::{Expected, is_recent};
use super::{OwnRequest, SignIn, StepFault, with_cookies};
use crate::domain::{IncidentId, Scope, ScopeSet};
use crate::orcid::{AuthorizationRequest, Blame, OrcidTrouble, Provider};
use crate::pages::{self, Link, LinkLabel, Notice, Page};
use crate::session::cookie;
use crate::vault::LiveSession;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;

impl SignIn {
    pub(super) async fn start(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if !is_navigation(&request.method, &request.headers) {
            // B3: a background request must not mint attempts.
            return Ok(pages::unauthorized_json(&format!("{}{SIGN_IN}", self.home())));
        }
        let root = self.root(request).await?;
        let (arrival, provider) = match self.expected_arrival(request) {
            Expected::Nobody => (None, self.default_provider()),
            Expected::Late(way_back) => return Ok(pages::redirect(&way_back)),
            Expected::Arrival(arrival, site) => {
                let client = registration(&arrival, &site, root.as_deref());
                (Some(*arrival), self.providers.get(client))
            }
        };
        let Some(provider) = provider.cloned() else {
            return Ok(self.notice(Notice::Internal, None, request.language));
        };
        let asked = asked_scopes(arrival.as_ref(), root.as_deref(), &provider);
        // `prompt` means something with `openid` only, and is sent with it only (`orcid.md` §2.1).
        let prompted = asked.contains(&Scope::openid()) && self.must_prove_presence(arrival.as_ref(), root.as_deref());
        let client = provider.settings().name.clone();
        let attempt = Attempt { client, asked, at: self.clock.now(), prompted, arrival };
        Ok(self.set_out(request, &provider, attempt).await)
    }

    /// Another iD, or a rule that wants a fresh sign-in: ORCID's own session must not answer for the
    /// person (`orcid.md` §12, shared machines).
    fn must_prove_presence(&self, arrival: Option<&Arrival>, root: Option<&LiveSession>) -> bool {
        let Some(arrival) = arrival else { return false };
        // Without a proof nobody knows how old the session at ORCID is.
        let proven_at = root.and_then(|root| root.identity.proven_at);
        arrival.mode == Mode::Another || !is_recent(proven_at, arrival.max_age, self.clock.now())
    }

    async fn set_out(&self, request: &OwnRequest, provider: &Arc<Provider>, mut attempt: Attempt) -> Response<Bytes> {
        let id = AttemptId::draw(&*self.chance);
        let (state, nonce, verifier) = (id.text(), id.derive(&self.nonces), id.derive(&self.verifiers));
        let hint = self.hint_for(request, attempt.arrival.as_ref());
        let language = request.chosen_language().map(|language| language.to_string());
        let question = AuthorizationRequest {
            scopes: attempt.asked.clone(),
            state: &state,
            nonce: &nonce,
            pkce_verifier: &verifier,
            prompt_login: attempt.prompted,
            hint: hint.as_ref(),
            // ORCID keeps it as what the person prefers there, so a guess from `Accept-Language` is not sent.
            lang: language.as_deref(),
        };
        let address = match provider.authorization_url(&question).await {
            Ok(address) => address,
            Err(trouble) => return self.cannot_start(request, &attempt, &trouble),
        };
        let cookies = self.keep_attempt(request, id, &attempt).or_else(|| {
            // Unusually many scopes: rather lose the exact page than the sign-in.
            attempt.arrival.as_mut()?.target = Target::TooLong;
            self.keep_attempt(request, id, &attempt)
        });
        match cookies {
            Some(cookies) => {
                let used = hint.map(|_| cookie::expire(HINT_COOKIE));
                with_cookies(pages::redirect(&address), cookies.into_iter().chain(used))
            }
            None => self.notice(Notice::Internal, None, request.language),
        }
    }

    /// J14: the provider cannot be asked where to send anybody. Sessions live on; this page says so
    /// and tries again.
    fn cannot_start(&self, request: &OwnRequest, attempt: &Attempt, trouble: &OrcidTrouble) -> Response<Bytes> {
        let incident = IncidentId::draw(&*self.chance);
        let notice = start_notice(trouble);
        let site = attempt.arrival.as_ref().and_then(|arrival| self.site_of(arrival));
        let site_name = site.as_ref().map_or("", |site| site.name.as_str());
        tracing::warn!(%incident, site.name = site_name, client = %attempt.client, cause = %trouble, "a sign-in could not start");
        let retry = match &attempt.arrival {
            Some(arrival) => self.address_with(START, &arrival.renewed(self.clock.now(), arrival.mode)),
            None => START.to_owned(),
        };
        let next = vec![Link::new(LinkLabel::TryAgain, retry)];
        let site = site.map(|site| self.site_view(&site));
        self.show(request, &Page::Notice { notice, incident: Some(incident), next, site })
    }
}

/// Before anybody was sent anywhere, whatever the provider's answer lacks looks like an outage to a
/// researcher.
fn start_notice(trouble: &OrcidTrouble) -> Notice {
    match trouble.blame() {
        Blame::Outage | Blame::Provider => Notice::ProviderUnreachable,
        Blame::Registration | Blame::Grant | Blame::Ourselves => Notice::Internal,
    }
}

/// The union of what is needed and what the same person holds already, or ORCID would give a narrower
/// pair beside the wider one (`orcid.md` §4.4). For another person, only what is needed.
fn asked_scopes(arrival: Option<&Arrival>, root: Option<&LiveSession>, provider: &Provider) -> ScopeSet {
    let base: ScopeSet = std::iter::once(provider.settings().base_scope.clone()).collect();
    let Some(arrival) = arrival else { return base };
    let mut wanted = base.union(&arrival.scopes);
    match root {
        // In place of `/authenticate` too (it permits as much, `orcid.md` §4.2): `prompt` goes with it alone, and without
        // that ORCID's own session would answer for whoever wants another iD.
        _ if arrival.mode == Mode::Another => wanted.insert(Scope::openid()),
        Some(root) if root.identity.client == provider.settings().name => {
            wanted = wanted.union(&root.identity.scopes);
        }
        _ => {}
    }
    wanted
}
