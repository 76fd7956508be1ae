//! Sessions in hand and on disk. On disk a session lies under its hashed key, sealed under its
//! researcher's data key: a stolen copy shows neither cookies nor people.

use super::{
    ConnectionKey,
    connections::Connection,
    life::{Life, Measure},
};
use crate::domain::{Host, Identity, SiteName, UnixTime};
use serde::{Deserialize, Deserializer, Serialize};
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

impl SessionKind {
    /// Whether one browser can hold only one of the two.
    pub(super) fn is_same_door(&self, other: &SessionKind) -> bool {
        match (self, other) {
            (SessionKind::Root, SessionKind::Root) => true,
            (SessionKind::Site { host, .. }, SessionKind::Site { host: there, .. }) => host == there,
            _ => false,
        }
    }
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
    /// Roughly where it was when the person signed in: the network, never the address.
    pub place: Option<String>,
}

/// A session in a list of a person's sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSession {
    pub session: Session,
    /// At most a minute before the truth.
    pub last_used: UnixTime,
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
    #[serde(deserialize_with = "or_absent")]
    pub(super) place: Option<String>,
}

/// A field that older rows lack: they end before it. What could be cut off otherwise, the seal has refused.
fn or_absent<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Ok(T::deserialize(from).unwrap_or_default())
}

impl SessionRecord {
    pub(super) fn lives(&self, measure: Measure<'_>) -> bool {
        measure.used(self.life, &self.connection.client).is_some()
    }

    pub(super) fn in_hand(self, key: HashedSessionKey) -> Session {
        let SessionRecord { kind, connection, created, signed_in_at, proven_at, expires, agent, life: _, place } = self;
        Session { key, kind, connection, created, signed_in_at, proven_at, expires, agent, place }
    }

    pub(super) fn of(session: &Session, life: Life) -> Self {
        let Session { key: _, kind, connection, created, signed_in_at, proven_at, expires, agent, place } =
            session.clone();
        Self { kind, connection, created, signed_in_at, proven_at, expires, agent, life, place }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Environment, Subject};
    use crate::vault::seal;

    /// A row as the first releases wrote it, before sessions knew their place.
    const WITHOUT_PLACE: &str = "010477696b690c77696b692e6578616d706c65070707070707070707070707070707070707070707070707\
        070707070707070700046d61696e0013303030302d303030322d313832352d3030393780ee89ab0d82ee89ab0d0184ee89ab0d80b494\
        ab0d09412062726f7773657280b494ab0df8ee89ab0d";
    const LATER: &str = "010477696b690c77696b692e6578616d706c65070707070707070707070707070707070707070707070707\
        070707070707070700046d61696e0013303030302d303030322d313832352d3030393780ee89ab0d82ee89ab0d0184ee89ab0d80b494\
        ab0d09412062726f7773657280b494ab0df8ee89ab0d010c3139322e302e322e302f3234";

    fn record(place: Option<&str>) -> SessionRecord {
        SessionRecord {
            kind: SessionKind::Site {
                site: "wiki".parse().unwrap(),
                host: "wiki.example".parse().unwrap(),
                root: HashedSessionKey([7; 32]),
            },
            connection: ConnectionKey {
                environment: Environment::Production,
                client: "main".parse().unwrap(),
                subject: Subject::Orcid("0000-0002-1825-0097".parse().unwrap()),
            },
            created: UnixTime(1_790_000_000),
            signed_in_at: UnixTime(1_790_000_001),
            proven_at: Some(UnixTime(1_790_000_002)),
            expires: UnixTime(1_790_086_400),
            agent: "A browser".to_owned(),
            life: Life { over: UnixTime(1_790_086_400), used: UnixTime(1_790_000_060) },
            place: place.map(str::to_owned),
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn rows_of_every_layout_are_read_as_they_were_meant() {
        for (written, place) in [(WITHOUT_PLACE, None), (LATER, Some("192.0.2.0/24"))] {
            let read: SessionRecord = seal::decode(WHAT, &bytes(written)).unwrap();
            let meant = record(place);
            assert_eq!(format!("{read:?}"), format!("{meant:?}"));
        }
        assert_eq!(bytes(LATER), *seal::encode(&record(Some("192.0.2.0/24"))), "the layout has changed");
        // A row that ends anywhere else is no row.
        let cut = &bytes(WITHOUT_PLACE)[..90];
        assert!(seal::decode::<SessionRecord>(WHAT, cut).is_err());
    }
}
