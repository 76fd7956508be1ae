//! [`Visit`]: host, target, cookies and peer of one request, parsed once and strictly (invariant 1).
//! Whatever two parsers could read in two ways is refused here, not repaired.

use super::connection::Connection;
use crate::domain::Host;
use crate::policy::is_let_through;
use bytes::Bytes;
use http::{HeaderMap, Method, Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use std::sync::Arc;

/// The request as every later step sees it.
#[derive(Debug)]
pub struct Visit {
    pub connection: Arc<Connection>,
    pub host: Host,
    pub method: Method,
    /// The path as sent, not yet canonical: that needs the site's switches.
    pub raw_path: String,
    /// After the first `?`, byte for byte.
    pub query: Option<String>,
    pub is_upgrade: bool,
}

/// Why a request is not read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    Ambiguous(&'static str),
    Method,
    HeadTooLarge,
    Misdirected,
}

impl Visit {
    /// `head_limit` in bytes, over the whole head.
    pub fn read(session: &Session, head_limit: usize) -> Result<Visit, Unreadable> {
        let connection = Connection::of(session).ok_or(Unreadable::Ambiguous("connection unknown"))?;
        let request = session.req_header();
        let raw = session.as_downstream().as_http1().map(|h1| h1.get_headers_raw_bytes());
        check_size(request, raw.as_ref(), head_limit)?;
        if !is_let_through(&request.method) {
            return Err(Unreadable::Method);
        }
        let target = match &raw {
            Some(raw) => {
                if connection.request_line_is_odd() {
                    return Err(Unreadable::Ambiguous("request line"));
                }
                check_raw_head(raw)?;
                request_target(raw)?.to_owned()
            }
            None => std::str::from_utf8(request.raw_path()).map_err(|_| Unreadable::Ambiguous("target"))?.to_owned(),
        };
        check_framing(request)?;
        let (authority, target) = split_target(request, target)?;
        let host = single_host(request, authority.as_deref(), connection.sni.as_ref())?;
        // A browser may bring a second host onto an h2 connection whose certificate covers it (T28).
        if connection.sni.as_ref() != Some(&host) && !connection.certificate.covers(&host) {
            return Err(Unreadable::Misdirected);
        }
        let (raw_path, query) = match target.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
            None => (target, None),
        };
        let is_upgrade = request.headers.contains_key(header::UPGRADE);
        Ok(Visit { connection, host, method: request.method.clone(), raw_path, query, is_upgrade })
    }
}

fn check_size(request: &RequestHeader, raw: Option<&Bytes>, limit: usize) -> Result<(), Unreadable> {
    let size = match raw {
        Some(raw) => raw.len(),
        None => {
            request.raw_path().len()
                + request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum::<usize>()
        }
    };
    if size > limit { Err(Unreadable::HeadTooLarge) } else { Ok(()) }
}

/// The engine repairs bare line feeds and folded lines, and hides a length beside a coding; another
/// parser may not (T76).
fn check_raw_head(raw: &[u8]) -> Result<(), Unreadable> {
    if memchr::memchr(0, raw).is_some() {
        return Err(Unreadable::Ambiguous("NUL"));
    }
    let (mut length, mut coding) = (false, false);
    let mut rest = raw;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let Some((b'\r', line)) = rest[..end].split_last() else {
            return Err(Unreadable::Ambiguous("bare line feed"));
        };
        check_line(line)?;
        length |= is_field(line, b"content-length");
        coding |= is_field(line, b"transfer-encoding");
        rest = &rest[end + 1..];
        if rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err(Unreadable::Ambiguous("folded line"));
        }
    }
    check_line(rest)?;
    if length && coding { Err(Unreadable::Ambiguous("a length beside a coding")) } else { Ok(()) }
}

fn check_line(line: &[u8]) -> Result<(), Unreadable> {
    match memchr::memchr(b'\r', line) {
        Some(_) => Err(Unreadable::Ambiguous("bare carriage return")),
        None => Ok(()),
    }
}

fn is_field(line: &[u8], name: &[u8]) -> bool {
    line.get(name.len()) == Some(&b':') && line[..name.len()].eq_ignore_ascii_case(name)
}

/// The bytes between the first and the last space of the request line. The engine turns a space in
/// the target into `%20` and drops a fragment; both are refused (T24, T26).
fn request_target(raw: &[u8]) -> Result<&str, Unreadable> {
    let line = raw.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Unreadable::Ambiguous("target"))?;
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(_), Some(target), Some(version), None)
            if matches!(version, "HTTP/1.1" | "HTTP/1.0")
                && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') =>
        {
            Ok(target)
        }
        _ => Err(Unreadable::Ambiguous("request line")),
    }
}

/// One length or one coding, never both (T76; RFC 9112 §6.3).
fn check_framing(request: &RequestHeader) -> Result<(), Unreadable> {
    let mut lengths = request.headers.get_all(header::CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Unreadable::Ambiguous("two lengths"));
    }
    if let Some(length) = length {
        let digits = length.as_bytes();
        if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Unreadable::Ambiguous("length"));
        }
    }
    let mut codings = request.headers.get_all(header::TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(()) };
    let only_chunked = codings.next().is_none() && coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    if !only_chunked || length.is_some() || request.version != Version::HTTP_11 {
        return Err(Unreadable::Ambiguous("transfer coding"));
    }
    Ok(())
}

/// Takes an absolute-form target apart (RFC 9112 §3.2.2); asterisk-form and authority-form are refused.
fn split_target(request: &RequestHeader, target: String) -> Result<(Option<String>, String), Unreadable> {
    let h2_authority = request.uri.authority().map(|authority| authority.as_str().to_owned());
    if target.starts_with('/') {
        return Ok((if request.version == Version::HTTP_2 { h2_authority } else { None }, target));
    }
    let lower = target.get(..8).unwrap_or(&target).to_ascii_lowercase();
    let rest = if lower == "https://" {
        &target[8..]
    } else if lower.starts_with("http://") {
        &target[7..]
    } else {
        return Err(Unreadable::Ambiguous("target form"));
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ok((Some(authority.to_owned()), path))
}

/// One host, however it was said: `Host`, `:authority` and an absolute target must agree (T27, T28). `sni` is what nearly
/// every request says once more, and then needs no second reading.
fn single_host(request: &RequestHeader, authority: Option<&str>, sni: Option<&Host>) -> Result<Host, Unreadable> {
    let mut named: Option<(Host, Option<u16>)> = None;
    let fields = request.headers.get_all(header::HOST);
    if fields.iter().nth(1).is_some() {
        return Err(Unreadable::Ambiguous("two Host fields"));
    }
    let fields = fields.iter().map(|value| value.to_str().map_err(|_| ()));
    for text in fields.chain(authority.map(Ok)) {
        let text = text.map_err(|()| Unreadable::Ambiguous("host"))?;
        let this = match sni {
            Some(sni) if sni.as_str() == text => (sni.clone(), None),
            _ => Host::from_authority(text).map_err(|_| Unreadable::Ambiguous("host"))?,
        };
        match &named {
            Some(other) if *other != this => return Err(Unreadable::Ambiguous("two hosts")),
            _ => named = Some(this),
        }
    }
    named.map(|(host, _)| host).ok_or(Unreadable::Ambiguous("no host"))
}

/// Header values of one name, joined as HTTP/2 splits cookies (RFC 9113 §8.2.3).
pub(super) fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &http::HeaderValue> {
    headers.get_all(header::COOKIE).iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t24_t26_request_lines() {
        let target = |line: &str| request_target(format!("{line}\r\nHost: a\r\n\r\n").as_bytes()).map(str::to_owned);
        assert_eq!(target("GET /a?b HTTP/1.1").as_deref(), Ok("/a?b"));
        assert_eq!(target("GET http://a/b HTTP/1.0").as_deref(), Ok("http://a/b"));
        for bad in [
            "GET /a b HTTP/1.1",
            "GET /a#b HTTP/1.1",
            "GET  / HTTP/1.1",
            "GET /",
            "GET / HTTP/2.0",
            "GET /é HTTP/1.1",
            "GET /\t HTTP/1.1",
            "GET http:// HTTP/1.1 x",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn t76_heads_that_two_parsers_read_differently() {
        assert!(check_raw_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
        assert!(check_raw_head(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n").is_ok());
        assert!(check_raw_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").is_ok());
        for bad in [
            &b"GET / HTTP/1.1\nHost: a\r\n\r\n"[..],
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\r\n\r\n",
            b"GET / HTTP/1.1\r\nA: b\r\n\r",
            b"POST / HTTP/1.1\r\nContent-Length: 1\r\ntransfer-ENCODING: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nA: b\r\nCONTENT-length: 1\r\n\r\n",
            b"A\0",
        ] {
            assert!(check_raw_head(bad).is_err(), "{bad:?}");
        }
    }

    fn request(headers: &[(&str, &str)], version: Version) -> RequestHeader {
        let mut request = RequestHeader::build("POST", b"/", None).unwrap();
        request.set_version(version);
        for (name, value) in headers {
            request.append_header((*name).to_owned(), *value).unwrap();
        }
        request
    }

    #[test]
    fn t76_framing_has_one_reading() {
        let ok = |headers: &[(&str, &str)], version| check_framing(&request(headers, version)).is_ok();
        assert!(ok(&[], Version::HTTP_11));
        assert!(ok(&[("content-length", "5")], Version::HTTP_11));
        assert!(ok(&[("transfer-encoding", "Chunked")], Version::HTTP_11));
        for (headers, version) in [
            (&[("content-length", "5"), ("content-length", "5")][..], Version::HTTP_11),
            (&[("content-length", "+5")], Version::HTTP_11),
            (&[("content-length", "5, 5")], Version::HTTP_11),
            (&[("content-length", "")], Version::HTTP_11),
            (&[("content-length", "9999999999999999999")], Version::HTTP_11),
            (&[("content-length", "5"), ("transfer-encoding", "chunked")], Version::HTTP_11),
            (&[("transfer-encoding", "gzip, chunked")], Version::HTTP_11),
            (&[("transfer-encoding", "chunked, identity")], Version::HTTP_11),
            (&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")], Version::HTTP_11),
            (&[("transfer-encoding", "chunked")], Version::HTTP_10),
        ] {
            assert!(!ok(headers, version), "{headers:?}");
        }
    }

    #[test]
    fn t28_hosts_must_agree() {
        for sni in [None, Some("a.example"), Some("b.example")] {
            let sni = sni.map(|name| name.parse::<Host>().unwrap());
            let host = |headers: &[(&str, &str)], authority| {
                single_host(&request(headers, Version::HTTP_11), authority, sni.as_ref())
            };
            assert_eq!(host(&[("host", "A.example:443")], None).unwrap().as_str(), "a.example");
            assert_eq!(host(&[("host", "a.example")], Some("a.example")).unwrap().as_str(), "a.example");
            assert_eq!(host(&[("host", "a.example.")], Some("a.example")).unwrap().as_str(), "a.example");
            assert!(host(&[], None).is_err());
            assert!(host(&[("host", "a.example"), ("host", "a.example")], None).is_err());
            assert!(host(&[("host", "a.example")], Some("b.example")).is_err());
            assert!(host(&[("host", "a.example")], Some("a.example:2")).is_err());
            assert!(host(&[("host", "a.example:1")], Some("a.example:2")).is_err());
            assert!(host(&[("host", "a b")], None).is_err());
        }
    }

    #[test]
    fn absolute_targets_become_origin_form() {
        let split = |target: &str| split_target(&request(&[], Version::HTTP_11), target.to_owned());
        assert_eq!(split("/a?b").unwrap(), (None, "/a?b".into()));
        assert_eq!(split("https://h.example/a?b").unwrap(), (Some("h.example".into()), "/a?b".into()));
        assert_eq!(split("HTTP://h.example?b").unwrap(), (Some("h.example".into()), "/?b".into()));
        for bad in ["*", "h.example:443", "ftp://h/a", "a/b", ""] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}
