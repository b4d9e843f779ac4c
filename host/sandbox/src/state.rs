//! What a store holds for its attempt.

use crate::deadline::Deadline;
use crate::http::Unfinished;
use crate::http::heads::Heads;
use crate::limits::{GuestBudget, HostMemory, Refusal};
use crate::pump::Pump;
use crate::values::Arguments;
use crate::wasi::clock::{Timers, VirtualClock};
use crate::wasi::{self, log::Collector};
use fusebox_engine::ports::clock::{Clock as _, SystemClock};
use fusebox_engine::ports::sandbox::AttemptSpec;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Host resources that a guest may hold at once, if the table's share of the host's memory has room for them.
const RESOURCES: u64 = 16_384;
/// Bytes that one takes in the table, with what keeps it apart from the others.
const RESOURCE: u64 = 256;
/// Which part of the host's memory the table may take: one of so many.
const TABLE_SHARE: u64 = 16;

/// The data of a store.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) budget: GuestBudget,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) log: Arc<Collector>,
    pub(crate) pump: Pump,
    pub(crate) timers: Timers,
    pub(crate) unfinished: Unfinished,
    pub(crate) host_memory: Arc<HostMemory>,
    pub(crate) heads: Heads,
    env: Arc<[(String, String)]>,
    seed: [u8; 32],
    /// Made when the guest first asks for something: a function that only computes never does.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
}

impl State {
    /// The state of an attempt that starts now, where no memory is larger than `largest` bytes.
    pub(crate) fn new(spec: &AttemptSpec, largest: usize, clock: SystemClock) -> Self {
        let allowed = spec.limits.host_memory;
        let resources = RESOURCES.min(allowed / TABLE_SHARE / RESOURCE);
        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(resources).unwrap_or(usize::MAX));
        let arguments = spec.input.as_any().downcast_ref().map_or(0, Arguments::held);
        let host_memory = HostMemory::new(allowed, arguments.saturating_add(resources * RESOURCE));
        let now = clock.tick();
        let deadline = Deadline::new(clock, now + spec.timeout, spec.cancel.clone());
        let virtual_clock = Arc::new(VirtualClock::starting(spec.wall));
        Self {
            table,
            budget: GuestBudget::new(Arc::clone(&spec.limits), largest),
            log: Collector::new(spec.limits.log, Arc::clone(&spec.effects)),
            pump: Pump::new(&spec.effects, deadline, &virtual_clock, &host_memory),
            timers: Timers::new(),
            unfinished: Unfinished::new(),
            env: Arc::clone(&spec.env),
            seed: spec.seed,
            wasi: None,
            http: WasiHttpCtx::new(),
            clock: virtual_clock,
            heads: Heads::new(&host_memory),
            host_memory,
        }
    }

    /// The limit that was refused, if any was.
    pub(crate) fn refused(&self) -> Option<Refusal> {
        self.budget.refused().cloned().or_else(|| self.host_memory.refused())
    }
}

/// Lets a call between guest and host carry no more than the host may still hold.
pub(crate) fn bound_crossing(store: &mut StoreContextMut<'_, State>) {
    let left = store.data().host_memory.left();
    store.set_hostcall_fuel(usize::try_from(left).unwrap_or(usize::MAX));
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self
            .wasi
            .get_or_insert_with(|| wasi::context(&self.env, self.seed, &self.clock, &self.log));
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: Default::default(),
        }
    }
}
