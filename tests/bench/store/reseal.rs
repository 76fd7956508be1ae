//! A new sealing key: how long until nothing lies under the old one. By the product's own means: `lychgate keys rotate`
//! and a start, and `Vault::reload_keys` while the vault is open.
//!
//! What is sealed under the ring are the researchers' data keys, in files of some hundred each, and a few rows; the
//! records themselves lie under the data keys and need not be touched. It counts as done when every file says that
//! it lies under the new key; in the end the old keys are dropped, and every connection must still open.

use super::fill::Researcher;
use super::{Extent, Place, grouped};
use crate::measure::middle;
use crate::process::{self, lychgate};
use crate::report::{Figure, Table};
use lychgate::domain::{SystemChance, SystemClock};
use lychgate::vault::{KeyId, list_keys, rotate_key_file};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Rotations of either kind; a ring holds 64 keys.
const MOST_ROUNDS: usize = 5;
/// Sealing anew that takes longer is a fault.
const LIMIT: Duration = Duration::from_secs(600);
/// Connections read at once in the end.
const PAGE: usize = 1_000;
/// The first byte of a sealed file is its version; then comes the key's id.
const VERSION: u8 = 1;

/// One rotation.
struct Turn {
    /// Until the gate is ready, or the call returns.
    ready: f64,
    /// Until nothing lies under an older key.
    done: f64,
    written_mib: f64,
}

pub fn table(place: &Place, people: &[Researcher], extent: &Extent) -> Table {
    let rounds = extent.rounds.min(MOST_ROUNDS);
    let (mut starts, mut reloads) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        crate::aside(format_args!("key {} of {rounds}", round + 1));
        starts.push(by_start(place));
        reloads.push(by_reload(place));
    }
    let connections = people.len() as f64;
    let columns = ["", "ready", "all under the new key", "connections/s", "written"];
    let title = format!("A new sealing key, {} connections", grouped(people.len()));
    let mut table = Table::new(&title, &extent.command(), &columns);
    for (name, turns) in [("`lychgate keys rotate`, then a start", starts), ("keys read again while open", reloads)] {
        let of = |pick: fn(&Turn) -> f64| middle(turns.iter().map(pick).collect());
        let done = of(|turn| turn.done);
        table.row(
            name,
            vec![
                Figure::new(of(|turn| turn.ready), 2, " s"),
                Figure::new(done, 2, " s"),
                Figure::new(connections / done, 0, ""),
                Figure::new(of(|turn| turn.written_mib), 1, " MiB"),
            ],
        );
    }
    let read = without_old_keys(place, people.len());
    table.note(format!(
        "What is sealed anew are the data keys of all researchers, not their records. Then the old keys were dropped \
         from the ring, and {} connections opened.",
        grouped(read)
    ));
    table
}

/// As an administrator does it: a new key in the file, and the gate is started.
fn by_start(place: &Place) -> Turn {
    let mut rotate = lychgate(&place.folder, &["keys", "rotate"]);
    let ended = rotate.arg(place.key_file()).stdout(Stdio::null()).status().expect("the gate's own binary");
    assert!(ended.success(), "`lychgate keys rotate` failed");
    let key = active(place);
    let begun = Instant::now();
    let (gate, _) = place.serve();
    let ready = begun.elapsed().as_secs_f64();
    until_all_under(place, key);
    let done = begun.elapsed().as_secs_f64();
    let written_mib = process::written_to_disk(gate.pid()) as f64 / (1024.0 * 1024.0);
    Turn { ready, done, written_mib }
}

/// The vault stays open meanwhile.
fn by_reload(place: &Place) -> Turn {
    let vault = place.open();
    let own = std::process::id();
    let before = process::written_to_disk(own);
    let key = rotate_key_file(&place.key_file(), &SystemClock, &SystemChance::default());
    let key = key.unwrap_or_else(|fault| panic!("no new key: {fault}"));
    let begun = Instant::now();
    crate::wait_for(vault.reload_keys()).unwrap_or_else(|fault| panic!("the keys cannot be read again: {fault}"));
    let ready = begun.elapsed().as_secs_f64();
    until_all_under(place, key);
    let done = begun.elapsed().as_secs_f64();
    let written_mib = (process::written_to_disk(own) - before) as f64 / (1024.0 * 1024.0);
    vault.close();
    Turn { ready, done, written_mib }
}

fn active(place: &Place) -> KeyId {
    let keys = list_keys(&place.key_file()).unwrap_or_else(|fault| panic!("{fault}"));
    keys.iter().find(|key| key.active).expect("one key seals").id
}

/// Waits until every sealed file of the vault lies under `key`.
fn until_all_under(place: &Place, key: KeyId) {
    let people = std::fs::read_dir(place.vault().join("people")).expect("somebody is in the vault");
    let mut files: Vec<PathBuf> = people.map(|entry| entry.expect("a folder of ours").path()).collect();
    files.retain(|file| file.extension().is_none());
    files.push(place.vault().join("names"));
    let end = Instant::now() + LIMIT;
    loop {
        files.retain(|file| sealed_under(file) != key.to_string());
        if files.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "{} files lie under an older key after {LIMIT:?}", files.len());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The key that a file says it lies under, in hex.
fn sealed_under(file: &Path) -> String {
    let mut head = [0; 5];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut head));
    read.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(head[0] == VERSION, "{} has another format than this benchmark knows", file.display());
    head[1..].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Drops all keys but the last from the ring, and reads every connection. Gives how many there were.
fn without_old_keys(place: &Place, expected: usize) -> usize {
    let text = std::fs::read_to_string(place.key_file()).expect("the key file is ours");
    let last = text.lines().next_back().expect("a ring is never empty");
    std::fs::write(place.key_file(), format!("{last}\n")).expect("the key file is ours");
    let vault = place.open();
    let read = crate::wait_for(async {
        let (mut read, mut after) = (0, None);
        loop {
            let (some, next) = vault.connections(after, PAGE).await.unwrap_or_else(|fault| panic!("{fault}"));
            read += some.len();
            if next.is_none() {
                return read;
            }
            after = next;
        }
    });
    vault.close();
    assert_eq!(read, expected, "connections that open under the new key alone");
    read
}
