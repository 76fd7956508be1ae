//! The one writer of identity (invariant 3; T08-T14, T17-T21): what an app is told about a visitor comes from the gate
//! or not at all, on every kind of route, over HTTP/1.1 and HTTP/2. Answers are in `headers/answers.rs`, the signed
//! assertion in `headers/assertion.rs`.

mod answers;
pub(crate) mod assertion;

use crate::campus::browser::{Browser, Speaks};
use crate::campus::http::pieces;
use crate::campus::legacy_wire::Received;
use crate::campus::people::Person;
use crate::campus::raw::{self, Said};
use crate::campus::{Campus, LIBRARY, people};
use http::{HeaderMap, HeaderValue, Method};
use lychgate::simulator::{people as seeded_people, seeded};
use std::sync::Arc;

/// Another site of the house, whose identity headers are called otherwise.
const READING_ROOM: &str = r#"
[site]
name = "reading"
hosts = ["reading.campus.example"]
upstream = "{reading}"

[hand-off]
preset = "remote-user"
headers = { "x-ReAdEr-Card" = "card {id_compact}" }

[[rule]]
access = "optional"
"#;

const READING: &str = "https://reading.campus.example";

/// What a client may try to say about itself: names of every preset, of our sites, and of other gates.
const CLAIMS: &[&str] = &[
    "X-ORCID-iD",
    "X-ORCID-URI",
    "X-ORCID-Name",
    "X-ORCID-Name-Encoding",
    "X-ORCID-Scopes",
    "X-ORCID-Anything",
    "Remote-User",
    "X-Remote-User",
    "Remote-Name",
    "Remote-Groups",
    "X-Lychgate-Assertion",
    "X-Reader-Card",
    "X-Reader-Card-Encoding",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-User",
    "X-Pomerium-JWT-Assertion",
    "OIDC-Claim-Sub",
    "Shib-Session-ID",
    "eppn",
    "EduPersonPrincipalName",
];

/// The spellings an application server may take for `name`.
fn spellings(name: &str) -> Vec<String> {
    let mixed = name.replacen('-', "_", 1);
    let mut all = vec![name.to_owned(), name.replace('-', "_"), name.replace('-', "."), mixed, name.to_uppercase()];
    all.sort();
    all.dedup();
    all
}

const LIE: &str = "0000-0001-5109-3700";

fn person(orcid: &str) -> Person {
    seeded().into_iter().find(|person| person.orcid.as_str() == orcid).expect("a seeded person")
}

async fn signed_in(campus: &Campus) -> (Browser, Person) {
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &person).await.assert_status(200);
    (browser, person)
}

/// Sends every claim in every spelling, and returns what the app got.
async fn lie(campus: &Campus, browser: &Browser, method: Method, url: &str, app: &str) -> Arc<Received> {
    let mut request = browser.request(method, url).by_tool();
    for name in CLAIMS.iter().flat_map(|name| spellings(name)) {
        request = request.header(&name, LIE);
    }
    request.send().await.assert_status(200);
    campus.app(app).last_request()
}

/// None of the claims arrived, except `ours` with these values, once and in one spelling.
#[track_caller]
fn assert_only(seen: &Received, ours: &[(&str, &str)], case: &str) {
    for name in CLAIMS {
        let expected = ours.iter().find(|(ours, _)| ours.eq_ignore_ascii_case(name));
        let arrived = seen.aliases(name);
        match expected {
            None => assert!(arrived.is_empty(), "{case}: {arrived:?} reached the app"),
            Some((_, value)) => {
                assert_eq!(arrived.len(), 1, "{case}: {arrived:?} reached the app");
                assert_eq!(seen.all(name), [*value], "{case}: {name}");
            }
        }
    }
    let lies = seen.headers.iter().filter(|(_, value)| value.contains(LIE)).count();
    assert_eq!(lies, 0, "{case}: {:?}", seen.headers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t08_t09_t17_a_client_says_nothing_about_who_it_is_on_any_route() {
    let campus = Campus::build().site("reading", READING_ROOM).open().await;
    let (known, person) = signed_in(&campus).await;
    let id = person.orcid.as_str().to_owned();
    let name = person.public_name().unwrap();
    let uri = campus.library().last_request().header("x-orcid-uri").unwrap().to_owned();
    assert!(uri.ends_with(&format!("/{id}")), "{uri}");
    let told = [
        ("X-ORCID-iD", id.as_str()),
        ("X-ORCID-URI", &uri),
        ("X-ORCID-Name", &name),
        ("X-ORCID-Scopes", "openid"),
        ("Remote-User", &id),
    ];
    let guest = campus.browser();
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let (known, guest) = (known.speaking(speaks), guest.speaking(speaks));
        for (browser, method, path, ours) in [
            (&known, Method::GET, "/loans", &told[..]),
            (&known, Method::OPTIONS, "/loans", &told[..]),
            (&known, Method::POST, "/loans", &told[..]),
            (&known, Method::GET, "/catalogue/x", &told[..]),
            (&known, Method::OPTIONS, "/catalogue/x", &told[..]),
            (&known, Method::GET, "/public/x", &[]),
            (&known, Method::HEAD, "/", &[]),
            (&guest, Method::GET, "/catalogue/x", &[]),
            (&guest, Method::OPTIONS, "/catalogue/x", &[]),
            (&guest, Method::GET, "/public/x", &[]),
            (&guest, Method::GET, "/", &[]),
        ] {
            let case = format!("{speaks:?} {method} {path}");
            let seen = lie(&campus, browser, method, &format!("{LIBRARY}{path}"), "library").await;
            assert_only(&seen, ours, &case);
        }
        // A site whose own names differ, and one that hands over nothing but an assertion, believe no more.
        let seen = lie(&campus, &guest, Method::GET, READING, "reading").await;
        assert_only(&seen, &[], "another site's guest");
    }
    let before = campus.library().requests().len();
    let preflight = guest.request(Method::OPTIONS, &format!("{LIBRARY}/loans")).by_tool().header("x-orcid-id", LIE);
    preflight.send().await.assert_status(401);
    assert_eq!(campus.library().requests().len(), before, "T34: nobody was signed in");
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_people_who_share_a_connection_are_told_apart() {
    // As behind a proxy of somebody else's, which lends one connection to whoever comes.
    let campus = Campus::open().await;
    let (one, first) = signed_in(&campus).await;
    let (other, second) = (campus.browser(), people::from_afar());
    campus.sign_in(&other, &format!("{LIBRARY}/loans"), &second).await.assert_status(200);
    let guest = campus.browser();
    let (first, second) = (first.orcid.as_str().to_owned(), second.orcid.as_str().to_owned());
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let shared = one.speaking(speaks).connect(LIBRARY).await;
        for (browser, id) in
            [(&one, Some(&first)), (&other, Some(&second)), (&guest, None), (&one, Some(&first)), (&guest, None)]
        {
            let answer = browser.get(&format!("{LIBRARY}/catalogue/x")).over(&shared).send().await;
            answer.assert_status(200);
            let seen = campus.library().last_request();
            let told: Vec<&str> = seen.all("x-orcid-id");
            assert_eq!(told, id.map(String::as_str).into_iter().collect::<Vec<_>>(), "{speaks:?}");
            assert_eq!(seen.header("remote-user"), id.map(String::as_str), "{speaks:?}");
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t10_a_name_configured_in_odd_case_arrives_once_and_is_ours() {
    let strict = READING_ROOM.replace("reading", "stacks").replace("optional", "signed-in");
    let campus = Campus::build().site("stacks", &strict).open().await;
    let (browser, person) = (campus.browser(), people::ordinary());
    campus.sign_in(&browser, "https://stacks.campus.example/", &person).await.assert_status(200);
    let compact = person.orcid.compact();
    let card = format!("card {compact}");
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let browser = browser.speaking(speaks);
        let seen = lie(&campus, &browser, Method::GET, "https://stacks.campus.example/", "stacks").await;
        let id = person.orcid.as_str();
        assert_only(&seen, &[("X-Reader-Card", &card), ("Remote-User", id), ("X-Remote-User", id)], "its own names");
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_adding_a_site_does_not_open_an_old_one() {
    // Without the reading room its names mean nothing; with it, no site of the house takes them from a client.
    let alone = Campus::open().await;
    let request = alone.browser().get(&format!("{LIBRARY}/")).header("x-reader-card", "7");
    request.send().await.assert_status(200);
    assert_eq!(alone.library().last_request().all("x-reader-card"), ["7"]);
    alone.close().await;

    let campus = Campus::build().site("reading", READING_ROOM).open().await;
    for name in ["X-Reader-Card", "x_reader_card", "x.reader-card", "x-reader-card-encoding"] {
        campus.browser().get(&format!("{LIBRARY}/")).header(name, "7").send().await.assert_status(200);
        assert!(campus.library().last_request().aliases("x-reader-card").is_empty(), "{name}");
        assert!(campus.library().last_request().aliases("x-reader-card-encoding").is_empty(), "{name}");
    }
    // The library's names stay closed at the new site, whose preset does not know them.
    let seen = lie(&campus, &campus.browser(), Method::GET, READING, "reading").await;
    assert_only(&seen, &[], "the new site");
    campus.close().await;
}

/// A signed-in request to the library with these fields, byte for byte.
async fn say(campus: &Campus, browser: &Browser, start: &str, fields: &str, body: &str) -> Said {
    let session = browser.cookie(LIBRARY, "__Host-Http-lychgate").expect("somebody is signed in");
    let bytes = format!(
        "{start}\r\nHost: library.campus.example\r\nCookie: __Host-Http-lychgate={session}\r\n{fields}\r\n{body}"
    );
    raw::exchange(campus.gate().addresses().gate, "library.campus.example", campus.authority.roots(), bytes).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t11_nominating_our_headers_does_not_remove_them() {
    let campus = Campus::open().await;
    let (browser, person) = signed_in(&campus).await;
    for fields in [
        "Connection: X-Orcid-Id, close\r\n",
        "Connection: close\r\nConnection: x-orcid-id, X-ORCID-Name\r\nConnection: remote-user\r\n",
        "Connection: close, x-real-ip, forwarded, x-forwarded-port\r\n",
        "Keep-Alive: X-Orcid-Id\r\nProxy-Connection: x-orcid-id, remote-user\r\nConnection: close\r\n",
        "Connection: close, X-Private\r\nX-Private: 1\r\nX-Orcid-Id: 0000-0001-5109-3700\r\n",
    ] {
        campus.library().forget();
        let said = say(&campus, &browser, "GET /loans HTTP/1.1", fields, "").await;
        assert_eq!(said.status(), 200, "{fields}:\n{}", said.text());
        let seen = campus.library().last_request();
        assert_eq!(seen.all("x-orcid-id"), [person.orcid.as_str()], "{fields}");
        assert_eq!(seen.all("x-orcid-name").len(), 1, "{fields}");
        assert_eq!(seen.all("remote-user"), [person.orcid.as_str()], "{fields}");
        for ours in ["x-real-ip", "x-forwarded-for", "x-forwarded-port", "forwarded"] {
            assert_eq!(seen.all(ours).len(), 1, "{fields}: {ours}");
        }
        for hop in ["x-private", "keep-alive", "proxy-connection"] {
            assert!(seen.all(hop).is_empty(), "{fields}: {hop} went on");
        }
    }
    for fields in
        ["Connection: close, Host\r\n", "Connection: X-Forwarded-For, close\r\n", "Connection: \"x\", close\r\n"]
    {
        let said = say(&campus, &browser, "GET /loans HTTP/1.1", fields, "").await;
        let status = said.status();
        let fine = status == 400 || status == 200 && campus.library().last_request().all("host").len() == 1;
        assert!(fine && said.closed, "{fields}:\n{}", said.text());
        assert!(!said.text().to_ascii_lowercase().contains("pingora"), "{}", said.text());
        assert_eq!(campus.library().last_request().all("x-forwarded-for"), ["127.0.0.1"]);
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t12_identity_twice_folded_broken_or_in_a_trailer() {
    let campus = Campus::open().await;
    let (browser, person) = signed_in(&campus).await;
    let told = person.orcid.as_str();
    let twice = format!("X-Orcid-Id: {LIE}\r\nx-orcid-id: {LIE}\r\nX_ORCID_ID: {LIE}\r\nConnection: close\r\n");
    assert_eq!(say(&campus, &browser, "GET /loans HTTP/1.1", &twice, "").await.status(), 200);
    assert_eq!(campus.library().last_request().aliases("x-orcid-id").len(), 1);
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [told]);
    campus.library().forget();
    for fields in [
        format!("X-Anything: a\r\n X-Orcid-Id: {LIE}\r\n"),
        format!("X-Anything: a\r\n\tX-Orcid-Id: {LIE}\r\n"),
        format!("X-Anything: a\rX-Orcid-Id: {LIE}\r\n"),
        format!("X-Anything: a\nX-Orcid-Id: {LIE}\r\n"),
        format!("X-Anything: a\0X-Orcid-Id: {LIE}\r\n"),
        format!("X-Orcid-Id : {LIE}\r\n"),
        format!("X Orcid Id: {LIE}\r\n"),
        format!("X-Orcid-Id\0: {LIE}\r\n"),
    ] {
        let said = say(&campus, &browser, "GET /loans HTTP/1.1", &fields, "").await;
        assert_eq!(said.status(), 400, "{fields:?}:\n{}", said.text());
        assert!(said.closed, "{fields:?}");
    }
    assert!(campus.library().requests().is_empty());

    let chunks = format!("5\r\nhello\r\n0\r\nX-Orcid-Id: {LIE}\r\nX_Orcid_Id: {LIE}\r\n\r\n");
    let fields = "Transfer-Encoding: chunked\r\nTrailer: X-Orcid-Id\r\nConnection: close\r\n";
    let said = say(&campus, &browser, "POST /loans HTTP/1.1", fields, &chunks).await;
    assert_eq!(said.status(), 200, "{}", said.text());
    let seen = campus.library().last_request();
    assert_eq!((seen.aliases("x-orcid-id").len(), seen.body().as_slice()), (1, &b"hello"[..]));
    assert!(seen.all("trailer").is_empty());

    let mut trailers = HeaderMap::new();
    trailers.insert("x-orcid-id", HeaderValue::from_static(LIE));
    let body = pieces(vec!["hello".into()], Some(trailers));
    let request = browser.speaking(Speaks::OnlyHttp2).request(Method::POST, &format!("{LIBRARY}/loans"));
    request.by_tool().stream_body(body).send().await.assert_status(200);
    let seen = campus.library().last_request();
    assert_eq!((seen.aliases("x-orcid-id").len(), seen.body().as_slice()), (1, &b"hello"[..]));
    assert_eq!(seen.all("x-orcid-id"), [told]);
    campus.close().await;
}

/// What `percent` made of a name.
fn decoded(value: &str) -> String {
    percent_encoding::percent_decode_str(value).decode_utf8().expect("UTF-8").into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t13_names_of_the_world_arrive_encoded_or_not_at_all() {
    let campus = Campus::open().await;
    for orcid in [
        seeded_people::ORDINARY,
        seeded_people::HIDDEN_NAME,
        seeded_people::LIMITED_NAME,
        seeded_people::MONONYM,
        seeded_people::CREDIT_NAME,
        seeded_people::CHINESE,
        seeded_people::ARABIC,
        seeded_people::COMBINING,
        seeded_people::CHECK_X,
        seeded_people::LONG_NAME,
        seeded_people::HOSTILE_NAME,
    ] {
        let person = person(orcid);
        let browser = campus.browser();
        campus.sign_in(&browser, &format!("{LIBRARY}/loans"), &person).await.assert_status(200);
        let seen = campus.library().last_request();
        assert_eq!(seen.header("x-orcid-id"), Some(orcid));
        assert_eq!(seen.header("remote-user"), Some(orcid));
        assert!(seen.header("x-orcid-uri").unwrap().ends_with(orcid));
        assert!(seen.raw_head.is_ascii(), "{orcid}");
        assert!(seen.all("x-evil").is_empty());
        let (value, marker) = (seen.header("x-orcid-name"), seen.header("x-orcid-name-encoding"));
        match person.public_name() {
            None => assert_eq!((value, marker), (None, None), "{orcid}"),
            Some(name) if name.is_ascii() && !name.contains('%') => {
                assert_eq!((value, marker), (Some(name.as_str()), None), "{orcid}");
            }
            Some(name) => {
                assert_eq!(marker, Some("percent"), "{orcid}");
                assert_eq!(decoded(value.unwrap()), name, "{orcid}: {value:?}");
            }
        }
    }
    // The one everybody asks about, letter by letter.
    let chinese = campus.browser();
    campus.sign_in(&chinese, &format!("{LIBRARY}/loans"), &person(seeded_people::CHINESE)).await.assert_status(200);
    let seen = campus.library().last_request();
    assert_eq!(seen.header("x-orcid-name"), Some("%E6%99%93%E6%98%8E %E6%AC%A7%E9%98%B3"));
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_where_a_request_comes_from_is_the_gates_word() {
    let campus = Campus::open().await;
    let (browser, _) = signed_in(&campus).await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        for path in ["/loans", "/", "/catalogue/x"] {
            let mut request = browser.speaking(speaks).get(&format!("{LIBRARY}{path}"));
            let foreign = [
                "X-Forwarded-Prefix",
                "X-Forwarded-Uri",
                "X-Forwarded-Method",
                "X-Forwarded-Server",
                "X-Original-URL",
                "X-Rewrite-URL",
                "X-HTTP-Method-Override",
                "X-Forwarded-Ssl",
                "X-Client-IP",
                "True-Client-IP",
                "X-Forwarded-Scheme",
                "X-Original-Host",
                "X-Host",
                "Proxy",
            ];
            let ours = [
                "Forwarded",
                "X-Forwarded-For",
                "X-Forwarded-Host",
                "X-Forwarded-Proto",
                "X-Forwarded-Port",
                "X-Real-IP",
            ];
            for name in foreign.iter().chain(&ours).flat_map(|name| spellings(name)) {
                request = request.header(&name, "203.0.113.7");
            }
            request.send().await.assert_status(200);
            let seen = campus.library().last_request();
            assert!(seen.headers.iter().all(|(_, value)| !value.contains("203.0.113.7")), "{:?}", seen.headers);
            for name in foreign {
                assert!(seen.aliases(name).is_empty(), "{name}");
            }
            for name in ours {
                assert_eq!(seen.aliases(name).len(), 1, "{name}");
            }
            assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
            assert_eq!(seen.header("x-real-ip"), Some("127.0.0.1"));
            assert_eq!(seen.header("x-forwarded-host"), Some("library.campus.example"));
            assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
            assert_eq!(seen.header("x-forwarded-port"), Some("443"));
            assert_eq!(seen.header("forwarded"), Some("for=127.0.0.1;host=\"library.campus.example\";proto=https"));
            assert_eq!(seen.header("host"), Some("library.campus.example"));
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t19_authorization_is_stripped_or_passed_as_the_site_says() {
    let passing =
        READING_ROOM.replace("reading", "passing").replace("upstream =", "authorization = \"pass\"\nupstream =");
    let campus = Campus::build().site("passing", &passing).open().await;
    let (browser, _) = signed_in(&campus).await;
    for url in [format!("{LIBRARY}/loans"), format!("{LIBRARY}/"), format!("{LIBRARY}/catalogue/x")] {
        browser
            .get(&url)
            .header("authorization", "Bearer abcdef")
            .header("proxy-authorization", "Basic YTpi")
            .send()
            .await;
        let seen = campus.library().last_request();
        assert!(seen.aliases("authorization").is_empty() && seen.aliases("proxy-authorization").is_empty(), "{url}");
    }
    browser.get("https://passing.campus.example/").header("authorization", "Bearer abcdef").send().await;
    assert_eq!(campus.app("passing").last_request().all("authorization"), ["Bearer abcdef"]);
    // Without a session it opens nothing.
    let guest = campus.browser().get(&format!("{LIBRARY}/loans")).header("authorization", "Bearer abcdef").by_tool();
    guest.send().await.assert_status(401);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t21_our_cookies_never_reach_an_app_and_others_arrive_unchanged() {
    let campus = Campus::open().await;
    let (browser, person) = signed_in(&campus).await;
    let session = browser.cookie(LIBRARY, "__Host-Http-lychgate").expect("somebody is signed in");
    let ours = format!("__Host-Http-lychgate={session}");
    let theirs = "JSESSIONID=\"a b\"; theme=d%20k; __Host-other=1";
    for (cookies, expected) in [
        (vec![format!("{ours}; {theirs}")], theirs),
        (vec![format!("{theirs}; {ours}")], theirs),
        (vec![format!("a=1; {ours}; b=2")], "a=1; b=2"),
        (vec!["a=1".to_owned(), ours.clone(), "b=2".to_owned()], "a=1; b=2"),
        (vec![ours.clone()], ""),
        (vec![format!("{ours}; __Host-Http-lychgate-attempt-x=sealed; __host-http-LYCHGATE-y=z; a=1")], "a=1"),
    ] {
        for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
            let mut request = browser.speaking(speaks).get(&format!("{LIBRARY}/loans"));
            for cookie in &cookies {
                request = request.header("cookie", cookie);
            }
            request.send().await.assert_status(200);
            let seen = campus.library().last_request();
            assert_eq!(seen.all("x-orcid-id"), [person.orcid.as_str()]);
            assert_eq!(seen.all("cookie").join("; "), expected, "{speaks:?}");
            assert!(!String::from_utf8_lossy(&seen.raw_head).contains(&session));
        }
    }
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_an_app_hears_is_the_visitors_unless_the_site_says_otherwise() {
    let site = |name: &str, host_header: &str| {
        READING_ROOM
            .replace("reading", name)
            .replace("upstream =", &format!("host_header = \"{host_header}\"\nupstream ="))
    };
    let builder =
        Campus::build().site("own", &site("own", "upstream")).site("named", &site("named", "app.internal:81"));
    let campus = builder.site("passed", &site("passed", "pass")).open().await;
    for speaks in [Speaks::OnlyHttp1, Speaks::OnlyHttp2] {
        let own = campus.app("own").address().to_string();
        for (name, expected) in
            [("own", own.as_str()), ("named", "app.internal:81"), ("passed", "passed.campus.example")]
        {
            campus
                .browser()
                .speaking(speaks)
                .get(&format!("https://{name}.campus.example/"))
                .send()
                .await
                .assert_status(200);
            let seen = campus.app(name).last_request();
            assert_eq!(seen.all("host"), [expected]);
            assert_eq!(seen.header("x-forwarded-host"), Some(format!("{name}.campus.example").as_str()));
        }
    }
    campus.close().await;
}
