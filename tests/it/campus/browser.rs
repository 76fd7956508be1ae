//! [`Browser`]: a person's browser without scripts: its own cookie jar, real TLS, HTTP/1.1 and HTTP/2,
//! redirects, and the headers by which browsers say who asked. Journeys are told with it.

mod network;
mod request;

pub use network::Network;
pub use request::Request;

use super::answer::Answer;
use super::cookies::{Cookie, Jar};
use super::fetch::{Initiator, Journey, ReferrerPolicy, origin_of};
use super::http::{self as wire, Line};
use http::{HeaderMap, Method, header};
use rustls::ClientConfig;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use url::Url;

/// Which versions of HTTP a browser offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Speaks {
    Both,
    OnlyHttp1,
    OnlyHttp2,
}

/// One browser. Clones are the same browser: same cookies, same connections.
#[derive(Clone)]
pub struct Browser {
    inner: Arc<Inner>,
    speaks: Speaks,
    reuse: bool,
}

struct Inner {
    network: Arc<Network>,
    jar: Mutex<Jar>,
    configs: HashMap<Speaks, Arc<ClientConfig>>,
    pool: Mutex<HashMap<(Speaks, String), Vec<Line>>>,
}

impl Browser {
    /// A browser with an empty jar.
    pub fn new(network: Arc<Network>) -> Self {
        let config = |protocols: &[&str]| wire::client_config(network.roots(), protocols);
        let configs = HashMap::from([
            (Speaks::Both, config(&["h2", "http/1.1"])),
            (Speaks::OnlyHttp1, config(&["http/1.1"])),
            (Speaks::OnlyHttp2, config(&["h2"])),
        ]);
        let inner = Inner { network, jar: Mutex::default(), configs, pool: Mutex::default() };
        Self { inner: Arc::new(inner), speaks: Speaks::Both, reuse: true }
    }

    /// The same browser, offering other versions of HTTP.
    pub fn speaking(&self, speaks: Speaks) -> Self {
        Self { speaks, ..self.clone() }
    }

    /// The same browser, opening a new connection for every request.
    pub fn without_reuse(&self) -> Self {
        Self { reuse: false, ..self.clone() }
    }

    /// A page asked for by typing its address.
    pub fn get(&self, url: &str) -> Request {
        self.request(Method::GET, url)
    }

    /// Any method. What is not GET or HEAD comes from a page of the same origin, unless the request says
    /// [`Request::from`] elsewhere.
    pub fn request(&self, method: Method, url: &str) -> Request {
        let url: Url = url.parse().unwrap_or_else(|error| panic!("{url} is not an address: {error}"));
        let initiator = match method {
            Method::GET | Method::HEAD => Initiator::Person,
            _ => page_at(url.clone(), ReferrerPolicy::SameOrigin),
        };
        Request::new(self.clone(), method, url, initiator)
    }

    /// A form sent from a page of the same origin.
    pub fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Request {
        self.request(Method::POST, url).form(fields)
    }

    /// Types `url` and follows where it leads.
    pub async fn open(&self, url: &str) -> Answer {
        self.get(url).follow().await
    }

    /// Opens a connection to the host of `url` and returns it, for [`Request::over`].
    pub async fn connect(&self, url: &str) -> Line {
        let url: Url = url.parse().expect("the test gives an address");
        self.line(&url).await.unwrap_or_else(|error| panic!("no connection to {url}: {error}"))
    }

    pub fn network(&self) -> &Network {
        &self.inner.network
    }

    pub fn jar(&self) -> MutexGuard<'_, Jar> {
        self.inner.jar.lock().expect("nobody panics while holding this lock")
    }

    /// The value of the cookie `name` that a page at `url` would be sent.
    pub fn cookie(&self, url: &str, name: &str) -> Option<String> {
        self.cookies(url).into_iter().find(|cookie| cookie.name == name).map(|cookie| cookie.value)
    }

    /// The cookies a page at `url` would be sent.
    pub fn cookies(&self, url: &str) -> Vec<Cookie> {
        let url: Url = url.parse().expect("the test gives an address");
        let now = self.inner.network.now();
        self.jar().at(&url, now)
    }

    /// What a script on a page of `url` does with `document.cookie = line`.
    pub fn script_sets_cookie(&self, url: &str, line: &str) {
        let url: Url = url.parse().expect("the test gives an address");
        let now = self.inner.network.now();
        self.jar().take_from_script(&url, line, now);
    }

    /// Closes every connection kept for reuse.
    pub fn hang_up(&self) {
        self.pool().clear();
    }

    fn pool(&self) -> MutexGuard<'_, HashMap<(Speaks, String), Vec<Line>>> {
        self.inner.pool.lock().expect("nobody panics while holding this lock")
    }

    /// Takes in what an answer says about cookies.
    pub(super) fn remember(&self, url: &Url, headers: &HeaderMap) {
        let now = self.inner.network.now();
        for line in headers.get_all(header::SET_COOKIE) {
            let line = String::from_utf8_lossy(line.as_bytes());
            let value =
                line.split(';').next().and_then(|pair| pair.split_once('=')).map_or("", |(_, value)| value.trim());
            if value.len() >= 16 {
                self.inner.network.forbid("a cookie", value);
            }
            self.jar().take(url, &line, now);
        }
    }

    /// The `Cookie` header for the current step of `journey`.
    pub(super) fn cookie_header(&self, journey: &Journey, method: &Method) -> Option<String> {
        let now = self.inner.network.now();
        self.jar().header(journey.url(), journey.causer(method), now)
    }

    pub(super) fn forbid_password(&self, password: &str) {
        self.inner.network.forbid("a password", password);
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        self.inner.configs[&self.speaks].clone()
    }

    async fn line(&self, url: &Url) -> std::io::Result<Line> {
        let network = &self.inner.network;
        if url.scheme() == "https" {
            let host = url.host_str().expect("https addresses have a host");
            Line::tls(network.address(url), host, self.config()).await
        } else {
            Line::plain(network.address(url)).await
        }
    }

    async fn line_for(&self, url: &Url) -> std::io::Result<Line> {
        if !self.reuse {
            return self.line(url).await;
        }
        // The socket address belongs to the key: a gate that moved is a new place.
        let key = (self.speaks, format!("{} {}", origin_of(url), self.inner.network.address(url)));
        let kept = {
            let mut pool = self.pool();
            let lines = pool.entry(key.clone()).or_default();
            lines.retain(|line| !line.is_closed());
            lines.iter().find(|line| line.is_free()).cloned()
        };
        if let Some(line) = kept {
            return Ok(line);
        }
        let line = self.line(url).await?;
        self.pool().entry(key).or_default().push(line.clone());
        Ok(line)
    }
}

/// A page at `url`, as the cause of requests.
pub fn page_at(url: Url, policy: ReferrerPolicy) -> Initiator {
    Initiator::Page { url, policy, form_action: Vec::new() }
}
