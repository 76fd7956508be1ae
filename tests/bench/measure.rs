//! One measurement of one contender under load, and the rounds in which contenders take turns: machines are
//! shared and noisy, so nothing is compared that was not measured in alternation, and medians are reported.

use crate::contenders::Contender;
use crate::load::{Http, Load, Workload};
use crate::process;
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime};

/// After the load has started, before counting.
const WARM_UP: Duration = Duration::from_millis(1500);
/// After counting, before the load ends.
const COOL_DOWN: Duration = Duration::from_millis(1000);
/// In percent: the kernel's table changes while it is read, so that a few may not be seen in it.
const LEAST_OPEN: usize = 99;

/// How long and how often.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Effort {
    /// Rounds in which every contender has a turn
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds counted in a turn
    #[arg(long, default_value_t = 4)]
    pub seconds: u64,
}

/// What one turn showed.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Turn {
    /// Processor time for each request, in microseconds.
    pub cpu_us: f64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub memory_mib: f64,
}

/// Loads `contender` for one turn. Every answer must have `status`.
pub fn turn(contender: &Contender, http: Http, seconds: u64, status: u16) -> Turn {
    turn_of(contender, &Workload::browser(http), seconds, status)
}

/// The same with a workload of its own.
pub fn turn_of(contender: &Contender, workload: &Workload, seconds: u64, status: u16) -> Turn {
    let _idle = Load::idle(contender, workload);
    let load = Load::start(contender, workload, WARM_UP + Duration::from_secs(seconds) + COOL_DOWN);
    std::thread::sleep(WARM_UP);
    let pid = contender.server.pid();
    let (since, start, before) = (Instant::now(), now(), process::cpu(pid));
    std::thread::sleep(Duration::from_secs(seconds));
    let (took, end, after) = (since.elapsed(), now(), process::cpu(pid));
    let open = process::connections(contender.address);
    let memory = process::memory(pid);
    let seen = load.seen(start, end, status);
    let wanted = workload.idle + workload.http.connections();
    assert!(open * 100 >= wanted * LEAST_OPEN, "{}: {open} connections instead of {wanted}", contender.name);
    let requests = seen.requests as f64;
    Turn {
        cpu_us: (after - before).as_secs_f64() * 1e6 / requests,
        per_second: requests / took.as_secs_f64(),
        p50_ms: seen.p50.as_secs_f64() * 1e3,
        p99_ms: seen.p99.as_secs_f64() * 1e3,
        memory_mib: memory as f64 / (1024.0 * 1024.0),
    }
}

/// The time in the load's log is the machine's.
#[allow(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// The middle of what all turns showed, figure by figure.
pub fn median(turns: &[Turn]) -> Turn {
    let of = |pick: fn(&Turn) -> f64| middle(turns.iter().map(pick).collect());
    Turn {
        cpu_us: of(|turn| turn.cpu_us),
        per_second: of(|turn| turn.per_second),
        p50_ms: of(|turn| turn.p50_ms),
        p99_ms: of(|turn| turn.p99_ms),
        memory_mib: of(|turn| turn.memory_mib),
    }
}

/// The median over rounds of how the processor time of two compares within one round.
pub fn ratio(turns: &[Turn], than: &[Turn]) -> f64 {
    ratio_of(turns, than, |turn| turn.cpu_us)
}

/// The same of any figure.
pub fn ratio_of<T>(turns: &[T], than: &[T], pick: fn(&T) -> f64) -> f64 {
    middle(turns.iter().zip(than).map(|(turn, than)| pick(turn) / pick(than)).collect())
}

/// The turns of the contender called `name`, as [`rounds`] returned them all; none if it does not take part.
pub fn turns_of<'a, T>(contenders: &[Contender], all: &'a [Vec<T>], name: &str) -> &'a [T] {
    contenders.iter().position(|contender| contender.name == name).map_or(&[], |at| &all[at])
}

/// The median; the lower one of two.
pub fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get((figures.len().max(1) - 1) / 2).copied().unwrap_or(f64::NAN)
}

/// Lets every contender have its turn, round by round; returns the turns of each.
pub fn rounds<T>(contenders: &[Contender], rounds: usize, mut one: impl FnMut(&Contender) -> T) -> Vec<Vec<T>> {
    let mut all: Vec<Vec<T>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (at, contender) in contenders.iter().enumerate() {
            crate::aside(format_args!("round {} of {rounds}: {}", round + 1, contender.name));
            all[at].push(one(contender));
        }
    }
    all
}
