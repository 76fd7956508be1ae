//! [`Trouble`]: ORCID's error bodies with their codes and words (`orcid.md` §8.5), and the other shape that comes
//! before them, from the OAuth layer (§5.3). Made all over `api`.

use super::accept::{Format, Style};
use crate::domain::OrcidId;
use crate::simulator::answer::{Answer, HTML, JSON, plain, with};
use crate::simulator::record::{Document, Object, Tag, Version, Words, json_text, tag, xml_text};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

const MORE: &str = "https://members.orcid.org/api/resources/troubleshooting";

/// One error body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Trouble {
    status: StatusCode,
    code: i64,
    developer: String,
    user: String,
    location: Option<String>,
    /// Whether it is in the format that was asked for. What fails before a format is chosen is JSON and says so
    /// nowhere.
    styled: bool,
}

/// The answer to something that went wrong, if it did.
pub(in crate::simulator) type Outcome<T> = Result<T, Box<Trouble>>;

impl Trouble {
    fn new(status: StatusCode, code: i64, developer: impl Into<String>, user: impl Into<String>) -> Box<Self> {
        let (developer, user) = (developer.into(), user.into());
        Box::new(Self { status, code, developer, user, location: None, styled: true })
    }

    /// 9001 with what the server itself says about the request.
    fn endpoint(status: StatusCode, detail: &str) -> Box<Self> {
        let developer = format!(
            "400 Bad Request: There is an issue with your data or the API endpoint. 405 Method Not Allowed: Endpoint \
             and method mismatch. 415 Unsupported Media Type: data must be in XML or JSON format. Full validation \
             error: {detail}"
        );
        let user = "ORCID could not process the data, because they were invalid.";
        let mut trouble = Self::new(status, 9001, developer, user);
        trouble.styled = false;
        trouble
    }

    /// No such address.
    pub(in crate::simulator) fn no_endpoint() -> Box<Self> {
        Self::endpoint(StatusCode::NOT_FOUND, "HTTP 404 Not Found")
    }

    pub(in crate::simulator) fn method() -> Box<Self> {
        Self::endpoint(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed")
    }

    pub(in crate::simulator) fn not_acceptable() -> Box<Self> {
        Self::endpoint(StatusCode::NOT_ACCEPTABLE, "HTTP 406 Not Acceptable")
    }

    /// A put-code that is not a number, where the framework reads it.
    pub(in crate::simulator) fn no_number(text: &str) -> Box<Self> {
        let detail = format!("HTTP 404 Not Found (java.lang.NumberFormatException: {})", for_input(text));
        let mut trouble = Self::endpoint(StatusCode::NOT_FOUND, &detail);
        trouble.styled = true;
        trouble
    }

    /// The same where the endpoint reads it.
    pub(in crate::simulator) fn bad_number(text: &str) -> Box<Self> {
        let user = "The client application sent a bad request to ORCID.";
        Self::new(StatusCode::BAD_REQUEST, 9006, format!("{user} Full validation error: {}", for_input(text)), user)
    }

    /// The same on the member API, and one put-code among many that is on no work.
    pub(in crate::simulator) fn put_code(text: &str, client: Option<&str>) -> Box<Self> {
        let developer = format!(
            "400 Bad Request: The put code provided is not valid. Full validation error: '{}' is not a valid put code",
            short(text)
        );
        // Nobody fills the placeholder for a caller without a name.
        let whom = client.unwrap_or("${clientName}");
        let user = format!(
            "There was an error when updating the record. Please try again. If the error persists, please contact \
             {whom} for assistance."
        );
        Self::new(StatusCode::BAD_REQUEST, 9034, developer, user)
    }

    pub(in crate::simulator) fn too_many_put_codes(most: usize) -> Box<Self> {
        let developer = format!(
            "org.orcid.core.exception.ExceedMaxNumberOfPutCodesException Full validation error: Too many put codes \
             specified: maximum is {most}"
        );
        Self::new(StatusCode::BAD_REQUEST, 9042, developer, "Too many put codes supplied")
    }

    /// No such record or item.
    pub(in crate::simulator) fn not_found() -> Box<Self> {
        let developer = "404 Not Found: The resource was not found.";
        Self::new(StatusCode::NOT_FOUND, 9016, developer, "The resource was not found.")
    }

    pub(in crate::simulator) fn no_client(id: &str) -> Box<Self> {
        let developer = format!("Unable to find client profile associated with client:{}.", short(id));
        Self::new(StatusCode::NOT_FOUND, 9027, developer, "The resource was not found.")
    }

    pub(in crate::simulator) fn no_biography() -> Box<Self> {
        let developer = "404 Not Found: Biography for the given record is null.";
        Self::new(StatusCode::NOT_FOUND, 9041, developer, "There is no biography for the given record.")
    }

    /// A request that is wrong in its parameters.
    pub(in crate::simulator) fn bad_request(detail: &str) -> Box<Self> {
        let user = "The client application made a bad request to the ORCID API.";
        Self::new(StatusCode::BAD_REQUEST, 9012, format!("{user} Full validation error: {detail}"), user)
    }

    pub(in crate::simulator) fn start(most: &str) -> Box<Self> {
        let user =
            format!("The start parameter for API users without credentials must be an integer between 0 and {most}");
        Self::new(StatusCode::BAD_REQUEST, 9043, format!("{user} Full validation error: {user}"), user)
    }

    /// A token of another person, or a public client's on the member API.
    pub(in crate::simulator) fn unauthorized(detail: &str) -> Box<Self> {
        let developer = format!(
            "401 Unauthorized: The client application is not authorized for this ORCID record. Full validation error: \
             {detail}"
        );
        Self::new(StatusCode::UNAUTHORIZED, 9017, developer, "The client application is not authorized.")
    }

    /// The scope is missing. Status and text disagree at ORCID.
    pub(in crate::simulator) fn scope() -> Box<Self> {
        let developer = "409 Conflict: The item has a limited or private visibility and your request doesn't have the \
                         required scope.";
        Self::new(StatusCode::FORBIDDEN, 9038, developer, "You don't have the permissions to execute this action.")
    }

    pub(in crate::simulator) fn private() -> Box<Self> {
        let developer = "403 Forbidden: The item is private and you are not the source.";
        Self::new(StatusCode::FORBIDDEN, 9013, developer, "The client application is forbidden to perform the action.")
    }

    /// Hidden, on the public API.
    pub(in crate::simulator) fn not_public() -> Box<Self> {
        let developer = "403 Forbidden: The item is not public and cannot be accessed with the Public API.";
        Self::new(StatusCode::FORBIDDEN, 9039, developer, "The client application is forbidden to perform the action.")
    }

    pub(in crate::simulator) fn locked(orcid: OrcidId) -> Box<Self> {
        let developer = format!(
            "409 Conflict: The ORCID record is locked and cannot be edited. ORCID {orcid} Full validation error: \
             {orcid} is locked"
        );
        Self::new(StatusCode::CONFLICT, 9018, developer, "The ORCID record is locked.")
    }

    pub(in crate::simulator) fn deactivated(orcid: OrcidId) -> Box<Self> {
        let developer = format!(
            "409 Conflict: The ORCID record is deactivated and cannot be edited. Full validation error: {orcid} is \
             deactivated"
        );
        Self::new(StatusCode::CONFLICT, 9044, developer, "The ORCID record is deactivated.")
    }

    pub(in crate::simulator) fn unclaimed() -> Box<Self> {
        let user = "This record has not been claimed, if this is your record you can claim it at \
                    https://orcid.org/resend-claim.";
        Self::new(StatusCode::CONFLICT, 9036, "409 Conflict: This record has not been claimed.", user)
    }

    /// Moved to another record of the same person. `location` is the same part of that one.
    pub(in crate::simulator) fn deprecated(primary: &str, own: &str, location: String) -> Box<Self> {
        let user = format!("This account is deprecated. Please refer to account: {primary}.");
        let developer = format!("301 Moved Permanently: {user} ORCID {own}");
        let mut trouble = Self::new(StatusCode::MOVED_PERMANENTLY, 9007, developer, user);
        trouble.location = Some(location);
        trouble
    }

    pub(in crate::simulator) fn client_deactivated(id: &str) -> Box<Self> {
        let developer =
            format!("409 Conflict: The client is locked. Full validation error: Client {id} is deactivated");
        Self::new(StatusCode::CONFLICT, 9057, developer, "The client is locked.")
    }

    pub(in crate::simulator) fn ours() -> Box<Self> {
        let user = "Something went wrong in ORCID.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, 9008, user, user)
    }

    /// The five fields, as they also stand in a bulk answer.
    pub(in crate::simulator) fn body(&self) -> Object {
        let own = |name| tag("error", name);
        Object::new()
            .element(own("response-code"), i64::from(self.status.as_u16()))
            .element(own("developer-message"), &self.developer)
            .element(own("user-message"), &self.user)
            .element(own("error-code"), self.code)
            .element(own("more-info"), MORE)
    }

    /// The answer, in the style that was chosen, if one was.
    pub(in crate::simulator) fn answer(&self, style: Option<&Style>) -> Answer {
        let answer = match style.filter(|_| self.styled) {
            None => {
                let mut answer = plain(self.status, JSON, json_text(&self.body(), false, Words::AsInXml));
                answer.headers_mut().remove(header::CONTENT_TYPE);
                answer
            }
            Some(style) => self.styled(style),
        };
        match &self.location {
            Some(location) => with(answer, header::LOCATION, location),
            None => answer,
        }
    }

    fn styled(&self, style: &Style) -> Answer {
        let body = match style.format {
            Format::Xml => error_xml(self.body()),
            Format::PrettyJson => json_text(&self.body(), true, Words::AsInXml),
            _ => json_text(&self.body(), false, Words::AsInXml),
        };
        let content_type = match style.format {
            Format::Xml | Format::Json | Format::PrettyJson => &style.content_type,
            // An error has no form of a table, a citation or a graph.
            _ => JSON,
        };
        typed(self.status, content_type, body)
    }
}

const ERROR: Tag = tag("error", "error");

fn error_xml(content: Object) -> String {
    xml_text(&Document { root: ERROR, content }, Version::V3_0).unwrap_or_default()
}

/// What Java says of text that is no number.
fn for_input(text: &str) -> String {
    format!("For input string: \"{}\"", short(text))
}

fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

/// An answer whose content type the client may have worded.
pub(in crate::simulator) fn typed(status: StatusCode, content_type: &str, body: String) -> Answer {
    let mut answer = plain(status, JSON, body);
    if let Ok(content_type) = HeaderValue::from_str(content_type) {
        answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    answer
}

/// 401 for a token that is revoked, expired or invented: always JSON, and no `WWW-Authenticate` (`orcid.md` §5.3).
/// The description holds the token, as ORCID's does: nobody may log it.
pub(in crate::simulator) fn invalid_token(token: &str) -> Answer {
    let shown = if token.len() > 512 { short(token) } else { token.to_owned() };
    oauth(StatusCode::UNAUTHORIZED, "invalid_token", &format!("Invalid access token: {shown}"))
}

/// 403 for a call of the member API without a token.
pub(in crate::simulator) fn no_token() -> Answer {
    let description = "Forbidden: The server understood the request but refuses to authorize it.";
    oauth(StatusCode::FORBIDDEN, "forbidden", description)
}

fn oauth(status: StatusCode, error: &str, description: &str) -> Answer {
    plain(status, JSON, format!("{{\"error\":{},\"error_description\":{}}}", json!(error), json!(description)))
}

/// 400 with a page for a header the web server cannot read.
pub(in crate::simulator) fn malformed() -> Answer {
    let page = "<!doctype html><html lang=\"en\"><title>SIMULATED: HTTP Status 400</title>\
                <h1>SIMULATED: HTTP Status 400 – Bad Request</h1></html>";
    plain(StatusCode::BAD_REQUEST, HTML, page)
}

/// 308 away from a version that is no more. In the JSON body ORCID always names 2.0 to developers, gives another
/// response code than it sends, and has nothing more to say; the XML body is sound.
pub(in crate::simulator) fn retired(version: Version, location: &str, is_json: bool) -> Answer {
    let words = |number: &str| {
        format!(
            "Release candidates for V{number} are now disabled, your request will be redirected to the corresponding \
             V{number} end point"
        )
    };
    let own = |name| tag("error", name);
    let body = |code: i64, developer: &str| {
        Object::new()
            .element(own("response-code"), code)
            .element(own("developer-message"), words(developer))
            .element(own("user-message"), words(version.number()))
            .element(own("error-code"), 9056)
            .element(own("more-info"), None::<&str>)
    };
    let mut text = match is_json {
        true => json_text(&body(301, "2.0"), false, Words::AsInXml),
        false => error_xml(body(308, version.number())),
    };
    text.push('\n');
    let mut answer = plain(StatusCode::PERMANENT_REDIRECT, JSON, text);
    answer.headers_mut().remove(header::CONTENT_TYPE);
    with(answer, header::LOCATION, location)
}
