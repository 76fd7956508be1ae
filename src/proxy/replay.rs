//! Sends a kept form on, once, in place of the small form that confirms it (J4). The person posts that one to the
//! address the kept one was for, so that it passes through the same policy, headers and upstream as any request; on
//! its way to the app its body, and what its head says of the body, are exchanged.

use super::keep::Held;
use super::passage::Passage;
use super::receive::own_request;
use super::respond;
use super::shared::Shared;
use super::visit::Visit;
use crate::domain::Language;
use crate::pages::Notice;
use crate::policy::Site;
use crate::signin::{Confirmation, LONGEST_CONFIRMATION, OwnRequest, forget_form, may_confirm, mentions_kept};
use crate::vault::{KeptForm, LiveSession};
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Kept forms in memory on their way to apps, each of at most `forms.body` bytes.
pub const AT_ONCE: usize = 8;
/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// A form on its way, in the [`Passage`] of the request that confirmed it.
pub struct Replay {
    form: KeptForm,
    body: Bytes,
    /// What the present attempt has yet to hand on.
    unsent: Option<Bytes>,
    /// Held until the app has begun to answer.
    turn: Option<OwnedSemaphorePermit>,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Waiting,
    /// Taken from the spool: nobody else can send it.
    Spent,
    /// Somebody else took it first.
    Gone,
}

/// A small form that was read because it may confirm a kept one.
pub(super) struct Small {
    pub(super) body: Bytes,
    request: OwnRequest,
}

/// Reads what a browser posts that holds kept forms, if it is small. The engine keeps a copy, and sends it on itself if the form
/// is none of ours. `None` for everything else, at the price of a look at its cookies.
pub(super) async fn small_form(session: &mut Session, visit: &Visit, path: &str) -> pingora::Result<Option<Small>> {
    let headers = &session.req_header().headers;
    if !mentions_kept(headers) || !may_confirm(headers) {
        return Ok(None);
    }
    let mut request = own_request(session, visit, path);
    session.as_downstream_mut().enable_retry_buffering();
    // Never longer: the length was looked at.
    let body = respond::read_body(session, LONGEST_CONFIRMATION).await?.unwrap_or_default();
    request.body = body.clone();
    Ok(Some(Small { body, request }))
}

/// What is to be done with a small form, `live` being whom the policy admits.
pub(super) async fn confirmed(
    shared: &Shared,
    site: &Arc<Site>,
    passage: &mut Passage,
    small: Small,
    live: Option<&LiveSession>,
) -> Option<Response<Bytes>> {
    let language = small.request.language;
    let form = match shared.sign_in.confirmation(site, &small.request, live) {
        Confirmation::No => return None,
        Confirmation::Refused(answer) => return Some(answer),
        Confirmation::Yes(form) => form,
    };
    passage.outcome = "replay";
    // Kept when more was allowed. On its way it would be broken off, spent and lost.
    if site.limits.body.is_some_and(|most| form.size > most) {
        return Some(shared.notice(Notice::BodyTooLarge, None, language));
    }
    let turn = tokio::time::timeout(PATIENCE, shared.replays.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Some(shared.notice(Notice::TooManyRequests, None, language)) };
    let (forms, id) = (shared.forms.clone(), form.id);
    let reading = shared.background.spawn_blocking(move || forms.read(id));
    match reading.await {
        Ok(Ok(Some(body))) => {
            let replay = Replay { form, body: body.into(), unsent: None, turn: Some(turn), state: State::Waiting };
            passage.replay = Some(Box::new(replay));
            None
        }
        Ok(Ok(None)) => Some(shared.notice(Notice::FormGone, None, language)),
        Ok(Err(fault)) => Some(unreadable(shared, language, &fault)),
        Err(panic) => Some(unreadable(shared, language, &panic)),
    }
}

fn unreadable(shared: &Shared, language: Language, fault: &dyn std::fmt::Display) -> Response<Bytes> {
    let incident = shared.incident();
    tracing::error!(%incident, %fault, "a kept form could not be read");
    shared.metrics.failures.with_label_values(&["store"]).inc();
    shared.notice(Notice::StoreUnavailable, Some(incident), language)
}

/// A confirming form that meets a policy which wants more first: back to the page that asks, which begins the sign-in.
/// `None` for a form of somebody's own.
pub(super) fn deferred(shared: &Shared, held: &Held, small: &Small) -> Option<Response<Bytes>> {
    match shared.sign_in.confirmation(&held.ask.site, &small.request, None) {
        Confirmation::Refused(answer) => Some(answer),
        Confirmation::No | Confirmation::Yes(_) => None,
    }
}

impl Replay {
    /// A connection of its own: one from the pool may have been closed by the app meanwhile, which shows only after
    /// the form was spent and sent, and a second time it may not be sent.
    pub(super) fn over_a_fresh_connection(&mut self, shared: &Shared, peer: &mut HttpPeer) {
        self.begin_attempt();
        peer.group_key = u64::from_be_bytes(shared.chance.bytes());
        peer.options.idle_timeout = Some(Duration::ZERO);
    }

    /// Spends the form, now that the app can be reached, and describes it in the head the app gets.
    pub(super) fn spend(&mut self, shared: &Shared, request: &mut RequestHeader) -> pingora::Result<()> {
        if self.state == State::Waiting {
            let taken = shared.forms.take(self.form.id);
            self.state = if taken.is_some() { State::Spent } else { State::Gone };
            // Removing its file waits for the disk.
            shared.background.spawn_blocking(move || drop(taken));
        }
        if self.state == State::Gone {
            return Err(Error::explain(ErrorType::HTTPStatus(410), "the kept form was taken by another request"));
        }
        let facts = &self.form.facts;
        request.remove_header(&header::TRANSFER_ENCODING);
        request.insert_header(header::CONTENT_LENGTH, self.body.len())?;
        request.insert_header(header::CONTENT_TYPE, facts.content_type.as_str())?;
        match &facts.referer {
            Some(referer) => request.insert_header(header::REFERER, referer.as_str())?,
            // The page that asked is none of the app's.
            None => drop(request.remove_header(&header::REFERER)),
        }
        Ok(())
    }

    fn begin_attempt(&mut self) {
        self.unsent = Some(self.body.clone()).filter(|body| !body.is_empty());
    }

    /// The form itself, in place of what confirmed it: with the first piece of that, and nothing with those after it.
    /// The engine hands on each piece, and with HTTP/2 an end of its own.
    pub(super) fn put(&mut self, body: &mut Option<Bytes>) {
        *body = self.unsent.take();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.state == State::Gone
    }

    /// The app answers: nothing of the form is needed any more. Gives the cookie that says so to the browser.
    pub(super) fn finish(&mut self) -> HeaderValue {
        self.turn = None;
        (self.body, self.unsent) = (Bytes::new(), None);
        forget_form(self.form.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::UnixTime;
    use crate::vault::{FormFacts, FormId};

    #[test]
    fn j4_the_form_is_handed_on_once_in_each_attempt_however_many_pieces_confirm_it() {
        let facts = FormFacts {
            site: "repository".parse().unwrap(),
            host: "repository.example".parse().unwrap(),
            target: "/deposit".to_owned(),
            content_type: "multipart/form-data; boundary=x".to_owned(),
            referer: None,
            person: [3; 16],
        };
        let id = FormId::read("AAAAAAAAAAAAAAAAAAAA").unwrap();
        let form = KeptForm { id, facts: Arc::new(facts), size: 4, at: UnixTime(0) };
        let body = Bytes::from_static(b"form");
        let mut replay = Replay { form, body: body.clone(), unsent: None, turn: None, state: State::Waiting };
        for _ in 0..2 {
            replay.begin_attempt();
            let handed_on = [Some("lychgate-"), Some("kept-form"), Some(""), None].map(|piece| {
                let mut piece = piece.map(|text: &'static str| Bytes::from_static(text.as_bytes()));
                replay.put(&mut piece);
                piece
            });
            assert_eq!(handed_on, [Some(body.clone()), None, None, None]);
        }
    }
}
