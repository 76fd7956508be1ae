//! The neutral description of an answer: one tree, of which `json` and `xml` each make their text. Fields stand in
//! the order of ORCID's JSON; the elements among them are in the order of its XML schema. Built by `view` and `api`.

use crate::domain::UnixTime;
use std::borrow::Cow;

/// The name of an element: a namespace of ORCID's, which is also its prefix, and a local name. JSON has the
/// local name alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) struct Tag {
    pub(in crate::simulator) namespace: &'static str,
    pub(in crate::simulator) name: &'static str,
}

pub(in crate::simulator) const fn tag(namespace: &'static str, name: &'static str) -> Tag {
    Tag { namespace, name }
}

pub(in crate::simulator) const fn common(name: &'static str) -> Tag {
    tag("common", name)
}

/// An answer as a whole.
pub(in crate::simulator) struct Document {
    pub(in crate::simulator) root: Tag,
    pub(in crate::simulator) content: Object,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Value {
    /// `null` in JSON, nothing in XML.
    Null,
    Text(String),
    Number(i64),
    Bool(bool),
    /// A word out of a list, in version 3.0's spelling.
    Word(Cow<'static, str>),
    /// A word that JSON and XML spell differently in every version.
    Spelt {
        json: &'static str,
        xml: &'static str,
    },
    /// Milliseconds in JSON, a date and time in XML.
    Instant(UnixTime),
    Object(Object),
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Field {
    Element(Tag, Value),
    /// An attribute in XML.
    Attribute(&'static str, Value),
    /// What an XML element has between its tags where JSON has `"value"`.
    Content(Value),
    /// An array in JSON; in XML one element each, inside `wrapper` if there is one.
    Items {
        tag: Tag,
        wrapper: Option<Tag>,
        items: Vec<Value>,
    },
    /// Items of several kinds: an array of one-key objects in JSON, one element each in XML.
    Variants {
        key: &'static str,
        items: Vec<(Tag, Object)>,
    },
}

/// Fields in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::simulator) struct Object(pub(in crate::simulator) Vec<Field>);

impl Object {
    pub(in crate::simulator) fn new() -> Self {
        Self::default()
    }

    fn with(mut self, field: Field) -> Self {
        self.0.push(field);
        self
    }

    pub(in crate::simulator) fn element(self, tag: Tag, value: impl Into<Value>) -> Self {
        self.with(Field::Element(tag, value.into()))
    }

    /// An element whose JSON is `{"value": …}`, as ORCID wraps most texts and every date (`orcid.md` §8.6).
    pub(in crate::simulator) fn wrapped(self, tag: Tag, value: impl Into<Value>) -> Self {
        self.element(tag, wrapped(value))
    }

    pub(in crate::simulator) fn attribute(self, name: &'static str, value: impl Into<Value>) -> Self {
        self.with(Field::Attribute(name, value.into()))
    }

    pub(in crate::simulator) fn content(self, value: impl Into<Value>) -> Self {
        self.with(Field::Content(value.into()))
    }

    pub(in crate::simulator) fn items<V: Into<Value>>(self, tag: Tag, items: impl IntoIterator<Item = V>) -> Self {
        let items = items.into_iter().map(Into::into).collect();
        self.with(Field::Items { tag, wrapper: None, items })
    }

    pub(in crate::simulator) fn wrapped_items(self, wrapper: Tag, tag: Tag, items: Vec<Object>) -> Self {
        let items = items.into_iter().map(Into::into).collect();
        self.with(Field::Items { tag, wrapper: Some(wrapper), items })
    }

    pub(in crate::simulator) fn variants(self, key: &'static str, items: Vec<(Tag, Object)>) -> Self {
        self.with(Field::Variants { key, items })
    }

    /// Further fields behind these.
    pub(in crate::simulator) fn and(mut self, more: Object) -> Self {
        self.0.extend(more.0);
        self
    }
}

/// A value as `{"value": …}`; null stays null.
pub(in crate::simulator) fn wrapped(value: impl Into<Value>) -> Value {
    match value.into() {
        Value::Null => Value::Null,
        value => Value::Object(Object::new().content(value)),
    }
}

/// A word out of a list.
pub(in crate::simulator) fn word(text: impl Into<Cow<'static, str>>) -> Value {
    Value::Word(text.into())
}

impl<V: Into<Value>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Text(text.clone())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<UnixTime> for Value {
    fn from(at: UnixTime) -> Self {
        Value::Instant(at)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object)
    }
}
