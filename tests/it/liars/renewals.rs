//! Lies of a renewed pair: T61, D4. The client side is asked directly about each; what comes of one that is not
//! believed, and of a refusal, is seen at the gate.

use crate::campus::browser::Browser;
use crate::campus::{Campus, people};
use crate::sign_in_attacks::{CALLBACK, TODAY, parameter, through_orcid, with_query};
use lychgate::domain::{
    AuthorizationCode, ClientSecret, Clock, Environment, Grant, Membership, Scope, ScopeSet, StoppedClock, SystemClock,
};
use lychgate::orcid::{
    Check, ClientAuthentication, OrcidTrouble, Proof, Provider, ProviderSettings, SigningAlgorithm, Timeouts,
};
use lychgate::simulator::{MEMBER_CLIENT, SimulatedClient, Simulator, SimulatorHandle, SimulatorSettings};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SECRET: &str = "5ec0de00-0000-4000-8000-000000000061";
const NONCE: &str = "bm9uY2Utb2YtYS1yZW5ld2Fs";
const VERIFIER: &str = "dmVyaWZpZXItb2YtYS1yZW5ld2FsLWxvbmctZW5vdWdo";

fn provider(simulator: &SimulatorHandle) -> Arc<Provider> {
    let settings = ProviderSettings {
        name: "campus".parse().unwrap(),
        environment: Environment::Simulator,
        membership: Membership::Member,
        client_id: MEMBER_CLIENT.to_owned(),
        client_secret: ClientSecret::new(SECRET),
        issuer: simulator.base_url.clone(),
        authentication: ClientAuthentication::Auto,
        algorithms: vec![SigningAlgorithm::Rs256],
        redirect_uri: CALLBACK.to_owned(),
        base_scope: Scope::openid(),
        foreign_subjects: false,
        subject_claim: None,
        extra_scopes: ScopeSet::default(),
        offer_sign_out: false,
        title: None,
        show_login: true,
        renew: false,
        userinfo: false,
        cache_file: None,
        ca_file: None,
        leeway: Duration::from_secs(60),
        timeouts: Timeouts::default(),
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    Provider::new(settings, clock).unwrap()
}

/// A grant for the ordinary person.
async fn grant(provider: &Provider, simulator: &SimulatorHandle) -> Grant {
    // A campus brings the browser; its own gate and ORCID have no part in this.
    let campus = Campus::open().await;
    let browser = campus.browser();
    let asked: ScopeSet = "openid".parse().unwrap();
    let query = [
        ("client_id", MEMBER_CLIENT),
        ("response_type", "code"),
        ("scope", "openid"),
        ("redirect_uri", CALLBACK),
        ("state", "s"),
        ("nonce", NONCE),
    ];
    let address = with_query(&format!("{}/oauth/authorize", simulator.base_url), &query);
    let back = through_orcid(&browser, &address, &people::ordinary(), "Authorize access").await;
    let proof = Proof { nonce: NONCE, pkce_verifier: VERIFIER, iss: None, asked: &asked, signed_in_since: None };
    let grant = provider.exchange(AuthorizationCode::new(parameter(&back, "code")), &proof).await.unwrap();
    campus.close().await;
    grant
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t61_d4_a_renewal_is_held_to_the_same_rules_and_the_same_person() {
    let client = SimulatedClient::new(MEMBER_CLIENT, SECRET, "Renewals", true, &[CALLBACK]);
    let simulator = Simulator::start(SimulatorSettings::on_loopback(vec![client])).await.unwrap();
    let provider = provider(&simulator);
    let grant = grant(&provider, &simulator).await;
    let token = grant.refresh_token.clone().unwrap();
    for profile in ["2026", "legacy"] {
        for (id_token, lie, expected) in [
            ("off", "none", None),
            ("on", "none", None),
            ("on", "id-token-iss-other", Some(Check::Issuer)),
            ("on", "id-token-aud-other", Some(Check::Audience)),
            ("on", "id-token-signature-broken", Some(Check::Signature)),
            ("on", "id-token-alg-none", Some(Check::Algorithm)),
            ("on", "id-token-exp-past", Some(Check::Expiry)),
            ("on", "id-token-at-hash-other", Some(Check::AccessTokenHash)),
            ("on", "id-token-sub-other", Some(Check::SubjectsDisagree)),
            ("on", "id-token-sub-missing", Some(Check::Subject)),
            ("off", "token-orcid-other", Some(Check::OtherHolder)),
            ("off", "token-orcid-wrong", Some(Check::Subject)),
            ("off", "token-orcid-missing", None),
        ] {
            for (name, value) in [("profile", profile), ("refresh-id-token", id_token), ("lie", lie)] {
                simulator.set(name, value).await.unwrap();
            }
            let found = provider.refresh(&token, None, &grant.subject).await;
            assert_eq!(found.err(), expected.map(OrcidTrouble::Lied), "{profile} {lie}");
        }
        simulator.reset();
    }
    simulator.stop().await;
}

const LOANS: &str = "https://library.campus.example/loans";
/// The simulator as any other provider, which is asked every ten minutes to renew.
const OTHER: &str = "environment = \"other\"\nid = \"APP-RENEWALSRENEWALS\"\nsecret = \"5ec0de00-0000-4000-8000-000000000061\"\n\
                     issuer = \"{issuer}\"\nrenew = true\ndefault = true";
const WATCH: &str = "\n[watch]\nevery = \"10 min\"\nrate = 10\n";
const ROUND: i64 = 600;

/// Whether the person is still signed in; asked by a script, which is sent nowhere.
async fn is_signed_in(browser: &Browser) -> bool {
    browser.get(LOANS).by_script_on(LOANS).send().await.status == 200
}

/// Lets time pass until the simulator was asked to renew once more, and the gate has done what follows.
async fn after_a_round(campus: &Campus, clock: &StoppedClock, outcome: &str) {
    let line = format!("lychgate_record_checks_total{{client=\"campus\",outcome=\"{outcome}\"}} ");
    let count = async || {
        let ops = campus.gate().addresses().ops;
        let text = campus.browser().get(&format!("http://{ops}/metrics")).by_tool().send().await.text();
        text.lines().find_map(|known| known.strip_prefix(&line)?.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let before = count().await;
    clock.advance(ROUND);
    let end = Instant::now() + Duration::from_secs(30);
    while count().await == before {
        assert!(Instant::now() < end, "never came: {outcome}");
        clock.advance(1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t61_a_renewal_that_is_refused_or_not_believed_ends_the_session() {
    let clock = Arc::new(StoppedClock::at(TODAY));
    let campus = Campus::build().client(OTHER).configuration(WATCH).clock(clock.clone()).open().await;
    let client = SimulatedClient::new("APP-RENEWALSRENEWALS", SECRET, "Renewals", true, &[CALLBACK]);
    campus.simulator.register(client).unwrap();
    let person = people::ordinary();
    for lie in ["none", "id-token-sub-other", "id-token-signature-broken"] {
        let browser = campus.browser();
        let there = browser.open(LOANS).await.click("Sign in at 127.0.0.1").await;
        let connected = people::at_orcid(there, &person, true).await;
        let page = match connected.url.path() {
            "/.lychgate/connected" => connected.click("Continue").await,
            _ => connected,
        };
        page.assert_status(200).assert_at(LOANS);
        campus.simulator.set("refresh-id-token", "on").await.unwrap();
        after_a_round(&campus, &clock, "sound").await;
        assert!(is_signed_in(&browser).await, "a renewal that is sound changes nothing");
        match lie {
            "none" => assert!(campus.simulator.revoke_by_user(person.orcid, "APP-RENEWALSRENEWALS") > 0),
            lie => campus.simulator.set("lie", lie).await.unwrap(),
        }
        after_a_round(&campus, &clock, "not-renewed").await;
        assert!(!is_signed_in(&browser).await, "{lie}");
        let page = browser.open(LOANS).await;
        page.assert_says("You were signed out").assert_says("nobody confirms any longer").assert_lacks("ORCID iD");
        campus.simulator.set("lie", "none").await.unwrap();
    }
    campus.close().await;
}
