//! Reads of one record: its state, then the part that was asked for (`orcid.md` §5.3, §8.1, §8.4). Called by `mod`.

use super::Asked;
use super::accept::Format;
use super::caller::Api;
use super::target::Part;
use super::trouble::{Outcome, Trouble};
use crate::domain::OrcidId;
use crate::simulator::answer::Answer;
use crate::simulator::people::AccountState;
use crate::simulator::record::{
    Activity, AffiliationKind, Document, Hidden, Missing, Object, PutCode, Record, Sight, View, Words, json_text, tag,
};

/// Most put-codes of one bulk read (`orcid.md` §8.1).
const MOST_AT_ONCE: usize = 100;

/// Answers a read below `/{iD}`.
pub(super) fn answer(asked: &Asked<'_>, orcid: &str, part: &Part) -> Outcome<Answer> {
    // A put-code that is no number is told before anything is known about the record, as at ORCID.
    let code = part.put_code().map(|raw| put_code(asked, part, raw)).transpose()?;
    // Figures are the exception: what the token may do comes before what has become of the record.
    if matches!(part, Part::Figures) && !asked.caller.reads_public() {
        return Err(Trouble::scope());
    }
    let record = record(asked, orcid)?;
    // So is the public bulk read: it looks for the record and not at its state.
    if !(matches!(part, Part::Bulk(_)) && asked.caller.api == Api::Public) {
        check_state(asked, &record)?;
    }
    let sight = match part {
        Part::Figures => Sight::public(),
        _ => asked.caller.sight(record.person.orcid),
    };
    let view = View { world: asked.world, record: &record, sight: &sight, version: asked.version };
    match (part, asked.style.format) {
        (_, Format::LinkedData) => Ok(asked.text(json_text(&view.linked_data(), true, Words::AsInXml))),
        (Part::Item(Activity::Work, _), Format::Citation) => {
            let citation = code.ok_or(Missing::Item).and_then(|code| view.citation(code));
            Ok(asked.text(citation.map_err(|missing| told(asked, missing))?))
        }
        (Part::Bulk(codes), _) => bulk(asked, &view, codes),
        _ => {
            let document = document(&view, part, code).map_err(|missing| told(asked, missing))?;
            asked.document(&document)
        }
    }
}

impl Part {
    /// The put-code in the address, as it was written.
    fn put_code(&self) -> Option<&str> {
        match self {
            Part::ListItem(_, code) | Part::Item(_, code) | Part::Summary(_, code) => Some(code),
            _ => None,
        }
    }
}

fn document(view: &View<'_>, part: &Part, code: Option<PutCode>) -> Result<Document, Missing> {
    let code = code.ok_or(Missing::Item);
    Ok(match part {
        Part::Plain | Part::Whole => view.whole(),
        Part::Person => view.person(),
        Part::PersonalDetails => view.personal_details(),
        Part::Biography => view.biography()?,
        Part::Email => view.emails(),
        Part::Activities => view.activities(),
        Part::Figures => view.summary(),
        Part::List(list) => view.person_list(*list),
        Part::ListItem(list, _) => view.person_item(*list, code?)?,
        Part::Group(activity) => view.activity_list(*activity),
        Part::Item(activity, _) => view.activity(*activity, code?)?,
        Part::Summary(activity, _) => view.activity_summary(*activity, code?)?,
        Part::Bulk(_) | Part::Adding(_) => return Err(Missing::Item),
    })
}

/// Reads a put-code. How one that is no number is refused depends on the API and, on the public one, on whether
/// the framework or the endpoint reads it.
fn put_code(asked: &Asked<'_>, part: &Part, raw: &str) -> Outcome<PutCode> {
    use AffiliationKind::{Education, Employment};
    if let Some(code) = PutCode::read(raw) {
        return Ok(code);
    }
    let by_framework = match part {
        Part::Item(activity, _) | Part::Summary(activity, _) => matches!(
            activity,
            Activity::Work | Activity::Funding | Activity::PeerReview | Activity::Affiliation(Education | Employment)
        ),
        _ => false,
    };
    Err(match asked.caller.api {
        Api::Member => Trouble::put_code(raw, asked.client_name()),
        Api::Public if by_framework => Trouble::no_number(raw),
        Api::Public => Trouble::bad_number(raw),
    })
}

/// The record of this iD. One with a wrong check character is as unknown as any other that nobody has.
fn record(asked: &Asked<'_>, orcid: &str) -> Outcome<Record> {
    let known = orcid.parse::<OrcidId>().ok().filter(|parsed| parsed.as_str() == orcid);
    known.and_then(|orcid| asked.world.record(orcid)).ok_or_else(Trouble::not_found)
}

/// Whether the record may be read at all, in ORCID's order.
fn check_state(asked: &Asked<'_>, record: &Record) -> Outcome<()> {
    let (own, world) = (record.person.orcid, asked.world);
    match record.person.state {
        AccountState::Active => Ok(()),
        AccountState::Deprecated { primary } => {
            let path = asked.visit.path.replacen(own.as_str(), primary.as_str(), 1);
            let location = format!("{}{path}", world.base_of(asked.visit.face));
            Err(Trouble::deprecated(&primary.uri(&world.base), &own.uri(&world.base), location))
        }
        AccountState::Unclaimed => Err(Trouble::unclaimed()),
        AccountState::Locked => Err(Trouble::locked(own)),
        AccountState::Deactivated => Err(Trouble::deactivated(own)),
    }
}

/// Why something is not shown, in the words of the API that was asked (`orcid.md` §8.4).
fn told(asked: &Asked<'_>, missing: Missing) -> Box<Trouble> {
    match (missing, asked.caller.api) {
        (Missing::Item, _) => Trouble::not_found(),
        (Missing::Biography, _) => Trouble::no_biography(),
        (Missing::Hidden(_), Api::Public) => Trouble::not_public(),
        (Missing::Hidden(Hidden::Scope), Api::Member) => Trouble::scope(),
        (Missing::Hidden(Hidden::Private), Api::Member) => Trouble::private(),
    }
}

/// `/works/{put-code},…`: full works in the order of their put-codes, hidden ones as errors in their place; then an
/// error for each put-code that is left over: unknown, another record's, or there twice.
fn bulk(asked: &Asked<'_>, view: &View<'_>, codes: &str) -> Outcome<Answer> {
    let mut parts: Vec<&str> = codes.split(',').collect();
    // As Java splits: nothing at the end is nothing, nothing in the middle is a text that is no number.
    while parts.last().is_some_and(|last| last.is_empty()) {
        parts.pop();
    }
    if parts.len() > MOST_AT_ONCE {
        return Err(Trouble::too_many_put_codes(MOST_AT_ONCE));
    }
    let read = |part: &&str| PutCode::read(part).ok_or_else(|| Trouble::bad_number(part));
    let mut codes: Vec<PutCode> = parts.iter().map(read).collect::<Outcome<_>>()?;
    let mut items = Vec::new();
    for (code, work) in view.works_among(&codes) {
        items.push(match work {
            Ok(work) => (tag("work", "work"), work),
            Err(missing) => (tag("error", "error"), told(asked, missing).body()),
        });
        if let Some(at) = codes.iter().position(|asked| *asked == code) {
            codes.remove(at);
        }
    }
    for code in codes {
        let trouble = Trouble::put_code(&code.to_string(), asked.client_name());
        items.push((tag("error", "error"), trouble.body()));
    }
    let content = Object::new().variants("bulk", items);
    asked.document(&Document { root: tag("bulk", "bulk"), content })
}

impl Asked<'_> {
    fn client_name(&self) -> Option<&str> {
        self.caller.bearer.as_ref().map(|bearer| bearer.client.name.as_str())
    }
}
