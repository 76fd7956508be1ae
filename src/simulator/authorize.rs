//! Reads an authorization request by ORCID's rules and says how a bad one is answered (`orcid.md` §2.1-2.4).
//! Pure; called by `consent` and `sign_in`. What is answered in the end is in `response`.

use super::clients::{ClientState, SimulatedClient};
use super::redirect::RedirectUri;
use super::scopes;
use super::switches::{Pkce, Switches};
use super::visit::Fields;
use crate::domain::ScopeSet;
use std::sync::Arc;

/// The parameters that are understood; RFC 6749 §3.1 forbids sending one twice.
const PARAMETERS: &[&str] = &[
    "client_id",
    "response_type",
    "scope",
    "redirect_uri",
    "state",
    "nonce",
    "prompt",
    "max_age",
    "show_login",
    "orcid",
    "email",
    "given_names",
    "family_names",
    "code_challenge",
    "code_challenge_method",
];

/// Longest `state` or `nonce` in bytes.
const LONGEST: usize = 4_096;

/// What the `prompt` parameter asks for. Only a request with `openid` may have one (`orcid.md` §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Prompt {
    /// Sign in again, even if somebody is signed in.
    pub(super) login: bool,
    /// Show nothing at all.
    pub(super) none: bool,
    /// Show the consent screen even if it could be skipped (ORCID's own extension).
    pub(super) confirm: bool,
}

/// What the client wants back (`orcid.md` §2.1, §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Code,
    /// The implicit flow: at least one of the two.
    Implicit {
        access_token: bool,
        id_token: bool,
    },
}

impl Wanted {
    fn read(response_type: &str) -> Option<Self> {
        let mut words: Vec<&str> = response_type.split(' ').filter(|word| !word.is_empty()).collect();
        words.sort_unstable();
        match words.as_slice() {
            ["code"] => Some(Self::Code),
            ["token"] => Some(Self::Implicit { access_token: true, id_token: false }),
            ["id_token"] => Some(Self::Implicit { access_token: false, id_token: true }),
            ["id_token", "token"] => Some(Self::Implicit { access_token: true, id_token: true }),
            _ => None,
        }
    }
}

/// What the registration form can be filled in with (`orcid.md` §2.1).
#[derive(Clone, Debug, Default)]
pub(super) struct Hints {
    pub(super) orcid: Option<String>,
    pub(super) email: Option<String>,
    pub(super) given_names: Option<String>,
    pub(super) family_names: Option<String>,
}

/// A request that may be put before a person. Parameters it does not name (`claims`, `login_hint`, …) are
/// ignored, as ORCID does; PKCE's too, unless the switch has discovery list it.
pub(super) struct AuthorizeRequest {
    pub(super) client: Arc<SimulatedClient>,
    pub(super) redirect: RedirectUri,
    pub(super) wanted: Wanted,
    pub(super) scopes: ScopeSet,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    /// PKCE's, with the method the switch asks for.
    pub(super) challenge: Option<String>,
    pub(super) prompt: Prompt,
    /// Seconds since the last sign-in beyond which a new one is demanded; the legacy server alone heeds it.
    pub(super) max_age: Option<u64>,
    /// `false` opens the registration form when nobody is signed in.
    pub(super) show_login: bool,
    pub(super) hints: Hints,
    /// The same request without `prompt`, `max_age` and `show_login`, to go on with after a sign-in
    /// (`orcid.md` §10.1).
    pub(super) onward: String,
}

/// Why a request goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Told on a page of ours: there is no client, or no address of it, to send the browser to.
    Page { error: &'static str, description: String },
    /// Told to the client: no state, and a description only in the query.
    Told { location: String },
}

impl AuthorizeRequest {
    /// Reads a query. `client` looks up a client by its id.
    pub(super) fn read(
        query: &str,
        switches: &Switches,
        client: impl FnOnce(&str) -> Option<Arc<SimulatedClient>>,
    ) -> Result<Self, Unfit> {
        let fields = Fields::read(query.as_bytes());
        if fields.repeats(PARAMETERS) {
            return Err(page("oauth_error", "A parameter occurs more than once"));
        }
        let asked = |name, what: &str| fields.filled(name).ok_or_else(|| page("oauth_error", what));
        let client_id = asked("client_id", "Please specify a client id")?;
        let redirect_uri = asked("redirect_uri", "Please specify a redirect URL")?;
        let scope = asked("scope", "Please specify the desired scopes")?;
        let response_type = asked("response_type", "Please specify a response type")?;
        let client =
            client(client_id).ok_or_else(|| page("invalid_client", &format!("Client not found: {client_id}")))?;
        match client.state {
            ClientState::Active => {}
            ClientState::Locked => return Err(page("client_locked", "The client is locked")),
            ClientState::Deactivated => return Err(page("client_deactivated", "The client is deactivated")),
        }
        let redirect = covered(redirect_uri, &client)
            .ok_or_else(|| page("invalid_grant", "Redirect URI doesn't match your registered redirect URIs."))?;
        let told =
            |error: &str, description: &str| Unfit::Told { location: tell(switches, &redirect, error, description) };
        let wanted = Wanted::read(response_type)
            .filter(|wanted| *wanted == Wanted::Code || client.implicit)
            .ok_or_else(|| told("unsupported_response_type", "Unsupported response type"))?;
        let scopes = scopes::requested(scope, client.member)
            .map_err(|scope| told("invalid_scope", &format!("Invalid scope: {scope}")))?;
        if scopes.is_empty() {
            return Err(page("oauth_error", "Please specify the desired scopes"));
        }
        if wanted != Wanted::Code && !scopes::are_for_implicit(&scopes) {
            return Err(told("invalid_scope", "Invalid scope for the implicit flow"));
        }
        let openid = scopes.iter().any(|scope| scope.as_str() == "openid");
        let text = |name| fields.filled(name).filter(|value| value.len() <= LONGEST).map(str::to_owned);
        let nonce = text("nonce").filter(|_| openid);
        if matches!(wanted, Wanted::Implicit { id_token: true, .. }) && nonce.is_none() {
            // The legacy server says it with a blank behind (`orcid.md` §2.3).
            let word = if switches.is_legacy() { "error=invalid_request%20" } else { "error=invalid_request" };
            return Err(Unfit::Told { location: redirect.with_fragment(word) });
        }
        let challenge = challenge(&fields, switches).map_err(|why| told("invalid_request", why))?;
        Ok(Self {
            prompt: prompt(fields.get("prompt").filter(|_| openid)),
            max_age: fields.get("max_age").filter(|_| openid && switches.is_legacy()).and_then(|age| age.parse().ok()),
            show_login: fields.get("show_login") != Some("false"),
            // The legacy server took markup out (`orcid.md` §2.1).
            state: text("state").map(|state| if switches.is_legacy() { without_markup(&state) } else { state }),
            nonce,
            challenge,
            hints: Hints {
                orcid: text("orcid"),
                email: text("email"),
                given_names: text("given_names"),
                family_names: text("family_names"),
            },
            onward: fields.without(&["prompt", "max_age", "show_login"]),
            client,
            redirect,
            wanted,
            scopes,
        })
    }

    /// What pages whose forms end at this client must allow in `form-action`.
    pub(super) fn form_action(&self) -> Vec<String> {
        let mut sources = self.redirect.form_action();
        sources.extend(self.client.onward_origins.iter().cloned());
        sources
    }
}

/// The address that tells a client about an error of its request (`orcid.md` §2.3): without state; in the
/// fragment without description.
fn tell(switches: &Switches, redirect: &RedirectUri, error: &str, description: &str) -> String {
    match switches.errors_in_query() {
        true => redirect.with_query(&[("error", error), ("error_description", description)]),
        false => redirect.with_fragment(&format!("error={error}")),
    }
}

fn page(error: &'static str, description: &str) -> Unfit {
    Unfit::Page { error, description: description.chars().take(200).collect() }
}

fn covered(requested: &str, client: &SimulatedClient) -> Option<RedirectUri> {
    let requested = RedirectUri::read_requested(requested)?;
    let covered = client
        .redirect_uris
        .iter()
        .filter_map(|registered| RedirectUri::read(registered))
        .any(|registered| requested.is_covered_by(&registered));
    covered.then_some(requested)
}

fn prompt(text: Option<&str>) -> Prompt {
    let mut prompt = Prompt::default();
    for word in text.unwrap_or("").split(' ') {
        match word {
            "login" => prompt.login = true,
            "none" => prompt.none = true,
            "confirm" => prompt.confirm = true,
            _ => {}
        }
    }
    prompt
}

/// The challenge of a provider that takes PKCE: then nobody goes without (RFC 9700 §2.1.1).
fn challenge(fields: &Fields, switches: &Switches) -> Result<Option<String>, &'static str> {
    let method = match switches.pkce {
        Pkce::Absent => return Ok(None),
        Pkce::S256 => "S256",
        Pkce::Plain => "plain",
    };
    // RFC 7636 §4.3: without a method it is `plain`.
    if fields.filled("code_challenge_method").unwrap_or("plain") != method {
        return Err("Another code_challenge_method is required");
    }
    match fields.filled("code_challenge") {
        Some(challenge) if (43..=128).contains(&challenge.len()) => Ok(Some(challenge.to_owned())),
        _ => Err("A code_challenge of 43 to 128 characters is required"),
    }
}

fn without_markup(text: &str) -> String {
    let mut kept = String::new();
    let mut inside = false;
    for character in text.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => inside = false,
            _ if inside => {}
            other => kept.push(other),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIRECT: &str = "https://a.example/cb";

    fn read(query: &str, member: bool) -> Result<AuthorizeRequest, Unfit> {
        read_with(&Switches::default(), query, member)
    }

    fn read_with(switches: &Switches, query: &str, member: bool) -> Result<AuthorizeRequest, Unfit> {
        let client = SimulatedClient::new("APP-0000000000000000", "secret", "A", member, &[REDIRECT]);
        AuthorizeRequest::read(query, switches, |id| (id == client.id).then(|| Arc::new(client)))
    }

    fn outcome(query: &str, member: bool) -> String {
        match read(query, member) {
            Ok(request) => format!("ok {}", request.scopes),
            Err(Unfit::Page { error, description }) => format!("{error}: {description}"),
            Err(Unfit::Told { location }) => location,
        }
    }

    #[test]
    fn requests_and_how_they_fare() {
        let full = "client_id=APP-0000000000000000&redirect_uri=https://a.example/cb&response_type=code";
        let table = [
            (String::new(), "oauth_error: Please specify a client id"),
            ("client_id=APP-0".into(), "oauth_error: Please specify a redirect URL"),
            ("client_id=APP-0&redirect_uri=x".into(), "oauth_error: Please specify the desired scopes"),
            ("client_id=APP-0&redirect_uri=x&scope=openid".into(), "oauth_error: Please specify a response type"),
            (
                format!("{full}&scope=openid").replace("APP-0", "APP-1"),
                "invalid_client: Client not found: APP-1000000000000000",
            ),
            (
                format!("{full}&scope=openid").replace("a.example", "b.example"),
                "invalid_grant: Redirect URI doesn't match your registered redirect URIs.",
            ),
            (
                format!("{full}&scope=openid").replace("type=code", "type=token"),
                "https://a.example/cb#error=unsupported_response_type",
            ),
            (format!("{full}&scope=openid&scope=openid"), "oauth_error: A parameter occurs more than once"),
            (format!("{full}&scope=openid%20/read-limited&state=s"), "https://a.example/cb#error=invalid_scope"),
            (format!("{full}&scope=profile+email"), "oauth_error: Please specify the desired scopes"),
            (format!("{full}&scope=openid++profile"), "ok openid"),
            (
                format!("{full}&scope=openid&code_challenge=x&code_challenge_method=S256&max_age=0&claims=%7B"),
                "ok openid",
            ),
        ];
        for (query, expected) in table {
            assert_eq!(outcome(&query, false), expected, "{query}");
        }
        assert_eq!(outcome(&format!("{full}&scope=openid%20/read-limited"), true), "ok /read-limited openid");
    }

    #[test]
    fn prompt_and_nonce_need_openid_and_do_not_outlive_the_sign_in() {
        let full = "client_id=APP-0000000000000000&redirect_uri=https://a.example/cb&response_type=code\
                    &prompt=login&show_login=false&nonce=n";
        let with = read(&format!("{full}&scope=openid"), false).ok().unwrap();
        assert!(with.prompt.login && !with.show_login && with.nonce.as_deref() == Some("n"));
        assert!(!with.onward.contains("prompt") && !with.onward.contains("show_login"));
        let without = read(&format!("{full}&scope=/authenticate"), false).ok().unwrap();
        assert!(!without.prompt.login && without.nonce.is_none());
    }

    #[test]
    fn where_an_error_is_told_depends_on_the_profile_and_the_switch() {
        let full = "client_id=APP-0000000000000000&redirect_uri=https://a.example/cb&response_type=code";
        let query = format!("{full}&scope=openid%20/read-limited&state=s");
        let in_query =
            "https://a.example/cb?error=invalid_scope&error_description=Invalid%20scope%3A%20%2Fread-limited";
        let in_fragment = "https://a.example/cb#error=invalid_scope";
        for (set, expected) in [
            ("profile=2026", in_fragment),
            ("profile=legacy", in_query),
            ("error-placement=query", in_query),
            ("error-placement=fragment", in_fragment),
        ] {
            let mut switches = Switches::default();
            switches.set_pair(set).unwrap();
            let told = read_with(&switches, &query, false).err();
            assert_eq!(told, Some(Unfit::Told { location: expected.to_owned() }), "{set}");
        }
    }

    #[test]
    fn the_legacy_server_heeds_max_age_and_takes_markup_out_of_the_state() {
        let full = "client_id=APP-0000000000000000&redirect_uri=https://a.example/cb&response_type=code\
                    &scope=openid&max_age=60&state=a%3Cb%3Ec%3E";
        let mut switches = Switches::default();
        let now = read_with(&switches, full, false).ok().unwrap();
        assert_eq!((now.max_age, now.state.as_deref()), (None, Some("a<b>c>")));
        switches.set_pair("profile=legacy").unwrap();
        let legacy = read_with(&switches, full, false).ok().unwrap();
        assert_eq!((legacy.max_age, legacy.state.as_deref()), (Some(60), Some("ac>")));
    }

    #[test]
    fn pkce_is_demanded_where_it_is_listed_and_ignored_where_it_is_not() {
        let full = "client_id=APP-0000000000000000&redirect_uri=https://a.example/cb&response_type=code&scope=openid";
        let challenge = "c".repeat(43);
        for (set, more, taken) in [
            ("pkce=absent", String::new(), Ok(None)),
            ("pkce=absent", format!("&code_challenge={challenge}&code_challenge_method=S256"), Ok(None)),
            ("pkce=S256", String::new(), Err(())),
            ("pkce=S256", format!("&code_challenge={challenge}"), Err(())),
            ("pkce=S256", "&code_challenge=short&code_challenge_method=S256".to_owned(), Err(())),
            (
                "pkce=S256",
                format!("&code_challenge={challenge}&code_challenge_method=S256"),
                Ok(Some(challenge.clone())),
            ),
            ("pkce=plain", format!("&code_challenge={challenge}"), Ok(Some(challenge.clone()))),
        ] {
            let mut switches = Switches::default();
            switches.set_pair(set).unwrap();
            let read = read_with(&switches, &format!("{full}{more}"), false);
            assert_eq!(read.map(|request| request.challenge).map_err(|_| ()), taken, "{set} {more}");
        }
    }

    #[test]
    fn the_implicit_flow_is_for_clients_that_have_it() {
        let query = |kind: &str, more: &str| {
            format!("client_id=APP-0000000000000000&redirect_uri={REDIRECT}&response_type={kind}&scope=openid{more}")
        };
        let read = |query: &str| {
            let mut client = SimulatedClient::new("APP-0000000000000000", "secret", "A", true, &[REDIRECT]);
            client.implicit = true;
            AuthorizeRequest::read(query, &Switches::default(), |_| Some(Arc::new(client)))
        };
        let both = read(&query("token+id_token", "&nonce=n")).ok().unwrap();
        assert_eq!(both.wanted, Wanted::Implicit { access_token: true, id_token: true });
        let one = read(&query("token", "")).ok().unwrap();
        assert_eq!(one.wanted, Wanted::Implicit { access_token: true, id_token: false });
        for (bad, location) in [
            (query("id_token", ""), "https://a.example/cb#error=invalid_request"),
            (query("token", "%20/read-limited"), "https://a.example/cb#error=invalid_scope"),
            (query("code+token", "&nonce=n"), "https://a.example/cb#error=unsupported_response_type"),
        ] {
            assert_eq!(read(&bad).err(), Some(Unfit::Told { location: location.to_owned() }), "{bad}");
        }
    }
}
