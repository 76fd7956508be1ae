//! `/{iD}` on the root host: what a link to a record leads to. A page for people, the public record in the API's
//! formats for programs that ask for one (`orcid.md` §8.1, §8.2). Called by `route`.

use super::accept::{Format, LINKED_DATA, PAGE, RECORD, negotiate};
use super::caller::Caller;
use super::target::{Part, Target};
use super::{Asked, dressed};
use crate::domain::OrcidId;
use crate::simulator::answer::{Answer, see_other, with};
use crate::simulator::browser::Browser;
use crate::simulator::people::AccountState;
use crate::simulator::record::{Record, Sight, Version, View, Words, json_text};
use crate::simulator::visit::Visit;
use crate::simulator::world::World;
use http::{StatusCode, header};
use minijinja::{Value, context};

/// Answers `GET /{iD}`.
pub(in crate::simulator) fn show(world: &World, visit: &Visit, orcid: OrcidId) -> Answer {
    if visit.path[1..] != *orcid.as_str() {
        return moved(&orcid.uri(&world.base));
    }
    let (accept, content_type) = (visit.header(header::ACCEPT), visit.header(header::CONTENT_TYPE));
    let style = negotiate(accept, content_type, &[PAGE, RECORD, LINKED_DATA]);
    // Whoever asks for a picture, or for what nobody can read, gets the page, as on orcid.org.
    let Some(style) = style.ok().filter(|style| style.format != Format::Page) else {
        let answer = match world.record(orcid) {
            Some(record) => page(world, visit, &record),
            None => not_found(world, visit),
        };
        return with(answer, header::VARY, "Accept");
    };
    let caller = Caller::anybody();
    let asked = Asked { world, visit, version: Version::V3_0, caller: &caller, style: &style };
    let target = Target::Of(orcid.to_string(), Part::Plain);
    dressed(asked.answer(&target).unwrap_or_else(|trouble| trouble.answer(Some(&style))), visit)
}

/// The page for an address where nothing is.
pub(in crate::simulator) fn not_found(world: &World, visit: &Visit) -> Answer {
    let (title, text) = ("Nothing is here", "The simulator has no page and no record at this address.");
    let browser = Browser::of(world, visit);
    browser.page(world, "notice.html", context! { title, text }, &[], StatusCode::NOT_FOUND)
}

fn page(world: &World, visit: &Visit, record: &Record) -> Answer {
    let person = &record.person;
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
        unclaimed => person.state == AccountState::Unclaimed,
        primary,
        record => (person.state == AccountState::Active).then(|| public(world, record)),
    };
    Browser::of(world, visit).page(world, "record.html", values, &[], StatusCode::OK)
}

/// What everybody may see, as the API says it: the page can show nothing that the API hides.
fn public(world: &World, record: &Record) -> Value {
    let sight = Sight::public();
    let view = View { world, record, sight: &sight, version: Version::V3_0 };
    let text = json_text(&view.whole().content, false, Words::AsInXml);
    // Our own writer made the text. Were it broken, the page would show the name alone.
    value(serde_json::from_str(&text).unwrap_or_default())
}

fn value(json: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::from(()),
        Json::Bool(truth) => Value::from(truth),
        Json::Number(number) => Value::from(number.as_i64()),
        Json::String(text) => Value::from(text),
        Json::Array(items) => items.into_iter().map(value).collect(),
        Json::Object(members) => Value::from_pairs(members.into_iter().map(|(name, json)| (name, value(json)))),
    }
}

fn moved(location: &str) -> Answer {
    let mut answer = see_other(location);
    *answer.status_mut() = StatusCode::MOVED_PERMANENTLY;
    answer
}
