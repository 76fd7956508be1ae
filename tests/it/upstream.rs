//! Apps that are down, slow, broken or hostile (T81), and the ways to one: several addresses, https, a Unix socket, one
//! connection for many requests. The visitor gets a page that says whose fault it is, and nobody gets another's answer.

use crate::campus::browser::Speaks;
use crate::campus::legacy_app::{Behaviour, LegacyApp};
use crate::campus::temp::{self, Authority};
use crate::campus::{Campus, LIBRARY, people};
use socket2::{Domain, Socket, Type};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

/// A public site in front of `upstream`, with more lines for its `[site]` table and behind it.
fn site(name: &str, upstream: &str, more: &str) -> String {
    let head =
        format!("[site]\nname = \"{name}\"\nhosts = [\"{name}.campus.example\"]\nupstream = {upstream}\n{more}\n");
    head + "\n[[rule]]\naccess = \"public\"\n"
}

/// An address that refuses connections for as long as the socket is held: bound, but not listening.
fn refusing() -> (Socket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket can be made");
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).expect("loopback has a free port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an internet address");
    (socket, format!("http://{address}"))
}

async fn open(name: &str, upstream: &str, more: &str) -> Campus {
    Campus::build().site(name, &site(name, upstream, more)).open().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_down_is_a_502_with_a_page_and_an_incident() {
    let (_held, address) = refusing();
    let campus = open("down", &format!("\"{address}\""), "").await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let answer = campus.browser().speaking(speaks).get("https://down.campus.example/").send().await;
        answer.assert_status(502).assert_says("Test Campus").assert_says("Incident number");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(answer.header("server").is_none());
        answer.assert_lacks(&address).assert_lacks("127.0.0.1");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_upstreams_the_living_one_serves() {
    let (_held, dead) = refusing();
    let app = LegacyApp::start().await;
    app.on("*", Behaviour::text("alive"));
    for list in [format!("[\"{dead}\", \"{}\"]", app.upstream()), format!("[\"{}\", \"{dead}\"]", app.upstream())] {
        let campus = open("pair", &list, "").await;
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            let browser = campus.browser().speaking(speaks);
            for _ in 0..10 {
                browser.get("https://pair.campus.example/").send().await.assert_status(200).assert_says("alive");
            }
            // A body that was not sent anywhere yet goes to the one that lives.
            let request = browser.request(http::Method::POST, "https://pair.campus.example/form").body("a=b");
            request.send().await.assert_status(200);
            assert_eq!(app.last_request().body(), b"a=b");
        }
        campus.close().await;
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_does_not_answer_is_a_504_and_its_connection_is_not_used_again() {
    let app = LegacyApp::start().await;
    let campus = open("slow", &format!("\"{}\"", app.upstream()), "\n[limits]\nfirst_byte = \"1s\"\n").await;
    let late = app.hold("/slow", "too late");
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let browser = campus.browser().speaking(speaks);
        let started = Instant::now();
        let answer = browser.get("https://slow.campus.example/slow").send().await;
        let took = started.elapsed();
        answer.assert_status(504).assert_says("Test Campus");
        assert!(took >= Duration::from_millis(900) && took < SOON, "{took:?}");
        late.notify_one();
        let connection = app.last_request().connection;
        browser.get("https://slow.campus.example/quick").send().await.assert_status(200).assert_lacks("too late");
        assert_ne!(app.last_request().connection, connection);
    }
    campus.close().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_within_an_event_stream_is_not_a_missing_first_byte() {
    let app = LegacyApp::start().await;
    let campus = open("events", &format!("\"{}\"", app.upstream()), "\n[limits]\nfirst_byte = \"1s\"\n").await;
    let push = app.stream("/events");
    let request = campus.browser().get("https://events.campus.example/events").header("accept", "text/event-stream");
    let mut stream = request.stream().await;
    for piece in ["data: 1\n\n", "data: 2\n\n"] {
        tokio::time::sleep(Duration::from_secs(2)).await;
        push.send(piece.as_bytes().to_vec()).await.expect("the app serves");
        assert_eq!(stream.next(SOON).await.expect("a piece"), piece);
    }
    campus.close().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_limit_ends_a_silent_stream() {
    let app = LegacyApp::start().await;
    let campus = open("idle", &format!("\"{}\"", app.upstream()), "\n[limits]\nidle = \"1s\"\n").await;
    let push = app.stream("/events");
    let request = campus.browser().get("https://idle.campus.example/events").header("accept", "text/event-stream");
    let mut stream = request.stream().await;
    push.send(b"data: 1\n\n".to_vec()).await.expect("the app serves");
    assert_eq!(stream.next(SOON).await.expect("a piece"), "data: 1\n\n");
    let end = stream.try_next(SOON).await;
    assert!(end.as_ref().is_err_and(|trouble| trouble.contains("broke off")), "{end:?}");
    campus.close().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t81_an_answer_that_cannot_be_read_is_a_502() {
    let campus = Campus::open().await;
    let raw = |text: &str| Behaviour::Raw(text.as_bytes().to_vec());
    let mut complaints = Vec::new();
    for (name, behaviour) in [
        ("hangs up", Behaviour::HangUp),
        ("no HTTP", raw("220 mail.campus.example ESMTP\r\n\r\n")),
        ("a head cut short", raw("HTTP/1.1 200 OK\r\nContent-Le")),
        ("a header beyond all bounds", Behaviour::huge_header(2 << 20)),
        ("two lengths", raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc")),
        ("a length that is no number", raw("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab")),
        ("NUL in a value", raw("HTTP/1.1 200 OK\r\nX-A: b\0c\r\nContent-Length: 2\r\n\r\nab")),
        ("a line break in a value", raw("HTTP/1.1 200 OK\r\nX-A: b\rX-C: d\r\nContent-Length: 2\r\n\r\nab")),
        ("a hundred thousand hints", Behaviour::Informational(100_000)),
    ] {
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            campus.library().on("/public/x", behaviour.clone());
            let answer = campus.browser().speaking(speaks).get(&format!("{LIBRARY}/public/x")).send().await;
            if answer.status != 502 || !answer.text().contains("Test Campus") {
                complaints.push(format!("{name} {speaks:?}: {}", answer.story()));
                continue;
            }
            let connection = campus.library().last_request().connection;
            campus.browser().speaking(speaks).get(&format!("{LIBRARY}/public/y")).send().await.assert_status(200);
            assert_ne!(campus.library().last_request().connection, connection, "{name}: the connection was used again");
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t81_interim_answers_that_never_end_are_cut() {
    // An app that says 103 for ever, each well within every read limit.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let app = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        while let Ok((mut tcp, _)) = listener.accept().await {
            while tcp.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    });
    let campus = open("hints", &format!("\"http://{address}\""), "").await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let asking = campus.browser().speaking(speaks).get("https://hints.campus.example/").send();
        let answer = tokio::time::timeout(SOON, asking).await.expect("somebody puts an end to it");
        answer.assert_status(502);
    }
    app.abort();
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t81_a_few_interim_answers_are_no_storm() {
    let campus = Campus::open().await;
    campus.library().on("/public/x", Behaviour::Informational(3));
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let answer = campus.browser().speaking(speaks).get(&format!("{LIBRARY}/public/x")).send().await;
        answer.assert_status(200);
        assert_eq!(answer.text(), "at last");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t81_a_body_that_breaks_off_is_cut_and_never_made_whole() {
    let campus = Campus::open().await;
    let raw = |text: &str| Behaviour::Raw(text.as_bytes().to_vec());
    for (name, behaviour) in [
        ("cut short", Behaviour::cut_short()),
        ("invalid chunks", Behaviour::invalid_chunking()),
        ("chunks without an end", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")),
        ("a chunk cut short", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhello")),
    ] {
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            campus.library().on("/public/x", behaviour.clone());
            let browser = campus.browser().speaking(speaks);
            match browser.get(&format!("{LIBRARY}/public/x")).try_send().await {
                Err(_) => {}
                Ok(answer) => assert_eq!(answer.status, 502, "{name} {speaks:?}: {}", answer.story()),
            }
            let connection = campus.library().last_request().connection;
            // The next answer is the next answer.
            let next = campus.browser().speaking(speaks).get(&format!("{LIBRARY}/public/y")).send().await;
            next.assert_status(200).assert_lacks("nonsense");
            assert_ne!(campus.library().last_request().connection, connection, "{name}: the connection was used again");
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t81_bytes_behind_an_answer_are_nobodys_answer() {
    let campus = Campus::open().await;
    let poisoned = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    campus.library().on("/public/x", Behaviour::Custom(Arc::new(|_| poisoned.as_bytes().to_vec())));
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let browser = campus.browser().speaking(speaks);
        for _ in 0..4 {
            let answer = browser.get(&format!("{LIBRARY}/public/x")).send().await;
            assert_eq!(answer.text(), "ok");
            browser.get(&format!("{LIBRARY}/public/y")).send().await.assert_status(200).assert_lacks("poison");
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_https_app_is_served_only_with_a_certificate_of_its_authority_for_its_name() {
    let folder = temp::directory();
    let (ours, foreign) = (Authority::new(), Authority::new());
    let ca = ours.write(folder.path());
    let trusted = |more: &str| format!("upstream_ca = \"{}\"\n{more}", ca.display());
    let good = LegacyApp::start_tls(ours.issue(&["localhost"]).server_config(&["http/1.1"])).await;
    let misnamed = LegacyApp::start_tls(ours.issue(&["other.example"]).server_config(&["http/1.1"])).await;
    let expired = LegacyApp::start_tls(ours.issue_until(&["localhost"], 2021).server_config(&["http/1.1"])).await;
    let forged = LegacyApp::start_tls(foreign.issue(&["localhost"]).server_config(&["http/1.1"])).await;
    let address = |app: &LegacyApp| format!("\"{}\"", app.upstream());
    let campus = Campus::build()
        .site("good", &site("good", &address(&good), &trusted("")))
        .site("misnamed", &site("misnamed", &address(&misnamed), &trusted("")))
        .site("expired", &site("expired", &address(&expired), &trusted("")))
        .site("forged", &site("forged", &address(&forged), &trusted("")))
        .site("unknown", &site("unknown", &address(&good), ""))
        .site("careless", &site("careless", &address(&forged), "upstream_insecure_skip_verify = true"))
        .open()
        .await;
    let browser = campus.browser();
    for (name, status) in
        [("unknown", 502), ("good", 200), ("misnamed", 502), ("expired", 502), ("forged", 502), ("unknown", 502)]
    {
        browser.get(&format!("https://{name}.campus.example/{name}")).send().await.assert_status(status);
    }
    assert!(good.requests().iter().all(|request| request.target == "/good"));
    for app in [&misnamed, &expired, &forged] {
        assert!(app.requests().is_empty(), "an unverified app was told {:?}", app.last_request());
    }
    browser.get("https://careless.campus.example/careless").send().await.assert_status(200);
    // The careless site's connection is not lent to the one that verifies.
    browser.get("https://forged.campus.example/forged").send().await.assert_status(502);
    assert!(forged.requests().iter().all(|request| request.target == "/careless"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_on_a_unix_socket() {
    let folder = temp::directory();
    let app = LegacyApp::start_unix(&folder.path().join("app.sock")).await;
    let campus = open("socket", &format!("\"{}\"", app.upstream()), "").await;
    let browser = campus.browser();
    for _ in 0..3 {
        browser.get("https://socket.campus.example/a?b=c").send().await.assert_status(200);
    }
    assert_eq!(app.last_request().target, "/a?b=c");
    app.stop().await;
    std::fs::remove_file(folder.path().join("app.sock")).expect("the socket was there");
    browser.get("https://socket.campus.example/").send().await.assert_status(502);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_an_app_are_used_again() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &people::ordinary()).await.assert_status(200);
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let fresh = browser.speaking(speaks).without_reuse();
        for n in 0..30 {
            fresh.get(&format!("{LIBRARY}/loans?{n}")).send().await.assert_status(200);
            fresh.request(http::Method::POST, &format!("{LIBRARY}/loans")).body("x").send().await.assert_status(200);
        }
    }
    // One for each of the two cores, and a little room for what comes while one is in use.
    let opened = campus.library().connections();
    assert!(opened <= 6, "{opened} connections for 120 requests");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_the_app_has_closed_meanwhile_costs_nobody_an_answer() {
    let campus = Campus::open().await;
    // It speaks as if it kept the connection, and closes it.
    let closing = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    campus.library().on("*", Behaviour::Raw(closing.to_vec()));
    let browser = campus.browser();
    for n in 0..30 {
        let answer = browser.get(&format!("{LIBRARY}/public/{n}")).send().await;
        answer.assert_status(200);
        assert_eq!(answer.text(), "ok");
    }
    campus.close().await;
}
