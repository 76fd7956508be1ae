//! Instructions of the steps that every request takes, counted by callgrind. A count is the same on a busy machine as
//! on a calm one, so a change that makes a step dearer is seen at once: `tests/run` holds the counts against those
//! recorded in counts.toml.
//!
//! Each step runs in a process of its own, some number of times and then more often: the difference is the step's,
//! whatever setting it up takes.

use crate::campus::temp;
use crate::decisions;
use crate::load::BROWSER;
use crate::machine::Machine;
use crate::process::role;
use crate::report::{Figure, Table};
use clap::ValueEnum;
use http::HeaderValue;
use lychgate::domain::{
    AccessToken, Chance, Environment, Grant, Host, Identity, Mfa, Scope, ScopeSet, SystemChance, SystemClock,
};
use lychgate::policy::{Access, Admission, PolicySet};
use lychgate::proxy::headers::{present, scrub, tame_answer};
use lychgate::proxy::introduction::Introduction;
use lychgate::session::{Door, Found, Sessions, cookie};
use lychgate::vault::{self, HashedSessionKey, SignInCompletion, Vault, VaultSettings};
use pingora::http::{RequestHeader, ResponseHeader};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// How often a step is taken in the two runs.
const TIMES: [u64; 2] = [2_000, 12_000];
/// How far a count may lie above the recorded one, with the compiler and the kind of processor that recorded it, and with
/// others: ring and the C library choose their code by the processor.
const TOLERANCE: [f64; 2] = [0.05, 0.25];
const RECORDED: &str = "tests/bench/counts.toml";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Step {
    /// Host, path and rule among a thousand sites
    Decision,
    /// From the cookie to the session in memory
    Session,
    /// Identity and forwarding fields looked for in a request that has none
    Scrub,
    /// A copy of a request's head, which the next two begin with
    Copy,
    /// What an app is told about a visitor: once for each connection
    Introduction,
    /// The whole request for the app: scrubbed, without our cookie, with the introduction
    Headers,
    /// What an app's answer may not say, and what is added to it
    Answer,
}

impl Step {
    fn name(self) -> String {
        self.to_possible_value().expect("none is hidden").get_name().to_owned()
    }

    /// What a table calls it; `None` for what is only taken off others.
    fn title(self) -> Option<&'static str> {
        match self {
            Self::Decision => Some("the decision among 1,000 sites"),
            Self::Session => Some("the session looked up"),
            Self::Copy => None,
            Self::Scrub => Some("the request scrubbed"),
            Self::Introduction => Some("the visitor's introduction made"),
            Self::Headers => Some("the request's headers written"),
            Self::Answer => Some("the answer's headers tamed"),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Recorded {
    rustc: String,
    processor: String,
    instructions: BTreeMap<String, u64>,
}

impl Recorded {
    /// What was recorded; `None` if nothing was.
    fn read() -> Option<Self> {
        let text = fs::read_to_string(RECORDED).ok()?;
        Some(toml::from_str(&text).unwrap_or_else(|error| panic!("{RECORDED}: {error}")))
    }

    fn write(&self) {
        let text = toml::to_string(self).expect("a plain table");
        let text = format!("# Written by `bash tests/bench/run counts --record`.\n{text}");
        fs::write(RECORDED, text).expect("the tree is writable");
    }

    fn of(&self, step: Step) -> f64 {
        self.instructions[&step.name()] as f64
    }
}

/// What to do with the counts besides showing them.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Wish {
    /// Fail when a count lies above the recorded one by more than the tolerance
    #[arg(long)]
    check: bool,
    /// Write them down as the ones to hold later counts against
    #[arg(long, conflicts_with = "check")]
    record: bool,
}

/// Counts every step and shows it beside what was recorded; carries out `wish`.
pub fn run(wish: Wish) -> (Vec<Table>, ExitCode) {
    let Machine { rustc, processor, .. } = Machine::look();
    let instructions = Step::value_variants().iter().map(|step| (step.name(), count(*step))).collect();
    let found = Recorded { rustc, processor, instructions };
    let known = Recorded::read();
    let same = known.as_ref().is_some_and(|known| known.rustc == found.rustc && known.processor == found.processor);
    let tolerance = if same { TOLERANCE[0] } else { TOLERANCE[1] };
    let before = |step: Step| known.as_ref().and_then(|known| known.instructions.get(&step.name())).copied();
    let table = table(&found, before);
    // A step without a record is a failure, too.
    let is_dearer = |step: Step| before(step).is_none_or(|before| found.of(step) > before as f64 * (1.0 + tolerance));
    let shown = Step::value_variants().iter().copied().filter(|step| step.title().is_some());
    let dearer: Vec<String> = shown.filter(|step| is_dearer(*step)).map(Step::name).collect();
    if wish.record {
        found.write();
    }
    if !wish.check || dearer.is_empty() {
        return (vec![table], ExitCode::SUCCESS);
    }
    crate::aside(format_args!(
        "dearer than recorded by more than {:.0} %: {}. If it is worth it, `bash tests/bench/run counts --record`.",
        tolerance * 100.0,
        dearer.join(", ")
    ));
    (vec![table], ExitCode::FAILURE)
}

fn table(found: &Recorded, before: impl Fn(Step) -> Option<u64>) -> Table {
    let columns = ["", "instructions", "÷ recorded"];
    let mut table = Table::new("Instructions of one step", "bash tests/bench/run counts", &columns);
    for step in Step::value_variants() {
        let Some(title) = step.title() else { continue };
        let all = found.of(*step);
        let own = if matches!(step, Step::Introduction | Step::Headers) { all - found.of(Step::Copy) } else { all };
        let ratio = before(*step).map_or(f64::NAN, |before| all / before as f64);
        table.row(title, vec![Figure::new(own, 0, ""), Figure::ratio(ratio)]);
    }
    let [same, other] = TOLERANCE.map(|tolerance| tolerance * 100.0);
    table.note(format!(
        "Tolerance: {same:.0} % above the recorded count with the same compiler and processor, {other:.0} % with others."
    ));
    table
}

/// Instructions for one time.
fn count(step: Step) -> u64 {
    crate::aside(format_args!("counting {}", step.name()));
    let [few, many] = TIMES.map(|times| total(step, times));
    (many - few) / (TIMES[1] - TIMES[0])
}

/// All instructions of the thread that takes the step so many times. The vault has threads of its own, which do what is due.
fn total(step: Step, times: u64) -> u64 {
    let folder = temp::directory();
    let out = folder.path().join("callgrind");
    let program = role(&["counted", &step.name(), &times.to_string(), &folder.path().display().to_string()]);
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--separate-threads=yes"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(program.get_program()).args(program.get_args()).stdin(Stdio::null());
    let ended = command.output().unwrap_or_else(|error| panic!("valgrind is missing: {error}"));
    assert!(ended.status.success(), "{command:?} failed\n{}", String::from_utf8_lossy(&ended.stderr));
    let first = folder.path().join("callgrind-01");
    let text = fs::read_to_string(first).expect("callgrind wrote the counts of the first thread");
    let summary = text.lines().find_map(|line| line.strip_prefix("summary: "));
    let summary = summary.or_else(|| text.lines().find_map(|line| line.strip_prefix("totals: ")));
    summary.and_then(|total| total.trim().parse().ok()).expect("callgrind says how many there were")
}

/// Takes a step so many times; the process that callgrind watches.
pub fn take(step: Step, times: u64, folder: &Path) {
    match step {
        Step::Decision => {
            let (set, sites) = (decisions::policies(1_000), 1_000);
            let hosts: Vec<Host> = (0..sites).map(decisions::host).collect();
            let visitor = Arc::new(decisions::visitor());
            for turn in 0..times as usize {
                black_box(decisions::one(&set, &hosts[turn * 7919 % sites], &visitor));
            }
        }
        Step::Session => look_up(times, folder),
        Step::Scrub => scrub_headers(times),
        Step::Copy | Step::Introduction | Step::Headers => write_headers(step, times),
        Step::Answer => tame_answers(times),
    }
}

/// What the load sends, as the engine hands it to the gate.
fn request(cookie: &str) -> RequestHeader {
    let mut request = RequestHeader::build("GET", b"/loans/2026/renewals", None).expect("a plain head");
    request.insert_header("Host", "site-0.bench.example").expect("a host");
    for (name, value) in BROWSER {
        request.insert_header(*name, *value).expect("a header of a browser");
    }
    request.insert_header("Cookie", format!("{}={cookie}", cookie::SESSION)).expect("a cookie");
    request
}

fn admission(set: &PolicySet) -> Admission {
    decisions::one(set, &decisions::host(0), &Arc::new(decisions::visitor()))
}

fn write_headers(step: Step, times: u64) {
    let set = decisions::policies(1);
    let (host, admission) = (decisions::host(0), admission(&set));
    let introduction = Introduction::new(&admission, IpAddr::V4(Ipv4Addr::LOCALHOST), &host, 443);
    let introduction = introduction.expect("fields of ours fit");
    let template = request(&"A".repeat(43));
    for _ in 0..times {
        let mut request = template.clone();
        match step {
            Step::Headers => {
                assert!(introduction.serves(&admission, &host));
                present(&mut request, "/loans/2026/renewals", set.reserved(), &introduction, None)
                    .expect("fields of ours fit");
            }
            Step::Introduction => {
                let fresh = Introduction::new(&admission, IpAddr::V4(Ipv4Addr::LOCALHOST), &host, 443);
                black_box(fresh.expect("fields of ours fit"));
            }
            _ => {}
        }
        black_box(request);
    }
}

fn scrub_headers(times: u64) {
    let set = decisions::policies(1);
    let mut headers = http::request::Parts::from(request(&"A".repeat(43))).headers;
    for _ in 0..times {
        black_box(scrub(black_box(&mut headers), set.reserved(), None));
    }
}

fn tame_answers(times: u64) {
    let set = decisions::policies(1);
    let admission = admission(&set);
    let personal = admission.rule().access != Access::Public;
    let mut template = ResponseHeader::build(200, None).expect("a status");
    for (name, value) in
        [("Content-Type", "text/html"), ("Content-Length", "48"), ("Date", "Thu, 26 Nov 2026 12:00:00 GMT")]
    {
        template.insert_header(name, value).expect("a header of an app");
    }
    for _ in 0..times {
        let mut answer = template.clone();
        tame_answer(&mut answer, admission.site(), set.reserved(), personal).expect("headers of ours fit");
        black_box(answer);
    }
}

/// A vault with one person signed in at the first site of [`decisions::policies`].
fn look_up(times: u64, folder: &Path) {
    let key_file = folder.join("keys");
    let (clock, chance) = (Arc::new(SystemClock), Arc::new(SystemChance::default()));
    vault::generate_key_file(&key_file, &*clock, &*chance).expect("the folder is writable");
    let settings = VaultSettings {
        directory: PathBuf::from(folder).join("vault"),
        key_file,
        simulated: true,
        idle: Duration::from_secs(3600),
        absolute: Duration::from_secs(3600),
        outage_grace: std::time::Duration::ZERO,
        warm_sessions: 10_000,
    };
    let vault = Vault::open(settings, clock, chance.clone()).expect("a new vault opens");
    let sessions = Sessions::new(vault.clone());
    let host = decisions::host(0);
    let cookie = crate::wait_for(sign_in(&vault, &sessions, &*chance, &host));
    let fields = [HeaderValue::from_str(&cookie).expect("a cookie")];
    for _ in 0..times {
        let found = sessions.find(Door::Site(&host), fields.iter());
        assert!(matches!(black_box(found), Found::Live(_)), "somebody is signed in");
    }
    vault.close();
}

/// Signs somebody in at `host`, as the sign-in leaves it behind; returns what the browser sends.
async fn sign_in(vault: &Vault, sessions: &Sessions, chance: &dyn Chance, host: &Host) -> String {
    let Identity { subject, client, name, .. } = decisions::visitor();
    let grant = Grant {
        subject,
        name,
        given_name: None,
        family_name: None,
        mfa: Mfa::Unknown,
        scopes: ScopeSet::from_iter([Scope::openid()]),
        access_token: AccessToken::new("an access token"),
        refresh_token: None,
        expires: None,
        at_provider: None,
    };
    let (root, child) = (sessions.draw(chance), sessions.draw(chance));
    let root_hash = HashedSessionKey(root.hash());
    let completion = SignInCompletion {
        grant: &grant,
        environment: Environment::Simulator,
        client,
        root: root_hash,
        agent: String::new(),
        replaces: None,
        place: None,
        proven: false,
        held: None,
    };
    vault.complete_sign_in(completion).await.expect("a new vault takes it");
    let site = "site-0".parse().expect("a name");
    let begun = vault
        .begin_site_session(&root_hash, HashedSessionKey(child.hash()), site, host.clone(), String::new(), None)
        .await;
    assert!(begun.expect("a new vault takes it").is_some(), "the root has just begun");
    format!("{}={}", cookie::SESSION, *child.text())
}
