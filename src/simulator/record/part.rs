//! The parts of a record by the names they have in addresses (`orcid.md` §8.1). Read by `api`, worded by `view`.

use super::affiliation::{AffiliationKind, KindNames};

/// The lists of the personal section whose entries have put-codes. The name is the one in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum PersonList {
    OtherNames,
    ResearcherUrls,
    Addresses,
    Keywords,
    ExternalIdentifiers,
}

impl PersonList {
    pub(in crate::simulator) const ALL: [Self; 5] =
        [Self::OtherNames, Self::ResearcherUrls, Self::Addresses, Self::Keywords, Self::ExternalIdentifiers];

    /// In an address list and entry have one name: `keywords` and `keywords/7`.
    pub(in crate::simulator) fn name(self) -> &'static str {
        match self {
            Self::OtherNames => "other-names",
            Self::ResearcherUrls => "researcher-urls",
            Self::Addresses => "address",
            Self::Keywords => "keywords",
            Self::ExternalIdentifiers => "external-identifiers",
        }
    }
}

/// The kinds of activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Activity {
    Affiliation(AffiliationKind),
    Funding,
    PeerReview,
    ResearchResource,
    Work,
}

impl Activity {
    pub(in crate::simulator) fn all() -> impl Iterator<Item = Self> {
        let others = [Self::Funding, Self::PeerReview, Self::ResearchResource, Self::Work];
        AffiliationKind::ALL.into_iter().map(Self::Affiliation).chain(others)
    }

    /// In an address one entry and the list have different names: `work/7` and `works`.
    pub(in crate::simulator) fn names(self) -> &'static KindNames {
        match self {
            Self::Affiliation(kind) => kind.names(),
            Self::Funding => &KindNames { item: "funding", list: "fundings", summary: "funding-summary" },
            Self::PeerReview => {
                &KindNames { item: "peer-review", list: "peer-reviews", summary: "peer-review-summary" }
            }
            Self::ResearchResource => &KindNames {
                item: "research-resource",
                list: "research-resources",
                summary: "research-resource-summary",
            },
            Self::Work => &KindNames { item: "work", list: "works", summary: "work-summary" },
        }
    }

    /// Whether versions 2.0 and 2.1 know the kind.
    pub(in crate::simulator) fn is_old(self) -> bool {
        match self {
            Self::Affiliation(kind) => kind.is_old(),
            Self::ResearchResource => false,
            Self::Funding | Self::PeerReview | Self::Work => true,
        }
    }
}
