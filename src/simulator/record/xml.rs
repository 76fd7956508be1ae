//! The XML of a tree as ORCID's servers set it: every namespace on the root, its prefix its own name, four spaces
//! (`orcid.md` §8.2; prefixes and order after ORCID's published samples).

use super::tree::{Document, Field, Object, Tag, Value};
use super::version::Version;
use crate::simulator::calendar;
use quick_xml::Writer;
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::name::QName;
use std::borrow::Cow;
use std::io;

/// What version 3.0 declares on the root of a record or any part of it.
const RECORD: &[&str] = &[
    "internal",
    "education",
    "distinction",
    "deprecated",
    "other-name",
    "membership",
    "error",
    "common",
    "record",
    "personal-details",
    "keyword",
    "email",
    "external-identifier",
    "funding",
    "preferences",
    "address",
    "invited-position",
    "work",
    "history",
    "employment",
    "qualification",
    "service",
    "person",
    "activities",
    "researcher-url",
    "peer-review",
    "bulk",
    "research-resource",
];

/// What is not in versions 2.0 and 2.1.
const NEW: &[&str] =
    &["distinction", "invited-position", "membership", "qualification", "service", "research-resource"];

/// The text of a document.
pub(in crate::simulator) fn text(document: &Document, version: Version) -> io::Result<String> {
    let mut writer = Xml { out: Writer::new_with_indent(Vec::new(), b' ', 4), unprefixed: None };
    writer.out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), Some("yes"))))?;
    let namespace = document.root.namespace;
    // An error alone is in the default namespace; inside of a bulk answer it has its prefix.
    writer.unprefixed = (namespace == "error").then_some("error");
    let declared: Vec<(String, String)> = match namespace {
        "error" => vec![("xmlns".to_owned(), address("error"))],
        "search" => declare(&["search", "common"]),
        "expanded-search" => declare(&["expanded-search"]),
        "client" => declare(&["client"]),
        "summary" => declare(&["summary", "common", "activities"]),
        _ if version.is_old() => {
            declare(&RECORD.iter().copied().filter(|known| !NEW.contains(known)).collect::<Vec<_>>())
        }
        _ => declare(RECORD),
    };
    writer.element(document.root, &document.content, &declared)?;
    String::from_utf8(writer.out.into_inner()).map_err(io::Error::other)
}

fn address(namespace: &str) -> String {
    format!("http://www.orcid.org/ns/{namespace}")
}

fn declare(namespaces: &[&str]) -> Vec<(String, String)> {
    namespaces.iter().map(|&namespace| (format!("xmlns:{namespace}"), address(namespace))).collect()
}

struct Xml {
    out: Writer<Vec<u8>>,
    unprefixed: Option<&'static str>,
}

impl Xml {
    fn name(&self, tag: Tag) -> String {
        match self.unprefixed {
            Some(namespace) if namespace == tag.namespace => tag.name.to_owned(),
            _ => format!("{}:{}", tag.namespace, tag.name),
        }
    }

    fn element(&mut self, tag: Tag, object: &Object, declared: &[(String, String)]) -> io::Result<()> {
        let name = self.name(tag);
        let mut start = BytesStart::new(name.as_str());
        for field in &object.0 {
            if let Field::Attribute(key, value) = field
                && let Some(text) = plain(value)
            {
                // As it is: the library would escape what has been escaped.
                start.push_attribute(Attribute { key: QName(key), value: escaped(&text, true).into() });
            }
        }
        for (key, value) in declared {
            start.push_attribute((key.as_str(), value.as_str()));
        }
        if !object.0.iter().any(has_inside) {
            return self.out.write_event(Event::Empty(start));
        }
        self.out.write_event(Event::Start(start))?;
        for field in &object.0 {
            self.inside(field)?;
        }
        self.out.write_event(Event::End(BytesEnd::new(name.as_str())))
    }

    fn inside(&mut self, field: &Field) -> io::Result<()> {
        match field {
            Field::Attribute(..) => Ok(()),
            Field::Content(value) => self.plain_text(value),
            Field::Element(tag, value) => self.value(*tag, value),
            Field::Items { tag, wrapper: None, items } => items.iter().try_for_each(|item| self.value(*tag, item)),
            Field::Items { items, wrapper: Some(_), .. } if items.is_empty() => Ok(()),
            Field::Items { tag, wrapper: Some(wrapper), items } => {
                let name = self.name(*wrapper);
                self.out.write_event(Event::Start(BytesStart::new(name.as_str())))?;
                items.iter().try_for_each(|item| self.value(*tag, item))?;
                self.out.write_event(Event::End(BytesEnd::new(name.as_str())))
            }
            Field::Variants { items, .. } => items.iter().try_for_each(|(tag, object)| self.element(*tag, object, &[])),
        }
    }

    fn value(&mut self, tag: Tag, value: &Value) -> io::Result<()> {
        match value {
            Value::Null => Ok(()),
            Value::Object(object) => self.element(tag, object, &[]),
            value => {
                let name = self.name(tag);
                self.out.write_event(Event::Start(BytesStart::new(name.as_str())))?;
                self.plain_text(value)?;
                self.out.write_event(Event::End(BytesEnd::new(name.as_str())))
            }
        }
    }

    fn plain_text(&mut self, value: &Value) -> io::Result<()> {
        match plain(value) {
            Some(text) => self.out.write_event(Event::Text(BytesText::from_escaped(escaped(&text, false)))),
            None => Ok(()),
        }
    }
}

/// Whether a field puts anything between the tags.
fn has_inside(field: &Field) -> bool {
    match field {
        Field::Attribute(..) => false,
        Field::Content(value) | Field::Element(_, value) => !matches!(value, Value::Null),
        Field::Items { items, .. } => !items.is_empty(),
        Field::Variants { items, .. } => !items.is_empty(),
    }
}

fn plain(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Text(text) => Some(text.into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Bool(truth) => Some(if *truth { "true".into() } else { "false".into() }),
        Value::Word(word) => Some(word.as_ref().into()),
        Value::Spelt { xml, .. } => Some((*xml).into()),
        Value::Instant(at) => Some(calendar::instant(*at).into()),
    }
}

/// Text as it stands between tags or quotes, without the characters XML 1.0 cannot hold at all (§2.2), not even
/// escaped. A line's end in an attribute, and a carriage return anywhere, would not come back as what it was.
fn escaped(text: &str, in_attribute: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\t' | '\n' if in_attribute => out.push_str(&format!("&#{};", u32::from(c))),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tree::{common, tag, word};
    use super::*;
    use crate::domain::UnixTime;

    #[test]
    fn elements_attributes_and_what_must_be_escaped() {
        let item = Object::new()
            .wrapped(common("created-date"), UnixTime(0))
            .wrapped(common("nothing"), None::<&str>)
            .element(common("external-ids"), Object::new().items(common("external-id"), Vec::<Object>::new()))
            .element(
                tag("work", "title"),
                Object::new().content("a < b & \u{1}\"c\"\r\n\t'").attribute("language-code", "f\"<\nr'"),
            )
            .attribute("visibility", word("limited"))
            .attribute("path", None::<&str>);
        let document = Document {
            root: tag("search", "search"),
            content: Object::new()
                .attribute("num-found", 1)
                .variants("bulk", vec![(tag("work", "work"), item)])
                .items(tag("a", "email"), ["x"])
                .wrapped_items(tag("r", "resource-items"), tag("r", "resource-item"), vec![Object::new()]),
        };
        assert_eq!(
            text(&document, Version::V3_0).unwrap(),
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<search:search num-found="1" xmlns:search="http://www.orcid.org/ns/search" xmlns:common="http://www.orcid.org/ns/common">
    <work:work visibility="limited">
        <common:created-date>1970-01-01T00:00:00.000Z</common:created-date>
        <common:external-ids/>
        <work:title language-code="f&quot;&lt;&#10;r'">a &lt; b &amp; "c"&#13;
	'</work:title>
    </work:work>
    <a:email>x</a:email>
    <r:resource-items>
        <r:resource-item/>
    </r:resource-items>
</search:search>"#
        );
    }
}
