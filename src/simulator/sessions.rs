//! Browser sessions of the simulator: who is signed in behind which cookie, and the tokens that bind its
//! forms to that cookie. Used by the pages a person sees.

use super::random;
use crate::domain::{Chance, OrcidId, UnixTime};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use std::collections::{HashMap, VecDeque};

/// Name of the session cookie.
pub const SESSION_COOKIE: &str = "simulator-session";
/// A session ends this many seconds after the sign-in.
const LIFETIME: i64 = 86_400;
/// Most sessions at once; the oldest goes first.
const MOST: usize = 10_000;

struct Session {
    orcid: OrcidId,
    began: UnixTime,
}

/// Who is signed in. Only signed-in browsers have a row: a visitor costs no memory.
#[derive(Default)]
pub(super) struct Sessions {
    rows: HashMap<String, Session>,
    order: VecDeque<String>,
}

impl Sessions {
    /// Whose session this cookie value is.
    pub(super) fn find(&self, key: &str, now: UnixTime) -> Option<OrcidId> {
        self.rows
            .get(key)
            .filter(|session| now.0 < session.began.0.saturating_add(LIFETIME))
            .map(|session| session.orcid)
    }

    /// Signs `orcid` in under a fresh cookie value, so that a value planted before the sign-in is worth nothing.
    pub(super) fn begin(&mut self, orcid: OrcidId, now: UnixTime, chance: &dyn Chance) -> String {
        while self.order.len() >= MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.rows.remove(&oldest);
            }
        }
        let key = random::session_key(chance);
        self.rows.insert(key.clone(), Session { orcid, began: now });
        self.order.push_back(key.clone());
        key
    }

    /// Ends a session, if there is one.
    pub(super) fn end(&mut self, key: &str) {
        if self.rows.remove(key).is_some() {
            self.order.retain(|kept| kept != key);
        }
    }
}

/// Makes and checks form tokens: a MAC over the cookie value, the action and what the form carries, so a
/// token of one browser, action or authorization request is good for no other.
pub(super) struct FormKey(hmac::Key);

impl FormKey {
    pub(super) fn new(chance: &dyn Chance) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &chance.bytes::<32>()))
    }

    pub(super) fn token(&self, cookie: &str, action: &str, carries: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.0, &message(cookie, action, carries)))
    }

    pub(super) fn accepts(&self, token: &str, cookie: &str, action: &str, carries: &str) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(token) else { return false };
        hmac::verify(&self.0, &message(cookie, action, carries), &tag).is_ok()
    }
}

fn message(cookie: &str, action: &str, carries: &str) -> Vec<u8> {
    [cookie, action, carries].join("\0").into_bytes()
}

/// Whether a cookie value has the shape of ours.
pub(super) fn is_well_formed(value: &str) -> bool {
    value.len() == 22 && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemChance;

    #[test]
    fn a_session_ends_after_a_day_or_when_told() {
        let chance = SystemChance::default();
        let orcid: OrcidId = super::super::people::ORDINARY.parse().unwrap();
        let mut sessions = Sessions::default();
        let key = sessions.begin(orcid, UnixTime(0), &chance);
        assert!(is_well_formed(&key));
        assert_eq!(sessions.find(&key, UnixTime(LIFETIME - 1)), Some(orcid));
        assert_eq!(sessions.find(&key, UnixTime(LIFETIME)), None);
        sessions.end(&key);
        assert_eq!(sessions.find(&key, UnixTime(0)), None);
        assert!(sessions.order.is_empty());
    }

    #[test]
    fn a_form_token_is_good_for_one_browser_one_action_and_one_request() {
        let key = FormKey::new(&SystemChance::default());
        let token = key.token("cookie", "consent", "query");
        assert!(key.accepts(&token, "cookie", "consent", "query"));
        for (cookie, action, carries) in
            [("other", "consent", "query"), ("cookie", "sign-out", "query"), ("cookie", "consent", "q")]
        {
            assert!(!key.accepts(&token, cookie, action, carries));
        }
        assert!(!key.accepts("", "cookie", "consent", "query"));
        assert!(!FormKey::new(&SystemChance::default()).accepts(&token, "cookie", "consent", "query"));
    }
}
