//! Providers that are no ORCID: what real ones publish and send, and what is made of it.

use super::provider::{ALICE, BOB, EC_KEY, KEY, NEXT_KEY, Reply};
use super::*;
use serde_json::{Value, json};

const DOCUMENT: &str = "/.well-known/openid-configuration";

fn foreign(provider: &FakeProvider) -> ProviderSettings {
    ProviderSettings { foreign_subjects: true, ..other(provider) }
}

/// An ID token of this person, whatever the provider calls them.
fn sign_in_as(provider: &FakeProvider, change: &Value) {
    let mut claims = provider.claims();
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    provider.answer_with(KEY.token(&provider.header(), &claims));
}

/// Serves the document as changed; `null` takes a member out.
fn publish(provider: &FakeProvider, change: &Value) {
    let mut document = provider.discovery();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(document.as_object_mut().unwrap().remove(name)),
            value => document[name] = value.clone(),
        }
    }
    provider.set(DOCUMENT, Reply::json(&document));
}

#[tokio::test]
async fn documents_of_all_makes_are_read() {
    let provider = FakeProvider::start().await;
    sign_in_as(&provider, &json!({"sub": "alice"}));
    let bait = format!("{}/bait", provider.base);
    for (what, change) in [
        ("no authentication methods", json!({"token_endpoint_auth_methods_supported": null})),
        ("no userinfo", json!({"userinfo_endpoint": null})),
        (
            "no subject types, no algorithms",
            json!({"subject_types_supported": null, "id_token_signing_alg_values_supported": null}),
        ),
        ("response modes", json!({"response_modes_supported": ["form_post", "fragment", "query", "jwt", "query.jwt"]})),
        ("hybrid flows first", json!({"response_types_supported": ["code id_token token", "none", "code"]})),
        ("mutual TLS aliases", json!({"mtls_endpoint_aliases": {"token_endpoint": bait, "userinfo_endpoint": bait}})),
        (
            "members of a wrong type",
            json!({"claims_supported": "all", "acr_values_supported": 7, "op_policy_uri": "", "service_documentation": "see below", "registration_endpoint": false}),
        ),
        (
            "strange algorithms",
            json!({"id_token_signing_alg_values_supported": ["ML-DSA-44", "Ed25519", "RS256"], "token_endpoint_auth_methods_supported": ["tls_client_auth", "client_secret_basic"]}),
        ),
        (
            "session management",
            json!({"check_session_iframe": bait, "frontchannel_logout_supported": true, "backchannel_logout_supported": true, "backchannel_logout_session_supported": true}),
        ),
        (
            "pushed requests",
            json!({"pushed_authorization_request_endpoint": bait, "require_pushed_authorization_requests": false}),
        ),
    ] {
        publish(&provider, &change);
        let outcome = exchange(&client(foreign(&provider))).await;
        assert_eq!(outcome.err(), None, "{what}");
    }
    assert!(provider.seen("/bait").is_empty(), "D6: aliases are for clients with certificates");
}

#[tokio::test]
async fn a_secret_nobody_takes_is_said_at_once() {
    let provider = FakeProvider::start().await;
    publish(&provider, &json!({"token_endpoint_auth_methods_supported": ["private_key_jwt", "tls_client_auth"]}));
    let refused = Some(OrcidTrouble::Metadata(BadMetadata::NoClientSecret));
    assert_eq!(exchange(&client(foreign(&provider))).await.err(), refused);
    // Who knows better may say so.
    sign_in_as(&provider, &json!({"sub": "alice"}));
    let sure = ProviderSettings { authentication: ClientAuthentication::Basic, ..foreign(&provider) };
    exchange(&client(sure)).await.unwrap();
}

#[tokio::test]
async fn an_issuer_may_have_a_path_with_and_without_a_slash() {
    for (path, document) in [
        ("/realms/campus", "/realms/campus/.well-known/openid-configuration"),
        ("/application/o/gate/", "/application/o/gate/.well-known/openid-configuration"),
        ("/", "/.well-known/openid-configuration"),
    ] {
        let provider = FakeProvider::start().await;
        let issuer = format!("{}{path}", provider.base);
        let mut published = provider.discovery();
        published["issuer"] = json!(issuer);
        provider.set(DOCUMENT, Reply::new(404, "text/html", ""));
        provider.set(document, Reply::json(&published));
        sign_in_as(&provider, &json!({"sub": "alice", "iss": issuer}));
        let at_home = ProviderSettings { issuer: issuer.clone(), ..foreign(&provider) };
        exchange(&client(at_home)).await.unwrap();
        // T50: with a slash more or less it is somebody else.
        let other = match issuer.strip_suffix('/') {
            Some(bare) => bare.to_owned(),
            None => format!("{issuer}/"),
        };
        let elsewhere = ProviderSettings { issuer: other, ..foreign(&provider) };
        assert_eq!(exchange(&client(elsewhere)).await.err(), Some(OrcidTrouble::Metadata(BadMetadata::Issuer)));
    }
}

#[tokio::test]
async fn id_and_secret_are_encoded_before_they_become_basic_credentials() {
    // RFC 6749 §2.3.1 and appendix B: as in a form, then joined by the colon.
    let provider = FakeProvider::start().await;
    let secret = "p+q r/s=t%25&u:v\u{fc}\"\\~";
    let settings = ProviderSettings {
        client_id: "https://gate.example/a:b?c".to_owned(),
        client_secret: ClientSecret::new(secret),
        authentication: ClientAuthentication::Basic,
        ..foreign(&provider)
    };
    let mut claims = provider.claims();
    (claims["sub"], claims["aud"]) = (json!("alice"), json!("https://gate.example/a:b?c"));
    provider.answer_with(KEY.token(&provider.header(), &claims));
    exchange(&client(settings)).await.unwrap();
    let head = provider.seen("/oauth/token").pop().unwrap().head;
    let sent = head.lines().find_map(|line| line.strip_prefix("authorization: Basic ")).unwrap();
    let sent = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, sent).unwrap();
    let sent = String::from_utf8(sent).unwrap();
    let expected = "https%3A%2F%2Fgate.example%2Fa%3Ab%3Fc:p%2Bq+r%2Fs%3Dt%2525%26u%3Av%C3%BC%22%5C%7E";
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn token_responses_of_all_makes_are_read() {
    let provider = FakeProvider::start().await;
    let mut claims = provider.claims();
    claims["sub"] = json!("alice");
    let id_token = KEY.token(&provider.header(), &claims);
    for (what, change, lifetime) in [
        ("no lifetime", json!({"expires_in": null}), None),
        ("a lifetime as text", json!({"expires_in": "3600"}), Some(3600)),
        ("a lifetime with a fraction", json!({"expires_in": 3599.7}), Some(3599)),
        ("nothing granted by name", json!({"scope": null}), Some(60)),
        ("BEARER", json!({"token_type": "BEARER"}), Some(60)),
        ("no refresh token", json!({"refresh_token": null}), Some(60)),
        ("extras", json!({"not_before_policy": 0, "session_state": "x", "refresh_expires_in": 1800}), Some(60)),
        ("an orcid of its own", json!({"orcid": {"id": 1}}), Some(60)),
    ] {
        let mut tokens = provider.tokens();
        (tokens["expires_in"], tokens["id_token"]) = (json!(60), json!(id_token));
        tokens.as_object_mut().unwrap().remove("orcid");
        tokens.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        provider.set("/oauth/token", Reply::json(&tokens));
        match exchange(&client(foreign(&provider))).await {
            Ok(grant) => assert_eq!(grant.expires.map(|at| at.0 - NOW), lifetime, "{what}"),
            Err(trouble) => panic!("{what}: {trouble}"),
        }
    }
    for no_lifetime in [json!(-5), json!("soon"), json!(1e300), json!([])] {
        let mut tokens = provider.tokens();
        (tokens["expires_in"], tokens["id_token"]) = (no_lifetime.clone(), json!(id_token));
        provider.set("/oauth/token", Reply::json(&tokens));
        let unusable = OrcidTrouble::Unusable { endpoint: Endpoint::Token, defect: Defect::Malformed };
        assert_eq!(exchange(&client(foreign(&provider))).await.err(), Some(unusable), "{no_lifetime}");
    }
}

#[tokio::test]
async fn key_sets_of_all_makes_are_read() {
    let provider = FakeProvider::start().await;
    let crowd = json!([
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "alg": "EdDSA", "use": "sig", "kid": "ed"},
        {"kty": "OKP", "crv": "Ed448", "x": "AAAA", "kid": "ed448"},
        {"kty": "OKP", "crv": "X25519", "x": "3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08", "use": "enc", "alg": "ECDH-ES", "kid": "x"},
        {"kty": "EC", "crv": "P-521", "x": "AAAA", "y": "AAAA", "alg": "ES512", "kid": "p521"},
        {"kty": "EC", "crv": "secp256k1", "x": "AAAA", "y": "AAAA", "alg": "ES256K", "kid": "k1"},
        {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "pq"},
        {"kty": "oct", "kid": "no-secret"},
        {"kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "kid": "enc", "e": "AQAB", "n": NEXT_KEY.n},
        {"kty": "RSA", "alg": "PS256", "use": "sig", "kid": "ps", "e": "AQAB", "n": NEXT_KEY.n},
        {"kid": "typeless"}, "a text", null,
    ]);
    let among = |key: Value| {
        let mut keys = crowd.as_array().unwrap().clone();
        keys.push(key);
        Reply::json(&json!({"keys": keys}))
    };
    let mut rsa = KEY.jwk("one");
    rsa.as_object_mut().unwrap().extend(
        json!({"alg": "RS256", "key_ops": ["verify"], "x5c": ["MIIB"], "x5t": "AAAA", "x5t#S256": "BBBB", "x5u": "https://op.example/x", "nbf": 1, "iat": 2})
            .as_object()
            .unwrap()
            .clone(),
    );
    let mut claims = provider.claims();
    claims["sub"] = json!("alice");
    let both = vec![SigningAlgorithm::Rs256, SigningAlgorithm::Es256];
    let es256 = json!({"kid": "ec", "alg": "ES256", "typ": "JWT"});
    for (key, token, algorithms, fine) in [
        (rsa.clone(), KEY.token(&provider.header(), &claims), vec![SigningAlgorithm::Rs256], true),
        (EC_KEY.jwk("ec"), EC_KEY.token(&es256, &claims), vec![SigningAlgorithm::Es256], true),
        (EC_KEY.jwk("ec"), EC_KEY.token(&es256, &claims), both.clone(), true),
        (EC_KEY.jwk("ec"), EC_KEY.token(&es256, &claims), vec![SigningAlgorithm::Rs256], false),
        (rsa, KEY.token(&provider.header(), &claims), vec![SigningAlgorithm::Es256], false),
    ] {
        provider.set("/oauth/jwks", among(key));
        provider.answer_with(token);
        let outcome = exchange(&client(ProviderSettings { algorithms, ..foreign(&provider) })).await;
        assert_eq!(outcome.is_ok(), fine, "{outcome:?}");
    }
}

#[tokio::test]
async fn names_are_made_of_what_there_is_but_never_of_a_chosen_one() {
    let provider = FakeProvider::start().await;
    let nameless = json!({"given_name": null, "family_name": null, "preferred_username": "root", "nickname": "Al"});
    for (claims, name) in [
        (json!({"name": "Alice B. Example"}), Some("Alice B. Example")),
        (json!({}), Some("Alice Example")),
        (json!({"family_name": null}), Some("Alice")),
        (nameless.clone(), None),
    ] {
        let mut sent = provider.claims();
        sent["sub"] = json!("alice");
        sent.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let mut tokens = provider.tokens();
        tokens["id_token"] = json!(KEY.token(&provider.header(), &sent));
        tokens.as_object_mut().unwrap().remove("name");
        provider.set("/oauth/token", Reply::json(&tokens));
        let grant = exchange(&client(foreign(&provider))).await.unwrap();
        assert_eq!(grant.name.as_deref(), name, "{claims}");
    }
    // At ORCID the parts may be public while the name is not.
    let mut tokens = provider.tokens();
    tokens.as_object_mut().unwrap().remove("name");
    provider.set("/oauth/token", Reply::json(&tokens));
    assert_eq!(exchange(&client(settings(&provider))).await.unwrap().name, None);
}

#[tokio::test]
async fn the_id_may_stand_in_a_claim_of_its_own() {
    let provider = FakeProvider::start().await;
    let named = |claim: &str| ProviderSettings { subject_claim: Some(claim.to_owned()), ..other(&provider) };
    let (fine, wrong, missing) = (None, Some(Check::Subject), Some(Check::SubjectClaim));
    for (what, change, expected) in [
        ("bare", json!({"orcid": ALICE}), fine),
        ("an address", json!({"orcid": format!("https://orcid.org/{ALICE}")}), fine),
        ("an old address", json!({"orcid": format!("http://orcid.org/{ALICE}")}), fine),
        ("a list of one", json!({"orcid": [ALICE]}), fine),
        ("a list of two", json!({"orcid": [ALICE, BOB]}), missing),
        ("the same twice", json!({"orcid": [ALICE, ALICE]}), missing),
        ("an empty list", json!({"orcid": []}), missing),
        ("none", json!({}), missing),
        ("null", json!({"orcid": null}), missing),
        ("a number", json!({"orcid": 9}), missing),
        ("mistyped", json!({"orcid": "0009-9999-9999-9993"}), wrong),
        ("without hyphens", json!({"orcid": "0009999999999992"}), wrong),
        ("of the sandbox", json!({"orcid": format!("https://sandbox.orcid.org/{ALICE}")}), wrong),
        ("elsewhere", json!({"orcid": format!("https://evil.example/{ALICE}")}), wrong),
        ("no iD", json!({"orcid": "alice"}), wrong),
        ("empty", json!({"orcid": ""}), wrong),
        ("a subject that is none", json!({"orcid": ALICE, "sub": ""}), wrong),
    ] {
        let mut claims = provider.claims();
        claims["sub"] = json!("f:1b5:alice");
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        provider.answer_with(KEY.token(&provider.header(), &claims));
        // The token response's own `orcid`, Alice's in every row, is signed by nobody and counts for nothing.
        match exchange(&client(named("orcid"))).await {
            Ok(grant) => {
                assert_eq!((expected, grant.subject.as_str()), (fine, ALICE), "{what}");
                // What the provider will call them when they sign out there.
                assert_eq!(grant.at_provider.unwrap().subject, "f:1b5:alice");
            }
            Err(trouble) => assert_eq!(trouble.lie(), expected, "{what}"),
        }
    }
    // The very claim that was named, and no other.
    sign_in_as(&provider, &json!({"sub": ALICE, "orcid": ALICE}));
    assert_eq!(exchange(&client(named("eduPersonOrcid"))).await.err(), Some(OrcidTrouble::Lied(Check::SubjectClaim)));
    // Userinfo speaks of the person by `sub`.
    sign_in_as(&provider, &json!({"sub": "alice", "eduPersonOrcid": format!("http://orcid.org/{ALICE}")}));
    for (sub, fine) in [("alice", true), (ALICE, false), ("Alice", false)] {
        provider.set("/oauth/userinfo", Reply::json(&json!({"sub": sub})));
        let outcome = exchange(&client(ProviderSettings { userinfo: true, ..named("eduPersonOrcid") })).await;
        assert_eq!(outcome.is_ok(), fine, "{sub}");
    }
}

#[tokio::test]
async fn extra_scopes_are_asked_for_every_time() {
    let provider = FakeProvider::start().await;
    let settings = ProviderSettings { extra_scopes: scopes("profile email"), ..foreign(&provider) };
    let client = client(settings);
    for (asked, sent) in [("", "openid email profile"), ("deposit profile", "openid deposit email profile")] {
        let request = AuthorizationRequest {
            scopes: scopes(asked),
            state: STATE,
            nonce: NONCE,
            pkce_verifier: VERIFIER,
            prompt_login: false,
            lang: None,
            hint: None,
        };
        let url = url::Url::parse(&client.authorization_url(&request).await.unwrap()).unwrap();
        let scope = url.query_pairs().find(|(name, _)| name == "scope").unwrap().1.into_owned();
        assert_eq!(scope, sent);
    }
    // Granted is what the provider says, or what was really asked.
    sign_in_as(&provider, &json!({"sub": "alice"}));
    let mut tokens = provider.tokens();
    tokens.as_object_mut().unwrap().remove("scope");
    let mut claims = provider.claims();
    claims["sub"] = json!("alice");
    tokens["id_token"] = json!(KEY.token(&provider.header(), &claims));
    provider.set("/oauth/token", Reply::json(&tokens));
    assert_eq!(exchange(&client).await.unwrap().scopes, scopes("openid email profile /read-limited"));
}

#[tokio::test]
async fn d6_userinfo_may_come_as_a_signed_token() {
    let provider = FakeProvider::start().await;
    sign_in_as(&provider, &json!({"sub": "alice", "given_name": null, "family_name": null}));
    let client = client(ProviderSettings { userinfo: true, ..foreign(&provider) });
    let who = |change: Value| {
        let mut claims = json!({"sub": "alice", "iss": provider.base, "aud": CLIENT, "family_name": "Signed"});
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    };
    let header = provider.header();
    let unsigned = format!("{}.", provider::message(&json!({"alg": "none"}), &who(json!({}))));
    let bare = json!({"sub": "alice", "family_name": "Signed"});
    for (what, token, expected) in [
        ("signed", KEY.token(&header, &who(json!({}))), None),
        ("without issuer and audience", KEY.token(&header, &bare), None),
        ("for us among others", KEY.token(&header, &who(json!({"aud": ["x", CLIENT]}))), None),
        ("of another issuer", KEY.token(&header, &who(json!({"iss": "https://evil.example"}))), Some(Check::Issuer)),
        ("for another", KEY.token(&header, &who(json!({"aud": "x"}))), Some(Check::Audience)),
        ("about another", KEY.token(&header, &who(json!({"sub": "bob"}))), Some(Check::SubjectsDisagree)),
        ("another's key", NEXT_KEY.token(&header, &who(json!({}))), Some(Check::Signature)),
        ("unsigned", unsigned, Some(Check::Algorithm)),
    ] {
        provider.set("/oauth/userinfo", Reply::new(200, "application/jwt; charset=utf-8", token));
        match exchange(&client).await {
            Ok(grant) => assert_eq!((expected, grant.family_name.as_deref()), (None, Some("Signed")), "{what}"),
            Err(trouble) => assert_eq!(trouble.lie(), expected, "{what}"),
        }
    }
}

#[tokio::test]
async fn d6_claims_that_lie_elsewhere_are_left_there() {
    let provider = FakeProvider::start().await;
    let bait = format!("{}/bait", provider.base);
    let elsewhere = json!({
        "_claim_names": {"name": "src1", "orcid": "src2"},
        "_claim_sources": {"src1": {"endpoint": bait, "access_token": "x"}, "src2": {"JWT": "a.b.c"}},
    });
    let mut claims = elsewhere.clone();
    (claims["sub"], claims["given_name"]) = (json!("alice"), json!("Alice"));
    sign_in_as(&provider, &claims);
    let mut userinfo = elsewhere;
    userinfo["sub"] = json!("alice");
    provider.set("/oauth/userinfo", Reply::json(&userinfo));
    let grant = exchange(&client(ProviderSettings { userinfo: true, ..foreign(&provider) })).await.unwrap();
    assert_eq!(grant.given_name.as_deref(), Some("Alice"));
    assert!(provider.seen("/bait").is_empty());
}

#[tokio::test]
async fn the_way_to_sign_out_there_holds_no_token() {
    let provider = FakeProvider::start().await;
    let back = "https://gate.example/.lychgate/sign-out/return";
    let known = async |settings: ProviderSettings| {
        let client = client(settings);
        assert_eq!(client.sign_out_url(back, STATE), None, "signing out waits for nobody");
        // A sign-in makes the provider known, however it ends.
        let _ = exchange(&client).await;
        client.sign_out_url(back, STATE)
    };
    assert_eq!(known(other(&provider)).await, None, "it has no such address");
    publish(&provider, &json!({"end_session_endpoint": format!("{}/bye?realm=campus", provider.base)}));
    let url = known(other(&provider)).await.unwrap();
    let url = url::Url::parse(&url).unwrap();
    let sent: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let expected = [("realm", "campus"), ("client_id", CLIENT), ("post_logout_redirect_uri", back), ("state", STATE)];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!((url.path(), url.as_str().contains("eyJ")), ("/bye", false));
    assert_eq!(known(ProviderSettings { offer_sign_out: false, ..other(&provider) }).await, None);
    assert_eq!(known(settings(&provider)).await, None, "an ORCID has none, whatever its document says");
    for (address, defect) in [
        ("http://op.example/bye", BadMetadata::Insecure),
        ("javascript:alert(1)", BadMetadata::Insecure),
        ("https://a@op.example/bye", BadMetadata::Address),
        ("nowhere", BadMetadata::Address),
    ] {
        publish(&provider, &json!({"end_session_endpoint": address}));
        let outcome = exchange(&client(other(&provider))).await;
        assert_eq!(outcome.err(), Some(OrcidTrouble::Metadata(defect)), "{address}");
    }
}

#[tokio::test]
async fn d4_refresh_tokens_may_rotate() {
    let provider = FakeProvider::start().await;
    let client = client(foreign(&provider));
    let holder = Subject::Foreign("alice".to_owned());
    for next in [json!("4ef4e5-the-next-one"), json!(null)] {
        let mut tokens = provider.tokens();
        tokens.as_object_mut().unwrap().remove("id_token");
        tokens["refresh_token"] = next.clone();
        provider.set("/oauth/token", Reply::json(&tokens));
        let pair = client.refresh(&RefreshToken::new(REFRESH), None, &holder).await.unwrap();
        assert_eq!(pair.refresh_token.map(|token| token.expose().to_owned()).as_deref(), next.as_str());
    }
}
