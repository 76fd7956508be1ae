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
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

/// A running gate with somebody signed in.
pub struct Gate {
    server: Arc<Process>,
    address: SocketAddr,
    /// For each of the three sites, what the browser sends.
    cookies: [String; 3],
}

const SITES: [(&str, &str, &str); 3] = [
    ("public", "public", ""),
    ("signed-in", "signed-in", ""),
    ("asserted", "signed-in", "[hand-off]\nassertion = {}\n"),
];

/// Writes the three sites.
fn write_sites(stage: &Stage, folder: &Path) {
    for (name, access, hand_off) in SITES {
        let text = SITE.replace("{name}", name).replace("{access}", access).replace("{hand_off}", hand_off);
        let text = text.replace("{app}", &stage.app.to_string());
        // Nobody is asked on a public site, so its cases differ.
        temp::write(folder, &format!("policies/{name}.toml"), text);
    }
}

/// Writes the configuration of a gate and returns its file.
fn configure(stage: &Stage, folder: &Path, cores: usize, log: Log) -> PathBuf {
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
    temp::write(folder, "lychgate.toml", text)
}

/// Starts the gate that is configured in `folder`; returns it and where it listens.
fn start(folder: &Path) -> (Arc<Process>, SocketAddr) {
    let command = lychgate(folder, &["serve", "--config", "lychgate.toml", "--ready-json"]);
    let (process, ready) = Process::announced(command, folder);
    (Arc::new(process), listener(&ready, "gate"))
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

    /// The same in a folder of its own, for several of a kind.
    pub async fn open_in(stage: &Stage, folder: &Path, cores: usize, log: Log) -> Self {
        write_sites(stage, folder);
        configure(stage, folder, cores, log);
        let (server, address) = start(folder);
        let browser = stage.browser(address);
        let mut cookies = Vec::new();
        for (name, access, _) in SITES {
            // A public site asks nobody: the session is the one of the site that does.
            let host = if access == "public" { "signed-in" } else { name };
            cookies.push(sign_in(&browser, &format!("https://{host}.bench.example/loans")).await);
        }
        let cookies = cookies.try_into().unwrap_or_else(|_| unreachable!("one for each site"));
        Self { server, address, cookies }
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
        let (server, address) = start(&folder);
        let url = format!("https://{}/loans", decisions::host(sites / 2));
        let cookie = sign_in(&stage.browser(address), &url).await;
        Contender { name: SIGNED_IN, server, address, url, cookie: Some(cookie) }
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
