//! What is on a record: the model behind the record API, ready for writes, and the views that word it in JSON and
//! XML for somebody who may see so much of it. Read by `api`; kept in `world`.
//!
//! [`Contents`] holds items, each with put-code, source, visibility and dates (`item`). `view` asks a `sight` what
//! may be seen and builds a `tree`, of which `json` and `xml` make the same answer in two spellings.

mod accents;
mod affiliation;
mod external_id;
mod funding;
mod group;
mod item;
mod json;
mod part;
mod parts;
mod peer_review;
mod personal;
mod research_resource;
mod seeds;
mod sight;
mod tree;
mod version;
mod view;
mod visibility;
mod work;
mod xml;

pub(super) use accents::without_accents;
pub(super) use affiliation::{Affiliation, AffiliationKind};
pub(super) use external_id::{ExternalId, Relationship};
pub(super) use item::{Agent, Item, PutCode};
pub(super) use json::Words;
pub(super) use part::{Activity, PersonList};
pub(super) use parts::{Organization, Title};
pub(super) use seeds::{known_source, seeded_contents};
pub(super) use sight::{Hidden, Sight};
pub(super) use tree::{Document, Object, Tag, Value, common, tag};
pub(super) use version::Version;
pub(super) use view::{Missing, View};
pub(super) use visibility::Visibility;
pub(super) use work::Work;

use super::people::Person;
use crate::domain::UnixTime;
use std::sync::Arc;

/// Everything a person and others put on the record, the name excepted.
#[derive(Clone, Debug, Default)]
pub(super) struct Contents {
    pub(super) biography: Option<personal::Biography>,
    pub(super) emails: Vec<personal::Email>,
    pub(super) other_names: Vec<Item<String>>,
    pub(super) researcher_urls: Vec<Item<personal::Website>>,
    /// ISO 3166 codes of countries, which ORCID calls addresses.
    pub(super) addresses: Vec<Item<String>>,
    pub(super) keywords: Vec<Item<String>>,
    pub(super) external_identifiers: Vec<Item<ExternalId>>,
    pub(super) affiliations: Vec<Item<Affiliation>>,
    pub(super) fundings: Vec<Item<funding::Funding>>,
    pub(super) peer_reviews: Vec<Item<peer_review::PeerReview>>,
    pub(super) research_resources: Vec<Item<research_resource::ResearchResource>>,
    pub(super) works: Vec<Item<Work>>,
}

/// One person's record. Cheap to clone: an answer is made from a copy, without holding the books.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) person: Arc<Person>,
    pub(super) contents: Arc<Contents>,
    pub(super) created: UnixTime,
    /// Last change of the record.
    pub(super) modified: UnixTime,
    /// Last sign-in of the person, in any browser: `auth_time` (`orcid.md` §1.4).
    pub(super) signed_in: Option<UnixTime>,
}

impl Record {
    /// The record of a person who is registered at `now`: what is seeded for this iD, else one e-mail address that
    /// nobody else sees.
    pub(super) fn new(person: Arc<Person>, now: UnixTime) -> Self {
        let seeded = seeded_contents(&person, now);
        Self {
            created: seeded.created.unwrap_or(now),
            modified: seeded.modified.unwrap_or(now),
            contents: Arc::new(seeded.contents),
            signed_in: None,
            person,
        }
    }
}

/// The text of a tree in one of ORCID's formats.
pub(super) fn json_text(object: &Object, pretty: bool, words: Words) -> String {
    json::text(object, pretty, words)
}

/// The same as XML; an error means that it could not be written, which does not happen in memory.
pub(super) fn xml_text(document: &Document, version: Version) -> std::io::Result<String> {
    xml::text(document, version)
}
