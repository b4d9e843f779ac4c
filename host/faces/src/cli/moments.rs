//! Times and amounts as people read them. Stored times are shown in UTC, so that two people read the same.

use fusebox_core::time::Wall;
use jiff::Timestamp;
use std::time::Duration;

/// `2026-01-02 03:04:05Z`; a time that no calendar has is shown as its number.
#[must_use]
pub(super) fn moment(millis: i64) -> String {
    Timestamp::from_millisecond(millis).map_or_else(
        |_| format!("{millis} ms"),
        |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    )
}

/// `03:04:05.678`.
#[must_use]
pub(super) fn clock_time(millis: i64) -> String {
    Timestamp::from_millisecond(millis)
        .map_or_else(|_| format!("{millis} ms"), |at| at.strftime("%H:%M:%S%.3f").to_string())
}

/// `12 s ago`, `in 3 min`.
#[must_use]
pub(super) fn relative(millis: i64, now: Wall) -> String {
    let passed = now.0.saturating_sub(millis);
    let text = lasting(Duration::from_millis(passed.unsigned_abs()));
    if passed < 0 {
        format!("in {text}")
    } else {
        format!("{text} ago")
    }
}

/// `980 ms`, `12 s`, `3 min`, `5 h`, `2 d`: the largest unit of which there are at least two, rounded down.
#[must_use]
pub(super) fn lasting(duration: Duration) -> String {
    let millis = duration.as_millis();
    for (unit, each) in [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)] {
        if millis >= 2 * each {
            return format!("{} {unit}", millis / each);
        }
    }
    format!("{millis} ms")
}

/// `512 B`, `11 KiB`, `1.2 MiB`.
#[must_use]
pub(super) fn amount(bytes: u64) -> String {
    let mut size = bytes;
    let mut rest = 0;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if size < 1024 || unit == "GiB" {
            return if unit == "B" || size >= 10 {
                format!("{size} {unit}")
            } else {
                format!("{size}.{} {unit}", rest * 10 / 1024)
            };
        }
        rest = size % 1024;
        size /= 1024;
    }
    format!("{bytes} B")
}

/// A duration as a flag takes it: `30s`, `500ms`, `7d`.
///
/// # Errors
/// What to write instead.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    fusebox_manifest::units::some_duration(text).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_times_read_well() {
        assert_eq!(
            [
                amount(0),
                amount(1023),
                amount(1024),
                amount(1_300_000),
                amount(64 << 20),
                amount(u64::MAX)
            ],
            ["0 B", "1023 B", "1.0 KiB", "1.2 MiB", "64 MiB", "17179869183 GiB"]
        );
        assert_eq!(moment(1_767_225_600_123), "2026-01-01 00:00:00Z");
        assert_eq!(clock_time(1_767_225_600_123), "00:00:00.123");
        assert_eq!(relative(1_000, Wall(13_500)), "12 s ago");
        assert_eq!(relative(200_000, Wall(0)), "in 3 min");
        assert_eq!(lasting(Duration::from_millis(1_999)), "1999 ms");
        assert_eq!(moment(i64::MAX), format!("{} ms", i64::MAX));
    }
}
