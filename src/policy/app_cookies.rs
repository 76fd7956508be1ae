//! [`AppCookies`]: which cookies of an app belong to the person they were set for. Compiled from
//! `[hand-off] app_cookies`; `session::app_cookies` binds them and keeps them from everybody else.

use super::read::{Found, Table};
use std::collections::BTreeSet;

/// Most names a site may list, and most cookies that are bound in one browser where all are: each costs
/// the browser a companion cookie, and heads are bounded (T63).
pub const MOST_APP_COOKIES: usize = 16;

/// Longest name of a cookie that can be bound, in bytes.
pub const LONGEST_APP_COOKIE: usize = 64;

/// The cookies of an app that are bound to a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppCookies {
    /// These, by their exact names.
    Named(BTreeSet<String>),
    /// Every one.
    All,
}

impl AppCookies {
    /// Whether a cookie of this name is bound.
    pub fn binds(&self, name: &[u8]) -> bool {
        match self {
            AppCookies::All => true,
            AppCookies::Named(names) => std::str::from_utf8(name).is_ok_and(|name| names.contains(name)),
        }
    }
}

/// Whether a companion can be made for a cookie of this name: a token (RFC 6265 §4.1.1), and short.
pub fn can_be_bound(name: &[u8]) -> bool {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !name.is_empty() && name.len() <= LONGEST_APP_COOKIE && name.iter().all(token)
}

const EXPECTED: &str = "a list of cookie names, such as [\"PHPSESSID\"], or \"auto\" for every cookie of the app";

/// Reads the key; `None` when the site does not have it, or has it wrong.
pub(super) fn compile(table: &Table<'_>) -> Option<AppCookies> {
    if table.is_word("app_cookies", "auto") {
        return Some(AppCookies::All);
    }
    let list = table.texts("app_cookies", true)?;
    if list.value.is_empty() || list.value.len() > MOST_APP_COOKIES {
        let message = format!("this list has {} names; it may have 1 to {MOST_APP_COOKIES}", list.value.len());
        table.source.add(table.source.error(list.line, &list.key, message).expected(EXPECTED));
        return None;
    }
    let mut names = BTreeSet::new();
    for found in list.value {
        if let Some(message) = objection(&found) {
            table.source.add(table.source.error(found.line, &found.key, message).expected(EXPECTED));
        } else if !names.insert(found.value.clone()) {
            let message = format!("`{}` stands here twice", found.value);
            table.source.add(table.source.error(found.line, &found.key, message).remedy("remove one of them"));
        }
    }
    Some(AppCookies::Named(names))
}

fn objection(found: &Found<String>) -> Option<String> {
    let shown: String = found.value.chars().take(60).collect();
    if found.value.to_ascii_lowercase().starts_with("__host-http-lychgate") {
        return Some(format!("`{shown}` is a name of the gate's own cookies, which no app ever sees"));
    }
    (!can_be_bound(found.value.as_bytes())).then(|| format!("`{shown}` is not the name of a cookie"))
}
