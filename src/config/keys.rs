//! Every key of the configuration: its kind, its default, whether it is a secret. One table for the
//! reader, for `check --effective` and for the test that holds `docs/CONFIGURATION.md` to it.

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number between the two, both included.
    Number(u64, u64),
    Duration,
    Size,
    /// An IP address and a port.
    Address,
    /// A file or directory, relative to the configuration file.
    File,
    /// A list of texts; in the environment, separated by commas.
    List,
    /// A list of `{ cert, key }` tables; only in the file.
    Certificates,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// `section.name`; `clients.NAME.id` for those of a client registration.
    pub path: &'static str,
    pub kind: Kind,
    /// As a file would spell it. `None`: required, or not set.
    pub default: Option<&'static str>,
    /// Never shown.
    pub secret: bool,
}

const fn key(path: &'static str, kind: Kind, default: Option<&'static str>) -> Key {
    Key { path, kind, default, secret: false }
}

/// What stands for the name of a client registration in [`Key::path`].
pub(super) const CLIENT: &str = "clients.NAME.";

pub const KEYS: &[Key] = &[
    key("gate.listen", Kind::Address, Some("0.0.0.0:443")),
    key("gate.http_listen", Kind::Address, None),
    key("gate.sign_in_host", Kind::Text, None),
    key("gate.public_port", Kind::Number(1, 65_535), None),
    key("gate.threads", Kind::Number(1, 1_024), None),
    key("gate.max_connections", Kind::Number(1, 10_000_000), Some("20000")),
    key("gate.max_connections_per_address", Kind::Number(1, 10_000_000), Some("1000")),
    key("gate.handshake_timeout", Kind::Duration, Some("10s")),
    key("gate.head_timeout", Kind::Duration, Some("10s")),
    key("gate.keepalive_timeout", Kind::Duration, Some("75s")),
    key("gate.head_bytes", Kind::Size, Some("32 KiB")),
    key("gate.drain", Kind::Duration, Some("30s")),
    key("tls.certificates", Kind::Certificates, None),
    key("tls.minimum", Kind::Text, Some("1.2")),
    key("ops.listen", Kind::Address, Some("127.0.0.1:9901")),
    key("admin.socket", Kind::File, None),
    key("state.directory", Kind::File, Some("/var/lib/lychgate")),
    key("vault.key_file", Kind::File, Some("vault.key")),
    key("sessions.idle", Kind::Duration, Some("8h")),
    key("sessions.absolute", Kind::Duration, Some("24h")),
    key("sessions.outage_grace", Kind::Duration, Some("0s")),
    key("watch.every", Kind::Duration, Some("24h")),
    key("watch.rate", Kind::Number(1, 10), Some("1")),
    key("forms.body", Kind::Size, Some("10 MiB")),
    key("forms.per_browser", Kind::Number(1, 16), Some("2")),
    key("forms.per_address", Kind::Size, Some("64 MiB")),
    key("forms.total", Kind::Size, Some("1 GiB")),
    key("forms.lifetime", Kind::Duration, Some("15 min")),
    key("policies.directory", Kind::File, Some("policies")),
    key("pages.templates", Kind::File, None),
    key("organisation.name", Kind::Text, None),
    key("organisation.about", Kind::Text, None),
    key("organisation.contact", Kind::Text, None),
    key("organisation.privacy", Kind::Text, None),
    key("assertion.lifetime", Kind::Duration, Some("5 min")),
    key("assertion.rotate_every", Kind::Duration, Some("30 days")),
    key("log.level", Kind::Text, Some("info")),
    key("log.format", Kind::Text, Some("text")),
    key("clients.NAME.environment", Kind::Text, None),
    key("clients.NAME.title", Kind::Text, None),
    key("clients.NAME.id", Kind::Text, None),
    Key { path: "clients.NAME.secret", kind: Kind::Text, default: None, secret: true },
    key("clients.NAME.secret_file", Kind::File, None),
    key("clients.NAME.credential", Kind::Text, None),
    key("clients.NAME.membership", Kind::Text, Some("public")),
    key("clients.NAME.default", Kind::Flag, Some("false")),
    key("clients.NAME.issuer", Kind::Text, None),
    key("clients.NAME.base_scope", Kind::Text, Some("openid")),
    key("clients.NAME.authentication", Kind::Text, Some("auto")),
    key("clients.NAME.algorithms", Kind::List, Some("RS256")),
    key("clients.NAME.foreign_subjects", Kind::Flag, Some("false")),
    key("clients.NAME.subject_claim", Kind::Text, None),
    key("clients.NAME.extra_scopes", Kind::List, None),
    key("clients.NAME.offer_sign_out", Kind::Flag, Some("true")),
    key("clients.NAME.show_login", Kind::Flag, Some("true")),
    key("clients.NAME.renew", Kind::Flag, Some("false")),
    key("clients.NAME.userinfo", Kind::Flag, Some("false")),
    key("clients.NAME.ca_file", Kind::File, None),
    key("clients.NAME.connect_timeout", Kind::Duration, Some("5s")),
    key("clients.NAME.timeout", Kind::Duration, Some("10s")),
];

/// The keys of one entry of `tls.certificates`.
pub const CERTIFICATE: &[&str] = &["cert", "key"];

/// The key a concrete path such as `clients.main.id` is an instance of.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let (section, name) = path.split_once('.')?;
    match (section, name.split_once('.')) {
        ("clients", Some((_, name))) => KEYS.iter().find(|key| key.path.strip_prefix(CLIENT) == Some(name)),
        ("clients", None) => None,
        _ => KEYS.iter().find(|key| key.path == path),
    }
}

/// The names of all sections, `clients` included.
pub(super) fn sections() -> Vec<&'static str> {
    let mut all: Vec<_> = KEYS.iter().filter_map(|key| key.path.split('.').next()).collect();
    all.dedup();
    all
}

/// The names of the keys of one section; for `clients`, of every registration.
pub(super) fn of_section(section: &str) -> Vec<&'static str> {
    let name = |key: &Key| match key.path.strip_prefix(CLIENT) {
        Some(name) => (section == "clients").then_some(name),
        None => key.path.split_once('.').filter(|(of, _)| *of == section).map(|(_, name)| name),
    };
    let mut names = Vec::new();
    for key in KEYS {
        let key: &'static Key = key;
        names.extend(name(key));
    }
    names
}

/// The section that does know a key of this name, for somebody who wrote it in another.
pub(super) fn section_of(name: &str) -> Option<&'static str> {
    KEYS.iter().find(|key| key.path.rsplit('.').next() == Some(name)).and_then(|key| key.path.split('.').next())
}
