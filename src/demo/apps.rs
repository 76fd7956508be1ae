//! Two sample legacy apps on loopback. Neither knows ORCID: the wiki reads `Remote-User`, as an old
//! program behind a campus web server does; the repository verifies the signed assertion.

use super::deposit;
use super::verify::{Claims, Verifier};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Entries the sample apps remember; they are samples.
const REMEMBERED: usize = 50;
const FORM_LIMIT: usize = 64 * 1024;

/// Binds a loopback port for an app.
pub(super) fn bind() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves `answer` on `listener` until `stop` turns true.
async fn serve<F, A>(listener: TcpListener, mut stop: watch::Receiver<bool>, answer: F) -> std::io::Result<()>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        let Ok((tcp, _)) = accepted else { continue };
        let answer = answer.clone();
        let mut stop = stop.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = answer(request);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(120))
                .serve_connection(TokioIo::new(tcp), service);
            tokio::select! {
                _ = connection => {}
                _ = stop.changed() => {}
            }
        });
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn page(status: StatusCode, title: &str, body: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <link rel=\"icon\" href=\"data:,\"><title>{title}</title><style>:root{{color-scheme:light dark}}body{{font:16px/1.6 Georgia,serif;max-width:44rem;margin:2rem auto;padding:0 1rem}}\
         nav a{{margin-inline-end:1rem}}table{{border-collapse:collapse}}td,th{{border:1px solid;padding:.2rem .6rem;text-align:start;overflow-wrap:anywhere}}\
         textarea,input{{font:inherit;inline-size:100%;box-sizing:border-box}}button{{font:inherit}}form{{margin-block:1rem}}footer{{margin-top:3rem;opacity:.75}}</style></head>\
         <body>{body}</body></html>"
    );
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
    response
}

fn see_other(location: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, header::HeaderValue::from_static(location));
    response
}

async fn form_field(request: Request<Incoming>, field: &str) -> Option<String> {
    let body = Limited::new(request.into_body(), FORM_LIMIT).collect().await.ok()?.to_bytes();
    url::form_urlencoded::parse(&body).find(|(name, _)| name == field).map(|(_, value)| value.into_owned())
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Names outside ASCII arrive percent-encoded (docs/HEADERS.md).
fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

type Entries = Arc<Mutex<VecDeque<(String, String)>>>;

fn remember(entries: &Entries, who: String, what: String) {
    let mut entries = entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    entries.push_front((who, what.chars().take(500).collect()));
    entries.truncate(REMEMBERED);
}

fn list(entries: &Entries) -> String {
    let entries = entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    entries.iter().fold(String::new(), |mut out, (who, what)| {
        let _ = write!(out, "<li><bdi>{}</bdi>: <bdi>{}</bdi></li>", escape(who), escape(what));
        out
    })
}

/// The wiki: a guest book that believes `Remote-User`, as it would behind any campus web server.
pub(super) async fn wiki(listener: TcpListener, stop: watch::Receiver<bool>) -> std::io::Result<()> {
    let entries = Entries::default();
    serve(listener, stop, move |request| wiki_answer(request, entries.clone())).await
}

async fn wiki_answer(request: Request<Incoming>, entries: Entries) -> Response<Full<Bytes>> {
    let user = text_of(request.headers(), "remote-user");
    let name = text_of(request.headers(), "x-orcid-name").map(|name| decoded(&name));
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    match (request.method(), path.as_str(), user) {
        (&Method::POST, "/guestbook", Some(user)) => {
            let who = name.unwrap_or_else(|| user.clone());
            if let Some(entry) = form_field(request, "entry").await {
                remember(&entries, format!("{who} ({user})"), entry);
            }
            see_other("/guestbook")
        }
        (_, "/", user) => page(
            StatusCode::OK,
            "Campus wiki",
            &format!(
                "<h1>Campus wiki</h1><p>A program from 2004. It knows nothing of ORCID; it greets whoever the header \
                 <code>Remote-User</code> names.</p><p>{}</p><nav><a href=\"/guestbook\">Guest book</a>\
                 <a href=\"/pages/start?from=front\">A page for signed-in readers</a>{}</nav>",
                match &user {
                    Some(user) => format!("Hello, <b>{}</b>.", escape(user)),
                    None => "You are reading as a guest.".to_owned(),
                },
                if user.is_some() { "<a href=\"/.lychgate/sign-out\">Sign out</a>" } else { "" }
            ),
        ),
        (_, _, Some(user)) => {
            let greeting = match &name {
                Some(name) => format!("<bdi>{}</bdi> ({})", escape(name), escape(&user)),
                None => escape(&user),
            };
            page(
                StatusCode::OK,
                "Campus wiki",
                &format!(
                    "<h1>Hello, {greeting}</h1><p>This is <code>{}</code>{}.</p><form method=\"post\" action=\"/guestbook\">\
                     <label>Write into the guest book<textarea name=\"entry\" rows=\"3\"></textarea></label><p><button>Sign it</button></p></form>\
                     <ul>{}</ul><nav><a href=\"/\">Front page</a><a href=\"/.lychgate/sign-out\">Sign out</a></nav>",
                    escape(&path),
                    if query.is_empty() { String::new() } else { format!(" with <code>{}</code>", escape(&query)) },
                    list(&entries)
                ),
            )
        }
        // The gate lets nobody come here without a user; an app may still check.
        (_, _, None) => page(
            StatusCode::FORBIDDEN,
            "Campus wiki",
            "<h1>Who are you?</h1><p>No <code>Remote-User</code> arrived.</p>",
        ),
    }
}

/// The repository: takes nobody's word but the signed assertion's.
pub(super) async fn repository(
    listener: TcpListener,
    verifier: Arc<Verifier>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let entries = Entries::default();
    serve(listener, stop, move |request| repository_answer(request, entries.clone(), verifier.clone())).await
}

async fn repository_answer(
    request: Request<Incoming>,
    entries: Entries,
    verifier: Arc<Verifier>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    if path == "/" {
        return page(
            StatusCode::OK,
            "Research repository",
            "<h1>Research repository</h1><p>It believes only the signed assertion in <code>X-Lychgate-Assertion</code>.</p>\
             <nav><a href=\"/browse\">Browse (iD only)</a><a href=\"/deposit\">Deposit (asks for more)</a><a href=\"/.lychgate/sign-out\">Sign out</a></nav>",
        );
    }
    let assertion = text_of(request.headers(), "x-lychgate-assertion").unwrap_or_default();
    let claims = match verifier.verify(&assertion).await {
        Ok(claims) => claims,
        Err(why) => {
            let body = format!("<h1>Not accepted</h1><p>The assertion was not accepted: {}.</p>", escape(&why));
            return page(StatusCode::FORBIDDEN, "Research repository", &body);
        }
    };
    let who = claims.name.clone().map_or_else(|| claims.sub.clone(), |name| format!("{name} ({})", claims.sub));
    if request.method() == Method::POST && path == "/deposit" {
        let content_type = text_of(request.headers(), "content-type").unwrap_or_default();
        if let Ok(body) = Limited::new(request.into_body(), deposit::LIMIT).collect().await
            && let Some(entry) = deposit::entry(&content_type, &body.to_bytes())
        {
            remember(&entries, who, entry);
        }
        return see_other("/deposit");
    }
    repository_page(&path, &who, &claims, &entries)
}

fn repository_page(path: &str, who: &str, claims: &Claims, entries: &Entries) -> Response<Full<Bytes>> {
    let form = if path == "/deposit" {
        "<form method=\"post\" action=\"/deposit\" enctype=\"multipart/form-data\"><label>Title of the work<input name=\"title\" required></label>\
         <label>File, if you like<input name=\"file\" type=\"file\"></label><p><button>Deposit</button></p></form>"
    } else {
        "<p><a href=\"/deposit\">Deposit a work</a></p>"
    };
    let body = format!(
        "<h1>Welcome, <bdi>{}</bdi></h1><table><tr><th>issuer</th><td>{}</td></tr><tr><th>audience</th><td>{}</td></tr>\
         <tr><th>granted</th><td>{}</td></tr></table>{form}<ul>{}</ul><nav><a href=\"/\">Front page</a><a href=\"/.lychgate/sign-out\">Sign out</a></nav>",
        escape(who),
        escape(&claims.iss),
        escape(&claims.aud),
        escape(&claims.scopes.join(" ")),
        list(entries)
    );
    page(StatusCode::OK, "Research repository", &body)
}
