//! `/.lychgate/sign-in?site=…`: where an app sends somebody it expects, perhaps with a signed hint of who it is, so
//! that the provider's forms come filled in (J3). The hint waits in a sealed cookie of the sign-in host and decides
//! nothing.

use super::arrival::{Arrival, Mode};
use super::navigation::is_navigation;
use super::sealed::{self, Kind};
use super::{OwnRequest, SignIn, with_cookies};
use crate::domain::{PersonHint, ReturnTo, SiteName, UnixTime};
use crate::pages::{self, Notice};
use crate::policy::HintKey;
use crate::session::cookie;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderValue, Response};
use serde::{Deserialize, Serialize};
use std::time::Duration;

pub(super) const HINT_COOKIE: &str = "__Host-Http-lychgate-hint";

/// The longest hint looked at, in characters.
const LONGEST: usize = 2048;
/// Seconds. A hint may be good for no longer than this, and is made for one person's next click.
const LONGEST_LIFE: u32 = 10 * 60;

/// What of the header decides (RFC 7515 §4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    /// The site's name.
    aud: String,
    /// Seconds since 1970, at most ten minutes ahead.
    exp: i64,
    given_names: Option<String>,
    family_names: Option<String>,
    email: Option<String>,
}

/// What waits in the cookie for the way to the provider.
#[derive(Serialize, Deserialize)]
struct Hinted {
    site: SiteName,
    until: UnixTime,
    hint: PersonHint,
}

impl SignIn {
    /// `site`, `to` and `hint` lead to a page of the site. Whoever has to sign in for it comes back here, and finds the
    /// provider's forms filled in.
    pub(super) fn invite(&self, name: &str, request: &OwnRequest) -> Response<Bytes> {
        let site = name.parse::<SiteName>().ok().and_then(|name| self.policies.load().site(&name).cloned());
        let Some(site) = site else { return self.notice(Notice::NotFound, None, request.language) };
        if !is_navigation(&request.method, &request.headers) {
            return pages::unauthorized_json(&format!("{}/", self.origin(site.main_host())));
        }
        let parameters = request.parameters().ok();
        let parameter = |name: &str| parameters.as_ref().and_then(|parameters| parameters.get(name));
        let host = || site.main_host().clone();
        let to = parameter("to").and_then(|to| ReturnTo::new(host(), to).ok());
        let to = to.unwrap_or_else(|| ReturnTo::front_page(host()));
        let hint =
            parameter("hint").zip(site.hint_key.as_ref()).map(|(text, key)| self.keep_hint(text, key, &site.name));
        with_cookies(pages::redirect(&to.url(self.port())), hint.flatten())
    }

    /// The cookie of a hint that verifies. A sign-in does without; whoever writes the app has to hear of it.
    fn keep_hint(&self, text: &str, key: &HintKey, site: &SiteName) -> Option<HeaderValue> {
        match read(text, key, site, self.clock.now()) {
            Ok((hint, until)) => {
                let hinted = Hinted { site: site.clone(), until, hint };
                let host = self.settings.sign_in_host.as_str();
                let sealed = sealed::seal(&self.arrivals, Kind::Hint, host, &hinted);
                Some(cookie::set(HINT_COOKIE, &sealed, Some(LONGEST_LIFE)))
            }
            Err(cause) => {
                tracing::warn!(site.name = %site, cause, "an app's hint was not used");
                None
            }
        }
    }

    /// The hint this browser brought for the site it comes from. Whoever wants to be somebody else is not the one
    /// who was expected.
    pub(super) fn hint_for(&self, request: &OwnRequest, arrival: Option<&Arrival>) -> Option<PersonHint> {
        let arrival = arrival.filter(|arrival| arrival.mode != Mode::Another)?;
        let text = std::str::from_utf8(cookie::only(HINT_COOKIE, request.cookies())?).ok()?;
        let host = self.settings.sign_in_host.as_str();
        let hinted: Hinted = sealed::open(&self.arrivals, Kind::Hint, host, text)?;
        (hinted.site == arrival.site && hinted.until > self.clock.now()).then_some(hinted.hint)
    }
}

/// A compact JWS (RFC 7515 §3.1) with HS256 and when it ends; or what is wrong with it, for the log.
fn read(text: &str, key: &HintKey, site: &SiteName, now: UnixTime) -> Result<(PersonHint, UnixTime), &'static str> {
    if text.len() > LONGEST {
        return Err("it is too long");
    }
    let (message, signature) = text.rsplit_once('.').ok_or("it is no compact JWS")?;
    let (header, payload) = message.split_once('.').ok_or("it is no compact JWS")?;
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is no compact JWS");
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| "its header is none")?;
    if header.alg != "HS256" || header.crit.is_some() {
        return Err("its header asks for something else than HS256");
    }
    if !key.verifies(message.as_bytes(), &decode(signature)?) {
        return Err("its signature does not fit hint_key_file");
    }
    let claims: Claims = serde_json::from_slice(&decode(payload)?).map_err(|_| "its claims are not those of a hint")?;
    if claims.aud != site.as_str() {
        return Err("its aud is not the site's name");
    }
    let end = UnixTime(claims.exp);
    if end <= now || end > now.plus(Duration::from_secs(LONGEST_LIFE.into())) {
        return Err("its exp has passed, or is more than ten minutes ahead");
    }
    let hint = PersonHint::new(claims.given_names, claims.family_names, claims.email);
    Ok((hint.ok_or("its names or its address are too long or not printable")?, end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use ring::hmac;
    use serde_json::{Value, json};

    const SECRET: &[u8] = b"an app and its gate share this much";

    fn sign(header: &Value, claims: &Value, secret: &[u8]) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
    }

    #[test]
    fn j3_only_a_fresh_hint_of_the_sites_own_app_is_used() {
        let (key, site, now) = (HintKey::new(SECRET), "library".parse().unwrap(), UnixTime(1_000_000));
        let usual = json!({ "alg": "HS256", "typ": "JWT" });
        let claims = |aud: &str, exp: i64| json!({ "aud": aud, "exp": exp, "given_names": "Josiah" });
        let good = sign(&usual, &claims("library", 1_000_060), SECRET);
        let (hint, until) = read(&good, &key, &site, now).unwrap();
        assert_eq!(until, UnixTime(1_000_060));
        assert_eq!((hint.given_names.as_deref(), hint.family_names, hint.email), (Some("Josiah"), None, None));
        let (message, _) = good.rsplit_once('.').unwrap();
        let forged = sign(&usual, &json!({ "aud": "library", "exp": 1_000_060, "email": "x@y.example" }), SECRET);
        let swapped = format!("{message}.{}", forged.rsplit_once('.').unwrap().1);
        for (text, why) in [
            (sign(&usual, &claims("library", 1_000_060), b"another key that is as long as it"), "signature"),
            (swapped, "signature"),
            (format!("{message}."), "signature"),
            (sign(&json!({ "alg": "none" }), &claims("library", 1_000_060), SECRET), "HS256"),
            (sign(&json!({ "alg": "HS256", "crit": [] }), &claims("library", 1_000_060), SECRET), "HS256"),
            (sign(&usual, &claims("repository", 1_000_060), SECRET), "aud"),
            (sign(&usual, &claims("library", 1_000_000), SECRET), "exp"),
            (sign(&usual, &claims("library", 1_000_601), SECRET), "exp"),
            (sign(&usual, &claims("library", i64::MAX), SECRET), "exp"),
            (sign(&usual, &json!({ "exp": 1_000_060 }), SECRET), "claims"),
            (sign(&usual, &json!({ "aud": "library", "exp": 1_000_060, "email": "nobody" }), SECRET), "printable"),
            ("a.b".to_owned(), "compact"),
            (String::new(), "compact"),
            ("x".repeat(2049), "long"),
        ] {
            let fault = read(&text, &key, &site, now).unwrap_err();
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }
}
