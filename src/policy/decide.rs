//! [`decide`] and [`explain`]: facts and rules become a [`Decision`]. The only maker of [`Admission`]
//! (invariant 2); one walk serves both, so that what is explained is what happens (invariant 5).

use super::facts::Facts;
use super::rules::{Access, Rule};
use super::site::Site;
use super::trace::{Outcome, Trace, Verdict};
use crate::domain::{Identity, ScopeSet};
use std::sync::Arc;

/// What is to happen with a request.
#[derive(Debug)]
pub enum Decision {
    Admit(Admission),
    AskSignIn(Ask),
    AskScopes(Ask),
    Refuse(Refusal),
}

/// The permit. Whoever connects to an app or writes identity headers demands one; nothing outside
/// this file can make one.
#[derive(Debug)]
pub struct Admission {
    site: Arc<Site>,
    rule: usize,
    identity: Option<Arc<Identity>>,
}

impl Admission {
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    /// The rule that admits.
    pub fn rule(&self) -> &Rule {
        &self.site.rules[self.rule]
    }

    /// Whom to present to the app. `None` for a guest, and always `None` on a public rule.
    pub fn identity(&self) -> Option<&Arc<Identity>> {
        self.identity.as_ref()
    }
}

/// The researcher has to go to ORCID first.
#[derive(Debug)]
pub struct Ask {
    pub site: Arc<Site>,
    /// Index into the site's rules.
    pub rule: usize,
    /// All the rule needs, the client's base scope included.
    pub scopes: ScopeSet,
    /// A sign-in that is under way or still valid will not do: the researcher must sign in anew
    /// (`max_auth_age`). A starter that ignores this sends the visitor round in a circle.
    pub fresh: bool,
}

impl Ask {
    pub fn rule(&self) -> &Rule {
        &self.site.rules[self.rule]
    }
}

/// The answer is no.
#[derive(Debug)]
pub struct Refusal {
    pub site: Arc<Site>,
    /// Index into the site's rules; `None` when no rule speaks of the request.
    pub rule: Option<usize>,
    pub reason: RefusalReason,
}

impl Refusal {
    pub fn rule(&self) -> Option<&Rule> {
        self.rule.map(|index| &self.site.rules[index])
    }
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalReason {
    #[error("no rule speaks of this path")]
    DefaultDeny,
    #[error("rules speak of this path, but none of this method")]
    Method,
    #[error("the rule admits certain networks only, and this address is in none of them")]
    Network,
    #[error("the rule admits certain researchers only, and this one is not listed")]
    NotListed,
    #[error("the rule demands a second factor, and this researcher signs in with a password alone")]
    MfaMissing,
    #[error("the rule demands a second factor, and ORCID did not say whether this researcher has one")]
    MfaUnknown,
}

/// Decides one request. Allocates nothing when it admits or refuses.
pub fn decide(facts: &Facts<'_>) -> Decision {
    walk(facts, &mut Silent)
}

/// The same walk, writing down why each rule before the deciding one did not apply.
pub fn explain(facts: &Facts<'_>) -> (Decision, Trace) {
    let mut trace = Trace::new(facts);
    let decision = walk(facts, &mut trace);
    trace.outcome = Outcome::of(&decision);
    (decision, trace)
}

/// Listens to the walk.
pub(super) trait Recorder {
    fn note(&mut self, index: usize, rule: &Rule, verdict: Verdict);
}

struct Silent;

impl Recorder for Silent {
    #[inline(always)]
    fn note(&mut self, _: usize, _: &Rule, _: Verdict) {}
}

fn walk<R: Recorder>(facts: &Facts<'_>, recorder: &mut R) -> Decision {
    let mut path_is_known = false;
    for (index, rule) in facts.site.rules.iter().enumerate() {
        if !rule.fits_path(facts.path) {
            recorder.note(index, rule, Verdict::OtherPaths);
        } else if !rule.fits_method(facts.method) {
            path_is_known = true;
            recorder.note(index, rule, Verdict::OtherMethods);
        } else {
            return settle(facts, index, rule, recorder);
        }
    }
    let reason = if path_is_known { RefusalReason::Method } else { RefusalReason::DefaultDeny };
    Decision::Refuse(Refusal { site: facts.site.clone(), rule: None, reason })
}

/// The rule that fits decides. Refusals that no sign-in could change come before any question.
fn settle<R: Recorder>(facts: &Facts<'_>, index: usize, rule: &Rule, recorder: &mut R) -> Decision {
    let refuse = |reason| Decision::Refuse(Refusal { site: facts.site.clone(), rule: Some(index), reason });
    let admit = |identity| Decision::Admit(Admission { site: facts.site.clone(), rule: index, identity });
    let ask = |fresh| Ask { site: facts.site.clone(), rule: index, scopes: rule.ask.clone(), fresh };
    let mut says = |verdict| recorder.note(index, rule, verdict);

    if let Some(networks) = &rule.networks {
        // An IPv4 visitor on a dual-stack socket arrives as ::ffff:a.b.c.d.
        let peer = facts.peer.to_canonical();
        if !networks.iter().any(|network| network.contains(&peer)) {
            says(Verdict::Refuses(RefusalReason::Network));
            return refuse(RefusalReason::Network);
        }
    }
    // Somebody verified through another registration, perhaps of another environment, is nobody here.
    let visitor = facts.visitor.filter(|visitor| facts.site.knows(&visitor.client));
    match rule.access {
        Access::Public => {
            says(Verdict::Admits);
            return admit(None);
        }
        Access::Optional => {
            says(Verdict::Admits);
            return admit(visitor.cloned());
        }
        Access::SignedIn => {}
    }
    let Some(visitor) = visitor else {
        says(if facts.visitor.is_some() { Verdict::OtherClient } else { Verdict::AsksSignIn });
        return Decision::AskSignIn(ask(false));
    };
    if let Some(reason) = objection(rule, visitor) {
        says(Verdict::Refuses(reason));
        return refuse(reason);
    }
    // What the provider took back is asked for again, and is no reason to refuse anybody (J8).
    if visitor.broken.is_some() {
        says(Verdict::ConnectionBroken);
        return Decision::AskSignIn(ask(false));
    }
    // Not `signed_in_at`: the provider's own session may have answered for a person long gone.
    let too_old = |age| visitor.proven_at.is_none_or(|at| facts.now.since(at) > age);
    if rule.max_auth_age.is_some_and(too_old) {
        says(Verdict::SignInTooOld);
        return Decision::AskSignIn(ask(true));
    }
    if !rule.scopes.iter().all(|wanted| visitor.scopes.satisfies(wanted)) {
        says(Verdict::AsksScopes);
        return Decision::AskScopes(ask(false));
    }
    says(Verdict::Admits);
    admit(Some(visitor.clone()))
}

/// What speaks against this visitor whatever they do next.
fn objection(rule: &Rule, visitor: &Identity) -> Option<RefusalReason> {
    use crate::domain::Mfa;
    if let Some(listed) = &rule.researchers {
        let known = visitor.subject.orcid().is_some_and(|id| listed.binary_search(&id).is_ok());
        if !known {
            return Some(RefusalReason::NotListed);
        }
    }
    match visitor.mfa {
        _ if !rule.mfa => None,
        Mfa::Enabled => None,
        Mfa::PasswordOnly => Some(RefusalReason::MfaMissing),
        Mfa::Unknown => Some(RefusalReason::MfaUnknown),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
