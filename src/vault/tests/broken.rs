//! Connections ORCID no longer stands behind: what makes one broken, what that does, what mends it.

use super::bench::{Bench, HOUR, JOSIAH, MALLORY, NOW, connection_key, scopes};
use crate::domain::{AccessToken, Broken, UnixTime};
use crate::vault::{Renewal, Vault};

async fn newest_token(vault: &Vault, who: &str) -> AccessToken {
    vault.token_pairs(&connection_key(who)).await.unwrap().pop().unwrap().access_token
}

#[tokio::test]
async fn j8_a_broken_connection_has_no_scopes_until_the_next_sign_in() {
    let bench = Bench::new();
    let vault = bench.open();
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid /read-limited").await;
    let before = vault.session(&root).await.unwrap().unwrap();
    assert_eq!((&before.identity.scopes, before.identity.broken), (&scopes("openid /read-limited"), None));
    let token = newest_token(&vault, JOSIAH).await;
    assert!(vault.mark_broken(&connection_key(JOSIAH), &token, Broken::Withdrawn).await.unwrap());
    assert!(!vault.mark_broken(&connection_key(MALLORY), &token, Broken::Withdrawn).await.unwrap());
    let after = vault.session(&root).await.unwrap().unwrap();
    assert!(after.identity.scopes.is_empty(), "seen at once by the session that was warm");
    assert_eq!(after.identity.broken, Some(Broken::Withdrawn));
    let connection = vault.connection(&connection_key(JOSIAH)).await.unwrap().unwrap();
    assert_eq!((connection.broken, connection.trouble), (Some(UnixTime(NOW)), Some(Broken::Withdrawn)));
    assert!(vault.connection(&connection_key(MALLORY)).await.unwrap().is_none());

    bench.sign_in(&vault, JOSIAH, "openid").await;
    let mended = vault.connection(&connection_key(JOSIAH)).await.unwrap().unwrap();
    assert_eq!((mended.broken, mended.trouble), (None, None));
    assert_eq!(mended.scopes, scopes("openid"), "the dead pair does not come back");
    let queue = vault.due_revocations(UnixTime(NOW + HOUR), 100).await.unwrap();
    assert_eq!(queue.len(), 1, "and is given back");
}

#[tokio::test]
async fn j8_what_is_said_of_a_superseded_token_means_nothing() {
    let bench = Bench::new();
    let vault = bench.open();
    let key = connection_key(JOSIAH);
    let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
    let old = newest_token(&vault, JOSIAH).await;
    bench.sign_in(&vault, JOSIAH, "openid").await;
    for why in [Broken::Withdrawn, Broken::Locked] {
        assert!(!vault.mark_broken(&key, &old, why).await.unwrap());
        assert!(!vault.mark_broken(&key, &AccessToken::new("somebody else's"), why).await.unwrap());
    }
    let connection = vault.connection(&key).await.unwrap().unwrap();
    assert_eq!((connection.broken, &connection.scopes), (None, &scopes("openid")));
    assert!(vault.session(&root).await.unwrap().is_some(), "nor does it end a session");
    // The pair of another scope set is as live as the newest.
    let of_openid = newest_token(&vault, JOSIAH).await;
    bench.sign_in(&vault, JOSIAH, "/read-limited").await;
    assert!(vault.mark_broken(&key, &of_openid, Broken::Withdrawn).await.unwrap());
}

#[tokio::test]
async fn j8_a_record_that_is_gone_or_shut_ends_all_sessions_and_the_reason_stays() {
    for why in [
        Broken::Deprecated { primary: Some(MALLORY.parse().unwrap()) },
        Broken::Deprecated { primary: None },
        Broken::Locked,
        Broken::Deactivated,
    ] {
        let bench = Bench::new();
        let vault = bench.open();
        let key = connection_key(JOSIAH);
        let (root, _) = bench.sign_in(&vault, JOSIAH, "openid").await;
        let (child, _) = bench.begin_at(&vault, &root, "wiki.example").await.unwrap();
        let (other, _) = bench.sign_in(&vault, MALLORY, "openid").await;
        let token = newest_token(&vault, JOSIAH).await;
        assert!(vault.mark_broken(&key, &token, why).await.unwrap());
        assert!(!vault.mark_broken(&key, &token, Broken::Withdrawn).await.unwrap(), "the first reason stays");
        vault.close();
        let vault = bench.open();
        for gone in [root, child] {
            assert!(vault.session(&gone).await.unwrap().is_none(), "{why:?}");
        }
        assert!(vault.session(&other).await.unwrap().is_some(), "{why:?}");
        // The browser can be told, until its session would have ended anyway.
        let told = [vault.why_ended(&root).await.unwrap(), vault.why_ended(&other).await.unwrap()];
        assert_eq!(told, [Some(why), None]);
        let connection = vault.connection(&key).await.unwrap().unwrap();
        assert_eq!((connection.broken, connection.trouble), (Some(UnixTime(NOW)), Some(why)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j8_of_many_who_find_a_connection_broken_one_says_so() {
    let bench = Bench::new();
    let vault = bench.open();
    bench.sign_in(&vault, JOSIAH, "openid").await;
    let token = newest_token(&vault, JOSIAH).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (vault, token) = (vault.clone(), token.clone());
        tasks
            .spawn(async move { vault.mark_broken(&connection_key(JOSIAH), &token, Broken::Withdrawn).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.into_iter().filter(|marked| *marked).count(), 1);
}

#[tokio::test]
async fn b4_a_renewed_pair_takes_the_place_of_the_one_in_use_and_of_no_other() {
    let bench = Bench::new();
    let vault = bench.open();
    let key = connection_key(JOSIAH);
    let renewal = |token: &str, wanted: Option<&str>| Renewal {
        access_token: AccessToken::new(token),
        refresh_token: None,
        scopes: wanted.map(scopes),
        obtained: UnixTime(NOW),
        expires: Some(UnixTime(NOW + 300)),
    };
    bench.sign_in(&vault, JOSIAH, "openid").await;
    bench.sign_in(&vault, JOSIAH, "openid profile").await;
    let used = newest_token(&vault, JOSIAH).await;
    assert!(vault.renew_pair(&key, &used, &renewal("second", None)).await.unwrap());
    assert!(!vault.renew_pair(&key, &used, &renewal("late", None)).await.unwrap());
    // Narrower than before, it is the pair of another scope set now.
    assert!(vault.renew_pair(&key, &AccessToken::new("second"), &renewal("third", Some("openid"))).await.unwrap());
    let pairs = vault.token_pairs(&key).await.unwrap();
    assert_eq!((pairs.len(), pairs[0].access_token.expose(), &pairs[0].scopes), (1, "third", &scopes("openid")));
    assert!(pairs[0].refresh_token.is_some());
    let third = AccessToken::new("third");
    assert!(vault.mark_broken(&key, &third, Broken::NotRenewed).await.unwrap());
    assert!(!vault.renew_pair(&key, &third, &renewal("after the end", None)).await.unwrap());
    assert!(!vault.renew_pair(&connection_key(MALLORY), &third, &renewal("nobody's", None)).await.unwrap());
    let queue = vault.due_revocations(UnixTime(NOW + HOUR), 100).await.unwrap();
    let mut given_back: Vec<_> = queue.iter().map(|entry| entry.token.expose()).collect();
    given_back.sort_unstable();
    let first = format!("access-token-{JOSIAH}-0");
    assert_eq!(given_back, [first.as_str(), "after the end", "late", "nobody's"]);
}
