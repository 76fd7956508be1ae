//! `serve`: it opens with one ready line, say plainly why they cannot, take a socket from a
//! service manager, and end without breaking off what is under way.

use super::House;
use super::child::{Child, at_home, listener, lychgate, wait_until_closed};
use crate::campus::browser::{Browser, Network, Speaks};
use crate::campus::legacy_app::LegacyApp;
use crate::campus::temp;
use lychgate::domain::{SystemChance, SystemClock};
use lychgate::vault;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Far below the drain time of the configuration, far above what a busy machine needs.
const SOON: Duration = Duration::from_secs(20);

const FRONT: &str = "https://library.campus.example/";

impl House {
    /// A house whose library stands: every path is open to everybody.
    pub fn with(app: &LegacyApp) -> Self {
        let house = House::new();
        let site = format!(
            "[site]\nname = \"library\"\nhosts = [\"library.campus.example\"]\nupstream = \"{}\"\n\n\
             [[rule]]\nname = \"everything\"\naccess = \"public\"\n\n\
             [[case]]\nrequest = \"GET /x\"\nexpect = \"admit\"\n",
            app.upstream()
        );
        house.write("policies/library.toml", &site);
        house
    }

    pub fn serve(&self, more: &[&str]) -> Child {
        let usual = ["serve", "--config", "lychgate.toml", "--ready-json"];
        Child::start(lychgate(self.path(), [&usual, more].concat()))
    }

    fn browser(&self, ready: &Value) -> Browser {
        Browser::new(Arc::new(Network::new(listener(ready, "gate"), self.authority.roots())))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve_opens_with_own_certificates_and_tells_where_in_one_line() {
    let app = LegacyApp::start().await;
    let house = House::with(&app);
    let mut gate = house.serve(&["--set", "log.level=debug"]);
    let ready = gate.ready();
    assert_eq!(ready["event"], "ready");
    assert_eq!(ready["pid"], gate.pid());
    assert_eq!(ready["urls"]["sites"]["library"], FRONT);
    assert_eq!(ready["urls"]["sign_in"], "https://gate.campus.example/");
    for absent in ["people", "ca_file"] {
        assert!(ready.get(absent).is_none(), "{ready}");
    }
    assert!(listener(&ready, "ops").ip().is_loopback());
    let admin = PathBuf::from(ready["listeners"]["admin"].as_str().expect("a path"));
    assert!(admin.is_absolute(), "a reader may stand in another folder");
    assert_eq!(fs::metadata(&admin).unwrap().permissions().mode() & 0o777, 0o600);

    house.browser(&ready).open(FRONT).await.assert_status(200);
    assert_eq!(app.last_request().all("host"), ["library.campus.example"]);
    assert!(gate.stderr().contains("SIMULATED"), "nobody shall take this gate for a real one");
    assert!(!gate.stderr().contains('\u{1b}'), "a log in a file holds no colours");

    let ended = gate.stop();
    ended.assert_code(0);
    assert_eq!(ended.stdout.lines().count(), 1, "stdout is the ready line alone: {}", ended.stdout);
    assert!(!admin.exists(), "the admin socket goes with the gate");
    app.stop().await;
}

#[test]
fn serve_without_being_asked_prints_nothing_on_stdout_and_tells_its_service_manager() {
    let house = House::new();
    let path = house.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("the path is free");
    manager.set_read_timeout(Some(Duration::from_secs(90))).expect("a fresh socket takes options");
    let mut command = lychgate(house.path(), ["serve", "--config", "lychgate.toml"]);
    command.env("NOTIFY_SOCKET", &path);
    let gate = Child::start(command);
    let mut message = [0; 256];
    let length = manager.recv(&mut message).unwrap_or_else(|error| panic!("{error}\n{}", gate.stderr()));
    let message = String::from_utf8_lossy(&message[..length]).into_owned();
    assert!(message.lines().any(|line| line == "READY=1"), "{message:?}");
    let ended = gate.stop();
    ended.assert_code(0);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_busy_port_stops_the_start_with_2_before_anything_is_touched() {
    let house = House::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = taken.local_addr().expect("a bound socket has an address").to_string();
    for key in ["gate.listen", "ops.listen", "gate.http_listen"] {
        let ended = house.serve(&["--set", &format!("{key}={address}")]).ended();
        ended.assert_code(2).assert_complains(&[
            "lychgate: the gate does not start",
            &format!("{key} cannot be opened"),
            "another process listens there",
        ]);
        assert_eq!(ended.stdout, "");
        assert!(!house.path().join("state/vault").exists(), "{key}: the vault was touched");
    }
}

#[test]
fn a_second_gate_on_the_same_state_is_refused_and_the_first_goes_on() {
    let house = House::new();
    let mut first = house.serve(&[]);
    let ready = first.ready();
    house.serve(&[]).ended().assert_code(2).assert_complains(&["admin.socket", "a running gate answers there"]);
    house
        .serve(&["--set", "admin.socket=other.sock"])
        .ended()
        .assert_code(2)
        .assert_complains(&["is in use by another gate"]);
    assert!(first.runs());
    assert!(std::net::TcpStream::connect(listener(&ready, "gate")).is_ok());
    first.stop().assert_code(0);
}

#[test]
fn t73_another_sealing_key_stops_the_start_and_harms_nothing() {
    let house = House::new();
    let mut gate = house.serve(&[]);
    gate.ready();
    gate.stop().assert_code(0);
    let keys = house.path().join("keys");
    let kept = fs::read(&keys).unwrap();

    fs::remove_file(&keys).unwrap();
    house.serve(&[]).ended().assert_code(2).assert_complains(&["keys", "is missing"]);
    vault::generate_key_file(&keys, &SystemClock, &SystemChance::default()).expect("keys can be made");
    let ended = house.serve(&[]).ended();
    ended.assert_code(2).assert_complains(&["lychgate: the gate does not start", "key"]);
    assert_eq!(ended.stdout, "");

    temp::write(house.path(), "keys", &kept);
    let mut gate = house.serve(&[]);
    gate.ready();
    gate.stop().assert_code(0);
}

#[test]
fn a_certificate_with_another_key_stops_the_start() {
    let house = House::new();
    house.write("gate.key", &house.authority.issue(&["*.campus.example"]).key);
    let ended = house.serve(&[]).ended();
    ended.assert_code(2).assert_complains(&["gate.key", "lychgate: "]);
    assert_eq!(ended.stdout, "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_loses_no_line_of_the_log() {
    const REQUESTS: usize = 300;
    let app = LegacyApp::start().await;
    let house = House::with(&app);
    let mut gate = house.serve(&["--set", "log.level=info"]);
    let ready = gate.ready();
    let browser = house.browser(&ready);
    for _ in 0..REQUESTS {
        browser.get(FRONT).send().await.assert_status(200);
    }
    let ended = gate.stop();
    ended.assert_code(0);
    let lines = ended.stderr.lines().filter(|line| line.contains(" access: ")).count();
    assert_eq!(lines, REQUESTS, "{}", ended.stderr);
    assert!(ended.stderr.contains("stopping"), "{}", ended.stderr);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn term_lets_requests_under_way_finish_and_turns_new_visitors_away() {
    let app = LegacyApp::start().await;
    let house = House::with(&app);
    let mut gate = house.serve(&[]);
    let ready = gate.ready();
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        // Idle connections must not hold the gate up.
        house.browser(&ready).speaking(speaks).open(FRONT).await.assert_status(200);
    }
    let idle = house.browser(&ready);
    idle.open(FRONT).await.assert_status(200);
    app.forget();
    let mut waiting = Vec::new();
    let mut releases = Vec::new();
    for (speaks, path) in [(Speaks::OnlyHttp1, "/slow-1"), (Speaks::OnlyHttp2, "/slow-2")] {
        releases.push(app.hold(path, "finished all the same"));
        let browser = house.browser(&ready).speaking(speaks);
        let url = format!("https://library.campus.example{path}");
        waiting.push(tokio::spawn(async move { browser.open(&url).await }));
    }
    app.wait_for_requests(2).await;

    gate.signal("TERM");
    let address = listener(&ready, "gate");
    tokio::task::spawn_blocking(move || wait_until_closed(address)).await.expect("waiting does not panic");
    assert!(gate.runs(), "requests are under way\n{}", gate.stderr());
    for release in releases {
        release.notify_one();
    }
    for answer in waiting {
        answer.await.expect("the request is answered").assert_status(200).assert_says("finished all the same");
    }
    gate.ended_within(SOON).assert_code(0);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_opened_by_the_service_manager_is_used() {
    let app = LegacyApp::start().await;
    let house = House::with(&app);
    let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = socket.local_addr().expect("a bound socket has an address");
    // LISTEN_PID must be the gate's own, which only the process that becomes it knows.
    let script = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_lychgate"), "serve", "--config", "lychgate.toml", "--ready-json"]);
    at_home(&mut command, house.path());
    command.stdin(Stdio::from(OwnedFd::from(socket)));
    let mut gate = Child::start(command);
    let ready = gate.ready();
    assert_eq!(listener(&ready, "gate"), address);
    assert_eq!(ready["pid"], gate.pid());
    let browser = house.browser(&ready).without_reuse();
    for _ in 0..4 {
        browser.open(FRONT).await.assert_status(200);
    }
    gate.stop().assert_code(0);
    app.stop().await;
}
