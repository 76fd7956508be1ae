//! What `app` gives to [`super::SignIn`], and the absolute addresses built from it. A Host header never
//! enters one (`design.md` §4).

use super::SignIn;
use crate::assertion::Assertions;
use crate::domain::{Chance, ClientName, Clock, Host, Identity, UnixTime, return_to};
use crate::metrics::Metrics;
use crate::pages::Pages;
use crate::policy::PolicySet;
use crate::session::Sessions;
use crate::tokens::Providers;
use crate::vault::{Spool, Vault};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Where and for whom.
#[derive(Clone, Debug)]
pub struct SignInSettings {
    pub sign_in_host: Host,
    /// The port browsers reach the gate at. Corrected with [`SignIn::set_public_port`] once bound.
    pub public_port: u16,
    /// The registration for sign-ins that no site asked for.
    pub default_client: Option<ClientName>,
    /// By how much sessions may outlive their end while their provider is away.
    pub outage_grace: Duration,
}

/// Everything `signin` works with.
pub struct SignInParts {
    pub settings: SignInSettings,
    pub vault: Arc<Vault>,
    pub spool: Arc<Spool>,
    pub sessions: Arc<Sessions>,
    pub providers: Arc<Providers>,
    /// The policies in force; the same cell that a reload replaces.
    pub policies: Arc<ArcSwap<PolicySet>>,
    pub pages: Arc<Pages>,
    pub assertions: Arc<Assertions>,
    pub metrics: Arc<Metrics>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
}

/// Where all our own addresses live, on every host.
pub(super) const SIGN_IN: &str = "/.lychgate/sign-in";
pub(super) const START: &str = "/.lychgate/sign-in/start";
pub(super) const CONTINUE: &str = "/.lychgate/sign-in/continue";
pub(super) const TROUBLE: &str = "/.lychgate/sign-in/trouble";
pub(super) const CONFIRM: &str = "/.lychgate/sign-in/confirm";
pub(super) const CALLBACK: &str = "/.lychgate/callback/";
pub(super) const CONNECTED: &str = "/.lychgate/connected";
pub(super) const DENIED: &str = "/.lychgate/denied";
pub(super) const ACCOUNT: &str = "/.lychgate/account";
/// Where the form goes that ends sessions in other browsers.
pub(super) const ACCOUNT_SESSIONS: &str = "/.lychgate/account/sessions";
pub(super) const ACCOUNT_DATA: &str = "/.lychgate/account/data";
pub(super) const DISCONNECT: &str = "/.lychgate/account/disconnect";
pub(super) const SIGN_OUT: &str = "/.lychgate/sign-out";
pub(super) const SIGN_OUT_RETURN: &str = "/.lychgate/sign-out/return";
pub(super) const BACK_CHANNEL: &str = "/.lychgate/webhook/back-channel-logout/";
pub(super) const JWKS: &str = "/.lychgate/jwks.json";
pub(super) const ARRIVE: &str = "/.lychgate/arrive";
pub(super) const REPLAY: &str = "/.lychgate/replay";
pub(super) const ME: &str = "/.lychgate/me";
pub(super) const BADGE: &str = "/.lychgate/badge";

/// The redirect URI of a client registration, as `app` gives it to the provider and as it stands in
/// the registration at ORCID: one per client, pinned to its issuer (T42).
pub fn callback_url(sign_in_host: &Host, public_port: u16, client: &ClientName) -> String {
    format!("{}{CALLBACK}{client}", return_to::origin(sign_in_host, public_port))
}

/// Where a provider says that somebody signed out there: its `backchannel_logout_uri` of the client.
pub fn back_channel_url(sign_in_host: &Host, public_port: u16, client: &ClientName) -> String {
    format!("{}{BACK_CHANNEL}{client}", return_to::origin(sign_in_host, public_port))
}

/// Where a provider sends a browser back to after a sign-out: one of the client's
/// `post_logout_redirect_uris`.
pub fn sign_out_return_url(sign_in_host: &Host, public_port: u16) -> String {
    format!("{}{SIGN_OUT_RETURN}", return_to::origin(sign_in_host, public_port))
}

impl SignIn {
    /// When the session of somebody who is signed in now ends at the latest.
    pub(super) fn end_of(&self, identity: &Identity) -> UnixTime {
        identity.ends(self.clock.now(), self.settings.outage_grace)
    }

    /// The gate was bound to port 0: this is the port it got.
    pub fn set_public_port(&self, port: u16) {
        self.public_port.store(port, Ordering::Relaxed);
    }

    pub(super) fn port(&self) -> u16 {
        self.public_port.load(Ordering::Relaxed)
    }

    /// `https://host[:port]` of a host of ours.
    pub(super) fn origin(&self, host: &Host) -> String {
        return_to::origin(host, self.port())
    }

    /// The origin of the sign-in host.
    pub(super) fn home(&self) -> String {
        self.origin(&self.settings.sign_in_host)
    }
}
