//! Our cookies: their names, the session key inside one, and keeping them away from apps (T20, T21,
//! T63, T66, T67). Used by `session`, `signin` and `proxy::headers`.

use crate::domain::Chance;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// The session cookie. Script cannot plant a `__Host-Http-` cookie; older browsers take it for a
/// `__Host-` one (RFC 6265bis §4.1.3). Every other cookie of ours starts with this name.
pub const SESSION: &str = "__Host-Http-lychgate";
/// The language a visitor chose; a plain tag, because it grants nothing.
pub const LANGUAGE: &str = "__Host-Http-lychgate-lang";

/// Random bytes in a session key.
const RANDOM: usize = 20;
/// Bytes of MAC behind them.
const MAC: usize = 12;
/// Length of the cookie's value in characters.
const TEXT: usize = 43;

/// What a browser holds: 160 random bits, and 96 bits of MAC over them so that an invented cookie
/// never reaches the store. The store knows only [`SessionKey::hash`].
#[derive(Clone)]
pub struct SessionKey([u8; RANDOM + MAC]);

impl Drop for SessionKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(…)")
    }
}

impl SessionKey {
    /// A fresh key; `mac` is keyed for session cookies and nothing else.
    pub fn draw(chance: &dyn Chance, mac: impl FnOnce(&[u8]) -> [u8; 32]) -> Self {
        let mut key = [0; RANDOM + MAC];
        chance.fill(&mut key[..RANDOM]);
        let full = mac(&key[..RANDOM]);
        key[RANDOM..].copy_from_slice(&full[..MAC]);
        Self(key)
    }

    /// Reads a cookie's value. `verify` says in constant time whether its second argument begins the
    /// MAC of its first. Allocates nothing.
    pub fn read(value: &[u8], verify: impl FnOnce(&[u8], &[u8]) -> bool) -> Option<Self> {
        if value.len() != TEXT {
            return None;
        }
        let mut key = Self([0; RANDOM + MAC]);
        let length = URL_SAFE_NO_PAD.decode_slice(value, &mut key.0).ok()?;
        let (random, mac) = key.0.split_at(RANDOM);
        (length == RANDOM + MAC && verify(random, mac)).then_some(key)
    }

    /// The cookie's value.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// SHA-256 of the random part: what the store files the session under.
    pub fn hash(&self) -> [u8; 32] {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.0[..RANDOM]);
        let mut hash = [0; 32];
        hash.copy_from_slice(digest.as_ref());
        hash
    }
}

/// What stands between semicolons.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let end = memchr::memchr(b';', bytes);
        rest = end.map(|end| &bytes[end + 1..]);
        Some(&bytes[..end.unwrap_or(bytes.len())])
    })
}

/// `name=value` pairs of `Cookie` header values in order, trimmed as browsers and servers trim
/// (RFC 6265 §5.2). A pair without `=` is a name without a value.
pub fn pairs<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    values.flat_map(|value| pieces(value.as_bytes())).map(|pair| {
        let equals = memchr::memchr(b'=', pair);
        let (name, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
        (name.trim_ascii(), value.trim_ascii())
    })
}

/// The value of the one cookie called exactly `name`. Two of them: somebody planted one, and which
/// is not ours to guess, so neither counts (T66).
pub fn only<'a>(name: &str, values: impl Iterator<Item = &'a HeaderValue>) -> Option<&'a [u8]> {
    let mut found = pairs(values).filter(|(candidate, _)| *candidate == name.as_bytes());
    let (_, value) = found.next()?;
    found.next().is_none().then_some(value)
}

/// Whether a cookie's name is one of ours, now or in any later version, in any spelling an app might
/// take for ours.
pub fn is_own(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    name.get(..SESSION.len()).is_some_and(|start| start.eq_ignore_ascii_case(SESSION.as_bytes()))
}

/// Whether a `Cookie` header value carries a cookie of ours.
pub fn mentions_own(value: &HeaderValue) -> bool {
    pieces(value.as_bytes()).any(is_own_pair)
}

/// The one `Cookie` header value an app may see of these (T21): every other cookie, byte for byte; `None` when nothing
/// is left.
pub fn without_own_cookies<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Option<HeaderValue> {
    let mut seen = Vec::new();
    let keep = |seen: &mut Vec<u8>, part: &[u8]| {
        if !seen.is_empty() {
            seen.extend_from_slice(b"; ");
        }
        seen.extend_from_slice(part);
    };
    for value in values {
        seen.reserve(value.len() + 2);
        if mentions_own(value) {
            let others = pieces(value.as_bytes()).map(<[u8]>::trim_ascii);
            others.filter(|pair| !pair.is_empty() && !is_own_pair(pair)).for_each(|pair| keep(&mut seen, pair));
        } else if !value.is_empty() {
            keep(&mut seen, value.as_bytes());
        }
    }
    // Pieces of header values make a header value. That they do is looked up byte by byte, so once for all.
    (!seen.is_empty()).then(|| HeaderValue::from_maybe_shared(Bytes::from(seen)).ok()).flatten()
}

/// Whether an app's `Set-Cookie` value would set a cookie that comes back as one of ours (T20). A
/// nameless cookie `=NAME=x` comes back as `NAME=x` from older browsers.
pub fn sets_own(value: &HeaderValue) -> bool {
    pieces(value.as_bytes()).next().is_some_and(is_own_pair)
}

/// A piece without the `=` before it that a nameless cookie may come back with.
fn named(piece: &[u8]) -> &[u8] {
    let mut rest = piece.trim_ascii();
    while let Some((b'=', after)) = rest.split_first() {
        rest = after.trim_ascii();
    }
    rest
}

/// Name and value of a piece, as the most lenient reader takes it.
pub(super) fn pair_in(piece: &[u8]) -> (&[u8], &[u8]) {
    let pair = named(piece);
    let equals = memchr::memchr(b'=', pair);
    let (name, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
    (name.trim_ascii(), value.trim_ascii())
}

fn is_own_pair(pair: &[u8]) -> bool {
    is_own(named(pair))
}

/// A `Set-Cookie` value with every attribute a cookie of ours has (T63). `max_age` in seconds;
/// without one the cookie ends with the browser session. `value` is of our making: base64url.
pub fn set(name: &str, value: &str, max_age: Option<u32>) -> HeaderValue {
    let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let line = Zeroizing::new(format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax{age}"));
    let mut header = HeaderValue::from_str(&line).expect("names and values of ours are printable ASCII");
    header.set_sensitive(true);
    header
}

/// Takes a cookie of ours back.
pub fn expire(name: &str) -> HeaderValue {
    set(name, "", Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemChance;
    use proptest::prelude::*;

    fn mac(data: &[u8]) -> [u8; 32] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"for tests");
        let mut out = [0; 32];
        out.copy_from_slice(ring::hmac::sign(&key, data).as_ref());
        out
    }

    fn verify(data: &[u8], begin: &[u8]) -> bool {
        mac(data).starts_with(begin)
    }

    fn draw() -> SessionKey {
        SessionKey::draw(&SystemChance::default(), mac)
    }

    fn header(bytes: &[u8]) -> HeaderValue {
        HeaderValue::from_bytes(bytes).unwrap()
    }

    #[test]
    fn t63_a_session_cookie_has_every_attribute_and_is_short() {
        let key = draw();
        let line = set(SESSION, &key.text(), None);
        let line = line.to_str().unwrap();
        let (pair, attributes) = line.split_once("; ").unwrap();
        assert_eq!(attributes, "Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(pair, format!("{SESSION}={}", *key.text()));
        assert!(pair.len() <= 128);
        assert_eq!(SessionKey::read(key.text().as_bytes(), verify).unwrap().hash(), key.hash());
        assert!(expire(SESSION).to_str().unwrap().ends_with("; Max-Age=0"));
        assert_eq!(format!("{key:?}"), "SessionKey(…)");
    }

    #[test]
    fn t67_tampered_cookies_are_no_keys() {
        let text = draw().text();
        let bytes = text.as_bytes();
        for at in 0..bytes.len() - 1 {
            let mut changed = bytes.to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(SessionKey::read(&changed, verify).is_none(), "character {at}");
        }
        let quoted = format!("\"{}\"", *text);
        let padded = format!("{}=", *text);
        let huge = "A".repeat(100_000);
        for bad in [&text[..42], &text[1..], &quoted, &padded, &huge, "", "-1", "ünïcödé"] {
            assert!(SessionKey::read(bad.as_bytes(), verify).is_none());
        }
    }

    #[test]
    fn t66_only_one_cookie_of_exactly_our_name_counts() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&["__Host-Http-lychgate=a"], Some("a")),
            (&["x=1; __Host-Http-lychgate=a; y=2"], Some("a")),
            (&["x=1", "__Host-Http-lychgate=a"], Some("a")),
            (&["__Host-Http-lychgate=a; __Host-Http-lychgate=b"], None),
            (&["__Host-Http-lychgate=a; __Host-Http-lychgate=a"], None),
            (&["__Host-Http-lychgate=a", "__Host-Http-lychgate=b"], None),
            (&["__Host-Http-lychgate=a;  __Host-Http-lychgate =b"], None),
            (&["__host-http-lychgate=forged"], None),
            (&["__Host-lychgate=forged"], None),
            (&["__host-http-lychgate=forged; __Host-Http-lychgate=a"], Some("a")),
            (&["$Version=1; __Host-Http-lychgate=a; $Path=/"], Some("a")),
            (&["__Host-Http-lychgate"], Some("")),
            (&["=__Host-Http-lychgate=a"], None),
            (&["x=__Host-Http-lychgate=a"], None),
            (&["__Host-Http-lychgate-arrival=a"], None),
            (&[""], None),
            (&[";;;=;"], None),
        ];
        for (lines, expected) in table {
            let values: Vec<_> = lines.iter().map(|line| header(line.as_bytes())).collect();
            assert_eq!(only(SESSION, values.iter()), expected.map(str::as_bytes), "{lines:?}");
        }
    }

    #[test]
    fn t21_apps_never_see_our_cookies() {
        for (sent, seen) in [
            ("a=1; b=2", Some("a=1; b=2")),
            ("a=1;b=2", Some("a=1;b=2")),
            ("__Host-Http-lychgate=x", None),
            ("a=1; __Host-Http-lychgate=x; b=2", Some("a=1; b=2")),
            ("a=1;__host-http-LYCHGATE-try-abc=x;b=\"q\"", Some("a=1; b=\"q\"")),
            ("a=1; \t__Host-Http-lychgate=x", Some("a=1")),
            ("=__Host-Http-lychgate=x; a=1", Some("a=1")),
            ("__Host-Http-lychgate; a=1", Some("a=1")),
            ("__Host-Http-lychgate-arrival=x; __Host-Http-lychgate=y", None),
            ("lychgate=1; x=__Host-Http-lychgate", Some("lychgate=1; x=__Host-Http-lychgate")),
            ("", None),
        ] {
            let seen_by_app = without_own_cookies([&header(sent.as_bytes())].into_iter());
            assert_eq!(seen_by_app.as_ref().map(|v| v.to_str().unwrap()), seen, "{sent}");
        }
    }

    #[test]
    fn t21_of_several_fields_apps_see_one() {
        for (sent, seen) in [
            (&[][..], None),
            (&["a=1", "b=2"], Some("a=1; b=2")),
            (&["a=1;b=2", "c=3"], Some("a=1;b=2; c=3")),
            (&["__Host-Http-lychgate=x", "b=2"], Some("b=2")),
            (&["a=1", "__Host-Http-lychgate=x;c=3", "", "d=4"], Some("a=1; c=3; d=4")),
            (&["__Host-Http-lychgate=x", "", "__Host-Http-lychgate-lang=de"], None),
        ] {
            let values: Vec<_> = sent.iter().map(|line| header(line.as_bytes())).collect();
            let seen_by_app = without_own_cookies(values.iter());
            assert_eq!(seen_by_app.as_ref().map(|value| value.to_str().unwrap()), seen, "{sent:?}");
        }
    }

    #[test]
    fn t20_apps_cannot_set_our_cookies() {
        for (line, ours) in [
            ("__Host-Http-lychgate=x; Path=/", true),
            ("__host-http-lychgate-anything=x", true),
            ("  __Host-Http-lychgate = x", true),
            ("=__Host-Http-lychgate=x", true),
            ("__Host-Http-lychgate", true),
            ("session=x; Path=/__Host-Http-lychgate", false),
            ("lychgate=x", false),
            ("", false),
        ] {
            assert_eq!(sets_own(&header(line.as_bytes())), ours, "{line}");
        }
    }

    proptest! {
        #[test]
        fn t67_no_cookie_header_makes_a_panic_or_a_key(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(SessionKey::read(&bytes, verify).is_none());
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let _ = only(SESSION, std::iter::once(&value));
                let _ = sets_own(&value);
                if let Some(seen) = without_own_cookies([&value].into_iter()) {
                    prop_assert!(!mentions_own(&seen));
                }
            }
        }

        #[test]
        fn t21_whatever_surrounds_it_our_cookie_is_taken_out(before in "[ -:<-~]{0,20}", after in "[ -~]{0,20}") {
            let value = header(format!("{before}; {SESSION}-x=secret;{after}").as_bytes());
            let seen = without_own_cookies([&value].into_iter());
            prop_assert!(seen.is_none_or(|seen| !seen.to_str().unwrap().contains("-x=secret") || after.contains("secret")));
        }
    }
}
