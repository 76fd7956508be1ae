//! `/{iD}`: the public record, as a page or as JSON (`orcid.md` §8.1, §8.5, §8.6), so that links to it lead
//! somewhere. Called by `route`. The record API, with reading and writing, joins here later.

use super::answer::{Answer, JSON, plain, see_other, with};
use super::browser::Browser;
use super::people::{AccountState, Person};
use super::refusal::body;
use super::visit::Visit;
use super::world::World;
use crate::domain::OrcidId;
use http::{StatusCode, header};
use minijinja::context;
use serde_json::{Value, json};

/// Answers `GET /{iD}`.
pub(super) fn show(world: &World, visit: &Visit, orcid: OrcidId) -> Answer {
    let canonical = orcid.uri(&world.base);
    if visit.path[1..] != *orcid.as_str() {
        return moved(&canonical);
    }
    let person = world.person(orcid);
    let answer = match (wants_json(visit), person.as_deref()) {
        (true, Some(person)) => as_json(world, person),
        (true, None) => error(StatusCode::NOT_FOUND, 9016, "The resource was not found."),
        (false, Some(person)) => as_page(world, visit, person),
        (false, None) => not_found(world, visit),
    };
    with(answer, header::VARY, "Accept")
}

/// The page for an address where nothing is.
pub(super) fn not_found(world: &World, visit: &Visit) -> Answer {
    let (title, text) = ("Nothing is here", "The simulator has no page and no record at this address.");
    let browser = Browser::of(world, visit);
    browser.page(world, "notice.html", context! { title, text }, &[], StatusCode::NOT_FOUND)
}

fn wants_json(visit: &Visit) -> bool {
    let accept = visit.header(header::ACCEPT).unwrap_or("");
    accept.contains("json") && !accept.contains("text/html")
}

fn as_page(world: &World, visit: &Visit, person: &Person) -> Answer {
    let primary = match person.state {
        AccountState::Deprecated { primary } => Some(primary.to_string()),
        _ => None,
    };
    let values = context! {
        orcid => person.orcid.as_str(),
        uri => person.orcid.uri(&world.base),
        name => person.public_name().filter(|_| person.state == AccountState::Active),
        locked => person.state == AccountState::Locked,
        deactivated => person.state == AccountState::Deactivated,
        primary,
    };
    Browser::of(world, visit).page(world, "record.html", values, &[], StatusCode::OK)
}

fn as_json(world: &World, person: &Person) -> Answer {
    match person.state {
        AccountState::Active => {}
        AccountState::Locked => return error(StatusCode::CONFLICT, 9018, "The ORCID record is locked."),
        AccountState::Deactivated => return error(StatusCode::CONFLICT, 9044, "The ORCID record is deactivated."),
        AccountState::Deprecated { primary } => {
            let answer = error(StatusCode::MOVED_PERMANENTLY, 9007, "This account is deprecated.");
            return with(answer, header::LOCATION, &primary.uri(&world.base));
        }
    }
    let modified = world.books().records.get(&person.orcid).map(|record| record.modified.0.saturating_mul(1_000));
    let uri = person.orcid.uri(&world.base);
    let host = world.base.split_once("://").map_or("", |(_, host)| host);
    body(
        StatusCode::OK,
        &json!({
            "orcid-identifier": { "uri": uri, "path": person.orcid, "host": host },
            "person": { "name": name(person, modified), "path": format!("/{}/person", person.orcid) },
            "path": format!("/{}", person.orcid),
        }),
    )
}

/// The name section of a person, null unless it is public (`orcid.md` §8.4, §8.6).
fn name(person: &Person, modified: Option<i64>) -> Value {
    if person.public_name().is_none() {
        return Value::Null;
    }
    let wrapped = |text: Option<&str>| text.map_or(Value::Null, |text| json!({ "value": text }));
    json!({
        "created-date": modified.map(|at| json!({ "value": at })),
        "last-modified-date": modified.map(|at| json!({ "value": at })),
        "given-names": wrapped(person.public_given()),
        "family-name": wrapped(person.public_family()),
        "credit-name": wrapped(person.public_credit_name()),
        "source": null,
        "visibility": "public",
        "path": person.orcid,
    })
}

/// The error body of the API (`orcid.md` §8.5).
fn error(status: StatusCode, code: u16, text: &str) -> Answer {
    let reason = status.canonical_reason().unwrap_or("");
    let quoted = |text: &str| Value::from(text).to_string();
    let body = format!(
        "{{\"response-code\":{},\"developer-message\":{},\"user-message\":{},\"error-code\":{code},\
         \"more-info\":\"https://members.orcid.org/api/resources/troubleshooting\"}}",
        status.as_u16(),
        quoted(&format!("{} {reason}: {text}", status.as_u16())),
        quoted(text),
    );
    plain(status, JSON, body)
}

fn moved(location: &str) -> Answer {
    let mut answer = see_other(location);
    *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
    answer
}
