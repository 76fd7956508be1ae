//! The control address: switches, lies, keys, people and clients of a running simulator, for tests in any
//! language. A listener of its own, on loopback, for whoever has the token of the ready line.
//!
//! No page may reach it: a request that names an origin, or a host that is not this machine, is refused
//! before its token is looked at (DNS rebinding, cross-site requests).

use super::clients::{self, SimulatedClient};
use super::handle::{self, Levers};
use super::lies;
use super::outage::Outage;
use super::people::{AccountState, NameVisibility, Person};
use super::switches::Switches;
use super::webhooks;
use crate::domain::{ClientSecret, OrcidId, Problem};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once.
const MOST: usize = 32;
/// Largest body in bytes.
const LARGEST: usize = 64 * 1024;
/// From accept to the end of the answer; making a key takes a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the address answers to; `GET /` says so.
const ADDRESSES: &[(&str, &str)] = &[
    ("GET /switches", "every switch with its value"),
    ("PATCH /switches", "sets switches: {\"profile\": \"legacy\", \"answer.token\": \"drip\"}; all or none"),
    ("DELETE /switches", "sets all of them back, lies too; an outage goes on, and a key that was replaced stays so"),
    ("GET /lies", "every lie, with what a relying party should make of it"),
    ("PUT /lies/NAME", "begins to tell a lie"),
    ("DELETE /lies/NAME", "stops telling it"),
    ("POST /keys", "signs with a fresh key: {\"overlap\": true} keeps publishing the old one"),
    ("POST /outage", "{\"outage\": \"refuse\"}, \"unavailable\", \"hang\" or null"),
    ("GET /people", "everybody, with passwords"),
    ("PATCH /people/ID", "changes a record: state, mfa, name_visibility, given, family, credit"),
    ("GET /people/ID/tokens", "live token pairs, by client"),
    ("POST /people/ID/withdraw", "takes back an organisation's access: {\"client\": \"APP-…\"}"),
    ("POST /clients", "registers a client: id, secret, name, redirect_uris, and what a clients file may say"),
    ("POST /webhooks", "tells every webhook that is due of its record's changes, and says how each took it"),
    ("GET /calls", "requests so far by endpoint, and the last ones"),
];

/// Who may ask.
pub(super) struct Guard {
    token: ClientSecret,
}

impl Guard {
    pub(super) fn new(token: &str) -> Self {
        Self { token: ClientSecret::new(token) }
    }

    fn objection(&self, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
            return Some((StatusCode::FORBIDDEN, "this address is for programs, not for pages in a browser"));
        }
        let hosts: Vec<_> = headers.get_all(header::HOST).iter().collect();
        if hosts.len() != 1 || !hosts[0].to_str().is_ok_and(is_this_machine) {
            return Some((StatusCode::MISDIRECTED_REQUEST, "ask 127.0.0.1, [::1] or localhost"));
        }
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or("");
        let sent = sent.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let ours = sent.is_some_and(|(_, token)| super::client_auth::same(self.token.expose(), token.trim()));
        (!ours)
            .then_some((StatusCode::UNAUTHORIZED, "send the control token of the ready line: Authorization: Bearer …"))
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(""),
        None => host.split(':').next().unwrap_or(""),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Serves until the task is dropped.
pub(super) async fn serve(listener: TcpListener, guard: Guard, levers: Levers) {
    let shared = std::sync::Arc::new((guard, levers));
    let room = std::sync::Arc::new(Semaphore::new(MOST));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely: without a pause this would spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let shared = shared.clone();
        tokio::spawn(async move {
            serve_one(stream, &shared.0, &shared.1).await;
            drop(place);
        });
    }
}

async fn serve_one(stream: TcpStream, guard: &Guard, levers: &Levers) {
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(request, guard, levers).await) });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(LARGEST)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Errors here are broken clients; there is nobody to tell.
    let _ = tokio::time::timeout(PATIENCE, serving).await;
}

type Answer = Response<Full<Bytes>>;

/// What stops a request: a status and what is said.
struct Objection(StatusCode, Value);

impl From<Problem> for Objection {
    fn from(problem: Problem) -> Self {
        Self(StatusCode::BAD_REQUEST, json!({ "error": problem }))
    }
}

fn objection(status: StatusCode, message: &str) -> Objection {
    Objection(status, json!({ "error": { "message": message } }))
}

async fn answer(request: Request<Incoming>, guard: &Guard, levers: &Levers) -> Answer {
    let outcome = match guard.objection(request.headers()) {
        Some((status, message)) => Err(objection(status, message)),
        None => act(request, levers).await,
    };
    let (status, value) = match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err(Objection(status, value)) => (status, value),
    };
    let mut answer = Response::new(Full::new(Bytes::from(format!("{value:#}\n"))));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn act(request: Request<Incoming>, levers: &Levers) -> Result<Value, Objection> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    let body =
        body.map_err(|_| objection(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broken"))?.to_bytes();
    let segments: Vec<&str> = parts.uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
    match (parts.method.as_str(), segments.as_slice()) {
        ("GET", []) => {
            Ok(Value::Object(ADDRESSES.iter().map(|(name, about)| ((*name).to_owned(), json!(about))).collect()))
        }
        ("GET", ["switches"]) => Ok(json!(levers.world.switches().table())),
        ("PATCH", ["switches"]) => {
            let changes: BTreeMap<String, Value> = read(&body)?;
            handle::switch(&levers.world, |switches| set_all(switches, &changes)).await?;
            Ok(json!(levers.world.switches().table()))
        }
        ("DELETE", ["switches"]) => {
            levers.world.change(|switches| *switches = Switches::default());
            Ok(json!(levers.world.switches().table()))
        }
        ("GET", ["lies"]) => Ok(json!(lies::all().collect::<Vec<_>>())),
        ("PUT" | "DELETE", ["lies", name]) => {
            let told = parts.method == Method::PUT;
            handle::switch(&levers.world, |switches| switches.lie(name, told)).await?;
            Ok(json!({ "told": levers.world.switches().lies().map(|lie| lie.name).collect::<Vec<_>>() }))
        }
        ("POST", ["keys"]) => rotate(levers, read(&body)?).await,
        ("POST", ["outage"]) => outage(levers, read(&body)?).await,
        ("GET", ["people"]) => Ok(json!(levers.world.people().iter().map(|person| &**person).collect::<Vec<_>>())),
        ("PATCH", ["people", id]) => change_person(levers, id, read(&body)?),
        ("GET", ["people", id, "tokens"]) => tokens(levers, id),
        ("POST", ["people", id, "withdraw"]) => withdraw(levers, id, &read(&body)?),
        ("POST", ["clients"]) => register(levers, &body),
        ("POST", ["webhooks"]) => Ok(json!({ "deliveries": webhooks::run(&levers.world).await })),
        ("GET", ["calls"]) => Ok(calls(levers)),
        (_, [first, ..]) if ADDRESSES.iter().any(|(name, _)| name.contains(&format!(" /{first}"))) => {
            Err(objection(StatusCode::METHOD_NOT_ALLOWED, "this address does not take that; GET / lists what does"))
        }
        _ => Err(objection(StatusCode::NOT_FOUND, "nothing is here; GET / lists what is")),
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Objection> {
    let body = if body.is_empty() { b"{}".as_slice() } else { body };
    serde_json::from_slice(body)
        .map_err(|error| objection(StatusCode::BAD_REQUEST, &format!("the body does not fit: {error}")))
}

fn set_all(switches: &mut Switches, changes: &BTreeMap<String, Value>) -> Result<(), Problem> {
    for (name, value) in changes {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
            other => other.to_string(),
        };
        switches.set(name, &text)?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    overlap: bool,
}

async fn rotate(levers: &Levers, rotation: Rotation) -> Result<Value, Objection> {
    levers.rotate_key(None, rotation.overlap).await.map_err(failed)?;
    Ok(json!({ "keys": super::discovery::kids(&levers.world) }))
}

fn failed(error: std::io::Error) -> Objection {
    objection(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageChange {
    outage: Option<Outage>,
}

async fn outage(levers: &Levers, change: OutageChange) -> Result<Value, Objection> {
    levers.set_outage(change.outage).await.map_err(failed)?;
    Ok(json!({ "outage": change.outage }))
}

/// What of a record may be changed; `null` takes a name away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PersonChange {
    state: Option<AccountState>,
    mfa: Option<bool>,
    name_visibility: Option<NameVisibility>,
    #[serde(default, deserialize_with = "given")]
    given: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    family: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    credit: Option<Option<String>>,
}

/// Tells `null` from absent.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

fn known(levers: &Levers, id: &str) -> Result<OrcidId, Objection> {
    let unknown = || objection(StatusCode::NOT_FOUND, "nobody has this iD here; GET /people lists everybody");
    let orcid = id.parse::<OrcidId>().map_err(|_| unknown())?;
    levers.world.person(orcid).map(|person| person.orcid).ok_or_else(unknown)
}

fn change_person(levers: &Levers, id: &str, change: PersonChange) -> Result<Value, Objection> {
    let orcid = known(levers, id)?;
    let PersonChange { state, mfa, name_visibility, given, family, credit } = change;
    let apply = move |person: &Person| {
        let mut person = person.clone();
        person.state = state.unwrap_or(person.state);
        person.mfa = mfa.unwrap_or(person.mfa);
        person.name_visibility = name_visibility.unwrap_or(person.name_visibility);
        person.given = given.clone().unwrap_or(person.given);
        person.family = family.clone().unwrap_or(person.family);
        person.credit = credit.clone().unwrap_or(person.credit);
        person
    };
    let person = levers.world.change_person(orcid, apply);
    Ok(json!(person.as_deref()))
}

fn tokens(levers: &Levers, id: &str) -> Result<Value, Objection> {
    let orcid = known(levers, id)?;
    let now = levers.world.now();
    let books = levers.world.books();
    let by_client: BTreeMap<String, Vec<String>> = books
        .ledger
        .trusted_by(orcid, now)
        .into_iter()
        .map(|trusted| {
            let live = books.ledger.live(orcid, &trusted.client, now).map(|pair| pair.scopes.to_string()).collect();
            (trusted.client, live)
        })
        .collect();
    Ok(json!(by_client))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    client: String,
}

fn withdraw(levers: &Levers, id: &str, withdrawal: &Withdrawal) -> Result<Value, Objection> {
    let orcid = known(levers, id)?;
    let now = levers.world.now();
    let ended = levers.world.books().ledger.revoke_by_user(orcid, &withdrawal.client, now);
    Ok(json!({ "ended": ended }))
}

fn register(levers: &Levers, body: &[u8]) -> Result<Value, Objection> {
    let client: SimulatedClient = clients::client_from_json(body)
        .map_err(|error| objection(StatusCode::BAD_REQUEST, &format!("the body does not fit: {error}")))?;
    let id = client.id.clone();
    levers.register(client)?;
    Ok(json!({ "registered": id }))
}

fn calls(levers: &Levers) -> Value {
    let lines: Vec<Value> = levers
        .world
        .calls
        .lines()
        .iter()
        .map(|call| {
            let status = call.status.map(|status| status.as_u16());
            json!({ "endpoint": call.endpoint, "method": call.method.as_str(), "status": status })
        })
        .collect();
    json!({ "counts": levers.world.calls.counts(), "last": lines })
}

/// Opens the control listener.
pub(super) fn listen(at: SocketAddr) -> std::io::Result<TcpListener> {
    super::server::listen(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_strangers_are_refused_before_the_token_is_looked_at() {
        let guard = Guard::new("t0ken");
        type Headers<'a> = &'a [(&'a str, &'a str)];
        let table: [(Headers<'_>, Option<u16>); 11] = [
            (&[("host", "127.0.0.1:9"), ("authorization", "Bearer t0ken")], None),
            (&[("host", "[::1]:9"), ("authorization", "bearer t0ken")], None),
            (&[("host", "localhost"), ("authorization", "Bearer t0ken")], None),
            (&[("host", "127.0.0.1"), ("authorization", "Bearer wrong")], Some(401)),
            (&[("host", "127.0.0.1")], Some(401)),
            (&[("host", "rebound.example"), ("authorization", "Bearer t0ken")], Some(421)),
            (&[("host", "localhost.evil.example"), ("authorization", "Bearer t0ken")], Some(421)),
            (&[("authorization", "Bearer t0ken")], Some(421)),
            (&[("host", "localhost"), ("host", "evil.example"), ("authorization", "Bearer t0ken")], Some(421)),
            (&[("host", "localhost"), ("origin", "null"), ("authorization", "Bearer t0ken")], Some(403)),
            (&[("host", "localhost"), ("sec-fetch-site", "none"), ("authorization", "Bearer t0ken")], Some(403)),
        ];
        for (headers, expected) in table {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            assert_eq!(guard.objection(&map).map(|(status, _)| status.as_u16()), expected, "{headers:?}");
        }
    }
}
