//! [`OnwardPage`]: a stop of a moment on the way to and from a sign-in, whose script takes care of what stands behind
//! the `#` of an address: no server sees it, and ORCID's pages shall not.

use super::context::{House, Parts, site};
use super::page::SiteView;
use super::samples::{self, Stranger};
use super::words::href;
use minijinja::context;

#[derive(Clone, Debug)]
pub struct OnwardPage {
    pub site: SiteView,
    /// The page that was asked for, on this very origin.
    pub target: String,
    /// Where the sign-in begins; none when it has ended, and the way leads to `target`.
    pub leaving: Option<String>,
}

impl OnwardPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let title = if self.leaving.is_some() { "onward.title-leaving" } else { "onward.title-back" };
        let values = context! {
            site => site(&self.site),
            target => href(&self.target),
            leaving => self.leaving.as_deref().and_then(href),
            script => house.onward_script.as_str(),
        };
        ("onward.html", house.text(title, &[]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = |leaving: Option<&str>| OnwardPage {
            site: samples::library(),
            target: "https://library.campus.example/loans?id=7".to_owned(),
            leaving: leaving.map(str::to_owned),
        };
        vec![
            ("onward-leaving", page(Some("https://gate.campus.example/.lychgate/sign-in"))),
            ("onward-back", page(None)),
        ]
    }

    /// Puts a stranger's words wherever one could write.
    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        self.site = stranger.site.clone();
        self.target = format!("https://library.campus.example/{}", samples::MARKUP);
    }
}
