//! All activities in one answer, as `/activities` and the whole record have them (`orcid.md` §8.1).

use super::super::affiliation::AffiliationKind;
use super::super::part::Activity;
use super::super::tree::Document;
use super::{Section, View, activities_tag, last_modified};

/// The order in which the lists stand, which is that of their names.
const ORDER: [Activity; 11] = [
    Activity::Affiliation(AffiliationKind::Distinction),
    Activity::Affiliation(AffiliationKind::Education),
    Activity::Affiliation(AffiliationKind::Employment),
    Activity::Funding,
    Activity::Affiliation(AffiliationKind::InvitedPosition),
    Activity::Affiliation(AffiliationKind::Membership),
    Activity::PeerReview,
    Activity::Affiliation(AffiliationKind::Qualification),
    Activity::ResearchResource,
    Activity::Affiliation(AffiliationKind::Service),
    Activity::Work,
];

impl View<'_> {
    pub(in crate::simulator) fn activities(&self) -> Document {
        Document { root: activities_tag("activities-summary"), content: self.activities_section().object }
    }

    pub(super) fn activities_section(&self) -> Section {
        let known = ORDER.into_iter().filter(|activity| !self.version.is_old() || activity.is_old());
        let sections: Vec<(Activity, Section)> =
            known.map(|activity| (activity, self.activity_section(activity))).collect();
        let latest = sections.iter().filter_map(|(_, section)| section.latest).max();
        let mut object = last_modified(latest);
        for (activity, section) in sections {
            object = object.element(activities_tag(activity.names().list), section.object);
        }
        Section { object: object.attribute("path", self.path("/activities")), latest }
    }

    pub(super) fn activity_section(&self, activity: Activity) -> Section {
        match activity {
            Activity::Affiliation(kind) => self.affiliation_section(kind),
            Activity::Funding => self.funding_section(),
            Activity::PeerReview => self.peer_review_section(),
            Activity::ResearchResource => self.research_resource_section(),
            Activity::Work => self.work_section(),
        }
    }
}
