//! Lies of the id_token: its header, its claims, its signature (T49-T56, T59, T60, D1, D6, D7).

use super::{FOREIGN_KEYS, Facts, Lie, Object, Told, Verdict, lies};
use serde_json::{Value, json};

/// An id_token before it is signed.
pub(in crate::simulator) struct Draft {
    pub(in crate::simulator) header: Object,
    pub(in crate::simulator) claims: Object,
    pub(in crate::simulator) signing: Signing,
}

/// How it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Signing {
    /// With the key that is published.
    Usual,
    /// With an empty third part.
    Nothing,
    /// With two parts only.
    TwoParts,
    /// HMAC over SHA-256 with this text as the key.
    Hmac(String),
    /// With the elliptic key.
    Elliptic,
    /// With an RSA key that is published nowhere.
    Foreign,
    /// With the published key, and then one bit is turned.
    Broken,
    /// With the published key, over other claims.
    OtherClaims,
}

lies! {
    "id-token-iss-other", "T50 D1", Refuse, "its iss is another",
        [IdToken(|it, _| claim(it, "iss", json!("https://elsewhere.invalid")))];
    "id-token-iss-slash", "T50", Refuse, "its iss ends in a slash",
        [IdToken(|it, facts| claim(it, "iss", json!(format!("{}/", facts.base))))];
    "id-token-iss-scheme", "T50", Refuse, "its iss has the other scheme",
        [IdToken(|it, facts| claim(it, "iss", json!(other_scheme(&facts.base))))];
    "id-token-iss-subdomain", "T50", Refuse, "its iss is a host below the right one",
        [IdToken(|it, facts| claim(it, "iss", json!(facts.base.replace("://", "://sub."))))];
    "id-token-iss-sandbox", "T50", Refuse, "its iss is ORCID's sandbox",
        [IdToken(|it, _| claim(it, "iss", json!("https://sandbox.orcid.org")))];
    "id-token-iss-missing", "T50", Refuse, "has no iss",
        [IdToken(|it, _| unclaim(it, "iss"))];
    "id-token-aud-other", "T51 D1", Refuse, "is for another client",
        [IdToken(|it, _| claim(it, "aud", json!("APP-SOMEBODYELSES00")))];
    "id-token-aud-missing", "T51 D6", Refuse, "is for nobody",
        [IdToken(|it, _| unclaim(it, "aud"))];
    "id-token-aud-list", "T51", Accept, "its aud is a list with us alone",
        [IdToken(|it, _| { let us = it.claims["aud"].clone(); claim(it, "aud", json!([us])); })];
    "id-token-aud-more", "T51", Refuse, "is for us and for another",
        [IdToken(|it, _| { let us = it.claims["aud"].clone(); claim(it, "aud", json!([us, "APP-SOMEBODYELSES00"])); })];
    "id-token-aud-empty", "T51", Refuse, "its aud is an empty list",
        [IdToken(|it, _| claim(it, "aud", json!([])))];
    "id-token-azp-other", "T51 D7", Refuse, "was issued to another party",
        [IdToken(|it, _| claim(it, "azp", json!("APP-SOMEBODYELSES00")))];
    "id-token-azp-us", "T51 D7", Accept, "says that it was issued to us",
        [IdToken(|it, _| { let us = it.claims["aud"].clone(); claim(it, "azp", us); })];
    "id-token-exp-past", "T52 D7", Refuse, "has expired",
        [IdToken(|it, _| { let at = number(it, "iat") - 600; claim(it, "exp", json!(at)); })];
    "id-token-exp-missing", "T52", Refuse, "does not expire",
        [IdToken(|it, _| unclaim(it, "exp"))];
    "id-token-exp-endless", "T52", Refuse, "expires at 1e300",
        [IdToken(|it, _| claim(it, "exp", json!(1e300)))];
    "id-token-exp-negative", "T52", Refuse, "expired before 1970",
        [IdToken(|it, _| claim(it, "exp", json!(-5)))];
    "id-token-exp-text", "T52", Refuse, "its exp is a text",
        [IdToken(|it, _| { let at = number(it, "exp"); claim(it, "exp", json!(at.to_string())); })];
    "id-token-exp-fraction", "T52", Accept, "its exp has a fraction",
        [IdToken(|it, _| { let at = number(it, "exp") as f64 + 0.5; claim(it, "exp", json!(at)); })];
    "id-token-iat-missing", "T52 D1", Refuse, "does not say when it was issued",
        [IdToken(|it, _| unclaim(it, "iat"))];
    "id-token-iat-future", "T52", Refuse, "was issued ten minutes from now",
        [IdToken(|it, _| { let at = number(it, "iat") + 600; claim(it, "iat", json!(at)); })];
    "id-token-iat-old", "T52", Refuse, "was issued yesterday",
        [IdToken(|it, _| { let at = number(it, "iat") - 80_000; claim(it, "iat", json!(at)); })];
    "id-token-nbf-future", "T52", Refuse, "is not valid yet",
        [IdToken(|it, _| { let at = number(it, "iat") + 600; claim(it, "nbf", json!(at)); })];
    "id-token-nonce-missing", "T53", Refuse, "has no nonce",
        [IdToken(|it, _| unclaim(it, "nonce"))];
    "id-token-nonce-other", "T53 D1", Refuse, "answers another nonce",
        [IdToken(|it, _| claim(it, "nonce", json!("bm9uY2Utb2Ytc29tZWJvZHktZWxzZQ")))];
    "id-token-nonce-old", "T53", Refuse, "answers the nonce of an earlier sign-in",
        [IdToken(|it, facts| claim(it, "nonce", json!(facts.old_nonce.as_deref().unwrap_or("none-was-given-before"))))];
    "id-token-sub-missing", "T54 D1", Refuse, "has no sub",
        [IdToken(|it, _| unclaim(it, "sub"))];
    "id-token-sub-empty", "T54", Refuse, "its sub is empty",
        [IdToken(|it, _| claim(it, "sub", json!("")))];
    "id-token-sub-long", "T54", Refuse, "its sub has 300 characters",
        [IdToken(|it, _| claim(it, "sub", json!("0".repeat(300))))];
    "id-token-sub-no-id", "T54", Refuse, "its sub is no iD",
        [IdToken(|it, _| claim(it, "sub", json!("rowan.ashgrove")))];
    "id-token-sub-wrong", "T54", Refuse, "its sub has a wrong check digit",
        [IdToken(|it, _| claim(it, "sub", json!("0009-9999-0000-0018")))];
    "id-token-sub-misplaced-x", "T54", Refuse, "its sub has an X where none may be",
        [IdToken(|it, _| claim(it, "sub", json!("0009-9999-00X0-0019")))];
    "id-token-sub-spelled", "T54", Refuse, "its sub is an iD without hyphens",
        [IdToken(|it, _| { let bare = it.claims["sub"].as_str().unwrap_or("").replace('-', ""); claim(it, "sub", json!(bare)); })];
    "id-token-sub-other", "T55", Refuse, "its sub is somebody else's",
        [IdToken(|it, facts| claim(it, "sub", json!(facts.somebody_else)))];
    "id-token-sub-uri", "T54", Accept, "its sub is written as an address, as ORCID once had it",
        [IdToken(|it, facts| { let bare = it.claims["sub"].as_str().unwrap_or("").to_owned(); claim(it, "sub", json!(format!("{}/{bare}", facts.base))); })];
    "id-token-at-hash-other", "T56 D6", Refuse, "belongs to another access token",
        [IdToken(|it, _| claim(it, "at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA")))];
    "id-token-at-hash-number", "T56", Refuse, "its at_hash is a number",
        [IdToken(|it, _| claim(it, "at_hash", json!(1)))];
    "id-token-at-hash-missing", "T56", Accept, "has no at_hash, which the code flow allows",
        [IdToken(|it, _| unclaim(it, "at_hash"))];
    "id-token-alg-none", "T49 D1", Refuse, "is not signed, and says so",
        [IdToken(|it, _| { head(it, "alg", json!("none")); it.signing = Signing::Nothing; })];
    "id-token-alg-missing", "T49", Refuse, "does not say how it is signed",
        [IdToken(|it, _| { it.header.remove("alg"); })];
    "id-token-alg-hs256-secret", "T49 D6", Refuse, "is signed with the client's secret",
        [IdToken(|it, facts| { head(it, "alg", json!("HS256")); it.signing = Signing::Hmac(facts.client_secret.clone()); })];
    "id-token-alg-hs256-key", "T49", Refuse, "is signed with the public key as if it were a secret",
        [IdToken(|it, facts| { head(it, "alg", json!("HS256")); it.signing = Signing::Hmac(facts.modulus.clone()); })];
    "id-token-alg-hs256-pem", "T49", Refuse, "is signed with the public key's PEM text as if it were a secret",
        [IdToken(|it, facts| { head(it, "alg", json!("HS256")); it.signing = Signing::Hmac(facts.public_pem.clone()); })];
    "id-token-alg-es256", "T49 D6", Refuse, "is signed with an elliptic key that is published too",
        [
            IdToken(|it, facts| {
                head(it, "alg", json!("ES256"));
                head(it, "kid", facts.elliptic["kid"].clone());
                it.signing = Signing::Elliptic;
            }),
            Keys(|keys, facts| keys.push(facts.elliptic.clone()))
        ];
    "id-token-alg-rs512", "T49", Refuse, "claims an algorithm nobody asked for",
        [IdToken(|it, _| head(it, "alg", json!("RS512")))];
    "id-token-signature-broken", "T49 D1", Refuse, "its signature is wrong by one bit",
        [IdToken(|it, _| it.signing = Signing::Broken)];
    "id-token-signature-empty", "T49", Refuse, "its signature is empty",
        [IdToken(|it, _| it.signing = Signing::Nothing)];
    "id-token-signature-missing", "T49", Refuse, "has two parts instead of three",
        [IdToken(|it, _| it.signing = Signing::TwoParts)];
    "id-token-signature-other", "T49", Refuse, "its signature is over other claims",
        [IdToken(|it, _| it.signing = Signing::OtherClaims)];
    "id-token-foreign-key", "T49 D1", Refuse, "is signed with a key that is not published, under the right kid",
        [IdToken(|it, _| it.signing = Signing::Foreign)];
    "id-token-kid-missing", "D1", Accept, "does not say which key; only one is published",
        [IdToken(|it, _| { it.header.remove("kid"); })];
    "id-token-kid-unknown", "T57", Refuse, "names a key that is not published",
        [IdToken(|it, _| { head(it, "kid", json!("unheard-of")); it.signing = Signing::Foreign; })];
    "id-token-kid-long", "T57", Refuse, "its kid has two thousand characters",
        [IdToken(|it, _| head(it, "kid", json!("k".repeat(2_000))))];
    "id-token-embedded-key", "T59", Refuse, "brings the key to verify it with along",
        [IdToken(|it, facts| {
            head(it, "jwk", facts.foreign.clone());
            it.signing = Signing::Foreign;
        })];
    "id-token-embedded-address", "T59", Refuse, "says at which address its key is",
        [IdToken(|it, facts| {
            head(it, "jku", json!(elsewhere(facts)));
            head(it, "x5u", json!(elsewhere(facts)));
            it.signing = Signing::Foreign;
        })];
    "id-token-extra-header", "T59", Accept, "brings addresses of keys along that nobody needs",
        [IdToken(|it, facts| { head(it, "jku", json!(elsewhere(facts))); head(it, "x5t", json!("AAAA")); })];
    "id-token-crit", "T59", Refuse, "demands an extension nobody knows",
        [IdToken(|it, _| { head(it, "crit", json!(["exp"])); head(it, "exp", json!(1)); })];
    "id-token-type-other", "T59", Refuse, "calls itself an access token",
        [IdToken(|it, _| head(it, "typ", json!("at+jwt")))];
    "id-token-type-jwt", "T59", Accept, "calls itself a JWT",
        [IdToken(|it, _| head(it, "typ", json!("JWT")))];
    "id-token-amr-number", "T60", Accept, "its amr is a number",
        [IdToken(|it, _| claim(it, "amr", json!(3)))];
    "id-token-auth-time-missing", "T60", Accept, "has no auth_time",
        [IdToken(|it, _| unclaim(it, "auth_time"))];
    "id-token-name-markup", "T13 T84", Accept, "its names are markup",
        [IdToken(|it, _| { claim(it, "name", json!("\"><img src=x onerror=alert(1)>")); claim(it, "given_name", json!({"a": 1})); })];
    "id-token-distant-claims", "D6", Accept, "keeps further claims at other addresses",
        [IdToken(|it, _| {
            claim(it, "_claim_names", json!({"name": "src1"}));
            claim(it, "_claim_sources", json!({"src1": {"endpoint": "https://elsewhere.invalid/claims", "access_token": "x"}}));
        })];
    "id-token-logout", "T95", Refuse, "is a logout token",
        [IdToken(|it, _| {
            head(it, "typ", json!("logout+jwt"));
            claim(it, "events", json!({"http://schemas.openid.net/event/backchannel-logout": {}}));
        })];
}

fn claim(it: &mut Draft, name: &str, value: Value) {
    it.claims.insert(name.to_owned(), value);
}

fn unclaim(it: &mut Draft, name: &str) {
    it.claims.remove(name);
}

fn head(it: &mut Draft, name: &str, value: Value) {
    it.header.insert(name.to_owned(), value);
}

fn number(it: &Draft, name: &str) -> i64 {
    it.claims.get(name).and_then(Value::as_i64).unwrap_or(0)
}

fn other_scheme(base: &str) -> String {
    match base.strip_prefix("https://") {
        Some(rest) => format!("http://{rest}"),
        None => base.replacen("http://", "https://", 1),
    }
}

/// The address of a key that is not published.
fn elsewhere(facts: &Facts) -> String {
    format!("{}{FOREIGN_KEYS}", facts.base)
}
