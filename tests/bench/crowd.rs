//! The crowd: many people of the simulated ORCID, each with a browser signed in there. They register as anybody does,
//! and allow once what the gate asks for.

use crate::campus::browser::Browser;
use crate::campus::people;
use crate::contenders::Contender;
use crate::stage::Stage;
use futures_util::{StreamExt, stream};
use lychgate::simulator::SESSION_COOKIE;

/// Registering at once: fewer than the gate lets sign in at once from one address.
const AT_ONCE: usize = 4;

/// For each of `size` people, the cookie of their browser's session at ORCID. Each has a connection at `gate` then.
pub async fn gather(stage: &Stage, gate: &Contender, size: usize) -> Vec<String> {
    crate::aside(format_args!("{size} people register and sign in for the first time"));
    stream::iter(0..size).map(|number| newcomer(stage, gate, number)).buffer_unordered(AT_ONCE).collect().await
}

async fn newcomer(stage: &Stage, gate: &Contender, number: usize) -> String {
    let browser = stage.browser(gate.address);
    register(stage, &browser, number).await;
    // The browser is signed in at ORCID already, so whom it is told to sign in as does not matter.
    let there = people::arrive(browser.open(&gate.url).await, &people::ordinary()).await;
    there.assert_status(200).assert_says("Seven.");
    browser.cookie(&stage.issuer, SESSION_COOKIE).expect("the browser is signed in at ORCID")
}

/// All five steps at once.
async fn register(stage: &Stage, browser: &Browser, number: usize) {
    let page = browser.open(&format!("{}/register", stage.issuer)).await;
    let email = format!("crowd-{number}@simulated.example");
    let typed = [
        ("given-names", "Crowd"),
        ("family-names", "Member"),
        ("email", &email),
        ("email-again", &email),
        ("password", "simulated-crowd1"),
        ("password-again", "simulated-crowd1"),
        ("visibility", "public"),
        ("terms", "on"),
        ("data", "on"),
        ("step", "5"),
    ];
    let form = typed.iter().fold(page.form_with("Next"), |form, (name, value)| form.forge(name, value));
    form.press("Next").await.assert_status(200).assert_at_path("/trusted-organisations");
}
