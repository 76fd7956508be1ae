//! Giving permissions back: a researcher withdraws what they allowed and stays known, or a grant that nobody
//! has confirmed yet is held with its revocation already queued. Called by the account page and the sign-in.

use super::connections::ConnectionRecord;
use super::names::ConnectionId;
use super::revocations::{Queued, RevocationId};
use super::store::{Batch, Condition, Outcome};
use super::{ConnectionKey, RETRIES, Vault, VaultFault, trees};
use crate::domain::{AccessToken, Grant, UnixTime};

impl Vault {
    /// Gives back all permissions of a connection and keeps the connection itself: its tokens are queued for
    /// revocation and destroyed here, all its sessions end, durably. Gives whether there was one.
    pub async fn withdraw(&self, key: &ConnectionKey) -> Result<bool, VaultFault> {
        let core = &self.core;
        let id = core.names.connection(key);
        let address = trees::connection(id);
        let _alone = core.stripes.lock(&[id.locator()]).await;
        // Sessions first: should we die in between, nobody is signed in without a permission of theirs.
        self.end_sessions_of(id, None, None).await?;
        for _ in 0..RETRIES {
            let (Some(old), Some(mut record)) = core.connection_record(id).await? else { return Ok(false) };
            let Some(data_key) = core.people.find(id.locator())? else { return Ok(false) };
            let tokens = record.give_back(core.clock.now());
            let mut batch = Batch::default().when(Condition::Equals(address.clone(), old));
            core.queue_revocations(&mut batch, tokens.iter().map(|token| Queued::new(key, token)));
            batch.put(address.clone(), data_key.seal(&*core.chance, &address, &record));
            if core.store.write(batch).await? == Outcome::Written {
                core.given_back.notify_one();
                return Ok(true);
            }
        }
        Err(VaultFault::Contended)
    }

    /// Queues the revocation of a grant that its person has yet to confirm, due at `due`: should we die, or
    /// nobody confirm it, the provider hears of it then. `SignInCompletion::held` takes it off the queue.
    /// `None` if the token is in use already, and so not to be revoked.
    pub async fn hold(
        &self,
        key: &ConnectionKey,
        grant: &Grant,
        due: UnixTime,
    ) -> Result<Option<RevocationId>, VaultFault> {
        let core = &self.core;
        let id = core.names.connection(key);
        let _alone = core.stripes.lock(&[id.locator()]).await;
        if self.is_in_use(id, &grant.access_token).await? {
            return Ok(None);
        }
        let at = trees::revocation(due, core.chance.bytes());
        let sealed = core.keys.seal_record(&at, &Queued::new(key, &grant.access_token));
        core.store.put(at.clone(), sealed).await?;
        Ok(Some(RevocationId(at)))
    }

    /// Waits until somebody takes permissions back; the queue need not be looked at before for their sake.
    pub async fn given_back(&self) {
        self.core.given_back.notified().await;
    }

    async fn is_in_use(&self, id: ConnectionId, token: &AccessToken) -> Result<bool, VaultFault> {
        let (_, record) = self.core.connection_record(id).await?;
        let pairs = record.as_ref().map(|record| &record.pairs[..]).unwrap_or_default();
        Ok(pairs.iter().any(|pair| pair.access == token.expose()))
    }

    /// The person said no: the held grant's revocation is due at once. Without effect if it is no longer queued
    /// under this id.
    pub async fn give_back_now(&self, id: &RevocationId) -> Result<(), VaultFault> {
        let core = &self.core;
        let Some(sealed) = core.store.get(&id.0).await? else { return Ok(()) };
        let queued: Queued = core.keys.open_record(super::revocations::WHAT, &id.0, &sealed)?;
        let mut batch = Batch::default().when(Condition::Equals(id.0.clone(), sealed));
        batch.delete(id.0.clone());
        core.queue_revocations(&mut batch, std::iter::once(queued));
        // A conflict means that somebody else has dealt with it.
        match core.store.write(batch).await? {
            Outcome::Written | Outcome::Conflict => core.given_back.notify_one(),
        }
        Ok(())
    }
}

impl ConnectionRecord {
    /// Empties the connection of its permissions and notes when. Gives the tokens to revoke.
    fn give_back(&mut self, now: UnixTime) -> Vec<AccessToken> {
        let tokens = self.pairs.drain(..).map(|pair| AccessToken::new(pair.access.as_str())).collect();
        self.note_grant(now, &crate::domain::ScopeSet::default());
        tokens
    }
}
