//! [`Target`]: where a webhook leads, if it leads to this machine. What is registered may be any address, as at
//! ORCID; the simulator only ever calls loopback. Pure; called by `delivery`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// Longest address of a webhook in bytes.
const LONGEST: usize = 2_048;

/// An address of this machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) secure: bool,
    /// As it stands in the Host header and in the TLS handshake.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query.
    pub(super) path: String,
    /// Where to connect, one after the other until one answers.
    pub(super) at: Vec<SocketAddr>,
}

impl Target {
    /// `None`: not an address, or one of another machine. Without a scheme it is `http` (`orcid.md` §7).
    pub(super) fn read(address: &str) -> Option<Self> {
        let begins_with_http = address.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("http"));
        let url = match begins_with_http {
            true => Url::parse(address),
            false => Url::parse(&format!("http://{address}")),
        };
        let url = url.ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let loopback = match url.host()? {
            Host::Ipv4(address) => vec![IpAddr::V4(address)],
            Host::Ipv6(address) => vec![IpAddr::V6(address)],
            // RFC 6761 §6.3: these names mean this machine, whatever a resolver says.
            Host::Domain(name) if name == "localhost" || name.ends_with(".localhost") => {
                vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            }
            Host::Domain(_) => return None,
        };
        let port = url.port_or_known_default()?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let at = loopback.into_iter().filter(IpAddr::is_loopback).map(|ip| SocketAddr::new(ip, port)).collect();
        let host = url.host_str()?.to_owned();
        Some(Self { secure: url.scheme() == "https", host, port, path, at }).filter(|target| !target.at.is_empty())
    }
}

/// Whether an address can be registered: what Java's `URI` takes, and not longer than we keep.
pub(in crate::simulator) fn is_sound(address: &str) -> bool {
    let bytes = address.as_bytes();
    let escaped = |at: usize| {
        bytes.get(at + 1).is_some_and(u8::is_ascii_hexdigit) && bytes.get(at + 2).is_some_and(u8::is_ascii_hexdigit)
    };
    let allowed = |(at, c): (usize, char)| match c {
        '%' => escaped(at),
        c if c.is_ascii() => c.is_ascii_alphanumeric() || "-_.!~*'();/?:@&=+$,[]#".contains(c),
        c => !c.is_control() && !c.is_whitespace(),
    };
    let ends_early = ["http:", "https:", "http://", "https://"].contains(&address.to_ascii_lowercase().as_str());
    !address.is_empty()
        && address.len() <= LONGEST
        && !ends_early
        && address.matches('#').count() <= 1
        && address.char_indices().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_a_target() {
        for (address, host, port, path, reachable) in [
            ("http://127.0.0.1:9000/hook?iD=x&s=1", "127.0.0.1", 9_000, "/hook?iD=x&s=1", 1),
            ("127.0.0.9:9000", "127.0.0.9", 9_000, "/", 1),
            ("HTTP://LOCALHOST/a", "localhost", 80, "/a", 2),
            ("https://gate.localhost:8443/.lychgate/webhook/x", "gate.localhost", 8_443, "/.lychgate/webhook/x", 2),
            ("http://[::1]:81/", "[::1]", 81, "/", 1),
            ("http://a:b@127.1/", "127.0.0.1", 80, "/", 1),
            ("http://0x7f000001/#f", "127.0.0.1", 80, "/", 1),
        ] {
            let target = Target::read(address).unwrap_or_else(|| panic!("{address}"));
            assert_eq!((target.host.as_str(), target.port, target.path.as_str()), (host, port, path), "{address}");
            assert_eq!(target.at.len(), reachable, "{address}");
            assert!(target.at.iter().all(|at| at.ip().is_loopback() && at.port() == port), "{address}");
        }
        for address in [
            "http://10.0.0.1/",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "http://notlocalhost/",
            "https://orcid.org/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0/",
            "httpx://127.0.0.1/",
            "ftp://127.0.0.1/",
            "http://",
            "",
        ] {
            assert_eq!(Target::read(address), None, "{address}");
        }
    }

    #[test]
    fn what_can_be_registered() {
        for sound in ["http://a.example/x?y=1#z", "a.example", "http://a/%20", "http://é.example/ü", "x"] {
            assert!(is_sound(sound), "{sound}");
        }
        let long = "x".repeat(2_049);
        for unsound in
            ["", "http://", "a b", "http://a/\u{1}", "http://a/%", "http://a/%2", "a|b", "a\"b", "<a>", "a#b#c", &long]
        {
            assert!(!is_sound(unsound), "{unsound}");
        }
    }
}
