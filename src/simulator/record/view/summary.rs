//! `/{iD}/summary`: the record in figures and the first few of each kind, of public data alone (`orcid.md` §8.1;
//! fields after ORCID's summary schema).

use super::super::affiliation::{Affiliation, AffiliationKind};
use super::super::group::{Group, group};
use super::super::item::Item;
use super::super::tree::{Document, Object, Value, common, tag, word};
use super::parts::{dates, partial_date};
use super::{Tag, View};
use std::cmp::Reverse;

/// How many of a kind are named.
const SHOWN: usize = 3;

const fn own(name: &'static str) -> Tag {
    tag("summary", name)
}

impl View<'_> {
    /// Needs a sight of public data: more is never counted.
    pub(in crate::simulator) fn summary(&self) -> Document {
        let contents = &self.record.contents;
        let kinds = |kinds: &[AffiliationKind], list, item| self.affiliations(kinds, list, item);
        use AffiliationKind::*;
        let content = dates(self.record.created, self.record.modified)
            .element(own("credit-name"), self.record.person.public_name())
            .element(common("orcid-identifier"), self.orcid(self.record.person.orcid))
            .element(own("external-identifiers"), self.identifiers())
            .and(kinds(&[Employment], "employments", "employment"))
            .and(kinds(
                &[Distinction, InvitedPosition, Membership, Service],
                "professional-activities",
                "professional-activity",
            ))
            .element(own("fundings"), counted(&group(self.seen(&contents.fundings), |f| f.external_ids.as_slice())))
            .element(own("works"), counted(&group(self.seen(&contents.works), |w| w.external_ids.as_slice())))
            .element(own("peer-reviews"), self.reviews())
            .element(own("email-domains"), None::<&str>)
            .and(kinds(&[Education, Qualification], "education-qualifications", "education-qualification"))
            .element(
                own("research-resources"),
                counted(&group(self.seen(&contents.research_resources), |r| r.external_ids.as_slice())),
            );
        Document { root: own("record-summary"), content }
    }

    fn identifiers(&self) -> Value {
        let seen = self.in_order(&self.record.contents.external_identifiers);
        if seen.is_empty() {
            return Value::Null;
        }
        let shown = seen.into_iter().map(|item| {
            Object::new()
                .element(own("put-code"), item.put_code.number())
                .element(own("external-id-type"), &item.content.kind)
                .element(own("external-id-value"), &item.content.value)
                .element(own("external-id-url"), item.content.url.as_ref())
                .element(own("validated"), !item.source.is_self_asserted())
        });
        Object::new().items(own("external-identifier"), shown).into()
    }

    fn affiliations(&self, kinds: &[AffiliationKind], list: &'static str, item: &'static str) -> Object {
        let mut favourites: Vec<&Item<Affiliation>> = kinds
            .iter()
            .flat_map(|kind| group(self.affiliations_of(*kind), |a| a.external_ids.as_slice()))
            .filter_map(|group| group.items.first().copied())
            .collect();
        // What goes on first, then what ended last.
        favourites.sort_by_key(|item| Reverse((item.content.end.is_none(), item.content.end, item.content.start)));
        let count = i64::try_from(favourites.len()).unwrap_or(i64::MAX);
        let shown: Vec<Object> = favourites
            .into_iter()
            .take(SHOWN)
            .map(|item| {
                let affiliation = &item.content;
                Object::new()
                    .element(own("put-code"), item.put_code.number())
                    .element(own("type"), word(affiliation.kind.names().item))
                    .element(own("organization-name"), affiliation.organization.as_ref().map(|o| &o.name))
                    .element(own("role"), affiliation.role.as_ref())
                    .element(own("url"), affiliation.url.as_ref())
                    .element(common("start-date"), partial_date(affiliation.start))
                    .element(common("end-date"), partial_date(affiliation.end))
                    .element(own("validated"), !item.source.is_self_asserted())
            })
            .collect();
        let figures = Object::new().element(own("count"), count);
        // Null, not an empty list: this schema is younger than the others.
        let figures =
            if shown.is_empty() { figures.element(own(item), Value::Null) } else { figures.items(own(item), shown) };
        Object::new().element(own(list), figures)
    }

    fn reviews(&self) -> Object {
        let seen = self.seen(&self.record.contents.peer_reviews);
        let mut whom: Vec<&str> = seen.iter().map(|item| item.content.group_id.as_str()).collect();
        whom.sort_unstable();
        whom.dedup();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Object::new()
            .element(own("peer-review-publication-grants"), number(whom.len()))
            .element(
                own("self-asserted-count"),
                number(seen.iter().filter(|item| item.source.is_self_asserted()).count()),
            )
            .element(own("total"), number(seen.len()))
    }
}

/// How many groups rest on the person's word alone, and how many on somebody else's.
fn counted<T>(groups: &[Group<'_, T>]) -> Object {
    let by_others = |group: &&Group<'_, T>| group.items.iter().any(|item| !item.source.is_self_asserted());
    let validated = groups.iter().filter(by_others).count();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Object::new()
        .element(own("self-asserted-count"), number(groups.len() - validated))
        .element(own("validated-count"), number(validated))
}
