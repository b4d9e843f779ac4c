//! Breakers as calls meet them, and as hosts of one database share them.

use crate::world::*;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::{Idempotency, ServicePolicy};
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::requests::{BreakerOrder, Caller};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// A service that trips at the second failure and cools down for 100 s.
fn touchy(name: &str) -> ServicePolicy {
    let mut service = service(name);
    service.breaker.failure_threshold = Some(2);
    service.breaker.cooldown = Duration::from_secs(100);
    service
}

async fn switched() -> (World, Arc<AtomicU16>) {
    let answer = Arc::new(AtomicU16::new(503));
    let answers = Arc::clone(&answer);
    (
        World::answering(move |_, _| status(answers.load(Ordering::SeqCst))).await,
        answer,
    )
}

#[tokio::test(start_paused = true)]
async fn case_27_a_breaker_that_opens_mid_loop_ends_it_and_the_next_call_fails_fast() {
    let (world, answer) = switched().await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 5, vec![touchy("a")]),
            asks("GET", "a"),
        )
        .await;
    world
        .deploy(
            tool("other", Idempotency::Readonly, 5, vec![touchy("b")]),
            asks("GET", "b"),
        )
        .await;
    let failure = world.call("find").await.unwrap_err();
    assert_eq!((failure.code, failure.class), (Code::UpstreamFailed, Class::Transient));
    assert_eq!(world.transport.sent().len(), 2);
    let letter = world.letter().await;
    // Nobody but an upstream says when a replay is worth it.
    assert_eq!(
        (failure.retry_after.map(|after| after.as_secs()), letter.not_before),
        (Some(100), None)
    );
    assert!(
        letter
            .breakers
            .iter()
            .any(|breaker| breaker.key == "find/a" && breaker.state == "open")
    );

    let fast = world.call("find").await.unwrap_err();
    assert_eq!(
        (fast.code, fast.letter, fast.service.as_deref()),
        (Code::BreakerOpen, None, Some("a"))
    );
    assert_eq!(fast.retry_after, Some(Duration::from_secs(100)));
    assert_eq!(world.transport.sent().len(), 2);

    answer.store(200, Ordering::SeqCst);
    world.call("other").await.unwrap();
    assert_eq!(world.breaker("other/b").await, "closed");
    world.pass(Duration::from_secs(100)).await;
    world.call("find").await.unwrap();
    assert_eq!(world.breaker("find/a").await, "closed");
}

#[tokio::test(start_paused = true)]
async fn case_46_a_replay_under_an_open_breaker_leaves_the_letter_untouched() {
    let (world, answer) = switched().await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 5, vec![touchy("a"), touchy("b")]),
            asks("GET", "a"),
        )
        .await;
    world.call("find").await.unwrap_err();
    let letter = world.letter().await;
    let refused = world.replay(&letter).await.unwrap_err();
    assert_eq!(refused.code, Code::BreakerOpen);
    assert_eq!(world.letter().await, letter);

    // A fresh host does not know which service is needed, finds out at the first effect, and gives the letter back.
    let other = world.another(Arc::clone(&world.store), 7).await;
    let refused = other.replay(&letter).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.letter),
        (Code::BreakerOpen, Some(letter.id.clone()))
    );
    assert_eq!(world.letter().await, letter);
    assert_eq!(world.transport.sent().len(), 2);

    answer.store(200, Ordering::SeqCst);
    world.pass(Duration::from_secs(100)).await;
    world.replay(&letter).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_55_a_probe_is_judged_by_its_effect_not_by_the_length_of_its_agent() {
    let (world, answer) = switched().await;
    let mut policy = tool("agent", Idempotency::Readonly, 2, vec![touchy("a")]);
    policy.default_function.timeout = Duration::from_secs(2000);
    world
        .deploy(policy, |_, spec| async move {
            match request(spec.effects.as_ref(), "GET", "a").await {
                Ok(answer) if answer.status == 200 => {
                    sleep(600).await;
                    ok()
                }
                _ => err(),
            }
        })
        .await;
    world.call("agent").await.unwrap_err();
    answer.store(200, Ordering::SeqCst);
    world.pass(Duration::from_secs(100)).await;
    let (reply, ()) = tokio::join!(world.call("agent"), async {
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(world.breaker("agent/a").await, "closed");
        world.pass(Duration::from_secs(300)).await;
        assert_eq!(world.breaker("agent/a").await, "closed");
    });
    reply.unwrap();
}

#[tokio::test(start_paused = true)]
async fn case_56_not_found_three_times_in_a_row_keeps_it_closed() {
    let world = World::answering(|_, _| status(404)).await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 1, vec![touchy("a")]),
            asks("GET", "a"),
        )
        .await;
    for _ in 0..3 {
        assert_eq!(world.call("find").await.unwrap_err().class, Class::Caller);
    }
    assert_eq!(world.breaker("find/a").await, "closed");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_traps_opens_its_own_breaker_and_nobody_else_s() {
    let mut shared = touchy("shared");
    shared.shared = true;
    let world = World::answering(|_, _| status(200)).await;
    world
        .deploy(
            tool("broken", Idempotency::Readonly, 1, vec![shared.clone()]),
            |_, spec| async move {
                request(spec.effects.as_ref(), "GET", "shared").await.unwrap();
                trap()
            },
        )
        .await;
    world
        .deploy(
            tool("sound", Idempotency::Readonly, 1, vec![shared]),
            asks("GET", "shared"),
        )
        .await;
    for _ in 0..5 {
        assert_eq!(world.call("broken").await.unwrap_err().code, Code::Fault);
    }
    assert_eq!(world.call("broken").await.unwrap_err().code, Code::BreakerOpen);
    assert_eq!(world.breaker("tool:broken").await, "open");
    world.call("sound").await.unwrap();
    assert_eq!(world.breaker("shared").await, "closed");
}

#[tokio::test(start_paused = true)]
async fn an_opening_reaches_other_hosts_within_a_second_and_survives_a_restart() {
    let (world, _) = switched().await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 5, vec![touchy("a")]),
            asks("GET", "a"),
        )
        .await;
    let other = world.another(Arc::clone(&world.store), 2).await;
    assert_eq!(
        other.host.tool(&Caller::local(), "find").await.unwrap().record.number,
        1
    );
    world.call("find").await.unwrap_err();
    world.pass(Duration::from_millis(1100)).await;
    assert_eq!(other.call("find").await.unwrap_err().code, Code::BreakerOpen);
    let restarted = world.another(Arc::clone(&world.store), 3).await;
    let refused = restarted.call("find").await.unwrap_err();
    assert_eq!(refused.code, Code::BreakerOpen);
    assert_eq!(refused.retry_after.unwrap().as_secs(), 98);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_count_over_processes_that_end_in_between() {
    let (world, _) = switched().await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 1, vec![touchy("a")]),
            asks("GET", "a"),
        )
        .await;
    world.call("find").await.unwrap_err();
    world.host.drain().await;
    let next = world.another(Arc::clone(&world.store), 2).await;
    next.call("find").await.unwrap_err();
    assert_eq!(next.breaker("find/a").await, "open");
}

#[tokio::test(start_paused = true)]
async fn hosts_of_one_database_send_one_probe() {
    let world = World::with(ScriptedTransport::new(|number, _| {
        Box::pin(async move {
            if number > 2 {
                sleep(5).await;
            }
            status(503)
        })
    }))
    .await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 2, vec![touchy("a")]),
            asks("GET", "a"),
        )
        .await;
    let other = world.another(Arc::clone(&world.store), 2).await;
    other.host.tool(&Caller::local(), "find").await.unwrap();
    world.call("find").await.unwrap_err();
    world.pass(Duration::from_secs(100)).await;
    let (first, second) = tokio::join!(world.call("find"), other.call("find"));
    assert!(first.is_err() && second.is_err());
    assert_eq!(world.transport.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_operator_s_order_holds_for_every_host_until_the_next() {
    let (world, answer) = switched().await;
    answer.store(200, Ordering::SeqCst);
    world
        .deploy(
            tool("find", Idempotency::Readonly, 1, vec![touchy("a")]),
            asks("GET", "a"),
        )
        .await;
    let (caller, cli) = (Caller::local(), world.another(Arc::clone(&world.store), 2).await);
    world.call("find").await.unwrap();
    let ordered = cli
        .host
        .order_breaker(&caller, "find/a", BreakerOrder::ForceOpen)
        .await
        .unwrap();
    assert_eq!(ordered.state, "forced-open");
    world.pass(Duration::from_secs(3600)).await;
    let refused = world.call("find").await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after), (Code::BreakerOpen, None));
    cli.host
        .order_breaker(&caller, "find/a", BreakerOrder::Close)
        .await
        .unwrap();
    world.pass(Duration::from_secs(2)).await;
    world.call("find").await.unwrap();
    let unknown = cli
        .host
        .order_breaker(&caller, "nothing", BreakerOrder::Close)
        .await
        .unwrap_err();
    assert!(unknown.message.contains("`find/a`, `tool:find`"), "{}", unknown.message);
    assert!(world.clock.tick().since(Default::default()).as_secs() >= 3600);
}

#[tokio::test(start_paused = true)]
async fn case_14_a_wall_clock_that_jumps_an_hour_changes_nothing() {
    for jump in [3_600_000, -3_600_000] {
        let (world, answer) = switched().await;
        let policy = tool("find", Idempotency::Readonly, 5, vec![touchy("a")]);
        world.deploy(policy, asks("GET", "a")).await;
        world.call("find").await.unwrap_err();
        world.clock.turn_wall(jump);
        world.pass(Duration::from_secs(99)).await;
        assert_eq!(world.call("find").await.unwrap_err().code, Code::BreakerOpen, "{jump}");
        answer.store(200, Ordering::SeqCst);
        world.pass(Duration::from_secs(1)).await;
        world.call("find").await.unwrap();
    }
}
