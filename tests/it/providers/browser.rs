//! The way out through a provider's own sign-out, as a person sees it in a real Chromium: on a small screen, in the
//! dark, with the keyboard alone and without scripts.

use super::ground::{Ground, Plan};
use crate::browser::scene::assert_well_made;
use crate::campus::chromium::Chromium;
use crate::campus::installed::left_out;
use fantoccini::key::Key;

async fn tab_to(chromium: &Chromium, label: &str) {
    for _ in 0..20 {
        chromium.key(Key::Tab).await;
        let (tag, text) = chromium.focused().await;
        if tag == "a" && text.starts_with(label) {
            return;
        }
    }
    panic!("{label:?} cannot be reached with the keyboard:\n{}", chromium.text().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_after_a_sign_out_leads_on_to_the_provider() {
    if left_out() {
        return;
    }
    if !Chromium::available() {
        return;
    }
    let ground = Ground::open(Plan { by_port: true, ..Plan::default() }).await;
    let Some(chromium) = Chromium::start(ground.campus.authority.pem()).await else { return };
    let port = ground.campus.gate().addresses().gate.port();
    let loans = format!("https://library.campus.example:{port}/loans");
    chromium.open(&loans).await.click("Sign in at 127.0.0.1").await;
    chromium.fill("name", "alice").await.click("Sign in").await;
    chromium.click("Allow").await.wait_for_url(&format!("{}/.lychgate/connected", ground.home)).await;
    chromium.screenshot("provider-1-connected").await;
    assert_well_made(&chromium).await;
    chromium.click("Continue").await.wait_for_url(&loans).await;

    chromium.open(&format!("{}/.lychgate/sign-out", ground.home)).await;
    chromium.click("Sign out of all sites in this browser").await;
    chromium.says(&["You may still be signed in at 127.0.0.1", "Sign out at 127.0.0.1"]).await;
    chromium.screenshot("provider-2-signed-out").await;
    assert_well_made(&chromium).await;
    chromium.width(320).await.screenshot("provider-3-signed-out-320").await;
    assert_well_made(&chromium).await;
    chromium.dark().await.screenshot("provider-4-signed-out-320-dark").await;
    assert_well_made(&chromium).await;
    chromium.width(1024).await.screenshot("provider-5-signed-out-dark").await;
    let console = chromium.console().await;
    assert!(console.is_empty(), "{console:?}");

    // With the keyboard, on to the provider; nothing there needs a script of ours.
    tab_to(&chromium, "Sign out at 127.0.0.1").await;
    chromium.key(Key::Enter).await.wait_for_url(&format!("{}/session/end", ground.provider.issuer)).await;
    chromium.click("Yes, sign me out").await.wait_for_url(&format!("{}/.lychgate/sign-out/return", ground.home)).await;
    chromium.says(&["You are signed out at 127.0.0.1"]).await;
    chromium.screenshot("provider-6-there-too").await;
    assert_well_made(&chromium).await;
    chromium.width(320).await.screenshot("provider-7-there-too-320").await;
    assert_well_made(&chromium).await;
    chromium.click("Sign in again").await;
    chromium.wait_for_url(&format!("{}/.lychgate/sign-in", ground.home)).await;
    chromium.quit().await;
    ground.close().await;
}
