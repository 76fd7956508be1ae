//! [`RealProvider`]: a provider of some make as a child process on a free port. `provider.mjs` and `toolkit.py` are
//! what it runs.

use crate::campus::browser::Browser;
use crate::campus::installed;
use http::Method;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    /// What runs its script; the packages are installed first, if they are not there.
    fn program(self) -> PathBuf {
        match self {
            Make::OidcProvider => installed::node_program(),
            Make::DjangoToolkit => installed::python(),
        }
    }

    fn script(self) -> &'static str {
        match self {
            Make::OidcProvider => "providers/provider.mjs",
            Make::DjangoToolkit => "providers/toolkit.py",
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
    /// Starts it with the settings its script wants; `modules` is added for Node.js.
    pub async fn start(make: Make, settings: Value) -> Self {
        tokio::task::spawn_blocking(move || Self::launch(make, settings)).await.expect("starting does not panic")
    }

    fn launch(make: Make, mut settings: Value) -> Self {
        if make == Make::OidcProvider {
            settings["modules"] = json!(installed::node());
        }
        let program = make.program();
        let mut child = Command::new(&program)
            .arg(installed::script(make.script()))
            .arg(settings.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
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
