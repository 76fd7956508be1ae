//! Whose a session was, after it has ended: a sealed cookie that a site session gets as its companion. The store
//! forgets ended sessions, and a form kept for one must come back to the same researcher alone (J4). Set by `arrive`,
//! read by `kept`. A session that its person left says nothing about who is there now.

use super::sealed::{self, Kind};
use super::{OwnRequest, SignIn};
use crate::domain::{Host, UnixTime};
use crate::session::cookie;
use crate::vault::{AFTERLIFE, ConnectionKey, HashedSessionKey, LiveSession, SessionKind, VaultFault};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// On a site host, beside the session cookie.
pub(super) const WHOSE_COOKIE: &str = "__Host-Http-lychgate-whose";

/// A keyed hash of a connection: equal for the same iD, environment and registration, and says nothing else.
pub(super) type Person = [u8; 16];

#[derive(Serialize, Deserialize)]
struct Whose {
    session: HashedSessionKey,
    root: HashedSessionKey,
    person: Person,
    /// From then on the vault no longer knows whether the session was left, and this says nothing.
    until: UnixTime,
}

/// A session that has ended, by its time or otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    session: HashedSessionKey,
    root: HashedSessionKey,
}

/// Who sends something, by the session that the browser shows.
pub(super) struct Sent {
    pub(super) browser: HashedSessionKey,
    pub(super) person: Person,
    /// The session, unless it lives.
    pub(super) ended: Option<Ended>,
}

impl SignIn {
    pub(super) fn person(&self, connection: &ConnectionKey) -> Person {
        let key = postcard::to_stdvec(connection).expect("our own small structs always serialise");
        let mut person = Person::default();
        person.copy_from_slice(&self.people.mac(&key)[..16]);
        person
    }

    /// The companion of a session that begins on `host`.
    pub(super) fn whose_cookie(&self, host: &Host, live: &LiveSession) -> HeaderValue {
        let root = match &live.session.kind {
            SessionKind::Site { root, .. } => *root,
            SessionKind::Root => live.session.key,
        };
        let person = self.person(&live.session.connection);
        let whose = Whose { session: live.session.key, root, person, until: live.session.expires.plus(AFTERLIFE) };
        let text = sealed::seal(&self.arrivals, Kind::Whose, host.as_str(), &whose);
        cookie::set(WHOSE_COOKIE, &text, None)
    }

    /// Whose the session is that the browser shows, if it shows an authentic one: a live one says so itself, for an
    /// ended one its companion does. A companion of another session says nothing.
    pub(super) fn whose(&self, request: &OwnRequest, live: Option<&LiveSession>) -> Option<Sent> {
        let session = self.sessions.authentic(request.cookies())?;
        if let Some(live) = live.filter(|live| live.session.key == session) {
            let person = self.person(&live.session.connection);
            return Some(Sent { browser: session, person, ended: None });
        }
        let text = std::str::from_utf8(cookie::only(WHOSE_COOKIE, request.cookies())?).ok()?;
        let whose: Whose = sealed::open(&self.arrivals, Kind::Whose, request.host.as_str(), text)?;
        let Whose { root, person, .. } = whose;
        let good = whose.session == session && self.clock.now() < whose.until;
        good.then_some(Sent { browser: session, person, ended: Some(Ended { session, root }) })
    }

    /// Whether the person of an ended session left it: whoever uses the browser since is somebody else, as far as
    /// anybody can know.
    pub async fn was_left(&self, ended: Ended) -> Result<bool, VaultFault> {
        self.vault.was_left(&ended.session, &ended.root).await
    }
}
