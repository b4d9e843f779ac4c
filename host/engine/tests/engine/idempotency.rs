//! Keys: one call is one run, one effect is one effect.

use crate::world::*;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::Idempotency;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::requests::{Call, Caller};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn case_31_of_many_racers_with_one_key_one_executes() {
    let world = World::with(ScriptedTransport::new(|_, _| {
        Box::pin(async {
            sleep(2).await;
            status(200)
        })
    }))
    .await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 3, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    let racer = || Call {
        wait: Some(Duration::from_secs(60)),
        ..keyed("pay", "k", "{}")
    };
    let caller = Caller::local();
    let racers = (0..32).map(|_| world.host.call(&caller, racer()));
    let replies: Vec<_> = futures::future::join_all(racers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(replies.iter().filter(|reply| !reply.stored).count(), 1);
    assert!(
        replies
            .iter()
            .all(|reply| reply.run == replies[0].run && reply.output == "1")
    );
    assert_eq!(world.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_32_a_key_with_another_payload_is_refused_in_flight_and_after() {
    let world = World::with(ScriptedTransport::new(|_, _| {
        Box::pin(async {
            sleep(5).await;
            status(200)
        })
    }))
    .await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    let (first, ()) = tokio::join!(world.keyed("pay", "k", r#"{"a":1}"#), async {
        world.pass(Duration::from_secs(1)).await;
        assert_eq!(
            world.keyed("pay", "k", r#"{"a":2}"#).await.unwrap_err().code,
            Code::KeyReused
        );
        let same = world.keyed("pay", "k", r#"{"a":1}"#).await.unwrap_err();
        assert_eq!(same.code, Code::KeyInUse);
        assert!(same.run.is_some());
    });
    let first = first.unwrap();
    assert_eq!(
        world.keyed("pay", "k", r#"{"a":2}"#).await.unwrap_err().code,
        Code::KeyReused
    );
    let again = world.keyed("pay", "k", r#"{"a":1}"#).await.unwrap();
    assert_eq!((again.stored, again.run, again.attempts), (true, first.run, 0));
    assert_eq!(world.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_33_two_spellings_of_one_value_are_one_call() {
    let world = World::answering(|_, _| status(200)).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    world.keyed("pay", "k", r#"{"a":1}"#).await.unwrap();
    assert!(world.keyed("pay", "k", "{ \"a\" : 1 }").await.unwrap().stored);
}

#[tokio::test(start_paused = true)]
async fn case_62_two_equal_posts_of_one_function_have_two_keys_that_retries_keep() {
    let world = World::answering(|number, _| status(if number == 2 { 503 } else { 200 })).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 3, vec![honouring("bank")]),
            |_, spec| async move {
                for _ in 0..2 {
                    match request(spec.effects.as_ref(), "POST", "bank").await {
                        Ok(answer) if answer.status == 200 => {}
                        _ => return err(),
                    }
                }
                ok()
            },
        )
        .await;
    assert_eq!(world.keyed("pay", "k", "{}").await.unwrap().attempts, 2);
    let keys: Vec<_> = world.transport.sent().iter().map(key_of).collect();
    // The first is served to the second attempt.
    assert_eq!(keys.len(), 3);
    assert_ne!(keys[0], keys[1]);
    assert_eq!(keys[1], keys[2]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_the_guest_repeats_after_a_failure_keeps_its_key() {
    let world = World::answering(|number, _| status(if number == 1 { 503 } else { 200 })).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            |_, spec| async move {
                let first = request(spec.effects.as_ref(), "POST", "bank").await.unwrap();
                assert_eq!(first.status, 503);
                request(spec.effects.as_ref(), "POST", "bank").await.unwrap();
                ok()
            },
        )
        .await;
    world.keyed("pay", "k", "{}").await.unwrap();
    let sent = world.transport.sent();
    assert_eq!(key_of(&sent[0]), key_of(&sent[1]));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_error_is_stored_and_a_refusal_gives_the_key_back() {
    let world = World::answering(|_, _| status(404)).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 3, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    let first = world.keyed("pay", "k", "{}").await.unwrap_err();
    let again = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!((first.class, &first.run), (Class::Caller, &again.run));
    assert_eq!(world.transport.sent().len(), 1);

    let caller = Caller::local();
    let open = fusebox_engine::requests::BreakerOrder::ForceOpen;
    world.host.order_breaker(&caller, "pay/bank", open).await.unwrap();
    assert_eq!(
        world.keyed("pay", "fresh", "{}").await.unwrap_err().code,
        Code::BreakerOpen
    );
    let close = fusebox_engine::requests::BreakerOrder::Close;
    world.host.order_breaker(&caller, "pay/bank", close).await.unwrap();
    assert_eq!(
        world.keyed("pay", "fresh", "{}").await.unwrap_err().class,
        Class::Caller
    );
    assert_eq!(world.transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_run_has_a_letter_joins_it_and_never_starts_a_second_run() {
    let world = World::answering(|_, _| status(503)).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    let joined = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!((joined.code, joined.letter), (Code::KeyInUse, failure.letter));
    assert_eq!(world.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_will_have_ended_allows_no_retry() {
    let world = World::answering(|_, _| status(503)).await;
    for (name, lifetime, expected) in [("brief", 5, 1), ("lasting", 3600, 3)] {
        let mut bank = honouring("bank");
        bank.breaker.failure_threshold = None;
        bank.idempotency_header.as_mut().unwrap().lifetime = Duration::from_secs(lifetime);
        let mut policy = tool(name, Idempotency::Keyed, 3, vec![bank]);
        policy.default_function.timeout = Duration::from_secs(2);
        policy.default_function.retry.backoff.base = Duration::from_secs(10);
        policy.default_function.retry.backoff.cap = Duration::from_secs(10);
        world.deploy(policy, asks("POST", "bank")).await;
        let before = world.transport.sent().len();
        assert_eq!(world.keyed(name, "k", "{}").await.unwrap_err().class, Class::Transient);
        assert_eq!(world.transport.sent().len() - before, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_has_a_sensible_length() {
    let world = World::answering(|_, _| status(200)).await;
    world.deploy(pure("add"), |_, _| async { ok() }).await;
    for (length, fits) in [(0, false), (1, true), (255, true), (256, false)] {
        let called = world.keyed("add", &"k".repeat(length), "{}").await;
        assert_eq!(called.is_ok(), fits, "{length}: {called:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_for_the_run_of_another_host_does_not_hold_up_a_drain() {
    let world = World::answering(|_, _| status(200)).await;
    let mut long = tool("pay", Idempotency::Keyed, 1, Vec::new());
    long.default_function.timeout = Duration::from_secs(3600);
    world
        .deploy(long, |_, _| async {
            sleep(600).await;
            ok()
        })
        .await;
    let other = world.another(std::sync::Arc::clone(&world.store), 2).await;
    let waits = Call {
        wait: Some(Duration::from_secs(7200)),
        ..keyed("pay", "k", "{}")
    };
    let start = world.clock.tick();
    let (_, joined, ()) = tokio::join!(
        world.keyed("pay", "k", "{}"),
        async {
            world.pass(Duration::from_secs(1)).await;
            other.host.call(&Caller::local(), waits).await
        },
        async {
            world.pass(Duration::from_secs(2)).await;
            other.host.drain().await;
            let took = world.clock.tick().since(start);
            assert!(took < Duration::from_secs(40), "{took:?}");
        }
    );
    assert_eq!(joined.unwrap_err().code, Code::KeyInUse);
}
