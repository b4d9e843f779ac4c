//! Frames of a guest with names that a person reads.

use fusebox_engine::records::Frame;
use wasmtime::{Error, FrameInfo, FrameSymbol, WasmBacktrace, WasmCoreDump};

/// Frames that an error carries, innermost first.
pub(crate) fn frames(error: &Error) -> &[FrameInfo] {
    if let Some(dump) = error.downcast_ref::<WasmCoreDump>() {
        return dump.frames();
    }
    error.downcast_ref::<WasmBacktrace>().map_or(&[], WasmBacktrace::frames)
}

/// One line for each frame, innermost first; a function that was inlined has a line of its own.
pub(crate) fn lines(error: &Error) -> Vec<String> {
    let mut lines = Vec::new();
    for frame in frames(error) {
        let symbols = frame.symbols();
        lines.extend(symbols.iter().filter_map(|symbol| {
            let name = symbol
                .name()
                .map(demangled)
                .or_else(|| frame.func_name().map(demangled))?;
            Some(match location(symbol) {
                Some(location) => format!("{name} ({location})"),
                None => name,
            })
        }));
        if symbols.is_empty() {
            lines.push(bare(frame));
        }
    }
    lines
}

/// A frame as data.
pub(crate) fn frame(info: &FrameInfo, instance: Option<u32>) -> Frame {
    let symbol = info.symbols().first();
    let name = symbol.and_then(FrameSymbol::name).or(info.func_name());
    Frame {
        instance,
        function: info.func_index(),
        name: name.map(demangled),
        location: symbol.and_then(location),
        offset: info.module_offset().map(|offset| offset as u64),
    }
}

/// Functions that the one of the frame was inlined into, innermost first.
pub(crate) fn inlined_into(info: &FrameInfo) -> Vec<String> {
    info.symbols().iter().skip(1).filter_map(line).collect()
}

/// `name (file:line:column)`.
fn line(symbol: &FrameSymbol) -> Option<String> {
    let name = demangled(symbol.name()?);
    Some(match location(symbol) {
        Some(location) => format!("{name} ({location})"),
        None => name,
    })
}

fn bare(frame: &FrameInfo) -> String {
    let module = frame.module().name().unwrap_or("module");
    match (frame.func_name(), frame.func_offset()) {
        (Some(name), _) => demangled(name),
        (None, Some(offset)) => format!("{module}!func[{}]+{offset:#x}", frame.func_index()),
        (None, None) => format!("{module}!func[{}]", frame.func_index()),
    }
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

fn location(symbol: &FrameSymbol) -> Option<String> {
    let file = symbol.file()?;
    Some(match (symbol.line(), symbol.column()) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        _ => file.to_owned(),
    })
}
