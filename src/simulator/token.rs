//! `POST /oauth/token` and `POST /oauth/revoke` (`orcid.md` §3, §5, §6). Called by `route`; what is said in
//! the end is in `grant_answer` and `refusal`.

use super::answer::{Answer, plain, with};
use super::client_auth::{self, required};
use super::clients::SimulatedClient;
use super::grant_answer::granted;
use super::id_token::{self, Occasion};
use super::ledger::{Exchange, NewPair, Offer, Pair};
use super::people::Person;
use super::refusal::Refusal;
use super::scopes::{self, NotForClients};
use super::switches::Switches;
use super::visit::{Fields, Visit};
use super::world::World;
use crate::domain::{ScopeSet, UnixTime};
use http::{HeaderName, StatusCode, header};
use std::sync::Arc;
use std::time::Duration;

/// The fields that are read. The 2026 proxy forwards these and drops all others, `code_verifier` (unless
/// discovery lists PKCE), `revoke_old` and `expires_in` among them (`orcid.md` §3.1).
const FORWARDED: &[&str] = &[
    "grant_type",
    "client_id",
    "client_secret",
    "redirect_uri",
    "code",
    "code_verifier",
    "scope",
    "refresh_token",
    "token",
];

/// Answers the token endpoint. The order of checks is ORCID's: form, grant type present, client, grant.
pub(super) fn answer(world: &World, visit: &Visit) -> Answer {
    if !visit.is_form() {
        return client_auth::unsupported_media_type();
    }
    let switches = world.switches();
    let call = Call { world, switches: &switches, visit, fields: visit.form(), now: world.now() };
    call.answer().unwrap_or_else(|refusal| refusal.answer(switches.is_legacy()))
}

/// Answers the revoke endpoint: 200 and nothing, whatever the token was; the pair alone dies (`orcid.md` §5.2).
pub(super) fn revoke(world: &World, visit: &Visit) -> Answer {
    if !visit.is_form() {
        return client_auth::unsupported_media_type();
    }
    let switches = world.switches();
    let call = Call { world, switches: &switches, visit, fields: visit.form(), now: world.now() };
    call.revoke().unwrap_or_else(|refusal| refusal.answer(switches.is_legacy()))
}

/// One request to either endpoint.
struct Call<'a> {
    world: &'a World,
    switches: &'a Switches,
    visit: &'a Visit,
    fields: Fields,
    now: UnixTime,
}

impl Call<'_> {
    fn client(&self) -> Result<Arc<SimulatedClient>, Refusal> {
        let client = client_auth::client(self.world, self.switches, self.visit, &self.fields)?;
        if self.fields.repeats(FORWARDED) { Err(Refusal::FieldTwice) } else { Ok(client) }
    }

    fn answer(&self) -> Result<Answer, Refusal> {
        let grant_type = self.fields.filled("grant_type").ok_or(Refusal::GrantTypeMissing)?;
        let client = self.client()?;
        match grant_type {
            "authorization_code" => self.authorization_code(&client),
            "refresh_token" => self.refresh(&client),
            "client_credentials" => self.client_credentials(&client),
            _ => Err(Refusal::GrantTypeUnknown),
        }
    }

    fn revoke(&self) -> Result<Answer, Refusal> {
        let client = self.client()?;
        let token = self.fields.filled("token").ok_or(Refusal::TokenMissing)?;
        self.world.books().ledger.revoke_by_client(&client.id, token);
        let mut answer = plain(StatusCode::OK, super::answer::JSON, "");
        answer.headers_mut().remove(header::CONTENT_TYPE);
        Ok(answer)
    }

    fn authorization_code(&self, client: &SimulatedClient) -> Result<Answer, Refusal> {
        let code = self.fields.filled("code").ok_or(Refusal::CodeMissing)?;
        let redirect_uri = self.fields.filled("redirect_uri");
        let offer = Offer { code, client: &client.id, redirect_uri, verifier: self.fields.filled("code_verifier") };
        let exchange = self.world.books().exchange(&offer, self.switches, self.now, &*self.world.chance);
        let (pair, nonce) = match exchange {
            Exchange::Bought { pair, nonce } => (pair, nonce),
            Exchange::Unknown => return Err(Refusal::CodeUnknown(code.to_owned())),
            Exchange::Reused => return Err(Refusal::CodeReused(code.to_owned())),
            Exchange::Expired => return Err(Refusal::CodeExpired),
            Exchange::OtherClient => return Err(Refusal::OtherClient),
            Exchange::OtherRedirect => return Err(Refusal::OtherRedirect),
            Exchange::WrongVerifier => return Err(Refusal::WrongVerifier),
        };
        let unknown = || Refusal::CodeUnknown(code.to_owned());
        let person = pair.orcid.and_then(|orcid| self.world.person(orcid)).ok_or_else(unknown)?;
        let id_token = match wants_id_token(&pair) {
            true => Some(self.id_token(&person, client, &pair, nonce.as_deref())?),
            false => None,
        };
        let answer = granted(self.world, self.switches, client, &pair, Some(&person), id_token, self.now);
        Ok(match self.switches.is_legacy() {
            true => answer,
            false => with(answer, HeaderName::from_static("oauth_authorization_code_exchange"), "ON"),
        })
    }

    fn id_token(
        &self,
        person: &Person,
        client: &SimulatedClient,
        pair: &Pair,
        nonce: Option<&str>,
    ) -> Result<String, Refusal> {
        let access_token = Some(&*pair.access);
        let on = Occasion { client, access_token, nonce, switches: self.switches, now: self.now };
        id_token::signed(self.world, person, &on).ok_or(Refusal::NotSigned)
    }

    fn refresh(&self, client: &SimulatedClient) -> Result<Answer, Refusal> {
        let token = required(&self.fields, "refresh_token")?;
        let mut books = self.world.books();
        let parent = books.ledger.by_refresh(token).filter(|pair| pair.client == client.id).cloned();
        let parent = parent.ok_or(Refusal::RefreshUnknown)?;
        if !parent.is_live(self.now) {
            return Err(Refusal::RefreshDead);
        }
        let scopes = match self.fields.filled("scope").map(|text| (text, text.parse::<ScopeSet>())) {
            None => parent.scopes.clone(),
            Some((_, Ok(scopes))) if !scopes.is_empty() && scopes::is_within(&scopes, &parent.scopes) => scopes,
            Some((text, _)) => return Err(Refusal::ScopeTooWide(text.to_owned())),
        };
        let expires = self.renewed_until(&parent)?;
        let new = NewPair { client: &client.id, orcid: parent.orcid, scopes, expires };
        let pair = books.issue_pair(new, self.now, &*self.world.chance);
        if self.switches.is_legacy() && self.fields.get("revoke_old") != Some("false") {
            // It is the token in the header that dies; callers without one revoked nothing (`orcid.md` §5.1).
            if let Some(old) = bearer(self.visit).filter(|old| *old == parent.access) {
                books.ledger.revoke_by_client(&client.id, old);
            }
        }
        drop(books);
        let person = pair.orcid.and_then(|orcid| self.world.person(orcid));
        let id_token = match &person {
            Some(person) if self.switches.refresh_id_token => Some(self.id_token(person, client, &pair, None)?),
            _ => None,
        };
        Ok(granted(self.world, self.switches, client, &pair, person.as_deref(), id_token, self.now))
    }

    /// Until when a renewed pair lives: with its parent, or as long as the legacy server was asked for. The
    /// 2026 proxy drops the question (`orcid.md` §5.1).
    fn renewed_until(&self, parent: &Pair) -> Result<UnixTime, Refusal> {
        let asked = self.fields.filled("expires_in").filter(|_| self.switches.is_legacy());
        let Some(asked) = asked else { return Ok(parent.expires) };
        let seconds: u64 = asked.parse().map_err(|_| Refusal::ExpiresTooLate)?;
        let until = if seconds == 0 { parent.expires } else { self.now.plus(Duration::from_secs(seconds)) };
        if until > parent.expires { Err(Refusal::ExpiresTooLate) } else { Ok(until) }
    }

    fn client_credentials(&self, client: &SimulatedClient) -> Result<Answer, Refusal> {
        let asked = self.fields.get("scope").unwrap_or("");
        let scopes = scopes::for_client(asked, client.member).map_err(|error| match error {
            NotForClients::Invalid(scope) => Refusal::ScopeInvalid(scope),
            NotForClients::Unknown(scope) => Refusal::ScopeUnknown(scope),
        })?;
        let expires = self.now.plus(Duration::from_secs(self.switches.expires_in.0.unsigned_abs()));
        let new = NewPair { client: &client.id, orcid: None, scopes, expires };
        let pair = self.world.books().issue_pair(new, self.now, &*self.world.chance);
        Ok(granted(self.world, self.switches, client, &pair, None, None, self.now))
    }
}

fn wants_id_token(pair: &Pair) -> bool {
    pair.scopes.iter().any(|scope| scope.as_str() == "openid")
}

fn bearer(visit: &Visit) -> Option<&str> {
    let value = visit.header(header::AUTHORIZATION)?;
    value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim())
}
