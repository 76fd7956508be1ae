//! [`IncidentId`]: the number shown on an error page and written in the log, so that a help desk can
//! find the one from the other.

use super::Chance;
use std::fmt;

/// Forty random bits, printed as eight characters that are hard to confuse when read aloud.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IncidentId([u8; 8]);

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl IncidentId {
    pub fn draw(chance: &dyn Chance) -> Self {
        Self(chance.bytes::<8>().map(|byte| ALPHABET[usize::from(byte & 31)]))
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::str::from_utf8(&self.0).expect("drawn from an ASCII alphabet");
        write!(f, "{}-{}", &text[..4], &text[4..])
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for IncidentId {
    type Err = ();

    /// Reads what `Display` prints, so that a page shown after a redirect can carry the number.
    fn from_str(text: &str) -> Result<Self, ()> {
        let plain: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        let eight: [u8; 8] = plain.try_into().map_err(|_| ())?;
        if eight.iter().all(|byte| ALPHABET.contains(byte)) { Ok(Self(eight)) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::SystemChance;

    #[test]
    fn an_incident_number_reads_back_as_it_prints() {
        let incident = IncidentId::draw(&SystemChance::default());
        assert_eq!(incident.to_string().parse(), Ok(incident));
        for bad in ["", "ABCD", "ABCD-EFGI", "ABCD-EFGHJ", "<script>", "éééé"] {
            assert!(bad.parse::<IncidentId>().is_err(), "{bad}");
        }
    }
}
