//! Makes [`Settings`] from a [`File`], section by section, collecting every complaint. Called by `load`;
//! client registrations have their own file, `build_clients`.

use super::build_clients::clients;
use super::file::File;
use super::keys;
use super::secrets;
use super::settings::*;
use super::take::Take;
use crate::domain::quantity;
use crate::domain::{Host, Problem};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Nobody whom the provider has shut out meanwhile stays signed in for longer than this.
const LONGEST_GRACE: Duration = Duration::from_secs(12 * 3_600);

/// `None` only if some complaint is an error; the caller looks at those.
pub(super) fn build(file: &File, credentials: Option<&Path>) -> (Option<Settings>, Vec<Problem>) {
    let take = Take::new(file);
    let settings = settings(&take, credentials);
    (settings, take.into_problems())
}

fn settings(take: &Take<'_>, credentials: Option<&Path>) -> Option<Settings> {
    // Every section is read before the first `?`, so that each is complained about.
    let gate = gate(take);
    let tls = tls(take);
    let ops = ops(take);
    let state = take.path("state.directory").map(|directory| StateSettings { directory });
    let socket = take.path("admin.socket").or_else(|| state.as_ref().map(|state| state.directory.join("admin.sock")));
    let vault = vault(take);
    let sessions = sessions(take);
    let watch = watch(take);
    let forms = forms(take);
    let policies = policies(take);
    let pages = pages(take);
    let organisation = organisation(take, gate.as_ref());
    let assertion = assertion(take);
    let log = log(take);
    let (clients, default_client) = clients(take, credentials);
    complain_of_secret_in_open_file(take);
    Some(Settings {
        gate: gate?,
        tls: tls?,
        ops: ops?,
        admin: AdminSettings { socket: socket? },
        state: state?,
        vault: vault?,
        sessions: sessions?,
        watch: watch?,
        forms: forms?,
        policies: policies?,
        pages,
        organisation: organisation?,
        assertion: assertion?,
        log: log?,
        clients,
        default_client,
        effective: take.effective(),
    })
}

fn gate(take: &Take<'_>) -> Option<GateSettings> {
    let listen = take.address("gate.listen");
    let http_listen = take.address("gate.http_listen");
    complain_of_shared_listener(take, "gate.http_listen", http_listen, listen);
    let sign_in_host = sign_in_host(take);
    let threads = take.count("gate.threads");
    let max_connections = take.count("gate.max_connections");
    let per_address = take.count("gate.max_connections_per_address");
    if let (Some(all), Some(one)) = (max_connections, per_address)
        && one > all
    {
        let problem = Problem::error("one address may not hold more connections than there are altogether");
        take.complain("gate.max_connections_per_address", problem.expected(format!("at most {all}")));
    }
    let handshake_timeout = take.duration("gate.handshake_timeout", SECOND, 5 * MINUTE);
    let head_timeout = take.duration("gate.head_timeout", SECOND, 5 * MINUTE);
    let keepalive_timeout = take.duration("gate.keepalive_timeout", SECOND, HOUR);
    let head_bytes = take.size("gate.head_bytes", 4 << 10, 1 << 20);
    let drain = take.duration("gate.drain", Duration::ZERO, HOUR);
    let public_port = take.number("gate.public_port").and_then(|port| u16::try_from(port).ok());
    Some(GateSettings {
        listen: listen?,
        http_listen,
        sign_in_host: sign_in_host?,
        public_port,
        threads,
        max_connections: max_connections?,
        max_connections_per_address: per_address?,
        handshake_timeout: handshake_timeout?,
        head_timeout: head_timeout?,
        keepalive_timeout: keepalive_timeout?,
        head_bytes: usize::try_from(head_bytes?).ok()?,
        drain: drain?,
    })
}

fn sign_in_host(take: &Take<'_>) -> Option<Host> {
    const KEY: &str = "gate.sign_in_host";
    take.required(KEY, "sign_in_host = \"signin.campus.example\"")?;
    let host: Host = take.parsed(KEY, "a host name without port, such as \"signin.campus.example\"")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !host.as_str().starts_with('[') && !host.as_str().bytes().all(plain) {
        take.complain(
            KEY,
            Problem::error(format!("`{host}` is not a host name")).expected("letters, digits, `-`, dots"),
        );
    }
    Some(host)
}

/// Port 0 asks the system for any, so two of those never meet.
fn complain_of_shared_listener(take: &Take<'_>, key: &str, one: Option<SocketAddr>, other: Option<SocketAddr>) {
    if one.is_some() && one == other && one.is_some_and(|address| address.port() != 0) {
        let problem = Problem::error("another listener of the gate has this very address");
        take.complain(key, problem.remedy("give each listener its own port"));
    }
}

fn tls(take: &Take<'_>) -> Option<TlsSettings> {
    const KEY: &str = "tls.certificates";
    const EXPECTED: &str = "[{ cert = \"certs/campus.pem\", key = \"certs/campus.key\" }]";
    let minimum = take.choice("tls.minimum", &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)]);
    if !take.is_set(KEY) {
        let problem = Problem::error("`certificates` is missing").expected(EXPECTED);
        take.complain(KEY, problem.remedy("name at least one certificate and its key under [tls]"));
        return None;
    }
    let tables = take.tables(KEY, EXPECTED);
    let mut certificates = Vec::new();
    for (at, table) in tables {
        for name in table.keys().filter(|name| !keys::CERTIFICATE.contains(&name.as_str())) {
            let problem = Problem::error(format!("there is no key `{name}` here")).expected("`cert` and `key`");
            take.complain(
                &at,
                match quantity::nearest(name, keys::CERTIFICATE.iter().copied()) {
                    Some(near) => problem.remedy(format!("did you mean `{near}`?")),
                    None => problem,
                },
            );
        }
        let file = |name: &str| match table.get(name).map(|value| value.as_str()) {
            Some(Some(text)) => Some(take.resolve(text)),
            Some(None) => {
                take.complain(&at, Problem::error(format!("`{name}` has the wrong type")).expected("a file name"));
                None
            }
            None => {
                take.complain(&at, Problem::error(format!("`{name}` is missing")).expected(EXPECTED));
                None
            }
        };
        let (cert, key) = (file("cert"), file("key"));
        if let Some(Err(error)) = cert.as_ref().map(std::fs::File::open) {
            take.complain(&at, secrets::unreadable(cert.as_deref().unwrap_or(Path::new("")), &error));
        }
        if let Some(key) = &key {
            secrets::guard(take, &at, key);
        }
        if let (Some(cert), Some(key)) = (cert, key) {
            certificates.push(CertificateFiles { cert, key });
        }
    }
    Some(TlsSettings { certificates, minimum: minimum? })
}

fn ops(take: &Take<'_>) -> Option<OpsSettings> {
    let listen = take.address("ops.listen")?;
    if !listen.ip().is_loopback() {
        let problem = Problem::warning("the ops listener has no sign-in, and others than this machine can reach it");
        take.complain(
            "ops.listen",
            problem.remedy("listen on 127.0.0.1, or let a firewall admit the monitoring alone"),
        );
    }
    complain_of_shared_listener(take, "ops.listen", Some(listen), take.address_quietly("gate.listen"));
    Some(OpsSettings { listen })
}

fn vault(take: &Take<'_>) -> Option<VaultKeySettings> {
    const KEY: &str = "vault.key_file";
    let key_file = take.path(KEY)?;
    if key_file.exists() {
        secrets::guard(take, KEY, &key_file);
    } else {
        let problem = Problem::warning(format!("the sealing key {} does not exist yet", key_file.display()));
        take.complain(
            KEY,
            problem.remedy("make it once with `lychgate keys generate`, and keep a copy in a safe place"),
        );
    }
    Some(VaultKeySettings { key_file })
}

fn sessions(take: &Take<'_>) -> Option<SessionSettings> {
    let idle = take.duration("sessions.idle", MINUTE, 30 * DAY);
    let absolute = take.duration("sessions.absolute", MINUTE, 30 * DAY);
    let outage_grace = take.duration("sessions.outage_grace", Duration::ZERO, Duration::MAX);
    let (idle, absolute, outage_grace) = (idle?, absolute?, outage_grace?);
    if idle > absolute {
        let problem = Problem::error("a session cannot be idle for longer than it lives");
        take.complain("sessions.idle", problem.expected("at most sessions.absolute"));
    }
    if outage_grace > LONGEST_GRACE {
        let problem =
            Problem::error("sessions may not outlive their end by so much").found(format!("{outage_grace:?}"));
        let remedy = "shorten it; to keep people signed in for longer on ordinary days too, lengthen sessions.absolute";
        take.complain("sessions.outage_grace", problem.expected("at most 12h").remedy(remedy));
    } else if outage_grace > Duration::ZERO && outage_grace < MINUTE {
        let problem = Problem::error("an outage is noticed too late for this").found(format!("{outage_grace:?}"));
        let problem = problem.expected("at least 1 min, or \"0s\" for none");
        take.complain("sessions.outage_grace", problem.remedy("choose an hour or more, or leave it out"));
    }
    Some(SessionSettings { idle, absolute, outage_grace })
}

fn watch(take: &Take<'_>) -> Option<WatchSettings> {
    let every = take.duration("watch.every", Duration::ZERO, 30 * DAY);
    let rate = take.number("watch.rate").and_then(|rate| u32::try_from(rate).ok());
    let every = every?;
    if every > Duration::ZERO && every < MINUTE {
        let problem = Problem::error("this looks at every connection too often");
        take.complain("watch.every", problem.expected("at least 1 min, or \"0s\" for never"));
    }
    Some(WatchSettings { every, rate: rate? })
}

/// A form that is sent on is in memory for that moment, so that its size has a bound of its own.
fn forms(take: &Take<'_>) -> Option<FormSettings> {
    let body = take.size("forms.body", 64 << 10, 64 << 20);
    let per_browser = take.count("forms.per_browser");
    let per_address = take.size("forms.per_address", 64 << 10, 1 << 40);
    let total = take.size("forms.total", 64 << 10, 1 << 40);
    let lifetime = take.duration("forms.lifetime", MINUTE, HOUR);
    let (body, per_address, total) = (body?, per_address?, total?);
    if body > per_address {
        let problem = Problem::error("one form may not be larger than all forms from one address");
        take.complain("forms.body", problem.expected("at most forms.per_address"));
    }
    if per_address > total {
        let problem = Problem::error("the forms from one address may not take more room than there is altogether");
        take.complain("forms.per_address", problem.expected("at most forms.total"));
    }
    Some(FormSettings { body, per_browser: per_browser?, per_address, total, lifetime: lifetime? })
}

fn policies(take: &Take<'_>) -> Option<PolicySettings> {
    let directory = take.path("policies.directory")?;
    if !directory.is_dir() {
        let problem = Problem::error(format!("{} is not a directory", directory.display()));
        take.complain("policies.directory", problem.expected("a directory with one file NAME.toml for each site"));
    }
    Some(PolicySettings { directory })
}

fn pages(take: &Take<'_>) -> PageSettings {
    let templates = take.path("pages.templates");
    if let Some(directory) = templates.as_ref().filter(|directory| !directory.is_dir()) {
        let problem = Problem::error(format!("{} is not a directory", directory.display()));
        take.complain("pages.templates", problem.expected("a directory with templates of your own"));
    }
    PageSettings { templates }
}

fn organisation(take: &Take<'_>, gate: Option<&GateSettings>) -> Option<OrganisationSettings> {
    let name = take.text("organisation.name").or_else(|| gate.map(|gate| gate.sign_in_host.to_string()));
    let contact = take.text("organisation.contact");
    let is_web = |text: &str| url::Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host());
    if contact.as_ref().is_some_and(|text| !is_web(text) && !is_mail(text)) {
        let problem = Problem::error("this is neither a mail address nor an https address");
        take.complain("organisation.contact", problem.expected("\"library@campus.example\" or \"https://…\""));
    }
    let privacy = take.text("organisation.privacy");
    if privacy.as_ref().is_some_and(|text| !is_web(text)) {
        let problem = Problem::error("this is not an https address").expected("\"https://campus.example/privacy\"");
        take.complain("organisation.privacy", problem);
    }
    Some(OrganisationSettings { name: name?, about: take.text("organisation.about"), contact, privacy })
}

/// Enough of an address to make a `mailto:` of: one `@`, something on either side, no spaces.
fn is_mail(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '?' | '&' | ':');
    matches!(text.split_once('@'), Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.contains(odd)
}

fn assertion(take: &Take<'_>) -> Option<AssertionSettings> {
    let lifetime = take.duration("assertion.lifetime", 2 * MINUTE, 5 * MINUTE);
    let rotate_every = take.duration("assertion.rotate_every", HOUR, 366 * DAY);
    Some(AssertionSettings { lifetime: lifetime?, rotate_every: rotate_every? })
}

fn log(take: &Take<'_>) -> Option<LogSettings> {
    let level = take.choice("log.level", LogLevel::WORDS);
    let format = take.choice("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    Some(LogSettings { level: level?, format: format? })
}

/// A secret written into the file makes the file a secret (T90).
fn complain_of_secret_in_open_file(take: &Take<'_>) {
    for client in &take.file.clients {
        let key = format!("clients.{client}.secret");
        if take.is_in_file(&key)
            && let Some(problem) = secrets::too_open(&take.file.path)
        {
            let remedy = format!("chmod 600 {}, or move the secret out with secret_file", take.file.path.display());
            take.complain(&key, problem.remedy(remedy));
        }
    }
}
