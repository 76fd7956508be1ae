//! What a thief finds: stolen copies, swapped records, wrong and rotated keys.

use super::bench::{Bench, JOSIAH, MALLORY, connection_key};
use crate::vault::{
    Purpose, VaultFault, connections, generate_key_file, list_keys, rotate_key_file, seal, session_record, trees,
};
use std::path::{Path, PathBuf};

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}

#[tokio::test]
async fn t72_a_stolen_copy_shows_no_token_no_name_no_id_and_no_session() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid /read-limited").await;
    bench.sign_in(&vault, JOSIAH, "openid /read-limited").await;
    bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
    vault.session(&root).await.unwrap();
    bench.sign_in(&vault, MALLORY, "openid").await;
    vault.erase(&super::bench::connection_key(MALLORY)).await.unwrap();
    vault.close();
    let secret = std::fs::read_to_string(bench.key_file()).unwrap();
    let secret = secret.split_whitespace().last().unwrap().to_owned();
    let compact = JOSIAH.replace('-', "");
    let found = files(&bench.directory());
    assert!(found.len() >= 6, "{found:?}");
    for path in found {
        let bytes = std::fs::read(&path).unwrap();
        for text in [
            "access-token",
            "refresh-token",
            JOSIAH,
            MALLORY,
            &compact,
            "1825-0097",
            "Josiah",
            "Carberry",
            "Stinkney",
            "read-limited",
            "wiki.example",
            "Mozilla",
            &secret,
        ] {
            assert!(!holds(&bytes, text.as_bytes()), "{} holds {text}", path.display());
        }
        assert!(!holds(&bytes, &JOSIAH.as_bytes()[..12]), "{}", path.display());
    }
}

#[tokio::test]
async fn t72_two_records_that_changed_places_do_not_open() {
    let bench = Bench::new();
    let vault = bench.open();
    let (one, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let (two, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.sign_in(&vault, MALLORY, "openid").await;
    let store = &vault.core.store;
    let id = |who| trees::connection(vault.core.names.connection(&connection_key(who)));
    for (a, b, what) in [
        (trees::session(&one), trees::session(&two), session_record::WHAT),
        (id(JOSIAH), id(MALLORY), connections::WHAT),
    ] {
        let (in_a, in_b) = (store.get(&a).await.unwrap().unwrap(), store.get(&b).await.unwrap().unwrap());
        store.put(a.clone(), in_b.clone()).await.unwrap();
        store.put(b.clone(), in_a.clone()).await.unwrap();
        let fault = vault.core.people.open_record::<session_record::SessionRecord>(what, &a, &in_b).unwrap_err();
        assert!(matches!(fault, VaultFault::Unreadable { .. }), "{fault}");
        store.put(a, in_a).await.unwrap();
        store.put(b, in_b).await.unwrap();
    }
    let sealed = store.get(&trees::session(&one)).await.unwrap().unwrap();
    store.put(trees::session(&two), sealed).await.unwrap();
    let fault = vault.session(&two).await.unwrap_err();
    assert!(matches!(fault, VaultFault::Unreadable { .. }), "never somebody else's session: {fault}");
}

#[tokio::test]
async fn t72_a_wrong_key_is_refused_and_harms_nothing() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    vault.close();
    let right = std::fs::read(bench.key_file()).unwrap();
    let id = list_keys(&bench.key_file()).unwrap()[0].id.to_string();

    std::fs::remove_file(bench.key_file()).unwrap();
    let fault = bench.try_open().unwrap_err();
    assert!(matches!(fault, VaultFault::KeyFileMissing { .. }), "{fault}");
    assert!(!bench.key_file().exists(), "no new key is made for a vault that has one");

    generate_key_file(&bench.key_file(), &*bench.clock, &*bench.chance).unwrap();
    let fault = bench.try_open().unwrap_err().to_string();
    assert!(fault.contains(&id) && fault.contains("put that key's line back"), "{fault}");

    // The right id with a wrong key.
    let text = String::from_utf8(right.clone()).unwrap();
    let key = text.split_whitespace().last().unwrap().to_owned();
    std::fs::write(bench.key_file(), text.replace(&key, &"0".repeat(64))).unwrap();
    let fault = bench.try_open().unwrap_err();
    assert!(matches!(fault, VaultFault::Unreadable { .. }), "{fault}");

    std::fs::write(bench.key_file(), right).unwrap();
    assert!(bench.open().session(&root).await.unwrap().is_some());
}

#[tokio::test]
async fn t73_a_rotation_keeps_everything_readable_and_lets_the_old_key_go() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.sign_in(&vault, JOSIAH, "openid").await;
    let cookies = vault.sealer(Purpose::SessionCookie);
    let (tag, ticket) = (cookies.mac(b"key"), vault.sealer(Purpose::Ticket).seal(b"text", b""));
    let nonce = vault.sealer(Purpose::Nonce).mac(b"attempt");
    rotate_key_file(&bench.key_file(), &*bench.clock, &*bench.chance).unwrap();
    assert_eq!(vault.reload_keys().await.unwrap(), Some(vault.sealing().unwrap().keys));
    let ring = vault.sealing().unwrap().keys;
    assert_eq!(vault.reload_keys().await.unwrap(), None, "nothing has changed since");
    assert_eq!(ring.iter().map(|key| key.active).collect::<Vec<_>>(), [false, true]);
    assert!(cookies.verify_mac(b"key", &tag), "sealers follow the ring");
    assert_ne!(cookies.mac(b"key"), tag);
    assert!(vault.sealer(Purpose::Ticket).open(&ticket, b"").is_some());
    assert_eq!(vault.sealer(Purpose::Nonce).mac(b"attempt"), nonce);
    assert!(vault.session(&root).await.unwrap().is_some());
    let (later, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    wait_until_resealed(&bench, ring[1].id.0).await;
    vault.close();

    // All that is left under the old key travels in browsers: its line can go.
    let text = std::fs::read_to_string(bench.key_file()).unwrap();
    let without: Vec<&str> = text.lines().filter(|line| !line.starts_with(&ring[0].id.to_string())).collect();
    std::fs::write(bench.key_file(), without.join("\n")).unwrap();
    let vault = bench.open();
    for key in [root, later] {
        assert!(vault.session(&key).await.unwrap().is_some());
    }
    let due = vault.due_revocations(crate::domain::UnixTime(i64::MAX), 10).await.unwrap();
    assert_eq!(due.len(), 1, "queued before the rotation, sealed anew");
    assert!(!vault.sealer(Purpose::SessionCookie).verify_mac(b"key", &tag));
    assert!(vault.sealer(Purpose::Ticket).open(&ticket, b"").is_none());
}

/// The keeper seals buckets anew in its own time.
async fn wait_until_resealed(bench: &Bench, active: [u8; 4]) {
    let buckets = files(&bench.directory().join("people"));
    for _ in 0..1000 {
        let sealed_with = |path: &PathBuf| seal::sealed_with("a bucket", &std::fs::read(path).unwrap()).unwrap().0;
        if buckets.iter().filter(|path| path.extension().is_none()).all(|path| sealed_with(path) == active) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still sealed under the old key");
}

#[tokio::test]
async fn t73_a_key_that_is_still_needed_cannot_be_dropped_unnoticed() {
    let bench = Bench::new();
    let vault = bench.open();
    bench.sign_in(&vault, JOSIAH, "openid").await;
    let before = std::fs::read(bench.key_file()).unwrap();
    std::fs::remove_file(bench.key_file()).unwrap();
    assert!(matches!(vault.reload_keys().await, Err(VaultFault::KeyFileMissing { .. })));
    generate_key_file(&bench.key_file(), &*bench.clock, &*bench.chance).unwrap();
    assert!(matches!(vault.reload_keys().await, Err(VaultFault::KeyDropped { .. })));
    std::fs::write(bench.key_file(), before).unwrap();
    vault.reload_keys().await.unwrap();
    bench.sign_in(&vault, MALLORY, "openid").await;
}
