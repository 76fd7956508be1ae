//! What a completed sign-in writes, in one durable batch: the connection with its new token pair, the
//! superseded tokens' revocations, the new root session, and the end of the one it replaces.

use super::connections::ConnectionRecord;
use super::life::Life;
use super::revocations::{Queued, RevocationId};
use super::session_record::SessionRecord;
use super::store::{Batch, Condition, Outcome};
use super::{
    Change, Connection, ConnectionKey, Core, HashedSessionKey, LiveSession, RETRIES, SessionKind, Vault, VaultFault,
    trees,
};
use crate::domain::{ClientName, Environment, Grant, Host, SiteName};
use std::sync::Arc;

/// Everything a completed sign-in leaves behind.
pub struct SignInCompletion<'a> {
    pub grant: &'a Grant,
    pub environment: Environment,
    pub client: ClientName,
    /// The session on the sign-in host, to be begun.
    pub root: HashedSessionKey,
    /// How the browser describes itself; cut to 120 characters.
    pub agent: String,
    /// Roughly where the browser is: a network, never an address; cut to 120 characters.
    pub place: Option<String>,
    /// The session this browser had before, of whomever; it ends in the same step (T64, T65).
    pub replaces: Option<HashedSessionKey>,
    /// The person had to sign in anew at the provider, because we demanded it.
    pub proven: bool,
    /// What [`Vault::hold`] gave for this grant, if it waited for its person.
    pub held: Option<RevocationId>,
}

/// A sign-in that is durable.
#[derive(Clone, Debug)]
pub struct Completed {
    pub connection: Arc<Connection>,
    pub change: Change,
}

impl Core {
    /// Adds that the session `old` of a browser makes way for `new`. The same person's lapses, and whoever leaves the
    /// new one has left it; somebody else's ends (T64, T65). Nothing happens to one that was made for another door.
    async fn replace_into(
        &self,
        batch: Batch,
        old: &HashedSessionKey,
        new: &HashedSessionKey,
        session: &SessionRecord,
    ) -> Result<Batch, VaultFault> {
        match self.held_or_lapsed(old).await? {
            Some(record) if !record.kind.is_same_door(&session.kind) => Ok(batch),
            Some(record) if record.connection != session.connection => {
                let mut batch = self.end_into(batch, old).await?;
                self.left_into(&mut batch, old, record.expires);
                Ok(batch)
            }
            None if session.kind != SessionKind::Root => Ok(batch),
            _ => {
                let mut batch = self.lapse_into(batch, old).await?;
                self.followed_into(&mut batch, old, new, session.expires).await?;
                Ok(batch)
            }
        }
    }
}

impl Vault {
    /// Keeps a verified grant and begins the browser's root session: all of it or nothing, durable on
    /// return. `None` if the provider said meanwhile that the person signed out there, or if a held grant has
    /// waited so long that its revocation is under way: nothing is kept, and the tokens are revoked.
    pub async fn complete_sign_in(&self, done: SignInCompletion<'_>) -> Result<Option<Completed>, VaultFault> {
        let SignInCompletion { grant, environment, client, root, agent, place, replaces, proven, held } = done;
        let core = &self.core;
        let key = ConnectionKey { environment, client, subject: grant.subject.clone() };
        let id = core.names.connection(&key);
        let mut people = vec![id.locator()];
        people.extend(core.whose(replaces).await?);
        let _alone = core.stripes.lock(&people).await;
        let data_key = core.people.find_or_make(id.locator()).await?;
        for _ in 0..RETRIES {
            let now = core.clock.now();
            let (old, record) = core.connection_record(id).await?;
            let proven_at = if proven { Some(now) } else { core.proven_before(replaces, &key).await? };
            let (record, superseded, change) = ConnectionRecord::take(record, key.clone(), grant, now);
            let address = trees::connection(id);
            let mut batch = Batch::default().when(match old {
                Some(old) => Condition::Equals(address.clone(), old),
                None => Condition::Absent(address.clone()),
            });
            let session = SessionRecord {
                kind: SessionKind::Root,
                connection: key.clone(),
                created: now,
                signed_in_at: now,
                proven_at,
                expires: now.plus(core.absolute),
                agent: shortened(&agent),
                life: Life { over: now.plus(core.absolute), used: now },
                place: place.as_deref().map(shortened),
            };
            // First in the batch, so that the rows that expire with it are listed under it.
            core.begin_into(&mut batch, &root, &session, id, &data_key);
            if let Some(known_as) = &grant.at_provider {
                let registration = (key.environment, &key.client);
                core.index_at_provider(&mut batch, registration, known_as, &root, session.expires);
                batch = match core.unless_over_at_provider(batch, registration, known_as).await? {
                    Some(batch) => batch,
                    None => return core.give_back(&key, grant).await.map(|()| None),
                };
            }
            batch.put(address.clone(), data_key.seal(&*core.chance, &address, &record));
            core.queue_revocations(&mut batch, superseded.iter().map(|token| Queued::new(&key, token)));
            if let Some(old) = replaces {
                batch = core.replace_into(batch, &old, &root, &session).await?;
            }
            if let Some(RevocationId(at)) = &held {
                if core.store.get(at).await?.is_none() {
                    return Ok(None);
                }
                batch = batch.when(Condition::Present(at.clone()));
                batch.delete(at.clone());
            }
            if core.store.write(batch).await? == Outcome::Written {
                return Ok(Some(Completed { connection: Arc::new(record.connection()), change }));
            }
        }
        Err(VaultFault::Contended)
    }

    /// Begins a session on one host of one site for the person signed in at the sign-in host; `None` if
    /// that root has ended. Both happen in one step, so that a sign-out leaves no child behind. What
    /// the browser held on this host before ends in the same step, as do the oldest of the root's
    /// sessions there when there are too many.
    pub async fn begin_site_session(
        &self,
        root: &HashedSessionKey,
        child: HashedSessionKey,
        site: SiteName,
        host: Host,
        agent: String,
        replaces: Option<HashedSessionKey>,
    ) -> Result<Option<Arc<LiveSession>>, VaultFault> {
        let core = &self.core;
        let people = [core.whose(Some(*root)).await?, core.whose(replaces).await?];
        let alone = core.stripes.lock(&people.into_iter().flatten().collect::<Vec<_>>()).await;
        for _ in 0..RETRIES {
            let now = core.clock.now();
            let Some((old, mut parent)) = core.session_record(root).await? else { return Ok(None) };
            let Some(life) = core.measure().used(parent.life, &parent.connection.client) else { break };
            if parent.kind != SessionKind::Root {
                return Ok(None);
            }
            let id = core.names.connection(&parent.connection);
            let Some(data_key) = core.people.find(id.locator())? else { return Ok(None) };
            let session = SessionRecord {
                kind: SessionKind::Site { site: site.clone(), host: host.clone(), root: *root },
                connection: parent.connection.clone(),
                created: now,
                signed_in_at: parent.signed_in_at,
                proven_at: parent.proven_at,
                expires: parent.expires,
                agent: shortened(&agent),
                life,
                place: parent.place.clone(),
            };
            // The root is written again: whoever ends it at the same time meets a changed row, looks
            // for its children once more, and finds this one.
            let mut batch = Batch::default().when(Condition::Equals(trees::session(root), old));
            core.begin_into(&mut batch, &child, &session, id, &data_key);
            parent.life = life;
            let sealed = data_key.seal(&*core.chance, &trees::session(root), &parent);
            batch.put_until(trees::session(root), sealed, core.row_until(parent.expires));
            core.note_site_into(&mut batch, id, &site, &data_key).await?;
            core.make_room_into(&mut batch, root, id, &host, replaces).await?;
            if let Some(old) = replaces {
                batch = core.replace_into(batch, &old, &child, &session).await?;
            }
            if core.store.write(batch).await? == Outcome::Written {
                core.warm.note_use(root, life);
                drop(alone);
                return self.session(&child).await;
            }
        }
        // The root's time was up, or it changed all the time.
        if self.session(root).await?.is_some() { Err(VaultFault::Contended) } else { Ok(None) }
    }
}

/// At most 120 characters of what a browser says about itself, without control characters.
fn shortened(agent: &str) -> String {
    agent.chars().filter(|c| !c.is_control()).take(120).collect()
}
