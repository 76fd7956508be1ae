//! Taking a token back (RFC 7009, `orcid.md` §5.2). Called by `tokens`, through
//! [`super::Provider::revoke`]; queueing and trying again are the caller's.

use super::client::{Attempt, Courier, EitherToken};
use super::trouble::{Defect, Endpoint};
use super::{OrcidTrouble, Provider};
use http::Uri;
use openidconnect::{HttpRequest, RevocationUrl};

impl Provider {
    /// Revokes an access or refresh token and with it its pair. A token the provider does not know
    /// any more counts as revoked (RFC 7009 §2.2).
    pub(super) async fn revoke_token(&self, token: &str) -> Result<(), OrcidTrouble> {
        let endpoint = Endpoint::Revocation;
        let broken = OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed };
        let known = self.directory.endpoints().await?;
        let url = known.value.revocation.clone().ok_or(OrcidTrouble::CannotRevoke)?;
        let real: Uri = url.as_str().parse().map_err(|_| broken.clone())?;
        // The library insists on https here and nowhere else. An address of loopback http, already
        // admitted by `endpoints`, is shown to it as https and put right again on the way out.
        let mut shown = url;
        shown.set_scheme("https").map_err(|()| broken)?;
        let client = self.oidc_client(&known.value)?.set_revocation_url(RevocationUrl::from_url(shown));
        let courier = Courier::new(&self.http, endpoint);
        client
            .revoke_token(EitherToken(token.to_owned()))
            .map_err(|_| OrcidTrouble::CannotRevoke)?
            .request_async(&{
                let courier = courier.clone();
                move |mut request: HttpRequest| {
                    *request.uri_mut() = real.clone();
                    courier.clone().carry(request)
                }
            })
            .await
            .map_err(|error| courier.trouble(error, Attempt::Revoke, &self.settings))
    }
}
