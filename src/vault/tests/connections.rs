//! Sign-ins, scopes, tokens, revocations, disconnecting and erasing.

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, completion, connection_key, scopes, sign_in};
use crate::domain::UnixTime;
use crate::vault::{Change, ConnectionKey, SignInCompletion, StoredSigningKey, Vault};
use std::sync::Arc;
use zeroize::Zeroizing;

async fn due(vault: &Vault) -> Vec<String> {
    let queue = vault.due_revocations(UnixTime(NOW + HOUR), 100).await.unwrap();
    queue.iter().map(|entry| entry.token.expose().to_owned()).collect()
}

#[tokio::test]
async fn ten_sign_ins_with_the_same_scopes_leave_one_pair_and_nine_revocations() {
    let bench = Bench::new();
    let vault = bench.open();
    for round in 0..10 {
        let (_, completed) = bench.sign_in(&vault, JOSIAH, "openid /read-limited").await;
        assert_eq!(completed.change, if round == 0 { Change::New } else { Change::Same });
    }
    let pairs = vault.token_pairs(&connection_key(JOSIAH)).await.unwrap();
    assert_eq!(pairs.len(), 1);
    assert_eq!(pairs[0].access_token.expose(), format!("access-token-{JOSIAH}-9"));
    assert_eq!(pairs[0].refresh_token.as_ref().unwrap().expose(), format!("refresh-token-{JOSIAH}-9"));
    assert_eq!(pairs[0].expires, Some(UnixTime(NOW + 631_138_518)));
    let mut queue = due(&vault).await;
    queue.sort();
    assert_eq!(queue, (0..9).map(|number| format!("access-token-{JOSIAH}-{number}")).collect::<Vec<_>>());
    let connection = vault.connection(&connection_key(JOSIAH)).await.unwrap().unwrap();
    assert_eq!(connection.history.len(), 1, "the same grant again is not news");
}

#[tokio::test]
async fn t94_what_was_granted_is_kept_and_each_scope_set_keeps_its_own_pair() {
    let bench = Bench::new();
    let vault = bench.open();
    for (wanted, change, union) in [
        ("openid", Change::New, "openid"),
        ("openid /activities/update", Change::Widened, "openid /activities/update"),
        ("openid", Change::Same, "openid /activities/update"),
        ("/read-limited", Change::Widened, "openid /activities/update /read-limited"),
    ] {
        let (_, completed) = bench.sign_in(&vault, JOSIAH, wanted).await;
        assert_eq!((completed.change, &completed.connection.scopes), (change, &scopes(union)), "{wanted}");
    }
    assert_eq!(vault.token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 3);
    assert_eq!(due(&vault).await, [format!("access-token-{JOSIAH}-0")]);
}

#[tokio::test]
async fn history_and_pairs_are_bounded() {
    let bench = Bench::new();
    let vault = bench.open();
    for round in 0..40 {
        bench.sign_in(&vault, JOSIAH, &format!("openid /scope-{round}")).await;
    }
    let connection = vault.connection(&connection_key(JOSIAH)).await.unwrap().unwrap();
    assert_eq!(connection.history.len(), 32);
    assert_eq!(vault.token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 16);
    assert_eq!(due(&vault).await.len(), 24, "none is forgotten without being revoked");
}

#[tokio::test]
async fn the_same_token_given_twice_is_not_revoked() {
    let bench = Bench::new();
    let vault = bench.open();
    let grant = bench.grant(JOSIAH, "openid");
    sign_in(&vault, &grant, bench.key(), None).await;
    sign_in(&vault, &grant, bench.key(), None).await;
    assert_eq!(due(&vault).await, Vec::<String>::new());
}

#[tokio::test]
async fn revocations_wait_longer_after_each_failure_and_survive_a_restart() {
    let bench = Bench::new();
    let vault = bench.open();
    for _ in 0..3 {
        bench.sign_in(&vault, JOSIAH, "openid").await;
    }
    let queue = vault.due_revocations(UnixTime(NOW), 100).await.unwrap();
    assert_eq!(queue.len(), 2);
    assert_eq!(queue[0].key, connection_key(JOSIAH));
    vault.revocation_done(&queue[0].id).await.unwrap();
    vault.revocation_failed(&queue[1].id, UnixTime(NOW)).await.unwrap();
    // A second report about the same entry changes nothing.
    vault.revocation_failed(&queue[1].id, UnixTime(NOW)).await.unwrap();
    vault.revocation_done(&queue[0].id).await.unwrap();
    vault.close();
    let vault = bench.open();
    for (later, expected) in [(0, 0), (59, 0), (60, 1)] {
        assert_eq!(vault.due_revocations(UnixTime(NOW + later), 100).await.unwrap().len(), expected, "{later}");
    }
    let again = vault.due_revocations(UnixTime(NOW + 60), 1).await.unwrap();
    assert_eq!(again[0].token, queue[1].token);
    vault.revocation_failed(&again[0].id, UnixTime(NOW + 60)).await.unwrap();
    assert!(vault.due_revocations(UnixTime(NOW + 179), 1).await.unwrap().is_empty());
    assert_eq!(vault.due_revocations(UnixTime(NOW + 180), 1).await.unwrap().len(), 1);
}

#[tokio::test]
async fn disconnecting_revokes_everything_and_ends_the_sessions() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.sign_in(&vault, JOSIAH, "/read-limited").await;
    let (other, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    let (child, _) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
    assert!(vault.disconnect(&connection_key(JOSIAH)).await.unwrap());
    assert!(!vault.disconnect(&connection_key(JOSIAH)).await.unwrap());
    for gone in [root, child] {
        assert!(vault.session(&gone).await.unwrap().is_none());
    }
    assert!(vault.session(&other).await.unwrap().is_some());
    assert!(vault.connection(&connection_key(JOSIAH)).await.unwrap().is_none());
    assert_eq!(due(&vault).await.len(), 2);
    let (_, completed) = bench.sign_in(&vault, JOSIAH, "openid").await;
    assert_eq!(completed.change, Change::New);
}

#[tokio::test]
async fn connections_are_listed_in_pages() {
    let bench = Bench::new();
    let vault = bench.open();
    for who in [JOSIAH, MALLORY, "0000-0001-5109-3700"] {
        bench.sign_in(&vault, who, "openid").await;
    }
    let (mut seen, mut page) = (Vec::new(), None);
    loop {
        let (connections, next) = vault.connections(page, 2).await.unwrap();
        seen.extend(connections.into_iter().map(|connection| connection.key.subject.to_string()));
        page = next;
        if page.is_none() {
            break;
        }
    }
    seen.sort();
    assert_eq!(seen, ["0000-0001-5109-3700", MALLORY, JOSIAH]);
}

#[tokio::test]
async fn the_erased_can_come_back_but_what_they_were_cannot() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (other, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    bench.clock.advance(HOUR);
    let buckets = copy_of(&bench.directory().join("people"));
    assert_eq!(vault.erase(&super::bench::connection_key(JOSIAH)).await.unwrap(), 1);
    assert_eq!(vault.erase(&super::bench::connection_key(JOSIAH)).await.unwrap(), 0);
    assert!(vault.session(&root).await.unwrap().is_none());
    assert!(vault.connection(&connection_key(JOSIAH)).await.unwrap().is_none());
    assert!(vault.session(&other).await.unwrap().is_some());
    assert_eq!(due(&vault).await.len(), 1, "the token is still revoked at ORCID");

    // A backup of the data keys brought back does not bring back the data: the list comes first.
    vault.close();
    for (path, bytes) in buckets {
        std::fs::write(path, bytes).unwrap();
    }
    std::fs::remove_dir_all(bench.directory().join("store")).unwrap();
    let vault = bench.open();
    assert!(vault.connection(&connection_key(JOSIAH)).await.unwrap().is_none());
    assert!(vault.connection(&connection_key(MALLORY)).await.unwrap().is_some());

    let (root, completed) = bench.sign_in(&vault, JOSIAH, "openid").await;
    assert_eq!((completed.change, completed.connection.first_seen), (Change::New, UnixTime(NOW + HOUR)));
    vault.close();
    let vault = bench.open();
    assert!(vault.session(&root).await.unwrap().is_some(), "the new data key is not on the list");
}

fn copy_of(directory: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn signing_keys_are_kept_replaced_and_dropped() {
    let bench = Bench::new();
    let vault = bench.open();
    let key = |kid: &str, retire_at| StoredSigningKey {
        kid: kid.to_owned(),
        pkcs8: Zeroizing::new(vec![1, 2, 3]),
        created: UnixTime(NOW),
        retire_at,
    };
    vault.put_signing_key(&key("a", None)).await.unwrap();
    vault.put_signing_key(&key("b", None)).await.unwrap();
    vault.put_signing_key(&key("a", Some(UnixTime(NOW + 5)))).await.unwrap();
    vault.drop_signing_key("b").await.unwrap();
    vault.drop_signing_key("c").await.unwrap();
    vault.close();
    let stored = bench.open().signing_keys().await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].kid.as_str(), &stored[0].pkcs8[..]), ("a", &[1, 2, 3][..]));
    assert_eq!(stored[0].retire_at, Some(UnixTime(NOW + 5)));
    assert!(!format!("{:?}", stored[0]).contains("1, 2, 3"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_sign_ins_of_one_person_at_once_lose_nothing() {
    let bench = Arc::new(Bench::new());
    let vault = bench.open();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (bench, vault) = (bench.clone(), vault.clone());
        tasks.spawn(async move { bench.sign_in(&vault, JOSIAH, "openid").await.1.change });
    }
    let changes = tasks.join_all().await;
    assert_eq!(changes.iter().filter(|change| **change == Change::New).count(), 1);
    assert_eq!(vault.token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 1);
    assert_eq!(due(&vault).await.len(), 63);
    assert_eq!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap().len(), 64);
}

/// Two providers may both know an "alice", and mean two people.
#[tokio::test]
async fn who_is_erased_at_one_provider_leaves_their_namesake_at_another_alone() {
    let bench = Bench::new();
    let vault = bench.open();
    let (staff, _) = bench.sign_in(&vault, "alice", "openid").await;
    let guest = bench.key();
    let grant = bench.grant("alice", "openid");
    let completion = SignInCompletion { client: "guests".parse().unwrap(), ..completion(&grant, guest) };
    vault.complete_sign_in(completion).await.unwrap().unwrap();
    let key_of = |client: &str| ConnectionKey { client: client.parse().unwrap(), ..connection_key("alice") };

    assert_eq!(vault.erase(&key_of("guests")).await.unwrap(), 1);
    assert!(vault.session(&guest).await.unwrap().is_none());
    assert!(vault.session(&staff).await.unwrap().is_some(), "the namesake is signed out");
    assert_eq!(vault.token_pairs(&key_of("main")).await.unwrap().len(), 1, "and has lost their tokens");
    assert_eq!(vault.erase(&key_of("main")).await.unwrap(), 1);
    assert!(vault.session(&staff).await.unwrap().is_none());
}
