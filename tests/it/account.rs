//! J7: a researcher sees what they allowed, which sites used it and which browsers are signed in; ends the others,
//! takes everything back, is forgotten if they want, and takes their data away.

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::people::{self, Person};
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{TODAY, cookie_line, given_session, session, start_of, through_orcid};
use crate::step_up::{deposit, wait_for_pairs};
use http::Method;
use lychgate::domain::StoppedClock;
use std::sync::Arc;

const LOANS: &str = "https://library.campus.example/loans";
const BROWSE: &str = "https://repository.campus.example/browse";
const ACCOUNT: &str = "https://gate.campus.example/.lychgate/account";
const SESSIONS: &str = "https://gate.campus.example/.lychgate/account/sessions";
const DISCONNECT: &str = "https://gate.campus.example/.lychgate/account/disconnect";
const DATA: &str = "https://gate.campus.example/.lychgate/account/data";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/18.0 Safari/605.1.15";

/// Signed in with a browser that says this of itself, at [`LOANS`].
async fn with_agent(campus: &Campus, person: &Person, agent: &str) -> Browser {
    let browser = campus.browser();
    let page = browser.open(LOANS).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), person, "Authorize access").await;
    let landed = browser.get(back.as_str()).header("user-agent", agent).follow().await;
    if landed.url.path() == "/.lychgate/connected" {
        landed.click("Continue").await.assert_status(200).assert_at(LOANS);
    }
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    browser
}

/// Whether the browser is still signed in, on the sign-in host and on this page.
async fn is_in(browser: &Browser, page: &str) -> bool {
    let (root, site) = (browser.get(ACCOUNT).send().await, browser.get(page).send().await);
    assert_eq!(root.status, site.status, "{}\n{}", root.story(), site.story());
    root.status == 200
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j7_the_account_shows_permissions_sites_and_browsers_in_plain_words() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let person = people::ordinary();
    let phone = with_agent(&campus, &person, PHONE).await;
    clock.advance(3600);
    let here = with_agent(&campus, &person, FIREFOX).await;
    deposit_from(&campus, &here, &person).await;
    let stranger = with_agent(&campus, &people::from_afar(), "Mozilla/5.0 (Windows NT 10.0) Chrome/139.0").await;
    let account = here.open(ACCOUNT).await;
    account
        .assert_status(200)
        .assert_says(person.orcid.as_str())
        .assert_says("First connected")
        .assert_says("2026-11-24 06:00 UTC")
        .assert_says("Add works, affiliations, funding")
        .assert_says("Campus library")
        .assert_says("Firefox on Linux")
        .assert_says("Safari on iPhone")
        .assert_says("127.0.0.0/24")
        .assert_lacks("Chrome on Windows")
        .assert_lacks("Mozilla");
    assert_eq!(account.page().text.matches("used it last").count(), 2, "library and repository: {}", account.story());
    assert_eq!(account.page().forms.len(), 1, "one form, for the other browser");
    assert_eq!(account.form(0).as_written().buttons.len(), 2, "this browser is not in it");
    // From the phone it is the other way round.
    let account = phone.open(ACCOUNT).await;
    let (this, others) = account.page().text.split_once("Other browsers signed in as you").map(own).unwrap();
    assert!(this.contains("Safari on iPhone") && others.contains("Firefox on Linux"), "{}", account.story());
    stranger.open(ACCOUNT).await.assert_lacks("Firefox on Linux").assert_lacks("Other browsers");
    campus.close().await;
}

fn own((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

/// Grants the repository what a deposit needs.
async fn deposit_from(campus: &Campus, browser: &Browser, person: &Person) {
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    let page = browser.open(&format!("{REPOSITORY}/deposit/new")).await;
    let back = through_orcid(browser, start_of(&page).as_str(), person, "Authorize access").await;
    let connected = browser.get(back.as_str()).header("user-agent", FIREFOX).follow().await;
    connected.click("Continue").await.assert_status(200);
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    assert!(campus.repository().requests().iter().any(|request| request.target == "/deposit/new"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j7_one_browser_is_signed_out_from_another_or_all_of_them() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let (phone, desk) = (with_agent(&campus, &person, PHONE).await, with_agent(&campus, &person, FIREFOX).await);
    let (here, other) =
        (with_agent(&campus, &person, FIREFOX).await, with_agent(&campus, &people::from_afar(), PHONE).await);
    let account = here.open(ACCOUNT).await;
    let form = account.form(0);
    let (buttons, token) = (form.as_written().buttons.clone(), form.value("token").unwrap());
    let headings = account.page().headings;
    let browsers: Vec<&String> = headings.iter().filter(|text| text.contains(" on ")).collect();
    let phones = browsers.iter().position(|heading| *heading == "Safari on iPhone").expect("the phone is listed");
    let fields = [("token", token), ("end", buttons[phones].value.as_str())];
    let end_phone = || here.post_form(SESSIONS, &fields).from(ACCOUNT);
    let ended = end_phone().follow().await;
    ended.assert_status(200).assert_at(ACCOUNT).assert_lacks("Safari on iPhone").assert_says("Firefox on Linux");
    assert!(!is_in(&phone, LOANS).await && is_in(&desk, LOANS).await && is_in(&here, LOANS).await);
    // The same button again, as when the page was left open: nobody is left to end.
    let again = end_phone().follow().await;
    again.assert_status(200).assert_at(ACCOUNT);
    let ended = again.press("Sign out all other browsers").await;
    ended.assert_status(200).assert_at(ACCOUNT).assert_lacks("Other browsers");
    assert!(!is_in(&desk, LOANS).await && is_in(&here, LOANS).await && is_in(&other, LOANS).await);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j7_taking_permissions_back_revokes_them_at_orcid_and_keeps_the_link() {
    let campus = Campus::open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    deposit(&campus, &browser, &person).await;
    let elsewhere = with_agent(&campus, &person, PHONE).await;
    wait_for_pairs(&campus, &person, &["openid", "openid /activities/update"]).await;
    let other = with_agent(&campus, &people::from_afar(), PHONE).await;
    let ask = browser.open(ACCOUNT).await.click("Take back permissions or disconnect").await;
    ask.assert_status(200).assert_at(DISCONNECT).assert_says("Add works, affiliations, funding");
    assert!(is_in(&browser, BROWSE).await, "asking changes nothing");
    let done = ask.press("Take back all permissions").await;
    done.assert_status(200).assert_says("Your permissions are taken back").assert_says("trusted parties");
    assert_eq!(given_session(&done).as_deref(), Some(""), "the cookie is taken back");
    assert!(!is_in(&elsewhere, LOANS).await, "every browser is signed out before the answer");
    assert!(is_in(&other, LOANS).await, "and nobody else's");
    wait_for_pairs(&campus, &person, &[]).await;
    wait_for_pairs(&campus, &people::from_afar(), &["openid"]).await;
    // Who comes back is known: no thanks for connecting a second time.
    let page = campus.browser().open(LOANS).await;
    let browser = page.browser().clone();
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.assert_says("Welcome back").assert_lacks("now knows that this iD is yours");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j7_who_wants_to_be_forgotten_is_unknown_afterwards() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let mut campus = Campus::build().clock(clock.clone()).open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    deposit(&campus, &browser, &person).await;
    let kept = [LIBRARY, REPOSITORY, SIGN_IN].map(|host| (host, cookie_line(&browser, host)));
    let ask = browser.open(DISCONNECT).await;
    let done = ask.press("Take back all permissions and forget me").await;
    done.assert_status(200).assert_says("You are disconnected").assert_says("has forgotten you here");
    wait_for_pairs(&campus, &person, &[]).await;
    clock.advance(7200);
    campus.restart().await;
    for (host, line) in kept {
        let page = if host == SIGN_IN { ACCOUNT.to_owned() } else { format!("{host}/loans") };
        campus.browser().get(&page).header("cookie", &line).send().await.assert_status(303);
    }
    // Nothing of before is left: a newcomer, since now, with one permission and one site.
    let again = campus.browser();
    let page = again.open(LOANS).await;
    let back = through_orcid(&again, start_of(&page).as_str(), &person, "Authorize access").await;
    let thanks = again.open(back.as_str()).await;
    thanks.assert_says("now knows that this iD is yours").click("Continue").await.assert_status(200);
    again.open(ACCOUNT).await.assert_says("2026-11-24 08:00 UTC").assert_lacks("2026-11-24 06:00 UTC");
    let data = again.get(DATA).send().await.json();
    assert_eq!(data["first_connected"], "2026-11-24T08:00:00Z");
    assert_eq!(data["permissions"].as_array().unwrap().len(), 1);
    assert_eq!(data["sites"][0]["site"], "library");
    assert_eq!(data["sites"].as_array().unwrap().len(), 1);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j7_ones_data_can_be_taken_away_and_holds_no_secret() {
    let campus = Campus::open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    deposit(&campus, &browser, &person).await;
    let answer = browser.open(ACCOUNT).await.click("Download what is kept about you").await;
    answer.assert_status(200).assert_at(DATA);
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"lychgate-connection.json\""));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let data = answer.json();
    assert_eq!(data["id"], person.orcid.as_str());
    assert_eq!(data["scopes"], serde_json::json!(["/activities/update", "openid"]));
    assert_eq!(data["permissions"][1]["scopes"], serde_json::json!(["/activities/update", "openid"]));
    let of_browser = data["sessions"].as_array().unwrap().iter().find(|session| session["site"].is_null()).unwrap();
    assert_eq!(of_browser["network"], "127.0.0.0/24");
    let text = answer.text();
    for secret in campus.simulator.issued() {
        assert!(!text.contains(&secret), "a token or code is in it");
    }
    for host in [SIGN_IN, REPOSITORY] {
        assert!(!text.contains(&session(&browser, host).unwrap()), "a cookie is in it");
    }
    // Only for the person: no other site's page, script or picture.
    for from in ["https://evil.example/", LIBRARY, REPOSITORY] {
        let line = cookie_line(&browser, SIGN_IN);
        let asked = browser.get(DATA).from(from).header("cookie", &line).send().await;
        asked.assert_status(403).assert_lacks(person.orcid.as_str());
        browser.get(DATA).by_script_on(from).header("cookie", &line).send().await.assert_status(403);
    }
    browser.get(DATA).by_tool().send().await.assert_status(200);
    campus.browser().get(DATA).send().await.assert_status(303);
    campus.close().await;
}

/// A form of the account, as its page gives it.
struct Change {
    address: &'static str,
    field: (&'static str, &'static str),
    page: &'static str,
    /// What the answer of the honest one says.
    done: &'static str,
}

const CHANGES: [Change; 3] = [
    Change { address: SESSIONS, field: ("end", "others"), page: ACCOUNT, done: "Your connection" },
    Change { address: DISCONNECT, field: ("take", "permissions"), page: DISCONNECT, done: "are taken back" },
    Change { address: DISCONNECT, field: ("take", "everything"), page: DISCONNECT, done: "are disconnected" },
];

async fn token_at(browser: &Browser, page: &str) -> String {
    let answer: Answer = browser.get(page).send().await;
    answer.assert_status(200).form(0).value("token").expect("the form has a token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t69_only_a_post_of_our_own_page_with_its_token_changes_an_account() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    for Change { address, field, page, done } in CHANGES {
        let (browser, other) = (with_agent(&campus, &person, FIREFOX).await, with_agent(&campus, &person, PHONE).await);
        let token = token_at(&browser, page).await;
        let wrong_page = if page == ACCOUNT { DISCONNECT } else { ACCOUNT };
        let (of_another_form, of_another_browser) =
            (token_at(&browser, wrong_page).await, token_at(&other, page).await);
        let form = [("token", token.as_str()), field];
        browser.get(&format!("{address}?token={token}&{}={}", field.0, field.1)).follow().await.assert_status(200);
        browser.get(address).from("https://evil.example/").follow().await.assert_status(200);
        for method in [Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = browser.request(method.clone(), address).form(&form).send().await;
            assert!(method == Method::HEAD || answer.status == 405, "{method}: {}", answer.story());
        }
        let post = || browser.post_form(address, &form);
        let with = |token: &str| browser.post_form(address, &[("token", token), field]);
        let refused = [
            (post().from("https://evil.example/").header("cookie", cookie_line(&browser, SIGN_IN)), 403),
            (post().from(LIBRARY), 403),
            (post().header("origin", "null"), 403),
            (post().header("origin", "null").without("sec-fetch-site"), 403),
            (post().header("origin", LIBRARY).without("sec-fetch-site"), 403),
            (post().header("sec-fetch-site", "same-site"), 403),
            (post().header("sec-fetch-site", "none"), 403),
            (browser.post_form(address, &[field]), 403),
            (with(""), 403),
            (with(&of_another_form), 403),
            (with(&of_another_browser), 403),
            (browser.post_form(address, &[("token", &token)]), 400),
            (post().header("content-type", "text/plain"), 400),
        ];
        for (n, (request, status)) in refused.into_iter().enumerate() {
            request.send().await.assert_status(status);
            assert!(is_in(&browser, LOANS).await && is_in(&other, LOANS).await, "{field:?}, case {n}");
        }
        // A guest, and an unknown choice.
        campus.browser().post_form(address, &form).send().await.assert_status(303);
        let unknown = browser.post_form(address, &[("token", &token), (field.0, "nothing")]).follow().await;
        assert!([200, 400].contains(&unknown.status.as_u16()), "{}", unknown.story());
        assert!(is_in(&browser, LOANS).await && is_in(&other, LOANS).await, "{field:?}");
        // On a site host there is no such address.
        let there = browser.post_form(&address.replace(SIGN_IN, LIBRARY), &form).send().await;
        assert!(there.status.is_client_error(), "{}", there.story());
        // A browser that says nothing about who asks: the token alone suffices.
        post().without("sec-fetch-site").without("origin").follow().await.assert_status(200).assert_says(done);
        assert!(!is_in(&other, LOANS).await, "{field:?}");
        assert_eq!(is_in(&browser, LOANS).await, address == SESSIONS, "{field:?}");
    }
    campus.close().await;
}
