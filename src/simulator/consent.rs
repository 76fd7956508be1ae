//! `/oauth/authorize`: who is asked what, when nobody is asked at all, and what follows from the answer
//! (`orcid.md` §2.1, §10.4). Called by `route`.

use super::answer::{Answer, see_other};
use super::authorize::{AuthorizeRequest, Unfit};
use super::browser::Browser;
use super::people::{AccountState, Person};
use super::switches::Switches;
use super::visit::Visit;
use super::world::World;
use super::{response, sign_in};
use http::StatusCode;
use minijinja::context;

pub(super) const ACCOUNT: &str = "/trusted-organisations";
const ACTION: &str = "consent";
/// The form of the page that may come after consent.
const LATER: &str = "after consent";

/// Answers `GET /oauth/authorize`.
pub(super) fn ask(world: &World, visit: &Visit) -> Answer {
    let switches = world.switches();
    let browser = Browser::of(world, visit);
    let request = match AuthorizeRequest::read(&visit.query, &switches, |id| world.client(id)) {
        Ok(request) => request,
        Err(unfit) => return refuse(world, &browser, unfit),
    };
    if let Some(word) = &switches.authorize_error.0 {
        return response::error(world, &switches, &request, word, None);
    }
    let Some(person) = browser.person.clone().filter(|person| !must_sign_in(world, &request, person)) else {
        if request.prompt.none {
            return see_other(&login_required(&switches, &request));
        }
        return sign_in::for_request(world, &browser, &request);
    };
    if person.state == AccountState::Locked {
        return see_other(&format!("{}{ACCOUNT}", world.base));
    }
    // In this order: what may be skipped is skipped before `none` finds that something would have to be shown.
    if !request.prompt.confirm && has_consented(world, &person, &request) {
        return response::granted(world, &switches, &request, &person);
    }
    if request.prompt.none {
        return see_other(&request.redirect.with_fragment("error=interaction_required"));
    }
    consent_page(world, &browser, &person, &request)
}

/// Answers `POST /oauth/authorize`: the consent form, and the page that may come after it.
pub(super) fn decide(world: &World, visit: &Visit) -> Answer {
    let switches = world.switches();
    let browser = Browser::of(world, visit);
    let form = visit.form();
    let query = form.get("request").unwrap_or("");
    let decision = form.get("decision");
    let action = if decision == Some("continue") { LATER } else { ACTION };
    // Whoever is signed in must be the one the page was shown to: a new sign-in changes the cookie.
    if !browser.may_post(world, visit, form.get("token").unwrap_or(""), action, query) {
        return refuse_form(world, &browser);
    }
    let request = match AuthorizeRequest::read(query, &switches, |id| world.client(id)) {
        Ok(request) => request,
        Err(unfit) => return refuse(world, &browser, unfit),
    };
    let Some(person) = browser.person.clone() else { return sign_in::for_request(world, &browser, &request) };
    match (decision, person.state) {
        (Some("authorize"), AccountState::Active) if switches.interstitial => {
            interstitial_page(world, &browser, &person, &request)
        }
        (Some("authorize" | "continue"), AccountState::Active) => {
            response::granted(world, &switches, &request, &person)
        }
        (Some("deny"), _) => response::denied(world, &switches, &request),
        (Some("authorize" | "continue"), _) => see_other(&format!("{}{ACCOUNT}", world.base)),
        _ => refuse_form(world, &browser),
    }
}

/// Whether the session of this browser does not suffice.
fn must_sign_in(world: &World, request: &AuthorizeRequest, person: &Person) -> bool {
    let too_long_ago = |most: u64| {
        let signed_in = world.books().records.get(&person.orcid).and_then(|record| record.signed_in);
        signed_in.is_none_or(|at| world.now().since(at).as_secs() > most)
    };
    request.prompt.login || request.max_age.is_some_and(too_long_ago)
}

/// `prompt=none`, and nobody is signed in. The 2026 app leaves out `error=` here, and the state everywhere
/// (`orcid.md` §2.3).
fn login_required(switches: &Switches, request: &AuthorizeRequest) -> String {
    match switches.errors_in_query() {
        true => request.redirect.with_query(&[("error", "login_required")]),
        false if switches.is_legacy() => request.redirect.with_fragment("error=login_required"),
        false => request.redirect.with_fragment("login_required"),
    }
}

/// Answers a request that cannot be put before a person. Pages come with status 200, as the 2026 app's do.
pub(super) fn refuse(world: &World, browser: &Browser, unfit: Unfit) -> Answer {
    match unfit {
        Unfit::Told { location } => see_other(&location),
        Unfit::Page { error, description } => {
            browser.page(world, "oauth_error.html", context! { error, description }, &[], StatusCode::OK)
        }
    }
}

/// Answers a form that is not ours, or no longer.
pub(super) fn refuse_form(world: &World, browser: &Browser) -> Answer {
    let title = "This form cannot be used";
    let text = "It was sent from somewhere else, or it is no longer valid because somebody signed in or out since. \
                Go back, load the page again and try once more. Cookies have to be allowed.";
    browser.page(world, "notice.html", context! { title, text }, &[], StatusCode::FORBIDDEN)
}

fn has_consented(world: &World, person: &Person, request: &AuthorizeRequest) -> bool {
    let now = world.now();
    world.books().ledger.has_exactly(person.orcid, &request.client.id, &request.scopes, now)
}

fn consent_page(world: &World, browser: &Browser, person: &Person, request: &AuthorizeRequest) -> Answer {
    let values = context! {
        person => sign_in::view(person),
        client => context! { name => &request.client.name, description => &request.client.description },
        lines => super::pages::lines(&request.scopes),
        request => &request.onward,
        token => browser.form_token(world, ACTION, &request.onward),
        sign_out_token => browser.form_token(world, sign_in::SIGN_OUT, &request.onward),
    };
    browser.page(world, "consent.html", values, &request.form_action(), StatusCode::OK)
}

/// What ORCID now and then puts between consent and the way back: an offer that has nothing to do with the
/// client (`orcid.md` §10.4).
fn interstitial_page(world: &World, browser: &Browser, person: &Person, request: &AuthorizeRequest) -> Answer {
    let values = context! {
        person => sign_in::view(person),
        client => &request.client.name,
        request => &request.onward,
        token => browser.form_token(world, LATER, &request.onward),
    };
    browser.page(world, "interstitial.html", values, &request.form_action(), StatusCode::OK)
}
