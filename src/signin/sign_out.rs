//! `/.lychgate/sign-out`: of this site on a site host, of all sites or all devices on the sign-in host (J6).
//! GET asks, POST acts; what is ended is ended durably before the answer says so (invariant 7).

use super::arrival::{LEFT_AGE, LEFT_COOKIE};
use super::form_token::{self, Action};
use super::settings::{ACCOUNT, SIGN_IN, SIGN_OUT};
use super::whose::WHOSE_COOKIE;
use super::{OwnRequest, SignIn, StepFault, allowing, with_cookies};
use crate::domain::ClientName;
use crate::orcid::Provider;
use crate::pages::{Notice, Page, PersonView, ProviderView, Reach, There};
use crate::policy::Site;
use crate::session::{Door, app_cookies, cookie};
use crate::vault::LiveSession;
use bytes::Bytes;
use http::{Method, Response};
use std::sync::Arc;
use std::time::Duration;

/// What `Allow` says of sign-out.
const METHODS: &str = "GET, HEAD, POST";

/// Whether the method means something here, whoever asks.
fn is_possible(request: &OwnRequest) -> bool {
    request.is_reading() || request.method == Method::POST
}

impl SignIn {
    /// Who may want to leave: whoever is signed in, and whoever was, while a WebSocket may still answer for them. `grace`:
    /// for how long one may.
    async fn leaving(
        &self,
        request: &OwnRequest,
        door: Door<'_>,
        grace: Duration,
    ) -> Result<Option<Arc<LiveSession>>, StepFault> {
        let live = self.sessions.look_up(door, request.cookies()).await?;
        if live.is_some() || grace.is_zero() {
            return Ok(live);
        }
        let lapsed = self.sessions.lapsed_at(door, request.cookies()).await?;
        Ok(lapsed.filter(|lapsed| self.clock.now() < lapsed.at.plus(grace)).map(|lapsed| lapsed.was))
    }

    /// On a site host.
    pub(super) async fn sign_out_here(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
    ) -> Result<Response<Bytes>, StepFault> {
        if !is_possible(request) {
            return Ok(allowing(self.notice(Notice::MethodNotAllowed, Some(site), request.language), METHODS));
        }
        let Some(live) = self.leaving(request, Door::Site(&request.host), site.websocket_grace).await? else {
            return Ok(self.signed_out_here(site, request, site.client()));
        };
        if request.is_reading() {
            return Ok(self.ask_sign_out(request, Reach::Site, &live, Some(site), Action::SignOutHere));
        }
        if let Some(refusal) = self.objection(request, &live, Action::SignOutHere, Some(site)) {
            return Ok(refusal);
        }
        self.vault.end_session(&live.session.key).await?;
        tracing::info!(site.name = %site.name, "a researcher signed out of a site");
        // Single sign-on would undo this at the next click: for a while it asks first.
        let mut cookies = vec![
            cookie::expire(cookie::SESSION),
            cookie::expire(WHOSE_COOKIE),
            cookie::set(LEFT_COOKIE, "1", Some(LEFT_AGE)),
        ];
        cookies.extend(app_cookies::expire_all(request.cookies()));
        Ok(with_cookies(self.signed_out_here(site, request, &live.identity.client), cookies))
    }

    /// On the sign-in host.
    pub(super) async fn sign_out(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if !is_possible(request) {
            return Ok(allowing(self.notice(Notice::MethodNotAllowed, None, request.language), METHODS));
        }
        let grace = self.policies.load().sites().iter().map(|site| site.websocket_grace).max().unwrap_or_default();
        let Some(root) = self.leaving(request, Door::SignInHost, grace).await? else {
            return Ok(self.signed_out(request, Reach::Everywhere, None));
        };
        if request.is_reading() {
            return Ok(self.ask_sign_out(request, Reach::Everywhere, &root, None, Action::SignOut));
        }
        if let Some(refusal) = self.objection(request, &root, Action::SignOut, None) {
            return Ok(refusal);
        }
        let reach = request.form().ok().and_then(|form| form.get("reach").map(Reach::from_field));
        let reach = match reach {
            // Without the button's field, the smaller of the two.
            None => Reach::Everywhere,
            Some(Some(reach @ (Reach::Everywhere | Reach::AllDevices))) => reach,
            Some(_) => return Ok(self.notice(Notice::BadRequest, None, request.language)),
        };
        if reach == Reach::AllDevices {
            self.vault.end_all_sessions(&root.session.connection).await?;
        } else {
            self.vault.end_session(&root.session.key).await?;
        }
        tracing::info!(reach = reach.as_str(), "a researcher signed out");
        let answer = self.signed_out(request, reach, Some(&root));
        Ok(with_cookies(answer, vec![cookie::expire(cookie::SESSION)]))
    }

    /// What a change needs besides POST (`design.md` §4): our origin, a form, its token. Each has a page of
    /// its own, because each means something else to a researcher.
    pub(super) fn objection(
        &self,
        request: &OwnRequest,
        live: &LiveSession,
        action: Action,
        site: Option<&Arc<Site>>,
    ) -> Option<Response<Bytes>> {
        if !form_token::from_our_page(&request.headers, &self.origin(&request.host)) {
            tracing::warn!(action = ?action, "another origin tried to change something");
            return Some(self.notice(Notice::CrossSiteRefused, site, request.language));
        }
        let Ok(form) = request.form() else { return Some(self.notice(Notice::BadRequest, site, request.language)) };
        let token = form.get("token").unwrap_or_default();
        let ours = form_token::verify(&self.forms, &live.session.key, action, token);
        (!ours).then(|| self.notice(Notice::FormExpired, site, request.language))
    }

    fn ask_sign_out(
        &self,
        request: &OwnRequest,
        reach: Reach,
        live: &LiveSession,
        site: Option<&Arc<Site>>,
        action: Action,
    ) -> Response<Bytes> {
        let cancel = if site.is_some() { "/" } else { ACCOUNT };
        let page = Page::SignOutAsk {
            reach,
            person: Some(PersonView::from(&*live.identity)),
            site: site.map(|site| self.site_view(site)),
            action: SIGN_OUT.to_owned(),
            token: form_token::issue(&self.forms, &live.session.key, action),
            cancel: Some(cancel.to_owned()),
        };
        self.show(request, &page)
    }

    fn signed_out_here(&self, site: &Arc<Site>, request: &OwnRequest, client: &ClientName) -> Response<Bytes> {
        let Some(provider) = self.provider_view(client) else {
            return self.notice(Notice::Internal, Some(site), request.language);
        };
        let page = Page::SignedOut {
            reach: Reach::Site,
            site: Some(self.site_view(site)),
            again: Some(format!("{}/", self.origin(&request.host))),
            everywhere: Some(format!("{}{SIGN_OUT}", self.home())),
            provider,
            there: There::MaybeStill,
        };
        self.show(request, &page)
    }

    /// Nobody is signed in on the sign-in host any more. With the way to sign out at the provider too, where
    /// there is one: a session there would let whoever comes next in again.
    pub(super) fn signed_out(&self, request: &OwnRequest, reach: Reach, root: Option<&LiveSession>) -> Response<Bytes> {
        let known = root.and_then(|root| self.providers.get(&root.identity.client));
        let Some(provider) = known.or_else(|| self.default_provider()) else {
            return self.notice(Notice::NotFound, None, request.language);
        };
        match self.way_out(provider) {
            Some((address, cookie)) => {
                with_cookies(self.signed_out_page(request, reach, provider, There::Leave(address)), vec![cookie])
            }
            None => self.signed_out_page(request, reach, provider, There::MaybeStill),
        }
    }

    pub(super) fn signed_out_page(
        &self,
        request: &OwnRequest,
        reach: Reach,
        provider: &Provider,
        there: There,
    ) -> Response<Bytes> {
        let settings = provider.settings();
        let provider = ProviderView::new(settings.environment, &settings.issuer);
        let again = Some(SIGN_IN.to_owned());
        self.show(request, &Page::SignedOut { reach, site: None, again, everywhere: None, provider, there })
    }
}
