//! `/signin` and `/signout`: the sign-in form, who may come in, and how one leaves (`orcid.md` §10.1).
//! Called by `route`, and by `consent` when nobody is signed in. Who has a second factor goes on to
//! `second_factor`, who wants a record of their own to `register`.

use super::answer::{Answer, see_other};
use super::authorize::AuthorizeRequest;
use super::browser::Browser;
use super::consent::{self, ACCOUNT};
use super::people::{AccountState, Person};
use super::visit::Visit;
use super::world::World;
use super::{register, second_factor};
use crate::domain::OrcidId;
use http::StatusCode;
use minijinja::{Value, context};
use std::sync::Arc;

const SIGN_IN: &str = "sign-in";
pub(super) const SIGN_OUT: &str = "sign-out";
/// Longest password and longest identifier, in characters (`orcid.md` §10.1).
const LONGEST: usize = 256;

/// What pages show of a person to that person.
pub(super) fn view(person: &Person) -> Value {
    context! { name => person.own_name(), orcid => person.orcid.as_str() }
}

/// The sign-in form on the way to an authorization, or the registration form.
pub(super) fn for_request(world: &World, browser: &Browser, request: &AuthorizeRequest) -> Answer {
    // `orcid` wins over `email`, and an iD nobody has leads to the registration (`orcid.md` §2.1).
    let called = |typed: &Option<String>| typed.as_deref().and_then(|typed| world.person_called(typed));
    let known = called(&request.hints.orcid).or_else(|| called(&request.hints.email));
    let unknown_id = request.hints.orcid.is_some() && called(&request.hints.orcid).is_none();
    if browser.person.is_none() && (!request.show_login || unknown_id) {
        return register::first_page(world, browser, &request.onward, &request.hints);
    }
    let username = match (&request.hints.orcid, known) {
        (Some(_), Some(person)) => person.orcid.to_string(),
        (None, Some(person)) => person.email.clone(),
        // `prompt=login`: the same person again, most likely.
        (_, None) => browser.person.as_ref().map(|person| person.orcid.to_string()).unwrap_or_default(),
    };
    form(world, browser, &Shown { username: &username, request: Some(request), error: None, moved_to: None })
}

/// Answers `GET /signin`, with or without an authorization request in its query.
pub(super) fn show(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    let request = match read_request(world, &visit.query) {
        Ok(request) => request,
        Err(unfit) => return consent::refuse(world, &browser, unfit),
    };
    if let Some(person) = &browser.person {
        return already(world, &browser, person, request.as_ref());
    }
    let hints = request.as_ref().map(|request| &request.hints);
    let asked = hints.and_then(|hints| hints.orcid.clone().or_else(|| hints.email.clone()));
    let username = asked.filter(|typed| world.person_called(typed).is_some()).unwrap_or_default();
    form(world, &browser, &Shown { username: &username, request: request.as_ref(), error: None, moved_to: None })
}

/// Answers `POST /signin`.
pub(super) fn submit(world: &World, visit: &Visit) -> Answer {
    let mut browser = Browser::of(world, visit);
    let fields = visit.form();
    let query = fields.get("request").unwrap_or("");
    if !browser.may_post(world, visit, fields.get("token").unwrap_or(""), SIGN_IN, query) {
        return consent::refuse_form(world, &browser);
    }
    let request = match read_request(world, query) {
        Ok(request) => request,
        Err(unfit) => return consent::refuse(world, &browser, unfit),
    };
    let username = fields.get("username").unwrap_or("");
    match check(world, username, fields.get("password").unwrap_or("")) {
        Ok(person) if person.mfa => second_factor::ask(world, &browser, &person, request.as_ref(), None),
        Ok(person) => come_in(world, &mut browser, &person, request.as_ref()),
        Err(refusal) => {
            let username: String = username.chars().take(LONGEST).collect();
            let (error, moved_to) = refusal.words();
            form(
                world,
                &browser,
                &Shown { username: &username, request: request.as_ref(), error: Some(error), moved_to },
            )
        }
    }
}

/// Signs `person` in and sends the browser on.
pub(super) fn come_in(
    world: &World,
    browser: &mut Browser,
    person: &Arc<Person>,
    request: Option<&AuthorizeRequest>,
) -> Answer {
    browser.sign_in(world, person);
    let onward = match request {
        // A locked record goes to its account, not to the consent (`orcid.md` §10.1).
        Some(request) if person.state == AccountState::Active => {
            format!("{}/oauth/authorize?{}", world.base, request.onward)
        }
        _ => format!("{}{ACCOUNT}", world.base),
    };
    browser.carry(world, see_other(&onward))
}

/// Answers `GET /signout`: asks. Signing out is a change, so it takes a form.
pub(super) fn ask_sign_out(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    let Some(person) = &browser.person else {
        let (title, text) = ("You are signed out", "Nobody is signed in to the simulator in this browser.");
        return browser.page(world, "notice.html", context! { title, text }, &[], StatusCode::OK);
    };
    let values = context! {
        person => view(person),
        request => "",
        sign_out_token => browser.form_token(world, SIGN_OUT, ""),
    };
    browser.page(world, "sign_out.html", values, &[], StatusCode::OK)
}

/// Answers `POST /signout`; goes back to the authorization request the form carried, if any.
pub(super) fn sign_out(world: &World, visit: &Visit) -> Answer {
    let mut browser = Browser::of(world, visit);
    let fields = visit.form();
    let query = fields.get("request").unwrap_or("");
    if !browser.may_post(world, visit, fields.get("token").unwrap_or(""), SIGN_OUT, query) {
        return consent::refuse_form(world, &browser);
    }
    browser.sign_out(world);
    let onward = if query.is_empty() { "/signout".to_owned() } else { format!("/oauth/authorize?{query}") };
    browser.carry(world, see_other(&format!("{}{onward}", world.base)))
}

/// The authorization request that a form carries, if any.
pub(super) fn read_request(world: &World, query: &str) -> Result<Option<AuthorizeRequest>, super::authorize::Unfit> {
    let fields = super::visit::Fields::read(query.as_bytes());
    if fields.get("client_id").is_none() {
        return Ok(None);
    }
    AuthorizeRequest::read(query, &world.switches(), |id| world.client(id)).map(Some)
}

/// Why somebody does not come in.
#[derive(Debug, PartialEq, Eq)]
enum NotIn {
    Empty,
    Malformed,
    TooLong,
    BadCredentials,
    Deactivated,
    Unclaimed,
    Deprecated(OrcidId),
}

impl NotIn {
    fn words(&self) -> (&'static str, Option<OrcidId>) {
        match self {
            NotIn::Empty => ("Fill in your email or ORCID iD and your password.", None),
            NotIn::Malformed => ("That is neither an email address nor a 16-digit ORCID iD.", None),
            NotIn::TooLong => ("The password may have at most 256 characters.", None),
            NotIn::BadCredentials => {
                ("Incorrect username and/or password. Only the people listed below exist here.", None)
            }
            NotIn::Deactivated => ("This ORCID record has been deactivated.", None),
            NotIn::Unclaimed => ("This ORCID record has not been claimed yet.", None),
            NotIn::Deprecated(primary) => ("This ORCID iD is no longer in use. The active iD is:", Some(*primary)),
        }
    }
}

/// Checks what was typed. The state of an account is told only to who knows its password.
fn check(world: &World, username: &str, password: &str) -> Result<Arc<Person>, NotIn> {
    if username.trim().is_empty() || password.is_empty() {
        return Err(NotIn::Empty);
    }
    if password.chars().count() > LONGEST {
        return Err(NotIn::TooLong);
    }
    if !username.contains('@') && username.parse::<OrcidId>().is_err() {
        return Err(NotIn::Malformed);
    }
    let person =
        world.person_called(username).filter(|person| person.password == password).ok_or(NotIn::BadCredentials)?;
    match person.state {
        AccountState::Active | AccountState::Locked => Ok(person),
        AccountState::Deactivated => Err(NotIn::Deactivated),
        AccountState::Unclaimed => Err(NotIn::Unclaimed),
        AccountState::Deprecated { primary } => Err(NotIn::Deprecated(primary)),
    }
}

struct Shown<'a> {
    username: &'a str,
    request: Option<&'a AuthorizeRequest>,
    error: Option<&'static str>,
    moved_to: Option<OrcidId>,
}

fn form(world: &World, browser: &Browser, shown: &Shown<'_>) -> Answer {
    let carries = shown.request.map_or("", |request| request.onward.as_str());
    let values = context! {
        username => shown.username,
        error => shown.error,
        moved_to => shown.moved_to.map(|orcid| orcid.to_string()),
        client => shown.request.map(|request| request.client.name.clone()),
        person => browser.person.as_deref().map(view),
        request => carries,
        token => browser.form_token(world, SIGN_IN, carries),
        people => super::pages::people(world),
    };
    // The answer to this form may go straight on to the client, where consent is skipped.
    let onward = shown.request.map(AuthorizeRequest::form_action).unwrap_or_default();
    browser.page(world, "sign_in.html", values, &onward, StatusCode::OK)
}

fn already(world: &World, browser: &Browser, person: &Person, request: Option<&AuthorizeRequest>) -> Answer {
    let carries = request.map_or("", |request| request.onward.as_str());
    let onward = match request {
        Some(request) => format!("/oauth/authorize?{}", request.onward),
        None => ACCOUNT.to_owned(),
    };
    let values = context! {
        person => view(person),
        onward,
        request => carries,
        sign_out_token => browser.form_token(world, SIGN_OUT, carries),
    };
    browser.page(world, "already.html", values, &[], StatusCode::OK)
}
