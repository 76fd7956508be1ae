//! The record API (`orcid.md` §8): reads below `/v3.0/`, `/v2.1/` and `/v2.0/`, as ORCID's public or member API.
//! Called by `route`. Writes join here: they are refused by method today.
//!
//! The steps stand in the order of ORCID's servers, because it shows which of two errors comes back: version, token
//! (`caller`), address (`target`), method, format (`accept`), client, whose record, and then the record itself
//! (`read`, `search`). `trouble` has every error body, `landing` the record on the root host.

mod accept;
mod caller;
mod landing;
mod read;
mod search;
mod target;
mod trouble;

pub(super) use landing::{not_found, show as landing};

use super::answer::{Answer, JSON, plain, with};
use super::face::{Face, is_versioned};
use super::record::{Document, Version, Words, json_text, xml_text};
use super::visit::Visit;
use super::world::World;
use accept::{Format, Offer, Style, Unfit};
use caller::{Api, Caller};
use http::{HeaderValue, Method, StatusCode, header};
use target::{Part, Status, Target};
use trouble::{Outcome, Trouble};

/// Answers anything on an API host, and what is below a version on the root.
pub(super) fn answer(world: &World, visit: &Visit) -> Answer {
    let answer = match addressed(world, visit) {
        Ok((version, rest)) => below(world, visit, version, rest),
        Err(answer) => *answer,
    };
    dressed(answer, visit)
}

/// The token path on the public host leads to the root, for every method (`orcid.md` §1.1).
pub(super) fn token_elsewhere(world: &World) -> Answer {
    let mut answer = plain(StatusCode::TEMPORARY_REDIRECT, JSON, "");
    answer.headers_mut().remove(header::CONTENT_TYPE);
    with(answer, header::LOCATION, &format!("{}/oauth/token", world.base))
}

/// The version and what follows it, or the way to where there is one.
fn addressed<'v>(world: &World, visit: &'v Visit) -> Result<(Version, &'v str), Box<Answer>> {
    let base = world.base_of(visit.face);
    let to = |path: String| if visit.query.is_empty() { path } else { format!("{path}?{}", visit.query) };
    if !is_versioned(&visit.path) {
        let mut answer = plain(StatusCode::FOUND, JSON, "");
        answer.headers_mut().remove(header::CONTENT_TYPE);
        return Err(Box::new(with(answer, header::LOCATION, &to(format!("{base}/v3.0{}", visit.path)))));
    }
    let after = &visit.path[2..];
    let (number, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
    if let Some(version) = Version::read(number) {
        return Ok((version, rest));
    }
    if rest.is_empty() {
        return Err(Box::new(Trouble::no_endpoint().answer(None)));
    }
    // Release candidates, 1.x and what never was all lead to a version that is.
    let version = match number {
        number if number.starts_with("2.0") => Version::V2_0,
        number if number.starts_with("2.1") => Version::V2_1,
        _ => Version::V3_0,
    };
    let is_json = visit.header(header::ACCEPT).unwrap_or("").to_ascii_lowercase().contains("json");
    let location = to(format!("{base}/v{}{rest}", version.number()));
    Err(Box::new(trouble::retired(version, &location, is_json)))
}

fn below(world: &World, visit: &Visit, version: Version, rest: &str) -> Answer {
    let caller = match Caller::of(world, visit) {
        Ok(caller) => caller,
        Err(answer) => return *answer,
    };
    let target = Target::read(version, rest);
    let is_status = matches!(target, Some(Target::Status(_)));
    if caller.api == Api::Member && caller.bearer.is_none() && !is_status {
        return trouble::no_token();
    }
    let Some(target) = target.filter(|target| is_served(target, &caller, visit.face)) else {
        return Trouble::no_endpoint().answer(None);
    };
    let style = negotiated(visit, version, &target, &caller);
    match (&visit.method, style) {
        (&Method::OPTIONS, Err(Unfit::Malformed)) => trouble::malformed(),
        (&Method::OPTIONS, style) => options(visit, style.ok()),
        (method, _) if !is_read(method) || matches!(target, Target::Of(_, Part::Adding(_))) => {
            Trouble::method().answer(None)
        }
        (_, Err(Unfit::Malformed)) => trouble::malformed(),
        (_, Err(Unfit::NotAcceptable)) => Trouble::not_acceptable().answer(None),
        (_, Ok(style)) => {
            let asked = Asked { world, visit, version, caller: &caller, style: &style };
            asked.answer(&target).unwrap_or_else(|trouble| trouble.answer(Some(&style)))
        }
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether the API that answers has such an address at all.
fn is_served(target: &Target, caller: &Caller, face: Face) -> bool {
    match target {
        Target::Status(Status::Member) => face != Face::Public,
        Target::Status(Status::Public) => face != Face::Member,
        Target::Of(_, Part::Figures | Part::Adding(_)) => caller.api == Api::Member,
        _ => true,
    }
}

fn negotiated(visit: &Visit, version: Version, target: &Target, caller: &Caller) -> Result<Style, Unfit> {
    let offers: &[&[Offer]] = match target {
        Target::Front => &[],
        Target::Status(_) => &[accept::JSON_ONLY],
        Target::CsvSearch => &[accept::CSV],
        // The public API alone turns a record into a graph and a work into a citation.
        Target::Of(_, Part::Plain) if caller.api == Api::Public => &[accept::RECORD, accept::LINKED_DATA],
        Target::Of(_, Part::Item(super::record::Activity::Work, _))
            if caller.api == Api::Public && !version.is_old() =>
        {
            &[accept::RECORD, accept::CITATION]
        }
        _ => &[accept::RECORD],
    };
    accept::negotiate(visit.header(header::ACCEPT), visit.header(header::CONTENT_TYPE), offers)
}

/// Says what may be done here, to browsers also from where.
fn options(visit: &Visit, style: Option<Style>) -> Answer {
    let content_type = style.map_or("application/vnd.orcid+xml;charset=UTF-8".to_owned(), |style| style.content_type);
    let answer = trouble::typed(StatusCode::OK, &content_type, String::new());
    let answer = with(answer, header::ALLOW, "HEAD,GET,OPTIONS");
    if !visit.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return answer;
    }
    let answer = with(answer, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, DELETE");
    with(answer, header::ACCESS_CONTROL_ALLOW_HEADERS, "X-Requested-With,Origin,Content-Type, Accept")
}

/// The headers ORCID's APIs send with every answer, errors included.
fn dressed(mut answer: Answer, visit: &Visit) -> Answer {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::CACHE_CONTROL, "no-cache, no-store, max-age=0, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        (header::EXPIRES, "0"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if visit.face == Face::Root {
        // One address for both APIs: what comes back depends on the token.
        headers.insert(header::VARY, HeaderValue::from_static("Accept, Authorization"));
    }
    answer
}

/// One request that has come through to an endpoint.
struct Asked<'a> {
    world: &'a World,
    visit: &'a Visit,
    version: Version,
    caller: &'a Caller,
    style: &'a Style,
}

impl Asked<'_> {
    fn answer(&self, target: &Target) -> Outcome<Answer> {
        if let Target::Status(_) = target {
            return Ok(self.status());
        }
        self.caller.check_client()?;
        match target {
            Target::Front => Err(Trouble::not_acceptable()),
            Target::Status(_) => Ok(self.status()),
            Target::Search => search::ids(self),
            Target::ExpandedSearch => search::expanded(self),
            Target::CsvSearch => search::csv(self),
            Target::Client(id) => self.client(id),
            Target::Of(orcid, part) => {
                self.caller.check_record(orcid)?;
                read::answer(self, orcid, part)
            }
        }
    }

    /// A tree in the style that was asked for.
    fn document(&self, document: &Document) -> Outcome<Answer> {
        let words = if self.version.is_old() { Words::Capitals } else { Words::AsInXml };
        let text = match self.style.format {
            Format::Xml => xml_text(document, self.version).map_err(|_| Trouble::ours())?,
            format => json_text(&document.content, format == Format::PrettyJson, words),
        };
        Ok(self.text(text))
    }

    fn text(&self, text: String) -> Answer {
        trouble::typed(StatusCode::OK, &self.style.content_type, text)
    }

    fn status(&self) -> Answer {
        let up = r#"{"tomcatUp":true,"dbConnectionOk":true,"readOnlyDbConnectionOk":true,"overallOk":true}"#;
        self.text(up.to_owned())
    }

    /// `/client/{id}`: what an organisation is called, to label sources with.
    fn client(&self, id: &str) -> Outcome<Answer> {
        if !self.caller.reads_public() {
            return Err(Trouble::scope());
        }
        let (name, about) = self.world.organisation(id).ok_or_else(|| Trouble::no_client(id))?;
        let own = |name| super::record::tag("client", name);
        let content = super::record::Object::new().element(own("name"), name).element(own("description"), about);
        self.document(&Document { root: own("client"), content })
    }
}
