//! What an app may not say in its answer (T20), and what the gate adds: privacy from shared caches, HSTS.

use super::signed_in;
use crate::campus::browser::Speaks;
use crate::campus::legacy_app::Behaviour;
use crate::campus::raw;
use crate::campus::temp::{self, Authority};
use crate::campus::{Campus, LIBRARY};

const PLANTED: &[(&str, &str)] = &[
    ("Set-Cookie", "__Host-Http-lychgate=planted; Path=/; Secure; HttpOnly"),
    ("Set-Cookie", "__HOST-HTTP-LYCHGATE=planted; Path=/; Secure"),
    ("Set-Cookie", "=__Host-Http-lychgate=planted; Path=/; Secure"),
    ("Set-Cookie", " __Host-Http-lychgate-attempt-1=planted; Path=/; Secure"),
    ("Set-Cookie", "theme=dark; Path=/"),
    ("Set-Cookie", "JSESSIONID=1"),
    ("X-Orcid-Id", "0000-0001-5109-3700"),
    ("x_orcid_name", "Mallory"),
    ("Remote-User", "root"),
    ("X-Lychgate-Assertion", "a.b.c"),
    ("X-Powered-By", "an old engine"),
    ("Content-Language", "en"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t20_an_app_plants_neither_our_cookies_nor_an_identity() {
    let campus = Campus::open().await;
    let (browser, _) = signed_in(&campus).await;
    let session = browser.cookie(LIBRARY, "__Host-Http-lychgate");
    for path in ["/planted", "/public/planted", "/catalogue/planted"] {
        campus.library().on(path, Behaviour::answer(200, PLANTED, "hello"));
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            let answer = browser.speaking(speaks).get(&format!("{LIBRARY}{path}")).send().await;
            answer.assert_status(200);
            assert_eq!(answer.set_cookies(), ["theme=dark; Path=/", "JSESSIONID=1"], "{path} {speaks:?}");
            for name in ["x-orcid-id", "x_orcid_name", "remote-user", "x-lychgate-assertion"] {
                assert!(answer.all(name).is_empty(), "{path} {speaks:?}: {name}");
            }
            assert_eq!(answer.header("content-language"), Some("en"));
            assert_eq!(answer.text(), "hello");
        }
    }
    assert_eq!(browser.cookie(LIBRARY, "__Host-Http-lychgate"), session);
    campus.close().await;
}

/// Directives of a header over all its lines.
fn words(values: &[String]) -> Vec<String> {
    let mut words: Vec<String> =
        values.iter().flat_map(|value| value.split(',')).map(|word| word.trim().to_ascii_lowercase()).collect();
    words.sort();
    words
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_depend_on_the_visitor_are_kept_from_shared_caches() {
    let open = r#"
[site]
name = "shared"
hosts = ["shared.campus.example"]
upstream = "{shared}"
private_cache = false
hsts = false

[[rule]]
access = "optional"
"#;
    let campus = Campus::build().site("shared", open).open().await;
    let (browser, _) = signed_in(&campus).await;
    let fields =
        [("Cache-Control", "public, max-age=60"), ("Cache-Control", "s-maxage=600"), ("Vary", "Accept-Encoding")];
    for app in ["library", "shared"] {
        campus.app(app).on("*", Behaviour::answer(200, &fields, "x"));
        campus.app(app).on("/public/plain", Behaviour::text("x"));
        campus.app(app).on("/plain", Behaviour::text("x"));
        campus
            .app(app)
            .on("/varied", Behaviour::answer(200, &[("Vary", "Accept, cookie"), ("Cache-Control", "no-store")], ""));
    }
    for (path, cache, vary) in [
        ("/loans", &["max-age=60", "private"][..], &["accept-encoding", "cookie"][..]),
        ("/catalogue/x", &["max-age=60", "private"], &["accept-encoding", "cookie"]),
        ("/plain", &["private"], &["cookie"]),
        ("/varied", &["no-store", "private"], &["accept", "cookie"]),
        ("/public/x", &["max-age=60", "public", "s-maxage=600"], &["accept-encoding"]),
        ("/public/plain", &[], &[]),
    ] {
        let answer = browser.get(&format!("{LIBRARY}{path}")).send().await;
        answer.assert_status(200);
        assert_eq!(words(&answer.all("cache-control")), cache, "{path}");
        assert_eq!(words(&answer.all("vary")), vary, "{path}");
        assert_eq!(answer.all("strict-transport-security"), ["max-age=31536000"], "{path}");
    }
    // A guest's optional page differs from the researcher's: not for shared caches either.
    let answer = campus.browser().get(&format!("{LIBRARY}/catalogue/x")).send().await;
    assert_eq!(words(&answer.all("cache-control")), ["max-age=60", "private"]);
    // The site that knows better.
    let answer = browser.get("https://shared.campus.example/loans").send().await;
    assert_eq!(words(&answer.all("cache-control")), ["max-age=60", "public", "s-maxage=600"]);
    assert_eq!(words(&answer.all("vary")), ["accept-encoding"]);
    assert!(answer.all("strict-transport-security").is_empty());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_under_localhost_is_never_pinned_to_https() {
    let files = temp::directory();
    let local = Authority::new();
    let (cert, key) = local.issue(&["wiki.localhost"]).write(files.path(), "wiki");
    let second = format!("}}, {{ cert = \"{}\", key = \"{}\" }}]", cert.display(), key.display());
    let site = "[site]\nname = \"wiki\"\nhosts = [\"wiki.localhost\"]\nupstream = \"{wiki}\"\nhsts = true\n\n\
                [[rule]]\naccess = \"public\"\n";
    let campus = Campus::build().site("wiki", site).replace("}]", &second).open().await;
    let ask = "GET / HTTP/1.1\r\nHost: wiki.localhost\r\nConnection: close\r\n\r\n";
    let said = raw::exchange(campus.gate().addresses().gate, "wiki.localhost", local.roots(), ask).await;
    assert_eq!(said.status(), 200, "{}", said.text());
    assert!(!said.text().to_ascii_lowercase().contains("strict-transport-security"), "{}", said.text());
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_answers_are_stored_by_nobody() {
    let campus = Campus::open().await;
    let (browser, _) = signed_in(&campus).await;
    let guest = campus.browser();
    for (browser, url, status) in [
        (&guest, format!("{LIBRARY}/loans"), 303),
        (&browser, format!("{LIBRARY}/admin/x"), 403),
        (&browser, format!("{LIBRARY}/.lychgate/me"), 200),
        (&guest, format!("{LIBRARY}/.lychgate/me"), 401),
        (&browser, format!("{LIBRARY}/.lychgate/sign-out"), 200),
        (&browser, format!("{LIBRARY}/a//b"), 400),
    ] {
        let answer = browser.get(&url).send().await;
        answer.assert_status(status);
        assert_eq!(answer.all("cache-control"), ["no-store"], "{url}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{url}");
        assert!(answer.header("server").is_none(), "{url}");
    }
    campus.close().await;
}
