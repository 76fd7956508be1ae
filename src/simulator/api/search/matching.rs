//! Whether a record is what a query asks for. Pure; called by `search` with every record.

use super::document::{Document, Kind};
use super::lexer::{Bound, Glyph};
use super::parser::{Clause, Node, Occur, Test};
use super::words::words;

/// Whether all that must be is, nothing is that must not be, and something is if nothing must be.
pub(super) fn fits(clauses: &[Clause], document: &Document) -> bool {
    let of = |occur: Occur| clauses.iter().filter(move |clause| clause.occur == occur);
    let holds = |clause: &Clause| is_true(&clause.node, document);
    if of(Occur::Never).any(holds) || !of(Occur::Must).all(holds) {
        return false;
    }
    of(Occur::Must).next().is_some() || of(Occur::Should).any(holds)
}

fn is_true(node: &Node, document: &Document) -> bool {
    match node {
        Node::Everybody => true,
        Node::All(clauses) => fits(clauses, document),
        Node::Leaf { field, kind: Kind::Words, test } => has_words(document, field, test),
        Node::Leaf { field, kind: Kind::Whole, test } => has_whole(document, field, test),
        Node::Leaf { field, kind: Kind::Time, test } => {
            let at = document.time(field);
            matches!(test, Test::Time { from, before } if *from <= at && at < *before)
        }
    }
}

fn has_words(document: &Document, field: &str, test: &Test) -> bool {
    let any =
        |fits: &dyn Fn(&str) -> bool| document.entries(field).any(|entry| entry.words().iter().any(|word| fits(word)));
    match test {
        Test::Present => document.entries(field).next().is_some(),
        // A word that is several to the tokenizer asks for any of them, as OR stands between all others.
        Test::Word(text) => {
            let wanted = words(text);
            any(&|word| wanted.iter().any(|wanted| wanted == word))
        }
        Test::Phrase(text) => {
            let wanted = words(text);
            let follows = |words: &[String]| words.windows(wanted.len()).any(|window| window == wanted);
            !wanted.is_empty() && document.entries(field).any(|entry| follows(entry.words()))
        }
        Test::Pattern(glyphs) => {
            let pattern = lower(glyphs);
            any(&|word| matches_pattern(&pattern, word))
        }
        Test::Range { low, high, with_low, with_high } => any(&|word| lies(word, (low, *with_low), (high, *with_high))),
        Test::Time { .. } => false,
    }
}

fn has_whole(document: &Document, field: &str, test: &Test) -> bool {
    let any = |fits: &dyn Fn(&str) -> bool| document.values(field).any(|value| fits(&value.to_lowercase()));
    match test {
        Test::Present => document.values(field).next().is_some(),
        Test::Word(text) | Test::Phrase(text) => {
            let wanted = text.to_lowercase();
            any(&|value| value == wanted)
        }
        Test::Pattern(glyphs) => {
            let pattern = lower(glyphs);
            any(&|value| matches_pattern(&pattern, value))
        }
        Test::Range { low, high, with_low, with_high } => {
            any(&|value| lies(value, (low, *with_low), (high, *with_high)))
        }
        Test::Time { .. } => false,
    }
}

fn lies(word: &str, (low, with_low): (&Bound, bool), (high, with_high): (&Bound, bool)) -> bool {
    let above = low.as_ref().is_none_or(|low| {
        let low = low.to_lowercase();
        word > low.as_str() || with_low && word == low
    });
    above
        && high.as_ref().is_none_or(|high| {
            let high = high.to_lowercase();
            word < high.as_str() || with_high && word == high
        })
}

fn lower(glyphs: &[Glyph]) -> Vec<Glyph> {
    let lower = |glyph: &Glyph| match glyph {
        Glyph::Letter(c) => c.to_lowercase().map(Glyph::Letter).collect(),
        glyph => vec![*glyph],
    };
    glyphs.iter().flat_map(lower).collect()
}

/// Goes back to the last star only, which keeps the work within pattern times text.
fn matches_pattern(pattern: &[Glyph], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut next, mut star) = (0, 0, None);
    while at < text.len() {
        match pattern.get(next) {
            Some(Glyph::Any) => {
                star = Some((next, at));
                next += 1;
            }
            Some(Glyph::One) => (at, next) = (at + 1, next + 1),
            Some(Glyph::Letter(c)) if *c == text[at] => (at, next) = (at + 1, next + 1),
            _ => match star {
                Some((position, from)) => {
                    (at, next) = (from + 1, position + 1);
                    star = Some((position, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[next..].iter().all(|glyph| *glyph == Glyph::Any)
}

#[cfg(test)]
mod tests {
    use super::super::parser::parse;
    use super::*;
    use crate::domain::UnixTime;
    use crate::simulator::people;
    use crate::simulator::record::Record;
    use std::sync::Arc;

    const NOW: UnixTime = UnixTime(1_790_812_800);

    /// The last groups of the iDs of those who fit, or the fault.
    fn found(query: &str) -> Result<Vec<String>, String> {
        let clauses = parse(query, NOW).map_err(|fault| fault.0)?;
        let people = people::seeded().into_iter().filter(|person| person.state == people::AccountState::Active);
        Ok(people
            .map(|person| Record::new(Arc::new(person), NOW))
            .filter(|record| clauses.as_ref().is_some_and(|clauses| fits(clauses, &Document::of(record))))
            .map(|record| record.person.orcid.as_str()[15..].to_owned())
            .collect())
    }

    #[test]
    fn what_clients_ask_for() {
        let table: &[(&str, &[&str])] = &[
            ("orcid:0009-9999-0000-0019", &["0019"]),
            ("orcid:(0009-9999-0000-0019 OR 0009-9999-0000-0043)", &["0019", "0043"]),
            ("orcid:0009-9999-0000-006x", &["006X"]),
            ("given-names:rowan AND family-name:Ashgrove", &["0019"]),
            ("given-names:rowan AND family-name:Thornbury", &[]),
            ("given-names:rowan family-name:thornbury", &["0019", "0043"]),
            ("family-name:ash*", &["0019"]),
            ("family-name:ash?rove", &["0019"]),
            ("family-name:*grove", &["0019"]),
            ("family-name:*", &["0019", "0043", "0051", "006X", "0078", "0086", "0123", "0131", "014X"]),
            ("credit-name:\"E. T. Quillfeather\"", &["0043"]),
            ("credit-name:\"quillfeather e\"", &[]),
            ("other-names:eschenhain", &["0019"]),
            ("given-and-family-names:\"zoe nguyen astrom\"", &["0086"]),
            ("email:rowan@practice-campus.example", &["0019"]),
            ("email:*@practice-campus.example", &["0019"]),
            ("affiliation-org-name:\"Practice University\"", &["0019", "0035", "0043", "006X"]),
            ("affiliation-org-name:(practice AND university)", &["0019", "0035", "0043", "006X"]),
            ("current-institution-affiliation-name:\"Practice University\"", &["0019", "0035", "0043"]),
            ("past-institution-affiliation-name:\"practice university\"", &["006X"]),
            ("ror-org-id:\"https://ror.org/00cmpvs00\"", &["0019", "0035", "0043", "006X"]),
            ("grid-org-id:grid.000000.0", &["0019", "0043"]),
            ("keyword:\"fluvial geomorphology\"", &["0019"]),
            ("doi-self:\"10.5555/rivers.2023.1\"", &["0019"]),
            ("doi-self:10.5555\\/rivers.2023.1", &["0019"]),
            ("doi-version-of:\"10.5555/data.6\"", &["0019"]),
            ("issn-part-of:\"0000-0000\"", &["0019"]),
            ("digital-object-ids:\"10.5555/letters.1\"", &["0043"]),
            ("external-id-type-and-value:\"ISNI=0000000000000043\"", &["0043"]),
            ("grant-numbers:\"MBSF-42\"", &["0019"]),
            ("work-titles:\"rivers that do not exist\"", &["0019", "0051"]),
            ("peer-review-role:editor", &["0043"]),
            ("text:meanders", &["0019"]),
            ("meanders quillfeather", &["0019", "0043"]),
            ("+meanders quillfeather", &["0019"]),
            ("quillfeather -letters", &[]),
            ("rowan OR quillfeather AND letters", &["0043"]),
            ("(rowan OR quillfeather) AND NOT letters", &["0019"]),
            ("(rowan || quillfeather) && !letters", &["0019"]),
            ("family-name:[ash TO ask]", &["0019"]),
            ("family-name:{ashgrove TO ask}", &[]),
            ("family-name:ashgrove^10 ~", &["0019"]),
            ("family-name:ashgrove~0.8", &["0019"]),
            ("{!edismax qf=\"given-names^50\"}kartika", &["0035"]),
            ("欧阳", &["0051"]),
            ("NOT family-name:*", &["0027", "0035", "0158"]),
            ("profile-submission-date:[NOW-1DAY TO *]", &[]),
            ("profile-submission-date:\"2024-01-15T00:00:00Z\" AND rowan", &["0019"]),
            ("profile-last-modified-date:[* TO 2024-01-16T00:00:00Z} AND tamsin", &["0131"]),
            ("", &[]),
            ("   ", &[]),
        ];
        for (query, expected) in table {
            assert_eq!(
                found(query).as_deref(),
                Ok(*expected).map(|ids| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{query}"
            );
        }
        assert_eq!(found("*:*").map(|ids| ids.len()), Ok(12));
    }

    #[test]
    fn what_is_not_public_is_not_found() {
        for hidden in [
            "stillwater",
            "halfdoor",
            "hinges",
            "email:person-0019@simulated.example",
            "email:r.ashgrove@lab.example",
            "email:rowan@old-campus.example",
            "treasure",
            "keyword:dowsing",
            "\"Embargoed deposit\"",
            "doi-self:\"10.5555/draft.1\"",
            "given-names:*bidden",
        ] {
            assert_eq!(found(hidden), Ok(Vec::new()), "{hidden}");
        }
    }

    #[test]
    fn what_has_no_meaning() {
        let deep = "(".repeat(40);
        let many = "a ".repeat(1_025);
        for query in [
            "orcid:",
            "AND a",
            "a AND",
            "a OR OR b",
            "(a",
            "a)",
            "()",
            "\"a",
            "a\\",
            "family-name:[a TO",
            "family-name:[a b]",
            "family-name:[TO b]",
            "a]",
            "nonsense:a",
            "doi-self:10.5555/abc",
            "ror-org-id:https://ror.org/00cmpvs00",
            "/a/",
            "a^",
            "++a",
            "*:a",
            "profile-submission-date:yesterday",
            "profile-submission-date:2024*",
            &deep,
            &many,
            &"a".repeat(600),
            &"a ".repeat(9_000),
        ] {
            assert!(found(query).is_err(), "{query}");
        }
    }

    #[test]
    fn patterns() {
        let fits = |pattern: &str, text| {
            let glyph = |c| match c {
                '*' => Glyph::Any,
                '?' => Glyph::One,
                c => Glyph::Letter(c),
            };
            matches_pattern(&pattern.chars().map(glyph).collect::<Vec<_>>(), text)
        };
        for (pattern, text, expected) in [
            ("a*b", "axxb", true),
            ("a*b", "ab", true),
            ("a*b", "abc", false),
            ("*", "", true),
            ("?", "", false),
            ("a?c*", "abc", true),
            ("*ab*ab", "abxab", true),
            ("*ab*ab", "xab", false),
            ("", "", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
