//! `/oauth/authorize`: who is asked what, when nobody is asked at all, and what follows from the answer
//! (`orcid.md` §2.1, §10.4). Called by `route`.

use super::answer::{Answer, see_other};
use super::authorize::{AuthorizeRequest, Unfit};
use super::browser::Browser;
use super::ledger::NewCode;
use super::people::{AccountState, Person};
use super::sign_in;
use super::visit::Visit;
use super::world::World;
use http::StatusCode;
use minijinja::context;

pub(super) const ACCOUNT: &str = "/trusted-organisations";
const ACTION: &str = "consent";

/// Answers `GET /oauth/authorize`.
pub(super) fn ask(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    let request = match AuthorizeRequest::read(&visit.query, |id| world.client(id)) {
        Ok(request) => request,
        Err(unfit) => return refuse(world, &browser, unfit),
    };
    let Some(person) = browser.person.clone().filter(|_| !request.prompt.login) else {
        if request.prompt.none {
            // The 2026 app leaves out `error=` here, and the state everywhere (`orcid.md` §2.3).
            return see_other(&request.redirect.with_fragment("login_required"));
        }
        return sign_in::for_request(world, &browser, &request);
    };
    if person.state == AccountState::Locked {
        return see_other(&format!("{}{ACCOUNT}", world.base));
    }
    // In this order: what may be skipped is skipped before `none` finds that something would have to be shown.
    if !request.prompt.confirm && has_consented(world, &person, &request) {
        return see_other(&request.with_code(&issue_code(world, &person, &request)));
    }
    if request.prompt.none {
        return see_other(&request.redirect.with_fragment("error=interaction_required"));
    }
    consent_page(world, &browser, &person, &request)
}

/// Answers `POST /oauth/authorize`: the consent form.
pub(super) fn decide(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    let form = visit.form();
    let query = form.get("request").unwrap_or("");
    // Whoever is signed in must be the one the page was shown to: a new sign-in changes the cookie.
    if !browser.may_post(world, visit, form.get("token").unwrap_or(""), ACTION, query) {
        return refuse_form(world, &browser);
    }
    let request = match AuthorizeRequest::read(query, |id| world.client(id)) {
        Ok(request) => request,
        Err(unfit) => return refuse(world, &browser, unfit),
    };
    let Some(person) = browser.person.clone() else { return sign_in::for_request(world, &browser, &request) };
    match (form.get("decision"), person.state) {
        (Some("authorize"), AccountState::Active) => {
            see_other(&request.with_code(&issue_code(world, &person, &request)))
        }
        (Some("deny"), _) => see_other(&request.denied()),
        (Some("authorize"), _) => see_other(&format!("{}{ACCOUNT}", world.base)),
        _ => refuse_form(world, &browser),
    }
}

/// Answers a request that cannot be put before a person. Pages come with status 200, as the 2026 app's do.
pub(super) fn refuse(world: &World, browser: &Browser, unfit: Unfit) -> Answer {
    match unfit {
        Unfit::Fragment { location } => see_other(&location),
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

fn issue_code(world: &World, person: &Person, request: &AuthorizeRequest) -> String {
    let grant = NewCode {
        client: &request.client.id,
        orcid: person.orcid,
        scopes: &request.scopes,
        redirect_uri: request.redirect.text(),
        nonce: request.nonce.as_deref(),
    };
    let now = world.now();
    world.books().ledger.issue_code(grant, now, &*world.chance)
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
