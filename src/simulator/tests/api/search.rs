//! `/search`, `/expanded-search` and `/csv-search` through real sockets (`orcid.md` §8.1). The grammar has its tables
//! beside the code.

use super::*;

fn ids(reply: &Reply) -> Vec<String> {
    let json = reply.json();
    let found = json["result"].as_array().cloned().unwrap_or_default();
    found.iter().map(|result| result["orcid-identifier"]["path"].as_str().unwrap().to_owned()).collect()
}

fn query(text: &str, more: &str) -> String {
    format!("/v3.0/search/?{}{more}", encode(&[("q", text)]))
}

#[tokio::test]
async fn people_are_found_by_what_is_public() {
    let orcid = Orcid::open().await;
    for (text, expected) in [
        ("orcid:0009-9999-0000-0019", &[people::ORDINARY] as &[&str]),
        ("given-names:Rowan AND family-name:Ashgrove", &[people::ORDINARY]),
        ("credit-name:Quillfeather", &[people::CREDIT_NAME]),
        ("other-names:\"Rowan Eschenhain\"", &[people::ORDINARY]),
        ("email:rowan@practice-campus.example", &[people::ORDINARY]),
        ("affiliation-org-name:\"Practice University\" AND NOT family-name:*", &[people::MONONYM]),
        ("ror-org-id:\"https://ror.org/00nwher00\"", &[people::ORDINARY]),
        ("keyword:(geomorphology OR épistolaire)", &[people::ORDINARY, people::CREDIT_NAME]),
        ("doi-self:\"10.5555/letters.1\"", &[people::CREDIT_NAME]),
        ("text:meand*", &[people::ORDINARY]),
        ("meanders zzyzx", &[people::ORDINARY]),
        ("欧阳", &[people::CHINESE]),
        ("dowsing", &[]),
        ("email:r.ashgrove@lab.example", &[]),
        ("family-name:Barr", &[]),
        ("family-name:Unbidden", &[]),
    ] {
        let reply = read(orcid.public, &query(text, ""), "").await;
        assert_eq!(ids(&reply), expected, "{text}");
        assert_eq!(reply.json()["num-found"], expected.len(), "{text}");
    }
    let none = read(orcid.public, "/v3.0/search?q=nobodyhere", "").await;
    assert_eq!(none.body, r#"{"result":null,"num-found":0}"#);
    for (text, status) in [("family-name:(", 400), ("nonsense:x", 400), ("\"open", 400), ("", 200)] {
        let reply = read(orcid.public, &query(text, ""), "").await;
        assert_eq!(reply.status, status, "{text} {}", reply.body);
    }
}

#[tokio::test]
async fn results_come_in_pages() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/read-public").await;
    let all = ids(&read(orcid.public, &query("*:*", ""), "").await);
    assert_eq!(all.len(), 12, "everybody whose record is open");
    for (more, expected) in [
        ("&rows=2", &all[..2]),
        ("&start=1&rows=3", &all[1..4]),
        ("&rows=0", &[]),
        ("&start=10", &all[10..]),
        ("&start=10000", &[]),
    ] {
        let reply = read(orcid.public, &query("*:*", more), "").await;
        assert_eq!(ids(&reply), expected, "{more}");
        assert_eq!(reply.json()["num-found"], 12);
    }
    for (more, anonymous, with_token) in [("&start=10001", 400, 200), ("&rows=1001", 400, 400), ("&rows=-1", 400, 400)]
    {
        assert_eq!(read(orcid.public, &query("*:*", more), "").await.status, anonymous, "{more}");
        assert_eq!(read(orcid.member, &query("*:*", more), &token).await.status, with_token, "{more}");
    }
}

#[tokio::test]
async fn names_come_with_the_expanded_search_and_a_table_with_the_third() {
    let orcid = Orcid::open().await;
    let text = "orcid:0009-9999-0000-0019";
    let expected = "{\"expanded-result\":[{\"orcid-id\":\"0009-9999-0000-0019\",\"given-names\":\"Rowan\",\
                    \"family-names\":\"Ashgrove\",\"credit-name\":null,\
                    \"other-name\":[\"R. Ashgrove\",\"Rowan Eschenhain\"],\
                    \"email\":[\"rowan@practice-campus.example\"],\"institution-name\":[\"Institut für Nirgendwo\",\
                    \"Practice University\",\"Society of Invented Sciences\"]}],\"num-found\":1}";
    for slash in ["", "/"] {
        let reply = read(orcid.public, &format!("/v3.0/expanded-search{slash}?q={text}"), "").await;
        assert_eq!(reply.body, expected);
    }
    let xml = send(orcid.public, "GET", &format!("/v3.0/expanded-search/?q={text}"), &[], "").await;
    let document = roxmltree::Document::parse(&xml.body).unwrap();
    assert_eq!(document.root_element().attribute("num-found"), Some("1"));
    assert_eq!(document.root_element().tag_name().namespace(), Some("http://www.orcid.org/ns/expanded-search"));
    let table =
        send(orcid.public, "GET", &format!("/v3.0/csv-search/?q={text}&fl=orcid,other-names,bogus"), &[], "").await;
    assert_eq!(table.header("content-type"), Some("text/csv;charset=UTF-8"));
    assert_eq!(table.body, "orcid,other-names\n0009-9999-0000-0019,\"R. Ashgrove,Rowan Eschenhain\"\n");
}
