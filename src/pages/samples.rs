//! One sample of every page and every face of it, with made-up people: for `lychgate pages preview`,
//! for the trial of an operator's templates at start, and for tests.

use super::account::AccountPage;
use super::broken::BrokenPage;
use super::choose::ChoosePage;
use super::confirm::ConfirmPage;
use super::disconnect::{DisconnectPage, DisconnectedPage};
use super::kept::KeptPage;
use super::onward::OnwardPage;
use super::page::*;
use super::{Notice, scope_lines};
use crate::domain::{Chance, Environment, IncidentId, ScopeSet};

/// Markup inside every text of the hostile samples; it must never stand in a page as it is.
pub const MARKUP: &str = "<script>alert('x')</script>";

/// A page to look at.
pub struct Sample {
    /// Fit for a file name.
    pub name: String,
    pub page: Page,
    /// Whether its texts try to break out.
    pub hostile: bool,
}

/// Every sample: the good ones, then the hostile ones.
pub fn all() -> Vec<Sample> {
    let mut samples = fair();
    samples.extend(hostile());
    samples
}

/// Every face of every page, and every notice.
pub fn fair() -> Vec<Sample> {
    let account = named(AccountPage::samples(), Page::Account);
    let ask = named(DisconnectPage::samples(), Page::Disconnect);
    let confirm = named(ConfirmPage::samples(), Page::Confirm);
    let choosing = named(ChoosePage::samples(), Page::Choose);
    let broken = named(BrokenPage::samples(), Page::Broken);
    let done = named(DisconnectedPage::samples(), Page::Disconnected);
    let onward = named(OnwardPage::samples(), Page::Onward);
    let kept = named(KeptPage::samples(), Page::Kept);
    let own = [account, choosing, broken, confirm, ask, done, onward, kept];
    let groups = [signing_in(), portals(), after_orcid(), signing_out(), refusals()].into_iter().chain(own);
    let mut samples: Vec<Sample> =
        groups.flatten().map(|(name, page)| Sample { name: name.to_owned(), page, hostile: false }).collect();
    samples.extend(Notice::ALL.iter().map(|notice| Sample {
        name: format!("notice-{}", notice.code()),
        page: notice_page(*notice),
        hostile: false,
    }));
    samples
}

fn named<T>(samples: Vec<(&'static str, T)>, page: impl Fn(T) -> Page) -> Vec<(&'static str, Page)> {
    samples.into_iter().map(|(name, sample)| (name, page(sample))).collect()
}

fn signing_in() -> Vec<(&'static str, Page)> {
    let page = |site, needs: &str, why: &[&str], person: Option<PersonView>, continue_as: Option<&str>, provider| {
        Page::SignIn {
            site,
            needs: lines(needs),
            why: why.iter().map(|why| (*why).to_owned()).collect(),
            start: "/.lychgate/sign-in?start=1".to_owned(),
            leave: (person.is_some() && continue_as.is_none()).then(|| "https://library.example.edu/loans".to_owned()),
            person,
            continue_as: continue_as.map(str::to_owned),
            provider,
        }
    };
    let why = &["so that your deposit appears on your ORCID record"];
    vec![
        ("sign-in", page(Some(library()), "openid", &[], None, None, orcid())),
        ("sign-in-plain", page(None, "openid", &[], None, None, orcid())),
        ("sign-in-scopes", page(Some(library()), "openid /read-limited /activities/update", why, None, None, orcid())),
        (
            "sign-in-sandbox",
            page(Some(library()), "openid", &[], None, None, ProviderView::new(Environment::Sandbox, "")),
        ),
        ("sign-in-other", page(Some(library()), "openid", &[], None, None, campus())),
        (
            "sign-in-continue",
            page(Some(library()), "openid", &[], Some(josiah()), Some("/.lychgate/continue"), orcid()),
        ),
        ("step-up", page(Some(library()), "/activities/update", why, Some(josiah()), None, orcid())),
    ]
}

fn portals() -> Vec<(&'static str, Page)> {
    let about = "The University of Somewhere links your publications, theses and grants to your ORCID iD, \
                 so that reports fill themselves in and nothing you did is missed.";
    let page = |person, granted: &str| Page::Portal {
        site: view("portal", "ORCID at Somewhere", "https://orcid.example.edu/"),
        about: Some(about.to_owned()),
        needs: lines("openid /read-limited /activities/update"),
        start: "/.lychgate/sign-in".to_owned(),
        person,
        granted: lines(granted),
        sign_out: "/.lychgate/sign-out".to_owned(),
        account: Some("https://signin.example.edu/.lychgate/account".to_owned()),
        provider: orcid(),
    };
    vec![("portal", page(None, "")), ("portal-connected", page(Some(josiah()), "openid /read-limited"))]
}

fn after_orcid() -> Vec<(&'static str, Page)> {
    let connected = |missing: &str, first_time| Page::Connected {
        person: josiah(),
        site: Some(library()),
        granted: lines("openid /read-limited"),
        missing: lines(missing),
        onward: "https://library.example.edu/loans".to_owned(),
        first_time,
        provider: orcid(),
    };
    let denied = |site, leave: Option<&str>, provider| Page::Denied {
        site,
        needs: lines("openid /activities/update"),
        retry: "/.lychgate/sign-in".to_owned(),
        leave: leave.map(str::to_owned),
        provider,
    };
    vec![
        ("connected", connected("", true)),
        ("connected-missing", connected("/activities/update", true)),
        ("connected-again", connected("", false)),
        ("denied", denied(Some(library()), Some("https://www.example.edu/"), orcid())),
        ("denied-plain", denied(None, None, orcid())),
        ("denied-other", denied(Some(library()), None, campus())),
    ]
}

fn signing_out() -> Vec<(&'static str, Page)> {
    let ask = |reach, site| Page::SignOutAsk {
        reach,
        person: Some(josiah()),
        site,
        action: "/.lychgate/sign-out".to_owned(),
        token: "c2FtcGxlLXRva2Vu".to_owned(),
        cancel: Some("https://library.example.edu/".to_owned()),
    };
    let done = |reach, site, everywhere: Option<&str>| Page::SignedOut {
        reach,
        site,
        again: Some("https://library.example.edu/".to_owned()),
        everywhere: everywhere.map(str::to_owned),
        provider: orcid(),
        there: There::MaybeStill,
    };
    let elsewhere = |reach, there| Page::SignedOut {
        reach,
        site: None,
        again: Some("/.lychgate/sign-in".to_owned()),
        everywhere: None,
        provider: campus(),
        there,
    };
    let leave = There::Leave("https://login.example.edu/realms/staff/logout?client_id=gate&state=x".to_owned());
    vec![
        ("sign-out-site", ask(Reach::Site, Some(library()))),
        ("sign-out-site-plain", ask(Reach::Site, None)),
        ("sign-out-everywhere", ask(Reach::Everywhere, None)),
        ("sign-out-all-devices", ask(Reach::AllDevices, None)),
        ("signed-out-site", done(Reach::Site, Some(library()), Some("https://signin.example.edu/.lychgate/sign-out"))),
        ("signed-out-site-plain", done(Reach::Site, None, None)),
        ("signed-out-everywhere", done(Reach::Everywhere, None, None)),
        ("signed-out-all-devices", done(Reach::AllDevices, None, None)),
        ("signed-out-other", elsewhere(Reach::AllDevices, There::MaybeStill)),
        ("signed-out-leave", elsewhere(Reach::Everywhere, leave)),
        ("signed-out-there-too", elsewhere(Reach::Everywhere, There::SignedOutToo)),
    ]
}

fn refusals() -> Vec<(&'static str, Page)> {
    let refused = |person, why: Option<&str>, contact: Option<&str>, another: Option<&str>| Page::Refused {
        person,
        site: library(),
        rule: Some("administrators".to_owned()),
        why: why.map(str::to_owned),
        contact: contact.map(str::to_owned),
        another: another.map(str::to_owned),
        incident: Some(incident()),
    };
    let why = Some("Only the library's own staff may change loans.");
    vec![
        ("refused", refused(Some(josiah()), why, Some("library@example.edu"), Some("/.lychgate/sign-in?another=1"))),
        ("refused-guest", refused(None, None, None, None)),
    ]
}

fn notice_page(notice: Notice) -> Page {
    let next = match notice {
        Notice::AttemptExpired
        | Notice::AttemptUnknown
        | Notice::CallbackIncomplete
        | Notice::ProviderError
        | Notice::SignInFailed
        | Notice::CookiesMissing
        | Notice::TicketExpired
        | Notice::TicketForeign => vec![Link::new(LinkLabel::StartAgain, "/.lychgate/sign-in")],
        Notice::SignInNeeded | Notice::SessionEnded => vec![Link::new(LinkLabel::SignIn, "/.lychgate/sign-in")],
        Notice::ReturnTargetLost => vec![Link::new(LinkLabel::Continue, "https://library.example.edu/")],
        Notice::OtherResearcher => vec![
            Link::new(LinkLabel::AnotherId, "/.lychgate/sign-in?another=1"),
            Link::new(LinkLabel::FrontPage, "https://library.example.edu/"),
        ],
        _ => Vec::new(),
    };
    let site = (notice != Notice::UnknownHost).then(library);
    Page::Notice { notice, incident: Some(incident()), next, site }
}

/// Somebody who fills every text with what should do harm.
pub(super) struct Stranger {
    pub(super) text: String,
    pub(super) person: PersonView,
    pub(super) site: SiteView,
    pub(super) needs: Vec<ScopeLine>,
    pub(super) provider: ProviderView,
}

fn stranger() -> Stranger {
    let text = format!("{MARKUP}\"' onmouseover=\"x\u{202e}\u{0} {{{{ 7*7 }}}} {}", "long ".repeat(400));
    Stranger {
        person: PersonView { name: Some(text.clone()), id: text.clone(), uri: Some(format!("javascript:{text}")) },
        site: SiteView { name: text.clone(), title: text.clone(), url: Some(format!("https://x.example/\"{MARKUP}")) },
        needs: vec![ScopeLine { text: text.clone(), ..scope_line(&crate::domain::Scope::openid()) }],
        provider: ProviderView::new(Environment::Other, &format!("https://x.example/{MARKUP}")),
        text,
    }
}

/// Every page with markup, odd directions and great length in each text a stranger could write.
pub fn hostile() -> Vec<Sample> {
    let stranger = stranger();
    let Stranger { text, person: who, site: place, needs, provider } = &stranger;
    let pages = fair().into_iter().map(|sample| {
        let mut page = sample.page;
        match &mut page {
            Page::SignIn { site, needs: lines, why, start, person, continue_as, leave, provider: by } => {
                (*site, *lines, *why, *start) = (Some(place.clone()), needs.clone(), vec![text.clone()], text.clone());
                *person = person.as_ref().map(|_| who.clone());
                *continue_as = continue_as.as_ref().map(|_| format!("/x?{MARKUP}"));
                *leave = Some(format!("javascript:{MARKUP}"));
                *by = provider.clone();
            }
            Page::Portal { site, about, needs: lines, person, granted, provider: by, .. } => {
                (*site, *about, *lines, *granted) = (place.clone(), Some(text.clone()), needs.clone(), needs.clone());
                *person = person.as_ref().map(|_| who.clone());
                *by = provider.clone();
            }
            Page::Connected { person, site, granted, missing, onward, provider: by, .. } => {
                *by = provider.clone();
                (*person, *site, *onward) = (who.clone(), Some(place.clone()), format!("/x?{MARKUP}"));
                (*granted, *missing) = (needs.clone(), needs.clone());
            }
            Page::Denied { site, needs: lines, retry, leave, provider: by } => {
                *by = provider.clone();
                (*site, *lines, *retry, *leave) =
                    (Some(place.clone()), needs.clone(), text.clone(), Some(format!("/x?{MARKUP}")));
            }
            Page::Kept(page) => page.made_hostile(&stranger),
            Page::SignOutAsk { person, site, token, .. } => {
                (*person, *site, *token) = (Some(who.clone()), Some(place.clone()), MARKUP.to_owned());
            }
            Page::SignedOut { site, provider: by, there, .. } => {
                (*site, *by) = (Some(place.clone()), provider.clone());
                if let There::Leave(address) = there {
                    *address = format!("javascript:{text}");
                }
            }
            Page::Account(page) => page.made_hostile(&stranger),
            Page::Choose(page) => page.made_hostile(&stranger),
            Page::Broken(page) => page.made_hostile(&stranger),
            Page::Confirm(page) => page.made_hostile(&stranger),
            Page::Disconnect(page) => page.made_hostile(&stranger),
            Page::Disconnected(page) => page.made_hostile(&stranger),
            Page::Onward(page) => page.made_hostile(&stranger),
            Page::Refused { person, site, rule, why, contact, .. } => {
                (*person, *site, *rule) = (Some(who.clone()), place.clone(), Some(text.clone()));
                (*why, *contact) = (Some(text.clone()), Some(format!("https://x.example/{MARKUP}")));
            }
            Page::Notice { site, .. } => *site = Some(place.clone()),
        }
        Sample { name: format!("hostile-{}", sample.name), page, hostile: true }
    });
    pages.collect()
}

pub(super) fn lines(scopes: &str) -> Vec<ScopeLine> {
    scope_lines(&scopes.parse::<ScopeSet>().unwrap_or_default())
}

pub(super) fn orcid() -> ProviderView {
    ProviderView::new(Environment::Production, "https://orcid.org")
}

pub(super) fn campus() -> ProviderView {
    ProviderView::new(Environment::Other, "https://login.example.edu/realms/staff")
}

fn view(name: &str, title: &str, url: &str) -> SiteView {
    SiteView { name: name.to_owned(), title: title.to_owned(), url: Some(url.to_owned()) }
}

pub(super) fn library() -> SiteView {
    view("library", "Library Catalogue", "https://library.example.edu/")
}

pub(super) fn repository() -> SiteView {
    view("repository", "Research Repository", "https://repository.example.edu/")
}

/// The fictitious professor whose iD ORCID itself uses as its example.
pub(super) fn josiah() -> PersonView {
    let id = "0000-0002-1825-0097";
    PersonView {
        name: Some("Josiah Carberry".to_owned()),
        id: id.to_owned(),
        uri: Some(format!("https://orcid.org/{id}")),
    }
}

/// Somebody whom another provider than ORCID knows.
pub(super) fn staff() -> PersonView {
    PersonView { name: Some("Josiah Carberry".to_owned()), id: "jcarberry".to_owned(), uri: None }
}

/// Always the same bytes: a sample shows the same number every time.
struct NoChance;

impl Chance for NoChance {
    fn fill(&self, into: &mut [u8]) {
        for (at, byte) in into.iter_mut().enumerate() {
            *byte = (at * 5 + 7) as u8;
        }
    }
}

fn incident() -> IncidentId {
    IncidentId::draw(&NoChance)
}
