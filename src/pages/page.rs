//! [`Page`]: every page a person can be shown, with what it needs to be drawn. Built by `signin` and
//! `proxy`; turned into an answer by [`super::Pages`]. A page with more than a few lines of its own lives in a
//! file of its own, as [`AccountPage`] does: what it needs, how it is drawn, its samples.

use super::Notice;
use super::account::AccountPage;
use super::broken::BrokenPage;
use super::choose::ChoosePage;
use super::confirm::ConfirmPage;
use super::disconnect::{DisconnectPage, DisconnectedPage};
use super::kept::KeptPage;
use super::onward::OnwardPage;
use crate::domain::{Environment, Identity, IncidentId, Scope, ScopeSet};

/// One page. Links (`start`, `retry`, `onward`, …) are `https://` addresses or paths that start with
/// one `/`; anything else is left out of the page, so that a mistake above cannot put a `javascript:`
/// address under a button (T02, T84).
#[derive(Clone, Debug)]
pub enum Page {
    /// The "ORCID connection portal" of the seed, before the trip to ORCID. Three faces: nobody signed
    /// in; `person` and `continue_as` (carry on as the same researcher, or use another iD); `person`
    /// alone (a step-up: a signed-in researcher is asked for more).
    SignIn {
        site: Option<SiteView>,
        /// What ORCID will ask the researcher to allow.
        needs: Vec<ScopeLine>,
        /// The operator's reasons (`why` of a rule), in their own words.
        why: Vec<String>,
        /// Where the button leads: the address that starts the attempt, or ORCID's own.
        start: String,
        person: Option<PersonView>,
        /// Where "Continue as NAME" leads.
        continue_as: Option<String>,
        /// Of a step-up: the page they were on before, where "Not now" leads.
        leave: Option<String>,
        provider: ProviderView,
    },
    /// A portal site (`portal = true`), before and after connecting.
    Portal {
        site: SiteView,
        /// The site's own words about itself (`about`).
        about: Option<String>,
        needs: Vec<ScopeLine>,
        start: String,
        person: Option<PersonView>,
        /// What the person has already allowed.
        granted: Vec<ScopeLine>,
        sign_out: String,
        /// The account page on the sign-in host.
        account: Option<String>,
        provider: ProviderView,
    },
    /// The landing page after a sign-in: thanks, shows the iD, says what was and was not allowed.
    Connected {
        person: PersonView,
        site: Option<SiteView>,
        granted: Vec<ScopeLine>,
        missing: Vec<ScopeLine>,
        onward: String,
        first_time: bool,
        provider: ProviderView,
    },
    /// A form was kept over the sign-in: may it be sent now?
    Kept(KeptPage),
    /// "Deny access" was chosen at ORCID: asks to reconsider.
    Denied {
        site: Option<SiteView>,
        needs: Vec<ScopeLine>,
        retry: String,
        leave: Option<String>,
        provider: ProviderView,
    },
    /// Asks before signing out. The form POSTs `token` and `reach` (`Reach::as_str`) to `action`.
    SignOutAsk {
        reach: Reach,
        person: Option<PersonView>,
        site: Option<SiteView>,
        action: String,
        token: String,
        cancel: Option<String>,
    },
    SignedOut {
        reach: Reach,
        site: Option<SiteView>,
        /// Sign in again.
        again: Option<String>,
        /// The page that asks to sign out everywhere, when only one site was left.
        everywhere: Option<String>,
        provider: ProviderView,
        there: There,
    },
    Account(AccountPage),
    Choose(ChoosePage),
    Broken(BrokenPage),
    /// On a shared computer: asks whether the person who signed in is the one who sits there.
    Confirm(ConfirmPage),
    /// Asks before anything is taken back.
    Disconnect(DisconnectPage),
    Disconnected(DisconnectedPage),
    Onward(OnwardPage),
    /// The policy says no. Answered with 403.
    Refused {
        person: Option<PersonView>,
        site: SiteView,
        /// The name of the rule that decided.
        rule: Option<String>,
        /// The operator's own words.
        why: Option<String>,
        /// Whom to ask; the organisation's contact when absent.
        contact: Option<String>,
        /// Sign in with another iD.
        another: Option<String>,
        incident: Option<IncidentId>,
    },
    /// Something went wrong, or has to be said.
    Notice {
        notice: Notice,
        incident: Option<IncidentId>,
        next: Vec<Link>,
        site: Option<SiteView>,
    },
}

impl Page {
    /// Who vouches for the researcher, where the page knows.
    pub(super) fn provider(&self) -> Option<&ProviderView> {
        match self {
            Page::SignIn { provider, .. }
            | Page::Portal { provider, .. }
            | Page::Connected { provider, .. }
            | Page::Denied { provider, .. }
            | Page::SignedOut { provider, .. } => Some(provider),
            Page::Account(page) => Some(&page.provider),
            Page::Choose(page) => page.choices.first().map(|choice| &choice.provider),
            Page::Broken(page) => Some(&page.provider),
            Page::Confirm(page) => Some(&page.provider),
            Page::Disconnect(page) => Some(&page.provider),
            Page::Disconnected(page) => Some(&page.provider),
            Page::SignOutAsk { .. } | Page::Refused { .. } | Page::Notice { .. } | Page::Onward(_) | Page::Kept(_) => {
                None
            }
        }
    }

    /// The site it is about, in whose look it is drawn.
    pub(super) fn site(&self) -> Option<&SiteView> {
        match self {
            Page::SignIn { site, .. }
            | Page::Connected { site, .. }
            | Page::Denied { site, .. }
            | Page::SignOutAsk { site, .. }
            | Page::SignedOut { site, .. }
            | Page::Notice { site, .. } => site.as_ref(),
            Page::Portal { site, .. } | Page::Refused { site, .. } => Some(site),
            Page::Choose(page) => page.site.as_ref(),
            Page::Broken(page) => page.site.as_ref(),
            Page::Confirm(page) => page.site.as_ref(),
            Page::Onward(page) => Some(&page.site),
            Page::Kept(page) => Some(&page.site),
            Page::Account(_) | Page::Disconnect(_) | Page::Disconnected(_) => None,
        }
    }

    /// The same page as if it were about the site of this name, for a preview of that site's own look.
    pub fn in_look_of(mut self, name: &str) -> Self {
        let site = match &mut self {
            Page::SignIn { site, .. }
            | Page::Connected { site, .. }
            | Page::Denied { site, .. }
            | Page::SignOutAsk { site, .. }
            | Page::SignedOut { site, .. }
            | Page::Notice { site, .. } => site.as_mut(),
            Page::Portal { site, .. } | Page::Refused { site, .. } => Some(site),
            Page::Choose(page) => page.site.as_mut(),
            Page::Broken(page) => page.site.as_mut(),
            Page::Confirm(page) => page.site.as_mut(),
            Page::Onward(page) => Some(&mut page.site),
            Page::Kept(page) => Some(&mut page.site),
            Page::Account(_) | Page::Disconnect(_) | Page::Disconnected(_) => None,
        };
        if let Some(site) = site {
            site.name = name.to_owned();
        }
        self
    }
}

/// What is known about the session at the provider after a sign-out here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum There {
    /// Nothing, and there is no way but the provider's own pages.
    MaybeStill,
    /// Nothing, and this address ends it.
    Leave(String),
    /// The provider sent the browser back from its sign-out.
    SignedOutToo,
}

/// A site as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteView {
    /// The site's name in its policy, by which it may have templates and texts of its own.
    pub name: String,
    pub title: String,
    /// Where it answers; without it the title is shown as text.
    pub url: Option<String>,
}

/// A researcher as shown on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonView {
    pub name: Option<String>,
    /// The iD with hyphens, or a foreign subject.
    pub id: String,
    /// The full https address of the record (`orcid.md` §9.2).
    pub uri: Option<String>,
}

impl From<&Identity> for PersonView {
    fn from(identity: &Identity) -> Self {
        Self { name: identity.name.clone(), id: identity.subject.to_string(), uri: identity.uri() }
    }
}

/// A scope and what it means in plain words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeLine {
    pub scope: Scope,
    pub text: String,
}

/// The plain words for one scope, in English; an operator's text file may replace them on the page.
pub fn scope_line(scope: &Scope) -> ScopeLine {
    ScopeLine { scope: scope.clone(), text: super::texts::Texts::english().scope(scope.as_str()) }
}

/// One line per scope.
pub fn scope_lines(scopes: &ScopeSet) -> Vec<ScopeLine> {
    scopes.iter().map(scope_line).collect()
}

/// Who vouches for the researcher: ORCID, its sandbox, the simulator, or another provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderView {
    pub environment: Environment,
    /// The provider's front page, where a person can see whether they are still signed in.
    pub home: String,
}

impl ProviderView {
    /// `issuer` is the configured one; ORCID's own pages live at fixed addresses (`orcid.md` §1.1).
    pub fn new(environment: Environment, issuer: &str) -> Self {
        let home = match environment {
            Environment::Production | Environment::Sandbox => environment.record_base(),
            Environment::Simulator | Environment::Other => issuer,
        };
        Self { environment, home: home.to_owned() }
    }
}

/// How far a sign-out reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// This browser, this site.
    Site,
    /// This browser, all sites. The page that asks offers all devices too.
    Everywhere,
    /// All browsers of this researcher.
    AllDevices,
}

impl Reach {
    pub const ALL: [Reach; 3] = [Reach::Site, Reach::Everywhere, Reach::AllDevices];

    /// The value of the form field `reach`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reach::Site => "site",
            Reach::Everywhere => "everywhere",
            Reach::AllDevices => "all-devices",
        }
    }

    /// Reads the form field `reach`.
    pub fn from_field(text: &str) -> Option<Reach> {
        Self::ALL.into_iter().find(|reach| reach.as_str() == text)
    }
}

/// A way onward from a notice. The words belong to the label; the first one becomes the button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub label: LinkLabel,
    pub href: String,
}

impl Link {
    pub fn new(label: LinkLabel, href: impl Into<String>) -> Self {
        Self { label, href: href.into() }
    }
}

/// What a link says; its words stand in the text catalogue under `link.`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkLabel {
    SignIn,
    StartAgain,
    TryAgain,
    Continue,
    /// "Go to SITE".
    Site,
    FrontPage,
    SignOut,
    Account,
    AnotherId,
    Provider,
}

impl LinkLabel {
    pub const ALL: [LinkLabel; 10] = [
        LinkLabel::SignIn,
        LinkLabel::StartAgain,
        LinkLabel::TryAgain,
        LinkLabel::Continue,
        LinkLabel::Site,
        LinkLabel::FrontPage,
        LinkLabel::SignOut,
        LinkLabel::Account,
        LinkLabel::AnotherId,
        LinkLabel::Provider,
    ];

    /// The last part of the text's key.
    pub fn key(self) -> &'static str {
        match self {
            LinkLabel::SignIn => "sign-in",
            LinkLabel::StartAgain => "start-again",
            LinkLabel::TryAgain => "try-again",
            LinkLabel::Continue => "continue",
            LinkLabel::Site => "site",
            LinkLabel::FrontPage => "front-page",
            LinkLabel::SignOut => "sign-out",
            LinkLabel::Account => "account",
            LinkLabel::AnotherId => "another-id",
            LinkLabel::Provider => "provider",
        }
    }
}
