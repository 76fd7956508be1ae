//! From words and signs to a [`Query`], by the grammar of Lucene's classic parser with OR in between: `AND` binds
//! the two beside it and nothing else has a rank (`a OR b AND c` needs b and c). Pure; called by `search`.

use super::document::{Kind, kind_of};
use super::lexer::{Bound, Fault, Glyph, Token, fault, tokens};
use super::moment;
use crate::domain::UnixTime;

/// How deep parentheses may go.
const DEEPEST: usize = 32;
/// As Solr's `maxBooleanClauses`.
const MOST_CLAUSES: usize = 1_024;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Occur {
    Should,
    Must,
    Never,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) occur: Occur,
    pub(super) node: Node,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// `*:*`
    Everybody,
    All(Vec<Clause>),
    Leaf {
        field: String,
        kind: Kind,
        test: Test,
    },
}

/// What is asked of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// `field:*`
    Present,
    Word(String),
    Phrase(String),
    Pattern(Vec<Glyph>),
    Range {
        low: Bound,
        high: Bound,
        with_low: bool,
        with_high: bool,
    },
    /// From the first to before the second.
    Time {
        from: UnixTime,
        before: UnixTime,
    },
}

/// Reads a query; `now` is what `NOW` means in it. `None`: there is nothing in it.
pub(super) fn parse(text: &str, now: UnixTime) -> Result<Option<Vec<Clause>>, Fault> {
    let tokens = tokens(without_local_parameters(text))?;
    if tokens.is_empty() {
        return Ok(None);
    }
    let mut parser = Parser { tokens: tokens.into_iter().peekable(), left: MOST_CLAUSES, now };
    let mut clauses = parser.clauses("text", 0)?;
    if parser.tokens.next().is_some() {
        return fault("a closing parenthesis too many");
    }
    // At the top, "not this" alone means everybody else.
    if clauses.iter().all(|clause| clause.occur == Occur::Never) {
        clauses.push(Clause { occur: Occur::Must, node: Node::Everybody });
    }
    Ok(Some(clauses))
}

/// `{!edismax qf=…}` in front chooses another of Solr's parsers and its weights, which change the order alone.
fn without_local_parameters(text: &str) -> &str {
    let text = text.trim();
    match text.strip_prefix("{!").and_then(|rest| rest.split_once('}')) {
        Some((_, query)) => query,
        None => text,
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    left: usize,
    now: UnixTime,
}

impl Parser {
    /// Clauses up to a closing parenthesis or the end, at least one.
    fn clauses(&mut self, field: &str, depth: usize) -> Result<Vec<Clause>, Fault> {
        if depth > DEEPEST {
            return fault(format!("more than {DEEPEST} parentheses inside each other"));
        }
        let mut clauses: Vec<Clause> = Vec::new();
        loop {
            let conjunction = match self.tokens.peek() {
                None | Some(Token::Close) if !clauses.is_empty() => return Ok(clauses),
                Some(Token::And | Token::Or) if !clauses.is_empty() => self.tokens.next(),
                _ => None,
            };
            let modifier = match self.tokens.peek() {
                Some(Token::Plus | Token::Minus | Token::Not) => self.tokens.next(),
                _ => None,
            };
            let node = self.clause(field, depth)?;
            if conjunction == Some(Token::And)
                && let Some(before) = clauses.last_mut().filter(|before| before.occur == Occur::Should)
            {
                before.occur = Occur::Must;
            }
            let occur = match (modifier, conjunction) {
                (Some(Token::Minus | Token::Not), _) => Occur::Never,
                (Some(Token::Plus), _) | (_, Some(Token::And)) => Occur::Must,
                _ => Occur::Should,
            };
            clauses.push(Clause { occur, node });
        }
    }

    fn clause(&mut self, field: &str, depth: usize) -> Result<Node, Fault> {
        self.left = match self.left.checked_sub(1) {
            Some(left) => left,
            None => return fault(format!("more than {MOST_CLAUSES} clauses")),
        };
        let node = match self.tokens.next() {
            Some(Token::Word(glyphs)) if self.tokens.peek() == Some(&Token::Colon) => {
                self.tokens.next();
                let field = spelt(&glyphs);
                match self.tokens.next() {
                    Some(token) => self.value(&field, token, depth)?,
                    None => return fault(format!("nothing follows `{field}:`")),
                }
            }
            Some(token) => self.value(field, token, depth)?,
            None => return fault("the query ends where something is missing"),
        };
        while let Some(Token::Boost | Token::Near) = self.tokens.peek() {
            self.tokens.next();
        }
        Ok(node)
    }

    /// What is asked of a field, or several things in parentheses.
    fn value(&mut self, field: &str, token: Token, depth: usize) -> Result<Node, Fault> {
        let test = match token {
            Token::Open => {
                let clauses = self.clauses(field, depth + 1)?;
                return match self.tokens.next() {
                    Some(Token::Close) => Ok(Node::All(clauses)),
                    _ => fault("a closing parenthesis is missing"),
                };
            }
            Token::Word(glyphs) if glyphs == [Glyph::Any] => Test::Present,
            Token::Word(glyphs) if glyphs.iter().all(|glyph| matches!(glyph, Glyph::Letter(_))) => {
                Test::Word(spelt(&glyphs))
            }
            Token::Word(glyphs) => Test::Pattern(glyphs),
            Token::Phrase(text) => Test::Phrase(text),
            Token::Range { low, high, with_low, with_high } => Test::Range { low, high, with_low, with_high },
            token => return fault(format!("{} stands where a word was expected", sign(&token))),
        };
        if field == "*" {
            return if test == Test::Present { Ok(Node::Everybody) } else { fault("`*:` takes `*` alone") };
        }
        let Some(kind) = kind_of(field) else { return fault(format!("undefined field {field}")) };
        let test = if kind == Kind::Time { self.time(test)? } else { test };
        Ok(Node::Leaf { field: field.to_owned(), kind, test })
    }

    /// A test of a time as the span it means.
    fn time(&self, test: Test) -> Result<Test, Fault> {
        let read = |text: &str| moment::read(text, self.now).ok_or_else(|| Fault(format!("invalid date: `{text}`")));
        let after = |at: UnixTime| UnixTime(at.0.saturating_add(1));
        let (mut from, mut before) = (UnixTime(i64::MIN), UnixTime(i64::MAX));
        match test {
            Test::Present => {}
            Test::Word(text) | Test::Phrase(text) => {
                from = read(&text)?;
                before = after(from);
            }
            Test::Range { low, high, with_low, with_high } => {
                if let Some(low) = low {
                    from = read(&low)?;
                    from = if with_low { from } else { after(from) };
                }
                if let Some(high) = high {
                    before = read(&high)?;
                    before = if with_high { after(before) } else { before };
                }
            }
            _ => return fault("a date takes no pattern"),
        }
        Ok(Test::Time { from, before })
    }
}

fn spelt(glyphs: &[Glyph]) -> String {
    let letter = |glyph: &Glyph| match glyph {
        Glyph::Letter(c) => *c,
        Glyph::One => '?',
        Glyph::Any => '*',
    };
    glyphs.iter().map(letter).collect()
}

fn sign(token: &Token) -> &'static str {
    match token {
        Token::And => "`AND`",
        Token::Or => "`OR`",
        Token::Not => "`NOT`",
        Token::Plus => "`+`",
        Token::Minus => "`-`",
        Token::Close => "`)`",
        Token::Colon => "`:`",
        Token::Boost => "`^`",
        Token::Near => "`~`",
        _ => "something",
    }
}
