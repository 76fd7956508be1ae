//! The contenders: what stands between the load and the app. Each is a process of its own with the same
//! certificate, two workers, and a pool of connections to the app.

mod apache;
mod engine;
pub mod gate;
mod nginx;

pub use gate::{GATE_FILE, Gate, Log, configure};

use engine::start as engine;
use nginx::start as nginx;

use crate::campus::browser::Browser;
use crate::process::Process;
use crate::stage::Stage;
use std::net::SocketAddr;
use std::sync::Arc;

/// One row of the table: a server, the address asked there, and the cookie that is shown.
#[derive(Clone)]
pub struct Contender {
    pub name: &'static str,
    pub server: Arc<Process>,
    pub address: SocketAddr,
    pub url: String,
    pub cookie: Option<String>,
}

/// Names, as the tables show them and the code finds them.
pub const NGINX: &str = "nginx, no sign-in";
pub const ENGINE: &str = "bare engine";
pub const PUBLIC: &str = "gate, public route";
pub const SIGNED_IN: &str = "gate, signed in";
pub const ASSERTED: &str = "gate, signed in, assertion";
pub const LOGGED: &str = "gate, signed in, a log line each";
pub const APACHE: &str = "Apache, mod_auth_openidc, signed in";
pub const SUBREQUEST: &str = "nginx, auth subrequest";

/// All of them.
pub async fn all(stage: &Stage) -> Vec<Contender> {
    let gate = Gate::open(stage, 2, Log::Warnings).await;
    let [public, signed_in, asserted] = gate.contenders();
    let [_, logged, _] = Gate::open(stage, 2, Log::Requests).await.contenders();
    let logged = Contender { name: LOGGED, ..logged };
    let cookie = signed_in.cookie.clone();
    let [forwarding, subrequest] = nginx(stage, &stage.subfolder("nginx"), cookie.as_deref(), 2);
    vec![
        forwarding,
        engine(stage, &stage.subfolder("engine"), cookie, 2),
        public,
        signed_in,
        asserted,
        logged,
        apache::start(stage).await,
        subrequest,
    ]
}

/// nginx, the bare engine, and the gate with somebody signed in.
pub async fn few(stage: &Stage) -> Vec<Contender> {
    few_of(stage, "few", 2).await
}

/// The same, each in a process of its own again, with so many threads; `name` is that of their folder.
pub async fn few_of(stage: &Stage, name: &str, cores: usize) -> Vec<Contender> {
    let folder = |of: &str| stage.subfolder(&format!("{name}/{of}"));
    let [_, signed_in, _] = Gate::open_in(stage, &folder("gate"), cores, Log::Warnings).await.contenders();
    let cookie = signed_in.cookie.clone();
    let [forwarding, _] = nginx(stage, &folder("nginx"), cookie.as_deref(), cores);
    vec![forwarding, engine(stage, &folder("engine"), cookie, cores), signed_in]
}

/// For each number of sites, the bare engine (always the same one, which knows of no sites) and a gate with so many,
/// where somebody is signed in at the one in the middle.
pub async fn among(stage: &Stage, sites: &[usize]) -> Vec<Vec<Contender>> {
    let mut all = Vec::new();
    let mut bare: Option<Contender> = None;
    for &sites in sites {
        let signed_in = Gate::among(stage, sites).await;
        let start = || engine(stage, &stage.subfolder("engine"), signed_in.cookie.clone(), 2);
        let bare = bare.get_or_insert_with(start).clone();
        all.push(vec![bare, signed_in]);
    }
    all
}

/// What a browser would send to `url`, as one field.
fn cookie_header(browser: &Browser, url: &str) -> String {
    let cookies = browser.cookies(url);
    assert!(!cookies.is_empty(), "nobody is signed in at {url}");
    cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ")
}
