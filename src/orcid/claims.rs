//! Rules about claims that several kinds of tokens share: audience, dates, names, and what may serve as
//! somebody's identifier (OpenID Connect Core §3.1.3.7, RFC 7519 §4.1).

use super::trouble::Check;
use crate::domain::UnixTime;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// The last second of the year 9999: no honest date lies beyond, and sums stay far from overflow (T52).
const LAST_DATE: i64 = 253_402_300_799;

/// The longest `sub` (Core §2).
const LONGEST_SUBJECT: usize = 255;
/// The longest `sid` or `jti`; providers' are UUIDs and their like.
const LONGEST_ID: usize = 512;

/// A claim that is a text, or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Us, and nobody else: no further audience is trusted here, so a token that names one is refused
/// even if it names us too (Core §3.1.3.7 rules 3 to 5; T51).
pub(super) fn check_audience(audience: Option<&OneOrMany>, azp: Option<&str>, client_id: &str) -> Result<(), Check> {
    let ours = match audience {
        Some(OneOrMany::One(audience)) => audience == client_id,
        Some(OneOrMany::Many(audiences)) => {
            !audiences.is_empty() && audiences.iter().all(|audience| audience == client_id)
        }
        None => false,
    };
    if !ours {
        return Err(Check::Audience);
    }
    match azp {
        Some(party) if party != client_id => Err(Check::AuthorizedParty),
        _ => Ok(()),
    }
}

/// By which clock dates are judged.
#[derive(Clone, Copy)]
pub(super) struct Watch {
    pub(super) now: UnixTime,
    /// How far clocks may disagree.
    pub(super) leeway: Duration,
}

impl Watch {
    fn leeway(self) -> i64 {
        seconds(self.leeway)
    }

    /// `exp` has not come yet.
    pub(super) fn check_expiry(self, exp: &Value) -> Result<(), Check> {
        let expires = numeric_date(exp).ok_or(Check::Expiry)?;
        if expires.saturating_add(self.leeway()) <= self.now.0 { Err(Check::Expiry) } else { Ok(()) }
    }

    /// `iat` is there, has come, and is not older than `max_age`. Gives it.
    pub(super) fn check_issued(self, iat: Option<&Value>, max_age: Duration) -> Result<UnixTime, Check> {
        let issued = iat.and_then(numeric_date).ok_or(Check::IssuedAt)?;
        let oldest = self.now.0.saturating_sub(self.leeway()).saturating_sub(seconds(max_age));
        let fine = issued <= self.now.0.saturating_add(self.leeway()) && issued >= oldest;
        if fine { Ok(UnixTime(issued)) } else { Err(Check::IssuedAt) }
    }

    /// `auth_time` is there and not before `since`. The demand travelled through the browser, where it can be
    /// stripped, so only the answer tells whether it was met. At ORCID it is the record's last sign-in,
    /// wherever that was (`orcid.md` §11 quirk 9): one that is older was certainly not this one.
    pub(super) fn check_signed_in(self, auth_time: Option<&Value>, since: UnixTime) -> Result<(), Check> {
        let at = auth_time.and_then(numeric_date).ok_or(Check::SignedInAnew)?;
        if at >= since.0.saturating_sub(self.leeway()) { Ok(()) } else { Err(Check::SignedInAnew) }
    }

    /// `nbf`, if there is one, has come.
    pub(super) fn check_not_before(self, nbf: Option<&Value>) -> Result<(), Check> {
        match nbf.map(numeric_date) {
            Some(None) => Err(Check::NotBefore),
            Some(Some(from)) if from > self.now.0.saturating_add(self.leeway()) => Err(Check::NotBefore),
            _ => Ok(()),
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds since 1970, a fraction allowed (RFC 7519 §2); not negative, not after the year 9999, not a text.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range is checked first")]
fn numeric_date(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    let seconds = match number.as_i64() {
        Some(whole) => whole,
        None => number.as_f64().filter(|date| (0.0..=LAST_DATE as f64).contains(date))? as i64,
    };
    (0..=LAST_DATE).contains(&seconds).then_some(seconds)
}

/// A name as a provider sends it: `null`, blank or padded when it is not public (`orcid.md` §3.2).
/// Control characters go, and what exceeds 300 characters: a name is shown, never compared.
pub(super) fn person_name(sent: &Value) -> Option<String> {
    let clean: String = sent.as_str()?.chars().filter(|character| !character.is_control()).collect();
    let short: String = clean.trim().chars().take(300).collect();
    (!short.is_empty()).then_some(short)
}

/// Whether a text may be a `sub`: 1 to 255 printable ASCII characters (Core §2). No blank in front or behind:
/// a header loses it on the way, and `alice ` would be `alice` to the app (RFC 9110 §5.5).
pub(super) fn is_subject(text: &str) -> bool {
    is_id(text) && text.len() <= LONGEST_SUBJECT && text.trim() == text
}

/// Whether a text may be a `sid` or `jti`, which are compared and never shown.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}
