//! The file format on one page: which rows there are, how their keys are made, what they hold. Every
//! row of the store has an [`Address`]: one byte naming its tree, then its key. The address is
//! authenticated with the row's contents, so a row moved elsewhere does not open (T72).

use super::HashedSessionKey;
use super::names::{ConnectionId, HashedSite, Locator, ProviderName};
use crate::domain::{ClientName, UnixTime};
use std::fmt;

/// The kinds of rows. Numbers are part of the format: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Tree {
    /// `store-id`: which vault this store belongs to; `journal`: how far the journal was acknowledged; `round` and a
    /// client's name: how far the look at all its connections is.
    Meta = 0,
    /// Connection id -> connection with its token pairs, sealed under the researcher's data key.
    Connections = 1,
    /// Hashed session key -> session, sealed under the researcher's data key. Expires.
    Sessions = 2,
    /// Root ‖ child -> nothing. Expires when nobody remembers the session any more.
    Children = 3,
    /// Connection id ‖ session -> nothing. Expires when nobody remembers the session any more.
    OfConnection = 4,
    /// Purpose ‖ id -> nothing; of a session that was left, nothing or the one that took its place. Expires when
    /// nobody accepts the thing any longer.
    Spent = 5,
    /// Due time ‖ random id -> a token to revoke, sealed under the ring.
    Revocations = 6,
    /// Key id -> a key that signs assertions, sealed under the ring.
    SigningKeys = 7,
    /// Name of a sign-in at its provider ‖ root -> nothing. Expires when nobody remembers the session any more.
    OfProvider = 16,
    /// Name of a sign-in at its provider -> when the provider said that it is over. Expires when no sign-in begun
    /// before can still be under way.
    OverAtProvider = 17,
    /// Connection id ‖ name of a site -> when it used the connection, sealed under the researcher's data key.
    SiteUse = 18,
    /// Hashed session key of a root -> why the gate itself ended it, sealed under the researcher's data key. Expires
    /// when the session would have.
    WhyEnded = 20,
    /// Hashed session key -> a session that lapsed, sealed under the researcher's data key. Expires.
    Lapsed = 21,
    /// Expiry ‖ address -> the addresses that expire together. Written by the store itself.
    Expiry = 255,
}

impl Tree {
    /// Rows that cannot be had again without troubling researchers: they are written to the journal too.
    pub(crate) fn is_kept(self) -> bool {
        self == Tree::Connections
    }

    fn from_byte(byte: u8) -> Option<Self> {
        use Tree::{
            Children, Connections, Expiry, Lapsed, Meta, OfConnection, OfProvider, OverAtProvider, Revocations,
            Sessions, SigningKeys, SiteUse, Spent, WhyEnded,
        };
        let all = [Meta, Connections, Sessions, Children, OfConnection, Spent, Revocations, SigningKeys];
        let later = [OfProvider, OverAtProvider, SiteUse, WhyEnded, Lapsed, Expiry];
        all.into_iter().chain(later).find(|tree| *tree as u8 == byte)
    }
}

/// Where a row lies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Address(Vec<u8>);

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/", self.tree())?;
        self.key().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Address {
    pub(crate) fn new(tree: Tree, parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
        bytes.push(tree as u8);
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Self(bytes)
    }

    /// Reads an address back; `None` for one this program does not know.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Tree::from_byte(*bytes.first()?)?;
        Some(Self(bytes.to_vec()))
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::from_byte(self.0[0]).expect("addresses are made from known trees only")
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.0[1..]
    }

    /// Tree and key as stored and as authenticated.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(super) fn store_id() -> Address {
    Address::new(Tree::Meta, &[b"store-id"])
}

pub(super) fn journal_mark() -> Address {
    Address::new(Tree::Meta, &[b"journal"])
}

pub(super) fn round(client: &ClientName) -> Address {
    Address::new(Tree::Meta, &[b"round ", client.as_str().as_bytes()])
}

pub(super) fn connections() -> Address {
    Address::new(Tree::Connections, &[])
}

/// All connections of one person, whatever the client.
pub(super) fn connections_of(locator: Locator) -> Address {
    Address::new(Tree::Connections, &[&locator.0])
}

pub(super) fn connection(id: ConnectionId) -> Address {
    Address::new(Tree::Connections, &[&id.0])
}

pub(super) fn sessions() -> Address {
    Address::new(Tree::Sessions, &[])
}

pub(super) fn session(key: &HashedSessionKey) -> Address {
    Address::new(Tree::Sessions, &[&key.0])
}

pub(super) fn lapsed(key: &HashedSessionKey) -> Address {
    Address::new(Tree::Lapsed, &[&key.0])
}

pub(super) fn why_ended(root: &HashedSessionKey) -> Address {
    Address::new(Tree::WhyEnded, &[&root.0])
}

pub(super) fn children(root: &HashedSessionKey) -> Address {
    Address::new(Tree::Children, &[&root.0])
}

pub(super) fn child(root: &HashedSessionKey, child: &HashedSessionKey) -> Address {
    Address::new(Tree::Children, &[&root.0, &child.0])
}

pub(super) fn sessions_of(id: ConnectionId) -> Address {
    Address::new(Tree::OfConnection, &[&id.0])
}

pub(super) fn session_of(id: ConnectionId, session: &HashedSessionKey) -> Address {
    Address::new(Tree::OfConnection, &[&id.0, &session.0])
}

pub(super) fn sessions_of_provider(name: ProviderName) -> Address {
    Address::new(Tree::OfProvider, &[&name.0])
}

pub(super) fn session_of_provider(name: ProviderName, root: &HashedSessionKey) -> Address {
    Address::new(Tree::OfProvider, &[&name.0, &root.0])
}

pub(super) fn over_at_provider(name: ProviderName) -> Address {
    Address::new(Tree::OverAtProvider, &[&name.0])
}

pub(super) fn site_uses(id: ConnectionId) -> Address {
    Address::new(Tree::SiteUse, &[&id.0])
}

pub(super) fn site_use(id: ConnectionId, site: HashedSite) -> Address {
    Address::new(Tree::SiteUse, &[&id.0, &site.0])
}

/// The session named by the last 32 bytes of an index row's address.
pub(super) fn session_in(index: &Address) -> Option<HashedSessionKey> {
    index.bytes().last_chunk::<32>().map(|key| HashedSessionKey(*key))
}

pub(super) fn spent(purpose: &str, id: &[u8]) -> Address {
    // Ids all have the same length, so purpose and id cannot run into each other.
    Address::new(Tree::Spent, &[purpose.as_bytes(), id])
}

pub(super) fn revocations() -> Address {
    Address::new(Tree::Revocations, &[])
}

pub(super) fn revocation(due: UnixTime, id: [u8; 8]) -> Address {
    Address::new(Tree::Revocations, &[&sortable(due), &id])
}

pub(super) fn signing_keys() -> Address {
    Address::new(Tree::SigningKeys, &[])
}

pub(super) fn signing_key(kid: &str) -> Address {
    Address::new(Tree::SigningKeys, &[kid.as_bytes()])
}

/// Bytes that sort as the instants do, those before 1970 included.
pub(super) fn sortable(at: UnixTime) -> [u8; 8] {
    (at.0.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_sort_as_bytes() {
        let instants = [i64::MIN, -1, 0, 1, 2_147_483_648, 4_102_444_800, i64::MAX].map(UnixTime);
        assert!(instants.windows(2).all(|pair| sortable(pair[0]) < sortable(pair[1])));
    }

    #[test]
    fn addresses_are_read_back() {
        let address = session(&HashedSessionKey([3; 32]));
        assert_eq!(Address::from_bytes(address.bytes()), Some(address.clone()));
        assert_eq!((address.tree(), address.key().len()), (Tree::Sessions, 32));
        assert_eq!(Address::from_bytes(&[99, 1]), None);
        assert_eq!(Address::from_bytes(&[]), None);
    }
}
