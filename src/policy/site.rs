//! [`Site`]: a protected application as checked, ready for use. Made by `compile`, read by `proxy`,
//! `signin`, `pages` and the verbs.

use super::authority::AppAuthority;
use super::cases::Case;
use super::handoff::HandOff;
use super::hint_key::HintKey;
use super::path::PathSwitches;
use super::rules::Rule;
use crate::domain::{ClientName, Environment, Host, SiteName};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A protected application: name, hosts, upstreams, rules.
#[derive(Debug)]
pub struct Site {
    pub name: SiteName,
    /// For people; the name when the file gives none.
    pub title: String,
    /// Never empty; the first is the main one.
    pub hosts: Vec<Host>,
    pub kind: SiteKind,
    /// The registrations whose researchers this site knows. Never empty; the first is asked where nobody
    /// chooses.
    pub clients: Vec<ClientName>,
    /// Of the first registration.
    pub environment: Environment,
    pub sign_in: SignInStyle,
    /// On shared computers: whoever signs in confirms name and iD before the connection is kept.
    pub confirm: bool,
    pub hand_off: HandOff,
    pub switches: PathSwitches,
    pub limits: SiteLimits,
    pub host_header: HostHeader,
    /// A form posted just when a sign-in is needed is kept until afterwards.
    pub keep_forms: bool,
    /// App answers on `signed-in` and `optional` rules are made `private`.
    pub private_cache: bool,
    pub hsts: bool,
    pub websocket: bool,
    /// How long a WebSocket outlives a session that ended by time alone; zero: it ends with it.
    pub websocket_grace: Duration,
    pub authorization: AuthorizationHeader,
    /// What stands behind the `#` of an address survives a sign-in.
    pub fragments: bool,
    /// Whose iDs the site's pages may show as proven.
    pub badge: BadgeReach,
    /// Origins whose scripts may ask, `https://host[:port]`, lower-case.
    pub cors_origins: Vec<String>,
    pub about: Option<String>,
    /// Verifies what the app says of people it sends to sign in.
    pub hint_key: Option<HintKey>,
    pub contact: Option<String>,
    pub rules: Vec<Rule>,
    pub cases: Vec<Case>,
    pub file: PathBuf,
}

/// What stands behind the gate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// Nothing: the gate itself shows the connection portal.
    Portal,
    /// An application at one or more addresses, never none.
    App { upstreams: Vec<Upstream> },
}

/// Where an app is reached. Connecting demands an `Admission`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    Http {
        host: Host,
        port: u16,
    },
    /// `host` is the name the certificate is verified for; never an IP address unless verification
    /// was given up in so many words.
    Https {
        host: Host,
        port: u16,
        /// Instead of the system's.
        authority: Option<Arc<AppAuthority>>,
        insecure_skip_verify: bool,
    },
    Unix {
        path: PathBuf,
    },
}

impl fmt::Display for Upstream {
    /// As the policy file spells it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Upstream::Http { host, port } => write!(f, "http://{host}:{port}"),
            Upstream::Https { host, port, .. } => write!(f, "https://{host}:{port}"),
            Upstream::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Whether a visitor who has to sign in sees our page first or goes to ORCID at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInStyle {
    Page,
    Direct,
}

/// Whose iD `/.lychgate/badge` shows as authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadgeReach {
    /// The visitor's own.
    Own,
    /// Everybody's who is connected: whoever can read the site's pages then learns who is.
    Connected,
}

/// The `Host` header the app receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The visitor's, unchanged.
    Pass,
    /// The upstream's own name.
    Upstream,
    /// This one, a host with perhaps a port.
    Name(String),
}

/// What happens to a visitor's own `Authorization` header (T19).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationHeader {
    Strip,
    Pass,
}

/// Limits towards the app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteLimits {
    pub connect: Duration,
    /// How long the first byte of an answer may take; `None` waits as long as it takes.
    pub first_byte: Option<Duration>,
    /// How long an established exchange may stay silent; `None` for ever.
    pub idle: Option<Duration>,
    /// The largest request body in bytes; `None` without limit.
    pub body: Option<u64>,
}

impl Default for SiteLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), first_byte: Some(Duration::from_secs(60)), idle: None, body: None }
    }
}

impl Site {
    /// The main host.
    pub fn main_host(&self) -> &Host {
        self.hosts.first().expect("a site without hosts is refused when its file is read")
    }

    /// The registration that is asked where nobody chooses.
    pub fn client(&self) -> &ClientName {
        &self.clients[0]
    }

    /// Whether somebody verified through `client` is known here.
    pub fn knows(&self, client: &ClientName) -> bool {
        self.clients.contains(client)
    }

    pub fn is_portal(&self) -> bool {
        self.kind == SiteKind::Portal
    }
}
