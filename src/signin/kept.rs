//! Whether a posted form is kept over a sign-in, and what its sender is told (J4, T92). `proxy` asks before it reads
//! the body, brings it to the spool, and gives the answer made here. Afterwards `replay` goes on.

use super::arrival::{LEFT_COOKIE, Mode};
use super::begin::{Wants, page_before, return_target};
use super::form_token;
use super::navigation::is_navigation;
use super::sealed::{self, Kind};
use super::settings::REPLAY;
use super::whose::{Ended, Sent};
use super::{OwnRequest, SignIn, with_cookies};
use crate::domain::ReturnTo;
use crate::pages::{self, Link, LinkLabel, Notice, Page};
use crate::policy::{Ask, Site};
use crate::session::cookie;
use crate::vault::{FormFacts, FormId, FormRefused, HashedSessionKey, KeptForm, LiveSession, Spool};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};

/// Names of the cookies that stand for kept forms begin so; then the form's id.
const PREFIX: &str = "__Host-Http-lychgate-kept-";
/// Most of them looked at in one request.
const MOST: usize = 16;
/// Longest path and query a form is kept for: it is shown, and written into the page that asks.
const LONGEST_TARGET: usize = 3 * 1024;
/// Longest `Content-Type`: a boundary has at most 70 characters (RFC 2046 §5.1.1).
const LONGEST_TYPE: usize = 256;
const LONGEST_REFERER: usize = 3 * 1024;

/// A form that may be kept, before its body was read.
#[derive(Debug)]
pub struct Keeping {
    pub facts: FormFacts,
    /// The session key the browser showed.
    pub browser: HashedSessionKey,
    /// Its session, if that has ended: nothing is kept for who left it, which [`SignIn::was_left`] knows.
    pub ended: Option<Ended>,
    /// The kept forms it holds already.
    pub holds: Vec<FormId>,
}

/// Whether a request is a form that a person sends, as opposed to a page they open or a program's call.
pub fn is_posted_form(request: &OwnRequest) -> bool {
    request.method == Method::POST && is_navigation(&request.method, &request.headers)
}

/// Whether a request has to do with kept forms: it brings a cookie of one, or comes from the page that asks, whose form
/// must not reach an app when it is sent again after its cookie went. Cheap, and asked for no other method than POST.
pub fn mentions_kept(headers: &HeaderMap) -> bool {
    let says = |name, word: &str| {
        headers.get_all(name).iter().any(|value| memchr::memmem::find(value.as_bytes(), word.as_bytes()).is_some())
    };
    says(header::COOKIE, PREFIX) || says(header::REFERER, REPLAY)
}

/// The cookie's name of one kept form.
fn name(id: FormId) -> String {
    format!("{PREFIX}{id}")
}

/// Takes the cookie of a form back that is kept no longer.
pub fn forget_form(id: FormId) -> HeaderValue {
    cookie::expire(&name(id))
}

impl SignIn {
    /// Whether this form may be kept: the site wants it, a page of the very origin sent it, and the browser shows a
    /// session this gate once began, which says whose it is. Nobody else can fill the spool, and nothing a strange
    /// site sends is ever put before a researcher to confirm.
    pub fn may_keep(&self, site: &Site, request: &OwnRequest, live: Option<&LiveSession>) -> Option<Keeping> {
        let here = form_token::surely_from_our_page(&request.headers, &self.origin(&request.host));
        if !site.keep_forms || !is_posted_form(request) || !here {
            return None;
        }
        let content_type = request.header(header::CONTENT_TYPE.as_str()).filter(|text| text.len() <= LONGEST_TYPE)?;
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        let is_form = ["application/x-www-form-urlencoded", "multipart/form-data"]
            .iter()
            .any(|known| kind.eq_ignore_ascii_case(known));
        // Its bytes would mean something else without the coding, and browsers send none.
        if !is_form || request.headers.contains_key(header::CONTENT_ENCODING) {
            return None;
        }
        let (to, lost) = return_target(request);
        if lost || to.target().len() > LONGEST_TARGET {
            return None;
        }
        let Sent { browser, person, ended } = self.whose(request, live)?;
        let facts = FormFacts {
            site: site.name.clone(),
            host: request.host.clone(),
            target: to.target().to_owned(),
            content_type: content_type.to_owned(),
            referer: self.referer_here(request),
            person,
        };
        Some(Keeping { facts, browser, ended, holds: self.held(request) })
    }

    fn referer_here(&self, request: &OwnRequest) -> Option<String> {
        let referer = request.header(header::REFERER.as_str())?;
        let rest = referer.strip_prefix(&self.origin(&request.host))?;
        (rest.starts_with('/') && referer.len() <= LONGEST_REFERER).then(|| referer.to_owned())
    }

    /// The forms this browser holds authentic cookies of.
    pub(super) fn held(&self, request: &OwnRequest) -> Vec<FormId> {
        let ids = cookie::pairs(request.cookies()).filter_map(|(name, _)| name.strip_prefix(PREFIX.as_bytes()));
        let ids = ids.filter_map(|id| FormId::read(std::str::from_utf8(id).ok()?));
        ids.take(MOST).filter(|id| self.holds(request, *id)).collect()
    }

    fn holds(&self, request: &OwnRequest, id: FormId) -> bool {
        let text = cookie::only(&name(id), request.cookies()).and_then(|value| std::str::from_utf8(value).ok());
        let place = format!("{} {id}", request.host);
        text.and_then(|text| sealed::open::<()>(&self.arrivals, Kind::Kept, &place, text)).is_some()
    }

    /// A form that is still kept, of this host, which this browser holds.
    pub(super) fn kept_form(&self, spool: &Spool, request: &OwnRequest, id: FormId) -> Option<KeptForm> {
        spool.find(id).filter(|form| form.facts.host == request.host && self.holds(request, id))
    }

    /// The form lies in the spool: on to the page that asks whether to send it, which begins the sign-in. Never a page
    /// right here: reloading it would send the form once more.
    pub fn kept(&self, id: FormId, ask: &Ask, request: &OwnRequest) -> Response<Bytes> {
        tracing::info!(site.name = %ask.site.name, "a form is kept until its sender has signed in");
        let answer = pages::redirect(&replay_target(id));
        let place = format!("{} {id}", request.host);
        let text = sealed::seal(&self.arrivals, Kind::Kept, &place, &());
        let age = u32::try_from(self.spool.lifetime().as_secs()).unwrap_or(u32::MAX);
        with_cookies(answer, vec![cookie::set(&name(id), &text, Some(age))])
    }

    /// The form is not kept: its sender is told, never left to find out. `refused` is why, if it could have been.
    pub fn not_kept(&self, ask: &Ask, request: &OwnRequest, refused: Option<&FormRefused>) -> Response<Bytes> {
        let notice = match refused {
            Some(FormRefused::TooLarge) => Notice::FormTooLarge,
            Some(FormRefused::BrowserFull | FormRefused::Full | FormRefused::Disk(_)) => Notice::FormsFull,
            None => Notice::FormNotKept,
        };
        if let Some(FormRefused::Disk(fault)) = refused {
            tracing::error!(%fault, "a form could not be kept");
        }
        let site = &ask.site;
        // By GET the page with the form is worth more than the address the form goes to.
        let origin = self.origin(&request.host);
        let return_to = page_before(request, &origin).unwrap_or_else(|| return_target(request).0);
        let left = cookie::only(LEFT_COOKIE, request.cookies()).is_some();
        let mode = if left { Mode::Ask } else { Mode::Usual };
        let departure = self.link_out(site, &wants(ask, return_to, None), request, mode);
        let next = vec![Link::new(LinkLabel::SignIn, departure.address)];
        let page = Page::Notice { notice, incident: None, next, site: Some(self.site_view(site)) };
        with_cookies(self.show(request, &page), departure.cookies)
    }
}

/// Where the question is asked whether to send a form.
pub(super) fn replay_target(id: FormId) -> String {
    format!("{REPLAY}?form={id}")
}

pub(super) fn wants(ask: &Ask, return_to: ReturnTo, came_from: Option<ReturnTo>) -> Wants {
    Wants {
        return_to,
        target_lost: false,
        came_from,
        scopes: ask.scopes.clone(),
        rule: Some(ask.rule),
        max_auth_age: ask.rule().max_auth_age,
    }
}
