//! A clock on tokio's paused time: it stands still while anything can run, and jumps to the next sleeper when nothing can.

use crate::ports::clock::Clock;
use async_trait::async_trait;
use fusebox_core::time::{Tick, Wall};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// For tests under `#[tokio::test(start_paused = true)]`.
#[derive(Debug)]
pub struct FakeClock {
    origin: tokio::time::Instant,
    /// Milliseconds since 1970 at the origin; tests turn it to show that nothing but display depends on it.
    wall: AtomicI64,
}

impl FakeClock {
    /// A clock that starts on 2026-01-01.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "tokio's paused clock is what this clock is made of"
    )]
    pub fn new() -> Self {
        Self {
            origin: tokio::time::Instant::now(),
            wall: AtomicI64::new(1_767_225_600_000),
        }
    }

    /// Sets the wall clock forward or back without touching the monotonic one.
    pub fn turn_wall(&self, by_millis: i64) {
        self.wall.fetch_add(by_millis, Ordering::SeqCst);
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn tick(&self) -> Tick {
        Tick(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> Wall {
        let passed = i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX);
        Wall(self.wall.load(Ordering::SeqCst).saturating_add(passed))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tokio's paused clock is what this clock is made of"
    )]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
