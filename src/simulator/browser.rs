//! [`Browser`]: who is behind a request to a page, and the page that goes back, with its cookie, its form
//! token and its security headers. Used by every page a person sees.

use super::answer::{Answer, HTML, plain, with};
use super::people::Person;
use super::random;
use super::sessions::{self, SESSION_COOKIE};
use super::visit::Visit;
use super::world::World;
use http::{StatusCode, header};
use minijinja::Value;
use std::sync::Arc;

/// One browser, signed in or not.
pub(super) struct Browser {
    cookie: String,
    /// The browser does not know the cookie yet.
    fresh: bool,
    pub(super) person: Option<Arc<Person>>,
}

impl Browser {
    /// Reads the session cookie. A browser without one gets a value to bind its first form to.
    pub(super) fn of(world: &World, visit: &Visit) -> Self {
        let sent: Vec<&str> =
            visit.cookies(SESSION_COOKIE).filter(|value| sessions::is_well_formed(value)).take(4).collect();
        let now = world.now();
        let signed_in = {
            let books = world.books();
            sent.iter().find_map(|&key| Some((key, books.sessions.find(key, now)?)))
        };
        if let Some((key, orcid)) = signed_in {
            return Self { cookie: key.to_owned(), fresh: false, person: world.person(orcid) };
        }
        match sent.first() {
            Some(&key) => Self { cookie: key.to_owned(), fresh: false, person: None },
            None => Self { cookie: random::session_key(&*world.chance), fresh: true, person: None },
        }
    }

    /// Signs `person` in and notes it on the record. The cookie changes; [`Browser::carry`] sends it.
    pub(super) fn sign_in(&mut self, world: &World, person: &Arc<Person>) {
        let now = world.now();
        let mut books = world.books();
        books.sessions.end(&self.cookie);
        self.cookie = books.sessions.begin(person.orcid, now, &*world.chance);
        if let Some(record) = books.records.get_mut(&person.orcid) {
            record.signed_in = Some(now);
        }
        self.fresh = true;
        self.person = Some(person.clone());
    }

    /// Ends the session, here and in the books.
    pub(super) fn sign_out(&mut self, world: &World) {
        world.books().sessions.end(&self.cookie);
        self.cookie = random::session_key(&*world.chance);
        self.fresh = true;
        self.person = None;
    }

    /// The token for a form of this browser that does `action` and carries `carries`.
    pub(super) fn form_token(&self, world: &World, action: &str, carries: &str) -> String {
        world.forms.token(&self.cookie, action, carries)
    }

    /// Whether a posted form is ours: sent from our own page, by this browser, for this action.
    pub(super) fn may_post(&self, world: &World, visit: &Visit, token: &str, action: &str, carries: &str) -> bool {
        visit.is_form()
            && visit.is_same_origin(&world.base)
            && !self.fresh
            && world.forms.accepts(token, &self.cookie, action, carries)
    }

    /// A page. `form_action` lists what its forms may end at besides the simulator itself.
    pub(super) fn page(
        &self,
        world: &World,
        name: &str,
        values: Value,
        form_action: &[String],
        status: StatusCode,
    ) -> Answer {
        let (status, body) = match world.pages.render(name, &world.base, values) {
            Ok(body) => (status, body),
            Err(error) => {
                tracing::error!(page = name, %error, "a page of the simulator could not be made");
                (StatusCode::INTERNAL_SERVER_ERROR, "SIMULATED: this page could not be made.".to_owned())
            }
        };
        self.carry(world, secured(plain(status, HTML, body), form_action))
    }

    /// Adds the cookie, if the browser does not know it yet.
    pub(super) fn carry(&self, world: &World, answer: Answer) -> Answer {
        if !self.fresh {
            return answer;
        }
        let secure = if world.base.starts_with("https:") { "; Secure" } else { "" };
        let cookie = format!("{SESSION_COOKIE}={}; Path=/; HttpOnly; SameSite=Lax{secure}", self.cookie);
        with(answer, header::SET_COOKIE, &cookie)
    }
}

/// The headers of every page: no script, no frame, forms only to where they have to go.
fn secured(answer: Answer, form_action: &[String]) -> Answer {
    // A source with another character could end the directive; such an origin is left out.
    let plain_source = |source: &&String| {
        source
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'/' | b'[' | b']' | b'*' | b'_'))
    };
    let onward: String = form_action.iter().filter(plain_source).map(|source| format!(" {source}")).collect();
    let policy = format!(
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'{onward}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let answer = with(answer, header::CONTENT_SECURITY_POLICY, &policy);
    let answer = with(answer, header::X_FRAME_OPTIONS, "DENY");
    // Not `no-referrer`, which would make our own forms carry `Origin: null` (`stack.md` §10).
    with(answer, header::REFERRER_POLICY, "same-origin")
}
