//! The offline stand-in for orcid.org, as orcid.org is in 2026 (`orcid.md`): OpenID Connect, sign-in and
//! consent pages, trusted organisations, for seeded people only. Used by `cli` (`simulator`, `demo`) and tests.
//!
//! It imports `domain` and nothing else of ours: it shares no verification code with `orcid/`, so that one
//! mistake cannot hide on both sides. Everything lives in memory and is bounded. It binds loopback only.
//!
//! `server` owns the sockets and hands whole requests ([`visit`]) to `route`, which calls one endpoint:
//! `consent` (on `authorize` and `response`), `sign_in` (with `second_factor` and `register`), `trusted`, `token`
//! (on `client_auth`, `grant_answer`, `refusal` and `id_token`), `userinfo`, `discovery`, `api`. They share
//! `world`: people with their `record`s, clients, sessions, and the `ledger` of codes and tokens. How it all behaves, and what it
//! lies about, is in `switches`, `manners` and `lies`; `control` changes that from outside.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! # use lychgate::simulator::{Simulator, SimulatorSettings, default_clients};
//! let clients = default_clients(&["https://gate.localhost:8443/.lychgate/callback/orcid"]);
//! let simulator = Simulator::start(SimulatorSettings::on_loopback(clients)).await?;
//! println!("open {}", simulator.base_url);
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod api;
mod authorize;
mod browser;
mod calendar;
mod calls;
mod client_auth;
mod clients;
mod consent;
mod control;
mod discovery;
mod face;
mod grant_answer;
mod handle;
mod id_token;
mod keys;
mod ledger;
mod lies;
mod manners;
mod outage;
mod pages;
pub mod people;
mod random;
mod record;
mod redirect;
mod refusal;
mod register;
mod response;
mod route;
mod scopes;
mod second_factor;
mod server;
mod sessions;
mod sign_in;
mod switches;
mod token;
mod trusted;
mod userinfo;
mod visit;
mod world;

#[cfg(test)]
mod tests;

pub use calls::Call;
pub use clients::{ClientState, MEMBER_CLIENT, PUBLIC_CLIENT, SimulatedClient, clients_from_toml, default_clients};
pub use handle::{ApiAddress, ControlAddress, SimulatorHandle};
pub use keys::SigningKeyPem;
pub use lies::{Lie, Verdict, all as lies};
pub use outage::Outage;
pub use people::{AccountState, NameVisibility, Person, seeded};
pub use sessions::SESSION_COOKIE;
pub use switches::{SwitchView, Switches};

use crate::domain::{Chance, Clock, SystemChance, SystemClock};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// What a simulator is started with.
pub struct SimulatorSettings {
    /// A loopback address; port 0 picks a free one. Any other address is refused.
    pub listen: SocketAddr,
    /// Speaks TLS with this configuration (its certificate, its ALPN list), plain HTTP without.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub clients: Vec<SimulatedClient>,
    /// [`seeded`], unless a test brings its own.
    pub people: Vec<Person>,
    /// The signing key; a fresh one if absent, which takes a moment.
    pub key: Option<SigningKeyPem>,
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
    /// How browsers and programs reach the simulator, which is also its issuer: scheme, host and perhaps a
    /// port, no path. `{port}` stands for the bound port. Default: the listening address.
    pub public_base: Option<String>,
    /// Listeners of their own for `pub.orcid.org` and `api.orcid.org`: loopback addresses, port 0 picks a free one.
    /// Without, both APIs are on `listen`: at its own name for whoever has one address only, and by a host name
    /// that begins with `pub.` or `api.`.
    pub public_api: Option<SocketAddr>,
    pub member_api: Option<SocketAddr>,
    /// Where it can be controlled while it runs (`control`); a loopback address, port 0 picks a free one.
    pub control: Option<SocketAddr>,
    /// How it behaves; the default is orcid.org in autumn 2026.
    pub switches: Switches,
}

impl SimulatorSettings {
    /// Plain HTTP on a free port of 127.0.0.1, the seeded people, the machine's clock and randomness.
    pub fn on_loopback(clients: Vec<SimulatedClient>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tls: None,
            clients,
            people: seeded(),
            key: None,
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance::default()),
            public_base: None,
            public_api: None,
            member_api: None,
            control: None,
            switches: Switches::default(),
        }
    }
}

/// Starts simulators.
#[derive(Debug)]
pub struct Simulator;

impl Simulator {
    /// Starts one and returns once it accepts connections. Needs a Tokio runtime with time and IO, and
    /// lives on it until stopped or until the handle is dropped.
    ///
    /// Errors: the address is not loopback (`InvalidInput`) or taken; the key, a client or the public base
    /// is unusable; too many people or clients.
    pub async fn start(settings: SimulatorSettings) -> io::Result<SimulatorHandle> {
        handle::start(settings).await
    }
}
