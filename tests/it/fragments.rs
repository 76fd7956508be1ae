//! J15: what stands behind the `#` of an address survives a sign-in where a site asks for it, and is seen by nobody on
//! the way. With the script in Chromium, and without it as a page to click through.

use crate::campus::chromium::Chromium;
use crate::campus::legacy_app::LegacyApp;
use crate::campus::{Campus, SIGN_IN, people, temp};
use crate::cli::House;
use crate::cli::child::listener;
use crate::sign_in_attacks::{given_session, start_of, through_orcid};

fn site(upstream: &str) -> String {
    format!(
        "[site]\nname = \"library\"\nhosts = [\"library.campus.example\"]\nupstream = \"{upstream}\"\nfragments = true\n\n\
         [[rule]]\npaths = [\"/public/**\"]\naccess = \"public\"\n\n[[rule]]\naccess = \"signed-in\"\n\n\
         [[case]]\nrequest = \"GET /x\"\nexpect = \"sign-in\"\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_without_the_script_every_step_of_such_a_site_is_a_click() {
    let campus = Campus::build().site("library", &site("{library}")).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    let deep = "https://library.campus.example/notes?b=%41&a";
    let leaving = browser.open(deep).await;
    leaving.assert_status(200).assert_at(deep);
    assert_eq!(leaving.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(leaving.header("cache-control"), Some("no-store"));
    let policy = leaving.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(leaving.text().contains(&format!("data-target=\"{}\"", deep.replace('&', "&amp;"))), "{}", leaving.text());
    let ask = leaving.click("Go on").await;
    ask.assert_status(200).assert_says("Create or connect your ORCID iD");
    let back = through_orcid(&browser, start_of(&ask).as_str(), &person, "Authorize access").await;
    let connected = browser.open(back.as_str()).await;
    let arrived = connected.click("Continue").await;
    arrived.assert_status(200).assert_at_path("/.lychgate/arrive");
    assert!(given_session(&arrived).is_some(), "{}", arrived.story());
    assert!(!arrived.text().contains("data-leaving") && arrived.text().contains("data-target"));
    assert_eq!(arrived.header("referrer-policy"), Some("no-referrer"));
    arrived.click("Go on").await.assert_status(200).assert_at(deep);
    // Who is signed in meets no stop, and programs are told as ever.
    browser.get(deep).send().await.assert_status(200);
    campus.browser().get(deep).by_tool().send().await.assert_status(401);
    // At the sign-in host nothing has changed.
    browser.get(&format!("{SIGN_IN}/.lychgate/account")).send().await.assert_status(200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j15_a_fragment_is_laid_down_before_the_sign_in_and_put_back_behind_its_own_address() {
    if !Chromium::available() {
        return;
    }
    let app = LegacyApp::start().await;
    let house = House::with(&app);
    temp::write(house.path(), "policies/library.toml", site(&app.upstream()));
    // Browsers must reach the gate at the port its addresses name.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, public) = (format!("gate.listen=127.0.0.1:{port}"), format!("gate.public_port={port}"));
    let mut gate = house.serve(&["--set", &listen, "--set", &public]);
    let ready = gate.ready();
    assert_eq!(listener(&ready, "gate").port(), port);
    let Some(chromium) = Chromium::start(house.authority.pem()).await else { return };
    let (library, sign_in) = (
        format!("https://library.campus.example:{port}"),
        format!("https://gate.campus.example:{port}/.lychgate/sign-in"),
    );
    let kept = async || {
        chromium.open(&format!("{library}/public/x")).await;
        chromium.script("return sessionStorage.getItem('lychgate-fragment')").await
    };
    let arrives_at_the_gate = async || {
        chromium.wait_for_url(&sign_in).await;
        let address = chromium.url().await;
        assert!(!address.contains('#'), "the gate's page sees the fragment: {address}");
        assert_eq!(chromium.script("return document.referrer").await, "");
    };
    chromium.open(&format!("{library}/#place=7&x=%41")).await;
    arrives_at_the_gate().await;
    assert_eq!(kept().await, format!("{library}/#place=7&x=%41"));
    // A ticket that is none leads back to the front page: with what was laid down there, and on to the next sign-in.
    chromium.open(&format!("{library}/.lychgate/arrive")).await;
    arrives_at_the_gate().await;
    assert_eq!(kept().await, format!("{library}/#place=7&x=%41"), "it was put back, and laid down once more");
    // What belongs to another address is not put behind this one.
    chromium.open(&format!("{library}/notes?a#other")).await;
    arrives_at_the_gate().await;
    chromium.open(&format!("{library}/.lychgate/arrive")).await;
    arrives_at_the_gate().await;
    assert!(kept().await.is_null());
    assert!(app.requests().iter().all(|request| request.target.starts_with("/public/")), "T34");
    chromium.quit().await;
    gate.stop().assert_code(0);
    app.stop().await;
}
