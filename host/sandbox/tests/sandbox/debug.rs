//! Replays that somebody looks at: where the guest stands, what its frames hold, and that its state is that of the attempt which is replayed.

use crate::effects::guest;
use crate::play::{Play, START};
use crate::support::{BROKEN, Trial, compile, compile_wasm, digest_of, sandbox, settings, snapshot_of};
use fusebox_core::policy::Limits;
use fusebox_engine::ports::debugger::{DebugSpec, Debugged, Debuggee, Debugger as _, MemoryId, Stop, Value};
use fusebox_engine::ports::sandbox::{AttemptEnd, Effects, Limit};
use fusebox_engine::records::InstanceState;
use fusebox_sandbox::WasmSandbox;
use std::sync::Arc;
use std::time::Duration;

/// Frames whose locals and operands have known values.
const FRAMES: &str = r#"
(component
  (core module $m
    (memory (export "memory") 1)
    (data (i32.const 2048) "a text in memory")
    (global $g (mut i64) (i64.const -7))
    (func $inner (param $at i32) (param $half f64) (result i32) (local $sum i64)
      (local.set $sum (i64.const 1000000000000))
      (i32.add (i32.const 33) (block (result i32) unreachable)))
    (func $outer (export "outer") (param i32) (result i32)
      (call $inner (i32.const 2048) (f64.const 0.5))))
  (core instance $i (instantiate $m))
  (func (export "outer") (param "x" u32) (result u32) (canon lift (core func $i "outer"))))
"#;

async fn load(text: &str) -> Arc<dyn Debuggee> {
    load_wasm(wat::parse_str(text).unwrap()).await
}

async fn load_wasm(wasm: Vec<u8>) -> Arc<dyn Debuggee> {
    sandbox().load(digest_of(&wasm), wasm.into()).await.unwrap()
}

/// The replay of a [`Trial`] that nothing was changed of.
fn replay(function: &str, input: &str) -> DebugSpec {
    DebugSpec {
        function: function.to_owned(),
        input: input.to_owned(),
        limits: Arc::new(Limits::default()),
        env: Arc::new([]),
        seed: [7; 32],
        wall: START,
        time: Duration::from_secs(60),
        effects: Arc::new(Play::answering([])),
    }
}

async fn debug(text: &str, function: &str) -> Debugged {
    load(text).await.run(replay(function, "")).await.unwrap()
}

async fn state_of(trial: Trial) -> Vec<InstanceState> {
    snapshot_of(trial.run().await).await.instances
}

fn shown(values: &[Value]) -> Vec<(&str, &str)> {
    values
        .iter()
        .map(|value| (value.kind.as_str(), value.value.as_str()))
        .collect()
}

fn names(stop: &Stop) -> Vec<&str> {
    stop.frames
        .iter()
        .filter_map(|frame| frame.frame.name.as_deref())
        .collect()
}

#[tokio::test]
async fn a_trap_is_seen_before_the_stack_is_gone() {
    let debuggee = load(FRAMES).await;
    let debugged = debuggee.run(replay("outer", r#"{"x":9}"#)).await.unwrap();
    let stop = debugged.stop.unwrap();
    assert_eq!(stop.causes, ["unreachable"]);
    assert_eq!(names(&stop), ["inner", "outer"]);
    assert_eq!(
        shown(&stop.frames[0].locals),
        [("i32", "2048"), ("f64", "0.5"), ("i64", "1000000000000")]
    );
    assert_eq!(shown(&stop.frames[0].operands), [("i32", "33")]);
    assert_eq!(shown(&stop.frames[1].locals), [("i32", "9")]);
    assert_eq!(stop.instances[0].globals[0].bits.as_deref(), Some("0xfffffffffffffff9"));
    let id = stop.frames[0].memory.unwrap();
    assert_eq!(id, MemoryId { instance: 0, memory: 0 });
    let at = stop.frames[0].locals[0].address().unwrap();
    assert_eq!(stop.memory(id).unwrap().read(at, 16), b"a text in memory");
}

#[tokio::test]
async fn a_replay_reaches_the_state_that_the_attempt_had() {
    let component = compile(BROKEN).await;
    for function in ["trap", "divide", "outside", "fail", "bomb", "nonsense"] {
        let report = Trial::of(&component, function).run().await;
        let end = report.end.clone();
        let before = snapshot_of(report).await;
        let debugged = debug(BROKEN, function).await;
        assert_eq!(debugged.end, end, "{function}");
        let after = debugged.snapshot.unwrap();
        assert_eq!(after.instances, before.instances, "{function}");
        assert_eq!(after.trap, before.trap, "{function}");
    }
}

#[tokio::test]
async fn a_guest_that_returned_an_error_stands_nowhere() {
    let debugged = debug(BROKEN, "fail").await;
    assert!(matches!(debugged.end, AttemptEnd::Err { .. }));
    assert_eq!(debugged.stop, None);
    assert!(debugged.snapshot.is_ok());
}

#[tokio::test]
async fn a_guest_stands_inside_of_the_host_call_that_is_refused() {
    let wasm = guest("guest", include_str!("asking.wat"), "0.2.9");
    let asking = compile_wasm(wasm.clone()).await;
    let stopped = || -> Arc<dyn Effects> { Arc::new(Play::answering([]).stopping_at(1)) };
    let mut trial = Trial::of(&asking, "ask");
    trial.json = r#"{"size":0}"#.to_owned();
    trial.effects = stopped();
    let before = state_of(trial).await;
    let mut spec = replay("ask", r#"{"size":0}"#);
    spec.effects = stopped();
    let debugged = load_wasm(wasm).await.run(spec).await.unwrap();
    assert_eq!(debugged.end, AttemptEnd::Stopped);
    let stop = debugged.stop.unwrap();
    assert!(
        stop.causes.iter().any(|cause| cause.contains("ended by its host")),
        "{:?}",
        stop.causes
    );
    assert!(!stop.frames.is_empty());
    assert_eq!(debugged.snapshot.unwrap().instances, before);
}

#[tokio::test]
async fn fuel_runs_out_where_it_did() {
    let limits = || Limits {
        fuel: Some(10_000),
        ..Limits::default()
    };
    let component = compile(BROKEN).await;
    let mut trial = Trial::of(&component, "bomb");
    trial.limits = limits();
    let report = trial.run().await;
    let end = report.end.clone();
    let before = snapshot_of(report).await.instances;
    let mut spec = replay("bomb", "");
    spec.limits = Arc::new(limits());
    let debugged = load(BROKEN).await.run(spec).await.unwrap();
    assert_eq!(debugged.end, end);
    assert_eq!(debugged.snapshot.unwrap().instances, before);
    let mut spec = replay("spin", "");
    spec.limits = Arc::new(limits());
    let debugged = load(BROKEN).await.run(spec).await.unwrap();
    assert!(
        matches!(debugged.end, AttemptEnd::Limit { limit: Limit::Fuel, .. }),
        "{:?}",
        debugged.end
    );
}

#[tokio::test]
async fn a_guest_that_does_not_end_is_stopped_where_it_computes() {
    let mut spec = replay("spin", "");
    spec.time = Duration::from_millis(100);
    let debugged = load(BROKEN).await.run(spec).await.unwrap();
    assert_eq!(debugged.end, AttemptEnd::Timeout);
    // The function has no name; what it has done tells that it is the one.
    let stop = debugged.stop.unwrap();
    assert_eq!(stop.frames.len(), 1);
    assert_eq!(stop.instances[0].memories[0].read(70_000, 1), [4]);
}

#[tokio::test]
async fn a_recursion_without_end_overflows_here_too() {
    let debugged = debug(BROKEN, "overflow").await;
    assert!(
        matches!(&debugged.end, AttemptEnd::Trap { trap } if trap == "stack-overflow"),
        "{:?}",
        debugged.end
    );
    let stop = debugged.stop.unwrap();
    assert_eq!(stop.causes, ["stack-overflow"]);
    assert_eq!(names(&stop)[..2], ["deep", "deep"]);
    assert_eq!(stop.instances[0].memories[0].read(70_000, 1), [3]);
}

#[tokio::test]
async fn what_a_function_does_not_take_is_told() {
    let debuggee = load(FRAMES).await;
    assert!(debuggee.run(replay("outer", r#"{"x":"many"}"#)).await.is_err());
    assert!(debuggee.run(replay("other", "")).await.is_err());
}

#[tokio::test]
async fn code_for_debugging_is_compiled_in_the_child_once_and_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let wasm: Vec<u8> = wat::parse_str(FRAMES).unwrap();
    let digest = digest_of(&wasm);
    let kept = |suffix: &str| {
        let files = std::fs::read_dir(folder.path().join("cache")).unwrap();
        files
            .map(|file| file.unwrap().path())
            .find(|path| path.to_string_lossy().ends_with(suffix))
    };
    let sandbox = WasmSandbox::open(settings(folder.path())).unwrap();
    sandbox.load(digest, wasm.clone().into()).await.unwrap();
    let code = kept("-debug.code").unwrap();
    assert_eq!(kept("-plain.code"), None);
    let written = std::fs::metadata(&code).unwrap().modified().unwrap();
    drop(sandbox);
    // A program that is no compiler: what is in the cache needs none.
    let mut settings = settings(folder.path());
    settings.compiler.program = "/nonexistent".into();
    let sandbox = WasmSandbox::open(settings).unwrap();
    let debuggee = sandbox.load(digest, wasm.into()).await.unwrap();
    assert!(
        debuggee
            .run(replay("outer", r#"{"x":1}"#))
            .await
            .unwrap()
            .stop
            .is_some()
    );
    assert_eq!(std::fs::metadata(&code).unwrap().modified().unwrap(), written);
}
