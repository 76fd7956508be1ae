//! What stands on the seeded people's records: all of it invented, with identifiers reserved for documentation or
//! impossible (a ROR id never ends in 00). Put in place when the simulator starts.

mod ashgrove;
mod others;
mod quillfeather;
mod shelf;

use super::Contents;
use super::item::Source;
use super::personal::Email;
use super::visibility::Visibility;
use crate::domain::UnixTime;
use crate::simulator::clients::MEMBER_CLIENT;
use crate::simulator::people::{self, AccountState, Person};
use shelf::Shelf;

/// A publishers' exchange: writes works, and peer reviews for its journals.
pub(super) const EXCHANGE: &str = "APP-SIMULATEDPUBLISH";
/// A funder: writes grants and what they gave access to.
pub(super) const FUNDER: &str = "APP-SIMULATEDFUNDER0";

/// 15 January 2024: when the seeded people registered.
const REGISTERED: UnixTime = UnixTime(1_705_276_800);

/// The organisations that wrote on seeded records: id, name, what they are. The member client may be registered
/// under another name, which then counts; the others cannot sign anybody in.
const SOURCES: &[(&str, &str, &str)] = &[
    (
        MEMBER_CLIENT,
        "Practice Campus Library",
        "An invented university library that may also read and add to records (member API).",
    ),
    (EXCHANGE, "Imaginary Publishers’ Exchange", "An invented service that tells records about publications."),
    (FUNDER, "Make-Believe Science Fund", "An invented funder that tells records about its grants."),
];

/// Name and description of an organisation that wrote on a seeded record.
pub(in crate::simulator) fn known_source(id: &str) -> Option<(&'static str, &'static str)> {
    SOURCES.iter().find(|(known, _, _)| *known == id).map(|&(_, name, about)| (name, about))
}

/// What a record begins with.
pub(in crate::simulator) struct Seeded {
    pub(in crate::simulator) contents: Contents,
    /// `None`: whenever the simulator starts.
    pub(in crate::simulator) created: Option<UnixTime>,
    pub(in crate::simulator) modified: Option<UnixTime>,
}

/// The contents for a person: by iD for the seeded people, an e-mail address and nothing else for others.
pub(in crate::simulator) fn seeded_contents(person: &Person, now: UnixTime) -> Seeded {
    if !people::is_seeded(person.orcid) {
        let contents = Contents { emails: vec![primary(person, now)], ..Contents::default() };
        return Seeded { contents, created: None, modified: None };
    }
    let mut shelf = Shelf::new(REGISTERED, person.orcid);
    shelf.contents.emails.push(primary(person, REGISTERED));
    if person.state == AccountState::Active {
        match person.orcid.as_str() {
            people::ORDINARY => ashgrove::fill(&mut shelf),
            people::CREDIT_NAME => quillfeather::fill(&mut shelf),
            orcid => others::fill(orcid, &mut shelf),
        }
    }
    Seeded { created: Some(REGISTERED), modified: Some(shelf.latest()), contents: shelf.contents }
}

/// The address the person signs in with: verified, and for nobody else's eyes (`orcid.md` §8.4).
fn primary(person: &Person, at: UnixTime) -> Email {
    Email {
        created: at,
        modified: at,
        source: Source::holder(),
        visibility: Visibility::Private,
        address: person.email.clone(),
        verified: true,
        primary: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn put_codes_are_unique_and_two_records_have_everything() {
        let mut codes = BTreeSet::new();
        let mut rich = 0;
        for person in people::seeded() {
            let Contents {
                biography,
                emails,
                other_names,
                researcher_urls,
                addresses,
                keywords,
                external_identifiers,
                affiliations,
                fundings,
                peer_reviews,
                research_resources,
                works,
            } = seeded_contents(&person, REGISTERED).contents;
            let lists: [Vec<i64>; 10] = [
                other_names.iter().map(|item| item.put_code.number()).collect(),
                researcher_urls.iter().map(|item| item.put_code.number()).collect(),
                addresses.iter().map(|item| item.put_code.number()).collect(),
                keywords.iter().map(|item| item.put_code.number()).collect(),
                external_identifiers.iter().map(|item| item.put_code.number()).collect(),
                affiliations.iter().map(|item| item.put_code.number()).collect(),
                fundings.iter().map(|item| item.put_code.number()).collect(),
                peer_reviews.iter().map(|item| item.put_code.number()).collect(),
                research_resources.iter().map(|item| item.put_code.number()).collect(),
                works.iter().map(|item| item.put_code.number()).collect(),
            ];
            rich += usize::from(biography.is_some() && emails.len() > 1 && lists.iter().all(|list| !list.is_empty()));
            for code in lists.concat() {
                assert!(codes.insert(code), "{code} is given out twice");
                assert!(code < 100_000, "{code}: the numbers from here on are for what is written while it runs");
            }
        }
        assert_eq!(rich, 2);
    }
}
