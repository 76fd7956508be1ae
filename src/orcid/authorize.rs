//! Where to send the browser: the authorization request (OpenID Connect Core §3.1.2.1, `orcid.md` §2;
//! T35). Called by `signin` through [`super::Provider::authorization_url`].

use super::OrcidTrouble;
use super::client::oidc_client;
use super::endpoints::Endpoints;
use super::settings::ProviderSettings;
use crate::domain::{PersonHint, Scope, ScopeSet};
use openidconnect::core::{CoreAuthPrompt, CoreResponseType};
use openidconnect::{AuthenticationFlow, CsrfToken, LanguageTag, Nonce, PkceCodeChallenge, PkceCodeVerifier};
use std::time::Duration;

/// One sign-in's question to the provider. The three texts are fresh, unguessable, URL-safe.
pub struct AuthorizationRequest<'a> {
    /// What the rule needs; the client's base scope is added here.
    pub scopes: ScopeSet,
    /// At least 22 characters (128 bits).
    pub state: &'a str,
    /// At least 22 characters (128 bits).
    pub nonce: &'a str,
    /// 43 to 128 characters (RFC 7636 §4.1); used only where the provider takes PKCE.
    pub pkce_verifier: &'a str,
    /// Ask the person to sign in again, for shared machines.
    pub prompt_login: bool,
    /// The language of the person's pages, such as `de` or `pt-BR`.
    pub lang: Option<&'a str>,
    /// Fills in the provider's forms.
    pub hint: Option<&'a PersonHint>,
}

/// The languages of ORCID's screens (`orcid.md` §10.5).
const ORCID_LANGUAGES: [&str; 15] =
    ["ar", "cs", "de", "en", "es", "fr", "it", "ja", "ko", "pl", "pt", "ru", "tr", "zh_CN", "zh_TW"];

/// The address for `request`.
pub(super) fn authorization_url(
    settings: &ProviderSettings,
    endpoints: &Endpoints,
    request: &AuthorizationRequest<'_>,
) -> Result<String, OrcidTrouble> {
    check_secrets(request)?;
    let scopes = settings.scopes_to_send(&request.scopes);
    let openid = scopes.contains(&Scope::openid());
    let client = oidc_client(settings, endpoints)?;
    // The library puts `openid` first by itself, or not at all.
    let client = if openid { client } else { client.disable_openid_scope() };
    let (state, nonce) = (request.state.to_owned(), request.nonce.to_owned());
    let mut question = client.authorize_url(
        AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
        || CsrfToken::new(state),
        || Nonce::new(nonce),
    );
    for scope in scopes.iter().filter(|scope| **scope != Scope::openid()) {
        question = question.add_scope(openidconnect::Scope::new(scope.as_str().to_owned()));
    }
    if endpoints.pkce {
        let verifier = PkceCodeVerifier::new(request.pkce_verifier.to_owned());
        question = question.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    }
    // `prompt` means something with `openid` only (`orcid.md` §2.1).
    if request.prompt_login && openid {
        question = question.add_prompt(CoreAuthPrompt::Login);
        // Whoever is asked so has to say when the person signed in (Core §3.1.2.1); ORCID always does.
        if !settings.is_orcid() {
            question = question.set_max_age(Duration::ZERO);
        }
    }
    if settings.is_orcid() && !settings.show_login {
        question = question.add_extra_param("show_login", "false");
    }
    for (name, value) in hints(settings, request.hint) {
        question = question.add_extra_param(name, value);
    }
    match request.lang {
        Some(lang) if settings.is_orcid() => {
            if let Some(code) = orcid_language(lang) {
                question = question.add_extra_param("lang", code);
            }
        }
        Some(lang) if is_language(lang) => {
            question = question.add_ui_locale(LanguageTag::new(lang.replace('_', "-")));
        }
        _ => {}
    }
    Ok(question.url().0.into())
}

/// ORCID has parameters of its own (`orcid.md` §2.1); elsewhere there is `login_hint` (Core §3.1.2.1).
fn hints(settings: &ProviderSettings, hint: Option<&PersonHint>) -> Vec<(&'static str, String)> {
    let Some(hint) = hint else { return Vec::new() };
    let known = match settings.is_orcid() {
        true => vec![("given_names", &hint.given_names), ("family_names", &hint.family_names), ("email", &hint.email)],
        false => vec![("login_hint", &hint.email)],
    };
    known.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
}

/// The caller's promises: the library panics over a verifier of the wrong length.
fn check_secrets(request: &AuthorizationRequest<'_>) -> Result<(), OrcidTrouble> {
    let url_safe = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    if request.state.len() < 22 || !url_safe(request.state) {
        return Err(OrcidTrouble::Misuse("a state has at least 22 URL-safe characters"));
    }
    if request.nonce.len() < 22 || !url_safe(request.nonce) {
        return Err(OrcidTrouble::Misuse("a nonce has at least 22 URL-safe characters"));
    }
    if !(43..=128).contains(&request.pkce_verifier.len()) || !url_safe(request.pkce_verifier) {
        return Err(OrcidTrouble::Misuse("a PKCE verifier has 43 to 128 URL-safe characters"));
    }
    Ok(())
}

fn is_language(tag: &str) -> bool {
    !tag.is_empty() && tag.len() <= 35 && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// ORCID's code for a language tag: its own, or the base language's; `None` if it has none.
fn orcid_language(tag: &str) -> Option<&'static str> {
    if !is_language(tag) {
        return None;
    }
    let wanted = tag.replace('-', "_").to_ascii_lowercase();
    let listed = |code: &str| ORCID_LANGUAGES.into_iter().find(|own| own.eq_ignore_ascii_case(code));
    let base = wanted.split('_').next().unwrap_or(&wanted);
    listed(&wanted).or_else(|| match base {
        "zh" if ["hant", "hk", "mo"].iter().any(|part| wanted.contains(part)) => Some("zh_TW"),
        "zh" => Some("zh_CN"),
        _ => listed(base),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_become_the_ones_orcid_has() {
        for (tag, code) in [
            ("de", Some("de")),
            ("DE-at", Some("de")),
            ("pt_BR", Some("pt")),
            ("en-GB", Some("en")),
            ("zh", Some("zh_CN")),
            ("zh-tw", Some("zh_TW")),
            ("zh-Hant-HK", Some("zh_TW")),
            ("uk", None),
            ("", None),
            ("de&prompt=none", None),
        ] {
            assert_eq!(orcid_language(tag), code, "{tag}");
        }
    }
}
