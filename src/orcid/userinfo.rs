//! The userinfo endpoint, asked only where the operator wants it (OpenID Connect Core §5.3,
//! `orcid.md` §1.5). Called by `exchange` after the ID token has been believed.

use super::id_token::person_name;
use super::subject::read_subject;
use super::trouble::{BadMetadata, Check, Defect, Endpoint};
use super::{OrcidTrouble, Provider};
use crate::domain::{AccessToken, Subject};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;

/// The names a person has made public; ORCID sends `null` for the others.
#[derive(Default)]
pub(super) struct Userinfo {
    pub(super) name: Option<String>,
    pub(super) given_name: Option<String>,
    pub(super) family_name: Option<String>,
}

#[derive(Deserialize)]
struct RawUserinfo {
    sub: Option<String>,
    name: Option<Value>,
    given_name: Option<Value>,
    family_name: Option<Value>,
}

impl Provider {
    /// Asks for the names. The answer must be about `subject`, or the whole sign-in is refused (Core
    /// §5.3.2, T55): a token that opens somebody else's data is not this person's token.
    pub(super) async fn userinfo(&self, token: &AccessToken, subject: &Subject) -> Result<Userinfo, OrcidTrouble> {
        let endpoint = Endpoint::Userinfo;
        let malformed = OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed };
        let known = self.directory.endpoints().await?;
        let url = known.value.userinfo.as_ref().ok_or(OrcidTrouble::Metadata(BadMetadata::NoUserinfoEndpoint))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| malformed.clone())?;
        bearer.set_sensitive(true);
        let request = Request::get(url.as_str())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(Vec::new())
            .map_err(|_| malformed.clone())?;
        let answer = self.http.send(endpoint, request).await?;
        if answer.status != StatusCode::OK {
            return Err(OrcidTrouble::Refused { endpoint, status: answer.status.as_u16(), error: "other" });
        }
        answer.require_json(endpoint)?;
        let sent: RawUserinfo = serde_json::from_slice(&answer.body).map_err(|_| malformed)?;
        let named = sent.sub.as_deref().ok_or(OrcidTrouble::Lied(Check::SubjectsDisagree))?;
        if read_subject(named, &self.settings).as_ref() != Ok(subject) {
            return Err(OrcidTrouble::Lied(Check::SubjectsDisagree));
        }
        Ok(Userinfo {
            name: sent.name.as_ref().and_then(person_name),
            given_name: sent.given_name.as_ref().and_then(person_name),
            family_name: sent.family_name.as_ref().and_then(person_name),
        })
    }
}
