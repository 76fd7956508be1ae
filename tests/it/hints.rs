//! J3: whoever has no iD yet registers on the way, with the forms filled in by an app that knows them, and ends where
//! they wanted. A hint decides nothing.

use crate::campus::{Campus, LIBRARY, REPOSITORY, SIGN_IN};
use crate::sign_in_attacks::{parameter, start_of};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use lychgate::domain::{Clock, SystemClock};
use ring::hmac;
use serde_json::{Value, json};
use url::Url;

const KEY: &str = "this line is shared by the library and its gate";

const SITE: &str = r#"
[site]
name = "library"
title = "Campus library"
hosts = ["library.campus.example"]
upstream = "{library}"
hint_key_file = "library-hints.key"

[[rule]]
name = "front page"
paths = ["/"]
access = "public"

[[rule]]
name = "reading room"
paths = ["/reading-room"]
access = "signed-in"
scopes = ["/read-limited"]

[[rule]]
name = "members"
access = "signed-in"

[[case]]
request = "GET /loans"
expect = "sign-in"
"#;

async fn open() -> Campus {
    Campus::build().site("library", SITE).file("policies/library-hints.key", &format!("{KEY}\n")).open().await
}

fn hint(claims: &Value, key: &str) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({ "alg": "HS256" })), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), message.as_bytes());
    format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

fn kestrel() -> Value {
    let names = ("Nova", "Kestrel", "nova@simulated.example");
    json!({
        "aud": "library", "exp": SystemClock.now().0 + 300,
        "given_names": names.0, "family_names": names.1, "email": names.2,
    })
}

fn invitation(to: &str, hint: &str) -> String {
    let address = format!("{SIGN_IN}/.lychgate/sign-in");
    let parameters = [("site", "library"), ("to", to), ("hint", hint)];
    Url::parse_with_params(&address, parameters).expect("an address").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j3_an_invited_person_registers_with_forms_filled_in_and_arrives() {
    let campus = open().await;
    let browser = campus.browser();
    let page = browser.open(&invitation("/loans?from=invitation", &hint(&kestrel(), KEY))).await;
    page.assert_status(200).assert_says("Campus library");
    let sign_in = browser.open(start_of(&page).as_str()).await;
    let mut step = sign_in.click("Register").await;
    let form = step.form_with("Next");
    for (field, value) in [
        ("given-names", "Nova"),
        ("family-names", "Kestrel"),
        ("email", "nova@simulated.example"),
        ("email-again", "nova@simulated.example"),
    ] {
        assert_eq!(form.value(field), Some(value), "{field}");
    }
    step = form.press("Next").await;
    let password = "simulated-kestrel-1";
    step = step.form_with("Next").fill("password", password).fill("password-again", password).press("Next").await;
    for _ in 0..2 {
        step = step.press("Next").await;
    }
    step = step.form_with("Complete").fill("terms", "on").fill("data", "on").press("Complete registration").await;
    let connected = step.press("Authorize access").await;
    connected.assert_says("Thank you").assert_says("Nova Kestrel");
    connected.click("Continue to Campus library").await.assert_at(&format!("{LIBRARY}/loans?from=invitation"));
    assert_eq!(campus.library().last_request().all("x-orcid-name"), ["Nova Kestrel"]);
    campus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j3_a_hint_that_does_not_verify_is_left_out_and_nobody_is_held_up() {
    let campus = open().await;
    let mut foreign = kestrel();
    foreign["aud"] = json!("repository");
    for bad in [hint(&kestrel(), "some other key that is just as long as it"), hint(&foreign, KEY), "a.b.c".into()] {
        let browser = campus.browser();
        let page = browser.open(&invitation("/reading-room", &bad)).await;
        page.assert_status(200);
        let answer = browser.get(start_of(&page).as_str()).send().await;
        let to_orcid = answer.location().expect("a way to ORCID");
        assert_eq!(parameter(&to_orcid, "email"), "");
        assert_eq!(parameter(&to_orcid, "scope"), "openid /read-limited", "one trip is enough for the page");
    }
    campus.close().await;
}

/// A hint is for one site, and for one trip.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn j3_a_hint_serves_the_site_it_was_made_for_and_once() {
    let campus = open().await;
    let browser = campus.browser();
    let page = browser.open(&invitation("/loans", &hint(&kestrel(), KEY))).await;
    let asked = async |start: Url| {
        let answer = browser.get(start.as_str()).send().await;
        parameter(&answer.location().expect("a way to ORCID"), "email")
    };
    let elsewhere = browser.open(&format!("{REPOSITORY}/browse")).await;
    assert_eq!(asked(start_of(&elsewhere)).await, "");
    assert_eq!(asked(start_of(&page)).await, "nova@simulated.example");
    assert_eq!(asked(start_of(&page)).await, "", "it was used");
    campus.close().await;
}

/// T01: the page an invitation leads to is one of the site's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t01_an_invitation_leads_nowhere_else() {
    let campus = open().await;
    let browser = campus.browser();
    let lead = async |to: &str| {
        let answer = browser.get(&invitation(to, "")).send().await;
        answer.location().expect("a redirect").to_string()
    };
    assert_eq!(lead("/loans?x=1").await, format!("{LIBRARY}/loans?x=1"));
    for elsewhere in ["//evil.example/", "https://evil.example/", "/\\evil.example", "evil", "/\t/evil.example", ""] {
        assert_eq!(lead(elsewhere).await, format!("{LIBRARY}/"), "{elsewhere:?}");
    }
    let unknown = browser.open(&format!("{SIGN_IN}/.lychgate/sign-in?site=unknown&to=/")).await;
    unknown.assert_status(404);
    campus.close().await;
}
