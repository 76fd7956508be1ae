//! Discovery documents that must not be believed (T62), outages, and what the disk remembers.

use super::provider::Reply;
use super::*;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const DOCUMENT: &str = "/.well-known/openid-configuration";

fn question() -> AuthorizationRequest<'static> {
    AuthorizationRequest {
        scopes: scopes(""),
        state: STATE,
        nonce: NONCE,
        pkce_verifier: VERIFIER,
        prompt_login: false,
        lang: None,
        hint: None,
    }
}

async fn start(client: &Provider) -> Result<String, OrcidTrouble> {
    let outcome = client.authorization_url(&question()).await;
    if let Err(trouble) = &outcome {
        shows_no_secret::<()>(&Err(trouble.clone()));
    }
    outcome
}

/// Serves ORCID's document with some members changed.
fn serve_changed(provider: &FakeProvider, change: &Value) {
    let mut document = provider.discovery();
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    provider.set(DOCUMENT, Reply::json(&document));
}

#[tokio::test]
async fn t62_documents_that_lie_are_refused() {
    let provider = FakeProvider::start().await;
    let base = provider.base.clone();
    for (what, change, defect) in [
        ("issuer with a slash", json!({"issuer": format!("{base}/")}), BadMetadata::Issuer),
        ("another issuer", json!({"issuer": "https://orcid.org"}), BadMetadata::Issuer),
        ("token over http", json!({"token_endpoint": "http://op.example/t"}), BadMetadata::Insecure),
        ("keys over ftp", json!({"jwks_uri": "ftp://127.0.0.1/k"}), BadMetadata::Insecure),
        ("revocation nowhere", json!({"revocation_endpoint": "nowhere"}), BadMetadata::Address),
        ("a user in it", json!({"token_endpoint": base.replace("//", "//a:b@")}), BadMetadata::Address),
        ("a fragment", json!({"token_endpoint": format!("{base}/t#x")}), BadMetadata::Address),
        ("no token endpoint", json!({"token_endpoint": null}), BadMetadata::NoTokenEndpoint),
        ("no code flow", json!({"response_types_supported": ["id_token"]}), BadMetadata::NoCodeFlow),
    ] {
        serve_changed(&provider, &change);
        for settings in [settings(&provider), other(&provider)] {
            assert_eq!(start(&client(settings)).await.err(), Some(OrcidTrouble::Metadata(defect)), "{what}");
        }
    }
    for missing in ["issuer", "jwks_uri", "authorization_endpoint"] {
        serve_changed(&provider, &json!({missing: null}));
        let malformed = OrcidTrouble::Unusable { endpoint: Endpoint::Discovery, defect: Defect::Malformed };
        assert_eq!(start(&client(settings(&provider))).await.err(), Some(malformed), "{missing}");
    }
    serve_changed(&provider, &json!({"leak": {"a": [1]}, "acr_values_supported": ["x"]}));
    start(&client(settings(&provider))).await.unwrap();
    serve_changed(&provider, &json!({"userinfo_endpoint": null}));
    let wanting = ProviderSettings { userinfo: true, ..settings(&provider) };
    let refused = OrcidTrouble::Metadata(BadMetadata::NoUserinfoEndpoint);
    assert_eq!(start(&client(wanting)).await.err(), Some(refused));
}

#[tokio::test]
async fn t62_an_orcid_keeps_every_endpoint_on_its_own_host() {
    let provider = FakeProvider::start().await;
    let elsewhere = FakeProvider::start().await.base;
    let members = ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "revocation_endpoint"];
    for member in members {
        for address in [format!("{elsewhere}/x"), "https://evil.example/x".to_owned()] {
            serve_changed(&provider, &json!({member: address}));
            let refused = Some(OrcidTrouble::Metadata(BadMetadata::OtherHost));
            assert_eq!(start(&client(settings(&provider))).await.err(), refused, "{member}");
            start(&client(other(&provider))).await.unwrap();
        }
    }
}

#[tokio::test]
async fn t62_redirects_pages_and_floods_are_refused() {
    let provider = FakeProvider::start().await;
    let endpoint = Endpoint::Discovery;
    for (what, reply, expected) in [
        (
            "301",
            Reply::new(301, "text/html", "").with("Location", &format!("{}/other", provider.base)),
            OrcidTrouble::Redirected { endpoint, status: 301 },
        ),
        (
            "html",
            Reply::new(200, "text/html", "leak"),
            OrcidTrouble::Unusable { endpoint, defect: Defect::ContentType },
        ),
        ("404", Reply::new(404, "text/html", "leak"), OrcidTrouble::Refused { endpoint, status: 404, error: "other" }),
        ("502", Reply::new(502, "text/html", "leak"), OrcidTrouble::Unavailable { endpoint, status: 502 }),
        (
            "a flood",
            Reply::new(200, "application/json", "[".repeat(1_100_000)),
            OrcidTrouble::Unusable { endpoint, defect: Defect::TooLarge },
        ),
        (
            "depth",
            Reply::new(200, "application/json", "[".repeat(100_000)),
            OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed },
        ),
    ] {
        provider.set(DOCUMENT, reply);
        assert_eq!(start(&client(settings(&provider))).await.err(), Some(expected), "{what}");
    }
    assert!(provider.seen("/other").is_empty());
}

#[tokio::test]
async fn a_thousand_starts_fetch_the_document_once() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let starts: Vec<_> = (0..1000)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.authorization_url(&question()).await.is_ok() })
        })
        .collect();
    for start in starts {
        assert!(start.await.unwrap());
    }
    assert_eq!(provider.seen(DOCUMENT).len(), 1);
}

#[tokio::test]
async fn j14_an_outage_is_asked_about_rarely_and_ends_by_itself() {
    let provider = FakeProvider::start().await;
    let clock = Arc::new(StoppedClock::at(NOW));
    let client = Provider::new(settings(&provider), clock.clone()).unwrap();
    provider.set(DOCUMENT, Reply::new(503, "text/html", ""));
    for _ in 0..50 {
        assert!(start(&client).await.unwrap_err().is_outage());
    }
    assert_eq!(provider.seen(DOCUMENT).len(), 1);
    provider.set(DOCUMENT, Reply::json(&provider.discovery()));
    clock.advance(6);
    start(&client).await.unwrap();
    // A day later it is down again: the old document stays in use.
    provider.set_down(true);
    clock.advance(86_401);
    for _ in 0..50 {
        start(&client).await.unwrap();
    }
    // Meanwhile somebody answers with a lie: the old one still stays.
    provider.set_down(false);
    provider.set(DOCUMENT, Reply::json(&json!({"issuer": "https://evil.example"})));
    clock.advance(31);
    assert!(start(&client).await.unwrap().starts_with(&provider.base));
}

#[tokio::test]
async fn cache_control_counts_within_bounds() {
    let provider = FakeProvider::start().await;
    for (value, still_fresh, stale) in [
        ("max-age=0", 299, 301),
        ("no-store", 299, 301),
        ("public, max-age=1200", 1199, 1201),
        ("max-age=99999999", 86_399, 86_401),
        ("nonsense", 3599, 3601),
    ] {
        provider.set(DOCUMENT, Reply::json(&provider.discovery()).with("Cache-Control", value));
        let clock = Arc::new(StoppedClock::at(NOW));
        let client = Provider::new(settings(&provider), clock.clone()).unwrap();
        start(&client).await.unwrap();
        let fetched = provider.seen(DOCUMENT).len();
        clock.advance(still_fresh);
        start(&client).await.unwrap();
        assert_eq!(provider.seen(DOCUMENT).len(), fetched, "{value}");
        clock.advance(stale - still_fresh);
        start(&client).await.unwrap();
        assert_eq!(provider.seen(DOCUMENT).len(), fetched + 1, "{value}");
    }
}

#[tokio::test]
async fn j14_the_disk_remembers_while_the_provider_is_down() {
    let provider = FakeProvider::start().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("provider.json");
    let remembering = || ProviderSettings { cache_file: Some(file.clone()), ..settings(&provider) };
    exchange(&client(remembering())).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file is left");
    // Another start, long after, with the provider down: endpoints and keys are still there.
    let later = || Arc::new(StoppedClock::at(NOW + 40 * 86_400));
    provider.set(DOCUMENT, Reply::new(503, "text/html", ""));
    provider.set("/oauth/jwks", Reply::new(503, "text/html", ""));
    let restarted = Provider::new(remembering(), later()).unwrap();
    start(&restarted).await.unwrap();
    let known = Provider::new(remembering(), Arc::new(StoppedClock::at(NOW + 30))).unwrap();
    exchange(&known).await.unwrap();
    // What is not ours, not whole, or not safe is as good as nothing.
    let good = std::fs::read_to_string(&file).unwrap();
    for broken in [
        good.replace("\"format\":1", "\"format\":2"),
        good[..good.len() / 2].to_owned(),
        good.replace("/oauth/token", "/oauth/token#leak"),
        String::new(),
    ] {
        std::fs::write(&file, broken).unwrap();
        assert!(start(&Provider::new(remembering(), later()).unwrap()).await.unwrap_err().is_outage());
    }
    std::fs::write(&file, &good).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(start(&Provider::new(remembering(), later()).unwrap()).await.is_err(), "others may write it");
}

#[tokio::test]
async fn an_unwritable_cache_does_not_stop_a_sign_in() {
    let provider = FakeProvider::start().await;
    let cache_file = Some("no-such-directory/provider.json".into());
    exchange(&client(ProviderSettings { cache_file, ..settings(&provider) })).await.unwrap();
}

#[tokio::test]
async fn a_name_under_localhost_never_leaves_the_machine() {
    let provider = FakeProvider::start().await;
    let port = provider.base.rsplit_once(':').unwrap().1.to_owned();
    let issuer = format!("http://orcid.localhost:{port}");
    let document = provider.discovery().to_string().replace(&provider.base, &issuer);
    provider.set(DOCUMENT, Reply::new(200, "application/json", document));
    let url = start(&client(ProviderSettings { issuer: issuer.clone(), ..settings(&provider) })).await.unwrap();
    assert!(url.starts_with(&issuer));
    assert!(
        provider.seen(DOCUMENT)[0].head.contains(&format!("orcid.localhost:{port}")),
        "the Host field keeps the name"
    );
}

#[tokio::test]
async fn the_background_task_renews_ahead_of_time() {
    let provider = FakeProvider::start().await;
    let clock = Arc::new(StoppedClock::at(NOW));
    let client = Provider::new(settings(&provider), clock.clone()).unwrap();
    let pause = |failures| client.directory.pause(failures).as_secs();
    assert_eq!(pause(0), 0, "nothing is known: at once");
    start(&client).await.unwrap();
    assert_eq!(pause(0), 0, "the keys are not");
    exchange(&client).await.unwrap();
    let pauses: Vec<u64> = (0..50)
        .map(|_| {
            clock.advance(1);
            pause(0)
        })
        .collect();
    assert!(pauses.iter().all(|pause| (2800..=3420).contains(pause)), "80 to 95 per cent of an hour: {pauses:?}");
    assert!(pauses.iter().max().unwrap() - pauses.iter().min().unwrap() > 100, "spread: {pauses:?}");
    for (failures, least, most) in [(1, 22, 38), (2, 45, 75), (5, 360, 600), (7, 1350, 2250), (u32::MAX, 1350, 2250)] {
        assert!((least..=most).contains(&pause(failures)), "{failures}: {}", pause(failures));
    }
    clock.advance(4000);
    assert_eq!(pause(0), 0, "stale: at once");
}

#[tokio::test]
async fn the_background_task_fetches_without_being_asked() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let task = tokio::spawn(client.clone().keep_fresh());
    let both_known = async {
        while client.directory.pause(0).is_zero() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), both_known).await.unwrap();
    task.abort();
    provider.set_down(true);
    start(&client).await.unwrap();
    assert_eq!((provider.seen(DOCUMENT).len(), provider.seen("/oauth/jwks").len()), (1, 1));
}
