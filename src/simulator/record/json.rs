//! The JSON of a tree, compact or as Jackson's pretty printer sets it (`orcid.md` §8.2, §8.6).

use super::tree::{Field, Object, Value};

/// How enumerations are spelt: version 3.0 has `journal-article`, 2.x `JOURNAL_ARTICLE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulator) enum Words {
    AsInXml,
    Capitals,
}

/// The text of an object.
pub(in crate::simulator) fn text(object: &Object, pretty: bool, words: Words) -> String {
    let mut writer = Writer { out: String::new(), pretty, words, depth: 0 };
    writer.object(object);
    writer.out
}

struct Writer {
    out: String,
    pretty: bool,
    words: Words,
    /// Objects we are in. Arrays do not indent.
    depth: usize,
}

impl Writer {
    fn object(&mut self, object: &Object) {
        self.braces(&object.0, |writer, field| match field {
            Field::Element(tag, value) => writer.member(tag.name, value),
            Field::Attribute(name, value) => writer.member(name, value),
            Field::Content(value) => writer.member("value", value),
            Field::Items { tag, items, .. } => {
                writer.key(tag.name);
                writer.array(items, |writer, item| writer.value(item));
            }
            Field::Variants { key, items } => {
                writer.key(key);
                writer.array(items, |writer, (tag, item)| {
                    writer.braces(&[item], |writer, item| {
                        writer.key(tag.name);
                        writer.object(item);
                    });
                });
            }
        });
    }

    fn member(&mut self, key: &str, value: &Value) {
        self.key(key);
        self.value(value);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.out.push_str("null"),
            Value::Text(text) => self.string(text),
            Value::Number(number) => self.out.push_str(&number.to_string()),
            Value::Bool(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Word(word) => match self.words {
                Words::AsInXml => self.string(word),
                Words::Capitals => self.string(&word.to_ascii_uppercase().replace('-', "_")),
            },
            Value::Spelt { json, .. } => self.string(json),
            Value::Instant(at) => self.out.push_str(&at.0.saturating_mul(1_000).to_string()),
            Value::Object(object) => self.object(object),
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push_str(&serde_json::Value::from(text).to_string());
    }

    fn key(&mut self, key: &str) {
        self.string(key);
        self.out.push_str(if self.pretty { " : " } else { ":" });
    }

    fn braces<T>(&mut self, members: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.out.push('{');
        self.depth += 1;
        for (at, member) in members.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.line();
            write(self, member);
        }
        self.depth -= 1;
        if members.is_empty() && self.pretty {
            self.out.push(' ');
        } else {
            self.line();
        }
        self.out.push('}');
    }

    fn array<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.out.push('[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            self.space();
            write(self, item);
        }
        self.space();
        self.out.push(']');
    }

    fn space(&mut self) {
        if self.pretty {
            self.out.push(' ');
        }
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push('\n');
            self.out.push_str(&"  ".repeat(self.depth));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{common, tag, word, wrapped};
    use super::*;
    use crate::domain::UnixTime;

    fn sample() -> Object {
        Object::new()
            .wrapped(common("last-modified-date"), UnixTime(1_559_916_358))
            .wrapped(common("nothing"), None::<&str>)
            .items(tag("a", "empty"), Vec::<Object>::new())
            .items(tag("a", "group"), [Object::new().attribute("put-code", 7)])
            .items(tag("a", "other-name"), ["x", "ÿ\u{1}\"\\/"])
            .variants(
                "summaries",
                vec![(tag("e", "employment-summary"), Object::new().attribute("visibility", word("a-b")))],
            )
            .element(tag("a", "title"), Object::new().content("t").attribute("language-code", "fr"))
            .element(tag("a", "bare"), Object::new())
            .element(tag("a", "again"), wrapped(true))
    }

    #[test]
    fn compact_and_pretty() {
        assert_eq!(
            text(&sample(), false, Words::AsInXml),
            r#"{"last-modified-date":{"value":1559916358000},"nothing":null,"empty":[],"group":[{"put-code":7}],"other-name":["x","ÿ\u0001\"\\/"],"summaries":[{"employment-summary":{"visibility":"a-b"}}],"title":{"value":"t","language-code":"fr"},"bare":{},"again":{"value":true}}"#
        );
        assert_eq!(
            text(&sample(), true, Words::Capitals),
            r#"{
  "last-modified-date" : {
    "value" : 1559916358000
  },
  "nothing" : null,
  "empty" : [ ],
  "group" : [ {
    "put-code" : 7
  } ],
  "other-name" : [ "x", "ÿ\u0001\"\\/" ],
  "summaries" : [ {
    "employment-summary" : {
      "visibility" : "A_B"
    }
  } ],
  "title" : {
    "value" : "t",
    "language-code" : "fr"
  },
  "bare" : { },
  "again" : {
    "value" : true
  }
}"#
        );
    }
}
