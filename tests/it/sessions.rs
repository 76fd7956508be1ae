//! Sessions and their cookies: T63-T69. Which cookies there are, whose they become, when they end, and that what
//! has ended stays ended.

use crate::campus::answer::Answer;
use crate::campus::browser::{Browser, Speaks};
use crate::campus::people::{self, Person};
use crate::campus::{Campus, LIBRARY, PORTAL, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{TODAY, agreed, cookie_line, given_session, session, start_of, through_orcid};
use http::Method;
use lychgate::domain::StoppedClock;
use lychgate::session::cookie::SESSION;
use std::sync::Arc;
use url::Url;

const LOANS: &str = "https://library.campus.example/loans";
const BROWSE: &str = "https://repository.campus.example/browse";

/// Signed in to the library and the repository.
async fn member(campus: &Campus, person: &Person) -> Browser {
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, person).await.assert_status(200).assert_at(LOANS);
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    browser
}

/// The three session cookies of [`member`], each with its host.
fn sessions(browser: &Browser) -> Vec<(&'static str, String)> {
    [SIGN_IN, LIBRARY, REPOSITORY].into_iter().filter_map(|host| Some((host, session(browser, host)?))).collect()
}

/// Whether somebody who has nothing but this cookie is let in.
async fn opens(campus: &Campus, host: &str, value: &str) -> bool {
    let page = match host {
        SIGN_IN => format!("{SIGN_IN}/.lychgate/account"),
        LIBRARY => LOANS.to_owned(),
        _ => BROWSE.to_owned(),
    };
    let answer = campus.browser().get(&page).header("cookie", format!("{SESSION}={value}")).send().await;
    assert!([200, 303].contains(&answer.status.as_u16()), "{}", answer.story());
    answer.status == 200
}

#[track_caller]
fn assert_asks(page: &Answer) {
    page.assert_status(200).assert_says("Create or connect your ORCID iD");
    assert_eq!(page.url.host_str(), Some("gate.campus.example"), "{}", page.story());
}

/// Follows redirects one by one and notes every `Set-Cookie` line on the way.
async fn noting(browser: &Browser, to: &str, lines: &mut Vec<(Url, String)>) -> Answer {
    let mut answer = browser.get(to).send().await;
    loop {
        lines.extend(answer.set_cookies().into_iter().map(|line| (answer.url.clone(), line)));
        match answer.location() {
            Some(next) if next.host_str().is_some_and(|host| host.ends_with(".campus.example")) => {
                answer = browser.get(next.as_str()).send().await;
            }
            _ => return answer,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t63_every_cookie_is_bound_to_its_host_and_hidden_from_scripts() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let mut lines = Vec::new();
    let long = format!("{LOANS}?q={}", "x".repeat(2_000));
    let page = noting(&browser, &long, &mut lines).await;
    noting(&browser, start_of(&page).as_str(), &mut lines).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &people::ordinary(), "Authorize access").await;
    let connected = noting(&browser, back.as_str(), &mut lines).await;
    noting(&browser, connected.link("Continue").as_str(), &mut lines).await.assert_status(200).assert_at(&long);
    noting(&browser, &format!("{PORTAL}/"), &mut lines).await;
    let asks = noting(&browser, &format!("{LIBRARY}/.lychgate/sign-out"), &mut lines).await;
    let out = asks.form(0).submitted().send().await;
    lines.extend(out.set_cookies().into_iter().map(|line| (out.url.clone(), line)));
    let mut kinds: Vec<&str> = Vec::new();
    for (url, line) in &lines {
        let (pair, attributes) = line.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        assert!(name.starts_with("__Host-Http-lychgate"), "{line}");
        let mut attributes: Vec<&str> = attributes.split("; ").collect();
        attributes.retain(|attribute| !attribute.starts_with("Max-Age="));
        assert_eq!(attributes, ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"], "{line}");
        let most = if name == SESSION { 128 } else { 1_536 };
        let waits = name.contains("lychgate-to-");
        assert!(waits || name.len() + value.len() <= most, "{} bytes: {name}", line.len());
        assert!(waits || url.host_str() == Some("gate.campus.example") || !name.contains("-try-"), "{url}: {name}");
        kinds.push(name);
    }
    for part in ["-arrival", "-left", "-to-", "-try-", ""] {
        let seen = kinds.iter().any(|name| name.strip_prefix(SESSION).is_some_and(|rest| rest.starts_with(part)));
        assert!(seen, "no cookie {SESSION}{part} among {kinds:?}");
    }
    assert!(browser.jar().rejected().is_empty(), "{:?}", browser.jar().rejected());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t63_a_script_or_a_sister_host_cannot_plant_a_session() {
    let campus = Campus::open().await;
    let attacker = member(&campus, &people::from_afar()).await;
    let stolen = session(&attacker, LIBRARY).unwrap();
    let victim = campus.browser();
    for line in [
        format!("{SESSION}={stolen}; Path=/; Secure"),
        format!("{SESSION}={stolen}; Path=/; Secure; HttpOnly"),
        format!("__host-http-lychgate={stolen}; Path=/; Secure"),
    ] {
        victim.script_sets_cookie(LOANS, &line);
    }
    let domain = format!("{SESSION}={stolen}; Path=/; Secure; HttpOnly; Domain=campus.example");
    let now = victim.network().now();
    victim.jar().take(&REPOSITORY.parse().unwrap(), &domain, now);
    assert_eq!(victim.jar().rejected().len(), 4);
    assert_asks(&victim.open(LOANS).await);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t64_a_session_brought_along_is_never_the_one_given_and_ends() {
    let campus = Campus::open().await;
    let attacker = member(&campus, &people::from_afar()).await;
    // The attacker's own cookies, in a victim's browser by whatever means.
    let victim = campus.browser();
    for (host, value) in sessions(&attacker) {
        let line = format!("{SESSION}={value}; Path=/; Secure; HttpOnly");
        let now = victim.network().now();
        victim.jar().take(&host.parse().unwrap(), &line, now);
    }
    let refused = victim.open(&format!("{LIBRARY}/admin/")).await;
    refused.assert_status(403).assert_says("Use another ORCID iD");
    let page = refused.click("Use another ORCID iD").await;
    // ORCID's own session must not answer for whoever sits there now.
    let asked = page.hops.iter().find(|hop| hop.url.path() == "/oauth/authorize").unwrap();
    assert!(asked.url.query().unwrap().contains("prompt=login"), "{}", asked.url);
    let thanks = people::at_orcid(page, &people::ordinary(), true).await;
    thanks.assert_status(200).assert_says(people::ordinary().orcid.as_str());
    victim.open(LOANS).await.assert_status(200).assert_at(LOANS);
    let old = sessions(&attacker);
    for (host, value) in &old[..2] {
        assert_ne!(session(&victim, host).as_ref(), Some(value), "{host}");
    }
    // T65: the whole tree of the former person has ended, so the attacker learns nothing of the victim.
    for (host, value) in old {
        assert!(!opens(&campus, host, &value).await, "{host}");
    }
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [people::ordinary().orcid.as_str()]);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t64_every_sign_in_of_the_same_person_gives_new_sessions_and_ends_the_old_ones() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = member(&campus, &person).await;
    let old = sessions(&browser);
    assert_eq!(old.len(), 3);
    // A step-up is a sign-in.
    let page = browser.open(&format!("{REPOSITORY}/deposit/new")).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.click("Continue").await.assert_status(200);
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    let new = sessions(&browser);
    for ((host, old), (_, new)) in old.iter().zip(&new) {
        assert_ne!(old, new, "{host}");
        assert!(!opens(&campus, host, old).await, "{host}: the old one still opens");
        assert!(opens(&campus, host, new).await, "{host}: the new one does not");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t65_who_finishes_a_sign_in_in_somebody_elses_browser_ends_their_sessions_first() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let (first, second) = (people::ordinary(), people::from_afar());
    let under_way = agreed(&browser, LOANS, &first).await;
    // Meanwhile somebody else signs in: at ORCID as well, for the browser there is another person's by now.
    forget_orcid(&campus, &browser);
    campus.sign_in(&browser, LOANS, &second).await.assert_status(200);
    browser.open(BROWSE).await.assert_status(200).assert_at(BROWSE);
    let theirs = sessions(&browser);
    let page = browser.open(under_way.as_str()).await;
    page.assert_status(200).assert_says(first.orcid.as_str());
    for (host, value) in theirs {
        assert!(!opens(&campus, host, &value).await, "{host}: the former person's session is still there");
    }
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [first.orcid.as_str()]);
    campus.close().await;
}

fn forget_orcid(campus: &Campus, browser: &Browser) {
    let orcid: Url = campus.simulator.base_url.parse().unwrap();
    let now = browser.network().now();
    for cookie in browser.cookies(orcid.as_str()) {
        browser.jar().take(&orcid, &format!("{}=; Path={}; HttpOnly; Max-Age=0", cookie.name, cookie.path), now);
    }
    assert!(browser.cookies(orcid.as_str()).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t64_a_session_of_one_host_opens_no_other() {
    let campus = Campus::open().await;
    let browser = member(&campus, &people::ordinary()).await;
    for (of, value) in sessions(&browser) {
        for host in [SIGN_IN, LIBRARY, REPOSITORY] {
            assert_eq!(opens(&campus, host, &value).await, of == host, "a cookie of {of} at {host}");
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t66_of_two_cookies_the_forged_one_never_wins() {
    let campus = Campus::open().await;
    let browser = member(&campus, &people::ordinary()).await;
    let forged = session(&member(&campus, &people::from_afar()).await, LIBRARY).unwrap();
    let own = session(&browser, LIBRARY).unwrap();
    let who = people::ordinary().orcid;
    for (line, signed_in) in [
        (format!("{SESSION}={own}"), true),
        (format!("{SESSION}={forged}; {SESSION}={own}"), false),
        (format!("{SESSION}={own}; {SESSION}={forged}"), false),
        (format!("{SESSION}={own}; {SESSION}={own}"), false),
        (format!("{SESSION}={own}; {SESSION}="), false),
        (format!("__host-http-lychgate={forged}; {SESSION}={own}"), true),
        (format!("__Host-lychgate={forged}; lychgate={forged}; {SESSION}={own}; x=y"), true),
        (format!("__host-http-lychgate={forged}"), false),
        (format!("$Version=1; {SESSION}={own}; $Path=/"), true),
        (format!("x=1;  {SESSION} ={forged}; {SESSION}={own}"), false),
        (format!("={SESSION}={forged}; {SESSION}={own}"), true),
        (format!("x={SESSION}={forged}; {SESSION}={own}"), true),
        (format!("\"{SESSION}\"={forged}"), false),
        (format!("{SESSION}=\"{own}\""), false),
        (format!("{SESSION}={own},{SESSION}={forged}"), false),
    ] {
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            let answer = campus.browser().speaking(speaks).get(LOANS).header("cookie", &line).send().await;
            answer.assert_status(if signed_in { 200 } else { 303 });
            if signed_in {
                assert_eq!(campus.library().last_request().all("x-orcid-id"), [who.as_str()], "{line}");
            }
        }
    }
    // Two Cookie fields are one list (RFC 9113 §8.2.3).
    let twice = campus.browser().get(LOANS).header("cookie", format!("{SESSION}={forged}"));
    twice.header("cookie", format!("{SESSION}={own}")).send().await.assert_status(303);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t67_a_cookie_that_was_tampered_with_is_no_cookie() {
    let campus = Campus::open().await;
    let browser = member(&campus, &people::ordinary()).await;
    let own = session(&browser, LIBRARY).unwrap();
    let flip = |at: usize| {
        let other = if &own[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &own[..at], &own[at + 1..]).into_bytes()
    };
    let mut bad: Vec<Vec<u8>> = [0, 5, 13, 26, 27, 35, 41].map(flip).into();
    for text in ["", "-1", "0", "null", "%00", "../../../../etc/passwd", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
    {
        bad.push(text.into());
    }
    bad.extend([own[1..].into(), own[..42].into(), format!("{own}=").into(), format!("{own}A").into()]);
    bad.extend([own.to_lowercase().into(), own.to_uppercase().into(), b"\xff\xfe\x80\xe9".to_vec()]);
    bad.extend(["A".repeat(20_000).into(), [own.as_bytes(), b"\xc3\xa9"].concat()]);
    for value in bad {
        let line = [SESSION.as_bytes(), b"=", &value].concat();
        let answer = campus.browser().get(LOANS).header("cookie", &line).send().await;
        answer.assert_status(303);
        let account = format!("{SIGN_IN}/.lychgate/account");
        campus.browser().get(&account).header("cookie", &line).send().await.assert_status(303);
    }
    // 100 kB is more than any head: refused, and by no panic.
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let huge = format!("{SESSION}={}", "A".repeat(100_000));
        let answer = campus.browser().speaking(speaks).get(LOANS).header("cookie", huge).try_send().await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| [400, 431].contains(&answer.status.as_u16())));
    }
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t68_a_session_ends_after_eight_idle_hours_and_after_a_day() {
    // 2039: behind the end of 32-bit seconds.
    for start in [TODAY, 2_177_452_800] {
        let clock = Arc::new(StoppedClock::at(start));
        let campus = Campus::build().clock(clock.clone()).open().await;
        let idle = member(&campus, &people::ordinary()).await;
        clock.advance(8 * 3600 - 1);
        idle.open(LOANS).await.assert_status(200).assert_at(LOANS);
        let kept = sessions(&idle);
        clock.advance(8 * 3600);
        assert_asks(&idle.open(LOANS).await);
        for (host, value) in &kept {
            assert!(!opens(&campus, host, value).await, "{host} after eight idle hours");
        }
        // Set back, the clock wakes nobody.
        clock.advance(-3600);
        for (host, value) in &kept {
            assert!(!opens(&campus, host, value).await, "{host} woke up");
        }
        let busy = member(&campus, &people::ordinary()).await;
        for _ in 0..3 {
            clock.advance(7 * 3600);
            busy.open(LOANS).await.assert_status(200).assert_at(LOANS);
        }
        clock.advance(3 * 3600 - 1);
        busy.open(LOANS).await.assert_status(200).assert_at(LOANS);
        clock.advance(1);
        assert_asks(&busy.open(LOANS).await);
        campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t68_an_hour_lived_twice_is_taken_off_the_end_also_after_a_restart() {
    for restarts in [false, true] {
        let clock = Arc::new(StoppedClock::at(TODAY));
        let mut campus = Campus::build().clock(clock.clone()).open().await;
        let browser = member(&campus, &people::ordinary()).await;
        clock.advance(7 * 3600);
        browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
        clock.advance(-3600);
        browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
        if restarts {
            campus.restart().await;
        }
        for _ in 0..2 {
            clock.advance(7 * 3600);
            browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
        }
        // 20 hours by the clock, 21 by the wrist.
        clock.advance(3 * 3600 - 1);
        browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
        clock.advance(1);
        let kept = session(&browser, LIBRARY).unwrap();
        assert!(!opens(&campus, LIBRARY, &kept).await, "older than a day, restarts: {restarts}");
        campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t69_a_cookie_line_after_sign_out_opens_nothing_on_any_core() {
    let campus = Campus::open().await;
    let browser = member(&campus, &people::ordinary()).await;
    let (kept, at_site) = (sessions(&browser), cookie_line(&browser, LIBRARY));
    let out = browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await.form(0).submit().await;
    out.assert_status(200);
    assert_eq!(given_session(&out).as_deref(), Some(""), "the cookie itself is taken back");
    // Each on a fresh connection: whichever core accepts it.
    for _ in 0..8 {
        for (host, value) in &kept {
            assert!(!opens(&campus, host, value).await, "{host}");
        }
    }
    let request = campus.browser().request(Method::POST, LOANS).header("cookie", &at_site).body("x=1");
    request.send().await.assert_status(403).assert_says("You have to sign in first");
    campus.close().await;
}

/// The hidden token of the sign-out page.
async fn token_of(browser: &Browser, host: &str) -> String {
    let asks = browser.get(&format!("{host}/.lychgate/sign-out")).send().await;
    asks.assert_status(200).form(0).value("token").expect("the form has a token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t69_only_a_post_of_our_own_page_with_its_token_signs_anybody_out() {
    let campus = Campus::open().await;
    let browser = member(&campus, &people::ordinary()).await;
    let other = token_of(&member(&campus, &people::ordinary()).await, LIBRARY).await;
    for (host, sister, probe) in [(LIBRARY, REPOSITORY, LOANS), (SIGN_IN, REPOSITORY, BROWSE)] {
        let address = format!("{host}/.lychgate/sign-out");
        let token = token_of(&browser, host).await;
        let form = [("token", token.as_str()), ("reach", if host == LIBRARY { "site" } else { "everywhere" })];
        // Other methods, a link on a foreign page, an image, a prefetch.
        browser.get(&address).from("https://evil.example/").send().await.assert_status(200);
        browser.get(&format!("{address}?token={token}&reach=everywhere")).send().await.assert_status(200);
        for method in [Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = browser.request(method.clone(), &address).form(&form).send().await;
            assert!(method == Method::HEAD || answer.status == 405, "{method}: {}", answer.story());
        }
        let post = || browser.post_form(&address, &form);
        let refused = [
            (post().from("https://evil.example/").header("cookie", cookie_line(&browser, host)), 403),
            (post().from(sister), 403),
            (post().header("origin", "null"), 403),
            (post().header("origin", "null").without("sec-fetch-site"), 403),
            (post().header("origin", sister).without("sec-fetch-site"), 403),
            (post().header("sec-fetch-site", "same-site"), 403),
            (post().header("sec-fetch-site", "none"), 403),
            (browser.post_form(&address, &[]), 403),
            (browser.post_form(&address, &[("token", "")]), 403),
            (browser.post_form(&address, &[("token", &other)]), 403),
            (browser.post_form(&address, &[("token", &token_of(&browser, sister).await)]), 403),
            (post().header("content-type", "text/plain"), 400),
            (post().header("content-type", "multipart/form-data; boundary=x"), 400),
        ];
        for (n, (request, status)) in refused.into_iter().enumerate() {
            request.send().await.assert_status(status);
            browser.get(probe).send().await.assert_status(200);
            assert!(session(&browser, host).is_some(), "{host}, case {n}");
        }
        // A browser that says nothing about who asks: the token alone suffices.
        let out = post().without("sec-fetch-site").without("origin").send().await;
        out.assert_status(200).assert_says("You are signed out");
        browser.get(probe).send().await.assert_status(303);
        if host == LIBRARY {
            browser.get(BROWSE).send().await.assert_status(200);
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t69_all_devices_means_all_of_this_person_and_nobody_else() {
    let campus = Campus::open().await;
    let (here, there) = (member(&campus, &people::ordinary()).await, member(&campus, &people::ordinary()).await);
    let other = member(&campus, &people::from_afar()).await;
    let (kept_here, kept_there) = (sessions(&here), sessions(&there));
    here.open(&format!("{SIGN_IN}/.lychgate/sign-out"))
        .await
        .press("all sites in this browser")
        .await
        .assert_status(200);
    for (host, value) in &kept_there {
        assert!(opens(&campus, host, value).await, "{host}: another browser of the same person goes on");
    }
    let asks = there.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await;
    let third = member(&campus, &people::ordinary()).await;
    asks.press("Sign out on all my devices").await.assert_status(200).assert_says("in every browser");
    let ended = kept_here.iter().chain(&kept_there).cloned().chain(sessions(&third));
    for (host, value) in ended {
        assert!(!opens(&campus, host, &value).await, "{host}");
    }
    for (host, value) in sessions(&other) {
        assert!(opens(&campus, host, &value).await, "{host}: somebody else");
    }
    campus.close().await;
}
