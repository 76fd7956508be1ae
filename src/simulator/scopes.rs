//! Which scopes may be asked for, by whom, and how the consent screen words them (`orcid.md` §4, §10.4).
//! Used by `authorize`, `token` and the pages.

use crate::domain::scope::{CLIENT_CREDENTIALS, THREE_LEGGED};
use crate::domain::{Scope, ScopeSet};

/// Ignored without a word in an authorize request (`orcid.md` §4.3).
const IGNORED: &[&str] = &["profile", "email", "address", "phone", "offline_access"];

/// Reads the `scope` parameter of an authorize request. The error is the scope that spoils it: unknown,
/// for clients themselves, or beyond what this client may ask.
pub(super) fn requested(text: &str, member: bool) -> Result<ScopeSet, String> {
    let mut scopes = ScopeSet::default();
    for word in text.split(' ').filter(|word| !word.is_empty() && !IGNORED.contains(word)) {
        let allowed = THREE_LEGGED.iter().any(|&(known, for_members)| known == word && (member || !for_members));
        match word.parse::<Scope>() {
            Ok(scope) if allowed => scopes.insert(scope),
            _ => return Err(word.to_owned()),
        }
    }
    Ok(scopes)
}

/// Whether these may be had through the implicit flow (`orcid.md` §2.4).
pub(super) fn are_for_implicit(scopes: &ScopeSet) -> bool {
    scopes.iter().all(|scope| matches!(scope.as_str(), "openid" | "/authenticate"))
}

/// Why a client cannot have a scope of its own.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotForClients {
    /// No scope is called that.
    Unknown(String),
    /// It exists, but is not for this client or not for this grant.
    Invalid(String),
}

/// Reads the `scope` parameter of a client_credentials request (`orcid.md` §4.1, §6).
pub(super) fn for_client(text: &str, member: bool) -> Result<ScopeSet, NotForClients> {
    let mut scopes = ScopeSet::default();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let scope: Scope = word.parse().map_err(|_| NotForClients::Unknown(word.to_owned()))?;
        if word == "/read-public" || member && CLIENT_CREDENTIALS.contains(&word) {
            scopes.insert(scope);
        } else if CLIENT_CREDENTIALS.contains(&word) || THREE_LEGGED.iter().any(|(known, _)| *known == word) {
            return Err(NotForClients::Invalid(word.to_owned()));
        } else {
            return Err(NotForClients::Unknown(word.to_owned()));
        }
    }
    if scopes.is_empty() { Err(NotForClients::Invalid(String::new())) } else { Ok(scopes) }
}

/// Whether userinfo answers for a token with these scopes: one of them is or contains `/authenticate`
/// (`orcid.md` §1.5).
pub(super) fn opens_userinfo(scopes: &ScopeSet) -> bool {
    scopes.iter().any(|scope| matches!(scope.as_str(), "openid" | "/authenticate"))
}

/// Whether `narrower` asks for nothing `parent` does not hold, by ORCID's hierarchy (`orcid.md` §5.1, §4.2).
/// Stricter than the hierarchy of the domain in one point: `/authenticate` does not contain `openid`.
pub(super) fn is_within(narrower: &ScopeSet, parent: &ScopeSet) -> bool {
    narrower.iter().all(|scope| {
        parent.contains(scope)
            || match scope.as_str() {
                "/authenticate" => parent.contains(&Scope::openid()),
                "/read-public" => !parent.is_empty(),
                _ => false,
            }
    })
}

/// One line of the consent screen.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: &'static str,
    pub(super) more: &'static str,
}

/// The lines for a scope set; `openid` and `/authenticate` share one.
pub(super) fn lines(scopes: &ScopeSet) -> Vec<Line> {
    let mut lines = Vec::new();
    for (names, text, more) in LINES {
        if scopes.iter().any(|scope| names.contains(&scope.as_str())) {
            lines.push(Line { text, more });
        }
    }
    lines
}

const LINES: &[(&[&str], &str, &str)] = &[
    (
        &["openid", "/authenticate"],
        "Get your ORCID iD",
        "Your 16-character iD and the information on your record that everyone can see.",
    ),
    (
        &["/read-limited"],
        "Read your information with visibility set to Trusted parties",
        "What you have limited to trusted parties. Not what only you can see.",
    ),
    (
        &["/activities/update"],
        "Add/update your research activities (works, affiliations, etc.)",
        "Items this organization adds. It can change only what it has added itself.",
    ),
    (
        &["/person/update"],
        "Add/update information about you (country, keywords, etc.)",
        "Items this organization adds to the personal section. It can change only what it has added itself.",
    ),
    (
        &["/email/read-private"],
        "Read all email addresses from your record, including ones marked as private",
        "Every address on your record.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_asked_of_a_person() {
        let table = [
            ("openid", false, Ok("openid")),
            ("  openid   /authenticate ", false, Ok("/authenticate openid")),
            ("openid profile email address phone offline_access", false, Ok("openid")),
            ("profile", false, Ok("")),
            ("openid /read-limited", false, Err("/read-limited")),
            ("openid /read-limited", true, Ok("/read-limited openid")),
            (
                "/activities/update /person/update /email/read-private",
                true,
                Ok("/activities/update /email/read-private /person/update"),
            ),
            ("/read-public", true, Err("/read-public")),
            ("/webhook", true, Err("/webhook")),
            ("/webhooks", true, Err("/webhooks")),
            ("openid é", false, Err("é")),
        ];
        for (text, member, expected) in table {
            let found = requested(text, member).map(|scopes| scopes.to_string());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn what_a_client_may_have_of_its_own() {
        let unknown = |text: &str| Err(NotForClients::Unknown(text.to_owned()));
        let invalid = |text: &str| Err(NotForClients::Invalid(text.to_owned()));
        let table = [
            ("/read-public", false, Ok("/read-public".to_owned())),
            ("/webhook", false, invalid("/webhook")),
            ("/webhook", true, Ok("/webhook".to_owned())),
            ("/web-hook", true, unknown("/web-hook")),
            ("/read-limited", true, invalid("/read-limited")),
            ("", true, invalid("")),
        ];
        for (text, member, expected) in table {
            assert_eq!(for_client(text, member).map(|scopes| scopes.to_string()), expected, "{text}");
        }
    }

    #[test]
    fn a_refreshed_token_is_never_wider() {
        let set = |text: &str| text.parse::<ScopeSet>().unwrap();
        let table = [
            ("openid", "openid /read-limited", true),
            ("/authenticate", "openid", true),
            ("openid", "/authenticate", false),
            ("/read-limited", "openid", false),
            ("/read-public", "/read-limited", true),
        ];
        for (narrower, parent, within) in table {
            assert_eq!(is_within(&set(narrower), &set(parent)), within, "{narrower} in {parent}");
        }
    }
}
