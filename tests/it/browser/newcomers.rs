//! The people for whom sign-in is easily got wrong, in a real Chromium: no public name, a name from right to
//! left, a second factor, and somebody who has no iD yet. In the end the app shows who they are.

use super::scene::Scene;
use super::{pick, tab_to, type_text};
use fantoccini::key::Key;
use lychgate::simulator::people::{ARABIC, HIDDEN_NAME, RECOVERY_CODE, SECOND_FACTOR, SECOND_FACTOR_CODE};

/// The app is told the iD and nothing that its owner hides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hides_their_name_is_greeted_by_id() {
    let Some(scene) = Scene::open("hidden-name").await else { return };
    let chromium = &scene.chromium;
    let person = pick(HIDDEN_NAME);
    let deep = scene.wiki("pages/start");
    chromium.open(&deep).await.click("Create or connect your ORCID iD").await;
    scene.sign_in_at_orcid(&person).await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.says(&["Thank you", person.orcid.as_str()]).await.shot("1-connected").await.assert_well_made().await;
    assert!(!chromium.text().await.contains("Stillwater"));
    chromium.click("Continue to Campus wiki").await;
    chromium.wait_for_url(&deep).await;
    scene.says(&[person.orcid.as_str()]).await.shot("2-wiki").await;
    assert!(!chromium.text().await.contains("Stillwater"));
    chromium.open(&scene.wiki(".lychgate/sign-out")).await;
    scene.says(&["Sign out of Campus wiki?"]).await.shot("3-sign-out").await.assert_well_made().await;
    scene.close().await;
}

/// T84: a name from right to left stays in its place, on our pages and in the app.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t84_a_name_from_right_to_left_reaches_the_app() {
    let Some(scene) = Scene::open("right-to-left").await else { return };
    let chromium = &scene.chromium;
    let person = pick(ARABIC);
    let name = person.public_name().expect("it is public");
    let deep = scene.wiki("pages/start");
    chromium.open(&deep).await.click("Create or connect your ORCID iD").await;
    scene.sign_in_at_orcid(&person).await;
    scene.says(&[&name]).await.shot("1-orcid-consent").await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.says(&["Thank you", &name, person.orcid.as_str()]).await.shot("2-connected").await.assert_well_made().await;
    chromium.click("Continue to Campus wiki").await;
    chromium.wait_for_url(&deep).await;
    scene.says(&[&name, person.orcid.as_str()]).await.shot("3-wiki").await;
    scene.close().await;
}

/// With the keyboard alone, on a small screen and in the dark: a wrong code, the right one, and, at the next
/// sign-in, the recovery code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_factor_is_asked_for_on_the_way() {
    let Some(scene) = Scene::open("second-factor").await else { return };
    let chromium = &scene.chromium;
    chromium.width(320).await.dark().await;
    let person = pick(SECOND_FACTOR);
    let deep = scene.wiki("pages/start");
    chromium.open(&deep).await.click("Create or connect your ORCID iD").await;
    scene.sign_in_at_orcid(&person).await;
    scene
        .says(&["SIMULATED", "Two-factor authentication is switched on"])
        .await
        .shot("1-asked")
        .await
        .assert_well_made()
        .await;
    tab_to(chromium, "totp").await;
    type_text(chromium, "000000").await;
    chromium.key(Key::Enter).await;
    scene.says(&["That authentication code is not right."]).await.shot("2-wrong").await.assert_well_made().await;
    tab_to(chromium, "totp").await;
    type_text(chromium, SECOND_FACTOR_CODE).await;
    chromium.key(Key::Enter).await;
    chromium.wait_for_url(&format!("{}/oauth/authorize", scene.demo.simulator())).await;
    tab_to(chromium, "decision").await;
    chromium.key(Key::Enter).await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.shot("3-connected").await.assert_well_made().await;
    chromium.click("Continue to Campus wiki").await;
    chromium.wait_for_url(&deep).await;
    scene.says(&["Hello, Tamsin Doublelock"]).await.shot("4-wiki").await;

    let there = format!("{}/signout", scene.demo.simulator());
    chromium.open(&there).await.click("Sign out").await.says(&["Nobody is signed in to the simulator"]).await;
    chromium.open(&scene.own("sign-out")).await.click("Sign out of all sites in this browser").await;
    scene.says(&["You are signed out of all sites"]).await;
    chromium.open(&deep).await.click("Create or connect your ORCID iD").await;
    scene.sign_in_at_orcid(&person).await;
    tab_to(chromium, "Use a recovery code instead").await;
    chromium.key(Key::Enter).await;
    tab_to(chromium, "recovery").await;
    type_text(chromium, RECOVERY_CODE).await;
    scene.shot("5-recovery").await;
    chromium.key(Key::Enter).await;
    // Nothing is left to agree to, so nothing is said on the way.
    chromium.wait_for_url(&deep).await;
    scene.says(&["Hello, Tamsin Doublelock"]).await;
    scene.close().await;
}

/// Five steps at the simulated ORCID, with one mistake, and the app greets the new iD.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_no_id_yet_registers_on_the_way_and_arrives() {
    let Some(scene) = Scene::open("registering").await else { return };
    let chromium = &scene.chromium;
    chromium.width(320).await;
    let deep = scene.wiki("pages/start?from=registration");
    chromium.open(&deep).await.click("Create or connect your ORCID iD").await;
    chromium.wait_for_url(&scene.demo.simulator()).await;
    chromium.click("Register").await;
    scene.says(&["Step 1 of 5"]).await.shot("1-names").await.assert_well_made().await;
    chromium.fill("given-names", "Nova").await.fill("family-names", "Kestrel").await;
    chromium.fill("email", "nova@gmail.com").await.fill("email-again", "nova@gmail.com").await.click("Next").await;
    scene.says(&["Use an invented address"]).await.shot("2-real-address").await.assert_well_made().await;
    chromium.fill("email", "nova@simulated.example").await.fill("email-again", "nova@simulated.example").await;
    chromium.click("Next").await;
    scene.says(&["Step 2 of 5"]).await.shot("3-password").await.assert_well_made().await;
    chromium.click("Next").await;
    scene.says(&["Step 3 of 5"]).await.shot("4-employment").await.assert_well_made().await;
    chromium.fill("employer", "Lychgate University").await.fill("role", "Fellow").await.click("Next").await;
    scene.says(&["Step 4 of 5"]).await.shot("5-visibility").await.assert_well_made().await;
    chromium.click("Next").await;
    scene.says(&["Step 5 of 5"]).await.shot("6-terms").await.assert_well_made().await;
    for name in ["terms", "data"] {
        chromium.script(&format!("document.getElementById('{name}').click()")).await;
    }
    chromium.click("Complete registration").await;
    chromium.wait_for_url(&format!("{}/oauth/authorize", scene.demo.simulator())).await;
    scene.says(&["Nova Kestrel"]).await.shot("7-consent").await;
    chromium.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("connected")).await;
    scene.says(&["Thank you", "Nova Kestrel", "0009-9999-1"]).await.shot("8-connected").await.assert_well_made().await;
    chromium.click("Continue to Campus wiki").await;
    chromium.wait_for_url(&deep).await;
    scene.says(&["Hello, Nova Kestrel"]).await.shot("9-wiki").await;
    scene.close().await;
}
