//! [`ProviderSettings`]: one client registration at one provider, as `app` translates it from the
//! configuration. Checked once, in [`super::Provider::new`].

use super::OrcidTrouble;
use super::http_client::is_loopback_http;
use crate::domain::{ClientName, ClientSecret, Environment, Membership, Scope, ScopeSet};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// How the client proves itself at the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// By the provider's metadata. At an ORCID in the form, its documented way, where that is listed or
    /// nothing is (`orcid.md` §3.4). Elsewhere HTTP Basic where that is listed or nothing is: every
    /// provider must take it (RFC 6749 §2.3.1), and it is what a registration means that does not say
    /// (OpenID Connect Registration §2).
    #[default]
    Auto,
    /// `client_secret_post`.
    Post,
    /// `client_secret_basic`.
    Basic,
}

/// The signature algorithms an ID token may use. There is no `none` and no HMAC to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Rs256,
    Es256,
}

impl SigningAlgorithm {
    /// The `alg` value (RFC 7518 §3.1).
    pub fn as_str(self) -> &'static str {
        match self {
            SigningAlgorithm::Rs256 => "RS256",
            SigningAlgorithm::Es256 => "ES256",
        }
    }
}

/// How long to wait and how much to read.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For a TCP connection.
    pub connect: Duration,
    /// For one whole exchange: name, connection, TLS, request, answer to its last byte.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(10) }
    }
}

/// One client registration at one provider.
#[derive(Clone, Debug)]
pub struct ProviderSettings {
    pub name: ClientName,
    /// What people call it, where several are offered.
    pub title: Option<String>,
    pub environment: Environment,
    pub membership: Membership,
    pub client_id: String,
    pub client_secret: ClientSecret,
    /// Without a trailing slash at ORCID; compared byte for byte.
    pub issuer: String,
    pub authentication: ClientAuthentication,
    /// Never empty; RS256 alone at ORCID (`orcid.md` §1.2).
    pub algorithms: Vec<SigningAlgorithm>,
    /// The full registered callback address (`orcid.md` §2.2).
    pub redirect_uri: String,
    /// `openid`, or `/authenticate` at an ORCID.
    pub base_scope: Scope,
    /// Environment `other` only: subjects are opaque texts, not iDs.
    pub foreign_subjects: bool,
    /// Environment `other` only: the claim of the ID token that holds the iD, where that is not `sub`.
    pub subject_claim: Option<String>,
    /// Environment `other` only: asked for at every sign-in besides the base scope, such as `profile`.
    pub extra_scopes: ScopeSet,
    /// Environment `other` only: people who sign out here are shown the way to sign out there too, if
    /// the provider has one.
    pub offer_sign_out: bool,
    /// ORCID shows its sign-in first; with `false` it shows people who are not signed in there its
    /// registration (`orcid.md` §2.1).
    pub show_login: bool,
    /// Environment `other` only: the tokens of whoever is signed in are renewed now and then, and whom the provider
    /// refuses that is signed out.
    pub renew: bool,
    /// Also ask the userinfo endpoint at each sign-in.
    pub userinfo: bool,
    /// Where discovery and keys are kept between starts; mode 0600.
    pub cache_file: Option<PathBuf>,
    /// PEM certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How far clocks may disagree.
    pub leeway: Duration,
    pub timeouts: Timeouts,
}

impl ProviderSettings {
    /// How long a whole sign-in may take at the provider: documents, token, keys and userinfo, each of which may
    /// take [`Timeouts::total`] alone. A person waits.
    pub fn exchange_limit(&self) -> Duration {
        self.timeouts.total * 2
    }

    /// The issuer of ORCID's own environments (`orcid.md` §1.1); `None` where the configuration names it.
    pub fn known_issuer(environment: Environment) -> Option<&'static str> {
        match environment {
            Environment::Production => Some("https://orcid.org"),
            Environment::Sandbox => Some("https://sandbox.orcid.org"),
            Environment::Simulator | Environment::Other => None,
        }
    }

    /// Where the API for this client's tokens is, without a trailing slash (`orcid.md` §1.1): the member API refuses
    /// a public client as it refuses a dead token. `None` where people have no records.
    pub(super) fn record_api(&self) -> Option<&str> {
        match (self.environment, self.membership) {
            (Environment::Production, Membership::Member) => Some("https://api.orcid.org"),
            (Environment::Production, Membership::Public) => Some("https://pub.orcid.org"),
            (Environment::Sandbox, Membership::Member) => Some("https://api.sandbox.orcid.org"),
            (Environment::Sandbox, Membership::Public) => Some("https://pub.sandbox.orcid.org"),
            // One address for both: what answers depends on the token.
            (Environment::Simulator, _) => Some(&self.issuer),
            (Environment::Other, _) => None,
        }
    }

    /// Whether the provider is an ORCID, real or simulated: its quirks are expected, its rules apply.
    pub(super) fn is_orcid(&self) -> bool {
        self.environment != Environment::Other
    }

    /// What is really sent for `asked`: base and extra scopes always, and never `openid` and `/authenticate`
    /// together (`orcid.md` §4.3). The same for the same question, or ORCID would ask for consent
    /// again (`orcid.md` §2.1).
    pub(super) fn scopes_to_send(&self, asked: &ScopeSet) -> ScopeSet {
        let mut wanted = asked.union(&self.extra_scopes);
        wanted.insert(self.base_scope.clone());
        if wanted.contains(&Scope::openid()) {
            return wanted.iter().filter(|scope| **scope != Scope::authenticate()).cloned().collect();
        }
        wanted
    }

    /// Everything that can be known to be wrong before the first request.
    pub(super) fn check(&self) -> Result<(), OrcidTrouble> {
        let wrong = |why: String| Err(OrcidTrouble::Setup(format!("client `{}`: {why}", self.name)));
        if let Some(known) = Self::known_issuer(self.environment)
            && self.issuer != known
        {
            return wrong(format!("the issuer of environment {} is {known}", self.environment));
        }
        if let Err(why) = check_issuer(&self.issuer) {
            return wrong(why.to_owned());
        }
        if self.client_id.is_empty() || self.client_id.len() > 255 || !self.client_id.bytes().all(is_visible) {
            return wrong("the client id must be 1 to 255 printable ASCII characters".to_owned());
        }
        if self.client_secret.expose().is_empty() {
            return wrong("the client secret is empty".to_owned());
        }
        match Url::parse(&self.redirect_uri) {
            Ok(uri) if matches!(uri.scheme(), "https" | "http") && uri.fragment().is_none() => {}
            _ => return wrong("the redirect URI is not an absolute https address without fragment".to_owned()),
        }
        if self.algorithms.is_empty() {
            return wrong("no signature algorithm is allowed".to_owned());
        }
        if self.is_orcid() && self.algorithms.iter().any(|algorithm| *algorithm != SigningAlgorithm::Rs256) {
            return wrong("ORCID signs with RS256 only".to_owned());
        }
        if self.is_orcid() && (self.foreign_subjects || self.subject_claim.is_some() || !self.extra_scopes.is_empty()) {
            return wrong("foreign subjects, a subject claim and extra scopes are for environment other".to_owned());
        }
        if self.foreign_subjects && self.subject_claim.is_some() {
            return wrong("a claim that holds the iD leaves no room for foreign subjects".to_owned());
        }
        let base_fits =
            self.base_scope == Scope::openid() || self.is_orcid() && self.base_scope == Scope::authenticate();
        if !base_fits {
            return wrong("the base scope must be openid (or /authenticate at ORCID)".to_owned());
        }
        Ok(())
    }
}

fn is_visible(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// An issuer is an https address without query and fragment (OpenID Connect Discovery §3); plain http
/// is for a provider on this very machine.
fn check_issuer(issuer: &str) -> Result<(), &'static str> {
    let url = Url::parse(issuer).map_err(|_| "the issuer is not an address")?;
    if url.scheme() != "https" && !is_loopback_http(&url) {
        return Err("the issuer must be https (plain http only on loopback)");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err("the issuer carries a query, a fragment or user information");
    }
    Ok(())
}
