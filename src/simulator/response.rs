//! What goes back to the client at the end of an authorization: a code, tokens of the implicit flow, or an
//! error (`orcid.md` §2.3, §2.4), as the switches and lies have it. Called by `consent`.

use super::answer::{Answer, see_other};
use super::authorize::{AuthorizeRequest, Wanted};
use super::id_token::{self, Occasion};
use super::ledger::{NewCode, NewPair};
use super::lies;
use super::people::Person;
use super::switches::{IssuerParameter, Switches};
use super::world::World;
use http::StatusCode;
use std::time::Duration;

/// Life of an implicit token in seconds; one of them has passed when it is told (`orcid.md` §2.4).
const IMPLICIT_LIFETIME: u64 = 599;

/// The redirect that gives `person`'s consent to the client.
pub(super) fn granted(world: &World, switches: &Switches, request: &AuthorizeRequest, person: &Person) -> Answer {
    match request.wanted {
        Wanted::Code => {
            let code = issue_code(world, request, person);
            told(world, switches, request, Some(person), vec![("code".to_owned(), code)])
        }
        Wanted::Implicit { access_token, id_token } => {
            let mut fields = implicit(world, switches, request, person, access_token, id_token);
            fields.extend(promised_issuer(world, switches));
            let fragment = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            see_other(&request.redirect.with_fragment(&fragment))
        }
    }
}

/// The redirect that says no.
pub(super) fn denied(world: &World, switches: &Switches, request: &AuthorizeRequest) -> Answer {
    let description = switches.deny_description.then_some("User denied access");
    error(world, switches, request, "access_denied", description)
}

/// The redirect that brings an error with its state, in the query.
pub(super) fn error(
    world: &World,
    switches: &Switches,
    request: &AuthorizeRequest,
    word: &str,
    description: Option<&str>,
) -> Answer {
    let mut parameters = vec![("error".to_owned(), word.to_owned())];
    parameters.extend(description.map(|text| ("error_description".to_owned(), text.to_owned())));
    told(world, switches, request, None, parameters)
}

fn told(
    world: &World,
    switches: &Switches,
    request: &AuthorizeRequest,
    person: Option<&Person>,
    mut parameters: Vec<(String, String)>,
) -> Answer {
    parameters.extend(request.state.iter().map(|state| ("state".to_owned(), state.clone())));
    parameters.extend(promised_issuer(world, switches));
    let facts = world.facts(switches, person, Some(&request.client));
    lies::about_the_callback(switches, &mut parameters, &facts);
    let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
    if switches.tells("callback-in-fragment") {
        let fragment = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&parameters).finish();
        return see_other(&request.redirect.with_fragment(&fragment));
    }
    let mut answer = see_other(&request.redirect.with_query(&parameters));
    if switches.tells("callback-post") {
        // The browser posts the consent form once more, to the client (RFC 9700 §4.12).
        *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    }
    answer
}

/// RFC 9207 §2: in every answer, once it is promised.
fn promised_issuer(world: &World, switches: &Switches) -> Option<(String, String)> {
    (switches.iss_parameter == IssuerParameter::Promised).then(|| ("iss".to_owned(), world.base.clone()))
}

fn issue_code(world: &World, request: &AuthorizeRequest, person: &Person) -> String {
    let grant = NewCode {
        client: &request.client.id,
        orcid: person.orcid,
        scopes: &request.scopes,
        redirect_uri: request.redirect.text(),
        nonce: request.nonce.as_deref(),
        challenge: request.challenge.as_deref(),
    };
    let now = world.now();
    world.books().ledger.issue_code(grant, now, &*world.chance)
}

/// The odd members are ORCID's own; there is no `orcid` and no `name` (`orcid.md` §2.4).
fn implicit(
    world: &World,
    switches: &Switches,
    request: &AuthorizeRequest,
    person: &Person,
    access_token: bool,
    id_token: bool,
) -> Vec<(String, String)> {
    let now = world.now();
    let mut fields = Vec::new();
    let mut access = None;
    if access_token {
        let expires = now.plus(Duration::from_secs(IMPLICIT_LIFETIME + 1));
        let new =
            NewPair { client: &request.client.id, orcid: Some(person.orcid), scopes: request.scopes.clone(), expires };
        let pair = world.books().issue_pair(new, now, &*world.chance);
        fields.push(("access_token".to_owned(), pair.access.clone()));
        fields.push(("token_type".to_owned(), "bearer".to_owned()));
        fields.push(("expires_in".to_owned(), IMPLICIT_LIFETIME.to_string()));
        fields.push(("tokenVersion".to_owned(), "1".to_owned()));
        fields.push(("persistent".to_owned(), "false".to_owned()));
        access = Some(pair.access);
    }
    if id_token {
        let on = Occasion {
            client: &request.client,
            access_token: access.as_deref(),
            nonce: request.nonce.as_deref(),
            switches,
            now,
        };
        fields.extend(id_token::signed(world, person, &on).map(|token| ("id_token".to_owned(), token)));
    }
    fields.extend(request.state.iter().map(|state| ("state".to_owned(), state.clone())));
    fields
}
