//! [`Process`]: a server under measurement, in a process of its own (and those it makes). Its time and memory
//! are read from /proc; it is ended by its own id.

use serde_json::Value;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// USER_HZ: what /proc counts time in, on every Linux this runs on.
const TICK: Duration = Duration::from_millis(10);
/// How long a server may take to accept, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts `command` with what it writes in `folder`, and waits until it accepts at `address`.
    pub fn start(command: Command, folder: &Path, address: SocketAddr) -> Self {
        let (process, _) = Self::until(command, folder, || TcpStream::connect(address).ok());
        process
    }

    /// Starts `command` with what it writes in `folder`, and waits for the line of JSON by which our own programs
    /// say that they are ready.
    pub fn announced(command: Command, folder: &Path) -> (Self, Value) {
        let file = folder.join("stdout");
        Self::until(command, folder, || {
            let text = fs::read_to_string(&file).ok()?;
            let (line, _) = text.split_once('\n')?;
            Some(serde_json::from_str(line).unwrap_or_else(|error| panic!("no ready line: {error}\n{line}")))
        })
    }

    fn until<T>(mut command: Command, folder: &Path, mut ready: impl FnMut() -> Option<T>) -> (Self, T) {
        let file = |name: &str| fs::File::create(folder.join(name)).expect("the folder of a run is writable");
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        // From here on it is ended whatever happens.
        let mut process = Self { child };
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(ready) = ready() {
                return (process, ready);
            }
            let ended = process.child.try_wait().expect("a child can be asked");
            let said = || fs::read_to_string(folder.join("stderr")).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < end, "{command:?} is not ready: {ended:?}\n{}", said());
            // Short: how long a start takes is measured by it.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Politely first: a master has workers to end.
        let _ = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() >= end {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A port nobody holds at the moment, for servers that cannot be given port 0.
pub fn free_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address")
}

/// A process with everything it has started.
fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .expect("Linux has /proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.get(1)?.parse().ok()?)))
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found
}

/// The fields of /proc/PID/stat after the name, which may hold anything.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    Some(fields.split(' ').map(str::to_owned).collect())
}

/// Time on a processor so far, of the process and everything it has started, in user mode and in the kernel.
pub fn cpu(root: u32) -> Duration {
    let ticks = |pid| -> u32 {
        let fields = stat(pid).unwrap_or_default();
        fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<u32>().ok()).sum()
    };
    TICK * tree(root).into_iter().map(ticks).sum()
}

/// Memory in bytes: what is resident, with pages that processes share counted once.
pub fn memory(root: u32) -> u64 {
    let proportional = |pid| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    1024 * tree(root).into_iter().filter_map(proportional).sum::<u64>()
}

/// The most that was ever resident, in bytes, of this process alone.
pub fn peak(pid: u32) -> u64 {
    1024 * counted(pid, "status", "VmHWM:")
}

/// Bytes that the process has made a disk read: what the kernel had in memory does not count.
pub fn read_from_disk(pid: u32) -> u64 {
    counted(pid, "io", "read_bytes:")
}

/// Bytes that the process has had written to a disk.
pub fn written_to_disk(pid: u32) -> u64 {
    counted(pid, "io", "write_bytes:")
}

/// A number that stands in a file of /proc behind its name.
fn counted(pid: u32, file: &str, name: &str) -> u64 {
    let path = format!("/proc/{pid}/{file}");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{path} lacks {name}"));
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{path}: {line}"))
}

/// Waits until the process has nothing left to do: hardly any processor time in a whole second. What it was asked
/// to do in its own time is done then.
pub fn settle(root: u32) {
    let end = Instant::now() + 3 * PATIENCE;
    loop {
        let before = cpu(root);
        std::thread::sleep(Duration::from_secs(1));
        if cpu(root) - before <= 2 * TICK {
            return;
        }
        assert!(Instant::now() < end, "process {root} goes on and on");
    }
}

/// The connections that a server at `address` (IPv4) has taken and not ended.
pub fn connections(address: SocketAddr) -> usize {
    const ESTABLISHED: &str = "01";
    let SocketAddr::V4(address) = address else { panic!("{address}: everything is on 127.0.0.1") };
    let here = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux has /proc");
    let is_one = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().take(10).collect();
        // A connection that waits to be accepted belongs to nobody yet: its inode is 0.
        fields.len() == 10 && fields[1] == here && fields[3] == ESTABLISHED && fields[9] != "0"
    };
    table.lines().filter(is_one).count()
}

/// How many files this process and those it starts may hold open.
pub fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("Linux has /proc");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit of open files");
    let soft = line.split_whitespace().next().unwrap_or_default();
    if soft == "unlimited" { usize::MAX } else { soft.parse().expect("the limit is a number") }
}

/// The address under `/listeners/NAME` of a ready line.
pub fn listener(ready: &Value, name: &str) -> SocketAddr {
    let text = ready["listeners"][name].as_str().unwrap_or_else(|| panic!("no listener {name} in {ready}"));
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// This program in another role.
pub fn role(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("Linux knows"));
    command.args(arguments);
    command
}

/// The gate's own binary, as cargo has just built it.
pub fn lychgate(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lychgate"));
    command.args(arguments).current_dir(folder);
    command
}
