//! One address for everything, names that begin with `pub.` or `api.`, and listeners of their own (`orcid.md` §1.1);
//! the record on the root host; and what strangers' clients send.

use super::*;
use crate::simulator::face::Face;
use crate::simulator::keys::SigningKey;
use crate::simulator::route;
use crate::simulator::visit::Visit;
use crate::simulator::world::{ApiBases, World};
use proptest::prelude::*;

/// A request under a host name of the caller's choice.
async fn named(at: SocketAddr, host: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Reply {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Reply { status: head.split(' ').nth(1).unwrap().parse().unwrap(), head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn a_host_name_makes_the_shared_listener_one_api_and_nothing_else() {
    let (simulator, _) = start().await;
    let code = Tab::new(&simulator).code(&ask(MEMBER_CLIENT, "/read-limited", ""), people::ORDINARY).await;
    let token = exchange(&simulator, &code).await.json()["access_token"].as_str().unwrap().to_owned();
    let (at, bearer) = (simulator.local_addr, format!("Bearer {token}"));
    let works = format!("/v3.0/{}/works", people::ORDINARY);
    let json = ("Accept", "application/json");
    for (host, token, status, sees_limited) in [
        ("pub.orcid.localhost", false, 200, false),
        ("PUB.orcid.localhost:9400", true, 200, false),
        ("api.orcid.localhost", false, 403, false),
        ("api.orcid.localhost", true, 200, true),
        ("orcid.localhost", false, 200, false),
        ("orcid.localhost", true, 200, true),
    ] {
        let headers: &[(&str, &str)] = if token { &[json, ("Authorization", &bearer)] } else { &[json] };
        let reply = named(at, host, "GET", &works, headers).await;
        assert_eq!(reply.status, status, "{host} {token}");
        assert_eq!(reply.body.contains("Currents under ice"), sees_limited, "{host} {token}");
    }
    for host in ["pub.orcid.localhost", "api.orcid.localhost"] {
        for page in ["/", "/signin", "/oauth/authorize", "/trusted-organisations", "/.well-known/openid-configuration"]
        {
            let reply = named(at, host, "GET", page, &[("Cookie", "simulator-session=x")]).await;
            // A name in a Host header never enters an address: the way is relative.
            assert_eq!((reply.status, reply.location()), (302, &*format!("/v3.0{page}")), "{host}");
            assert_eq!(reply.header("set-cookie"), None);
        }
    }
    let elsewhere = format!("{}/oauth/token", simulator.base_url);
    for method in ["POST", "GET"] {
        let reply = named(at, "pub.orcid.localhost", method, "/oauth/token", &[]).await;
        assert_eq!((reply.status, reply.location()), (307, &*elsewhere));
    }
    assert_eq!(named(at, "api.orcid.localhost", "GET", "/oauth/token", &[]).await.status, 405);
}

#[tokio::test]
async fn listeners_of_their_own_are_one_api_each() {
    let orcid = Orcid::open().await;
    let simulator = &orcid.simulator;
    for (api, at) in [(&simulator.public_api, orcid.public), (&simulator.member_api, orcid.member)] {
        let api = api.as_ref().unwrap();
        assert_eq!(api.base_url, format!("http://{at}"));
        let reply = send(at, "GET", "/search?q=x", &[], "").await;
        assert_eq!((reply.status, reply.location()), (302, &*format!("{}/v3.0/search?q=x", api.base_url)));
    }
    // The token path: the member API answers, the public one sends to the root (307: the form goes along).
    let form = encode(&[
        ("client_id", MEMBER_CLIENT),
        ("client_secret", MEMBER_SECRET),
        ("grant_type", "client_credentials"),
        ("scope", "/read-public"),
    ]);
    let reply = post(orcid.member, "/oauth/token", &form).await;
    assert_eq!((reply.status, reply.json()["orcid"].is_null()), (200, true));
    let reply = post(orcid.public, "/oauth/token", &form).await;
    assert_eq!((reply.status, reply.location()), (307, &*format!("{}/oauth/token", simulator.base_url)));
    for (path, on_public, on_member) in
        [("/v3.0/status", 200, 200), ("/v3.0/pubStatus", 200, 404), ("/v3.0/apiStatus", 404, 200)]
    {
        let [public, member] =
            [send(orcid.public, "GET", path, &[], "").await, send(orcid.member, "GET", path, &[], "").await];
        let served =
            |reply: &Reply, status: u16| reply.status == status && (status != 200 || reply.json()["overallOk"] == true);
        assert!(served(&public, on_public), "{path} {}", public.body);
        assert!(served(&member, on_member) || member.status == 403 && on_member == 404, "{path} {}", member.body);
    }
    let (mut settings, _) = settings();
    settings.public_api = Some("0.0.0.0:0".parse().unwrap());
    assert!(Simulator::start(settings).await.is_err(), "loopback only");
}

#[tokio::test]
async fn the_root_shows_people_a_page_and_programs_the_record() {
    let orcid = Orcid::open().await;
    let target = format!("/{}", people::ORDINARY);
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    for (accept, kind, begin) in [
        (browser, "text/html; charset=utf-8", "<!doctype html>"),
        ("*/*", "text/html; charset=utf-8", "<!doctype html>"),
        ("image/png", "text/html; charset=utf-8", "<!doctype html>"),
        ("application/json", "application/json;charset=UTF-8", "{\"orcid-identifier\""),
        ("application/orcid+json", "application/orcid+json;charset=UTF-8", "{\n  \"orcid-identifier\""),
        ("application/xml", "application/xml;charset=UTF-8", "<?xml"),
        ("application/ld+json", "application/ld+json;charset=UTF-8", "{\n  \"@context\""),
    ] {
        let reply = send(orcid.root, "GET", &target, &[("Accept", accept)], "").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(kind)), "{accept}");
        assert!(reply.body.to_lowercase().trim_start().starts_with(begin), "{accept} {}", &reply.body[..60]);
        assert!(reply.header("vary").unwrap().contains("Accept"));
        assert!(!reply.body.contains("treasure") && !reply.body.contains("lab.example"), "{accept}");
    }
    let page = send(orcid.root, "GET", &target, &[("Accept", browser)], "").await;
    for shown in ["Lecturer", "Practice University", "Meanders that never were", "SIMULATED"] {
        assert!(page.body.contains(shown), "{shown}");
    }
    let slash = send(orcid.root, "GET", &format!("{target}/"), &[("Accept", browser)], "").await;
    assert_eq!((slash.status, slash.location()), (301, &*format!("{}{target}", orcid.simulator.base_url)));
    let hostile = send(orcid.root, "GET", &format!("/{}", people::HOSTILE_NAME), &[("Accept", browser)], "").await;
    assert!(!hostile.body.contains("<script>alert") && !hostile.body.contains("<img src=x"), "{}", hostile.body);
    let unclaimed = send(orcid.root, "GET", &format!("/{}", people::UNCLAIMED), &[("Accept", browser)], "").await;
    assert!(unclaimed.body.contains("has not been claimed") && !unclaimed.body.contains("Unbidden"));
    let gone =
        send(orcid.root, "GET", &format!("/{}", people::DEACTIVATED), &[("Accept", "application/json")], "").await;
    assert_eq!((gone.status, gone.json()["error-code"].as_u64()), (409, Some(9044)));
}

#[tokio::test]
async fn clients_of_strangers_find_what_they_expect() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    // python-social-auth: version 2, the token in the query, its wish in a Content-Type.
    let wish = [("Accept", "*/*"), ("Content-Type", "application/json")];
    for at in [orcid.root, orcid.public, orcid.member] {
        let target = format!("/v2.0/{}?access_token={}", people::ORDINARY, all.trusted);
        let record = send(at, "GET", &target, &wish, "").await.json();
        assert_eq!(record["orcid-identifier"]["path"], people::ORDINARY);
        assert_eq!(record["person"]["name"]["given-names"]["value"], "Rowan");
        assert_eq!(record["person"]["emails"]["email"][0]["verified"], true);
        assert_eq!(record["person"]["name"]["visibility"], "PUBLIC");
    }
    // Schemes in capitals or small letters, and the header before the query.
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let header = format!("{scheme} {}", all.trusted);
        let target = format!("/v3.0/{}/works?access_token=invented", people::ORDINARY);
        let reply = send(orcid.member, "GET", &target, &[("Authorization", &header), wish[1]], "").await;
        assert!(reply.status == 200 && reply.body.contains("Currents under ice"), "{scheme}");
    }
    // pyorcid's scraper says nothing and expects XML.
    let reply =
        send(orcid.public, "GET", &format!("/v3.0/{}/employments", people::ORDINARY), &[("Accept", "*/*")], "").await;
    assert!(reply.body.contains("<employment:employment-summary "), "{}", reply.body);
    // 2.x has no search results with names and no new activities.
    for (target, status) in [("/v2.1/search/?q=rowan", 200), ("/v2.1/expanded-search?q=rowan", 404)] {
        assert_eq!(read(orcid.public, target, "").await.status, status, "{target}");
    }
    for part in ["services", "research-resources", "summary", "distinctions"] {
        assert_eq!(read(orcid.public, &format!("/v2.0/{}/{part}", people::ORDINARY), "").await.status, 404, "{part}");
    }
}

fn world() -> World {
    let (settings, _) = settings();
    let bases = ApiBases::default();
    World::new(settings, "http://127.0.0.1:9400".to_owned(), bases, SigningKey::load(&key()).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever is asked for is answered, and never with a fault of ours.
    #[test]
    fn no_path_and_no_query_is_too_much(
        version in prop_oneof!["/v3\\.0", "/v2\\.[01]", "/v[0-9a-z.]{0,6}", ""],
        owner in prop_oneof![Just(format!("/{}", people::ORDINARY)), "(/[ -~]{0,24}){0,2}"],
        rest in prop_oneof![
            "(/(work|works|service|keywords|webhook|search|client|summary|record|%[0-9a-f]{2}|[0-9,]{0,9}|\\PC{0,8})){0,4}/?"
        ],
        query in prop_oneof!["q=\\PC{0,40}", "q=[a-z:()\"*?~^\\[\\]{} ANDORT+!&|-]{0,60}&rows=[0-9]{0,5}", "\\PC{0,40}"],
        accept in prop_oneof!["application/(json|xml)", "[ -~]{0,30}"],
        face in prop_oneof![Just(Face::Root), Just(Face::Public), Just(Face::Member)],
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT"), Just("DELETE"), Just("OPTIONS")],
    ) {
        use std::sync::OnceLock;
        static WORLD: OnceLock<World> = OnceLock::new();
        let world = WORLD.get_or_init(world);
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::ACCEPT, accept.parse().unwrap());
        let path = format!("{version}{owner}{rest}");
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        let method: http::Method = method.parse().unwrap();
        let visit = Visit { face, method, path, query, headers, body: bytes::Bytes::new() };
        let endpoint = route::endpoint(face, &visit.method, &visit.path);
        let answer = route::answer(world, endpoint, &visit);
        prop_assert!(answer.status().as_u16() < 500, "{} {}", visit.path, answer.status());
    }
}
