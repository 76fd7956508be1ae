//! `/.lychgate/me` on a site host: who is signed in here, for the site's own scripts (T86). Only shows.

use super::{OwnRequest, SignIn, StepFault};
use crate::pages::{self, Notice};
use crate::policy::Site;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;

impl SignIn {
    /// iD, name and end of the session; never a token, never a scope. A page of another origin, be it
    /// a sister site, is refused by what the browser says of it.
    pub(super) async fn me(&self, site: &Arc<Site>, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let own = match request.headers.contains_key("sec-fetch-site") {
            true => matches!(request.header("sec-fetch-site"), Some("same-origin" | "none")),
            false => true,
        };
        if !own {
            return Ok(self.pages.answer_json(Notice::CrossSiteRefused, None));
        }
        let live = self.visitor(request).await?.filter(|live| site.knows(&live.identity.client));
        let Some(live) = live else {
            return Ok(pages::unauthorized_json(&format!("{}/", self.origin(&request.host))));
        };
        let identity = &live.identity;
        let body = json!({
            "id": identity.subject.as_str(),
            "uri": identity.uri(),
            "name": identity.name,
            "expires": identity.session_expires.0,
        });
        Ok(pages::json(StatusCode::OK, &body))
    }
}
