//! The watch for what was taken back: rounds, doubts, reasons, silence.

use super::super::watch::{Step, Watch};
use super::*;
use crate::domain::Broken;
use crate::metrics::Metrics;

const HOUR: i64 = 3600;

impl House {
    fn watch(&self, rate: u32) -> (Watch, Arc<Metrics>) {
        self.watch_every(24, rate)
    }

    fn watch_every(&self, hours: u64, rate: u32) -> (Watch, Arc<Metrics>) {
        let metrics = Arc::new(Metrics::new().unwrap());
        let parts = WatchParts {
            vault: self.vault.clone(),
            provider: self.providers.values().next().unwrap().clone(),
            clock: self.clock.clone(),
            chance: Arc::new(SystemChance::default()),
            metrics: metrics.clone(),
            plan: WatchPlan { every: Duration::from_secs(hours * 3600), rate },
        };
        (Watch::new(parts), metrics)
    }

    fn asked(&self) -> Vec<String> {
        let mut asked = std::mem::take(&mut self.desk.lock().unwrap().asked);
        asked.sort();
        asked
    }

    fn kill(&self, token: &str) {
        self.desk.lock().unwrap().dead.push(token.to_owned());
    }

    async fn trouble(&self, orcid: &str) -> Option<Broken> {
        self.vault.connection(&self.key(orcid)).await.unwrap().unwrap().trouble
    }
}

/// Steps until there is nothing to do; says how many steps that were.
async fn run(watch: &mut Watch) -> usize {
    for steps in 0..10_000 {
        if watch.step().await.unwrap() == Step::Rests {
            return steps;
        }
    }
    panic!("it never rests");
}

fn counted(metrics: &Metrics, outcome: &str) -> u64 {
    metrics.record_checks.with_label_values(&["orcid", outcome]).get()
}

#[tokio::test]
async fn j8_everybody_is_asked_about_once_a_round_and_whoever_withdrew_is_found() {
    let house = house().await;
    house.deposit(SOFIA, "sofia", 1, None).await;
    house.deposit(JOSIAH, "josiah", 2, None).await;
    let (mut watch, metrics) = house.watch(10);
    run(&mut watch).await;
    assert_eq!(house.asked(), [format!("{SOFIA} sofia"), format!("{JOSIAH} josiah")]);
    house.clock.advance(20 * HOUR);
    run(&mut watch).await;
    assert_eq!(house.asked(), [""; 0], "a round a day");

    house.deposit(SOFIA, "sofia again", 3, None).await;
    house.kill("sofia again");
    house.clock.advance(4 * HOUR);
    run(&mut watch).await;
    assert_eq!(house.asked().len(), 3, "one refusal alone proves nothing");
    assert_eq!((house.trouble(SOFIA).await, house.trouble(JOSIAH).await), (Some(Broken::Withdrawn), None));
    assert!(house.lives(3).await, "who took a permission back is still who they were");
    assert_eq!([counted(&metrics, "sound"), counted(&metrics, "doubted"), counted(&metrics, "withdrawn")], [3, 1, 1]);

    house.clock.advance(24 * HOUR);
    run(&mut watch).await;
    assert_eq!(house.asked(), [format!("{JOSIAH} josiah")], "what is broken is not asked about again");
}

#[tokio::test]
async fn j8_a_refusal_counts_only_if_a_freshly_read_token_is_refused_too() {
    let house = house().await;
    house.deposit(SOFIA, "old", 1, None).await;
    house.kill("old");
    let (mut watch, metrics) = house.watch(1);
    assert_eq!(run(&mut watch).await, 3, "begun, read, asked once in this second");
    assert_eq!(house.asked(), [format!("{SOFIA} old")]);
    // Between the two questions she signs in again, which supersedes the token that was refused.
    house.deposit(SOFIA, "new", 2, Some(1)).await;
    house.clock.advance(1);
    run(&mut watch).await;
    assert_eq!(house.asked(), [format!("{SOFIA} new")]);
    assert_eq!((house.trouble(SOFIA).await, counted(&metrics, "sound")), (None, 1));
}

#[tokio::test]
async fn j8_two_watches_that_meet_find_it_broken_once() {
    let house = house().await;
    house.deposit(SOFIA, "sofia", 1, None).await;
    house.kill("sofia");
    let ((mut one, first), (mut other, second)) = (house.watch(10), house.watch(10));
    // Each has begun and read before the other keeps how far it is.
    for _ in 0..2 {
        one.step().await.unwrap();
    }
    house.vault.keep_round(&"orcid".parse().unwrap(), &begun()).await.unwrap();
    let doubts = async |watch: &mut Watch, metrics: &Metrics| {
        while counted(metrics, "doubted") == 0 {
            watch.step().await.unwrap();
        }
    };
    tokio::join!(doubts(&mut one, &first), doubts(&mut other, &second));
    tokio::join!(run(&mut one), run(&mut other));
    assert_eq!(house.trouble(SOFIA).await, Some(Broken::Withdrawn));
    let of = |word| counted(&first, word) + counted(&second, word);
    assert_eq!((of("doubted"), of("withdrawn")), (2, 1));
    // The slower one's answer is about a token that is gone, or it finds none to ask with.
    assert_eq!(of("superseded") + of("no-token"), 1);
}

fn begun() -> crate::vault::Round {
    crate::vault::Round { next: crate::domain::UnixTime(1_790_086_400), at: crate::vault::Stage::Beginning }
}

#[tokio::test]
async fn f6_replaced_locked_and_deactivated_records_end_the_sessions_and_map_nobody() {
    let primary = "0000-0002-1694-233X";
    let moved = format!("https://pub.orcid.org/v3.0/{primary}/personal-details");
    let code = |code| serde_json::json!({ "error-code": code }).to_string();
    for (record, why) in [
        (("301 Moved Permanently", code(9007), moved), Broken::Deprecated { primary: Some(primary.parse().unwrap()) }),
        (("409 Conflict", code(9018), String::new()), Broken::Locked),
        (("409 Conflict", code(9044), String::new()), Broken::Deactivated),
    ] {
        let house = house().await;
        house.deposit(SOFIA, "sofia", 1, None).await;
        house.deposit(JOSIAH, "josiah", 2, None).await;
        house.desk.lock().unwrap().records.insert(SOFIA.into(), record);
        let (mut watch, metrics) = house.watch(10);
        run(&mut watch).await;
        assert_eq!(house.trouble(SOFIA).await, Some(why));
        assert!(!house.lives(1).await && house.lives(2).await, "{why:?}");
        assert_eq!(counted(&metrics, why.word()), 1);
        assert!(house.vault.connection(&house.key(primary)).await.unwrap().is_none(), "nobody is remapped");
        assert!(house.asked().iter().all(|asked| !asked.starts_with(primary)), "nor is the redirect followed");
    }
}

#[tokio::test]
async fn f14_an_outage_a_quota_and_what_nobody_understands_break_nothing() {
    let house = house().await;
    house.deposit(SOFIA, "sofia", 1, None).await;
    let told = |status, body: &str| (status, body.to_owned(), String::new());
    let say = |record| house.desk.lock().unwrap().records.insert(SOFIA.into(), record);
    let (mut watch, metrics) = house.watch(10);
    let mut silence = 60;
    for status in ["503 Service Unavailable", "429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway"] {
        say(told(status, r#"{"error":"invalid_token"}"#));
        run(&mut watch).await;
        assert_eq!(house.asked().len(), 1, "{status}");
        house.clock.advance(silence - 1);
        run(&mut watch).await;
        assert_eq!(house.asked(), [""; 0], "silent for {silence} s after {status}");
        house.clock.advance(1);
        silence *= 2;
    }
    assert_eq!(counted(&metrics, "later"), 4);
    for (round, (status, body)) in [
        ("401 Unauthorized", r#"{"error-code":9017}"#),
        ("409 Conflict", r#"{"error-code":9057}"#),
        ("404 Not Found", "{"),
    ]
    .into_iter()
    .enumerate()
    {
        say(told(status, body));
        run(&mut watch).await;
        assert_eq!(house.asked().len(), 1, "{status} {body}: asked once, the round goes on");
        assert_eq!(counted(&metrics, "unclear"), round as u64 + 1);
        house.clock.advance(24 * HOUR);
    }
    assert_eq!(house.trouble(SOFIA).await, None);
}

#[tokio::test]
async fn f14_a_day_on_which_every_token_is_refused_breaks_few_connections() {
    let house = house().await;
    let people: Vec<String> = (0..12).map(id).collect();
    for (n, who) in people.iter().enumerate() {
        house.deposit(who, &format!("token {n}"), n as u8, None).await;
        house.kill(&format!("token {n}"));
    }
    let (mut watch, metrics) = house.watch(10);
    for _ in 0..60 {
        run(&mut watch).await;
        house.clock.advance(10);
    }
    assert_eq!(counted(&metrics, "withdrawn"), 5, "then it waits an hour");
    house.desk.lock().unwrap().dead.clear();
    for _ in 0..6 {
        house.clock.advance(HOUR);
        run(&mut watch).await;
    }
    assert_eq!((counted(&metrics, "withdrawn"), counted(&metrics, "sound")), (5, 7));
}

/// Made-up iDs with a right check character (ISO 7064).
fn id(number: usize) -> String {
    let digits = format!("00090000000{number:04}");
    let total = digits.bytes().fold(0, |total, digit| (total + u32::from(digit - b'0')) * 2);
    let check = match (12 - total % 11) % 11 {
        10 => "X".to_owned(),
        digit => digit.to_string(),
    };
    let all = digits + &check;
    [&all[..4], &all[4..8], &all[8..12], &all[12..]].join("-")
}

#[tokio::test]
async fn f6_a_restart_goes_on_where_the_round_was() {
    let house = house().await;
    for number in 0..70 {
        house.deposit(&id(number), &format!("token {number}"), number as u8, None).await;
    }
    let (mut watch, _) = house.watch(1);
    for _ in 0..64 {
        run(&mut watch).await;
        house.clock.advance(1);
    }
    let before = house.asked();
    assert_eq!(before.len(), 64);
    drop(watch);
    let (mut watch, _) = house.watch(10);
    run(&mut watch).await;
    let after = house.asked();
    assert_eq!(after.len(), 6, "the rest of the round, and nobody twice");
    assert!(after.iter().all(|asked| !before.contains(asked)));
    let (mut watch, _) = house.watch(10);
    run(&mut watch).await;
    assert_eq!(house.asked(), [""; 0], "nor is a round that is over begun anew by a restart");
}

fn renewal(change: serde_json::Value) -> Option<(&'static str, String)> {
    let mut tokens = serde_json::json!({
        "access_token": "renewed", "refresh_token": "refresh-renewed", "token_type": "Bearer", "expires_in": 300,
    });
    tokens.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    Some(("200 OK", tokens.to_string()))
}

#[tokio::test]
async fn t61_b23_whom_the_provider_no_longer_vouches_for_is_signed_out() {
    let refused = Some(("400 Bad Request", serde_json::json!({"error": "invalid_grant"}).to_string()));
    let forged = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.";
    for (what, answer, outcome) in [
        ("renewed", renewal(serde_json::json!({})), "sound"),
        ("refused", refused, "not-renewed"),
        ("somebody else", renewal(serde_json::json!({"orcid": JOSIAH})), "not-renewed"),
        ("a forged id_token", renewal(serde_json::json!({"id_token": forged})), "not-renewed"),
        ("away", Some(("503 Service Unavailable", String::new())), "later"),
        (
            "our client",
            Some(("401 Unauthorized", serde_json::json!({"error": "invalid_client"}).to_string())),
            "unclear",
        ),
    ] {
        let house = house_at(Environment::Other).await;
        house.deposit(SOFIA, "sofia", 1, None).await;
        house.desk.lock().unwrap().renewal = answer;
        let (mut watch, metrics) = house.watch(10);
        run(&mut watch).await;
        assert_eq!(house.desk.lock().unwrap().renewed, ["refresh sofia"], "{what}: asked once");
        assert_eq!(counted(&metrics, outcome), 1, "{what}");
        assert_eq!(house.lives(1).await, outcome != "not-renewed", "{what}");
        let trouble = (outcome == "not-renewed").then_some(Broken::NotRenewed);
        assert_eq!(house.trouble(SOFIA).await, trouble, "{what}");
    }
}

#[tokio::test]
async fn b4_a_refresh_token_is_used_once_and_the_new_one_next() {
    let house = house_at(Environment::Other).await;
    house.deposit(SOFIA, "sofia", 1, None).await;
    house.desk.lock().unwrap().renewal = renewal(serde_json::json!({}));
    let (mut watch, _) = house.watch_every(12, 10);
    run(&mut watch).await;
    house.clock.advance(6 * HOUR);
    assert!(house.lives(1).await, "in use");
    // The vault writes the use back by itself; only then does it count for those who look at what is stored.
    while house.vault.sessions_of(&house.key(SOFIA)).await.unwrap()[0].last_used != house.clock.now() {
        tokio::task::yield_now().await;
    }
    house.desk.lock().unwrap().renewal = renewal(serde_json::json!({"access_token": "third", "refresh_token": null}));
    house.clock.advance(6 * HOUR);
    run(&mut watch).await;
    assert_eq!(house.desk.lock().unwrap().renewed, ["refresh sofia", "refresh-renewed"]);
    let pairs = house.vault.token_pairs(&house.key(SOFIA)).await.unwrap();
    let held: Vec<_> =
        pairs.iter().map(|pair| (pair.access_token.expose(), pair.refresh_token.as_ref().unwrap().expose())).collect();
    assert_eq!(held, [("third", "refresh-renewed")], "without a new one the old one stays in use");
    // Nobody is signed in: nobody is asked about.
    house.clock.advance(24 * HOUR);
    run(&mut watch).await;
    assert_eq!(house.desk.lock().unwrap().renewed.len(), 2);
}
