//! Calls that their callers watch: what is seen of them, how they are called off, and who joins one that was left.

use crate::world::*;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::Idempotency;
use fusebox_engine::following::{Following, Seen, Stage, Terms};
use fusebox_engine::requests::{Call, Caller};
use fusebox_engine::testing::scripted_transport::status;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const JOINS: Terms = Terms {
    durable: false,
    join: true,
};

fn followed(world: &World, call: Call, following: &Following) -> JoinHandle<Called> {
    by(world, Caller::local(), call, following)
}

fn by(world: &World, caller: Caller, call: Call, following: &Following) -> JoinHandle<Called> {
    let (host, following) = (Arc::clone(&world.host), following.clone());
    tokio::spawn(async move { host.follow(&caller, call, &following).await })
}

async fn seen(following: &Following, fits: impl FnMut(&Seen) -> bool) -> Seen {
    following.seen().wait_for(fits).await.unwrap().clone()
}

/// A tool whose function takes ten seconds.
async fn slow(world: &World) {
    world
        .deploy(pure("slow"), |_, _| async {
            sleep(10).await;
            ok()
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn every_attempt_and_every_rest_is_seen() {
    let world = World::answering(|number, _| status(if number == 1 { 503 } else { 200 })).await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 3, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    let following = Following::new(Terms::default());
    let made = followed(&world, call("find"), &following);
    let resting = seen(&following, |seen| matches!(seen.stage, Stage::Resting { .. })).await;
    let stage = Stage::Resting {
        failed: 1,
        class: Class::Transient,
        service: Some("a".to_owned()),
        after: Duration::from_secs(1),
    };
    assert_eq!(resting.stage, stage);
    let reply = made.await.unwrap().unwrap();
    let ended = seen(&following, |seen| seen.outcome.is_some()).await;
    assert_eq!(ended.stage, Stage::Attempt { number: 2 });
    assert_eq!((ended.run.clone(), ended.joined), (reply.run.clone(), false));
    assert_eq!(ended.outcome.unwrap().unwrap(), reply);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nothing_is_stored_of_can_be_called_off() {
    let world = World::answering(|_, _| status(200)).await;
    slow(&world).await;
    let following = Following::new(Terms::default());
    let made = followed(&world, call("slow"), &following);
    seen(&following, |seen| matches!(seen.stage, Stage::Attempt { .. })).await;
    following.call_off();
    assert_eq!(made.await.unwrap().unwrap_err().code, Code::Cancelled);
    assert!(world.last_run().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_durable_one_is_in_the_store_before_it_starts() {
    let world = World::answering(|_, _| status(200)).await;
    slow(&world).await;
    let following = Following::new(Terms {
        durable: true,
        join: false,
    });
    let made = followed(&world, call("slow"), &following);
    let run = seen(&following, |seen| seen.run.is_some()).await.run.unwrap();
    let stored = world.host.run(&Caller::local(), &run).await.unwrap();
    assert_eq!(stored.state, "running");
    made.await.unwrap().unwrap();
    assert_eq!(world.host.run(&Caller::local(), &run).await.unwrap().state, "succeeded");
}

#[tokio::test(start_paused = true)]
async fn only_the_same_call_of_the_same_caller_joins_one_that_was_left() {
    let world = World::answering(|_, _| status(200)).await;
    slow(&world).await;
    let first = Following::new(JOINS);
    let made = followed(&world, call("slow"), &first);
    let run = seen(&first, |seen| seen.run.is_some()).await.run.unwrap();
    // Its caller waits still: two calls are two calls.
    let second = Following::new(JOINS);
    let other = followed(&world, call("slow"), &second);
    assert!(!seen(&second, |seen| seen.run.is_some()).await.joined);
    world.host.leave(&Caller::local(), &first);
    let third = Following::new(JOINS);
    let same = followed(&world, call("slow"), &third);
    let joined = seen(&third, |seen| seen.run.is_some()).await;
    assert_eq!((joined.run.as_ref(), joined.joined), (Some(&run), true));
    let stranger = Caller {
        principal: Arc::from("somebody else"),
        ..Caller::local()
    };
    let spaced = Call {
        input: "{\"other\":1}".to_owned(),
        ..call("slow")
    };
    for (caller, call) in [
        (stranger, call("slow")),
        (Caller::local(), keyed("slow", "k", "{}")),
        (Caller::local(), spaced),
    ] {
        let following = Following::new(JOINS);
        let made = by(&world, caller, call, &following);
        assert!(!seen(&following, |seen| seen.run.is_some()).await.joined);
        made.await.unwrap().unwrap();
    }
    let (first, same) = (made.await.unwrap().unwrap(), same.await.unwrap().unwrap());
    assert_eq!(first.output, same.output);
    assert!(same.stored && !first.stored);
    other.await.unwrap().unwrap();
    assert_eq!(world.sandbox.attempts("slow"), 5);
}

#[tokio::test(start_paused = true)]
async fn calling_off_a_call_that_joined_leaves_the_run_alone() {
    let world = World::answering(|_, _| status(200)).await;
    slow(&world).await;
    let first = Following::new(JOINS);
    let made = followed(&world, call("slow"), &first);
    seen(&first, |seen| seen.run.is_some()).await;
    world.host.leave(&Caller::local(), &first);
    let second = Following::new(JOINS);
    followed(&world, call("slow"), &second);
    seen(&second, |seen| seen.joined).await;
    second.call_off();
    made.await.unwrap().unwrap();
}
