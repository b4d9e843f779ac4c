//! Bounds on what the host does for a guest.

use crate::effects::{answer, asking, weaving};
use crate::play::Play;
use crate::support::{Trial, compile, ok};
use fusebox_engine::ports::sandbox::{AttemptEnd, Limit};
use std::sync::Arc;

/// Prints `lines` lines of ten bytes, alternately on both streams, in the way that wasi-libc does.
pub(crate) const PRINTING: &str = r#"
(component
  (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
  (alias export $error "error" (type $error'))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error' (type $e)) (export "error" (type $error (eq $e)))
    (export "output-stream" (type $out (sub resource)))
    (type $why (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $failed (eq $why)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $out)) (param "contents" (list u8)) (result (result (error $failed)))))))
  (alias export $streams "output-stream" (type $stream))
  (import "wasi:cli/stdout@0.2.0" (instance $stdout
    (alias outer 1 $stream (type $s)) (export "output-stream" (type $out (eq $s)))
    (export "get-stdout" (func (result (own $out))))))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $stream (type $s)) (export "output-stream" (type $out (eq $s)))
    (export "get-stderr" (func (result (own $out))))))
  (core module $libc (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))
  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $get-stderr (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory $memory) (realloc $realloc)))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "host" "stdout" (func $stdout (result i32)))
    (import "host" "stderr" (func $stderr (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (data (i32.const 100) "out line.\nerr line.\n")
    (func (export "print") (param $lines i32) (result i32) (local $out i32) (local $err i32) (local $i i32)
      (local.set $out (call $stdout)) (local.set $err (call $stderr))
      (block $done (loop $more
        (br_if $done (i32.eq (local.get $i) (local.get $lines)))
        (if (i32.and (local.get $i) (i32.const 1))
          (then (call $write (local.get $err) (i32.const 110) (i32.const 10) (i32.const 8)))
          (else (call $write (local.get $out) (i32.const 100) (i32.const 10) (i32.const 8))))
        (if (i32.load8_u (i32.const 8)) (then unreachable))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $more)))
      (local.get $i)))
  (core instance $i (instantiate $m (with "libc" (instance $libc)) (with "host" (instance
    (export "stdout" (func $get-stdout)) (export "stderr" (func $get-stderr)) (export "write" (func $write))))))
  (func (export "print") (param "lines" u32) (result u32) (canon lift (core func $i "print"))))
"#;

#[tokio::test]
async fn a_flood_of_output_is_cut_in_the_middle_and_never_an_error() {
    let mut trial = Trial::of(&compile(PRINTING).await, "print");
    trial.json = r#"{"lines":10000}"#.to_owned();
    trial.limits.log = 1_000;
    let report = trial.run().await;
    assert_eq!(report.end, ok("10000"));
    let kept = report.log.head.len() + report.log.tail.len();
    assert!((20..100).contains(&kept), "{kept}");
    assert_eq!(report.log.dropped, (10_000 - kept as u64) * 10);
}

#[tokio::test]
async fn both_streams_are_the_log_in_their_order() {
    let mut trial = Trial::of(&compile(PRINTING).await, "print");
    trial.json = r#"{"lines":3}"#.to_owned();
    let log = trial.run().await.log;
    let lines: Vec<_> = log.head.iter().map(|line| (line.err, line.text.as_str())).collect();
    assert_eq!(lines, [(false, "out line."), (true, "err line."), (false, "out line.")]);
}

#[tokio::test]
async fn a_guest_that_hoards_host_resources_ends_at_the_limit_of_host_memory() {
    for (count, fits) in [(1_000, true), (100_000, false)] {
        let mut trial = Trial::of(&asking("0.2.0").await, "hoard");
        trial.json = format!(r#"{{"count":{count}}}"#);
        let end = trial.run().await.end;
        match end {
            AttemptEnd::Ok { .. } => assert!(fits, "{count}"),
            AttemptEnd::Limit { limit, .. } => assert!(!fits && limit == Limit::HostMemory, "{count}"),
            other => panic!("{count}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn heads_that_a_guest_holds_count_and_those_that_it_let_go_of_do_not() {
    let answer = answer(200, &"x".repeat(3 << 20));
    for (drop, fits) in [(1, true), (0, false)] {
        let mut trial = Trial::of(&weaving("0.2.6").await, "heads");
        trial.json = format!(r#"{{"count":500,"drop":{drop}}}"#);
        trial.limits.host_memory = 4 << 20;
        trial.effects = Arc::new(Play::answering([("/step/0", answer.clone())]));
        match trial.run().await.end {
            AttemptEnd::Ok { json } => assert!(fits && json == "200", "{json}"),
            AttemptEnd::Limit { limit, .. } => assert!(!fits && limit == Limit::HostMemory),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn arguments_bodies_and_resources_are_one_sum() {
    // Two bodies of 400,000 bytes each, twice, beside the table's share of a sixteenth.
    for (host_memory, fits) in [(1 << 20, true), (850_000, false)] {
        let mut trial = Trial::of(&weaving("0.2.6").await, "interleaved");
        trial.json = r#"{"size":200000,"trap":0}"#.to_owned();
        trial.limits.host_memory = host_memory;
        let play = Arc::new(Play::answering([]));
        trial.effects = Arc::<Play>::clone(&play);
        match trial.run().await.end {
            AttemptEnd::Ok { .. } => assert!(fits, "{host_memory}"),
            AttemptEnd::Limit { limit, .. } => {
                assert!(!fits && limit == Limit::HostMemory, "{host_memory}");
                assert!(play.requests().is_empty(), "refused as it was written");
            }
            other => panic!("{host_memory}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_request_is_not_held_beside_its_answer() {
    let mut trial = Trial::of(&asking("0.2.9").await, "ask");
    trial.json = r#"{"size":500000}"#.to_owned();
    trial.limits.host_memory = 850_000;
    trial.effects = Arc::new(Play::answering([("/step", answer(200, &"x".repeat(500_000)))]));
    assert!(matches!(trial.run().await.end, AttemptEnd::Ok { .. }));
}
