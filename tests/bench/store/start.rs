//! From the start of `lychgate serve` to its ready line: with an empty vault; with the full one, on the first start after
//! it was filled (the store looks through everything that was written since it was last opened) and on the next; and
//! when the kernel has nothing of it in memory, as after a start of the machine. In every round each has its turn.

use super::{Extent, Place, disk};
use crate::measure::middle;
use crate::process;
use crate::report::{Figure, Table};
use crate::stage::Stage;
use std::time::Instant;

/// `design.md` §7, in seconds.
const MOST: f64 = 2.0;
const NAMES: [&str; 4] = [
    "an empty vault",
    "the full one, first start since it was filled",
    "the full one, next start",
    "the full one, nothing of it in the kernel's memory",
];

/// One start.
struct Turn {
    seconds: f64,
    cpu_ms: f64,
    read_mib: f64,
}

pub fn table(stage: &Stage, full: &Place, empty: &Place, extent: &Extent) -> Table {
    let mut all: Vec<[Turn; NAMES.len()]> = Vec::new();
    for round in 0..extent.rounds {
        crate::aside(format_args!("starts, round {} of {}", round + 1, extent.rounds));
        all.push(one_of_each(stage, full, empty));
    }
    let columns = ["", "until it is ready", "CPU", "read from the disk"];
    let mut table = Table::new(&format!("A start with {}", extent.stored()), &extent.command(), &columns);
    let of = |at: usize, pick: fn(&Turn) -> f64| middle(all.iter().map(|turns| pick(&turns[at])).collect());
    for (at, name) in NAMES.into_iter().enumerate() {
        table.row(
            name,
            vec![
                Figure::new(of(at, |turn| turn.seconds), 2, " s"),
                Figure::new(of(at, |turn| turn.cpu_ms), 0, " ms"),
                Figure::new(of(at, |turn| turn.read_mib), 0, " MiB"),
            ],
        );
    }
    let slowest = (1..NAMES.len()).map(|at| of(at, |turn| turn.seconds)).fold(0.0, f64::max);
    table.note(extent.verdict("seconds until it is ready, the slowest of the three", slowest, MOST));
    table
}

fn one_of_each(stage: &Stage, full: &Place, empty: &Place) -> [Turn; NAMES.len()] {
    // Of a copy, for there is only one first start of each.
    let copy = full.copy(stage, "gate-copy");
    let turns = [turn(empty, false), turn(&copy, false), turn(&copy, false), turn(&copy, true)];
    std::fs::remove_dir_all(&copy.folder).expect("the copy is ours");
    turns
}

fn turn(place: &Place, forgotten: bool) -> Turn {
    if forgotten {
        disk::forget(&place.vault());
    } else {
        disk::remember(&place.vault());
    }
    let begun = Instant::now();
    let (gate, _) = place.serve();
    let seconds = begun.elapsed().as_secs_f64();
    let pid = gate.pid();
    Turn {
        seconds,
        cpu_ms: process::cpu(pid).as_secs_f64() * 1e3,
        read_mib: process::read_from_disk(pid) as f64 / (1024.0 * 1024.0),
    }
}
