//! Sealing keys replaced while the vault is open (J10): the key file is read again, compared with the ring in use and put
//! in its place, and what lies under older keys is sealed anew.

use super::key_ring::{KeyId, KeyRing, KeySummary};
use super::{Vault, VaultFault};

/// The ring in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealing {
    /// In the order of the key file; the last one seals.
    pub keys: Vec<KeySummary>,
    /// Whether nothing on disk needs any other than the key that seals.
    pub resealed: bool,
}

impl Vault {
    /// Takes a changed key file into use while everything runs: its last key seals from now on, and what lies under
    /// others is sealed anew, data keys in the background. A file that cannot be read, lacks a key that is needed or
    /// holds another key under a known id changes nothing. Gives the ring as it is now; `None` if it is the one in use.
    pub async fn reload_keys(&self) -> Result<Option<Vec<KeySummary>>, VaultFault> {
        let mut settled = self.settled.lock().await;
        let missing = || VaultFault::KeyFileMissing {
            path: self.settings.key_file.clone(),
            directory: self.settings.directory.clone(),
        };
        let ring = KeyRing::load(&self.settings.key_file)?.ok_or_else(missing)?;
        let core = &self.core;
        if *settled && core.keys.is_made_of(&ring) {
            return Ok(None);
        }
        self.check_ring(&ring, *settled)?;
        // A row that was on its way while the key before was replaced may still lie under one that is dropped now.
        core.reseal_rows().await?;
        *settled = false;
        core.keys.change(&ring);
        core.names.save(&self.settings.directory, &core.keys, &self.store_id)?;
        core.people.reseal().await?;
        core.reseal_rows().await?;
        *settled = true;
        Ok(Some(core.keys.shown()))
    }

    /// Whether everything that is sealed opens with this ring. `settled`: the last change went through to its end.
    fn check_ring(&self, ring: &KeyRing, settled: bool) -> Result<(), VaultFault> {
        let core = &self.core;
        let path = || self.settings.key_file.clone();
        if let Some(id) = core.keys.altered_in(ring) {
            return Err(VaultFault::KeyAltered { id: id.to_string(), path: path() });
        }
        let ids: Vec<KeyId> = ring.keys.iter().map(|key| key.id).collect();
        let needed = core.keys.shown().into_iter().filter(|key| key.active || !settled);
        let dropped = needed.map(|key| key.id).find(|id| !ids.contains(id));
        let (what, id) = match (dropped, core.people.lacking(&ids)?) {
            (Some(id), _) => ("a part of the vault".to_owned(), id),
            (None, Some((bucket, id))) => (bucket.display().to_string(), id),
            (None, None) => return Ok(()),
        };
        Err(VaultFault::KeyDropped { what, id: id.to_string(), path: path() })
    }

    /// The ring in use, and whether older keys are still needed for what lies on disk. Reads the first bytes of a
    /// thousand small files; blocks.
    pub fn sealing(&self) -> Result<Sealing, VaultFault> {
        let core = &self.core;
        let settled = self.settled.try_lock().is_ok_and(|settled| *settled);
        let resealed = settled && core.people.lacking(&[core.keys.active()])?.is_none();
        Ok(Sealing { keys: core.keys.shown(), resealed })
    }
}
