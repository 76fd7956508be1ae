//! The record as a graph in schema.org's words: JSON-LD, which the public API alone makes (`orcid.md` §8.2; the
//! mapping after ORCID's own). What is empty is left out, and a list of one is that one.

use super::super::affiliation::{Affiliation, AffiliationKind};
use super::super::external_id::ExternalId;
use super::super::funding::Funding;
use super::super::group::{Group, group};
use super::super::item::Item;
use super::super::parts::Registered;
use super::super::tree::{Object, Value, tag};
use super::super::work::Work;
use super::View;

impl View<'_> {
    /// The record; needs a sight of public data.
    pub(in crate::simulator) fn linked_data(&self) -> Object {
        let (person, contents) = (&self.record.person, &self.record.contents);
        let uri = person.orcid.uri(&self.base());
        let addresses = self.in_order(&contents.addresses).into_iter().map(|item| {
            let place = member(kind("PostalAddress"), "addressCountry", Some(Value::from(&item.content)));
            Value::from(place)
        });
        let names = self.in_order(&contents.other_names).into_iter().map(|item| Value::from(&item.content));
        let pages = self.in_order(&contents.researcher_urls).into_iter().map(|item| Value::from(&item.content.url));
        let ids = self.in_order(&contents.external_identifiers);
        let ids = ids.into_iter().map(|item| property(&item.content.kind, &item.content.value));
        let object = member(Object::new(), "@context", Some("http://schema.org"));
        let object = member(object, "@type", Some("Person"));
        let object = member(object, "@id", Some(uri.as_str()));
        let object = member(object, "mainEntityOfPage", Some(uri.as_str()));
        let object = member(object, "name", person.public_credit_name());
        let object = member(object, "givenName", person.public_given());
        let object = member(object, "familyName", person.public_family());
        let object = members(object, "alternateName", names.collect());
        let object = members(object, "address", addresses.collect());
        let object =
            members(object, "alumniOf", self.places(&[AffiliationKind::Education, AffiliationKind::Qualification]));
        let object = members(object, "affiliation", self.places(PLACES));
        let object = member(object, "@reverse", Some(self.made_and_funded()));
        let object = members(object, "url", pages.collect());
        members(object, "identifier", ids.collect())
    }

    /// Works and funders point at the person, not the person at them.
    fn made_and_funded(&self) -> Object {
        let fundings = group(self.in_order(&self.record.contents.fundings), |funding| funding.external_ids.as_slice());
        let object = members(Object::new(), "funder", fundings.iter().filter_map(funder).map(Value::from).collect());
        members(object, "creator", self.work_groups().iter().map(|group| creation(group).into()).collect())
    }

    /// The organisations of these affiliations, as far as a register knows them, each once.
    fn places(&self, kinds: &[AffiliationKind]) -> Vec<Value> {
        let groups =
            kinds.iter().flat_map(|kind| group(self.affiliations_of(*kind), |place| place.external_ids.as_slice()));
        let mut places = Vec::new();
        for place in groups.filter_map(|group| place(&group)).map(Value::from) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }
}

/// What counts as an affiliation, in ORCID's order. Studies are something else.
const PLACES: &[AffiliationKind] = &[
    AffiliationKind::Employment,
    AffiliationKind::Distinction,
    AffiliationKind::InvitedPosition,
    AffiliationKind::Membership,
    AffiliationKind::Service,
];

fn place(group: &Group<'_, Affiliation>) -> Option<Object> {
    let organizations: Vec<_> = group.items.iter().map(|item| item.content.organization.as_ref()).collect();
    let first = organizations.first().copied().flatten()?;
    first.registered.as_ref()?;
    let registered = organizations.iter().flatten().filter_map(|organization| organization.registered.as_ref());
    let department = group.items.first().and_then(|item| item.content.department.as_deref());
    Some(organization(&first.name, department, registered, Vec::new()))
}

fn funder(group: &Group<'_, Funding>) -> Option<Object> {
    let first: &Item<Funding> = group.items.first()?;
    first.content.organization.registered.as_ref()?;
    let registered = group.items.iter().filter_map(|item| item.content.organization.registered.as_ref());
    let grants = group.ids.iter().filter_map(|id| Some(property(&id.kind, &id.normalized()?))).collect();
    Some(organization(&first.content.organization.name, Some(&first.content.title.title), registered, grants))
}

/// An organisation. The first entry in a register that has addresses is its name in the graph, others are the same
/// thing; entries of other registers are mere identifiers.
fn organization<'r>(
    name: &str,
    alternate: Option<&str>,
    registered: impl Iterator<Item = &'r Registered>,
    more: Vec<Value>,
) -> Object {
    let (mut addresses, mut ids): (Vec<String>, Vec<Value>) = Default::default();
    for entry in registered {
        match entry.register.as_str() {
            "FUNDREF" => addresses.extend(doi_address(&entry.id)),
            "GRID" => addresses.push(entry.id.clone()),
            register => ids.push(property(register, &entry.id)),
        }
    }
    ids.extend(more);
    let mut addresses = addresses.into_iter();
    let object = member(kind("Organization"), "@id", addresses.next());
    let object = member(object, "name", Some(name));
    let object = member(object, "alternateName", alternate);
    let object = members(object, "identifier", ids);
    members(object, "sameAs", addresses.map(Value::from).collect())
}

/// A group of works as one creation, by its favourite's title.
fn creation(group: &Group<'_, Work>) -> Object {
    let (mut address, mut same, mut ids) = (None, Vec::new(), Vec::new());
    for id in &group.ids {
        let Some(normal) = id.normalized() else { continue };
        ids.push(property(&id.kind, &normal));
        match address_of(id) {
            Some(found) if id.kind == "doi" && address.is_none() => address = Some(found),
            found => same.extend(found.map(Value::from)),
        }
    }
    let object = member(kind("CreativeWork"), "@id", address);
    let object = member(object, "name", group.items.first().map(|item| item.content.title.title.as_str()));
    let object = members(object, "identifier", ids);
    members(object, "sameAs", same)
}

fn address_of(id: &ExternalId) -> Option<String> {
    match id.kind.as_str() {
        "doi" => doi_address(&id.value),
        _ => id.url.clone(),
    }
}

fn doi_address(value: &str) -> Option<String> {
    let doi = ExternalId {
        kind: "doi".to_owned(),
        value: value.to_owned(),
        url: None,
        relationship: super::super::Relationship::Itself,
    };
    Some(format!("https://doi.org/{}", doi.normalized()?))
}

fn property(name: &str, value: &str) -> Value {
    let object = member(kind("PropertyValue"), "propertyID", Some(name));
    member(object, "value", Some(value)).into()
}

fn kind(name: &str) -> Object {
    member(Object::new(), "@type", Some(name))
}

/// One member, unless it is nothing.
fn member<V: Into<Value>>(object: Object, name: &'static str, value: Option<V>) -> Object {
    match value {
        Some(value) => object.element(tag("", name), value),
        None => object,
    }
}

/// A list, unless it is empty; one value stands by itself.
fn members(object: Object, name: &'static str, mut values: Vec<Value>) -> Object {
    match values.len() {
        0 => object,
        1 => member(object, name, values.pop()),
        _ => object.items(tag("", name), values),
    }
}
