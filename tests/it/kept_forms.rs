//! J4, B5: what somebody sends just when they have to sign in, or to allow more, is kept, and sent on when they have
//! confirmed: byte for byte, once. Who may not, and what is not kept, is in `attacks`; what ends a form, in `endings`.

mod attacks;
mod endings;

use crate::campus::answer::Answer;
use crate::campus::browser::{Browser, Speaks};
use crate::campus::legacy_app::{Behaviour, LegacyApp};
use crate::campus::people::{self, Person};
use crate::campus::{Campus, REPOSITORY};
use lychgate::domain::StoppedClock;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const BROWSE: &str = "https://repository.campus.example/browse";
const EDITOR: &str = "https://repository.campus.example/editor?draft=7&x=%41%2F";
const DEPOSIT: &str = "https://repository.campus.example/deposit/new?kind=article";
const TODAY: i64 = 1_790_000_000;
const KEPT: &str = "__Host-Http-lychgate-kept-";
const SESSION: &str = "__Host-Http-lychgate";
const SEND: &str = "Send it now";
const MANUSCRIPT: &str = "On the hoof of the unicorn, chapter one & two";

/// A campus whose clock can be moved, and somebody who has signed in.
async fn visited(lines: &str) -> (Campus, Arc<StoppedClock>, Browser, Person) {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).configuration(lines).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, BROWSE, &person).await.assert_status(200).assert_at(BROWSE);
    (campus, clock, browser, person)
}

/// The same, nine hours later: nobody is signed in any more.
async fn ended(lines: &str) -> (Campus, Arc<StoppedClock>, Browser, Person) {
    let (campus, clock, browser, person) = visited(lines).await;
    clock.advance(9 * 3600);
    campus.watch.forbid("a manuscript", MANUSCRIPT);
    campus.repository().forget();
    (campus, clock, browser, person)
}

/// Sends the manuscript to `url` from a page of the same site, and follows to wherever that leads.
async fn write(browser: &Browser, url: &str) -> Answer {
    browser.post_form(url, &[("text", MANUSCRIPT), ("n", "1")]).from(BROWSE).follow().await
}

fn cookies_of_forms(browser: &Browser) -> usize {
    browser.cookies(BROWSE).iter().filter(|cookie| cookie.name.starts_with(KEPT)).count()
}

fn spool(campus: &Campus) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(campus.folder().join("state/vault/spool")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Files are removed by threads of their own.
async fn wait_for_empty_spool(campus: &Campus) {
    let end = Instant::now() + Duration::from_secs(30);
    while !spool(campus).is_empty() {
        assert!(Instant::now() < end, "still there: {:?}", spool(campus));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[track_caller]
fn assert_asks_to_send(page: &Answer) {
    page.assert_status(200).assert_at_path("/.lychgate/replay").assert_says("Send your form to").assert_says(SEND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b5_a_form_sent_after_the_session_has_ended_is_sent_once_more_when_confirmed() {
    let (campus, _, browser, person) = ended("").await;
    let stopped = write(&browser, EDITOR).await;
    stopped.assert_says("Create or connect your ORCID iD");
    assert_eq!((cookies_of_forms(&browser), spool(&campus).len()), (1, 1));
    let page = people::arrive(stopped, &person).await;
    assert_asks_to_send(&page);
    page.assert_says(EDITOR).assert_says(person.orcid.as_str());
    assert!(campus.repository().requests().is_empty(), "nothing is sent before somebody says so");

    let sent = page.press(SEND).await;
    sent.assert_status(200).assert_at(EDITOR);
    let received = campus.repository().last_request();
    assert_eq!((received.method.as_str(), received.target.as_str()), ("POST", "/editor?draft=7&x=%41%2F"));
    assert_eq!(received.body(), b"text=On+the+hoof+of+the+unicorn%2C+chapter+one+%26+two&n=1");
    assert_eq!(received.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(received.header("content-length"), Some(received.body().len().to_string().as_str()));
    assert_eq!(received.header("referer"), Some(BROWSE), "of the page the form was on");
    assert_eq!(received.header("origin"), Some(REPOSITORY));
    assert!(received.header("x-lychgate-assertion").is_some(), "and it says who sends it");
    assert_eq!(campus.repository().requests().len(), 1);
    assert_eq!(cookies_of_forms(&browser), 0, "{:?}", browser.cookies(BROWSE));
    wait_for_empty_spool(&campus).await;
    // The connection is as good as before.
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_a_form_that_needs_another_permission_waits_until_it_is_granted() {
    let campus = Campus::open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, BROWSE, &person).await.assert_at(BROWSE);
    campus.repository().forget();
    let stopped = write(&browser, DEPOSIT).await;
    stopped.assert_says("Research repository needs your permission");
    let page = people::arrive(stopped.click("Go to").await, &person).await;
    assert_asks_to_send(&page);
    page.press(SEND).await.assert_status(200).assert_at(DEPOSIT);
    let received = campus.repository().last_request();
    assert_eq!(received.target, "/deposit/new?kind=article");
    assert!(received.body().starts_with(b"text=On+the+hoof"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_saying_no_to_another_permission_leads_back_to_the_page_before() {
    let campus = Campus::open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, BROWSE, &person).await.assert_at(BROWSE);
    for form in [false, true] {
        let asked = match form {
            true => browser.post_form(DEPOSIT, &[("a", "b")]).from(EDITOR).follow().await,
            false => browser.get(DEPOSIT).from(EDITOR).follow().await,
        };
        let denied = people::at_orcid(asked.click("Go to").await, &person, false).await;
        denied.assert_says("Your ORCID iD was not connected");
        denied.click("Leave without connecting").await.assert_status(200).assert_at(EDITOR);
    }
    // A page that they may not open either leads back to nothing but the same question.
    let asked = browser.get(DEPOSIT).from("https://repository.campus.example/deposit/old").follow().await;
    let denied = people::at_orcid(asked.click("Go to").await, &person, false).await;
    denied.click("Leave without connecting").await.assert_status(200).assert_at(&format!("{REPOSITORY}/"));
    campus.close().await;
}

/// A form with a file of nine megabytes in which every byte occurs, as browsers send it.
fn upload() -> (String, Vec<u8>) {
    let boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nÜber das Einhorn\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"unicorn.pdf\"\r\n\
         Content-Type: application/pdf\r\n\r\n"
    );
    let mut body = head.into_bytes();
    let mut state = 1u64;
    body.extend(
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .take(9 << 20),
    );
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_an_upload_of_nine_megabytes_arrives_byte_for_byte_over_either_http() {
    let (content_type, body) = upload();
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let clock = Arc::new(StoppedClock::at(TODAY));
        let campus = Campus::build().clock(clock.clone()).open().await;
        let (browser, person) = (campus.browser().speaking(speaks), people::ordinary());
        // ORCID speaks HTTP/1.1 alone.
        let anywhere = browser.speaking(Speaks::Both);
        campus.sign_in(&anywhere, BROWSE, &person).await.assert_at(BROWSE);
        clock.advance(9 * 3600);
        campus.repository().forget();
        let request = browser.request("POST".parse().unwrap(), EDITOR).header("content-type", &content_type);
        let stopped = request.body(body.clone()).from(BROWSE).send().await;
        assert_eq!(stopped.status, 303, "{speaks:?} {}", stopped.story());
        let next = stopped.location().unwrap();
        let page = people::arrive(anywhere.get(next.as_str()).follow().await, &person).await;
        assert_asks_to_send(&page);
        page.assert_says("9.1 MiB");
        let confirm = page.form_with(SEND);
        let fields = ["lychgate-kept-form", "token"].map(|name| (name, confirm.value(name).unwrap().to_owned()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let sent = browser.post_form(EDITOR, &fields).from(page.url.as_str()).send().await;
        sent.assert_status(200);
        let received = campus.repository().last_request();
        assert_eq!(received.header("content-type"), Some(content_type.as_str()));
        assert_eq!(received.header("transfer-encoding"), None);
        assert!(received.body() == body, "{speaks:?}: {} bytes of {}", received.body().len(), body.len());
        wait_for_empty_spool(&campus).await;
        campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_an_app_that_is_down_loses_no_form() {
    let place = tempfile::tempdir().unwrap();
    let socket = place.path().join("press");
    let site = format!(
        "[site]\nname = \"press\"\nhosts = [\"press.campus.example\"]\nupstream = \"unix:{}\"\n\
         [[rule]]\nname = \"all\"\naccess = \"signed-in\"\n[[case]]\nrequest = \"GET /\"\nexpect = \"sign-in\"\n",
        socket.display()
    );
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).site("press", &site).open().await;
    let (browser, person, print) = (campus.browser(), people::ordinary(), "https://press.campus.example/print");
    campus.sign_in(&browser, print, &person).await.assert_status(502).assert_at(print);
    clock.advance(9 * 3600);
    let stopped = browser.post_form(print, &[("page", "7")]).from(print).follow().await;
    let page = people::arrive(stopped, &person).await;
    assert_asks_to_send(&page);
    page.press(SEND).await.assert_status(502).assert_at(print);
    assert_eq!(spool(&campus).len(), 1, "it is still there");
    let press = LegacyApp::start_unix(&socket).await;
    // What reloading comes to.
    page.press(SEND).await.assert_status(200).assert_at(print);
    assert_eq!(press.last_request().body(), b"page=7");
    page.press(SEND).await.assert_status(410);
    assert_eq!(press.requests().len(), 1);
    press.stop().await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_whoever_signed_out_again_before_confirming_is_asked_to_sign_in_once_more() {
    let (campus, clock, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    // Signed out on another device: the cookie stays, the session is gone.
    let everywhere = browser.open("https://gate.campus.example/.lychgate/sign-out").await;
    everywhere.press("Sign out on all my devices").await.assert_says("You are signed out");
    clock.advance(60);
    let again = people::arrive(page.press(SEND).await, &person).await;
    assert_asks_to_send(&again);
    assert!(campus.repository().requests().is_empty());
    assert_eq!(spool(&campus).len(), 1, "the confirmation itself was not taken for a form to keep");
    again.press(SEND).await.assert_status(200).assert_at(EDITOR);
    assert!(campus.repository().last_request().body().starts_with(b"text=On+the+hoof"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_a_form_may_be_thrown_away() {
    let (campus, _, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    page.press("Throw it away").await.assert_status(200).assert_says("The form was thrown away");
    assert_eq!(cookies_of_forms(&browser), 0);
    wait_for_empty_spool(&campus).await;
    page.press(SEND).await.assert_status(410).assert_says("no longer here");
    assert!(campus.repository().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_forms_to_the_same_address_pass_as_ever_while_one_is_kept() {
    let (campus, _, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    let long = "x".repeat(70_000);
    let bodies = [vec![("a", "b")], vec![], vec![("lychgate-kept-form", "no id of ours")], vec![("a", long.as_str())]];
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        for fields in &bodies {
            campus.repository().forget();
            let request = browser.speaking(speaks).post_form(EDITOR, fields).from(BROWSE);
            request.send().await.assert_status(200);
            let sent = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let received = campus.repository().last_request();
            assert!(received.body() == sent.as_bytes(), "{speaks:?} {fields:?}");
            assert_eq!(campus.repository().requests().len(), 1);
        }
    }
    page.press(SEND).await.assert_status(200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_forms_to_one_address_wait_side_by_side() {
    let (campus, _, browser, person) = ended("").await;
    let first = browser.post_form(EDITOR, &[("n", "1")]).from(BROWSE).follow().await;
    let second = browser.post_form(EDITOR, &[("n", "2")]).from(BROWSE).follow().await;
    assert_eq!((cookies_of_forms(&browser), spool(&campus).len()), (2, 2));
    let first = people::arrive(first, &person).await;
    let second = people::arrive(second, &person).await;
    assert_asks_to_send(&second);
    second.press(SEND).await.assert_status(200);
    assert_eq!(campus.repository().last_request().body(), b"n=2");
    // Signing in for the second gave a new session, for which the first page's button is none.
    let asked_again = first.press(SEND).await;
    assert_asks_to_send(&asked_again);
    asked_again.press(SEND).await.assert_status(200);
    assert_eq!(campus.repository().last_request().body(), b"n=1");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_may_answer_a_form_with_a_redirect_and_cookies_of_its_own() {
    let (campus, _, browser, person) = ended("").await;
    let headers = [("location", "https://library.campus.example/public/thanks"), ("set-cookie", "draft=8")];
    campus.repository().on("/editor", Behaviour::answer(303, &headers, ""));
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    page.press(SEND).await.assert_status(200).assert_at("https://library.campus.example/public/thanks");
    assert_eq!(browser.cookie(EDITOR, "draft").as_deref(), Some("8"));
    assert_eq!(cookies_of_forms(&browser), 0);
    campus.close().await;
}
