use super::*;
use crate::domain::{Environment, StoppedClock, Subject, SystemChance};
use crate::vault::{Purpose, Vault, VaultSettings, generate_key_file};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const WIKI: &str = "wiki.example";

fn binder() -> (Binder, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let (clock, key_file) = (Arc::new(StoppedClock::at(1)), place.path().join("keys"));
    generate_key_file(&key_file, &*clock, &SystemChance::default()).unwrap();
    let settings = VaultSettings {
        directory: place.path().join("vault"),
        key_file,
        simulated: true,
        idle: Duration::from_secs(60),
        absolute: Duration::from_secs(60),
        outage_grace: std::time::Duration::ZERO,
        warm_sessions: 10,
    };
    let vault = Vault::open(settings, clock, Arc::new(SystemChance::default())).unwrap();
    (Binder::new(vault.sealer(Purpose::AppCookie)), place)
}

fn person(id: &str) -> ConnectionKey {
    let subject = Subject::Orcid(id.parse().unwrap());
    ConnectionKey { environment: Environment::Simulator, client: "main".parse().unwrap(), subject }
}

fn named(names: &[&str]) -> AppCookies {
    AppCookies::Named(names.iter().map(|&name| name.to_owned()).collect())
}

/// A browser's cookies, by name and path.
#[derive(Clone, Default)]
struct Jar(BTreeMap<(String, String), String>);

impl Jar {
    fn take(&mut self, answer: &HeaderMap) {
        for line in answer.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            let path = line.split("; Path=").nth(1).map_or("/", |rest| rest.split(';').next().unwrap());
            let key = (name.to_owned(), path.to_owned());
            match line.contains("Max-Age=0") {
                true => drop(self.0.remove(&key)),
                false => drop(self.0.insert(key, value.to_owned())),
            }
        }
    }

    fn request(&self) -> HeaderMap {
        let pairs: Vec<String> = self.0.iter().map(|((name, _), value)| format!("{name}={value}")).collect();
        let mut headers = HeaderMap::new();
        if !pairs.is_empty() {
            headers.insert(header::COOKIE, pairs.join("; ").parse().unwrap());
        }
        headers
    }

    fn names(&self) -> Vec<&str> {
        self.0.keys().map(|(name, _)| name.as_str()).collect()
    }
}

/// One request and its answer; gives the cookies the app saw.
fn visit(
    binder: &Binder,
    which: &AppCookies,
    who: Option<&ConnectionKey>,
    jar: &mut Jar,
    opens_a_page: bool,
    sets: &[&str],
) -> Vec<String> {
    let mut binding = Binding::new(who, &WIKI.parse().unwrap(), opens_a_page);
    let mut headers = jar.request();
    binder.withhold(which, &mut binding, &mut headers);
    let mut answer = HeaderMap::new();
    for line in sets {
        answer.append(header::SET_COOKIE, HeaderValue::from_str(line).unwrap());
    }
    binder.bind(which, &binding, "/app/page?x=/y", &mut answer);
    jar.take(&answer);
    let seen = pairs(headers.get_all(header::COOKIE).iter()).filter(|(name, _)| !cookie::is_own(name));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    seen.map(|(name, value)| format!("{}={}", text(name), text(value))).collect()
}

#[test]
fn b20_an_apps_cookie_is_shown_for_the_person_it_was_set_for_only() {
    let (binder, _place) = binder();
    let (a, b) = (person("0000-0002-1825-0097"), person("0000-0001-5109-3700"));
    for which in [named(&["SID"]), AppCookies::All] {
        for (first, second) in [(Some(&a), Some(&b)), (Some(&b), Some(&a)), (None, Some(&a)), (Some(&a), None)] {
            let mut jar = Jar::default();
            assert!(visit(&binder, &which, first, &mut jar, true, &["SID=one; Path=/"]).is_empty());
            assert_eq!(visit(&binder, &which, first, &mut jar, true, &[]), ["SID=one"]);
            // Beside a page nothing ends yet, and nothing is shown either.
            assert!(visit(&binder, &which, second, &mut jar, false, &[]).is_empty());
            assert!(jar.names().contains(&"SID"));
            assert!(visit(&binder, &which, second, &mut jar, true, &[]).is_empty());
            assert_eq!(jar.names().is_empty(), second.is_some(), "{:?}", jar.names());
            // Their own is shown to them, and the first one's is gone for good, wherever it may lie still.
            visit(&binder, &which, second, &mut jar, true, &["SID=two; Path=/"]);
            jar.0.insert(("SID".to_owned(), "/app".to_owned()), "one".to_owned());
            assert_eq!(visit(&binder, &which, second, &mut jar, true, &[]), ["SID=two"]);
            assert!(visit(&binder, &which, first, &mut jar, true, &[]).is_empty());
        }
    }
}

#[test]
fn the_same_person_keeps_several_values_and_those_just_replaced() {
    let (binder, _place) = binder();
    let (a, which, mut jar) = (person("0000-0002-1825-0097"), named(&["SID", "b"]), Jar::default());
    visit(&binder, &which, Some(&a), &mut jar, true, &["SID=one; Path=/", "SID=deep; Path=/app", "b=\"q r\""]);
    let mut seen = visit(&binder, &which, Some(&a), &mut jar, true, &["SID=three; path=/"]);
    seen.sort();
    assert_eq!(seen, ["SID=deep", "SID=one", "b=\"q r\""]);
    seen = visit(&binder, &which, Some(&a), &mut jar, true, &[]);
    seen.sort();
    assert_eq!(seen, ["SID=deep", "SID=three", "b=\"q r\""]);
    // What was never set by the app, or under another name, is withheld; what is not bound is nobody's business.
    jar.0.insert(("b".to_owned(), "/".to_owned()), "deep".to_owned());
    jar.0.insert(("theme".to_owned(), "/".to_owned()), "dark".to_owned());
    let mut seen = visit(&binder, &which, Some(&a), &mut jar, true, &[]);
    seen.sort();
    assert_eq!(seen, ["SID=deep", "SID=three", "theme=dark"]);
    // With all of them bound, what script set is not shown: nobody knows for whom.
    let mut seen = visit(&binder, &AppCookies::All, Some(&a), &mut jar, true, &[]);
    seen.sort();
    assert_eq!(seen, ["SID=deep", "SID=three"]);
}

#[test]
fn companions_of_another_host_key_or_name_prove_nothing() {
    let (ours, _place) = binder();
    let (theirs, _other) = binder();
    let (a, which) = (person("0000-0002-1825-0097"), named(&["SID", "TID"]));
    let mut jar = Jar::default();
    visit(&ours, &which, Some(&a), &mut jar, true, &["SID=one; Path=/"]);
    assert!(visit(&theirs, &which, Some(&a), &mut jar.clone(), false, &[]).is_empty());
    let mut binding = Binding::new(Some(&a), &"forum.example".parse().unwrap(), false);
    let mut headers = jar.request();
    ours.withhold(&which, &mut binding, &mut headers);
    assert!(!headers[header::COOKIE].to_str().unwrap().starts_with("SID"));
    let companion = jar.0[&(format!("{PREFIX}SID"), "/".to_owned())].clone();
    jar.0.insert((format!("{PREFIX}TID"), "/".to_owned()), companion.clone());
    jar.0.insert(("TID".to_owned(), "/".to_owned()), "one".to_owned());
    assert_eq!(visit(&ours, &which, Some(&a), &mut jar, false, &[]), ["SID=one"]);
    // One sent twice was planted.
    let mut headers = HeaderMap::new();
    let twice = format!("SID=one; {PREFIX}SID={companion}; {PREFIX}SID={companion}");
    headers.insert(header::COOKIE, twice.parse().unwrap());
    ours.withhold(&which, &mut Binding::new(Some(&a), &WIKI.parse().unwrap(), false), &mut headers);
    assert!(!headers[header::COOKIE].to_str().unwrap().starts_with("SID"));
}

#[test]
fn a_nameless_cookie_is_taken_for_what_a_lenient_app_takes_it_for() {
    let (binder, _place) = binder();
    for cookies in ["SID=x", "=SID=x", "SID", " = SID = x ", "a=1; SID=x", "a=1;;=; SID=x"] {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, cookies.parse().unwrap());
        headers.append(header::COOKIE, "SID=y; c".parse().unwrap());
        binder.withhold(&named(&["SID"]), &mut Binding::new(None, &WIKI.parse().unwrap(), false), &mut headers);
        let left: Vec<_> = headers.get_all(header::COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
        assert!(left.iter().all(|left| !left.contains("SID")) && left[0].ends_with('c'), "{cookies}: {left:?}");
    }
}

#[test]
fn t63_companions_are_few_and_short() {
    let (binder, _place) = binder();
    let (a, mut jar) = (person("0000-0002-1825-0097"), Jar::default());
    let long = "n".repeat(62);
    let lines: Vec<String> = (10..40)
        .map(|n| format!("{long}{n}=v; Path=/{}; Domain={}; Max-Age=5", "p".repeat(99), "d".repeat(100)))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    for _ in 0..5 {
        visit(&binder, &AppCookies::All, Some(&a), &mut jar, true, &lines);
    }
    let companions: Vec<usize> =
        jar.0.iter().filter(|((name, _), _)| name.starts_with(PREFIX)).map(|(k, v)| k.0.len() + 1 + v.len()).collect();
    assert_eq!(companions.len(), MOST_APP_COOKIES);
    assert!(companions.iter().all(|length| *length <= 512) && companions.iter().sum::<usize>() <= 8 * 1024);
}

#[test]
fn after_a_sign_out_each_cookie_is_taken_back_where_it_lies() {
    let (binder, _place) = binder();
    let mut binding = Binding::new(Some(&person("0000-0002-1825-0097")), &WIKI.parse().unwrap(), true);
    let mut answer = HeaderMap::new();
    for line in ["a=1", "b=2; PATH=/deep ; domain=.wiki.example; HttpOnly", "c=3; Path=relative", "d=4; Path=/x\ty"] {
        answer.append(header::SET_COOKIE, HeaderValue::from_str(line).unwrap());
    }
    binder.withhold(&AppCookies::All, &mut binding, &mut HeaderMap::new());
    assert!(binder.bind(&AppCookies::All, &binding, "/app/page?x=/y", &mut answer));
    let lines: Vec<&str> = answer.get_all(header::SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect();
    let sent: Vec<&str> =
        lines.iter().filter(|line| line.starts_with(PREFIX)).map(|line| line.split(';').next().unwrap()).collect();
    assert_eq!(sent.len(), 4);
    let sent = HeaderValue::from_str(&sent.join("; ")).unwrap();
    let back = expire_all([sent].iter());
    let back: Vec<&str> = back.iter().map(|line| line.to_str().unwrap()).collect();
    for wanted in [
        "a=; Path=/app; Max-Age=0; Secure; HttpOnly",
        "b=; Path=/deep; Domain=.wiki.example; Max-Age=0; Secure; HttpOnly",
        "c=; Path=/app; Max-Age=0; Secure; HttpOnly",
        "d=; Path=/; Max-Age=0; Secure; HttpOnly",
    ] {
        assert!(back.contains(&wanted), "{wanted}: {back:?}");
    }
    assert_eq!(back.iter().filter(|line| line.starts_with(PREFIX) && line.ends_with("Max-Age=0")).count(), 4);
}

proptest! {
    #[test]
    fn what_a_browser_claims_to_be_a_companion_sets_nothing_else(name in "[ -~]{0,12}", value in "[ -~]{0,60}") {
        if let Ok(cookies) = HeaderValue::from_str(&format!("{PREFIX}{name}={value}; {PREFIX}a={value}")) {
            for line in expire_all([cookies].iter()) {
                prop_assert!(line.to_str().unwrap().contains("Max-Age=0"));
            }
        }
        let plain = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let zeros = plain(&"\0".repeat(TAG));
        let forged = HeaderValue::from_str(&format!("{PREFIX}a={zeros}~{}~{}", plain(&value), plain(&name))).unwrap();
        for line in expire_all([forged].iter()) {
            let line = line.to_str().unwrap();
            prop_assert!(line.split(';').count() <= 6 && line.contains("Max-Age=0"), "{line}");
        }
    }
}
