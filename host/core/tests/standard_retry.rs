//! The retry vectors that AWS publishes for its SDKs, run through backoff, budget and decision.
#![allow(clippy::unwrap_used, clippy::panic)]

use fusebox_core::budget::Budget;
use fusebox_core::classify::{Judgement, class_of_status};
use fusebox_core::failure::Code;
use fusebox_core::policy::{BackoffPolicy, BudgetPolicy, Jitter, RetryPolicy};
use fusebox_core::retry::{Attempts, Decision, Reason, Situation, decide};
use fusebox_core::time::Tick;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    legacy: BTreeMap<String, Vector>,
    current: BTreeMap<String, Vector>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    given: Given,
    responses: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default = "three")]
    max_attempts: u32,
    #[serde(default = "five_hundred")]
    initial_retry_tokens: u32,
    /// The random number of the formula `b · min(cap, base · 2^i)`: without jitter, 1.
    exponential_base: u32,
    #[serde(default = "two")]
    exponential_power: u32,
    #[serde(default = "twenty")]
    max_backoff_time: f64,
}

fn three() -> u32 {
    3
}
fn five_hundred() -> u32 {
    500
}
fn two() -> u32 {
    2
}
fn twenty() -> f64 {
    20.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    response: Response,
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Response {
    status_code: u16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    outcome: String,
    retry_quota: u32,
    delay: Option<f64>,
}

/// What the two tables differ in.
struct Table {
    base: Duration,
    retry_cost: u32,
    throttled_cost: u32,
}

fn run(name: &str, vector: &Vector, table: &Table) {
    let given = &vector.given;
    assert_eq!(given.exponential_base, 1, "{name}: the vectors come without jitter");
    let mut budget = Budget::new(BudgetPolicy {
        capacity: given.initial_retry_tokens,
        retry_cost: table.retry_cost,
        throttled_cost: table.throttled_cost,
        success_refund: 1,
    });
    let policy = RetryPolicy {
        attempts: given.max_attempts,
        backoff: BackoffPolicy {
            base: table.base,
            factor: given.exponential_power,
            cap: Duration::from_secs_f64(given.max_backoff_time),
            jitter: Jitter::None,
        },
        ..RetryPolicy::once("vector")
    };
    let mut attempts = Attempts::of(policy.attempts);
    let mut last_retry = None;
    for (index, step) in vector.responses.iter().enumerate() {
        attempts.begin();
        let (outcome, delay) = match class_of_status(step.response.status_code) {
            None => {
                budget.succeeded(last_retry.take());
                ("success", None)
            }
            Some(class) => {
                let judgement = Judgement {
                    class,
                    code: Code::UpstreamFailed,
                    effect: None,
                    service: None,
                    hint: None,
                    held_back: false,
                    in_doubt: Vec::new(),
                };
                let situation = Situation {
                    policy: &policy,
                    judgement: &judgement,
                    attempts,
                    total: attempts.made(),
                    may_go_on: true,
                    cancelled: false,
                    now: Tick(0),
                    deadline: Tick(u64::MAX),
                    previous: None,
                    fraction: 0.5,
                };
                match decide(&situation, Some(&mut budget)) {
                    Decision::Again { after, charge } => {
                        last_retry = charge;
                        ("retry_request", Some(after))
                    }
                    Decision::GiveUp(Reason::AttemptsUsedUp(_)) => ("max_attempts_exceeded", None),
                    Decision::GiveUp(Reason::BudgetEmpty(_)) => ("retry_quota_exceeded", None),
                    Decision::GiveUp(reason) => panic!("{name}, response {index}: {reason}"),
                }
            }
        };
        let expected = &step.expected;
        assert_eq!(outcome, expected.outcome, "{name}, response {index}");
        assert_eq!(budget.tokens(), expected.retry_quota, "{name}, response {index}");
        assert_eq!(
            delay,
            expected.delay.map(Duration::from_secs_f64),
            "{name}, response {index}"
        );
    }
}

#[test]
fn both_tables_of_the_published_vectors_pass() {
    let vectors: Vectors = serde_yaml::from_str(include_str!("vectors/standard-retry.yaml")).unwrap();
    assert_eq!((vectors.legacy.len(), vectors.current.len()), (6, 6));
    let legacy = Table {
        base: Duration::from_secs(1),
        retry_cost: 5,
        throttled_cost: 5,
    };
    let defaults = BudgetPolicy::default();
    let current = Table {
        base: Duration::from_millis(50),
        retry_cost: defaults.retry_cost,
        throttled_cost: defaults.throttled_cost,
    };
    assert_eq!(
        (defaults.capacity, defaults.retry_cost, defaults.throttled_cost),
        (500, 14, 5)
    );
    for (table, vectors) in [(legacy, vectors.legacy), (current, vectors.current)] {
        for (name, vector) in &vectors {
            run(name, vector, &table);
        }
    }
}
