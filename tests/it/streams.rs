//! What stays open: WebSockets, event streams, long bodies (invariant 10; J16, T77). They flow piece by piece, and end
//! with the session that opened them. Bytes at the edge of an upgrade are in `streams/edges.rs`, sizes in
//! `streams/large.rs`.

mod edges;
mod grace;
mod large;

use crate::campus::browser::{Browser, Request, Speaks};
use crate::campus::legacy_app::Behaviour;
use crate::campus::raw;
use crate::campus::ws::{Next, WebSocket};
use crate::campus::{Campus, LIBRARY, SIGN_IN, people};
use bytes::Bytes;
use std::time::Duration;

const SOCKET: &str = "wss://library.campus.example/live";
/// What a sign-out promises for open exchanges.
const PROMISED: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(10);

async fn signed_in(campus: &Campus) -> Browser {
    let browser = campus.browser();
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &people::ordinary()).await.assert_status(200);
    campus.library().on("/live", Behaviour::WebSocketEcho);
    browser
}

async fn sign_out(browser: &Browser, host: &str) {
    let asks = browser.open(&format!("{host}/.lychgate/sign-out")).await;
    asks.assert_status(200);
    asks.form(0).submit().await.assert_status(200);
}

fn events(browser: &Browser, path: &str) -> Request {
    let page = format!("{LIBRARY}/loans");
    browser.get(&format!("{LIBRARY}{path}")).by_script_on(&page).header("accept", "text/event-stream")
}

/// A stream broke off. An orderly end would tell a script that it has everything.
#[track_caller]
fn assert_cut(next: Result<Option<Bytes>, String>) {
    let cut = next.as_ref().is_err_and(|trouble| trouble.contains("broke off"));
    assert!(cut, "the stream did not break off within {PROMISED:?}: {next:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_is_carried_through_with_the_visitors_identity() {
    let campus = Campus::open().await;
    let browser = signed_in(&campus).await;
    let mut socket = WebSocket::open(&browser, SOCKET).await.expect("the app accepts it");
    for text in ["hello", "", "naïve 欧阳", &"long ".repeat(20_000)] {
        assert_eq!(socket.ask(text).await, text);
    }
    let seen = campus.library().last_request();
    assert_eq!(seen.all("x-orcid-id"), [people::ordinary().orcid.as_str()]);
    assert_eq!(seen.all("upgrade"), ["websocket"]);
    assert!(seen.cookie_names().is_empty());
    socket.close().await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j16_an_upgrade_without_a_session_is_a_401_and_never_reaches_the_app() {
    let campus = Campus::open().await;
    campus.library().on("/live", Behaviour::WebSocketEcho);
    let declined = WebSocket::open(&campus.browser(), SOCKET).await.err().expect("a guest gets no WebSocket");
    assert_eq!(declined.status, 401);
    assert!(declined.headers.contains_key("www-authenticate") && !declined.headers.contains_key("set-cookie"));
    let head =
        "GET /live HTTP/1.1\r\nHost: library.campus.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let gate = campus.gate().addresses().gate;
    let said = raw::exchange(gate, "library.campus.example", campus.authority.roots(), head).await;
    assert_eq!(said.status(), 401);
    let text = said.text();
    assert!(text.to_ascii_lowercase().contains("content-type: application/json"), "{text}");
    assert!(text.contains("\"error\":\"sign_in_needed\""), "{text}");
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b9_a_page_of_another_origin_opens_no_websocket_with_the_visitors_session() {
    let site = |name: &str, more: &str| {
        format!(
            "[site]\nname = \"{name}\"\nhosts = [\"{name}.campus.example\"]\nupstream = \"{{{name}}}\"\n{more}\n\
             [[rule]]\npaths = [\"/public/**\"]\naccess = \"public\"\n[[rule]]\naccess = \"signed-in\"\n"
        )
    };
    let listed = site("library", "cors_origins = [\"https://portal.campus.example\"]");
    let campus = Campus::build().site("library", &listed).open().await;
    let browser = signed_in(&campus).await;
    campus.library().on("/public/live", Behaviour::WebSocketEcho);
    campus.library().forget();
    for page in
        ["https://repository.campus.example/", "https://gate.campus.example/", "https://library.campus.example:8443/"]
    {
        for socket in [SOCKET, "wss://library.campus.example/public/live"] {
            let declined = WebSocket::open_from(&browser, socket, page, &[]).await.err().expect("a stranger's page");
            assert_eq!(declined.status, 403, "{page}");
            assert!(String::from_utf8_lossy(&declined.body).contains("\"error\":\"cross_site_refused\""), "{page}");
            assert_eq!(declined.headers["cache-control"], "no-store");
        }
    }
    // From another site altogether the session does not even come along.
    for page in
        ["https://evil.example/", "http://library.campus.example/", "https://library.campus.example.evil.example/"]
    {
        let declined = WebSocket::open_from(&browser, SOCKET, page, &[]).await;
        assert_eq!(declined.err().expect("a stranger's page").status, 401, "{page}");
        let open = WebSocket::open_from(&browser, "wss://library.campus.example/public/live", page, &[]).await;
        assert_eq!(open.err().expect("a stranger's page").status, 403, "{page}");
    }
    // A sandboxed frame, and somebody who names two.
    for origins in ["null", "https://library.campus.example, https://evil.example", ""] {
        let declined = WebSocket::open_from(&browser, SOCKET, LIBRARY, &[("origin", origins)]).await;
        assert_eq!(declined.err().expect("no origin of ours").status, 403, "{origins:?}");
    }
    assert!(campus.library().requests().is_empty());
    // A listed one and the site's own may, and so may a program, which has no origin.
    for page in ["https://portal.campus.example/x", "https://library.campus.example/page"] {
        let mut socket = WebSocket::open_from(&browser, SOCKET, page, &[]).await.expect("an allowed page");
        assert_eq!(socket.ask("hello").await, "hello", "{page}");
        socket.close().await;
    }
    let session = browser.cookie(LIBRARY, "__Host-Http-lychgate").expect("somebody is signed in");
    let head = format!(
        "GET /live HTTP/1.1\r\nHost: library.campus.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Cookie: __Host-Http-lychgate={session}\r\n\r\n"
    );
    let gate = campus.gate().addresses().gate;
    let said = raw::exchange(gate, "library.campus.example", campus.authority.roots(), &head).await;
    assert_eq!(said.status(), 101);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_that_wants_no_websockets_sees_no_upgrade() {
    let site = r#"
[site]
name = "plain"
hosts = ["plain.campus.example"]
upstream = "{plain}"
websocket = false

[[rule]]
access = "public"
"#;
    let campus = Campus::build().site("plain", site).open().await;
    campus.app("plain").on("/live", Behaviour::answer(426, &[], "no"));
    let declined =
        WebSocket::open(&campus.browser(), "wss://plain.campus.example/live").await.err().expect("no upgrade");
    assert_eq!(declined.status, 426);
    let seen = campus.app("plain").last_request();
    assert!(seen.all("upgrade").is_empty() && !seen.all("connection").iter().any(|word| word.contains("pgrade")));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b9_an_idle_websocket_ends_with_its_session_and_is_told_so_and_others_stay() {
    let campus = Campus::open().await;
    let (leaving, staying) = (signed_in(&campus).await, signed_in(&campus).await);
    let mut ended = WebSocket::open(&leaving, SOCKET).await.expect("the app accepts it");
    let mut kept = WebSocket::open(&staying, SOCKET).await.expect("the app accepts it");
    assert_eq!(ended.ask("a").await, "a");
    assert_eq!(kept.ask("b").await, "b");
    sign_out(&leaving, LIBRARY).await;
    // RFC 6455 §7.4.1, policy violation: a script that opens sockets for ever may stop.
    assert_eq!(ended.next(PROMISED).await, Some(Next::Closed(Some(1008))));
    assert_eq!(kept.ask("still here").await, "still here");
    // Signing out everywhere ends what its children opened.
    sign_out(&staying, SIGN_IN).await;
    kept.assert_ends(PROMISED).await;
    let towards = campus.library();
    let gone = async {
        while towards.open_connections() > 4 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, gone).await.expect("the app's side is closed as well");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_websocket_ends_with_its_session_too() {
    let campus = Campus::open().await;
    let browser = signed_in(&campus).await;
    let mut socket = WebSocket::open(&browser, SOCKET).await.expect("the app accepts it");
    sign_out(&browser, LIBRARY).await;
    let chatting = async {
        loop {
            socket.send("still there?").await;
            match socket.next(PROMISED).await {
                Some(Next::Text(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                _ => return,
            }
        }
    };
    // Sending into a connection that has just been cut is how it may be noticed.
    let chatting =
        tokio::time::timeout(PROMISED, futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(chatting)));
    assert!(chatting.await.is_ok(), "it went on for {PROMISED:?} after the sign-out");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_as_they_are_sent() {
    let campus = Campus::open().await;
    let browser = signed_in(&campus).await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let push = campus.library().stream("/events");
        let mut stream = events(&browser.speaking(speaks), "/events").stream().await;
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        for n in 0..5 {
            let piece = format!("id: {n}\ndata: {}\n\n", "x".repeat(n * 100));
            push.send(piece.clone().into_bytes()).await.expect("the app is serving");
            assert_eq!(stream.next(SOON).await.expect("a piece"), piece, "{speaks:?}");
        }
        drop(push);
        // HTTP/2 may say the end with an empty piece.
        let mut rest = Vec::new();
        while let Some(piece) = stream.next(SOON).await {
            rest.extend_from_slice(&piece);
        }
        assert!(rest.is_empty(), "{speaks:?}: {rest:?}");
    }
    campus.close().await;
}

/// Small writes are joined, but nothing the app has sent waits for what it has not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_body_arrives_as_it_is_sent() {
    let campus = Campus::open().await;
    let browser = signed_in(&campus).await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let push = campus.library().announce("/slow", 40);
        let mut stream = events(&browser.speaking(speaks), "/slow").stream().await;
        assert_eq!(stream.headers["content-length"], "40", "{speaks:?}");
        for piece in [b"0123456789"; 4] {
            push.send(piece.to_vec()).await.expect("the app is serving");
            assert_eq!(stream.next(SOON).await.expect("a piece"), piece.as_slice(), "{speaks:?}");
        }
        drop(push);
        assert!(stream.next(SOON).await.is_none_or(|rest| rest.is_empty()), "{speaks:?}");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_event_stream_over_http1_ends_with_its_session() {
    let campus = Campus::open().await;
    let browser = signed_in(&campus).await;
    let push = campus.library().stream("/events");
    let mut stream = events(&browser.speaking(Speaks::OnlyHttp1), "/events").stream().await;
    push.send(b"data: 1\n\n".to_vec()).await.unwrap();
    assert_eq!(stream.next(SOON).await.unwrap(), "data: 1\n\n");
    sign_out(&browser, LIBRARY).await;
    assert_cut(stream.try_next(PROMISED).await);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_event_stream_over_http2_ends_alone() {
    let campus = Campus::open().await;
    let browser = signed_in(&campus).await;
    let two = browser.speaking(Speaks::OnlyHttp2);
    let line = two.connect(LIBRARY).await;
    let push = campus.library().stream("/events");
    let mut stream = events(&two, "/events").over(&line).stream().await;
    push.send(b"data: 1\n\n".to_vec()).await.unwrap();
    assert_eq!(stream.next(SOON).await.unwrap(), "data: 1\n\n");
    // Beside it, on the same connection: an answer that takes its time, and asks nobody in.
    let go = campus.library().hold("/public/slow", "at last");
    let slow = tokio::spawn(two.get(&format!("{LIBRARY}/public/slow")).over(&line).send());
    campus.library().wait_for_requests(3).await;

    sign_out(&browser, LIBRARY).await;
    assert_cut(stream.try_next(PROMISED).await);
    go.notify_one();
    let slow = slow.await.expect("the request does not panic");
    slow.assert_status(200).assert_says("at last");
    two.get(&format!("{LIBRARY}/")).over(&line).send().await.assert_status(200);
    two.get(&format!("{LIBRARY}/loans")).over(&line).send().await.assert_status(303);
    assert!(!line.is_closed());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_exchange_without_an_identity_is_left_alone() {
    let campus = Campus::open().await;
    let browser = signed_in(&campus).await;
    let push = campus.library().stream("/public/events");
    let mut stream = events(&browser, "/public/events").stream().await;
    sign_out(&browser, LIBRARY).await;
    tokio::time::sleep(PROMISED).await;
    push.send(b"data: still\n\n".to_vec()).await.unwrap();
    assert_eq!(stream.next(SOON).await.unwrap(), "data: still\n\n");
    campus.close().await;
}
