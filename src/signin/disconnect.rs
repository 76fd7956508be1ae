//! `/.lychgate/account/disconnect`: a researcher takes back what they allowed, and is forgotten if they want (J7).
//! GET asks, POST acts; sessions and tokens here are gone, durably, before the answer says so.

use super::form_token::{self, Action};
use super::settings::{ACCOUNT, DISCONNECT, SIGN_IN};
use super::{OwnRequest, SignIn, StepFault, allowing, with_cookies};
use crate::pages::{self, DisconnectPage, DisconnectedPage, Farewell, Notice, Page, PersonView};
use crate::session::cookie;
use crate::vault::ConnectionKey;
use bytes::Bytes;
use http::{Method, Response};

impl SignIn {
    pub(super) async fn disconnect(&self, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        if !request.is_reading() && request.method != Method::POST {
            let answer = self.notice(Notice::MethodNotAllowed, None, request.language);
            return Ok(allowing(answer, "GET, HEAD, POST"));
        }
        let Some(root) = self.root(request).await? else { return Ok(pages::redirect(SIGN_IN)) };
        let Some(provider) = self.provider_view(&root.identity.client) else {
            return Ok(self.notice(Notice::Internal, None, request.language));
        };
        if request.is_reading() {
            let page = DisconnectPage {
                person: PersonView::from(&*root.identity),
                granted: pages::scope_lines(&root.identity.scopes),
                action: DISCONNECT.to_owned(),
                token: form_token::issue(&self.forms, &root.session.key, Action::Disconnect),
                cancel: ACCOUNT.to_owned(),
                provider,
            };
            return Ok(self.show(request, &Page::Disconnect(page)));
        }
        if let Some(refusal) = self.objection(request, &root, Action::Disconnect, None) {
            return Ok(refusal);
        }
        // There is no smaller one of the two that a form without the button's field could mean.
        let form = request.form().ok();
        let Some(done) = form.and_then(|form| Farewell::from_field(form.get("take")?)) else {
            return Ok(self.notice(Notice::BadRequest, None, request.language));
        };
        let key = &root.session.connection;
        match done {
            Farewell::Withdraw => self.vault.withdraw(key).await.map(|_| ())?,
            Farewell::Erase => self.vault.erase(key).await.map(|_| ())?,
        }
        self.forget_forms(key, done);
        tracing::info!(client = %key.client, take = done.as_str(), "a researcher disconnected");
        let page = Page::Disconnected(DisconnectedPage { done, again: SIGN_IN.to_owned(), provider });
        Ok(with_cookies(self.show(request, &page), vec![cookie::expire(cookie::SESSION)]))
    }

    /// Nothing of theirs stays that they could have meant; erased are the connections of all clients.
    fn forget_forms(&self, key: &ConnectionKey, done: Farewell) {
        let all = self.providers.iter().filter(|(_, provider)| provider.settings().environment == key.environment);
        let clients = all.map(|(client, _)| client).filter(|client| done == Farewell::Erase || **client == key.client);
        for client in clients {
            let key = ConnectionKey { client: client.clone(), ..key.clone() };
            self.spool.forget(self.person(&key));
        }
    }
}
