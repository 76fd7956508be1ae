//! Peer reviews: full, as a summary, and in lists of three levels: whom they were for, what they were about, the
//! reviews (`orcid.md` §8.1). 2.x has two levels.

use super::super::group::{Group, group};
use super::super::item::{Item, PutCode};
use super::super::peer_review::PeerReview;
use super::super::tree::{Object, common, tag, word};
use super::parts::{Normalized, organization, partial_date};
use super::{Missing, Section, View, activities_tag, last_modified, latest_of, optional};
use std::cmp::Reverse;

impl View<'_> {
    pub(super) fn peer_review(&self, code: PutCode) -> Result<Object, Missing> {
        let item = self.find(&self.record.contents.peer_reviews, code)?;
        let review = &item.content;
        let own = |name| tag("peer-review", name);
        let subject = review.subject.as_ref();
        let subject_id = subject.and_then(|subject| subject.external_id.as_ref());
        let name = subject.and_then(|subject| subject.name.as_ref());
        Ok(self
            .beginning(item)
            .element(own("reviewer-role"), word(review.role.clone()))
            .element(own("review-identifiers"), self.external_ids(&review.external_ids, Normalized::Shown))
            .wrapped(own("review-url"), review.url.as_ref())
            .element(own("review-type"), word(review.kind.clone()))
            .element(own("review-completion-date"), partial_date(review.completed))
            .element(own("review-group-id"), &review.group_id)
            .element(
                own("subject-external-identifier"),
                optional(subject_id.map(|id| self.external_id(id, Normalized::Shown))),
            )
            .wrapped(own("subject-container-name"), subject.and_then(|subject| subject.container.as_ref()))
            .element(
                own("subject-type"),
                subject.and_then(|subject| subject.kind.as_deref()).map(|k| self.work_kind(k)),
            )
            .element(own("subject-name"), optional(name.map(|name| self.title(name, true))))
            .wrapped(own("subject-url"), subject.and_then(|subject| subject.url.as_ref()))
            .element(own("convening-organization"), organization(&review.organization))
            .attribute("visibility", word(item.visibility.word()))
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.review_path(item)))
    }

    pub(super) fn one_peer_review_summary(&self, code: PutCode) -> Result<Object, Missing> {
        Ok(self.peer_review_summary(self.find(&self.record.contents.peer_reviews, code)?))
    }

    pub(super) fn peer_review_section(&self) -> Section {
        let mut seen = self.seen(&self.record.contents.peer_reviews);
        seen.sort_by_key(|item| (Reverse(item.content.completed), item.put_code));
        let latest = latest_of(&seen);
        let mut outer: Vec<(&str, Vec<&Item<PeerReview>>)> = Vec::new();
        for item in seen {
            match outer.iter_mut().find(|(id, _)| *id == item.content.group_id) {
                Some((_, items)) => items.push(item),
                None => outer.push((&item.content.group_id, vec![item])),
            }
        }
        let shown = outer.into_iter().map(|(id, items)| {
            let object = last_modified(latest_of(&items)).element(common("external-ids"), self.whom_for(id));
            if self.version.is_old() {
                let summaries = items.into_iter().map(|item| self.peer_review_summary(item));
                return object.items(tag("peer-review", "peer-review-summary"), summaries);
            }
            let groups = group(items, |review| review.external_ids.as_slice());
            object.items(activities_tag("peer-review-group"), groups.into_iter().map(|group| self.about_one(group)))
        });
        let object =
            last_modified(latest).items(activities_tag("group"), shown).attribute("path", self.path("/peer-reviews"));
        Section { object, latest }
    }

    /// The one identifier of the outer group, which has neither a normal form nor a relationship.
    fn whom_for(&self, group_id: &str) -> Object {
        let id = Object::new()
            .element(common("external-id-type"), "peer-review")
            .element(common("external-id-value"), group_id);
        let id = if self.version.is_old() {
            id
        } else {
            id.element(common("external-id-normalized"), None::<&str>)
                .element(common("external-id-normalized-error"), None::<&str>)
        };
        let id = id
            .element(common("external-id-url"), None::<&str>)
            .element(common("external-id-relationship"), None::<&str>);
        Object::new().items(common("external-id"), [id])
    }

    fn about_one(&self, group: Group<'_, PeerReview>) -> Object {
        let summaries = group.items.iter().map(|item| self.peer_review_summary(item));
        last_modified(latest_of(&group.items))
            .element(common("external-ids"), self.external_ids(group.ids, Normalized::Shown))
            .items(tag("peer-review", "peer-review-summary"), summaries)
    }

    fn review_path(&self, item: &Item<PeerReview>) -> String {
        self.path(&format!("/peer-review/{}", item.put_code))
    }

    fn peer_review_summary(&self, item: &Item<PeerReview>) -> Object {
        let review = &item.content;
        let own = |name| tag("peer-review", name);
        let ids = self.external_ids(&review.external_ids, Normalized::Shown);
        let object = if self.version.is_old() {
            self.beginning(item).element(common("external-ids"), ids)
        } else {
            self.beginning(item)
                .element(own("reviewer-role"), word(review.role.clone()))
                .element(common("external-ids"), ids)
                .wrapped(own("review-url"), review.url.as_ref())
                .element(own("review-type"), word(review.kind.clone()))
        };
        object
            .element(own("completion-date"), partial_date(review.completed))
            .element(own("review-group-id"), &review.group_id)
            .element(own("convening-organization"), organization(&review.organization))
            .attribute("visibility", word(item.visibility.word()))
            .attribute("put-code", item.put_code.number())
            .attribute("path", self.review_path(item))
            .attribute("display-index", item.display_index.to_string())
    }
}
