//! Secrets and the files that hold them: read within bounds, refused when others can read them (T90).
//! Called by `build` and `build_clients`.

use super::take::Take;
use crate::domain::{ClientSecret, Problem};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// The largest secret, in bytes; real ones have 36.
const MAX_SECRET: u64 = 4096;

/// What is wrong with the permissions of a file that must be its owner's alone, if anything.
pub(super) fn too_open(path: &Path) -> Option<Problem> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| {
        Problem::error(format!("{} can be read or changed by others than its owner", path.display()))
            .found(format!("mode {mode:04o}"))
            .expected("mode 0600 or 0400")
            .remedy(format!("chmod 600 {}", path.display()))
    })
}

/// Complains unless `path` is a readable file of its owner alone.
pub(super) fn guard(take: &Take<'_>, key: &str, path: &Path) {
    match std::fs::File::open(path) {
        Ok(_) => {
            if let Some(problem) = too_open(path) {
                take.complain(key, problem);
            }
        }
        Err(error) => take.complain(key, unreadable(path, &error)),
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::error(format!("the file {} cannot be read: {error}", path.display()))
        .remedy("look at the name and at the permissions of the account the gate runs as")
}

/// The secret in a file: its first line, without the line break.
pub(super) fn read(path: &Path) -> Result<ClientSecret, Box<Problem>> {
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_SECRET + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(path, &error))?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if text.len() as u64 > MAX_SECRET || secret.is_empty() || secret.chars().any(char::is_control) {
        let message = format!("the file {} does not hold one secret in one line", path.display());
        return Err(Problem::error(message).expected("the client secret as ORCID shows it, and nothing else").into());
    }
    Ok(ClientSecret::new(secret))
}
