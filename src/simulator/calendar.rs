//! Days and instants as text: `2026-10-01` and, as ORCID's XML has it, `2026-10-01T00:00:00.000Z`. Used by
//! `trusted`, by the XML of the record API and by its search.

use crate::domain::UnixTime;

/// The day of an instant in UTC as `YYYY-MM-DD`.
pub(super) fn date(at: UnixTime) -> String {
    // Days to a civil date, with years that begin in March so that the leap day comes last.
    let days = at.0.div_euclid(86_400) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// An instant in UTC, with the milliseconds our clock does not have.
pub(super) fn instant(at: UnixTime) -> String {
    let second = at.0.rem_euclid(86_400);
    format!("{}T{:02}:{:02}:{:02}.000Z", date(at), second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_instants() {
        for (seconds, text) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_790_812_800, "2026-10-01"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(UnixTime(seconds)), text);
        }
        assert_eq!(instant(UnixTime(1_790_812_800 + 86_399)), "2026-10-01T23:59:59.000Z");
        assert_eq!(instant(UnixTime(-1)), "1969-12-31T23:59:59.000Z");
    }
}
