//! What a kept form outlives and what it does not: its sender leaving, being forgotten, a stricter limit, a reload.

use super::*;
use crate::campus::http;
use crate::campus::temp;

const SIGN_OUT: &str = "https://gate.campus.example/.lychgate/sign-out";
const DISCONNECT: &str = "https://gate.campus.example/.lychgate/account/disconnect";
const WHOSE: &str = "__Host-Http-lychgate-whose";

/// What whoever comes next in a browser posts from a public page, and what becomes of it.
async fn is_kept(campus: &Campus, browser: &Browser) -> bool {
    let before = spool(campus).len();
    let told = browser.post_form(EDITOR, &[("text", "of the next person")]).from(BROWSE).send().await;
    let kept = told.status == 303;
    if !kept {
        told.assert_status(403).assert_says("What you sent was not passed on");
    }
    assert_eq!(spool(campus).len(), before + usize::from(kept));
    kept
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_what_the_next_person_in_a_browser_writes_is_not_kept_for_who_signed_out() {
    let ways = [
        (SIGN_OUT, "Sign out of all sites"),
        (SIGN_OUT, "Sign out on all my devices"),
        (DISCONNECT, "Take back all permissions"),
        (DISCONNECT, "Take back all permissions and forget me"),
    ];
    let mut campus = Campus::build().clock(Arc::new(StoppedClock::at(TODAY))).open().await;
    let (person, other) = (people::ordinary(), campus.browser());
    campus.sign_in(&other, BROWSE, &people::from_afar()).await.assert_at(BROWSE);
    let mut left = Vec::new();
    for (address, button) in ways {
        let browser = campus.browser();
        campus.sign_in(&browser, BROWSE, &person).await.assert_at(BROWSE);
        browser.open(address).await.press(button).await.assert_status(200);
        assert!(browser.cookie(BROWSE, SESSION).is_some() && browser.cookie(BROWSE, WHOSE).is_some(), "they stay");
        assert!(!is_kept(&campus, &browser).await, "{button}");
        left.push(browser);
    }
    campus.restart().await;
    for browser in left {
        assert!(!is_kept(&campus, &browser).await, "a restart forgets it");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_nothing_is_kept_for_a_session_that_is_long_over() {
    let (campus, clock, browser, _) = visited("").await;
    clock.advance(35 * 3600);
    assert!(is_kept(&campus, &browser).await, "the morning after");
    clock.advance(3600);
    assert!(!is_kept(&campus, &browser).await);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j7_who_disconnects_leaves_no_form_behind() {
    for button in ["Take back all permissions", "Take back all permissions and forget me"] {
        let (campus, _, browser, person) = ended("").await;
        let page = people::arrive(write(&browser, EDITOR).await, &person).await;
        assert_asks_to_send(&page);
        browser.open(DISCONNECT).await.press(button).await.assert_status(200);
        assert!(spool(&campus).is_empty(), "{button}");
        browser.open(page.url.as_str()).await.assert_status(410);
        campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_a_confirmation_in_pieces_and_with_trailers_sends_the_form() {
    let (campus, _, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    assert_asks_to_send(&page);
    let form = page.form_with(SEND);
    let fields = ["lychgate-kept-form", "token"].map(|name| (name, form.value(name).unwrap().to_owned()));
    let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    let pieces = text.as_bytes().chunks(10).map(bytes::Bytes::copy_from_slice).collect();
    let mut trailers = ::http::HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    let confirm = browser.speaking(Speaks::OnlyHttp2).request("POST".parse().unwrap(), EDITOR);
    let confirm = confirm.header("content-type", "application/x-www-form-urlencoded").from(page.url.as_str());
    let confirm = confirm.header("content-length", text.len().to_string());
    confirm.stream_body(http::pieces(pieces, Some(trailers))).send().await.assert_status(200);
    let received = campus.repository().last_request();
    assert_eq!(received.body(), b"text=On+the+hoof+of+the+unicorn%2C+chapter+one+%26+two&n=1");
    assert_eq!(campus.repository().requests().len(), 1);
    campus.close().await;
}

const PRESS: &str = "[site]\nname = \"press\"\nhosts = [\"press.campus.example\"]\nupstream = \"{press}\"\n\
    [[rule]]\nname = \"all\"\naccess = \"signed-in\"\n[[case]]\nrequest = \"GET /\"\nexpect = \"sign-in\"\n";
const PRINT: &str = "https://press.campus.example/print";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_a_limit_lowered_meanwhile_destroys_no_form() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).site("press", PRESS).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, PRINT, &person).await.assert_status(200).assert_at(PRINT);
    clock.advance(9 * 3600);
    campus.app("press").forget();
    let long = "x".repeat(2000);
    let page = people::arrive(browser.post_form(PRINT, &[("a", &long)]).from(PRINT).follow().await, &person).await;
    assert_asks_to_send(&page);
    let upstream = std::fs::read_to_string(campus.folder().join("policies/press.toml")).unwrap();
    let strict = upstream.replace("[[rule]]", "[limits]\nbody = \"1 KiB\"\n[[rule]]");
    for (text, wanted) in [(strict, 413), (upstream, 200)] {
        let new = temp::write(campus.folder(), "policies/press.toml.new", &text);
        std::fs::rename(new, campus.folder().join("policies/press.toml")).unwrap();
        // Read again when the folder has come to rest.
        let end = Instant::now() + Duration::from_secs(20);
        while browser.post_form(PRINT, &[("a", &long)]).from(PRINT).send().await.status != wanted {
            assert!(Instant::now() < end, "still not {wanted}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        campus.app("press").forget();
        page.press(SEND).await.assert_status(wanted);
    }
    assert!(campus.app("press").last_request().body().len() > 2000);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_a_form_to_a_site_with_fragments_is_kept_once_however_often_the_page_is_reloaded() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let site = PRESS.replace("[[rule]]", "fragments = true\n[[rule]]");
    let campus = Campus::build().clock(clock.clone()).site("press", &site).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    let leaving = browser.open(PRINT).await.click("Go on").await;
    people::arrive(leaving, &person).await.click("Go on").await.assert_at(PRINT);
    clock.advance(9 * 3600);
    let stopped = browser.post_form(PRINT, &[("page", "7")]).from(PRINT).send().await;
    assert_eq!(stopped.status, 303, "{}", stopped.story());
    let replay = stopped.location().unwrap();
    for _ in 0..2 {
        // A page that a reload asks for once more, by GET.
        browser.open(replay.as_str()).await.assert_status(200).assert_says("Go on");
    }
    assert_eq!(spool(&campus).len(), 1);
    let leaving = browser.open(replay.as_str()).await.click("Go on").await;
    let page = people::arrive(leaving, &person).await.click("Go on").await;
    assert_asks_to_send(&page);
    page.press(SEND).await.assert_status(200).assert_at(PRINT);
    assert_eq!(campus.app("press").last_request().body(), b"page=7");
    campus.close().await;
}
