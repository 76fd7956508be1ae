//! The record API through real sockets: who may read what (`orcid.md` §5.3, §8), and what strangers' clients do.
//! The files beside this one take errors, formats, hosts, the search and webhooks.

mod errors;
mod formats;
mod hosts;
mod search;
mod webhooks;

use super::*;
use crate::domain::UnixTime;
use crate::simulator::record::{Contents, Item, Record, Visibility};

/// A simulator whose APIs have listeners of their own, beside the shared one.
pub(super) struct Orcid {
    pub(super) simulator: SimulatorHandle,
    pub(super) clock: Arc<StoppedClock>,
    pub(super) root: SocketAddr,
    pub(super) public: SocketAddr,
    pub(super) member: SocketAddr,
}

impl Orcid {
    pub(super) async fn open() -> Self {
        let (mut settings, clock) = settings();
        let anywhere = Some("127.0.0.1:0".parse().unwrap());
        (settings.public_api, settings.member_api) = (anywhere, anywhere);
        let simulator = Simulator::start(settings).await.unwrap();
        let at = |api: &Option<crate::simulator::ApiAddress>| api.as_ref().unwrap().local_addr;
        let (root, public, member) = (simulator.local_addr, at(&simulator.public_api), at(&simulator.member_api));
        Self { simulator, clock, root, public, member }
    }

    /// The token a person gives a client.
    pub(super) async fn granted(&self, client: &str, secret: &str, scopes: &str, orcid: &str) -> String {
        let code = Tab::new(&self.simulator).code(&ask(client, scopes, ""), orcid).await;
        let answer = trade(&self.simulator, client, secret, &code).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A token of the member client's own.
    pub(super) async fn own_token(&self, scope: &str) -> String {
        client_token(&self.simulator, MEMBER_CLIENT, MEMBER_SECRET, scope).await
    }

    pub(super) async fn everybody(&self) -> Everybody {
        Everybody {
            read_public: self.own_token("/read-public").await,
            trusted: self.granted(MEMBER_CLIENT, MEMBER_SECRET, "openid /read-limited", people::ORDINARY).await,
            strangers: self.granted(MEMBER_CLIENT, MEMBER_SECRET, "/read-limited", people::CREDIT_NAME).await,
            public_client: self.granted(PUBLIC_CLIENT, PUBLIC_SECRET, "openid", people::ORDINARY).await,
        }
    }
}

/// One token of each kind. All but the stranger's speak for the ordinary researcher or for nobody.
pub(super) struct Everybody {
    pub(super) read_public: String,
    pub(super) trusted: String,
    pub(super) strangers: String,
    pub(super) public_client: String,
}

pub(super) async fn client_token(simulator: &SimulatorHandle, client: &str, secret: &str, scope: &str) -> String {
    let fields =
        [("client_id", client), ("client_secret", secret), ("grant_type", "client_credentials"), ("scope", scope)];
    let answer = post(simulator.local_addr, "/oauth/token", &encode(&fields)).await;
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

/// Reads JSON with a token, or without any if it is empty.
pub(super) async fn read(at: SocketAddr, target: &str, token: &str) -> Reply {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("Accept", "application/json")];
    if !token.is_empty() {
        headers.push(("Authorization", &bearer));
    }
    send(at, "GET", target, &headers, "").await
}

/// What is seeded for somebody, hidden items included.
pub(super) fn seeded_for(orcid: &str) -> Arc<Contents> {
    let person = people::seeded().into_iter().find(|person| person.orcid.as_str() == orcid).unwrap();
    Record::new(Arc::new(person), UnixTime(NOW)).contents
}

fn code<T>(items: &[Item<T>], fits: impl Fn(&Item<T>) -> bool) -> i64 {
    items.iter().find(|item| fits(item)).map(|item| item.put_code.number()).unwrap()
}

/// The lists and sections of version 3.0.
pub(super) const SECTIONS: &[&str] = &[
    "",
    "/record",
    "/person",
    "/personal-details",
    "/biography",
    "/email",
    "/other-names",
    "/keywords",
    "/researcher-urls",
    "/address",
    "/external-identifiers",
    "/activities",
    "/works",
    "/educations",
    "/employments",
    "/distinctions",
    "/invited-positions",
    "/memberships",
    "/qualifications",
    "/services",
    "/fundings",
    "/peer-reviews",
    "/research-resources",
];

/// The public items of the ordinary researcher: each kind once, with its summary where there is one.
pub(super) fn items() -> Vec<String> {
    let contents = seeded_for(people::ORDINARY);
    let is_public = |visibility: Visibility| visibility == Visibility::Public;
    let mut paths = Vec::new();
    let mut plain = |name: &str, code: i64| paths.push(format!("/{name}/{code}"));
    plain("other-names", code(&contents.other_names, |item| is_public(item.visibility)));
    plain("keywords", code(&contents.keywords, |item| is_public(item.visibility)));
    plain("researcher-urls", code(&contents.researcher_urls, |item| is_public(item.visibility)));
    plain("address", code(&contents.addresses, |item| is_public(item.visibility)));
    plain("external-identifiers", code(&contents.external_identifiers, |item| is_public(item.visibility)));
    let mut activity = |name: &str, code: i64| {
        paths.extend([format!("/{name}/{code}"), format!("/{name}/summary/{code}")]);
    };
    activity("work", code(&contents.works, |item| is_public(item.visibility)));
    activity("funding", code(&contents.fundings, |item| is_public(item.visibility)));
    activity("peer-review", code(&contents.peer_reviews, |item| is_public(item.visibility)));
    activity("research-resource", code(&contents.research_resources, |item| is_public(item.visibility)));
    for kind in crate::simulator::record::AffiliationKind::ALL {
        let of_kind = |item: &Item<crate::simulator::record::Affiliation>| {
            item.content.kind == kind && is_public(item.visibility)
        };
        activity(kind.names().item, code(&contents.affiliations, of_kind));
    }
    paths
}

#[tokio::test]
async fn every_address_answers_everybody_as_orcid_does() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let paths = SECTIONS.iter().map(|section| (*section).to_owned()).chain(items());
    // Per address: what nobody in particular, /read-public, the person's own token, a stranger's and one of a public
    // client get, on the shared base, the public and the member API.
    let table = [("", [200, 200, 403]), (&*all.read_public, [200; 3]), (&*all.trusted, [200; 3])];
    let refused = [(&*all.strangers, [401; 3]), (&*all.public_client, [200, 200, 401])];
    for path in paths {
        for (token, expected) in table.iter().chain(&refused) {
            for (at, status) in [orcid.root, orcid.public, orcid.member].into_iter().zip(expected) {
                for slash in ["", "/"] {
                    let target = format!("/v3.0/{}{path}{slash}", people::ORDINARY);
                    let reply = read(at, &target, token).await;
                    assert_eq!(reply.status, *status, "{target} {at} {}", reply.body);
                }
            }
        }
    }
    // The figures are the member API's alone; so is the address at which activities will be added.
    for (target, token, expected) in [
        ("/summary", "", [404, 404, 403]),
        ("/summary", &*all.read_public, [200, 404, 200]),
        ("/summary", &*all.trusted, [200, 404, 200]),
        ("/summary", &*all.strangers, [401, 404, 401]),
        ("/summary", &*all.public_client, [404, 404, 401]),
        ("/work", &*all.trusted, [405, 404, 405]),
        ("/work", "", [404, 404, 403]),
    ] {
        for (at, status) in [orcid.root, orcid.public, orcid.member].into_iter().zip(expected) {
            let target = format!("/v3.0/{}{target}", people::ORDINARY);
            assert_eq!(read(at, &target, token).await.status, status, "{target} {at}");
        }
    }
}

#[tokio::test]
async fn what_is_hidden_is_dropped_from_lists_and_refused_by_itself() {
    use Visibility::{Limited, Private, Public};
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let contents = seeded_for(people::ORDINARY);
    let work = |visibility, own: bool| {
        code(&contents.works, |item| item.visibility == visibility && item.source.is_client(MEMBER_CLIENT) == own)
    };
    // Anonymous on the public API; /read-public and the person's own token on the member API. 0 is 200 and seen.
    for (visibility, own, expected) in [
        (Public, false, [0, 0, 0]),
        (Public, true, [0, 0, 0]),
        (Limited, false, [9039, 9038, 0]),
        (Limited, true, [9039, 0, 0]),
        (Private, false, [9039, 9038, 9013]),
        (Private, true, [9039, 0, 0]),
    ] {
        let (put_code, callers) = (work(visibility, own), [("", orcid.public), (&*all.read_public, orcid.member)]);
        for ((token, at), error) in callers.into_iter().chain([(&*all.trusted, orcid.member)]).zip(expected) {
            for kind in ["work", "work/summary"] {
                let one = read(at, &format!("/v3.0/{}/{kind}/{put_code}", people::ORDINARY), token).await;
                assert_eq!(one.status, if error == 0 { 200 } else { 403 }, "{visibility:?} {own} {}", one.body);
                assert_eq!(one.json()["error-code"].as_i64().unwrap_or(0), error, "{visibility:?} {own}");
            }
            let several = read(at, &format!("/v3.0/{}/works/{put_code}", people::ORDINARY), token).await;
            assert_eq!((several.status, several.json()["bulk"].as_array().unwrap().len()), (200, 1));
            let inline = &several.json()["bulk"][0];
            assert_eq!(inline["error"]["error-code"].as_i64().unwrap_or(0), error, "{inline}");
            let list = read(at, &format!("/v3.0/{}/works", people::ORDINARY), token).await;
            assert_eq!(list.body.contains(&format!("\"put-code\":{put_code},")), error == 0, "{visibility:?} {own}");
        }
    }
}

#[tokio::test]
async fn the_personal_section_shows_each_reader_their_part() {
    let orcid = Orcid::open().await;
    let all = orcid.everybody().await;
    let emails = orcid.granted(MEMBER_CLIENT, MEMBER_SECRET, "/email/read-private", people::ORDINARY).await;
    let person = format!("/v3.0/{}/person", people::ORDINARY);
    for (at, token, shown, hidden) in [
        (orcid.public, "", vec!["rowan@practice-campus", "R. Ashgrove"], vec!["lab.example", "dowsing", "treasure"]),
        (orcid.member, &*all.read_public, vec!["R. Ashgrove", "Repository profile"], vec!["lab.example", "dowsing"]),
        (orcid.member, &*all.trusted, vec!["lab.example", "dowsing"], vec!["person-0019@", "treasure"]),
        (orcid.public, &*all.trusted, vec!["R. Ashgrove"], vec!["lab.example", "dowsing", "Repository profile"]),
        (orcid.member, &*emails, vec!["person-0019@simulated", "lab.example"], vec!["dowsing", "old-campus"]),
    ] {
        let body = read(at, &person, token).await.body;
        for text in shown {
            assert!(body.contains(text), "{text} is missing in {body}");
        }
        for text in hidden.into_iter().chain(["old-campus.example"]) {
            assert!(!body.contains(text), "{text} is in {body}");
        }
    }
    // A name that is not public is null for everybody but trusted parties; so is a biography.
    for (owner, token, named) in [
        (people::HIDDEN_NAME, "".to_owned(), false),
        (people::LIMITED_NAME, "".to_owned(), false),
        (
            people::LIMITED_NAME,
            orcid.granted(MEMBER_CLIENT, MEMBER_SECRET, "/read-limited", people::LIMITED_NAME).await,
            true,
        ),
    ] {
        let details = read(orcid.root, &format!("/v3.0/{owner}/personal-details"), &token).await.json();
        assert_eq!((details["name"].is_null(), details["biography"].is_null()), (!named, !named), "{owner}");
    }
}

#[tokio::test]
async fn a_withdrawn_token_reads_nothing_more_and_storing_one_changes_the_record() {
    let orcid = Orcid::open().await;
    let record = format!("/v3.0/{}/record", people::ORDINARY);
    let modified = |reply: Reply| reply.json()["history"]["last-modified-date"]["value"].as_i64().unwrap();
    let before = modified(read(orcid.public, &record, "").await);
    let token = orcid.granted(MEMBER_CLIENT, MEMBER_SECRET, "/read-limited", people::ORDINARY).await;
    assert!(before < NOW * 1_000);
    assert_eq!(modified(read(orcid.public, &record, "").await), NOW * 1_000);
    orcid.clock.advance(60);
    assert_eq!(orcid.simulator.revoke_by_user(id(people::ORDINARY), MEMBER_CLIENT), 1);
    assert_eq!(read(orcid.member, &record, &token).await.status, 401);
    assert_eq!(modified(read(orcid.public, &record, "").await), NOW * 1_000, "the end of a token is no change");
    // An organisation may still clean up behind itself: a DELETE gets past the token.
    let bearer = format!("Bearer {token}");
    let funding = format!("/v3.0/{}/funding/1", people::ORDINARY);
    let reply = send(orcid.member, "DELETE", &funding, &[("Authorization", &bearer)], "").await;
    assert_eq!(reply.status, 405, "writes come later; {}", reply.body);
}
