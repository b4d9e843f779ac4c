//! Debugging: an attempt in code that keeps its state readable, and the guest's state where it was stopped, read before
//! its stack is unwound.

mod capture;
mod stack;
mod value;

use crate::attempt;
use crate::classify;
use crate::compile;
use crate::engine::Variant;
use crate::fault;
use crate::loaded::Loaded;
use crate::sandbox::{self, WasmSandbox};
use crate::state::State;
use crate::values::Arguments;
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_engine::ports::clock::SystemClock;
use fusebox_engine::ports::debugger::{DebugSpec, Debugged, Debuggee, Debugger, Stop};
use fusebox_engine::ports::sandbox::{AttemptSpec, LoadError, Spelling};
use futures::future::BoxFuture;
use stack::Depth;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use wasmtime::{DebugEvent, DebugHandler, Error, Store, StoreContextMut, Trap};

#[async_trait]
impl Debugger for WasmSandbox {
    async fn load(&self, digest: Digest, wasm: Bytes) -> Result<Arc<dyn Debuggee>, LoadError> {
        compile::check_head(&wasm)?;
        if sandbox::digest_of(&wasm) != digest {
            return Err(fault::broken(format!("its content is not that of {digest}")));
        }
        let shared = self.shared();
        let loaded = shared.loaded(digest, Some(&wasm), Variant::Debug).await?;
        Ok(Arc::new(DebugComponent {
            loaded: Arc::new(loaded),
            clock: shared.clock,
        }))
    }
}

/// A component whose code was compiled for debugging.
struct DebugComponent {
    loaded: Arc<Loaded>,
    clock: SystemClock,
}

impl Debuggee for DebugComponent {
    fn run(&self, replay: DebugSpec) -> BoxFuture<'_, Result<Debugged, String>> {
        Box::pin(async move {
            let callables = &self.loaded.surface.callables;
            let callable = callables
                .get(&replay.function)
                .ok_or_else(|| format!("the component has no function `{}`", replay.function))?;
            let input = Arguments::decode(Arc::clone(callable), &replay.input, replay.limits.host_memory)?;
            let fuel = replay.limits.fuel;
            let spec = AttemptSpec {
                function: replay.function,
                input: Arc::new(input),
                limits: replay.limits,
                env: replay.env,
                seed: replay.seed,
                wall: replay.wall,
                timeout: replay.time,
                cancel: CancellationToken::new(),
                effects: replay.effects,
                spelling: Spelling::Kebab,
            };
            let watch = Watch::default();
            let prepare = |store: &mut Store<State>| {
                if fuel.is_none() {
                    store.set_fuel(u64::MAX)?;
                }
                store.set_debug_handler(watch.clone());
                Ok(())
            };
            let report = attempt::run_prepared(Arc::clone(&self.loaded), spec, self.clock, prepare).await;
            // Reading the state of a guest that returned stops the store once more, which is not to be told.
            let stop = watch.close();
            let snapshot = match report.remains {
                Some(remains) => remains.snapshot().await,
                None => Err("the attempt left nothing".to_owned()),
            };
            Ok(Debugged {
                end: report.end,
                log: report.log,
                stop,
                snapshot,
            })
        })
    }
}

/// Watches a store until its guest is stopped.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
enum Seen {
    #[default]
    Nothing,
    Stop(Box<Stop>),
    Closed,
}

impl Watch {
    fn close(&self) -> Option<Stop> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *seen, Seen::Closed) {
            Seen::Stop(stop) => Some(*stop),
            Seen::Nothing | Seen::Closed => None,
        }
    }
}

impl DebugHandler for Watch {
    type Data = State;

    async fn handle(&self, store: StoreContextMut<'_, State>, event: DebugEvent<'_>) {
        let (causes, depth) = match event {
            // The innermost function has no room for its frame, so it is not to be read.
            DebugEvent::Trap(Trap::StackOverflow) => (vec![classify::name(Trap::StackOverflow)], Depth::Names),
            DebugEvent::Trap(trap) => (vec![classify::name(trap)], Depth::Values),
            DebugEvent::HostcallError(error) => (causes(error), Depth::Values),
            // What a guest throws it may catch; it is stopped by none of these.
            DebugEvent::Exception(_) | DebugEvent::Breakpoint | DebugEvent::EpochYield => return,
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Seen::Nothing = *seen {
            *seen = Seen::Stop(Box::new(capture::stop(store, causes, depth)));
        }
    }
}

/// Causes of an error, outermost first, each once.
fn causes(error: &Error) -> Vec<String> {
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    causes.dedup();
    causes
}
