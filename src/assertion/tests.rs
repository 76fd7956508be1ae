use super::*;

const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
use crate::domain::{Environment, Mfa, OrcidId, Subject, SystemChance};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

const NOW: UnixTime = UnixTime(1_790_000_000);

fn identity() -> Identity {
    Identity {
        subject: Subject::Orcid("0000-0002-1825-0097".parse::<OrcidId>().unwrap()),
        environment: Environment::Production,
        client: "orcid".parse().unwrap(),
        name: Some("Josiah \"J\" Carberry\r\n🎓".into()),
        given_name: Some("Josiah".into()),
        family_name: None,
        scopes: "openid /read-limited".parse().unwrap(),
        signed_in_at: UnixTime(NOW.0 - 60),
        proven_at: None,
        mfa: Mfa::Unknown,
        session_expires: UnixTime(NOW.0 + 3600),
        broken: None,
    }
}

fn assertions(keys: &[KeyMaterial]) -> Assertions {
    assertions_with(keys, Duration::ZERO)
}

fn assertions_with(keys: &[KeyMaterial], grace: Duration) -> Assertions {
    let (keys, chance) = (AssertionKeys::new(keys).unwrap(), Arc::new(SystemChance::default()));
    Assertions::new("https://signin.example".into(), keys, chance, Duration::from_secs(300), grace)
}

fn old_key() -> KeyMaterial {
    generate_key(UnixTime(NOW.0 - 100_000)).unwrap()
}

/// What an app does: key set, audience, issuer, time.
fn verify(jwks: &Value, audience: &str, token: &HeaderValue, now: UnixTime) -> Result<Value, String> {
    let token = token.to_str().unwrap();
    let set: JwkSet = serde_json::from_value(jwks.clone()).unwrap();
    let header = decode_header(token).unwrap();
    let jwk = set.find(&header.kid.unwrap()).ok_or("unknown key")?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&["https://signin.example"]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false; // judged below, by our clock
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let claims = decode::<Value>(token, &key, &validation).map_err(|e| e.to_string())?.claims;
    if claims["exp"].as_i64().unwrap() <= now.0 { Err("expired".into()) } else { Ok(claims) }
}

fn site(name: &str) -> SiteName {
    name.parse().unwrap()
}

#[test]
fn t18_another_librarys_verifier_accepts_it_for_its_own_site_only() {
    let assertions = assertions(&[old_key()]);
    let token = assertions.header_for(&[7; 32], &site("wiki"), "wiki", &Arc::new(identity()), NOW).unwrap();
    let jwks = assertions.jwks(NOW);
    let claims = verify(&jwks, "wiki", &token, NOW).unwrap();
    assert!(verify(&jwks, "library", &token, NOW).is_err());
    assert_eq!(claims["sub"], "0000-0002-1825-0097");
    assert_eq!(claims["orcid"], "https://orcid.org/0000-0002-1825-0097");
    assert_eq!(claims["name"], "Josiah \"J\" Carberry\r\n🎓");
    assert_eq!(claims["given_name"], "Josiah");
    assert!(claims.get("family_name").is_none());
    assert_eq!(claims["scopes"], serde_json::json!(["/read-limited", "openid"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), LONGEST);
    assert!(verify(&jwks, "wiki", &token, UnixTime(NOW.0 + LONGEST)).is_err());
    assert!(token.is_sensitive());
}

#[test]
fn t18_it_never_outlives_the_session() {
    let assertions = assertions(&[old_key()]);
    let mut identity = identity();
    identity.session_expires = UnixTime(NOW.0 + 10);
    let token = assertions.header_for(&[7; 32], &site("wiki"), "wiki", &Arc::new(identity), NOW).unwrap();
    let claims = verify(&assertions.jwks(NOW), "wiki", &token, NOW).unwrap();
    assert_eq!(claims["exp"].as_i64(), Some(NOW.0 + 10));
}

#[test]
fn f14_beyond_the_end_of_a_session_it_holds_only_as_far_as_the_grace() {
    let identity = Arc::new(Identity { session_expires: NOW, ..identity() });
    for (grace, at, lifetime) in [
        (0, -10, 10),
        (0, 0, 0),
        (0, 500, -500),
        (3600, -10, 10),
        (3600, 0, LONGEST),
        (3600, 3600 - LONGEST, LONGEST),
        (3600, 3590, 10),
        (3600, 3600, 0),
    ] {
        let assertions = assertions_with(&[old_key()], Duration::from_secs(grace));
        let now = UnixTime(NOW.0 + at);
        let token = assertions.header_for(&[7; 32], &site("wiki"), "wiki", &identity, now).unwrap();
        let claims = verify(&assertions.jwks(now), "wiki", &token, UnixTime(i64::MIN)).unwrap();
        assert_eq!(claims["exp"].as_i64().unwrap() - now.0, lifetime, "{at} s past the end, {grace} s of grace");
    }
}

#[test]
fn f14_one_that_was_to_end_with_the_session_is_not_shown_again_when_that_lives_on() {
    let assertions = assertions_with(&[old_key()], Duration::from_secs(3600));
    // The end lies in the middle of a minute.
    let end = UnixTime(NOW.0 - NOW.0.rem_euclid(60) + 30);
    let identity = Arc::new(Identity { session_expires: end, ..identity() });
    let at = |seconds: i64| UnixTime(end.0 + seconds);
    let ask = |now| assertions.header_for(&[7; 32], &site("wiki"), "wiki", &identity, now).unwrap();
    let before = ask(at(-20));
    assert_eq!(before, ask(at(-1)));
    let after = ask(at(0));
    assert_ne!(before, after);
    verify(&assertions.jwks(NOW), "wiki", &after, at(200)).unwrap();
    assert_eq!(after, ask(at(29)), "and is signed once a minute as ever");
}

#[test]
fn it_is_signed_once_per_session_site_and_minute() {
    let assertions = assertions(&[old_key()]);
    let identity = Arc::new(identity());
    let ask = |session: u8, name: &str, audience: &str, who: &Arc<Identity>, seconds: i64| {
        assertions.header_for(&[session; 32], &site(name), audience, who, UnixTime(NOW.0 + seconds)).unwrap()
    };
    let start = NOW.0.rem_euclid(60);
    let first = ask(1, "wiki", "wiki", &identity, -start);
    assert_eq!(first, ask(1, "wiki", "wiki", &identity, 59 - start));
    assert_eq!(first, ask(1, "wiki", "wiki", &Arc::new((*identity).clone()), 59 - start));
    let mut wider = (*identity).clone();
    wider.scopes = "openid /activities/update".parse().unwrap();
    assert_ne!(first, ask(1, "wiki", "wiki", &Arc::new(wider), 59 - start), "a step-up shows at once");
    assert_ne!(first, ask(1, "wiki", "wiki", &identity, 60 - start));
    assert_ne!(first, ask(2, "wiki", "wiki", &identity, -start));
    assert_ne!(first, ask(1, "library", "wiki", &identity, -start));
    assert_ne!(first, ask(1, "wiki", "other", &identity, -start));
}

#[test]
fn the_session_claim_binds_to_session_and_site() {
    let binding = [9; 32];
    let here = claims::session_id(&binding, &site("wiki"));
    assert_eq!(here, claims::session_id(&binding, &site("wiki")));
    assert_ne!(here, claims::session_id(&binding, &site("library")));
    assert_ne!(here, claims::session_id(&[8; 32], &site("wiki")));
}

#[test]
fn a_rotation_overlaps() {
    let old = old_key();
    let next = generate_key(NOW).unwrap();
    let before = assertions(std::slice::from_ref(&old));
    let token = before.header_for(&[1; 32], &site("wiki"), "wiki", &Arc::new(identity()), NOW).unwrap();

    let rotated = assertions(&[old.clone(), next.clone()]);
    let published = rotated.jwks(NOW);
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    verify(&published, "wiki", &token, NOW).unwrap();
    let kid = |value: &HeaderValue| decode_header(value.to_str().unwrap()).unwrap().kid.unwrap();
    let sign = |seconds: i64| {
        rotated.header_for(&[1; 32], &site("wiki"), "wiki", &Arc::new(identity()), UnixTime(NOW.0 + seconds)).unwrap()
    };
    assert_eq!(kid(&sign(0)), old.kid, "the next key is published before it signs");
    assert_eq!(kid(&sign(3600)), next.kid);

    let retired = KeyMaterial { retire_at: Some(NOW), ..old };
    let after = assertions(&[retired, next]);
    assert!(verify(&after.jwks(NOW), "wiki", &token, NOW).is_err(), "a retired key verifies nothing");
}

#[test]
fn rotation_is_planned() {
    let at = |age: Duration, retire: Option<i64>| {
        let created = UnixTime(NOW.0 - i64::try_from(age.as_secs()).unwrap());
        KeyMaterial { retire_at: retire.map(|s| UnixTime(NOW.0 + s)), ..generate_key(created).unwrap() }
    };
    use std::time::Duration;
    let days = |n: u64| Duration::from_secs(n * 86_400);
    assert!(plan_rotation(&[], NOW, MONTH).make);
    let young = at(days(1), None);
    assert_eq!(plan_rotation(&[young], NOW, MONTH), Rotation { make: false, retire: vec![], drop: vec![] });
    assert!(plan_rotation(&[at(days(30), None)], NOW, MONTH).make);
    let (old, next) = (at(days(30), None), at(Duration::from_secs(60), None));
    assert_eq!(plan_rotation(&[old.clone(), next], NOW, MONTH), Rotation { make: false, retire: vec![], drop: vec![] });
    let next = at(Duration::from_secs(3600), None);
    let plan = plan_rotation(&[old.clone(), next], NOW, MONTH);
    assert_eq!(plan.retire, vec![(old.kid.clone(), NOW.plus(keys::VERIFIES_AFTER))]);
    let gone = at(days(40), Some(0));
    assert_eq!(plan_rotation(std::slice::from_ref(&gone), NOW, MONTH).drop, vec![gone.kid.clone()]);
}

#[test]
fn a_flood_of_sessions_does_not_grow_the_cache() {
    let cache = Cache::default();
    let identity = Arc::new(identity());
    let name = site("wiki");
    for n in 0u32..40_000 {
        let mut session = [0u8; 32];
        session[0] = n as u8;
        session[1..5].copy_from_slice(&n.to_be_bytes());
        let place = Place { session: &session, site: &name, audience: "wiki", identity: &identity, now: NOW };
        cache.put(&place, UnixTime(NOW.0 + 60), HeaderValue::from_static("x"));
    }
    assert!(cache.len() <= 16 * 1024);
}

#[test]
fn keys_that_are_none_are_refused() {
    assert_eq!(AssertionKeys::new(&[]).unwrap_err(), AssertionFault::NoKey);
    let broken = KeyMaterial { pkcs8: zeroize::Zeroizing::new(vec![1, 2, 3]), ..old_key() };
    assert_eq!(AssertionKeys::new(&[broken]).unwrap_err(), AssertionFault::BadKey);
}
