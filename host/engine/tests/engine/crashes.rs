//! Hosts that die at every point of a run's life, in turn: before and after every call of the store and every exchange.

use crate::mortal::Life;
use crate::world::*;
use fusebox_core::failure::Code;
use fusebox_core::policy::{Idempotency, ServicePolicy};
use fusebox_engine::records::RunRecord;
use fusebox_engine::requests::{Caller, Resolve, Response};
use fusebox_engine::testing::scripted_transport::status;
use std::collections::BTreeSet;
use std::time::Duration;

const LEVELS: [Idempotency; 4] = [
    Idempotency::Readonly,
    Idempotency::Idempotent,
    Idempotency::Keyed,
    Idempotency::NonIdempotent,
];

/// A run is done by then, if its host lives.
const DONE: Duration = Duration::from_secs(4);
/// By then it is done by another host.
const TAKEN_OVER: Duration = Duration::from_secs(14);

/// Short enough that the lease of a run that is left ends soon.
pub(crate) fn brief(mut service: ServicePolicy) -> ServicePolicy {
    service.timeout = Duration::from_secs(2);
    service
}

/// A run that reads, pays at two banks, and reads: once under a key each and, when `unkeyed`, once without. Each read flakes once.
async fn paying(level: Idempotency, unkeyed: bool) -> World {
    let world = World::hasty(|line, nth| match line {
        "GET a /first" | "GET a /last" if nth == 1 => status(503),
        _ => status(200),
    })
    .await;
    let patient = |mut service: ServicePolicy| {
        service.breaker.failure_threshold = None;
        brief(service)
    };
    let services = vec![patient(service("a")), brief(honouring("bank")), brief(service("mail"))];
    world
        .guest(tool("pay", level, 2, services), move |guest| async move {
            let mut steps = vec![("GET", "a", "/first"), ("POST", "bank", "/1")];
            if unkeyed {
                steps.push(("POST", "mail", "/2"));
            }
            steps.extend([("POST", "bank", "/3"), ("GET", "a", "/last")]);
            for (method, service, path) in steps {
                if guest.http(method, service, path).await? != 200 {
                    return Ok(err());
                }
            }
            Ok(ok())
        })
        .await;
    world
}

/// Nothing of a payment happened twice: what no key protects at most once, the rest under one key.
fn nothing_twice(world: &World, at: &str) {
    assert!(world.times("POST mail /2") <= 1, "{at}: {:?}", world.sent());
    for path in ["/1", "/3"] {
        let sent = world.transport.sent();
        let payments = sent.iter().filter(|request| request.path == path);
        let keys: BTreeSet<_> = payments.map(key_of).collect();
        assert!(keys.len() <= 1, "{at}: {keys:?}");
    }
}

/// What became of a run whose host died at one point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nobody knows of it, and nothing was paid.
    Lost,
    /// A person has to say what became of a payment.
    InDoubt,
    /// Everything was done.
    Done,
}

/// What became of the one run, if it was accepted at all.
async fn fate(world: &World, at: &str) -> (Fate, Option<RunRecord>) {
    nothing_twice(world, at);
    let runs = world.store.runs("default", &Default::default()).await.unwrap();
    assert!(runs.len() <= 1, "{at}: {runs:#?}");
    let Some(run) = runs.into_iter().next() else {
        assert!(!world.sent().iter().any(|line| line.starts_with("POST")), "{at}");
        return (Fate::Lost, None);
    };
    match run.state.as_str() {
        "succeeded" => {
            let done = ["GET a /first", "POST bank /1", "POST bank /3", "GET a /last"];
            assert!(
                done.iter().all(|line| world.times(line) > 0),
                "{at}: {:?}",
                world.sent()
            );
            assert_eq!((run.letter.as_ref(), run.finished.is_some()), (None, true), "{at}");
            (Fate::Done, Some(run))
        }
        "in-doubt" => {
            assert_eq!((run.letter.is_some(), run.in_doubt.clone()), (true, vec![3]), "{at}");
            (Fate::InDoubt, Some(run))
        }
        other => panic!("{at}: {other} {:?}", run.failure),
    }
}

/// A world of its own, with all that lives in it.
pub(crate) fn alone<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(story)
}

/// Tells the story of a host that dies at point 1, 2, … until it outlives its story.
pub(crate) fn at_every_point<T, F: Future<Output = (bool, T)>>(story: impl Fn(u64) -> F) -> Vec<T> {
    let mut told = Vec::new();
    loop {
        let (survived, came_to) = alone(story(told.len() as u64 + 1));
        told.push(came_to);
        if survived {
            return told;
        }
    }
}

#[test]
fn case_34_whenever_its_host_dies_a_run_is_taken_over_and_pays_once() {
    for (level, unkeyed) in LEVELS.into_iter().flat_map(|level| [(level, false), (level, true)]) {
        let fates = at_every_point(|n| async move {
            let world = paying(level, unkeyed).await;
            let life = Life::until(n);
            let dying = world.mortal(&life, 2).await;
            let called = dying.calling(keyed("pay", "k", "{}"));
            world.pass(DONE).await;
            let survived = !life.is_over();
            assert!(called.is_finished() || !survived);
            world.serve_for(TAKEN_OVER).await;
            let at = format!("{level:?}, {unkeyed}, dies at point {n}");
            let (fate_of_it, run) = fate(&world, &at).await;
            // The caller repeats the call under its key, and there is one run all the same.
            let again = world.keyed("pay", "k", "{}").await;
            nothing_twice(&world, &at);
            match (fate_of_it, run) {
                (Fate::InDoubt, Some(run)) => assert_eq!(again.unwrap_err().letter, run.letter, "{at}"),
                (fate, _) => assert_eq!(again.unwrap().stored, fate == Fate::Done, "{at}"),
            }
            (survived, fate_of_it)
        });
        // Before the claim everything is lost, and between an intent and its end what has no key is in doubt.
        assert!(fates.len() > 20, "{}", fates.len());
        assert_eq!((fates[0], fates.last()), (Fate::Lost, Some(&Fate::Done)));
        assert_eq!(fates.contains(&Fate::InDoubt), unkeyed, "{level:?}: {fates:?}");
        let accepted = fates.iter().position(|fate| *fate != Fate::Lost).unwrap();
        assert!(!fates[accepted..].contains(&Fate::Lost), "{level:?}: {fates:?}");
    }
}

#[test]
fn case_34_a_run_in_memory_is_lost_before_its_first_payment_and_never_after() {
    let fates = at_every_point(|n| async move {
        let world = paying(Idempotency::Idempotent, true).await;
        let life = Life::until(n);
        let dying = world.mortal(&life, 2).await;
        // Without a key nothing is stored before something has to be.
        let called = dying.calling(call("pay"));
        world.pass(DONE).await;
        let survived = !life.is_over();
        world.serve_for(TAKEN_OVER).await;
        let (fate, _) = fate(&world, &format!("dies at point {n}")).await;
        if survived {
            called.await.unwrap().unwrap();
        }
        (survived, fate)
    });
    let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
    // Two exchanges, and what loads the tool, go before the first intent.
    assert!(lost > 6, "{fates:?}");
    assert!(fates.contains(&Fate::InDoubt));
}

#[test]
fn case_44_whenever_the_host_of_a_replay_dies_its_letter_can_be_replayed_or_is_in_doubt() {
    for unkeyed in [false, true] {
        let doubts = at_every_point(|n| async move {
            let world = World::hasty(|line, nth| match line {
                "GET a /first" if nth == 1 => status(503),
                _ => status(200),
            })
            .await;
            let services = [service("a"), honouring("bank"), service("mail")].map(brief).to_vec();
            let payment = if unkeyed {
                ("POST", "mail", "/2")
            } else {
                ("POST", "bank", "/1")
            };
            world
                .guest(
                    tool("pay", Idempotency::NonIdempotent, 1, services),
                    move |guest| async move {
                        for (method, service, path) in [("GET", "a", "/first"), payment, ("GET", "a", "/last")] {
                            if guest.http(method, service, path).await? != 200 {
                                return Ok(err());
                            }
                        }
                        Ok(ok())
                    },
                )
                .await;
            world.call("pay").await.unwrap_err();
            let letter = world.letter().await;
            let caller = Caller::local();
            let life = Life::until(n);
            let dying = world.mortal(&life, 2).await.host;
            let replay = replay_of(&letter);
            let replaying = tokio::spawn(async move { dying.replay(&Caller::local(), replay).await });
            world.pass(DONE).await;
            let survived = !life.is_over();
            if survived {
                replaying.await.unwrap().unwrap();
            }
            world.serve_for(TAKEN_OVER).await;
            let at = format!("{unkeyed}, dies at point {n}");
            let Err(failure) = world.go_on(&letter).await else {
                nothing_twice(&world, &at);
                return (survived, false);
            };
            assert_eq!((unkeyed, failure.code), (true, Code::InDoubt), "{at}: {failure:#?}");
            // The letter says so from now on, and a person can settle it.
            let doubted = world.letter().await;
            assert_eq!(
                (doubted.kind.as_str(), &doubted.run.in_doubt[..]),
                ("in-doubt", &[2][..]),
                "{at}"
            );
            assert_eq!(world.replay(&doubted).await.unwrap_err().code, Code::InDoubt);
            let happened = world.times("POST mail /2") == 1;
            let answer = Response {
                status: 200,
                headers: Vec::new(),
                body: Default::default(),
            };
            let settled = match happened {
                true => Resolve::Happened {
                    run: None,
                    effect: 2,
                    response: answer,
                },
                false => Resolve::NotHappened { run: None, effect: 2 },
            };
            world.host.resolve(&caller, &doubted.id, settled).await.unwrap();
            world.go_on(&doubted).await.unwrap();
            nothing_twice(&world, &at);
            assert_eq!(world.times("POST mail /2"), 1, "{at}");
            (survived, true)
        });
        assert_eq!(doubts.contains(&true), unkeyed, "{doubts:?}");
    }
}

#[test]
fn two_hosts_that_die_one_after_the_other_leave_one_run() {
    for n in (3..60).step_by(4) {
        for m in (1..40).step_by(4) {
            alone(async {
                let world = paying(Idempotency::Keyed, false).await;
                let (first, second) = (Life::until(n), Life::until(m));
                let _lost = world.mortal(&first, 2).await.calling(keyed("pay", "k", "{}"));
                world.pass(DONE).await;
                world.mortal(&second, 3).await.serve_for(TAKEN_OVER).await;
                world.serve_for(TAKEN_OVER).await;
                let at = format!("the first dies at point {n}, the second at {m}");
                let (fate, _) = fate(&world, &at).await;
                assert_ne!(fate, Fate::InDoubt, "{at}");
            });
        }
    }
}
