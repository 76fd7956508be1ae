//! Affiliations of all kinds: full, as a summary, as a list, which 3.0 groups and 2.x does not (`orcid.md` §8.6).

use super::super::affiliation::{Affiliation, AffiliationKind};
use super::super::group::group;
use super::super::item::{Item, PutCode};
use super::super::parts::PartialDate;
use super::super::tree::{Object, Value, common, tag, word};
use super::parts::{Normalized, organization, own_before, partial_date};
use super::{Missing, Section, View, activities_tag, last_modified, latest_of, optional};
use std::cmp::Reverse;

impl View<'_> {
    pub(super) fn affiliation(&self, kind: AffiliationKind, code: PutCode) -> Result<Object, Missing> {
        let item = self.find_affiliation(kind, code)?;
        let object = self
            .beginning(item)
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.affiliation_path(item))
            .and(self.affiliation_core(item));
        Ok(object.attribute("visibility", word(item.visibility.word())))
    }

    pub(super) fn one_affiliation_summary(&self, kind: AffiliationKind, code: PutCode) -> Result<Object, Missing> {
        Ok(self.affiliation_summary(self.find_affiliation(kind, code)?))
    }

    fn find_affiliation(&self, kind: AffiliationKind, code: PutCode) -> Result<&Item<Affiliation>, Missing> {
        let of_kind = |item: &&Item<Affiliation>| item.content.kind == kind && item.put_code == code;
        let item = self.record.contents.affiliations.iter().find(of_kind).ok_or(Missing::Item)?;
        self.sight.look(item.visibility, Some(&item.source)).map_err(Missing::Hidden)?;
        Ok(item)
    }

    pub(super) fn affiliation_section(&self, kind: AffiliationKind) -> Section {
        let seen = self.affiliations_of(kind);
        let latest = latest_of(&seen);
        let summary = tag(kind.names().item, kind.names().summary);
        let object = if self.version.is_old() {
            last_modified(latest).items(summary, seen.into_iter().map(|item| self.affiliation_summary(item)))
        } else {
            let groups = group(seen, |affiliation| affiliation.external_ids.as_slice());
            let shown = groups.into_iter().map(|group| {
                let items = group.items.iter().map(|item| (summary, self.affiliation_summary(item))).collect();
                last_modified(latest_of(&group.items))
                    .element(common("external-ids"), self.external_ids(group.ids, Normalized::Shown))
                    .variants("summaries", items)
            });
            last_modified(latest).items(activities_tag("affiliation-group"), shown)
        };
        let object = object.attribute("path", self.path(&format!("/{}", kind.names().list)));
        Section { object, latest }
    }

    /// What the reader sees of a kind, the current and then the latest first.
    pub(super) fn affiliations_of(&self, kind: AffiliationKind) -> Vec<&Item<Affiliation>> {
        let mut seen = self.in_order(&self.record.contents.affiliations);
        seen.retain(|item| item.content.kind == kind);
        let key =
            |date: Option<PartialDate>, unknown: u16| date.map_or((unknown, None, None), |d| (d.year, d.month, d.day));
        seen.sort_by_key(|item| Reverse((key(item.content.end, u16::MAX), key(item.content.start, 0))));
        seen
    }

    fn affiliation_path(&self, item: &Item<Affiliation>) -> String {
        self.path(&format!("/{}/{}", item.content.kind.names().item, item.put_code))
    }

    fn affiliation_summary(&self, item: &Item<Affiliation>) -> Object {
        let code = item.put_code.number();
        let object = self.beginning(item);
        let object = if self.version.is_old() { object } else { object.attribute("put-code", code) };
        let object = object.and(self.affiliation_core(item)).attribute("visibility", word(item.visibility.word()));
        let object = if self.version.is_old() { object.attribute("put-code", code) } else { object };
        object.attribute("path", self.affiliation_path(item))
    }

    fn affiliation_core(&self, item: &Item<Affiliation>) -> Object {
        let affiliation = &item.content;
        let own = |name| own_before(self, affiliation.kind.names().item, name);
        let object = Object::new()
            .element(own("department-name"), affiliation.department.as_ref())
            .element(own("role-title"), affiliation.role.as_ref())
            .element(common("start-date"), partial_date(affiliation.start))
            .element(common("end-date"), partial_date(affiliation.end))
            .element(own("organization"), optional(affiliation.organization.as_ref().map(organization)));
        if self.version.is_old() {
            return object;
        }
        let ids = match affiliation.external_ids.as_slice() {
            [] => Value::Null,
            ids => self.external_ids(ids, Normalized::Shown).into(),
        };
        object
            .wrapped(common("url"), affiliation.url.as_ref())
            .element(common("external-ids"), ids)
            // A text here, a number in the personal section.
            .attribute("display-index", item.display_index.to_string())
    }
}
