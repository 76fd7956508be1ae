use super::journeys::cookie_name;
use super::*;

const WIKI: &str = "https://wiki.example:8443/";
const CALLBACK: &str = "https://signin.example:8443/.lychgate/callback/orcid";

/// At the provider, with the attempt in the browser.
async fn under_way<'a>(campus: &'a Campus) -> (Browser<'a>, Shown) {
    let mut browser = campus.browser();
    let page = browser.open(WIKI).await;
    let at_provider = browser.open(&page.link("/sign-in/start?")).await;
    (browser, at_provider)
}

fn is_signed_in(browser: &Browser<'_>) -> bool {
    browser.jars.get("signin.example").is_some_and(|jar| jar.contains_key(cookie_name()))
}

#[tokio::test]
async fn t35_state_nonce_and_cookie_are_fresh_and_long() {
    let campus = Campus::open().await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..5 {
        let (browser, at_provider) = under_way(&campus).await;
        let url = url::Url::parse(&at_provider.url).unwrap();
        let asked: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["redirect_uri"], CALLBACK);
        assert!(asked["state"].len() >= 22 && seen.insert(asked["state"].clone()));
        let (name, value) = browser.jars["signin.example"].iter().find(|(name, _)| name.contains("-try-")).unwrap();
        assert!(name.ends_with(&asked["state"]) && name.len() + value.len() <= 1_536);
    }
}

#[tokio::test]
async fn t36_t38_without_the_attempts_cookie_nothing_happens() {
    let campus = Campus::open().await;
    let (browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, JOSIAH, "/authenticate");
    let mut victim = campus.browser();
    let page = victim.open(&back).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(!is_signed_in(&victim));
    for state in ["", "x", &"A".repeat(27), &"A".repeat(5_000)] {
        let page = victim.open(&format!("{CALLBACK}?code=abc&state={state}")).await;
        assert!(page.status == StatusCode::BAD_REQUEST, "{state}");
    }
    // A cookie of another attempt under this state's name does not open.
    let (mut crossed, other) = under_way(&campus).await;
    let jar = crossed.jars.get_mut("signin.example").unwrap();
    let (_, value) = jar.iter().find(|(name, _)| name.contains("-try-")).unwrap();
    let (value, state) = (value.clone(), other.url.split("state=").nth(1).unwrap().split('&').next().unwrap());
    let forged = format!("{}{}", &state[..26], if state.ends_with('A') { "Q" } else { "A" });
    jar.insert(format!("__Host-Http-lychgate-try-{forged}"), value);
    let code = campus.provider.agree(JOSIAH, "/authenticate");
    crossed.open(&format!("{CALLBACK}?code={code}&state={forged}")).await;
    assert!(!is_signed_in(&crossed));
    assert_eq!(campus.provider.exchanges(), 0, "no token call for any of them");
}

#[tokio::test]
async fn t37_fifty_equal_callbacks_exchange_once_and_all_receive_the_same_session() {
    let campus = Campus::open().await;
    let (browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let requests = (0..50).map(|_| {
        let mut tab = browser.clone();
        let request = tab.request(Method::GET, &back);
        async move {
            let page = tab.send(request).await;
            assert_eq!(page.status, StatusCode::SEE_OTHER);
            (tab.jars["signin.example"][cookie_name()].clone(), page.headers["location"].clone())
        }
    });
    let outcomes = futures_util::future::join_all(requests).await;
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]));
    assert_eq!(campus.provider.exchanges(), 1);
    // A little later, in sequence, still the same; after a minute it is history.
    let mut tab = browser.clone();
    campus.clock.advance(50);
    tab.open(&back).await;
    assert_eq!(tab.jars["signin.example"][cookie_name()], outcomes[0].0);
    campus.clock.advance(70);
    let mut late = browser.clone();
    let page = late.open(&back).await;
    assert!(!is_signed_in(&late) && page.status == StatusCode::BAD_REQUEST);
    assert_eq!(campus.provider.exchanges(), 1);
}

#[tokio::test]
async fn t37_after_a_restart_the_code_is_not_exchanged_again() {
    let campus = Campus::open().await;
    let (browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let jars = browser.jars.clone();
    let mut first = browser.clone();
    first.open(&back).await;
    let signed_in = first.jars.clone();
    let campus = campus.restart();
    let mut second = campus.browser();
    second.jars = jars;
    let page = second.open(&back).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "start again");
    assert!(!is_signed_in(&second));
    assert_eq!(campus.provider.exchanges(), 1);
    // The session itself survived the restart.
    let mut first = campus.browser();
    first.jars = signed_in;
    assert!(first.open(WIKI).await.body.contains(SOFIA));
}

#[tokio::test]
async fn t39_t40_ambiguous_answers_are_refused_before_any_call() {
    let campus = Campus::open().await;
    let (mut browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let state = back.split("state=").nth(1).unwrap().to_owned();
    for query in [
        format!("code=a&state={state}&state={state}"),
        format!("code=a&state={state}&st%61te=x"),
        format!("code=a&code=b&state={state}"),
        format!("code=a&error=access_denied&state={state}"),
        format!("code=a&state={state}&iss=https%3A%2F%2Fevil.example"),
    ] {
        let page = browser.open(&format!("{CALLBACK}?{query}")).await;
        assert!(page.status.is_client_error() || page.status == StatusCode::BAD_GATEWAY, "{query}");
        assert!(!is_signed_in(&browser), "{query}");
    }
    for error in ["login_required", "interaction_required", "server_error", "temporarily_unavailable", "%3Cscript%3E"] {
        let mut tab = browser.clone();
        let page = tab.open(&format!("{CALLBACK}?error={error}&error_description=%3Cb%3E&state={state}")).await;
        assert!(page.status.is_client_error() && !page.body.contains("<script>") && !page.body.contains("<b>"));
        assert!(!page.url.contains("error"), "{}", page.url);
    }
    let nothing = browser.step(CALLBACK).await;
    assert_eq!(
        (nothing.status, nothing.headers["referrer-policy"].to_str().unwrap()),
        (StatusCode::BAD_REQUEST, "no-referrer")
    );
    assert_eq!(campus.provider.exchanges(), 0);
    // The attempt is still good: nothing was spent on the way.
    assert!(is_signed_in(&{
        browser.open(&back).await;
        browser
    }));
}

#[tokio::test]
async fn t43_a_callback_is_never_posted() {
    let campus = Campus::open().await;
    let (mut browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let page = browser.post(&back, "", None).await;
    assert_eq!((page.status, page.headers["allow"].to_str().unwrap()), (StatusCode::METHOD_NOT_ALLOWED, "GET"));
    assert!(!is_signed_in(&browser));
}

#[tokio::test]
async fn t47_every_answer_to_a_code_is_a_redirect_without_it() {
    let campus = Campus::open().await;
    let (mut browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    for url in [back.clone(), back.clone(), back.replace("state=", "state=x"), back.replace("code=", "code=wrong")] {
        let page = browser.step(&url).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert!(!page.headers["location"].to_str().unwrap().contains(&code));
    }
}

#[tokio::test]
async fn t41_another_issuers_no_ends_nothing() {
    let campus = Campus::open().await;
    let (mut browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    let no = back.replace("code=", "iss=https%3A%2F%2Fevil.example&error=access_denied&was=");
    let page = browser.step(&no).await;
    assert!(page.headers["location"].to_str().unwrap().contains("/sign-in/trouble?"));
    assert_eq!(page.headers.get("set-cookie"), None, "the attempt is still under way");
    browser.open(&back).await;
    assert!(is_signed_in(&browser));
}

#[tokio::test]
async fn t47_a_callback_that_broke_off_is_a_redirect_too() {
    let campus = Campus::open().await;
    let answer = campus.gate.broken_off("/.lychgate/callback/orcid", Notice::Internal, Language::En, &"a panic");
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
    let answer = campus.gate.broken_off("/.lychgate/account", Notice::Internal, Language::En, &"a panic");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    // So is one that meets a store that has ended.
    let (browser, at_provider) = under_way(&campus).await;
    let back = browser.agreed(&at_provider, SOFIA, "/authenticate");
    campus.gate.vault.close();
    let mut browser = browser;
    let page = browser.step(&back.replace("state=", "state=x")).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn t65_somebody_elses_session_ends_before_a_new_one_begins() {
    let campus = Campus::open().await;
    // Begun by somebody who then let another one sit down.
    let (mut browser, under_way) = under_way(&campus).await;
    browser.sign_in(WIKI, JOSIAH).await;
    let old = browser.jars.clone();
    let refused = browser.open("https://wiki.example:8443/nobody").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let at_provider = browser.open(&refused.link("/sign-in?")).await;
    assert!(at_provider.url.starts_with(&campus.provider.issuer), "{}", at_provider.url);
    // Where `/authenticate` is what is usually asked, too: `prompt` goes with `openid` alone.
    assert!(
        at_provider.url.contains("prompt=login") && at_provider.url.contains("scope=openid"),
        "{}",
        at_provider.url
    );
    let back = browser.agreed(&under_way, SOFIA, "/authenticate");
    browser.open(&back).await;
    assert_ne!(browser.jars["signin.example"][cookie_name()], old["signin.example"][cookie_name()], "T64");
    let mut replay = campus.browser();
    replay.jars = old;
    let page = replay.open(WIKI).await;
    assert!(page.url.ends_with("/sign-in") && !page.body.contains(JOSIAH), "root and child have ended");
}

#[tokio::test]
async fn t64_a_session_that_was_brought_along_is_never_the_one_given() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in(WIKI, SOFIA).await;
    let before = browser.jars["wiki.example"][cookie_name()].clone();
    // A child's cookie on the sign-in host, and the root's on a site host, open nothing.
    let root = browser.jars["signin.example"][cookie_name()].clone();
    let mut swapped = campus.browser();
    swapped.jars.entry("wiki.example".into()).or_default().insert(cookie_name().into(), root);
    swapped.jars.entry("signin.example".into()).or_default().insert(cookie_name().into(), before.clone());
    assert!(swapped.open(WIKI).await.url.ends_with("/sign-in"));
    // Nor a child's on another site.
    let mut carried = campus.browser();
    carried.jars.entry("library.example".into()).or_default().insert(cookie_name().into(), before);
    let page = carried.open("https://library.example:8443/").await;
    assert!(page.url.starts_with(&campus.provider.issuer), "{}", page.url);
}

#[tokio::test]
async fn j5_a_ticket_opened_in_another_browser_signs_nobody_in() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in("https://library.example:8443/", SOFIA).await;
    let away = browser.step(WIKI).await;
    let ticket = browser.step(away.headers["location"].to_str().unwrap()).await;
    let ticket = ticket.headers["location"].to_str().unwrap().to_owned();
    assert!(ticket.starts_with("https://wiki.example:8443/.lychgate/arrive?ticket="));

    let mut without = campus.browser();
    let page = without.open(&ticket).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "a page about cookies, no loop");
    let mut victim = campus.browser();
    victim.open(WIKI).await;
    let page = victim.open(&ticket).await;
    assert!(page.url.ends_with("/sign-in"), "a fresh start: {}", page.url);
    assert!(!victim.jars["wiki.example"].contains_key(cookie_name()));

    let mut replay = browser.clone();
    assert!(browser.open(&ticket).await.body.contains(SOFIA), "and it was not used up by them");
    let again = replay.step(&ticket).await;
    assert_eq!(again.headers["location"], WIKI, "a second time it is no ticket");
    assert!(!replay.jars["wiki.example"].contains_key(cookie_name()));
}

#[tokio::test]
async fn j5_a_ticket_is_late_after_a_minute_and_worthless_when_the_root_has_ended() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in("https://library.example:8443/", SOFIA).await;
    let away = browser.step(WIKI).await;
    let to_ticket = away.headers["location"].to_str().unwrap().to_owned();
    for case in ["late", "early", "signed out"] {
        let mut tab = browser.clone();
        let ticket = tab.step(&to_ticket).await.headers["location"].to_str().unwrap().to_owned();
        match case {
            "late" => campus.clock.advance(61),
            "early" => campus.clock.advance(-3600),
            _ => {
                let url = "https://signin.example:8443/.lychgate/sign-out";
                let token = browser.step(url).await.field("token");
                browser.post(url, &format!("token={token}&reach=everywhere"), None).await;
            }
        }
        let page = tab.step(&ticket).await;
        assert_eq!(page.headers["location"], WIKI, "{case}");
        assert!(!tab.jars["wiki.example"].contains_key(cookie_name()), "{case}");
        if case == "early" {
            campus.clock.advance(3600);
        }
    }
}

#[tokio::test]
async fn b8_whoever_loses_the_session_is_stopped_and_told() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in(WIKI, SOFIA).await;
    let mut rounds = 0;
    let stopped = loop {
        rounds += 1;
        assert!(rounds < 8, "nobody stops the loop");
        browser.jars.get_mut("wiki.example").unwrap().remove(cookie_name());
        let page = browser.open(WIKI).await;
        if page.status != StatusCode::OK {
            break page;
        }
    };
    assert_eq!(stopped.status, StatusCode::BAD_REQUEST);
    assert!(browser.open(&stopped.link(WIKI)).await.body.contains(SOFIA), "its link starts over");
}

#[tokio::test]
async fn b8_what_a_browser_brings_along_tells_why_it_goes_round() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in(WIKI, SOFIA).await;
    let held = browser.jars["wiki.example"][cookie_name()].clone();
    let name = cookie_name();
    let live = {
        let request = browser.request(Method::GET, WIKI);
        campus.gate.visitor(&request).await.unwrap().expect("somebody is signed in")
    };
    for (cookies, live, is_ahead, cause) in [
        (format!("{name}={held}"), Some(&*live), false, Notice::NeverEnough),
        (format!("{name}={held}"), None, false, Notice::SessionUnknown),
        (format!("{name}={held}"), None, true, Notice::ClockMoved),
        (format!("{name}={held}; {name}={held}"), None, false, Notice::CookiesDisturbed),
        (format!("{name}=A{}", &held[1..]), None, false, Notice::CookiesDisturbed),
        (format!("{name}="), None, false, Notice::CookiesDisturbed),
        ("other=1".to_owned(), None, false, Notice::CookiesMissing),
    ] {
        let mut request = browser.request(Method::GET, WIKI);
        request.headers.insert("cookie", HeaderValue::from_str(&cookies).unwrap());
        let found = campus.gate.why_in_circles(&request, live, is_ahead);
        // One in sixty-four invented first letters is the right one.
        assert!(found == cause || held.starts_with('A'), "{cookies}: {found:?}");
    }
}

#[tokio::test]
async fn changing_anything_takes_our_origin_and_the_forms_token() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    browser.sign_in(WIKI, SOFIA).await;
    let url = "https://wiki.example:8443/.lychgate/sign-out";
    let ours = Some("https://wiki.example:8443");
    let token = browser.step(url).await.field("token");
    let of_root = browser.step("https://signin.example:8443/.lychgate/sign-out").await.field("token");
    let mut other = campus.browser();
    other.sign_in(WIKI, SOFIA).await;
    let of_other = other.step(url).await.field("token");
    for (form, from) in [
        (format!("token={token}"), Some("https://evil.example")),
        (format!("token={token}"), Some("https://library.example:8443")),
        (format!("token={token}"), Some("null")),
        (String::new(), ours),
        ("token=".to_owned(), ours),
        (format!("token={of_root}"), ours),
        (format!("token={of_other}"), ours),
        (format!("token={token}&token={token}"), ours),
    ] {
        let page = browser.post(url, &form, from).await;
        assert!(page.status.is_client_error(), "{from:?}");
        assert!(browser.open(WIKI).await.body.contains(SOFIA), "{from:?}");
    }
    let mut plain = browser.request(Method::POST, url);
    plain.headers.insert("content-type", HeaderValue::from_static("text/plain"));
    plain.body = Bytes::from(format!("token={token}"));
    assert_eq!(browser.send(plain).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(browser.post(url, &format!("token={token}"), None).await.status, StatusCode::OK, "no statement at all");
    assert!(browser.open(WIKI).await.url.ends_with("/sign-in"));
}

#[tokio::test]
async fn b3_at_most_six_attempts_live_in_one_browser() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    let page = browser.open(WIKI).await;
    let start = page.link("/sign-in/start?");
    let mut states = Vec::new();
    for _ in 0..9 {
        campus.clock.advance(1);
        let at_provider = browser.open(&start).await;
        states.push(at_provider.url.split("state=").nth(1).unwrap().split('&').next().unwrap().to_owned());
        let alive = browser.jars["signin.example"].keys().filter(|name| name.contains("-try-")).count();
        assert!(alive <= 6);
    }
    let alive = |state: &str| browser.jars["signin.example"].keys().any(|name| name.ends_with(state));
    assert!(states[..3].iter().all(|state| !alive(state)) && states[3..].iter().all(|state| alive(state)));
    // A background request mints none.
    let mut request = browser.request(Method::GET, &start);
    request.headers.insert("sec-fetch-mode", HeaderValue::from_static("no-cors"));
    let told = browser.send(request).await;
    assert_eq!(told.status, StatusCode::UNAUTHORIZED);
    assert!(!told.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn t84_nobody_can_make_our_pages_say_something() {
    let campus = Campus::open().await;
    let mut browser = campus.browser();
    for url in [
        "https://signin.example:8443/.lychgate/sign-in/trouble?about=forged",
        "https://signin.example:8443/.lychgate/denied?about=%3Cscript%3E",
        "https://signin.example:8443/.lychgate/connected?about=",
        "https://signin.example:8443/.lychgate/sign-in?arrival=%3Cscript%3E&rd=//evil.example",
    ] {
        let page = browser.open(url).await;
        assert!(page.url.ends_with("/sign-in") && page.status == StatusCode::OK, "{url}");
        assert!(!page.body.contains("<script>") && !page.body.contains("evil.example"));
    }
}
