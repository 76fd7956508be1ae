//! Starting, stopping, failing on request, rotating keys, and the bounds.

use super::*;
use crate::simulator::{ClientState, Outage, SimulatedClient};
use std::io;
use std::time::Duration;

#[tokio::test]
async fn any_address_but_loopback_is_refused() {
    for listen in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
        let (mut settings, _) = settings();
        settings.listen = listen.parse().unwrap();
        let error = Simulator::start(settings).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{listen}");
        assert!(error.to_string().contains("loopback only"), "{error}");
    }
}

#[tokio::test]
async fn unusable_settings_are_refused() {
    for base in ["127.0.0.1", "ftp://x", "http://x/path", "http://user@x", "HTTP://x", "http://x:80"] {
        let (mut settings, _) = settings();
        settings.public_base = Some(base.to_owned());
        assert!(Simulator::start(settings).await.is_err(), "{base}");
    }
    let (mut with_key, _) = settings();
    with_key.key = Some(SigningKeyPem::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
    assert!(Simulator::start(with_key).await.unwrap_err().to_string().contains("signing key"));
    let (mut with_client, _) = settings();
    with_client.clients = vec![SimulatedClient::new("app", "s", "n", false, &[])];
    assert!(Simulator::start(with_client).await.is_err());
}

#[tokio::test]
async fn addresses_come_from_the_public_base_never_from_the_host_header() {
    let (mut settings, _) = settings();
    settings.public_base = Some("https://orcid.localhost:{port}/".to_owned());
    let simulator = Simulator::start(settings).await.unwrap();
    let base = format!("https://orcid.localhost:{}", simulator.local_addr.port());
    assert_eq!(simulator.base_url, base);
    let reply = send(simulator.local_addr, "GET", "/trusted-organisations", &[("X-Forwarded-Host", "evil")], "").await;
    assert_eq!(reply.location(), format!("{base}/signin"));
    let page = send(simulator.local_addr, "GET", "/", &[], "").await;
    assert!(page.header("set-cookie").unwrap().ends_with("; Secure"));
}

#[tokio::test]
async fn stop_ends_at_once_and_frees_the_port() {
    let (simulator, _) = start().await;
    let at = simulator.local_addr;
    let mut idle = TcpStream::connect(at).await.unwrap();
    simulator.stop().await;
    assert!(TcpStream::connect(at).await.is_err());
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "an idle connection is cut");
    let (mut again, _) = settings();
    again.listen = at;
    Simulator::start(again).await.unwrap().stop().await;
}

#[tokio::test]
async fn outages_come_and_go() {
    let (simulator, _) = start().await;
    let at = simulator.local_addr;
    simulator.set_outage(Some(Outage::Unavailable)).await.unwrap();
    assert_eq!(send(at, "GET", "/.well-known/openid-configuration", &[], "").await.status, 503);
    simulator.set_outage(Some(Outage::Refuse)).await.unwrap();
    assert_eq!(TcpStream::connect(at).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    simulator.set_outage(Some(Outage::Refuse)).await.unwrap();
    simulator.set_outage(Some(Outage::Hang)).await.unwrap();
    let hanging = tokio::spawn(async move { send(at, "GET", "/oauth/jwks", &[], "").await });
    while simulator.calls("jwks") == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!hanging.is_finished());
    simulator.set_outage(None).await.unwrap();
    assert_eq!(hanging.await.unwrap().status, 200);
    assert_eq!((simulator.calls("discovery"), simulator.calls("jwks"), simulator.calls("token")), (1, 1, 0));
    let log = simulator.log();
    assert_eq!((log[0].endpoint, log[0].status.map(|status| status.as_u16())), ("discovery", Some(503)));
    assert_eq!(simulator.local_addr, at);
}

#[tokio::test]
async fn keys_rotate_with_and_without_overlap() {
    let (simulator, _) = start().await;
    let code = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "openid", ""), people::ORDINARY).await;
    let old = exchange(&simulator, &code).await.json()["id_token"].as_str().unwrap().to_owned();
    simulator.rotate_key(true).await.unwrap();
    let published = async || {
        send(simulator.local_addr, "GET", "/oauth/jwks", &[], "").await.json()["keys"].as_array().unwrap().len()
    };
    assert_eq!(published().await, 2);
    assert!(super::flow::verified(&simulator, &old).await.is_some());
    let code = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "openid", ""), people::MONONYM).await;
    let new = exchange(&simulator, &code).await.json()["id_token"].as_str().unwrap().to_owned();
    assert!(super::flow::verified(&simulator, &new).await.is_some());
    assert_ne!(old.split('.').next(), new.split('.').next(), "another kid");
    simulator.rotate_key_to(Some(key()), false).await.unwrap();
    assert_eq!(published().await, 1);
    assert!(super::flow::verified(&simulator, &new).await.is_none());
    assert!(super::flow::verified(&simulator, &old).await.is_some(), "a shared key keeps its kid");
}

#[tokio::test]
async fn clients_can_be_registered_locked_and_deactivated_while_it_runs() {
    let (simulator, _) = start().await;
    let mut client =
        SimulatedClient::new("APP-NEWCOMER00000000", "secret", "Newcomer", false, &["http://127.0.0.1:1/cb"]);
    client.onward_origins = vec!["https://app.example".to_owned(), "https://evil.example; script-src *".to_owned()];
    simulator.register(client.clone()).unwrap();
    let query = "client_id=APP-NEWCOMER00000000&response_type=code&scope=openid&redirect_uri=http://127.0.0.1:1/cb/x";
    let target = format!("/oauth/authorize?{query}");
    let page = send(simulator.local_addr, "GET", &target, &[], "").await;
    let csp = page.header("content-security-policy").unwrap();
    assert!(csp.contains("form-action 'self' http://127.0.0.1:1 https://app.example;"), "{csp}");
    for (state, word) in [(ClientState::Locked, "client_locked"), (ClientState::Deactivated, "client_deactivated")] {
        simulator.register(SimulatedClient { state, ..client.clone() }).unwrap();
        assert!(send(simulator.local_addr, "GET", &target, &[], "").await.body.contains(word));
        let body = "client_id=APP-NEWCOMER00000000&client_secret=secret&grant_type=authorization_code&code=x";
        let reply = post(simulator.local_addr, "/oauth/token", body).await;
        assert_eq!((reply.status, reply.json()["error"].as_str()), (400, Some("unauthorized_client")));
    }
    assert!(simulator.register(SimulatedClient { id: "x".into(), ..client }).is_err());
}

#[tokio::test]
async fn a_body_beyond_64_kib_is_refused() {
    let (simulator, _) = start().await;
    let at = simulator.local_addr;
    let mut stream = TcpStream::connect(at).await.unwrap();
    let head =
        format!("POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: 65537\r\n\r\n", FORM.1);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'a'; 65_537]).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn connections_that_say_nothing_or_no_more_are_cut() {
    let (simulator, _) = start().await;
    let mut silent = TcpStream::connect(simulator.local_addr).await.unwrap();
    let mut stalled = TcpStream::connect(simulator.local_addr).await.unwrap();
    stalled.write_all(b"PRI * HT").await.unwrap();
    let mut idle = TcpStream::connect(simulator.local_addr).await.unwrap();
    idle.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    idle.read_exact(&mut [0; 64]).await.unwrap();
    // From here time passes as fast as nothing else happens.
    tokio::time::pause();
    for stream in [&mut silent, &mut stalled, &mut idle] {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(120), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok());
    }
}

#[tokio::test]
async fn it_speaks_tls() {
    let authority = rcgen::generate_simple_self_signed(["orcid.localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(authority.signing_key.serialize_der());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![authority.cert.der().clone()], key.into())
        .unwrap();
    let (mut settings, _) = settings();
    settings.tls = Some(Arc::new(server));
    let simulator = Simulator::start(settings).await.unwrap();
    assert!(simulator.base_url.starts_with("https://127.0.0.1:"));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(simulator.local_addr).await.unwrap();
    let name = "orcid.localhost".try_into().unwrap();
    let mut stream = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    stream.write_all(b"GET /oauth/jwks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}
