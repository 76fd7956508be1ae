//! `simulator` in a process of its own: it stands by itself, behaves as it is told on the command line and at its
//! control address, and says plainly what it cannot do.

use super::child::{self, Child, listener, lychgate, run};
use crate::campus::browser::{Browser, Network};
use crate::campus::temp;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_simulator_stands_by_itself() {
    let folder = temp::directory();
    let redirect = "https://app.localhost:8443/callback";
    let arguments = ["simulator", "--listen", "127.0.0.1:0", "--ready-json", "--redirect-uri", redirect];
    let mut simulator = Child::start(lychgate(folder.path(), arguments));
    let ready = simulator.ready();
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["pid"], simulator.pid());
    let address = listener(&ready, "simulator");
    let base = ready["urls"]["simulator"].as_str().expect("a text").to_owned();
    assert_eq!(base, format!("http://{address}"));
    let people = ready["people"].as_array().expect("a list");
    assert!(people.len() > 5 && people.iter().all(|person| person["password"].is_string()), "{ready}");

    let nobody = Arc::new(rustls::RootCertStore::empty());
    let browser = Browser::new(Arc::new(Network::new(address, nobody)));
    let discovery = browser.get(&format!("{base}/.well-known/openid-configuration")).by_tool().send().await;
    assert_eq!(discovery.assert_status(200).json()["issuer"], base.as_str());
    let ask = format!(
        "{base}/oauth/authorize?client_id=APP-SIMULATEDPUBLIC0&response_type=code&scope=openid&redirect_uri={redirect}"
    );
    browser.open(&ask).await.assert_status(200).assert_says("Sign in to ORCID").assert_says("SIMULATED");

    let ended = simulator.stop();
    ended.assert_code(0);
    assert_eq!(ended.stdout.lines().count(), 1);
    let secrets = ["51a7ed00-0000-4000-8000-000000000001", "51a7ed00-0000-4000-8000-000000000002"];
    for shown in ["SIMULATED", "APP-SIMULATEDPUBLIC0", "APP-SIMULATEDMEMBER0"].into_iter().chain(secrets) {
        assert!(ended.stderr.contains(shown), "{}", ended.stderr);
    }
    assert_eq!(child::everything_in(folder.path()), [""; 0], "it leaves nothing behind");
}

#[test]
fn broken_clients_of_the_simulator_are_complained_about() {
    let folder = temp::directory();
    temp::write(
        folder.path(),
        "clients.toml",
        "[[client]]\nid = \"APP-1\"\nsecret = \"\"\nname = \"Test\"\nredirect_uris = []\n",
    );
    let ended = run(folder.path(), ["simulator", "--listen", "127.0.0.1:0", "--clients", "clients.toml"]);
    ended.assert_code(2).assert_complains(&["clients.toml", "APP-1", "the clients cannot be used"]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("a bound socket has an address").to_string();
    run(folder.path(), ["simulator", "--listen", &address]).assert_code(2).assert_complains(&["in use"]);
}

/// What the command line says twice over: `--set`, `--lie`, and the tables.
#[test]
fn mistaken_switches_and_lies_are_complained_about_all_at_once() {
    let folder = temp::directory();
    let wrong =
        ["--set", "prifile=legacy", "--set", "amr=sometimes", "--set", "latency", "--lie", "id-token-nonse-other"];
    let ended = run(folder.path(), ["simulator", "--listen", "127.0.0.1:0"].iter().chain(&wrong));
    ended.assert_code(2).assert_complains(&[
        "did you mean profile?",
        "string | array | absent",
        "NAME=VALUE",
        "did you mean id-token-nonce-other?",
    ]);
    let tables = run(folder.path(), ["simulator", "--switches", "--lies"]);
    tables.assert_code(0).assert_says(&["profile=2026", "answer.token=usual", "id-token-alg-none", "T49"]);
    let help = run(folder.path(), ["simulator", "--help"]);
    help.assert_code(0);
    for view in lychgate::simulator::Switches::default().table() {
        assert!(help.stdout.contains(&view.name), "--help does not name {}", view.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_behaves_as_told_from_the_start_and_while_it_runs() {
    let folder = temp::directory();
    let at = "127.0.0.1:0";
    let mut arguments = vec!["simulator", "--listen", at, "--pub-listen", at, "--api-listen", at, "--control", at];
    arguments.extend(["--ready-json", "--set", "pkce=S256", "--lie", "discovery-issuer-slash"]);
    let mut simulator = Child::start(lychgate(folder.path(), arguments));
    let ready = simulator.ready();
    let address =
        |name: &str| ready["urls"][name].as_str().unwrap_or_else(|| panic!("no {name} in {ready}")).to_owned();
    let nobody = Arc::new(rustls::RootCertStore::empty());
    let browser_of = |name: &str| Browser::new(Arc::new(Network::new(listener(&ready, name), nobody.clone())));
    let (root, control) = (browser_of("simulator"), browser_of("control"));
    let discovery = format!("{}/.well-known/openid-configuration", address("simulator"));
    let document = root.get(&discovery).by_tool().send().await.assert_status(200).json();
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["issuer"], format!("{}/", address("simulator")));

    let bearer = format!("Bearer {}", ready["control_token"].as_str().expect("a text"));
    let switches = format!("{}switches", address("control"));
    control.get(&switches).by_tool().send().await.assert_status(401);
    let table =
        control.get(&switches).by_tool().header("authorization", &bearer).send().await.assert_status(200).json();
    let value = |name: &str| {
        let found = table.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == name));
        found.map_or(Value::Null, |row| row["value"].clone())
    };
    assert_eq!((value("pkce"), value("lie")), (json!("S256"), json!("discovery-issuer-slash")));

    let record = format!("{}/v3.0/0009-9999-0000-0019/person", address("public_api"));
    let person = browser_of("public_api").get(&record).by_tool().header("accept", "application/json").send().await;
    assert_eq!(person.assert_status(200).json()["name"]["given-names"]["value"], "Rowan");
    let member = format!("{}/v3.0/0009-9999-0000-0019/person", address("member_api"));
    browser_of("member_api").get(&member).by_tool().send().await.assert_status(403);

    let ended = simulator.stop();
    ended.assert_code(0);
    assert!(ended.stderr.contains("control http://"), "people are told, too\n{}", ended.stderr);
}
