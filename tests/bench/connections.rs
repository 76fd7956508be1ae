//! New TLS connections: the handshake, one request, the end; with and without resumption.

use crate::campus::http::client_config;
use crate::contenders::{self, Contender, ENGINE, NGINX, SIGNED_IN};
use crate::measure::{Effort, middle, ratio_of, rounds, turns_of};
use crate::process;
use crate::report::{Figure, Table, verdict};
use crate::stage::Stage;
use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Clients at once.
const CLIENTS: usize = 4;
/// `design.md` §7.
const MOST: f64 = 1.0;

struct Turn {
    cpu_us: f64,
    per_second: f64,
}

pub async fn run(effort: &Effort) -> Vec<Table> {
    let stage = Stage::set();
    let contenders = contenders::few(&stage).await;
    tokio::task::block_in_place(|| [false, true].map(|resumes| table(&stage, &contenders, resumes, effort)).into())
}

fn table(stage: &Stage, contenders: &[Contender], resumes: bool, effort: &Effort) -> Table {
    let all = rounds(contenders, effort.rounds, |contender| turn(stage, contender, resumes, effort.seconds));
    let command = format!("bash tests/bench/run connections --rounds {} --seconds {}", effort.rounds, effort.seconds);
    let title = if resumes { "A new connection, resumed" } else { "A new connection, with a whole handshake" };
    let mut table = Table::new(title, &command, &["", "CPU a connection", "÷ nginx", "connections/s"]);
    let of = |name: &str| turns_of(contenders, &all, name);
    let ratio = |turns: &[Turn], than: &[Turn]| ratio_of(turns, than, |turn| turn.cpu_us);
    for (contender, turns) in contenders.iter().zip(&all) {
        table.row(
            contender.name,
            vec![
                Figure::new(middle(turns.iter().map(|turn| turn.cpu_us).collect()), 0, " µs"),
                Figure::ratio(ratio(turns, of(NGINX))),
                Figure::new(middle(turns.iter().map(|turn| turn.per_second).collect()), 0, ""),
            ],
        );
    }
    table.note(verdict("signed in ÷ nginx", ratio(of(SIGNED_IN), of(NGINX)), MOST));
    table.note(format!("Bare engine ÷ nginx: {:.2} ×.", ratio(of(ENGINE), of(NGINX))));
    table
}

fn turn(stage: &Stage, contender: &Contender, resumes: bool, seconds: u64) -> Turn {
    let config = {
        let mut config = ClientConfig::clone(&client_config(stage.authority.roots(), &["http/1.1"]));
        if !resumes {
            config.resumption = Resumption::disabled();
        }
        Arc::new(config)
    };
    // Once outside the count: the first of a kind cannot resume anything.
    one(contender, &config);
    let pid = contender.server.pid();
    let (begun, before) = (Instant::now(), process::cpu(pid));
    let end = begun + Duration::from_secs(seconds);
    let made: u32 = std::thread::scope(|scope| {
        let client = || {
            let mut made = 0;
            while Instant::now() < end {
                one(contender, &config);
                made += 1;
            }
            made
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().expect("a client does not panic")).sum()
    });
    let (took, after) = (begun.elapsed(), process::cpu(pid));
    Turn {
        cpu_us: (after - before).as_secs_f64() * 1e6 / f64::from(made),
        per_second: f64::from(made) / took.as_secs_f64(),
    }
}

/// One connection with one request.
fn one(contender: &Contender, config: &Arc<ClientConfig>) {
    let (host, path) = contender.url.trim_start_matches("https://").split_once('/').expect("a URL with a path");
    let name = ServerName::try_from(host.to_owned()).expect("a host of the benchmark");
    let session = ClientConnection::new(config.clone(), name).expect("a client of our own");
    let tcp = TcpStream::connect(contender.address).expect("the contender accepts");
    tcp.set_nodelay(true).expect("Linux");
    let mut stream = StreamOwned::new(session, tcp);
    let cookie = contender.cookie.as_ref().map_or(String::new(), |cookie| format!("Cookie: {cookie}\r\n"));
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n{cookie}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the contender reads");
    let mut answer = Vec::new();
    // Some end a connection without close_notify; what came is what counts.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}: {}", contender.name, String::from_utf8_lossy(&answer));
}
