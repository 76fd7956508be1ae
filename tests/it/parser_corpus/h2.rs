//! The same over HTTP/2, frame by frame (T28, T76, T78, T83): what the protocol forbids ends the stream or the
//! connection, floods are cut, and other visitors are served meanwhile.

use super::{OPEN, open_campus};
use crate::campus::Campus;
use crate::campus::browser::Speaks;
use crate::campus::h2::{END_HEADERS, Frame, block, frame, frames, get, headers, kind, preface, reset};
use crate::campus::legacy_app::Behaviour;
use crate::campus::raw::Raw;
use std::time::Duration;

const HOST: &str = "open.campus.example";
const SOON: Duration = Duration::from_secs(10);
/// RFC 9113 §7.
const ENHANCE_YOUR_CALM: u32 = 0xb;

async fn connect(campus: &Campus) -> Raw {
    let address = campus.gate().addresses().gate;
    let mut raw = Raw::tls_speaking(address, HOST, campus.authority.roots(), &["h2"]).await.expect("the handshake");
    raw.send(preface()).await;
    raw
}

/// Whether the server has had enough of stream 1 or of the connection.
fn refuses(frame: &Frame) -> bool {
    frame.kind == kind::GOAWAY || frame.kind == kind::RST_STREAM && frame.stream == 1
}

/// An answer on stream 1 that says 400: index 12 of the static table (RFC 7541 appendix A).
fn says_400(frame: &Frame) -> bool {
    let field = frame.payload.iter().find(|byte| **byte & 0xe0 != 0x20);
    frame.kind == kind::HEADERS && frame.stream == 1 && field == Some(&0x8c)
}

fn answers(frame: &Frame) -> bool {
    frame.kind == kind::HEADERS && frame.stream == 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t78_limits_are_announced() {
    let campus = open_campus().await;
    let mut raw = connect(&campus).await;
    let said = frames(&mut raw, SOON, |frame| frame.kind == kind::SETTINGS && frame.flags == 0).await;
    let settings = said.iter().find(|frame| frame.kind == kind::SETTINGS).expect("a server sends its settings");
    let value = |wanted: u16| {
        let found = settings.payload.chunks_exact(6).find(|six| six[..2] == wanted.to_be_bytes());
        found.map(|six| u32::from_be_bytes(six[2..].try_into().unwrap()))
    };
    assert!(value(3).is_some_and(|streams| streams <= 100), "MAX_CONCURRENT_STREAMS: {:?}", value(3));
    assert!(value(6).is_some_and(|bytes| bytes <= 64 * 1024), "MAX_HEADER_LIST_SIZE: {:?}", value(6));
    assert_eq!(value(8).unwrap_or(0), 0, "no CONNECT protocol is on offer");
    campus.close().await;
}

/// Blocks that no client may send, by what is wrong with them.
fn malformed() -> Vec<(&'static str, Vec<u8>)> {
    let with = |name: &'static str, more: &[(&str, &str)]| (name, get(HOST, "/x", more));
    let path = |name: &'static str, path: &str| (name, get(HOST, path, &[]));
    let usual = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/x")];
    let without = |name: &'static str, field: &str| {
        (name, block(&usual.into_iter().filter(|(key, _)| *key != field).collect::<Vec<_>>()))
    };
    vec![
        with("a name in upper case", &[("X-Upper", "a")]),
        with("connection", &[("connection", "close")]),
        with("keep-alive", &[("keep-alive", "timeout=5")]),
        with("proxy-connection", &[("proxy-connection", "close")]),
        with("transfer-encoding", &[("transfer-encoding", "chunked")]),
        with("upgrade", &[("upgrade", "websocket")]),
        with("TE other than trailers", &[("te", "gzip")]),
        with("a line break in a value", &[("x-a", "b\r\nx-orcid-id: 0000-0002-1825-0097")]),
        with("a line feed in a value", &[("x-a", "b\nx-c: d")]),
        with("a carriage return in a value", &[("x-a", "b\rx-c: d")]),
        with("NUL in a value", &[("x-a", "b\0c")]),
        with("a colon in a name", &[("x:a", "b")]),
        with("a blank in a name", &[("x a", "b")]),
        with("a line break in a name", &[("x-a: b\r\nx-c", "d")]),
        with("a pseudo-header behind a field", &[("x-a", "b"), (":path", "/admin")]),
        with("two paths", &[(":path", "/admin")]),
        with("an unknown pseudo-header", &[(":evil", "x")]),
        with("a length that is not the body's", &[("content-length", "5")]),
        with("two lengths", &[("content-length", "0"), ("content-length", "5")]),
        with("a length with a sign", &[("content-length", "+0")]),
        with("t28: another host", &[("host", "library.campus.example")]),
        with("t28: two hosts", &[("host", HOST), ("host", HOST)]),
        without("no method", ":method"),
        without("no path", ":path"),
        without("t28: no host at all", ":authority"),
        path("an empty path", ""),
        path("a path without slash", "x"),
        path("the asterisk", "*"),
        path("a whole address for a path", "https://library.campus.example/"),
        path("a blank in the path", "/a b"),
        path("a line break in the path", "/a\r\nx-orcid-id: x"),
        path("a line break that makes another request", "/ HTTP/1.1\r\nHost: x\r\n\r\nGET /admin"),
        path("a backslash", "/a\\..\\b"),
        path("a dot segment", "/a/../b"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t78_what_http2_forbids_reaches_no_app() {
    let campus = open_campus().await;
    let mut complaints = Vec::new();
    for (name, block) in malformed() {
        let mut raw = connect(&campus).await;
        raw.send(headers(1, &block)).await;
        let said = frames(&mut raw, SOON, |frame| refuses(frame) || answers(frame)).await;
        let refused = said.iter().any(|frame| refuses(frame) || says_400(frame));
        if !refused {
            complaints.push(format!("{name}: {said:?}"));
        }
        for request in campus.app("open").requests() {
            complaints.push(format!("{name}: the app saw {}", String::from_utf8_lossy(&request.raw_head)));
        }
        campus.app("open").forget();
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // The same block without a fault is served, so that the table can fail.
    let mut raw = connect(&campus).await;
    raw.send(headers(1, &get(HOST, "/x", &[("x-a", "b")]))).await;
    frames(&mut raw, SOON, answers).await;
    assert_eq!(campus.app("open").last_request().all("x-a"), ["b"]);
    // T24: a fragment is cut off before policy or app see the path; neither can take it for something else.
    let mut raw = connect(&campus).await;
    raw.send(headers(1, &get(HOST, "/a#/../b", &[]))).await;
    frames(&mut raw, SOON, |frame| refuses(frame) || answers(frame)).await;
    let fragments = campus.app("open").requests().iter().filter(|request| request.target.contains(['#', '.'])).count();
    assert_eq!(fragments, 0);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t83_connect_over_http2_opens_nothing() {
    let campus = open_campus().await;
    for fields in [
        &[(":method", "CONNECT"), (":authority", "open.campus.example:443")][..],
        &[(":method", "CONNECT"), (":authority", "127.0.0.1:22")],
        &[
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":authority", HOST),
            (":path", "/"),
        ],
    ] {
        let mut raw = connect(&campus).await;
        raw.send(frame(kind::HEADERS, END_HEADERS, 1, &block(fields))).await;
        let said = frames(&mut raw, SOON, |frame| refuses(frame) || answers(frame)).await;
        let answer = said.iter().find(|frame| answers(frame)).and_then(|frame| frame.payload.first());
        // Every 2xx that the static table knows.
        assert!(!matches!(answer, Some(0x88..=0x8a)), "{fields:?}: {said:?}");
        assert!(said.iter().any(|frame| refuses(frame) || answers(frame)), "{fields:?}: silence");
    }
    assert!(campus.app("open").requests().is_empty());
    campus.close().await;
}

/// Another visitor, on a connection of their own, is served without waiting.
async fn assert_others_are_served(campus: &Campus) {
    let other = campus.browser().without_reuse().get(&format!("{OPEN}/other")).send();
    tokio::time::timeout(SOON, other).await.expect("others are served meanwhile").assert_status(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t78_a_flood_of_continuations_is_cut() {
    let campus = open_campus().await;
    let part = block(&[("x-filler", &"f".repeat(8 * 1024))]);
    for (name, piece, most) in
        [("full", &part[..], 1024), ("tiny", &block(&[("a", "")]), 200_000), ("empty", &[], 200_000)]
    {
        let mut raw = connect(&campus).await;
        raw.send(frame(kind::HEADERS, 0, 1, &get(HOST, "/x", &[]))).await;
        let batch = frame(kind::CONTINUATION, 0, 1, piece).repeat(64);
        let mut sent = 0;
        while sent < most && raw.try_send(&batch).await.is_ok() {
            sent += 64;
        }
        // Cut while it was sending, or right behind: nobody waits for the end of such a head.
        let said = frames(&mut raw, SOON, |frame| frame.kind == kind::GOAWAY).await;
        let cut = said.iter().any(refuses) || raw.closes_within(SOON).await.is_some();
        assert!(cut, "{name}: {sent} continuations were taken");
        assert_others_are_served(&campus).await;
    }
    assert!(campus.app("open").requests().iter().all(|request| request.target == "/other"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t78_a_header_list_beyond_the_limit_is_refused() {
    let campus = open_campus().await;
    let empty: Vec<(String, String)> = (0..6000).map(|n| (format!("x-{n}"), String::new())).collect();
    let fields: Vec<(&str, &str)> = empty.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let block = get(HOST, "/x", &fields);
    let mut raw = connect(&campus).await;
    let mut pieces = block.chunks(16 * 1024).peekable();
    let mut first = true;
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() { END_HEADERS } else { 0 } | u8::from(first);
        raw.send(frame(if first { kind::HEADERS } else { kind::CONTINUATION }, flags, 1, piece)).await;
        first = false;
    }
    let said = frames(&mut raw, SOON, |frame| refuses(frame) || answers(frame)).await;
    let answer = said.iter().find(|frame| answers(frame)).and_then(|frame| frame.payload.first());
    assert!(!matches!(answer, Some(0x88..=0x8b)), "{said:?}");
    assert!(campus.app("open").requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t78_rapid_resets_are_bounded() {
    const FLOOD: u32 = 20_000;
    let campus = open_campus().await;
    let _never = campus.app("open").hold("/held", "never");
    let mut raw = connect(&campus).await;
    let held = get(HOST, "/held", &[]);
    let mut opened = 0;
    let mut cut = false;
    while opened < FLOOD && !cut {
        let batch: Vec<u8> =
            (opened..opened + 100).flat_map(|n| [headers(2 * n + 1, &held), reset(2 * n + 1, 8)].concat()).collect();
        cut = raw.try_send(batch).await.is_err();
        opened += 100;
    }
    assert_others_are_served(&campus).await;
    let said = frames(&mut raw, Duration::from_secs(2), |frame| frame.kind == kind::GOAWAY).await;
    let calm = said.iter().any(|frame| frame.error_code() == Some(ENHANCE_YOUR_CALM));
    let seen = campus.app("open").requests().len();
    assert!(cut || calm || seen < 2_000, "{seen} requests of {FLOOD} that were taken back reached the app");
    drop(raw);
    // Nothing of it stays open towards the app.
    let settled = async {
        while campus.app("open").open_connections() > 8 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let settled = tokio::time::timeout(SOON, settled).await;
    assert!(settled.is_ok(), "{} connections to the app stay open", campus.app("open").open_connections());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t78_made_you_reset_is_bounded() {
    const FLOOD: u32 = 20_000;
    let campus = open_campus().await;
    let _never = campus.app("open").hold("/held", "never");
    let mut raw = connect(&campus).await;
    let held = get(HOST, "/held", &[]);
    let mut opened = 0;
    let mut cut = false;
    while opened < FLOOD && !cut {
        // A window that grows by nothing is an error of the stream, which the server has to reset (CVE-2025-8671).
        let made = |n: u32| {
            [headers(2 * n + 1, &held), frame(kind::WINDOW_UPDATE, 0, 2 * n + 1, &0u32.to_be_bytes())].concat()
        };
        cut = raw.try_send((opened..opened + 100).flat_map(made).collect::<Vec<u8>>()).await.is_err();
        opened += 100;
    }
    assert_others_are_served(&campus).await;
    let said = frames(&mut raw, SOON, |frame| frame.kind == kind::GOAWAY).await;
    let gone = said.iter().any(|frame| frame.kind == kind::GOAWAY);
    assert!(cut || gone, "{opened} streams were reset at the client's wish");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t78_more_streams_than_agreed_wait_or_are_refused() {
    let campus = open_campus().await;
    let held = campus.app("open").hold("/held", "now");
    let mut raw = connect(&campus).await;
    let block = get(HOST, "/held", &[]);
    raw.send((0..150).flat_map(|n| headers(2 * n + 1, &block)).collect::<Vec<u8>>()).await;
    let mut refused = 0;
    let said = frames(&mut raw, SOON, |frame| {
        frame.kind == kind::GOAWAY || frame.kind == kind::RST_STREAM && frame.stream == 2 * 149 + 1
    })
    .await;
    for frame in &said {
        refused += usize::from(matches!(frame.kind, kind::RST_STREAM | kind::GOAWAY));
    }
    assert!(refused >= 1, "{said:?}");
    assert!(campus.app("open").requests().len() <= 100);
    drop(held);
    campus.app("open").on("/held", Behaviour::text("now"));
    campus.browser().speaking(Speaks::OnlyHttp2).get(&format!("{OPEN}/held")).send().await.assert_status(200);
    campus.close().await;
}
