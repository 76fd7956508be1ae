//! `/.lychgate/webhook/back-channel-logout/NAME`: a provider says that somebody signed out there (OpenID Connect
//! Back-Channel Logout 1.0 §2.5-§2.8). No browser, no cookie, no origin: the signed token alone decides (T95).

use super::{OwnRequest, SignIn, allowing};
use crate::domain::Environment;
use crate::orcid::{LogoutToken, OrcidTrouble, Provider};
use crate::pages::{self, Notice};
use crate::vault::{Mark, ProviderSignOut, ProviderSignedOut, VaultFault};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde_json::json;
use std::sync::Arc;

/// Tokens looked into at once from one address. Each takes a moment, unless its key has to be fetched.
pub(super) const EACH: u8 = 64;

/// How a call ended; the metric's `outcome`.
enum Ended {
    Sessions(usize),
    Replayed,
    Refused(&'static str, String),
    ProviderAway(OrcidTrouble),
    StoreAway(VaultFault),
}

impl SignIn {
    pub(super) async fn back_channel(&self, name: &str, request: &OwnRequest) -> Response<Bytes> {
        let named = self.providers.iter().find(|(client, _)| client.as_str() == name).map(|(_, provider)| provider);
        // ORCID tells nobody that somebody signed out, so nobody can be saying it for ORCID.
        let Some(provider) = named.filter(|it| it.settings().environment == Environment::Other) else {
            return self.pages.answer_json(Notice::NotFound, None);
        };
        if request.method != Method::POST {
            return allowing(self.pages.answer_json(Notice::MethodNotAllowed, None), "POST");
        }
        let Some(_own) = self.webhook_places.take(request.peer) else {
            return self.pages.answer_json(Notice::TooManyRequests, None);
        };
        let ended = self.end_at_word_of(provider, request).await;
        self.tell(provider, ended)
    }

    async fn end_at_word_of(&self, provider: &Arc<Provider>, request: &OwnRequest) -> Ended {
        let form = match request.form() {
            Ok(form) => form,
            Err(bad) => return Ended::Refused("form", bad.to_string()),
        };
        let Some(text) = form.get("logout_token").filter(|text| !text.is_empty()) else {
            return Ended::Refused("form", "there is no logout_token".to_owned());
        };
        let token = match provider.logout_token(text).await {
            Ok(token) => token,
            Err(trouble) => {
                return match trouble.lie() {
                    Some(check) => Ended::Refused(check.code(), check.to_string()),
                    None => Ended::ProviderAway(trouble),
                };
            }
        };
        let settings = provider.settings();
        let order = ProviderSignOut {
            environment: settings.environment,
            client: &settings.name,
            subject: token.subject.as_deref(),
            sid: token.sid.as_deref(),
            issued: token.issued,
            mark: mark(provider, &token),
            mark_until: token.remember_until,
        };
        match self.vault.end_provider_sessions(order).await {
            Ok(ProviderSignedOut::Ended(sessions)) => Ended::Sessions(sessions),
            Ok(ProviderSignedOut::Replayed) => Ended::Replayed,
            Err(fault) => Ended::StoreAway(fault),
        }
    }

    /// Counts, logs once, and answers. 200 only for what is done and durable; 503 where trying again helps.
    fn tell(&self, provider: &Provider, ended: Ended) -> Response<Bytes> {
        let client = provider.settings().name.as_str();
        let (outcome, answer) = match ended {
            Ended::Sessions(sessions) => {
                tracing::info!(client, sessions, "the provider says that a researcher signed out there");
                let outcome = if sessions > 0 { "ended" } else { "nobody" };
                (outcome, pages::json(StatusCode::OK, &json!({})))
            }
            Ended::Replayed => {
                tracing::info!(client, "a logout token was brought twice");
                ("replayed", refusal("the token was used before"))
            }
            Ended::Refused(why, words) => {
                tracing::info!(client, why, "a logout token was refused");
                ("refused", refusal(&words))
            }
            Ended::ProviderAway(trouble) => {
                tracing::warn!(client, cause = %trouble, "a logout token could not be verified");
                ("unavailable", self.pages.answer_json(Notice::ProviderUnreachable, None))
            }
            Ended::StoreAway(fault) => {
                tracing::error!(client, cause = %fault, "the store could not be asked about a logout token");
                ("unavailable", self.pages.answer_json(Notice::StoreUnavailable, None))
            }
        };
        self.metrics.provider_sign_outs.with_label_values(&[client, outcome]).inc();
        answer
    }
}

/// §2.8: 400, and what is wrong in words of ours, for whoever runs the provider.
fn refusal(words: &str) -> Response<Bytes> {
    pages::json(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request", "error_description": words }))
}

/// A token counts once at each registration.
fn mark(provider: &Provider, token: &LogoutToken) -> Mark {
    let text = format!("{}\0{}", provider.settings().name, token.id);
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let mut id = [0; 20];
    id.copy_from_slice(&digest.as_ref()[..20]);
    Mark { purpose: "logout-token", id }
}
