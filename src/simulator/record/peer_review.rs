//! [`PeerReview`]: a review somebody wrote for a journal or a funder, listed below the group it was for
//! (`orcid.md` §8.1).

use super::external_id::ExternalId;
use super::parts::{Organization, PartialDate, Title};

/// What was reviewed, where the reviewer may say so.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Subject {
    pub(in crate::simulator) external_id: Option<ExternalId>,
    pub(in crate::simulator) container: Option<String>,
    pub(in crate::simulator) kind: Option<String>,
    pub(in crate::simulator) name: Option<Title>,
    pub(in crate::simulator) url: Option<String>,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct PeerReview {
    /// `reviewer`, `editor`, `member`, `chair`, `organizer`.
    pub(in crate::simulator) role: String,
    /// `review` or `evaluation`.
    pub(in crate::simulator) kind: String,
    pub(in crate::simulator) external_ids: Vec<ExternalId>,
    pub(in crate::simulator) url: Option<String>,
    pub(in crate::simulator) completed: Option<PartialDate>,
    /// Whom it was for: `issn:0000-0000`, `publons:…`, `orcid-generated:…`.
    pub(in crate::simulator) group_id: String,
    pub(in crate::simulator) subject: Option<Subject>,
    pub(in crate::simulator) organization: Organization,
}
