//! Callers that hang up: the call goes on, and a like call can find it.

use crate::world::*;
use fusebox_core::policy::{Durability, Idempotency};
use fusebox_engine::ports::store::Likeness;
use fusebox_engine::records::RunRecord;
use fusebox_engine::requests::{Call, Caller};
use std::sync::Arc;
use std::time::Duration;

/// A host with a tool that takes ten seconds, and is durable from its start.
async fn world() -> World {
    let world = World::answering(|_, _| panic!("nothing is sent")).await;
    let mut policy = tool("slow", Idempotency::NonIdempotent, 1, Vec::new());
    policy.default_function.durability = Durability::Always;
    let script = |_, _| async {
        sleep(10).await;
        ok()
    };
    world.deploy(policy, script).await;
    world
}

async fn alike(world: &World, run: &RunRecord) -> Option<RunRecord> {
    let likeness = Likeness {
        principal: &run.principal,
        tool: &run.tool,
        function: &run.function,
        fingerprint: run.fingerprint,
    };
    world.store.alike("default", &likeness, 0).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_caller_hung_up_goes_on_and_is_found_by_a_like_call() {
    let world = world().await;
    let calling = world.calling(call("slow"));
    world.pass(Duration::from_secs(1)).await;
    let run = world.last_run().await.unwrap();
    assert!(alike(&world, &run).await.is_none(), "somebody waits for it");
    calling.abort();
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(alike(&world, &run).await.unwrap().id, run.id);
    world.pass(Duration::from_secs(10)).await;
    let found = alike(&world, &run).await.unwrap();
    assert_eq!((found.id, found.state.as_str()), (run.id, "succeeded"));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_to_the_end_loses_nothing() {
    let world = world().await;
    world.call("slow").await.unwrap();
    world.pass(Duration::from_secs(1)).await;
    let run = world.last_run().await.unwrap();
    assert!(alike(&world, &run).await.is_none());
}

/// Nobody holds it before it is taken: its deadline is what its caller gave all the same.
#[tokio::test(start_paused = true)]
async fn a_detached_call_keeps_its_own_deadline_until_a_host_takes_it() {
    let world = world().await;
    let detached = Call {
        detach: true,
        deadline: Some(Duration::from_secs(5)),
        ..call("slow")
    };
    world.host.call(&Caller::local(), detached).await.unwrap();
    let accepted = world.last_run().await.unwrap();
    assert_eq!(accepted.left_ms, Some(5_000));
    // Another process, to which nobody told the deadline.
    let other = world.another(Arc::clone(&world.store), 2).await;
    other.serve_for(Duration::from_secs(30)).await;
    let over = world.last_run().await.unwrap();
    assert_ne!(over.state, "succeeded", "it takes ten seconds, and had five");
}

/// A face has a runtime of its own, which its clients keep busy, and which is gone before the host has drained.
#[tokio::test(start_paused = true)]
async fn a_call_is_carried_out_on_the_hosts_runtime_and_not_on_that_of_its_face() {
    let world = world().await;
    let host = Arc::clone(&world.host);
    let face = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let caller = Caller::local();
            let mut call = Box::pin(host.call(&caller, call("slow")));
            assert!(futures::poll!(&mut call).is_pending());
        });
    });
    face.join().unwrap();
    world.pass(Duration::from_secs(11)).await;
    let run = world.last_run().await.unwrap();
    assert_eq!(run.state, "succeeded");
}
