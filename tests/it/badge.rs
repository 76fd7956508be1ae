//! `/.lychgate/badge`: an iD shown by ORCID's rules, and never as proven when nobody proved it (T84, T86).

use crate::campus::browser::Browser;
use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN, people};

const BADGE: &str = "https://library.campus.example/.lychgate/badge";
const LOANS: &str = "https://library.campus.example/loans";
/// A good iD of nobody.
const NOBODY: &str = "0009-9999-9999-9992";

async fn signed_in(campus: &Campus, person: &people::Person) -> Browser {
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, person).await.assert_status(200);
    browser
}

async fn text(browser: &Browser, query: &str) -> String {
    let answer = browser.get(&format!("{BADGE}{query}")).by_script_on(LIBRARY).send().await;
    answer.assert_status(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert!(answer.header("content-security-policy").unwrap().contains("sandbox"));
    let kind = if query.contains("svg") { "image/svg+xml" } else { "text/html; charset=utf-8" };
    assert_eq!(answer.header("content-type"), Some(kind));
    answer.text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_signed_in_is_shown_in_every_form_and_marked_as_what_they_are() {
    let campus = Campus::open().await;
    let (person, hidden) = (people::ordinary(), people::nameless());
    let (browser, name) = (signed_in(&campus, &person).await, person.public_name().unwrap());
    let uri = format!("https://orcid.org/{}", person.orcid);
    for form in ["html", "svg"] {
        let full = text(&browser, &format!("?form={form}")).await;
        assert!(full.contains(&format!(">{uri}<")) && full.contains(&format!("href=\"{uri}\"")), "{full}");
        // The campus signs in at the simulator.
        assert!(full.contains("(simulated)") && !full.contains(&name) && full.contains("aria-label=\"ORCID iD"));
        let compact = text(&browser, &format!("?form={form}&style=compact&name=yes")).await;
        assert!(compact.contains(&format!(">{}<", person.orcid)) && compact.contains(&name), "{compact}");
        let inline = text(&browser, &format!("?form={form}&style=inline")).await;
        assert!(inline.contains(&name) && inline.contains(">ORCID iD<"), "{inline}");
        let nameless = text(&signed_in(&campus, &hidden).await, &format!("?form={form}&style=inline")).await;
        assert!(nameless.contains(&format!(">{}<", hidden.orcid)), "{nameless}");
    }
    for bad in ["?form=png", "?style=huge", "?name=true", "?id=0000-0002-1825-0098", "?id=", "?form=svg&form=html"] {
        browser.get(&format!("{BADGE}{bad}")).send().await.assert_status(400);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t86_a_badge_is_for_the_sites_own_pages_and_guests_have_none() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = signed_in(&campus, &person).await;
    campus.browser().get(BADGE).by_script_on(LIBRARY).send().await.assert_status(401);
    for request in [
        browser.get(BADGE).by_script_on(REPOSITORY),
        browser.get(BADGE).for_image_on(REPOSITORY),
        browser.get(BADGE).for_image_on("https://evil.example/"),
        browser.get(BADGE).from("https://evil.example/"),
    ] {
        request.send().await.assert_status(403).assert_lacks(person.orcid.as_str());
    }
    browser.get(&format!("{BADGE}?form=svg")).for_image_on(LIBRARY).send().await.assert_status(200);
    browser.request(http::Method::POST, BADGE).send().await.assert_status(405);
    browser.get(&BADGE.replace(LIBRARY, crate::campus::SIGN_IN)).send().await.assert_status(404);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_was_not_proved_here_is_never_shown_as_if_it_were() {
    let site = |name: &str, badge: &str| {
        format!(
            "[site]\nname = \"{name}\"\nhosts = [\"{name}.campus.example\"]\nupstream = \"{{{name}}}\"\n{badge}\n\
             [[rule]]\npaths = [\"/public/**\"]\naccess = \"public\"\n[[rule]]\naccess = \"signed-in\"\n"
        )
    };
    let open = site("library", "badge = \"connected\"");
    let campus = Campus::build().site("library", &open).site("repository", &site("repository", "")).open().await;
    let (author, stranger) = (people::ordinary(), people::from_afar());
    let reader = campus.browser();
    let of = |id: &str| format!("?id={id}&name=yes");
    let unproved = |shown: &str| {
        assert!(shown.contains("(unauthenticated)"), "{shown}");
        assert!(!shown.contains("<bdi>") && !shown.contains("<img") && !shown.contains("simulated"), "{shown}");
    };
    // Before anybody has connected, everybody is somebody who was written down.
    for id in [author.orcid.as_str(), NOBODY] {
        unproved(&text(&reader, &of(id)).await);
    }
    signed_in(&campus, &author).await;
    let shown = text(&reader, &of(author.orcid.as_str())).await;
    assert!(shown.contains(&author.public_name().unwrap()) && !shown.contains("unauthenticated"), "{shown}");
    for id in [stranger.orcid.as_str(), NOBODY, "https://orcid.org/0009999999999992"] {
        unproved(&text(&reader, &of(id)).await);
    }
    // A site that does not say so gives nothing away, but to the author.
    let elsewhere = |browser: &Browser| {
        let url = format!("https://repository.campus.example/.lychgate/badge{}", of(author.orcid.as_str()));
        browser.get(&url).by_script_on("https://repository.campus.example/").send()
    };
    unproved(&elsewhere(&reader).await.text());
    let other = campus.browser();
    campus.sign_in(&other, "https://repository.campus.example/", &stranger).await.assert_status(200);
    unproved(&elsewhere(&other).await.text());
    let own = campus.browser();
    campus.sign_in(&own, "https://repository.campus.example/", &author).await.assert_status(200);
    assert!(elsewhere(&own).await.text().contains("(simulated)"));

    // Whoever took everything back is not shown as connected any more.
    let ask = own.open(&format!("{SIGN_IN}/.lychgate/account/disconnect")).await;
    ask.press("Take back all permissions").await.assert_status(200);
    unproved(&text(&reader, &of(author.orcid.as_str())).await);
    campus.close().await;
}
