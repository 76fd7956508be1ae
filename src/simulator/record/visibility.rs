//! [`Visibility`]: who may see one item of a record (`orcid.md` §8.4).

use crate::simulator::people::NameVisibility;

/// In ORCID's words: everyone, trusted parties, only me.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Visibility {
    Public,
    Limited,
    Private,
}

impl Visibility {
    /// As version 3.0 and all XML write it; 2.x JSON has it in capitals.
    pub(in crate::simulator) fn word(self) -> &'static str {
        match self {
            Visibility::Public => "public",
            Visibility::Limited => "limited",
            Visibility::Private => "private",
        }
    }
}

impl From<NameVisibility> for Visibility {
    fn from(visibility: NameVisibility) -> Self {
        match visibility {
            NameVisibility::Public => Visibility::Public,
            NameVisibility::Limited => Visibility::Limited,
            NameVisibility::Private => Visibility::Private,
        }
    }
}
