//! The torture list of the researcher's journey: what people, browsers and machines do to a sign-in on a bad day. Each
//! is a test; those that have one elsewhere stand in this table.
//!
//! | what | where |
//! |---|---|
//! | ten tabs, back | `parallel.rs`: `j15_ten_tabs_…`, `j15_the_back_button_…` |
//! | a callback twice | `sign_in_attacks.rs`: `t37_…` |
//! | two people, one browser | here, `app_cookies.rs`, `sessions.rs`: `t65_…` |
//! | the clock moved | `sessions.rs`: `t68_…`; `tickets.rs`: `j5_a_ticket_lives_…`, `b8_whoever_…` |
//! | ORCID slow, down, lying | `outage.rs`, `liars.rs` |
//! | reload, double submit, prefetch, cookies off, restart in the middle | here |

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::{Campus, LIBRARY, PORTAL, REPOSITORY, SIGN_IN, people};
use crate::sign_in_attacks::{agreed, given_session, session, start_of, through_orcid};
use url::Url;

const LOANS: &str = "https://library.campus.example/loans";

/// Opens the address of a page of ours again, as the reload button does.
async fn reload(browser: &Browser, page: &Answer) -> Answer {
    let again = browser.open(page.url.as_str()).await;
    assert!(again.status.as_u16() < 500, "{}", again.story());
    again
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_every_page_of_a_journey_can_be_reloaded() {
    let campus = Campus::open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    let ask = browser.open(LOANS).await;
    for _ in 0..3 {
        reload(&browser, &ask).await.assert_status(200).assert_says("Campus library");
    }
    let back = through_orcid(&browser, start_of(&ask).as_str(), &person, "Deny access").await;
    let denied = browser.open(back.as_str()).await;
    denied.assert_at_path("/.lychgate/denied");
    for _ in 0..3 {
        reload(&browser, &denied).await.assert_status(200).assert_at(denied.url.as_str()).assert_says("Campus library");
    }
    let back = through_orcid(&browser, start_of(&denied).as_str(), &person, "Authorize access").await;
    let connected = browser.open(back.as_str()).await;
    connected.assert_at_path("/.lychgate/connected");
    for _ in 0..3 {
        let again = reload(&browser, &connected).await;
        again.assert_status(200).assert_at(connected.url.as_str()).assert_says(person.orcid.as_str());
    }
    connected.click("Continue").await.assert_status(200).assert_at(LOANS);
    let (exchanges, held) = (campus.simulator.calls("token"), session(&browser, LIBRARY));
    for url in [
        format!("{SIGN_IN}/.lychgate/account"),
        format!("{SIGN_IN}/.lychgate/sign-out"),
        format!("{LIBRARY}/.lychgate/sign-out"),
        format!("{PORTAL}/"),
        format!("{LIBRARY}/nowhere/else"),
        format!("{SIGN_IN}/.lychgate/nothing"),
    ] {
        let page = browser.open(&url).await;
        let again = reload(&browser, &page).await;
        assert_eq!((page.status, &page.url), (again.status, &again.url), "{}", again.story());
    }
    let refused = campus.browser();
    campus.sign_in(&refused, LOANS, &people::from_afar()).await.assert_status(200);
    let page = refused.open(&format!("{LIBRARY}/admin/")).await;
    page.assert_status(403);
    reload(&refused, &page).await.assert_status(403).assert_says(people::from_afar().orcid.as_str());
    assert_eq!(campus.simulator.calls("token"), exchanges + 1, "a reload exchanges no code");
    assert_eq!(session(&browser, LIBRARY), held);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_every_form_of_ours_can_be_sent_twice() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    for host in [LIBRARY, SIGN_IN] {
        for at_once in [true, false] {
            let (browser, other) = (campus.browser(), campus.browser());
            for browser in [&browser, &other] {
                campus.sign_in(browser, LOANS, &person).await.assert_status(200);
            }
            let asks = browser.open(&format!("{host}/.lychgate/sign-out")).await;
            let (first, second) = if at_once {
                let (one, two) = (asks.form(0).submitted(), asks.form(0).submitted());
                tokio::join!(one.send(), two.send())
            } else {
                (asks.form(0).submit().await, asks.form(0).submit().await)
            };
            for answer in [&first, &second] {
                answer.assert_status(200);
                assert!(answer.page().text.contains("signed out"), "{host}\n{}", answer.story());
            }
            assert_eq!(session(&browser, host), None);
            // Nobody else was signed out by the second one.
            other.open(LOANS).await.assert_status(200).assert_at(LOANS);
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_a_browser_that_fetches_pages_ahead_spends_nothing() {
    let campus = Campus::open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    let ahead = |url: &str| browser.get(url).header("sec-purpose", "prefetch;prerender").send();
    let back = agreed(&browser, LOANS, &person).await;
    // The callback's address guessed ahead by the browser, then opened: the code is exchanged once, and whoever opens
    // it arrives.
    let guessed = ahead(back.as_str()).await;
    assert!(guessed.status.as_u16() < 500, "{}", guessed.story());
    let connected = browser.open(back.as_str()).await;
    connected.assert_status(200).assert_says(person.orcid.as_str());
    assert_eq!(campus.simulator.calls("token"), 1);
    connected.click("Continue").await.assert_status(200).assert_at(LOANS);
    // Pages that ask for a sign-in, or would sign in silently, begin nothing.
    let (asked, marks) = (campus.simulator.calls("authorize"), browser.cookies(REPOSITORY).len());
    for url in [format!("{REPOSITORY}/browse"), format!("{SIGN_IN}/.lychgate/sign-in/start")] {
        ahead(&url).await.assert_status(401);
    }
    assert_eq!((campus.simulator.calls("authorize"), browser.cookies(REPOSITORY).len()), (asked, marks));
    // A sign-out is a POST, which no browser sends ahead; its page ends nothing.
    ahead(&format!("{LIBRARY}/.lychgate/sign-out")).await;
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_without_any_cookies_each_step_is_a_page_and_none_goes_round() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    // Every step by a browser that has just forgotten everything of ours.
    let step = |url: Url| {
        let browser = campus.browser();
        async move { browser.open(url.as_str()).await }
    };
    let ask = step(LOANS.parse().unwrap()).await;
    ask.assert_status(200).assert_says("Create or connect your ORCID iD");
    let browser = campus.browser();
    let back = through_orcid(&browser, start_of(&ask).as_str(), &person, "Authorize access").await;
    let lost = step(back).await;
    assert!(matches!(lost.status.as_u16(), 200 | 400) && lost.hops.len() <= 3, "{}", lost.story());
    assert_eq!(given_session(&lost), None);
    assert_eq!(campus.simulator.calls("token"), 0, "nobody exchanges what is not their own");
    assert!(lost.page().links.iter().any(|link| !link.text.is_empty()), "a way on\n{}", lost.story());
    for path in ["connected", "denied", "sign-in/trouble", "sign-in/continue", "account", "sign-out"] {
        let page = step(format!("{SIGN_IN}/.lychgate/{path}").parse().unwrap()).await;
        assert!(matches!(page.status.as_u16(), 200 | 400) && page.hops.len() <= 3, "{path}\n{}", page.story());
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_a_gate_restarted_at_any_step_loses_nobody() {
    let mut campus = Campus::open().await;
    let person = people::ordinary();
    let deep = format!("{LOANS}?sort=%41&q=a%2Fb");
    // Before ORCID, at ORCID, at the thank-you page, with the ticket in hand.
    for at in 0..4 {
        let browser = campus.browser();
        let ask = browser.open(&deep).await;
        if at == 0 {
            campus.restart().await;
        }
        let start = start_of(&ask);
        let back = through_orcid(&browser, start.as_str(), &person, "Authorize access").await;
        if at == 1 {
            campus.restart().await;
        }
        let mut page = browser.get(back.as_str()).send().await;
        for hop in 0..8 {
            if at == 2 && hop == 1 || at == 3 && page.location().is_some_and(|to| to.path() == "/.lychgate/arrive") {
                campus.restart().await;
            }
            page = match page.location() {
                Some(next) => browser.get(next.as_str()).send().await,
                None if page.url.path() == "/.lychgate/connected" => {
                    let next = page.link("Continue");
                    browser.get(next.as_str()).send().await
                }
                None => break,
            };
        }
        page.assert_status(200).assert_at(&deep);
        assert_eq!(campus.library().last_request().all("x-orcid-id"), [person.orcid.as_str()], "step {at}");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_two_people_who_take_turns_at_one_browser_are_never_taken_for_each_other() {
    let campus = Campus::open().await;
    let (browser, first, second) = (campus.browser(), people::ordinary(), people::from_afar());
    // Both have a sign-in under way in the same browser; the second finishes first.
    let of_first = agreed(&browser, LOANS, &first).await;
    let orcid: Url = campus.simulator.base_url.parse().unwrap();
    let now = browser.network().now();
    for cookie in browser.cookies(orcid.as_str()) {
        browser.jar().take(&orcid, &format!("{}=; Path={}; HttpOnly; Max-Age=0", cookie.name, cookie.path), now);
    }
    let of_second = agreed(&browser, &format!("{REPOSITORY}/browse"), &second).await;
    for (back, person) in [(&of_second, &second), (&of_first, &first)] {
        let page = browser.open(back.as_str()).await;
        page.assert_status(200).assert_says(person.orcid.as_str());
        for (site, app) in [(LOANS.to_owned(), "library"), (format!("{REPOSITORY}/browse"), "repository")] {
            let there = browser.open(&site).await;
            there.assert_status(200).assert_at(&site);
            let seen = campus.app(app).last_request();
            let told = seen.all("x-orcid-id");
            assert!(told.is_empty() || told == [person.orcid.as_str()], "{app} was told {told:?}");
        }
        let account = browser.open(&format!("{SIGN_IN}/.lychgate/account")).await;
        account.assert_says(person.orcid.as_str());
    }
    // The finished callbacks opened once more bring nobody back.
    for back in [&of_second, &of_first] {
        browser.open(back.as_str()).await;
        let account = browser.open(&format!("{SIGN_IN}/.lychgate/account")).await;
        account.assert_says(first.orcid.as_str()).assert_lacks(second.orcid.as_str());
    }
    campus.close().await;
}
