//! Lost and damaged files: what is rebuilt, what is mended, what is refused.

use super::bench::{Bench, JOSIAH, MALLORY, connection_key, subject};
use crate::domain::Environment;
use crate::vault::{Change, HashedSessionKey, VaultFault};
use std::fs;
use std::path::Path;

/// A vault with two researchers, one of whom signed in twice, and a third who was erased.
async fn used() -> (Bench, HashedSessionKey) {
    let bench = Bench::new();
    let vault = bench.open();
    bench.sign_in(&vault, "0000-0001-5109-3700", "openid").await;
    bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.sign_in(&vault, MALLORY, "openid").await;
    vault.erase(&super::bench::connection_key("0000-0001-5109-3700")).await.unwrap();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid /read-limited").await;
    vault.close();
    (bench, root)
}

fn overwrite(path: &Path, from: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    fs::File::options().write(true).open(path).unwrap().write_all_at(bytes, from).unwrap();
}

#[tokio::test]
async fn t70_a_destroyed_store_is_rebuilt_from_the_journal_with_everybody_signed_out() {
    let garbage: Vec<u8> = (0..40_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let length = |path: &Path| fs::metadata(path).unwrap().len();
    let cut = |path: &Path, to: u64| fs::File::options().write(true).open(path).unwrap().set_len(to).unwrap();
    type Destroy<'a> = &'a dyn Fn(&Path);
    let table: [(&str, Destroy); 9] = [
        ("deleted", &|store| fs::remove_dir_all(store).unwrap()),
        ("its log deleted", &|store| fs::remove_file(store.join("db")).unwrap()),
        ("emptied", &|store| cut(&store.join("db"), 0)),
        ("cut in half", &|store| cut(&store.join("db"), length(&store.join("db")) / 2)),
        ("cut short", &|store| cut(&store.join("db"), 700)),
        ("garbage throughout", &|store| {
            let path = store.join("db");
            let size = usize::try_from(length(&path)).unwrap();
            overwrite(&path, 0, &garbage.iter().copied().cycle().take(size).collect::<Vec<_>>());
        }),
        ("garbage at its start", &|store| overwrite(&store.join("db"), 0, &garbage[..2000])),
        ("its configuration garbage", &|store| overwrite(&store.join("conf"), 0, &garbage[..16])),
        ("another vault's", &|store| {
            fs::remove_dir_all(store).unwrap();
            let other = Bench::new();
            other.open().close();
            fs::rename(other.directory().join("store"), store).unwrap();
        }),
    ];
    for (about, destroy) in table {
        let (bench, root) = used().await;
        destroy(&bench.directory().join("store"));
        let vault = bench.try_open().unwrap_or_else(|fault| panic!("{about}: {fault}"));
        assert!(vault.session(&root).await.unwrap().is_none(), "{about}: sessions start empty");
        let pairs = vault.token_pairs(&connection_key(JOSIAH)).await.unwrap();
        let tokens: Vec<&str> = pairs.iter().map(|pair| pair.access_token.expose()).collect();
        assert_eq!(tokens, [format!("access-token-{JOSIAH}-1"), format!("access-token-{JOSIAH}-3")], "{about}");
        assert_eq!(vault.token_pairs(&connection_key(MALLORY)).await.unwrap().len(), 1, "{about}");
        assert!(vault.connection(&connection_key("0000-0001-5109-3700")).await.unwrap().is_none(), "{about}");
        let (root, completed) = bench.sign_in(&vault, JOSIAH, "openid").await;
        assert_eq!(completed.change, Change::Same, "{about}");
        vault.close();
        let vault = bench.open();
        assert!(vault.session(&root).await.unwrap().is_some(), "{about}: rebuilt for good");
    }
}

#[tokio::test]
async fn t70_a_store_that_reported_corruption_is_rebuilt_at_the_next_start() {
    let (bench, root) = used().await;
    fs::write(bench.directory().join("store-damaged"), "x").unwrap();
    let vault = bench.open();
    assert!(vault.session(&root).await.unwrap().is_none());
    assert!(vault.connection(&connection_key(JOSIAH)).await.unwrap().is_some());
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    vault.close();
    let vault = bench.open();
    assert!(vault.session(&root).await.unwrap().is_some(), "once");
    let lost = fs::read_dir(bench.directory()).unwrap().flatten();
    let lost = lost.filter(|entry| entry.file_name().to_string_lossy().starts_with("store.lost-")).count();
    assert_eq!(lost, 1, "the old files are kept, one generation of them");
}

#[tokio::test]
async fn t70_an_older_copy_of_the_store_brings_no_ended_session_back() {
    let (bench, root) = used().await;
    let (store, copy) = (bench.directory().join("store"), bench.directory().join("../copy"));
    copy_all(&store, &copy);
    let vault = bench.open();
    assert!(vault.end_session(&root).await.unwrap());
    bench.sign_in(&vault, JOSIAH, "openid").await;
    vault.close();
    fs::remove_dir_all(&store).unwrap();
    fs::rename(&copy, &store).unwrap();
    let vault = bench.open();
    assert!(vault.session(&root).await.unwrap().is_none());
    assert!(vault.connection(&connection_key(JOSIAH)).await.unwrap().is_some());
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(drop).unwrap()
        }
    }
}

#[tokio::test]
async fn a_journal_with_a_torn_last_frame_is_taken_up_where_it_broke_off() {
    for rest in [&[0u8][..], &[0, 0, 1, 0, 7, 7, 7], &[0xff; 60], &[0; 5000]] {
        for store_too in [false, true] {
            let (bench, root) = used().await;
            let journal = bench.directory().join("journal");
            let mut bytes = fs::read(&journal).unwrap();
            bytes.extend_from_slice(rest);
            fs::write(&journal, bytes).unwrap();
            if store_too {
                fs::remove_dir_all(bench.directory().join("store")).unwrap();
            }
            let vault = bench.open();
            assert_eq!(vault.session(&root).await.unwrap().is_some(), !store_too);
            assert_eq!(vault.token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 2);
            bench.sign_in(&vault, JOSIAH, "/activities/update").await;
            vault.close();
            fs::remove_dir_all(bench.directory().join("store")).unwrap();
            assert_eq!(bench.open().token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 3, "goes on well");
        }
    }
}

#[tokio::test]
async fn a_journal_damaged_elsewhere_is_refused_with_what_to_do() {
    let (bench, root) = used().await;
    let journal = bench.directory().join("journal");
    let whole = fs::read(&journal).unwrap();
    let flip = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    let middle = whole.len() / 2;
    let mut table = vec![
        ("another file", b"hello".to_vec()),
        ("empty", Vec::new()),
        ("another vault's", flip(12)),
        ("a changed header", flip(30)),
        ("a changed length", flip(57)),
        ("a changed frame", flip(middle)),
        ("a lost end", whole[..whole.len() - 40].to_vec()),
        ("a lost half", whole[..middle].to_vec()),
        ("a hole", [&whole[..200], &whole[300..]].concat()),
        ("an insertion", [&whole[..middle], &[0; 20], &whole[middle..]].concat()),
    ];
    table.push(("a changed last tag", flip(whole.len() - 1)));
    for (about, bytes) in table {
        fs::write(&journal, &bytes).unwrap();
        let fault = bench.try_open().err().unwrap_or_else(|| panic!("opened with {about}"));
        assert!(matches!(fault, VaultFault::Damaged { .. }), "{about}: {fault}");
        let text = fault.to_string();
        assert!(text.contains("journal") && text.contains("Restore it"), "{about}: {text}");
        assert_eq!(fs::read(&journal).unwrap(), bytes, "{about}: never repaired");
    }
    // The way out that the fault names: the store is whole, so the journal can be written anew.
    fs::remove_file(&journal).unwrap();
    let vault = bench.open();
    assert!(vault.session(&root).await.unwrap().is_some());
    vault.close();
    fs::remove_dir_all(bench.directory().join("store")).unwrap();
    assert_eq!(bench.open().token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_journal_damaged_in_the_middle_is_refused_when_the_store_is_lost_too() {
    let (bench, _) = used().await;
    let journal = bench.directory().join("journal");
    let whole = fs::read(&journal).unwrap();
    for at in [57, 60, 100, whole.len() / 2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&journal, bytes).unwrap();
        let store = bench.directory().join("store");
        if store.exists() {
            fs::remove_dir_all(store).unwrap();
        }
        assert!(matches!(bench.try_open(), Err(VaultFault::Damaged { .. })), "byte {at}");
    }
    fs::remove_file(&journal).unwrap();
    let fault = bench.try_open().unwrap_err().to_string();
    assert!(fault.contains("it is missing, and so is the store"), "{fault}");
}

#[tokio::test]
async fn t70_a_damaged_bucket_of_data_keys_fails_closed_and_nobody_elses() {
    let (bench, root) = used().await;
    let vault = bench.open();
    let (other, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    let person = vault.core.names.person(Environment::Production, &subject(JOSIAH)).0;
    vault.close();
    let bucket = u16::from_be_bytes([person[0], person[1]]) >> 6;
    let path = bench.directory().join(format!("people/{bucket:03x}"));
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let vault = bench.open();
    assert!(matches!(vault.session(&root).await, Err(VaultFault::Damaged { .. })));
    assert!(vault.session(&other).await.unwrap().is_some());
    // Whoever goes through all connections is not held up by it.
    let (listed, behind) = vault.connections(None, 10).await.unwrap();
    assert!(listed.len() == 1 && listed[0].key == connection_key(MALLORY) && behind.is_none());
    let grant = bench.grant(JOSIAH, "openid");
    let refused = super::bench::try_sign_in(&vault, &grant, bench.key(), None).await;
    assert!(matches!(refused, Err(VaultFault::Damaged { .. })));
    assert_eq!(fs::read(&path).unwrap(), bytes, "never written over");
    vault.healthy().await.unwrap();
}

#[tokio::test]
async fn the_journal_is_rewritten_when_most_of_it_is_dead() {
    let bench = Bench::new();
    let vault = bench.open();
    bench.sign_in(&vault, MALLORY, "openid").await;
    let journal = bench.directory().join("journal");
    let size = || fs::metadata(&journal).unwrap().len();
    let (mut before, mut shrunk) = (size(), false);
    // Long scope names make frames long and the test short.
    let long: String = (0..60).map(|n| format!(" /{}{n}", "s".repeat(120))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..400 {
        if tasks.len() >= 16 {
            tasks.join_next().await;
        }
        let (vault, grant, root) = (vault.clone(), bench.grant(JOSIAH, &long), bench.key());
        tasks.spawn(async move { super::bench::sign_in(&vault, &grant, root, None).await });
        let now = size();
        shrunk |= now < before;
        before = now;
        assert!(now < 3 * 1024 * 1024, "bounded: {now}");
        if shrunk {
            break;
        }
    }
    tasks.join_all().await;
    assert!(shrunk || size() < before, "rewritten");
    bench.sign_in(&vault, JOSIAH, "openid").await;
    vault.close();
    bench.open().close();
    fs::remove_dir_all(bench.directory().join("store")).unwrap();
    let vault = bench.open();
    assert_eq!(vault.token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 2);
    assert_eq!(vault.token_pairs(&connection_key(MALLORY)).await.unwrap().len(), 1);
}
