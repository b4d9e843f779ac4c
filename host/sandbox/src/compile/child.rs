//! The compiler's side: in a process that limits itself before it looks at anything untrusted.

use super::message::{self, Request};
use super::{MAX_COMPONENT, check_head};
use crate::engine::{self, Variant};
use crate::fault;
use crate::layout::Layout;
use fusebox_engine::ports::sandbox::LoadError;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::io::{self, Read, Write};

/// Core instances, memories or tables of a component that no tool needs.
const MAX_INSTANCES: u64 = 1_000;

/// Reads a component from `input`, compiles it, and writes code or the reason against it to `output`. The process
/// limits its own memory and time, so it must be one that does nothing else.
///
/// # Errors
/// When a pipe breaks, or the process cannot be limited.
pub fn compile_child(mut input: impl Read, mut output: impl Write) -> Result<(), LoadError> {
    let broken = |error: io::Error| fault::host(format!("the compiler's pipe broke: {error}"));
    let (request, size) = Request::read(&mut input).map_err(broken)?;
    limit(&request)?;
    let answer = if size > MAX_COMPONENT {
        Err(fault::too_large(size, MAX_COMPONENT))
    } else {
        let mut wasm = Vec::new();
        input.take(size).read_to_end(&mut wasm).map_err(broken)?;
        compile_here(&wasm, request.variant)
    };
    message::write_answer(&mut output, &answer).map_err(broken)
}

/// Bounds memory and computing time; the parent bounds the wall time. No core file: it would hold a tenant's code.
fn limit(request: &Request) -> Result<(), LoadError> {
    let bounds = [
        (Resource::Data, request.memory),
        (Resource::Cpu, request.time.as_secs().saturating_mul(2).max(1)),
        (Resource::Core, 0),
    ];
    for (resource, bound) in bounds {
        let limit = Rlimit {
            current: Some(bound),
            maximum: Some(bound),
        };
        setrlimit(resource, limit).map_err(|error| fault::host(format!("the compiler is not limited: {error}")))?;
    }
    Ok(())
}

/// Compiles in this process.
///
/// # Errors
/// [`LoadError`] with its code.
pub(crate) fn compile_here(wasm: &[u8], variant: Variant) -> Result<Vec<u8>, LoadError> {
    check_head(wasm)?;
    let engine = engine::compiler(variant).map_err(|error| fault::host(error.root_cause()))?;
    let layout = Layout::of(wasm).map_err(fault::broken)?;
    let count = layout.largest_count();
    if count > MAX_INSTANCES {
        let what = format!("{count} core instances, memories or tables, and {MAX_INSTANCES} are allowed");
        return Err(fault::needs_too_much(what));
    }
    engine
        .precompile_component(wasm)
        .map_err(|error| fault::broken(error.root_cause()))
}
