//! The named cases of retrying (semantics.md §8), as decisions.
#![allow(clippy::unwrap_used, clippy::panic)]

use fusebox_core::backoff;
use fusebox_core::breaker::{Breaker, Verdict};
use fusebox_core::budget::Budget;
use fusebox_core::classify::{End, Evidence, Judgement, judge};
use fusebox_core::effect::{Answer, Effect, Hint, Kind, NotSent};
use fusebox_core::failure::{Class, Code};
use fusebox_core::ids::Digest;
use fusebox_core::policy::{BackoffPolicy, BreakerPolicy, BudgetPolicy, Jitter, RetryPolicy, ServiceKind};
use fusebox_core::retry::{Attempts, Decision, Reason, Situation, decide};
use fusebox_core::run::{self, Event, State};
use fusebox_core::time::Tick;
use std::collections::BTreeMap;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy {
        attempts,
        backoff: BackoffPolicy {
            base: SECOND,
            factor: 2,
            cap: SECOND * 30,
            jitter: Jitter::None,
        },
        ..RetryPolicy::once("test")
    }
}

fn judgement(class: Class) -> Judgement {
    Judgement {
        class,
        code: Code::UpstreamFailed,
        effect: None,
        service: None,
        hint: None,
        held_back: false,
        in_doubt: Vec::new(),
    }
}

fn made(allowed: u32, made: u32) -> Attempts {
    let mut attempts = Attempts::of(allowed);
    (0..made).for_each(|_| attempts.begin());
    attempts
}

/// After the first of three attempts failed as transient, an hour before the deadline.
fn situation<'a>(policy: &'a RetryPolicy, judgement: &'a Judgement) -> Situation<'a> {
    Situation {
        policy,
        judgement,
        attempts: made(policy.attempts, 1),
        total: 1,
        may_go_on: true,
        cancelled: false,
        now: Tick(0),
        deadline: Tick(0) + SECOND * 3_600,
        previous: None,
        fraction: 0.5,
    }
}

fn again(seconds: u64) -> Decision {
    Decision::Again {
        after: SECOND * u32::try_from(seconds).unwrap(),
        charge: None,
    }
}

fn status(seq: u32, status: u16) -> Effect {
    Effect {
        seq,
        kind: Kind::Http,
        service: "search".into(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        request: Digest([u8::try_from(seq).unwrap(); 32]),
        occurrence: 0,
        repeatable: true,
        safe: true,
        rejected_before_effect: false,
        answer: Some(Answer::Status { status, hint: None }),
        took: SECOND,
    }
}

fn judged(end: End<'_>, effects: &[Effect]) -> Judgement {
    judge(&Evidence {
        end,
        effects,
        in_flight: &[],
        errors: &BTreeMap::new(),
    })
    .unwrap()
}

#[test]
fn case_20_attempts_one_two_and_the_maximum() {
    let failure = judgement(Class::Transient);
    for allowed in [1, 2, 5, u32::MAX] {
        let policy = RetryPolicy {
            max_total_attempts: u32::MAX,
            ..policy(allowed)
        };
        for count in [1, 2, 3, 4, 5].into_iter().filter(|count| *count <= allowed) {
            let decision = decide(
                &Situation {
                    attempts: made(allowed, count),
                    ..situation(&policy, &failure)
                },
                None,
            );
            if count == allowed {
                assert_eq!(decision, Decision::GiveUp(Reason::AttemptsUsedUp(allowed)));
            } else {
                assert_eq!(decision, again(1 << (count - 1)));
            }
        }
    }
    assert_eq!(Attempts::of(0).left(), 1, "a call is one attempt at least");
}

#[test]
fn case_20_a_budget_of_zero_means_one_attempt() {
    for retry_cost in [0, 14] {
        let mut budget = Budget::new(BudgetPolicy {
            capacity: 0,
            retry_cost,
            ..BudgetPolicy::default()
        });
        budget.succeeded(None);
        let decision = decide(&situation(&policy(3), &judgement(Class::Transient)), Some(&mut budget));
        assert!(
            matches!(decision, Decision::GiveUp(Reason::BudgetEmpty(_))),
            "{decision:?}"
        );
    }
}

#[test]
fn the_attempts_of_the_whole_run_are_bounded_too() {
    let policy = policy(3);
    let failure = judgement(Class::Transient);
    let after = |total| {
        decide(
            &Situation {
                total,
                ..situation(&policy, &failure)
            },
            None,
        )
    };
    assert_eq!(after(49), again(1));
    assert_eq!(after(50), Decision::GiveUp(Reason::TotalUsedUp(50)));
}

#[test]
fn case_21_a_success_refunds_only_its_last_retry() {
    let mut budget = Budget::new(BudgetPolicy::default());
    let _first = budget.try_retry(false).unwrap();
    let last = budget.try_retry(true).unwrap();
    assert_eq!(budget.tokens(), 500 - 14 - 5);
    budget.succeeded(Some(last));
    assert_eq!(budget.tokens(), 500 - 14);
    budget.succeeded(None);
    assert_eq!(budget.tokens(), 500 - 13);
}

#[test]
fn a_budget_is_not_charged_for_a_retry_that_is_refused_for_another_reason() {
    let mut budget = Budget::new(BudgetPolicy::default());
    let policy = policy(1);
    let failure = judgement(Class::Transient);
    assert!(matches!(
        decide(&situation(&policy, &failure), Some(&mut budget)),
        Decision::GiveUp(Reason::AttemptsUsedUp(1))
    ));
    assert_eq!(budget.tokens(), 500);
}

#[test]
fn a_retry_costs_its_service_what_its_class_costs() {
    let policy = policy(3);
    for (class, cost) in [
        (Class::Transient, 14),
        (Class::NotSent, 14),
        (Class::Unknown, 14),
        (Class::Throttled, 5),
    ] {
        let mut budget = Budget::new(BudgetPolicy::default());
        let decision = decide(&situation(&policy, &judgement(class)), Some(&mut budget));
        assert_eq!(budget.tokens(), 500 - cost, "{class}");
        let Decision::Again { charge, .. } = decision else {
            panic!("{class}: {decision:?}")
        };
        budget.succeeded(charge);
        assert_eq!(budget.tokens(), 500, "{class}");
    }
}

#[test]
fn case_23_the_delay_of_attempt_2049_is_positive_and_within_its_cap() {
    for jitter in [Jitter::None, Jitter::Full, Jitter::Decorrelated] {
        for factor in [0, 1, 2, u32::MAX] {
            let policy = BackoffPolicy {
                base: Duration::from_millis(500),
                factor,
                cap: SECOND * 10,
                jitter,
            };
            for attempts in [1, 2, 2048, 2049, u32::MAX] {
                for fraction in [0.0, 0.5, 1.0 - f64::EPSILON, f64::NAN, -1.0, f64::INFINITY] {
                    for previous in [None, Some(SECOND), Some(Duration::MAX)] {
                        let delay = backoff::delay(&policy, attempts, previous, fraction);
                        assert!(
                            !delay.is_zero() && delay <= policy.cap,
                            "{policy:?} {attempts} {fraction}: {delay:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn delays_follow_the_published_formulas() {
    let policy = |jitter| BackoffPolicy {
        base: SECOND,
        factor: 2,
        cap: SECOND * 10,
        jitter,
    };
    let plain: Vec<_> = (1..=6)
        .map(|n| backoff::delay(&policy(Jitter::None), n, None, 0.9).as_secs())
        .collect();
    assert_eq!(plain, [1, 2, 4, 8, 10, 10]);
    // Full jitter spreads the capped delay, so the cap itself is spread too.
    assert_eq!(
        backoff::delay(&policy(Jitter::Full), 9, None, 0.25),
        Duration::from_millis(2500)
    );
    // Decorrelated: between the base and three times the delay before.
    let next = |previous, fraction| backoff::delay(&policy(Jitter::Decorrelated), 2, Some(previous), fraction);
    assert_eq!(next(SECOND * 2, 0.0), SECOND);
    assert_eq!(next(SECOND * 2, 0.5), Duration::from_millis(3500));
    assert_eq!(next(SECOND * 9, 0.99), SECOND * 10);
}

#[test]
fn case_24_the_larger_of_hint_and_computed_delay_counts() {
    let policy = policy(3);
    let hinted = |seconds| Judgement {
        hint: Some(Hint(SECOND * seconds)),
        ..judgement(Class::Throttled)
    };
    for (hint, expected) in [(0, 1), (1, 1), (7, 7), (60, 60)] {
        assert_eq!(decide(&situation(&policy, &hinted(hint)), None), again(expected));
    }
    assert!(matches!(
        decide(&situation(&policy, &hinted(61)), None),
        Decision::GiveUp(Reason::HintTooLong { .. })
    ));
}

#[test]
fn case_25_a_hint_beyond_the_deadline_stops_at_once() {
    let policy = policy(3);
    let failure = Judgement {
        hint: Some(Hint(SECOND * 20)),
        ..judgement(Class::Throttled)
    };
    let mut budget = Budget::new(BudgetPolicy::default());
    let mut until = |seconds| {
        let deadline = Tick(0) + SECOND * seconds;
        decide(
            &Situation {
                deadline,
                ..situation(&policy, &failure)
            },
            Some(&mut budget),
        )
    };
    let after = SECOND * 20;
    assert_eq!(until(19), Decision::GiveUp(Reason::PastDeadline { after }));
    assert_eq!(
        until(20),
        Decision::GiveUp(Reason::PastDeadline { after }),
        "no time would be left"
    );
    assert!(matches!(until(21), Decision::Again { .. }));
}

#[test]
fn a_computed_delay_beyond_the_deadline_stops_too() {
    let policy = policy(3);
    let failure = judgement(Class::Transient);
    let late = Situation {
        now: Tick(0) + SECOND * 3_600,
        ..situation(&policy, &failure)
    };
    assert_eq!(
        decide(&late, None),
        Decision::GiveUp(Reason::PastDeadline { after: SECOND })
    );
}

#[test]
fn case_26_cancelling_in_a_backoff_ends_the_run() {
    assert_eq!(run::next(State::Sleeping, Event::Cancel), Ok(State::Cancelled));
    assert_eq!(run::next(State::Running, Event::Cancel), Ok(State::Cancelled));
    assert!(run::next(State::Cancelled, Event::Wake).is_err());
    let policy = policy(3);
    let failure = judgement(Class::Transient);
    let cancelled = Situation {
        cancelled: true,
        ..situation(&policy, &failure)
    };
    assert_eq!(decide(&cancelled, None), Decision::GiveUp(Reason::Cancelled));
}

#[test]
fn case_27_a_breaker_that_opens_mid_loop_ends_it_without_cost() {
    let policy = policy(5);
    let mut breaker = Breaker::new(BreakerPolicy {
        failure_threshold: Some(2),
        ..BreakerPolicy::of_kind(ServiceKind::Http)
    });
    let mut budget = Budget::new(BudgetPolicy::default());
    let mut attempts = Attempts::of(policy.attempts);
    let mut last = None;
    while last.is_none() {
        attempts.begin();
        let effect = match breaker.admit(Tick(0), 0.0).permit {
            Ok(permit) => {
                let _stored_nowhere = breaker.settle(permit, Verdict::Failure, SECOND, Tick(0), 0.0);
                status(attempts.made(), 503)
            }
            Err(_) => Effect {
                answer: Some(Answer::NotSent(NotSent::BreakerOpen)),
                ..status(attempts.made(), 0)
            },
        };
        let failure = judged(End::Trap, &[effect]);
        let now = Situation {
            attempts,
            ..situation(&policy, &failure)
        };
        if let Decision::GiveUp(reason) = decide(&now, Some(&mut budget)) {
            last = Some((reason, failure));
        }
    }
    let (reason, failure) = last.unwrap();
    assert_eq!(
        (reason, failure.code, failure.class),
        (Reason::HeldBack, Code::BreakerOpen, Class::NotSent)
    );
    assert_eq!(attempts.made(), 3);
    assert_eq!(budget.tokens(), 500 - 2 * 14, "the refused attempt cost nothing");
}

/// Runs nested layers of so many attempts each over a step that always fails, and counts how often it was tried.
fn tries(outer: Attempts, inner: &[u32]) -> (Attempts, u32) {
    let (mut layer, mut count) = (outer, 0);
    while layer.left() > 0 {
        layer.begin();
        match inner.split_first() {
            None => count += 1,
            Some((own, rest)) => {
                let (ended, tried) = tries(layer.inner(*own), rest);
                layer.spent_inside(ended);
                count += tried;
            }
        }
    }
    (layer, count)
}

#[test]
fn case_28_nested_layers_share_the_attempts_of_the_step() {
    for (layers, most) in [
        (&[3, 3][..], 3),
        (&[3, 3, 3], 3),
        (&[3, 5], 3),
        (&[5, 2], 2),
        (&[1, 9], 1),
        (&[4, 1], 1),
    ] {
        let (_, count) = tries(Attempts::of(layers[0]), &layers[1..]);
        assert_eq!(count, most, "{layers:?}");
    }
}

#[test]
fn case_28_an_inner_layer_that_gave_up_early_costs_what_it_made() {
    let mut outer = made(3, 1);
    let mut inner = outer.inner(3);
    inner.begin();
    outer.spent_inside(inner);
    assert_eq!(outer.left(), 2);
    outer.begin();
    let mut inner = outer.inner(3);
    assert_eq!(inner.left(), 2);
    inner.begin();
    inner.begin();
    outer.spent_inside(inner);
    assert_eq!(outer.left(), 0);
}

#[test]
fn case_58_thirty_steps_that_each_flake_once_are_done() {
    let policy = policy(2);
    let failure = judgement(Class::Transient);
    for total in 1..=30 {
        // A step that got further starts its count and its backoff anew.
        let fresh = Situation {
            attempts: made(policy.attempts, 1),
            total,
            ..situation(&policy, &failure)
        };
        assert_eq!(decide(&fresh, None), again(1));
    }
}

#[test]
fn case_59_a_trap_after_a_503_is_retried_as_transient() {
    let failure = judged(End::Trap, &[status(1, 503)]);
    assert_eq!(failure.class, Class::Transient);
    assert_eq!(decide(&situation(&policy(3), &failure), None), again(1));
}

#[test]
fn case_60_an_endless_loop_is_exhausted_once() {
    let failure = judged(End::Timeout, &[status(1, 200)]);
    assert_eq!(failure.class, Class::Exhausted);
    let decision = decide(&situation(&policy(3), &failure), None);
    assert_eq!(decision, Decision::GiveUp(Reason::NotRetryable(Class::Exhausted)));
}

#[test]
fn every_class_and_permission_to_go_on_is_decided() {
    let policy = policy(3);
    for class in Class::ALL {
        for (may_go_on, held_back) in [(true, false), (false, false), (true, true)] {
            let failure = Judgement {
                held_back,
                ..judgement(class)
            };
            let decision = decide(
                &Situation {
                    may_go_on,
                    ..situation(&policy, &failure)
                },
                None,
            );
            let expected = match class {
                Class::InDoubt => Decision::GiveUp(Reason::InDoubt),
                Class::Caller | Class::Exhausted | Class::Fault | Class::Control => {
                    Decision::GiveUp(Reason::NotRetryable(class))
                }
                _ if held_back => Decision::GiveUp(Reason::HeldBack),
                _ if !may_go_on => Decision::GiveUp(Reason::MayNotStartOver),
                _ => again(1),
            };
            assert_eq!(decision, expected, "{class}, {may_go_on}, {held_back}");
        }
    }
}
