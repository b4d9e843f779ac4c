//! Attempts, delays, budgets, deadlines.

use crate::world::*;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::{BudgetPolicy, Idempotency};
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::ports::sandbox::AttemptEnd;
use fusebox_engine::requests::{Call, Caller};
use fusebox_engine::testing::scripted_transport::{status, status_with};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn case_20_as_many_attempts_as_the_policy_says_and_one_with_an_empty_budget() {
    for (attempts, capacity, expected) in [(1, 500, 1), (2, 500, 2), (5, 500, 5), (5, 0, 1)] {
        let world = World::answering(|_, _| status(503)).await;
        let mut upstream = service("a");
        upstream.budget.capacity = capacity;
        upstream.breaker.failure_threshold = None;
        world
            .deploy(
                tool("find", Idempotency::Idempotent, attempts, vec![upstream]),
                asks("GET", "a"),
            )
            .await;
        let failure = world.call("find").await.unwrap_err();
        assert_eq!((failure.code, failure.class), (Code::UpstreamFailed, Class::Transient));
        assert_eq!(
            world.transport.sent().len(),
            expected,
            "{attempts} attempts, capacity {capacity}"
        );
        assert_eq!(world.letter().await.run.attempts.len(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn case_21_a_success_gives_back_only_its_last_retry() {
    // Call 1: two retries cost 28, its success gives 14 back. Call 2 can pay for one.
    let world = World::answering(|number, _| status(if number == 3 { 200 } else { 503 })).await;
    let mut upstream = service("a");
    upstream.breaker.failure_threshold = None;
    upstream.budget = BudgetPolicy {
        capacity: 28,
        success_refund: 0,
        ..BudgetPolicy::default()
    };
    world
        .deploy(
            tool("find", Idempotency::Idempotent, 3, vec![upstream]),
            asks("GET", "a"),
        )
        .await;
    assert_eq!(world.call("find").await.unwrap().attempts, 3);
    let failure = world.call("find").await.unwrap_err();
    assert_eq!(world.transport.sent().len(), 5);
    assert!(
        failure.chain.iter().any(|cause| cause.contains("budget")),
        "{:?}",
        failure.chain
    );
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_waited_for_when_it_is_longer_than_the_delay() {
    let world = World::answering(|number, _| match number {
        1 => status_with(429, "retry-after", " 7 "),
        _ => status(200),
    })
    .await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 3, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    let reply = world.call("find").await.unwrap();
    assert_eq!(reply.attempts, 2);
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 7);
    world.host.drain().await;
    let run = world.host.run(&Caller::local(), &reply.run.unwrap()).await.unwrap();
    assert_eq!(run.attempts[0].then_waited_ms, Some(7000));
}

#[tokio::test(start_paused = true)]
async fn case_25_a_hint_beyond_the_deadline_stops_at_once() {
    let world = World::answering(|_, _| status_with(503, "retry-after", "50")).await;
    let mut policy = tool("find", Idempotency::Readonly, 3, vec![service("a")]);
    policy.default_function.deadline = Duration::from_secs(10);
    world.deploy(policy, asks("GET", "a")).await;
    let failure = world.call("find").await.unwrap_err();
    assert_eq!(failure.retry_after, Some(Duration::from_secs(50)));
    assert_eq!(world.clock.tick().0, 0);
    assert_eq!(world.transport.sent().len(), 1);
    let letter = world.letter().await;
    assert_eq!(letter.not_before, Some(letter.last_failed + 50_000));
}

#[tokio::test(start_paused = true)]
async fn case_59_a_trap_after_a_503_is_retried_as_transient_and_is_not_known_bad() {
    let world = World::answering(|number, _| status(if number == 2 { 200 } else { 503 })).await;
    let unwraps = |_, spec: fusebox_engine::ports::sandbox::AttemptSpec| async move {
        match request(spec.effects.as_ref(), "GET", "a").await {
            Ok(answer) if answer.status == 200 => ok(),
            _ => trap(),
        }
    };
    world
        .deploy(tool("find", Idempotency::Readonly, 2, vec![service("a")]), unwraps)
        .await;
    assert_eq!(world.call("find").await.unwrap().attempts, 2);
    assert_eq!(world.call("find").await.unwrap_err().class, Class::Transient);
    let letter = world.letter().await;
    assert_eq!(
        (letter.kind.as_str(), letter.service.as_deref(), letter.fingerprint),
        ("retryable", Some("a"), None)
    );
    assert_eq!(world.breaker("tool:find").await, "closed");
}

#[tokio::test(start_paused = true)]
async fn case_60_an_endless_loop_is_exhausted_once() {
    let world = World::answering(|_, _| status(200)).await;
    let policy = tool("spin", Idempotency::Idempotent, 5, Vec::new());
    let timeout = policy.default_function.timeout;
    world.deploy(policy, |_, _| std::future::pending::<AttemptEnd>()).await;
    let failure = world.call("spin").await.unwrap_err();
    assert_eq!((failure.code, failure.class), (Code::Exhausted, Class::Exhausted));
    assert_eq!(world.sandbox.attempts("spin"), 1);
    assert_eq!(world.clock.tick().since(Default::default()), timeout);
    assert_eq!(world.letter().await.kind, "known-bad");
}

#[tokio::test(start_paused = true)]
async fn whether_an_effect_is_made_again_is_asked_of_the_effect_and_not_of_its_function() {
    for (level, method, class, times) in [
        (Idempotency::NonIdempotent, "GET", Class::Transient, 5),
        (Idempotency::NonIdempotent, "PUT", Class::Transient, 5),
        (Idempotency::NonIdempotent, "POST", Class::InDoubt, 1),
        (Idempotency::Keyed, "POST", Class::InDoubt, 1),
        (Idempotency::Idempotent, "POST", Class::InDoubt, 1),
    ] {
        let world = World::answering(|_, _| status(503)).await;
        let mut upstream = service("a");
        upstream.breaker.failure_threshold = None;
        world
            .deploy(tool("send", level, 5, vec![upstream]), asks(method, "a"))
            .await;
        assert_eq!(world.keyed("send", "k", "{}").await.unwrap_err().class, class);
        assert_eq!(world.transport.sent().len(), times, "{level:?} {method}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_succeeds_elsewhere_gives_nothing_back_to_the_service_that_failed() {
    let world = World::answering(|_, request| status(if request.origin.host == "a.test" { 503 } else { 200 })).await;
    let mut failing = service("a");
    failing.shared = true;
    failing.breaker.failure_threshold = None;
    failing.budget = BudgetPolicy {
        capacity: 10,
        retry_cost: 10,
        throttled_cost: 10,
        success_refund: 10,
    };
    let retrying = tool("find", Idempotency::Readonly, 2, vec![failing.clone()]);
    let falling_back = tool("find-anywhere", Idempotency::Readonly, 2, vec![failing, service("b")]);
    world.deploy(retrying, asks("GET", "a")).await;
    world
        .deploy(falling_back, |_, spec| async move {
            let _ = request(spec.effects.as_ref(), "GET", "a").await;
            request(spec.effects.as_ref(), "GET", "b")
                .await
                .map_or_else(|_| err(), |_| ok())
        })
        .await;
    world.call("find").await.unwrap_err();
    assert_eq!(world.transport.sent().len(), 2, "the budget pays for one retry");
    world.call("find-anywhere").await.unwrap();
    world.call("find").await.unwrap_err();
    assert_eq!(world.transport.sent().len(), 5, "and for no other");
}

#[tokio::test(start_paused = true)]
async fn no_attempt_starts_when_the_deadline_is_over() {
    let world = World::answering(|_, _| status(200)).await;
    world.deploy(pure("add"), |_, _| async { ok() }).await;
    let late = Call {
        deadline: Some(Duration::ZERO),
        ..call("add")
    };
    let failure = world.host.call(&Caller::local(), late).await.unwrap_err();
    assert_eq!((failure.code, failure.letter), (Code::Overloaded, None));
    assert_eq!(world.sandbox.attempts("add"), 0);
}
