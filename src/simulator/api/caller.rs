//! [`Caller`]: who is asking the API, by their token, and what that lets them see (`orcid.md` §5.3, §8.4).
//! Called by `mod`.

use super::trouble::{self, Outcome, Trouble};
use crate::domain::scope::THREE_LEGGED;
use crate::domain::{OrcidId, ScopeSet};
use crate::simulator::answer::Answer;
use crate::simulator::clients::{ClientState, SimulatedClient};
use crate::simulator::face::Face;
use crate::simulator::ledger::{Pair, Revoked};
use crate::simulator::record::Sight;
use crate::simulator::visit::{Fields, Visit};
use crate::simulator::world::World;
use http::{Method, header};
use std::sync::Arc;

/// Which of the two APIs answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    Public,
    Member,
}

/// What a token says about the one who shows it.
pub(super) struct Bearer {
    pub(super) client: Arc<SimulatedClient>,
    /// `None`: the client's own token.
    pub(super) orcid: Option<OrcidId>,
    scopes: ScopeSet,
}

pub(super) struct Caller {
    pub(super) api: Api,
    /// `None`: anonymous, which the public API alone allows.
    pub(super) bearer: Option<Bearer>,
}

impl Caller {
    /// Somebody without a token, on the public API.
    pub(super) fn anybody() -> Self {
        Self { api: Api::Public, bearer: None }
    }

    /// Reads the token, in the header or the query. The error is the answer to a token that is none. A call of the
    /// member API without any is judged later: status is open to all.
    pub(super) fn of(world: &World, visit: &Visit) -> Result<Self, Box<Answer>> {
        let Some(token) = token(visit) else {
            let api = if visit.face == Face::Member { Api::Member } else { Api::Public };
            return Ok(Self { api, bearer: None });
        };
        let bearer =
            introspect(world, &token, &visit.method).ok_or_else(|| Box::new(trouble::invalid_token(&token)))?;
        let api = match visit.face {
            Face::Root if bearer.client.member => Api::Member,
            Face::Member => Api::Member,
            Face::Root | Face::Public => Api::Public,
        };
        Ok(Self { api, bearer: Some(bearer) })
    }

    /// What is wrong with the client, whatever it asks for.
    pub(super) fn check_client(&self) -> Outcome<()> {
        match &self.bearer {
            Some(bearer) if bearer.client.state == ClientState::Deactivated => {
                Err(Trouble::client_deactivated(&bearer.client.id))
            }
            Some(bearer) if self.api == Api::Member && !bearer.client.member => {
                Err(Trouble::unauthorized("The client application is forbidden to perform the action."))
            }
            _ => Ok(()),
        }
    }

    /// A person's token is for that person's record alone, public data included: ORCID looks at the iD in the
    /// address before anything else, on both APIs.
    pub(super) fn check_record(&self, orcid: &str) -> Outcome<()> {
        match self.bearer.as_ref().and_then(|bearer| bearer.orcid) {
            Some(own) if own.as_str() != orcid && is_id_shaped(orcid) => {
                Err(Trouble::unauthorized("Access token is for a different record"))
            }
            _ => Ok(()),
        }
    }

    /// Whether public data and the search are open: always on the public API, with any scope of a person's or
    /// `/read-public` on the member API (`orcid.md` §4.2).
    pub(super) fn reads_public(&self) -> bool {
        let reads = |bearer: &Bearer| {
            let opens = |name: &str| name == "/read-public" || THREE_LEGGED.iter().any(|(known, _)| *known == name);
            bearer.scopes.iter().any(|scope| opens(scope.as_str()))
        };
        self.api == Api::Public || self.bearer.as_ref().is_some_and(reads)
    }

    /// What they see of this person's record. The public API shows public data, whatever the token could do.
    pub(super) fn sight(&self, owner: OrcidId) -> Sight {
        let Some(bearer) = self.bearer.as_ref().filter(|_| self.api == Api::Member) else { return Sight::public() };
        let has = |name: &str| bearer.orcid == Some(owner) && bearer.scopes.iter().any(|scope| scope.as_str() == name);
        Sight {
            client: Some(bearer.client.id.clone()),
            public: self.reads_public(),
            limited: has("/read-limited"),
            all_emails: has("/email/read-private"),
        }
    }
}

/// Sixteen characters in ORCID's groups, with a right check character or not.
fn is_id_shaped(text: &str) -> bool {
    text.len() == 19
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 9 | 14 => b == b'-',
            18 => b.is_ascii_digit() || b == b'X',
            _ => b.is_ascii_digit(),
        })
}

/// The token of the first `Authorization` header that begins with `bearer` in any case, up to a comma, or else of
/// the query: python-social-auth sends it there.
fn token(visit: &Visit) -> Option<String> {
    let headers = visit.headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    let bearer = headers
        .filter(|value| value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer")))
        .map(|value| value[6..].trim())
        .map(|rest| rest.split(',').next().unwrap_or(rest).to_owned())
        .next();
    let query = || Fields::read(visit.query.as_bytes()).get("access_token").map(str::to_owned);
    bearer.or_else(query).filter(|token| !token.trim().is_empty())
}

/// Whom a token speaks for, while it is alive. One that its person withdrew still serves a DELETE, so that an
/// organisation can clean up behind itself (`orcid.md` §5.3).
fn introspect(world: &World, token: &str, method: &Method) -> Option<Bearer> {
    let now = world.now();
    let books = world.books();
    let pair = books.ledger.by_access(token)?;
    let cleans_up =
        |pair: &Pair| *method == Method::DELETE && pair.revoked == Some(Revoked::ByUser) && pair.expires > now;
    if !pair.is_live(now) && !cleans_up(pair) {
        return None;
    }
    let client = books.clients.get(&pair.client).filter(|client| client.state != ClientState::Locked)?;
    Some(Bearer { client: client.clone(), orcid: pair.orcid, scopes: pair.scopes.clone() })
}
