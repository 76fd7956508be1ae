//! The gate itself: the engine's phases, a few lines each. This file is the map of a request; with
//! `app.rs` and `tls.rs` it is the only place that speaks pingora.

mod access_log;
mod connection;
mod cors;
mod door;
mod failure;
mod headers;
pub mod listen;
mod own;
mod passage;
pub mod redirect;
mod respond;
mod shared;
mod sweep;
mod upstream;
mod visit;

pub use door::DoorLimits;
pub use shared::Shared;
pub use upstream::{Authorities, Resolver};

use crate::domain::IncidentId;
use crate::pages::Notice;
use crate::policy::{Access, Admission, CanonicalPath, Decision, Facts, PolicySet, Site, SiteKind, decide};
use crate::session::{Door, Found};
use crate::vault::LiveSession;
use async_trait::async_trait;
use bytes::Bytes;
use door::{OpenRequests, Standing};
use http::Response;
use passage::Passage;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::sync::Arc;
use visit::{Unreadable, Visit};

/// What the gate does with a request after it has looked at it.
enum Next {
    /// The engine may ask for an upstream: an [`Admission`] lies in the passage.
    Onward,
    /// A page, a redirect or a refusal of ours.
    Answer(Response<Bytes>),
}

/// One listener core's view of the gate.
pub struct Gate {
    shared: Arc<Shared>,
    open: Arc<OpenRequests>,
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
    async fn receive(&self, session: &mut Session, passage: &mut Passage) -> pingora::Result<Next> {
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
        let mut answer = self.shared.notice(notice, None);
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
            return Ok(Next::Answer(shared.notice(Notice::UnknownHost, None)));
        };
        passage.site = Some(site.name.clone());
        passage.hsts = site.hsts && !visit.host.is_localhost();
        let Ok(path) = CanonicalPath::parse(&visit.raw_path, &site.switches) else {
            passage.outcome = "unreadable";
            return Ok(Next::Answer(shared.notice(Notice::BadRequest, None)));
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
        self.decide(session, passage, visit, policies, site, path, visitor)
    }

    async fn at_sign_in_host(&self, session: &mut Session, visit: &Visit) -> pingora::Result<Response<Bytes>> {
        let switches = crate::policy::PathSwitches::default();
        match CanonicalPath::parse(&visit.raw_path, &switches) {
            Ok(path) if is_own(path.forward()) => {
                let path = path.forward().to_owned();
                own::answer(session, &self.shared, visit, path, own::Place::SignInHost).await
            }
            Ok(path) if path.forward() == "/" => Ok(crate::pages::redirect("/.lychgate/account")),
            Ok(_) => Ok(self.shared.notice(Notice::NotFound, None)),
            Err(_) => Ok(self.shared.notice(Notice::BadRequest, None)),
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

    fn store_unavailable(&self, passage_outcome: &mut &'static str) -> Next {
        *passage_outcome = "store-unavailable";
        self.shared.metrics.failures.with_label_values(&["store"]).inc();
        Next::Answer(self.shared.notice(Notice::StoreUnavailable, Some(self.shared.incident())))
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
            Visitor::Unknown => return self.store_unavailable(&mut passage.outcome),
        };
        if !matches!(visit.method.as_str(), "GET" | "HEAD") {
            let mut answer = shared.notice(Notice::MethodNotAllowed, None);
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
    ) -> pingora::Result<Next> {
        let shared = &self.shared;
        let live = match visitor {
            Visitor::Guest => None,
            Visitor::Researcher(live) => Some(live),
            // A public page could be shown, but not to somebody who may be signed in and would be
            // taken for a guest: 503, never an anonymous pass.
            Visitor::Unknown => return Ok(self.store_unavailable(&mut passage.outcome)),
        };
        let facts = Facts {
            site: &site,
            method: &visit.method,
            path: &path,
            visitor: live.as_ref().map(|live| &live.identity),
            peer: visit.connection.peer.ip(),
            now: shared.clock.now(),
        };
        match decide(&facts) {
            Decision::Admit(admission) => {
                passage.outcome = "admit";
                Ok(self.admit(passage, visit, &policies, path, live.as_deref(), admission))
            }
            Decision::AskSignIn(ask) | Decision::AskScopes(ask) => {
                passage.outcome = "ask";
                if let Some(preflight) = cors::preflight(session.req_header(), &site) {
                    return Ok(Next::Answer(preflight));
                }
                let request = own_request(session, visit, path.forward());
                let answer = shared.sign_in.begin_or_401(&ask, &request, live.as_deref());
                Ok(Next::Answer(cors::allow(answer, session.req_header(), &site)))
            }
            Decision::Refuse(refusal) => {
                passage.outcome = "refuse";
                let incident = shared.incident();
                passage.incident = Some(incident);
                tracing::info!(%incident, site.name = %site.name, reason = %refusal.reason, "refused by policy");
                if let Some(preflight) = cors::preflight(session.req_header(), &site) {
                    return Ok(Next::Answer(preflight));
                }
                let request = own_request(session, visit, path.forward());
                let answer = shared.sign_in.refused(&refusal, &request, live.as_deref(), incident);
                Ok(Next::Answer(cors::allow(answer, session.req_header(), &site)))
            }
        }
    }

    /// Keeps the permit and everything that the later phases need beside it.
    fn admit(
        &self,
        passage: &mut Passage,
        visit: &Visit,
        policies: &Arc<PolicySet>,
        path: CanonicalPath,
        live: Option<&LiveSession>,
        admission: Admission,
    ) -> Next {
        let shared = &self.shared;
        let now = shared.clock.now();
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
                    return Next::Answer(shared.notice(Notice::StoreUnavailable, Some(incident)));
                }
            }
        }
        if admission.rule().access != Access::Public || visit.is_upgrade {
            passage.listed = self.open.list(Standing {
                session: admission.identity().and(live).map(|live| live.session.key),
                site: admission.site().name.clone(),
                method: visit.method.clone(),
                path,
                peer: visit.connection.peer.ip(),
                since: now,
            });
        }
        passage.policies = Some(policies.clone());
        passage.admission = Some(admission);
        Next::Onward
    }
}

/// What the gate lets through to policies (RFC 9110 §15.5.6 asks for it beside 405).
const ALLOWED: http::HeaderValue = http::HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

/// A visitor who takes no bytes for this long is gone; an app worker must not wait for ever.
const WRITE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// More interim answers (1xx) than this to one request are a storm (T81).
const MOST_INTERIM: usize = 32;

/// Refuses a switch of protocols that the visitor did not ask for, and endless interim answers: the
/// engine's read limit starts anew with each.
fn check_interim(answer: &ResponseHeader, passage: &mut Passage) -> pingora::Result<()> {
    if !answer.status.is_informational() {
        return Ok(());
    }
    passage.interim += 1;
    let unasked = answer.status == http::StatusCode::SWITCHING_PROTOCOLS
        && !passage.visit.as_ref().is_some_and(|visit| visit.is_upgrade);
    if unasked || passage.interim > MOST_INTERIM {
        let why = if unasked { "101 to a request without upgrade" } else { "too many interim answers" };
        return Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up());
    }
    Ok(())
}

/// Whether a canonical path is one of ours on every host.
fn is_own(path: &str) -> bool {
    path == "/.lychgate" || path.starts_with("/.lychgate/")
}

fn own_request(session: &Session, visit: &Visit, path: &str) -> crate::signin::OwnRequest {
    crate::signin::OwnRequest {
        host: visit.host.clone(),
        method: visit.method.clone(),
        path: path.to_owned(),
        query: visit.query.clone(),
        headers: session.req_header().headers.clone(),
        body: Bytes::new(),
        peer: visit.connection.peer.ip(),
    }
}

#[async_trait]
impl ProxyHttp for Gate {
    type CTX = Passage;

    fn new_ctx(&self) -> Passage {
        Passage::new()
    }

    async fn early_request_filter(&self, session: &mut Session, _passage: &mut Passage) -> pingora::Result<()> {
        if let Some(connection) = connection::Connection::of(session) {
            connection.accept_head();
        }
        session.as_downstream_mut().set_write_timeout(Some(WRITE_PATIENCE));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, passage: &mut Passage) -> pingora::Result<bool> {
        match self.receive(session, passage).await? {
            Next::Onward => Ok(false),
            Next::Answer(answer) => {
                respond::send(session, answer, passage.hsts).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, passage: &mut Passage) -> pingora::Result<Box<HttpPeer>> {
        let admission =
            passage.admission.as_ref().ok_or_else(|| Error::explain(ErrorType::InternalError, "no permit"))?;
        let request = session.req_header();
        let streams = request.headers.contains_key(http::header::UPGRADE)
            || request
                .headers
                .get(http::header::ACCEPT)
                .is_some_and(|accept| accept.as_bytes().starts_with(b"text/event-stream"));
        let attempt = passage.attempts;
        passage.attempts += 1;
        // A retry sends the kept body once more.
        passage.body_seen = 0;
        upstream::peer(admission, attempt, streams, &self.shared.resolver, &self.shared.authorities).await.map_err(
            |fault| {
                tracing::error!(site.name = %admission.site().name, %fault, "the app cannot be contacted");
                Error::explain(ErrorType::ConnectError, fault.to_string()).into_up()
            },
        )
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        let (Some(admission), Some(visit), Some(policies)) = (&passage.admission, &passage.visit, &passage.policies)
        else {
            return Err(Error::explain(ErrorType::InternalError, "no permit"));
        };
        let presentation =
            headers::Presentation { visit, public_port: self.shared.public_port, assertion: passage.assertion.clone() };
        let claimed = headers::present(request, admission, &passage.target, policies.reserved(), presentation)?;
        if claimed > 0 {
            self.shared.metrics.identity_claims.inc_by(claimed as u64);
            tracing::debug!(claimed, "a client sent identity fields of its own; they were dropped");
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        // The engine would write an empty last piece (HTTP/2 ends bodies so) as the last chunk, and then the
        // last chunk again: five bytes too many, which the app takes for the start of the next request.
        if end && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        passage.body_seen += body.as_ref().map_or(0, |bytes| bytes.len() as u64);
        let limit = passage.admission.as_ref().and_then(|admission| admission.site().limits.body);
        if limit.is_some_and(|limit| passage.body_seen > limit) {
            passage.body_too_large = true;
            return Err(Error::explain(ErrorType::HTTPStatus(413), "body over the site's limit").into_down());
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _session: &mut Session,
        answer: &mut ResponseHeader,
        passage: &mut Passage,
    ) -> pingora::Result<()> {
        check_interim(answer, passage)?;
        let (Some(admission), Some(policies)) = (&passage.admission, &passage.policies) else { return Ok(()) };
        let personal = admission.rule().access != Access::Public;
        headers::tame_answer(answer, admission.site(), policies.reserved(), personal)
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        passage: &mut Passage,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let upstreams = passage.admission.as_ref().map_or(0, |admission| match &admission.site().kind {
            SiteKind::App { upstreams } => upstreams.len(),
            SiteKind::Portal => 0,
        });
        // Nothing was sent yet, so trying the next one repeats nothing.
        error.set_retry(passage.attempts < upstreams);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, passage: &mut Passage) -> FailToProxy {
        let failure = failure::classify(error, passage.body_too_large);
        self.shared.metrics.failures.with_label_values(&[failure.kind]).inc();
        passage.outcome = failure.kind;
        let incident = self.shared.incident();
        passage.incident = Some(incident);
        if failure.is_ours() {
            tracing::error!(%incident, site.name = passage.site_name(), kind = failure.kind, cause = %error.etype().as_str(), "a request failed");
        }
        FailToProxy {
            error_code: self.tell(session, passage, failure.notice, incident).await,
            can_reuse_downstream: false,
        }
    }

    fn suppress_error_log(&self, _session: &Session, _passage: &Passage, _error: &Error) -> bool {
        // `fail_to_proxy` has said it, with an incident number and without what the engine would add.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _passage: &Passage,
        _error: &Error,
        _context: pingora::proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }

    fn request_summary(&self, session: &Session, passage: &Passage) -> String {
        // The engine's own summary holds the query, and with it codes and tickets.
        format!("{} to {}", session.req_header().method, passage.site_name())
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, passage: &mut Passage) {
        let site = passage.site_name().to_owned();
        self.shared.metrics.requests.with_label_values(&[site.as_str(), passage.outcome]).inc();
        access_log::write(session, passage, error.map(|error| error.etype().as_str()));
    }
}

impl Gate {
    pub fn new(shared: Arc<Shared>, open: Arc<OpenRequests>) -> Self {
        Self { shared, open }
    }

    /// Sends the page for a failure if the visitor can still be told; returns the status for the log.
    async fn tell(
        &self,
        session: &mut Session,
        passage: &Passage,
        notice: Option<Notice>,
        incident: IncidentId,
    ) -> u16 {
        let Some(notice) = notice else { return 0 };
        // Interim answers went before; a page can still follow, but not into an upgraded connection.
        let told = |header: &ResponseHeader| !header.status.is_informational() || header.status == 101;
        if session.response_written().is_some_and(told) {
            return 0;
        }
        let answer = self.shared.notice(notice, Some(incident));
        let status = answer.status().as_u16();
        session.set_keepalive(None);
        if respond::send(session, answer, passage.hsts).await.is_err() {
            return 0;
        }
        status
    }
}
