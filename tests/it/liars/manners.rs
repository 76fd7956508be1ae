//! Answers that are late, endless, broken or elsewhere, at every endpoint the gate asks: T44, T58, T62. Bounded
//! in time and memory, with a page that leads on, and over when the provider is well again.

use super::stage::{LOANS, Stage};
use crate::campus::{Campus, SIGN_IN, people};
use crate::sign_in_attacks::session;
use std::time::{Duration, Instant};

/// What the gate is told to wait for a provider, and what a whole sign-in may take then.
const TIMEOUT: &str = "timeout = \"1s\"\n";
const BEARABLE: Duration = Duration::from_secs(8);
/// Of fifty megabytes: the gate reads one, and the sockets between hold ten at most.
const SENT_AT_MOST: u64 = 20 * 1024 * 1024;

/// Manners that no endpoint gets away with.
const BAD: [&str; 15] = [
    "redirect",
    "html",
    "text",
    "empty",
    "broken",
    "list",
    "not-found",
    "error",
    "unavailable",
    "too-many",
    "huge",
    "drip",
    "stall",
    "hang",
    "cut",
];

/// Tells every manner at `endpoint` to a gate that has not asked it yet.
async fn at(endpoint: &str, more: &str) {
    for manner in BAD {
        let builder = Campus::build().configuration(TIMEOUT).configuration(more);
        let stage = Stage::of(builder.switch(&format!("answer.{endpoint}"), manner)).await;
        let campus = &stage.campus;
        let browser = campus.browser();
        let begun = Instant::now();
        let page = people::arrive(browser.open(LOANS).await, &people::ordinary()).await;
        let took = begun.elapsed();
        assert!(took < BEARABLE, "{endpoint} {manner}: {took:?}");
        assert!([400, 502, 503].contains(&page.status.as_u16()), "{endpoint} {manner}: {}", page.story());
        super::stage::incident(&page);
        assert_eq!(session(&browser, SIGN_IN), None, "{endpoint} {manner}");
        assert!(campus.library().requests().is_empty(), "{endpoint} {manner}");
        let (sent, asked) = (campus.simulator.endless_bytes_sent(), campus.simulator.calls(endpoint));
        assert!(sent < SENT_AT_MOST * asked, "{endpoint} {manner}: {sent} bytes were taken in {asked} answers");
        stage.come_to_rights();
        let there = people::arrive(browser.open(LOANS).await, &people::ordinary()).await;
        there.assert_status(200).assert_at(LOANS);
        stage.campus.close().await;
    }
}

/// Every answer comes in time, and all of them together do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t44_a_provider_that_is_late_at_every_step() {
    let mut builder = Campus::build().configuration("timeout = \"2s\"\nuserinfo = true\n");
    for endpoint in ["jwks", "token", "userinfo"] {
        builder = builder.switch(&format!("answer.{endpoint}"), "late");
    }
    let stage = Stage::of(builder).await;
    let browser = stage.campus.browser();
    let asked = browser.open(LOANS).await.click("Create or connect your ORCID iD").await;
    // The keys that the gate knows are the old ones by the time the id_token comes.
    stage.campus.simulator.rotate_key(false).await.unwrap();
    let page = people::arrive(asked, &people::ordinary()).await;
    page.assert_status(503);
    // T47: the page is at an address without the code.
    assert_eq!(page.url.path(), "/.lychgate/sign-in/trouble");
    let number = super::stage::incident(&page);
    let lines = stage.campus.watch.lines_with(&number);
    assert!(lines.iter().any(|line| line.contains("more than 4 s in all")), "{lines:?}");
    assert_eq!(session(&browser, SIGN_IN), None);
    stage.come_to_rights();
    people::arrive(browser.open(LOANS).await, &people::ordinary()).await.assert_status(200).assert_at(LOANS);
    stage.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t44_a_token_endpoint_without_manners() {
    at("token", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t44_a_userinfo_endpoint_without_manners() {
    at("userinfo", "userinfo = true\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t58_a_key_endpoint_without_manners() {
    at("jwks", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t62_a_discovery_without_manners() {
    at("discovery", "").await;
}
