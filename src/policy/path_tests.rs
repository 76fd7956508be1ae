//! Tables and properties of the path canonicaliser.

use super::*;
use proptest::prelude::*;

const STRICT: PathSwitches =
    PathSwitches { ignore_parameters: false, keep_encoded_slash: false, case_insensitive: false };
const PARAMETERS: PathSwitches = PathSwitches { ignore_parameters: true, ..STRICT };
const SLASH: PathSwitches = PathSwitches { keep_encoded_slash: true, ..STRICT };
const FOLDING: PathSwitches = PathSwitches { case_insensitive: true, ..STRICT };

fn forms(raw: &str, switches: &PathSwitches) -> Result<(String, String), BadPath> {
    CanonicalPath::parse(raw, switches).map(|p| (p.forward().to_owned(), p.matching().to_owned()))
}

#[test]
fn t22_what_is_refused_and_by_which_name() {
    for (raw, want) in [
        ("/public/../admin", BadPath::DotSegment),
        ("/public/%2e%2e/admin", BadPath::EncodedDotSegment),
        ("/public/.%2E/admin", BadPath::EncodedDotSegment),
        ("/public/..%2fadmin", BadPath::EncodedSlash),
        ("/public/%252e%252e/admin", BadPath::EncodedDotSegment),
        ("/public/%25252e%25252e/admin", BadPath::EncodedDotSegment),
        ("/public/..%252fadmin", BadPath::EncodedSlash),
        ("/public%255c..%255cadmin", BadPath::EncodedBackslash),
        ("/public/..;/admin", BadPath::PathParameter),
        ("/public/..;x=1/admin", BadPath::PathParameter),
        ("/admin;x/users", BadPath::PathParameter),
        ("/admin%3Bx/users", BadPath::PathParameter),
        ("/public\\..\\admin", BadPath::Backslash),
        ("/public%5c..%5cadmin", BadPath::EncodedBackslash),
        ("//admin", BadPath::EmptySegment),
        ("/a//b", BadPath::EmptySegment),
        ("/a//", BadPath::EmptySegment),
        ("/./admin", BadPath::DotSegment),
        ("/admin/.", BadPath::DotSegment),
        ("/admin/..", BadPath::DotSegment),
        ("/%2e", BadPath::EncodedDotSegment),
        ("/admin#/public", BadPath::Fragment),
        ("/a?b", BadPath::Query),
        ("/a b", BadPath::Space),
        ("/a\tb", BadPath::Control),
        ("/a\0", BadPath::Control),
        ("/a\u{7f}", BadPath::Control),
        ("/é", BadPath::NonAscii),
        ("/a%00b", BadPath::EncodedControl),
        ("/a%0d%0ab", BadPath::EncodedControl),
        ("/a%7f", BadPath::EncodedControl),
        ("/a%2500", BadPath::EncodedControl),
        ("/%c0%af..", BadPath::OverlongUtf8),
        ("/%c0%ae%c0%ae/", BadPath::OverlongUtf8),
        ("/%e0%80%af", BadPath::OverlongUtf8),
        ("/%25c0%25af", BadPath::OverlongUtf8),
        ("/%2525252525", BadPath::TooDeep),
        ("/public/%252525252e%252525252e/admin", BadPath::TooDeep),
        ("/100%", BadPath::PercentEncoding),
        ("/%4", BadPath::PercentEncoding),
        ("/%zz", BadPath::PercentEncoding),
        ("/%u002e", BadPath::PercentEncoding),
        ("/%+1", BadPath::PercentEncoding),
        ("", BadPath::NotAPath),
        ("admin", BadPath::NotAPath),
        ("*", BadPath::NotAPath),
        ("http://a/b", BadPath::NotAPath),
    ] {
        assert_eq!(forms(raw, &STRICT), Err(want), "{raw:?}");
    }
}

#[test]
fn t22_what_passes_is_decoded_once_and_forwarded_as_matched() {
    for (raw, forward, matching) in [
        ("/", "/", "/"),
        ("/a/b.html", "/a/b.html", "/a/b.html"),
        ("/a/", "/a/", "/a/"),
        ("/.well-known/x", "/.well-known/x", "/.well-known/x"),
        ("/...", "/...", "/..."),
        ("/..a", "/..a", "/..a"),
        ("/%61dmin", "/admin", "/admin"),
        ("/%7Euser", "/~user", "/~user"),
        ("/%2561dmin", "/%2561dmin", "/%2561dmin"),
        ("/100%25", "/100%25", "/100%25"),
        ("/100%25/of%2520it", "/100%25/of%2520it", "/100%25/of%2520it"),
        ("/%25252525", "/%25252525", "/%25252525"),
        ("/a%20b", "/a%20b", "/a b"),
        ("/a%40b", "/a%40b", "/a@b"),
        ("/a@b", "/a@b", "/a@b"),
        ("/b%c3%bc", "/b%C3%BC", "/b%C3%BC"),
        ("/latin%E9", "/latin%E9", "/latin%E9"),
        ("/x%2a*", "/x%2A*", "/x%2A%2A"),
        ("/admin%23/public", "/admin%23/public", "/admin#/public"),
        ("/what%3F", "/what%3F", "/what?"),
        ("/ADMIN", "/ADMIN", "/ADMIN"),
        ("/a|b^c[d]", "/a|b^c[d]", "/a|b^c[d]"),
    ] {
        assert_eq!(forms(raw, &STRICT), Ok((forward.into(), matching.into())), "{raw:?}");
    }
}

/// Each layer is a pass over the path: thousands of them would keep a listener busy for seconds.
#[test]
fn t22_a_path_of_nested_percent_signs_is_refused_after_few_passes() {
    for (layer, unit) in [("%25", "25"), ("%25%32%35", "%32%35"), ("/%25", "25")] {
        let raw = format!("/{layer}{}", unit.repeat((32_000 - 1 - layer.len()) / unit.len()));
        let raw = raw.replacen("//", "/", 1);
        assert!(raw.len() > 31_980);
        for switches in [STRICT, PARAMETERS, SLASH, FOLDING] {
            assert_eq!(forms(&raw, &switches), Err(BadPath::TooDeep));
            let forward = raw.replace("%32%35", "25");
            let (mut passes, mut bytes) = (0, 0);
            let counting = |text: &[u8]| {
                passes += 1;
                bytes += text.len();
                percent_decoded(text)
            };
            assert_eq!(look_deeper(forward.as_bytes(), &switches, counting), Err(BadPath::TooDeep));
            assert_eq!(passes, MAX_DECODINGS + 1);
            assert!(bytes <= passes * raw.len());
        }
    }
    // As long, and flat: two passes.
    let flat = format!("/{}", "%25".repeat(10_000));
    assert!(forms(&flat, &STRICT).is_ok());
}

#[test]
fn t22_switches_relax_one_thing_each() {
    let both = |text: &str| Ok((text.to_owned(), text.to_owned()));
    assert_eq!(forms("/admin;x=1/users;y", &PARAMETERS), Ok(("/admin;x=1/users;y".into(), "/admin/users".into())));
    assert_eq!(forms("/a%3bb", &PARAMETERS), Ok(("/a%3Bb".into(), "/a;b".into())));
    for (raw, want) in [
        ("/public/..;/admin", BadPath::DotSegment),
        ("/public/.;x/admin", BadPath::DotSegment),
        ("/public/%2e.;/admin", BadPath::EncodedDotSegment),
        ("/public/..%3bx/admin", BadPath::EncodedDotSegment),
        ("/;x/admin", BadPath::EmptySegment),
        ("/;x", BadPath::EmptySegment),
        ("/a;x\\b", BadPath::Backslash),
        ("/a;%00", BadPath::EncodedControl),
        ("/a;%2f", BadPath::EncodedSlash),
    ] {
        assert_eq!(forms(raw, &PARAMETERS), Err(want), "{raw:?}");
    }
    assert_eq!(forms("/doi/10.1%2fx", &SLASH), both("/doi/10.1%2Fx"));
    assert_eq!(forms("/doi/10.1%252fx", &SLASH), both("/doi/10.1%252fx"));
    for (raw, want) in [
        ("/a%2f..%2fb", BadPath::EncodedDotSegment),
        ("/a/..%2fb", BadPath::EncodedDotSegment),
        ("/a%2f%2e%2e/b", BadPath::EncodedDotSegment),
        ("/a%5cb", BadPath::EncodedBackslash),
    ] {
        assert_eq!(forms(raw, &SLASH), Err(want), "{raw:?}");
    }
    assert_eq!(forms("/ADMIN/%C3%89", &FOLDING), Ok(("/ADMIN/%C3%89".into(), "/admin/%C3%A9".into())));
}

#[test]
fn t23_t24_the_query_is_kept_aside_and_may_hold_no_fragment() {
    let (path, query) = CanonicalPath::from_target("/api/secret?x=/status?y", &STRICT).unwrap();
    assert_eq!((path.forward(), query), ("/api/secret", Some("x=/status?y")));
    assert_eq!(CanonicalPath::from_target("/a?", &STRICT).unwrap().1, Some(""));
    for (target, want) in [
        ("/admin#/public", BadPath::Fragment),
        ("/a?x#y", BadPath::Fragment),
        ("/a?x y", BadPath::Space),
        ("/a?x\r\ny", BadPath::Control),
        ("/a?é", BadPath::NonAscii),
    ] {
        assert_eq!(CanonicalPath::from_target(target, &STRICT), Err(want), "{target:?}");
    }
}

fn all_switches() -> impl Strategy<Value = PathSwitches> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(ignore_parameters, keep_encoded_slash, case_insensitive)| PathSwitches {
            ignore_parameters,
            keep_encoded_slash,
            case_insensitive,
        },
    )
}

/// Texts full of the characters that matter.
fn hostile() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop::sample::select(vec![
            "/", "/", "a", "B", ".", "..", "%2e", "%2E", "%2f", "%5c", "\\", ";", "%3b", "%25", "25", "2e", "2f",
            "%61", "%c3%a9", "%C3%89", "%c0%af", "%00", "#", "*", "@", "%40", "%", "~", " ", "é",
        ]),
        0..12,
    )
    .prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn t22_reading_is_idempotent_and_leaves_no_dot_segment(raw in hostile(), switches in all_switches()) {
        if let Ok(once) = CanonicalPath::parse(&raw, &switches) {
            let twice = CanonicalPath::parse(once.forward(), &switches).expect("a canonical path is canonical");
            prop_assert_eq!(&once, &twice);
            for form in [once.forward(), once.matching()] {
                prop_assert!(form.split('/').all(|s| s != "." && s != ".."), "{}", form);
                prop_assert!(!form.contains("//") && !form.contains('\\'), "{}", form);
            }
        }
    }

    #[test]
    fn t22_however_often_it_is_decoded_no_dot_segment_appears(raw in hostile(), switches in all_switches()) {
        if let Ok(path) = CanonicalPath::parse(&raw, &switches) {
            let mut text = path.forward().as_bytes().to_vec();
            for _ in 0..4 {
                text = percent_encoding::percent_decode(&text).collect();
                let mut segments = text.split(|b| matches!(b, b'/' | b'\\'));
                prop_assert!(segments.all(|s| s != b"." && s != b".."), "{}", path.forward());
            }
        }
    }

    #[test]
    fn t22_letter_case_leaves_the_matching_form_alone(raw in hostile()) {
        let forms = [raw.clone(), raw.to_ascii_uppercase(), raw.to_ascii_lowercase()]
            .map(|raw| CanonicalPath::parse(&raw, &FOLDING).map(|p| p.matching().to_owned()));
        prop_assert_eq!(&forms[0], &forms[1]);
        prop_assert_eq!(&forms[0], &forms[2]);
    }

    #[test]
    fn any_text_is_answered_without_panic(raw in any::<String>(), switches in all_switches()) {
        let _ = CanonicalPath::from_target(&raw, &switches);
        let _ = CanonicalPath::parse(&format!("/{raw}"), &switches);
    }
}
