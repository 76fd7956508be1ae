//! Fundings: full, as a summary, grouped (`orcid.md` §8.1, §8.6).

use super::super::funding::Funding;
use super::super::group::group;
use super::super::item::{Item, PutCode};
use super::super::tree::{Object, common, tag, word, wrapped};
use super::parts::{Normalized, organization, own_before, partial_date};
use super::{Missing, Section, View, activities_tag, last_modified, latest_of, optional};

impl View<'_> {
    pub(super) fn funding(&self, code: PutCode) -> Result<Object, Missing> {
        let item = self.find(&self.record.contents.fundings, code)?;
        let funding = &item.content;
        let own = |name| tag("funding", name);
        let amount = funding
            .amount
            .as_ref()
            .map(|amount| Object::new().content(&amount.value).attribute("currency-code", &amount.currency));
        let contributors = funding.contributors.iter().map(|contributor| self.contributor(contributor, "funding"));
        let contributors =
            (!funding.contributors.is_empty()).then(|| Object::new().items(own("contributor"), contributors));
        Ok(self
            .beginning(item)
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.funding_path(item))
            .element(own("type"), word(funding.kind.clone()))
            .element(own("organization-defined-type"), wrapped(funding.defined_kind.as_ref()))
            .element(own("title"), self.title(&funding.title, false))
            .element(own("short-description"), funding.description.as_ref())
            .element(own("amount"), optional(amount))
            .wrapped(own_before(self, "funding", "url"), funding.url.as_ref())
            .element(common("start-date"), partial_date(funding.start))
            .element(common("end-date"), partial_date(funding.end))
            .element(common("external-ids"), self.external_ids(&funding.external_ids, Normalized::Null))
            .element(own("contributors"), optional(contributors))
            .element(own_before(self, "funding", "organization"), organization(&funding.organization))
            .attribute("visibility", word(item.visibility.word())))
    }

    pub(super) fn one_funding_summary(&self, code: PutCode) -> Result<Object, Missing> {
        Ok(self.funding_summary(self.find(&self.record.contents.fundings, code)?))
    }

    pub(super) fn funding_section(&self) -> Section {
        let seen = self.in_order(&self.record.contents.fundings);
        let latest = latest_of(&seen);
        let shown = group(seen, |funding| funding.external_ids.as_slice()).into_iter().map(|group| {
            last_modified(latest_of(&group.items))
                .element(common("external-ids"), self.external_ids(group.ids, Normalized::Null))
                .items(
                    tag("funding", "funding-summary"),
                    group.items.into_iter().map(|item| self.funding_summary(item)),
                )
        });
        let object =
            last_modified(latest).items(activities_tag("group"), shown).attribute("path", self.path("/fundings"));
        Section { object, latest }
    }

    fn funding_path(&self, item: &Item<Funding>) -> String {
        self.path(&format!("/funding/{}", item.put_code))
    }

    fn funding_summary(&self, item: &Item<Funding>) -> Object {
        let funding = &item.content;
        let object = self
            .beginning(item)
            .element(tag("funding", "title"), self.title(&funding.title, false))
            .element(common("external-ids"), self.external_ids(&funding.external_ids, Normalized::Null));
        let object = if self.version.is_old() { object } else { object.wrapped(common("url"), funding.url.as_ref()) };
        object
            .element(tag("funding", "type"), word(funding.kind.clone()))
            .element(common("start-date"), partial_date(funding.start))
            .element(common("end-date"), partial_date(funding.end))
            .element(own_before(self, "funding", "organization"), organization(&funding.organization))
            .attribute("visibility", word(item.visibility.word()))
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.funding_path(item))
            .attribute("display-index", item.display_index.to_string())
    }
}
