//! The pages people see: every one says what it is, none runs script, and accounts in odd states go where
//! they should.

use super::*;

fn assert_decent(name: &str, reply: &Reply) {
    assert!(reply.body.contains("SIMULATED — not ORCID"), "{name}: no banner");
    assert!(!reply.body.to_lowercase().contains("<script"), "{name}: script");
    assert!(!reply.body.contains("<b onclick"), "{name}: a name was not escaped");
    assert!(!reply.body.contains("could not be made"), "{name}: {}", reply.body);
    assert!(reply.body.contains("<html lang=\"en\"") && reply.body.contains("name=\"viewport\""), "{name}");
    assert!(reply.body.len() < 30 * 1024, "{name}: {} bytes", reply.body.len());
    let csp = reply.header("content-security-policy").unwrap_or_else(|| panic!("{name}: no policy"));
    assert!(
        csp.starts_with("default-src 'none'; style-src 'self'; img-src data:; form-action 'self'"),
        "{name}: {csp}"
    );
    assert_eq!(reply.header("referrer-policy"), Some("same-origin"), "{name}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{name}");
    assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{name}");
    for (at, _) in reply.body.match_indices("<input") {
        let input = &reply.body[at..at + reply.body[at..].find('>').unwrap()];
        if !input.contains("type=\"hidden\"") {
            let id = input.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
            assert!(reply.body.contains(&format!("<label for=\"{id}\"")), "{name}: {id} has no label");
        }
    }
}

#[tokio::test]
async fn every_page_says_simulated_and_runs_no_script() {
    let (simulator, _) = start().await;
    let mut guest = Tab::new(&simulator);
    let authorize = |more: &str| format!("/oauth/authorize?{}", ask(MEMBER_CLIENT, "openid /read-limited", more));
    let record = format!("/{}", people::HOSTILE_NAME);
    let locked = format!("/{}", people::LOCKED);
    let deactivated = format!("/{}", people::DEACTIVATED);
    let hidden = format!("/{}", people::HIDDEN_NAME);
    for target in [
        "/",
        "/signin",
        "/signout",
        "/nothing",
        "/oauth/authorize",
        "/0009-9999-9999-9992",
        &authorize(""),
        &authorize("&show_login=false"),
        &record,
        &locked,
        &deactivated,
        &hidden,
    ] {
        assert_decent(target, &guest.get(target).await);
    }
    assert_decent("refused form", &guest.submit("/signin", &[("token", "x")]).await);
    let mut hostile = Tab::new(&simulator);
    let page = hostile.get("/signin").await;
    assert_decent("bad password", &hostile.sign_in_on(&page, "<script>@x", "<script>").await);
    let signed_in = hostile.sign_in(&authorize(""), people::HOSTILE_NAME).await;
    let consent = hostile.get(signed_in.location()).await;
    assert_decent("consent", &consent);
    assert!(consent.body.contains("&lt;b onclick"));
    let code = code_in(hostile.decide(&consent, "authorize").await.location());
    exchange(&simulator, &code).await;
    for target in ["/", "/signin", &format!("/signin?{}", ask(MEMBER_CLIENT, "openid", "")), "/signout", "/account"] {
        assert_decent(target, &hostile.get(target).await);
    }
    let style = guest.get("/simulator.css").await;
    assert!(style.body.contains("prefers-color-scheme: dark"));
}

#[tokio::test]
async fn accounts_in_odd_states() {
    let (simulator, _) = start().await;
    let authorize = format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", ""));
    for (orcid, words) in [(people::DEACTIVATED, "has been deactivated"), (people::DEPRECATED, people::ORDINARY)] {
        let reply = Tab::new(&simulator).sign_in(&authorize, orcid).await;
        assert_eq!(reply.status, 200);
        let error = reply.body.split("id=\"sign-in-error\"").nth(1).unwrap();
        assert!(error.split("</p>").next().unwrap().contains(words), "{orcid}");
    }
    // Locked: signs in, sees the account, is never asked for consent.
    let mut locked = Tab::new(&simulator);
    let reply = locked.sign_in(&authorize, people::LOCKED).await;
    assert_eq!(reply.location(), format!("{}/trusted-organisations", simulator.base_url));
    assert!(locked.get("/trusted-organisations").await.body.contains("This ORCID record is locked"));
    assert_eq!(locked.get(&authorize).await.location(), reply.location());
}

#[tokio::test]
async fn only_seeded_people_come_in() {
    let (simulator, _) = start().await;
    let long = "x".repeat(257);
    let email = "person-0019@simulated.example";
    let right = password(people::ORDINARY);
    let compact = people::ORDINARY.replace('-', "");
    for (username, password, words) in [
        ("", "x", "Fill in"),
        (people::ORDINARY, "", "Fill in"),
        ("somebody", "x", "neither an email address nor"),
        ("0009-9999-0000-0018", "x", "neither an email address nor"),
        (people::ORDINARY, "wrong", "Incorrect username and/or password"),
        ("somebody@elsewhere.example", "x", "Incorrect username and/or password"),
        ("0000-0002-1825-0097", &right, "Incorrect username and/or password"),
        (people::DEACTIVATED, "wrong", "Incorrect username and/or password"),
        (people::ORDINARY, &long, "at most 256"),
    ] {
        let mut tab = Tab::new(&simulator);
        let page = tab.get("/signin").await;
        let reply = tab.sign_in_on(&page, username, password).await;
        assert_eq!(reply.status, 200, "{username}");
        assert!(unescape(&reply.body).contains(words), "{username}: {words}");
    }
    for username in [email, "PERSON-0019@simulated.example", &compact, "https://orcid.org/0009-9999-0000-0019"] {
        let mut tab = Tab::new(&simulator);
        let page = tab.get("/signin").await;
        assert_eq!(tab.sign_in_on(&page, username, &right).await.status, 303, "{username}");
    }
}

#[tokio::test]
async fn the_sign_in_is_prefilled_or_replaced_as_asked() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let mut at =
        async |more: &str| tab.get(&format!("/oauth/authorize?{}", ask(PUBLIC_CLIENT, "openid", more))).await.body;
    let filled = |value: &str| format!("name=\"username\" type=\"text\" value=\"{value}\"");
    assert!(at("&orcid=0009-9999-0000-006X").await.contains(&filled(people::CHECK_X)));
    assert!(at("&email=person-0019@simulated.example").await.contains(&filled("person-0019@simulated.example")));
    assert!(at("&email=nobody@example.org").await.contains(&filled("")));
    assert!(
        at(&format!("&orcid={}&email=person-0019@simulated.example", people::CHECK_X))
            .await
            .contains(&filled(people::CHECK_X))
    );
    assert!(at("&orcid=0009-9999-9999-9992").await.contains("Step 1 of 5"));
    assert!(at("&show_login=false").await.contains("Step 1 of 5"));
    assert!(at("&lang=fr").await.contains("signin-button"));
}

#[tokio::test]
async fn somebody_else_may_sign_in_on_the_way() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    let query = ask(PUBLIC_CLIENT, "openid", "");
    let signed_in = tab.sign_in(&format!("/oauth/authorize?{query}"), people::ORDINARY).await;
    let already = tab.get(&format!("/signin?{query}")).await;
    assert!(already.body.contains("Continue as") && already.body.contains("Not you?"));
    let consent = tab.get(signed_in.location()).await;
    let (token, request) = (consent.field("/signout", "token"), consent.field("/signout", "request"));
    let out = tab.submit("/signout", &[("token", &token), ("request", &request)]).await;
    let again = tab.get(out.location()).await;
    assert!(again.body.contains("id=\"signin-button\""));
    let other = tab.sign_in_on(&again, people::MONONYM, &password(people::MONONYM)).await;
    assert!(tab.get(other.location()).await.body.contains("Kartika"));
    // The page shown to the first person is worth nothing now.
    assert_eq!(tab.decide(&consent, "authorize").await.status, 403);
}

#[tokio::test]
async fn trusted_organisations_are_listed_and_withdrawn() {
    let (simulator, _) = start().await;
    let mut tab = Tab::new(&simulator);
    assert_eq!(tab.get("/trusted-parties").await.location(), format!("{}/signin", simulator.base_url));
    for scopes in ["openid", "openid /read-limited"] {
        let code = tab.code(&ask(MEMBER_CLIENT, scopes, ""), people::ORDINARY).await;
        exchange(&simulator, &code).await;
    }
    let page = tab.get("/trusted-organisations").await;
    for shown in ["Practice Campus Library", "2026-10-01", "Read your information", "Ends 2 tokens"] {
        assert!(page.body.contains(shown), "{shown}");
    }
    let token = page.field("/trusted-organisations", "token");
    let fields = [("token", &*token), ("client", PUBLIC_CLIENT)];
    assert_eq!(tab.submit("/trusted-organisations", &fields).await.status, 403, "the token names the client");
    let fields = [("token", &*token), ("client", MEMBER_CLIENT)];
    assert_eq!(tab.submit("/trusted-organisations", &fields).await.status, 303);
    assert!(simulator.live_tokens(id(people::ORDINARY), MEMBER_CLIENT).is_empty());
    assert!(tab.get("/account").await.body.contains("given no organization access"));
}

#[tokio::test]
async fn records_as_pages_and_as_json() {
    let (simulator, _) = start().await;
    let at = simulator.local_addr;
    let json = async |orcid: &str| send(at, "GET", &format!("/{orcid}"), &[("Accept", "application/json")], "").await;
    let ordinary = json(people::ORDINARY).await;
    assert_eq!(ordinary.json()["person"]["name"]["given-names"]["value"], "Rowan");
    assert_eq!(ordinary.json()["orcid-identifier"]["uri"], format!("{}/{}", simulator.base_url, people::ORDINARY));
    assert!(json(people::HIDDEN_NAME).await.json()["person"]["name"].is_null());
    for (orcid, status, code) in [
        (people::LOCKED, 409, 9018),
        (people::DEACTIVATED, 409, 9044),
        (people::DEPRECATED, 301, 9007),
        ("0009-9999-9999-9992", 404, 9016),
    ] {
        let reply = json(orcid).await;
        assert_eq!((reply.status, reply.json()["error-code"].as_i64()), (status, Some(code)), "{orcid}");
    }
    assert_eq!(json(people::DEPRECATED).await.location(), format!("{}/{}", simulator.base_url, people::ORDINARY));
    let page = send(at, "GET", &format!("/{}", people::ARABIC), &[("Accept", "text/html,*/*")], "").await;
    assert!(page.body.contains("<bdi dir=\"auto\">ليلى الزيتونية</bdi>"));
    let spelled = send(at, "GET", "/000999990000006x", &[], "").await;
    assert_eq!((spelled.status, spelled.location()), (301, &*format!("{}/{}", simulator.base_url, people::CHECK_X)));
}
