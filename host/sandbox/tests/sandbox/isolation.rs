//! Nothing of one attempt is left for the next.

use crate::play::Play;
use crate::support::{BROKEN, Trial, compile, end_of, ok};
use fusebox_engine::ports::sandbox::AttemptEnd;
use std::sync::Arc;

#[tokio::test]
async fn case_30_each_attempt_has_a_fresh_instance() {
    let broken = compile(BROKEN).await;
    for _ in 0..20 {
        assert_eq!(end_of(&broken, "fine").await, ok("42"));
        assert!(matches!(end_of(&broken, "trap").await, AttemptEnd::Trap { .. }));
    }
}

#[tokio::test]
async fn case_16_a_trap_or_a_panic_of_the_host_poisons_nothing() {
    let broken = compile(BROKEN).await;
    // More traps than the pool has places, each store kept until its report is dropped.
    for _ in 0..40 {
        drop(Trial::of(&broken, "trap").run().await);
    }
    let asking = crate::effects::asking("0.2.0").await;
    let mut trial = Trial::of(&asking, "ask");
    trial.json = r#"{"size":0}"#.to_owned();
    trial.effects = Arc::new(Play::new(|_| panic!("a defect of the host")));
    assert!(matches!(trial.run().await.end, AttemptEnd::Host { .. }));
    assert_eq!(end_of(&broken, "fine").await, ok("42"));
}

#[tokio::test]
async fn many_at_once_do_not_meet() {
    let broken = compile(BROKEN).await;
    let runs: Vec<_> = (0..12).map(|_| Trial::of(&broken, "fine").start()).collect();
    for run in runs {
        assert_eq!(run.await.unwrap().end, ok("42"));
    }
}

#[tokio::test]
async fn an_input_of_another_function_or_component_is_not_run() {
    let broken = compile(BROKEN).await;
    let other = compile(
        r#"(component (core module $m (func (export "f") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m)) (func (export "fine") (result u32) (canon lift (core func $i "f"))))"#,
    )
    .await;
    let input = broken.decode("fine", "", 1 << 20).unwrap();
    for (component, function) in [(&other, "fine"), (&broken, "trap")] {
        let report = Trial::of(component, function).run_with(Arc::clone(&input)).await;
        assert!(matches!(report.end, AttemptEnd::Host { .. }), "{:?}", report.end);
    }
}
