//! [`Stage`]: what every measurement stands on: a folder, a certificate, the app, and the simulated ORCID.

use crate::campus::browser::{Browser, Network};
use crate::campus::temp::{self, Authority};
use crate::process::{Process, listener, lychgate, role};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// The client that gate and Apache share at the simulator, and its secret.
pub const CLIENT: &str = "APP-BENCHMARKBENCHMA";
pub const CLIENT_SECRET: &str = "be7c4000-0000-4000-8000-00000000cafe";

/// Everything but the contenders.
pub struct Stage {
    pub folder: TempDir,
    pub authority: Authority,
    pub app: SocketAddr,
    pub issuer: String,
    _simulator: Process,
    _upstream: Process,
}

impl Stage {
    pub fn set() -> Self {
        let folder = temp::directory();
        let authority = Authority::new();
        authority.write(folder.path());
        authority.issue(&["*.bench.example"]).write(folder.path(), "leaf");
        let place = |name: &str| {
            let place = folder.path().join(name);
            std::fs::create_dir(&place).expect("a fresh folder is empty");
            place
        };
        let (upstream, ready) = Process::announced(role(&["upstream"]), &place("app"));
        let app = listener(&ready, "app");
        let clients = format!(
            "[[client]]\nid = \"{CLIENT}\"\nsecret = \"{CLIENT_SECRET}\"\nname = \"Benchmark\"\nmember = true\n\
             redirect_uris = [\"https://gate.bench.example/.lychgate/callback/main\", \"https://apache.bench.example/oidc\"]\n\
             onward_origins = [\"https://*.bench.example\"]\n"
        );
        temp::write(folder.path(), "clients.toml", clients);
        let wanted =
            ["simulator", "--listen", "127.0.0.1:0", "--clients", "clients.toml", "--ready-json", "--log", "warn"];
        let (simulator, ready) = Process::announced(lychgate(folder.path(), &wanted), &place("simulator"));
        let issuer = ready["urls"]["simulator"].as_str().expect("a text").to_owned();
        Self { folder, authority, app, issuer, _simulator: simulator, _upstream: upstream }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A folder of its own below the stage's.
    pub fn subfolder(&self, name: &str) -> PathBuf {
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder).expect("the folder of a run is writable");
        folder
    }

    /// A browser to whom every host of the benchmark is at `address`.
    pub fn browser(&self, address: SocketAddr) -> Browser {
        Browser::new(Arc::new(Network::new(address, self.authority.roots())))
    }
}
