//! JSON, XML, linked data and citations: which one comes, and what is in it (`orcid.md` §8.2, §8.6). XML is read
//! with another hand than the one that wrote it.

use super::*;
use crate::simulator::record::Activity;
use roxmltree::{Document, Node};

async fn accepting(at: SocketAddr, target: &str, accept: &str) -> Reply {
    send(at, "GET", target, &[("Accept", accept)], "").await
}

#[tokio::test]
async fn the_format_is_negotiated() {
    let orcid = Orcid::open().await;
    let target = format!("/v3.0/{}/works", people::ORDINARY);
    let (xml, json) = ("application/vnd.orcid+xml;charset=UTF-8", "application/json;charset=UTF-8");
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let table: &[(Headers<'_>, &str, &str)] = &[
        (&[], xml, "<?xml"),
        (&[("Accept", "*/*")], xml, "<?xml"),
        (&[("Accept", "*/*"), ("Content-Type", "application/json")], json, "{\"last"),
        (&[("Content-Type", "application/json")], json, "{\"last"),
        (&[("Accept", "*/*"), ("Content-Type", "text/plain")], xml, "<?xml"),
        (
            &[("Accept", "application/xml"), ("Content-Type", "application/json")],
            "application/xml;charset=UTF-8",
            "<?xml",
        ),
        (&[("Accept", "application/json")], json, "{\"last"),
        (&[("Accept", "application/json, text/plain, */*")], json, "{\"last"),
        (&[("Accept", browser)], "application/xml;charset=UTF-8", "<?xml"),
        (&[("Accept", "application/orcid+json")], "application/orcid+json;charset=UTF-8", "{\n  \"last"),
        (&[("Accept", "application/vnd.orcid+json")], "application/vnd.orcid+json;charset=UTF-8", "{\n  \"last"),
        (&[("Accept", "application/orcid+xml")], "application/orcid+xml;charset=UTF-8", "<?xml"),
    ];
    for (headers, kind, begin) in table {
        let reply = send(orcid.public, "GET", &target, headers, "").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some(*kind)), "{headers:?}");
        assert!(reply.body.starts_with(begin), "{headers:?} {}", &reply.body[..40]);
    }
    let reply = accepting(orcid.public, &target, "application/json;q=abc").await;
    assert_eq!((reply.status, reply.header("content-type")), (400, Some("text/html; charset=utf-8")));
    let head = send(orcid.public, "HEAD", &target, &[("Accept", "application/json")], "").await;
    assert_eq!((head.status, &*head.body), (200, ""));
    let options = send(orcid.public, "OPTIONS", &target, &[("Origin", "https://a.example")], "").await;
    assert_eq!((options.status, options.header("allow")), (200, Some("HEAD,GET,OPTIONS")));
    assert_eq!(options.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn the_employment_of_the_ordinary_researcher_is_worded_as_orcid_does() {
    let orcid = Orcid::open().await;
    let base = orcid.simulator.base_url.clone();
    let host = base.strip_prefix("http://").unwrap();
    let contents = seeded_for(people::ORDINARY);
    let item = contents.affiliations.iter().find(|item| item.content.department.is_some()).unwrap();
    let (code, at) = (item.put_code.number(), item.created.0 * 1_000);
    let client =
        format!("{{\"uri\":\"{base}/client/{MEMBER_CLIENT}\",\"path\":\"{MEMBER_CLIENT}\",\"host\":\"{host}\"}}");
    let expected = format!(
        "{{\"employment-summary\":{{\"created-date\":{{\"value\":{at}}},\"last-modified-date\":{{\"value\":{at}}},\
         \"source\":{{\"source-orcid\":null,\"source-client-id\":{client},\
         \"source-name\":{{\"value\":\"Practice Campus Library\"}},\"assertion-origin-orcid\":null,\
         \"assertion-origin-client-id\":null,\"assertion-origin-name\":null}},\"put-code\":{code},\
         \"department-name\":\"School of Rivers\",\"role-title\":\"Lecturer\",\
         \"start-date\":{{\"year\":{{\"value\":\"2021\"}},\"month\":{{\"value\":\"09\"}},\"day\":null}},\
         \"end-date\":null,\"organization\":{{\"name\":\"Practice University\",\
         \"address\":{{\"city\":\"Exampleton\",\"region\":\"Training County\",\"country\":\"GB\"}},\
         \"disambiguated-organization\":{{\"disambiguated-organization-identifier\":\"https://ror.org/00cmpvs00\",\
         \"disambiguation-source\":\"ROR\"}}}},\"url\":{{\"value\":\"https://www.practice-campus.example/rivers\"}},\
         \"external-ids\":{{\"external-id\":[{{\"external-id-type\":\"proposal-id\",\"external-id-value\":\"HR-0019\",\
         \"external-id-normalized\":{{\"value\":\"HR-0019\",\"transient\":true}},\
         \"external-id-normalized-error\":null,\"external-id-url\":null,\
         \"external-id-relationship\":\"self\"}}]}},\"display-index\":\"0\",\"visibility\":\"public\",\
         \"path\":\"/{}/employment/{code}\"}}}}",
        people::ORDINARY
    );
    let list = read(orcid.public, &format!("/v3.0/{}/employments", people::ORDINARY), "").await;
    assert!(list.body.contains(&expected), "{expected}\nnot in\n{}", list.body);
    assert!(list.body.ends_with(&format!("\"path\":\"/{}/employments\"}}", people::ORDINARY)));
    // The same as version 2 has it: flat, in capitals, without what is new.
    let old = read(orcid.public, &format!("/v2.0/{}/employments", people::ORDINARY), "").await.json();
    let keys: Vec<&String> = old.as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 3, "{keys:?}");
    let summary = &old["employment-summary"][0];
    assert_eq!((&summary["visibility"], &summary["put-code"]), (&"PUBLIC".into(), &code.into()));
    assert!(summary.get("external-ids").is_none() && summary["source"].get("assertion-origin-orcid").is_none());
}

#[tokio::test]
async fn works_are_grouped_by_what_they_share() {
    let orcid = Orcid::open().await;
    let works = read(orcid.public, &format!("/v3.0/{}/works", people::ORDINARY), "").await.json();
    let groups = works["group"].as_array().unwrap();
    let article = groups.iter().find(|group| group["work-summary"].as_array().unwrap().len() == 3).unwrap();
    let sources: Vec<&str> = article["work-summary"]
        .as_array()
        .unwrap()
        .iter()
        .map(|work| work["source"]["source-name"]["value"].as_str().unwrap())
        .collect();
    // The person's own choice first, then the oldest.
    assert_eq!(sources, ["Rowan Ashgrove", "Imaginary Publishers’ Exchange", "Practice Campus Library"]);
    let normal = &article["external-ids"]["external-id"][0]["external-id-normalized"]["value"];
    assert_eq!(normal, "10.5555/rivers.2023.1");
    let titles: Vec<&str> =
        groups.iter().map(|g| g["work-summary"][0]["title"]["title"]["value"].as_str().unwrap()).collect();
    assert_eq!(titles[..2], ["Meanders that never were", "Flüsse, die es nicht gibt"], "the latest first");
}

/// Every address of a version, as a trusted client reads it.
fn addresses(version: &str) -> Vec<String> {
    let known = |path: &&String| match version {
        "3.0" => true,
        _ => ["works", "work/", "funding", "peer-review", "education", "employment", "person", "record", "activities"]
            .iter()
            .any(|part| path.contains(part)),
    };
    let all: Vec<String> = SECTIONS.iter().map(|section| (*section).to_owned()).chain(items()).collect();
    all.iter().filter(known).map(|path| format!("/v{version}/{}{path}", people::ORDINARY)).collect()
}

#[tokio::test]
async fn xml_is_well_formed_and_names_what_it_is() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let bearer = format!("Bearer {}", all.trusted);
    let mut read = 0;
    for version in ["3.0", "2.1", "2.0"] {
        for target in addresses(version) {
            let headers = [("Accept", "application/xml"), ("Authorization", &*bearer)];
            let reply = send(orcid.member, "GET", &target, &headers, "").await;
            assert_eq!(reply.status, 200, "{target} {}", reply.body);
            let document = Document::parse(&reply.body).unwrap_or_else(|error| panic!("{target}: {error}"));
            let root = document.root_element();
            let namespace = root.tag_name().namespace().unwrap_or_default();
            assert!(namespace.starts_with("http://www.orcid.org/ns/"), "{target} {namespace}");
            // A prefix is its namespace's own name, everywhere.
            for node in root.descendants().filter(Node::is_element) {
                let namespace = node.tag_name().namespace().unwrap();
                let prefix = namespace.rsplit('/').next().unwrap();
                assert_eq!(node.lookup_prefix(namespace), Some(prefix), "{target}");
            }
            read += 1;
        }
    }
    assert!(read > 80, "{read}");
    for owner in people::seeded().into_iter().filter(|person| person.state == people::AccountState::Active) {
        let reply = accepting(orcid.public, &format!("/v3.0/{}", owner.orcid), "application/xml").await;
        Document::parse(&reply.body).unwrap_or_else(|error| panic!("{}: {error}", owner.orcid));
    }
}

fn names(node: Node<'_, '_>) -> Vec<String> {
    node.children().filter(Node::is_element).map(|child| child.tag_name().name().to_owned()).collect()
}

#[tokio::test]
async fn xml_stands_in_the_order_of_the_schema() {
    let orcid = Orcid::open().await;
    let code: i64 = items().iter().find_map(|path| path.strip_prefix("/employment/")?.parse().ok()).unwrap();
    let target = format!("/v3.0/{}/employment/{code}", people::ORDINARY);
    let reply = accepting(orcid.public, &target, "application/xml").await;
    let document = Document::parse(&reply.body).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name().namespace(), Some("http://www.orcid.org/ns/employment"));
    assert_eq!((root.attribute("put-code"), root.attribute("visibility")), (Some(&*code.to_string()), Some("public")));
    assert_eq!(
        names(root),
        [
            "created-date",
            "last-modified-date",
            "source",
            "department-name",
            "role-title",
            "start-date",
            "organization",
            "url",
            "external-ids"
        ]
    );
    let record = accepting(orcid.public, &format!("/v3.0/{}/record", people::ORDINARY), "application/xml").await;
    let document = Document::parse(&record.body).unwrap();
    assert_eq!(
        names(document.root_element()),
        ["orcid-identifier", "preferences", "history", "person", "activities-summary"]
    );
    let person = document.root_element().children().filter(Node::is_element).nth(3).unwrap();
    let expected = [
        "last-modified-date",
        "name",
        "other-names",
        "biography",
        "researcher-urls",
        "emails",
        "addresses",
        "keywords",
        "external-identifiers",
    ];
    assert_eq!(names(person), expected);
    // Markup and control characters in somebody's title change nothing around them.
    let hostile = format!("/v3.0/{}/works", people::HOSTILE_NAME);
    let reply = accepting(orcid.public, &hostile, "application/xml").await;
    let document = Document::parse(&reply.body).unwrap();
    let title = document
        .descendants()
        .find(|node| node.tag_name().name() == "title" && node.text().is_some_and(|text| !text.trim().is_empty()));
    assert_eq!(title.and_then(|node| node.text()), Some("</title> & \"quotes\" \\ {{7*7}} %0d%0aX-Evil: 1"));
    let json = read(orcid.public, &hostile, "").await.json();
    let title = json["group"][0]["work-summary"][0]["title"]["title"]["value"].as_str().unwrap().to_owned();
    assert!(title.starts_with("</title>\u{8}\u{0}\u{fffe} & "), "{title:?}");
}

#[tokio::test]
async fn the_public_api_alone_makes_graphs_and_citations() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let record = format!("/v3.0/{}", people::ORDINARY);
    let graph = accepting(orcid.public, &record, "application/ld+json").await;
    assert_eq!((graph.status, graph.header("content-type")), (200, Some("application/ld+json;charset=UTF-8")));
    let graph = graph.json();
    assert_eq!((&graph["@type"], &graph["givenName"]), (&"Person".into(), &"Rowan".into()));
    assert_eq!(graph["@id"], format!("{}/{}", orcid.simulator.base_url, people::ORDINARY));
    let contents = seeded_for(people::ORDINARY);
    let cited = contents.works.iter().find(|item| item.content.citation.is_some()).unwrap().put_code;
    let work = format!("{record}/{}/{cited}", Activity::Work.names().item);
    let kind = "application/vnd.citationstyles.csl+json";
    let citation = accepting(orcid.public, &work, kind).await;
    let authors = "Rowan Ashgrove and Rowan Ashgrove and Ulku Sahin";
    assert_eq!(citation.json()["author"][0]["literal"], authors);
    assert_eq!(
        (&citation.json()["DOI"], &citation.json()["type"]),
        (&"10.5555/rivers.2023.1".into(), &"article-journal".into())
    );
    let bearer = format!("Bearer {}", all.trusted);
    for (target, accept) in [(&record, "application/ld+json"), (&work, kind)] {
        let headers = [("Accept", accept), ("Authorization", &*bearer)];
        assert_eq!(send(orcid.member, "GET", target, &headers, "").await.status, 406, "{accept}");
        assert_eq!(accepting(orcid.public, &format!("{record}/works"), accept).await.status, 406, "{accept}");
    }
}

#[tokio::test]
async fn the_figures_of_a_record_count_what_everybody_sees() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/read-public").await;
    let figures = read(orcid.member, &format!("/v3.0/{}/summary", people::ORDINARY), &token).await.json();
    assert_eq!(figures["credit-name"], "Rowan Ashgrove");
    assert_eq!(figures["employments"]["count"], 2);
    assert_eq!(
        (&figures["works"]["self-asserted-count"], &figures["works"]["validated-count"]),
        (&2.into(), &2.into())
    );
    assert_eq!(figures["peer-reviews"]["total"], 2);
    let first = &figures["employments"]["employment"][0];
    assert_eq!((&first["role"], &first["validated"]), (&"Lecturer".into(), &true.into()));
}
