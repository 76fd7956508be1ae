//! A gate in a process of its own beside a campus's, to be killed, starved or refused a start. Used by
//! `vault_faults`.

use crate::campus::browser::{Browser, Network};
use crate::campus::{Campus, logs};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// The campus's configuration for a second gate, which has a state directory of its own.
pub(crate) fn second_gate(campus: &Campus) -> PathBuf {
    let mut text = fs::read_to_string(campus.file()).unwrap();
    for (from, to) in [
        ("directory = \"state\"", "directory = \"second\""),
        ("key_file = \"keys\"", "key_file = \"second-keys\""),
        ("socket = \"admin.sock\"", "socket = \"second.sock\""),
    ] {
        assert!(text.contains(from), "{text}");
        text = text.replace(from, to);
    }
    let path = campus.folder().join("second.toml");
    fs::write(&path, text + "\n[log]\nlevel = \"debug\"\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A gate in a process of its own; killed with the value.
pub(crate) struct Process {
    pub(crate) child: std::process::Child,
    pub(crate) gate: SocketAddr,
    ops: SocketAddr,
    log: Arc<Mutex<String>>,
}

fn command(file: &Path) -> Command {
    // Writing beyond a limit on file sizes is to be an error, as on a full disk, and not the end.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_lychgate"), "serve", "--config"]);
    command.arg(file).arg("--ready-json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Process {
    fn spawn(mut command: Command) -> Result<Self, String> {
        let mut child = command.spawn().expect("the program was built");
        let (log, (tell, told)) = (Arc::new(Mutex::new(String::new())), mpsc::channel());
        let (mut stderr, stdout) = (child.stderr.take().unwrap(), child.stdout.take().unwrap());
        let collected = log.clone();
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(read @ 1..) = stderr.read(&mut piece) {
                collected.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..read]));
            }
        });
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = tell.send(line);
        });
        let line = told.recv_timeout(PATIENCE).unwrap_or_default();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { child, gate: nowhere, ops: nowhere, log };
        let Ok(ready) = serde_json::from_str::<serde_json::Value>(&line) else {
            let end = process.end_of_its_own();
            let _ = reader.join();
            return Err(format!("{end}\n{}", process.log.lock().unwrap()));
        };
        process.gate = ready["listeners"]["gate"].as_str().unwrap().parse().unwrap();
        process.ops = ready["listeners"]["ops"].as_str().unwrap().parse().unwrap();
        Ok(process)
    }

    pub(crate) async fn start(file: &Path) -> Self {
        let command = command(file);
        let started = tokio::task::spawn_blocking(move || Self::spawn(command)).await.unwrap();
        started.unwrap_or_else(|why| panic!("the gate does not start: {why}"))
    }

    /// Runs a gate that must not start; what it says.
    pub(crate) async fn refuses(file: &Path, more: &[&str]) -> String {
        let mut command = command(file);
        command.args(more);
        let started = tokio::task::spawn_blocking(move || Self::spawn(command)).await.unwrap();
        let Err(said) = started else { panic!("the gate starts all the same") };
        assert!(said.starts_with("exit status: 2"), "{said}");
        said
    }

    fn end_of_its_own(&mut self) -> String {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.to_string();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        "it neither became ready nor ended".to_owned()
    }

    /// `kill -9`: no farewell, no flush.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn network(&self, campus: &Campus) -> Arc<Network> {
        Arc::new(Network::new(self.gate, campus.authority.roots()).with_watch(campus.watch.clone()))
    }

    /// The same, for crowds: of each of a million cookies nobody looks through the log whether it stands there.
    pub(crate) fn network_of_a_crowd(&self, campus: &Campus) -> Arc<Network> {
        Arc::new(Network::new(self.gate, campus.authority.roots()))
    }

    pub(crate) async fn ops(&self, browser: &Browser, path: &str) -> (u16, String) {
        let answer = browser.get(&format!("http://{}{path}", self.ops)).by_tool().send().await;
        (answer.status.as_u16(), answer.text())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killed already, perhaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
        logs::add("second gate", &self.log.lock().unwrap());
    }
}
