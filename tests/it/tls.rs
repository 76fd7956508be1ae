//! The gate's own TLS (T82, T87, T91): versions, protocols, certificates by name and replaced while it runs, resumption
//! on every core; and the listeners beside it, which never answer for one another.

use crate::campus::http::{Agreed, Line, client_config, connect_tls, full};
use crate::campus::raw::{self, Raw, old_client_hello};
use crate::campus::temp::{self, Authority, Leaf};
use crate::campus::{Campus, LIBRARY, SIGN_IN};
use http::Request;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HOST: &str = "library.campus.example";
const SOON: Duration = Duration::from_secs(10);

/// A client that speaks these versions and protocols only.
fn config(roots: &Arc<RootCertStore>, versions: &[&'static SupportedProtocolVersion], alpn: &[&str]) -> ClientConfig {
    temp::install_provider();
    let builder = ClientConfig::builder_with_protocol_versions(versions);
    let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn shake(campus: &Campus, name: &str, config: ClientConfig) -> std::io::Result<Agreed> {
    connect_tls(campus.gate().addresses().gate, name, Arc::new(config)).await.map(|(_, agreed)| agreed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t82_tls_1_2_and_1_3_with_either_protocol() {
    let campus = Campus::open().await;
    let roots = campus.authority.roots();
    for (version, name) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for (alpn, h2) in
            [(&["h2", "http/1.1"][..], true), (&["http/1.1", "h2"], true), (&["h2"], true), (&["http/1.1"], false)]
        {
            let agreed = shake(&campus, HOST, config(&roots, &[version], alpn)).await.expect("the handshake succeeds");
            assert_eq!((agreed.version, agreed.h2), (Some(name), h2), "{alpn:?}");
        }
        // A client that knows no ALPN speaks HTTP/1.1.
        let address = campus.gate().addresses().gate;
        let mut raw =
            Raw::tls_with(address, HOST, config(&roots, &[version], &[])).await.expect("the handshake succeeds");
        raw.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(raw.hear().await.status(), 200);
        shake(&campus, HOST, config(&roots, &[version], &["spdy/3"])).await.expect_err("nothing in common");
    }
    let both = shake(&campus, HOST, config(&roots, &[&TLS12, &TLS13], &["h2"])).await.expect("the handshake succeeds");
    assert_eq!(both.version, Some(ProtocolVersion::TLSv1_3));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t82_a_site_owner_may_insist_on_1_3() {
    let campus = Campus::build().replace("[tls]", "[tls]\nminimum = \"1.3\"").open().await;
    let roots = campus.authority.roots();
    shake(&campus, HOST, config(&roots, &[&TLS12], &["h2"])).await.expect_err("1.2 is not enough here");
    shake(&campus, HOST, config(&roots, &[&TLS13], &["h2"])).await.expect("1.3 is");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t82_tls_1_0_and_1_1_are_refused_with_an_alert() {
    let campus = Campus::open().await;
    for version in [0x0300, 0x0301, 0x0302] {
        let said = raw::exchange_plain(campus.gate().addresses().gate, old_client_hello(version, HOST)).await;
        assert!(said.closed, "{version:x}");
        assert!(said.bytes.is_empty() || said.bytes[0] == 21, "{version:x}: {:?}", said.bytes);
    }
    // Plain HTTP on the TLS port, and nonsense, fare no better.
    for bytes in [&b"GET / HTTP/1.1\r\nHost: library.campus.example\r\n\r\n"[..], &[0xff; 64]] {
        let said = raw::exchange_plain(campus.gate().addresses().gate, bytes).await;
        assert!(said.closed && said.statuses().is_empty(), "{}", said.text());
    }
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t82_no_or_an_unknown_server_name_gets_the_first_certificate_and_no_more() {
    let campus = Campus::open().await;
    let roots = campus.authority.roots();
    let address = campus.gate().addresses().gate;
    let mut nameless = config(&roots, &[&TLS13], &["http/1.1"]);
    nameless.enable_sni = false;
    for (host, status) in [(HOST, 200), ("nobody.campus.example", 421), ("library.elsewhere.example", 421)] {
        let mut raw = Raw::tls_with(address, HOST, nameless.clone()).await.expect("the handshake succeeds");
        raw.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
        assert_eq!(raw.hear().await.status(), status, "{host}");
    }
    let wrong = shake(&campus, "library.elsewhere.example", config(&roots, &[&TLS13], &["h2"])).await;
    assert!(wrong.is_err(), "no certificate of ours covers that name, and a browser sees it");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_chosen_by_the_name_asked_for() {
    let files = temp::directory();
    let other = Authority::new();
    let (cert, key) = other.issue(&["journal.elsewhere.example", "*.press.example"]).write(files.path(), "journal");
    let second = format!("}}, {{ cert = \"{}\", key = \"{}\" }}]", cert.display(), key.display());
    let campus = Campus::build().replace("}]", &second).open().await;
    let names = async |name: &str, roots: &Arc<RootCertStore>| {
        shake(&campus, name, config(roots, &[&TLS13], &["h2"])).await.map(|agreed| agreed.names())
    };
    let (ours, theirs) = (campus.authority.roots(), other.roots());
    for name in [HOST, "gate.campus.example", "campus.example"] {
        assert_eq!(names(name, &ours).await.expect(name), ["*.campus.example", "campus.example"]);
    }
    for name in ["journal.elsewhere.example", "a.press.example"] {
        assert_eq!(names(name, &theirs).await.expect(name), ["journal.elsewhere.example", "*.press.example"]);
    }
    assert!(names("a.b.press.example", &theirs).await.is_err());
    campus.close().await;
}

/// The names in the leaf that a new connection is shown.
async fn shown(campus: &Campus) -> Vec<String> {
    let config = config(&campus.authority.roots(), &[&TLS13], &["h2"]);
    shake(campus, HOST, config).await.expect("the handshake succeeds").names()
}

/// Puts a leaf with these names into place until new connections are shown it. Nobody can see when the gate
/// begins to watch, so it is put there again after a while.
async fn replace(campus: &Campus, names: &[&str], put: impl Fn(&Leaf)) {
    let leaf = campus.authority.issue(names);
    let end = Instant::now() + 3 * SOON;
    while Instant::now() < end {
        put(&leaf);
        for _ in 0..40 {
            if shown(campus).await == names {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    panic!("still {:?}\n{}", shown(campus).await, campus.watch.lines_with("certificates").join("\n"));
}

async fn ops(campus: &Campus, start: &str) -> raw::Said {
    let request = format!("{start} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    raw::exchange_plain(campus.gate().addresses().ops, request).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t91_a_certificate_replaced_on_disk_is_shown_while_requests_flow_and_a_broken_one_never() {
    const FAILURES: &str = "lychgate_reload_failures_total{kind=\"certificates\"}";
    let campus = Campus::open().await;
    let stop = Arc::new(AtomicBool::new(false));
    let flowing = {
        let (stop, browser) = (stop.clone(), campus.browser());
        let (kept, fresh) = (browser.clone(), browser.without_reuse());
        tokio::spawn(async move {
            let mut served = 0;
            while !stop.load(Ordering::SeqCst) {
                for browser in [&kept, &fresh] {
                    browser.get(&format!("{LIBRARY}/")).send().await.assert_status(200);
                    served += 1;
                }
            }
            served
        })
    };
    let renewed = ["*.campus.example", "campus.example", "renewed.campus.example"];
    replace(&campus, &renewed, |leaf| drop(leaf.write(campus.folder(), "gate"))).await;

    // A certificate without its key, then no certificate at all: what was shown is still shown.
    let before = campus.metric(FAILURES).await;
    let stray = campus.authority.issue(&["stray.campus.example"]);
    for text in [stray.certificate.as_str(), "", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        temp::write(campus.folder(), "gate.pem", text);
        tokio::task::block_in_place(|| campus.gate().reload());
        assert_eq!(shown(&campus).await, renewed);
    }
    assert!(campus.metric(FAILURES).await >= before + 3.0);
    assert!(
        campus
            .metric(
                "lychgate_certificate_expiry_seconds{names=\"*.campus.example,campus.example,renewed.campus.example\"}"
            )
            .await
            > 3e9
    );

    // Mended by a rename, as tools that renew certificates do it.
    let mended = ["*.campus.example", "mended.campus.example"];
    let rename = |leaf: &Leaf| {
        let (cert, key) = leaf.write(campus.folder(), "next");
        std::fs::rename(key, campus.folder().join("gate.key")).expect("files can be renamed");
        std::fs::rename(cert, campus.folder().join("gate.pem")).expect("files can be renamed");
    };
    replace(&campus, &mended, rename).await;
    stop.store(true, Ordering::SeqCst);
    assert!(flowing.await.expect("every request was served") > 0);
    campus.close().await;
}

async fn front_page(line: &Line) {
    let request = Request::get(format!("{LIBRARY}/")).body(full("")).expect("a request");
    let answer = line.send(request).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    http_body_util::BodyExt::collect(answer.into_body()).await.expect("a whole answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t82_sessions_are_resumed_on_every_core_and_early_data_never() {
    let campus = Campus::build().replace("threads = 2", "threads = 4").open().await;
    let roots = campus.authority.roots();
    let address = campus.gate().addresses().gate;
    for version in [&TLS12, &TLS13] {
        let mut config = config(&roots, &[version], &["h2", "http/1.1"]);
        config.enable_early_data = true;
        let config = Arc::new(config);
        let mut resumed = 0;
        for _ in 0..40 {
            let line = Line::tls(address, HOST, config.clone()).await.expect("the handshake succeeds");
            resumed += usize::from(line.agreed().expect("over TLS").resumed);
            // The tickets come with the first answer.
            front_page(&line).await;
        }
        assert_eq!(
            resumed, 39,
            "{:?}: each connection after the first is resumed, whichever core takes it",
            version.version
        );
        let name = ServerName::try_from(HOST).expect("a name");
        let mut next = ClientConnection::new(config, name).expect("a client");
        assert!(next.early_data().is_none(), "{:?}: the gate invites to replayable requests", version.version);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t66_a_resumed_session_keeps_to_the_names_of_its_certificate() {
    // A ticket got for one name does not carry another certificate's names along.
    let files = temp::directory();
    let other = Authority::new();
    let (cert, key) = other.issue(&["journal.elsewhere.example"]).write(files.path(), "journal");
    let second = format!("}}, {{ cert = \"{}\", key = \"{}\" }}]", cert.display(), key.display());
    let campus = Campus::build().replace("}]", &second).open().await;
    let address = campus.gate().addresses().gate;
    let config = client_config(other.roots(), &["http/1.1"]);
    for round in 0..3 {
        let (stream, agreed) =
            connect_tls(address, "journal.elsewhere.example", config.clone()).await.expect("a handshake");
        assert_eq!(agreed.resumed, round > 0);
        let mut stream = stream;
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.expect("the gate listens");
        let mut answer = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut answer).await;
        assert!(answer.starts_with(b"HTTP/1.1 421"), "round {round}: {}", String::from_utf8_lossy(&answer));
    }
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plain_listener_redirects_known_hosts_and_nobody_else() {
    let campus = Campus::build().replace("threads = 2", "threads = 2\nhttp_listen = \"127.0.0.1:0\"").open().await;
    let plain: SocketAddr = campus.gate().addresses().http.expect("the listener is open");
    let ask = async |start: &str, host: &str| {
        let fields = format!("{start} HTTP/1.1\r\nHost: {host}\r\nX-Orcid-Id: 0000-0002-1825-0097\r\n\r\n");
        raw::exchange_plain(plain, fields).await
    };
    for (start, host, location) in [
        ("GET /", HOST, "https://library.campus.example/"),
        ("HEAD /a?b=%2F&&c", "LIBRARY.campus.example:80", "https://library.campus.example/a?b=%2F&&c"),
        ("GET /.lychgate/account", "gate.campus.example", "https://gate.campus.example/.lychgate/account"),
        ("GET //evil.example/x", HOST, "https://library.campus.example/"),
        ("GET /\\evil.example/x", HOST, "https://library.campus.example/"),
    ] {
        let said = ask(start, host).await;
        assert_eq!(said.status(), 308, "{start} {host}:\n{}", said.text());
        let text = said.text();
        let found = text.lines().find_map(|line| line.strip_prefix("location: "));
        assert_eq!(found, Some(location), "{start} {host}");
        assert!(said.closed);
    }
    for (start, host, status) in [
        ("GET /", "evil.example", 421),
        ("GET /", "nobody.campus.example", 421),
        ("GET /", "library.campus.example@evil.example", 400),
        ("GET /", "library.campus.example\r\nHost: evil.example", 400),
        ("POST /", HOST, 403),
        ("CONNECT library.campus.example:443", HOST, 403),
    ] {
        let said = ask(start, host).await;
        assert_eq!(said.status(), status, "{start} {host}:\n{}", said.text());
        assert!(!said.text().to_ascii_lowercase().contains("location:"), "{}", said.text());
    }
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t87_health_and_metrics_are_on_the_ops_listener_and_nowhere_else() {
    let campus = Campus::open().await;
    campus.browser().get(&format!("{LIBRARY}/")).send().await.assert_status(200);
    for (start, status, says) in [
        ("GET /health", 200, "alive"),
        ("GET /ready", 200, "ready"),
        ("GET /metrics", 200, "lychgate_requests_total{decision=\"admit\",site=\"library\"}"),
        ("GET /", 404, ""),
        ("GET /admin", 404, ""),
        ("GET /.lychgate/account", 404, ""),
        ("GET /loans", 404, ""),
        ("POST /metrics", 405, ""),
        ("DELETE /ready", 405, ""),
    ] {
        let said = ops(&campus, start).await;
        assert_eq!(said.status(), status, "{start}:\n{}", said.text());
        assert!(said.text().contains(says), "{start}:\n{}", said.text());
    }
    let browser = campus.browser();
    for path in [
        "/metrics",
        "/health",
        "/ready",
        "/healthz",
        "/debug/pprof/",
        "/admin",
        "/.lychgate/metrics",
        "/.lychgate/ready",
    ] {
        browser.get(&format!("{SIGN_IN}{path}")).send().await.assert_status(404);
    }
    for path in ["/.lychgate/metrics", "/.lychgate/health", "/.lychgate/ready", "/.lychgate/admin"] {
        browser.get(&format!("{LIBRARY}{path}")).send().await.assert_status(404);
    }
    // On a site host these addresses are the app's, and the members' rule holds for them.
    for path in ["/metrics", "/health", "/ready"] {
        browser.get(&format!("{LIBRARY}{path}")).send().await.assert_status(303);
    }
    assert_eq!(campus.library().requests().len(), 1);
    campus.close().await;
}
