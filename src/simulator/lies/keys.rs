//! Lies of the key set (T57, T58, D1, D2).

use super::{Facts, Lie, Told, Verdict, lies};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Keys of `keys-many`.
const MANY: usize = 1_000;
/// Bytes that `keys-huge` adds.
const HUGE: usize = 5 * 1024 * 1024;

lies! {
    "keys-extra", "T58", Accept, "keys of other types, sizes and uses stand beside the right one",
        [Keys(|keys, facts| { let right = keys.clone(); keys.splice(0..0, odd_ones(facts)); keys.truncate(64); keys.extend(right); })];
    "keys-no-kid", "T58 D1", Accept, "keys have no kid",
        [Keys(|keys, _| without(keys, "kid"))];
    "keys-no-use", "T58", Accept, "keys do not say what they are for",
        [Keys(|keys, _| without(keys, "use"))];
    "keys-same-kid", "T58", Accept, "another key of the same kid comes first",
        [Keys(|keys, _| { let twin = disguised(keys); keys.splice(0..0, twin); })];
    "keys-small", "T58", Refuse, "the only key is an RSA key of 1024 bits",
        [Keys(|keys, _| { for key in keys { key["n"] = json!(modulus(128, 7)); } })];
    "keys-private", "T58", Refuse, "the key is published with its private half",
        [Keys(|keys, _| { for key in keys { key["d"] = json!(modulus(256, 9)); key["p"] = json!(modulus(128, 9)); } })];
    "keys-encryption", "T58", Refuse, "the key is for encryption",
        [Keys(|keys, _| { for key in keys { key["use"] = json!("enc"); } })];
    "keys-other-alg", "T58", Refuse, "the key is for another algorithm",
        [Keys(|keys, _| { for key in keys { key["alg"] = json!("RS512"); } })];
    "keys-other", "T49 D1", Refuse, "another key is published under the kid of the one that signs",
        [Keys(|keys, facts| {
            let mut foreign = facts.foreign.clone();
            foreign["kid"] = keys.first().map_or(Value::Null, |key| key["kid"].clone());
            *keys = vec![foreign];
        })];
    "keys-empty", "T58", Refuse, "no key is published",
        [Keys(|keys, _| keys.clear())];
    "keys-many", "T58", Refuse, "a thousand keys are published",
        [Keys(|keys, _| {
            let more: Vec<Value> = (0..MANY).map(|n| rsa(&format!("many-{n}"), &modulus(256, n))).collect();
            keys.extend(more);
        })];
    "keys-huge", "T58", Refuse, "the set weighs five megabytes",
        [Keys(|keys, _| { for key in keys { key["x-padding"] = json!("x".repeat(HUGE)); } })];
    "keys-malformed", "T58", Refuse, "the key's numbers are none",
        [Keys(|keys, _| { for key in keys { key["n"] = json!("***"); key["e"] = json!(65_537); } })];
}

/// Keys that no RS256 token can be verified with: another curve, a password, a small one, one for
/// encryption, a type nobody has heard of.
fn odd_ones(facts: &Facts) -> Vec<Value> {
    let mut odd = vec![
        rsa("small", &modulus(128, 1)),
        json!({"kty": "RSA", "kid": "for-encryption", "use": "enc", "e": "AQAB", "n": modulus(256, 2)}),
        json!({"kty": "oct", "kid": "password", "k": modulus(32, 3)}),
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "edwards", "x": modulus(32, 4)}),
        json!({"kty": "EC", "crv": "P-521", "kid": "long-curve", "x": modulus(66, 5), "y": modulus(66, 6)}),
        json!({"kty": "future", "kid": "future"}),
    ];
    odd.push(facts.elliptic.clone());
    odd
}

fn rsa(kid: &str, n: &str) -> Value {
    json!({"kty": "RSA", "kid": kid, "use": "sig", "e": "AQAB", "n": n})
}

/// An odd number of so many bytes, for a public key that verifies nothing.
fn modulus(bytes: usize, seed: usize) -> String {
    let mut number: Vec<u8> = (0..bytes).map(|at| (at * 37 + seed * 101 + 129) as u8 | 1).collect();
    if let Some(first) = number.first_mut() {
        *first |= 0x80;
    }
    URL_SAFE_NO_PAD.encode(number)
}

fn without(keys: &mut [Value], member: &str) {
    for key in keys.iter_mut().filter_map(Value::as_object_mut) {
        key.remove(member);
    }
}

/// The first key's name on another number.
fn disguised(keys: &[Value]) -> Option<Value> {
    let mut twin = keys.first()?.clone();
    twin["n"] = json!(modulus(256, 8));
    Some(twin)
}
