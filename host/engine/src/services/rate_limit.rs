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
    /// Instants of the admissions that may still matter, oldest first; those in the future are promised to waiters.
    admitted: Mutex<VecDeque<Tick>>,
}

impl RateLimiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            admitted: Mutex::new(VecDeque::new()),
        }
    }

    /// Promises the next free instant to the caller, who waits until then, or gives the promise back.
    ///
    /// # Errors
    /// How long it would have to wait, when that lies beyond `latest`; nothing is promised then.
    pub(crate) fn reserve(&self, now: Tick, latest: Tick) -> Result<Duration, Duration> {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        while admitted.front().is_some_and(|&oldest| oldest + self.limit.per <= now) {
            admitted.pop_front();
        }
        let requests = self.limit.requests.max(1) as usize;
        let first = admitted
            .len()
            .checked_sub(requests)
            .and_then(|first| admitted.get(first));
        let free = first.map_or(now, |&first| first + self.limit.per);
        let at = now.max(free).max(admitted.back().copied().unwrap_or(now));
        if at > latest {
            return Err(at.since(now));
        }
        admitted.push_back(at);
        Ok(at.since(now))
    }

    /// The caller does not wait until then after all. Who was promised a later instant keeps it; whoever comes next may get this one, or
    /// a guest that asks for much and ends would hold up all others.
    pub(crate) fn give_back(&self, at: Tick) {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = admitted.iter().rposition(|&promised| promised == at) {
            admitted.remove(place);
        }
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

    #[test]
    fn promises_that_are_given_back_hold_nobody_up() {
        let limiter = five_a_second();
        let far = Tick::default() + SECOND * 100;
        let waits: Vec<_> = (0..50).map(|_| limiter.reserve(Tick(0), far).unwrap()).collect();
        for wait in waits.into_iter().filter(|wait| !wait.is_zero()) {
            limiter.give_back(Tick(0) + wait);
        }
        assert_eq!(limiter.reserve(Tick(1), far), Ok(SECOND - Duration::from_nanos(1)));
    }

    proptest! {
        #[test]
        fn no_window_sees_more_than_the_limit_and_nobody_overtakes(
            asked in prop::collection::vec((0_u64..200_000_000, any::<bool>()), 1..200),
        ) {
            let limiter = five_a_second();
            let mut now = Tick(0);
            let (mut promised, mut used) = (Vec::new(), Vec::new());
            for (gap, uses) in asked {
                now = now + Duration::from_nanos(gap);
                let at = now + limiter.reserve(now, Tick(u64::MAX)).unwrap();
                prop_assert!(used.last().is_none_or(|last| at >= *last), "nobody overtakes");
                if uses || at == now {
                    used.push(at);
                } else {
                    promised.push(at);
                }
                if promised.len() > 3 {
                    promised.drain(..).for_each(|at| limiter.give_back(at));
                }
            }
            for window in used.windows(6) {
                prop_assert!(window[5].since(window[0]) >= SECOND);
            }
        }
    }
}
