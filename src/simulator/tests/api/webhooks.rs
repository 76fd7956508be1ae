//! Webhooks from the registration to the delivery (`orcid.md` §7).

use super::*;
use crate::simulator::WebhookOutcome::{self, Delivered, MadeToFail, NotHere, Refused, Unanswered};
use crate::simulator::{SimulatedClient, clients};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::VecDeque;
use std::sync::Mutex;
use tokio::net::TcpListener;

/// Takes deliveries, answers as told and then always 204, and remembers what it was sent.
struct Receiver {
    at: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn open(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut answers) = (heard.clone(), VecDeque::from(answers.to_vec()));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = String::new();
                let mut piece = [0; 1_024];
                while !request.contains("\r\n\r\n") {
                    let read = stream.read(&mut piece).await.unwrap_or(0);
                    if read == 0 {
                        break;
                    }
                    request.push_str(&String::from_utf8_lossy(&piece[..read]));
                }
                kept.lock().unwrap().push(request);
                let status = answers.pop_front().unwrap_or(204);
                let _ = stream.write_all(format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n").as_bytes()).await;
            }
        });
        Self { at, heard }
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().unwrap())
    }
}

fn path(orcid: &str, address: &str) -> String {
    format!("/{orcid}/webhook/{}", utf8_percent_encode(address, NON_ALPHANUMERIC))
}

async fn ask_for(at: SocketAddr, method: &str, path: &str, token: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", &*bearer), ("Accept", "application/json"), ("Content-Length", "0")];
    send(at, method, path, &headers, "").await
}

async fn run(orcid: &Orcid) -> Vec<(WebhookOutcome, Option<u16>)> {
    orcid.simulator.run_webhooks().await.into_iter().map(|delivery| (delivery.outcome, delivery.status)).collect()
}

/// Has the person change something: another token pair is a change.
async fn change(orcid: &Orcid, person: &str) {
    orcid.granted(PUBLIC_CLIENT, PUBLIC_SECRET, "openid", person).await;
}

#[tokio::test]
async fn a_client_registers_hears_of_changes_and_takes_it_back() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/webhook").await;
    let receiver = Receiver::open(&[]).await;
    let hook = path(people::ORDINARY, &format!("http://{}/hook?iD={}&secret=s%2F1", receiver.at, people::ORDINARY));
    let made = ask_for(orcid.member, "PUT", &hook, &token).await;
    let base = &orcid.simulator.member_api.as_ref().unwrap().base_url;
    assert_eq!((made.status, &*made.body, made.location()), (201, "", &*format!("{base}{hook}")));
    assert_eq!(ask_for(orcid.root, "PUT", &hook, &token).await.status, 204, "there already, on the shared base, too");
    assert_eq!(run(&orcid).await, [], "nothing has changed since");
    change(&orcid, people::CREDIT_NAME).await;
    assert_eq!(run(&orcid).await, [], "somebody else's record");
    change(&orcid, people::ORDINARY).await;
    assert_eq!(run(&orcid).await, [(Delivered, Some(204))]);
    let heard = receiver.heard();
    let (line, rest) = heard[0].split_once("\r\n").unwrap();
    assert_eq!(line, format!("POST /hook?iD={}&secret=s%2F1 HTTP/1.1", people::ORDINARY));
    let mut names: Vec<String> =
        rest.lines().filter_map(|line| Some(line.split_once(':')?.0.to_ascii_lowercase())).collect();
    names.sort();
    assert_eq!(names, ["content-length", "host"], "no name, no signature, no body");
    assert_eq!((run(&orcid).await, receiver.heard().len()), (vec![], 0), "once for each change");
    orcid.simulator.revoke_by_user(id(people::ORDINARY), PUBLIC_CLIENT);
    assert_eq!(run(&orcid).await, [], "a withdrawal is no change of the record");
    assert_eq!(ask_for(orcid.member, "DELETE", &hook, &token).await.status, 204);
    change(&orcid, people::ORDINARY).await;
    assert_eq!(run(&orcid).await, []);
}

#[tokio::test]
async fn failures_wait_longer_each_time_and_a_busy_client_is_left_alone() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/webhook").await;
    let receiver = Receiver::open(&[500, 302, 204, 429]).await;
    let hook = path(people::ORDINARY, &format!("{}/a", receiver.at));
    assert_eq!(ask_for(orcid.member, "PUT", &hook, &token).await.status, 201, "an address without a scheme");
    change(&orcid, people::ORDINARY).await;
    assert_eq!(run(&orcid).await, [(Refused, Some(500))]);
    assert_eq!(run(&orcid).await, []);
    orcid.clock.advance(600);
    assert_eq!(run(&orcid).await, [(Refused, Some(302))], "a redirect is not followed");
    orcid.clock.advance(600);
    assert_eq!(run(&orcid).await, []);
    orcid.clock.advance(600);
    assert_eq!(run(&orcid).await, [(Delivered, Some(204))]);
    // Two of one client: the first is told to wait, the second is not even tried, nor blamed.
    let second = path(people::ORDINARY, &format!("http://{}/b", receiver.at));
    assert_eq!(ask_for(orcid.member, "PUT", &second, &token).await.status, 201);
    receiver.heard();
    change(&orcid, people::ORDINARY).await;
    assert_eq!(run(&orcid).await, [(Refused, Some(429))]);
    assert_eq!(receiver.heard().len(), 1);
    assert_eq!(run(&orcid).await, [(Delivered, Some(204))], "in the next run the other one is told");
}

#[tokio::test]
async fn nothing_leaves_this_machine_and_failures_can_be_made() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/webhook").await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let receiver = Receiver::open(&[]).await;
    for address in
        ["https://campus.example/hook".to_owned(), format!("http://{closed}/"), format!("http://{}/", receiver.at)]
    {
        assert_eq!(ask_for(orcid.member, "PUT", &path(people::ORDINARY, &address), &token).await.status, 201);
    }
    change(&orcid, people::ORDINARY).await;
    let mut outcomes = run(&orcid).await;
    outcomes.sort_by_key(|outcome| format!("{outcome:?}"));
    assert_eq!(outcomes, [(Delivered, Some(204)), (NotHere, None), (Unanswered, None)]);
    orcid.simulator.set("webhook-failures", "1").await.unwrap();
    change(&orcid, people::ORDINARY).await;
    receiver.heard();
    assert_eq!((run(&orcid).await, receiver.heard().len()), (vec![(MadeToFail, None)], 0));
    orcid.clock.advance(600);
    assert!(run(&orcid).await.contains(&(Delivered, Some(204))));
}

#[tokio::test]
async fn an_https_address_of_this_machine_is_told_whoever_signed_its_certificate() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/webhook").await;
    let made = rcgen::generate_simple_self_signed(vec!["gate.localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap();
        let asked_for = stream.get_ref().1.server_name().map(str::to_owned);
        let mut piece = [0; 1_024];
        let read = stream.read(&mut piece).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
        (asked_for, String::from_utf8_lossy(&piece[..read]).into_owned())
    });
    let hook = path(people::ORDINARY, &format!("https://gate.localhost:{port}/x"));
    assert_eq!(ask_for(orcid.member, "PUT", &hook, &token).await.status, 201);
    change(&orcid, people::ORDINARY).await;
    assert_eq!(run(&orcid).await, [(Delivered, Some(200))]);
    let (asked_for, request) = served.await.unwrap();
    assert_eq!(asked_for.as_deref(), Some("gate.localhost"));
    assert!(request.contains(&format!("host: gate.localhost:{port}\r\n")), "{request}");
}

#[tokio::test]
async fn registrations_that_are_wrong_are_refused() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/webhook").await;
    let all = orcid.everybody().await;
    let other = SimulatedClient::new("APP-ANOTHERMEMBER000", "another", "Another", true, &[CALLBACK]);
    orcid.simulator.register(other).unwrap();
    let others = client_token(&orcid.simulator, "APP-ANOTHERMEMBER000", "another", "/webhook").await;
    let hook = path(people::ORDINARY, "http://127.0.0.1:9/");
    assert_eq!(ask_for(orcid.member, "PUT", &hook, &token).await.status, 201);
    let unknown = path("0009-9999-9999-9992", "http://127.0.0.1:9/");
    let (bad, gone) = (path(people::ORDINARY, "not an address"), path(people::ORDINARY, "http://127.0.0.1:10/"));
    for (at, method, target, token, status, code) in [
        (orcid.member, "PUT", &bad, &token, 400, 9012),
        (orcid.member, "PUT", &unknown, &token, 404, 9011),
        (orcid.member, "DELETE", &unknown, &token, 404, 9011),
        (orcid.member, "DELETE", &gone, &token, 404, 9028),
        (orcid.member, "DELETE", &hook, &others, 403, 9014),
        (orcid.member, "PUT", &hook, &all.read_public, 403, 9038),
        (orcid.member, "PUT", &hook, &all.trusted, 403, 9038),
        (orcid.member, "PUT", &hook, &all.public_client, 401, 9017),
        (orcid.root, "PUT", &hook, &all.public_client, 401, 9017),
        (orcid.member, "GET", &hook, &token, 405, 9001),
        (orcid.public, "PUT", &hook, &token, 404, 9001),
        (orcid.member, "PUT", &format!("/{}/webhook/http://127.0.0.1:9/x", people::ORDINARY), &token, 404, 9001),
    ] {
        let reply = ask_for(at, method, target, token).await;
        assert_eq!((reply.status, reply.json()["error-code"].as_u64()), (status, Some(code)), "{method} {target}");
    }
    let says = |reply: Reply| reply.json()["developer-message"].as_str().unwrap().to_owned();
    let bad = says(ask_for(orcid.member, "PUT", &bad, &token).await);
    assert!(bad.ends_with("Full validation error: Webhook uri: not an address is syntactically incorrect"), "{bad}");
    let gone = says(ask_for(orcid.member, "DELETE", &gone, &token).await);
    assert_eq!(gone, format!("No webhook found for orcid={}, and uri=http://127.0.0.1:10/.", people::ORDINARY));
    assert_eq!(send(orcid.member, "PUT", &hook, &[], "").await.status, 403);
    let form = [("Authorization", &*format!("Bearer {token}")), FORM];
    assert_eq!(send(orcid.member, "PUT", &hook, &form, "").await.status, 415);
    // A client that ORCID has deactivated hears nothing.
    let mut library = clients::default_clients(&[CALLBACK]).remove(1);
    library.state = crate::simulator::ClientState::Deactivated;
    orcid.simulator.register(library).unwrap();
    change(&orcid, people::ORDINARY).await;
    assert_eq!(run(&orcid).await, []);
}

#[tokio::test]
async fn runs_come_by_themselves_and_on_demand_at_the_control_address() {
    let (mut settings, clock) = settings();
    settings.control = Some("127.0.0.1:0".parse().unwrap());
    let simulator = Simulator::start(settings).await.unwrap();
    let receiver = Receiver::open(&[]).await;
    let token = client_token(&simulator, MEMBER_CLIENT, MEMBER_SECRET, "/webhook").await;
    let hook = path(people::ORDINARY, &format!("http://{}/", receiver.at));
    assert_eq!(ask_for(simulator.local_addr, "PUT", &hook, &token).await.status, 201);
    let control = simulator.control.clone().unwrap();
    let open = format!("Bearer {}", control.token);
    let renamed = async || {
        let person = format!("/people/{}", people::ORDINARY);
        send(control.local_addr, "PATCH", &person, &[("Authorization", &open)], r#"{"credit":"R. A."}"#).await
    };
    assert_eq!(renamed().await.status, 200);
    let told = send(control.local_addr, "POST", "/webhooks", &[("Authorization", &open)], "").await.json();
    let delivery = &told["deliveries"][0];
    assert_eq!((&delivery["outcome"], &delivery["status"]), (&"delivered".into(), &204.into()));
    assert_eq!((&delivery["orcid"], &delivery["client"]), (&people::ORDINARY.into(), &MEMBER_CLIENT.into()));
    assert_eq!(receiver.heard().len(), 1);
    // By itself once a period, by the simulator's own clock.
    assert_eq!(renamed().await.status, 200);
    clock.advance(300);
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if !receiver.heard().is_empty() {
            return;
        }
    }
    panic!("nobody was told within five seconds");
}
