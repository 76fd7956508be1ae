//! What the authorization address says (T35), and which settings are refused.

use super::provider::Reply;
use super::*;
use serde_json::json;
use std::collections::HashMap;
use url::Url;

fn question(asked: &str) -> AuthorizationRequest<'static> {
    AuthorizationRequest {
        scopes: scopes(asked),
        state: STATE,
        nonce: NONCE,
        pkce_verifier: VERIFIER,
        prompt_login: false,
        lang: None,
        hint: None,
    }
}

async fn parameters(client: &Provider, request: &AuthorizationRequest<'_>) -> HashMap<String, String> {
    let url = Url::parse(&client.authorization_url(request).await.unwrap()).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let map: HashMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(pairs.len(), map.len(), "no parameter twice: {url}");
    map
}

#[tokio::test]
async fn t35_the_question_is_complete_and_exact() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let url = client.authorization_url(&question("/read-limited")).await.unwrap();
    assert!(url.starts_with(&format!("{}/oauth/authorize?", provider.base)), "{url}");
    let sent = parameters(&client, &question("/read-limited")).await;
    let expected = [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("state", STATE),
        ("nonce", NONCE),
        ("redirect_uri", "https://gate.example/.lychgate/callback/orcid"),
        ("scope", "openid /read-limited"),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test]
async fn t35_pkce_is_used_if_and_only_if_s256_is_listed() {
    let provider = FakeProvider::start().await;
    for (listed, used) in [
        (json!(null), false),
        (json!([]), false),
        (json!(["plain"]), false),
        (json!(["s256"]), false),
        (json!(["plain", "S256"]), true),
    ] {
        let mut document = provider.discovery();
        document["code_challenge_methods_supported"] = listed.clone();
        provider.set("/.well-known/openid-configuration", Reply::json(&document));
        let client = client(other(&provider));
        let sent = parameters(&client, &question("")).await;
        let challenge = provider::base64url(ring::digest::digest(&ring::digest::SHA256, VERIFIER.as_bytes()));
        assert_eq!(sent.get("code_challenge"), used.then_some(&challenge), "{listed}");
        assert_eq!(sent.get("code_challenge_method").map(String::as_str), used.then_some("S256"), "{listed}");
        exchange(&client).await.unwrap();
        let form = provider.seen("/oauth/token").pop().unwrap().form;
        assert_eq!(form.get("code_verifier").map(String::as_str), used.then_some(VERIFIER), "{listed}");
    }
}

#[tokio::test]
async fn openid_and_authenticate_are_never_asked_together() {
    let provider = FakeProvider::start().await;
    let by_openid = client(settings(&provider));
    let by_authenticate = client(ProviderSettings { base_scope: Scope::authenticate(), ..settings(&provider) });
    for (client, asked, sent) in [
        (&by_openid, "", "openid"),
        (&by_openid, "openid", "openid"),
        (&by_openid, "/authenticate /read-limited", "openid /read-limited"),
        (&by_openid, "/person/update /activities/update", "openid /activities/update /person/update"),
        (&by_authenticate, "", "/authenticate"),
        (&by_authenticate, "/read-limited", "/authenticate /read-limited"),
        (&by_authenticate, "openid", "openid"),
    ] {
        assert_eq!(parameters(client, &question(asked)).await["scope"], sent, "{asked}");
    }
}

#[tokio::test]
async fn prompt_and_language_are_passed_where_they_mean_something() {
    let provider = FakeProvider::start().await;
    let orcid = client(settings(&provider));
    let plain = client(ProviderSettings { base_scope: Scope::authenticate(), ..settings(&provider) });
    let foreign = client(other(&provider));
    let request = AuthorizationRequest { prompt_login: true, lang: Some("pt-BR"), ..question("") };
    let sent = parameters(&orcid, &request).await;
    assert_eq!((sent["prompt"].as_str(), sent["lang"].as_str()), ("login", "pt"));
    assert!(!sent.contains_key("max_age"), "ORCID tells the time of the sign-in unasked");
    assert!(!parameters(&plain, &request).await.contains_key("prompt"));
    let sent = parameters(&foreign, &request).await;
    assert_eq!((sent["prompt"].as_str(), sent["ui_locales"].as_str()), ("login", "pt-BR"));
    assert_eq!(sent["max_age"], "0");
    let sent = parameters(&orcid, &AuthorizationRequest { lang: Some("xx&prompt=none"), ..question("") }).await;
    assert!(!sent.contains_key("lang") && !sent.contains_key("prompt"));
}

#[tokio::test]
async fn j3_orcid_shows_its_registration_first_where_that_is_wanted() {
    let provider = FakeProvider::start().await;
    let asked = parameters(&client(ProviderSettings { show_login: false, ..settings(&provider) }), &question("")).await;
    assert_eq!(asked["show_login"], "false");
    for usual in [settings(&provider), ProviderSettings { show_login: false, ..other(&provider) }] {
        assert!(!parameters(&client(usual), &question("")).await.contains_key("show_login"));
    }
}

#[tokio::test]
async fn t35_short_or_unsafe_secrets_are_a_callers_mistake_not_a_panic() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    for request in [
        AuthorizationRequest { state: "short", ..question("") },
        AuthorizationRequest { nonce: "", ..question("") },
        AuthorizationRequest { pkce_verifier: "too-short-for-the-library", ..question("") },
        AuthorizationRequest { state: "state with spaces and more", ..question("") },
    ] {
        let outcome = client.authorization_url(&request).await;
        assert!(matches!(outcome, Err(OrcidTrouble::Misuse(_))));
    }
    let (asked, long) = (scopes(""), "x".repeat(200));
    let proof = Proof { nonce: NONCE, pkce_verifier: &long, iss: None, asked: &asked, signed_in_since: None };
    let outcome = client.exchange(AuthorizationCode::new(CODE), &proof).await;
    assert!(matches!(outcome, Err(OrcidTrouble::Misuse(_))));
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_at_once() {
    let provider = FakeProvider::start().await;
    let base = settings(&provider);
    let orcid = || ProviderSettings {
        environment: Environment::Production,
        issuer: "https://orcid.org".into(),
        ..base.clone()
    };
    let good = |settings: ProviderSettings| Provider::new(settings, Arc::new(StoppedClock::at(NOW)));
    assert!(good(base.clone()).is_ok() && good(orcid()).is_ok() && good(other(&provider)).is_ok());
    let both = vec![SigningAlgorithm::Rs256, SigningAlgorithm::Es256];
    let empty = tempfile::NamedTempFile::new().unwrap();
    for (what, settings) in [
        ("production, sandbox's issuer", ProviderSettings { issuer: "https://sandbox.orcid.org".into(), ..orcid() }),
        ("production with a slash", ProviderSettings { issuer: "https://orcid.org/".into(), ..orcid() }),
        ("an http issuer", ProviderSettings { issuer: "http://op.example".into(), ..base.clone() }),
        ("a dressed-up loopback", ProviderSettings { issuer: "http://localhost.evil.example".into(), ..base.clone() }),
        ("an issuer with a query", ProviderSettings { issuer: "https://op.example?x".into(), ..other(&provider) }),
        ("an issuer with a user", ProviderSettings { issuer: "https://a@op.example".into(), ..other(&provider) }),
        ("no issuer", ProviderSettings { issuer: String::new(), ..base.clone() }),
        ("no client id", ProviderSettings { client_id: String::new(), ..base.clone() }),
        ("no secret", ProviderSettings { client_secret: ClientSecret::new(""), ..base.clone() }),
        ("no algorithm", ProviderSettings { algorithms: vec![], ..other(&provider) }),
        ("ES256 at ORCID", ProviderSettings { algorithms: both, ..base.clone() }),
        ("foreign subjects at ORCID", ProviderSettings { foreign_subjects: true, ..base.clone() }),
        ("a relative redirect", ProviderSettings { redirect_uri: "/callback".into(), ..base.clone() }),
        ("a redirect with a fragment", ProviderSettings { redirect_uri: "https://a/b#c".into(), ..base.clone() }),
        ("a strange base", ProviderSettings { base_scope: "/read-limited".parse().unwrap(), ..base.clone() }),
        ("no ca_file", ProviderSettings { ca_file: Some("does-not-exist.pem".into()), ..base.clone() }),
        ("an empty ca_file", ProviderSettings { ca_file: Some(empty.path().to_owned()), ..base.clone() }),
    ] {
        let outcome = good(settings);
        assert!(matches!(outcome, Err(OrcidTrouble::Setup(_))), "{what}");
        shows_no_secret(&outcome);
    }
}
