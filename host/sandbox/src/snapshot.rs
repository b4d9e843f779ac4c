//! The state of a failed instance: globals as bits, memories as compressed pages, frames, and the host resources that
//! were open. Read before the store is dropped.

use crate::backtrace;
use crate::engine::RUNTIME;
use crate::layout::{Defines, Layout};
use crate::state::State;
use crate::{classify, resources};
use fusebox_core::ids::Digest;
use fusebox_engine::records::{Frame, GlobalState, InstanceState, MemoryState, Page, Snapshot, StoredPage};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
use wasmtime::{AsContextMut, Error, FrameInfo, Global, Instance, Memory, Module, Store, Trap, Val, WasmCoreDump};

/// Bytes of a page.
const PAGE: usize = 64 << 10;
/// Level of compression: letters are rare, memories are large.
const LEVEL: i32 = 3;

/// What a snapshot needs to know of its component.
pub(crate) struct Subject<'a> {
    pub(crate) layout: &'a Layout,
    /// Fingerprint of the runtime's settings.
    pub(crate) config: &'a str,
}

/// An error that carries a dump of the whole store: the guest's own, or else one that is provoked. A store that was
/// provoked cannot be used any more.
///
/// # Errors
/// Why there is no dump.
pub(crate) async fn dump(store: &mut Store<State>, error: Option<Error>, trap: &Module) -> Result<Dump, String> {
    match error {
        Some(error) if error.is::<WasmCoreDump>() => Ok(Dump { error, provoked: false }),
        _ => provoke(store, trap).await,
    }
}

/// A dump, and whether the module that traps is in it.
pub(crate) struct Dump {
    error: Error,
    provoked: bool,
}

async fn provoke(store: &mut Store<State>, trap: &Module) -> Result<Dump, String> {
    let failed = |error: Error| format!("the store does not tell its state: {}", error.root_cause());
    store.epoch_deadline_trap();
    store.set_epoch_deadline(u64::MAX / 2);
    if store.get_fuel().is_ok() {
        store.set_fuel(1_000).map_err(failed)?;
    }
    let instance = Instance::new_async(&mut *store, trap, &[]).await.map_err(failed)?;
    let function = instance.get_typed_func::<(), ()>(&mut *store, "t").map_err(failed)?;
    match function.call_async(&mut *store, ()).await {
        Err(error) if error.is::<WasmCoreDump>() => Ok(Dump { error, provoked: true }),
        Err(error) => Err(failed(error)),
        Ok(()) => Err("the module that traps did not".to_owned()),
    }
}

/// Reads a dumped store.
///
/// # Errors
/// When there is no dump, or a page cannot be compressed.
pub(crate) fn read(store: &mut Store<State>, dump: &Dump, subject: &Subject<'_>) -> Result<Snapshot, String> {
    let Some(core) = dump.error.downcast_ref::<WasmCoreDump>() else {
        return Err("the error carries no dump".to_owned());
    };
    let mut modules: Vec<Module> = core.instances().iter().map(|one| one.module(&*store).clone()).collect();
    if dump.provoked {
        modules.pop();
    }
    let mut pages = Pages::default();
    let instances = grouped(&modules, core, subject.layout)
        .into_iter()
        .map(|group| instance(store, group, core, &mut pages))
        .collect::<Result<Vec<_>, String>>()?;
    let frames = if dump.provoked { &[] } else { core.frames() };
    let by_instance = instances.len() == modules.len();
    Ok(Snapshot {
        runtime: RUNTIME.to_owned(),
        config: subject.config.to_owned(),
        trap: dump.trap(),
        frames: frames.iter().map(|info| frame(info, &modules, by_instance)).collect(),
        instances,
        resources: resources::open(&mut store.data_mut().table),
        pages: pages.stored,
    })
}

impl Dump {
    /// The name of the guest's own trap.
    fn trap(&self) -> Option<String> {
        let trap = self.error.downcast_ref::<Trap>().filter(|_| !self.provoked);
        trap.copied().map(classify::name)
    }
}

/// A core instance, and where its globals and memories begin in the lists of the dump.
struct Group {
    module: Option<String>,
    globals: usize,
    memories: usize,
    defines: Defines,
}

/// Instances with what they define; everything as one where the component does not say which is whose.
fn grouped(modules: &[Module], core: &WasmCoreDump, layout: &Layout) -> Vec<Group> {
    let whole = (core.globals().len(), core.memories().len());
    if !layout.complete || layout.instances.len() != modules.len() || layout.totals() != whole {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let (globals, memories) = (count(whole.0), count(whole.1));
        let defines = Defines {
            globals,
            memories,
            tables: 0,
        };
        return vec![Group {
            module: None,
            globals: 0,
            memories: 0,
            defines,
        }];
    }
    let (mut globals, mut memories) = (0, 0);
    let group = |(defines, module): (&Defines, &Module)| {
        let group = Group {
            module: module.name().map(ToOwned::to_owned),
            globals,
            memories,
            defines: *defines,
        };
        globals += defines.globals as usize;
        memories += defines.memories as usize;
        group
    };
    layout.instances.iter().zip(modules).map(group).collect()
}

fn instance(
    store: &mut Store<State>,
    group: Group,
    core: &WasmCoreDump,
    pages: &mut Pages,
) -> Result<InstanceState, String> {
    let globals = core
        .globals()
        .iter()
        .skip(group.globals)
        .take(group.defines.globals as usize);
    let memories = core
        .memories()
        .iter()
        .skip(group.memories)
        .take(group.defines.memories as usize);
    Ok(InstanceState {
        module: group.module,
        globals: globals.map(|global| global_state(&mut *store, global)).collect(),
        memories: memories
            .map(|memory| pages.keep(store, memory))
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn global_state(store: impl AsContextMut, global: &Global) -> GlobalState {
    let (kind, bits) = match global.get(store) {
        Val::I32(value) => ("i32", Some(format!("{:#010x}", value.cast_unsigned()))),
        Val::I64(value) => ("i64", Some(format!("{:#018x}", value.cast_unsigned()))),
        Val::F32(bits) => ("f32", Some(format!("{bits:#010x}"))),
        Val::F64(bits) => ("f64", Some(format!("{bits:#018x}"))),
        Val::V128(value) => ("v128", Some(format!("{:#034x}", value.as_u128()))),
        _ => ("ref", None),
    };
    GlobalState {
        kind: kind.to_owned(),
        bits,
    }
}

/// Pages that were met, each kept once.
#[derive(Default)]
struct Pages {
    known: HashSet<Digest>,
    stored: Vec<Page>,
}

impl Pages {
    fn keep(&mut self, store: &Store<State>, memory: &Memory) -> Result<MemoryState, String> {
        let data = memory.data(store);
        let mut stored = Vec::new();
        for (index, page) in (0_u64..).zip(data.chunks(PAGE)) {
            if page.iter().all(|byte| *byte == 0) {
                continue;
            }
            let digest = Digest(Sha256::digest(page).into());
            if self.known.insert(digest) {
                let zstd = zstd::bulk::compress(page, LEVEL).map_err(|error| format!("a page is not kept: {error}"))?;
                self.stored.push(Page { digest, zstd });
            }
            stored.push(StoredPage { index, digest });
        }
        Ok(MemoryState {
            pages: data.len().div_ceil(PAGE) as u64,
            stored,
        })
    }
}

/// A frame with its instance, where only one instance is of the frame's module.
fn frame(info: &FrameInfo, modules: &[Module], by_instance: bool) -> Frame {
    let mut of_module = modules
        .iter()
        .enumerate()
        .filter(|(_, module)| Module::same(module, info.module()));
    let instance = match (of_module.next(), of_module.next()) {
        (Some((index, _)), None) if by_instance => u32::try_from(index).ok(),
        _ => None,
    };
    backtrace::frame(info, instance)
}
