//! Logout tokens: every way in which one can be no word of a sign-out (T95; conformance D5), and floods of them.

use super::provider::{ALICE, EC_KEY, KEY, NEXT_KEY, Reply};
use super::*;
use serde_json::{Value, json};

const KEYS: &str = "/oauth/jwks";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// As a provider sends it (Back-Channel Logout §2.4).
fn claims(provider: &FakeProvider) -> Value {
    json!({
        "iss": provider.base, "aud": CLIENT, "iat": NOW, "exp": NOW + 120, "jti": "c0ffee", "sub": "alice",
        "sid": "08a5019c-17e1-4977-8f42-65a12843ea02", "events": {EVENT: {}},
    })
}

fn header() -> Value {
    json!({"kid": "one", "alg": "RS256", "typ": "logout+jwt"})
}

async fn judge(client: &Provider, token: &str) -> Result<LogoutToken, OrcidTrouble> {
    let outcome = client.logout_token(token).await;
    shows_no_secret(&outcome);
    outcome
}

fn lied<T>(check: Check) -> Result<T, OrcidTrouble> {
    Err(OrcidTrouble::Lied(check))
}

fn set(claims: &mut Value, name: &str, value: Value) {
    claims[name] = value;
}

fn remove(claims: &mut Value, name: &str) {
    claims.as_object_mut().unwrap().remove(name);
}

#[tokio::test]
async fn a_right_token_names_person_and_session() {
    let provider = FakeProvider::start().await;
    let client = client(other(&provider));
    for typ in [json!("logout+jwt"), json!("JWT"), json!("Logout+JWT"), json!("application/logout+jwt"), json!(null)] {
        let mut header = header();
        header["typ"] = typ.clone();
        let told = judge(&client, &KEY.token(&header, &claims(&provider))).await.unwrap();
        assert_eq!((told.subject.as_deref(), told.id.as_str()), (Some("alice"), "c0ffee"), "{typ}");
        assert_eq!(told.sid.as_deref(), Some("08a5019c-17e1-4977-8f42-65a12843ea02"));
        // Accepted for ten minutes and the leeway; remembered for longer than that.
        assert!(told.remember_until.0 > NOW + 600 + 60);
    }
}

/// One change to a right token, and what becomes of it.
type Row = (&'static str, fn(&mut Value), Option<Check>);

async fn table(rows: &[Row]) {
    let provider = FakeProvider::start().await;
    let client = client(other(&provider));
    for (what, edit, expected) in rows {
        let mut claims = claims(&provider);
        edit(&mut claims);
        let outcome = judge(&client, &KEY.token(&header(), &claims)).await;
        assert_eq!(outcome.err(), expected.map(OrcidTrouble::Lied), "{what}");
    }
}

#[tokio::test]
async fn t95_claims_that_are_wrong_or_missing() {
    table(&[
        ("as it should be", |_| {}, None),
        ("iss missing", |c| remove(c, "iss"), Some(Check::Issuer)),
        ("iss of another", |c| set(c, "iss", json!("https://evil.example")), Some(Check::Issuer)),
        ("iss with a slash", |c| c["iss"] = json!(format!("{}/", c["iss"].as_str().unwrap())), Some(Check::Issuer)),
        ("aud missing", |c| remove(c, "aud"), Some(Check::Audience)),
        ("aud of another", |c| set(c, "aud", json!("APP-OTHER")), Some(Check::Audience)),
        ("aud of nobody", |c| set(c, "aud", json!([])), Some(Check::Audience)),
        ("aud of us and another", |c| set(c, "aud", json!([CLIENT, "APP-OTHER"])), Some(Check::Audience)),
        ("aud a list of us", |c| set(c, "aud", json!([CLIENT])), None),
        ("iat missing", |c| remove(c, "iat"), Some(Check::IssuedAt)),
        ("iat a text", |c| set(c, "iat", json!("now")), Some(Check::IssuedAt)),
        ("iat in the future", |c| set(c, "iat", json!(NOW + 61)), Some(Check::IssuedAt)),
        ("iat within the leeway", |c| set(c, "iat", json!(NOW + 59)), None),
        ("iat eleven minutes ago", |c| set(c, "iat", json!(NOW - 661)), Some(Check::IssuedAt)),
        ("iat ten minutes ago", |c| set(c, "iat", json!(NOW - 600)), None),
        ("exp past", |c| set(c, "exp", json!(NOW - 61)), Some(Check::Expiry)),
        ("exp no date", |c| set(c, "exp", json!(1e300)), Some(Check::Expiry)),
        ("exp missing, as of old", |c| remove(c, "exp"), None),
        ("nbf to come", |c| set(c, "nbf", json!(NOW + 100)), Some(Check::NotBefore)),
        ("events missing", |c| remove(c, "events"), Some(Check::Events)),
        ("events a text", |c| set(c, "events", json!(EVENT)), Some(Check::Claims)),
        ("events a list", |c| set(c, "events", json!([EVENT])), Some(Check::Claims)),
        ("events empty", |c| set(c, "events", json!({})), Some(Check::Events)),
        ("another event", |c| set(c, "events", json!({"http://schemas.openid.net/event/x": {}})), Some(Check::Events)),
        ("the event is no object", |c| set(c, "events", json!({EVENT: true})), Some(Check::Events)),
        ("the event is null", |c| set(c, "events", json!({EVENT: null})), Some(Check::Events)),
        ("more events than that", |c| set(c, "events", json!({EVENT: {"x": 1}, "urn:x": {}})), None),
        ("a nonce", |c| set(c, "nonce", json!(NONCE)), Some(Check::OtherKind)),
        ("a nonce that is null", |c| set(c, "nonce", json!(null)), Some(Check::OtherKind)),
        ("jti missing", |c| remove(c, "jti"), Some(Check::TokenId)),
        ("jti empty", |c| set(c, "jti", json!("")), Some(Check::TokenId)),
        ("jti a number", |c| set(c, "jti", json!(7)), Some(Check::Claims)),
        ("jti endless", |c| set(c, "jti", json!("j".repeat(600))), Some(Check::TokenId)),
        ("only a session", |c| remove(c, "sub"), None),
        ("only a person", |c| remove(c, "sid"), None),
        (
            "neither",
            |c| {
                remove(c, "sub");
                remove(c, "sid");
            },
            Some(Check::NobodyNamed),
        ),
        ("an empty session beside a person", |c| set(c, "sid", json!("")), Some(Check::NobodyNamed)),
        ("a session of a kilobyte", |c| set(c, "sid", json!("s".repeat(1024))), Some(Check::NobodyNamed)),
        ("a person no one is", |c| set(c, "sub", json!("x".repeat(256))), Some(Check::NobodyNamed)),
        ("a session that is a number", |c| set(c, "sid", json!(7)), Some(Check::Claims)),
    ])
    .await;
}

#[tokio::test]
async fn t95_signatures_and_headers_that_are_wrong() {
    let provider = FakeProvider::start().await;
    let client = client(other(&provider));
    let claims = claims(&provider);
    let hmac = |secret: &[u8], header: Value| {
        let message = provider::message(&header, &claims);
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        format!("{message}.{}", provider::base64url(ring::hmac::sign(&key, message.as_bytes())))
    };
    let unsigned = provider::message(&json!({"alg": "none", "typ": "logout+jwt"}), &claims);
    let typed = |typ: &str| json!({"kid": "one", "alg": "RS256", "typ": typ});
    let right = KEY.token(&header(), &claims);
    let other = KEY.token(&header(), &json!({}));
    let other = other.rsplit_once('.').unwrap().1;
    for (what, token, check) in [
        ("none", format!("{unsigned}."), Check::Algorithm),
        ("none, three parts", format!("{unsigned}.AAAA"), Check::Algorithm),
        ("HMAC with our secret", hmac(SECRET.as_bytes(), json!({"alg": "HS256"})), Check::Algorithm),
        ("HMAC with the public key", hmac(KEY.n.as_bytes(), json!({"alg": "HS256", "kid": "one"})), Check::Algorithm),
        ("ES256 where it is not allowed", EC_KEY.token(&json!({"alg": "ES256"}), &claims), Check::Algorithm),
        ("another's key under that id", NEXT_KEY.token(&header(), &claims), Check::Signature),
        ("the signature of another", format!("{}.{other}", right.rsplit_once('.').unwrap().0), Check::Signature),
        ("an unknown key", KEY.token(&json!({"alg": "RS256", "kid": "two"}), &claims), Check::UnknownKey),
        ("an access token", KEY.token(&typed("at+jwt"), &claims), Check::Header),
        ("another event token", KEY.token(&typed("secevent+jwt"), &claims), Check::Header),
        ("critical", KEY.token(&json!({"alg": "RS256", "crit": ["exp"]}), &claims), Check::Header),
        ("no token", "leak".to_owned(), Check::Shape),
        ("endless", format!("{right}{}", "A".repeat(40_000)), Check::Shape),
    ] {
        assert_eq!(judge(&client, &token).await, lied(check), "{what}");
    }
}

#[tokio::test]
async fn t95_no_id_token_is_a_logout_token_and_no_logout_token_an_id_token() {
    let provider = FakeProvider::start().await;
    let foreign = ProviderSettings { foreign_subjects: true, ..other(&provider) };
    let client = client(foreign);
    let mut id = provider.claims();
    id["sub"] = json!("alice");
    id["sid"] = json!("08a5019c");
    assert_eq!(judge(&client, &KEY.token(&provider.header(), &id)).await, lied(Check::Events));
    // Even with an event in it, for the nonce gives it away.
    id["events"] = json!({EVENT: {}});
    let dressed_up = KEY.token(&provider.header(), &id);
    assert_eq!(judge(&client, &dressed_up).await, lied(Check::OtherKind));
    provider.answer_with(dressed_up);
    assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(Check::OtherKind)));
    // The other way round: with its own type, without one, and dressed up with the nonce.
    let mut logout = claims(&provider);
    logout["nonce"] = json!(NONCE);
    for (header, claims, check) in [
        (header(), claims(&provider), Check::Header),
        (provider.header(), claims(&provider), Check::OtherKind),
        (provider.header(), logout, Check::OtherKind),
    ] {
        provider.answer_with(KEY.token(&header, &claims));
        assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(check)));
    }
    // At a renewal there is no nonce to tell them apart.
    provider.answer_with(KEY.token(&provider.header(), &claims(&provider)));
    let holder = Subject::Foreign("alice".to_owned());
    let renewed = client.refresh(&RefreshToken::new(REFRESH), None, &holder).await;
    assert_eq!(renewed.err(), Some(OrcidTrouble::Lied(Check::OtherKind)));
}

#[tokio::test]
async fn t95_t57_strangers_with_unknown_keys_leave_the_sign_ins_their_fetch() {
    let provider = FakeProvider::start().await;
    let clock = Arc::new(StoppedClock::at(NOW));
    let client = Provider::new(settings(&provider), clock.clone()).unwrap();
    exchange(&client).await.unwrap();
    // What the flood was told, each answer once.
    let flood = async |count: usize| {
        let tasks: Vec<_> = (0..count)
            .map(|at| {
                let header = json!({"kid": format!("invented-{at}"), "alg": "RS256"});
                let token = NEXT_KEY.token(&header, &claims(&provider));
                let client = client.clone();
                tokio::spawn(async move { client.logout_token(&token).await.map(|_| ()) })
            })
            .collect();
        let mut told = Vec::new();
        for task in tasks {
            let answer = task.await.unwrap().unwrap_err();
            if !told.contains(&answer) {
                told.push(answer);
            }
        }
        told
    };
    assert!(flood(50).await.contains(&OrcidTrouble::Lied(Check::UnknownKey)), "whoever had the keys fetched knows");
    assert_eq!(provider.seen(KEYS).len(), 2, "one fetch for all of them");
    // The provider rotates in the very minute of the flood: whoever signs in does not notice.
    provider.set(KEYS, Reply::json(&json!({"keys": [NEXT_KEY.jwk("two")]})));
    provider.answer_with(NEXT_KEY.token(&json!({"kid": "two", "alg": "RS256"}), &provider.claims()));
    exchange(&client).await.unwrap();
    assert_eq!(provider.seen(KEYS).len(), 3);
    let two = json!({"kid": "two", "alg": "RS256", "typ": "logout+jwt"});
    judge(&client, &NEXT_KEY.token(&two, &claims(&provider))).await.unwrap();
    // Nobody has looked for them, so nobody says that there are no such keys.
    assert_eq!(flood(50).await, [OrcidTrouble::LookedJustNow]);
    assert!(OrcidTrouble::LookedJustNow.is_outage());
    assert_eq!(provider.seen(KEYS).len(), 3);
    clock.advance(61);
    flood(50).await;
    assert_eq!(provider.seen(KEYS).len(), 4);
}

#[tokio::test]
async fn t57_a_rotation_whose_keys_cannot_be_had_for_a_moment_costs_no_more_than_that() {
    let provider = FakeProvider::start().await;
    let clock = Arc::new(StoppedClock::at(NOW));
    let client = Provider::new(settings(&provider), clock.clone()).unwrap();
    exchange(&client).await.unwrap();
    let two = json!({"kid": "two", "alg": "RS256"});
    let logout = json!({"kid": "two", "alg": "RS256", "typ": "logout+jwt"});
    provider.answer_with(NEXT_KEY.token(&two, &provider.claims()));
    provider.set(KEYS, Reply::new(503, "text/html", ""));
    assert!(exchange(&client).await.unwrap_err().is_outage());
    assert!(judge(&client, &NEXT_KEY.token(&logout, &claims(&provider))).await.unwrap_err().is_outage());
    let asked = provider.seen(KEYS).len();
    // For some seconds nobody asks again, and the answer stays what it was: an outage, not a lie.
    provider.set(KEYS, Reply::json(&json!({"keys": [NEXT_KEY.jwk("two")]})));
    assert!(exchange(&client).await.unwrap_err().is_outage());
    assert!(judge(&client, &NEXT_KEY.token(&logout, &claims(&provider))).await.unwrap_err().is_outage());
    assert_eq!(provider.seen(KEYS).len(), asked);
    clock.advance(6);
    exchange(&client).await.unwrap();
    judge(&client, &NEXT_KEY.token(&logout, &claims(&provider))).await.unwrap();
    assert_eq!(provider.seen(KEYS).len(), asked + 1);
}

#[tokio::test]
async fn t95_what_is_wrong_on_its_face_makes_nobody_ask_the_provider() {
    let provider = FakeProvider::start().await;
    let client = client(other(&provider));
    let mut wrong = claims(&provider);
    wrong["aud"] = json!("APP-OTHER");
    assert_eq!(judge(&client, &KEY.token(&header(), &wrong)).await, lied(Check::Audience));
    assert!(provider.seen(KEYS).is_empty());
    // A right one whose key cannot be had is an outage, not a lie: the provider shall try again.
    provider.set(KEYS, Reply::new(503, "text/html", ""));
    assert!(judge(&client, &KEY.token(&header(), &claims(&provider))).await.unwrap_err().is_outage());
    assert!(!provider.seen(KEYS).is_empty());
}

#[tokio::test]
async fn what_a_provider_calls_a_sign_in_is_remembered_elsewhere_and_not_at_orcid() {
    let provider = FakeProvider::start().await;
    let foreign = || ProviderSettings { foreign_subjects: true, ..other(&provider) };
    for (sid, known) in [
        (json!("08a5019c"), Some("08a5019c")),
        (json!(null), None),
        (json!(7), None),
        (json!(""), None),
        (json!("s".repeat(600)), None),
    ] {
        let mut claims = provider.claims();
        (claims["sub"], claims["sid"]) = (json!("alice"), sid.clone());
        provider.answer_with(KEY.token(&provider.header(), &claims));
        let known_as = exchange(&client(foreign())).await.unwrap().at_provider.unwrap();
        assert_eq!((known_as.subject.as_str(), known_as.sid.as_deref()), ("alice", known), "{sid}");
    }
    let mut claims = provider.claims();
    claims["sid"] = json!("08a5019c");
    provider.answer_with(KEY.token(&provider.header(), &claims));
    let grant = exchange(&client(settings(&provider))).await.unwrap();
    assert_eq!((grant.subject.as_str(), grant.at_provider), (ALICE, None));
}
