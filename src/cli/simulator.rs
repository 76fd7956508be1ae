//! `lychgate simulator`: the stand-in for orcid.org by itself.

use super::ready::{Person, Ready, Urls};
use super::signals::{Asked, Signals};
use super::{Answer, log, report};
use crate::domain::ClientSecret;
use crate::simulator::{
    MEMBER_CLIENT, PUBLIC_CLIENT, SimulatedClient, Simulator, SimulatorHandle, SimulatorSettings, Switches, Verdict,
    clients_from_toml, default_clients, lies,
};
use crate::tls::{CertificateFiles, CertificateStore, MinimumTls, server_config};
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The secrets of the built-in clients, published on purpose: they open nothing but a simulator.
const PUBLISHED: [(&str, &str); 2] =
    [(PUBLIC_CLIENT, "51a7ed00-0000-4000-8000-000000000001"), (MEMBER_CLIENT, "51a7ed00-0000-4000-8000-000000000002")];

const EXAMPLES: &str = "Examples:
  lychgate simulator --redirect-uri https://app.localhost:8443/callback
  lychgate simulator --listen 127.0.0.1:0 --clients clients.toml --ready-json
  lychgate simulator --set profile=legacy --lie id-token-nonce-other --control 127.0.0.1:0";

#[derive(clap::Args)]
#[command(after_help = names())]
pub(super) struct Arguments {
    /// A loopback address; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:9400")]
    listen: SocketAddr,
    /// Give the public API, pub.orcid.org, an address of its own
    #[arg(long, value_name = "ADDRESS")]
    pub_listen: Option<SocketAddr>,
    /// Give the member API, api.orcid.org, an address of its own
    #[arg(long, value_name = "ADDRESS")]
    api_listen: Option<SocketAddr>,
    /// Clients, as [[client]] tables; without, one public and one member client
    #[arg(long, value_name = "FILE")]
    clients: Option<PathBuf>,
    /// A redirect URI of the built-in clients (may be repeated)
    #[arg(long, value_name = "URI", conflicts_with = "clients")]
    redirect_uri: Vec<String>,
    /// Speak https with this certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// How others reach it, which is also the issuer, such as https://orcid.localhost:{port}
    #[arg(long, value_name = "URL")]
    public_base: Option<String>,
    /// Set a switch (may be repeated)
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Tell a lie (may be repeated)
    #[arg(long, value_name = "NAME")]
    lie: Vec<String>,
    /// Print every switch with its values, and end
    #[arg(long)]
    switches: bool,
    /// Print every lie with what to make of it, and end
    #[arg(long)]
    lies: bool,
    /// Let programs change switches while it runs, at this loopback address, with a token
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// Print one line of JSON on stdout once it accepts
    #[arg(long)]
    ready_json: bool,
    /// What to log on stderr
    #[arg(long, default_value = "info")]
    log: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    if arguments.switches {
        list_switches();
    }
    if arguments.lies {
        list_lies();
    }
    if arguments.switches || arguments.lies {
        return Ok(Answer::Fine);
    }
    let _log = log::start(&arguments.log, false)?;
    let settings = settings(arguments)?;
    let clients: Vec<String> = settings.clients.iter().map(|client| introduction(client, arguments)).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::listen()?;
        let simulator = Simulator::start(settings).await.context("the simulator cannot be started")?;
        ready(&simulator).announce(arguments.ready_json)?;
        report::aside(format_args!("SIMULATED — not ORCID. Open {} for its people and pages.", simulator.base_url));
        for client in clients {
            report::aside(client);
        }
        for (name, api) in [("public", &simulator.public_api), ("member", &simulator.member_api)] {
            let base = api.as_ref().map_or(&simulator.base_url, |api| &api.base_url);
            report::aside(format_args!("  {name} API {base}/v3.0/"));
        }
        if let Some(control) = &simulator.control {
            report::aside(format_args!("  control http://{}/   token {}", control.local_addr, control.token));
        }
        while !matches!(signals.next().await, Asked::Stop) {}
        simulator.stop().await;
        Ok(Answer::Fine)
    })
}

/// The names of all switches and kinds of lies, for the end of `--help`.
fn names() -> String {
    let switches: Vec<String> = Switches::default().table().into_iter().map(|view| view.name).collect();
    let mut kinds: Vec<String> = Vec::new();
    for lie in lies() {
        let kind = ["id-token", "callback", "discovery", "keys", "token", "userinfo"].into_iter();
        let kind = kind.filter(|kind| lie.name.starts_with(kind)).max_by_key(|kind| kind.len()).unwrap_or(lie.name);
        let kind = format!("{kind}-…");
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let (switches, kinds) = (wrapped(&switches), wrapped(&kinds));
    format!(
        "{EXAMPLES}\n\nSwitches (--switches explains them):\n{switches}\nLies (--lies names all {}):\n{kinds}",
        lies().count()
    )
}

/// Words in lines that fit a terminal.
fn wrapped(words: &[String]) -> String {
    let mut lines = vec![String::from(" ")];
    for word in words {
        if let Some(line) = lines.last_mut().filter(|line| line.len() + word.len() < 96) {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(format!("  {word}"));
        }
    }
    lines.join("\n")
}

fn list_switches() {
    for view in Switches::default().table() {
        report::line(format_args!("{}={}\n    {}: {}", view.name, view.usual, view.about, view.choices));
    }
}

fn list_lies() {
    for lie in lies() {
        let verdict = if lie.verdict == Verdict::Refuse { "refuse" } else { "accept" };
        report::line(format_args!("{:<34} {verdict:<7} {:<12} {}", lie.name, lie.cases, lie.about));
    }
}

/// The switches as the command line sets them; every complaint at once.
fn switches(arguments: &Arguments) -> anyhow::Result<Switches> {
    let mut switches = Switches::default();
    let mut problems = Vec::new();
    for pair in &arguments.set {
        problems.extend(switches.set_pair(pair).err());
    }
    for name in &arguments.lie {
        problems.extend(switches.lie(name, true).err());
    }
    if problems.is_empty() {
        return Ok(switches);
    }
    report::problems(&problems);
    bail!("the switches cannot be set so")
}

/// What somebody needs to know to use a client. The secrets of a file are its writer's.
fn introduction(client: &SimulatedClient, arguments: &Arguments) -> String {
    let kind = if client.member { "member" } else { "public" };
    let published = PUBLISHED.iter().find(|(id, _)| arguments.clients.is_none() && *id == client.id);
    let secret = published.map(|(_, secret)| format!("   secret {secret}")).unwrap_or_default();
    format!("  {kind} client {}{secret}", client.id)
}

/// The built-in clients, with the secrets that are printed.
fn built_in(redirect_uris: &[String]) -> Vec<SimulatedClient> {
    let uris: Vec<&str> = redirect_uris.iter().map(String::as_str).collect();
    let mut clients = default_clients(&uris);
    for client in &mut clients {
        if let Some((_, secret)) = PUBLISHED.iter().find(|(id, _)| *id == client.id) {
            client.secret = ClientSecret::new(*secret);
        }
    }
    clients
}

fn settings(arguments: &Arguments) -> anyhow::Result<SimulatorSettings> {
    let clients = match &arguments.clients {
        None => built_in(&arguments.redirect_uri),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            match clients_from_toml(&text) {
                Ok(clients) => clients,
                Err(problems) => {
                    let problems: Vec<_> = problems.into_iter().map(|problem| problem.file(file)).collect();
                    report::problems(&problems);
                    bail!("the clients cannot be used");
                }
            }
        }
    };
    let mut settings = SimulatorSettings::on_loopback(clients);
    settings.listen = arguments.listen;
    settings.public_base = arguments.public_base.clone();
    settings.public_api = arguments.pub_listen;
    settings.member_api = arguments.api_listen;
    settings.control = arguments.control;
    settings.switches = switches(arguments)?;
    if let (Some(cert), Some(key)) = (&arguments.cert, &arguments.key) {
        let files = [CertificateFiles { cert: cert.clone(), key: key.clone() }];
        let store = CertificateStore::load(&files).map_err(|problems| {
            report::problems(&problems);
            anyhow::anyhow!("the certificate cannot be used")
        })?;
        settings.tls = Some(server_config(store, MinimumTls::Tls12)?);
    }
    Ok(settings)
}

fn ready(simulator: &SimulatorHandle) -> Ready {
    let mut listeners = BTreeMap::from([("simulator", simulator.local_addr.to_string())]);
    let mut urls = Urls { simulator: Some(simulator.base_url.clone()), ..Urls::default() };
    for (name, api, url) in [
        ("public_api", &simulator.public_api, &mut urls.public_api),
        ("member_api", &simulator.member_api, &mut urls.member_api),
    ] {
        if let Some(api) = api {
            listeners.insert(name, api.local_addr.to_string());
            *url = Some(api.base_url.clone());
        }
    }
    if let Some(control) = &simulator.control {
        listeners.insert("control", control.local_addr.to_string());
        urls.control = Some(format!("http://{}/", control.local_addr));
    }
    let mut ready = Ready::new(listeners, urls);
    ready.control_token = simulator.control.as_ref().map(|control| control.token.clone());
    ready.people = simulator
        .people
        .iter()
        .map(|person| Person {
            orcid: person.orcid.to_string(),
            password: person.password.clone(),
            about: person.about.clone(),
        })
        .collect();
    ready
}
