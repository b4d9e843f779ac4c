//! The database's clock between two answers of it: the monotonic one, and how far it is behind.

use crate::ports::clock::Clock;
use fusebox_core::time::{Tick, Wall};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// The time by the clock of the database; by the machine's until the database was asked.
pub(super) struct SharedTime {
    /// The database's time when the monotonic clock was at its origin, in milliseconds since 1970.
    origin: AtomicI64,
    known: AtomicBool,
}

impl SharedTime {
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self {
            origin: AtomicI64::new((clock.wall() - passed(clock.tick())).0),
            known: AtomicBool::new(false),
        }
    }

    /// Whether the database was asked.
    pub(super) fn is_known(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// The database's time at that tick.
    pub(super) fn at(&self, now: Tick) -> Wall {
        Wall(self.origin.load(Ordering::Acquire)) + passed(now)
    }

    /// Takes an answer of the database, which read its clock at some time between question and answer: half way, to be wrong by
    /// half of the round trip at most (Cristian 1989).
    pub(super) fn learn(&self, time: Wall, asked: Tick, answered: Tick) {
        let read = asked + answered.since(asked) / 2;
        self.origin.store((time - passed(read)).0, Ordering::Release);
        self.known.store(true, Ordering::Release);
    }
}

/// Since the origin of the monotonic clock.
fn passed(tick: Tick) -> Duration {
    tick.since(Tick::default())
}
