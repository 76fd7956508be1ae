//! T80: sign-ins begun by the thousand, without cookies and never finished. The gate keeps none of them.

use crate::campus::browser::{Browser, Network};
use crate::campus::people;
use crate::campus::{Campus, LIBRARY, SIGN_IN};
use crate::sign_in_attacks::{start_of, through_orcid};
use crate::vault_faults::process::{Process, second_gate};
use std::path::Path;
use std::sync::Arc;

const LOANS: &str = "https://library.campus.example/loans";
const AT_A_TIME: usize = 4;
/// While these are begun somebody is on their way through ORCID: a million take longer than an attempt lasts.
const MEANWHILE: usize = 2_000;
/// What an allocator may add without anybody keeping anything.
const MEMORY: u64 = 16 << 20;
const DISK: u64 = 64 << 10;

/// A million with `tests/run --long`.
fn starts() -> usize {
    if std::env::var_os("LYCHGATE_LONG").is_some() { 1_000_000 } else { 4_000 }
}

fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the child runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") << 10
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("the gate's folder can be read").flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        // Deleted since it was listed.
        Err(_) => 0,
    };
    entries.map(of).sum()
}

/// So many sign-ins begun by nobody in particular: an arrival and an attempt each.
async fn begin(browsers: &[Browser], count: usize) {
    let each = count / browsers.len();
    let flood = browsers.iter().map(|browser| async move {
        let (site, home) = (browser.connect(LIBRARY).await, browser.connect(SIGN_IN).await);
        for _ in 0..each {
            browser.jar().clear();
            let away = browser.get(LOANS).over(&site).send().await.location().expect("the way to the sign-in host");
            let start = away.as_str().replace("/sign-in?", "/sign-in/start?");
            let answer = browser.get(&start).over(&home).send().await;
            let to = answer.location().expect("the way to ORCID");
            assert_eq!(to.path(), "/oauth/authorize", "{}", answer.story());
        }
    });
    futures_util::future::join_all(flood).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t80_sign_ins_begun_and_never_finished_leave_nothing_behind() {
    let campus = Campus::open().await;
    let file = second_gate(&campus);
    let text = std::fs::read_to_string(&file).unwrap().replace("level = \"debug\"", "level = \"warn\"");
    std::fs::write(&file, text).unwrap();
    let gate = Process::start(&file).await;
    let crowd_of = |network: Arc<Network>| -> Vec<Browser> {
        (0..AT_A_TIME).map(|_| Browser::new(Arc::clone(&network))).collect()
    };
    let (crowd, watched) = (crowd_of(gate.network_of_a_crowd(&campus)), crowd_of(gate.network(&campus)));
    begin(&crowd, 1_000).await;
    let folder = campus.folder().join("second");
    let (memory, disk) = (resident(gate.child.id()), size(&folder));
    begin(&crowd, starts() - MEANWHILE).await;
    let honest = Browser::new(gate.network(&campus));
    let page = honest.open(LOANS).await;
    let callback = through_orcid(&honest, start_of(&page).as_str(), &people::ordinary(), "Authorize access").await;
    begin(&watched, MEANWHILE).await;
    let (grown, written) = (resident(gate.child.id()).saturating_sub(memory), size(&folder).saturating_sub(disk));
    assert!(grown < MEMORY, "{grown} bytes of memory for {} sign-ins", starts());
    assert!(written < DISK, "{written} bytes on disk for {} sign-ins", starts());

    let connected = honest.open(callback.as_str()).await;
    connected.click("Continue to Campus library").await.assert_status(200).assert_at(LOANS);
    campus.close().await;
}
