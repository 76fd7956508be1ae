//! What can be done to a sign-in on its way back from ORCID: T34-T48 and T84. Nothing but the browser that set
//! out gets a session, a code is exchanged once, and every answer is a way onward.

mod steps;

pub(crate) use steps::*;

use crate::campus::answer::Answer;
use crate::campus::legacy_app::Behaviour;
use crate::campus::people;
use crate::campus::{Campus, LIBRARY, PORTAL, SIGN_IN};
use http::Method;
use lychgate::domain::StoppedClock;
use lychgate::simulator::{AccountState, seeded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const LOANS: &str = "https://library.campus.example/loans?id=7";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t34_before_a_sign_in_the_app_is_not_asked_and_nothing_of_it_is_shown() {
    let campus = Campus::open().await;
    campus.library().on("*", Behaviour::text("the secret shelf"));
    let browser = campus.browser();
    for method in [Method::GET, Method::HEAD] {
        let answer = browser.request(method, LOANS).send().await;
        answer.assert_status(303).assert_lacks("secret shelf");
        assert!(answer.body.is_empty(), "{}", answer.story());
    }
    browser.post_form(LOANS, &[("id", "7")]).send().await.assert_status(403).assert_lacks("secret shelf");
    browser.get(LOANS).by_script_on(LIBRARY).send().await.assert_status(401).assert_lacks("secret shelf");
    browser.open(LOANS).await.assert_status(200).assert_lacks("secret shelf");
    assert_eq!(campus.library().connections(), 0);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_every_request_to_orcid_is_exact_and_fresh() {
    let campus = Campus::open().await;
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let browser = campus.browser();
        let page = browser.open(LOANS).await;
        let start = browser.get(start_of(&page).as_str()).send().await;
        let asked = start.assert_status(303).location().unwrap();
        assert!(asked.as_str().starts_with(&campus.simulator.base_url));
        let names: Vec<String> = asked.query_pairs().map(|(name, _)| name.into_owned()).collect();
        let facts: BTreeMap<String, String> = asked.query_pairs().into_owned().collect();
        assert_eq!(facts.len(), names.len(), "nothing twice: {names:?}");
        assert_eq!((facts["response_type"].as_str(), facts["redirect_uri"].as_str()), ("code", CALLBACK));
        assert_eq!(facts["scope"], "openid");
        // ORCID lists no PKCE method, and rejects nothing more readily than what it does not list.
        assert!(!names.iter().any(|name| name.starts_with("code_challenge")), "{names:?}");
        for name in ["state", "nonce"] {
            let value = &facts[name];
            assert!(value.len() >= 22, "{name} has {} characters, 128 bits need 22", value.len());
            assert!(seen.insert(value.clone()), "{name} came twice");
        }
        let attempt = browser.cookies(SIGN_IN).into_iter().find(|cookie| cookie.name.contains("-try-")).unwrap();
        assert!(attempt.name.ends_with(&facts["state"]) && !attempt.value.contains(&facts["nonce"]));
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_t38_a_callback_that_is_not_this_browsers_own_makes_no_call_and_no_session() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let attacker = campus.browser();
    let theirs = agreed(&attacker, LOANS, &person).await;
    // T38: the attacker's answer, opened by a victim: with nothing under way, and in the middle of a sign-in.
    let victim = campus.browser();
    let page = victim.open(theirs.as_str()).await;
    page.assert_status(400);
    let midway = campus.browser();
    let own = agreed(&midway, LOANS, &people::from_afar()).await;
    midway.open(theirs.as_str()).await.assert_status(400);
    // T36: no state, an empty one, an invented one, another attempt's.
    let code = parameter(&own, "code");
    for state in ["", "x", &"A".repeat(27), &"A".repeat(5_000), &parameter(&theirs, "state"), "%00"] {
        midway.open(&with_query(CALLBACK, &[("code", &code), ("state", state)])).await.assert_status(400);
    }
    midway.open(&with_query(CALLBACK, &[("code", &code)])).await.assert_status(400);
    for browser in [&victim, &midway] {
        assert_eq!(session(browser, SIGN_IN), None);
    }
    assert_eq!(campus.simulator.calls("token"), 0);
    // None of it has cost anybody their sign-in.
    midway.open(own.as_str()).await.assert_status(200).assert_says(people::from_afar().orcid.as_str());
    attacker.open(theirs.as_str()).await.assert_status(200).assert_says(person.orcid.as_str());
    assert_eq!(campus.simulator.calls("token"), 2);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t36_an_attempt_ends_after_fifteen_minutes_even_if_its_cookie_is_kept() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &people::ordinary()).await;
    let kept = cookie_line(&browser, SIGN_IN);
    clock.advance(15 * 60 + 1);
    let answer = browser.get(back.as_str()).header("cookie", &kept).follow().await;
    answer.assert_status(400).assert_says("took too long");
    assert_eq!((session(&browser, SIGN_IN), campus.simulator.calls("token")), (None, 0));
    // A clock that stands before the attempt began does not make it younger.
    clock.advance(-2 * 3600);
    browser.get(back.as_str()).header("cookie", &kept).follow().await.assert_status(400);
    assert_eq!((session(&browser, SIGN_IN), campus.simulator.calls("token")), (None, 0));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t37_fifty_callbacks_at_once_exchange_once_and_receive_the_same_session() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &people::ordinary()).await;
    let kept = cookie_line(&browser, SIGN_IN);
    let tabs = (0..50).map(|_| {
        let request = campus.browser().get(back.as_str()).header("cookie", &kept);
        request.send()
    });
    let answers = futures_util::future::join_all(tabs).await;
    let first = given_session(&answers[0]).expect("a session");
    for answer in &answers {
        answer.assert_status(303);
        assert_eq!(given_session(answer).as_ref(), Some(&first));
    }
    assert_eq!(campus.simulator.calls("token"), 1);
    // In sequence, the same; without the attempt's cookie, nothing.
    let again = campus.browser().get(back.as_str()).header("cookie", &kept).send().await;
    assert_eq!(given_session(&again), Some(first));
    let stranger = campus.browser();
    let nothing = stranger.get(back.as_str()).send().await;
    assert_eq!((given_session(&nothing), session(&stranger, SIGN_IN)), (None, None));
    stranger.open(back.as_str()).await.assert_status(400);
    assert_eq!(campus.simulator.calls("token"), 1);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t37_an_outcome_is_remembered_for_a_minute_and_no_longer() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().clock(clock.clone()).open().await;
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &people::ordinary()).await;
    let kept = cookie_line(&browser, SIGN_IN);
    let duplicate = || campus.browser().get(back.as_str()).header("cookie", &kept).send();
    let first = given_session(&duplicate().await);
    assert!(first.is_some());
    clock.advance(55);
    assert_eq!(given_session(&duplicate().await), first);
    clock.advance(10);
    let late = duplicate().await;
    assert_eq!(given_session(&late), None, "{}", late.story());
    assert_eq!(campus.simulator.calls("token"), 1);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t37_after_a_restart_a_used_callback_is_a_page_that_starts_again() {
    let mut campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &person).await;
    let kept = cookie_line(&browser, SIGN_IN);
    // The answer is on its way when the browser asks once more, and throws it away.
    let thrown_away = campus.browser().get(back.as_str()).header("cookie", &kept).send().await;
    assert!(given_session(&thrown_away).is_some());
    campus.restart().await;
    let page = browser.open(back.as_str()).await;
    page.assert_status(400).assert_says("Start again");
    assert_eq!((session(&browser, SIGN_IN), campus.simulator.calls("token")), (None, 1));
    let there = people::arrive(page.click("Start again").await, &person).await;
    there.assert_status(200).assert_at(LOANS);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t39_t40_an_answer_that_can_be_read_in_two_ways_is_refused_before_any_call() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &person).await;
    let (code, state) = (parameter(&back, "code"), parameter(&back, "state"));
    for query in [
        format!("code={code}&state={state}&state={state}"),
        format!("code={code}&state={state}&st%61te=x"),
        format!("code={code}&code=b&state={state}"),
        format!("code={code}&state={state}&iss=a&iss=b"),
        format!("code={code}&error=access_denied&state={state}"),
        format!("error=access_denied&error=login_required&state={state}"),
        // T41: ORCID sends no `iss`; a wrong one is somebody else's answer.
        format!("code={code}&state={state}&iss=https%3A%2F%2Fevil.example"),
        format!("code=&error=&state={state}"),
        format!("code={}&state={state}", "c".repeat(3_000)),
        (0..100).map(|n| format!("p{n}=&")).collect::<String>() + &format!("code={code}&state={state}"),
    ] {
        let answer = browser.open(&format!("{CALLBACK}?{query}")).await;
        assert!(answer.status.is_client_error() || answer.status == 502, "{query}: {}", answer.story());
        assert_eq!((session(&browser, SIGN_IN), campus.simulator.calls("token")), (None, 0), "{query}");
    }
    browser.open(back.as_str()).await.assert_status(200).assert_says(person.orcid.as_str());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_t84_errors_lead_to_pages_of_ours_that_say_nothing_of_theirs() {
    let campus = Campus::open().await;
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>";
    for (error, place, says) in [
        ("access_denied", "/.lychgate/denied", "Please reconsider"),
        ("access_denied ", "/.lychgate/denied", "Please reconsider"),
        ("login_required", "/.lychgate/sign-in/trouble", "ORCID did not finish the sign-in"),
        ("interaction_required", "/.lychgate/sign-in/trouble", "ORCID did not finish the sign-in"),
        ("temporarily_unavailable", "/.lychgate/sign-in/trouble", "ORCID did not finish the sign-in"),
        ("server_error", "/.lychgate/sign-in/trouble", "ORCID did not finish the sign-in"),
        (hostile, "/.lychgate/sign-in/trouble", "ORCID did not finish the sign-in"),
    ] {
        let browser = campus.browser();
        let back = agreed(&browser, LOANS, &people::ordinary()).await;
        let state = parameter(&back, "state");
        let said = [("error", error), ("error_description", hostile), ("error_uri", "javascript:x"), ("state", &state)];
        let address = with_query(CALLBACK, &said);
        let page = browser.open(&address).await;
        page.assert_says(says).assert_says("Campus library");
        assert_eq!(page.url.path(), place, "{error}");
        assert!(!page.url.as_str().contains("alert"), "{}", page.url);
        for text in ["<script>alert", "onerror", "alert(1)", "javascript:x"] {
            page.assert_lacks(text);
        }
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!((session(&browser, SIGN_IN), campus.simulator.calls("token")), (None, 0), "{error}");
        assert!(!cookie_line(&browser, SIGN_IN).contains("-try-"), "the attempt is over");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j2_orcid_may_forget_the_state_of_a_refusal_and_the_way_back_is_known_all_the_same() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let page = browser.open(LOANS).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Deny access").await;
    assert_eq!(parameter(&back, "error"), "access_denied");
    let denied = browser.open(&with_query(CALLBACK, &[("error", "access_denied")])).await;
    denied.assert_status(200).assert_says("Campus library");
    let there = people::arrive(denied.onward(Method::GET, start_of(&denied).as_str()).follow().await, &person).await;
    there.assert_status(200).assert_at(LOANS);
    // With two sign-ins under way nobody can know which was denied: neither is ended.
    let browser = campus.browser();
    let first = agreed(&browser, LOANS, &person).await;
    let second = agreed(&browser, LOANS, &person).await;
    browser.open(&with_query(CALLBACK, &[("error", "access_denied")])).await.assert_status(200);
    let held = cookie_line(&browser, SIGN_IN);
    assert!([&first, &second].iter().all(|back| held.contains(&parameter(back, "state"))));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_an_error_in_the_fragment_meets_a_page_whose_script_asks_again() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    agreed(&browser, LOANS, &people::ordinary()).await;
    // The fragment stays in the browser: what arrives has no query at all.
    let page = browser.open(&format!("{CALLBACK}#error=login_required")).await;
    page.assert_status(400).assert_says("The sign-in did not finish").assert_says("Start again");
    let tags = page.page().tags;
    let script = tags.iter().find(|tag| tag.name == "script").and_then(|tag| tag.attribute("src")).unwrap();
    let script = browser.get(page.url.join(script).unwrap().as_str()).send().await;
    script.assert_status(200);
    assert!(script.text().contains("data-callback") && script.header("content-type").unwrap().contains("javascript"));
    let prefix = tags.iter().find_map(|tag| tag.attribute("data-callback")).unwrap();
    assert!(page.url.path().starts_with(prefix));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "T47");
    let again = browser.open(&format!("{CALLBACK}?error=login_required")).await;
    assert_eq!(again.url.path(), "/.lychgate/sign-in/trouble");
    again.assert_says("Campus library");
    assert_eq!(campus.simulator.calls("token"), 0);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_t43_a_callback_of_another_name_or_by_another_method_is_none() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &person).await;
    for name in ["other", "", "campus/", "campus%2F..", "CAMPUS", "campus.", "..%2fcampus"] {
        let address = back.as_str().replace("/callback/campus", &format!("/callback/{name}"));
        let answer = browser.get(&address).send().await;
        assert!([400, 404].contains(&answer.status.as_u16()), "{name}: {}", answer.story());
    }
    for method in [Method::POST, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = browser.request(method.clone(), back.as_str()).send().await;
        answer.assert_status(405);
        assert_eq!(answer.header("allow"), Some("GET"), "{method}");
    }
    // On a site's host there is no callback at all.
    let there = back.as_str().replace(SIGN_IN, LIBRARY);
    browser.get(&there).send().await.assert_status(404);
    assert_eq!((session(&browser, SIGN_IN), campus.simulator.calls("token")), (None, 0));
    browser.open(back.as_str()).await.assert_status(200).assert_says(person.orcid.as_str());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t47_a_code_stays_in_no_address_no_cache_and_no_referrer() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &people::ordinary()).await;
    let kept = cookie_line(&browser, SIGN_IN);
    let code = parameter(&back, "code");
    let wrong = agreed(&campus.browser(), LOANS, &people::ordinary()).await;
    let elsewhere = with_query(CALLBACK, &[("code", &code), ("state", &parameter(&wrong, "state"))]);
    let twice = format!("{back}&state=again");
    for address in [elsewhere.as_str(), &twice, back.as_str(), back.as_str()] {
        let answer = campus.browser().get(address).header("cookie", &kept).send().await;
        answer.assert_status(303);
        assert!(!answer.header("location").unwrap().contains(&code));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert!(answer.body.is_empty());
        let page = campus.browser().get(address).header("cookie", &kept).follow().await;
        page.assert_lacks(&code);
    }
    campus.close().await;
}

/// Nothing from elsewhere, nothing inline, not to be framed, not to be kept.
#[track_caller]
fn assert_page_is_ours(page: &Answer) {
    let policy = page.header("content-security-policy").unwrap_or_else(|| panic!("no policy\n{}", page.story()));
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    for tag in page.page().tags {
        let inline = tag.attributes.iter().any(|(name, _)| name == "style" || name.starts_with("on"));
        let alone = (tag.name == "script" && tag.attribute("src").is_none()) || tag.name == "style";
        assert!(!inline && !alone, "inline script or style: {tag:?}");
        let loads = if tag.name == "link" { tag.attribute("href") } else { tag.attribute("src") };
        assert!(loads.is_none_or(|from| from.starts_with("/.lychgate/assets/")), "from elsewhere: {tag:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t48_every_page_of_ours_forbids_frames_inline_scripts_and_sniffing() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let sign_in = browser.open(LOANS).await;
    assert_page_is_ours(&sign_in);
    assert_page_is_ours(&browser.open(&format!("{SIGN_IN}/.lychgate/sign-in")).await);
    assert_page_is_ours(&browser.open("https://portal.campus.example/").await);
    assert_page_is_ours(&browser.get(CALLBACK).send().await);
    assert_page_is_ours(&browser.open(&format!("{CALLBACK}?code=a&state=b")).await);
    assert_page_is_ours(&people::at_orcid(sign_in.click("Create or connect").await, &person, false).await);
    let back = agreed(&browser, LOANS, &person).await;
    let connected = browser.open(back.as_str()).await;
    assert_eq!(connected.url.path(), "/.lychgate/connected");
    assert_page_is_ours(&connected);
    connected.click("Continue").await.assert_at(LOANS);
    for address in [
        format!("{SIGN_IN}/.lychgate/account"),
        format!("{SIGN_IN}/.lychgate/sign-out"),
        format!("{LIBRARY}/.lychgate/sign-out"),
        format!("{LIBRARY}/.lychgate/nothing"),
        format!("{LIBRARY}/admin/"),
        "https://portal.campus.example/".to_owned(),
    ] {
        assert_page_is_ours(&browser.open(&address).await);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b22_everybody_orcid_knows_arrives_whatever_their_record_looks_like() {
    let campus = Campus::open().await;
    for person in seeded().into_iter().filter(|person| person.state == AccountState::Active) {
        let browser = campus.browser();
        campus.sign_in(&browser, LOANS, &person).await.assert_status(200).assert_at(LOANS);
        let seen = campus.library().last_request();
        assert_eq!(seen.all("x-orcid-id"), [person.orcid.as_str()], "{}", person.about);
        let names = seen.all("x-orcid-name").len();
        assert_eq!(names, usize::from(person.public_name().is_some()), "{}", person.about);
        browser.open(&format!("{SIGN_IN}/.lychgate/account")).await.assert_says(person.orcid.as_str());
        let portal = browser.open(&format!("{PORTAL}/")).await.click("Create or connect your ORCID iD").await;
        portal.assert_status(200).assert_at(&format!("{PORTAL}/")).assert_says(person.orcid.as_str());
    }
    // A locked record signs in at ORCID and is never sent back: nobody is signed in here, and nobody is stuck.
    let locked = seeded().into_iter().find(|person| person.state == AccountState::Locked).unwrap();
    let browser = campus.browser();
    let page = browser.open(LOANS).await.click("Create or connect your ORCID iD").await;
    people::at_orcid(page, &locked, true).await;
    assert_eq!(session(&browser, SIGN_IN), None);
    browser.open(LOANS).await.assert_status(200).assert_says("Create or connect your ORCID iD");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_t84_a_name_made_of_markup_stays_a_name() {
    let campus = Campus::open().await;
    let person =
        seeded().into_iter().find(|person| person.given.as_deref().is_some_and(|name| name.contains("onclick")));
    let person = person.expect("somebody is called so");
    let browser = campus.browser();
    let back = agreed(&browser, LOANS, &person).await;
    let connected = browser.open(back.as_str()).await;
    let there = connected.click("Continue").await;
    there.assert_status(200).assert_at(LOANS);
    let mut pages = vec![connected];
    for address in [
        format!("{SIGN_IN}/.lychgate/account"),
        format!("{SIGN_IN}/.lychgate/sign-out"),
        format!("{LIBRARY}/.lychgate/sign-out"),
        format!("{LIBRARY}/admin/"),
        "https://repository.campus.example/deposit/x".to_owned(),
    ] {
        pages.push(browser.open(&address).await);
    }
    pages.push(browser.open(&format!("{PORTAL}/")).await.click("Create or connect your ORCID iD").await);
    let name = person.public_name().unwrap();
    for page in &pages {
        page.assert_says(&name.split_whitespace().collect::<Vec<_>>().join(" "));
        assert!(page.page().tags.iter().all(|tag| tag.attribute("onclick").is_none()), "{}", page.story());
        page.assert_lacks("<b onclick");
    }
    let seen = campus.library().requests().into_iter().find(|seen| seen.target.starts_with("/loans")).unwrap();
    let sent = seen.header("x-orcid-name").expect("the name is handed over");
    assert!(sent.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && !sent.contains(['<', '>', '"']), "{sent}");
    let read = percent_encoding::percent_decode_str(sent).decode_utf8().unwrap();
    assert_eq!(read, name, "and can be read again");
    assert!(seen.all("x-evil").is_empty());
    campus.close().await;
}
