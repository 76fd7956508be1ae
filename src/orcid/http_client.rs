//! The one way out: a small HTTP client that follows nothing, waits and reads within limits, and
//! trusts the system's roots plus an operator's file. Used by every call to a provider.

use super::OrcidTrouble;
use super::settings::Timeouts;
use super::trouble::{Defect, Endpoint};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use http::uri::{Authority, Uri};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use url::{Host, Url};

/// The most any answer may weigh. ORCID's largest, its key set, is under one KiB.
pub(super) const MAX_BODY: usize = 1024 * 1024;

type Body = Full<Bytes>;

/// An answer that was read whole and within limits; its status is 2xx or 4xx, or 3xx where that was expected.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The client of one provider. Connections are pooled and short-lived.
pub(super) struct HttpClient {
    timeouts: Timeouts,
    extra_roots: Vec<CertificateDer<'static>>,
    plain: Client<HttpConnector, Body>,
    /// Built at the first https call: reading the system's roots takes a while.
    secure: OnceCell<Client<HttpsConnector<HttpConnector>, Body>>,
}

/// Plain http to this very machine: a loopback address, `localhost` or a name below it (RFC 6761 §6.3).
pub(super) fn is_loopback_http(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => is_localhost(name),
            None => false,
        }
}

fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

impl HttpClient {
    /// Reads `ca_file` (PEM) now, so that a wrong file is a start-up complaint.
    pub(super) fn new(timeouts: Timeouts, ca_file: Option<&Path>) -> Result<Self, OrcidTrouble> {
        let extra_roots = ca_file.map(read_roots).transpose()?.unwrap_or_default();
        let plain = builder().build(connector(timeouts.connect, true));
        Ok(Self { timeouts, extra_roots, plain, secure: OnceCell::new() })
    }

    /// Sends one request, once. Answers with a 2xx or 4xx come back whole; everything else is trouble:
    /// a redirect (it could lead a code or secret elsewhere, T44), 429 and 5xx, an answer over
    /// [`MAX_BODY`], or one that is not complete within the total time.
    pub(super) async fn send(&self, endpoint: Endpoint, request: Request<Vec<u8>>) -> Result<Answer, OrcidTrouble> {
        self.send_once(endpoint, request, Redirects::AreTrouble).await
    }

    /// The same for an endpoint that says something with a redirect: it comes back like any other answer, and
    /// where it points to is not asked.
    pub(super) async fn send_unfollowed(
        &self,
        endpoint: Endpoint,
        request: Request<Vec<u8>>,
    ) -> Result<Answer, OrcidTrouble> {
        self.send_once(endpoint, request, Redirects::AreAnswers).await
    }

    async fn send_once(
        &self,
        endpoint: Endpoint,
        request: Request<Vec<u8>>,
        redirects: Redirects,
    ) -> Result<Answer, OrcidTrouble> {
        let exchange = async {
            let response = self.start(endpoint, request).await?;
            read(endpoint, response, redirects).await
        };
        match tokio::time::timeout(self.timeouts.total, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(OrcidTrouble::TimedOut(endpoint)),
        }
    }

    /// A GET for JSON; tried once more if the connection broke, as asking twice changes nothing.
    pub(super) async fn get_json(&self, endpoint: Endpoint, url: &Url) -> Result<Answer, OrcidTrouble> {
        let request = || {
            Request::get(url.as_str())
                .header(ACCEPT, HeaderValue::from_static("application/json"))
                .body(Vec::new())
                .map_err(|_| OrcidTrouble::Unreachable(endpoint))
        };
        let answer = match self.send(endpoint, request()?).await {
            Err(OrcidTrouble::Unreachable(_)) => self.send(endpoint, request()?).await?,
            outcome => outcome?,
        };
        if answer.status != StatusCode::OK {
            return Err(OrcidTrouble::Refused { endpoint, status: answer.status.as_u16(), error: "other" });
        }
        answer.require_json(endpoint)?;
        Ok(answer)
    }

    async fn start(
        &self,
        endpoint: Endpoint,
        request: Request<Vec<u8>>,
    ) -> Result<Response<hyper::body::Incoming>, OrcidTrouble> {
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("lychgate"));
        // Basic credentials come from the library unmarked: keep them out of Debug and HPACK tables.
        if let Some(credentials) = request.headers_mut().get_mut(AUTHORIZATION) {
            credentials.set_sensitive(true);
        }
        let sent = match request.uri().scheme_str() {
            Some("https") => self.secure().await?.request(request),
            // Believing `http://` anywhere else would put codes and secrets on the wire.
            Some("http") => self.plain.request(to_loopback(request).ok_or(OrcidTrouble::Unreachable(endpoint))?),
            _ => return Err(OrcidTrouble::Unreachable(endpoint)),
        };
        sent.await.map_err(|error| match certificate_was_refused(&error) {
            true => OrcidTrouble::Certificate(endpoint),
            false => OrcidTrouble::Unreachable(endpoint),
        })
    }

    async fn secure(&self) -> Result<&Client<HttpsConnector<HttpConnector>, Body>, OrcidTrouble> {
        self.secure
            .get_or_try_init(|| async {
                let extra = self.extra_roots.clone();
                let config = tokio::task::spawn_blocking(move || tls_config(&extra))
                    .await
                    .map_err(|_| OrcidTrouble::Setup("the certificate store could not be read".to_owned()))??;
                let https = hyper_rustls::HttpsConnectorBuilder::new()
                    .with_tls_config(config)
                    .https_only()
                    .enable_http1()
                    .enable_http2()
                    .wrap_connector(connector(self.timeouts.connect, false));
                Ok(builder().build(https))
            })
            .await
    }
}

impl Answer {
    /// What the answer calls itself, without parameters.
    pub(super) fn media_type(&self) -> String {
        let declared = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        declared.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
    }

    /// Refuses an answer that does not call itself JSON: an HTML page of a captive portal or a front
    /// end must not be parsed as anything (T44).
    pub(super) fn require_json(&self, endpoint: Endpoint) -> Result<(), OrcidTrouble> {
        let media_type = self.media_type();
        let fine =
            media_type == "application/json" || endpoint == Endpoint::Keys && media_type == "application/jwk-set+json";
        if fine { Ok(()) } else { Err(OrcidTrouble::Unusable { endpoint, defect: Defect::ContentType }) }
    }
}

fn builder() -> hyper_util::client::legacy::Builder {
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(20))
        .pool_max_idle_per_host(16)
        .http1_max_buf_size(64 * 1024)
        // Only requests of which not one byte was written are taken to another connection: a code is
        // never sent twice (a second use revokes the first token, `orcid.md` §3.3).
        .retry_canceled_requests(true);
    builder
}

fn connector(connect: Duration, plain: bool) -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(connect));
    connector.set_nodelay(true);
    connector.enforce_http(plain);
    connector
}

/// Lets a plain request go to loopback only. Names under `localhost` become 127.0.0.1 here, so that no
/// resolver can send them elsewhere; the `Host` field keeps the name.
fn to_loopback(mut request: Request<Body>) -> Option<Request<Body>> {
    let url = Url::parse(&request.uri().to_string()).ok()?;
    if !is_loopback_http(&url) {
        return None;
    }
    if let Some(Host::Domain(_)) = url.host() {
        let authority = request.uri().authority()?.clone();
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        let address = match url.port() {
            Some(port) => format!("127.0.0.1:{port}"),
            None => "127.0.0.1".to_owned(),
        };
        parts.authority = Some(Authority::try_from(address).ok()?);
        *request.uri_mut() = Uri::from_parts(parts).ok()?;
        request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str()).ok()?);
    }
    Some(request)
}

/// What a 3xx means. It is followed in no case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirects {
    AreTrouble,
    AreAnswers,
}

async fn read(
    endpoint: Endpoint,
    response: Response<hyper::body::Incoming>,
    redirects: Redirects,
) -> Result<Answer, OrcidTrouble> {
    let (parts, body) = response.into_parts();
    let status = parts.status.as_u16();
    match status {
        200..=299 | 400..=428 | 430..=499 => {}
        429 | 500..=599 => return Err(OrcidTrouble::Unavailable { endpoint, status }),
        300..=399 if redirects == Redirects::AreAnswers => {}
        300..=399 => return Err(OrcidTrouble::Redirected { endpoint, status }),
        _ => return Err(OrcidTrouble::Unusable { endpoint, defect: Defect::Malformed }),
    }
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(whole) => Ok(Answer { status: parts.status, headers: parts.headers, body: whole.to_bytes().to_vec() }),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(OrcidTrouble::Unusable { endpoint, defect: Defect::TooLarge })
        }
        Err(_) => Err(OrcidTrouble::Unreachable(endpoint)),
    }
}

fn read_roots(file: &Path) -> Result<Vec<CertificateDer<'static>>, OrcidTrouble> {
    let wrong = |why: String| OrcidTrouble::Setup(format!("{}: {why}", file.display()));
    let roots = CertificateDer::pem_file_iter(file)
        .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
        .map_err(|error| wrong(format!("cannot be read as PEM certificates: {error}")))?;
    if roots.is_empty() { Err(wrong("holds no PEM certificate".to_owned())) } else { Ok(roots) }
}

fn tls_config(extra: &[CertificateDer<'static>]) -> Result<rustls::ClientConfig, OrcidTrouble> {
    let wrong = |why: &str| OrcidTrouble::Setup(why.to_owned());
    let mut roots = rustls::RootCertStore::empty();
    // A broken certificate in the system's store is left out, as every other program does.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in extra {
        roots.add(certificate.clone()).map_err(|_| wrong("a certificate of the ca_file is not usable"))?;
    }
    if roots.is_empty() {
        return Err(wrong("the system has no root certificates; install them or name a ca_file"));
    }
    Ok(rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| wrong("no TLS version is usable"))?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// Whether TLS itself, rather than the network, ended the attempt.
fn certificate_was_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<rustls::Error>() {
            return true;
        }
        // An `io::Error` shows its inner error's source, not the inner error itself.
        if let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
            return certificate_was_refused(inner);
        }
        cause = error.source();
    }
    false
}
