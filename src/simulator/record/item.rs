//! [`Item`]: what every entry of a record has besides its content: put-code, source, visibility and dates
//! (`orcid.md` §8.3, §8.6). Made by `seeds` today, by writes later.

use super::visibility::Visibility;
use crate::domain::UnixTime;
use std::fmt;

/// The number of an item: unique in the whole simulator, never given out twice (`orcid.md` §8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::simulator) struct PutCode(i64);

impl PutCode {
    /// Reads a put-code as ORCID's server does, which is how Java reads a `long`: a sign and leading zeros are
    /// fine. `None` if the text is no such number.
    pub(in crate::simulator) fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    pub(in crate::simulator) fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for PutCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Gives out put-codes in ascending order.
#[derive(Debug)]
pub(in crate::simulator) struct PutCodes(i64);

impl PutCodes {
    /// The first one given out is `first`.
    pub(in crate::simulator) fn from(first: i64) -> Self {
        Self(first)
    }

    pub(in crate::simulator) fn next(&mut self) -> PutCode {
        let code = PutCode(self.0);
        self.0 = self.0.saturating_add(1);
        code
    }
}

/// Who put an item on the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Agent {
    /// The person whose record it is.
    Holder,
    /// An organisation's client, by id.
    Client(String),
}

/// Who wrote an item and, if that was somebody else, on whose word (`orcid.md` §8.6, the table on trust).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Source {
    pub(in crate::simulator) by: Agent,
    /// `None`: the writer itself asserts it.
    pub(in crate::simulator) origin: Option<Agent>,
}

impl Source {
    pub(in crate::simulator) fn holder() -> Self {
        Self { by: Agent::Holder, origin: None }
    }

    pub(in crate::simulator) fn client(id: &str) -> Self {
        Self { by: Agent::Client(id.to_owned()), origin: None }
    }

    /// The person pressed "add" in a client's search-and-link wizard.
    pub(in crate::simulator) fn holder_through(id: &str) -> Self {
        Self { origin: Some(Agent::Holder), ..Self::client(id) }
    }

    /// One client wrote what another one asserts.
    pub(in crate::simulator) fn on_behalf(id: &str, origin: &str) -> Self {
        Self { origin: Some(Agent::Client(origin.to_owned())), ..Self::client(id) }
    }

    /// Whether this client wrote it; such a client always sees it and alone may change it.
    pub(in crate::simulator) fn is_client(&self, id: &str) -> bool {
        matches!(&self.by, Agent::Client(client) if client == id)
    }

    /// Whether the word is the person's own.
    pub(in crate::simulator) fn is_self_asserted(&self) -> bool {
        *self.origin.as_ref().unwrap_or(&self.by) == Agent::Holder
    }
}

/// One entry of a record.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct Item<T> {
    pub(in crate::simulator) put_code: PutCode,
    pub(in crate::simulator) created: UnixTime,
    pub(in crate::simulator) modified: UnixTime,
    pub(in crate::simulator) source: Source,
    pub(in crate::simulator) visibility: Visibility,
    /// The person's own order: the highest comes first.
    pub(in crate::simulator) display_index: i64,
    pub(in crate::simulator) content: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_codes_are_read_as_java_reads_a_long() {
        let table = [
            ("7", Some(7)),
            ("007", Some(7)),
            ("+7", Some(7)),
            ("-7", Some(-7)),
            ("", None),
            ("1.5", None),
            ("7x", None),
            (" 7", None),
            ("99999999999999999999", None),
        ];
        for (text, number) in table {
            assert_eq!(PutCode::read(text).map(PutCode::number), number, "{text}");
        }
    }

    #[test]
    fn whose_word_it_is() {
        assert!(Source::holder().is_self_asserted());
        assert!(Source::holder_through("APP-1").is_self_asserted());
        assert!(Source::holder_through("APP-1").is_client("APP-1"));
        assert!(!Source::client("APP-1").is_self_asserted());
        assert!(!Source::on_behalf("APP-2", "APP-1").is_client("APP-1"));
    }
}
