//! The headers of our own answers, and the small answers that are no pages: redirects, JSON, assets.
//! Called by [`super::Pages`], `signin` and `proxy`.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// What a page may do beyond showing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Allowance {
    /// Links only.
    Nothing,
    /// A form whose answer may lead on to the provider: `form-action` also binds redirects that answer
    /// a form (`stack.md` §10).
    Provider,
    /// The callback helper, a script file of ours.
    Script,
    /// A form that an app answers, wherever its answer leads.
    App,
}

/// The content security policies of one house, built once.
#[derive(Clone, Debug)]
pub(super) struct Policies {
    nothing: HeaderValue,
    provider: HeaderValue,
    script: HeaderValue,
    app: HeaderValue,
    provider_origins: Vec<String>,
}

impl Policies {
    /// `provider_origins` are checked origins, such as `https://orcid.org`.
    pub(super) fn new(provider_origins: &[String]) -> Self {
        Self {
            nothing: policy(&[], false),
            provider: policy(provider_origins, false),
            script: policy(&[], true),
            app: policy(&["https:".to_owned()], false),
            provider_origins: provider_origins.to_vec(),
        }
    }

    /// The policy of one page; `leads_to` is an address outside this host that a form on it may end at.
    pub(super) fn of(&self, allowance: Allowance, leads_to: Option<&str>) -> HeaderValue {
        let origin = leads_to.and_then(origin_of);
        match (allowance, origin) {
            (Allowance::Nothing, _) => self.nothing.clone(),
            (Allowance::Script, _) => self.script.clone(),
            (Allowance::App, _) => self.app.clone(),
            (Allowance::Provider, None) => self.provider.clone(),
            (Allowance::Provider, Some(origin)) => {
                let mut origins = self.provider_origins.clone();
                origins.push(origin);
                policy(&origins, false)
            }
        }
    }
}

/// The origin of an https or http address; an origin is ASCII without `;`, `,` or space, so it cannot
/// smuggle a directive into the policy.
pub(super) fn origin_of(address: &str) -> Option<String> {
    let url = url::Url::parse(address).ok()?;
    matches!(url.scheme(), "https" | "http").then(|| url.origin().ascii_serialization())
}

fn policy(form_origins: &[String], script: bool) -> HeaderValue {
    let mut text = String::from("default-src 'none'; ");
    if script {
        text.push_str("script-src 'self'; ");
    }
    text.push_str("style-src 'self'; img-src 'self'; form-action 'self'");
    for origin in form_origins {
        text.push(' ');
        text.push_str(origin);
    }
    text.push_str("; frame-ancestors 'none'; base-uri 'none'");
    // Only an origin that is no origin could fail; then the strictest policy stands.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

/// A page with all its headers (T48). `Referrer-Policy: same-origin`, because `no-referrer` makes a
/// form POST say `Origin: null` (`stack.md` §10).
pub(super) fn page(status: StatusCode, html: String, policy: HeaderValue, retry_after: Option<u32>) -> Response<Bytes> {
    let mut answer = answer(status, "text/html; charset=utf-8", html.into(), "same-origin");
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS));
    headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// A redirect by 303, so that nothing posted is ever posted again, without body, never stored and
/// never the source of a `Referer` (T47; RFC 9700 §4.12). `location` comes from configuration and
/// checked return targets; one that no header can hold becomes a bare 500.
pub fn redirect(location: &str) -> Response<Bytes> {
    let Ok(location) = HeaderValue::try_from(location) else {
        return json(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": "internal" }));
    };
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let headers = answer.headers_mut();
    headers.insert(header::LOCATION, location);
    basics(headers, 0, "no-referrer");
    answer
}

/// A JSON answer, never stored.
pub fn json(status: StatusCode, value: &Value) -> Response<Bytes> {
    answer(status, "application/json", value.to_string().into(), "no-referrer")
}

/// For callers that cannot be redirected to the sign-in page (J16): 401 with the address a person
/// would have to open. RFC 9110 §11.6.1 demands a challenge.
pub fn unauthorized_json(login_url: &str) -> Response<Bytes> {
    let body = json!({
        "error": super::Notice::SignInNeeded.code(),
        "message": super::message(super::Notice::SignInNeeded),
        "sign_in": login_url,
    });
    challenge(json(StatusCode::UNAUTHORIZED, &body), "Lychgate realm=\"sign-in\"".to_owned())
}

/// The same for a signed-in caller whose permissions do not suffice: 403 in the manner of RFC 6750
/// §3.1. `scopes` is what is missing, space-separated.
pub fn insufficient_scope_json(login_url: &str, scopes: &crate::domain::ScopeSet) -> Response<Bytes> {
    let body = json!({
        "error": super::Notice::PermissionNeeded.code(),
        "message": super::message(super::Notice::PermissionNeeded),
        "scope": scopes.to_string(),
        "sign_in": login_url,
    });
    // A scope holds neither quote nor backslash (RFC 6749 §3.3), so it fits a quoted string as it is.
    let text = format!("Lychgate realm=\"sign-in\", error=\"insufficient_scope\", scope=\"{scopes}\"");
    challenge(json(StatusCode::FORBIDDEN, &body), text)
}

fn challenge(mut answer: Response<Bytes>, text: String) -> Response<Bytes> {
    if let Ok(value) = HeaderValue::try_from(text) {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    answer
}

/// A file of ours, kept by browsers for a year if it `lasts`, that is, if its name changes with its content. A picture
/// opened by itself can run nothing.
pub(super) fn asset(content_type: &'static str, body: Bytes, lasts: bool) -> Response<Bytes> {
    let mut answer = answer(StatusCode::OK, content_type, body, "no-referrer");
    let headers = answer.headers_mut();
    let kept = if lasts { "public, max-age=31536000, immutable" } else { "public, max-age=3600" };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"),
    );
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    answer
}

/// A piece of HTML for a page of the app to take in. Opened by itself it can run nothing.
pub(super) fn fragment(html: String) -> Response<Bytes> {
    shut(answer(StatusCode::OK, "text/html; charset=utf-8", html.into(), "no-referrer"))
}

/// A picture made for one visitor.
pub(super) fn picture(svg: String) -> Response<Bytes> {
    shut(answer(StatusCode::OK, "image/svg+xml", svg.into(), "no-referrer"))
}

/// For what is drawn within a page of the same origin, and nowhere else.
fn shut(mut answer: Response<Bytes>) -> Response<Bytes> {
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
        ),
    );
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(ROBOTS, HeaderValue::from_static("noindex"));
    answer
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes, referrer: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let length = answer.body().len();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    basics(headers, length, referrer);
    answer
}

fn basics(headers: &mut HeaderMap, length: usize, referrer: &'static str) {
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static(referrer));
}
