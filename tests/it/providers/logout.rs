//! Signing out on both sides: here and then at the provider (RP-Initiated Logout), and at the provider, which then
//! tells the gate (Back-Channel Logout, T95; conformance D5).

use super::ground::{Ground, Plan, RETURN, SECRET, WEBHOOK};
use crate::campus::browser::Browser;
use crate::campus::installed::left_out;
use crate::campus::legacy_app::Behaviour;
use crate::campus::ws::WebSocket;
use crate::campus::{LIBRARY, REPOSITORY, SIGN_IN};
use http::Method;
use lychgate::domain::{Clock, SystemClock};
use serde_json::{Value, json};
use std::time::Duration;

const LOANS: &str = "https://library.campus.example/loans";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// What a sign-out promises for open exchanges.
const PROMISED: Duration = Duration::from_secs(5);

async fn signed_in(ground: &Ground, name: &str) -> Browser {
    let browser = ground.campus.browser();
    ground.sign_in(&browser, LOANS, name).await.assert_status(200).assert_at(LOANS);
    browser
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get(&format!("{SIGN_IN}/.lychgate/account")).send().await.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_here_leads_on_to_the_provider_and_back() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = signed_in(&ground, "alice").await;
    let page = browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await;
    let page = page.press("Sign out of all sites in this browser").await;
    page.assert_status(200).assert_says("You are signed out").assert_says("You may still be signed in at");
    let way_out = page.link("Sign out at 127.0.0.1");
    assert_eq!(way_out.path(), "/realms/campus/session/end");
    let sent: Vec<(String, String)> = way_out.query_pairs().into_owned().collect();
    let names: Vec<&str> = sent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["client_id", "post_logout_redirect_uri", "state"], "no token in an address (invariant 6)");
    assert_eq!(sent[1].1, format!("{SIGN_IN}{RETURN}"));
    let kept = browser.cookie(SIGN_IN, "__Host-Http-lychgate-out").expect("the way back is known by a cookie");
    assert!(!kept.contains(&sent[2].1));

    let asks = page.click("Sign out at 127.0.0.1").await;
    asks.assert_status(200).assert_says("Sign out of the campus?");
    let back = asks.press("Yes, sign me out").await;
    back.assert_status(200).assert_at_path(RETURN).assert_says("You are signed out at").assert_says("too");
    back.assert_lacks("You may still be signed in");
    assert_eq!(browser.cookie(SIGN_IN, "__Host-Http-lychgate-out"), None);
    assert_eq!(ground.count("told the gate: 200").await, 1, "what had ended already is no error");
    assert_eq!(ground.metric("lychgate_provider_sign_outs_total{client=\"campus\",outcome=\"nobody\"}").await, 1);

    // The same address again, from the history or a bookmark: known no more, and no dead end.
    let again = browser.open(back.hops.last().expect("it was opened").url.as_str()).await;
    again.assert_status(200).assert_says("You may still be signed in at");
    // Whoever comes next has to sign in there.
    let page = browser.open(LOANS).await.click("Sign in at 127.0.0.1").await;
    page.assert_says("Sign in at the campus");
    ground.arrive(page, "bob").await.assert_at(LOANS);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d5_another_state_or_none_shows_the_plain_page_and_touches_nothing() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = ground.campus.browser();
    let plain = |query: &str| format!("{SIGN_IN}{RETURN}{query}");
    for query in ["", "?state=", "?state=x", "?state=x&state=x", "?state=%00", &format!("?state={}", "A".repeat(27))] {
        let page = browser.open(&plain(query)).await;
        page.assert_status(200).assert_says("You are signed out").assert_says("You may still be signed in at");
    }
    // Somebody else's state, and one's own in another browser.
    let (alice, other) = (signed_in(&ground, "alice").await, ground.campus.browser());
    let page = alice.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await.press("Sign out on all my devices").await;
    let state =
        page.link("Sign out at 127.0.0.1").query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    other.open(&plain(&format!("?state={state}"))).await.assert_says("You may still be signed in at");
    // A cookie planted by hand opens nothing.
    let forged =
        other.get(&plain(&format!("?state={state}"))).header("cookie", format!("__Host-Http-lychgate-out={state}"));
    forged.send().await.assert_status(200).assert_says("You may still be signed in at");
    // Signed in again in another tab meanwhile: not told that one is signed out, and still signed in.
    ground.sign_in(&alice, LOANS, "alice").await.assert_status(200);
    let page = alice.open(&plain(&format!("?state={state}"))).await;
    page.assert_status(200).assert_at_path("/.lychgate/account");
    assert!(is_signed_in(&alice).await);
    alice.request(Method::POST, &plain("")).send().await.assert_status(405);
    assert!(is_signed_in(&alice).await);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staying_signed_in_there_is_no_dead_end() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = signed_in(&ground, "alice").await;
    let page = browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await.press("Sign out of all sites").await;
    let page = page.click("Sign out at 127.0.0.1").await.press("No, stay signed in").await;
    page.assert_status(200).assert_says("unless you chose there to stay signed in");
    let page = page.click("Sign in again").await;
    page.assert_status(200);
    ground.arrive(page, "alice").await.assert_status(200).assert_says("Alice");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_it_does_not_help_nobody_is_sent_there() {
    if left_out() {
        return;
    }
    let lines = "foreign_subjects = true\noffer_sign_out = false";
    let ground = Ground::open(Plan { lines, ..Plan::default() }).await;
    let browser = signed_in(&ground, "alice").await;
    let page = browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await.press("Sign out of all sites").await;
    page.assert_status(200).assert_says("You may still be signed in at").assert_says("Open 127.0.0.1");
    assert!(page.page().links.iter().all(|link| !link.href.contains("session/end")), "{}", page.story());
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_at_the_provider_ends_the_session_its_children_and_what_they_opened() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    ground.campus.library().on("/live", Behaviour::WebSocketEcho);
    let (leaving, elsewhere, bob) =
        (signed_in(&ground, "alice").await, signed_in(&ground, "alice").await, signed_in(&ground, "bob").await);
    leaving.open(&format!("{REPOSITORY}/browse")).await.assert_at(&format!("{REPOSITORY}/browse"));
    let socket = "wss://library.campus.example/live";
    let mut ended = WebSocket::open(&leaving, socket).await.expect("the app accepts it");
    let mut kept = WebSocket::open(&elsewhere, socket).await.expect("the app accepts it");
    assert_eq!((ended.ask("a").await, kept.ask("b").await), ("a".to_owned(), "b".to_owned()));

    ground.sign_out_there(&leaving).await;
    assert_eq!(ground.count("told the gate: 200").await, 1);
    ended.assert_ends(PROMISED).await;
    for site in [LOANS.to_owned(), format!("{REPOSITORY}/browse")] {
        leaving.open(&site).await.assert_status(200).assert_says("Sign in at 127.0.0.1");
    }
    assert!(!is_signed_in(&leaving).await);
    // The token named a session (`sid`), so it is that browser's alone.
    assert_eq!(kept.ask("still here").await, "still here");
    assert!(is_signed_in(&elsewhere).await && is_signed_in(&bob).await);
    assert_eq!(ground.metric("lychgate_provider_sign_outs_total{client=\"campus\",outcome=\"ended\"}").await, 1);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_names_no_session_signs_a_person_out_everywhere() {
    if left_out() {
        return;
    }
    let client = json!({ "backchannel_logout_session_required": false });
    let ground = Ground::open(Plan { client, ..Plan::default() }).await;
    let (one, two, bob) =
        (signed_in(&ground, "alice").await, signed_in(&ground, "alice").await, signed_in(&ground, "bob").await);
    ground.sign_out_there(&one).await;
    assert_eq!(ground.count("told the gate: 200").await, 1);
    assert!(!is_signed_in(&one).await && !is_signed_in(&two).await && is_signed_in(&bob).await);
    ground.close().await;
}

/// As the provider would write it about Alice.
/// Said some seconds ago: who signs in afterwards is not meant.
fn claims(ground: &Ground, jti: &str) -> Value {
    let now = SystemClock.now().0 - 5;
    json!({
        "iss": ground.provider.issuer, "aud": "campus-gate", "iat": now, "exp": now + 120, "jti": jti, "sub": "alice",
        "events": { EVENT: {} },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t95_a_logout_token_that_is_wrong_in_any_way_is_refused_and_ends_nothing() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = signed_in(&ground, "alice").await;
    let typed = || json!({ "typ": "logout+jwt" });
    let mut tokens = Vec::new();
    for (what, change) in [
        ("another issuer", json!({ "iss": "https://evil.example" })),
        ("another client", json!({ "aud": "somebody-else" })),
        ("no events", json!({ "events": null })),
        ("another event", json!({ "events": { "http://schemas.openid.net/event/x": {} } })),
        ("a nonce", json!({ "nonce": "n" })),
        ("no iat", json!({ "iat": null })),
        ("an old iat", json!({ "iat": 1_700_000_000 })),
        ("no jti", json!({ "jti": null })),
        ("expired", json!({ "exp": 1_700_000_000 })),
        ("about nobody", json!({ "sub": null })),
    ] {
        let mut claims = claims(&ground, what);
        for (name, value) in change.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        tokens.push((what, ground.sign(typed(), claims).await));
    }
    let stranger = json!({ "stranger": true, "header": typed(), "claims": claims(&ground, "stranger") });
    let stranger = ground.provider.control(&ground.tool, "sign", stranger).await["token"].as_str().unwrap().to_owned();
    tokens.push(("a stranger's key", stranger));
    let right = ground.sign(typed(), claims(&ground, "right")).await;
    let (payload, signature) = right.split_once('.').unwrap().1.split_once('.').unwrap();
    let base64 = |text: &str| base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, text);
    let unsigned = format!("{}.{payload}.", base64(r#"{"alg":"none","typ":"logout+jwt"}"#));
    tokens.push(("none", unsigned));
    let message = format!("{}.{payload}", base64(r#"{"alg":"HS256","typ":"logout+jwt"}"#));
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mac =
        base64::Engine::encode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, ring::hmac::sign(&key, message.as_bytes()));
    tokens.push(("HMAC with the client's secret", format!("{message}.{mac}")));
    tokens.push(("another type", format!("{}.{payload}.{signature}", base64(r#"{"alg":"RS256","typ":"at+jwt"}"#))));
    tokens.push(("no token", "leak".to_owned()));
    tokens.push(("nothing", String::new()));
    for (what, token) in &tokens {
        let answer = ground.tell(token).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(answer.json()["error"], "invalid_request", "{what}");
        assert!(answer.set_cookies().is_empty() && is_signed_in(&browser).await, "{what}");
    }
    // Forms that are none, and one that says it twice.
    let twice = format!("logout_token={right}&logout_token={right}");
    for (kind, body) in [
        ("application/x-www-form-urlencoded", twice.as_str()),
        ("application/json", &json!({ "logout_token": right }).to_string()),
        ("text/plain", &format!("logout_token={right}")),
        ("application/x-www-form-urlencoded", &format!("token={right}")),
    ] {
        assert_eq!(ground.tell_as(kind, body).await.status, 400, "{kind}");
    }
    let huge = format!("logout_token={}", "A".repeat(100_000));
    assert_eq!(ground.tell_as("application/x-www-form-urlencoded", &huge).await.status, 413);
    assert!(is_signed_in(&browser).await);
    let refused = ground.metric("lychgate_provider_sign_outs_total{client=\"campus\",outcome=\"refused\"}").await;
    assert_eq!(refused, u64::try_from(tokens.len()).unwrap() + 4);

    // The right one, once; what else a form may hold is nobody's business (§2.5).
    let form = format!("x=1&logout_token={right}&y=");
    let answer = ground.tell_as("application/x-www-form-urlencoded; charset=utf-8", &form).await;
    answer.assert_status(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(!is_signed_in(&browser).await);
    // Signed in again, the old token is worth nothing.
    ground.sign_in(&browser, LOANS, "alice").await.assert_status(200);
    ground.tell(&right).await.assert_status(400);
    assert!(is_signed_in(&browser).await);
    ground.campus.watch.forbid("a logout token", &right);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t95_the_address_is_there_for_providers_that_are_no_orcid_and_for_post_alone() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let right = ground.sign(json!({ "typ": "logout+jwt" }), claims(&ground, "right")).await;
    let tool = ground.campus.browser();
    let post = |url: String| tool.post_form(&url, &[("logout_token", &right)]).by_tool();
    for url in [
        format!("{SIGN_IN}/.lychgate/webhook/back-channel-logout/nobody"),
        format!("{SIGN_IN}/.lychgate/webhook/back-channel-logout/"),
        format!("{SIGN_IN}/.lychgate/webhook/back-channel-logout/campus/x"),
        format!("{LIBRARY}{WEBHOOK}"),
    ] {
        let status = post(url.clone()).send().await.status.as_u16();
        assert!([404, 405].contains(&status), "{url}: {status}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = tool.request(method, &format!("{SIGN_IN}{WEBHOOK}")).by_tool().send().await;
        assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, Some("POST")));
    }
    // At an ORCID nobody says so, and nobody is believed.
    let campus = crate::campus::Campus::open().await;
    let answer = campus.browser().post_form(&format!("{SIGN_IN}{WEBHOOK}"), &[("logout_token", &right)]).by_tool();
    answer.send().await.assert_status(404);
    campus.close().await;
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t95_a_flood_of_made_up_tokens_keeps_nobody_from_signing_in_or_out() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = signed_in(&ground, "alice").await;
    let fetched = ground.count("GET /jwks").await;
    let mut tokens = Vec::new();
    for number in 0..20 {
        let header = json!({ "typ": "logout+jwt", "kid": format!("invented-{number}") });
        tokens.push(ground.sign(header, claims(&ground, &number.to_string())).await);
    }
    let flood = futures_util::future::join_all((0..200).map(|at| ground.tell(&tokens[at % tokens.len()]))).await;
    // Refused where the key was looked for; told to come again where somebody had just looked.
    assert!(flood.iter().all(|answer| [400, 429, 503].contains(&answer.status.as_u16())));
    assert!(flood.iter().all(|answer| answer.status != 503 || answer.header("retry-after").is_some()));
    assert!(ground.count("GET /jwks").await <= fetched + 1, "one fetch for all of them");
    assert!(is_signed_in(&browser).await);
    // The provider rotates in that very minute: signing in still works, and so does signing out there.
    ground.provider.control(&ground.tool, "rotate", json!({})).await;
    let bob = signed_in(&ground, "bob").await;
    ground.sign_out_there(&bob).await;
    assert_eq!(ground.count("told the gate: 200").await, 1, "{}", ground.provider.said());
    assert!(!is_signed_in(&bob).await && is_signed_in(&browser).await);
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t95_t70_while_the_store_cannot_say_the_provider_is_asked_to_try_again() {
    if left_out() {
        return;
    }
    let mut ground = Ground::open(Plan::default()).await;
    let browser = signed_in(&ground, "alice").await;
    let token = ground.sign(json!({ "typ": "logout+jwt" }), claims(&ground, "once")).await;
    // After a restart the session has to be read from disk, where nobody can read it now.
    ground.campus.restart().await;
    let people = ground.campus.folder().join("state/vault/people");
    let aside = ground.campus.folder().join("people-aside");
    std::fs::rename(&people, &aside).unwrap();
    std::fs::write(&people, "no directory").unwrap();
    let answer = ground.tell(&token).await;
    answer.assert_status(503);
    assert!(answer.header("retry-after").is_some() && answer.header("cache-control") == Some("no-store"));
    assert_eq!(ground.metric("lychgate_provider_sign_outs_total{client=\"campus\",outcome=\"unavailable\"}").await, 1);
    std::fs::remove_file(&people).unwrap();
    std::fs::rename(&aside, &people).unwrap();
    assert!(is_signed_in(&browser).await, "nothing was done, and nothing was said to be done");
    // The same token again is no replay: it has not counted yet.
    ground.tell(&token).await.assert_status(200);
    assert!(!is_signed_in(&browser).await);
    ground.tell(&token).await.assert_status(400);
    ground.close().await;
}
