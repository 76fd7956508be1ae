//! [`Trace`]: the reasons of one decision, for people (`Display`) and programs (`Serialize`). Written
//! by the walk in `decide`; printed by `explain`, the access log and the audit trail alike.

use super::decide::{Decision, Recorder, RefusalReason};
use super::facts::Facts;
use super::rules::Rule;
use serde::Serialize;
use std::fmt;

/// Why a request is decided as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    pub site: String,
    pub method: String,
    /// The canonical path, as forwarded.
    pub path: String,
    /// The visitor's iD; `None` for a guest.
    pub visitor: Option<String>,
    /// One entry for each rule looked at; the last one decides.
    pub steps: Vec<Step>,
    pub outcome: Outcome,
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// One-based position in the file.
    pub rule: usize,
    pub name: String,
    pub line: usize,
    pub verdict: Verdict,
}

/// Why a rule did not apply, or what it decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    #[error("does not apply: speaks of other paths")]
    OtherPaths,
    #[error("does not apply: speaks of other methods")]
    OtherMethods,
    #[error("admits")]
    Admits,
    #[error("asks to sign in: nobody is signed in")]
    AsksSignIn,
    #[error("asks to sign in: this visitor was verified through another client registration")]
    OtherClient,
    #[error("asks to sign in again: the last sign-in is too long ago")]
    SignInTooOld,
    #[error("asks to sign in again: ORCID no longer stands behind the researcher's connection")]
    ConnectionBroken,
    #[error("asks for more scopes than the researcher has allowed")]
    AsksScopes,
    #[error("refuses: {0}")]
    Refuses(RefusalReason),
}

/// The decision, in values that outlive it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum Outcome {
    Admit { rule: String, identity: Option<String> },
    AskSignIn { rule: String, scopes: String, fresh: bool },
    AskScopes { rule: String, scopes: String },
    Refuse { rule: Option<String>, reason: RefusalReason },
}

impl Outcome {
    pub(super) fn of(decision: &Decision) -> Self {
        match decision {
            Decision::Admit(admission) => Outcome::Admit {
                rule: admission.rule().name.clone(),
                identity: admission.identity().map(|identity| identity.subject.to_string()),
            },
            Decision::AskSignIn(ask) => {
                Outcome::AskSignIn { rule: ask.rule().name.clone(), scopes: ask.scopes.to_string(), fresh: ask.fresh }
            }
            Decision::AskScopes(ask) => {
                Outcome::AskScopes { rule: ask.rule().name.clone(), scopes: ask.scopes.to_string() }
            }
            Decision::Refuse(refusal) => {
                Outcome::Refuse { rule: refusal.rule().map(|rule| rule.name.clone()), reason: refusal.reason }
            }
        }
    }

    /// A short stable word for logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Admit { .. } => "admit",
            Outcome::AskSignIn { .. } => "sign-in",
            Outcome::AskScopes { .. } => "scopes",
            Outcome::Refuse { .. } => "refuse",
        }
    }
}

impl fmt::Display for Outcome {
    /// As the cases of policy files spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Admit { rule, identity: None } => write!(f, "admit: {rule} (no identity handed over)"),
            Outcome::Admit { rule, identity: Some(id) } => write!(f, "admit: {rule} (as {id})"),
            Outcome::AskSignIn { rule, scopes, fresh: false } => write!(f, "sign-in: {rule} (scopes {scopes})"),
            Outcome::AskSignIn { rule, scopes, fresh: true } => write!(f, "sign-in: {rule} (anew, scopes {scopes})"),
            Outcome::AskScopes { rule, scopes } => write!(f, "scopes: {rule} (asks for {scopes})"),
            Outcome::Refuse { rule: Some(rule), reason } => write!(f, "refuse: {rule} ({reason})"),
            Outcome::Refuse { rule: None, reason } => write!(f, "refuse ({reason})"),
        }
    }
}

impl Trace {
    pub(super) fn new(facts: &Facts<'_>) -> Self {
        Self {
            site: facts.site.name.to_string(),
            method: facts.method.to_string(),
            path: facts.path.forward().to_owned(),
            visitor: facts.visitor.map(|visitor| visitor.subject.to_string()),
            steps: Vec::new(),
            outcome: Outcome::Refuse { rule: None, reason: RefusalReason::DefaultDeny },
        }
    }
}

impl Recorder for Trace {
    fn note(&mut self, index: usize, rule: &Rule, verdict: Verdict) {
        self.steps.push(Step { rule: index + 1, name: rule.name.clone(), line: rule.line, verdict });
    }
}

impl fmt::Display for Trace {
    /// The request, one line per rule looked at, the outcome.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let visitor = self.visitor.as_deref().unwrap_or("a guest");
        writeln!(f, "{} {} at site {}, as {visitor}", self.method, self.path, self.site)?;
        for step in &self.steps {
            writeln!(f, "  {}. {} (line {}): {}", step.rule, step.name, step.line, step.verdict)?;
        }
        write!(f, "{}", self.outcome)
    }
}
