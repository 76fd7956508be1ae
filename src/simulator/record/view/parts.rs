//! The parts all sections share: who is who, sources, dates, organisations, identifiers, titles (`orcid.md` §8.6).

use super::super::external_id::ExternalId;
use super::super::external_id::Relationship::{Itself, PartOf};
use super::super::item::{Agent, Item, Source};
use super::super::parts::{Contributor, Organization, PartialDate, Title};
use super::super::tree::{Object, Tag, Value, common, tag, word, wrapped};
use super::{View, optional};
use crate::domain::{OrcidId, UnixTime};

/// Whether an identifier shows its normalised form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Normalized {
    Shown,
    /// Fundings leave it null.
    Null,
}

impl View<'_> {
    /// The base of the addresses of records and clients; 2.0 writes them with `http`.
    pub(super) fn base(&self) -> String {
        match (self.version, self.world.base.strip_prefix("https://")) {
            (super::Version::V2_0, Some(host)) => format!("http://{host}"),
            _ => self.world.base.clone(),
        }
    }

    fn identified(&self, uri: String, path: &str) -> Object {
        let host = self.world.base.split_once("://").map_or("", |(_, host)| host);
        Object::new().element(common("uri"), uri).element(common("path"), path).element(common("host"), host)
    }

    pub(super) fn orcid(&self, orcid: OrcidId) -> Object {
        self.identified(orcid.uri(&self.base()), orcid.as_str())
    }

    fn agent(&self, agent: &Agent) -> (Value, Value, Value) {
        match agent {
            Agent::Holder => {
                let person = &self.record.person;
                (self.orcid(person.orcid).into(), Value::Null, wrapped(person.public_name()))
            }
            Agent::Client(id) => {
                let client = self.identified(format!("{}/client/{id}", self.base()), id);
                let name = self.world.organisation(id).map(|(name, _)| name);
                (Value::Null, client.into(), wrapped(name))
            }
        }
    }

    pub(super) fn source(&self, source: &Source) -> Object {
        let (orcid, client, name) = self.agent(&source.by);
        let object = Object::new()
            .element(common("source-orcid"), orcid)
            .element(common("source-client-id"), client)
            .element(common("source-name"), name);
        if self.version.is_old() {
            return object;
        }
        let (orcid, client, name) =
            source.origin.as_ref().map_or((Value::Null, Value::Null, Value::Null), |origin| self.agent(origin));
        object
            .element(common("assertion-origin-orcid"), orcid)
            .element(common("assertion-origin-client-id"), client)
            .element(common("assertion-origin-name"), name)
    }

    /// How every item begins.
    pub(super) fn beginning<T>(&self, item: &Item<T>) -> Object {
        dates(item.created, item.modified).element(common("source"), self.source(&item.source))
    }

    pub(super) fn external_id(&self, id: &ExternalId, normalized: Normalized) -> Object {
        let object =
            Object::new().element(common("external-id-type"), &id.kind).element(common("external-id-value"), &id.value);
        let object = if self.version.is_old() { object } else { object.and(normal_form(id, normalized)) };
        object
            .wrapped(common("external-id-url"), id.url.as_ref())
            .element(common("external-id-relationship"), word(id.relationship.word()))
    }

    pub(super) fn external_ids<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i ExternalId>,
        normalized: Normalized,
    ) -> Object {
        let shown = ids
            .into_iter()
            // 2.x has two words for relationships and leaves other identifiers out.
            .filter(|id| !self.version.is_old() || matches!(id.relationship, Itself | PartOf))
            .map(|id| self.external_id(id, normalized));
        Object::new().items(common("external-id"), shown)
    }

    /// The titles of a work or a subject, which have a subtitle, or of the rest, which do not.
    pub(super) fn title(&self, title: &Title, with_subtitle: bool) -> Object {
        let object = Object::new().wrapped(common("title"), &title.title);
        let object = if with_subtitle { object.wrapped(common("subtitle"), title.subtitle.as_ref()) } else { object };
        let translated = title
            .translated
            .as_ref()
            .map(|translated| Object::new().content(&translated.text).attribute("language-code", &translated.language));
        object.element(common("translated-title"), optional(translated))
    }

    /// Those who took part. Addresses are never served. On fundings the name of somebody with a record here is the
    /// one that record shows to everybody.
    pub(super) fn contributor(&self, contributor: &Contributor, namespace: &'static str) -> Object {
        let known = contributor.orcid.filter(|_| namespace == "funding").and_then(|orcid| self.world.person(orcid));
        let name = match known {
            Some(person) => Some(person.public_name().unwrap_or_default()),
            None => contributor.name.clone(),
        };
        let role = contributor.role.clone().map(word);
        let attributes = if namespace == "work" {
            Object::new()
                .element(tag(namespace, "contributor-sequence"), contributor.sequence.clone().map(word))
                .element(tag(namespace, "contributor-role"), role)
        } else {
            Object::new().element(tag(namespace, "contributor-role"), role)
        };
        let attributes = (contributor.sequence.is_some() || contributor.role.is_some()).then_some(attributes);
        Object::new()
            .element(common("contributor-orcid"), optional(contributor.orcid.map(|orcid| self.orcid(orcid))))
            .wrapped(tag(namespace, "credit-name"), name)
            .element(tag(namespace, "contributor-email"), Value::Null)
            .element(tag(namespace, "contributor-attributes"), optional(attributes))
    }
}

/// When an item came and when it last changed.
pub(super) fn dates(created: UnixTime, modified: UnixTime) -> Object {
    Object::new().wrapped(common("created-date"), created).wrapped(common("last-modified-date"), modified)
}

fn normal_form(id: &ExternalId, shown: Normalized) -> Object {
    let (value, error) = match (shown, id.normalized()) {
        (Normalized::Null, _) => (None, None),
        (Normalized::Shown, Some(value)) => (Some(Object::new().content(value).attribute("transient", true)), None),
        (Normalized::Shown, None) => {
            let message = format!("Cannot normalize identifier value {}:{}", id.kind, id.value);
            let error = Object::new()
                .element(common("error-code"), "8001")
                .element(common("error-message"), message)
                .attribute("transient", true);
            (None, Some(error))
        }
    };
    Object::new()
        .element(common("external-id-normalized"), optional(value))
        .element(common("external-id-normalized-error"), optional(error))
}

/// A date with what is unknown left out, or null.
pub(super) fn partial_date(date: Option<PartialDate>) -> Value {
    let Some(date) = date else { return Value::Null };
    let two = |number: Option<u8>| number.map(|number| format!("{number:02}"));
    Object::new()
        .wrapped(common("year"), format!("{:04}", date.year))
        .wrapped(common("month"), two(date.month))
        .wrapped(common("day"), two(date.day))
        .into()
}

pub(super) fn organization(organization: &Organization) -> Object {
    let address = Object::new()
        .element(common("city"), organization.city.as_ref())
        .element(common("region"), organization.region.as_ref())
        .element(common("country"), organization.country.as_ref());
    let registered = organization.registered.as_ref().map(|registered| {
        Object::new()
            .element(common("disambiguated-organization-identifier"), &registered.id)
            .element(common("disambiguation-source"), &registered.register)
    });
    Object::new()
        .element(common("name"), &organization.name)
        .element(common("address"), address)
        .element(common("disambiguated-organization"), optional(registered))
}

/// A tag that is common in version 3.0 and the section's own before.
pub(super) fn own_before(view: &View<'_>, namespace: &'static str, name: &'static str) -> Tag {
    if view.version.is_old() { tag(namespace, name) } else { common(name) }
}
