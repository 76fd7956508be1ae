//! [`Campus`]: simulator, gate and apps on free ports, with people who have browsers. A journey test reads
//! as what happens on a campus; the teardown checks what must always hold.

pub mod answer;
pub mod browser;
pub mod chromium;
pub mod cookies;
pub mod fetch;
pub mod h2;
pub mod html;
pub mod http;
pub mod installed;
pub mod legacy_app;
pub mod legacy_wire;
pub mod logs;
pub mod operator;
pub mod people;
pub mod raw;
pub mod temp;
pub mod ws;

use answer::Answer;
use browser::{Browser, Network};
use legacy_app::LegacyApp;
use logs::Watch;
use lychgate::app::{Gate, StartFault, Surroundings};
use lychgate::config;
use lychgate::domain::{Clock, StoppedClock, SystemChance, SystemClock};
use lychgate::simulator::{
    MEMBER_CLIENT, SigningKeyPem, SimulatedClient, Simulator, SimulatorHandle, SimulatorSettings, seeded,
};
use lychgate::vault;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use temp::Authority;

pub const SIGN_IN: &str = "https://gate.campus.example";
pub const LIBRARY: &str = "https://library.campus.example";
pub const REPOSITORY: &str = "https://repository.campus.example";
pub const PORTAL: &str = "https://portal.campus.example";
/// A second registration, for gates whose configuration describes it.
pub const STAFF: &str = "staff";
pub const STAFF_CLIENT: &str = "APP-STAFF00000000000";
pub const STAFF_SECRET: &str = "0b1ec7ed-7e57-4000-8000-0000000057af";
pub const CLIENT_SECRET: &str = "0b1ec7ed-7e57-4000-8000-00000000cafe";

/// What most tests need: a library (public front page, members' loans), a repository (assertion, a
/// member scope for deposits) and a portal.
const LIBRARY_SITE: &str = r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{library}"

[[rule]]
name = "front page"
paths = ["/", "/public/**"]
methods = ["GET", "HEAD"]
access = "public"

[[rule]]
name = "catalogue"
paths = ["/catalogue/**"]
access = "optional"

[[rule]]
name = "administrators"
paths = ["/admin/**"]
access = "signed-in"
researchers = ["0000-0002-1825-0097"]

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in"
"#;

const REPOSITORY_SITE: &str = r#"
[site]
name = "repository"
title = "Research repository"
hosts = ["repository.campus.example"]
upstream = "{repository}"

[hand-off]
preset = "none"
assertion = { header = "X-Lychgate-Assertion", audience = "repository" }

[[rule]]
name = "deposit"
paths = ["/deposit/**"]
access = "signed-in"
scopes = ["/activities/update"]
why = "so that your deposit appears on your ORCID record"

[[rule]]
name = "browse"
access = "signed-in"

[[case]]
request = "GET /browse"
expect = "sign-in"
"#;

const PORTAL_SITE: &str = r#"
[site]
name = "portal"
title = "ORCID at the campus"
hosts = ["portal.campus.example"]
portal = true

[[rule]]
name = "connect"
access = "signed-in"

[[case]]
request = "GET /"
expect = "sign-in"
"#;

const CONFIGURATION: &str = r#"
[gate]
listen = "127.0.0.1:0"
sign_in_host = "gate.campus.example"
public_port = 443
threads = 2
drain = "2s"

[tls]
certificates = [{ cert = "gate.pem", key = "gate.key" }]

[ops]
listen = "127.0.0.1:0"

[admin]
socket = "admin.sock"

[state]
directory = "state"

[vault]
key_file = "keys"

[policies]
directory = "policies"

[organisation]
name = "Test Campus"
contact = "help@campus.example"

[clients.campus]
environment = "simulator"
id = "{client_id}"
secret = "{client_secret}"
membership = "member"
issuer = "{issuer}"
default = true
"#;

/// A campus before it opens.
pub struct Builder {
    sites: BTreeMap<String, String>,
    apps: Vec<String>,
    extra: String,
    replaced: Vec<(String, String)>,
    switches: Vec<(String, String)>,
    client: Option<String>,
    files: Vec<(String, String)>,
    clock: Option<Arc<StoppedClock>>,
}

impl Default for Builder {
    fn default() -> Self {
        let sites = [("library", LIBRARY_SITE), ("repository", REPOSITORY_SITE), ("portal", PORTAL_SITE)];
        Self {
            sites: sites.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
            apps: vec!["library".to_owned(), "repository".to_owned()],
            extra: String::new(),
            replaced: Vec::new(),
            switches: Vec::new(),
            client: None,
            files: Vec::new(),
            clock: None,
        }
    }
}

impl Builder {
    /// Adds or replaces a site file; `{name}` stands for the upstream of the app `name`, which is started.
    pub fn site(mut self, name: &str, text: &str) -> Self {
        self.sites.insert(name.to_owned(), text.to_owned());
        if text.contains(&format!("{{{name}}}")) && !self.apps.iter().any(|app| app == name) {
            self.apps.push(name.to_owned());
        }
        self
    }

    /// Writes a file of mode 0600 beside the configuration, `name` being relative to it.
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Appends lines to the configuration.
    pub fn configuration(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self
    }

    /// Replaces a text of the configuration, such as `drain = "2s"`.
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        self.replaced.push((from.to_owned(), to.to_owned()));
        self
    }

    /// Sets a switch of the simulator, such as `lie`, before the gate meets it.
    pub fn switch(mut self, name: &str, value: &str) -> Self {
        self.switches.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Describes the client `campus` by these lines instead, for a provider other than the simulator.
    pub fn client(mut self, lines: &str) -> Self {
        self.client = Some(lines.to_owned());
        self
    }

    /// Gate, simulator and browsers go by this clock instead of the machine's.
    pub fn clock(mut self, clock: Arc<StoppedClock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Opens the campus; panics with the reason if it cannot.
    pub async fn open(self) -> Campus {
        self.try_open().await.unwrap_or_else(|fault| panic!("the campus does not open: {}", explain(&fault)))
    }

    /// Opens it for a real browser, for which names lead to this machine and ports are as they are: addresses carry
    /// the gate's own port.
    pub async fn open_with_port(self) -> Campus {
        let campus = self.replace("public_port = 443\n", "").open().await;
        let callback = format!("{SIGN_IN}:{}/.lychgate/callback/campus", campus.gate().addresses().public_port);
        campus.simulator.register(client(&callback)).unwrap_or_else(|problem| panic!("{problem}"));
        campus
    }

    pub async fn try_open(self) -> Result<Campus, StartFault> {
        let watch = logs::watch();
        let folder = temp::directory();
        let authority = Authority::new();
        authority.write(folder.path());
        authority.issue(&["*.campus.example", "campus.example"]).write(folder.path(), "gate");
        let clock: Arc<dyn Clock> = match &self.clock {
            Some(clock) => clock.clone(),
            None => Arc::new(SystemClock),
        };
        let simulator = start_simulator(clock.clone(), &self.switches).await;
        for person in &simulator.people {
            watch.forbid("password", &person.password);
        }
        watch.forbid("client secret", CLIENT_SECRET);
        let mut apps = BTreeMap::new();
        for name in &self.apps {
            apps.insert(name.clone(), LegacyApp::start().await);
        }
        let file = self.write_files(folder.path(), &simulator.base_url, &apps);
        let gate = start_gate(&file, clock.clone()).await?;
        let network = Arc::new(
            Network::new(gate.addresses().gate, authority.roots()).with_clock(clock.clone()).with_watch(watch.clone()),
        );
        Ok(Campus { gate: Some(gate), simulator, apps, network, watch, clock, file, folder, authority })
    }

    fn write_files(&self, folder: &Path, issuer: &str, apps: &BTreeMap<String, LegacyApp>) -> PathBuf {
        for (name, text) in &self.sites {
            let text = apps
                .iter()
                .fold(text.clone(), |text, (app, started)| text.replace(&format!("{{{app}}}"), &started.upstream()));
            temp::write(folder, &format!("policies/{name}.toml"), text);
        }
        for (name, text) in &self.files {
            temp::write(folder, name, text);
        }
        vault::generate_key_file(&folder.join("keys"), &SystemClock, &SystemChance::default())
            .expect("keys can be made");
        let mut text = CONFIGURATION.to_owned();
        if let Some(client) = &self.client {
            let table = text.find("[clients.campus]").expect("the configuration describes the client last");
            text.truncate(table);
            text.push_str(&format!("[clients.campus]\n{client}\n"));
        }
        let mut text = text.replace("{client_id}", MEMBER_CLIENT).replace("{client_secret}", CLIENT_SECRET);
        for (from, to) in &self.replaced {
            assert!(text.contains(from.as_str()), "the configuration does not hold {from:?}");
            text = text.replace(from, to);
        }
        let text = (text + &self.extra).replace("{issuer}", issuer);
        temp::write(folder, "lychgate.toml", text)
    }
}

/// One key for every simulator of the process: making one takes a second.
async fn signing_key() -> SigningKeyPem {
    static KEY: OnceLock<SigningKeyPem> = OnceLock::new();
    tokio::task::spawn_blocking(|| {
        KEY.get_or_init(|| SigningKeyPem::generate(&SystemChance::default()).expect("a key can be made")).clone()
    })
    .await
    .expect("making a key does not panic")
}

fn client(callback: &str) -> SimulatedClient {
    SimulatedClient::new(MEMBER_CLIENT, CLIENT_SECRET, "Test Campus", true, &[callback])
}

async fn start_simulator(clock: Arc<dyn Clock>, switches: &[(String, String)]) -> SimulatorHandle {
    let callback = format!("{SIGN_IN}/.lychgate/callback/campus");
    let mut client = client(&callback);
    client.onward_origins = [LIBRARY, REPOSITORY, PORTAL].map(str::to_owned).to_vec();
    let callback = format!("{SIGN_IN}/.lychgate/callback/{STAFF}");
    let staff = SimulatedClient::new(STAFF_CLIENT, STAFF_SECRET, "Test Campus Staff", true, &[callback.as_str()]);
    let mut settings = SimulatorSettings::on_loopback(vec![client, staff]);
    settings.key = Some(signing_key().await);
    settings.clock = clock;
    settings.people = seeded();
    for (name, value) in switches {
        settings.switches.set(name, value).unwrap_or_else(|problem| panic!("{problem}"));
    }
    Simulator::start(settings).await.expect("the simulator starts")
}

async fn start_gate(file: &Path, clock: Arc<dyn Clock>) -> Result<Gate, StartFault> {
    let file = file.to_owned();
    tokio::task::spawn_blocking(move || {
        let (settings, problems) = config::load(&file, Vec::new(), std::iter::empty());
        let settings = settings.ok_or(StartFault::Problems(problems))?;
        Gate::start(&settings, Surroundings { clock, chance: Arc::new(SystemChance::default()) })
    })
    .await
    .expect("starting a gate does not panic")
}

fn explain(fault: &StartFault) -> String {
    match fault {
        StartFault::Problems(problems) => problems.iter().map(|problem| format!("\n{problem}")).collect(),
        other => other.to_string(),
    }
}

/// An open campus.
pub struct Campus {
    gate: Option<Gate>,
    pub simulator: SimulatorHandle,
    apps: BTreeMap<String, LegacyApp>,
    pub network: Arc<Network>,
    pub watch: Watch,
    clock: Arc<dyn Clock>,
    file: PathBuf,
    folder: tempfile::TempDir,
    pub authority: Authority,
}

impl Campus {
    /// The usual campus.
    pub async fn open() -> Campus {
        Builder::default().open().await
    }

    pub fn build() -> Builder {
        Builder::default()
    }

    pub fn gate(&self) -> &Gate {
        self.gate.as_ref().expect("the gate runs until the campus closes")
    }

    /// The legacy app behind the site of that name.
    pub fn app(&self, name: &str) -> &LegacyApp {
        self.apps.get(name).unwrap_or_else(|| panic!("no app is called {name}"))
    }

    pub fn library(&self) -> &LegacyApp {
        self.app("library")
    }

    pub fn repository(&self) -> &LegacyApp {
        self.app("repository")
    }

    /// A browser fresh out of the box.
    pub fn browser(&self) -> Browser {
        Browser::new(self.network.clone())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file, for verbs run as child processes.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Opens `url` in `browser` and signs in as `person` on the way, pressing every button that stands
    /// between. Returns the page arrived at.
    pub async fn sign_in(&self, browser: &Browser, url: &str, person: &people::Person) -> Answer {
        people::arrive(browser.open(url).await, person).await
    }

    /// Stops the gate and opens it again on the same files, as after an update.
    pub async fn restart(&mut self) {
        self.stop_gate().await;
        let gate = start_gate(&self.file, self.clock.clone())
            .await
            .unwrap_or_else(|fault| panic!("the gate does not open again: {}", explain(&fault)));
        self.network.move_gate(gate.addresses().gate);
        self.gate = Some(gate);
    }

    async fn stop_gate(&mut self) {
        if let Some(gate) = self.gate.take() {
            tokio::task::spawn_blocking(move || gate.stop()).await.expect("stopping a gate does not panic");
        }
    }

    /// Ends everything and checks what must always hold: no secret was logged, no cookie of ours and no
    /// identity that the gate did not write reached an app.
    pub async fn close(mut self) {
        self.stop_gate().await;
        for (name, app) in &self.apps {
            for request in app.requests() {
                let own = request
                    .cookie_names()
                    .iter()
                    .any(|cookie| cookie.to_ascii_lowercase().starts_with("__host-http-lychgate"));
                assert!(!own, "{name} received a cookie of the gate: {:?}", request.cookie_names());
            }
        }
        for secret in self.simulator.issued() {
            self.watch.forbid("code or token", &secret);
        }
        self.watch.assert_clean();
        self.simulator.stop().await;
        for (_, app) in self.apps {
            app.stop().await;
        }
    }
}
