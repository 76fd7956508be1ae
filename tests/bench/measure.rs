//! One measurement of one contender under load, and the rounds in which contenders take turns: machines are
//! shared and noisy, so nothing is compared that was not measured in alternation, and medians are reported. Turns are
//! short and many, because a machine changes its speed within seconds.

use crate::contenders::Contender;
use crate::load::{Http, Load, Workload};
use crate::process;
use serde::Serialize;
use std::time::{Duration, Instant, SystemTime};

/// After the load has started, before counting: enough for all its handshakes, most of the time.
const WARM_UP: Duration = Duration::from_millis(1500);
/// After counting, before the load ends.
const COOL_DOWN: Duration = Duration::from_millis(300);
/// In percent: the kernel's table changes while it is read, so that a few may not be seen in it.
const LEAST_OPEN: usize = 99;
/// How often a turn is taken, each time with more time before it: under load, a server that handles requests and new
/// connections in the same few threads is slow to accept.
const ATTEMPTS: u32 = 5;

/// How long and how often.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Effort {
    /// Rounds in which every contender has a turn
    #[arg(long, default_value_t = Self::USUAL.rounds)]
    pub rounds: usize,
    /// Seconds counted in a turn
    #[arg(long, default_value_t = Self::USUAL.seconds)]
    pub seconds: u64,
}

impl Effort {
    pub const USUAL: Self = Self { rounds: 11, seconds: 1 };
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

/// The same with a workload of its own. A turn at whose end not every connection is open is taken again.
pub fn turn_of(contender: &Contender, workload: &Workload, seconds: u64, status: u16) -> Turn {
    let _idle = Load::idle(contender, workload);
    let wanted = workload.idle + workload.http.connections();
    for nth in 1..=ATTEMPTS {
        match attempt(contender, workload, WARM_UP * nth, seconds, status) {
            (turn, open) if open * 100 >= wanted * LEAST_OPEN => return turn,
            (_, open) => {
                crate::aside(format_args!("{}: {open} connections instead of {wanted}; again", contender.name))
            }
        }
    }
    panic!("{}: it did not hold {wanted} connections open in {ATTEMPTS} turns", contender.name);
}

/// One turn, and how many connections were open when counting ended.
fn attempt(contender: &Contender, workload: &Workload, warm_up: Duration, seconds: u64, status: u16) -> (Turn, usize) {
    let load = Load::start(contender, workload, warm_up + Duration::from_secs(seconds) + COOL_DOWN);
    std::thread::sleep(warm_up);
    let pid = contender.server.pid();
    let (since, start, before) = (Instant::now(), now(), process::cpu(pid));
    std::thread::sleep(Duration::from_secs(seconds));
    let (took, end, after) = (since.elapsed(), now(), process::cpu(pid));
    let open = process::connections(contender.address);
    let memory = process::memory(pid);
    let seen = load.seen(start, end, status);
    let requests = seen.requests as f64;
    let turn = Turn {
        cpu_us: (after - before).as_secs_f64() * 1e6 / requests,
        per_second: requests / took.as_secs_f64(),
        p50_ms: seen.p50.as_secs_f64() * 1e3,
        p99_ms: seen.p99.as_secs_f64() * 1e3,
        memory_mib: memory as f64 / (1024.0 * 1024.0),
    };
    (turn, open)
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
