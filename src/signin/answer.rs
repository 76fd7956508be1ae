//! [`Answer`]: what the provider put into our callback address, read strictly before anything believes it
//! (T39, T40; RFC 6749 §4.1.2, RFC 9207 §2). Called by `callback`; random bytes are among its tests.

use super::request::{BadParameters, Parameters};
use crate::domain::AuthorizationCode;

/// One of the two things a provider may say.
pub(super) enum Answer {
    Code {
        code: AuthorizationCode,
        state: String,
        iss: Option<String>,
    },
    /// `state` is missing at ORCID more often than not (`orcid.md` §2.3).
    Error {
        error: ProviderError,
        state: Option<String>,
        iss: Option<String>,
    },
}

/// The errors that deserve a page of their own; the provider's text is never shown or logged (T84).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProviderError {
    /// The researcher said no.
    Denied,
    /// The provider says that it is in trouble itself.
    Trouble,
    Other,
}

/// Why an answer is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadAnswer {
    #[error("a parameter is given twice, or there are too many")]
    Parameters,
    #[error("it holds a code and an error")]
    Both,
    #[error("it holds neither code nor error; an error may hide in the fragment")]
    Neither,
    #[error("its code has a form that no code has")]
    Code,
    #[error("it holds a code without state")]
    NoState,
}

/// Longest code in bytes; ORCID's have six (`orcid.md` §3.3).
const LONGEST_CODE: usize = 2_048;

impl Answer {
    pub(super) fn read(parameters: Result<Parameters, BadParameters>) -> Result<Answer, BadAnswer> {
        let parameters = parameters.map_err(|_| BadAnswer::Parameters)?;
        let text = |name| parameters.get(name).map(str::to_owned);
        // An empty parameter is none (RFC 6749 §3.1).
        let given = |name| parameters.get(name).filter(|value| !value.is_empty());
        match (given("code"), given("error")) {
            (Some(_), Some(_)) => Err(BadAnswer::Both),
            (None, None) => Err(BadAnswer::Neither),
            (None, Some(error)) => {
                let error = ProviderError::read(error);
                Ok(Answer::Error { error, state: text("state"), iss: text("iss") })
            }
            (Some(code), None) => {
                // RFC 6749 appendix A.11: VSCHAR.
                if code.len() > LONGEST_CODE || !code.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
                    return Err(BadAnswer::Code);
                }
                let state = text("state").ok_or(BadAnswer::NoState)?;
                Ok(Answer::Code { code: AuthorizationCode::new(code), state, iss: text("iss") })
            }
        }
    }

    /// Who says that the answer is theirs (RFC 9207 §2).
    pub(super) fn iss(&self) -> Option<&str> {
        match self {
            Answer::Code { iss, .. } | Answer::Error { iss, .. } => iss.as_deref(),
        }
    }
}

impl ProviderError {
    /// ORCID has been seen to add a space (`orcid.md` §2.3).
    fn read(text: &str) -> Self {
        match text.trim() {
            "access_denied" => ProviderError::Denied,
            "temporarily_unavailable" | "server_error" => ProviderError::Trouble,
            _ => ProviderError::Other,
        }
    }

    /// For the log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            ProviderError::Denied => "access_denied",
            ProviderError::Trouble => "trouble of its own",
            ProviderError::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(query: &str) -> Result<Answer, BadAnswer> {
        Answer::read(Parameters::read(query.as_bytes()))
    }

    #[test]
    fn t39_t40_what_is_no_answer() {
        for (query, why) in [
            ("", BadAnswer::Neither),
            ("code=&error=", BadAnswer::Neither),
            ("state=abc", BadAnswer::Neither),
            ("code=a&error=access_denied&state=s", BadAnswer::Both),
            ("code=a", BadAnswer::NoState),
            ("code=a&state=s&state=s", BadAnswer::Parameters),
            ("code=a&code=b&state=s", BadAnswer::Parameters),
            ("code=a&state=s&iss=x&iss=x", BadAnswer::Parameters),
            ("error=a&error=b", BadAnswer::Parameters),
            ("code=a%00b&state=s", BadAnswer::Code),
            ("code=%C3%A9&state=s", BadAnswer::Code),
        ] {
            assert_eq!(read(query).err(), Some(why), "{query}");
        }
        let long = format!("code={}&state=s", "a".repeat(LONGEST_CODE + 1));
        assert_eq!(read(&long).err(), Some(BadAnswer::Code));
    }

    #[test]
    fn t40_errors_are_known_by_their_word_alone() {
        for (query, expected) in [
            ("error=access_denied&error_description=User+denied+access", ProviderError::Denied),
            ("error=access_denied%20", ProviderError::Denied),
            ("error=temporarily_unavailable", ProviderError::Trouble),
            ("error=server_error&state=x", ProviderError::Trouble),
            ("error=login_required", ProviderError::Other),
            ("error=%3Cscript%3E", ProviderError::Other),
        ] {
            match read(query) {
                Ok(Answer::Error { error, .. }) => assert_eq!(error, expected, "{query}"),
                _ => panic!("{query}"),
            }
        }
    }

    #[test]
    fn a_code_comes_with_its_state_and_perhaps_an_issuer() {
        let Ok(Answer::Code { code, state, iss }) = read("code=eUeiz2&state=abc&iss=https%3A%2F%2Forcid.org") else {
            panic!("a plain answer")
        };
        assert_eq!((code.expose(), &*state, iss.as_deref()), ("eUeiz2", "abc", Some("https://orcid.org")));
        assert!(matches!(read("code=a&state="), Ok(Answer::Code { iss: None, .. })));
        let Ok(refused) = read("error=access_denied&iss=https%3A%2F%2Forcid.org") else { panic!("a plain error") };
        assert_eq!(refused.iss(), Some("https://orcid.org"));
    }

    proptest! {
        #[test]
        fn no_query_makes_a_panic(query in "[ -~]{0,200}") {
            let _ = read(&query);
        }

        #[test]
        fn t39_no_second_state_is_overlooked(a in "[a-z]{1,8}", b in "[a-z]{1,8}", between in "(&[a-z]{9}=[a-z]{0,4}){0,4}") {
            let query = format!("code=x&state={a}{between}&state={b}");
            prop_assert!(read(&query).is_err());
        }
    }
}
