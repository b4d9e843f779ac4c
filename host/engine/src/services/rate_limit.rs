//! The rate limit of a service: exact over every window, first in, first out.

use fusebox_core::policy::RateLimit;
use fusebox_core::time::Tick;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Keeps the instants of the last admissions, so that no window of the limit's length ever sees more than the limit.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    limit: RateLimit,
    /// Instants of the latest admissions, at most `limit.requests`, oldest first; those in the future are promised to waiters.
    admitted: Mutex<VecDeque<Tick>>,
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            admitted: Mutex::new(VecDeque::new()),
        }
    }

    /// Promises the next free instant to the caller, who waits until then. A promise that is not used stays used up.
    ///
    /// # Errors
    /// How long it would have to wait, when that lies beyond `latest`; nothing is promised then.
    pub(crate) fn reserve(&self, now: Tick, latest: Tick) -> Result<Duration, Duration> {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        let full = admitted.len() >= self.limit.requests.max(1) as usize;
        let at = match admitted.front() {
            Some(&oldest) if full => now.max(oldest + self.limit.per),
            _ => admitted.back().map_or(now, |&last| now.max(last)),
        };
        if at > latest {
            return Err(at.since(now));
        }
        if full {
            admitted.pop_front();
        }
        admitted.push_back(at);
        Ok(at.since(now))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn five_a_second() -> RateLimiter {
        RateLimiter::new(RateLimit {
            requests: 5,
            per: SECOND,
        })
    }

    #[test]
    fn the_sixth_waits_for_the_first_to_leave_the_window() {
        let limiter = five_a_second();
        let far = Tick::default() + SECOND * 100;
        for _ in 0..5 {
            assert_eq!(limiter.reserve(Tick(0), far), Ok(Duration::ZERO));
        }
        assert_eq!(limiter.reserve(Tick(0), far), Ok(SECOND));
    }

    #[test]
    fn what_cannot_be_met_in_time_is_refused_and_takes_no_place() {
        let limiter = five_a_second();
        for _ in 0..5 {
            limiter.reserve(Tick(0), Tick(0)).unwrap();
        }
        assert_eq!(limiter.reserve(Tick(0), Tick(1)), Err(SECOND));
        assert_eq!(limiter.reserve(Tick(0), Tick(0) + SECOND), Ok(SECOND));
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_the_limit_and_nobody_overtakes(gaps in prop::collection::vec(0_u64..2_000_000_000, 1..200)) {
            let limiter = five_a_second();
            let mut now = Tick(0);
            let mut at = Vec::new();
            for gap in gaps {
                now = now + Duration::from_nanos(gap / 10);
                at.push(now + limiter.reserve(now, Tick(u64::MAX)).unwrap());
            }
            prop_assert!(at.is_sorted());
            for window in at.windows(6) {
                prop_assert!(window[5].since(window[0]) >= SECOND);
            }
        }
    }
}
