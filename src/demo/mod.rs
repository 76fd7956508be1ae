//! The demo: a private authority, the simulator, two sample legacy apps and a real gate in one process,
//! on loopback. It writes a configuration like anybody's and starts the gate from it, by the same code
//! as `serve`.

mod apps;
pub mod authority;
mod deposit;
mod verify;

use crate::app::{Gate, StartFault, Surroundings};
use crate::config;
use crate::domain::{Clock, Host, SystemChance, SystemClock};
use crate::simulator::{MEMBER_CLIENT, Person, SimulatedClient, Simulator, SimulatorHandle, SimulatorSettings};
use crate::tls::CertificateStore;
use crate::vault;
use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

const SIGN_IN_HOST: &str = "gate.localhost";
const HOSTS: [&str; 4] = [SIGN_IN_HOST, "portal.localhost", "wiki.localhost", "repository.localhost"];
/// Published on purpose: it opens nothing but a simulator on this machine.
const CLIENT_SECRET: &str = "5a1dc0de-0000-4000-8000-5157a7ed0000";
const POLICIES: [(&str, &str); 3] = [
    ("portal.toml", include_str!("policies/portal.toml")),
    ("wiki.toml", include_str!("policies/wiki.toml")),
    ("repository.toml", include_str!("policies/repository.toml")),
];

/// How a demo is started.
pub struct DemoSettings {
    pub listen: SocketAddr,
    /// Keeps certificates, keys and the vault between runs; a temporary folder without.
    pub state: Option<PathBuf>,
}

/// A running demo.
pub struct Demo {
    gate: Gate,
    simulator: SimulatorHandle,
    runtime: tokio::runtime::Runtime,
    stop: watch::Sender<bool>,
    folder: Folder,
}

/// Where the demo keeps its files.
enum Folder {
    Temporary(tempfile::TempDir),
    /// With the lock that keeps a second demo from writing here: the gate of the first would take up its policies.
    Kept(PathBuf, File),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Folder::Temporary(folder) => folder.path(),
            Folder::Kept(path, _lock) => path,
        }
    }
}

fn process(what: &'static str) -> impl Fn(io::Error) -> StartFault {
    move |fault| StartFault::Process(format!("{what}: {fault}"))
}

impl Demo {
    /// Starts everything; the gate accepts when it returns. Blocks: call it outside of any runtime.
    pub fn start(settings: &DemoSettings) -> Result<Demo, StartFault> {
        crate::tls::install_provider();
        let folder = open_folder(settings.state.as_deref())?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let authority_pem = certificates(folder.path(), &*clock)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("demo")
            .build()
            .map_err(process("the demo's own threads cannot be started"))?;
        let simulator = runtime
            .block_on(Simulator::start(SimulatorSettings::on_loopback(Vec::new())))
            .map_err(process("the simulator cannot be started"))?;
        let (wiki, wiki_address) = apps::bind().map_err(process("the sample wiki cannot be started"))?;
        let (repository, repository_address) =
            apps::bind().map_err(process("the sample repository cannot be started"))?;
        let ports =
            HashMap::from([("{wiki_port}", wiki_address.port()), ("{repository_port}", repository_address.port())]);
        let file = write_configuration(folder.path(), settings.listen, &simulator.base_url, &ports)?;
        let (loaded, problems) = config::load(&file, Vec::new(), std::iter::empty());
        let Some(loaded) = loaded else { return Err(StartFault::Problems(problems)) };
        let gate = Gate::start(&loaded, Surroundings::default())?;
        let demo = Demo { gate, simulator, runtime, stop: watch::channel(false).0, folder };
        demo.register_client()?;
        demo.serve_apps(wiki, repository, authority_pem, clock);
        Ok(demo)
    }

    /// The redirect URI is known only now that the gate has its port.
    fn register_client(&self) -> Result<(), StartFault> {
        let addresses = self.gate.addresses();
        let sign_in = addresses.sign_in.trim_end_matches('/');
        let callback = format!("{sign_in}/.lychgate/callback/demo");
        let mut client =
            SimulatedClient::new(MEMBER_CLIENT, CLIENT_SECRET, "Lychgate University", true, &[callback.as_str()]);
        // The consent form's answer travels on through the gate to the sites.
        client.onward_origins = addresses.sites.values().map(|url| url.trim_end_matches('/').to_owned()).collect();
        let registered = self.simulator.register(client).map_err(|problem| std::io::Error::other(problem.to_string()));
        registered.map_err(process("the demo's client cannot be registered"))
    }

    fn serve_apps(&self, wiki: TcpListener, repository: TcpListener, authority_pem: String, clock: Arc<dyn Clock>) {
        let addresses = self.gate.addresses();
        let verifier = Arc::new(verify::Verifier {
            gate: addresses.gate,
            sign_in_host: SIGN_IN_HOST.to_owned(),
            issuer: addresses.sign_in.trim_end_matches('/').to_owned(),
            audience: "repository".to_owned(),
            authority_pem,
            clock,
            keys: tokio::sync::Mutex::default(),
        });
        let stop = self.stop.subscribe();
        self.runtime.spawn(apps::wiki(wiki, stop.clone()));
        self.runtime.spawn(apps::repository(repository, verifier, stop));
    }

    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    pub fn simulator(&self) -> &SimulatorHandle {
        &self.simulator
    }

    pub fn people(&self) -> &[Person] {
        &self.simulator.people
    }

    /// The certificate to trust.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Ends everything; a temporary folder goes with it. Blocks.
    pub fn stop(self) {
        self.stop.send_replace(true);
        self.gate.stop();
        self.runtime.block_on(self.simulator.stop());
        self.runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    }
}

fn open_folder(state: Option<&Path>) -> Result<Folder, StartFault> {
    match state {
        None => tempfile::Builder::new()
            .prefix("lychgate-demo-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .map(Folder::Temporary)
            .map_err(process("no temporary folder can be made")),
        Some(path) => {
            let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(process("the state folder cannot be made"))?;
            let path = path.canonicalize().map_err(process("the state folder cannot be used"))?;
            let lock = lock(&path)?;
            Ok(Folder::Kept(path, lock))
        }
    }
}

/// Held as long as the file is open.
fn lock(folder: &Path) -> Result<File, StartFault> {
    let mut options = File::options();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(folder.join("demo.lock"));
    let file = file.map_err(process("the state folder cannot be used"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(StartFault::Process(format!("another demo is running on the state folder {}", folder.display())))
        }
        Err(TryLockError::Error(fault)) => Err(process("the state folder cannot be locked")(fault)),
    }
}

/// Certificates of an earlier run are kept while they last, so that trusting the authority once is
/// enough; otherwise new ones are made. Returns the authority's certificate.
fn certificates(folder: &Path, clock: &dyn Clock) -> Result<String, StartFault> {
    let [authority, leaf, key] = ["authority.pem", "gate.pem", "gate.key"].map(|name| folder.join(name));
    if let Some(kept) = kept_authority(&authority, &leaf, &key, clock) {
        return Ok(kept);
    }
    let hosts = HOSTS.map(str::to_owned).to_vec();
    let made = authority::make(&hosts, clock.now().0)
        .map_err(|fault| StartFault::Process(format!("the demo's certificates cannot be made: {fault}")))?;
    write_private(&key, &made.key)?;
    write_private(&leaf, &made.certificate)?;
    write_private(&authority, &made.authority)?;
    Ok(made.authority)
}

fn kept_authority(authority: &Path, leaf: &Path, key: &Path, clock: &dyn Clock) -> Option<String> {
    let kept = std::fs::read_to_string(authority).ok()?;
    let store =
        CertificateStore::from_pem(&std::fs::read_to_string(leaf).ok()?, &std::fs::read_to_string(key).ok()?).ok()?;
    let set = store.current();
    let certificate = set.all().first()?;
    let covers_all = HOSTS.iter().all(|host| host.parse::<Host>().is_ok_and(|host| certificate.covers(&host)));
    (covers_all && certificate.expires > clock.now().0 + 86_400).then_some(kept)
}

fn write_private(path: &Path, text: &str) -> Result<(), StartFault> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(process("a file of the demo cannot be written"))
}

/// Writes what a sysadmin would write, and makes the sealing key.
fn write_configuration(
    folder: &Path,
    listen: SocketAddr,
    issuer: &str,
    ports: &HashMap<&str, u16>,
) -> Result<PathBuf, StartFault> {
    let policies = folder.join("policies");
    std::fs::create_dir_all(&policies).map_err(process("a folder of the demo cannot be made"))?;
    for (name, text) in POLICIES {
        let text = ports.iter().fold(text.to_owned(), |text, (place, port)| text.replace(place, &port.to_string()));
        write_private(&policies.join(name), &text)?;
    }
    let keys = folder.join("keys");
    if !keys.exists() {
        vault::generate_key_file(&keys, &SystemClock, &SystemChance::default())?;
    }
    let text = include_str!("lychgate.toml")
        .replace("{listen}", &listen.to_string())
        .replace("{client_id}", MEMBER_CLIENT)
        .replace("{client_secret}", CLIENT_SECRET)
        .replace("{issuer}", issuer);
    let file = folder.join("lychgate.toml");
    write_private(&file, &text)?;
    Ok(file)
}
