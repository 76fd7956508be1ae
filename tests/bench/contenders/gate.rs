//! The gate itself, as a sysadmin runs it: three sites before the one app, somebody signed in at all of them.

use super::{ASSERTED, Contender, PUBLIC, SIGNED_IN, cookie_header};
use crate::campus::browser::Browser;
use crate::campus::{people, temp};
use crate::decisions;
use crate::process::{Process, listener, lychgate};
use crate::stage::{CLIENT, CLIENT_SECRET, Stage};
use lychgate::domain::{SystemChance, SystemClock};
use lychgate::vault;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

/// The name of the configuration in a gate's folder.
pub const GATE_FILE: &str = "lychgate.toml";

const CONFIGURATION: &str = r#"
[gate]
listen = "127.0.0.1:0"
sign_in_host = "gate.bench.example"
public_port = 443
threads = {cores}
max_connections = 30000
max_connections_per_address = 30000
head_bytes = "32 KiB"
drain = "1s"

[tls]
certificates = [{ cert = "{stage}/leaf.pem", key = "{stage}/leaf.key" }]

[ops]
listen = "127.0.0.1:0"

[state]
directory = "state"

[vault]
key_file = "keys"

[policies]
directory = "policies"

[log]
level = "{log}"

[organisation]
name = "Benchmark"

[clients.main]
environment = "simulator"
id = "{client}"
secret = "{secret}"
membership = "member"
issuer = "{issuer}"
default = true
"#;

/// One site; rules before the one that decides are tried and do not fit.
const SITE: &str = r#"
[site]
name = "{name}"
hosts = ["{name}.bench.example"]
upstream = "http://{app}"
{hand_off}
[limits]
body = "200 MiB"

[[rule]]
name = "administrators"
paths = ["/admin/**"]
access = "signed-in"
researchers = ["0000-0002-1825-0097"]

[[rule]]
name = "deposit"
paths = ["/deposit/**"]
methods = ["POST", "PUT"]
access = "signed-in"

[[rule]]
name = "everything else"
access = "{access}"

[[case]]
request = "GET /admin/"
expect = "sign-in"
"#;

/// Whether there is a line in the log for every request, as the gate has it by default. nginx, Apache and the bare
/// engine write none here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    Requests,
    Warnings,
}

impl Log {
    fn level(self) -> &'static str {
        match self {
            Self::Requests => "info",
            Self::Warnings => "warn",
        }
    }
}

/// A site before the app: its name (and the first label of its host), who may enter, and its hand-off.
pub type Site = (&'static str, &'static str, &'static str);

/// A running gate with somebody signed in.
pub struct Gate {
    server: Arc<Process>,
    address: SocketAddr,
    /// For each of the three sites, what the browser sends.
    cookies: [String; 3],
}

const SITES: [Site; 3] = [
    ("public", "public", ""),
    ("signed-in", "signed-in", ""),
    ("asserted", "signed-in", "[hand-off]\nassertion = {}\n"),
];

/// Writes the policies of `sites`.
pub fn write_sites(stage: &Stage, folder: &Path, sites: &[Site]) {
    for (name, access, hand_off) in sites {
        let text = SITE.replace("{name}", name).replace("{access}", access).replace("{hand_off}", hand_off);
        temp::write(folder, &format!("policies/{name}.toml"), text.replace("{app}", &stage.app.to_string()));
    }
}

/// Writes what a gate needs besides policies: the configuration [`GATE_FILE`], and its keys.
pub fn configure(stage: &Stage, folder: &Path, cores: usize, log: Log) {
    if !folder.join("keys").exists() {
        vault::generate_key_file(&folder.join("keys"), &SystemClock, &SystemChance::default()).expect("keys");
    }
    let text = CONFIGURATION
        .replace("{cores}", &cores.to_string())
        .replace("{log}", log.level())
        .replace("{stage}", &stage.path().display().to_string())
        .replace("{client}", CLIENT)
        .replace("{secret}", CLIENT_SECRET)
        .replace("{issuer}", &stage.issuer);
    temp::write(folder, GATE_FILE, text);
}

/// Starts the gate that is configured in `folder`, and waits until it accepts.
pub fn serve(folder: &Path) -> (Process, SocketAddr) {
    let command = lychgate(folder, &["serve", "--config", GATE_FILE, "--ready-json"]);
    let (process, ready) = Process::announced(command, folder);
    (process, listener(&ready, "gate"))
}

/// Signs somebody in at `url`; returns the cookie that their browser shows there from now on.
async fn sign_in(browser: &Browser, url: &str) -> String {
    let there = people::arrive(browser.open(url).await, &people::ordinary()).await;
    there.assert_status(200).assert_says("Seven.");
    cookie_header(browser, url)
}

impl Gate {
    pub async fn open(stage: &Stage, cores: usize, log: Log) -> Self {
        let folder = stage.subfolder(&format!("gate-{cores}-{}", log.level()));
        Self::open_in(stage, &folder, cores, log).await
    }

    /// One with a folder of its own, and so with a vault of its own.
    pub async fn open_in(stage: &Stage, folder: &Path, cores: usize, log: Log) -> Self {
        write_sites(stage, folder, &SITES);
        configure(stage, folder, cores, log);
        let (process, address) = serve(folder);
        let browser = stage.browser(address);
        let mut cookies = Vec::new();
        for (name, access, _) in SITES {
            // A public site asks nobody: the session is the one of the site that does.
            let host = if access == "public" { "signed-in" } else { name };
            cookies.push(sign_in(&browser, &format!("https://{host}.bench.example/loans")).await);
        }
        let cookies = cookies.try_into().unwrap_or_else(|_| unreachable!("one for each site"));
        Self { server: Arc::new(process), address, cookies }
    }

    /// A gate with so many sites of twenty rules each (those of `decisions`); somebody is signed in at the one in the
    /// middle, where the last rule decides.
    pub async fn among(stage: &Stage, sites: usize) -> Contender {
        let folder = stage.subfolder(&format!("gate-of-{sites}"));
        let app = format!("http://{}", stage.app);
        for site in 0..sites {
            temp::write(&folder, &format!("policies/{site:04}.toml"), decisions::text(site, &app));
        }
        configure(stage, &folder, 2, Log::Warnings);
        let (server, address) = serve(&folder);
        let url = format!("https://{}/loans", decisions::host(sites / 2));
        let cookie = sign_in(&stage.browser(address), &url).await;
        Contender { name: SIGNED_IN, server: Arc::new(server), address, url, cookie: Some(cookie) }
    }

    pub fn contenders(&self) -> [Contender; 3] {
        let names = [PUBLIC, SIGNED_IN, ASSERTED];
        std::array::from_fn(|at| Contender {
            name: names[at],
            server: self.server.clone(),
            address: self.address,
            url: format!("https://{}.bench.example/loans", SITES[at].0),
            cookie: Some(self.cookies[at].clone()),
        })
    }
}
