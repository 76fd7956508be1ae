//! The app's own session belongs to the person it was made for (B10, B20): whoever comes after them in the same
//! browser brings none of it along, whether the cookies are listed or learnt; and the person themself keeps it.

use crate::campus::browser::{Browser, Speaks};
use crate::campus::legacy_app::Behaviour;
use crate::campus::{Campus, SIGN_IN, people};
use crate::sign_in_attacks::TODAY;
use lychgate::domain::StoppedClock;
use std::sync::Arc;
use url::Url;

const SESSION: &str = "PHPSESSID";
/// What PHP made for the first to come.
const FIRST: &str = "first-of-the-sessions-4711";
const SECOND: &str = "second-of-the-sessions-42";

/// An application with a session of its own; `bound` is its `app_cookies`. The library lists its cookie, the repository's
/// are learnt.
fn site(name: &str, bound: &str) -> String {
    format!(
        r#"
[site]
name = "{name}"
hosts = ["{name}.campus.example"]
upstream = "{{{name}}}"

[hand-off]
{bound}

[[rule]]
name = "front page"
paths = ["/", "/public/**"]
access = "public"

[[rule]]
name = "administrators"
paths = ["/admin/**"]
access = "signed-in"
researchers = ["{}"]

[[rule]]
access = "signed-in"
"#,
        people::ordinary().orcid
    )
}

fn builder() -> crate::campus::Builder {
    Campus::build()
        .site("library", &site("library", "app_cookies = [\"PHPSESSID\"]"))
        .site("repository", &site("repository", "app_cookies = \"auto\""))
        .site("loose", &site("loose", ""))
}

fn at(name: &str) -> String {
    format!("https://{name}.campus.example")
}

/// The app gives whoever asks for `/in` a session of this value.
fn gives(campus: &Campus, name: &str, value: &str) {
    let line = format!("{SESSION}={value}; Path=/; HttpOnly; SameSite=Lax");
    campus.app(name).on("/in", Behaviour::answer(200, &[("Set-Cookie", &line)], "welcome"));
}

/// What the app sees of its cookies on `path`.
async fn seen(campus: &Campus, browser: &Browser, name: &str, path: &str) -> String {
    browser.get(&format!("{}{path}", at(name))).send().await.assert_status(200);
    campus.app(name).last_request().all("cookie").join("; ")
}

/// The browser's session at ORCID ends, as on a machine that many use.
pub fn forget_orcid(campus: &Campus, browser: &Browser) {
    let orcid: Url = campus.simulator.base_url.parse().unwrap();
    let now = browser.network().now();
    for cookie in browser.cookies(orcid.as_str()) {
        browser.jar().take(&orcid, &format!("{}=; Path={}; HttpOnly; Max-Age=0", cookie.name, cookie.path), now);
    }
}

async fn sign_out(browser: &Browser, host: &str) {
    let asks = browser.open(&format!("{host}/.lychgate/sign-out")).await;
    asks.form(0).submit().await.assert_status(200);
}

/// The first signs in, the app makes them a session, the second signs in in the same browser.
async fn one_after_the_other(names: &[&str], order: [people::Person; 2], restarts: bool) {
    let mut campus = builder().open().await;
    let browser = campus.browser();
    let [first, second] = order;
    for name in names {
        gives(&campus, name, FIRST);
        campus.sign_in(&browser, &format!("{}/in", at(name)), &first).await.assert_status(200);
        assert_eq!(seen(&campus, &browser, name, "/desk").await, format!("{SESSION}={FIRST}"), "{name}");
        assert_eq!(seen(&campus, &browser, name, "/").await, format!("{SESSION}={FIRST}"), "{name}: a public page");
    }
    if restarts {
        campus.restart().await;
        for name in names {
            assert_eq!(seen(&campus, &browser, name, "/desk").await, format!("{SESSION}={FIRST}"), "{name}");
        }
    }
    sign_out(&browser, SIGN_IN).await;
    forget_orcid(&campus, &browser);
    for name in names {
        // Nobody is signed in: the first one's session is theirs still, and nobody's here.
        assert_eq!(seen(&campus, &browser, name, "/public/news").await, "", "{name}: a guest");
        campus.app(name).forget();
        campus.sign_in(&browser, &format!("{}/desk", at(name)), &second).await.assert_status(200);
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            assert_eq!(seen(&campus, &browser.speaking(speaks), name, "/public/news").await, "", "{name}");
        }
        assert_eq!(browser.cookie(&at(name), SESSION), None, "{name}: the browser keeps it");
        gives(&campus, name, SECOND);
        browser.open(&format!("{}/in", at(name))).await.assert_status(200);
        assert_eq!(seen(&campus, &browser, name, "/desk").await, format!("{SESSION}={SECOND}"), "{name}");
        let told = campus.app(name).requests();
        assert!(told.iter().all(|request| !String::from_utf8_lossy(&request.raw_head).contains(FIRST)), "{name}");
        assert_eq!(campus.app(name).last_request().all("x-orcid-id"), [second.orcid.as_str()]);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_who_signs_in_after_somebody_brings_none_of_their_sessions_to_the_app() {
    one_after_the_other(&["library", "repository"], [people::ordinary(), people::from_afar()], false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_nor_the_other_way_round_nor_after_a_restart() {
    one_after_the_other(&["library", "repository"], [people::from_afar(), people::ordinary()], true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_a_refused_researcher_switches_to_another_id_and_gets_in_as_somebody_new() {
    switch(builder().open().await, "openid").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_nor_does_orcids_own_session_answer_where_sign_ins_ask_for_authenticate() {
    switch(builder().configuration("base_scope = \"/authenticate\"\n").open().await, "/authenticate").await;
}

/// `base` is what a plain sign-in of this campus asks for.
async fn switch(campus: Campus, base: &str) {
    let (browser, refused) = (campus.browser(), people::from_afar());
    gives(&campus, "library", FIRST);
    campus.sign_in(&browser, &format!("{}/in", at("library")), &refused).await.assert_status(200);
    let admin = format!("{}/admin/users?sort=name", at("library"));
    let page = browser.open(&admin).await;
    page.assert_status(403).assert_says(refused.orcid.as_str()).assert_says("administrators");
    let page = page.click("Use another ORCID iD").await;
    assert_eq!(campus.app("library").last_request().all("x-orcid-scopes"), [base]);
    let asked = page.hops.iter().find(|hop| hop.url.path() == "/oauth/authorize").unwrap();
    let value = |name: &str| asked.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!((value("prompt").as_deref(), value("scope").as_deref()), (Some("login"), Some("openid")));
    let there = people::arrive(page, &people::ordinary()).await;
    there.assert_status(200).assert_at(&admin);
    let seen = campus.app("library").last_request();
    assert_eq!(seen.all("x-orcid-id"), [people::ordinary().orcid.as_str()]);
    assert!(seen.all("cookie").is_empty(), "{:?}", seen.all("cookie"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_researcher_signing_in_anew_keeps_the_apps_session() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = builder().clock(clock.clone()).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    for name in ["library", "repository"] {
        gives(&campus, name, FIRST);
        campus.sign_in(&browser, &format!("{}/in", at(name)), &person).await.assert_status(200);
    }
    clock.advance(25 * 3600);
    for name in ["library", "repository"] {
        // A page for everybody in between neither shows it nor ends it.
        assert_eq!(seen(&campus, &browser, name, "/").await, "", "{name}");
        let back = format!("{}/desk", at(name));
        campus.sign_in(&browser, &back, &person).await.assert_status(200).assert_at(&back);
        assert_eq!(campus.app(name).last_request().all("cookie").join("; "), format!("{SESSION}={FIRST}"), "{name}");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_signing_out_of_a_site_takes_the_apps_session_along() {
    let campus = builder().open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    for name in ["library", "repository"] {
        let lines = [
            ("Set-Cookie", format!("{SESSION}={FIRST}; HttpOnly")),
            ("Set-Cookie", format!("{SESSION}={SECOND}; Path=/desk; Max-Age=9999")),
        ];
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
        campus.app(name).on("/in", Behaviour::answer(200, &lines, "welcome"));
        campus.sign_in(&browser, &format!("{}/in", at(name)), &person).await.assert_status(200);
        let both = seen(&campus, &browser, name, "/desk").await;
        assert!(both.contains(FIRST) && both.contains(SECOND), "{name}: {both}");
        sign_out(&browser, &at(name)).await;
        assert_eq!(browser.cookies(&format!("{}/desk", at(name))).iter().filter(|c| c.value == SECOND).count(), 0);
        let ours = browser.cookies(&at(name)).into_iter().filter(|cookie| cookie.name.contains("lychgate-app"));
        assert_eq!(ours.count(), 0, "{name}");
        // What the browser may still hold elsewhere opens nothing, not even for them.
        let desk = format!("{}/desk", at(name));
        let asks = browser.open(&desk).await;
        asks.click("Continue").await.assert_status(200).assert_at(&desk);
        assert!(campus.app(name).last_request().all("cookie").is_empty(), "{name}");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_binds_nothing_is_left_alone_and_what_is_bound_is_not_cached_for_others() {
    let campus = builder().open().await;
    let browser = campus.browser();
    let line = format!("{SESSION}={FIRST}; Path=/; HttpOnly");
    let answer = Behaviour::answer(200, &[("Set-Cookie", &line), ("Cache-Control", "public, max-age=60")], "news");
    for name in ["library", "repository", "loose"] {
        campus.app(name).on("/public/news", answer.clone());
    }
    let loose = browser.get(&format!("{}/public/news", at("loose"))).send().await;
    assert_eq!((loose.set_cookies(), loose.header("cache-control")), (vec![line.clone()], Some("public, max-age=60")));
    for name in ["library", "repository"] {
        let bound = browser.get(&format!("{}/public/news", at(name))).send().await;
        assert_eq!(bound.set_cookies()[0], line);
        let companion = &bound.set_cookies()[1];
        assert!(companion.starts_with("__Host-Http-lychgate-app-PHPSESSID="), "{companion}");
        assert!(companion.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{companion}");
        assert_eq!(bound.header("cache-control"), Some("max-age=60, private"));
        // A guest's is a guest's.
        assert_eq!(seen(&campus, &browser, name, "/").await, format!("{SESSION}={FIRST}"));
        campus.sign_in(&browser, &format!("{}/desk", at(name)), &people::ordinary()).await.assert_status(200);
        assert!(campus.app(name).last_request().all("cookie").is_empty(), "{name}");
    }
    // What script sets nobody vouches for; it is withheld where it is called what is bound.
    browser.script_sets_cookie(&at("library"), &format!("{SESSION}=planted; Path=/"));
    browser.script_sets_cookie(&at("library"), "theme=dark; Path=/");
    assert_eq!(seen(&campus, &browser, "library", "/desk").await, "theme=dark");
    campus.close().await;
}
