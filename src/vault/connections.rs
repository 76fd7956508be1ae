//! [`Connection`]: a researcher's standing permission, with at most one live token pair for each set of
//! scopes. `sign_in` widens it; `tokens` and the account page read it; it outlives sessions.

use super::names::ConnectionId;
use super::revocations::Queued;
use super::store::{Batch, Condition, Outcome};
use super::{Core, RETRIES, Vault, VaultFault, trees};
use crate::domain::{
    AccessToken, Broken, ClientName, Environment, Grant, Mfa, RefreshToken, ScopeSet, Subject, UnixTime,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Grants remembered per connection; older ones are forgotten.
const HISTORY: usize = 32;
/// Live pairs per connection. There are not that many different sets of scopes; beyond it the oldest
/// pair is revoked.
const PAIRS: usize = 16;
pub(super) const WHAT: &str = "a connection";

/// Which connection: one per person, environment and client registration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionKey {
    pub environment: Environment,
    pub client: ClientName,
    pub subject: Subject,
}

/// A grant of the past: when, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantEvent {
    pub at: UnixTime,
    pub scopes: ScopeSet,
}

/// A connection without its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub key: ConnectionKey,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub mfa: Mfa,
    /// The union over the live pairs; empty while the connection is broken.
    pub scopes: ScopeSet,
    pub first_seen: UnixTime,
    pub last_seen: UnixTime,
    /// Oldest first; a grant of the same scopes as the one before is not listed again. One without scopes is
    /// when the person gave them all back.
    pub history: Vec<GrantEvent>,
    /// Since when ORCID no longer stands behind it; until the next sign-in.
    pub broken: Option<UnixTime>,
    /// Why; `None` while it is sound.
    pub trouble: Option<Broken>,
}

/// One live pair of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPair {
    pub scopes: ScopeSet,
    pub access_token: AccessToken,
    pub refresh_token: Option<RefreshToken>,
    pub obtained: UnixTime,
    pub expires: Option<UnixTime>,
}

/// A pair as its provider renewed it.
#[derive(Clone, Debug)]
pub struct Renewal {
    pub access_token: AccessToken,
    /// `None`: the old one stays in use.
    pub refresh_token: Option<RefreshToken>,
    /// `None`: as before.
    pub scopes: Option<ScopeSet>,
    pub obtained: UnixTime,
    pub expires: Option<UnixTime>,
}

/// What a sign-in did to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was none before.
    New,
    /// It holds scopes it did not hold before.
    Widened,
    Same,
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct PairRecord {
    #[zeroize(skip)]
    pub(super) scopes: ScopeSet,
    pub(super) access: String,
    refresh: Option<String>,
    #[zeroize(skip)]
    obtained: UnixTime,
    #[zeroize(skip)]
    expires: Option<UnixTime>,
}

/// A connection as it lies on disk, inside its seal. New fields go to the end, and are options: a record of
/// an older gate lacks them.
#[derive(Serialize, Deserialize)]
pub(super) struct ConnectionRecord {
    pub(super) key: ConnectionKey,
    name: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    mfa: Mfa,
    pub(super) pairs: Vec<PairRecord>,
    first_seen: UnixTime,
    last_seen: UnixTime,
    history: Vec<GrantEvent>,
    broken: Option<UnixTime>,
    /// Why it is broken. Absent from records of gates that knew one reason only.
    trouble: Option<Broken>,
}

impl ConnectionRecord {
    fn new(key: ConnectionKey, now: UnixTime) -> Self {
        Self {
            key,
            name: None,
            given_name: None,
            family_name: None,
            mfa: Mfa::Unknown,
            pairs: Vec::new(),
            first_seen: now,
            last_seen: now,
            history: Vec::new(),
            broken: None,
            trouble: None,
        }
    }

    fn scopes(&self) -> ScopeSet {
        let live = self.pairs.iter().filter(|_| self.broken.is_none());
        live.flat_map(|pair| pair.scopes.iter().cloned()).collect()
    }

    /// Takes a grant in, as granted and not as asked (T94). Gives the tokens it supersedes: those of the
    /// same scope set, all of a broken connection, and the oldest if there are too many.
    pub(super) fn take(
        old: Option<Self>,
        key: ConnectionKey,
        grant: &Grant,
        now: UnixTime,
    ) -> (Self, Vec<AccessToken>, Change) {
        let fresh = old.is_none();
        let mut record = old.unwrap_or_else(|| Self::new(key, now));
        let before = record.scopes();
        let was_broken = record.broken.take().is_some();
        record.trouble = None;
        let (mut kept, mut superseded): (Vec<_>, Vec<_>) =
            record.pairs.drain(..).partition(|pair| !was_broken && pair.scopes != grant.scopes);
        if kept.len() >= PAIRS {
            superseded.push(kept.remove(0));
        }
        kept.push(PairRecord {
            scopes: grant.scopes.clone(),
            access: grant.access_token.expose().to_owned(),
            refresh: grant.refresh_token.as_ref().map(|token| token.expose().to_owned()),
            obtained: now,
            expires: grant.expires,
        });
        record.pairs = kept;
        record.name.clone_from(&grant.name);
        record.given_name.clone_from(&grant.given_name);
        record.family_name.clone_from(&grant.family_name);
        record.mfa = grant.mfa;
        record.last_seen = now;
        record.note_grant(now, &grant.scopes);
        let change = match (fresh, record.scopes().iter().any(|scope| !before.contains(scope))) {
            (true, _) => Change::New,
            (false, true) => Change::Widened,
            (false, false) => Change::Same,
        };
        // A provider may give the same token twice: that one is in use.
        superseded.retain(|pair| record.pairs.iter().all(|live| live.access != pair.access));
        (record, superseded.iter().map(|pair| AccessToken::new(pair.access.as_str())).collect(), change)
    }

    /// Puts a renewed pair in the place of the one whose access token was `used`; gives the tokens of others with
    /// the scopes it has now. `None` if that pair is not in use any more.
    fn renew(&mut self, used: &AccessToken, renewal: &Renewal) -> Option<Vec<AccessToken>> {
        let at = self.pairs.iter().position(|pair| self.broken.is_none() && pair.access == used.expose())?;
        let old = self.pairs.remove(at);
        let scopes = renewal.scopes.clone().unwrap_or_else(|| old.scopes.clone());
        let (kept, superseded): (Vec<_>, Vec<_>) = self.pairs.drain(..).partition(|pair| pair.scopes != scopes);
        self.pairs = kept;
        self.pairs.push(PairRecord {
            scopes,
            access: renewal.access_token.expose().to_owned(),
            refresh: renewal.refresh_token.as_ref().map(|new| new.expose().to_owned()).or_else(|| old.refresh.clone()),
            obtained: renewal.obtained,
            expires: renewal.expires,
        });
        Some(superseded.iter().map(|pair| AccessToken::new(pair.access.as_str())).collect())
    }

    /// Adds to the history; the same as before is not news.
    pub(super) fn note_grant(&mut self, at: UnixTime, scopes: &ScopeSet) {
        if self.history.last().is_none_or(|last| last.scopes != *scopes) {
            self.history.push(GrantEvent { at, scopes: scopes.clone() });
            let surplus = self.history.len().saturating_sub(HISTORY);
            self.history.drain(..surplus);
        }
    }

    pub(super) fn connection(&self) -> Connection {
        Connection {
            key: self.key.clone(),
            name: self.name.clone(),
            given_name: self.given_name.clone(),
            family_name: self.family_name.clone(),
            mfa: self.mfa,
            scopes: self.scopes(),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            history: self.history.clone(),
            broken: self.broken,
            trouble: self.broken.map(|_| self.trouble.unwrap_or(Broken::Withdrawn)),
        }
    }

    fn token_pairs(&self) -> Vec<TokenPair> {
        let pair = |pair: &PairRecord| TokenPair {
            scopes: pair.scopes.clone(),
            access_token: AccessToken::new(pair.access.as_str()),
            refresh_token: pair.refresh.as_deref().map(RefreshToken::new),
            obtained: pair.obtained,
            expires: pair.expires,
        };
        self.pairs.iter().map(pair).collect()
    }
}

impl Core {
    /// The connection's stored bytes, and what is in them; the latter is `None` when the researcher has
    /// been erased since.
    pub(super) async fn connection_record(
        &self,
        id: ConnectionId,
    ) -> Result<(Option<Vec<u8>>, Option<ConnectionRecord>), VaultFault> {
        let address = trees::connection(id);
        let Some(sealed) = self.store.get(&address).await? else { return Ok((None, None)) };
        let record = self.people.open_grown_record(WHAT, &address, &sealed)?;
        Ok((Some(sealed), record))
    }
}

impl Vault {
    /// One connection, without its tokens.
    pub async fn connection(&self, key: &ConnectionKey) -> Result<Option<Arc<Connection>>, VaultFault> {
        let (_, record) = self.core.connection_record(self.core.names.connection(key)).await?;
        Ok(record.map(|record| Arc::new(record.connection())))
    }

    /// The live token pairs of a connection, oldest first; none if there is no such connection. A broken
    /// connection still lists them: look at [`Connection::broken`] before lending one.
    pub async fn token_pairs(&self, key: &ConnectionKey) -> Result<Vec<TokenPair>, VaultFault> {
        let (_, record) = self.core.connection_record(self.core.names.connection(key)).await?;
        Ok(record.map(|record| record.token_pairs()).unwrap_or_default())
    }

    /// Up to `limit` connections in no meaningful order, and where to go on; `None` at the end. What cannot be read is
    /// said in the log and passed over: a damaged record must not keep everybody behind it from being looked at.
    pub async fn connections(
        &self,
        after: Option<Page>,
        limit: usize,
    ) -> Result<(Vec<Connection>, Option<Page>), VaultFault> {
        let after = after.map(|page| page.0);
        let rows = self.core.store.scan(&trees::connections(), after.as_ref(), limit).await?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|(at, _)| Page(at.clone()));
        let mut connections = Vec::with_capacity(rows.len());
        let (mut unreadable, mut first) = (0, None);
        for (at, sealed) in rows {
            match self.core.people.open_grown_record::<ConnectionRecord>(WHAT, &at, &sealed) {
                Ok(record) => connections.extend(record.map(|record| record.connection())),
                Err(fault) => {
                    unreadable += 1;
                    first.get_or_insert(fault);
                }
            }
        }
        if let Some(fault) = first {
            tracing::error!(unreadable, cause = %fault, "connections cannot be read and are passed over; their people cannot sign in");
        }
        Ok((connections, next))
    }

    /// Notes that ORCID no longer stands behind the connection, as its answer to a call with the token `used`
    /// says (J8): policies see no scopes until the next sign-in, which replaces all pairs; where the record
    /// itself is gone or shut, all sessions end. Durable. Gives whether anything changed: what ORCID says
    /// about a token that is no longer a live pair of the connection means nothing, and what is known to be
    /// broken stays as it is.
    pub async fn mark_broken(&self, key: &ConnectionKey, used: &AccessToken, why: Broken) -> Result<bool, VaultFault> {
        let core = &self.core;
        let id = core.names.connection(key);
        let address = trees::connection(id);
        let _alone = core.stripes.lock(&[id.locator()]).await;
        for _ in 0..RETRIES {
            let (Some(old), Some(mut record)) = core.connection_record(id).await? else { return Ok(false) };
            let is_live = record.pairs.iter().any(|pair| pair.access == used.expose());
            if record.broken.is_some() || !is_live {
                return Ok(false);
            }
            if why.ends_sessions() {
                // First: should we die in between, the next look at the record finds what is left to do.
                self.end_sessions_of(id, Some(why), None).await?;
            }
            record.broken = Some(core.clock.now());
            record.trouble = Some(why);
            let data_key = core.people.find_or_make(id.locator()).await?;
            let sealed = data_key.seal(&*core.chance, &address, &record);
            if core.store.compare_and_set(address.clone(), Some(old), sealed).await? == Outcome::Written {
                return Ok(true);
            }
        }
        Err(VaultFault::Contended)
    }

    /// Keeps a pair that was renewed in the place of the one whose access token was `used`. Durable. Gives whether it
    /// was: if that pair was superseded or broken meanwhile, the new one is queued for revocation (B4).
    pub async fn renew_pair(
        &self,
        key: &ConnectionKey,
        used: &AccessToken,
        renewal: &Renewal,
    ) -> Result<bool, VaultFault> {
        let core = &self.core;
        let id = core.names.connection(key);
        let address = trees::connection(id);
        let _alone = core.stripes.lock(&[id.locator()]).await;
        for _ in 0..RETRIES {
            let mut batch = Batch::default();
            let (old, record) = core.connection_record(id).await?;
            let renewed = old.zip(record).and_then(|(old, mut record)| {
                let superseded = record.renew(used, renewal)?;
                Some((old, record, superseded))
            });
            let Some((old, record, superseded)) = renewed else {
                core.queue_revocations(&mut batch, std::iter::once(Queued::new(key, &renewal.access_token)));
                return core.store.write(batch).await.map(|_| false);
            };
            let data_key = core.people.find_or_make(id.locator()).await?;
            let mut batch = batch.when(Condition::Equals(address.clone(), old));
            batch.put(address.clone(), data_key.seal(&*core.chance, &address, &record));
            core.queue_revocations(&mut batch, superseded.iter().map(|token| Queued::new(key, token)));
            if core.store.write(batch).await? == Outcome::Written {
                return Ok(true);
            }
        }
        Err(VaultFault::Contended)
    }

    /// Disconnects: forgets the connection with its tokens, queues them for revocation and ends all its
    /// sessions, durably. Gives whether there was one.
    pub async fn disconnect(&self, key: &ConnectionKey) -> Result<bool, VaultFault> {
        let id = self.core.names.connection(key);
        let _alone = self.core.stripes.lock(&[id.locator()]).await;
        self.disconnect_locked(id).await
    }

    async fn disconnect_locked(&self, id: ConnectionId) -> Result<bool, VaultFault> {
        let core = &self.core;
        // Sessions first: should we die in between, nobody is signed in to a connection that is gone.
        self.end_sessions_of(id, None, None).await?;
        core.forget_sites_of(id).await?;
        for _ in 0..RETRIES {
            let (Some(old), record) = core.connection_record(id).await? else { return Ok(false) };
            let mut batch = Batch::default().when(Condition::Equals(trees::connection(id), old));
            batch.delete(trees::connection(id));
            if let Some(record) = &record {
                let tokens = record.pairs.iter().map(|pair| AccessToken::new(pair.access.as_str()));
                core.queue_revocations(&mut batch, tokens.map(|token| Queued::new(&record.key, &token)));
            }
            if core.store.write(batch).await? == Outcome::Written {
                core.given_back.notify_one();
                return Ok(record.is_some());
            }
        }
        Err(VaultFault::Contended)
    }

    /// Erases the researcher of a connection: disconnects every client of the environment, then destroys their
    /// data key, after which nothing about them, in whatever copy of this vault, can be read. A provider's own
    /// name for somebody says nothing about people of the same name at another provider: there only this connection
    /// goes, and the key with the last one under that name. Durable on return. Gives how many connections there were.
    pub async fn erase(&self, key: &ConnectionKey) -> Result<usize, VaultFault> {
        let person = self.core.names.person(key.environment, &key.subject);
        let _alone = self.core.stripes.lock(&[person]).await;
        let own = self.core.names.connection(key);
        let is_foreign = matches!(key.subject, Subject::Foreign(_));
        let (mut erased, mut left) = (0, 0);
        for (at, _) in self.core.store.scan(&trees::connections_of(person), None, usize::MAX).await? {
            let id = at.key().try_into().map_err(|_| VaultFault::Unreadable { what: "a connection's address" })?;
            let id = ConnectionId(id);
            if is_foreign && id != own {
                left += 1;
                continue;
            }
            erased += usize::from(self.disconnect_locked(id).await?);
        }
        if left == 0 {
            self.core.people.erase(person).await?;
        }
        Ok(erased)
    }
}

/// Where a listing goes on.
#[derive(Clone, Debug)]
pub struct Page(pub(super) trees::Address);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::OrcidId;
    use crate::vault::seal;

    fn record() -> ConnectionRecord {
        let josiah: OrcidId = "0000-0002-1825-0097".parse().unwrap();
        let key = ConnectionKey {
            environment: Environment::Sandbox,
            client: "main".parse().unwrap(),
            subject: Subject::Orcid(josiah),
        };
        let mut record = ConnectionRecord::new(key, UnixTime(1_790_000_000));
        record.name = Some("Josiah".into());
        record.mfa = Mfa::Enabled;
        record.pairs.push(PairRecord {
            scopes: "openid".parse().unwrap(),
            access: "a".into(),
            refresh: Some("r".into()),
            obtained: UnixTime(1),
            expires: Some(UnixTime(2)),
        });
        record.broken = Some(UnixTime(3));
        record
    }

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn records_of_the_first_gates_are_read_and_todays_layout_is_this_one() {
        let first = bytes(FIRST);
        let old: ConnectionRecord = seal::decode_grown(WHAT, &first).unwrap();
        assert!(old.connection() == record().connection() && old.pairs.len() == 1 && old.pairs[0].access == "a");
        assert_eq!(old.connection().trouble, Some(Broken::Withdrawn), "the one reason they knew");

        let mut record = record();
        record.trouble = Some(Broken::Deprecated { primary: Some("0000-0002-1694-233X".parse().unwrap()) });
        let today: Vec<u8> = seal::encode(&record).to_vec();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&today), format!("{FIRST}{TROUBLE}"));
        let read: ConnectionRecord = seal::decode_grown(WHAT, &today).unwrap();
        assert!(read.connection() == record.connection());
        for cut in 0..first.len() {
            assert!(seal::decode_grown::<ConnectionRecord>(WHAT, &first[..cut]).is_err(), "no gate wrote {cut} bytes");
        }
    }

    /// Written by a gate that knew no `trouble`.
    const FIRST: &str = "01046d61696e0013303030302d303030322d313832352d3030393701064a6f736961680000000101066f70656e6964016101017202010480ee89ab0d80ee89ab0d000106";
    const TROUBLE: &str = "01010113303030302d303030322d313639342d32333358";
}
