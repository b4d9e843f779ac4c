//! The breaker against a reference that keeps every fact and recomputes everything from them.
#![allow(clippy::unwrap_used, unused_must_use)]

use fusebox_core::breaker::{Breaker, Order, Permit, State, Verdict};
use fusebox_core::policy::{BreakerPolicy, RatePolicy, ServiceKind, WindowPolicy};
use fusebox_core::time::Tick;
use proptest::prelude::*;
use std::time::Duration;

const SLOW: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Admit,
    Settle {
        which: prop::sample::Index,
        verdict: Verdict,
        slow: bool,
    },
    Release {
        which: prop::sample::Index,
    },
    TakeBack,
    Order(Order),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verdict = prop_oneof![
        3 => Just(Verdict::Failure),
        2 => Just(Verdict::Success),
        1 => Just(Verdict::Throttled),
        1 => Just(Verdict::Ignored),
    ];
    let order = prop_oneof![Just(Order::ForceOpen), Just(Order::Disable), Just(Order::Close)];
    let step = prop_oneof![
        4 => prop_oneof![0..200_u64, Just(1_000), 1_000..9_000_u64].prop_map(Step::Advance),
        8 => Just(Step::Admit),
        8 => (any::<prop::sample::Index>(), verdict, any::<bool>())
            .prop_map(|(which, verdict, slow)| Step::Settle { which, verdict, slow }),
        1 => any::<prop::sample::Index>().prop_map(|which| Step::Release { which }),
        1 => Just(Step::TakeBack),
        1 => order.prop_map(Step::Order),
    ];
    prop::collection::vec(step, 1..200)
}

fn policies() -> impl Strategy<Value = BreakerPolicy> {
    let rate = || {
        prop::option::of((1..=10_u32, 1..=6_u32).prop_map(|(tenths, minimum_calls)| RatePolicy {
            threshold: f64::from(tenths) / 10.0,
            minimum_calls,
        }))
    };
    (prop::option::of(1..=4_u32), rate(), rate(), 1..=8_u32, 1..=3_u32).prop_map(
        |(failure_threshold, failure_rate, slow_rate, window, half_open_probes)| BreakerPolicy {
            failure_threshold,
            failure_rate,
            slow_rate,
            slow_call: SLOW,
            window: WindowPolicy::Count(window),
            cooldown: Duration::from_secs(1),
            max_cooldown: Duration::from_secs(6),
            half_open_probes,
            probe_window: Duration::from_secs(3),
        },
    )
}

/// The facts: nothing is summed up before it is asked for. Times are milliseconds.
#[derive(Default)]
struct Reference {
    /// Every state that it was ever in; the last one is current.
    states: Vec<State>,
    /// When the current state began.
    since: u64,
    /// What was reported while it was closed this time, with whether it was slow.
    reports: Vec<(Verdict, bool)>,
    /// Probes that are out: permit number, start.
    out: Vec<(usize, u64)>,
}

impl Reference {
    fn state(&self) -> State {
        *self.states.last().unwrap()
    }

    fn enter(&mut self, state: State, now: u64) {
        self.states.push(state);
        self.since = now;
        self.reports.clear();
        self.out.clear();
    }

    /// Openings since it was last closed, or in an operator's hand, each of which doubles the cooldown.
    fn cooldown(&self) -> u64 {
        let of_this_outage = self
            .states
            .iter()
            .rev()
            .take_while(|state| matches!(state, State::Open | State::HalfOpen));
        let openings = of_this_outage.filter(|state| **state == State::Open).count();
        (0..openings - 1).fold(1_000, |cooldown, _| (cooldown * 2).min(6_000))
    }

    fn trips(&self, policy: &BreakerPolicy) -> bool {
        let WindowPolicy::Count(size) = policy.window else {
            unreachable!()
        };
        let row = self
            .reports
            .iter()
            .rev()
            .filter(|(verdict, _)| *verdict != Verdict::Throttled);
        let row = row.take_while(|(verdict, _)| *verdict == Verdict::Failure).count();
        let last_failed = self
            .reports
            .last()
            .is_some_and(|(verdict, _)| *verdict == Verdict::Failure);
        let recent = &self.reports[self.reports.len().saturating_sub(size as usize)..];
        let reaches = |rate: Option<RatePolicy>, count: usize| {
            rate.is_some_and(|rate| {
                recent.len() >= rate.minimum_calls.min(size) as usize
                    && count as f64 / recent.len() as f64 >= rate.threshold
            })
        };
        (last_failed && policy.failure_threshold.is_some_and(|most| row >= most as usize))
            || reaches(
                policy.failure_rate,
                recent
                    .iter()
                    .filter(|(verdict, _)| *verdict != Verdict::Success)
                    .count(),
            )
            || reaches(policy.slow_rate, recent.iter().filter(|(_, slow)| *slow).count())
    }

    fn take_back(&mut self, now: u64) {
        if self.state() == State::HalfOpen && self.out.iter().any(|(_, start)| now - start >= 3_000) {
            self.enter(State::Open, now);
        }
    }

    /// Whether a permit is given.
    fn admit(&mut self, permit: usize, now: u64, policy: &BreakerPolicy) -> bool {
        self.take_back(now);
        if self.state() == State::Open && now - self.since >= self.cooldown() {
            self.enter(State::HalfOpen, now);
        }
        match self.state() {
            State::Closed | State::Disabled => true,
            State::HalfOpen if self.out.len() < policy.half_open_probes as usize => {
                self.out.push((permit, now));
                true
            }
            _ => false,
        }
    }

    /// `era` is how many states there had been when the permit was given.
    fn settle(&mut self, permit: usize, era: usize, report: (Verdict, bool), now: u64, policy: &BreakerPolicy) {
        if era != self.states.len() || report.0 == Verdict::Ignored {
            return self.release(permit);
        }
        match self.state() {
            State::Closed => {
                self.reports.push(report);
                if self.trips(policy) {
                    self.enter(State::Open, now);
                }
            }
            State::HalfOpen if report.0 == Verdict::Success => self.enter(State::Closed, now),
            State::HalfOpen => self.enter(State::Open, now),
            _ => {}
        }
    }

    fn release(&mut self, permit: usize) {
        self.out.retain(|(out, _)| *out != permit);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_breaker_does_what_the_reference_does(policy in policies(), steps in steps()) {
        let mut breaker = Breaker::new(policy.clone());
        let mut reference = Reference { states: vec![State::Closed], ..Reference::default() };
        let mut permits: Vec<(usize, usize, Permit)> = Vec::new();
        let (mut now, mut given) = (0, 0);
        for step in steps {
            let tick = Tick(now * 1_000_000);
            match step {
                Step::Advance(millis) => now += millis,
                Step::Admit => {
                    given += 1;
                    let admitted = reference.admit(given, now, &policy);
                    let peeked = breaker.peek(tick).is_ok();
                    let permit = breaker.admit(tick, 0.0).permit;
                    prop_assert_eq!(permit.is_ok(), admitted);
                    prop_assert!(peeked || !admitted, "a peek never refuses what would be admitted");
                    if let Ok(permit) = permit {
                        prop_assert_eq!(permit.is_probe(), reference.state() == State::HalfOpen);
                        permits.push((given, reference.states.len(), permit));
                    }
                }
                Step::Settle { which, verdict, slow } if !permits.is_empty() => {
                    let (number, era, permit) = permits.remove(which.index(permits.len()));
                    let took = if slow { SLOW * 2 } else { SLOW };
                    breaker.settle(permit, verdict, took, tick, 0.0);
                    reference.settle(number, era, (verdict, slow), now, &policy);
                }
                Step::Release { which } if !permits.is_empty() => {
                    let (number, _, permit) = permits.remove(which.index(permits.len()));
                    breaker.release(permit);
                    reference.release(number);
                }
                Step::Settle { .. } | Step::Release { .. } => {}
                Step::TakeBack => {
                    breaker.take_back(tick, 0.0);
                    reference.take_back(now);
                }
                Step::Order(order) => {
                    breaker.order(order, tick);
                    reference.enter(match order {
                        Order::ForceOpen => State::ForcedOpen,
                        Order::Disable => State::Disabled,
                        Order::Close => State::Closed,
                    }, now);
                }
            }
            prop_assert_eq!(breaker.state(), reference.state());
            prop_assert_eq!(breaker.epoch(), reference.states.len() as i64 - 1, "each transition bumps the epoch by one");
        }
    }

    /// What is stored is all that counts: a restart changes nothing that a caller sees, but for the counts of the rates.
    #[test]
    fn a_restart_while_open_changes_nothing(reopenings in 0..20_u32, rest in 1..6_000_u64, ask in 0..7_000_u64) {
        let policy = BreakerPolicy { max_cooldown: Duration::from_secs(60), ..BreakerPolicy::of_kind(ServiceKind::Http) };
        let stored = fusebox_core::breaker::Stored {
            state: State::Open, epoch: 3, failures: 5, reopenings, remaining: Some(Duration::from_millis(rest)),
        };
        let mut once = Breaker::restore(policy.clone(), &stored, Tick(0));
        let halfway = Tick(rest / 2 * 1_000_000);
        let mut twice = Breaker::restore(policy, &once.stored(halfway), halfway);
        let at = Tick(ask.max(rest / 2) * 1_000_000);
        let (once, twice) = (once.admit(at, 0.3), twice.admit(at, 0.3));
        prop_assert_eq!(once.changed, twice.changed);
        prop_assert_eq!(once.permit.map(|p| p.is_probe()), twice.permit.map(|p| p.is_probe()));
    }
}
