//! Completed sign-ins: from a page that asks for one, through the sign-in host and the simulated ORCID, back to the
//! page, each durable before the browser hears of it. What counts is the gate's processor time for one, for ORCID and
//! the browsers run on the same cores here and not in production.
//!
//! Browsers keep their connections, so no TLS handshake is counted (`connections` counts those). Each has an address
//! of its own on loopback, as the gate lets few sign-ins be under way from one.

use crate::campus::http::client_config;
use crate::contenders::{Contender, Gate, Log};
use crate::crowd;
use crate::disk;
use crate::measure::middle;
use crate::process;
use crate::report::{Figure, Table};
use crate::stage::Stage;
use crate::visitor::{Visitor, Way};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use url::Url;

/// Browsers signing in at once.
const BROWSERS: usize = 64;
/// `design.md` §7: sign-ins a second …
const LEAST: f64 = 500.0;
/// … on so many cores.
const CORES: f64 = 2.0;
/// How long the gate may take to give superseded tokens back after the last sign-in; it looks every 15 s.
const REVOKING: Duration = Duration::from_secs(180);
/// How often the count of them is asked for: seldom, for it costs the simulator as much as a few sign-ins.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Size {
    /// Rounds in which everybody signs in twice
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// People, each with a browser
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u16).range(64..=4096))]
    people: u16,
}

impl Size {
    pub const USUAL: Self = Self { rounds: 3, people: 512 };
}

struct Turn {
    per_second: f64,
    p50_ms: f64,
    gate_us: f64,
    orcid_us: f64,
    rest_us: f64,
    /// Superseded tokens given back a second, one after another.
    revoked_per_second: Option<f64>,
}

/// What a turn needs.
struct Scene {
    stage: Stage,
    /// Whose browsers are signed in at ORCID, by the cookie there.
    crowd: Vec<String>,
}

pub async fn run(size: &Size) -> Vec<Table> {
    let stage = Stage::set();
    let known = Gate::open(&stage, 2, Log::Warnings).await;
    let [_, known, _] = known.contenders();
    let crowd = crowd::gather(&stage, &known, usize::from(size.people)).await;
    let scene = Scene { stage, crowd };
    let (mut first, mut again) = (Vec::new(), Vec::new());
    for round in 0..size.rounds {
        crate::aside(format_args!("round {} of {}: for the first time", round + 1, size.rounds));
        // Nobody has a connection in the vault of a new gate.
        let folder = scene.stage.subfolder(&format!("gate-round-{round}"));
        let fresh = Gate::open_in(&scene.stage, &folder, 2, Log::Warnings).await;
        let [_, fresh, _] = fresh.contenders();
        first.push(scene.turn(&fresh, false).await);
        crate::aside(format_args!("round {} of {}: again", round + 1, size.rounds));
        again.push(scene.turn(&known, true).await);
    }
    vec![table(&scene, size, &[("for the first time", first), ("again", again)])]
}

fn table(scene: &Scene, size: &Size, rows: &[(&str, Vec<Turn>)]) -> Table {
    let command = format!("bash tests/bench/run sign-ins --rounds {} --people {}", size.rounds, size.people);
    let columns = [
        "",
        "gate's CPU a sign-in",
        "÷ 2 cores",
        "ORCID's CPU",
        "browser's and app's CPU",
        "all on this machine",
        "p50",
    ];
    let mut table = Table::new("A completed sign-in", &command, &columns);
    for (name, turns) in rows {
        let of_all = |pick: fn(&Turn) -> f64| middle(turns.iter().map(pick).collect());
        let gate_us = of_all(|turn| turn.gate_us);
        let bound = CORES * 1e6 / gate_us;
        table.row(
            *name,
            vec![
                Figure::new(gate_us, 0, " µs"),
                Figure::new(bound, 0, "/s"),
                Figure::new(of_all(|turn| turn.orcid_us), 0, " µs"),
                Figure::new(of_all(|turn| turn.rest_us), 0, " µs"),
                Figure::new(of_all(|turn| turn.per_second), 0, "/s"),
                Figure::new(of_all(|turn| turn.p50_ms), 0, " ms"),
            ],
        );
        let word = if bound >= LEAST { "kept" } else { "missed" };
        table.note(format!(
            "Budget, sign-ins a second on {CORES} cores, {name}: at least {LEAST}; {bound:.0} by the gate's processor \
             time, {word}."
        ));
    }
    let size = scene.crowd.len();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (kind, sync) = (disk::file_system(scene.stage.path()), disk::sync_time(scene.stage.path()));
    table.note(format!(
        "{size} people sign in once a turn, {BROWSERS} at a time; gate, ORCID, app and browsers share {cores} cores, \
         which is what limits the sign-ins a second on this machine. The vault lies on {kind}; 4 KiB are durable \
         there in {sync:.2} ms."
    ));
    let revoked = rows.iter().flat_map(|(_, turns)| turns).filter_map(|turn| turn.revoked_per_second);
    let revoked: Vec<f64> = revoked.collect();
    let how_many = if revoked.is_empty() { String::new() } else { format!(", {:.0} a second", middle(revoked)) };
    table.note(format!(
        "Whoever signs in again gets new tokens from ORCID; the gate's processor time then holds giving the old ones \
         back, which it does in the background, one after another{how_many}."
    ));
    table
}

/// Processor time so far of the gate, of ORCID, and of everything else in the run.
struct Spent {
    gate: Duration,
    orcid: Duration,
    rest: Duration,
}

impl Spent {
    fn so_far(stage: &Stage, gate: &Contender) -> Self {
        let (gate, orcid) = (process::cpu(gate.server.pid()), process::cpu(stage.simulator.pid()));
        Self { gate, orcid, rest: process::cpu(std::process::id()).saturating_sub(gate + orcid) }
    }
}

impl Scene {
    /// Everybody signs in once at `gate`. When they are known there, that supersedes their tokens.
    async fn turn(&self, gate: &Contender, supersedes: bool) -> Turn {
        let page: Url = gate.url.parse().expect("a contender's address");
        let visitors = self.visitors(gate, &page).await;
        let revoked = self.stage.asked("revoke").await;
        let (before, begun) = (Spent::so_far(&self.stage, gate), Instant::now());
        let took = self.sign_everybody_in(visitors, &page).await;
        let wall = begun.elapsed();
        let people = self.crowd.len();
        let signed_in = Spent::so_far(&self.stage, gate);
        let revoked_per_second = match supersedes {
            true => self.wait_for_revocations(revoked, revoked + people as u64).await,
            false => None,
        };
        let after = Spent::so_far(&self.stage, gate);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / people as f64;
        Turn {
            per_second: people as f64 / wall.as_secs_f64(),
            p50_ms: middle(took.iter().map(|took| took.as_secs_f64() * 1e3).collect()),
            gate_us: each(after.gate - before.gate),
            orcid_us: each(after.orcid - before.orcid),
            // The browsers had done their part before.
            rest_us: each(signed_in.rest.saturating_sub(before.rest)),
            revoked_per_second,
        }
    }

    /// Browsers with open connections, so that no handshake is counted.
    async fn visitors(&self, gate: &Contender, page: &Url) -> Vec<Visitor> {
        let orcid: Url = self.stage.issuer.parse().expect("the simulator's address");
        let sign_in: Url = "https://gate.bench.example/".parse().expect("an address");
        let config = client_config(self.stage.authority.roots(), &["http/1.1"]);
        let way = Way { gate: gate.address, orcid: orcid.clone(), config };
        let mut visitors = Vec::new();
        for number in 0..BROWSERS {
            let own = Ipv4Addr::new(127, 0, 1, u8::try_from(number + 1).expect("fewer than 255 browsers"));
            let mut visitor = Visitor::new(way.clone(), own);
            for host in [page, &sign_in, &orcid] {
                visitor.connect(host).await;
            }
            visitors.push(visitor);
        }
        visitors
    }

    /// Gives how long each took.
    async fn sign_everybody_in(&self, visitors: Vec<Visitor>, page: &Url) -> Vec<Duration> {
        let mut signing_in = JoinSet::new();
        for (number, mut visitor) in visitors.into_iter().enumerate() {
            let page = page.clone();
            let sessions: Vec<String> = self.crowd.iter().skip(number).step_by(BROWSERS).cloned().collect();
            signing_in.spawn(async move {
                let mut took = Vec::with_capacity(sessions.len());
                for session in &sessions {
                    let begun = Instant::now();
                    visitor.sign_in(&page, session).await;
                    took.push(begun.elapsed());
                }
                took
            });
        }
        // A visitor whose journey ended elsewhere ends the run here.
        signing_in.join_all().await.concat()
    }

    /// Until ORCID has been asked to revoke `all`, and `before` earlier; gives how many a second it is asked for once
    /// that has begun, if that could be seen.
    async fn wait_for_revocations(&self, before: u64, all: u64) -> Option<f64> {
        let end = Instant::now() + REVOKING;
        let mut begun = None;
        loop {
            let (now, asked) = (Instant::now(), self.stage.asked("revoke").await);
            if begun.is_none() && asked > before {
                begun = Some((now, asked));
            }
            if let Some((since, first)) = begun.filter(|_| asked >= all) {
                return (asked > first).then(|| (asked - first) as f64 / (now - since).as_secs_f64());
            }
            assert!(now < end, "{} superseded tokens were not revoked within {REVOKING:?}", all - asked);
            tokio::time::sleep(LOOK).await;
        }
    }
}
