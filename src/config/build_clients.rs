//! Makes the client registrations of [`Settings`] from the `[clients.NAME]` tables. Called by `build`.

use super::secrets;
use super::settings::{ClientAuthentication, ClientSettings, SigningAlgorithm};
use super::take::Take;
use crate::domain::{ClientName, ClientSecret, Environment, Membership, Problem, Scope, ScopeSet};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ENVIRONMENTS: &[(&str, Environment)] = &[
    ("production", Environment::Production),
    ("sandbox", Environment::Sandbox),
    ("simulator", Environment::Simulator),
    ("other", Environment::Other),
];

const ALGORITHMS: &[(&str, SigningAlgorithm)] =
    &[("RS256", SigningAlgorithm::Rs256), ("ES256", SigningAlgorithm::Es256)];

/// How long a provider may be waited for. A researcher waits just as long.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// All registrations, and the one that sites without a `client` use. `credentials` is the directory
/// systemd hands credentials over in.
pub(super) fn clients(
    take: &Take<'_>,
    credentials: Option<&Path>,
) -> (BTreeMap<ClientName, ClientSettings>, Option<ClientName>) {
    let names = &take.file.clients;
    if names.is_empty() {
        let problem = Problem::error("there is no client registration").expected("a table [clients.NAME]");
        take.complain("clients", problem.remedy("register a client at ORCID and describe it in [clients.main]"));
    }
    let mut clients = BTreeMap::new();
    let mut environments = Vec::new();
    for name in names {
        if let Some(environment) = take.choice(&format!("clients.{name}.environment"), ENVIRONMENTS) {
            environments.push((name, environment));
        }
        if let Some(client) = client(take, name, credentials) {
            clients.insert(name.clone(), client);
        }
    }
    complain_of_mixture(take, &environments);
    warn_of_beginnings(take, &environments);
    let chosen: Vec<&ClientName> = names.iter().filter(|name| take.flag(&format!("clients.{name}.default"))).collect();
    if let [first, others @ ..] = chosen.as_slice() {
        for other in others {
            let problem = Problem::error(format!("`{first}` is the default client already"));
            take.complain(&format!("clients.{other}.default"), problem.remedy("only one client can be the default"));
        }
    }
    let only = || names.first().filter(|_| names.len() == 1);
    (clients, chosen.first().copied().or_else(only).cloned())
}

/// Simulated people must never share a store with real ones.
fn complain_of_mixture(take: &Take<'_>, environments: &[(&ClientName, Environment)]) {
    let simulated = |environment: Environment| environment == Environment::Simulator;
    let Some((real, _)) = environments.iter().find(|(_, environment)| !simulated(*environment)) else { return };
    for (name, _) in environments.iter().filter(|(_, environment)| simulated(*environment)) {
        let problem = Problem::error(format!("a simulator client cannot stand beside `{real}`, which is a real one"));
        let remedy = "run a second gate with a configuration and a state directory of its own";
        take.complain(&format!("clients.{name}.environment"), problem.remedy(remedy));
    }
}

/// ORCID takes any redirect URI that begins with the registered one (`orcid.md` §2.2): under the registration
/// `campus` a code could be sent to the callback of `campus-test`, which belongs to another provider (T42).
fn warn_of_beginnings(take: &Take<'_>, environments: &[(&ClientName, Environment)]) {
    for (name, environment) in environments.iter().filter(|(_, environment)| *environment != Environment::Other) {
        let further = environments.iter().find(|(other, _)| other != name && other.as_str().starts_with(name.as_str()));
        if let Some((further, _)) = further {
            let problem = Problem::warning(format!("ORCID ({environment}) would also send codes to `{further}`"))
                .expected(
                    "names of which none begins with another, since ORCID compares only the beginning of redirect URIs",
                );
            take.complain(&format!("clients.{name}.environment"), problem.remedy(format!("rename `{further}`")));
        }
    }
}

fn client(take: &Take<'_>, name: &ClientName, credentials: Option<&Path>) -> Option<ClientSettings> {
    let at = |key: &str| format!("clients.{name}.{key}");
    take.required(&at("environment"), "environment = \"production\", \"sandbox\", \"simulator\" or \"other\"");
    let environment = take.choice_quietly(&at("environment"), ENVIRONMENTS);
    let id = take.required(&at("id"), "id = \"APP-…\"");
    let (secret, secret_file) = secret(take, name, credentials);
    let membership = take.choice(&at("membership"), &[("public", Membership::Public), ("member", Membership::Member)]);
    let issuer = issuer(take, &at("issuer"), environment);
    let base_scope = base_scope(take, &at("base_scope"), environment);
    let words = [
        ("auto", ClientAuthentication::Auto),
        ("post", ClientAuthentication::Post),
        ("basic", ClientAuthentication::Basic),
    ];
    let authentication = take.choice(&at("authentication"), &words);
    let algorithms = algorithms(take, &at("algorithms"), environment);
    let foreign_subjects = take.flag(&at("foreign_subjects"));
    let subject_claim = subject_claim(take, &at("subject_claim"), foreign_subjects);
    let extra_scopes = extra_scopes(take, &at("extra_scopes"));
    complain_of_strangers_keys(take, environment, &at);
    let userinfo = take.flag(&at("userinfo"));
    let ca_file = take.path(&at("ca_file"));
    if let Some(path) = &ca_file
        && let Err(error) = std::fs::File::open(path)
    {
        take.complain(&at("ca_file"), secrets::unreadable(path, &error));
    }
    let connect_timeout = take.duration(&at("connect_timeout"), SHORTEST_WAIT, LONGEST_WAIT);
    let timeout = take.duration(&at("timeout"), SHORTEST_WAIT, LONGEST_WAIT);
    Some(ClientSettings {
        name: name.clone(),
        title: take.text(&at("title")),
        environment: environment?,
        membership: membership?,
        id: id?,
        secret: secret?,
        secret_file,
        issuer: issuer?,
        base_scope: base_scope?,
        authentication: authentication?,
        algorithms: algorithms?,
        foreign_subjects,
        subject_claim,
        extra_scopes: extra_scopes?,
        offer_sign_out: take.flag(&at("offer_sign_out")),
        show_login: take.flag(&at("show_login")),
        renew: take.flag(&at("renew")),
        userinfo,
        ca_file,
        connect_timeout: connect_timeout?,
        timeout: timeout?,
    })
}

/// ORCID knows people by their iDs alone, has its own scopes, and no sign-out to send anybody to; others have
/// no registration to show.
fn complain_of_strangers_keys(take: &Take<'_>, environment: Option<Environment>, at: &dyn Fn(&str) -> String) {
    if environment == Some(Environment::Other) && take.is_set(&at("show_login")) {
        let why = Problem::error("only ORCID can be told which of its screens to show first");
        take.complain(&at("show_login"), why.remedy("remove the key"));
    }
    if environment.is_none_or(|environment| environment == Environment::Other) {
        return;
    }
    for (name, why) in [
        ("foreign_subjects", "ORCID knows people by their iDs alone"),
        ("subject_claim", "ORCID names the iD in `sub`, and nowhere else"),
        ("extra_scopes", "ORCID's scopes are asked for by the rules that need them"),
        ("offer_sign_out", "ORCID has no sign-out to send anybody to"),
        ("renew", "ORCID's tokens live twenty years, and the watch asks about them by itself"),
    ] {
        let unset = matches!(name, "foreign_subjects" | "renew") && !take.flag(&at(name));
        if take.is_set(&at(name)) && !unset {
            take.complain(&at(name), Problem::error(why).expected("environment = \"other\", or no such key"));
        }
    }
}

/// The claim of the id_token that holds the iD.
fn subject_claim(take: &Take<'_>, key: &str, foreign_subjects: bool) -> Option<String> {
    let claim = take.is_set(key).then(|| take.text(key)).flatten()?;
    // These are read for what they are, and hold no iD.
    const OTHERS: [&str; 9] = ["sub", "iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "sid"];
    if OTHERS.contains(&claim.as_str()) || claim.len() > 128 {
        let problem = Problem::error("this is not a claim that holds an ORCID iD beside `sub`");
        take.complain(key, problem.expected("such as \"orcid\" or \"eduPersonOrcid\""));
        return None;
    }
    if foreign_subjects {
        let problem = Problem::error("with `subject_claim` everybody has an iD, so `foreign_subjects` has no use");
        take.complain(key, problem.remedy("remove one of the two"));
    }
    Some(claim)
}

fn extra_scopes(take: &Take<'_>, key: &str) -> Option<ScopeSet> {
    if !take.is_set(key) {
        return Some(ScopeSet::default());
    }
    let mut scopes = ScopeSet::default();
    for word in take.list(key)? {
        match word.parse::<Scope>() {
            Ok(scope) => scopes.insert(scope),
            Err(bad) => {
                take.complain(key, Problem::error(bad.to_string()).expected("such as [\"profile\"]"));
                return None;
            }
        }
    }
    Some(scopes)
}

/// From `secret`, `secret_file` or `credential`; the environment wins over the file. With the `secret_file`, if it was
/// that.
fn secret(take: &Take<'_>, name: &ClientName, credentials: Option<&Path>) -> (Option<ClientSecret>, Option<PathBuf>) {
    let at = |key: &str| format!("clients.{name}.{key}");
    let all = [at("secret"), at("secret_file"), at("credential")];
    let set: Vec<&String> = all.iter().filter(|key| take.is_set(key)).collect();
    let outside: Vec<&String> = set.iter().copied().filter(|key| !take.is_in_file(key)).collect();
    let chosen = if outside.is_empty() { set } else { outside };
    match chosen.as_slice() {
        [] => {
            let variable =
                format!("LYCHGATE__CLIENTS__{}__SECRET", name.as_str().to_ascii_uppercase().replace('-', "_"));
            let problem = Problem::error("the client's secret is missing")
                .expected("secret_file = \"orcid.secret\", credential = \"orcid\" or the variable below");
            take.complain(&at("secret"), problem.remedy(format!("set one of them, such as {variable}")));
            (None, None)
        }
        [key] if key.ends_with(".secret") => (take.text(key).map(ClientSecret::new), None),
        [key] if key.ends_with(".secret_file") => {
            let path = take.path(key);
            (path.as_deref().and_then(|path| secret_in_file(take, key, path)), path)
        }
        [key] => (credential(take, key, credentials), None),
        [_, second, ..] => {
            let problem = Problem::error("the client has more than one secret");
            take.complain(second, problem.expected("one of `secret`, `secret_file` and `credential`"));
            (None, None)
        }
    }
}

fn secret_in_file(take: &Take<'_>, key: &str, path: &Path) -> Option<ClientSecret> {
    match secrets::read(path) {
        Ok(secret) => {
            if let Some(problem) = secrets::too_open(path) {
                take.complain(key, problem);
            }
            Some(secret)
        }
        Err(problem) => {
            take.complain(key, *problem);
            None
        }
    }
}

/// A systemd credential (`LoadCredential=`), a file the service manager lays down for this service alone.
fn credential(take: &Take<'_>, key: &str, credentials: Option<&Path>) -> Option<ClientSecret> {
    let name = take.text(key)?;
    let Some(directory) = credentials else {
        let problem = Problem::error("there are no credentials: CREDENTIALS_DIRECTORY is not set");
        take.complain(key, problem.remedy(format!("start the gate by systemd with LoadCredential={name}:…")));
        return None;
    };
    if name.contains('/') || name.starts_with('.') {
        take.complain(key, Problem::error("the name of a credential is a plain file name"));
        return None;
    }
    match secrets::read(&directory.join(&name)) {
        Ok(secret) => Some(secret),
        Err(problem) => {
            take.complain(key, *problem);
            None
        }
    }
}

/// ORCID's issuers are fixed; others are named.
fn issuer(take: &Take<'_>, key: &str, environment: Option<Environment>) -> Option<String> {
    let fixed = match environment? {
        Environment::Production => Some("https://orcid.org"),
        Environment::Sandbox => Some("https://sandbox.orcid.org"),
        Environment::Simulator | Environment::Other => None,
    };
    if let Some(fixed) = fixed {
        if let Some(issuer) = take.text(key).filter(|issuer| issuer != fixed) {
            let problem = Problem::error("the issuer of ORCID's own environments is fixed").found(issuer);
            take.complain(key, problem.expected(fixed).remedy("remove the key, or choose environment = \"other\""));
        }
        return Some(fixed.to_owned());
    }
    let issuer = take.required(key, "issuer = \"https://id.campus.example\"")?;
    let url = url::Url::parse(&issuer).ok();
    let plain = url.as_ref().is_some_and(|url| {
        url.has_host()
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    });
    let secure = url.as_ref().is_some_and(|url| url.scheme() == "https" || url.scheme() == "http" && is_loopback(url));
    if !plain || !secure {
        let problem = Problem::error(format!("`{}` is not an issuer", issuer.chars().take(80).collect::<String>()));
        let expected = "an https address without query; plain http for this machine alone (127.0.0.1, localhost)";
        take.complain(key, problem.expected(expected));
        return None;
    }
    Some(issuer)
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What every sign-in asks for: the id_token, or at ORCID the iD alone.
fn base_scope(take: &Take<'_>, key: &str, environment: Option<Environment>) -> Option<Scope> {
    let (openid, authenticate) = (("openid", true), ("/authenticate", false));
    let is_openid = match environment {
        Some(Environment::Other) => take.choice(key, &[openid])?,
        _ => take.choice(key, &[openid, authenticate])?,
    };
    Some(if is_openid { Scope::openid() } else { Scope::authenticate() })
}

fn algorithms(take: &Take<'_>, key: &str, environment: Option<Environment>) -> Option<Vec<SigningAlgorithm>> {
    let mut chosen = Vec::new();
    for word in take.list(key)? {
        match ALGORITHMS.iter().find(|(known, _)| *known == word) {
            Some((_, algorithm)) if !chosen.contains(algorithm) => chosen.push(*algorithm),
            Some(_) => {}
            None => {
                let shown: String = word.chars().take(40).collect();
                let problem = Problem::error(format!("`{shown}` is not an algorithm id_tokens may be signed with"));
                take.complain(key, problem.expected("\"RS256\", or \"ES256\" in environment \"other\""));
                return None;
            }
        }
    }
    let orcid = environment.is_some_and(|environment| environment != Environment::Other);
    if orcid && chosen != [SigningAlgorithm::Rs256] {
        let problem = Problem::error("ORCID signs with RS256 and nothing else").expected("[\"RS256\"], or no such key");
        take.complain(key, problem);
    }
    Some(chosen)
}
