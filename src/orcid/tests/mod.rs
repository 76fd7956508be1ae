//! A provider that lies, stalls and rotates its keys, and what the client makes of it. Table tests;
//! every test that catches an attack names it (`attacks.md`).

mod authorization;
mod discovery;
mod id_tokens;
mod keys;
mod logout_tokens;
mod provider;
mod random;
mod renewal;
mod strangers;
mod token_endpoint;

use super::*;
use crate::domain::{ClientSecret, Environment, Membership, Scope, StoppedClock};
use provider::{ACCESS, CLIENT, CODE, FakeProvider, NONCE, NOW, REFRESH, SECRET, STATE, VERIFIER};
use std::time::Duration;

/// Settings of a member client at `provider`, taken for a simulated ORCID.
fn settings(provider: &FakeProvider) -> ProviderSettings {
    ProviderSettings {
        name: "orcid".parse().unwrap(),
        environment: Environment::Simulator,
        membership: Membership::Member,
        client_id: CLIENT.to_owned(),
        client_secret: ClientSecret::new(SECRET),
        issuer: provider.base.clone(),
        authentication: ClientAuthentication::Auto,
        algorithms: vec![SigningAlgorithm::Rs256],
        redirect_uri: "https://gate.example/.lychgate/callback/orcid".to_owned(),
        base_scope: Scope::openid(),
        foreign_subjects: false,
        subject_claim: None,
        extra_scopes: ScopeSet::default(),
        offer_sign_out: true,
        title: None,
        show_login: true,
        renew: false,
        userinfo: false,
        cache_file: None,
        ca_file: None,
        leeway: Duration::from_secs(60),
        timeouts: Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(30) },
    }
}

/// The same provider, taken for any other.
fn other(provider: &FakeProvider) -> ProviderSettings {
    ProviderSettings { environment: Environment::Other, ..settings(provider) }
}

fn client(settings: ProviderSettings) -> Arc<Provider> {
    Provider::new(settings, Arc::new(StoppedClock::at(NOW))).unwrap()
}

fn scopes(text: &str) -> ScopeSet {
    text.parse().unwrap()
}

/// One exchange of a code for `/read-limited`; whatever comes of it must not show a secret.
async fn exchange(client: &Provider) -> Result<Grant, OrcidTrouble> {
    let asked = scopes("/read-limited");
    let proof = Proof { nonce: NONCE, pkce_verifier: VERIFIER, iss: None, asked: &asked, signed_in_since: None };
    let outcome = client.exchange(AuthorizationCode::new(CODE), &proof).await;
    shows_no_secret(&outcome);
    outcome
}

/// No outcome prints a token, code, secret or word of the provider, however it is printed (T85).
#[track_caller]
fn shows_no_secret<T: fmt::Debug>(outcome: &Result<T, OrcidTrouble>) {
    let mut printed = format!("{outcome:?} {outcome:#?}");
    if let Err(trouble) = outcome {
        printed.push_str(&format!("{trouble} {trouble:#} {}", trouble.code()));
        let mut cause = std::error::Error::source(trouble);
        while let Some(error) = cause {
            printed.push_str(&format!("{error} {error:?}"));
            cause = error.source();
        }
    }
    for secret in [ACCESS, REFRESH, CODE, SECRET, NONCE, VERIFIER, STATE, "eyJ", "leak"] {
        assert!(!printed.contains(secret), "{secret} is in {printed}");
    }
}

/// Keeps what a subscriber writes.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn t85_no_log_at_any_level_holds_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // One thread runs this whole test, so a thread's subscriber sees everything.
    let _guard = tracing::subscriber::set_default(subscriber);
    let provider = FakeProvider::start().await;
    let authentication = ClientAuthentication::Basic;
    let cache_file = Some("no-such-directory/provider.json".into());
    let client = client(ProviderSettings { authentication, cache_file, userinfo: true, ..settings(&provider) });
    exchange(&client).await.unwrap();
    client.revoke(REFRESH).await.unwrap();
    let body = serde_json::json!({"error": "invalid_grant", "error_description": format!("leak {CODE}")});
    provider.set("/oauth/token", provider::Reply::new(400, "application/json", body.to_string()));
    exchange(&client).await.unwrap_err();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("could not be kept on disk"), "the log is there");
    let basic = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("{CLIENT}:{SECRET}"));
    for secret in [ACCESS, REFRESH, CODE, SECRET, NONCE, VERIFIER, "eyJ", "leak", &basic] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}
