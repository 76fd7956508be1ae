//! [`Network`]: what all browsers of a campus have in common. Made once per campus.

use crate::campus::logs::Watch;
use lychgate::domain::{Clock, SystemClock, UnixTime};
use rustls::RootCertStore;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use url::Url;

/// Where names lead, whom to trust, and what time it is: the same for every browser of a campus.
pub struct Network {
    places: Mutex<Places>,
    roots: Arc<RootCertStore>,
    clock: Arc<dyn Clock>,
    watch: Option<Watch>,
}

struct Places {
    https: SocketAddr,
    http: Option<SocketAddr>,
    named: HashMap<String, SocketAddr>,
}

impl Network {
    /// Every https name leads to `gate`, whatever port an address gives, until told otherwise.
    pub fn new(gate: SocketAddr, roots: Arc<RootCertStore>) -> Self {
        let places = Places { https: gate, http: None, named: HashMap::new() };
        Self { places: Mutex::new(places), roots, clock: Arc::new(SystemClock), watch: None }
    }

    /// Browsers tell the time by `clock`: give them the gate's, and their cookies end when its sessions do.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Whatever secret passes through a browser (cookies, codes, passwords) must never be seen in the log.
    pub fn with_watch(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// A gate restarted on another port.
    pub fn move_gate(&self, gate: SocketAddr) {
        self.places().https = gate;
    }

    /// Plain http to a name (not to an IP address) leads to `listener`.
    pub fn http_listener(&self, listener: SocketAddr) {
        self.places().http = Some(listener);
    }

    /// `host` leads to `address` rather than to the gate.
    pub fn name(&self, host: &str, address: SocketAddr) {
        self.places().named.insert(host.to_owned(), address);
    }

    /// The address a browser connects to for `url`: an IP address or bare `localhost` is itself.
    pub fn address(&self, url: &Url) -> SocketAddr {
        let host = url.host_str().expect("only http and https addresses are visited");
        let port = url.port_or_known_default().expect("http and https have default ports");
        if let Some(&address) = self.places().named.get(host) {
            return address;
        }
        match url.host() {
            Some(url::Host::Ipv4(ip)) => (ip, port).into(),
            Some(url::Host::Ipv6(ip)) => (ip, port).into(),
            _ if host == "localhost" => (std::net::Ipv4Addr::LOCALHOST, port).into(),
            _ if matches!(url.scheme(), "https" | "wss") => self.places().https,
            _ => self.places().http.unwrap_or_else(|| panic!("nothing listens for plain http to {url}")),
        }
    }

    pub fn roots(&self) -> Arc<RootCertStore> {
        self.roots.clone()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().expect("nobody panics while holding this lock")
    }

    /// The time by this network's clock.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    pub(super) fn forbid(&self, kind: &'static str, secret: &str) {
        if let Some(watch) = &self.watch {
            watch.forbid(kind, secret);
        }
    }
}
