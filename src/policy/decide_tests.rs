//! Decisions, and that they are explained by the very walk that makes them.

use super::*;
use crate::domain::{Broken, Mfa, Subject, UnixTime};
use crate::policy::load::{ClientFacts, PolicyContext, load_files};
use crate::policy::{CanonicalPath, PolicySet};
use http::Method;
use proptest::prelude::*;
use std::net::IpAddr;

const NOW: UnixTime = UnixTime(1_800_000_000);
const JOSIAH: &str = "0000-0002-1825-0097";
const MALLORY: &str = "0000-0002-1694-233X";

const LIBRARY: &str = r#"
[site]
name = "library"
hosts = ["library.campus.example"]
upstream = "http://127.0.0.1:8080"

[[rule]]
name = "front"
paths = ["/", "/static/**", "/public/**"]
methods = ["GET", "HEAD"]
access = "public"

[[rule]]
name = "catalogue"
paths = ["/catalogue/**"]
methods = ["GET"]
access = "optional"

[[rule]]
name = "deposit"
paths = ["/deposit/**"]
access = "signed-in"
scopes = ["/activities/update"]

[[rule]]
name = "administrators"
paths = ["/admin/**"]
access = "signed-in"
researchers = ["https://orcid.org/0000-0002-1825-0097"]
mfa = true
max_auth_age = "1h"
networks = ["10.0.0.0/8", "2001:db8::/32"]

[[rule]]
name = "readers"
paths = ["/books/**"]
methods = ["GET"]
access = "signed-in"
"#;

fn set(text: &str) -> PolicySet {
    let facts = |environment| ClientFacts {
        environment,
        membership: crate::domain::Membership::Member,
        base_scope: crate::domain::Scope::openid(),
        foreign_subjects: false,
    };
    let main: crate::domain::ClientName = "main".parse().unwrap();
    let context = PolicyContext {
        sign_in_host: "signin.campus.example".parse().unwrap(),
        clients: [(main.clone(), facts(crate::domain::Environment::Production))].into(),
        default_client: Some(main),
    };
    let (set, problems) = load_files(&[("library.toml".into(), text.to_owned())], &context);
    set.unwrap_or_else(|| panic!("{problems:#?}"))
}

/// Somebody at a certain place, asking for something.
#[derive(Clone)]
struct Asking {
    visitor: Option<Identity>,
    peer: IpAddr,
}

fn somebody(id: &str) -> Identity {
    Identity {
        subject: Subject::Orcid(id.parse().unwrap()),
        environment: crate::domain::Environment::Production,
        client: "main".parse().unwrap(),
        name: None,
        given_name: None,
        family_name: None,
        scopes: "openid".parse().unwrap(),
        signed_in_at: NOW,
        proven_at: Some(NOW),
        mfa: Mfa::Enabled,
        session_expires: NOW,
        broken: None,
    }
}

fn guest() -> Asking {
    Asking { visitor: None, peer: "10.1.2.3".parse().unwrap() }
}

fn josiah() -> Asking {
    Asking { visitor: Some(somebody(JOSIAH)), ..guest() }
}

impl Asking {
    fn with(mut self, change: impl FnOnce(&mut Identity)) -> Self {
        change(self.visitor.as_mut().expect("only people can be changed"));
        self
    }

    fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    fn answer(&self, set: &PolicySet, method: &str, path: &str) -> String {
        let site = set.site_for_host(&"library.campus.example".parse().unwrap()).unwrap();
        let Ok(path) = CanonicalPath::parse(path, &site.switches) else { return "bad".into() };
        let visitor = self.visitor.clone().map(Arc::new);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let facts = Facts { site, method: &method, path: &path, visitor: visitor.as_ref(), peer: self.peer, now: NOW };
        let (explained, trace) = explain(&facts);
        let decided = Outcome::of(&decide(&facts));
        assert_eq!(decided, Outcome::of(&explained));
        assert_eq!(decided, trace.outcome);
        match decided {
            Outcome::Admit { rule, identity } => format!("admit {rule} {}", identity.unwrap_or("nobody".into())),
            Outcome::AskSignIn { rule, scopes, fresh } => {
                format!("sign-in {rule} [{scopes}]{}", if fresh { " fresh" } else { "" })
            }
            Outcome::AskScopes { rule, scopes } => format!("scopes {rule} [{scopes}]"),
            Outcome::Refuse { rule, reason } => format!("refuse {} {reason:?}", rule.unwrap_or("-".into())),
        }
    }
}

#[test]
fn the_first_rule_that_fits_decides() {
    let set = set(LIBRARY);
    let wide = josiah().with(|i| i.scopes = "openid /activities/update".parse().unwrap());
    let mallory = Asking { visitor: Some(somebody(MALLORY)), ..guest() };
    for (who, method, path, want) in [
        (guest(), "GET", "/", "admit front nobody"),
        (josiah(), "GET", "/", "admit front nobody"),
        (guest(), "GET", "/catalogue/x", "admit catalogue nobody"),
        (josiah(), "GET", "/catalogue/x", "admit catalogue 0000-0002-1825-0097"),
        (guest(), "GET", "/books/1", "sign-in readers [openid]"),
        (josiah(), "GET", "/books/1", "admit readers 0000-0002-1825-0097"),
        (guest(), "POST", "/deposit/new", "sign-in deposit [/activities/update openid]"),
        (josiah(), "POST", "/deposit/new", "scopes deposit [/activities/update openid]"),
        (wide, "POST", "/deposit/new", "admit deposit 0000-0002-1825-0097"),
        (guest(), "GET", "/admin", "sign-in administrators [openid]"),
        (josiah(), "GET", "/admin/users", "admit administrators 0000-0002-1825-0097"),
        (mallory, "GET", "/admin/users", "refuse administrators NotListed"),
        (josiah(), "GET", "/elsewhere", "refuse - DefaultDeny"),
        (josiah(), "PUT", "/books/1", "refuse - Method"),
    ] {
        assert_eq!(who.answer(&set, method, path), want, "{method} {path}");
    }
}

#[test]
fn a_rule_demands_network_second_factor_and_a_recent_sign_in() {
    let set = set(LIBRARY);
    for (who, want) in [
        (josiah().from("192.0.2.1"), "refuse administrators Network"),
        (guest().from("192.0.2.1"), "refuse administrators Network"),
        (josiah().from("::ffff:10.9.9.9"), "admit administrators 0000-0002-1825-0097"),
        (josiah().from("::ffff:192.0.2.1"), "refuse administrators Network"),
        (josiah().from("2001:db8::1"), "admit administrators 0000-0002-1825-0097"),
        (josiah().with(|i| i.mfa = Mfa::PasswordOnly), "refuse administrators MfaMissing"),
        (josiah().with(|i| i.mfa = Mfa::Unknown), "refuse administrators MfaUnknown"),
        (josiah().with(|i| i.proven_at = Some(UnixTime(NOW.0 - 3600))), "admit administrators 0000-0002-1825-0097"),
        (josiah().with(|i| i.proven_at = None), "sign-in administrators [openid] fresh"),
        (josiah().with(|i| i.proven_at = Some(UnixTime(NOW.0 - 3601))), "sign-in administrators [openid] fresh"),
        (josiah().with(|i| i.subject = Subject::Foreign(JOSIAH.into())), "refuse administrators NotListed"),
    ] {
        assert_eq!(who.answer(&set, "GET", "/admin"), want);
    }
}

#[test]
fn somebody_verified_through_another_client_is_nobody_here() {
    let set = set(LIBRARY);
    let stranger = josiah().with(|i| i.client = "sandbox".parse().unwrap());
    assert_eq!(stranger.answer(&set, "GET", "/books/1"), "sign-in readers [openid]");
    assert_eq!(stranger.answer(&set, "GET", "/catalogue/x"), "admit catalogue nobody");
}

#[test]
fn j8_a_broken_connection_asks_again_and_is_no_reason_to_refuse() {
    let set = set(LIBRARY);
    let broken = || josiah().with(|i| (i.broken, i.scopes) = (Some(Broken::Withdrawn), ScopeSet::default()));
    for (who, method, path, want) in [
        (broken(), "GET", "/books/1", "sign-in readers [openid]"),
        (broken(), "POST", "/deposit/new", "sign-in deposit [/activities/update openid]"),
        (broken(), "GET", "/admin", "sign-in administrators [openid]"),
        (broken(), "GET", "/", "admit front nobody"),
        (broken(), "GET", "/catalogue/x", "admit catalogue 0000-0002-1825-0097"),
        // What no sign-in could change is said first.
        (broken().from("192.0.2.1"), "GET", "/admin", "refuse administrators Network"),
        (broken().with(|i| i.mfa = Mfa::PasswordOnly), "GET", "/admin", "refuse administrators MfaMissing"),
    ] {
        assert_eq!(who.answer(&set, method, path), want, "{method} {path}");
    }
    let site = &set.sites()[0];
    let path = CanonicalPath::parse("/books/1", &site.switches).unwrap();
    let visitor = broken().visitor.map(Arc::new);
    let peer = "10.0.0.1".parse().unwrap();
    let facts = Facts { site, method: &Method::GET, path: &path, visitor: visitor.as_ref(), peer, now: NOW };
    let (_, trace) = explain(&facts);
    assert!(trace.to_string().contains("no longer stands behind"), "{trace}");
    assert_eq!(serde_json::to_value(&trace).unwrap()["steps"][4]["verdict"], "connection-broken");
}

#[test]
fn t30_only_the_methods_a_rule_names_in_that_very_spelling() {
    let set = set(LIBRARY);
    for (method, path, want) in [
        ("HEAD", "/", "admit front nobody"),
        ("get", "/", "refuse - Method"),
        ("OPTIONS", "/", "refuse - Method"),
        ("POST", "/", "refuse - Method"),
        ("HEAD", "/books/1", "refuse - Method"),
    ] {
        assert_eq!(guest().answer(&set, method, path), want, "{method} {path}");
    }
}

#[test]
fn t22_no_spelling_of_the_path_leads_around_a_rule() {
    let strict = set(LIBRARY);
    for path in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/..%2fadmin",
        "/public/%252e%252e/admin",
        "/public/..;/admin",
        "/admin;x/users",
        "/public\\..\\admin",
        "//admin",
        "/./admin",
        "/admin#/public",
    ] {
        assert_eq!(guest().answer(&strict, "GET", path), "bad", "{path}");
    }
    assert_eq!(guest().answer(&strict, "GET", "/%61dmin"), "sign-in administrators [openid]");
    assert_eq!(guest().answer(&strict, "GET", "/ADMIN"), "refuse - DefaultDeny");
    assert_eq!(guest().answer(&strict, "GET", "/admin%23/public"), "refuse - DefaultDeny");
    let folding = LIBRARY.replace("[[rule]]\nname = \"front\"", "case_insensitive = true\n[[rule]]\nname = \"front\"");
    assert_eq!(guest().answer(&set(&folding), "GET", "/ADMIN/Users"), "sign-in administrators [openid]");
    let parameters = folding.replace("case_insensitive = true", "path_parameters = \"ignore\"");
    assert_eq!(guest().answer(&set(&parameters), "GET", "/admin;x/users"), "sign-in administrators [openid]");
}

#[test]
fn the_trace_says_of_each_rule_why_it_did_not_apply() {
    let set = set(LIBRARY);
    let site = &set.sites()[0];
    let path = CanonicalPath::parse("/books/1", &site.switches).unwrap();
    let peer = "10.0.0.1".parse().unwrap();
    let facts = Facts { site, method: &Method::GET, path: &path, visitor: None, peer, now: NOW };
    let (_, trace) = explain(&facts);
    assert_eq!(
        trace.to_string(),
        "GET /books/1 at site library, as a guest\n  \
         1. front (line 7): does not apply: speaks of other paths\n  \
         2. catalogue (line 13): does not apply: speaks of other paths\n  \
         3. deposit (line 19): does not apply: speaks of other paths\n  \
         4. administrators (line 25): does not apply: speaks of other paths\n  \
         5. readers (line 34): asks to sign in: nobody is signed in\n\
         sign-in: readers (scopes openid)"
    );
    let json = serde_json::to_value(&trace).unwrap();
    assert_eq!(json["steps"][4]["verdict"], "asks-sign-in");
    assert_eq!(json["outcome"]["decision"], "ask-sign-in");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    /// `answer` itself compares `decide` with `explain`.
    #[test]
    fn t31_what_is_explained_is_what_happens(
        path in "(/(admin|books|public|deposit|catalogue|static|x|%61dmin|ADMIN|\\.\\.|;x)?){1,3}",
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "OPTIONS", "get"]),
        signed_in: bool, inside: bool, mfa: bool, wide: bool, age in 0i64..8000,
    ) {
        let set = set(LIBRARY);
        let mut who = if signed_in { josiah() } else { guest() };
        if let Some(identity) = &mut who.visitor {
            identity.mfa = if mfa { Mfa::Enabled } else { Mfa::Unknown };
            identity.proven_at = Some(UnixTime(NOW.0 - age));
            if wide {
                identity.scopes = "openid /activities/update".parse().unwrap();
            }
        }
        if !inside {
            who = who.from("192.0.2.1");
        }
        let answer = who.answer(&set, method, &path);
        // A guest is never presented to an app as somebody.
        prop_assert!(signed_in || !answer.contains(JOSIAH));
    }
}
