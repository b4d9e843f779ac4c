//! Where a run resumes: every example of the design, by retry, by replay, and by another host.

use crate::guest::{Ended, Guest, http, status_of};
use crate::mortal::Life;
use crate::world::*;
use fusebox_core::effect::NotSent;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::{Idempotency, ServicePolicy};
use fusebox_engine::host::{Back, Outlook};
use fusebox_engine::ports::transport::{ExchangeError, Incoming};
use fusebox_engine::requests::{Begin, Caller, Replay};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, not_sent, status};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LEVELS: [Idempotency; 4] = [
    Idempotency::Readonly,
    Idempotency::Idempotent,
    Idempotency::Keyed,
    Idempotency::NonIdempotent,
];

/// A service whose breaker is out of the way.
fn patient(mut service: ServicePolicy) -> ServicePolicy {
    service.breaker.failure_threshold = None;
    service
}

/// Asks in turn and returns an error at the first that does not answer well.
async fn in_turn(guest: &Guest, steps: impl Iterator<Item = (&'static str, &'static str, String)>) -> Ended {
    for (method, service, path) in steps {
        if guest.http(method, service, &path).await? != 200 {
            return Ok(err());
        }
    }
    Ok(ok())
}

/// Thirty steps: reads, charges under a key, and mails that no key protects.
fn thirty() -> impl Iterator<Item = (&'static str, &'static str, String)> {
    (1..=30).map(|step| {
        let (method, service) = [("GET", "search"), ("POST", "bank"), ("POST", "mail")][step % 3];
        (method, service, format!("/{step}"))
    })
}

fn services() -> Vec<ServicePolicy> {
    vec![
        patient(service("search")),
        patient(honouring("bank")),
        patient(service("mail")),
    ]
}

/// What may be repeated fails; what may not is not sent.
fn flake(line: &str) -> Result<Incoming, ExchangeError> {
    if line.starts_with("POST mail") {
        not_sent(NotSent::Refused)
    } else {
        status(503)
    }
}

fn step_of(line: &str) -> usize {
    line.rsplit('/').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn case_58_thirty_steps_that_each_flake_once_are_done() {
    for level in LEVELS {
        let world = World::upstream(|line, nth| if nth == 1 { flake(line) } else { status(200) }).await;
        world
            .guest(tool("agent", level, 2, services()), |guest| async move {
                in_turn(&guest, thirty()).await
            })
            .await;
        let reply = world.keyed("agent", "k", "{}").await.unwrap();
        assert_eq!(reply.attempts, 31, "{level:?}");
        let expected: Vec<_> = (1..=30).flat_map(|step| [step, step]).collect();
        let sent: Vec<_> = world.sent().iter().map(|line| step_of(line)).collect();
        assert_eq!(sent, expected, "{level:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_attempts_at_every_step_do_not_make_three_at_one() {
    let world = World::upstream(|line, nth| match (step_of(line), nth) {
        (28, _) => flake(line),
        (_, 1) => flake(line),
        _ => status(200),
    })
    .await;
    world
        .guest(tool("agent", Idempotency::Keyed, 2, services()), |guest| async move {
            in_turn(&guest, thirty()).await
        })
        .await;
    world.keyed("agent", "k", "{}").await.unwrap_err();
    let at_28 = world.sent().iter().filter(|line| step_of(line) == 28).count();
    assert_eq!(at_28, 2);
}

/// What a retry, a replay and a recovery have to send when step 28 of 30 fails.
fn twenty_eight_alone() -> Vec<usize> {
    (1..=28).chain(28..=30).collect()
}

#[tokio::test(start_paused = true)]
async fn of_thirty_steps_of_which_the_twenty_eighth_fails_a_retry_and_a_replay_make_that_one_again() {
    for level in LEVELS {
        for attempts in [2, 1] {
            // Each kind of step fails in turn.
            for shift in 0..3 {
                let world = World::upstream(|line, nth| match (step_of(line), nth) {
                    (28, 1) => flake(line),
                    _ => status(200),
                })
                .await;
                let steps = move || {
                    thirty().zip(1..).map(move |((_, _, path), step)| {
                        let (method, service) =
                            [("GET", "search"), ("POST", "bank"), ("POST", "mail")][(step + shift) % 3];
                        (method, service, path)
                    })
                };
                world
                    .guest(tool("agent", level, attempts, services()), move |guest| async move {
                        in_turn(&guest, steps()).await
                    })
                    .await;
                let called = world.keyed("agent", "k", "{}").await;
                if attempts == 1 {
                    called.unwrap_err();
                    let letter = world.letter().await;
                    assert_eq!(letter.kind, "retryable", "{level:?}");
                    world.go_on(&letter).await.unwrap();
                } else {
                    called.unwrap();
                }
                let sent: Vec<_> = world.sent().iter().map(|line| step_of(line)).collect();
                assert_eq!(sent, twenty_eight_alone(), "{level:?}, {attempts} attempts, {shift}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_thirty_steps_of_which_the_twenty_eighth_kills_the_host_another_makes_that_one_again() {
    for level in [Idempotency::Keyed, Idempotency::NonIdempotent] {
        let life = Life::long();
        let ending = Arc::clone(&life);
        let world = World::upstream(move |line, nth| {
            if step_of(line) == 28 && nth == 1 {
                ending.end();
            }
            status(200)
        })
        .await;
        // Step 28 is a charge under a key.
        let steps = || {
            (1..=30).map(|step| {
                let (method, service) = [("POST", "mail"), ("POST", "bank"), ("GET", "search")][step % 3];
                (method, service, format!("/{step}"))
            })
        };
        world
            .guest(tool("agent", level, 1, services()), move |guest| async move {
                in_turn(&guest, steps()).await
            })
            .await;
        let dying = world.mortal(&life, 2).await;
        let host = Arc::clone(&dying.host);
        let lost = tokio::spawn(async move { host.call(&Caller::local(), keyed("agent", "k", "{}")).await });
        world.serve_for(Duration::from_secs(300)).await;
        assert!(!lost.is_finished());
        let sent: Vec<_> = world.sent().iter().map(|line| step_of(line)).collect();
        assert_eq!(sent, twenty_eight_alone(), "{level:?}");
        let run = world.last_run().await.unwrap();
        assert_eq!((run.state.as_str(), run.recoveries), ("succeeded", 1));
        assert_eq!(run.attempts.last().unwrap().served, 27);
        let keys: Vec<_> = world.transport.sent();
        let keys: Vec<_> = keys
            .iter()
            .filter(|request| request.path == "/28")
            .map(key_of)
            .collect();
        assert_eq!(keys[0], keys[1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_charge_that_settled_is_served_when_the_rate_after_it_failed() {
    for attempts in [2, 1] {
        let world = World::upstream(|line, nth| match (line, nth) {
            ("GET rates /rate", 1) => status(503),
            _ => status(200),
        })
        .await;
        let services = vec![service("bank"), service("rates")];
        world
            .guest(
                tool("pay", Idempotency::NonIdempotent, attempts, services),
                |guest| async move {
                    let steps = [("POST", "bank", "/charge"), ("GET", "rates", "/rate")];
                    let steps = steps.map(|(method, service, path)| (method, service, path.to_owned()));
                    in_turn(&guest, steps.into_iter()).await
                },
            )
            .await;
        match world.call("pay").await {
            Ok(reply) => assert_eq!(reply.attempts, 2),
            Err(failure) => {
                assert_eq!((attempts, failure.class), (1, Class::Transient));
                let letter = world.letter().await;
                let dry = world.dry(replay_of(&letter)).await.unwrap();
                assert_eq!((dry.served, dry.effect.unwrap().seq), (1, 2));
                world.go_on(&letter).await.unwrap();
            }
        }
        assert_eq!(
            world.sent(),
            ["POST bank /charge", "GET rates /rate", "GET rates /rate"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn failures_that_the_guest_survived_are_served_as_it_saw_them() {
    for attempts in [2, 1] {
        let world = World::upstream(|line, nth| match (line, nth) {
            ("GET search /q", 1) => status(503),
            ("POST mail /send", 1) => not_sent(NotSent::Refused),
            _ => status(200),
        })
        .await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let saw = Arc::clone(&seen);
        let services = vec![service("search"), service("mail")];
        world
            .guest(
                tool("tell", Idempotency::NonIdempotent, attempts, services),
                move |guest| {
                    let saw = Arc::clone(&saw);
                    async move {
                        let first = guest.get("search", "/q").await?;
                        let second = guest.get("search", "/q").await?;
                        let mail = guest.post("mail", "/send").await?;
                        saw.lock().unwrap().push([first, second, mail]);
                        Ok(if mail == 200 { ok() } else { err() })
                    }
                },
            )
            .await;
        if world.call("tell").await.is_err() {
            let letter = world.letter().await;
            assert_eq!(world.dry(replay_of(&letter)).await.unwrap().served, 2);
            world.go_on(&letter).await.unwrap();
        }
        assert_eq!(*seen.lock().unwrap(), [[503, 200, 0], [503, 200, 200]]);
        let mails = ["POST mail /send"; 2];
        assert_eq!(world.sent(), [["GET search /q"; 2], mails].concat());
    }
}

/// Bank A is down, bank B pays, and the function returns an error all the same.
async fn fallen_back(level: Idempotency, other: ServicePolicy) -> World {
    let world = World::upstream(|line, nth| match (line, nth) {
        ("POST a /pay", 1) => status(503),
        _ => status(200),
    })
    .await;
    let policy = tool("pay", level, 3, vec![patient(honouring("a")), other]);
    world
        .guest(policy, |guest| async move {
            if guest.post("a", "/pay").await? == 200 {
                return Ok(ok());
            }
            guest.post("b", "/pay").await?;
            Ok(err())
        })
        .await;
    world
}

#[tokio::test(start_paused = true)]
async fn case_67_a_fallback_that_may_not_be_repeated_is_not_undone_by_resuming_before_it() {
    let world = fallen_back(Idempotency::NonIdempotent, service("b")).await;
    let failure = world.call("pay").await.unwrap_err();
    assert_eq!(failure.class, Class::Transient, "{failure:#?}");
    assert_eq!(world.sent(), ["POST a /pay", "POST b /pay"]);
    let letter = world.letter().await;
    // The letter says why nothing is resumed by itself, and what a person can do.
    let outlook = world.host.outlook(&Caller::local(), &letter).await.unwrap();
    let back = Back {
        seq: 1,
        what: "POST /pay to a".to_owned(),
        repeats: vec![2],
    };
    let all = Outlook::End {
        served: 2,
        instead: Some(back),
    };
    assert_eq!(outlook, all);
    // Bank A has healed. All is served, and the function fails as it did.
    assert_eq!(world.go_on(&letter).await.unwrap_err().class, Class::Transient);
    let letter = world.letter().await;
    let from = |effect, repeat: &[u32]| Replay {
        from: Begin::Effect(effect),
        repeat: repeat.to_vec(),
        ..replay_of(&letter)
    };
    let refused = world.replayed(from(1, &[])).await.unwrap_err();
    assert_eq!(refused.code, Code::Denied);
    assert!(
        refused.message.contains("effect 2 (POST /pay to b)"),
        "{}",
        refused.message
    );
    assert_eq!(world.replayed(from(1, &[1])).await.unwrap_err().code, Code::Denied);
    assert_eq!(world.sent().len(), 2);
    world.replayed(from(1, &[2])).await.unwrap();
    assert_eq!(world.sent(), ["POST a /pay", "POST b /pay", "POST a /pay"]);
}

#[tokio::test(start_paused = true)]
async fn case_67_a_fallback_under_a_key_is_not_undone_by_starting_over() {
    let world = fallen_back(Idempotency::Keyed, honouring("b")).await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!(failure.class, Class::Transient, "{failure:#?}");
    assert_eq!(
        world.sent(),
        ["POST a /pay", "POST b /pay"],
        "bank A has healed, and bank B is paid"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_function_resumes_at_its_latest_failure_whatever_it_did_since() {
    let world = fallen_back(Idempotency::Idempotent, service("b")).await;
    assert_eq!(world.call("pay").await.unwrap().attempts, 2);
    assert_eq!(world.sent(), ["POST a /pay", "POST b /pay", "POST a /pay"]);
}

#[tokio::test(start_paused = true)]
async fn of_two_requests_in_flight_together_the_one_that_settled_is_served() {
    for (first_fails, attempts) in [(true, 2), (true, 1), (false, 2), (false, 1)] {
        let failing = if first_fails { "POST bank /1" } else { "POST bank /2" };
        let world = World::upstream(move |line, nth| {
            if line == failing && nth == 1 {
                return not_sent(NotSent::Refused);
            }
            status(200)
        })
        .await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let saw = Arc::clone(&seen);
        world
            .guest(
                tool("pay", Idempotency::NonIdempotent, attempts, vec![service("bank")]),
                move |guest| {
                    let saw = Arc::clone(&saw);
                    async move {
                        let one = guest.begin(http("POST", "bank", "/1", ""))?;
                        let two = guest.begin(http("POST", "bank", "/2", ""))?;
                        let got = [guest.wait(one).await?, guest.wait(two).await?];
                        let got = got.map(|got| status_of(&got));
                        saw.lock().unwrap().push(got);
                        Ok(if got == [200, 200] { ok() } else { err() })
                    }
                },
            )
            .await;
        if world.call("pay").await.is_err() {
            assert_eq!(attempts, 1);
            world.go_on(&world.letter().await).await.unwrap();
        }
        let other = if first_fails { "POST bank /2" } else { "POST bank /1" };
        assert_eq!((world.times(failing), world.times(other)), (2, 1));
        let first = if first_fails { [0, 200] } else { [200, 0] };
        assert_eq!(*seen.lock().unwrap(), [first, [200, 200]]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_let_in_is_let_in_again_in_the_same_order() {
    let world = World::with(ScriptedTransport::new(|number, request| {
        Box::pin(async move {
            // The later it is asked for, the earlier it answers.
            let after: u64 = request.path[1..].parse().unwrap();
            if number <= 5 {
                sleep(10 - after).await;
            }
            if after == 9 && number == 6 {
                status(503)
            } else {
                status(200)
            }
        })
    }))
    .await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let saw = Arc::clone(&seen);
    world
        .guest(
            tool("fan", Idempotency::NonIdempotent, 2, vec![service("a")]),
            move |guest| {
                let saw = Arc::clone(&saw);
                async move {
                    let asked: Result<Vec<_>, _> = (1..=5)
                        .map(|n| guest.begin(http("POST", "a", &format!("/{n}"), "")))
                        .collect();
                    for seq in asked? {
                        guest.wait(seq).await?;
                    }
                    let last = guest.get("a", "/9").await?;
                    saw.lock().unwrap().push(guest.order());
                    Ok(if last == 200 { ok() } else { err() })
                }
            },
        )
        .await;
    world.call("fan").await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [[5, 4, 3, 2, 1, 6], [5, 4, 3, 2, 1, 6]]);
    assert_eq!(world.sent().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_the_guest_never_saw_is_made_again_too() {
    // The first answer fails the run while the second request is in flight; that one fails later, unseen.
    let world = World::with(ScriptedTransport::new(|number, request| {
        Box::pin(async move {
            if request.path == "/2" && number <= 2 {
                sleep(5).await;
            }
            if number <= 2 { status(503) } else { status(200) }
        })
    }))
    .await;
    world
        .guest(
            tool("pay", Idempotency::NonIdempotent, 2, vec![patient(honouring("bank"))]),
            |guest| async move {
                let one = guest.begin(http("POST", "bank", "/1", ""))?;
                let two = guest.begin(http("POST", "bank", "/2", ""))?;
                if status_of(&guest.wait(one).await?) != 200 {
                    return Ok(err());
                }
                Ok(if status_of(&guest.wait(two).await?) == 200 {
                    ok()
                } else {
                    err()
                })
            },
        )
        .await;
    world.call("pay").await.unwrap();
    let sent = world.transport.sent();
    assert_eq!(sent.len(), 4);
    assert_eq!(
        [key_of(&sent[0]), key_of(&sent[1])],
        [key_of(&sent[2]), key_of(&sent[3])]
    );
}
