//! The endpoints programs talk to, byte for byte where `orcid.md` knows the bytes.

use super::*;

#[tokio::test]
async fn discovery_and_keys_are_shaped_like_orcids() {
    let (simulator, _) = start().await;
    let at = simulator.local_addr;
    let origin = ("Origin", "https://app.example");
    let reply = send(at, "GET", "/.well-known/openid-configuration", &[origin], "").await;
    let base = &simulator.base_url;
    assert_eq!(base, &format!("http://{at}"));
    let expected = format!(
        r#"{{
  "token_endpoint_auth_signing_alg_values_supported" : [ "RS256" ],
  "id_token_signing_alg_values_supported" : [ "RS256" ],
  "userinfo_endpoint" : "{base}/oauth/userinfo",
  "authorization_endpoint" : "{base}/oauth/authorize",
  "token_endpoint" : "{base}/oauth/token",
  "jwks_uri" : "{base}/oauth/jwks",
  "claims_supported" : [ "family_name", "given_name", "name", "auth_time", "iss", "sub" ],
  "scopes_supported" : [ "openid" ],
  "subject_types_supported" : [ "public" ],
  "response_types_supported" : [ "code", "id_token", "id_token token" ],
  "claims_parameter_supported" : false,
  "token_endpoint_auth_methods_supported" : [ "client_secret_post" ],
  "grant_types_supported" : [ "authorization_code", "implicit", "refresh_token" ],
  "issuer" : "{base}"
}}"#
    );
    assert_eq!(reply.body, expected);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("vary"), None);

    let keys = send(at, "GET", "/oauth/jwks", &[], "").await.json();
    let key = keys["keys"][0].as_object().unwrap();
    let mut members: Vec<&str> = key.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["e", "kid", "kty", "n", "use"], "no `alg`");
    let kid = key["kid"].as_str().unwrap().strip_prefix("sim-orcid-org-").unwrap();
    assert!(kid.len() == 32 && kid.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));

    let headers = [origin, ("Access-Control-Request-Method", "GET")];
    let preflight = send(at, "OPTIONS", "/oauth/userinfo", &headers, "").await;
    assert_eq!((preflight.status, &*preflight.body), (200, ""));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("GET, POST, PUT, DELETE"));
    let token = send(at, "OPTIONS", "/oauth/token", &headers, "").await;
    assert_eq!((token.status, token.header("access-control-allow-origin")), (405, None));
}

#[tokio::test]
async fn the_token_endpoint_refuses_in_orcids_words_and_order() {
    let (simulator, _) = start().await;
    let good = format!("client_id={MEMBER_CLIENT}&client_secret={MEMBER_SECRET}");
    let failed = r#"{"error_description":"Client authentication failed","error":"invalid_client"}"#;
    let table = [
        ("", 400, r#"{"error":"unsupported_grant_type","error_description":"grant_type is missing"}"#.to_owned()),
        (
            &*format!("{good}&code=x"),
            400,
            r#"{"error":"unsupported_grant_type","error_description":"grant_type is missing"}"#.into(),
        ),
        (
            "grant_type=authorization_code",
            401,
            r#"{"error":"invalid_request","error_description":"client_id is required"}"#.into(),
        ),
        (
            "grant_type=x&client_id=APP-1",
            401,
            r#"{"error":"invalid_request","error_description":"client_secret is required"}"#.into(),
        ),
        (&*format!("grant_type=authorization_code&client_id={MEMBER_CLIENT}&client_secret=wrong"), 401, failed.into()),
        ("grant_type=authorization_code&client_id=APP-UNKNOWN&client_secret=wrong", 401, failed.into()),
        (
            &*format!("{good}&grant_type=refresh_token"),
            401,
            r#"{"error":"invalid_request","error_description":"refresh_token is required"}"#.into(),
        ),
        (
            &*format!("{good}&grant_type=authorization_code&code=abc123"),
            400,
            r#"{"error_description":"Invalid authorization code: abc123","error":"invalid_grant"}"#.into(),
        ),
        (
            &*format!("{good}&grant_type=client_credentials&scope=/read-limited"),
            400,
            r#"{"error":"invalid_scope","error_description":"Invalid scope: /read-limited"}"#.into(),
        ),
        (
            &*format!("{good}&grant_type=client_credentials&scope=/web-hook"),
            401,
            r#"{"error":"invalid_scope","error_description":"Invalid scope: /web-hook"}"#.into(),
        ),
    ];
    for (body, status, expected) in table {
        let reply = post(simulator.local_addr, "/oauth/token", body).await;
        assert_eq!((reply.status, &*reply.body), (status, &*expected), "{body}");
        assert_eq!(reply.header("www-authenticate"), None);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    for (body, error) in [
        (format!("{good}&grant_type=urn:ietf:params:oauth:grant-type:token-exchange"), "unsupported_grant_type"),
        (format!("{good}&grant_type=authorization_code"), "invalid_request"),
        (format!("{good}&grant_type=authorization_code&code=a&code=b"), "invalid_request"),
        (format!("{good}&grant_type=refresh_token&refresh_token=x"), "invalid_grant"),
    ] {
        let reply = post(simulator.local_addr, "/oauth/token", &body).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some(error)), "{body}");
    }
    let json = send(simulator.local_addr, "POST", "/oauth/token", &[("Content-Type", "application/json")], "{}").await;
    assert_eq!((json.status, json.header("accept")), (415, Some("application/x-www-form-urlencoded")));
    assert_eq!(send(simulator.local_addr, "GET", "/oauth/token", &[], "").await.status, 405);
}

#[tokio::test]
async fn basic_works_and_a_bearer_header_spoils_the_call() {
    use base64::Engine;
    let (simulator, _) = start().await;
    let body = "grant_type=client_credentials&scope=/read-public";
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{PUBLIC_CLIENT}:{PUBLIC_SECRET}"));
    let basic = format!("Basic {basic}");
    let reply = send(simulator.local_addr, "POST", "/oauth/token", &[FORM, ("Authorization", &basic)], body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let body = format!("{body}&client_id={PUBLIC_CLIENT}&client_secret={PUBLIC_SECRET}");
    let headers = [FORM, ("Authorization", "Bearer something")];
    let reply = send(simulator.local_addr, "POST", "/oauth/token", &headers, &body).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("invalid_client")));
}

/// The keys of a JSON object in the order they stand in the text.
fn keys(body: &str) -> Vec<String> {
    let mut keys: Vec<(usize, String)> = Vec::new();
    let json: serde_json::Value = serde_json::from_str(body).unwrap();
    for key in json.as_object().unwrap().keys() {
        keys.push((body.find(&format!("\"{key}\":")).unwrap(), key.clone()));
    }
    keys.sort();
    keys.into_iter().map(|(_, key)| key).collect()
}

#[tokio::test]
async fn success_bodies_have_orcids_keys_in_orcids_order() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let code = tab.code(&ask(MEMBER_CLIENT, "/read-limited /activities/update", ""), people::ORDINARY).await;
    let reply = exchange(&simulator, &code).await;
    let first = ["access_token", "token_type", "refresh_token", "expires_in", "scope", "name", "orcid"];
    assert_eq!(keys(&reply.body), first);
    assert_eq!(reply.json()["scope"], "/activities/update /read-limited");
    assert!(reply.body.contains("\"token_type\":\"bearer\""));
    let code = tab.code(&ask(MEMBER_CLIENT, "openid", ""), people::ORDINARY).await;
    assert_eq!(keys(&exchange(&simulator, &code).await.body).last().unwrap(), "id_token");
    let own =
        format!("grant_type=client_credentials&scope=/webhook&client_id={MEMBER_CLIENT}&client_secret={MEMBER_SECRET}");
    let own = post(simulator.local_addr, "/oauth/token", &own).await;
    assert_eq!(keys(&own.body), ["access_token", "token_type", "refresh_token", "expires_in", "scope", "orcid"]);
    assert!(own.body.ends_with(",\"scope\":\"/webhook\",\"orcid\":null}"), "{}", own.body);
}

#[tokio::test]
async fn refresh_adds_a_pair_and_revoke_ends_one() {
    let (simulator, clock) = start().await;
    let at = simulator.local_addr;
    let code = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "openid /read-limited", ""), people::ORDINARY).await;
    let parent = exchange(&simulator, &code).await.json();
    clock.advance(18);
    let refresh = |secret: &str, more: &str| {
        format!(
            "grant_type=refresh_token&refresh_token={}&client_id={MEMBER_CLIENT}&client_secret={secret}{more}",
            parent["refresh_token"].as_str().unwrap()
        )
    };
    let child =
        post(at, "/oauth/token", &refresh(MEMBER_SECRET, "&scope=/read-limited&revoke_old=true&expires_in=5")).await;
    assert_eq!(child.status, 200, "{}", child.body);
    let child = child.json();
    assert_eq!((child["scope"].as_str(), child["expires_in"].as_i64()), (Some("/read-limited"), Some(631_138_500)));
    assert!(child.get("id_token").is_none());
    let wide = post(at, "/oauth/token", &refresh(MEMBER_SECRET, "&scope=/activities/update")).await;
    assert_eq!((wide.status, wide.json()["error"].as_str()), (400, Some("invalid_scope")));
    assert_eq!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).len(), 2, "the parent lives on");

    let revoke = |client: &str, secret: &str, token: &serde_json::Value| {
        format!("client_id={client}&client_secret={secret}&token={}", token.as_str().unwrap())
    };
    // Another client's attempt, an unknown token and a second time: 200 and nothing done.
    for body in [
        revoke(PUBLIC_CLIENT, PUBLIC_SECRET, &child["access_token"]),
        revoke(MEMBER_CLIENT, MEMBER_SECRET, &"unknown".into()),
    ] {
        let reply = post(at, "/oauth/revoke", &body).await;
        assert_eq!((reply.status, &*reply.body), (200, ""));
    }
    assert_eq!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).len(), 2);
    for _ in 0..2 {
        assert_eq!(
            post(at, "/oauth/revoke", &revoke(MEMBER_CLIENT, MEMBER_SECRET, &child["access_token"])).await.status,
            200
        );
    }
    assert_eq!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT), ["/read-limited openid".parse().unwrap()]);
    assert_eq!(
        post(at, "/oauth/revoke", &revoke(MEMBER_CLIENT, MEMBER_SECRET, &parent["refresh_token"])).await.status,
        200
    );
    assert!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).is_empty());
    assert_eq!(post(at, "/oauth/token", &refresh(MEMBER_SECRET, "")).await.status, 400);
    assert_eq!(post(at, "/oauth/revoke", &revoke(MEMBER_CLIENT, "wrong", &child["access_token"])).await.status, 401);
}

#[tokio::test]
async fn userinfo_answers_whom_it_may_and_refuses_with_a_hyphen() {
    let (simulator, _) = start().await;
    let at = simulator.local_addr;
    let refusal = r#"{"error":"access_denied","error-description":"access_token is invalid"}"#;
    for headers in [&[][..], &[("Authorization", "Bearer nonsense")], &[("Authorization", "Basic eDp5")]] {
        let reply = send(at, "GET", "/oauth/userinfo", headers, "").await;
        assert_eq!((reply.status, &*reply.body), (403, refusal));
        assert_eq!(reply.header("www-authenticate"), None);
    }
    let mut tab = Tab::new(&simulator);
    let expected = |name: &str, family: &str, given: &str, orcid: &str| {
        format!(
            "{{\"id\":\"{}/{orcid}\",\"sub\":\"{orcid}\",\"name\":{name},\
             \"family_name\":{family},\"given_name\":{given}}}",
            simulator.base_url
        )
    };
    for (orcid, scopes, body) in [
        (people::ORDINARY, "openid", Some(expected("null", "\"Ashgrove\"", "\"Rowan\"", people::ORDINARY))),
        (people::ORDINARY, "/authenticate", Some(expected("null", "\"Ashgrove\"", "\"Rowan\"", people::ORDINARY))),
        (people::ORDINARY, "/read-limited", None),
        (people::HIDDEN_NAME, "openid", Some(expected("null", "null", "null", people::HIDDEN_NAME))),
    ] {
        let mut fresh = Tab::new(&simulator);
        let code = fresh.code(&ask(MEMBER_CLIENT, scopes, ""), orcid).await;
        let token = exchange(&simulator, &code).await.json();
        let access = token["access_token"].as_str().unwrap();
        let form = format!("access_token={access}");
        let bearer = format!("bearer {access}");
        for reply in [
            send(at, "GET", "/oauth/userinfo", &[("Authorization", &*bearer)], "").await,
            post(at, "/oauth/userinfo", &form).await,
            send(at, "POST", &format!("/oauth/userinfo?{form}"), &[], "").await,
            send(at, "POST", "/oauth/userinfo", &[FORM, ("Authorization", &bearer)], "access_token=bad").await,
        ] {
            match &body {
                Some(body) => assert_eq!((reply.status, &reply.body), (200, body)),
                None => assert_eq!((reply.status, &*reply.body), (403, refusal), "{scopes}"),
            }
        }
    }
    // A person's withdrawal acts at once.
    let code = tab.code(&ask(MEMBER_CLIENT, "openid", ""), people::MONONYM).await;
    let bearer = format!("Bearer {}", exchange(&simulator, &code).await.json()["access_token"].as_str().unwrap());
    assert_eq!(send(at, "GET", "/oauth/userinfo", &[("Authorization", &bearer)], "").await.status, 200);
    simulator.revoke_by_user(id(people::MONONYM), MEMBER_CLIENT);
    assert_eq!(send(at, "GET", "/oauth/userinfo", &[("Authorization", &bearer)], "").await.status, 403);
}

#[tokio::test]
async fn bad_authorization_requests_end_on_a_page_or_in_the_fragment() {
    let (simulator, _) = start().await;
    let at = simulator.local_addr;
    let good = ask(PUBLIC_CLIENT, "openid", "");
    for (query, text) in [
        (String::new(), "Please specify a client id"),
        (good.replace(PUBLIC_CLIENT, "APP-UNKNOWN"), "Client not found: APP-UNKNOWN"),
        (good.replace("gate.localhost", "evil.localhost"), "Redirect URI doesn&#x27;t match"),
        (good.replace("&scope=openid", ""), "Please specify the desired scopes"),
        (good.replace("&response_type=code", ""), "Please specify a response type"),
    ] {
        let reply = send(at, "GET", &format!("/oauth/authorize?{query}"), &[], "").await;
        assert_eq!((reply.status, reply.header("location")), (200, None), "{query}");
        assert!(reply.body.contains(text), "{text} not in {}", reply.body);
    }
    for (query, fragment) in [
        (ask(PUBLIC_CLIENT, "openid /read-limited", ""), "error=invalid_scope"),
        (ask(MEMBER_CLIENT, "openid /read-public", ""), "error=invalid_scope"),
        (good.replace("response_type=code", "response_type=id_token%20token"), "error=unsupported_response_type"),
    ] {
        let reply = send(at, "GET", &format!("/oauth/authorize?{query}"), &[], "").await;
        assert_eq!((reply.status, reply.location()), (303, &*format!("{CALLBACK}#{fragment}")));
    }
}
