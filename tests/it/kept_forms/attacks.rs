//! T92: a kept form is sent for nobody but its sender, and nobody else can have one kept; and what is kept is bounded.

use super::*;
use crate::campus::http;
use crate::campus::{LIBRARY, SIGN_IN};
use std::collections::BTreeSet;

/// Whoever used the browser before signs out at ORCID.
fn forget_at_orcid(browser: &Browser) {
    let mut jar = browser.jar();
    let others: Vec<_> = jar.all().iter().filter(|cookie| cookie.domain.ends_with("campus.example")).cloned().collect();
    jar.clear();
    others.into_iter().for_each(|cookie| jar.plant(cookie));
}

/// The form's own page, by the address the sign-in led back to.
fn replay_of(page: &Answer) -> String {
    assert_asks_to_send(page);
    page.url.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_another_researcher_in_the_same_browser_sends_nothing() {
    let (campus, _, browser, person) = ended("").await;
    let stopped = write(&browser, EDITOR).await;
    let other = people::from_afar();
    forget_at_orcid(&browser);
    let page = people::arrive(stopped, &other).await;
    page.assert_status(403).assert_at_path("/.lychgate/replay").assert_says("You signed in with another iD");
    page.assert_lacks(SEND).assert_lacks("draft=7");
    let replay = page.url.to_string();
    // Whatever they make up themselves leads back there.
    let id = replay.split_once("form=").unwrap().1.to_owned();
    let forged = browser.post_form(EDITOR, &[("lychgate-kept-form", &id), ("token", "x")]).from(BROWSE);
    forged.follow().await.assert_status(403).assert_says("You signed in with another iD");
    assert!(campus.repository().requests().is_empty());
    // The first comes back, and finds it.
    let mine = people::arrive(page.click("Use another").await, &person).await;
    replay_of(&mine);
    mine.press(SEND).await.assert_status(200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_another_browser_sends_nothing_even_of_the_same_researcher() {
    let (campus, _, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    let replay = replay_of(&page);
    let elsewhere = campus.browser();
    campus.sign_in(&elsewhere, BROWSE, &person).await.assert_at(BROWSE);
    campus.repository().forget();
    elsewhere.open(&replay).await.assert_status(410).assert_lacks(SEND).assert_lacks("draft=7");
    let form = page.form_with(SEND);
    let fields = ["lychgate-kept-form", "token"].map(|name| (name, form.value(name).unwrap().to_owned()));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    elsewhere.post_form(EDITOR, &fields).from(&replay).send().await.assert_status(410);
    assert!(campus.repository().requests().is_empty());
    elsewhere.post_form(EDITOR, &fields).from(BROWSE).send().await.assert_status(200);
    let passed = campus.repository().last_request();
    assert!(!String::from_utf8_lossy(&passed.body()).contains("unicorn"), "its own small form, and no more");
    // Nor does a cookie made up, or another form's, help.
    let id = replay.split_once("form=").unwrap().1;
    elsewhere.script_sets_cookie(BROWSE, &format!("{KEPT}{id}=AAAA; Secure; Path=/"));
    for value in ["AAAA".to_owned(), "A".repeat(80)] {
        let forged = elsewhere.get(&replay).header("cookie", format!("{KEPT}{id}={value}")).send().await;
        forged.assert_lacks(SEND);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_a_form_is_confirmed_by_a_page_of_this_site_and_for_its_own_address_alone() {
    let (campus, _, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    let (replay, form) = (replay_of(&page), page.form_with(SEND));
    let fields = ["lychgate-kept-form", "token"].map(|name| (name, form.value(name).unwrap().to_owned()));
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    // `SameSite` lets a sister host's form bring the cookies.
    for origin in [format!("{LIBRARY}/loans"), format!("{SIGN_IN}/.lychgate/account")] {
        browser.post_form(EDITOR, &fields).from(&origin).send().await.assert_status(403);
    }
    for (site, origin) in [("cross-site", REPOSITORY), ("same-origin", "null"), ("none", REPOSITORY)] {
        let forged = browser.post_form(EDITOR, &fields).header("sec-fetch-site", site).header("origin", origin);
        forged.send().await.assert_status(403);
    }
    assert!(campus.repository().requests().is_empty());
    // At another address of the app they are a form of its own, or lead back to the question.
    browser.post_form(&format!("{REPOSITORY}/editor?draft=8"), &fields).from(&replay).follow().await.assert_at(&replay);
    let wrong: Vec<_> =
        fields.iter().map(|(name, value)| (*name, if *name == "token" { "AAAA" } else { *value })).collect();
    browser.post_form(EDITOR, &wrong).from(&replay).follow().await.assert_at(&replay);
    assert!(campus.repository().requests().is_empty());
    assert_eq!(spool(&campus).len(), 1);
    // Throwing it away from elsewhere fails as well.
    let thrown = browser.post_form(&replay, &fields).from(&format!("{LIBRARY}/loans")).send().await;
    thrown.assert_status(403);
    browser.post_form(&replay, &fields).from(&replay).send().await.assert_status(403);
    page.press(SEND).await.assert_status(200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_what_another_site_or_a_stranger_posts_is_never_kept() {
    let (campus, _, browser, _) = ended("").await;
    let post = |browser: &Browser| browser.post_form(EDITOR, &[("text", MANUSCRIPT)]);
    let refused = [
        ("a site elsewhere", post(&browser).from("https://evil.example/page")),
        ("a sister site", post(&browser).from(&format!("{LIBRARY}/loans"))),
        ("a sandboxed frame", post(&browser).header("sec-fetch-site", "same-origin").header("origin", "null")),
        ("an address typed", post(&browser).header("sec-fetch-site", "none")),
        ("a browser that says nothing", post(&browser).from(BROWSE).without("sec-fetch-site").without("origin")),
        ("somebody new", post(&campus.browser()).from(BROWSE)),
        (
            "an invented session",
            post(&campus.browser()).from(BROWSE).header("cookie", format!("{SESSION}={}", "A".repeat(43))),
        ),
        ("no form", browser.post_form(EDITOR, &[]).from(BROWSE).header("content-type", "application/json")),
    ];
    for (who, request) in refused {
        let told = request.send().await;
        assert_eq!(told.status, 403, "{who}: {}", told.story());
        told.assert_says("What you sent was not passed on");
        assert!(told.set_cookies().iter().all(|line| !line.contains("-kept-")), "{who}");
        assert!(spool(&campus).is_empty(), "{who}");
    }
    // A session cookie without the companion that says whose it was, or with somebody else's.
    let whose = "__Host-Http-lychgate-whose";
    let other = campus.browser();
    campus.sign_in(&other, BROWSE, &people::from_afar()).await.assert_at(BROWSE);
    campus.repository().forget();
    let session = browser.cookie(BROWSE, SESSION).unwrap();
    for companion in ["".to_owned(), format!("; {whose}={}", other.cookie(BROWSE, whose).unwrap())] {
        let bare = post(&campus.browser()).from(BROWSE).header("cookie", format!("{SESSION}={session}{companion}"));
        bare.send().await.assert_status(403);
        assert!(spool(&campus).is_empty());
    }
    // Scripts are told what they always are.
    post(&browser).by_script_on(BROWSE).send().await.assert_status(401);
    assert!(campus.repository().requests().is_empty() && spool(&campus).is_empty());
    // And the person themselves is kept for.
    assert_eq!(post(&browser).from(BROWSE).send().await.status, 303);
    assert_eq!(spool(&campus).len(), 1);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_a_gigabyte_is_refused_before_it_is_read_or_as_soon_as_it_is_too_long() {
    let (campus, _, browser, _) = ended("[forms]\nbody = \"1 MiB\"").await;
    let post = |browser: &Browser| {
        let request = browser.request("POST".parse().unwrap(), EDITOR).from(BROWSE);
        request.header("content-type", "multipart/form-data; boundary=x")
    };
    let http1 = browser.speaking(Speaks::OnlyHttp1);
    let announced = post(&http1).header("content-length", (1u64 << 30).to_string()).header("expect", "100-continue");
    let (_nothing, body) = http::channel();
    announced.stream_body(body).send().await.assert_status(413).assert_says("too large to be kept");
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let pieces = vec![bytes::Bytes::from(vec![b'x'; 256 * 1024]); 5];
        let told = post(&browser.speaking(speaks)).stream_body(http::pieces(pieces, None)).send().await;
        told.assert_status(413).assert_says("too large to be kept");
    }
    assert_eq!(cookies_of_forms(&browser), 0);
    wait_for_empty_spool(&campus).await;
    let fits = vec![bytes::Bytes::from(vec![b'x'; 256 * 1024]); 4];
    assert_eq!(post(&browser).stream_body(http::pieces(fits, None)).send().await.status, 303);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_a_form_is_gone_after_a_quarter_of_an_hour() {
    let (campus, clock, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    let replay = replay_of(&page);
    clock.advance(15 * 60);
    page.press(SEND).await.assert_lacks(SEND);
    browser.open(&replay).await.assert_status(410).assert_says("no longer here");
    let sent = campus.repository().requests().iter().any(|it| String::from_utf8_lossy(&it.body()).contains("unicorn"));
    assert!(!sent);
    wait_for_empty_spool(&campus).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t92_a_form_is_sent_once_however_often_it_is_confirmed() {
    let (campus, _, browser, person) = ended("").await;
    let page = people::arrive(write(&browser, EDITOR).await, &person).await;
    let go = campus.repository().hold("/editor", "thanks");
    let presses: Vec<_> = (0..6).map(|_| tokio::spawn(page.form_with(SEND).pressed(SEND).send())).collect();
    campus.repository().wait_for_requests(1).await;
    let mut answers = Vec::new();
    for press in presses {
        if answers.len() == 5 {
            go.notify_one();
        }
        let waiting = tokio::time::timeout(Duration::from_secs(1), press).await;
        match waiting {
            Ok(answer) => answers.push(answer.unwrap()),
            Err(_) => go.notify_one(),
        }
    }
    let requests = campus.repository().requests();
    assert_eq!(requests.len(), 1, "{} requests", requests.len());
    assert!(answers.iter().all(|answer| answer.status == 410 || answer.text() == "thanks"));
    // The page is a bookmark of nothing now, and so is the form on it.
    browser.open(page.url.as_str()).await.assert_status(410);
    let again = page.press(SEND).await;
    assert!(
        !String::from_utf8_lossy(&campus.repository().last_request().body()).contains("token"),
        "{}",
        again.story()
    );
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_have_room_by_browser_and_altogether_and_the_newcomer_is_told() {
    let (campus, _, browser, person) =
        ended("[forms]\nbody = \"64 KiB\"\ntotal = \"192 KiB\"\nper_address = \"192 KiB\"").await;
    let other = campus.browser();
    campus.sign_in(&other, BROWSE, &people::from_afar()).await.assert_at(BROWSE);
    campus.repository().forget();
    let first = write(&browser, EDITOR).await;
    assert_eq!(browser.post_form(EDITOR, &[("n", "2")]).from(BROWSE).send().await.status, 303);
    let full = browser.post_form(EDITOR, &[("n", "3")]).from(BROWSE).send().await;
    full.assert_status(503).assert_says("There is no room to keep your form");
    assert_eq!(other.post_form(DEPOSIT, &[("n", "4")]).from(BROWSE).send().await.status, 303);
    other.post_form(DEPOSIT, &[("n", "5")]).from(BROWSE).send().await.assert_status(503);
    let kept: BTreeSet<_> = spool(&campus).into_iter().collect();
    assert_eq!(kept.len(), 3);
    // Whoever came first is none the worse.
    let page = people::arrive(first, &person).await;
    page.press(SEND).await.assert_status(200);
    assert!(campus.repository().last_request().body().starts_with(b"text=On+the+hoof"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t72_nothing_of_a_form_can_be_read_on_the_disk_and_a_start_throws_all_away() {
    let (mut campus, _, browser, person) = ended("").await;
    let stopped = write(&browser, EDITOR).await;
    for file in files_below(&campus.folder().join("state")) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        for word in ["unicorn", "draft=7", "hoof"] {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word} stands in {}", file.display());
        }
    }
    // As a crash leaves it.
    let kept = spool(&campus).remove(0);
    std::fs::copy(&kept, kept.with_file_name("left-by-a-crash")).unwrap();
    campus.restart().await;
    assert!(spool(&campus).is_empty());
    let page = people::arrive(stopped, &person).await;
    page.assert_status(410).assert_says("no longer here").assert_lacks(SEND);
    assert!(campus.repository().requests().is_empty());
    campus.close().await;
}

fn files_below(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_may_keep_nothing() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let quiet = "[site]\nname = \"library\"\nhosts = [\"library.campus.example\"]\nupstream = \"{library}\"\nkeep_forms = false\n\
        [[rule]]\nname = \"members\"\naccess = \"signed-in\"\n[[case]]\nrequest = \"GET /loans\"\nexpect = \"sign-in\"\n";
    let campus = Campus::build().clock(clock.clone()).site("library", quiet).open().await;
    let browser = campus.browser();
    let loans = format!("{LIBRARY}/loans");
    campus.sign_in(&browser, &loans, &people::ordinary()).await.assert_at(&loans);
    clock.advance(9 * 3600);
    let told = browser.post_form(&loans, &[("book", "7")]).from(&loans).send().await;
    told.assert_status(403).assert_says("What you sent was not passed on");
    // Its link leads back to the page the form was on.
    let back = people::arrive(told.click("Sign in").await, &people::ordinary()).await;
    back.assert_status(200).assert_at(&loans);
    assert!(spool(&campus).is_empty());
    campus.close().await;
}
