//! Ending sessions at a provider's word: by its session, by person, by both; once per token, durably (T95).

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, sign_in};
use crate::domain::{ClientName, Environment, ProviderSession, UnixTime};
use crate::vault::{HashedSessionKey, Mark, ProviderSignOut, ProviderSignedOut, Vault, VaultFault};

/// A sign-in that the provider calls so.
async fn begin(bench: &Bench, vault: &Vault, who: &str, sub: &str, sid: Option<&str>) -> HashedSessionKey {
    let root = bench.key();
    let mut grant = bench.grant(who, "openid");
    grant.at_provider = Some(ProviderSession { subject: sub.to_owned(), sid: sid.map(str::to_owned) });
    sign_in(vault, &grant, root, None).await;
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
    let mut grant = bench.grant(JOSIAH, "openid");
    grant.at_provider = Some(ProviderSession { subject: "josiah".to_owned(), sid: Some("s1".to_owned()) });
    sign_in(&vault, &grant, now, Some(before)).await;
    bench.clock.advance(HOUR);
    assert_eq!(Word::new().say(&vault, None, Some("s1")).await, ProviderSignedOut::Ended(1));
    assert!(!lives(&vault, &now).await);
}
