//! The signed assertion as an app sees and verifies it (T18, T19), with a JWT library that shares no code with the
//! gate, against the keys that the sign-in host publishes.

use super::{LIE, spellings};
use crate::campus::browser::Browser;
use crate::campus::{Campus, REPOSITORY, SIGN_IN, people};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use lychgate::domain::StoppedClock;
use serde_json::Value;
use std::sync::Arc;

/// A second site with an audience of its own.
const ARCHIVE_SITE: &str = r#"
[site]
name = "archive"
hosts = ["archive.campus.example"]
upstream = "{archive}"

[hand-off]
preset = "none"
assertion = { header = "X-Archive-Token", audience = "archive" }

[[rule]]
name = "front"
paths = ["/"]
access = "public"

[[rule]]
access = "signed-in"
"#;

const ARCHIVE: &str = "https://archive.campus.example";

/// What an app does with an assertion; times are checked by the tests, whose clock may be their own.
pub(crate) async fn verify(
    browser: &Browser,
    assertion: &str,
    audience: &str,
) -> Result<Value, jsonwebtoken::errors::Error> {
    let header = decode_header(assertion)?;
    assert_eq!(header.alg, Algorithm::ES256);
    let kid = header.kid.expect("a key is named");
    let answer = browser.get(&format!("{SIGN_IN}/.lychgate/jwks.json")).by_tool().send().await;
    answer.assert_status(200);
    let keys = answer.json();
    let keys = keys["keys"].as_array().expect("a key set");
    for key in keys {
        let names: Vec<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert!(!names.contains(&"d"), "a private key is published");
        assert_eq!((key["kty"].as_str(), key["crv"].as_str()), (Some("EC"), Some("P-256")));
    }
    let key = keys.iter().find(|key| key["kid"] == kid.as_str()).expect("the key is published");
    let key = DecodingKey::from_ec_components(key["x"].as_str().unwrap(), key["y"].as_str().unwrap())?;
    let mut rules = Validation::new(Algorithm::ES256);
    rules.set_audience(&[audience]);
    rules.set_issuer(&[SIGN_IN]);
    rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    rules.validate_exp = false;
    decode::<Value>(assertion, &key, &rules).map(|token| token.claims)
}

async fn presented(campus: &Campus, browser: &Browser, url: &str, app: &str, header: &str) -> String {
    browser.get(url).send().await.assert_status(200);
    campus.app(app).last_request().header(header).expect("an assertion").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_an_assertion_is_for_one_site_one_person_and_five_minutes() {
    let campus = Campus::build().site("archive", ARCHIVE_SITE).open().await;
    let (browser, person) = (campus.browser(), people::from_afar());
    campus.sign_in(&browser, &format!("{REPOSITORY}/browse"), &person).await.assert_status(200);
    browser.open(&format!("{ARCHIVE}/boxes")).await.assert_status(200).assert_at(&format!("{ARCHIVE}/boxes"));

    let here =
        presented(&campus, &browser, &format!("{REPOSITORY}/browse"), "repository", "x-lychgate-assertion").await;
    let there = presented(&campus, &browser, &format!("{ARCHIVE}/boxes"), "archive", "x-archive-token").await;
    let ours = verify(&browser, &here, "repository").await.expect("the repository accepts its own");
    let theirs = verify(&browser, &there, "archive").await.expect("the archive accepts its own");
    verify(&browser, &here, "archive").await.expect_err("an assertion for the repository is worthless at the archive");
    verify(&browser, &there, "repository").await.expect_err("and the other way round");

    let now = campus.network.now().0;
    for claims in [&ours, &theirs] {
        assert_eq!(claims["sub"], person.orcid.as_str());
        assert_eq!(claims["iss"], SIGN_IN);
        assert_eq!(claims["name"], person.public_name().unwrap().as_str());
        assert!(claims["orcid"].as_str().unwrap().ends_with(person.orcid.as_str()));
        assert_eq!(claims["scopes"], serde_json::json!(["openid"]));
        let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
        assert!(issued <= now && now - issued <= 60, "issued {issued}, now {now}");
        assert!(expires > now && expires - issued <= 300, "issued {issued}, expires {expires}");
        assert!(claims["auth_time"].as_i64().unwrap() <= now);
    }
    assert_eq!((&ours["aud"], &theirs["aud"]), (&"repository".into(), &"archive".into()));
    assert_ne!(ours["jti"], theirs["jti"]);
    assert_ne!(ours["sid"], theirs["sid"], "two sites must not be able to compare notes");

    let mut forged = here.clone().into_bytes();
    let middle = here.find('.').unwrap() + 10;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    verify(&browser, std::str::from_utf8(&forged).unwrap(), "repository").await.expect_err("one letter changed");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t18_an_assertion_is_renewed_by_the_minute_and_never_outlives_the_session() {
    let clock = Arc::new(StoppedClock::at(1_800_000_000));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    let url = format!("{REPOSITORY}/browse");
    campus.sign_in(&browser, &url, &person).await.assert_status(200);
    let ask = || presented(&campus, &browser, &url, "repository", "x-lychgate-assertion");
    let first = ask().await;
    assert_eq!(ask().await, first, "the same one is presented for a while");
    clock.advance(61);
    let second = ask().await;
    let (first, second) =
        (verify(&browser, &first, "repository").await.unwrap(), verify(&browser, &second, "repository").await.unwrap());
    assert_ne!(first["jti"], second["jti"]);
    assert_eq!(first["sid"], second["sid"]);
    assert_eq!(second["iat"].as_i64(), first["iat"].as_i64().map(|issued| issued + 61));

    // 24 hours after the sign-in the session ends; seven hours at a time keep it from idling out.
    for _ in 0..3 {
        clock.advance(7 * 3600);
        ask().await;
    }
    clock.advance(3 * 3600 - 61 - 120);
    let last = verify(&browser, &ask().await, "repository").await.unwrap();
    let left = last["exp"].as_i64().unwrap() - campus.network.now().0;
    assert!((1..=120).contains(&left), "{left} s beyond the end of the session at most 120 s away");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t19_a_clients_own_assertion_is_replaced_or_dropped() {
    let campus = Campus::build().site("archive", ARCHIVE_SITE).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, &format!("{ARCHIVE}/boxes"), &person).await.assert_status(200);
    let old = presented(&campus, &browser, &format!("{ARCHIVE}/boxes"), "archive", "x-archive-token").await;
    for (path, ours) in [("/boxes", true), ("/", false)] {
        for sent in [LIE, old.as_str()] {
            let mut request = browser.get(&format!("{ARCHIVE}{path}"));
            for name in ["X-Archive-Token", "X-Lychgate-Assertion"].iter().flat_map(|name| spellings(name)) {
                request = request.header(&name, sent);
            }
            request.send().await.assert_status(200);
            let seen = campus.app("archive").last_request();
            assert_eq!(seen.aliases("x-archive-token").len(), usize::from(ours), "{path}");
            assert!(seen.aliases("x-lychgate-assertion").is_empty());
            if let Some(assertion) = seen.header("x-archive-token") {
                assert_eq!(verify(&browser, assertion, "archive").await.unwrap()["sub"], person.orcid.as_str());
            }
        }
    }
    campus.close().await;
}
