//! The keys that sign assertions, sealed under the ring. `app` makes, rotates and drops them.

use super::seal;
use super::{Core, Vault, VaultFault, trees};
use crate::domain::UnixTime;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const WHAT: &str = "a signing key";
/// There are two or three; more would be a mistake.
const MOST: usize = 64;

/// A key that signs assertions, as its owner hands it in and gets it back.
#[derive(Clone)]
pub struct StoredSigningKey {
    pub kid: String,
    pub pkcs8: Zeroizing<Vec<u8>>,
    pub created: UnixTime,
    pub retire_at: Option<UnixTime>,
}

impl fmt::Debug for StoredSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSigningKey").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct SigningKeyRecord<B> {
    kid: String,
    pkcs8: B,
    created: UnixTime,
    retire_at: Option<UnixTime>,
}

impl Vault {
    /// All stored keys, in no meaningful order.
    pub async fn signing_keys(&self) -> Result<Vec<StoredSigningKey>, VaultFault> {
        let rows = self.core.store.scan(&trees::signing_keys(), None, MOST).await?;
        let open = |(at, sealed): (trees::Address, Vec<u8>)| {
            let record: SigningKeyRecord<Vec<u8>> = self.core.keys.open_record(WHAT, &at, &sealed)?;
            let SigningKeyRecord { kid, pkcs8, created, retire_at } = record;
            Ok(StoredSigningKey { kid, pkcs8: Zeroizing::new(pkcs8), created, retire_at })
        };
        rows.into_iter().map(open).collect()
    }

    /// Keeps a key, in place of one with the same id. Durable.
    pub async fn put_signing_key(&self, key: &StoredSigningKey) -> Result<(), VaultFault> {
        let at = trees::signing_key(&key.kid);
        let StoredSigningKey { kid, pkcs8, created, retire_at } = key;
        let record = SigningKeyRecord { kid: kid.clone(), pkcs8: &**pkcs8, created: *created, retire_at: *retire_at };
        let sealed = self.core.keys.seal_record(&at, &record);
        self.core.store.put(at, sealed).await
    }

    /// Forgets a key, if it is there. Durable.
    pub async fn drop_signing_key(&self, kid: &str) -> Result<(), VaultFault> {
        self.core.store.delete(trees::signing_key(kid)).await
    }
}

impl Core {
    /// Seals anew, under the active key, the rows that lie under an older one: signing keys and queued
    /// revocations. Researchers' rows lie under their data keys, which the keeper seals anew.
    pub(super) async fn reseal_rows(&self) -> Result<(), VaultFault> {
        for (prefix, what) in [(trees::signing_keys(), WHAT), (trees::revocations(), "a queued revocation")] {
            let mut after = None;
            loop {
                let rows = self.store.scan(&prefix, after.as_ref(), MOST).await?;
                let Some((last, _)) = rows.last() else { break };
                after = Some(last.clone());
                for (at, sealed) in rows {
                    if seal::sealed_with(what, &sealed)? != self.keys.active() {
                        let plain = self.keys.open_bytes(what, at.bytes(), &sealed)?;
                        let anew = self.keys.seal_bytes(at.bytes(), &plain);
                        // A conflict: it is gone, or was written anew meanwhile.
                        self.store.compare_and_set(at, Some(sealed), anew).await?;
                    }
                }
            }
        }
        Ok(())
    }
}
