//! Texts, links and dates from outside, made fit for a page: bounded, cleaned, checked. Called by
//! `context` and [`super::Pages`].

use crate::domain::UnixTime;
use minijinja::context;
use minijinja::value::Value;

/// Longest name or title, in characters.
pub(super) const SHORT: usize = 200;
/// Longest sentence from outside the catalogue, in characters.
pub(super) const LONG: usize = 600;

/// A mail address or an address of a page, as a link and as people read it.
pub(super) fn contact(text: &str) -> Option<Value> {
    let text = clean(text, SHORT);
    let is_mail = text.contains('@') && !text.contains(['/', ':', ' ']);
    let href = if is_mail { format!("mailto:{text}") } else { href(&text)? };
    let shown = ["mailto:", "https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(&text);
    Some(context! { href => href, text => shown.trim_end_matches('/') })
}

/// A link that may stand on a page: https, http, mailto, or a path on this host. `//elsewhere` and
/// `/\elsewhere` leave the host in a browser (T02); control characters hide a scheme from a reader.
pub(super) fn href(text: &str) -> Option<String> {
    let path = text.starts_with('/') && !text.starts_with("//") && !text.starts_with("/\\");
    let absolute = ["https://", "http://", "mailto:"].iter().any(|scheme| text.starts_with(scheme));
    let tame = !text.chars().any(|c| c.is_control() || c == ' ');
    ((path || absolute) && tame).then(|| text.to_owned())
}

/// Host and port of an address, for people to read.
pub(super) fn host(address: &str) -> String {
    match url::Url::parse(address) {
        Ok(url) => match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => clean(address, SHORT),
        },
        Err(_) => clean(address, SHORT),
    }
}

/// A text from outside, fit for a page: at most `most` characters (T84), no control characters, and
/// none that turn the direction of the text around it.
pub(super) fn clean(text: &str, most: usize) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let mut kept = text.trim().chars().filter(|c| !turns(*c)).map(|c| if c.is_control() { ' ' } else { c });
    let mut out: String = kept.by_ref().take(most).collect();
    if kept.next().is_some() {
        out.push('…');
    }
    out
}

/// A moment in UTC, for machines and for people.
pub(super) fn moment(time: UnixTime) -> Value {
    let (days, seconds) = (time.0.div_euclid(86_400), time.0.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute) = (seconds / 3600, seconds % 3600 / 60);
    context! {
        iso => format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}Z"),
        text => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC"),
    }
}

/// A moment as machines exchange it (RFC 3339), in UTC and to the second.
pub fn timestamp(time: UnixTime) -> String {
    let (year, month, day) = civil(time.0.div_euclid(86_400));
    let seconds = time.0.rem_euclid(86_400);
    let (hour, minute, second) = (seconds / 3600, seconds % 3600 / 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days since 1970-01-01 to year, month, day of the Gregorian calendar. Years begin in March here, so
/// that the leap day comes last; 400 years have 146,097 days.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_400, "2000-02-29 00:00 UTC"),
            (1_790_861_100, "2026-10-01 13:25 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
            (4_102_444_799, "2099-12-31 23:59 UTC"),
        ] {
            assert_eq!(moment(UnixTime(seconds)).get_attr("text").unwrap().as_str(), Some(text));
        }
    }

    #[test]
    fn timestamps_have_seconds() {
        assert_eq!(timestamp(UnixTime(1_790_861_107)), "2026-10-01T13:25:07Z");
        assert_eq!(timestamp(UnixTime(-1)), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn t02_links_that_leave_or_run_are_left_out() {
        for good in ["/", "/a?b=c", "https://orcid.org/oauth", "http://127.0.0.1:9400/x", "mailto:help@example.edu"] {
            assert_eq!(href(good).as_deref(), Some(good));
        }
        for bad in
            ["", "javascript:alert(1)", "//evil.example", "/\\evil.example", "data:text/html,x", "a", "/a\nb", " /"]
        {
            assert_eq!(href(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn t84_texts_from_outside_are_bounded_and_cleaned() {
        assert_eq!(clean(&"x".repeat(10_000), SHORT).chars().count(), SHORT + 1);
        assert_eq!(clean(" a\u{202e}b\u{0}c\r\n", SHORT), "ab c");
        assert_eq!(clean("محمد", SHORT), "محمد");
    }

    #[test]
    fn contacts() {
        let shown = |text: &str| {
            contact(text).map(|v| (v.get_attr("href").unwrap().to_string(), v.get_attr("text").unwrap().to_string()))
        };
        assert_eq!(shown("help@example.edu"), Some(("mailto:help@example.edu".into(), "help@example.edu".into())));
        assert_eq!(
            shown("https://example.edu/help/"),
            Some(("https://example.edu/help/".into(), "example.edu/help".into()))
        );
        assert_eq!(shown("javascript:alert@1"), None);
        assert_eq!(shown("the help desk"), None);
    }
}
