//! `/.lychgate/sign-in` on a site host: where an app sends somebody who is to sign in, perhaps with a signed hint
//! of who it is, so that the provider's forms come filled in (J3). It decides nothing and keeps nothing.

use super::begin::{Wants, page_before};
use super::navigation::is_navigation;
use super::{OwnRequest, SignIn, StepFault};
use crate::domain::{PersonHint, ReturnTo, ScopeSet, SiteName, UnixTime};
use crate::pages;
use crate::policy::{CanonicalPath, Decision, Facts, HintKey, Site, decide};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Response};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// The longest hint looked at, in characters.
const LONGEST: usize = 2048;
/// A hint may be good for no longer than this, and is made for one person's next click.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 60);

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

impl SignIn {
    pub(super) async fn invite(&self, site: &Arc<Site>, request: &OwnRequest) -> Result<Response<Bytes>, StepFault> {
        let parameters = request.parameters().ok();
        let parameter = |name: &str| parameters.as_ref().and_then(|parameters| parameters.get(name));
        let to = parameter("to").map(|to| ReturnTo::new(request.host.clone(), to));
        let target_lost = matches!(to, Some(Err(_)));
        let to = to.and_then(Result::ok).unwrap_or_else(|| ReturnTo::front_page(request.host.clone()));
        let live = self.visitor(request).await?.filter(|live| site.knows(&live.identity.client));
        if !is_navigation(&request.method, &request.headers) {
            return Ok(pages::unauthorized_json(&to.url(self.port())));
        }
        if live.is_some() {
            return Ok(pages::redirect(&to.url(self.port())));
        }
        let hint = parameter("hint").zip(site.hint_key.as_ref()).and_then(|(text, key)| {
            let hint = read(text, key, &site.name, self.clock.now());
            // A sign-in does without; whoever writes the app has to hear of it.
            hint.inspect_err(|cause| tracing::warn!(site.name = %site.name, %cause, "an app's hint was not used")).ok()
        });
        let (scopes, rule, max_auth_age) = self.demands(site, &to, request);
        let came_from = page_before(request, &self.origin(&request.host));
        let wants = Wants { return_to: to, target_lost, came_from, scopes, rule, max_auth_age, hint };
        Ok(self.begin(site, &wants, request, None))
    }

    /// What the page behind `to` asks of a guest, so that one trip to the provider is enough.
    fn demands(
        &self,
        site: &Arc<Site>,
        to: &ReturnTo,
        request: &OwnRequest,
    ) -> (ScopeSet, Option<usize>, Option<Duration>) {
        let nothing = (ScopeSet::default(), None, None);
        let Ok((path, _)) = CanonicalPath::from_target(to.target(), &site.switches) else { return nothing };
        let (method, now) = (&Method::GET, self.clock.now());
        match decide(&Facts { site, method, path: &path, visitor: None, peer: request.peer, now }) {
            Decision::AskSignIn(ask) | Decision::AskScopes(ask) => {
                (ask.scopes.clone(), Some(ask.rule), ask.rule().max_auth_age)
            }
            Decision::Admit(_) | Decision::Refuse(_) => nothing,
        }
    }
}

/// A compact JWS (RFC 7515 §3.1) with HS256; what is wrong with it, for the log.
fn read(text: &str, key: &HintKey, site: &SiteName, now: UnixTime) -> Result<PersonHint, &'static str> {
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
    if end <= now || end > now.plus(LONGEST_LIFE) {
        return Err("its exp has passed, or is more than ten minutes ahead");
    }
    PersonHint::new(claims.given_names, claims.family_names, claims.email)
        .ok_or("its names or its address are too long or not printable")
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
        let hint = read(&good, &key, &site, now).unwrap();
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
