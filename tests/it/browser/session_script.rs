//! J4, F15: a page of an app that stays open, with the gate's script in it, in a real Chromium. It warns before the
//! session ends, offers to renew it without losing the page, and keeps nobody signed in by itself.

use super::scene::assert_well_made;
use crate::campus::chromium::Chromium;
use crate::campus::legacy_app::Behaviour;
use crate::campus::people::{self, Person};
use crate::campus::{Builder, Campus};
use crate::outage::grace::noticed;
use crate::sign_in_attacks::TODAY;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use fantoccini::wd::WindowHandle;
use lychgate::domain::{Clock, StoppedClock};
use lychgate::simulator::{Outage, SimulatedClient};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ID: &str = "APP-ANOPENPAGE000001";
const SECRET: &str = "0b1ec7ed-7e57-4000-8000-00000000d00d";
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
/// As strict as an app may be that has scripts at all.
const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
                      require-trusted-types-for 'script'";
const DRAFT: &str = "what nobody wants to write twice";

/// A campus whose clock stands still, and the editor of its library in Chromium.
struct Desk {
    campus: Campus,
    clock: Arc<StoppedClock>,
    chromium: Chromium,
    port: u16,
}

fn editor(lang: &str, attributes: &str) -> Behaviour {
    let html = format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\"><title>Editor</title>\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\
         <script src=\"/.lychgate/assets/session.js\" defer {attributes}></script></head>\
         <body><main><h1>Editor</h1><textarea name=\"draft\" aria-label=\"Draft\" rows=\"12\"></textarea></main></body></html>"
    );
    let headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", POLICY)];
    Behaviour::answer(200, &headers, &html)
}

impl Desk {
    async fn open(build: Builder, page: Behaviour) -> Option<Self> {
        if !Chromium::available() {
            return None;
        }
        let client = format!(
            "environment = \"simulator\"\nid = \"{ID}\"\nsecret = \"{SECRET}\"\nmembership = \"member\"\n\
             issuer = \"{{issuer}}\"\ndefault = true"
        );
        let clock = Arc::new(StoppedClock::at(TODAY));
        let build = build.client(&client).replace("public_port = 443\n", "").clock(clock.clone());
        let campus = build.open().await;
        let port = campus.gate().addresses().gate.port();
        let callback = format!("https://gate.campus.example:{port}/.lychgate/callback/campus");
        campus.simulator.register(SimulatedClient::new(ID, SECRET, "Test Campus", true, &[&callback])).unwrap();
        campus.library().on("/editor", page);
        let chromium = Chromium::start(campus.authority.pem()).await?;
        Some(Self { campus, clock, chromium, port })
    }

    fn library(&self, path: &str) -> String {
        format!("https://library.campus.example:{}{path}", self.port)
    }

    /// From the page with the button to the editor.
    async fn sign_in(&self, person: &Person) {
        let chromium = &self.chromium;
        chromium.click("Create or connect your ORCID iD").await;
        chromium.wait_for_url(&self.campus.simulator.base_url).await;
        chromium.fill("username", person.orcid.as_str()).await;
        chromium.fill("password", &person.password).await;
        chromium.click("Sign in to ORCID").await;
        chromium.click("Authorize access").await;
        chromium.says(&["Thank you"]).await;
        chromium.click("Continue").await;
        chromium.wait_for_url(&self.library("/editor")).await;
    }

    /// The window is looked at again; waits until the script has asked who is here and has its answer.
    async fn look(&self) {
        let answers = "return performance.getEntriesByType('resource').filter((entry) => \
                       entry.name.endsWith('/.lychgate/me') && entry.responseEnd > 0).length";
        let before = self.chromium.script(answers).await.as_u64().unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        while self.chromium.script(answers).await.as_u64().unwrap() == before {
            assert!(Instant::now() < end, "the script does not ask");
            self.chromium.script("window.dispatchEvent(new Event('focus'))").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the script shows, once it is as `wanted` says.
    async fn shown(&self, wanted: impl Fn(&str) -> bool) -> String {
        let shown = "const box = document.querySelector('.lychgate-session'); return box && box.checkVisibility() ? box.innerText : ''";
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let text = self.chromium.script(shown).await.as_str().unwrap_or_default().to_owned();
            if wanted(&text) {
                return text;
            }
            assert!(Instant::now() < end, "the script shows {text:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn back_a_step(&self) {
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: Key::Shift.into() })
            .then(KeyAction::Down { value: Key::Tab.into() })
            .then(KeyAction::Up { value: Key::Tab.into() })
            .then(KeyAction::Up { value: Key::Shift.into() });
        self.chromium.client().perform_actions(keys).await.unwrap();
    }

    /// Into the window that has just been opened; returns the one left behind.
    async fn step_into_new_window(&self) -> WindowHandle {
        let client = self.chromium.client();
        let here = client.window().await.unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let other = client.windows().await.unwrap().into_iter().find(|window| *window != here);
            if let Some(other) = other {
                client.switch_to_window(other).await.unwrap();
                return here;
            }
            assert!(Instant::now() < end, "no window was opened");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn return_to(&self, window: WindowHandle) {
        let client = self.chromium.client();
        client.close_window().await.unwrap();
        client.switch_to_window(window).await.unwrap();
        self.look().await;
    }

    async fn assert_draft(&self) {
        assert_eq!(self.chromium.script("return document.querySelector('textarea').value").await, DRAFT);
    }

    async fn close(self) {
        self.chromium.quit().await;
        self.campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_a_page_that_stays_open_warns_and_is_renewed_without_being_left() {
    let Some(desk) = Desk::open(Campus::build(), editor("en", "")).await else { return };
    let chromium = &desk.chromium;
    let person = people::ordinary();
    chromium.open(&desk.library("/editor")).await;
    desk.sign_in(&person).await;
    chromium.fill("draft", DRAFT).await;
    desk.look().await;
    desk.shown(str::is_empty).await;

    desk.clock.advance(8 * HOUR - 4 * MINUTE);
    desk.look().await;
    let text = desk.shown(|text| text.contains("Stay signed in (opens a new window)")).await;
    assert!(text.contains("You will be signed out soon") && text.contains("Your session ends at "), "{text}");
    assert!(!text.contains('{'), "{text}");
    assert_eq!(chromium.focused().await.0, "textarea", "whoever is typing goes on typing");
    let tree = chromium.accessibility_tree().await;
    let told = |role: &str, name: &str| tree.iter().any(|node| node.role == role && node.name.contains(name));
    assert!(told("region", "You will be signed out soon") && told("alert", ""), "{tree:?}");
    assert!(told("link", "Stay signed in") && told("button", "Hide this message"), "{tree:?}");
    assert_well_made(chromium).await;
    chromium.screenshot("session-1-soon").await;
    chromium.width(320).await.dark().await;
    assert!(!chromium.scrolls_sideways().await);
    chromium.screenshot("session-2-soon-small-dark").await;
    chromium.width(1_000).await;

    // With the keyboard alone.
    desk.back_a_step().await;
    assert_eq!(chromium.focused().await, ("button".to_owned(), "Hide this message".to_owned()));
    desk.back_a_step().await;
    assert_eq!(chromium.focused().await.0, "a");
    chromium.key(Key::Enter).await;
    let here = desk.step_into_new_window().await;
    chromium.wait_for_url(&desk.library("/editor")).await;
    desk.return_to(here).await;
    desk.shown(str::is_empty).await;
    desk.assert_draft().await;

    // Hidden is hidden, until something else is to be said.
    desk.clock.advance(8 * HOUR - 3 * MINUTE);
    desk.look().await;
    desk.shown(|text| text.contains("Stay signed in")).await;
    chromium.script("document.querySelector('textarea').focus()").await;
    desk.back_a_step().await;
    chromium.key(Key::Escape).await;
    desk.shown(str::is_empty).await;
    assert_eq!(chromium.focused().await.0, "textarea");
    desk.look().await;
    desk.shown(str::is_empty).await;

    // However often the script has asked, the session ends when nobody has used it for eight hours.
    desk.clock.advance(3 * MINUTE);
    desk.look().await;
    desk.shown(|text| text.contains("You have been signed out") && text.contains("Sign in again")).await;
    chromium.screenshot("session-3-ended-dark").await;
    chromium.click("Sign in again").await;
    let here = desk.step_into_new_window().await;
    chromium.click("Create or connect your ORCID iD").await;
    chromium.wait_for_url(&desk.library("/editor")).await;
    desk.return_to(here).await;
    desk.shown(str::is_empty).await;
    desk.assert_draft().await;
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_stays_open_never_keeps_anybody_signed_in() {
    let Some(desk) = Desk::open(Campus::build(), editor("en", "")).await else { return };
    desk.chromium.open(&desk.library("/editor")).await;
    desk.sign_in(&people::ordinary()).await;
    for hour in 0..8 {
        desk.look().await;
        desk.shown(|text| !text.contains("signed out")).await;
        assert_eq!(me(&desk.chromium).await, 200, "{hour}");
        desk.clock.advance(HOUR);
    }
    assert_eq!(me(&desk.chromium).await, 401);
    desk.look().await;
    desk.shown(|text| text.contains("You have been signed out")).await;
    desk.close().await;
}

async fn me(chromium: &Chromium) -> u64 {
    let status = chromium.script("return fetch('/.lychgate/me').then((answer) => answer.status)").await;
    status.as_u64().expect("a status")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_an_open_page_says_in_its_language_that_a_session_ends_for_good_and_whose_it_is_now() {
    let page = editor("de-CH", "data-warn=\"600\" data-text-hide=\"Weg damit\" data-renew=\"https://evil.example/x\"");
    let build = Campus::build().configuration("[sessions]\nidle = \"24h\"\n");
    let Some(desk) = Desk::open(build, page).await else { return };
    let chromium = &desk.chromium;
    chromium.open(&desk.library("/editor")).await;
    desk.sign_in(&people::ordinary()).await;
    chromium.fill("draft", DRAFT).await;
    desk.clock.advance(24 * HOUR - 9 * MINUTE);
    desk.look().await;
    let text = desk.shown(|text| text.contains("Speichern Sie Ihre Arbeit vorher")).await;
    assert!(text.contains("Weg damit") && !text.contains("Angemeldet bleiben"), "nothing puts this end off: {text}");

    desk.clock.advance(9 * MINUTE);
    desk.look().await;
    desk.shown(|text| text.contains("Wieder anmelden")).await;
    let href = chromium.script("return document.querySelector('.lychgate-session a').href").await;
    assert_eq!(href, desk.library("/editor"), "the app's mistake leads nowhere else");
    chromium.click("Wieder anmelden").await;
    let here = desk.step_into_new_window().await;
    let other = people::from_afar();
    chromium.open(&format!("{}/signout", desk.campus.simulator.base_url)).await;
    chromium.click("Sign out").await;
    chromium.says(&["You are signed out"]).await;
    chromium.open(&desk.library("/editor")).await;
    desk.sign_in(&other).await;
    desk.return_to(here).await;
    let text = desk.shown(|text| text.contains("Jetzt ist jemand anderes angemeldet")).await;
    let name = other.public_name().expect("a name");
    assert!(text.contains(&name) && !text.contains("Wieder anmelden"), "{text}");
    desk.assert_draft().await;
    chromium.screenshot("session-4-another").await;
    desk.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_an_open_page_is_told_of_no_end_that_an_outage_puts_off_and_of_the_real_one() {
    let build = Campus::build().configuration("[sessions]\noutage_grace = \"1h\"\n");
    let Some(desk) = Desk::open(build, editor("en", "")).await else { return };
    let chromium = &desk.chromium;
    chromium.open(&desk.library("/editor")).await;
    desk.sign_in(&people::ordinary()).await;
    chromium.fill("draft", DRAFT).await;
    let begun = desk.clock.now().0;
    let go_to = |moment: i64| desk.clock.advance(begun + moment - desk.clock.now().0);
    for hour in [7, 14, 21, 23] {
        go_to(hour * HOUR);
        let used = chromium.script("return fetch('/editor').then((answer) => answer.status)").await;
        assert_eq!(used, 200, "at {hour}");
    }
    desk.campus.simulator.set_outage(Some(Outage::Unavailable)).await.unwrap();
    noticed(&desk.campus, &desk.clock, true).await;
    // It may be over by then.
    go_to(24 * HOUR - 2 * MINUTE);
    desk.look().await;
    desk.shown(|text| text.contains("You will be signed out soon") && !text.contains("Stay signed in")).await;
    go_to(24 * HOUR + MINUTE);
    desk.look().await;
    desk.shown(str::is_empty).await;
    go_to(25 * HOUR - 2 * MINUTE);
    desk.look().await;
    desk.shown(|text| text.contains("You will be signed out soon") && !text.contains("Stay signed in")).await;
    desk.assert_draft().await;
    desk.campus.simulator.set_outage(None).await.unwrap();
    noticed(&desk.campus, &desk.clock, false).await;
    desk.look().await;
    desk.shown(|text| text.contains("You have been signed out") && text.contains("Sign in again")).await;
    desk.assert_draft().await;
    desk.close().await;
}
