//! [`Work`]: an article, a data set, a review, … (`orcid.md` §8.6).

use super::external_id::ExternalId;
use super::parts::{Contributor, PartialDate, Title};

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Citation {
    /// `bibtex`, `ris`, `formatted-apa`, …
    pub(in crate::simulator) kind: String,
    pub(in crate::simulator) text: String,
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct Work {
    /// In version 3.0's words: `journal-article`, `data-set`, `preprint`, …
    pub(in crate::simulator) kind: String,
    pub(in crate::simulator) title: Title,
    pub(in crate::simulator) journal: Option<String>,
    pub(in crate::simulator) description: Option<String>,
    pub(in crate::simulator) citation: Option<Citation>,
    pub(in crate::simulator) published: Option<PartialDate>,
    pub(in crate::simulator) external_ids: Vec<ExternalId>,
    pub(in crate::simulator) url: Option<String>,
    pub(in crate::simulator) contributors: Vec<Contributor>,
    pub(in crate::simulator) language: Option<String>,
    pub(in crate::simulator) country: Option<String>,
}
