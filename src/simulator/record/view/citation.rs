//! One work as a citation processor reads it: CSL JSON, which the public API alone makes (`orcid.md` §8.2; the
//! mapping after ORCID's own).

use super::super::accents::without_accents;
use super::super::item::PutCode;
use super::super::parts::PartialDate;
use super::super::work::Work;
use super::{Missing, View};
use serde_json::{Value, json};

impl View<'_> {
    /// The citation of a work. It is made from what the record says about it; a BibTeX text on it is not read.
    pub(in crate::simulator) fn citation(&self, code: PutCode) -> Result<String, Missing> {
        let work = &self.find(&self.record.contents.works, code)?.content;
        let (doi, uri, handle) = (first(work, "doi"), first(work, "uri"), first(work, "handle"));
        let url = uri.map(str::to_owned).or_else(|| doi.map(|doi| format!("http://doi.org/{doi}")));
        let url = url.or_else(|| handle.map(str::to_owned));
        let names: Vec<String> = self
            .record
            .person
            .public_name()
            .into_iter()
            .chain(work.contributors.iter().filter_map(|contributor| contributor.name.as_deref()).map(without_accents))
            .collect();
        let members = [
            ("type", kind(&work.kind).map(Value::from)),
            ("author", Some(json!([{ "literal": names.join(" and ") }]))),
            ("issued", work.published.map(|date| json!({ "date-parts": [date_parts(date)] }))),
            ("container-title", work.journal.as_deref().map(|journal| json!(without_accents(journal)))),
            ("DOI", doi.map(Value::from)),
            ("title", Some(json!(without_accents(&work.title.title)))),
            ("URL", url.map(Value::from)),
        ];
        let members: Vec<String> =
            members.into_iter().filter_map(|(name, value)| Some(format!("\"{name}\":{}", value?))).collect();
        Ok(format!("{{{}}}", members.join(",")))
    }
}

/// The work's first identifier of a kind, as it was written and whatever its relationship.
fn first<'w>(work: &'w Work, kind: &str) -> Option<&'w str> {
    work.external_ids.iter().find(|id| id.kind == kind).map(|id| id.value.as_str())
}

fn date_parts(date: PartialDate) -> Vec<u16> {
    let month = date.month.map(u16::from);
    let day = month.and(date.day).map(u16::from);
    [Some(date.year), month, day].into_iter().flatten().collect()
}

/// What the kind is called there, if it is called anything.
fn kind(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "book" => "book",
        "book-chapter" => "chapter",
        "book-review" => "review-book",
        "conference-abstract" | "conference-paper" | "conference-poster" => "paper-conference",
        "data-set" => "dataset",
        "dictionary-entry" => "entry-dictionary",
        "dissertation-thesis" => "thesis",
        "encyclopedia-entry" => "entry-encyclopedia",
        "journal-article" => "article-journal",
        "magazine-article" => "article-magazine",
        "newsletter-article" | "newspaper-article" => "article-newspaper",
        "online-resource" | "website" => "webpage",
        "report" => "report",
        "working-paper" => "article",
        _ => return None,
    })
}
