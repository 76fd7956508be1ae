//! The words and signs of a query, by the lexical rules of Lucene's classic parser, which ORCID's search uses
//! (`orcid.md` §8.1). Pure; called by `parser`.

/// Longest query in bytes, and its longest single word.
const LONGEST_QUERY: usize = 16 * 1024;
const LONGEST_WORD: usize = 512;
/// Most words and signs, somewhat more than the clauses Solr allows.
const MOST_TOKENS: usize = 4_096;

/// Why a query has no meaning.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault(pub(super) String);

pub(super) fn fault<T>(why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault(why.into()))
}

/// One letter of a word; stars and question marks stand for others unless they were escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Glyph {
    Letter(char),
    One,
    Any,
}

/// One end of a range; `None` is open.
pub(super) type Bound = Option<String>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Plus,
    Minus,
    Open,
    Close,
    Colon,
    /// `^2`, whose number is read and forgotten: nothing here is ranked.
    Boost,
    /// `~` or `~2`, read and forgotten.
    Near,
    Word(Vec<Glyph>),
    Phrase(String),
    Range {
        low: Bound,
        high: Bound,
        with_low: bool,
        with_high: bool,
    },
}

/// Reads the whole text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    if text.len() > LONGEST_QUERY {
        return fault(format!("the query is longer than {LONGEST_QUERY} bytes"));
    }
    let mut reader = Reader { rest: text };
    let mut tokens = Vec::new();
    while let Some(token) = reader.token()? {
        if tokens.len() >= MOST_TOKENS {
            return fault(format!("more than {MOST_TOKENS} words and signs"));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn token(&mut self) -> Result<Option<Token>, Fault> {
        self.rest = self.rest.trim_start_matches(is_blank);
        let Some(first) = self.peek() else { return Ok(None) };
        let sign = match first {
            '+' => Token::Plus,
            '-' => Token::Minus,
            '!' => Token::Not,
            '(' => Token::Open,
            ')' => Token::Close,
            ':' => Token::Colon,
            '"' => return self.phrase().map(|text| Some(Token::Phrase(text))),
            '[' | '{' => return self.range().map(Some),
            '^' | '~' => return self.number().map(Some),
            ']' | '}' => return fault(format!("`{first}` ends a range that does not begin")),
            '/' => return fault("a pattern between slashes is not understood here; put an address or a DOI in quotes"),
            _ => return self.word().map(Some),
        };
        self.next();
        Ok(Some(sign))
    }

    fn word(&mut self) -> Result<Token, Fault> {
        let mut glyphs = Vec::new();
        let before = self.rest;
        while let Some(c) = self.peek() {
            let glyph = match c {
                '*' => Glyph::Any,
                '?' => Glyph::One,
                '\\' => {
                    self.next();
                    match self.peek() {
                        Some(escaped) => Glyph::Letter(escaped),
                        None => return fault("a backslash at the end"),
                    }
                }
                // Within a word these two are letters.
                '+' | '-' => Glyph::Letter(c),
                c if is_blank(c) || "!():^[]\"{}~/".contains(c) => break,
                c => Glyph::Letter(c),
            };
            self.next();
            if glyphs.len() >= LONGEST_WORD {
                return fault(format!("a word is longer than {LONGEST_WORD} letters"));
            }
            glyphs.push(glyph);
        }
        Ok(match &before[..before.len() - self.rest.len()] {
            "AND" | "&&" => Token::And,
            "OR" | "||" => Token::Or,
            "NOT" => Token::Not,
            _ => Token::Word(glyphs),
        })
    }

    /// What stands between quotes, without its escapes.
    fn phrase(&mut self) -> Result<String, Fault> {
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.extend(self.next()),
                Some(c) => text.push(c),
                None => return fault("a quotation does not end"),
            }
        }
    }

    /// The number behind `^`, which must be there, or behind `~`, which need not.
    fn number(&mut self) -> Result<Token, Fault> {
        let sign = self.next();
        let length = self.rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, rest) = self.rest.split_at(length);
        self.rest = rest;
        let is_number = number.parse::<f64>().is_ok();
        match (sign, number) {
            (Some('~'), "") => Ok(Token::Near),
            (Some('~'), _) if is_number => Ok(Token::Near),
            (_, _) if is_number => Ok(Token::Boost),
            _ => fault("a number was expected"),
        }
    }

    fn range(&mut self) -> Result<Token, Fault> {
        let with_low = self.next() == Some('[');
        let low = self.bound()?;
        self.rest = self.rest.trim_start_matches(is_blank);
        let Some(rest) = self.rest.strip_prefix("TO").filter(|rest| rest.starts_with(is_blank)) else {
            return fault("`TO` was expected in a range");
        };
        self.rest = rest;
        let high = self.bound()?;
        self.rest = self.rest.trim_start_matches(is_blank);
        let with_high = match self.next() {
            Some(']') => true,
            Some('}') => false,
            _ => return fault("a range does not end"),
        };
        Ok(Token::Range { low, high, with_low, with_high })
    }

    fn bound(&mut self) -> Result<Bound, Fault> {
        self.rest = self.rest.trim_start_matches(is_blank);
        if self.peek() == Some('"') {
            return self.phrase().map(Some);
        }
        let length = self.rest.find(|c| is_blank(c) || c == ']' || c == '}').unwrap_or(self.rest.len());
        let (bound, rest) = self.rest.split_at(length);
        self.rest = rest;
        match bound {
            "" => fault("a range has no bound"),
            "*" => Ok(None),
            bound => Ok(Some(bound.replace('\\', ""))),
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{3000}')
}
