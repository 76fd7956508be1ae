//! The single steps of a sign-in, for tests that stop half-way: to ORCID, through it, and up to the callback's
//! address without opening it. Used by most journeys about signing in.

use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::people::Person;
use lychgate::session::cookie::SESSION;
use url::Url;

pub(crate) const CALLBACK: &str = "https://gate.campus.example/.lychgate/callback/campus";
/// 2026-11-24, for clocks that stand still.
pub(crate) const TODAY: i64 = 1_795_500_000;

/// Where the button of a sign-in page leads.
#[track_caller]
pub(crate) fn start_of(page: &Answer) -> Url {
    let links = page.page().links;
    let found = links.iter().find(|link| link.href.contains("/.lychgate/sign-in/start"));
    let found = found.unwrap_or_else(|| panic!("no way to sign in from here\n{}", page.story()));
    page.url.join(&found.href).expect("our own links are addresses")
}

/// Through ORCID from an address that leads there, up to the callback's address, which is not opened; the gate's
/// or another client's.
/// `decision` is the button pressed if ORCID asks.
pub(crate) async fn through_orcid(browser: &Browser, to: &str, person: &Person, decision: &str) -> Url {
    let mut answer = browser.get(to).send().await;
    for _ in 0..8 {
        answer = match answer.location() {
            Some(next) if next.path().contains("/callback") => return next,
            Some(next) => browser.get(next.as_str()).send().await,
            None if answer.text().contains("username-input") => {
                let form = answer.form_with("Sign in to ORCID").fill("username", person.orcid.as_str());
                form.fill("password", &person.password).pressed("Sign in to ORCID").send().await
            }
            None => answer.form_with(decision).pressed(decision).send().await,
        };
    }
    panic!("ORCID does not send the browser back\n{}", answer.story());
}

/// The callback's address for a sign-in that `browser` began at `url` and `person` agreed to.
pub(crate) async fn agreed(browser: &Browser, url: &str, person: &Person) -> Url {
    let page = browser.open(url).await;
    through_orcid(browser, start_of(&page).as_str(), person, "Authorize access").await
}

/// What a browser holds for `url`, as the `Cookie` header it would send.
pub(crate) fn cookie_line(browser: &Browser, url: &str) -> String {
    let pairs = browser.cookies(url).into_iter().map(|cookie| format!("{}={}", cookie.name, cookie.value));
    pairs.collect::<Vec<_>>().join("; ")
}

/// The browser's session on the host of `url`.
pub(crate) fn session(browser: &Browser, url: &str) -> Option<String> {
    browser.cookie(&format!("{url}/"), SESSION)
}

/// The session an answer gives.
pub(crate) fn given_session(answer: &Answer) -> Option<String> {
    let start = format!("{SESSION}=");
    let lines = answer.set_cookies();
    let line = lines.iter().find(|line| line.starts_with(&start))?;
    Some(line[start.len()..].split(';').next().unwrap_or_default().to_owned())
}

pub(crate) fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    Url::parse_with_params(url, pairs).expect("the test gives an address").to_string()
}

pub(crate) fn parameter(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}
