//! `/register`: "Create your ORCID iD", five steps without script (`orcid.md` §10.3; journey J3). Called by
//! `route`, and by `sign_in` when a client would rather have people register.
//!
//! Nothing real may be typed here: addresses must be of a reserved kind (RFC 2606), passwords begin with
//! `simulated-`. What is typed travels along in the form until the last step.

use super::answer::Answer;
use super::authorize::Hints;
use super::browser::Browser;
use super::people::{NameVisibility, Person};
use super::visit::{Fields, Visit};
use super::world::{MOST_PEOPLE, World};
use super::{consent, sign_in};
use crate::domain::OrcidId;
use http::StatusCode;
use minijinja::{Value, context};

const ACTION: &str = "register";
/// Longest name (`orcid.md` §10.3 gives none; ORCID's database has this).
const LONGEST_NAME: usize = 150;
const LONGEST_EMAIL: usize = 260;
/// What every password here begins with, so that no real one is typed.
const HARMLESS: &str = "simulated-";
/// The iDs given out here, without their check digit and with room for a number: outside ORCID's ranges.
const BLOCK: &str = "0009-9999-1";

/// The steps, as the page counts them.
const LAST: usize = 5;

/// What has been typed so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Draft {
    given: String,
    family: String,
    email: String,
    email_again: String,
    more_emails: String,
    password: String,
    password_again: String,
    employer: String,
    role: String,
    visibility: String,
    tips: bool,
    terms: bool,
    data: bool,
}

/// What is wrong with a field: its name in the form, and what to say.
type Complaint = (&'static str, &'static str);

impl Draft {
    fn read(fields: &Fields) -> Self {
        let text = |name: &str| fields.get(name).unwrap_or("").trim().chars().take(300).collect::<String>();
        let ticked = |name: &str| fields.get(name) == Some("on");
        Self {
            given: text("given-names"),
            family: text("family-names"),
            email: text("email"),
            email_again: text("email-again"),
            more_emails: text("more-emails"),
            password: text("password"),
            password_again: text("password-again"),
            employer: text("employer"),
            role: text("role"),
            visibility: text("visibility"),
            tips: ticked("tips"),
            terms: ticked("terms"),
            data: ticked("data"),
        }
    }

    fn hinted(hints: &Hints) -> Self {
        let text = |hint: &Option<String>| hint.clone().unwrap_or_default();
        let email = text(&hints.email);
        Self {
            given: text(&hints.given_names),
            family: text(&hints.family_names),
            email_again: email.clone(),
            email,
            ..Self::default()
        }
    }

    /// What is wrong with the fields of one step.
    fn complaints(&self, step: usize) -> Vec<Complaint> {
        match step {
            1 => self.names_and_addresses(),
            2 => self.passwords(),
            4 if visibility(&self.visibility).is_none() => vec![("visibility", "Choose who sees new items.")],
            5 if !self.terms => vec![("terms", "Without agreeing to the terms of use nobody can register.")],
            5 if !self.data => vec![("data", "Without agreeing to this nobody can register.")],
            _ => Vec::new(),
        }
    }

    fn names_and_addresses(&self) -> Vec<Complaint> {
        let mut wrong = Vec::new();
        if self.given.is_empty() {
            wrong.push(("given-names", "Type your given names."));
        }
        if [&self.given, &self.family].iter().any(|name| name.chars().count() > LONGEST_NAME) {
            wrong.push(("given-names", "A name may have at most 150 characters."));
        }
        if !is_harmless_address(&self.email) {
            wrong.push(("email", "Use an invented address that ends in .example or .test: nothing here is real."));
        } else if self.email != self.email_again {
            wrong.push(("email-again", "The two addresses differ."));
        }
        if !self.more_emails.is_empty() && !self.more_emails.split_whitespace().all(is_harmless_address) {
            wrong.push(("more-emails", "These, too, have to end in .example or .test."));
        }
        wrong
    }

    /// ORCID's rules (`orcid.md` §10.3), and ours.
    fn passwords(&self) -> Vec<Complaint> {
        let length = self.password.chars().count();
        let number = self.password.chars().any(|c| c.is_ascii_digit());
        let other = self.password.chars().any(|c| !c.is_ascii_digit() && !c.is_whitespace());
        if !self.password.starts_with(HARMLESS) {
            vec![("password", "Begin it with simulated- : no real password may be typed here.")]
        } else if !(8..=256).contains(&length) || !number || !other {
            vec![("password", "8 to 256 characters, with at least one letter or symbol and one number.")]
        } else if self.password == self.email {
            vec![("password", "The password may not be the email address.")]
        } else if self.password != self.password_again {
            vec![("password-again", "The two passwords differ.")]
        } else {
            Vec::new()
        }
    }

    /// The first step that is not in order, and why.
    fn first_wrong(&self) -> Option<(usize, Vec<Complaint>)> {
        (1..=LAST).map(|step| (step, self.complaints(step))).find(|(_, wrong)| !wrong.is_empty())
    }
}

fn visibility(text: &str) -> Option<NameVisibility> {
    match text {
        "public" => Some(NameVisibility::Public),
        "limited" => Some(NameVisibility::Limited),
        "private" => Some(NameVisibility::Private),
        _ => None,
    }
}

/// An address nobody can have (RFC 2606, RFC 6761).
fn is_harmless_address(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else { return false };
    let reserved = ["example", "test", "invalid", "example.org", "example.com", "example.net"];
    let host = host.to_ascii_lowercase();
    text.len() <= LONGEST_EMAIL
        && !local.is_empty()
        && text.bytes().all(|b| b.is_ascii_graphic())
        && reserved.iter().any(|end| host == *end || host.ends_with(&format!(".{end}")))
}

/// The first step, filled in with what the client knows (`orcid.md` §2.1).
pub(super) fn first_page(world: &World, browser: &Browser, query: &str, hints: &Hints) -> Answer {
    page(world, browser, query, &Shown { step: 1, draft: Draft::hinted(hints), wrong: Vec::new() })
}

/// Answers `GET /register`.
pub(super) fn show(world: &World, visit: &Visit) -> Answer {
    let browser = Browser::of(world, visit);
    match sign_in::read_request(world, &visit.query) {
        Ok(Some(request)) => first_page(world, &browser, &request.onward, &request.hints),
        Ok(None) => first_page(world, &browser, "", &Hints::default()),
        Err(unfit) => consent::refuse(world, &browser, unfit),
    }
}

/// Answers `POST /register`: one step forward or back, or the end.
pub(super) fn submit(world: &World, visit: &Visit) -> Answer {
    let mut browser = Browser::of(world, visit);
    let form = visit.form();
    let query = form.get("request").unwrap_or("");
    if !browser.may_post(world, visit, form.get("token").unwrap_or(""), ACTION, query) {
        return consent::refuse_form(world, &browser);
    }
    let request = match sign_in::read_request(world, query) {
        Ok(request) => request,
        Err(unfit) => return consent::refuse(world, &browser, unfit),
    };
    let draft = Draft::read(&form);
    let step = form.get("step").and_then(|text| text.parse().ok()).unwrap_or(1).clamp(1, LAST);
    if form.get("go") == Some("back") {
        return page(world, &browser, query, &Shown { step: (step - 1).max(1), draft, wrong: Vec::new() });
    }
    let wrong = draft.complaints(step);
    if !wrong.is_empty() {
        return page(world, &browser, query, &Shown { step, draft, wrong });
    }
    if step < LAST {
        let taken = step == 1 && world.person_called(&draft.email).is_some();
        let wrong = if taken { vec![("email", "A record with this address exists already.")] } else { Vec::new() };
        return page(world, &browser, query, &Shown { step: if taken { 1 } else { step + 1 }, draft, wrong });
    }
    if let Some((step, wrong)) = draft.first_wrong() {
        return page(world, &browser, query, &Shown { step, draft, wrong });
    }
    match enrol(world, &draft) {
        Ok(person) => sign_in::come_in(world, &mut browser, &person, request.as_ref()),
        Err(complaint) => page(world, &browser, query, &Shown { step: 1, draft, wrong: vec![complaint] }),
    }
}

/// Makes the person. Checked and added under one lock, so that no two get one address or iD.
fn enrol(world: &World, draft: &Draft) -> Result<std::sync::Arc<Person>, Complaint> {
    let mut books = world.books();
    if books.records.values().any(|record| record.person.email.eq_ignore_ascii_case(&draft.email)) {
        return Err(("email", "A record with this address exists already."));
    }
    let free = (0..MOST_PEOPLE).filter_map(numbered).find(|orcid| !books.records.contains_key(orcid));
    let Some(orcid) = free.filter(|_| books.records.len() < MOST_PEOPLE) else {
        return Err(("email", "The simulator has no room for more people."));
    };
    let seen_by = visibility(&draft.visibility).unwrap_or(NameVisibility::Private);
    let person = Person {
        password: draft.password.clone(),
        email: draft.email.clone(),
        name_visibility: seen_by,
        ..Person::new(orcid, &draft.given, typed(&draft.family), "registered here")
    };
    let now = world.now();
    let person = books.enrol(person, now);
    if let Some(place) = typed(&draft.employer) {
        books.employ(orcid, place, typed(&draft.role), seen_by.into(), now);
    }
    Ok(person)
}

/// Text that is more than nothing.
fn typed(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// The `n`-th iD of the block: whichever check character is right.
fn numbered(n: usize) -> Option<OrcidId> {
    let digits = format!("{n:06}");
    let stem = format!("{BLOCK}{}-{}", &digits[..3], &digits[3..]);
    "0123456789X".chars().find_map(|check| format!("{stem}{check}").parse().ok())
}

struct Shown {
    step: usize,
    draft: Draft,
    wrong: Vec<Complaint>,
}

fn page(world: &World, browser: &Browser, query: &str, shown: &Shown) -> Answer {
    let draft = &shown.draft;
    let harmless = format!("{HARMLESS}new1");
    let password = if draft.password.is_empty() { &harmless } else { &draft.password };
    let again = if draft.password_again.is_empty() { &harmless } else { &draft.password_again };
    let wrong: Vec<Value> = shown.wrong.iter().map(|&(field, says)| context! { field, says }).collect();
    let values = context! {
        step => shown.step,
        last => LAST,
        request => query,
        token => browser.form_token(world, ACTION, query),
        wrong,
        draft => context! {
            given => &draft.given,
            family => &draft.family,
            email => &draft.email,
            email_again => &draft.email_again,
            more_emails => &draft.more_emails,
            password,
            password_again => again,
            employer => &draft.employer,
            role => &draft.role,
            visibility => if draft.visibility.is_empty() { "public" } else { &draft.visibility },
            tips => draft.tips,
            terms => draft.terms,
            data => draft.data,
        },
    };
    let onward = match sign_in::read_request(world, query) {
        Ok(Some(request)) => request.form_action(),
        Ok(None) | Err(_) => Vec::new(),
    };
    browser.page(world, "register.html", values, &onward, StatusCode::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Draft {
        Draft {
            given: "Nova".to_owned(),
            email: "nova@simulated.example".to_owned(),
            email_again: "nova@simulated.example".to_owned(),
            password: "simulated-new1".to_owned(),
            password_again: "simulated-new1".to_owned(),
            visibility: "public".to_owned(),
            terms: true,
            data: true,
            ..Draft::default()
        }
    }

    #[test]
    fn each_step_says_what_it_misses() {
        assert_eq!(good().first_wrong(), None);
        type Edit = fn(&mut Draft);
        let table: [(Edit, usize, &str); 11] = [
            (|it| it.given.clear(), 1, "given-names"),
            (|it| it.given = "n".repeat(151), 1, "given-names"),
            (|it| it.email = "nova@orcid.org".to_owned(), 1, "email"),
            (|it| it.email_again.clear(), 1, "email-again"),
            (|it| it.more_emails = "a@b.example x".to_owned(), 1, "more-emails"),
            (|it| it.password = "hunter22".to_owned(), 2, "password"),
            (|it| it.password = "simulated-".to_owned(), 2, "password"),
            (|it| it.password_again.clear(), 2, "password-again"),
            (|it| it.visibility = "friends".to_owned(), 4, "visibility"),
            (|it| it.terms = false, 5, "terms"),
            (|it| it.data = false, 5, "data"),
        ];
        for (edit, step, field) in table {
            let mut draft = good();
            edit(&mut draft);
            let (at, wrong) = draft.first_wrong().unwrap();
            assert_eq!((at, wrong[0].0), (step, field));
        }
    }

    #[test]
    fn addresses_that_could_be_somebodys_are_refused() {
        for (address, harmless) in [
            ("a@simulated.example", true),
            ("a@example.org", true),
            ("a@sub.example.com", true),
            ("a@host.test", true),
            ("a@orcid.org", false),
            ("a@notexample.org", false),
            ("@x.example", false),
            ("a b@x.example", false),
            ("plain", false),
        ] {
            assert_eq!(is_harmless_address(address), harmless, "{address}");
        }
    }

    #[test]
    fn ids_given_out_are_valid_and_different() {
        let ids: std::collections::BTreeSet<OrcidId> = (0..500).filter_map(numbered).collect();
        assert_eq!(ids.len(), 500);
        assert!(ids.iter().all(|orcid| orcid.as_str().starts_with("0009-9999-1")));
    }
}
