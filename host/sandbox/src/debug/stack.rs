//! The frames of a guest that stands: names and lines as a backtrace has them, with every local and operand.

use super::capture::{Imported, Instances};
use super::value;
use crate::backtrace;
use crate::state::State;
use fusebox_engine::ports::debugger::{StoppedFrame, Value};
use fusebox_engine::records::Frame;
use wasmtime::{AsContextMut as _, FrameHandle, FrameInfo, Module, Result, StoreContextMut, WasmBacktrace};

/// Frames at most: a guest that recurses has more.
const FRAMES: usize = 64;

/// How much of the frames can be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Where they are.
    Names,
    /// What they hold, too.
    Values,
}

/// Reads the frames, innermost first; one that cannot be read ends the list.
pub(super) fn frames(store: &mut StoreContextMut<'_, State>, instances: &Instances, depth: Depth) -> Vec<StoppedFrame> {
    let backtrace = WasmBacktrace::force_capture(&*store);
    let mut known = backtrace.frames();
    if depth == Depth::Names {
        return known.iter().take(FRAMES).map(named).collect();
    }
    let activations: Vec<_> = store.debug_exit_frames().collect();
    let mut frames = Vec::new();
    for activation in activations {
        let mut next = Some(activation);
        while let Some(handle) = next
            && frames.len() < FRAMES
        {
            match frame(store, &handle, instances, &mut known) {
                Ok(Some(frame)) => frames.push(frame),
                // Code of the host's own, between two components.
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a frame cannot be read");
                    return frames;
                }
            }
            next = handle.parent(store.as_context_mut()).ok().flatten();
        }
    }
    frames
}

fn frame(
    store: &mut StoreContextMut<'_, State>,
    handle: &FrameHandle,
    instances: &Instances,
    known: &mut &[FrameInfo],
) -> Result<Option<StoppedFrame>> {
    let Some((defined, pc)) = handle.wasm_function_index_and_pc(store.as_context_mut())? else {
        return Ok(None);
    };
    let Some(module) = handle.module(store.as_context_mut())?.cloned() else {
        return Ok(None);
    };
    let function = Imported::of(&module).functions.saturating_add(defined.as_u32());
    let instance = handle.instance(store.as_context_mut())?;
    let number = instances.number(instance);
    let (place, inlined_into) = match symbols(known, &module, function) {
        Some(info) => (backtrace::frame(info, number), backtrace::inlined_into(info)),
        None => (unnamed(number, function, pc.raw()), Vec::new()),
    };
    let count = handle.num_locals(store.as_context_mut())?;
    let locals = (0..count).map(|index| Ok(value::of(&handle.local(store.as_context_mut(), index)?)));
    let locals = locals.collect::<Result<Vec<Value>>>()?;
    let count = handle.num_stacks(store.as_context_mut())?;
    let operands = (0..count).map(|index| Ok(value::of(&handle.stack(store.as_context_mut(), index)?)));
    let operands = operands.collect::<Result<Vec<Value>>>()?;
    Ok(Some(StoppedFrame {
        frame: place,
        inlined_into,
        locals,
        operands,
        memory: instances.memory_of(store, instance),
    }))
}

/// What the backtrace knows of the frame. Both lists are of one stack, but each may leave out what the other has.
fn symbols<'a>(known: &mut &'a [FrameInfo], module: &Module, function: u32) -> Option<&'a FrameInfo> {
    let is_it = |info: &FrameInfo| info.func_index() == function && Module::same(info.module(), module);
    let at = known.iter().position(is_it)?;
    let info = known.get(at)?;
    *known = known.get(at + 1..)?;
    Some(info)
}

fn named(info: &FrameInfo) -> StoppedFrame {
    StoppedFrame {
        frame: backtrace::frame(info, None),
        inlined_into: backtrace::inlined_into(info),
        locals: Vec::new(),
        operands: Vec::new(),
        memory: None,
    }
}

fn unnamed(instance: Option<u32>, function: u32, offset: u32) -> Frame {
    Frame {
        instance,
        function,
        name: None,
        location: None,
        offset: Some(u64::from(offset)),
    }
}
