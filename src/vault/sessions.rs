//! Sessions: found in memory or read through, ended at once everywhere. Begun in `sign_in`, kept warm in
//! `warm`, their use written back by `housekeeping`.

use super::data_keys::{DataKey, DataKeys};
use super::names::{ConnectionId, Locator};
use super::session_record::{SessionRecord, WHAT};
use super::store::{Batch, Condition, Outcome};
use super::warm::{Seen, WarmSession};
use super::{
    ConnectionKey, Core, HashedSessionKey, ListedSession, LiveSession, Page, RETRIES, Session, SessionKind, Vault,
    VaultFault, trees,
};
use crate::domain::{Broken, Host, UnixTime};
use std::sync::Arc;

/// Sessions ended in one batch when all of a person's, or very many of a root's, are.
const ENDED_AT_ONCE: usize = 200;
/// Children of one root on one host. A browser holds one; tabs that arrive side by side begin a few.
const CHILDREN_PER_HOST: usize = 4;
/// Most sessions of one person in a list. They begin as many as they like, with one more cookie each.
const LISTED: usize = 4096;
/// Children looked at when one more is begun: far more than any root has hosts for.
const CHILDREN_LOOKED_AT: usize = 4096;

/// What memory knows about a session.
#[derive(Clone, Debug)]
pub enum Warm {
    Live(Arc<LiveSession>),
    /// It has ended.
    Gone,
    /// Memory does not know: ask [`Vault::session`].
    Cold,
}

impl Core {
    /// Whose session this is, if it lives or has lapsed.
    pub(super) async fn whose(&self, session: Option<HashedSessionKey>) -> Result<Option<Locator>, VaultFault> {
        let Some(key) = session else { return Ok(None) };
        let sealed = match self.store.get(&trees::session(&key)).await? {
            Some(sealed) => Some(sealed),
            None => self.store.get(&trees::lapsed(&key)).await?,
        };
        sealed.map(|sealed| DataKeys::owner(WHAT, &sealed)).transpose()
    }

    /// A session's stored bytes and what is in them; `None` when it has ended or its person was erased.
    pub(super) async fn session_record(
        &self,
        key: &HashedSessionKey,
    ) -> Result<Option<(Vec<u8>, SessionRecord)>, VaultFault> {
        let address = trees::session(key);
        let Some(sealed) = self.store.get(&address).await? else { return Ok(None) };
        let record = self.people.open_record(WHAT, &address, &sealed)?;
        Ok(record.map(|record| (sealed, record)))
    }

    /// When the person of a session that is about to be replaced last proved their presence; `None` too if it
    /// was somebody else's.
    pub(super) async fn proven_before(
        &self,
        replaced: Option<HashedSessionKey>,
        by: &ConnectionKey,
    ) -> Result<Option<UnixTime>, VaultFault> {
        let Some(replaced) = replaced else { return Ok(None) };
        let held = self.session_record(&replaced).await?;
        let proves = |record: &SessionRecord| {
            record.kind == SessionKind::Root && record.connection == *by && record.lives(self.measure())
        };
        Ok(held.map(|(_, record)| record).filter(proves).and_then(|record| record.proven_at))
    }

    /// Adds a new session and the rows that lead to it.
    pub(super) fn begin_into(
        &self,
        batch: &mut Batch,
        key: &HashedSessionKey,
        session: &SessionRecord,
        id: ConnectionId,
        data_key: &DataKey,
    ) {
        let sealed = data_key.seal(&*self.chance, &trees::session(key), session);
        let until = self.row_until(session.expires);
        batch.put_until(trees::session(key), sealed, until);
        batch.put_until(trees::session_of(id, key), Vec::new(), until);
        if let SessionKind::Site { root, .. } = &session.kind {
            batch.put_until(trees::child(root, key), Vec::new(), until);
        }
    }

    /// Adds the end of a session, lapsed or not, and of its children if it is a root. Conflicts when a session that
    /// lives changes meanwhile, as it does when a child is begun.
    pub(super) async fn end_into(&self, mut batch: Batch, key: &HashedSessionKey) -> Result<Batch, VaultFault> {
        let record = match self.session_record(key).await? {
            Some((sealed, record)) => {
                batch = batch.when(Condition::Equals(trees::session(key), sealed));
                Some(record)
            }
            None => self.lapsed_record(key).await?.map(|lapsed| lapsed.session),
        };
        batch.delete(trees::session(key));
        batch.delete(trees::lapsed(key));
        // Otherwise there is nothing, or the leftover of somebody who was erased.
        if let Some(record) = record {
            let id = self.names.connection(&record.connection);
            batch.delete(trees::session_of(id, key));
            match record.kind {
                SessionKind::Site { root, .. } => batch.delete(trees::child(&root, key)),
                SessionKind::Root => self.end_children_into(&mut batch, key, id).await?,
            }
        }
        Ok(batch)
    }

    /// Adds the end of a root's children. If there are very many, most of them end right away in batches
    /// of their own, so that no batch grows without bound; the root ends after them.
    async fn end_children_into(
        &self,
        batch: &mut Batch,
        root: &HashedSessionKey,
        id: ConnectionId,
    ) -> Result<(), VaultFault> {
        let mut after = None;
        loop {
            let some = self.store.scan(&trees::children(root), after.as_ref(), ENDED_AT_ONCE).await?;
            let full = some.len() == ENDED_AT_ONCE;
            after = some.last().map(|(index, _)| index.clone());
            let mut first = Batch::default();
            let ends = if full { &mut first } else { &mut *batch };
            for (index, _) in some {
                if let Some(child) = trees::session_in(&index) {
                    ends.delete(trees::session(&child));
                    ends.delete(trees::lapsed(&child));
                    ends.delete(trees::session_of(id, &child));
                }
                ends.delete(index);
            }
            if !full {
                return Ok(());
            }
            self.store.write(first).await?;
        }
    }

    /// Adds the end of a root's oldest children on a host, so that with one more there are
    /// [`CHILDREN_PER_HOST`] at most, and as many that have lapsed: who arrives again and again cannot fill the store.
    /// Of `replaced`, which ends anyway, nothing is said.
    pub(super) async fn make_room_into(
        &self,
        batch: &mut Batch,
        root: &HashedSessionKey,
        id: ConnectionId,
        host: &Host,
        replaced: Option<HashedSessionKey>,
    ) -> Result<(), VaultFault> {
        let measure = self.measure();
        let (mut live, mut lapsed, mut ended) = (Vec::new(), Vec::new(), Vec::new());
        for (index, _) in self.store.scan(&trees::children(root), None, CHILDREN_LOOKED_AT).await? {
            let Some(child) = trees::session_in(&index).filter(|child| Some(*child) != replaced) else { continue };
            let held = self.session_record(&child).await?.map(|(_, record)| record);
            let lives = held.as_ref().is_some_and(|record| record.lives(measure));
            let record = match held {
                Some(record) => Some(record),
                None => self.lapsed_record(&child).await?.map(|lapsed| lapsed.session),
            };
            match record {
                Some(SessionRecord { kind: SessionKind::Site { host: there, .. }, .. }) if there != *host => {}
                Some(record) if lives => live.push((record.created, child)),
                Some(record) => lapsed.push((record.created, child)),
                // It is gone and has left its index row behind.
                None => ended.push(child),
            }
        }
        for kept in [&mut live, &mut lapsed] {
            kept.sort_unstable();
            let surplus = kept.len().saturating_sub(CHILDREN_PER_HOST - 1);
            ended.extend(kept.drain(..surplus).map(|(_, child)| child));
        }
        for child in ended {
            batch.delete(trees::session(&child));
            batch.delete(trees::lapsed(&child));
            batch.delete(trees::session_of(id, &child));
            batch.delete(trees::child(root, &child));
        }
        Ok(())
    }

    /// Ends a session that its person leaves, lapsed or not, durably. Gives whether it was alive.
    pub(super) async fn end(&self, key: &HashedSessionKey) -> Result<bool, VaultFault> {
        for _ in 0..RETRIES {
            let lives = self.store.get(&trees::session(key)).await?.is_some();
            if !lives && self.store.get(&trees::lapsed(key)).await?.is_none() {
                return Ok(false);
            }
            let mut batch = self.end_into(Batch::default(), key).await?;
            if let Some(record) = self.held_or_lapsed(key).await? {
                self.left_into(&mut batch, key, record.expires);
            }
            if self.store.write(batch).await? == Outcome::Written {
                return Ok(lives);
            }
        }
        Err(VaultFault::Contended)
    }

    /// Reads a session and its connection from the store, and keeps them warm; as used now, or only as
    /// the store has it.
    pub(super) async fn read_through(
        &self,
        key: &HashedSessionKey,
        used: bool,
    ) -> Result<Option<Arc<LiveSession>>, VaultFault> {
        let ticket = self.warm.ticket(key);
        let Some((_, record)) = self.session_record(key).await? else {
            self.warm.keep_ended(ticket);
            return Ok(None);
        };
        let written = record.life;
        let Some(life) = self.measure().used(written, &record.connection.client) else {
            // Ended for good, lest a clock set back wakes it (T68).
            self.lapse(key).await?;
            return Ok(None);
        };
        let id = self.names.connection(&record.connection);
        let epoch = self.warm.connection_epoch(id);
        let (_, Some(connection)) = self.connection_record(id).await? else { return Ok(None) };
        let live = Arc::new(LiveSession::new(record.in_hand(*key), connection.connection()));
        let life = if used { life } else { written };
        self.warm.keep(ticket, WarmSession::new(live.clone(), life, written, id, epoch));
        Ok(Some(live))
    }
}

impl Vault {
    /// What memory knows about a session. Counts as use. Waits for nothing, touches no disk, allocates
    /// nothing when the session is live.
    pub fn warm(&self, key: &HashedSessionKey) -> Warm {
        let core = &self.core;
        match core.warm.look(key, core.measure()) {
            Seen::Cold => Warm::Cold,
            Seen::Ended => Warm::Gone,
            Seen::Live(live) => Warm::Live(live),
            Seen::JustEnded => {
                self.housekeeping.has_expired(*key);
                Warm::Gone
            }
            Seen::Used { live, life } => {
                if self.housekeeping.was_used(live.clone(), life) {
                    core.warm.note_written(key, life);
                }
                Warm::Live(live)
            }
        }
    }

    /// What memory knows about a session, without counting as use.
    pub fn peek(&self, key: &HashedSessionKey) -> Warm {
        let core = &self.core;
        match core.warm.peek(key, core.measure()) {
            Seen::Cold => Warm::Cold,
            Seen::Ended => Warm::Gone,
            Seen::JustEnded => {
                self.housekeeping.has_expired(*key);
                Warm::Gone
            }
            Seen::Live(live) | Seen::Used { live, .. } => Warm::Live(live),
        }
    }

    /// When a session ends if it is never used again, as far as memory knows. Counts as no use.
    pub fn idle_end(&self, key: &HashedSessionKey) -> Option<UnixTime> {
        self.core.warm.idle_end(key, self.core.measure())
    }

    /// The session, from memory or from the store; `None` when it has ended. Counts as use.
    pub async fn session(&self, key: &HashedSessionKey) -> Result<Option<Arc<LiveSession>>, VaultFault> {
        match self.warm(key) {
            Warm::Live(live) => Ok(Some(live)),
            Warm::Gone => Ok(None),
            Warm::Cold => {
                let live = self.core.read_through(key, true).await?;
                // Looked at once more, so that this use is written back too.
                self.warm(key);
                Ok(live)
            }
        }
    }

    /// The session, from memory or from the store; `None` when it has ended. Counts no use: reads what
    /// [`Vault::peek`] does not know.
    pub async fn session_unused(&self, key: &HashedSessionKey) -> Result<Option<Arc<LiveSession>>, VaultFault> {
        match self.peek(key) {
            Warm::Live(live) => Ok(Some(live)),
            Warm::Gone => Ok(None),
            Warm::Cold => self.core.read_through(key, false).await,
        }
    }

    /// Ends a session, lapsed or not, a root together with its children: durable on return, and in force at once.
    /// Gives whether it was alive.
    pub async fn end_session(&self, key: &HashedSessionKey) -> Result<bool, VaultFault> {
        let Some(person) = self.core.whose(Some(*key)).await? else { return Ok(false) };
        let _alone = self.core.stripes.lock(&[person]).await;
        self.core.end(key).await
    }

    /// Ends every session of a connection, on all devices. Gives how many there were.
    pub async fn end_all_sessions(&self, key: &ConnectionKey) -> Result<usize, VaultFault> {
        let id = self.core.names.connection(key);
        let _alone = self.core.stripes.lock(&[id.locator()]).await;
        self.end_sessions_of(id, None, None).await
    }

    /// Why the gate itself ended the root session of this key, until it would have ended by itself; `None` for
    /// every other session, and if its person was erased.
    pub async fn why_ended(&self, root: &HashedSessionKey) -> Result<Option<Broken>, VaultFault> {
        let at = trees::why_ended(root);
        let Some(sealed) = self.core.store.get(&at).await? else { return Ok(None) };
        self.core.people.open_record("why a session ended", &at, &sealed)
    }

    /// Ends every other session of the connection that the session `but` belongs to; that browser's stay, `but`
    /// being its root. Gives how many there were.
    pub async fn end_other_sessions(&self, key: &ConnectionKey, but: &HashedSessionKey) -> Result<usize, VaultFault> {
        let id = self.core.names.connection(key);
        let _alone = self.core.stripes.lock(&[id.locator()]).await;
        self.end_sessions_of(id, None, Some(but)).await
    }

    /// Ends a session, lapsed or not, if it is one of this connection: whoever may end their own gets at nobody else's.
    /// Durable on return, and a root ends with its children. Gives whether it was alive.
    pub async fn end_session_of(&self, key: &ConnectionKey, session: &HashedSessionKey) -> Result<bool, VaultFault> {
        let id = self.core.names.connection(key);
        let _alone = self.core.stripes.lock(&[id.locator()]).await;
        match self.core.held_or_lapsed(session).await? {
            Some(record) if record.connection == *key => self.core.end(session).await,
            _ => Ok(false),
        }
    }

    /// Ends a root session, lapsed or not, unless it is one of this connection: somebody else signs in where it was.
    pub async fn end_session_unless_of(
        &self,
        key: &ConnectionKey,
        session: &HashedSessionKey,
    ) -> Result<bool, VaultFault> {
        match self.core.held_or_lapsed(session).await? {
            Some(record) if record.connection != *key && record.kind == SessionKind::Root => {
                self.end_session(session).await
            }
            _ => Ok(false),
        }
    }

    /// For callers that hold the person's stripe: nobody begins another meanwhile. With a reason, each browser can
    /// be told it at its next visit. The root `but` and its children stay.
    pub(super) async fn end_sessions_of(
        &self,
        id: ConnectionId,
        why: Option<Broken>,
        but: Option<&HashedSessionKey>,
    ) -> Result<usize, VaultFault> {
        let told = match why {
            Some(why) => self.core.people.find(id.locator())?.map(|data_key| (why, data_key)),
            None => None,
        };
        let store = &self.core.store;
        let (mut ended, mut after) = (0, None);
        loop {
            // Goes on behind what it has seen, so that it comes to an end whatever lies there.
            let index = store.scan(&trees::sessions_of(id), after.as_ref(), ENDED_AT_ONCE).await?;
            let Some((last, _)) = index.last() else { return Ok(ended) };
            after = Some(last.clone());
            let mut batch = Batch::default();
            for (at, _) in index {
                if let Some(session) = trees::session_in(&at) {
                    let lives = store.get(&trees::session(&session)).await?.is_some();
                    let record = match self.core.held_or_lapsed(&session).await {
                        // Nobody can use it, and it must not keep a person from being erased.
                        Err(VaultFault::Unreadable { .. } | VaultFault::RecordVersion { .. }) => None,
                        read => read?,
                    };
                    let root = match &record {
                        Some(SessionRecord { kind: SessionKind::Site { root, .. }, .. }) => Some(*root),
                        _ => None,
                    };
                    if let Some(but) = but
                        && self.core.led_to(&root.unwrap_or(session), but).await?
                    {
                        continue;
                    }
                    ended += usize::from(lives && record.is_some());
                    if let (None, Some(record)) = (why, &record) {
                        self.core.left_into(&mut batch, &root.unwrap_or(session), record.expires);
                    }
                    match (root, record, &told) {
                        (Some(root), ..) => batch.delete(trees::child(&root, &session)),
                        (None, Some(SessionRecord { expires, .. }), Some((why, data_key))) => {
                            let at = trees::why_ended(&session);
                            batch.put_until(at.clone(), data_key.seal(&*self.core.chance, &at, why), expires);
                        }
                        _ => {}
                    }
                    batch.delete(trees::session(&session));
                    batch.delete(trees::lapsed(&session));
                }
                batch.delete(at);
            }
            store.write(batch).await?;
        }
    }

    /// The keys of a connection's sessions, those that lapsed included; of very many, some.
    pub async fn session_keys_of(&self, key: &ConnectionKey) -> Result<Vec<HashedSessionKey>, VaultFault> {
        let index = trees::sessions_of(self.core.names.connection(key));
        let rows = self.core.store.scan(&index, None, LISTED).await?;
        Ok(rows.iter().filter_map(|(at, _)| trees::session_in(at)).collect())
    }

    /// The live sessions of a connection, roots and children, the latest used first; of very many, some.
    pub async fn sessions_of(&self, key: &ConnectionKey) -> Result<Vec<ListedSession>, VaultFault> {
        let core = &self.core;
        let mut sessions = Vec::new();
        for (at, _) in core.store.scan(&trees::sessions_of(core.names.connection(key)), None, LISTED).await? {
            let Some(key) = trees::session_in(&at) else { continue };
            if let Some((_, record)) = core.session_record(&key).await?
                && record.lives(core.measure())
            {
                let last_used = record.life.used;
                sessions.push(ListedSession { session: record.in_hand(key), last_used });
            }
        }
        sessions.sort_by_key(|listed| (std::cmp::Reverse(listed.last_used), listed.session.key));
        Ok(sessions)
    }

    /// Up to `limit` live sessions of anybody, and where to go on; `None` at the end.
    pub async fn sessions(
        &self,
        after: Option<Page>,
        limit: usize,
    ) -> Result<(Vec<Session>, Option<Page>), VaultFault> {
        let core = &self.core;
        let after = after.map(|page| page.0);
        let rows = core.store.scan(&trees::sessions(), after.as_ref(), limit).await?;
        let next = rows.last().filter(|_| rows.len() == limit).map(|(at, _)| Page(at.clone()));
        let mut sessions = Vec::with_capacity(rows.len());
        for (at, sealed) in rows {
            let Some(key) = trees::session_in(&at) else { continue };
            let record: Option<SessionRecord> = core.people.open_record(WHAT, &at, &sealed)?;
            let live = record.filter(|record| record.lives(core.measure()));
            sessions.extend(live.map(|record| record.in_hand(key)));
        }
        Ok((sessions, next))
    }
}
