//! J8, F6: what was taken back or has changed at ORCID. The gate finds it by itself, explains and asks again, and
//! never sends anybody round in circles.

use crate::browser::scene::assert_well_made;
use crate::campus::browser::Browser;
use crate::campus::chromium::Chromium;
use crate::campus::people::{self, Person};
use crate::campus::ws::WebSocket;
use crate::campus::{Campus, LIBRARY, SIGN_IN};
use crate::chooser::two_ways;
use crate::sign_in_attacks::TODAY;
use lychgate::domain::{OrcidId, StoppedClock};
use lychgate::simulator::{AccountState, MEMBER_CLIENT, Outage};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOANS: &str = "https://library.campus.example/loans?shelf=a%20b";
const DEPOSIT: &str = "https://repository.campus.example/deposit/new";
const SOCKET: &str = "wss://library.campus.example/live";
/// A round every ten minutes, and quickly.
const WATCH: &str = "\n[watch]\nevery = \"10 min\"\nrate = 10\n";
const ROUND: i64 = 600;
const AGAIN: &str = "Please connect your ORCID iD again";

async fn open_campus(clock: &Arc<StoppedClock>) -> Campus {
    let campus = Campus::build().configuration(WATCH).clock(clock.clone()).open().await;
    // The first round finds nobody; everything later belongs to the next.
    wait(clock, 0, "the gate asks ORCID for its keys", async || campus.simulator.calls("jwks") > 0).await;
    campus
}

/// Lets time pass until it has happened. The watch asks by the clock, and looks at it every half second.
pub(crate) async fn wait(clock: &StoppedClock, step: i64, what: &str, happened: impl AsyncFn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !happened().await {
        assert!(Instant::now() < end, "never came: {what}");
        clock.advance(step);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How many questions ended so, by the gate's own count.
async fn counted(campus: &Campus, outcome: &str) -> f64 {
    let name = format!("lychgate_record_checks_total{{client=\"campus\",outcome=\"{outcome}\"}} ");
    campus.metric(&name).await
}

/// Waits for the next round to have asked, with this outcome, once more.
async fn noticed(campus: &Campus, clock: &StoppedClock, outcome: &str) {
    let before = counted(campus, outcome).await;
    clock.advance(ROUND);
    wait(clock, 1, outcome, async || counted(campus, outcome).await > before).await;
}

/// At ORCID, in the account settings: "Trusted organisations", and the button there.
async fn take_back(campus: &Campus, browser: &Browser) {
    let list = browser.open(&format!("{}/trusted-organisations", campus.simulator.base_url)).await;
    list.assert_status(200).assert_says("Test Campus");
    list.press("Revoke access").await.assert_status(200).assert_lacks("Test Campus");
}

/// Connects again, from the page that asks to.
async fn connect_again(page: crate::campus::answer::Answer, person: &Person) -> crate::campus::answer::Answer {
    people::arrive(page.click("Connect your ORCID iD again").await, person).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j8_whoever_takes_the_permission_back_is_asked_again_and_all_is_well_after_it() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = open_campus(&clock).await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, LOANS, &person).await.assert_status(200).assert_at(LOANS);
    campus.library().on("/live", crate::campus::legacy_app::Behaviour::WebSocketEcho);
    let mut socket = WebSocket::open(&browser, SOCKET).await.expect("the app accepts it");
    assert_eq!(socket.ask("a").await, "a");
    noticed(&campus, &clock, "sound").await;
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);

    take_back(&campus, &browser).await;
    noticed(&campus, &clock, "withdrawn").await;
    socket.assert_ends(Duration::from_secs(5)).await;
    let page = browser.open(LOANS).await;
    page.assert_status(200).assert_says(AGAIN).assert_says(person.orcid.as_str()).assert_lacks("Continue as");
    assert_eq!(page.url.host_str(), Some("gate.campus.example"));
    // What everybody may see needs nobody's permission, and says nothing about the connection.
    browser.open(&format!("{LIBRARY}/public/hours")).await.assert_status(200);
    browser.open(&format!("{LIBRARY}/catalogue/x")).await.assert_status(200);
    // Scripts are told once and plainly, and mint no attempt.
    let authorized = campus.simulator.calls("authorize");
    let script = browser.get(LOANS).by_script_on(&format!("{LIBRARY}/")).send().await;
    script.assert_status(401);
    assert!(script.header("www-authenticate").is_some());
    assert_eq!(campus.simulator.calls("authorize"), authorized);

    connect_again(page, &person).await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [person.orcid.as_str()]);
    for _ in 0..5 {
        browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    }
    noticed(&campus, &clock, "sound").await;
    assert_eq!(campus.simulator.live_tokens(person.orcid, MEMBER_CLIENT).len(), 1);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j8_a_broken_connection_outlives_a_restart_and_never_goes_round_in_circles() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let mut campus = open_campus(&clock).await;
    let (person, browser, elsewhere) = (people::ordinary(), campus.browser(), campus.browser());
    campus.sign_in(&browser, LOANS, &person).await.assert_status(200);
    campus.sign_in(&elsewhere, LOANS, &person).await.assert_status(200);
    take_back(&campus, &browser).await;
    noticed(&campus, &clock, "withdrawn").await;
    campus.restart().await;
    for _ in 0..8 {
        let page = browser.open(LOANS).await;
        page.assert_status(200).assert_says(AGAIN);
        assert!(page.hops.len() <= 3, "{}", page.story());
    }
    // Who says no there is back at the page, and no further than before.
    let page = browser.open(LOANS).await.click("Connect your ORCID iD again").await;
    people::at_orcid(page, &person, false).await.assert_says("Your ORCID iD was not connected");
    browser.open(LOANS).await.assert_says(AGAIN);
    // Nor is a bookmark of the sign-in page a dead end, and "continue as" no way around.
    let page = browser.open(&format!("{SIGN_IN}/.lychgate/sign-in")).await;
    page.assert_status(200).assert_says(AGAIN).assert_lacks("Continue as");
    browser.open(&format!("{SIGN_IN}/.lychgate/account")).await.assert_status(200);
    browser.open("https://repository.campus.example/browse").await.assert_says(AGAIN);
    // A wider permission is asked for at once, without what was given before.
    let page = browser.open(DEPOSIT).await;
    page.assert_says(AGAIN).assert_says("Add works, affiliations, funding");
    connect_again(page, &person).await.assert_status(200).assert_at(DEPOSIT);
    // The other browser of the same person is well again without doing anything.
    elsewhere.open(LOANS).await.assert_status(200).assert_at(LOANS);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_an_outage_and_a_quota_at_orcid_break_no_connection() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = open_campus(&clock).await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, LOANS, &person).await.assert_status(200);
    // Several plain sign-ins: the token before the last is dead at ORCID, which means nothing.
    for _ in 0..2 {
        campus.sign_in(&campus.browser(), LOANS, &person).await.assert_status(200);
    }
    campus.simulator.set("over-quota", "on").await.unwrap();
    noticed(&campus, &clock, "sound").await;
    for outage in [Outage::Unavailable, Outage::Refuse] {
        campus.simulator.set_outage(Some(outage)).await.unwrap();
        noticed(&campus, &clock, "later").await;
        browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
        campus.simulator.set_outage(None).await.unwrap();
        noticed(&campus, &clock, "sound").await;
    }
    // One answer is lost: the watch's, though a revocation that is due may come before it.
    let before = counted(&campus, "later").await;
    clock.advance(ROUND);
    let lost = async || {
        campus.simulator.set("unavailable-next", "1").await.unwrap();
        counted(&campus, "later").await > before
    };
    wait(&clock, 1, "later", lost).await;
    campus.simulator.set("unavailable-next", "0").await.unwrap();
    // Taken back meanwhile: found as soon as ORCID answers again.
    take_back(&campus, &browser).await;
    wait(&clock, 10, "withdrawn", async || counted(&campus, "withdrawn").await == 1.0).await;
    browser.open(LOANS).await.assert_says(AGAIN);
    campus.close().await;
}

/// A record that changes while its person is signed in, in two browsers and on a WebSocket.
async fn a_record_changes(state: AccountState, outcome: &str, says: &[&str]) {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = open_campus(&clock).await;
    let (person, other) = (people::ordinary(), people::from_afar());
    let (browser, elsewhere, others) = (campus.browser(), campus.browser(), campus.browser());
    for (browser, person) in [(&browser, &person), (&elsewhere, &person), (&others, &other)] {
        campus.sign_in(browser, LOANS, person).await.assert_status(200).assert_at(LOANS);
    }
    campus.library().on("/live", crate::campus::legacy_app::Behaviour::WebSocketEcho);
    let mut socket = WebSocket::open(&browser, SOCKET).await.expect("the app accepts it");
    assert_eq!(socket.ask("a").await, "a");
    campus.simulator.change_person(person.orcid, |person| person.state = state).unwrap();
    noticed(&campus, &clock, outcome).await;
    socket.assert_ends(Duration::from_secs(5)).await;
    for gone in [&browser, &elsewhere] {
        let me = gone.get(&format!("{LIBRARY}/.lychgate/me")).by_script_on(&format!("{LIBRARY}/")).send().await;
        me.assert_status(401);
        let page = gone.open(LOANS).await;
        page.assert_status(200).assert_says("You were signed out").assert_lacks("Connect your ORCID iD again");
        says.iter().for_each(|words| {
            page.assert_says(words);
        });
        assert!(page.hops.len() <= 3, "{}", page.story());
    }
    others.open(LOANS).await.assert_status(200).assert_at(LOANS);
    // A new sign-in is at ORCID's own sign-in page, whoever is signed in there.
    let there = browser.open(LOANS).await.click("Sign in with your ORCID iD").await;
    there.assert_says("Sign in to ORCID");
    let back = people::arrive(there, &other).await;
    back.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [other.orcid.as_str()]);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_a_locked_record_signs_its_person_out_and_says_why() {
    a_record_changes(AccountState::Locked, "locked", &["ORCID has locked the record"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_a_deactivated_record_signs_its_person_out_and_says_why() {
    a_record_changes(AccountState::Deactivated, "deactivated", &["was deactivated"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_a_replaced_record_leads_to_the_new_one_only_by_a_new_sign_in() {
    let primary: OrcidId = people::nameless().orcid;
    let says = ["ORCID has replaced the record", primary.as_str()];
    a_record_changes(AccountState::Deprecated { primary }, "deprecated", &says).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f6_where_several_registrations_lead_in_the_reason_comes_before_the_choice() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    // Even where the site wants no page of ours before ORCID.
    let campus = two_ways("direct").configuration(WATCH).clock(clock.clone()).open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    let first = browser.open(LOANS).await;
    let choice = first.page().links.iter().find(|link| link.href.contains("/sign-in/start")).unwrap().href.clone();
    let page = browser.get(first.url.join(&choice).unwrap().as_str()).follow().await;
    let connected = people::at_orcid(page, &person, true).await;
    connected.click("Continue").await.assert_status(200).assert_at(LOANS);
    campus.simulator.change_person(person.orcid, |person| person.state = AccountState::Locked).unwrap();
    noticed(&campus, &clock, "locked").await;
    let page = browser.open(LOANS).await;
    page.assert_says("You were signed out").assert_says("ORCID has locked the record").assert_lacks("Staff");
    let chooser = page.click("Sign in with your ORCID iD").await;
    chooser.assert_status(200).assert_says("Campus library asks you to sign in").assert_says("Staff");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j8_what_it_looks_like() {
    if !Chromium::available() {
        return;
    }
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().configuration(WATCH).clock(clock.clone()).open_with_port().await;
    let person = people::ordinary();
    let port = campus.gate().addresses().public_port;
    let loans = format!("https://library.campus.example:{port}/loans?shelf=a%20b");
    let at_orcid = campus.simulator.base_url.clone();
    let Some(chromium) = Chromium::start(campus.authority.pem()).await else { return };
    chromium.open(&loans).await.click("Create or connect your ORCID iD").await;
    chromium.wait_for_url(&at_orcid).await.fill("username", person.orcid.as_str()).await;
    chromium.fill("password", &person.password).await.click("Sign in to ORCID").await;
    chromium.click("Authorize access").await.says(&["Thank you"]).await.click("Continue to Campus library").await;
    chromium.wait_for_url(&loans).await;

    chromium.open(&format!("{at_orcid}/trusted-organisations")).await.says(&["Test Campus"]).await;
    chromium.screenshot("broken-1-trusted-organisations").await;
    chromium.click("Revoke access").await;
    wait(&clock, 0, "taken back", async || campus.simulator.live_tokens(person.orcid, MEMBER_CLIENT).is_empty()).await;
    noticed(&campus, &clock, "withdrawn").await;
    chromium.open(&loans).await.says(&[AGAIN, "Rowan Ashgrove", "can no longer use the permission"]).await;
    chromium.screenshot("broken-2-asked-again").await;
    assert_well_made(&chromium).await;
    assert_eq!(chromium.console().await, [""; 0]);
    chromium.click("Connect your ORCID iD again").await.wait_for_url(&at_orcid).await;
    chromium.click("Authorize access").await.click("Continue to Campus library").await;
    chromium.wait_for_url(&loans).await;

    let primary = people::nameless().orcid;
    for (step, state, outcome, says) in [
        ("3-replaced", AccountState::Deprecated { primary }, "deprecated", primary.as_str()),
        ("4-locked", AccountState::Locked, "locked", "Please ask its support"),
    ] {
        chromium.width(320).await.dark().await;
        campus.simulator.change_person(person.orcid, |person| person.state = state).unwrap();
        noticed(&campus, &clock, outcome).await;
        chromium.open(&loans).await.says(&["You were signed out", says]).await;
        chromium.screenshot(&format!("broken-{step}")).await;
        assert_well_made(&chromium).await;
        campus.simulator.change_person(person.orcid, |person| person.state = AccountState::Active).unwrap();
        // ORCID asks who it is, instead of taking whoever is signed in there.
        chromium.click("Sign in with your ORCID iD").await.wait_for_url(&at_orcid).await;
        chromium.fill("username", person.orcid.as_str()).await;
        chromium.fill("password", &person.password).await.click("Sign in to ORCID").await;
        chromium.says(&["Welcome back"]).await.click("Continue to Campus library").await;
        chromium.wait_for_url(&loans).await;
    }
    chromium.quit().await;
    campus.close().await;
}
