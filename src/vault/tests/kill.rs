//! A process that writes to a vault is killed at random moments; nothing it had acknowledged may be
//! lost, and nothing half done may be found (T71). The process is this test binary, started again.

use super::bench::{NOW, connection_key, grant, settings, sign_in};
use crate::domain::{Chance, StoppedClock, SystemChance, UnixTime};
use crate::vault::{HashedSessionKey, Mark, SessionKind, Vault};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PLACE: &str = "LYCHGATE_TEST_VAULT_TO_WRITE";
const PEOPLE: [&str; 4] = ["0000-0002-1825-0097", "0000-0002-1694-233X", "0000-0001-5109-3700", "0000-0002-9079-593X"];
const WRITERS: usize = 8;

fn open(place: &Path) -> Arc<Vault> {
    let settings = settings(&place.join("vault"), &place.join("keys"));
    Vault::open(settings, Arc::new(StoppedClock::at(NOW)), Arc::new(SystemChance::default())).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> [u8; N] {
    let byte = |at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap();
    std::array::from_fn(byte)
}

/// One line per intention and per acknowledgement. A write reaches the kernel at once, so a kill loses none.
struct Log(File);

impl Log {
    fn line(&self, line: &str) {
        (&self.0).write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Not a test by itself: what the other process does until it is killed.
#[test]
fn writer() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let place = Path::new(&place);
    let vault = open(place);
    let log = Arc::new(Log(File::options().append(true).create(true).open(place.join("log")).unwrap()));
    // Continues the numbering of the process before it.
    let number =
        fs::read_to_string(place.join("log")).unwrap().lines().filter(|line| line.starts_with("signing")).count();
    let number = Arc::new(AtomicU64::new(number as u64));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let start = Instant::now();
    for writer in 0..WRITERS {
        let (vault, log, number) = (vault.clone(), log.clone(), number.clone());
        runtime.spawn(async move {
            loop {
                let number = number.fetch_add(1, Ordering::SeqCst);
                // Half of them well known, half new, for whom a data key has to be made first.
                let newcomer = format!("newcomer-{number}");
                let who = PEOPLE.get(writer).copied().unwrap_or(&newcomer);
                write_some(&vault, &log, who, number).await;
            }
        });
    }
    // Should the parent be gone, do not go on for ever.
    while start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
    }
}

async fn write_some(vault: &Vault, log: &Log, who: &str, number: u64) {
    let chance: &dyn Chance = &SystemChance::default();
    let draw = || HashedSessionKey(chance.bytes());
    let (root, first, second) = (draw(), draw(), draw());
    log.line(&format!("signing {who} {number}"));
    sign_in(vault, &grant(who, "openid", number), root, None).await;
    log.line(&format!("signed {who} {number} {}", hex(&root.0)));
    for child in [first, second] {
        let (site, host) = ("wiki".parse().unwrap(), "wiki.example".parse().unwrap());
        let begun = vault.begin_site_session(&root, child, site, host, String::new(), None).await.unwrap();
        assert!(begun.is_some());
        log.line(&format!("child {} {}", hex(&child.0), hex(&root.0)));
    }
    let mark = Mark { purpose: "ticket", id: chance.bytes() };
    assert!(vault.spend(mark, UnixTime(NOW + 900)).await.unwrap());
    log.line(&format!("spent {}", hex(&mark.id)));
    let end = if number.is_multiple_of(2) { root } else { first };
    log.line(&format!("ending {}", hex(&end.0)));
    assert!(vault.end_session(&end).await.unwrap());
    log.line(&format!("ended {}", hex(&end.0)));
}

fn start(place: &Path) -> Child {
    let name = module_path!().split_once("::").unwrap().1;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{name}::writer"), "--nocapture"])
        .env(PLACE, place)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the log says must be so.
#[derive(Default)]
struct Promised {
    /// Session to its root; a root to itself.
    sessions: BTreeMap<[u8; 32], [u8; 32]>,
    ending: BTreeSet<[u8; 32]>,
    ended: BTreeSet<[u8; 32]>,
    spent: Vec<[u8; 20]>,
    /// Per person: the numbers of the sign-ins begun, and the acknowledged ones.
    begun: BTreeMap<String, BTreeSet<u64>>,
    signed: BTreeMap<String, BTreeSet<u64>>,
}

impl Promised {
    fn read(log: &str) -> Self {
        let mut promised = Self::default();
        for line in log.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["signing", who, number] => {
                    promised.begun.entry(who.to_owned()).or_default().insert(number.parse().unwrap());
                }
                ["signed", who, number, root] => {
                    promised.signed.entry(who.to_owned()).or_default().insert(number.parse().unwrap());
                    promised.sessions.insert(from_hex(root), from_hex(root));
                }
                ["child", child, root] => drop(promised.sessions.insert(from_hex(child), from_hex(root))),
                ["spent", id] => promised.spent.push(from_hex(id)),
                ["ending", key] => drop(promised.ending.insert(from_hex(key))),
                ["ended", key] => drop(promised.ended.insert(from_hex(key))),
                _ => panic!("a strange line: {line}"),
            }
        }
        promised
    }
}

async fn verify(vault: &Vault, promised: &Promised, round: usize) {
    for (key, root) in &promised.sessions {
        let lives = vault.session(&HashedSessionKey(*key)).await.unwrap().is_some();
        if promised.ended.contains(key) || promised.ended.contains(root) {
            assert!(!lives, "round {round}: an acknowledged sign-out was lost");
        } else if !promised.ending.contains(key) && !promised.ending.contains(root) {
            assert!(lives, "round {round}: an acknowledged session was lost");
        }
    }
    for id in promised.spent.iter().rev().take(50) {
        let again = vault.spend(Mark { purpose: "ticket", id: *id }, UnixTime(NOW + 900)).await.unwrap();
        assert!(!again, "round {round}: a mark was spent twice");
    }
    for (who, signed) in &promised.signed {
        let pairs = vault.token_pairs(&connection_key(who)).await.unwrap();
        assert_eq!(pairs.len(), 1, "round {round}");
        let token = pairs[0].access_token.expose().rsplit('-').next().unwrap();
        let number: u64 = token.parse().unwrap();
        // Writers overlap, so the last acknowledged need not be the last written: but what is there
        // was begun, and if it was not acknowledged, the kill came in between.
        assert!(promised.begun[who].contains(&number), "round {round}");
        let unacknowledged = promised.begun[who].difference(signed).count();
        assert!(signed.contains(&number) || unacknowledged > 0, "round {round}");
    }
    no_half_sessions(vault, promised, round).await;
}

/// Every session has its connection, its place in its person's list and, if it is a child, its root.
async fn no_half_sessions(vault: &Vault, promised: &Promised, round: usize) {
    let (sessions, end) = vault.sessions(None, 100_000).await.unwrap();
    assert!(end.is_none());
    let keys: BTreeSet<HashedSessionKey> = sessions.iter().map(|session| session.key).collect();
    let mut listed = BTreeSet::new();
    for who in promised.begun.keys() {
        listed.extend(vault.sessions_of(&connection_key(who)).await.unwrap().iter().map(|listed| listed.session.key));
    }
    assert_eq!(keys, listed, "round {round}: a session without its index, or the other way round");
    for session in sessions {
        if let SessionKind::Site { root, .. } = session.kind {
            assert!(keys.contains(&root), "round {round}: a child without its root");
        }
        assert!(vault.connection(&session.connection).await.unwrap().is_some(), "round {round}: no connection");
    }
}

/// Kills of one vault: with each there is more to look through, and a person's list has an end.
const KILLS_EACH: usize = 100;

#[test]
fn t71_kill_at_any_moment_loses_nothing_acknowledged_and_leaves_nothing_half_done() {
    let kills = if std::env::var_os("LYCHGATE_LONG").is_some() { 1_000 } else { 12 };
    for before in (0..kills).step_by(KILLS_EACH) {
        kill_again_and_again(KILLS_EACH.min(kills - before));
    }
}

fn kill_again_and_again(kills: usize) {
    let place = tempfile::tempdir().unwrap();
    open(place.path()).close();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let chance: &dyn Chance = &SystemChance::default();
    let log = place.path().join("log");
    let length = || fs::metadata(&log).map_or(0, |found| found.len());
    let mut rebuilt = 0;
    // On a machine that is busy otherwise a life may be too short for anything to be acknowledged.
    let is_enough = |promised: &Promised| promised.ended.len() > kills && promised.spent.len() > kills;
    let mut promised = Promised::default();
    for round in 0..4 * kills {
        if round >= kills && is_enough(&promised) {
            break;
        }
        let before = length();
        let mut child = start(place.path());
        let patience = Instant::now();
        while length() == before {
            assert!(patience.elapsed() < Duration::from_secs(60), "the writer does not write");
            assert!(child.try_wait().unwrap().is_none(), "the writer died by itself in round {round}");
            std::thread::sleep(Duration::from_millis(1));
        }
        // No waiting for something to happen: the moment of death is what is being drawn.
        std::thread::sleep(Duration::from_micros(u64::from(u16::from_be_bytes(chance.bytes())) * 4));
        child.kill().unwrap();
        child.wait().unwrap();
        promised = Promised::read(&fs::read_to_string(&log).unwrap());
        let vault = open(place.path());
        runtime.block_on(verify(&vault, &promised, round));
        vault.close();
        let entries = fs::read_dir(place.path().join("vault")).unwrap().flatten();
        rebuilt += entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("store.lost-")).count();
    }
    assert_eq!(rebuilt, 0, "a kill alone never costs the store");
    assert!(is_enough(&promised), "enough was acknowledged to mean something");
}
