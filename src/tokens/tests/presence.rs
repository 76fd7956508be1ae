//! Whether a provider is there: when an outage begins and ends, what is none, and that it never outlives its watch.

use super::super::presence::Presence;
use super::*;
use crate::metrics::Metrics;
use crate::orcid::{BadMetadata, Check, Defect, Endpoint, OrcidTrouble};

const HOUR: i64 = 3600;
const AT: Endpoint = Endpoint::Discovery;

impl House {
    fn presence(&self) -> (Presence, Arc<Metrics>) {
        self.presence_of(self.providers.values().next().unwrap().clone())
    }

    fn presence_of(&self, provider: Arc<Provider>) -> (Presence, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new().unwrap());
        let (vault, clock) = (self.vault.clone(), self.clock.clone());
        let parts = PresenceParts { vault, provider, clock, metrics: metrics.clone(), grace: GRACE };
        (Presence::new(parts), metrics)
    }

    /// Whom Sofia's browser brings past the absolute end of her session, using it all the time.
    async fn past_the_end(&self) {
        for _ in 0..4 {
            self.clock.advance(6 * HOUR - 60);
            assert!(self.lives(1).await);
        }
        self.clock.advance(HOUR);
    }
}

fn is_away(metrics: &Metrics) -> bool {
    metrics.provider_away.with_label_values(&["orcid"]).get() == 1
}

#[tokio::test]
async fn f14_an_outage_begins_with_the_second_missed_answer_and_ends_with_the_first_one() {
    let here = || Ok(());
    let refused = || Err(OrcidTrouble::Unreachable(AT));
    let late = || Err(OrcidTrouble::TimedOut(AT));
    let status = |status| Err(OrcidTrouble::Unavailable { endpoint: AT, status });
    let cases = [
        ("nothing was asked", vec![], false),
        ("there", vec![here()], false),
        ("one lost question", vec![here(), refused()], false),
        ("two", vec![here(), refused(), refused()], true),
        ("two of two kinds", vec![late(), status(503)], true),
        ("every status that says so", vec![status(500), status(599)], true),
        ("two, but not in a row", vec![refused(), here(), refused()], false),
        ("back", vec![refused(), refused(), here()], false),
        ("back, and one lost", vec![refused(), refused(), here(), refused()], false),
        ("gone again", vec![late(), late(), here(), late(), late()], true),
        ("for long", vec![refused(); 500], true),
        ("asked too much", vec![status(429); 9], false),
        ("a lost question, asked too much, a lost one", vec![refused(), status(429), refused()], false),
        ("back, and asked too much at once", vec![late(), late(), status(429)], false),
    ];
    let house = house().await;
    for (about, answers, away) in cases {
        let (mut presence, metrics) = house.presence();
        answers.into_iter().for_each(|answer| presence.hear(answer, house.clock.now()));
        assert_eq!(is_away(&metrics), away, "{about}");
    }
}

#[tokio::test]
async fn f14_t62_an_answer_that_is_not_believed_is_no_outage_and_ends_one() {
    let house = house().await;
    for lie in [
        OrcidTrouble::Certificate(AT),
        OrcidTrouble::Redirected { endpoint: AT, status: 302 },
        OrcidTrouble::Refused { endpoint: AT, status: 404, error: "other" },
        OrcidTrouble::ClientRefused { endpoint: AT, status: 401, error: "invalid_client" },
        OrcidTrouble::Unusable { endpoint: AT, defect: Defect::Malformed },
        OrcidTrouble::Unusable { endpoint: AT, defect: Defect::TooLarge },
        OrcidTrouble::Unusable { endpoint: AT, defect: Defect::ContentType },
        OrcidTrouble::Metadata(BadMetadata::Issuer),
        OrcidTrouble::Metadata(BadMetadata::OtherHost),
        OrcidTrouble::Lied(Check::Issuer),
        OrcidTrouble::Setup("no certificates".to_owned()),
    ] {
        let (mut presence, metrics) = house.presence();
        let mut hear = |answer| {
            presence.hear(answer, house.clock.now());
            is_away(&metrics)
        };
        assert!(!hear(Err(lie.clone())) && !hear(Err(lie.clone())) && !hear(Err(lie.clone())), "{lie}");
        let lost = || Err(OrcidTrouble::Unreachable(AT));
        assert!(!hear(lost()) && hear(lost()), "{lie}");
        assert!(!hear(Err(lie.clone())), "{lie}");
    }
}

#[tokio::test]
async fn f14_what_comes_over_the_wire_is_read_so() {
    let house = house().await;
    let issuer = |issuer: &str| serde_json::json!({ "issuer": issuer }).to_string();
    for (status, body, away) in [
        ("500 Internal Server Error", String::new(), true),
        ("502 Bad Gateway", "<h1>Bad Gateway</h1>".to_owned(), true),
        ("503 Service Unavailable", "{}".to_owned(), true),
        ("504 Gateway Timeout", String::new(), true),
        ("429 Too Many Requests", "{}".to_owned(), false),
        ("404 Not Found", "{}".to_owned(), false),
        ("302 Found", String::new(), false),
        ("200 OK", String::new(), false),
        ("200 OK", "<h1>Log in to the network</h1>".to_owned(), false),
        ("200 OK", issuer("https://elsewhere.invalid"), false),
    ] {
        house.desk.lock().unwrap().discovery = Some((status, body.clone()));
        let (mut presence, metrics) = house.presence();
        for _ in 0..2 {
            presence.step().await;
            house.clock.advance(30);
        }
        assert_eq!(is_away(&metrics), away, "{status} {body}");
    }
    // Nobody listens at the first address; at the second somebody takes the question and says nothing.
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for (address, trouble) in [(closed, "unreachable"), (silent.local_addr().unwrap(), "timed_out")] {
        let mut settings = settings(format!("http://{address}"), Environment::Simulator);
        settings.timeouts.total = Duration::from_millis(300);
        let provider = Provider::new(settings, house.clock.clone()).unwrap();
        assert_eq!(provider.answers().await.unwrap_err().code(), trouble);
        let (mut presence, metrics) = house.presence_of(provider);
        for _ in 0..2 {
            presence.step().await;
            house.clock.advance(5);
        }
        assert!(is_away(&metrics), "{trouble}");
    }
}

#[tokio::test]
async fn f14_it_is_asked_twice_a_minute_sooner_while_it_is_away_and_never_by_a_broken_clock() {
    let house = house().await;
    let (mut presence, metrics) = house.presence();
    // Seconds until the step, whether it is there by then, whether that step asks, and whether it is away after it.
    for (seconds, there, asks, away) in [
        (0, true, true, false),
        (0, true, false, false),
        (29, true, false, false),
        (1, true, true, false),
        (29, false, false, false),
        (1, false, true, false),
        (4, false, false, false),
        (1, false, true, true),
        (4, false, false, true),
        (1, false, true, true),
        (4, true, false, true),
        (1, true, true, false),
        (29, true, false, false),
        (1, true, true, false),
        (-24 * HOUR, true, true, false),
        (29, true, false, false),
    ] {
        house.clock.advance(seconds);
        house.desk.lock().unwrap().down = !there;
        presence.step().await;
        let asked = std::mem::take(&mut house.desk.lock().unwrap().discoveries);
        assert_eq!((asked == 1, is_away(&metrics)), (asks, away), "{seconds} s later, there: {there}");
    }
}

#[tokio::test]
async fn f14_sessions_outlive_their_end_only_while_it_is_away() {
    let house = house().await;
    house.deposit(SOFIA, "sofia", 1, None).await;
    let (mut presence, _) = house.presence();
    let lost = || Err(OrcidTrouble::Unreachable(AT));
    house.past_the_end().await;
    presence.hear(lost(), house.clock.now());
    presence.hear(lost(), house.clock.now());
    assert!(house.lives(1).await);
    presence.hear(Ok(()), house.clock.now());
    assert!(!house.lives(1).await);
    for _ in 0..2 {
        presence.hear(lost(), house.clock.now());
    }
    assert!(!house.lives(1).await, "what has ended stays ended");
}

#[tokio::test]
async fn f14_a_watch_that_is_gone_leaves_nobody_signed_in() {
    for panics in [false, true] {
        let house = house().await;
        house.deposit(SOFIA, "sofia", 1, None).await;
        house.past_the_end().await;
        let (mut presence, metrics) = house.presence();
        for _ in 0..2 {
            presence.hear(Err(OrcidTrouble::TimedOut(AT)), house.clock.now());
        }
        assert!(is_away(&metrics) && house.lives(1).await);
        let task = tokio::spawn(async move {
            let _watch = presence;
            assert!(!panics, "as a mistake in it would");
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        task.abort();
        assert_eq!(task.await.unwrap_err().is_panic(), panics);
        assert!(!is_away(&metrics) && !house.lives(1).await, "panics: {panics}");
    }
}
