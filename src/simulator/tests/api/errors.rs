//! Every error of the reads, byte by byte in the order of its members (`orcid.md` §5.3, §8.5).

use super::*;

/// The body of an error with a code.
fn body(status: u16, developer: &str, user: &str, code: u16) -> String {
    format!(
        "{{\"response-code\":{status},\"developer-message\":\"{developer}\",\"user-message\":\"{user}\",\
         \"error-code\":{code},\"more-info\":\"https://members.orcid.org/api/resources/troubleshooting\"}}"
    )
}

fn endpoint(status: u16, detail: &str) -> String {
    let developer = format!(
        "400 Bad Request: There is an issue with your data or the API endpoint. 405 Method Not Allowed: Endpoint and \
         method mismatch. 415 Unsupported Media Type: data must be in XML or JSON format. Full validation error: \
         HTTP {detail}"
    );
    body(status, &developer, "ORCID could not process the data, because they were invalid.", 9001)
}

const JSON: Option<&str> = Some("application/json;charset=UTF-8");

#[tokio::test]
async fn errors_of_the_server_itself_are_json_without_a_type() {
    let orcid = Orcid::open().await;
    let works = format!("/v3.0/{}/works", people::ORDINARY);
    let nothing = format!("/v3.0/{}/nothing", people::ORDINARY);
    for (method, target, accept, status, detail) in [
        ("GET", &*nothing, "application/xml", 404, "404 Not Found"),
        ("GET", "/v3.0", "application/json", 404, "404 Not Found"),
        ("GET", &*works, "text/csv", 406, "406 Not Acceptable"),
        ("GET", "/v3.0/", "application/json", 406, "406 Not Acceptable"),
        ("POST", &*works, "application/json", 405, "405 Method Not Allowed"),
        ("PUT", &*works, "application/json", 405, "405 Method Not Allowed"),
        ("DELETE", &*works, "application/json", 405, "405 Method Not Allowed"),
    ] {
        let reply = send(orcid.public, method, target, &[("Accept", accept)], "").await;
        assert_eq!((reply.status, &*reply.body), (status, &*endpoint(status, detail)), "{method} {target}");
        assert_eq!(reply.header("content-type"), None, "{method} {target}");
    }
}

#[tokio::test]
async fn tokens_are_refused_in_the_other_shape() {
    let orcid = Orcid::open().await;
    let works = format!("/v3.0/{}/works", people::ORDINARY);
    let xml = ("Accept", "application/xml");
    for at in [orcid.root, orcid.public, orcid.member] {
        for (scheme, query) in [("Bearer nope", ""), ("bearer nope", ""), ("", "?access_token=nope")] {
            let headers: &[(&str, &str)] = if scheme.is_empty() { &[xml] } else { &[xml, ("Authorization", scheme)] };
            let reply = send(at, "GET", &format!("{works}{query}"), headers, "").await;
            let expected = r#"{"error":"invalid_token","error_description":"Invalid access token: nope"}"#;
            assert_eq!((reply.status, &*reply.body), (401, expected));
            assert_eq!(reply.header("content-type"), JSON);
            assert_eq!(reply.header("www-authenticate"), None);
        }
    }
    let reply = send(orcid.member, "GET", &works, &[xml], "").await;
    let expected = r#"{"error":"forbidden","error_description":"Forbidden: The server understood the request but refuses to authorize it."}"#;
    assert_eq!((reply.status, &*reply.body, reply.header("content-type")), (403, expected, JSON));
}

#[tokio::test]
async fn records_that_cannot_be_read_say_why() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/read-public").await;
    let missing = body(404, "404 Not Found: The resource was not found.", "The resource was not found.", 9016);
    let base = &orcid.simulator.base_url;
    let primary = format!("This account is deprecated. Please refer to account: {base}/{}.", people::ORDINARY);
    let claim =
        "This record has not been claimed, if this is your record you can claim it at https://orcid.org/resend-claim.";
    let table = [
        // Nobody's, and one with a wrong check character: one answer.
        ("0009-9999-9999-9992", 404, missing.clone()),
        ("0009-9999-0000-0018", 404, missing.clone()),
        ("somebody", 404, missing),
        (
            people::LOCKED,
            409,
            body(
                409,
                "409 Conflict: The ORCID record is locked and cannot be edited. ORCID 0009-9999-0000-0094 Full \
                 validation error: 0009-9999-0000-0094 is locked",
                "The ORCID record is locked.",
                9018,
            ),
        ),
        (
            people::DEACTIVATED,
            409,
            body(
                409,
                "409 Conflict: The ORCID record is deactivated and cannot be edited. Full validation error: \
                 0009-9999-0000-0107 is deactivated",
                "The ORCID record is deactivated.",
                9044,
            ),
        ),
        (people::UNCLAIMED, 409, body(409, "409 Conflict: This record has not been claimed.", claim, 9036)),
        (
            people::DEPRECATED,
            301,
            body(301, &format!("301 Moved Permanently: {primary} ORCID {base}/{}", people::DEPRECATED), &primary, 9007),
        ),
    ];
    let public_base = orcid.simulator.public_api.as_ref().unwrap().base_url.clone();
    let member_base = orcid.simulator.member_api.as_ref().unwrap().base_url.clone();
    for (owner, status, expected) in &table {
        for (at, token, base) in
            [(orcid.public, "", &public_base), (orcid.member, &*token, &member_base), (orcid.root, &*token, base)]
        {
            for path in ["", "/record", "/employments", "/works"] {
                let reply = read(at, &format!("/v3.0/{owner}{path}"), token).await;
                assert_eq!((reply.status, &reply.body), (*status, expected), "{owner}{path}");
                assert_eq!(reply.header("content-type"), JSON);
                let location = (*status == 301).then(|| format!("{base}/v3.0/{}{path}", people::ORDINARY));
                assert_eq!(reply.header("location"), location.as_deref());
            }
        }
    }
}

#[tokio::test]
async fn errors_come_in_the_format_that_was_asked_for() {
    let orcid = Orcid::open().await;
    let target = format!("/v3.0/{}/biography", people::MONONYM);
    let user = "There is no biography for the given record.";
    let developer = "404 Not Found: Biography for the given record is null.";
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
         <error xmlns=\"http://www.orcid.org/ns/error\">\n    <response-code>404</response-code>\n    \
         <developer-message>{developer}</developer-message>\n    <user-message>{user}</user-message>\n    \
         <error-code>9041</error-code>\n    \
         <more-info>https://members.orcid.org/api/resources/troubleshooting</more-info>\n</error>"
    );
    let json = body(404, developer, user, 9041);
    let pretty =
        json.replace("{\"", "{\n  \"").replace(",\"", ",\n  \"").replace("\":", "\" : ").replace("\"}", "\"\n}");
    for (accept, expected) in
        [("application/xml", &xml), ("application/json", &json), ("application/vnd.orcid+json", &pretty)]
    {
        let reply = send(orcid.public, "GET", &target, &[("Accept", accept)], "").await;
        assert_eq!((reply.status, &reply.body), (404, expected));
        assert_eq!(reply.header("content-type"), Some(&*format!("{accept};charset=UTF-8")));
    }
}

/// Where it is asked, for what, with which token, and the body that comes.
type Refusals<'a> = Vec<(SocketAddr, String, &'a str, String)>;

async fn are_refused(refusals: Refusals<'_>) {
    for (at, target, token, expected) in refusals {
        let reply = read(at, &target, token).await;
        assert_eq!(reply.body, expected, "{target}");
        assert!(expected.starts_with(&format!("{{\"response-code\":{},", reply.status)), "{target}: {}", reply.status);
        assert_eq!(reply.header("content-type"), JSON, "{target}");
    }
}

fn of(path: &str) -> String {
    format!("/v3.0/{}{path}", people::ORDINARY)
}

#[tokio::test]
async fn whoever_may_not_is_told_why() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let webhook = orcid.own_token("/webhook").await;
    let different = body(
        401,
        "401 Unauthorized: The client application is not authorized for this ORCID record. Full validation error: \
         Access token is for a different record",
        "The client application is not authorized.",
        9017,
    );
    let member_only = different.replace(
        "Access token is for a different record",
        "The client application is forbidden to perform the action.",
    );
    let scope = body(
        403,
        "409 Conflict: The item has a limited or private visibility and your request doesn't have the required scope.",
        "You don't have the permissions to execute this action.",
        9038,
    );
    let client =
        body(404, "Unable to find client profile associated with client:APP-X.", "The resource was not found.", 9027);
    are_refused(vec![
        (orcid.member, of("/works"), &*all.strangers, different.clone()),
        (orcid.public, of("/works"), &*all.strangers, different),
        (orcid.member, of("/works"), &*all.public_client, member_only),
        (orcid.member, "/v3.0/search?q=x".to_owned(), &*webhook, scope.clone()),
        (orcid.member, of("/summary"), &*webhook, scope),
        (orcid.public, "/v3.0/client/APP-X".to_owned(), "", client),
    ])
    .await;
}

#[tokio::test]
async fn put_codes_that_are_none_are_refused() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let many: String = (0..101).map(|n| format!("{n},")).collect();
    let number = |text: &str| {
        let user = "The client application sent a bad request to ORCID.";
        body(400, &format!("{user} Full validation error: For input string: \\\"{text}\\\""), user, 9006)
    };
    let put_code = body(
        400,
        "400 Bad Request: The put code provided is not valid. Full validation error: 'x' is not a valid put code",
        "There was an error when updating the record. Please try again. If the error persists, please contact \
         Practice Campus Library for assistance.",
        9034,
    );
    let no_number = endpoint(404, "404 Not Found (java.lang.NumberFormatException: For input string: \\\"x\\\")");
    let too_many = body(
        400,
        "org.orcid.core.exception.ExceedMaxNumberOfPutCodesException Full validation error: Too many put codes \
         specified: maximum is 100",
        "Too many put codes supplied",
        9042,
    );
    are_refused(vec![
        (orcid.public, of(&format!("/works/{many}")), "", too_many.clone()),
        (orcid.member, of(&format!("/works/{many}")), &*all.trusted, too_many),
        (orcid.public, of("/works/1,x"), "", number("x")),
        (orcid.public, of("/funding/x"), "", no_number),
        (orcid.public, of("/service/1.5"), "", number("1.5")),
        (orcid.member, of("/funding/x"), &*all.trusted, put_code),
    ])
    .await;
    let mixed = read(orcid.public, &of("/works/7,7"), "").await.json();
    assert_eq!(mixed["bulk"].as_array().unwrap().len(), 2, "one error for each put-code that is nobody's");
    assert!(mixed["bulk"][0]["error"]["user-message"].as_str().unwrap().contains("${clientName}"));
}

#[tokio::test]
async fn searches_beyond_their_bounds_are_refused() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let start = "The start parameter for API users without credentials must be an integer between 0 and 10,000";
    let bad = |detail: &str| {
        let user = "The client application made a bad request to the ORCID API.";
        body(400, &format!("{user} Full validation error: {detail}"), user, 9012)
    };
    let beyond = body(400, &format!("{start} Full validation error: {start}"), start, 9043);
    let search = |more: &str| format!("/v3.0/search?q=x&{more}");
    let rows = "The rows parameter must be an integer between 0 and 1,000";
    are_refused(vec![
        (orcid.public, search("start=10001"), "", beyond),
        (orcid.public, search("start=y"), "", bad(start)),
        (orcid.public, search("rows=1001"), "", bad(rows)),
        (orcid.member, search("start=-1"), &*all.trusted, bad("'start' parameter cannot be negative")),
    ])
    .await;
}

#[tokio::test]
async fn a_client_that_is_shut_out_reads_nothing() {
    let orcid = Orcid::open().await;
    let token = orcid.own_token("/read-public").await;
    let works = format!("/v3.0/{}/works", people::ORDINARY);
    let mut client = crate::simulator::SimulatedClient::new(MEMBER_CLIENT, MEMBER_SECRET, "L", true, &[CALLBACK]);
    client.state = crate::simulator::ClientState::Deactivated;
    orcid.simulator.register(client.clone()).unwrap();
    let reply = read(orcid.member, &works, &token).await;
    let developer =
        format!("409 Conflict: The client is locked. Full validation error: Client {MEMBER_CLIENT} is deactivated");
    assert_eq!((reply.status, reply.body), (409, body(409, &developer, "The client is locked.", 9057)));
    client.state = crate::simulator::ClientState::Locked;
    orcid.simulator.register(client).unwrap();
    assert_eq!(read(orcid.member, &works, &token).await.status, 401);
}

#[tokio::test]
async fn versions_that_are_no_more_lead_to_those_that_are() {
    let orcid = Orcid::open().await;
    let base = &orcid.simulator.public_api.as_ref().unwrap().base_url;
    for (asked, number, accept) in [
        ("v1.2", "3.0", "application/json"),
        ("v2.0_rc4", "2.0", "application/json"),
        ("v2.1_rc1", "2.1", "application/orcid+json"),
        ("v3.0_rc2", "3.0", "application/xml"),
        ("v4.0", "3.0", "*/*"),
    ] {
        let target = format!("/{asked}/{}/works?a=b", people::ORDINARY);
        let reply = send(orcid.public, "GET", &target, &[("Accept", accept)], "").await;
        assert_eq!(reply.status, 308, "{asked}");
        assert_eq!(reply.location(), format!("{base}/v{number}/{}/works?a=b", people::ORDINARY));
        assert_eq!(reply.header("content-type"), None);
        let says = format!("Release candidates for V{number} are now disabled");
        assert!(reply.body.contains(&says) && reply.body.contains("9056"), "{}", reply.body);
        assert_eq!(reply.body.starts_with("<?xml"), !accept.contains("json"), "{asked}");
    }
}

#[tokio::test]
async fn over_the_quota_callers_without_a_name_get_plain_text() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    orcid.simulator.set("over-quota", "on").await.unwrap();
    let works = format!("/v3.0/{}/works", people::ORDINARY);
    for at in [orcid.public, orcid.root] {
        for token in ["", "invented"] {
            let reply = read(at, &works, token).await;
            assert_eq!((reply.status, reply.header("content-type")), (429, Some("text/plain;charset=UTF-8")));
            assert!(reply.body.starts_with("Too Many Requests"), "{}", reply.body);
        }
        assert_eq!(read(at, &works, &all.public_client).await.status, 200);
    }
    assert_eq!(read(orcid.member, &works, "").await.status, 403, "the member API has no quota");
    assert_eq!(read(orcid.member, &works, &all.trusted).await.status, 200);
    orcid.simulator.set("over-quota", "off").await.unwrap();
    assert_eq!(read(orcid.public, &works, "").await.status, 200);
}
