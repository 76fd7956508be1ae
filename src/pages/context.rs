//! From a [`Page`] to what its template sees: the variables named at the top of each template, every
//! text bounded and cleaned, every link checked. Called by [`super::Pages`].

use super::headers::Allowance;
use super::page::{Link, PersonView, ProviderView, ScopeLine, SiteView, There};
use super::texts::{Texts, fill};
use super::words::{LONG, SHORT, clean, host, href};
use super::{Notice, Page};
use crate::domain::Environment;
use http::StatusCode;
use minijinja::context;
use minijinja::value::Value;
use std::sync::Arc;

/// Most entries of one list on a page.
const ENTRIES: usize = 30;

/// What all pages of one gate have in common.
#[derive(Debug)]
pub(super) struct House {
    pub texts: Arc<Texts>,
    pub organisation: String,
    pub contact: Option<String>,
    /// The variables every template sees (`layout.html` lists them), but for page and title.
    pub base: Value,
    /// The callback helper's address.
    pub script: String,
    /// The address of what keeps fragments.
    pub onward_script: String,
}

/// Of one page: its template, its title, and the variables of its own.
pub(super) type Parts = (&'static str, String, Value);

/// A page ready for its template.
pub(super) struct Drawn {
    pub template: &'static str,
    pub status: StatusCode,
    pub retry_after: Option<u32>,
    pub allowance: Allowance,
    /// An address outside this host that a form on the page may end at.
    pub leads_to: Option<String>,
    pub values: Value,
}

impl House {
    /// Prepares a page. Pure.
    pub(super) fn draw(&self, page: &Page) -> Drawn {
        let (template, title, values) = self.parts(page);
        let name = template.trim_end_matches(".html");
        let (status, retry_after) = match page {
            Page::Refused { .. } => (StatusCode::FORBIDDEN, None),
            Page::Notice { notice, .. } => (notice.status(), notice.retry_after()),
            _ => (StatusCode::OK, None),
        };
        let allowance = match page {
            Page::SignIn { .. }
            | Page::Portal { .. }
            | Page::Denied { .. }
            | Page::SignOutAsk { .. }
            | Page::Account(_)
            | Page::Choose(_)
            | Page::Broken(_)
            | Page::Confirm(_)
            | Page::Refused { .. } => Allowance::Provider,
            Page::Notice { notice: Notice::CallbackIncomplete, .. } | Page::Onward(_) => Allowance::Script,
            Page::Kept(_) => Allowance::App,
            Page::Connected { .. }
            | Page::Disconnect(_)
            | Page::Disconnected(_)
            | Page::SignedOut { .. }
            | Page::Notice { .. } => Allowance::Nothing,
        };
        let leads_to = match page {
            Page::SignOutAsk { site: Some(site), .. } => site.url.clone(),
            _ => None,
        };
        let known = context! { ..values, ..self.base.clone() };
        let values = context! { page => name, title => title, ..known };
        Drawn { template, status, retry_after, allowance, leads_to, values }
    }

    fn parts(&self, page: &Page) -> Parts {
        match page {
            Page::SignIn { .. } => self.sign_in(page),
            Page::Portal { .. } => self.portal(page),
            Page::Connected { person, site, granted, missing, onward, first_time, provider } => {
                let title = self.text(if *first_time { "connected.title" } else { "connected.title-again" }, &[]);
                let values = context! {
                    person => self::person(person), site => maybe_site(site), granted => self.scopes(granted),
                    missing => self.scopes(missing), onward => href(onward), first_time => *first_time,
                    provider => self.provider(provider),
                };
                ("connected.html", title, values)
            }
            Page::Denied { site, needs, retry, leave, provider } => {
                let values = context! {
                    site => maybe_site(site), needs => self.needs(needs, provider), retry => href(retry),
                    leave => maybe_href(leave), provider => self.provider(provider),
                };
                ("denied.html", self.text("denied.title", &[]), values)
            }
            Page::SignOutAsk { .. } | Page::SignedOut { .. } => self.sign_out(page),
            Page::Account(page) => page.draw(self),
            Page::Choose(page) => page.draw(self),
            Page::Broken(page) => page.draw(self),
            Page::Confirm(page) => page.draw(self),
            Page::Disconnect(page) => page.draw(self),
            Page::Disconnected(page) => page.draw(self),
            Page::Onward(page) => page.draw(self),
            Page::Kept(page) => page.draw(self),
            Page::Refused { .. } => self.refused(page),
            Page::Notice { notice, incident, next, site } => {
                let key = format!("notice.{}", notice.code());
                let of_callback = *notice == Notice::CallbackIncomplete;
                let values = context! {
                    code => notice.code(),
                    text => self.text(&format!("{key}.text"), &[]),
                    advice => self.text(&format!("{key}.advice"), &[]),
                    links => self.links(*notice, next, site.as_ref()),
                    incident => incident.map(|id| id.to_string()),
                    callback => of_callback.then_some("/.lychgate/callback/"),
                    script => of_callback.then(|| self.script.clone()),
                };
                ("notice.html", self.text(&format!("{key}.title"), &[]), values)
            }
        }
    }

    fn sign_in(&self, page: &Page) -> Parts {
        let Page::SignIn { site, needs, why, start, person, continue_as, leave, provider } = page else {
            unreachable!("called for this page only")
        };
        let step_up = person.is_some() && continue_as.is_none();
        let title = self.titled(if step_up { "step-up.title" } else { "sign-in.title" }, site.as_ref());
        let values = context! {
            site => maybe_site(site),
            needs => self.needs(needs, provider),
            why => list(why, |reason| clean(reason, LONG).into()),
            start => href(start),
            person => person.as_ref().map(self::person),
            continue_as => maybe_href(continue_as),
            leave => maybe_href(leave),
            step_up => step_up,
            provider => self.provider(provider),
        };
        ("sign-in.html", title, values)
    }

    fn portal(&self, page: &Page) -> Parts {
        let Page::Portal { site, about, needs, start, person, granted, sign_out, account, provider } = page else {
            unreachable!("called for this page only")
        };
        let title = self.text(if person.is_some() { "portal.title-connected" } else { "portal.title" }, &[]);
        let values = context! {
            site => self::site(site),
            about => about.as_deref().map(|about| clean(about, 4 * LONG)),
            needs => self.needs(needs, provider),
            start => href(start),
            person => person.as_ref().map(self::person),
            granted => self.scopes(granted),
            sign_out => href(sign_out),
            account => maybe_href(account),
            provider => self.provider(provider),
        };
        ("portal.html", title, values)
    }

    fn sign_out(&self, page: &Page) -> Parts {
        match page {
            Page::SignOutAsk { reach, person, site, action, token, cancel } => {
                let of_site = if *reach == super::Reach::Site { site.as_ref() } else { None };
                let title = match of_site {
                    Some(site) => self.text("sign-out.title-site", &[("site", &clean(&site.title, SHORT))]),
                    None => self.text("sign-out.title", &[]),
                };
                let values = context! {
                    reach => reach.as_str(), person => person.as_ref().map(self::person), site => maybe_site(site),
                    action => href(action), token => token.as_str(), cancel => maybe_href(cancel),
                };
                ("sign-out.html", title, values)
            }
            Page::SignedOut { reach, site, again, everywhere, provider, there } => {
                let leave = match there {
                    There::Leave(address) => href(address),
                    There::MaybeStill | There::SignedOutToo => None,
                };
                let values = context! {
                    reach => reach.as_str(), site => maybe_site(site), again => maybe_href(again),
                    everywhere => maybe_href(everywhere), provider => self.provider(provider),
                    leave => leave, there_too => *there == There::SignedOutToo,
                };
                ("signed-out.html", self.text("signed-out.title", &[]), values)
            }
            _ => unreachable!("called for these two pages only"),
        }
    }

    fn refused(&self, page: &Page) -> Parts {
        let Page::Refused { person, site, rule, why, contact, another, incident } = page else {
            unreachable!("called for this page only")
        };
        let values = context! {
            person => person.as_ref().map(self::person),
            site => self::site(site),
            rule => rule.as_deref().map(|rule| clean(rule, SHORT)),
            why => why.as_deref().map(|why| clean(why, LONG)),
            contact => contact.as_deref().or(self.contact.as_deref()).and_then(super::words::contact),
            another => maybe_href(another),
            incident => incident.map(|id| id.to_string()),
        };
        ("refused.html", self.titled("refused.title", Some(site)), values)
    }

    /// What was given, then what helps anyway: the same address again for what may pass, the site's
    /// front page for the rest. No notice is a dead end when there is somewhere to go (J15).
    fn links(&self, notice: Notice, next: &[Link], site: Option<&SiteView>) -> Value {
        let site_text = |key: &str| match site {
            Some(site) => self.text(key, &[("site", &clean(&site.title, SHORT))]),
            None => self.text(&format!("{key}-plain"), &[]),
        };
        let label = |link: &Link| match link.label {
            super::LinkLabel::Site => site_text("link.site"),
            label => self.text(&format!("link.{}", label.key()), &[]),
        };
        let mut links: Vec<(String, String)> = Vec::new();
        for link in next.iter().take(ENTRIES) {
            if let Some(href) = href(&link.href) {
                links.push((href, label(link)));
            }
        }
        if links.is_empty() && notice.may_pass() {
            // An empty reference is the page itself (RFC 3986 §4.4), asked for with GET.
            links.push((String::new(), self.text("link.try-again", &[])));
        }
        if let Some(home) = site.and_then(|site| site.url.as_deref()).and_then(href)
            && !links.iter().any(|(href, _)| *href == home)
        {
            links.push((home, site_text("link.site")));
        }
        links.into_iter().map(|(href, label)| context! { href => href, label => label }).collect()
    }

    /// `key` with the site's title, `key-plain` without a site.
    pub(super) fn titled(&self, key: &str, site: Option<&SiteView>) -> String {
        match site {
            Some(site) => self.text(key, &[("site", &clean(&site.title, SHORT))]),
            None => self.text(&format!("{key}-plain"), &[]),
        }
    }

    /// A text of the catalogue, without markup. A key that is missing shows as itself.
    pub(super) fn text(&self, key: &str, values: &[(&str, &str)]) -> String {
        let mut value = |name: &str| match values.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => Some((*value).to_owned()),
            None => (name == "organisation").then(|| self.organisation.clone()),
        };
        self.texts.get(key).map_or_else(|| key.to_owned(), |text| fill(text, str::to_owned, &mut value))
    }

    /// What will be asked. The words for `openid` speak of ORCID; elsewhere it only means signing in.
    pub(super) fn needs(&self, lines: &[ScopeLine], provider: &ProviderView) -> Value {
        let foreign = provider.environment == Environment::Other;
        let lines: Vec<ScopeLine> =
            lines.iter().filter(|line| !(foreign && line.scope.as_str() == "openid")).cloned().collect();
        self.scopes(&lines)
    }

    /// One line per meaning: `openid` and `/authenticate` ask for the same.
    pub(super) fn scopes(&self, lines: &[ScopeLine]) -> Value {
        let mut shown: Vec<(String, String)> = Vec::new();
        let mut lines: Vec<&ScopeLine> = lines.iter().take(ENTRIES).collect();
        lines.sort_by_key(|line| weight(line.scope.as_str()));
        for line in lines {
            let scope = line.scope.as_str();
            let own_words = line.text != Texts::english().scope(scope);
            let text = if own_words { clean(&line.text, LONG) } else { self.texts.scope(scope) };
            if !shown.iter().any(|(_, known)| *known == text) {
                shown.push((scope.to_owned(), text));
            }
        }
        shown.into_iter().map(|(scope, text)| context! { scope => scope, text => text }).collect()
    }

    pub(super) fn provider(&self, provider: &ProviderView) -> Value {
        let home = href(&provider.home);
        let host = host(&provider.home);
        let name = match provider.environment {
            Environment::Production => self.text("provider.production", &[]),
            Environment::Sandbox => self.text("provider.sandbox", &[]),
            Environment::Simulator => self.text("provider.simulator", &[]),
            Environment::Other => host.clone(),
        };
        context! {
            name => name, host => host, home => home,
            is_orcid => provider.environment != Environment::Other,
            sandbox => provider.environment == Environment::Sandbox,
        }
    }
}

/// From what everybody is asked to what touches the record, as ORCID's own screen lists them.
fn weight(scope: &str) -> u8 {
    match scope {
        "openid" | "/authenticate" => 0,
        "/read-limited" => 1,
        "/email/read-private" => 2,
        _ => 3,
    }
}

pub(super) fn site(site: &SiteView) -> Value {
    context! { title => clean(&site.title, SHORT), url => maybe_href(&site.url) }
}

pub(super) fn maybe_site(view: &Option<SiteView>) -> Option<Value> {
    view.as_ref().map(site)
}

pub(super) fn person(person: &PersonView) -> Value {
    let name = person.name.as_deref().map(|name| clean(name, SHORT)).filter(|name| !name.is_empty());
    let id = clean(&person.id, SHORT);
    context! { name => name.clone(), id => id.clone(), uri => maybe_href(&person.uri), label => name.unwrap_or(id) }
}

pub(super) fn list<T>(items: &[T], show: impl Fn(&T) -> Value) -> Value {
    items.iter().take(ENTRIES).map(show).collect()
}

pub(super) fn maybe_href(text: &Option<String>) -> Option<String> {
    text.as_deref().and_then(href)
}
