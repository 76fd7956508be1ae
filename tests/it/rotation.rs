//! J10: sealing keys and client secrets are replaced on disk while requests flow, and nobody notices. (Certificates:
//! `tls.rs`.)

use crate::campus::browser::Browser;
use crate::campus::people::{self, Person};
use crate::campus::{CLIENT_SECRET, Campus, LIBRARY, SIGN_IN, temp};
use lychgate::domain::{SystemChance, SystemClock};
use lychgate::simulator::{MEMBER_CLIENT, SimulatedClient};
use lychgate::vault::{self, KeyId};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const SOON: Duration = Duration::from_secs(20);
const LOANS: &str = "https://library.campus.example/loans";
const KEYS_REFUSED: &str = "lychgate_reload_failures_total{kind=\"sealing-keys\"}";
const SECRETS_REFUSED: &str = "lychgate_reload_failures_total{kind=\"client-secrets\"}";
const NEXT_SECRET: &str = "b7a5e3c1-0d2f-4e6a-8c9b-5f4e3d2c1b0a";

/// Waits until `happened`, a few times a second.
async fn until<F: Future<Output = bool>>(what: &str, happened: impl Fn() -> F) {
    let end = Instant::now() + SOON;
    while !happened().await {
        assert!(Instant::now() < end, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Somebody who is signed in and asks without a pause, on kept and on new connections; every request must be served as
/// theirs.
struct Reader {
    served: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    reading: JoinHandle<()>,
}

impl Reader {
    async fn sign_in(campus: &Campus, person: &Person) -> Self {
        let browser = campus.browser();
        campus.sign_in(&browser, LOANS, person).await.assert_status(200).assert_at(LOANS);
        let (served, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped, fresh) = (served.clone(), stop.clone(), browser.without_reuse());
        let reading = tokio::spawn(async move {
            while !stopped.load(Ordering::SeqCst) {
                for browser in [&browser, &fresh] {
                    browser.get(LOANS).send().await.assert_status(200);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { served, stop, reading }
    }

    /// Waits until so many more were served.
    async fn goes_on(&self, requests: u64) {
        let before = self.served.load(Ordering::SeqCst);
        let further =
            || async { self.reading.is_finished() || self.served.load(Ordering::SeqCst) >= before + requests };
        until("further requests", further).await;
        assert!(!self.reading.is_finished(), "a request was not served");
    }

    async fn leave(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.reading.await.expect("every request was served");
    }
}

fn rotate(campus: &Campus) -> KeyId {
    vault::rotate_key_file(&campus.folder().join("keys"), &SystemClock, &SystemChance::default())
        .expect("a key can be added")
}

/// Which key seals, and whether older ones are still needed.
async fn sealing(campus: &Campus) -> (String, bool) {
    let (status, told) = campus.admin("GET /status").await;
    assert_eq!(status, 200, "{told}");
    let key = &told["sealing_key"];
    (key["id"].as_str().unwrap_or_default().to_owned(), key["resealed"] == true)
}

async fn signed_in(campus: &Campus, browser: &Browser, person: &Person) {
    campus.sign_in(browser, LOANS, person).await.assert_status(200).assert_at(LOANS);
    browser.get(&format!("{LIBRARY}/.lychgate/me")).send().await.assert_says(person.orcid.as_str());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j10_a_sealing_key_rotated_on_disk_is_noticed_by_nobody_and_lets_the_old_one_go() {
    let mut campus = Campus::open().await;
    let reader = Reader::sign_in(&campus, &people::ordinary()).await;
    // Somebody has gone to ORCID; what they bring back was sealed before.
    let traveller = campus.browser();
    let at_orcid = traveller.open(LOANS).await.click("Create or connect your ORCID iD").await;
    let old = sealing(&campus).await.0;

    let new = rotate(&campus).to_string();
    until("the new key in use, and nothing under the old one", || async {
        sealing(&campus).await == (new.clone(), true)
    })
    .await;
    reader.goes_on(20).await;
    people::arrive(at_orcid, &people::from_afar()).await.assert_status(200).assert_at(LOANS);
    assert_eq!(campus.metric(KEYS_REFUSED).await, 0.0);

    // Nothing on disk needs the old key: without its line everything opens again. Cookies that it marked are no longer
    // known, later ones are.
    let both = std::fs::read_to_string(campus.folder().join("keys")).expect("the key file");
    reader.leave().await;
    let without: Vec<&str> = both.lines().filter(|line| !line.starts_with(&old)).collect();
    temp::write(campus.folder(), "keys", without.join("\n") + "\n");
    let (status, told) = campus.admin("POST /reload").await;
    assert_eq!(status, 200, "{told}");
    traveller.get(LOANS).send().await.assert_status(200);
    campus.restart().await;
    traveller.get(LOANS).send().await.assert_status(200);
    signed_in(&campus, &campus.browser(), &people::ordinary()).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j10_t73_a_key_file_that_cannot_be_used_changes_nothing() {
    let campus = Campus::open().await;
    let reader = Reader::sign_in(&campus, &people::ordinary()).await;
    let keys = campus.folder().join("keys");
    let good = std::fs::read_to_string(&keys).expect("the key file");
    let (id, in_use) = (good.lines().last().unwrap()[..8].to_owned(), sealing(&campus).await.0);
    assert_eq!(id, in_use);
    let secret = good.split_whitespace().last().unwrap().to_owned();
    campus.watch.forbid("sealing key", &secret);
    let other = good.replace(&secret, &"ab".repeat(32));
    let foreign = format!("00c0ffee 1795500000 {}\n", "cd".repeat(32));
    for (text, says) in [
        ("garbage\n", "three words"),
        (other.as_str(), "another key under the id"),
        (foreign.as_str(), "no longer holds"),
    ] {
        temp::write(campus.folder(), "keys", text);
        let before = campus.metric(KEYS_REFUSED).await;
        let (status, told) = campus.admin("POST /reload").await;
        let complaint = told["refused"]["sealing-keys"][0].as_str().unwrap_or_default();
        assert!(status == 409 && complaint.contains(says) && complaint.contains("vault.key_file"), "{told}");
        assert!(!told.to_string().contains(&secret), "{told}");
        assert!(campus.metric(KEYS_REFUSED).await > before);
        assert_eq!(sealing(&campus).await, (in_use.clone(), true));
        reader.goes_on(4).await;
        signed_in(&campus, &campus.browser(), &people::from_afar()).await;
    }
    temp::write(campus.folder(), "keys", &good);
    assert_eq!(campus.admin("POST /reload").await.0, 200);
    reader.leave().await;
    campus.close().await;
}

/// As ORCID's page for developers does: from now on only this secret counts.
fn reset_at_orcid(campus: &Campus, secret: &str) {
    let callback = format!("{SIGN_IN}/.lychgate/callback/campus");
    let client = SimulatedClient::new(MEMBER_CLIENT, secret, "Test Campus", true, &[callback.as_str()]);
    campus.simulator.register(client).unwrap_or_else(|problem| panic!("{problem}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j10_a_client_secret_replaced_on_disk_is_used_for_the_next_code_and_a_broken_file_never() {
    let written = format!("secret = \"{CLIENT_SECRET}\"");
    let campus = Campus::build()
        .replace(&written, "secret_file = \"orcid.secret\"")
        .file("orcid.secret", &format!("{CLIENT_SECRET}\n"))
        .open()
        .await;
    campus.watch.forbid("client secret", NEXT_SECRET);
    let reader = Reader::sign_in(&campus, &people::ordinary()).await;
    // Somebody is at ORCID while the secret is changed.
    let traveller = campus.browser();
    let at_orcid = traveller.open(LOANS).await.click("Create or connect your ORCID iD").await;

    reset_at_orcid(&campus, NEXT_SECRET);
    let beside = temp::write(campus.folder(), "orcid.secret.new", format!("{NEXT_SECRET}\n"));
    std::fs::rename(beside, campus.folder().join("orcid.secret")).expect("files can be renamed");
    let taken = || async { !campus.watch.lines_with("the client's secret has changed").is_empty() };
    until("the new secret in use", taken).await;
    people::arrive(at_orcid, &people::from_afar()).await.assert_status(200).assert_at(LOANS);
    reader.goes_on(10).await;
    assert_eq!(campus.metric(SECRETS_REFUSED).await, 0.0);

    // Whatever is wrong with the file, the one in use stays in use.
    for (text, mode, says) in [("", 0o600, "one secret in one line"), (NEXT_SECRET, 0o644, "others than its owner")] {
        let file = temp::write(campus.folder(), "orcid.secret", text);
        let open = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&file, open).expect("it is ours");
        let (status, told) = campus.admin("POST /reload").await;
        let complaint = told["refused"]["client-secrets"][0].as_str().unwrap_or_default();
        for word in [says, "orcid.secret", "clients.campus.secret_file"] {
            assert!(status == 409 && complaint.contains(word), "{word}: {told}");
        }
        assert!(!told.to_string().contains(NEXT_SECRET), "{told}");
        signed_in(&campus, &campus.browser(), &people::from_afar()).await;
    }
    assert!(campus.metric(SECRETS_REFUSED).await >= 2.0);
    reader.leave().await;
    campus.close().await;
}

/// A log in the folder of the key file would feed itself: every reading is a line in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j10_a_log_beside_the_key_file_does_not_have_everything_read_again_and_again() {
    let campus = Campus::open().await;
    // While the key file is broken every reading is counted.
    let good = std::fs::read_to_string(campus.folder().join("keys")).expect("the key file");
    temp::write(campus.folder(), "keys", "garbage\n");
    until("the reading of a broken file", || async { campus.metric(KEYS_REFUSED).await > 0.0 }).await;
    // Longer than the folder is given to come to rest, here and below.
    tokio::time::sleep(Duration::from_millis(700)).await;
    let before = campus.metric(KEYS_REFUSED).await;
    for line in 0..5 {
        temp::write(campus.folder(), "gate.log", format!("line {line}\n"));
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(campus.metric(KEYS_REFUSED).await, before);
    temp::write(campus.folder(), "keys", good);
    let new = rotate(&campus).to_string();
    until("the new key in use", || async { sealing(&campus).await.0 == new }).await;
    campus.close().await;
}
