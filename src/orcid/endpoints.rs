//! [`Endpoints`]: a discovery document that has been checked (OpenID Connect Discovery §3, §4.3).
//! `directory` reads one; authorization, exchange, userinfo and revocation take their addresses here.

use super::OrcidTrouble;
use super::http_client::is_loopback_http;
use super::settings::{ClientAuthentication, ProviderSettings};
use super::trouble::{BadMetadata, Defect, Endpoint};
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, AuthType, AuthUrl, ProviderMetadata, TokenUrl};
use serde::{Deserialize, Serialize};
use url::Url;

/// What we read beyond the library's own list: RFC 8414 (revocation, PKCE) and RFC 9207 (`iss`).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct FurtherMetadata {
    #[serde(default)]
    revocation_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl AdditionalProviderMetadata for FurtherMetadata {}

type Metadata = ProviderMetadata<
    FurtherMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

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
        let metadata: Metadata = serde_json::from_slice(document).map_err(|_| malformed)?;
        Self::check(&metadata, settings).map_err(OrcidTrouble::Metadata)
    }

    fn check(metadata: &Metadata, settings: &ProviderSettings) -> Result<Self, BadMetadata> {
        // Byte for byte: a trailing slash is another issuer. This is what makes mixing up providers
        // (RFC 9700 §4.4) and a document copied from elsewhere fail.
        if metadata.issuer().as_str() != settings.issuer {
            return Err(BadMetadata::Issuer);
        }
        let issuer = metadata.issuer().url();
        let fits = |url: &Url| check_address(url, issuer, settings);
        let offers_code = metadata
            .response_types_supported()
            .iter()
            .any(|types| matches!(types.as_slice(), [CoreResponseType::Code]));
        if !offers_code {
            return Err(BadMetadata::NoCodeFlow);
        }
        fits(metadata.authorization_endpoint().url())?;
        let token = metadata.token_endpoint().cloned().ok_or(BadMetadata::NoTokenEndpoint)?;
        fits(token.url())?;
        fits(metadata.jwks_uri().url())?;
        let userinfo = metadata.userinfo_endpoint().map(|address| address.url().clone());
        if let Some(url) = &userinfo {
            fits(url)?;
        } else if settings.userinfo {
            return Err(BadMetadata::NoUserinfoEndpoint);
        }
        let further = metadata.additional_metadata();
        let revocation = revocation(further, settings)?;
        if let Some(url) = &revocation {
            fits(url)?;
        }
        let challenge_methods = further.code_challenge_methods_supported.as_deref().unwrap_or_default();
        Ok(Self {
            authorization: metadata.authorization_endpoint().clone(),
            token,
            keys: metadata.jwks_uri().url().clone(),
            userinfo,
            revocation,
            pkce: challenge_methods.iter().any(|method| method == "S256"),
            names_issuer: further.authorization_response_iss_parameter_supported == Some(true),
            authentication: authentication(metadata, settings),
        })
    }
}

/// ORCID's document does not name its revocation endpoint (`orcid.md` §1.2); its address is known (§5.2).
fn revocation(further: &FurtherMetadata, settings: &ProviderSettings) -> Result<Option<Url>, BadMetadata> {
    let address = match &further.revocation_endpoint {
        Some(address) => address.clone(),
        None if settings.is_orcid() => format!("{}/oauth/revoke", settings.issuer.trim_end_matches('/')),
        None => return Ok(None),
    };
    Url::parse(&address).map(Some).map_err(|_| BadMetadata::Address)
}

fn authentication(metadata: &Metadata, settings: &ProviderSettings) -> AuthType {
    let listed = metadata.token_endpoint_auth_methods_supported();
    let post = match settings.authentication {
        ClientAuthentication::Post => true,
        ClientAuthentication::Basic => false,
        ClientAuthentication::Auto => match listed {
            Some(methods) => methods.contains(&CoreClientAuthMethod::ClientSecretPost),
            // OpenID Connect Discovery §3 makes Basic the default; ORCID's documented way is the form.
            None => settings.is_orcid(),
        },
    };
    if post { AuthType::RequestBody } else { AuthType::BasicAuth }
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
