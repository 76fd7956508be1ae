//! The composition root: `Settings` become a built gate, a running gate, a drained gate. The one place
//! that knows every floor; it contains no logic of its own.

mod admin;
mod examine;
mod fault;
mod pages;
mod providers;
mod reload;
mod rotation;
mod sight;
mod signing;
mod watches;

pub use examine::{Examined, examine, policy_context};
pub use fault::StartFault;
pub use pages::{examine_pages, pages_settings};

use crate::assertion::Assertions;
use crate::config::{self, Settings};
use crate::domain::return_to::origin;
use crate::domain::{Chance, Clock, SystemChance, SystemClock};
use crate::metrics::Metrics;
use crate::ops;
use crate::pages::Pages;
use crate::policy::PolicySet;
use crate::proxy::listen::{self, ListenSettings};
use crate::proxy::{Authorities, DoorLimits, REPLAYS_AT_ONCE, Resolver, Shared, redirect};
use crate::session::Sessions;
use crate::signin::{SignIn, SignInParts, SignInSettings};
use crate::tls::{self, CertificateStore};
use crate::tokens::{self, Providers};
use crate::vault::{Spool, SpoolLimits, Vault, VaultSettings};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// What production takes from the machine and tests replace.
pub struct Surroundings {
    pub clock: Arc<dyn Clock>,
    pub chance: Arc<dyn Chance>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), chance: Arc::new(SystemChance::default()) }
    }
}

/// Where a running gate is reached.
#[derive(Clone, Debug)]
pub struct Addresses {
    pub gate: SocketAddr,
    pub http: Option<SocketAddr>,
    pub ops: SocketAddr,
    pub admin: PathBuf,
    pub public_port: u16,
    /// Site name to the address of its front page, as they were at the start.
    pub sites: BTreeMap<String, String>,
    pub sign_in: String,
}

/// A running gate. Dropping it without [`Gate::stop`] leaves threads behind; production and tests stop it.
pub struct Gate {
    addresses: Addresses,
    shared: Arc<Shared>,
    vault: Arc<Vault>,
    listening: listen::Running,
    background: tokio::runtime::Runtime,
    stop: watch::Sender<bool>,
    reloader: Arc<reload::Reloader>,
}

/// Sessions kept in memory; the rest is read from the store when asked for. Half of them stay for certain: the 100,000
/// of `design.md` §7, and what it takes for those to fit however chance spreads them over the shards.
pub const WARM_SESSIONS: u64 = 224_000;

/// Threads of the background runtime: it waits on disks and on ORCID, it does not compute.
const BACKGROUND_THREADS: usize = 2;

/// A kept form whose time is over is refused at once, and gone from the disk this much later.
const SWEEP_FORMS: std::time::Duration = std::time::Duration::from_secs(5);

/// What no watch tells of, such as a link to a folder that now leads elsewhere, is noticed this much later.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(30);

impl Gate {
    /// Builds and opens a gate; every listener accepts when it returns. Blocks (it opens the store):
    /// call it outside of any runtime.
    pub fn start(settings: &Settings, surroundings: Surroundings) -> Result<Gate, StartFault> {
        tls::install_provider();
        let examined = examine(settings)?;
        // Ports first: a busy one is an error before anything else is touched.
        let sockets = Sockets::take(settings)?;
        let public_port = settings.gate.public_port.unwrap_or(sockets.gate.address.port());
        let Surroundings { clock, chance } = surroundings;
        let vault = open_vault(settings, &clock, &chance)?;
        let forms = vault.spool(spool_limits(settings))?;
        let background = runtime()?;
        let (stop, stopped) = watch::channel(false);
        let parts = Parts {
            settings,
            clock,
            chance,
            vault: &vault,
            forms: &forms,
            background: background.handle(),
            public_port,
        };
        let providers = Arc::new(providers::build(settings, public_port, &parts.clock)?);
        let shared = parts.assemble(&examined, &providers)?;
        let reloader = Arc::new(reload::Reloader::new(
            settings,
            examined.certificates.clone(),
            shared.policies.clone(),
            rotation::Rotation::new(settings, vault.clone(), providers.clone(), background.handle().clone()),
            shared.metrics.clone(),
        ));
        let Sockets { gate, rest: sockets } = sockets;
        let listening = listen::open(gate, &shared, &listen_settings(settings, &examined.certificates)?)
            .map_err(|fault| StartFault::Listener { what: "gate.listen", fault })?;
        let addresses = addresses(settings, &examined.policies, &listening, &sockets, public_port)?;
        let gate = Gate { addresses, shared, vault, listening, background, stop, reloader };
        gate.start_tasks(settings, sockets, &stopped, &providers);
        Ok(gate)
    }

    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reads again from disk what may change while the gate runs; what is broken keeps the old one and is reported in the
    /// log.
    pub fn reload(&self) {
        self.reloader.everything();
    }

    /// Stops accepting, drains, flushes and frees everything. Blocks.
    pub fn stop(self) {
        self.stop.send_replace(true);
        self.listening.stop();
        self.background.shutdown_timeout(std::time::Duration::from_secs(5));
        self.vault.close();
    }
}

/// Every TCP socket of the gate, taken before anything runs.
struct Sockets {
    gate: listen::Bound,
    rest: SideSockets,
}

struct SideSockets {
    http: Option<TcpListener>,
    ops: TcpListener,
    admin: admin::AdminSocket,
}

impl Sockets {
    fn take(settings: &Settings) -> Result<Self, StartFault> {
        let refused = |what| move |fault| StartFault::Listener { what, fault };
        let cores =
            settings.gate.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
        let gate = match inherited() {
            Some(listener) => listen::inherit(&listener, cores),
            None => listen::bind(settings.gate.listen, cores),
        };
        let gate = gate.map_err(refused("gate.listen"))?;
        let rest = SideSockets {
            http: settings.gate.http_listen.map(plain).transpose().map_err(refused("gate.http_listen"))?,
            ops: plain(settings.ops.listen).map_err(refused("ops.listen"))?,
            admin: admin::AdminSocket::bind(&settings.admin.socket).map_err(refused("admin.socket"))?,
        };
        Ok(Self { gate, rest })
    }
}

/// A socket that systemd or another supervisor opened for the gate.
fn inherited() -> Option<TcpListener> {
    listenfd::ListenFd::from_env().take_tcp_listener(0).ok().flatten()
}

fn plain(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn open_vault(settings: &Settings, clock: &Arc<dyn Clock>, chance: &Arc<dyn Chance>) -> Result<Arc<Vault>, StartFault> {
    let vault_settings = VaultSettings {
        directory: settings.state.directory.join("vault"),
        key_file: settings.vault.key_file.clone(),
        simulated: settings.simulated(),
        idle: settings.sessions.idle,
        absolute: settings.sessions.absolute,
        outage_grace: settings.sessions.outage_grace,
        warm_sessions: WARM_SESSIONS,
    };
    Ok(Vault::open(vault_settings, clock.clone(), chance.clone())?)
}

fn spool_limits(settings: &Settings) -> SpoolLimits {
    let config::FormSettings { body, per_browser, per_address, total, lifetime } = settings.forms;
    SpoolLimits { body, per_browser, per_address, total, lifetime }
}

fn runtime() -> Result<tokio::runtime::Runtime, StartFault> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(BACKGROUND_THREADS)
        .enable_all()
        .thread_name("background")
        .build()
        .map_err(|fault| StartFault::Process(fault.to_string()))
}

fn listen_settings(settings: &Settings, certificates: &Arc<CertificateStore>) -> Result<ListenSettings, StartFault> {
    let minimum = match settings.tls.minimum {
        config::TlsVersion::Tls12 => tls::MinimumTls::Tls12,
        config::TlsVersion::Tls13 => tls::MinimumTls::Tls13,
    };
    let tls =
        tls::server_config(certificates.clone(), minimum).map_err(|fault| StartFault::Process(fault.to_string()))?;
    Ok(ListenSettings {
        tls,
        certificates: certificates.clone(),
        handshake: settings.gate.handshake_timeout,
        door: DoorLimits { head: settings.gate.head_timeout, keepalive: settings.gate.keepalive_timeout },
        max_connections: settings.gate.max_connections,
        max_connections_per_address: settings.gate.max_connections_per_address,
        drain: settings.gate.drain,
    })
}

/// What the shared gate is assembled from.
struct Parts<'a> {
    settings: &'a Settings,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    vault: &'a Arc<Vault>,
    forms: &'a Arc<Spool>,
    background: &'a tokio::runtime::Handle,
    public_port: u16,
}

impl Parts<'_> {
    fn assemble(&self, examined: &Examined, providers: &Arc<Providers>) -> Result<Arc<Shared>, StartFault> {
        let settings = self.settings;
        let pages =
            Pages::new(pages::pages_settings(settings, Some(&examined.policies))).map_err(StartFault::Problems)?;
        for remark in pages.remarks() {
            tracing::warn!("{remark}");
        }
        let pages = Arc::new(pages);
        let keys =
            self.background.block_on(signing::keys(self.vault, &*self.clock, settings.assertion.rotate_every))?;
        let issuer = origin(&settings.gate.sign_in_host, self.public_port);
        let (lifetime, grace) = (settings.assertion.lifetime, settings.sessions.outage_grace);
        let assertions = Arc::new(Assertions::new(issuer, keys, self.chance.clone(), lifetime, grace));
        let sessions = Arc::new(Sessions::new(self.vault.clone()));
        let metrics = Arc::new(Metrics::new().map_err(|fault| StartFault::Process(fault.to_string()))?);
        metrics.simulated.set(i64::from(settings.simulated()));
        let policies = Arc::new(ArcSwap::new(examined.policies.clone()));
        let sign_in = SignIn::new(SignInParts {
            settings: SignInSettings {
                sign_in_host: settings.gate.sign_in_host.clone(),
                public_port: self.public_port,
                default_client: settings.default_client.clone(),
                outage_grace: grace,
            },
            vault: self.vault.clone(),
            spool: self.forms.clone(),
            sessions: sessions.clone(),
            providers: providers.clone(),
            policies: policies.clone(),
            pages: pages.clone(),
            assertions: assertions.clone(),
            metrics: metrics.clone(),
            clock: self.clock.clone(),
            chance: self.chance.clone(),
        });
        Ok(Arc::new(Shared {
            policies,
            forms: self.forms.clone(),
            sessions,
            sign_in,
            pages,
            assertions,
            metrics,
            replays: Arc::new(tokio::sync::Semaphore::new(REPLAYS_AT_ONCE)),
            background: self.background.clone(),
            clock: self.clock.clone(),
            chance: self.chance.clone(),
            sign_in_host: settings.gate.sign_in_host.clone(),
            public_port: self.public_port,
            head_limit: settings.gate.head_bytes,
            resolver: Resolver::new(self.background.clone(), self.clock.clone()),
            authorities: Authorities::default(),
        }))
    }
}

fn addresses(
    settings: &Settings,
    policies: &PolicySet,
    listening: &listen::Running,
    sockets: &SideSockets,
    public_port: u16,
) -> Result<Addresses, StartFault> {
    let bound = |listener: &TcpListener| listener.local_addr().map_err(|fault| StartFault::Process(fault.to_string()));
    Ok(Addresses {
        gate: listening.address,
        http: sockets.http.as_ref().map(bound).transpose()?,
        ops: bound(&sockets.ops)?,
        admin: settings.admin.socket.clone(),
        public_port,
        sites: fronts(policies, public_port),
        sign_in: format!("{}/", origin(&settings.gate.sign_in_host, public_port)),
    })
}

/// Site name to the address of its front page.
fn fronts(policies: &PolicySet, public_port: u16) -> BTreeMap<String, String> {
    let front = |host| format!("{}/", origin(host, public_port));
    policies.sites().iter().map(|site| (site.name.to_string(), front(site.main_host()))).collect()
}

impl Gate {
    fn start_tasks(
        &self,
        settings: &Settings,
        sockets: SideSockets,
        stopped: &watch::Receiver<bool>,
        providers: &Arc<Providers>,
    ) {
        let shared = &self.shared;
        let vault_health = shared.metrics.store_healthy.clone();
        vault_health.set(1);
        let ready: ops::Readiness =
            Arc::new(move || if vault_health.get() == 1 { Ok(()) } else { Err("the vault cannot be used".to_owned()) });
        self.background.spawn(ops::run(sockets.ops, shared.metrics.clone(), ready, stopped.clone()));
        if let Some(http) = sockets.http {
            let known = shared.clone();
            let known: redirect::KnownHost = Arc::new(move |host| {
                *host == known.sign_in_host || known.policies.load().site_for_host(host).is_some()
            });
            self.background.spawn(redirect::run(http, known, shared.public_port, stopped.clone()));
        }
        self.background.spawn(sockets.admin.run(self.status(settings), self.reloader.clone(), stopped.clone()));
        self.background.spawn(self.reloader.clone().watch(LOOK_AGAIN, stopped.clone()));
        self.background.spawn(sweep_forms(shared.forms.clone(), stopped.clone()));
        self.background.spawn(signing::rotate(
            self.vault.clone(),
            shared.assertions.clone(),
            shared.clock.clone(),
            settings.assertion.rotate_every,
            stopped.clone(),
        ));
        self.background.spawn(signing::watch_health(
            self.vault.clone(),
            shared.metrics.store_healthy.clone(),
            stopped.clone(),
        ));
        for provider in providers.values() {
            self.background.spawn(provider.clone().keep_fresh());
        }
        self.start_watch(settings, providers);
        self.start_presence(settings, providers);
        self.background.spawn(tokens::drain_revocations(self.vault.clone(), providers.clone(), shared.clock.clone()));
    }

    fn status(&self, settings: &Settings) -> admin::Status {
        let (policies, public_port) = (self.shared.policies.clone(), self.addresses.public_port);
        let (sign_in, simulated) = (self.addresses.sign_in.clone(), settings.simulated());
        let vault = self.vault.clone();
        Arc::new(move || {
            serde_json::json!({
                "pid": std::process::id(),
                "sites": fronts(&policies.load(), public_port),
                "sign_in": sign_in,
                "simulated": simulated,
                "sealing_key": rotation::told(&vault),
            })
        })
    }

    fn start_watch(&self, settings: &Settings, providers: &Providers) {
        let (every, rate) = (settings.watch.every, settings.watch.rate);
        for provider in providers.values().filter(|provider| !every.is_zero() && provider.can_be_asked()) {
            self.background.spawn(tokens::watch_connections(tokens::WatchParts {
                vault: self.vault.clone(),
                provider: provider.clone(),
                clock: self.shared.clock.clone(),
                chance: self.shared.chance.clone(),
                metrics: self.shared.metrics.clone(),
                plan: tokens::WatchPlan { every, rate },
            }));
        }
    }

    fn start_presence(&self, settings: &Settings, providers: &Providers) {
        let grace = settings.sessions.outage_grace;
        for provider in providers.values().filter(|_| !grace.is_zero()) {
            self.background.spawn(tokens::watch_presence(tokens::PresenceParts {
                vault: self.vault.clone(),
                provider: provider.clone(),
                clock: self.shared.clock.clone(),
                metrics: self.shared.metrics.clone(),
                grace,
            }));
        }
    }
}

/// Throws kept forms away whose time is over.
async fn sweep_forms(forms: Arc<Spool>, mut stopped: watch::Receiver<bool>) {
    let mut often = tokio::time::interval(SWEEP_FORMS);
    loop {
        tokio::select! {
            _ = often.tick() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let forms = forms.clone();
        // A panic there is no reason to stop here.
        let _ = tokio::task::spawn_blocking(move || forms.sweep()).await;
    }
}
