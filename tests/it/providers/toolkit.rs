//! Another make of provider, django-oauth-toolkit: signing in, denying, signing out on both sides, by its own pages.

use super::ground::{Ground, RETURN};
use crate::campus::answer::Answer;
use crate::campus::browser::Browser;
use crate::campus::installed::left_out;
use crate::campus::{LIBRARY, SIGN_IN};

/// From the gate's sign-in page to the provider's question.
async fn to_consent(browser: &Browser, name: &str) -> Answer {
    let page = browser.open(&format!("{LIBRARY}/loans")).await.click("Sign in at 127.0.0.1").await;
    page.assert_status(200).assert_says("Sign in at the campus");
    page.form(0).fill("username", name).fill("password", name).press("Sign in").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_django_site_signs_people_in_denies_and_signs_out() {
    if left_out() {
        return;
    }
    let ground = Ground::at_toolkit().await;
    let browser = ground.campus.browser();
    let asks = to_consent(&browser, "alice").await;
    asks.assert_status(200).assert_says("Know your name");
    let page = asks.press("Cancel").await;
    page.assert_status(200).assert_at_path("/.lychgate/denied").assert_says("You were not signed in");
    let page = page.click("Try again").await.press("Authorize").await;
    page.assert_status(200).assert_says("Thank you, you are signed in").assert_says("Alice Ångström");
    page.click("Continue").await.assert_status(200).assert_at(&format!("{LIBRARY}/loans"));
    // A number, as such sites count their people; what is an account here is none elsewhere.
    assert_eq!(ground.campus.library().last_request().all("x-orcid-id"), ["1"]);

    let page = browser.open(&format!("{SIGN_IN}/.lychgate/sign-out")).await.press("Sign out of all sites").await;
    let page = page.click("Sign out at 127.0.0.1").await;
    page.assert_status(200).assert_says("Confirm Logout");
    let page = page.press("Logout").await;
    page.assert_status(200).assert_at_path(RETURN).assert_says("You are signed out at");
    to_consent(&browser, "bob").await.assert_status(200);
    ground.close().await;
}
