//! Lengths of time, sizes and near-misses, as sysadmins write them. Pure text; called by the readers
//! of the configuration and of the policy files.

use std::time::Duration;

/// Reads `90s`, `15 min`, `8h`, `1h 30m`, `2 days`. Whole numbers only; the error says what would do.
pub fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{}` is not a length of time", text.chars().take(40).collect::<String>());
    let mut rest = text.trim();
    let mut total: u64 = 0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = rest[digits..].trim_start();
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let milliseconds: u64 = match &rest[..letters] {
            "ms" => 1,
            "s" | "sec" | "second" | "seconds" => 1_000,
            "m" | "min" | "minute" | "minutes" => 60_000,
            "h" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "w" | "week" | "weeks" => 604_800_000,
            _ => return Err(bad()),
        };
        rest = rest[letters..].trim_start();
        total = number.checked_mul(milliseconds).and_then(|part| total.checked_add(part)).ok_or_else(bad)?;
    }
    Ok(Duration::from_millis(total))
}

/// What [`duration`] accepts, for complaints.
pub const DURATION_FORM: &str = "a length of time such as \"90s\", \"15 min\", \"8h\" or \"1h 30m\"";

/// Reads `512`, `32 KiB`, `10 MB` as a number of bytes (KiB = 1024, kB = 1000).
pub fn size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{}` is not a size", text.chars().take(40).collect::<String>());
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().map_err(|_| bad())?;
    let unit: u64 = match text[digits..].trim_start().to_ascii_lowercase().as_str() {
        "" | "b" | "byte" | "bytes" => 1,
        "kib" | "k" => 1 << 10,
        "kb" => 1_000,
        "mib" | "m" => 1 << 20,
        "mb" => 1_000_000,
        "gib" | "g" => 1 << 30,
        "gb" => 1_000_000_000,
        "tib" => 1 << 40,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).ok_or_else(bad)
}

/// What [`size`] accepts, for complaints.
pub const SIZE_FORM: &str = "a size such as \"512\", \"32 KiB\" or \"10 MB\"";

/// The candidate a mistyped word was probably meant to be.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let fold = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = fold(&word.chars().take(64).collect::<String>());
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Words for an "expected one of" line.
pub fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, seconds) in [
            ("90s", 90),
            ("15 min", 900),
            ("8h", 28_800),
            ("1h 30m", 5_400),
            ("2 days", 172_800),
            ("1h30m5s", 5_405),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "5", "h", "5 fortnights", "-1h", "1.5h", "99999999999999999999h", "18446744073709551615w"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("512", 512), ("32 KiB", 32_768), ("10 MB", 10_000_000), ("1g", 1 << 30), ("0", 0)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "KiB", "1 parsec", "-1", "1.5 MB", "18446744073709551615 GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn near_misses() {
        let keys = ["hosts", "upstream", "sign_in", "handshake_timeout"];
        assert_eq!(nearest("host", keys), Some("hosts"));
        assert_eq!(nearest("upstraem", keys), Some("upstream"));
        assert_eq!(nearest("sign-in", keys), Some("sign_in"));
        assert_eq!(nearest("handshake_timout", keys), Some("handshake_timeout"));
        assert_eq!(nearest("zebra", keys), None);
        assert_eq!(one_of(["a", "b", "c"]), "`a`, `b` or `c`");
    }
}
