//! [`Child`]: the real binary in a process of its own, as a person or a service manager runs it. Whatever
//! happens to a test, its child is ended by its own process id. Used by `cli`, `demo` and `browser`.

use crate::campus::{logs, temp};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child as Process, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything may take before the test fails with what the child has said. An unoptimised simulator
/// on a busy machine needs a while to make its key.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at something that cannot be waited for.
const BETWEEN: Duration = Duration::from_millis(20);

/// The binary under test, at home in `folder`: no variable of ours leaks in, and nothing it leaves behind
/// lands anywhere else.
pub fn lychgate<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lychgate"));
    command.args(arguments);
    at_home(&mut command, folder);
    command
}

/// Gives any command the same surroundings.
pub fn at_home(command: &mut Command, folder: &Path) {
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| name.starts_with("LYCHGATE_") || name.starts_with("LISTEN_"));
        if ours || name == "NOTIFY_SOCKET" || name == "CREDENTIALS_DIRECTORY" {
            command.env_remove(name);
        }
    }
    command.current_dir(folder).env("HOME", folder).env("TMPDIR", folder).env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null());
}

/// A verb that has ended.
#[derive(Debug)]
pub struct Ended {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Panics unless the exit code is `code`; returns itself for more questions.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert!(self.code == Some(code), "expected exit code {code}, got {:?}\n{}", self.code, self.story());
        self
    }

    /// Panics unless stderr holds each of `words`.
    #[track_caller]
    pub fn assert_complains(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "stderr does not say {word:?}\n{}", self.story());
        }
        self
    }

    /// Panics unless stdout holds each of `words`.
    #[track_caller]
    pub fn assert_says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stdout.contains(word), "stdout does not say {word:?}\n{}", self.story());
        }
        self
    }

    /// Stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{}", self.story()))
    }

    fn story(&self) -> String {
        format!("--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}

/// Runs a verb that ends by itself, at home in `folder`.
pub fn run<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Ended {
    Child::start(lychgate(folder, arguments)).ended()
}

/// A running binary.
pub struct Child {
    process: Process,
    lines: Receiver<String>,
    taken: String,
    stderr: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
    over: bool,
}

impl Child {
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        let stdout = process.stdout.take().expect("stdout is piped");
        let errors = process.stderr.take().expect("stderr is piped");
        let (sender, lines) = channel();
        let stderr = Arc::new(Mutex::new(String::new()));
        let kept = stderr.clone();
        let readers = vec![
            // A test that has ended listens no more; somebody must go on reading all the same.
            std::thread::spawn(move || read_lines(stdout, |line| drop(sender.send(line)))),
            std::thread::spawn(move || {
                read_lines(errors, |line| {
                    let mut kept = kept.lock().expect("nobody panics while holding this lock");
                    kept.push_str(&line);
                    kept.push('\n');
                });
            }),
        ];
        Self { process, lines, taken: String::new(), stderr, readers, over: false }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().expect("nobody panics while holding this lock").clone()
    }

    /// Waits for the ready line: the first line on stdout.
    pub fn ready(&mut self) -> Value {
        let line = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("no ready line\n{}", self.stderr()),
            Err(RecvTimeoutError::Disconnected) => panic!("it ended instead of getting ready\n{}", self.stderr()),
        };
        self.taken.push_str(&line);
        self.taken.push('\n');
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the ready line is not JSON: {error}\n{line}"))
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(sent.is_ok_and(|status| status.success()), "the child cannot be sent {name}\n{}", self.stderr());
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits until it has ended.
    pub fn ended(self) -> Ended {
        self.ended_within(PATIENCE)
    }

    /// Waits until it has ended; panics if that takes longer than `patience`.
    pub fn ended_within(mut self, patience: Duration) -> Ended {
        let end = Instant::now() + patience;
        let status = loop {
            match self.process.try_wait().expect("a child can be waited for") {
                Some(status) => break status,
                None if Instant::now() >= end => panic!("it does not end within {patience:?}\n{}", self.stderr()),
                None => std::thread::sleep(BETWEEN),
            }
        };
        self.over = true;
        for reader in self.readers.drain(..) {
            reader.join().expect("reading lines does not panic");
        }
        let mut stdout = std::mem::take(&mut self.taken);
        stdout.extend(self.lines.try_iter().flat_map(|line| [line, "\n".to_owned()]));
        Ended { code: status.code(), stdout, stderr: self.stderr() }
    }

    /// Sends `TERM` and waits.
    pub fn stop(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
        // What it logged is searched for secrets like the log of this process (T85). The passwords of the
        // demo's guide are published on purpose.
        let stderr = self.stderr();
        let logged: Vec<&str> = stderr.lines().filter(|line| !line.contains("   password simulated-")).collect();
        logs::add("child", &logged.join("\n"));
    }
}

fn read_lines(stream: impl std::io::Read, mut take: impl FnMut(String)) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while stream.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        take(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned());
        line.clear();
    }
}

/// The address under `/listeners/NAME` of a ready line.
#[track_caller]
pub fn listener(ready: &Value, name: &str) -> SocketAddr {
    let text = ready["listeners"][name].as_str().unwrap_or_else(|| panic!("no listener {name} in {ready}"));
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Waits until nobody accepts at `address` any more.
pub fn wait_until_closed(address: SocketAddr) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < end, "{address} still accepts");
        std::thread::sleep(BETWEEN);
    }
}

/// Every file below `folder`, and every folder, by path relative to it.
pub fn everything_in(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("the test made this folder").flatten() {
            let path = entry.path();
            let shown = path.strip_prefix(folder).expect("it was found below").display().to_string();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(path);
            }
            found.push(shown);
        }
    }
    found.sort();
    found
}

#[test]
fn a_child_is_ended_when_its_test_is_over() {
    let folder = temp::directory();
    let mut command = Command::new("sh");
    command.args(["-c", "echo '{\"pid\":'$$'}'; exec tail -f /dev/null"]);
    at_home(&mut command, folder.path());
    let mut child = Child::start(command);
    let ready = child.ready();
    assert_eq!(ready["pid"], child.pid());
    assert!(child.runs());
    let alive = format!("/proc/{}", child.pid());
    assert!(Path::new(&alive).exists());
    drop(child);
    assert!(!Path::new(&alive).exists());
}
