//! Root sessions by what their provider calls them, so that they end when it says that the person signed
//! out there (OpenID Connect Back-Channel Logout). Indexed by `sign_in`, ended by `signin`.

use super::names::ProviderName;
use super::store::{Batch, Condition, Outcome};
use super::{Core, HashedSessionKey, Mark, RETRIES, Vault, VaultFault, trees};
use crate::domain::{ClientName, Environment, ProviderSession, UnixTime};
use std::time::Duration;

/// Index rows looked at in one go.
const AT_ONCE: usize = 200;

/// How long a provider's word is held against sign-ins that were under way when it came: far longer than one
/// can take from the provider's answer to the store.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

/// A provider's word that sessions are over. At least one of `subject` and `sid` is there.
#[derive(Clone, Debug)]
pub struct ProviderSignOut<'a> {
    pub environment: Environment,
    pub client: &'a ClientName,
    pub subject: Option<&'a str>,
    pub sid: Option<&'a str>,
    /// When the provider said so: sign-ins that it confirmed later are not meant.
    pub issued: UnixTime,
    /// Of the token that says so: it counts once.
    pub mark: Mark,
    /// Nobody accepts the token from then on.
    pub mark_until: UnixTime,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProviderSignedOut {
    /// So many root sessions were ended, with their children.
    Ended(usize),
    /// The token had been used before; nothing was ended.
    Replayed,
}

impl Core {
    /// Adds the rows by which a provider finds a root session. They expire when nobody remembers it; of one that is
    /// ended before they stay behind until then and lead nowhere.
    pub(super) fn index_at_provider(
        &self,
        batch: &mut Batch,
        (environment, client): (Environment, &ClientName),
        session: &ProviderSession,
        root: &HashedSessionKey,
        expires: UnixTime,
    ) {
        let until = self.remembered_until(expires);
        let subject = self.names.provider_subject(environment, client, &session.subject);
        batch.put_until(trees::session_of_provider(subject, root), Vec::new(), until);
        if let Some(sid) = &session.sid {
            let sid = self.names.provider_session(environment, client, sid);
            batch.put_until(trees::session_of_provider(sid, root), Vec::new(), until);
        }
    }

    /// Makes the batch depend on the provider not having said meanwhile that this sign-in is over; `None` if it
    /// has. Its word may overtake the sign-in: the code is exchanged, and before the session lies in the store,
    /// where it would be found and ended, the person signs out over there.
    pub(super) async fn unless_over_at_provider(
        &self,
        mut batch: Batch,
        (environment, client): (Environment, &ClientName),
        session: &ProviderSession,
    ) -> Result<Option<Batch>, VaultFault> {
        let sid = session.sid.as_ref().map(|sid| self.names.provider_session(environment, client, sid));
        let subject = self.names.provider_subject(environment, client, &session.subject);
        for name in [Some(subject), sid].into_iter().flatten() {
            let at = trees::over_at_provider(name);
            batch = match self.store.get(&at).await? {
                None => batch.when(Condition::Absent(at)),
                Some(word) if said_at(&word)? >= session.issued => return Ok(None),
                Some(word) => batch.when(Condition::Equals(at, word)),
            };
        }
        Ok(Some(batch))
    }
}

fn said_at(word: &[u8]) -> Result<UnixTime, VaultFault> {
    let bytes =
        word.try_into().map_err(|_| VaultFault::Unreadable { what: "a provider's word that a sign-in is over" })?;
    Ok(UnixTime(i64::from_be_bytes(bytes)))
}

impl Vault {
    /// Ends the root sessions that the provider means, durable on return: those of its session `sid`, those
    /// of its `subject`, or those that are both.
    ///
    /// The mark comes last: a provider that got no answer brings the same token again, and that must not
    /// be taken for a replay while sessions still live.
    pub async fn end_provider_sessions(&self, order: ProviderSignOut<'_>) -> Result<ProviderSignedOut, VaultFault> {
        let ProviderSignOut { environment, client, subject, sid, issued, mark, mark_until } = order;
        let names = &self.core.names;
        if self.is_spent(mark).await? {
            return Ok(ProviderSignedOut::Replayed);
        }
        let subject = subject.map(|subject| names.provider_subject(environment, client, subject));
        let sid = sid.map(|sid| names.provider_session(environment, client, sid));
        if let Some(name) = sid.or(subject) {
            // Before anything is ended: a sign-in that is written later sees it, one written earlier is found.
            self.say_over(name, issued).await?;
        }
        let ended = match (sid, subject) {
            (Some(sid), and_of) => self.end_named(sid, and_of).await?,
            (None, Some(subject)) => self.end_named(subject, None).await?,
            (None, None) => 0,
        };
        match self.spend(mark, mark_until).await? {
            true => Ok(ProviderSignedOut::Ended(ended)),
            false => Ok(ProviderSignedOut::Replayed),
        }
    }

    async fn say_over(&self, name: ProviderName, issued: UnixTime) -> Result<(), VaultFault> {
        let (store, at) = (&self.core.store, trees::over_at_provider(name));
        for _ in 0..RETRIES {
            let old = store.get(&at).await?;
            let last = match &old {
                Some(word) => said_at(word)?.max(issued),
                None => issued,
            };
            let condition = match old {
                Some(word) => Condition::Equals(at.clone(), word),
                None => Condition::Absent(at.clone()),
            };
            let mut batch = Batch::default().when(condition);
            batch.put_until(at.clone(), last.0.to_be_bytes().to_vec(), self.core.clock.now().plus(REMEMBERED));
            if store.write(batch).await? == Outcome::Written {
                return Ok(());
            }
        }
        Err(VaultFault::Contended)
    }

    /// Ends the roots listed under `name`, and under `and_of` too if that is given.
    async fn end_named(&self, name: ProviderName, and_of: Option<ProviderName>) -> Result<usize, VaultFault> {
        let store = &self.core.store;
        let (mut ended, mut after) = (0, None);
        loop {
            let index = store.scan(&trees::sessions_of_provider(name), after.as_ref(), AT_ONCE).await?;
            let Some((last, _)) = index.last() else { return Ok(ended) };
            after = Some(last.clone());
            let mut done = Batch::default();
            for (at, _) in index {
                let Some(root) = trees::session_in(&at) else { continue };
                if let Some(other) = and_of.map(|other| trees::session_of_provider(other, &root)) {
                    if store.get(&other).await?.is_none() {
                        continue;
                    }
                    done.delete(other);
                }
                ended += usize::from(self.end_session(&root).await?);
                done.delete(at);
            }
            store.write(done).await?;
        }
    }
}
