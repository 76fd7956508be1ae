//! The disk below a folder: what durable writes rest on.

use crate::measure::middle;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Writes timed.
const WRITES: usize = 64;

/// The type of the file system that holds `folder`.
pub fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().expect("the folder is there");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let holding = fields.filter(|(place, _)| folder.starts_with(place));
    // Of two mounted at one place the later one counts.
    holding.max_by_key(|(place, _)| place.len()).map_or("an unknown file system", |(_, kind)| kind).to_owned()
}

/// Milliseconds until 4 KiB appended to a file in `folder` are on the disk; the median of some.
pub fn sync_time(folder: &Path) -> f64 {
    let path = folder.join("sync");
    let mut file = File::create(&path).expect("the folder of a run is writable");
    let one = |_| {
        let begun = Instant::now();
        file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).expect("there is room for a few pages");
        begun.elapsed().as_secs_f64() * 1e3
    };
    let took = middle((0..WRITES).map(one).collect());
    fs::remove_file(path).expect("it was just made");
    took
}
