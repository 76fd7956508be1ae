//! [`PersonHint`]: what an app believes about the person it sends to sign in. It fills in forms at the provider
//! (`orcid.md` §2.1) and decides nothing.

use serde::{Deserialize, Serialize};

/// All fields together; it travels in addresses.
const LONGEST: usize = 240;

/// Who is likely to come. Made only of short, printable texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonHint {
    pub given_names: Option<String>,
    pub family_names: Option<String>,
    pub email: Option<String>,
}

impl PersonHint {
    /// `None` if the texts hold control characters, are too long together, or the address is none.
    pub fn new(given_names: Option<String>, family_names: Option<String>, email: Option<String>) -> Option<Self> {
        let texts = [&given_names, &family_names, &email];
        let texts: Vec<&str> = texts.into_iter().flatten().map(String::as_str).collect();
        let fits = texts.iter().map(|text| text.len()).sum::<usize>() <= LONGEST;
        let printable = !texts.iter().any(|text| text.trim().is_empty() || text.chars().any(char::is_control));
        let addressed =
            email.as_deref().is_none_or(|email| email.contains('@') && !email.contains(char::is_whitespace));
        (fits && printable && addressed).then_some(Self { given_names, family_names, email })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_short_and_printable() {
        let long = "x".repeat(240);
        for (given, family, email, taken) in [
            (Some("Josiah"), Some("Carberry"), Some("j@brown.example"), true),
            (None, None, None, true),
            (Some("\u{6b27}\u{9633}"), None, None, true),
            (Some("a\nb"), None, None, false),
            (Some(" "), None, None, false),
            (None, None, Some("nobody"), false),
            (None, None, Some("a b@c.example"), false),
            (Some(long.as_str()), None, None, true),
            (Some(long.as_str()), Some("y"), None, false),
        ] {
            let text = |text: Option<&str>| text.map(str::to_owned);
            let hint = PersonHint::new(text(given), text(family), text(email));
            assert_eq!(hint.is_some(), taken, "{given:?} {family:?} {email:?}");
        }
    }
}
