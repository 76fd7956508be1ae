//! Works: full, as a summary, grouped, and many at once (`orcid.md` §8.1, §8.6).

use super::super::group::{Group, group};
use super::super::item::{Item, PutCode};
use super::super::part::Activity;
use super::super::parts::PartialDate;
use super::super::tree::{Object, Value, common, tag, word};
use super::super::work::Work;
use super::parts::{Normalized, own_before, partial_date};
use super::{Missing, Section, View, activities_tag, last_modified, latest_of, optional};
use std::borrow::Cow;
use std::cmp::Reverse;

/// What 2.x has no word for.
const NEW_KINDS: &[&str] = &[
    "annotation",
    "blog-post",
    "cartographic-material",
    "clinical-study",
    "conference-output",
    "conference-presentation",
    "conference-proceedings",
    "data-management-plan",
    "design",
    "image",
    "learning-object",
    "moving-image",
    "musical-composition",
    "physical-object",
    "preprint",
    "public-speech",
    "software",
    "sound",
    "transcription",
];

impl View<'_> {
    pub(super) fn work(&self, code: PutCode) -> Result<Object, Missing> {
        Ok(self.full_work(self.find(&self.record.contents.works, code)?))
    }

    pub(super) fn one_work_summary(&self, code: PutCode) -> Result<Object, Missing> {
        Ok(self.work_summary(self.find(&self.record.contents.works, code)?))
    }

    /// Those of `codes` that are on the record, in the order of their put-codes: each the work or why it is not
    /// shown.
    pub(in crate::simulator) fn works_among(&self, codes: &[PutCode]) -> Vec<(PutCode, Result<Object, Missing>)> {
        let mut found: Vec<&Item<Work>> =
            self.record.contents.works.iter().filter(|item| codes.contains(&item.put_code)).collect();
        found.sort_by_key(|item| item.put_code);
        found
            .into_iter()
            .map(|item| {
                let seen = self.sight.look(item.visibility, Some(&item.source)).map_err(Missing::Hidden);
                (item.put_code, seen.map(|()| self.full_work(item)))
            })
            .collect()
    }

    pub(super) fn work_section(&self) -> Section {
        let groups = self.work_groups();
        let latest = groups.iter().filter_map(|group| latest_of(&group.items)).max();
        let shown = groups.into_iter().map(|group| {
            last_modified(latest_of(&group.items))
                .element(common("external-ids"), self.external_ids(group.ids, Normalized::Shown))
                .items(tag("work", "work-summary"), group.items.into_iter().map(|item| self.work_summary(item)))
        });
        let object = last_modified(latest).items(activities_tag("group"), shown).attribute("path", self.path("/works"));
        Section { object, latest }
    }

    /// The works the reader may see, the latest first by what each group's favourite says; then by title and kind.
    pub(super) fn work_groups(&self) -> Vec<Group<'_, Work>> {
        let seen = self.in_order(&self.record.contents.works);
        let mut groups = group(seen, |work| work.external_ids.as_slice());
        groups.sort_by_cached_key(|group| {
            let favourite = group.items.first().map(|item| &item.content);
            let date = favourite.and_then(|work| work.published);
            let date = date.map(|PartialDate { year, month, day }| (year, month, day));
            (Reverse(date), favourite.map(|work| work.title.title.clone()), favourite.map(|work| work.kind.clone()))
        });
        groups
    }

    fn work_summary(&self, item: &Item<Work>) -> Object {
        let work = &item.content;
        let object = Object::new()
            .attribute("put-code", item.put_code.number())
            .and(self.beginning(item))
            .element(tag("work", "title"), self.title(&work.title, true))
            .element(common("external-ids"), self.external_ids(&work.external_ids, Normalized::Shown));
        let object = if self.version.is_old() { object } else { object.wrapped(common("url"), work.url.as_ref()) };
        let object = object
            .element(tag("work", "type"), self.work_kind(&work.kind))
            .element(common("publication-date"), self.publication_date(work.published));
        let object = if self.version.is_old() {
            object
        } else {
            object.wrapped(tag("work", "journal-title"), work.journal.as_ref())
        };
        object
            .attribute("visibility", word(item.visibility.word()))
            .attribute("path", self.work_path(item))
            .attribute("display-index", item.display_index.to_string())
    }

    fn work_path(&self, item: &Item<Work>) -> String {
        self.path(&format!("/{}/{}", Activity::Work.names().item, item.put_code))
    }

    fn full_work(&self, item: &Item<Work>) -> Object {
        let work = &item.content;
        let own = |name| tag("work", name);
        let citation = work.citation.as_ref().map(|citation| {
            Object::new()
                .element(own("citation-type"), word(citation.kind.clone()))
                .element(own("citation-value"), &citation.text)
        });
        let contributors = work.contributors.iter().map(|contributor| self.contributor(contributor, "work"));
        let contributors =
            (!work.contributors.is_empty()).then(|| Object::new().items(own("contributor"), contributors));
        self.beginning(item)
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.work_path(item))
            .element(own("title"), self.title(&work.title, true))
            .wrapped(own("journal-title"), work.journal.as_ref())
            .element(own("short-description"), work.description.as_ref())
            .element(own("citation"), optional(citation))
            .element(own("type"), self.work_kind(&work.kind))
            .element(common("publication-date"), self.publication_date(work.published))
            .element(common("external-ids"), self.external_ids(&work.external_ids, Normalized::Shown))
            .wrapped(own_before(self, "work", "url"), work.url.as_ref())
            .element(own("contributors"), optional(contributors))
            .element(common("language-code"), work.language.as_ref())
            .wrapped(common("country"), work.country.as_ref())
            .attribute("visibility", word(item.visibility.word()))
    }

    /// The kind in the version's own words; 2.x calls what it does not know `other`.
    pub(super) fn work_kind(&self, kind: &str) -> Value {
        let kind: Cow<'static, str> = match kind {
            "dissertation-thesis" if self.version.is_old() => "dissertation".into(),
            kind if self.version.is_old() && NEW_KINDS.contains(&kind) => "other".into(),
            kind => kind.to_owned().into(),
        };
        word(kind)
    }

    /// 2.x had a media type beside the date, which nothing fills.
    fn publication_date(&self, date: Option<PartialDate>) -> Value {
        match partial_date(date) {
            Value::Object(date) if self.version.is_old() => date.attribute("media-type", None::<&str>).into(),
            date => date,
        }
    }
}
