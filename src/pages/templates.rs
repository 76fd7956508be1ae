//! The template engine: the embedded templates, an operator's own over them, escaping, and the
//! functions `t` and `plain` that fetch texts. Called by [`super::Pages`].

use super::folder::Layers;
use super::texts::{self, Texts};
use crate::domain::Problem;
use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, escape_formatter};
use std::sync::Arc;

const EMBEDDED: &[(&str, &str)] = &[
    ("layout.html", include_str!("templates/layout.html")),
    ("parts.html", include_str!("templates/parts.html")),
    ("sign-in.html", include_str!("templates/sign-in.html")),
    ("portal.html", include_str!("templates/portal.html")),
    ("connected.html", include_str!("templates/connected.html")),
    ("denied.html", include_str!("templates/denied.html")),
    ("sign-out.html", include_str!("templates/sign-out.html")),
    ("signed-out.html", include_str!("templates/signed-out.html")),
    ("broken.html", include_str!("templates/broken.html")),
    ("account.html", include_str!("templates/account.html")),
    ("choose.html", include_str!("templates/choose.html")),
    ("confirm.html", include_str!("templates/confirm.html")),
    ("disconnect.html", include_str!("templates/disconnect.html")),
    ("disconnected.html", include_str!("templates/disconnected.html")),
    ("kept.html", include_str!("templates/kept.html")),
    ("refused.html", include_str!("templates/refused.html")),
    ("notice.html", include_str!("templates/notice.html")),
    ("onward.html", include_str!("templates/onward.html")),
];

/// The names of the embedded templates, which an operator's files may bear to replace them.
pub fn names() -> impl Iterator<Item = &'static str> {
    EMBEDDED.iter().map(|(name, _)| *name)
}

/// The embedded source of a template, for operators who want to start from it.
pub fn source(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, source)| *source)
}

/// An engine with the embedded templates and an operator's over them. It speaks no language yet: see [`speaking`].
pub(super) fn engine(own: Layers<'_>) -> (Environment<'static>, Vec<Problem>) {
    let mut engine = Environment::new();
    let mut problems = Vec::new();
    // A misspelled variable is an error at start, not an empty space on a page.
    engine.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    engine.set_auto_escape_callback(|_| AutoEscape::Html);
    engine.set_recursion_limit(50);
    let mut syntax = minijinja::syntax::SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    match syntax.build() {
        Ok(syntax) => engine.set_syntax(syntax),
        Err(error) => problems.push(complaint(&error, own)),
    }
    engine.set_formatter(|out, state, value| match (state.auto_escape(), value.as_str()) {
        (_, None) if value.is_none() => Ok(()),
        (AutoEscape::Html, Some(text)) if !value.is_safe() => Ok(out.write_str(&escape(text))?),
        _ => escape_formatter(out, state, value),
    });
    let embedded = EMBEDDED.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned()));
    for (name, source) in embedded.chain(own.templates().cloned()) {
        if let Err(error) = engine.add_template_owned(name, source) {
            problems.push(complaint(&error, own));
        }
    }
    (engine, problems)
}

/// The same templates with the texts of one catalogue. The templates themselves are shared, not compiled again.
pub(super) fn speaking(engine: &Environment<'static>, texts: &Arc<Texts>, organisation: &str) -> Environment<'static> {
    let mut engine = engine.clone();
    let organisation: Arc<str> = organisation.into();
    let (known, house) = (Arc::clone(texts), Arc::clone(&organisation));
    engine.add_function("t", move |key: &str, values: Kwargs| rich(&known, &house, key, &values));
    let known = Arc::clone(texts);
    engine.add_function("plain", move |key: &str, values: Kwargs| plain(&known, &organisation, key, &values));
    engine
}

/// What is wrong with a template, with its file and line.
pub(super) fn complaint(error: &Error, own: Layers<'_>) -> Problem {
    let mut message = format!("this template cannot be used: {}", error.kind());
    if let Some(detail) = error.detail() {
        message.push_str(": ");
        message.push_str(detail);
    }
    // The innermost cause knows the place best: a page may fail inside a piece it includes.
    let (mut name, mut line) = (error.name(), error.line());
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(inner) = inner.downcast_ref::<Error>()
            && inner.name().is_some()
        {
            (name, line) = (inner.name(), inner.line());
            message.push_str(&format!(": {}", inner.detail().unwrap_or_default()));
        }
        cause = inner.source();
    }
    let problem = Problem::error(message).file(own.place_of(name.unwrap_or_default()));
    match line {
        Some(line) => problem.line(line),
        None => problem,
    }
}

/// `t("key", name=value)`: the text as safe HTML, each value isolated, so that a name written from
/// right to left does not turn the sentence around.
fn rich(texts: &Texts, organisation: &str, key: &str, values: &Kwargs) -> Result<Value, Error> {
    let isolated = |value: &Value| match value.is_safe() {
        true => value.to_string(),
        false => format!("<bdi>{}</bdi>", escape(&value.to_string())),
    };
    filled(texts, organisation, key, values, escape, isolated).map(Value::from_safe_string)
}

/// `plain("key", name=value)`: the text without markup; whoever prints it escapes it.
fn plain(texts: &Texts, organisation: &str, key: &str, values: &Kwargs) -> Result<Value, Error> {
    filled(texts, organisation, key, values, str::to_owned, |value| value.to_string()).map(Value::from)
}

fn filled(
    texts: &Texts,
    organisation: &str,
    key: &str,
    values: &Kwargs,
    literal: impl FnMut(&str) -> String,
    show: impl Fn(&Value) -> String,
) -> Result<String, Error> {
    let trouble = |detail: String| Error::new(ErrorKind::InvalidOperation, detail);
    let text = texts.get(key).ok_or_else(|| trouble(format!("there is no text `{key}`")))?;
    let mut missing = None;
    let mut value = |name: &str| {
        let given = match values.get::<Value>(name) {
            Ok(value) if !value.is_none() && !value.is_undefined() => Some(show(&value)),
            _ if name == "organisation" => Some(show(&Value::from(organisation))),
            _ => None,
        };
        if given.is_none() {
            missing = Some(name.to_owned());
        }
        given
    };
    let filled = texts::fill(text, literal, &mut value);
    match missing {
        Some(name) => Err(trouble(format!("text `{key}` needs a value for {{{name}}}"))),
        None => Ok(filled),
    }
}

/// Escapes for HTML text and quoted attribute values.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
