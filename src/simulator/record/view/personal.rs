//! The personal section: name, biography, e-mail addresses and the lists with put-codes (`orcid.md` §8.1, §8.4).

use super::super::item::{Item, PutCode};
use super::super::part::PersonList;
use super::super::tree::{Document, Object, Tag, common, tag, word};
use super::super::visibility::Visibility;
use super::parts::dates;
use super::{Missing, Section, View, last_modified, latest_of, optional};
use crate::domain::UnixTime;

/// What a list is as an element. Its address has other names (`addresses` is at `/address`).
pub(super) fn list_tag(list: PersonList) -> Tag {
    match list {
        PersonList::OtherNames => tag("other-name", "other-names"),
        PersonList::ResearcherUrls => tag("researcher-url", "researcher-urls"),
        PersonList::Addresses => tag("address", "addresses"),
        PersonList::Keywords => tag("keyword", "keywords"),
        PersonList::ExternalIdentifiers => tag("external-identifier", "external-identifiers"),
    }
}

pub(super) fn item_tag(list: PersonList) -> Tag {
    let namespace = list_tag(list).namespace;
    tag(namespace, namespace)
}

impl View<'_> {
    pub(in crate::simulator) fn person(&self) -> Document {
        Document { root: tag("person", "person"), content: self.person_section().object }
    }

    pub(in crate::simulator) fn personal_details(&self) -> Document {
        let (name, biography) = (self.name(), self.visible_biography());
        let others = self.list(PersonList::OtherNames);
        let latest = [name.latest(), biography.latest(), others.latest].into_iter().max().flatten();
        let content = last_modified(latest)
            .element(tag("personal-details", "name"), optional(name.object))
            .element(list_tag(PersonList::OtherNames), others.object)
            .element(tag("personal-details", "biography"), optional(biography.object))
            .attribute("path", self.path("/personal-details"));
        Document { root: tag("personal-details", "personal-details"), content }
    }

    pub(in crate::simulator) fn biography(&self) -> Result<Document, Missing> {
        let biography = self.record.contents.biography.as_ref().ok_or(Missing::Biography)?;
        self.sight.look(biography.visibility, None).map_err(Missing::Hidden)?;
        let content = self.visible_biography().object.unwrap_or_default();
        Ok(Document { root: tag("personal-details", "biography"), content })
    }

    pub(in crate::simulator) fn emails(&self) -> Document {
        Document { root: tag("email", "emails"), content: self.email_section().object }
    }

    pub(super) fn person_section(&self) -> Section {
        let (name, biography) = (self.name(), self.visible_biography());
        let others = self.list(PersonList::OtherNames);
        let websites = self.list(PersonList::ResearcherUrls);
        let emails = self.email_section();
        let [addresses, keywords, ids] =
            [PersonList::Addresses, PersonList::Keywords, PersonList::ExternalIdentifiers].map(|list| self.list(list));
        let latest = [&others, &websites, &emails, &addresses, &keywords, &ids].map(|section| section.latest);
        let latest = latest.into_iter().chain([name.latest(), biography.latest()]).max().flatten();
        let object = last_modified(latest)
            .element(tag("person", "name"), optional(name.object))
            .element(list_tag(PersonList::OtherNames), others.object)
            .element(tag("person", "biography"), optional(biography.object))
            .element(list_tag(PersonList::ResearcherUrls), websites.object)
            .element(tag("email", "emails"), emails.object)
            .element(list_tag(PersonList::Addresses), addresses.object)
            .element(list_tag(PersonList::Keywords), keywords.object)
            .element(list_tag(PersonList::ExternalIdentifiers), ids.object)
            .attribute("path", self.path("/person"));
        Section { object, latest }
    }

    /// The name, unless it is hidden from this reader or there is none.
    fn name(&self) -> Shown {
        let person = &self.record.person;
        let visibility = Visibility::from(person.name_visibility);
        let nameless = person.given.is_none() && person.family.is_none() && person.credit.is_none();
        if nameless || self.sight.look(visibility, None).is_err() {
            return Shown { object: None, at: self.record.created };
        }
        let part = |name| tag("personal-details", name);
        let object = dates(self.record.created, self.record.created)
            .wrapped(part("given-names"), person.given.as_ref())
            .wrapped(part("family-name"), person.family.as_ref())
            .wrapped(part("credit-name"), person.credit.as_ref())
            .element(common("source"), None::<Object>)
            .attribute("visibility", word(visibility.word()))
            // The one path without a slash in front.
            .attribute("path", person.orcid.as_str());
        Shown { object: Some(object), at: self.record.created }
    }

    fn visible_biography(&self) -> Shown {
        let Some(biography) = &self.record.contents.biography else {
            return Shown { object: None, at: self.record.created };
        };
        let object = dates(biography.created, biography.modified)
            .element(tag("personal-details", "content"), &biography.content)
            .attribute("visibility", word(biography.visibility.word()))
            .attribute("path", self.path("/biography"));
        let seen = self.sight.look(biography.visibility, None).is_ok();
        Shown { object: seen.then_some(object), at: biography.modified }
    }

    fn email_section(&self) -> Section {
        let seen = self.record.contents.emails.iter().filter(|email| {
            let allowed = self.sight.all_emails || self.sight.look(email.visibility, Some(&email.source)).is_ok();
            allowed && email.verified
        });
        let mut latest: Option<UnixTime> = None;
        let mut shown = Vec::new();
        for email in seen {
            latest = latest.max(Some(email.modified));
            let object = dates(email.created, email.modified)
                .element(common("source"), self.source(&email.source))
                .element(tag("email", "email"), &email.address)
                .attribute("path", None::<&str>)
                .attribute("visibility", word(email.visibility.word()))
                .attribute("verified", email.verified)
                .attribute("primary", email.primary)
                .attribute("put-code", None::<i64>);
            shown.push(object);
        }
        let object = last_modified(latest).items(tag("email", "email"), shown).attribute("path", self.path("/email"));
        Section { object, latest }
    }

    pub(super) fn list(&self, list: PersonList) -> Section {
        let contents = &self.record.contents;
        match list {
            PersonList::OtherNames => self.listed(list, &contents.other_names, Self::text_item),
            PersonList::Keywords => self.listed(list, &contents.keywords, Self::text_item),
            PersonList::Addresses => self.listed(list, &contents.addresses, Self::address),
            PersonList::ResearcherUrls => self.listed(list, &contents.researcher_urls, Self::website),
            PersonList::ExternalIdentifiers => self.listed(list, &contents.external_identifiers, Self::identifier),
        }
    }

    pub(super) fn list_item(&self, list: PersonList, code: PutCode) -> Result<Object, Missing> {
        let contents = &self.record.contents;
        Ok(match list {
            PersonList::OtherNames => self.text_item(list, self.find(&contents.other_names, code)?),
            PersonList::Keywords => self.text_item(list, self.find(&contents.keywords, code)?),
            PersonList::Addresses => self.address(list, self.find(&contents.addresses, code)?),
            PersonList::ResearcherUrls => self.website(list, self.find(&contents.researcher_urls, code)?),
            PersonList::ExternalIdentifiers => self.identifier(list, self.find(&contents.external_identifiers, code)?),
        })
    }

    fn listed<T>(
        &self,
        list: PersonList,
        items: &[Item<T>],
        show: impl Fn(&Self, PersonList, &Item<T>) -> Object,
    ) -> Section {
        let seen = self.in_order(items);
        let latest = latest_of(&seen);
        let object = last_modified(latest)
            .items(item_tag(list), seen.into_iter().map(|item| show(self, list, item)))
            .attribute("path", self.path(&format!("/{}", list.name())));
        Section { object, latest }
    }

    fn text_item(&self, list: PersonList, item: &Item<String>) -> Object {
        let content = tag(item_tag(list).namespace, "content");
        self.ended(list, item, self.beginning(item).element(content, &item.content))
    }

    fn address(&self, list: PersonList, item: &Item<String>) -> Object {
        self.ended(list, item, self.beginning(item).wrapped(tag("address", "country"), &item.content))
    }

    fn website(&self, list: PersonList, item: &Item<super::super::personal::Website>) -> Object {
        let object = self
            .beginning(item)
            .element(tag("researcher-url", "url-name"), item.content.name.as_ref())
            .wrapped(tag("researcher-url", "url"), &item.content.url);
        self.ended(list, item, object)
    }

    fn identifier(&self, list: PersonList, item: &Item<super::super::ExternalId>) -> Object {
        let id = &item.content;
        let object = self
            .beginning(item)
            .element(common("external-id-type"), &id.kind)
            .element(common("external-id-value"), &id.value)
            .wrapped(common("external-id-url"), id.url.as_ref())
            .element(common("external-id-relationship"), word(id.relationship.word()));
        self.ended(list, item, object)
    }

    /// How every entry of these lists ends; the display index is a number here.
    fn ended<T>(&self, list: PersonList, item: &Item<T>, object: Object) -> Object {
        object
            .attribute("visibility", word(item.visibility.word()))
            .attribute("path", self.path(&format!("/{}/{}", list.name(), item.put_code)))
            .attribute("put-code", item.put_code.number())
            .attribute("display-index", item.display_index)
    }
}

/// Something there is one of, if it can be seen, and when it last changed.
struct Shown {
    object: Option<Object>,
    at: UnixTime,
}

impl Shown {
    fn latest(&self) -> Option<UnixTime> {
        self.object.as_ref().map(|_| self.at)
    }
}
