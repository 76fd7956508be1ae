//! [`Funding`]: a grant, a contract, an award (`orcid.md` §8.1).

use super::external_id::ExternalId;
use super::parts::{Contributor, Organization, PartialDate, Title};

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Amount {
    pub(in crate::simulator) value: String,
    /// ISO 4217, three letters.
    pub(in crate::simulator) currency: String,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Funding {
    /// `grant`, `contract`, `award`, `salary-award`.
    pub(in crate::simulator) kind: String,
    /// The kind in the funder's own words.
    pub(in crate::simulator) defined_kind: Option<String>,
    /// Without a subtitle: fundings have none.
    pub(in crate::simulator) title: Title,
    pub(in crate::simulator) description: Option<String>,
    pub(in crate::simulator) amount: Option<Amount>,
    pub(in crate::simulator) url: Option<String>,
    pub(in crate::simulator) start: Option<PartialDate>,
    pub(in crate::simulator) end: Option<PartialDate>,
    pub(in crate::simulator) external_ids: Vec<ExternalId>,
    pub(in crate::simulator) contributors: Vec<Contributor>,
    pub(in crate::simulator) organization: Organization,
}
