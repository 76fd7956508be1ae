//! Made-up researchers: iDs with their check characters, names of the usual lengths, tokens as ORCID makes them.

use lychgate::domain::{AccessToken, Chance, Clock, Grant, Mfa, OrcidId, RefreshToken, Subject, SystemClock, UnixTime};

const GIVEN: [&str; 8] = ["Josiah", "Anna-Lena", "José", "Mei", "Oluwaseun", "Þórdís", "Ivan", "Charlotte Marie"];
const FAMILY: [&str; 8] =
    ["Carberry", "Müller", "García Márquez", "Li", "Adébáyọ̀", "Jónsdóttir", "Петров", "van den Berg"];
/// How long ORCID's tokens live.
const TWENTY_YEARS: i64 = 631_138_518;

/// What a browser says about itself.
pub const AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36";

/// The iD of researcher `number`, in the range that ORCID hands out.
pub fn orcid_id(number: usize) -> OrcidId {
    let digits = 15_000_000 + number;
    let found = "0123456789X".chars().find_map(|check| format!("{digits:015}{check}").parse().ok());
    found.expect("one check character fits")
}

/// What ORCID hands over when researcher `number` grants `scopes`, with tokens that nobody has seen before.
pub fn grant(number: usize, scopes: &str, chance: &dyn Chance) -> Grant {
    let (given, family) = (GIVEN[number % GIVEN.len()], FAMILY[number / GIVEN.len() % FAMILY.len()]);
    Grant {
        subject: Subject::Orcid(orcid_id(number)),
        name: Some(format!("{given} {family}")),
        given_name: Some(given.to_owned()),
        family_name: Some(family.to_owned()),
        mfa: Mfa::Unknown,
        scopes: scopes.parse().expect("scopes of ORCID's"),
        access_token: AccessToken::new(uuid(chance)),
        refresh_token: Some(RefreshToken::new(uuid(chance))),
        expires: Some(UnixTime(SystemClock.now().0 + TWENTY_YEARS)),
        at_provider: None,
    }
}

/// Random, in the shape of a token.
fn uuid(chance: &dyn Chance) -> String {
    let number = u128::from_be_bytes(chance.bytes());
    let hex = format!("{number:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
