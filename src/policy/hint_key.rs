//! The key an app shares with the gate to say who is likely to come (J3): read from a file of its owner alone
//! (T90). Called by `compile`.

use super::load::Reader;
use super::read::Table;
use crate::domain::Problem;
use ring::hmac;
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// RFC 7518 §3.2: a key of HS256 has at least 256 bits; as text, 32 characters at the very least.
const SHORTEST: usize = 32;
const LONGEST: usize = 4096;
const EXPECTED: &str = "a file with one line of 32 characters or more, such as `openssl rand -base64 48` writes";

/// Verifies HMAC-SHA-256 (RFC 7518 §3.2); shows itself to nobody.
pub struct HintKey(hmac::Key);

impl HintKey {
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// In constant time.
    pub fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.0, message, tag).is_ok()
    }
}

impl fmt::Debug for HintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HintKey(…)")
    }
}

/// Reads `hint_key_file`; the path is relative to the policy file.
pub(super) fn hint_key(table: &Table<'_>, reader: &Reader<'_>) -> Option<HintKey> {
    let found = table.text("hint_key_file")?;
    let source = table.source;
    let path = source.file.parent().unwrap_or(Path::new("")).join(&found.value);
    let complain = |problem: Problem| source.add(problem.file(&source.file).line(found.line).key(found.key.clone()));
    let text = match reader.read(&path) {
        Ok(text) => text,
        Err(error) => {
            complain(Problem::error(format!("the file {} cannot be read: {error}", path.display())).expected(EXPECTED));
            return None;
        }
    };
    let mode = std::fs::metadata(&path).ok().map(|metadata| metadata.permissions().mode() & 0o777);
    if let Some(mode) = mode.filter(|mode| mode & 0o077 != 0) {
        let problem = Problem::error(format!("{} can be read or changed by others than its owner", path.display()));
        let remedy = format!("chmod 600 {}", path.display());
        complain(problem.found(format!("mode {mode:04o}")).expected("mode 0600 or 0400").remedy(remedy));
        return None;
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if !(SHORTEST..=LONGEST).contains(&secret.len()) || secret.chars().any(char::is_control) {
        complain(Problem::error(format!("the file {} does not hold a key", path.display())).expected(EXPECTED));
        return None;
    }
    Some(HintKey::new(secret.as_bytes()))
}
