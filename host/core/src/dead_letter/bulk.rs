//! When a bulk replay ends, and how fast it goes (semantics.md §6). It takes letters one by one, in the order of their ids, each at its resume
//! point; what it cannot take it leaves as it was, and goes on with the next.

use std::time::Duration;

/// What bounds a bulk replay; zero bounds nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Letters that it takes at most.
    pub most: u32,
    /// Failures after which it stops.
    pub failures: u32,
    /// Letters in a minute.
    pub per_minute: u32,
}

/// How far a bulk replay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Letters that succeeded.
    pub succeeded: u32,
    /// Letters that failed again.
    pub failed: u32,
    /// Letters that were left as they were.
    pub skipped: u32,
}

/// Why a bulk replay takes no further letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It took all, or as many as it may.
    Done,
    /// A person cancelled it.
    Cancelled,
    /// Too many failed again.
    Stopped,
}

impl Bounds {
    /// Whether it is over; `left` says that there is a letter that it has not looked at.
    #[must_use]
    pub fn over(&self, tally: &Tally, cancelled: bool, left: bool) -> Option<Over> {
        let taken = tally.succeeded.saturating_add(tally.failed);
        if cancelled {
            Some(Over::Cancelled)
        } else if self.failures > 0 && tally.failed >= self.failures {
            Some(Over::Stopped)
        } else if !left || (self.most > 0 && taken >= self.most) {
            Some(Over::Done)
        } else {
            None
        }
    }

    /// The least time from the start of one replay to the start of the next.
    #[must_use]
    pub fn pace(&self) -> Duration {
        Duration::from_secs(60).checked_div(self.per_minute).unwrap_or_default()
    }
}
