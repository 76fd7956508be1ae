//! The parts activities are made of: partial dates, titles, organisations, contributors. Values as they are
//! written; `view` words them.

use crate::domain::OrcidId;

/// A date of which month and day may be unknown (`orcid.md` §8.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::simulator) struct PartialDate {
    pub(in crate::simulator) year: u16,
    pub(in crate::simulator) month: Option<u8>,
    pub(in crate::simulator) day: Option<u8>,
}

/// A translation and the language it is in.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Translated {
    pub(in crate::simulator) text: String,
    pub(in crate::simulator) language: String,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Title {
    pub(in crate::simulator) title: String,
    pub(in crate::simulator) subtitle: Option<String>,
    pub(in crate::simulator) translated: Option<Translated>,
}

/// Where an organisation is entered in a register: `ROR` and `https://ror.org/…`.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Registered {
    pub(in crate::simulator) id: String,
    /// `ROR`, `GRID`, `FUNDREF`, `RINGGOLD`.
    pub(in crate::simulator) register: String,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Organization {
    pub(in crate::simulator) name: String,
    pub(in crate::simulator) city: Option<String>,
    pub(in crate::simulator) region: Option<String>,
    /// ISO 3166, two letters.
    pub(in crate::simulator) country: Option<String>,
    pub(in crate::simulator) registered: Option<Registered>,
}

/// Somebody who took part in a work or a grant. Their e-mail address is never served.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Contributor {
    pub(in crate::simulator) orcid: Option<OrcidId>,
    pub(in crate::simulator) name: Option<String>,
    /// `first` or `additional`; works only.
    pub(in crate::simulator) sequence: Option<String>,
    pub(in crate::simulator) role: Option<String>,
}
