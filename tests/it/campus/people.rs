//! The people of the campus: the simulator's seeded ones by what is special about them, and what a person
//! does at ORCID's pages.

use super::answer::Answer;
pub use lychgate::simulator::Person;
use lychgate::simulator::people::SECOND_FACTOR_CODE;
use lychgate::simulator::{AccountState, seeded};

/// An ordinary researcher with a public name.
pub fn ordinary() -> Person {
    pick("an ordinary person", |person| {
        person.public_name().is_some_and(|name| name.is_ascii())
            && matches!(person.state, AccountState::Active)
            && !person.mfa
            && person.credit.is_none()
    })
}

/// Somebody else than [`ordinary`], with a name outside ASCII.
pub fn from_afar() -> Person {
    pick("a person with a name outside ASCII", |person| {
        person.public_name().is_some_and(|name| !name.is_ascii()) && matches!(person.state, AccountState::Active)
    })
}

/// Somebody who keeps the name private.
pub fn nameless() -> Person {
    pick("a person without a public name", |person| {
        person.public_name().is_none() && matches!(person.state, AccountState::Active)
    })
}

fn pick(what: &str, fits: impl Fn(&Person) -> bool) -> Person {
    seeded().into_iter().find(|person| fits(person)).unwrap_or_else(|| panic!("the simulator has no {what}"))
}

/// Whether this is a page of the gate that leads to ORCID.
fn leads_to_orcid(page: &Answer) -> bool {
    page.page().links.iter().any(|link| link.text.contains("Create or connect your ORCID iD"))
}

/// From wherever a visit led, through ORCID, to where the visitor wanted to go.
pub async fn arrive(page: Answer, person: &Person) -> Answer {
    let page = if leads_to_orcid(&page) { page.click("Create or connect your ORCID iD").await } else { page };
    let page = at_orcid(page, person, true).await;
    if page.page().links.iter().any(|link| link.text.starts_with("Continue"))
        && page.url.path() == "/.lychgate/connected"
    {
        return page.click("Continue").await;
    }
    page
}

/// Signs in and, if asked, allows or denies.
pub async fn at_orcid(page: Answer, person: &Person, allow: bool) -> Answer {
    let mut page = page;
    if page.url.path() == "/signin" || page.text().contains("username-input") {
        let form = page.form_with("Sign in to ORCID");
        page = form
            .fill("username", person.orcid.as_str())
            .fill("password", &person.password)
            .press("Sign in to ORCID")
            .await;
    }
    if page.text().contains("authenticateButton") {
        page = page.form_with("Authenticate").fill("totp", SECOND_FACTOR_CODE).press("Authenticate").await;
    }
    if page.text().contains("authorize-button") {
        page = page.press(if allow { "Authorize access" } else { "Deny access" }).await;
    }
    if page.text().contains("continue-button") {
        page = page.press("Continue to").await;
    }
    page
}
