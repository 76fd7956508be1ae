//! The pages a callback redirects to: connected, denied, and what went wrong. Each address carries its
//! facts sealed, so that nobody can make one of our pages say something (T40, T84).

use super::arrival::{Arrival, Mode};
use super::choose::registration;
use super::sealed::{self, Kind};
use super::settings::{ACCOUNT, CONNECTED, DENIED, SIGN_IN, START, TROUBLE};
use super::{OwnRequest, SignIn, StepFault};
use crate::domain::{IncidentId, ReturnTo, ScopeSet, UnixTime};
use crate::pages::{self, Link, LinkLabel, Notice, Page, PersonView};
use crate::policy::{CanonicalPath, Decision, Facts, Site, decide};
use crate::vault::LiveSession;
use bytes::Bytes;
use http::{Method, Response};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long such an address shows its page; later it is an ordinary sign-in page.
const SHOWN: Duration = Duration::from_secs(60 * 60);

/// A completed sign-in that deserves a page: a new or widened connection, or one narrower than asked.
#[derive(Serialize, Deserialize)]
pub(super) struct Landed {
    pub(super) missing: ScopeSet,
    pub(super) first_time: bool,
    pub(super) arrival: Option<Arrival>,
    pub(super) at: UnixTime,
}

#[derive(Serialize, Deserialize)]
struct Trouble {
    /// `Notice::code`.
    notice: String,
    incident: Option<String>,
    arrival: Option<Arrival>,
    at: UnixTime,
}

#[derive(Serialize, Deserialize)]
struct Denied {
    arrival: Option<Arrival>,
    at: UnixTime,
}

impl SignIn {
    fn seal_about<T: Serialize>(&self, path: &str, kind: Kind, about: &T) -> String {
        let sealed = sealed::seal(&self.arrivals, kind, self.settings.sign_in_host.as_str(), about);
        format!("{path}?about={sealed}")
    }

    fn open_about<T: serde::de::DeserializeOwned>(&self, kind: Kind, request: &OwnRequest) -> Option<T> {
        let parameters = request.parameters().ok()?;
        sealed::open(&self.arrivals, kind, self.settings.sign_in_host.as_str(), parameters.get("about")?)
    }

    fn is_shown(&self, at: UnixTime) -> bool {
        self.clock.now().since(at) <= SHOWN
    }

    pub(super) fn connected_address(&self, landed: Landed) -> String {
        self.seal_about(CONNECTED, Kind::Connected, &landed)
    }

    /// `/.lychgate/connected`: thanks, what was and what was not granted, and the way on.
    pub(super) async fn connected(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let Some(landed) = self.open_about::<Landed>(Kind::Connected, request).filter(|it| self.is_shown(it.at)) else {
            return Ok(pages::redirect(ACCOUNT));
        };
        let onward = match &landed.arrival {
            Some(arrival) => self.address_with(SIGN_IN, &arrival.renewed(self.clock.now(), Mode::Known)),
            None => ACCOUNT.to_owned(),
        };
        let Some(root) = self.root(request).await? else { return Ok(pages::redirect(&onward)) };
        let site = landed.arrival.as_ref().and_then(|arrival| self.site_of(arrival));
        let Some(provider) = self.provider_view(&root.identity.client) else { return Ok(pages::redirect(&onward)) };
        let page = Page::Connected {
            person: PersonView::from(&*root.identity),
            site: site.map(|site| self.site_view(&site)),
            granted: pages::scope_lines(&root.identity.scopes),
            missing: pages::scope_lines(&landed.missing),
            onward,
            first_time: landed.first_time,
            provider,
        };
        Ok(self.show(request, &page))
    }

    /// The redirect to [`SignIn::denied_page`].
    pub(super) fn denied(&self, arrival: Option<&Arrival>) -> Response<Bytes> {
        let denied = Denied { arrival: arrival.cloned(), at: self.clock.now() };
        pages::redirect(&self.seal_about(DENIED, Kind::Denied, &denied))
    }

    /// `/.lychgate/denied`: asks to reconsider; nothing was changed (J2).
    pub(super) async fn denied_page(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let Some(denied) = self.open_about::<Denied>(Kind::Denied, request).filter(|it| self.is_shown(it.at)) else {
            return Ok(pages::redirect(SIGN_IN));
        };
        let asked_by = denied.arrival.and_then(|arrival| self.site_of(&arrival).map(|site| (arrival, site)));
        let client = asked_by.as_ref().map(|(arrival, site)| registration(arrival, site, None));
        let client = client.or_else(|| self.default_provider().map(|provider| &provider.settings().name));
        let Some(provider) = client.and_then(|client| self.provider_view(client)) else {
            return Ok(self.notice(Notice::Internal, None, request.language));
        };
        let Some((arrival, site)) = asked_by else {
            let page = Page::Denied { site: None, needs: Vec::new(), retry: START.to_owned(), leave: None, provider };
            return Ok(self.show(request, &page));
        };
        let root = self.root(request).await?;
        let before = arrival.came_from.as_deref().into_iter().chain(["/"]);
        let leave = self.first_open(before, &arrival, &site, root.as_deref(), request);
        let leave = leave.unwrap_or_else(|| SIGN_IN.to_owned());
        let page = Page::Denied {
            site: Some(self.site_view(&site)),
            needs: pages::scope_lines(&arrival.scopes),
            retry: self.address_with(START, &self.resumed(&arrival)),
            leave: Some(leave),
            provider,
        };
        Ok(self.show(request, &page))
    }

    /// The first of these pages of the site that opens for this visitor as they are: one that asks for a sign-in or
    /// a permission would lead straight back to what was declined.
    pub(super) fn first_open<'a>(
        &self,
        mut targets: impl Iterator<Item = &'a str>,
        arrival: &Arrival,
        site: &Arc<Site>,
        root: Option<&LiveSession>,
        request: &OwnRequest,
    ) -> Option<String> {
        let page = targets.find_map(|target| {
            let page = ReturnTo::new(arrival.host.clone(), target).ok()?;
            self.shows(&page, site, root, request).then_some(page)
        });
        page.map(|page| page.url(self.port()))
    }

    /// Whether a page of the site opens for this visitor as they are.
    fn shows(&self, page: &ReturnTo, site: &Arc<Site>, root: Option<&LiveSession>, request: &OwnRequest) -> bool {
        let path = page.target().split('?').next().unwrap_or_default();
        let Ok(path) = CanonicalPath::parse(path, &site.switches) else { return false };
        let facts = Facts {
            site,
            method: &Method::GET,
            path: &path,
            visitor: root.map(|root| &root.identity),
            peer: request.peer,
            now: self.clock.now(),
        };
        site.is_portal() || matches!(decide(&facts), Decision::Admit(_))
    }

    /// The redirect to [`SignIn::trouble_page`].
    pub(super) fn trouble(
        &self,
        notice: Notice,
        incident: Option<IncidentId>,
        arrival: Option<&Arrival>,
    ) -> Response<Bytes> {
        let trouble = Trouble {
            notice: notice.code().to_owned(),
            incident: incident.map(|incident| incident.to_string()),
            arrival: arrival.cloned(),
            at: self.clock.now(),
        };
        pages::redirect(&self.seal_about(TROUBLE, Kind::Trouble, &trouble))
    }

    /// `/.lychgate/sign-in/trouble`: what went wrong at the callback, without its address.
    pub(super) fn trouble_page(&self, request: &OwnRequest) -> Response<Bytes> {
        let trouble = self.open_about::<Trouble>(Kind::Trouble, request).filter(|it| self.is_shown(it.at));
        let Some(trouble) = trouble else { return pages::redirect(SIGN_IN) };
        let notice = Notice::ALL.iter().copied().find(|notice| notice.code() == trouble.notice);
        let incident = trouble.incident.and_then(|text| text.parse().ok());
        let page = self.trouble_notice(notice.unwrap_or(Notice::Internal), incident, trouble.arrival.as_ref());
        self.show(request, &page)
    }

    /// The page itself; its link starts again, at the site that asked if that is known.
    pub(super) fn trouble_notice(
        &self,
        notice: Notice,
        incident: Option<IncidentId>,
        arrival: Option<&Arrival>,
    ) -> Page {
        let site = arrival.and_then(|arrival| self.site_of(arrival));
        let again = match arrival {
            Some(arrival) => self.address_with(SIGN_IN, &self.resumed(arrival)),
            None => SIGN_IN.to_owned(),
        };
        let next = vec![Link::new(LinkLabel::StartAgain, again)];
        Page::Notice { notice, incident, next, site: site.map(|site| self.site_view(&site)) }
    }
}
