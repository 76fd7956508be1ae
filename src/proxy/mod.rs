//! The gate itself: the engine's phases, a few lines each. This file is the map of a request; with
//! `app.rs` and `tls.rs` it is the only place that speaks pingora.

mod access_log;
mod coalesced;
mod connection;
mod cors;
mod door;
mod failure;
pub mod headers;
pub mod introduction;
mod keep;
pub mod listen;
mod own;
mod passage;
mod receive;
pub mod redirect;
mod replay;
mod respond;
mod shared;
mod sweep;
mod upstream;
mod visit;

pub use door::DoorLimits;
pub use replay::AT_ONCE as REPLAYS_AT_ONCE;
pub use shared::Shared;
pub use upstream::{Authorities, Resolver};

use crate::domain::IncidentId;
use crate::pages::Notice;
use crate::policy::{Access, SiteKind};
use async_trait::async_trait;
use bytes::Bytes;
use door::OpenRequests;
use passage::Passage;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use receive::Next;
use std::sync::Arc;

/// One listener core's view of the gate.
pub struct Gate {
    shared: Arc<Shared>,
    open: Arc<OpenRequests>,
}

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

#[async_trait]
impl ProxyHttp for Gate {
    /// In a box, because the engine copies it from future to future.
    type CTX = Box<Passage>;

    fn new_ctx(&self) -> Box<Passage> {
        Box::new(Passage::new())
    }

    /// None: the engine's own compresses answers, and is switched off, but asked at every step.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn early_request_filter(&self, session: &mut Session, _passage: &mut Box<Passage>) -> pingora::Result<()> {
        if let Some(connection) = connection::Connection::of(session) {
            connection.accept_head();
        }
        session.as_downstream_mut().set_write_timeout(Some(WRITE_PATIENCE));
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, passage: &mut Box<Passage>) -> pingora::Result<bool> {
        match self.receive(session, passage).await? {
            Next::Onward => Ok(false),
            Next::Answer(answer) => {
                respond::send(session, answer, passage.hsts).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, passage: &mut Box<Passage>) -> pingora::Result<Box<HttpPeer>> {
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
        let shared = &self.shared;
        let peer = upstream::peer(admission, attempt, streams, &shared.resolver, &shared.authorities).await;
        let mut peer = peer.map_err(|fault| {
            tracing::error!(site.name = %admission.site().name, %fault, "the app cannot be contacted");
            Error::explain(ErrorType::ConnectError, fault.to_string()).into_up()
        })?;
        if let Some(replay) = &mut passage.replay {
            replay.over_a_fresh_connection(shared, &mut peer);
        }
        Ok(peer)
    }

    async fn upstream_request_filter(
        &self,
        _session: &mut Session,
        request: &mut RequestHeader,
        passage: &mut Box<Passage>,
    ) -> pingora::Result<()> {
        let (Some(admission), Some(visit), Some(policies)) = (&passage.admission, &passage.visit, &passage.policies)
        else {
            return Err(Error::explain(ErrorType::InternalError, "no permit"));
        };
        if let (Some(which), Some(binding)) = (&admission.site().hand_off.app_cookies, &mut passage.app_cookies) {
            headers::withhold_foreign_cookies(request, which, binding, self.shared.sessions.app_cookies());
        }
        let introduction = visit.connection.introduction(admission, &visit.host, self.shared.public_port)?;
        let assertion = passage.assertion.as_ref();
        let claimed = headers::present(request, &passage.target, policies.reserved(), &introduction, assertion)?;
        if claimed > 0 {
            self.shared.metrics.identity_claims.inc_by(claimed as u64);
            tracing::debug!(claimed, "a client sent identity fields of its own; they were dropped");
        }
        if let Some(replay) = &mut passage.replay {
            replay.spend(&self.shared, request)?;
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        passage: &mut Box<Passage>,
    ) -> pingora::Result<()> {
        if let Some(replay) = &mut passage.replay {
            replay.put(body);
        }
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
        passage: &mut Box<Passage>,
    ) -> pingora::Result<()> {
        check_interim(answer, passage)?;
        if passage.visit.as_ref().is_some_and(|visit| visit.connection.is_h2) {
            headers::forget_spelling(answer);
        }
        if let (http::StatusCode::SWITCHING_PROTOCOLS, Some(visit)) = (answer.status, &passage.visit) {
            visit.connection.becomes_socket();
        }
        let (Some(admission), Some(policies)) = (&passage.admission, &passage.policies) else { return Ok(()) };
        let personal = admission.rule().access != Access::Public;
        headers::tame_answer(answer, admission.site(), policies.reserved(), personal)?;
        if let (Some(which), Some(binding)) = (&admission.site().hand_off.app_cookies, &passage.app_cookies) {
            let binder = self.shared.sessions.app_cookies();
            headers::bind_cookies(answer, which, binding, &passage.target, binder)?;
        }
        if let Some(replay) = passage.replay.as_mut().filter(|_| !answer.status.is_informational()) {
            answer.append_header(http::header::SET_COOKIE, replay.finish())?;
        }
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        passage: &mut Box<Passage>,
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

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, passage: &mut Box<Passage>) -> FailToProxy {
        let gone = passage.replay.as_ref().is_some_and(|replay| replay.is_gone());
        let failure = failure::classify(error, passage.body_too_large, gone);
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

    fn suppress_error_log(&self, _session: &Session, _passage: &Box<Passage>, _error: &Error) -> bool {
        // `fail_to_proxy` has said it, with an incident number and without what the engine would add.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _passage: &Box<Passage>,
        _error: &Error,
        _context: pingora::proxy::ProxyWarnLogContext,
    ) -> bool {
        true
    }

    fn request_summary(&self, session: &Session, passage: &Box<Passage>) -> String {
        // The engine's own summary holds the query, and with it codes and tickets.
        format!("{} to {}", session.req_header().method, passage.site_name())
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, passage: &mut Box<Passage>) {
        self.shared.metrics.requests.with_label_values(&[passage.site_name(), passage.outcome]).inc();
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
        let answer = self.shared.notice(notice, Some(incident), respond::language(session));
        let status = answer.status().as_u16();
        session.set_keepalive(None);
        if respond::send(session, answer, passage.hsts).await.is_err() {
            return 0;
        }
        status
    }
}
