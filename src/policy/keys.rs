//! Every key a site file may hold, table by table. The reader refuses all others, and a test holds
//! `docs/POLICIES.md` to this list.

/// `(table, its keys)`, as the document's headings spell the tables.
pub const KEYS: &[(&str, &[&str])] = &[
    ("top", TOP),
    ("site", SITE),
    ("limits", LIMITS),
    ("hand-off", HAND_OFF),
    ("hand-off.assertion", ASSERTION),
    ("rule", RULE),
    ("rule.researchers", RESEARCHERS),
    ("case", CASE),
];

pub(super) const TOP: &[&str] = &["site", "limits", "hand-off", "rule", "case"];

pub(super) const SITE: &[&str] = &[
    "name",
    "title",
    "hosts",
    "upstream",
    "upstream_ca",
    "upstream_insecure_skip_verify",
    "portal",
    "about",
    "contact",
    "hint_key_file",
    "client",
    "sign_in",
    "confirm",
    "host_header",
    "authorization",
    "cors_origins",
    "websocket",
    "websocket_grace",
    "keep_forms",
    "private_cache",
    "hsts",
    "badge",
    "fragments",
    "path_parameters",
    "encoded_slash",
    "case_insensitive",
];

pub(super) const LIMITS: &[&str] = &["connect", "first_byte", "idle", "body"];

pub(super) const HAND_OFF: &[&str] = &["preset", "headers", "encoding", "assertion", "app_cookies"];

pub(super) const ASSERTION: &[&str] = &["header", "audience"];

pub(super) const RULE: &[&str] =
    &["name", "paths", "methods", "access", "scopes", "why", "researchers", "networks", "mfa", "max_auth_age"];

/// The keys of a `{ file = "…" }` entry of `researchers`.
pub(super) const RESEARCHERS: &[&str] = &["file"];

pub(super) const CASE: &[&str] = &["request", "as", "scopes", "mfa", "signed_in_for", "broken", "from", "expect"];
