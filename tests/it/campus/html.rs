//! Just enough HTML to use a page: its links, forms, headings and visible text. Tolerant as browsers are,
//! and without scripts. Used by `browser`.

/// A link as a reader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub text: String,
    pub href: String,
}

/// One control of a form that sends a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub value: String,
    /// The `type` of an input, or `textarea` or `select`.
    pub kind: String,
    /// A checkbox or radio button that is off sends nothing.
    pub on: bool,
}

/// A button that submits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Button {
    pub label: String,
    pub name: Option<String>,
    pub value: String,
    pub action: Option<String>,
}

/// A form as written; addresses are not resolved yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FormText {
    pub action: String,
    pub method: String,
    pub fields: Vec<Field>,
    pub buttons: Vec<Button>,
}

/// A page taken apart.
#[derive(Clone, Debug, Default)]
pub struct Page {
    pub title: String,
    /// `h1` to `h3`.
    pub headings: Vec<String>,
    pub links: Vec<Link>,
    pub forms: Vec<FormText>,
    /// What can be read, with runs of white space made one blank.
    pub text: String,
    /// Every start tag with its attributes, for tests that look for what must not be there.
    pub tags: Vec<Tag>,
}

/// A start tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Tag {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> String {
        self.attribute(name).unwrap_or_default().to_owned()
    }
}

enum Token {
    Open(Tag),
    Close(String),
    Text(String),
}

/// Reads a page.
pub fn read(html: &str) -> Page {
    let mut reader = Reader::default();
    for token in (Tokens { rest: html }) {
        reader.take(token);
    }
    reader.page.text = squeeze(&reader.page.text);
    reader.page
}

/// Text that is being collected for one element.
enum Collecting {
    Title,
    Heading,
    Link(String),
    Button(Button),
    Textarea(String),
    Option { value: Option<String>, selected: bool },
}

#[derive(Default)]
struct Reader {
    page: Page,
    open: Vec<(Collecting, String)>,
    in_form: bool,
}

impl Reader {
    fn take(&mut self, token: Token) {
        match token {
            Token::Text(text) => {
                for (_, collected) in &mut self.open {
                    collected.push_str(&text);
                }
                let visible = !matches!(self.open.last(), Some((Collecting::Title | Collecting::Textarea(_), _)));
                if visible {
                    self.page.text.push_str(&text);
                }
            }
            Token::Open(tag) => {
                self.start(&tag);
                self.page.text.push(' ');
                self.page.tags.push(tag);
            }
            Token::Close(name) => {
                self.end(&name);
                self.page.text.push(' ');
            }
        }
    }

    fn start(&mut self, tag: &Tag) {
        let collecting = match tag.name.as_str() {
            "form" => {
                self.in_form = true;
                let method = tag.text("method").to_ascii_lowercase();
                self.page.forms.push(FormText { action: tag.text("action"), method, ..FormText::default() });
                return;
            }
            "input" => return self.input(tag),
            "select" => {
                return self.field(Field {
                    name: tag.text("name"),
                    value: String::new(),
                    kind: "select".into(),
                    on: false,
                });
            }
            "title" => Collecting::Title,
            "h1" | "h2" | "h3" => Collecting::Heading,
            "a" if tag.attribute("href").is_some() => Collecting::Link(tag.text("href")),
            "button" => Collecting::Button(button(tag)),
            "textarea" => Collecting::Textarea(tag.text("name")),
            "option" => Collecting::Option {
                value: tag.attribute("value").map(str::to_owned),
                selected: tag.attribute("selected").is_some(),
            },
            _ => return,
        };
        self.open.push((collecting, String::new()));
    }

    fn input(&mut self, tag: &Tag) {
        let kind = match tag.text("type").to_ascii_lowercase() {
            empty if empty.is_empty() => "text".to_owned(),
            kind => kind,
        };
        match kind.as_str() {
            "submit" | "image" => {
                let button = Button { label: tag.text("value"), ..button(tag) };
                if let Some(form) = self.form() {
                    form.buttons.push(button);
                }
            }
            "button" | "reset" => {}
            "checkbox" | "radio" => {
                let value = tag.attribute("value").unwrap_or("on").to_owned();
                let on = tag.attribute("checked").is_some();
                self.field(Field { name: tag.text("name"), value, kind, on });
            }
            _ => self.field(Field { name: tag.text("name"), value: tag.text("value"), kind, on: true }),
        }
    }

    fn field(&mut self, field: Field) {
        if let Some(form) = self.form().filter(|_| !field.name.is_empty()) {
            form.fields.push(field);
        }
    }

    fn form(&mut self) -> Option<&mut FormText> {
        if self.in_form { self.page.forms.last_mut() } else { None }
    }

    fn end(&mut self, name: &str) {
        if name == "form" {
            self.in_form = false;
        }
        let ours = |collecting: &Collecting| match collecting {
            Collecting::Title => name == "title",
            Collecting::Heading => matches!(name, "h1" | "h2" | "h3"),
            Collecting::Link(_) => name == "a",
            Collecting::Button(_) => name == "button",
            Collecting::Textarea(_) => name == "textarea",
            Collecting::Option { .. } => matches!(name, "option" | "select"),
        };
        let Some(place) = self.open.iter().rposition(|(collecting, _)| ours(collecting)) else { return };
        let (collecting, text) = self.open.remove(place);
        let squeezed = squeeze(&text);
        match collecting {
            Collecting::Title => self.page.title = squeezed,
            Collecting::Heading => self.page.headings.push(squeezed),
            Collecting::Link(href) => self.page.links.push(Link { text: squeezed, href }),
            Collecting::Button(button) => {
                if let Some(form) = self.form() {
                    form.buttons.push(Button { label: squeezed, ..button });
                }
            }
            Collecting::Textarea(name) => {
                self.field(Field { name, value: text, kind: "textarea".into(), on: true });
            }
            Collecting::Option { value, selected } => {
                let value = value.unwrap_or(squeezed);
                if let Some(select) = self.form().and_then(|form| form.fields.last_mut()).filter(|f| f.kind == "select")
                    && (selected || !select.on)
                {
                    select.value = value;
                    select.on = true;
                }
            }
        }
    }
}

fn button(tag: &Tag) -> Button {
    Button {
        label: String::new(),
        name: tag.attribute("name").map(str::to_owned),
        value: tag.text("value"),
        action: tag.attribute("formaction").map(str::to_owned),
    }
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            if let Some(comment) = self.rest.strip_prefix("<!--") {
                self.rest = comment.split_once("-->").map_or("", |(_, after)| after);
                continue;
            }
            let second = self.rest.as_bytes().get(1).copied().unwrap_or_default();
            if !self.rest.starts_with('<') || !(second.is_ascii_alphabetic() || second == b'/' || second == b'!') {
                let later = self.rest.char_indices().skip(1).find(|(_, c)| *c == '<');
                let end = later.map_or(self.rest.len(), |(at, _)| at);
                let (text, after) = self.rest.split_at(end);
                self.rest = after;
                return Some(Token::Text(decode(text)));
            }
            let (tag, after) = tag(&self.rest[1..]);
            self.rest = after;
            if tag.name.starts_with('!') {
                continue;
            }
            if let Some(name) = tag.name.strip_prefix('/') {
                return Some(Token::Close(name.to_owned()));
            }
            if matches!(tag.name.as_str(), "script" | "style") {
                let end = format!("</{}", tag.name);
                let at = self.rest.to_ascii_lowercase().find(&end).unwrap_or(self.rest.len());
                self.rest = &self.rest[at..];
            }
            return Some(Token::Open(tag));
        }
    }
}

/// Reads a tag whose `<` is gone; returns what follows its `>`.
fn tag(text: &str) -> (Tag, &str) {
    let name_end = text
        .find(|c: char| c.is_whitespace() || c == '>' || (c == '/' && !text.starts_with('/')))
        .unwrap_or(text.len());
    let mut tag = Tag { name: text[..name_end].to_ascii_lowercase(), attributes: Vec::new() };
    let mut rest = &text[name_end..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return (tag, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (tag, after);
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len()).max(1);
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            (value, rest) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((&after[1..], "")),
                _ => after.split_at(after.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(after.len())),
            };
        }
        tag.attributes.push((name, decode(value)));
    }
}

/// Resolves the character references that templates write.
fn decode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 10);
        match end.and_then(|end| Some((reference(&rest[1..end])?, end))) {
            Some((character, end)) => {
                out.push(character);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_taken_apart() {
        let page = read(
            "<!doctype html><html lang=en><head><title>Sign in &amp; go</title><style>a{}</style></head><body>\
             <!-- <a href='/no'>no</a> --><h1>Welcome,\n  <em>Josiah</em></h1><p>1 &lt; 2 < 3</p>\
             <a class=big href=\"/start?a=1&amp;b=2\"><span>Connect</span> your iD</a>\
             <form method=POST action='/login'><input type=hidden name=token value=\"a&quot;b\">\
             <input name=who value=x><input type=checkbox name=keep checked><input type=checkbox name=spam value=1>\
             <select name=lang><option value=en>English<option value=de selected>Deutsch</select>\
             <textarea name=note>two\nlines</textarea>\
             <button name=do value=allow>Allow <b>it</b></button><button formaction=/deny>Deny</button></form>\
             <script>var x = '<form action=/evil>';</script></body>",
        );
        assert_eq!(page.title, "Sign in & go");
        assert_eq!(page.headings, ["Welcome, Josiah"]);
        assert_eq!(page.links, [Link { text: "Connect your iD".into(), href: "/start?a=1&b=2".into() }]);
        assert_eq!(page.forms.len(), 1);
        let form = &page.forms[0];
        assert_eq!((form.method.as_str(), form.action.as_str()), ("post", "/login"));
        let sent: Vec<_> = form.fields.iter().filter(|f| f.on).map(|f| (f.name.as_str(), f.value.as_str())).collect();
        assert_eq!(sent, [("token", "a\"b"), ("who", "x"), ("keep", "on"), ("lang", "de"), ("note", "two\nlines")]);
        assert_eq!(form.buttons[0].label, "Allow it");
        assert_eq!(form.buttons[1].action.as_deref(), Some("/deny"));
        assert!(page.text.contains("1 < 2 < 3"), "{}", page.text);
    }

    #[test]
    fn broken_pages_do_no_harm() {
        for text in ["<", "<a", "<a href=", "<a href='", "</", "<!--", "&", "&#x110000;", "a<b", "é<é", "<form><input"]
        {
            read(text);
        }
        assert_eq!(decode("&copy &#39;&#x1F600;&bogus;"), "&copy '😀&bogus;");
    }
}
