//! `/{iD}/webhook/{address}`, which has no version: registers and takes back webhooks (`orcid.md` §7). On the member
//! API alone; called by `route`.

use super::accept::{self, Unfit};
use super::caller::{Api, Caller, is_id_shaped};
use super::trouble::{self, Outcome, Trouble};
use super::{dressed, kind_of_body};
use crate::domain::OrcidId;
use crate::simulator::answer::{Answer, JSON, plain, with};
use crate::simulator::face::Face;
use crate::simulator::visit::Visit;
use crate::simulator::webhooks::{Refused, Removal, is_sound};
use crate::simulator::world::World;
use http::{Method, StatusCode, header};
use percent_encoding::percent_decode_str;

/// Whether a path is one of a webhook.
pub(in crate::simulator) fn is_webhook(path: &str) -> bool {
    parts(path).is_some_and(|(orcid, address)| is_id_shaped(orcid) && !address.is_empty())
}

fn parts(path: &str) -> Option<(&str, &str)> {
    path.strip_prefix('/')?.split_once("/webhook/")
}

/// Answers any method there.
pub(in crate::simulator) fn webhook(world: &World, visit: &Visit) -> Answer {
    dressed(answer(world, visit), visit)
}

fn answer(world: &World, visit: &Visit) -> Answer {
    let (orcid, address) = parts(&visit.path).unwrap_or_default();
    // The whole address is one segment, or it is another path that nothing is at.
    let address = address.strip_suffix('/').unwrap_or(address);
    if visit.face == Face::Public || address.contains('/') {
        return Trouble::no_endpoint().answer(None);
    }
    let caller = match Caller::of(world, visit) {
        Ok(caller) => Caller { api: Api::Member, ..caller },
        Err(answer) => return *answer,
    };
    if caller.bearer.is_none() {
        return trouble::no_token();
    }
    if !matches!(visit.method, Method::PUT | Method::DELETE) {
        return Trouble::method().answer(None);
    }
    if kind_of_body(visit).is_some_and(|kind| !accept::is_record_kind(&kind)) {
        return Trouble::media_type().answer(None);
    }
    let (wanted, sent) = (visit.header(header::ACCEPT), visit.header(header::CONTENT_TYPE));
    let style = match accept::negotiate(wanted, sent, &[accept::RECORD]) {
        Ok(style) => style,
        Err(Unfit::Malformed) => return trouble::malformed(),
        Err(Unfit::NotAcceptable) => return Trouble::not_acceptable().answer(None),
    };
    let address = percent_decode_str(address).decode_utf8_lossy();
    changed(world, visit, &caller, orcid, &address).unwrap_or_else(|trouble| trouble.answer(Some(&style)))
}

/// The steps in ORCID's order: token, scope, address, record.
fn changed(world: &World, visit: &Visit, caller: &Caller, orcid: &str, address: &str) -> Outcome<Answer> {
    caller.check_alive()?;
    caller.check_record(orcid)?;
    caller.check_member()?;
    let Some(client) = caller.client_with("/webhook") else { return Err(Trouble::scope()) };
    if visit.method == Method::PUT && !is_sound(address) {
        return Err(Trouble::bad_request(&format!(
            "Webhook uri: {} is syntactically incorrect",
            trouble::short(address)
        )));
    }
    let mut books = world.books();
    let known = orcid.parse::<OrcidId>().ok().filter(|parsed| parsed.as_str() == orcid);
    let Some(record) = known.and_then(|orcid| books.records.get(&orcid)) else { return Err(Trouble::no_record()) };
    let (key, revision) = ((record.person.orcid, address.to_owned()), record.revision);
    if visit.method == Method::DELETE {
        return match books.webhooks.remove(&key, &client.id) {
            Removal::Removed => Ok(empty(StatusCode::NO_CONTENT)),
            Removal::Unknown => Err(Trouble::no_webhook(orcid, address)),
            Removal::AnothersHook => Err(Trouble::anothers_webhook()),
        };
    }
    match books.webhooks.register(key, &client.id, revision) {
        Ok(true) => {
            let location = format!("{}{}", world.base_of(visit.face), visit.path);
            Ok(with(empty(StatusCode::CREATED), header::LOCATION, &location))
        }
        Ok(false) => Ok(empty(StatusCode::NO_CONTENT)),
        Err(Refused) => Err(Trouble::bad_request("The simulator has no room for more webhooks.")),
    }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = plain(status, JSON, "");
    answer.headers_mut().remove(header::CONTENT_TYPE);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_webhooks() {
        for (path, is_one) in [
            ("/0009-9999-0000-0019/webhook/http%3A%2F%2Fa", true),
            ("/0009-9999-0000-0019/webhook/http://a/b", true),
            ("/0009-9999-0000-0019/webhook/", false),
            ("/0009-9999-0000-0019/webhook", false),
            ("/v3.0/0009-9999-0000-0019/webhook/x", false),
            ("/somebody/webhook/x", false),
            ("/", false),
        ] {
            assert_eq!(is_webhook(path), is_one, "{path}");
        }
    }
}
