//! How long reading takes: policies from their files to a set that decides, `lychgate check` on them, and the start of
//! `lychgate serve` to its ready line; and certificates, from the moment they are replaced on disk until a new
//! connection is shown the new one, with and without other requests under way.

use crate::campus::http::{Agreed, PATIENCE, client_config, connect_tls};
use crate::campus::temp::Leaf;
use crate::contenders::{Contender, GATE_FILE, Gate, Log, configure};
use crate::decisions;
use crate::load::{Http, answered};
use crate::measure::middle;
use crate::process::{Process, lychgate};
use crate::report::{Figure, Table};
use crate::stage::Stage;
use lychgate::policy;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

const SITES: [usize; 3] = [1, 100, 1_000];
/// From the start of the load to the first replacement.
const WARM_UP: Duration = Duration::from_secs(1);
/// Requests of the load before it opens new connections.
const TOGETHER: usize = 2_000;

pub async fn run(rounds: usize) -> Vec<Table> {
    let stage = Stage::set();
    let policies = tokio::task::block_in_place(|| policies(&stage, rounds));
    vec![policies, certificates(&stage, rounds).await]
}

/// What one turn of reading policies showed, in milliseconds.
struct Reading {
    compiled: f64,
    checked: f64,
    ready: f64,
}

fn policies(stage: &Stage, rounds: usize) -> Table {
    let folders = SITES.map(|sites| (sites, write_policies(stage, sites)));
    let mut all: [Vec<Reading>; SITES.len()] = Default::default();
    for round in 0..rounds {
        for (at, (sites, folder)) in folders.iter().enumerate() {
            crate::aside(format_args!("round {} of {rounds}: policies, {sites}", round + 1));
            all[at].push(Reading { compiled: compile(folder, *sites), checked: check(folder), ready: start(folder) });
        }
    }
    let command = format!("bash tests/bench/run reloads --rounds {rounds}");
    let columns = ["", "files to a set", "`lychgate check`", "`lychgate serve` to its ready line"];
    let mut table = Table::new("Reading the policies of so many sites with twenty rules each", &command, &columns);
    for (sites, turns) in SITES.iter().zip(&all) {
        let of_all = |pick: fn(&Reading) -> f64| middle(turns.iter().map(pick).collect());
        let figure = |value: f64| Figure::new(value, 1, " ms");
        let name = if *sites == 1 { "1 site".to_owned() } else { format!("{sites} sites") };
        table.row(
            name,
            vec![
                figure(of_all(|turn| turn.compiled)),
                figure(of_all(|turn| turn.checked)),
                figure(of_all(|turn| turn.ready)),
            ],
        );
    }
    table.note(
        "A running gate reads policies again beside its requests. The first column, in the harness's own process, is \
         what that costs besides their cases, which `check`, `serve` and a reload run as well.",
    );
    table
}

/// A folder from which a gate with so many sites can be served.
fn write_policies(stage: &Stage, sites: usize) -> PathBuf {
    let folder = stage.subfolder(&format!("policies-{sites}"));
    configure(stage, &folder, 2, Log::Warnings);
    for site in 0..sites {
        crate::campus::temp::write(
            &folder,
            &format!("policies/{site:04}.toml"),
            decisions::text(site, "http://127.0.0.1:1"),
        );
    }
    // Once outside the count: it makes the vault.
    start(&folder);
    folder
}

fn compile(folder: &Path, sites: usize) -> f64 {
    let (directory, context) = (folder.join("policies"), decisions::context());
    let begun = Instant::now();
    let (set, problems) = policy::load(&directory, &context);
    let took = milliseconds(begun.elapsed());
    let set = set.unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!(set.sites().len(), sites, "every file is a site");
    took
}

fn check(folder: &Path) -> f64 {
    let mut command = lychgate(folder, &["check", "--config", GATE_FILE]);
    command.stdin(Stdio::null());
    let begun = Instant::now();
    let output = command.output().expect("the gate's own binary can be started");
    let took = milliseconds(begun.elapsed());
    assert!(output.status.success(), "check says no: {}", String::from_utf8_lossy(&output.stderr));
    took
}

fn start(folder: &Path) -> f64 {
    let command = lychgate(folder, &["serve", "--config", GATE_FILE, "--ready-json"]);
    let begun = Instant::now();
    let (_running, _) = Process::announced(command, folder);
    milliseconds(begun.elapsed())
}

/// How the gate hears of a replaced certificate.
#[derive(Clone, Copy)]
enum Word {
    /// It watches the folder.
    Watch,
    /// Somebody sends SIGHUP.
    Hangup,
}

/// One row of the second table, filled in round by round.
struct Row {
    title: &'static str,
    word: Word,
    loaded: bool,
    took: Vec<f64>,
    connections: usize,
}

async fn certificates(stage: &Stage, rounds: usize) -> Table {
    let gate = Gate::open(stage, 2, Log::Warnings).await;
    let [_, gate, _] = gate.contenders();
    let row = |title, word, loaded| Row { title, word, loaded, took: Vec::new(), connections: 0 };
    let mut rows = [
        row("the folder is watched", Word::Watch, false),
        row("SIGHUP", Word::Hangup, false),
        row("the folder is watched, under load", Word::Watch, true),
        row("SIGHUP, under load", Word::Hangup, true),
    ];
    let mut requests = 0;
    for round in 0..rounds {
        for loaded in [false, true] {
            let state = if loaded { "under load" } else { "idle" };
            crate::aside(format_args!("round {} of {rounds}: certificates, {state}", round + 1));
            let load = if loaded { Some(Underway::start(&gate).await) } else { None };
            for row in rows.iter_mut().filter(|row| row.loaded == loaded) {
                row.replace(stage, &gate).await;
            }
            if let Some(load) = load {
                requests += load.end().await;
            }
        }
    }
    certificate_table(&rows, requests, rounds)
}

fn certificate_table(rows: &[Row], requests: usize, rounds: usize) -> Table {
    let command = format!("bash tests/bench/run reloads --rounds {rounds}");
    let columns = ["", "until a new connection is shown it", "at most", "new connections meanwhile"];
    let mut table = Table::new("A certificate replaced on disk", &command, &columns);
    for row in rows {
        let most = row.took.iter().copied().fold(f64::NAN, f64::max);
        table.row(
            row.title,
            vec![
                Figure::new(middle(row.took.clone()), 1, " ms"),
                Figure::new(most, 1, " ms"),
                Figure::new(row.connections as f64, 0, ""),
            ],
        );
    }
    table.note(format!(
        "A watched folder is given 300 ms to come to rest; SIGHUP does not wait, and the time holds sending it. Every one \
         of these new connections and of the {requests} requests under load (h2load, over HTTP/1.1 and HTTP/2 by turns) \
         was answered with 200: one that is not ends the run."
    ));
    table
}

impl Row {
    /// Replaces the certificate as renewing tools do, by renaming, and connects until it is shown.
    async fn replace(&mut self, stage: &Stage, gate: &Contender) {
        let leaf = stage.authority.issue(&["*.bench.example"]);
        let (certificate, key) = leaf.write(&stage.subfolder("next"), "leaf");
        let replaced = Instant::now();
        for (file, name) in [(certificate, "leaf.pem"), (key, "leaf.key")] {
            std::fs::rename(file, stage.path().join(name)).expect("both are in the folder of the run");
        }
        if matches!(self.word, Word::Hangup) {
            let pid = gate.server.pid().to_string();
            let sent = Command::new("kill").args(["-HUP", &pid]).status().expect("kill is everywhere");
            assert!(sent.success(), "the gate is gone");
        }
        let config = fresh_config(stage);
        let (wanted, end) = (leaf_of(&leaf), replaced + PATIENCE);
        loop {
            let begun = Instant::now();
            let agreed = tokio::time::timeout(PATIENCE, ask(gate, config.clone())).await;
            let agreed = agreed.unwrap_or_else(|_| panic!("a new connection was not answered within {PATIENCE:?}"));
            self.connections += 1;
            if agreed.certificates.first() == Some(&wanted) {
                self.took.push(milliseconds(begun - replaced));
                return;
            }
            assert!(begun < end, "the new certificate is not shown {PATIENCE:?} after it was put in place");
        }
    }
}

fn leaf_of(leaf: &Leaf) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).expect("it was just made")
}

/// Sessions are not resumed: then no certificate would be shown.
fn fresh_config(stage: &Stage) -> Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&client_config(stage.authority.roots(), &["http/1.1"]));
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// A new connection with one request, which must be answered with 200.
async fn ask(gate: &Contender, config: Arc<ClientConfig>) -> Agreed {
    let (host, path) = gate.url.trim_start_matches("https://").split_once('/').expect("a URL with a path");
    let cookie = gate.cookie.as_deref().expect("somebody is signed in");
    let (mut stream, agreed) = connect_tls(gate.address, host, config).await.expect("the gate accepts");
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("the gate reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("the gate answers and ends the connection");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    agreed
}

/// Requests of others while certificates are replaced: h2load, over HTTP/1.1 and HTTP/2 by turns.
struct Underway {
    over: Arc<AtomicBool>,
    asking: Option<JoinHandle<usize>>,
}

impl Underway {
    async fn start(gate: &Contender) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (gate, told) = (gate.clone(), over.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let mut asked = 0;
            for http in Http::USUAL.into_iter().cycle() {
                if told.load(Ordering::SeqCst) {
                    break;
                }
                answered(&gate, http, TOGETHER);
                asked += TOGETHER;
            }
            asked
        });
        tokio::time::sleep(WARM_UP).await;
        Self { over, asking: Some(asking) }
    }

    /// How many there were; a request that was not answered ends the run here.
    async fn end(mut self) -> usize {
        self.over.store(true, Ordering::SeqCst);
        let asking = self.asking.take().expect("it ends once");
        asking.await.expect("every request is answered")
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
