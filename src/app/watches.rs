//! Watches on the folders of files: when something changes in one, and whether it may be one of the files.

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Editors and copy tools write a file in several steps; a set is read once they have come to rest.
const REST: Duration = Duration::from_millis(300);
/// A folder that never rests is read nevertheless.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// Watches on folders, not files: a rename over a file ends a watch on it.
pub(super) struct Watches {
    /// `None` where the system gives none; looking must do.
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    news: Arc<News>,
    changes: mpsc::Receiver<()>,
}

/// What the thread that hears of changes needs to know, and tells.
#[derive(Default)]
struct News {
    names: Mutex<BTreeSet<OsString>>,
    concerns: AtomicBool,
}

impl News {
    /// Whether a change may be one of a file that is read: by its name, or because it has none.
    fn may_concern(&self, event: &notify::Event) -> bool {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |path: &PathBuf| path.file_name().is_some_and(|name| names.contains(name));
        let is_policy = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
        event.need_rescan()
            || event.paths.is_empty()
            || event.paths.iter().any(|path| is_known(path) || is_policy(path))
    }
}

impl Watches {
    pub(super) fn new() -> Self {
        let (changed, changes) = mpsc::channel::<()>(1);
        let news = Arc::new(News::default());
        let told = news.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if !event.kind.is_access() {
                if told.may_concern(&event) {
                    told.concerns.store(true, Ordering::Release);
                }
                // A full channel already says what there is to say.
                let _ = changed.try_send(());
            }
        });
        if let Err(fault) = &watcher {
            tracing::warn!(%fault, "files cannot be watched; changes are noticed later, or at SIGHUP");
        }
        Self { watcher: watcher.ok(), folders: BTreeSet::new(), news, changes }
    }

    /// Watches these folders and no others, for these files. Each anew, because a watch stays with the folder it was put
    /// on when another takes its place under the same name, and then hears of nothing ever again (T74).
    pub(super) fn renew(&mut self, folders: &BTreeSet<PathBuf>, files: &[PathBuf]) {
        let names = files.iter().filter_map(|file| file.file_name()).map(ToOwned::to_owned).collect();
        *self.news.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        self.news.concerns.store(false, Ordering::Release);
        let Some(watcher) = &mut self.watcher else { return };
        for folder in std::mem::take(&mut self.folders) {
            // Of a folder that is gone the watch has ended by itself.
            let _ = watcher.unwatch(&folder);
        }
        for folder in folders {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.folders.insert(folder.clone())),
                Err(fault) => {
                    tracing::warn!(%fault, folder = %folder.display(), "this folder cannot be watched; changes are noticed later, or at SIGHUP");
                }
            }
        }
    }

    /// Waits until something has changed in a folder. `true` at once if it may be one of the files; `false` when it has
    /// come to rest and was something else, by its name: a link on the way to the files, or a log that somebody keeps
    /// there, which must not have everything read again with every line, of which one says that it was read.
    pub(super) async fn change(&mut self) -> bool {
        let news = self.news.clone();
        let concerns = || news.concerns.load(Ordering::Acquire);
        // Known already when somebody stopped waiting here half-way.
        if !concerns() {
            if self.changes.recv().await.is_none() {
                // Nobody watches.
                std::future::pending::<()>().await;
            }
            if !concerns() {
                self.rest().await;
            }
        }
        concerns()
    }

    /// Waits until nothing has changed for a while.
    pub(super) async fn rest(&mut self) {
        let changes = &mut self.changes;
        let still =
            async { while tokio::time::timeout(REST, changes.recv()).await.is_ok_and(|change| change.is_some()) {} };
        // Too restless to wait any longer: read as it is, a broken set changes nothing.
        let _ = tokio::time::timeout(LONGEST_WAIT, still).await;
    }
}
