//! Refreshing (T61, conformance D4) and revoking.

use super::provider::{ALICE, BOB, KEY, NEXT_KEY, Reply};
use super::*;
use serde_json::{Value, json};

async fn refresh(client: &Provider, scopes: Option<&ScopeSet>) -> Result<RefreshedPair, OrcidTrouble> {
    let holder = Subject::Orcid(ALICE.parse().unwrap());
    let outcome = client.refresh(&RefreshToken::new(REFRESH), scopes, &holder).await;
    shows_no_secret(&outcome);
    outcome
}

/// ORCID's answer to a refresh: no ID token (`orcid.md` §5.1).
fn renewed(provider: &FakeProvider, change: &Value) -> Reply {
    let mut tokens = provider.tokens();
    tokens.as_object_mut().unwrap().remove("id_token");
    tokens.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    Reply::json(&tokens)
}

#[tokio::test]
async fn a_pair_is_renewed_whole_or_narrower() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    provider.set("/oauth/token", renewed(&provider, &json!({"scope": "/read-limited"})));
    let pair = refresh(&client, None).await.unwrap();
    assert_eq!(pair.access_token.expose(), ACCESS);
    assert_eq!(pair.scopes, Some(scopes("/read-limited")));
    assert_eq!((pair.obtained.0, pair.expires.unwrap().0), (NOW, NOW + 631_138_518));
    let form = provider.seen("/oauth/token").pop().unwrap().form;
    assert_eq!((form["grant_type"].as_str(), form["refresh_token"].as_str()), ("refresh_token", REFRESH));
    assert!(!form.contains_key("scope"));
    refresh(&client, Some(&scopes("/read-limited openid"))).await.unwrap();
    assert_eq!(provider.seen("/oauth/token").pop().unwrap().form["scope"], "/read-limited openid");
    provider.set("/oauth/token", renewed(&provider, &json!({"scope": null, "refresh_token": null, "orcid": null})));
    let pair = refresh(&client, None).await.unwrap();
    assert!(pair.refresh_token.is_none());
}

#[tokio::test]
async fn t61_a_renewed_id_token_is_held_to_the_same_rules() {
    let provider = FakeProvider::start().await;
    let orcid = client(settings(&provider));
    type Edit = fn(&mut Value);
    let table: [(&str, Edit, Option<Check>); 6] = [
        ("right, no nonce", |_| {}, None),
        ("another issuer", |c| c["iss"] = json!("https://orcid.org"), Some(Check::Issuer)),
        ("another audience", |c| c["aud"] = json!("APP-OTHER"), Some(Check::Audience)),
        ("another person", |c| c["sub"] = json!(BOB), Some(Check::SubjectsDisagree)),
        ("expired", |c| c["exp"] = json!(NOW - 100), Some(Check::Expiry)),
        ("another access token", |c| c["at_hash"] = json!("AAAAAAAAAAAAAAAAAAAAAA"), Some(Check::AccessTokenHash)),
    ];
    for (what, edit, expected) in table {
        let mut claims = provider.claims();
        claims.as_object_mut().unwrap().remove("nonce");
        edit(&mut claims);
        let id_token = KEY.token(&provider.header(), &claims);
        provider.set("/oauth/token", renewed(&provider, &json!({"id_token": id_token})));
        assert_eq!(refresh(&orcid, None).await.err(), expected.map(OrcidTrouble::Lied), "{what}");
    }
    let forged = NEXT_KEY.token(&provider.header(), &provider.claims());
    provider.set("/oauth/token", renewed(&provider, &json!({"id_token": forged})));
    assert_eq!(refresh(&orcid, None).await.err(), Some(OrcidTrouble::Lied(Check::Signature)));
    // Consistent, but about somebody else; elsewhere too, where the member means nothing by itself.
    let mut claims = provider.claims();
    claims["sub"] = json!(BOB);
    let id_token = KEY.token(&provider.header(), &claims);
    provider.set("/oauth/token", renewed(&provider, &json!({"id_token": id_token, "orcid": BOB})));
    assert_eq!(refresh(&orcid, None).await.err(), Some(OrcidTrouble::Lied(Check::OtherHolder)));
    provider.set("/oauth/token", renewed(&provider, &json!({"orcid": BOB})));
    for client in [orcid, client(other(&provider))] {
        assert_eq!(refresh(&client, None).await.err(), Some(OrcidTrouble::Lied(Check::OtherHolder)));
    }
}

#[tokio::test]
async fn a_dead_refresh_token_is_told_from_a_refused_client() {
    let provider = FakeProvider::start().await;
    let client = client(settings(&provider));
    for (status, error, blame) in [
        (400, "invalid_grant", Blame::Grant),
        (400, "unauthorized_client", Blame::Grant),
        (401, "invalid_client", Blame::Registration),
        (400, "invalid_scope", Blame::Provider),
        (503, "leak", Blame::Outage),
    ] {
        let body = json!({"error": error, "error_description": format!("Parent token is disabled: {REFRESH}")});
        provider.set("/oauth/token", Reply::new(status, "application/json", body.to_string()));
        assert_eq!(refresh(&client, None).await.unwrap_err().blame(), blame, "{status} {error}");
    }
}

#[tokio::test]
async fn revoking_sends_the_token_and_takes_an_empty_answer() {
    let provider = FakeProvider::start().await;
    let orcid = client(settings(&provider));
    orcid.revoke(ACCESS).await.unwrap();
    let form = provider.seen("/oauth/revoke").pop().unwrap().form;
    assert_eq!((form["token"].as_str(), form["client_secret"].as_str()), (ACCESS, SECRET));
    assert!(!form.contains_key("token_type_hint"));
    for (reply, blame) in [
        (Reply::new(503, "text/html", "leak"), Blame::Outage),
        (Reply::new(401, "application/json", r#"{"error":"invalid_client"}"#), Blame::Registration),
        (Reply::new(400, "application/json", r#"{"error":"unsupported_token_type"}"#), Blame::Provider),
        (Reply::new(302, "text/html", "").with("Location", "/leak"), Blame::Provider),
        (Reply { hang_up: true, ..Reply::new(200, "", "") }, Blame::Outage),
    ] {
        provider.set("/oauth/revoke", reply);
        let outcome = orcid.revoke(ACCESS).await;
        shows_no_secret(&outcome);
        assert_eq!(outcome.unwrap_err().blame(), blame);
    }
    assert!(provider.seen("/leak").is_empty());
}

#[tokio::test]
async fn elsewhere_tokens_are_revoked_where_the_document_says() {
    let provider = FakeProvider::start().await;
    assert_eq!(client(other(&provider)).revoke(ACCESS).await.err(), Some(OrcidTrouble::CannotRevoke));
    let mut document = provider.discovery();
    document["revocation_endpoint"] = json!(format!("{}/take-back", provider.base));
    provider.set("/.well-known/openid-configuration", Reply::json(&document));
    provider.set("/take-back", Reply::new(200, "text/plain", ""));
    client(other(&provider)).revoke(REFRESH).await.unwrap();
    assert_eq!(provider.seen("/take-back")[0].form["token"], REFRESH);
}
