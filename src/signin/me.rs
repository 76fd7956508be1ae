//! `/.lychgate/me` on a site host: who is signed in here, for the site's own scripts (T86). Only shows.

use super::{OwnRequest, SignIn, StepFault};
use crate::pages::{self, Notice};
use crate::policy::Site;
use crate::session::Door;
use crate::vault::LiveSession;
use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;

impl SignIn {
    /// iD, name and end of the session; never a token, never a scope. A page of another origin, be it
    /// a sister site, is refused by what the browser says of it. Asking is no use of the session: a page left
    /// open for the night asks as well.
    pub(super) async fn me(&self, site: &Arc<Site>, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if !request.is_asked_by_own_page() {
            return Ok(self.pages.answer_json(Notice::CrossSiteRefused, None));
        }
        let Some(live) = self.present(site, request).await? else {
            return Ok(pages::unauthorized_json(&format!("{}/", self.origin(&request.host))));
        };
        let identity = &live.identity;
        let body = json!({
            "id": identity.subject.as_str(),
            "uri": identity.uri(),
            "name": identity.name,
            // By the gate's clock, as the others: a browser's may be wrong by hours.
            "now": self.clock.now().0,
            "expires": self.end_of(identity).0,
            "idle_expires": self.sessions.idle_end(&live).0,
        });
        Ok(pages::json(StatusCode::OK, &body))
    }

    /// Who is signed in on the site host, looked at without counting as use.
    pub(super) async fn present(
        &self,
        site: &Arc<Site>,
        request: &OwnRequest,
    ) -> Result<Option<Arc<LiveSession>>, StepFault> {
        let live = self.sessions.look_at(Door::Site(&request.host), request.cookies()).await?;
        Ok(live.filter(|live| site.knows(&live.identity.client)))
    }
}
