//! [`View`]: a record as one reader sees it in one version of the API, worded as trees in ORCID's order (`orcid.md`
//! §8.6). Asked by `api`; each file beside this one words one section.

mod activities;
mod affiliations;
mod citation;
mod fundings;
mod linked_data;
mod parts;
mod peer_reviews;
mod personal;
mod research_resources;
mod summary;
mod whole;
mod works;

use super::item::PutCode;
use super::part::{Activity, PersonList};
use super::sight::{Hidden, Sight};
use super::tree::{Document, Object, Tag, Value, wrapped};
use super::version::Version;
use super::{Item, Record};
use crate::domain::UnixTime;
use crate::simulator::world::World;

/// Why there is nothing to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Missing {
    /// No item of this kind has this put-code on this record.
    Item,
    /// The record has no biography at all.
    Biography,
    Hidden(Hidden),
}

/// One record in the eyes of one reader.
pub(in crate::simulator) struct View<'a> {
    pub(in crate::simulator) world: &'a World,
    pub(in crate::simulator) record: &'a Record,
    pub(in crate::simulator) sight: &'a Sight,
    pub(in crate::simulator) version: Version,
}

/// A list or section, and when anything shown in it last changed.
struct Section {
    object: Object,
    latest: Option<UnixTime>,
}

impl View<'_> {
    /// A list of the personal section with everything in it that may be seen.
    pub(in crate::simulator) fn person_list(&self, list: PersonList) -> Document {
        Document { root: personal::list_tag(list), content: self.list(list).object }
    }

    /// One entry of such a list.
    pub(in crate::simulator) fn person_item(&self, list: PersonList, code: PutCode) -> Result<Document, Missing> {
        let content = self.list_item(list, code)?;
        Ok(Document { root: personal::item_tag(list), content })
    }

    /// A list of activities, grouped where the version groups.
    pub(in crate::simulator) fn activity_list(&self, activity: Activity) -> Document {
        let root = super::tag("activities", activity.names().list);
        Document { root, content: self.activity_section(activity).object }
    }

    /// One activity in full.
    pub(in crate::simulator) fn activity(&self, activity: Activity, code: PutCode) -> Result<Document, Missing> {
        let root = super::tag(activity.names().item, activity.names().item);
        let content = match activity {
            Activity::Affiliation(kind) => self.affiliation(kind, code)?,
            Activity::Funding => self.funding(code)?,
            Activity::PeerReview => self.peer_review(code)?,
            Activity::ResearchResource => self.research_resource(code)?,
            Activity::Work => self.work(code)?,
        };
        Ok(Document { root, content })
    }

    /// One activity as the lists show it.
    pub(in crate::simulator) fn activity_summary(
        &self,
        activity: Activity,
        code: PutCode,
    ) -> Result<Document, Missing> {
        let item = activity.names().item;
        let (name, content) = match activity {
            Activity::Affiliation(kind) => (kind.names().summary, self.one_affiliation_summary(kind, code)?),
            // On their own these bear other names than in the lists.
            Activity::Funding => ("summary", self.one_funding_summary(code)?),
            Activity::PeerReview => ("summary", self.one_peer_review_summary(code)?),
            Activity::ResearchResource => (item, self.one_research_resource_summary(code)?),
            Activity::Work => ("work-summary", self.one_work_summary(code)?),
        };
        Ok(Document { root: super::tag(item, name), content })
    }

    /// The item with this put-code, if the reader may see it.
    fn find<'i, T>(&self, items: &'i [Item<T>], code: PutCode) -> Result<&'i Item<T>, Missing> {
        let item = items.iter().find(|item| item.put_code == code).ok_or(Missing::Item)?;
        self.sight.look(item.visibility, Some(&item.source)).map_err(Missing::Hidden)?;
        Ok(item)
    }

    /// The items the reader may see; hidden ones are dropped without a word (`orcid.md` §8.4).
    fn seen<'i, T>(&self, items: &'i [Item<T>]) -> Vec<&'i Item<T>> {
        items.iter().filter(|item| self.sight.sees(*item)).collect()
    }

    /// The same in the person's own order: the highest display index first, then the oldest.
    fn in_order<'i, T>(&self, items: &'i [Item<T>]) -> Vec<&'i Item<T>> {
        let mut seen = self.seen(items);
        seen.sort_by_key(|item| (-item.display_index, item.created, item.put_code));
        seen
    }

    /// `/{iD}/name/…` as every list and item carries it.
    fn path(&self, rest: &str) -> String {
        format!("/{}{rest}", self.record.person.orcid)
    }
}

fn latest_of<T>(items: &[&Item<T>]) -> Option<UnixTime> {
    items.iter().map(|item| item.modified).max()
}

/// The element every section begins with; null if nothing in it can be seen.
fn last_modified(at: Option<UnixTime>) -> Object {
    Object::new().element(super::common("last-modified-date"), wrapped(at))
}

/// An element whose content is a section or nothing.
fn optional(object: Option<Object>) -> Value {
    object.map_or(Value::Null, Value::Object)
}

const fn activities_tag(name: &'static str) -> Tag {
    super::tag("activities", name)
}
