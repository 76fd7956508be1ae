//! `/.lychgate/account/data`: everything kept about the researcher under this connection, as a file to take away
//! (J7). No token and no key of a session is in it.

use super::account::last_use;
use super::settings::SIGN_IN;
use super::{OwnRequest, SignIn, StepFault};
use crate::domain::Mfa;
use crate::pages::{self, Notice, timestamp};
use crate::vault::{Connection, ListedSession, SessionKind, SiteUse};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

impl SignIn {
    /// For the person who clicks or types, and for no page of another origin.
    pub(super) async fn data(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let from = request.headers.contains_key("sec-fetch-site").then(|| request.header("sec-fetch-site"));
        if !matches!(from, None | Some(Some("same-origin" | "none"))) {
            return Ok(self.notice(Notice::CrossSiteRefused, None, request.language));
        }
        let Some(root) = self.root(request).await? else { return Ok(pages::redirect(SIGN_IN)) };
        let key = &root.session.connection;
        let Some(connection) = self.vault.connection(key).await? else { return Ok(pages::redirect(SIGN_IN)) };
        let used = self.vault.sites_of(key).await?;
        let listed = self.vault.sessions_of(key).await?;
        let mut answer = pages::json(StatusCode::OK, &document(&connection, &used, &listed));
        let name = HeaderValue::from_static("attachment; filename=\"lychgate-connection.json\"");
        answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
        Ok(answer)
    }
}

fn document(connection: &Connection, used: &[SiteUse], listed: &[ListedSession]) -> Value {
    let key = &connection.key;
    let history = connection.history.iter().map(|grant| {
        json!({ "at": timestamp(grant.at), "scopes": grant.scopes.iter().map(ToString::to_string).collect::<Vec<_>>() })
    });
    let sites = used.iter().map(|used| {
        json!({ "site": used.site.as_str(), "first": timestamp(used.first), "last": timestamp(last_use(used, listed)) })
    });
    let sessions = listed.iter().map(|listed| {
        let session = &listed.session;
        let site = match &session.kind {
            SessionKind::Root => None,
            SessionKind::Site { site, .. } => Some(site.as_str()),
        };
        json!({
            "site": site,
            "browser": session.agent,
            "network": session.place,
            "begun": timestamp(session.created),
            "signed_in": timestamp(session.signed_in_at),
            "last_used": timestamp(listed.last_used),
            "ends": timestamp(session.expires),
        })
    });
    json!({
        "id": key.subject.as_str(),
        "environment": key.environment.as_str(),
        "client": key.client.as_str(),
        "name": connection.name,
        "given_name": connection.given_name,
        "family_name": connection.family_name,
        "second_factor": match connection.mfa {
            Mfa::Enabled => Some(true),
            Mfa::PasswordOnly => Some(false),
            Mfa::Unknown => None,
        },
        "scopes": connection.scopes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "first_connected": timestamp(connection.first_seen),
        "last_signed_in": timestamp(connection.last_seen),
        "broken_since": connection.broken.map(timestamp),
        "permissions": history.collect::<Vec<_>>(),
        "sites": sites.collect::<Vec<_>>(),
        "sessions": sessions.collect::<Vec<_>>(),
    })
}
