//! Which sites used a connection, first and last: what the account page shows of them. A row each, sealed
//! under the researcher's data key, rewritten at most once an hour, gone with the connection.

use super::data_keys::DataKey;
use super::names::ConnectionId;
use super::store::{Batch, Outcome};
use super::{ConnectionKey, Core, RETRIES, Vault, VaultFault, trees};
use crate::domain::{SiteName, UnixTime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const WHAT: &str = "a site's use of a connection";
/// How far the last use on disk may lag behind.
const REWRITTEN: Duration = Duration::from_secs(3600);
/// Most sites listed; a campus that renamed its sites for years has had more than it has.
const LISTED: usize = 2_000;
/// Rows forgotten in one batch.
const AT_ONCE: usize = 200;

/// A site that has used a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteUse {
    pub site: SiteName,
    pub first: UnixTime,
    /// At most an hour before the truth.
    pub last: UnixTime,
}

impl Core {
    /// Notes that a session on the site begins. For callers that hold the person's stripe.
    pub(super) async fn note_site_into(
        &self,
        batch: &mut Batch,
        id: ConnectionId,
        site: &SiteName,
        data_key: &DataKey,
    ) -> Result<(), VaultFault> {
        let at = trees::site_use(id, self.names.site(site));
        let now = self.clock.now();
        let known: Option<SiteUse> = match self.store.get(&at).await? {
            Some(sealed) => self.people.open_record(WHAT, &at, &sealed)?,
            None => None,
        };
        let first = match known {
            Some(known) if now.since(known.last) < REWRITTEN && known.last <= now => return Ok(()),
            Some(known) => known.first,
            None => now,
        };
        let used = SiteUse { site: site.clone(), first, last: now };
        batch.put(at.clone(), data_key.seal(&*self.chance, &at, &used));
        Ok(())
    }

    /// Notes that a session on the site is still in use. Makes no row: whoever disconnects meanwhile has
    /// removed it, and it must not come back.
    pub(super) async fn note_site_still_used(
        &self,
        id: ConnectionId,
        site: &SiteName,
        used: UnixTime,
        data_key: &DataKey,
    ) -> Result<(), VaultFault> {
        let at = trees::site_use(id, self.names.site(site));
        for _ in 0..RETRIES {
            let Some(sealed) = self.store.get(&at).await? else { return Ok(()) };
            let Some(known): Option<SiteUse> = self.people.open_record(WHAT, &at, &sealed)? else { return Ok(()) };
            if used.since(known.last) < REWRITTEN {
                return Ok(());
            }
            let row = data_key.seal(&*self.chance, &at, &SiteUse { last: used, ..known });
            if self.store.compare_and_set(at.clone(), Some(sealed), row).await? == Outcome::Written {
                return Ok(());
            }
        }
        Err(VaultFault::Contended)
    }

    /// Forgets which sites used the connection. For callers that hold the person's stripe.
    pub(super) async fn forget_sites_of(&self, id: ConnectionId) -> Result<(), VaultFault> {
        let mut after = None;
        loop {
            let rows = self.store.scan(&trees::site_uses(id), after.as_ref(), AT_ONCE).await?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.clone());
            let mut batch = Batch::default();
            rows.into_iter().for_each(|(at, _)| batch.delete(at));
            self.store.write(batch).await?;
        }
    }
}

impl Vault {
    /// The sites that used a connection, the latest first.
    pub async fn sites_of(&self, key: &ConnectionKey) -> Result<Vec<SiteUse>, VaultFault> {
        let core = &self.core;
        let mut sites = Vec::new();
        for (at, sealed) in core.store.scan(&trees::site_uses(core.names.connection(key)), None, LISTED).await? {
            sites.extend(core.people.open_record::<SiteUse>(WHAT, &at, &sealed)?);
        }
        sites.sort_by(|a, b| b.last.cmp(&a.last).then_with(|| a.site.as_str().cmp(b.site.as_str())));
        Ok(sites)
    }
}
