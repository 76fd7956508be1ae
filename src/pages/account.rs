//! [`AccountPage`]: the researcher's own view of their connection, and what they can do about it.

use super::agent::agent;
use super::context::{House, Parts, list, person, site};
use super::page::{PersonView, ProviderView, ScopeLine, SiteView};
use super::samples::{self, Stranger};
use super::words::{SHORT, clean, href, moment};
use crate::domain::UnixTime;
use minijinja::context;
use minijinja::value::Value;

/// Most other browsers shown; the rest are counted.
const BROWSERS: usize = 12;

#[derive(Clone, Debug)]
pub struct AccountPage {
    pub person: PersonView,
    /// When the connection was first made.
    pub since: Option<UnixTime>,
    /// When this sign-in ends at the latest.
    pub expires: Option<UnixTime>,
    pub granted: Vec<ScopeLine>,
    /// Sites that used the connection, the latest first, then those the researcher can go on to.
    pub sites: Vec<SiteLine>,
    /// The browser that looks at the page.
    pub here: Option<BrowserView>,
    /// Other browsers signed in as this researcher.
    pub others: Vec<BrowserView>,
    /// Where the form goes that ends the others, and what proves that it is ours.
    pub end: String,
    pub token: String,
    pub sign_out: String,
    /// The page that asks before it disconnects.
    pub disconnect: String,
    /// Everything kept about them, to take away.
    pub data: String,
    pub provider: ProviderView,
}

/// A site and when it last used the connection.
#[derive(Clone, Debug)]
pub struct SiteLine {
    pub site: SiteView,
    pub last: Option<UnixTime>,
}

/// A browser that is signed in.
#[derive(Clone, Debug)]
pub struct BrowserView {
    /// Its own name for itself; shown in other words.
    pub agent: String,
    /// Where it was when it signed in.
    pub place: Option<String>,
    pub since: UnixTime,
    pub last_used: UnixTime,
    /// The value of the form field `end` that ends it.
    pub name: String,
}

impl AccountPage {
    pub(super) fn draw(&self, house: &House) -> Parts {
        let shown = self.others.len().min(BROWSERS);
        let values = context! {
            person => person(&self.person),
            since => self.since.map(moment),
            expires => self.expires.map(moment),
            granted => house.scopes(&self.granted),
            sites => list(&self.sites, |line| context! { last => line.last.map(moment), ..site(&line.site) }),
            here => self.here.as_ref().map(|it| browser(it, house)),
            others => list(&self.others[..shown], |it| browser(it, house)),
            more => self.others.len() - shown,
            end => href(&self.end),
            token => self.token.as_str(),
            sign_out => href(&self.sign_out),
            disconnect => href(&self.disconnect),
            data => href(&self.data),
            provider => house.provider(&self.provider),
        };
        ("account.html", house.text("account.title", &[]), values)
    }

    pub(super) fn samples() -> Vec<(&'static str, Self)> {
        let page = |granted: &str, sites, here, others| AccountPage {
            person: samples::josiah(),
            since: Some(UnixTime(1_760_000_000)),
            expires: Some(UnixTime(1_790_947_500)),
            granted: samples::lines(granted),
            sites,
            here,
            others,
            end: "/.lychgate/account/sessions".to_owned(),
            token: "c2FtcGxlLXRva2Vu".to_owned(),
            sign_out: "/.lychgate/sign-out".to_owned(),
            disconnect: "/.lychgate/account/disconnect".to_owned(),
            data: "/.lychgate/account/data".to_owned(),
            provider: samples::orcid(),
        };
        let browser = |agent: &str, place: Option<&str>, name: &str| BrowserView {
            agent: agent.to_owned(),
            place: place.map(str::to_owned),
            since: UnixTime(1_790_861_100),
            last_used: UnixTime(1_790_864_700),
            name: name.to_owned(),
        };
        let sites = vec![
            SiteLine { site: samples::library(), last: Some(UnixTime(1_790_861_100)) },
            SiteLine { site: samples::repository(), last: None },
        ];
        let here = browser("Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0", Some("192.0.2.0/24"), "a");
        let others = vec![
            browser("Mozilla/5.0 (iPhone) Version/18.0 Safari/604.1", Some("2001:db8:12::/48"), "b"),
            browser("Something on Windows", None, "c"),
            browser("curl/8.9.1", None, "d"),
        ];
        vec![
            ("account", page("openid /read-limited", sites, Some(here), others)),
            ("account-plain", page("", vec![], None, vec![])),
        ]
    }

    /// Puts a stranger's words wherever one could write.
    pub(super) fn made_hostile(&mut self, stranger: &Stranger) {
        self.person = stranger.person.clone();
        self.granted = stranger.needs.clone();
        self.sites = vec![SiteLine { site: stranger.site.clone(), last: Some(UnixTime(i64::MAX)) }; 100];
        let browser = BrowserView {
            agent: stranger.text.clone(),
            place: Some(stranger.text.clone()),
            since: UnixTime(i64::MIN),
            last_used: UnixTime(0),
            name: stranger.text.clone(),
        };
        self.here = Some(browser.clone());
        self.others = vec![browser; 100];
        self.provider = stranger.provider.clone();
    }
}

fn browser(view: &BrowserView, house: &House) -> Value {
    let known = agent(&view.agent);
    let words = match (known.browser, known.system) {
        (Some(browser), Some(system)) => house.text("account.browser-on", &[("browser", browser), ("system", system)]),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => house.text("account.some-browser-on", &[("system", system)]),
        (None, None) => house.text("account.some-browser", &[]),
    };
    context! {
        agent => words,
        place => view.place.as_deref().map(|place| clean(place, SHORT)),
        since => moment(view.since),
        last_used => moment(view.last_used),
        name => clean(&view.name, SHORT),
    }
}
