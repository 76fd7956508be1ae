//! Points in time as Solr reads them: `2026-10-01T00:00:00Z`, `NOW`, and sums such as `NOW/DAY-7DAYS`. Months and
//! years are not counted with. Pure; called by `parser`.

use crate::domain::UnixTime;

const DAY: i64 = 86_400;

/// Reads a point in time; `None` if it is none.
pub(super) fn read(text: &str, now: UnixTime) -> Option<UnixTime> {
    let (start, sums) = match text.strip_prefix("NOW") {
        Some(rest) => (now, rest),
        None => {
            let end = text.find('Z')?;
            (instant(&text[..end])?, &text[end + 1..])
        }
    };
    add(start, sums)
}

fn add(mut at: UnixTime, mut sums: &str) -> Option<UnixTime> {
    while let Some(sign) = sums.chars().next() {
        let rest = &sums[sign.len_utf8()..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = rest.split_at(digits);
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, rest) = rest.split_at(letters);
        let unit = seconds(unit)?;
        at = match (sign, number) {
            ('/', "") => UnixTime(at.0.checked_sub(at.0.rem_euclid(unit))?),
            ('+', number) => UnixTime(at.0.checked_add(number.parse::<i64>().ok()?.checked_mul(unit)?)?),
            ('-', number) => UnixTime(at.0.checked_sub(number.parse::<i64>().ok()?.checked_mul(unit)?)?),
            _ => return None,
        };
        sums = rest;
    }
    Some(at)
}

fn seconds(unit: &str) -> Option<i64> {
    Some(match unit {
        "SECOND" | "SECONDS" => 1,
        "MINUTE" | "MINUTES" => 60,
        "HOUR" | "HOURS" => 3_600,
        "DAY" | "DAYS" | "DATE" => DAY,
        _ => return None,
    })
}

/// `YYYY-MM-DDThh:mm:ss`, with or without a fraction of a second, which does not count.
fn instant(text: &str) -> Option<UnixTime> {
    let (date, time) = text.split_once('T')?;
    let whole = time.split_once('.').map_or(time, |(whole, _)| whole);
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(whole, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    in_range.then(|| UnixTime(days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second))
}

fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, length) in numbers.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1 January 1970, counting years from March so that the leap day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time() {
        let now = UnixTime(1_790_812_800 + 3_661);
        for (text, seconds) in [
            ("NOW", Some(now.0)),
            ("NOW/DAY", Some(1_790_812_800)),
            ("NOW/HOUR-1HOUR", Some(1_790_812_800)),
            ("NOW/DAY-7DAYS+30MINUTES", Some(1_790_812_800 - 7 * 86_400 + 1_800)),
            ("2026-10-01T00:00:00Z", Some(1_790_812_800)),
            ("2026-10-01T00:00:00.999Z+1DAY", Some(1_790_812_800 + 86_400)),
            ("2000-02-29T12:00:00Z", Some(951_782_400 + 43_200)),
            ("1970-01-01T00:00:00Z", Some(0)),
            ("0000-01-01T00:00:00Z", Some(-62_167_219_200)),
            ("NOW-1MONTH", None),
            ("NOW-", None),
            ("NOW-DAY", None),
            ("NOW+99999999999999999999DAYS", None),
            ("NOW+9223372036854775807DAYS", None),
            ("NOWé", None),
            ("2026-10-01", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-1-01T00:00:00Z", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(read(text, now).map(|at| at.0), seconds, "{text}");
        }
    }
}
