//! Sessions: the tree, its ends, their times, and single use.

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, connection_key, grant, scopes, sign_in};
use crate::domain::UnixTime;
use crate::vault::{HashedSessionKey, Mark, SessionKind, Vault, Warm};
use std::sync::Arc;

async fn lives(vault: &Vault, key: &HashedSessionKey) -> bool {
    vault.session(key).await.unwrap().is_some()
}

#[tokio::test]
async fn a_session_is_cold_then_warm_and_the_same_arc() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    assert!(matches!(vault.warm(&root), Warm::Cold));
    let live = vault.session(&root).await.unwrap().unwrap();
    let Warm::Live(again) = vault.warm(&root) else { panic!("not warm") };
    assert!(Arc::ptr_eq(&live.identity, &again.identity));
    assert_eq!(live.identity.subject.as_str(), JOSIAH);
    assert_eq!(live.identity.name.as_deref(), Some("Josiah Stinkney Carberry"));
    assert_eq!(live.identity.session_expires, UnixTime(NOW + 24 * HOUR));
    assert_eq!((live.session.created, live.session.signed_in_at), (UnixTime(NOW), UnixTime(NOW)));
    let unknown = bench.key();
    assert!(!lives(&vault, &unknown).await);
    assert!(matches!(vault.warm(&unknown), Warm::Gone), "what the store does not know is not asked for twice");
}

#[tokio::test]
async fn a_widened_connection_shows_in_every_warm_session_at_once() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (child, live) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
    assert_eq!(live.identity.scopes, scopes("openid"));
    bench.sign_in(&vault, JOSIAH, "/read-limited").await;
    assert!(matches!(vault.warm(&child), Warm::Cold), "no stale identity");
    let live = vault.session(&child).await.unwrap().unwrap();
    assert_eq!(live.identity.scopes, scopes("openid /read-limited"));
    assert!(matches!(vault.warm(&child), Warm::Live(_)));
}

#[tokio::test]
async fn t69_ending_the_root_ends_the_children_everywhere_and_for_good() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (another, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let mut children = Vec::new();
    for host in ["wiki.example", "library.example", "lab.example"] {
        let (child, live) = bench.begin_at(&vault, &root, host).await.unwrap();
        assert!(matches!(&live.session.kind, SessionKind::Site { root: of, .. } if *of == root));
        children.push(child);
    }
    assert!(vault.end_session(&children[0]).await.unwrap());
    assert!(!vault.end_session(&children[0]).await.unwrap());
    assert!(lives(&vault, &root).await && lives(&vault, &children[1]).await, "one site only");
    assert!(vault.end_session(&root).await.unwrap());
    for key in children.iter().chain([&root]) {
        assert!(matches!(vault.warm(key), Warm::Gone | Warm::Cold));
        assert!(!lives(&vault, key).await);
    }
    assert!(lives(&vault, &another).await, "the other browser stays signed in");
    assert!(bench.begin_at(&vault, &root, "wiki.example").await.is_none(), "no child of an ended root");
    vault.close();
    let vault = bench.open();
    for key in children.iter().chain([&root]) {
        assert!(!lives(&vault, key).await);
    }
    assert!(lives(&vault, &another).await);
    assert_eq!(vault.end_all_sessions(&connection_key(JOSIAH)).await.unwrap(), 1);
    assert!(!lives(&vault, &another).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t69_children_begun_while_the_root_ends_end_with_it() {
    let bench = Arc::new(Bench::new());
    let vault = bench.open();
    for _ in 0..5 {
        let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..16 {
            let (bench, vault) = (bench.clone(), vault.clone());
            tasks.spawn(async move {
                let begun = bench.begin_at(&vault, &root, &format!("site{number}.example")).await;
                begun.map(|(child, _)| child)
            });
        }
        assert!(vault.end_session(&root).await.unwrap());
        for child in tasks.join_all().await.into_iter().flatten() {
            assert!(!lives(&vault, &child).await);
        }
        assert!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_child_is_no_root_and_begins_no_children() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (child, live) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
    assert_eq!(live.session.expires, UnixTime(NOW + 24 * HOUR));
    assert!(bench.begin_at(&vault, &child, "library.example").await.is_none());
}

#[tokio::test]
async fn t64_t65_a_new_sign_in_ends_what_the_browser_had_before() {
    let bench = Bench::new();
    let vault = bench.open();
    let (josiah, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (child, _) = bench.begin_at(&vault, &josiah, "wiki.example").await.unwrap();
    let (elsewhere, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    // Somebody else at the same browser.
    let mallory = bench.key();
    sign_in(&vault, &bench.grant(MALLORY, "openid"), mallory, Some(josiah)).await;
    assert!(!lives(&vault, &josiah).await && !lives(&vault, &child).await);
    assert!(lives(&vault, &mallory).await && lives(&vault, &elsewhere).await);
    // The same person again, and a session that is gone already.
    let again = bench.key();
    sign_in(&vault, &bench.grant(MALLORY, "openid"), again, Some(mallory)).await;
    assert!(!lives(&vault, &mallory).await && lives(&vault, &again).await);
    sign_in(&vault, &bench.grant(MALLORY, "openid"), bench.key(), Some(mallory)).await;
    // A site session that replaces another's.
    let (first, _) = bench.begin_at(&vault, &again, "wiki.example").await.unwrap();
    let second = bench.key();
    let (site, host) = ("wiki".parse().unwrap(), "wiki.example".parse().unwrap());
    let begun = vault.begin_site_session(&elsewhere, second, site, host, String::new(), Some(first)).await.unwrap();
    assert_eq!(begun.unwrap().identity.subject.as_str(), JOSIAH);
    assert!(!lives(&vault, &first).await && lives(&vault, &again).await);
}

#[tokio::test]
async fn t68_sessions_end_on_time_warm_cold_and_after_a_restart() {
    // Seconds after the sign-in at which the session is used, and whether it lives at the last one.
    let table: &[(&[i64], bool)] = &[
        (&[8 * HOUR - 1], true),
        (&[8 * HOUR], false),
        (&[7 * HOUR, 14 * HOUR, 21 * HOUR, 24 * HOUR - 1], true),
        (&[7 * HOUR, 14 * HOUR, 21 * HOUR, 24 * HOUR], false),
        (&[7 * HOUR, 6 * HOUR, 13 * HOUR, 20 * HOUR, 23 * HOUR - 1], true),
        (&[7 * HOUR, 6 * HOUR, 13 * HOUR, 20 * HOUR, 23 * HOUR], false),
        (&[8 * HOUR, 7 * HOUR], false),
        (&[403_000_000], false),
    ];
    for begin in [0, 2_177_452_800 - NOW] {
        for reopen in [false, true] {
            for (uses, alive) in table {
                let bench = Bench::new();
                bench.clock.advance(begin);
                let mut vault = bench.open();
                let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
                assert!(lives(&vault, &root).await);
                let (mut at, mut last) = (0, true);
                for use_at in *uses {
                    bench.clock.advance(use_at - at);
                    at = *use_at;
                    if reopen {
                        vault.close();
                        vault = bench.open();
                    }
                    last = lives(&vault, &root).await;
                }
                assert_eq!(last, *alive, "{uses:?} begin {begin} reopened {reopen}");
            }
        }
    }
}

#[tokio::test]
async fn a_childs_use_keeps_its_root_alive_and_both_are_written_back() {
    let bench = Bench::new();
    let mut vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (child, _) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
    for _ in 0..3 {
        bench.clock.advance(7 * HOUR);
        assert!(matches!(vault.warm(&child), Warm::Live(_)));
        // Closing waits for the write-backs.
        vault.close();
        vault = bench.open();
        assert!(lives(&vault, &child).await);
    }
    assert!(lives(&vault, &root).await, "never used itself for 21 hours");
}

#[tokio::test]
async fn a_use_written_back_does_not_bring_back_the_ended() {
    let bench = Bench::new();
    let vault = bench.open();
    for _ in 0..20 {
        let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
        assert!(lives(&vault, &root).await);
        bench.clock.advance(120);
        assert!(matches!(vault.warm(&root), Warm::Live(_)), "schedules a write-back");
        assert!(vault.end_session(&root).await.unwrap());
        assert!(matches!(vault.warm(&root), Warm::Gone));
    }
    vault.close();
    let vault = bench.open();
    assert!(vault.sessions(None, 100).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn sessions_are_listed_in_pages_and_agents_are_cut() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (site, host) = ("wiki".parse().unwrap(), "wiki.example".parse().unwrap());
    let agent = format!("é\r\n{}", "x".repeat(500));
    let live = vault.begin_site_session(&root, bench.key(), site, host, agent, None).await.unwrap().unwrap();
    assert_eq!(live.session.agent.chars().count(), 120);
    assert!(live.session.agent.starts_with("éxx"));
    bench.sign_in(&vault, MALLORY, "openid").await;
    let (first, page) = vault.sessions(None, 2).await.unwrap();
    let (rest, end) = vault.sessions(page, 2).await.unwrap();
    assert_eq!((first.len(), rest.len(), end.is_none()), (2, 1, true));
    assert_eq!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_that_spend_one_mark_exactly_one_is_told_yes() {
    let bench = Bench::new();
    let vault = bench.open();
    for round in 0..4u8 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..64 {
            let vault = vault.clone();
            let mark = Mark { purpose: "ticket", id: [round; 20] };
            tasks.spawn(async move { vault.spend(mark, UnixTime(NOW + 60)).await.unwrap() });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|yes| *yes).count(), 1);
        assert!(vault.spend(Mark { purpose: "attempt", id: [round; 20] }, UnixTime(NOW + 60)).await.unwrap());
    }
    vault.close();
    let vault = bench.open();
    assert!(!vault.spend(Mark { purpose: "ticket", id: [0; 20] }, UnixTime(NOW + 60)).await.unwrap(), "durable");
}

#[test]
fn the_vault_works_on_any_runtime_and_on_none_of_them_in_particular() {
    let bench = Bench::new();
    let vault = bench.open();
    let run = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (root, _) = run().block_on(bench.sign_in(&vault, JOSIAH, "openid"));
    assert!(run().block_on(lives(&vault, &root)));
    assert_eq!(run().block_on(vault.sessions_of(&connection_key(JOSIAH))).unwrap().len(), 1);
    vault.close();
}

#[tokio::test]
async fn a_root_has_few_children_on_one_host_and_the_oldest_make_room() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (elsewhere, _) = bench.begin_at(&vault, &root, "other.example").await.unwrap();
    let mut children = Vec::new();
    for _ in 0..10 {
        bench.clock.advance(1);
        children.push(bench.begin_at(&vault, &root, "wiki.example").await.unwrap().0);
    }
    for (at, child) in children.iter().enumerate() {
        assert_eq!(lives(&vault, child).await, at >= 6, "child {at}");
    }
    assert!(lives(&vault, &elsewhere).await && lives(&vault, &root).await);
    assert_eq!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap().len(), 6);
    assert!(vault.end_session(&root).await.unwrap());
    assert!(vault.sessions(None, 100).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn a_look_that_counts_no_use_keeps_no_session_alive() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.clock.advance(7 * HOUR);
    assert!(vault.session_unused(&root).await.unwrap().is_some(), "read through");
    assert!(vault.session_unused(&root).await.unwrap().is_some(), "from memory");
    bench.clock.advance(HOUR);
    assert!(vault.session_unused(&root).await.unwrap().is_none());
}

#[tokio::test]
async fn t92_a_session_that_was_left_is_known_as_such_and_one_that_ended_by_time_is_not() {
    let bench = Bench::new();
    let mut vault = bench.open();
    let mut begun = Vec::new();
    for _ in 0..5 {
        let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
        let (child, _) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
        assert!(!vault.was_left(&child, &root).await.unwrap());
        begun.push((root, child));
    }
    let (mine, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    // Of one site only: the others of the browser are as they were.
    vault.end_session(&begun[0].1).await.unwrap();
    vault.end_session(&begun[1].0).await.unwrap();
    vault.end_session_of(&connection_key(JOSIAH), &begun[2].0).await.unwrap();
    vault.close();
    vault = bench.open();
    let mut left = Vec::new();
    for (root, child) in &begun {
        left.push(vault.was_left(child, root).await.unwrap());
    }
    assert_eq!(left, [true, true, true, false, false]);
    assert!(!vault.was_left(&bench.key(), &begun[0].0).await.unwrap());
    // The same browser signs in anew, three times; who leaves the last has left them all.
    let (old, site) = begun[3];
    let mut last = old;
    for number in 70..73 {
        let next = bench.key();
        sign_in(&vault, &grant(JOSIAH, "openid", number), next, Some(last)).await;
        last = next;
        assert!(!lives(&vault, &old).await && !vault.was_left(&site, &old).await.unwrap());
    }
    vault.end_other_sessions(&connection_key(JOSIAH), &last).await.unwrap();
    assert!(vault.was_left(&begun[4].1, &begun[4].0).await.unwrap());
    assert!(!vault.was_left(&site, &old).await.unwrap(), "its browser was spared");
    vault.end_all_sessions(&connection_key(JOSIAH)).await.unwrap();
    assert!(vault.was_left(&site, &old).await.unwrap());
    bench.clock.advance(25 * HOUR);
    assert!(!lives(&vault, &mine).await && !vault.was_left(&mine, &mine).await.unwrap(), "by time");
    assert!(vault.was_left(&site, &old).await.unwrap(), "longer than anybody asks");
}
