//! Growth: what a signed-in request costs by the number of sites, of open connections and of cores, and by the size of
//! its head; beside the bare engine and nginx, which know nothing of sessions and rules. What is flat for the engine
//! has to be flat for the gate.
//!
//! Fair as everywhere: at every point of an axis the contenders take turns, and one round visits all points, so that a
//! noisy minute meets all of them. Each number of sites, connections and cores has processes of its own, so that
//! memory is what this number takes, not what a greater one left behind.

use crate::contenders::{self, Contender, ENGINE, NGINX, SIGNED_IN};
use crate::head;
use crate::load::{Http, Workload};
use crate::measure::{Turn, median, ratio, turn_of};
use crate::plot::{self, Line, Look, Panel, Place, Scale};
use crate::process;
use crate::report::{Figure, Table};
use crate::stage::Stage;
use clap::ValueEnum;
use std::path::{Path, PathBuf};

const SITES: [usize; 4] = [1, 10, 100, 1_000];
const CONNECTIONS: [usize; 4] = [10, 100, 1_000, 10_000];
/// Of these so many ask all the time.
const BUSY: usize = 10;
/// The open files that a server needs besides: its own, and connections to the app.
const FILES: usize = 2_000;
const CORES: [usize; 2] = [1, 2];
/// Bytes of a request head.
const HEADS: [usize; 6] = [512, 1_024, 2_048, 4_096, 8_192, 16_384];

/// Under the title of the picture. Nobody shall take a trial for a result.
const REMARK: &str = if cfg!(debug_assertions) {
    "A trial with a build that is not optimised: these are no results. Pale bars are the range of the rounds."
} else {
    "The median of the rounds; pale bars are their range."
};

/// How long and how often, and what is drawn.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Rounds in which every contender has a turn at every point
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Seconds counted in a turn
    #[arg(long, default_value_t = 2)]
    pub seconds: u64,
    /// Over HTTP/2 instead of HTTP/1.1
    #[arg(long)]
    pub http2: bool,
    /// Only what grows in this way
    #[arg(long, value_enum)]
    pub by: Option<By>,
    /// Also draws the figures there, as SVG
    #[arg(long)]
    pub svg: Option<PathBuf>,
}

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    Sites,
    Connections,
    Cores,
    Heads,
}

impl Options {
    fn usual(&self) -> Workload {
        let [one, two] = Http::USUAL;
        Workload::browser(if self.http2 { two } else { one })
    }
}

/// One thing that grows.
struct Axis {
    by: By,
    title: &'static str,
    /// What the plot writes under it.
    label: &'static str,
    scale: Scale,
    points: Vec<Point>,
    notes: Vec<&'static str>,
    /// What one more of it takes in memory, if that is a question: its name.
    one_more: Option<&'static str>,
    /// The app and the simulator, which are needed to the end.
    _stage: Stage,
}

/// One size of it.
struct Point {
    at: f64,
    /// On the axis.
    tick: String,
    name: String,
    /// Each with how it is asked.
    contenders: Vec<(Contender, Workload)>,
}

impl Point {
    fn new(at: usize, of: &str, contenders: Vec<Contender>, workload: &Workload) -> Self {
        let tick = thousands(at);
        let name = format!("{tick} {of}{}", if at == 1 { "" } else { "s" });
        let contenders = contenders.into_iter().map(|contender| (contender, workload.clone())).collect();
        Self { at: at as f64, tick, name, contenders }
    }
}

/// The turns of every contender at every point.
type Turns = Vec<Vec<Vec<Turn>>>;

pub async fn run(options: &Options) -> Vec<Table> {
    if options.by.is_none_or(|only| only == By::Connections) {
        // Said at once, not after minutes.
        let (needed, files) = (CONNECTIONS[CONNECTIONS.len() - 1] + FILES, process::open_files());
        assert!(files >= needed, "so many connections need {needed} open files; `ulimit -n` says {files}");
    }
    let (mut tables, mut panels) = (Vec::new(), Vec::new());
    let mut take = |axis: Axis| {
        let turns = tokio::task::block_in_place(|| measure(&axis, options));
        tables.push(table(&axis, &turns, options));
        panels.push(panel(&axis, &turns));
    };
    // One after the other: what an axis has started is ended before the next begins.
    for by in By::value_variants().iter().filter(|by| options.by.is_none_or(|only| only == **by)) {
        take(match by {
            By::Sites => sites(options).await,
            By::Connections => connections(options).await,
            By::Cores => cores(options).await,
            By::Heads => heads(options).await,
        });
    }
    if let Some(file) = &options.svg {
        draw(&panels, options, file);
    }
    tables
}

async fn sites(options: &Options) -> Axis {
    let stage = Stage::set();
    let points = SITES.into_iter().zip(contenders::among(&stage, &SITES).await);
    let points = points.map(|(sites, contenders)| Point::new(sites, "site", contenders, &options.usual())).collect();
    Axis {
        by: By::Sites,
        title: "sites of twenty rules each",
        label: "sites, twenty rules each",
        scale: Scale::Logarithmic,
        points,
        notes: vec![
            "Asked is the site in the middle, where the last of its rules decides. The bare engine knows of no \
             sites: it is the same process at every point, and shows the noise.",
        ],
        one_more: Some("site"),
        _stage: stage,
    }
}

async fn connections(options: &Options) -> Axis {
    let stage = Stage::set();
    let mut points = Vec::new();
    for connections in CONNECTIONS {
        let contenders = contenders::few_of(&stage, &format!("connections-{connections}"), 2).await;
        let http =
            if options.http2 { Http::Two { connections: BUSY, streams: 1 } } else { Http::One { connections: BUSY } };
        let workload = Workload { idle: connections - BUSY, ..Workload::browser(http) };
        points.push(Point::new(connections, "connection", contenders, &workload));
    }
    Axis {
        by: By::Connections,
        title: "open connections",
        label: "open connections, ten of them busy",
        scale: Scale::Logarithmic,
        points,
        notes: vec![
            "Ten connections have one request under way all the time. The others have had an answer before anything is \
             counted, as those of visitors who read what they got, and are open when counting ends. (If ten thousand \
             asked at once, it would be ten thousand requests under way, each with a connection to the app: \
             another question, whose latency is their number ÷ requests a second, whatever stands between.)",
        ],
        one_more: Some("connection"),
        _stage: stage,
    }
}

async fn cores(options: &Options) -> Axis {
    let stage = Stage::set();
    let mut points = Vec::new();
    for cores in CORES {
        let contenders = contenders::few_of(&stage, &format!("cores-{cores}"), cores).await;
        points.push(Point::new(cores, "core", contenders, &options.usual()));
    }
    Axis {
        by: By::Cores,
        title: "cores (threads or workers)",
        label: "cores",
        scale: Scale::Linear,
        points,
        notes: vec![
            "To be read from this: whether a second thread makes a request dearer (CPU a request), as it would where \
             threads wait for each other. Requests a second grow by less than the cores, because load and app take \
             theirs of the same machine: \"cores busy\" says what the server got. Nothing is pinned: where the server \
             has as many threads as the machine has cores, one of them would have to share its core with the load \
             and the other would not.",
        ],
        one_more: None,
        _stage: stage,
    }
}

async fn heads(options: &Options) -> Axis {
    let stage = Stage::set();
    let contenders = contenders::few_of(&stage, "heads", 2).await;
    let http = options.usual().http;
    let asked = |contender: &Contender, bytes: usize| {
        let (contender, fields) = head::of(contender, bytes);
        (contender, Workload { http, fields, idle: 0 })
    };
    let point = |bytes: usize| {
        let kib = bytes as f64 / 1024.0;
        let contenders = contenders.iter().map(|contender| asked(contender, bytes)).collect();
        Point { at: kib, tick: format!("{kib}"), name: format!("{kib} KiB"), contenders }
    };
    Axis {
        by: By::Heads,
        title: "the size of the request head",
        label: "request head, KiB",
        scale: Scale::Logarithmic,
        points: HEADS.into_iter().map(point).collect(),
        notes: vec![
            "All bytes from the request line to the empty line: what a browser sends, up to 4 KiB of cookies of other \
             apps, and fields of 200 to 500 bytes. The app reads them as well, outside the count. Over HTTP/2 the \
             same fields are in the header table after the first request.",
        ],
        one_more: None,
        _stage: stage,
    }
}

fn measure(axis: &Axis, options: &Options) -> Turns {
    let mut all: Turns = axis.points.iter().map(|point| vec![Vec::new(); point.contenders.len()]).collect();
    for round in 1..=options.rounds {
        for (point, turns) in axis.points.iter().zip(&mut all) {
            for ((contender, workload), turns) in point.contenders.iter().zip(turns) {
                let (rounds, name) = (options.rounds, contender.name);
                crate::aside(format_args!("round {round} of {rounds}: {}, {name}", point.name));
                turns.push(turn_of(contender, workload, options.seconds, 200));
            }
        }
    }
    all
}

fn table(axis: &Axis, turns: &Turns, options: &Options) -> Table {
    let (rounds, seconds) = (options.rounds, options.seconds);
    let by = axis.by.to_possible_value().expect("none is hidden");
    let (by, flag) = (by.get_name(), if options.http2 { " --http2" } else { "" });
    let command = format!("bash tests/bench/run growth --by {by} --rounds {rounds} --seconds {seconds}{flag}");
    let columns = ["", "CPU a request", "÷ engine", "÷ the first", "requests/s", "p99", "cores busy", "memory"];
    let mut table = Table::new(&format!("By {}, over {}", axis.title, options.usual().http.name()), &command, &columns);
    for (point, here) in axis.points.iter().zip(turns) {
        let engine = point.contenders.iter().position(|(contender, _)| contender.name == ENGINE);
        let engine = &here[engine.expect("the bare engine is everywhere")];
        for (at, (contender, _)) in point.contenders.iter().enumerate() {
            let middle = median(&here[at]);
            let figures = vec![
                Figure::new(middle.cpu_us, 1, " µs"),
                Figure::ratio(ratio(&here[at], engine)),
                Figure::ratio(ratio(&here[at], &turns[0][at])),
                Figure::new(middle.per_second, 0, ""),
                Figure::new(middle.p99_ms, 2, " ms"),
                Figure::new(middle.cpu_us * middle.per_second / 1e6, 2, ""),
                Figure::new(middle.memory_mib, 0, " MiB"),
            ];
            table.row(format!("{}: {}", point.name, contender.name), figures);
        }
    }
    if let Some(what) = axis.one_more {
        table.note(one_more(axis, turns, what));
    }
    for note in &axis.notes {
        table.note(*note);
    }
    table
}

/// What one more takes in memory, from the first point to the last.
fn one_more(axis: &Axis, turns: &Turns, what: &str) -> String {
    let last = axis.points.len() - 1;
    let (from, to) = (&axis.points[0], &axis.points[last]);
    let each = from.contenders.iter().enumerate().map(|(at, (contender, _))| {
        let grown = median(&turns[last][at]).memory_mib - median(&turns[0][at]).memory_mib;
        format!("{} {:.1} KiB", contender.name, grown * 1024.0 / (to.at - from.at))
    });
    format!("Memory for one more {what}, from {} to {}: {}.", from.tick, to.tick, each.collect::<Vec<_>>().join("; "))
}

fn panel(axis: &Axis, turns: &Turns) -> Panel {
    let line = |at: usize, name: &str| {
        let place = |(point, here): (&Point, &Vec<Vec<Turn>>)| {
            let of = |pick: fn(f64, f64) -> f64| here[at].iter().map(|turn| turn.cpu_us).reduce(pick);
            let (least, most) = (of(f64::min).unwrap_or_default(), of(f64::max).unwrap_or_default());
            Place { x: point.at, y: median(&here[at]).cpu_us, least, most, name: point.name.clone() }
        };
        Line { name: name.to_owned(), look: look(name), places: axis.points.iter().zip(turns).map(place).collect() }
    };
    let names = axis.points[0].contenders.iter().map(|(contender, _)| contender.name);
    Panel {
        title: format!("By {}", axis.title),
        label: axis.label.to_owned(),
        scale: axis.scale,
        ticks: axis.points.iter().map(|point| (point.at, point.tick.clone())).collect(),
        lines: names.enumerate().map(|(at, name)| line(at, name)).collect(),
    }
}

fn look(name: &str) -> Look {
    match name {
        SIGNED_IN => Look::First,
        ENGINE => Look::Second,
        NGINX => Look::Third,
        _ => unreachable!("{name} is not drawn"),
    }
}

fn draw(panels: &[Panel], options: &Options, file: &Path) {
    let http = options.usual().http.name();
    let title = format!("Processor time of one request over {http}, as things grow");
    // For those who do not see the lines: where each begins and ends.
    let ends = panels.iter().flat_map(|panel| panel.lines.iter().map(move |line| (panel, line)));
    let ends = ends.filter_map(|(panel, line)| {
        let (first, last) = (line.places.first()?, line.places.last()?);
        let (title, name) = (&panel.title, &line.name);
        Some(format!("{title}, {name}: {:.0} µs with {}, {:.0} µs with {}.", first.y, first.name, last.y, last.name))
    });
    let description = ends.collect::<Vec<_>>().join(" ");
    let text = plot::svg(&title, REMARK, &description, panels);
    std::fs::write(file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// With a comma before every three digits.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let from_end = |at: usize| digits.len() - at;
    let comma = |at: usize| if at > 0 && from_end(at).is_multiple_of(3) { "," } else { "" };
    digits.char_indices().map(|(at, digit)| format!("{}{digit}", comma(at))).collect()
}
