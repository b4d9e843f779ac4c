//! The simulator's own clock: it stands for the world outside, whose time nobody turns.

use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "the world outside has a clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "the world outside has a clock of its own")]
pub(crate) async fn sleep(duration: Duration) {
    tokio::time::sleep(duration).await;
}
