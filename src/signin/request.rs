//! [`OwnRequest`]: a request for one of our own addresses, already parsed strictly by `proxy`; and the
//! bounded, duplicate-refusing reading of its query and form (T39). Every step of `signin` takes one.

use crate::domain::{Host, Language};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a step of a journey may know. The engine and its sockets stay in `proxy`.
#[derive(Clone)]
pub struct OwnRequest {
    /// Canonical, and routed: the sign-in host or a host of a site.
    pub host: Host,
    pub method: Method,
    /// The canonical path.
    pub path: String,
    /// After the first `?`, byte for byte.
    pub query: Option<String>,
    pub headers: HeaderMap,
    /// Already bounded by the caller.
    pub body: Bytes,
    pub peer: IpAddr,
    /// What its page speaks.
    pub language: Language,
}

impl fmt::Debug for OwnRequest {
    /// Neither query nor headers nor body: they hold codes, tickets and cookies (T85).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnRequest({} {}{})", self.method, self.host, self.path)
    }
}

/// Longest query of ours in bytes; a sealed arrival has at most some 1,700.
const LONGEST_QUERY: usize = 16 * 1024;
/// Most parameters looked at.
const MOST_PARAMETERS: usize = 32;
/// Longest description of a browser kept with a session, in characters.
const LONGEST_AGENT: usize = 120;

impl OwnRequest {
    /// All `Cookie` header values; HTTP/2 may split them (RFC 9113 §8.2.3).
    pub fn cookies(&self) -> impl Iterator<Item = &HeaderValue> {
        self.headers.get_all(header::COOKIE).iter()
    }

    /// A header's only value as text. Sent twice, it says nothing we could rely on.
    pub fn header(&self, name: &str) -> Option<&str> {
        only(&self.headers, name)
    }

    pub fn is_reading(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// What `Sec-Fetch-Site` says, where there is one: a page of this very origin asks, or the person's own hand.
    pub(super) fn is_asked_by_own_page(&self) -> bool {
        match self.headers.contains_key("sec-fetch-site") {
            true => matches!(self.header("sec-fetch-site"), Some("same-origin" | "none")),
            false => true,
        }
    }

    /// The browser's name for itself, cut and cleaned, for the list of sessions.
    pub fn agent(&self) -> String {
        let text = self.header(header::USER_AGENT.as_str()).unwrap_or_default();
        text.chars().filter(|c| !c.is_control()).take(LONGEST_AGENT).collect()
    }

    /// Roughly where the browser is: its network, which is enough to tell one's own from a stranger's, and never
    /// the address itself.
    pub fn place(&self) -> String {
        match self.peer.to_canonical() {
            IpAddr::V4(address) => format!("{}/24", Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8))),
            IpAddr::V6(address) => format!("{}/48", Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80))),
        }
    }

    /// The query's parameters.
    pub(super) fn parameters(&self) -> Result<Parameters, BadParameters> {
        Parameters::read(self.query.as_deref().unwrap_or_default().as_bytes())
    }

    /// The body's fields, if it is a URL-encoded form.
    pub(super) fn form(&self) -> Result<Parameters, BadParameters> {
        let kind = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(BadParameters::NotAForm);
        }
        Parameters::read(&self.body)
    }
}

/// The only value of `name`, as text.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then(|| value.to_str().ok()).flatten()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameters {
    #[error("a parameter is given twice")]
    Duplicate,
    #[error("the parameters are longer than any of ours")]
    TooLong,
    #[error("the body is not a URL-encoded form")]
    NotAForm,
}

/// Decoded names and values, each name once. No `Debug`: a callback's hold a code.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded` (WHATWG URL §5.1). Names are compared decoded, so that
    /// `st%61te` is `state` a second time (T39).
    pub(super) fn read(encoded: &[u8]) -> Result<Self, BadParameters> {
        if encoded.len() > LONGEST_QUERY {
            return Err(BadParameters::TooLong);
        }
        let mut read: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(encoded) {
            if read.len() == MOST_PARAMETERS {
                return Err(BadParameters::TooLong);
            }
            if read.iter().any(|(known, _)| *known == name) {
                return Err(BadParameters::Duplicate);
            }
            read.push((Cow::into_owned(name), Cow::into_owned(value)));
        }
        Ok(Self(read))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn t39_a_parameter_given_twice_in_any_spelling_is_refused() {
        for twice in ["state=a&state=b", "state=a&state=a", "state=a&st%61te=b", "x&x", "a=1&b=2&%61=3"] {
            assert_eq!(Parameters::read(twice.as_bytes()).err(), Some(BadParameters::Duplicate), "{twice}");
        }
        let read = Parameters::read(b"code=a%2Bb+c&state=x&empty=&flag").ok().unwrap();
        assert_eq!(read.get("code"), Some("a+b c"));
        assert_eq!(read.get("empty"), Some(""));
        assert_eq!(read.get("flag"), Some(""));
        assert_eq!(read.get("other"), None);
    }

    #[test]
    fn parameters_are_bounded() {
        let long = "a".repeat(LONGEST_QUERY + 1);
        assert_eq!(Parameters::read(long.as_bytes()).err(), Some(BadParameters::TooLong));
        let many: String = (0..100).map(|n| format!("p{n}=&")).collect();
        assert_eq!(Parameters::read(many.as_bytes()).err(), Some(BadParameters::TooLong));
    }

    #[test]
    fn a_place_is_a_network_and_never_an_address() {
        for (peer, place) in [
            ("192.0.2.77", "192.0.2.0/24"),
            ("::ffff:192.0.2.77", "192.0.2.0/24"),
            ("2001:db8:12:34:56::78", "2001:db8:12::/48"),
            ("::1", "::/48"),
        ] {
            let request = OwnRequest {
                host: "gate.example".parse().unwrap(),
                method: Method::GET,
                path: "/".to_owned(),
                query: None,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                peer: peer.parse().unwrap(),
                language: Default::default(),
            };
            assert_eq!(request.place(), place, "{peer}");
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Parameters::read(&bytes);
        }
    }
}
