//! Through which registration somebody signs in, where a site knows several (B11): the chooser page, and what
//! holds where nobody is asked.

use super::arrival::{Arrival, Mode};
use super::settings::START;
use super::sign_in_page::reasons;
use super::{OwnRequest, SignIn};
use crate::domain::ClientName;
use crate::pages::{self, Choice, ChoosePage, Page, ProviderView};
use crate::policy::Site;
use crate::vault::LiveSession;
use bytes::Bytes;
use http::Response;
use std::sync::Arc;

/// The registration that was chosen; else the one the person is signed in through; else the site's first.
/// A choice the site no longer offers is none.
pub(super) fn registration<'s>(arrival: &Arrival, site: &'s Site, root: Option<&LiveSession>) -> &'s ClientName {
    let offered = |wanted: &ClientName| site.clients.iter().find(|client| *client == wanted);
    let chosen = arrival.client.as_ref().and_then(offered);
    let held = || root.and_then(|root| offered(&root.identity.client));
    chosen.or_else(held).unwrap_or_else(|| site.client())
}

/// Whether the person has to say where they sign in. Who is known to the site already is not asked, unless
/// they want to be somebody else.
pub(super) fn must_choose(arrival: &Arrival, site: &Site, root: Option<&LiveSession>) -> bool {
    let known = root.is_some_and(|root| site.knows(&root.identity.client)) && arrival.mode != Mode::Another;
    site.clients.len() > 1 && arrival.client.is_none() && !known
}

impl SignIn {
    pub(super) fn chooser(&self, request: &OwnRequest, arrival: &Arrival, site: &Arc<Site>) -> Response<Bytes> {
        let mode = if arrival.mode == Mode::Another { Mode::Another } else { Mode::Usual };
        let choice = |client: &ClientName| {
            let settings = self.providers.get(client)?.settings();
            Some(Choice {
                title: settings.title.clone(),
                provider: ProviderView::new(settings.environment, &settings.issuer),
                start: self.address_with(START, &arrival.renewed(arrival.at, mode).by(client)),
            })
        };
        let page = ChoosePage {
            site: Some(self.site_view(site)),
            needs: pages::scope_lines(&arrival.scopes),
            why: reasons(arrival, site),
            choices: site.clients.iter().filter_map(choice).collect(),
        };
        self.show(request, &Page::Choose(page))
    }
}
