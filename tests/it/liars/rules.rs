//! What is not one lie but a rule of the conversation: where errors stand (T40), PKCE (T35), two providers (T42),
//! injected parameters (T46), floods of unknown keys (T57), second factors (T60), rotation (D2), clocks, bursts,
//! and everything about ORCID that may differ without being untrue.

use super::stage::{LOANS, Outcome, Stage};
use crate::campus::answer::Answer;
use crate::campus::{Campus, SIGN_IN, people};
use crate::sign_in_attacks::{CALLBACK, agreed, parameter, session, start_of, through_orcid, with_query};
use lychgate::simulator::people::SECOND_FACTOR;
use lychgate::simulator::{MEMBER_CLIENT, SimulatedClient, Simulator, SimulatorSettings, seeded};

/// Settings under which everybody arrives and everybody may say no.
const HARMLESS: [&[(&str, &str)]; 14] = [
    &[("profile", "legacy")],
    &[("profile", "legacy"), ("error-placement", "fragment"), ("deny-description", "off")],
    &[("error-placement", "query")],
    &[("deny-description", "off")],
    &[("interstitial", "on")],
    &[("iss-parameter", "promised")],
    &[("pkce", "S256")],
    &[("client-auth", "post")],
    &[("client-auth", "basic")],
    &[("expires-in", "3600"), ("id-token-lifetime", "600")],
    &[("token-order", "reversed"), ("amr", "array"), ("jwks-alg", "on")],
    &[("token-order", "alphabetical"), ("amr", "absent")],
    &[("latency", "150"), ("code-reuse", "refused")],
    &[("clock-skew", "45")],
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_orcid_is_like_one_may_sign_in_and_one_may_say_no() {
    for settings in HARMLESS {
        let builder = settings.iter().fold(Campus::build(), |builder, (name, value)| builder.switch(name, value));
        let stage = Stage::of(builder).await;
        let what = format!("{settings:?}");
        let browser = stage.campus.browser();
        let page = browser.open(LOANS).await.click("Create or connect your ORCID iD").await;
        let denied = people::at_orcid(page, &people::ordinary(), false).await;
        denied.assert_status(200).assert_says("Please reconsider");
        assert_eq!(session(&browser, SIGN_IN), None, "{what}");
        people::arrive(denied, &people::ordinary()).await.assert_status(200).assert_at(LOANS);
        stage.expect(&what, &Outcome::SignedIn).await;
        stage.campus.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_every_error_word_is_a_page_that_leads_on_in_the_query_and_behind_a_hash() {
    let stage = Stage::of(Campus::build()).await;
    for (word, says) in [
        ("access_denied", "Please reconsider"),
        ("login_required", "ORCID did not finish the sign-in"),
        ("interaction_required", "ORCID did not finish the sign-in"),
        ("temporarily_unavailable", "ORCID did not finish the sign-in"),
        ("server_error", "ORCID did not finish the sign-in"),
        ("\"><script>alert(1)</script>", "ORCID did not finish the sign-in"),
    ] {
        for profile in ["2026", "legacy"] {
            stage.set("profile", profile).await;
            stage.set("authorize-error", word).await;
            let browser = stage.campus.browser();
            let page = browser.open(LOANS).await.click("Create or connect your ORCID iD").await;
            page.assert_says(says).assert_says("Campus library").assert_lacks("<script>alert");
            stage.set("authorize-error", "none").await;
            let again = if word == "access_denied" { page } else { page.click("Start again").await };
            people::arrive(again, &people::ordinary()).await.assert_status(200).assert_at(LOANS);
        }
    }
    // What ORCID decides by itself: a client that lost its membership asks for too much.
    let mut client =
        SimulatedClient::new(MEMBER_CLIENT, "0b1ec7ed-7e57-4000-8000-00000000cafe", "Test", false, &[CALLBACK]);
    client.member = false;
    stage.campus.simulator.register(client).unwrap();
    for (placement, says) in [("query", "ORCID did not finish the sign-in"), ("fragment", "The sign-in did not finish")]
    {
        stage.set("error-placement", placement).await;
        let browser = stage.campus.browser();
        let deposit = "https://repository.campus.example/deposit/new";
        let page = browser.open(deposit).await.click("Create or connect your ORCID iD").await;
        page.assert_status(400).assert_says(says).assert_says("Start again");
        assert_eq!(session(&browser, SIGN_IN), None);
    }
    stage.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t35_d7_a_provider_that_offers_plain_alone_gets_no_challenge_at_all() {
    let stage = Stage::of(Campus::build().switch("pkce", "plain")).await;
    let browser = stage.campus.browser();
    let page = browser.open(LOANS).await;
    let asked = browser.get(start_of(&page).as_str()).send().await.location().unwrap();
    assert!(asked.query_pairs().all(|(name, _)| !name.starts_with("code_challenge")), "{asked}");
    // This provider then refuses us, which is a page as any other.
    let page = browser.open(asked.as_str()).await;
    page.assert_status(400).assert_says("Start again");
    assert_eq!((session(&browser, SIGN_IN), stage.campus.simulator.calls("token")), (None, 0));
    stage.campus.close().await;
}

const ANNEX: &str = r#"
[site]
name = "annex"
title = "Annex"
client = "second"
hosts = ["annex.campus.example"]
upstream = "{library}"

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /"
expect = "sign-in"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t42_a_code_of_one_provider_never_reaches_another() {
    let secret = "5ec0de00-0000-4000-8000-000000000042";
    let callback = format!("{SIGN_IN}/.lychgate/callback/second");
    let client = SimulatedClient::new(MEMBER_CLIENT, secret, "Second", true, &[&callback]);
    let second = Simulator::start(SimulatorSettings::on_loopback(vec![client])).await.unwrap();
    let lines = format!(
        "\n[clients.second]\nenvironment = \"simulator\"\nid = \"{MEMBER_CLIENT}\"\nsecret = \"{secret}\"\nissuer = \"{}\"\n",
        second.base_url
    );
    let campus = Campus::build().site("annex", ANNEX).configuration(&lines).open().await;
    let person = people::ordinary();
    let browser = campus.browser();
    let annex = "https://annex.campus.example/";
    let tokens = || (campus.simulator.calls("token"), second.calls("token"));
    // The attacker runs the second provider, and sends a visitor on to the first one with the state of hers.
    let theirs = browser.open(annex).await;
    let theirs = browser.get(start_of(&theirs).as_str()).send().await.location().unwrap();
    let ours = agreed(&browser, LOANS, &person).await;
    let mixed = with_query(CALLBACK, &[("code", &parameter(&ours, "code")), ("state", &parameter(&theirs, "state"))]);
    browser.open(&mixed).await.assert_status(400).assert_says("This sign-in is not known here");
    // And the other way round: our code at their callback, with our state and with theirs.
    for state in [parameter(&ours, "state"), "c3RhdGUtb2Ytc29tZWJvZHk".to_owned()] {
        let mixed = with_query(&callback, &[("code", &parameter(&ours, "code")), ("state", &state)]);
        browser.open(&mixed).await.assert_status(400);
    }
    // RFC 9207: an answer that names the other issuer is dropped.
    let named =
        format!("{ours}&iss={}", url::form_urlencoded::byte_serialize(second.base_url.as_bytes()).collect::<String>());
    browser.open(&named).await.assert_status(502);
    assert_eq!((session(&browser, SIGN_IN), tokens()), (None, (0, 0)));
    // Each by itself works, and one does not stand in for the other.
    browser.open(ours.as_str()).await.assert_status(200);
    assert_eq!(tokens(), (1, 0));
    let page = browser.open(annex).await;
    let back = through_orcid(&browser, start_of(&page).as_str(), &person, "Authorize access").await;
    browser.open(back.as_str()).await.assert_status(200);
    assert_eq!(tokens(), (1, 1));
    second.stop().await;
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t46_nobody_adds_to_what_is_asked_of_orcid() {
    let stage = Stage::of(Campus::build()).await;
    let browser = stage.campus.browser();
    let usual = browser.open(LOANS).await;
    let injected = "scope=%2Fread-limited&redirect_uri=https%3A%2F%2Fevil.example&claims=%7B%7D&prompt=none&iss=x\
                    &login_hint=a&target_link_uri=https%3A%2F%2Fevil.example&auth_request_params=scope%3Dadmin";
    let start = start_of(&usual);
    for address in [
        format!("{start}&{injected}"),
        format!("{SIGN_IN}/.lychgate/sign-in/start?{injected}"),
        format!("{SIGN_IN}/.lychgate/sign-in?{injected}"),
    ] {
        let mut answer = browser.get(&address).send().await;
        if answer.location().is_none() {
            answer = browser.get(start_of(&answer).as_str()).send().await;
        }
        let asked = answer.location().unwrap_or_else(|| panic!("{}", answer.story()));
        assert!(asked.as_str().starts_with(&stage.campus.simulator.base_url), "{asked}");
        let facts: Vec<(String, String)> = asked.query_pairs().into_owned().collect();
        let names: Vec<&str> = facts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["response_type", "client_id", "state", "redirect_uri", "scope", "nonce"], "{address}");
        assert_eq!((facts[3].1.as_str(), facts[4].1.as_str()), (CALLBACK, "openid"));
    }
    stage.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t57_a_flood_of_unknown_keys_is_one_request_a_minute() {
    let stage = Stage::of(Campus::build()).await;
    stage.expect("before", &Outcome::SignedIn).await;
    let before = stage.campus.simulator.calls("jwks");
    stage.set("lie", "id-token-kid-unknown").await;
    for _ in 0..12 {
        stage.expect("unknown kid", &Outcome::Refused(502, "key the provider does not publish")).await;
    }
    assert_eq!(stage.campus.simulator.calls("jwks"), before + 1);
    stage.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_keys_may_change_between_and_during_sign_ins() {
    let stage = Stage::of(Campus::build()).await;
    stage.expect("before", &Outcome::SignedIn).await;
    stage.campus.simulator.rotate_key(true).await.unwrap();
    stage.expect("the old key is still published", &Outcome::SignedIn).await;
    stage.come_to_rights();
    stage.campus.simulator.rotate_key(false).await.unwrap();
    stage.expect("the old key is gone", &Outcome::SignedIn).await;
    // Just before the signature: the sign-in has begun, the keys are known, and then there are others.
    stage.come_to_rights();
    let browser = stage.campus.browser();
    let back = agreed(&browser, LOANS, &people::ordinary()).await;
    stage.campus.simulator.rotate_key(false).await.unwrap();
    browser.open(back.as_str()).await.assert_status(200).assert_at(LOANS);
    stage.campus.close().await;
}

const WITH_A_SECOND_FACTOR: &str = r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{library}"

[[rule]]
name = "two factors"
access = "signed-in"
mfa = true

[[case]]
request = "GET /"
expect = "sign-in"
"#;

async fn visit(stage: &Stage, orcid: &str) -> Answer {
    let person = seeded().into_iter().find(|person| person.orcid.as_str() == orcid).unwrap();
    people::arrive(stage.campus.browser().open(LOANS).await, &person).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t60_a_second_factor_counts_however_it_is_told_and_not_if_it_is_not() {
    let stage = Stage::of(Campus::build().site("library", WITH_A_SECOND_FACTOR)).await;
    for form in ["string", "array"] {
        stage.set("amr", form).await;
        visit(&stage, SECOND_FACTOR).await.assert_status(200).assert_at(LOANS);
        visit(&stage, people::ordinary().orcid.as_str()).await.assert_status(403).assert_says("two factors");
    }
    for (name, value) in [("amr", "absent"), ("lie", "id-token-amr-number")] {
        stage.campus.simulator.reset();
        stage.set(name, value).await;
        visit(&stage, SECOND_FACTOR).await.assert_status(403).assert_says("two factors");
    }
    stage.campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_costs_one_page_and_a_clock_that_is_far_off_is_no_sign_in() {
    let stage = Stage::of(Campus::build()).await;
    let browser = stage.campus.browser();
    let back = agreed(&browser, LOANS, &people::ordinary()).await;
    stage.set("unavailable-next", "1").await;
    let page = browser.open(back.as_str()).await;
    page.assert_status(503).assert_says("Start again");
    people::arrive(page.click("Start again").await, &people::ordinary()).await.assert_at(LOANS);
    for (skew, reason) in [("600", "time of issue"), ("-90000", "expired")] {
        stage.set("clock-skew", skew).await;
        stage.expect(skew, &Outcome::Refused(502, reason)).await;
    }
    stage.campus.close().await;
}
