//! The machine and the versions that a result belongs to.

use serde::Serialize;
use std::fs;
use std::process::Command;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    pub virtualised: bool,
    pub rustc: String,
    /// Whether gate and bare engine were built with what a training run has shown.
    pub guided: bool,
    pub nginx: String,
    pub apache: String,
    pub h2load: String,
}

impl Machine {
    pub fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(": ").map_or("", |(_, value)| value).to_owned()
        };
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = meminfo.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default();
        Self {
            processor: field("model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: kib.div_ceil(1024 * 1024),
            kernel: said("uname", &["-r"]),
            virtualised: field("flags").split(' ').any(|flag| flag == "hypervisor"),
            rustc: said("rustc", &["--version"]),
            guided: guided(),
            nginx: said("nginx", &["-v"]),
            apache: said("apache2", &["-v"]),
            h2load: said("h2load", &["--version"]),
        }
    }

    pub fn markdown(&self) -> String {
        let kind = if self.virtualised { "a virtual machine" } else { "a machine of its own" };
        let Self { processor, cores, memory_gib, kernel, rustc, nginx, apache, h2load, .. } = self;
        let rustc = if self.guided { format!("{rustc}, guided by a training run") } else { rustc.clone() };
        format!(
            "{processor}, {cores} cores, {memory_gib} GiB, {kind}; Linux {kernel}; {rustc}; {nginx}; {apache}; {h2load}.\n"
        )
    }
}

/// Whether `tests/bench/run --guided` has built this.
pub fn guided() -> bool {
    std::env::var_os("BENCH_GUIDED").is_some()
}

/// The first line a program says, on either stream.
fn said(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else { return format!("{program}: not there") };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}
