//! What the rates of a breaker are computed over: its last calls, or the calls of its last time. Allocated once.

use crate::policy::{BreakerPolicy, RatePolicy, WindowPolicy};
use crate::time::Tick;
use std::time::Duration;

/// A time window is kept in so many parts, so a call leaves it at most a tenth too early.
const PARTS: u32 = 10;

/// A count window is never larger, so that a policy cannot ask for more memory than a breaker is worth: 1.2 MB.
const LARGEST: u32 = 100_000;

/// Calls, and how many of them failed or were slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

impl Counts {
    fn of(failed: bool, slow: bool) -> Self {
        Self {
            calls: 1,
            failures: u32::from(failed),
            slow: u32::from(slow),
        }
    }

    fn add(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failures = self.failures.saturating_add(other.failures);
        self.slow = self.slow.saturating_add(other.slow);
    }

    fn remove(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failures = self.failures.saturating_sub(other.failures);
        self.slow = self.slow.saturating_sub(other.slow);
    }

    /// Whether `count` of the calls reach a rate. A window of so many calls never sees more, so it clamps the minimum.
    pub(super) fn reach(self, count: u32, rate: &RatePolicy, window: WindowPolicy) -> bool {
        let minimum = match window {
            WindowPolicy::Count(size) => rate.minimum_calls.min(size.min(LARGEST)),
            WindowPolicy::Time(_) => rate.minimum_calls,
        };
        // A quotient is rounded once, as the threshold was when it was read: 7 of 100 equals 0.07.
        self.calls >= minimum.max(1) && f64::from(count) / f64::from(self.calls) >= rate.threshold
    }
}

/// The window of one breaker.
#[derive(Clone, Debug)]
pub(super) struct Window {
    kind: Kind,
    /// Calls, or parts of the time, in a ring.
    ring: Box<[Counts]>,
    /// Where the next call goes, or the part that is current.
    at: usize,
    /// Sum over the ring.
    sum: Counts,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// No rate is on: nothing is counted.
    Off,
    Count,
    Time {
        part: Duration,
        /// When the current part began.
        since: Tick,
    },
}

impl Window {
    /// The window that a policy needs.
    pub(super) fn of(policy: &BreakerPolicy) -> Self {
        let (kind, size) = match policy.window {
            _ if policy.failure_rate.is_none() && policy.slow_rate.is_none() => (Kind::Off, 0),
            WindowPolicy::Count(size) => (Kind::Count, size.clamp(1, LARGEST)),
            WindowPolicy::Time(length) => {
                let part = (length / PARTS).max(Duration::from_nanos(1));
                (Kind::Time { part, since: Tick(0) }, PARTS)
            }
        };
        Self {
            kind,
            ring: vec![Counts::default(); size as usize].into_boxed_slice(),
            at: 0,
            sum: Counts::default(),
        }
    }

    /// Failures in the window.
    pub(super) fn failures(&self, now: Tick) -> u32 {
        match self.kind {
            Kind::Time { part, since } if now.since(since) >= part * PARTS => 0,
            _ => self.sum.failures,
        }
    }

    /// Adds a call and returns the sums; `None` when nothing is counted.
    #[inline]
    pub(super) fn record(&mut self, failed: bool, slow: bool, now: Tick) -> Option<Counts> {
        match self.kind {
            Kind::Off => return None,
            Kind::Count => {
                let call = Counts::of(failed, slow);
                self.sum.remove(std::mem::replace(&mut self.ring[self.at], call));
                self.sum.add(call);
                self.at = (self.at + 1) % self.ring.len();
            }
            Kind::Time { part, since } => {
                self.turn(part, since, now);
                let call = Counts::of(failed, slow);
                self.ring[self.at].add(call);
                self.sum.add(call);
            }
        }
        Some(self.sum)
    }

    /// Forgets every call.
    pub(super) fn clear(&mut self) {
        self.ring.fill(Counts::default());
        self.at = 0;
        self.sum = Counts::default();
    }

    /// Moves on to the part that `now` is in, and forgets the parts that left the window meanwhile.
    fn turn(&mut self, part: Duration, since: Tick, now: Tick) {
        let passed = now.since(since).as_nanos() / part.as_nanos();
        let Ok(passed) = u32::try_from(passed) else {
            return self.restart(part, now);
        };
        if passed >= PARTS {
            return self.restart(part, now);
        }
        for _ in 0..passed {
            self.at = (self.at + 1) % self.ring.len();
            self.sum.remove(std::mem::take(&mut self.ring[self.at]));
        }
        self.kind = Kind::Time {
            part,
            since: since + part * passed,
        };
    }

    fn restart(&mut self, part: Duration, now: Tick) {
        self.clear();
        self.kind = Kind::Time { part, since: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::ServiceKind;
    use proptest::prelude::*;

    fn window(window: WindowPolicy) -> Window {
        let rate = RatePolicy {
            threshold: 1.0,
            minimum_calls: 1,
        };
        Window::of(&BreakerPolicy {
            failure_rate: Some(rate),
            window,
            ..BreakerPolicy::of_kind(ServiceKind::Http)
        })
    }

    #[test]
    fn nothing_is_counted_or_allocated_while_no_rate_is_on() {
        let mut off = Window::of(&BreakerPolicy::of_kind(ServiceKind::Http));
        assert_eq!(off.record(true, true, Tick(0)), None);
        assert!(off.ring.is_empty());
    }

    #[test]
    fn a_count_window_takes_bounded_memory() {
        assert_eq!(window(WindowPolicy::Count(u32::MAX)).ring.len(), LARGEST as usize);
        assert_eq!(window(WindowPolicy::Count(0)).ring.len(), 1);
    }

    proptest! {
        #[test]
        fn a_count_window_sees_exactly_the_last_calls(size in 1..20_u32, calls in prop::collection::vec(any::<(bool, bool)>(), 1..100)) {
            let mut window = window(WindowPolicy::Count(size));
            for (index, (failed, slow)) in calls.iter().enumerate() {
                let counts = window.record(*failed, *slow, Tick(0)).unwrap_or_default();
                let last = &calls[(index + 1).saturating_sub(size as usize)..=index];
                prop_assert_eq!(counts.calls as usize, last.len());
                prop_assert_eq!(counts.failures as usize, last.iter().filter(|call| call.0).count());
                prop_assert_eq!(counts.slow as usize, last.iter().filter(|call| call.1).count());
            }
        }

        #[test]
        fn a_time_window_sees_the_calls_of_its_time_and_none_before(gaps in prop::collection::vec(0..700_u64, 1..100)) {
            let length = 1_000;
            let mut window = window(WindowPolicy::Time(Duration::from_nanos(length)));
            let mut times = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                times.push(now);
                let counts = window.record(true, false, Tick(now)).unwrap_or_default();
                let within = |span: u64| times.iter().filter(|at| now - **at < span).count();
                let seen = counts.failures as usize;
                prop_assert!(within(length - length / u64::from(PARTS)) <= seen && seen <= within(length), "{seen} at {now}");
            }
        }
    }
}
