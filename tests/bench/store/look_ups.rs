//! A session is looked up: in memory, in the store's files when the kernel has them in memory, and on the disk itself.
//! Through the vault's own interface, one look-up at a time in this process. A cold one reads the session, the
//! connection behind it and its researcher's data key; no researcher is asked for twice, so nothing helps the next.

use super::fill::Researcher;
use super::{Extent, Place, disk, grouped};
use crate::process;
use crate::report::{Figure, Table};
use lychgate::vault::{HashedSessionKey, Vault, Warm};
use std::hint::black_box;
use std::time::Instant;

/// Look-ups on the disk, and in the kernel's memory; at most a quarter of the researchers each.
const ON_DISK: usize = 2_000;
const IN_KERNEL: usize = 20_000;
/// Warm look-ups timed together: the clock takes about as long as one.
const BATCH: usize = 100;
/// Far apart in memory, one after the other.
const STRIDE: usize = 7919;

/// What many look-ups took, in microseconds, the quickest first.
struct Took(Vec<f64>);

impl Took {
    fn new(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        Self(all)
    }

    fn part(&self, percent: usize) -> f64 {
        self.0[self.0.len() * percent / 100]
    }
}

pub fn table(place: &Place, people: &[Researcher], extent: &Extent) -> Table {
    let columns = ["", "p50", "p99", "read from the disk, each"];
    let mut table = Table::new(&format!("A look-up among {}", extent.stored()), &extent.command(), &columns);
    let quarter = people.len() / 4;
    let (on_disk, rest) = people.split_at(ON_DISK.min(quarter));
    let in_kernel = &rest[..IN_KERNEL.min(quarter)];
    let vault = place.open();

    let in_memory = warm(&vault, people, extent.rounds);
    table.row("warm: in memory", figures(&in_memory.took, 1e3, " ns", in_memory.read));
    vault.close();

    // Opened again, so that what the warm ones needed is cold once more.
    let vault = place.open();
    disk::remember(&place.vault());
    let (took, read) = cold(&vault, in_kernel);
    table.row("cold: the kernel has the files in memory", figures(&took, 1.0, " µs", read));
    // Their uses are written back first.
    process::settle(std::process::id());
    disk::forget(&place.vault());
    let (took, read) = cold(&vault, on_disk);
    table.row("cold: from the disk", figures(&took, 1.0, " µs", read));
    vault.close();
    table.note(format!(
        "Warm ones in batches of {BATCH}, {} in memory, of which {:.2} % had been driven out when they were asked for \
         again; cold ones one by one, {} with the files in the kernel's memory and {} from the disk.",
        grouped(people.len()),
        in_memory.driven_out,
        grouped(in_kernel.len()),
        grouped(on_disk.len())
    ));
    if read == 0.0 {
        table.note("This file system keeps everything in memory: nothing was read from a disk.");
    }
    table
}

/// p50 and p99 of what was measured in microseconds, and bytes read for each look-up.
fn figures(took: &Took, factor: f64, unit: &str, read: f64) -> Vec<Figure> {
    vec![
        Figure::new(took.part(50) * factor, 0, unit),
        Figure::new(took.part(99) * factor, 0, unit),
        Figure::new(read / 1024.0, 1, " KiB"),
    ]
}

/// Each of them once, and the bytes that a look-up made the disk read.
fn cold(vault: &Vault, people: &[Researcher]) -> (Took, f64) {
    let own = std::process::id();
    let before = process::read_from_disk(own);
    let took = crate::wait_for(async {
        let mut took = Vec::with_capacity(people.len());
        for researcher in people {
            // The second browser's, which no gate has seen.
            let key = researcher.at_sites.last().expect("everybody is signed in");
            let begun = Instant::now();
            let found = vault.session(key).await.unwrap_or_else(|fault| panic!("a look-up failed: {fault}"));
            took.push(begun.elapsed().as_secs_f64() * 1e6);
            assert!(found.is_some(), "researcher {} is signed in, and was not found", researcher.number);
        }
        took
    });
    let read = (process::read_from_disk(own) - before) as f64 / people.len() as f64;
    (Took::new(took), read)
}

/// What the warm look-ups came to.
struct InMemory {
    took: Took,
    /// How many found that the session had been driven out, in a hundred; their batches do not count.
    driven_out: f64,
    /// Bytes that a look-up made the disk read.
    read: f64,
}

/// All researchers' sessions are brought into memory, then looked up there, round by round.
fn warm(vault: &Vault, people: &[Researcher], rounds: usize) -> InMemory {
    let keys: Vec<HashedSessionKey> =
        (0..people.len()).map(|at| people[at * STRIDE % people.len()].at_sites[0]).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let bring = |keys: &[HashedSessionKey]| runtime.block_on(bring(vault, keys));
    bring(&keys);
    // The uses are written back first.
    process::settle(std::process::id());
    let before = process::read_from_disk(std::process::id());
    let (mut took, mut driven_out) = (Vec::new(), 0);
    for _ in 0..rounds {
        for keys in keys.chunks_exact(BATCH) {
            let begun = Instant::now();
            let live = keys.iter().filter(|key| matches!(black_box(vault.warm(black_box(key))), Warm::Live(_))).count();
            let micros = begun.elapsed().as_secs_f64() * 1e6 / BATCH as f64;
            if live == BATCH {
                took.push(micros);
            } else {
                driven_out += BATCH - live;
                bring(keys);
            }
        }
    }
    assert!(!took.is_empty(), "nothing stays in memory");
    let looked_up = (rounds * keys.len()) as f64;
    InMemory {
        took: Took::new(took),
        driven_out: 100.0 * driven_out as f64 / looked_up,
        read: (process::read_from_disk(std::process::id()) - before) as f64 / looked_up,
    }
}

/// Has sessions read into memory, if they are not there.
async fn bring(vault: &Vault, keys: &[HashedSessionKey]) {
    for key in keys {
        let found = vault.session(key).await.unwrap_or_else(|fault| panic!("a look-up failed: {fault}"));
        assert!(found.is_some(), "a session that nobody has ended was not found");
    }
}
