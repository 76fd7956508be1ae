//! [`Answer`]: what came back to a browser, and what a person can do with the page: read it, click a link,
//! fill in a form and press a button.

use super::browser::{Browser, Request};
use super::fetch::{Initiator, Journey, ReferrerPolicy, form_actions};
use super::html::{self, FormText, Page};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version, header};
use url::Url;

/// One step on the way to an answer.
#[derive(Clone, Debug)]
pub struct Hop {
    pub method: Method,
    pub url: Url,
    pub status: StatusCode,
}

/// A complete answer.
#[derive(Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub version: Version,
    pub headers: HeaderMap,
    pub trailers: Option<HeaderMap>,
    pub body: Bytes,
    /// Where it was found in the end.
    pub url: Url,
    /// The requests that led here, this one's included.
    pub hops: Vec<Hop>,
    pub(super) journey: Journey,
    pub(super) browser: Browser,
}

impl Answer {
    /// Panics with the whole story unless the status is `expected`. Returns the answer, to go on with.
    #[track_caller]
    pub fn assert_status(&self, expected: u16) -> &Self {
        assert!(self.status.as_u16() == expected, "expected {expected}, got {}\n{}", self.status, self.story());
        self
    }

    /// Panics unless a reader finds `text` on the page (white space aside).
    #[track_caller]
    pub fn assert_says(&self, text: &str) -> &Self {
        assert!(self.page().text.contains(text), "the page does not say {text:?}\n{}", self.story());
        self
    }

    /// Panics if `text` stands anywhere in the body.
    #[track_caller]
    pub fn assert_lacks(&self, text: &str) -> &Self {
        assert!(!self.text().contains(text), "{text:?} stands in the body\n{}", self.story());
        self
    }

    /// Panics unless the address arrived at is `url`.
    #[track_caller]
    pub fn assert_at(&self, url: &str) -> &Self {
        assert!(self.url.as_str() == url, "expected to be at {url}\n{}", self.story());
        self
    }

    /// The same, whatever the query.
    #[track_caller]
    pub fn assert_at_path(&self, path: &str) -> &Self {
        assert!(self.url.path() == path, "expected to be at {path}\n{}", self.story());
        self
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON: {error}\n{}", self.story()))
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<String> {
        self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    }

    /// The `Set-Cookie` lines.
    pub fn set_cookies(&self) -> Vec<String> {
        self.all("set-cookie")
    }

    /// Where a redirect leads; `None` when the answer is not one. The fragment goes along, as in browsers.
    pub fn location(&self) -> Option<Url> {
        if !matches!(self.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let mut next = self.url.join(self.header(header::LOCATION.as_str())?).ok()?;
        if next.fragment().is_none() {
            next.set_fragment(self.url.fragment());
        }
        Some(next)
    }

    /// The page taken apart.
    pub fn page(&self) -> Page {
        html::read(&self.text())
    }

    /// The address behind the link that reads `text`, or whose text contains it if none reads so exactly.
    #[track_caller]
    pub fn link(&self, text: &str) -> Url {
        let links = self.page().links;
        let found =
            links.iter().find(|link| link.text == text).or_else(|| links.iter().find(|link| link.text.contains(text)));
        let Some(link) = found else { panic!("no link reads {text:?}; there are {links:?}\n{}", self.story()) };
        self.url.join(&link.href).unwrap_or_else(|error| panic!("the link {link:?} leads nowhere: {error}"))
    }

    /// Clicks the link that reads `text` and follows.
    pub async fn click(&self, text: &str) -> Answer {
        self.onward(Method::GET, self.link(text).as_str()).follow().await
    }

    /// Follows this redirect, and those behind it; the answer itself if it is none.
    pub async fn follow(self) -> Answer {
        match self.location() {
            Some(next) => {
                let mut journey = self.journey.clone();
                journey.redirect(next.clone(), self.referrer_policy());
                self.browser.get(next.as_str()).resuming(journey).follow().await
            }
            None => self,
        }
    }

    /// A request caused by this page.
    pub fn onward(&self, method: Method, url: &str) -> Request {
        self.browser.request(method, url).caused_by(self.as_initiator())
    }

    /// The `n`th form, counting from 0.
    #[track_caller]
    pub fn form(&self, n: usize) -> Form {
        let mut forms = self.page().forms;
        assert!(n < forms.len(), "there are only {} forms\n{}", forms.len(), self.story());
        Form { text: forms.swap_remove(n), page: self.clone() }
    }

    /// The form that has a button labelled `label`.
    #[track_caller]
    pub fn form_with(&self, label: &str) -> Form {
        let forms = self.page().forms;
        let found = forms.iter().position(|form| form.buttons.iter().any(|button| button.label.contains(label)));
        let Some(n) = found else { panic!("no form has a button {label:?}\n{}", self.story()) };
        self.form(n)
    }

    /// Presses the button labelled `label`, in whichever form it stands, with nothing filled in.
    pub async fn press(&self, label: &str) -> Answer {
        self.form_with(label).press(label).await
    }

    pub fn browser(&self) -> &Browser {
        &self.browser
    }

    /// How the browser came here and what it sees, for a failing test to print.
    pub fn story(&self) -> String {
        let hops: String =
            self.hops.iter().map(|hop| format!("  {} {} -> {}\n", hop.method, hop.url, hop.status)).collect();
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("  {name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let body: String = self.text().chars().take(4000).collect();
        format!("{hops}{:?}\n{headers}\n{body}", self.version)
    }

    pub(super) fn referrer_policy(&self) -> Option<ReferrerPolicy> {
        self.all("referrer-policy").iter().rev().find_map(|value| ReferrerPolicy::read(value))
    }

    fn as_initiator(&self) -> Initiator {
        let policy = self.referrer_policy().unwrap_or_default();
        Initiator::Page { url: self.url.clone(), policy, form_action: Vec::new() }
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.story())
    }
}

/// A form on a page, to be filled in and sent.
#[derive(Clone)]
pub struct Form {
    text: FormText,
    page: Answer,
}

impl Form {
    /// Types `value` into the field `name`. A field the page does not have is a mistake of the test.
    #[track_caller]
    pub fn fill(mut self, name: &str, value: &str) -> Self {
        let fields = &mut self.text.fields;
        let known: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        let Some(field) = fields.iter_mut().find(|field| field.name == name) else {
            panic!("the form has no field {name:?}, only {known:?}");
        };
        if field.kind == "password" {
            self.page.browser.forbid_password(value);
        }
        field.value = value.to_owned();
        field.on = true;
        self
    }

    /// Ticks or unticks the checkbox `name` with `value`.
    #[track_caller]
    pub fn tick(mut self, name: &str, value: &str, on: bool) -> Self {
        let Some(field) = self.text.fields.iter_mut().find(|field| field.name == name && field.value == value) else {
            panic!("the form has no box {name:?} = {value:?}");
        };
        field.on = on;
        self
    }

    /// Sets a field whether or not the page has it, as a forger would.
    pub fn forge(mut self, name: &str, value: &str) -> Self {
        self.text.fields.retain(|field| field.name != name);
        self.text.fields.push(html::Field { name: name.into(), value: value.into(), kind: "hidden".into(), on: true });
        self
    }

    /// The value a field would send now.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.text.fields.iter().find(|field| field.name == name && field.on).map(|field| field.value.as_str())
    }

    /// Where it leads and what it holds.
    pub fn as_written(&self) -> &FormText {
        &self.text
    }

    /// Presses the button labelled `label` and follows.
    pub async fn press(self, label: &str) -> Answer {
        self.pressed(label).follow().await
    }

    /// The request that pressing the button labelled `label` makes, for a test that changes it first.
    #[track_caller]
    pub fn pressed(self, label: &str) -> Request {
        let buttons = &self.text.buttons;
        let found = buttons
            .iter()
            .find(|button| button.label == label)
            .or_else(|| buttons.iter().find(|b| b.label.contains(label)));
        let Some(button) = found.cloned() else { panic!("no button {label:?}, only {buttons:?}") };
        let action = button.action.as_deref().unwrap_or(&self.text.action).to_owned();
        let extra = button.name.map(|name| (name, button.value));
        self.request(&action, extra)
    }

    /// The request that sending it by the enter key makes: the first button counts as pressed.
    pub fn submitted(self) -> Request {
        let first = self.text.buttons.first().cloned().unwrap_or_default();
        let action = first.action.unwrap_or_else(|| self.text.action.clone());
        self.request(&action, first.name.map(|name| (name, first.value)))
    }

    /// Sends it by the enter key and follows.
    pub async fn submit(self) -> Answer {
        self.submitted().follow().await
    }

    fn request(self, action: &str, button: Option<(String, String)>) -> Request {
        let mut url =
            self.page.url.join(action).unwrap_or_else(|error| panic!("the form leads nowhere ({action}): {error}"));
        let fields =
            self.text.fields.iter().filter(|field| field.on).map(|field| (field.name.clone(), field.value.clone()));
        let fields: Vec<(String, String)> = fields.chain(button).collect();
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let form_action = form_actions(self.page.all("content-security-policy").iter().map(String::as_str));
        let policy = self.page.referrer_policy().unwrap_or_default();
        let initiator = Initiator::Page { url: self.page.url.clone(), policy, form_action };
        let browser = &self.page.browser;
        if self.text.method == "post" {
            browser.post_form(url.as_str(), &pairs).caused_by(initiator)
        } else {
            url.query_pairs_mut().clear().extend_pairs(pairs);
            browser.get(url.as_str()).caused_by(initiator)
        }
    }
}
