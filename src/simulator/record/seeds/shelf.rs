//! [`Shelf`]: puts invented items on a record one after the other: put-codes in ascending order, one item a day.

use super::super::Contents;
use super::super::affiliation::{Affiliation, AffiliationKind};
use super::super::external_id::{ExternalId, Relationship};
use super::super::item::{Item, PutCodes, Source};
use super::super::parts::{Contributor, Organization, PartialDate, Registered, Title, Translated};
use super::super::personal::{Biography, Email};
use super::super::visibility::Visibility;
use super::super::work::Work;
use crate::domain::{OrcidId, UnixTime};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// How many put-codes are kept for each seeded person.
const ROOM: i64 = 1_000;

pub(super) struct Shelf {
    pub(super) contents: Contents,
    codes: PutCodes,
    at: UnixTime,
}

impl Shelf {
    /// The first put-code is a thousand for each seeded person: the iD's last digits but one, in their order.
    pub(super) fn new(registered: UnixTime, orcid: OrcidId) -> Self {
        let tail: i64 = orcid.as_str()[15..18].parse().unwrap_or(0);
        Self { contents: Contents::default(), codes: PutCodes::from(tail * ROOM + 1), at: registered }
    }

    /// When the last item was put on.
    pub(super) fn latest(&self) -> UnixTime {
        self.at
    }

    pub(super) fn item<T>(&mut self, visibility: Visibility, source: Source, content: T) -> Item<T> {
        self.at = self.at.plus(DAY);
        let (created, modified) = (self.at, self.at);
        Item { put_code: self.codes.next(), created, modified, source, visibility, display_index: 0, content }
    }

    /// The same, put before what was put on before.
    pub(super) fn favourite<T>(&mut self, index: i64, visibility: Visibility, source: Source, content: T) -> Item<T> {
        Item { display_index: index, ..self.item(visibility, source, content) }
    }

    pub(super) fn biography(&mut self, visibility: Visibility, text: &str) {
        self.at = self.at.plus(DAY);
        self.contents.biography =
            Some(Biography { created: self.at, modified: self.at, visibility, content: text.to_owned() });
    }

    pub(super) fn email(&mut self, visibility: Visibility, address: &str, verified: bool) {
        self.at = self.at.plus(DAY);
        self.contents.emails.push(Email {
            created: self.at,
            modified: self.at,
            source: Source::holder(),
            visibility,
            address: address.to_owned(),
            verified,
            primary: false,
        });
    }

    pub(super) fn other_name(&mut self, visibility: Visibility, source: Source, name: &str) {
        let index = self.contents.other_names.len();
        let item = self.favourite(i64::try_from(index).unwrap_or(0), visibility, source, name.to_owned());
        self.contents.other_names.push(item);
    }

    pub(super) fn keyword(&mut self, visibility: Visibility, source: Source, word: &str) {
        let item = self.item(visibility, source, word.to_owned());
        self.contents.keywords.push(item);
    }

    pub(super) fn address(&mut self, visibility: Visibility, source: Source, country: &str) {
        let item = self.item(visibility, source, country.to_owned());
        self.contents.addresses.push(item);
    }

    pub(super) fn website(&mut self, visibility: Visibility, source: Source, name: Option<&str>, url: &str) {
        let content = super::super::personal::Website { name: name.map(str::to_owned), url: url.to_owned() };
        let item = self.item(visibility, source, content);
        self.contents.researcher_urls.push(item);
    }

    pub(super) fn identifier(&mut self, visibility: Visibility, source: Source, id: ExternalId) {
        let item = self.item(visibility, source, id);
        self.contents.external_identifiers.push(item);
    }

    pub(super) fn affiliation(&mut self, visibility: Visibility, source: Source, affiliation: Affiliation) {
        let item = self.item(visibility, source, affiliation);
        self.contents.affiliations.push(item);
    }

    pub(super) fn work(&mut self, visibility: Visibility, source: Source, work: Work) {
        let item = self.item(visibility, source, work);
        self.contents.works.push(item);
    }
}

pub(super) fn year(year: u16) -> PartialDate {
    PartialDate { year, month: None, day: None }
}

pub(super) fn month(year: u16, month: u8) -> PartialDate {
    PartialDate { year, month: Some(month), day: None }
}

pub(super) fn day(year: u16, month: u8, day: u8) -> PartialDate {
    PartialDate { year, month: Some(month), day: Some(day) }
}

pub(super) fn title(text: &str) -> Title {
    Title { title: text.to_owned(), subtitle: None, translated: None }
}

pub(super) fn translated(text: &str, language: &str) -> Option<Translated> {
    Some(Translated { text: text.to_owned(), language: language.to_owned() })
}

/// An identifier of the item itself.
pub(super) fn id(kind: &str, value: &str, url: Option<&str>) -> ExternalId {
    ExternalId {
        kind: kind.to_owned(),
        value: value.to_owned(),
        url: url.map(str::to_owned),
        relationship: Relationship::Itself,
    }
}

pub(super) fn doi(value: &str) -> ExternalId {
    id("doi", value, Some(&format!("https://doi.org/{value}")))
}

/// The journal's number.
pub(super) fn part_of(kind: &str, value: &str) -> ExternalId {
    ExternalId { relationship: Relationship::PartOf, ..id(kind, value, None) }
}

fn organization(name: &str, city: &str, country: &str, registered: Option<(&str, &str)>) -> Organization {
    let owned = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Organization {
        name: name.to_owned(),
        city: owned(city),
        region: None,
        country: owned(country),
        registered: registered.map(|(register, id)| Registered { id: id.to_owned(), register: register.to_owned() }),
    }
}

/// The university whose library is the member client.
pub(super) fn practice_university() -> Organization {
    let region = Some("Training County".to_owned());
    Organization {
        region,
        ..organization("Practice University", "Exampleton", "GB", Some(("ROR", "https://ror.org/00cmpvs00")))
    }
}

pub(super) fn nowhere_institute() -> Organization {
    organization("Institut für Nirgendwo", "Würzhausen", "DE", Some(("ROR", "https://ror.org/00nwher00")))
}

pub(super) fn society() -> Organization {
    organization("Society of Invented Sciences", "Fabel", "NL", Some(("GRID", "grid.000000.0")))
}

pub(super) fn fund() -> Organization {
    organization("Make-Believe Science Fund", "Bern", "CH", Some(("FUNDREF", "http://dx.doi.org/10.5555/fund")))
}

/// An organisation no register knows, without an address.
pub(super) fn unregistered(name: &str, city: &str, country: &str) -> Organization {
    organization(name, city, country, None)
}

pub(super) fn affiliation(kind: AffiliationKind, role: &str, organization: Organization) -> Affiliation {
    Affiliation {
        kind,
        department: None,
        role: Some(role.to_owned()),
        start: None,
        end: None,
        organization: Some(organization),
        url: None,
        external_ids: Vec::new(),
    }
}

pub(super) fn work(kind: &str, text: &str, external_ids: Vec<ExternalId>) -> Work {
    Work {
        kind: kind.to_owned(),
        title: title(text),
        journal: None,
        description: None,
        citation: None,
        published: None,
        external_ids,
        url: None,
        contributors: Vec::new(),
        language: None,
        country: None,
    }
}

pub(super) fn contributor(orcid: Option<OrcidId>, name: &str, sequence: &str, role: &str) -> Contributor {
    Contributor {
        orcid,
        name: Some(name.to_owned()),
        sequence: Some(sequence.to_owned()).filter(|sequence| !sequence.is_empty()),
        role: Some(role.to_owned()),
    }
}
