//! `/.lychgate/account` on the sign-in host: the researcher's own view of their connection. Only shows.

use super::settings::{SIGN_IN, SIGN_OUT};
use super::{OwnRequest, SignIn, StepFault};
use crate::pages::{self, AccountPage, Notice, Page, PersonView};
use bytes::Bytes;
use http::Response;

impl SignIn {
    pub(super) async fn account(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let Some(root) = self.root(request).await? else { return Ok(pages::redirect(SIGN_IN)) };
        let identity = &root.identity;
        let Some(provider) = self.provider_view(&identity.client) else {
            return Ok(self.notice(Notice::Internal, None, request.language));
        };
        let connection = self.vault.connection(&root.session.connection).await?;
        let policies = self.policies.load();
        let sites = policies.sites().iter().filter(|site| site.knows(&identity.client));
        let page = AccountPage {
            person: PersonView::from(&**identity),
            since: connection.map(|connection| connection.first_seen),
            signed_in_at: Some(identity.signed_in_at),
            expires: Some(identity.session_expires),
            granted: pages::scope_lines(&identity.scopes),
            sites: sites.map(|site| self.site_view(site)).collect(),
            browsers: None,
            sign_out: SIGN_OUT.to_owned(),
            provider,
        };
        Ok(self.show(request, &Page::Account(page)))
    }
}
