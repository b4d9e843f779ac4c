//! Time as a guest sees it: it stands still, except that each reading takes a microsecond and each effect that is let in moves it to its
//! instant. So a guest's state depends on what it did, and not on how fast the machine was.

use crate::pump::{Arrival, Pump};
use crate::state::State;
use fusebox_core::time::Wall;
use fusebox_engine::ports::sandbox::Moment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Host};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, async_trait};

/// What a reading of the clock costs, in nanoseconds: a guest that spins on it gets somewhere.
const READING: u64 = 1_000;

/// The clocks of one attempt, in nanoseconds.
pub(crate) struct VirtualClock {
    /// Since the start of the run: the monotonic clock.
    passed: AtomicU64,
    /// Since 1970-01-01T00:00:00Z.
    wall: AtomicU64,
}

impl VirtualClock {
    /// Clocks at the start of a run, which is `wall`.
    pub(crate) fn starting(wall: Wall) -> Self {
        Self {
            passed: AtomicU64::new(0),
            wall: AtomicU64::new(since_1970(wall)),
        }
    }

    /// Sets both to where an effect left them; neither goes back.
    pub(crate) fn settle(&self, at: Moment) {
        self.passed.fetch_max(nanos(at.passed), Ordering::Relaxed);
        self.wall.fetch_max(since_1970(at.wall), Ordering::Relaxed);
    }

    /// Moves both on until the monotonic one is at `due`.
    pub(crate) fn reach(&self, due: u64) {
        self.advance(due.saturating_sub(self.passed.load(Ordering::Relaxed)));
    }

    fn advance(&self, by: u64) {
        self.passed.fetch_add(by, Ordering::Relaxed);
        self.wall.fetch_add(by, Ordering::Relaxed);
    }

    fn monotonic(&self) -> u64 {
        self.advance(READING);
        self.passed.load(Ordering::Relaxed)
    }

    fn wall(&self) -> u64 {
        self.advance(READING);
        self.wall.load(Ordering::Relaxed)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn since_1970(wall: Wall) -> u64 {
    u64::try_from(wall.0).unwrap_or(0).saturating_mul(1_000_000)
}

/// The clock as the runtime takes it.
pub(super) struct Shared(pub(super) Arc<VirtualClock>);

impl HostMonotonicClock for Shared {
    fn resolution(&self) -> u64 {
        READING
    }

    fn now(&self) -> u64 {
        self.0.monotonic()
    }
}

impl HostWallClock for Shared {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(READING)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.wall())
    }
}

/// The effect behind each pollable of a timer that runs, by the pollable's number in the table.
pub(crate) type Timers = BTreeMap<u32, u32>;

/// Defines `wasi:clocks/monotonic-clock`, over the one that is there.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    monotonic_clock::add_to_linker::<State, Clocks>(linker, |state| ClockView {
        table: &mut state.table,
        clock: &state.clock,
        pump: &mut state.pump,
        timers: &mut state.timers,
    })
}

struct Clocks;

impl HasData for Clocks {
    type Data<'a> = ClockView<'a>;
}

struct ClockView<'a> {
    table: &'a mut ResourceTable,
    clock: &'a VirtualClock,
    pump: &'a mut Pump,
    timers: &'a mut Timers,
}

impl Host for ClockView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clock.monotonic())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(READING)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let now = self.clock.monotonic();
        self.timer(when, when.saturating_sub(now))
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let when = self.clock.monotonic().saturating_add(duration);
        self.timer(when, duration)
    }
}

impl ClockView<'_> {
    fn timer(&mut self, when: u64, after: u64) -> Result<Resource<DynPollable>> {
        // What is over already needs nobody to wait for it.
        let seq = match after {
            0 => None,
            after => Some(self.pump.begin_timer(Duration::from_nanos(after), when)?),
        };
        let timer = self.table.push(Timer(seq.map(|seq| self.pump.arrival(seq))))?;
        let pollable = subscribe(self.table, timer)?;
        if let Some(seq) = seq {
            self.timers.insert(pollable.rep(), seq);
        }
        Ok(pollable)
    }
}

/// A timer, and when it has fired; at once if it was over from the start.
pub(crate) struct Timer(Option<Arrival>);

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        if let Some(arrival) = &self.0 {
            arrival.here().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(passed: u64, wall: i64) -> Moment {
        Moment {
            passed: Duration::from_millis(passed),
            wall: Wall(wall),
        }
    }

    #[test]
    fn each_effect_moves_both_clocks_and_neither_goes_back() {
        let clock = VirtualClock::starting(Wall(5_000));
        assert_eq!((clock.monotonic(), clock.wall()), (1_000, 5_000_002_000));
        // The run went on after a gap: the wall clock shows it, the monotonic one does not.
        clock.settle(at(10, 90_000));
        assert_eq!((clock.monotonic(), clock.wall()), (10_001_000, 90_000_002_000));
        clock.settle(at(3, 80_000));
        assert_eq!((clock.monotonic(), clock.wall()), (10_003_000, 90_000_004_000));
        clock.reach(10_000_000);
        assert_eq!(clock.monotonic(), 10_005_000);
        clock.reach(12_000_000);
        assert_eq!((clock.monotonic(), clock.wall()), (12_001_000, 90_002_002_000));
    }
}
