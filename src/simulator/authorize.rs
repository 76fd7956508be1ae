//! Reads an authorization request by ORCID's rules and says how a bad one is answered (`orcid.md` §2.1-2.3).
//! Pure; called by `consent` and `sign_in`.

use super::clients::{ClientState, SimulatedClient};
use super::redirect::RedirectUri;
use super::scopes;
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
    "show_login",
    "orcid",
    "email",
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

/// A request that may be put before a person. Parameters it does not name (PKCE, `max_age`, `claims`,
/// `login_hint`, …) are ignored, as ORCID does.
pub(super) struct AuthorizeRequest {
    pub(super) client: Arc<SimulatedClient>,
    pub(super) redirect: RedirectUri,
    pub(super) scopes: ScopeSet,
    pub(super) state: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) prompt: Prompt,
    /// `false` opens the registration form when nobody is signed in.
    pub(super) show_login: bool,
    /// The iD to fill in at the sign-in.
    pub(super) orcid: Option<String>,
    /// The e-mail address to fill in at the sign-in.
    pub(super) email: Option<String>,
    /// The same request without `prompt` and `show_login`, to go on with after a sign-in (`orcid.md` §10.1).
    pub(super) onward: String,
}

/// Why a request goes no further.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// Told on a page of ours: there is no client, or no address of it, to send the browser to.
    Page { error: &'static str, description: String },
    /// Told to the client, in the fragment: no description, no state.
    Fragment { location: String },
}

impl AuthorizeRequest {
    /// Reads a query. `client` looks up a client by its id.
    pub(super) fn read(query: &str, client: impl FnOnce(&str) -> Option<Arc<SimulatedClient>>) -> Result<Self, Unfit> {
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
        if response_type != "code" {
            // Clients here do not have the implicit grant, so every other type is refused alike.
            return Err(Unfit::Fragment { location: redirect.with_fragment("error=unsupported_response_type") });
        }
        let scopes = scopes::requested(scope, client.member)
            .map_err(|_| Unfit::Fragment { location: redirect.with_fragment("error=invalid_scope") })?;
        if scopes.is_empty() {
            return Err(page("oauth_error", "Please specify the desired scopes"));
        }
        let text = |name| fields.filled(name).filter(|value| value.len() <= LONGEST).map(str::to_owned);
        let openid = scopes.iter().any(|scope| scope.as_str() == "openid");
        Ok(Self {
            prompt: prompt(fields.get("prompt").filter(|_| openid)),
            show_login: fields.get("show_login") != Some("false"),
            state: text("state"),
            nonce: text("nonce").filter(|_| openid),
            orcid: text("orcid"),
            email: text("email"),
            onward: fields.without(&["prompt", "show_login"]),
            client,
            redirect,
            scopes,
        })
    }

    /// Where a code is delivered.
    pub(super) fn with_code(&self, code: &str) -> String {
        self.with_state(&[("code", code)])
    }

    /// Where a refusal is told (`orcid.md` §2.3).
    pub(super) fn denied(&self) -> String {
        self.with_state(&[("error", "access_denied"), ("error_description", "User denied access")])
    }

    fn with_state(&self, parameters: &[(&str, &str)]) -> String {
        let mut parameters = parameters.to_vec();
        if let Some(state) = &self.state {
            parameters.push(("state", state));
        }
        self.redirect.with_query(&parameters)
    }

    /// What pages whose forms end at this client must allow in `form-action`.
    pub(super) fn form_action(&self) -> Vec<String> {
        let mut sources = self.redirect.form_action();
        sources.extend(self.client.onward_origins.iter().cloned());
        sources
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

#[cfg(test)]
mod tests {
    use super::*;

    const REDIRECT: &str = "https://a.example/cb";

    fn read(query: &str, member: bool) -> Result<AuthorizeRequest, Unfit> {
        let client = SimulatedClient::new("APP-0000000000000000", "secret", "A", member, &[REDIRECT]);
        AuthorizeRequest::read(query, |id| (id == client.id).then(|| Arc::new(client)))
    }

    fn outcome(query: &str, member: bool) -> String {
        match read(query, member) {
            Ok(request) => format!("ok {}", request.scopes),
            Err(Unfit::Page { error, description }) => format!("{error}: {description}"),
            Err(Unfit::Fragment { location }) => location,
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
}
