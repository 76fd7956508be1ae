//! The code flow from the browser's side and the client's: sign-in, consent, skip, deny, exchange, revoke.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Verifies an id_token against the published keys and returns its claims; `None` if no key fits.
pub(super) async fn verified(simulator: &SimulatorHandle, id_token: &str) -> Option<serde_json::Value> {
    let mut parts = id_token.split('.');
    let (header, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&decode(header)).unwrap();
    let keys = send(simulator.local_addr, "GET", "/oauth/jwks", &[], "").await.json();
    let key = keys["keys"].as_array()?.iter().find(|key| key["kid"] == header["kid"])?.clone();
    let public =
        ring::signature::RsaPublicKeyComponents { n: decode(key["n"].as_str()?), e: decode(key["e"].as_str()?) };
    let signed = &id_token[..id_token.rfind('.')?];
    public.verify(&ring::signature::RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decode(signature)).ok()?;
    serde_json::from_slice(&decode(claims)).ok()
}

#[tokio::test]
async fn the_whole_code_flow_of_a_member_client() {
    let (simulator, clock) = start().await;
    let mut tab = Tab::new(&simulator);
    let query =
        ask(MEMBER_CLIENT, "openid /read-limited profile", "&nonce=n-1&code_challenge=x&code_challenge_method=S256");
    let page = tab.get(&format!("/oauth/authorize?{query}")).await;
    assert_eq!(page.status, 200);
    for id in ["username-input", "password", "signin-button"] {
        assert!(page.body.contains(&format!("id=\"{id}\"")), "{id}");
    }
    let before = tab.cookie.clone();
    let signed_in = tab.sign_in_on(&page, people::ORDINARY, &password(people::ORDINARY)).await;
    assert_eq!(signed_in.status, 303);
    assert_ne!(tab.cookie, before, "the cookie changes with the sign-in");

    let consent = tab.get(signed_in.location()).await;
    for shown in [
        "id=\"authorize-button\"",
        "id=\"deny-button\"",
        "Rowan Ashgrove",
        people::ORDINARY,
        "Practice Campus Library",
        "Get your ORCID iD",
        "Read your information with visibility set to Trusted parties",
    ] {
        assert!(consent.body.contains(shown), "{shown}");
    }
    assert!(!consent.body.contains("Add/update"));
    let csp = consent.header("content-security-policy").unwrap();
    assert!(csp.contains("form-action 'self' https://gate.localhost:8443 https://*.localhost:8443;"), "{csp}");

    clock.advance(5);
    let answer = tab.decide(&consent, "authorize").await;
    assert_eq!(answer.status, 303);
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let code = code_in(answer.location());
    assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_alphanumeric()));
    assert!(answer.location().ends_with("&state=st%2Fate"), "{}", answer.location());

    clock.advance(5);
    let granted = exchange(&simulator, &code).await;
    assert_eq!(granted.status, 200, "{}", granted.body);
    assert_eq!(granted.header("cache-control"), Some("no-store"));
    assert_eq!(granted.header("pragma"), Some("no-cache"));
    assert_eq!(granted.header("oauth_authorization_code_exchange"), Some("ON"));
    let json = granted.json();
    assert_eq!(json["expires_in"], 631_138_518);
    assert_eq!(json["scope"], "/read-limited openid");
    assert_eq!(json["name"], "Rowan Ashgrove");
    assert_eq!(json["orcid"], people::ORDINARY);

    let claims = verified(&simulator, json["id_token"].as_str().unwrap()).await.unwrap();
    let access = json["access_token"].as_str().unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, access.as_bytes());
    assert_eq!(claims["at_hash"], URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]));
    assert_eq!(claims["iss"], simulator.base_url);
    assert_eq!(claims["aud"], MEMBER_CLIENT);
    assert_eq!(claims["sub"], people::ORDINARY);
    assert_eq!(claims["amr"], "pwd");
    assert_eq!(claims["nonce"], "n-1");
    assert_eq!((claims["auth_time"].as_i64(), claims["iat"].as_i64()), (Some(NOW), Some(NOW + 10)));
    assert_eq!(claims["exp"], NOW + 10 + 86_400);
    assert_eq!((&claims["given_name"], &claims["family_name"]), (&"Rowan".into(), &"Ashgrove".into()));
    assert!(claims.get("name").is_none(), "a record without a credit name");
    assert!(claims.get("email").is_none());
}

#[tokio::test]
async fn deny_returns_the_error_with_description_and_state() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let query = ask(PUBLIC_CLIENT, "openid", "");
    let signed_in = tab.sign_in(&format!("/oauth/authorize?{query}"), people::ORDINARY).await;
    let consent = tab.get(signed_in.location()).await;
    let answer = tab.decide(&consent, "deny").await;
    let expected = "?error=access_denied&error_description=User%20denied%20access&state=st%2Fate";
    assert_eq!(answer.location(), format!("{CALLBACK}{expected}"));
    assert!(simulator.live_tokens(id(people::ORDINARY), PUBLIC_CLIENT).is_empty());
}

#[tokio::test]
async fn consent_is_skipped_for_exactly_the_same_scope_set_only() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let code = tab.code(&ask(MEMBER_CLIENT, "openid /read-limited", ""), people::ORDINARY).await;
    exchange(&simulator, &code).await;
    let table = [
        ("/read-limited openid", 303),
        ("/read-limited openid email", 303),
        ("openid", 200),
        ("/read-limited", 200),
        ("/authenticate /read-limited", 200),
        ("openid /read-limited /activities/update", 200),
    ];
    for (scopes, status) in table {
        let reply = tab.get(&format!("/oauth/authorize?{}", ask(MEMBER_CLIENT, scopes, ""))).await;
        assert_eq!(reply.status, status, "{scopes}");
    }
    // The other client has been granted nothing, and the extension `prompt=confirm` always asks.
    assert_eq!(tab.get(&format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", ""))).await.status, 200);
    let confirm = ask(MEMBER_CLIENT, "openid /read-limited", "&prompt=confirm");
    assert_eq!(tab.get(&format!("/oauth/authorize?{confirm}")).await.status, 200);

    // Every exchange adds a pair; the person's withdrawal ends them all, and consent returns.
    let code = tab.code(&ask(MEMBER_CLIENT, "openid /read-limited", ""), people::ORDINARY).await;
    exchange(&simulator, &code).await;
    assert_eq!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).len(), 2);
    assert_eq!(simulator.revoke_by_user(id(people::ORDINARY), MEMBER_CLIENT), 2);
    let reply = tab.get(&format!("/oauth/authorize?{}", ask(MEMBER_CLIENT, "openid /read-limited", ""))).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_code_used_twice_is_refused_and_its_token_revoked() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let code = tab.code(&ask(MEMBER_CLIENT, "openid", ""), people::ORDINARY).await;
    let first = exchange(&simulator, &code).await.json();
    // Somebody else's attempt is refused and does no harm.
    assert_eq!(trade(&simulator, PUBLIC_CLIENT, PUBLIC_SECRET, &code).await.status, 400);
    assert_eq!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).len(), 1);
    let second = exchange(&simulator, &code).await;
    assert_eq!(second.status, 400);
    assert_eq!(
        second.body,
        format!("{{\"error_description\":\"Invalid authorization code: {code}\",\"error\":\"invalid_grant\"}}")
    );
    assert!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).is_empty());
    let bearer = format!("Bearer {}", first["access_token"].as_str().unwrap());
    assert_eq!(
        send(simulator.local_addr, "GET", "/oauth/userinfo", &[("Authorization", &bearer)], "").await.status,
        403
    );
}

#[tokio::test]
async fn a_code_lives_ten_minutes_and_belongs_to_one_redirect_uri() {
    let (simulator, clock) = start().await;
    let mut tab = Tab::new(&simulator);
    let code = tab.code(&ask(MEMBER_CLIENT, "openid", ""), people::ORDINARY).await;
    let wrong = [
        ("client_id", MEMBER_CLIENT),
        ("client_secret", MEMBER_SECRET),
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", "https://gate.localhost:8443/cb/other"),
    ];
    let reply = post(simulator.local_addr, "/oauth/token", &encode(&wrong)).await;
    assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("invalid_grant")));
    clock.advance(600);
    let reply = exchange(&simulator, &code).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("the provided token/code is invalid or expired"), "{}", reply.body);
}

#[tokio::test]
async fn amr_is_told_to_members_only() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let code = tab.code(&ask(MEMBER_CLIENT, "openid", ""), people::SECOND_FACTOR).await;
    let member = exchange(&simulator, &code).await.json();
    let code = tab.code(&ask(PUBLIC_CLIENT, "openid", ""), people::SECOND_FACTOR).await;
    let public = trade(&simulator, PUBLIC_CLIENT, PUBLIC_SECRET, &code).await.json();
    let amr = async |token: &serde_json::Value| {
        verified(&simulator, token["id_token"].as_str().unwrap()).await.unwrap().get("amr").cloned()
    };
    assert_eq!(amr(&member).await, Some("mfa".into()));
    assert_eq!(amr(&public).await, None);
}

#[tokio::test]
async fn names_are_told_by_visibility() {
    let (simulator, _) = start().await;
    for (orcid, name, credit, given) in [
        (people::HIDDEN_NAME, None, None, None),
        (people::CREDIT_NAME, Some("E. T. Quillfeather"), Some("E. T. Quillfeather"), Some("Elisabeth")),
        (people::MONONYM, Some("Kartika"), None, Some("Kartika")),
        (people::ARABIC, Some("ليلى الزيتونية"), None, Some("ليلى")),
    ] {
        let code = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "openid", ""), orcid).await;
        let token = exchange(&simulator, &code).await.json();
        assert!(token.as_object().unwrap().contains_key("name"));
        assert_eq!(token["name"].as_str(), name);
        let claims = verified(&simulator, token["id_token"].as_str().unwrap()).await.unwrap();
        assert_eq!((claims["name"].as_str(), claims["given_name"].as_str()), (credit, given));
    }
}

#[tokio::test]
async fn prompt_login_and_none() {
    let (simulator, clock) = start().await;
    let mut tab = Tab::new(&simulator);
    let none = format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", "&prompt=none"));
    assert_eq!(tab.get(&none).await.location(), format!("{CALLBACK}#login_required"));
    let code = tab.code(&ask(PUBLIC_CLIENT, "openid", ""), people::ORDINARY).await;
    assert_eq!(tab.get(&none).await.location(), format!("{CALLBACK}#error=interaction_required"));
    trade(&simulator, PUBLIC_CLIENT, PUBLIC_SECRET, &code).await;
    code_in(tab.get(&none).await.location());

    // `prompt=login` asks again although everything could be skipped, once.
    clock.advance(100);
    let login = format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", "&prompt=login"));
    let page = tab.get(&login).await;
    assert!(page.body.contains("id=\"signin-button\"") && page.body.contains("Please sign in again"));
    assert!(page.body.contains(&format!("value=\"{}\"", people::ORDINARY)), "the same person, most likely");
    let signed_in = tab.sign_in_on(&page, people::ORDINARY, &password(people::ORDINARY)).await;
    let code = code_in(tab.get(signed_in.location()).await.location());
    let token = trade(&simulator, PUBLIC_CLIENT, PUBLIC_SECRET, &code).await.json();
    let claims = verified(&simulator, token["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["auth_time"], NOW + 100, "the last sign-in of the record");

    // Without `openid` the parameter means nothing.
    let plain = format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "/authenticate", "&prompt=none"));
    assert!(tab.get(&plain).await.body.contains("id=\"authorize-button\""));
}

#[tokio::test]
async fn forms_of_another_browser_or_site_change_nothing() {
    let (simulator, _) = start().await;
    let query = ask(PUBLIC_CLIENT, "openid", "");
    let mut victim = Tab::new(&simulator);
    let signed_in = victim.sign_in(&format!("/oauth/authorize?{query}"), people::ORDINARY).await;
    let consent = victim.get(signed_in.location()).await;
    let (token, request) = (consent.field("/oauth/authorize", "token"), consent.field("/oauth/authorize", "request"));
    let fields = [("token", &*token), ("request", &*request), ("decision", "authorize")];

    let mut other = Tab::new(&simulator);
    other.sign_in("/signin", people::MONONYM).await;
    assert_eq!(other.submit("/oauth/authorize", &fields).await.status, 403);
    let wider = request.replace("openid", "/authenticate");
    let changed = [("token", &*token), ("request", &*wider), ("decision", "authorize")];
    assert_eq!(victim.submit("/oauth/authorize", &changed).await.status, 403);
    let cookie = format!("{SESSION_COOKIE}={}", victim.cookie);
    for foreign in [("Origin", "https://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        let headers = [FORM, ("Cookie", &*cookie), foreign];
        assert_eq!(send(victim.at, "POST", "/oauth/authorize", &headers, &encode(&fields)).await.status, 403);
    }
    assert_eq!(victim.submit("/oauth/authorize", &fields).await.status, 303);
}
