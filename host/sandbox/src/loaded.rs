//! Compiled code of one component, loaded into an engine that holds it and linked, ready for instances.

use crate::cache::Entry;
use crate::engine::{self, Engines, POOLED_MEMORY, Runtime, Variant};
use crate::fault;
use crate::host_api;
use crate::layout::Layout;
use crate::linking;
use crate::shape::{Callable, Surface};
use crate::state::State;
use crate::values::Arguments;
use crate::wasi;
use fusebox_engine::ports::sandbox::{ComponentFacts, LoadError};
use std::sync::Arc;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Error};

/// Engines, and a linker for each.
pub(crate) struct Host {
    pub(crate) engines: Engines,
    pooled: Linker<State>,
    on_demand: Linker<State>,
    fueled: Linker<State>,
    debug: Linker<State>,
}

impl Host {
    pub(crate) fn new(engines: Engines) -> wasmtime::Result<Self> {
        Ok(Self {
            pooled: linker(&engines.pooled.engine)?,
            on_demand: linker(&engines.on_demand.engine)?,
            fueled: linker(&engines.fueled.engine)?,
            debug: linker(&engines.debug.engine)?,
            engines,
        })
    }
}

/// What every component can import: WASI 0.2 and `fusebox:host`.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = wasi::linker(engine)?;
    host_api::add_to_linker(&mut linker)?;
    Ok(linker)
}

/// Whether every component can import that.
fn provides(import: &str) -> bool {
    wasi::provides(import) || host_api::provides(import)
}

/// Where a component runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Pooled,
    OnDemand,
    Fueled,
    Debug,
}

/// A component, ready for instances.
pub(crate) struct Loaded {
    pub(crate) pre: InstancePre<State>,
    pub(crate) surface: Surface,
    pub(crate) layout: Layout,
    pub(crate) facts: ComponentFacts,
    /// Fingerprint of the runtime's settings.
    pub(crate) config: String,
    host: Arc<Host>,
    place: Place,
}

/// Why code was not loaded.
pub(crate) enum Unloadable {
    /// The runtime does not take the code: it is compiled again.
    Code(Error),
    /// The component is at fault.
    Component(LoadError),
}

impl Loaded {
    /// Loads code that a compiler of this installation made: authenticated by the cache, or fresh from the child.
    ///
    /// # Errors
    /// [`Unloadable`].
    pub(crate) fn from_code(host: &Arc<Host>, variant: Variant, entry: Entry) -> Result<Self, Unloadable> {
        let (component, place, unpooled) = match variant {
            Variant::Fueled => (host.deserialize(Place::Fueled, &entry.code)?, Place::Fueled, None),
            Variant::Debug => (host.deserialize(Place::Debug, &entry.code)?, Place::Debug, None),
            Variant::Plain => match host.deserialize(Place::Pooled, &entry.code) {
                Ok(component) => (component, Place::Pooled, None),
                Err(Unloadable::Code(why)) => {
                    let component = host.deserialize(Place::OnDemand, &entry.code)?;
                    (component, Place::OnDemand, Some(why.root_cause().to_string()))
                }
                Err(other) => return Err(other),
            },
        };
        let mut surface = Surface::of(&component, provides);
        if !surface.missing.is_empty() {
            return Err(Unloadable::Component(fault::missing_imports(&surface.missing)));
        }
        if surface.shape.functions.is_empty() {
            return Err(Unloadable::Component(fault::no_function(&surface.shape.left_out)));
        }
        let pre = match std::mem::take(&mut surface.tools) {
            none if none.is_empty() => host.linker(place).instantiate_pre(&component),
            tools => {
                let mut linker = host.linker(place).clone();
                linking::add_to_linker(&mut linker, tools).and_then(|()| linker.instantiate_pre(&component))
            }
        };
        let pre = pre.map_err(|error| Unloadable::Component(fault::unfit_import(format!("{error:#}"))))?;
        Ok(Self {
            pre,
            surface,
            facts: ComponentFacts {
                size: entry.about.size,
                compiled_size: entry.code.len() as u64,
                weight: match &unpooled {
                    None => engine::weight(&component),
                    Some(_) => 0,
                },
                unpooled,
            },
            layout: entry.about.layout,
            config: host.engines.fingerprint(variant),
            host: Arc::clone(host),
            place,
        })
    }

    /// The function that arguments were decoded for. Code of another variant is another component to the runtime, in
    /// which the function is found by its name.
    pub(crate) fn callable(&self, arguments: &Arguments) -> Option<Arc<Callable>> {
        let function = arguments.function();
        match self.place {
            Place::Pooled | Place::OnDemand => Some(Arc::clone(function)),
            Place::Fueled | Place::Debug => self.surface.callables.get(&function.name).cloned(),
        }
    }

    /// Largest single memory that an instance can have, in bytes.
    pub(crate) fn largest_memory(&self) -> usize {
        match self.place {
            Place::Pooled => POOLED_MEMORY,
            Place::OnDemand | Place::Fueled | Place::Debug => usize::MAX,
        }
    }

    /// The engine that it runs on.
    pub(crate) fn engine(&self) -> &Engine {
        &self.runtime().engine
    }

    /// The runtime that it runs on.
    pub(crate) fn runtime(&self) -> &Runtime {
        self.host.runtime(self.place)
    }
}

impl Host {
    fn runtime(&self, place: Place) -> &Runtime {
        match place {
            Place::Pooled => &self.engines.pooled,
            Place::OnDemand => &self.engines.on_demand,
            Place::Fueled => &self.engines.fueled,
            Place::Debug => &self.engines.debug,
        }
    }

    fn linker(&self, place: Place) -> &Linker<State> {
        match place {
            Place::Pooled => &self.pooled,
            Place::OnDemand => &self.on_demand,
            Place::Fueled => &self.fueled,
            Place::Debug => &self.debug,
        }
    }

    #[expect(unsafe_code, reason = "loading code is running it")]
    fn deserialize(&self, place: Place, code: &[u8]) -> Result<Component, Unloadable> {
        // SAFETY: the bytes were made by `Engine::precompile_component` of this program. They come either straight from
        // the compiler's process, which this process started from a path of its own settings and whose output it read
        // itself, or from the cache, which hands out nothing whose HMAC under the installation's key does not fit. They
        // lie in this process's memory, so nobody changes them after the check. Code of other settings or another
        // version of the runtime is refused by the runtime itself.
        unsafe { Component::deserialize(&self.runtime(place).engine, code) }.map_err(Unloadable::Code)
    }
}
