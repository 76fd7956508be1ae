//! The journal: an append-only copy of the rows that cannot be had again (connections). Written by the
//! store's writer before every acknowledgement, read by `rebuild` when the store itself is lost. It
//! holds the rows exactly as stored, sealed under the researchers' data keys.
//!
//! A header, then frames. Each frame carries a MAC over itself and the MAC before it, so that nothing
//! can be changed, removed or put in between. A frame that a crash cut short was never acknowledged.

mod read;

pub(super) use read::{Reading, read};

use super::trees::Address;
use super::{VaultFault, files};
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const MAGIC: [u8; 8] = *b"LYCHJNL1";
const HEADER: u64 = 56;
const TAG: usize = 16;
/// A frame's length field and tag.
const FRAMING: u64 = 4 + TAG as u64;
/// No frame holds more: [`Journal::append`] refuses what would, and the reader takes a longer one for damage.
const LONGEST_FRAME: u64 = 4 * 1024 * 1024;
/// How many bytes the writer puts into one group at most, the last batch aside.
pub(super) const GROUP_BYTES: usize = 1024 * 1024;
/// A batch may weigh so much: with a group that is all but full it still fits into one frame. A batch
/// is never spread over several, for then a crash could leave half of it.
pub(super) const LARGEST_BATCH: usize = LONGEST_FRAME as usize - GROUP_BYTES - ENTRY;
/// The lengths around an entry's two fields, or around all entries, at most.
const ENTRY: usize = 16;

/// The most bytes that a row takes in a frame.
pub(super) fn weight(at: &Address, value: Option<&[u8]>) -> usize {
    at.bytes().len() + value.map_or(0, <[u8]>::len) + ENTRY
}
/// Below this the journal is never rewritten.
const SMALL: u64 = 1024 * 1024;
/// It is rewritten when it has grown to this many times the size it had when last rewritten.
const GROWTH: u64 = 4;

/// One row as it became; `None`: deleted.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    // As bytes, not as a list of numbers: the same on the disk, and read in one piece.
    #[serde(with = "serde_bytes")]
    pub(super) at: Vec<u8>,
    #[serde(with = "serde_bytes")]
    pub(super) value: Option<Vec<u8>>,
}

/// A position in one journal: generation, length in bytes, and the MAC of the frame that ends there.
/// The store keeps the mark of what it has applied, so that either notices when the other lost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) generation: u64,
    pub(super) end: u64,
    pub(super) tag: [u8; TAG],
}

impl Mark {
    pub(super) fn bytes(&self) -> Vec<u8> {
        [&self.generation.to_be_bytes()[..], &self.end.to_be_bytes(), &self.tag].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (generation, rest) = bytes.split_first_chunk::<8>()?;
        let (end, tag) = rest.split_first_chunk::<8>()?;
        Some(Self {
            generation: u64::from_be_bytes(*generation),
            end: u64::from_be_bytes(*end),
            tag: tag.try_into().ok()?,
        })
    }
}

/// Which journal this is: where, of which vault, under which MAC key.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) store_id: [u8; 16],
    pub(super) key: hmac::Key,
}

/// The journal, open for appending.
pub(super) struct Journal {
    identity: Identity,
    file: File,
    generation: u64,
    /// Length after the last rewriting.
    base: u64,
    end: u64,
    tag: [u8; TAG],
}

fn chain(key: &hmac::Key, before: &[u8; TAG], payload: &[u8]) -> [u8; TAG] {
    let mut context = hmac::Context::with_key(key);
    context.update(before);
    context.update(&(payload.len() as u64).to_be_bytes());
    context.update(payload);
    first(context.sign())
}

fn first(tag: hmac::Tag) -> [u8; TAG] {
    let mut out = [0; TAG];
    out.copy_from_slice(&tag.as_ref()[..TAG]);
    out
}

/// Magic, store id, generation, base and their MAC. The chain begins with that MAC.
fn header(identity: &Identity, generation: u64, base: u64) -> ([u8; HEADER as usize], [u8; TAG]) {
    let mut bytes = [0; HEADER as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..24].copy_from_slice(&identity.store_id);
    bytes[24..32].copy_from_slice(&generation.to_be_bytes());
    bytes[32..40].copy_from_slice(&base.to_be_bytes());
    let tag = first(hmac::sign(&identity.key, &bytes[..40]));
    bytes[40..].copy_from_slice(&tag);
    (bytes, tag)
}

/// Where the chain of a generation begins: not the header's MAC, for that covers the base, which is
/// known only once everything has been written.
fn origin(identity: &Identity, generation: u64) -> [u8; TAG] {
    let text = [&b"first"[..], &identity.store_id, &generation.to_be_bytes()].concat();
    first(hmac::sign(&identity.key, &text))
}

impl Journal {
    /// Makes a journal of a new generation out of `rows`, in place of whatever stood there. Rows are
    /// asked for one at a time, so that memory stays flat.
    pub(super) fn write_new(
        identity: Identity,
        generation: u64,
        rows: impl Iterator<Item = Result<(Address, Vec<u8>), VaultFault>>,
    ) -> Result<Self, VaultFault> {
        let beside = files::unfinished(&identity.path);
        let fault = || VaultFault::file("write", &beside);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let mut file = BufWriter::with_capacity(1 << 18, file.map_err(fault())?);
        file.write_all(&header(&identity, generation, 0).0).map_err(fault())?;
        let (mut end, mut tag) = (HEADER, origin(&identity, generation));
        for row in rows {
            let (at, value) = row?;
            let frame = frame(&identity.key, &tag, &[Entry { at: at.bytes().to_vec(), value: Some(value) }]);
            file.write_all(&frame.bytes).map_err(fault())?;
            (end, tag) = (end + frame.bytes.len() as u64, frame.tag);
        }
        let mut file = file.into_inner().map_err(|stuck| fault()(stuck.into_error()))?;
        file.rewind().map_err(fault())?;
        file.write_all(&header(&identity, generation, end).0).map_err(fault())?;
        file.sync_all().map_err(fault())?;
        std::fs::rename(&beside, &identity.path).map_err(VaultFault::file("replace", &identity.path))?;
        // From here on the old file is gone: what follows a failure would be written to nowhere.
        files::sync_directory(files::parent(&identity.path))
            .map_err(|fault| VaultFault::Store { what: fault.to_string() })?;
        Ok(Self { identity, file, generation, base: end, end, tag })
    }

    /// Goes on with a journal that [`read`] has read, from `mark` on; what stands behind it is cut off.
    pub(super) fn resume(identity: Identity, base: u64, mark: Mark) -> Result<Self, VaultFault> {
        let path = identity.path.clone();
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(VaultFault::file("open", &path))?;
        let Mark { generation, end, tag } = mark;
        let journal = Self { identity, file, generation, base, end, tag };
        journal.cut().map_err(VaultFault::file("cut", &path))?;
        Ok(journal)
    }

    fn cut(&self) -> std::io::Result<()> {
        if self.file.metadata()?.len() != self.end {
            self.file.set_len(self.end)?;
            self.file.sync_all()?;
        }
        Ok(())
    }

    /// Appends one frame and syncs it. When that fails, what was written is cut off again; the fault is
    /// [`VaultFault::Store`] if even that fails, for then nobody knows what the disk holds.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<Mark, VaultFault> {
        let frame = frame(&self.identity.key, &self.tag, entries);
        let bytes = frame.bytes.len();
        if bytes as u64 > LONGEST_FRAME + FRAMING {
            // Nothing has been written; a frame that no reader takes must never be.
            return Err(VaultFault::TooLarge { bytes, limit: (LONGEST_FRAME + FRAMING) as usize });
        }
        let write = |mut file: &File| {
            file.seek(SeekFrom::Start(self.end))?;
            file.write_all(&frame.bytes)?;
            file.sync_data()
        };
        if let Err(fault) = write(&self.file) {
            let uncertain = |again| VaultFault::Store {
                what: format!("the journal could be neither written ({fault}) nor cut back ({again})"),
            };
            self.cut().map_err(uncertain)?;
            return Err(VaultFault::NoRoom { what: format!("the journal: {fault}") });
        }
        self.end += frame.bytes.len() as u64;
        self.tag = frame.tag;
        Ok(self.mark())
    }

    /// The present end.
    pub(super) fn mark(&self) -> Mark {
        Mark { generation: self.generation, end: self.end, tag: self.tag }
    }

    /// Whether most of it is dead by now: rows that were written again or deleted since.
    pub(super) fn wants_rewriting(&self) -> bool {
        self.end > SMALL && self.end > GROWTH.saturating_mul(self.base)
    }

    /// After a failed rewriting: not again before it has grown as much once more.
    pub(super) fn postpone_rewriting(&mut self) {
        self.base = self.end;
    }

    /// Rewrites the journal from `rows`, all rows that must be kept, as the next generation.
    pub(super) fn rewrite(
        &mut self,
        rows: impl Iterator<Item = Result<(Address, Vec<u8>), VaultFault>>,
    ) -> Result<Mark, VaultFault> {
        *self = Self::write_new(self.identity.clone(), self.generation + 1, rows)?;
        Ok(self.mark())
    }

    /// Appends to `file` from now on, whatever that is.
    #[cfg(test)]
    pub(super) fn divert(&mut self, file: File) {
        self.file = file;
    }

    pub(super) fn path(&self) -> &Path {
        &self.identity.path
    }
}

struct Frame {
    bytes: Vec<u8>,
    tag: [u8; TAG],
}

fn frame(key: &hmac::Key, before: &[u8; TAG], entries: &[Entry]) -> Frame {
    let payload = postcard::to_stdvec(entries).expect("byte strings can always be written");
    let tag = chain(key, before, &payload);
    let length = u32::try_from(payload.len()).expect("a group has a few megabytes at most");
    Frame { bytes: [&length.to_be_bytes()[..], &payload, &tag].concat(), tag }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_lies_on_the_disk_as_it_always_has() {
        for (entry, bytes) in [
            (Entry { at: vec![7, 200], value: Some(vec![1, 2, 255]) }, &[2, 7, 200, 1, 3, 1, 2, 255][..]),
            (Entry { at: vec![7], value: None }, &[1, 7, 0]),
            (Entry { at: Vec::new(), value: Some(Vec::new()) }, &[0, 1, 0]),
        ] {
            assert_eq!(postcard::to_allocvec(&entry).unwrap(), bytes);
            assert_eq!(postcard::from_bytes::<Entry>(bytes).unwrap(), entry);
        }
    }
}
