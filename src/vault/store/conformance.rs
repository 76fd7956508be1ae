//! The conformance suite: what any store must do. Run against each implementation, with a fresh store
//! per case.

use super::{Batch, Change, Condition, LARGEST_VALUE, Outcome, Store};
use crate::domain::UnixTime;
use crate::vault::VaultFault;
use crate::vault::trees::{Address, Tree};
use std::sync::{Arc, Mutex};

fn at(key: &str) -> Address {
    Address::new(Tree::Spent, &[key.as_bytes()])
}

async fn value(store: &dyn Store, key: &str) -> Option<Vec<u8>> {
    store.get(&at(key)).await.unwrap()
}

/// Runs every case; `fresh` makes an empty store.
pub(in crate::vault) async fn run(fresh: impl Fn() -> Arc<dyn Store>) {
    rows_are_put_found_and_deleted(&*fresh()).await;
    a_batch_happens_as_a_whole_or_not_at_all(&*fresh()).await;
    of_many_that_exclude_each_other_one_wins(fresh()).await;
    conditions_see_earlier_members_of_the_same_group(fresh()).await;
    scans_are_ordered_and_paged(&*fresh()).await;
    expired_rows_are_swept_with_their_companions(&*fresh()).await;
    watchers_hear_before_the_writer_does(&*fresh()).await;
    too_large_a_value_is_refused_and_harms_nobody(&*fresh()).await;
    a_dropped_future_undoes_nothing(fresh()).await;
    a_closed_store_says_so(&*fresh()).await;
}

async fn rows_are_put_found_and_deleted(store: &dyn Store) {
    assert_eq!(value(store, "a").await, None);
    for bytes in [&b"one"[..], b"", &[0xff; 300], &[7; LARGEST_VALUE]] {
        store.put(at("a"), bytes.to_vec()).await.unwrap();
        assert_eq!(value(store, "a").await.unwrap(), bytes);
    }
    store.delete(at("a")).await.unwrap();
    store.delete(at("a")).await.unwrap();
    assert_eq!(value(store, "a").await, None);
    // Trees do not see each other's rows.
    store.put(Address::new(Tree::Meta, &[b"a"]), vec![1]).await.unwrap();
    assert_eq!(value(store, "a").await, None);
}

async fn a_batch_happens_as_a_whole_or_not_at_all(store: &dyn Store) {
    store.put(at("there"), b"x".to_vec()).await.unwrap();
    let conditions = [
        (Condition::Absent(at("missing")), Outcome::Written),
        (Condition::Absent(at("there")), Outcome::Conflict),
        (Condition::Present(at("there")), Outcome::Written),
        (Condition::Present(at("missing")), Outcome::Conflict),
        (Condition::Equals(at("there"), b"x".to_vec()), Outcome::Written),
        (Condition::Equals(at("there"), b"y".to_vec()), Outcome::Conflict),
        (Condition::Equals(at("there"), Vec::new()), Outcome::Conflict),
        (Condition::Equals(at("missing"), Vec::new()), Outcome::Conflict),
    ];
    for (round, (condition, expected)) in conditions.into_iter().enumerate() {
        let about = format!("{condition:?}");
        let mut batch = Batch::default().when(Condition::Present(at("there"))).when(condition);
        batch.put(at(&format!("first {round}")), vec![1]);
        batch.delete(at(&format!("nothing {round}")));
        batch.put(at(&format!("second {round}")), vec![2]);
        assert_eq!(store.write(batch).await.unwrap(), expected, "{about}");
        let written = expected == Outcome::Written;
        for part in ["first", "second"] {
            assert_eq!(value(store, &format!("{part} {round}")).await.is_some(), written, "{about}");
        }
    }
    let swap = |from: Option<&[u8]>, to: &[u8]| store.compare_and_set(at("cas"), from.map(<[u8]>::to_vec), to.to_vec());
    assert_eq!(swap(None, b"1").await.unwrap(), Outcome::Written);
    assert_eq!(swap(None, b"2").await.unwrap(), Outcome::Conflict);
    assert_eq!(swap(Some(b"1"), b"2").await.unwrap(), Outcome::Written);
    assert_eq!(swap(Some(b"1"), b"3").await.unwrap(), Outcome::Conflict);
    assert_eq!(value(store, "cas").await.unwrap(), b"2");
    // Later operations of a batch win over earlier ones.
    let mut batch = Batch::default();
    batch.put(at("twice"), vec![1]);
    batch.delete(at("twice"));
    batch.put(at("twice"), vec![2]);
    store.write(batch).await.unwrap();
    assert_eq!(value(store, "twice").await.unwrap(), [2]);
}

async fn of_many_that_exclude_each_other_one_wins(store: Arc<dyn Store>) {
    for round in 0..5 {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..64u8 {
            let store = store.clone();
            let key = at(&format!("once {round}"));
            tasks.spawn(async move { store.compare_and_set(key, None, vec![number]).await.unwrap() });
        }
        let outcomes = tasks.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Written).count(), 1);
    }
}

async fn conditions_see_earlier_members_of_the_same_group(store: Arc<dyn Store>) {
    store.put(at("count"), vec![0]).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            loop {
                let old = store.get(&at("count")).await.unwrap().unwrap();
                let new = vec![old[0] + 1];
                if store.compare_and_set(at("count"), Some(old), new).await.unwrap() == Outcome::Written {
                    break;
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(value(&*store, "count").await.unwrap(), [32], "no increment was lost");
}

async fn scans_are_ordered_and_paged(store: &dyn Store) {
    let mut batch = Batch::default();
    for number in 0..50 {
        batch.put(at(&format!("p{number:02}")), vec![number]);
    }
    batch.put(at("o"), vec![99]);
    batch.put(at("q"), vec![99]);
    batch.put(Address::new(Tree::Revocations, &[b"p"]), vec![99]);
    store.write(batch).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let rows = store.scan(&at("p"), after.as_ref(), 7).await.unwrap();
        assert!(rows.len() <= 7);
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        seen.extend(rows.into_iter().map(|(_, value)| value[0]));
    }
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    assert_eq!(store.scan(&at(""), None, usize::MAX).await.unwrap().len(), 52);
    assert!(store.scan(&at("nothing"), None, 10).await.unwrap().is_empty());
}

async fn expired_rows_are_swept_with_their_companions(store: &dyn Store) {
    let mut batch = Batch::default();
    batch.put_until(at("early"), vec![1], UnixTime(100));
    batch.put_until(at("early too"), vec![2], UnixTime(100));
    batch.put_until(at("late"), vec![3], UnixTime(4_102_444_800));
    batch.put(at("never"), vec![4]);
    batch.put_until(at("prolonged"), vec![5], UnixTime(100));
    store.write(batch).await.unwrap();
    let mut batch = Batch::default();
    batch.put_until(at("prolonged"), vec![6], UnixTime(200));
    // Written again with the expiry it has: still goes together with the others.
    batch.put_until(at("early"), vec![7], UnixTime(100));
    store.write(batch).await.unwrap();
    let there = async |keys: &[&str]| {
        let mut found = Vec::new();
        for key in keys {
            found.push(value(store, key).await.is_some());
        }
        found
    };
    let keys = ["early", "early too", "prolonged", "late", "never"];
    for (now, expected) in [
        (99, [true; 5]),
        (100, [false, false, true, true, true]),
        (200, [false, false, false, true, true]),
        (4_102_444_799, [false, false, false, true, true]),
        (4_102_444_800, [false, false, false, false, true]),
    ] {
        while store.sweep(UnixTime(now), 1).await.unwrap() == 1 {}
        assert_eq!(there(&keys).await, expected, "at {now}");
    }
}

async fn watchers_hear_before_the_writer_does(store: &dyn Store) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = heard.clone();
    let watcher = move |at: &Address, change| ears.lock().unwrap().push((at.clone(), change));
    store.watch(Tree::Spent, Box::new(watcher));
    let take = || std::mem::take(&mut *heard.lock().unwrap());
    store.put(at("a"), vec![1]).await.unwrap();
    assert_eq!(take(), [(at("a"), Change::Written)]);
    store.delete(at("a")).await.unwrap();
    assert_eq!(take(), [(at("a"), Change::Deleted)]);
    store.put(Address::new(Tree::Meta, &[b"a"]), vec![1]).await.unwrap();
    let mut refused = Batch::default().when(Condition::Present(at("missing")));
    refused.put(at("a"), vec![1]);
    store.write(refused).await.unwrap();
    assert_eq!(take(), [], "another tree, and what was not written");
}

async fn too_large_a_value_is_refused_and_harms_nobody(store: &dyn Store) {
    let fault = store.put(at("large"), vec![0; LARGEST_VALUE + 1]).await.unwrap_err();
    assert!(matches!(fault, VaultFault::TooLarge { .. }), "{fault}");
    store.put(at("small"), vec![1]).await.unwrap();
    assert_eq!(value(store, "large").await, None);
    assert!(store.health().is_ok());
}

async fn a_dropped_future_undoes_nothing(store: Arc<dyn Store>) {
    for round in 0..20 {
        let first = format!("dropped {round}");
        let second = format!("behind {round}");
        {
            let mut write = store.put(at(&first), vec![1]);
            // Handed in by its first poll, then nobody waits for it any longer.
            let waker = std::task::Waker::noop();
            let _ = write.as_mut().poll(&mut std::task::Context::from_waker(waker));
        }
        store.put(at(&second), vec![1]).await.unwrap();
        assert!(value(&*store, &first).await.is_some());
    }
}

async fn a_closed_store_says_so(store: &dyn Store) {
    store.put(at("a"), vec![1]).await.unwrap();
    store.close();
    store.close();
    assert!(matches!(store.get(&at("a")).await, Err(VaultFault::Closed)));
    assert!(matches!(store.put(at("a"), vec![2]).await, Err(VaultFault::Closed)));
    assert!(matches!(store.scan(&at("a"), None, 1).await, Err(VaultFault::Closed)));
    assert!(matches!(store.health(), Err(VaultFault::Closed)));
}
