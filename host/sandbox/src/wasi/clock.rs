//! Time as a guest sees it: it stands still, except that each reading takes a microsecond, each settled effect moves it
//! to its instant, and each timer that fires moves it to its deadline. So a guest's state depends on what it did, and not
//! on how fast the machine was.

use crate::state::State;
use fusebox_core::time::{Tick, Wall};
use fusebox_engine::ports::clock::{Clock, SystemClock};
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

/// The clock of one attempt.
pub(crate) struct VirtualClock {
    real: SystemClock,
    start: Tick,
    wall: Wall,
    /// Nanoseconds since the start, as the guest knows them.
    passed: AtomicU64,
}

impl VirtualClock {
    /// A clock that starts now, which is `start` on the real one.
    pub(crate) fn starting(real: SystemClock, start: Tick) -> Self {
        Self {
            real,
            start,
            wall: real.wall(),
            passed: AtomicU64::new(0),
        }
    }

    /// Moves it to the present: an effect has settled.
    pub(crate) fn settle(&self) {
        let passed = self.real.tick().since(self.start);
        self.advance(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
    }

    fn advance(&self, to: u64) {
        self.passed.fetch_max(to, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.passed
            .fetch_add(READING, Ordering::Relaxed)
            .saturating_add(READING)
    }
}

/// The clock as the runtime takes it.
pub(super) struct Shared(pub(super) Arc<VirtualClock>);

impl HostMonotonicClock for Shared {
    fn resolution(&self) -> u64 {
        READING
    }

    fn now(&self) -> u64 {
        self.0.read()
    }
}

impl HostWallClock for Shared {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(READING)
    }

    fn now(&self) -> Duration {
        let start = Duration::from_millis(u64::try_from(self.0.wall.0).unwrap_or(0));
        start.saturating_add(Duration::from_nanos(self.0.read()))
    }
}

/// Defines `wasi:clocks/monotonic-clock`, over the one that is there.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    monotonic_clock::add_to_linker::<State, Timers>(linker, |state| TimerView {
        table: &mut state.table,
        clock: &state.clock,
    })
}

struct Timers;

impl HasData for Timers {
    type Data<'a> = TimerView<'a>;
}

struct TimerView<'a> {
    table: &'a mut ResourceTable,
    clock: &'a Arc<VirtualClock>,
}

impl Host for TimerView<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clock.read())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(READING)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let now = self.clock.read();
        self.timer(when, Duration::from_nanos(when.saturating_sub(now)))
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let when = self.clock.read().saturating_add(duration);
        self.timer(when, Duration::from_nanos(duration))
    }
}

impl TimerView<'_> {
    fn timer(&mut self, when: u64, after: Duration) -> Result<Resource<DynPollable>> {
        let clock = Arc::clone(self.clock);
        let due = clock.real.tick() + after;
        let timer = self.table.push(Timer { clock, due, when })?;
        subscribe(self.table, timer)
    }
}

/// A timer: really awaited, and then the guest's clock shows what the guest waited for.
pub(crate) struct Timer {
    clock: Arc<VirtualClock>,
    due: Tick,
    when: u64,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        let left = self.due.since(self.clock.real.tick());
        if left.is_zero() {
            // A guest that polls without a pause must not keep the thread from the tasks that it waits for.
            tokio::task::yield_now().await;
        } else {
            self.clock.real.sleep(left).await;
        }
        self.clock.advance(self.when);
    }
}
