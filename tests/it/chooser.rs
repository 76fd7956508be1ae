//! B11: a site that knows researchers through several registrations. Nobody is asked who is known already;
//! everybody else chooses, and what they chose holds until they are back.

use crate::campus::browser::Browser;
use crate::campus::people;
use crate::campus::{Builder, Campus, LIBRARY, REPOSITORY, SIGN_IN, STAFF, STAFF_CLIENT, STAFF_SECRET};
use crate::sign_in_attacks::{parameter, through_orcid};
use lychgate::simulator::MEMBER_CLIENT;
use url::Url;

const LOANS: &str = "https://library.campus.example/loans?shelf=3";
const READING_ROOM: &str = "https://library.campus.example/reading-room";

pub fn two_ways(sign_in: &str) -> Builder {
    let site = format!(
        r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{{library}}"
client = ["campus", "staff"]
sign_in = "{sign_in}"

[[rule]]
name = "reading room"
paths = ["/reading-room"]
access = "signed-in"
scopes = ["/read-limited"]

[[rule]]
name = "board"
paths = ["/board"]
access = "signed-in"
researchers = ["{board}"]

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in"
"#,
        board = people::from_afar().orcid
    );
    let staff = format!(
        r#"
[clients.{STAFF}]
environment = "simulator"
title = "Staff"
id = "{STAFF_CLIENT}"
secret = "{STAFF_SECRET}"
membership = "member"
issuer = "{{issuer}}"
"#
    );
    Campus::build().site("library", &site).configuration(&staff)
}

/// The ways to sign in that a page offers, in order.
async fn ways(browser: &Browser, url: &str) -> Vec<Url> {
    let page = browser.open(url).await;
    page.assert_status(200);
    let links = page.page().links.into_iter().filter(|link| link.href.contains("/.lychgate/sign-in/start"));
    links.map(|link| page.url.join(&link.href).expect("our own links are addresses")).collect()
}

/// Which client of ORCID an address of ours leads to.
async fn client_behind(browser: &Browser, start: &Url) -> String {
    let answer = browser.get(start.as_str()).send().await;
    parameter(&answer.location().expect("a way to ORCID"), "client_id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_whoever_is_unknown_chooses_and_the_choice_leads_back_to_the_page() {
    let campus = two_ways("page").open().await;
    let browser = campus.browser();
    let page = browser.open(LOANS).await;
    page.assert_status(200).assert_says("Campus library asks you to sign in").assert_says("Staff");
    let ways = ways(&browser, LOANS).await;
    assert_eq!(ways.len(), 2);
    assert_eq!(client_behind(&browser, &ways[0]).await, MEMBER_CLIENT);
    assert_eq!(client_behind(&browser, &ways[1]).await, STAFF_CLIENT);

    let callback = through_orcid(&browser, ways[1].as_str(), &people::ordinary(), "Authorize access").await;
    assert_eq!(callback.path(), "/.lychgate/callback/staff");
    let connected = browser.open(callback.as_str()).await;
    connected.click("Continue to Campus library").await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [people::ordinary().orcid.as_str()]);

    // A further permission is asked of the registration that knows the researcher, without another choice.
    let more = self::ways(&browser, READING_ROOM).await;
    assert_eq!(more.len(), 1);
    assert_eq!(client_behind(&browser, &more[0]).await, STAFF_CLIENT);

    // A site that does not list this registration does not know them.
    let elsewhere = self::ways(&browser, &format!("{REPOSITORY}/browse")).await;
    assert_eq!(client_behind(&browser, &elsewhere[0]).await, MEMBER_CLIENT);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_whoever_is_known_through_any_of_them_is_not_asked() {
    let campus = two_ways("page").open().await;
    let browser = campus.browser();
    let repository = format!("{REPOSITORY}/browse");
    campus.sign_in(&browser, &repository, &people::ordinary()).await.assert_status(200);
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [people::ordinary().orcid.as_str()]);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_where_there_is_a_choice_nobody_is_sent_on_unasked() {
    let campus = two_ways("direct").open().await;
    let browser = campus.browser();
    assert_eq!(ways(&browser, LOANS).await.len(), 2);
    assert_eq!(campus.simulator.calls("authorize"), 0, "nobody has chosen yet");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_b20_who_is_refused_may_choose_anew() {
    let campus = two_ways("page").open().await;
    let browser = campus.browser();
    let first = ways(&browser, LOANS).await;
    let callback = through_orcid(&browser, first[0].as_str(), &people::ordinary(), "Authorize access").await;
    let connected = browser.open(callback.as_str()).await;
    connected.click("Continue to Campus library").await.assert_at(LOANS);
    let refused = browser.open(&format!("{LIBRARY}/board")).await;
    refused.assert_status(403);
    let again = refused.link("Use another ORCID iD");
    assert!(again.as_str().starts_with(SIGN_IN));
    let ways = ways(&browser, again.as_str()).await;
    assert_eq!(ways.len(), 2);
    let answer = browser.get(ways[1].as_str()).send().await;
    let to_orcid = answer.location().expect("a way to ORCID");
    assert_eq!(
        (parameter(&to_orcid, "client_id").as_str(), parameter(&to_orcid, "prompt").as_str()),
        (STAFF_CLIENT, "login")
    );
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_who_declined_is_asked_to_reconsider_by_the_same_registration() {
    let campus = two_ways("page").open().await;
    let browser = campus.browser();
    let ways = ways(&browser, LOANS).await;
    let callback = through_orcid(&browser, ways[1].as_str(), &people::ordinary(), "Deny access").await;
    let denied = browser.open(callback.as_str()).await;
    denied.assert_says("Please reconsider");
    let retry = denied.link("Create or connect your ORCID iD");
    assert_eq!(client_behind(&browser, &retry).await, STAFF_CLIENT);
    campus.close().await;
}
