//! J4: a page that needs another permission. The gate says why, ORCID asks, and what was granted decides (T94). Per
//! scope set one token pair lives at ORCID, however often somebody signs in.

use crate::campus::browser::Browser;
use crate::campus::people::{self, Person};
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{parameter, session, start_of, through_orcid};
use lychgate::domain::ScopeSet;
use lychgate::simulator::MEMBER_CLIENT;
use std::time::{Duration, Instant};
use url::Url;

const BROWSE: &str = "https://repository.campus.example/browse";
const DEPOSIT: &str = "https://repository.campus.example/deposit/new?kind=article";

/// A library whose reading room wants to read what only trusted parties may.
const READING_ROOM: &str = r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{library}"

[[rule]]
name = "reading room"
paths = ["/reading-room"]
access = "signed-in"
scopes = ["/read-limited"]

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in"
"#;

/// Superseded pairs are revoked in the background, every fifteen seconds at most.
const DRAINED: Duration = Duration::from_secs(60);

/// Waits until exactly these scope sets have a live pair each at ORCID.
pub(crate) async fn wait_for_pairs(campus: &Campus, person: &Person, sets: &[&str]) {
    let mut wanted: Vec<ScopeSet> = sets.iter().map(|set| set.parse().unwrap()).collect();
    wanted.sort();
    let end = Instant::now() + DRAINED;
    loop {
        let mut live = campus.simulator.live_tokens(person.orcid, MEMBER_CLIENT);
        live.sort();
        if live == wanted {
            return;
        }
        assert!(Instant::now() < end, "live pairs are {live:?}, expected {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Signs in to `url` and grants whatever it asks.
pub(crate) async fn deposit(campus: &Campus, browser: &Browser, person: &Person) {
    campus.sign_in(browser, BROWSE, person).await.assert_status(200).assert_at(BROWSE);
    let page = browser.open(DEPOSIT).await;
    let back = through_orcid(browser, start_of(&page).as_str(), person, "Authorize access").await;
    let connected = browser.open(back.as_str()).await;
    connected.click("Continue").await.assert_status(200).assert_at(DEPOSIT);
}

/// The same authorization request, asking for something else: what unticking a box would come to, which the
/// simulator's screen does not offer.
fn asking_for(address: &Url, scopes: &str) -> Url {
    let pairs: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let mut changed = address.clone();
    let kept = pairs.iter().map(|(name, value)| (name.as_str(), if name == "scope" { scopes } else { value.as_str() }));
    changed.query_pairs_mut().clear().extend_pairs(kept);
    changed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_a_wider_permission_is_explained_asked_for_and_then_enough() {
    let campus = Campus::open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, BROWSE, &person).await.assert_status(200).assert_at(BROWSE);
    campus.repository().forget();
    let page = browser.open(DEPOSIT).await;
    page.assert_status(200)
        .assert_says("Research repository needs your permission")
        .assert_says("so that your deposit appears on your ORCID record")
        .assert_says("Add works, affiliations, funding")
        .assert_says(person.orcid.as_str())
        .assert_lacks("Create or connect your ORCID iD");
    assert_eq!(page.url.host_str(), Some("gate.campus.example"));
    let start = browser.get(start_of(&page).as_str()).send().await;
    let asked: ScopeSet = parameter(&start.location().unwrap(), "scope").parse().unwrap();
    assert_eq!(asked, "openid /activities/update".parse().unwrap(), "what is held already is asked for again");
    let consent = start.follow().await;
    consent.assert_status(200).assert_says("Add/update your research activities");
    let connected = people::at_orcid(consent, &person, true).await;
    connected.assert_status(200).assert_says("Add works, affiliations, funding");
    assert!(campus.repository().requests().is_empty(), "T34");
    connected.click("Continue").await.assert_status(200).assert_at(DEPOSIT);
    assert_eq!(campus.repository().last_request().target, "/deposit/new?kind=article");
    // From now on it opens without a word, and so does the rest.
    let asked = campus.simulator.calls("authorize");
    for page in [DEPOSIT, BROWSE, "https://library.campus.example/loans"] {
        browser.open(page).await.assert_status(200).assert_at(page);
    }
    assert_eq!(campus.simulator.calls("authorize"), asked);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_each_further_permission_is_asked_for_together_with_all_that_is_held() {
    let campus = Campus::build().site("library", READING_ROOM).open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    deposit(&campus, &browser, &person).await;
    let room = format!("{LIBRARY}/reading-room");
    let page = browser.open(&room).await;
    page.assert_says("trusted parties only").assert_lacks("Add works, affiliations");
    let start = browser.get(start_of(&page).as_str()).send().await;
    // Asked for alone, it would come as a narrower pair beside the wider one.
    let all = "openid /activities/update /read-limited";
    let asked: ScopeSet = parameter(&start.location().unwrap(), "scope").parse().unwrap();
    assert_eq!(asked, all.parse().unwrap());
    let back = through_orcid(&browser, start.location().unwrap().as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.click("Continue").await.assert_status(200).assert_at(&room);
    for page in [DEPOSIT, BROWSE, &room] {
        browser.open(page).await.assert_status(200).assert_at(page);
    }
    assert_eq!(campus.simulator.calls("consent"), 3);
    wait_for_pairs(&campus, &person, &["openid", "openid /activities/update", all]).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_ten_plain_sign_ins_later_nobody_was_asked_again_and_one_pair_per_scope_set_lives() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    deposit(&campus, &campus.browser(), &person).await;
    wait_for_pairs(&campus, &person, &["openid", "openid /activities/update"]).await;
    let (consents, exchanges) = (campus.simulator.calls("consent"), campus.simulator.calls("token"));
    for _ in 0..10 {
        let browser = campus.browser();
        campus.sign_in(&browser, BROWSE, &person).await.assert_status(200).assert_at(BROWSE);
        // What was allowed once is allowed in every browser.
        browser.open(DEPOSIT).await.assert_status(200).assert_at(DEPOSIT);
    }
    assert_eq!(campus.simulator.calls("consent"), consents, "ORCID asked again");
    assert_eq!(campus.simulator.calls("token"), exchanges + 10);
    wait_for_pairs(&campus, &person, &["openid", "openid /activities/update"]).await;
    assert_eq!(campus.simulator.calls("revoke"), 10, "every superseded pair, and nothing else");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_not_now_leads_back_to_the_page_before_if_that_opens() {
    const NOT_NOW: &str = "Not now";
    let campus = Campus::open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    // Who is not signed in has no way back: everything asks for the same.
    browser.get(DEPOSIT).from(BROWSE).follow().await.assert_says("Sign in to").assert_lacks(NOT_NOW);
    campus.sign_in(&browser, BROWSE, &person).await.assert_at(BROWSE);
    let before = format!("{BROWSE}?q=a%20b&page=2");
    let asked = browser.get(DEPOSIT).from(&before).follow().await;
    asked.assert_says("Research repository needs your permission");
    let authorize = campus.simulator.calls("authorize");
    asked.click(NOT_NOW).await.assert_status(200).assert_at(&before);
    assert_eq!(campus.simulator.calls("authorize"), authorize, "nothing was asked");
    let closed = "https://repository.campus.example/deposit/old";
    for elsewhere in [closed, "https://library.campus.example/loans", "https://gate.campus.example/.lychgate/account"] {
        let asked = browser.get(DEPOSIT).from(elsewhere).follow().await;
        asked.assert_says("Research repository needs your permission").assert_lacks(NOT_NOW);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_declining_leaves_the_narrower_session_as_it_was() {
    let campus = Campus::open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, BROWSE, &person).await.assert_status(200);
    let before = [SIGN_IN, REPOSITORY].map(|host| session(&browser, host));
    let page = browser.open(DEPOSIT).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Deny access").await;
    let denied = browser.open(back.as_str()).await;
    denied.assert_status(200).assert_says("Research repository").assert_says("nothing has changed");
    assert_eq!([SIGN_IN, REPOSITORY].map(|host| session(&browser, host)), before);
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    // Still asked for where it is needed, and leaving works.
    browser.open(DEPOSIT).await.assert_status(200).assert_says("so that your deposit appears");
    denied.click("Leave without connecting").await.assert_status(200).assert_at(&format!("{REPOSITORY}/"));
    assert!(campus.repository().requests().iter().all(|seen| !seen.target.starts_with("/deposit")));
    // Reconsidering leads to the deposit itself.
    let back = through_orcid(&browser, start_of(&denied).as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.click("Continue").await.assert_status(200).assert_at(DEPOSIT);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t94_a_narrower_grant_is_kept_as_granted_said_and_goes_round_in_no_circle() {
    let campus = Campus::open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, BROWSE, &person).await.assert_status(200);
    let page = browser.open(DEPOSIT).await;
    let start = browser.get(start_of(&page).as_str()).send().await;
    let narrower = asking_for(&start.location().unwrap(), "openid");
    let back = through_orcid(&browser, narrower.as_str(), &person, "Authorize access").await;
    let connected = browser.open(back.as_str()).await;
    connected.assert_status(200).assert_says("You have not allowed Test Campus to: Add works");
    let onward = connected.click("Continue").await;
    onward.assert_status(200).assert_says("Research repository needs your permission");
    assert!(onward.hops.len() < 6);
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    assert!(campus.repository().requests().iter().all(|seen| !seen.target.starts_with("/deposit")));
    assert_eq!(campus.library().requests().len(), 0);
    browser.open(&format!("{LIBRARY}/loans")).await.assert_status(200);
    assert_eq!(campus.library().last_request().all("x-orcid-scopes"), ["openid"]);
    wait_for_pairs(&campus, &person, &["openid"]).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t94_a_wider_grant_is_kept_as_granted() {
    let campus = Campus::open().await;
    let (person, browser) = (people::from_afar(), campus.browser());
    let page = browser.open(BROWSE).await;
    let start = browser.get(start_of(&page).as_str()).send().await;
    let wider = asking_for(&start.location().unwrap(), "openid /activities/update /read-limited");
    let back = through_orcid(&browser, wider.as_str(), &person, "Authorize access").await;
    let connected = browser.open(back.as_str()).await;
    connected.assert_status(200).assert_says("Add works, affiliations, funding").assert_says("trusted parties only");
    connected.click("Continue").await.assert_status(200).assert_at(BROWSE);
    browser.open(DEPOSIT).await.assert_status(200).assert_at(DEPOSIT);
    browser.open(&format!("{LIBRARY}/loans")).await.assert_status(200);
    let seen = campus.library().last_request();
    let scopes: ScopeSet = seen.header("x-orcid-scopes").unwrap().parse().unwrap();
    assert_eq!(scopes, "openid /activities/update /read-limited".parse().unwrap());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_a_step_up_that_ends_as_somebody_else_gives_them_their_own_permissions_only() {
    let campus = Campus::open().await;
    let (person, other) = (people::ordinary(), people::from_afar());
    deposit(&campus, &campus.browser(), &person).await;
    // A browser signed in as the other at the gate, and as the first person at ORCID.
    let browser = campus.browser();
    campus.sign_in(&browser, BROWSE, &other).await.assert_status(200);
    let page = browser.open(DEPOSIT).await;
    page.assert_says(other.orcid.as_str()).assert_says("so that your deposit appears");
    let orcid: Url = campus.simulator.base_url.parse().unwrap();
    let now = browser.network().now();
    for cookie in browser.cookies(orcid.as_str()) {
        browser.jar().take(&orcid, &format!("{}=; Path={}; HttpOnly; Max-Age=0", cookie.name, cookie.path), now);
    }
    let old = session(&browser, REPOSITORY);
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    let there = people::arrive(browser.open(back.as_str()).await, &person).await;
    there.assert_status(200).assert_at(DEPOSIT);
    assert_ne!(session(&browser, REPOSITORY), old);
    browser.open(&format!("{LIBRARY}/loans")).await.assert_status(200);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [person.orcid.as_str()]);
    // The other person has gained nothing by it.
    let theirs = campus.browser();
    campus.sign_in(&theirs, BROWSE, &other).await.assert_status(200);
    theirs.open(DEPOSIT).await.assert_says("so that your deposit appears");
    campus.close().await;
}
