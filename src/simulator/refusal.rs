//! Every way the token endpoint says no, in the words of both authorization servers (`orcid.md` §3.5): the
//! 2026 one behind its forwarding proxy, and the legacy one. Made by `client_auth` and `token`.

use super::answer::{Answer, JSON, json, plain};
use http::StatusCode;
use serde::Serialize;

/// The 2026 server's text for whatever is wrong with a code or a token and has no text of its own.
const GENERIC: &str = "One of the provided parameters is invalid, or, the provided token/code is invalid or expired";

/// Longest text of the caller's that is repeated.
const LONGEST: usize = 64;

/// Why a token request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    GrantTypeMissing,
    GrantTypeUnknown,
    FieldMissing(&'static str),
    FieldTwice,
    ClientUnknown(String),
    SecretWrong,
    ClientLocked,
    ClientDeactivated,
    CodeMissing,
    CodeUnknown(String),
    CodeReused(String),
    CodeExpired,
    OtherClient,
    OtherRedirect,
    WrongVerifier,
    RefreshUnknown,
    /// The pair has been revoked or has expired.
    RefreshDead,
    /// A refresh for more than the parent holds; the scopes asked for.
    ScopeTooWide(String),
    /// A refresh for longer than the parent lives.
    ExpiresTooLate,
    /// A client_credentials scope this client cannot have.
    ScopeInvalid(String),
    /// A scope nobody has heard of.
    ScopeUnknown(String),
    TokenMissing,
    /// No id_token could be signed.
    NotSigned,
}

/// Errors of the forwarding proxy, and of the legacy server, put `error` first …
#[derive(Serialize)]
struct ErrorFirst<'a> {
    error: &'a str,
    error_description: &'a str,
}

/// … those of the 2026 server behind the proxy put it last.
#[derive(Serialize)]
struct ErrorLast<'a> {
    error_description: &'a str,
    error: &'a str,
}

/// Status, word, text, and whether the word comes first.
type Said = (u16, &'static str, String, bool);

impl Refusal {
    /// The answer, as the server of the profile gives it.
    pub(super) fn answer(&self, legacy: bool) -> Answer {
        let said = if legacy { self.legacy() } else { self.of_2026() };
        let (status, error, error_description, first) = said;
        let error_description = &error_description;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        match first {
            true => body(status, &ErrorFirst { error, error_description }),
            false => body(status, &ErrorLast { error_description, error }),
        }
    }

    /// A description may hold the code that was sent, as ORCID's does: nobody may log it.
    fn of_2026(&self) -> Said {
        let proxy = |status, error, text: &str| (status, error, text.to_owned(), true);
        let server = |status, error, text: &str| (status, error, text.to_owned(), false);
        match self {
            Self::GrantTypeMissing => proxy(400, "unsupported_grant_type", "grant_type is missing"),
            Self::FieldMissing(name) => proxy(401, "invalid_request", &format!("{name} is required")),
            Self::TokenMissing => proxy(400, "invalid_request", "token is required"),
            Self::ScopeInvalid(scope) => proxy(400, "invalid_scope", &format!("Invalid scope: {}", cut(scope))),
            Self::ScopeUnknown(scope) => proxy(401, "invalid_scope", &format!("Invalid scope: {}", cut(scope))),
            Self::ClientUnknown(_) | Self::SecretWrong => server(401, "invalid_client", "Client authentication failed"),
            Self::ClientLocked => server(400, "unauthorized_client", "The client is locked"),
            Self::ClientDeactivated => server(400, "unauthorized_client", "The client is deactivated"),
            Self::GrantTypeUnknown => server(400, "unsupported_grant_type", GENERIC),
            Self::FieldTwice | Self::CodeMissing | Self::ExpiresTooLate => server(400, "invalid_request", GENERIC),
            Self::CodeUnknown(code) | Self::CodeReused(code) => {
                server(400, "invalid_grant", &format!("Invalid authorization code: {}", cut(code)))
            }
            Self::CodeExpired
            | Self::OtherClient
            | Self::OtherRedirect
            | Self::WrongVerifier
            | Self::RefreshUnknown
            | Self::RefreshDead => server(400, "invalid_grant", GENERIC),
            Self::ScopeTooWide(_) => server(400, "invalid_scope", GENERIC),
            Self::NotSigned => server(500, "server_error", "No id_token could be signed"),
        }
    }

    fn legacy(&self) -> Said {
        let said = |status, error, text: &str| (status, error, text.to_owned(), true);
        match self {
            Self::ClientUnknown(id) => said(401, "invalid_client", &format!("Client not found: {}", cut(id))),
            Self::SecretWrong => said(401, "invalid_client", "Bad client credentials"),
            // 500 for a mistake of the client's: seen in the wild (`orcid.md` §3.5).
            Self::CodeMissing => said(500, "server_error", "An authorization code must be supplied."),
            Self::CodeReused(code) => said(400, "invalid_grant", &format!("Reused authorization code: {}", cut(code))),
            Self::CodeExpired => said(400, "invalid_request", "Authorization code has expired"),
            Self::OtherRedirect => said(500, "server_error", "Redirect URI mismatch."),
            Self::OtherClient => said(500, "server_error", "Client ID mismatch"),
            Self::RefreshUnknown => said(400, "unauthorized_client", "Unable to find refresh token"),
            Self::RefreshDead => said(400, "unauthorized_client", "Parent token is disabled"),
            Self::ScopeTooWide(scope) => {
                let text = format!("The given scope '{}' is not allowed for the parent token", cut(scope));
                said(400, "invalid_scope", &text)
            }
            Self::ExpiresTooLate => said(400, "invalid_request", "Token can't expire after its parent"),
            Self::ScopeUnknown(_) => said(401, "invalid_scope", "One of the provided scopes is not allowed."),
            Self::GrantTypeUnknown => said(400, "unsupported_grant_type", "Unsupported grant type"),
            other => {
                let (status, error, text, _) = other.of_2026();
                (status, error, text, true)
            }
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// A JSON answer of these fields in their order.
pub(super) fn body(status: StatusCode, fields: &impl Serialize) -> Answer {
    match serde_json::to_string(fields) {
        Ok(text) => json(status, text),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, JSON, "{}"),
    }
}
