//! [`Request`]: one request being put together, sent, and followed through redirects.

use super::{Browser, page_at};
use crate::campus::answer::{Answer, Hop};
use crate::campus::fetch::{Initiator, Journey, Purpose, ReferrerPolicy};
use crate::campus::http::{self as wire, Body, Line, PATIENCE};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::time::Duration;
use url::Url;

/// More redirects than this are a loop; browsers stop at twenty as well.
const MAX_HOPS: usize = 20;

enum Payload {
    Whole(Bytes),
    /// Cannot be sent twice, so a 307 or 308 cannot be followed with it.
    Stream(Option<Body>),
}

/// A request being put together.
pub struct Request {
    browser: Browser,
    method: Method,
    url: Url,
    target: Option<String>,
    headers: HeaderMap,
    without: Vec<HeaderName>,
    payload: Payload,
    initiator: Initiator,
    purpose: Purpose,
    line: Option<Line>,
    resumed: Option<Journey>,
}

/// Bodies and values of forms from this length on are looked for in the log.
const LONG_BODY: usize = 20;

impl Request {
    pub(super) fn new(browser: Browser, method: Method, url: Url, initiator: Initiator) -> Self {
        Self {
            browser,
            method,
            url,
            target: None,
            headers: HeaderMap::new(),
            without: Vec::new(),
            payload: Payload::Whole(Bytes::new()),
            initiator,
            purpose: Purpose::Navigation,
            line: None,
            resumed: None,
        }
    }

    /// Adds a header. A name the browser would send itself is replaced; the same name twice is sent twice.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().unwrap_or_else(|error| panic!("{name}: {error}; use raw for such names"));
        let value = HeaderValue::from_bytes(value.as_ref()).expect("use raw for values that are not legal");
        self.headers.append(name, value);
        self
    }

    /// Leaves out a header that a browser would send.
    pub fn without(mut self, name: &str) -> Self {
        self.without.push(name.parse().expect("a header name"));
        self
    }

    /// Sends `target` as path and query byte for byte, where an address would be tidied up (`/a/../b`).
    pub fn target(mut self, target: &str) -> Self {
        self.target = Some(target.to_owned());
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.payload = Payload::Whole(body.into());
        self
    }

    /// A body from [`wire::pieces`] or [`wire::channel`].
    pub fn stream_body(mut self, body: Body) -> Self {
        self.payload = Payload::Stream(Some(body));
        self
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    pub fn json(self, value: &serde_json::Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    /// The request is caused by a page at `url`: a link there, or a form.
    pub fn from(mut self, url: &str) -> Self {
        self.initiator = page_at(url.parse().expect("the test gives an address"), ReferrerPolicy::default());
        self
    }

    pub(in crate::campus) fn caused_by(mut self, initiator: Initiator) -> Self {
        self.initiator = initiator;
        self
    }

    pub(in crate::campus) fn resuming(mut self, journey: Journey) -> Self {
        self.resumed = Some(journey);
        self
    }

    fn journey(&mut self) -> Journey {
        let new = || Journey::new(self.initiator.clone(), self.purpose, self.url.clone());
        self.resumed.take().unwrap_or_else(new)
    }

    /// A script's `fetch` on a page at `url`.
    pub fn by_script_on(self, url: &str) -> Self {
        Self { purpose: Purpose::Script, ..self.from(url) }
    }

    /// An image on a page at `url`.
    pub fn for_image_on(self, url: &str) -> Self {
        Self { purpose: Purpose::Image, ..self.from(url) }
    }

    /// A command-line tool: cookies, and the headers given, but nothing a browser would add.
    pub fn by_tool(mut self) -> Self {
        self.purpose = Purpose::Tool;
        self.initiator = Initiator::Person;
        self
    }

    /// Sends over `line`, whatever host it was opened for, as browsers coalesce HTTP/2 connections.
    pub fn over(mut self, line: &Line) -> Self {
        self.line = Some(line.clone());
        self
    }

    /// Sends, and returns the answer without following it. Panics when there is none.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap_or_else(|trouble| panic!("{trouble}"))
    }

    /// Sends, and says what went wrong when no answer came.
    pub async fn try_send(self) -> Result<Answer, String> {
        self.travel(false).await
    }

    /// Sends, and follows redirects as a browser does, taking cookies on the way.
    pub async fn follow(self) -> Answer {
        self.travel(true).await.unwrap_or_else(|trouble| panic!("{trouble}"))
    }

    /// Sends, and returns as soon as the head of the answer is there, for bodies that do not end.
    pub async fn stream(mut self) -> Streaming {
        let mut journey = self.journey();
        let answer = self.exchange(&mut journey).await.unwrap_or_else(|trouble| panic!("{trouble}"));
        let (parts, body) = answer.into_parts();
        Streaming { status: parts.status, headers: parts.headers, body }
    }

    async fn travel(mut self, follow: bool) -> Result<Answer, String> {
        let mut journey = self.journey();
        let mut hops = Vec::new();
        loop {
            journey.assert_form_may_lead_here();
            let response = self.exchange(&mut journey).await?;
            let url = journey.url().clone();
            let (parts, body) = response.into_parts();
            let body = tokio::time::timeout(PATIENCE, body.collect())
                .await
                .map_err(|_| format!("{} {url}: the answer's body did not end", self.method))?
                .map_err(|error| format!("{} {url}: the answer broke off: {}", self.method, chain(&error)))?;
            let trailers = body.trailers().cloned();
            hops.push(Hop { method: self.method.clone(), url: url.clone(), status: parts.status });
            let answer = Answer {
                status: parts.status,
                version: parts.version,
                headers: parts.headers,
                trailers,
                body: body.to_bytes(),
                url,
                hops: hops.clone(),
                journey: journey.clone(),
                browser: self.browser.clone(),
            };
            let Some(next) = answer.location().filter(|next| follow && matches!(next.scheme(), "http" | "https"))
            else {
                return Ok(answer);
            };
            if hops.len() > MAX_HOPS {
                return Err(format!("redirected in circles: {}", answer.story()));
            }
            self.redirected(answer.status);
            journey.redirect(next, answer.referrer_policy());
        }
    }

    /// What a redirect with `status` makes of the method and the body (Fetch §4.4 step 12).
    fn redirected(&mut self, status: StatusCode) {
        let to_get = match status.as_u16() {
            303 => !matches!(self.method, Method::GET | Method::HEAD),
            301 | 302 => self.method == Method::POST,
            _ => false,
        };
        if to_get {
            self.method = Method::GET;
            self.payload = Payload::Whole(Bytes::new());
            for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
                self.headers.remove(name);
            }
        }
        // What a test wrote for one host stays with that host, as `target` and the connection do.
        self.target = None;
        self.line = None;
        self.headers.remove(header::COOKIE);
        self.headers.remove(header::AUTHORIZATION);
        self.headers.remove(header::HOST);
    }

    async fn exchange(&mut self, journey: &mut Journey) -> Result<http::Response<Incoming>, String> {
        let url = journey.url().clone();
        if let Some((_, code)) = url.query_pairs().find(|(name, _)| name == "code") {
            self.browser.inner.network.forbid("an authorization code", &code);
        }
        // The gate speaks nothing else; other programs of a test, providers among them, may log what they like.
        if url.scheme() == "https" {
            self.forbid_body();
        }
        let name = format!("{} {url}", self.method);
        let sent = async {
            let line = match &self.line {
                Some(line) => line.clone(),
                None => self.browser.line_for(&url).await.map_err(|error| format!("{name}: no connection: {error}"))?,
            };
            let request = self.assemble(journey);
            line.send(request).await.map_err(|error| format!("{name} over {line:?}: {}", chain(&error)))
        };
        let response =
            tokio::time::timeout(PATIENCE, sent).await.map_err(|_| format!("{name}: no answer in time"))??;
        self.browser.remember(&url, response.headers());
        Ok(response)
    }

    /// T85: what is posted is nobody's business but the app's. Short values may stand in a log for reasons of their own.
    fn forbid_body(&self) {
        let Payload::Whole(bytes) = &self.payload else { return };
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let values = url::form_urlencoded::parse(bytes).map(|(_, value)| value.into_owned());
        for secret in std::iter::once(text.to_owned()).chain(values).filter(|secret| secret.len() >= LONG_BODY) {
            self.browser.inner.network.forbid("what was posted", &secret);
        }
    }

    fn assemble(&mut self, journey: &Journey) -> http::Request<Body> {
        let url = journey.url();
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let target = match &self.target {
            Some(target) => target.clone(),
            None => url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
        };
        let uri = format!("{}://{authority}{target}", url.scheme());
        let body = match &mut self.payload {
            Payload::Whole(bytes) => wire::full(bytes.clone()),
            Payload::Stream(body) => body.take().expect("a streamed body can be sent once"),
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.parse().unwrap_or_else(|error| panic!("{uri}: {error}; use raw for such targets"));
        let headers = request.headers_mut();
        for (name, value) in usual_headers(journey, &self.method) {
            headers.insert(name, HeaderValue::from_str(&value).expect("browsers send ASCII"));
        }
        if let Some(cookies) = self.browser.cookie_header(journey, &self.method) {
            headers.insert(header::COOKIE, HeaderValue::from_bytes(cookies.as_bytes()).expect("the jar checked them"));
        }
        for name in self.without.iter().chain(self.headers.keys()) {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        request
    }
}

fn usual_headers(journey: &Journey, method: &Method) -> Vec<(HeaderName, String)> {
    let (mode, destination, accept) = match journey.purpose {
        Purpose::Navigation => {
            ("navigate", "document", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        }
        Purpose::Script => ("cors", "empty", "*/*"),
        Purpose::Image => ("no-cors", "image", "image/avif,image/webp,image/*,*/*;q=0.8"),
        Purpose::Tool => return Vec::new(),
    };
    let mut headers = vec![
        (header::USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64) Campus/1.0".to_owned()),
        (header::ACCEPT, accept.to_owned()),
        (header::ACCEPT_LANGUAGE, "en".to_owned()),
        (HeaderName::from_static("sec-fetch-site"), journey.site().to_owned()),
        (HeaderName::from_static("sec-fetch-mode"), mode.to_owned()),
        (HeaderName::from_static("sec-fetch-dest"), destination.to_owned()),
    ];
    if journey.purpose == Purpose::Navigation {
        headers.push((HeaderName::from_static("sec-fetch-user"), "?1".to_owned()));
        headers.push((header::UPGRADE_INSECURE_REQUESTS, "1".to_owned()));
    }
    headers.extend(journey.origin(method).map(|origin| (header::ORIGIN, origin)));
    headers.extend(journey.referer().map(|referer| (header::REFERER, referer)));
    headers
}

/// An error and what caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

/// An answer whose body is read piece by piece.
pub struct Streaming {
    pub status: StatusCode,
    pub headers: HeaderMap,
    body: Incoming,
}

impl Streaming {
    /// The next piece, or `None` at the end. Panics when nothing comes within `within`, or it broke off.
    pub async fn next(&mut self, within: Duration) -> Option<Bytes> {
        self.try_next(within).await.unwrap_or_else(|trouble| panic!("{trouble}"))
    }

    /// The next piece, `None` at the end, or what went wrong.
    pub async fn try_next(&mut self, within: Duration) -> Result<Option<Bytes>, String> {
        loop {
            match tokio::time::timeout(within, self.body.frame()).await {
                Err(_) => return Err(format!("no piece of the body within {within:?}")),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(format!("the body broke off: {}", chain(&error))),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
