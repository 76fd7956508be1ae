//! The other seeded people's records: each holds what its person is for, and most hold little.

use super::super::affiliation::{Affiliation, AffiliationKind::*};
use super::super::item::Source;
use super::super::visibility::Visibility::{Limited, Private, Public};
use super::super::work::Work;
use super::EXCHANGE;
use super::shelf::*;
use crate::simulator::clients::MEMBER_CLIENT;
use crate::simulator::people;

pub(super) fn fill(orcid: &str, shelf: &mut Shelf) {
    match orcid {
        // A public item under a hidden name: its source has no name.
        people::HIDDEN_NAME => {
            shelf.keyword(Public, Source::holder(), "anonymity");
            shelf.biography(Private, "Nobody reads this.");
            shelf.affiliation(Private, Source::holder(), affiliation(Employment, "Ghost", practice_university()));
            shelf.work(Private, Source::holder(), work("other", "Unseen", vec![id("source-work-id", "unseen", None)]));
        }
        // Everything for trusted parties.
        people::LIMITED_NAME => {
            shelf.biography(Limited, "Half open, half shut.");
            shelf.email(Limited, "piet@halfdoor.example", true);
            shelf.keyword(Limited, Source::holder(), "hinges");
            let employment =
                Affiliation { start: Some(year(2020)), ..affiliation(Employment, "Doorkeeper", society()) };
            shelf.affiliation(Limited, Source::client(MEMBER_CLIENT), employment);
            shelf.work(
                Limited,
                Source::holder(),
                work("journal-article", "On thresholds", vec![doi("10.5555/door.1")]),
            );
        }
        // Employed on their own word alone.
        people::MONONYM => {
            let employment = Affiliation {
                start: Some(month(2022, 3)),
                ..affiliation(Employment, "Peneliti", practice_university())
            };
            shelf.affiliation(Public, Source::holder(), employment);
        }
        people::CHINESE => {
            shelf.other_name(Public, Source::holder(), "Ouyang Xiaoming");
            let university = unregistered("练习大学", "示例市", "CN");
            let employment =
                Affiliation { start: Some(day(2016, 9, 1)), ..affiliation(Employment, "教授", university) };
            shelf.affiliation(Public, Source::client(MEMBER_CLIENT), employment);
            let mut article = work("journal-article", "不存在的河流", vec![doi("10.5555/heliu.1")]);
            article.title.translated = translated("Rivers that do not exist", "en");
            shelf.work(Public, Source::client(EXCHANGE), Work { published: Some(year(2020)), ..article });
        }
        people::ARABIC => {
            shelf.biography(Public, "باحثة في خرائط لم تُرسم بعد.");
            shelf.keyword(Public, Source::holder(), "خرائط");
            shelf.address(Public, Source::holder(), "TN");
        }
        people::COMBINING => shelf.other_name(Public, Source::holder(), "Zoë Nguyễn-Åström"),
        // Worked at the university once, added in the library's wizard.
        people::CHECK_X => {
            let employment = Affiliation {
                start: Some(year(2012)),
                end: Some(month(2019, 12)),
                ..affiliation(Employment, "Technicien", practice_university())
            };
            shelf.affiliation(Public, Source::holder_through(MEMBER_CLIENT), employment);
        }
        // What a careless reader of JSON, XML or pages breaks on.
        people::HOSTILE_NAME => {
            shelf.keyword(Public, Source::holder(), "]]><script>alert('k')</script>");
            shelf.website(Public, Source::holder(), Some("\"><img src=x>"), "https://tables.example/?a=1&b=<2>");
            let title = "</title>\u{8}\u{0}\u{fffe} & \"quotes\" \\ {{7*7}} %0d%0aX-Evil: 1";
            shelf.work(Public, Source::holder(), work("other", title, vec![id("source-work-id", "<&>\"'", None)]));
        }
        _ => {}
    }
}
