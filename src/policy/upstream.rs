//! Reads the addresses of an app, `http://127.0.0.1:8080`, `https://app.campus.example`,
//! `unix:/run/app.sock`, and CORS origins. Pure; called by `compile`.

use super::authority::AppAuthority;
use super::site::Upstream;
use crate::domain::Host;
use std::path::Path;
use std::sync::Arc;

/// Why an address is not one, and how to mend it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadUpstream {
    #[error("`{0}` is not a scheme an app can be reached by")]
    Scheme(String),
    #[error("`{0}` is not a host")]
    Host(String),
    #[error("an https app needs a name, because its certificate is verified for one")]
    NamelessHttps,
    #[error("an upstream is an address only, without path, query, user or fragment")]
    MoreThanAnAddress,
    #[error("a Unix socket is named by its absolute path")]
    RelativeSocket,
    #[error("port 0 cannot be connected to")]
    PortZero,
}

impl BadUpstream {
    pub(super) fn remedy(&self) -> &'static str {
        match self {
            BadUpstream::Scheme(_) => "write http://HOST:PORT, https://NAME:PORT or unix:/absolute/path",
            BadUpstream::Host(_) => "write a host name or address, such as http://127.0.0.1:8080",
            BadUpstream::NamelessHttps => {
                "use the name in the app's certificate (an entry in /etc/hosts will do), or give up verification \
                 knowingly with upstream_insecure_skip_verify = true"
            }
            BadUpstream::MoreThanAnAddress => "the request's own path is forwarded; remove everything after the port",
            BadUpstream::RelativeSocket => "write unix:/run/app/app.sock",
            BadUpstream::PortZero => "write the port the app listens on",
        }
    }
}

/// How https upstreams of a site are verified.
#[derive(Clone, Debug, Default)]
pub(super) struct Verification {
    pub(super) authority: Option<Arc<AppAuthority>>,
    pub(super) insecure_skip_verify: bool,
}

pub(super) fn parse(text: &str, verification: &Verification) -> Result<Upstream, BadUpstream> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = Path::new(path.strip_prefix("//").unwrap_or(path));
        return if path.is_absolute() {
            Ok(Upstream::Unix { path: path.to_owned() })
        } else {
            Err(BadUpstream::RelativeSocket)
        };
    }
    let (scheme, rest) = text.split_once("://").unwrap_or((text, ""));
    let https = match scheme {
        "http" => false,
        "https" => true,
        other => return Err(BadUpstream::Scheme(other.chars().take(40).collect())),
    };
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    if authority.contains(['/', '?', '#', '@']) {
        return Err(BadUpstream::MoreThanAnAddress);
    }
    let shown = || BadUpstream::Host(authority.chars().take(80).collect());
    let (host, port) = Host::from_authority(authority).map_err(|_| shown())?;
    if !is_plain_name(&host) {
        return Err(shown());
    }
    let port = port.unwrap_or(if https { 443 } else { 80 });
    if port == 0 {
        return Err(BadUpstream::PortZero);
    }
    if !https {
        return Ok(Upstream::Http { host, port });
    }
    if is_address(&host) && !verification.insecure_skip_verify {
        return Err(BadUpstream::NamelessHttps);
    }
    let Verification { authority, insecure_skip_verify } = verification.clone();
    Ok(Upstream::Https { host, port, authority, insecure_skip_verify })
}

fn is_address(host: &Host) -> bool {
    host.as_str().starts_with('[') || host.as_str().parse::<std::net::Ipv4Addr>().is_ok()
}

/// Letters, digits, `-`, `_` and dots, or an address: what a certificate and a name server know. Wildcards
/// and the other symbols that `Host` lets pass in a request name no host one could configure.
pub(super) fn is_plain_name(host: &Host) -> bool {
    let name = host.as_str();
    name.starts_with('[') || name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// An origin in the one form browsers send (RFC 6454 §6.2), or `None`.
pub(super) fn origin(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    let default = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let (host, port) = Host::from_authority(authority).ok().filter(|(host, _)| is_plain_name(host))?;
    Some(match port {
        None => format!("{scheme}://{host}"),
        Some(port) if port == default => format!("{scheme}://{host}"),
        Some(port) => format!("{scheme}://{host}:{port}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let skip = Verification { insecure_skip_verify: true, ..Verification::default() };
        for (text, shown) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://App.Internal", "http://app.internal:80"),
            ("http://[::1]:9000/", "http://[::1]:9000"),
            ("https://app.internal", "https://app.internal:443"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(parse(text, &Verification::default()).map(|u| u.to_string()), Ok(shown.to_owned()), "{text}");
        }
        assert!(parse("https://10.0.0.1:8443", &skip).is_ok());
        for (text, want) in [
            ("https://10.0.0.1", BadUpstream::NamelessHttps),
            ("https://[::1]:8443", BadUpstream::NamelessHttps),
            ("https://", BadUpstream::Host(String::new())),
            ("http://a b", BadUpstream::Host("a b".into())),
            ("http://app/base", BadUpstream::MoreThanAnAddress),
            ("http://user@app", BadUpstream::MoreThanAnAddress),
            ("ftp://app", BadUpstream::Scheme("ftp".into())),
            ("h2c://app:80", BadUpstream::Scheme("h2c".into())),
            ("app:8080", BadUpstream::Scheme("app:8080".into())),
            ("unix:app.sock", BadUpstream::RelativeSocket),
            ("http://app:0", BadUpstream::PortZero),
        ] {
            assert_eq!(parse(text, &Verification::default()), Err(want), "{text}");
        }
    }

    #[test]
    fn t32_origins_have_one_spelling() {
        assert_eq!(origin("https://Portal.Example:443").as_deref(), Some("https://portal.example"));
        assert_eq!(origin("http://localhost:3000").as_deref(), Some("http://localhost:3000"));
        for bad in ["*", "null", "portal.example", "https://a/", "https://a/b", "ftp://a", "https://*.example"] {
            assert_eq!(origin(bad), None, "{bad}");
        }
    }
}
