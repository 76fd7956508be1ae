//! Sessions in hand and on disk. On disk a session lies under its hashed key, sealed under its
//! researcher's data key: a stolen copy shows neither cookies nor people.

use super::{ConnectionKey, connections::Connection, life::Life};
use crate::domain::{Host, Identity, SiteName, UnixTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

pub(super) const WHAT: &str = "a session";

/// SHA-256 of the random part of a session cookie. The cookie itself is never stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HashedSessionKey(pub [u8; 32]);

impl fmt::Debug for HashedSessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "HashedSessionKey({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// Where a session is valid. Sessions form a tree: ending the root ends the children.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionKind {
    /// On the sign-in host.
    Root,
    /// On one host of one site.
    Site { site: SiteName, host: Host, root: HashedSessionKey },
}

/// A browser's signed-in state at one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub key: HashedSessionKey,
    pub kind: SessionKind,
    pub connection: ConnectionKey,
    pub created: UnixTime,
    /// When the person came back from ORCID; of a site session: its root's.
    pub signed_in_at: UnixTime,
    /// When they last signed in there because we demanded it; of a site session: its root's.
    pub proven_at: Option<UnixTime>,
    /// The absolute limit; it may end earlier by idleness.
    pub expires: UnixTime,
    /// How the browser described itself, at most 120 characters.
    pub agent: String,
}

/// A session with the person behind it.
#[derive(Clone, Debug)]
pub struct LiveSession {
    pub session: Arc<Session>,
    pub identity: Arc<Identity>,
}

impl LiveSession {
    pub(super) fn new(session: Session, connection: Connection) -> Self {
        let identity = Identity {
            subject: connection.key.subject,
            environment: connection.key.environment,
            client: connection.key.client,
            name: connection.name,
            given_name: connection.given_name,
            family_name: connection.family_name,
            scopes: connection.scopes,
            signed_in_at: session.signed_in_at,
            proven_at: session.proven_at,
            mfa: connection.mfa,
            session_expires: session.expires,
            broken: connection.trouble,
        };
        Self { session: Arc::new(session), identity: Arc::new(identity) }
    }
}

/// A session as it lies on disk, inside its seal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SessionRecord {
    pub(super) kind: SessionKind,
    pub(super) connection: ConnectionKey,
    pub(super) created: UnixTime,
    pub(super) signed_in_at: UnixTime,
    pub(super) proven_at: Option<UnixTime>,
    pub(super) expires: UnixTime,
    pub(super) agent: String,
    pub(super) life: Life,
}

impl SessionRecord {
    pub(super) fn in_hand(self, key: HashedSessionKey) -> Session {
        let SessionRecord { kind, connection, created, signed_in_at, proven_at, expires, agent, life: _ } = self;
        Session { key, kind, connection, created, signed_in_at, proven_at, expires, agent }
    }

    pub(super) fn of(session: &Session, life: Life) -> Self {
        let Session { key: _, kind, connection, created, signed_in_at, proven_at, expires, agent } = session.clone();
        Self { kind, connection, created, signed_in_at, proven_at, expires, agent, life }
    }
}
