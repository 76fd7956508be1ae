//! [`Document`]: what the search knows of a record: its public data as named fields, as ORCID's index holds them
//! (`orcid.md` §8.1). Made for each search; nothing is stored.

use crate::domain::UnixTime;
use crate::simulator::record::{
    Affiliation, Agent, Contents, ExternalId, Item, Organization, Record, Relationship, Title, Visibility,
    without_accents,
};
use std::borrow::Cow;
use std::cell::OnceCell;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Word by word, in lower case.
    Words,
    /// As a whole, whatever the case.
    Whole,
    Time,
}

pub(super) const SUBMITTED: &str = "profile-submission-date";
pub(super) const MODIFIED: &str = "profile-last-modified-date";

/// Fields compared as a whole.
const WHOLE: &[&str] = &[
    "orcid",
    "email",
    "external-id-reference",
    "external-id-source",
    "external-id-source-and-reference",
    "external-id-type-and-value",
    "peer-review-group-id",
    "peer-review-role",
    "peer-review-type",
    "primary-record",
];

/// Fields compared word by word.
const WORDS: &[&str] = &[
    "affiliation-org-name",
    "biography",
    "credit-name",
    "current-institution-affiliation-name",
    "digital-object-ids",
    "family-name",
    "funding-org-name",
    "funding-titles",
    "given-and-family-names",
    "given-names",
    "grant-numbers",
    "keyword",
    "other-names",
    "past-institution-affiliation-name",
    "peer-review-org-name",
    "research-resource-item-name",
    "research-resource-item-org-name",
    "research-resource-proposal-org-name",
    "research-resource-proposal-title",
    "text",
    "work-titles",
];

/// Kinds of work identifiers that have a field of their own name besides those by relationship.
const IDENTIFIERS: &[&str] = &[
    "agr",
    "arxiv",
    "asin",
    "asin-tld",
    "bibcode",
    "cba",
    "cit",
    "ctx",
    "eid",
    "ethos",
    "handle",
    "hir",
    "isbn",
    "issn",
    "jfm",
    "jstor",
    "lccn",
    "mr",
    "oclc",
    "ol",
    "osti",
    "pat",
    "pmc",
    "pmid",
    "rfc",
    "source-work-id",
    "ssrn",
    "uri",
    "urn",
    "wosuid",
    "zbl",
    "other-identifier-type",
];

const RELATIONS: &[(Relationship, &str)] =
    &[(Relationship::Itself, "-self"), (Relationship::PartOf, "-part-of"), (Relationship::VersionOf, "-version-of")];

/// How a field is compared; `None`: there is no such field.
pub(super) fn kind_of(field: &str) -> Option<Kind> {
    let of_relation = || RELATIONS.iter().any(|(_, end)| field.len() > end.len() && field.ends_with(end));
    match field {
        SUBMITTED | MODIFIED => Some(Kind::Time),
        "ringgold-org-id" | "fundref-org-id" | "grid-org-id" | "ror-org-id" => Some(Kind::Whole),
        _ if WHOLE.contains(&field) || of_relation() => Some(Kind::Whole),
        _ if WORDS.contains(&field) || IDENTIFIERS.contains(&field) => Some(Kind::Words),
        _ => None,
    }
}

/// One value of a field.
pub(super) struct Entry {
    field: Cow<'static, str>,
    pub(super) value: String,
    words: OnceCell<Vec<String>>,
}

impl Entry {
    /// The words of the value, in lower case.
    pub(super) fn words(&self) -> &[String] {
        self.words.get_or_init(|| super::words::words(&self.value))
    }
}

pub(super) struct Document {
    entries: Vec<Entry>,
    submitted: UnixTime,
    modified: UnixTime,
}

impl Document {
    pub(super) fn of(record: &Record) -> Self {
        let mut document = Self { entries: Vec::new(), submitted: record.created, modified: record.modified };
        let person = &record.person;
        document.add("orcid", [person.orcid.to_string()]);
        document.add("given-names", person.public_given().map(str::to_owned));
        document.add("family-name", person.public_family().map(str::to_owned));
        document.add("credit-name", person.public_credit_name().map(str::to_owned));
        let both: Vec<&str> = person.public_given().into_iter().chain(person.public_family()).collect();
        document.add("given-and-family-names", (!both.is_empty()).then(|| without_accents(&both.join(" "))));
        document.personal(&record.contents);
        document.places(&record.contents);
        document.works(&record.contents);
        document.fundings(&record.contents);
        document.reviews(&record.contents);
        document.resources(&record.contents);
        document
    }

    /// The values of a field; `text` is everything.
    pub(super) fn entries(&self, field: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| field == "text" || entry.field == field)
    }

    pub(super) fn values(&self, field: &str) -> impl Iterator<Item = &str> {
        self.entries(field).map(|entry| entry.value.as_str())
    }

    pub(super) fn time(&self, field: &str) -> UnixTime {
        if field == SUBMITTED { self.submitted } else { self.modified }
    }

    fn add(&mut self, field: impl Into<Cow<'static, str>>, values: impl IntoIterator<Item = String>) {
        let field = field.into();
        let entry = |value| Entry { field: field.clone(), value, words: OnceCell::new() };
        self.entries.extend(values.into_iter().map(entry));
    }

    fn personal(&mut self, contents: &Contents) {
        let biography = contents.biography.iter().filter(|biography| biography.visibility == Visibility::Public);
        self.add("biography", biography.map(|biography| biography.content.clone()));
        let emails = contents.emails.iter().filter(|email| email.visibility == Visibility::Public && email.verified);
        self.add("email", emails.map(|email| email.address.clone()));
        self.add("other-names", public(&contents.other_names).map(|item| item.content.clone()));
        self.add("keyword", public(&contents.keywords).map(|item| item.content.clone()));
        for item in public(&contents.external_identifiers) {
            let id = &item.content;
            self.add("external-id-reference", [id.value.clone()]);
            self.add("external-id-type-and-value", [format!("{}={}", id.kind, id.value)]);
            let source = match &item.source.by {
                Agent::Client(client) => Some(client.clone()),
                Agent::Holder => None,
            };
            self.add("external-id-source-and-reference", source.iter().map(|source| format!("{source}={}", id.value)));
            self.add("external-id-source", source);
        }
    }

    fn places(&mut self, contents: &Contents) {
        for Affiliation { organization, end, .. } in public(&contents.affiliations).map(|item| &item.content) {
            let Some(organization) = organization else { continue };
            let when = match end {
                Some(_) => "past-institution-affiliation-name",
                None => "current-institution-affiliation-name",
            };
            if !self.values(when).any(|known| known == organization.name) {
                self.add(when, [organization.name.clone()]);
            }
            self.organization("affiliation-org-name", organization);
        }
    }

    fn organization(&mut self, field: &'static str, organization: &Organization) {
        self.add(field, [organization.name.clone()]);
        if let Some(entry) = &organization.registered {
            self.add(format!("{}-org-id", entry.register.to_ascii_lowercase()), [entry.id.clone()]);
        }
    }

    fn works(&mut self, contents: &Contents) {
        for work in public(&contents.works).map(|item| &item.content) {
            self.titles("work-titles", &work.title);
            for id in &work.external_ids {
                let field = match id.kind.as_str() {
                    "doi" => Some("digital-object-ids"),
                    kind => IDENTIFIERS.iter().copied().find(|known| *known == kind),
                };
                if let Some(field) = field {
                    self.add(field, [id.value.clone()]);
                }
            }
            self.related(&work.external_ids);
        }
    }

    fn fundings(&mut self, contents: &Contents) {
        for funding in public(&contents.fundings).map(|item| &item.content) {
            self.titles("funding-titles", &funding.title);
            let grants = funding.external_ids.iter().filter(|id| id.kind == "grant_number");
            self.add("grant-numbers", grants.map(|id| id.value.clone()));
            self.organization("funding-org-name", &funding.organization);
        }
    }

    fn reviews(&mut self, contents: &Contents) {
        for review in public(&contents.peer_reviews).map(|item| &item.content) {
            self.add("peer-review-type", [review.kind.clone()]);
            self.add("peer-review-role", [review.role.clone()]);
            self.add("peer-review-group-id", [review.group_id.clone()]);
            self.related(&review.external_ids);
            self.organization("peer-review-org-name", &review.organization);
        }
    }

    fn resources(&mut self, contents: &Contents) {
        for proposal in public(&contents.research_resources).map(|item| &item.content) {
            self.titles("research-resource-proposal-title", &proposal.title);
            self.related(&proposal.external_ids);
            for host in &proposal.hosts {
                self.organization("research-resource-proposal-org-name", host);
            }
            for resource in &proposal.resources {
                self.add("research-resource-item-name", [resource.name.clone()]);
                self.related(&resource.external_ids);
                for host in &resource.hosts {
                    self.organization("research-resource-item-org-name", host);
                }
            }
        }
    }

    fn titles(&mut self, field: &'static str, title: &Title) {
        self.add(field, [title.title.clone()]);
        self.add(field, title.subtitle.clone());
        self.add(field, title.translated.as_ref().map(|translated| translated.text.clone()));
    }

    /// `doi-self`, `issn-part-of`, …
    fn related(&mut self, ids: &[ExternalId]) {
        for id in ids {
            if let Some((_, end)) = RELATIONS.iter().find(|(relationship, _)| *relationship == id.relationship) {
                self.add(format!("{}{end}", id.kind), [id.value.clone()]);
            }
        }
    }
}

fn public<T>(items: &[Item<T>]) -> impl Iterator<Item = &Item<T>> {
    items.iter().filter(|item| item.visibility == Visibility::Public)
}
