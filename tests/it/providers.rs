//! Providers that are no ORCID, by a certified one of the npm index: signing in and out, denying, keys that change
//! under load, and sign-outs that begin at the provider (T95). What any of them may send is in `src/orcid/tests`.

mod browser;
mod ground;
mod logout;
mod real;
mod toolkit;

use crate::campus::answer::Answer;
use crate::campus::installed::left_out;
use crate::campus::{LIBRARY, SIGN_IN};
use ground::{ALICE_ID, Ground, Plan, sign_in_there};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const LOANS: &str = "https://library.campus.example/loans?id=7";

/// The app knows this person.
#[track_caller]
fn assert_is(ground: &Ground, page: &Answer, who: &str) {
    page.assert_status(200).assert_at(LOANS);
    assert_eq!(ground.campus.library().last_request().all("x-orcid-id"), [who]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_with_a_path_in_the_issuer_basic_credentials_pkce_and_names() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = ground.campus.browser();
    let page = browser.open(LOANS).await;
    page.assert_status(200).assert_lacks("ORCID").assert_says("asks you to sign in at");
    let there = page.click("Sign in at 127.0.0.1").await;
    // PKCE, for the provider demands it (T35), and a state that only this browser can use.
    let asked =
        there.hops.iter().find(|hop| hop.url.path().ends_with("/auth")).expect("the way leads there").url.clone();
    let asked: std::collections::BTreeMap<_, _> = asked.query_pairs().into_owned().collect();
    assert_eq!((asked["code_challenge_method"].as_str(), asked["code_challenge"].len()), ("S256", 43));
    assert_eq!(asked["scope"], "openid profile");
    let there = sign_in_there(there, "alice").await.press("Allow").await;
    there
        .assert_status(200)
        .assert_lacks("ORCID")
        .assert_says("Thank you, you are signed in")
        .assert_says("Alice Ångström");
    assert_is(&ground, &there.click("Continue").await, "alice");
    let account = browser.open(&format!("{SIGN_IN}/.lychgate/account")).await;
    account.assert_status(200).assert_lacks("ORCID iD").assert_says("Alice Ångström").assert_says("alice");
    assert_eq!(ground.count("GET /me").await, 0, "userinfo is asked only where the operator wants it");

    // A name made of its parts; never the one a person has chosen.
    let other = ground.campus.browser();
    assert_is(&ground, &ground.sign_in(&other, LOANS, "bob").await, "bob");
    let account = other.open(&format!("{SIGN_IN}/.lychgate/account")).await;
    account.assert_says("Bob Example").assert_lacks("root");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_with_the_secret_in_the_form_and_es256() {
    if left_out() {
        return;
    }
    let plan = Plan {
        path: "",
        alg: "ES256",
        method: Some("client_secret_post"),
        lines: "foreign_subjects = true\nauthentication = \"post\"",
        ..Plan::default()
    };
    let ground = Ground::open(plan).await;
    let browser = ground.campus.browser();
    assert_is(&ground, &ground.sign_in(&browser, LOANS, "alice").await, "alice");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn userinfo_is_asked_plain_or_signed() {
    if left_out() {
        return;
    }
    for client in [json!({}), json!({ "userinfo_signed_response_alg": "RS256" })] {
        let lines = "foreign_subjects = true\nuserinfo = true\nextra_scopes = [\"profile\"]";
        let ground = Ground::open(Plan { lines, client, ..Plan::default() }).await;
        let browser = ground.campus.browser();
        assert_is(&ground, &ground.sign_in(&browser, LOANS, "alice").await, "alice");
        assert_eq!(ground.count("GET /me").await, 1);
        ground.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_may_come_in_a_claim() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan { lines: "subject_claim = \"orcid\"", ..Plan::default() }).await;
    let browser = ground.campus.browser();
    assert_is(&ground, &ground.sign_in(&browser, LOANS, "alice").await, ALICE_ID);
    // Somebody without an iD gets no further, and is told so.
    let other = ground.campus.browser();
    let page = ground.sign_in(&other, LOANS, "bob").await;
    page.assert_status(502).assert_says("The sign-in could not be verified").assert_lacks("ORCID");
    // The provider speaks of Alice by a name of its own, and is understood.
    ground.sign_out_there(&browser).await;
    assert_eq!(ground.count("told the gate: 200").await, 1);
    browser.open(LOANS).await.assert_says("Sign in at");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn denying_leads_to_a_page_that_asks_again() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = ground.campus.browser();
    let page = browser.open(LOANS).await.click("Sign in at 127.0.0.1").await;
    let page = sign_in_there(page, "alice").await.press("Deny").await;
    page.assert_status(200).assert_at_path("/.lychgate/denied").assert_says("You were not signed in");
    page.assert_lacks("ORCID").assert_lacks("the person said");
    assert_eq!(ground.count("POST /token").await, 0);
    let page = page.click("Try again").await;
    assert_is(&ground, &ground.arrive(page, "alice").await, "alice");
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superseded_token_is_taken_back() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    for _ in 0..2 {
        assert_is(&ground, &ground.sign_in(&ground.campus.browser(), LOANS, "alice").await, "alice");
    }
    let end = Instant::now() + Duration::from_secs(60);
    while ground.count("POST /token/revocation").await == 0 {
        assert!(Instant::now() < end, "nothing was revoked: {}", ground.provider.said());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!ground.provider.said().contains("revocation.error"), "{}", ground.provider.said());
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_keys_rotate_under_load_and_nobody_notices() {
    if left_out() {
        return;
    }
    // Of the eight exchanges that one address may have under way.
    const HANDS: usize = 6;
    const ROUND: usize = 12;
    let ground = Arc::new(Ground::open(Plan::default()).await);
    assert_is(&ground, &ground.sign_in(&ground.campus.browser(), LOANS, "alice").await, "alice");
    let fetched = ground.count("GET /jwks").await;
    let (done, mut seen) = watch::channel(0usize);
    let (enough, stop) = watch::channel(false);
    let done = Arc::new(done);
    let mut hands = tokio::task::JoinSet::new();
    for _ in 0..HANDS {
        let (ground, done, stop) = (ground.clone(), done.clone(), stop.clone());
        hands.spawn(async move {
            while !*stop.borrow() {
                let browser = ground.campus.browser();
                ground.sign_in(&browser, LOANS, "alice").await.assert_status(200).assert_at(LOANS);
                done.send_modify(|count| *count += 1);
            }
        });
    }
    // In the middle of it: a new key, and the old one gone. A hand that fails says so below.
    let a_round = async |seen: &mut watch::Receiver<usize>| {
        let goal = *seen.borrow() + ROUND;
        let _ = tokio::time::timeout(Duration::from_secs(60), seen.wait_for(|count| *count >= goal)).await;
    };
    a_round(&mut seen).await;
    ground.provider.control(&ground.tool, "rotate", json!({})).await;
    a_round(&mut seen).await;
    enough.send_replace(true);
    while let Some(hand) = hands.join_next().await {
        hand.expect("every sign-in arrives");
    }
    assert!(*seen.borrow() >= 2 * ROUND, "{} sign-ins arrived", *seen.borrow());
    assert_eq!(ground.count("GET /jwks").await, fetched + 1, "one fetch for all of them");
    let Ok(ground) = Arc::try_unwrap(ground) else { panic!("nobody else is left") };
    ground.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_of_one_site_says_nothing_of_the_provider() {
    if left_out() {
        return;
    }
    let ground = Ground::open(Plan::default()).await;
    let browser = ground.campus.browser();
    ground.sign_in(&browser, LOANS, "alice").await.assert_status(200);
    let page = browser.open(&format!("{LIBRARY}/.lychgate/sign-out")).await.form(0).submit().await;
    page.assert_status(200).assert_says("You may still be signed in at").assert_says("Sign out of all sites");
    assert!(page.page().links.iter().all(|link| !link.text.contains("too")), "{}", page.story());
    ground.close().await;
}
