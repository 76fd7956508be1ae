//! A client registration (`[clients.NAME]`) in words: its name, the environment it is registered in,
//! and whether it is a public-API or a member client (`orcid.md` §4.1).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The operator's name for one client registration; stands in the callback address
/// `/.lychgate/callback/NAME`, so it is limited to `a-z`, `0-9`, `-` and 32 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(Box<str>);

impl ClientName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a name that can stand in an address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{found}` is not a usable name: use 1 to {max} characters out of a-z, 0-9 and `-`, starting with a letter or digit"
)]
pub struct BadName {
    pub found: String,
    pub max: usize,
}

/// Checks the shared shape of names that appear in addresses and file names.
pub(crate) fn check_name(text: &str, max: usize) -> Result<(), BadName> {
    let shape = !text.is_empty()
        && text.len() <= max
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-');
    if shape { Ok(()) } else { Err(BadName { found: text.chars().take(64).collect(), max }) }
}

impl FromStr for ClientName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        check_name(text, 32)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ClientName {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> String {
        name.0.into()
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a client is registered. Rows of different environments never mix (`design.md` §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    Production,
    Sandbox,
    /// The bundled offline stand-in.
    Simulator,
    /// Any conforming OpenID provider, named by its issuer.
    Other,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Environment::Production => "production",
            Environment::Sandbox => "sandbox",
            Environment::Simulator => "simulator",
            Environment::Other => "other",
        }
    }

    /// The base of a record's address, `https://orcid.org` or the sandbox's (`orcid.md` §9.1).
    /// Simulated people live at the production form of the address: apps must not need to know.
    pub fn record_base(self) -> &'static str {
        match self {
            Environment::Sandbox => "https://sandbox.orcid.org",
            Environment::Production | Environment::Simulator | Environment::Other => "https://orcid.org",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Public-API clients may ask only for `openid` and `/authenticate`; the rest needs a member client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Membership {
    Public,
    Member,
}
