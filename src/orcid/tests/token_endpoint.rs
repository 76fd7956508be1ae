//! Every way the token endpoint can answer (T44, T45, T55, T94; `orcid.md` §3), and userinfo.

use super::provider::{ALICE, BOB, KEY, Reply};
use super::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const TOKEN: Endpoint = Endpoint::Token;

fn unusable(defect: Defect) -> OrcidTrouble {
    OrcidTrouble::Unusable { endpoint: TOKEN, defect }
}

#[tokio::test]
async fn t44_answers_that_are_no_answers() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let away = format!("{}/elsewhere", provider.base);
    let good = provider.tokens().to_string();
    for (what, reply, expected) in [
        (
            "302",
            Reply::new(302, "text/html", "").with("Location", &away),
            OrcidTrouble::Redirected { endpoint: TOKEN, status: 302 },
        ),
        (
            "307",
            Reply::new(307, "text/html", "").with("Location", &away),
            OrcidTrouble::Redirected { endpoint: TOKEN, status: 307 },
        ),
        ("500", Reply::new(500, "text/html", "leak"), OrcidTrouble::Unavailable { endpoint: TOKEN, status: 500 }),
        ("503", Reply::new(503, "text/html", "leak"), OrcidTrouble::Unavailable { endpoint: TOKEN, status: 503 }),
        ("429", Reply::new(429, "text/html", "leak"), OrcidTrouble::Unavailable { endpoint: TOKEN, status: 429 }),
        ("html with 200", Reply::new(200, "text/html", "<html>leak</html>"), unusable(Defect::ContentType)),
        ("json called text", Reply::new(200, "text/plain", good.clone()), unusable(Defect::ContentType)),
        ("json called jsonp", Reply::new(200, "application/jsonp", good.clone()), unusable(Defect::ContentType)),
        ("no json", Reply::new(200, "application/json", "access_token=leak"), unusable(Defect::Malformed)),
        ("an empty body", Reply::new(200, "application/json", ""), unusable(Defect::Malformed)),
        ("a list", Reply::json(&json!(["leak"])), unusable(Defect::Malformed)),
        ("201", Reply::new(201, "application/json", good.clone()), unusable(Defect::Malformed)),
        ("two megabytes", Reply::new(200, "application/json", " ".repeat(2_000_000)), unusable(Defect::TooLarge)),
        ("hung up", Reply { hang_up: true, ..Reply::new(200, "", "") }, OrcidTrouble::Unreachable(TOKEN)),
    ] {
        provider.set("/oauth/token", reply);
        let before = provider.seen("/oauth/token").len();
        assert_eq!(exchange(&client).await.err(), Some(expected), "{what}");
        assert_eq!(provider.seen("/oauth/token").len(), before + 1, "{what}: the code is sent once");
    }
    assert!(provider.seen("/elsewhere").is_empty());
}

#[tokio::test]
async fn t44_a_dripped_answer_ends_with_the_total_time() {
    let provider = FakeProvider::start().await;
    let timeouts = Timeouts { connect: Duration::from_millis(200), total: Duration::from_millis(400) };
    let client = client(ProviderSettings { timeouts, ..settings(&provider) });
    let drip = Some(Duration::from_millis(20));
    provider.set("/oauth/token", Reply { drip, ..Reply::json(&provider.tokens()) });
    let trouble = exchange(&client).await.unwrap_err();
    assert_eq!(trouble, OrcidTrouble::TimedOut(TOKEN));
    assert!(trouble.is_outage());
}

/// A TLS server on loopback with a certificate for `name`, which answers 404; its issuer and its root.
async fn tls_provider(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 1024];
                let _some = stream.read(&mut request).await;
                let _sent = stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").await;
                let _closed = stream.shutdown().await;
            });
        }
    });
    (issuer, made.cert.pem())
}

#[tokio::test]
async fn t44_only_a_certificate_for_the_right_host_from_a_known_authority_will_do() {
    let provider = FakeProvider::start().await;
    let (right_host, its_root) = tls_provider("localhost").await;
    let (wrong_host, wrong_hosts_root) = tls_provider("elsewhere.example").await;
    let discovery = Endpoint::Discovery;
    for (issuer, root, expected) in [
        (&right_host, &its_root, OrcidTrouble::Refused { endpoint: discovery, status: 404, error: "other" }),
        (&wrong_host, &wrong_hosts_root, OrcidTrouble::Certificate(discovery)),
        (&right_host, &wrong_hosts_root, OrcidTrouble::Certificate(discovery)),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), root).unwrap();
        let ca_file = Some(file.path().to_owned());
        let client = client(ProviderSettings { issuer: issuer.clone(), ca_file, ..settings(&provider) });
        assert_eq!(exchange(&client).await.err(), Some(expected), "{issuer}");
    }
}

#[tokio::test]
async fn refusals_tell_our_registration_from_a_stale_code() {
    let provider = FakeProvider::start().await;
    let orcid = client(settings(&provider));
    let foreign = client(other(&provider));
    let say =
        |error: &str| json!({"error_description": "Invalid authorization code: c0de-eUeiz2 leak", "error": error});
    for (status, error, at_orcid, elsewhere) in [
        (401, "invalid_client", Blame::Registration, Blame::Registration),
        (400, "invalid_client", Blame::Registration, Blame::Registration),
        (401, "invalid_request", Blame::Registration, Blame::Registration),
        (400, "unauthorized_client", Blame::Registration, Blame::Registration),
        (400, "invalid_grant", Blame::Grant, Blame::Grant),
        (400, "invalid_request", Blame::Grant, Blame::Provider),
        (400, "invalid_scope", Blame::Provider, Blame::Provider),
        (400, "server_error", Blame::Outage, Blame::Outage),
        (401, "server_error", Blame::Outage, Blame::Outage),
        (400, "leak", Blame::Provider, Blame::Provider),
        (403, "leak", Blame::Provider, Blame::Provider),
    ] {
        provider.set("/oauth/token", Reply::new(status, "application/json", say(error).to_string()));
        for (client, blame) in [(&orcid, at_orcid), (&foreign, elsewhere)] {
            let trouble = exchange(client).await.unwrap_err();
            assert_eq!(trouble.blame(), blame, "{status} {error}: {trouble}");
        }
    }
    for reply in [Reply::new(401, "text/html", "<html>leak</html>"), Reply::new(401, "application/json", "")] {
        provider.set("/oauth/token", reply);
        assert!(exchange(&orcid).await.unwrap_err().is_client_refused());
    }
    provider.set("/oauth/token", Reply::new(400, "text/html", "<html>leak</html>"));
    assert_eq!(
        exchange(&orcid).await.unwrap_err(),
        OrcidTrouble::Refused { endpoint: TOKEN, status: 400, error: "other" }
    );
}

#[tokio::test]
async fn t45_t55_fields_that_are_missing_or_disagree() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    let lied = |check| Some(OrcidTrouble::Lied(check));
    let table: [(&str, Value, Option<OrcidTrouble>); 18] = [
        ("as it should be", json!({}), None),
        ("no id_token", json!({"id_token": null}), lied(Check::IdTokenMissing)),
        ("another orcid", json!({"orcid": BOB}), lied(Check::SubjectsDisagree)),
        ("orcid mistyped", json!({"orcid": "0009-9999-9999-9993"}), lied(Check::Subject)),
        ("orcid empty", json!({"orcid": ""}), lied(Check::Subject)),
        ("orcid an address", json!({"orcid": format!("https://orcid.org/{ALICE}")}), None),
        ("orcid a number", json!({"orcid": 5}), lied(Check::Subject)),
        ("Bearer in capitals", json!({"token_type": "BEARER"}), None),
        ("token_type MAC", json!({"token_type": "mac"}), Some(unusable(Defect::TokenType))),
        ("token_type N_A", json!({"token_type": "N_A"}), Some(unusable(Defect::TokenType))),
        ("token_type missing", json!({"token_type": null}), Some(unusable(Defect::Malformed))),
        ("access_token empty", json!({"access_token": ""}), Some(unusable(Defect::Malformed))),
        ("access_token with a newline", json!({"access_token": "leak\r\nX: y"}), Some(unusable(Defect::Malformed))),
        ("access_token missing", json!({"access_token": null}), Some(unusable(Defect::Malformed))),
        ("expires_in negative", json!({"expires_in": -1}), Some(unusable(Defect::Malformed))),
        ("expires_in huge", json!({"expires_in": u64::MAX}), None),
        ("another access token than signed", json!({"access_token": "other"}), lied(Check::AccessTokenHash)),
        ("unknown extras", json!({"raw_id_token": "leak", "x": [{"y": 1}]}), None),
    ];
    for (what, change, expected) in table {
        let mut tokens = provider.tokens();
        tokens.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        provider.set("/oauth/token", Reply::json(&tokens));
        assert_eq!(exchange(&client).await.err(), expected, "{what}");
    }
}

#[tokio::test]
async fn t94_what_was_granted_counts_not_what_was_asked() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    for (sent, granted) in [
        (json!("openid"), "openid"),
        (json!("/activities/update  openid /read-limited "), "openid /activities/update /read-limited"),
        (json!("/read-limited"), "openid /read-limited"),
        (json!("openid bad\"scope \u{e9}"), "openid"),
        (json!(""), "openid"),
    ] {
        let mut tokens = provider.tokens();
        tokens["scope"] = sent;
        provider.set("/oauth/token", Reply::json(&tokens));
        assert_eq!(exchange(&client).await.unwrap().scopes, scopes(granted));
    }
    let mut tokens = provider.tokens();
    tokens.as_object_mut().unwrap().remove("scope");
    tokens.as_object_mut().unwrap().remove("expires_in");
    tokens.as_object_mut().unwrap().remove("refresh_token");
    provider.set("/oauth/token", Reply::json(&tokens));
    let grant = exchange(&client).await.unwrap();
    assert_eq!(grant.scopes, scopes("openid /read-limited"), "absent means as asked");
    assert!(grant.expires.is_none() && grant.refresh_token.is_none());
}

#[tokio::test]
async fn a_client_of_authenticate_alone_takes_the_id_from_the_token_response() {
    let provider = FakeProvider::start().await;
    let base_scope = Scope::authenticate();
    let client = client(ProviderSettings { base_scope, ..settings(&provider) });
    let mut tokens = provider.tokens();
    tokens["scope"] = json!("/authenticate");
    tokens.as_object_mut().unwrap().remove("id_token");
    provider.set("/oauth/token", Reply::json(&tokens));
    let grant = exchange(&client).await.unwrap();
    assert_eq!(grant.subject.as_str(), ALICE);
    assert_eq!(grant.scopes, scopes("/authenticate"));
    for orcid in [json!(null), json!("0000-0000-0000-0000"), json!("")] {
        tokens["orcid"] = orcid;
        provider.set("/oauth/token", Reply::json(&tokens));
        assert!(exchange(&client).await.unwrap_err().lie().is_some());
    }
    // An ID token nobody asked for is still held to every rule.
    let mut tokens = provider.tokens();
    let mut claims = provider.claims();
    claims["sub"] = json!(BOB);
    tokens["id_token"] = json!(KEY.token(&provider.header(), &claims));
    provider.set("/oauth/token", Reply::json(&tokens));
    assert_eq!(exchange(&client).await.err(), Some(OrcidTrouble::Lied(Check::SubjectsDisagree)));
}

#[tokio::test]
async fn elsewhere_an_unsigned_orcid_member_is_no_identity() {
    let provider = FakeProvider::start().await;
    assert!(
        Provider::new(
            ProviderSettings { base_scope: Scope::authenticate(), ..other(&provider) },
            Arc::new(StoppedClock::at(NOW))
        )
        .is_err()
    );
    let mut tokens = provider.tokens();
    tokens.as_object_mut().unwrap().remove("id_token");
    provider.set("/oauth/token", Reply::json(&tokens));
    assert_eq!(exchange(&client(other(&provider))).await.err(), Some(OrcidTrouble::Lied(Check::IdTokenMissing)));
}

#[tokio::test]
async fn t41_the_iss_of_the_callback_is_compared_before_the_code_is_shown() {
    let provider = FakeProvider::start().await;
    let (asked, base) = (scopes(""), provider.base.clone());
    let mut promising = provider.discovery();
    promising["authorization_response_iss_parameter_supported"] = json!(true);
    let slash = format!("{base}/");
    for (document, iss, fine) in [
        (provider.discovery(), None, true),
        (provider.discovery(), Some(base.as_str()), true),
        (provider.discovery(), Some(slash.as_str()), false),
        (provider.discovery(), Some("https://orcid.org"), false),
        (provider.discovery(), Some(""), false),
        (promising.clone(), None, false),
        (promising.clone(), Some(base.as_str()), true),
    ] {
        provider.set("/.well-known/openid-configuration", Reply::json(&document));
        let client = client(settings(&provider));
        let before = provider.seen("/oauth/token").len();
        let proof = Proof { nonce: NONCE, pkce_verifier: VERIFIER, iss, asked: &asked, signed_in_since: None };
        let outcome = client.exchange(AuthorizationCode::new(CODE), &proof).await;
        let shown = provider.seen("/oauth/token").len() - before;
        assert_eq!((outcome.is_ok(), shown), (fine, usize::from(fine)), "{iss:?}");
        if !fine {
            assert_eq!(outcome.err(), Some(OrcidTrouble::Lied(Check::IssuerParameter)));
        }
    }
}

#[tokio::test]
async fn the_client_proves_itself_the_way_the_provider_lists() {
    let provider = FakeProvider::start().await;
    let basic = "authorization: basic ";
    for (listed, orcid, asked, in_form) in [
        (json!(["client_secret_post"]), true, ClientAuthentication::Auto, true),
        (json!(["client_secret_post", "client_secret_basic"]), true, ClientAuthentication::Auto, true),
        // What a registration means that does not say: elsewhere a client is registered for one way alone.
        (json!(["client_secret_post", "client_secret_basic"]), false, ClientAuthentication::Auto, false),
        (json!(["private_key_jwt", "client_secret_post"]), false, ClientAuthentication::Auto, true),
        (json!(["client_secret_basic"]), true, ClientAuthentication::Auto, false),
        (json!(null), true, ClientAuthentication::Auto, true),
        (json!(null), false, ClientAuthentication::Auto, false),
        (json!(["client_secret_post"]), true, ClientAuthentication::Basic, false),
        (json!(["client_secret_basic"]), false, ClientAuthentication::Post, true),
    ] {
        let mut document = provider.discovery();
        document["token_endpoint_auth_methods_supported"] = listed.clone();
        provider.set("/.well-known/openid-configuration", Reply::json(&document));
        let base = if orcid { settings(&provider) } else { other(&provider) };
        exchange(&client(ProviderSettings { authentication: asked, ..base })).await.unwrap();
        let seen = provider.seen("/oauth/token").pop().unwrap();
        assert_eq!(seen.form.get("client_secret").is_some_and(|secret| secret == SECRET), in_form, "{listed}");
        assert_eq!(seen.head.to_ascii_lowercase().contains(basic), !in_form, "{listed}");
        assert_eq!(seen.form["redirect_uri"], "https://gate.example/.lychgate/callback/orcid");
        assert_eq!((seen.form["grant_type"].as_str(), seen.form["code"].as_str()), ("authorization_code", CODE));
        assert!(!seen.form.contains_key("code_verifier"), "no S256 listed, no verifier sent (T35)");
    }
}

#[tokio::test]
async fn t55_userinfo_must_be_about_the_same_person() {
    let provider = FakeProvider::start().await;
    let client = client(ProviderSettings { userinfo: true, ..settings(&provider) });
    let userinfo = Endpoint::Userinfo;
    let mut claims = provider.claims();
    claims.as_object_mut().unwrap().remove("family_name");
    provider.answer_with(KEY.token(&provider.header(), &claims));
    let grant = exchange(&client).await.unwrap();
    assert_eq!(grant.family_name.as_deref(), Some("Record"), "filled from userinfo");
    let head = provider.seen("/oauth/userinfo").pop().unwrap().head;
    assert!(head.contains(&format!("Bearer {ACCESS}")));
    let denied = json!({"error": "access_denied", "error-description": "access_token is invalid"}).to_string();
    for (what, reply, expected) in [
        ("another", Reply::json(&json!({"sub": BOB})), OrcidTrouble::Lied(Check::SubjectsDisagree)),
        ("nobody", Reply::json(&json!({"name": "Alice"})), OrcidTrouble::Lied(Check::SubjectsDisagree)),
        (
            "403",
            Reply::new(403, "application/json", denied),
            OrcidTrouble::Refused { endpoint: userinfo, status: 403, error: "other" },
        ),
        ("no token", Reply::new(200, "application/jwt", "leak"), OrcidTrouble::Lied(Check::Shape)),
        (
            "a page",
            Reply::new(200, "text/html", "<html>leak</html>"),
            OrcidTrouble::Unusable { endpoint: userinfo, defect: Defect::ContentType },
        ),
        ("down", Reply::new(502, "text/html", ""), OrcidTrouble::Unavailable { endpoint: userinfo, status: 502 }),
    ] {
        provider.set("/oauth/userinfo", reply);
        assert_eq!(exchange(&client).await.err(), Some(expected), "{what}");
    }
}
