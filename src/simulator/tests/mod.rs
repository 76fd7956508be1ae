//! The simulator through real sockets: a raw HTTP/1.1 client and a small browser for the journeys in the
//! files beside this one. Run by `cargo test`.

mod api;
mod control;
mod flow;
mod life;
mod newcomers;
mod pages;
mod profiles;
mod wire;

use super::default_clients;
use super::people::{self, SECOND_FACTOR_CODE};
use super::{
    MEMBER_CLIENT, PUBLIC_CLIENT, SESSION_COOKIE, SigningKeyPem, Simulator, SimulatorHandle, SimulatorSettings,
};
use crate::domain::{OrcidId, StoppedClock, SystemChance};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(super) const PUBLIC_SECRET: &str = "51a7ed00-0000-4000-8000-000000000001";
pub(super) const MEMBER_SECRET: &str = "51a7ed00-0000-4000-8000-000000000002";
pub(super) const CALLBACK: &str = "https://gate.localhost:8443/cb";
pub(super) const NOW: i64 = 1_790_812_800;

/// One key for all tests: making one is slow.
pub(super) fn key() -> SigningKeyPem {
    static KEY: OnceLock<SigningKeyPem> = OnceLock::new();
    KEY.get_or_init(|| SigningKeyPem::generate(&SystemChance::default()).unwrap()).clone()
}

pub(super) fn settings() -> (SimulatorSettings, Arc<StoppedClock>) {
    let clock = Arc::new(StoppedClock::at(NOW));
    let settings = SimulatorSettings {
        key: Some(key()),
        clock: clock.clone(),
        ..SimulatorSettings::on_loopback(default_clients(&[CALLBACK]))
    };
    (settings, clock)
}

pub(super) async fn start() -> (SimulatorHandle, Arc<StoppedClock>) {
    let (settings, clock) = settings();
    (Simulator::start(settings).await.unwrap(), clock)
}

pub(super) fn id(text: &str) -> OrcidId {
    text.parse().unwrap()
}

/// The query of an authorization request of one of the default clients.
pub(super) fn ask(client: &str, scope: &str, more: &str) -> String {
    let scope = scope.replace(' ', "%20");
    format!("client_id={client}&response_type=code&scope={scope}&redirect_uri={CALLBACK}&state=st%2Fate{more}")
}

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(super) fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no redirect: {} {}", self.status, self.body))
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// A hidden field of the form that posts to `action`.
    pub(super) fn field(&self, action: &str, name: &str) -> String {
        let start = self
            .body
            .find(&format!("action=\"{action}\""))
            .unwrap_or_else(|| panic!("no form for {action}: {}", self.body));
        let form = &self.body[start..];
        let form = &form[..form.find("</form>").unwrap()];
        let marker = format!("name=\"{name}\" value=\"");
        let value = &form[form.find(&marker).unwrap() + marker.len()..];
        unescape(&value[..value.find('"').unwrap()])
    }
}

fn unescape(text: &str) -> String {
    [("&#x2f;", "/"), ("&quot;", "\""), ("&#x27;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// One request on a connection of its own.
pub(super) async fn send(at: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body);
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

pub(super) const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

pub(super) async fn post(at: SocketAddr, target: &str, body: &str) -> Reply {
    send(at, "POST", target, &[FORM], body).await
}

pub(super) fn encode(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A browser with a cookie, and nothing else a browser has.
pub(super) struct Tab {
    pub(super) at: SocketAddr,
    pub(super) cookie: String,
}

impl Tab {
    pub(super) fn new(simulator: &SimulatorHandle) -> Self {
        Self { at: simulator.local_addr, cookie: String::new() }
    }

    async fn go(&mut self, method: &str, target: &str, body: &str) -> Reply {
        let target = target.strip_prefix(&format!("http://{}", self.at)).unwrap_or(target).to_owned();
        let cookie = format!("other=1; {SESSION_COOKIE}={}", self.cookie);
        let reply = send(self.at, method, &target, &[FORM, ("Cookie", &cookie)], body).await;
        if let Some(set) = reply.header("set-cookie") {
            assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
            self.cookie = set.split(['=', ';']).nth(1).unwrap().to_owned();
        }
        reply
    }

    pub(super) async fn get(&mut self, target: &str) -> Reply {
        self.go("GET", target, "").await
    }

    pub(super) async fn submit(&mut self, target: &str, fields: &[(&str, &str)]) -> Reply {
        self.go("POST", target, &encode(fields)).await
    }

    /// Fills in the sign-in form on `page`.
    pub(super) async fn sign_in_on(&mut self, page: &Reply, username: &str, password: &str) -> Reply {
        let (token, request) = (page.field("/signin", "token"), page.field("/signin", "request"));
        let fields = [("token", &*token), ("request", &*request), ("username", username), ("password", password)];
        let next = self.submit("/signin", &fields).await;
        if next.body.contains("id=\"totp\"") { self.second_factor_on(&next, SECOND_FACTOR_CODE).await } else { next }
    }

    /// Types a code into the form on `page`.
    pub(super) async fn second_factor_on(&mut self, page: &Reply, code: &str) -> Reply {
        let field = |name| page.field("/signin/second-factor", name);
        let (token, orcid, request) = (field("token"), field("orcid"), field("request"));
        let fields = [("token", &*token), ("orcid", &*orcid), ("request", &*request), ("totp", code)];
        self.submit("/signin/second-factor", &fields).await
    }

    /// Signs a seeded person in on the page at `target`.
    pub(super) async fn sign_in(&mut self, target: &str, orcid: &str) -> Reply {
        let page = self.get(target).await;
        self.sign_in_on(&page, orcid, &password(orcid)).await
    }

    /// Presses a button of the consent screen on `page`.
    pub(super) async fn decide(&mut self, page: &Reply, decision: &str) -> Reply {
        let (token, request) = (page.field("/oauth/authorize", "token"), page.field("/oauth/authorize", "request"));
        self.submit("/oauth/authorize", &[("token", &token), ("request", &request), ("decision", decision)]).await
    }

    /// The whole way from the authorization request to the code, signing in and consenting where asked.
    pub(super) async fn code(&mut self, query: &str, orcid: &str) -> String {
        let target = format!("/oauth/authorize?{query}");
        let mut reply = self.get(&target).await;
        if reply.status == 200 && reply.body.contains("id=\"signin-button\"") {
            let signed_in = self.sign_in_on(&reply, orcid, &password(orcid)).await;
            reply = self.get(signed_in.location()).await;
        }
        if reply.status == 200 {
            reply = self.decide(&reply, "authorize").await;
        }
        code_in(reply.location())
    }
}

pub(super) fn password(orcid: &str) -> String {
    people::seeded().into_iter().find(|person| person.orcid.as_str() == orcid).unwrap().password
}

pub(super) fn code_in(location: &str) -> String {
    let rest = location.strip_prefix(&format!("{CALLBACK}?code=")).unwrap_or_else(|| panic!("{location}"));
    rest.split('&').next().unwrap().to_owned()
}

/// Trades a code of the member client.
pub(super) async fn exchange(simulator: &SimulatorHandle, code: &str) -> Reply {
    trade(simulator, MEMBER_CLIENT, MEMBER_SECRET, code).await
}

pub(super) async fn trade(simulator: &SimulatorHandle, client: &str, secret: &str, code: &str) -> Reply {
    let fields = [
        ("client_id", client),
        ("client_secret", secret),
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", "dropped-by-the-proxy"),
    ];
    post(simulator.local_addr, "/oauth/token", &encode(&fields)).await
}
