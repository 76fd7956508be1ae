//! Policies changed while the gate runs (J9, T74): the next request is decided by the new ones, what is open is ended,
//! and a broken file changes nothing.

use crate::campus::browser::Browser;
use crate::campus::legacy_app::Behaviour;
use crate::campus::ws::{Next, WebSocket};
use crate::campus::{Campus, LIBRARY, people, raw, temp};
use std::path::Path;
use std::time::{Duration, Instant};

/// What invariant 10 promises for open exchanges.
const PROMISED: Duration = Duration::from_secs(5);
const SOON: Duration = Duration::from_secs(10);
const FAILURES: &str = "lychgate_reload_failures_total{kind=\"policies\"}";

const STAFF: &str = r#"
[site]
name = "staff"
hosts = ["staff.campus.example"]
upstream = "{staff}"

[[rule]]
name = "listed"
paths = ["/files/**"]
access = "signed-in"
researchers = [{ file = "staff.txt" }]

[[rule]]
access = "signed-in"

[[case]]
request = "GET /files/a"
expect = "sign-in"
"#;

const FILES: &str = "https://staff.campus.example/files/a";

fn list(campus: &Campus, people: &[&people::Person]) {
    let lines: Vec<String> = people.iter().map(|person| person.orcid.to_string()).collect();
    replace(campus, "policies/staff.txt", &(lines.join("\n") + "\n"));
}

/// As an editor saves: a new file takes the old one's name.
fn replace(campus: &Campus, name: &str, text: &str) {
    let new = temp::write(campus.folder(), &format!("{name}.new"), text);
    std::fs::rename(new, campus.folder().join(name)).expect("files can be renamed");
}

async fn failures(campus: &Campus) -> f64 {
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let text = raw::exchange_plain(campus.gate().addresses().ops, request).await.text();
    let found = text.lines().find_map(|line| line.strip_prefix(FAILURES)).unwrap_or("0");
    found.trim().parse().expect("metrics are numbers")
}

/// Asks until the answer has this status, and no longer than a watched folder may take.
async fn becomes(browser: &Browser, url: &str, status: u16) {
    let end = Instant::now() + SOON;
    loop {
        let answer = browser.get(url).send().await;
        if answer.status.as_u16() == status {
            return;
        }
        assert!(Instant::now() < end, "still not {status}\n{}", answer.story());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks the admin socket, as `curl --unix-socket` does.
async fn ask_admin(socket: &Path, start: &str) -> (u16, serde_json::Value) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::UnixStream::connect(socket).await.expect("the admin socket is there");
    let request = format!("{start} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    tokio::time::timeout(SOON, stream.read_to_string(&mut text)).await.expect("it answers in time").unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(text.split("\r\n\r\n").nth(1).unwrap()).unwrap())
}

fn files_beside(builder: crate::campus::Builder) -> crate::campus::Builder {
    builder.site("staff", STAFF).file("policies/staff.txt", &format!("{}\n", people::ordinary().orcid))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t74_a_struck_id_is_refused_at_the_next_request_and_its_websocket_ends() {
    let campus = files_beside(Campus::build()).open().await;
    let (struck, other) = (campus.browser(), campus.browser());
    campus.sign_in(&struck, FILES, &people::ordinary()).await.assert_status(200).assert_at(FILES);
    campus.app("staff").on("/files/live", Behaviour::WebSocketEcho).on("/live", Behaviour::WebSocketEcho);
    let mut listed = WebSocket::open(&struck, "wss://staff.campus.example/files/live").await.expect("a listed one's");
    let mut open = WebSocket::open(&struck, "wss://staff.campus.example/live").await.expect("anybody's");
    assert_eq!(listed.ask("a").await, "a");

    list(&campus, &[&people::from_afar()]);
    tokio::task::block_in_place(|| campus.gate().reload());
    struck.get(FILES).send().await.assert_status(403).assert_says("listed");
    assert_eq!(listed.next(PROMISED).await, Some(Next::Closed(Some(1008))));
    // What they may still open stays open, and whoever was added is let in.
    assert_eq!(open.ask("b").await, "b");
    struck.get("https://staff.campus.example/else").send().await.assert_status(200);
    campus.sign_in(&other, FILES, &people::from_afar()).await.assert_status(200).assert_at(FILES);
    // Nobody at all on the list is nobody at all.
    list(&campus, &[]);
    tokio::task::block_in_place(|| campus.gate().reload());
    other.get(FILES).send().await.assert_status(403);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t74_a_list_replaced_on_disk_is_noticed_without_being_asked() {
    let campus = files_beside(Campus::build()).open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, FILES, &people::ordinary()).await.assert_status(200);
    list(&campus, &[&people::from_afar()]);
    becomes(&browser, FILES, 403).await;
    list(&campus, &[&people::ordinary()]);
    becomes(&browser, FILES, 200).await;
    assert_eq!(failures(&campus).await, 0.0);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j9_a_new_site_is_picked_up_whole_and_a_broken_file_changes_nothing() {
    let campus = files_beside(Campus::build()).open().await;
    let (browser, member) = (campus.browser(), campus.browser());
    campus.sign_in(&member, FILES, &people::ordinary()).await.assert_status(200);
    let news = "https://news.campus.example/";
    browser.get(news).send().await.assert_status(421);
    let site = |more: &str| {
        format!(
            "[site]\nname = \"news\"\nhosts = [\"news.campus.example\"]\nupstream = \"{}\"\n[[rule]]\naccess = \"public\"\n{more}",
            campus.library().upstream()
        )
    };
    // Beside a broken file even a good change stays out: half a policy is none.
    replace(&campus, "policies/news.toml", &site("colour = \"green\"\n"));
    replace(&campus, "policies/staff.txt", "");
    let admin = campus.gate().addresses().admin.clone();
    let (status, told) = ask_admin(&admin, "POST /reload").await;
    assert_eq!((status, &told["reloaded"]), (409, &false.into()), "{told}");
    let complaint = told["refused"]["policies"][0].as_str().unwrap();
    assert!(complaint.contains("news.toml:7") && complaint.contains("colour"), "{complaint}");
    assert!(failures(&campus).await >= 1.0);
    browser.get(news).send().await.assert_status(421);
    member.get(FILES).send().await.assert_status(200);
    // A failing case is as good as a broken line, a host that no certificate covers too.
    for broken in [
        site("[[case]]\nrequest = \"GET /\"\nexpect = \"refuse\"\n"),
        site("").replace("news.campus.example", "news.elsewhere.example"),
        site("").replace("news.campus.example", "library.campus.example"),
    ] {
        replace(&campus, "policies/news.toml", &broken);
        let (status, told) = ask_admin(&admin, "POST /reload").await;
        assert_eq!(status, 409, "{told}");
        browser.get(news).send().await.assert_status(421);
        browser.get(&format!("{LIBRARY}/")).send().await.assert_status(200);
    }
    replace(&campus, "policies/news.toml", &site(""));
    let (status, told) = ask_admin(&admin, "POST /reload").await;
    assert_eq!((status, &told["reloaded"]), (200, &true.into()), "{told}");
    browser.get(news).send().await.assert_status(200);
    member.get(FILES).send().await.assert_status(403);
    std::fs::remove_file(campus.folder().join("policies/news.toml")).unwrap();
    becomes(&browser, news, 421).await;
    campus.close().await;
}
