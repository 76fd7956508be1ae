//! J15: parallel tabs, the back button, bookmarked sign-in pages, sign-ins left alone. Never a dead end, never a
//! 5xx, and every tab ends where its person wanted to go (B2, B3, B12).

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::people;
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{CALLBACK, TODAY, agreed, cookie_line, session, start_of, through_orcid, with_query};
use futures_util::future::join_all;
use lychgate::domain::StoppedClock;
use std::sync::Arc;
use url::Url;

const LOANS: &str = "https://library.campus.example/loans";

/// Names and values of our cookies on `url`'s host, in bytes.
fn weight(browser: &Browser, url: &str) -> usize {
    browser.cookies(url).iter().map(|cookie| cookie.name.len() + cookie.value.len() + 3).sum()
}

fn attempts(browser: &Browser) -> usize {
    browser.cookies(SIGN_IN).iter().filter(|cookie| cookie.name.contains("-try-")).count()
}

/// What a person does with a page in the middle of a sign-in: whatever leads on.
async fn go_on(page: Answer) -> Answer {
    let page = people::arrive(page, &people::ordinary()).await;
    if page.page().links.iter().any(|link| link.text == "Start again") {
        return people::arrive(page.click("Start again").await, &people::ordinary()).await;
    }
    page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_ten_tabs_opened_at_once_all_end_where_they_wanted() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let wanted: Vec<String> = (0..10).map(|n| format!("{LOANS}?tab={n}")).collect();
    // As after a browser's restart: all tabs load at once, and in each the person presses the button.
    let pages = join_all(wanted.iter().map(|url| browser.open(url))).await;
    let tabs = join_all(pages.iter().map(|page| page.click("Create or connect your ORCID iD"))).await;
    for tab in &tabs {
        tab.assert_status(200).assert_says("Sign in to ORCID");
    }
    // Signed in in one tab, the others go on; each is loaded again, for ORCID's forms of before are outdated.
    for (tab, wanted) in tabs.iter().zip(&wanted) {
        let address = tab.hops.last().unwrap().url.clone();
        let there = people::arrive(browser.open(address.as_str()).await, &people::ordinary()).await;
        there.assert_status(200).assert_at(wanted);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_six_tabs_finish_their_own_sign_ins_in_any_order() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let mut backs = Vec::new();
    for n in 0..6 {
        backs.push((
            format!("{LOANS}?tab={n}"),
            agreed(&browser, &format!("{LOANS}?tab={n}"), &people::ordinary()).await,
        ));
    }
    assert_eq!(attempts(&browser), 6);
    for at in [3, 0, 5, 1, 4, 2] {
        let (wanted, back) = &backs[at];
        go_on(browser.open(back.as_str()).await).await.assert_status(200).assert_at(wanted);
    }
    assert_eq!((attempts(&browser), campus.simulator.calls("token")), (0, 6));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_b3_at_most_six_attempts_and_twelve_kibibytes_in_one_browser() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let browser = campus.browser();
    let mut backs = Vec::new();
    for n in 0..9 {
        clock.advance(1);
        // As long as a target may be to travel in the attempt itself.
        let wanted = format!("{LOANS}?tab={n}&q={}", "x".repeat(780));
        backs.push((wanted.clone(), agreed(&browser, &wanted, &people::ordinary()).await));
        assert!(attempts(&browser) <= 6, "{} attempts", attempts(&browser));
        for cookie in browser.cookies(SIGN_IN) {
            assert!(cookie.name.len() + cookie.value.len() <= 1_536, "{}", cookie.name);
        }
    }
    assert_eq!(attempts(&browser), 6);
    for n in 0..6 {
        clock.advance(1);
        browser.open(&format!("{LOANS}?waiting={n}&q={}", "y".repeat(3_000))).await.assert_status(200);
    }
    for (wanted, back) in backs.iter().rev() {
        let there = go_on(browser.open(back.as_str()).await).await;
        there.assert_status(200);
        // The oldest three had to give way; they are no dead end, only not the exact page.
        let evicted = backs.iter().position(|(other, _)| other == wanted).unwrap() < 3;
        assert!(evicted || there.url.as_str() == wanted, "{}", there.story());
        assert!(!evicted || there.url.as_str() == format!("{SIGN_IN}/.lychgate/account"), "{}", there.story());
    }
    for host in [SIGN_IN, LIBRARY] {
        assert!(weight(&browser, host) <= 12 * 1024, "{host}: {} bytes", weight(&browser, host));
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_b3_all_our_cookies_together_stay_below_twelve_kibibytes_at_their_worst() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, &people::ordinary()).await.assert_status(200);
    browser.open(&format!("{LIBRARY}/.lychgate/sign-out")).await.form(0).submit().await.assert_status(200);
    for n in 0..8 {
        clock.advance(1);
        let long = browser.open(&format!("{LOANS}?waiting={n}&q={}", "y".repeat(3_000))).await;
        long.assert_status(200);
        let page = browser.open(&format!("{LOANS}?tab={n}&q={}", "x".repeat(780))).await;
        browser.get(page.assert_status(200).link("Use another ORCID iD").as_str()).send().await.assert_status(303);
        for host in [SIGN_IN, LIBRARY] {
            assert!(weight(&browser, host) <= 12 * 1024, "{host}: {} bytes", weight(&browser, host));
        }
    }
    assert!(attempts(&browser) == 6 && weight(&browser, LIBRARY) > 6 * 1024, "the worst case is not reached");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_the_back_button_leads_forward() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let page = browser.open(&format!("{LOANS}?x=1")).await;
    let start = start_of(&page);
    let consent = through_orcid(&browser, start.as_str(), &people::ordinary(), "Authorize access").await;
    let connected = browser.open(consent.as_str()).await;
    let there = connected.click("Continue").await;
    there.assert_status(200).assert_at(&format!("{LOANS}?x=1"));
    let (exchanged, held) = (campus.simulator.calls("token"), session(&browser, LIBRARY));
    // Each page of the journey once more, last first.
    for (address, to) in [
        (connected.url.as_str(), format!("{SIGN_IN}/.lychgate/connected")),
        // The answer itself no longer says where it led: the attempt has ended with it.
        (consent.as_str(), format!("{SIGN_IN}/.lychgate/account")),
        (page.url.as_str(), format!("{LOANS}?x=1")),
    ] {
        let again = browser.open(address).await;
        again.assert_status(200);
        assert!(again.url.as_str().starts_with(&to), "{address} leads to {}\n{}", again.url, again.story());
    }
    assert_eq!((campus.simulator.calls("token"), session(&browser, LIBRARY).is_some()), (exchanged, held.is_some()));
    // "Authorize" pressed again on a page of ORCID from before: a second code for an attempt that is over.
    let code =
        with_query(CALLBACK, &[("code", "zzz"), ("state", &crate::sign_in_attacks::parameter(&consent, "state"))]);
    browser.open(&code).await.assert_status(200);
    go_on(browser.open(start.as_str()).await).await.assert_status(200).assert_at(&format!("{LOANS}?x=1"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_b12_bookmarks_of_a_sign_in_are_no_dead_end_for_anybody() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let browser = campus.browser();
    let page = browser.open(&format!("{LOANS}?x=1")).await;
    let start = start_of(&page);
    let back = through_orcid(&browser, start.as_str(), &people::ordinary(), "Authorize access").await;
    let connected = browser.open(back.as_str()).await;
    let ticket = {
        let away = browser.get(connected.link("Continue").as_str()).send().await;
        away.location().unwrap()
    };
    let bookmarks: Vec<Url> = vec![
        page.url.clone(),
        start,
        back,
        connected.url.clone(),
        ticket,
        CALLBACK.parse().unwrap(),
        format!("{SIGN_IN}/.lychgate/sign-in").parse().unwrap(),
        format!("{SIGN_IN}/").parse().unwrap(),
    ];
    for later in [0, 30 * 60, 24 * 3600, 400 * 24 * 3600] {
        clock.advance(later);
        for bookmark in &bookmarks {
            // In a browser that knows nothing, and in one that was signed in once.
            for browser in [&campus.browser(), &browser] {
                let page = browser.open(bookmark.as_str()).await;
                assert!(page.status.as_u16() < 500, "{bookmark}: {}", page.story());
                let there = go_on(page).await;
                there.assert_status(200);
                let ours = there.url.as_str() == format!("{LOANS}?x=1")
                    || there.url.as_str() == format!("{LIBRARY}/")
                    || there.url.path() == "/.lychgate/account"
                    || there.url.path() == "/.lychgate/connected";
                assert!(ours, "{bookmark} after {later} s leads to {}\n{}", there.url, there.story());
            }
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_b12_a_sign_in_left_for_an_hour_starts_again_at_the_same_page() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let person = people::ordinary();
    for (seconds, same_page) in [(14 * 60, true), (16 * 60, true), (3_600, false)] {
        // With the page still open and its cookie kept, as some browsers do, and with the cookie gone.
        for cookie_kept in [true, false] {
            let browser = campus.browser();
            let page = browser.open(&format!("{LOANS}?x=1")).await;
            let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
            let kept = cookie_line(&browser, SIGN_IN);
            clock.advance(seconds);
            let request = browser.get(back.as_str());
            let request = if cookie_kept { request.header("cookie", &kept) } else { request };
            let answer = request.follow().await;
            assert!(answer.status.as_u16() < 500, "{}", answer.story());
            let there = go_on(answer).await;
            there.assert_status(200);
            if same_page && cookie_kept {
                there.assert_at(&format!("{LOANS}?x=1"));
            }
            // The sign-in page of an hour ago still leads where it was opened for.
            let page = people::arrive(page.click("Create or connect").await, &person).await;
            page.assert_status(200).assert_at(&format!("{LOANS}?x=1"));
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_two_sites_in_two_tabs_need_one_sign_in() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let (library, repository) =
        tokio::join!(browser.open(LOANS), async { browser.open(&format!("{REPOSITORY}/browse?x=2")).await });
    people::arrive(library, &people::ordinary()).await.assert_status(200).assert_at(LOANS);
    // The other tab was left at its sign-in page; reloaded, it goes straight on.
    let asked = campus.simulator.calls("authorize");
    let there = browser.open(repository.url.as_str()).await;
    there.assert_status(200).assert_at(&format!("{REPOSITORY}/browse?x=2"));
    assert_eq!(campus.simulator.calls("authorize"), asked);
    campus.close().await;
}
