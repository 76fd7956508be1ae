//! `/trusted-organisations`, the account page: which organisations hold what, and the button that takes it
//! back (`orcid.md` §4.4, §10.4). Called by `route`.

use super::answer::{Answer, see_other};
use super::browser::Browser;
use super::calendar::date;
use super::consent::{self, ACCOUNT};
use super::people::AccountState;
use super::sign_in;
use super::visit::Visit;
use super::world::World;
use http::StatusCode;
use minijinja::context;

const REVOKE: &str = "revoke-access";

/// Answers `GET`: the list, or the way to the sign-in.
pub(super) fn show(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    let Some(person) = &browser.person else { return see_other(&format!("{}/signin", world.base)) };
    let now = world.now();
    let books = world.books();
    let organisations: Vec<_> = books
        .ledger
        .trusted_by(person.orcid, now)
        .into_iter()
        .map(|trusted| {
            let client = books.clients.get(&trusted.client);
            let website = client.map_or("", |client| client.website.as_str());
            context! {
                name => client.map_or(trusted.client.as_str(), |client| client.name.as_str()),
                website,
                linked => website.starts_with("https://") || website.starts_with("http://"),
                since => date(trusted.since),
                lines => super::pages::lines(&trusted.scopes),
                scopes => trusted.scopes.to_string(),
                pairs => trusted.pairs,
                token => browser.form_token(world, REVOKE, &trusted.client),
                id => trusted.client,
            }
        })
        .collect();
    drop(books);
    let values = context! {
        person => sign_in::view(person),
        locked => person.state == AccountState::Locked,
        organisations,
        request => "",
        sign_out_token => browser.form_token(world, sign_in::SIGN_OUT, ""),
    };
    browser.page(world, "trusted.html", values, &[], StatusCode::OK)
}

/// Answers `POST`: every token of that client for this person dies at once.
pub(super) fn revoke(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    let form = visit.form();
    let client = form.get("client").unwrap_or("");
    if !browser.may_post(world, visit, form.get("token").unwrap_or(""), REVOKE, client) {
        return consent::refuse_form(world, &browser);
    }
    let Some(person) = &browser.person else { return see_other(&format!("{}/signin", world.base)) };
    let now = world.now();
    world.books().ledger.revoke_by_user(person.orcid, client, now);
    see_other(&format!("{}{ACCOUNT}", world.base))
}
