//! The breaker's named cases (semantics.md §8), decided without threads, clock or store.
// What is not stored here has no other host to miss it.
#![allow(clippy::unwrap_used, unused_must_use)]

use fusebox_core::breaker::{Breaker, Cause, Order, Permit, State, Stored, Transition, Verdict};
use fusebox_core::classify::verdict_of;
use fusebox_core::effect::Answer;
use fusebox_core::policy::{BreakerPolicy, RatePolicy, ServiceKind, WindowPolicy};
use fusebox_core::time::Tick;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const QUICK: Duration = Duration::from_millis(5);
/// The cooldown of the policies here.
const COOLDOWN: Duration = Duration::from_secs(10);

fn at(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

/// Trips on two failures in a row, one probe.
fn policy() -> BreakerPolicy {
    BreakerPolicy {
        failure_threshold: Some(2),
        cooldown: COOLDOWN,
        ..BreakerPolicy::of_kind(ServiceKind::Http)
    }
}

fn rates(failure: Option<f64>, slow: Option<f64>, minimum_calls: u32, window: WindowPolicy) -> BreakerPolicy {
    let rate = |threshold| RatePolicy {
        threshold,
        minimum_calls,
    };
    BreakerPolicy {
        failure_threshold: None,
        failure_rate: failure.map(rate),
        slow_rate: slow.map(rate),
        slow_call: SECOND,
        window,
        ..policy()
    }
}

fn permit(breaker: &mut Breaker, now: Tick) -> Permit {
    breaker.admit(now, 0.0).permit.unwrap()
}

fn settle(breaker: &mut Breaker, permit: Permit, verdict: Verdict, now: Tick) -> Option<Transition> {
    breaker.settle(permit, verdict, QUICK, now, 0.0)
}

fn call(breaker: &mut Breaker, verdict: Verdict, now: Tick) -> Option<Transition> {
    let permit = permit(breaker, now);
    settle(breaker, permit, verdict, now)
}

/// A breaker that opened at second 0.
fn open(policy: BreakerPolicy) -> Breaker {
    let mut breaker = Breaker::new(policy);
    assert_eq!(call(&mut breaker, Verdict::Failure, at(0)), None);
    let opened = call(&mut breaker, Verdict::Failure, at(0)).unwrap();
    assert_eq!((opened.to, opened.cause), (State::Open, Cause::FailuresInARow));
    breaker
}

/// A breaker whose only probe was sent at second 10.
fn probing(policy: BreakerPolicy) -> (Breaker, Permit) {
    let mut breaker = open(policy);
    let probe = permit(&mut breaker, at(10));
    assert!(probe.is_probe());
    (breaker, probe)
}

#[test]
fn case_01_a_released_probe_gives_its_slot_back_and_changes_nothing() {
    let (mut breaker, probe) = probing(policy());
    assert!(breaker.admit(at(10), 0.0).permit.is_err());
    let epoch = breaker.epoch();
    breaker.release(probe);
    assert_eq!((breaker.state(), breaker.epoch()), (State::HalfOpen, epoch));
    assert!(permit(&mut breaker, at(11)).is_probe());
}

#[test]
fn case_02_a_probe_that_never_returns_is_taken_back_and_its_late_result_is_ignored() {
    let (mut breaker, lost) = probing(policy());
    assert_eq!(breaker.take_back(at(69), 0.0), None);
    let taken = breaker.admit(at(70), 0.0);
    assert_eq!(taken.permit.unwrap_err().retry_after, Some(COOLDOWN * 2));
    let changed = taken.changed.unwrap();
    assert_eq!((changed.to, changed.cause), (State::Open, Cause::ProbeLost));
    assert_eq!(settle(&mut breaker, lost, Verdict::Success, at(71)), None);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn case_03_an_ignored_probe_lets_another_in_and_a_404_closes() {
    let (mut breaker, probe) = probing(policy());
    assert_eq!(settle(&mut breaker, probe, Verdict::Ignored, at(11)), None);
    let probe = permit(&mut breaker, at(11));
    let not_found = verdict_of(&Answer::Status {
        status: 404,
        hint: None,
    });
    assert_eq!(
        settle(&mut breaker, probe, not_found, at(12)).unwrap().to,
        State::Closed
    );
}

#[test]
fn case_04_a_success_of_the_closed_era_arrives_in_half_open_no_close() {
    let mut breaker = Breaker::new(policy());
    let early = permit(&mut breaker, at(0));
    call(&mut breaker, Verdict::Failure, at(0));
    call(&mut breaker, Verdict::Failure, at(0));
    let _probe = permit(&mut breaker, at(10));
    assert_eq!(settle(&mut breaker, early, Verdict::Success, at(11)), None);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn case_05_a_failure_of_the_closed_era_arrives_in_half_open_no_reopening() {
    let mut breaker = Breaker::new(policy());
    let early = permit(&mut breaker, at(0));
    call(&mut breaker, Verdict::Failure, at(0));
    call(&mut breaker, Verdict::Failure, at(0));
    let probe = permit(&mut breaker, at(10));
    assert_eq!(settle(&mut breaker, early, Verdict::Failure, at(11)), None);
    assert_eq!(
        settle(&mut breaker, probe, Verdict::Success, at(12)).unwrap().to,
        State::Closed
    );
}

#[test]
fn case_06_a_result_of_the_first_half_open_does_not_count_in_the_second() {
    let two = BreakerPolicy {
        half_open_probes: 2,
        ..policy()
    };
    let (mut breaker, first) = probing(two);
    let second = permit(&mut breaker, at(10));
    assert_eq!(
        settle(&mut breaker, first, Verdict::Failure, at(11)).unwrap().to,
        State::Open
    );
    let _third = permit(&mut breaker, at(31));
    assert_eq!(settle(&mut breaker, second, Verdict::Success, at(32)), None);
    assert_eq!(breaker.state(), State::HalfOpen);
}

#[test]
fn case_07_a_late_release_never_raises_permits_above_their_number() {
    let two = BreakerPolicy {
        half_open_probes: 2,
        ..policy()
    };
    let (mut breaker, first) = probing(two);
    let late = permit(&mut breaker, at(10));
    settle(&mut breaker, first, Verdict::Failure, at(11)).unwrap();
    let _one = permit(&mut breaker, at(31));
    let _two = permit(&mut breaker, at(31));
    breaker.release(late);
    assert!(breaker.admit(at(31), 0.0).permit.is_err());
}

#[test]
fn case_08_a_thousand_ask_at_expiry_and_exactly_as_many_as_probes_are_admitted() {
    for probes in [1, 2, 7] {
        let mut breaker = open(BreakerPolicy {
            half_open_probes: probes,
            ..policy()
        });
        let asked: Vec<_> = (0..1000).map(|_| breaker.admit(at(10), 0.0)).collect();
        assert_eq!(
            asked.iter().filter(|asked| asked.permit.is_ok()).count(),
            probes as usize
        );
        assert_eq!(asked.iter().filter(|asked| asked.changed.is_some()).count(), 1);
        assert!(asked[0].permit.is_ok(), "whoever ends the cooldown is the first probe");
    }
}

#[test]
fn case_09_a_failure_while_open_neither_extends_it_nor_repeats_the_event() {
    let mut breaker = Breaker::new(policy());
    let late = permit(&mut breaker, at(0));
    call(&mut breaker, Verdict::Failure, at(0));
    call(&mut breaker, Verdict::Failure, at(0)).unwrap();
    let epoch = breaker.epoch();
    assert_eq!(settle(&mut breaker, late, Verdict::Failure, at(9)), None);
    assert_eq!(breaker.epoch(), epoch);
    assert!(breaker.admit(at(10), 0.0).permit.is_ok());
}

#[test]
fn case_10_thresholds_are_exact() {
    let mut breaker = Breaker::new(BreakerPolicy {
        failure_threshold: Some(5),
        ..policy()
    });
    for _ in 0..4 {
        assert_eq!(call(&mut breaker, Verdict::Failure, at(0)), None);
    }
    assert_eq!(call(&mut breaker, Verdict::Success, at(0)), None);
    for _ in 0..4 {
        assert_eq!(
            call(&mut breaker, Verdict::Failure, at(0)),
            None,
            "a success starts the count anew"
        );
    }
    assert_eq!(call(&mut breaker, Verdict::Failure, at(0)).unwrap().to, State::Open);

    // A rate trips at its threshold, not above it: 7 of 100 are 0.07.
    let mut breaker = Breaker::new(rates(Some(0.07), None, 100, WindowPolicy::Count(100)));
    for n in 0..99 {
        let verdict = if n < 6 { Verdict::Failure } else { Verdict::Success };
        assert_eq!(call(&mut breaker, verdict, at(0)), None);
    }
    assert_eq!(
        call(&mut breaker, Verdict::Failure, at(0)).unwrap().cause,
        Cause::FailureRate
    );

    // A call is slow above the limit, not at it.
    let mut breaker = Breaker::new(rates(None, Some(1.0), 1, WindowPolicy::Count(1)));
    let exact = permit(&mut breaker, at(0));
    assert_eq!(breaker.settle(exact, Verdict::Success, SECOND, at(0), 0.0), None);
    let above = permit(&mut breaker, at(0));
    let above = breaker.settle(above, Verdict::Success, SECOND + Duration::from_nanos(1), at(0), 0.0);
    assert_eq!(above.unwrap().cause, Cause::SlowRate);
}

#[test]
fn case_11_a_success_can_trip_by_being_slow_or_by_reaching_the_minimum() {
    let mut breaker = Breaker::new(rates(None, Some(0.5), 2, WindowPolicy::Count(10)));
    call(&mut breaker, Verdict::Success, at(0));
    let slow = permit(&mut breaker, at(0));
    assert_eq!(
        breaker
            .settle(slow, Verdict::Success, SECOND * 2, at(2), 0.0)
            .unwrap()
            .cause,
        Cause::SlowRate
    );

    let mut breaker = Breaker::new(rates(Some(0.5), None, 4, WindowPolicy::Count(10)));
    for verdict in [Verdict::Failure, Verdict::Failure, Verdict::Success] {
        assert_eq!(call(&mut breaker, verdict, at(0)), None);
    }
    assert_eq!(
        call(&mut breaker, Verdict::Success, at(0)).unwrap().cause,
        Cause::FailureRate
    );
}

#[test]
fn case_12_a_count_window_clamps_its_minimum() {
    let mut breaker = Breaker::new(rates(Some(1.0), None, 1000, WindowPolicy::Count(3)));
    assert_eq!(call(&mut breaker, Verdict::Failure, at(0)), None);
    assert_eq!(call(&mut breaker, Verdict::Failure, at(0)), None);
    assert_eq!(call(&mut breaker, Verdict::Failure, at(0)).unwrap().to, State::Open);
}

#[test]
fn a_count_window_forgets_the_calls_before_its_last() {
    let mut breaker = Breaker::new(rates(Some(0.5), None, 4, WindowPolicy::Count(4)));
    for _ in 0..3 {
        for verdict in [Verdict::Failure, Verdict::Success, Verdict::Success, Verdict::Success] {
            assert_eq!(call(&mut breaker, verdict, at(0)), None);
        }
    }
    call(&mut breaker, Verdict::Failure, at(0));
    assert_eq!(call(&mut breaker, Verdict::Failure, at(0)).unwrap().to, State::Open);
}

#[test]
fn case_13_an_idle_gap_longer_than_the_window_clears_it() {
    let window = WindowPolicy::Time(Duration::from_secs(100));
    for (gap, trips) in [(50, true), (89, true), (100, false), (101, false), (1_000_000, false)] {
        let mut breaker = Breaker::new(rates(Some(1.0), None, 2, window));
        assert_eq!(call(&mut breaker, Verdict::Failure, at(5)), None);
        assert_eq!(
            call(&mut breaker, Verdict::Failure, at(5 + gap)).is_some(),
            trips,
            "after {gap} s"
        );
    }
}

#[test]
fn a_time_window_lets_old_parts_go_one_by_one() {
    let mut breaker = Breaker::new(rates(Some(0.5), None, 5, WindowPolicy::Time(Duration::from_secs(100))));
    // A failure each 10 s among two successes: never half, however long it goes on.
    for second in (0..2000).step_by(10) {
        for verdict in [Verdict::Failure, Verdict::Success, Verdict::Success] {
            assert_eq!(call(&mut breaker, verdict, at(second)), None);
        }
    }
    // Silence until all but the last two parts have left, then failures: 2 of 6 old ones and 2 new are half of 8.
    assert_eq!(call(&mut breaker, Verdict::Failure, at(2070)), None);
    let last = call(&mut breaker, Verdict::Failure, at(2079));
    assert_eq!(last.map(|changed| changed.cause), Some(Cause::FailureRate));
}

#[test]
fn case_14_what_is_stored_is_a_rest_of_time_so_no_wall_clock_matters() {
    let breaker = open(policy());
    let stored = breaker.stored(at(4));
    assert_eq!(stored.remaining, Some(SECOND * 6));
    // The next process counts its ticks from elsewhere.
    for origin in [0, 3_600, 1_000_000] {
        let mut restored = Breaker::restore(policy(), &stored, at(origin));
        assert!(restored.admit(at(origin + 5), 0.0).permit.is_err());
        assert!(restored.admit(at(origin + 6), 0.0).permit.is_ok());
    }
    // A rest that a wrong clock made an hour too long holds nothing open beyond the cooldown.
    let wrong = Stored {
        remaining: Some(SECOND * 3_600),
        ..stored
    };
    assert!(
        Breaker::restore(policy(), &wrong, at(0))
            .admit(at(10), 0.0)
            .permit
            .is_ok()
    );
}

#[test]
fn case_15_forced_states_survive_time_and_verdicts() {
    let mut breaker = Breaker::new(policy());
    let early = permit(&mut breaker, at(0));
    breaker.order(Order::ForceOpen, at(0)).unwrap();
    settle(&mut breaker, early, Verdict::Success, at(1));
    for now in [at(1), at(10), at(100_000_000)] {
        let refusal = breaker.admit(now, 0.0).permit.unwrap_err();
        assert_eq!((refusal.forced, refusal.retry_after), (true, None));
        assert_eq!(breaker.peek(now).unwrap_err(), refusal);
        assert_eq!(breaker.take_back(now, 0.0), None);
    }
    let mut restored = Breaker::restore(policy(), &breaker.stored(at(5)), at(0));
    assert!(restored.admit(at(100_000_000), 0.0).permit.unwrap_err().forced);

    breaker.order(Order::Disable, at(0)).unwrap();
    for _ in 0..100 {
        assert_eq!(call(&mut breaker, Verdict::Failure, at(1)), None);
    }
    assert_eq!(breaker.state(), State::Disabled);
    assert_eq!(breaker.order(Order::Close, at(2)).unwrap().to, State::Closed);
    assert_eq!(
        call(&mut breaker, Verdict::Failure, at(3)),
        None,
        "counts start at zero"
    );
}

#[test]
fn case_17_only_a_closed_breaker_without_failures_may_be_forgotten() {
    let mut breaker = Breaker::new(policy());
    assert!(breaker.is_evictable(at(0)));
    call(&mut breaker, Verdict::Failure, at(0));
    assert!(!breaker.is_evictable(at(0)));
    call(&mut breaker, Verdict::Success, at(0));
    assert!(breaker.is_evictable(at(0)));
    assert!(!open(policy()).is_evictable(at(1_000_000)));
    assert!(!probing(policy()).0.is_evictable(at(11)));
    for order in [Order::ForceOpen, Order::Disable] {
        breaker.order(order, at(0)).unwrap();
        assert!(!breaker.is_evictable(at(0)));
    }
    let mut windowed = Breaker::new(rates(Some(1.0), None, 9, WindowPolicy::Time(SECOND * 100)));
    call(&mut windowed, Verdict::Throttled, at(0));
    assert!(!windowed.is_evictable(at(99)));
    assert!(windowed.is_evictable(at(101)));
}

#[test]
fn case_18_a_throttled_probe_keeps_it_open() {
    let (mut breaker, probe) = probing(policy());
    assert_eq!(
        settle(&mut breaker, probe, Verdict::Throttled, at(11)).unwrap().to,
        State::Open
    );
}

#[test]
fn throttling_counts_in_the_rate_and_not_in_a_row() {
    let mut breaker = Breaker::new(policy());
    for verdict in [
        Verdict::Failure,
        Verdict::Throttled,
        Verdict::Throttled,
        Verdict::Throttled,
    ] {
        assert_eq!(call(&mut breaker, verdict, at(0)), None);
    }
    assert!(
        call(&mut breaker, Verdict::Failure, at(0)).is_some(),
        "nor does it end the row"
    );

    let mut breaker = Breaker::new(rates(Some(1.0), None, 2, WindowPolicy::Count(2)));
    call(&mut breaker, Verdict::Throttled, at(0));
    assert_eq!(
        call(&mut breaker, Verdict::Throttled, at(0)).unwrap().cause,
        Cause::FailureRate
    );
}

#[test]
fn case_19_reconfiguring_bumps_the_epoch_and_ends_the_era() {
    let mut breaker = Breaker::new(policy());
    call(&mut breaker, Verdict::Failure, at(0));
    let before = permit(&mut breaker, at(0));
    let changed = breaker
        .reconfigure(BreakerPolicy {
            half_open_probes: 3,
            ..policy()
        })
        .unwrap();
    assert_eq!(
        (changed.from, changed.to, changed.epoch),
        (State::Closed, State::Closed, 1)
    );
    assert_eq!(settle(&mut breaker, before, Verdict::Failure, at(1)), None);
    assert_eq!(call(&mut breaker, Verdict::Failure, at(1)), None);
    assert!(call(&mut breaker, Verdict::Failure, at(1)).is_some());
    assert_eq!(
        breaker.reconfigure(BreakerPolicy {
            half_open_probes: 3,
            ..policy()
        }),
        None,
        "nothing is new"
    );

    let (mut breaker, probe) = probing(policy());
    breaker
        .reconfigure(BreakerPolicy {
            max_cooldown: COOLDOWN,
            ..policy()
        })
        .unwrap();
    assert_eq!(settle(&mut breaker, probe, Verdict::Success, at(11)), None);
    assert!(permit(&mut breaker, at(11)).is_probe());
}

#[test]
fn case_54_a_nested_call_of_the_probing_call_is_not_locked_out() {
    let (mut breaker, probe) = probing(policy());
    // The nested call only peeks, and what it peeks at lets it try.
    assert_eq!(breaker.peek(at(11)), Ok(()));
    settle(&mut breaker, probe, Verdict::Success, at(12)).unwrap();
    assert!(breaker.admit(at(13), 0.0).permit.is_ok());
}

#[test]
fn case_55_a_long_agent_is_judged_by_its_effect_and_not_by_its_length() {
    let (mut breaker, probe) = probing(policy());
    // The effect settles after a second; the agent goes on for an hour and holds nothing meanwhile.
    assert_eq!(
        settle(&mut breaker, probe, Verdict::Success, at(11)).unwrap().to,
        State::Closed
    );
    assert_eq!(breaker.take_back(at(3_600), 0.0), None);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn case_56_three_times_not_found_in_a_row_leaves_it_closed() {
    let mut breaker = Breaker::new(policy());
    for _ in 0..3 {
        let verdict = verdict_of(&Answer::Status {
            status: 404,
            hint: None,
        });
        assert_eq!(call(&mut breaker, verdict, at(0)), None);
    }
    assert!(breaker.is_evictable(at(0)));
}

#[test]
fn case_57_after_a_night_without_callers_the_oldest_letter_may_probe() {
    let mut breaker = open(policy());
    assert!(!breaker.awaits_probe(at(9)));
    let morning = at(8 * 3_600);
    assert!(breaker.awaits_probe(morning));
    assert!(permit(&mut breaker, morning).is_probe());
    assert!(!breaker.awaits_probe(morning), "one letter is enough");
}

#[test]
fn cooldowns_double_up_to_their_cap_and_return_to_base_after_a_close() {
    let mut breaker = open(BreakerPolicy {
        max_cooldown: SECOND * 35,
        ..policy()
    });
    let mut now = at(0);
    for (seconds, jitter) in [(20, 0.0), (35, 0.0), (35, 0.0), (28, 1.0), (35, 0.0)] {
        now = now + breaker.peek(now).unwrap_err().retry_after.unwrap();
        let probe = permit(&mut breaker, now);
        breaker.settle(probe, Verdict::Failure, QUICK, now, jitter).unwrap();
        assert_eq!(breaker.peek(now).unwrap_err().retry_after, Some(SECOND * seconds));
    }
    now = now + SECOND * 35;
    call(&mut breaker, Verdict::Success, now).unwrap();
    call(&mut breaker, Verdict::Failure, now);
    call(&mut breaker, Verdict::Failure, now).unwrap();
    assert_eq!(breaker.peek(now).unwrap_err().retry_after, Some(COOLDOWN));
}

#[test]
fn a_cooldown_after_countless_reopenings_stays_within_its_cap() {
    let stored = Stored {
        state: State::Open,
        epoch: 9,
        failures: 0,
        reopenings: u32::MAX,
        remaining: None,
    };
    let mut breaker = Breaker::restore(policy(), &stored, at(0));
    let now = at(300);
    let probe = permit(&mut breaker, now);
    settle(&mut breaker, probe, Verdict::Failure, now).unwrap();
    assert_eq!(breaker.peek(now).unwrap_err().retry_after, Some(policy().max_cooldown));
}

#[test]
fn while_another_host_probes_this_one_waits_and_takes_a_lost_probe_back() {
    let stored = Stored {
        state: State::HalfOpen,
        epoch: 7,
        failures: 0,
        reopenings: 0,
        remaining: Some(SECOND * 30),
    };
    let mut breaker = Breaker::restore(policy(), &stored, at(0));
    assert_eq!(breaker.admit(at(29), 0.0).permit.unwrap_err().retry_after, Some(SECOND));
    let changed = breaker.take_back(at(30), 0.0).unwrap();
    assert_eq!(
        (changed.to, changed.epoch, changed.cause),
        (State::Open, 8, Cause::ProbeLost)
    );
    assert!(permit(&mut breaker, at(50)).is_probe());
}

#[test]
fn an_adopted_transition_ends_the_era_of_our_own_permits() {
    let (mut breaker, probe) = probing(policy());
    let theirs = Stored {
        state: State::HalfOpen,
        epoch: breaker.epoch(),
        failures: 0,
        reopenings: 0,
        remaining: None,
    };
    breaker.adopt(&theirs, at(10));
    assert_eq!(
        settle(&mut breaker, probe, Verdict::Success, at(11)),
        None,
        "the fleet's probe is theirs"
    );
    let closed = Stored {
        state: State::Closed,
        epoch: theirs.epoch + 1,
        ..theirs
    };
    breaker.adopt(&closed, at(12));
    assert!(!permit(&mut breaker, at(12)).is_probe());
    assert_eq!(breaker.stored(at(12)), closed);
}

#[test]
fn failures_in_a_row_survive_a_restart() {
    let mut breaker = Breaker::new(policy());
    call(&mut breaker, Verdict::Failure, at(0));
    let mut restored = Breaker::restore(policy(), &breaker.stored(at(1)), at(0));
    assert_eq!(call(&mut restored, Verdict::Failure, at(0)).unwrap().to, State::Open);
}
