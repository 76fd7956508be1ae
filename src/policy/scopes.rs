//! Whether a rule may ask a researcher for a scope, given the client registration (`orcid.md` §4).
//! Pure; called by `compile_rules`, the cases and `explain`.

use super::load::ClientFacts;
use crate::domain::quantity;
use crate::domain::scope::{CLIENT_CREDENTIALS, THREE_LEGGED};
use crate::domain::{Environment, Membership, Problem, Scope};

/// What speaks against asking a researcher for `scope` with the client of `facts`, or `None`; the caller
/// adds file, line and key. Providers other than ORCID may have any scope.
pub fn objection(scope: &Scope, facts: &ClientFacts) -> Option<Problem> {
    if facts.environment == Environment::Other {
        return None;
    }
    let word = scope.as_str();
    if let Some((_, members_only)) = THREE_LEGGED.iter().find(|(known, _)| *known == word) {
        let refused = *members_only && facts.membership == Membership::Public;
        return refused.then(|| {
            Problem::error(format!("`{word}` needs a member client, and the site's client is a public-API one"))
                .expected("`openid` or `/authenticate`")
                .remedy("remove the scope, or use a client of the member API (membership = \"member\")")
        });
    }
    if CLIENT_CREDENTIALS.contains(&word) {
        return Some(
            Problem::error(format!("`{word}` is a scope of the client itself; no researcher can be asked for it"))
                .expected(known())
                .remedy("remove it: the gate asks ORCID for such scopes on its own"),
        );
    }
    let problem = Problem::error(format!("ORCID has no scope `{word}`")).expected(known());
    Some(match nearest(word) {
        Some(near) => problem.remedy(format!("did you mean \"{near}\"?")),
        None => problem.remedy("choose one of the scopes above"),
    })
}

fn known() -> String {
    quantity::one_of(THREE_LEGGED.iter().map(|(word, _)| *word))
}

/// ORCID's own walkthrough writes `/person-update` and `/activities-update`; old integrations still carry
/// the names of the 1.2 interface.
fn nearest(word: &str) -> Option<&'static str> {
    let slashed = format!("/{}", word.trim_start_matches('/').replace('-', "/"));
    let legacy = match word {
        "/orcid-profile/read-limited" | "/orcid-works/read-limited" | "/affiliations/read-limited" => {
            Some("/read-limited")
        }
        "/orcid-works/create"
        | "/orcid-works/update"
        | "/affiliations/create"
        | "/affiliations/update"
        | "/funding/create"
        | "/funding/update" => Some("/activities/update"),
        "/orcid-bio/update" => Some("/person/update"),
        "profile" | "email" => Some("openid"),
        _ => None,
    };
    let words = || THREE_LEGGED.iter().map(|(word, _)| *word);
    legacy.or_else(|| quantity::nearest(&slashed, words())).or_else(|| quantity::nearest(word, words()))
}
