//! Rules with `max_auth_age`: ORCID is told to make the person sign in anew, and only a sign-in it was told so for
//! counts. Its own session, however it was used, makes nobody's presence young again.

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::people::{self, Person};
use crate::campus::{Campus, SIGN_IN};
use crate::sign_in_attacks::{TODAY, parameter, session, start_of, through_orcid};
use lychgate::domain::StoppedClock;
use std::sync::Arc;
use url::Url;

const VAULT: &str = "https://library.campus.example/vault";
const LOANS: &str = "https://library.campus.example/loans";
const LETTERS: &str = "https://library.campus.example/letters";
const HOUR: i64 = 3600;

const SITE: &str = r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{library}"

[[rule]]
name = "vault"
paths = ["/vault"]
access = "signed-in"
max_auth_age = "1h"

[[rule]]
name = "letters"
paths = ["/letters"]
access = "signed-in"
scopes = ["/activities/update"]

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in"
"#;

async fn open() -> (Campus, Arc<StoppedClock>) {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().site("library", SITE).clock(clock.clone()).open().await;
    (campus, clock)
}

/// Where the sign-in page in hand sends the browser.
async fn to_orcid(browser: &Browser, page: &Answer) -> Url {
    page.assert_status(200);
    assert_eq!(page.url.host_str(), Some("gate.campus.example"), "{}", page.story());
    browser.get(start_of(page).as_str()).send().await.location().unwrap()
}

/// Opens the vault, which must not open, and signs in anew as ORCID is told to demand.
async fn sign_in_anew(browser: &Browser, person: &Person) -> Answer {
    let address = to_orcid(browser, &browser.open(VAULT).await).await;
    assert_eq!(parameter(&address, "prompt"), "login");
    let back = through_orcid(browser, address.as_str(), person, "Authorize access").await;
    let landed = browser.open(back.as_str()).await;
    if landed.url.path() == "/.lychgate/connected" { landed.click("Continue").await } else { landed }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_sign_in_is_renewed_where_a_rule_demands_it() {
    let (campus, clock) = open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    sign_in_anew(&browser, &person).await.assert_status(200).assert_at(VAULT);
    clock.advance(HOUR);
    browser.open(VAULT).await.assert_status(200).assert_at(VAULT);
    clock.advance(HOUR);
    // Where nobody demands it, nothing is asked.
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    sign_in_anew(&browser, &person).await.assert_status(200).assert_at(VAULT);
    browser.open(VAULT).await.assert_status(200).assert_at(VAULT);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_that_orcids_own_session_answered_makes_nobody_younger() {
    let (campus, clock) = open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    sign_in_anew(&browser, &person).await.assert_status(200).assert_at(VAULT);
    clock.advance(2 * HOUR);
    // Without an arrival, from the sign-in host itself.
    let plain = format!("{SIGN_IN}/.lychgate/sign-in/start");
    let before = session(&browser, SIGN_IN);
    let address = browser.get(&plain).send().await.location().unwrap();
    assert_eq!(parameter(&address, "prompt"), "");
    let back = through_orcid(&browser, address.as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.assert_status(200);
    assert_ne!(session(&browser, SIGN_IN), before, "it was a sign-in like any other");
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    let address = to_orcid(&browser, &browser.open(VAULT).await).await;
    assert_eq!(parameter(&address, "prompt"), "login");
    // By way of a further permission.
    let page = browser.open(LETTERS).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.click("Continue").await.assert_status(200).assert_at(LETTERS);
    sign_in_anew(&browser, &person).await.assert_status(200).assert_at(VAULT);
    assert_eq!(campus.library().requests().iter().filter(|seen| seen.target == "/vault").count(), 2);
    campus.close().await;
}

/// The demand travels through the browser, where it can be taken out of the address.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t60_who_takes_the_demand_out_of_the_address_has_not_met_it() {
    let (campus, clock) = open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, LOANS, &person).await.assert_status(200);
    clock.advance(2 * HOUR);
    let mut address = to_orcid(&browser, &browser.open(VAULT).await).await;
    let kept: Vec<_> = address.query_pairs().into_owned().filter(|(name, _)| name != "prompt").collect();
    address.query_pairs_mut().clear().extend_pairs(kept);
    let back = through_orcid(&browser, address.as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.assert_status(502).assert_says("could not be verified");
    assert!(campus.library().requests().iter().all(|seen| seen.target != "/vault"));
    // Who they were before, they still are.
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t60_a_provider_that_does_not_say_when_has_not_said_that_it_was_now() {
    let (campus, _) = open().await;
    campus.simulator.set("lie", "id-token-auth-time-missing").await.unwrap();
    let browser = campus.browser();
    sign_in_anew(&browser, &people::ordinary()).await.assert_status(502).assert_says("could not be verified");
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_outlives_further_sign_ins_of_the_same_person_in_the_same_browser() {
    let (campus, clock) = open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    // A usual sign-in proves nothing.
    campus.sign_in(&browser, LOANS, &person).await.assert_status(200);
    sign_in_anew(&browser, &person).await.assert_status(200).assert_at(VAULT);
    clock.advance(HOUR / 2);
    let page = browser.open(LETTERS).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.click("Continue").await.assert_status(200).assert_at(LETTERS);
    browser.open(VAULT).await.assert_status(200).assert_at(VAULT);
    clock.advance(HOUR / 2 + 1);
    let address = to_orcid(&browser, &browser.open(VAULT).await).await;
    assert_eq!(parameter(&address, "prompt"), "login");
    // Another browser has its own proof to bring.
    let other = campus.browser();
    campus.sign_in(&other, LOANS, &person).await.assert_status(200);
    let address = to_orcid(&other, &other.open(VAULT).await).await;
    assert_eq!(parameter(&address, "prompt"), "login");
    campus.close().await;
}
