//! People with a second factor and people who register on the way (`orcid.md` §10.2, §10.3; journey J3).

use super::*;

#[tokio::test]
async fn a_second_factor_is_asked_for_after_the_password_and_not_skipped() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let page = tab.get(&format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", ""))).await;
    let (token, request) = (page.field("/signin", "token"), page.field("/signin", "request"));
    let right = password(people::SECOND_FACTOR);
    let fields =
        [("token", &*token), ("request", &*request), ("username", people::SECOND_FACTOR), ("password", &right)];
    let factor = tab.submit("/signin", &fields).await;
    assert!(factor.body.contains("id=\"totp\"") && factor.body.contains("authenticateButton"));
    // Nobody is signed in yet, whatever is opened next.
    assert!(tab.get("/trusted-organisations").await.location().ends_with("/signin"));
    let wrong = tab.second_factor_on(&factor, "000000").await;
    assert!(wrong.body.contains("not right") && wrong.status == 200);
    // The form's token proves the password of one person in one browser: it is good for no other.
    let (token, request) =
        (factor.field("/signin/second-factor", "token"), factor.field("/signin/second-factor", "request"));
    let forged =
        [("token", &*token), ("orcid", people::ORDINARY), ("request", &*request), ("totp", SECOND_FACTOR_CODE)];
    assert_eq!(tab.submit("/signin/second-factor", &forged).await.status, 403);
    let mut other = Tab::new(&simulator);
    other.get("/signin").await;
    let stolen =
        [("token", &*token), ("orcid", people::SECOND_FACTOR), ("request", &*request), ("totp", SECOND_FACTOR_CODE)];
    assert_eq!(other.submit("/signin/second-factor", &stolen).await.status, 403);
    let recovered = [
        ("token", &*token),
        ("orcid", people::SECOND_FACTOR),
        ("request", &*request),
        ("recovery", people::RECOVERY_CODE),
    ];
    let onward = tab.submit("/signin/second-factor", &recovered).await;
    assert!(tab.get(onward.location()).await.body.contains("authorize-button"));
}

const TYPED: [(&str, &str); 11] = [
    ("given-names", "Nova"),
    ("family-names", "Starling"),
    ("email", "nova@simulated.example"),
    ("email-again", "nova@simulated.example"),
    ("password", "simulated-new1"),
    ("password-again", "simulated-new1"),
    ("employer", "Practice Campus"),
    ("role", "Stargazer"),
    ("visibility", "public"),
    ("terms", "on"),
    ("data", "on"),
];

async fn step(tab: &mut Tab, page: &Reply, number: &str, typed: &[(&str, &str)], go: &str) -> Reply {
    let (token, request) = (page.field("/register", "token"), page.field("/register", "request"));
    let mut fields = vec![("token", &*token), ("request", &*request), ("step", number), ("go", go)];
    fields.extend_from_slice(typed);
    tab.submit("/register", &fields).await
}

#[tokio::test]
async fn j3_somebody_without_an_id_registers_on_the_way_and_goes_on_to_consent() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let more = "&show_login=false&given_names=Nova&family_names=Starling&email=nova%40simulated.example";
    let mut page = tab.get(&format!("/oauth/authorize?{}", ask(MEMBER_CLIENT, "openid", more))).await;
    for hinted in ["value=\"Nova\"", "value=\"Starling\"", "value=\"nova@simulated.example\""] {
        assert!(page.body.contains(hinted), "{hinted}");
    }
    let nothing = step(&mut tab, &page, "1", &[], "next").await;
    assert!(nothing.body.contains("Type your given names") && nothing.body.contains("Step 1 of 5"));
    let taken = [
        ("given-names", "X"),
        ("email", "person-0019@simulated.example"),
        ("email-again", "person-0019@simulated.example"),
    ];
    assert!(step(&mut tab, &page, "1", &taken, "next").await.body.contains("exists already"));
    for number in ["1", "2", "3", "4"] {
        page = step(&mut tab, &page, number, &TYPED, "next").await;
        let next = number.parse::<u8>().unwrap() + 1;
        assert!(page.body.contains(&format!("Step {next} of 5")), "{}", page.body);
    }
    let back = step(&mut tab, &page, "5", &TYPED, "back").await;
    assert!(back.body.contains("Step 4 of 5"));
    let done = step(&mut tab, &page, "5", &TYPED, "next").await;
    let consent = tab.get(done.location()).await;
    assert!(consent.body.contains("Nova Starling") && consent.body.contains("authorize-button"));
    let code = code_in(tab.decide(&consent, "authorize").await.location());
    let token = exchange(&simulator, &code).await.json();
    let orcid = token["orcid"].as_str().unwrap().to_owned();
    assert!(orcid.starts_with("0009-9999-1") && token["name"] == "Nova Starling");
    // Where they work is on their record, on their own word alone.
    let accept = [("Accept", "application/json")];
    let places = send(simulator.local_addr, "GET", &format!("/v3.0/{orcid}/employments"), &accept, "").await.json();
    let place = &places["affiliation-group"][0]["summaries"][0]["employment-summary"];
    assert_eq!((&place["role-title"], &place["visibility"]), (&"Stargazer".into(), &"public".into()));
    assert_eq!(place["organization"]["name"], "Practice Campus");
    assert_eq!(
        (&place["source"]["source-orcid"]["path"], &place["source"]["source-client-id"]),
        (&orcid.as_str().into(), &serde_json::Value::Null)
    );
    assert!(place["put-code"].as_i64().unwrap() >= 100_000, "{place}");
    // From now on they are somebody: the address is taken, and they may sign in again.
    let mut later = Tab::new(&simulator);
    let form = later.get("/signin").await;
    let again = later.sign_in_on(&form, "nova@simulated.example", "simulated-new1").await;
    assert_eq!(again.status, 303);
}

#[tokio::test]
async fn a_registration_that_skips_steps_is_sent_back_to_them() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let page = tab.get("/register").await;
    let some: Vec<(&str, &str)> = TYPED.into_iter().filter(|(name, _)| !name.starts_with("password")).collect();
    assert!(step(&mut tab, &page, "5", &some, "next").await.body.contains("Step 2 of 5"));
    let real: Vec<(&str, &str)> = TYPED
        .into_iter()
        .map(|(name, value)| if name.starts_with("password") { (name, "hunter22") } else { (name, value) })
        .collect();
    let refused = step(&mut tab, &page, "5", &real, "next").await;
    assert!(refused.body.contains("no real password"));
    let forged = [("token", "x"), ("request", ""), ("step", "5")];
    assert_eq!(tab.submit("/register", &forged).await.status, 403);
}
