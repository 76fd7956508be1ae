//! The first step on a site host: the policy asks for a sign-in, and the browser leaves for the sign-in
//! host with a sealed arrival (J1, J4, J5, J16). Called by `proxy` with the policy's answer; never waits.

use super::arrival::{Arrival, ArrivalCookie, LEFT_COOKIE, Mode};
use super::language::in_chosen_language;
use super::navigation::is_navigation;
use super::settings::SIGN_IN;
use super::{OwnRequest, SignIn, with_cookies};
use crate::domain::{Host, IncidentId, ReturnTo, ScopeSet};
use crate::pages::{self, Link, LinkLabel, Notice, OnwardPage, Page, PersonView};
use crate::policy::{Ask, Refusal, Site};
use crate::session::cookie;
use crate::vault::LiveSession;
use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use std::sync::Arc;
use std::time::Duration;

/// What a visitor needs before the page opens.
#[derive(Clone, Debug)]
pub struct Wants {
    pub return_to: ReturnTo,
    /// The address asked for could not be kept, and `return_to` stands in for it; the visitor is told.
    pub target_lost: bool,
    /// The page they were on before, on the same host: where saying no leads back to.
    pub came_from: Option<ReturnTo>,
    /// All the rule needs.
    pub scopes: ScopeSet,
    /// Index into the site's rules, for the reasons shown.
    pub rule: Option<usize>,
    /// How long ago the sign-in may be.
    pub max_auth_age: Option<Duration>,
}

impl SignIn {
    /// What an `Ask` of the policy becomes: a journey for a person, 401 for a program (403 if it is
    /// signed in and lacks a permission).
    ///
    /// What somebody posts is kept by `proxy` if it may be; here arrives what is not, and its sender is told.
    pub fn begin_or_401(&self, ask: &Ask, request: &OwnRequest, live: Option<&LiveSession>) -> Response<Bytes> {
        let site = &ask.site;
        if !is_navigation(&request.method, &request.headers) {
            let front = ReturnTo::front_page(request.host.clone()).url(self.port());
            let known = live.map(|live| &live.identity);
            let known = known.filter(|known| !ask.fresh && known.broken.is_none() && site.knows(&known.client));
            return match known.map(|known| known.scopes.missing(&ask.scopes)) {
                Some(missing) if !missing.is_empty() => pages::insufficient_scope_json(&front, &missing),
                _ => pages::unauthorized_json(&front),
            };
        }
        if request.method == Method::POST {
            return self.not_kept(ask, request, None);
        }
        let (return_to, target_lost) = return_target(request);
        let wants = Wants {
            return_to,
            target_lost,
            came_from: page_before(request, &self.origin(&request.host)),
            scopes: ask.scopes.clone(),
            rule: Some(ask.rule),
            max_auth_age: ask.rule().max_auth_age,
        };
        self.begin(site, &wants, request, live)
    }

    /// Sends the browser to the sign-in host.
    pub fn begin(
        &self,
        site: &Arc<Site>,
        wants: &Wants,
        request: &OwnRequest,
        live: Option<&LiveSession>,
    ) -> Response<Bytes> {
        let mode = match cookie::only(LEFT_COOKIE, request.cookies()) {
            Some(_) => Mode::Ask,
            None => Mode::Usual,
        };
        let held = self.arrival_cookie(request);
        let is_ahead = held.as_ref().is_some_and(|held| held.is_ahead_of(self.clock.now()));
        match self.sent_again(held) {
            Ok(cookie) => {
                let Departure { address, cookies } = self.depart(site, wants, request, mode, cookie);
                with_cookies(self.onward(site, request, &wants.return_to, Some(address)), cookies)
            }
            Err(reset) => {
                let cause = self.why_in_circles(request, live, is_ahead);
                self.stop_circling(site, wants, request, &reset, cause)
            }
        }
    }

    /// To `leaving`, or back to `target`: a redirect, or for a site whose addresses have fragments a page whose script
    /// takes care of them. A browser would carry them along on a redirect, up to a page of ORCID.
    pub(super) fn onward(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
        target: &ReturnTo,
        leaving: Option<String>,
    ) -> Response<Bytes> {
        let target = target.url(self.port());
        if !site.fragments {
            return pages::redirect(leaving.as_deref().unwrap_or(&target));
        }
        let page = OnwardPage { site: self.site_view(site), target, leaving };
        let mut answer = self.show(request, &Page::Onward(page));
        // Its own address may hold a ticket; as spent as it is, it is nobody's business (T47).
        answer.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        answer
    }

    /// A link to the sign-in host for a page of ours; whoever sees a page is not going round in circles.
    pub(super) fn link_out(&self, site: &Arc<Site>, wants: &Wants, request: &OwnRequest, mode: Mode) -> Departure {
        let cookie = self.arrival_cookie(request).unwrap_or_else(|| ArrivalCookie::draw(&*self.chance));
        self.depart(site, wants, request, mode, cookie)
    }

    /// Makes the sealed arrival and its cookies.
    fn depart(
        &self,
        site: &Arc<Site>,
        wants: &Wants,
        request: &OwnRequest,
        mode: Mode,
        arrival_cookie: ArrivalCookie,
    ) -> Departure {
        let hash = arrival_cookie.hash();
        let (target, mut cookies) = self.part_with_target(request, wants, &site.name, hash);
        cookies.push(self.set_arrival_cookie(&request.host, &arrival_cookie));
        let room = self.room_beside(wants, &site.name, &target);
        let came_from = wants.came_from.as_ref().map(|page| page.target().to_owned());
        let arrival = Arrival {
            site: site.name.clone(),
            host: request.host.clone(),
            target,
            hash,
            at: self.clock.now(),
            scopes: wants.scopes.clone(),
            rule: wants.rule.and_then(|rule| u16::try_from(rule).ok()),
            max_age: wants.max_auth_age.map(|age| u32::try_from(age.as_secs()).unwrap_or(u32::MAX)),
            mode,
            client: None,
            came_from: came_from.filter(|page| page.len() <= room),
        };
        let sign_in = in_chosen_language(SIGN_IN, request);
        Departure { address: self.address_with(&sign_in, &arrival), cookies }
    }

    /// The likeliest reason why every sign-in of this browser leads to the next one: what it brings along tells.
    pub(super) fn why_in_circles(&self, request: &OwnRequest, live: Option<&LiveSession>, is_ahead: bool) -> Notice {
        let brought = cookie::pairs(request.cookies()).any(|(name, _)| name == cookie::SESSION.as_bytes());
        if live.is_some() {
            Notice::NeverEnough
        } else if is_ahead {
            Notice::ClockMoved
        } else if !brought {
            Notice::CookiesMissing
        } else if self.sessions.authentic(request.cookies()).is_none() {
            Notice::CookiesDisturbed
        } else {
            Notice::SessionUnknown
        }
    }

    /// B8: whoever is sent back to sign in right after each arrival will be sent again. A page says why; its link
    /// starts over.
    fn stop_circling(
        &self,
        site: &Arc<Site>,
        wants: &Wants,
        request: &OwnRequest,
        reset: &ArrivalCookie,
        cause: Notice,
    ) -> Response<Bytes> {
        let incident = IncidentId::draw(&*self.chance);
        tracing::warn!(
            %incident, site.name = %site.name, cause = cause.code(),
            "a visitor was sent to sign in again and again; stopped"
        );
        let next = vec![Link::new(LinkLabel::TryAgain, wants.return_to.url(self.port()))];
        let site = Some(self.site_view(site));
        let page = Page::Notice { notice: cause, incident: Some(incident), next, site };
        with_cookies(self.show(request, &page), vec![self.set_arrival_cookie(&request.host, reset)])
    }

    /// The policy's no, with a way to try another iD for a person and JSON for a program.
    pub fn refused(
        &self,
        refusal: &Refusal,
        request: &OwnRequest,
        live: Option<&LiveSession>,
        incident: IncidentId,
    ) -> Response<Bytes> {
        if !is_navigation(&request.method, &request.headers) {
            return self.pages.answer_json(Notice::Refused, Some(incident));
        }
        let rule = refusal.rule();
        let (return_to, target_lost) = return_target(request);
        let wants = Wants {
            return_to,
            target_lost,
            came_from: None,
            scopes: rule.map(|rule| rule.scopes.clone()).unwrap_or_default(),
            rule: refusal.rule,
            max_auth_age: None,
        };
        let departure = live.map(|_| self.link_out(&refusal.site, &wants, request, Mode::Another));
        let (another, cookies) = departure.map(|it| (it.address, it.cookies)).unzip();
        let page = Page::Refused {
            person: live.map(|live| PersonView::from(&*live.identity)),
            site: self.site_view(&refusal.site),
            rule: rule.map(|rule| rule.name.clone()),
            why: rule.and_then(|rule| rule.why.clone()),
            contact: refusal.site.contact.clone(),
            another,
            incident: Some(incident),
        };
        with_cookies(self.show(request, &page), cookies.unwrap_or_default())
    }
}

/// A prepared trip to the sign-in host.
pub(super) struct Departure {
    pub(super) address: String,
    pub(super) cookies: Vec<HeaderValue>,
}

/// The page of this origin that a link or form of the request was on, if the browser says so.
pub(super) fn page_before(request: &OwnRequest, origin: &str) -> Option<ReturnTo> {
    page_at(request.header(header::REFERER.as_str())?, &request.host, origin)
}

/// The page at an address, if it is one of the app's at this origin.
pub(super) fn page_at(address: &str, host: &Host, origin: &str) -> Option<ReturnTo> {
    let target = address.strip_prefix(origin)?;
    let ours = target.starts_with("/.lychgate");
    ReturnTo::new(host.clone(), target).ok().filter(|_| !ours)
}

/// The page that was asked for, byte for byte; the front page, and `true`, if it cannot be a target.
pub(super) fn return_target(request: &OwnRequest) -> (ReturnTo, bool) {
    let target = match &request.query {
        Some(query) => format!("{}?{query}", request.path),
        None => request.path.clone(),
    };
    match ReturnTo::new(request.host.clone(), &target) {
        Ok(to) => (to, false),
        Err(_) => (ReturnTo::front_page(request.host.clone()), true),
    }
}
