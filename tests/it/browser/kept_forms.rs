//! J4 in a real Chromium: somebody writes for a long time, the session ends meanwhile, and they lose neither what they
//! wrote nor the file they chose.

use super::scene::Scene;
use crate::campus::people;
use fantoccini::Locator;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j4_an_upload_survives_a_session_that_ended_meanwhile() {
    let Some(scene) = Scene::open("kept-form").await else { return };
    let (chromium, person) = (&scene.chromium, people::ordinary());
    let deposit = scene.repository("deposit");
    chromium.open(&deposit).await;
    scene.sign_in(&person, &deposit).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gates.pdf");
    std::fs::write(&file, vec![0xb5; 3 << 20]).unwrap();
    chromium.fill("title", "On gates & those who <pass> them").await;
    let chooser = chromium.client().find(Locator::Css("[name=file]")).await.unwrap();
    chooser.send_keys(file.to_str().unwrap()).await.unwrap();
    scene.shot("1-written").await;

    // In another tab they sign in anew, which ends the session here; the page with the form stays as it is.
    let here = chromium.client().window().await.unwrap();
    let tab = chromium.client().new_window(true).await.unwrap();
    chromium.client().switch_to_window(tab.handle).await.unwrap();
    chromium.open(&scene.own("sign-in/start")).await.click("Authorize access").await;
    chromium.wait_for_url(&scene.own("account")).await;
    chromium.client().switch_to_window(here).await.unwrap();

    chromium.click("Deposit").await;
    chromium.wait_for_url(&scene.repository(".lychgate/replay")).await;
    scene.says(&["Send your form to Research repository now?", &deposit, "3.1 MiB", person.orcid.as_str()]).await;
    scene.shot("2-asked").await.assert_well_made().await;
    chromium.width(320).await;
    assert!(!chromium.scrolls_sideways().await);
    scene.shot("3-asked-on-a-phone").await;
    chromium.width(1_000).await;

    chromium.click("Send it now").await;
    scene.says(&["On gates & those who <pass> them (gates.pdf, 3145728 bytes)"]).await;
    Scene::assert_same(&chromium.url().await, &deposit);
    scene.shot("4-sent").await.assert_console_empty().await;
    // Back may show the question as it was; asked anew, it has its answer.
    chromium.client().back().await.unwrap();
    chromium.wait_for_url(&scene.repository(".lychgate/replay")).await;
    chromium.client().refresh().await.unwrap();
    chromium.says(&["no longer here"]).await;
    scene.shot("5-back").await;
    scene.close().await;
}
