//! [`Affiliation`]: where somebody works, studied, belongs; seven kinds with one shape (`orcid.md` §8.1, §8.6).

use super::external_id::ExternalId;
use super::parts::{Organization, PartialDate};

/// In the order of the kinds' names, which is the order of the activities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum AffiliationKind {
    Distinction,
    Education,
    Employment,
    InvitedPosition,
    Membership,
    Qualification,
    Service,
}

/// The names of a kind: of one item, of the list, of a summary. The item's name is also its XML namespace.
pub(in crate::simulator) struct KindNames {
    pub(in crate::simulator) item: &'static str,
    pub(in crate::simulator) list: &'static str,
    pub(in crate::simulator) summary: &'static str,
}

macro_rules! names {
    ($item:literal, $list:literal) => {
        KindNames { item: $item, list: $list, summary: concat!($item, "-summary") }
    };
}

impl AffiliationKind {
    pub(in crate::simulator) const ALL: [Self; 7] = [
        Self::Distinction,
        Self::Education,
        Self::Employment,
        Self::InvitedPosition,
        Self::Membership,
        Self::Qualification,
        Self::Service,
    ];

    pub(in crate::simulator) fn names(self) -> &'static KindNames {
        match self {
            Self::Distinction => &names!("distinction", "distinctions"),
            Self::Education => &names!("education", "educations"),
            Self::Employment => &names!("employment", "employments"),
            Self::InvitedPosition => &names!("invited-position", "invited-positions"),
            Self::Membership => &names!("membership", "memberships"),
            Self::Qualification => &names!("qualification", "qualifications"),
            Self::Service => &names!("service", "services"),
        }
    }

    /// Whether versions 2.0 and 2.1 know the kind.
    pub(in crate::simulator) fn is_old(self) -> bool {
        matches!(self, Self::Education | Self::Employment)
    }
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Affiliation {
    pub(in crate::simulator) kind: AffiliationKind,
    pub(in crate::simulator) department: Option<String>,
    pub(in crate::simulator) role: Option<String>,
    pub(in crate::simulator) start: Option<PartialDate>,
    /// `None`: it goes on, or nobody said when it ended.
    pub(in crate::simulator) end: Option<PartialDate>,
    pub(in crate::simulator) organization: Option<Organization>,
    pub(in crate::simulator) url: Option<String>,
    pub(in crate::simulator) external_ids: Vec<ExternalId>,
}
