//! Runs the conformance suite against the embedded store.

use crate::vault::VaultFault;
use crate::vault::journal::{Entry, Identity, Journal, read};
use crate::vault::store::{Batch, Opened, Opening, SledStore, Store, conformance};
use crate::vault::trees::{Address, Tree};
use ring::hmac;
use std::cell::Cell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// An empty store; `divert` sends its journal elsewhere.
pub(in crate::vault) fn open(directory: &Path, divert: Option<File>) -> SledStore {
    let Opened::Whole(opening) = Opening::open(&directory.join("store")).unwrap() else { panic!("not whole") };
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
    let identity = Identity { path: directory.join("journal"), store_id: [1; 16], key };
    let mut journal = Journal::write_new(identity, 1, std::iter::empty()).unwrap();
    if let Some(file) = divert {
        journal.divert(file);
    }
    opening.start(journal, &directory.join("damaged")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_conforms() {
    let place = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let fresh = || -> Arc<dyn Store> {
        let directory = place.path().join(made.replace(made.get() + 1).to_string());
        Arc::new(open(&directory, None))
    };
    conformance::run(fresh).await;
}

#[tokio::test]
async fn t70_a_disk_that_takes_no_more_fails_closed() {
    let place = tempfile::tempdir().unwrap();
    // Takes nothing, and cannot even be cut back: nobody knows what it holds.
    let full = File::options().read(true).write(true).open("/dev/full").unwrap();
    let store = open(place.path(), Some(full));
    let (kept, other) = (Address::new(Tree::Connections, &[b"a"]), Address::new(Tree::Spent, &[b"a"]));
    store.put(other.clone(), vec![1]).await.unwrap();
    assert!(matches!(store.put(kept.clone(), vec![1]).await, Err(VaultFault::Store { .. })));
    for at in [&kept, &other] {
        assert!(matches!(store.get(at).await, Err(VaultFault::Store { .. })), "no read pretends that all is well");
    }
    assert!(matches!(store.put(other, vec![2]).await, Err(VaultFault::Store { .. })));
    let fault = store.health().unwrap_err().to_string();
    assert!(fault.contains("No space left") && fault.contains("started again"), "{fault}");
    store.close();
    let Opened::Whole(store) = Opening::open(&place.path().join("store")).unwrap() else { panic!("not whole") };
    assert_eq!(store.get(&kept).unwrap(), None, "nothing of the failed write");
}

#[tokio::test]
async fn a_batch_that_does_not_fit_into_one_frame_is_refused_before_anything_is_written() {
    let place = tempfile::tempdir().unwrap();
    let store = open(place.path(), None);
    let at = |number: u32| Address::new(Tree::Connections, &[&number.to_be_bytes()]);
    for (rows, fits) in [(180, true), (300, false)] {
        let mut batch = Batch::default();
        (0..rows).for_each(|number| batch.put(at(number), vec![7; 16 * 1024]));
        match store.write(batch).await {
            Ok(_) => assert!(fits, "{rows}"),
            Err(fault) => assert!(!fits && matches!(fault, VaultFault::TooLarge { .. }), "{rows}: {fault}"),
        }
    }
    assert_eq!(store.get(&at(299)).await.unwrap(), None);
    store.put(at(299), vec![1]).await.unwrap();
    store.close();
}

/// The snapshots in a store's folder.
pub(in crate::vault) fn snapshots(store: &Path) -> Vec<String> {
    let names = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("snap.")).collect()
}

pub(in crate::vault) fn numbered(number: u32) -> Address {
    Address::new(Tree::Spent, &[&number.to_be_bytes()])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_taken_while_others_read_and_write() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(open(place.path(), None));
    store.put(numbered(u32::MAX), vec![7]).await.unwrap();
    let reads = |store: Arc<SledStore>, whole: bool| async move {
        let mut seen = 0;
        while store.get(&numbered(0)).await.unwrap().is_none() {
            let row = store.get(&numbered(u32::MAX)).await.unwrap();
            assert_eq!(row.as_deref(), Some(&[7][..]), "a row that was durable before is always found");
            if whole {
                let rows = store.scan(&Address::new(Tree::Spent, &[]), None, usize::MAX).await.unwrap().len();
                assert!(rows >= seen, "{rows} rows where there were {seen}");
                seen = rows;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut readers = tokio::task::JoinSet::new();
    (0..4).for_each(|number| drop(readers.spawn(reads(store.clone(), number % 2 == 0))));
    let folder = place.path().join("store");
    let mut met = std::collections::BTreeSet::new();
    for number in 1..=1000 {
        store.put(numbered(number), vec![1]).await.unwrap();
        met.extend(snapshots(&folder));
    }
    store.put(numbered(0), vec![]).await.unwrap();
    readers.join_all().await;
    assert!(met.len() > 10, "one every 64 rows: {met:?}");
    assert_eq!(store.scan(&Address::new(Tree::Spent, &[]), None, usize::MAX).await.unwrap().len(), 1002);
    store.close();
    assert!(matches!(store.get(&numbered(1)).await, Err(VaultFault::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t70_a_store_that_cannot_be_opened_again_fails_closed_and_keeps_nobody_waiting() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(open(place.path(), None));
    std::fs::write(place.path().join("store/conf"), b"not what sled wrote").unwrap();
    let reader = tokio::spawn({
        let store = store.clone();
        async move { while store.get(&numbered(1)).await.is_ok() {} }
    });
    let mut written = 0;
    while store.put(numbered(1), vec![1]).await.is_ok() {
        written += 1;
        assert!(written < 1000, "it was not opened again");
    }
    let waited = tokio::time::timeout(Duration::from_secs(20), reader).await;
    waited.expect("whoever reads is told").unwrap();
    for fault in [store.get(&numbered(1)).await.unwrap_err(), store.put(numbered(2), vec![]).await.unwrap_err()] {
        assert!(fault.to_string().contains("cannot be opened again"), "{fault}");
    }
    store.close();
}

/// Too few descriptors, no room: what passes must not end everything until somebody starts the gate again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t70_a_store_that_cannot_be_opened_again_for_a_moment_goes_on_afterwards() {
    let place = tempfile::tempdir().unwrap();
    let store = Arc::new(open(place.path(), None));
    let in_the_way = place.path().join("store/snap.7FFFFFFFFFFFFFFF.generating");
    std::fs::create_dir(&in_the_way).unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..200 {
                store.put(numbered(number), vec![1]).await.unwrap();
            }
        }
    });
    let answers = async || tokio::time::timeout(Duration::from_millis(300), store.get(&numbered(0))).await.is_ok();
    while answers().await {
        assert!(!writer.is_finished(), "nobody met what is in the way");
    }
    std::fs::remove_dir(&in_the_way).unwrap();
    tokio::time::timeout(Duration::from_secs(20), writer).await.expect("it goes on").unwrap();
    assert_eq!(store.get(&numbered(199)).await.unwrap(), Some(vec![1]));
    store.close();
}

#[tokio::test]
async fn t71_a_snapshot_that_a_kill_left_unfinished_costs_nothing() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("store");
    let store = open(place.path(), None);
    store.put(numbered(1), vec![1]).await.unwrap();
    store.close();
    drop(store);
    for (number, left) in [&b""[..], b"begun", &[7; 4096]].into_iter().enumerate() {
        std::fs::write(folder.join(format!("snap.7FFFFFFFFFFFFF0{number}.generating")), left).unwrap();
        let Opened::Whole(opening) = Opening::open(&folder).unwrap() else { panic!("with {} bytes", left.len()) };
        assert_eq!(opening.get(&numbered(1)).unwrap(), Some(vec![1]), "with {} bytes", left.len());
    }
}

/// The files in which sled keeps rows, in a store's folder.
fn files_of_rows(directory: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    let holds_rows = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name == "db" || name.starts_with("snap.")
    };
    files.filter(holds_rows).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t70_a_store_that_comes_back_without_what_it_held_fails_closed() {
    for comes_back in ["empty", "older"] {
        let place = tempfile::tempdir().unwrap();
        let (rows, kept) = (place.path().join("store"), place.path().join("kept"));
        let store = open(place.path(), None);
        let connection = Address::new(Tree::Connections, &[b"a"]);
        store.put(connection.clone(), vec![1]).await.unwrap();
        std::fs::create_dir(&kept).unwrap();
        for file in files_of_rows(&rows) {
            std::fs::copy(&file, kept.join(file.file_name().unwrap())).unwrap();
        }
        store.put(connection.clone(), vec![2]).await.unwrap();
        // Where they were, whoever opens next finds other ones, or none, and makes a new store.
        files_of_rows(&rows).iter().for_each(|file| std::fs::remove_file(file).unwrap());
        for file in files_of_rows(&kept).iter().filter(|_| comes_back == "older") {
            std::fs::copy(file, rows.join(file.file_name().unwrap())).unwrap();
        }
        let mut written = 0;
        while store.put(numbered(1), vec![1]).await.is_ok() {
            written += 1;
            assert!(written < 1000, "{comes_back}: nobody noticed");
        }
        for fault in [store.get(&connection).await.unwrap_err(), store.put(connection, vec![]).await.unwrap_err()] {
            assert!(fault.to_string().contains("has lost what it held"), "{comes_back}: {fault}");
        }
        store.close();
    }
}

#[test]
fn the_journal_writes_no_frame_that_it_would_not_read() {
    let place = tempfile::tempdir().unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
    let identity = Identity { path: place.path().join("journal"), store_id: [1; 16], key };
    let mut journal = Journal::write_new(identity.clone(), 1, std::iter::empty()).unwrap();
    let most = 4 * 1024 * 1024;
    // A frame has a byte for the number of entries, one for an empty address, and five around the value.
    for (bytes, fits) in [(most - 7, true), (most, false), (1, true)] {
        let entry = Entry { at: Vec::new(), value: Some(vec![7; bytes]) };
        assert_eq!(journal.append(&[entry]).is_ok(), fits, "{bytes}");
    }
    let reading = read(&identity, &mut |_, _| {}).unwrap().unwrap();
    assert_eq!((reading.frames, reading.torn), (2, 0));
}
