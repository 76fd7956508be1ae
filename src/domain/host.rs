//! [`Host`]: a host name in its one canonical form, so that case, a trailing dot and a port can never
//! make two names of one (T27, CVE-2026-27588).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Lower-case ASCII (A-labels for international names), no trailing dot, no port; an IPv4 address or
/// a bracketed IPv6 address is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(Arc<str>);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a host name")]
pub struct BadHost(String);

impl Host {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a `Host` header or `:authority` (RFC 9110 §7.2): a host and perhaps a port.
    /// Returns the canonical host and the port as written.
    pub fn from_authority(text: &str) -> Result<(Host, Option<u16>), BadHost> {
        let bad = || BadHost(text.chars().take(80).collect());
        let (name, port) = match text.rfind(':') {
            Some(colon) if !text[colon..].contains(']') => (&text[..colon], Some(&text[colon + 1..])),
            _ => (text, None),
        };
        let port = match port {
            None | Some("") => None,
            Some(digits) if digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse::<u16>().map_err(|_| bad())?)
            }
            Some(_) => return Err(bad()),
        };
        Ok((name.parse()?, port))
    }

    /// `localhost` and everything below it, which never leaves the machine (RFC 6761 §6.3).
    pub fn is_localhost(&self) -> bool {
        &*self.0 == "localhost" || self.0.ends_with(".localhost")
    }
}

impl FromStr for Host {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        let bad = || BadHost(text.chars().take(80).collect());
        let name = text.strip_suffix('.').unwrap_or(text);
        // Already canonical, as nearly every request's is: skip the full parse.
        let plain = !name.is_empty()
            && name.len() <= 253
            && name.split('.').all(|label| {
                !label.is_empty()
                    && label.len() <= 63
                    && !label.starts_with("xn--")
                    && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
            && !name.ends_with(|c: char| c.is_ascii_digit());
        if plain {
            return Ok(Self(name.into()));
        }
        // `url` accepts and repairs much (percent-encoding, shortened IPv4): only what survives as
        // the same text, case aside, or is a non-ASCII name, is a host here.
        if name.is_empty() || name.len() > 253 {
            return Err(bad());
        }
        if !name.starts_with('[') {
            // Letters of any script, digits, `-`, `_` and dots: `url` would let `*` and more through.
            let odd = |c: char| c.is_ascii() && !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
            if name.contains(odd) || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
                return Err(bad());
            }
        }
        let parsed = url::Host::parse(name).map_err(|_| bad())?.to_string();
        if name.is_ascii() && !parsed.eq_ignore_ascii_case(name) {
            return Err(bad());
        }
        Ok(Self(parsed.to_ascii_lowercase().into()))
    }
}

impl TryFrom<String> for Host {
    type Error = BadHost;

    fn try_from(text: String) -> Result<Self, BadHost> {
        text.parse()
    }
}

impl From<Host> for String {
    fn from(host: Host) -> String {
        (*host.0).to_owned()
    }
}

impl std::borrow::Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t27_case_dot_and_port_make_no_difference() {
        for spelling in
            ["app.example.edu", "APP.Example.EDU", "app.example.edu.", "App.Example.Edu.:443", "app.example.edu:8443"]
        {
            assert_eq!(Host::from_authority(spelling).unwrap().0.as_str(), "app.example.edu", "{spelling}");
        }
        assert_eq!(Host::from_authority("app.example.edu:8443").unwrap().1, Some(8443));
    }

    #[test]
    fn forms() {
        assert_eq!("bücher.example".parse::<Host>().unwrap().as_str(), "xn--bcher-kva.example");
        assert_eq!("127.0.0.1".parse::<Host>().unwrap().as_str(), "127.0.0.1");
        assert_eq!(Host::from_authority("[::1]:443").unwrap().0.as_str(), "[::1]");
        assert!("wiki.localhost".parse::<Host>().unwrap().is_localhost());
        assert!(!"localhost.example".parse::<Host>().unwrap().is_localhost());
    }

    #[test]
    fn what_is_not_a_host() {
        for bad in [
            "",
            ".",
            "a..b",
            "a b",
            "a/b",
            "a\\b",
            "a@b",
            "a%2eb",
            "a:b:c",
            "a:99999",
            "a:+1",
            "127.1",
            "0x7f.1",
            "a\tb",
            "a#b",
            "a?b",
            "host:-1",
            "*.example",
            "a,b",
            "a!b",
        ] {
            assert!(Host::from_authority(bad).is_err(), "{bad}");
        }
    }
}
