//! One request, read whole and within bounds, and the fields in its query or form. Made by `server`,
//! read by every endpoint.

use super::face::Face;
use bytes::Bytes;
use http::{HeaderMap, Method, header};

/// Most fields read from one query or form.
const MOST_FIELDS: usize = 64;

/// A request whose body has arrived.
pub(super) struct Visit {
    /// The host it is for.
    pub(super) face: Face,
    pub(super) method: Method,
    pub(super) path: String,
    /// Without the question mark; empty if there is none.
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Visit {
    /// One header as text; `None` if absent or not ASCII.
    pub(super) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body says it is `application/x-www-form-urlencoded`.
    pub(super) fn is_form(&self) -> bool {
        let kind = self.header(header::CONTENT_TYPE).unwrap_or("");
        kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    /// The fields of the form in the body.
    pub(super) fn form(&self) -> Fields {
        Fields::read(&self.body)
    }

    /// Reads the value of one cookie, every time it was sent.
    pub(super) fn cookies<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(move |pair| pair.trim().split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
    }

    /// Whether a browser says that this request comes from a page of ours. `Sec-Fetch-Site` is believed
    /// first, then `Origin`; if neither is there the form token alone has to do.
    pub(super) fn is_same_origin(&self, base: &str) -> bool {
        match (self.headers.get("sec-fetch-site"), self.headers.get(header::ORIGIN)) {
            (Some(site), _) => site == "same-origin",
            (None, Some(origin)) => origin == base,
            (None, None) => true,
        }
    }
}

/// Decoded name-value pairs, in order.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded` text; what lies behind the 64th field is not looked at.
    pub(super) fn read(text: &[u8]) -> Self {
        Self(
            url::form_urlencoded::parse(text)
                .take(MOST_FIELDS)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// The first field of this name, as it is.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first field of this name that is not blank.
    pub(super) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// Whether one of these names occurs more than once, which RFC 6749 §3.1 and §3.2 forbid.
    pub(super) fn repeats(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.0.iter().filter(|(key, _)| key == name).count() > 1)
    }

    /// Written again as a query, without these names.
    pub(super) fn without(&self, names: &[&str]) -> String {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(headers: &[(&str, &str)]) -> Visit {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        let face = Face::Root;
        Visit { face, method: Method::GET, path: "/".into(), query: String::new(), headers: map, body: Bytes::new() }
    }

    #[test]
    fn forms_of_other_sites_are_told_apart() {
        let base = "http://127.0.0.1:9400";
        let table: [(&[(&str, &str)], bool); 6] = [
            (&[], true),
            (&[("origin", base)], true),
            (&[("origin", "null")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:9400")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", base)], false),
        ];
        for (headers, ours) in table {
            assert_eq!(visit(headers).is_same_origin(base), ours, "{headers:?}");
        }
    }

    #[test]
    fn fields_and_cookies() {
        let fields = Fields::read(b"scope=openid+%2Fread-limited&state=&x=1&x=2&prompt=login");
        assert_eq!(fields.get("scope"), Some("openid /read-limited"));
        assert_eq!((fields.get("state"), fields.filled("state")), (Some(""), None));
        assert!(fields.repeats(&["x"]) && !fields.repeats(&["scope"]));
        assert_eq!(fields.without(&["prompt", "x"]), "scope=openid+%2Fread-limited&state=");
        let visit = visit(&[("cookie", "a=1; b=2"), ("cookie", "a=3")]);
        assert_eq!(visit.cookies("a").collect::<Vec<_>>(), ["1", "3"]);
    }
}
