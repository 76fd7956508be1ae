//! Where one request ends and the next begins (T76): heads, lengths and chunks that two parsers could read in two ways.

use super::{Case, open_campus, refuse_all, say};

/// What a smuggler hopes the app takes for a request of its own.
const TAIL: &str = "GET /smuggled HTTP/1.1\r\nHost: open.campus.example\r\n\r\n";

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /form HTTP/1.1\r\nHost: open.campus.example\r\n{fields}\r\n{body}").into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t76_a_body_whose_length_has_two_readings_is_refused() {
    let campus = open_campus().await;
    let chunked = format!("0\r\n\r\n{TAIL}");
    let te = |coding: &str| post(&format!("Transfer-Encoding: {coding}\r\n"), &chunked);
    let length = |length: &str| post(&format!("Content-Length: {length}\r\n"), &format!("abc{TAIL}"));
    let old =
        format!("POST /form HTTP/1.0\r\nHost: open.campus.example\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}");
    let cases: Vec<Case> = vec![
        ("a length, then a coding", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", &chunked), 400),
        ("a coding, then a length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", &chunked), 400),
        ("a coding and the right length", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", &chunked), 400),
        ("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", &format!("abc{TAIL}")), 400),
        ("the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", &format!("abc{TAIL}")), 400),
        ("a list of lengths", length("3, 3"), 400),
        ("a length with a sign", length("+3"), 400),
        ("a negative length", length("-3"), 400),
        ("a hexadecimal length", length("0x3"), 400),
        ("a fraction", length("3.0"), 400),
        ("no number", length(""), 400),
        ("more than 64 bits", length("18446744073709551619"), 400),
        ("a coding that is lost on the way", te("gzip, chunked"), 400),
        ("chunked, but not last", te("chunked, identity"), 400),
        ("chunked twice in a line", te("chunked, chunked"), 400),
        ("chunked in two lines", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", &chunked), 400),
        ("identity", te("identity"), 400),
        ("an unknown coding", te("xchunked"), 400),
        ("a quoted coding", te("\"chunked\""), 400),
        ("a coding with a parameter", te("chunked;q=1"), 400),
        ("a vertical tab", te("\u{b}chunked"), 400),
        ("space before the colon", post("Transfer-Encoding : chunked\r\n", &chunked), 400),
        ("a folded coding", post("Transfer-Encoding:\r\n chunked\r\n", &chunked), 400),
        ("chunks in HTTP/1.0", old.into_bytes(), 400),
    ];
    refuse_all(&campus, "open.campus.example", "open", &cases).await;
    campus.close().await;
}

fn heads() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: open.campus.example\r\nConnection: close\r\n\r\n").into_bytes();
    let fields = |fields: &str| format!("GET / HTTP/1.1\r\nHost: open.campus.example\r\n{fields}\r\n").into_bytes();
    let many: String = (0..300).map(|n| format!("X-{n}: x\r\n")).collect();
    let mut raw_bytes = b"GET /caf\xe9 HTTP/1.1\r\nHost: open.campus.example\r\n\r\n".to_vec();
    raw_bytes.extend_from_slice(TAIL.as_bytes());
    vec![
        ("a bare line feed after the request line", b"GET / HTTP/1.1\nHost: open.campus.example\r\n\r\n".to_vec(), 400),
        ("a bare line feed after a field", fields("X-A: b\nX-C: d\r\n"), 400),
        ("bare line feeds all over", b"GET / HTTP/1.1\nHost: open.campus.example\n\n".to_vec(), 400),
        ("a folded field", fields("X-A: b\r\n c\r\n"), 400),
        ("a field folded with a tab", fields("X-A: b\r\n\tc\r\n"), 400),
        ("a carriage return in a value", fields("X-A: b\rX-C: d\r\n"), 400),
        ("NUL in a value", fields("X-A: b\0c\r\n"), 400),
        ("NUL in a name", fields("X\0A: b\r\n"), 400),
        ("space before the colon", fields("X-A : b\r\n"), 400),
        ("a blank in a name", fields("X A: b\r\n"), 400),
        ("no colon", fields("X-A\r\n"), 400),
        ("no name", fields(": b\r\n"), 400),
        ("a field that begins with a blank", b"GET / HTTP/1.1\r\n Host: open.campus.example\r\n\r\n".to_vec(), 400),
        ("more fields than anybody needs", fields(&many), 400),
        ("HTTP/2.0 in the line", line("GET / HTTP/2.0"), 400),
        ("HTTP/1.2", line("GET / HTTP/1.2"), 400),
        ("a version in lower case", line("GET / http/1.1"), 400),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec(), 400),
        ("two blanks", line("GET  / HTTP/1.1"), 400),
        ("a tab for a blank", line("GET\t/\tHTTP/1.1"), 400),
        ("bytes that are no UTF-8", raw_bytes, 400),
        ("UTF-8", line("GET /café HTTP/1.1"), 400),
        ("no method", line(" / HTTP/1.1"), 400),
        ("a method that is no token", line("GE(T / HTTP/1.1"), 400),
        ("no request at all", b"EHLO campus.example\r\n\r\n".to_vec(), 400),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t76_a_head_with_two_readings_is_refused() {
    let campus = open_campus().await;
    refuse_all(&campus, "open.campus.example", "open", &heads()).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t76_chunks_that_follow_no_grammar_never_make_a_whole_request() {
    let campus = open_campus().await;
    let chunks = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let mut complaints = Vec::new();
    for (name, bytes) in [
        ("a size that is no number", chunks(&format!("5x\r\nhello\r\n0\r\n\r\n{TAIL}"))),
        ("a negative size", chunks(&format!("-5\r\nhello\r\n0\r\n\r\n{TAIL}"))),
        ("a size with a sign", chunks(&format!("+5\r\nhello\r\n0\r\n\r\n{TAIL}"))),
        ("a size with a prefix", chunks(&format!("0x5\r\nhello\r\n0\r\n\r\n{TAIL}"))),
        ("a size beyond all bounds", chunks(&format!("fffffffffffffffff\r\nhello\r\n0\r\n\r\n{TAIL}"))),
        ("a size that wraps around", chunks(&format!("10000000000000005\r\nhello\r\n0\r\n\r\n{TAIL}"))),
        ("more data than the size", chunks(&format!("5\r\nhello you\r\n0\r\n\r\n{TAIL}"))),
        ("no line break behind the data", chunks(&format!("5\r\nhello0\r\n\r\n{TAIL}"))),
    ] {
        let said = say(&campus, "open.campus.example", &bytes).await;
        if !matches!(said.statuses()[..], [] | [400]) || !said.closed {
            complaints.push(format!("{name}: {:?}, closed: {}", said.statuses(), said.closed));
        }
        for request in campus.app("open").requests() {
            if request.target != "/form" || request.complete() {
                complaints.push(format!("{name}: the app has {} {:?}", request.target, request.body()));
            }
        }
        campus.app("open").forget();
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // What the engine reads generously reaches the app in clean framing, and nothing behind it is read.
    for (name, bytes) in [
        ("no size", chunks(&format!("\r\nhello\r\n0\r\n\r\n{TAIL}"))),
        ("a line feed in an extension", chunks(&format!("5;a\nb\r\nhello\r\n0\r\n\r\n{TAIL}"))),
    ] {
        let said = say(&campus, "open.campus.example", &bytes).await;
        assert!(said.closed && said.statuses().len() <= 1, "{name}:\n{}", said.text());
        assert!(campus.app("open").requests().iter().all(|request| request.target == "/form"), "{name}");
        campus.app("open").forget();
    }
    // The grammar itself is understood, and an extension is nobody's business.
    let fine = post("Transfer-Encoding: chunked\r\nConnection: close\r\n", "5;name=\"v\"\r\nhello\r\n0\r\n\r\n");
    assert_eq!(say(&campus, "open.campus.example", &fine).await.status(), 200);
    assert_eq!(campus.app("open").last_request().body(), b"hello");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t76_what_follows_an_answered_request_is_never_smuggled_past_the_policy() {
    let campus = open_campus().await;
    // A pipelined request is either served by the rules or not at all.
    let two = "GET / HTTP/1.1\r\nHost: library.campus.example\r\n\r\nGET /loans HTTP/1.1\r\nHost: library.campus.example\r\n\r\n";
    let said = say(&campus, "library.campus.example", two).await;
    let statuses = said.statuses();
    assert!(statuses.len() <= 2 && !statuses[1..].contains(&200), "{statuses:?}\n{}", said.text());
    assert!(campus.library().requests().iter().all(|request| request.target == "/"));
    // A body that the gate has not read does not become a request after the answer.
    let inner = "GET / HTTP/1.1\r\nHost: library.campus.example\r\n\r\n";
    let hidden = format!(
        "POST /loans HTTP/1.1\r\nHost: library.campus.example\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    campus.library().forget();
    let said = say(&campus, "library.campus.example", hidden).await;
    assert_eq!(said.statuses(), [401], "{}", said.text());
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}
