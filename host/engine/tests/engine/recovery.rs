//! Runs that lost their host, were accepted and not begun, or failed and are taken up by a person.

use crate::mortal::Life;
use crate::world::*;
use fusebox_core::failure::Code;
use fusebox_core::policy::Idempotency;
use fusebox_engine::ports::store::LetterFilter;
use fusebox_engine::requests::{Call, Caller, Resolve};
use fusebox_engine::testing::faulty_store::{FaultyStore, When};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_run_that_kills_its_hosts_is_given_up_at_the_cap_and_is_not_lost() {
    let life = Arc::new(Mutex::new(Life::long()));
    let ending = Arc::clone(&life);
    let world = World::answering(move |_, _| {
        ending.lock().unwrap().end();
        status(200)
    })
    .await;
    world
        .deploy(
            tool("kill", Idempotency::NonIdempotent, 1, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    let first_life = life.lock().unwrap().clone();
    let first = world.mortal(&first_life, 2).await;
    let lost = first.calling(call("kill"));
    for seed in 3..12 {
        world.pass(Duration::from_secs(90)).await;
        let next = Life::long();
        *life.lock().unwrap() = Arc::clone(&next);
        let host = world.mortal(&next, seed).await.host;
        tokio::spawn(async move { host.serve().await });
    }
    world.pass(Duration::from_secs(90)).await;
    assert!(!lost.is_finished());
    // Five recoveries after the first attempt.
    assert_eq!(world.sent().len(), 6);
    let letter = world.letter().await;
    assert!(
        letter.failure.message.contains("taken over 5 times"),
        "{}",
        letter.failure.message
    );
    assert!(letter.run.attempts.is_empty(), "nobody lived to tell of one");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_given_up_with_a_request_that_nobody_settled_is_in_doubt() {
    let life = Arc::new(Mutex::new(Life::long()));
    let ending = Arc::clone(&life);
    let world = World::upstream(move |line, nth| {
        // Its hosts go five times while it reads, and once while it pays.
        if nth < 6 || line.starts_with("POST") {
            ending.lock().unwrap().end();
        }
        status(200)
    })
    .await;
    world
        .guest(
            tool("kill", Idempotency::NonIdempotent, 1, vec![service("a")]),
            |guest| async move {
                guest.http("GET", "a", "/rate").await?;
                guest.post("a", "/pay").await?;
                Ok(ok())
            },
        )
        .await;
    let first_life = life.lock().unwrap().clone();
    let first = world.mortal(&first_life, 2).await;
    let lost = first.calling(call("kill"));
    for seed in 3..12 {
        world.pass(Duration::from_secs(90)).await;
        let next = Life::long();
        *life.lock().unwrap() = Arc::clone(&next);
        let host = world.mortal(&next, seed).await.host;
        tokio::spawn(async move { host.serve().await });
    }
    world.pass(Duration::from_secs(90)).await;
    assert!(!lost.is_finished());
    assert_eq!(world.sent(), [&["GET a /rate"; 6][..], &["POST a /pay"]].concat());
    let letter = world.letter().await;
    assert_eq!(letter.kind, "in-doubt", "{}", letter.failure.message);
    assert_eq!(letter.run.in_doubt, [2]);
}

#[tokio::test(start_paused = true)]
async fn case_39_a_crash_in_the_last_attempt_leads_to_a_letter() {
    let life = Life::long();
    let ending = Arc::clone(&life);
    let world = World::answering(move |number, _| {
        if number == 2 {
            ending.end();
        }
        status(503)
    })
    .await;
    world
        .deploy(
            tool("find", Idempotency::NonIdempotent, 2, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    let dying = world.mortal(&life, 2).await;
    let lost = dying.calling(call("find"));
    world.serve_for(Duration::from_secs(300)).await;
    assert!(!lost.is_finished());
    let letter = world.letter().await;
    assert_eq!(
        (letter.kind.as_str(), letter.class.as_str()),
        ("retryable", "transient")
    );
    assert_eq!((letter.run.attempts.len(), letter.run.recoveries), (2, 1));
    assert_eq!(world.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn case_70_a_detached_call_that_was_accepted_is_run_though_its_host_dies() {
    for dies in [true, false] {
        let life = Life::long();
        let world = World::answering(|_, _| status(200)).await;
        world
            .deploy(
                tool("send", Idempotency::Readonly, 1, vec![service("a")]),
                asks("GET", "a"),
            )
            .await;
        let accepting = world.mortal(&life, 2).await;
        let detached = Call {
            detach: true,
            ..call("send")
        };
        let reply = accepting.host.call(&Caller::local(), detached).await.unwrap();
        assert_eq!((reply.state.name(), reply.output.as_str()), ("accepted", ""));
        assert!(world.sent().is_empty());
        if dies {
            life.end();
        }
        world.serve_for(Duration::from_secs(5)).await;
        let run = world.host.run(&Caller::local(), &reply.run.unwrap()).await.unwrap();
        assert_eq!((run.state.as_str(), run.recoveries), ("succeeded", 0));
        assert_eq!(world.sent(), ["GET a /x?q=1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_detached_call_that_an_open_breaker_stops_becomes_a_letter_since_nobody_waits() {
    let world = World::answering(|_, _| status(503)).await;
    let mut upstream = service("a");
    upstream.breaker.failure_threshold = Some(1);
    world
        .deploy(tool("find", Idempotency::Readonly, 1, vec![upstream]), asks("GET", "a"))
        .await;
    world.call("find").await.unwrap_err();
    let caller = Caller::local();
    let detached = Call {
        detach: true,
        ..call("find")
    };
    let reply = world.host.call(&caller, detached).await.unwrap();
    world.serve_for(Duration::from_secs(3)).await;
    let letters = world.host.letters(&caller, &LetterFilter::default()).await.unwrap();
    let of_it = letters.iter().find(|letter| Some(&letter.run.id) == reply.run.as_ref());
    assert_eq!(of_it.unwrap().failure.code, Code::BreakerOpen.name());
    assert_eq!((letters.len(), world.sent().len()), (2, 1));
}

/// Thirty steps of which the last but two is refused until the permission is there.
async fn refused_at_28(method: &'static str) -> (World, Arc<AtomicBool>) {
    let permitted = Arc::new(AtomicBool::new(false));
    let permission = Arc::clone(&permitted);
    let world = World::upstream(move |line, _| match line {
        line if line.ends_with("/28") && !permission.load(Ordering::SeqCst) => status(401),
        _ => status(200),
    })
    .await;
    world
        .guest(
            tool("agent", Idempotency::NonIdempotent, 3, vec![service("a")]),
            move |guest| async move {
                for step in 1..=30 {
                    let method = if step == 28 { method } else { "POST" };
                    if guest.http(method, "a", &format!("/{step}")).await? != 200 {
                        return Ok(err());
                    }
                }
                Ok(ok())
            },
        )
        .await;
    (world, permitted)
}

#[tokio::test(start_paused = true)]
async fn a_refusal_at_step_28_loses_nothing() {
    let (world, permitted) = refused_at_28("GET").await;
    let failure = world.call("agent").await.unwrap_err();
    assert_eq!((failure.code, failure.letter), (Code::ToolFailed, None));
    let (caller, run) = (Caller::local(), failure.run.unwrap());
    // Nothing has changed: it is asked again, and refused again.
    let again = world.host.resume(&caller, &run).await.unwrap_err();
    assert_eq!((again.code, world.times("GET a /28")), (Code::ToolFailed, 2));
    permitted.store(true, Ordering::SeqCst);
    world.clock.turn_wall(6 * 24 * 3_600_000);
    let reply = world.host.resume(&caller, &run).await.unwrap();
    assert_eq!(reply.run, Some(run.clone()));
    let ended = world.host.run(&caller, &run).await.unwrap();
    assert_eq!(
        (ended.state.as_str(), ended.attempts.last().unwrap().served),
        ("succeeded", 27)
    );
    assert_eq!((world.sent().len(), world.times("GET a /28")), (32, 3));
    assert_eq!(world.host.resume(&caller, &run).await.unwrap_err().code, Code::KeyInUse);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_what_may_not_be_repeated_stands() {
    let (world, permitted) = refused_at_28("POST").await;
    let run = world.call("agent").await.unwrap_err().run.unwrap();
    permitted.store(true, Ordering::SeqCst);
    let again = world.host.resume(&Caller::local(), &run).await.unwrap_err();
    assert_eq!(again.code, Code::ToolFailed);
    assert_eq!(world.sent().len(), 28);
}

#[tokio::test(start_paused = true)]
async fn case_68_a_host_that_was_stopped_between_intent_and_send_does_not_send_when_it_wakes() {
    let world = World::with(ScriptedTransport::answering(|_, _| status(200))).await;
    let mut mail = service("mail");
    // The second mail has its turn after two minutes, when its host's lease is long over.
    mail.rate_limit = Some(fusebox_core::policy::RateLimit {
        requests: 1,
        per: Duration::from_secs(120),
    });
    let mut policy = tool("send", Idempotency::NonIdempotent, 1, vec![mail]);
    policy.default_function.timeout = Duration::from_secs(600);
    world
        .guest(policy, |guest| async move {
            for path in ["/1", "/2"] {
                if guest.post("mail", path).await? != 200 {
                    return Ok(err());
                }
            }
            Ok(ok())
        })
        .await;
    let stopped = Arc::new(AtomicBool::new(false));
    let stops = Arc::clone(&stopped);
    let plan = move |_| {
        stops
            .load(Ordering::SeqCst)
            .then_some(When::Late(Duration::from_secs(3600)))
    };
    let slow = FaultyStore::planned(Arc::clone(&world.store), plan);
    let sleeper = world.another(Arc::new(slow), 2).await;
    let called = sleeper.calling(call("send"));
    world.pass(Duration::from_secs(1)).await;
    stopped.store(true, Ordering::SeqCst);
    assert_eq!(world.sent(), ["POST mail /1"]);
    // Its lease ends, and another host finds an intent of which nobody knows the end.
    world.serve_for(Duration::from_secs(100)).await;
    let letter = world.letter().await;
    assert_eq!(
        (letter.kind.as_str(), letter.run.in_doubt.clone()),
        ("in-doubt", vec![2])
    );
    let caller = Caller::local();
    let not_happened = Resolve::NotHappened { run: None, effect: 2 };
    world.host.resolve(&caller, &letter.id, not_happened).await.unwrap();
    world.go_on(&letter).await.unwrap();
    assert_eq!(world.sent(), ["POST mail /1", "POST mail /2"]);
    // The turn of the host that was stopped comes.
    world.pass(Duration::from_secs(2 * 3600)).await;
    called.await.unwrap().unwrap_err();
    assert_eq!(world.sent().len(), 2);
    let run = world.last_run().await.unwrap();
    assert_eq!(run.state, "succeeded");
}
