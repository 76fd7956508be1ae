//! J14: ORCID is down. Whoever is signed in stays so, a sign-in says what is the matter and recovers by itself, and
//! the gate starts without its provider. What `sessions.outage_grace` adds is in `outage/grace.rs`.

pub(crate) mod grace;

use crate::campus::answer::Answer;
use crate::campus::people;
use crate::campus::{Campus, LIBRARY, PORTAL, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{TODAY, agreed, session, start_of};
use lychgate::domain::StoppedClock;
use lychgate::simulator::Outage;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOANS: &str = "https://library.campus.example/loans";
const BROWSE: &str = "https://repository.campus.example/browse";

/// What the gate knows about ORCID, kept for a start without it.
const KNOWN: &str = "state/discovery-campus.json";

#[track_caller]
fn assert_says_so(page: &Answer) {
    page.assert_status(503).assert_says("ORCID cannot be reached at the moment").assert_says("stays signed in");
    assert!(page.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{}", page.story());
}

/// Waits until the gate has asked ORCID everything it wants to know beforehand.
async fn prepared(campus: &Campus) {
    let file = campus.folder().join(KNOWN);
    let end = Instant::now() + Duration::from_secs(30);
    while !std::fs::read_to_string(&file).is_ok_and(|text| text.contains("jwks_uri") && text.contains("\"kty\"")) {
        assert!(Instant::now() < end, "nothing is known about the provider");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The story of one kind of outage, from a day on which it began in the middle of a sign-in.
async fn sessions_live_on_and_sign_in_recovers(outage: Outage) {
    let campus = Campus::open().await;
    let (member, guest) = (campus.browser(), campus.browser());
    campus.sign_in(&member, LOANS, &people::ordinary()).await.assert_status(200);
    let back = agreed(&guest, &format!("{LOANS}?mine=1"), &people::from_afar()).await;
    campus.simulator.set_outage(Some(outage)).await.unwrap();

    let coming_back = tokio::spawn(guest.get(back.as_str()).follow());
    // While that one waits for ORCID, everybody else is served, a site not visited before included.
    member.open(LOANS).await.assert_status(200).assert_at(LOANS);
    member.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    member.open(&format!("{SIGN_IN}/.lychgate/account")).await.assert_status(200);
    member.open(&format!("{PORTAL}/")).await.assert_status(200);
    campus.browser().open(LOANS).await.assert_status(200).assert_says("Create or connect your ORCID iD");
    campus.browser().open(&format!("{LIBRARY}/public/")).await.assert_status(200);

    let page = coming_back.await.unwrap();
    assert_says_so(&page);
    assert_eq!(session(&guest, SIGN_IN), None);
    // Signing out needs no ORCID either.
    let asks = member.open(&format!("{LIBRARY}/.lychgate/sign-out")).await;
    asks.form(0).submit().await.assert_status(200).assert_says("You are signed out");

    campus.simulator.set_outage(None).await.unwrap();
    let there = people::arrive(page.click("Start again").await, &people::from_afar()).await;
    there.assert_status(200).assert_at(&format!("{LOANS}?mine=1"));
    member.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j14_orcid_refuses_connections() {
    sessions_live_on_and_sign_in_recovers(Outage::Refuse).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j14_orcid_answers_503() {
    sessions_live_on_and_sign_in_recovers(Outage::Unavailable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j14_orcid_hangs() {
    sessions_live_on_and_sign_in_recovers(Outage::Hang).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j14_a_gate_that_never_met_orcid_starts_says_so_and_recovers_by_itself() {
    for outage in [Outage::Refuse, Outage::Unavailable] {
        let clock = Arc::new(StoppedClock::at(TODAY));
        let mut campus = Campus::build().clock(clock.clone()).open().await;
        prepared(&campus).await;
        let member = campus.browser();
        campus.sign_in(&member, LOANS, &people::ordinary()).await.assert_status(200);
        campus.simulator.set_outage(Some(outage)).await.unwrap();
        std::fs::remove_file(campus.folder().join(KNOWN)).unwrap();
        campus.restart().await;
        member.open(LOANS).await.assert_status(200).assert_at(LOANS);
        member.open(BROWSE).await.assert_status(200).assert_at(BROWSE);

        let guest = campus.browser();
        let page = guest.open(LOANS).await;
        page.assert_status(200);
        let told = page.click("Create or connect your ORCID iD").await;
        assert_says_so(&told);
        assert!(told.set_cookies().is_empty(), "no attempt that cannot be made");
        let again = told.click("Try again").await;
        assert_says_so(&again);

        campus.simulator.set_outage(None).await.unwrap();
        // A failure is remembered for some seconds, so that a thousand visitors do not ask a thousand times.
        clock.advance(10);
        people::arrive(again.click("Try again").await, &people::from_afar()).await.assert_status(200).assert_at(LOANS);
        campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j14_a_gate_restarted_during_an_outage_remembers_where_orcid_is() {
    let mut campus = Campus::open().await;
    prepared(&campus).await;
    campus.simulator.set_outage(Some(Outage::Refuse)).await.unwrap();
    campus.restart().await;
    let guest = campus.browser();
    let page = guest.open(&format!("{REPOSITORY}/browse")).await;
    // The browser is sent on: whether ORCID is back by the time it arrives, nobody knows.
    let start = guest.get(start_of(&page).as_str()).send().await;
    let orcid = start.assert_status(303).location().unwrap();
    assert!(orcid.as_str().starts_with(&campus.simulator.base_url), "{orcid}");
    campus.simulator.set_outage(None).await.unwrap();
    let there = people::arrive(guest.open(orcid.as_str()).await, &people::ordinary()).await;
    there.assert_status(200).assert_at(BROWSE);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j14_a_thousand_visitors_during_an_outage_ask_orcid_hardly_once() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let mut campus = Campus::build().clock(clock).open().await;
    prepared(&campus).await;
    campus.simulator.set_outage(Some(Outage::Unavailable)).await.unwrap();
    std::fs::remove_file(campus.folder().join(KNOWN)).unwrap();
    campus.restart().await;
    let start = format!("{SIGN_IN}/.lychgate/sign-in/start");
    assert_says_so(&campus.browser().open(&start).await);
    let before = campus.simulator.calls("discovery");
    let browser = campus.browser();
    for _ in 0..100 {
        browser.get(&start).send().await.assert_status(503);
    }
    assert!(campus.simulator.calls("discovery") <= before + 1, "each visitor asks ORCID anew");
    campus.close().await;
}
