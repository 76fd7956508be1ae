//! `lychgate explain`: what would happen to a request, rule by rule, by the very code that decides.

use super::{Answer, report};
use crate::app::{self, StartFault};
use crate::config::{self, Settings};
use crate::domain::{Broken, ClientName, Clock, Host, Identity, Mfa, OrcidId, ScopeSet, Subject, SystemClock};
use crate::policy::{self, CanonicalPath, ClientFacts, Decision, Facts, Site};
use anyhow::{Context, bail};
use http::Method;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  lychgate explain --config config/lychgate.toml https://library.example/loans\n  lychgate explain --config config/lychgate.toml POST https://library.example/deposit --as 0000-0002-1825-0097 --scopes \"openid /activities/update\"\n\nExit code: 0 admitted, 1 anything else."
)]
pub(super) struct Arguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// `METHOD URL`, or a URL alone for GET
    #[arg(required = true, num_args = 1..=2, value_name = "METHOD? URL")]
    request: Vec<String>,
    /// The iD of the visitor; a guest without
    #[arg(long = "as", value_name = "ID")]
    visitor: Option<OrcidId>,
    /// Through which of the site's clients the visitor signed in; the first, if not said
    #[arg(long, value_name = "NAME")]
    client: Option<ClientName>,
    /// What the visitor has allowed, space-separated
    #[arg(long, default_value = "openid")]
    scopes: ScopeSet,
    /// The visitor has a second factor
    #[arg(long)]
    mfa: bool,
    /// ORCID no longer stands behind what the visitor has allowed
    #[arg(long)]
    broken: bool,
    /// The visitor's address
    #[arg(long, default_value = "192.0.2.1")]
    from: IpAddr,
    /// Print the trace as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Answer> {
    let (settings, problems) = config::load(&arguments.config, Vec::new(), std::env::vars());
    let Some(settings) = settings else {
        report::problems(&problems);
        bail!("the configuration cannot be read");
    };
    let context = app::policy_context(&settings);
    let (policies, problems) = policy::load(&settings.policies.directory, &context);
    let Some(policies) = policies else {
        report::problems(&problems);
        return Err(StartFault::Problems(problems).into());
    };
    let (method, url) = match arguments.request.as_slice() {
        [url] => (Method::GET, url),
        [method, url] => (Method::from_bytes(method.as_bytes()).context("that is not a method")?, url),
        _ => bail!("expected METHOD URL, or a URL"),
    };
    let (host, target) = split(url)?;
    if host == settings.gate.sign_in_host {
        report::line("the sign-in host answers by itself; no policy is asked");
        return Ok(Answer::Fine);
    }
    let Some(site) = policies.site_for_host(&host) else {
        report::line(format_args!("no site answers at `{host}`: 421"));
        return Ok(Answer::No);
    };
    if !policy::is_let_through(&method) {
        report::line(format_args!("refused before any rule: 405, the gate lets no `{method}` through"));
        return Ok(Answer::No);
    }
    let client = arguments.client.as_ref().unwrap_or_else(|| site.client());
    check_scopes(&arguments.scopes, client, context.clients.get(client), site)?;
    let path = match CanonicalPath::from_target(target, &site.switches) {
        Ok((path, _)) => path,
        Err(bad) => {
            report::line(format_args!("refused before any rule: 400, {bad}"));
            return Ok(Answer::No);
        }
    };
    let identity = arguments.visitor.map(|id| Arc::new(identity(id, arguments, client, site, &settings)));
    let facts = Facts {
        site,
        method: &method,
        path: &path,
        visitor: identity.as_ref(),
        peer: arguments.from,
        now: SystemClock.now(),
    };
    let (decision, trace) = policy::explain(&facts);
    if arguments.json {
        report::line(serde_json::to_string_pretty(&trace)?);
    } else {
        report::line(&trace);
    }
    Ok(if matches!(decision, Decision::Admit(_)) { Answer::Fine } else { Answer::No })
}

/// A misspelt scope would be held by nobody, and the answer be about another visitor than was meant.
fn check_scopes(
    scopes: &ScopeSet,
    client: &ClientName,
    facts: Option<&ClientFacts>,
    site: &Site,
) -> anyhow::Result<()> {
    let Some(facts) = facts else { bail!("the configuration has no client `{client}`") };
    let objection = |scope| policy::scope_objection(scope, facts);
    let problems: Vec<_> = scopes.iter().filter_map(objection).map(|problem| problem.key("--scopes")).collect();
    if problems.is_empty() {
        return Ok(());
    }
    report::problems(&problems);
    bail!("no visitor of site `{}` can hold these scopes by its client `{client}`", site.name);
}

/// Host and target as a browser would send them; nothing is repaired on the way.
fn split(url: &str) -> anyhow::Result<(Host, &str)> {
    let rest = url.strip_prefix("https://").context("expected an address that starts with https://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    let (host, _) = Host::from_authority(authority)?;
    Ok((host, if target.is_empty() { "/" } else { target }))
}

fn identity(id: OrcidId, arguments: &Arguments, client: &ClientName, site: &Site, settings: &Settings) -> Identity {
    let now = SystemClock.now();
    let environment = settings.clients.get(client).map_or(site.environment, |client| client.environment);
    Identity {
        subject: Subject::Orcid(id),
        environment,
        client: client.clone(),
        name: None,
        given_name: None,
        family_name: None,
        scopes: arguments.scopes.clone(),
        signed_in_at: now,
        proven_at: Some(now),
        mfa: if arguments.mfa { Mfa::Enabled } else { Mfa::Unknown },
        session_expires: now.plus(Duration::from_secs(settings.sessions.absolute.as_secs())),
        broken: arguments.broken.then_some(Broken::Withdrawn),
    }
}
