//! Bodies far larger than any buffer, both ways, through a gate in a process of its own whose memory is watched
//! (invariant 8).

use crate::campus::Campus;
use crate::campus::browser::Speaks;
use crate::campus::http::pieces;
use crate::campus::legacy_app::Behaviour;
use crate::cli::child::{Child, listener, lychgate};
use bytes::Bytes;
use http::Method;
use std::path::Path;
use std::time::Duration;

const LARGE: usize = 64 << 20;
const PIECE: usize = 64 << 10;
/// Generous: what was there at the start, TLS and socket buffers, and an allocator's habits.
const GROWTH: u64 = 32 << 20;
const SOON: Duration = Duration::from_secs(20);

const SITE: &str = r#"
[site]
name = "files"
hosts = ["files.campus.example"]
upstream = "{files}"

[[rule]]
access = "public"
"#;
const FILES: &str = "https://files.campus.example";

/// The most memory the process has ever had, in bytes.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the child runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number of kB") << 10
}

/// The campus's own files at another place, for a second gate.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("policies")).expect("folders can be made");
    for folder in ["", "policies"] {
        for entry in std::fs::read_dir(from.join(folder)).expect("the campus has files").flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_file()) {
                std::fs::copy(entry.path(), to.join(folder).join(entry.file_name())).expect("files can be copied");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_bodies_pass_both_ways_in_constant_memory() {
    let campus = Campus::build().site("files", SITE).open().await;
    let home = crate::campus::temp::directory();
    copy_files(campus.folder(), home.path());
    let mut child = Child::start(lychgate(home.path(), ["serve", "--config", "lychgate.toml", "--ready-json"]));
    let (child, ready) = tokio::task::spawn_blocking(move || {
        let ready = child.ready();
        (child, ready)
    })
    .await
    .expect("starting does not panic");
    campus.network.move_gate(listener(&ready, "gate"));
    let app = campus.app("files");
    app.on("/up", Behaviour::text("ok"));
    app.on("/length", Behaviour::Big { bytes: LARGE, chunked: false });
    app.on("/chunks", Behaviour::Big { bytes: LARGE, chunked: true });
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let browser = campus.browser().speaking(speaks);
        browser.get(&format!("{FILES}/small")).send().await.assert_status(200);
        let before = peak(child.pid());

        let piece = Bytes::from(vec![b'u'; PIECE]);
        let body = pieces(vec![piece; LARGE / PIECE], None);
        browser.request(Method::POST, &format!("{FILES}/up")).stream_body(body).send().await.assert_status(200);
        let received = app.last_request().body();
        let whole = received.len() == LARGE && received.iter().all(|byte| *byte == b'u');
        let head = app.last_request().raw_head.clone();
        assert!(whole, "{speaks:?}: {} bytes behind {:?}", received.len(), String::from_utf8_lossy(&head));
        drop(received);
        app.forget();

        for path in ["/length", "/chunks"] {
            let mut stream = browser.get(&format!("{FILES}{path}")).stream().await;
            assert_eq!(stream.status, 200);
            // A reader who looks away: nothing may pile up meanwhile.
            tokio::time::sleep(Duration::from_millis(700)).await;
            let mut length = 0;
            while let Some(piece) = stream.next(SOON).await {
                length += piece.len();
            }
            assert_eq!(length, LARGE, "{speaks:?} {path}");
        }
        let grown = peak(child.pid()).saturating_sub(before);
        assert!(grown < GROWTH, "{speaks:?}: the gate grew by {} MiB", grown >> 20);
    }
    tokio::task::spawn_blocking(move || child.stop()).await.expect("stopping does not panic").assert_code(0);
    campus.close().await;
}
