//! What a person sees and does, in a real Chromium against the demo: the whole way through ORCID and back,
//! with the keyboard alone, on a small screen, in the dark, without scripts, with assistive technology. Each
//! step leaves a screenshot.

mod account;
mod kept_forms;
mod languages;
mod newcomers;
pub(crate) mod scene;
mod session_script;

use crate::campus::chromium::Chromium;
use crate::campus::legacy_app::LegacyApp;
use crate::campus::people::{self, Person};
use crate::cli::House;
use crate::cli::child::listener;
use fantoccini::key::Key;
use lychgate::simulator::seeded;
use scene::Scene;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_visit_leads_through_denying_and_reconsidering_back_to_the_deep_link() {
    let Some(scene) = Scene::open("first-visit").await else { return };
    let chromium = &scene.chromium;
    let person = people::ordinary();
    chromium.open(&scene.wiki("")).await;
    scene.says(&["You are reading as a guest"]).await.shot("1-guest").await;
    let entry = "return performance.getEntriesByType('navigation')[0].nextHopProtocol";
    assert_eq!(chromium.script(entry).await, "h2");

    let deep = scene.wiki("pages/start?from=front&q=a%20b&&x=%C3%A9");
    chromium.open(&deep).await;
    Scene::assert_same(&chromium.url().await[..scene.own("sign-in").len()], &scene.own("sign-in"));
    scene.says(&["Sign in to Campus wiki", "Lychgate University", "SIMULATED", "What is ORCID?"]).await;
    scene.shot("2-sign-in").await.assert_well_made().await;
    scene.assert_console_empty().await;

    chromium.click("Create or connect your ORCID iD").await;
    chromium.wait_for_url(&scene.demo.simulator()).await;
    scene.shot("3-orcid-sign-in").await.says(&["SIMULATED"]).await;
    scene.sign_in_at_orcid(&person).await;
    scene.says(&["Lychgate University", "has asked for the following access"]).await.shot("4-orcid-consent").await;
    chromium.click("Deny access").await;

    chromium.wait_for_url(&scene.own("denied")).await;
    scene.says(&["was not connected", "Please reconsider", "Campus wiki"]).await;
    scene.shot("5-denied").await.assert_well_made().await;
    scene.assert_console_empty().await;

    chromium.click("Create or connect your ORCID iD").await;
    chromium.wait_for_url(&scene.demo.simulator()).await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.says(&["Thank you", "Rowan Ashgrove", person.orcid.as_str()]).await;
    scene.shot("6-connected").await.assert_well_made().await;
    assert!(!chromium.url().await.contains("code="), "T47: the code stays in no address bar");

    chromium.click("Continue to Campus wiki").await;
    chromium.wait_for_url(&scene.wiki("")).await;
    Scene::assert_same(&chromium.url().await, &deep);
    scene
        .says(&["Hello, Rowan Ashgrove", person.orcid.as_str(), "from=front&q=a%20b&&x=%C3%A9"])
        .await
        .shot("7-there")
        .await;

    chromium.click("Front page").await;
    scene.says(&["Hello, 0009-9999-0000-0019."]).await;

    // The other host asks nobody anything.
    let browse = scene.repository("browse?x=1");
    chromium.open(&browse).await;
    Scene::assert_same(&chromium.url().await, &browse);
    scene.says(&["Welcome, Rowan Ashgrove"]).await.shot("8-second-host").await.assert_console_empty().await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_asks_for_more_and_signing_out_ends_one_site_or_all() {
    let Some(scene) = Scene::open("deposit").await else { return };
    let chromium = &scene.chromium;
    let browse = scene.repository("browse");
    chromium.open(&browse).await;
    scene.sign_in(&people::ordinary(), &browse).await;

    chromium.click("Deposit a work").await;
    chromium.wait_for_url(&scene.own("sign-in")).await;
    scene
        .says(&["Research repository needs your permission", "o that your deposit appears on your ORCID record"])
        .await;
    scene.shot("1-step-up").await.assert_well_made().await;
    chromium.click("Go to the simulated ORCID to decide").await;
    chromium.wait_for_url(&scene.demo.simulator()).await;
    scene.shot("2-orcid-consent").await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.shot("3-connected").await.assert_well_made().await;
    chromium.click("Continue").await;
    chromium.wait_for_url(&scene.repository("deposit")).await;
    chromium.fill("title", "On gates and those who pass them").await;
    chromium.click("Deposit").await;
    scene.says(&["On gates and those who pass them", "/activities/update"]).await.shot("4-deposited").await;
    scene.assert_console_empty().await;

    chromium.open(&scene.own("account")).await;
    scene.says(&["Your connection", "Rowan Ashgrove", "Campus wiki"]).await.shot("5-account").await;
    scene.assert_well_made().await;

    // One site.
    chromium.open(&scene.wiki("pages/start")).await;
    chromium.click("Sign out").await;
    chromium.wait_for_url(&scene.wiki(".lychgate/sign-out")).await;
    scene.says(&["Sign out of Campus wiki?"]).await.shot("6-sign-out-here").await.assert_well_made().await;
    let tree = chromium.accessibility_tree().await;
    let labels: Vec<_> = tree.iter().filter(|node| node.role == "button").map(|node| node.name.as_str()).collect();
    assert_eq!(labels, ["Sign out of Campus wiki"]);
    chromium.click("Sign out of Campus wiki").await;
    scene.says(&["You are signed out", "Other sites of Lychgate University may still know you"]).await;
    scene.says(&["You may still be signed in at the simulated ORCID"]).await.shot("7-signed-out-here").await;
    scene.assert_well_made().await;
    chromium.open(&browse).await;
    Scene::assert_same(&chromium.url().await, &browse);
    // Who has just left is asked before being let in again.
    chromium.open(&scene.wiki("pages/start")).await;
    scene.says(&["You are already signed in as", "Continue as Rowan Ashgrove"]).await.shot("8-continue-as").await;
    scene.assert_well_made().await;

    // All sites.
    chromium.open(&scene.own("sign-out")).await;
    scene.shot("9-sign-out-everywhere").await.assert_well_made().await;
    chromium.click("Sign out of all sites in this browser").await;
    scene
        .says(&["You are signed out of all sites of Lychgate University"])
        .await
        .shot("10-signed-out-everywhere")
        .await;
    chromium.open(&browse).await;
    scene.says(&["Sign in to Research repository"]).await;
    Scene::assert_same(&chromium.url().await[..scene.own("sign-in").len()], &scene.own("sign-in"));
    scene.assert_console_empty().await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t63_a_script_on_a_page_can_neither_plant_nor_read_nor_replace_the_session_cookie() {
    let Some(scene) = Scene::open("t63").await else { return };
    let chromium = &scene.chromium;
    let deep = scene.wiki("pages/start");
    chromium.open(&scene.wiki("")).await;
    let plant = |name: &str| {
        format!(
            "document.cookie = '{name}=planted; Secure; Path=/';
             return cookieStore.set({{ name: '{name}', value: 'planted', path: '/' }}).then(() => 'set', () => 'refused');"
        )
    };
    // The control: what is not protected can be planted.
    chromium.script(&plant("__Host-other")).await;
    chromium.script(&plant("__Host-Http-lychgate")).await;
    let planted = cookies(chromium).await;
    assert!(planted.iter().any(|cookie| cookie["name"] == "__Host-other" && cookie["value"] == "planted"));
    assert!(!planted.iter().any(|cookie| cookie["name"] == "__Host-Http-lychgate"), "{planted:?}");

    chromium.open(&deep).await;
    scene.sign_in(&people::ordinary(), &deep).await;
    let session = |all: &[Value]| -> Value {
        let host = "wiki.localhost";
        let found = all.iter().find(|cookie| cookie["name"] == "__Host-Http-lychgate" && cookie["domain"] == host);
        found.unwrap_or_else(|| panic!("no session cookie in {all:?}")).clone()
    };
    let before = cookies(chromium).await;
    let ours = session(&before);
    assert_eq!(ours["secure"], true);
    assert_eq!(ours["httpOnly"], true);
    assert_eq!(ours["sameSite"], "Lax");
    assert_eq!(ours["path"], "/");
    assert!(ours["value"].as_str().is_some_and(|value| value.len() <= 128));
    let of_ours = before.iter().filter(|cookie| cookie["name"].as_str().is_some_and(|name| name.contains("lychgate")));
    let mut size = 0;
    for cookie in of_ours {
        assert!(cookie["name"].as_str().is_some_and(|name| name.starts_with("__Host-Http-")), "{cookie}");
        assert!(cookie["httpOnly"] == true && cookie["secure"] == true && cookie["path"] == "/", "{cookie}");
        assert!(cookie["domain"].as_str().is_some_and(|domain| !domain.starts_with('.')), "{cookie}");
        size += cookie["size"].as_u64().expect("a number");
    }
    assert!(size <= 12 << 10, "all together {size} bytes");

    chromium.script(&plant("__Host-Http-lychgate")).await;
    let seen = chromium.script("return document.cookie").await;
    assert!(!seen.as_str().is_some_and(|seen| seen.contains("lychgate")), "{seen}");
    assert_eq!(session(&cookies(chromium).await), ours);
    chromium.open(&deep).await;
    Scene::assert_same(&chromium.url().await, &deep);
    scene.close().await;
}

/// Every cookie of the browser, as its own tools show it.
async fn cookies(chromium: &Chromium) -> Vec<Value> {
    let all = chromium.devtools("Storage.getCookies", json!({})).await;
    all["cookies"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t48_an_app_cannot_put_our_pages_into_a_frame() {
    let Some(scene) = Scene::open("t48").await else { return };
    let chromium = &scene.chromium;
    chromium.open(&scene.wiki("")).await;
    for address in [scene.own("sign-in"), scene.own("sign-out"), scene.wiki(".lychgate/sign-out")] {
        let frame = format!(
            "return new Promise((done) => {{
               const frame = document.createElement('iframe');
               frame.onload = () => setTimeout(() => {{
                 let seen;
                 try {{ seen = frame.contentDocument ? frame.contentDocument.body.innerText : ''; }} catch (e) {{ seen = ''; }}
                 done(seen);
               }}, 50);
               frame.src = '{address}';
               document.body.append(frame);
             }})"
        );
        let seen = chromium.script(&frame).await;
        assert_eq!(seen, "", "{address} shows itself in a frame");
        let console = chromium.console().await.join("\n");
        assert!(console.contains("frame-ancestors") || console.contains("X-Frame-Options"), "{address}:\n{console}");
    }
    scene.close().await;
}

/// Presses Tab until the element that has the focus reads `text`, or is a field of that name.
async fn tab_to(chromium: &Chromium, text: &str) {
    let mut passed = Vec::new();
    for _ in 0..40 {
        chromium.key(Key::Tab).await;
        let name =
            chromium.script("return document.activeElement.name || document.activeElement.textContent.trim()").await;
        let name = name.as_str().unwrap_or_default().to_owned();
        if name.starts_with(text) {
            let outline = "const style = getComputedStyle(document.activeElement);
                           return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1";
            assert_eq!(chromium.script(outline).await, true, "nobody can see that {text:?} has the focus");
            return;
        }
        passed.push(name);
    }
    panic!("Tab does not reach {text:?} on {}, only {passed:?}", chromium.url().await);
}

async fn type_text(chromium: &Chromium, text: &str) {
    let field = chromium.client().active_element().await.expect("something has the focus");
    field.send_keys(text).await.expect("a field takes keys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keyboard_alone_is_enough() {
    let Some(scene) = Scene::open("keyboard").await else { return };
    let chromium = &scene.chromium;
    let person = people::ordinary();
    let deep = scene.wiki("pages/start");
    chromium.open(&deep).await;
    chromium.key(Key::Tab).await;
    assert_eq!(chromium.focused().await.1, "Skip to the content");
    scene.shot("1-skip-link").await;
    chromium.key(Key::Enter).await;
    assert_eq!(chromium.script("return document.activeElement.id").await, "content");
    tab_to(chromium, "Create or connect your ORCID iD").await;
    scene.shot("2-button").await;
    chromium.key(Key::Enter).await;
    chromium.wait_for_url(&scene.demo.simulator()).await;
    tab_to(chromium, "username").await;
    type_text(chromium, person.orcid.as_str()).await;
    tab_to(chromium, "password").await;
    type_text(chromium, &person.password).await;
    chromium.key(Key::Enter).await;
    chromium.wait_for_url(&format!("{}/oauth/authorize", scene.demo.simulator())).await;
    tab_to(chromium, "decision").await;
    scene.shot("3-consent").await;
    chromium.key(Key::Enter).await;
    chromium.wait_for_url(&scene.own("connected")).await;
    tab_to(chromium, "Continue to Campus wiki").await;
    chromium.key(Key::Enter).await;
    chromium.wait_for_url(&deep).await;
    scene.says(&["Hello, Rowan Ashgrove"]).await;
    chromium.open(&scene.wiki(".lychgate/sign-out")).await;
    tab_to(chromium, "reach").await;
    chromium.key(Key::Enter).await;
    scene.says(&["You are signed out"]).await;
    scene.close().await;
}

/// The whole way at 320 pixels, in the dark, as somebody whose name is as long as names get.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_dark_screen_shows_everything_without_scrolling_sideways() {
    let Some(scene) = Scene::open("small").await else { return };
    let chromium = &scene.chromium;
    chromium.width(320).await.dark().await;
    let ground = chromium
        .open(&scene.demo.site("portal"))
        .await
        .script("return getComputedStyle(document.body).backgroundColor")
        .await;
    assert_eq!(ground, "rgb(16, 22, 26)", "dark is dark");
    scene.says(&["Connect your ORCID iD"]).await.shot("1-portal").await.assert_well_made().await;
    let browse = scene.repository("browse");
    chromium.open(&browse).await;
    scene.shot("2-sign-in").await.assert_well_made().await;
    chromium.click("Create or connect your ORCID iD").await;
    scene.sign_in_at_orcid(&pick("0009-9999-0000-0123")).await;
    assert!(!chromium.scrolls_sideways().await, "the consent page of the simulator");
    scene.shot("3-consent").await;
    chromium.click("Deny access").await;
    chromium.wait_for_url(&scene.own("denied")).await;
    scene.shot("4-denied").await.assert_well_made().await;
    chromium.click("Create or connect your ORCID iD").await;
    chromium.wait_for_url(&scene.demo.simulator()).await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.shot("5-connected").await.assert_well_made().await;
    chromium.click("Continue").await;
    chromium.wait_for_url(&browse).await;
    for (name, address) in [
        ("6-account", scene.own("account")),
        ("7-sign-out", scene.own("sign-out")),
        ("8-step-up", scene.repository("deposit")),
        ("9-portal", scene.demo.site("portal")),
        ("10-nothing-here", scene.own("nothing-here")),
        ("11-unknown-callback", scene.own("callback/demo")),
        ("12-bad-address", scene.wiki("a%2fb")),
    ] {
        chromium.open(&address).await;
        scene.shot(name).await.assert_well_made().await;
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_needs_javascript() {
    let Some(scene) = Scene::open("no-script").await else { return };
    let chromium = &scene.chromium;
    chromium.without_javascript().await;
    let deep = scene.wiki("pages/start?x=1");
    chromium.open(&deep).await;
    scene.shot("1-sign-in").await;
    scene.sign_in(&people::from_afar(), &deep).await;
    let name = people::from_afar().public_name().expect("it is public");
    scene.says(&[&format!("Hello, {name}")]).await.shot("2-there").await;
    chromium.open(&scene.wiki(".lychgate/sign-out")).await;
    chromium.click("Sign out of Campus wiki").await;
    scene.says(&["You are signed out"]).await.shot("3-signed-out").await;
    scene.close().await;
}

/// T84: a name made of markup is text and nothing else; one from right to left does not turn the page round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t84_names_are_shown_as_they_are_and_do_nothing() {
    let Some(scene) = Scene::open("names").await else { return };
    let chromium = &scene.chromium;
    for (step, orcid) in [("hostile", "0009-9999-0000-014X"), ("arabic", "0009-9999-0000-0078")] {
        let person = pick(orcid);
        let name = person.public_name().expect("it is public");
        let portal = scene.demo.site("portal");
        chromium.open(&portal).await;
        scene.assert_well_made().await;
        scene.sign_in(&person, &portal).await;
        scene.says(&[&name, "Your ORCID iD is connected"]).await.shot(&format!("{step}-portal")).await;
        scene.assert_well_made().await;
        chromium.open(&scene.wiki("pages/start")).await;
        scene.says(&[&name]).await.shot(&format!("{step}-wiki")).await;
        chromium.open(&scene.own("sign-out")).await;
        scene.says(&[&name]).await.shot(&format!("{step}-sign-out")).await.assert_well_made().await;
        chromium.click("Sign out on all my devices").await;
        scene.says(&["in every browser that used your iD"]).await;
        scene.assert_console_empty().await;
        // ORCID itself still knows the person: the next one has to sign out there, as the page says.
        chromium.open(&format!("{}/signout", scene.demo.simulator())).await;
        if chromium.text().await.contains("Sign out") {
            chromium.devtools("Network.clearBrowserCookies", json!({})).await;
        }
    }
    scene.close().await;
}

/// Chromium splits its cookies over HTTP/2; an app that is handed the pieces takes them for one list with
/// commas, and loses its own session (RFC 9113 §8.2.3).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_gets_its_cookies_in_one_field() {
    if !Chromium::available() {
        return;
    }
    let app = LegacyApp::start().await;
    let house = House::with(&app);
    let mut gate = house.serve(&[]);
    let ready = gate.ready();
    let Some(chromium) = Chromium::start(house.authority.pem()).await else { return };
    let page = format!("https://library.campus.example:{}/page", listener(&ready, "gate").port());
    chromium.open(&page).await;
    chromium.script("document.cookie = 'one=1'; document.cookie = 'two=2'").await;
    app.forget();
    chromium.open(&page).await;
    let seen = app.requests().into_iter().find(|request| request.target == "/page").expect("the page was asked for");
    assert_eq!(seen.all("cookie"), ["one=1; two=2"]);
    chromium.quit().await;
    gate.stop().assert_code(0);
    app.stop().await;
}

/// A seeded person by iD.
fn pick(orcid: &str) -> Person {
    let found = seeded().into_iter().find(|person| person.orcid.as_str() == orcid);
    found.unwrap_or_else(|| panic!("nobody has the iD {orcid}"))
}
