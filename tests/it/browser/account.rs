//! J7 as a person sees it: the account with another browser in it, on a small dark screen too, and the way out.

use super::scene::{Scene, assert_well_made};
use crate::campus::chromium::Chromium;
use crate::campus::{Campus, logs, people};
use crate::kiosk::KIOSK;
use lychgate::simulator::SimulatedClient;

const ID: &str = "APP-ATTHEKIOSK000001";
const SECRET: &str = "0b1ec7ed-7e57-4000-8000-00000000c10c";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j7_the_account_shows_the_other_browser_ends_it_and_lets_everything_be_taken_back() {
    let Some(scene) = Scene::open("account").await else { return };
    let chromium = &scene.chromium;
    let (person, there) = (people::ordinary(), scene.wiki("pages/start"));
    let (other, _) = scene.demo.browser(&logs::watch());
    people::arrive(other.open(&there).await, &person).await.assert_status(200).assert_at(&there);
    chromium.open(&there).await;
    chromium.click("Create or connect your ORCID iD").await;
    scene.sign_in_at_orcid(&person).await;
    chromium.wait_for_url(&there).await;

    chromium.open(&scene.own("account")).await;
    scene
        .says(&["Rowan Ashgrove", "Campus wiki", "used it last", "Chrome on Linux", "Other browsers signed in as you"])
        .await;
    scene.shot("1-account").await.assert_well_made().await;
    let whole = "window.scrollTo(0, document.body.scrollHeight)";
    chromium.script(whole).await;
    scene.shot("2-account-end").await;
    chromium.width(320).await.dark().await;
    chromium.open(&scene.own("account")).await;
    scene.shot("3-account-small-dark").await.assert_well_made().await;
    chromium.script("document.querySelector('.browser').scrollIntoView()").await;
    scene.shot("4-account-small-dark-browsers").await;
    let tree = chromium.accessibility_tree().await;
    let mut labels: Vec<_> = tree.iter().filter(|node| node.role == "button").map(|node| node.name.as_str()).collect();
    labels.sort_unstable();
    assert_eq!(labels, ["Sign out all other browsers", "Sign out that browser"]);

    chromium.click("Sign out that browser").await;
    // The page is the same address again: gone is the browser that was listed.
    let gone = async {
        while chromium.text().await.contains("Other browsers") {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), gone).await.expect("the other browser is signed out");
    other.get(&there).send().await.assert_status(303);

    chromium.click("Take back permissions or disconnect").await;
    scene.says(&["Disconnect?", "Forget me", "Leave everything as it is"]).await;
    scene.shot("5-disconnect-small-dark").await.assert_well_made().await;
    chromium.click("Take back all permissions and forget me").await;
    scene.says(&["You are disconnected", "trusted parties", "Open 127.0.0.1"]).await;
    scene.shot("6-disconnected-small-dark").await.assert_well_made().await;
    scene.assert_console_empty().await;
    chromium.open(&there).await;
    scene.says(&["Sign in to Campus wiki", "Create or connect your ORCID iD"]).await;
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kiosk_asks_whether_it_is_you_and_leads_somebody_else_to_orcid() {
    if !Chromium::available() {
        return;
    }
    let client = format!(
        "environment = \"simulator\"\nid = \"{ID}\"\nsecret = \"{SECRET}\"\nmembership = \"member\"\n\
         issuer = \"{{issuer}}\"\ndefault = true"
    );
    // A browser needs the port in the address, and ORCID knows it only once the gate has it.
    let campus = Campus::build().site("library", KIOSK).client(&client).replace("public_port = 443\n", "").open().await;
    let port = campus.gate().addresses().gate.port();
    let (gate, loans) = (
        format!("https://gate.campus.example:{port}/.lychgate"),
        format!("https://library.campus.example:{port}/loans"),
    );
    let callback = format!("{gate}/callback/campus");
    campus.simulator.register(SimulatedClient::new(ID, SECRET, "Test Campus", true, &[&callback])).unwrap();
    let Some(chromium) = Chromium::start(campus.authority.pem()).await else { return };
    let (former, visitor) = (people::ordinary(), people::from_afar());
    chromium.open(&loans).await;
    chromium.click("Create or connect your ORCID iD").await;
    let sign_in = async |person: &people::Person| {
        chromium.wait_for_url(&campus.simulator.base_url).await;
        chromium.fill("username", person.orcid.as_str()).await;
        chromium.fill("password", &person.password).await;
        chromium.click("Sign in to ORCID").await;
        chromium.click("Authorize access").await;
        chromium.wait_for_url(&format!("{gate}/sign-in/confirm")).await;
    };
    sign_in(&former).await;
    chromium.says(&["Is this you?", "Rowan Ashgrove", former.orcid.as_str(), "Campus library"]).await;
    assert_well_made(&chromium).await;
    chromium.screenshot("kiosk-1-confirm").await;
    chromium.width(320).await.dark().await;
    // Anew: colours on their way from light to dark are neither.
    chromium.open(&chromium.url().await).await;
    assert_well_made(&chromium).await;
    chromium.screenshot("kiosk-2-confirm-small-dark").await;
    chromium.click("No, sign in as somebody else").await;
    sign_in(&visitor).await;
    chromium.says(&[visitor.orcid.as_str()]).await;
    chromium.click("Yes, this is me").await;
    chromium.wait_for_url(&format!("{gate}/connected")).await;
    chromium.click("Continue").await;
    chromium.wait_for_url(&loans).await;
    assert_eq!(campus.library().last_request().all("x-orcid-id"), [visitor.orcid.as_str()]);
    let console = chromium.console().await;
    assert!(console.is_empty(), "the console holds:\n{}", console.join("\n"));
    chromium.quit().await;
    campus.close().await;
}
