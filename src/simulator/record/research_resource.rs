//! [`ResearchResource`]: a proposal that was granted and what it gave access to (`orcid.md` §8.1).

use super::external_id::ExternalId;
use super::parts::{Organization, PartialDate, Title};

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Resource {
    pub(in crate::simulator) name: String,
    /// `infrastructures`, `collections`, `equipment`, `services`.
    pub(in crate::simulator) kind: String,
    pub(in crate::simulator) hosts: Vec<Organization>,
    pub(in crate::simulator) external_ids: Vec<ExternalId>,
    pub(in crate::simulator) url: Option<String>,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct ResearchResource {
    /// The proposal's; without a subtitle.
    pub(in crate::simulator) title: Title,
    pub(in crate::simulator) hosts: Vec<Organization>,
    pub(in crate::simulator) external_ids: Vec<ExternalId>,
    pub(in crate::simulator) start: Option<PartialDate>,
    pub(in crate::simulator) end: Option<PartialDate>,
    pub(in crate::simulator) url: Option<String>,
    pub(in crate::simulator) resources: Vec<Resource>,
}
