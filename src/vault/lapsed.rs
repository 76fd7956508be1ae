//! Sessions that ended by time, or by a newer one of the same person in the same browser: nobody uses them any more,
//! but a WebSocket that one of them opened may be let live for a while (`[site] websocket_grace`). So that it ends
//! with everything a person ends, a lapsed session stays where every deliberate end finds and deletes it.

use super::data_keys::DataKey;
use super::names::ConnectionId;
use super::session_record::{SessionRecord, WHAT};
use super::store::{Batch, Condition, Outcome};
use super::warm::Seen;
use super::{Core, HashedSessionKey, LiveSession, RETRIES, SessionKind, Vault, VaultFault, Warm, trees};
use crate::domain::UnixTime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Children of one root that lapse with it in one batch. Of a root with more, all end.
const TOGETHER: usize = 200;

/// A lapsed session as it lies on disk, inside its seal.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LapsedRecord {
    pub(super) session: SessionRecord,
    at: UnixTime,
}

/// A session that has lapsed and that its person has not ended since.
#[derive(Clone, Debug)]
pub struct Lapsed {
    /// What it was, with the connection as it is now.
    pub was: Arc<LiveSession>,
    /// When it lapsed.
    pub at: UnixTime,
}

/// A session's row as it was read.
struct Row<'a> {
    key: &'a HashedSessionKey,
    sealed: Vec<u8>,
    session: SessionRecord,
}

impl Core {
    pub(super) async fn lapsed_record(&self, key: &HashedSessionKey) -> Result<Option<LapsedRecord>, VaultFault> {
        let address = trees::lapsed(key);
        let Some(sealed) = self.store.get(&address).await? else { return Ok(None) };
        self.people.open_record(WHAT, &address, &sealed)
    }

    /// A session that lives or has lapsed.
    pub(super) async fn held_or_lapsed(&self, key: &HashedSessionKey) -> Result<Option<SessionRecord>, VaultFault> {
        match self.session_record(key).await? {
            Some((_, record)) => Ok(Some(record)),
            None => Ok(self.lapsed_record(key).await?.map(|lapsed| lapsed.session)),
        }
    }

    /// Adds that a session lapses, and its children with it if it is a root. Conflicts when one of them changes
    /// meanwhile. Without effect on what has lapsed or ended.
    pub(super) async fn lapse_into(&self, mut batch: Batch, key: &HashedSessionKey) -> Result<Batch, VaultFault> {
        let Some((sealed, session)) = self.session_record(key).await? else {
            // Perhaps the leftover of somebody who was erased.
            batch.delete(trees::session(key));
            return Ok(batch);
        };
        let id = self.names.connection(&session.connection);
        let children = match session.kind {
            SessionKind::Root => self.store.scan(&trees::children(key), None, TOGETHER).await?,
            SessionKind::Site { .. } => Vec::new(),
        };
        let Some(data_key) = self.people.find(id.locator())?.filter(|_| children.len() < TOGETHER) else {
            return self.end_into(batch, key).await;
        };
        batch = self.lapse_one_into(batch, Row { key, sealed, session }, id, &data_key);
        for (index, _) in children {
            let Some(key) = trees::session_in(&index) else { continue };
            if let Some((sealed, session)) = self.session_record(&key).await? {
                batch = self.lapse_one_into(batch, Row { key: &key, sealed, session }, id, &data_key);
            }
        }
        Ok(batch)
    }

    /// The rows that lead to it stay as long as it does.
    fn lapse_one_into(&self, batch: Batch, row: Row<'_>, id: ConnectionId, data_key: &DataKey) -> Batch {
        let Row { key, sealed, session } = row;
        let until = self.remembered_until(session.expires);
        let mut batch = batch.when(Condition::Equals(trees::session(key), sealed));
        batch.delete(trees::session(key));
        let root = match &session.kind {
            SessionKind::Site { root, .. } => Some(*root),
            SessionKind::Root => None,
        };
        let lapsed = LapsedRecord { session, at: self.clock.now() };
        let address = trees::lapsed(key);
        batch.put_until(address.clone(), data_key.seal(&*self.chance, &address, &lapsed), until);
        batch.put_until(trees::session_of(id, key), Vec::new(), until);
        if let Some(root) = root {
            batch.put_until(trees::child(&root, key), Vec::new(), until);
        }
        batch
    }

    /// Whether a session is there whose time is up.
    async fn is_over(&self, key: &HashedSessionKey) -> Result<bool, VaultFault> {
        let measure = self.measure();
        let seen = self.warm.peek(key, measure);
        if matches!(seen, Seen::Live(_) | Seen::Used { .. }) {
            return Ok(false);
        }
        let record = self.session_record(key).await?.map(|(_, record)| record);
        Ok(record.is_some_and(|record| !matches!(seen, Seen::Cold) || !record.lives(measure)))
    }

    /// Has a session lapse whose time is up, durably; its root before it, if that has had its time as well: perhaps
    /// nobody asks for the root until the store forgets it, and whoever ends it later must find its children.
    pub(super) async fn lapse(&self, key: &HashedSessionKey) -> Result<(), VaultFault> {
        for _ in 0..RETRIES {
            if self.store.get(&trees::session(key)).await?.is_none() {
                return Ok(());
            }
            let record = self.session_record(key).await?.map(|(_, record)| record);
            let first = match record.map(|record| record.kind) {
                Some(SessionKind::Site { root, .. }) if self.is_over(&root).await? => root,
                _ => *key,
            };
            let batch = self.lapse_into(Batch::default(), &first).await?;
            match self.store.write(batch).await? {
                // Once more, to see whether that was all.
                Outcome::Written | Outcome::Conflict => {}
            }
        }
        Err(VaultFault::Contended)
    }
}

impl Vault {
    /// What a session was that lives no longer, if it lapsed and nobody has ended it since: by signing out here or
    /// everywhere, by disconnecting, by giving the browser to somebody else, at the provider, or because the provider no
    /// longer stands behind the person. `None` is the answer in doubt, too.
    pub async fn lapsed(&self, key: &HashedSessionKey) -> Result<Option<Lapsed>, VaultFault> {
        let core = &self.core;
        match self.peek(key) {
            Warm::Live(_) => return Ok(None),
            Warm::Cold if core.read_through(key, false).await?.is_some() => return Ok(None),
            // That its time is up may be known to memory alone as yet.
            Warm::Cold | Warm::Gone => core.lapse(key).await?,
        }
        let Some(LapsedRecord { session, at }) = core.lapsed_record(key).await? else { return Ok(None) };
        let root = match &session.kind {
            SessionKind::Site { root, .. } => *root,
            SessionKind::Root => *key,
        };
        if self.was_left(key, &root).await? {
            return Ok(None);
        }
        let id = core.names.connection(&session.connection);
        let (_, Some(connection)) = core.connection_record(id).await? else { return Ok(None) };
        let was = Arc::new(LiveSession::new(session.in_hand(*key), connection.connection()));
        Ok(Some(Lapsed { was, at }))
    }
}
