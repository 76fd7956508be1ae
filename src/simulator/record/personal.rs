//! What the personal section of a record holds besides the name, which [`Person`](crate::simulator::Person) has:
//! biography, e-mail addresses, web pages.

use super::item::Source;
use super::visibility::Visibility;
use crate::domain::UnixTime;

/// It has no put-code and no source: only the person writes it.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Biography {
    pub(in crate::simulator) created: UnixTime,
    pub(in crate::simulator) modified: UnixTime,
    pub(in crate::simulator) visibility: Visibility,
    pub(in crate::simulator) content: String,
}

/// An address. It has no put-code; nobody is shown one that is not verified (`orcid.md` §8.4).
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Email {
    pub(in crate::simulator) created: UnixTime,
    pub(in crate::simulator) modified: UnixTime,
    pub(in crate::simulator) source: Source,
    pub(in crate::simulator) visibility: Visibility,
    pub(in crate::simulator) address: String,
    pub(in crate::simulator) verified: bool,
    pub(in crate::simulator) primary: bool,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Website {
    pub(in crate::simulator) name: Option<String>,
    pub(in crate::simulator) url: String,
}
