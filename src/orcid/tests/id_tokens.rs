//! Every way an ID token can be wrong (T49 to T56, T59, T60; conformance D1, D6, D7).

use super::provider::{ALICE, BOB, EC_KEY, KEY, NEXT_KEY, Reply, base64url, message};
use super::*;
use crate::domain::{Mfa, UnixTime};
use serde_json::{Value, json};

type Edit = fn(&mut Value);

/// Exchanges against claims edited by each row and compares what comes of it.
async fn claims_table(settings: fn(&FakeProvider) -> ProviderSettings, table: &[(&str, Edit, Option<Check>)]) {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    for (what, edit, expected) in table {
        let mut claims = provider.claims();
        edit(&mut claims);
        provider.answer_with(KEY.token(&provider.header(), &claims));
        let caught = exchange(&client).await.err();
        assert_eq!(caught, expected.map(OrcidTrouble::Lied), "{what}");
    }
}

#[tokio::test]
async fn a_right_token_makes_a_grant() {
    let provider = FakeProvider::start().await;
    let grant = exchange(&client(settings(&provider))).await.unwrap();
    assert_eq!(grant.subject, Subject::Orcid(ALICE.parse().unwrap()));
    assert_eq!(grant.name.as_deref(), Some("Alice Example"));
    assert_eq!((grant.given_name.as_deref(), grant.family_name.as_deref()), (Some("Alice"), Some("Example")));
    assert_eq!(grant.mfa, Mfa::Enabled);
    assert_eq!(grant.scopes, scopes("openid /read-limited"));
    assert_eq!(grant.access_token.expose(), ACCESS);
    assert_eq!(grant.refresh_token.unwrap().expose(), REFRESH);
    assert_eq!(grant.expires.unwrap().0, NOW + 631_138_518, "past 2038");
}

#[tokio::test]
async fn t49_algorithms_that_are_not_allowed_are_refused() {
    let provider = FakeProvider::start().await;
    provider.set("/oauth/jwks", Reply::json(&json!({"keys": [KEY.jwk("one"), EC_KEY.jwk("ec")]})));
    let client = client(settings(&provider));
    let claims = provider.claims();
    let hs256 = |secret: &[u8]| {
        let message = message(&json!({"kid": "one", "alg": "HS256"}), &claims);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        format!("{message}.{}", base64url(ring::hmac::sign(&key, message.as_bytes())))
    };
    let alg = |alg: &str| KEY.token(&json!({"kid": "one", "alg": alg}), &claims);
    for (what, token, check) in [
        ("none", format!("{}.", message(&json!({"alg": "none"}), &claims)), Check::Algorithm),
        ("none in capitals", format!("{}.", message(&json!({"alg": "NoNe"}), &claims)), Check::Algorithm),
        ("none, but signed", alg("none"), Check::Algorithm),
        ("no alg", KEY.token(&json!({"kid": "one"}), &claims), Check::Header),
        ("alg null", KEY.token(&json!({"kid": "one", "alg": null}), &claims), Check::Header),
        ("alg as a list", KEY.token(&json!({"kid": "one", "alg": ["RS256"]}), &claims), Check::Header),
        ("HS256 with the client secret", hs256(SECRET.as_bytes()), Check::Algorithm),
        ("HS256 with the public key", hs256(KEY.n.as_bytes()), Check::Algorithm),
        ("ES256", EC_KEY.token(&json!({"kid": "ec", "alg": "ES256"}), &claims), Check::Algorithm),
        ("RS384", alg("RS384"), Check::Algorithm),
        ("rs256", alg("rs256"), Check::Algorithm),
    ] {
        provider.answer_with(token);
        assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(check)), "{what}");
    }
}

#[tokio::test]
async fn t49_es256_is_taken_where_it_is_allowed_and_never_across_key_types() {
    let provider = FakeProvider::start().await;
    provider.set("/oauth/jwks", Reply::json(&json!({"keys": [KEY.jwk("one"), EC_KEY.jwk("ec")]})));
    let both = vec![SigningAlgorithm::Rs256, SigningAlgorithm::Es256];
    let client = client(ProviderSettings { algorithms: both, ..other(&provider) });
    for (header, token_of_rsa, expected) in [
        (json!({"kid": "ec", "alg": "ES256"}), false, None),
        (json!({"alg": "ES256"}), false, None),
        (json!({"kid": "one", "alg": "RS256"}), true, None),
        (json!({"kid": "ec", "alg": "RS256"}), true, Some(Check::UnknownKey)),
        (json!({"kid": "one", "alg": "ES256"}), false, Some(Check::UnknownKey)),
    ] {
        let claims = provider.claims();
        let token = if token_of_rsa { KEY.token(&header, &claims) } else { EC_KEY.token(&header, &claims) };
        provider.answer_with(token);
        assert_eq!(exchange(&client).await.err(), expected.map(OrcidTrouble::Lied), "{header}");
    }
}

#[tokio::test]
async fn tokens_that_are_no_tokens_are_refused() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let good = KEY.token(&provider.header(), &provider.claims());
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let twice = {
        let claims = provider.claims().to_string().replace("\"sub\"", &format!("\"sub\":\"{BOB}\",\"sub\""));
        let message = format!("{header}.{}", base64url(claims));
        format!("{message}.{}", base64url(KEY.sign(&message)))
    };
    let broken = {
        let mut bytes = KEY.sign(signed);
        bytes[0] ^= 1;
        base64url(bytes)
    };
    for (what, token, check) in [
        ("empty", String::new(), Check::Shape),
        ("no dots", "leak".to_owned(), Check::Shape),
        ("one dot", signed.to_owned(), Check::Shape),
        ("five parts", format!("{good}.a.b"), Check::Shape),
        ("padding", format!("{header}==.{payload}.{signature}"), Check::Shape),
        ("a header that is not JSON", format!("{}.{payload}.{signature}", base64url("leak")), Check::Header),
        ("40 kB", format!("{header}.{payload}{}.{signature}", "A".repeat(40_000)), Check::Shape),
        ("a broken signature", format!("{signed}.{broken}"), Check::Signature),
        ("no signature", format!("{signed}."), Check::Signature),
        ("changed claims", message(&provider.header(), &json!({"sub": BOB})) + "." + signature, Check::Signature),
        ("another key's signature", NEXT_KEY.token(&provider.header(), &provider.claims()), Check::Signature),
        ("a claim said twice", twice, Check::Claims),
        ("claims that are a list", KEY.token(&provider.header(), &json!([1])), Check::Claims),
    ] {
        provider.answer_with(token);
        assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(check)), "{what}");
    }
}

#[tokio::test]
async fn t50_t51_issuer_and_audience() {
    claims_table(
        settings,
        &[
            ("iss with a slash", |c| c["iss"] = json!(format!("{}/", c["iss"].as_str().unwrap())), Some(Check::Issuer)),
            (
                "iss https",
                |c| c["iss"] = json!(c["iss"].as_str().unwrap().replace("http", "https")),
                Some(Check::Issuer),
            ),
            ("iss sandbox", |c| c["iss"] = json!("https://sandbox.orcid.org"), Some(Check::Issuer)),
            ("iss below", |c| c["iss"] = json!("http://evil.127.0.0.1"), Some(Check::Issuer)),
            ("iss missing", |c| drop(c.as_object_mut().unwrap().remove("iss")), Some(Check::Issuer)),
            ("iss as a list", |c| c["iss"] = json!([c["iss"].clone()]), Some(Check::Claims)),
            ("aud missing", |c| drop(c.as_object_mut().unwrap().remove("aud")), Some(Check::Audience)),
            ("aud another", |c| c["aud"] = json!("APP-OTHER"), Some(Check::Audience)),
            ("aud empty list", |c| c["aud"] = json!([]), Some(Check::Audience)),
            ("aud list of us", |c| c["aud"] = json!([CLIENT]), None),
            ("aud us and another", |c| c["aud"] = json!([CLIENT, "APP-OTHER"]), Some(Check::Audience)),
            (
                "aud us and another, azp us",
                |c| {
                    c["aud"] = json!([CLIENT, "APP-OTHER"]);
                    c["azp"] = json!(CLIENT);
                },
                Some(Check::Audience),
            ),
            ("azp another", |c| c["azp"] = json!("APP-OTHER"), Some(Check::AuthorizedParty)),
            ("azp us", |c| c["azp"] = json!(CLIENT), None),
            ("aud a number", |c| c["aud"] = json!(7), Some(Check::Claims)),
        ],
    )
    .await;
}

#[tokio::test]
async fn t52_dates() {
    claims_table(
        settings,
        &[
            ("exp past", |c| c["exp"] = json!(NOW - 61), Some(Check::Expiry)),
            ("exp just within the leeway", |c| c["exp"] = json!(NOW - 59), None),
            ("exp missing", |c| drop(c.as_object_mut().unwrap().remove("exp")), Some(Check::Expiry)),
            ("exp null", |c| c["exp"] = json!(null), Some(Check::Expiry)),
            ("exp a text", |c| c["exp"] = json!("1900000000"), Some(Check::Expiry)),
            ("exp negative", |c| c["exp"] = json!(-1), Some(Check::Expiry)),
            ("exp 1e300", |c| c["exp"] = json!(1e300), Some(Check::Expiry)),
            ("exp the largest number", |c| c["exp"] = json!(u64::MAX), Some(Check::Expiry)),
            ("exp the largest signed number", |c| c["exp"] = json!(i64::MAX), Some(Check::Expiry)),
            ("exp fractional", |c| c["exp"] = json!(NOW as f64 + 60.5), None),
            ("exp in twenty years", |c| c["exp"] = json!(NOW + 631_138_518), None),
            ("iat missing", |c| drop(c.as_object_mut().unwrap().remove("iat")), Some(Check::IssuedAt)),
            ("iat ten minutes ahead", |c| c["iat"] = json!(NOW + 600), Some(Check::IssuedAt)),
            ("iat within the leeway", |c| c["iat"] = json!(NOW + 59), None),
            ("iat fractional", |c| c["iat"] = json!(NOW as f64 - 0.25), None),
            ("iat yesterday", |c| c["iat"] = json!(NOW - 86_400), Some(Check::IssuedAt)),
            ("iat negative", |c| c["iat"] = json!(-5), Some(Check::IssuedAt)),
            ("nbf ahead", |c| c["nbf"] = json!(NOW + 600), Some(Check::NotBefore)),
            ("nbf now", |c| c["nbf"] = json!(NOW), None),
            ("nbf a text", |c| c["nbf"] = json!("now"), Some(Check::NotBefore)),
        ],
    )
    .await;
}

#[tokio::test]
async fn t53_t56_nonce_and_access_token_hash() {
    claims_table(
        settings,
        &[
            ("nonce missing", |c| drop(c.as_object_mut().unwrap().remove("nonce")), Some(Check::Nonce)),
            ("nonce of another sign-in", |c| c["nonce"] = json!("n0nce-of-another-sign-in"), Some(Check::Nonce)),
            ("nonce empty", |c| c["nonce"] = json!(""), Some(Check::Nonce)),
            ("nonce longer", |c| c["nonce"] = json!(format!("{NONCE}x")), Some(Check::Nonce)),
            ("at_hash wrong", |c| c["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA"), Some(Check::AccessTokenHash)),
            ("at_hash empty", |c| c["at_hash"] = json!(""), Some(Check::AccessTokenHash)),
            ("at_hash a number", |c| c["at_hash"] = json!(1), Some(Check::Claims)),
            ("at_hash missing", |c| drop(c.as_object_mut().unwrap().remove("at_hash")), None),
        ],
    )
    .await;
}

#[tokio::test]
async fn t54_t55_subjects() {
    claims_table(
        settings,
        &[
            ("sub missing", |c| drop(c.as_object_mut().unwrap().remove("sub")), Some(Check::Subject)),
            ("sub empty", |c| c["sub"] = json!(""), Some(Check::Subject)),
            ("sub null", |c| c["sub"] = json!(null), Some(Check::Subject)),
            ("sub of 300 characters", |c| c["sub"] = json!("x".repeat(300)), Some(Check::Subject)),
            ("sub no iD", |c| c["sub"] = json!("alice"), Some(Check::Subject)),
            ("sub with a wrong check digit", |c| c["sub"] = json!("0009-9999-9999-9993"), Some(Check::Subject)),
            ("sub with an X inside", |c| c["sub"] = json!("0009-9999-X999-9992"), Some(Check::Subject)),
            ("sub without hyphens", |c| c["sub"] = json!("0009999999999992"), Some(Check::Subject)),
            ("sub with a space", |c| c["sub"] = json!(" 0009-9999-9999-9992"), Some(Check::Subject)),
            ("sub as an address", |c| c["sub"] = json!(format!("https://orcid.org/{ALICE}")), None),
            ("sub as http", |c| c["sub"] = json!(format!("http://orcid.org/{ALICE}")), Some(Check::Subject)),
            ("sub elsewhere", |c| c["sub"] = json!(format!("https://evil.example/{ALICE}")), Some(Check::Subject)),
            (
                "sub of the sandbox",
                |c| c["sub"] = json!(format!("https://sandbox.orcid.org/{ALICE}")),
                Some(Check::Subject),
            ),
            ("sub a number", |c| c["sub"] = json!(9), Some(Check::Claims)),
            ("sub another's", |c| c["sub"] = json!(BOB), Some(Check::SubjectsDisagree)),
        ],
    )
    .await;
}

/// A demand to sign in anew travels through the browser; whether it was met, only the answer says.
#[tokio::test]
async fn t60_who_was_told_to_sign_in_anew_must_have_done_so() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let asked = scopes("/read-limited");
    let since = UnixTime(NOW - 100);
    let lie = Err(OrcidTrouble::Lied(Check::SignedInAnew));
    for (what, auth_time, told, untold) in [
        ("after the demand", json!(NOW - 10), Ok(()), Ok(())),
        ("the clocks differ a little", json!(NOW - 150), Ok(()), Ok(())),
        ("before it", json!(NOW - 1000), lie.clone(), Ok(())),
        ("not said", json!(null), lie.clone(), Ok(())),
        ("said as a text", json!("now"), lie.clone(), Ok(())),
    ] {
        for (signed_in_since, expected) in [(Some(since), told), (None, untold)] {
            let mut claims = provider.claims();
            claims["auth_time"] = auth_time.clone();
            provider.answer_with(KEY.token(&json!({"alg": "RS256", "kid": "one"}), &claims));
            let proof = Proof { nonce: NONCE, pkce_verifier: VERIFIER, iss: None, asked: &asked, signed_in_since };
            let outcome = client.exchange(AuthorizationCode::new(CODE), &proof).await.map(|_| ());
            assert_eq!(outcome, expected, "{what}, {signed_in_since:?}");
        }
    }
}

#[tokio::test]
async fn t54_foreign_subjects_only_where_the_settings_say_so() {
    fn foreign(provider: &FakeProvider) -> ProviderSettings {
        ProviderSettings { foreign_subjects: true, ..other(provider) }
    }
    claims_table(other, &[("sub no iD", |c| c["sub"] = json!("alice"), Some(Check::Subject))]).await;
    claims_table(
        foreign,
        &[
            ("a foreign sub", |c| c["sub"] = json!("auth0|alice@campus.example"), None),
            ("sub empty", |c| c["sub"] = json!(""), Some(Check::Subject)),
            ("sub of 256", |c| c["sub"] = json!("x".repeat(256)), Some(Check::Subject)),
            ("sub with a newline", |c| c["sub"] = json!("alice\nbob"), Some(Check::Subject)),
            ("a blank in front", |c| c["sub"] = json!(" alice"), Some(Check::Subject)),
            ("a blank behind", |c| c["sub"] = json!("alice "), Some(Check::Subject)),
            ("a blank within", |c| c["sub"] = json!("cn=Alice Liddell,dc=campus"), None),
            ("sixteen digits that are no iD", |c| c["sub"] = json!("0009999999999993"), None),
            (
                "an address in capitals",
                |c| c["sub"] = json!(format!("HTTPS://ORCID.ORG/{ALICE}")),
                Some(Check::Subject),
            ),
            (
                "an address with a slash",
                |c| c["sub"] = json!(format!("https://orcid.org/{ALICE}/")),
                Some(Check::Subject),
            ),
            ("an iD at the end of an address", |c| c["sub"] = json!("x://y/0009999999999992"), Some(Check::Subject)),
            ("an iD within", |c| c["sub"] = json!(format!("id:{ALICE}@campus")), Some(Check::Subject)),
            ("sub beyond ASCII", |c| c["sub"] = json!("alicé"), Some(Check::Subject)),
            ("a sub that poses as an iD", |c| c["sub"] = json!(ALICE), Some(Check::Subject)),
            (
                "the same, spelt otherwise",
                |c| c["sub"] = json!("000999999999999 2".replace(' ', "")),
                Some(Check::Subject),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn t59_keys_and_addresses_in_the_header_are_never_used() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let bait = format!("{}/bait", provider.base);
    for (what, extra, expected) in [
        ("crit", json!({"crit": ["exp"]}), Some(Check::Header)),
        ("crit empty", json!({"crit": []}), Some(Check::Header)),
        ("crit null", json!({"crit": null}), Some(Check::Header)),
        ("b64", json!({"crit": ["b64"], "b64": false}), Some(Check::Header)),
        ("an access token", json!({"typ": "at+jwt"}), Some(Check::Header)),
        ("a logout token", json!({"typ": "logout+jwt"}), Some(Check::Header)),
        ("typ JWT", json!({"typ": "JWT"}), None),
        ("a long kid", json!({"kid": "k".repeat(300)}), Some(Check::Header)),
        ("kid a number", json!({"kid": 1}), Some(Check::Header)),
        ("kid a path", json!({"kid": "../../etc/passwd"}), Some(Check::UnknownKey)),
        ("addresses", json!({"jku": bait, "x5u": bait, "jwk": NEXT_KEY.jwk("one"), "x5c": ["AAAA"]}), None),
    ] {
        let mut header = provider.header();
        header.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        provider.answer_with(KEY.token(&header, &provider.claims()));
        assert_eq!(exchange(&client).await.err(), expected.map(OrcidTrouble::Lied), "{what}");
    }
    // Signed with the very key the header offers: still a stranger's.
    let offered = json!({"kid": "one", "alg": "RS256", "jwk": NEXT_KEY.jwk("one"), "jku": bait});
    provider.answer_with(NEXT_KEY.token(&offered, &provider.claims()));
    assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(Check::Signature)));
    assert!(provider.seen("/bait").is_empty());
}

#[tokio::test]
async fn t60_amr_comes_as_a_text_a_list_or_not_at_all() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    for (amr, mfa) in [
        (json!("mfa"), Mfa::Enabled),
        (json!("pwd"), Mfa::PasswordOnly),
        (json!(["pwd"]), Mfa::PasswordOnly),
        (json!(["pwd", "mfa"]), Mfa::Enabled),
        (json!([]), Mfa::Unknown),
        (json!(null), Mfa::Unknown),
        (json!(7), Mfa::Unknown),
        (json!({"mfa": true}), Mfa::Unknown),
        (json!("not-mfa"), Mfa::Unknown),
    ] {
        let mut claims = provider.claims();
        claims["amr"] = amr.clone();
        provider.answer_with(KEY.token(&provider.header(), &claims));
        assert_eq!(exchange(&client).await.unwrap().mfa, mfa, "{amr}");
    }
    let mut claims = provider.claims();
    claims.as_object_mut().unwrap().remove("amr");
    provider.answer_with(KEY.token(&provider.header(), &claims));
    assert_eq!(exchange(&client).await.unwrap().mfa, Mfa::Unknown);
}

#[tokio::test]
async fn names_are_optional_and_tidy() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    for (sent, name) in [
        (json!(null), None),
        (json!("   "), None),
        (json!(17), None),
        (json!("  Åsa Öst "), Some("Åsa Öst".to_owned())),
        (json!("A\r\nSet-Cookie: x\0"), Some("ASet-Cookie: x".to_owned())),
        (json!("x".repeat(64_000)), Some("x".repeat(300))),
    ] {
        let mut tokens = provider.tokens();
        tokens["name"] = sent.clone();
        provider.set("/oauth/token", Reply::json(&tokens));
        assert_eq!(exchange(&client).await.unwrap().name, name);
    }
}
