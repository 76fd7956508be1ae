//! [`Settings`]: the configuration as needed, parsed and checked. `app` hands each floor its own part;
//! nothing below takes the whole.

use super::secrets;
use crate::domain::{ClientName, ClientSecret, Environment, Host, Membership, Problem, Scope, ScopeSet};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything. Paths are resolved against the folder of the configuration file.
#[derive(Clone, Debug)]
pub struct Settings {
    pub gate: GateSettings,
    pub tls: TlsSettings,
    pub ops: OpsSettings,
    pub admin: AdminSettings,
    pub state: StateSettings,
    pub vault: VaultKeySettings,
    pub sessions: SessionSettings,
    pub watch: WatchSettings,
    pub forms: FormSettings,
    pub policies: PolicySettings,
    pub pages: PageSettings,
    pub organisation: OrganisationSettings,
    pub assertion: AssertionSettings,
    pub log: LogSettings,
    /// Never empty.
    pub clients: BTreeMap<ClientName, ClientSettings>,
    /// The client of sites that name none.
    pub default_client: Option<ClientName>,
    pub(super) effective: Vec<Effective>,
}

impl Settings {
    /// Every key with its value and where that came from, secrets masked; for `check --effective`.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// Whether the clients are registered at the bundled stand-in; they never mix with others.
    pub fn simulated(&self) -> bool {
        self.clients.values().any(|client| client.environment == Environment::Simulator)
    }
}

/// One line of `check --effective`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    pub key: String,
    /// As written; `(hidden)` for secrets, `(not set)` for what may be left out.
    pub value: String,
    /// `FILE:LINE`, a variable's name, `command line` or `default`.
    pub source: String,
}

#[derive(Clone, Debug)]
pub struct GateSettings {
    pub listen: SocketAddr,
    /// Plain HTTP, for redirects alone.
    pub http_listen: Option<SocketAddr>,
    pub sign_in_host: Host,
    /// The port visitors see, where it is not the one listened on.
    pub public_port: Option<u16>,
    /// `None`: one for each core.
    pub threads: Option<usize>,
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub handshake_timeout: Duration,
    pub head_timeout: Duration,
    pub keepalive_timeout: Duration,
    /// Largest request head in bytes.
    pub head_bytes: usize,
    /// How long requests under way may take to finish when the gate closes.
    pub drain: Duration,
}

#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Never empty.
    pub certificates: Vec<CertificateFiles>,
    pub minimum: TlsVersion,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

#[derive(Clone, Debug)]
pub struct OpsSettings {
    pub listen: SocketAddr,
}

#[derive(Clone, Debug)]
pub struct AdminSettings {
    pub socket: PathBuf,
}

#[derive(Clone, Debug)]
pub struct StateSettings {
    pub directory: PathBuf,
}

#[derive(Clone, Debug)]
pub struct VaultKeySettings {
    pub key_file: PathBuf,
}

#[derive(Clone, Debug)]
pub struct SessionSettings {
    pub idle: Duration,
    pub absolute: Duration,
    /// How much longer than `absolute` a session may live while its provider cannot be reached; zero: not at all.
    pub outage_grace: Duration,
}

/// The look at all connections for what was taken back at ORCID.
#[derive(Clone, Copy, Debug)]
pub struct WatchSettings {
    /// Zero: never.
    pub every: Duration,
    /// Questions a second, for each client.
    pub rate: u32,
}

/// How much of what people posted is kept over a sign-in, and for how long.
#[derive(Clone, Debug)]
pub struct FormSettings {
    /// Bytes of one form, files included.
    pub body: u64,
    pub per_browser: usize,
    /// Bytes from one address.
    pub per_address: u64,
    /// Bytes altogether.
    pub total: u64,
    pub lifetime: Duration,
}

#[derive(Clone, Debug)]
pub struct PolicySettings {
    pub directory: PathBuf,
}

#[derive(Clone, Debug)]
pub struct PageSettings {
    pub templates: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub struct OrganisationSettings {
    pub name: String,
    pub about: Option<String>,
    /// A mail address or an https address.
    pub contact: Option<String>,
    /// An https address.
    pub privacy: Option<String>,
}

#[derive(Clone, Debug)]
pub struct AssertionSettings {
    /// At most five minutes.
    pub lifetime: Duration,
    pub rotate_every: Duration,
}

#[derive(Clone, Debug)]
pub struct LogSettings {
    pub level: LogLevel,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(super) const WORDS: &'static [(&'static str, LogLevel)] = &[
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];

    /// As the configuration and log filters spell it.
    pub fn as_str(self) -> &'static str {
        LogLevel::WORDS.iter().find(|(_, level)| *level == self).map_or("info", |(word, _)| word)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// One registration at a provider, `[clients.NAME]`.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    pub name: ClientName,
    /// What people call it, where a site offers several.
    pub title: Option<String>,
    pub environment: Environment,
    pub membership: Membership,
    pub id: String,
    pub secret: ClientSecret,
    /// The file it was read from, if it was `secret_file`; see [`ClientSettings::read_secret_again`].
    pub secret_file: Option<PathBuf>,
    /// Fixed for ORCID's own environments.
    pub issuer: String,
    pub base_scope: Scope,
    pub authentication: ClientAuthentication,
    /// Never empty.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Subjects that are no ORCID iDs are taken; environment `other` alone.
    pub foreign_subjects: bool,
    /// The claim that holds the iD, where that is not `sub`; environment `other` alone.
    pub subject_claim: Option<String>,
    /// Asked for at every sign-in besides the base scope; environment `other` alone.
    pub extra_scopes: ScopeSet,
    /// Whether people who sign out are shown the provider's own sign-out.
    pub offer_sign_out: bool,
    /// Whether ORCID shows its sign-in first, rather than its registration.
    pub show_login: bool,
    /// Whether the tokens of people signed in are renewed now and then; environment `other` alone.
    pub renew: bool,
    pub userinfo: bool,
    pub ca_file: Option<PathBuf>,
    /// For a TCP connection to the provider.
    pub connect_timeout: Duration,
    /// For one whole exchange with it.
    pub timeout: Duration,
}

impl ClientSettings {
    /// The secret as its file holds it now; `None` where it came from no `secret_file`. Refuses what a start would
    /// refuse: a file that others can read, or that does not hold one secret in one line (T90).
    pub fn read_secret_again(&self) -> Result<Option<ClientSecret>, Problem> {
        let Some(path) = &self.secret_file else { return Ok(None) };
        let read = secrets::read(path).map_err(|problem| *problem);
        let guarded = read.and_then(|secret| secrets::too_open(path).map_or(Ok(Some(secret)), Err));
        guarded.map_err(|problem| problem.file(path).key(format!("clients.{}.secret_file", self.name)))
    }
}

/// How the client proves itself at the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// What the provider's metadata offers.
    Auto,
    Post,
    Basic,
}

/// Algorithms an id_token may be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Es256,
}
