//! Calls of other tools: runs in the tree of their root, found again after a crash, mended before a replay.

use crate::crashes::{alone, at_every_point, brief};
use crate::guest::Guest;
use crate::mortal::Life;
use crate::world::*;
use fusebox_core::effect::Lost;
use fusebox_core::failure::{Class, Code};
use fusebox_core::policy::{Idempotency, ServicePolicy, ToolGrant, ToolPolicy};
use fusebox_engine::host::Settings;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::ports::sandbox::Called;
use fusebox_engine::records::RunRecord;
use fusebox_engine::requests::{Caller, Resolve};
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, lost, status};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An agent that may call that tool.
fn agent(level: Idempotency, attempts: u32, tools: &[&str]) -> ToolPolicy {
    let grant = |tool: &&str| ToolGrant {
        tool: (*tool).to_owned(),
        function: None,
    };
    ToolPolicy {
        agent: true,
        tools: tools.iter().map(grant).collect(),
        ..tool("agent", level, attempts, Vec::new())
    }
}

fn patient(mut service: ServicePolicy) -> ServicePolicy {
    service.breaker.failure_threshold = None;
    service
}

/// A tool whose function posts to a service of that name.
async fn child(world: &World, level: Idempotency, attempts: u32, service: ServicePolicy) {
    let name = service.name.clone();
    let upstream = name.clone();
    world
        .guest(tool(&name, level, attempts, vec![patient(service)]), move |guest| {
            let upstream = upstream.clone();
            async move {
                let done = guest.post(&upstream, "/do").await?;
                Ok(if done == 200 { ok() } else { err() })
            }
        })
        .await;
}

/// Calls each tool in turn; an error of one is the agent's own.
async fn calls(guest: Guest, tools: &'static [&'static str]) -> crate::guest::Ended {
    for tool in tools {
        match guest.call(tool, "{}").await? {
            Called::Ok(_) => {}
            Called::Err { .. } => return Ok(err()),
            // As a typed import ends the instance when the call failed otherwise.
            Called::Failed { .. } => return Ok(trap()),
        }
    }
    Ok(ok())
}

async fn tree(world: &World) -> Vec<RunRecord> {
    let root = world.last_run().await.unwrap();
    world.host.tree(&Caller::local(), &root.id).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_run_of_the_tree_and_an_effect_of_its_caller() {
    let world = World::answering(|_, _| status(200)).await;
    child(&world, Idempotency::NonIdempotent, 1, service("mail")).await;
    let policy = agent(Idempotency::NonIdempotent, 1, &["mail"]);
    world.guest(policy, |guest| calls(guest, &["mail", "mail"])).await;
    let reply = world.call("agent").await.unwrap();
    let tree = tree(&world).await;
    assert_eq!(tree.len(), 3);
    for (seq, run) in (1..).zip(&tree[1..]) {
        let nested = run.nested.as_ref().unwrap();
        assert_eq!((nested.seq, nested.depth, &nested.root), (seq, 1, &tree[0].id));
        assert_eq!(run.state, "succeeded");
    }
    assert_eq!((reply.run.as_ref(), world.sent().len()), (Some(&tree[0].id), 2));
    let effects = &tree[0].attempts[0].effects;
    assert_eq!((effects[0].kind.as_str(), effects[0].answer.as_str()), ("call", "done"));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_granted_is_called() {
    let world = World::answering(|_, _| status(200)).await;
    child(&world, Idempotency::NonIdempotent, 1, service("mail")).await;
    world
        .guest(agent(Idempotency::NonIdempotent, 1, &["other"]), |guest| async move {
            match guest.call("mail", "{}").await? {
                Called::Failed { code, .. } => assert_eq!(code, Code::Denied.name()),
                other => panic!("{other:?}"),
            }
            Ok(err())
        })
        .await;
    let failure = world.call("agent").await.unwrap_err();
    assert_eq!(
        (failure.code, &failure.letter),
        (Code::ToolFailed, &None),
        "{failure:#?}"
    );
    assert!(world.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn case_63_parent_and_child_fail_and_there_is_one_letter_at_the_root() {
    let world = World::answering(|_, _| status(503)).await;
    child(&world, Idempotency::Keyed, 1, honouring("bank")).await;
    world
        .guest(agent(Idempotency::NonIdempotent, 1, &["bank"]), |guest| {
            calls(guest, &["bank"])
        })
        .await;
    let failure = world.call("agent").await.unwrap_err();
    assert_eq!(
        (failure.class, failure.service.as_deref()),
        (Class::Transient, Some("bank")),
        "{failure:#?}"
    );
    let letter = world.letter().await;
    assert_eq!(
        (letter.run.tool.as_str(), letter.service.as_deref()),
        ("agent", Some("bank"))
    );
    let tree = tree(&world).await;
    assert_eq!(
        (tree.len(), tree[1].state.as_str(), &tree[1].letter),
        (2, "dead-lettered", &None)
    );
}

#[test]
fn case_28_three_attempts_within_three_are_three() {
    for (outer, inner, sent) in [(3, 3, 3), (3, 1, 3), (1, 3, 1), (5, 2, 5)] {
        alone(async move {
            let world = World::answering(|_, _| status(503)).await;
            child(&world, Idempotency::Keyed, inner, honouring("bank")).await;
            let policy = agent(Idempotency::NonIdempotent, outer, &["bank"]);
            world.guest(policy, |guest| calls(guest, &["bank"])).await;
            world.call("agent").await.unwrap_err();
            assert!(world.sent().len() <= sent, "{outer} x {inner}: {}", world.sent().len());
            assert!(world.sent().len() >= outer.min(inner) as usize);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_of_the_root_goes_on_in_the_child_that_failed_and_calls_no_other_again() {
    let world = World::upstream(|line, nth| match line {
        "POST bank /do" if nth == 1 => status(503),
        _ => status(200),
    })
    .await;
    child(&world, Idempotency::NonIdempotent, 1, service("mail")).await;
    child(&world, Idempotency::NonIdempotent, 1, honouring("bank")).await;
    let policy = agent(Idempotency::NonIdempotent, 3, &["mail", "bank"]);
    world.guest(policy, |guest| calls(guest, &["mail", "bank"])).await;
    // The child has used up its attempts, and its caller does not make more of them.
    world.call("agent").await.unwrap_err();
    assert_eq!(world.sent(), ["POST mail /do", "POST bank /do"]);
    world.go_on(&world.letter().await).await.unwrap();
    assert_eq!(world.sent(), ["POST mail /do", "POST bank /do", "POST bank /do"]);
    let sent = world.transport.sent();
    assert_eq!(key_of(&sent[1]), key_of(&sent[2]));
    let tree = tree(&world).await;
    assert_eq!((tree.len(), tree[2].attempts.len()), (3, 2), "the same child");
}

#[tokio::test(start_paused = true)]
async fn case_64_a_child_in_backoff_is_found_and_resumed_when_its_host_dies() {
    let world = World::upstream(|_, nth| status(if nth == 1 { 503 } else { 200 })).await;
    let mut policy = tool("bank", Idempotency::NonIdempotent, 3, vec![honouring("bank")]);
    policy.default_function.retry.backoff.base = Duration::from_secs(20);
    policy.default_function.retry.backoff.cap = Duration::from_secs(20);
    world
        .guest(policy, |guest| async move {
            Ok(if guest.post("bank", "/do").await? == 200 {
                ok()
            } else {
                err()
            })
        })
        .await;
    world
        .guest(agent(Idempotency::NonIdempotent, 3, &["bank"]), |guest| {
            calls(guest, &["bank"])
        })
        .await;
    let life = Life::long();
    let dying = world.mortal(&life, 2).await;
    let gone = dying.calling(call("agent"));
    world.pass(Duration::from_secs(10)).await;
    life.end();
    let before = tree(&world).await;
    world.serve_for(Duration::from_secs(200)).await;
    assert!(!gone.is_finished());
    let after = tree(&world).await;
    assert_eq!((after.len(), after[0].state.as_str()), (2, "succeeded"));
    assert_eq!((&after[1].id, after[1].state.as_str()), (&before[1].id, "succeeded"));
    let sent = world.transport.sent();
    assert_eq!((sent.len(), key_of(&sent[0]) == key_of(&sent[1])), (2, true));
}

#[tokio::test(start_paused = true)]
async fn case_69_the_journal_of_an_idempotent_caller_is_durable_before_its_child_does_what_may_not_be_repeated() {
    let life = Life::long();
    let ending = Arc::clone(&life);
    let world = World::upstream(move |line, nth| {
        if line == "POST bank /do" && nth == 1 {
            ending.end();
        }
        status(200)
    })
    .await;
    child(&world, Idempotency::NonIdempotent, 1, service("mail")).await;
    child(&world, Idempotency::NonIdempotent, 1, honouring("bank")).await;
    // Without a key, and in memory until it has to be durable.
    let policy = agent(Idempotency::Idempotent, 1, &["mail", "bank"]);
    world.guest(policy, |guest| calls(guest, &["mail", "bank"])).await;
    let dying = world.mortal(&life, 2).await;
    let gone = dying.calling(call("agent"));
    world.serve_for(Duration::from_secs(200)).await;
    assert!(!gone.is_finished());
    let tree = tree(&world).await;
    assert_eq!((tree[0].state.as_str(), tree.len()), ("succeeded", 3));
    assert_eq!(world.sent(), ["POST mail /do", "POST bank /do", "POST bank /do"]);
}

#[tokio::test(start_paused = true)]
async fn case_75_a_fixed_child_is_called_on_replay_in_spite_of_its_stored_error() {
    let world = World::answering(|_, _| status(200)).await;
    let policy = tool("mend", Idempotency::NonIdempotent, 1, vec![service("mail")]);
    world.deploy(policy.clone(), |_, _| async { trap() }).await;
    child(&world, Idempotency::NonIdempotent, 1, service("mail")).await;
    let policy_of_agent = agent(Idempotency::NonIdempotent, 1, &["mail", "mend"]);
    world
        .guest(policy_of_agent, |guest| calls(guest, &["mail", "mend"]))
        .await;
    world.call("agent").await.unwrap_err();
    let letter = world.letter().await;
    // Version 2 of the child.
    world.sandbox.script("mend 2", |_, _| Box::pin(async { ok() }));
    world.policies.set("mend 2", policy.clone());
    let deploy = fusebox_engine::requests::Deploy {
        wasm: "mend 2".into(),
        manifest: "mend 2".to_owned(),
        source: "test".to_owned(),
        policy,
        links: Vec::new(),
    };
    world.host.deploy(&Caller::local(), deploy).await.unwrap();
    world.go_on(&letter).await.unwrap();
    assert_eq!(world.sent(), ["POST mail /do"], "what succeeded is not called again");
    assert_eq!(world.sandbox.attempts("mend 2"), 1);
}

#[tokio::test(start_paused = true)]
async fn case_66_what_is_in_doubt_below_is_settled_below_and_the_tree_goes_on() {
    let world = World::upstream(|line, nth| match line {
        "POST mail /do" if nth == 1 => lost(Lost::Reset),
        _ => status(200),
    })
    .await;
    child(&world, Idempotency::NonIdempotent, 3, service("mail")).await;
    child(&world, Idempotency::NonIdempotent, 1, service("note")).await;
    let policy = agent(Idempotency::NonIdempotent, 3, &["note", "mail"]);
    world.guest(policy, |guest| calls(guest, &["note", "mail"])).await;
    let failure = world.call("agent").await.unwrap_err();
    assert_eq!((failure.code, world.sent().len()), (Code::InDoubt, 2), "{failure:#?}");
    let letter = world.letter().await;
    assert_eq!(letter.kind, "in-doubt");
    assert_eq!(world.go_on(&letter).await.unwrap_err().code, Code::InDoubt);
    let below = tree(&world).await.remove(2);
    assert_eq!((below.tool.as_str(), &below.in_doubt[..]), ("mail", &[1][..]));
    let caller = Caller::local();
    let at_root = Resolve::NotHappened { run: None, effect: 2 };
    world.host.resolve(&caller, &letter.id, at_root).await.unwrap_err();
    let settled = Resolve::NotHappened {
        run: Some(below.id.clone()),
        effect: 1,
    };
    let settled = world.host.resolve(&caller, &letter.id, settled).await.unwrap();
    assert_eq!(settled.kind, "retryable");
    world.go_on(&settled).await.unwrap();
    assert_eq!(world.sent(), ["POST note /do", "POST mail /do", "POST mail /do"]);
}

#[test]
fn case_34_whenever_its_host_dies_a_tree_is_taken_over_and_pays_once() {
    for level in [Idempotency::Idempotent, Idempotency::Keyed] {
        let ends = at_every_point(|n| async move {
            let world = World::hasty(|line, nth| match line {
                "POST bank /do" if nth == 1 => status(503),
                _ => status(200),
            })
            .await;
            child(&world, Idempotency::NonIdempotent, 2, brief(honouring("bank"))).await;
            child(&world, Idempotency::NonIdempotent, 2, brief(service("mail"))).await;
            let policy = agent(level, 2, &["bank", "mail"]);
            world.guest(policy, |guest| calls(guest, &["bank", "mail"])).await;
            let life = Life::until(n);
            let dying = world.mortal(&life, 2).await;
            let _called = dying.calling(keyed("agent", "k", "{}"));
            world.pass(Duration::from_secs(4)).await;
            let survived = !life.is_over();
            world.serve_for(Duration::from_secs(14)).await;
            let at = format!("{level:?}, dies at point {n}");
            assert!(world.times("POST mail /do") <= 1, "{at}: {:?}", world.sent());
            let sent = world.transport.sent();
            let charges = sent.iter().filter(|request| request.origin.host == "bank.test");
            let keys: std::collections::BTreeSet<_> = charges.map(key_of).collect();
            assert!(keys.len() <= 1, "{at}: {keys:?}");
            let Some(root) = world.last_run().await else {
                assert!(sent.is_empty(), "{at}");
                return (survived, "lost".to_owned());
            };
            let tree = world.host.tree(&Caller::local(), &root.id).await.unwrap();
            match root.state.as_str() {
                "succeeded" => {
                    assert!(tree.iter().all(|run| run.state == "succeeded"), "{at}: {tree:#?}");
                    assert_eq!((tree.len(), world.times("POST mail /do")), (3, 1), "{at}");
                }
                "in-doubt" => {
                    let doubted = tree.iter().find(|run| run.tool == "mail").unwrap();
                    assert_eq!((&doubted.in_doubt[..], root.letter.is_some()), (&[1][..], true), "{at}");
                }
                other => panic!("{at}: {other}: {:#?}", root.failure),
            }
            (survived, root.state)
        });
        let states: std::collections::BTreeSet<_> = ends.iter().map(String::as_str).collect();
        let expected = ["in-doubt", "lost", "succeeded"];
        assert_eq!(states.into_iter().collect::<Vec<_>>(), expected, "{level:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn case_65_calls_in_flight_together_are_waited_for_and_served_when_one_of_them_fails() {
    let world = World::hasty(|line, nth| match line {
        "POST bank /do" if nth == 1 => status(503),
        _ => status(200),
    })
    .await;
    child(&world, Idempotency::NonIdempotent, 1, honouring("bank")).await;
    child(&world, Idempotency::NonIdempotent, 1, service("mail")).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let saw = Arc::clone(&seen);
    world
        .guest(agent(Idempotency::NonIdempotent, 2, &["bank", "mail"]), move |guest| {
            let saw = Arc::clone(&saw);
            async move {
                let both = futures::future::try_join(guest.call("bank", "{}"), guest.call("mail", "{}")).await?;
                let well = [&both.0, &both.1].map(|called| matches!(called, Called::Ok(_)));
                saw.lock().unwrap().push(well);
                Ok(if well == [true; 2] { ok() } else { err() })
            }
        })
        .await;
    world.call("agent").await.unwrap_err();
    world.go_on(&world.letter().await).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [[false, true], [true, true]]);
    assert_eq!((world.times("POST mail /do"), world.times("POST bank /do")), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_keeps_room_for_what_its_instances_call() {
    let clock = Arc::new(FakeClock::new());
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let settings = Settings {
        instances: 8,
        ..Settings::default()
    };
    let transport = ScriptedTransport::answering(|_, _| status(200));
    let world = World::on(store, clock, transport, settings).await;
    let (now, most) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (counted, peak, clock) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&world.clock));
    world
        .deploy(pure("slow"), move |_, _| {
            let (counted, peak, clock) = (Arc::clone(&counted), Arc::clone(&peak), Arc::clone(&clock));
            async move {
                peak.fetch_max(counted.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                clock.sleep(Duration::from_secs(1)).await;
                counted.fetch_sub(1, Ordering::SeqCst);
                ok()
            }
        })
        .await;
    let policy = agent(Idempotency::NonIdempotent, 1, &["slow"]);
    world.guest(policy, |guest| calls(guest, &["slow"])).await;
    // Four agents hold the roots' half, and two of what they call run at a time in the quarter below.
    let calls = (0..16).map(|_| world.call("agent"));
    assert!(futures::future::join_all(calls).await.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}
