//! `/.lychgate/sign-in`: single sign-on where that suffices, the sign-in page where it does not (J5, J4);
//! and `/.lychgate/sign-in/continue`, its answer "continue as". The arrival says which site asks.

use super::arrival::{Arrival, Mode};
use super::choose::{must_choose, registration};
use super::navigation::is_navigation;
use super::settings::{ACCOUNT, CONTINUE, SIGN_IN, START};
use super::{OwnRequest, SignIn, StepFault};
use crate::domain::{Broken, OrcidId, Scope, ScopeSet, UnixTime};
use crate::orcid::Provider;
use crate::pages::{self, BrokenPage, Notice, Page, PersonView, ProviderView};
use crate::policy::{SignInStyle, Site};
use crate::vault::LiveSession;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;
use std::time::Duration;

/// How far a signed-in browser's session carries for one arrival.
pub(super) enum Reach {
    /// A ticket can be given.
    Enough,
    /// The same registration, but these scopes were not granted.
    Lacks(ScopeSet),
    /// Signed in too long ago, or through another registration.
    SignInAgain,
    /// ORCID no longer stands behind the connection.
    Broken(Broken),
}

impl SignIn {
    pub(super) async fn sign_in_page(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let root = self.root(request).await?;
        let (arrival, site) = match self.expected_arrival(request) {
            Expected::Nobody => {
                let parameters = request.parameters().ok();
                return Ok(match parameters.as_ref().and_then(|parameters| parameters.get("site")) {
                    Some(site) => self.invite(site, request),
                    None => self.plain_sign_in(request, root.as_deref()),
                });
            }
            Expected::Late(way_back) => return Ok(pages::redirect(&way_back)),
            Expected::Arrival(arrival, site) => (arrival, site),
        };
        let reach = root.as_ref().map(|root| self.reach(root, &arrival, &site));
        let elsewhere = matches!(arrival.mode, Mode::Another | Mode::Again);
        let broken = match &reach {
            _ if elsewhere => None,
            Some(Reach::Broken(why)) => Some(*why),
            Some(_) => None,
            None => self.why_ended(request).await?,
        };
        if let Some(why) = broken {
            // Shown even where the site wants no page before ORCID: nobody can guess what has happened.
            return Ok(self.broken_page(request, &arrival, &site, root.as_deref(), why));
        }
        if must_choose(&arrival, &site, root.as_deref()) {
            return Ok(self.chooser(request, &arrival, &site));
        }
        if elsewhere {
            return Ok(pages::redirect(&self.address_with(START, &arrival)));
        }
        // On shared computers whoever is signed in may be the former visitor, wherever that sign-in began.
        let asks = arrival.mode == Mode::Ask || site.confirm && root.is_some() && arrival.mode != Mode::Known;
        if let (Some(root), Some(Reach::Enough)) = (&root, &reach)
            && !asks
            && is_navigation(&request.method, &request.headers)
        {
            return Ok(pages::redirect(&self.ticket_address(request, &arrival, &root.session.key)));
        }
        let skip_page = arrival.mode == Mode::Direct || site.sign_in == SignInStyle::Direct;
        if skip_page && !asks {
            return Ok(pages::redirect(&self.address_with(START, &arrival)));
        }
        Ok(self.sign_in_page_for(request, &arrival, &site, root.as_deref(), reach))
    }

    /// "Continue as NAME" was chosen.
    pub(super) async fn carry_on(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let root = self.root(request).await?;
        match (self.expected_arrival(request), root) {
            (Expected::Arrival(arrival, site), Some(root))
                if matches!(self.reach(&root, &arrival, &site), Reach::Enough)
                    && is_navigation(&request.method, &request.headers) =>
            {
                Ok(pages::redirect(&self.ticket_address(request, &arrival, &root.session.key)))
            }
            (Expected::Arrival(arrival, _), _) => Ok(pages::redirect(&self.address_with(SIGN_IN, &arrival))),
            (Expected::Late(way_back), _) => Ok(pages::redirect(&way_back)),
            (Expected::Nobody, _) => Ok(pages::redirect(SIGN_IN)),
        }
    }

    fn sign_in_page_for(
        &self,
        request: &OwnRequest,
        arrival: &Arrival,
        site: &Arc<Site>,
        root: Option<&LiveSession>,
        reach: Option<Reach>,
    ) -> Response<Bytes> {
        let Some(provider) = self.provider_view(registration(arrival, site, root)) else {
            return self.notice(Notice::Internal, Some(site), request.language);
        };
        // What stands on the page is what ORCID will ask: for a step-up, only what is new.
        let (person, continue_as, needs, mode) = match (root, reach) {
            (Some(root), Some(Reach::Enough)) => {
                let onward = self.address_with(CONTINUE, &arrival.renewed(self.clock.now(), Mode::Usual));
                (Some(root), Some(onward), arrival.scopes.clone(), Mode::Another)
            }
            (Some(root), Some(Reach::Lacks(missing))) => (Some(root), None, missing, Mode::Usual),
            _ => (None, None, arrival.scopes.clone(), Mode::Usual),
        };
        let step_up = person.is_some() && continue_as.is_none();
        let before = arrival.came_from.as_deref().into_iter().filter(|_| step_up);
        let page = Page::SignIn {
            site: Some(self.site_view(site)),
            needs: pages::scope_lines(&needs),
            why: reasons(arrival, site),
            start: self.address_with(START, &arrival.renewed(arrival.at, mode)),
            person: person.map(|root| PersonView::from(&*root.identity)),
            continue_as,
            leave: self.first_open(before, arrival, site, root, request),
            provider,
        };
        self.show(request, &page)
    }

    /// Why the session that this browser held was ended by the gate itself, if it was.
    async fn why_ended(&self, request: &OwnRequest) -> Result<Option<Broken>, StepFault> {
        match self.sessions.authentic(request.cookies()) {
            Some(key) => Ok(self.vault.why_ended(&key).await?),
            None => Ok(None),
        }
    }

    /// ORCID no longer stands behind the connection (J8). The button starts a sign-in, which mends it; by a record
    /// that is gone or shut nobody is signed in by ORCID's own session.
    fn broken_page(
        &self,
        request: &OwnRequest,
        arrival: &Arrival,
        site: &Arc<Site>,
        root: Option<&LiveSession>,
        why: Broken,
    ) -> Response<Bytes> {
        let Some(provider) = self.providers.get(registration(arrival, site, root)) else {
            return self.notice(Notice::Internal, Some(site), request.language);
        };
        let mode = if why.ends_sessions() { Mode::Another } else { Mode::Usual };
        let onward = if must_choose(arrival, site, root) { SIGN_IN } else { START };
        let page = BrokenPage {
            site: Some(self.site_view(site)),
            start: self.address_with(onward, &arrival.renewed(arrival.at, mode)),
            ..broken_at(provider, why, root, &arrival.scopes)
        };
        self.show(request, &Page::Broken(page))
    }

    /// Somebody opened the sign-in page by itself: from a bookmark, or by hand.
    fn plain_sign_in(&self, request: &OwnRequest, root: Option<&LiveSession>) -> Response<Bytes> {
        let Some(provider) = self.default_provider() else {
            return self.notice(Notice::NotFound, None, request.language);
        };
        let settings = provider.settings();
        let base: ScopeSet = std::iter::once(settings.base_scope.clone()).collect();
        if let Some(root) = root {
            let broken = root.identity.broken.filter(|_| root.identity.client == settings.name);
            return match broken {
                Some(why) => self.show(request, &Page::Broken(broken_at(provider, why, Some(root), &base))),
                None => pages::redirect(ACCOUNT),
            };
        }
        let page = Page::SignIn {
            site: None,
            needs: pages::scope_lines(&base),
            why: Vec::new(),
            start: START.to_owned(),
            person: None,
            continue_as: None,
            leave: None,
            provider: ProviderView::new(settings.environment, &settings.issuer),
        };
        self.show(request, &page)
    }

    /// Reads the `arrival` parameter and finds its site in the policies now in force.
    pub(super) fn expected_arrival(&self, request: &OwnRequest) -> Expected {
        let parameters = request.parameters().ok();
        let text = parameters.as_ref().and_then(|parameters| parameters.get("arrival"));
        let Some(arrival) = text.and_then(|text| self.open_arrival(text)) else { return Expected::Nobody };
        let Some(site) = self.site_of(&arrival) else { return Expected::Nobody };
        if arrival.is_stale(self.clock.now()) {
            // A bookmarked or forgotten sign-in page: the site itself knows what it needs today (B12).
            return Expected::Late(self.way_back(&arrival));
        }
        Expected::Arrival(Box::new(arrival), site)
    }

    /// What a live session on this host means for an arrival.
    pub(super) fn reach(&self, root: &LiveSession, arrival: &Arrival, site: &Site) -> Reach {
        if !site.knows(&root.identity.client) {
            return Reach::SignInAgain;
        }
        if let Some(why) = root.identity.broken {
            // No ticket, whatever is wanted: the site would send them straight back.
            return Reach::Broken(why);
        }
        if !is_recent(root.identity.proven_at, arrival.max_age, self.clock.now()) {
            return Reach::SignInAgain;
        }
        let missing = lacking(&root.identity.scopes, &arrival.scopes);
        if missing.is_empty() { Reach::Enough } else { Reach::Lacks(missing) }
    }
}

/// The page about a broken connection through `provider`, asked for by no site.
fn broken_at(provider: &Provider, why: Broken, root: Option<&LiveSession>, needs: &ScopeSet) -> BrokenPage {
    let settings = provider.settings();
    let primary = match why {
        Broken::Deprecated { primary } => primary,
        _ => None,
    };
    let view = |id: OrcidId| PersonView {
        name: None,
        id: id.to_string(),
        uri: Some(id.uri(settings.environment.record_base())),
    };
    BrokenPage {
        why,
        person: root.map(|root| PersonView::from(&*root.identity)),
        primary: primary.map(view),
        site: None,
        needs: pages::scope_lines(needs),
        start: START.to_owned(),
        provider: ProviderView::new(settings.environment, &settings.issuer),
    }
}

/// What the `arrival` parameter turned out to be.
pub(super) enum Expected {
    /// None, or not of our making, or of a site that is gone.
    Nobody,
    /// Too old: where to begin anew.
    Late(String),
    Arrival(Box<Arrival>, Arc<Site>),
}

/// Which of `wanted` was not granted. Being signed in is what the base scopes stand for; a provider
/// that does not repeat them among the granted ones must not send anybody round in circles.
pub(super) fn lacking(granted: &ScopeSet, wanted: &ScopeSet) -> ScopeSet {
    let base = [Scope::openid(), Scope::authenticate()];
    granted.missing(wanted).iter().filter(|scope| !base.contains(scope)).cloned().collect()
}

/// Whether a presence proven at `proven_at` is young enough for a rule's `max_auth_age`; one never proven is not.
pub(super) fn is_recent(proven_at: Option<UnixTime>, max_age: Option<u32>, now: UnixTime) -> bool {
    let young = |age| proven_at.is_some_and(|at| now.since(at) <= Duration::from_secs(u64::from(age)));
    max_age.is_none_or(young)
}

/// The operator's words, if the rule is still the one that asked.
pub(super) fn reasons(arrival: &Arrival, site: &Site) -> Vec<String> {
    let rule = arrival.rule.and_then(|rule| site.rules.get(usize::from(rule)));
    let same = rule.filter(|rule| arrival.scopes.missing(&rule.scopes).is_empty());
    same.and_then(|rule| rule.why.clone()).into_iter().collect()
}
