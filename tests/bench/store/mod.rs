//! A vault with a million sessions in it: how fast it is filled and written, how soon a gate opens on it, what of it
//! is in memory, what a look-up takes, and what a new sealing key costs.
//!
//! The vault is filled by its public interface, as the sign-in does it, and the gates on it are the real binary, so
//! nothing here is lighter than in use. Whatever depends on the number of sessions stands beside the same figure of
//! an empty store, taken in the same rounds.

mod client;
mod disk;
mod fill;
mod look_ups;
mod memory;
mod reseal;
mod researchers;
mod start;
mod writes;

use crate::contenders::Log;
use crate::contenders::gate::{self, Site};
use crate::process::Process;
use crate::report::{Table, verdict};
use crate::stage::Stage;
use lychgate::domain::{SystemChance, SystemClock};
use lychgate::vault::{Vault, VaultSettings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What `design.md` §7 speaks of.
const FULL: usize = 1_000_000;
const ROUNDS: usize = 5;
/// The sites before the app; everybody is signed in at all of them.
const SITES: [Site; 4] = [
    ("library", "signed-in", ""),
    ("repository", "signed-in", ""),
    ("wiki", "signed-in", ""),
    ("journals", "signed-in", ""),
];

/// How many, and how often.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Extent {
    /// Sessions stored, ten for each researcher; the budgets are for a million
    #[arg(long, default_value_t = FULL)]
    pub sessions: usize,
    /// Rounds of starts, and of look-ups in memory
    #[arg(long, default_value_t = ROUNDS)]
    pub rounds: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Self { sessions: FULL, rounds: ROUNDS }
    }
}

impl Extent {
    /// Ten sessions make one.
    fn researchers(&self) -> usize {
        self.sessions.div_ceil(fill::EACH)
    }

    fn stored(&self) -> String {
        format!("{} sessions", grouped(self.researchers() * fill::EACH))
    }

    fn command(&self) -> String {
        format!("bash tests/bench/run store --sessions {} --rounds {}", self.sessions, self.rounds)
    }

    /// Fewer sessions than the budget is for prove nothing about it.
    fn verdict(&self, what: &str, found: f64, most: f64) -> String {
        if self.sessions >= FULL {
            return verdict(what, found, most);
        }
        format!("Budget, {what}: at most {most}; {found:.2} with fewer sessions than it is for, so no verdict.")
    }
}

/// ORCID has never heard of these people's tokens: asked about them, it would have the gate sign them out.
const UNWATCHED: &str = "\n[watch]\nevery = \"0s\"\n";

/// A number with its thousands apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A gate's folder with its vault, which the harness and a gate open in turns.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn make(stage: &Stage, name: &str) -> Self {
        let folder = stage.subfolder(name);
        gate::write_sites(stage, &folder, &SITES);
        gate::configure(stage, &folder, 2, Log::Warnings);
        let file = folder.join(gate::GATE_FILE);
        let text = std::fs::read_to_string(&file).expect("it was just written");
        std::fs::write(&file, text + UNWATCHED).expect("the folder of a run is writable");
        Self { folder }
    }

    /// The same vault once more, on the disk.
    fn copy(&self, stage: &Stage, name: &str) -> Self {
        let copy = Self::make(stage, name);
        disk::copy(&self.key_file(), &copy.key_file());
        disk::copy(&self.vault(), &copy.vault());
        copy
    }

    fn vault(&self) -> PathBuf {
        self.folder.join("state/vault")
    }

    fn key_file(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// Opens the vault in this process, set as the gate sets it.
    fn open(&self) -> Arc<Vault> {
        let settings = VaultSettings {
            directory: self.vault(),
            key_file: self.key_file(),
            simulated: true,
            idle: Duration::from_secs(8 * 3600),
            absolute: Duration::from_secs(24 * 3600),
            // `app` keeps this number to itself.
            outage_grace: std::time::Duration::ZERO,
            warm_sessions: lychgate::app::WARM_SESSIONS,
        };
        let opened = Vault::open(settings, Arc::new(SystemClock), Arc::new(SystemChance::default()));
        opened.unwrap_or_else(|fault| panic!("the vault does not open: {fault}"))
    }

    /// Starts a gate on it.
    fn serve(&self) -> (Process, SocketAddr) {
        gate::serve(&self.folder)
    }
}

pub fn run(extent: &Extent) -> Vec<Table> {
    assert!((1_000..=10_000_000).contains(&extent.sessions), "from a thousand to ten million sessions");
    assert!((1..=100).contains(&extent.rounds), "from one to a hundred rounds");
    let stage = Stage::set();
    let (full, empty) = (Place::make(&stage, "gate-full"), Place::make(&stage, "gate-empty"));
    // Made beforehand, so that no start has to make it.
    empty.open().close();
    let (filled, people) = fill::table(&full, extent);
    vec![
        filled,
        start::table(&stage, &full, &empty, extent),
        memory::table(&stage, &full, &empty, &people, extent),
        look_ups::table(&full, &people, extent),
        reseal::table(&full, &people, extent),
        // Last, for it adds to what is stored.
        writes::table(&full, &people, extent),
    ]
}
