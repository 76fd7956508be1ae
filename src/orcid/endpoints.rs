//! [`Endpoints`]: a discovery document that has been checked (OpenID Connect Discovery §3, §4.3).
//! `directory` reads one; authorization, exchange, userinfo, revocation and sign-out take their addresses here.

use super::OrcidTrouble;
use super::http_client::is_loopback_http;
use super::settings::{ClientAuthentication, ProviderSettings};
use super::trouble::{BadMetadata, Defect, Endpoint};
use openidconnect::{AuthType, AuthUrl, TokenUrl};
use serde::Deserialize;
use url::Url;

/// What is read of a document, and nothing else: whatever a provider writes into the members we do not
/// use, aliases for mutual TLS among them, must not keep anybody from signing in (`attacks.md` D6).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: Option<String>,
    jwks_uri: String,
    response_types_supported: Vec<String>,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 8414 §2.
    revocation_endpoint: Option<String>,
    /// RFC 8414 §2.
    code_challenge_methods_supported: Option<Vec<String>>,
    /// RFC 9207 §3.
    authorization_response_iss_parameter_supported: Option<bool>,
    /// RP-Initiated Logout §2.1.
    end_session_endpoint: Option<String>,
}

/// A provider's addresses and abilities, as believed.
#[derive(Clone, Debug)]
pub(super) struct Endpoints {
    pub(super) authorization: AuthUrl,
    pub(super) token: TokenUrl,
    pub(super) keys: Url,
    pub(super) userinfo: Option<Url>,
    pub(super) revocation: Option<Url>,
    /// The provider lists `S256`; only then are PKCE's parameters sent: ORCID's token proxy drops the
    /// verifier and the exchange would fail (`orcid.md` §2.1; T35).
    pub(super) pkce: bool,
    /// The provider promises `iss` in its answers (RFC 9207 §3; T41).
    pub(super) names_issuer: bool,
    pub(super) authentication: AuthType,
    /// Where people sign out at the provider.
    pub(super) end_session: Option<Url>,
}

/// Where an issuer publishes its document (OpenID Connect Discovery §4.1).
pub(super) fn discovery_url(issuer: &str) -> Result<Url, OrcidTrouble> {
    Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')))
        .map_err(|_| OrcidTrouble::Setup("the issuer is not an address".to_owned()))
}

impl Endpoints {
    /// Reads and checks a document for the provider of `settings` (T62).
    pub(super) fn read(document: &[u8], settings: &ProviderSettings) -> Result<Self, OrcidTrouble> {
        let malformed = OrcidTrouble::Unusable { endpoint: Endpoint::Discovery, defect: Defect::Malformed };
        let document: Document = serde_json::from_slice(document).map_err(|_| malformed)?;
        Self::check(&document, settings).map_err(OrcidTrouble::Metadata)
    }

    fn check(document: &Document, settings: &ProviderSettings) -> Result<Self, BadMetadata> {
        // Byte for byte: a trailing slash is another issuer. This is what makes mixing up providers
        // (RFC 9700 §4.4) and a document copied from elsewhere fail.
        if document.issuer != settings.issuer {
            return Err(BadMetadata::Issuer);
        }
        let issuer = Url::parse(&document.issuer).map_err(|_| BadMetadata::Issuer)?;
        let fitting = |address: &str| -> Result<Url, BadMetadata> {
            let url = Url::parse(address).map_err(|_| BadMetadata::Address)?;
            check_address(&url, &issuer, settings)?;
            Ok(url)
        };
        if !document.response_types_supported.iter().any(|types| types == "code") {
            return Err(BadMetadata::NoCodeFlow);
        }
        let token = document.token_endpoint.as_deref().ok_or(BadMetadata::NoTokenEndpoint)?;
        if settings.userinfo && document.userinfo_endpoint.is_none() {
            return Err(BadMetadata::NoUserinfoEndpoint);
        }
        let challenge_methods = document.code_challenge_methods_supported.as_deref().unwrap_or_default();
        // An ORCID has no such address (`orcid.md` §1.2); its page says so.
        let end_session = document.end_session_endpoint.as_deref().filter(|_| !settings.is_orcid());
        Ok(Self {
            authorization: AuthUrl::from_url(fitting(&document.authorization_endpoint)?),
            token: TokenUrl::from_url(fitting(token)?),
            keys: fitting(&document.jwks_uri)?,
            userinfo: document.userinfo_endpoint.as_deref().map(fitting).transpose()?,
            revocation: revocation(document, settings).as_deref().map(fitting).transpose()?,
            pkce: challenge_methods.iter().any(|method| method == "S256"),
            names_issuer: document.authorization_response_iss_parameter_supported == Some(true),
            authentication: authentication(document, settings)?,
            end_session: end_session.map(fitting).transpose()?,
        })
    }
}

/// ORCID's document does not name its revocation endpoint (`orcid.md` §1.2); its address is known (§5.2).
fn revocation(document: &Document, settings: &ProviderSettings) -> Option<String> {
    let known = || format!("{}/oauth/revoke", settings.issuer.trim_end_matches('/'));
    document.revocation_endpoint.clone().or_else(|| settings.is_orcid().then(known))
}

fn authentication(document: &Document, settings: &ProviderSettings) -> Result<AuthType, BadMetadata> {
    let listed = document.token_endpoint_auth_methods_supported.as_deref();
    let lists = |method: &str| listed.is_some_and(|methods| methods.iter().any(|one| one == method));
    let (basic, post) = (lists("client_secret_basic"), lists("client_secret_post"));
    let in_form = match settings.authentication {
        ClientAuthentication::Post => true,
        ClientAuthentication::Basic => false,
        ClientAuthentication::Auto if listed.is_none() => settings.is_orcid(),
        ClientAuthentication::Auto if !basic && !post => return Err(BadMetadata::NoClientSecret),
        ClientAuthentication::Auto if settings.is_orcid() => post,
        ClientAuthentication::Auto => !basic,
    };
    Ok(if in_form { AuthType::RequestBody } else { AuthType::BasicAuth })
}

fn check_address(url: &Url, issuer: &Url, settings: &ProviderSettings) -> Result<(), BadMetadata> {
    // An https issuer has no business on loopback http: that would aim our requests at this machine.
    if url.scheme() != "https" && !(is_loopback_http(url) && is_loopback_http(issuer)) {
        return Err(BadMetadata::Insecure);
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(BadMetadata::Address);
    }
    // At ORCID everything lives on the issuer's own origin (`orcid.md` §1.1): a document that sends
    // codes or secrets anywhere else is not ORCID's (T62).
    if settings.is_orcid() && url.origin() != issuer.origin() {
        return Err(BadMetadata::OtherHost);
    }
    Ok(())
}
