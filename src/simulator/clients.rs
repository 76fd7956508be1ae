//! The organisations registered at the simulator: [`SimulatedClient`], two defaults, and the TOML form.
//! Read by the authorize, token and revoke endpoints; made by `cli` and the tests.

use super::redirect;
use crate::domain::{ClientSecret, Problem};
use serde::Deserialize;

/// Id of the default public-API client.
pub const PUBLIC_CLIENT: &str = "APP-SIMULATEDPUBLIC0";
/// Id of the default member client.
pub const MEMBER_CLIENT: &str = "APP-SIMULATEDMEMBER0";

/// Most redirect URIs one client may have.
const MOST_REDIRECTS: usize = 64;
/// Most clients one simulator may have.
pub(super) const MOST_CLIENTS: usize = 1_000;

/// Whether ORCID still lets a client in (`orcid.md` §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientState {
    #[default]
    Active,
    Locked,
    Deactivated,
}

/// One registered client (`orcid.md` §0 for the shape of id and secret).
#[derive(Clone, Debug)]
pub struct SimulatedClient {
    /// `APP-` and sixteen capital letters or digits.
    pub id: String,
    pub secret: ClientSecret,
    /// The organisation's name, as the consent screen shows it.
    pub name: String,
    pub description: String,
    /// Address of the organisation; shown, and linked if it is http or https.
    pub website: String,
    /// Registered redirect URIs; a requested one may go on where a registered path ends (`orcid.md` §2.2).
    pub redirect_uris: Vec<String>,
    /// A member may ask for more than `openid` and `/authenticate` (`orcid.md` §4.1).
    pub member: bool,
    /// It may use the implicit flow, too (`orcid.md` §2.4).
    pub implicit: bool,
    pub state: ClientState,
    /// Further origins the client's callback may send the browser on to at once. Browsers apply a page's
    /// `form-action` to a whole chain of redirects, so the consent page must name them (`stack.md` §10).
    pub onward_origins: Vec<String>,
}

impl SimulatedClient {
    /// An active client with this id and secret and no description.
    pub fn new(id: &str, secret: &str, name: &str, member: bool, redirect_uris: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            secret: ClientSecret::new(secret),
            name: name.to_owned(),
            description: String::new(),
            website: String::new(),
            redirect_uris: redirect_uris.iter().map(|&uri| uri.to_owned()).collect(),
            member,
            implicit: false,
            state: ClientState::Active,
            onward_origins: Vec::new(),
        }
    }

    /// What is wrong with this registration; empty if nothing is.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let tail = self.id.strip_prefix("APP-").unwrap_or("");
        if tail.len() != 16 || !tail.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
            problems.push(
                Problem::error("the id of a simulated client has another shape")
                    .found(self.id.chars().take(64).collect::<String>())
                    .expected("APP- and sixteen capital letters or digits, such as APP-SIMULATEDPUBLIC0"),
            );
        }
        if self.secret.expose().is_empty() || self.secret.expose().len() > 100 {
            problems.push(
                Problem::error(format!("the secret of client {} is empty or too long", self.id))
                    .expected("1 to 100 characters"),
            );
        }
        if self.name.trim().is_empty() {
            problems.push(Problem::error(format!("client {} has no name", self.id)));
        }
        if self.redirect_uris.len() > MOST_REDIRECTS {
            problems.push(Problem::error(format!("client {} has more than {MOST_REDIRECTS} redirect URIs", self.id)));
        }
        for uri in &self.redirect_uris {
            if redirect::RedirectUri::read(uri).is_none() {
                problems.push(
                    Problem::error(format!("client {} registers a redirect URI that cannot be used", self.id))
                        .found(uri.chars().take(200).collect::<String>())
                        .expected("an absolute http or https address without a fragment"),
                );
            }
        }
        problems
    }
}

/// One public-API and one member client with published secrets, both with these redirect URIs.
pub fn default_clients(redirect_uris: &[&str]) -> Vec<SimulatedClient> {
    let organisation = |id, secret, name, about: &str, member| SimulatedClient {
        description: about.to_owned(),
        website: "https://campus.example/".to_owned(),
        ..SimulatedClient::new(id, secret, name, member, redirect_uris)
    };
    vec![
        organisation(
            PUBLIC_CLIENT,
            "51a7ed00-0000-4000-8000-000000000001",
            "Practice Campus",
            "An invented university that only wants to know who you are (public API).",
            false,
        ),
        organisation(
            MEMBER_CLIENT,
            "51a7ed00-0000-4000-8000-000000000002",
            "Practice Campus Library",
            "An invented university library that may also read and add to records (member API).",
            true,
        ),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    client: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    secret: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    website: String,
    redirect_uris: Vec<String>,
    #[serde(default)]
    member: bool,
    #[serde(default)]
    implicit: bool,
    #[serde(default)]
    state: ClientState,
    #[serde(default)]
    onward_origins: Vec<String>,
}

/// Reads clients from TOML: one `[[client]]` table each, with the fields of [`SimulatedClient`]
/// (`description`, `website`, `member`, `implicit`, `state` and `onward_origins` may be left out).
///
/// Returns every complaint at once; none of them shows a secret.
pub fn clients_from_toml(text: &str) -> Result<Vec<SimulatedClient>, Vec<Problem>> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].lines().count().max(1));
        // The message alone: the full text of a TOML error quotes the line, which may hold a secret.
        vec![Problem::error(error.message().to_owned()).line(line)]
    })?;
    let clients: Vec<SimulatedClient> = file.client.into_iter().map(Entry::registered).collect();
    let mut problems: Vec<Problem> = clients.iter().flat_map(SimulatedClient::problems).collect();
    let mut seen = std::collections::BTreeSet::new();
    for client in &clients {
        if !seen.insert(&client.id) {
            problems.push(Problem::error(format!("client {} is registered twice", client.id)));
        }
    }
    if clients.len() > MOST_CLIENTS {
        problems.push(Problem::error(format!("more than {MOST_CLIENTS} clients")));
    }
    if problems.is_empty() { Ok(clients) } else { Err(problems) }
}

/// Reads one client from JSON, with the same fields.
pub(super) fn client_from_json(text: &[u8]) -> serde_json::Result<SimulatedClient> {
    serde_json::from_slice(text).map(Entry::registered)
}

impl Entry {
    fn registered(self) -> SimulatedClient {
        SimulatedClient {
            id: self.id,
            secret: ClientSecret::new(self.secret),
            name: self.name,
            description: self.description,
            website: self.website,
            redirect_uris: self.redirect_uris,
            member: self.member,
            implicit: self.implicit,
            state: self.state,
            onward_origins: self.onward_origins,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_differ_in_membership() {
        let clients = default_clients(&["https://gate.localhost:8443/"]);
        assert!(clients.iter().all(|client| client.problems().is_empty()));
        assert_eq!(clients.iter().map(|client| client.member).collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn clients_are_read_from_toml() {
        let clients = clients_from_toml(
            r#"
            [[client]]
            id = "APP-ABCDEFGHIJKLMNOP"
            secret = "s3cret-s3cret"
            name = "Somewhere"
            redirect_uris = ["https://somewhere.example/callback"]
            member = true
            "#,
        )
        .unwrap();
        assert_eq!(clients[0].name, "Somewhere");
        assert!(clients[0].member);
        assert!(!format!("{clients:?}").contains("s3cret"));
    }

    #[test]
    fn complaints_come_all_at_once_and_without_the_secret() {
        let problems = clients_from_toml(
            r#"
            [[client]]
            id = "app-1"
            secret = ""
            name = " "
            redirect_uris = ["ftp://x/", "https://x.example/#y", "/relative"]
            "#,
        )
        .unwrap_err();
        assert_eq!(problems.len(), 6);
        let problems = clients_from_toml("[[client]]\nid = 'APP-X'\nsecret = s3cret-s3cret").unwrap_err();
        assert_eq!(problems[0].line, Some(3));
        assert!(!problems[0].to_string().contains("s3cret"));
    }
}
