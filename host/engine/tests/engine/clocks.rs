//! The guest's clocks: they start where they started, show what the journal holds, and are in the present once it was served.

use crate::guest::{http, status_of};
use crate::mortal::Life;
use crate::world::*;
use fusebox_core::effect::NotSent;
use fusebox_core::policy::Idempotency;
use fusebox_engine::ports::sandbox::Moment;
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, not_sent, status};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: i64 = 1000;

/// What a guest saw of its clocks, attempt by attempt.
type Seen = Arc<Mutex<Vec<Vec<Moment>>>>;

#[tokio::test(start_paused = true)]
async fn a_retry_starts_with_the_clocks_of_the_first_attempt_and_is_in_the_present_once_it_was_served() {
    // Every answer takes five seconds.
    let world = World::with(ScriptedTransport::new(|number, request| {
        Box::pin(async move {
            sleep(5).await;
            if number == 3 && request.path == "/3" {
                status(503)
            } else {
                status(200)
            }
        })
    }))
    .await;
    let seen = Seen::default();
    let saw = Arc::clone(&seen);
    world
        .guest(
            tool("tell", Idempotency::NonIdempotent, 2, vec![service("a")]),
            move |guest| {
                let saw = Arc::clone(&saw);
                async move {
                    let mut clocks = vec![guest.clock()];
                    for path in ["/1", "/2", "/3"] {
                        let answer = guest.get("a", path).await?;
                        clocks.push(guest.clock());
                        if answer != 200 {
                            break;
                        }
                    }
                    let done = clocks.len() == 4 && guest.attempt == 2;
                    saw.lock().unwrap().push(clocks);
                    Ok(if done { ok() } else { err() })
                }
            },
        )
        .await;
    world.call("tell").await.unwrap();
    let seen = seen.lock().unwrap();
    let [first, second] = &seen[..] else { panic!("{seen:?}") };
    let start = first[0].wall.0;
    let walls = |clocks: &[Moment]| clocks.iter().map(|at| at.wall.0 - start).collect::<Vec<_>>();
    let passed = |clocks: &[Moment]| clocks.iter().map(|at| at.passed.as_secs()).collect::<Vec<_>>();
    assert_eq!(walls(first), [0, 5 * SECOND, 10 * SECOND, 15 * SECOND]);
    assert_eq!(passed(first), [0, 5, 10, 15]);
    // The first answer shows its own instant; with the last that is served, at 16 s, the present begins.
    assert_eq!(walls(second), [0, 5 * SECOND, 16 * SECOND, 21 * SECOND]);
    // The guest has waited 10 s, and goes on from there.
    assert_eq!(passed(second), [0, 5, 10, 15]);
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_again_under_its_key_is_sent_in_the_guest_s_old_time() {
    let world = World::upstream(|line, nth| match (line, nth) {
        ("POST bank /pay", 1) => status(503),
        _ => status(200),
    })
    .await;
    let seen = Seen::default();
    let saw = Arc::clone(&seen);
    world
        .guest(
            tool("pay", Idempotency::Keyed, 2, vec![service("a"), honouring("bank")]),
            move |guest| {
                let saw = Arc::clone(&saw);
                async move {
                    guest.get("a", "/1").await?;
                    let before = guest.clock();
                    // The guest signs what it sends with the time.
                    let asked = http("POST", "bank", "/pay", &before.wall.0.to_string());
                    let paid = status_of(&guest.ask(asked).await?);
                    saw.lock().unwrap().push(vec![before, guest.clock()]);
                    Ok(if paid == 200 { ok() } else { err() })
                }
            },
        )
        .await;
    world.keyed("pay", "k", "{}").await.unwrap();
    let sent = world.transport.sent();
    assert_eq!(
        (sent[1].body.clone(), key_of(&sent[1])),
        (sent[2].body.clone(), key_of(&sent[2]))
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0][0], seen[1][0]);
    assert_eq!(
        seen[1][1].wall.0 - seen[1][0].wall.0,
        SECOND,
        "and then the present begins"
    );
}

#[tokio::test(start_paused = true)]
async fn the_instants_that_a_retry_showed_are_shown_again_by_whoever_takes_the_run_over() {
    let life = Life::long();
    let ending = Arc::clone(&life);
    let world = World::upstream(move |line, nth| match (line, nth) {
        ("GET a /2", 1) => status(503),
        ("POST bank /pay", 1) => {
            ending.end();
            status(200)
        }
        _ => status(200),
    })
    .await;
    let seen = Seen::default();
    let saw = Arc::clone(&seen);
    world
        .guest(
            tool("pay", Idempotency::Keyed, 2, vec![service("a"), honouring("bank")]),
            move |guest| {
                let saw = Arc::clone(&saw);
                async move {
                    guest.get("a", "/1").await?;
                    let after = guest.clock();
                    saw.lock().unwrap().push(vec![guest.spec_clock(), after]);
                    if guest.get("a", "/2").await? != 200 {
                        return Ok(err());
                    }
                    let asked = http("POST", "bank", "/pay", &format!("{after:?}"));
                    Ok(if status_of(&guest.ask(asked).await?) == 200 {
                        ok()
                    } else {
                        err()
                    })
                }
            },
        )
        .await;
    let dying = world.mortal(&life, 2).await;
    let lost = dying.calling(keyed("pay", "k", "{}"));
    world.serve_for(Duration::from_secs(300)).await;
    assert!(!lost.is_finished());
    assert_eq!(world.last_run().await.unwrap().state, "succeeded");
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    // The second attempt was in the present from the first answer on, and so is the third, though it is served more.
    assert_eq!(seen[1][1].wall.0 - seen[0][1].wall.0, SECOND);
    assert_eq!(seen[1], seen[2]);
    assert_eq!(world.sent().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_has_seen_nothing_begins_in_the_present_and_does_so_again_at_another_host() {
    let life = Life::long();
    let ending = Arc::clone(&life);
    let world = World::upstream(move |line, nth| match line {
        // The guest asks for its time. The first is not sent, and a second passes.
        "GET a /1767225600000" => not_sent(NotSent::Refused),
        "POST bank /pay" if nth == 1 => {
            ending.end();
            status(200)
        }
        _ => status(200),
    })
    .await;
    world
        .guest(
            tool("pay", Idempotency::Keyed, 2, vec![service("a"), honouring("bank")]),
            |guest| async move {
                let start = guest.spec_clock().wall.0;
                if guest.get("a", &format!("/{start}")).await? != 200 {
                    return Ok(err());
                }
                Ok(if guest.post("bank", "/pay").await? == 200 {
                    ok()
                } else {
                    err()
                })
            },
        )
        .await;
    let dying = world.mortal(&life, 2).await;
    let lost = dying.calling(keyed("pay", "k", "{}"));
    world.serve_for(Duration::from_secs(300)).await;
    assert!(!lost.is_finished());
    let run = world.last_run().await.unwrap();
    assert_eq!(run.state, "succeeded", "{run:#?}");
    assert_eq!(
        world.sent(),
        [
            "GET a /1767225600000",
            "GET a /1767225601000",
            "POST bank /pay",
            "POST bank /pay"
        ]
    );
}
