//! The record of E. T. Quillfeather, who publishes under a credit name: every section, shorter, mostly seen by all.

use super::super::affiliation::{Affiliation, AffiliationKind::*};
use super::super::funding::Funding;
use super::super::item::Source;
use super::super::peer_review::PeerReview;
use super::super::research_resource::{ResearchResource, Resource};
use super::super::visibility::Visibility::{Limited, Private, Public};
use super::super::work::Work;
use super::shelf::*;
use super::{EXCHANGE, FUNDER};
use crate::simulator::clients::MEMBER_CLIENT;

pub(super) fn fill(shelf: &mut Shelf) {
    shelf.biography(Limited, "Writes about letters that were never sent.");
    shelf.email(Public, "quill@letters.example", true);
    shelf.other_name(Public, Source::holder(), "Élise T. Thornbury");
    shelf.other_name(Private, Source::client(MEMBER_CLIENT), "Quill");
    shelf.website(Public, Source::holder(), Some("Letters never sent"), "https://letters.example/");
    shelf.address(Public, Source::client(MEMBER_CLIENT), "FR");
    shelf.keyword(Public, Source::holder(), "épistolaire");
    shelf.keyword(Limited, Source::holder(), "ink");
    shelf.identifier(Public, Source::holder(), id("ISNI", "0000000000000043", Some("https://isni.example/43")));
    shelf.affiliation(
        Public,
        Source::holder_through(MEMBER_CLIENT),
        Affiliation {
            department: Some("Département des lettres".to_owned()),
            start: Some(year(2015)),
            ..affiliation(Employment, "Professeure", practice_university())
        },
    );
    for (kind, role) in [
        (Education, "Doctorat"),
        (Distinction, "Silver Inkwell"),
        (InvitedPosition, "Writer in residence"),
        (Membership, "Member"),
        (Qualification, "Habilitation"),
        (Service, "Jury"),
    ] {
        let affiliation = Affiliation { start: Some(year(2008)), ..affiliation(kind, role, society()) };
        shelf.affiliation(Public, Source::client(MEMBER_CLIENT), affiliation);
    }
    add_works(shelf);
    add_prize(shelf);
    add_review(shelf);
    add_archive(shelf);
}

fn add_works(shelf: &mut Shelf) {
    let letters = vec![doi("10.5555/letters.1")];
    shelf.work(
        Public,
        Source::client(MEMBER_CLIENT),
        Work { published: Some(year(2019)), ..work("edited-book", "Lettres jamais envoyées", letters) },
    );
    shelf.work(
        Limited,
        Source::holder(),
        work("blog-post", "Dear nobody", vec![id("uri", "https://letters.example/1", None)]),
    );
}

fn add_prize(shelf: &mut Shelf) {
    let prize = Funding {
        kind: "award".to_owned(),
        defined_kind: None,
        title: title("Prize for the best unsent letter"),
        description: None,
        amount: None,
        url: None,
        start: Some(year(2020)),
        end: None,
        external_ids: vec![id("grant_number", "MBSF-43", None)],
        contributors: Vec::new(),
        organization: fund(),
    };
    let prize = shelf.item(Public, Source::client(FUNDER), prize);
    shelf.contents.fundings.push(prize);
}

fn add_review(shelf: &mut Shelf) {
    let review = PeerReview {
        role: "editor".to_owned(),
        kind: "evaluation".to_owned(),
        external_ids: vec![id("source-work-id", "evaluation-43", None)],
        url: None,
        completed: Some(day(2022, 2, 28)),
        group_id: "orcid-generated:letters".to_owned(),
        subject: None,
        organization: unregistered("Revue des lettres", "Paris", "FR"),
    };
    let review = shelf.item(Public, Source::client(EXCHANGE), review);
    shelf.contents.peer_reviews.push(review);
}

fn add_archive(shelf: &mut Shelf) {
    let archive = ResearchResource {
        title: title("A week in the dead letter office"),
        hosts: vec![society()],
        external_ids: vec![id("proposal-id", "DLO-1", None)],
        start: Some(month(2021, 6)),
        end: None,
        url: None,
        resources: vec![Resource {
            name: "Dead letters, 1890 to 1910".to_owned(),
            kind: "collections".to_owned(),
            hosts: vec![society()],
            external_ids: vec![id("uri", "https://letters.example/dead", None)],
            url: None,
        }],
    };
    let archive = shelf.item(Public, Source::holder(), archive);
    shelf.contents.research_resources.push(archive);
}
