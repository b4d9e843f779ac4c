//! Reads `Retry-After`: seconds, or an HTTP date in one of the three formats of RFC 9110, section 5.6.7.

use crate::effect::Hint;
use crate::time::Wall;
use std::time::Duration;

/// Longer hints are cut to this, so that sums of times stay far from their ends: a hundred years.
pub const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

const DAY: i64 = 24 * 3600;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// What all `Retry-After` headers of an answer come down to: the longest of those that make sense.
///
/// A past date, a negative number and junk make no sense, so that the computed delay stands.
#[must_use]
pub fn read<'a>(values: impl IntoIterator<Item = &'a [u8]>, now: Wall) -> Option<Hint> {
    values
        .into_iter()
        .filter_map(|value| read_one(value, now))
        .max()
        .map(Hint)
}

fn read_one(value: &[u8], now: Wall) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a number all the same, and a large one.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)).min(LONGEST));
    }
    let at = http_date(text, now)?;
    (at > now).then(|| at.since(now).min(LONGEST))
}

/// An HTTP date. The day of the week is not compared with the date; `now` decides the century of a year with two digits.
fn http_date(text: &str, now: Wall) -> Option<Wall> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(7).collect();
    match words[..] {
        // Sun, 06 Nov 1994 08:49:37 GMT
        [_, day, month, year, clock, "GMT"] => instant(digits(year, 4)?, month, digits(day, 2)?, clock),
        // Sunday, 06-Nov-94 08:49:37 GMT
        [_, date, clock, "GMT"] => {
            let (day, rest) = date.split_once('-')?;
            let (month, year) = rest.split_once('-')?;
            instant(full_year(digits(year, 2)?, now), month, digits(day, 2)?, clock)
        }
        // Sun Nov  6 08:49:37 1994
        [_, month, day, clock, year] => instant(digits(year, 4)?, month, digits(day, day.len().min(2))?, clock),
        _ => None,
    }
}

/// A number of exactly so many digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let all = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

/// The latest year with those two last digits that lies at most 50 years ahead (RFC 9110).
fn full_year(two: i64, now: Wall) -> i64 {
    let latest = year_of(now.0.div_euclid(1000 * DAY)) + 50;
    latest - (latest - two).rem_euclid(100)
}

fn instant(year: i64, month: &str, day: i64, clock: &str) -> Option<Wall> {
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let mut parts = clock.split(':');
    let (hour, minute, second) = (
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
        digits(parts.next()?, 2)?,
    );
    // A leap second is the 61st of its minute.
    let valid = (1..=last).contains(&day) && hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    valid.then(|| Wall((days(year, month, day) * DAY + hour * 3600 + minute * 60 + second) * 1000))
}

/// Days from 1970-01-01, in the proleptic Gregorian calendar, with years that begin in March so that the leap day comes last
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The year that a day lies in.
fn year_of(day: i64) -> i64 {
    let guess = 1969 + day.saturating_mul(400).div_euclid(146_097);
    (guess..).find(|year| days(year + 1, 1, 1) > day).unwrap_or(guess)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const EXAMPLE: Wall = Wall(784_111_777_000);
    const MINUTE_BEFORE: Wall = Wall(EXAMPLE.0 - 60_000);

    fn hint(values: &[&str], now: Wall) -> Option<Duration> {
        read(values.iter().map(|value| value.as_bytes()), now).map(|hint| hint.0)
    }

    #[test]
    fn case_24_seconds_junk_dates_huge_numbers_and_repeated_headers() {
        let seconds = |n| Some(Duration::from_secs(n));
        let table: [(&[&str], Option<Duration>); 22] = [
            (&["0"], seconds(0)),
            (&["120"], seconds(120)),
            (&["  7\t"], seconds(7)),
            (&["-1"], None),
            (&["+5"], None),
            (&["1.5"], None),
            (&["5 s"], None),
            (&["2, 2"], None),
            (&[""], None),
            (&["soon"], None),
            (&["\u{0665}"], None),
            (&["1000000000000000000"], Some(LONGEST)),
            (&["99999999999999999999999999"], Some(LONGEST)),
            (&["3", "8"], seconds(8)),
            (&["junk", "8"], seconds(8)),
            (&["Sun, 06 Nov 1994 08:49:37 GMT"], seconds(60)),
            (&["Sunday, 06-Nov-94 08:49:37 GMT"], seconds(60)),
            (&["Sun Nov  6 08:49:37 1994"], seconds(60)),
            (&[" Sun, 06 Nov 1994 08:49:37 GMT "], seconds(60)),
            (&["Sun, 06 Nov 1994 08:48:37 GMT"], None),
            (&["Sat, 05 Nov 1994 08:49:37 GMT"], None),
            (&["Fri, 31 Dec 9999 23:59:59 GMT"], Some(LONGEST)),
        ];
        for (values, expected) in table {
            assert_eq!(hint(values, MINUTE_BEFORE), expected, "{values:?}");
        }
        assert_eq!(read([&b"\xff\xfe"[..]], MINUTE_BEFORE), None);
    }

    #[test]
    fn case_24_a_date_that_no_calendar_has_is_junk() {
        for date in [
            "Sun, 31 Feb 2094 08:49:37 GMT",
            "Sun, 29 Feb 2100 08:49:37 GMT",
            "Sun, 00 Nov 2094 08:49:37 GMT",
            "Sun, 06 Nov 2094 24:00:00 GMT",
            "Sun, 06 Nov 2094 08:60:00 GMT",
            "Sun, 06 Nov 2094 08:49:61 GMT",
            "Sun, 06 Nov 2094 08:49 GMT",
            "Sun, 06 Nov 2094 08:49:37:00 GMT",
            "Sun, 06 Nov 2094 08:49:37 CET",
            "Sun, 06 Foo 2094 08:49:37 GMT",
            "Sun, 6 Nov 2094 08:49:37 GMT",
            "Sun, 06 Nov 20940 08:49:37 GMT",
            "Sun, 06 Nov +094 08:49:37 GMT",
            "Sun Nov 006 08:49:37 2094",
            "Sunday, 06-Nov-2094 08:49:37 GMT",
            "Sun, 06 Nov 2094 08:49:37 GMT and more",
        ] {
            assert_eq!(hint(&[date], MINUTE_BEFORE), None, "{date}");
        }
        assert!(hint(&["Sun, 29 Feb 2096 08:49:60 GMT"], MINUTE_BEFORE).is_some());
    }

    #[test]
    fn a_year_of_two_digits_lies_at_most_fifty_years_ahead() {
        let now = instant(2026, "Nov", 24, "00:00:00").unwrap();
        assert_eq!(full_year(26, now), 2026);
        assert_eq!(full_year(76, now), 2076);
        assert_eq!(full_year(77, now), 1977);
        assert_eq!(full_year(99, now), 1999);
        let eve = instant(1999, "Dec", 31, "23:59:59").unwrap();
        assert_eq!(full_year(0, eve), 2000);
    }

    #[test]
    fn days_and_years_agree_over_four_centuries() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        for year in 1900..2300 {
            assert_eq!(year_of(days(year, 1, 1)), year);
            assert_eq!(year_of(days(year, 12, 31)), year);
            assert_eq!(days(year, 12, 31) + 1, days(year + 1, 1, 1));
        }
    }

    proptest! {
        #[test]
        fn whatever_an_upstream_sends_is_read_without_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..64),
            date in "[A-Z][a-z]{2,8},? [0-9]{1,3}[ -][A-Z][a-z]{2}[ -][0-9]{1,5} [0-9]{1,3}:[0-9]{2}:[0-9]{2}( GMT)?( [0-9]{4})?",
            now in 0..4_000_000_000_000_i64,
        ) {
            for value in [&bytes[..], date.as_bytes()] {
                prop_assert!(read([value], Wall(now)).is_none_or(|hint| hint.0 <= LONGEST));
            }
        }

        #[test]
        fn a_date_that_was_written_is_read_back(at in 0..4_000_000_000_i64, early in 1..1_000_000_i64) {
            let (day, second) = (at.div_euclid(DAY), at.rem_euclid(DAY));
            let year = year_of(day);
            let month = (1..=12).rev().find(|month| days(year, *month, 1) <= day).unwrap();
            let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
            let (date, name) = (day - days(year, month, 1) + 1, MONTHS[usize::try_from(month - 1).unwrap()]);
            let now = Wall((at - early) * 1000);
            let expected = Some(Hint(Duration::from_secs(early.unsigned_abs())));
            for text in [
                format!("Mon, {date:02} {name} {year} {clock} GMT"),
                format!("Monday, {date:02}-{name}-{:02} {clock} GMT", year % 100),
                format!("Mon {name} {date:2} {clock} {year}"),
            ] {
                prop_assert_eq!(read([text.as_bytes()], now), expected, "{}", text);
            }
        }
    }
}
