//! `/search`, `/expanded-search` and `/csv-search`: finds people by their public data (`orcid.md` §8.1). Called by
//! `api`.
//!
//! `lexer` and `parser` read the query, `document` says what is known of a record, `matching` puts the two together.
//! Every record is looked at once a search; the number of clauses, the length of words and the depth are bounded.

mod document;
mod lexer;
mod matching;
mod moment;
mod parser;
mod table;
mod words;

use super::Asked;
use super::trouble::{Outcome, Trouble};
use crate::domain::OrcidId;
use crate::simulator::answer::Answer;
use crate::simulator::people::AccountState;
use crate::simulator::record::{self, Object, Value, common, tag};
use crate::simulator::visit::Fields;
use document::Document;
use std::ops::Range;

/// Most results of one answer, and how many there are unless the client says.
const MOST_ROWS: usize = 1_000;
/// How far a caller without a token may page.
const LAST_START: i64 = 10_000;

/// The iDs alone.
pub(super) fn ids(asked: &Asked<'_>) -> Outcome<Answer> {
    let found = Found::of(asked)?;
    let results: Vec<Object> = found
        .shown()
        .iter()
        .map(|(orcid, _)| {
            let identifier = Object::new()
                .element(common("uri"), orcid.uri(&asked.world.base))
                .element(common("path"), orcid.as_str())
                .element(common("host"), asked.world.base.split_once("://").map_or("", |(_, host)| host));
            Object::new().element(common("orcid-identifier"), identifier)
        })
        .collect();
    found.answer(asked, "search", "result", results)
}

/// Names and places with the iDs.
pub(super) fn expanded(asked: &Asked<'_>) -> Outcome<Answer> {
    let found = Found::of(asked)?;
    let own = |name| tag("expanded-search", name);
    let results: Vec<Object> = found
        .shown()
        .iter()
        .map(|(orcid, document)| {
            let one = |field| document.values(field).next();
            Object::new()
                .element(own("orcid-id"), orcid.as_str())
                .element(own("given-names"), one("given-names"))
                .element(own("family-names"), one("family-name"))
                .element(own("credit-name"), one("credit-name"))
                .items(own("other-name"), document.values("other-names"))
                .items(own("email"), document.values("email"))
                .items(own("institution-name"), institutions(document))
        })
        .collect();
    found.answer(asked, "expanded-search", "expanded-result", results)
}

/// A table for spreadsheets.
pub(super) fn csv(asked: &Asked<'_>) -> Outcome<Answer> {
    let found = Found::of(asked)?;
    let query = Fields::read(asked.visit.query.as_bytes());
    let documents = found.shown().iter().map(|(_, document)| document);
    Ok(asked.text(table::text(query.get("fl"), documents)))
}

/// Current and past ones, each once.
fn institutions(document: &Document) -> Vec<&str> {
    let mut names: Vec<&str> = document
        .values("current-institution-affiliation-name")
        .chain(document.values("past-institution-affiliation-name"))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Everybody who fits, and which of them the answer shows.
struct Found {
    all: Vec<(OrcidId, Document)>,
    shown: Range<usize>,
}

impl Found {
    fn of(asked: &Asked<'_>) -> Outcome<Self> {
        if !asked.caller.reads_public() {
            return Err(Trouble::scope());
        }
        let fields = Fields::read(asked.visit.query.as_bytes());
        let rows = rows(fields.get("rows"))?;
        let start = start(fields.get("start"), asked.caller.bearer.is_some())?;
        let text = fields.get("q").unwrap_or("");
        let fault = |lexer::Fault(why)| Trouble::bad_request(&format!("Cannot parse the query: {why}"));
        let Some(clauses) = parser::parse(text, asked.world.now()).map_err(fault)? else {
            return Ok(Self { all: Vec::new(), shown: 0..0 });
        };
        let mut all = Vec::new();
        for record in asked.world.records() {
            if record.person.state == AccountState::Active {
                let document = Document::of(&record);
                if matching::fits(&clauses, &document) {
                    all.push((record.person.orcid, document));
                }
            }
        }
        let first = start.min(all.len());
        let shown = first..first.saturating_add(rows).min(all.len());
        Ok(Self { all, shown })
    }

    fn shown(&self) -> &[(OrcidId, Document)] {
        self.all.get(self.shown.clone()).unwrap_or_default()
    }

    /// No results are null, not an empty list.
    fn answer(
        &self,
        asked: &Asked<'_>,
        root: &'static str,
        list: &'static str,
        results: Vec<Object>,
    ) -> Outcome<Answer> {
        let object = match results.is_empty() {
            true => Object::new().element(tag(root, list), Value::Null),
            false => Object::new().items(tag(root, list), results),
        };
        let total = i64::try_from(self.all.len()).unwrap_or(i64::MAX);
        let content = object.attribute("num-found", total);
        asked.document(&record::Document { root: tag(root, root), content })
    }
}

fn rows(text: Option<&str>) -> Outcome<usize> {
    let Some(text) = text else { return Ok(MOST_ROWS) };
    let rows = text.parse::<usize>().ok().filter(|rows| *rows <= MOST_ROWS);
    rows.ok_or_else(|| Trouble::bad_request("The rows parameter must be an integer between 0 and 1,000"))
}

/// Where to begin. A client with a token may page to the end.
fn start(text: Option<&str>, has_token: bool) -> Outcome<usize> {
    let Some(text) = text else { return Ok(0) };
    let most = "10,000";
    let Ok(start) = text.parse::<i64>() else {
        let detail =
            format!("The start parameter for API users without credentials must be an integer between 0 and {most}");
        return Err(Trouble::bad_request(&detail));
    };
    match usize::try_from(start) {
        Ok(start) if has_token || start <= LAST_START as usize => Ok(start),
        Err(_) if has_token => Err(Trouble::bad_request("'start' parameter cannot be negative")),
        _ => Err(Trouble::start(most)),
    }
}
