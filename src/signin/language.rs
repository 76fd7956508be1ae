//! `/.lychgate/LANG` and `/.lychgate/LANG/…` on every host of ours: the visitor chooses what our pages speak. The first
//! is the switch at the foot of a page and leads back to that page; the second is any page of ours in that language,
//! for a link in a handbook. Both leave a cookie that says so; a forged visit changes nothing but words.

use super::settings::{BACK_CHANNEL, CALLBACK, SIGN_IN};
use super::{OwnRequest, SignIn};
use crate::domain::{Language, ReturnTo};
use crate::pages;
use crate::session::cookie;
use bytes::Bytes;
use http::{HeaderValue, Response, header};

const OURS: &str = "/.lychgate/";
/// One year.
const REMEMBERED: u32 = 365 * 24 * 60 * 60;

/// What a path says about language.
pub(super) enum Choice {
    /// Nothing.
    None,
    /// The page the visitor came from, in this language.
    Back(Language),
    /// This path, in this language.
    Here(Language, String),
}

/// Reads `/.lychgate/LANG/REST` as `/.lychgate/REST`. A redirect URI has one spelling (T42), and so has whatever else is
/// no page.
pub(super) fn choice(request: &OwnRequest) -> Choice {
    let Some((language, rest)) = request.path.strip_prefix(OURS).and_then(split) else { return Choice::None };
    if !request.is_reading() {
        return Choice::None;
    }
    match rest {
        None => Choice::Back(language),
        Some(rest) => {
            let path = format!("{OURS}{rest}");
            match path.starts_with(CALLBACK) || path.starts_with(BACK_CHANNEL) {
                true => Choice::None,
                false => Choice::Here(language, path),
            }
        }
    }
}

/// `de` and `de/sign-in`; nothing else.
fn split(path: &str) -> Option<(Language, Option<&str>)> {
    match path.split_once('/') {
        Some((tag, rest)) => Some((tag.parse().ok()?, Some(rest))),
        None => Some((path.parse().ok()?, None)),
    }
}

/// An own address in the language that the visitor chose, so that another host of ours learns of it.
pub(super) fn in_chosen_language(path: &str, request: &OwnRequest) -> String {
    match (request.chosen_language(), path.strip_prefix(OURS)) {
        (Some(language), Some(rest)) => format!("{OURS}{language}/{rest}"),
        _ => path.to_owned(),
    }
}

/// Keeps the choice in the browser.
pub(super) fn remember(mut answer: Response<Bytes>, language: Language) -> Response<Bytes> {
    let cookie: HeaderValue = cookie::set(cookie::LANGUAGE, language.tag(), Some(REMEMBERED));
    answer.headers_mut().append(header::SET_COOKIE, cookie);
    answer
}

impl OwnRequest {
    /// What the visitor chose here before; not what the browser would like.
    pub(super) fn chosen_language(&self) -> Option<Language> {
        let value = cookie::only(cookie::LANGUAGE, self.cookies())?;
        std::str::from_utf8(value).ok()?.parse().ok()
    }
}

impl SignIn {
    /// To the page with the switch on it, as the browser names it: on this host and no other (T02). Without a
    /// `Referer`, to where every visit may begin.
    pub(super) fn switched_language(&self, request: &OwnRequest) -> Response<Bytes> {
        let came_from = request.header("referer").and_then(|referer| referer.strip_prefix(&self.origin(&request.host)));
        let target = came_from.map(without_language).and_then(|it| ReturnTo::new(request.host.clone(), &it).ok());
        let target = target.map(|target| target.url(self.port())).unwrap_or_else(|| {
            match request.host == self.settings.sign_in_host {
                true => format!("{}{SIGN_IN}", self.home()),
                false => ReturnTo::front_page(request.host.clone()).url(self.port()),
            }
        });
        pages::redirect(&target)
    }
}

/// A target whose path does not insist on the language of before.
fn without_language(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let path = match path.strip_prefix(OURS).and_then(split) {
        Some((_, Some(rest))) => format!("{OURS}{rest}"),
        Some((_, None)) => "/".to_owned(),
        None => path.to_owned(),
    };
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_loses_its_language_and_nothing_else() {
        for (target, bare) in [
            ("/.lychgate/de/sign-in?arrival=x", "/.lychgate/sign-in?arrival=x"),
            ("/.lychgate/sign-in?arrival=de/x", "/.lychgate/sign-in?arrival=de/x"),
            ("/.lychgate/de", "/"),
            ("/.lychgate/xx/sign-in", "/.lychgate/xx/sign-in"),
            ("/de/loans?x=1&&y", "/de/loans?x=1&&y"),
            ("/", "/"),
        ] {
            assert_eq!(without_language(target), bare, "{target}");
        }
    }
}
