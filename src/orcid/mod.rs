//! The client side of OpenID Connect: one [`Provider`] for each client registration, at ORCID or
//! another provider. `signin` and `tokens` call it; it knows only `domain`, and believes nobody.

mod authorize;
mod cache_file;
mod claims;
mod client;
mod directory;
mod endpoints;
mod exchange;
mod http_client;
mod id_token;
mod jwks;
mod logout_token;
mod record_status;
mod refresh;
mod revoke;
mod settings;
mod sign_out;
mod signed_token;
mod subject;
// The misbehaving provider signs with the simulator's optional crates.
#[cfg(test)]
#[cfg(feature = "simulator")]
mod tests;
mod trouble;
mod userinfo;

pub use authorize::AuthorizationRequest;
pub use exchange::Proof;
pub use logout_token::LogoutToken;
pub use record_status::RecordStatus;
pub use refresh::RefreshedPair;
pub use settings::{ClientAuthentication, ProviderSettings, SigningAlgorithm, Timeouts};
pub use trouble::{BadMetadata, Blame, Check, Defect, Endpoint, OrcidTrouble};

use crate::domain::{
    AccessToken, AuthorizationCode, ClientSecret, Clock, Grant, OrcidId, RefreshToken, ScopeSet, Subject,
};
use arc_swap::ArcSwap;
use directory::Directory;
use http_client::HttpClient;
use std::fmt;
use std::sync::Arc;

/// A client registration at work. Cheap to share; holds connections and what is known of the provider.
pub struct Provider {
    settings: Arc<ProviderSettings>,
    secret: ArcSwap<ClientSecret>,
    clock: Arc<dyn Clock>,
    http: Arc<HttpClient>,
    directory: Directory,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Provider {
    /// Checks the settings and reads the `ca_file`; talks to nobody, so a gate starts while its
    /// provider is down. Fails with [`OrcidTrouble::Setup`] only.
    pub fn new(settings: ProviderSettings, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OrcidTrouble> {
        settings.check()?;
        let http = Arc::new(HttpClient::new(settings.timeouts, settings.ca_file.as_deref())?);
        let secret = ArcSwap::from_pointee(settings.client_secret.clone());
        let settings = Arc::new(settings);
        let directory = Directory::new(settings.clone(), http.clone(), clock.clone());
        Ok(Arc::new(Self { settings, secret, clock, http, directory }))
    }

    /// As given to [`Provider::new`].
    pub fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    /// Takes another client secret into use (J10); what is under way goes on with the one it began with. `false` if it is
    /// the one in use.
    pub fn replace_secret(&self, secret: ClientSecret) -> bool {
        let changed = **self.secret.load() != secret;
        if changed {
            self.secret.store(Arc::new(secret));
        }
        changed
    }

    /// The address to send the browser to. Fetches the provider's endpoints if they are not known;
    /// with known ones it works while the provider is down.
    pub async fn authorization_url(&self, request: &AuthorizationRequest<'_>) -> Result<String, OrcidTrouble> {
        let known = self.directory.endpoints().await?;
        authorize::authorization_url(&self.settings, &known.value, request)
    }

    /// Exchanges a code for a grant whose identity is proven. The code is sent to the provider at most
    /// once, whatever happens: a second use revokes what the first one gave (`orcid.md` §3.3).
    pub async fn exchange(&self, code: AuthorizationCode, proof: &Proof<'_>) -> Result<Grant, OrcidTrouble> {
        self.exchange_code(&code, proof).await
    }

    /// Renews the pair of `holder`, asking for `scopes` or for what it has.
    /// [`OrcidTrouble::is_grant_refused`] means the pair is dead; a lie means the session should end (T61).
    pub async fn refresh(
        &self,
        token: &RefreshToken,
        scopes: Option<&ScopeSet>,
        holder: &Subject,
    ) -> Result<RefreshedPair, OrcidTrouble> {
        self.refresh_pair(token, scopes, holder).await
    }

    /// Revokes an access or refresh token. `Ok` also if the provider no longer knew it. Only an
    /// outage ([`OrcidTrouble::is_outage`]) is worth trying again soon.
    pub async fn revoke(&self, token: &str) -> Result<(), OrcidTrouble> {
        self.revoke_token(token).await
    }

    /// Whether people have records here that can be asked about: at an ORCID, real or simulated.
    pub fn has_records(&self) -> bool {
        self.settings.record_api().is_some()
    }

    /// Whether it can be asked about people who have signed in.
    pub fn can_be_asked(&self) -> bool {
        self.has_records() || self.settings.renew
    }

    /// Asks, with one call of the API, whether a person's token still opens their record. One answer proves
    /// little: the caller looks whether the token is still in use, and asks again.
    pub async fn record_status(&self, token: &AccessToken, orcid: OrcidId) -> Result<RecordStatus, OrcidTrouble> {
        self.ask_record(token, orcid).await
    }

    /// Asks the provider for its discovery document, whatever is known of it: a question about nobody, which tells
    /// whether it is there. What it answers is checked as ever, and not kept.
    pub async fn answers(&self) -> Result<(), OrcidTrouble> {
        self.directory.ask().await
    }

    /// Renews endpoints and keys ahead of time, for ever. Spawn it; abort it at shutdown.
    pub async fn keep_fresh(self: Arc<Self>) {
        self.directory.keep_fresh().await;
    }
}
