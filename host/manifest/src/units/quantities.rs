//! Durations, sizes and rates.

use super::Problem;
use fusebox_core::policy::RateLimit;
use std::time::Duration;

const DURATION_HELP: &str = "write a whole number and a unit: \"500ms\", \"5s\", \"2m\", \"24h\" or \"7d\"";
const SIZE_HELP: &str = "write bytes as a number, or a number and a unit: \"512KiB\", \"64MiB\", \"4MB\" or \"1GiB\"";
const RATE_HELP: &str = "write requests and a period: \"5/s\", \"100/min\", \"2000/h\" or \"50000/d\"";

/// The longest duration that makes sense anywhere: ten years. Sums of several of them stay far from any overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

const SIZES: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Digits and what follows them; `None` without a digit at the start.
fn split(text: &str) -> Option<(&str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (digits > 0).then(|| text.split_at(digits))
}

/// A duration, zero allowed: a whole number and `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// What is wrong and what to write.
pub fn duration(text: &str) -> Result<Duration, Problem> {
    let bad = || Problem::new(format!("`{text}` is not a duration"), DURATION_HELP);
    let (digits, unit) = split(text).ok_or_else(bad)?;
    let millis_per_unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(bad()),
    };
    let long = || Problem::new(format!("`{text}` is longer than ten years"), "write \"3650d\" or less");
    let number: u64 = digits.parse().map_err(|_| long())?;
    let found = Duration::from_millis(number.checked_mul(millis_per_unit).ok_or_else(long)?);
    if found > LONGEST { Err(long()) } else { Ok(found) }
}

/// A duration longer than zero.
///
/// # Errors
/// What is wrong and what to write.
pub fn some_duration(text: &str) -> Result<Duration, Problem> {
    let found = duration(text)?;
    if found.is_zero() {
        return Err(Problem::new(format!("`{text}` leaves no time at all"), DURATION_HELP));
    }
    Ok(found)
}

/// A duration as [`duration`] reads it, in the largest unit that is exact.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, each) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        // Days only for what was meant in days: 24 h reads better than 1 d.
        if millis > 0 && millis.is_multiple_of(each) && !(unit == "d" && millis < 2 * each) {
            return format!("{}{unit}", millis / each);
        }
    }
    if millis == 0 {
        "0s".to_owned()
    } else {
        format!("{millis}ms")
    }
}

/// A number of bytes: digits alone, or with `B`, `kB`, `MB`, `GB`, `TB` (powers of ten) or `KiB`, `MiB`, `GiB`, `TiB` (of two).
///
/// # Errors
/// What is wrong and what to write.
pub fn size(text: &str) -> Result<u64, Problem> {
    let bad = || Problem::new(format!("`{text}` is not a size"), SIZE_HELP);
    let (digits, unit) = split(text).ok_or_else(bad)?;
    let each = match unit {
        "" => 1,
        unit => SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(bad)?.1,
    };
    let large = || Problem::new(format!("`{text}` is larger than any machine's memory"), SIZE_HELP);
    let number: u64 = digits.parse().map_err(|_| large())?;
    // TOML's integers end at 2^63 - 1; a size that could not be written as one could not be stored as one either.
    number
        .checked_mul(each)
        .filter(|&bytes| i64::try_from(bytes).is_ok())
        .ok_or_else(large)
}

/// A size as [`size`] reads it, in the largest power of two that is exact.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let exact = SIZES[..4]
        .iter()
        .find(|(_, each)| bytes > 0 && bytes.is_multiple_of(*each));
    match exact {
        Some((unit, each)) => format!("{}{unit}", bytes / each),
        None => format!("{bytes}B"),
    }
}

/// Requests per period: `5/s`, `100/min`, `2000/h`, `50000/d`.
///
/// # Errors
/// What is wrong and what to write.
pub fn rate(text: &str) -> Result<RateLimit, Problem> {
    let bad = || Problem::new(format!("`{text}` is not a rate"), RATE_HELP);
    let (digits, unit) = split(text).ok_or_else(bad)?;
    let per = match unit {
        "/s" => 1,
        "/min" => 60,
        "/h" => 3_600,
        "/d" => 86_400,
        _ => return Err(bad()),
    };
    let requests: u32 = digits
        .parse()
        .map_err(|_| Problem::new(format!("`{text}` is more than 4294967295 requests"), RATE_HELP))?;
    if requests == 0 {
        return Err(Problem::new(
            format!("`{text}` would let no request through"),
            RATE_HELP,
        ));
    }
    Ok(RateLimit {
        requests,
        per: Duration::from_secs(per),
    })
}

/// A rate as [`rate`] reads it.
#[must_use]
pub fn show_rate(rate: RateLimit) -> String {
    match rate.per.as_secs() {
        1 => format!("{}/s", rate.requests),
        60 => format!("{}/min", rate.requests),
        3_600 => format!("{}/h", rate.requests),
        86_400 => format!("{}/d", rate.requests),
        _ => format!("{} per {}", rate.requests, show_duration(rate.per)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_at_their_edges() {
        for (text, millis) in [
            ("0s", 0),
            ("1ms", 1),
            ("500ms", 500),
            ("5s", 5_000),
            ("2m", 120_000),
            ("24h", 86_400_000),
            ("3650d", 315_360_000_000),
        ] {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "5 s",
            " 5s",
            "5s ",
            "-5s",
            "+5s",
            "5S",
            "5sec",
            "1.5s",
            "1h30m",
            "٥s",
            "3651d",
            "18446744073709551616ms",
            "99999999999999999d",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert!(some_duration("0ms").is_err());
        assert!(some_duration("1ms").is_ok());
    }

    #[test]
    fn sizes_at_their_edges() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("10B", 10),
            ("4kB", 4_000),
            ("4KiB", 4_096),
            ("4MB", 4_000_000),
            ("64MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in [
            "",
            "MiB",
            "64mb",
            "64M",
            "64 MiB",
            "-1",
            "1.5MiB",
            "9223372036854775808",
            "8388608TiB",
            "18446744073709551616",
        ] {
            assert!(size(text).is_err(), "{text}");
        }
        assert_eq!(
            (show_size(64 << 20), show_size(4_000_000), show_size(0)),
            ("64MiB".into(), "4000000B".into(), "0B".into())
        );
    }

    #[test]
    fn rates_at_their_edges() {
        assert_eq!(
            rate("100/min").unwrap(),
            RateLimit {
                requests: 100,
                per: Duration::from_secs(60)
            }
        );
        assert_eq!(rate("4294967295/s").unwrap().requests, u32::MAX);
        for text in [
            "",
            "5",
            "/s",
            "0/s",
            "4294967296/s",
            "5/m",
            "5 / s",
            "5/S",
            "-5/s",
            "5/2s",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(millis in 0_u64..=315_360_000_000, bytes in 0..=i64::MAX as u64) {
            prop_assert_eq!(duration(&show_duration(Duration::from_millis(millis))).unwrap(), Duration::from_millis(millis));
            prop_assert_eq!(size(&show_size(bytes)).unwrap(), bytes);
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "\\PC*") {
            let _ = (duration(&text), size(&text), rate(&text));
        }
    }
}
