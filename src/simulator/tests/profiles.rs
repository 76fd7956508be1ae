//! The legacy server in its own words (`orcid.md` §2.3, §3.5, §5.1), the implicit flow (§2.4), and PKCE where
//! it is switched on.

use super::*;
use crate::simulator::SimulatedClient;

async fn legacy() -> (SimulatorHandle, Arc<StoppedClock>) {
    let (mut settings, clock) = settings();
    settings.switches.set("profile", "legacy").unwrap();
    (Simulator::start(settings).await.unwrap(), clock)
}

#[tokio::test]
async fn the_legacy_token_endpoint_says_no_in_its_own_words() {
    let (simulator, clock) = legacy().await;
    let good = format!("client_id={MEMBER_CLIENT}&client_secret={MEMBER_SECRET}");
    let mut tab = Tab::new(&simulator);
    let mut code = async || tab.code(&ask(MEMBER_CLIENT, "openid", ""), people::ORDINARY).await;
    let (used, old) = (code().await, code().await);
    exchange(&simulator, &used).await;
    let fresh = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "openid /read-limited", ""), people::MONONYM).await;
    let grant = format!("{good}&grant_type=authorization_code");
    let public = format!("client_id={PUBLIC_CLIENT}&client_secret={PUBLIC_SECRET}&grant_type=authorization_code");
    let table = [
        (
            "grant_type=x&client_id=APP-0&client_secret=x".to_owned(),
            401,
            "invalid_client",
            "Client not found: APP-0".to_owned(),
        ),
        (
            format!("grant_type=x&client_id={MEMBER_CLIENT}&client_secret=x"),
            401,
            "invalid_client",
            "Bad client credentials".into(),
        ),
        (grant.clone(), 500, "server_error", "An authorization code must be supplied.".into()),
        (format!("{grant}&code=abc123"), 400, "invalid_grant", "Invalid authorization code: abc123".into()),
        (format!("{grant}&code={used}"), 400, "invalid_grant", format!("Reused authorization code: {used}")),
        (
            format!("{grant}&code={fresh}&redirect_uri=https://x.example/"),
            500,
            "server_error",
            "Redirect URI mismatch.".into(),
        ),
        (format!("{public}&code={fresh}"), 500, "server_error", "Client ID mismatch".into()),
        (
            format!("{good}&grant_type=refresh_token&refresh_token=x"),
            400,
            "unauthorized_client",
            "Unable to find refresh token".into(),
        ),
    ];
    for (body, status, error, description) in table {
        let reply = post(simulator.local_addr, "/oauth/token", &body).await;
        let expected = serde_json::json!({"error": error, "error_description": description});
        assert_eq!((reply.status, reply.json()), (status, expected), "{body}");
        assert!(reply.body.starts_with("{\"error\":"), "the word comes first");
    }
    clock.advance(601);
    let late = post(simulator.local_addr, "/oauth/token", &format!("{grant}&code={old}")).await;
    assert_eq!(late.json()["error_description"], "Authorization code has expired");
    let token = exchange(&simulator, &fresh).await;
    assert_eq!(token.status, 400, "the fresh one is old by now, too");
}

#[tokio::test]
async fn a_legacy_renewal_may_be_shorter_and_revoke_what_its_header_names() {
    let (simulator, _) = legacy().await;
    let code = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "openid /read-limited", ""), people::ORDINARY).await;
    let reply = exchange(&simulator, &code).await;
    assert_eq!(reply.header("oauth_authorization_code_exchange"), None, "that is the 2026 proxy's");
    let pair = reply.json();
    let refresh = pair["refresh_token"].as_str().unwrap();
    let good = format!(
        "client_id={MEMBER_CLIENT}&client_secret={MEMBER_SECRET}&grant_type=refresh_token&refresh_token={refresh}"
    );
    let live = || simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).len();
    let short = post(simulator.local_addr, "/oauth/token", &format!("{good}&expires_in=600&scope=openid")).await.json();
    assert_eq!((short["expires_in"].as_i64(), short["scope"].as_str(), live()), (Some(600), Some("openid"), 2));
    let long = post(simulator.local_addr, "/oauth/token", &format!("{good}&expires_in=999999999999")).await;
    assert_eq!((long.status, long.json()["error"].as_str()), (400, Some("invalid_request")));
    let wide = post(simulator.local_addr, "/oauth/token", &format!("{good}&scope=/activities/update")).await.json();
    assert!(wide["error_description"].as_str().unwrap().contains("not allowed for the parent token"));
    let bearer = format!("Bearer {}", pair["access_token"].as_str().unwrap());
    let headers = [FORM, ("Authorization", &*bearer)];
    assert_eq!(send(simulator.local_addr, "POST", "/oauth/token", &headers, &good).await.status, 200);
    assert_eq!(live(), 2, "the old one died, the new one joined");
    let dead = post(simulator.local_addr, "/oauth/token", &good).await.json();
    assert_eq!(dead["error_description"], "Parent token is disabled");
    simulator.set("profile", "2026").await.unwrap();
    let basic = send(simulator.local_addr, "POST", "/oauth/token", &headers, &good).await;
    assert_eq!(basic.status, 401, "the 2026 proxy takes any header for client credentials");
}

#[tokio::test]
async fn prompt_none_is_answered_in_three_ways() {
    let (simulator, _) = start().await;
    for (settings, expected) in [
        (&[("profile", "2026")][..], "#login_required"),
        (&[("profile", "legacy")], "?error=login_required"),
        (&[("profile", "legacy"), ("error-placement", "fragment")], "#error=login_required"),
    ] {
        simulator.reset();
        for (name, value) in settings {
            simulator.set(name, value).await.unwrap();
        }
        let mut tab = Tab::new(&simulator);
        let reply = tab.get(&format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", "&prompt=none"))).await;
        assert_eq!(reply.location(), format!("{CALLBACK}{expected}"), "{settings:?}");
    }
}

#[tokio::test]
async fn max_age_sends_people_of_the_legacy_server_to_the_sign_in_again() {
    let (simulator, clock) = legacy().await;
    let mut tab = Tab::new(&simulator);
    tab.code(&ask(PUBLIC_CLIENT, "openid", ""), people::ORDINARY).await;
    let asks = format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", "&max_age=60"));
    assert!(tab.get(&asks).await.body.contains("authorize-button"));
    clock.advance(61);
    assert!(tab.get(&asks).await.body.contains("Please sign in again"));
    simulator.set("profile", "2026").await.unwrap();
    assert!(tab.get(&asks).await.body.contains("authorize-button"), "2026 does not heed it");
}

#[tokio::test]
async fn the_implicit_flow_answers_behind_a_hash() {
    let (simulator, _) = start().await;
    let mut client = SimulatedClient::new("APP-IMPLICIT00000000", "s", "Widget", false, &[CALLBACK]);
    client.implicit = true;
    simulator.register(client).unwrap();
    let query = ask("APP-IMPLICIT00000000", "openid", "&nonce=n").replace("type=code", "type=token%20id_token");
    let mut tab = Tab::new(&simulator);
    let signed_in = tab.sign_in(&format!("/oauth/authorize?{query}"), people::ORDINARY).await;
    let consent = tab.get(signed_in.location()).await;
    let answer = tab.decide(&consent, "authorize").await;
    let fragment = answer.location().strip_prefix(&format!("{CALLBACK}#")).unwrap().to_owned();
    let fields: std::collections::BTreeMap<String, String> =
        url::form_urlencoded::parse(fragment.as_bytes()).into_owned().collect();
    assert_eq!((&*fields["token_type"], &*fields["expires_in"], &*fields["state"]), ("bearer", "599", "st/ate"));
    assert!(!fields.contains_key("orcid") && !fields.contains_key("refresh_token"));
    assert_eq!(fields["id_token"].split('.').count(), 3);
    let bearer = format!("Bearer {}", fields["access_token"]);
    let info = send(simulator.local_addr, "GET", "/oauth/userinfo", &[("Authorization", &*bearer)], "").await;
    assert_eq!(info.json()["sub"], people::ORDINARY);
}

#[tokio::test]
async fn with_pkce_switched_on_a_verifier_must_answer_the_challenge() {
    use base64::Engine;
    let (simulator, _) = start().await;
    simulator.set("pkce", "S256").await.unwrap();
    let document = send(simulator.local_addr, "GET", "/.well-known/openid-configuration", &[], "").await.json();
    assert_eq!(document["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    let verifier = "dropped-by-the-proxy-unless-it-is-listed-which-it-is-here";
    let hash = ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes());
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(hash);
    let query = ask(MEMBER_CLIENT, "openid", &format!("&code_challenge={challenge}&code_challenge_method=S256"));
    let mut tab = Tab::new(&simulator);
    let refused = tab.get(&format!("/oauth/authorize?{}", ask(MEMBER_CLIENT, "openid", ""))).await;
    assert_eq!(refused.location(), format!("{CALLBACK}#error=invalid_request"));
    let code = tab.code(&query, people::ORDINARY).await;
    assert_eq!(exchange(&simulator, &code).await.json()["error"], "invalid_grant", "another verifier");
    let body = format!(
        "client_id={MEMBER_CLIENT}&client_secret={MEMBER_SECRET}&grant_type=authorization_code&code={code}&code_verifier={verifier}"
    );
    assert_eq!(post(simulator.local_addr, "/oauth/token", &body).await.status, 200);
}
