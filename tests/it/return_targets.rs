//! Where a sign-in leads: to the page that was asked for, byte for byte, and never anywhere else (T01-T07). The
//! return target travels sealed, so there is nothing to put another address into; this file tries all the same.

use crate::campus::answer::Answer;
use crate::campus::browser::{Browser, Speaks};
use crate::campus::people::{self, Person};
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{agreed, parameter, session, start_of, with_query};
use lychgate::domain::ReturnTo;
use proptest::prelude::*;
use url::Url;

/// Ways to write an address elsewhere that have fooled one gate or another.
const ELSEWHERE: [&str; 34] = [
    "https://evil.example/",
    "http://evil.example/",
    "//evil.example",
    "///evil.example",
    "////evil.example/%2e%2e",
    "/\\evil.example",
    "\\/evil.example",
    "\\\\evil.example",
    "/%5cevil.example",
    "/%5c%5cevil.example",
    "/%2f%2fevil.example",
    "/%09/evil.example",
    "/\t/evil.example",
    "/\r\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http:///evil.example",
    "javascript:alert(document.domain)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "https://library.campus.example@evil.example/",
    "https://library.campus.example.evil.example/",
    "https://evil-library.campus.example/",
    "https://library.campus.example:81/",
    "https://LIBRARY.campus.example./",
    "https://library.campus.ex\u{430}mple/",
    "//library.campus.example:443@evil.example",
    "/.evil.example",
    "/..//evil.example",
    "/@evil.example",
    "https://[::ffff:127.0.0.1]/",
];

/// Names by which other gates take a return target.
const NAMES: [&str; 8] =
    ["rd", "return_to", "redirect", "next", "url", "target_link_uri", "post_logout_redirect_uri", "redirect_uri"];

/// Panics if anything on the page leads to a host that is neither ours nor ORCID's.
#[track_caller]
fn assert_leads_nowhere_else(campus: &Campus, page: &Answer) {
    let orcid = Url::parse(&campus.simulator.base_url).unwrap();
    for link in page.page().links.iter().map(|link| &link.href).chain(page.page().forms.iter().map(|form| &form.action))
    {
        let to = page.url.join(link).unwrap();
        let host = to.host_str().unwrap_or_default();
        let ours = host.ends_with(".campus.example") && !host.contains("evil") && to.port().is_none();
        let known = ours || to.origin() == orcid.origin() || host == "orcid.org" || to.scheme() == "mailto";
        assert!(known, "leads to {to}\n{}", page.story());
    }
    page.assert_lacks("evil.example").assert_lacks("alert(");
}

/// Forgets that this browser is signed in to `site`, and that it ever set out from there.
fn forget(browser: &Browser, site: &str) {
    let url: Url = site.parse().unwrap();
    let now = browser.network().now();
    for cookie in browser.cookies(site) {
        browser.jar().take(&url, &format!("{}=; Path=/; Secure; HttpOnly; Max-Age=0", cookie.name), now);
    }
    assert!(browser.cookies(site).is_empty());
}

/// Opens `LIBRARY` + `target` sent exactly so, and signs in on the way.
async fn there_and_back(campus: &Campus, browser: &Browser, target: &str, person: &Person) -> Answer {
    let _ = campus;
    let page = browser.get(&format!("{LIBRARY}/")).target(target).follow().await;
    people::arrive(page, person).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t01_t02_t03_t04_no_parameter_sends_anybody_elsewhere() {
    let campus = Campus::open().await;
    let guest = campus.browser();
    let member = campus.browser();
    campus.sign_in(&member, &format!("{LIBRARY}/loans"), &people::ordinary()).await.assert_status(200);
    for (n, evil) in ELSEWHERE.into_iter().enumerate() {
        let name = NAMES[n % NAMES.len()];
        for path in ["sign-in", "sign-in?arrival=", "sign-in/start", "sign-in/continue", "connected", "denied"] {
            let (path, first) = path.split_once('?').map_or((path, name), |_| ("sign-in", "arrival"));
            let address = with_query(&format!("{SIGN_IN}/.lychgate/{path}"), &[(first, evil), ("x", evil)]);
            for browser in [&guest, &member] {
                let page = browser.open(&address).await;
                page.assert_status(200);
                let host = page.url.host_str().unwrap();
                assert!(host == "gate.campus.example" || page.url.as_str().starts_with(&campus.simulator.base_url));
                if host == "gate.campus.example" {
                    assert_leads_nowhere_else(&campus, &page);
                }
            }
        }
        for (browser, there) in [(&guest, 400), (&member, 200)] {
            let ticket = with_query(&format!("{LIBRARY}/.lychgate/arrive"), &[("ticket", evil), (name, evil)]);
            let page = browser.open(&ticket).await;
            page.assert_status(there);
            assert_eq!(page.url.host_str(), Some("library.campus.example"), "{}", page.story());
        }
    }
    // A sign-in that somebody began from such a link ends on our own page.
    let page = guest.open(&with_query(&format!("{SIGN_IN}/.lychgate/sign-in"), &[("rd", "//evil.example")])).await;
    let home = people::arrive(page, &people::ordinary()).await;
    home.assert_status(200).assert_at(&format!("{SIGN_IN}/.lychgate/account"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t02_a_path_that_looks_like_another_host_is_refused_or_comes_back_as_this_hosts_path() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    for (path, refused) in [
        ("//evil.example", true),
        ("/%5cevil.example", true),
        ("/%2f%2fevil.example", true),
        ("/%09/evil.example", true),
        ("/a/..//evil.example", true),
        ("/.evil.example", false),
        ("/@evil.example", false),
        ("/https:evil.example", false),
        ("/javascript:alert(1)", false),
        ("/loans?rd=//evil.example&next=https://evil.example/", false),
        ("/loans?//evil.example", false),
    ] {
        if refused {
            let answer = browser.get(&format!("{LIBRARY}/")).target(path).send().await;
            answer.assert_status(400);
            assert!(answer.header("location").is_none(), "{path}");
            continue;
        }
        forget(&browser, LIBRARY);
        let there = there_and_back(&campus, &browser, path, &person).await;
        there.assert_status(200).assert_at(&format!("{LIBRARY}{path}"));
        assert_eq!(campus.library().last_request().target, path);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t03_a_host_header_never_enters_an_address() {
    let campus = Campus::open().await;
    let browser = campus.browser().speaking(Speaks::OnlyHttp1);
    for host in ["library.campus.example:81", "LIBRARY.CAMPUS.EXAMPLE", "library.campus.example."] {
        let answer = browser.get(&format!("{LIBRARY}/loans?x=1")).header("host", host).send().await;
        answer.assert_status(303);
        let location = answer.header("location").unwrap();
        assert!(location.starts_with(&format!("{SIGN_IN}/.lychgate/sign-in?arrival=")), "{host}: {location}");
        let there = people::arrive(answer.follow().await, &people::ordinary()).await;
        there.assert_at(&format!("{LIBRARY}/loans?x=1"));
        forget(&browser, LIBRARY);
    }
    for host in [
        "evil.example",
        "evil-library.campus.example",
        "library.campus.example.evil.example",
        "library.campus.example@evil.example",
        "library.campus.example/evil",
        "library.campus.example, evil.example",
    ] {
        let answer = browser.get(&format!("{LIBRARY}/loans")).header("host", host).send().await;
        assert!([400, 421].contains(&answer.status.as_u16()), "{host}: {}", answer.story());
        assert!(answer.header("location").is_none(), "{host}");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deep_link_comes_back_byte_for_byte() {
    let campus = Campus::open().await;
    let person = people::from_afar();
    let browser = campus.browser();
    for target in [
        "/loans?",
        "/loans?&&&==&=",
        "/loans?sort=%41&q=a%2Fb&&x",
        "/loans?q=%2e%2e%2F&r=../..//x&s=%25%00%0d%0a%20+",
        "/loans?a[]=1&b={x}|y^z~`!$()*;:@,&c=%e2%82%ac%FF%fe",
        "/loans?url=https://elsewhere.example/?a=b%26c#".trim_end_matches('#'),
        "/loans/a+b,c=d@e:f!$&()*~/",
        "/loans/%E6%9D%B1%E4%BA%AC?%E6%9D%B1",
        "/loans?ticket=x&arrival=y&about=z&code=1&state=2",
    ] {
        forget(&browser, LIBRARY);
        there_and_back(&campus, &browser, target, &person).await.assert_status(200);
        assert_eq!(campus.library().last_request().target, target);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t05_long_targets_travel_or_wait_and_longer_ones_are_given_up_whole_and_told() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    for length in [700, 800, 801, 1_024, 1_025, 2_000, 3_000, 3_072] {
        forget(&browser, LIBRARY);
        let target = format!("/loans?q={}", "x".repeat(length - 9));
        let away = browser.get(&format!("{LIBRARY}/")).target(&target).send().await;
        let waits = browser.cookies(LIBRARY).into_iter().any(|cookie| cookie.name.contains("lychgate-to-"));
        assert!(waits || length <= 1_024, "{length} bytes are too long to travel");
        assert!(!waits || length > 700, "{length} bytes need not wait");
        people::arrive(away.follow().await, &person).await.assert_status(200);
        assert_eq!(campus.library().last_request().target, target, "{length}");
        let left = browser.cookies(LIBRARY).into_iter().any(|cookie| cookie.name.contains("lychgate-to-"));
        assert!(!left, "what has arrived does not wait any longer");
    }
    let reached = campus.library().requests().len();
    for length in [3_100, 8_192, 8_193, 10_240, 20_000] {
        forget(&browser, LIBRARY);
        let target = format!("/loans?q={}", "x".repeat(length - 9));
        let told = there_and_back(&campus, &browser, &target, &person).await;
        told.assert_status(200).assert_says("too long to be remembered");
        assert!(session(&browser, LIBRARY).is_some(), "signed in all the same");
        told.click("Go to the front page").await.assert_status(200).assert_at(&format!("{LIBRARY}/"));
    }
    let after: Vec<String> = campus.library().requests()[reached..].iter().map(|seen| seen.target.clone()).collect();
    assert!(after.iter().all(|target| target == "/"), "a cut target reached the app");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t01_a_sealed_target_that_was_changed_or_made_elsewhere_is_none() {
    let (campus, other) = tokio::join!(Campus::open(), Campus::open());
    let person = people::ordinary();
    let browser = campus.browser();
    let away = browser.get(&format!("{LIBRARY}/loans?id=7")).send().await.location().unwrap();
    let arrival = parameter(&away, "arrival");
    let foreign = other.browser().get(&format!("{LIBRARY}/loans?id=7")).send().await.location().unwrap();
    let mut bad =
        vec![parameter(&foreign, "arrival"), arrival[1..].to_owned(), arrival[..arrival.len() - 1].to_owned()];
    for at in (0..arrival.len()).step_by(arrival.len() / 12) {
        let other = if &arrival[at..=at] == "A" { "B" } else { "A" };
        bad.push(format!("{}{other}{}", &arrival[..at], &arrival[at + 1..]));
    }
    let sites = browser.cookies(LIBRARY);
    // A cookie's seal is no arrival's.
    bad.extend(sites.iter().map(|cookie| cookie.value.clone()));
    for text in bad {
        let page = browser.open(&with_query(&format!("{SIGN_IN}/.lychgate/sign-in"), &[("arrival", &text)])).await;
        page.assert_status(200).assert_lacks("Campus library");
        let start = with_query(&format!("{SIGN_IN}/.lychgate/sign-in/start"), &[("arrival", &text)]);
        assert!(browser.get(&start).send().await.location().is_some_and(|to| to.path() == "/oauth/authorize"));
    }
    let twice = format!("{away}&arrival={arrival}");
    browser.open(&twice).await.assert_status(200).assert_lacks("Campus library");
    // The one that was left alone still works.
    people::arrive(browser.open(away.as_str()).await, &person).await.assert_at(&format!("{LIBRARY}/loans?id=7"));
    campus.close().await;
    other.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t01_a_target_that_waits_on_one_host_is_none_on_another() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let long = "x".repeat(1_500);
    browser.get(&format!("{LIBRARY}/loans?of-the-library={long}")).send().await;
    let page = browser.open(&format!("{REPOSITORY}/browse?of-the-repository={long}")).await;
    let waiting = |site: &str| {
        let mut cookies = browser.cookies(site).into_iter();
        cookies.find(|cookie| cookie.name.contains("lychgate-to-")).expect("a target waits")
    };
    let (theirs, own) = (waiting(LIBRARY), waiting(REPOSITORY));
    let line = format!("{}={}; Path=/; Secure; HttpOnly; Max-Age=600", own.name, theirs.value);
    let now = browser.network().now();
    browser.jar().take(&REPOSITORY.parse().unwrap(), &line, now);
    let told = people::arrive(page, &people::ordinary()).await;
    told.assert_status(200).assert_says("too long to be remembered");
    assert_eq!(told.url.host_str(), Some("repository.campus.example"));
    assert!(campus.library().requests().is_empty() && campus.repository().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t06_a_sign_out_leads_nowhere_else() {
    let campus = Campus::open().await;
    for (n, evil) in ELSEWHERE.into_iter().enumerate().step_by(5) {
        let name = NAMES[n % NAMES.len()];
        let browser = campus.browser();
        campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &people::ordinary()).await.assert_status(200);
        for host in [LIBRARY, SIGN_IN] {
            let asks = browser.open(&with_query(&format!("{host}/.lychgate/sign-out"), &[(name, evil)])).await;
            assert_leads_nowhere_else(&campus, &asks);
            let out = asks.form(0).forge(name, evil).submitted().send().await;
            out.assert_status(200);
            assert!(out.header("location").is_none() && out.header("refresh").is_none());
            assert_leads_nowhere_else(&campus, &out);
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_target_is_the_one_of_the_tab_that_signs_in_and_not_of_the_latest() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let back = agreed(&browser, &format!("{LIBRARY}/loans?tab=1"), &person).await;
    let second = browser.open(&format!("{LIBRARY}/loans?tab=2")).await;
    start_of(&second);
    let connected = browser.open(back.as_str()).await;
    connected.click("Continue").await.assert_at(&format!("{LIBRARY}/loans?tab=1"));
    campus.close().await;
}

/// The host as RFC 3986 §3.2 reads an absolute address, with no mercy for anything unusual.
fn strict_host(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let plain = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    plain.then_some(authority)
}

proptest! {
    #[test]
    fn t07_two_parsers_agree_on_the_host_of_every_target(target in "[/\\\\]{0,3}[ -~\t\r\n\u{80}-\u{ff}]{0,40}") {
        if let Ok(to) = ReturnTo::new("library.campus.example".parse().unwrap(), &target) {
            let url = to.url(443);
            let whatwg = Url::parse(&url).unwrap();
            prop_assert_eq!(whatwg.host_str(), Some("library.campus.example"));
            prop_assert_eq!(strict_host(&url), Some("library.campus.example"));
            prop_assert_eq!((whatwg.scheme(), whatwg.port(), whatwg.username()), ("https", None, ""));
            prop_assert_eq!(url.strip_prefix("https://library.campus.example"), Some(target.as_str()));
        }
    }
}
