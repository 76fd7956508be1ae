//! [`ChoosePage`]: where to sign in, for a site that knows researchers through several registrations (B11).

use super::context::{House, Parts, list, maybe_site};
use super::page::{ProviderView, ScopeLine, SiteView};
use super::samples::{self, Stranger};
use super::words::{LONG, SHORT, clean, href};
use minijinja::{Value, context};

#[derive(Clone, Debug)]
pub struct ChoosePage {
    pub site: Option<SiteView>,
    /// What the researcher will be asked to allow, wherever they sign in.
    pub needs: Vec<ScopeLine>,
    /// The operator's reasons.
    pub why: Vec<String>,
    /// At least two, in the order of the policy file.
    pub choices: Vec<Choice>,
}

/// One way to sign in.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The operator's name for it; the provider's own where there is none.
    pub title: Option<String>,
    pub provider: ProviderView,
    /// Where its button leads.
    pub start: String,
}

impl ChoosePage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let values = context! {
            site => maybe_site(&self.site),
            needs => house.scopes(&self.needs),
            why => list(&self.why, |reason| clean(reason, LONG).into()),
            choices => list(&self.choices, |choice| choice.draw(house)),
            provider => self.choices.first().map(|choice| house.provider(&choice.provider)),
        };
        ("choose.html", house.titled("sign-in.title", self.site.as_ref()), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let choice = |title: Option<&str>, provider, name: &str| Choice {
            title: title.map(str::to_owned),
            provider,
            start: format!("/.lychgate/sign-in/start?client={name}"),
        };
        let choices =
            vec![choice(None, samples::orcid(), "main"), choice(Some("Campus account"), samples::campus(), "campus")];
        let why = vec!["so that your deposit appears on your ORCID record".to_owned()];
        let plain = ChoosePage { site: None, needs: Vec::new(), why: Vec::new(), choices: choices.clone() };
        let full = ChoosePage {
            site: Some(samples::library()),
            needs: samples::lines("openid /activities/update"),
            why,
            choices,
        };
        vec![("choose", full), ("choose-plain", plain)]
    }

    /// Puts a stranger's words wherever one could write.
    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        self.site = Some(stranger.site.clone());
        self.needs = stranger.needs.clone();
        self.why = vec![samples::MARKUP.to_owned()];
        for choice in &mut self.choices {
            choice.title = Some(samples::MARKUP.to_owned());
            choice.provider = stranger.provider.clone();
        }
    }
}

impl Choice {
    fn draw(&self, house: &House) -> Value {
        let provider = house.provider(&self.provider);
        let title = self.title.as_deref().map(|title| clean(title, SHORT)).filter(|title| !title.is_empty());
        context! { title => title, provider => provider, start => href(&self.start) }
    }
}
