//! The one writer of identity (invariant 3). Drops every reserved name from what a client sent, then
//! writes the [`Introduction`], which is made from an admission alone; the same function serves guests, who get only the drop.

use super::introduction::Introduction;
use super::visit;
use crate::policy::{AppCookies, AuthorizationHeader, ReservedNames, Site};
use crate::session::app_cookies::{Binder, Binding};
use crate::session::cookie;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{request, response};
use pingora::http::{RequestHeader, ResponseHeader};

/// Names by which a client could claim to be somewhere or something else (T14). We write our own
/// `X-Forwarded-*`, `X-Real-IP` and `Forwarded`; the rest is only dropped.
const FORWARDED: &[&str] = &[
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-url",
    "x-forwarded-method",
    "x-forwarded-server",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-host",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-url-scheme",
    "front-end-https",
    "proxy",
    "proxy-authorization",
];

/// Folds `_`, `.`, space and case as application servers do when they make variable names.
fn folds_to(name: &str, canonical: &str) -> bool {
    name.len() == canonical.len()
        && name.bytes().zip(canonical.bytes()).all(|(found, wanted)| match found {
            b'_' | b'.' | b' ' => wanted == b'-',
            other => other.to_ascii_lowercase() == wanted,
        })
}

/// Which lengths the [`FORWARDED`] names have, as bits: most headers of a browser are out after one look.
const FORWARDED_LENGTHS: u64 = {
    let (mut lengths, mut at) = (0, 0);
    while at < FORWARDED.len() {
        lengths |= 1 << FORWARDED[at].len();
        at += 1;
    }
    lengths
};

fn is_forwarding(name: &str) -> bool {
    // All begin with one of five letters, which no folding changes.
    let begins = name.as_bytes().first().is_some_and(|first| matches!(first | 0x20, b'x' | b'f' | b'p' | b't' | b'c'));
    begins
        && name.len() < 64
        && FORWARDED_LENGTHS >> name.len() & 1 == 1
        && FORWARDED.iter().any(|canonical| folds_to(name, canonical))
}

/// Removes from a request everything a client may not say. Returns how many identity fields it
/// carried, for the log and the metric; never an error to the client, who learns nothing by trying.
pub fn scrub(headers: &mut HeaderMap, reserved: &ReservedNames, assertion: Option<&HeaderName>) -> usize {
    let mut drop: Vec<HeaderName> = Vec::new();
    let mut claimed = 0;
    for name in headers.keys() {
        let text = name.as_str();
        if reserved.is_reserved(text) || assertion.is_some_and(|ours| folds_to(text, ours.as_str())) {
            claimed += 1;
            drop.push(name.clone());
        } else if is_forwarding(text) {
            drop.push(name.clone());
        }
    }
    for name in &drop {
        headers.remove(name);
    }
    claimed
}

/// The parts of a request, which is left blank: they can be changed as plain maps.
fn take(request: &mut RequestHeader) -> request::Parts {
    let (blank, ()) = http::Request::new(()).into_parts();
    std::mem::replace(request, RequestHeader::from(blank)).into()
}

/// Makes the request the app will see: scrubbed, on the canonical target, without our cookies, and with the visitor's
/// introduction. `assertion` is the field with the signed one, when the site wants it and somebody is signed in. Returns
/// how many identity fields the client had sent.
///
/// Names arrive in lower case, whatever HTTP the visitor speaks: the engine's map of their spelling is given up, because
/// keeping it in step doubles the cost of every change.
pub fn present(
    request: &mut RequestHeader,
    target: &str,
    reserved: &ReservedNames,
    introduction: &Introduction,
    assertion: Option<&(HeaderName, HeaderValue)>,
) -> pingora::Result<usize> {
    let site = introduction.site();
    let mut parts = take(request);
    let headers = &mut parts.headers;
    headers.reserve(introduction.fields().len() + 1);
    let claimed = scrub(headers, reserved, site.hand_off.assertion.as_ref().map(|spec| &spec.header));
    withhold_cookies(headers);
    if site.authorization == AuthorizationHeader::Strip {
        headers.remove(&header::AUTHORIZATION);
    }
    for (name, value) in introduction.fields().iter().chain(assertion) {
        headers.insert(name, value.clone());
    }
    *request = RequestHeader::from(parts);
    if request.raw_path() != target.as_bytes() {
        request.set_raw_path(target.as_bytes())?;
    }
    Ok(claimed)
}

/// Cookies of the app that were set for somebody else do not reach it. Before [`present`], which drops our own, and with
/// them what says whose the others are.
pub fn withhold_foreign_cookies(
    request: &mut RequestHeader,
    which: &AppCookies,
    binding: &mut Binding,
    binder: &Binder,
) {
    let mut parts = take(request);
    binder.withhold(which, binding, &mut parts.headers);
    *request = RequestHeader::from(parts);
}

/// After [`tame_answer`]: what the app sets belongs to whoever asked.
pub fn bind_cookies(
    answer: &mut ResponseHeader,
    which: &AppCookies,
    binding: &Binding,
    target: &str,
    binder: &Binder,
) -> pingora::Result<()> {
    let mut headers = HeaderMap::new();
    for line in answer.headers.get_all(header::SET_COOKIE) {
        headers.append(header::SET_COOKIE, line.clone());
    }
    if !binder.bind(which, binding, target, &mut headers) {
        return Ok(());
    }
    answer.remove_header(&header::SET_COOKIE);
    for line in headers.get_all(header::SET_COOKIE) {
        answer.append_header(header::SET_COOKIE, line.clone())?;
    }
    // A cache that kept one person's cookies for the next would undo it all.
    make_private(answer)
}

/// Own cookies never reach an app (T21), and the others arrive in one field: browsers split it over
/// HTTP/2, and apps that speak HTTP/1.1 take two fields for one list with commas (RFC 9113 §8.2.3).
fn withhold_cookies(headers: &mut HeaderMap) {
    let is_fit = {
        let mut fields = visit::cookies(headers);
        fields.next().is_none_or(|only| !cookie::mentions_own(only)) && fields.next().is_none()
    };
    if is_fit {
        return;
    }
    match cookie::without_own_cookies(visit::cookies(headers)) {
        Some(value) => headers.insert(header::COOKIE, value),
        None => headers.remove(&header::COOKIE),
    };
}

/// Gives up how the app spelt the names of its answer's fields, and its own words beside the status. HTTP/2 has neither
/// (RFC 9113 §8.2.1, §8.3.2), and the engine's map of the spelling doubles the cost of every change.
pub fn forget_spelling(answer: &mut ResponseHeader) {
    let (blank, ()) = http::Response::new(()).into_parts();
    let mut parts = response::Parts::from(std::mem::replace(answer, ResponseHeader::from(blank)));
    parts.headers.reserve(MOST_ADDED);
    *answer = ResponseHeader::from(parts);
}

/// How many fields [`tame_answer`] adds at most.
const MOST_ADDED: usize = 3;

/// Takes from an app's answer what it may not say: our cookies, identity fields (T20), and, on pages
/// that depend on who is asking, permission for shared caches to keep them.
pub fn tame_answer(
    answer: &mut ResponseHeader,
    site: &Site,
    reserved: &ReservedNames,
    personal: bool,
) -> pingora::Result<()> {
    let planted = answer.headers.get_all(header::SET_COOKIE).iter().any(cookie::sets_own);
    if planted {
        let kept: Vec<HeaderValue> = answer
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .filter(|value| !cookie::sets_own(value))
            .cloned()
            .collect();
        answer.remove_header(&header::SET_COOKIE);
        for value in kept {
            answer.append_header(header::SET_COOKIE, value)?;
        }
    }
    let claimed: Vec<HeaderName> =
        answer.headers.keys().filter(|name| reserved.is_reserved(name.as_str())).cloned().collect();
    for name in &claimed {
        answer.remove_header(name);
    }
    if personal && site.private_cache {
        make_private(answer)?;
    }
    if site.hsts && !site.hosts.iter().any(crate::domain::Host::is_localhost) {
        answer.insert_header(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(super::respond::HSTS))?;
    }
    Ok(())
}

const PRIVATE: HeaderValue = HeaderValue::from_static("private");

fn make_private(answer: &mut ResponseHeader) -> pingora::Result<()> {
    if answer.headers.contains_key(header::CACHE_CONTROL) {
        narrow_cache_control(answer)?;
    } else {
        answer.insert_header(header::CACHE_CONTROL, PRIVATE)?;
    }
    let varies =
        answer.headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|name| matches!(name.trim().to_ascii_lowercase().as_str(), "cookie" | "*"))
        });
    if !varies {
        answer.append_header(header::VARY, HeaderValue::from_static("Cookie"))?;
    }
    Ok(())
}

/// Takes back what an app allowed shared caches, and leaves the rest as it was said.
fn narrow_cache_control(answer: &mut ResponseHeader) -> pingora::Result<()> {
    let mut kept: Vec<String> = answer
        .headers
        .get_all(header::CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|directive| {
            let name = directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
            !matches!(name.as_str(), "" | "public" | "s-maxage" | "private")
        })
        .map(str::to_owned)
        .collect();
    kept.push("private".to_owned());
    answer.insert_header(header::CACHE_CONTROL, kept.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t14_forwarding_names_in_any_spelling() {
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "x_forwarded_host",
            "X.Forwarded.Proto",
            "x-original-url",
            "Proxy",
            "X_HTTP_Method_Override",
        ] {
            assert!(is_forwarding(name), "{name}");
        }
        for name in FORWARDED {
            assert!(is_forwarding(name) && is_forwarding(&name.to_uppercase().replace('-', "_")), "{name}");
        }
        for name in ["X-Forwarded", "Accept", "", "Cookie", "Front-End-Http", "X-Requested-With", "Proxy-Connection-X"]
        {
            assert!(!is_forwarding(name), "{name}");
        }
    }

    #[test]
    fn only_the_spelling_of_an_answer_is_forgotten() {
        let mut answer = ResponseHeader::build(404, None).unwrap();
        answer.set_reason_phrase(Some("Nowhere")).unwrap();
        for (name, value) in [("X-App", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")] {
            answer.append_header(name, value).unwrap();
        }
        let told = answer.headers.clone();
        forget_spelling(&mut answer);
        assert_eq!((answer.status.as_u16(), &answer.headers), (404, &told));
        assert!(!answer.has_case());
        assert_eq!(answer.get_reason_phrase(), Some("Not Found"));
    }

    #[test]
    fn shared_caches_may_not_keep_personal_pages() {
        for (before, after) in [
            (&[][..], "private"),
            (&["public, max-age=60, s-maxage=600"], "max-age=60, private"),
            (&["no-store"], "no-store, private"),
            (&["Public", "S-MaxAge=1"], "private"),
        ] {
            let mut answer = ResponseHeader::build(200, None).unwrap();
            for value in before {
                answer.append_header("Cache-Control", *value).unwrap();
            }
            make_private(&mut answer).unwrap();
            let found: Vec<_> = answer.headers.get_all("cache-control").iter().collect();
            assert_eq!(found, [after]);
            assert_eq!(answer.headers["vary"], "Cookie");
        }
    }
}
