//! [`CacheFile`]: the provider's discovery document and keys on disk, so that a gate starts while the
//! provider is down. Only `directory` uses it, and checks everything it reads as if it came fresh.

use crate::domain::UnixTime;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::sync::Mutex;

const FORMAT: u32 = 1;
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// One fetched document and its times.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) fetched: UnixTime,
    pub(super) fresh_until: UnixTime,
    pub(super) document: serde_json::Value,
}

/// The file's whole contents, JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Contents {
    format: u32,
    issuer: String,
    pub(super) endpoints: Option<Entry>,
    pub(super) keys: Option<Entry>,
}

pub(super) struct CacheFile {
    path: PathBuf,
    issuer: String,
    writing: Mutex<()>,
}

impl CacheFile {
    pub(super) fn new(path: PathBuf, issuer: String) -> Self {
        Self { path, issuer, writing: Mutex::new(()) }
    }

    /// What the file holds, or nothing: a file that is missing, broken, of another issuer, or that
    /// somebody else may write (they could plant keys) is as good as none.
    pub(super) async fn read(&self) -> Option<Contents> {
        let path = self.path.clone();
        let bytes = match tokio::task::spawn_blocking(move || read_private(&path)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => return None,
            Ok(Err(error)) => {
                tracing::warn!(file = %self.path.display(), %error, "the provider cache is not used");
                return None;
            }
            Err(_) => return None,
        };
        let contents: Contents = serde_json::from_slice(&bytes).ok()?;
        (contents.format == FORMAT && contents.issuer == self.issuer).then_some(contents)
    }

    /// Replaces the file as a whole, mode 0600: a crash leaves the old one or the new one.
    pub(super) async fn write(&self, endpoints: Option<Entry>, keys: Option<Entry>) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().await;
        let contents = Contents { format: FORMAT, issuer: self.issuer.clone(), endpoints, keys };
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || write_private(&path, &contents)).await.map_err(io::Error::other)?
    }
}

fn read_private(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode();
    if mode & 0o022 != 0 {
        let why = format!("others may write it (mode {:04o}); it should be 0600", mode & 0o7777);
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_private(path: &Path, contents: &Contents) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A named temporary file is made with mode 0600 and removed again if anything below fails.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&serde_json::to_vec(contents)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
