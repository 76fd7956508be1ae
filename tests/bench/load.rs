//! Load from h2load (nghttp2-client), the same client for both versions of HTTP, and what it saw.

use crate::campus::temp;
use crate::contenders::Contender;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

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

    /// The same over so many connections.
    fn with(self, connections: usize) -> Self {
        match self {
            Self::One { .. } => Self::One { connections },
            Self::Two { streams, .. } => Self::Two { connections, streams },
        }
    }

    pub fn connections(self) -> usize {
        match self {
            Self::One { connections } | Self::Two { connections, .. } => connections,
        }
    }

    fn arguments(self) -> Vec<String> {
        match self {
            Self::One { connections } => vec!["--h1".into(), format!("-c{connections}")],
            Self::Two { connections, streams } => vec![format!("-c{connections}"), format!("-m{streams}")],
        }
    }
}

/// A load in its steady state has no longer pause between answers, in microseconds.
const SILENCE: u64 = 500_000;
/// How long idle connections can be used.
const IDLE: Duration = Duration::from_secs(300);
/// So many are opened at once: h2load shakes hands with one after the other, and a gate does not wait for those at the
/// end of a long queue (`gate.handshake_timeout`); nor may a listener's backlog of 1,024 be full.
const BATCH: usize = 500;
/// How long it may take to open these.
const OPENING: Duration = Duration::from_secs(30);

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

/// How a contender is asked.
#[derive(Clone, Debug)]
pub struct Workload {
    pub http: Http,
    /// The fields of every request besides its cookie.
    pub fields: Vec<(String, String)>,
    /// Connections that are open besides, each of which has asked once.
    pub idle: usize,
}

impl Workload {
    /// As a browser asks.
    pub fn browser(http: Http) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { http, fields: BROWSER.iter().map(owned).collect(), idle: 0 }
    }
}

fn h2load(contender: &Contender, arguments: &[String], fields: &[(String, String)]) -> Command {
    let mut command = Command::new("h2load");
    command.args(arguments).arg("-t1").arg(format!("--connect-to={}", contender.address));
    for (name, value) in fields {
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
    let mut command = h2load(contender, &http.arguments(), &Workload::browser(http).fields);
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
    /// Starts asking `contender` for its page, as fast as it answers.
    pub fn start(contender: &Contender, workload: &Workload, duration: Duration) -> Self {
        Self::command(contender, workload, &workload.http.arguments(), duration)
    }

    /// Opens the workload's idle connections, some at a time, and returns when each has had its answer; they are open
    /// until the value is dropped, for a few minutes at most.
    pub fn idle(contender: &Contender, workload: &Workload) -> Vec<Self> {
        let batches = (0..workload.idle).step_by(BATCH);
        batches.map(|from| Self::batch(contender, workload, BATCH.min(workload.idle - from))).collect()
    }

    fn batch(contender: &Contender, workload: &Workload, connections: usize) -> Self {
        let mut arguments = workload.http.with(connections).arguments();
        // The first request at once, and no second one before all is over.
        arguments.push(format!("--rps={}", 1.0 / (2.0 * IDLE.as_secs_f64())));
        let mut load = Self::command(contender, workload, &arguments, IDLE);
        let end = Instant::now() + OPENING;
        loop {
            let answers = load.answers();
            if answers.len() >= connections {
                load.check(&answers, 200);
                return load;
            }
            let ended = load.child.try_wait().expect("a child can be asked");
            let said = load.said();
            assert!(ended.is_none() && Instant::now() < end, "{} of {connections} are open\n{said}", answers.len());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn command(contender: &Contender, workload: &Workload, arguments: &[String], duration: Duration) -> Self {
        let folder = temp::directory();
        let (log, output) = (folder.path().join("log"), folder.path().join("output"));
        let file = fs::File::create(&output).expect("a temporary folder is writable");
        let mut command = h2load(contender, arguments, &workload.fields);
        command.args(["--warm-up-time=0", &format!("-D{}ms", duration.as_millis())]);
        command.arg(format!("--log-file={}", log.display()));
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("a file can be shared")).stdout(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("h2load (nghttp2-client) is missing: {error}"));
        Self { child, log, output, _folder: folder }
    }

    /// Waits for the end. What was answered from `start` to `end` counts; `status` is what every answer must have.
    pub fn seen(mut self, start: SystemTime, end: SystemTime, status: u16) -> Seen {
        let ended = self.child.wait().expect("a child can be waited for");
        let said = self.said();
        assert!(ended.success(), "h2load failed\n{said}");
        assert!(said.contains(" 0 failed, 0 errored, 0 timeout"), "some requests had no answer\n{said}");
        let answers = self.answers();
        self.check(&answers, status);
        let (start, end) = (micros(start), micros(end));
        let last = answers.iter().map(|answer| answer.asked + answer.took).max().unwrap_or_default();
        assert!(last + SILENCE > end, "the load was over before the count was\n{said}");
        let counted = answers.iter().filter(|answer| (start..end).contains(&(answer.asked + answer.took)));
        let mut took: Vec<u64> = counted.map(|answer| answer.took).collect();
        took.sort_unstable();
        assert!(!took.is_empty(), "nothing was answered\n{said}");
        let at = |part: usize| Duration::from_micros(took[(took.len() * part / 100).min(took.len() - 1)]);
        Seen { requests: took.len(), p50: at(50), p99: at(99) }
    }

    /// What the log says so far. Its last line may be under way.
    fn answers(&self) -> Vec<Answer> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let answer = |line: &str| {
            let mut fields = line.trim_end().split('\t');
            let (asked, status, took) = (fields.next()?, fields.next()?, fields.next()?);
            Some(Answer { asked: asked.parse().ok()?, status: status.parse().ok()?, took: took.parse().ok()? })
        };
        let read = |line| answer(line).unwrap_or_else(|| panic!("h2load wrote a line we cannot read: {line}"));
        log.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(read).collect()
    }

    fn check(&self, answers: &[Answer], status: u16) {
        let other = answers.iter().find(|answer| answer.status != i64::from(status));
        if let Some(Answer { status: other, .. }) = other {
            panic!("an answer had status {other} instead of {status}\n{}", self.said());
        }
    }

    /// What h2load has printed.
    fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

/// A line of h2load's log: microseconds since 1970, the status, and microseconds until the end of the answer.
struct Answer {
    asked: u64,
    status: i64,
    took: u64,
}

fn micros(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).expect("now is after 1970");
    u64::try_from(since.as_micros()).expect("and before the year 500000")
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
