//! Where people sign out at the provider (OpenID Connect RP-Initiated Logout 1.0 §2). Called by `signin`,
//! for the page after a sign-out here.

use super::Provider;

impl Provider {
    /// The provider's own sign-out address, which sends the browser back to `return_to` with `state`. `None`
    /// where there is none, where the settings say that it does not help, or where nothing is known of the
    /// provider yet: signing out waits for nobody.
    ///
    /// There is no `id_token_hint` in it: tokens stay out of addresses (invariant 6). The provider therefore
    /// asks the person before it ends anything (§2), and knows by `client_id` whose `return_to` it is.
    pub fn sign_out_url(&self, return_to: &str, state: &str) -> Option<String> {
        if !self.settings.offer_sign_out {
            return None;
        }
        let mut url = self.directory.known_endpoints()?.value.end_session.clone()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("post_logout_redirect_uri", return_to)
            .append_pair("state", state);
        Some(url.into())
    }
}
