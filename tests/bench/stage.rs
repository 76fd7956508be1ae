//! [`Stage`]: what every measurement stands on: a folder, a certificate, the app, and the simulated ORCID.

use crate::campus::browser::{Browser, Network};
use crate::campus::http::{Line, full};
use crate::campus::temp::{self, Authority};
use crate::process::{Process, listener, lychgate, role};
use http::{Request, header};
use http_body_util::BodyExt;
use serde_json::Value;
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
    pub simulator: Process,
    control: Control,
    _upstream: Process,
}

/// Where the simulator says what it was asked, and the token that opens it.
struct Control {
    address: SocketAddr,
    token: String,
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
        let mut command = lychgate(folder.path(), &["simulator", "--clients", "clients.toml"]);
        command.args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--ready-json", "--log", "warn"]);
        let (simulator, ready) = Process::announced(command, &place("simulator"));
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("missing in {ready}")).to_owned();
        let issuer = text(&ready["urls"]["simulator"]);
        let control = Control { address: listener(&ready, "control"), token: text(&ready["control_token"]) };
        Self { folder, authority, app, issuer, simulator, control, _upstream: upstream }
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

    /// How often the simulator's `endpoint` was asked so far.
    pub async fn asked(&self, endpoint: &str) -> u64 {
        let Control { address, token } = &self.control;
        let mut request = Request::new(full(""));
        *request.uri_mut() = format!("http://{address}/calls").parse().expect("an address");
        let bearer = format!("Bearer {token}").parse().expect("the token is printable");
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        let line = Line::plain(*address).await.expect("the simulator listens");
        let answer = line.send(request).await.expect("the simulator answers");
        let body = answer.into_body().collect().await.expect("the answer ends").to_bytes();
        let calls: Value = serde_json::from_slice(&body).expect("it is JSON");
        calls["counts"][endpoint].as_u64().unwrap_or_else(|| panic!("no count of {endpoint} in {calls}"))
    }

    /// A browser to whom every host of the benchmark is at `address`.
    pub fn browser(&self, address: SocketAddr) -> Browser {
        Browser::new(Arc::new(Network::new(address, self.authority.roots())))
    }
}
