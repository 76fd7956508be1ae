//! From a request's head to what the gate does with it: whose address it is, who asks, what the policy
//! says. Every request passes here; the engine's phases in `mod` only carry out what comes back.

use super::door::Standing;
use super::keep::{self, Held};
use super::passage::Passage;
use super::replay;
use super::visit::{self, Unreadable, Visit};
use super::{Gate, cors, own, respond};
use crate::domain::UnixTime;
use crate::pages::Notice;
use crate::policy::{Access, Admission, CanonicalPath, Decision, Facts, PolicySet, Site, SiteKind, decide};
use crate::session::app_cookies::Binding;
use crate::session::{Door, Found};
use crate::signin::{is_navigation, is_posted_form};
use crate::vault::LiveSession;
use bytes::Bytes;
use http::{Method, Response};
use pingora::proxy::Session;
use std::sync::Arc;

/// What the gate does with a request after it has looked at it.
pub(super) enum Next {
    /// The engine may ask for an upstream: an [`Admission`] lies in the passage.
    Onward,
    /// A page, a redirect or a refusal of ours.
    Answer(Response<Bytes>),
}

/// What the policy says, before what it takes to follow it.
enum Decided {
    Onward(Option<Arc<LiveSession>>),
    Answer(Response<Bytes>),
    /// A form that needs a sign-in first.
    Held(Box<Held>),
}

/// Who is behind a request, after the cookie was looked up.
enum Visitor {
    Guest,
    Researcher(Arc<LiveSession>),
    /// The store cannot say: fail closed (invariant 4).
    Unknown,
}

impl Gate {
    /// Reads the request and decides. The order matters: strict parsing first, because every later
    /// step must act on the same bytes; then whose address it is; then who asks; then the policy.
    pub(super) async fn receive(&self, session: &mut Session, passage: &mut Passage) -> pingora::Result<Next> {
        let visit = match Visit::read(session, self.shared.head_limit) {
            Ok(visit) => visit,
            Err(unreadable) => return Ok(self.refuse_unreadable(session, passage, unreadable)),
        };
        let next = self.route(session, passage, &visit).await;
        passage.visit = Some(visit);
        next
    }

    fn refuse_unreadable(&self, session: &mut Session, passage: &mut Passage, unreadable: Unreadable) -> Next {
        // Whatever stands behind a request that cannot be read must not be taken for another one.
        session.set_keepalive(None);
        passage.outcome = "unreadable";
        let notice = match unreadable {
            Unreadable::Ambiguous(why) => {
                tracing::info!(why, "a request that could be read in two ways was refused");
                Notice::BadRequest
            }
            Unreadable::Method => Notice::MethodNotAllowed,
            Unreadable::HeadTooLarge => Notice::HeadTooLarge,
            Unreadable::Misdirected => Notice::UnknownHost,
        };
        let mut answer = self.shared.notice(notice, None, respond::language(session));
        if unreadable == Unreadable::Method {
            answer.headers_mut().insert(http::header::ALLOW, ALLOWED);
        }
        Next::Answer(answer)
    }

    async fn route(&self, session: &mut Session, passage: &mut Passage, visit: &Visit) -> pingora::Result<Next> {
        let shared = &self.shared;
        if visit.host == shared.sign_in_host {
            passage.outcome = "own";
            passage.hsts = !visit.host.is_localhost();
            return self.at_sign_in_host(session, visit).await.map(Next::Answer);
        }
        let policies = shared.policies.load_full();
        let Some(site) = policies.site_for_host(&visit.host).cloned() else {
            passage.outcome = "unknown-host";
            return Ok(Next::Answer(shared.notice(Notice::UnknownHost, None, respond::language(session))));
        };
        passage.site = Some(site.name.clone());
        passage.hsts = site.hsts && !visit.host.is_localhost();
        let Ok(path) = CanonicalPath::parse(&visit.raw_path, &site.switches) else {
            passage.outcome = "unreadable";
            return Ok(Next::Answer(shared.notice(Notice::BadRequest, None, respond::language(session))));
        };
        if is_own(path.forward()) {
            passage.outcome = "own";
            let place = own::Place::Site(site);
            return own::answer(session, shared, visit, path.forward().to_owned(), place).await.map(Next::Answer);
        }
        let visitor = self.look_up(session, visit).await;
        if matches!(site.kind, SiteKind::Portal) {
            passage.outcome = "portal";
            return Ok(self.portal(session, passage, visit, &site, &path, visitor));
        }
        let small = match visit.method {
            Method::POST => replay::small_form(session, visit, path.forward()).await?,
            _ => None,
        };
        let decided = self.decide(session, passage, visit, policies, site.clone(), path, visitor);
        let answer = match (decided, small) {
            (Decided::Answer(answer), _) => Some(answer),
            (Decided::Onward(_), None) => None,
            (Decided::Onward(live), Some(small)) => {
                replay::confirmed(shared, &site, passage, small, live.as_deref()).await
            }
            (Decided::Held(held), None) => Some(keep::answer(session, shared, *held, None).await?),
            (Decided::Held(held), Some(small)) => match replay::deferred(shared, &held, &small) {
                Some(answer) => Some(answer),
                None => Some(keep::answer(session, shared, *held, Some(small.body)).await?),
            },
        };
        Ok(answer.map_or(Next::Onward, Next::Answer))
    }

    async fn at_sign_in_host(&self, session: &mut Session, visit: &Visit) -> pingora::Result<Response<Bytes>> {
        let switches = crate::policy::PathSwitches::default();
        match CanonicalPath::parse(&visit.raw_path, &switches) {
            Ok(path) if is_own(path.forward()) => {
                let path = path.forward().to_owned();
                own::answer(session, &self.shared, visit, path, own::Place::SignInHost).await
            }
            Ok(path) if path.forward() == "/" => Ok(crate::pages::redirect("/.lychgate/account")),
            Ok(_) => Ok(self.shared.notice(Notice::NotFound, None, respond::language(session))),
            Err(_) => Ok(self.shared.notice(Notice::BadRequest, None, respond::language(session))),
        }
    }

    /// The warm path touches no disk and awaits nothing; a cold one goes to the background runtime.
    async fn look_up(&self, session: &Session, visit: &Visit) -> Visitor {
        let sessions = &self.shared.sessions;
        let key = match sessions.find(Door::Site(&visit.host), visit::cookies(&session.req_header().headers)) {
            Found::Guest => return Visitor::Guest,
            Found::Live(live) => return Visitor::Researcher(live),
            Found::Cold(key) => key,
        };
        let (sessions, host) = (sessions.clone(), visit.host.clone());
        let loading = self.shared.background.spawn(async move { sessions.load(Door::Site(&host), key).await });
        match loading.await {
            Ok(Ok(Some(live))) => Visitor::Researcher(live),
            Ok(Ok(None)) => Visitor::Guest,
            Ok(Err(fault)) => {
                tracing::error!(%fault, "a session could not be looked up");
                Visitor::Unknown
            }
            Err(fault) => {
                tracing::error!(%fault, "looking a session up ended in a panic");
                Visitor::Unknown
            }
        }
    }

    fn store_unavailable(&self, session: &Session, passage_outcome: &mut &'static str) -> Response<Bytes> {
        *passage_outcome = "store-unavailable";
        self.shared.metrics.failures.with_label_values(&["store"]).inc();
        self.shared.notice(Notice::StoreUnavailable, Some(self.shared.incident()), respond::language(session))
    }

    fn portal(
        &self,
        session: &Session,
        passage: &mut Passage,
        visit: &Visit,
        site: &Arc<Site>,
        path: &CanonicalPath,
        visitor: Visitor,
    ) -> Next {
        let shared = &self.shared;
        let live = match visitor {
            Visitor::Guest => None,
            Visitor::Researcher(live) => Some(live),
            Visitor::Unknown => return Next::Answer(self.store_unavailable(session, &mut passage.outcome)),
        };
        if !matches!(visit.method.as_str(), "GET" | "HEAD") {
            let mut answer = shared.notice(Notice::MethodNotAllowed, None, respond::language(session));
            answer.headers_mut().insert(http::header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            return Next::Answer(answer);
        }
        Next::Answer(shared.sign_in.portal_page(site, &own_request(session, visit, path.forward()), live.as_deref()))
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one decision, used once and here")]
    fn decide(
        &self,
        session: &Session,
        passage: &mut Passage,
        visit: &Visit,
        policies: Arc<PolicySet>,
        site: Arc<Site>,
        path: CanonicalPath,
        visitor: Visitor,
    ) -> Decided {
        let shared = &self.shared;
        let live = match visitor {
            Visitor::Guest => None,
            Visitor::Researcher(live) => Some(live),
            // A public page could be shown, but not to somebody who may be signed in and would be
            // taken for a guest: 503, never an anonymous pass.
            Visitor::Unknown => return Decided::Answer(self.store_unavailable(session, &mut passage.outcome)),
        };
        let now = shared.clock.now();
        let facts = Facts {
            site: &site,
            method: &visit.method,
            path: &path,
            visitor: live.as_ref().map(|live| &live.identity),
            peer: visit.connection.peer.ip(),
            now,
        };
        match decide(&facts) {
            Decision::Admit(_)
                if visit.is_upgrade
                    && !cors::may_open_socket(session.req_header(), &site, &visit.host, shared.public_port) =>
            {
                passage.outcome = "refuse";
                tracing::info!(site.name = %site.name, "a page of another origin wanted to open a WebSocket");
                Decided::Answer(shared.pages.answer_json(Notice::CrossSiteRefused, None))
            }
            Decision::Admit(admission) => {
                passage.outcome = "admit";
                passage.app_cookies = bound(session, visit, &site, live.as_deref());
                passage.policies = Some(policies);
                match self.admit(session, passage, visit, path, live.as_deref(), admission, now) {
                    Ok(()) => Decided::Onward(live),
                    Err(answer) => Decided::Answer(answer),
                }
            }
            Decision::AskSignIn(ask) | Decision::AskScopes(ask) => {
                passage.outcome = "ask";
                if let Some(preflight) = cors::preflight(session.req_header(), &site) {
                    return Decided::Answer(preflight);
                }
                let request = own_request(session, visit, path.forward());
                if is_posted_form(&request) {
                    return Decided::Held(Box::new(Held { ask, request, live }));
                }
                let answer = shared.sign_in.begin_or_401(&ask, &request, live.as_deref());
                Decided::Answer(cors::allow(answer, session.req_header(), &site))
            }
            Decision::Refuse(refusal) => {
                passage.outcome = "refuse";
                let incident = shared.incident();
                passage.incident = Some(incident);
                tracing::info!(%incident, site.name = %site.name, reason = %refusal.reason, "refused by policy");
                if let Some(preflight) = cors::preflight(session.req_header(), &site) {
                    return Decided::Answer(preflight);
                }
                let request = own_request(session, visit, path.forward());
                let answer = shared.sign_in.refused(&refusal, &request, live.as_deref(), incident);
                Decided::Answer(cors::allow(answer, session.req_header(), &site))
            }
        }
    }

    /// Keeps the permit, given at `now`, and everything that the later phases need beside it.
    #[expect(clippy::too_many_arguments, reason = "the facts of one decision, used once and here")]
    fn admit(
        &self,
        session: &Session,
        passage: &mut Passage,
        visit: &Visit,
        path: CanonicalPath,
        live: Option<&LiveSession>,
        admission: Admission,
        now: UnixTime,
    ) -> Result<(), Response<Bytes>> {
        let shared = &self.shared;
        passage.target = match &visit.query {
            Some(query) => format!("{}?{query}", path.forward()),
            None => path.forward().to_owned(),
        };
        if let (Some(spec), Some(identity), Some(live)) =
            (&admission.site().hand_off.assertion, admission.identity(), live)
        {
            let key = &live.session.key.0;
            match shared.assertions.header_for(key, &admission.site().name, &spec.audience, identity, now) {
                Ok(value) => passage.assertion = Some((spec.header.clone(), value)),
                // An app that is told nothing would take a researcher for a guest (invariant 4).
                Err(fault) => {
                    let incident = shared.incident();
                    tracing::error!(%incident, %fault, "an assertion could not be signed");
                    shared.metrics.failures.with_label_values(&["assertion"]).inc();
                    passage.outcome = "assertion";
                    return Err(shared.notice(Notice::StoreUnavailable, Some(incident), respond::language(session)));
                }
            }
        }
        if admission.rule().access != Access::Public || visit.is_upgrade {
            passage.listed = self.open.list(Standing {
                session: admission.identity().and(live).map(|live| live.session.key),
                site: admission.site().name.clone(),
                method: visit.method.clone(),
                path,
                connection: visit.connection.clone(),
                since: now,
            });
        }
        passage.admission = Some(admission);
        Ok(())
    }
}

/// Whose the app's own cookies must be; nothing to do where the site does not bind them. The visitor's, on public pages
/// too: what the rule hides is who they are, and the app's cookies there are the same.
fn bound(session: &Session, visit: &Visit, site: &Site, live: Option<&LiveSession>) -> Option<Box<Binding>> {
    site.hand_off.app_cookies.as_ref()?;
    let opens_a_page = is_navigation(&visit.method, &session.req_header().headers);
    Some(Box::new(Binding::new(live.map(|live| &live.session.connection), &visit.host, opens_a_page)))
}

/// What the gate lets through to policies (RFC 9110 §15.5.6 asks for it beside 405).
const ALLOWED: http::HeaderValue = http::HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// Whether a canonical path is one of ours on every host.
fn is_own(path: &str) -> bool {
    path == "/.lychgate" || path.starts_with("/.lychgate/")
}

pub(super) fn own_request(session: &Session, visit: &Visit, path: &str) -> crate::signin::OwnRequest {
    crate::signin::OwnRequest {
        host: visit.host.clone(),
        method: visit.method.clone(),
        path: path.to_owned(),
        query: visit.query.clone(),
        headers: session.req_header().headers.clone(),
        body: Bytes::new(),
        peer: visit.connection.peer.ip(),
        language: respond::language(session),
    }
}
