//! The seeded people, the only ones who can sign in here: invented names, published passwords and
//! iDs from outside ORCID's assigned ranges. Used by every page of the simulator, `demo` and the tests.

use crate::domain::OrcidId;
use serde::{Deserialize, Serialize};

/// Somebody ordinary: a public name, nothing special.
pub const ORDINARY: &str = "0009-9999-0000-0019";
/// The name is visible to nobody ("only me").
pub const HIDDEN_NAME: &str = "0009-9999-0000-0027";
/// One name only, no family name.
pub const MONONYM: &str = "0009-9999-0000-0035";
/// A credit name that is not given name + family name.
pub const CREDIT_NAME: &str = "0009-9999-0000-0043";
/// A Chinese name.
pub const CHINESE: &str = "0009-9999-0000-0051";
/// The iD ends in the check character X.
pub const CHECK_X: &str = "0009-9999-0000-006X";
/// An Arabic name, written from right to left.
pub const ARABIC: &str = "0009-9999-0000-0078";
/// A name with combining marks, decomposed (NFD).
pub const COMBINING: &str = "0009-9999-0000-0086";
/// Locked by ORCID: signs in, but never reaches the consent screen.
pub const LOCKED: &str = "0009-9999-0000-0094";
/// Deactivated by its owner: cannot sign in.
pub const DEACTIVATED: &str = "0009-9999-0000-0107";
/// Deprecated in favour of [`ORDINARY`]: cannot sign in.
pub const DEPRECATED: &str = "0009-9999-0000-0115";
/// Names as long as ORCID allows.
pub const LONG_NAME: &str = "0009-9999-0000-0123";
/// Has a second factor switched on: asked for [`SECOND_FACTOR_CODE`], and it shows in `amr`.
pub const SECOND_FACTOR: &str = "0009-9999-0000-0131";
/// A name made of markup, quotes and what looks like escapes: what a careless page or header breaks on.
pub const HOSTILE_NAME: &str = "0009-9999-0000-014X";
/// The name is visible to trusted parties only, which hides it from sign-ins too.
pub const LIMITED_NAME: &str = "0009-9999-0000-0158";
/// Made by an organisation and never claimed by its owner: cannot sign in, cannot be read.
pub const UNCLAIMED: &str = "0009-9999-0000-0166";

/// What everybody with a second factor types as the code of their authenticator. Published, so no secret.
pub const SECOND_FACTOR_CODE: &str = "246810";
/// Their recovery code; a real one works once, this one always.
pub const RECOVERY_CODE: &str = "simulated1";

/// Who may see a name (`orcid.md` §8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameVisibility {
    /// Everyone.
    Public,
    /// Trusted parties; not shown at a sign-in.
    Limited,
    /// Only the owner.
    Private,
}

/// What has become of an account (`orcid.md` §10.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountState {
    Active,
    Locked,
    Deactivated,
    /// Made by an organisation for somebody who has not come to claim it.
    Unclaimed,
    /// Replaced by another record of the same person.
    Deprecated {
        primary: OrcidId,
    },
}

/// One seeded person. The password is published on the front page and is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    pub orcid: OrcidId,
    pub password: String,
    /// In a few words, why this person is worth signing in as.
    pub about: String,
    pub given: Option<String>,
    pub family: Option<String>,
    /// The published name, if the person chose one ("credit name").
    pub credit: Option<String>,
    pub name_visibility: NameVisibility,
    /// Signs in as well as the iD does. No sign-in hands it to a client (`orcid.md` §11 quirk 1), and the API shows
    /// it to nobody without `/email/read-private`.
    pub email: String,
    pub state: AccountState,
    /// A second factor is switched on (`orcid.md` §1.4 `amr`, §10.2).
    pub mfa: bool,
}

impl Person {
    /// An active person with a public name and the password `simulated-` + the iD's last group in lower case.
    pub fn new(orcid: OrcidId, given: &str, family: Option<&str>, about: &str) -> Self {
        let tail = orcid.as_str()[15..].to_ascii_lowercase();
        Self {
            orcid,
            password: format!("simulated-{tail}"),
            about: about.to_owned(),
            given: Some(given.to_owned()),
            family: family.map(str::to_owned),
            credit: None,
            name_visibility: NameVisibility::Public,
            email: format!("person-{tail}@simulated.example"),
            state: AccountState::Active,
            mfa: false,
        }
    }

    /// The display name: the credit name, else given and family name. What the owner sees; others see
    /// [`Person::public_name`].
    pub fn own_name(&self) -> Option<String> {
        if let Some(credit) = &self.credit {
            return Some(credit.clone());
        }
        match (&self.given, &self.family) {
            (Some(given), Some(family)) => Some(format!("{given} {family}")),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }

    /// `name` of the token response (`orcid.md` §3.2): nothing unless the name is public.
    pub fn public_name(&self) -> Option<String> {
        self.name_is_public().then(|| self.own_name()).flatten()
    }

    /// `name` of the id_token and of userinfo: the credit name alone (`orcid.md` §1.4).
    pub fn public_credit_name(&self) -> Option<&str> {
        self.credit.as_deref().filter(|_| self.name_is_public())
    }

    /// `given_name`, if public.
    pub fn public_given(&self) -> Option<&str> {
        self.given.as_deref().filter(|_| self.name_is_public())
    }

    /// `family_name`, if public.
    pub fn public_family(&self) -> Option<&str> {
        self.family.as_deref().filter(|_| self.name_is_public())
    }

    fn name_is_public(&self) -> bool {
        self.name_visibility == NameVisibility::Public
    }
}

/// Whether an iD is one of the seeded people's, whoever bears it in a test.
pub(super) fn is_seeded(orcid: OrcidId) -> bool {
    orcid.as_str().starts_with("0009-9999-0000-0")
}

fn id(text: &str) -> OrcidId {
    text.parse().expect("the seeded iDs are constants with a right check digit, which a test proves")
}

/// Everybody the simulator knows unless told otherwise, in the order of the constants above.
pub fn seeded() -> Vec<Person> {
    let mut people = ordinary_states();
    people.extend(unusual_states());
    people.sort_by_key(|person| person.orcid);
    people
}

fn ordinary_states() -> Vec<Person> {
    let long = |word: &str, most: usize| word.repeat(most / word.len() + 1).chars().take(most).collect::<String>();
    vec![
        Person::new(id(ORDINARY), "Rowan", Some("Ashgrove"), "an ordinary researcher with a public name"),
        Person {
            name_visibility: NameVisibility::Private,
            ..Person::new(id(HIDDEN_NAME), "Imke", Some("Stillwater"), "the name is visible to nobody")
        },
        Person {
            name_visibility: NameVisibility::Limited,
            ..Person::new(id(LIMITED_NAME), "Piet", Some("Halfdoor"), "the name is visible to trusted parties only")
        },
        Person::new(id(MONONYM), "Kartika", None, "one name only, no family name"),
        Person {
            credit: Some("E. T. Quillfeather".to_owned()),
            ..Person::new(id(CREDIT_NAME), "Elisabeth", Some("Thornbury"), "publishes under another name")
        },
        Person::new(id(CHINESE), "晓明", Some("欧阳"), "a Chinese name"),
        Person::new(id(ARABIC), "ليلى", Some("الزيتونية"), "an Arabic name, right to left"),
        Person::new(
            id(COMBINING),
            "Zoe\u{308}",
            Some("Nguye\u{302}\u{303}n-A\u{30a}stro\u{308}m"),
            "a name with combining marks",
        ),
        Person::new(id(CHECK_X), "Xaver", Some("Ruelle"), "the iD ends in X"),
        Person {
            credit: Some(long("Longwinded-", 150)),
            ..Person::new(
                id(LONG_NAME),
                &long("Maximiliana ", 100),
                Some(&long("Wolkenstein-", 100)),
                "a very long name",
            )
        },
        Person {
            mfa: true,
            ..Person::new(id(SECOND_FACTOR), "Tamsin", Some("Doublelock"), "has a second factor: the code is 246810")
        },
        Person::new(
            id(HOSTILE_NAME),
            "<b onclick=alert(1)>\"Bobby\"</b>",
            Some("O'Tables%0d%0aX-Evil: 1 {{7*7}}; \\"),
            "a name that careless pages and headers break on",
        ),
    ]
}

fn unusual_states() -> Vec<Person> {
    vec![
        Person {
            state: AccountState::Locked,
            ..Person::new(id(LOCKED), "Ludo", Some("Barr"), "a locked record: signs in, connects nothing")
        },
        Person {
            state: AccountState::Deactivated,
            given: None,
            family: None,
            ..Person::new(id(DEACTIVATED), "", None, "a deactivated record: cannot sign in")
        },
        Person {
            state: AccountState::Deprecated { primary: id(ORDINARY) },
            given: None,
            family: None,
            ..Person::new(id(DEPRECATED), "", None, "a deprecated record: the ordinary researcher's old one")
        },
        Person {
            state: AccountState::Unclaimed,
            ..Person::new(id(UNCLAIMED), "Nils", Some("Unbidden"), "an unclaimed record: nobody's to sign in to yet")
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_valid_id_outside_the_assigned_ranges_and_a_password() {
        let people = seeded();
        assert_eq!(people.len(), 16);
        for pair in people.windows(2) {
            assert!(pair[0].orcid < pair[1].orcid, "two people share an iD");
        }
        for person in people {
            assert!(person.orcid.as_str().starts_with("0009-9999-"), "outside 0009-0000… to 0009-0010…");
            assert!(person.password.len() >= 8);
            assert!(!person.about.is_empty());
            assert!(is_seeded(person.orcid));
        }
    }

    #[test]
    fn names_as_others_see_them() {
        let people = seeded();
        let of = |orcid: &str| people.iter().find(|person| person.orcid.as_str() == orcid).unwrap();
        let table = [
            (ORDINARY, Some("Rowan Ashgrove"), None, Some("Rowan"), Some("Ashgrove")),
            (HIDDEN_NAME, None, None, None, None),
            (LIMITED_NAME, None, None, None, None),
            (MONONYM, Some("Kartika"), None, Some("Kartika"), None),
            (CREDIT_NAME, Some("E. T. Quillfeather"), Some("E. T. Quillfeather"), Some("Elisabeth"), Some("Thornbury")),
            (CHINESE, Some("晓明 欧阳"), None, Some("晓明"), Some("欧阳")),
            (DEACTIVATED, None, None, None, None),
        ];
        for (orcid, name, credit, given, family) in table {
            let person = of(orcid);
            assert_eq!(person.public_name().as_deref(), name, "{orcid}");
            assert_eq!(person.public_credit_name(), credit, "{orcid}");
            assert_eq!((person.public_given(), person.public_family()), (given, family), "{orcid}");
        }
        assert_eq!(of(HIDDEN_NAME).own_name().as_deref(), Some("Imke Stillwater"));
        assert_eq!(of(LONG_NAME).credit.as_ref().unwrap().chars().count(), 150);
    }
}
