//! Ending sessions at a provider's word: by its session, by person, by both; once per token, durably (T95).

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, sign_in, try_sign_in};
use crate::domain::{ClientName, Clock, Environment, Grant, ProviderSession, UnixTime};
use crate::vault::{HashedSessionKey, Mark, ProviderSignOut, ProviderSignedOut, Vault, VaultFault};

/// A grant that the provider, who confirms it now, calls so.
fn confirmed(bench: &Bench, who: &str, sub: &str, sid: Option<&str>) -> Grant {
    let mut grant = bench.grant(who, "openid");
    let issued = bench.clock.now();
    grant.at_provider = Some(ProviderSession { subject: sub.to_owned(), sid: sid.map(str::to_owned), issued });
    grant
}

/// A sign-in that the provider calls so.
async fn begin(bench: &Bench, vault: &Vault, who: &str, sub: &str, sid: Option<&str>) -> HashedSessionKey {
    let root = bench.key();
    sign_in(vault, &confirmed(bench, who, sub, sid), root, None).await;
    root
}

struct Word {
    client: ClientName,
    environment: Environment,
    number: u8,
}

impl Word {
    fn new() -> Self {
        Self { client: "main".parse().unwrap(), environment: Environment::Production, number: 0 }
    }

    /// A new token about this person and session.
    async fn say(&mut self, vault: &Vault, sub: Option<&str>, sid: Option<&str>) -> ProviderSignedOut {
        self.number += 1;
        self.repeat(vault, sub, sid).await.unwrap()
    }

    /// The last one once more.
    async fn repeat(
        &self,
        vault: &Vault,
        subject: Option<&str>,
        sid: Option<&str>,
    ) -> Result<ProviderSignedOut, VaultFault> {
        let order = ProviderSignOut {
            environment: self.environment,
            client: &self.client,
            subject,
            sid,
            issued: UnixTime(NOW + i64::from(self.number)),
            mark: Mark { purpose: "logout-token", id: [self.number; 20] },
            mark_until: UnixTime(NOW + 900),
        };
        vault.end_provider_sessions(order).await
    }
}

async fn lives(vault: &Vault, key: &HashedSessionKey) -> bool {
    vault.session(key).await.unwrap().is_some()
}

#[tokio::test]
async fn t95_a_provider_ends_a_session_a_person_or_what_is_both() {
    let bench = Bench::new();
    let vault = bench.open();
    let desk = begin(&bench, &vault, JOSIAH, "josiah", Some("s1")).await;
    let home = begin(&bench, &vault, JOSIAH, "josiah", Some("s2")).await;
    let nameless = begin(&bench, &vault, JOSIAH, "josiah", None).await;
    let mallory = begin(&bench, &vault, MALLORY, "mallory", Some("s3")).await;
    let (child, _) = bench.begin_at(&vault, &desk, "wiki.example").await.unwrap();
    let mut word = Word::new();
    // Names that are nobody's here, and those of another registration.
    for (sub, sid) in [(Some("nobody"), None), (None, Some("s4")), (Some("mallory"), Some("s1")), (Some("s1"), None)] {
        assert_eq!(word.say(&vault, sub, sid).await, ProviderSignedOut::Ended(0), "{sub:?} {sid:?}");
    }
    for (client, environment, number) in [("staff", Environment::Production, 100), ("main", Environment::Other, 101)] {
        let mut other = Word { client: client.parse().unwrap(), environment, number };
        assert_eq!(other.say(&vault, Some("josiah"), None).await, ProviderSignedOut::Ended(0));
    }
    assert!(lives(&vault, &desk).await && lives(&vault, &child).await && lives(&vault, &mallory).await);
    assert_eq!(word.say(&vault, None, Some("s1")).await, ProviderSignedOut::Ended(1));
    assert!(!lives(&vault, &desk).await && !lives(&vault, &child).await, "the children end with it");
    assert!(lives(&vault, &home).await && lives(&vault, &nameless).await && lives(&vault, &mallory).await);
    assert_eq!(word.say(&vault, None, Some("s1")).await, ProviderSignedOut::Ended(0), "it has ended already");
    assert_eq!(word.say(&vault, Some("josiah"), Some("s2")).await, ProviderSignedOut::Ended(1));
    assert!(!lives(&vault, &home).await && lives(&vault, &nameless).await);
    assert_eq!(word.say(&vault, Some("josiah"), None).await, ProviderSignedOut::Ended(1));
    assert!(!lives(&vault, &nameless).await && lives(&vault, &mallory).await);
    vault.close();
    let vault = bench.open();
    for key in [&desk, &child, &home, &nameless] {
        assert!(!lives(&vault, key).await, "durable");
    }
    assert!(lives(&vault, &mallory).await);
}

#[tokio::test]
async fn t95_a_token_counts_once_through_restarts_and_a_later_sign_in_is_safe_from_it() {
    let bench = Bench::new();
    let vault = bench.open();
    begin(&bench, &vault, JOSIAH, "josiah", Some("s1")).await;
    let mut word = Word::new();
    assert_eq!(word.say(&vault, Some("josiah"), None).await, ProviderSignedOut::Ended(1));
    bench.clock.advance(60);
    let again = begin(&bench, &vault, JOSIAH, "josiah", Some("s1")).await;
    assert_eq!(word.repeat(&vault, Some("josiah"), None).await.unwrap(), ProviderSignedOut::Replayed);
    vault.close();
    // Brought while the store cannot say: neither done nor counted.
    assert!(word.repeat(&vault, Some("josiah"), None).await.is_err());
    let vault = bench.open();
    assert_eq!(word.repeat(&vault, Some("josiah"), None).await.unwrap(), ProviderSignedOut::Replayed);
    assert!(lives(&vault, &again).await);
    assert_eq!(word.say(&vault, Some("josiah"), None).await, ProviderSignedOut::Ended(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_token_brought_many_times_at_once_ends_the_session_and_counts_once() {
    let bench = Bench::new();
    let vault = bench.open();
    let root = begin(&bench, &vault, JOSIAH, "josiah", Some("s1")).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let vault = vault.clone();
        tasks.spawn(async move { Word::new().repeat(&vault, None, Some("s1")).await.unwrap() });
    }
    let told = tasks.join_all().await;
    let counted = told.iter().filter(|told| matches!(told, ProviderSignedOut::Ended(_))).count();
    assert_eq!(counted, 1, "{told:?}");
    assert!(!lives(&vault, &root).await);
}

#[tokio::test]
async fn many_sign_ins_of_one_person_all_end() {
    let bench = Bench::new();
    let vault = bench.open();
    let mut roots = Vec::new();
    for number in 0..205 {
        roots.push(begin(&bench, &vault, JOSIAH, "josiah", Some(&format!("s{number}"))).await);
    }
    // Half of them have signed out here meanwhile and left their names behind.
    for root in roots.iter().step_by(2) {
        assert!(vault.end_session(root).await.unwrap());
    }
    assert_eq!(Word::new().say(&vault, Some("josiah"), None).await, ProviderSignedOut::Ended(102));
    for root in &roots {
        assert!(!lives(&vault, root).await);
    }
}

#[tokio::test]
async fn a_new_sign_in_in_the_same_browser_takes_the_name_over() {
    let bench = Bench::new();
    let vault = bench.open();
    let before = begin(&bench, &vault, JOSIAH, "josiah", Some("s1")).await;
    let now = bench.key();
    sign_in(&vault, &confirmed(&bench, JOSIAH, "josiah", Some("s1")), now, Some(before)).await;
    bench.clock.advance(HOUR);
    assert_eq!(Word::new().say(&vault, None, Some("s1")).await, ProviderSignedOut::Ended(1));
    assert!(!lives(&vault, &now).await);
}

/// The provider's word overtakes the sign-in it is about: the code was exchanged, the session not yet kept.
#[tokio::test]
async fn t95_a_sign_in_under_way_when_the_provider_ends_it_begins_no_session() {
    for (sub, sid) in [(None, Some("s1")), (Some("josiah"), None), (Some("josiah"), Some("s1"))] {
        let bench = Bench::new();
        let vault = bench.open();
        let grant = confirmed(&bench, JOSIAH, "josiah", Some("s1"));
        let mut word = Word::new();
        assert_eq!(word.say(&vault, sub, sid).await, ProviderSignedOut::Ended(0), "nobody is there yet");
        let root = bench.key();
        assert!(try_sign_in(&vault, &grant, root, None).await.unwrap().is_none(), "{sub:?} {sid:?}");
        assert!(!lives(&vault, &root).await);
        let due = vault.due_revocations(bench.clock.now(), 10).await.unwrap();
        assert!(due.iter().any(|entry| entry.token.expose() == grant.access_token.expose()), "nobody keeps the tokens");
        // Somebody else is not meant, and neither is a sign-in that the provider confirmed later.
        let mallory = begin(&bench, &vault, MALLORY, "mallory", Some("s2")).await;
        bench.clock.advance(2);
        let later = begin(&bench, &vault, JOSIAH, "josiah", Some("s1")).await;
        assert!(lives(&vault, &mallory).await && lives(&vault, &later).await);
        // An older word than the last one changes nothing.
        assert_eq!(Word::new().say(&vault, sub, sid).await, ProviderSignedOut::Replayed);
        vault.close();
        let vault = bench.open();
        assert!(try_sign_in(&vault, &grant, bench.key(), None).await.unwrap().is_none(), "durable");
    }
}

/// Whichever comes first: either the session is found and ended, or it does not begin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t95_a_sign_in_and_its_end_at_once_leave_no_session() {
    let bench = Bench::new();
    let vault = bench.open();
    for round in 0..60u8 {
        let (sid, root) = (format!("s{round}"), bench.key());
        let grant = confirmed(&bench, JOSIAH, "josiah", Some(&sid));
        let beginning = tokio::spawn({
            let vault = vault.clone();
            async move { try_sign_in(&vault, &grant, root, None).await.unwrap().is_some() }
        });
        let word = Word { number: 100 + round, ..Word::new() };
        let told = word.repeat(&vault, None, Some(&sid)).await.unwrap();
        let began = beginning.await.unwrap();
        assert!(!lives(&vault, &root).await, "round {round}");
        assert_eq!(told, ProviderSignedOut::Ended(usize::from(began)), "round {round}");
    }
}
