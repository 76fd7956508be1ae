//! The userinfo endpoint, asked only where the operator wants it (OpenID Connect Core §5.3,
//! `orcid.md` §1.5). Called by `exchange` after the ID token has been believed.

use super::claims::{OneOrMany, person_name};
use super::directory::{BroughtBy, Kept};
use super::http_client::Answer;
use super::jwks::KeySet;
use super::signed_token::{SignedToken, TokenKind};
use super::subject::read_subject;
use super::trouble::{BadMetadata, Check, Defect, Endpoint};
use super::{OrcidTrouble, Provider};
use crate::domain::{AccessToken, Subject};
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// The names a person has made public; ORCID sends `null` for the others.
#[derive(Default)]
pub(super) struct Userinfo {
    pub(super) name: Option<String>,
    pub(super) given_name: Option<String>,
    pub(super) family_name: Option<String>,
}

/// Everything else is left alone: aggregated and distributed claims (Core §5.6.2) name other hosts, and
/// nothing is ever fetched from there (`attacks.md` D6).
#[derive(Deserialize)]
struct RawUserinfo {
    sub: Option<String>,
    name: Option<Value>,
    given_name: Option<Value>,
    family_name: Option<Value>,
    iss: Option<String>,
    aud: Option<OneOrMany>,
}

impl Provider {
    /// Asks for the names. The answer must be about `subject`, whom the ID token calls `known_as`, or the
    /// whole sign-in is refused (Core §5.3.2, T55): a token that opens somebody else's data is not this
    /// person's token.
    pub(super) async fn userinfo(
        &self,
        token: &AccessToken,
        subject: &Subject,
        known_as: Option<&str>,
    ) -> Result<Userinfo, OrcidTrouble> {
        let endpoint = Endpoint::Userinfo;
        let malformed = OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed };
        let known = self.directory.endpoints().await?;
        let url = known.value.userinfo.as_ref().ok_or(OrcidTrouble::Metadata(BadMetadata::NoUserinfoEndpoint))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).map_err(|_| malformed.clone())?;
        bearer.set_sensitive(true);
        let request = Request::get(url.as_str())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, HeaderValue::from_static("application/json, application/jwt;q=0.5"))
            .body(Vec::new())
            .map_err(|_| malformed)?;
        let known_keys = self.directory.known_keys();
        let answer = self.http.send(endpoint, request).await?;
        if answer.status != StatusCode::OK {
            return Err(OrcidTrouble::Refused { endpoint, status: answer.status.as_u16(), error: "other" });
        }
        let sent = self.read_userinfo(&answer, known_keys.as_ref()).await?;
        let named = sent.sub.as_deref().ok_or(OrcidTrouble::Lied(Check::SubjectsDisagree))?;
        let same = match (&self.settings.subject_claim, known_as) {
            // `sub` is no iD here, so there is only one way to write it.
            (Some(_), known_as) => Some(named) == known_as,
            (None, _) => read_subject(named, &self.settings).as_ref() == Ok(subject),
        };
        if !same {
            return Err(OrcidTrouble::Lied(Check::SubjectsDisagree));
        }
        Ok(Userinfo {
            name: sent.name.as_ref().and_then(person_name),
            given_name: sent.given_name.as_ref().and_then(person_name),
            family_name: sent.family_name.as_ref().and_then(person_name),
        })
    }

    /// JSON, or JSON in a signed token, as the client's registration says (Core §5.3.2).
    async fn read_userinfo(
        &self,
        answer: &Answer,
        asked_with: Option<&Arc<Kept<KeySet>>>,
    ) -> Result<RawUserinfo, OrcidTrouble> {
        let endpoint = Endpoint::Userinfo;
        let malformed = OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed };
        if answer.media_type() != "application/jwt" {
            answer.require_json(endpoint)?;
            return serde_json::from_slice(&answer.body).map_err(|_| malformed);
        }
        let text = std::str::from_utf8(&answer.body).map_err(|_| malformed)?;
        let token = SignedToken::read(text.trim(), &self.settings.algorithms, TokenKind::Userinfo)
            .map_err(OrcidTrouble::Lied)?;
        self.directory.verify(&token, BroughtBy::Provider, asked_with).await?;
        let sent: RawUserinfo = token.payload().map_err(OrcidTrouble::Lied)?;
        if sent.iss.as_ref().is_some_and(|issuer| *issuer != self.settings.issuer) {
            return Err(OrcidTrouble::Lied(Check::Issuer));
        }
        let meant_for = |audience: &OneOrMany| match audience {
            OneOrMany::One(one) => *one == self.settings.client_id,
            OneOrMany::Many(many) => many.contains(&self.settings.client_id),
        };
        match &sent.aud {
            Some(audience) if !meant_for(audience) => Err(OrcidTrouble::Lied(Check::Audience)),
            _ => Ok(sent),
        }
    }
}
