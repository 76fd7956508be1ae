//! `POST /oauth/token` and `POST /oauth/revoke` (`orcid.md` §3, §5, §6). Called by `route`.

use super::answer::{Answer, plain, with};
use super::client_auth::{self, GENERIC, proxy_error, required, server_error};
use super::clients::SimulatedClient;
use super::id_token::{self, Occasion};
use super::ledger::{Exchange, Pair, TOKEN_LIFETIME};
use super::people::Person;
use super::scopes::{self, NotForClients};
use super::visit::{Fields, Visit};
use super::world::World;
use crate::domain::{OrcidId, ScopeSet, UnixTime};
use http::{HeaderName, StatusCode};
use serde::Serialize;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The fields that are read. ORCID's proxy forwards these and drops all others, `code_verifier`,
/// `revoke_old` and `expires_in` among them (`orcid.md` §3.1).
const FORWARDED: &[&str] =
    &["grant_type", "client_id", "client_secret", "redirect_uri", "code", "scope", "refresh_token", "token"];

/// The success body in ORCID's key order (`orcid.md` §3.2).
#[derive(Serialize)]
struct Granted<'a> {
    access_token: &'a str,
    token_type: &'static str,
    refresh_token: &'a str,
    expires_in: i64,
    scope: String,
    name: Option<String>,
    orcid: OrcidId,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

/// The success body of a client's own token: no `name`, and `orcid` is there and null (`orcid.md` §6).
#[derive(Serialize)]
struct OwnToken<'a> {
    access_token: &'a str,
    token_type: &'static str,
    refresh_token: &'a str,
    expires_in: i64,
    scope: String,
    orcid: Option<OrcidId>,
}

/// Answers the token endpoint. The order of checks is ORCID's: form, grant type present, client, grant.
pub(super) fn answer(world: &World, visit: &Visit) -> Answer {
    if !visit.is_form() {
        return client_auth::unsupported_media_type();
    }
    let fields = visit.form();
    let Some(grant_type) = fields.filled("grant_type") else {
        return proxy_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", "grant_type is missing");
    };
    let client = match authenticated(world, visit, &fields) {
        Ok(client) => client,
        Err(answer) => return *answer,
    };
    let answer = match grant_type {
        "authorization_code" => authorization_code(world, &fields, &client),
        "refresh_token" => refresh(world, &fields, &client),
        "client_credentials" => client_credentials(world, &fields, &client),
        _ => Err(Box::new(server_error(StatusCode::BAD_REQUEST, "unsupported_grant_type", GENERIC))),
    };
    answer.unwrap_or_else(|refusal| *refusal)
}

/// Answers the revoke endpoint: 200 and nothing, whatever the token was; the pair alone dies (`orcid.md` §5.2).
pub(super) fn revoke(world: &World, visit: &Visit) -> Answer {
    if !visit.is_form() {
        return client_auth::unsupported_media_type();
    }
    let fields = visit.form();
    let client = match authenticated(world, visit, &fields) {
        Ok(client) => client,
        Err(answer) => return *answer,
    };
    let Some(token) = fields.filled("token") else {
        return proxy_error(StatusCode::BAD_REQUEST, "invalid_request", "token is required");
    };
    world.books().ledger.revoke_by_client(&client.id, token);
    let mut answer = plain(StatusCode::OK, super::answer::JSON, "");
    answer.headers_mut().remove(http::header::CONTENT_TYPE);
    answer
}

type Outcome = Result<Answer, Box<Answer>>;

fn authenticated(world: &World, visit: &Visit, fields: &Fields) -> Result<Arc<SimulatedClient>, Box<Answer>> {
    let client = client_auth::client(world, visit, fields)?;
    if fields.repeats(FORWARDED) {
        return Err(Box::new(server_error(StatusCode::BAD_REQUEST, "invalid_request", GENERIC)));
    }
    Ok(client)
}

fn invalid_grant(description: &str) -> Box<Answer> {
    Box::new(server_error(StatusCode::BAD_REQUEST, "invalid_grant", description))
}

fn authorization_code(world: &World, fields: &Fields, client: &SimulatedClient) -> Outcome {
    let Some(code) = fields.filled("code") else {
        return Err(Box::new(server_error(StatusCode::BAD_REQUEST, "invalid_request", GENERIC)));
    };
    let now = world.now();
    let redirect_uri = fields.filled("redirect_uri");
    let exchange = world.books().ledger.exchange(code, &client.id, redirect_uri, now, &*world.chance);
    let (pair, nonce) = match exchange {
        Exchange::Bought { pair, nonce } => (pair, nonce),
        // The description holds the code, as ORCID's does: nobody may log it.
        Exchange::Unknown | Exchange::Reused => {
            let shown: String = code.chars().take(64).collect();
            return Err(invalid_grant(&format!("Invalid authorization code: {shown}")));
        }
        Exchange::Expired | Exchange::Mismatch => return Err(invalid_grant(GENERIC)),
    };
    let person = pair.orcid.and_then(|orcid| world.person(orcid)).ok_or_else(|| invalid_grant(GENERIC))?;
    let id_token = match pair.scopes.iter().any(|scope| scope.as_str() == "openid") {
        true => Some(id_token(world, &person, client, &pair, nonce.as_deref(), now).ok_or_else(|| {
            Box::new(server_error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "No id_token could be signed"))
        })?),
        false => None,
    };
    let answer = granted(&pair, Some(&person), id_token, now);
    Ok(with(answer, HeaderName::from_static("oauth_authorization_code_exchange"), "ON"))
}

fn id_token(
    world: &World,
    person: &Person,
    client: &SimulatedClient,
    pair: &Pair,
    nonce: Option<&str>,
    now: UnixTime,
) -> Option<String> {
    let signed_in = world.books().records.get(&person.orcid).and_then(|record| record.signed_in);
    let claims = id_token::claims(
        person,
        &Occasion {
            issuer: &world.base,
            client_id: &client.id,
            member: client.member,
            amr_array: world.amr_array,
            access_token: &pair.access,
            nonce,
            auth_time: signed_in.unwrap_or(now),
            now,
        },
        &*world.chance,
    )?;
    world.keys.read().unwrap_or_else(PoisonError::into_inner).sign(&claims)
}

fn refresh(world: &World, fields: &Fields, client: &SimulatedClient) -> Outcome {
    let token = required(fields, "refresh_token")?;
    let now = world.now();
    let mut books = world.books();
    let parent = books
        .ledger
        .by_refresh(token)
        .filter(|pair| pair.client == client.id && pair.is_live(now))
        .cloned()
        .ok_or_else(|| invalid_grant(GENERIC))?;
    let scopes = match fields.filled("scope").map(str::parse::<ScopeSet>) {
        None => parent.scopes.clone(),
        Some(Ok(scopes)) if !scopes.is_empty() && scopes::is_within(&scopes, &parent.scopes) => scopes,
        Some(_) => return Err(Box::new(server_error(StatusCode::BAD_REQUEST, "invalid_scope", GENERIC))),
    };
    // `revoke_old` and `expires_in` never reach the server: the parent lives on, the child ends with it.
    let (_, pair) = books.ledger.issue_pair(&client.id, parent.orcid, scopes, parent.expires, now, &*world.chance);
    drop(books);
    let person = pair.orcid.and_then(|orcid| world.person(orcid));
    Ok(granted(&pair, person.as_deref(), None, now))
}

fn client_credentials(world: &World, fields: &Fields, client: &SimulatedClient) -> Outcome {
    let refused = |status, scope: &str| {
        let shown: String = scope.chars().take(64).collect();
        Box::new(proxy_error(status, "invalid_scope", &format!("Invalid scope: {shown}")))
    };
    let scopes = scopes::for_client(fields.get("scope").unwrap_or(""), client.member).map_err(|error| match error {
        NotForClients::Invalid(scope) => refused(StatusCode::BAD_REQUEST, &scope),
        NotForClients::Unknown(scope) => refused(StatusCode::UNAUTHORIZED, &scope),
    })?;
    let now = world.now();
    let expires = now.plus(Duration::from_secs(TOKEN_LIFETIME.unsigned_abs()));
    let (_, pair) = world.books().ledger.issue_pair(&client.id, None, scopes, expires, now, &*world.chance);
    Ok(granted(&pair, None, None, now))
}

fn granted(pair: &Pair, person: Option<&Person>, id_token: Option<String>, now: UnixTime) -> Answer {
    let expires_in = i64::try_from(pair.expires.since(now).as_secs()).unwrap_or(i64::MAX);
    let (access_token, refresh_token, scope) = (&*pair.access, &*pair.refresh, pair.scopes.to_string());
    let token_type = "bearer";
    match person {
        Some(person) => client_auth::body(
            StatusCode::OK,
            &Granted {
                access_token,
                token_type,
                refresh_token,
                expires_in,
                scope,
                name: person.public_name(),
                orcid: person.orcid,
                id_token,
            },
        ),
        None => client_auth::body(
            StatusCode::OK,
            &OwnToken { access_token, token_type, refresh_token, expires_in, scope, orcid: None },
        ),
    }
}
