//! Certificates, policies, sealing keys and client secrets replaced on disk are picked up while the gate runs: by watching
//! their folders, by looking every now and then, and on request. What is broken keeps the old one and says so once;
//! nothing is ever half in force (J9, J10, T74).

use super::examine::{self, certificate_files};
use super::rotation::Rotation;
use super::sight::Sight;
use super::watches::Watches;
use crate::config::Settings;
use crate::domain::Problem;
use crate::metrics::Metrics;
use crate::policy::PolicySet;
use crate::tls::{CertificateFiles, CertificateStore};
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// What can be read again.
pub(super) struct Reloader {
    settings: Settings,
    files: Vec<CertificateFiles>,
    store: Arc<CertificateStore>,
    policies: Arc<ArcSwap<PolicySet>>,
    rotation: Rotation,
    metrics: Arc<Metrics>,
    /// One at a time: of two at once, the one that read first could be the one to stay.
    alone: Mutex<()>,
}

/// Why something stays as it was; empty if it does not.
pub(super) type Refused = Vec<Problem>;

/// What came of a reading, by the kind of what was read.
pub(super) type Outcome = BTreeMap<&'static str, Refused>;

impl Reloader {
    /// `policies` is the cell every request looks into.
    pub(super) fn new(
        settings: &Settings,
        store: Arc<CertificateStore>,
        policies: Arc<ArcSwap<PolicySet>>,
        rotation: Rotation,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (files, settings) = (certificate_files(settings), settings.clone());
        let reloader = Self { settings, files, store, policies, rotation, metrics, alone: Mutex::default() };
        reloader.publish_expiry();
        reloader
    }

    /// Reads everything again that can be. Blocks.
    pub(super) fn everything(&self) -> Outcome {
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        // Certificates before policies: a new site may stand on a new name.
        let read = [
            ("certificates", self.certificates()),
            ("policies", self.policies()),
            ("sealing-keys", self.rotation.sealing_keys()),
            ("client-secrets", self.rotation.client_secrets()),
        ];
        for (kind, refused) in &read {
            self.report(kind, refused);
        }
        read.into()
    }

    fn report(&self, kind: &str, refused: &Refused) {
        if !refused.is_empty() {
            self.metrics.reload_failures.with_label_values(&[kind]).inc();
        }
        let what = kind.replace('-', " ");
        for problem in refused {
            tracing::error!(%problem, "{what} changed on disk but cannot be used; the old ones stay");
        }
    }

    /// The same on a thread of its own, for reading files and checking keys blocks. `None` if it ended in a panic.
    pub(super) async fn aside(self: &Arc<Self>) -> Option<Outcome> {
        let reloader = self.clone();
        let outcome = tokio::task::spawn_blocking(move || reloader.everything()).await.ok();
        if outcome.is_none() {
            tracing::error!("reading files again ended in a panic; what was in use stays");
        }
        outcome
    }

    fn certificates(&self) -> Refused {
        let refused = self.store.reload(&self.files).err().unwrap_or_default();
        if refused.is_empty() {
            self.publish_expiry();
            tracing::info!("certificates were read again; new connections get the new ones");
        }
        refused
    }

    /// All or nothing: requests under way end under the set they began with, every later one is decided by the new
    /// one, and what is open is asked again within seconds (invariant 10).
    fn policies(&self) -> Refused {
        let (set, mut problems) = examine::policies(&self.settings, Some(&self.store));
        let Some(set) = set.filter(|set| !self.would_end_everything(set, &mut problems)) else {
            return problems.into_iter().filter(Problem::is_error).collect();
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

    /// A disk that is not mounted and a link to the wrong place look like a folder somebody emptied: taking it at its
    /// word would end every site at once.
    fn would_end_everything(&self, set: &PolicySet, problems: &mut Vec<Problem>) -> bool {
        let emptied = set.sites().is_empty() && !self.policies.load().sites().is_empty();
        if emptied {
            let problem = Problem::error("there are no policy files any more, but sites in force");
            problems.push(
                problem
                    .file(&self.settings.policies.directory)
                    .expected("a file NAME.toml for each site")
                    .remedy("put the files back; to protect nothing at all, stop the gate"),
            );
        }
        emptied
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

    /// What is in force came from these. Lists of iDs may lie elsewhere than the policies that name them.
    fn files(&self) -> Vec<PathBuf> {
        let policies = self.policies.load();
        let pairs = self.files.iter().flat_map(|pair| [&pair.cert, &pair.key]);
        pairs.chain(policies.files()).chain(self.rotation.files()).cloned().collect()
    }

    fn folders(&self) -> BTreeSet<PathBuf> {
        let files = self.files();
        let parents = files.iter().filter_map(|file| file.parent());
        let named = |folder: &Path| match folder.as_os_str().is_empty() {
            true => PathBuf::from("."),
            false => folder.to_owned(),
        };
        parents.chain([self.settings.policies.directory.as_path()]).map(named).collect()
    }

    async fn look(self: &Arc<Self>) -> Option<Sight> {
        let reloader = self.clone();
        let look = move || Sight::of(reloader.files(), &reloader.settings.policies.directory);
        tokio::task::spawn_blocking(look).await.ok()
    }

    /// Waits until files lie otherwise than they were seen, or a watch says that one of them changed.
    async fn differs(self: &Arc<Self>, seen: &Option<Sight>, watches: &mut Watches, every: Duration) {
        loop {
            tokio::select! {
                concerns = watches.change() => if concerns {
                    return;
                },
                () = tokio::time::sleep(every) => {}
            }
            if self.look().await != *seen {
                return;
            }
        }
    }

    /// Watches until `stop` turns true, and looks as often as `every` says.
    pub(super) async fn watch(self: Arc<Self>, every: Duration, mut stop: watch::Receiver<bool>) {
        let mut watches = Watches::new();
        loop {
            watches.rest().await;
            // Watched and seen before it is read: what changes meanwhile is noticed afterwards.
            let folders = self.folders();
            watches.renew(&folders, &self.files());
            let seen = self.look().await;
            self.aside().await;
            if self.folders() != folders {
                // New policies name lists in folders that nobody watched while they were read.
                continue;
            }
            tokio::select! {
                _ = stop.changed() => return,
                () = self.differs(&seen, &mut watches, every) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::domain::{Chance, Clock, SystemChance, SystemClock};
    use std::fs;

    const CONFIGURATION: &str = "gate.sign_in_host = \"gate.campus.example\"
policies.directory = \"policies\"
state.directory = \"state\"
tls.certificates = [{ cert = \"tls/gate.pem\", key = \"tls/gate.key\" }]
[clients.main]
environment = \"sandbox\"
id = \"APP-1\"
secret_file = \"orcid.secret\"
";

    fn write(path: PathBuf, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Two releases of the policies, a link to the first in a folder that is not watched, and all that a configuration
    /// refers to.
    fn two_releases() -> (tempfile::TempDir, Settings) {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        for release in ["41", "42"] {
            let site = format!("[site]\nname = \"of-{release}\"\nhosts = [\"a.campus.example\"]\nportal = true\n");
            write(at(release).join("site.toml"), &(site + "[[rule]]\naccess = \"signed-in\"\n"));
        }
        std::os::unix::fs::symlink("41", at("policies")).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["gate.campus.example".to_owned(), "*.campus.example".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        write(at("tls/gate.pem"), &certificate.pem());
        write(at("tls/gate.key"), &key.serialize_pem());
        write(at("orcid.secret"), "s3cr3t\n");
        write(at("lychgate.toml"), CONFIGURATION);
        let (settings, problems) = config::load(&at("lychgate.toml"), Vec::new(), Vec::new());
        (home, settings.unwrap_or_else(|| panic!("{problems:#?}")))
    }

    fn rotation(settings: &Settings) -> Rotation {
        crate::tls::install_provider();
        let (clock, chance): (Arc<dyn Clock>, Arc<dyn Chance>) =
            (Arc::new(SystemClock), Arc::new(SystemChance::default()));
        let vault = crate::app::open_vault(settings, &clock, &chance).unwrap();
        let providers = crate::app::providers::build(settings, 443, &clock).unwrap();
        Rotation::new(settings, vault, Arc::new(providers), tokio::runtime::Handle::current())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn t74_a_link_to_policies_that_leads_elsewhere_is_noticed_by_looking() {
        let (home, settings) = two_releases();
        let store = CertificateStore::load(&certificate_files(&settings)).unwrap();
        let (set, problems) = examine::policies(&settings, Some(&store));
        let policies = Arc::new(ArcSwap::from_pointee(set.unwrap_or_else(|| panic!("{problems:#?}"))));
        let metrics = Arc::new(Metrics::new().unwrap());
        let rotation = tokio::task::block_in_place(|| rotation(&settings));
        let reloader = Arc::new(Reloader::new(&settings, store, policies.clone(), rotation, metrics));
        let (stop, stopped) = watch::channel(false);
        let watching = tokio::spawn(reloader.watch(Duration::from_millis(50), stopped));
        // The first could be what is read at the start; after it only looking tells.
        for release in ["42", "41", "42"] {
            std::os::unix::fs::symlink(release, home.path().join("new")).unwrap();
            fs::rename(home.path().join("new"), home.path().join("policies")).unwrap();
            let in_force = || policies.load().sites()[0].name.to_string() == format!("of-{release}");
            let noticed = async {
                while !in_force() {
                    tokio::time::sleep(Duration::from_millis(10)).await
                }
            };
            tokio::time::timeout(Duration::from_secs(10), noticed).await.expect("it is noticed");
        }
        stop.send_replace(true);
        watching.await.unwrap();
    }
}
