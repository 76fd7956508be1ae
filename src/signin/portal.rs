//! A portal site: the connection portal of the seed, with no app behind. Called by `proxy` for every path
//! of such a site that is not one of our own addresses.

use super::arrival::Mode;
use super::begin::Wants;
use super::settings::{ACCOUNT, SIGN_OUT};
use super::sign_in_page::lacking;
use super::{OwnRequest, SignIn, with_cookies};
use crate::domain::{ReturnTo, Scope, ScopeSet};
use crate::pages::{self, Notice, Page, PersonView};
use crate::policy::{Access, Site};
use crate::vault::LiveSession;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;

impl SignIn {
    /// The portal's one page. It explains by itself, so its button leads straight to the provider.
    pub fn portal_page(&self, site: &Arc<Site>, request: &OwnRequest, live: Option<&LiveSession>) -> Response<Bytes> {
        if request.path != "/" {
            return self.notice(Notice::NotFound, Some(site), request.language);
        }
        let Some(provider) = self.provider_view(site.client()) else {
            return self.notice(Notice::Internal, Some(site), request.language);
        };
        let live = live.filter(|live| site.knows(&live.identity.client));
        let wanted = self.portal_scopes(site);
        let return_to = ReturnTo::front_page(request.host.clone());
        let wants = Wants {
            return_to,
            target_lost: false,
            came_from: None,
            scopes: wanted.clone(),
            rule: None,
            max_auth_age: None,
        };
        let connected = live.is_some_and(|live| lacking(&live.identity.scopes, &wanted).is_empty());
        // "Connect again" of somebody who has everything: only a trip to the provider can mean that.
        let mode = if connected { Mode::Again } else { Mode::Direct };
        let departure = self.link_out(site, &wants, request, mode);
        let granted = live.map(|live| pages::scope_lines(&live.identity.scopes)).unwrap_or_default();
        let page = Page::Portal {
            site: self.site_view(site),
            about: site.about.clone(),
            needs: pages::scope_lines(&wanted),
            start: departure.address,
            person: live.map(|live| PersonView::from(&*live.identity)),
            granted,
            sign_out: SIGN_OUT.to_owned(),
            account: Some(format!("{}{ACCOUNT}", self.home())),
            provider,
        };
        with_cookies(self.show(request, &page), departure.cookies)
    }

    /// All that the portal's rules ask for, and the base scope.
    fn portal_scopes(&self, site: &Site) -> ScopeSet {
        let base = self.providers.get(site.client()).map(|provider| provider.settings().base_scope.clone());
        let mut scopes: ScopeSet = std::iter::once(base.unwrap_or_else(Scope::openid)).collect();
        for rule in site.rules.iter().filter(|rule| rule.access == Access::SignedIn) {
            scopes = scopes.union(&rule.scopes);
        }
        scopes
    }
}
