//! What is left of a failed attempt: memory and globals with the values that they had.

use crate::play::Play;
use crate::support::{BROKEN, Trial, byte, compile, sandbox, snapshot_of};
use fusebox_core::ids::Digest;
use fusebox_engine::ports::sandbox::{AttemptEnd, Sandbox as _};
use fusebox_engine::records::{GlobalState, Snapshot};
use std::sync::Arc;
use std::time::Duration;

fn globals(snapshot: &Snapshot) -> Vec<(String, String)> {
    let state = |global: &GlobalState| (global.kind.clone(), global.bits.clone().unwrap());
    snapshot
        .instances
        .iter()
        .flat_map(|one| one.globals.iter().map(state))
        .collect()
}

fn marked(snapshot: &Snapshot, mark: u8) {
    assert_eq!(byte(snapshot, 70_000), mark);
    let expected = [("i32", "0x0000002a"), ("f64", "0x3fe0000000000000")];
    let expected: Vec<_> = expected
        .iter()
        .map(|(kind, bits)| ((*kind).to_owned(), (*bits).to_owned()))
        .collect();
    assert_eq!(globals(snapshot), expected);
    assert_eq!(snapshot.instances[0].memories[0].pages, 2);
}

#[tokio::test]
async fn after_a_trap() {
    let snapshot = snapshot_of(Trial::of(&compile(BROKEN).await, "trap").run().await).await;
    marked(&snapshot, 2);
    assert_eq!(snapshot.trap.as_deref(), Some("unreachable"));
    assert_eq!(snapshot.frames[0].name.as_deref(), Some("boom"));
    assert_eq!(snapshot.frames[0].instance, Some(0));
    // The first page is empty and is not kept.
    assert_eq!(
        snapshot.instances[0].memories[0]
            .stored
            .iter()
            .map(|page| page.index)
            .collect::<Vec<_>>(),
        [1]
    );
    assert!(snapshot.runtime.starts_with("wasmtime "));
    assert_eq!(snapshot.config.len(), 64);
}

#[tokio::test]
async fn after_a_returned_error() {
    let report = Trial::of(&compile(BROKEN).await, "fail").run().await;
    assert!(matches!(report.end, AttemptEnd::Err { .. }));
    let snapshot = snapshot_of(report).await;
    marked(&snapshot, 5);
    assert_eq!((snapshot.trap, snapshot.frames.len()), (None, 0));
}

#[tokio::test]
async fn after_a_stack_overflow() {
    let snapshot = snapshot_of(Trial::of(&compile(BROKEN).await, "overflow").run().await).await;
    marked(&snapshot, 3);
}

#[tokio::test]
async fn after_time_ended_a_guest_that_computed() {
    let mut trial = Trial::of(&compile(BROKEN).await, "spin");
    trial.timeout = Duration::from_millis(30);
    let snapshot = snapshot_of(trial.run().await).await;
    marked(&snapshot, 4);
    assert!(!snapshot.frames.is_empty());
}

#[tokio::test]
async fn after_fuel_ran_out() {
    let mut trial = Trial::of(&compile(BROKEN).await, "spin");
    trial.limits.fuel = Some(10_000);
    marked(&snapshot_of(trial.run().await).await, 4);
}

#[tokio::test]
async fn after_a_value_that_could_not_be_lifted() {
    let snapshot = snapshot_of(Trial::of(&compile(BROKEN).await, "nonsense").run().await).await;
    assert_eq!(byte(&snapshot, 12), 0xe8);
}

#[tokio::test]
async fn after_time_ended_a_guest_that_waited_for_an_answer() {
    let mut trial = Trial::of(&crate::effects::asking("0.2.0").await, "ask");
    trial.json = r#"{"size":0}"#.to_owned();
    trial.timeout = Duration::from_millis(50);
    trial.effects = Arc::new(Play::hanging());
    let report = trial.run().await;
    assert_eq!(report.end, AttemptEnd::Timeout);
    assert!(
        !report.backtrace.is_empty(),
        "the guest is stopped inside of its host call"
    );
    let snapshot = snapshot_of(report).await;
    assert_eq!(byte(&snapshot, 4_000), 99);
    assert!(!snapshot.frames.is_empty());
    assert_eq!(snapshot.resources, ["future-incoming-response ×1", "pollable ×1"]);
}

#[tokio::test]
async fn a_success_leaves_nothing() {
    assert!(Trial::of(&compile(BROKEN).await, "fine").run().await.remains.is_none());
}

#[tokio::test]
async fn a_snapshot_becomes_a_core_dump_that_others_read() {
    let snapshot = snapshot_of(Trial::of(&compile(BROKEN).await, "trap").run().await).await;
    let page = |digest: Digest| {
        let page = snapshot.pages.iter().find(|page| page.digest == digest);
        page.map(|page| page.zstd.clone().into())
    };
    let dump = sandbox().coredump(&snapshot, &page).unwrap();
    let mut memory = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(&dump) {
        if let wasmparser::Payload::DataSection(section) = payload.unwrap() {
            memory.extend(section.into_iter().map(|data| data.unwrap().data.to_vec()));
        }
    }
    assert_eq!(memory[0][70_000 - 65_536], 2);
}

/// One component inside of another calls a third, which traps.
const COMPOSED: &str = r#"
(component
  (component $below
    (core module $m (memory 1) (global (mut i32) (i32.const 5))
      (func (export "f") (param i32) (result i32) (i32.store8 (i32.const 3) (local.get 0)) unreachable))
    (core instance $i (instantiate $m))
    (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))
  (component $above
    (import "f" (func $f (param "x" u32) (result u32)))
    (core func $f' (canon lower (func $f)))
    (core module $m (import "h" "f" (func $f (param i32) (result i32))) (memory 1) (global (mut i64) (i64.const 6))
      (func (export "g") (param i32) (result i32) (call $f (local.get 0))))
    (core instance $i (instantiate $m (with "h" (instance (export "f" (func $f'))))))
    (func (export "g") (param "x" u32) (result u32) (canon lift (core func $i "g"))))
  (instance $a (instantiate $below))
  (instance $b (instantiate $above (with "f" (func $a "f"))))
  (export "g" (func $b "g")))
"#;

#[tokio::test]
async fn of_a_component_made_of_components() {
    let mut trial = Trial::of(&compile(COMPOSED).await, "g");
    trial.json = r#"{"x":77}"#.to_owned();
    let report = trial.run().await;
    assert!(
        matches!(&report.end, AttemptEnd::Trap { trap } if trap == "unreachable"),
        "{:?}",
        report.end
    );
    let snapshot = snapshot_of(report).await;
    assert_eq!(byte(&snapshot, 3), 77);
    let memories: usize = snapshot.instances.iter().map(|one| one.memories.len()).sum();
    assert_eq!(memories, 2);
    let globals = globals(&snapshot);
    for expected in [("i32", "0x00000005"), ("i64", "0x0000000000000006")] {
        assert!(
            globals
                .iter()
                .any(|(kind, bits)| (kind.as_str(), bits.as_str()) == expected),
            "{globals:?}"
        );
    }
}

#[tokio::test]
async fn two_runs_with_one_seed_and_one_input_reach_the_same_state() {
    let asking = crate::effects::asking("0.2.9").await;
    let mut states = Vec::new();
    for seed in [1, 1, 2] {
        let mut trial = Trial::of(&asking, "roll-and-trap");
        trial.seed = [seed; 32];
        let snapshot = snapshot_of(trial.run().await).await;
        states.push(snapshot.instances);
    }
    assert_eq!(states[0], states[1]);
    assert_ne!(states[0], states[2]);
}
