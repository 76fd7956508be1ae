//! `/.lychgate/replay` on a site host: asks whether a kept form may be sent now, or throws it away (J4). The form that
//! answers goes to the address the kept one was for, so that the app's answer stands where it belongs; `proxy` knows
//! it by what this file finds in it.

use super::arrival::Mode;
use super::begin::page_at;
use super::form_token::{self, Action};
use super::kept::{forget_form, replay_target, wants};
use super::{OwnRequest, SignIn, StepFault, Wants, allowing, with_cookies};
use crate::domain::{IncidentId, ReturnTo, ScopeSet};
use crate::pages::{self, KeptPage, Link, LinkLabel, Notice, Page, PersonView};
use crate::policy::{CanonicalPath, Decision, Facts, Site, decide};
use crate::vault::{FormId, KeptForm, LiveSession};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, header};
use std::sync::Arc;

/// The fields of the confirming form.
const FORM: &str = "lychgate-kept-form";
const TOKEN: &str = "token";
/// Bytes of the longest confirming form.
pub const LONGEST_CONFIRMATION: usize = 512;

/// What a request is that might confirm the sending of a kept form.
#[derive(Debug)]
pub enum Confirmation {
    /// Somebody's own form: no business of ours.
    No,
    /// Send this one now.
    Yes(KeptForm),
    /// It tries to, and cannot.
    Refused(Response<Bytes>),
}

impl SignIn {
    pub(super) async fn replay(&self, site: &Arc<Site>, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if !request.is_reading() && request.method != Method::POST {
            return Ok(allowing(
                self.notice(Notice::MethodNotAllowed, Some(site), request.language),
                "GET, HEAD, POST",
            ));
        }
        let named = request.parameters().ok();
        let id = named.as_ref().and_then(|parameters| FormId::read(parameters.get("form")?));
        let form = id.and_then(|id| self.kept_form(&self.spool, request, id)).filter(|it| it.facts.site == site.name);
        let Some(form) = form else {
            return Ok(with_cookies(self.form_gone(site, request), id.map(forget_form)));
        };
        let live = self.visitor(request).await?;
        if request.method == Method::POST {
            return Ok(self.throw_away(site, request, &form, live.as_deref()));
        }
        Ok(self.ask_replay(site, request, &form, live.as_deref()))
    }

    fn form_gone(&self, site: &Arc<Site>, request: &OwnRequest) -> Response<Bytes> {
        self.with_front_page(Notice::FormGone, site, request)
    }

    fn with_front_page(&self, notice: Notice, site: &Arc<Site>, request: &OwnRequest) -> Response<Bytes> {
        let next = vec![Link::new(LinkLabel::FrontPage, format!("{}/", self.origin(&request.host)))];
        self.show(request, &Page::Notice { notice, incident: None, next, site: Some(self.site_view(site)) })
    }

    fn throw_away(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
        form: &KeptForm,
        live: Option<&LiveSession>,
    ) -> Response<Bytes> {
        let Some(live) = live else { return pages::redirect(&replay_target(form.id)) };
        if let Some(refusal) = self.objection(request, live, Action::ThrowFormAway(form.id), Some(site)) {
            return refusal;
        }
        drop(self.spool.take(form.id));
        with_cookies(self.with_front_page(Notice::FormThrownAway, site, request), vec![forget_form(form.id)])
    }

    /// Everything the form needs besides a click: the same person, and a policy that lets them.
    fn ask_replay(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
        form: &KeptForm,
        live: Option<&LiveSession>,
    ) -> Response<Bytes> {
        let back_here = || ReturnTo::new(request.host.clone(), &replay_target(form.id));
        let Ok(return_to) = back_here() else { return self.form_gone(site, request) };
        let plain = Wants {
            return_to: return_to.clone(),
            target_lost: false,
            came_from: None,
            scopes: ScopeSet::default(),
            rule: None,
            max_auth_age: None,
        };
        if live.is_some_and(|live| self.person(&live.session.connection) != form.facts.person) {
            let departure = self.link_out(site, &plain, request, Mode::Another);
            let next = vec![
                Link::new(LinkLabel::AnotherId, departure.address),
                Link::new(LinkLabel::FrontPage, format!("{}/", self.origin(&request.host))),
            ];
            let site = Some(self.site_view(site));
            let page = Page::Notice { notice: Notice::OtherResearcher, incident: None, next, site };
            return with_cookies(self.show(request, &page), departure.cookies);
        }
        let path = form.facts.target.split('?').next().unwrap_or_default();
        let Ok(path) = CanonicalPath::parse(path, &site.switches) else { return self.form_gone(site, request) };
        let facts = Facts {
            site,
            method: &Method::POST,
            path: &path,
            visitor: live.map(|live| &live.identity),
            peer: request.peer,
            now: self.clock.now(),
        };
        match (decide(&facts), live) {
            (Decision::Admit(_), Some(live)) => self.confirm_page(site, request, form, live),
            // Public by now, but a form is somebody's.
            (Decision::Admit(_), None) => self.begin(site, &plain, request, None),
            (Decision::AskSignIn(ask) | Decision::AskScopes(ask), _) => {
                let origin = self.origin(&request.host);
                let before = form.facts.referer.as_ref().and_then(|page| page_at(page, &request.host, &origin));
                self.begin(site, &wants(&ask, return_to, before), request, live)
            }
            (Decision::Refuse(refusal), _) => self.refused(&refusal, request, live, IncidentId::draw(&*self.chance)),
        }
    }

    fn confirm_page(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
        form: &KeptForm,
        live: &LiveSession,
    ) -> Response<Bytes> {
        let issue = |action| form_token::issue(&self.forms, &live.session.key, action);
        let page = KeptPage {
            person: PersonView::from(&*live.identity),
            site: self.site_view(site),
            target: format!("{}{}", self.origin(&request.host), form.facts.target),
            form: form.id.to_string(),
            bytes: form.size,
            at: form.at,
            token: issue(Action::SendForm(form.id)),
            throw_away: replay_target(form.id),
            throw_away_token: issue(Action::ThrowFormAway(form.id)),
        };
        self.show(request, &Page::Kept(page))
    }

    /// Whether a small form, posted to where a kept one was for, says to send that one. `live` is who is signed in
    /// and may open the address; `None`, if nobody, or the policy wants more.
    pub fn confirmation(&self, site: &Arc<Site>, request: &OwnRequest, live: Option<&LiveSession>) -> Confirmation {
        let Ok(fields) = request.form() else { return Confirmation::No };
        let Some(id) = fields.get(FORM).and_then(FormId::read) else { return Confirmation::No };
        let refuse = Confirmation::Refused;
        let Some(form) = self.kept_form(&self.spool, request, id).filter(|form| form.facts.site == site.name) else {
            return refuse(with_cookies(self.form_gone(site, request), vec![forget_form(id)]));
        };
        if !form_token::from_our_page(&request.headers, &self.origin(&request.host)) {
            tracing::warn!("another origin tried to send a kept form");
            return refuse(self.notice(Notice::CrossSiteRefused, Some(site), request.language));
        }
        let token = fields.get(TOKEN).unwrap_or_default();
        let good = live.is_some_and(|live| {
            self.person(&live.session.connection) == form.facts.person
                && form_token::verify(&self.forms, &live.session.key, Action::SendForm(id), token)
        });
        let target = match &request.query {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path.clone(),
        };
        // The page says why not, or has a fresh token.
        if good && target == form.facts.target {
            Confirmation::Yes(form)
        } else {
            refuse(pages::redirect(&replay_target(id)))
        }
    }
}

/// Whether a request could be a confirming form, before its body is read.
pub fn may_confirm(headers: &http::HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    length.is_some_and(|length| length <= LONGEST_CONFIRMATION)
        && headers.get(header::CONTENT_TYPE) == Some(&HeaderValue::from_static("application/x-www-form-urlencoded"))
        && !headers.contains_key(header::EXPECT)
}
