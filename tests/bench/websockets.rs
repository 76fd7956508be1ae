//! Messages of open WebSockets: our own client sends, the app sends back, and every echo is compared with what
//! was sent. Handshakes are over before the count begins. Each connection has a few messages under way, so that
//! no contender waits for the client alone.

use crate::campus::http::{PATIENCE, client_config, connect_tls};
use crate::contenders::{self, Contender, ENGINE, NGINX};
use crate::echo;
use crate::measure::{Effort, middle, ratio_of, rounds, turns_of};
use crate::process;
use crate::report::{Figure, Table};
use crate::stage::Stage;
use futures_util::{SinkExt, StreamExt};
use http::{HeaderValue, header};
use rustls::ClientConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

/// Connections at once.
const CONNECTIONS: usize = 32;
/// Messages under way on each.
const UNDER_WAY: u64 = 4;
/// After the last handshake, before counting.
const WARM_UP: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<TlsStream<TcpStream>>;

#[derive(Clone, Copy)]
struct Size {
    title: &'static str,
    bytes: usize,
}

const SIZES: [Size; 2] = [
    Size { title: "A WebSocket message of 64 bytes", bytes: 64 },
    Size { title: "A WebSocket message of 16 KiB", bytes: 16 * 1024 },
];

struct Turn {
    cpu_us: f64,
    per_second: f64,
}

pub async fn run(effort: &Effort) -> Vec<Table> {
    let stage = Stage::set();
    let contenders = contenders::few(&stage).await;
    let config = client_config(stage.authority.roots(), &["http/1.1"]);
    tokio::task::block_in_place(|| SIZES.map(|size| table(&contenders, &config, size, effort)).into())
}

fn table(contenders: &[Contender], config: &Arc<ClientConfig>, size: Size, effort: &Effort) -> Table {
    let handle = tokio::runtime::Handle::current();
    let all = rounds(contenders, effort.rounds, |contender| {
        handle.block_on(turn(contender, config, size.bytes, effort.seconds))
    });
    let command = format!("bash tests/bench/run websockets --rounds {} --seconds {}", effort.rounds, effort.seconds);
    let mut table = Table::new(size.title, &command, &["", "CPU a message", "÷ nginx", "÷ engine", "messages/s"]);
    let of = |name: &str| turns_of(contenders, &all, name);
    let ratio = |turns: &[Turn], than: &[Turn]| ratio_of(turns, than, |turn| turn.cpu_us);
    for (contender, turns) in contenders.iter().zip(&all) {
        table.row(
            contender.name,
            vec![
                Figure::new(middle(turns.iter().map(|turn| turn.cpu_us).collect()), 1, " µs"),
                Figure::ratio(ratio(turns, of(NGINX))),
                Figure::ratio(ratio(turns, of(ENGINE))),
                Figure::new(middle(turns.iter().map(|turn| turn.per_second).collect()), 0, ""),
            ],
        );
    }
    table.note(format!(
        "{CONNECTIONS} connections with {UNDER_WAY} messages under way on each. A message and its echo are two: the \
         server passes on both."
    ));
    table
}

/// What all connections of a turn share.
struct Talk {
    /// Echoes that came back as they were sent.
    echoes: AtomicU64,
    over: AtomicBool,
    bytes: usize,
}

async fn turn(contender: &Contender, config: &Arc<ClientConfig>, bytes: usize, seconds: u64) -> Turn {
    let talk = Arc::new(Talk { echoes: AtomicU64::new(0), over: AtomicBool::new(false), bytes });
    let mut talking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let socket = tokio::time::timeout(PATIENCE, open(contender, config.clone())).await;
        let socket = socket.unwrap_or_else(|_| panic!("{}: a WebSocket was not accepted in time", contender.name));
        talking.spawn(converse(contender.name, socket, talk.clone()));
    }
    tokio::time::sleep(WARM_UP).await;
    let pid = contender.server.pid();
    let (since, first, before) = (Instant::now(), talk.echoes.load(Ordering::SeqCst), process::cpu(pid));
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (took, last, after) = (since.elapsed(), talk.echoes.load(Ordering::SeqCst), process::cpu(pid));
    talk.over.store(true, Ordering::SeqCst);
    // A connection that met something unexpected ends the run here.
    tokio::time::timeout(PATIENCE, talking.join_all())
        .await
        .unwrap_or_else(|_| panic!("{}: echoes did not come back in time", contender.name));
    let messages = 2.0 * (last - first) as f64;
    assert!(messages > 0.0, "{}: no echo came back", contender.name);
    Turn { cpu_us: (after - before).as_secs_f64() * 1e6 / messages, per_second: messages / took.as_secs_f64() }
}

/// Opens a WebSocket as a page of the contender's own host would.
async fn open(contender: &Contender, config: Arc<ClientConfig>) -> Socket {
    let (origin, _) = contender.url.rsplit_once("/loans").expect("every contender is asked for its loans");
    let host = origin.trim_start_matches("https://");
    let mut request = format!("wss://{host}{}", echo::PATH).into_client_request().expect("an address");
    let value = |text: &str| HeaderValue::from_str(text).expect("printable");
    request.headers_mut().insert(header::ORIGIN, value(origin));
    if let Some(cookie) = &contender.cookie {
        request.headers_mut().insert(header::COOKIE, value(cookie));
    }
    let (stream, _) = connect_tls(contender.address, host, config).await.expect("the contender accepts");
    let opened = client_async(request, stream).await;
    let (socket, _) = opened.unwrap_or_else(|error| panic!("{}: no WebSocket: {error}", contender.name));
    socket
}

/// Sends and compares until the talk is over and everything under way has come back.
async fn converse(name: &'static str, mut socket: Socket, talk: Arc<Talk>) {
    let (mut sent, mut received) = (0, 0);
    while sent < UNDER_WAY {
        say(name, &mut socket, sent, talk.bytes).await;
        sent += 1;
    }
    while received < sent {
        match socket.next().await {
            Some(Ok(Message::Text(echo))) => {
                assert!(echo.as_str() == text(received, talk.bytes), "{name}: echo {received} is not what was sent")
            }
            other => panic!("{name}: expected echo {received}, got {other:?}"),
        }
        received += 1;
        talk.echoes.fetch_add(1, Ordering::SeqCst);
        if !talk.over.load(Ordering::SeqCst) {
            say(name, &mut socket, sent, talk.bytes).await;
            sent += 1;
        }
    }
    // The server may have gone first; every echo is in.
    let _ = socket.close(None).await;
}

async fn say(name: &str, socket: &mut Socket, number: u64, bytes: usize) {
    let said = socket.send(Message::text(text(number, bytes))).await;
    said.unwrap_or_else(|error| panic!("{name}: message {number} could not be sent: {error}"));
}

/// The message of this number: no two of a connection are alike.
fn text(number: u64, bytes: usize) -> String {
    format!("{number:-<bytes$}")
}
