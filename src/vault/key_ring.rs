//! The key ring: a text file with one key per line, the last of which seals; all of them open.
//! Read by `Vault::open`; made and extended by `lychgate keys`.

use super::{VaultFault, files};
use crate::domain::{Chance, Clock, UnixTime};
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// More keys than anyone rotates through; a longer file is some other file.
const MOST_KEYS: usize = 64;
const LARGEST_FILE: u64 = 64 * 1024;

/// The public name of a key: four random bytes, printed as eight hex digits. Stands in every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub(super) [u8; 4]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What may be shown of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KeySummary {
    pub id: KeyId,
    pub created: UnixTime,
    /// Whether this is the key that seals; the others only open.
    pub active: bool,
}

impl fmt::Display for KeySummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_date(self.created);
        write!(f, "{}  made {year:04}-{month:02}-{day:02}  ", self.id)?;
        f.write_str(if self.active { "seals and opens" } else { "opens only" })
    }
}

/// Year, month and day of an instant in UTC (H. Hinnant, "chrono-compatible low-level date algorithms").
fn civil_date(at: UnixTime) -> (i64, i64, i64) {
    let days = at.0.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

pub(super) struct RingKey {
    pub(super) id: KeyId,
    pub(super) created: UnixTime,
    pub(super) secret: Zeroizing<[u8; 32]>,
}

/// The keys of one file in its order; never empty.
pub(super) struct KeyRing {
    pub(super) keys: Vec<RingKey>,
    /// The file, to name it in complaints.
    pub(super) path: PathBuf,
}

impl KeyRing {
    /// Reads a key file; `None` when there is none. Refuses one that others may read (T90) and one with
    /// anything wrong in it (T73).
    pub(super) fn load(path: &Path) -> Result<Option<Self>, VaultFault> {
        let Some(text) = files::read_if_there(path, LARGEST_FILE)?.map(Zeroizing::new) else { return Ok(None) };
        let mode = fs::metadata(path).map_err(VaultFault::file("look at", path))?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(VaultFault::KeyFileExposed { path: path.to_owned(), mode });
        }
        Self::parse(&text, path).map(Some)
    }

    fn parse(text: &[u8], path: &Path) -> Result<Self, VaultFault> {
        let file = |what| VaultFault::KeyFile { path: path.to_owned(), what };
        let text = std::str::from_utf8(text).map_err(|_| file("bytes that are not text"))?;
        let mut keys: Vec<RingKey> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bad = |what| VaultFault::KeyLine { path: path.to_owned(), line: at + 1, what };
            let key = parse_line(line).map_err(bad)?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(bad("this id stands twice"));
            }
            if keys.len() == MOST_KEYS {
                return Err(file("more than 64 keys"));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(file("no key; `lychgate keys generate` makes a new file"));
        }
        Ok(Self { keys, path: path.to_owned() })
    }

    fn draw(clock: &dyn Clock, chance: &dyn Chance) -> RingKey {
        RingKey { id: KeyId(chance.bytes()), created: clock.now(), secret: Zeroizing::new(chance.bytes()) }
    }

    /// The key that seals.
    pub(super) fn active(&self) -> &RingKey {
        self.keys.last().expect("a ring is never empty")
    }

    fn text(&self) -> Zeroizing<String> {
        // Room for every line, so that growing leaves no copy of a key behind.
        let mut text = Zeroizing::new(String::with_capacity(256 + self.keys.len() * 128));
        text.push_str(
            "# Sealing keys of a lychgate vault: id, creation time, key. The last one seals, all of them open.\n",
        );
        for key in &self.keys {
            let _ = write!(text, "{} {} ", key.id, key.created.0);
            key.secret.iter().for_each(|byte| {
                let _ = write!(text, "{byte:02x}");
            });
            text.push('\n');
        }
        text
    }
}

fn parse_line(line: &str) -> Result<RingKey, &'static str> {
    let mut words = line.split_ascii_whitespace();
    let (Some(id), Some(created), Some(secret), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err("it does not consist of three words");
    };
    let id = from_hex(id).ok_or("the id is not eight hex digits")?;
    let created = created.parse().map_err(|_| "the creation time is not a number of seconds")?;
    let secret = Zeroizing::new(from_hex(secret).ok_or("the key is not 64 hex digits")?);
    Ok(RingKey { id: KeyId(id), created: UnixTime(created), secret })
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Makes a key file with one fresh key, mode 0600; never touches an existing file. Gives the key's id.
pub fn generate_key_file(path: &Path, clock: &dyn Clock, chance: &dyn Chance) -> Result<KeyId, VaultFault> {
    let ring = KeyRing { keys: vec![KeyRing::draw(clock, chance)], path: path.to_owned() };
    // `create_new` follows no symbolic link and loses no race: whoever made the file first keeps it.
    let mut file = match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => file,
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            return Err(VaultFault::KeyFileExists { path: path.to_owned() });
        }
        Err(fault) => return Err(VaultFault::file("make", path)(fault)),
    };
    file.write_all(ring.text().as_bytes()).and_then(|()| file.sync_all()).map_err(VaultFault::file("write", path))?;
    files::sync_directory(files::parent(path))?;
    Ok(ring.active().id)
}

/// Adds a fresh key, which seals once a running gate has read the file again, or from the next start on. The old keys stay:
/// they still open what they sealed. Gives the new key's id.
pub fn rotate_key_file(path: &Path, clock: &dyn Clock, chance: &dyn Chance) -> Result<KeyId, VaultFault> {
    let missing = || VaultFault::KeyFile { path: path.to_owned(), what: "nothing: there is no such file" };
    let mut ring = KeyRing::load(path)?.ok_or_else(missing)?;
    if ring.keys.len() == MOST_KEYS {
        return Err(VaultFault::KeyFile { path: path.to_owned(), what: "64 keys already; remove the oldest lines" });
    }
    let before = fs::metadata(path).map_err(VaultFault::file("look at", path))?;
    let mut key = KeyRing::draw(clock, chance);
    while ring.keys.iter().any(|earlier| earlier.id == key.id) {
        key = KeyRing::draw(clock, chance);
    }
    ring.keys.push(key);
    let beside = files::unfinished(path);
    files::write_synced(&beside, ring.text().as_bytes())?;
    // Run as root for a gate that is not: the file must stay the gate's.
    let after = fs::metadata(&beside).map_err(VaultFault::file("look at", &beside))?;
    if (before.uid(), before.gid()) != (after.uid(), after.gid()) {
        std::os::unix::fs::chown(&beside, Some(before.uid()), Some(before.gid()))
            .map_err(VaultFault::file("keep the owner of", path))?;
    }
    fs::rename(&beside, path).map_err(VaultFault::file("replace", path))?;
    files::sync_directory(files::parent(path))?;
    Ok(ring.active().id)
}

/// The ids and ages of a key file's keys, in its order; the last is the active one.
pub fn list_keys(path: &Path) -> Result<Vec<KeySummary>, VaultFault> {
    let missing = || VaultFault::KeyFile { path: path.to_owned(), what: "nothing: there is no such file" };
    let ring = KeyRing::load(path)?.ok_or_else(missing)?;
    let active = ring.active().id;
    Ok(ring.keys.iter().map(|key| KeySummary { id: key.id, created: key.created, active: key.id == active }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{StoppedClock, SystemChance};

    fn parse(text: &str) -> Result<KeyRing, String> {
        KeyRing::parse(text.as_bytes(), Path::new("keys")).map_err(|fault| fault.to_string())
    }

    #[test]
    fn t73_a_key_file_with_anything_wrong_is_refused_and_the_line_named() {
        let good = "a".repeat(64);
        for (text, says) in [
            (String::new(), "no key"),
            ("# only a remark\n\n".to_owned(), "no key"),
            (format!("01020304 1700000000 {}", "a".repeat(63)), "line 1: the key is not 64 hex digits"),
            (format!("01020304 1700000000 {}", "a".repeat(66)), "the key is not 64 hex digits"),
            (format!("01020304 1700000000 {}", "g".repeat(64)), "the key is not 64 hex digits"),
            (format!("01020304 1700000000 {}", "é".repeat(32)), "the key is not 64 hex digits"),
            (format!("# x\n0102 1700000000 {good}"), "line 2: the id is not eight hex digits"),
            (format!("01020304 soon {good}"), "the creation time is not a number"),
            (format!("01020304 {good}"), "three words"),
            (format!("01020304 1 {good} more"), "three words"),
            (format!("01020304 1 {good}\n01020304 2 {good}"), "line 2: this id stands twice"),
        ] {
            let fault = parse(&text).err().unwrap_or_else(|| panic!("accepted: {text}"));
            assert!(fault.contains(says), "{fault}");
            assert!(!fault.contains(&good) && !fault.contains("aaaa"), "no key in an error");
        }
        let ring = parse(&format!("01020304 1 {good}\n\n # r\n 0a0b0c0d 2 {}", "B".repeat(64))).unwrap();
        assert_eq!(ring.active().id.to_string(), "0a0b0c0d");
        assert_eq!(*ring.active().secret, [0xbb; 32]);
    }

    #[test]
    fn t90_a_key_file_is_made_rotated_and_listed_and_refused_when_others_may_read_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("keys");
        let (clock, chance) = (StoppedClock::at(1_795_500_000), SystemChance::default());
        let first = generate_key_file(&path, &clock, &chance).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(generate_key_file(&path, &clock, &chance), Err(VaultFault::KeyFileExists { .. })));
        let second = rotate_key_file(&path, &clock, &chance).unwrap();
        let listed = list_keys(&path).unwrap();
        assert_eq!(listed.iter().map(|key| (key.id, key.active)).collect::<Vec<_>>(), [(first, false), (second, true)]);
        assert_eq!(listed[1].to_string(), format!("{second}  made 2026-11-24  seals and opens"));
        for mode in [0o644, 0o640, 0o602] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let fault = list_keys(&path).unwrap_err().to_string();
            assert!(fault.contains(&format!("{mode:04o}")) && fault.contains("chmod 600"), "{fault}");
        }
    }

    #[test]
    fn dates() {
        for (seconds, date) in
            [(0, (1970, 1, 1)), (951_782_400, (2000, 2, 29)), (2_147_483_648, (2038, 1, 19)), (-1, (1969, 12, 31))]
        {
            assert_eq!(civil_date(UnixTime(seconds)), date);
        }
    }
}
