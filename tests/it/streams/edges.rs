//! The moments between a head and what follows it: bytes before a 101 (T77), `Expect: 100-continue`. The app is played
//! by the test itself, byte by byte.

use crate::campus::raw::{self, Raw};
use crate::campus::{Campus, h2};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const HOST: &str = "played.campus.example";
const SOON: Duration = Duration::from_secs(10);
/// Long enough for bytes that are on their way to have arrived.
const A_WHILE: Duration = Duration::from_millis(600);
const UPGRADE: &str = "GET /live HTTP/1.1\r\nHost: played.campus.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn played() -> (Campus, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    let site = format!(
        "[site]\nname = \"played\"\nhosts = [\"{HOST}\"]\nupstream = \"http://{address}\"\n\n[[rule]]\naccess = \"public\"\n"
    );
    (Campus::build().site("played", &site).open().await, listener)
}

async fn connect(campus: &Campus) -> Raw {
    Raw::tls(campus.gate().addresses().gate, HOST, campus.authority.roots()).await
}

/// Takes the gate's next connection and reads one head; what came behind it is returned as well.
async fn next_head(listener: &TcpListener) -> (TcpStream, String, Vec<u8>) {
    let (mut tcp, _) = timeout(SOON, listener.accept()).await.expect("the gate connects").expect("a connection");
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let read = timeout(SOON, tcp.read_buf(&mut bytes)).await.expect("a head arrives").expect("a head is read");
        assert!(read > 0, "the gate closed: {:?}", String::from_utf8_lossy(&bytes));
    };
    let rest = bytes.split_off(end);
    (tcp, String::from_utf8(bytes).expect("heads are ASCII"), rest)
}

/// Everything that arrives within a while.
async fn whatever_comes(tcp: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Ok(read)) = timeout(A_WHILE, tcp.read_buf(&mut bytes)).await {
        if read == 0 {
            break;
        }
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t77_nothing_is_forwarded_before_the_apps_101() {
    let (campus, app) = played().await;
    for together in [true, false] {
        let mut visitor = connect(&campus).await;
        if together {
            visitor.send(format!("{UPGRADE}EARLY")).await;
        } else {
            visitor.send(UPGRADE).await;
        }
        let (mut tcp, head, rest) = next_head(&app).await;
        assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
        if !together {
            visitor.send("EARLY").await;
        }
        assert!(rest.is_empty(), "{:?}", String::from_utf8_lossy(&rest));
        let early = whatever_comes(&mut tcp).await;
        assert!(early.is_empty(), "before the 101 the app got {:?}", String::from_utf8_lossy(&early));
        // After it the bytes belong to the new protocol, unless the gate has given the impatient visitor up.
        let _ = tcp
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            .await;
        let after = whatever_comes(&mut tcp).await;
        assert!(after == b"EARLY" || after.is_empty(), "{:?}", String::from_utf8_lossy(&after));
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t77_a_refused_upgrade_stays_http() {
    let (campus, app) = played().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: played.campus.example\r\n\r\n";
    for status in ["200 OK", "400 Bad Request", "426 Upgrade Required"] {
        let mut visitor = connect(&campus).await;
        visitor.send(format!("{UPGRADE}{smuggled}")).await;
        let (mut tcp, _, rest) = next_head(&app).await;
        assert!(rest.is_empty());
        tcp.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").as_bytes())
            .await
            .expect("the gate listens");
        let after = whatever_comes(&mut tcp).await;
        assert!(after.is_empty(), "{status}: the app got {:?}", String::from_utf8_lossy(&after));
        let said = visitor.hear().await;
        let expected: u16 = status[..3].parse().unwrap();
        assert_eq!(said.statuses(), [expected], "{}", said.text());
        assert!(said.closed, "{status}: what follows could be taken for anything");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t77_a_101_nobody_asked_for_is_not_believed() {
    let (campus, app) = played().await;
    let mut visitor = connect(&campus).await;
    visitor.send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n")).await;
    let (mut tcp, ..) = next_head(&app).await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw bytes";
    tcp.write_all(switch).await.expect("the gate listens");
    let said = visitor.hear().await;
    assert_eq!(said.status(), 502, "{}", said.text());
    assert!(said.closed && !said.text().contains("raw bytes"), "{}", said.text());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_waits_for_100_gets_it_from_the_app() {
    let (campus, app) = played().await;
    let mut visitor = connect(&campus).await;
    let head = format!(
        "POST /up HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    );
    visitor.send(&head).await;
    let (mut tcp, seen, rest) = next_head(&app).await;
    assert!(seen.to_ascii_lowercase().contains("expect: 100-continue") && rest.is_empty(), "{seen}");
    tcp.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.expect("the gate listens");
    let go_on = visitor.hear_for(SOON, Duration::from_millis(100)).await;
    assert_eq!(go_on.statuses(), [100], "{}", go_on.text());
    visitor.send("hello").await;
    let mut body = [0; 5];
    timeout(SOON, tcp.read_exact(&mut body)).await.expect("the body arrives").expect("the body is read");
    assert_eq!(&body, b"hello");
    tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.expect("the gate listens");
    assert_eq!(visitor.hear().await.status(), 200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visitor_who_waits_for_100_is_refused_without_sending_the_body() {
    let campus = Campus::open().await;
    let host = "library.campus.example";
    let head =
        format!("POST /loans HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n");
    let said = raw::exchange(campus.gate().addresses().gate, host, campus.authority.roots(), &head).await;
    assert_eq!(said.statuses(), [401], "{}", said.text());
    assert!(said.closed, "the body that was never sent must not be taken for a request");
    // An app that knows nothing of Expect is served by visitors who do not wait for ever.
    let patient = format!(
        "POST /catalogue/x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\nhello"
    );
    let said = raw::exchange(campus.gate().addresses().gate, host, campus.authority.roots(), &patient).await;
    assert_eq!(said.statuses().last(), Some(&200), "{}", said.text());
    assert_eq!(campus.library().last_request().body(), b"hello");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t76_an_empty_last_piece_over_http2_ends_a_body_once() {
    let campus = Campus::open().await;
    let host = "library.campus.example";
    let gate = campus.gate().addresses().gate;
    let mut raw =
        Raw::tls_speaking(gate, host, campus.authority.roots(), &["h2"]).await.expect("the handshake succeeds");
    raw.send(h2::preface()).await;
    for n in 0..4 {
        let stream = 2 * n + 1;
        let usual = [(":method", "POST"), (":scheme", "https"), (":authority", host), (":path", "/catalogue/x")];
        raw.send(h2::frame(h2::kind::HEADERS, h2::END_HEADERS, stream, &h2::block(&usual))).await;
        raw.send(h2::frame(h2::kind::DATA, 0, stream, b"hello")).await;
        let seen = campus.library().wait_for_requests(n as usize + 1).await;
        // Only when the first piece is through: the end comes alone.
        seen[n as usize].wait_for_body(5).await;
        raw.send(h2::frame(h2::kind::DATA, h2::END_STREAM, stream, b"")).await;
        let said =
            h2::frames(&mut raw, SOON, |frame| frame.stream == stream && frame.flags & h2::END_STREAM != 0).await;
        assert!(said.iter().any(|frame| frame.stream == stream), "no answer");
    }
    for request in campus.library().requests() {
        let head = String::from_utf8_lossy(&request.raw_head).into_owned();
        assert!(head.starts_with("POST /catalogue/x HTTP/1.1\r\n"), "the app took this for a request: {head:?}");
        assert_eq!(request.body(), b"hello");
    }
    campus.close().await;
}
