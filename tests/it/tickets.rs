//! J5: the ticket that carries a sign-in from the sign-in host to a site. It works once, within a minute, on one
//! host, in the browser that set out for it; anything else is a fresh start and never a session.

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::people;
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{TODAY, agreed, given_session, parameter, session, with_query};
use http::Method;
use lychgate::domain::StoppedClock;
use std::sync::Arc;
use url::Url;

const BROWSE: &str = "https://repository.campus.example/browse?x=1";

/// A browser that is signed in to the library and has never been to the repository.
async fn member(campus: &Campus) -> Browser {
    let browser = campus.browser();
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &people::ordinary()).await.assert_status(200);
    browser
}

/// The address with a fresh ticket to `page`, not opened yet.
async fn ticket_to(browser: &Browser, page: &str) -> Url {
    let away = browser.get(page).send().await;
    let ticket = browser.get(away.assert_status(303).location().unwrap().as_str()).send().await;
    let ticket = ticket.assert_status(303).location().unwrap();
    assert_eq!(ticket.path(), "/.lychgate/arrive", "{ticket}");
    ticket
}

/// Panics if the answer gave a session, or the browser has one for the repository.
#[track_caller]
fn assert_no_session(answer: &Answer, browser: &Browser) {
    assert_eq!((given_session(answer), session(browser, REPOSITORY)), (None, None), "{}", answer.story());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_a_ticket_in_another_browser_signs_nobody_in_and_is_not_used_up_by_it() {
    let campus = Campus::open().await;
    let browser = member(&campus).await;
    let ticket = ticket_to(&browser, BROWSE).await;
    // Without an arrival cookie: a page about cookies, no redirect that could go round.
    let bare = campus.browser();
    let page = bare.get(ticket.as_str()).send().await;
    page.assert_status(400).assert_says("Your browser did not return our cookie").assert_says("Start again");
    assert!(page.set_cookies().is_empty() && page.header("location").is_none());
    assert_no_session(&page, &bare);
    // With one of its own: the sign-in it had not finished.
    let victim = campus.browser();
    victim.open(BROWSE).await.assert_status(200);
    let answer = victim.get(ticket.as_str()).send().await;
    answer.assert_status(303);
    assert_no_session(&answer, &victim);
    let page = answer.follow().await;
    page.assert_status(200)
        .assert_says("Create or connect your ORCID iD")
        .assert_lacks(people::ordinary().orcid.as_str());
    assert_eq!(page.url.host_str(), Some("gate.campus.example"));
    // The attacker's own session in a victim who is signed in: the victim stays who they are.
    let other = campus.browser();
    campus.sign_in(&other, BROWSE, &people::from_afar()).await.assert_status(200);
    let before = session(&other, REPOSITORY);
    other.open(ticket.as_str()).await.assert_status(200).assert_at(BROWSE);
    assert_eq!(session(&other, REPOSITORY), before);
    // And the browser it was made for can still use it.
    browser.open(ticket.as_str()).await.assert_status(200).assert_at(BROWSE);
    assert!(session(&browser, REPOSITORY).is_some());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_a_ticket_works_once_even_if_it_is_brought_ten_times_at_once() {
    let campus = Campus::open().await;
    let browser = member(&campus).await;
    let ticket = ticket_to(&browser, BROWSE).await;
    let kept = crate::sign_in_attacks::cookie_line(&browser, REPOSITORY);
    let rivals = (0..10).map(|_| campus.browser().get(ticket.as_str()).header("cookie", &kept).send());
    let answers = futures_util::future::join_all(rivals).await;
    let winners = answers.iter().filter(|answer| given_session(answer).is_some()).count();
    assert_eq!(winners, 1);
    for answer in &answers {
        answer.assert_status(303);
        assert_eq!(answer.header("location"), Some(BROWSE));
    }
    let late = campus.browser();
    let answer = late.get(ticket.as_str()).header("cookie", &kept).send().await;
    assert_no_session(&answer, &late);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_a_ticket_lives_a_minute_by_any_clock() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let browser = member(&campus).await;
    for (seconds, good) in [(61, false), (-5, false), (-3_600, false), (60, true)] {
        let ticket = ticket_to(&browser, BROWSE).await;
        clock.advance(seconds);
        let answer = browser.get(ticket.as_str()).send().await;
        answer.assert_status(303);
        assert_eq!(answer.header("location"), Some(BROWSE), "the page itself begins anew");
        assert_eq!(given_session(&answer).is_some(), good, "{seconds} s");
        clock.advance(seconds.min(0).abs());
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_a_ticket_for_another_host_changed_cut_or_doubled_is_none() {
    let campus = Campus::open().await;
    let browser = member(&campus).await;
    let ticket = ticket_to(&browser, BROWSE).await;
    let text = parameter(&ticket, "ticket");
    let before = session(&browser, LIBRARY);
    // To the library, where this very browser has an arrival cookie as well.
    let there = browser.get(&ticket.as_str().replace(REPOSITORY, LIBRARY)).send().await;
    there.assert_status(303);
    assert_eq!((there.header("location"), given_session(&there)), (Some("https://library.campus.example/"), None));
    assert_eq!(session(&browser, LIBRARY), before);
    // And to the sign-in host, which redeems none.
    let there = browser.get(&ticket.as_str().replace(REPOSITORY, SIGN_IN)).send().await;
    there.assert_status(404);
    let arrival = parameter(&browser.get(BROWSE).send().await.location().unwrap(), "arrival");
    let mut bad = vec![String::new(), text[1..].to_owned(), text[..text.len() - 1].to_owned(), arrival];
    for at in (0..text.len()).step_by(text.len() / 12) {
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        bad.push(format!("{}{other}{}", &text[..at], &text[at + 1..]));
    }
    bad.push("A".repeat(9_000));
    let arrive = format!("{REPOSITORY}/.lychgate/arrive");
    let addresses = bad.iter().map(|text| with_query(&arrive, &[("ticket", text)]));
    for address in addresses.chain([arrive.clone(), format!("{ticket}&ticket={text}")]) {
        let answer = browser.get(&address).send().await;
        answer.assert_status(303);
        assert_eq!(answer.header("location"), Some("https://repository.campus.example/"), "{address}");
        assert_no_session(&answer, &browser);
    }
    // A HEAD of a link checker, or another method, does not use it up.
    for method in [Method::HEAD, Method::POST, Method::OPTIONS] {
        let answer = browser.request(method, ticket.as_str()).send().await;
        answer.assert_status(405);
        assert_no_session(&answer, &browser);
    }
    let answer = browser.get(ticket.as_str()).send().await;
    assert!(given_session(&answer).is_some(), "{}", answer.story());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_a_ticket_is_worth_nothing_once_its_root_has_ended() {
    let campus = Campus::open().await;
    for all_devices in [false, true] {
        let browser = member(&campus).await;
        let ticket = ticket_to(&browser, BROWSE).await;
        let asks = browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await;
        let button = if all_devices { "Sign out on all my devices" } else { "Sign out of all sites in this browser" };
        asks.press(button).await.assert_status(200).assert_says("You are signed out");
        let answer = browser.get(ticket.as_str()).send().await;
        assert_no_session(&answer, &browser);
        answer.follow().await.assert_says("Create or connect your ORCID iD");
    }
    // A new sign-in of the same browser does not revive what was made for the former one.
    let browser = member(&campus).await;
    let ticket = ticket_to(&browser, BROWSE).await;
    browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await.form(0).submit().await.assert_status(200);
    let back = agreed(&browser, &format!("{LIBRARY}/loans"), &people::ordinary()).await;
    browser.open(back.as_str()).await.assert_status(200);
    assert!(session(&browser, SIGN_IN).is_some());
    let answer = browser.get(ticket.as_str()).send().await;
    assert_no_session(&answer, &browser);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_a_browser_that_keeps_no_session_is_stopped_and_told_after_a_few_rounds() {
    let campus = Campus::open().await;
    let browser = member(&campus).await;
    let lose = || {
        let now = browser.network().now();
        let line = "__Host-Http-lychgate=; Path=/; Secure; HttpOnly; Max-Age=0";
        browser.jar().take(&REPOSITORY.parse().unwrap(), line, now);
    };
    let mut rounds = 0;
    let told = loop {
        rounds += 1;
        assert!(rounds < 8, "nobody stops the loop");
        let page = browser.open(BROWSE).await;
        if page.status != 200 {
            break page;
        }
        lose();
    };
    assert!(rounds > 2, "two in a row may be chance");
    told.assert_status(400).assert_says("Your browser did not return our cookie");
    told.click("Try again").await.assert_status(200).assert_at(BROWSE);

    // Cookies off altogether: one page, no circle.
    let forgetful = campus.browser();
    let ticket = ticket_to(&member(&campus).await, BROWSE).await;
    let page = forgetful.open(ticket.as_str()).await;
    page.assert_status(400).assert_says("Your browser did not return our cookie");
    assert_eq!(page.hops.len(), 1);
    campus.close().await;
}

/// Opens the page again and again, after whatever `between` does to the browser, until something other than the page comes.
async fn circling(browser: &Browser, url: &str, between: impl Fn()) -> Answer {
    for _ in 0..8 {
        between();
        let page = browser.open(url).await;
        if page.status != 200 {
            return page;
        }
    }
    panic!("nobody stops the loop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_whoever_goes_round_in_circles_is_told_the_likely_cause() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let host = REPOSITORY.parse().unwrap();
    let put = |browser: &Browser, value: &str, more: &str| {
        let line = format!("__Host-Http-lychgate={value}; Path=/; Secure; HttpOnly{more}");
        browser.jar().take(&host, &line, browser.network().now());
    };
    let cases: [(&str, &str, u16); 3] = [
        ("", "Your browser did not return our cookie", 400),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Something changes our cookie", 400),
        ("ended", "Your sign-in was not kept", 500),
    ];
    for (value, says, status) in cases {
        let browser = member(&campus).await;
        // A session that was begun here, and is no more.
        browser.open(BROWSE).await.assert_status(200);
        let ended = session(&browser, REPOSITORY).unwrap();
        put(&browser, "", "; Max-Age=0");
        let ticket = ticket_to(&browser, BROWSE).await;
        put(&browser, &ended, "");
        browser.open(ticket.as_str()).await.assert_status(200);
        assert_ne!(session(&browser, REPOSITORY).as_ref(), Some(&ended));
        // What came before was long ago.
        clock.advance(120);
        let value = if value == "ended" { ended.as_str() } else { value };
        let told = circling(&browser, BROWSE, || match value {
            "" => put(&browser, "", "; Max-Age=0"),
            value => put(&browser, value, ""),
        })
        .await;
        told.assert_status(status).assert_says(says);
        assert!(told.page().text.contains("Incident"), "{}", told.story());
    }
    // The gate's clock goes back after each arrival, further than clocks of honest nodes differ.
    let browser = member(&campus).await;
    let told = circling(&browser, BROWSE, || {
        put(&browser, "", "; Max-Age=0");
        clock.advance(-120);
    })
    .await;
    told.assert_status(500).assert_says("The clock of the gate is wrong");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_no_background_request_ever_gets_a_ticket() {
    let campus = Campus::open().await;
    let browser = member(&campus).await;
    let away = browser.get(BROWSE).send().await.location().unwrap();
    for request in [
        browser.get(away.as_str()).by_script_on(LIBRARY),
        browser.get(away.as_str()).for_image_on(LIBRARY),
        browser.get(away.as_str()).header("sec-fetch-dest", "iframe"),
        browser.get(away.as_str()).header("sec-purpose", "prefetch"),
    ] {
        let answer = request.send().await;
        assert!(answer.location().is_none_or(|to| to.path() != "/.lychgate/arrive"), "{}", answer.story());
    }
    ticket_to(&browser, BROWSE).await;
    campus.close().await;
}
