//! The end of an attempt that its guest does not choose: its time is over, or somebody cancelled it.

use fusebox_core::time::Tick;
use fusebox_engine::ports::clock::{Clock, SystemClock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why an attempt was ended. As an error inside the guest it unwinds its stack, and a dump of the store attaches to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the attempt's time is over")]
    Timeout,
    #[error("the attempt was cancelled")]
    Cancelled,
}

/// When an attempt has to end.
#[derive(Clone)]
pub(crate) struct Deadline {
    clock: SystemClock,
    at: Tick,
    cancel: CancellationToken,
}

impl Deadline {
    /// A deadline at that tick of `clock`, or when `cancel` is cancelled.
    pub(crate) fn new(clock: SystemClock, at: Tick, cancel: CancellationToken) -> Self {
        Self { clock, at, cancel }
    }

    /// Why the attempt has to end, if it has to.
    pub(crate) fn over(&self) -> Option<Ended> {
        if self.cancel.is_cancelled() {
            Some(Ended::Cancelled)
        } else if self.clock.tick() >= self.at {
            Some(Ended::Timeout)
        } else {
            None
        }
    }

    /// Returns once the attempt has to end.
    pub(crate) async fn passed(&self) -> Ended {
        let left = self.at.since(self.clock.tick());
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Ended::Cancelled,
            () = self.clock.sleep(left) => Ended::Timeout,
        }
    }

    /// Returns when the attempt had to end and, `grace` later, still has not.
    pub(crate) async fn overrun(&self, grace: Duration) -> Ended {
        let ended = self.passed().await;
        self.clock.sleep(grace).await;
        ended
    }
}
