//! [`Grant`]: what the provider hands over after a completed sign-in, verified.

use super::{AccessToken, Mfa, RefreshToken, ScopeSet, Subject, UnixTime};

/// The outcome of a code exchange whose identity has been proven (`orcid.md` §3.2).
#[derive(Clone, Debug)]
pub struct Grant {
    pub subject: Subject,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub mfa: Mfa,
    /// What was granted, which may differ from what was asked (T94).
    pub scopes: ScopeSet,
    pub access_token: AccessToken,
    pub refresh_token: Option<RefreshToken>,
    /// Absolute, 64-bit; `None` when the provider named no lifetime.
    pub expires: Option<UnixTime>,
    /// `None` at ORCID, which never says that somebody signed out there.
    pub at_provider: Option<ProviderSession>,
}

/// What a provider calls a sign-in, and will call it when it says that the person signed out
/// (OpenID Connect Back-Channel Logout §2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderSession {
    /// The id_token's `sub`, as sent.
    pub subject: String,
    /// The id_token's `sid`: the provider's session in one browser.
    pub sid: Option<String>,
    /// The id_token's `iat`.
    pub issued: UnixTime,
}
