//! The retry budget against a reference that adds up every movement, and under concurrency.
#![allow(clippy::unwrap_used)]

use fusebox_core::budget::Budget;
use fusebox_core::policy::BudgetPolicy;
use proptest::prelude::*;
use std::sync::Mutex;

#[derive(Clone, Debug)]
enum Step {
    /// A call that retries so often, each time after throttling or not, and then succeeds, fails or is cancelled.
    Call {
        throttled: Vec<bool>,
        succeeds: bool,
    },
    Reconfigure(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let call = (prop::collection::vec(any::<bool>(), 0..4), any::<bool>());
    let step = prop_oneof![
        20 => call.prop_map(|(throttled, succeeds)| Step::Call { throttled, succeeds }),
        1 => (0..60_u32).prop_map(Step::Reconfigure),
    ];
    prop::collection::vec(step, 1..100)
}

fn policies() -> impl Strategy<Value = BudgetPolicy> {
    (0..60_u32, 0..20_u32, 0..20_u32, 0..5_u32).prop_map(|(capacity, retry_cost, throttled_cost, success_refund)| {
        BudgetPolicy {
            capacity,
            retry_cost,
            throttled_cost,
            success_refund,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_budget_does_what_the_reference_does(mut policy in policies(), steps in steps()) {
        let mut budget = Budget::new(policy);
        let mut tokens = i64::from(policy.capacity);
        for step in steps {
            match step {
                Step::Call { throttled, succeeds } => {
                    let (mut last, mut charge, mut refused) = (None, None, false);
                    for throttled in throttled {
                        let cost = i64::from(if throttled { policy.throttled_cost } else { policy.retry_cost });
                        let granted = policy.capacity > 0 && tokens >= cost;
                        let asked = budget.try_retry(throttled);
                        prop_assert_eq!(asked.is_ok(), granted);
                        refused = !granted;
                        if refused { break; }
                        tokens -= cost;
                        (last, charge) = (Some(cost), asked.ok());
                    }
                    if succeeds && !refused {
                        budget.succeeded(charge);
                        tokens = (tokens + last.unwrap_or(i64::from(policy.success_refund))).min(i64::from(policy.capacity));
                    }
                }
                Step::Reconfigure(capacity) => {
                    let was_full = tokens == i64::from(policy.capacity);
                    policy.capacity = capacity;
                    budget.reconfigure(policy);
                    tokens = if was_full { i64::from(capacity) } else { tokens.min(i64::from(capacity)) };
                }
            }
            prop_assert_eq!(i64::from(budget.tokens()), tokens);
            prop_assert!((0..=i64::from(policy.capacity)).contains(&tokens));
        }
    }
}

#[test]
fn case_22_under_concurrency_the_budget_is_never_negative_or_over_capacity() {
    let policy = BudgetPolicy {
        capacity: 100,
        retry_cost: 7,
        throttled_cost: 3,
        success_refund: 2,
    };
    let budget = Mutex::new(Budget::new(policy));
    let kept: u32 = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let budget = &budget;
                scope.spawn(move || {
                    let mut kept = 0;
                    for call in 0..1_000 {
                        let throttled = call % 3 == 0;
                        let charge = budget.lock().unwrap().try_retry(throttled);
                        std::thread::yield_now();
                        match charge {
                            // Some succeed and give back what they took; the others keep it.
                            Ok(charge) if (call + worker) % 50 != 0 => budget.lock().unwrap().succeeded(Some(charge)),
                            Ok(_) => kept += if throttled { 3 } else { 7 },
                            Err(empty) => assert!(empty.left < empty.cost),
                        }
                        assert!(budget.lock().unwrap().tokens() <= 100);
                    }
                    kept
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert_eq!(
        budget.into_inner().unwrap().tokens(),
        100 - kept,
        "every token is accounted for"
    );
}
