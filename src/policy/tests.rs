//! Whole policy files: the broken ones under `tests/fixtures/policy` with the complaints they earn, the
//! samples under `policies`, and the document that describes them.

use super::*;
use crate::domain::{ClientName, Environment, Membership, Problem, Scope};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn home() -> PathBuf {
    Path::new(file!()).parent().unwrap().join("../..")
}

fn context() -> PolicyContext {
    let facts = |environment, membership| ClientFacts {
        environment,
        membership,
        base_scope: Scope::openid(),
        foreign_subjects: false,
    };
    let name = |name: &str| name.parse::<ClientName>().unwrap();
    PolicyContext {
        sign_in_host: "signin.campus.example".parse().unwrap(),
        clients: [
            (name("main"), facts(Environment::Production, Membership::Member)),
            (name("open"), facts(Environment::Production, Membership::Public)),
        ]
        .into(),
        default_client: Some(name("main")),
    }
}

fn fixtures(names: &[&str]) -> Vec<(PathBuf, String)> {
    let read = |name: &&str| {
        let path = home().join("tests/fixtures/policy").join(name);
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, text)
    };
    names.iter().map(read).collect()
}

/// Compares complaints with the `#~` remarks of the files.
fn assert_complaints(files: &[(PathBuf, String)], problems: &[Problem]) {
    let mut left: Vec<&Problem> = problems.iter().collect();
    for (path, text) in files {
        for (at, line) in text.lines().enumerate() {
            for words in line.split("#~").skip(1).map(str::trim) {
                let fits = |problem: &&Problem| {
                    problem.file.as_deref() == Some(path)
                        && problem.line.unwrap_or(1) == at + 1
                        && problem.to_string().contains(words)
                };
                match left.iter().position(fits) {
                    Some(index) => drop(left.remove(index)),
                    None => panic!("{}:{}: no complaint says `{words}`; left: {left:#?}", path.display(), at + 1),
                }
            }
        }
    }
    assert!(left.is_empty(), "not expected: {left:#?}");
}

#[test]
fn t33_everything_wrong_is_complained_about_at_once_with_its_line() {
    for names in [
        &["unknown-keys.toml"][..],
        &["wrong-types.toml"],
        &["site.toml"],
        &["empty-site.toml"],
        &["no-site.toml"],
        &["portal.toml"],
        &["portal-rules.toml"],
        &["portal-twice.toml"],
        &["insecure.toml"],
        &["rules.toml"],
        &["reach.toml"],
        &["public-client.toml"],
        &["hand-off.toml"],
        &["audience.toml"],
        &["twice-one.toml", "twice-two.toml"],
        &["case-texts.toml"],
        &["syntax.toml"],
        &["lists.toml"],
    ] {
        let files = fixtures(names);
        let (set, problems) = load_files(&files, &context());
        assert_complaints(&files, &problems);
        assert_eq!(set.is_none(), problems.iter().any(Problem::is_error), "{names:?}");
    }
}

#[test]
fn complaints_of_several_files_come_together() {
    let files = fixtures(&["portal.toml", "rules.toml", "unknown-keys.toml"]);
    let (set, problems) = load_files(&files, &context());
    assert!(set.is_none());
    assert_complaints(&files, &problems);
}

#[test]
fn a_recent_sign_in_is_demanded_only_where_the_provider_can_be_told_to() {
    let (set, problems) = load_files(&fixtures(&["cases.toml"]), &context());
    assert!(set.is_some() && problems.is_empty(), "{problems:#?}");
    let mut context = context();
    for facts in context.clients.values_mut() {
        facts.base_scope = Scope::authenticate();
    }
    let (set, problems) = load_files(&fixtures(&["cases.toml"]), &context);
    let said = problems.iter().map(Problem::to_string).collect::<String>();
    assert!(set.is_none() && said.contains("max_auth_age") && said.contains("only together with"), "{said}");
}

#[test]
fn cases_that_do_not_hold_are_named() {
    let files = fixtures(&["cases.toml"]);
    let (set, problems) = load_files(&files, &context());
    assert_eq!(problems, []);
    assert_complaints(&files, &run_cases(&set.unwrap()));
}

#[test]
fn t75_lists_of_researchers_take_every_spelling() {
    let (set, _) = load_files(&fixtures(&["lists.toml"]), &context());
    let set = set.unwrap();
    assert_eq!(set.sites()[0].rules[0].researcher_count(), Some(2));
    assert!(set.files().iter().any(|path| path.ends_with("researchers.txt")));
}

#[test]
fn t74_an_emptied_list_admits_nobody_and_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("a.toml", &fs::read_to_string(&fixtures(&["lists.toml"])[0].0).unwrap());
    file("researchers.txt", "0000-0002-1825-0097\n");
    let (before, problems) = load(folder.path(), &context());
    assert_eq!(problems, []);
    file("researchers.txt", "# nobody any more\n");
    let (after, problems) = load(folder.path(), &context());
    assert!(problems.iter().all(|problem| !problem.is_error()) && problems.len() == 1, "{problems:#?}");
    let (before, after) = (before.unwrap(), after.unwrap());
    assert_eq!(after.sites()[0].rules[0].researcher_count(), Some(0));
    assert_ne!(before.generation(), after.generation());
    file("researchers.txt", "0000-0002-1825-0097\nnonsense\n");
    let (set, problems) = load(folder.path(), &context());
    assert!(
        set.is_none() && problems[0].line == Some(2) && problems[0].file.as_ref().unwrap().ends_with("researchers.txt")
    );
}

#[test]
fn a_directory_is_read_in_order_and_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let (set, problems) = load(folder.path(), &context());
    assert!(set.unwrap().sites().is_empty() && problems.len() == 1 && !problems[0].is_error());
    let site = |name: &str| {
        format!(
            "[site]\nname=\"{name}\"\nhosts=[\"{name}.example\"]\nupstream=\"http://127.0.0.1:1\"\n[[rule]]\naccess=\"public\"\n"
        )
    };
    for (file, name) in [("b.toml", "b"), ("a.toml", "a"), (".hidden.toml", "a"), ("c.toml~", "a"), ("notes.txt", "a")]
    {
        fs::write(folder.path().join(file), site(name)).unwrap();
    }
    let (set, _) = load(folder.path(), &context());
    let set = set.unwrap();
    assert_eq!(set.sites().iter().map(|site| site.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(set.site_for_host(&"B.example.".parse().unwrap()).is_some());
    assert!(set.site_for_host(&"c.example".parse().unwrap()).is_none());
    let (set, problems) = load(&folder.path().join("nowhere"), &context());
    assert!(set.is_none() && problems[0].is_error());
}

#[test]
fn t08_t10_names_of_one_site_are_reserved_at_all() {
    let text = |name: &str, hand_off: &str| {
        let site =
            format!("[site]\nname = \"{name}\"\nhosts = [\"{name}.example\"]\nupstream = \"http://127.0.0.1:1\"\n");
        (PathBuf::from(name), format!("{site}{hand_off}[[rule]]\naccess = \"signed-in\"\n"))
    };
    let odd = "[hand-off]\nheaders = { \"x-ReAdEr\" = \"{id}\", \"X.Orcid_ID\" = \"{uri}\" }\nassertion = { header = \"X-Proof\" }\n";
    let (set, problems) = load_files(&[text("odd", odd), text("plain", "")], &context());
    let set = set.unwrap_or_else(|| panic!("{problems:#?}"));
    for alias in ["X-Reader", "x_reader", "X.READER", "X-Reader-Encoding", "x_proof", "X-ORCID-iD"] {
        assert!(set.reserved().is_reserved(alias), "{alias}");
    }
    // The site's own spelling replaced the preset's header of the same folded name (T10).
    let names: Vec<_> = set.sites()[0].hand_off.headers.iter().map(|header| header.name.as_str()).collect();
    assert_eq!(names, ["x-orcid-uri", "x-orcid-name", "x-orcid-scopes", "remote-user", "x.orcid_id", "x-reader"]);
    assert_eq!(set.sites()[0].hand_off.assertion.as_ref().unwrap().audience, "odd");
}

#[test]
fn every_switch_of_a_site_arrives() {
    let text = r#"
[site]
name = "all"
title = "All of it"
hosts = ["all.example", "also.example"]
upstream = ["unix:/run/a.sock", "https://b.example"]
client = "open"
sign_in = "direct"
host_header = "Inner.example:8080"
path_parameters = "ignore"
encoded_slash = "keep"
case_insensitive = true
websocket = false
websocket_grace = "10 min"
keep_forms = false
private_cache = false
hsts = false
authorization = "pass"
cors_origins = ["https://Portal.example:443"]
about = "words"
contact = "help@campus.example"
[limits]
connect = "1s"
first_byte = "none"
idle = "10 min"
body = "1 MiB"
[hand-off]
preset = "remote-user"
encoding = "utf8"
assertion = { header = "X-Lychgate-Assertion", audience = "them" }
[[rule]]
access = "signed-in"
"#;
    let (set, problems) = load_files(&[("all.toml".into(), text.into())], &context());
    let set = set.unwrap_or_else(|| panic!("{problems:#?}"));
    let site = &set.sites()[0];
    assert_eq!(site.main_host().as_str(), "all.example");
    assert_eq!((site.title.as_str(), site.client().as_str(), site.sign_in), ("All of it", "open", SignInStyle::Direct));
    assert_eq!(site.host_header, HostHeader::Name("inner.example:8080".into()));
    let switches = PathSwitches { ignore_parameters: true, keep_encoded_slash: true, case_insensitive: true };
    assert_eq!(site.switches, switches);
    assert_eq!(site.websocket_grace, std::time::Duration::from_secs(600));
    let odd: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert!(odd.iter().any(|text| text.contains("site.websocket_grace") && text.contains("no WebSocket")), "{odd:#?}");
    assert!(!site.websocket && !site.private_cache && !site.hsts && !site.keep_forms);
    assert_eq!(site.authorization, AuthorizationHeader::Pass);
    assert_eq!(site.cors_origins, ["https://portal.example"]);
    assert_eq!((site.limits.first_byte, site.limits.body), (None, Some(1 << 20)));
    assert_eq!(site.limits.idle, Some(std::time::Duration::from_secs(600)));
    let SiteKind::App { upstreams } = &site.kind else { panic!("an app") };
    assert_eq!(
        upstreams.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["unix:/run/a.sock", "https://b.example:443"]
    );
    assert_eq!(site.hand_off.encoding, Encoding::Utf8);
    let defaults =
        text.lines().filter(|l| ["[site]", "name", "hosts", "upst", "[[ru", "acce"].iter().any(|p| l.starts_with(p)));
    let defaults = defaults.collect::<Vec<_>>().join("\n");
    let (set, _) = load_files(&[("all.toml".into(), defaults)], &context());
    let site = &set.unwrap().sites()[0].clone();
    assert_eq!((site.title.as_str(), site.client().as_str(), site.sign_in), ("all", "main", SignInStyle::Page));
    assert!(
        site.websocket && site.private_cache && site.hsts && site.keep_forms && site.host_header == HostHeader::Pass
    );
    assert!(site.websocket_grace.is_zero());
    assert_eq!((site.limits, site.authorization), (SiteLimits::default(), AuthorizationHeader::Strip));
}

#[test]
fn the_samples_are_sound_and_their_cases_hold() {
    let (set, problems) = load(&home().join("policies"), &context());
    assert_eq!(problems, []);
    let set = set.unwrap();
    assert_eq!(set.sites().len(), 3);
    assert_eq!(run_cases(&set), []);
    assert!(set.sites().iter().all(|site| site.cases.len() >= 3));
}

/// The site file by which the design explains the grammar.
#[test]
fn the_sketch_of_the_design_is_a_policy() {
    let files = fixtures(&["sketch.toml"]);
    let (set, problems) = load_files(&files, &context());
    assert_eq!(problems, []);
    assert_eq!(run_cases(&set.unwrap()), []);
}

/// Every key stands once in the document's tables, and nothing else does.
#[test]
fn the_document_and_the_keys_agree() {
    let mut documented = BTreeSet::new();
    let mut table = String::new();
    for line in include_str!("../../docs/POLICIES.md").lines() {
        if line.starts_with('#') {
            table = line.split('`').nth(1).unwrap_or_default().trim_matches(['[', ']']).to_owned();
        } else if let Some(key) = line.strip_prefix("| `").and_then(|rest| rest.split('`').next()) {
            assert!(documented.insert(format!("{table}: {key}")), "{table}: {key} twice");
        }
    }
    let known: BTreeSet<String> =
        KEYS.iter().flat_map(|(table, keys)| keys.iter().map(move |key| format!("{table}: {key}"))).collect();
    assert_eq!(documented, known);
}

#[test]
fn any_text_is_answered_without_panic() {
    use proptest::test_runner::{Config, TestRunner};
    let all = fixtures(&["rules.toml", "hand-off.toml", "site.toml", "cases.toml"]);
    let mut runner = TestRunner::new(Config { failure_persistence: None, cases: 300, ..Config::default() });
    let cut = (0usize..4, proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<String>());
    runner
        .run(&cut, |(which, at, junk)| {
            let text = &all[which].1;
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let files = [(PathBuf::from("x.toml"), format!("{}{junk}{}", &text[..at], &text[at..]))];
            let (set, problems) = load_files(&files, &context());
            assert_eq!(set.is_none(), problems.iter().any(Problem::is_error));
            Ok(())
        })
        .unwrap();
}

#[test]
fn b11_a_site_may_know_researchers_through_several_clients() {
    let mut context = context();
    let sandbox = ClientFacts {
        environment: Environment::Sandbox,
        membership: Membership::Member,
        base_scope: Scope::openid(),
        foreign_subjects: false,
    };
    let campus = ClientFacts { environment: Environment::Other, ..sandbox.clone() };
    context.clients.insert("box".parse().unwrap(), sandbox);
    for name in ["staff", "guests"] {
        context.clients.insert(name.parse().unwrap(), ClientFacts { foreign_subjects: true, ..campus.clone() });
    }
    context.clients.insert("campus".parse().unwrap(), campus);
    let load = |client: &str, scopes: &str| {
        let text = format!(
            "[site]\nname = \"library\"\nhosts = [\"library.campus.example\"]\nupstream = \"http://127.0.0.1:1\"\n\
             client = {client}\n[[rule]]\naccess = \"signed-in\"\nscopes = {scopes}\n\
             [[case]]\nrequest = \"GET /\"\nexpect = \"sign-in\"\n"
        );
        load_files(&[(PathBuf::from("library.toml"), text)], &context)
    };
    let known = |client: &str| {
        let (set, problems) = load(client, "[]");
        let set = set.unwrap_or_else(|| panic!("{problems:#?}"));
        set.sites()[0].clients.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(known(r#""open""#), ["open"]);
    assert_eq!(known(r#"["open", "main", "campus"]"#), ["open", "main", "campus"]);
    for (client, scopes, complaint) in [
        (r#"["main", "main"]"#, "[]", "`main` is listed already"),
        (r#"["main", "mian"]"#, "[]", "the configuration has no client `mian`"),
        ("[]", "[]", "0 clients"),
        (r#"["main", "box"]"#, "[]", "may be two people"),
        (r#"["staff", "main", "guests"]"#, "[]", "may be two people at `guests` and at `staff`"),
        (r#"["main", "open"]"#, r#"["/read-limited"]"#, "needs a member client"),
        ("7", "[]", "a text or a list of texts"),
    ] {
        let (set, problems) = load(client, scopes);
        assert!(set.is_none(), "{client} was taken");
        assert!(problems.iter().any(|problem| problem.to_string().contains(complaint)), "{client}: {problems:#?}");
    }
}
