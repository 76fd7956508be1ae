//! Research resources, which version 3.0 alone has: full, as a summary, grouped (`orcid.md` §8.1).

use super::super::group::group;
use super::super::item::{Item, PutCode};
use super::super::parts::Organization;
use super::super::research_resource::{ResearchResource, Resource};
use super::super::tree::{Object, common, tag, word};
use super::parts::{Normalized, organization, partial_date};
use super::{Missing, Section, View, activities_tag, last_modified, latest_of};

impl View<'_> {
    pub(super) fn research_resource(&self, code: PutCode) -> Result<Object, Missing> {
        let item = self.find(&self.record.contents.research_resources, code)?;
        let resources = item.content.resources.iter().map(|resource| self.resource(resource)).collect();
        Ok(self
            .beginning(item)
            .element(own("proposal"), self.proposal(&item.content))
            // JSON has the array without the element around it, under the name of one entry.
            .wrapped_items(own("resource-items"), own("resource-item"), resources)
            .attribute("display-index", item.display_index.to_string())
            .attribute("visibility", word(item.visibility.word()))
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.resource_path(item)))
    }

    pub(super) fn one_research_resource_summary(&self, code: PutCode) -> Result<Object, Missing> {
        Ok(self.research_resource_summary(self.find(&self.record.contents.research_resources, code)?))
    }

    pub(super) fn research_resource_section(&self) -> Section {
        let seen = self.in_order(&self.record.contents.research_resources);
        let latest = latest_of(&seen);
        let shown = group(seen, |resource| resource.external_ids.as_slice()).into_iter().map(|group| {
            let summaries = group.items.iter().map(|item| self.research_resource_summary(item));
            last_modified(latest_of(&group.items))
                .element(common("external-ids"), self.external_ids(group.ids, Normalized::Shown))
                .items(own("research-resource-summary"), summaries)
        });
        let object = last_modified(latest)
            .items(activities_tag("group"), shown)
            .attribute("path", self.path("/research-resources"));
        Section { object, latest }
    }

    fn resource_path(&self, item: &Item<ResearchResource>) -> String {
        self.path(&format!("/research-resource/{}", item.put_code))
    }

    fn research_resource_summary(&self, item: &Item<ResearchResource>) -> Object {
        self.beginning(item)
            .element(own("proposal"), self.proposal(&item.content))
            .attribute("visibility", word(item.visibility.word()))
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.resource_path(item))
            .attribute("display-index", item.display_index.to_string())
    }

    fn proposal(&self, resource: &ResearchResource) -> Object {
        Object::new()
            .element(own("title"), self.title(&resource.title, false))
            .element(own("hosts"), hosts(&resource.hosts))
            .element(common("external-ids"), self.external_ids(&resource.external_ids, Normalized::Shown))
            .element(common("start-date"), partial_date(resource.start))
            .element(common("end-date"), partial_date(resource.end))
            .wrapped(common("url"), resource.url.as_ref())
    }

    fn resource(&self, resource: &Resource) -> Object {
        Object::new()
            .element(own("resource-name"), &resource.name)
            .element(own("resource-type"), word(resource.kind.clone()))
            .element(own("hosts"), hosts(&resource.hosts))
            .element(common("external-ids"), self.external_ids(&resource.external_ids, Normalized::Shown))
            .wrapped(common("url"), resource.url.as_ref())
    }
}

const fn own(name: &'static str) -> super::Tag {
    tag("research-resource", name)
}

fn hosts(hosts: &[Organization]) -> Object {
    Object::new().items(common("organization"), hosts.iter().map(organization))
}
