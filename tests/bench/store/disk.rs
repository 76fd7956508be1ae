//! What a folder takes on disk, a copy of it, and how the kernel is made to have all of it in memory, or nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A block, as every Linux counts them.
const BLOCK: u64 = 512;

/// Every file at or below `path`.
fn files(path: &Path) -> Vec<PathBuf> {
    let kind = fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).file_type();
    if !kind.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.flat_map(|entry| files(&entry.expect("a folder of ours can be read").path())).collect()
}

/// Bytes that a file, or a folder with everything in it, takes on disk.
pub fn taken(path: &Path) -> u64 {
    let blocks = |file: PathBuf| fs::symlink_metadata(file).map_or(0, |about| about.blocks());
    BLOCK * files(path).into_iter().map(blocks).sum::<u64>()
}

/// Copies a file, or a folder with everything in it, and waits until the copy is on the disk.
pub fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let below = file.strip_prefix(from).expect("it was found below");
        let copy = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
        let parent = copy.parent().expect("a file stands in a folder");
        let copied = fs::create_dir_all(parent)
            .and_then(|()| fs::copy(&file, &copy))
            .and_then(|_| fs::File::open(&copy)?.sync_all());
        copied.unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
    }
}

/// Brings everything below `path` into the kernel's memory.
pub fn remember(path: &Path) {
    for file in files(path) {
        let read = fs::File::open(&file).and_then(|mut file| io::copy(&mut file, &mut io::sink()));
        read.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// Takes everything below `path` out of the kernel's memory, as after a start of the machine. `dd` is who can ask for
/// that without being root; nothing may have been written since the last sync.
pub fn forget(path: &Path) {
    for file in files(path) {
        let mut command = Command::new("dd");
        command.arg(format!("if={}", file.display())).args(["iflag=nocache", "count=0", "status=none"]);
        let ended = command.status().unwrap_or_else(|error| panic!("dd is missing: {error}"));
        assert!(ended.success(), "dd cannot take {} out of memory", file.display());
    }
}
