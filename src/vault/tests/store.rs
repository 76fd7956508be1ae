//! Runs the conformance suite against the embedded store.

use crate::vault::journal::{Identity, Journal};
use crate::vault::store::{Opened, Opening, Store, conformance};
use ring::hmac;
use std::cell::Cell;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_conforms() {
    let place = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    let fresh = || -> Arc<dyn Store> {
        let directory = place.path().join(made.replace(made.get() + 1).to_string());
        let Opened::Whole(opening) = Opening::open(&directory.join("store")).unwrap() else { panic!("not whole") };
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let identity = Identity { path: directory.join("journal"), store_id: [1; 16], key };
        let journal = Journal::write_new(identity, 1, std::iter::empty()).unwrap();
        Arc::new(opening.start(journal, &directory.join("damaged")).unwrap())
    };
    conformance::run(fresh).await;
}
