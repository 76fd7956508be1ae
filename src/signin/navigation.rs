//! Is this a person's browser opening a page, or a program fetching something (J16, B3)? Only the
//! former is sent to sign in. Asked by `proxy` through [`super::SignIn`].

use super::request::only;
use http::{HeaderMap, Method, header};

/// Whether the request is a top-level navigation. The browser's own word counts most
/// (`Sec-Fetch-*`, W3C Fetch Metadata §2); older browsers are judged by what they accept. In doubt it
/// is a program: 401 harms nobody, a started attempt per background request would (B3).
pub fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    // A prefetched page may never be seen; a program's connection is not a page.
    if headers.contains_key(header::UPGRADE) || is_fetched_ahead(headers) {
        return false;
    }
    if !matches!(*method, Method::GET | Method::HEAD | Method::POST) {
        return false;
    }
    if headers.contains_key("sec-fetch-mode") || headers.contains_key("sec-fetch-dest") {
        // A frame cannot show our pages (T48), so being sent there would help nobody.
        let mode = only(headers, "sec-fetch-mode").is_none_or(|mode| mode == "navigate");
        let destination = only(headers, "sec-fetch-dest").is_none_or(|destination| destination == "document");
        let twice = headers.get_all("sec-fetch-mode").iter().count() > 1
            || headers.get_all("sec-fetch-dest").iter().count() > 1;
        return mode && destination && !twice;
    }
    if headers.contains_key("x-requested-with") {
        return false;
    }
    accepts_pages(headers)
}

/// Whether the browser fetches a page before anybody has asked for it (`Sec-Purpose`, WHATWG Fetch): it may throw the
/// answer away.
pub(super) fn is_fetched_ahead(headers: &HeaderMap) -> bool {
    mentions(headers, "sec-purpose", "prefetch") || mentions(headers, "purpose", "prefetch")
}

/// Whether HTML is asked for by name; `*/*` is what programs send.
fn accepts_pages(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|kind| {
            let mut parts = kind.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
            !refused && ["text/html", "application/xhtml+xml"].iter().any(|page| name.eq_ignore_ascii_case(page))
        })
}

fn mentions(headers: &HeaderMap, name: &str, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split([';', ','])).any(|part| part.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn only_a_person_opening_a_page_is_sent_to_sign_in() {
        let html = "accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";
        let table: &[(&str, &[&str], bool)] = &[
            ("GET", &["sec-fetch-mode: navigate", "sec-fetch-dest: document"], true),
            ("POST", &["sec-fetch-mode: navigate", "sec-fetch-dest: document", html], true),
            ("GET", &["sec-fetch-mode: navigate", "sec-fetch-dest: document", "sec-fetch-site: cross-site"], true),
            ("GET", &["sec-fetch-mode: navigate"], true),
            ("GET", &["sec-fetch-mode: navigate", "sec-fetch-dest: iframe", html], false),
            ("GET", &["sec-fetch-mode: cors", "sec-fetch-dest: empty", html], false),
            ("GET", &["sec-fetch-mode: no-cors", "sec-fetch-dest: image"], false),
            ("GET", &["sec-fetch-mode: websocket"], false),
            ("GET", &["sec-fetch-mode: navigate", "sec-fetch-mode: cors"], false),
            ("GET", &["sec-fetch-mode: navigate", "sec-fetch-dest: document", "sec-purpose: prefetch"], false),
            ("GET", &["sec-fetch-mode: navigate", "sec-purpose: prefetch;prerender"], false),
            ("GET", &[html], true),
            ("HEAD", &[html], true),
            ("GET", &["accept: application/json, text/html;q=0"], false),
            ("GET", &["accept: TEXT/HTML"], true),
            ("GET", &["accept: */*"], false),
            ("GET", &["accept: text/event-stream"], false),
            ("GET", &["accept: application/json"], false),
            ("GET", &[], false),
            ("GET", &[html, "x-requested-with: XMLHttpRequest"], false),
            ("GET", &[html, "upgrade: websocket"], false),
            ("GET", &["sec-fetch-mode: navigate", "upgrade: websocket"], false),
            ("PUT", &[html], false),
            ("DELETE", &["sec-fetch-mode: navigate"], false),
            ("OPTIONS", &[html], false),
            ("PROPFIND", &[html], false),
        ];
        for (method, lines, expected) in table {
            let mut headers = HeaderMap::new();
            for line in *lines {
                let (name, value) = line.split_once(": ").unwrap();
                headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
            }
            let method: Method = method.parse().unwrap();
            assert_eq!(is_navigation(&method, &headers), *expected, "{method} {lines:?}");
        }
    }
}
