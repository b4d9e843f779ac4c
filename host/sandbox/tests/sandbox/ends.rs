//! Every way in which an attempt ends, told as what it is.

use crate::support::{BROKEN, Trial, compile, end_of, ok};
use fusebox_engine::ports::sandbox::{AttemptEnd, Limit};
use std::time::Duration;

fn trap(name: &str) -> AttemptEnd {
    AttemptEnd::Trap { trap: name.to_owned() }
}

fn limit(end: &AttemptEnd) -> Limit {
    match end {
        AttemptEnd::Limit { limit, .. } => *limit,
        other => panic!("no limit ended it: {other:?}"),
    }
}

#[tokio::test]
async fn a_value_comes_back_as_json() {
    assert_eq!(end_of(&compile(BROKEN).await, "fine").await, ok("42"));
}

#[tokio::test]
async fn arguments_and_strings_cross_both_ways() {
    let echo = compile(
        r#"(component
          (core module $m
            (memory (export "memory") 1) (global $free (mut i32) (i32.const 1024))
            (func (export "realloc") (param i32 i32 i32 i32) (result i32)
              (global.get $free) (global.set $free (i32.add (global.get $free) (local.get 3))))
            (func (export "echo") (param i32 i32) (result i32)
              (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1)) (i32.const 8)))
          (core instance $i (instantiate $m))
          (alias core export $i "memory" (core memory $memory))
          (alias core export $i "realloc" (core func $realloc))
          (func (export "echo") (param "text" string) (result string)
            (canon lift (core func $i "echo") (memory $memory) (realloc $realloc))))"#,
    )
    .await;
    let mut trial = Trial::of(&echo, "echo");
    trial.json = r#"{"text":"grüße ☃"}"#.to_owned();
    assert_eq!(trial.run().await.end, ok(r#""grüße ☃""#));
    assert!(echo.decode("echo", r#"{"text":3}"#, 1 << 20).is_err());
    assert!(echo.decode("nowhere", "{}", 1 << 20).is_err());
}

#[tokio::test]
async fn an_error_of_the_function_is_no_trap() {
    let end = end_of(&compile(BROKEN).await, "fail").await;
    let expected = AttemptEnd::Err {
        case: Some("broken".to_owned()),
        json: r#""broken""#.to_owned(),
    };
    assert_eq!(end, expected);
}

#[tokio::test]
async fn traps_have_their_names_and_their_frames() {
    let broken = compile(BROKEN).await;
    assert_eq!(end_of(&broken, "divide").await, trap("division-by-zero"));
    assert_eq!(end_of(&broken, "outside").await, trap("memory-out-of-bounds"));
    let report = Trial::of(&broken, "trap").run().await;
    assert_eq!(report.end, trap("unreachable"));
    assert!(
        report.backtrace.first().unwrap().contains("boom"),
        "{:?}",
        report.backtrace
    );
}

#[tokio::test]
async fn endless_recursion_is_a_trap_of_the_guest_and_not_of_the_host() {
    let report = Trial::of(&compile(BROKEN).await, "overflow").run().await;
    assert_eq!(report.end, trap("stack-overflow"));
    assert!(
        report.backtrace.first().unwrap().contains("deep"),
        "{:?}",
        report.backtrace
    );
}

#[tokio::test]
async fn a_memory_bomb_ends_at_its_limit_and_not_as_the_trap_that_follows() {
    let report = Trial::of(&compile(BROKEN).await, "bomb").run().await;
    assert_eq!(limit(&report.end), Limit::Memory);
    assert!(
        format!("{:?}", report.end).contains("limits.memory"),
        "{:?}",
        report.end
    );
}

#[tokio::test]
async fn a_limit_above_what_the_pool_holds_ends_at_what_it_holds() {
    let broken = compile(BROKEN).await;
    let mut trial = Trial::of(&broken, "bomb");
    trial.limits.memory = 1 << 30;
    let end = trial.run().await.end;
    assert_eq!(limit(&end), Limit::Memory);
    assert!(format!("{end:?}").contains("instance of the pool"), "{end:?}");
}

#[tokio::test]
async fn a_table_bomb_ends_at_its_limit() {
    let broken = compile(BROKEN).await;
    let mut trial = Trial::of(&broken, "tables");
    trial.limits.table_elements = 5_000;
    assert_eq!(limit(&trial.run().await.end), Limit::Tables);
}

#[tokio::test]
async fn a_guest_that_takes_a_refusal_well_goes_on() {
    assert_eq!(end_of(&compile(BROKEN).await, "grow-politely").await, ok("-1"));
}

#[tokio::test]
async fn a_component_that_starts_with_too_much_never_starts() {
    let broken = compile(BROKEN).await;
    let mut trial = Trial::of(&broken, "fine");
    trial.limits.memory = 65_536;
    assert_eq!(limit(&trial.run().await.end), Limit::Memory);
    let mut trial = Trial::of(&broken, "fine");
    trial.limits.instances = 0;
    assert_eq!(limit(&trial.run().await.end), Limit::Instances);
}

#[tokio::test]
async fn a_result_larger_than_its_limit_is_not_printed() {
    let broken = compile(BROKEN).await;
    let mut trial = Trial::of(&broken, "large");
    trial.limits.output = 99_999;
    assert_eq!(limit(&trial.run().await.end), Limit::Output);
    assert!(matches!(end_of(&broken, "large").await, AttemptEnd::Ok { json } if json.len() == 100_002));
}

#[tokio::test]
async fn a_value_that_cannot_be_lifted_breaks_the_abi() {
    assert!(matches!(
        end_of(&compile(BROKEN).await, "nonsense").await,
        AttemptEnd::Abi { .. }
    ));
}

#[tokio::test]
async fn time_ends_a_guest_that_computes() {
    let mut trial = Trial::of(&compile(BROKEN).await, "spin");
    trial.timeout = Duration::from_millis(50);
    let report = trial.run().await;
    assert_eq!(report.end, AttemptEnd::Timeout);
    assert!(!report.backtrace.is_empty());
}

#[tokio::test]
async fn fuel_ends_a_guest_at_the_same_place_each_time() {
    let broken = compile(BROKEN).await;
    let mut places = Vec::new();
    for _ in 0..2 {
        let mut trial = Trial::of(&broken, "spin");
        trial.limits.fuel = Some(100_000);
        let report = trial.run().await;
        assert_eq!(limit(&report.end), Limit::Fuel);
        places.push(report.backtrace);
    }
    assert_eq!(places[0], places[1]);
    let mut trial = Trial::of(&broken, "fine");
    trial.limits.fuel = Some(100_000);
    assert_eq!(trial.run().await.end, ok("42"));
}
