//! [`Version`]: the versions of the API that are alive (`orcid.md` §1.1).

/// 2.0 and 2.1 differ in one thing: 2.0 writes the addresses of records and clients with `http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Version {
    V2_0,
    V2_1,
    V3_0,
}

impl Version {
    /// As it stands between `/v` and the next slash.
    pub(in crate::simulator) fn number(self) -> &'static str {
        match self {
            Version::V2_0 => "2.0",
            Version::V2_1 => "2.1",
            Version::V3_0 => "3.0",
        }
    }

    pub(in crate::simulator) fn read(number: &str) -> Option<Self> {
        [Version::V2_0, Version::V2_1, Version::V3_0].into_iter().find(|version| version.number() == number)
    }

    /// Versions 2.0 and 2.1: flat lists of affiliations, enumerations in capitals, fewer fields.
    pub(in crate::simulator) fn is_old(self) -> bool {
        self != Version::V3_0
    }
}
