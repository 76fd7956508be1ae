//! The whole record: who, preferences, history, person, activities (`orcid.md` §8.1).

use super::super::tree::{Document, Object, Value, common, tag, word};
use super::View;

impl View<'_> {
    pub(in crate::simulator) fn whole(&self) -> Document {
        let person = &self.record.person;
        let preferences = Object::new().element(tag("preferences", "locale"), word("en"));
        let content = Object::new()
            .element(common("orcid-identifier"), self.orcid(person.orcid))
            .element(tag("preferences", "preferences"), preferences)
            .element(tag("history", "history"), self.history())
            .element(tag("person", "person"), self.person_section().object)
            .element(tag("activities", "activities-summary"), self.activities_section().object)
            .attribute("path", self.path(""));
        Document { root: tag("record", "record"), content }
    }

    fn history(&self) -> Object {
        let own = |name| tag("history", name);
        let emails = &self.record.contents.emails;
        Object::new()
            .element(own("creation-method"), Value::Spelt { json: "DIRECT", xml: "Direct" })
            .wrapped(own("completion-date"), None::<&str>)
            .wrapped(own("submission-date"), self.record.created)
            .wrapped(common("last-modified-date"), self.record.modified)
            .element(own("claimed"), true)
            .element(common("source"), None::<&str>)
            .wrapped(own("deactivation-date"), None::<&str>)
            .element(own("verified-email"), emails.iter().any(|email| email.verified))
            .element(own("verified-primary-email"), emails.iter().any(|email| email.verified && email.primary))
    }
}
