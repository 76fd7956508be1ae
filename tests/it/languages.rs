//! A researcher reads our pages in their own language: what the browser asks for, what they chose here before, what an
//! address says; and the switch at the foot of a page brings them back to where they were.

use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN, people};
use http::Method;
use lychgate::domain::Language;
use lychgate::pages::texts::Texts;

const COOKIE: &str = "__Host-Http-lychgate-lang";

fn says(language: Language, key: &str) -> String {
    Texts::of(language).get(key).unwrap_or_else(|| panic!("{key}")).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_browsers_wish_is_followed_on_every_host_and_the_visitors_choice_goes_before_it() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let wish = |header: &'static str, url: &str| browser.get(url).header("accept-language", header).send();
    for (header, language) in [
        ("de-CH, fr;q=0.9", Language::De),
        ("nl, es;q=0.5, en;q=0.4", Language::Es),
        ("nl", Language::En),
        ("ar", Language::Ar),
    ] {
        let page = wish(header, &format!("{SIGN_IN}/.lychgate/sign-in")).await;
        page.assert_status(200).assert_says(&says(language, "sign-in.button"));
        // A site that has nobody to ask, and a page of the gate's own about a mistake.
        let page = wish(header, &format!("{LIBRARY}/.lychgate/nothing")).await;
        page.assert_status(404).assert_says(&says(language, "notice.not_found.title"));
    }
    let page = browser.get(&format!("{SIGN_IN}/.lychgate/fr/sign-in")).send().await;
    page.assert_status(200).assert_says(&says(Language::Fr, "sign-in.button")).assert_says("Français");
    assert_eq!(browser.cookie(SIGN_IN, COOKIE).as_deref(), Some("fr"));
    let line = page.set_cookies().join("\n");
    for attribute in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax", "Max-Age="] {
        assert!(line.contains(attribute), "{attribute}: {line}");
    }
    let page = wish("de", &format!("{SIGN_IN}/.lychgate/sign-in")).await;
    page.assert_says(&says(Language::Fr, "sign-in.button"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_comes_back_to_the_same_address_and_query_and_the_whole_journey_speaks_that_language() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let deep = format!("{LIBRARY}/loans/overdue?sort=%41&q=a%2Fb&&x");
    let page = browser.open(&deep).await;
    page.assert_status(200).assert_says(&says(Language::En, "sign-in.button"));
    let before = page.url.clone();
    let page = page.click("Deutsch").await;
    page.assert_status(200).assert_at(before.as_str()).assert_says(&says(Language::De, "sign-in.button"));
    let page = page.click("Español").await;
    page.assert_at(before.as_str()).assert_says(&says(Language::Es, "sign-in.button"));
    let page = page.click("Deutsch").await;

    // To ORCID and back: it hears what was chosen here, and only that.
    let leaving = page.click(&says(Language::De, "sign-in.button")).await;
    let asked = |page: &crate::campus::answer::Answer| page.story().contains("lang=de");
    assert!(asked(&leaving), "ORCID is told the language:\n{}", leaving.story());
    let connected = people::at_orcid(leaving, &people::ordinary(), true).await;
    connected.assert_status(200).assert_says(&says(Language::De, "connected.title"));
    let there = connected.click("Weiter zu").await;
    there.assert_status(200).assert_at(&deep);

    // The site's own host has learnt it as well, and so has the next one.
    assert_eq!(browser.cookie(LIBRARY, COOKIE).as_deref(), Some("de"));
    let page = browser.open(&format!("{LIBRARY}/.lychgate/sign-out")).await;
    page.assert_says(&says(Language::De, "sign-out.unsaved"));
    browser.open(&format!("{REPOSITORY}/browse")).await.assert_status(200);
    assert_eq!(browser.cookie(REPOSITORY, COOKIE).as_deref(), Some("de"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orcid_is_not_told_what_the_browser_would_like() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let start = format!("{SIGN_IN}/.lychgate/sign-in/start");
    let leaving = browser.get(&start).header("accept-language", "de").send().await;
    let address = leaving.assert_status(303).location().unwrap();
    assert!(!address.query().unwrap().contains("lang="), "ORCID keeps it as the person's own choice: {address}");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t02_the_switch_leads_to_no_other_host_whatever_the_referer_says() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    for (host, front) in [(LIBRARY, "/"), (SIGN_IN, "/.lychgate/sign-in")] {
        for referer in [
            "https://evil.example/x".to_owned(),
            format!("{host}.evil.example/x"),
            format!("{host}@evil.example/x"),
            format!("{host}//evil.example"),
            format!("{host}/\\evil.example"),
            format!("{host}:8443/x"),
            host.replace("https:", "http:") + "/x",
            String::new(),
        ] {
            let switch = browser.get(&format!("{host}/.lychgate/de")).header("referer", &referer).send().await;
            assert_eq!(switch.assert_status(303).location().unwrap().as_str(), format!("{host}{front}"), "{referer}");
        }
        let own = format!("{host}/.lychgate/fr/sign-out?x=1&&y=%2F");
        let switch = browser.get(&format!("{host}/.lychgate/de")).header("referer", &own).send().await;
        let target = format!("{host}/.lychgate/sign-out?x=1&&y=%2F");
        assert_eq!(switch.assert_status(303).location().unwrap().as_str(), target, "the old language is left behind");
        let none = browser.get(&format!("{host}/.lychgate/xx")).send().await;
        none.assert_status(404);
        assert!(none.set_cookies().iter().all(|line| !line.starts_with(COOKIE)));
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_a_redirect_uri_has_one_spelling_and_nothing_is_changed_in_a_language() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let callback = format!("{SIGN_IN}/.lychgate/de/callback/campus");
    browser.get(&format!("{callback}?code=x&state=y")).send().await.assert_status(404);
    browser.request(Method::POST, &format!("{SIGN_IN}/.lychgate/de/sign-out")).send().await.assert_status(405);
    let hook = format!("{SIGN_IN}/.lychgate/de/webhook/back-channel-logout/campus");
    browser.request(Method::POST, &hook).send().await.assert_status(405);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_on_a_sites_own_address_can_be_read_in_another_language() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    let page = format!("{LIBRARY}/admin?x=1");
    let refused = campus.sign_in(&browser, &page, &people::ordinary()).await;
    refused.assert_status(403);
    let again = refused.click("中文").await;
    again.assert_status(403).assert_at(&page).assert_says(&says(Language::Zh, "refused.lead"));
    campus.close().await;
}

#[test]
fn a_preview_is_written_anew_but_never_over_what_somebody_else_put_there() {
    let folder = crate::campus::temp::directory();
    let preview = || crate::cli::child::run(folder.path(), ["pages", "preview", "out"]);
    preview().assert_code(0).assert_says(&["index.html"]);
    preview().assert_code(0);
    let page = std::fs::read_to_string(folder.path().join("out/ar/sign-in.html")).unwrap();
    assert!(page.contains("dir=\"rtl\"") && page.contains("href=\"../de/sign-in.html\""), "{page}");
    let style = page.split("href=\"../assets/").nth(2).unwrap().split('"').next().unwrap();
    assert!(folder.path().join("out/assets").join(style).exists(), "{style}");
    std::fs::write(folder.path().join("out/index.html"), "mine").unwrap();
    preview().assert_code(2).assert_complains(&["holds something else"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("out/index.html")).unwrap(), "mine");
}
