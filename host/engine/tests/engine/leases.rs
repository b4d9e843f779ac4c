//! Leases of claimed runs: kept while the host lives, and nothing is sent without one.

use crate::world::*;
use fusebox_core::failure::Code;
use fusebox_core::policy::Idempotency;
use fusebox_engine::host::Settings;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::ports::sandbox::EffectError;
use fusebox_engine::ports::store::RunFilter;
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::faulty_store::FaultyStore;
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

async fn world() -> (World, Arc<MemoryStore>) {
    let clock = Arc::new(FakeClock::new());
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let transport = ScriptedTransport::answering(|_, _| status(200));
    let world = World::on(Arc::clone(&store) as _, clock, transport, Settings::default()).await;
    (world, store)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_outlasts_its_lease_many_times_keeps_it() {
    let (world, _) = world().await;
    let mut policy = tool("agent", Idempotency::NonIdempotent, 1, vec![service("mail")]);
    policy.default_function.timeout = Duration::from_secs(1800);
    world
        .deploy(policy, |_, spec| async move {
            sleep(1000).await;
            request(spec.effects.as_ref(), "POST", "mail").await.unwrap();
            ok()
        })
        .await;
    let reply = world.call("agent").await.unwrap();
    assert_eq!(world.transport.sent().len(), 1);
    assert!(reply.run.is_some());
}

#[tokio::test(start_paused = true)]
async fn case_36_a_host_that_lost_its_lease_sends_nothing_and_writes_nothing() {
    let (world, store) = world().await;
    let mut policy = tool("agent", Idempotency::NonIdempotent, 1, vec![service("mail")]);
    policy.default_function.timeout = Duration::from_secs(1800);
    world
        .deploy(policy, |_, spec| async move {
            sleep(30).await;
            assert_eq!(
                request(spec.effects.as_ref(), "POST", "mail").await,
                Err(EffectError::Ended)
            );
            ok()
        })
        .await;
    let (failed, ()) = tokio::join!(world.call("agent"), async {
        world.pass(Duration::from_secs(5)).await;
        // As if this process had been stopped for an hour: to the store the lease is over.
        store.pass(Duration::from_secs(3600));
    });
    let failure = failed.unwrap_err();
    assert_eq!(failure.code, Code::StoreUnavailable);
    assert!(failure.message.contains("belongs to another"), "{}", failure.message);
    assert!(world.transport.sent().is_empty());
    let run = world
        .store
        .runs("default", &RunFilter::default())
        .await
        .unwrap()
        .remove(0);
    assert_eq!((run.state.as_str(), run.finished), ("running", None));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_that_the_lease_does_not_outlast_while_the_store_is_gone() {
    let (healthy, store) = world().await;
    let mut policy = tool("agent", Idempotency::NonIdempotent, 1, vec![service("mail")]);
    policy.default_function.timeout = Duration::from_secs(1800);
    let ended = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&ended);
    healthy
        .deploy(policy, move |_, spec| {
            let seen = Arc::clone(&seen);
            async move {
                // The lease lasts twice the service's 30 s; what is sent after 40 s might end after it.
                sleep(40).await;
                let refused = request(spec.effects.as_ref(), "POST", "mail").await;
                seen.store(refused == Err(EffectError::Ended), Ordering::SeqCst);
                ok()
            }
        })
        .await;
    // Three calls load the tool and one claims the run; the database is gone before the first renewal.
    let world = healthy.another(Arc::new(FaultyStore::gone_from(store, 5)), 2).await;
    assert!(world.call("agent").await.is_err());
    assert!(ended.load(Ordering::SeqCst));
    assert!(world.transport.sent().is_empty());
    assert!(world.clock.tick().since(Default::default()).as_secs() >= 40);
}
