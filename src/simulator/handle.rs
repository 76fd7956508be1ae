//! [`SimulatorHandle`]: the running simulator in the hands of `cli` and the tests: what it has seen, what it
//! has granted, and the levers (user revocation, key rotation, outage, stop).

use super::SimulatorSettings;
use super::calls::Call;
use super::clients::{MOST_CLIENTS, SimulatedClient};
use super::control;
use super::face::Face;
use super::keys::{SigningKey, SigningKeyPem};
use super::outage::{Outage, Valve};
use super::people::Person;
use super::random;
use super::server::{Door, Order, Server};
use super::switches::Switches;
use super::webhooks::{self, WebhookDelivery};
use super::world::{ApiBases, MOST_PEOPLE, World};
use crate::domain::{Chance, OrcidId, Problem, ScopeSet};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Where a running simulator can be controlled from outside.
#[derive(Clone)]
pub struct ControlAddress {
    pub local_addr: SocketAddr,
    /// `Authorization: Bearer` and this.
    pub token: String,
}

impl fmt::Debug for ControlAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlAddress").field("at", &self.local_addr).finish_non_exhaustive()
    }
}

/// A listener that one of the APIs has for itself.
#[derive(Clone, Debug)]
pub struct ApiAddress {
    /// Without a trailing slash; `/v3.0/` follows.
    pub base_url: String,
    pub local_addr: SocketAddr,
}

/// What changes a running simulator, from here or through `control`.
#[derive(Clone)]
pub(super) struct Levers {
    pub(super) world: Arc<World>,
    orders: mpsc::Sender<Order>,
}

/// A running simulator. Dropping it stops it; [`SimulatorHandle::stop`] also waits until the port is free.
pub struct SimulatorHandle {
    /// The issuer and the base of every address, without a trailing slash.
    pub base_url: String,
    /// Who can sign in; their passwords are no secret.
    pub people: Vec<Person>,
    /// Where it listens.
    pub local_addr: SocketAddr,
    /// Where the public and the member API are, if they have listeners of their own.
    pub public_api: Option<ApiAddress>,
    pub member_api: Option<ApiAddress>,
    /// Where it can be controlled, if that was asked for.
    pub control: Option<ControlAddress>,
    world: Arc<World>,
    levers: Levers,
    tasks: Vec<JoinHandle<()>>,
}

/// See [`super::Simulator::start`].
pub(super) async fn start(settings: SimulatorSettings) -> io::Result<SimulatorHandle> {
    check(&settings)?;
    let door = Door::open(Face::Root, settings.listen)?;
    let public_door = settings.public_api.map(|at| Door::open(Face::Public, at)).transpose()?;
    let member_door = settings.member_api.map(|at| Door::open(Face::Member, at)).transpose()?;
    let local_addr = door.at();
    let controlled = settings.control.map(control::listen).transpose()?;
    let bases = {
        let base = |door: &Option<Door>| door.as_ref().map(|door| plain_base(settings.tls.is_some(), door.at()));
        ApiBases { public_api: base(&public_door), member_api: base(&member_door) }
    };
    let base = base_url(settings.public_base.as_deref(), settings.tls.is_some(), local_addr)?;
    let key = signing_key(settings.key.clone(), settings.chance.clone()).await?;
    let tls = settings.tls.clone().map(tokio_rustls::TlsAcceptor::from);
    let people = settings.people.clone();
    let world = Arc::new(World::new(settings, base.clone(), bases.clone(), key)?);
    prepare(&world, world.switches()).await?;
    let (orders, received) = mpsc::channel(8);
    let levers = Levers { world: world.clone(), orders };
    let server = Server { world: world.clone(), tls, valve: Arc::new(Valve::default()), orders: received };
    let (public_api, member_api) = (public_door.as_ref().map(Door::at), member_door.as_ref().map(Door::at));
    let doors = [Some(door), public_door, member_door].into_iter().flatten().collect();
    let mut tasks = vec![tokio::spawn(server.run(doors)), tokio::spawn(webhooks::keep_running(world.clone()))];
    let control = match controlled {
        Some(listener) => {
            let address =
                ControlAddress { local_addr: listener.local_addr()?, token: random::session_key(&*world.chance) };
            let guard = control::Guard::new(&address.token);
            tasks.push(tokio::spawn(control::serve(listener, guard, levers.clone())));
            Some(address)
        }
        None => None,
    };
    let api = |at: Option<SocketAddr>, base: Option<String>| {
        at.zip(base).map(|(local_addr, base_url)| ApiAddress { base_url, local_addr })
    };
    let (public_api, member_api) = (api(public_api, bases.public_api), api(member_api, bases.member_api));
    Ok(SimulatorHandle { base_url: base, people, local_addr, public_api, member_api, control, world, levers, tasks })
}

fn check(settings: &SimulatorSettings) -> io::Result<()> {
    let invalid = |why: String| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if settings.people.len() > MOST_PEOPLE || settings.clients.len() > MOST_CLIENTS {
        return invalid(format!("the simulator takes at most {MOST_PEOPLE} people and {MOST_CLIENTS} clients"));
    }
    match settings.clients.iter().flat_map(SimulatedClient::problems).next() {
        Some(problem) => invalid(problem.to_string()),
        None => Ok(()),
    }
}

/// Loads the given key or makes one, off the runtime's threads: it takes a moment.
async fn signing_key(pem: Option<SigningKeyPem>, chance: Arc<dyn Chance>) -> io::Result<SigningKey> {
    tokio::task::spawn_blocking(move || {
        let pem = match pem {
            Some(pem) => pem,
            None => SigningKeyPem::generate(&*chance)?,
        };
        SigningKey::load(&pem)
    })
    .await
    .map_err(io::Error::other)?
}

/// Makes what these switches need, off the runtime's threads.
async fn prepare(world: &Arc<World>, switches: Arc<Switches>) -> io::Result<()> {
    let world = world.clone();
    tokio::task::spawn_blocking(move || world.prepare(&switches)).await.map_err(io::Error::other)?
}

/// Changes the switches; nothing is changed if `change` complains.
pub(super) async fn switch(
    world: &Arc<World>,
    change: impl Fn(&mut Switches) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut next = Switches::clone(&world.switches());
    change(&mut next)?;
    let unprepared = |error: io::Error| Problem::error(format!("a key could not be made: {error}"));
    prepare(world, Arc::new(next)).await.map_err(unprepared)?;
    // Applied anew to what holds by now, so that two changes at once both count.
    world.change(|switches| {
        let _ = change(switches);
    });
    Ok(())
}

fn plain_base(tls: bool, at: SocketAddr) -> String {
    format!("{}://{at}", if tls { "https" } else { "http" })
}

fn base_url(public: Option<&str>, tls: bool, at: SocketAddr) -> io::Result<String> {
    let Some(public) = public else {
        return Ok(plain_base(tls, at));
    };
    let text = public.replace("{port}", &at.port().to_string());
    let text = text.strip_suffix('/').unwrap_or(&text);
    let sound = url::Url::parse(text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.origin().ascii_serialization() == text);
    if sound {
        return Ok(text.to_owned());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("`{public}` is not a public base: expected http or https, a host and perhaps a port, without a path"),
    ))
}

impl Levers {
    pub(super) fn register(&self, client: SimulatedClient) -> Result<(), Problem> {
        if let Some(problem) = client.problems().into_iter().next() {
            return Err(problem);
        }
        let mut books = self.world.books();
        if books.clients.len() >= MOST_CLIENTS && !books.clients.contains_key(&client.id) {
            return Err(Problem::error(format!("the simulator takes at most {MOST_CLIENTS} clients")));
        }
        books.clients.insert(client.id.clone(), Arc::new(client));
        Ok(())
    }

    pub(super) async fn rotate_key(&self, key: Option<SigningKeyPem>, overlap: bool) -> io::Result<()> {
        let key = signing_key(key, self.world.chance.clone()).await?;
        self.world.keys.write().unwrap_or_else(PoisonError::into_inner).rotate(key, overlap);
        Ok(())
    }

    pub(super) async fn set_outage(&self, outage: Option<Outage>) -> io::Result<()> {
        let (done, outcome) = oneshot::channel();
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the simulator has stopped");
        self.orders.send(Order::Outage(outage, done)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

impl SimulatorHandle {
    /// How many requests have arrived at an endpoint: `discovery`, `jwks`, `authorize` (GET), `consent` (POST of
    /// its form), `signin`, `signout`, `token`, `revoke`, `userinfo`, `trusted`, `record`, `api`, `webhook`,
    /// `front`, `style`, `other`. Requests met by an outage count, refused connections do not. 0 for an unknown name.
    pub fn calls(&self, endpoint: &str) -> u64 {
        self.world.calls.of(endpoint).unwrap_or(0)
    }

    /// How many bytes of answers in the manner `huge` have left so far: how long somebody kept reading.
    pub fn endless_bytes_sent(&self) -> u64 {
        self.world.calls.blanks.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The last 1,000 answered requests, oldest first, without anything secret.
    pub fn log(&self) -> Vec<Call> {
        self.world.calls.lines()
    }

    /// The scope set of every live token pair of this person and client, oldest first.
    pub fn live_tokens(&self, orcid: OrcidId, client_id: &str) -> Vec<ScopeSet> {
        let now = self.world.now();
        self.world.books().ledger.live(orcid, client_id, now).map(|pair| pair.scopes.clone()).collect()
    }

    /// The person withdraws the client's access, as on the trusted-organisations page. Returns how many live
    /// token pairs that ended.
    pub fn revoke_by_user(&self, orcid: OrcidId, client_id: &str) -> usize {
        let now = self.world.now();
        self.world.books().ledger.revoke_by_user(orcid, client_id, now)
    }

    /// Changes a person's record: its state, a name. `None` if nobody has this iD.
    pub fn change_person(&self, orcid: OrcidId, change: impl Fn(&mut Person)) -> Option<Arc<Person>> {
        self.world.change_person(orcid, |person| {
            let mut person = person.clone();
            change(&mut person);
            person
        })
    }

    /// Registers a client, or replaces the one of the same id. Lets a test start the simulator before it knows
    /// its own callback address.
    ///
    /// Errors: the registration is unusable, or there are too many.
    pub fn register(&self, client: SimulatedClient) -> Result<(), Problem> {
        self.levers.register(client)
    }

    /// Signs with a fresh key from now on. With `overlap` the former key stays in the JWKS, so that what it
    /// signed can still be verified; without it is gone at once.
    pub async fn rotate_key(&self, overlap: bool) -> io::Result<()> {
        self.levers.rotate_key(None, overlap).await
    }

    /// The same, to a given key (or a fresh one).
    pub async fn rotate_key_to(&self, key: Option<SigningKeyPem>, overlap: bool) -> io::Result<()> {
        self.levers.rotate_key(key, overlap).await
    }

    /// How the simulator behaves at the moment.
    pub fn switches(&self) -> Arc<Switches> {
        self.world.switches()
    }

    /// Sets one switch, for the requests that come from now on; see [`Switches::set`].
    pub async fn set(&self, name: &str, value: &str) -> Result<(), Problem> {
        switch(&self.world, |switches| switches.set(name, value)).await
    }

    /// Sets every switch back to the usual.
    pub fn reset(&self) {
        self.world.change(|switches| *switches = Switches::default());
    }

    /// The last 10,000 codes, tokens and id_tokens handed out, for tests that look for them where they should
    /// not be.
    pub fn issued(&self) -> Vec<String> {
        self.world.books().ledger.issued()
    }

    /// Starts, changes or ends (`None`) an outage; in force once this returns. The port stays ours throughout.
    ///
    /// Errors: the listener could not be closed or opened; the simulator has stopped.
    pub async fn set_outage(&self, outage: Option<Outage>) -> io::Result<()> {
        self.levers.set_outage(outage).await
    }

    /// Tells every webhook that is due of its record's changes, as happens by itself every `webhook-period`.
    /// Returns what was told to whom, by iD.
    pub async fn run_webhooks(&self) -> Vec<WebhookDelivery> {
        webhooks::run(&self.world).await
    }

    /// Stops at once: open connections are cut. Returns when the port is free.
    pub async fn stop(self) {
        let (done, finished) = oneshot::channel();
        if self.levers.orders.send(Order::Stop(done)).await.is_ok() {
            // An error means that it has ended already, which is what was wanted.
            let _ = finished.await;
        }
    }
}

impl Drop for SimulatorHandle {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for SimulatorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatorHandle")
            .field("base_url", &self.base_url)
            .field("at", &self.local_addr)
            .finish_non_exhaustive()
    }
}
