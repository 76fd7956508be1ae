//! Policies changed while the gate runs (J9, T74): the next request is decided by the new ones, what is open is ended,
//! and a broken file changes nothing.

use crate::campus::browser::Browser;
use crate::campus::legacy_app::{Behaviour, LegacyApp};
use crate::campus::operator::ask_admin;
use crate::campus::temp::Authority;
use crate::campus::ws::{Next, WebSocket};
use crate::campus::{Campus, LIBRARY, people, raw, temp};
use std::path::Path;
use std::process::Command;
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
    assert_eq!(campus.metric(FAILURES).await, 0.0);
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
    assert!(campus.metric(FAILURES).await >= 1.0);
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

/// As a deployment does it: a folder made beside the old one takes its place.
fn replace_folder(campus: &Campus, change: impl FnOnce(&Path)) {
    let at = |name: &str| campus.folder().join(name);
    std::fs::create_dir(at("policies.new")).unwrap();
    for entry in std::fs::read_dir(at("policies")).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, at("policies.new").join(from.file_name().unwrap())).unwrap();
    }
    change(&at("policies.new"));
    std::fs::rename(at("policies"), at("policies.old")).unwrap();
    std::fs::rename(at("policies.new"), at("policies")).unwrap();
    std::fs::remove_dir_all(at("policies.old")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t74_an_id_is_struck_off_in_a_folder_that_took_the_place_of_the_watched_one() {
    let campus = files_beside(Campus::build()).open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, FILES, &people::ordinary()).await.assert_status(200);
    for _ in 0..2 {
        let other = format!("{}\n", people::from_afar().orcid);
        replace_folder(&campus, |new| std::fs::write(new.join("staff.txt"), other).unwrap());
        becomes(&browser, FILES, 403).await;
        // From here on only somebody who watches the new folder hears anything.
        list(&campus, &[&people::ordinary()]);
        becomes(&browser, FILES, 200).await;
        list(&campus, &[&people::from_afar()]);
        becomes(&browser, FILES, 403).await;
        list(&campus, &[&people::ordinary()]);
        becomes(&browser, FILES, 200).await;
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j9_an_empty_folder_does_not_replace_the_sites_in_force() {
    let campus = files_beside(Campus::build()).open().await;
    let browser = campus.browser();
    campus.sign_in(&browser, FILES, &people::ordinary()).await.assert_status(200);
    let (policies, aside) = (campus.folder().join("policies"), campus.folder().join("aside"));
    std::fs::rename(&policies, &aside).unwrap();
    std::fs::create_dir(&policies).unwrap();
    let admin = campus.gate().addresses().admin.clone();
    let (status, told) = ask_admin(&admin, "POST /reload").await;
    assert_eq!((status, &told["reloaded"]), (409, &false.into()), "{told}");
    let complaint = told["refused"]["policies"][0].as_str().unwrap();
    assert!(complaint.contains("no policy files") && complaint.contains("stop the gate"), "{complaint}");
    assert!(campus.metric(FAILURES).await >= 1.0);
    browser.get(FILES).send().await.assert_status(200);
    browser.get(&format!("{LIBRARY}/")).send().await.assert_status(200);
    // A new visitor is asked to sign in as before.
    campus.sign_in(&campus.browser(), FILES, &people::ordinary()).await.assert_status(200);
    std::fs::remove_dir(&policies).unwrap();
    std::fs::rename(&aside, &policies).unwrap();
    assert_eq!(ask_admin(&admin, "POST /reload").await.0, 200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apps_authority_is_replaced_by_a_reload_and_no_connection_of_the_old_one_is_lent() {
    let (old, new) = (Authority::new(), Authority::new());
    let app = LegacyApp::start_tls(old.issue(&["localhost"]).server_config(&["http/1.1"])).await;
    let renewed = LegacyApp::start_tls(new.issue(&["localhost"]).server_config(&["http/1.1"])).await;
    let site = |name: &str, app: &LegacyApp| {
        format!(
            "[site]\nname = \"{name}\"\nhosts = [\"{name}.campus.example\"]\nupstream = \"{}\"\n\
             upstream_ca = \"app.pem\"\n[[rule]]\naccess = \"public\"\n",
            app.upstream()
        )
    };
    let campus = Campus::build()
        .site("old", &site("old", &app))
        .site("new", &site("new", &renewed))
        .file("policies/app.pem", old.pem())
        .open()
        .await;
    let browser = campus.browser();
    let (old_site, new_site) = ("https://old.campus.example/a", "https://new.campus.example/a");
    let admin = campus.gate().addresses().admin.clone();
    for _ in 0..4 {
        browser.get(old_site).send().await.assert_status(200);
    }
    browser.get(new_site).send().await.assert_status(502);

    // Nothing that is no certificate takes the place of one.
    for broken in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        replace(&campus, "policies/app.pem", broken);
        let (status, told) = ask_admin(&admin, "POST /reload").await;
        assert!(status == 409 && told.to_string().contains("app.pem"), "{told}");
        browser.get(old_site).send().await.assert_status(200);
    }
    replace(&campus, "policies/app.pem", new.pem());
    assert_eq!(ask_admin(&admin, "POST /reload").await.0, 200);
    let told = app.requests().len();
    for _ in 0..4 {
        browser.get(old_site).send().await.assert_status(502);
        browser.get(new_site).send().await.assert_status(200);
    }
    assert_eq!(app.requests().len(), told, "an app of the old authority was told of a request");
    // Both, as while an authority is exchanged.
    replace(&campus, "policies/app.pem", &format!("{}{}", old.pem(), new.pem()));
    assert_eq!(ask_admin(&admin, "POST /reload").await.0, 200);
    browser.get(old_site).send().await.assert_status(200);
    browser.get(new_site).send().await.assert_status(200);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_that_takes_long_keeps_nobody_else_waiting() {
    let campus = Campus::open().await;
    let (slow, aside) = (campus.folder().join("policies/slow.toml"), campus.folder().join("slow"));
    // Opening a pipe waits for whoever writes into it, as a network's disk that is away keeps one waiting.
    assert!(Command::new("mkfifo").arg(&slow).status().expect("every system has it").success());
    let admin = campus.gate().addresses().admin.clone();
    let asked: Vec<_> = (0..4)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move { ask_admin(&admin, "POST /reload").await.0 })
        })
        .collect();
    // More of them than the gate has threads in the background; each gets its turn.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let ops = campus.gate().addresses().ops;
    let alive = tokio::time::timeout(Duration::from_secs(4), raw::exchange_plain(ops, health)).await;
    // The one that waits is let go, and those behind it find the folder as it was.
    std::fs::rename(&slow, &aside).unwrap();
    tokio::task::spawn_blocking(move || drop(std::fs::File::options().write(true).open(aside).unwrap())).await.unwrap();
    assert!(alive.is_ok(), "nobody is answered while policies are read");
    for one in asked {
        assert!(matches!(one.await.unwrap(), 200 | 409));
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_socket_lists_the_sites_in_force() {
    let campus = Campus::open().await;
    let admin = campus.gate().addresses().admin.clone();
    let (_, before) = ask_admin(&admin, "GET /status").await;
    assert_eq!(before["sites"]["library"], format!("{LIBRARY}/"), "{before}");
    let news = "[site]\nname = \"news\"\nhosts = [\"news.campus.example\"]\nportal = true\n\
                [[rule]]\naccess = \"signed-in\"\n";
    replace(&campus, "policies/news.toml", news);
    std::fs::remove_file(campus.folder().join("policies/library.toml")).unwrap();
    assert_eq!(ask_admin(&admin, "POST /reload").await.0, 200);
    let (status, after) = ask_admin(&admin, "GET /status").await;
    assert_eq!(status, 200);
    assert_eq!(after["sites"]["news"], "https://news.campus.example/", "{after}");
    assert_eq!(after["sites"]["library"], serde_json::Value::Null, "{after}");
    for key in ["pid", "sign_in", "simulated"] {
        assert_eq!(after[key], before[key]);
    }
    campus.close().await;
}
