//! Certificates replaced on disk are picked up while the gate runs: by watching their folders, and on
//! request. A broken set keeps the old one and says so once.

use super::examine::certificate_files;
use crate::config::Settings;
use crate::metrics::Metrics;
use crate::tls::{CertificateFiles, CertificateStore};
use notify::{RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Editors and copy tools write a file in several steps; a set is read once they have come to rest.
const REST: Duration = Duration::from_millis(300);

/// What can be read again.
pub(super) struct Reloader {
    files: Vec<CertificateFiles>,
    store: Arc<CertificateStore>,
    metrics: Arc<Metrics>,
}

impl Reloader {
    pub(super) fn new(settings: &Settings, store: Arc<CertificateStore>, metrics: Arc<Metrics>) -> Self {
        let reloader = Self { files: certificate_files(settings), store, metrics };
        reloader.publish_expiry();
        reloader
    }

    /// Reads the certificates again.
    pub(super) fn certificates(&self) {
        match self.store.reload(&self.files) {
            Ok(()) => {
                self.publish_expiry();
                tracing::info!("certificates were read again; new connections get the new ones");
            }
            Err(problems) => {
                self.metrics.reload_failures.with_label_values(&["certificates"]).inc();
                for problem in problems {
                    tracing::error!(%problem, "certificates changed on disk but cannot be used; the old ones stay");
                }
            }
        }
    }

    fn publish_expiry(&self) {
        self.metrics.certificate_expiry.reset();
        for certificate in self.store.current().all() {
            self.metrics
                .certificate_expiry
                .with_label_values(&[&certificate.names().join(",")])
                .set(certificate.expires);
        }
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let parents = self.files.iter().flat_map(|pair| [&pair.cert, &pair.key]).filter_map(|file| file.parent());
        parents
            .map(|folder| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() })
            .collect()
    }

    /// Watches until `stop` turns true. Folders, not files: a rename over a file ends a watch on it.
    pub(super) async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (changed, mut changes) = mpsc::channel::<()>(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // A full channel already says what there is to say.
            if event.is_ok_and(|event| !event.kind.is_access()) {
                let _ = changed.try_send(());
            }
        });
        let mut watcher = match watcher {
            Ok(watcher) => watcher,
            Err(fault) => {
                tracing::warn!(%fault, "certificate files cannot be watched; SIGHUP makes the gate read them again");
                return;
            }
        };
        for folder in self.folders() {
            if let Err(fault) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                tracing::warn!(%fault, folder = %folder.display(), "this folder cannot be watched; SIGHUP makes the gate read it again");
            }
        }
        // Whatever changed before the watches were in place would be missed.
        let mut looked = false;
        loop {
            if looked {
                tokio::select! {
                    _ = stop.changed() => return,
                    Some(()) = changes.recv() => {}
                }
            }
            looked = true;
            while tokio::time::timeout(REST, changes.recv()).await.is_ok_and(|change| change.is_some()) {}
            let reloader = self.clone();
            // Reading files and checking keys blocks.
            if tokio::task::spawn_blocking(move || reloader.certificates()).await.is_err() {
                tracing::error!("reading the certificates again ended in a panic; the old ones stay");
            }
        }
    }
}
