//! [`RealProvider`]: a provider of some make as a child process on a free port, its packages installed once, by name,
//! into the build directory. `provider.mjs` and `toolkit.py` are what it runs.

use crate::campus::browser::Browser;
use http::Method;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Installing takes seconds; a registry that does not answer must not hold the tests for ever.
const INSTALLING: Duration = Duration::from_secs(300);
const STARTING: Duration = Duration::from_secs(60);

/// Whose provider it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// The certified one of the npm index.
    OidcProvider,
    /// django-oauth-toolkit of the Python index.
    DjangoToolkit,
}

impl Make {
    fn package(self) -> &'static str {
        match self {
            Make::OidcProvider => "oidc-provider@9",
            Make::DjangoToolkit => "django-oauth-toolkit==3.*",
        }
    }

    /// What is there once the package is, below the folder it was installed into.
    fn proof(self) -> &'static str {
        match self {
            Make::OidcProvider => "node_modules/oidc-provider/package.json",
            Make::DjangoToolkit => "oauth2_provider/__init__.py",
        }
    }

    fn script(self) -> (&'static str, &'static str) {
        match self {
            Make::OidcProvider => ("node", "provider.mjs"),
            Make::DjangoToolkit => ("python3", "toolkit.py"),
        }
    }

    fn installer(self, into: &Path) -> Command {
        let mut command = match self {
            Make::OidcProvider => Command::new("npm"),
            Make::DjangoToolkit => Command::new("python3"),
        };
        match self {
            Make::OidcProvider => command.args([
                "install",
                "--no-audit",
                "--no-fund",
                "--no-package-lock",
                "--ignore-scripts",
                "--prefix",
            ]),
            Make::DjangoToolkit => {
                command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
            }
        };
        command.arg(into).arg(self.package());
        command
    }

    fn needs(self) -> &'static str {
        match self {
            Make::OidcProvider => "apt-get install nodejs npm",
            Make::DjangoToolkit => "apt-get install python3 python3-pip",
        }
    }
}

/// A running provider. Ends with its stdin, and is killed when dropped.
pub struct RealProvider {
    child: Child,
    _stdin: ChildStdin,
    said: Arc<Mutex<String>>,
    base: String,
    pub issuer: String,
}

impl RealProvider {
    /// Starts it with the settings its script wants; `modules` is added.
    pub async fn start(make: Make, settings: Value) -> Self {
        tokio::task::spawn_blocking(move || Self::launch(make, settings)).await.expect("starting does not panic")
    }

    fn launch(make: Make, mut settings: Value) -> Self {
        settings["modules"] = json!(modules(make));
        let (program, script) = make.script();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/providers").join(script);
        let mut child = Command::new(program)
            .arg(script)
            .arg(settings.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start ({error}): `{}`", make.needs()));
        let stdin = child.stdin.take().expect("stdin is piped");
        let said = Arc::new(Mutex::new(String::new()));
        listen(child.stderr.take().expect("stderr is piped"), said.clone());
        let (told, line) = std::sync::mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody waits for more than the first one.
                let _ = told.send(line);
            }
        });
        let mut provider = Self { child, _stdin: stdin, said, base: String::new(), issuer: String::new() };
        let ready = line.recv_timeout(STARTING).ok().and_then(|line| serde_json::from_str::<Value>(&line).ok());
        let Some(ready) = ready else { panic!("the provider did not become ready:\n{}", provider.said()) };
        provider.base = ready["base"].as_str().expect("the script says where it listens").to_owned();
        provider.issuer = ready["issuer"].as_str().expect("the script says who it is").to_owned();
        provider
    }

    /// What it wrote to stderr.
    pub fn said(&self) -> String {
        self.said.lock().expect("nobody panics while holding this lock").clone()
    }

    /// Something below `/control`.
    pub async fn control(&self, tool: &Browser, what: &str, body: Value) -> Value {
        let url = format!("{}/control/{what}", self.base);
        let answer = tool.request(Method::POST, &url).json(&body).by_tool().send().await;
        assert_eq!(answer.status, 200, "{what}: {}", self.said());
        answer.json()
    }

    /// How often it was asked for `what`, such as `GET /jwks`.
    pub async fn count(&self, tool: &Browser, what: &str) -> u64 {
        self.control(tool, "counts", json!({})).await[what].as_u64().unwrap_or_default()
    }
}

impl Drop for RealProvider {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what the provider said")]
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the provider said:\n{}", self.said());
        }
    }
}

/// Reads on, or a talkative child stops at a full pipe.
fn listen(mut from: impl Read + Send + 'static, into: Arc<Mutex<String>>) {
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(count) = from.read(&mut some) {
            if count == 0 {
                return;
            }
            into.lock()
                .expect("nobody panics while holding this lock")
                .push_str(&String::from_utf8_lossy(&some[..count]));
        }
    });
}

/// Where the packages of `make` lie; fetched by name the first time, by whichever test comes first.
fn modules(make: Make) -> PathBuf {
    static INSTALLING_NOW: Mutex<()> = Mutex::new(());
    let _alone = INSTALLING_NOW.lock().unwrap_or_else(PoisonError::into_inner);
    let safe: String = make.package().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(safe);
    if !place.join(make.proof()).exists() {
        install(make, &place);
    }
    place
}

fn install(make: Make, place: &Path) {
    // Beside it first: an installation cut short must not be taken for one.
    let trial = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo's temporary directory is writable");
    let mut installer = make
        .installer(trial.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{} cannot be installed ({error}): `{}`", make.package(), make.needs()));
    let said = Arc::new(Mutex::new(String::new()));
    listen(installer.stderr.take().expect("stderr is piped"), said.clone());
    let end = Instant::now() + INSTALLING;
    let status = loop {
        match installer.try_wait().expect("a child can be waited for") {
            Some(status) => break status,
            None if Instant::now() > end => {
                let _ = installer.kill();
                let _ = installer.wait();
                panic!("{} could not be installed within {INSTALLING:?}", make.package());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let said = said.lock().expect("nobody panics while holding this lock").clone();
    assert!(status.success(), "{} cannot be installed (`{}`?):\n{said}", make.package(), make.needs());
    // Another process may have been quicker; its installation is as good.
    if std::fs::rename(trial.path(), place).is_ok() {
        let _moved = trial.keep();
    }
    assert!(place.join(make.proof()).exists(), "something else was installed than {}", make.package());
}
