//! A site on shared computers (`confirm = true`): ORCID may still know the former visitor, so whoever signs in
//! says "this is me" before anything is kept. What nobody confirms is given back.

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::people::{self, Person};
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{TODAY, given_session, parameter, session, start_of, through_orcid};
use crate::step_up::wait_for_pairs;
use lychgate::domain::StoppedClock;
use std::sync::Arc;

const LOANS: &str = "https://library.campus.example/loans";
const BROWSE: &str = "https://repository.campus.example/browse";
const CONFIRM: &str = "https://gate.campus.example/.lychgate/sign-in/confirm";
const YES: &str = "Yes, this is me";
const NO: &str = "No, sign in as somebody else";

pub(crate) const KIOSK: &str = r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{library}"
confirm = true

[[rule]]
name = "reading room"
paths = ["/reading-room"]
access = "signed-in"
scopes = ["/read-limited"]

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in"
"#;

async fn kiosk() -> (Campus, Arc<StoppedClock>) {
    let clock = Arc::new(StoppedClock::at(TODAY));
    (Campus::build().site("library", KIOSK).clock(clock.clone()).open().await, clock)
}

/// At the question, for a sign-in of `person` on the way to [`LOANS`].
async fn asked(browser: &Browser, person: &Person) -> Answer {
    let page = browser.open(LOANS).await;
    let back = through_orcid(browser, start_of(&page).as_str(), person, "Authorize access").await;
    let page = browser.open(back.as_str()).await;
    page.assert_status(200).assert_says("Is this you?").assert_says(person.orcid.as_str());
    assert_eq!(page.url.path(), "/.lychgate/sign-in/confirm");
    page
}

/// Whether somebody is signed in here.
fn is_guest(browser: &Browser) -> bool {
    session(browser, SIGN_IN).is_none() && session(browser, LIBRARY).is_none()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_at_a_kiosk_is_kept_only_after_this_is_me() {
    let (campus, _) = kiosk().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    let page = asked(&browser, &person).await;
    page.assert_says("Rowan Ashgrove").assert_says("Campus library");
    assert!(is_guest(&browser), "nothing is kept yet");
    let thanks = page.press(YES).await;
    thanks.assert_status(200).assert_at_path("/.lychgate/connected");
    thanks.click("Continue").await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [person.orcid.as_str()]);
    wait_for_pairs(&campus, &person, &["openid"]).await;
    // The same person, signed in here, is not asked again for a wider permission.
    let page = browser.open(&format!("{LIBRARY}/reading-room")).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.assert_at_path("/.lychgate/connected");
    // Whoever comes to another site of the campus, neither.
    let elsewhere = campus.browser();
    campus.sign_in(&elsewhere, BROWSE, &person).await.assert_status(200).assert_at(BROWSE);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_not_me_signs_in_as_themselves_and_the_former_visitors_grant_is_given_back() {
    let (campus, _) = kiosk().await;
    let (former, visitor, browser) = (people::ordinary(), people::from_afar(), campus.browser());
    // ORCID still knows the former visitor in this browser.
    let page = asked(&browser, &former).await;
    let at_orcid = page.press(NO).await;
    let hop = at_orcid.hops.iter().find(|hop| hop.url.path() == "/oauth/authorize").unwrap();
    assert!(hop.url.query().unwrap().contains("prompt=login"), "{}", hop.url);
    wait_for_pairs(&campus, &former, &[]).await;
    let page = people::at_orcid(at_orcid, &visitor, true).await;
    page.assert_says("Is this you?").assert_says(visitor.orcid.as_str());
    page.press(YES).await.click("Continue").await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [visitor.orcid.as_str()]);
    wait_for_pairs(&campus, &visitor, &["openid"]).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_confirms_is_given_back_after_the_time_and_after_a_restart() {
    for restarts in [false, true] {
        let (mut campus, clock) = kiosk().await;
        let (person, browser) = (people::ordinary(), campus.browser());
        let page = asked(&browser, &person).await;
        if restarts {
            campus.restart().await;
        } else {
            clock.advance(300);
        }
        let late = page.press(YES).await;
        late.assert_says("This sign-in took too long");
        assert!(is_guest(&browser), "restarts: {restarts}");
        wait_for_pairs(&campus, &person, &["openid"]).await;
        clock.advance(1200);
        wait_for_pairs(&campus, &person, &[]).await;
        // Nobody is known from it: signing in is a first time.
        let page = asked(&campus.browser(), &person).await.press(YES).await;
        page.assert_says("now knows that this iD is yours");
        campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_the_question_survives_reload_back_and_a_double_yes() {
    let (campus, clock) = kiosk().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    let page = browser.open(LOANS).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    let question = browser.open(back.as_str()).await;
    browser.open(question.url.as_str()).await.assert_says("Is this you?");
    // The callback's address a second time, when what became of it is remembered no longer: the code is not used twice, the question is asked again.
    let exchanged = campus.simulator.calls("token");
    clock.advance(61);
    let again = browser.open(back.as_str()).await;
    again.assert_says("Is this you?").assert_at(question.url.as_str());
    assert_eq!(campus.simulator.calls("token"), exchanged);
    // Two presses at once get the same session.
    let form = question.form_with(YES);
    let (one, two) = tokio::join!(form.clone().pressed(YES).send(), form.clone().pressed(YES).send());
    for answer in [&one, &two] {
        answer.assert_status(303);
    }
    assert_eq!(given_session(&one), given_session(&two));
    let there = browser.open(LOANS).await.click("Continue as").await;
    there.assert_status(200).assert_at(LOANS);
    // Back at the question, whoever is signed in just goes on.
    browser.open(question.url.as_str()).await.assert_status(200).assert_lacks("Is this you?");
    wait_for_pairs(&campus, &person, &["openid"]).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t64_t65_a_confirmed_sign_in_gets_a_new_session_and_ends_the_former_persons() {
    let (campus, _) = kiosk().await;
    let (first, second, browser) = (people::ordinary(), people::from_afar(), campus.browser());
    let page = asked(&browser, &first).await.press(YES).await;
    page.click("Continue").await.assert_status(200).assert_at(LOANS);
    let former = [SIGN_IN, LIBRARY].map(|host| (host, session(&browser, host).unwrap()));
    // Somebody else signs in through a page that asks for more: the first one's session lives until they confirm.
    let page = browser.open(&format!("{LIBRARY}/reading-room")).await;
    let start = page.page().links.into_iter().find(|link| link.href.contains("/sign-in/start")).unwrap();
    forget_orcid(&campus, &browser);
    let back = through_orcid(&browser, &start.href, &second, "Authorize access").await;
    let question = browser.open(back.as_str()).await;
    question.assert_says("Is this you?").assert_says(second.orcid.as_str());
    assert_eq!([SIGN_IN, LIBRARY].map(|host| (host, session(&browser, host).unwrap())), former);
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    question.press(YES).await.assert_status(200);
    assert_ne!(session(&browser, SIGN_IN).as_ref(), Some(&former[0].1));
    for (host, value) in former {
        let page = if host == SIGN_IN { format!("{SIGN_IN}/.lychgate/account") } else { LOANS.to_owned() };
        let name = lychgate::session::cookie::SESSION;
        let answer = campus.browser().get(&page).header("cookie", format!("{name}={value}")).send().await;
        answer.assert_status(303);
    }
    campus.close().await;
}

fn forget_orcid(campus: &Campus, browser: &Browser) {
    let orcid: url::Url = campus.simulator.base_url.parse().unwrap();
    let now = browser.network().now();
    for cookie in browser.cookies(orcid.as_str()) {
        browser.jar().take(&orcid, &format!("{}=; Path={}; HttpOnly; Max-Age=0", cookie.name, cookie.path), now);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t69_only_our_own_question_in_the_same_browser_can_be_answered() {
    let (campus, _) = kiosk().await;
    let (person, browser, thief) = (people::ordinary(), campus.browser(), campus.browser());
    let page = asked(&browser, &person).await;
    let other = asked(&thief, &people::from_afar()).await;
    let of = |page: &Answer, field: &str| page.form(0).value(field).unwrap().to_owned();
    let (token, attempt) = (of(&page, "token"), of(&page, "attempt"));
    let fields =
        |token: &str, me: &str| [("token", token.to_owned()), ("attempt", attempt.clone()), ("me", me.to_owned())];
    let post = |by: &Browser, token: &str, me: &str| {
        let fields = fields(token, me);
        by.post_form(CONFIRM, &fields.each_ref().map(|(name, value)| (*name, value.as_str())))
    };
    for me in ["yes", "no"] {
        let refused = [
            (post(&browser, &token, me).from("https://evil.example/"), 403),
            (post(&browser, &token, me).from(LIBRARY), 403),
            (post(&browser, &token, me).header("origin", "null"), 403),
            (post(&browser, &token, me).header("origin", REPOSITORY).without("sec-fetch-site"), 403),
            (post(&browser, &token, me).header("sec-fetch-site", "none"), 403),
            (post(&browser, "", me), 403),
            (post(&browser, &of(&other, "token"), me), 403),
            (post(&browser, &token, me).header("content-type", "text/plain"), 400),
            (post(&browser, &token, "perhaps"), 400),
        ];
        for (n, (request, status)) in refused.into_iter().enumerate() {
            request.send().await.assert_status(status);
            assert!(is_guest(&browser), "{me}, case {n}");
        }
        // Number and token in another browser: it has not the cookie they belong to.
        let stolen = post(&thief, &token, me).follow().await;
        stolen.assert_says("This sign-in is not known here");
        assert!(is_guest(&thief), "{me}");
    }
    thief.open(page.url.as_str()).await.assert_lacks(person.orcid.as_str());
    // All the while the question stands, and GET answers nothing.
    browser.open(&format!("{}&token={token}&me=yes", page.url)).await.assert_says("Is this you?");
    assert!(is_guest(&browser));
    page.press(YES).await.assert_status(200).assert_at_path("/.lychgate/connected");
    campus.close().await;
}

/// The former visitor's sign-in may have begun anywhere: at another site, or on the sign-in host itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_signed_in_elsewhere_is_named_before_a_kiosks_site_knows_them() {
    let (campus, _) = kiosk().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, BROWSE, &person).await.assert_status(200).assert_at(BROWSE);
    let page = browser.open(LOANS).await;
    page.assert_status(200).assert_says(person.orcid.as_str()).assert_at_path("/.lychgate/sign-in");
    assert!(campus.library().requests().is_empty(), "the app was told of somebody who may be gone");
    let other = browser.get(page.link("Use another ORCID iD").as_str()).send().await;
    let to_orcid = other.location().expect("a way to ORCID");
    assert_eq!(parameter(&to_orcid, "prompt"), "login");
    page.click("Continue as").await.assert_status(200).assert_at(LOANS);
    campus.close().await;
}
