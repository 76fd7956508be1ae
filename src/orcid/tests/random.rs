//! Foreign bytes at random: no document and no token makes the readers panic, and no changed token
//! is believed.

use super::super::claims::Watch;
use super::super::endpoints::Endpoints;
use super::super::id_token::{self, Expected};
use super::super::jwks::KeySet;
use super::super::settings::SigningAlgorithm;
use super::super::signed_token::{SignedToken, TokenKind};
use super::provider::KEY;
use super::*;
use crate::domain::UnixTime;
use proptest::prelude::*;
use serde_json::json;

const BOTH: [SigningAlgorithm; 2] = [SigningAlgorithm::Rs256, SigningAlgorithm::Es256];

fn expected() -> Expected<'static> {
    Expected {
        issuer: "https://op.example",
        client_id: CLIENT,
        nonce: None,
        signed_in_since: None,
        access_token: ACCESS,
        watch: Watch { now: UnixTime(NOW), leeway: Duration::from_secs(60) },
        subject_claim: None,
    }
}

fn read(text: &str) -> Result<SignedToken<'_>, Check> {
    SignedToken::read(text, &BOTH, TokenKind::Id)
}

fn good_token() -> String {
    let claims = json!({"iss": "https://op.example", "sub": "x", "aud": CLIENT, "exp": NOW + 60, "iat": NOW});
    KEY.token(&json!({"alg": "RS256", "kid": "one"}), &claims)
}

fn offline() -> ProviderSettings {
    ProviderSettings {
        name: "other".parse().unwrap(),
        environment: Environment::Other,
        membership: Membership::Member,
        client_id: CLIENT.to_owned(),
        client_secret: ClientSecret::new(SECRET),
        issuer: "https://op.example".to_owned(),
        authentication: ClientAuthentication::Auto,
        algorithms: BOTH.to_vec(),
        redirect_uri: "https://gate.example/cb".to_owned(),
        base_scope: Scope::openid(),
        foreign_subjects: true,
        subject_claim: None,
        extra_scopes: ScopeSet::default(),
        offer_sign_out: true,
        title: None,
        show_login: true,
        renew: false,
        userinfo: false,
        cache_file: None,
        ca_file: None,
        leeway: Duration::from_secs(60),
        timeouts: Timeouts::default(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_text_is_no_token(text in "[A-Za-z0-9_.{}\":,-]{0,200}") {
        if let Ok(token) = read(&text) {
            prop_assert!(id_token::claims(&token, &expected()).is_err());
        }
    }

    #[test]
    fn a_token_changed_in_one_place_is_not_believed(at in 0usize..10_000, to in "[A-Za-z0-9_.-]") {
        let keys = KeySet::read(json!({"keys": [KEY.jwk("one")]}).to_string().as_bytes(), &BOTH).unwrap();
        let good = good_token();
        let at = at % good.len();
        let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
        let believed = |text: &str| {
            let token = read(text);
            token.is_ok_and(|token| token.verify(&keys).is_ok() && id_token::claims(&token, &expected()).is_ok())
        };
        prop_assert!(believed(&good));
        prop_assert_eq!(believed(&changed), changed == good);
    }

    #[test]
    fn t95_random_claims_are_no_word_of_a_sign_out(claims in "[a-z0-9{}\\[\\]\":, ]{0,120}") {
        let provider = Provider::new(offline(), Arc::new(StoppedClock::at(NOW))).unwrap();
        let payload = provider::base64url(format!("{{\"iss\":\"https://op.example\",\"aud\":\"{CLIENT}\",{claims}}}"));
        let text = format!("{}.{payload}.AAAA", provider::base64url(r#"{"alg":"RS256"}"#));
        let token = SignedToken::read(&text, &BOTH, TokenKind::Logout).unwrap();
        prop_assert!(provider.claimed(&token).is_err());
    }

    #[test]
    fn random_documents_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(KeySet::read(&bytes, &BOTH).is_err());
        prop_assert!(Endpoints::read(&bytes, &offline()).is_err());
    }

    #[test]
    fn random_keys_are_left_out_or_say_no(n in "[A-Za-z0-9_-]{0,400}", e in "[A-Za-z0-9_-]{0,12}") {
        let set = json!({"keys": [{"kty": "RSA", "n": n, "e": e}, {"kty": "EC", "crv": "P-256", "x": n, "y": e}]});
        if let Ok(keys) = KeySet::read(set.to_string().as_bytes(), &BOTH) {
            let good = good_token();
            prop_assert!(read(&good).unwrap().verify(&keys).is_err());
        }
    }
}
