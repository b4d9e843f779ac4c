//! The state of a store that stands: every core instance with what it defines, and the frames of the guest's stack.

use super::stack::{self, Depth};
use crate::snapshot;
use crate::state::State;
use fusebox_engine::ports::debugger::{Memory, MemoryId, PAGE, Stop, StoppedInstance};
use std::collections::{BTreeMap, HashMap};
use wasmtime::{AsContextMut as _, ExternType, Instance, Module, StoreContextMut};

/// What the module of an instance imports: its own things are numbered after these.
pub(super) struct Imported {
    pub(super) functions: u32,
    globals: u32,
    memories: u32,
}

impl Imported {
    pub(super) fn of(module: &Module) -> Self {
        let mut imported = Self {
            functions: 0,
            globals: 0,
            memories: 0,
        };
        for import in module.imports() {
            match import.ty() {
                ExternType::Func(_) => imported.functions += 1,
                ExternType::Global(_) => imported.globals += 1,
                ExternType::Memory(_) => imported.memories += 1,
                ExternType::Table(_) | ExternType::Tag(_) => {}
            }
        }
        imported
    }
}

/// The instances of a store, and where each of their memories lies.
pub(super) struct Instances {
    pub(super) all: Vec<Instance>,
    memories: HashMap<usize, MemoryId>,
}

impl Instances {
    /// Number of an instance.
    pub(super) fn number(&self, instance: Instance) -> Option<u32> {
        let index = self.all.iter().position(|known| *known == instance)?;
        u32::try_from(index).ok()
    }

    /// The memory that addresses of code of this instance mean: its first, imported or not.
    pub(super) fn memory_of(&self, store: &mut StoreContextMut<'_, State>, instance: Instance) -> Option<MemoryId> {
        let memory = instance.debug_memory(store.as_context_mut(), 0)?;
        self.memories.get(&memory.data_ptr(&*store).addr()).copied()
    }
}

/// Reads a store whose guest was stopped for these causes.
pub(super) fn stop(mut store: StoreContextMut<'_, State>, causes: Vec<String>, depth: Depth) -> Stop {
    let mut instances = Instances {
        all: store.as_context_mut().debug_all_instances(),
        memories: HashMap::new(),
    };
    let all = instances.all.clone();
    let states = (0..).zip(all).map(|(number, instance)| {
        let module = instance.module(&store).clone();
        let imported = Imported::of(&module);
        let mut state = StoppedInstance {
            module: module.name().map(ToOwned::to_owned),
            ..StoppedInstance::default()
        };
        let mut index = imported.globals;
        while let Some(global) = instance.debug_global(store.as_context_mut(), index) {
            state
                .globals
                .push(snapshot::global_state(store.as_context_mut(), &global));
            index += 1;
        }
        let mut index = imported.memories;
        while let Some(memory) = instance.debug_memory(store.as_context_mut(), index) {
            let id = MemoryId {
                instance: number,
                memory: index - imported.memories,
            };
            instances.memories.insert(memory.data_ptr(&store).addr(), id);
            state.memories.push(content(memory.data(&store)));
            index += 1;
        }
        state
    });
    let states = states.collect();
    Stop {
        causes,
        frames: stack::frames(&mut store, &instances, depth),
        instances: states,
    }
}

fn content(data: &[u8]) -> Memory {
    let pages = (0_u64..).zip(data.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)));
    let kept: BTreeMap<u64, Box<[u8]>> = pages
        .filter(|(_, page)| page.iter().any(|byte| *byte != 0))
        .map(|(index, page)| (index, page.into()))
        .collect();
    Memory {
        size: data.len() as u64,
        pages: kept,
    }
}
