//! `/.lychgate/account` on the sign-in host: the researcher's own view of their connection (J7), and the end of
//! sessions in other browsers.

use super::form_token::{self, Action};
use super::settings::{ACCOUNT, ACCOUNT_DATA, ACCOUNT_SESSIONS, DISCONNECT, SIGN_IN, SIGN_OUT};
use super::{OwnRequest, SignIn, StepFault, allowing};
use crate::domain::{ClientName, SiteName, UnixTime};
use crate::pages::{self, AccountPage, BrowserView, Notice, Page, PersonView, SiteLine, SiteView};
use crate::vault::{HashedSessionKey, ListedSession, LiveSession, SessionKind, SiteUse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Response};

/// The value of the form field `end` that ends all browsers but this one. No name of a session is as short.
const OTHERS: &str = "others";
/// Bytes of the MAC that names a session on the page.
const NAME: usize = 16;

impl SignIn {
    pub(super) async fn account(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let Some(root) = self.root(request).await? else { return Ok(pages::redirect(SIGN_IN)) };
        let identity = &root.identity;
        let Some(provider) = self.provider_view(&identity.client) else {
            return Ok(self.notice(Notice::Internal, None, request.language));
        };
        let key = &root.session.connection;
        let connection = self.vault.connection(key).await?;
        let used = self.vault.sites_of(key).await?;
        let listed = self.vault.sessions_of(key).await?;
        let browser = |listed: &ListedSession| self.browser_view(&root, listed);
        let roots = || listed.iter().filter(|listed| listed.session.kind == SessionKind::Root);
        let is_here = |listed: &&ListedSession| listed.session.key == root.session.key;
        let page = AccountPage {
            person: PersonView::from(&**identity),
            since: connection.map(|connection| connection.first_seen),
            expires: Some(self.end_of(identity)),
            granted: pages::scope_lines(&identity.scopes),
            sites: self.site_lines(&identity.client, &used, &listed),
            here: roots().find(is_here).map(browser),
            others: roots().filter(|listed| !is_here(listed)).map(browser).collect(),
            end: ACCOUNT_SESSIONS.to_owned(),
            token: form_token::issue(&self.forms, &root.session.key, Action::EndSessions),
            sign_out: SIGN_OUT.to_owned(),
            disconnect: DISCONNECT.to_owned(),
            data: ACCOUNT_DATA.to_owned(),
            provider,
        };
        Ok(self.show(request, &Page::Account(page)))
    }

    /// POST: ends one other browser's session, or all of them, and shows the account again.
    pub(super) async fn end_sessions(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if request.is_reading() {
            return Ok(pages::redirect(ACCOUNT));
        }
        if request.method != Method::POST {
            let answer = self.notice(Notice::MethodNotAllowed, None, request.language);
            return Ok(allowing(answer, "GET, HEAD, POST"));
        }
        let Some(root) = self.root(request).await? else { return Ok(pages::redirect(SIGN_IN)) };
        if let Some(refusal) = self.objection(request, &root, Action::EndSessions, None) {
            return Ok(refusal);
        }
        let form = request.form().ok();
        let Some(which) = form.as_ref().and_then(|form| form.get("end")) else {
            return Ok(self.notice(Notice::BadRequest, None, request.language));
        };
        let key = &root.session.connection;
        if which == OTHERS {
            let ended = self.vault.end_other_sessions(key, &root.session.key).await?;
            tracing::info!(ended, "a researcher signed out all other browsers");
        } else {
            // It may have lapsed since the page was made, and still answer for an open WebSocket.
            let keys = self.vault.session_keys_of(key).await?;
            let named = keys.iter().find(|session| self.name_of(&root, session) == which);
            // Nobody of that name: it has ended already, or the name is made up.
            if let Some(named) = named {
                self.vault.end_session_of(key, named).await?;
                tracing::info!("a researcher signed out another browser");
            }
        }
        Ok(pages::redirect(ACCOUNT))
    }

    fn browser_view(&self, viewer: &LiveSession, listed: &ListedSession) -> BrowserView {
        let session = &listed.session;
        BrowserView {
            agent: session.agent.clone(),
            place: session.place.clone(),
            since: session.created,
            last_used: listed.last_used,
            name: self.name_of(viewer, &session.key),
        }
    }

    /// What a session is called on the viewer's page: nothing that the page says can be used anywhere else.
    fn name_of(&self, viewer: &LiveSession, session: &HashedSessionKey) -> String {
        let name = self.forms.mac(&[b"a session in the list of ", &viewer.session.key.0[..], &session.0[..]].concat());
        URL_SAFE_NO_PAD.encode(&name[..NAME])
    }

    /// What used the connection, the latest first, then what the researcher can go on to. A session that lives
    /// knows its last use better than the row does.
    fn site_lines(&self, client: &ClientName, used: &[SiteUse], listed: &[ListedSession]) -> Vec<SiteLine> {
        let policies = self.policies.load();
        let view = |name: &SiteName| match policies.site(name) {
            Some(site) => self.site_view(site),
            // It has been taken down since.
            None => SiteView { name: name.to_string(), title: name.to_string(), url: None },
        };
        let mut lines: Vec<(UnixTime, &SiteName)> =
            used.iter().map(|used| (last_use(used, listed), &used.site)).collect();
        lines.sort_by(|(a, a_name), (b, b_name)| b.cmp(a).then_with(|| a_name.cmp(b_name)));
        let unused =
            policies.sites().iter().filter(|site| site.knows(client) && used.iter().all(|used| used.site != site.name));
        let unused = unused.map(|site| SiteLine { site: self.site_view(site), last: None });
        let used = lines.iter().map(|(last, name)| SiteLine { site: view(name), last: Some(*last) });
        used.chain(unused).collect()
    }
}

pub(super) fn last_use(used: &SiteUse, listed: &[ListedSession]) -> UnixTime {
    let here = |listed: &&ListedSession| match &listed.session.kind {
        SessionKind::Site { site, .. } => *site == used.site,
        SessionKind::Root => false,
    };
    listed.iter().filter(here).map(|listed| listed.last_used).fold(used.last, Ord::max)
}
