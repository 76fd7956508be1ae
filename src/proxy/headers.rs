//! The one writer of identity (invariant 3). Drops every reserved name from what a client sent, then
//! writes what the [`Admission`] vouches for; the same function serves guests, who get only the drop.

use super::visit::{self, Visit};
use crate::policy::{Admission, AuthorizationHeader, HostHeader, ReservedNames, Site, SiteKind, Upstream};
use crate::session::cookie;
use http::header::{self, HeaderName, HeaderValue};
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

fn is_forwarding(name: &str) -> bool {
    FORWARDED.iter().any(|canonical| folds_to(name, canonical))
}

/// Removes from `request` everything a client may not say. Returns how many identity fields it
/// carried, for the log and the metric; never an error to the client, who learns nothing by trying.
pub(super) fn scrub(request: &mut RequestHeader, reserved: &ReservedNames, assertion: Option<&HeaderName>) -> usize {
    let mut drop: Vec<HeaderName> = Vec::new();
    let mut claimed = 0;
    for name in request.headers.keys() {
        let text = name.as_str();
        if reserved.is_reserved(text) || assertion.is_some_and(|ours| folds_to(text, ours.as_str())) {
            claimed += 1;
            drop.push(name.clone());
        } else if is_forwarding(text) {
            drop.push(name.clone());
        }
    }
    for name in &drop {
        request.remove_header(name);
    }
    claimed
}

/// What the writer needs besides the admission.
pub(super) struct Presentation<'a> {
    pub visit: &'a Visit,
    pub public_port: u16,
    /// `name: value` of the signed assertion, when the site wants one and somebody is signed in.
    pub assertion: Option<(HeaderName, HeaderValue)>,
}

/// Makes the request the app will see: scrubbed, on the canonical target, with our own forwarding
/// fields, without our cookies, and with the verified identity if the admission carries one.
pub(super) fn present(
    request: &mut RequestHeader,
    admission: &Admission,
    target: &str,
    reserved: &ReservedNames,
    presentation: Presentation<'_>,
) -> pingora::Result<usize> {
    let site = admission.site();
    let claimed = scrub(request, reserved, site.hand_off.assertion.as_ref().map(|spec| &spec.header));
    request.set_raw_path(target.as_bytes())?;
    withhold_cookies(request)?;
    if site.authorization == AuthorizationHeader::Strip {
        request.remove_header(&header::AUTHORIZATION);
    }
    write_host(request, site, presentation.visit, presentation.public_port)?;
    write_forwarding(request, &presentation)?;
    if let Some(identity) = admission.identity() {
        for (name, value) in site.hand_off.values(identity) {
            request.insert_header(name, value)?;
        }
        if let Some((name, value)) = presentation.assertion {
            request.insert_header(name, value)?;
        }
    }
    Ok(claimed)
}

/// Own cookies never reach an app (T21), and the others arrive in one field: browsers split it over
/// HTTP/2, and apps that speak HTTP/1.1 take two fields for one list with commas (RFC 9113 §8.2.3).
fn withhold_cookies(request: &mut RequestHeader) -> pingora::Result<()> {
    let fields = visit::cookies(&request.headers).count();
    if fields <= 1 && !visit::cookies(&request.headers).any(cookie::mentions_own) {
        return Ok(());
    }
    let kept: Vec<HeaderValue> = visit::cookies(&request.headers).filter_map(cookie::without_own_cookies).collect();
    request.remove_header(&header::COOKIE);
    let parts: Vec<&[u8]> = kept.iter().map(HeaderValue::as_bytes).collect();
    match HeaderValue::from_bytes(&parts.join(&b"; "[..])) {
        Ok(value) if !kept.is_empty() => request.insert_header(header::COOKIE, value),
        _ => Ok(()),
    }
}

fn write_host(request: &mut RequestHeader, site: &Site, visit: &Visit, public_port: u16) -> pingora::Result<()> {
    let host = match &site.host_header {
        HostHeader::Pass => authority(visit.host.as_str(), public_port),
        HostHeader::Upstream => match &site.kind {
            SiteKind::App { upstreams } => upstreams.first().map(upstream_authority).unwrap_or_default(),
            SiteKind::Portal => String::new(),
        },
        HostHeader::Name(text) => text.clone(),
    };
    request.insert_header(header::HOST, host)
}

fn upstream_authority(upstream: &Upstream) -> String {
    match upstream {
        Upstream::Http { host, port } => {
            if *port == 80 {
                host.to_string()
            } else {
                format!("{host}:{port}")
            }
        }
        Upstream::Https { host, port, .. } => {
            if *port == 443 {
                host.to_string()
            } else {
                format!("{host}:{port}")
            }
        }
        Upstream::Unix { .. } => "localhost".to_owned(),
    }
}

fn authority(host: &str, public_port: u16) -> String {
    if public_port == 443 { host.to_owned() } else { format!("{host}:{public_port}") }
}

fn write_forwarding(request: &mut RequestHeader, presentation: &Presentation<'_>) -> pingora::Result<()> {
    let visit = presentation.visit;
    let peer = visit.connection.peer.ip();
    let host = authority(visit.host.as_str(), presentation.public_port);
    let forwarded_for = if peer.is_ipv6() { format!("\"[{peer}]\"") } else { peer.to_string() };
    request.insert_header("X-Forwarded-For", peer.to_string())?;
    request.insert_header("X-Real-IP", peer.to_string())?;
    request.insert_header("X-Forwarded-Host", host.as_str())?;
    request.insert_header("X-Forwarded-Proto", "https")?;
    request.insert_header("X-Forwarded-Port", presentation.public_port.to_string())?;
    request.insert_header("Forwarded", format!("for={forwarded_for};host=\"{host}\";proto=https"))
}

/// Takes from an app's answer what it may not say: our cookies, identity fields (T20), and, on pages
/// that depend on who is asking, permission for shared caches to keep them.
pub(super) fn tame_answer(
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
        answer.insert_header(header::STRICT_TRANSPORT_SECURITY, super::respond::HSTS)?;
    }
    Ok(())
}

fn make_private(answer: &mut ResponseHeader) -> pingora::Result<()> {
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
    answer.insert_header(header::CACHE_CONTROL, kept.join(", "))?;
    let varies =
        answer.headers.get_all(header::VARY).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|name| matches!(name.trim().to_ascii_lowercase().as_str(), "cookie" | "*"))
        });
    if !varies {
        answer.append_header(header::VARY, "Cookie")?;
    }
    Ok(())
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
        for name in ["X-Forwarded", "Accept", "X-Requested-With", "Proxy-Connection-X"] {
            assert!(!is_forwarding(name), "{name}");
        }
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
