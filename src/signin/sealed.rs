//! Small values that travel through the browser sealed: what kind of value, and where it may be
//! opened, is bound into the seal, so that one can never pass for another. Used all over `signin`.

use crate::vault::Sealer;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What is sealed. Two kinds never open each other, even under one key.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Arrival,
    ArrivalCookie,
    WaitingTarget,
    Attempt,
    Ticket,
    Connected,
    Denied,
    Trouble,
    Leaving,
    Hint,
    Whose,
    Kept,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Kind::Arrival => "arrival",
            Kind::ArrivalCookie => "arrival cookie",
            Kind::WaitingTarget => "waiting target",
            Kind::Attempt => "attempt",
            Kind::Ticket => "ticket",
            Kind::Connected => "connected",
            Kind::Denied => "denied",
            Kind::Trouble => "trouble",
            Kind::Leaving => "leaving",
            Kind::Hint => "hint",
            Kind::Whose => "whose",
            Kind::Kept => "kept form",
        }
    }

    /// Associated data: the kind and the place, which is a host or an id and holds no NUL.
    fn bound_to(self, place: &str) -> Vec<u8> {
        [self.as_str().as_bytes(), b"\0", place.as_bytes()].concat()
    }
}

/// Seals `value` for `place`; the text is URL- and cookie-safe.
pub(super) fn seal<T: Serialize>(sealer: &Sealer, kind: Kind, place: &str, value: &T) -> String {
    let plain = postcard::to_stdvec(value).expect("our own small structs always serialise");
    sealer.seal(&plain, &kind.bound_to(place))
}

/// Opens what was sealed for this very kind and place; `None` for everything else.
pub(super) fn open<T: DeserializeOwned>(sealer: &Sealer, kind: Kind, place: &str, text: &str) -> Option<T> {
    let plain = sealer.open(text, &kind.bound_to(place))?;
    postcard::from_bytes(&plain).ok()
}
