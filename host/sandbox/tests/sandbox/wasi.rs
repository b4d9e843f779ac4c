//! What WASI gives, and what it refuses.

use crate::effects::asking;
use crate::play::{Play, Reply};
use crate::support::{Trial, compile, end_of, ok};
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use fusebox_engine::ports::sandbox::{AttemptEnd, Got};
use std::sync::Arc;
use std::time::Duration;

async fn roll(seed: u8) -> AttemptEnd {
    let mut trial = Trial::of(&asking("0.2.0").await, "roll");
    trial.seed = [seed; 32];
    trial.run().await.end
}

#[tokio::test]
async fn random_numbers_follow_from_the_seed() {
    assert_eq!(roll(1).await, roll(1).await);
    assert_ne!(roll(1).await, roll(2).await);
}

async fn times(version: &str, play: Play) -> Vec<u64> {
    let mut trial = Trial::of(&asking(version).await, "times");
    trial.json = r#"{"pause":30000000}"#.to_owned();
    trial.effects = Arc::new(play);
    match trial.run().await.end {
        AttemptEnd::Ok { json } => serde_json::from_str(&json).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Timers that fire at once, and leave the clock at so many microseconds.
fn firing_at(passed: u64) -> Play {
    Play::new(|_| Reply::Give(Duration::ZERO, Got::Timer)).at(Duration::from_micros(passed))
}

#[tokio::test]
async fn time_stands_still_except_for_readings_and_effects() {
    // The first reading, and after the timer one more.
    assert_eq!(times("0.2.9", firing_at(45_678)).await, [1_000, 45_679_000]);
}

#[tokio::test]
async fn a_timer_that_fired_is_over_by_the_clock_of_the_guest() {
    for (version, passed) in [("0.2.6", 29_999), ("0.2.12", 0)] {
        // The first reading, the one of the timer, 30 ms, and the last.
        assert_eq!(times(version, firing_at(passed)).await, [1_000, 30_003_000]);
    }
}

#[tokio::test]
async fn a_timer_does_not_outlast_the_attempt() {
    let mut trial = Trial::of(&asking("0.2.12").await, "times");
    trial.effects = Arc::new(Play::hanging());
    trial.json = r#"{"pause":60000000000}"#.to_owned();
    trial.timeout = Duration::from_millis(40);
    let report = trial.run().await;
    assert_eq!(report.end, AttemptEnd::Timeout);
    assert!(!report.backtrace.is_empty());
}

#[tokio::test]
async fn cancelling_ends_a_guest_that_waits() {
    let mut trial = Trial::of(&asking("0.2.6").await, "times");
    trial.effects = Arc::new(Play::hanging());
    trial.json = r#"{"pause":60000000000}"#.to_owned();
    let cancel = trial.cancel.clone();
    let run = trial.start();
    SystemClock::new().sleep(Duration::from_millis(20)).await;
    cancel.cancel();
    assert_eq!(run.await.unwrap().end, AttemptEnd::Cancelled);
}

#[tokio::test]
async fn an_exit_is_told_with_its_code() {
    let exiting = compile(
        r#"(component
          (import "wasi:cli/exit@0.2.3" (instance $exit (export "exit" (func (param "status" (result))))))
          (core func $exit (canon lower (func $exit "exit")))
          (core module $m (import "host" "exit" (func $exit (param i32)))
            (func (export "leave") (param i32) (call $exit (local.get 0))))
          (core instance $i (instantiate $m (with "host" (instance (export "exit" (func $exit))))))
          (func (export "leave") (param "status" u32) (canon lift (core func $i "leave"))))"#,
    )
    .await;
    for code in [0, 1] {
        let mut trial = Trial::of(&exiting, "leave");
        trial.json = format!(r#"{{"status":{code}}}"#);
        assert_eq!(trial.run().await.end, AttemptEnd::Exit { code });
    }
}

#[tokio::test]
async fn a_guest_that_imports_sockets_runs_and_is_refused_at_use() {
    let socket = compile(
        r#"(component
          (import "wasi:sockets/network@0.2.0" (instance $network
            (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout"
              "concurrency-conflict" "not-in-progress" "would-block" "invalid-state" "new-socket-limit"
              "address-not-bindable" "address-in-use" "remote-unreachable" "connection-refused" "connection-reset"
              "connection-aborted" "datagram-too-large" "name-unresolvable" "temporary-resolver-failure"
              "permanent-resolver-failure"))
            (export "error-code" (type (eq $codes)))
            (type $families (enum "ipv4" "ipv6"))
            (export "ip-address-family" (type (eq $families)))))
          (alias export $network "error-code" (type $code))
          (alias export $network "ip-address-family" (type $family))
          (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
          (alias export $tcp "tcp-socket" (type $socket))
          (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $create
            (alias outer 1 $code (type $c)) (export "error-code" (type $code (eq $c)))
            (alias outer 1 $family (type $f)) (export "ip-address-family" (type $family (eq $f)))
            (alias outer 1 $socket (type $s)) (export "tcp-socket" (type $socket (eq $s)))
            (export "create-tcp-socket"
              (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))
          (core module $libc (memory (export "memory") 1))
          (core instance $libc (instantiate $libc))
          (alias core export $libc "memory" (core memory $memory))
          (core func $create (canon lower (func $create "create-tcp-socket") (memory $memory)))
          (core module $m (import "libc" "memory" (memory 1)) (import "host" "create" (func $create (param i32 i32)))
            (func (export "open") (result i32)
              (call $create (i32.const 0) (i32.const 8))
              (i32.add (i32.mul (i32.load8_u (i32.const 8)) (i32.const 100)) (i32.load8_u (i32.const 12)))))
          (core instance $i (instantiate $m (with "libc" (instance $libc))
            (with "host" (instance (export "create" (func $create))))))
          (func (export "open") (result u32) (canon lift (core func $i "open"))))"#,
    )
    .await;
    // An error, and it is `access-denied`.
    assert_eq!(end_of(&socket, "open").await, ok("101"));
}
