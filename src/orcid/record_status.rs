//! Whether ORCID still stands behind a token and the record it opens (`orcid.md` §5.3, §8.5). Called by `tokens`,
//! through [`super::Provider::record_status`]; believing it is the caller's.

use super::http_client::Answer;
use super::trouble::{Defect, Endpoint};
use super::{OrcidTrouble, Provider};
use crate::domain::{AccessToken, OrcidId};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION};
use http::{Request, StatusCode};
use serde::Deserialize;

/// What one call of the API came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordStatus {
    /// The token opens the record, even if not this part of it.
    Fine,
    /// ORCID does not know the token any more.
    TokenRefused,
    /// Replaced by another record of the same person. The iD is what ORCID wrote, good for showing only.
    Deprecated {
        primary: Option<OrcidId>,
    },
    Locked,
    Deactivated,
}

/// Both shapes of error bodies (`orcid.md` §8.5). The texts are left alone: one repeats the token (§5.3).
#[derive(Deserialize)]
struct Complaint {
    error: Option<String>,
    #[serde(rename = "error-code")]
    code: Option<i64>,
}

impl Provider {
    pub(super) async fn ask_record(&self, token: &AccessToken, orcid: OrcidId) -> Result<RecordStatus, OrcidTrouble> {
        let endpoint = Endpoint::Record;
        let base = self.settings.record_api().ok_or(OrcidTrouble::Misuse("this provider has no records"))?;
        let unfit = |_| OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed };
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(unfit)?;
        bearer.set_sensitive(true);
        // The smallest part of a record that everybody has.
        let request = Request::get(format!("{base}/v3.0/{orcid}/personal-details"))
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(Vec::new())
            .map_err(|_| OrcidTrouble::Unreachable(endpoint))?;
        read(&self.http.send_unfollowed(endpoint, request).await?, orcid)
    }
}

/// Status and code must both say it: a redirect to a page of a front end, or the 401 of a client that is refused
/// altogether (9017), says nothing about a person.
fn read(answer: &Answer, orcid: OrcidId) -> Result<RecordStatus, OrcidTrouble> {
    let endpoint = Endpoint::Record;
    let media_type = answer.media_type();
    let is_json = media_type == "application/json" || media_type.ends_with("+json");
    let complaint = || is_json.then(|| serde_json::from_slice::<Complaint>(&answer.body).ok()).flatten();
    let code = complaint().and_then(|complaint| complaint.code);
    let word = complaint().and_then(|complaint| complaint.error);
    match (answer.status, code) {
        // Hidden from this token, which was taken all the same.
        (StatusCode::FORBIDDEN, Some(9013 | 9038 | 9039)) => Ok(RecordStatus::Fine),
        (StatusCode::OK, _) if is_json => Ok(RecordStatus::Fine),
        (StatusCode::UNAUTHORIZED, None) if word.as_deref() == Some("invalid_token") => Ok(RecordStatus::TokenRefused),
        (StatusCode::MOVED_PERMANENTLY, Some(9007)) => {
            Ok(RecordStatus::Deprecated { primary: primary(answer).filter(|primary| *primary != orcid) })
        }
        (StatusCode::CONFLICT, Some(9018)) => Ok(RecordStatus::Locked),
        (StatusCode::CONFLICT, Some(9044)) => Ok(RecordStatus::Deactivated),
        (status, _) => Err(OrcidTrouble::Refused { endpoint, status: status.as_u16(), error: "other" }),
    }
}

/// The iD in the path of the address that ORCID points to, wherever that is.
fn primary(answer: &Answer) -> Option<OrcidId> {
    let location = answer.headers.get(LOCATION)?.to_str().ok()?;
    let path = location.split(['?', '#']).next()?;
    path.split('/').filter(|segment| segment.len() == 19).find_map(|segment| segment.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    const OWN: &str = "0000-0002-1825-0097";
    const PRIMARY: &str = "0000-0002-1694-233X";

    fn answer(status: u16, media_type: &str, body: &str, location: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", media_type.parse().unwrap());
        if let Some(location) = location {
            headers.insert("location", location.parse().unwrap());
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
    }

    #[test]
    fn f6_only_what_orcid_says_in_so_many_words_is_said_about_a_record() {
        let (json, own) = ("application/json;charset=UTF-8", OWN.parse().unwrap());
        let moved = format!("https://api.orcid.org/v3.0/{PRIMARY}/personal-details");
        let primary = Some(PRIMARY.parse().unwrap());
        let dead = r#"{"error":"invalid_token","error_description":"Invalid access token: secret"}"#;
        let code = |code: i64| format!(r#"{{"response-code":1,"error-code":{code}}}"#);
        type Row<'a> = (u16, &'a str, &'a str, Option<&'a str>, Option<RecordStatus>);
        let table: [Row<'_>; 19] = [
            (200, json, "{}", None, Some(RecordStatus::Fine)),
            (200, "application/vnd.orcid+json", "{}", None, Some(RecordStatus::Fine)),
            // A front end's page, with whatever status.
            (200, "text/html", "{}", None, None),
            (302, "text/html", "", Some(&moved), None),
            (301, "text/html", "", Some(&moved), None),
            (401, "text/html", dead, None, None),
            (403, json, &code(9038), None, Some(RecordStatus::Fine)),
            (403, json, &code(9039), None, Some(RecordStatus::Fine)),
            (403, json, r#"{"error":"forbidden"}"#, None, None),
            (401, json, dead, None, Some(RecordStatus::TokenRefused)),
            // Not about the token: the client may not ask, or asks about somebody else.
            (401, json, &code(9017), None, None),
            (401, json, r#"{"error":"invalid_client"}"#, None, None),
            (404, json, &code(9016), None, None),
            (301, json, &code(9007), Some(&moved), Some(RecordStatus::Deprecated { primary })),
            (301, json, &code(9007), None, Some(RecordStatus::Deprecated { primary: None })),
            (301, json, &code(9007), Some(OWN), Some(RecordStatus::Deprecated { primary: None })),
            (409, json, &code(9018), None, Some(RecordStatus::Locked)),
            (409, json, &code(9044), None, Some(RecordStatus::Deactivated)),
            // Our own client is deactivated: no person's doing.
            (409, json, &code(9057), None, None),
        ];
        for (status, media_type, body, location, want) in table {
            let read = read(&answer(status, media_type, body, location), own);
            assert_eq!(read.as_ref().ok(), want.as_ref(), "{status} {media_type} {body}");
            assert!(!format!("{read:?}").contains("secret"));
        }
    }
}
