//! Who somebody is, once verified: [`Subject`] and [`Identity`]. Policies decide on it, hand-off
//! writes it.

use super::{ClientName, Environment, OrcidId, ScopeSet, UnixTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The stable identifier of a person at a provider. At ORCID always an iD; a provider of environment
/// `other` may use anything else if the configuration says so explicitly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    Orcid(OrcidId),
    /// 1 to 255 printable ASCII characters (OpenID Connect Core §2, `sub`).
    Foreign(String),
}

impl Subject {
    pub fn as_str(&self) -> &str {
        match self {
            Subject::Orcid(id) => id.as_str(),
            Subject::Foreign(text) => text,
        }
    }

    pub fn orcid(&self) -> Option<OrcidId> {
        match self {
            Subject::Orcid(id) => Some(*id),
            Subject::Foreign(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the provider said about a second factor. ORCID tells member clients only, and says that it
/// is *enabled*, not that it was used (`orcid.md` §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mfa {
    Enabled,
    PasswordOnly,
    Unknown,
}

/// Why the provider no longer stands behind a connection (`orcid.md` §5.3, §8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Broken {
    /// It no longer takes the connection's tokens: the person took the permission back.
    Withdrawn,
    /// The record was replaced by another of the same person, which is shown and never followed: who they
    /// are now, a new sign-in must say.
    Deprecated {
        primary: Option<OrcidId>,
    },
    Locked,
    Deactivated,
    /// It refuses to renew the tokens, or said something untrue when asked to (T61). At providers that are no ORCID.
    NotRenewed,
}

impl Broken {
    /// A short stable word for logs and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Broken::Withdrawn => "withdrawn",
            Broken::Deprecated { .. } => "deprecated",
            Broken::Locked => "locked",
            Broken::Deactivated => "deactivated",
            Broken::NotRenewed => "not-renewed",
        }
    }

    /// Whether nobody vouches for the person any more: the record is gone or shut, or the provider says no. Who is
    /// signed in so is signed out; who only took a permission back is still who they were.
    pub fn ends_sessions(self) -> bool {
        self != Broken::Withdrawn
    }
}

/// A verified visitor, as policies and hand-off see one: session and connection put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub subject: Subject,
    pub environment: Environment,
    pub client: ClientName,
    /// The public display name, if there is one (`orcid.md` §3.2).
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    /// The union of what the connection's live token pairs hold.
    pub scopes: ScopeSet,
    /// When the gate verified this person (the provider's own `auth_time` is not to be trusted, `orcid.md` §11 quirk 9).
    pub signed_in_at: UnixTime,
    /// When the person last really signed in at the provider on our demand; None when unknown.
    pub proven_at: Option<UnixTime>,
    pub mfa: Mfa,
    /// When the session ends at the latest, outages of the provider aside: [`Identity::ends`].
    pub session_expires: UnixTime,
    /// The provider no longer stands behind the connection; until the next sign-in.
    pub broken: Option<Broken>,
}

impl Identity {
    /// The record's address; a foreign subject has none.
    pub fn uri(&self) -> Option<String> {
        self.subject.orcid().map(|id| id.uri(self.environment.record_base()))
    }

    /// When the session of somebody who is signed in at `now` ends at the latest. One that is past its end lives on
    /// because its provider is away, and no longer than `grace` (`sessions.outage_grace`).
    pub fn ends(&self, now: UnixTime, grace: Duration) -> UnixTime {
        if now < self.session_expires { self.session_expires } else { self.session_expires.plus(grace) }
    }
}
