//! [`HandOff`]: how the verified identity reaches an app, as headers made from templates. Compiled from
//! `[hand-off]`; `proxy::introduction` takes what [`HandOff::values`] returns, and only that.

use super::app_cookies::AppCookies;
use super::encoding::{Encoding, tame};
use crate::domain::Identity;
use http::{HeaderName, HeaderValue};

/// Longest header value in bytes; longer ones are left out, never cut (T13).
pub const MAX_VALUE: usize = 4096;

/// What an app is told about the visitor.
#[derive(Clone, Debug)]
pub struct HandOff {
    pub headers: Vec<HeaderTemplate>,
    pub encoding: Encoding,
    pub assertion: Option<AssertionSpec>,
    /// The app's own cookies that nobody else may bring along; none unless the site says so.
    pub app_cookies: Option<AppCookies>,
}

/// One header and what it says.
#[derive(Clone, Debug)]
pub struct HeaderTemplate {
    pub name: HeaderName,
    /// `NAME-Encoding`, which accompanies an encoded value and names the encoding.
    pub marker: HeaderName,
    pub value: Template,
}

/// A signed assertion (JWT) in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionSpec {
    pub header: HeaderName,
    /// The `aud` claim; no two sites share one (T18).
    pub audience: String,
}

/// A text with placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Value(Placeholder),
}

/// What a template can speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    Id,
    Uri,
    IdCompact,
    Name,
    GivenName,
    FamilyName,
    Scopes,
    SessionExpires,
}

impl Placeholder {
    pub(super) const WORDS: &'static [(&'static str, Placeholder)] = &[
        ("id", Placeholder::Id),
        ("uri", Placeholder::Uri),
        ("id_compact", Placeholder::IdCompact),
        ("name", Placeholder::Name),
        ("given_name", Placeholder::GivenName),
        ("family_name", Placeholder::FamilyName),
        ("scopes", Placeholder::Scopes),
        ("session_expires", Placeholder::SessionExpires),
    ];

    /// Chosen by the person, so anything may stand in it.
    fn is_free_text(self) -> bool {
        matches!(self, Placeholder::Name | Placeholder::GivenName | Placeholder::FamilyName)
    }

    fn fill(self, identity: &Identity) -> String {
        let name = |name: &Option<String>| tame(name.as_deref().unwrap_or_default());
        match self {
            Placeholder::Id => identity.subject.to_string(),
            Placeholder::Uri => identity.uri().unwrap_or_default(),
            Placeholder::IdCompact => identity.subject.orcid().map(|id| id.compact()).unwrap_or_default(),
            Placeholder::Name => name(&identity.name),
            Placeholder::GivenName => name(&identity.given_name),
            Placeholder::FamilyName => name(&identity.family_name),
            Placeholder::Scopes => identity.scopes.to_string(),
            Placeholder::SessionExpires => identity.session_expires.0.to_string(),
        }
    }
}

/// Why a text is not a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    #[error("there is no placeholder `{{{0}}}`")]
    Unknown(String),
    #[error("a `{{` or `}}` has no partner")]
    Braces,
    #[error("the text around placeholders is printable ASCII")]
    Characters,
    #[error("a template has 1 to 1024 characters")]
    Length,
}

impl Template {
    /// Reads `{id}`, `ORCID {uri}`, `{given_name} {family_name}`.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        if text.is_empty() || text.len() > 1024 {
            return Err(BadTemplate::Length);
        }
        if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return Err(BadTemplate::Characters);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            if rest[open..].starts_with('}') {
                return Err(BadTemplate::Braces);
            }
            if open > 0 {
                parts.push(Part::Literal(rest[..open].to_owned()));
            }
            let close = rest[open..].find('}').ok_or(BadTemplate::Braces)?;
            let word = &rest[open + 1..open + close];
            let known = Placeholder::WORDS.iter().find(|(name, _)| *name == word);
            parts.push(Part::Value(known.ok_or_else(|| BadTemplate::Unknown(word.to_owned()))?.1));
            rest = &rest[open + close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    fn has_free_text(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value(value) if value.is_free_text()))
    }

    /// `None` when every placeholder is empty. A name that `encoding` cannot say is empty, whatever is beside it.
    fn fill(&self, identity: &Identity, encoding: Encoding) -> Option<String> {
        let mut text = String::new();
        let mut said_something = !self.parts.iter().any(|part| matches!(part, Part::Value(_)));
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Value(placeholder) => {
                    let mut value = placeholder.fill(identity);
                    if placeholder.is_free_text() && !encoding.can_say(&value) {
                        value.clear();
                    }
                    said_something |= !value.is_empty();
                    text.push_str(&value);
                }
            }
        }
        said_something.then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
    }
}

impl HandOff {
    /// Nothing at all: portals, `preset = "none"`.
    pub fn nothing() -> Self {
        Self { headers: Vec::new(), encoding: Encoding::Percent, assertion: None, app_cookies: None }
    }

    /// The headers to write: the preset's, then the site's own by name. A value that is empty, too long, or in any way
    /// unfit for a header is left out; the app then sees no such header at all.
    pub fn values(&self, identity: &Identity) -> Vec<(HeaderName, HeaderValue)> {
        let mut out = Vec::with_capacity(self.headers.len() + 2);
        for header in &self.headers {
            let Some(plain) = header.value.fill(identity, self.encoding) else { continue };
            let encoded = if header.value.has_free_text() { self.encoding.apply(&plain) } else { None };
            let (value, marked) = match encoded {
                None => (plain, false),
                Some(None) => continue,
                Some(Some(text)) => (text, true),
            };
            let Some(value) = header_value(&value, marked && self.encoding == Encoding::Utf8) else { continue };
            out.push((header.name.clone(), value));
            if marked {
                out.push((header.marker.clone(), HeaderValue::from_static(self.encoding.as_str())));
            }
        }
        out
    }
}

/// Printable ASCII, and bytes beyond only where the site asked for raw UTF-8.
fn header_value(text: &str, utf8: bool) -> Option<HeaderValue> {
    let fit = text.len() <= MAX_VALUE && text.bytes().all(|byte| (0x20..0x7f).contains(&byte) || utf8 && byte >= 0x80);
    if fit { HeaderValue::from_bytes(text.as_bytes()).ok() } else { None }
}

#[cfg(test)]
#[path = "handoff_tests.rs"]
mod tests;
