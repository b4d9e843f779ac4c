//! The runtime's engines and their settings: one that takes instances from a pool, one that allocates on demand for
//! components too large for it, one whose code counts fuel, and one whose code lets its state be read while it stands.

use fusebox_engine::ports::sandbox::Pool;
use sha2::{Digest as _, Sha256};
use std::hash::{Hash, Hasher};
use std::num::NonZeroUsize;
use wasmtime::component::Component;
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Result, WasmBacktraceDetails,
};

/// Runtime and version, as snapshots name it.
pub(crate) const RUNTIME: &str = "wasmtime 48.0.8";
/// Largest memory that the pool holds, in bytes; reserved, not committed.
pub(crate) const POOLED_MEMORY: usize = 256 << 20;
/// Address space behind each memory that traps, in bytes.
const GUARD: u64 = 32 << 20;
/// Core instances of a component that the pool holds, and tables. Python's components need about 50.
const PER_COMPONENT: u32 = 64;
/// Memories that the pool holds for each component instance.
const MEMORIES: u32 = 4;
/// Tables that the pool holds for each component instance.
const TABLES: u32 = 8;
/// Elements of a table that the pool holds.
const TABLE_ELEMENTS: usize = 65_536;
/// Stack of a guest, in bytes, and of the fiber that it runs on: the rest is for host functions.
const GUEST_STACK: usize = 1 << 20;
const FIBER_STACK: usize = 2 << 20;
/// How much larger the stacks of debugged code are: its frames keep every local and operand in memory.
const DEBUG_FRAMES: usize = 8;
/// Frames of a backtrace.
const FRAMES: usize = 64;

/// A core module whose only function traps: called in the store of an attempt that did not trap, its error carries a
/// dump of the whole store.
const TRAP_MODULE: &str = r#"(module (func (export "t") unreachable))"#;

/// How code was compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Variant {
    /// As usual: only time bounds computing.
    Plain,
    /// Counting fuel, for tools with `limits.fuel`.
    Fueled,
    /// Keeping frames, locals and operands readable, for replays that somebody looks at. It counts fuel too, so that a
    /// guest runs out of it where it did.
    Debug,
}

impl Variant {
    /// The name in file names and messages between processes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Fueled => "fueled",
            Self::Debug => "debug",
        }
    }
}

/// All engines of a sandbox.
pub(crate) struct Engines {
    pub(crate) pooled: Runtime,
    pub(crate) on_demand: Runtime,
    pub(crate) fueled: Runtime,
    pub(crate) debug: Runtime,
    /// Component instances that the pool has room for.
    size: u32,
}

impl Engines {
    /// Engines whose pool holds so many component instances.
    pub(crate) fn new(pool: u32) -> Result<Self> {
        Ok(Self {
            pooled: Runtime::new(&pooled(pool))?,
            on_demand: Runtime::new(&config(Variant::Plain))?,
            fueled: Runtime::new(&config(Variant::Fueled))?,
            debug: Runtime::new(&config(Variant::Debug))?,
            size: pool.max(1),
        })
    }

    /// How full the pool is.
    pub(crate) fn pool(&self) -> Option<Pool> {
        let metrics = self.pooled.engine.pooling_allocator_metrics()?;
        Some(Pool {
            in_use: usize::try_from(metrics.component_instances()).unwrap_or(usize::MAX),
            size: self.size as usize,
        })
    }

    /// Fingerprint of the settings that compiled code depends on; equal on the engines that share code.
    pub(crate) fn fingerprint(&self, variant: Variant) -> String {
        match variant {
            Variant::Plain => fingerprint(&self.pooled.engine),
            Variant::Fueled => fingerprint(&self.fueled.engine),
            Variant::Debug => fingerprint(&self.debug.engine),
        }
    }
}

/// One engine, and the module that makes its stores tell their state.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) trap: Module,
}

impl Runtime {
    fn new(config: &Config) -> Result<Self> {
        let engine = Engine::new(config)?;
        let trap = Module::new(&engine, TRAP_MODULE)?;
        Ok(Self { engine, trap })
    }
}

/// An engine with the settings of the one that tools run on, for so many component instances: what the call boundary
/// costs is measured against it.
///
/// # Errors
/// The runtime's, when the machine refuses the pool.
pub fn pooled_engine(pool: u32) -> Result<Engine> {
    Engine::new(&pooled(pool))
}

/// An engine that only compiles: it reserves no pool.
pub(crate) fn compiler(variant: Variant) -> Result<Engine> {
    Engine::new(&config(variant))
}

fn pooled(pool: u32) -> Config {
    let mut config = config(Variant::Plain);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(pool.max(1))));
    config
}

/// Settings that every engine shares, so that code compiled by one runs on another.
fn config(variant: Variant) -> Config {
    let (debug, frames) = match variant {
        Variant::Plain | Variant::Fueled => (false, 1),
        Variant::Debug => (true, DEBUG_FRAMES),
    };
    let mut config = Config::new();
    config
        .consume_fuel(variant != Variant::Plain)
        .guest_debug(debug)
        .concurrency_support(false)
        .coredump_on_trap(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_component_model_map(true)
        .wasm_component_model_fixed_length_lists(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .max_wasm_stack(GUEST_STACK * frames)
        .async_stack_size(FIBER_STACK * frames)
        .memory_reservation(POOLED_MEMORY as u64)
        .memory_guard_size(GUARD)
        .gc_heap_reservation(POOLED_MEMORY as u64)
        .gc_heap_guard_size(GUARD);
    config
}

/// A pool for so many components at once. Memory and tables are reserved for the usual component, which has one memory
/// and a few tables; instances are only counted.
fn pooling(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        // One more each for the module that makes a store tell its state.
        .total_core_instances(instances.saturating_mul(PER_COMPONENT + 1))
        .total_memories(instances.saturating_mul(MEMORIES))
        .total_tables(instances.saturating_mul(TABLES).max(PER_COMPONENT))
        .total_stacks(instances.saturating_mul(2))
        .total_gc_heaps(instances)
        .max_core_instances_per_component(PER_COMPONENT)
        .max_tables_per_component(PER_COMPONENT)
        .max_memories_per_component(16)
        .max_tables_per_module(8)
        .max_memories_per_module(4)
        .max_memory_size(POOLED_MEMORY)
        .table_elements(TABLE_ELEMENTS)
        .max_unused_warm_slots(instances)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(32 << 10);
    pool
}

/// How many usual components' share of the pool an instance of the component takes.
pub(crate) fn weight(component: &Component) -> u32 {
    let Some(needs) = component.resources_required() else {
        // It instantiates modules that it is given, which nobody knows before.
        return PER_COMPONENT.div_ceil(TABLES);
    };
    needs
        .num_memories
        .div_ceil(MEMORIES)
        .max(needs.num_tables.div_ceil(TABLES))
        .max(1)
}

/// SHA-256 of what the engine hashes about its settings, in hexadecimal.
fn fingerprint(engine: &Engine) -> String {
    let mut hasher = Sha(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hex::encode(hasher.0.finalize())
}

/// A hasher whose result is the same in every process, unlike the standard library's.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}
