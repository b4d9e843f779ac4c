//! The forms of a replay: from an effect, from the start, with another component, with other arguments, and dry.

use crate::guest::Guest;
use crate::world::*;
use fusebox_core::failure::{Class, Code};
use fusebox_core::ids::Digest;
use fusebox_core::policy::{Approval, Idempotency, ToolPolicy};
use fusebox_engine::records::LetterRecord;
use fusebox_engine::requests::{Begin, Caller, Deploy, Replay, digest_of};
use fusebox_engine::testing::scripted_transport::status;
use std::collections::BTreeSet;
use std::time::Duration;

/// Reads, a charge under a key, a mail without one, and a last step that is down the first time.
const STEPS: [(&str, &str, &str); 5] = [
    ("GET", "a", "/1"),
    ("POST", "bank", "/2"),
    ("GET", "a", "/3"),
    ("POST", "mail", "/4"),
    ("GET", "a", "/5"),
];

fn policy() -> ToolPolicy {
    let services = vec![service("a"), honouring("bank"), service("mail")];
    tool("agent", Idempotency::NonIdempotent, 1, services)
}

async fn steps(guest: Guest) -> crate::guest::Ended {
    for (method, service, path) in STEPS {
        if guest.http(method, service, path).await? != 200 {
            return Ok(err());
        }
    }
    Ok(ok())
}

async fn failed_at_five() -> (World, LetterRecord) {
    let world = World::upstream(|line, nth| status(if line == "GET a /5" && nth == 1 { 503 } else { 200 })).await;
    world.guest(policy(), steps).await;
    world.call("agent").await.unwrap_err();
    let letter = world.letter().await;
    (world, letter)
}

fn paths(world: &World) -> String {
    let sent = world.transport.sent();
    sent.iter()
        .map(|request| request.path.trim_start_matches('/'))
        .collect()
}

fn from(letter: &LetterRecord, from: Begin, repeat: &[u32]) -> Replay {
    Replay {
        from,
        repeat: repeat.to_vec(),
        ..replay_of(letter)
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_goes_on_where_it_is_told_and_repeats_what_it_is_told() {
    for (begin, repeat, sent) in [
        (Begin::ResumePoint, &[][..], "5"),
        (Begin::Effect(5), &[], "5"),
        (Begin::Effect(3), &[4], "345"),
        (Begin::Effect(2), &[4], "2345"),
        (Begin::Effect(1), &[4], "12345"),
        (Begin::Start, &[4], "12345"),
    ] {
        let (world, letter) = failed_at_five().await;
        world.replayed(from(&letter, begin.clone(), repeat)).await.unwrap();
        assert_eq!(paths(&world), format!("12345{sent}"), "{begin:?}");
        let sent = world.transport.sent();
        let charges = sent.iter().filter(|request| request.path == "/2");
        let keys: BTreeSet<_> = charges.map(key_of).collect();
        assert_eq!(keys.len(), 1, "a charge keeps its key");
    }
}

#[tokio::test(start_paused = true)]
async fn case_71_what_may_not_be_repeated_is_not_repeated_without_being_named() {
    let (world, letter) = failed_at_five().await;
    for (begin, repeat) in [
        (Begin::Start, &[][..]),
        (Begin::Start, &[2, 5]),
        (Begin::Effect(4), &[]),
        (Begin::Effect(1), &[1, 2, 3, 5]),
        (Begin::Input("{}".to_owned()), &[]),
        // To another run its charge is another charge.
        (Begin::Input("{}".to_owned()), &[4]),
    ] {
        let refused = world.replayed(from(&letter, begin.clone(), repeat)).await.unwrap_err();
        assert_eq!(
            (refused.code, refused.class),
            (Code::Denied, Class::Control),
            "{begin:?}"
        );
        let named = if repeat == [4] {
            "effect 2 (POST /2 to bank)"
        } else {
            "effect 4 (POST /4 to mail)"
        };
        assert!(refused.message.contains(named), "{}", refused.message);
    }
    for begin in [Begin::Effect(0), Begin::Effect(7)] {
        let refused = world.replayed(from(&letter, begin, &[])).await.unwrap_err();
        assert_eq!(refused.code, Code::BadInput);
        assert!(refused.message.contains("effects 1 to 5"), "{}", refused.message);
    }
    assert_eq!(paths(&world), "12345");
    assert_eq!(world.letter().await, letter, "nothing of it has changed");
}

#[tokio::test(start_paused = true)]
async fn a_replay_after_the_last_effect_serves_the_failure_too() {
    let (world, letter) = failed_at_five().await;
    let failure = world.replayed(from(&letter, Begin::Effect(6), &[])).await.unwrap_err();
    assert_eq!((failure.class, paths(&world).as_str()), (Class::Transient, "12345"));
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_performs_nothing_and_says_what_would_be_next() {
    let (world, letter) = failed_at_five().await;
    let journal = world.host.journal(&Caller::local(), &letter.run.id).await.unwrap();
    for (begin, repeat, served, next) in [
        (Begin::ResumePoint, &[][..], 4, Some("GET /5")),
        (Begin::Effect(3), &[4], 2, Some("GET /3")),
        (Begin::Start, &[4], 0, Some("GET /1")),
        (Begin::Effect(6), &[], 5, None),
    ] {
        let dry = world.dry(from(&letter, begin.clone(), repeat)).await.unwrap();
        let effect = dry.effect.map(|effect| effect.request);
        assert_eq!(
            (dry.served, effect.as_deref()),
            (served, next),
            "{begin:?}: {}",
            dry.next
        );
        assert!(dry.next.contains(next.unwrap_or("answered an error")), "{}", dry.next);
    }
    assert_eq!(
        world.dry(from(&letter, Begin::Start, &[])).await.unwrap_err().code,
        Code::Denied
    );
    assert_eq!(paths(&world), "12345");
    assert_eq!(world.letter().await, letter);
    let after = world.host.journal(&Caller::local(), &letter.run.id).await.unwrap();
    assert_eq!(after, journal);
    let run = world.host.run(&Caller::local(), &letter.run.id).await.unwrap();
    assert_eq!(run.attempts.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_arguments_are_another_run_with_another_key() {
    let world = World::upstream(|line, nth| status(if line == "GET a /q" && nth == 1 { 503 } else { 200 })).await;
    let services = vec![service("a"), honouring("bank")];
    world
        .guest(tool("pay", Idempotency::Keyed, 1, services), |guest| async move {
            if guest.get("a", "/q").await? != 200 {
                return Ok(err());
            }
            guest.post("bank", "/pay").await?;
            Ok(ok())
        })
        .await;
    world.keyed("pay", "k", "{}").await.unwrap_err();
    let letter = world.letter().await;
    let edited = from(&letter, Begin::Input("{\"to\":\"Ann\"}".to_owned()), &[]);
    let reply = world.replayed(edited).await.unwrap();
    assert_ne!(reply.run.as_ref(), Some(&letter.run.id));
    let run = world.host.run(&Caller::local(), &reply.run.unwrap()).await.unwrap();
    assert_eq!(run.input, "{\"to\":\"Ann\"}");
    assert!(
        run.key != letter.run.key && run.seed != letter.run.seed,
        "{:?}",
        run.key
    );
    let closed = world.host.letter(&Caller::local(), &letter.id).await.unwrap();
    assert_ne!(closed.state, "open", "nobody needs it any more");
    assert_eq!(world.sent(), ["GET a /q", "GET a /q", "POST bank /pay"]);
}

#[tokio::test(start_paused = true)]
async fn case_48_an_edited_replay_is_approved_anew() {
    let world = World::answering(|_, _| status(503)).await;
    let mut policy = tool("find", Idempotency::Readonly, 1, vec![service("a")]);
    world.deploy(policy.clone(), asks("GET", "a")).await;
    world.call("find").await.unwrap_err();
    let letter = world.letter().await;
    policy.default_function.approval = Approval::Required;
    world.policies.set("find", policy);
    let strict = world.another(world.store.clone(), 2).await;
    let edited = from(&letter, Begin::Input("{\"q\":2}".to_owned()), &[]);
    assert_eq!(strict.replayed(edited).await.unwrap_err().code, Code::NeedsApproval);
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.letter().await.id, letter.id, "it is open still");
}

/// A version of the tool whose component is that script.
async fn deploy_version<A>(world: &World, bytes: &str, script: impl Fn(Guest) -> A + Send + Sync + 'static) -> Digest
where
    A: Future<Output = crate::guest::Ended> + Send + 'static,
{
    use fusebox_engine::ports::sandbox::AttemptEnd;
    world.sandbox.script(bytes, move |number, spec| {
        let ended = script(Guest::new(number, spec));
        Box::pin(async move { ended.await.unwrap_or(AttemptEnd::Stopped) })
    });
    world.policies.set(bytes, policy());
    let deploy = Deploy {
        wasm: bytes.to_owned().into(),
        manifest: bytes.to_owned(),
        source: "test".to_owned(),
        policy: policy(),
        links: Vec::new(),
    };
    world.host.deploy(&Caller::local(), deploy).await.unwrap();
    digest_of(bytes.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn a_fixed_component_goes_on_over_the_same_journal() {
    let world = World::answering(|_, _| status(200)).await;
    world
        .guest(policy(), |guest| async move {
            guest.post("mail", "/4").await?;
            Ok(trap())
        })
        .await;
    world.call("agent").await.unwrap_err();
    let letter = world.letter().await;
    assert_eq!(letter.kind, "known-bad");
    let fixed = deploy_version(&world, "agent 2", |guest| async move {
        guest.post("mail", "/4").await?;
        guest.get("a", "/5").await?;
        Ok(ok())
    })
    .await;
    // The old component fails as it did, and sends nothing.
    world.go_on(&letter).await.unwrap_err();
    assert_eq!(world.sent(), ["POST mail /4"]);
    let replay = Replay {
        component: Some(fixed),
        ..replay_of(&letter)
    };
    let dry = world.dry(replay.clone()).await.unwrap();
    assert_eq!((dry.served, dry.effect.unwrap().request.as_str()), (1, "GET /5"));
    world.replayed(replay).await.unwrap();
    assert_eq!(world.sent(), ["POST mail /4", "GET a /5"]);
    let unknown = Replay {
        component: Some(digest_of(b"nobody")),
        ..replay_of(&letter)
    };
    // It is closed by now: its stored outcome is given, whatever component is asked for.
    assert!(world.replayed(unknown).await.unwrap().stored);
}

#[tokio::test(start_paused = true)]
async fn case_49_a_component_that_asks_for_something_else_is_stopped_and_both_are_named() {
    let (world, letter) = failed_at_five().await;
    let script = |change: &'static str| {
        move |guest: Guest| async move {
            let other = match change {
                "path" => guest.post("mail", "/9").await?,
                "order" => guest.get("a", "/3").await?,
                _ => 200,
            };
            assert_eq!((change, other), ("less", 200));
            Ok(ok())
        }
    };
    for (change, journal, asked) in [
        ("path", "GET /1", "POST /9"),
        ("order", "GET /1", "GET /3"),
        ("less", "GET /1", "nothing"),
    ] {
        let other = deploy_version(&world, &format!("agent {change}"), script(change)).await;
        let replay = Replay {
            component: Some(other),
            ..replay_of(&letter)
        };
        for dry_run in [true, false] {
            let diverged = match dry_run {
                true => world.dry(replay.clone()).await.unwrap_err(),
                false => world.replayed(replay.clone()).await.unwrap_err(),
            };
            assert_eq!(diverged.code, Code::Diverged, "{diverged:#?}");
            assert!(diverged.message.contains("effect 1: "), "{}", diverged.message);
            assert!(
                diverged.message.contains(journal) && diverged.message.contains(asked),
                "{}",
                diverged.message
            );
        }
        let after = world.letter().await;
        assert_eq!(
            (after.replays, &after.failure, &after.kind),
            (0, &letter.failure, &letter.kind)
        );
    }
    assert_eq!(paths(&world), "12345");
    // The component of the run itself goes on all the same.
    world.go_on(&letter).await.unwrap();
    assert_eq!(paths(&world), "123455");
}

#[tokio::test(start_paused = true)]
async fn case_49_a_guest_that_does_not_do_the_same_again_is_told_so_at_its_retry() {
    let world = World::upstream(|line, _| status(if line == "GET a /last" { 503 } else { 200 })).await;
    world
        .guest(
            tool("odd", Idempotency::NonIdempotent, 3, vec![service("a")]),
            |guest| async move {
                guest.post("a", &format!("/{}", guest.attempt)).await?;
                Ok(if guest.get("a", "/last").await? == 200 {
                    ok()
                } else {
                    err()
                })
            },
        )
        .await;
    let failure = world.call("odd").await.unwrap_err();
    assert_eq!((failure.code, failure.class), (Code::Diverged, Class::Fault));
    assert!(
        failure.message.contains("POST /1") && failure.message.contains("POST /2"),
        "{}",
        failure.message
    );
    assert_eq!(world.sent(), ["POST a /1", "GET a /last"]);
    assert_eq!(world.letter().await.kind, "known-bad");
}

#[tokio::test(start_paused = true)]
async fn a_resend_in_another_form_is_not_sent() {
    let world = World::upstream(|_, nth| status(if nth == 1 { 503 } else { 200 })).await;
    world
        .guest(
            tool("odd", Idempotency::Keyed, 3, vec![honouring("bank")]),
            |guest| async move {
                let paid = guest.post("bank", &format!("/{}", guest.attempt)).await?;
                Ok(if paid == 200 { ok() } else { err() })
            },
        )
        .await;
    let failure = world.keyed("odd", "k", "{}").await.unwrap_err();
    assert_eq!(
        (failure.code, failure.class),
        (Code::InDoubt, Class::InDoubt),
        "{failure:#?}"
    );
    assert!(
        failure.message.contains("POST /1") && failure.message.contains("POST /2"),
        "{}",
        failure.message
    );
    assert_eq!(world.sent(), ["POST bank /1"]);
    assert_eq!(world.letter().await.run.in_doubt, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_has_a_deadline_and_attempts_of_its_own() {
    let world = World::upstream(|_, nth| status(if nth <= 3 { 503 } else { 200 })).await;
    let mut upstream = service("a");
    upstream.breaker.failure_threshold = None;
    let mut policy = tool("find", Idempotency::NonIdempotent, 2, vec![upstream]);
    policy.default_function.deadline = Duration::from_secs(60);
    world.deploy(policy, asks("GET", "a")).await;
    world.call("find").await.unwrap_err();
    world.pass(Duration::from_secs(300)).await;
    let letter = world.letter().await;
    let late = Replay {
        deadline: Some(Duration::ZERO),
        ..replay_of(&letter)
    };
    assert_eq!(world.replayed(late).await.unwrap_err().code, Code::Overloaded);
    assert_eq!(world.letter().await.replays, 0);
    assert_eq!(world.go_on(&letter).await.unwrap().attempts, 2);
    assert_eq!(world.sent().len(), 4);
}
