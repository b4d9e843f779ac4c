//! What another host deployed: when a host switches to it, and what serves while it cannot.

use crate::world::*;
use fusebox_core::failure::Code;
use fusebox_engine::host::Settings;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::sandbox::AttemptEnd;
use fusebox_engine::ports::store::{Store, ToolChange};
use fusebox_engine::records::ToolRecord;
use fusebox_engine::requests::digest_of;
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::faulty_store::{FaultyStore, When};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const TENANT: &str = "default";

/// A host that has called version 1, whose components cannot be read while the flag is up.
async fn host() -> (World, Arc<MemoryStore>, Arc<AtomicBool>) {
    let clock = Arc::new(FakeClock::new());
    let inner = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let down = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&down);
    let plan = move |method, _| (method == "component" && flag.load(Ordering::SeqCst)).then_some(When::Before);
    let store = Arc::new(FaultyStore::by_method(Arc::clone(&inner) as _, plan));
    let transport = ScriptedTransport::answering(|_, _| status(200));
    let world = World::on(store, clock, transport, Settings::default()).await;
    world.deploy(pure("t"), |_, _| async { ok() }).await;
    assert_eq!(world.call("t").await.unwrap().output, "1");
    (world, inner, down)
}

/// Another host deploys version 2, which this one has not compiled.
async fn deploy_elsewhere(world: &World, store: &MemoryStore) {
    let two = || AttemptEnd::Ok { json: "2".to_owned() };
    world.sandbox.script("t2", move |_, _| Box::pin(async move { two() }));
    let first = store.tool(TENANT, "t").await.unwrap().unwrap();
    let second = ToolRecord {
        component: digest_of(b"t2"),
        ..first
    };
    assert!(store.deploy(second, "t2".into()).await.unwrap().1);
}

#[tokio::test(start_paused = true)]
async fn a_version_of_another_host_is_served_within_a_second() {
    let (world, store, _) = host().await;
    deploy_elsewhere(&world, &store).await;
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.call("t").await.unwrap().output, "2");
}

#[tokio::test(start_paused = true)]
async fn a_host_in_use_switches_beside_its_calls() {
    let (world, store, _) = host().await;
    deploy_elsewhere(&world, &store).await;
    let mut seen = Vec::new();
    for _ in 0..10 {
        world.pass(Duration::from_millis(100)).await;
        seen.push(world.call("t").await.unwrap().output);
    }
    assert_eq!((seen[0].as_str(), seen[9].as_str()), ("1", "2"), "{seen:?}");
    assert!(seen.is_sorted(), "nothing goes back: {seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_version_that_cannot_be_read_leaves_the_one_in_memory_in_service() {
    let (world, store, down) = host().await;
    deploy_elsewhere(&world, &store).await;
    down.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        world.pass(Duration::from_secs(2)).await;
        assert_eq!(world.call("t").await.unwrap().output, "1");
    }
    down.store(false, Ordering::SeqCst);
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.call("t").await.unwrap().output, "2");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_was_switched_off_is_so_even_if_its_version_cannot_be_read() {
    let (world, store, down) = host().await;
    deploy_elsewhere(&world, &store).await;
    down.store(true, Ordering::SeqCst);
    store.change_tool(TENANT, "t", ToolChange::Disable).await.unwrap();
    world.pass(Duration::from_secs(2)).await;
    assert!(world.call("t").await.is_err());
    down.store(false, Ordering::SeqCst);
    assert_eq!(world.call("t").await.unwrap_err().code, Code::ToolDisabled);
    store.change_tool(TENANT, "t", ToolChange::Remove).await.unwrap();
    world.pass(Duration::from_secs(2)).await;
    assert_eq!(world.call("t").await.unwrap_err().code, Code::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_host_with_the_compiled_code_fetches_no_component() {
    let (world, _, down) = host().await;
    down.store(true, Ordering::SeqCst);
    let other = world.another(Arc::clone(&world.store), 2).await;
    assert_eq!(other.call("t").await.unwrap().output, "1");
}
