//! The benchmark: what the gate costs beside others of its kind, on this machine, in one run. See README.md.

#![allow(unreachable_pub, reason = "a program of its own")]
#![allow(clippy::unwrap_used, reason = "a benchmark that meets a surprise ends with it")]

#[path = "../it/campus/mod.rs"]
#[allow(dead_code, unreachable_pub, unused_imports, clippy::duplicate_mod, reason = "the toolbox of the journeys")]
mod campus;

mod bodies;
mod connections;
mod contenders;
mod counts;
mod crowd;
mod decisions;
mod disk;
mod echo;
mod engine;
mod growth;
mod head;
mod load;
mod machine;
mod measure;
mod open;
mod plot;
mod process;
mod redirects;
mod reloads;
mod report;
mod requests;
mod sign_ins;
mod stage;
mod store;
mod upstream;
mod visitor;
mod websockets;

use clap::{Parser, Subcommand};
use measure::Effort;
use report::Table;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The gate's own allocator, for the bare engine's sake.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "bench", about = "Measures the gate beside others of its kind (tests/bench/README.md)")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// Also writes the figures there, as JSON
    #[arg(long, global = true)]
    json: Option<PathBuf>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    #[command(flatten)]
    Part(Part),
    #[command(flatten)]
    Role(Role),
}

#[derive(Subcommand)]
enum Part {
    /// CPU, rate, latency and memory of a request, for eight contenders
    Requests(Effort),
    /// What it costs to send somebody to the sign-in, beside a signed-in request
    Redirects(Effort),
    /// CPU and rate of new TLS connections, with and without resumption
    Connections(Effort),
    /// 100 MiB down and up
    Bodies(Effort),
    /// CPU and rate of messages through open WebSockets
    Websockets(Effort),
    /// Completed sign-ins, each durable: the gate's CPU, and how many a second
    SignIns(sign_ins::Size),
    /// How long policies take to be read, and new certificates to be shown
    Reloads {
        /// Rounds in which everything is read once more
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// A vault with a million sessions: filling, starts, memory, look-ups, a new sealing key, writes
    Store(store::Extent),
    /// CPU, rate, latency and memory by the number of sites, connections and cores, and by the size of the head
    Growth(growth::Options),
    /// All of these, in an hour
    All {
        /// Also draws how things grow there, as SVG
        #[arg(long)]
        svg: Option<PathBuf>,
    },
    /// The time of one decision, by the number of sites
    Decisions {
        /// Rounds in which every number of sites has a turn
        #[arg(long, default_value_t = 11)]
        rounds: usize,
    },
    /// Instructions of the steps every request takes, by callgrind
    Counts(counts::Wish),
}

/// What is no measurement: for whoever brings a profiler, and the servers and programs of measurements.
#[derive(Subcommand)]
enum Role {
    /// Open nginx, the bare engine and the gate, say how to ask them, and wait for the end of stdin
    Open,
    #[command(hide = true)]
    Counted { step: counts::Step, times: u64, folder: PathBuf },
    #[command(hide = true)]
    Upstream,
    #[command(hide = true)]
    Engine { app: SocketAddr, folder: PathBuf, cores: usize },
}

fn main() -> ExitCode {
    campus::temp::install_provider();
    let arguments = Arguments::parse();
    let json = arguments.json.as_deref();
    match &arguments.what {
        What::Part(part) => return measure(part, json),
        What::Role(Role::Open) => wait_for(open::run()),
        What::Role(Role::Counted { step, times, folder }) => counts::take(*step, *times, folder),
        What::Role(Role::Upstream) => upstream::run(),
        What::Role(Role::Engine { app, folder, cores }) => engine::run(*app, folder, *cores),
    }
    ExitCode::SUCCESS
}

fn measure(part: &Part, json: Option<&Path>) -> ExitCode {
    let mut outcome = ExitCode::SUCCESS;
    let tables = match part {
        Part::Counts(wish) => {
            let tables;
            (tables, outcome) = counts::run(*wish);
            tables
        }
        Part::Requests(effort) => wait_for(requests::run(effort)),
        Part::Redirects(effort) => wait_for(redirects::run(effort)),
        Part::Connections(effort) => wait_for(connections::run(effort)),
        Part::Bodies(effort) => wait_for(bodies::run(effort)),
        Part::Websockets(effort) => wait_for(websockets::run(effort)),
        Part::SignIns(size) => wait_for(sign_ins::run(size)),
        Part::Reloads { rounds } => wait_for(reloads::run(*rounds)),
        Part::Store(extent) => store::run(extent),
        Part::Growth(options) => wait_for(growth::run(options)),
        Part::All { svg } => all(svg.clone()),
        Part::Decisions { rounds } => decisions::run(*rounds),
    };
    write(&tables, json);
    outcome
}

fn all(svg: Option<PathBuf>) -> Vec<Table> {
    let effort = Effort { rounds: 5, seconds: 3 };
    // Budgets of a tenth are held against these, and the machine's speed changes by more between two turns.
    let mut tables = wait_for(requests::run(&Effort { rounds: 15, seconds: 2 }));
    tables.extend(wait_for(redirects::run(&effort)));
    tables.extend(wait_for(connections::run(&effort)));
    tables.extend(wait_for(bodies::run(&effort)));
    tables.extend(wait_for(websockets::run(&effort)));
    tables.extend(wait_for(sign_ins::run(&sign_ins::Size::USUAL)));
    tables.extend(wait_for(reloads::run(5)));
    tables.extend(decisions::run(11));
    tables.extend(store::run(&store::Extent::default()));
    tables.extend(wait_for(growth::run(&growth::Options { rounds: 3, seconds: 2, http2: false, by: None, svg })));
    tables
}

fn wait_for<T>(what: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be made").block_on(what)
}

fn write(tables: &[Table], json: Option<&Path>) {
    let machine = machine::Machine::look();
    if let Some(file) = json {
        let text = serde_json::json!({ "machine": machine, "tables": tables });
        std::fs::write(file, format!("{text:#}\n")).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    say(format_args!("{}", machine.markdown()));
    for table in tables {
        say(format_args!("{}", table.markdown()));
    }
}

/// A line for programs and files.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A line for whoever waits.
fn aside(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
