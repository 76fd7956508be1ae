//! Every wait and every size has a limit that holds (invariant 8, T79): slow heads, idle connections, too many of them,
//! heads and bodies beyond bounds. Others are served meanwhile.

use crate::campus::browser::Speaks;
use crate::campus::h2::{END_HEADERS, END_STREAM, Frame, block, frame, frames, get, headers, kind, preface};
use crate::campus::http::{client_config, pieces};
use crate::campus::raw::Raw;
use crate::campus::{Builder, Campus, LIBRARY};
use bytes::Bytes;
use http::Method;
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const HOST: &str = "library.campus.example";
const SOON: Duration = Duration::from_secs(10);
/// Below the limits of a second that the tests set: timers may be a little early.
const ALMOST: Duration = Duration::from_millis(900);
/// Above them, on a busy machine.
const AT_MOST: Duration = Duration::from_secs(5);

fn with(gate: &str) -> Builder {
    Campus::build().replace("threads = 2", &format!("threads = 2\n{gate}"))
}

async fn connect(campus: &Campus, protocol: &str) -> Raw {
    let address = campus.gate().addresses().gate;
    Raw::tls_speaking(address, HOST, campus.authority.roots(), &[protocol]).await.expect("the handshake succeeds")
}

#[track_caller]
fn assert_cut_in_time(started: Instant, case: &str) {
    let took = started.elapsed();
    assert!(took >= ALMOST && took <= AT_MOST, "{case}: cut after {took:?}");
}

/// Sends `piece` again and again until the gate ends the connection; `false` if it never does.
async fn drip(raw: &mut Raw, piece: &[u8]) -> bool {
    let end = Instant::now() + SOON;
    while Instant::now() < end {
        raw.send(piece).await;
        if raw.hear_for(Duration::from_millis(100), Duration::from_millis(100)).await.closed {
            return true;
        }
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t79_a_head_that_drips_is_cut() {
    let campus = with("head_timeout = \"1s\"").open().await;
    for (name, start, piece) in [
        ("the request line", "G", "E"),
        ("a field", "GET / HTTP/1.1\r\nHost: library.campus.example\r\nX-Slow: ", "s"),
        ("fields without end", "GET / HTTP/1.1\r\nHost: library.campus.example\r\n", "X-A: b\r\n"),
    ] {
        let mut raw = connect(&campus, "http/1.1").await;
        let started = Instant::now();
        raw.send(start).await;
        assert!(drip(&mut raw, piece.as_bytes()).await, "{name}: the head dripped on");
        assert_cut_in_time(started, name);
    }
    // The second head of a connection has no more time than the first.
    let mut raw = connect(&campus, "http/1.1").await;
    raw.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let said = raw.hear_for(SOON, Duration::from_millis(100)).await;
    assert_eq!((said.status(), said.closed), (200, false), "{}", said.text());
    let started = Instant::now();
    assert!(drip(&mut raw, b"G").await, "the second head dripped on");
    assert_cut_in_time(started, "the second head");
    assert_eq!(campus.library().requests().len(), 1);
    campus.close().await;
}

/// A form to the gate's own addresses is read before anybody looks whose it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t79_a_form_to_the_gate_itself_that_drips_is_cut() {
    let campus = Campus::open().await;
    let mut raw = connect(&campus, "http/1.1").await;
    let head = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000";
    raw.send(format!("POST /.lychgate/sign-out HTTP/1.1\r\nHost: {HOST}\r\n{head}\r\n\r\n")).await;
    let (begun, second) = (Instant::now(), Duration::from_secs(1));
    while !{
        raw.send("a").await;
        let said = raw.hear_for(second, second).await;
        said.closed || !said.bytes.is_empty()
    } {
        assert!(begun.elapsed() < Duration::from_secs(40), "the form dripped on");
    }
    // It was read for so long, not refused for what it is.
    assert!(begun.elapsed() >= Duration::from_secs(15), "cut after {:?}", begun.elapsed());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t79_whoever_never_says_anything_is_cut() {
    let campus = with("head_timeout = \"1s\"\nhandshake_timeout = \"1s\"").open().await;
    let started = Instant::now();
    let mut silent = Raw::plain(campus.gate().addresses().gate).await;
    assert!(silent.closes_within(SOON).await.is_some(), "no handshake");
    assert_cut_in_time(started, "no handshake");

    let started = Instant::now();
    let mut half = Raw::plain(campus.gate().addresses().gate).await;
    half.send([22, 3, 1, 1, 0, 1]).await;
    assert!(half.closes_within(SOON).await.is_some(), "half a handshake");
    assert_cut_in_time(started, "half a handshake");

    for protocol in ["http/1.1", "h2"] {
        let started = Instant::now();
        let mut raw = connect(&campus, protocol).await;
        assert!(raw.closes_within(SOON).await.is_some(), "{protocol}: silent after the handshake");
        assert_cut_in_time(started, protocol);
    }
    let started = Instant::now();
    let mut raw = connect(&campus, "h2").await;
    raw.send(preface()).await;
    raw.send(frame(kind::HEADERS, 0, 1, &get(HOST, "/", &[]))).await;
    assert!(raw.closes_within(SOON).await.is_some(), "h2: a head without an end");
    assert_cut_in_time(started, "h2: a head without an end");
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t79_an_idle_connection_is_closed() {
    let campus = with("keepalive_timeout = \"1s\"").open().await;
    let mut raw = connect(&campus, "http/1.1").await;
    raw.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let said = raw.hear_for(SOON, Duration::from_millis(100)).await;
    assert_eq!((said.status(), said.closed), (200, false), "{}", said.text());
    assert!(raw.closes_within(AT_MOST).await.is_some(), "HTTP/1.1");

    let mut raw = connect(&campus, "h2").await;
    raw.send(preface()).await;
    raw.send(headers(1, &get(HOST, "/", &[]))).await;
    let answered = frames(&mut raw, SOON, |frame| frame.stream == 1 && frame.flags & 1 == 1).await;
    assert!(answered.iter().any(|frame| frame.kind == kind::HEADERS), "{answered:?}");
    frames(&mut raw, AT_MOST, |frame| frame.kind == kind::GOAWAY).await;
    assert!(raw.closes_within(AT_MOST).await.is_some(), "HTTP/2");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_under_way_is_not_idle() {
    let campus = with("keepalive_timeout = \"1s\"\nhead_timeout = \"1s\"").open().await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let go = campus.library().hold("/public/slow", "at last");
        let slow = tokio::spawn(campus.browser().speaking(speaks).get(&format!("{LIBRARY}/public/slow")).send());
        tokio::time::sleep(Duration::from_millis(2500)).await;
        go.notify_one();
        slow.await.expect("no panic").assert_status(200);
    }
    campus.close().await;
}

/// A TLS connection from the loopback address `from`, or why there is none.
async fn from(campus: &Campus, from: &str) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    let from: SocketAddr = format!("{from}:0").parse().unwrap();
    socket.bind(from)?;
    let tcp = socket.connect(campus.gate().addresses().gate).await?;
    let config = client_config(campus.authority.roots(), &["http/1.1"]);
    TlsConnector::from(config).connect(ServerName::try_from(HOST).unwrap(), tcp).await
}

async fn is_served(connection: &mut TlsStream<TcpStream>) -> bool {
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let mut start = [0; 12];
    let exchange = async {
        connection.write_all(request.as_bytes()).await?;
        connection.read_exact(&mut start).await
    };
    matches!(tokio::time::timeout(SOON, exchange).await, Ok(Ok(_))) && &start == b"HTTP/1.1 200"
}

/// Tries until there is room again.
async fn room(campus: &Campus, address: &str) -> TlsStream<TcpStream> {
    let end = Instant::now() + SOON;
    loop {
        match from(campus, address).await {
            Ok(connection) => return connection,
            Err(fault) => assert!(Instant::now() < end, "no room after {SOON:?}: {fault}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t79_connections_are_capped_for_each_address() {
    let campus = with("max_connections_per_address = 3").open().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(from(&campus, "127.0.0.1").await.expect("there is room"));
    }
    for _ in 0..5 {
        assert!(from(&campus, "127.0.0.1").await.is_err(), "a fourth connection was let in");
    }
    // Neither those that are in nor other addresses notice.
    for connection in &mut open {
        assert!(is_served(connection).await);
    }
    assert!(is_served(&mut from(&campus, "127.0.0.2").await.expect("another address has room")).await);
    drop(open.pop());
    assert!(is_served(&mut room(&campus, "127.0.0.1").await).await);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t79_connections_are_capped_in_all() {
    let campus = with("max_connections = 3\nmax_connections_per_address = 3").open().await;
    let mut open = Vec::new();
    for address in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
        open.push(from(&campus, address).await.expect("there is room"));
    }
    assert!(from(&campus, "127.0.0.4").await.is_err(), "a fourth connection was let in");
    for connection in &mut open {
        assert!(is_served(connection).await);
    }
    drop(open.pop());
    assert!(is_served(&mut room(&campus, "127.0.0.4").await).await);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t79_many_idle_connections_keep_nobody_waiting() {
    let campus = Campus::open().await;
    let mut idle = Vec::new();
    for n in 0..300 {
        match n % 3 {
            0 => idle.push(Raw::plain(campus.gate().addresses().gate).await),
            1 => idle.push(connect(&campus, "http/1.1").await),
            _ => {
                let mut raw = connect(&campus, "http/1.1").await;
                raw.send("GET / HTTP/1.1\r\nHost: ").await;
                idle.push(raw);
            }
        }
    }
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let served = campus.browser().speaking(speaks).get(&format!("{LIBRARY}/")).send();
        tokio::time::timeout(SOON, served).await.expect("others are served").assert_status(200);
    }
    drop(idle);
    campus.close().await;
}

const SMALL_SITE: &str = r#"
[site]
name = "small"
hosts = ["small.campus.example"]
upstream = "{small}"

[limits]
body = "1 KiB"

[[rule]]
access = "public"
"#;
const SMALL: &str = "https://small.campus.example/form";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_sites_limit_is_a_413_and_never_complete_at_the_app() {
    let campus = Campus::build().site("small", SMALL_SITE).open().await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let browser = campus.browser().speaking(speaks);
        for length in [0, 1, 1024] {
            browser.request(Method::POST, SMALL).body(vec![b'x'; length]).send().await.assert_status(200);
            assert_eq!(campus.app("small").last_request().body().len(), length);
            let body = pieces(vec![Bytes::from(vec![b'x'; length])], None);
            browser.request(Method::POST, SMALL).stream_body(body).send().await.assert_status(200);
        }
        campus.app("small").forget();
        for length in [1025, 100_000] {
            let answer = browser.request(Method::POST, SMALL).body(vec![b'x'; length]).send().await;
            answer.assert_status(413).assert_says("Test Campus");
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            let body = pieces(vec![Bytes::from_static(&[b'x'; 1000]); length / 1000 + 1], None);
            browser.request(Method::POST, SMALL).stream_body(body).send().await.assert_status(413);
        }
        for request in campus.app("small").requests() {
            assert!(!request.complete() && request.body().len() <= 1024, "{} bytes arrived", request.body().len());
        }
    }
    campus.close().await;
}

/// RFC 9112 §9.6: a close with bytes unread makes the kernel reset the connection, and the reset takes the
/// answer with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_the_answer_only_after_sending_everything_reads_it() {
    let campus = Campus::build().site("small", SMALL_SITE).open().await;
    let length = 3 * 1024 * 1024;
    let to_the_app = format!("POST /form HTTP/1.1\r\nHost: small.campus.example\r\nContent-Length: {length}\r\n\r\n");
    let to_us = format!("POST /loans HTTP/1.1\r\nHost: library.campus.example\r\nContent-Length: {length}\r\n\r\n");
    for (host, head, status) in [("small.campus.example", to_the_app, 413), ("library.campus.example", to_us, 401)] {
        let mut raw = Raw::tls(campus.gate().addresses().gate, host, campus.authority.roots()).await;
        raw.send(&head).await;
        for _ in 0..3 {
            raw.try_send(vec![b'x'; length / 3]).await.expect("the gate takes what is on its way");
        }
        let said = raw.hear().await;
        assert_eq!(said.status(), status, "{}", said.text());
        assert!(said.closed, "what follows would be read as a request");
    }
    campus.close().await;
}

/// The same over HTTP/2, where a reset behind the answer is a failure to curl 7.88 and others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_h2_a_body_is_taken_to_its_end_behind_an_early_answer() {
    const PIECE: usize = 16 * 1024;
    let campus = Campus::open().await;
    let mut raw = connect(&campus, "h2").await;
    raw.send(preface()).await;
    let usual = [(":method", "POST"), (":scheme", "https"), (":authority", HOST), (":path", "/loans")];
    raw.send(frame(kind::HEADERS, END_HEADERS, 1, &block(&usual))).await;
    let (mut left, mut mine, mut whole) = (40, 65_535, 65_535);
    let mut seen = Vec::new();
    loop {
        while left > 0 && mine.min(whole) >= PIECE {
            left -= 1;
            raw.send(frame(kind::DATA, if left == 0 { END_STREAM } else { 0 }, 1, &[b'x'; PIECE])).await;
            (mine, whole) = (mine - PIECE, whole - PIECE);
        }
        if left == 0 {
            break;
        }
        let more = frames(&mut raw, SOON, |frame| frame.kind == kind::WINDOW_UPDATE).await;
        let update = more.last().filter(|frame| frame.kind == kind::WINDOW_UPDATE).expect("the gate reads on");
        let window = if update.stream == 0 { &mut whole } else { &mut mine };
        *window += usize::try_from(u32::from_be_bytes(update.payload[..4].try_into().unwrap())).unwrap();
        seen.extend(more);
    }
    let is_end = |frame: &Frame| frame.stream == 1 && frame.flags & END_STREAM != 0 && frame.kind == kind::DATA;
    if !seen.iter().any(is_end) {
        seen.extend(frames(&mut raw, SOON, is_end).await);
    }
    assert!(seen.iter().any(is_end), "the answer is whole: {seen:?}");
    assert!(!seen.iter().any(|frame| frame.kind == kind::RST_STREAM), "{seen:?}");
    campus.close().await;
}

/// RFC 9110 §10.1.1: nobody waits for a body that is only sent when asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_before_sending_a_body_is_answered_at_once() {
    let campus = Campus::open().await;
    let mut raw = connect(&campus, "http/1.1").await;
    let begun = Instant::now();
    raw.send(format!("POST /loans HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"))
        .await;
    assert_eq!(raw.hear_for(SOON, Duration::from_millis(50)).await.status(), 401);
    assert!(begun.elapsed() < ALMOST, "it took {:?}", begun.elapsed());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_over_head_bytes_is_a_431() {
    let campus = with("head_bytes = \"8 KiB\"").open().await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let browser = campus.browser().speaking(speaks);
        let front = format!("{LIBRARY}/");
        browser.get(&front).header("x-filler", "f".repeat(6 * 1024)).send().await.assert_status(200);
        campus.library().forget();
        let one = browser.get(&front).header("x-filler", "f".repeat(9 * 1024)).send().await;
        one.assert_status(431).assert_says("Test Campus");
        let mut many = browser.get(&front);
        for n in 0..90 {
            many = many.header(&format!("x-filler-{n}"), "f".repeat(100));
        }
        many.send().await.assert_status(431);
        browser.get(&format!("{front}?{}", "q".repeat(9 * 1024))).send().await.assert_status(431);
        browser.get(&front).header("cookie", format!("a={}", "c".repeat(9 * 1024))).send().await.assert_status(431);
        assert!(campus.library().requests().is_empty(), "{speaks:?}");
    }
    // More than the engine would ever hold ends without ceremony, but never in an answer of the app's.
    let mut raw = connect(&campus, "http/1.1").await;
    raw.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Filler: ")).await;
    let filler = vec![b'f'; 64 * 1024];
    let mut sent = 0;
    while sent < 8 << 20 && raw.try_send(&filler).await.is_ok() {
        sent += filler.len();
    }
    assert!(sent < 8 << 20, "eight megabytes of head were taken");
    raw.hear().await.assert_refused(&[400, 431]);
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}
