//! Runs the conformance suite against the embedded store.

use crate::vault::VaultFault;
use crate::vault::journal::{Entry, Identity, Journal, read};
use crate::vault::store::{Batch, Opened, Opening, SledStore, Store, conformance};
use crate::vault::trees::{Address, Tree};
use ring::hmac;
use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// An empty store; `divert` sends its journal elsewhere.
fn open(directory: &Path, divert: Option<File>) -> SledStore {
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
