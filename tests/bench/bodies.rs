//! A hundred megabytes down and up, by curl: how fast, at what cost, and how much memory the server has then.

use crate::contenders::{self, Contender, ENGINE, SIGNED_IN};
use crate::measure::{Effort, middle, ratio_of, rounds, turns_of};
use crate::process;
use crate::report::{Figure, Table};
use crate::stage::Stage;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const LENGTH: u64 = 100 * 1024 * 1024;
/// `design.md` §7: how fast, beside the bare engine.
const LEAST: f64 = 0.9;

#[derive(Clone, Copy)]
struct Way {
    title: &'static str,
    http: &'static str,
    up: bool,
}

const WAYS: [Way; 4] = [
    Way { title: "100 MiB down over HTTP/1.1", http: "--http1.1", up: false },
    Way { title: "100 MiB up over HTTP/1.1", http: "--http1.1", up: true },
    Way { title: "100 MiB down over HTTP/2", http: "--http2", up: false },
    Way { title: "100 MiB up over HTTP/2", http: "--http2", up: true },
];

struct Turn {
    mib_per_second: f64,
    cpu_ms: f64,
    memory_mib: f64,
}

pub async fn run(effort: &Effort) -> Vec<Table> {
    let stage = Stage::set();
    let contenders = contenders::few(&stage).await;
    let file = stage.path().join("body");
    std::fs::File::create(&file).and_then(|file| file.set_len(LENGTH)).expect("there is room for 100 MiB");
    tokio::task::block_in_place(|| WAYS.map(|way| table(&contenders, way, &file, effort)).into())
}

fn table(contenders: &[Contender], way: Way, file: &Path, effort: &Effort) -> Table {
    let all = rounds(contenders, effort.rounds, |contender| turn(contender, way, file));
    let command = format!("bash tests/bench/run bodies --rounds {}", effort.rounds);
    let columns = ["", "MiB/s", "÷ engine", "CPU", "memory"];
    let mut table = Table::new(way.title, &command, &columns);
    let of = |name: &str| turns_of(contenders, &all, name);
    let ratio = |turns: &[Turn], than: &[Turn]| ratio_of(turns, than, |turn| turn.mib_per_second);
    for (contender, turns) in contenders.iter().zip(&all) {
        let of_all = |pick: fn(&Turn) -> f64| middle(turns.iter().map(pick).collect());
        table.row(
            contender.name,
            vec![
                Figure::new(of_all(|turn| turn.mib_per_second), 0, ""),
                Figure::ratio(ratio(turns, of(ENGINE))),
                Figure::new(of_all(|turn| turn.cpu_ms), 0, " ms"),
                Figure::new(of_all(|turn| turn.memory_mib), 0, " MiB"),
            ],
        );
    }
    let found = ratio(of(SIGNED_IN), of(ENGINE));
    let verdict = if found >= LEAST { "kept" } else { "missed" };
    table.note(format!("Budget, signed in ÷ bare engine, throughput: at least {LEAST} ×; {found:.2} ×, {verdict}."));
    table
}

fn turn(contender: &Contender, way: Way, file: &Path) -> Turn {
    let (origin, _) = contender.url.rsplit_once("/loans").expect("every contender is asked for its loans");
    let host = origin.trim_start_matches("https://").split('/').next().expect("a host");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--insecure", "--output", "/dev/null", way.http]);
    command.arg("--connect-to").arg(format!("{host}:443:{}", contender.address));
    if let Some(cookie) = &contender.cookie {
        command.args(["--cookie", cookie]);
    }
    if way.up {
        command.arg("--header").arg("Expect:").arg("--upload-file").arg(file).arg(format!("{origin}/sink"));
    } else {
        command.arg(format!("{origin}/bytes/{LENGTH}"));
    }
    let pid = contender.server.pid();
    let (begun, before) = (Instant::now(), process::cpu(pid));
    let ended = command.status().unwrap_or_else(|error| panic!("curl is missing: {error}"));
    assert!(ended.success(), "{}: curl failed at {origin}", contender.name);
    let (took, after) = (begun.elapsed(), process::cpu(pid));
    let mib = 1024.0 * 1024.0;
    Turn {
        mib_per_second: LENGTH as f64 / mib / took.as_secs_f64(),
        cpu_ms: (after - before).as_secs_f64() * 1e3,
        memory_mib: process::memory(pid) as f64 / mib,
    }
}
