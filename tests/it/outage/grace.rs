//! F14, with `sessions.outage_grace`: while nobody can sign in again, nobody loses a session by its absolute end. Never
//! for longer than granted, never by what is no outage, and nothing else is put off by it.

use super::{BROWSE, LOANS};
use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::legacy_app::Behaviour;
use crate::campus::people::{self, Person};
use crate::campus::ws::WebSocket;
use crate::campus::{Campus, LIBRARY, SIGN_IN};
use crate::headers::assertion::verify;
use crate::revoked::wait;
use crate::sign_in_attacks::{TODAY, cookie_line};
use lychgate::domain::{Clock, StoppedClock, UnixTime};
use lychgate::pages::timestamp;
use lychgate::simulator::Outage;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

const HOUR: i64 = 3600;
/// When sessions begun at the start end at the latest.
const END: i64 = 24 * HOUR;
const GRACE: i64 = 4 * HOUR;
const CONFIGURED: &str = "\n[sessions]\noutage_grace = \"4h\"\n";
const ME: &str = "https://library.campus.example/.lychgate/me";

/// A campus whose people are at work all day long, by a clock that begins at zero.
struct Day {
    campus: Campus,
    clock: Arc<StoppedClock>,
    begun: i64,
}

impl Day {
    async fn with(configuration: &str) -> Self {
        let clock = Arc::new(StoppedClock::at(TODAY));
        let campus = Campus::build().configuration(configuration).clock(clock.clone()).open().await;
        Self { campus, clock, begun: TODAY }
    }

    fn now(&self) -> i64 {
        self.clock.now().0 - self.begun
    }

    fn go_to(&self, moment: i64) {
        let left = moment - self.now();
        assert!(left > 0, "that was {} s ago", -left);
        self.clock.advance(left);
    }

    async fn signed_in(&self, person: &Person) -> Browser {
        let browser = self.campus.browser();
        self.campus.sign_in(&browser, LOANS, person).await.assert_status(200).assert_at(LOANS);
        browser
    }

    /// Until an hour before the end, in use all the time.
    async fn work(&self, browsers: &[&Browser]) {
        for hour in [6, 12, 18, 23] {
            self.go_to(hour * HOUR);
            for browser in browsers {
                assert_in(&browser.open(LOANS).await);
            }
        }
    }

    async fn set_outage(&self, outage: Option<Outage>) {
        self.campus.simulator.set_outage(outage).await.unwrap();
    }

    async fn is_away(&self) -> Option<bool> {
        is_away(&self.campus).await
    }

    async fn begins(&self, outage: Outage) {
        self.set_outage(Some(outage)).await;
        noticed(&self.campus, &self.clock, true).await;
    }

    async fn ends(&self) {
        self.set_outage(None).await;
        noticed(&self.campus, &self.clock, false).await;
    }
}

/// What the gate's own metric says; `None` where nobody asks.
async fn is_away(campus: &Campus) -> Option<bool> {
    let ops = campus.gate().addresses().ops;
    let text = campus.browser().get(&format!("http://{ops}/metrics")).by_tool().send().await.text();
    let name = "lychgate_provider_away{client=\"campus\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value == "1")
}

/// Lets seconds pass until the gate has noticed that ORCID is away, or back.
pub(crate) async fn noticed(campus: &Campus, clock: &StoppedClock, away: bool) {
    wait(clock, 3, "an outage or its end", async || is_away(campus).await == Some(away)).await;
}

#[track_caller]
fn assert_in(page: &Answer) {
    page.assert_status(200).assert_at(LOANS);
}

#[track_caller]
fn assert_asked(page: &Answer) {
    page.assert_status(200).assert_says("Create or connect your ORCID iD");
    assert_eq!(page.url.host_str(), Some("gate.campus.example"), "{}", page.story());
}

async fn me(browser: &Browser) -> Answer {
    browser.get(ME).by_script_on(LIBRARY).send().await
}

async fn outlives_its_end(outage: Outage) {
    let day = Day::with(CONFIGURED).await;
    let (campus, person) = (&day.campus, people::ordinary());
    let browser = day.signed_in(&person).await;
    day.work(&[&browser]).await;
    day.begins(outage).await;
    assert_eq!(me(&browser).await.json()["expires"], day.begun + END, "an outage may be over by then");

    day.go_to(END + 1);
    assert_in(&browser.open(LOANS).await);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [person.orcid.as_str()]);
    // A site not visited before is no further away than it was, and whoever checks signatures there can.
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    let assertion = campus.repository().last_request().header("x-lychgate-assertion").unwrap().to_owned();
    let claims: Value = verify(&browser, &assertion, "repository").await.unwrap();
    assert_eq!((&claims["sub"], &claims["auth_time"]), (&person.orcid.as_str().into(), &day.begun.into()));
    assert_eq!(claims["exp"].as_i64().unwrap() - day.clock.now().0, 300, "of use for as long as ever");
    let account = browser.open(&format!("{SIGN_IN}/.lychgate/account")).await;
    let end = timestamp(UnixTime(day.begun + END + GRACE)).replace(":00Z", "Z");
    assert!(account.assert_status(200).text().contains(&format!("datetime=\"{end}\"")), "{}", account.story());
    let told = me(&browser).await.json();
    assert_eq!((&told["expires"], &told["idle_expires"]), (&(day.begun + END + GRACE).into(), &told["expires"]));

    // To the last second, and not one more.
    day.go_to(END + GRACE - 1);
    assert_in(&browser.open(LOANS).await);
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    let assertion = campus.repository().last_request().header("x-lychgate-assertion").unwrap().to_owned();
    let claims: Value = verify(&browser, &assertion, "repository").await.unwrap();
    assert_eq!(claims["exp"], day.begun + END + GRACE);
    day.go_to(END + GRACE);
    assert_eq!(day.is_away().await, Some(true));
    me(&browser).await.assert_status(401);
    assert_asked(&browser.open(LOANS).await);
    assert_asked(&browser.open(BROWSE).await);

    day.ends().await;
    let page = people::arrive(browser.open(LOANS).await, &person).await;
    assert_in(&page);
    day.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_while_orcid_refuses_connections_a_session_outlives_its_end_within_a_bound() {
    outlives_its_end(Outage::Refuse).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_while_orcid_answers_503_a_session_outlives_its_end_within_a_bound() {
    outlives_its_end(Outage::Unavailable).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_when_orcid_is_back_the_session_ends_with_its_streams_and_stays_ended() {
    let day = Day::with(CONFIGURED).await;
    let browser = day.signed_in(&people::ordinary()).await;
    let fresh = people::from_afar();
    day.work(&[&browser]).await;
    let other = day.signed_in(&fresh).await;
    day.begins(Outage::Unavailable).await;
    day.go_to(END + HOUR);
    assert_in(&browser.open(LOANS).await);
    day.campus.library().on("/live", Behaviour::WebSocketEcho);
    let mut socket = WebSocket::open(&browser, "wss://library.campus.example/live").await.expect("the app accepts it");
    assert_eq!(socket.ask("a").await, "a");

    day.ends().await;
    socket.assert_ends(Duration::from_secs(5)).await;
    me(&browser).await.assert_status(401);
    assert_asked(&browser.open(LOANS).await);
    assert_in(&other.open(LOANS).await);
    let logged = |text: &str| day.campus.watch.lines_with(text).iter().any(|line| line.contains("campus"));
    assert!(logged("the provider cannot be reached; sessions that would end live on"));
    assert!(logged("the provider can be reached again; sessions end as ever"));
    // The next outage comes too late for it.
    day.begins(Outage::Unavailable).await;
    assert_asked(&browser.open(LOANS).await);
    assert_in(&other.open(LOANS).await);
    day.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_restart_in_the_middle_of_an_outage_ends_nobody_who_comes_after_it_was_noticed() {
    let mut day = Day::with(CONFIGURED).await;
    let (early, late) = (day.signed_in(&people::ordinary()).await, day.signed_in(&people::from_afar()).await);
    day.work(&[&early, &late]).await;
    day.begins(Outage::Refuse).await;
    day.go_to(END + HOUR);
    for browser in [&early, &late] {
        assert_in(&browser.open(LOANS).await);
    }
    day.campus.restart().await;
    // The clock stands still: after its first question the gate does not ask again before it moves.
    assert_eq!(day.is_away().await, Some(false));
    assert_asked(&early.open(LOANS).await);
    noticed(&day.campus, &day.clock, true).await;
    assert_in(&late.open(LOANS).await);
    assert_asked(&early.open(LOANS).await);
    day.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_without_a_grace_sessions_end_in_an_outage_as_ever_and_nobody_asks_for_it() {
    let day = Day::with("").await;
    let browser = day.signed_in(&people::ordinary()).await;
    day.set_outage(Some(Outage::Unavailable)).await;
    day.work(&[&browser]).await;
    day.go_to(END - 1);
    assert_in(&browser.open(LOANS).await);
    assert_eq!(day.is_away().await, None);
    day.go_to(END);
    me(&browser).await.assert_status(401);
    assert_asked(&browser.open(LOANS).await);
    day.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_who_leaves_during_an_outage_has_left() {
    let day = Day::with(CONFIGURED).await;
    let person = people::ordinary();
    let (first, second) = (day.signed_in(&person).await, day.signed_in(&person).await);
    day.work(&[&first, &second]).await;
    day.begins(Outage::Refuse).await;
    day.go_to(END + HOUR);
    for browser in [&first, &second] {
        assert_in(&browser.open(LOANS).await);
    }
    let kept = [&first, &second].map(|browser| cookie_line(browser, LIBRARY));
    let comes_back =
        async |line: &str| day.campus.browser().get(LOANS).header("cookie", line).send().await.status == 200;
    assert!(comes_back(&kept[0]).await && comes_back(&kept[1]).await);

    let asks = first.open(&format!("{LIBRARY}/.lychgate/sign-out")).await;
    asks.form(0).submit().await.assert_status(200).assert_says("You are signed out");
    assert!(!comes_back(&kept[0]).await && comes_back(&kept[1]).await);
    assert_in(&second.open(LOANS).await);

    let asks = second.open(&format!("{SIGN_IN}/.lychgate/account/disconnect")).await;
    asks.press("Take back all permissions and forget me").await.assert_says("You are disconnected");
    assert!(!comes_back(&kept[1]).await);
    assert_asked(&second.open(LOANS).await);
    assert_asked(&first.open(LOANS).await);
    day.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_an_outage_puts_off_no_end_by_idleness() {
    let day = Day::with(CONFIGURED).await;
    let (idle, busy) = (day.signed_in(&people::ordinary()).await, day.signed_in(&people::from_afar()).await);
    for hour in [6, 12, 17] {
        day.go_to(hour * HOUR);
        assert_in(&idle.open(LOANS).await);
        assert_in(&busy.open(LOANS).await);
    }
    day.go_to(23 * HOUR);
    assert_in(&busy.open(LOANS).await);
    day.begins(Outage::Unavailable).await;
    // Asking is no use: eight hours after five in the afternoon one of them ends, in the middle of the grace.
    day.go_to(25 * HOUR - 1);
    assert_eq!(me(&idle).await.json()["idle_expires"], day.begun + 25 * HOUR);
    day.go_to(25 * HOUR);
    me(&idle).await.assert_status(401);
    assert_asked(&idle.open(LOANS).await);
    assert_in(&busy.open(LOANS).await);
    day.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_t62_a_provider_that_lies_or_is_asked_too_much_is_not_away() {
    let mut day = Day::with(CONFIGURED).await;
    for (switch, value) in [
        ("answer.discovery", "too-many"),
        ("answer.discovery", "html"),
        ("answer.discovery", "redirect"),
        ("lie", "discovery-issuer-other"),
    ] {
        day.begun = day.clock.now().0;
        let browser = day.signed_in(&people::ordinary()).await;
        day.work(&[&browser]).await;
        day.campus.simulator.set(switch, value).await.unwrap();
        let before = day.campus.simulator.calls("discovery");
        wait(&day.clock, 10, "questions", async || day.campus.simulator.calls("discovery") > before + 3).await;
        assert_eq!(day.is_away().await, Some(false), "{value}");
        assert_in(&browser.open(LOANS).await);
        // Nor does it keep up what an outage began.
        day.begins(Outage::Refuse).await;
        day.ends().await;
        day.go_to(END);
        assert_asked(&browser.open(LOANS).await);
        day.campus.simulator.reset();
        day.clock.advance(HOUR);
    }
    day.campus.close().await;
}
