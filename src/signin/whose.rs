//! Whose a session was, after it has ended: a sealed cookie that a site session gets as its companion. The store
//! forgets ended sessions, and a form kept for one must come back to the same researcher alone (J4). Set by `arrive`,
//! read by `kept`.

use super::sealed::{self, Kind};
use super::{OwnRequest, SignIn};
use crate::domain::Host;
use crate::session::cookie;
use crate::vault::{ConnectionKey, HashedSessionKey, LiveSession};
use http::HeaderValue;
use serde::{Deserialize, Serialize};

/// On a site host, beside the session cookie.
pub(super) const WHOSE_COOKIE: &str = "__Host-Http-lychgate-whose";

/// A keyed hash of a connection: equal for the same iD, environment and registration, and says nothing else.
pub(super) type Person = [u8; 16];

#[derive(Serialize, Deserialize)]
struct Whose {
    session: HashedSessionKey,
    person: Person,
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
        let whose = Whose { session: live.session.key, person: self.person(&live.session.connection) };
        let text = sealed::seal(&self.arrivals, Kind::Whose, host.as_str(), &whose);
        cookie::set(WHOSE_COOKIE, &text, None)
    }

    /// Whose the session is that the browser shows, if it shows an authentic one: a live one says so itself, for an
    /// ended one its companion does. A companion of another session says nothing.
    pub(super) fn whose(&self, request: &OwnRequest, live: Option<&LiveSession>) -> Option<(HashedSessionKey, Person)> {
        let session = self.sessions.authentic(request.cookies())?;
        if let Some(live) = live.filter(|live| live.session.key == session) {
            return Some((session, self.person(&live.session.connection)));
        }
        let text = std::str::from_utf8(cookie::only(WHOSE_COOKIE, request.cookies())?).ok()?;
        let whose: Whose = sealed::open(&self.arrivals, Kind::Whose, request.host.as_str(), text)?;
        (whose.session == session).then_some((session, whose.person))
    }
}
