//! The vault in trouble: unreadable, full, locked, without its key, killed (T70-T73, T90; invariants 4, 6 and 7). The
//! gate fails closed, says what is wrong, and keeps what it has acknowledged. Gates that are to be killed run as
//! processes of their own, beside the campus's.

pub(crate) mod process;

use crate::campus::browser::Browser;
use crate::campus::people::{self, Person};
use crate::campus::{Campus, LIBRARY, PORTAL, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{agreed, cookie_line, given_session, session};
use lychgate::domain::{Environment, ScopeSet, Subject, SystemChance, SystemClock};
use lychgate::session::cookie::SESSION;
use lychgate::simulator::MEMBER_CLIENT;
use lychgate::vault::{ConnectionKey, TokenPair, Vault, VaultSettings};
use process::{Process, second_gate};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

const LOANS: &str = "https://library.campus.example/loans";
const PATIENCE: Duration = Duration::from_secs(30);

async fn sign_in(browser: &Browser, url: &str, person: &Person) {
    people::arrive(browser.open(url).await, person).await.assert_status(200).assert_at(url);
}

/// What an authentic cookie, and nothing else, is answered at `url`.
async fn status_with(browser: &Browser, url: &str, value: &str) -> u16 {
    browser.get(url).header("cookie", format!("{SESSION}={value}")).send().await.status.as_u16()
}

/// The pairs the second gate has stored for a person. The gate must not be running.
async fn stored_pairs(campus: &Campus, person: &Person) -> Vec<TokenPair> {
    let settings = VaultSettings {
        directory: campus.folder().join("second/vault"),
        key_file: campus.folder().join("second-keys"),
        simulated: true,
        idle: Duration::from_secs(3600),
        absolute: Duration::from_secs(3600),
        outage_grace: std::time::Duration::ZERO,
        warm_sessions: 100,
    };
    let open = move || Vault::open(settings, Arc::new(SystemClock), Arc::new(SystemChance::default()));
    let vault = tokio::task::spawn_blocking(open).await.unwrap().expect("the vault opens");
    let client = "campus".parse().unwrap();
    let key = ConnectionKey { environment: Environment::Simulator, client, subject: Subject::Orcid(person.orcid) };
    let pairs = vault.token_pairs(&key).await.unwrap();
    tokio::task::spawn_blocking(move || vault.close()).await.unwrap();
    pairs
}

/// Everything below `directory`: path and content.
fn contents(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.is_file() {
            let bytes = fs::read(&path).unwrap();
            found.push((path, bytes));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t70_who_cannot_be_looked_up_gets_503_and_never_passes_as_a_guest() {
    let mut campus = Campus::open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, &people::ordinary()).await.assert_status(200);
    let (at_site, root) = (session(&browser, LIBRARY).unwrap(), session(&browser, SIGN_IN).unwrap());
    // After a restart every session has to be read from disk, where a directory stands in a file's place now.
    campus.restart().await;
    campus.library().forget();
    let people_files = contents(&campus.folder().join("state/vault/people"));
    assert!(!people_files.is_empty());
    for (path, _) in &people_files {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }
    for page in [LOANS, &format!("{LIBRARY}/"), &format!("{LIBRARY}/catalogue/x"), &format!("{LIBRARY}/.lychgate/me")] {
        let answer = browser.get(page).send().await;
        answer.assert_status(503).assert_says("We cannot look up who you are");
        assert!(answer.header("retry-after").is_some() && answer.set_cookies().is_empty(), "{}", answer.story());
    }
    browser.get(LOANS).by_script_on(LIBRARY).send().await.assert_status(503);
    for page in ["account", "sign-in", "sign-in/start", "sign-out"] {
        assert_eq!(status_with(&browser, &format!("{SIGN_IN}/.lychgate/{page}"), &root).await, 503, "{page}");
    }
    // A session of another host is not even that: cold, it cannot be told apart.
    assert_eq!(status_with(&browser, &format!("{PORTAL}/"), &at_site).await, 503);
    assert!(campus.library().requests().is_empty(), "nothing was passed on");
    let guest = campus.browser();
    let metrics = guest.get(&format!("http://{}/metrics", campus.gate().addresses().ops)).by_tool().send().await.text();
    let failures = metrics.lines().find(|line| line.starts_with("lychgate_failures_total{kind=\"store\"}")).unwrap();
    assert!(failures.rsplit(' ').next().unwrap().parse::<u32>().unwrap() >= 3, "{failures}");
    // Guests are served, and a made-up cookie is a guest's: the store was never asked about it.
    guest.open(&format!("{LIBRARY}/")).await.assert_status(200);
    guest.get(LOANS).send().await.assert_status(303);
    assert_eq!(
        status_with(&guest, LOANS, &format!("{}{}", if at_site.starts_with('A') { "B" } else { "A" }, &at_site[1..]))
            .await,
        303
    );
    assert_eq!(status_with(&guest, LOANS, &"Q".repeat(43)).await, 303);

    for (path, bytes) in &people_files {
        fs::remove_dir(path).unwrap();
        fs::write(path, bytes).unwrap();
    }
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [people::ordinary().orcid.as_str()]);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t70_on_a_full_disk_nothing_is_acknowledged_that_is_not_kept() {
    let campus = Campus::open().await;
    let file = second_gate(&campus);
    let mut gate = Process::start(&file).await;
    let network = gate.network(&campus);
    let [warm, cold, guest] = [0; 3].map(|_| Browser::new(network.clone()));
    sign_in(&warm, LOANS, &people::ordinary()).await;
    sign_in(&cold, LOANS, &people::from_afar()).await;
    gate.kill();
    let mut gate = Process::start(&file).await;
    network.move_gate(gate.gate);
    warm.open(LOANS).await.assert_status(200);
    warm.open(&format!("{SIGN_IN}/.lychgate/account")).await.assert_status(200);
    let asks = warm.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await;
    let back = agreed(&guest, LOANS, &people::nameless()).await;

    let pid = gate.child.id().to_string();
    let full = Command::new("prlimit").args(["--pid", &pid, "--fsize=4096"]).status().expect("util-linux is installed");
    assert!(full.success());
    let failed = guest.open(back.as_str()).await;
    failed.assert_status(503).assert_says("We cannot look up who you are");
    assert_eq!(session(&guest, SIGN_IN), None);
    let out = asks.form(0).submitted().send().await;
    out.assert_status(503);
    assert_eq!(given_session(&out), None, "no sign-out is acknowledged that did not happen");
    // Who is in memory goes on; who is not is no guest.
    warm.open(LOANS).await.assert_status(200).assert_at(LOANS);
    cold.get(LOANS).send().await.assert_status(503);
    guest.open(&format!("{LIBRARY}/")).await.assert_status(200);
    let end = Instant::now() + PATIENCE;
    loop {
        let (_, metrics) = gate.ops(&guest, "/metrics").await;
        let ready = gate.ops(&guest, "/ready").await.0;
        if metrics.lines().any(|line| line == "lychgate_store_healthy 0") && ready == 503 {
            break;
        }
        assert!(Instant::now() < end, "the store is said to be healthy:\n{metrics}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(gate.ops(&guest, "/health").await.0, 200, "the process itself is alive");

    gate.kill();
    let gate = Process::start(&file).await;
    network.move_gate(gate.gate);
    for member in [&warm, &cold] {
        member.open(LOANS).await.assert_status(200).assert_at(LOANS);
    }
    let fresh = Browser::new(network);
    sign_in(&fresh, LOANS, &people::nameless()).await;
    drop(gate);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t72_nothing_on_disk_tells_who_signed_in_or_with_what() {
    let campus = Campus::open().await;
    let mut gate = Process::start(&second_gate(&campus)).await;
    let network = gate.network(&campus);
    let visitors = [people::ordinary(), people::from_afar(), people::nameless()];
    let mut secrets: Vec<Vec<u8>> = Vec::new();
    for person in &visitors {
        let browser = Browser::new(network.clone());
        sign_in(&browser, LOANS, person).await;
        browser.open(&format!("{REPOSITORY}/browse")).await.assert_status(200);
        for host in [SIGN_IN, LIBRARY, REPOSITORY] {
            secrets.push(session(&browser, host).unwrap().into_bytes());
        }
        secrets.extend([person.orcid.as_str().into(), person.orcid.as_str().replace('-', "").into()]);
        secrets.extend([person.email.clone().into(), person.password.clone().into()]);
        let names = [person.public_name(), person.given.clone(), person.family.clone()];
        secrets.extend(names.into_iter().flatten().map(String::into_bytes));
    }
    gate.kill();
    for person in &visitors {
        let pairs = stored_pairs(&campus, person).await;
        assert_eq!(pairs.len(), 1);
        for token in pairs.iter().flat_map(|pair| {
            let refresh = pair.refresh_token.as_ref().expect("ORCID gives one").expose();
            [pair.access_token.expose().to_owned(), refresh.to_owned()]
        }) {
            campus.watch.forbid("a token", &token);
            secrets.extend([token.clone().into_bytes(), token.replace('-', "").into_bytes()]);
        }
    }
    secrets.push(b"Mozilla/5.0".to_vec());
    let files = contents(&campus.folder().join("second"));
    let all: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(files.len() > 4 && all > 10_000, "that cannot be the whole vault: {files:?}");
    for secret in &secrets {
        for (path, bytes) in &files {
            let found = bytes.windows(secret.len()).any(|window| window == &secret[..]);
            assert!(!found, "{} holds {:?}", path.display(), String::from_utf8_lossy(secret));
        }
    }
    for (path, _) in &files {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        let inside = fs::metadata(campus.folder().join("second/vault")).unwrap().permissions().mode();
        assert!(mode & 0o007 == 0 || inside & 0o077 == 0, "{} may be read by others ({mode:o})", path.display());
    }
    drop(gate);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t73_t90_without_its_own_key_kept_safe_a_gate_does_not_start() {
    let campus = Campus::open().await;
    let file = second_gate(&campus);
    let mut gate = Process::start(&file).await;
    let browser = Browser::new(gate.network(&campus));
    sign_in(&browser, LOANS, &people::ordinary()).await;
    gate.kill();
    let keys = campus.folder().join("second-keys");
    let good = fs::read(&keys).unwrap();
    let before = contents(&campus.folder().join("second/vault"));
    let other = fs::read(campus.folder().join("keys")).unwrap();
    let put = |bytes: &[u8], mode: u32| {
        fs::write(&keys, bytes).unwrap();
        fs::set_permissions(&keys, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (bytes, mode, says) in [
        (&good[..], 0o644, "chmod 600"),
        (&good[..], 0o640, "0640"),
        (&good[..], 0o602, "chmod 600"),
        (&other[..], 0o600, "no longer holds"),
        (&good[..good.len() - 10], 0o600, "64 hex digits"),
        (b"", 0o600, "no key"),
        (b"not a key file at all\n", 0o600, "line 1"),
    ] {
        put(bytes, mode);
        let said = Process::refuses(&file, &[]).await;
        assert!(said.contains(says) && said.contains("second-keys"), "expected {says:?}:\n{said}");
        let secret = String::from_utf8_lossy(&good).split_ascii_whitespace().last().unwrap().to_owned();
        assert!(!said.contains(&secret[..20]), "the key stands in the complaint");
    }
    fs::remove_file(&keys).unwrap();
    let said = Process::refuses(&file, &[]).await;
    assert!(said.contains("is missing") && said.contains("second-keys") && said.contains("second/vault"), "{said}");
    assert!(!keys.exists(), "a new key would open nothing and look like one that does");
    assert_eq!(contents(&campus.folder().join("second/vault")).len(), before.len());
    put(&good, 0o600);
    let gate = Process::start(&file).await;
    browser.network().move_gate(gate.gate);
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    drop(gate);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_vault_has_one_gate_and_the_second_is_told_so() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, LOANS, &people::ordinary()).await.assert_status(200);
    let (same, other) = tokio::join!(
        Process::refuses(campus.file(), &[]),
        Process::refuses(campus.file(), &["--set", "admin.socket=elsewhere.sock"]),
    );
    assert!(same.contains("admin.socket") && same.contains("a running gate answers there"), "{same}");
    assert!(other.contains("in use by another gate") && other.contains("state/vault"), "{other}");
    // Nobody noticed.
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    let fresh = campus.browser();
    campus.sign_in(&fresh, LOANS, &people::from_afar()).await.assert_status(200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vault_of_the_simulator_is_never_used_for_people() {
    let campus = Campus::open().await;
    let file = second_gate(&campus);
    Process::start(&file).await.kill();
    let text = fs::read_to_string(&file).unwrap();
    let real = text.replace("environment = \"simulator\"", "environment = \"other\"");
    assert_ne!(text, real);
    // Another environment knows no member scopes; the site that asks for one is left out.
    fs::remove_file(campus.folder().join("policies/repository.toml")).unwrap();
    fs::write(&file, real).unwrap();
    let said = Process::refuses(&file, &[]).await;
    assert!(said.contains("belongs to the simulator") && said.contains("second/vault"), "{said}");
    fs::write(&file, text).unwrap();
    Process::start(&file).await.kill();
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_sessions_and_tokens() {
    let mut campus = Campus::open().await;
    let (person, browser) = (people::ordinary(), campus.browser());
    campus.sign_in(&browser, LOANS, &person).await.assert_status(200);
    campus.restart().await;
    let asked = campus.simulator.calls("authorize");
    browser.open(LOANS).await.assert_status(200).assert_at(LOANS);
    let browse = format!("{REPOSITORY}/browse");
    browser.open(&browse).await.assert_status(200).assert_at(&browse);
    assert_eq!(campus.simulator.calls("authorize"), asked);
    // The next sign-in supersedes the pair from before the restart, which only who has kept it can revoke.
    campus.sign_in(&campus.browser(), LOANS, &person).await.assert_status(200);
    let end = Instant::now() + 2 * PATIENCE;
    let openid: ScopeSet = "openid".parse().unwrap();
    while campus.simulator.live_tokens(person.orcid, MEMBER_CLIENT) != [openid.clone()] {
        assert!(Instant::now() < end, "the former pair is still alive");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(campus.simulator.calls("revoke"), 1);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t69_t71_a_sign_out_that_was_acknowledged_survives_kill_9() {
    let campus = Campus::open().await;
    let file = second_gate(&campus);
    let mut gate = Process::start(&file).await;
    let network = gate.network(&campus);
    for reach in ["Sign out of Campus library", "all sites in this browser", "all my devices"] {
        let browser = Browser::new(network.clone());
        sign_in(&browser, LOANS, &people::ordinary()).await;
        sign_in(&browser, &format!("{REPOSITORY}/browse"), &people::ordinary()).await;
        let everywhere = !reach.contains("library");
        let host = if everywhere { SIGN_IN } else { LIBRARY };
        let kept = [SIGN_IN, LIBRARY, REPOSITORY].map(|host| session(&browser, host).unwrap());
        let asks = browser.open(&format!("{host}/.lychgate/sign-out")).await;
        let out = asks.form_with(reach).pressed(reach).send().await;
        gate.kill();
        out.assert_status(200).assert_says("You are signed out");
        gate = Process::start(&file).await;
        network.move_gate(gate.gate);
        let stranger = Browser::new(network.clone());
        let [root, library, repository] = &kept;
        assert_eq!(status_with(&stranger, LOANS, library).await, 303, "{reach}: signed in again");
        let expected = if everywhere { 303 } else { 200 };
        let account = format!("{SIGN_IN}/.lychgate/account");
        assert_eq!(status_with(&stranger, &account, root).await, expected, "{reach}");
        assert_eq!(status_with(&stranger, &format!("{REPOSITORY}/browse"), repository).await, expected, "{reach}");
    }
    drop(gate);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t71_a_sign_in_that_was_acknowledged_survives_kill_9_tokens_and_all() {
    let campus = Campus::open().await;
    let (file, person) = (second_gate(&campus), people::from_afar());
    let mut gate = Process::start(&file).await;
    let network = gate.network(&campus);
    let browser = Browser::new(network.clone());
    let back = agreed(&browser, LOANS, &person).await;
    let kept = cookie_line(&browser, SIGN_IN);
    let acknowledged = browser.get(back.as_str()).send().await;
    gate.kill();
    assert!(given_session(&acknowledged).is_some(), "{}", acknowledged.story());
    let pairs = stored_pairs(&campus, &person).await;
    assert_eq!(pairs.iter().map(|pair| pair.scopes.to_string()).collect::<Vec<_>>(), ["openid"]);

    let mut gate = Process::start(&file).await;
    network.move_gate(gate.gate);
    let asked = campus.simulator.calls("authorize");
    let there = people::arrive(browser.open(LOANS).await, &person).await;
    there.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.simulator.calls("authorize"), asked, "the session was there");
    // The attempt is spent for good: its answer, brought again, is not exchanged a second time.
    let again = Browser::new(network.clone()).get(back.as_str()).header("cookie", &kept).follow().await;
    again.assert_status(400);
    assert_eq!(campus.simulator.calls("token"), 1);
    // A ticket that was redeemed is too.
    let at_site = session(&browser, LIBRARY).unwrap();
    gate.kill();
    let gate = Process::start(&file).await;
    network.move_gate(gate.gate);
    assert_eq!(status_with(&Browser::new(network), LOANS, &at_site).await, 200);
    drop(gate);
    campus.close().await;
}
