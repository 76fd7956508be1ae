//! The record of the ordinary researcher, Rowan Ashgrove: every section, every visibility, and every way an item
//! can come on a record.

use super::super::affiliation::{Affiliation, AffiliationKind::*};
use super::super::external_id::{ExternalId, Relationship};
use super::super::funding::{Amount, Funding};
use super::super::item::Source;
use super::super::peer_review::{PeerReview, Subject};
use super::super::research_resource::{ResearchResource, Resource};
use super::super::visibility::Visibility::{Limited, Private, Public};
use super::super::work::{Citation, Work};
use super::shelf::*;
use super::{EXCHANGE, FUNDER};
use crate::simulator::clients::MEMBER_CLIENT;
use crate::simulator::people;

pub(super) fn fill(shelf: &mut Shelf) {
    person(shelf);
    affiliations(shelf);
    works(shelf);
    grants(shelf);
    reviews(shelf);
    resources(shelf);
}

fn member() -> Source {
    Source::client(MEMBER_CLIENT)
}

fn person(shelf: &mut Shelf) {
    shelf.biography(Public, "Studies how imaginary rivers meander.\n\nLikes maps — the older the better.");
    shelf.email(Public, "rowan@practice-campus.example", true);
    shelf.email(Limited, "r.ashgrove@lab.example", true);
    shelf.email(Public, "rowan@old-campus.example", false);
    shelf.other_name(Public, Source::holder(), "R. Ashgrove");
    shelf.other_name(Public, member(), "Rowan Eschenhain");
    shelf.other_name(Limited, Source::holder(), "Rowan of the Rivers");
    shelf.other_name(Private, Source::holder(), "Ro");
    shelf.website(Public, Source::holder(), Some("Meander maps"), "https://rivers.example/maps?from=sea&to=source");
    shelf.website(Limited, Source::holder(), None, "https://rivers.example/drafts");
    shelf.website(Private, member(), Some("Repository profile"), "https://repository.campus.example/u/ashgrove");
    shelf.address(Public, Source::holder(), "GB");
    shelf.address(Limited, Source::holder(), "IS");
    shelf.keyword(Public, Source::holder(), "fluvial geomorphology");
    shelf.keyword(Public, Source::holder_through(MEMBER_CLIENT), "cartography");
    shelf.keyword(Limited, Source::holder(), "dowsing");
    shelf.keyword(Private, Source::holder(), "treasure");
    let author = id("Scopus Author ID", "7000000019", Some("https://authors.example/7000000019"));
    shelf.identifier(Public, Source::client(EXCHANGE), author);
    shelf.identifier(Limited, Source::holder(), id("Loop profile", "190019", Some("https://loop.example/190019")));
}

fn affiliations(shelf: &mut Shelf) {
    shelf.affiliation(
        Public,
        member(),
        Affiliation {
            department: Some("School of Rivers".to_owned()),
            start: Some(month(2021, 9)),
            url: Some("https://www.practice-campus.example/rivers".to_owned()),
            external_ids: vec![id("proposal-id", "HR-0019", None)],
            ..affiliation(Employment, "Lecturer", practice_university())
        },
    );
    shelf.affiliation(
        Public,
        Source::holder(),
        Affiliation {
            start: Some(day(2018, 4, 1)),
            end: Some(day(2021, 8, 31)),
            ..affiliation(Employment, "Wissenschaftliche Mitarbeit", nowhere_institute())
        },
    );
    shelf.affiliation(
        Limited,
        Source::holder(),
        Affiliation {
            start: Some(year(2024)),
            ..affiliation(Employment, "Adviser", unregistered("Harbour Board of Fabel", "Fabel", "NL"))
        },
    );
    shelf.affiliation(Private, member(), affiliation(Employment, "Reserve member", practice_university()));
    shelf.affiliation(
        Public,
        Source::holder(),
        Affiliation {
            department: Some("Geographie".to_owned()),
            start: Some(year(2010)),
            end: Some(month(2013, 7)),
            ..affiliation(Education, "BSc", nowhere_institute())
        },
    );
    shelf.affiliation(
        Limited,
        Source::holder(),
        Affiliation {
            start: Some(year(2013)),
            end: Some(year(2017)),
            ..affiliation(Education, "PhD", practice_university())
        },
    );
    for (kind, role) in [
        (Distinction, "Golden Compass"),
        (InvitedPosition, "Visiting fellow"),
        (Membership, "Fellow"),
        (Qualification, "Certified surveyor"),
        (Service, "Member of the map committee"),
    ] {
        let affiliation = Affiliation { start: Some(year(2019)), ..affiliation(kind, role, society()) };
        shelf.affiliation(Public, Source::holder(), affiliation.clone());
        shelf.affiliation(
            Limited,
            Source::holder(),
            Affiliation { role: Some(format!("{role} (lapsed)")), end: Some(year(2020)), ..affiliation },
        );
    }
}

fn works(shelf: &mut Shelf) {
    let rowan = people::ORDINARY.parse().ok();
    let meanders = |ids| Work {
        journal: Some("Journal of Invented Rivers".to_owned()),
        published: Some(day(2023, 3, 14)),
        url: Some("https://doi.org/10.5555/rivers.2023.1".to_owned()),
        ..work("journal-article", "Meanders that never were", ids)
    };
    // One article as three know it: its author, the publisher, and the library, which writes the DOI as an address.
    shelf.work(
        Public,
        Source::client(EXCHANGE),
        Work {
            description: Some("Why a river that does not exist still bends.".to_owned()),
            citation: Some(Citation {
                kind: "bibtex".to_owned(),
                text: "@article{ashgrove2023,\n  title = {Meanders that never were},\n  year = {2023}\n}".to_owned(),
            }),
            contributors: vec![
                contributor(rowan, "Rowan Ashgrove", "first", "author"),
                contributor(None, "Ülkü Şahin", "additional", "author"),
            ],
            language: Some("en".to_owned()),
            country: Some("GB".to_owned()),
            ..meanders(vec![doi("10.5555/rivers.2023.1"), part_of("issn", "0000-0000")])
        },
    );
    let own = meanders(vec![doi("10.5555/RIVERS.2023.1")]);
    let own = shelf.favourite(1, Public, Source::holder(), own);
    shelf.contents.works.push(own);
    let address = id("doi", "https://doi.org/10.5555/rivers.2023.1", Some("https://doi.org/10.5555/rivers.2023.1"));
    shelf.work(Public, member(), meanders(vec![address, id("handle", "20.500.12345/19", None)]));
    let mut book = work("book", "Flüsse, die es nicht gibt", vec![id("isbn", "978-0-00-000000-2", None)]);
    book.title.subtitle = Some("Ein Atlas".to_owned());
    book.title.translated = translated("Rivers that do not exist", "en");
    shelf.work(Public, Source::holder_through(EXCHANGE), Work { published: Some(month(2022, 11)), ..book });
    let former = ExternalId { relationship: Relationship::VersionOf, ..doi("10.5555/data.6") };
    let grant = ExternalId { relationship: Relationship::FundedBy, ..id("grant_number", "MBSF-42", None) };
    let data = work("data-set", "Soundings of the river Lethe", vec![doi("10.5555/data.7"), former, grant]);
    shelf.work(Public, Source::on_behalf(MEMBER_CLIENT, EXCHANGE), Work { published: Some(year(2021)), ..data });
    shelf.work(Public, Source::holder(), work("dissertation-thesis", "On bends", vec![id("doi", "no-doi", None)]));
    shelf.work(Limited, Source::holder(), work("preprint", "Currents under ice (draft)", vec![doi("10.5555/draft.1")]));
    shelf.work(Limited, member(), work("report", "Deposit: flood report", vec![id("handle", "20.500.12345/20", None)]));
    shelf.work(Private, Source::holder(), work("other", "Notes to myself", vec![id("source-work-id", "notes", None)]));
    shelf.work(Private, member(), work("software", "Embargoed deposit", vec![doi("10.5555/embargo.1")]));
}

fn grants(shelf: &mut Shelf) {
    let grant = Funding {
        kind: "grant".to_owned(),
        defined_kind: Some("Starter grant".to_owned()),
        title: title("Rivers of the mind"),
        description: Some("Five years of upstream thinking.".to_owned()),
        amount: Some(Amount { value: "120000.00".to_owned(), currency: "CHF".to_owned() }),
        url: Some("https://fund.example/grants/42".to_owned()),
        start: Some(month(2022, 1)),
        end: Some(month(2026, 12)),
        external_ids: vec![id("grant_number", "MBSF-42", Some("https://fund.example/grants/42"))],
        contributors: vec![contributor(people::ORDINARY.parse().ok(), "Rowan Ashgrove", "", "lead")],
        organization: fund(),
    };
    let public = shelf.item(Public, Source::client(FUNDER), grant.clone());
    let limited = shelf.item(
        Limited,
        Source::holder(),
        Funding {
            kind: "award".to_owned(),
            title: title("Travel money"),
            external_ids: vec![id("grant_number", "T-1", None)],
            defined_kind: None,
            description: None,
            amount: None,
            url: None,
            contributors: Vec::new(),
            ..grant
        },
    );
    shelf.contents.fundings.extend([public, limited]);
}

fn reviews(shelf: &mut Shelf) {
    let review = PeerReview {
        role: "reviewer".to_owned(),
        kind: "review".to_owned(),
        external_ids: vec![id("source-work-id", "review-1", Some("https://exchange.example/reviews/1"))],
        url: Some("https://exchange.example/reviews/1".to_owned()),
        completed: Some(month(2024, 5)),
        group_id: "issn:0000-0000".to_owned(),
        subject: Some(Subject {
            external_id: Some(doi("10.5555/rivers.2024.9")),
            container: Some("Journal of Invented Rivers".to_owned()),
            kind: Some("journal-article".to_owned()),
            name: Some(title("A delta too far")),
            url: Some("https://doi.org/10.5555/rivers.2024.9".to_owned()),
        }),
        organization: society(),
    };
    let first = shelf.item(Public, Source::client(EXCHANGE), review.clone());
    let second = PeerReview {
        external_ids: vec![id("source-work-id", "review-2", None)],
        completed: Some(year(2023)),
        subject: None,
        ..review.clone()
    };
    let second = shelf.item(Public, Source::client(EXCHANGE), second);
    let limited =
        shelf.item(Limited, Source::client(EXCHANGE), PeerReview { group_id: "fund:panel".to_owned(), ..review });
    shelf.contents.peer_reviews.extend([first, second, limited]);
}

fn resources(shelf: &mut Shelf) {
    let mut proposal = title("Time on the great flume");
    proposal.translated = translated("Zeit an der großen Rinne", "de");
    let resource = ResearchResource {
        title: proposal,
        hosts: vec![nowhere_institute(), fund()],
        external_ids: vec![id("proposal-id", "FLUME-7", Some("https://flume.example/7"))],
        start: Some(day(2024, 2, 2)),
        end: Some(day(2024, 2, 10)),
        url: Some("https://flume.example/7".to_owned()),
        resources: vec![Resource {
            name: "The great flume".to_owned(),
            kind: "infrastructures".to_owned(),
            hosts: vec![nowhere_institute()],
            external_ids: vec![id("rrid", "RRID:flume", None)],
            url: Some("https://flume.example/".to_owned()),
        }],
    };
    let public = shelf.item(Public, Source::client(FUNDER), resource.clone());
    let limited = ResearchResource {
        title: title("Time on the small flume"),
        external_ids: vec![id("proposal-id", "FLUME-8", None)],
        resources: Vec::new(),
        ..resource
    };
    let limited = shelf.item(Limited, Source::holder(), limited);
    shelf.contents.research_resources.extend([public, limited]);
}
