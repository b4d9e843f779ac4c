//! Runs that wait for time: no instance, no lease, woken by any host; and hosts that go away in between.

use crate::mortal::Life;
use crate::world::*;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::Idempotency;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::requests::Caller;
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn seconds(world: &World) -> u64 {
    world.clock.tick().since(Default::default()).as_secs()
}

/// A tool that pays, waits, and tells the bank so.
async fn waiting(after: Duration) -> World {
    let world = World::answering(|_, _| status(200)).await;
    world
        .guest(
            tool("it", Idempotency::NonIdempotent, 1, vec![service("bank")]),
            move |guest| async move {
                guest.post("bank", "/pay").await?;
                let before = guest.clock();
                guest.sleep(after).await?;
                let now = guest.clock();
                assert!(now.passed - before.passed >= after, "{now:?}");
                assert!(now.wall.since(guest.spec_clock().wall) >= after, "{now:?}");
                guest.post("bank", "/told").await?;
                Ok(ok())
            },
        )
        .await;
    world
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waits_for_long_sleeps_without_a_lease_and_goes_on_where_it_was() {
    for (after, sleeps) in [(9, false), (20, true), (7200, true)] {
        let world = waiting(Duration::from_secs(after)).await;
        let mut short = call("it");
        // Nobody holds it while it sleeps, so its deadline rests.
        short.deadline = Some(Duration::from_secs(15));
        let called = world.calling(short);
        world.pass(Duration::from_secs(5)).await;
        let run = world.last_run().await.unwrap();
        assert_eq!(run.state, if sleeps { "sleeping" } else { "running" });
        let reply = called.await.unwrap().unwrap();
        assert_eq!(seconds(&world), after);
        assert_eq!(world.sent(), ["POST bank /pay", "POST bank /told"]);
        let run = world.host.run(&Caller::local(), &reply.run.unwrap()).await.unwrap();
        let outcomes: Vec<_> = run.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
        assert_eq!(outcomes, if sleeps { &["slept", "ok"][..] } else { &["ok"] });
        assert_eq!((run.state.as_str(), run.recoveries), ("succeeded", 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_timer_survives_its_host() {
    let world = waiting(Duration::from_secs(600)).await;
    let life = Life::long();
    let dying = world.mortal(&life, 2).await;
    let lost = dying.calling(call("it"));
    world.pass(Duration::from_secs(60)).await;
    life.end();
    world.serve_for(Duration::from_secs(541)).await;
    assert!(!lost.is_finished());
    let run = world.last_run().await.unwrap();
    assert_eq!((run.state.as_str(), run.recoveries), ("succeeded", 0), "{run:#?}");
    assert_eq!(world.sent(), ["POST bank /pay", "POST bank /told"]);
}

#[tokio::test(start_paused = true)]
async fn of_several_timers_the_first_wakes_the_run_and_the_others_go_on() {
    use fusebox_engine::ports::sandbox::Ask;
    let world = World::answering(|_, _| status(200)).await;
    let woken = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&woken);
    world
        .guest(
            tool("wait", Idempotency::NonIdempotent, 1, vec![service("a")]),
            move |guest| {
                let told = Arc::clone(&told);
                async move {
                    let timer = |secs| Ask::Timer {
                        after: Duration::from_secs(secs),
                    };
                    let (long, short) = (guest.begin(timer(100))?, guest.begin(timer(30))?);
                    guest.wait(short).await?;
                    let first = guest.clock().passed.as_secs();
                    guest.wait(long).await?;
                    told.lock().unwrap().push([first, guest.clock().passed.as_secs()]);
                    guest.post("a", "/done").await?;
                    Ok(ok())
                }
            },
        )
        .await;
    world.call("wait").await.unwrap();
    assert_eq!(seconds(&world), 100);
    assert_eq!(*woken.lock().unwrap(), [[30, 100]]);
    assert_eq!(world.sandbox.attempts("wait"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_timer_that_its_guest_left_alone_holds_up_nothing() {
    use fusebox_engine::ports::sandbox::Ask;
    let world = World::upstream(|_, nth| status(if nth == 1 { 503 } else { 200 })).await;
    world
        .guest(
            tool("wait", Idempotency::NonIdempotent, 2, vec![service("a")]),
            |guest| async move {
                // Its own patience, as agents have it; the answer comes first.
                guest.begin(Ask::Timer {
                    after: Duration::from_secs(60),
                })?;
                Ok(if guest.get("a", "/x").await? == 200 {
                    ok()
                } else {
                    err()
                })
            },
        )
        .await;
    assert_eq!(world.call("wait").await.unwrap().attempts, 2);
    assert_eq!(seconds(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn a_drain_cuts_a_run_at_its_next_effect_and_another_host_goes_on_at_once() {
    let world = World::with(ScriptedTransport::new(|_, _| {
        Box::pin(async {
            sleep(5).await;
            status(200)
        })
    }))
    .await;
    world
        .guest(
            tool("pay", Idempotency::NonIdempotent, 1, vec![service("bank")]),
            |guest| async move {
                for step in ["/1", "/2", "/3"] {
                    if guest.post("bank", step).await? != 200 {
                        return Ok(err());
                    }
                }
                Ok(ok())
            },
        )
        .await;
    let called = world.calling(call("pay"));
    world.pass(Duration::from_secs(7)).await;
    let draining = Arc::clone(&world.host);
    let drained = tokio::spawn(async move { draining.drain().await });
    let told = called.await.unwrap().unwrap_err();
    // What was in flight was waited for.
    assert_eq!((seconds(&world), told.code), (10, Code::Overloaded));
    drained.await.unwrap();
    let run = world.last_run().await.unwrap();
    assert_eq!((run.state.as_str(), told.run), ("sleeping", Some(run.id.clone())));
    assert_eq!(world.sent().len(), 2);
    let other = world.another(Arc::clone(&world.store), 2).await;
    other.serve_for(Duration::from_secs(7)).await;
    let run = world.last_run().await.unwrap();
    assert_eq!((run.state.as_str(), run.recoveries), ("succeeded", 0));
    assert_eq!(world.sent(), ["POST bank /1", "POST bank /2", "POST bank /3"]);
    let outcomes: Vec<_> = run.attempts.iter().map(|attempt| attempt.outcome.as_str()).collect();
    assert_eq!(outcomes, ["handed over", "ok"]);
}

#[tokio::test(start_paused = true)]
async fn case_38_attempts_are_counted_over_hosts_that_die_between_them() {
    let world = World::answering(|_, _| status(503)).await;
    let mut upstream = service("a");
    upstream.breaker.failure_threshold = None;
    let mut policy = tool("find", Idempotency::NonIdempotent, 4, vec![upstream]);
    policy.default_function.retry.backoff.base = Duration::from_secs(60);
    policy.default_function.retry.backoff.cap = Duration::from_secs(60);
    world.deploy(policy, asks("GET", "a")).await;
    let (mut life, mut seed) = (Life::long(), 2);
    let dying = world.mortal(&life, seed).await;
    let lost = dying.calling(call("find"));
    // Each host makes one attempt, lets the run sleep, and dies.
    for attempt in 1..=3 {
        world.pass(Duration::from_secs(30)).await;
        let run = world.last_run().await.unwrap();
        assert_eq!((run.state.as_str(), run.attempts.len()), ("sleeping", attempt));
        life.end();
        (life, seed) = (Life::long(), seed + 1);
        let next = world.mortal(&life, seed).await;
        tokio::spawn(async move { next.host.serve().await });
        world.pass(Duration::from_secs(32)).await;
    }
    assert!(!lost.is_finished());
    let letter = world.letter().await;
    assert_eq!(
        (letter.class.as_str(), letter.run.attempts.len()),
        (Class::Transient.name(), 4)
    );
    let numbers: Vec<_> = letter.run.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!((numbers, letter.run.recoveries), (vec![1, 2, 3, 4], 0));
    assert_eq!(world.sent().len(), 4);
    world.pass(Duration::from_secs(600)).await;
    assert_eq!(world.sent().len(), 4);
    // A replay has attempts of its own.
    world.go_on(&letter).await.unwrap_err();
    assert_eq!(world.sent().len(), 8);
}

#[tokio::test(start_paused = true)]
async fn case_40_a_key_belongs_to_its_run_though_that_takes_longer_than_the_key_would_last() {
    let world = waiting(Duration::from_secs(26 * 3600)).await;
    let called = world.calling(keyed("it", "k", "{}"));
    world.pass(Duration::from_secs(25 * 3600)).await;
    let joined = world.keyed("it", "k", "{}").await.unwrap_err();
    assert_eq!(joined.code, Code::KeyInUse);
    let reply = called.await.unwrap().unwrap();
    world.clock.turn_wall(23 * 3_600_000);
    let stored = world.keyed("it", "k", "{}").await.unwrap();
    assert_eq!((stored.stored, stored.run), (true, reply.run));
    assert_eq!(world.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_26_a_run_is_cancelled_wherever_it_is_and_sends_nothing_afterwards() {
    let local = Caller::local();
    // While its guest waits for an answer, between two attempts for short and for long, and while it waits for time.
    for (policy, at) in [
        (answered_late as fn() -> Scene, 2),
        (tried_again_soon, 0),
        (tried_again_late, 30),
        (waits_for_time, 30),
    ] {
        for held_here in [true, false] {
            // Another host's word comes with the next heartbeat, and this run is over by then.
            if at == 0 && !held_here {
                continue;
            }
            let world = policy().await;
            let called = world.calling(call("it"));
            world.pass(Duration::from_millis(at * 1000 + 500)).await;
            let run = world.last_run().await.unwrap();
            let other = world.another(Arc::clone(&world.store), 2).await;
            let canceller = if held_here { &world } else { &other };
            canceller.host.cancel(&local, &run.id).await.unwrap();
            let failure = called.await.unwrap().unwrap_err();
            assert_eq!(failure.code, Code::Cancelled, "{failure:#?}");
            world.serve_for(Duration::from_secs(3600)).await;
            let run = world.last_run().await.unwrap();
            assert_eq!((run.state.as_str(), run.letter), ("cancelled", None));
            assert_eq!(world.sent().len(), 1);
            let over = other.host.cancel(&local, &run.id).await.unwrap_err();
            assert_eq!(over.class, Class::Caller);
        }
    }
}

type Scene = std::pin::Pin<Box<dyn Future<Output = World>>>;

fn answered_late() -> Scene {
    Box::pin(async {
        let world = World::with(ScriptedTransport::new(|_, _| {
            Box::pin(async {
                sleep(25).await;
                status(200)
            })
        }))
        .await;
        world
            .deploy(
                tool("it", Idempotency::NonIdempotent, 1, vec![service("a")]),
                asks("POST", "a"),
            )
            .await;
        world
    })
}

fn tried_again(after: Duration) -> Scene {
    Box::pin(async move {
        let world = World::answering(|_, _| status(503)).await;
        let mut policy = tool("it", Idempotency::NonIdempotent, 3, vec![service("a")]);
        policy.default_function.retry.backoff.base = after;
        policy.default_function.retry.backoff.cap = after;
        world.deploy(policy, asks("GET", "a")).await;
        world
    })
}

fn tried_again_soon() -> Scene {
    // So soon that the run stays in hand.
    tried_again(Duration::from_secs(1))
}

fn tried_again_late() -> Scene {
    tried_again(Duration::from_secs(600))
}

fn waits_for_time() -> Scene {
    Box::pin(waiting(Duration::from_secs(7200)))
}

#[tokio::test(start_paused = true)]
async fn waking_up_is_no_attempt() {
    let world = World::upstream(|_, nth| status(if nth == 1 { 503 } else { 200 })).await;
    let mut policy = tool("it", Idempotency::NonIdempotent, 2, vec![service("a")]);
    policy.default_function.retry.max_total_attempts = 5;
    world
        .guest(policy, |guest| async move {
            for _ in 0..10 {
                guest.sleep(Duration::from_secs(30)).await?;
            }
            Ok(if guest.get("a", "/x").await? == 200 {
                ok()
            } else {
                err()
            })
        })
        .await;
    let reply = world.call("it").await.unwrap();
    assert_eq!((seconds(&world), world.sent().len()), (301, 2));
    let run = world.host.run(&Caller::local(), &reply.run.unwrap()).await.unwrap();
    assert_eq!(
        run.attempts.iter().filter(|attempt| attempt.outcome == "slept").count(),
        10
    );
}
