//! Codes and token pairs: who granted what to whom, what is still live, and why the rest is not.
//! Written by `authorize`, `token`, `revoke` and the trusted-organisations page; all in memory, all bounded.

use super::random;
use super::switches::{CodeReuse, Pkce, Switches};
use crate::domain::{Chance, OrcidId, ScopeSet, UnixTime};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

/// Most codes remembered, used ones included; the oldest goes first.
const MOST_CODES: usize = 20_000;
/// Most token pairs remembered, revoked ones included; the oldest goes first.
const MOST_PAIRS: usize = 100_000;
/// Most secrets remembered for [`Ledger::issued`].
const MOST_ISSUED: usize = 10_000;

/// Why a pair stopped working (`orcid.md` §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Revoked {
    /// The client's own call to the revoke endpoint.
    ByClient,
    /// The person withdrew the organisation's access.
    ByUser,
    /// The code that bought the pair was presented a second time.
    CodeReused,
}

/// An authorization code and what it stands for.
pub(super) struct Code {
    pub(super) client: String,
    pub(super) orcid: OrcidId,
    pub(super) scopes: ScopeSet,
    /// As the authorize request wrote it.
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) issued: UnixTime,
    /// The pair it bought, once it has.
    spent: Option<u64>,
}

/// An access token and its refresh token.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) refresh: String,
    pub(super) client: String,
    /// `None` for a client's own (client_credentials) token.
    pub(super) orcid: Option<OrcidId>,
    pub(super) scopes: ScopeSet,
    pub(super) issued: UnixTime,
    pub(super) expires: UnixTime,
    pub(super) revoked: Option<Revoked>,
}

impl Pair {
    pub(super) fn is_live(&self, now: UnixTime) -> bool {
        self.revoked.is_none() && self.expires > now
    }
}

/// What a code exchange found.
pub(super) enum Exchange {
    Bought {
        pair: Box<Pair>,
        nonce: Option<String>,
    },
    Unknown,
    /// Used before: what it had bought has just been revoked.
    Reused,
    Expired,
    OtherClient,
    OtherRedirect,
    /// PKCE's verifier is missing or wrong.
    WrongVerifier,
}

/// What a token request presents.
pub(super) struct Offer<'a> {
    pub(super) code: &'a str,
    pub(super) client: &'a str,
    /// Must be the one of the authorize request, if it is sent at all (`orcid.md` §2.2).
    pub(super) redirect_uri: Option<&'a str>,
    pub(super) verifier: Option<&'a str>,
}

/// A pair to be issued.
pub(super) struct NewPair<'a> {
    pub(super) client: &'a str,
    pub(super) orcid: Option<OrcidId>,
    pub(super) scopes: ScopeSet,
    pub(super) expires: UnixTime,
}

/// One organisation a person trusts, as the account page lists it (`orcid.md` §4.4).
pub(super) struct Trusted {
    pub(super) client: String,
    pub(super) since: UnixTime,
    pub(super) scopes: ScopeSet,
    pub(super) pairs: usize,
}

#[derive(Default)]
pub(super) struct Ledger {
    codes: HashMap<String, Code>,
    code_order: VecDeque<String>,
    pairs: BTreeMap<u64, Pair>,
    by_token: HashMap<String, u64>,
    by_owner: HashMap<(OrcidId, String), BTreeSet<u64>>,
    next: u64,
    /// The nonces of the last two codes, the older one first.
    nonces: VecDeque<String>,
    /// Every secret handed out, oldest first, for tests that look for them where they should not be.
    issued: VecDeque<String>,
}

impl Ledger {
    /// Issues a code for this grant.
    pub(super) fn issue_code(&mut self, grant: NewCode<'_>, now: UnixTime, chance: &dyn Chance) -> String {
        while self.code_order.len() >= MOST_CODES {
            if let Some(oldest) = self.code_order.pop_front() {
                self.codes.remove(&oldest);
            }
        }
        // Six characters collide now and then; a code that is remembered is never given out again.
        let mut code = random::code(chance);
        while self.codes.contains_key(&code) {
            code = random::code(chance);
        }
        if let Some(nonce) = grant.nonce {
            self.nonces.truncate(1);
            self.nonces.push_front(nonce.to_owned());
        }
        self.note_issued(&code);
        self.code_order.push_back(code.clone());
        self.codes.insert(
            code.clone(),
            Code {
                client: grant.client.to_owned(),
                orcid: grant.orcid,
                scopes: grant.scopes.clone(),
                redirect_uri: grant.redirect_uri.to_owned(),
                nonce: grant.nonce.map(str::to_owned),
                challenge: grant.challenge.map(str::to_owned),
                issued: now,
                spent: None,
            },
        );
        code
    }

    /// The nonce of the sign-in before the last.
    pub(super) fn nonce_before_last(&self) -> Option<String> {
        self.nonces.get(1).cloned()
    }

    /// Trades a code for a pair, once. A second attempt by its client revokes what the first one bought
    /// (`AUTH_CODE_REUSED`, `orcid.md` §3.3), unless the switch has it otherwise.
    pub(super) fn exchange(
        &mut self,
        offer: &Offer<'_>,
        switches: &Switches,
        now: UnixTime,
        chance: &dyn Chance,
    ) -> Exchange {
        let Some(known) = self.codes.get(offer.code) else { return Exchange::Unknown };
        if known.client != offer.client {
            return Exchange::OtherClient;
        }
        if offer.redirect_uri.is_some_and(|uri| uri != known.redirect_uri) {
            return Exchange::OtherRedirect;
        }
        if let Some(bought) = known.spent {
            if switches.code_reuse == CodeReuse::Revokes {
                self.revoke_pair(bought, Revoked::CodeReused);
            }
            return Exchange::Reused;
        }
        if now.since(known.issued) >= Duration::from_secs(switches.code_lifetime.0.unsigned_abs()) {
            return Exchange::Expired;
        }
        if let Some(challenge) = &known.challenge
            && offer.verifier.is_none_or(|verifier| answer_to(verifier, switches.pkce) != *challenge)
        {
            return Exchange::WrongVerifier;
        }
        let (orcid, scopes, nonce) = (known.orcid, known.scopes.clone(), known.nonce.clone());
        let expires = now.plus(Duration::from_secs(switches.expires_in.0.unsigned_abs()));
        let id = self.next;
        let pair = self.issue_pair(NewPair { client: offer.client, orcid: Some(orcid), scopes, expires }, now, chance);
        if let Some(known) = self.codes.get_mut(offer.code) {
            known.spent = Some(id);
        }
        Exchange::Bought { pair: Box::new(pair), nonce }
    }

    /// Issues a pair.
    pub(super) fn issue_pair(&mut self, new: NewPair<'_>, now: UnixTime, chance: &dyn Chance) -> Pair {
        while self.pairs.len() >= MOST_PAIRS {
            self.forget_oldest();
        }
        let pair = Pair {
            access: random::uuid(chance),
            refresh: random::uuid(chance),
            client: new.client.to_owned(),
            orcid: new.orcid,
            scopes: new.scopes,
            issued: now,
            expires: new.expires,
            revoked: None,
        };
        let id = self.next;
        self.next += 1;
        for token in [&pair.access, &pair.refresh] {
            self.by_token.insert(token.clone(), id);
            self.note_issued(token);
        }
        if let Some(orcid) = new.orcid {
            self.by_owner.entry((orcid, new.client.to_owned())).or_default().insert(id);
        }
        self.pairs.insert(id, pair.clone());
        pair
    }

    /// Remembers a secret that was handed out.
    pub(super) fn note_issued(&mut self, secret: &str) {
        if self.issued.len() >= MOST_ISSUED {
            self.issued.pop_front();
        }
        self.issued.push_back(secret.to_owned());
    }

    /// The last secrets handed out: codes, tokens, id_tokens.
    pub(super) fn issued(&self) -> Vec<String> {
        self.issued.iter().cloned().collect()
    }

    fn forget_oldest(&mut self) {
        let Some((id, pair)) = self.pairs.pop_first() else { return };
        self.by_token.remove(&pair.access);
        self.by_token.remove(&pair.refresh);
        if let Some(orcid) = pair.orcid {
            let owner = (orcid, pair.client);
            if let Some(owned) = self.by_owner.get_mut(&owner) {
                owned.remove(&id);
                if owned.is_empty() {
                    self.by_owner.remove(&owner);
                }
            }
        }
    }

    /// The pair this access token belongs to, live or not: introspection, as userinfo uses it.
    pub(super) fn by_access(&self, token: &str) -> Option<&Pair> {
        self.pairs.get(self.by_token.get(token)?).filter(|pair| pair.access == token)
    }

    /// The pair this refresh token belongs to, live or not.
    pub(super) fn by_refresh(&self, token: &str) -> Option<&Pair> {
        self.pairs.get(self.by_token.get(token)?).filter(|pair| pair.refresh == token)
    }

    /// The client's own revocation: kills the one pair an access or refresh token belongs to. Says nothing
    /// about tokens that are unknown, dead already or another client's (`orcid.md` §5.2).
    pub(super) fn revoke_by_client(&mut self, client: &str, token: &str) {
        if let Some(&id) = self.by_token.get(token)
            && self.pairs.get(&id).is_some_and(|pair| pair.client == client)
        {
            self.revoke_pair(id, Revoked::ByClient);
        }
    }

    /// The person withdraws an organisation's access: every pair of theirs dies at once (`orcid.md` §4.4).
    /// Returns how many were live.
    pub(super) fn revoke_by_user(&mut self, orcid: OrcidId, client: &str, now: UnixTime) -> usize {
        let ids: Vec<u64> = self.by_owner.get(&(orcid, client.to_owned())).into_iter().flatten().copied().collect();
        let mut count = 0;
        for id in ids {
            count += usize::from(self.pairs.get(&id).is_some_and(|pair| pair.is_live(now)));
            self.revoke_pair(id, Revoked::ByUser);
        }
        count
    }

    fn revoke_pair(&mut self, id: u64, why: Revoked) {
        if let Some(pair) = self.pairs.get_mut(&id) {
            pair.revoked.get_or_insert(why);
        }
    }

    /// The live pairs of one person and client, oldest first.
    pub(super) fn live<'a>(&'a self, orcid: OrcidId, client: &str, now: UnixTime) -> impl Iterator<Item = &'a Pair> {
        let ids = self.by_owner.get(&(orcid, client.to_owned()));
        ids.into_iter().flatten().filter_map(|id| self.pairs.get(id)).filter(move |pair| pair.is_live(now))
    }

    /// Whether consent may be skipped: a live pair with exactly this scope set exists (`orcid.md` §2.1, §4.4).
    pub(super) fn has_exactly(&self, orcid: OrcidId, client: &str, scopes: &ScopeSet, now: UnixTime) -> bool {
        self.live(orcid, client, now).any(|pair| pair.scopes == *scopes)
    }

    /// The organisations with live tokens of this person, by client id.
    pub(super) fn trusted_by(&self, orcid: OrcidId, now: UnixTime) -> Vec<Trusted> {
        let mut clients: Vec<&String> =
            self.by_owner.keys().filter(|(owner, _)| *owner == orcid).map(|(_, client)| client).collect();
        clients.sort();
        clients
            .into_iter()
            .filter_map(|client| {
                let live: Vec<&Pair> = self.live(orcid, client, now).collect();
                let since = live.iter().map(|pair| pair.issued).min()?;
                let scopes = live.iter().fold(ScopeSet::default(), |all, pair| all.union(&pair.scopes));
                Some(Trusted { client: client.clone(), since, scopes, pairs: live.len() })
            })
            .collect()
    }
}

/// What a new code stands for.
pub(super) struct NewCode<'a> {
    pub(super) client: &'a str,
    pub(super) orcid: OrcidId,
    pub(super) scopes: &'a ScopeSet,
    pub(super) redirect_uri: &'a str,
    pub(super) nonce: Option<&'a str>,
    /// PKCE's (RFC 7636 §4.2).
    pub(super) challenge: Option<&'a str>,
}

/// The challenge a verifier answers to (RFC 7636 §4.6).
fn answer_to(verifier: &str, method: Pkce) -> String {
    match method {
        Pkce::S256 => URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes())),
        Pkce::Plain | Pkce::Absent => verifier.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemChance;

    #[test]
    fn the_oldest_goes_first_when_the_books_are_full() {
        let (chance, now) = (SystemChance::default(), UnixTime(0));
        let orcid: OrcidId = super::super::people::ORDINARY.parse().unwrap();
        let scopes: ScopeSet = "openid".parse().unwrap();
        let mut ledger = Ledger::default();
        let mut code = || {
            let grant = NewCode {
                client: "c",
                orcid,
                scopes: &scopes,
                redirect_uri: "https://a/",
                nonce: None,
                challenge: None,
            };
            ledger.issue_code(grant, now, &chance)
        };
        let first = code();
        let second = code();
        for _ in 2..=MOST_CODES {
            code();
        }
        let switches = Switches::default();
        let offer = |code| Offer { code, client: "c", redirect_uri: None, verifier: None };
        assert!(matches!(ledger.exchange(&offer(&first), &switches, now, &chance), Exchange::Unknown));
        assert!(matches!(ledger.exchange(&offer(&second), &switches, now, &chance), Exchange::Bought { .. }));

        let new = |orcid| NewPair { client: "d", orcid, scopes: scopes.clone(), expires: UnixTime(9) };
        let oldest = ledger.issue_pair(new(Some(orcid)), now, &chance);
        for _ in 0..MOST_PAIRS {
            ledger.issue_pair(new(None), now, &chance);
        }
        assert_eq!(ledger.issued.len(), MOST_ISSUED);
        assert!(ledger.by_access(&oldest.access).is_none() && ledger.by_refresh(&oldest.refresh).is_none());
        assert!(ledger.by_owner.is_empty());
        assert_eq!((ledger.pairs.len(), ledger.by_token.len()), (MOST_PAIRS, 2 * MOST_PAIRS));
    }

    #[test]
    fn an_expired_pair_is_not_live() {
        let chance = SystemChance::default();
        let orcid: OrcidId = super::super::people::ORDINARY.parse().unwrap();
        let scopes: ScopeSet = "openid".parse().unwrap();
        let mut ledger = Ledger::default();
        let new = NewPair { client: "c", orcid: Some(orcid), scopes: scopes.clone(), expires: UnixTime(9) };
        ledger.issue_pair(new, UnixTime(0), &chance);
        assert!(ledger.has_exactly(orcid, "c", &scopes, UnixTime(8)));
        assert!(!ledger.has_exactly(orcid, "c", &scopes, UnixTime(9)));
        assert!(ledger.trusted_by(orcid, UnixTime(9)).is_empty());
    }

    #[test]
    fn a_code_is_bought_once_in_time_by_its_client_with_its_verifier() {
        let (chance, now) = (SystemChance::default(), UnixTime(1_000));
        let orcid: OrcidId = super::super::people::ORDINARY.parse().unwrap();
        let scopes: ScopeSet = "openid".parse().unwrap();
        let mut switches = Switches::default();
        let verifier = "v".repeat(43);
        for method in [Pkce::Absent, Pkce::S256, Pkce::Plain] {
            switches.pkce = method;
            let challenge = answer_to(&verifier, method);
            let mut ledger = Ledger::default();
            let challenge = (method != Pkce::Absent).then_some(challenge.as_str());
            let grant =
                NewCode { client: "c", orcid, scopes: &scopes, redirect_uri: "https://a/", nonce: None, challenge };
            let code = ledger.issue_code(grant, now, &chance);
            let offer = Offer { code: &code, client: "c", redirect_uri: Some("https://a/"), verifier: Some(&verifier) };
            let mut outcome = |offer: &Offer<'_>, now| ledger.exchange(offer, &switches, now, &chance);
            assert!(matches!(outcome(&Offer { client: "d", ..offer }, now), Exchange::OtherClient));
            assert!(matches!(
                outcome(&Offer { redirect_uri: Some("https://b/"), ..offer }, now),
                Exchange::OtherRedirect
            ));
            assert!(matches!(outcome(&offer, UnixTime(1_600)), Exchange::Expired));
            if method != Pkce::Absent {
                assert!(matches!(outcome(&Offer { verifier: None, ..offer }, now), Exchange::WrongVerifier));
                assert!(matches!(outcome(&Offer { verifier: Some("w"), ..offer }, now), Exchange::WrongVerifier));
            }
            assert!(matches!(outcome(&offer, now), Exchange::Bought { .. }), "{method:?}");
            assert!(matches!(outcome(&offer, now), Exchange::Reused));
        }
    }

    #[test]
    fn what_a_reused_code_does_is_switched() {
        let (chance, now) = (SystemChance::default(), UnixTime(1_000));
        let orcid: OrcidId = super::super::people::ORDINARY.parse().unwrap();
        let scopes: ScopeSet = "openid".parse().unwrap();
        for (reuse, left) in [(CodeReuse::Revokes, 0), (CodeReuse::Refused, 1)] {
            let mut switches = Switches::default();
            switches.code_reuse = reuse;
            let mut ledger = Ledger::default();
            let grant = NewCode {
                client: "c",
                orcid,
                scopes: &scopes,
                redirect_uri: "https://a/",
                nonce: None,
                challenge: None,
            };
            let code = ledger.issue_code(grant, now, &chance);
            let offer = Offer { code: &code, client: "c", redirect_uri: None, verifier: None };
            for _ in 0..2 {
                ledger.exchange(&offer, &switches, now, &chance);
            }
            assert_eq!(ledger.live(orcid, "c", now).count(), left, "{reuse:?}");
        }
    }
}
