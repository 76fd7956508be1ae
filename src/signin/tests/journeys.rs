use super::*;

const WIKI_PAGE: &str = "https://wiki.example:8443/page/%41?q=a&b=%2F";

#[tokio::test]
async fn j1_a_first_visit_ends_on_the_very_page_that_was_opened() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let page = browser.open(WIKI_PAGE).await;
    assert!(page.url.starts_with("https://signin.example:8443/.lychgate/sign-in"), "{}", page.url);
    let at_provider = browser.open(&page.link("/sign-in/start?")).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let thanks = browser.open(&back).await;
    assert!(thanks.url.ends_with("/connected") && thanks.body.contains(SOFIA));
    let mut onward = browser.step(&thanks.link("/sign-in?")).await;
    onward = browser.step(onward.headers["location"].to_str().unwrap()).await;
    assert_eq!(onward.headers["location"], WIKI_PAGE);
    assert_eq!(browser.open(WIKI_PAGE).await.body, format!("the app greets {SOFIA}"));
    // Once: the next sign-in of the same connection passes without a word.
    let mut elsewhere = campus.browser();
    let page = elsewhere.open(WIKI_PAGE).await;
    let at_provider = elsewhere.open(&page.link("/sign-in/start?")).await;
    let back = elsewhere.agreed(&at_provider, SOFIA, "/authenticate");
    assert_eq!(elsewhere.open(&back).await.body, format!("the app greets {SOFIA}"));
}

#[tokio::test]
async fn j2_denying_explains_and_trying_again_works() {
    let campus = Campus::open().await;
    for says in ["error=access_denied", "error=access_denied&error_description=%3Cscript%3E"] {
        let mut browser = campus.browser();
        let page = browser.open(WIKI_PAGE).await;
        let at_provider = browser.open(&page.link("/sign-in/start?")).await;
        let back = browser.way_back(&at_provider, says);
        // ORCID loses the state now and then.
        let back = back.split("&state=").next().unwrap().to_owned();
        let denied = browser.open(&back).await;
        assert!(denied.url.ends_with("/.lychgate/denied"), "{}", denied.url);
        assert!(!denied.body.contains("<script>"));
        assert!(denied.body.replace("&#x2f;", "/").contains("href=\"/.lychgate/sign-in\""));
        let left = browser.open("https://signin.example:8443/.lychgate/sign-in").await;
        assert!(left.status == StatusCode::OK && !left.body.contains("wiki"), "leaving leads to no site that asks");
        assert!(!browser.jars["signin.example"].keys().any(|name| name.contains("-try-")), "the attempt has ended");
        let again = browser.open(&denied.link("/sign-in/start?")).await;
        let back = browser.agreed(&again, SOFIA, "/authenticate");
        let landed = browser.open(&back).await;
        let landed =
            if landed.url.ends_with("/connected") { browser.open(&landed.link("/sign-in?")).await } else { landed };
        assert_eq!(landed.body, format!("the app greets {SOFIA}"));
    }
}

#[tokio::test]
async fn j4_a_wider_permission_is_explained_and_asked_for_together_with_the_old_one() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in(WIKI_PAGE, SOFIA).await;
    let page = browser.open("https://wiki.example:8443/deposit").await;
    assert!(page.body.contains("so that your deposit appears on your record"));
    let at_provider = browser.open(&page.link("/sign-in/start?")).await;
    let asked = url::Url::parse(&at_provider.url).unwrap();
    let scope = asked.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
    assert_eq!(scope.split(' ').count(), 2, "{scope}");

    // Declining leaves the narrower session intact.
    let denied = browser.open(&browser.way_back(&at_provider, "error=access_denied")).await;
    assert!(denied.url.ends_with("/denied"));
    assert_eq!(denied.link("https://wiki.example:8443/"), "https://wiki.example:8443/", "leaving leads to the site");
    assert_eq!(browser.open(WIKI_PAGE).await.body, format!("the app greets {SOFIA}"));

    let again = browser.open(&denied.link("/sign-in/start?")).await;
    let before = browser.jars["signin.example"][cookie_name()].clone();
    let back = browser.agreed(&again, SOFIA, "/authenticate /activities/update");
    let thanks = browser.open(&back).await;
    assert!(thanks.url.ends_with("/connected"), "shown once more, because the connection is wider");
    assert_ne!(browser.jars["signin.example"][cookie_name()], before, "T64: a new key after a step-up");
    assert_eq!(browser.open(&thanks.link("/sign-in?")).await.body, format!("the app greets {SOFIA}"));
    assert_eq!(browser.open("https://wiki.example:8443/deposit").await.body, format!("the app greets {SOFIA}"));
}

#[tokio::test]
async fn t94_a_narrower_grant_is_said_and_never_goes_round_in_circles() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let page = browser.open("https://wiki.example:8443/deposit").await;
    let at_provider = browser.open(&page.link("/sign-in/start?")).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let thanks = browser.open(&back).await;
    assert!(thanks.url.ends_with("/connected"));
    let page = browser.open(&thanks.link("/sign-in?")).await;
    assert!(page.url.ends_with("/sign-in"), "it asks again, on a page: {}", page.url);
    assert_eq!(browser.open(WIKI_PAGE).await.body, format!("the app greets {SOFIA}"));
}

#[tokio::test]
async fn j5_a_second_site_needs_no_second_trip() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in(WIKI_PAGE, SOFIA).await;
    assert_eq!(browser.open("https://library.example:8443/x?y").await.body, format!("the app greets {SOFIA}"));
    assert_eq!(campus.provider.exchanges(), 1);
    let keys: Vec<_> = browser.jars.values().map(|jar| jar[cookie_name()].clone()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "every host has its own");
}

#[tokio::test]
async fn a_direct_site_skips_the_page() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let page = browser.open("https://library.example:8443/").await;
    assert!(page.url.starts_with(&campus.provider.issuer));
}

#[tokio::test]
async fn j6_signing_out_of_one_site_is_not_undone_in_silence() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in(WIKI_PAGE, SOFIA).await;
    browser.open("https://library.example:8443/").await;
    let url = "https://wiki.example:8443/.lychgate/sign-out";
    let ask = browser.step(url).await;
    assert_eq!(browser.open(WIKI_PAGE).await.body, format!("the app greets {SOFIA}"), "GET changes nothing");
    let replayed = browser.clone();
    let form = format!("token={}&reach=site", ask.field("token"));
    let done = browser.post(url, &form, Some("https://wiki.example:8443")).await;
    assert_eq!(done.status, StatusCode::OK);
    let page = browser.open(WIKI_PAGE).await;
    assert!(page.url.ends_with("/sign-in"), "asked, not signed in by itself: {}", page.url);
    let page = browser.open(&page.link("/sign-in/continue?")).await;
    assert_eq!(page.body, format!("the app greets {SOFIA}"));
    assert_eq!(browser.open("https://library.example:8443/").await.body, format!("the app greets {SOFIA}"));
    // T69: the old cookie is worth nothing.
    let mut thief = campus.browser();
    thief.jars.insert("wiki.example".into(), replayed.jars["wiki.example"].clone());
    assert!(thief.open(WIKI_PAGE).await.url.ends_with("/sign-in"));
}

#[tokio::test]
async fn j6_signing_out_everywhere_and_on_all_devices() {
    let campus = Campus::open().await;
    let (mut here, mut there) = (campus.browser(), campus.browser());
    here.sign_in(WIKI_PAGE, SOFIA).await;
    there.sign_in(WIKI_PAGE, SOFIA).await;
    let url = "https://signin.example:8443/.lychgate/sign-out";
    for (reach, there_after) in [("everywhere", true), ("all-devices", false)] {
        let ask = here.step(url).await;
        let form = format!("token={}&reach={reach}", ask.field("token"));
        let done = here.post(url, &form, Some("https://signin.example:8443")).await;
        assert_eq!(done.status, StatusCode::OK);
        assert!(here.open(WIKI_PAGE).await.url.ends_with("/sign-in"), "{reach}");
        assert_eq!(there.open(WIKI_PAGE).await.body.contains(SOFIA), there_after, "{reach}");
        here.sign_in(WIKI_PAGE, SOFIA).await;
    }
}

#[tokio::test]
async fn j14_orcid_down_is_said_and_sessions_live_on() {
    let campus = Campus::open().await;
    campus.provider.go_down(true);
    let mut browser = campus.browser();
    let page = browser.open(WIKI_PAGE).await;
    let sorry = browser.open(&page.link("/sign-in/start?")).await;
    assert_eq!(sorry.status, StatusCode::SERVICE_UNAVAILABLE);
    campus.provider.go_down(false);
    campus.clock.advance(120);
    let at_provider = browser.open(&sorry.link("/sign-in/start?")).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let thanks = browser.open(&back).await;
    assert_eq!(browser.open(&thanks.link("/sign-in?")).await.body, format!("the app greets {SOFIA}"));
    campus.provider.go_down(true);
    assert_eq!(browser.open(WIKI_PAGE).await.body, format!("the app greets {SOFIA}"));
    assert_eq!(browser.open("https://library.example:8443/").await.body, format!("the app greets {SOFIA}"));
}

#[tokio::test]
async fn j15_parallel_tabs_all_arrive() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let mut tabs = Vec::new();
    for n in 0..4 {
        let url = format!("https://wiki.example:8443/tab/{n}");
        let page = browser.open(&url).await;
        tabs.push((url, browser.open(&page.link("/sign-in/start?")).await));
    }
    for (n, (_, at_provider)) in tabs.iter().enumerate() {
        let back = browser.agreed(at_provider, SOFIA, "/authenticate");
        let landed = browser.open(&back).await;
        let landed =
            if landed.url.ends_with("/connected") { browser.open(&landed.link("/sign-in?")).await } else { landed };
        assert_eq!(landed.url, format!("https://wiki.example:8443/tab/{n}"));
        assert_eq!(landed.body, format!("the app greets {SOFIA}"));
    }
}

#[tokio::test]
async fn j15_the_back_button_and_bookmarks_lead_on() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let sign_in_page = browser.open(WIKI_PAGE).await;
    let start = sign_in_page.link("/sign-in/start?");
    let at_provider = browser.open(&start).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let thanks = browser.open(&back).await;
    browser.open(&thanks.link("/sign-in?")).await;
    campus.clock.advance(120);
    // The callback once more, from the history: the cookie is gone, the session is there.
    let page = browser.open(&back).await;
    assert!(page.url.ends_with("/account") && page.status == StatusCode::OK);
    assert_eq!(browser.open(&thanks.link("/sign-in?")).await.body, format!("the app greets {SOFIA}"));
    // A bookmarked sign-in page of days ago, signed in or not.
    campus.clock.advance(3 * 86_400);
    let page = browser.open(&start).await;
    assert!(page.url.ends_with("/sign-in") && page.status == StatusCode::OK, "{}", page.url);
    let page = campus.browser().open("https://signin.example:8443/.lychgate/sign-in").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(campus.provider.exchanges(), 1);
}

#[tokio::test]
async fn j15_an_expired_attempt_starts_again_or_goes_on() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let page = browser.open(WIKI_PAGE).await;
    let at_provider = browser.open(&page.link("/sign-in/start?")).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    campus.clock.advance(16 * 60);
    let late = browser.open(&back).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    assert_eq!(campus.provider.exchanges(), 0);
    let page = browser.open(&late.link("/sign-in?")).await;
    assert!(page.url.ends_with("/sign-in"));
}

#[tokio::test]
async fn j16_programs_are_told_and_start_nothing() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let mut request = browser.request(Method::GET, WIKI_PAGE);
    request.headers.insert("sec-fetch-mode", HeaderValue::from_static("cors"));
    let told = browser.send(request).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    assert!(told.headers.contains_key("www-authenticate"));
    assert!(told.body.contains("\"https://wiki.example:8443/\""), "{}", told.body);
    assert!(browser.jars.is_empty());
    browser.sign_in(WIKI_PAGE, SOFIA).await;
    let mut request = browser.request(Method::GET, "https://wiki.example:8443/deposit");
    request.headers.insert("sec-fetch-mode", HeaderValue::from_static("cors"));
    let told = browser.send(request).await;
    assert_eq!(told.status, StatusCode::FORBIDDEN);
    assert!(told.body.contains("/activities/update"));
}

#[tokio::test]
async fn a_posted_form_that_nobody_keeps_is_never_dropped_in_silence() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let told = browser.post("https://wiki.example:8443/form?x=1", "a=b", None).await;
    assert_eq!(told.status, StatusCode::FORBIDDEN);
    let page = browser.open(&told.link("/sign-in?")).await;
    let at_provider = browser.open(&page.link("/sign-in/start?")).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let thanks = browser.open(&back).await;
    let landed = browser.open(&thanks.link("/sign-in?")).await;
    assert_eq!(landed.url, "https://wiki.example:8443/form");
}

#[tokio::test]
async fn long_addresses_wait_and_longer_ones_lead_to_the_front_page() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in("https://library.example:8443/", SOFIA).await;
    for (length, kept) in [(700, true), (1_100, true), (3_000, true), (3_100, false), (9_000, false)] {
        let mut fresh = campus.browser();
        fresh.jars.insert("signin.example".into(), browser.jars["signin.example"].clone());
        let path = format!("/find?{}", "a/%2F;=".repeat(length / 7));
        let page = fresh.open(&format!("https://wiki.example:8443{path}")).await;
        if kept {
            assert_eq!(page.asked_for, path, "{length}");
        } else {
            assert!(page.url.ends_with("/.lychgate/arrive") && page.status == StatusCode::OK, "{}", page.url);
            assert_eq!(page.link("wiki.example"), "https://wiki.example:8443/");
        }
        assert_eq!(fresh.open("https://wiki.example:8443/").await.body, format!("the app greets {SOFIA}"));
        assert!(!fresh.jars["wiki.example"].keys().any(|name| name.contains("-to-")), "cleared away");
    }
}

#[tokio::test]
async fn the_portal_connects_and_shows() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let page = browser.open("https://portal.example:8443/").await;
    assert_eq!(page.status, StatusCode::OK);
    let at_provider = browser.open(&page.link("/sign-in?")).await;
    assert!(at_provider.url.contains("activities"), "straight to the provider: {}", at_provider.url);
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate /activities/update");
    let thanks = browser.open(&back).await;
    let portal = browser.open(&thanks.link("/sign-in?")).await;
    assert!(portal.url == "https://portal.example:8443/" && portal.body.contains(SOFIA));
    for _ in 0..8 {
        assert_eq!(browser.open("https://portal.example:8443/").await.status, StatusCode::OK);
    }
    let again = browser.open(&portal.link("/sign-in?")).await;
    assert!(again.url.starts_with(&campus.provider.issuer));
    assert_eq!(browser.open("https://portal.example:8443/elsewhere").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn me_account_and_jwks_show() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let me = "https://wiki.example:8443/.lychgate/me";
    assert_eq!(browser.step(me).await.status, StatusCode::UNAUTHORIZED);
    browser.sign_in(WIKI_PAGE, SOFIA).await;
    let shown: serde_json::Value = serde_json::from_str(&browser.step(me).await.body).unwrap();
    assert_eq!(shown["id"], SOFIA);
    assert_eq!(shown["name"], "Sofia Garcia");
    let keys: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["expires", "id", "idle_expires", "name", "now", "uri"]);
    for stranger in ["cross-site", "same-site", "?"] {
        let mut request = browser.request(Method::GET, me);
        request.headers.insert("sec-fetch-site", HeaderValue::from_static(stranger));
        let refused = browser.send(request).await;
        assert!(refused.status == StatusCode::FORBIDDEN && !refused.body.contains(SOFIA), "T86 {stranger}");
    }
    let account = browser.open("https://signin.example:8443/.lychgate/account").await;
    assert!(account.body.contains(SOFIA));
    let keys = browser.step("https://signin.example:8443/.lychgate/jwks.json").await;
    assert!(keys.body.contains("\"ES256\""));
}

#[tokio::test]
async fn what_is_not_ours_is_not_there() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    for url in [
        "https://wiki.example:8443/.lychgate/account",
        "https://wiki.example:8443/.lychgate/sign-in",
        "https://wiki.example:8443/.lychgate/sign-in/start",
        "https://wiki.example:8443/.lychgate/callback/orcid?code=a&state=b",
        "https://wiki.example:8443/.lychgate/",
        "https://signin.example:8443/.lychgate/arrive?ticket=x",
        "https://signin.example:8443/.lychgate/me",
        "https://signin.example:8443/.lychgate/badge",
        "https://signin.example:8443/.lychgate/callback/other?code=a&state=b",
        "https://signin.example:8443/.lychgate/callback/",
        "https://signin.example:8443/.lychgate/assets/../x",
    ] {
        assert_eq!(browser.step(url).await.status, StatusCode::NOT_FOUND, "{url}");
    }
}

pub(super) fn cookie_name() -> &'static str {
    crate::session::cookie::SESSION
}

#[tokio::test]
async fn sign_out_knows_three_methods_whoever_asks() {
    let campus = Campus::open().await;
    let mut somebody = campus.browser();
    somebody.sign_in(WIKI_PAGE, SOFIA).await;
    for mut browser in [campus.browser(), somebody] {
        for host in ["wiki.example", "signin.example"] {
            let url = format!("https://{host}:8443/.lychgate/sign-out");
            for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
                let answer = browser.send(browser.request(method, &url)).await;
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{url}");
                assert_eq!(answer.headers["allow"], "GET, HEAD, POST");
            }
            for method in [Method::GET, Method::HEAD] {
                assert_eq!(browser.send(browser.request(method, &url)).await.status, StatusCode::OK, "{url}");
            }
        }
    }
}
