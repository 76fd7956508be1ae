//! ORCID's redirect URI rule (`orcid.md` §2.2), looser than RFC 6749: same scheme, user-info, host and
//! port, and a path that starts with the registered one. Used by `clients` and `authorize`.

use url::Url;

/// Longest redirect URI in bytes.
const LONGEST: usize = 2_048;

/// What is left alone in a query value (RFC 3986 §2.3).
const UNRESERVED: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A redirect URI taken apart as written. The text is kept: the token endpoint compares it byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedirectUri {
    text: String,
    scheme: String,
    user_info: Option<String>,
    host: String,
    port: Option<String>,
    path: String,
    query: Option<String>,
    url: Url,
}

impl RedirectUri {
    /// Reads an absolute http or https URI. `None` if it is anything else, holds a fragment, or holds
    /// characters that could end a header or a host (controls, spaces, backslash, non-ASCII).
    pub(super) fn read(text: &str) -> Option<Self> {
        if text.len() > LONGEST || text.contains('#') {
            return None;
        }
        Self::read_requested(text)
    }

    /// The same for a requested URI, whose fragment ORCID ignores.
    pub(super) fn read_requested(text: &str) -> Option<Self> {
        if text.len() > LONGEST
            || !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>'))
        {
            return None;
        }
        let mut url = Url::parse(text).ok()?;
        url.set_fragment(None);
        let (scheme, rest) = text.split_once("://")?;
        if scheme != "https" && scheme != "http" {
            return None;
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query.to_owned())),
            None => (rest, None),
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let (user_info, host_port) = match authority.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, authority),
        };
        let (host, port) = match host_port.rfind(':') {
            Some(colon) if !host_port[colon..].contains(']') => {
                (&host_port[..colon], Some(host_port[colon + 1..].to_owned()))
            }
            _ => (host_port, None),
        };
        if host.is_empty() {
            return None;
        }
        Some(Self {
            text: text.to_owned(),
            scheme: scheme.to_owned(),
            user_info,
            host: host.to_owned(),
            port,
            path: clean(path)?,
            query,
            url,
        })
    }

    /// The URI as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a request for `self` is covered by the registered URI. Query and fragment play no part;
    /// the host is compared with regard to case, as ORCID does.
    pub(super) fn is_covered_by(&self, registered: &RedirectUri) -> bool {
        let root = |path: &str| if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        self.scheme == registered.scheme
            && self.user_info == registered.user_info
            && self.host == registered.host
            && self.port == registered.port
            && root(&self.path).starts_with(&root(&registered.path))
    }

    /// The address to answer at, with these query parameters added behind an existing query.
    pub(super) fn with_query(&self, parameters: &[(&str, &str)]) -> String {
        let mut address = self.without_fragment();
        for (name, value) in parameters {
            address.push(if address.contains('?') { '&' } else { '?' });
            address.push_str(name);
            address.push('=');
            address.extend(percent_encoding::utf8_percent_encode(value, UNRESERVED));
        }
        address
    }

    /// The address to answer at with `fragment`, ORCID's way to say most errors (`orcid.md` §2.3).
    pub(super) fn with_fragment(&self, fragment: &str) -> String {
        format!("{}#{fragment}", self.without_fragment())
    }

    fn without_fragment(&self) -> String {
        // Rebuilt by the URL library, so that nothing but a well-formed address becomes a header.
        let mut url = self.url.clone();
        if self.query.is_none() {
            url.set_query(None);
        }
        url.into()
    }

    /// What a page whose form ends in a redirect to here must list in `form-action`: this origin and,
    /// because a gate hands its visitor on to a sibling host in the same chain, the siblings of a named host.
    pub(super) fn form_action(&self) -> Vec<String> {
        let origin = self.url.origin().ascii_serialization();
        let mut sources = vec![origin];
        let Some(url::Host::Domain(host)) = self.url.host() else { return sources };
        let parent = match host.split_once('.') {
            Some((_, parent)) if parent.contains('.') || parent == "localhost" => parent,
            None if host == "localhost" => host,
            _ => return sources,
        };
        let port = self.url.port().map_or(String::new(), |port| format!(":{port}"));
        sources.push(format!("{}://*.{parent}{port}", self.scheme));
        sources
    }
}

/// Resolves `.` and `..`. Encoded dots are refused: a browser would resolve them after the comparison.
fn clean(path: &str) -> Option<String> {
    if path.to_ascii_lowercase().contains("%2e") {
        return None;
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    Some(if path.is_empty() { String::new() } else { format!("/{}", kept.join("/")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_redirect_rule() {
        let table = [
            // registered, requested, covered
            ("https://a.example/cb", "https://a.example/cb", true),
            ("https://a.example/cb", "https://a.example/cb/more", true),
            ("https://a.example/cb", "https://a.example/cbx", true), // a prefix of text, not of segments
            ("https://a.example/cb", "https://a.example/cb?x=1", true),
            ("https://a.example/cb", "https://a.example/cb#frag", true),
            ("https://a.example/cb?y=2", "https://a.example/cb", true),
            ("https://a.example/cb", "https://a.example/c", false),
            ("https://a.example/cb", "https://a.example/", false),
            ("https://a.example/cb", "https://a.example/cb/../evil", false),
            ("https://a.example/cb", "https://a.example/x/../cb", true),
            ("https://a.example/cb", "https://a.example/cb/%2e%2e/evil", false),
            ("https://a.example", "https://a.example/any/path", true),
            ("https://a.example/", "https://a.example", true),
            ("https://a.example/", "https://a.example/any", true),
            ("https://a.example/cb", "http://a.example/cb", false),
            ("https://a.example/cb", "https://A.example/cb", false),
            ("https://a.example/cb", "https://b.a.example/cb", false),
            ("https://a.example/cb", "https://a.example.evil/cb", false),
            ("https://a.example/cb", "https://a.example:8443/cb", false),
            ("https://a.example:8443/cb", "https://a.example:8443/cb", true),
            ("https://a.example:8443/cb", "https://a.example/cb", false),
            ("https://a.example/cb", "https://a.example@evil.example/cb", false),
            ("https://a.example/cb", "https://user@a.example/cb", false),
            ("http://127.0.0.1:9000/cb", "http://127.0.0.1:9000/cb", true),
            ("http://[::1]:9000/cb", "http://[::1]:9000/cb", true),
        ];
        for (registered, requested, covered) in table {
            let rule = RedirectUri::read(registered).unwrap();
            let asked = RedirectUri::read_requested(requested);
            assert_eq!(asked.is_some_and(|uri| uri.is_covered_by(&rule)), covered, "{registered} {requested}");
        }
    }

    #[test]
    fn addresses_that_are_no_redirect_uris() {
        for bad in [
            "",
            "/cb",
            "//a.example/cb",
            "https:/a.example",
            "https://",
            "javascript://a.example/%0aalert(1)",
            "https://a.example/\r\nX: y",
            "https://a.example\\@evil.example/",
            "https://a.example/é",
            "HTTPS://a.example/",
            "ftp://a.example/",
            "urn:ietf:wg:oauth:2.0:oob",
        ] {
            assert!(RedirectUri::read(bad).is_none(), "{bad:?}");
        }
        assert!(RedirectUri::read("https://a.example/#x").is_none());
    }

    #[test]
    fn answers_keep_an_existing_query_and_encode_what_they_add() {
        let plain = RedirectUri::read_requested("https://a.example/cb#old").unwrap();
        assert_eq!(
            plain.with_query(&[("code", "aB3"), ("state", "x y&z=1")]),
            "https://a.example/cb?code=aB3&state=x%20y%26z%3D1"
        );
        assert_eq!(plain.with_fragment("error=invalid_scope"), "https://a.example/cb#error=invalid_scope");
        let query = RedirectUri::read_requested("https://a.example/cb?k=v").unwrap();
        assert_eq!(query.with_query(&[("code", "1")]), "https://a.example/cb?k=v&code=1");
    }

    #[test]
    fn form_action_names_the_origin_and_its_siblings() {
        let of = |text: &str| RedirectUri::read(text).unwrap().form_action();
        assert_eq!(of("https://gate.localhost:8443/cb"), ["https://gate.localhost:8443", "https://*.localhost:8443"]);
        assert_eq!(
            of("https://sign-in.campus.example/cb"),
            ["https://sign-in.campus.example", "https://*.campus.example"]
        );
        assert_eq!(of("https://campus.example/cb"), ["https://campus.example"]);
        assert_eq!(of("http://127.0.0.1:9000/cb"), ["http://127.0.0.1:9000"]);
    }
}
