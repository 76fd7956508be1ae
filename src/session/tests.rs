use super::*;
use crate::domain::{
    AccessToken, ClientName, Clock, Environment, Grant, Mfa, OrcidId, SiteName, StoppedClock, Subject, SystemChance,
};
use crate::vault::{SignInCompletion, VaultSettings, generate_key_file};
use std::sync::atomic::{AtomicUsize, Ordering};

const WIKI: &str = "wiki.example";

struct House {
    vault: Arc<Vault>,
    sessions: Sessions,
    clock: Arc<StoppedClock>,
    chance: SystemChance,
    _place: tempfile::TempDir,
}

fn house(start: i64) -> House {
    let place = tempfile::tempdir().unwrap();
    let clock = Arc::new(StoppedClock::at(start));
    let shared: Arc<dyn Clock> = clock.clone();
    let key_file = place.path().join("keys");
    generate_key_file(&key_file, &*shared, &SystemChance::default()).unwrap();
    let settings = VaultSettings {
        directory: place.path().join("vault"),
        key_file,
        simulated: true,
        idle: Duration::from_secs(8 * 3600),
        absolute: Duration::from_secs(24 * 3600),
        outage_grace: std::time::Duration::ZERO,
        warm_sessions: 100,
    };
    let vault = Vault::open(settings, shared, Arc::new(SystemChance::default())).unwrap();
    House { sessions: Sessions::new(vault.clone()), vault, clock, chance: SystemChance::default(), _place: place }
}

impl House {
    /// Begins a root session, and one at the wiki.
    async fn sign_in(&self) -> (SessionKey, SessionKey) {
        let (root, child) = (self.sessions.draw(&self.chance), self.sessions.draw(&self.chance));
        let grant = Grant {
            subject: Subject::Orcid("0000-0002-1825-0097".parse::<OrcidId>().unwrap()),
            name: None,
            given_name: None,
            family_name: None,
            mfa: Mfa::Unknown,
            scopes: "openid".parse().unwrap(),
            access_token: AccessToken::new("token"),
            refresh_token: None,
            expires: None,
            at_provider: None,
        };
        let client: ClientName = "orcid".parse().unwrap();
        let done = SignInCompletion {
            grant: &grant,
            environment: Environment::Simulator,
            client,
            root: HashedSessionKey(root.hash()),
            agent: "Test".into(),
            replaces: None,
            place: None,
            proven: false,
            held: None,
        };
        self.vault.complete_sign_in(done).await.unwrap();
        let site: SiteName = "wiki".parse().unwrap();
        let (root_hash, child_hash) = (HashedSessionKey(root.hash()), HashedSessionKey(child.hash()));
        let begun = self
            .vault
            .begin_site_session(&root_hash, child_hash, site, WIKI.parse().unwrap(), String::new(), None)
            .await
            .unwrap();
        assert!(begun.is_some());
        (root, child)
    }

    async fn is_in(&self, door: Door<'_>, cookies: &str) -> bool {
        let line = HeaderValue::from_str(cookies).unwrap();
        self.sessions.look_up(door, std::iter::once(&line)).await.unwrap().is_some()
    }
}

fn line(key: &SessionKey) -> String {
    format!("{}={}", cookie::SESSION, *key.text())
}

#[tokio::test]
async fn t88_a_session_opens_its_own_door_only() {
    let house = house(1_790_000_000);
    let (root, child) = house.sign_in().await;
    let (wiki, library): (Host, Host) = (WIKI.parse().unwrap(), "library.example".parse().unwrap());
    for (key, door, opens) in [
        (&root, Door::SignInHost, true),
        (&root, Door::Site(&wiki), false),
        (&child, Door::Site(&wiki), true),
        (&child, Door::Site(&library), false),
        (&child, Door::SignInHost, false),
    ] {
        assert_eq!(house.is_in(door, &line(key)).await, opens, "{door:?}");
    }
}

#[tokio::test]
async fn t66_t67_what_is_not_exactly_our_cookie_is_a_guest() {
    let house = house(1_790_000_000);
    let (root, child) = house.sign_in().await;
    let good = line(&root);
    for bad in [
        format!("{good}; {good}"),
        format!("{good}; {}", line(&child)),
        good.to_lowercase(),
        good.replace("__Host-Http-", "__host-http-"),
        good.replace("__Host-Http-", "__Host-"),
        good.replace('=', "=\"") + "\"",
        good[..good.len() - 1].to_owned(),
        format!("{good}A"),
        format!("{}={}", cookie::SESSION, "A".repeat(100_000)),
        line(&house.sessions.draw(&house.chance)),
        String::new(),
    ] {
        assert!(!house.is_in(Door::SignInHost, &bad).await);
    }
    assert!(house.is_in(Door::SignInHost, &format!("$Version=1; a=b; {good}; c")).await);
}

#[tokio::test]
async fn an_invented_cookie_never_reaches_the_store() {
    let house = house(1_790_000_000);
    let invented = SessionKey::draw(&house.chance, |_| [0; 32]);
    let value = HeaderValue::from_str(&line(&invented)).unwrap();
    assert!(matches!(house.sessions.find(Door::SignInHost, std::iter::once(&value)), Found::Guest));
}

#[tokio::test]
async fn t68_idle_and_absolute_limits_hold_whatever_the_clock_does() {
    // The last one starts in 2039.
    for start in [1_790_000_000, 2_180_000_000] {
        let house = house(start);
        let (root, _) = house.sign_in().await;
        house.clock.advance(7 * 3600);
        assert!(house.is_in(Door::SignInHost, &line(&root)).await);
        house.clock.advance(-3600);
        assert!(house.is_in(Door::SignInHost, &line(&root)).await);
        house.clock.advance(3600 + 8 * 3600 + 1);
        assert!(!house.is_in(Door::SignInHost, &line(&root)).await, "idle");
        house.clock.advance(-9 * 3600);
        assert!(!house.is_in(Door::SignInHost, &line(&root)).await, "a clock set back wakes nothing");

        let (root, child) = house.sign_in().await;
        let wiki: Host = WIKI.parse().unwrap();
        for _ in 0..4 {
            house.clock.advance(6 * 3600 - 1);
            assert!(house.is_in(Door::Site(&wiki), &line(&child)).await);
            assert!(house.is_in(Door::SignInHost, &line(&root)).await);
        }
        house.clock.advance(6);
        assert!(!house.is_in(Door::Site(&wiki), &line(&child)).await, "absolute");
        assert!(!house.is_in(Door::SignInHost, &line(&root)).await, "absolute");
    }
}

#[tokio::test]
async fn t69_an_ended_session_is_over_at_once() {
    let house = house(1_790_000_000);
    let (root, child) = house.sign_in().await;
    let wiki: Host = WIKI.parse().unwrap();
    assert!(matches!(house.sessions.standing(HashedSessionKey(child.hash())).await, Standings::Live(_)));
    house.vault.end_session(&HashedSessionKey(root.hash())).await.unwrap();
    assert!(!house.is_in(Door::Site(&wiki), &line(&child)).await);
    assert!(matches!(house.sessions.standing(HashedSessionKey(child.hash())).await, Standings::Ended));
}

#[tokio::test]
async fn a_cold_session_is_read_once_for_all_who_wait() {
    let flights = Flights::default();
    let reads = Arc::new(AtomicUsize::new(0));
    let board = |flights: &Flights| {
        let reads = reads.clone();
        let read = move || async move {
            reads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(None)
        };
        flights.board(HashedSessionKey([1; 32]), read).unwrap()
    };
    let waiting: Vec<_> = (0..20).map(|_| board(&flights)).collect();
    futures_util::future::join_all(waiting).await;
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    board(&flights).await.unwrap();
    assert_eq!(reads.load(Ordering::SeqCst), 2, "a finished read is not an answer for later");
}

#[tokio::test]
async fn reads_nobody_waits_for_make_room() {
    let flights = Flights::default();
    let never = || std::future::pending::<flights::Loaded>();
    let key = |n: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        HashedSessionKey(key)
    };
    let waiting: Vec<_> = (0..4_096).map(|n| flights.board(key(n), never).unwrap()).collect();
    assert!(matches!(flights.board(key(9_999), never), Err(SessionFault::TooMany)));
    assert!(flights.board(key(7), never).is_ok(), "joining takes no room");
    drop(waiting);
    assert!(flights.board(key(9_999), never).is_ok());
}
