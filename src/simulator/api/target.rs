//! [`Target`]: what a path below a version asks for (`orcid.md` §8.1). Pure; called by `mod`.

use crate::simulator::record::{Activity, PersonList, Version};
use percent_encoding::percent_decode_str;

/// An address of the API, whoever may use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The version itself, where ORCID has its documentation.
    Front,
    /// `status`, `apiStatus`, `pubStatus`.
    Status(Status),
    Search,
    ExpandedSearch,
    CsvSearch,
    Client(String),
    /// Something of a record; the iD as it was written.
    Of(String, Part),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Both,
    Member,
    Public,
}

/// A part of a record. Put-codes as they were written: how one is refused depends on who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `/{iD}`, which has one format more than `/{iD}/record`.
    Plain,
    Whole,
    Person,
    PersonalDetails,
    Biography,
    Email,
    List(PersonList),
    ListItem(PersonList, String),
    Activities,
    Group(Activity),
    /// Where activities of a kind are added: for writes on the member API.
    Adding(Activity),
    Item(Activity, String),
    Summary(Activity, String),
    Bulk(String),
    Figures,
}

impl Target {
    /// Reads what follows the version in a path, from its slash on. `None`: there is no such address in this version.
    pub(super) fn read(version: Version, rest: &str) -> Option<Self> {
        let rest = rest.strip_prefix('/')?;
        if rest.is_empty() {
            return Some(Target::Front);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let segments: Vec<String> =
            rest.split('/').take(5).map(|segment| percent_decode_str(segment).decode_utf8_lossy().into()).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let target = match segments.as_slice() {
            [.., ""] | ["", ..] => return None,
            ["status"] => Target::Status(Status::Both),
            ["apiStatus"] if !version.is_old() => Target::Status(Status::Member),
            ["pubStatus"] if !version.is_old() => Target::Status(Status::Public),
            ["search"] => Target::Search,
            ["expanded-search"] if !version.is_old() => Target::ExpandedSearch,
            ["csv-search"] if !version.is_old() => Target::CsvSearch,
            ["client", id] => Target::Client((*id).to_owned()),
            [orcid] => Target::Of((*orcid).to_owned(), Part::Plain),
            [orcid, part @ ..] => Target::Of((*orcid).to_owned(), Part::read(version, part)?),
            [] => return None,
        };
        Some(target)
    }
}

impl Part {
    fn read(version: Version, segments: &[&str]) -> Option<Self> {
        let list = |name: &str| PersonList::ALL.into_iter().find(|list| list.name() == name);
        let known = |activity: &Activity| !version.is_old() || activity.is_old();
        let plural = |name: &str| Activity::all().filter(known).find(|activity| activity.names().list == name);
        let singular = |name: &str| Activity::all().filter(known).find(|activity| activity.names().item == name);
        let fixed = match segments {
            ["record"] => Some(Part::Whole),
            ["person"] => Some(Part::Person),
            ["personal-details"] => Some(Part::PersonalDetails),
            ["biography"] => Some(Part::Biography),
            ["email"] => Some(Part::Email),
            ["activities"] => Some(Part::Activities),
            ["summary"] if !version.is_old() => Some(Part::Figures),
            ["works", codes] => Some(Part::Bulk((*codes).to_owned())),
            _ => None,
        };
        fixed.or_else(|| match segments {
            [name] => list(name)
                .map(Part::List)
                .or_else(|| plural(name).map(Part::Group))
                .or_else(|| singular(name).map(Part::Adding)),
            [name, "summary", code] => singular(name).map(|activity| Part::Summary(activity, (*code).to_owned())),
            [name, code] => list(name)
                .map(|list| Part::ListItem(list, (*code).to_owned()))
                .or_else(|| singular(name).map(|activity| Part::Item(activity, (*code).to_owned()))),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::record::AffiliationKind;

    const ID: &str = "0009-9999-0000-0019";

    fn part(version: Version, rest: &str) -> Option<Part> {
        match Target::read(version, &format!("/{ID}{rest}"))? {
            Target::Of(orcid, part) if orcid == ID => Some(part),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_of_version_3() {
        let service = Activity::Affiliation(AffiliationKind::Service);
        let table = [
            ("", Some(Part::Plain)),
            ("/", Some(Part::Plain)),
            ("/record", Some(Part::Whole)),
            ("/record/", Some(Part::Whole)),
            ("/email", Some(Part::Email)),
            ("/email/7", None),
            ("/address", Some(Part::List(PersonList::Addresses))),
            ("/addresses", None),
            ("/keywords/7/", Some(Part::ListItem(PersonList::Keywords, "7".into()))),
            ("/works", Some(Part::Group(Activity::Work))),
            ("/works/1,2", Some(Part::Bulk("1,2".into()))),
            ("/works/1%2C2", Some(Part::Bulk("1,2".into()))),
            ("/work", Some(Part::Adding(Activity::Work))),
            ("/funding/7", Some(Part::Item(Activity::Funding, "7".into()))),
            ("/funding/summary/7", Some(Part::Summary(Activity::Funding, "7".into()))),
            ("/funding/7/summary", None),
            ("/services", Some(Part::Group(service))),
            ("/service/x", Some(Part::Item(service, "x".into()))),
            ("/services/7", None),
            ("/summary", Some(Part::Figures)),
            ("/activities", Some(Part::Activities)),
            ("/bogus", None),
            ("//", None),
            ("/email/extra/segments/more", None),
        ];
        for (rest, expected) in table {
            assert_eq!(part(Version::V3_0, rest), expected, "{rest}");
        }
    }

    #[test]
    fn addresses_without_a_record_and_what_version_2_lacks() {
        let client = Some(Target::Client("APP-1".into()));
        for (rest, new, old) in [
            ("/", Some(Target::Front), Some(Target::Front)),
            ("/search", Some(Target::Search), Some(Target::Search)),
            ("/search/", Some(Target::Search), Some(Target::Search)),
            (
                "/expanded-search/",
                Some(Target::ExpandedSearch),
                Some(Target::Of("expanded-search".into(), Part::Plain)),
            ),
            ("/client/APP-1", client.clone(), client),
            ("", None, None),
            ("//x", None, None),
            ("/pubStatus", Some(Target::Status(Status::Public)), Some(Target::Of("pubStatus".into(), Part::Plain))),
        ] {
            assert_eq!(Target::read(Version::V3_0, rest), new, "{rest}");
            assert_eq!(Target::read(Version::V2_0, rest), old, "{rest}");
        }
        for rest in ["/services", "/service/7", "/research-resources", "/summary"] {
            assert_eq!(part(Version::V2_1, rest), None, "{rest}");
        }
        assert!(part(Version::V2_1, "/employments").is_some() && part(Version::V2_0, "/peer-review/7").is_some());
    }
}
