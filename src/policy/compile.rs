//! Makes a [`Site`] from one policy file, complaining about everything at once. Called by `load`; the
//! parts with rules of their own are in `compile_rules`, `compile_handoff`, `upstream` and `authority`.

use super::authority::authority;
use super::cases;
use super::compile_handoff::compile_hand_off;
use super::compile_rules::compile_rules;
use super::handoff::HandOff;
use super::hint_key::hint_key;
use super::keys;
use super::load::{ClientFacts, PolicyContext, Reader};
use super::path::PathSwitches;
use super::read::{Found, Table};
use super::rules::Rule;
use super::site::{AuthorizationHeader, BadgeReach, HostHeader, SignInStyle, Site, SiteKind, SiteLimits};
use super::upstream::{self, Verification};
use crate::domain::quantity;
use crate::domain::{ClientName, Environment, Host, SiteName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// More registrations than this leave nobody a choice.
const MAX_CLIENTS: usize = 8;

/// What compiling one file needs around it.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) context: &'a PolicyContext,
    pub(super) reader: &'a Reader<'a>,
}

/// The name and hosts a file lays claim to, known even when the rest of it is wrong.
#[derive(Debug, Default)]
pub(super) struct Claims {
    pub(super) name: Option<Found<SiteName>>,
    pub(super) hosts: Vec<Found<Host>>,
}

/// Compiles a whole file. The site is complete only if no complaint was an error.
pub(super) fn compile(root: &Table<'_>, around: Surroundings<'_>) -> (Claims, Option<Site>) {
    let Some(table) = root.table("site", keys::SITE) else {
        let problem = root.complain("this file has no [site] table");
        root.source.add(problem.expected("a table [site] with at least a name, hosts and an upstream"));
        return (Claims::default(), None);
    };
    let claims = Claims { name: site_name(&table), hosts: hosts(&table, around.context) };
    let clients = clients(&table, around.context);
    let switches = switches(&table);
    let kind = kind(&table, around);
    let portal = kind == Some(SiteKind::Portal);
    let facts: Vec<_> = clients.iter().filter_map(|name| around.context.clients.get(name)).collect();
    let hand_off = compile_hand_off(root, claims.name.as_ref().map(|name| &name.value), portal);
    let rules = compile_rules(root, &switches, &facts, portal, around.reader);
    let cases = cases::read(root, facts.first().copied(), &rules);
    warn_of_plain_mistakes(root, &table);
    let site = assemble(Parts {
        root,
        table: &table,
        claims: &claims,
        clients,
        switches,
        kind,
        hand_off,
        rules,
        cases,
        around,
    });
    (claims, site)
}

/// Everything `assemble` puts together.
struct Parts<'a> {
    root: &'a Table<'a>,
    table: &'a Table<'a>,
    claims: &'a Claims,
    clients: Vec<ClientName>,
    switches: PathSwitches,
    kind: Option<SiteKind>,
    hand_off: HandOff,
    rules: Vec<Rule>,
    cases: Vec<cases::Case>,
    around: Surroundings<'a>,
}

fn assemble(parts: Parts<'_>) -> Option<Site> {
    let Parts { root, table, claims, clients, switches, kind, hand_off, rules, cases, around } = parts;
    let text = |key: &str| table.text(key).map(|found| found.value);
    let flag = |key: &str, default: bool| table.flag(key).map_or(default, |found| found.value);
    // Every key is read before the first `?`, so that each is complained about.
    let title = text("title");
    let sign_in = table.choice("sign_in", &[("page", SignInStyle::Page), ("direct", SignInStyle::Direct)]);
    let words = [("strip", AuthorizationHeader::Strip), ("pass", AuthorizationHeader::Pass)];
    let authorization = table.choice("authorization", &words);
    let badge = table.choice("badge", &[("own", BadgeReach::Own), ("connected", BadgeReach::Connected)]);
    let host_header = host_header(table);
    let limits = limits(root);
    let cors_origins = cors_origins(table);
    let (about, contact) = (text("about"), text("contact"));
    let hint_key = hint_key(table, around.reader);
    let keep_forms = flag("keep_forms", true);
    let (private_cache, hsts, websocket) = (flag("private_cache", true), flag("hsts", true), flag("websocket", true));
    let websocket_grace = websocket_grace(table, websocket);
    let confirm = flag("confirm", false);
    let fragments = flag("fragments", false);
    let name = claims.name.as_ref()?.value.clone();
    let environment = around.context.clients.get(clients.first()?)?.environment;
    Some(Site {
        title: title.unwrap_or_else(|| name.to_string()),
        name,
        hosts: claims.hosts.iter().map(|host| host.value.clone()).collect(),
        kind: kind?,
        environment,
        clients,
        sign_in: sign_in.map_or(SignInStyle::Page, |found| found.value),
        confirm,
        hand_off,
        switches,
        limits,
        host_header,
        keep_forms,
        private_cache,
        hsts,
        websocket,
        websocket_grace,
        fragments,
        badge: badge.map_or(BadgeReach::Own, |found| found.value),
        authorization: authorization.map_or(AuthorizationHeader::Strip, |found| found.value),
        cors_origins,
        about,
        hint_key,
        contact,
        rules,
        cases,
        file: root.source.file.clone(),
    })
}

fn site_name(table: &Table<'_>) -> Option<Found<SiteName>> {
    if !table.has("name") {
        table.source.add(table.complain("the site has no name").expected("name = \"library\""));
        return None;
    }
    let found = table.text("name")?;
    match found.value.parse::<SiteName>() {
        Ok(name) => Some(found.with(name)),
        Err(error) => {
            table.source.add(table.source.error(found.line, &found.key, error.to_string()));
            None
        }
    }
}

fn hosts(table: &Table<'_>, context: &PolicyContext) -> Vec<Found<Host>> {
    let source = table.source;
    if !table.has("hosts") {
        source.add(table.complain("the site has no hosts").expected("hosts = [\"library.campus.example\"]"));
        return Vec::new();
    }
    let Some(list) = table.texts("hosts", false) else { return Vec::new() };
    if list.value.is_empty() {
        source.add(source.error(list.line, &list.key, "the list of hosts is empty").remedy("name at least one host"));
    }
    let mut hosts: Vec<Found<Host>> = Vec::new();
    for found in list.value {
        match found.value.parse::<Host>() {
            Ok(host) if !upstream::is_plain_name(&host) => source.add(
                source
                    .error(found.line, &found.key, format!("`{host}` is not a host name"))
                    .remedy("list every host by its full name; wildcards are not supported"),
            ),
            Ok(host) if host == context.sign_in_host => source.add(
                source
                    .error(found.line, &found.key, "no site may stand on the sign-in host")
                    .found(&host)
                    .remedy("give the site a host of its own, or change [gate] sign_in_host"),
            ),
            Ok(host) if hosts.iter().any(|other| other.value == host) => {
                source.add(source.error(found.line, &found.key, format!("the host `{host}` is listed twice")));
            }
            Ok(host) => hosts.push(found.with(host)),
            Err(error) => {
                let remedy = match found.value.rsplit_once(':') {
                    Some((_, port)) if port.parse::<u16>().is_ok() => "leave the port out; a host is a name alone",
                    _ => "write a name such as library.campus.example",
                };
                source.add(source.error(found.line, &found.key, error.to_string()).remedy(remedy));
            }
        }
    }
    hosts
}

/// One registration or several; none when there was an error.
fn clients(table: &Table<'_>, context: &PolicyContext) -> Vec<ClientName> {
    if !table.has("client") {
        if context.default_client.is_none() {
            let known = context.clients.keys().map(ClientName::as_str);
            let problem = table.complain("the site names no client, and the configuration has no default one");
            table.source.add(
                problem
                    .expected(format!("client = one of {}", quantity::one_of(known)))
                    .remedy("add client = \"…\", or default = true to one [clients.NAME] of the configuration"),
            );
        }
        return context.default_client.iter().cloned().collect();
    }
    let Some(list) = table.texts("client", true) else { return Vec::new() };
    let mut clients: Vec<ClientName> = Vec::new();
    for found in &list.value {
        let Some(name) = client(table, found, context) else { return Vec::new() };
        let complain = |message: String| table.source.error(found.line, &found.key, message);
        if clients.contains(&name) {
            table.source.add(complain(format!("`{name}` is listed already")).remedy("list each client once"));
        } else if let Some(other) = clients.iter().find(|other| are_strangers(&context.clients, other, &name)) {
            let problem = complain(format!("the same name may be two people at `{name}` and at `{other}`"));
            let remedy = "make a site of its own for each: the app could not tell them apart";
            table.source.add(problem.remedy(remedy));
        }
        clients.push(name);
    }
    if clients.is_empty() || clients.len() > MAX_CLIENTS {
        let problem = table.source.error(list.line, &list.key, format!("{} clients", clients.len()));
        table.source.add(problem.expected(format!("one to {MAX_CLIENTS} names of clients")));
    }
    clients
}

fn client(table: &Table<'_>, found: &Found<String>, context: &PolicyContext) -> Option<ClientName> {
    let known = || context.clients.keys().map(ClientName::as_str);
    let name = found.value.parse::<ClientName>().ok().filter(|name| context.clients.contains_key(name));
    if name.is_none() {
        let problem = table
            .source
            .error(found.line, &found.key, format!("the configuration has no client `{}`", found.value))
            .expected(quantity::one_of(known()));
        table.source.add(match quantity::nearest(&found.value, known()) {
            Some(near) => problem.remedy(format!("did you mean \"{near}\"?")),
            None => problem.remedy("add a [clients.NAME] table to the configuration"),
        });
    }
    name
}

/// iDs of ORCID and of its sandbox look alike and name different people, and so do two providers' own names for
/// people. Neither a rule's list nor the app could tell.
fn are_strangers(known: &BTreeMap<ClientName, ClientFacts>, one: &ClientName, other: &ClientName) -> bool {
    let (Some(one), Some(other)) = (known.get(one), known.get(other)) else { return false };
    let both_orcid = one.environment != Environment::Other && other.environment != Environment::Other;
    both_orcid && one.environment != other.environment || one.foreign_subjects && other.foreign_subjects
}

fn switches(table: &Table<'_>) -> PathSwitches {
    PathSwitches {
        ignore_parameters: table
            .choice("path_parameters", &[("refuse", false), ("ignore", true)])
            .is_some_and(|f| f.value),
        keep_encoded_slash: table
            .choice("encoded_slash", &[("refuse", false), ("keep", true)])
            .is_some_and(|f| f.value),
        case_insensitive: table.flag("case_insensitive").is_some_and(|f| f.value),
    }
}

fn kind(table: &Table<'_>, around: Surroundings<'_>) -> Option<SiteKind> {
    let source = table.source;
    let portal = table.flag("portal").is_some_and(|found| found.value);
    let verification = verification(table, around);
    if portal {
        for key in ["upstream", "upstream_ca", "upstream_insecure_skip_verify"] {
            if table.has(key) {
                let message = format!("a portal has no app behind it, so `{key}` means nothing");
                source.add(
                    source
                        .error(table.line_of(key), &table.path(key), message)
                        .remedy(format!("remove `portal = true` or `{key}`")),
                );
            }
        }
        return Some(SiteKind::Portal);
    }
    if !table.has("upstream") {
        let problem = table.complain("the site has neither an upstream nor `portal = true`");
        source.add(problem.expected("upstream = \"http://127.0.0.1:8080\""));
        return None;
    }
    let list = table.texts("upstream", true)?;
    if list.value.is_empty() {
        source.add(source.error(list.line, &list.key, "the list of upstreams is empty"));
    }
    let mut upstreams = Vec::new();
    for found in list.value {
        match upstream::parse(&found.value, &verification) {
            Ok(one) if upstreams.contains(&one) => {
                source.add(source.error(found.line, &found.key, format!("the upstream `{one}` is listed twice")));
            }
            Ok(one) => upstreams.push(one),
            Err(error) => source.add(
                source
                    .error(found.line, &found.key, error.to_string())
                    .found(shown_upstream(&found.value))
                    .remedy(error.remedy()),
            ),
        }
    }
    (!upstreams.is_empty()).then_some(SiteKind::App { upstreams })
}

/// An address without what might be a password in it.
fn shown_upstream(text: &str) -> String {
    match text.split_once('@') {
        Some((_, host)) => format!("…@{}", host.chars().take(80).collect::<String>()),
        None => text.chars().take(120).collect(),
    }
}

fn verification(table: &Table<'_>, around: Surroundings<'_>) -> Verification {
    let source = table.source;
    let insecure_skip_verify = table.flag("upstream_insecure_skip_verify").is_some_and(|found| found.value);
    if insecure_skip_verify {
        let key = "upstream_insecure_skip_verify";
        let message = "the app's certificate is not verified: whoever stands between can read and forge everything";
        source.add(
            source
                .warning(table.line_of(key), &table.path(key), message)
                .remedy("name the app's own authority with upstream_ca instead"),
        );
    }
    Verification { authority: authority(table, around.reader).map(Arc::new), insecure_skip_verify }
}

fn host_header(table: &Table<'_>) -> HostHeader {
    let Some(found) = table.text("host_header") else { return HostHeader::Pass };
    match found.value.as_str() {
        "pass" => HostHeader::Pass,
        "upstream" => HostHeader::Upstream,
        name => match Host::from_authority(name).map_err(|error| error.to_string()) {
            Ok((host, _)) if !upstream::is_plain_name(&host) => {
                let problem = table.source.error(found.line, &found.key, format!("`{host}` is not a host name"));
                table.source.add(problem.expected("`pass`, `upstream`, or a host name with perhaps a port"));
                HostHeader::Pass
            }
            Ok((host, port)) => {
                HostHeader::Name(port.map_or_else(|| host.to_string(), |port| format!("{host}:{port}")))
            }
            Err(error) => {
                let expected = "`pass`, `upstream`, or a host name with perhaps a port";
                table.source.add(table.source.error(found.line, &found.key, error).expected(expected));
                HostHeader::Pass
            }
        },
    }
}

fn limits(root: &Table<'_>) -> SiteLimits {
    let default = SiteLimits::default();
    let Some(table) = root.table("limits", keys::LIMITS) else { return default };
    let positive = |key: &str| -> Option<Duration> {
        let found = table.duration(key)?;
        if found.value.is_zero() {
            let problem = table.source.error(found.line, &found.key, "a limit of nothing lets no request through");
            table.source.add(problem.remedy("write \"none\" for no limit, or a longer time"));
        }
        Some(found.value)
    };
    let unlimited = |key: &str| table.is_word(key, "none");
    SiteLimits {
        connect: positive("connect").unwrap_or(default.connect),
        first_byte: if unlimited("first_byte") { None } else { positive("first_byte").or(default.first_byte) },
        idle: if unlimited("idle") { None } else { positive("idle") },
        body: if unlimited("body") { None } else { table.size("body").map(|found| found.value) },
    }
}

/// A session that lapsed is remembered no longer than that.
const LONGEST_GRACE: Duration = Duration::from_secs(12 * 3600);

fn websocket_grace(table: &Table<'_>, websocket: bool) -> Duration {
    let Some(found) = table.duration("websocket_grace") else { return Duration::ZERO };
    if !websocket {
        let problem = table.source.warning(
            found.line,
            &found.key,
            "no WebSocket is let through here, so none outlives a session",
        );
        table.source.add(problem.found("websocket = false").remedy("remove one of the two"));
    }
    if found.value > LONGEST_GRACE {
        let problem = table.source.error(found.line, &found.key, "too long to answer for somebody who may have left");
        let remedy = "shorten it; to keep people signed in for longer, lengthen sessions.idle";
        let found = format!("{:?}", found.value);
        table.source.add(problem.found(found).expected("at most 12h").remedy(remedy));
    }
    found.value
}

fn cors_origins(table: &Table<'_>) -> Vec<String> {
    let Some(list) = table.texts("cors_origins", false) else { return Vec::new() };
    let mut origins = Vec::new();
    for found in list.value {
        match upstream::origin(&found.value) {
            Some(origin) => origins.push(origin),
            None => table.source.add(
                table
                    .source
                    .error(found.line, &found.key, format!("`{}` is not an origin", found.value))
                    .expected("https://HOST or https://HOST:PORT, one by one; `*` would let every page in"),
            ),
        }
    }
    origins
}

fn warn_of_plain_mistakes(root: &Table<'_>, table: &Table<'_>) {
    let source = root.source;
    if !root.has("rule") {
        let problem = source.warning(table.line, "rule", "the site has no rules: every request will be refused");
        source.add(problem.remedy("add at least one [[rule]]"));
    }
    if !root.has("case") && root.has("rule") {
        let problem =
            source.warning(table.line, "case", "the file has no test cases, so nobody notices a mistake in it");
        source.add(problem.remedy("add a few [[case]] tables; `lychgate check` runs them"));
    }
}
