//! The success body of the token endpoint: ORCID's members in ORCID's order (`orcid.md` §3.2, §6), or in
//! another order, or untrue. Called by `token`.

use super::answer::Answer;
use super::clients::SimulatedClient;
use super::ledger::Pair;
use super::lies;
use super::people::Person;
use super::refusal::body;
use super::switches::{KeyOrder, Switches};
use super::world::World;
use crate::domain::UnixTime;
use http::StatusCode;
use serde_json::{Map, Value, json};

/// What a pair is told as. For a person `name` is there, even if it is null; for a client's own token it is
/// not, and `orcid` is null.
pub(super) fn granted(
    world: &World,
    switches: &Switches,
    client: &SimulatedClient,
    pair: &Pair,
    person: Option<&Person>,
    id_token: Option<String>,
    now: UnixTime,
) -> Answer {
    let expires_in = i64::try_from(pair.expires.since(now).as_secs()).unwrap_or(i64::MAX);
    let mut members = vec![
        ("access_token", json!(pair.access)),
        ("token_type", json!("bearer")),
        ("refresh_token", json!(pair.refresh)),
        ("expires_in", json!(expires_in)),
        ("scope", json!(pair.scopes.to_string())),
    ];
    match person {
        Some(person) => {
            members.push(("name", json!(person.public_name())));
            members.push(("orcid", json!(person.orcid)));
        }
        None => members.push(("orcid", Value::Null)),
    }
    if let Some(token) = id_token {
        world.books().ledger.note_issued(&token);
        members.push(("id_token", json!(token)));
    }
    let mut object: Map<String, Value> =
        members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    if person.is_some() {
        lies::about_tokens(switches, &mut object, &world.facts(switches, person, Some(client)));
    }
    let order: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    body(StatusCode::OK, &Ordered(in_order(object, &order, switches.token_order)))
}

/// The members, those of `order` first (or last to first, or by name).
fn in_order(mut object: Map<String, Value>, order: &[&str], how: KeyOrder) -> Vec<(String, Value)> {
    let mut members: Vec<(String, Value)> =
        order.iter().filter_map(|name| object.remove(*name).map(|value| ((*name).to_owned(), value))).collect();
    members.extend(object);
    match how {
        KeyOrder::Orcid => {}
        KeyOrder::Reversed => members.reverse(),
        KeyOrder::Alphabetical => members.sort_by(|one, other| one.0.cmp(&other.0)),
    }
    members
}

/// Members written in this order.
struct Ordered(Vec<(String, Value)>);

impl serde::Serialize for Ordered {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
