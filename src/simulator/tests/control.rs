//! The control address through a real socket: what it changes, whom it refuses, what it says of mistakes.

use super::*;
use crate::simulator::lies;
use serde_json::{Value, json};

/// A simulator with a control address, and the header that opens it.
async fn controlled() -> (SimulatorHandle, SocketAddr, String) {
    let (mut settings, _) = settings();
    settings.control = Some("127.0.0.1:0".parse().unwrap());
    let simulator = Simulator::start(settings).await.unwrap();
    let control = simulator.control.clone().unwrap();
    (simulator, control.local_addr, format!("Bearer {}", control.token))
}

async fn tell(at: SocketAddr, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let reply = send(at, method, path, &[("Authorization", token)], &body).await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn switches_and_lies_are_set_all_or_none_and_set_back() {
    let (simulator, at, token) = controlled().await;
    let value = |table: &Value, name: &str| {
        let rows = table.as_array().unwrap();
        rows.iter().find(|row| row["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
    };
    let changes = json!({"profile": "legacy", "deny-description": false, "latency": 1, "answer.jwks": "html"});
    let (status, table) = tell(at, &token, "PATCH", "/switches", &changes).await;
    assert_eq!((status, value(&table, "profile"), value(&table, "latency")), (200, "legacy".into(), "1".into()));
    assert_eq!((value(&table, "deny-description"), value(&table, "answer.jwks")), ("off".into(), "html".into()));
    assert!(send(simulator.local_addr, "GET", "/oauth/jwks", &[], "").await.body.starts_with("<!doctype"));

    let (status, complaint) = tell(at, &token, "PATCH", "/switches", &json!({"amr": "array", "latancy": 3})).await;
    assert_eq!(status, 400);
    assert_eq!(complaint["error"]["expected"], "did you mean latency?");
    let (_, table) = tell(at, &token, "GET", "/switches", &Value::Null).await;
    assert_eq!(value(&table, "amr"), "string", "none of a change with a mistake");

    let (_, told) = tell(at, &token, "PUT", "/lies/id-token-alg-none", &Value::Null).await;
    assert_eq!(told, json!({"told": ["id-token-alg-none"]}));
    assert_eq!(tell(at, &token, "PUT", "/lies/nothing", &Value::Null).await.0, 400);
    let (_, told) = tell(at, &token, "DELETE", "/lies/id-token-alg-none", &Value::Null).await;
    assert_eq!(told, json!({"told": []}));
    let (_, all) = tell(at, &token, "GET", "/lies", &Value::Null).await;
    assert_eq!(all.as_array().unwrap().len(), lies().count());

    tell(at, &token, "DELETE", "/switches", &Value::Null).await;
    assert_eq!(*simulator.switches(), crate::simulator::Switches::default());
}

#[tokio::test]
async fn people_clients_keys_and_outages_are_changed() {
    let (simulator, at, token) = controlled().await;
    let ordinary = format!("/people/{}", people::ORDINARY);
    let code = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "openid", ""), people::ORDINARY).await;
    exchange(&simulator, &code).await;
    let (_, live) = tell(at, &token, "GET", &format!("{ordinary}/tokens"), &Value::Null).await;
    assert_eq!(live, json!({MEMBER_CLIENT: ["openid"]}));
    let (_, ended) = tell(at, &token, "POST", &format!("{ordinary}/withdraw"), &json!({"client": MEMBER_CLIENT})).await;
    assert_eq!((ended, simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).len()), (json!({"ended": 1}), 0));

    let change = json!({"state": "locked", "credit": "R. A.", "family": null});
    let (_, person) = tell(at, &token, "PATCH", &ordinary, &change).await;
    assert_eq!(
        (&person["state"], &person["credit"], &person["family"]),
        (&json!("locked"), &json!("R. A."), &Value::Null)
    );
    assert_eq!(person["given"], "Rowan", "what is not named stays");
    assert_eq!(tell(at, &token, "PATCH", &ordinary, &json!({"password": "x"})).await.0, 400);
    assert_eq!(tell(at, &token, "PATCH", "/people/0000-0002-1825-0097", &json!({})).await.0, 404);

    let client = json!({"id": "APP-ABCDEFGHIJKLMNOP", "secret": "s", "name": "N", "redirect_uris": [CALLBACK]});
    assert_eq!(tell(at, &token, "POST", "/clients", &client).await.0, 200);
    let reply = send(
        simulator.local_addr,
        "GET",
        &format!("/oauth/authorize?{}", ask("APP-ABCDEFGHIJKLMNOP", "openid", "")),
        &[],
        "",
    )
    .await;
    assert!(reply.body.contains("signin-button"));
    let wrong = json!({"id": "x", "secret": "s", "name": "N", "redirect_uris": []});
    assert_eq!(tell(at, &token, "POST", "/clients", &wrong).await.0, 400);

    let (_, keys) = tell(at, &token, "POST", "/keys", &json!({"overlap": true})).await;
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    let (_, out) = tell(at, &token, "POST", "/outage", &json!({"outage": "unavailable"})).await;
    assert_eq!(out, json!({"outage": "unavailable"}));
    assert_eq!(send(simulator.local_addr, "GET", "/", &[], "").await.status, 503);
    tell(at, &token, "POST", "/outage", &json!({"outage": null})).await;
    assert_eq!(send(simulator.local_addr, "GET", "/", &[], "").await.status, 200);
    let (_, calls) = tell(at, &token, "GET", "/calls", &Value::Null).await;
    assert_eq!((&calls["counts"]["token"], &calls["counts"]["front"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn strangers_pages_and_nonsense_are_refused() {
    let (simulator, at, token) = controlled().await;
    let open = ("Authorization", &*token);
    for (headers, status) in [
        (vec![], 401),
        (vec![("Authorization", "Bearer wrong")], 401),
        (vec![open, ("Origin", "https://evil.example")], 403),
        (vec![open, ("Sec-Fetch-Site", "cross-site")], 403),
        (vec![open], 200),
    ] {
        assert_eq!(send(at, "GET", "/switches", &headers, "").await.status, status, "{headers:?}");
    }
    let index = send(at, "GET", "/", &[open], "").await;
    assert!(index.body.contains("PATCH /switches"));
    assert_eq!(send(at, "GET", "/nothing", &[open], "").await.status, 404);
    assert_eq!(send(at, "DELETE", "/calls", &[open], "").await.status, 405);
    assert_eq!(send(at, "PATCH", "/switches", &[open], "{not json").await.status, 400);
    assert_eq!(send(at, "PATCH", "/switches", &[open], &"x".repeat(70_000)).await.status, 413);
    // It is another listener: neither answers for the other.
    assert_eq!(send(simulator.local_addr, "GET", "/switches", &[open], "").await.status, 404);
    assert_eq!(send(at, "GET", "/oauth/jwks", &[open], "").await.status, 404);
    let (mut settings, _) = settings();
    settings.control = Some("0.0.0.0:0".parse().unwrap());
    assert!(Simulator::start(settings).await.is_err(), "loopback only");
}

/// Whoever follows what must not be followed gets what they hoped for, or nobody would notice that they did.
#[tokio::test]
async fn what_tempts_a_careless_client_leads_somewhere() {
    let (simulator, ..) = controlled().await;
    let at = simulator.local_addr;
    let honest = send(at, "GET", "/oauth/jwks", &[], "").await.body;
    simulator.set("answer.jwks", "redirect").await.unwrap();
    let away = send(at, "GET", "/oauth/jwks", &[], "").await;
    assert_eq!(away.status, 307);
    let there = send(at, "GET", away.location(), &[], "").await;
    assert_eq!((there.status, &*there.body), (200, &*honest));

    simulator.set("lie", "id-token-embedded-address").await.unwrap();
    let before = simulator.calls("foreign-keys");
    let foreign = send(at, "GET", "/oauth/jwks/foreign", &[], "").await.json();
    let published: Value = serde_json::from_str(&honest).unwrap();
    assert_eq!(foreign["keys"][0]["kid"], published["keys"][0]["kid"]);
    assert_ne!(foreign["keys"][0]["n"], published["keys"][0]["n"]);
    assert!(foreign["keys"][0]["n"].is_string());
    assert_eq!(simulator.calls("foreign-keys"), before + 1);
}
