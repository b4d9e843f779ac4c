//! The moment at which an exchange must be over.

use fusebox_core::time::Tick;
use fusebox_engine::ports::clock::Clock;
use std::sync::Arc;
use std::time::Duration;

/// A moment on a clock.
#[derive(Clone)]
pub(crate) struct Deadline {
    clock: Arc<dyn Clock>,
    at: Tick,
}

impl Deadline {
    pub(crate) fn after(clock: Arc<dyn Clock>, duration: Duration) -> Self {
        let at = clock.tick() + duration;
        Self { clock, at }
    }

    /// This one, or `duration` from now if that is earlier.
    pub(crate) fn or_after(&self, duration: Duration) -> Self {
        let at = self.at.min(self.clock.tick() + duration);
        Self {
            clock: self.clock.clone(),
            at,
        }
    }

    /// Runs `future`, or drops it when the moment comes first.
    pub(crate) async fn bound<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = future => Some(done),
            () = self.clock.sleep(self.at.since(self.clock.tick())) => None,
        }
    }
}
