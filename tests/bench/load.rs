//! Load from h2load (nghttp2-client), the same client for both versions of HTTP, and what it saw.

use crate::campus::temp;
use crate::contenders::Contender;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

/// Which HTTP is spoken, and over how many connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    One { connections: usize },
    Two { connections: usize, streams: usize },
}

impl Http {
    pub const USUAL: [Self; 2] = [Self::One { connections: 64 }, Self::Two { connections: 32, streams: 8 }];

    pub fn name(self) -> &'static str {
        match self {
            Self::One { .. } => "HTTP/1.1",
            Self::Two { .. } => "HTTP/2",
        }
    }

    fn arguments(self) -> Vec<String> {
        match self {
            Self::One { connections } => vec!["--h1".into(), format!("-c{connections}")],
            Self::Two { connections, streams } => vec![format!("-c{connections}"), format!("-m{streams}")],
        }
    }
}

/// What a browser sends with every navigation: half a kilobyte besides the cookie.
pub const BROWSER: &[(&str, &str)] = &[
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    ("accept-language", "en-GB,en;q=0.9,de;q=0.8"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36",
    ),
    ("sec-ch-ua", "\"Chromium\";v=\"150\", \"Not;A=Brand\";v=\"24\""),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-ch-ua-platform", "\"Linux\""),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-user", "?1"),
    ("upgrade-insecure-requests", "1"),
];

fn h2load(contender: &Contender, http: Http) -> Command {
    let mut command = Command::new("h2load");
    command.args(http.arguments()).arg("-t1").arg(format!("--connect-to={}", contender.address));
    for (name, value) in BROWSER {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    if let Some(cookie) = &contender.cookie {
        command.args(["-H", &format!("cookie: {cookie}")]);
    }
    command.arg(&contender.url);
    command
}

/// Asks `contender` for its page so many times, over new connections, and panics unless every answer has status 200.
/// A load that runs for a time ([`Load`]) stops asking where its connection is cut, and says nothing; this one tells.
pub fn answered(contender: &Contender, http: Http, requests: usize) {
    let mut command = h2load(contender, http);
    command.arg(format!("-n{requests}")).arg("--connection-inactivity-timeout=10s");
    let output = command.output().unwrap_or_else(|error| panic!("h2load (nghttp2-client) is missing: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    let good = said.contains(&all) && said.contains(&format!("status codes: {requests} 2xx"));
    assert!(output.status.success() && good, "{}: not every request was answered\n{said}", contender.name);
}

/// A running load.
pub struct Load {
    child: Child,
    log: PathBuf,
    output: PathBuf,
    _folder: tempfile::TempDir,
}

/// What the load saw between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub requests: usize,
    pub p50: Duration,
    pub p99: Duration,
}

impl Load {
    /// Starts asking `contender` for its page, as fast as it answers, for `seconds`.
    pub fn start(contender: &Contender, http: Http, seconds: u64) -> Self {
        let folder = temp::directory();
        let (log, output) = (folder.path().join("log"), folder.path().join("output"));
        let file = fs::File::create(&output).expect("a temporary folder is writable");
        let mut command = h2load(contender, http);
        command.args(["--warm-up-time=0", &format!("-D{seconds}"), &format!("--log-file={}", log.display())]);
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("a file can be shared")).stdout(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("h2load (nghttp2-client) is missing: {error}"));
        Self { child, log, output, _folder: folder }
    }

    /// Waits for the end. What happened from `start` to `end` counts; `status` is what every answer must have.
    pub fn seen(mut self, start: SystemTime, end: SystemTime, status: u16) -> Seen {
        let ended = self.child.wait().expect("a child can be waited for");
        let said = || fs::read_to_string(&self.output).unwrap_or_default();
        assert!(ended.success(), "h2load failed\n{}", said());
        let micros =
            |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).expect("now is after 1970").as_micros();
        let (start, end) = (micros(start), micros(end));
        let mut took: Vec<u64> = Vec::new();
        for line in fs::read_to_string(&self.log).expect("h2load wrote its log").lines() {
            let mut fields = line.split('\t').map(|field| field.parse::<i128>().unwrap_or(-1));
            let (Some(at), Some(code), Some(micros)) = (fields.next(), fields.next(), fields.next()) else { continue };
            assert!(code == i128::from(status), "an answer had status {code} instead of {status}\n{}", said());
            let within = u128::try_from(at).is_ok_and(|at| (start..end).contains(&at));
            took.extend(u64::try_from(micros).ok().filter(|_| within));
        }
        took.sort_unstable();
        assert!(!took.is_empty(), "nothing was answered\n{}", said());
        let at = |part: usize| Duration::from_micros(took[(took.len() * part / 100).min(took.len() - 1)]);
        Seen { requests: took.len(), p50: at(50), p99: at(99) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
