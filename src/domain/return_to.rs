//! [`ReturnTo`]: the page to go back to after a sign-in, as a path on a protected host. An address on
//! a foreign host cannot be expressed, so an open redirect cannot be written (T01-T07).

use super::Host;
use serde::{Deserialize, Serialize};

/// A host of ours and an origin-form target (path and query, byte for byte as the browser sent it).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnTo {
    host: Host,
    target: String,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadReturnTo {
    #[error("a return target starts with exactly one `/`")]
    NotAPath,
    #[error(
        "a return target holds no control characters, spaces, `#` or bytes outside ASCII, and no backslash in its path"
    )]
    Characters,
    #[error("a return target may have at most 8192 bytes")]
    TooLong,
}

impl ReturnTo {
    /// Longest target in bytes; refused whole beyond, never cut (T05).
    pub const MAX: usize = 8192;

    /// `host` must be one the gate serves: callers take it from the configuration or from a request
    /// that has already been routed to a site.
    pub fn new(host: Host, target: &str) -> Result<Self, BadReturnTo> {
        if target.len() > Self::MAX {
            return Err(BadReturnTo::TooLong);
        }
        // `//evil` and `/\evil` leave the host in a browser (CVE-2020-5233).
        if !target.starts_with('/') || target.starts_with("//") {
            return Err(BadReturnTo::NotAPath);
        }
        // A browser takes `\` for `/`, but only before the query (WHATWG URL §4.4); behind `?` it is sent as it is.
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        if path.contains('\\') || !target.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(BadReturnTo::Characters);
        }
        Ok(Self { host, target: target.to_owned() })
    }

    /// The front page of `host`.
    pub fn front_page(host: Host) -> Self {
        Self { host, target: "/".to_owned() }
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The absolute https address, given the port the gate is reached at from outside.
    pub fn url(&self, public_port: u16) -> String {
        format!("{}{}", origin(&self.host, public_port), self.target)
    }
}

/// `https://host` with the port unless it is 443. Absolute addresses are built from configuration
/// alone; a Host header never enters one.
pub fn origin(host: &Host, public_port: u16) -> String {
    if public_port == 443 { format!("https://{host}") } else { format!("https://{host}:{public_port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        "wiki.example".parse().unwrap()
    }

    #[test]
    fn t02_targets_that_would_leave_the_host_are_refused() {
        for bad in [
            "//evil.com",
            "/\\evil.com",
            "\\/evil",
            "/\t/evil",
            "/\r\nLocation: x",
            "evil",
            "",
            "https:evil.com",
            "https://evil.com",
            "javascript:alert(1)",
            "data:x",
            "///evil",
            "/a b",
            "/é",
            "/a#b",
            "/a\\b",
            "/a\\b?c",
            "/\\evil.com?c\\d",
            "\\?",
            "/a?b\\#",
            "/a?b\\ c",
        ] {
            assert!(ReturnTo::new(host(), bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn t05_a_long_target_is_refused_whole() {
        let long = format!("/{}", "a".repeat(ReturnTo::MAX));
        assert_eq!(ReturnTo::new(host(), &long), Err(BadReturnTo::TooLong));
        assert!(ReturnTo::new(host(), &long[..ReturnTo::MAX]).is_ok());
    }

    #[test]
    fn targets_are_kept_byte_for_byte() {
        let target = "/a/%2Fb;c?x=%41&y=//z&&=";
        let to = ReturnTo::new(host(), target).unwrap();
        assert_eq!(to.target(), target);
        assert_eq!(to.url(8443), format!("https://wiki.example:8443{target}"));
        assert_eq!(to.url(443), format!("https://wiki.example{target}"));
        for target in [r"/a?b\c", r"/?\\evil.com", r"/a?\?\"] {
            assert_eq!(ReturnTo::new(host(), target).unwrap().target(), target);
        }
    }
}
