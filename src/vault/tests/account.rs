//! What a researcher sees of their own connection: the sites that used it, the sessions, and ending them.

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, connection_key};
use crate::domain::UnixTime;
use crate::vault::{HashedSessionKey, SessionKind, SiteUse, Vault, Warm};
use std::sync::Arc;

async fn arrive(bench: &Bench, vault: &Vault, root: &HashedSessionKey, site: &str) -> HashedSessionKey {
    let child = bench.key();
    let host = format!("{site}.example").parse().unwrap();
    let begun = vault.begin_site_session(root, child, site.parse().unwrap(), host, "Browser".into(), None).await;
    begun.unwrap().expect("the root lives");
    child
}

async fn sites(vault: &Vault, who: &str) -> Vec<(String, i64, i64)> {
    let sites = vault.sites_of(&connection_key(who)).await.unwrap();
    sites.into_iter().map(|SiteUse { site, first, last }| (site.to_string(), first.0 - NOW, last.0 - NOW)).collect()
}

fn row(site: &str, first: i64, last: i64) -> (String, i64, i64) {
    (site.to_owned(), first, last)
}

#[tokio::test]
async fn j7_the_sites_that_used_a_connection_are_remembered_with_first_and_last() {
    let bench = Bench::new();
    let mut vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    assert_eq!(sites(&vault, JOSIAH).await, []);
    arrive(&bench, &vault, &root, "wiki").await;
    bench.clock.advance(HOUR / 2);
    arrive(&bench, &vault, &root, "library").await;
    arrive(&bench, &vault, &root, "wiki").await;
    // Half an hour is no reason to write the row again.
    assert_eq!(sites(&vault, JOSIAH).await, [row("library", HOUR / 2, HOUR / 2), row("wiki", 0, 0)]);
    bench.clock.advance(HOUR / 2);
    arrive(&bench, &vault, &root, "wiki").await;
    assert_eq!(sites(&vault, JOSIAH).await, [row("wiki", 0, HOUR), row("library", HOUR / 2, HOUR / 2)]);
    vault.close();
    vault = bench.open();
    assert_eq!(sites(&vault, JOSIAH).await.len(), 2, "durable");
    assert_eq!(sites(&vault, MALLORY).await, []);
}

#[tokio::test]
async fn a_session_in_use_for_hours_keeps_its_site_fresh() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let child = arrive(&bench, &vault, &root, "wiki").await;
    for _ in 0..3 {
        bench.clock.advance(HOUR);
        assert!(matches!(vault.warm(&child), Warm::Live(_)));
    }
    // Closing does what the housekeeping has been given.
    vault.close();
    let vault = bench.open();
    assert_eq!(sites(&vault, JOSIAH).await, [row("wiki", 0, 3 * HOUR)]);
}

#[tokio::test]
async fn j7_who_disconnects_or_is_erased_leaves_no_sites_behind() {
    let bench = Bench::new();
    let vault = bench.open();
    for who in [JOSIAH, MALLORY] {
        let (root, _) = bench.sign_in(&vault, who, "openid").await;
        arrive(&bench, &vault, &root, "wiki").await;
    }
    vault.disconnect(&connection_key(JOSIAH)).await.unwrap();
    assert_eq!(sites(&vault, JOSIAH).await, []);
    assert_eq!(sites(&vault, MALLORY).await.len(), 1);
    vault.erase(&super::bench::connection_key(MALLORY)).await.unwrap();
    bench.sign_in(&vault, MALLORY, "openid").await;
    assert_eq!(sites(&vault, MALLORY).await, [], "a new data key opens nothing old");
}

#[tokio::test]
async fn j7_sessions_are_listed_with_agent_place_and_last_use() {
    let bench = Bench::new();
    let vault = bench.open();
    let (old, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.clock.advance(60);
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let child = arrive(&bench, &vault, &root, "wiki").await;
    bench.sign_in(&vault, MALLORY, "openid").await;
    let listed = vault.sessions_of(&connection_key(JOSIAH)).await.unwrap();
    let keys: Vec<_> = listed.iter().map(|listed| listed.session.key).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys[..2].contains(&root) && keys[..2].contains(&child), "the latest used first");
    assert_eq!((keys[2], listed[2].last_used), (old, UnixTime(NOW)));
    for seen in &listed {
        assert_eq!(seen.session.place.as_deref(), Some("192.0.2.0/24"));
    }
    let browsers = listed.iter().filter(|seen| seen.session.kind == SessionKind::Root);
    assert!(browsers.map(|seen| seen.session.agent.as_str()).eq(["Mozilla/5.0 (a browser)"; 2]));
    // The place comes back with a use written back.
    bench.clock.advance(120);
    assert!(matches!(vault.warm(&child), Warm::Live(_)));
    vault.close();
    let listed = bench.open().sessions_of(&connection_key(JOSIAH)).await.unwrap();
    let used = listed.iter().find(|seen| seen.session.key == child).unwrap();
    assert_eq!((used.last_used, used.session.place.as_deref()), (UnixTime(NOW + 180), Some("192.0.2.0/24")));
    let parent = listed.iter().find(|seen| seen.session.key == root).unwrap();
    assert_eq!(parent.last_used, UnixTime(NOW + 180), "a site's use is its browser's use");
}

#[tokio::test]
async fn t69_one_ends_ones_own_sessions_and_nobody_elses() {
    let bench = Bench::new();
    let vault = bench.open();
    let (here, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (there, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (other, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    let child = arrive(&bench, &vault, &there, "wiki").await;
    let key = connection_key(JOSIAH);
    assert!(!vault.end_session_of(&key, &other).await.unwrap(), "somebody else's");
    assert!(vault.session(&other).await.unwrap().is_some());
    assert!(vault.end_session_of(&key, &there).await.unwrap());
    assert!(!vault.end_session_of(&key, &there).await.unwrap());
    for gone in [there, child] {
        assert!(vault.session(&gone).await.unwrap().is_none());
    }
    assert!(vault.session(&here).await.unwrap().is_some());
}

#[tokio::test]
async fn all_other_browsers_end_and_this_one_stays_with_its_sites() {
    let bench = Bench::new();
    let vault = bench.open();
    let (here, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let mine = arrive(&bench, &vault, &here, "wiki").await;
    let (other, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    let mut gone = Vec::new();
    for _ in 0..3 {
        let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
        gone.extend([root, arrive(&bench, &vault, &root, "library").await]);
    }
    assert_eq!(vault.end_other_sessions(&connection_key(JOSIAH), &here).await.unwrap(), 6);
    vault.close();
    let vault: Arc<Vault> = bench.open();
    for key in gone {
        assert!(vault.session(&key).await.unwrap().is_none(), "durable");
    }
    for key in [here, mine, other] {
        assert!(vault.session(&key).await.unwrap().is_some());
    }
    // The browser that stayed is whole: signing it out takes its site along.
    assert!(vault.end_session(&here).await.unwrap());
    assert!(vault.session(&mine).await.unwrap().is_none());
    assert_eq!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap(), []);
}
