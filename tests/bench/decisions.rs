//! One decision, with few sites and with many: the request's host is looked up among them, its path made canonical,
//! and its rule found. In this process, without a socket.

use crate::measure::middle;
use crate::report::{Figure, Table, verdict};
use lychgate::domain::{ClientName, Environment, Host, Identity, Membership, Mfa, Scope, ScopeSet, Subject, UnixTime};
use lychgate::policy::{
    Admission, CanonicalPath, ClientFacts, Decision, Facts, PolicyContext, PolicySet, decide, load_files,
};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

const SITES: [usize; 4] = [1, 10, 100, 1_000];
const RULES: usize = 20;
/// Decisions timed together.
const BATCH: u32 = 100_000;
/// `design.md` §7, in microseconds, with a thousand sites.
const MOST: f64 = 2.0;

pub fn run(rounds: usize) -> Vec<Table> {
    let columns = ["", "a decision", "÷ one site"];
    let command = format!("bash tests/bench/run decisions --rounds {rounds}");
    let mut table = Table::new("A decision among so many sites with twenty rules each", &command, &columns);
    let sets: Vec<PolicySet> = SITES.iter().map(|&sites| policies(sites)).collect();
    let mut all: Vec<Vec<f64>> = vec![Vec::new(); sets.len()];
    for _ in 0..rounds {
        for (at, set) in sets.iter().enumerate() {
            all[at].push(time(set, SITES[at]));
        }
    }
    let middles: Vec<f64> = all.into_iter().map(middle).collect();
    for (at, sites) in SITES.iter().enumerate() {
        let name = if *sites == 1 { "1 site".to_owned() } else { format!("{sites} sites") };
        table.row(name, vec![Figure::new(middles[at], 2, " µs"), Figure::ratio(middles[at] / middles[0])]);
    }
    table.note(verdict("µs for a decision among a thousand sites", middles[SITES.len() - 1], MOST));
    vec![table]
}

/// Microseconds for one decision: the last rule of a site in the middle fits.
fn time(set: &PolicySet, sites: usize) -> f64 {
    let hosts: Vec<Host> = (0..sites).map(host).collect();
    let visitor = Arc::new(visitor());
    let begun = Instant::now();
    for turn in 0..BATCH {
        black_box(one(set, &hosts[(turn as usize * 7919) % sites], &visitor));
    }
    begun.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
}

/// One decision, from the host to the permit.
pub fn one(set: &PolicySet, host: &Host, visitor: &Arc<Identity>) -> Admission {
    let site = set.site_for_host(host).expect("it is there");
    let path = CanonicalPath::parse(black_box("/loans/2026/renewals"), &site.switches).expect("a plain path");
    let decision = decide(&Facts {
        site,
        method: &http::Method::GET,
        path: &path,
        visitor: Some(visitor),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        now: UnixTime(1_790_000_000),
    });
    match decision {
        Decision::Admit(admission) => admission,
        other => panic!("somebody who is signed in is let in, not {other:?}"),
    }
}

/// Where the site of this number answers.
pub fn host(site: usize) -> Host {
    format!("site-{site}.bench.example").parse().expect("a host")
}

fn client() -> ClientName {
    "main".parse().expect("a name")
}

pub fn visitor() -> Identity {
    let now = UnixTime(1_790_000_000);
    Identity {
        subject: Subject::Orcid("0000-0002-1825-0097".parse().expect("an iD")),
        environment: Environment::Simulator,
        client: client(),
        name: Some("Josiah Carberry".to_owned()),
        given_name: None,
        family_name: None,
        scopes: ScopeSet::from_iter([Scope::openid()]),
        signed_in_at: now,
        proven_at: None,
        mfa: Mfa::Unknown,
        session_expires: UnixTime(now.0 + 3600),
        broken: None,
    }
}

pub fn policies(sites: usize) -> PolicySet {
    let files: Vec<(PathBuf, String)> =
        (0..sites).map(|site| (PathBuf::from(format!("{site}.toml")), text(site, "http://127.0.0.1:1"))).collect();
    let (set, problems) = load_files(&files, &context());
    set.unwrap_or_else(|| panic!("{problems:?}"))
}

/// What the policies need to know of the configuration.
pub fn context() -> PolicyContext {
    let facts = ClientFacts {
        environment: Environment::Simulator,
        membership: Membership::Member,
        base_scope: Scope::openid(),
        foreign_subjects: false,
    };
    PolicyContext {
        sign_in_host: "gate.bench.example".parse().expect("a host"),
        clients: BTreeMap::from([(client(), facts)]),
        default_client: Some(client()),
    }
}

/// The file of the site of this number; the last of its rules admits whoever is signed in.
pub fn text(site: usize, upstream: &str) -> String {
    let mut text =
        format!("[site]\nname = \"site-{site}\"\nhosts = [\"site-{site}.bench.example\"]\nupstream = \"{upstream}\"\n");
    for rule in 1..RULES {
        text.push_str(&format!(
            "[[rule]]\nname = \"rule {rule}\"\npaths = [\"/part-{rule}/**\"]\naccess = \"signed-in\"\n"
        ));
    }
    text.push_str("[[rule]]\nname = \"members\"\naccess = \"signed-in\"\n");
    text.push_str("[[case]]\nrequest = \"GET /\"\nexpect = \"sign-in\"\n");
    text
}
