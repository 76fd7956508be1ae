//! Sessions that lapse: what is remembered of them, and that every end their person orders reaches them (F15). And
//! those that outlive their end because nobody can sign in again (F14).

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, connection_key, settings, sign_in};
use crate::domain::{Broken, ClientName, Clock, Environment, ProviderSession, UnixTime};
use crate::vault::{AFTERLIFE, ConnectionKey, HashedSessionKey, Mark, ProviderSignOut, Vault, VaultSettings, Warm};
use std::sync::Arc;
use std::time::Duration;

/// Josiah, signed in at the wiki until his time was up.
struct Gone {
    bench: Bench,
    vault: Arc<Vault>,
    josiah: ConnectionKey,
    root: HashedSessionKey,
    child: HashedSessionKey,
}

impl Gone {
    async fn after(hours: i64) -> Self {
        let bench = Bench::new();
        let vault = bench.open();
        let mut grant = bench.grant(JOSIAH, "openid");
        let issued = UnixTime(NOW);
        grant.at_provider = Some(ProviderSession { subject: "josiah".into(), sid: Some("s1".into()), issued });
        let root = bench.key();
        sign_in(&vault, &grant, root, None).await;
        let (child, _) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
        bench.clock.advance(hours * HOUR);
        Self { bench, vault, josiah: connection_key(JOSIAH), root, child }
    }

    async fn lapsed_at(&self) -> Option<UnixTime> {
        lapsed_at(&self.vault, &self.child).await
    }

    /// Somebody signs in where Josiah did.
    async fn next(&self, who: &str, replaces: HashedSessionKey) -> HashedSessionKey {
        let next = self.bench.key();
        sign_in(&self.vault, &self.bench.grant(who, "openid"), next, Some(replaces)).await;
        next
    }

    /// And comes to the wiki in the same browser.
    async fn arrive(&self, root: &HashedSessionKey, replaces: HashedSessionKey) -> HashedSessionKey {
        let (child, site, host) = (self.bench.key(), "wiki".parse().unwrap(), "wiki.example".parse().unwrap());
        let begun = self.vault.begin_site_session(root, child, site, host, String::new(), Some(replaces)).await;
        assert!(begun.unwrap().is_some());
        child
    }
}

async fn lapsed_at(vault: &Vault, key: &HashedSessionKey) -> Option<UnixTime> {
    vault.lapsed(key).await.unwrap().map(|lapsed| lapsed.at)
}

#[tokio::test]
async fn f15_a_session_whose_time_was_up_is_remembered_but_never_lives_again() {
    for hours in [8, 25] {
        let mut gone = Gone::after(hours).await;
        let end = Some(UnixTime(NOW + hours * HOUR));
        // Memory knows it before the store does.
        assert!(matches!(gone.vault.peek(&gone.child), Warm::Gone));
        let lapsed = gone.vault.lapsed(&gone.child).await.unwrap().unwrap();
        assert_eq!((Some(lapsed.at), lapsed.was.identity.subject.as_str()), (end, JOSIAH));
        assert_eq!(lapsed.was.session.key, gone.child);
        gone.bench.clock.advance(-7 * HOUR);
        for reopen in [false, true] {
            if reopen {
                gone.vault.close();
                gone.vault = gone.bench.open();
            }
            assert!(gone.vault.session(&gone.child).await.unwrap().is_none(), "nor when the clock is set back (T68)");
            assert_eq!(gone.lapsed_at().await, end);
            assert!(gone.vault.sessions(None, 10).await.unwrap().0.len() < 2);
        }
        assert!(gone.lapsed_at().await.is_some());
        assert_eq!(lapsed_at(&gone.vault, &gone.bench.key()).await, None, "what nobody knew");
    }
}

async fn sweep(gone: &Gone) {
    while gone.vault.core.store.sweep(gone.bench.clock.now(), 100).await.unwrap() == 100 {}
}

#[tokio::test]
async fn f15_what_has_lapsed_is_swept_in_the_end() {
    let gone = Gone::after(25).await;
    assert!(gone.lapsed_at().await.is_some());
    sweep(&gone).await;
    assert!(gone.lapsed_at().await.is_some(), "not with the rows of the session");
    assert_eq!(gone.vault.end_all_sessions(&gone.josiah).await.unwrap(), 0, "none of them was alive");
    assert_eq!(gone.lapsed_at().await, None, "its end still finds it");
    let gone = Gone::after(24).await;
    gone.bench.clock.advance(30);
    sweep(&gone).await;
    assert!(gone.lapsed_at().await.is_some(), "nor before whoever looks every few seconds has seen it");
    gone.bench.clock.advance(AFTERLIFE.as_secs().cast_signed() + 600);
    sweep(&gone).await;
    assert_eq!(gone.lapsed_at().await, None);
}

/// What may end a session for good.
#[derive(Clone, Copy, Debug)]
enum Order {
    Site,
    Root,
    Listed,
    Everywhere,
    OthersFromElsewhere,
    Withdraw,
    Disconnect,
    Erase,
    Locked,
    AtProviderBySid,
    AtProviderBySubject,
    SomebodyElse,
}

impl Order {
    const ALL: [Order; 12] = [
        Order::Site,
        Order::Root,
        Order::Listed,
        Order::Everywhere,
        Order::OthersFromElsewhere,
        Order::Withdraw,
        Order::Disconnect,
        Order::Erase,
        Order::Locked,
        Order::AtProviderBySid,
        Order::AtProviderBySubject,
        Order::SomebodyElse,
    ];

    async fn give(self, gone: &Gone) {
        let Gone { bench, vault, josiah, root, child } = gone;
        match self {
            Order::Site => drop(vault.end_session(child).await.unwrap()),
            Order::Root => drop(vault.end_session(root).await.unwrap()),
            Order::Listed => {
                // As the account page finds it, which may have been made before it lapsed.
                assert!(vault.session_keys_of(josiah).await.unwrap().contains(root));
                vault.end_session_of(josiah, root).await.unwrap();
            }
            Order::Everywhere => drop(vault.end_all_sessions(josiah).await.unwrap()),
            Order::OthersFromElsewhere => {
                let (elsewhere, _) = bench.sign_in(vault, JOSIAH, "openid").await;
                vault.end_other_sessions(josiah, &elsewhere).await.unwrap();
            }
            Order::Withdraw => assert!(vault.withdraw(josiah).await.unwrap()),
            Order::Disconnect => assert!(vault.disconnect(josiah).await.unwrap()),
            Order::Erase => assert_eq!(vault.erase(josiah).await.unwrap(), 1),
            Order::Locked => {
                let token = vault.token_pairs(josiah).await.unwrap().pop().unwrap().access_token;
                assert!(vault.mark_broken(josiah, &token, Broken::Locked).await.unwrap());
            }
            Order::AtProviderBySid => at_provider(vault, None, Some("s1")).await,
            Order::AtProviderBySubject => at_provider(vault, Some("josiah"), None).await,
            Order::SomebodyElse => drop(gone.next(MALLORY, *root).await),
        }
    }
}

async fn at_provider(vault: &Vault, subject: Option<&str>, sid: Option<&str>) {
    let order = ProviderSignOut {
        environment: Environment::Production,
        client: &"main".parse().unwrap(),
        subject,
        sid,
        issued: UnixTime(NOW + 100),
        mark: Mark { purpose: "logout-token", id: [1; 20] },
        mark_until: UnixTime(NOW + 100 * HOUR),
    };
    vault.end_provider_sessions(order).await.unwrap();
}

#[tokio::test]
async fn f15_t69_whatever_its_person_ends_is_ended_before_and_after_it_lapsed() {
    for order in Order::ALL {
        for (hours, noticed) in [(0, false), (8, false), (8, true), (25, true)] {
            let mut gone = Gone::after(hours).await;
            if noticed {
                assert!(gone.lapsed_at().await.is_some());
                // Nobody asks for its root, which the store forgets in time.
                gone.bench.clock.advance(600);
                sweep(&gone).await;
            }
            order.give(&gone).await;
            assert_eq!(gone.lapsed_at().await, None, "{order:?} after {hours} hours, noticed: {noticed}");
            gone.vault.close();
            gone.vault = gone.bench.open();
            assert_eq!(gone.lapsed_at().await, None, "{order:?}, after a restart");
        }
    }
}

#[tokio::test]
async fn f15_the_same_person_again_lets_it_lapse_and_who_leaves_then_has_left_it() {
    for hours in [0, 8] {
        let gone = Gone::after(hours).await;
        let renewed = gone.next(JOSIAH, gone.root).await;
        assert!(gone.vault.session(&gone.child).await.unwrap().is_none(), "T64: it lives no longer");
        assert!(gone.lapsed_at().await.is_some(), "after {hours} hours");
        let again = gone.next(JOSIAH, renewed).await;
        let (elsewhere, _) = gone.bench.sign_in(&gone.vault, JOSIAH, "openid").await;
        gone.vault.end_other_sessions(&gone.josiah, &again).await.unwrap();
        assert!(gone.vault.session(&elsewhere).await.unwrap().is_none());
        assert!(gone.lapsed_at().await.is_some(), "this browser is spared");
        gone.vault.end_session(&again).await.unwrap();
        assert_eq!(gone.lapsed_at().await, None, "after {hours} hours");
    }
    // Two tabs that were restored with the same cookies: the browser keeps what the later one got.
    let gone = Gone::after(0).await;
    gone.next(JOSIAH, gone.root).await;
    let later = gone.next(JOSIAH, gone.root).await;
    gone.vault.end_other_sessions(&gone.josiah, &later).await.unwrap();
    assert!(gone.lapsed_at().await.is_some(), "this browser is spared");
    gone.vault.end_session(&later).await.unwrap();
    assert_eq!(gone.lapsed_at().await, None);
    let gone = Gone::after(0).await;
    let renewed = gone.next(JOSIAH, gone.root).await;
    gone.next(MALLORY, renewed).await;
    assert_eq!(gone.lapsed_at().await, None, "the browser is somebody else's now");
}

#[tokio::test]
async fn f15_an_arrival_lets_the_site_session_before_it_lapse_and_is_answered_for() {
    // Under the same root: two tabs that arrive one after the other.
    let gone = Gone::after(0).await;
    let second = gone.arrive(&gone.root, gone.child).await;
    assert!(gone.lapsed_at().await.is_some());
    gone.vault.end_session(&second).await.unwrap();
    assert_eq!(gone.lapsed_at().await, None, "signed out of this site");
    let gone = Gone::after(0).await;
    gone.arrive(&gone.root, gone.child).await;
    let later = gone.arrive(&gone.root, gone.child).await;
    gone.vault.end_session(&later).await.unwrap();
    assert_eq!(gone.lapsed_at().await, None, "two tabs that arrived with the same cookie");
    // Mallory, who signed in without the cookie of the sign-in host.
    let gone = Gone::after(0).await;
    let second = gone.arrive(&gone.root, gone.child).await;
    let (mallory, _) = gone.bench.sign_in(&gone.vault, MALLORY, "openid").await;
    gone.arrive(&mallory, second).await;
    assert_eq!(gone.lapsed_at().await, None);
}

#[tokio::test]
async fn f15_few_lapsed_sessions_of_one_host_are_remembered() {
    let gone = Gone::after(0).await;
    let mut before = vec![gone.child];
    for _ in 0..6 {
        gone.bench.clock.advance(1);
        before.push(gone.arrive(&gone.root, before[before.len() - 1]).await);
    }
    let mut remembered = Vec::new();
    for child in &before {
        remembered.push(lapsed_at(&gone.vault, child).await.is_some());
    }
    assert_eq!(remembered, [false, false, true, true, true, true, false], "the last one lives, asked about or not");
    assert!(gone.vault.session(&before[6]).await.unwrap().is_some());
}

#[tokio::test]
async fn f14_sessions_of_a_provider_that_is_away_live_on_warm_cold_and_swept() {
    let main: ClientName = "main".parse().unwrap();
    for reopen in [false, true] {
        let bench = Bench::new();
        let granted = VaultSettings {
            outage_grace: Duration::from_secs(2 * 3600),
            ..settings(&bench.directory(), &bench.key_file())
        };
        let open = || Vault::open(granted.clone(), bench.clock.clone(), bench.chance.clone()).unwrap();
        let mut vault = open();
        let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
        let (child, _) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
        for _ in 0..3 {
            bench.clock.advance(7 * HOUR);
            assert!(vault.session(&child).await.unwrap().is_some());
            vault.close();
            vault = open();
        }
        vault.provider_away(&main, true);
        bench.clock.advance(4 * HOUR);
        if reopen {
            vault.close();
            vault = open();
            vault.provider_away(&main, true);
        }
        vault.core.store.sweep(bench.clock.now(), 1000).await.unwrap();
        for key in [&child, &root] {
            assert!(vault.session(key).await.unwrap().is_some(), "an hour after its end; reopened: {reopen}");
        }
        assert_eq!(vault.idle_end(&child), Some(UnixTime(NOW + 26 * HOUR)));
        let (sister, _) = bench.begin_at(&vault, &root, "library.example").await.unwrap();
        assert_eq!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap().len(), 3);
        if reopen {
            bench.clock.advance(HOUR);
        } else {
            vault.provider_away(&main, false);
        }
        for key in [&child, &root, &sister] {
            assert!(vault.session(key).await.unwrap().is_none(), "reopened: {reopen}");
        }
        vault.provider_away(&main, true);
        assert!(vault.session(&child).await.unwrap().is_none(), "what has ended stays so");
    }
}
