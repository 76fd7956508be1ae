//! [`Names`]: keyed hashes that stand for people on disk. A stolen copy shows how many there are, not
//! who. The key is drawn once per vault and kept sealed under the ring, so rotation changes no address.

use super::cipher::subkey;
use super::seal::Keys;
use super::{ConnectionKey, VaultFault, files, seal};
use crate::domain::{Chance, ClientName, Environment, SiteName, Subject};
use ring::hmac;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Stands for a person in one environment; picks the bucket their data key lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Locator(pub(super) [u8; 16]);

/// Stands for a connection: its person's locator, then eight bytes for the client registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) [u8; 24]);

impl ConnectionId {
    pub(super) fn locator(self) -> Locator {
        let (locator, _) = self.0.split_first_chunk::<16>().expect("16 of 24 bytes");
        Locator(*locator)
    }
}

/// Stands for what a provider calls a sign-in: its session, or the person it signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ProviderName(pub(super) [u8; 24]);

/// Stands for a site in the rows of a person: which ones somebody uses says much about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct HashedSite(pub(super) [u8; 16]);

/// The hashing keys of one vault.
pub(super) struct Names {
    secret: Zeroizing<[u8; 32]>,
    people: hmac::Key,
    clients: hmac::Key,
    at_providers: hmac::Key,
    sites: hmac::Key,
}

impl Names {
    const WHAT: &'static str = "the names key";

    fn path(directory: &Path) -> PathBuf {
        directory.join("names")
    }

    /// Whether the vault in `directory` has a names key, and so anything sealed at all.
    pub(super) fn exist(directory: &Path) -> Result<bool, VaultFault> {
        files::exists(&Self::path(directory))
    }

    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        Self {
            people: subkey(&*secret, "name people"),
            clients: subkey(&*secret, "name clients"),
            at_providers: subkey(&*secret, "name provider sessions"),
            sites: subkey(&*secret, "name sites"),
            secret,
        }
    }

    /// Reads the vault's names key; `None` when the vault has none yet. `store_id` ties the file to its vault.
    pub(super) fn load(directory: &Path, keys: &Keys, store_id: &[u8]) -> Result<Option<Self>, VaultFault> {
        let path = Self::path(directory);
        let Some(sealed) = files::read_if_there(&path, 1024)? else { return Ok(None) };
        let plain = keys.open_bytes(Self::WHAT, store_id, &sealed)?;
        let secret = <[u8; 32]>::try_from(&plain[..]).map_err(|_| VaultFault::Unreadable { what: Self::WHAT })?;
        let names = Self::new(Zeroizing::new(secret));
        if seal::sealed_with(Self::WHAT, &sealed)? != keys.active() {
            names.save(directory, keys, store_id)?;
        }
        Ok(Some(names))
    }

    /// Draws and keeps the key of a new vault.
    pub(super) fn create(
        directory: &Path,
        keys: &Keys,
        store_id: &[u8],
        chance: &dyn Chance,
    ) -> Result<Self, VaultFault> {
        let names = Self::new(Zeroizing::new(chance.bytes()));
        names.save(directory, keys, store_id)?;
        Ok(names)
    }

    /// Seals the key under the ring's active key and puts it in place of the file.
    pub(super) fn save(&self, directory: &Path, keys: &Keys, store_id: &[u8]) -> Result<(), VaultFault> {
        files::replace(&Self::path(directory), &keys.seal_bytes(store_id, &*self.secret))
    }

    /// A MAC key that stays the same as long as the vault does.
    pub(super) fn lasting(&self, name: &str) -> hmac::Key {
        subkey(&*self.secret, &format!("lasting {name}"))
    }

    /// Who this is, as the disk sees it.
    pub(super) fn person(&self, environment: Environment, subject: &Subject) -> Locator {
        let kind = match subject {
            Subject::Orcid(_) => "orcid",
            Subject::Foreign(_) => "foreign",
        };
        Locator(hash(&self.people, &[environment.as_str(), kind, subject.as_str()]))
    }

    pub(super) fn connection(&self, key: &ConnectionKey) -> ConnectionId {
        let locator = self.person(key.environment, &key.subject);
        let client: [u8; 8] =
            hash(&self.clients, &[key.environment.as_str(), key.client.as_str(), key.subject.as_str()]);
        let mut id = [0; 24];
        id[..16].copy_from_slice(&locator.0);
        id[16..].copy_from_slice(&client);
        ConnectionId(id)
    }

    pub(super) fn site(&self, site: &SiteName) -> HashedSite {
        HashedSite(hash(&self.sites, &[site.as_str()]))
    }

    /// What the provider of `client` calls a session.
    pub(super) fn provider_session(&self, environment: Environment, client: &ClientName, sid: &str) -> ProviderName {
        ProviderName(hash(&self.at_providers, &[environment.as_str(), client.as_str(), "sid", sid]))
    }

    /// What it calls a person; not always the subject known here.
    pub(super) fn provider_subject(&self, environment: Environment, client: &ClientName, sub: &str) -> ProviderName {
        ProviderName(hash(&self.at_providers, &[environment.as_str(), client.as_str(), "sub", sub]))
    }
}

/// The first `N` bytes of the HMAC over length-prefixed parts.
fn hash<const N: usize>(key: &hmac::Key, parts: &[&str]) -> [u8; N] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let (first, _) =
        context.sign().as_ref().split_first_chunk::<N>().map(|(a, b)| (*a, b.len())).expect("N is at most 32");
    first
}
