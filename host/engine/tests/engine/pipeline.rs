//! The pipeline as a whole: refusals, records, limits of concurrency, cancellation, drain.

use crate::world::*;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::{Approval, Durability, Idempotency};
use fusebox_engine::host::Settings;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::ports::store::{ErrorFilter, RunFilter, ToolChange};
use fusebox_engine::requests::{Caller, Deploy, Trial};
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::faulty_store::{FaultyStore, When};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_pure_function_leaves_no_record_and_touches_no_store_once_it_is_hot() {
    let clock = Arc::new(FakeClock::new());
    let store = Arc::new(FaultyStore::failing_at(Arc::new(MemoryStore::new()), 0, When::Before));
    let transport = ScriptedTransport::answering(|_, _| status(200));
    let world = World::on(Arc::clone(&store) as _, clock, transport, Settings::default()).await;
    world.deploy(pure("calc"), |_, _| async { ok() }).await;
    let reply = world.call("calc").await.unwrap();
    assert_eq!((reply.output.as_str(), reply.attempts, reply.run), ("1", 1, None));
    let before = store.calls();
    for _ in 0..100 {
        world.call("calc").await.unwrap();
    }
    assert_eq!(store.calls(), before);
    world.host.drain().await;
    assert!(
        world
            .store
            .runs("default", &RunFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn an_on_failure_success_is_in_the_history_once_it_is_flushed() {
    let world = World::answering(|_, _| status(200)).await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 1, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    let reply = world.call("find").await.unwrap();
    world.host.drain().await;
    let run = world.host.run(&Caller::local(), &reply.run.unwrap()).await.unwrap();
    assert_eq!((run.state.as_str(), run.output.as_deref()), ("succeeded", Some("1")));
    assert_eq!(run.attempts.len(), 1);
    assert_eq!(run.attempts[0].effects[0].answer, "200");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_goes_to_the_error_log_and_becomes_no_letter() {
    let world = World::answering(|_, _| status(200)).await;
    world
        .deploy(tool("keep", Idempotency::Keyed, 1, Vec::new()), |_, _| async { err() })
        .await;
    let mut asking = tool("ask", Idempotency::Readonly, 1, Vec::new());
    asking.default_function.approval = Approval::Required;
    world.deploy(asking, |_, _| async { ok() }).await;

    assert_eq!(world.call("nothing").await.unwrap_err().code, Code::NotFound);
    assert_eq!(world.call("keep").await.unwrap_err().code, Code::KeyRequired);
    assert_eq!(world.call("ask").await.unwrap_err().code, Code::NeedsApproval);
    assert_eq!(world.keyed("keep", "k", "[]").await.unwrap_err().code, Code::BadInput);
    let answered = world.keyed("keep", "k", "{}").await.unwrap_err();
    assert_eq!((answered.code, answered.class), (Code::ToolFailed, Class::Caller));
    assert_eq!(answered.error.as_deref(), Some("\"no\""));
    world.host.drain().await;
    let errors = world
        .host
        .errors(&Caller::local(), &ErrorFilter::default())
        .await
        .unwrap();
    let codes: Vec<_> = errors.iter().rev().map(|error| error.failure.code.as_str()).collect();
    assert_eq!(
        codes,
        ["not-found", "key-required", "bad-input", "tool-failed"],
        "what waits for a person has not failed"
    );
    assert!(
        world
            .host
            .letters(&Caller::local(), &Default::default())
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn case_16_a_panic_becomes_internal_and_releases_everything() {
    let world = World::answering(|_, _| status(200)).await;
    let mut policy = tool("shaky", Idempotency::Idempotent, 1, Vec::new());
    policy.limits.concurrency = 1;
    world
        .deploy(policy, |number, _| async move {
            assert!(number > 1, "a defect of the host");
            ok()
        })
        .await;
    assert_eq!(world.call("shaky").await.unwrap_err().code, Code::Internal);
    assert_eq!(world.call("shaky").await.unwrap().output, "1");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_cancels_nothing() {
    let world = World::answering(|_, _| status(200)).await;
    let done = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&done);
    let clock = Arc::clone(&world.clock);
    world
        .deploy(pure("slow"), move |_, _| {
            let (count, clock) = (Arc::clone(&count), Arc::clone(&clock));
            async move {
                clock.sleep(Duration::from_secs(5)).await;
                count.fetch_add(1, Ordering::SeqCst);
                ok()
            }
        })
        .await;
    let hang_up = tokio::time::timeout(Duration::from_secs(1), world.call("slow")).await;
    assert!(hang_up.is_err());
    world.host.drain().await;
    assert_eq!(done.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tool_takes_no_more_attempts_at_once_than_its_policy_says() {
    let world = World::answering(|_, _| status(200)).await;
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let mut policy = pure("narrow");
    policy.limits.concurrency = 2;
    let (counted, peak, clock) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&world.clock));
    world
        .deploy(policy, move |_, _| {
            let (counted, peak, clock) = (Arc::clone(&counted), Arc::clone(&peak), Arc::clone(&clock));
            async move {
                peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                clock.sleep(Duration::from_secs(1)).await;
                counted.fetch_sub(1, Ordering::SeqCst);
                ok()
            }
        })
        .await;
    let calls = (0..6).map(|_| world.call("narrow"));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_full_host_and_a_draining_one_take_nothing_on() {
    let clock = Arc::new(FakeClock::new());
    let settings = Settings {
        max_calls: 1,
        ..Settings::default()
    };
    let transport = ScriptedTransport::answering(|_, _| status(200));
    let world = World::on(Arc::new(MemoryStore::new()), clock, transport, settings).await;
    let sleeper = Arc::clone(&world.clock);
    world
        .deploy(pure("slow"), move |_, _| {
            let clock = Arc::clone(&sleeper);
            async move {
                clock.sleep(Duration::from_secs(5)).await;
                ok()
            }
        })
        .await;
    let (first, second) = tokio::join!(world.call("slow"), world.call("slow"));
    assert!(first.is_ok());
    assert_eq!(second.unwrap_err().code, Code::Overloaded);
    world.host.drain().await;
    assert_eq!(world.call("slow").await.unwrap_err().code, Code::Overloaded);
}

#[tokio::test(start_paused = true)]
async fn a_drain_cancels_what_does_not_end_in_time() {
    let world = World::answering(|_, _| status(200)).await;
    let mut policy = tool("stuck", Idempotency::Readonly, 1, Vec::new());
    policy.default_function.timeout = Duration::from_secs(3000);
    world.deploy(policy, |_, _| std::future::pending()).await;
    let (failed, ()) = tokio::join!(world.call("stuck"), async {
        world.pass(Duration::from_secs(1)).await;
        world.host.drain().await;
    });
    assert_eq!(failed.unwrap_err().code, Code::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn case_26_a_run_is_cancelled_in_its_backoff() {
    let world = World::answering(|_, _| status(503)).await;
    let mut policy = tool("find", Idempotency::Idempotent, 5, vec![service("a")]);
    policy.default_function.durability = Durability::Always;
    policy.default_function.retry.backoff.base = Duration::from_secs(600);
    policy.default_function.retry.backoff.cap = Duration::from_secs(600);
    world.deploy(policy, asks("GET", "a")).await;
    let (failed, run) = tokio::join!(world.call("find"), async {
        world.pass(Duration::from_secs(60)).await;
        let run = world
            .store
            .runs("default", &RunFilter::default())
            .await
            .unwrap()
            .remove(0);
        assert_eq!(run.attempts.len(), 1, "the failed attempt is durable before the next");
        world.host.cancel(&Caller::local(), &run.id).await.unwrap();
        run.id
    });
    assert_eq!(failed.unwrap_err().code, Code::Cancelled);
    assert_eq!(world.clock.tick().since(Default::default()).as_secs(), 60);
    assert_eq!(world.transport.sent().len(), 1);
    let run = world.host.run(&Caller::local(), &run).await.unwrap();
    assert_eq!((run.state.as_str(), run.letter), ("cancelled", None));
}

#[tokio::test(start_paused = true)]
async fn a_new_version_and_an_order_reach_other_hosts_within_seconds() {
    let world = World::answering(|_, _| status(200)).await;
    world.deploy(pure("calc"), |_, _| async { ok() }).await;
    let other = world.another(Arc::clone(&world.store), 2).await;
    other.call("calc").await.unwrap();
    let (caller, mut policy) = (Caller::local(), pure("calc"));
    policy.version = "2".to_owned();
    world.policies.set("calc two", policy.clone());
    world.sandbox.script("two", |_, _| {
        Box::pin(async { fusebox_engine::ports::sandbox::AttemptEnd::Ok { json: "2".to_owned() } })
    });
    let deploy = Deploy {
        wasm: "two".into(),
        manifest: "calc two".to_owned(),
        source: "test".to_owned(),
        policy,
        links: Vec::new(),
    };
    assert!(world.host.deploy(&caller, deploy.clone()).await.unwrap().new);
    assert!(
        !world.host.deploy(&caller, deploy).await.unwrap().new,
        "an equal version adds nothing"
    );
    world.pass(Duration::from_secs(4)).await;
    assert_eq!(other.call("calc").await.unwrap().output, "2");
    world
        .host
        .change_tool(&caller, "calc", ToolChange::Disable)
        .await
        .unwrap();
    assert_eq!(world.call("calc").await.unwrap_err().code, Code::ToolDisabled);
    world.pass(Duration::from_secs(4)).await;
    assert_eq!(other.call("calc").await.unwrap_err().code, Code::ToolDisabled);
}

#[tokio::test(start_paused = true)]
async fn a_trial_needs_no_store_and_makes_one_attempt() {
    let world = World::answering(|_, _| status(503)).await;
    world
        .sandbox
        .script("guest", |_, spec| Box::pin(asks("GET", "a")(1, spec)));
    let trial = Trial {
        wasm: "guest".into(),
        policy: tool("guest", Idempotency::Idempotent, 5, vec![service("a")]),
        function: "run".to_owned(),
        input: "{}".to_owned(),
    };
    let tried = world.host.try_component(&Caller::local(), trial).await.unwrap();
    assert_eq!(tried.result.unwrap_err().class, Class::Transient);
    assert_eq!(tried.attempt.effects.len(), 1);
    assert!(
        world
            .store
            .runs("default", &RunFilter::default())
            .await
            .unwrap()
            .is_empty()
    );
    assert!(world.host.breakers(&Caller::local()).await.unwrap().is_empty());
}
