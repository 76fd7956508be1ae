//! [`DisconnectPage`]: asks what a researcher wants to take back. [`DisconnectedPage`]: says that it is done.

use super::context::{House, Parts, person};
use super::page::{PersonView, ProviderView, ScopeLine};
use super::samples::{self, Stranger};
use super::words::href;
use minijinja::context;

/// What to take back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// All permissions; that this iD is theirs stays known.
    Withdraw,
    /// Everything.
    Erase,
}

impl Farewell {
    pub const ALL: [Farewell; 2] = [Farewell::Withdraw, Farewell::Erase];

    /// The value of the form field `take`.
    pub fn as_str(self) -> &'static str {
        match self {
            Farewell::Withdraw => "permissions",
            Farewell::Erase => "everything",
        }
    }

    /// Reads the form field `take`.
    pub fn from_field(text: &str) -> Option<Farewell> {
        Self::ALL.into_iter().find(|farewell| farewell.as_str() == text)
    }
}

/// The form POSTs `token` and `take` (`Farewell::as_str`) to `action`.
#[derive(Clone, Debug)]
pub struct DisconnectPage {
    pub person: PersonView,
    pub granted: Vec<ScopeLine>,
    pub action: String,
    pub token: String,
    pub cancel: String,
    pub provider: ProviderView,
}

#[derive(Clone, Debug)]
pub struct DisconnectedPage {
    pub done: Farewell,
    /// Sign in again.
    pub again: String,
    pub provider: ProviderView,
}

impl DisconnectPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let values = context! {
            person => person(&self.person),
            granted => house.scopes(&self.granted),
            action => href(&self.action),
            token => self.token.as_str(),
            cancel => href(&self.cancel),
            provider => house.provider(&self.provider),
        };
        ("disconnect.html", house.text("disconnect.title", &[]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = |person, granted: &str, provider| DisconnectPage {
            person,
            granted: samples::lines(granted),
            action: "/.lychgate/account/disconnect".to_owned(),
            token: "c2FtcGxlLXRva2Vu".to_owned(),
            cancel: "/.lychgate/account".to_owned(),
            provider,
        };
        vec![
            ("disconnect", page(samples::josiah(), "openid /read-limited /activities/update", samples::orcid())),
            ("disconnect-other", page(samples::staff(), "", samples::campus())),
        ]
    }

    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        (self.person, self.granted) = (stranger.person.clone(), stranger.needs.clone());
        (self.token, self.provider) = (samples::MARKUP.to_owned(), stranger.provider.clone());
    }
}

impl DisconnectedPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let values = context! {
            erased => self.done == Farewell::Erase,
            again => href(&self.again),
            provider => house.provider(&self.provider),
        };
        let title = match self.done {
            Farewell::Withdraw => "disconnected.title",
            Farewell::Erase => "disconnected.title-erased",
        };
        ("disconnected.html", house.text(title, &[]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = |done, provider| DisconnectedPage { done, again: "/.lychgate/sign-in".to_owned(), provider };
        vec![
            ("disconnected", page(Farewell::Withdraw, samples::orcid())),
            ("disconnected-erased", page(Farewell::Erase, samples::orcid())),
            ("disconnected-other", page(Farewell::Erase, samples::campus())),
        ]
    }

    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        self.provider = stranger.provider.clone();
    }
}
