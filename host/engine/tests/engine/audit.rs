//! The audit trail: what is in it, that nothing is done without it, and what `verify` finds.

use crate::world::*;
use fusebox_core::failure::Code;
use fusebox_core::policy::Idempotency;
use fusebox_engine::memory_store::MemoryStore;
use fusebox_engine::ports::store::{AuditFilter, Store as _, ToolChange};
use fusebox_engine::requests::{BreakerOrder, Caller};
use fusebox_engine::testing::fake_clock::FakeClock;
use fusebox_engine::testing::faulty_store::{FaultyStore, When};
use fusebox_engine::testing::scripted_transport::{ScriptedTransport, status};
use std::sync::Arc;
use std::time::Duration;

async fn trail(world: &World) -> Vec<(String, String, String)> {
    let entries = world
        .host
        .audit(&Caller::local(), &AuditFilter::default())
        .await
        .unwrap();
    let told = entries.into_iter().rev();
    told.map(|entry| (entry.action, entry.subject, entry.outcome)).collect()
}

fn told(entries: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = |text: &&str| (*text).to_owned();
    let entries = entries.iter();
    entries
        .map(|(action, subject, outcome)| (owned(action), owned(subject), owned(outcome)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn who_did_what_is_in_the_trail_and_what_failed_twice() {
    let world = World::answering(|_, _| status(503)).await;
    let policy = tool("read", Idempotency::Readonly, 1, vec![service("a")]);
    world.deploy(policy, asks("GET", "a")).await;
    let caller = Caller::local();
    world.call("read").await.unwrap_err();
    let letter = world.letter().await;
    world.replay(&letter).await.unwrap_err();
    world.host.pin(&caller, &letter.id, true).await.unwrap();
    world.host.pin(&caller, &letter.id, false).await.unwrap();
    world
        .host
        .purge(&caller, std::slice::from_ref(&letter.id))
        .await
        .unwrap();
    world
        .host
        .change_tool(&caller, "read", ToolChange::Disable)
        .await
        .unwrap();
    world
        .host
        .change_tool(&caller, "other", ToolChange::Remove)
        .await
        .unwrap_err();
    world
        .host
        .order_breaker(&caller, "read/a", BreakerOrder::Close)
        .await
        .unwrap();
    let id = letter.id.as_str();
    let expected = [
        ("letter.replay", id, "begun"),
        ("letter.replay", id, "failed"),
        ("letter.pin", id, "begun"),
        ("letter.unpin", id, "begun"),
        ("letter.purge", "1 letters", "begun"),
        ("tool.disable", "read", "begun"),
        ("tool.remove", "other", "begun"),
        ("tool.remove", "other", "failed"),
        ("breaker.close", "read/a", "begun"),
    ];
    let all = trail(&world).await;
    assert_eq!(all[all.len() - expected.len()..], told(&expected));
    let verdict = world.host.verify_audit(&caller, None).await.unwrap();
    assert!(verdict.whole, "{verdict:?}");
    assert_eq!(verdict.entries, all.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_that_cannot_be_written_down() {
    let clock = Arc::new(FakeClock::new());
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let deaf = FaultyStore::by_method(Arc::clone(&store) as _, |method, _| {
        (method == "append_audit").then_some(When::Before)
    });
    let transport = ScriptedTransport::answering(|_, _| status(200));
    let world = World::on(Arc::new(deaf), clock, transport, Default::default()).await;
    let mut tool = fusebox_engine::testing::store_contract::samples::tool("read", "m", "c");
    tool.0.enabled = true;
    store.deploy(tool.0, tool.1).await.unwrap();
    let caller = Caller::local();
    let refused = world
        .host
        .change_tool(&caller, "read", ToolChange::Disable)
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::StoreUnavailable);
    assert!(refused.message.starts_with("nothing was done"), "{}", refused.message);
    assert!(store.tool("default", "read").await.unwrap().unwrap().enabled);
}

#[tokio::test(start_paused = true)]
async fn a_deed_whose_asker_hangs_up_is_written_down_to_its_end() {
    let clock = Arc::new(FakeClock::new());
    let store = Arc::new(MemoryStore::with_clock(Arc::clone(&clock) as _));
    let slow = FaultyStore::by_method(Arc::clone(&store) as _, |method, _| {
        (method == "change_tool").then_some(When::Late(Duration::from_secs(10)))
    });
    let transport = ScriptedTransport::answering(|_, _| status(200));
    let world = World::on(Arc::new(slow), clock, transport, Default::default()).await;
    let caller = Caller::local();
    tokio::select! {
        _ = world.host.change_tool(&caller, "absent", ToolChange::Remove) => unreachable!("it takes ten seconds"),
        () = sleep(1) => {}
    }
    assert_eq!(trail(&world).await, told(&[("tool.remove", "absent", "begun")]));
    sleep(20).await;
    let whole = [("tool.remove", "absent", "begun"), ("tool.remove", "absent", "failed")];
    assert_eq!(trail(&world).await, told(&whole));
}
