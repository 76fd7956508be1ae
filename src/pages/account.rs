//! [`AccountPage`]: the researcher's own view of their connection.

use super::context::{House, Parts, list, person, site};
use super::page::{PersonView, ProviderView, ScopeLine, SiteView};
use super::samples::{self, Stranger};
use super::words::{href, moment};
use crate::domain::UnixTime;
use minijinja::context;

#[derive(Clone, Debug)]
pub struct AccountPage {
    pub person: PersonView,
    /// When the connection was first made.
    pub since: Option<UnixTime>,
    pub signed_in_at: Option<UnixTime>,
    /// When this sign-in ends at the latest.
    pub expires: Option<UnixTime>,
    pub granted: Vec<ScopeLine>,
    /// Sites the researcher can go on to.
    pub sites: Vec<SiteView>,
    /// How many browsers are signed in as this researcher, this one included.
    pub browsers: Option<u64>,
    pub sign_out: String,
    pub provider: ProviderView,
}

impl AccountPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let values = context! {
            person => person(&self.person),
            since => self.since.map(moment),
            signed_in_at => self.signed_in_at.map(moment),
            expires => self.expires.map(moment),
            granted => house.scopes(&self.granted),
            sites => list(&self.sites, site),
            browsers => self.browsers,
            sign_out => href(&self.sign_out),
            provider => house.provider(&self.provider),
        };
        ("account.html", house.text("account.title", &[]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = |granted: &str, sites, browsers| AccountPage {
            person: samples::josiah(),
            since: Some(UnixTime(1_760_000_000)),
            signed_in_at: Some(UnixTime(1_790_861_100)),
            expires: Some(UnixTime(1_790_947_500)),
            granted: samples::lines(granted),
            sites,
            browsers,
            sign_out: "/.lychgate/sign-out".to_owned(),
            provider: samples::orcid(),
        };
        let sites = vec![samples::library(), samples::repository()];
        vec![("account", page("openid /read-limited", sites, Some(2))), ("account-plain", page("", vec![], None))]
    }

    /// Puts a stranger's words wherever one could write.
    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        self.person = stranger.person.clone();
        self.granted = stranger.needs.clone();
        self.sites = vec![stranger.site.clone(); 100];
        self.provider = stranger.provider.clone();
    }
}
