//! [`Rule`]: one clause of a site's policy as checked. Paths and methods say which requests it decides;
//! everything else is what it demands of them. Read by `decide` alone.

use super::path::CanonicalPath;
use super::pattern::Pattern;
use crate::domain::{OrcidId, ScopeSet};
use http::Method;
use ipnet::IpNet;
use std::time::Duration;

/// Whether a rule wants to know who is asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Never asks; the identity is not handed over even when there is one.
    Public,
    /// Hands the identity over if the visitor is signed in, never asks.
    Optional,
    /// Only signed-in researchers.
    SignedIn,
}

impl Access {
    pub(super) const WORDS: &'static [(&'static str, Access)] =
        &[("public", Access::Public), ("optional", Access::Optional), ("signed-in", Access::SignedIn)];

    /// As policy files spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Public => "public",
            Access::Optional => "optional",
            Access::SignedIn => "signed-in",
        }
    }
}

/// One clause. The first whose paths and methods fit decides; it is never skipped for what it demands.
#[derive(Debug)]
pub struct Rule {
    /// As the file names it, or `rule 3`.
    pub name: String,
    /// Where it stands in its file, one-based.
    pub line: usize,
    pub access: Access,
    /// What the researcher must have allowed.
    pub scopes: ScopeSet,
    /// The operator's words, shown when the researcher is asked.
    pub why: Option<String>,
    /// How long ago the sign-in may be.
    pub max_auth_age: Option<Duration>,
    /// A second factor must be enabled at ORCID.
    pub mfa: bool,
    /// What to ask ORCID for: the scopes above and the client's base scope.
    pub(super) ask: ScopeSet,
    pub(super) paths: Vec<Pattern>,
    /// `None` is every method.
    pub(super) methods: Option<Vec<Method>>,
    /// Sorted. `None` is everybody.
    pub(super) researchers: Option<Vec<OrcidId>>,
    /// `None` is everywhere.
    pub(super) networks: Option<Vec<IpNet>>,
}

/// Whether the gate lets a method through at all, whatever a rule says; it answers 405 if not. It is no tunnel and no mirror
/// (T83). Methods are told apart by case (RFC 9110 §9.1), but many apps write them large before they look: `post` would get
/// past a rule for POST, and be one behind it (T25).
pub fn is_let_through(method: &Method) -> bool {
    let word = method.as_str();
    !matches!(word, "CONNECT" | "TRACE" | "TRACK") && !word.bytes().any(|byte| byte.is_ascii_lowercase())
}

impl Rule {
    pub(super) fn fits_path(&self, path: &CanonicalPath) -> bool {
        self.paths.iter().any(|pattern| pattern.matches(path))
    }

    /// Exact and case-sensitive (RFC 9110 §9.1): GET does not stand for HEAD, nor `get` for GET (T30).
    pub(super) fn fits_method(&self, method: &Method) -> bool {
        self.methods.as_ref().is_none_or(|methods| methods.contains(method))
    }

    /// Whether every request that `later` would decide is decided by this rule already.
    pub(super) fn covers_methods(&self, method: Option<&Method>) -> bool {
        match (&self.methods, method) {
            (None, _) => true,
            (Some(methods), Some(method)) => methods.contains(method),
            (Some(_), None) => false,
        }
    }

    /// How many iDs are listed; `None` when everybody may come.
    pub fn researcher_count(&self) -> Option<usize> {
        self.researchers.as_ref().map(Vec::len)
    }
}
