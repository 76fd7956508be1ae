//! [`ConfirmPage`]: asks, on a shared computer, whether whoever signed in is the one who sits there.

use super::context::{House, Parts, maybe_site, person};
use super::page::{PersonView, ProviderView, SiteView};
use super::samples::{self, Stranger};
use super::words::href;
use minijinja::context;

/// The form POSTs `token`, `attempt` and `me` (`yes` or `no`) to `action`.
#[derive(Clone, Debug)]
pub struct ConfirmPage {
    pub person: PersonView,
    pub site: Option<SiteView>,
    pub action: String,
    pub attempt: String,
    pub token: String,
    pub provider: ProviderView,
}

impl ConfirmPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let values = context! {
            person => person(&self.person),
            site => maybe_site(&self.site),
            action => href(&self.action),
            attempt => self.attempt.as_str(),
            token => self.token.as_str(),
            provider => house.provider(&self.provider),
        };
        ("confirm.html", house.text("confirm.title", &[]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = |person, site, provider| ConfirmPage {
            person,
            site,
            action: "/.lychgate/sign-in/confirm".to_owned(),
            attempt: "c2FtcGxlLWF0dGVtcHQ".to_owned(),
            token: "c2FtcGxlLXRva2Vu".to_owned(),
            provider,
        };
        vec![
            ("confirm", page(samples::josiah(), Some(samples::library()), samples::orcid())),
            ("confirm-plain", page(samples::josiah(), None, samples::orcid())),
            ("confirm-other", page(samples::staff(), Some(samples::library()), samples::campus())),
        ]
    }

    /// Puts a stranger's words wherever one could write.
    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        (self.person, self.provider) = (stranger.person.clone(), stranger.provider.clone());
        self.site = self.site.as_ref().map(|_| stranger.site.clone());
        self.attempt = samples::MARKUP.to_owned();
    }
}
