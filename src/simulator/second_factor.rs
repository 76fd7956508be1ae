//! `/signin/second-factor`: the code of an authenticator, or a recovery code, after a right password
//! (`orcid.md` §10.2). Called by `sign_in` and `route`.

use super::answer::Answer;
use super::authorize::AuthorizeRequest;
use super::browser::Browser;
use super::people::{Person, RECOVERY_CODE, SECOND_FACTOR_CODE};
use super::visit::Visit;
use super::world::World;
use super::{consent, sign_in};
use crate::domain::OrcidId;
use http::StatusCode;
use minijinja::context;
use std::sync::Arc;

const ACTION: &str = "second-factor";

/// Why a code does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Missing,
    Length,
    Code,
    Recovery,
}

impl Wrong {
    fn words(self) -> &'static str {
        match self {
            Wrong::Missing => "Type the six digits, or your recovery code.",
            Wrong::Length => "A code has six digits.",
            Wrong::Code => "That authentication code is not right.",
            Wrong::Recovery => "That recovery code is not right.",
        }
    }
}

/// The page. That its form can be sent proves that the password was right: nobody else gets its token.
pub(super) fn ask(
    world: &World,
    browser: &Browser,
    person: &Person,
    request: Option<&AuthorizeRequest>,
    wrong: Option<Wrong>,
) -> Answer {
    let query = request.map_or("", |request| request.onward.as_str());
    let values = context! {
        orcid => person.orcid.as_str(),
        request => query,
        token => browser.form_token(world, ACTION, &carried(person.orcid, query)),
        error => wrong.map(Wrong::words),
        recovery => wrong == Some(Wrong::Recovery),
        code => SECOND_FACTOR_CODE,
        recovery_code => RECOVERY_CODE,
    };
    let onward = request.map(AuthorizeRequest::form_action).unwrap_or_default();
    browser.page(world, "second_factor.html", values, &onward, StatusCode::OK)
}

/// Answers `POST /signin/second-factor`.
pub(super) fn submit(world: &World, visit: &Visit) -> Answer {
    let mut browser = Browser::of(world, visit);
    let form = visit.form();
    let query = form.get("request").unwrap_or("");
    let Some(orcid) = form.get("orcid").and_then(|text| text.parse::<OrcidId>().ok()) else {
        return consent::refuse_form(world, &browser);
    };
    let token = form.get("token").unwrap_or("");
    if !browser.may_post(world, visit, token, ACTION, &carried(orcid, query)) {
        return consent::refuse_form(world, &browser);
    }
    let request = match sign_in::read_request(world, query) {
        Ok(request) => request,
        Err(unfit) => return consent::refuse(world, &browser, unfit),
    };
    let Some(person) = world.person(orcid) else { return consent::refuse_form(world, &browser) };
    match check(form.get("totp").unwrap_or(""), form.get("recovery").unwrap_or("")) {
        Ok(()) => sign_in::come_in(world, &mut browser, &Arc::clone(&person), request.as_ref()),
        Err(wrong) => ask(world, &browser, &person, request.as_ref(), Some(wrong)),
    }
}

/// A recovery code counts if one was typed.
fn check(code: &str, recovery: &str) -> Result<(), Wrong> {
    let (code, recovery) = (code.trim(), recovery.trim());
    match (code, recovery) {
        ("", "") => Err(Wrong::Missing),
        (_, recovery) if !recovery.is_empty() => {
            if recovery == RECOVERY_CODE {
                Ok(())
            } else {
                Err(Wrong::Recovery)
            }
        }
        (code, _) if code.len() != 6 || !code.bytes().all(|b| b.is_ascii_digit()) => Err(Wrong::Length),
        (SECOND_FACTOR_CODE, _) => Ok(()),
        _ => Err(Wrong::Code),
    }
}

fn carried(orcid: OrcidId, query: &str) -> String {
    format!("{orcid} {query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for (code, recovery, expected) in [
            ("246810", "", Ok(())),
            (" 246810 ", "", Ok(())),
            ("", "simulated1", Ok(())),
            ("", "", Err(Wrong::Missing)),
            ("24681", "", Err(Wrong::Length)),
            ("24681x", "", Err(Wrong::Length)),
            ("000000", "", Err(Wrong::Code)),
            ("246810", "wrong", Err(Wrong::Recovery)),
        ] {
            assert_eq!(check(code, recovery), expected, "{code} {recovery}");
        }
        assert_eq!(RECOVERY_CODE.len(), 10, "`orcid.md` §10.2");
    }
}
