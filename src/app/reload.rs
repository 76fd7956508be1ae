//! Certificates and policies replaced on disk are picked up while the gate runs: by watching their folders, and on
//! request. A broken set keeps the old one and says so once; nothing is ever half in force (J9, T74).

use super::examine::{self, certificate_files};
use crate::config::Settings;
use crate::domain::Problem;
use crate::metrics::Metrics;
use crate::policy::PolicySet;
use crate::tls::{CertificateFiles, CertificateStore};
use arc_swap::ArcSwap;
use notify::{RecursiveMode, Watcher};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Editors and copy tools write a file in several steps; a set is read once they have come to rest.
const REST: Duration = Duration::from_millis(300);
/// A folder that never rests, because somebody logs into it, is read nevertheless.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// What can be read again.
pub(super) struct Reloader {
    settings: Settings,
    files: Vec<CertificateFiles>,
    store: Arc<CertificateStore>,
    policies: Arc<ArcSwap<PolicySet>>,
    metrics: Arc<Metrics>,
    /// One at a time: of two at once, the one that read first could be the one to stay.
    alone: Mutex<()>,
}

/// What came of a reading.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Why certificates stay as they were; empty if they do not.
    pub certificates: Vec<Problem>,
    /// Why policies stay as they were; empty if they do not.
    pub policies: Vec<Problem>,
}

impl Reloader {
    /// `policies` is the cell every request looks into.
    pub(super) fn new(
        settings: &Settings,
        store: Arc<CertificateStore>,
        policies: Arc<ArcSwap<PolicySet>>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (files, settings) = (certificate_files(settings), settings.clone());
        let reloader = Self { settings, files, store, policies, metrics, alone: Mutex::default() };
        reloader.publish_expiry();
        reloader
    }

    /// Reads certificates and policies again. Blocks.
    pub(super) fn everything(&self) -> Outcome {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        // Certificates first: a new site may stand on a new name.
        Outcome { certificates: self.certificates(), policies: self.policies() }
    }

    fn certificates(&self) -> Vec<Problem> {
        match self.store.reload(&self.files) {
            Ok(()) => {
                self.publish_expiry();
                tracing::info!("certificates were read again; new connections get the new ones");
                Vec::new()
            }
            Err(problems) => {
                self.metrics.reload_failures.with_label_values(&["certificates"]).inc();
                for problem in &problems {
                    tracing::error!(%problem, "certificates changed on disk but cannot be used; the old ones stay");
                }
                problems
            }
        }
    }

    /// All or nothing: requests under way end under the set they began with, every later one is decided by the new
    /// one, and what is open is asked again within seconds (invariant 10).
    fn policies(&self) -> Vec<Problem> {
        let (set, problems) = examine::policies(&self.settings, Some(&self.store));
        let Some(set) = set else {
            self.metrics.reload_failures.with_label_values(&["policies"]).inc();
            let errors: Vec<Problem> = problems.into_iter().filter(Problem::is_error).collect();
            for problem in &errors {
                tracing::error!(%problem, "policies changed on disk but cannot be used; the old ones stay");
            }
            return errors;
        };
        if set.generation() != self.policies.load().generation() {
            for problem in &problems {
                tracing::warn!(%problem, "a policy is odd");
            }
            tracing::info!(generation = set.generation(), sites = set.sites().len(), "new policies are in force");
            self.policies.store(Arc::new(set));
        }
        Vec::new()
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

    /// Where what is in force came from. Lists of iDs may lie elsewhere than the policies that name them.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let policies = self.policies.load();
        let pairs = self.files.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        let parents = pairs.chain(policies.files()).filter_map(|file| file.parent());
        let named = |folder: &Path| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_owned(),
        };
        parents.chain([self.settings.policies.directory.as_path()]).map(named).collect()
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
                tracing::warn!(%fault, "certificates and policies cannot be watched; SIGHUP makes the gate read them again");
                return;
            }
        };
        let mut watched = BTreeSet::new();
        // Whatever changed before the watches were in place would be missed.
        let mut looked = false;
        loop {
            for folder in self.folders() {
                if !watched.insert(folder.clone()) {
                    continue;
                }
                if let Err(fault) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
                    tracing::warn!(%fault, folder = %folder.display(), "this folder cannot be watched; SIGHUP makes the gate read it again");
                }
            }
            if looked {
                tokio::select! {
                    _ = stop.changed() => return,
                    Some(()) = changes.recv() => {}
                }
            }
            looked = true;
            rest(&mut changes).await;
            let reloader = self.clone();
            // Reading files and checking keys blocks.
            if tokio::task::spawn_blocking(move || reloader.everything()).await.is_err() {
                tracing::error!("reading certificates and policies again ended in a panic; the old ones stay");
            }
        }
    }
}

/// Waits until nothing has changed for a while.
async fn rest(changes: &mut mpsc::Receiver<()>) {
    let still =
        async { while tokio::time::timeout(REST, changes.recv()).await.is_ok_and(|change| change.is_some()) {} };
    // Too restless to wait any longer: read as it is, a broken set changes nothing.
    let _ = tokio::time::timeout(LONGEST_WAIT, still).await;
}
