//! Requests that two parsers could read in two ways, as bytes over real TLS (invariant 1; T22-T30, T76, T83): the
//! gate refuses them with a page of its own, and the app behind it sees nothing. Heads and
//! bodies are in `parser_corpus/framing.rs`, HTTP/2 in `parser_corpus/h2.rs`.

mod framing;
mod h2;

use crate::campus::browser::{Browser, Speaks};
use crate::campus::raw::{self, Said};
use crate::campus::{Campus, LIBRARY, people};
use http::Method;

/// Everything on it is public, so that whatever the parser lets pass reaches the app.
const OPEN_SITE: &str = r#"
[site]
name = "open"
hosts = ["open.campus.example"]
upstream = "{open}"

[[rule]]
name = "all"
access = "public"
"#;

const OPEN: &str = "https://open.campus.example";

/// A name, the bytes, the status.
type Case = (&'static str, Vec<u8>, u16);

async fn open_campus() -> Campus {
    Campus::build().site("open", OPEN_SITE).open().await
}

async fn say(campus: &Campus, sni: &str, bytes: impl AsRef<[u8]>) -> Said {
    raw::exchange(campus.gate().addresses().gate, sni, campus.authority.roots(), bytes).await
}

/// A page of the gate's, with its headers, and no word of the engine's.
#[track_caller]
fn assert_ours(said: &Said, case: &str) {
    let text = said.text();
    let head = text.split("\r\n\r\n").next().unwrap_or_default().to_ascii_lowercase();
    for field in ["cache-control: no-store", "x-content-type-options: nosniff"] {
        assert!(head.contains(field), "{case}: not our page, {field} is missing:\n{text}");
    }
    let page = head.contains("content-type: text/html") && text.contains("Test Campus") && text.contains("</html>");
    assert!(page || head.contains("content-type: application/json"), "{case}: not our page:\n{text}");
    let banner = head.lines().any(|line| line.starts_with("server:")) || head.contains("pingora");
    assert!(!banner, "{case}: the engine introduces itself:\n{text}");
}

/// Each is refused with its status and our page, the connection ends, and the app has seen nothing.
async fn refuse_all(campus: &Campus, sni: &str, app: &str, cases: &[Case]) {
    let mut complaints = Vec::new();
    for (name, bytes, status) in cases {
        let said = say(campus, sni, bytes).await;
        if said.statuses() != [*status] || !said.closed {
            let end = if said.closed { "closed" } else { "left open" };
            complaints.push(format!("{name}: {:?}, {end}\n{}", said.statuses(), said.text()));
        } else {
            assert_ours(&said, name);
        }
        for request in campus.app(app).requests() {
            complaints.push(format!("{name}: the app saw {} {}", request.method, request.target));
        }
        campus.app(app).forget();
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t26_a_malformed_target_is_refused() {
    let campus = open_campus().await;
    let line = |line: &str| format!("{line}\r\nHost: open.campus.example\r\nConnection: close\r\n\r\n").into_bytes();
    let cases: Vec<Case> = vec![
        ("a scheme alone", line("GET http:// HTTP/1.1"), 400),
        ("an absolute form with another host", line("GET http://library.campus.example/ HTTP/1.1"), 400),
        ("an absolute form with a user", line("GET http://user@open.campus.example/ HTTP/1.1"), 400),
        ("an absolute form of another scheme", line("GET ftp://open.campus.example/ HTTP/1.1"), 400),
        ("the asterisk form", line("OPTIONS * HTTP/1.1"), 400),
        ("the asterisk form with GET", line("GET * HTTP/1.1"), 400),
        ("the authority form", line("GET open.campus.example:443 HTTP/1.1"), 400),
        ("no slash", line("GET admin HTTP/1.1"), 400),
        ("a blank", line("GET /a b HTTP/1.1"), 400),
        ("a blank in the query", line("GET /a?b c HTTP/1.1"), 400),
        ("angle brackets and quotes", line("GET /<a>\"b\" HTTP/1.1"), 400),
        ("a control character", line("GET /a\u{1}b HTTP/1.1"), 400),
        ("a delete character", line("GET /a\u{7f}b HTTP/1.1"), 400),
        ("t24: a raw fragment", line("GET /#/admin HTTP/1.1"), 400),
        ("t24: a raw fragment in the query", line("GET /?a#b HTTP/1.1"), 400),
    ];
    refuse_all(&campus, "open.campus.example", "open", &cases).await;
    // The absolute form that agrees with Host is legal (RFC 9112 §3.2.2) and arrives in origin form.
    let said = say(&campus, "open.campus.example", line("GET https://open.campus.example/a?b=c HTTP/1.1")).await;
    assert_eq!(said.status(), 200, "{}", said.text());
    assert_eq!(campus.app("open").last_request().target, "/a?b=c");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t28_a_request_has_one_host() {
    let campus = open_campus().await;
    let hosts = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}Connection: close\r\n\r\n").into_bytes();
    let cases: Vec<Case> = vec![
        ("none", hosts(""), 400),
        ("none in HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n".to_vec(), 400),
        ("an empty one", hosts("Host:\r\n"), 400),
        ("two", hosts("Host: open.campus.example\r\nHost: library.campus.example\r\n"), 400),
        ("the same twice", hosts("Host: open.campus.example\r\nHost: open.campus.example\r\n"), 400),
        ("a list", hosts("Host: open.campus.example, library.campus.example\r\n"), 400),
        ("a user", hosts("Host: library.campus.example@open.campus.example\r\n"), 400),
        ("a path", hosts("Host: open.campus.example/admin\r\n"), 400),
        ("a blank", hosts("Host: open.campus.example library.campus.example\r\n"), 400),
        ("two dots", hosts("Host: open.campus.example..\r\n"), 400),
        ("a port that is no number", hosts("Host: open.campus.example:https\r\n"), 400),
        ("a port beyond all ports", hosts("Host: open.campus.example:65536\r\n"), 400),
        ("percent-encoding", hosts("Host: open%2Ecampus.example\r\n"), 400),
    ];
    refuse_all(&campus, "open.campus.example", "open", &cases).await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t28_a_host_is_served_on_a_connection_whose_certificate_covers_it_and_on_no_other() {
    let files = crate::campus::temp::directory();
    let elsewhere = crate::campus::temp::Authority::new();
    let (cert, key) = elsewhere.issue(&["journal.elsewhere.example"]).write(files.path(), "journal");
    let second = format!("}}, {{ cert = \"{}\", key = \"{}\" }}]", cert.display(), key.display());
    let site = OPEN_SITE.replace("open", "journal").replace("journal.campus", "journal.elsewhere");
    let site = site.replace("upstream = \"{journal}\"", "upstream = \"{open}\"");
    let campus = Campus::build().site("open", OPEN_SITE).site("journal", &site).replace("}]", &second).open().await;
    let gate = campus.gate().addresses().gate;
    let ask = |host: &str| format!("GET /here HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

    // Browsers bring the second host onto the first one's HTTP/2 connection.
    let browser = campus.browser();
    let line = browser.connect(LIBRARY).await;
    assert!(line.is_h2());
    browser.get(&format!("{OPEN}/here")).over(&line).send().await.assert_status(200);
    let said = say(&campus, "library.campus.example", ask("open.campus.example")).await;
    assert_eq!(said.status(), 200, "{}", said.text());
    let said =
        raw::exchange(gate, "journal.elsewhere.example", elsewhere.roots(), ask("journal.elsewhere.example")).await;
    assert_eq!(said.status(), 200, "{}", said.text());
    campus.app("open").forget();

    let said = say(&campus, "library.campus.example", ask("journal.elsewhere.example")).await;
    assert_eq!(said.status(), 421, "{}", said.text());
    assert_ours(&said, "not covered");
    let said = raw::exchange(gate, "journal.elsewhere.example", elsewhere.roots(), ask("open.campus.example")).await;
    assert_eq!(said.status(), 421, "{}", said.text());
    let answer = browser.get("https://journal.elsewhere.example/here").over(&line).send().await;
    answer.assert_status(421);
    assert!(campus.app("open").requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t27_a_host_is_the_same_in_every_spelling() {
    let hosts: Vec<String> = (0..150).map(|n| format!("\"r{n}.campus.example\"")).collect();
    let site = OPEN_SITE.replace("open", "routes").replace("\"routes.campus.example\"", &hosts.join(", "));
    let campus = Campus::build().site("routes", &site).open().await;
    let browser = campus.browser().speaking(Speaks::OnlyHttp1);
    let line = browser.connect("https://r0.campus.example").await;
    for n in 0..150 {
        for host in [
            format!("r{n}.campus.example"),
            format!("R{n}.Campus.EXAMPLE"),
            format!("r{n}.campus.example."),
            format!("r{n}.campus.example:443"),
            format!("R{n}.CAMPUS.example.:8443"),
        ] {
            let request = browser.get(&format!("https://r{n}.campus.example/")).header("host", &host).over(&line);
            request.send().await.assert_status(200);
            // The app is told one spelling.
            assert_eq!(campus.app("routes").last_request().all("host"), [format!("r{n}.campus.example")], "{host}");
        }
    }
    let request = browser.get("https://r0.campus.example/").header("host", "r150.campus.example").over(&line);
    request.send().await.assert_status(421);
    campus.close().await;
}

/// Asks for `target` byte for byte.
async fn ask(browser: &Browser, host: &str, target: &str) -> crate::campus::answer::Answer {
    browser.get(&format!("https://{host}.campus.example/")).target(target).send().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t22_t24_policy_and_app_act_on_the_same_path() {
    let folding = OPEN_SITE
        .replace("open", "folding")
        .replace("[[rule]]", "case_insensitive = true\n\n[[rule]]\nname = \"no one\"\npaths = [\"/admin/**\"]\naccess = \"signed-in\"\nresearchers = [\"0000-0002-1825-0097\"]\n\n[[rule]]");
    let campus = Campus::build().site("folding", &folding).open().await;
    for target in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/%252e%252e/admin",
        "/public/..;/admin",
        "/admin;x/users",
        "/public\\..\\admin",
        "/public%5c..%5cadmin",
        "//admin",
        "/public//admin",
        "/./admin",
        "/public/a%00b",
        "/public/%c0%ae%c0%ae/admin",
        "/100%",
    ] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: library.campus.example\r\nConnection: close\r\n\r\n");
        let said = say(&campus, "library.campus.example", bytes).await;
        assert_eq!(said.status(), 400, "{target}:\n{}", said.text());
        assert_ours(&said, target);
    }
    // Encoded, these are still what they are: a guest has to sign in.
    let guest = campus.browser();
    for target in ["/%61dmin/users", "/admin%23/public", "/loans?x=/public/status", "/%6coans", "/admin/%70ublic"] {
        let answer = ask(&guest, "library", target).await;
        answer.assert_status(303);
    }
    assert!(campus.library().requests().is_empty());

    let browser = campus.browser();
    let person = people::ordinary();
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &person).await.assert_status(200);
    ask(&browser, "library", "/%61dmin/users").await.assert_status(403);
    ask(&browser, "library", "/%61%64min/users").await.assert_status(403);
    for (sent, seen) in [
        ("/%6coans?q=%6c&&x=", "/loans?q=%6c&&x="),
        ("/b%c3%bc/a%20b", "/b%C3%BC/a%20b"),
        ("/ADMIN", "/ADMIN"),
        ("/a@b:c,d", "/a@b:c,d"),
    ] {
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            ask(&browser.speaking(speaks), "library", sent).await.assert_status(200);
            assert_eq!(campus.library().last_request().target, seen, "{sent} {speaks:?}");
        }
    }
    // Where the app does not mind letter case, neither does the rule; the bytes stay as they were.
    for target in ["/admin/x", "/ADMIN/x", "/Admin/X", "/%41DMIN/x"] {
        let answer = ask(&guest, "folding", target).await;
        answer.assert_status(303);
    }
    ask(&guest, "folding", "/Public/X").await.assert_status(200);
    assert_eq!(campus.app("folding").last_request().target, "/Public/X");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t23_the_query_takes_part_in_no_decision() {
    let site = r#"
[site]
name = "api"
hosts = ["api.campus.example"]
upstream = "{api}"

[[rule]]
name = "status"
paths = ["/api/*/status"]
access = "public"

[[rule]]
name = "rest"
paths = ["/api/**"]
access = "signed-in"
"#;
    let campus = Campus::build().site("api", site).open().await;
    let guest = campus.browser();
    ask(&guest, "api", "/api/loans/status?x=/secret").await.assert_status(200);
    assert_eq!(campus.app("api").last_request().target, "/api/loans/status?x=/secret");
    campus.app("api").forget();
    for target in ["/api/secret?x=/status", "/api/secret?/status", "/api/a/b/status"] {
        ask(&guest, "api", target).await.assert_status(303);
    }
    // T29: what no rule names is refused, and there is nothing to sign in for.
    let answer = ask(&guest, "api", "/elsewhere").await;
    answer.assert_status(403);
    assert!(answer.set_cookies().is_empty(), "{}", answer.story());
    assert!(campus.app("api").requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t29_an_unknown_host_or_address_leads_nowhere() {
    let campus = Campus::open().await;
    let browser = campus.browser();
    for (url, status) in [
        ("https://nobody.campus.example/", 421),
        ("https://campus.example/", 421),
        ("https://gate.campus.example/nothing", 404),
        ("https://gate.campus.example/.lychgate/nothing", 404),
        ("https://library.campus.example/.lychgate/nothing", 404),
        ("https://library.campus.example/.lychgate", 404),
        ("https://library.campus.example/.lychgate/callback/campus", 404),
    ] {
        let answer = browser.get(url).send().await;
        answer.assert_status(status);
        assert!(answer.set_cookies().is_empty() && answer.location().is_none(), "{}", answer.story());
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{}", answer.story());
    }
    assert!(campus.library().requests().is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t25_t30_neither_a_health_checker_nor_another_method_opens_a_door() {
    let campus = Campus::open().await;
    let guest = campus.browser();
    for agent in ["kube-probe/1.29", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "Consul Health Check", "Envoy/HC"] {
        for path in ["/loans", "/ping", "/healthz", "/ready", "/health", "/robots.txt"] {
            let answer = guest.get(&format!("{LIBRARY}{path}")).header("user-agent", agent).send().await;
            answer.assert_status(303);
        }
    }
    // `/` is public for GET and HEAD; everything else falls to the members' rule.
    let front = format!("{LIBRARY}/");
    for method in ["OPTIONS", "POST", "PUT", "DELETE", "PATCH", "PROPFIND", "get", "Get", "HEAD2"] {
        let method: Method = method.parse().unwrap();
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            let request = guest.speaking(speaks).request(method.clone(), &front).by_tool();
            let answer = request.header("x-http-method-override", "GET").send().await;
            // In small letters it is none that any app should see.
            let refused: &[u16] =
                if method.as_str().bytes().any(|byte| byte.is_ascii_lowercase()) { &[405] } else { &[400, 401] };
            assert!(refused.contains(&answer.status.as_u16()), "{method} {speaks:?}: {}", answer.story());
        }
    }
    assert!(campus.library().requests().is_empty());
    guest.request(Method::HEAD, &front).send().await.assert_status(200);
    assert_eq!(campus.library().last_request().method, "HEAD");
    let answer =
        guest.get(&front).header("x-http-method-override", "DELETE").header("x-method-override", "PUT").send().await;
    answer.assert_status(200);
    let seen = campus.library().last_request();
    assert!(seen.aliases("x-http-method-override").is_empty() && seen.aliases("x-method-override").is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t83_connect_and_trace_are_not_done_here() {
    let campus = open_campus().await;
    let line = |line: &str| format!("{line}\r\nHost: open.campus.example\r\nConnection: close\r\n\r\n").into_bytes();
    let cases: Vec<Case> = vec![
        ("CONNECT", line("CONNECT open.campus.example:443 HTTP/1.1"), 405),
        ("CONNECT elsewhere", line("CONNECT 127.0.0.1:22 HTTP/1.1"), 400),
        ("CONNECT with a path", line("CONNECT / HTTP/1.1"), 405),
        ("TRACE", line("TRACE / HTTP/1.1"), 405),
        ("TRACK", line("TRACK / HTTP/1.1"), 405),
        ("trace, which an app may take for TRACE", line("trace / HTTP/1.1"), 405),
        ("post, which an app may take for POST", line("post / HTTP/1.1"), 405),
        ("Get", line("Get / HTTP/1.1"), 405),
    ];
    for (name, bytes, status) in &cases {
        let said = say(&campus, "open.campus.example", bytes).await;
        // A CONNECT whose target and Host differ may also be refused for that.
        let fine = said.status() == *status || name.starts_with("CONNECT") && matches!(said.status(), 400 | 405);
        assert!(fine, "{name}:\n{}", said.text());
        assert_ours(&said, name);
        assert!(said.closed, "{name}");
    }
    for method in [Method::TRACE, "TRACK".parse().unwrap(), "post".parse().unwrap()] {
        campus.browser().request(method, OPEN).by_tool().send().await.assert_status(405);
    }
    assert!(campus.app("open").requests().is_empty());
    campus.close().await;
}
