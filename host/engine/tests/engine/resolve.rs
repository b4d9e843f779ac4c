//! Letters in doubt, settled by a person in every form; and what is refused.

use crate::world::*;
use fusebox_core::effect::Lost;
use fusebox_core::failure::Code;
use fusebox_core::policy::Idempotency;
use fusebox_engine::records::LetterRecord;
use fusebox_engine::requests::{Caller, Resolve, Response};
use fusebox_engine::testing::scripted_transport::{lost, status};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn response(status: u16, body: &'static str) -> Response {
    Response {
        status,
        headers: vec![("x-id".to_owned(), b"7".to_vec())],
        body: body.into(),
    }
}

fn happened(effect: u32, status: u16) -> Resolve {
    Resolve::Happened {
        run: None,
        effect,
        response: response(status, "settled"),
    }
}

fn not_happened(effect: u32) -> Resolve {
    Resolve::NotHappened { run: None, effect }
}

/// What the guest saw: the status and the body of its payment, attempt by attempt.
type Seen = Arc<Mutex<Vec<(u16, String)>>>;

/// A run that pays, is not told whether it has, looks around, and gives up.
async fn doubtful() -> (World, LetterRecord, Seen) {
    let world = World::upstream(|line, nth| match (line, nth) {
        ("POST bank /pay", 1) => lost(Lost::Reset),
        _ => status(200),
    })
    .await;
    let seen = Seen::default();
    let saw = Arc::clone(&seen);
    world
        .guest(
            tool("pay", Idempotency::Keyed, 3, vec![service("bank"), service("a")]),
            move |guest| {
                let saw = Arc::clone(&saw);
                async move {
                    guest.get("a", "/first").await?;
                    let asked = crate::guest::http("POST", "bank", "/pay", "");
                    let got = guest.ask(asked).await?;
                    let paid = crate::guest::status_of(&got);
                    let body = match got {
                        fusebox_engine::ports::sandbox::Got::Http(Ok(answer)) => answer.body.to_vec(),
                        _ => Vec::new(),
                    };
                    saw.lock().unwrap().push((paid, String::from_utf8(body).unwrap()));
                    if paid != 200 {
                        // The guest looks around before it gives up.
                        guest.get("a", "/why").await?;
                        return Ok(err());
                    }
                    guest.get("a", "/last").await?;
                    Ok(ok())
                }
            },
        )
        .await;
    assert_eq!(world.keyed("pay", "k", "{}").await.unwrap_err().code, Code::InDoubt);
    let letter = world.letter().await;
    assert_eq!((letter.kind.as_str(), &letter.run.in_doubt[..]), ("in-doubt", &[2][..]));
    (world, letter, seen)
}

#[tokio::test(start_paused = true)]
async fn what_happened_is_served_and_the_run_goes_on_with_it() {
    let (world, letter, seen) = doubtful().await;
    let caller = Caller::local();
    assert_eq!(world.go_on(&letter).await.unwrap_err().code, Code::InDoubt);
    let settled = world.host.resolve(&caller, &letter.id, happened(2, 200)).await.unwrap();
    assert_eq!(
        (settled.kind.as_str(), settled.run.state.as_str()),
        ("retryable", "dead-lettered")
    );
    assert!(settled.run.in_doubt.is_empty());
    world.go_on(&settled).await.unwrap();
    assert_eq!(seen.lock().unwrap()[1], (200, "settled".to_owned()));
    assert_eq!(world.times("POST bank /pay"), 1);
    // What the guest asked in the light of the failure is forgotten.
    assert_eq!(
        world.sent(),
        ["GET a /first", "POST bank /pay", "GET a /why", "GET a /last"]
    );
    let stored = world.keyed("pay", "k", "{}").await.unwrap();
    assert!(stored.stored);
    let closed = world.host.letter(&caller, &letter.id).await.unwrap();
    assert_eq!(closed.state, "replayed");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_upstream_refused_it_is_an_answer_too() {
    let (world, letter, seen) = doubtful().await;
    world
        .host
        .resolve(&Caller::local(), &letter.id, happened(2, 402))
        .await
        .unwrap();
    let failure = world.go_on(&letter).await.unwrap_err();
    assert_eq!(failure.code, Code::ToolFailed, "{failure:#?}");
    assert_eq!(seen.lock().unwrap()[1].0, 402);
    assert_eq!(world.times("POST bank /pay"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_did_not_happen_is_made_when_the_run_goes_on() {
    let (world, letter, _) = doubtful().await;
    let settled = world
        .host
        .resolve(&Caller::local(), &letter.id, not_happened(2))
        .await
        .unwrap();
    assert_eq!(settled.kind, "retryable");
    let dry = world.dry(replay_of(&letter)).await.unwrap();
    assert_eq!((dry.served, dry.effect.unwrap().request.as_str()), (1, "POST /pay"));
    world.go_on(&letter).await.unwrap();
    assert_eq!(world.times("POST bank /pay"), 2);
    assert_eq!(world.times("GET a /first"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_person_may_close_the_letter_with_the_run_s_outcome() {
    let caller = Caller::local();
    let (world, letter, _) = doubtful().await;
    let no_json = Resolve::CloseSucceeded { output: "{".to_owned() };
    let refused = world.host.resolve(&caller, &letter.id, no_json).await.unwrap_err();
    assert_eq!(refused.code, Code::BadInput);
    let output = Resolve::CloseSucceeded {
        output: "42".to_owned(),
    };
    let closed = world.host.resolve(&caller, &letter.id, output).await.unwrap();
    assert_eq!(
        (closed.state.as_str(), closed.run.state.as_str()),
        ("resolved", "succeeded")
    );
    let stored = world.keyed("pay", "k", "{}").await.unwrap();
    assert_eq!((stored.stored, stored.output.as_str()), (true, "42"));

    let (world, letter, _) = doubtful().await;
    let reason = Resolve::CloseFailed {
        reason: Some("the bank says it never came".to_owned()),
    };
    let closed = world.host.resolve(&caller, &letter.id, reason).await.unwrap();
    assert_eq!(
        (closed.state.as_str(), closed.run.state.as_str()),
        ("resolved", "failed")
    );
    let stored = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert!(
        stored.message.contains("the bank says it never came"),
        "{}",
        stored.message
    );
    assert_eq!(world.go_on(&letter).await.unwrap_err().code, Code::Denied);
    assert_eq!(world.sent().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_settled_so_is_refused_and_stays_in_doubt() {
    let (world, letter, _) = doubtful().await;
    let caller = Caller::local();
    let try_it = async |resolve| {
        let refused = world.host.resolve(&caller, &letter.id, resolve).await.unwrap_err();
        (refused.code, refused.message)
    };
    // Another effect, none, or an answer that proves nothing.
    for resolve in [
        happened(1, 200),
        not_happened(1),
        happened(3, 200),
        not_happened(9),
        happened(2, 503),
        happened(2, 429),
    ] {
        let (code, message) = try_it(resolve.clone()).await;
        assert_eq!(code, Code::BadInput, "{resolve:?}: {message}");
    }
    let other_run = Resolve::NotHappened {
        run: Some("run_01kdvdna00pasmzh26pmzhfzzz".parse().unwrap()),
        effect: 2,
    };
    assert_eq!(try_it(other_run).await.0, Code::NotFound);
    let still = world.letter().await;
    assert_eq!((still.kind, still.run), (letter.kind.clone(), letter.run.clone()));
    world.host.resolve(&caller, &letter.id, not_happened(2)).await.unwrap();
    let (_, message) = try_it(not_happened(2)).await;
    assert!(message.contains("in doubt"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn what_the_guest_was_told_stands_when_it_has_paid_elsewhere_since() {
    let world = World::upstream(|line, _| match line {
        "POST a /pay" => lost(Lost::Timeout),
        _ => status(200),
    })
    .await;
    world
        .guest(
            tool("pay", Idempotency::NonIdempotent, 1, vec![service("a"), service("b")]),
            |guest| async move {
                if guest.post("a", "/pay").await? != 200 {
                    guest.post("b", "/pay").await?;
                }
                Ok(err())
            },
        )
        .await;
    world.call("pay").await.unwrap_err();
    let letter = world.letter().await;
    let caller = Caller::local();
    for resolve in [happened(1, 200), not_happened(1)] {
        let refused = world.host.resolve(&caller, &letter.id, resolve).await.unwrap_err();
        assert_eq!(refused.code, Code::Denied);
        assert!(
            refused.message.contains("effect 2 happened since"),
            "{}",
            refused.message
        );
    }
    let closed = Resolve::CloseFailed { reason: None };
    world.host.resolve(&caller, &letter.id, closed).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn of_two_effects_in_doubt_both_have_to_be_settled() {
    let world = World::upstream(|_, nth| if nth == 1 { lost(Lost::Reset) } else { status(200) }).await;
    world
        .guest(
            tool("pay", Idempotency::NonIdempotent, 1, vec![service("bank")]),
            |guest| async move {
                let asked = ["/1", "/2"].map(|path| guest.begin(crate::guest::http("POST", "bank", path, "")));
                for seq in asked {
                    if crate::guest::status_of(&guest.wait(seq?).await?) != 200 {
                        return Ok(err());
                    }
                }
                Ok(ok())
            },
        )
        .await;
    world.call("pay").await.unwrap_err();
    let letter = world.letter().await;
    assert_eq!(letter.run.in_doubt, [1, 2]);
    let caller = Caller::local();
    let one = world.host.resolve(&caller, &letter.id, happened(1, 200)).await.unwrap();
    assert_eq!((one.kind.as_str(), &one.run.in_doubt[..]), ("in-doubt", &[2][..]));
    assert_eq!(world.go_on(&letter).await.unwrap_err().code, Code::InDoubt);
    world.host.resolve(&caller, &letter.id, not_happened(2)).await.unwrap();
    world.go_on(&letter).await.unwrap();
    assert_eq!((world.times("POST bank /1"), world.times("POST bank /2")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_waits_for_a_person_waits_as_long_as_it_takes() {
    let (world, letter, _) = doubtful().await;
    // Only the store's clock matters, and that is the wall's.
    world.clock.turn_wall(400 * 24 * 3_600_000);
    let caller = Caller::local();
    assert!(world.host.expired(&caller).await.unwrap().is_empty());
    world.store.retain("default", Duration::from_secs(3600)).await.unwrap();
    world.host.resolve(&caller, &letter.id, not_happened(2)).await.unwrap();
    world.go_on(&letter).await.unwrap();
}
