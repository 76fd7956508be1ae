//! `/oauth/userinfo` (`orcid.md` §1.5): who a token speaks for, or one and the same refusal. Called by `route`.

use super::answer::{Answer, JSON, plain};
use super::lies;
use super::people::{AccountState, Person};
use super::refusal::body;
use super::scopes;
use super::visit::{Fields, Visit};
use super::world::World;
use crate::domain::OrcidId;
use http::{Method, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// All keys are always there; what is not public is null.
#[derive(Serialize)]
struct Info<'a> {
    id: String,
    sub: OrcidId,
    name: Option<&'a str>,
    family_name: Option<&'a str>,
    given_name: Option<&'a str>,
}

/// Answers GET with a bearer header, and POST with `access_token` in query or form, else the header.
pub(super) fn answer(world: &World, visit: &Visit) -> Answer {
    let query = Fields::read(visit.query.as_bytes());
    let form = if visit.is_form() { visit.form() } else { Fields::read(b"") };
    let sent = match visit.method {
        Method::POST => query.filled("access_token").or_else(|| form.filled("access_token")),
        _ => None,
    };
    // A bad parameter does not hide a good header.
    let person = [sent, bearer(visit)].into_iter().flatten().find_map(|token| owner(world, token));
    match person {
        Some(person) => told(world, &person),
        // 403, a hyphen in the second key, no `WWW-Authenticate`: as captured.
        None => plain(
            StatusCode::FORBIDDEN,
            JSON,
            "{\"error\":\"access_denied\",\"error-description\":\"access_token is invalid\"}",
        ),
    }
}

fn told(world: &World, person: &Person) -> Answer {
    let info = Info {
        id: person.orcid.uri(&world.base),
        sub: person.orcid,
        name: person.public_credit_name(),
        family_name: person.public_family(),
        given_name: person.public_given(),
    };
    let switches = world.switches();
    if switches.lies().next().is_none() {
        return body(StatusCode::OK, &info);
    }
    let Ok(Value::Object(mut members)) = serde_json::to_value(&info) else { return body(StatusCode::OK, &info) };
    lies::about_the_person(&switches, &mut members, &world.facts(&switches, Some(person), None));
    body(StatusCode::OK, &Value::Object(members))
}

fn bearer(visit: &Visit) -> Option<&str> {
    let value = visit.header(header::AUTHORIZATION)?;
    let token = value.strip_prefix("Bearer").or_else(|| value.strip_prefix("bearer"))?;
    Some(token.trim())
}

/// The person behind a live token that may ask (introspection: a revoked token fails at once).
fn owner(world: &World, token: &str) -> Option<Arc<Person>> {
    let now = world.now();
    let orcid = {
        let books = world.books();
        let pair = books.ledger.by_access(token)?;
        if !pair.is_live(now) || !scopes::opens_userinfo(&pair.scopes) {
            return None;
        }
        pair.orcid?
    };
    world.person(orcid).filter(|person| person.state == AccountState::Active)
}
