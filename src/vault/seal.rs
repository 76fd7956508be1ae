//! [`Keys`]: the ring in use, and what is derived from it. [`Sealer`]: the part of it that `session`
//! and `signin` hold, to seal what travels in a browser. Records use `seal_record` and `open_record`.

use super::cipher::{Cipher, subkey};
use super::key_ring::{KeyId, KeyRing, RingKey};
use super::trees::Address;
use super::{KeySummary, VaultFault};
use crate::domain::Chance;
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The layout of sealed texts: version, key id, then nonce, ciphertext and tag.
const VERSION: u8 = 1;
const HEADER: usize = 5;
/// The shortest tag that is believed, in bytes: what a session cookie carries.
const SHORTEST_TAG: usize = 12;

/// How postcard writes an option that is `None`.
const NONE: u8 = 0;

/// What a sealer seals. Each has keys of its own: a text sealed for one opens for no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Arrival,
    Attempt,
    Ticket,
    SessionCookie,
    FormToken,
    Nonce,
    Pkce,
    AppCookie,
    /// Whose something is, where the name itself must not stand.
    Person,
}

const PURPOSES: [(Purpose, &str); 9] = [
    (Purpose::Arrival, "arrival"),
    (Purpose::Attempt, "attempt"),
    (Purpose::Ticket, "ticket"),
    (Purpose::SessionCookie, "session cookie"),
    (Purpose::FormToken, "form token"),
    (Purpose::Nonce, "nonce"),
    (Purpose::Pkce, "pkce"),
    (Purpose::AppCookie, "app cookie"),
    (Purpose::Person, "person"),
];

/// The subkeys of one ring key.
struct Derived {
    id: KeyId,
    records: Cipher,
    ciphers: [Cipher; PURPOSES.len()],
    macs: [hmac::Key; PURPOSES.len()],
}

impl Derived {
    fn new(key: &RingKey) -> Self {
        Self {
            id: key.id,
            records: Cipher::new(&*key.secret, "record"),
            ciphers: PURPOSES.map(|(_, name)| Cipher::new(&*key.secret, &format!("seal {name}"))),
            macs: PURPOSES.map(|(_, name)| subkey(&*key.secret, &format!("mac {name}"))),
        }
    }

    /// Whether both come from the same key, which is kept nowhere.
    fn is_like(&self, other: &Self) -> bool {
        let mark = |derived: &Self| hmac::sign(&derived.macs[0], b"likeness");
        self.id == other.id && mark(self).as_ref() == mark(other).as_ref()
    }
}

/// The subkeys of a ring, the active key's first.
struct Bunch {
    keys: Vec<Derived>,
    shown: Vec<KeySummary>,
    /// The file they come from.
    path: PathBuf,
}

impl Bunch {
    fn new(ring: &KeyRing) -> Self {
        let active = ring.active().id;
        let show = |key: &RingKey| KeySummary { id: key.id, created: key.created, active: key.id == active };
        Self {
            keys: ring.keys.iter().rev().map(Derived::new).collect(),
            shown: ring.keys.iter().map(show).collect(),
            path: ring.path.clone(),
        }
    }

    fn active(&self) -> &Derived {
        &self.keys[0]
    }

    fn find(&self, id: KeyId) -> Option<&Derived> {
        self.keys.iter().find(|key| key.id == id)
    }
}

/// The ring in use; replaced as a whole by [`Keys::change`].
pub(super) struct Keys {
    bunch: ArcSwap<Bunch>,
    chance: Arc<dyn Chance>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.bunch.load().keys.iter().map(|key| key.id)).finish()
    }
}

impl Keys {
    pub(super) fn new(ring: &KeyRing, chance: Arc<dyn Chance>) -> Self {
        Self { bunch: ArcSwap::from_pointee(Bunch::new(ring)), chance }
    }

    pub(super) fn change(&self, ring: &KeyRing) {
        self.bunch.store(Arc::new(Bunch::new(ring)));
    }

    /// Whether `ring` holds the keys in use, in their order.
    pub(super) fn is_made_of(&self, ring: &KeyRing) -> bool {
        let (bunch, other) = (self.bunch.load(), Bunch::new(ring));
        let alike = bunch.keys.iter().zip(&other.keys).all(|(key, other)| key.is_like(other));
        bunch.keys.len() == other.keys.len() && alike
    }

    /// The first key of `ring`, if any, that has the id of one in use and is another one.
    pub(super) fn altered_in(&self, ring: &KeyRing) -> Option<KeyId> {
        let bunch = self.bunch.load();
        let differs = |key: &Derived| bunch.find(key.id).is_some_and(|known| !known.is_like(key));
        Bunch::new(ring).keys.iter().find(|key| differs(key)).map(|key| key.id)
    }

    pub(super) fn active(&self) -> KeyId {
        self.bunch.load().active().id
    }

    /// The key file they were read from.
    pub(super) fn path(&self) -> PathBuf {
        self.bunch.load().path.clone()
    }

    pub(super) fn shown(&self) -> Vec<KeySummary> {
        self.bunch.load().shown.clone()
    }

    /// Seals bytes under the active key; `place` is where they will lie and nowhere else.
    pub(super) fn seal_bytes(&self, place: &[u8], plain: &[u8]) -> Vec<u8> {
        let bunch = self.bunch.load();
        let key = bunch.active();
        key.records.seal(&*self.chance, &header(key.id), place, plain)
    }

    /// Opens with whichever key of the ring sealed. `what` names the thing in the fault.
    pub(super) fn open_bytes(
        &self,
        what: &'static str,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultFault> {
        let id = sealed_with(what, sealed)?;
        let bunch = self.bunch.load();
        let dropped = || VaultFault::KeyDropped { what: what.to_owned(), id: id.to_string(), path: bunch.path.clone() };
        let key = bunch.find(id).ok_or_else(dropped)?;
        key.records.open(sealed, HEADER, place).ok_or(VaultFault::Unreadable { what })
    }

    pub(super) fn seal_record(&self, address: &Address, record: &impl Serialize) -> Vec<u8> {
        self.seal_bytes(address.bytes(), &encode(record))
    }

    pub(super) fn open_record<T: DeserializeOwned>(
        &self,
        what: &'static str,
        address: &Address,
        sealed: &[u8],
    ) -> Result<T, VaultFault> {
        decode(what, &self.open_bytes(what, address.bytes(), sealed)?)
    }
}

/// Which key sealed this text.
pub(super) fn sealed_with(what: &'static str, sealed: &[u8]) -> Result<KeyId, VaultFault> {
    match sealed {
        [VERSION, a, b, c, d, ..] => Ok(KeyId([*a, *b, *c, *d])),
        [version, ..] if *version != VERSION => Err(VaultFault::RecordVersion { what, version: *version }),
        _ => Err(VaultFault::Unreadable { what }),
    }
}

fn header(id: KeyId) -> [u8; HEADER] {
    let [a, b, c, d] = id.0;
    [VERSION, a, b, c, d]
}

/// A record's bytes, wiped after use.
pub(super) fn encode(record: &impl Serialize) -> Zeroizing<Vec<u8>> {
    // Room for any ordinary record, so that growing leaves no copy of a token behind.
    let room = Vec::with_capacity(8 * 1024);
    Zeroizing::new(postcard::to_extend(record, room).expect("records hold only types that postcard can write"))
}

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, plain: &[u8]) -> Result<T, VaultFault> {
    postcard::from_bytes(plain).map_err(|_| VaultFault::Unreadable { what })
}

/// Reads a record whose last field, an option, older gates did not write: their bytes with a `None` behind them
/// are the record as it is written now.
pub(super) fn decode_grown<T: DeserializeOwned>(what: &'static str, plain: &[u8]) -> Result<T, VaultFault> {
    decode(what, plain).or_else(|_| {
        let mut grown = Zeroizing::new(Vec::with_capacity(plain.len() + 1));
        grown.extend_from_slice(plain);
        grown.push(NONE);
        decode(what, &grown)
    })
}

/// Seals, opens and authenticates for one [`Purpose`]. Cheap to clone; touches no disk.
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<Keys>,
    purpose: Purpose,
    at: usize,
    /// For what is derived instead of carried along: a key that survives rotation, because the two
    /// ends of a journey (an attempt's start and its callback) must derive the same.
    lasting: Option<hmac::Key>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer({:?})", self.purpose)
    }
}

impl Sealer {
    /// `lasting` derives a MAC key from the vault's own secret, by name.
    pub(super) fn new(keys: Arc<Keys>, purpose: Purpose, lasting: impl Fn(&str) -> hmac::Key) -> Self {
        let at = PURPOSES.iter().position(|(known, _)| *known == purpose).expect("every purpose is listed");
        let derives = matches!(purpose, Purpose::Nonce | Purpose::Pkce | Purpose::Person);
        Self { keys, purpose, at, lasting: derives.then(|| lasting(PURPOSES[at].1)) }
    }

    /// Seals `plain` under the active key, as base64url without padding. `aad` must be given again to
    /// open: say there what the text is bound to. Adds 45 bytes before the encoding.
    pub fn seal(&self, plain: &[u8], aad: &[u8]) -> String {
        let bunch = self.keys.bunch.load();
        let key = bunch.active();
        URL_SAFE_NO_PAD.encode(key.ciphers[self.at].seal(&*self.keys.chance, &header(key.id), aad, plain))
    }

    /// Opens what [`Sealer::seal`] gave, with whichever key of the ring sealed it; `None` for anything
    /// else, whatever is wrong with it.
    pub fn open(&self, text: &str, aad: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let id = sealed_with("a sealed text", &sealed).ok()?;
        self.keys.bunch.load().find(id)?.ciphers[self.at].open(&sealed, HEADER, aad)
    }

    /// HMAC-SHA256 of `data` under the active key; for [`Purpose::Nonce`], [`Purpose::Pkce`] and [`Purpose::Person`]
    /// under one that never changes, so that an attempt survives a rotation and a person stays the same.
    pub fn mac(&self, data: &[u8]) -> [u8; 32] {
        match &self.lasting {
            Some(key) => sign(key, data),
            None => sign(&self.keys.bunch.load().active().macs[self.at], data),
        }
    }

    /// Whether `tag`, at least twelve bytes, begins the MAC of `data` under some key of the ring.
    /// Takes the same time wherever the first difference is. Allocates nothing.
    pub fn verify_mac(&self, data: &[u8], tag: &[u8]) -> bool {
        if !(SHORTEST_TAG..=32).contains(&tag.len()) {
            return false;
        }
        if let Some(key) = &self.lasting {
            return begins(&sign(key, data), tag);
        }
        self.keys.bunch.load().keys.iter().any(|key| begins(&sign(&key.macs[self.at], data), tag))
    }
}

fn sign(key: &hmac::Key, data: &[u8]) -> [u8; 32] {
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(key, data).as_ref());
    tag
}

/// Whether `full` begins with `tag`, without telling by its duration where they differ.
fn begins(full: &[u8; 32], tag: &[u8]) -> bool {
    let difference = full.iter().zip(tag).fold(0u8, |seen, (a, b)| black_box(seen | (a ^ b)));
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{StoppedClock, SystemChance};
    use crate::vault::{generate_key_file, rotate_key_file};

    #[test]
    fn t73_what_was_sealed_before_a_rotation_opens_until_its_key_is_dropped() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keys");
        let chance = Arc::new(SystemChance::default());
        generate_key_file(&path, &StoppedClock::at(1), &*chance).unwrap();
        let load = || KeyRing::load(&path).unwrap().unwrap();
        let keys = Arc::new(Keys::new(&load(), chance.clone()));
        let lasting = |name: &str| subkey(b"lasting", name);
        let sealer = |purpose| Sealer::new(keys.clone(), purpose, lasting);
        let (ticket, cookie, nonce) = (sealer(Purpose::Ticket), sealer(Purpose::SessionCookie), sealer(Purpose::Nonce));
        let (old, tag, derived) = (ticket.seal(b"text", b"host"), cookie.mac(b"key"), nonce.mac(b"attempt"));

        rotate_key_file(&path, &StoppedClock::at(2), &*chance).unwrap();
        keys.change(&load());
        let new = ticket.seal(b"text", b"host");
        for text in [&old, &new] {
            assert_eq!(&**ticket.open(text, b"host").unwrap(), b"text");
            assert!(ticket.open(text, b"other").is_none());
            assert!(sealer(Purpose::Arrival).open(text, b"host").is_none(), "another purpose");
        }
        assert!(cookie.verify_mac(b"key", &tag) && cookie.verify_mac(b"key", &tag[..12]));
        assert!(!cookie.verify_mac(b"key", &tag[..11]) && !cookie.verify_mac(b"kez", &tag));
        assert!(!sealer(Purpose::FormToken).verify_mac(b"key", &tag));
        assert_ne!(cookie.mac(b"key"), tag, "the new key signs");
        assert_eq!(nonce.mac(b"attempt"), derived, "an attempt under way survives");

        let mut ring = load();
        ring.keys.remove(0);
        keys.change(&ring);
        assert!(ticket.open(&old, b"host").is_none() && !cookie.verify_mac(b"key", &tag));
        assert!(ticket.open(&new, b"host").is_some());
        let dropped = keys.open_bytes("a thing", b"", &[1, 9, 9, 9, 9, 0]).unwrap_err().to_string();
        assert!(dropped.contains("09090909"), "{dropped}");
    }

    #[test]
    fn foreign_texts_open_to_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keys");
        let chance = Arc::new(SystemChance::default());
        generate_key_file(&path, &StoppedClock::at(1), &*chance).unwrap();
        let keys = Arc::new(Keys::new(&KeyRing::load(&path).unwrap().unwrap(), chance));
        let sealer = Sealer::new(keys, Purpose::Attempt, |name| subkey(b"", name));
        let good = sealer.seal(b"", b"");
        assert!(sealer.open(&good, b"").is_some_and(|text| text.is_empty()));
        for bad in
            ["", "A", "AQ", "!!!!", "é", &good[1..], &good[..good.len() - 1], &format!("{good}="), &"A".repeat(9000)]
        {
            assert!(sealer.open(bad, b"").is_none(), "{bad}");
        }
    }
}
