//! A kept form on disk: sealed pieces of one size, in order, under a key that never leaves memory.

use super::super::VaultFault;
use super::super::cipher::{Cipher, OVERHEAD};
use crate::domain::Chance;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// Plain bytes in every piece but the last.
pub(super) const PIECE: usize = 64 * 1024;
const WHAT: &str = "a kept form";

/// What a piece is bound to: its number, so that none changes places, and whether it is the last, so that none is
/// missing. The key belongs to one form alone.
fn place(number: u64, last: bool) -> [u8; 9] {
    let mut place = [0; 9];
    place[..8].copy_from_slice(&number.to_be_bytes());
    place[8] = u8::from(last);
    place
}

/// Removes whatever an earlier gate left in `directory`. That makes no directories; a file system of its own has one.
pub(super) fn wipe(directory: &Path) -> Result<(), VaultFault> {
    for entry in fs::read_dir(directory).map_err(VaultFault::file("read", directory))? {
        let entry = entry.map_err(VaultFault::file("read", directory))?;
        let path = entry.path();
        if entry.file_type().map_err(VaultFault::file("read", &path))?.is_dir() {
            continue;
        }
        fs::remove_file(&path).map_err(VaultFault::file("remove", &path))?;
    }
    Ok(())
}

/// The file and what opens it; removed from the disk with this value.
pub(super) struct SealedFile {
    path: PathBuf,
    cipher: Cipher,
}

impl Drop for SealedFile {
    fn drop(&mut self) {
        match fs::remove_file(&self.path) {
            Err(fault) if fault.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %fault, "a kept form could not be removed; the next start tries again");
            }
            _ => {}
        }
    }
}

impl SealedFile {
    /// All `size` bytes, or nothing.
    pub(super) fn read(&self, size: u64) -> Result<Vec<u8>, VaultFault> {
        let damaged = VaultFault::Unreadable { what: WHAT };
        let Ok(size) = usize::try_from(size) else { return Err(damaged) };
        let mut file = File::open(&self.path).map_err(VaultFault::file("open", &self.path))?;
        let mut plain = Vec::with_capacity(size);
        let mut number = 0;
        loop {
            let left = size - plain.len();
            let last = left <= PIECE;
            let mut sealed = vec![0; left.min(PIECE) + OVERHEAD];
            file.read_exact(&mut sealed).map_err(VaultFault::file("read", &self.path))?;
            let piece =
                self.cipher.open(&sealed, 0, &place(number, last)).ok_or(VaultFault::Unreadable { what: WHAT })?;
            plain.extend_from_slice(&piece);
            if last {
                return Ok(plain);
            }
            number += 1;
        }
    }
}

/// A file being written.
pub(super) struct Sealing {
    whole: SealedFile,
    file: Option<File>,
    chance: Arc<dyn Chance>,
    /// Not yet sealed; at most one piece.
    waiting: Zeroizing<Vec<u8>>,
    number: u64,
}

impl Sealing {
    /// Touches no disk yet.
    pub(super) fn new(path: PathBuf, chance: Arc<dyn Chance>) -> Self {
        let key = Zeroizing::new(chance.bytes::<32>());
        let whole = SealedFile { path, cipher: Cipher::new(&*key, "kept form") };
        Self { whole, file: None, chance, waiting: Zeroizing::default(), number: 0 }
    }

    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<(), VaultFault> {
        while !bytes.is_empty() {
            // Sealed only when more follows: the last piece is sealed as such, even if it is full.
            if self.waiting.len() == PIECE {
                self.seal(false)?;
            }
            let fits = bytes.len().min(PIECE - self.waiting.len());
            self.waiting.extend_from_slice(&bytes[..fits]);
            bytes = &bytes[fits..];
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<SealedFile, VaultFault> {
        self.seal(true)?;
        Ok(self.whole)
    }

    fn seal(&mut self, last: bool) -> Result<(), VaultFault> {
        let path = &self.whole.path;
        let sealed = self.whole.cipher.seal(&*self.chance, &[], &place(self.number, last), &self.waiting);
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                none.insert(options.map_err(VaultFault::file("make", path))?)
            }
        };
        // Not synced: a form does not outlive the gate.
        file.write_all(&sealed).map_err(VaultFault::file("write", path))?;
        self.number += 1;
        self.waiting.clear();
        Ok(())
    }
}
