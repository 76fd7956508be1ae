use super::super::arrival::{Arrival, ArrivalHash, Mode, Target};
use super::super::attempt::{Attempt, AttemptId};
use super::super::sealed::{self, Kind};
use super::super::ticket::Ticket;
use super::*;
use crate::domain::ReturnTo;
use crate::vault::HashedSessionKey;
use proptest::prelude::*;

fn arrival(site: &str, host: &str, hash: u8, at: UnixTime) -> Arrival {
    Arrival {
        site: site.parse().unwrap(),
        host: host.parse().unwrap(),
        target: Target::Here("/page".into()),
        hash: postcard::from_bytes::<ArrivalHash>(&[hash; 20]).unwrap(),
        at,
        scopes: Default::default(),
        rule: None,
        max_age: None,
        mode: Mode::Usual,
        client: None,
        came_from: None,
    }
}

#[tokio::test]
async fn a_ticket_is_good_for_its_host_browser_site_and_minute_only() {
    let campus = Campus::open().await;
    let now = now(&campus);
    let sealer = &campus.gate.tickets;
    let hosts: Vec<Host> = ["wiki.example", "library.example"].iter().map(|host| host.parse().unwrap()).collect();
    let root = HashedSessionKey([1; 32]);
    proptest!(ProptestConfig::with_cases(256), |(
        to in 0usize..2, at_host in 0usize..2, site in "(wiki|library)", mine in 0u8..3, theirs in 0u8..3,
        age in -120i64..180, spoil in proptest::option::of(0usize..300)
    )| {
        let away = arrival("wiki", hosts[to].as_str(), mine, now);
        let mut text = Ticket::new([7; 20], &away, &root, now).seal(sealer, &hosts[to]);
        if let Some(at) = spoil {
            let at = at % text.len();
            let other = if text.as_bytes()[at] == b'x' { "y" } else { "x" };
            text.replace_range(at..=at, other);
        }
        let presented = postcard::from_bytes::<ArrivalHash>(&[theirs; 20]).unwrap();
        let good = Ticket::open(sealer, &hosts[at_host], &text)
            .is_some_and(|ticket| ticket.is_good(&site.parse().unwrap(), presented, UnixTime(now.0 + age)));
        let honest = to == at_host && site == "wiki" && mine == theirs && (0..=60).contains(&age);
        // A changed last character may encode the same bytes; then nothing was changed.
        prop_assert!(!good || honest);
        prop_assert!(good || !honest || spoil.is_some());
    });
}

#[tokio::test]
async fn t63_a_target_that_travels_always_fits_the_attempts_cookie() {
    let campus = Campus::open().await;
    let gate = &campus.gate;
    let all = "openid /authenticate /read-limited /activities/update /person/update /email/read-private";
    let label = "h".repeat(60);
    let longest = format!("{label}.{label}.{label}.{label}.example");
    for (host, site, scopes) in [
        ("wiki.example", "wiki", "/authenticate"),
        ("wiki.example", "wiki", all),
        (&longest, "wiki", all),
        (&longest, &"s".repeat(64), all),
    ] {
        let host: Host = host.parse().unwrap();
        let mut request = campus.browser().request(Method::GET, "https://wiki.example:8443/");
        request.host = host.clone();
        let mut travelled = 0;
        for length in (1..3_000).step_by(37) {
            let wants = Wants {
                return_to: ReturnTo::new(host.clone(), &format!("/{}", "x".repeat(length))).unwrap(),
                target_lost: false,
                came_from: None,
                scopes: scopes.parse().unwrap(),
                rule: Some(65_535),
                max_auth_age: None,
            };
            let mut away = arrival(site, host.as_str(), 1, now(&campus));
            let (target, cookies) = gate.part_with_target(&request, &wants, &away.site, away.hash);
            assert!(matches!(target, Target::Here(_)) == cookies.is_empty());
            travelled += usize::from(cookies.is_empty());
            let room = gate.room_beside(&wants, &away.site, &target);
            assert!(room <= 200);
            away.came_from = Some("b".repeat(room));
            (away.target, away.scopes, away.rule, away.max_age) =
                (target, wants.scopes.clone(), Some(u16::MAX), Some(u32::MAX));
            let attempt = Attempt {
                client: "c".repeat(32).parse().unwrap(),
                asked: all.parse().unwrap(),
                at: now(&campus),
                prompted: true,
                arrival: Some(away),
            };
            assert!(gate.keep_attempt(&request, AttemptId([255; 20]), &attempt).is_some(), "{site} {length}");
        }
        assert!(travelled > 8, "most addresses need no cookie: {travelled}");
    }
}

#[tokio::test]
async fn no_sealed_thing_passes_for_another() {
    let campus = Campus::open().await;
    let gate = &campus.gate;
    let kinds = [
        Kind::Arrival,
        Kind::ArrivalCookie,
        Kind::WaitingTarget,
        Kind::Attempt,
        Kind::Ticket,
        Kind::Trouble,
        Kind::Whose,
        Kind::Kept,
    ];
    for (n, sealed_as) in kinds.iter().enumerate() {
        let text = sealed::seal(&gate.arrivals, *sealed_as, "place", &7u32);
        for (m, opened_as) in kinds.iter().enumerate() {
            assert_eq!(sealed::open::<u32>(&gate.arrivals, *opened_as, "place", &text).is_some(), n == m);
        }
        assert!(sealed::open::<u32>(&gate.arrivals, *sealed_as, "elsewhere", &text).is_none());
        assert!(sealed::open::<u32>(&gate.tickets, *sealed_as, "place", &text).is_none());
    }
}

#[tokio::test]
async fn t01_whatever_target_was_sealed_the_way_back_stays_on_its_host() {
    let campus = Campus::open().await;
    let gate = &campus.gate;
    proptest!(ProptestConfig::with_cases(512), |(target in "[/\\\\a-z.:@%#?\t ]{0,12}")| {
        let mut away = arrival("wiki", "wiki.example", 1, now(&campus));
        away.target = Target::Here(target);
        let parsed = url::Url::parse(&gate.way_back(&away)).unwrap();
        prop_assert_eq!(parsed.origin().ascii_serialization(), "https://wiki.example:8443");
    });
}
