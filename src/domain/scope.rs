//! [`Scope`] and [`ScopeSet`]: what a researcher allowed (`orcid.md` §4).

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One OAuth scope: printable ASCII without space, `"` and `\` (RFC 6749 §3.3), at most 128 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Box<str>);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a scope: scopes are words of printable ASCII without spaces, such as /read-limited")]
pub struct BadScope(String);

/// The scopes a researcher can grant at ORCID and what each needs (`orcid.md` §4.1).
pub const THREE_LEGGED: &[(&str, bool)] = &[
    ("openid", false),
    ("/authenticate", false),
    ("/read-limited", true),
    ("/activities/update", true),
    ("/person/update", true),
    ("/email/read-private", true),
];

/// Scopes that only a client itself can hold; asking a researcher for one is an error at ORCID.
pub const CLIENT_CREDENTIALS: &[&str] =
    &["/read-public", "/webhook", "/group-id-record/read", "/group-id-record/update", "/premium-notification"];

impl Scope {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The scope that asks for an id_token.
    pub fn openid() -> Self {
        Self("openid".into())
    }

    /// ORCID's own way to ask for nothing but the iD.
    pub fn authenticate() -> Self {
        Self("/authenticate".into())
    }

    /// Whether holding `self` also permits what `wanted` permits (`orcid.md` §4.2).
    pub fn satisfies(&self, wanted: &Scope) -> bool {
        if self == wanted {
            return true;
        }
        matches!(
            (self.as_str(), wanted.as_str()),
            ("openid", "/authenticate" | "/read-public")
                | ("/authenticate", "openid" | "/read-public")
                | ("/read-limited" | "/activities/update" | "/person/update", "/read-public")
        )
    }
}

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(text: &str) -> Result<Self, BadScope> {
        let fine = !text.is_empty()
            && text.len() <= 128
            && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if fine { Ok(Self(text.into())) } else { Err(BadScope(text.chars().take(64).collect())) }
    }
}

impl TryFrom<String> for Scope {
    type Error = BadScope;

    fn try_from(text: String) -> Result<Self, BadScope> {
        text.parse()
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> String {
        scope.0.into()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes. Prints sorted and space-separated; equality is set equality, because ORCID gives
/// them back in any order (`orcid.md` §3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }

    pub fn insert(&mut self, scope: Scope) {
        self.0.insert(scope);
    }

    pub fn union(&self, other: &ScopeSet) -> ScopeSet {
        self.0.union(&other.0).cloned().collect()
    }

    /// The scopes of `wanted` that nothing in this set satisfies.
    pub fn missing(&self, wanted: &ScopeSet) -> ScopeSet {
        wanted.iter().filter(|want| !self.satisfies(want)).cloned().collect()
    }

    /// Whether some scope of this set permits what `wanted` permits.
    pub fn satisfies(&self, wanted: &Scope) -> bool {
        self.0.iter().any(|held| held.satisfies(wanted))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl FromStr for ScopeSet {
    type Err = BadScope;

    /// Reads a space-separated list; repeated spaces collapse, the empty text is the empty set.
    fn from_str(text: &str) -> Result<Self, BadScope> {
        text.split(' ').filter(|word| !word.is_empty()).map(str::parse).collect()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> ScopeSet {
        text.parse().unwrap()
    }

    #[test]
    fn sets_are_equal_whatever_the_order() {
        assert_eq!(set("/read-limited  /activities/update"), set("/activities/update /read-limited"));
        assert_eq!(set("/read-limited /activities/update").to_string(), "/activities/update /read-limited");
        assert!(set("").is_empty());
    }

    #[test]
    fn missing_follows_the_hierarchy() {
        assert!(set("openid").missing(&set("/authenticate")).is_empty());
        assert_eq!(set("/read-limited").missing(&set("/authenticate /read-limited")), set("/authenticate"));
        assert_eq!(set("/activities/update").missing(&set("/read-limited")), set("/read-limited"));
    }

    #[test]
    fn scopes_that_are_not() {
        for bad in ["", "a b", "é", "a\"b", "a\\b", "a\u{7f}"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad}");
        }
    }
}
