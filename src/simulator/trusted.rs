//! `/trusted-organisations`, the account page: which organisations hold what, and the button that takes it
//! back (`orcid.md` §4.4, §10.4). Called by `route`.

use super::answer::{Answer, see_other};
use super::browser::Browser;
use super::consent::{self, ACCOUNT};
use super::people::AccountState;
use super::sign_in;
use super::visit::Visit;
use super::world::World;
use crate::domain::UnixTime;
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

/// The day of an instant in UTC as `YYYY-MM-DD`.
fn date(at: UnixTime) -> String {
    // Days to a civil date, with years that begin in March so that the leap day comes last.
    let days = at.0.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_790_812_800, "2026-10-01"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(UnixTime(seconds)), text);
        }
    }
}
