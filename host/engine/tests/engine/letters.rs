//! Dead letters and their replays.

use crate::world::*;
use fusebox_core::effect::Lost;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::Idempotency;
use fusebox_engine::ports::store::LetterFilter;
use fusebox_engine::requests::Caller;
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, lost, status};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn a_letter_holds_what_is_known_and_a_replay_that_succeeds_closes_it() {
    let world = World::answering(|number, _| status(if number < 4 { 503 } else { 200 })).await;
    let mut policy = tool("find", Idempotency::Idempotent, 2, vec![service("a")]);
    policy.services[0].breaker.failure_threshold = None;
    world.deploy(policy, asks("POST", "a")).await;
    // A POST that no key protects is in doubt after a 503, whatever the function says of itself.
    assert_eq!(world.call("find").await.unwrap_err().class, Class::InDoubt);
    let doubted = world.letter().await;
    assert_eq!(world.replay(&doubted).await.unwrap_err().code, Code::InDoubt);

    let world = World::answering(|number, _| status(if number < 4 { 503 } else { 200 })).await;
    let mut policy = tool("find", Idempotency::Idempotent, 2, vec![service("a")]);
    policy.services[0].breaker.failure_threshold = None;
    world.deploy(policy, asks("GET", "a")).await;
    let failure = world.call("find").await.unwrap_err();
    let letter = world.letter().await;
    assert_eq!(
        (failure.letter.as_ref(), failure.run.as_ref()),
        (Some(&letter.id), Some(&letter.run.id))
    );
    assert_eq!(
        (letter.kind.as_str(), letter.class.as_str(), letter.service.as_deref()),
        ("retryable", "transient", Some("a"))
    );
    assert_eq!((letter.run.input.as_str(), letter.run.attempts.len()), ("{}", 2));
    assert_eq!(letter.run.attempts[0].then_waited_ms, Some(1000));
    assert_eq!(letter.run.attempts[1].effects[0].request, "GET /x?q=1");
    assert_eq!(letter.snapshot.as_ref().unwrap().runtime, "scripted");
    assert_eq!(letter.breakers.len(), 2);

    world.pass(Duration::from_secs(3600)).await;
    let reply = world.replay(&letter).await.unwrap();
    assert_eq!((reply.attempts, reply.run.as_ref()), (2, Some(&letter.run.id)));
    let closed = world.host.letter(&Caller::local(), &letter.id).await.unwrap();
    assert_eq!((closed.state.as_str(), closed.replays), ("replayed", 1));
    let run = world.host.run(&Caller::local(), &letter.run.id).await.unwrap();
    assert!(run.finished.is_some());
    assert_eq!(closed.run, run, "the letter tells of its run as it ended");
    let of_run = world.host.letter_of(&Caller::local(), &run.id).await.unwrap();
    assert_eq!(of_run.run, run);
    // Its run has no key, and a second replay does not speak of one.
    let again = world.replay(&letter).await.unwrap();
    assert_eq!(
        (again.stored, again.replayed, again.output),
        (true, Some(letter.id.clone()), reply.output)
    );
    let numbers: Vec<_> = run.attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!((run.state.as_str(), numbers), ("succeeded", vec![1, 2, 3, 4]));
    let effects: Vec<_> = run
        .attempts
        .iter()
        .flat_map(|attempt| &attempt.effects)
        .map(|effect| effect.seq)
        .collect();
    // A step made again after a failure has the number that it had before.
    assert_eq!(effects, [1, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_is_put_away_leaves_its_run_over_and_its_failure_stored() {
    let world = World::answering(|_, _| status(503)).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    let letter = world.letter().await;
    let attempt = &letter.run.attempts[0];
    assert_eq!(
        attempt.message,
        "answered an error, after effect 1 (POST /x to bank: 503)"
    );
    assert_eq!(letter.failure.error.as_deref(), Some("\"no\""));
    let joined = world.keyed("pay", "k", "{}").await.unwrap_err();
    let replay = format!("`fusebox dlq replay {} --from-start`", letter.id);
    assert!(joined.message.contains(&replay), "{}", joined.message);

    let caller = Caller::local();
    world
        .host
        .purge(&caller, std::slice::from_ref(&letter.id))
        .await
        .unwrap();
    let run = world.host.run(&caller, &letter.run.id).await.unwrap();
    assert_eq!((run.state.as_str(), run.finished.is_some()), ("failed", true));
    assert_eq!(world.host.letter(&caller, &letter.id).await.unwrap().run, run);
    let stored = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!(
        (stored.code, stored.letter, stored.run),
        (failure.code, None, failure.run)
    );
    assert!(stored.message.contains("the stored outcome"), "{}", stored.message);
    assert_eq!(world.transport.sent().len(), 1);
    world.pass(world.settings.key_lifetime).await;
    world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!(world.transport.sent().len(), 2, "the key is free");
}

#[tokio::test(start_paused = true)]
async fn a_letter_in_doubt_says_that_no_command_settles_it() {
    let world = World::answering(|_, _| lost(Lost::Reset)).await;
    world
        .deploy(
            tool("send", Idempotency::NonIdempotent, 1, vec![service("mail")]),
            asks("POST", "mail"),
        )
        .await;
    let failure = world.keyed("send", "k", "{}").await.unwrap_err();
    let letter = world.letter().await;
    let joined = world.keyed("send", "k", "{}").await.unwrap_err();
    let refused = world.replay(&letter).await.unwrap_err();
    for told in [&failure, &joined, &refused] {
        assert!(told.message.contains("fusebox dlq resolve"), "{}", told.message);
        assert!(!told.message.contains("dlq replay"), "{}", told.message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_that_fails_again_updates_its_letter() {
    let world = World::answering(|number, _| status(if number == 1 { 503 } else { 404 })).await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 1, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    world.call("find").await.unwrap_err();
    let letter = world.letter().await;
    world.pass(Duration::from_secs(60)).await;
    assert_eq!(world.replay(&letter).await.unwrap_err().class, Class::Caller);
    let updated = world.letter().await;
    assert_eq!(
        (updated.id, updated.replays, updated.class.as_str()),
        (letter.id, 1, "caller")
    );
    assert_eq!(updated.run.attempts.len(), 2);
    assert_eq!(
        (updated.first_failed, updated.last_failed),
        (letter.first_failed, letter.last_failed + 60_000)
    );
}

#[tokio::test(start_paused = true)]
async fn case_43_of_two_replays_of_one_letter_one_executes() {
    let world = World::with(ScriptedTransport::new(|number, _| {
        Box::pin(async move {
            sleep(5).await;
            status(if number == 1 { 503 } else { 200 })
        })
    }))
    .await;
    world
        .deploy(
            tool("find", Idempotency::Readonly, 1, vec![service("a")]),
            asks("GET", "a"),
        )
        .await;
    world.call("find").await.unwrap_err();
    let letter = world.letter().await;
    let (one, two) = tokio::join!(world.replay(&letter), world.replay(&letter));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    let refused = one.err().or(two.err()).unwrap();
    assert!(refused.message.contains("is being replayed"), "{}", refused.message);
    assert_eq!(world.transport.sent().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn case_47_a_replay_of_a_key_that_succeeded_gives_the_stored_outcome() {
    let world = World::answering(|number, _| status(if number == 1 { 503 } else { 200 })).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    world.keyed("pay", "k", "{}").await.unwrap_err();
    let letter = world.letter().await;
    let replayed = world.replay(&letter).await.unwrap();
    let again = world.replay(&letter).await.unwrap();
    assert_eq!(
        (again.stored, &again.output, &again.run),
        (true, &replayed.output, &replayed.run)
    );
    assert!(world.keyed("pay", "k", "{}").await.unwrap().stored);
    assert_eq!(world.transport.sent().len(), 2);
    let sent = world.transport.sent();
    assert_eq!(
        sent[0].headers, sent[1].headers,
        "a replay sends under the key of the call"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_service_has_forgotten_by_now_protects_no_replay() {
    let world = World::answering(|_, _| status(503)).await;
    world
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![honouring("bank")]),
            asks("POST", "bank"),
        )
        .await;
    world.keyed("pay", "k", "{}").await.unwrap_err();
    let letter = world.letter().await;
    world.pass(Duration::from_secs(25 * 3600)).await;
    assert_eq!(world.replay(&letter).await.unwrap_err().code, Code::Denied);
    assert_eq!(world.transport.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn case_66_a_504_on_a_post_is_in_doubt_and_not_replayed() {
    for answer in [status(504), lost(Lost::Reset)] {
        let world = World::answering(move |_, _| answer.clone()).await;
        world
            .deploy(
                tool("send", Idempotency::NonIdempotent, 3, vec![service("mail")]),
                asks("POST", "mail"),
            )
            .await;
        let failure = world.call("send").await.unwrap_err();
        assert_eq!((failure.code, failure.class), (Code::InDoubt, Class::InDoubt));
        let letter = world.letter().await;
        assert_eq!(
            (letter.kind.as_str(), letter.run.state.as_str(), letter.expires),
            ("in-doubt", "in-doubt", None)
        );
        let refused = world.replay(&letter).await.unwrap_err();
        assert_eq!(refused.code, Code::InDoubt);
        assert!(
            world
                .host
                .purge(&Caller::local(), &[letter.id])
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(world.transport.sent().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_was_not_sent_is_made_again_whatever_its_function_is() {
    use fusebox_core::effect::NotSent;
    use fusebox_engine::testing::scripted_transport::not_sent;
    let world = World::answering(|number, _| match number {
        1..5 => not_sent(NotSent::Refused),
        _ => status(200),
    })
    .await;
    world
        .deploy(
            tool("send", Idempotency::NonIdempotent, 3, vec![service("mail")]),
            asks("POST", "mail"),
        )
        .await;
    assert_eq!(world.call("send").await.unwrap_err().class, Class::NotSent);
    assert_eq!(world.transport.sent().len(), 3);
    let letter = world.letter().await;
    assert_eq!(letter.kind, "retryable");
    world.go_on(&letter).await.unwrap();
    assert_eq!(world.transport.sent().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn equal_faults_have_one_fingerprint_and_are_known_bad() {
    let world = World::answering(|_, _| status(200)).await;
    world
        .deploy(tool("broken", Idempotency::Readonly, 3, Vec::new()), |_, _| async {
            trap()
        })
        .await;
    for _ in 0..2 {
        assert_eq!(world.call("broken").await.unwrap_err().code, Code::Fault);
    }
    let letters = world
        .host
        .letters(&Caller::local(), &LetterFilter::default())
        .await
        .unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.kind == "known-bad"));
    assert!(letters[0].fingerprint.is_some());
    assert_eq!(letters[0].fingerprint, letters[1].fingerprint);
    assert_eq!(letters[0].expires, Some(letters[0].last_failed + 7 * 24 * 3_600_000));
}
