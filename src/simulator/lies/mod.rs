//! The lies: one row for each way a provider can say something untrue or unexpected, with the case it
//! answers to and what an honest relying party makes of it (`attacks.md` T35-T62, D1-D7).
//!
//! Told through `switches`; the endpoints apply them to what they were about to say. How an answer is
//! given (late, endless, elsewhere) is another matter: `manners`.

mod callback;
mod discovery;
mod id_token;
mod keys;
mod token_answer;
mod userinfo;

pub(super) use id_token::{Draft, Signing};

use super::switches::Switches;
use serde_json::{Map, Value};

/// Where lies of the id_token say that its key is.
pub(super) const FOREIGN_KEYS: &str = "/oauth/jwks/foreign";

/// What a relying party that keeps to the rules does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Signs nobody in.
    Refuse,
    /// Signs the person in: it is odd, but allowed.
    Accept,
}

/// One lie.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Lie {
    pub name: &'static str,
    /// The cases of `attacks.md` it belongs to.
    pub cases: &'static str,
    pub about: &'static str,
    pub verdict: Verdict,
    #[serde(skip)]
    told: &'static [Told],
}

/// Where a lie is told, and how.
#[derive(Clone, Copy, Debug)]
enum Told {
    Discovery(fn(&mut Object, &Facts)),
    Keys(fn(&mut Vec<Value>, &Facts)),
    IdToken(fn(&mut Draft, &Facts)),
    TokenAnswer(fn(&mut Object, &Facts)),
    UserInfo(fn(&mut Object, &Facts)),
    /// The members of the authorization response, in order.
    Callback(fn(&mut Vec<(String, String)>, &Facts)),
    /// Not a change of what is said, but of how: done by `response`, which asks [`Switches::tells`].
    Elsewhere,
}

pub(super) type Object = Map<String, Value>;

/// What a lie may need to know.
#[derive(Default)]
pub(super) struct Facts {
    /// The issuer.
    pub(super) base: String,
    /// A nonce that was given in an earlier sign-in, if there was one.
    pub(super) old_nonce: Option<String>,
    pub(super) client_secret: String,
    /// The modulus of the published RSA key, as the JWKS writes it.
    pub(super) modulus: String,
    /// The same key as `BEGIN PUBLIC KEY`.
    pub(super) public_pem: String,
    /// The elliptic key that some lies publish or sign with, as a JWK.
    pub(super) elliptic: Value,
    /// An RSA key that is published nowhere, as a JWK; null if no lie needs it.
    pub(super) foreign: Value,
    /// A text that no earlier answer held.
    pub(super) fresh: String,
    /// The iD of somebody else than who signed in.
    pub(super) somebody_else: String,
}

const GROUPS: [&[Lie]; 6] =
    [discovery::LIES, keys::LIES, callback::LIES, token_answer::LIES, id_token::LIES, userinfo::LIES];

/// Every lie there is, in the order of a sign-in.
pub fn all() -> impl Iterator<Item = &'static Lie> {
    GROUPS.into_iter().flatten()
}

/// The lie of this name.
pub(super) fn find(name: &str) -> Option<&'static Lie> {
    all().find(|lie| lie.name == name)
}

/// Applies the lies of one place to what is about to be said there.
macro_rules! tellers {
    ($($name:ident, $variant:ident, $what:ty;)*) => {$(
        pub(super) fn $name(switches: &Switches, what: &mut $what, facts: &Facts) {
            for told in switches.lies().flat_map(|lie| lie.told) {
                if let Told::$variant(tell) = told {
                    tell(what, facts);
                }
            }
        }
    )*};
}

tellers! {
    about_discovery, Discovery, Object;
    about_keys, Keys, Vec<Value>;
    about_id_token, IdToken, Draft;
    about_tokens, TokenAnswer, Object;
    about_the_person, UserInfo, Object;
    about_the_callback, Callback, Vec<(String, String)>;
}

/// Whether any lie of this kind is told, so that the honest way costs nothing.
pub(super) fn touch_discovery(switches: &Switches) -> bool {
    switches.lies().flat_map(|lie| lie.told).any(|told| matches!(told, Told::Discovery(_)))
}

/// Likewise for the key set.
pub(super) fn touch_keys(switches: &Switches) -> bool {
    switches.lies().flat_map(|lie| lie.told).any(|told| matches!(told, Told::Keys(_)))
}

/// Whether a lie signs or publishes with the key that is published nowhere, which takes a while to make.
pub(super) fn need_a_foreign_key(switches: &Switches) -> bool {
    switches.lies().any(|lie| WITH_A_FOREIGN_KEY.contains(&lie.name))
}

/// A test holds this to what the lies do.
const WITH_A_FOREIGN_KEY: &[&str] = &[
    "id-token-embedded-address",
    "id-token-embedded-key",
    "id-token-foreign-key",
    "id-token-kid-unknown",
    "keys-other",
];

/// Rows are written short: name, cases, verdict, description, what is done.
macro_rules! lies {
    ($($name:literal, $cases:literal, $verdict:ident, $about:literal, [$($told:ident $(($tell:expr))?),+];)*) => {
        pub(super) const LIES: &[Lie] = &[$(Lie {
            name: $name,
            cases: $cases,
            about: $about,
            verdict: Verdict::$verdict,
            told: &[$(Told::$told $(($tell))?),+],
        }),*];
    };
}
use lies;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_told_apart_and_say_where_they_belong() {
        let mut seen = BTreeSet::new();
        for lie in all() {
            assert!(seen.insert(lie.name), "{} twice", lie.name);
            assert!(
                lie.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                lie.name
            );
            assert!(!lie.about.is_empty() && lie.cases.starts_with(['T', 'D']), "{}", lie.name);
        }
        assert!(seen.len() > 100);
    }

    #[test]
    fn the_foreign_key_is_made_for_whoever_needs_it() {
        let facts = Facts { foreign: serde_json::json!({"n": "foreign"}), ..Facts::default() };
        for lie in all() {
            let mut draft = Draft { header: Object::new(), claims: Object::new(), signing: Signing::Usual };
            draft.claims.insert("aud".to_owned(), "us".into());
            draft.claims.insert("sub".to_owned(), "somebody".into());
            let mut keys = vec![serde_json::json!({"kid": "right"})];
            for told in lie.told {
                match told {
                    Told::IdToken(tell) => tell(&mut draft, &facts),
                    Told::Keys(tell) => tell(&mut keys, &facts),
                    _ => {}
                }
            }
            let published = keys.iter().any(|key| key["n"] == "foreign");
            let needs = draft.signing == Signing::Foreign || draft.header.contains_key("jwk") || published;
            assert_eq!(WITH_A_FOREIGN_KEY.contains(&lie.name), needs, "{}", lie.name);
        }
    }
}
