//! A rate limit that several hosts keep together: what was promised within a sliding window, coarse enough to be stored.
//!
//! The period of the limit is cut into 100 parts, and what is promised in the same part is one number. A window of the length of the period
//! touches 101 parts at most, so the limit holds for each 101 parts in a row: never exceeded, and missed by one part in a hundred.

use crate::policy::RateLimit;
use crate::time::Wall;
use std::time::Duration;

/// Parts of a period; fewer where they would be shorter than a millisecond.
const PARTS: i64 = 100;

/// What was promised, oldest first: the start of a part in milliseconds since 1970, and how many requests may start in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window(Vec<(i64, u32)>);

/// What was promised to somebody who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// From when on how many requests may start.
    pub at: Vec<(Wall, u32)>,
    /// How many were not promised since their time lies beyond the latest, and when that would have been.
    pub beyond: Option<(u32, Wall)>,
}

impl Window {
    /// A window in which that was promised.
    #[must_use]
    pub fn new(promised: Vec<(i64, u32)>) -> Self {
        Self(promised)
    }

    /// What was promised and still matters.
    #[must_use]
    pub fn promised(&self) -> &[(i64, u32)] {
        &self.0
    }

    /// Promises the next `count` instants, none of them after `latest`, none before one that was promised already.
    pub fn reserve(&mut self, limit: RateLimit, count: u32, now: Wall, latest: Wall) -> Promised {
        let length = part_of(limit.per);
        let parts = (millis(limit.per) + length - 1) / length;
        let number = |at: i64| at.div_euclid(length);
        let current = number(now.0);
        self.0.retain(|&(start, _)| number(start) + parts >= current);
        let mut part = self.0.last().map_or(current, |&(start, _)| number(start).max(current));
        let mut promised = Promised {
            at: Vec::new(),
            beyond: None,
        };
        let mut left = count;
        while left > 0 {
            let start = part.saturating_mul(length);
            let at = Wall(start.max(now.0));
            if at > latest {
                promised.beyond = Some((left, at));
                break;
            }
            let recent = || self.0.iter().filter(|&&(start, _)| number(start) + parts >= part);
            let used = recent().fold(0_u32, |used, &(_, count)| used.saturating_add(count));
            let given = limit.requests.max(1).saturating_sub(used).min(left);
            if given == 0 {
                let oldest = recent().map(|&(start, _)| number(start)).next().unwrap_or(part);
                part = oldest + parts + 1;
                continue;
            }
            promised.at.push((at, given));
            match self.0.last_mut() {
                Some((last, count)) if number(*last) == part => *count += given,
                _ => self.0.push((start, given)),
            }
            left -= given;
        }
        promised
    }
}

/// The length of one part, in milliseconds.
fn part_of(per: Duration) -> i64 {
    (millis(per) + PARTS - 1) / PARTS
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2).max(1)
}
