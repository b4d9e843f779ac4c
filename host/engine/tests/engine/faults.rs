//! A store that fails at every call in turn: nothing panics, nothing is lost silently, nothing happens twice.

use crate::crashes::{alone, brief};
use crate::world::*;
use fusebox_core::failure::Code;
use fusebox_core::policy::{Durability, Idempotency};
use fusebox_engine::host::Settings;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::clock::Clock as _;
use fusebox_engine::ports::sandbox::{AttemptEnd, AttemptSpec};
use fusebox_engine::ports::store::Store;
use fusebox_engine::requests::{Caller, Resolve, Response};
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::faulty_store::{FaultyStore, When};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

async fn world_on(store: Arc<dyn Store>, clock: &Arc<FakeClock>, transport: ScriptedTransport) -> World {
    World::on(store, Arc::clone(clock), transport, Settings::default()).await
}

/// A store that is gone as soon as the flag is up.
fn gone_once(inner: &Arc<MemoryStore>, flag: &Arc<AtomicBool>) -> Arc<dyn Store> {
    let flag = Arc::clone(flag);
    let gone = move |_| flag.load(Ordering::SeqCst).then_some(When::Before);
    Arc::new(FaultyStore::planned(Arc::clone(inner) as _, gone))
}

/// A script that asks once and raises the flag as it returns.
fn flagging(
    method: &'static str,
    service: &'static str,
    flag: &Arc<AtomicBool>,
) -> impl Fn(u32, AttemptSpec) -> BoxFuture<'static, AttemptEnd> + Send + Sync + 'static {
    let (asks, flag) = (asks(method, service), Arc::clone(flag));
    move |number, spec| {
        let (asked, flag) = (asks(number, spec), Arc::clone(&flag));
        Box::pin(async move {
            let end = asked.await;
            flag.store(true, Ordering::SeqCst);
            end
        })
    }
}

#[tokio::test(start_paused = true)]
async fn case_53_a_letter_that_cannot_be_written_is_told_to_the_caller() {
    for durability in [Durability::OnFailure, Durability::Always] {
        let clock = Arc::new(FakeClock::new());
        let inner = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
        let down = ScriptedTransport::answering(|_, _| status(503));
        let healthy = world_on(Arc::clone(&inner) as _, &clock, down).await;
        let mut policy = tool("find", Idempotency::Readonly, 1, vec![service("a")]);
        policy.default_function.durability = durability;
        let returned = Arc::new(AtomicBool::new(false));
        healthy.deploy(policy, flagging("GET", "a", &returned)).await;
        let world = healthy.another(gone_once(&inner, &returned), 2).await;
        let failure = world.call("find").await.unwrap_err();
        assert_eq!(failure.code, Code::StoreUnavailable, "{failure:?}");
        assert!(
            failure.chain[0].contains("after effect 1 (GET /x to a: 503)"),
            "{:?}",
            failure.chain
        );
        assert_eq!((failure.letter, world.transport.sent().len()), (None, 1));
        // A run that was accepted is not lost all the same: whoever takes it over serves what it got, and asks again.
        healthy.serve_for(Duration::from_secs(600)).await;
        let letters = healthy
            .host
            .letters(&Caller::local(), &Default::default())
            .await
            .unwrap();
        assert_eq!(letters.len(), usize::from(durability == Durability::Always));
    }
}

#[tokio::test(start_paused = true)]
async fn case_41_a_result_that_cannot_be_stored_after_the_effect_is_in_doubt_and_not_run_again() {
    let clock = Arc::new(FakeClock::new());
    let inner = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let healthy = world_on(
        Arc::clone(&inner) as _,
        &clock,
        ScriptedTransport::answering(|_, _| status(200)),
    )
    .await;
    let returned = Arc::new(AtomicBool::new(false));
    healthy
        .deploy(
            tool("pay", Idempotency::Keyed, 1, vec![service("bank")]),
            flagging("POST", "bank", &returned),
        )
        .await;
    let world = healthy.another(gone_once(&inner, &returned), 2).await;
    let failure = world.keyed("pay", "k", "{}").await.unwrap_err();
    assert_eq!(failure.code, Code::InDoubt, "{failure:?}");
    assert_eq!(failure.chain, ["it returned: 1"]);
    for _ in 0..3 {
        healthy.pass(Duration::from_secs(600)).await;
        assert_eq!(healthy.keyed("pay", "k", "{}").await.unwrap_err().code, Code::KeyInUse);
    }
    // Whoever takes the run over serves the charge from its journal.
    healthy.serve_for(Duration::from_secs(5)).await;
    let stored = healthy.keyed("pay", "k", "{}").await.unwrap();
    assert_eq!((stored.stored, stored.output.as_str()), (true, "1"));
    assert_eq!(world.transport.sent().len(), 1);
}

/// What one scenario does on a store that fails at its call `n`.
async fn at_every_call(level: Idempotency, answers: fn(u32) -> u16, most_sent: usize) {
    for when in [When::Before, When::After] {
        for n in 1.. {
            let clock = Arc::new(FakeClock::new());
            let inner = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
            let transport = ScriptedTransport::answering(move |number, _| status(answers(number)));
            let healthy = world_on(Arc::clone(&inner) as _, &clock, transport).await;
            let upstream = if level == Idempotency::Keyed {
                honouring("bank")
            } else {
                service("bank")
            };
            healthy
                .deploy(tool("pay", level, 3, vec![upstream]), asks("POST", "bank"))
                .await;
            let faulty = Arc::new(FaultyStore::failing_at(inner as _, n, when));
            let world = healthy.another(Arc::clone(&faulty) as _, 2).await;
            let called = world.keyed("pay", "k", "{}").await;
            let at = format!("{level:?}, {when:?} call {n}: {called:?}");
            if !world.transport.sent().is_empty() && answers(u32::MAX) == 200 {
                // Once something was sent, one failed write is made up for.
                assert!(called.is_ok(), "{at}");
            }
            if let Err(failure) = &called {
                let told = matches!(failure.code, Code::StoreUnavailable | Code::InDoubt | Code::Internal);
                assert!(failure.letter.is_some() || told, "{at}");
                if let Some(letter) = &failure.letter {
                    assert!(inner_letter(&healthy, letter).await, "{at}");
                }
                assert_ne!(failure.code, Code::Internal, "{at}");
            }
            // The caller repeats the call, on this host and on another.
            let again = world.keyed("pay", "k", "{}").await;
            let elsewhere = healthy.keyed("pay", "k", "{}").await;
            let sent = world.transport.sent();
            assert!(
                sent.len() <= most_sent,
                "{at}\n{again:?}\n{elsewhere:?}\n{}",
                sent.len()
            );
            assert!(sent.windows(2).all(|pair| pair[0].headers == pair[1].headers), "{at}");
            let seen = faulty.calls();
            world.host.drain().await;
            if n > seen {
                break;
            }
        }
    }
}

async fn inner_letter(world: &World, id: &fusebox_core::ids::LetterId) -> bool {
    world.host.letter(&Caller::local(), id).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn case_35_an_effect_that_may_not_be_repeated_happens_at_most_once_whichever_write_fails() {
    at_every_call(Idempotency::NonIdempotent, |_| 200, 1).await;
    at_every_call(Idempotency::NonIdempotent, |_| 503, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_keyed_effect_is_repeated_under_its_key_alone_whichever_write_fails() {
    at_every_call(Idempotency::Keyed, |number| if number == 1 { 503 } else { 200 }, 2).await;
    at_every_call(Idempotency::Keyed, |_| 503, 3).await;
}

/// Two charges under keys with a mail between them that no key protects, on a store that fails at calls `n` and the next ones.
async fn charged_and_mailed(n: u64, calls: u64, when: When) -> bool {
    let world = World::hasty(|_, _| status(200)).await;
    let services = [honouring("bank"), service("mail")].map(brief).to_vec();
    world
        .guest(tool("pay", Idempotency::Keyed, 2, services), |guest| async move {
            for (service, path) in [("bank", "/1"), ("mail", "/2"), ("bank", "/3")] {
                if guest.post(service, path).await? != 200 {
                    return Ok(err());
                }
            }
            Ok(ok())
        })
        .await;
    let plan = move |call| (n..n + calls).contains(&call).then_some(when);
    let faulty = Arc::new(FaultyStore::planned(Arc::clone(&world.store), plan));
    let failing = world.another(Arc::clone(&faulty) as _, 2).await;
    let called = failing.keyed("pay", "k", "{}").await;
    let failed = faulty.calls() >= n;
    world.serve_for(Duration::from_secs(20)).await;
    let at = format!("{when:?} calls {n} to {}: {called:#?}", n + calls - 1);
    // Whoever has a letter to replay replays it.
    let run = match world.last_run().await {
        Some(run) if run.state == "dead-lettered" => {
            let letter = world.letter().await;
            let replayed = world.go_on(&letter).await;
            assert!(
                replayed.is_ok() || replayed.is_err_and(|failure| failure.code == Code::InDoubt),
                "{at}"
            );
            world.last_run().await
        }
        run => run,
    };
    assert!(world.times("POST mail /2") <= 1, "{at}: {:?}", world.sent());
    match run.as_ref().map(|run| run.state.as_str()) {
        None => {
            assert!(world.sent().is_empty(), "{at}");
            assert_eq!(called.unwrap_err().code, Code::StoreUnavailable);
            // Nothing was accepted, so the caller may call again.
            world.keyed("pay", "k", "{}").await.unwrap();
        }
        Some("succeeded") => {}
        Some("in-doubt") => {
            let doubted = world.letter().await;
            assert_eq!(doubted.run.in_doubt, [2], "{at}");
            let settled = match world.times("POST mail /2") {
                0 => Resolve::NotHappened { run: None, effect: 2 },
                _ => Resolve::Happened {
                    run: None,
                    effect: 2,
                    response: Response {
                        status: 200,
                        headers: Vec::new(),
                        body: Default::default(),
                    },
                },
            };
            world
                .host
                .resolve(&Caller::local(), &doubted.id, settled)
                .await
                .unwrap();
            world.go_on(&doubted).await.unwrap();
        }
        Some(other) => panic!("{at}: {other}"),
    }
    // Each was made, under one key, and the run is over once.
    assert_eq!(world.times("POST mail /2"), 1, "{at}");
    let sent = world.transport.sent();
    for path in ["/1", "/3"] {
        let charges = sent.iter().filter(|request| request.path == path);
        let keys: BTreeSet<_> = charges.map(key_of).collect();
        assert_eq!(keys.len(), 1, "{at}");
    }
    let stored = world.keyed("pay", "k", "{}").await.unwrap();
    assert!(stored.stored, "{at}");
    let runs = world.store.runs("default", &Default::default()).await.unwrap();
    assert_eq!((runs.len(), runs[0].state.as_str()), (1, "succeeded"), "{at}");
    !failed
}

#[test]
fn case_35_a_mail_goes_out_once_and_charges_keep_their_keys_wherever_the_store_fails_and_for_however_long() {
    for when in [When::Before, When::After] {
        // One call; as many as a write is tried; and so many that the run is left to its lease.
        for calls in [1, 5, 100] {
            let mut n = 1;
            while !alone(charged_and_mailed(n, calls, when)) {
                n += 1;
            }
            assert!(n > 8, "{n} calls");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_could_not_be_written_at_once_is_written_with_the_run_s_own() {
    let world = World::answering(|_, _| status(200)).await;
    let policy = tool("pay", Idempotency::NonIdempotent, 1, vec![service("mail")]);
    world.deploy(policy, asks("POST", "mail")).await;
    // The store is gone from the send on, for as long as the end of an effect is tried to be written.
    let (transport, clock) = (Arc::clone(&world.transport), Arc::clone(&world.clock));
    let back = clock.tick() + Duration::from_millis(1100);
    let plan = move |_| (!transport.sent().is_empty() && clock.tick() < back).then_some(When::Before);
    let faulty = FaultyStore::planned(Arc::clone(&world.store), plan);
    let failing = world.another(Arc::new(faulty), 2).await;
    let failure = failing.call("pay").await.unwrap_err();
    assert_eq!(failure.code, Code::StoreUnavailable, "{failure:#?}");
    let letter = world.letter().await;
    assert_eq!((letter.kind.as_str(), &letter.run.in_doubt[..]), ("retryable", &[][..]));
    world.go_on(&letter).await.unwrap();
    assert_eq!(world.sent().len(), 1);
}
