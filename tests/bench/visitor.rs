//! [`Visitor`]: a browser that can sign in and nothing else, for it shares the cores with what it measures. It takes
//! cookies and follows redirects and the one link of a page of ours, over connections it keeps.

use crate::campus::html;
use crate::campus::http::PATIENCE;
use crate::load::BROWSER;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use lychgate::simulator::SESSION_COOKIE;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use url::Url;

/// More requests than any sign-in takes.
const MOST_STEPS: usize = 16;

type Line = SendRequest<Empty<Bytes>>;

/// Where a visitor's requests go.
#[derive(Clone)]
pub struct Way {
    /// Every https host.
    pub gate: SocketAddr,
    /// The simulated ORCID, as its addresses name it.
    pub orcid: Url,
    pub config: Arc<ClientConfig>,
}

pub struct Visitor {
    way: Way,
    /// The address of its own: the gate counts sign-ins under way by address.
    from: Ipv4Addr,
    lines: HashMap<String, Line>,
}

/// The cookies of one sign-in, by host.
#[derive(Default)]
struct Jar(HashMap<String, Vec<(String, String)>>);

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Visitor {
    pub fn new(way: Way, from: Ipv4Addr) -> Self {
        Self { way, from, lines: HashMap::new() }
    }

    /// Opens the connection to the host of `url`.
    pub async fn connect(&mut self, url: &Url) {
        let host = host(url).to_owned();
        let line = tokio::time::timeout(PATIENCE, self.open(url)).await;
        let line = line.unwrap_or_else(|_| panic!("no connection to {host} within {PATIENCE:?}"));
        self.lines.insert(host.clone(), line.unwrap_or_else(|error| panic!("no connection to {host}: {error}")));
    }

    /// Opens `page` without being known to the gate, and signs in as whoever has `session` at ORCID. Panics unless
    /// that ends at the page, with what the app has to say.
    pub async fn sign_in(&mut self, page: &Url, session: &str) {
        let mut jar = Jar::default();
        jar.put(host(&self.way.orcid), SESSION_COOKIE, session);
        let mut url = page.clone();
        for _ in 0..MOST_STEPS {
            let answer = self.get(&url, &jar).await;
            jar.take(host(&url), &answer.headers);
            match answer.onward(&url) {
                Some(next) => url = next,
                None => {
                    let said = String::from_utf8_lossy(&answer.body);
                    let arrived = answer.status == StatusCode::OK && url == *page && said.contains("Seven.");
                    assert!(arrived, "the sign-in ended at {url} with {}\n{said}", answer.status);
                    return;
                }
            }
        }
        panic!("{MOST_STEPS} requests, and still at {url}");
    }

    async fn get(&mut self, url: &Url, jar: &Jar) -> Answer {
        let lost = self.lines.get(host(url)).is_none_or(Line::is_closed);
        if lost {
            self.connect(url).await;
        }
        let line = self.lines.get_mut(host(url)).expect("it was just opened");
        let exchange = async {
            line.ready().await?;
            let (parts, body) = line.send_request(request(url, jar)).await?.into_parts();
            Ok(Answer { status: parts.status, headers: parts.headers, body: body.collect().await?.to_bytes() })
        };
        let answer: Result<Result<Answer, hyper::Error>, _> = tokio::time::timeout(PATIENCE, exchange).await;
        let answer = answer.unwrap_or_else(|_| panic!("{url}: no answer within {PATIENCE:?}"));
        answer.unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    async fn open(&self, url: &Url) -> io::Result<Line> {
        let is_orcid = url.origin() == self.way.orcid.origin();
        let plain = || url.socket_addrs(|| None).ok()?.into_iter().next();
        let address = if is_orcid { plain().ok_or_else(|| io::Error::other("no address"))? } else { self.way.gate };
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let tcp = socket.connect(address).await?;
        tcp.set_nodelay(true)?;
        if is_orcid {
            return speak(tcp).await;
        }
        let name = ServerName::try_from(host(url).to_owned()).map_err(io::Error::other)?;
        speak(TlsConnector::from(self.way.config.clone()).connect(name, tcp).await?).await
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> io::Result<Line> {
    let (line, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Ends when the visitor drops the line.
    tokio::spawn(connection);
    Ok(line)
}

fn host(url: &Url) -> &str {
    url.host_str().expect("addresses of the journey have hosts")
}

/// What a browser sends when a page is opened.
fn request(url: &Url, jar: &Jar) -> Request<Empty<Bytes>> {
    let mut request = Request::get(&url[url::Position::BeforePath..url::Position::AfterQuery])
        .header(header::HOST, &url[url::Position::BeforeHost..url::Position::AfterPort]);
    for (name, value) in BROWSER {
        request = request.header(*name, *value);
    }
    if let Some(cookies) = jar.line(host(url)) {
        request = request.header(header::COOKIE, cookies);
    }
    request.body(Empty::new()).expect("it is put together from an address and texts")
}

impl Answer {
    /// Where a browser or a person goes next: a redirect's target, or behind the link of a page of ours.
    fn onward(&self, here: &Url) -> Option<Url> {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let target = match self.status {
            StatusCode::SEE_OTHER | StatusCode::FOUND => text(header::LOCATION)?.to_owned(),
            StatusCode::OK if here.path().starts_with("/.lychgate/") => {
                let page = html::read(&String::from_utf8_lossy(&self.body));
                let leads_on =
                    |text: &str| text.contains("Create or connect your ORCID iD") || text.starts_with("Continue");
                page.links.into_iter().find(|link| leads_on(&link.text))?.href
            }
            _ => return None,
        };
        here.join(&target).ok()
    }
}

impl Jar {
    fn put(&mut self, host: &str, name: &str, value: &str) {
        let cookies = self.0.entry(host.to_owned()).or_default();
        cookies.retain(|(known, _)| known != name);
        cookies.push((name.to_owned(), value.to_owned()));
    }

    /// Takes what an answer of `host` sets. Every cookie of this journey is of one host and the path `/`; one that
    /// is set to nothing has ended.
    fn take(&mut self, host: &str, headers: &HeaderMap) {
        for line in headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().expect("cookies here are printable");
            let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a cookie");
            self.put(host, name, value);
            if value.is_empty() {
                self.0.entry(host.to_owned()).or_default().retain(|(_, value)| !value.is_empty());
            }
        }
    }

    fn line(&self, host: &str) -> Option<String> {
        let cookies = self.0.get(host).filter(|cookies| !cookies.is_empty())?;
        Some(cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; "))
    }
}
