//! The `[[case]]` tables of policy files: each sends one request through [`decide`] and compares. Run by
//! `lychgate check` and before a reload; `compile` reads them.

use super::decide::decide;
use super::facts::Facts;
use super::load::{ClientFacts, PolicySet};
use super::path::{BadPath, CanonicalPath};
use super::read::{Found, Table};
use super::rules::{Rule, is_let_through};
use super::site::Site;
use super::trace::Outcome;
use super::{explain, keys, scopes};
use crate::domain::quantity;
use crate::domain::{Broken, Identity, Mfa, OrcidId, Problem, Scope, ScopeSet, Subject, UnixTime};
use http::Method;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// When every case happens; only differences of time matter.
const NOW: UnixTime = UnixTime(1_800_000_000);

/// Where a case comes from that does not say: an address of no real network (RFC 5737).
const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// One expectation about one request.
#[derive(Clone, Debug)]
pub struct Case {
    /// As written, such as `GET /admin/users`.
    pub request: String,
    pub line: usize,
    key: String,
    method: Method,
    target: String,
    visitor: Option<OrcidId>,
    scopes: ScopeSet,
    mfa: Mfa,
    signed_in_for: Duration,
    broken: bool,
    from: IpAddr,
    expect: Expect,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Expect {
    Admit(Option<String>),
    SignIn(Option<String>),
    /// The scopes the rule demands.
    Scopes(ScopeSet),
    Refuse(Option<String>),
    /// 400: the path is not one the gate would look at.
    BadRequest,
}

const EXPECT_FORM: &str = "\"admit\", \"admit: RULE\", \"sign-in\", \"sign-in: RULE\", \"scopes: /a /b\", \"refuse\", \
                           \"refuse: RULE\" or \"bad-request\"";

/// Reads all cases of a file, whose rules are `rules`. A case with an error is left out. `facts` is `None`
/// when the site's client is unknown, which has been complained about.
pub(super) fn read(root: &Table<'_>, facts: Option<&ClientFacts>, rules: &[Rule]) -> Vec<Case> {
    root.tables("case", keys::CASE).iter().filter_map(|table| read_case(table, facts, rules)).collect()
}

fn read_case(table: &Table<'_>, facts: Option<&ClientFacts>, rules: &[Rule]) -> Option<Case> {
    let request = request(table);
    let expect = expect(table, facts, rules);
    let visitor = table.text("as").map(|found| match found.value.parse::<OrcidId>() {
        Ok(id) => Some(id),
        Err(error) => {
            table.source.add(table.source.error(found.line, &found.key, error.to_string()));
            None
        }
    });
    let scopes = visitor_scopes(table, facts);
    let mfa = table.flag("mfa").map_or(Mfa::Unknown, |f| if f.value { Mfa::Enabled } else { Mfa::PasswordOnly });
    let signed_in_for = table.duration("signed_in_for").map_or(Duration::ZERO, |found| found.value);
    let broken = table.flag("broken").is_some_and(|found| found.value);
    let from = from(table);
    for key in ["scopes", "mfa", "signed_in_for", "broken"] {
        if table.has(key) && !table.has("as") {
            let problem = table.source.error(table.line_of(key), &table.path(key), format!("a guest has no `{key}`"));
            table.source.add(problem.remedy("add as = \"0000-…\" to say who is signed in"));
        }
    }
    let (text, method, target) = request?;
    Some(Case {
        request: text,
        line: table.line,
        key: table.name.clone(),
        method,
        target,
        visitor: match visitor {
            Some(None) => return None,
            Some(id) => id,
            None => None,
        },
        scopes,
        mfa,
        signed_in_for,
        broken,
        from,
        expect: expect?,
    })
}

/// `GET /path`, or `/path` alone for GET.
fn request(table: &Table<'_>) -> Option<(String, Method, String)> {
    if !table.has("request") {
        table.source.add(table.complain("the case names no request").expected("request = \"GET /path\""));
        return None;
    }
    let found = table.text("request")?;
    let (method, target) = match found.value.split_once(' ') {
        Some((method, target)) => (method, target.trim()),
        None => ("GET", found.value.as_str()),
    };
    match Method::from_bytes(method.as_bytes()) {
        Ok(method) if target.starts_with('/') && is_let_through(&method) => {
            Some((found.value.clone(), method, target.to_owned()))
        }
        _ => {
            let problem = table.source.error(found.line, &found.key, format!("`{}` is not a request", found.value));
            table
                .source
                .add(problem.expected("a method that the gate lets through and a path, such as \"GET /admin/users\""));
            None
        }
    }
}

fn visitor_scopes(table: &Table<'_>, facts: Option<&ClientFacts>) -> ScopeSet {
    let base = || facts.iter().map(|facts| facts.base_scope.clone()).collect::<ScopeSet>();
    let Some(list) = table.texts("scopes", true) else { return base() };
    let mut set = ScopeSet::default();
    for found in list.value {
        for word in found.value.split_whitespace() {
            match word.parse::<Scope>() {
                Ok(scope) => {
                    if let Some(problem) = facts.and_then(|facts| scopes::objection(&scope, facts)) {
                        table.source.add(problem.file(&table.source.file).line(found.line).key(found.key.clone()));
                    }
                    set.insert(scope);
                }
                Err(error) => table.source.add(table.source.error(found.line, &found.key, error.to_string())),
            }
        }
    }
    set
}

fn from(table: &Table<'_>) -> IpAddr {
    let Some(found) = table.text("from") else { return SOMEWHERE };
    found.value.parse().unwrap_or_else(|_| {
        let problem = table.source.error(found.line, &found.key, format!("`{}` is not an address", found.value));
        table.source.add(problem.expected("an IPv4 or IPv6 address, such as \"10.1.2.3\""));
        SOMEWHERE
    })
}

fn expect(table: &Table<'_>, facts: Option<&ClientFacts>, rules: &[Rule]) -> Option<Expect> {
    if !table.has("expect") {
        table.source.add(table.complain("the case expects nothing").expected(EXPECT_FORM));
        return None;
    }
    let found: Found<String> = table.text("expect")?;
    let (word, rest) = match found.value.split_once(':') {
        Some((word, rest)) => (word.trim(), Some(rest.trim().to_owned())),
        None => (found.value.trim(), None),
    };
    if let ("scopes", Some(list)) = (word, &rest) {
        complain_of_scopes(table, &found, list, facts, rules);
    }
    let parsed = match (word, rest) {
        ("admit", rule) => Some(Expect::Admit(rule)),
        ("sign-in", rule) => Some(Expect::SignIn(rule)),
        ("refuse", rule) => Some(Expect::Refuse(rule)),
        ("scopes", Some(list)) => list.parse::<ScopeSet>().ok().filter(|set| !set.is_empty()).map(Expect::Scopes),
        ("bad-request", None) => Some(Expect::BadRequest),
        _ => None,
    };
    if parsed.is_none() {
        let problem = table.source.error(found.line, &found.key, format!("`{}` is not an outcome", found.value));
        let near = quantity::nearest(word, ["admit", "sign-in", "scopes", "refuse", "bad-request"]);
        table.source.add(match near.filter(|near| *near != word) {
            Some(near) => problem.expected(EXPECT_FORM).remedy(format!("did you mean \"{near}\"?")),
            None => problem.expected(EXPECT_FORM),
        });
    }
    parsed
}

/// The other outcomes are followed by a rule's name; `scopes:` is followed by what the rule demands.
fn complain_of_scopes(
    table: &Table<'_>,
    found: &Found<String>,
    list: &str,
    facts: Option<&ClientFacts>,
    rules: &[Rule],
) {
    let plausible = list.split_whitespace().all(|word| word.starts_with('/') || word == "openid");
    // A provider that is not ORCID may have scopes that look like names.
    let demanded = |scopes: &ScopeSet| rules.iter().any(|rule| rule.scopes == *scopes);
    let named = rules.iter().find(|rule| rule.name == list).filter(|_| !plausible);
    if let Some(rule) = named.filter(|_| !list.parse().is_ok_and(|scopes| demanded(&scopes))) {
        let message = format!("`{list}` is a rule, and `scopes:` is followed by the scopes that are asked for");
        let problem = table.source.error(found.line, &found.key, message);
        table.source.add(match rule.scopes.is_empty() {
            false => problem.remedy(format!("did you mean \"scopes: {}\"?", rule.scopes)),
            true => problem.remedy("this rule demands no scopes; did you mean \"sign-in\" or \"admit\"?"),
        });
        return;
    }
    for scope in list.parse::<ScopeSet>().unwrap_or_default().iter() {
        if let Some(problem) = facts.and_then(|facts| scopes::objection(scope, facts)) {
            table.source.add(problem.file(&table.source.file).line(found.line).key(found.key.clone()));
        }
    }
}

/// Runs the cases of every site. Each that is not met is an error with file and line.
pub fn run_cases(set: &PolicySet) -> Vec<Problem> {
    set.sites().iter().flat_map(|site| site.cases.iter().filter_map(|case| run(site, case))).collect()
}

fn run(site: &Arc<Site>, case: &Case) -> Option<Problem> {
    let complain =
        |message: String| Problem::error(message).file(&site.file).line(case.line).key(format!("{}.expect", case.key));
    if let Expect::Admit(Some(name)) | Expect::SignIn(Some(name)) | Expect::Refuse(Some(name)) = &case.expect
        && !site.rules.iter().any(|rule| rule.name == *name)
    {
        let problem = complain(format!("the site has no rule called \"{name}\""));
        let near = quantity::nearest(name, site.rules.iter().map(|rule| rule.name.as_str()));
        return Some(match near {
            Some(near) => problem.remedy(format!("did you mean \"{near}\"?")),
            None => problem.remedy("write the name as the rule spells it"),
        });
    }
    let path = CanonicalPath::from_target(&case.target, &site.switches);
    let (met, found) = match (&case.expect, &path) {
        (Expect::BadRequest, Err(_)) => return None,
        (_, Err(bad)) => (false, refused_path(*bad)),
        (expect, Ok((path, _))) => judge(site, case, expect, path),
    };
    let who = case.visitor.map_or("a guest".to_owned(), |id| id.to_string());
    (!met).then(|| {
        complain(format!("the case does not hold: {} as {who}", case.request))
            .expected(case.expect.to_string())
            .found(found)
            .remedy("mend the rules or the case; `lychgate explain` shows every rule that was tried")
    })
}

fn refused_path(bad: BadPath) -> String {
    format!("bad-request ({bad})")
}

fn judge(site: &Arc<Site>, case: &Case, expect: &Expect, path: &CanonicalPath) -> (bool, String) {
    let visitor = case.visitor.map(|id| Arc::new(identity(site, case, id)));
    let facts = Facts { site, method: &case.method, path, visitor: visitor.as_ref(), peer: case.from, now: NOW };
    let outcome = Outcome::of(&decide(&facts));
    let named = |want: &Option<String>, rule: Option<&String>| want.is_none() || want.as_ref() == rule;
    let met = match (expect, &outcome) {
        (Expect::Admit(want), Outcome::Admit { rule, .. }) => named(want, Some(rule)),
        (Expect::SignIn(want), Outcome::AskSignIn { rule, .. }) => named(want, Some(rule)),
        (Expect::Refuse(want), Outcome::Refuse { rule, .. }) => named(want, rule.as_ref()),
        (Expect::Scopes(want), Outcome::AskScopes { rule, .. }) => {
            site.rules.iter().any(|candidate| candidate.name == *rule && candidate.scopes == *want)
        }
        _ => false,
    };
    (met, explain(&facts).1.outcome.to_string())
}

fn identity(site: &Site, case: &Case, id: OrcidId) -> Identity {
    let age = i64::try_from(case.signed_in_for.as_secs()).unwrap_or(i64::MAX);
    Identity {
        subject: Subject::Orcid(id),
        environment: site.environment,
        client: site.client().clone(),
        name: None,
        given_name: None,
        family_name: None,
        scopes: case.scopes.clone(),
        signed_in_at: UnixTime(NOW.0.saturating_sub(age)),
        proven_at: Some(UnixTime(NOW.0.saturating_sub(age))),
        mfa: case.mfa,
        session_expires: NOW.plus(Duration::from_secs(3600)),
        broken: case.broken.then_some(Broken::Withdrawn),
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, rule) = match self {
            Expect::Admit(rule) => ("admit", rule),
            Expect::SignIn(rule) => ("sign-in", rule),
            Expect::Refuse(rule) => ("refuse", rule),
            Expect::Scopes(scopes) => return write!(f, "scopes: {scopes}"),
            Expect::BadRequest => return f.write_str("bad-request"),
        };
        match rule {
            Some(rule) => write!(f, "{word}: {rule}"),
            None => f.write_str(word),
        }
    }
}
