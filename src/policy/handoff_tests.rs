//! What apps are told about visitors of every kind.

use super::*;
use crate::domain::{Environment, Mfa, Subject, UnixTime};
use proptest::prelude::*;

fn josiah() -> Identity {
    Identity {
        subject: Subject::Orcid("0000-0002-1825-0097".parse().unwrap()),
        environment: Environment::Production,
        client: "main".parse().unwrap(),
        name: Some("Josiah Carberry".into()),
        given_name: Some("Josiah".into()),
        family_name: Some("Carberry".into()),
        scopes: "openid /read-limited".parse().unwrap(),
        signed_in_at: UnixTime(1_000),
        proven_at: None,
        mfa: Mfa::Unknown,
        session_expires: UnixTime(4_102_444_800),
        broken: None,
    }
}

fn hand_off(encoding: Encoding, headers: &[(&str, &str)]) -> HandOff {
    let headers = headers
        .iter()
        .map(|(name, value)| HeaderTemplate {
            name: name.parse().unwrap(),
            marker: format!("{name}-Encoding").parse().unwrap(),
            value: Template::parse(value).unwrap(),
        })
        .collect();
    HandOff { headers, encoding, assertion: None, app_cookies: None }
}

fn shown(hand_off: &HandOff, identity: &Identity) -> Vec<String> {
    let line = |(name, value): (HeaderName, HeaderValue)| {
        format!("{name}: {}", String::from_utf8(value.as_bytes().to_vec()).unwrap())
    };
    hand_off.values(identity).into_iter().map(line).collect()
}

#[test]
fn every_placeholder() {
    let all = "{id} {uri} {id_compact} {name} {given_name} {family_name} {scopes} {session_expires}";
    assert_eq!(
        shown(&hand_off(Encoding::Percent, &[("x-all", all)]), &josiah()),
        ["x-all: 0000-0002-1825-0097 https://orcid.org/0000-0002-1825-0097 0000000218250097 Josiah Carberry \
          Josiah Carberry /read-limited openid 4102444800"]
    );
    assert_eq!(Placeholder::WORDS.len(), 8);
}

#[test]
fn encoded_values_are_marked_and_plain_ones_are_not() {
    let hand_off = hand_off(Encoding::Percent, &[("x-orcid-name", "{name}"), ("remote-user", "{id}")]);
    assert_eq!(shown(&hand_off, &josiah()), ["x-orcid-name: Josiah Carberry", "remote-user: 0000-0002-1825-0097"]);
    for (name, want) in
        [("王小明", "%E7%8E%8B%E5%B0%8F%E6%98%8E"), ("محمد", "%D9%85%D8%AD%D9%85%D8%AF"), ("Jose\u{301}", "Jose%CC%81")]
    {
        let somebody = Identity { name: Some(name.into()), ..josiah() };
        let lines = shown(&hand_off, &somebody);
        assert_eq!(lines[..2], [format!("x-orcid-name: {want}"), "x-orcid-name-encoding: percent".to_owned()]);
    }
}

#[test]
fn t13_a_name_never_splits_a_header() {
    for encoding in Encoding::WORDS.iter().map(|(_, encoding)| *encoding) {
        let hand_off = hand_off(encoding, &[("x-name", "{name}")]);
        for name in ["a\r\nX-ORCID-iD: 0000", "a\rb", "a\nb", "a\0b", "é\r\nb", "\u{1b}[31m"] {
            let somebody = Identity { name: Some(name.into()), ..josiah() };
            for (_, value) in hand_off.values(&somebody) {
                assert!(value.as_bytes().iter().all(|b| *b >= 0x20 && *b != 0x7f), "{name:?} {value:?}");
                let decoded = percent_encoding::percent_decode(value.as_bytes()).collect::<Vec<u8>>();
                assert!(decoded.iter().all(|b| *b >= 0x20 && *b != 0x7f), "{name:?} {value:?}");
            }
        }
    }
}

#[test]
fn t13_empty_and_oversized_values_are_left_out() {
    let hand_off = hand_off(Encoding::Percent, &[("x-name", "Dr {name}"), ("x-family", "{given_name} {family_name}")]);
    let nameless = Identity { name: None, given_name: None, family_name: None, ..josiah() };
    assert!(hand_off.values(&nameless).is_empty());
    let mononym = Identity { name: Some("\r\n".into()), given_name: None, ..josiah() };
    assert_eq!(shown(&hand_off, &mononym), ["x-family: Carberry"]);
    let endless = Identity { name: Some("é".repeat(40_000)), ..josiah() };
    assert_eq!(shown(&hand_off, &endless), ["x-family: Josiah Carberry"]);
}

#[test]
fn a_name_that_cannot_be_folded_leaves_no_trace_beside_the_id() {
    let hand_off = hand_off(Encoding::AsciiFold, &[("x-author", "{name} ({id})"), ("x-name", "{name}")]);
    for (name, want) in [
        ("Zoë", &["x-author: Zoe (0000-0002-1825-0097)", "x-author-encoding: ascii-fold"][..]),
        ("محمد", &["x-author: (0000-0002-1825-0097)"][..]),
        ("--", &["x-author: -- (0000-0002-1825-0097)"][..]),
        ("木 1", &["x-author: ? 1 (0000-0002-1825-0097)", "x-author-encoding: ascii-fold"][..]),
    ] {
        let lines = shown(&hand_off, &Identity { name: Some(name.into()), ..josiah() });
        assert_eq!(lines[..want.len()], *want, "{name}");
        assert_eq!(lines.iter().any(|line| line.starts_with("x-name: ")), name != "محمد", "{lines:?}");
    }
}

#[test]
fn a_foreign_subject_is_handed_over_byte_for_byte_or_not_at_all() {
    let hand_off = hand_off(Encoding::Percent, &[("remote-user", "{id}"), ("x-uri", "{uri}"), ("x-c", "{id_compact}")]);
    let foreign = |sub: &str| Identity { subject: Subject::Foreign(sub.into()), ..josiah() };
    assert_eq!(shown(&hand_off, &foreign("auth0|5%f+é".trim_end_matches('é'))), ["remote-user: auth0|5%f+"]);
    for bad in ["a\r\nb", "é", "\u{7f}"] {
        assert!(hand_off.values(&foreign(bad)).is_empty(), "{bad:?}");
    }
}

#[test]
fn texts_that_are_no_templates() {
    for (text, want) in [
        ("{nmae}", BadTemplate::Unknown("nmae".into())),
        ("{}", BadTemplate::Unknown(String::new())),
        ("{id", BadTemplate::Braces),
        ("id}", BadTemplate::Braces),
        ("é {id}", BadTemplate::Characters),
        ("a\nb", BadTemplate::Characters),
        ("", BadTemplate::Length),
    ] {
        assert_eq!(Template::parse(text), Err(want), "{text:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn t13_any_name_in_any_encoding_stays_one_header_line(name in any::<String>(), which in 0usize..5) {
        let encoding = Encoding::WORDS[which].1;
        let hand_off = hand_off(encoding, &[("x-name", "{name}")]);
        for (_, value) in hand_off.values(&Identity { name: Some(name), ..josiah() }) {
            prop_assert!(value.as_bytes().iter().all(|b| *b >= 0x20 && *b != 0x7f));
            prop_assert!(value.len() <= MAX_VALUE && !value.is_empty());
        }
    }

    #[test]
    fn percent_and_rfc8187_can_be_undone(name in "[^\\x00-\\x1f\\x7f-\\u{9f}]{1,40}") {
        let name = tame(&name);
        let plain = Identity { name: Some(name.clone()), ..josiah() };
        let values = hand_off(Encoding::Percent, &[("x-name", "{name}")]).values(&plain);
        if let Some((_, value)) = values.first() {
            let decoded = percent_encoding::percent_decode(value.as_bytes()).decode_utf8().unwrap();
            prop_assert_eq!(decoded.trim(), name.trim());
        }
    }
}
