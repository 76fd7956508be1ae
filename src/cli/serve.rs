//! `lychgate serve`: opens the gate with a configuration and keeps it open.

use super::ready::{Ready, Urls, absolute};
use super::signals::{Asked, Signals};
use super::{Answer, log, report};
use crate::app::{Addresses, Gate, StartFault, Surroundings};
use crate::config;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  lychgate serve --config config/lychgate.toml\n\nSIGHUP reads certificates, policies, sealing keys and client secrets again; SIGTERM and Ctrl-C drain and stop."
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Override a setting, such as gate.listen=127.0.0.1:0 (may be repeated)
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::check::key_value)]
    overrides: Vec<(String, String)>,
    /// Print one line of JSON on stdout once every listener accepts
    #[arg(long)]
    ready_json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let (settings, problems) = config::load(&arguments.config, arguments.overrides.clone(), std::env::vars());
    report::problems(&problems);
    let Some(settings) = settings else {
        anyhow::bail!("the gate does not start with this configuration");
    };
    let _log = log::start(settings.log.level.as_str(), settings.log.format == config::LogFormat::Json)?;
    let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Before the gate opens, so that a signal during the start is not lost.
    let mut signals = waiting.block_on(async { Signals::listen() })?;
    let gate = match Gate::start(&settings, Surroundings::default()) {
        Ok(gate) => gate,
        Err(fault) => return refuse_start(fault),
    };
    if settings.simulated() {
        report::aside("SIMULATED: this gate takes sign-ins from a simulator, not from ORCID. Anybody can be anybody.");
    }
    ready(gate.addresses()).announce(arguments.ready_json)?;
    while !matches!(waiting.block_on(signals.next()), Asked::Stop) {
        gate.reload();
    }
    tracing::info!("stopping: no new connections, requests under way may finish");
    gate.stop();
    Ok(Answer::Fine)
}

/// Prints what stops a start and ends the verb.
pub(super) fn refuse_start(fault: StartFault) -> anyhow::Result<Answer> {
    if let StartFault::Problems(problems) = &fault {
        report::problems(problems);
    }
    Err(anyhow::Error::new(fault).context("the gate does not start"))
}

fn ready(addresses: &Addresses) -> Ready {
    let mut listeners = BTreeMap::from([
        ("gate", addresses.gate.to_string()),
        ("ops", addresses.ops.to_string()),
        ("admin", absolute(&addresses.admin)),
    ]);
    if let Some(http) = addresses.http {
        listeners.insert("http", http.to_string());
    }
    let urls = Urls { sites: addresses.sites.clone(), sign_in: Some(addresses.sign_in.clone()), ..Urls::default() };
    Ready::new(listeners, urls)
}
