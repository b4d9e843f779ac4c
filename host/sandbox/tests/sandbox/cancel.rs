//! Cancelling, and what happens to others meanwhile.

use crate::support::{BROKEN, Trial, compile, ok};
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use fusebox_engine::ports::sandbox::AttemptEnd;
use std::time::Duration;

#[tokio::test]
async fn cancelling_ends_a_guest_that_computes() {
    let trial = Trial::of(&compile(BROKEN).await, "spin");
    let cancel = trial.cancel.clone();
    let run = trial.start();
    SystemClock::new().sleep(Duration::from_millis(20)).await;
    cancel.cancel();
    let report = run.await.unwrap();
    assert_eq!(report.end, AttemptEnd::Cancelled);
    assert!(!report.backtrace.is_empty());
}

#[tokio::test]
async fn an_attempt_that_was_cancelled_before_it_began_does_not_run() {
    let trial = Trial::of(&compile(BROKEN).await, "spin");
    trial.cancel.cancel();
    assert_eq!(trial.run().await.end, AttemptEnd::Cancelled);
}

#[tokio::test]
async fn spinning_guests_delay_another_by_a_few_ticks() {
    let broken = compile(BROKEN).await;
    let spinning: Vec<_> = (0..4)
        .map(|_| {
            let mut trial = Trial::of(&broken, "spin");
            trial.timeout = Duration::from_secs(30);
            (trial.cancel.clone(), trial.start())
        })
        .collect();
    let clock = SystemClock::new();
    clock.sleep(Duration::from_millis(50)).await;
    let start = clock.tick();
    for _ in 0..10 {
        assert_eq!(Trial::of(&broken, "fine").run().await.end, ok("42"));
    }
    let each = clock.tick().since(start) / 10;
    for (cancel, run) in spinning {
        cancel.cancel();
        assert_eq!(run.await.unwrap().end, AttemptEnd::Cancelled);
    }
    // Two spinning guests before it on either thread, a tick each; the rest is for a busy machine.
    assert!(each < Duration::from_millis(500), "{each:?}");
}
