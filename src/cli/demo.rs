//! `lychgate demo`: starts the sample world, says where to click, ends on Ctrl-C.

use super::ready::{Person, Ready, Urls, absolute};
use super::signals::{Asked, Signals};
use super::{Answer, log, report};
use crate::demo::{Demo, DemoSettings};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(after_help = "Example:\n  lychgate demo\n  lychgate demo --listen 127.0.0.1:0 --ready-json")]
pub(super) struct Arguments {
    /// Where the gate listens; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Keep certificates, keys and the vault in this folder
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print one line of JSON on stdout once everything accepts
    #[arg(long)]
    ready_json: bool,
    /// What to log on stderr, such as info or lychgate=debug
    #[arg(long, default_value = "warn")]
    log: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    if !arguments.listen.ip().is_loopback() {
        anyhow::bail!("the demo listens on loopback only: anybody can sign in as its people");
    }
    let _log = log::start(&arguments.log, false)?;
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = waiting.block_on(async { Signals::listen() })?;
    let settings = DemoSettings { listen: arguments.listen, state: arguments.state.clone() };
    let demo = match Demo::start(&settings) {
        Ok(demo) => demo,
        Err(fault) => return super::serve::refuse_start(fault),
    };
    ready(&demo).announce(arguments.ready_json)?;
    guide(&demo);
    while !matches!(waiting.block_on(signals.next()), Asked::Stop) {
        demo.gate().reload();
    }
    demo.stop();
    Ok(Answer::Fine)
}

fn ready(demo: &Demo) -> Ready {
    let addresses = demo.gate().addresses();
    let listeners = BTreeMap::from([
        ("gate", addresses.gate.to_string()),
        ("ops", addresses.ops.to_string()),
        ("admin", absolute(&addresses.admin)),
    ]);
    let urls = Urls {
        sites: addresses.sites.clone(),
        sign_in: Some(addresses.sign_in.clone()),
        simulator: Some(demo.simulator().base_url.clone()),
        ..Urls::default()
    };
    let people = demo.people().iter().map(|person| Person {
        orcid: person.orcid.to_string(),
        password: person.password.clone(),
        about: person.about.clone(),
    });
    let mut ready = Ready::new(listeners, urls);
    ready.people = people.collect();
    ready.ca_file = Some(demo.authority_file().display().to_string());
    ready
}

/// What a person needs to know, on stderr: stdout is for the ready line.
fn guide(demo: &Demo) {
    let addresses = demo.gate().addresses();
    report::aside("\nThe demo is open. Everything is on this machine; ORCID is SIMULATED.\n\nOpen one of these:");
    for (name, about) in [
        ("portal", "the connection portal: what ORCID is, and the button"),
        ("wiki", "an old app that believes Remote-User; its front page asks nobody"),
        ("repository", "an app that verifies a signed assertion; /deposit asks for more"),
    ] {
        if let Some(url) = addresses.sites.get(name) {
            report::aside(format_args!("  {url:<42} {about}"));
        }
    }
    report::aside("\nSign in at the simulated ORCID as one of these:");
    for person in demo.people() {
        report::aside(format_args!("  {}   password {}   {}", person.orcid, person.password, person.about));
    }
    report::aside(format_args!(
        "\nYour browser will warn that it does not know who signed the certificate: go on (\"Advanced\", \"Proceed\"), or trust\n\
         this authority, which can vouch for names under localhost only and whose key exists nowhere:\n  {}\n  curl: --cacert {}",
        demo.authority_file().display(),
        demo.authority_file().display()
    ));
    report::aside(format_args!(
        "\nORCID's page of trusted organisations: {}/trusted-organisations\nCtrl-C ends the demo{}.",
        demo.simulator().base_url,
        " and leaves nothing behind (with --state the folder stays)"
    ));
}
