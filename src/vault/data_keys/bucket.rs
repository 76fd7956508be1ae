//! One bucket file: some of the researchers' data keys, sealed as a whole under the ring. And the list
//! of the erased. Used by the data keys' own thread and their readers.

use crate::vault::key_ring::KeyId;
use crate::vault::names::Locator;
use crate::vault::seal::{self, Keys};
use crate::vault::{VaultFault, files};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::{Zeroize, ZeroizeOnDrop};

pub(super) const BUCKETS: u16 = 1024;
/// A million researchers need about 60 KB per bucket.
const LARGEST: u64 = 64 * 1024 * 1024;
const WHAT: &str = "a bucket of data keys";

/// The random name of a data key. A researcher who was erased and comes back has another one.
pub(super) type DataKeyId = [u8; 8];

#[derive(Clone, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(super) struct Entry {
    pub(super) person: [u8; 16],
    pub(super) id: DataKeyId,
    pub(super) secret: [u8; 32],
}

/// Which bucket a person's key lies in: the first ten bits of the keyed hash.
pub(super) fn bucket_of(person: Locator) -> u16 {
    u16::from_be_bytes([person.0[0], person.0[1]]) >> 6
}

pub(super) fn path(directory: &Path, bucket: u16) -> PathBuf {
    directory.join(format!("{bucket:03x}"))
}

/// Where a bucket's text belongs, so that two files cannot change places.
fn place(store_id: &[u8; 16], bucket: u16) -> Vec<u8> {
    [&b"bucket"[..], store_id, &bucket.to_be_bytes()].concat()
}

pub(super) fn read(directory: &Path, bucket: u16, keys: &Keys, store_id: &[u8; 16]) -> Result<Vec<Entry>, VaultFault> {
    let path = path(directory, bucket);
    let Some(sealed) = files::read_if_there(&path, LARGEST)? else { return Ok(Vec::new()) };
    let damaged = |_| VaultFault::Damaged {
        path: path.clone(),
        what: "it does not open".to_owned(),
        remedy: "Restore it from a backup: without it the connections of about a thousandth of the researchers cannot be read.",
    };
    match keys.open_bytes(WHAT, &place(store_id, bucket), &sealed) {
        Ok(plain) => seal::decode(WHAT, &plain).map_err(damaged),
        Err(VaultFault::KeyDropped { id, path: ring, .. }) => {
            Err(VaultFault::KeyDropped { what: path.display().to_string(), id, path: ring })
        }
        Err(fault) => Err(damaged(fault)),
    }
}

/// The text of a bucket, sealed under the ring's active key.
pub(super) fn sealed(entries: &[Entry], bucket: u16, keys: &Keys, store_id: &[u8; 16]) -> Vec<u8> {
    keys.seal_bytes(&place(store_id, bucket), &seal::encode(&entries))
}

/// The ring key a bucket lies under; `None` if there is no such bucket.
pub(super) fn sealed_with(directory: &Path, bucket: u16) -> Result<Option<KeyId>, VaultFault> {
    let path = path(directory, bucket);
    if !files::exists(&path)? {
        return Ok(None);
    }
    let mut head = [0; 5];
    let read = std::fs::File::open(&path).and_then(|mut file| file.read_exact(&mut head));
    read.map_err(VaultFault::file("read", &path))?;
    seal::sealed_with(WHAT, &head).map(Some)
}

/// Persons and the data keys of theirs that were destroyed. A key on the list is never used again,
/// whichever backup it comes back from.
pub(super) struct Erased {
    path: PathBuf,
    /// Behind the last line that is known to be durable.
    end: u64,
    list: HashSet<([u8; 16], DataKeyId)>,
}

impl Erased {
    const LINE: usize = 2 * 24 + 1;

    pub(super) fn load(directory: &Path) -> Result<Self, VaultFault> {
        let path = directory.join("erased");
        let text = files::read_if_there(&path, LARGEST)?.unwrap_or_default();
        let mut list = HashSet::new();
        // A last line that a crash cut short was never acknowledged.
        for line in text.chunks_exact(Self::LINE) {
            list.insert(Self::parse(line).ok_or_else(|| VaultFault::Damaged {
                path: path.clone(),
                what: "it holds a line that is none".to_owned(),
                remedy: "Restore it from a backup: it says whose data must never come back.",
            })?);
        }
        let whole = &text[..text.len() - text.len() % Self::LINE];
        if whole.len() != text.len() {
            files::replace(&path, whole)?;
        }
        Ok(Self { path, end: whole.len() as u64, list })
    }

    fn parse(line: &[u8]) -> Option<([u8; 16], DataKeyId)> {
        let (hex, b"\n") = line.split_at_checked(Self::LINE - 1)? else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let mut bytes = [0; 24];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks(2)) {
            *byte = digit(&pair[0])? << 4 | digit(&pair[1])?;
        }
        let (person, id) = bytes.split_first_chunk::<16>()?;
        Some((*person, id.try_into().ok()?))
    }

    pub(super) fn holds(&self, person: Locator, id: &DataKeyId) -> bool {
        self.list.contains(&(person.0, *id))
    }

    /// Appends and syncs. What a failed attempt has written is cut off, at the latest by the next one: a
    /// line behind a piece of another would be none, and the next start would refuse the whole list.
    pub(super) fn add(&mut self, entries: &[Entry]) -> Result<(), VaultFault> {
        let mut text = String::new();
        for entry in entries {
            text.extend(entry.person.iter().chain(&entry.id).map(|byte| format!("{byte:02x}")));
            text.push('\n');
        }
        let fault = || VaultFault::file("append to", &self.path);
        let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        let mut file = options.map_err(fault())?;
        if let Err(failed) = self.append(&mut file, text.as_bytes()) {
            if let Err(again) = file.set_len(self.end).and_then(|()| file.sync_all()) {
                tracing::error!(path = %self.path.display(), %again, "a failed write to the list of the erased could not be cut off yet");
            }
            return Err(fault()(failed));
        }
        files::sync_directory(files::parent(&self.path))?;
        self.end += text.len() as u64;
        self.list.extend(entries.iter().map(|entry| (entry.person, entry.id)));
        Ok(())
    }

    fn append(&self, file: &mut File, text: &[u8]) -> io::Result<()> {
        let length = file.metadata()?.len();
        if length < self.end {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it has become shorter"));
        }
        if length > self.end {
            file.set_len(self.end)?;
        }
        file.seek(SeekFrom::Start(self.end))?;
        file.write_all(text)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u8) -> Entry {
        Entry { person: [number; 16], id: [number; 8], secret: [0; 32] }
    }

    #[test]
    fn what_a_failed_append_left_behind_is_cut_off() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("erased");
        let mut erased = Erased::load(place.path()).unwrap();
        erased.add(&[entry(1)]).unwrap();
        // A disk that filled up in the middle of a line, and would not even be cut back.
        let mut text = std::fs::read(&path).unwrap();
        text.extend_from_slice(b"0202020202");
        std::fs::write(&path, &text).unwrap();
        erased.add(&[entry(3)]).unwrap();
        let again = Erased::load(place.path()).unwrap();
        for (number, held) in [(1, true), (2, false), (3, true)] {
            assert_eq!(again.holds(Locator([number; 16]), &[number; 8]), held, "{number}");
        }
        std::fs::write(&path, b"").unwrap();
        assert!(erased.add(&[entry(4)]).is_err(), "somebody has emptied the list");
        assert!(!erased.holds(Locator([4; 16]), &[4; 8]));
    }

    #[test]
    fn t70_an_append_that_fails_leaves_the_list_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", place.path().join("erased")).unwrap();
        let path = place.path().join("erased");
        let mut erased = Erased { path, end: 0, list: HashSet::new() };
        assert!(erased.add(&[entry(1)]).is_err());
        assert!(erased.end == 0 && erased.list.is_empty());
    }
}
