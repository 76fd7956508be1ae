//! The `openidconnect` client in our colours: what a token response may hold, how requests leave, and
//! how its errors become ours. Used by `authorize`, `exchange`, `refresh` and `revoke`.

use super::endpoints::Endpoints;
use super::http_client::{Answer, HttpClient};
use super::settings::ProviderSettings;
use super::trouble::{Defect, Endpoint};
use super::{OrcidTrouble, Provider};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    Client, ClientId, ClientSecret, EmptyAdditionalClaims, EndpointNotSet, EndpointSet, ErrorResponse,
    ExtraTokenFields, HttpRequest, HttpResponse, IdTokenFields, IssuerUrl, JsonWebKeySet, RedirectUrl,
    RequestTokenError, RevocableToken, StandardTokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// What a token response holds beyond OAuth (`orcid.md` §3.2). The ID token arrives under another
/// name, so that the library does not try to parse it (`stack.md` §3.2).
#[derive(Clone, Default, Deserialize, Serialize)]
pub(super) struct Further {
    #[serde(default)]
    pub(super) raw_id_token: Option<String>,
    #[serde(default)]
    pub(super) orcid: Option<Value>,
    #[serde(default)]
    pub(super) name: Option<Value>,
}

impl fmt::Debug for Further {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Further(…)")
    }
}

impl ExtraTokenFields for Further {}

pub(super) type TokenResponse = StandardTokenResponse<
    IdTokenFields<
        EmptyAdditionalClaims,
        Further,
        CoreGenderClaim,
        CoreJweContentEncryptionAlgorithm,
        CoreJwsSigningAlgorithm,
    >,
    CoreTokenType,
>;

/// An error response of which only the one machine-readable word is kept: the description may repeat
/// the code or token that was sent (`orcid.md` §3.5), so it is dropped while parsing.
#[derive(Deserialize, Serialize)]
pub(super) struct Complaint {
    #[serde(default)]
    error: Option<String>,
}

impl Complaint {
    /// The word if it is a registered one (RFC 6749 §5.2, RFC 7009 §2.2.1); a provider's own is `other`.
    fn word(&self) -> &'static str {
        const KNOWN: [&str; 10] = [
            "invalid_client",
            "invalid_grant",
            "invalid_request",
            "invalid_scope",
            "invalid_token",
            "unauthorized_client",
            "unsupported_grant_type",
            "unsupported_token_type",
            "server_error",
            "temporarily_unavailable",
        ];
        let said = self.error.as_deref().unwrap_or("");
        KNOWN.into_iter().find(|known| *known == said).unwrap_or("other")
    }
}

impl fmt::Debug for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl ErrorResponse for Complaint {}

/// A token to revoke of which we do not say the kind: ORCID takes either (`orcid.md` §5.2).
pub(super) struct EitherToken(pub(super) String);

impl RevocableToken for EitherToken {
    fn secret(&self) -> &str {
        &self.0
    }

    fn type_hint(&self) -> Option<&str> {
        None
    }
}

pub(super) type OidcClient = Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    Complaint,
    TokenResponse,
    CoreTokenIntrospectionResponse,
    EitherToken,
    Complaint,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// The library's client for these settings and endpoints, without a secret: all it takes to send a browser away. Its key
/// set stays empty: verifying is ours.
pub(super) fn oidc_client(settings: &ProviderSettings, endpoints: &Endpoints) -> Result<OidcClient, OrcidTrouble> {
    let setup = |what: &str| OrcidTrouble::Setup(format!("client `{}`: {what} is not an address", settings.name));
    let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|_| setup("the issuer"))?;
    let redirect = RedirectUrl::new(settings.redirect_uri.clone()).map_err(|_| setup("the redirect URI"))?;
    Ok(Client::new(ClientId::new(settings.client_id.clone()), issuer, JsonWebKeySet::default())
        .set_auth_type(endpoints.authentication.clone())
        .set_redirect_uri(redirect)
        .set_auth_uri(endpoints.authorization.clone())
        .set_token_uri(endpoints.token.clone()))
}

impl Provider {
    /// The same with the secret of this moment, for what the provider is asked directly.
    pub(super) fn oidc_client(&self, endpoints: &Endpoints) -> Result<OidcClient, OrcidTrouble> {
        let secret = ClientSecret::new(self.secret.load().expose().to_owned());
        Ok(oidc_client(&self.settings, endpoints)?.set_client_secret(secret))
    }
}

/// One call of the library through our HTTP client; remembers the status, which the library forgets.
pub(super) struct Courier {
    http: Arc<HttpClient>,
    endpoint: Endpoint,
    status: AtomicU16,
}

/// What was being tried, for reading a refusal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Exchange,
    Refresh,
    Revoke,
}

impl Courier {
    /// Shared, not lent: a call that borrows could not be awaited on a runtime of several threads.
    pub(super) fn new(http: &Arc<HttpClient>, endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Self { http: http.clone(), endpoint, status: AtomicU16::new(0) })
    }

    /// Sends once. A token answer must call itself JSON; a revocation's body is nobody's business.
    pub(super) async fn carry(self: Arc<Self>, request: HttpRequest) -> Result<HttpResponse, OrcidTrouble> {
        let answer = self.http.send(self.endpoint, request).await?;
        self.status.store(answer.status.as_u16(), Ordering::Relaxed);
        if self.endpoint == Endpoint::Token && answer.status == StatusCode::OK {
            answer.require_json(self.endpoint)?;
        }
        Ok(for_the_library(answer))
    }

    /// The library's error in our words. Never formats it: its Parse variant holds the body with the
    /// tokens in it (`stack.md` §3.3).
    pub(super) fn trouble(
        &self,
        error: RequestTokenError<OrcidTrouble, Complaint>,
        attempt: Attempt,
        settings: &ProviderSettings,
    ) -> OrcidTrouble {
        let status = self.status.load(Ordering::Relaxed);
        match error {
            RequestTokenError::Request(trouble) => trouble,
            RequestTokenError::ServerResponse(complaint) if status >= 400 => {
                self.refusal(status, complaint.word(), attempt, settings)
            }
            _ if status >= 400 => self.refusal(status, "other", attempt, settings),
            _ => OrcidTrouble::Unusable { endpoint: self.endpoint, defect: Defect::Malformed },
        }
    }

    /// Decides by status and error word alone (`orcid.md` §3.5).
    fn refusal(&self, status: u16, error: &'static str, attempt: Attempt, settings: &ProviderSettings) -> OrcidTrouble {
        let endpoint = self.endpoint;
        let grant = OrcidTrouble::GrantRefused { endpoint, status, error };
        let client = OrcidTrouble::ClientRefused { endpoint, status, error };
        match (error, attempt) {
            ("server_error" | "temporarily_unavailable", _) => OrcidTrouble::Unavailable { endpoint, status },
            ("invalid_client", _) => client,
            ("invalid_grant", _) => grant,
            // ORCID's words for a dead refresh token and for an expired code.
            ("unauthorized_client", Attempt::Refresh) if settings.is_orcid() => grant,
            ("invalid_request", Attempt::Exchange) if settings.is_orcid() && status == 400 => grant,
            ("unauthorized_client", _) => client,
            _ if status == 401 => client,
            _ => OrcidTrouble::Refused { endpoint, status, error },
        }
    }
}

/// A lifetime that some providers write as a text or with a fraction; others are left as they are, for
/// the library to refuse.
fn whole_seconds(value: Value) -> Value {
    let seconds = match &value {
        Value::String(text) => text.parse::<u64>().ok(),
        Value::Number(number) if number.as_u64().is_none() => {
            let seconds = number.as_f64().filter(|seconds| (0.0..4e9).contains(seconds));
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked above")]
            let whole = seconds.map(|seconds| seconds as u64);
            whole
        }
        _ => None,
    };
    seconds.map_or(value, Value::from)
}

/// Hands the library only the members we mean to read, the ID token under its other name.
fn for_the_library(answer: Answer) -> HttpResponse {
    let mut body = answer.body;
    if answer.status == StatusCode::OK
        && let Ok(Value::Object(mut sent)) = serde_json::from_slice::<Value>(&body)
    {
        let mut kept = serde_json::Map::new();
        for (theirs, ours) in [
            ("access_token", "access_token"),
            ("token_type", "token_type"),
            ("expires_in", "expires_in"),
            ("refresh_token", "refresh_token"),
            ("scope", "scope"),
            ("id_token", "raw_id_token"),
            ("orcid", "orcid"),
            ("name", "name"),
        ] {
            if let Some(value) = sent.remove(theirs) {
                let value = if theirs == "expires_in" { whole_seconds(value) } else { value };
                kept.insert(ours.to_owned(), value);
            }
        }
        body = Value::Object(kept).to_string().into_bytes();
    }
    let mut response = HttpResponse::new(body);
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
