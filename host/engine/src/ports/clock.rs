//! Time: the one module that reads the machine's clocks and the one that sleeps.

use async_trait::async_trait;
use fusebox_core::time::{Tick, Wall};
use std::time::{Duration, Instant, SystemTime};

/// Time as the engine sees it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The monotonic clock, for everything that is measured.
    fn tick(&self) -> Tick;
    /// The wall clock, for everything that is stored or shown.
    fn wall(&self) -> Wall;
    /// Returns once `duration` has passed.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose ticks count from now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    fn tick(&self) -> Tick {
        let passed = Instant::now().saturating_duration_since(self.origin);
        Tick(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    fn wall(&self) -> Wall {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Wall(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this module is the clock")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
