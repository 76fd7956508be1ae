//! Key sets: what is picked, what is refused (T58), rotation, and floods of unknown ids (T57).

use super::provider::{EC_KEY, KEY, NEXT_KEY, Reply, SMALL_MODULUS};
use super::*;
use serde_json::{Value, json};

const KEYS: &str = "/oauth/jwks";

fn set(keys: &[Value]) -> Reply {
    Reply::json(&json!({"keys": keys}))
}

fn changed(mut key: Value, change: Value) -> Value {
    key.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    key
}

fn without(mut key: Value, member: &str) -> Value {
    key.as_object_mut().unwrap().remove(member);
    key
}

#[tokio::test]
async fn t58_the_right_key_is_picked_or_the_set_refused() {
    let provider = FakeProvider::start().await;
    let one = || KEY.jwk("one");
    let small = || json!({"kty": "RSA", "e": "AQAB", "kid": "one", "n": *SMALL_MODULUS});
    let unusable = |defect| Some(OrcidTrouble::Unusable { endpoint: Endpoint::Keys, defect });
    let lied = |check| Some(OrcidTrouble::Lied(check));
    let padded = {
        use base64::Engine;
        let engine = base64::prelude::BASE64_URL_SAFE_NO_PAD;
        let mut n = vec![0];
        n.extend(engine.decode(&KEY.n).unwrap());
        engine.encode(n)
    };
    for (what, keys, expected) in [
        ("alg named", vec![changed(one(), json!({"alg": "RS256"}))], None),
        ("another alg named", vec![changed(one(), json!({"alg": "RS512"}))], unusable(Defect::NoUsableKey)),
        ("no use", vec![without(one(), "use")], None),
        ("for encryption", vec![changed(one(), json!({"use": "enc"}))], unusable(Defect::NoUsableKey)),
        ("no kid", vec![without(one(), "kid")], None),
        ("among others", vec![EC_KEY.jwk("ec"), json!({"kty": "weird"}), json!(7), NEXT_KEY.jwk("two"), one()], None),
        ("an EC key of that id first", vec![EC_KEY.jwk("one"), one()], None),
        ("a small key", vec![small()], unusable(Defect::NoUsableKey)),
        ("a small key of that id first", vec![small(), one()], None),
        ("that id twice", vec![NEXT_KEY.jwk("one"), one()], None),
        ("that id, another key", vec![NEXT_KEY.jwk("one")], lied(Check::Signature)),
        ("that id five times, ours last", [vec![NEXT_KEY.jwk("one"); 4], vec![one()]].concat(), lied(Check::Signature)),
        ("with its private half", vec![changed(one(), json!({"d": "AQAB"}))], unusable(Defect::NoUsableKey)),
        ("a modulus with a leading zero", vec![changed(one(), json!({"n": padded}))], None),
        ("no modulus", vec![without(one(), "n")], unusable(Defect::NoUsableKey)),
        ("no key", vec![], unusable(Defect::NoUsableKey)),
        ("a hundred keys", vec![one(); 100], unusable(Defect::TooManyKeys)),
    ] {
        provider.set(KEYS, set(&keys));
        assert_eq!(exchange(&client(settings(&provider))).await.err(), expected, "{what}");
    }
    let large = changed(one(), json!({"x5c": ["A".repeat(300_000)]}));
    for (reply, defect) in [
        (set(&[large]), Defect::TooLarge),
        (Reply::new(200, "application/json", "x".repeat(5_000_000)), Defect::TooLarge),
        (Reply::new(200, "text/html", "leak"), Defect::ContentType),
        (Reply::json(&json!({"keys": "leak"})), Defect::Malformed),
        (Reply::json(&json!([])), Defect::Malformed),
    ] {
        provider.set(KEYS, reply);
        assert_eq!(exchange(&client(settings(&provider))).await.err(), unusable(defect));
    }
    provider.set(KEYS, Reply { headers: vec![("Content-Type", "application/jwk-set+json".into())], ..set(&[one()]) });
    exchange(&client(settings(&provider))).await.unwrap();
}

#[tokio::test]
async fn d1_a_token_without_a_key_id_tries_at_most_four_fitting_keys() {
    let provider = FakeProvider::start().await;
    provider.answer_with(KEY.token(&json!({"alg": "RS256"}), &provider.claims()));
    let strangers = |count| vec![NEXT_KEY.jwk("stranger"); count];
    for (before, fine) in [(0, true), (1, true), (3, true), (4, false)] {
        provider.set(KEYS, set(&[vec![EC_KEY.jwk("ec")], strangers(before), vec![KEY.jwk("one")]].concat()));
        let outcome = exchange(&client(settings(&provider))).await;
        assert_eq!(outcome.is_ok(), fine, "{before} other keys first");
    }
}

#[tokio::test]
async fn d2_a_key_rotated_just_before_signing_is_fetched() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    exchange(&client).await.unwrap();
    provider.set(KEYS, set(&[KEY.jwk("one"), NEXT_KEY.jwk("two")]));
    provider.answer_with(NEXT_KEY.token(&json!({"kid": "two", "alg": "RS256"}), &provider.claims()));
    exchange(&client).await.unwrap();
    provider.answer_with(KEY.token(&provider.header(), &provider.claims()));
    exchange(&client).await.unwrap();
    assert_eq!(provider.seen(KEYS).len(), 2);
}

#[tokio::test]
async fn d2_an_answer_under_way_while_another_sign_in_learns_of_the_rotation_still_counts() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    exchange(&client).await.unwrap();
    // Signed with the old key, and on its way for a good while.
    let drip = Some(Duration::from_millis(2));
    provider.set("/oauth/token", Reply { drip, ..Reply::json(&provider.tokens()) });
    let slow = tokio::spawn({
        let client = client.clone();
        async move { exchange(&client).await.map(|_| ()) }
    });
    while provider.seen("/oauth/token").len() < 2 {
        tokio::task::yield_now().await;
    }
    provider.set(KEYS, set(&[NEXT_KEY.jwk("two")]));
    provider.answer_with(NEXT_KEY.token(&json!({"kid": "two", "alg": "RS256"}), &provider.claims()));
    exchange(&client).await.unwrap();
    assert_eq!(slow.await.unwrap(), Ok(()));
    // But not for whoever asks from now on.
    provider.answer_with(KEY.token(&provider.header(), &provider.claims()));
    assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(Check::UnknownKey)));
}

#[tokio::test]
async fn d2_a_new_key_under_the_old_name_is_fetched_at_most_once_a_minute() {
    let provider = FakeProvider::start().await;
    let clock = Arc::new(StoppedClock::at(NOW));
    let client = Provider::new(settings(&provider), clock.clone()).unwrap();
    exchange(&client).await.unwrap();
    // Set up anew, with a fresh key of the same name.
    provider.answer_with(NEXT_KEY.token(&provider.header(), &provider.claims()));
    provider.set("/oauth/jwks", set(&[NEXT_KEY.jwk("one")]));
    exchange(&client).await.unwrap();
    assert_eq!(provider.seen("/oauth/jwks").len(), 2);
    // A signature that is simply wrong asks no more often than an unknown name.
    provider.answer_with(KEY.token(&provider.header(), &provider.claims()));
    for _ in 0..5 {
        assert_eq!(exchange(&client).await.unwrap_err(), OrcidTrouble::Lied(Check::Signature));
    }
    assert_eq!(provider.seen("/oauth/jwks").len(), 2);
    clock.advance(61);
    provider.set("/oauth/jwks", Reply::new(500, "text/html", "down"));
    assert_eq!(exchange(&client).await.unwrap_err(), OrcidTrouble::Lied(Check::Signature));
    assert_eq!(provider.seen("/oauth/jwks").len(), 3);
}

#[tokio::test]
async fn d2_a_provider_that_names_no_key_may_rotate_too() {
    let provider = FakeProvider::start().await;
    provider.set(KEYS, set(&[without(KEY.jwk(""), "kid")]));
    let client = client(settings(&provider));
    exchange(&client).await.unwrap();
    provider.set(KEYS, set(&[without(NEXT_KEY.jwk(""), "kid")]));
    provider.answer_with(NEXT_KEY.token(&json!({"alg": "RS256"}), &provider.claims()));
    exchange(&client).await.unwrap();
}

#[tokio::test]
async fn t57_a_thousand_unknown_key_ids_are_one_fetch_a_minute() {
    let provider = FakeProvider::start().await;
    let clock = Arc::new(StoppedClock::at(NOW));
    let client = Provider::new(settings(&provider), clock.clone()).unwrap();
    exchange(&client).await.unwrap();
    let signature = provider::base64url(KEY.sign("anything"));
    let flood = async |count: usize| {
        let tasks: Vec<_> = (0..count)
            .map(|at| {
                let message = provider::message(&json!({"kid": format!("invented-{at}"), "alg": "RS256"}), &json!({}));
                let token = format!("{message}.{signature}");
                let client = client.clone();
                tokio::spawn(async move { client.believe(&token, ACCESS, None, None).await.map(|_| ()) })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err(OrcidTrouble::Lied(Check::UnknownKey)));
        }
    };
    flood(1000).await;
    assert_eq!(provider.seen(KEYS).len(), 2);
    clock.advance(59);
    flood(10).await;
    assert_eq!(provider.seen(KEYS).len(), 2);
    clock.advance(2);
    flood(10).await;
    assert_eq!(provider.seen(KEYS).len(), 3);
    exchange(&client).await.unwrap();
    // A real rotation within the minute of a flood is met at the next one.
    provider.set(KEYS, set(&[NEXT_KEY.jwk("two")]));
    provider.answer_with(NEXT_KEY.token(&json!({"kid": "two", "alg": "RS256"}), &provider.claims()));
    assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(Check::UnknownKey)));
    clock.advance(61);
    exchange(&client).await.unwrap();
}

#[tokio::test]
async fn old_keys_stay_when_new_ones_cannot_be_had() {
    let provider = FakeProvider::start().await;
    let clock = Arc::new(StoppedClock::at(NOW));
    let client = Provider::new(settings(&provider), clock.clone()).unwrap();
    exchange(&client).await.unwrap();
    for reply in [Reply::new(503, "text/html", ""), Reply::json(&json!({"keys": []})), Reply::new(200, "text/html", "")]
    {
        provider.set(KEYS, reply);
        clock.advance(3700);
        let mut claims = provider.claims();
        claims["iat"] = json!(clock.now().0);
        provider.answer_with(KEY.token(&provider.header(), &claims));
        exchange(&client).await.unwrap();
    }
    // An id nobody knows, while the keys cannot be had: not a lie, an outage.
    provider.set(KEYS, Reply::new(503, "text/html", ""));
    provider.answer_with(NEXT_KEY.token(&json!({"kid": "two", "alg": "RS256"}), &provider.claims()));
    assert!(exchange(&client).await.unwrap_err().is_outage());
}
