//! [`ExternalId`]: a DOI, a grant number, …; how it is normalised and whether it groups what carries it
//! (`orcid.md` §8.6).

/// How an identifier belongs to the item that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Relationship {
    Itself,
    PartOf,
    VersionOf,
    FundedBy,
}

impl Relationship {
    pub(in crate::simulator) fn word(self) -> &'static str {
        match self {
            Relationship::Itself => "self",
            Relationship::PartOf => "part-of",
            Relationship::VersionOf => "version-of",
            Relationship::FundedBy => "funded-by",
        }
    }
}

#[derive(Clone, Debug)]
pub(in crate::simulator) struct ExternalId {
    /// ORCID's name of the kind: `doi`, `issn`, `grant_number`, …; free text on persons.
    pub(in crate::simulator) kind: String,
    pub(in crate::simulator) value: String,
    pub(in crate::simulator) url: Option<String>,
    pub(in crate::simulator) relationship: Relationship,
}

impl ExternalId {
    /// The value by which two spellings of one identifier are equal. `None`: the kind has a form and this
    /// value does not have it (ORCID's transient error 8001).
    pub(in crate::simulator) fn normalized(&self) -> Option<String> {
        match self.kind.as_str() {
            "doi" => doi(&self.value),
            "isbn" => compact(&self.value, &[10, 13]),
            "issn" => compact(&self.value, &[8]).map(|eight| format!("{}-{}", &eight[..4], &eight[4..])),
            _ => Some(self.value.trim().to_owned()),
        }
    }

    /// What puts two items that both carry it into one group; `None` if it groups nothing. A journal's ISSN or
    /// a grant does not make two articles the same one.
    pub(in crate::simulator) fn group_key(&self) -> Option<(String, String)> {
        if matches!(self.relationship, Relationship::PartOf | Relationship::FundedBy) || self.value.is_empty() {
            return None;
        }
        Some((self.kind.clone(), self.normalized().unwrap_or_else(|| self.value.clone())))
    }
}

/// From the first `10.` on that is followed by a registrant and a slash, in lower case.
fn doi(value: &str) -> Option<String> {
    value.match_indices("10.").find_map(|(at, _)| {
        let rest = &value[at..];
        let (prefix, suffix) = rest.split_once('/')?;
        let registrant =
            prefix[3..].split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
        let suffix: String =
            suffix.chars().take_while(|c| !c.is_whitespace() && !matches!(c, '"' | '&' | '\'')).collect();
        (registrant && !suffix.is_empty()).then(|| format!("{prefix}/{suffix}").to_lowercase())
    })
}

/// Digits and a check X without separators, if there are as many as there should be.
fn compact(value: &str, lengths: &[usize]) -> Option<String> {
    let kept: String = value.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect();
    let fine = lengths.contains(&kept.len())
        && kept.bytes().enumerate().all(|(at, b)| b.is_ascii_digit() || b == b'X' && at + 1 == kept.len());
    fine.then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(kind: &str, value: &str, relationship: Relationship) -> ExternalId {
        ExternalId { kind: kind.into(), value: value.into(), url: None, relationship }
    }

    #[test]
    fn spellings_of_one_identifier() {
        let table = [
            ("doi", "10.5555/ABC.1", Some("10.5555/abc.1")),
            ("doi", "https://doi.org/10.5555/abc.1", Some("10.5555/abc.1")),
            ("doi", "doi:10.5555/abc 1", Some("10.5555/abc")),
            ("doi", "123", None),
            ("doi", "10.5555/", None),
            ("doi", "10./x", None),
            ("issn", "0000-000X", Some("0000-000X")),
            ("issn", "0000000x", Some("0000-000X")),
            ("issn", "0000", None),
            ("isbn", "978-0-00-000000-2", Some("9780000000002")),
            ("isbn", "é78000000000", None),
            ("grant_number", " 42 ", Some("42")),
        ];
        for (kind, value, normalized) in table {
            assert_eq!(id(kind, value, Relationship::Itself).normalized().as_deref(), normalized, "{kind} {value}");
        }
    }

    #[test]
    fn what_groups() {
        let key = |kind: &str, value: &str| Some((kind.to_owned(), value.to_owned()));
        assert_eq!(id("doi", "10.5555/A", Relationship::Itself).group_key(), key("doi", "10.5555/a"));
        assert_eq!(id("doi", "10.5555/A", Relationship::VersionOf).group_key(), key("doi", "10.5555/a"));
        assert_eq!(id("doi", "bad", Relationship::Itself).group_key(), key("doi", "bad"));
        assert_eq!(id("issn", "0000-0000", Relationship::PartOf).group_key(), None);
        assert_eq!(id("doi", "10.5555/A", Relationship::FundedBy).group_key(), None);
        assert_eq!(id("doi", "", Relationship::Itself).group_key(), None);
    }
}
