//! J1, J2, J5, J6 as a browser without scripts lives them: a deep link, ORCID, back on the same page;
//! denying and reconsidering; a second host without ORCID; signing out.

use crate::campus::{Campus, LIBRARY, PORTAL, REPOSITORY, SIGN_IN, people};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j1_a_deep_link_leads_through_orcid_and_back_to_the_same_address() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let deep = format!("{LIBRARY}/loans/overdue?sort=%41&q=a%2Fb&&x");

    let portal = browser.open(&deep).await;
    portal.assert_status(200).assert_says("Campus library").assert_says("Create or connect your ORCID iD");
    assert!(campus.library().requests().is_empty(), "T34: the app is not asked before somebody is signed in");

    let page = portal.click("Create or connect your ORCID iD").await;
    let connected = people::at_orcid(page, &person, true).await;
    connected.assert_status(200).assert_says(person.orcid.as_str());
    assert_eq!(connected.url.path(), "/.lychgate/connected");

    let there = connected.click("Continue").await;
    there.assert_status(200).assert_at(&deep);
    let seen = campus.library().last_request();
    assert_eq!(seen.all("x-orcid-id"), [person.orcid.as_str()]);
    assert_eq!(seen.all("remote-user"), [person.orcid.as_str()]);
    assert_eq!(seen.all("x-orcid-name"), [person.public_name().unwrap().as_str()]);
    assert_eq!(seen.all("x-orcid-scopes"), ["openid"]);
    assert_eq!(campus.simulator.calls("token"), 1);

    // The next visit goes straight to the page.
    browser.open(&format!("{LIBRARY}/loans")).await.assert_status(200).assert_at(&format!("{LIBRARY}/loans"));
    campus.close().await;
}

/// Someone who presses the first button of each page of ours and knows nothing else; what they do at ORCID is not counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j1_a_stranger_is_back_signed_in_after_at_most_three_clicks() {
    let campus = Campus::open().await;
    for deep in [format!("{LIBRARY}/loans?q=1"), format!("{REPOSITORY}/deposit/new"), format!("{REPOSITORY}/browse")] {
        let (browser, person) = (campus.browser(), people::ordinary());
        let mut page = browser.open(&deep).await;
        let mut clicks = 0;
        while page.url.as_str() != deep {
            if page.url.as_str().starts_with(&campus.simulator.base_url) {
                page = people::at_orcid(page, &person, true).await;
                continue;
            }
            clicks += 1;
            assert!(clicks <= 3, "{deep} takes more than three clicks\n{}", page.story());
            let tags = page.page().tags;
            let button = tags.iter().find(|tag| tag.name == "a" && tag.attribute("class") == Some("button"));
            let href = button.and_then(|button| button.attribute("href"));
            let href = href.unwrap_or_else(|| panic!("nothing to press\n{}", page.story()));
            let onward = page.url.join(href).expect("our own links are addresses");
            page = page.onward(http::Method::GET, onward.as_str()).follow().await;
        }
        page.assert_status(200);
        assert!(clicks > 0, "a stranger was not even asked");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j2_denying_leads_to_a_page_that_asks_to_reconsider_and_retrying_works() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let page = browser.open(&format!("{LIBRARY}/loans")).await.click("Create or connect your ORCID iD").await;
    let denied = people::at_orcid(page, &person, false).await;
    denied.assert_status(200).assert_says("Campus library");
    assert_eq!(denied.url.path(), "/.lychgate/denied");
    assert_eq!(campus.simulator.calls("token"), 0);

    let page = denied.page();
    let retry =
        page.links.iter().find(|link| link.text.to_lowercase().contains("try again") || link.text.contains("ORCID iD"));
    let retry = retry.unwrap_or_else(|| panic!("no way to reconsider\n{}", denied.story())).text.clone();
    let there = people::arrive(denied.click(&retry).await, &person).await;
    there.assert_status(200).assert_at(&format!("{LIBRARY}/loans"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j5_a_second_host_needs_no_second_trip_to_orcid() {
    let campus = Campus::open().await;
    let person = people::from_afar();
    let browser = campus.browser();
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &person).await.assert_status(200);
    let before = campus.simulator.calls("authorize");

    let there = browser.open(&format!("{REPOSITORY}/browse?x=1")).await;
    there.assert_status(200).assert_at(&format!("{REPOSITORY}/browse?x=1"));
    assert_eq!(campus.simulator.calls("authorize"), before);
    let seen = campus.repository().last_request();
    assert!(seen.header("x-lychgate-assertion").is_some_and(|assertion| assertion.split('.').count() == 3));
    assert!(seen.all("remote-user").is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j6_signing_out_of_one_site_leaves_the_others_and_everywhere_ends_all() {
    let campus = Campus::open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &person).await.assert_status(200);
    browser.open(&format!("{REPOSITORY}/browse")).await.assert_status(200);

    let asks = browser.open(&format!("{LIBRARY}/.lychgate/sign-out")).await;
    asks.assert_status(200);
    // GET changed nothing.
    browser.open(&format!("{LIBRARY}/loans")).await.assert_at(&format!("{LIBRARY}/loans"));
    let out = asks.form(0).submit().await;
    out.assert_status(200).assert_says("ORCID");
    browser.open(&format!("{REPOSITORY}/browse")).await.assert_at(&format!("{REPOSITORY}/browse"));
    // Who has just signed out is not silently signed in again.
    let back = browser.open(&format!("{LIBRARY}/loans")).await;
    assert_ne!(back.url.as_str(), format!("{LIBRARY}/loans"), "{}", back.story());

    let everywhere = browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await;
    everywhere.form(0).submit().await.assert_status(200);
    let back = browser.open(&format!("{REPOSITORY}/browse")).await;
    assert_ne!(back.url.as_str(), format!("{REPOSITORY}/browse"), "{}", back.story());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_portal_collects_an_id_with_no_app_behind_it() {
    let campus = Campus::open().await;
    let person = people::nameless();
    let browser = campus.browser();
    let portal = browser.open(&format!("{PORTAL}/")).await;
    portal.assert_status(200).assert_says("Create or connect your ORCID iD");
    let back = people::arrive(portal, &person).await;
    back.assert_status(200).assert_at(&format!("{PORTAL}/")).assert_says(person.orcid.as_str());
    campus.close().await;
}
