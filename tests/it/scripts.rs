//! J16: programs are told, people are sent. A redirect is only for a page somebody opens; scripts, tools and sockets
//! get a 401 they can read, and start nothing. With `/.lychgate/me` (T86), CORS (T32) and the ops addresses (T87).

use crate::campus::answer::Answer;
use crate::campus::browser::{Request, Speaks};
use crate::campus::people;
use crate::campus::ws::WebSocket;
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{TODAY, start_of};
use http::Method;
use lychgate::domain::{Clock, StoppedClock};
use std::sync::Arc;

const LOANS: &str = "https://library.campus.example/loans";
const DEPOSIT: &str = "https://repository.campus.example/deposit/new";
const ME: &str = "https://library.campus.example/.lychgate/me";

/// A library whose pages the portal's scripts may read.
const OPEN_LIBRARY: &str = r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{library}"
cors_origins = ["https://portal.campus.example"]

[[rule]]
name = "catalogue"
paths = ["/catalogue/**"]
access = "optional"

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in"
"#;

/// Told in JSON, with a challenge, without a redirect, and nothing begun.
#[track_caller]
fn assert_told(answer: &Answer, status: u16, error: &str) {
    answer.assert_status(status);
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.story());
    assert!(answer.header("location").is_none() && answer.set_cookies().is_empty(), "{}", answer.story());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let challenge = answer.header("www-authenticate");
    assert_eq!(challenge.is_some(), error != "refused", "{}", answer.story());
    if !answer.body.is_empty() {
        let body = answer.json();
        assert_eq!(body["error"], error);
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
        if error == "sign_in_needed" {
            assert_eq!(body["sign_in"], format!("{LIBRARY}/"), "where a person would go");
        }
    }
}

/// What programs send, each with a word about it.
fn programs(campus: &Campus, to: &str) -> Vec<(&'static str, Request)> {
    let browser = campus.browser();
    let get = || browser.get(to);
    let html = "text/html,application/xhtml+xml";
    vec![
        ("fetch", get().by_script_on(LIBRARY)),
        ("fetch that says it wants pages", get().by_script_on(LIBRARY).header("accept", html)),
        ("fetch from a sister host", get().by_script_on(REPOSITORY)),
        ("an image", get().for_image_on(LIBRARY)),
        ("a frame", get().header("sec-fetch-dest", "iframe")),
        ("a prefetch", get().header("sec-purpose", "prefetch;prerender")),
        ("an old prefetch", get().header("purpose", "prefetch")),
        ("XMLHttpRequest", get().by_tool().header("x-requested-with", "XMLHttpRequest").header("accept", html)),
        ("curl", get().by_tool().header("accept", "*/*").header("user-agent", "curl/8.5.0")),
        ("a feed reader", get().by_tool().header("accept", "application/atom+xml, */*;q=0.1")),
        ("an API client", get().by_tool().header("accept", "application/json")),
        ("nothing said at all", get().by_tool()),
        ("pages refused", get().by_tool().header("accept", "text/html;q=0, application/json")),
        ("an event stream", get().by_tool().header("accept", "text/event-stream")),
        ("an upgrade", get().by_tool().header("upgrade", "websocket").header("connection", "upgrade")),
        ("PUT", browser.request(Method::PUT, to).body("x")),
        ("DELETE", browser.request(Method::DELETE, to)),
        ("PATCH", browser.request(Method::PATCH, to).body("x")),
        ("OPTIONS", browser.request(Method::OPTIONS, to)),
        ("a tool's HEAD", browser.request(Method::HEAD, to).by_tool()),
        ("a script's POST", browser.request(Method::POST, to).by_script_on(LIBRARY).body("x=1")),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j16_programs_are_told_and_start_nothing() {
    let campus = Campus::open().await;
    for (what, request) in programs(&campus, LOANS) {
        let answer = request.send().await;
        assert!(answer.status == 401, "{what}: {}", answer.story());
        assert_told(&answer, 401, "sign_in_needed");
    }
    // Over HTTP/1.1, where an upgrade is one.
    let old = campus.browser().speaking(Speaks::OnlyHttp1);
    let upgrade = old.get(LOANS).header("connection", "upgrade").header("upgrade", "websocket");
    assert_told(&upgrade.send().await, 401, "sign_in_needed");
    let Err(declined) = WebSocket::open(&campus.browser(), "wss://library.campus.example/loans").await else {
        panic!("a guest's WebSocket was opened")
    };
    assert_eq!(declined.status, 401);
    assert_eq!(campus.library().connections(), 0);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j16_people_are_sent_by_303_whatever_page_sent_them() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let html = "text/html,application/xhtml+xml,*/*;q=0.8";
    for (what, request) in [
        ("typed", browser.get(LOANS)),
        ("a link elsewhere", browser.get(LOANS).from("https://evil.example/")),
        ("an old browser", browser.get(LOANS).by_tool().header("accept", html)),
        ("a text browser", browser.get(LOANS).by_tool().header("accept", "text/html")),
    ] {
        let answer = request.send().await;
        assert!(answer.status == 303, "{what}: {}", answer.story());
        assert_eq!(answer.location().unwrap().host_str(), Some("gate.campus.example"), "{what}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // What they sent would be lost on the way: they are told first (J4).
    for (what, request) in [
        ("a form", browser.post_form(LOANS, &[("id", "7")])),
        ("an old browser's form", browser.request(Method::POST, LOANS).by_tool().header("accept", html).body("id=7")),
    ] {
        let answer = request.send().await;
        assert!(answer.status == 403, "{what}: {}", answer.story());
        assert_eq!(answer.link("Sign in").host_str(), Some("gate.campus.example"), "{what}");
    }
    assert_eq!(campus.library().connections(), 0);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j16_b3_no_program_begins_a_sign_in_at_the_sign_in_host_either() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let start = start_of(&browser.open(LOANS).await);
    for to in [start.as_str(), &format!("{SIGN_IN}/.lychgate/sign-in/start")] {
        for (what, request) in programs(&campus, to) {
            let answer = request.send().await;
            assert!([401, 405].contains(&answer.status.as_u16()), "{what}: {}", answer.story());
            assert!(answer.set_cookies().is_empty() && answer.header("location").is_none(), "{what}");
        }
    }
    assert_eq!(campus.simulator.calls("authorize"), 0);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j16_a_program_of_somebody_signed_in_is_served_or_told_what_is_missing() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, &people::ordinary()).await.assert_status(200);
    browser.open(&format!("{REPOSITORY}/browse")).await.assert_status(200);
    browser.get(LOANS).by_script_on(LIBRARY).send().await.assert_status(200);
    browser.get(LOANS).by_tool().send().await.assert_status(200);
    browser.request(Method::DELETE, LOANS).send().await.assert_status(200);

    let told = browser.get(DEPOSIT).by_script_on(REPOSITORY).send().await;
    assert_told(&told, 403, "insufficient_scope");
    let challenge = told.header("www-authenticate").unwrap();
    assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"/activities/update\""));
    assert_eq!(told.json()["scope"], "/activities/update");

    let refused = browser.get(&format!("{LIBRARY}/admin/")).by_script_on(LIBRARY).send().await;
    assert_told(&refused, 403, "refused");
    assert!(refused.json()["incident"].as_str().is_some_and(|number| number.len() == 9));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t86_me_says_who_is_here_to_this_sites_own_scripts_alone() {
    let campus = Campus::open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    assert_told(&campus.browser().get(ME).by_script_on(LIBRARY).send().await, 401, "sign_in_needed");
    campus.sign_in(&browser, LOANS, &person).await.assert_status(200);
    for request in [browser.get(ME).by_script_on(LIBRARY), browser.get(ME), browser.get(ME).by_tool()] {
        let answer = request.send().await;
        answer.assert_status(200);
        let body = answer.json();
        let mut keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(
            keys,
            ["expires", "id", "idle_expires", "name", "now", "uri"],
            "no token, no scope, no other session"
        );
        assert_eq!(body["id"], person.orcid.as_str());
        assert_eq!(body["name"], person.public_name().unwrap());
        assert_eq!(body["uri"], format!("https://orcid.org/{}", person.orcid));
        assert!(body["expires"].as_i64().unwrap() > browser.network().now().0);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    for request in [
        browser.get(ME).by_script_on(REPOSITORY),
        browser.get(ME).by_script_on("https://evil.example/"),
        browser.get(ME).from("https://evil.example/"),
        browser.get(ME).for_image_on(REPOSITORY),
        browser.get(ME).header("sec-fetch-site", "same-origin").header("sec-fetch-site", "cross-site"),
    ] {
        let answer = request.send().await;
        answer.assert_status(403).assert_lacks(person.orcid.as_str());
    }
    browser.request(Method::POST, ME).send().await.assert_status(405);
    browser.get(&ME.replace(LIBRARY, SIGN_IN)).send().await.assert_status(404).assert_lacks(person.orcid.as_str());
    // A session of the library is none of the repository.
    let sister = browser.get(&ME.replace(LIBRARY, REPOSITORY)).by_script_on(REPOSITORY).send().await;
    sister.assert_status(401).assert_lacks(person.orcid.as_str());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t86_a_page_that_asks_for_ever_who_is_here_keeps_nobody_signed_in() {
    const HOUR: i64 = 3600;
    let clock = Arc::new(StoppedClock::at(TODAY));
    let mut campus = Campus::build().clock(clock.clone()).open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, &people::ordinary()).await.assert_status(200);
    let begun = clock.now().0;
    let idle = 8 * HOUR;
    for hour in 1..8 {
        clock.advance(HOUR);
        if hour == 4 {
            // Read from the store, it is no use either.
            campus.restart().await;
        }
        let told = browser.get(ME).by_script_on(LIBRARY).send().await.json();
        let idle_expires = told["idle_expires"].as_i64().unwrap();
        assert!((begun + idle - 60..=begun + idle).contains(&idle_expires), "{hour}: {}", idle_expires - begun);
        assert_eq!(told["expires"], begun + 24 * HOUR);
    }
    // Use of the site counts.
    browser.get(LOANS).send().await.assert_status(200);
    let told = browser.get(ME).by_script_on(LIBRARY).send().await.json();
    assert_eq!(told["idle_expires"], begun + 15 * HOUR);
    for _ in 0..8 {
        clock.advance(HOUR - 1);
        browser.get(ME).by_script_on(LIBRARY).send().await.assert_status(200);
    }
    clock.advance(60);
    browser.get(ME).by_script_on(LIBRARY).send().await.assert_status(401);
    browser.get(LOANS).by_script_on(LIBRARY).send().await.assert_status(401);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t86_somebody_without_a_public_name_has_none_here() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, &people::nameless()).await.assert_status(200);
    let body = browser.get(ME).by_script_on(LIBRARY).send().await.json();
    assert_eq!((&body["id"], &body["name"]), (&people::nameless().orcid.as_str().into(), &serde_json::Value::Null));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t32_a_preflight_is_answered_for_listed_origins_only_and_never_reaches_the_app() {
    let campus = Campus::build().site("library", OPEN_LIBRARY).open().await;
    let (listed, browser) = ("https://portal.campus.example", campus.browser());
    let preflight = |origin: &str| {
        let request = browser.request(Method::OPTIONS, LOANS).by_script_on(origin).header("origin", origin);
        request.header("access-control-request-method", "PUT").header("access-control-request-headers", "x-token")
    };
    let answer = preflight(listed).send().await;
    answer.assert_status(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some(listed));
    assert_eq!(answer.header("access-control-allow-methods"), Some("PUT"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    for origin in [
        "https://evil.example",
        "http://portal.campus.example",
        "https://portal.campus.example:444",
        "https://portal.campus.example.evil.example",
        "https://evil-portal.campus.example",
        REPOSITORY,
    ] {
        let answer = preflight(origin).send().await;
        answer.assert_status(401);
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{origin}");
    }
    for origin in ["null", "*", "https://portal.campus.example, https://evil.example"] {
        let request = browser.request(Method::OPTIONS, LOANS).by_script_on(listed).header("origin", origin);
        let answer = request.header("access-control-request-method", "PUT").send().await;
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")), "{origin}");
    }
    // A script of a listed origin can read that it is not signed in; another cannot.
    let told = browser.get(LOANS).by_script_on(listed).send().await;
    assert_told(&told, 401, "sign_in_needed");
    assert_eq!(told.header("access-control-allow-origin"), Some(listed));
    let told = browser.get(LOANS).by_script_on("https://evil.example").send().await;
    assert!(told.header("access-control-allow-origin").is_none());
    assert!(campus.library().requests().is_empty());

    // Where the policy lets everybody in, the app answers preflights itself, and learns of nobody.
    let open = browser.request(Method::OPTIONS, &format!("{LIBRARY}/catalogue/x")).by_script_on("https://evil.example");
    let open = open.header("access-control-request-method", "PUT").header("x-orcid-id", "0000-0002-1825-0097");
    open.header("remote_user", "root").send().await.assert_status(200);
    let seen = campus.library().last_request();
    assert_eq!(seen.method, "OPTIONS");
    assert!(seen.aliases("x-orcid-id").is_empty() && seen.aliases("remote-user").is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t87_what_operators_ask_is_not_answered_in_public() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let member = campus.browser();
    campus.sign_in(&member, LOANS, &people::ordinary()).await.assert_status(200);
    campus.library().forget();
    for path in ["metrics", "health", "ready", "debug/pprof", "admin", "status"] {
        for prefix in ["", ".lychgate/"] {
            for browser in [&browser, &member] {
                browser
                    .get(&format!("{SIGN_IN}/{prefix}{path}"))
                    .send()
                    .await
                    .assert_status(404)
                    .assert_lacks("lychgate_");
            }
        }
        browser.get(&format!("{LIBRARY}/.lychgate/{path}")).send().await.assert_status(404).assert_lacks("lychgate_");
        // On a site these are the app's own addresses, and follow its policy.
        browser.get(&format!("{LIBRARY}/{path}")).send().await.assert_status(303);
    }
    assert!(campus.library().requests().is_empty());
    let ops = format!("http://{}", campus.gate().addresses().ops);
    browser.get(&format!("{ops}/metrics")).by_tool().send().await.assert_status(200);
    for path in ["/loans", "/.lychgate/me", "/.lychgate/sign-in", "/"] {
        browser.get(&format!("{ops}{path}")).by_tool().send().await.assert_status(404);
    }
    browser.request(Method::POST, &format!("{ops}/metrics")).by_tool().send().await.assert_status(405);
    campus.close().await;
}
