//! What of the vault is in the gate's memory: after its start, and after every tenth of the sessions has made a real
//! request over TLS. The requests ask for the app behind a site for which one must be signed in, each with a cookie
//! of its own that the gate has to believe; an answer that is not the app's ends the run.

use super::client::Client;
use super::fill::{EACH, Researcher};
use super::{Extent, Place, SITES, grouped};
use crate::process::{self, Process};
use crate::report::{Figure, Table};
use crate::stage::Stage;
use std::net::SocketAddr;
use std::time::Instant;

/// `design.md` §7, in MiB.
const MOST: f64 = 500.0;
const MIB: f64 = 1024.0 * 1024.0;

/// The gate's memory at one moment, in MiB.
#[derive(Clone, Copy)]
struct Memory {
    now: f64,
    peak: f64,
}

impl Memory {
    fn of(gate: &Process) -> Self {
        Self { now: process::memory(gate.pid()) as f64 / MIB, peak: process::peak(gate.pid()) as f64 / MIB }
    }

    /// When it has done what it does in its own time.
    fn settled(gate: &Process) -> Self {
        process::settle(gate.pid());
        Self::of(gate)
    }
}

/// One row: a moment, what a session takes (in bytes), and how fast the requests before it were answered.
fn row(table: &mut Table, name: String, memory: Memory, each: Option<f64>, rate: Option<f64>) {
    let or_dash = |value: Option<f64>, unit| {
        let dash = Figure { value: f64::NAN, shown: "–".to_owned() };
        value.map_or(dash, |value| Figure::new(value, 0, unit))
    };
    let (now, peak) = (Figure::new(memory.now, 0, " MiB"), Figure::new(memory.peak, 0, " MiB"));
    table.row(name, vec![now, peak, or_dash(each, " B"), or_dash(rate, "")]);
}

pub fn table(stage: &Stage, full: &Place, empty: &Place, people: &[Researcher], extent: &Extent) -> Table {
    let columns = ["", "memory", "peak", "a session", "requests/s"];
    let mut table = Table::new("The gate's memory", &extent.command(), &columns);
    let bare = {
        let (gate, _) = empty.serve();
        Memory::settled(&gate)
    };
    row(&mut table, "an empty vault, after the start".to_owned(), bare, None, None);

    let (gate, address) = full.serve();
    let started = Memory::settled(&gate);
    let stored = (people.len() * EACH) as f64;
    row(
        &mut table,
        format!("{}, after the start", extent.stored()),
        started,
        Some((started.now - bare.now) * MIB / stored),
        None,
    );

    refuses_strangers(stage, address);
    let warm = grouped(people.len());
    let each = |memory: Memory| Some((memory.now - started.now) * MIB / people.len() as f64);
    let rate = everybody(stage, address, people);
    let busy = Memory::of(&gate);
    row(&mut table, format!("{warm} of them have asked once"), busy, each(busy), Some(rate));
    let settled = Memory::settled(&gate);
    row(&mut table, "and their use is written back".to_owned(), settled, each(settled), None);
    let rate = everybody(stage, address, people);
    let again = Memory::of(&gate);
    row(&mut table, "and they have asked once more".to_owned(), again, each(again), Some(rate));

    let most = [started, busy, settled, again].map(|memory| memory.now).into_iter().fold(0.0, f64::max);
    table.note(extent.verdict(&format!("MiB with {}, {warm} warm", extent.stored()), most, MOST));
    table.note("A session: of the stored ones, what the full vault takes more than an empty one; of the warm ones, more than after the start.");
    table
}

/// The instrument itself: without a session nobody sees the app.
fn refuses_strangers(stage: &Stage, address: SocketAddr) {
    for (name, ..) in SITES {
        let stranger = Client::connect(stage, address, &host(name)).ask(None);
        assert!(stranger.status == 303, "{name} answered a stranger with {}", stranger.status);
    }
}

fn host(site: &str) -> String {
    format!("{site}.bench.example")
}

/// Each researcher asks once, with the session of one browser at one site: one connection for each site, side by side.
/// Gives the requests a second.
fn everybody(stage: &Stage, address: SocketAddr, people: &[Researcher]) -> f64 {
    crate::aside(format_args!("{} sessions ask", grouped(people.len())));
    let begun = Instant::now();
    let asked: usize = std::thread::scope(|scope| {
        let clients = SITES.iter().enumerate().map(|(site, (name, ..))| {
            scope.spawn(move || {
                let mut client = Client::connect(stage, address, &host(name));
                let here = people.iter().filter(|researcher| researcher.site() == site);
                here.map(|researcher| one(&mut client, researcher)).count()
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().map(|client| client.join().expect("every answer is the app's")).sum()
    });
    assert_eq!(asked, people.len());
    asked as f64 / begun.elapsed().as_secs_f64()
}

fn one(client: &mut Client, researcher: &Researcher) {
    let answer = client.ask(Some(&researcher.cookie));
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        answer.status == 200 && text.contains("Seven."),
        "researcher {} is signed in, but the answer has status {}\n{text}",
        researcher.number,
        answer.status
    );
}
