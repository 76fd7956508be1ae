//! Permissions given back while the link stays, and grants held until their person has confirmed them.

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, connection_key, scopes};
use crate::domain::{Environment, Grant, ScopeSet, UnixTime};
use crate::vault::{Change, Completed, GrantEvent, RevocationId, SignInCompletion, Vault};

const DUE: UnixTime = UnixTime(NOW + 1200);

async fn due(vault: &Vault, at: i64) -> Vec<String> {
    let queue = vault.due_revocations(UnixTime(NOW + at), 100).await.unwrap();
    queue.iter().map(|entry| entry.token.expose().to_owned()).collect()
}

async fn confirm(bench: &Bench, vault: &Vault, grant: &Grant, held: Option<RevocationId>) -> Option<Completed> {
    let completion = SignInCompletion {
        grant,
        environment: Environment::Production,
        client: "main".parse().unwrap(),
        root: bench.key(),
        agent: String::new(),
        place: None,
        replaces: None,
        proven: false,
        held,
    };
    vault.complete_sign_in(completion).await.unwrap()
}

#[tokio::test]
async fn j7_permissions_are_given_back_and_the_link_stays() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.sign_in(&vault, JOSIAH, "/read-limited").await;
    let (other, _) = bench.sign_in(&vault, MALLORY, "openid").await;
    bench.clock.advance(HOUR);
    assert!(vault.withdraw(&connection_key(JOSIAH)).await.unwrap());
    vault.close();
    let vault = bench.open();
    assert!(vault.session(&root).await.unwrap().is_none() && vault.session(&other).await.unwrap().is_some());
    assert_eq!(vault.token_pairs(&connection_key(JOSIAH)).await.unwrap(), []);
    assert_eq!(due(&vault, HOUR).await.len(), 2);
    let left = vault.connection(&connection_key(JOSIAH)).await.unwrap().unwrap();
    assert_eq!((left.first_seen, &left.scopes), (UnixTime(NOW), &ScopeSet::default()));
    let last = GrantEvent { at: UnixTime(NOW + HOUR), scopes: ScopeSet::default() };
    assert_eq!(left.history.last(), Some(&last));
    assert_eq!(vault.token_pairs(&connection_key(MALLORY)).await.unwrap().len(), 1);
    // Twice changes nothing, and who comes back is known.
    assert!(vault.withdraw(&connection_key(JOSIAH)).await.unwrap());
    assert!(!vault.withdraw(&connection_key("0000-0001-5109-3700")).await.unwrap());
    assert_eq!(due(&vault, HOUR).await.len(), 2);
    let (_, again) = bench.sign_in(&vault, JOSIAH, "openid").await;
    assert_eq!((again.change, again.connection.first_seen), (Change::Widened, UnixTime(NOW)));
    assert_eq!(again.connection.scopes, scopes("openid"));
}

#[tokio::test]
async fn a_held_grant_is_kept_once_confirmed_and_nothing_of_it_is_revoked() {
    let bench = Bench::new();
    let vault = bench.open();
    let grant = bench.grant(JOSIAH, "openid");
    let held = vault.hold(&connection_key(JOSIAH), &grant, DUE).await.unwrap();
    assert!(held.is_some() && vault.connection(&connection_key(JOSIAH)).await.unwrap().is_none());
    assert_eq!(due(&vault, 1199).await, Vec::<String>::new());
    assert!(confirm(&bench, &vault, &grant, held.clone()).await.is_some());
    assert_eq!(vault.token_pairs(&connection_key(JOSIAH)).await.unwrap().len(), 1);
    assert_eq!(due(&vault, 1201).await, Vec::<String>::new());
    // Confirming it a second time keeps nothing: it is off the queue.
    assert!(confirm(&bench, &vault, &grant, held).await.is_none());
    assert_eq!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_held_grant_that_nobody_confirms_is_given_back_even_after_a_restart() {
    let bench = Bench::new();
    let vault = bench.open();
    let grant = bench.grant(JOSIAH, "openid");
    let held = vault.hold(&connection_key(JOSIAH), &grant, DUE).await.unwrap();
    vault.close();
    let vault = bench.open();
    assert_eq!(due(&vault, 1199).await, Vec::<String>::new());
    let queue = vault.due_revocations(DUE, 10).await.unwrap();
    assert_eq!(queue[0].token, grant.access_token);
    vault.revocation_done(&queue[0].id).await.unwrap();
    // Too late: the provider has taken the token back.
    assert!(confirm(&bench, &vault, &grant, held).await.is_none());
    assert!(vault.connection(&connection_key(JOSIAH)).await.unwrap().is_none());
    assert_eq!(vault.sessions_of(&connection_key(JOSIAH)).await.unwrap(), []);
}

#[tokio::test]
async fn whoever_says_not_me_has_the_grant_given_back_at_once() {
    let bench = Bench::new();
    let vault = bench.open();
    let grant = bench.grant(JOSIAH, "openid");
    let held = vault.hold(&connection_key(JOSIAH), &grant, DUE).await.unwrap().unwrap();
    vault.give_back_now(&held).await.unwrap();
    vault.give_back_now(&held).await.unwrap();
    assert_eq!(due(&vault, 0).await, [grant.access_token.expose()]);
    assert!(confirm(&bench, &vault, &grant, Some(held)).await.is_none(), "no is no");
}

#[tokio::test]
async fn a_token_in_use_is_not_queued_because_the_provider_gave_it_twice() {
    let bench = Bench::new();
    let vault = bench.open();
    let grant = bench.grant(JOSIAH, "openid");
    assert!(confirm(&bench, &vault, &grant, None).await.is_some());
    assert_eq!(vault.hold(&connection_key(JOSIAH), &grant, DUE).await.unwrap(), None);
    assert_eq!(due(&vault, 9 * HOUR).await, Vec::<String>::new());
}
