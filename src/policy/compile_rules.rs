//! Makes the [`Rule`]s of a site from its `[[rule]]` tables, and finds rules that contradict themselves
//! or can never be reached (T33). Called by `compile`.

use super::load::{ClientFacts, Reader};
use super::path::PathSwitches;
use super::pattern::Pattern;
use super::read::{Element, Found, Table};
use super::researchers::researchers;
use super::rules::{Access, Rule, is_let_through};
use super::{keys, scopes};
use crate::domain::quantity;
use crate::domain::{Scope, ScopeSet};
use http::Method;
use ipnet::IpNet;
use std::net::IpAddr;

/// More rules than this is a generated file that wants a list of iDs instead.
const MAX_RULES: usize = 1000;

/// `facts` is empty when a client of the site is unknown, which has been complained about. `portal`: the site
/// is one, whose rules only say what to ask for.
pub(super) fn compile_rules(
    root: &Table<'_>,
    switches: &PathSwitches,
    facts: &[&ClientFacts],
    portal: bool,
    reader: &Reader<'_>,
) -> Vec<Rule> {
    let tables = root.tables("rule", keys::RULE);
    if tables.len() > MAX_RULES {
        root.source.add(root.source.error(root.line_of("rule"), "rule", format!("more than {MAX_RULES} rules")));
        return Vec::new();
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (index, table) in tables.iter().enumerate() {
        let errors = root.source.complaints.errors();
        let rule = compile_rule(table, index, switches, facts, reader);
        if portal {
            complain_of_portal(table);
        } else {
            complain_of_contradiction(table, rule.access);
        }
        if rules.iter().any(|earlier| earlier.name == rule.name) {
            let message = format!("another rule of this site is called \"{}\" too", rule.name);
            root.source.add(root.source.error(table.line_of("name"), &table.path("name"), message));
        }
        // A rule that is wrong in itself would only add confusing complaints about reach.
        if root.source.complaints.errors() == errors {
            complain_of_reach(table, &rules, &rule, portal);
        }
        rules.push(rule);
    }
    rules
}

fn compile_rule(
    table: &Table<'_>,
    index: usize,
    switches: &PathSwitches,
    facts: &[&ClientFacts],
    reader: &Reader<'_>,
) -> Rule {
    let name = table.text("name").map(|found| found.value).filter(|name| !name.trim().is_empty());
    let access = access(table);
    let scopes = rule_scopes(table, facts);
    let mut ask = scopes.clone();
    if let Some(first) = facts.first() {
        ask.insert(first.base_scope.clone());
    }
    let rule = Rule {
        name: name.unwrap_or_else(|| format!("rule {}", index + 1)),
        line: table.line,
        access: access.unwrap_or(Access::SignedIn),
        scopes,
        why: table.text("why").map(|found| found.value),
        max_auth_age: table.duration("max_auth_age").map(|found| found.value),
        mfa: table.flag("mfa").is_some_and(|found| found.value),
        ask,
        paths: paths(table, switches),
        methods: methods(table),
        researchers: researchers(table, facts.first().map(|facts| facts.environment), reader),
        networks: networks(table),
    };
    complain_of_unprovable_age(table, facts);
    if rule.max_auth_age.is_some_and(|age| age.as_secs() < 60) {
        let problem =
            table.source.error(table.line_of("max_auth_age"), &table.path("max_auth_age"), "too short to be kept");
        table.source.add(problem.expected("at least \"60s\"; a sign-in itself takes that long"));
    }
    rule
}

fn access(table: &Table<'_>) -> Option<Access> {
    if !table.has("access") {
        let problem = table.complain("the rule does not say who may pass");
        table.source.add(problem.expected("access = \"public\", \"optional\" or \"signed-in\""));
        return None;
    }
    table.choice("access", Access::WORDS).map(|found| found.value)
}

/// `public` and `optional` never ask anybody anything, so they cannot demand anything of a person.
fn complain_of_contradiction(table: &Table<'_>, access: Access) {
    if access == Access::SignedIn {
        return;
    }
    for key in ["scopes", "why", "researchers", "mfa", "max_auth_age"] {
        let idle = key == "mfa" && table.flag("mfa").is_some_and(|found| !found.value);
        if table.has(key) && !idle {
            let message =
                format!("a rule with access = \"{}\" asks nobody, so `{key}` contradicts it", access.as_str());
            let problem = table.source.error(table.line_of(key), &table.path(key), message);
            table.source.add(problem.remedy(format!("write access = \"signed-in\", or remove `{key}`")));
        }
    }
}

/// A portal is one page that the gate shows to everybody: what a rule demands beyond scopes would be
/// accepted here and obeyed nowhere.
fn complain_of_portal(table: &Table<'_>) {
    const MAY_SAY: &str = "the rule of a portal may say name, access = \"signed-in\", scopes and why";
    for key in ["paths", "methods", "researchers", "networks", "mfa", "max_auth_age"] {
        let idle = key == "mfa" && table.flag("mfa").is_some_and(|found| !found.value);
        if table.has(key) && !idle {
            let message = format!("a portal shows its page to everybody, so `{key}` would not be obeyed");
            let problem = table.source.error(table.line_of(key), &table.path(key), message);
            table.source.add(problem.remedy(format!("remove `{key}`; {MAY_SAY}")));
        }
    }
    for word in ["public", "optional"].into_iter().filter(|word| table.is_word("access", word)) {
        let message = format!("a portal is there to ask, so access = \"{word}\" would not be obeyed");
        let problem = table.source.error(table.line_of("access"), &table.path("access"), message);
        table.source.add(problem.remedy(format!("write access = \"signed-in\"; {MAY_SAY}")));
    }
}

/// Only with `openid` can the provider be told to make somebody sign in anew (`orcid.md` §2.1).
fn complain_of_unprovable_age(table: &Table<'_>, facts: &[&ClientFacts]) {
    let key = "max_auth_age";
    if table.has(key) && facts.iter().any(|facts| facts.base_scope != Scope::openid()) {
        let message = "a fresh sign-in can be demanded of ORCID only together with the scope `openid`";
        let problem = table.source.error(table.line_of(key), &table.path(key), message);
        table.source.add(problem.remedy(format!("use a client with base_scope = \"openid\", or remove `{key}`")));
    }
}

fn paths(table: &Table<'_>, switches: &PathSwitches) -> Vec<Pattern> {
    if !table.has("paths") {
        return vec![Pattern::all()];
    }
    let Some(list) = table.texts("paths", false) else { return Vec::new() };
    if list.value.is_empty() {
        let problem = table.source.error(list.line, &list.key, "a rule without paths decides nothing");
        table.source.add(problem.remedy("leave `paths` out to mean every path"));
    }
    let mut patterns = Vec::new();
    for found in list.value {
        match Pattern::parse(&found.value, switches) {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => table.source.add(
                table
                    .source
                    .error(found.line, &found.key, error.to_string())
                    .found(format!("\"{}\"", found.value.chars().take(80).collect::<String>()))
                    .remedy(error.remedy()),
            ),
        }
    }
    patterns
}

const STANDARD: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"];

fn methods(table: &Table<'_>) -> Option<Vec<Method>> {
    let list = table.texts("methods", false)?;
    if list.value.is_empty() {
        let problem = table.source.error(list.line, &list.key, "a rule without methods decides nothing");
        table.source.add(problem.remedy("leave `methods` out to mean every method"));
    }
    let mut methods = Vec::new();
    for found in list.value {
        let wrong = |message: String| table.source.error(found.line, &found.key, message);
        let upper = found.value.to_ascii_uppercase();
        match Method::from_bytes(found.value.as_bytes()) {
            Ok(method) if is_let_through(&method) => methods.push(method),
            Ok(_) => {
                let problem = wrong(format!("`{}` is never let through, whatever a rule says", found.value));
                let meant = upper != found.value;
                table.source.add(if meant { problem.remedy(format!("did you mean \"{upper}\"?")) } else { problem });
            }
            Err(_) => {
                table.source.add(wrong("this is not a method".to_owned()).expected(quantity::one_of(STANDARD)));
            }
        }
    }
    Some(methods)
}

fn networks(table: &Table<'_>) -> Option<Vec<IpNet>> {
    let list = table.texts("networks", false)?;
    if list.value.is_empty() {
        let problem = table.source.error(list.line, &list.key, "an empty list of networks lets nobody in");
        table.source.add(problem.remedy("remove the key, or list at least one network"));
    }
    let mut networks = Vec::new();
    for found in list.value {
        let network = found.value.parse::<IpNet>().or_else(|_| found.value.parse::<IpAddr>().map(IpNet::from));
        match network {
            Ok(network) if network.trunc() != network => {
                let message = format!("`{network}` has bits beyond its prefix");
                let problem = table.source.error(found.line, &found.key, message);
                table.source.add(problem.remedy(format!("did you mean \"{}\"?", network.trunc())));
            }
            Ok(network) => networks.push(network),
            Err(_) => table.source.add(
                table
                    .source
                    .error(found.line, &found.key, format!("`{}` is not a network", found.value))
                    .expected("an address or a prefix, such as \"10.0.0.0/8\" or \"2001:db8::/32\""),
            ),
        }
    }
    Some(networks)
}

fn rule_scopes(table: &Table<'_>, facts: &[&ClientFacts]) -> ScopeSet {
    let Some(list) = table.texts("scopes", false) else { return ScopeSet::default() };
    let mut set = ScopeSet::default();
    for found in &list.value {
        let Found { value, line, key } = found;
        match value.parse::<Scope>() {
            Ok(scope) => {
                if let Some(problem) = facts.iter().find_map(|facts| scopes::objection(&scope, facts)) {
                    table.source.add(problem.file(&table.source.file).line(*line).key(key.clone()));
                }
                set.insert(scope);
            }
            Err(error) => {
                let problem = table.source.error(*line, key, error.to_string());
                table.source.add(problem.remedy("each scope is one text of its own in the list"));
            }
        }
    }
    set
}

/// Rules are tried in order and the first that fits decides, whatever it demands: a rule whose every
/// request is decided before it is a mistake, and may be the one that should have kept somebody out.
fn complain_of_reach(table: &Table<'_>, earlier: &[Rule], rule: &Rule, portal: bool) {
    let taken = |pattern: &Pattern, method: Option<&Method>| {
        earlier.iter().find(|before| before.covers_methods(method) && before.paths.iter().any(|p| p.covers(pattern)))
    };
    // The earlier rules that decide all of a pattern's requests, one for each method.
    let takers = |pattern: &Pattern| -> Option<Vec<&Rule>> {
        match &rule.methods {
            None => taken(pattern, None).map(|before| vec![before]),
            Some(methods) => methods.iter().map(|method| taken(pattern, Some(method))).collect(),
        }
    };
    let all: Vec<_> = rule.paths.iter().map(takers).collect();
    if all.is_empty() {
        return;
    }
    if let Some(takers) = all.iter().cloned().collect::<Option<Vec<_>>>() {
        let mut by: Vec<String> =
            takers.into_iter().flatten().map(|r| format!("\"{}\" (line {})", r.name, r.line)).collect();
        by.dedup();
        let message = format!(
            "the rule \"{}\" can never be reached: {} decides all its requests before",
            rule.name,
            by.join(" and ")
        );
        let remedy = match portal {
            true => "a portal needs one rule alone: write all scopes into it",
            false => "move the narrower rule up, or remove it",
        };
        table.source.add(table.complain(message).remedy(remedy));
        return;
    }
    let Some(list) = table.elements("paths", false, "") else { return };
    for (Element { line, path, .. }, taker) in list.value.iter().zip(all) {
        if let Some(before) = taker.and_then(|takers| takers.first().copied()) {
            let message =
                format!("this path is never reached: \"{}\" (line {}) decides it before", before.name, before.line);
            table.source.add(table.source.warning(*line, path, message));
        }
    }
}
