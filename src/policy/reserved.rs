//! [`ReservedNames`]: every header name that carries an identity, at any site or by any preset, and all
//! its aliases (invariant 3, T08-T10). Asked by `proxy::headers` for every header of every request.

use super::site::Site;
use std::sync::Arc;

/// Longest header name a site may configure; longer incoming names can only match a prefix.
pub(super) const MAX_NAME: usize = 64;

/// Names of the presets, of those to come included: reserving them from the start means that adding a
/// site never opens an old one. Folded form.
const EXACT: &[&str] = &[
    // orcid
    "orcid",
    // remote-user, and what Authelia-style gates call it
    "remote-user",
    "remote-user-encoding",
    "remote-name",
    "remote-name-encoding",
    "remote-email",
    "remote-groups",
    "x-remote-name",
    "x-remote-email",
    "x-remote-groups",
    // eduperson, as Shibboleth apps read it
    "eppn",
    "mail",
    "uid",
    "cn",
    "sn",
    "givenname",
    "displayname",
    "persistent-id",
    "targeted-id",
    "affiliation",
    "unscoped-affiliation",
    "entitlement",
    // oauth2-proxy
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-access-token",
    "gap-auth",
    "gap-signature",
];

const PREFIXES: &[&str] = &[
    "x-orcid-",
    "orcid-",
    "x-lychgate-",
    "x-remote-user",
    "eduperson",
    "shib-",
    "x-auth-request-",
    "oidc-",
    "x-pomerium-",
];

/// The reserved set. Folding takes letter case and every character that is no letter or digit as one,
/// because some server between us and an app turns each of `_ . - ! ~ …` into `_`.
#[derive(Clone, Debug)]
pub struct ReservedNames {
    /// Folded, sorted.
    exact: Vec<Box<str>>,
    prefixes: &'static [&'static str],
    /// For each folded first character, as bits modulo 64: the lengths of exact names that begin with it, and the
    /// second characters of prefixes that do. Nearly every header is out after one look.
    lengths: Box<[u64; 128]>,
    seconds: Box<[u64; 128]>,
}

impl ReservedNames {
    /// The union over all presets and all `sites`.
    pub(super) fn new(sites: &[Arc<Site>]) -> Self {
        let mut exact: Vec<Box<str>> = EXACT.iter().map(|name| (*name).into()).collect();
        for site in sites {
            for header in &site.hand_off.headers {
                exact.push(fold(header.name.as_str()).into());
                exact.push(fold(header.marker.as_str()).into());
            }
            if let Some(assertion) = &site.hand_off.assertion {
                exact.push(fold(assertion.header.as_str()).into());
            }
        }
        exact.sort_unstable();
        exact.dedup();
        let (mut lengths, mut seconds) = (Box::new([0; 128]), Box::new([0; 128]));
        for name in exact.iter().map(|name| name.as_bytes()) {
            lengths[usize::from(name[0])] |= 1 << (name.len() % 64);
        }
        for prefix in PREFIXES.iter().map(|prefix| prefix.as_bytes()) {
            seconds[usize::from(prefix[0])] |= 1 << (prefix[1] % 64);
        }
        Self { exact, prefixes: PREFIXES, lengths, seconds }
    }

    /// Whether a request header of this name must be dropped. No allocation.
    pub fn is_reserved(&self, header_name: &str) -> bool {
        // No prefix is shorter than two characters, and no name is empty.
        let (first, second) = match header_name.as_bytes() {
            [] => return false,
            [first] => (fold_byte(*first), None),
            [first, second, ..] => (fold_byte(*first), Some(fold_byte(*second))),
        };
        let exact = self.lengths[usize::from(first)] >> (header_name.len() % 64) & 1 == 1;
        let begins = second.is_some_and(|second| self.seconds[usize::from(first)] >> (second % 64) & 1 == 1);
        if !exact && !begins {
            return false;
        }
        let mut buffer = [0u8; MAX_NAME];
        let length = header_name.len().min(MAX_NAME);
        for (into, byte) in buffer.iter_mut().zip(header_name.bytes()) {
            *into = fold_byte(byte);
        }
        let folded = &buffer[..length];
        self.prefixes.iter().any(|prefix| folded.starts_with(prefix.as_bytes()))
            || (header_name.len() <= MAX_NAME
                && self.exact.binary_search_by(|name| name.as_bytes().cmp(folded)).is_ok())
    }

    /// The folded names, for `check --effective` and the documentation: exact ones, then prefixes with `*`.
    pub fn listed(&self) -> impl Iterator<Item = String> {
        self.exact.iter().map(|name| name.to_string()).chain(self.prefixes.iter().map(|prefix| format!("{prefix}*")))
    }
}

fn fold_byte(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// The form in which two names that some server takes for one are the same text.
pub(super) fn fold(name: &str) -> String {
    name.bytes().map(|byte| char::from(fold_byte(byte))).collect()
}

/// Header names that belong to the protocol, the gate or the browser: configuring one of them as an
/// identity header would break every site, for the reserved set is one. Folded form.
const UNTOUCHABLE: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "age",
    "allow",
    "alt-svc",
    "authorization",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "early-data",
    "etag",
    "expect",
    "expires",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-csrf-token",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-forwarded-uri",
    "x-http-method-override",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
    "x-rewrite-url",
];

const UNTOUCHABLE_PREFIXES: &[&str] = &["sec-", "if-", "proxy-", "access-control-", "content-security-policy"];

/// Whether `header_name` may never be configured as an identity header.
pub(super) fn is_untouchable(header_name: &str) -> bool {
    let folded = fold(header_name);
    UNTOUCHABLE.contains(&folded.as_str()) || UNTOUCHABLE_PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t09_every_alias_of_every_preset_is_reserved() {
        let names = ReservedNames::new(&[]);
        for alias in [
            "X-ORCID-iD",
            "x-orcid-id",
            "X_Orcid_Id",
            "x.orcid.id",
            "X-Orcid_Id",
            "X Orcid Id",
            "X!Orcid~Id",
            "X-ORCID-Name-Encoding",
            "ORCID-iD",
            "Remote-User",
            "REMOTE_USER",
            "X-Remote-User",
            "OIDC_CLAIM_sub",
            "OIDC-CLAIM-sub",
            "oidc_access_token",
            "X-Pomerium-Jwt-Assertion",
            "X-Forwarded-User",
            "X_Forwarded_User",
            "X-Forwarded-Access-Token",
            "X-Auth-Request-User",
            "X-Lychgate-Assertion",
            "eppn",
            "eduPersonPrincipalName",
            "Shib-Session-ID",
            &format!("x-orcid-{}", "a".repeat(200)),
        ] {
            assert!(names.is_reserved(alias), "{alias}");
        }
        for other in ["Accept", "Cookie", "X-Forwarded-For", "X-Orcidea", "Remote-Control", "X-Forwarded-Users", ""] {
            assert!(!names.is_reserved(other), "{other}");
        }
        assert!(!names.is_reserved(&format!("remote-user{}", "a".repeat(60))));
    }

    /// The meaning of the set, without its short cuts.
    fn is_reserved_slowly(names: &ReservedNames, name: &str) -> bool {
        let folded = fold(name);
        names.exact.iter().any(|exact| **exact == *folded) || PREFIXES.iter().any(|prefix| folded.starts_with(prefix))
    }

    proptest::proptest! {
        #[test]
        fn t09_short_cuts_change_nothing(
            at in 0..EXACT.len() + PREFIXES.len(),
            spoilt in "[-_.!A-Za-z0-9]{0,3}",
            cut in 0usize..6,
            strange in "[ -~]{0,70}",
        ) {
            let names = ReservedNames::new(&[]);
            let known = EXACT.iter().chain(PREFIXES).nth(at).unwrap();
            let shorter = &known[..known.len().saturating_sub(cut)];
            for name in [known.to_uppercase(), format!("{shorter}{spoilt}"), format!("{spoilt}{known}"), strange] {
                proptest::prop_assert_eq!(names.is_reserved(&name), is_reserved_slowly(&names, &name), "{}", name);
            }
        }
    }

    #[test]
    fn protocol_headers_are_untouchable_in_every_spelling() {
        for name in ["Host", "transfer_encoding", "Content.Length", "COOKIE", "Sec-Fetch-Site", "X_Real_IP"] {
            assert!(is_untouchable(name), "{name}");
        }
        for name in ["X-Reader", "Remote-User", "X-Forwarded-User"] {
            assert!(!is_untouchable(name), "{name}");
        }
        assert!(EXACT.iter().all(|name| name.len() <= MAX_NAME && !is_untouchable(name)));
    }
}
