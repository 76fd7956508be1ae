//! Renewing a token pair (RFC 6749 §6, `orcid.md` §5.1). Called by `tokens`, through
//! [`super::Provider::refresh`]; ORCID's twenty-year tokens need it for rotation only.

use super::client::{Attempt, Courier};
use super::exchange::Tokens;
use super::trouble::{Check, Endpoint};
use super::{OrcidTrouble, Provider};
use crate::domain::{AccessToken, RefreshToken, ScopeSet, Subject, UnixTime};

/// A renewed pair, verified to be the same person's as far as the answer says.
#[derive(Clone, Debug)]
pub struct RefreshedPair {
    pub access_token: AccessToken,
    /// `None`: the old refresh token stays in use.
    pub refresh_token: Option<RefreshToken>,
    /// `None`: as asked, or as before if nothing was asked (RFC 6749 §5.1).
    pub scopes: Option<ScopeSet>,
    pub obtained: UnixTime,
    pub expires: Option<UnixTime>,
}

impl Provider {
    /// Renews the pair of `holder`. An ID token in the answer is verified like the first one, without
    /// a nonce, and it and `orcid` must name the holder (Core §12.2; T61).
    pub(super) async fn refresh_pair(
        &self,
        token: &RefreshToken,
        scopes: Option<&ScopeSet>,
        holder: &Subject,
    ) -> Result<RefreshedPair, OrcidTrouble> {
        let known = self.directory.endpoints().await?;
        let client = self.oidc_client(&known.value)?;
        let secret = openidconnect::RefreshToken::new(token.expose().to_owned());
        let mut question = client.exchange_refresh_token(&secret);
        for scope in scopes.into_iter().flat_map(ScopeSet::iter) {
            question = question.add_scope(openidconnect::Scope::new(scope.as_str().to_owned()));
        }
        let courier = Courier::new(&self.http, Endpoint::Token);
        let known_keys = self.directory.known_keys();
        let response = question
            .request_async(&{
                let courier = courier.clone();
                move |request| courier.clone().carry(request)
            })
            .await
            .map_err(|error| courier.trouble(error, Attempt::Refresh, &self.settings))?;
        let obtained = self.clock.now();
        let tokens = Tokens::read(response, obtained)?;
        let claims = match &tokens.id_token {
            Some(id_token) => {
                Some(self.believe(id_token, tokens.access_token.expose(), None, known_keys.as_ref()).await?)
            }
            None => None,
        };
        // An answer that names nobody is fine; one that names somebody else ends the matter.
        let named = self.named(claims.as_ref(), tokens.orcid.as_ref()).map_err(OrcidTrouble::Lied)?;
        if named.is_some_and(|named| named != *holder) {
            return Err(OrcidTrouble::Lied(Check::OtherHolder));
        }
        Ok(RefreshedPair {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            scopes: tokens.scopes,
            obtained,
            expires: tokens.expires,
        })
    }
}
