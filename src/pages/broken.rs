//! [`BrokenPage`]: ORCID no longer stands behind a researcher's connection. Says why, and asks to connect again (J8).

use super::context::{House, Parts, maybe_site, person};
use super::page::{PersonView, ProviderView, ScopeLine, SiteView};
use super::samples::{self, Stranger};
use super::words::href;
use crate::domain::Broken;
use minijinja::context;

#[derive(Clone, Debug)]
pub struct BrokenPage {
    pub why: Broken,
    /// Who is signed in; nobody where the record itself is gone or shut.
    pub person: Option<PersonView>,
    /// The record that replaced it, in ORCID's words.
    pub primary: Option<PersonView>,
    pub site: Option<SiteView>,
    /// What ORCID will ask the researcher to allow.
    pub needs: Vec<ScopeLine>,
    /// Where the button leads: the address that starts the attempt.
    pub start: String,
    pub provider: ProviderView,
}

impl BrokenPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let (title, lead, advice, button) = match self.why {
            Broken::Withdrawn => ("broken.title", "broken.withdrawn", "broken.withdrawn-advice", "broken.button-again"),
            Broken::Deprecated { .. } => {
                ("broken.title-ended", "broken.deprecated", "broken.deprecated-advice", "broken.button")
            }
            Broken::Locked => ("broken.title-ended", "broken.locked", "broken.locked-advice", "broken.button"),
            Broken::Deactivated => {
                ("broken.title-ended", "broken.deactivated", "broken.deactivated-advice", "broken.button")
            }
            Broken::NotRenewed => {
                ("broken.title-ended", "broken.not-renewed", "broken.not-renewed-advice", "broken.button-other")
            }
        };
        let values = context! {
            lead => house.text(lead, &[]),
            advice => house.text(advice, &[]),
            person => self.person.as_ref().map(person),
            primary => self.primary.as_ref().map(person),
            site => maybe_site(&self.site),
            needs => house.needs(&self.needs, &self.provider),
            start => href(&self.start),
            button => house.text(button, &[]),
            provider => house.provider(&self.provider),
        };
        ("broken.html", house.text(title, &[]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = |why: Broken| BrokenPage {
            why,
            person: (!why.ends_sessions()).then(samples::josiah),
            primary: matches!(why, Broken::Deprecated { primary: Some(_) })
                .then(|| PersonView { name: None, ..samples::josiah() }),
            site: Some(samples::library()),
            needs: samples::lines("openid /activities/update"),
            start: "/.lychgate/sign-in/start".to_owned(),
            provider: if why == Broken::NotRenewed { samples::campus() } else { samples::orcid() },
        };
        let primary = samples::josiah().id.parse().ok();
        vec![
            ("broken", page(Broken::Withdrawn)),
            ("broken-deprecated", page(Broken::Deprecated { primary })),
            ("broken-deprecated-plain", page(Broken::Deprecated { primary: None })),
            ("broken-locked", page(Broken::Locked)),
            ("broken-deactivated", page(Broken::Deactivated)),
            ("broken-not-renewed", page(Broken::NotRenewed)),
        ]
    }

    /// Puts a stranger's words wherever one could write.
    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        self.person = Some(stranger.person.clone());
        self.primary = Some(stranger.person.clone());
        self.site = Some(stranger.site.clone());
        self.needs = stranger.needs.clone();
        self.provider = stranger.provider.clone();
    }
}
