//! Codes of components that cannot be run, each with what to do next. `fusebox explain` knows them.

use crate::shape::imports::Missing;
use fusebox_engine::ports::sandbox::LoadError;
use std::fmt::Display;

/// Not a component: no WebAssembly at all, or broken.
pub(crate) fn broken(what: impl Display) -> LoadError {
    error(
        "FB0501",
        format!(
            "this is no valid WebAssembly component: {what}. Build it again, and check that the file was copied whole"
        ),
    )
}

/// A core module.
pub(crate) fn core_module() -> LoadError {
    error(
        "FB0502",
        "this is a core WebAssembly module, not a component. Build for the target `wasm32-wasip2`, or turn it into a \
         component with `wasm-tools component new`"
            .to_owned(),
    )
}

/// Larger than the host takes.
pub(crate) fn too_large(size: u64, limit: u64) -> LoadError {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    error(
        "FB0503",
        format!(
            "the component has {} MiB; at most {} MiB are taken. Build it optimised and without debug information \
             (`wasm-tools strip`)",
            mib(size),
            mib(limit)
        ),
    )
}

/// Imports that nobody provides.
pub(crate) fn missing_imports(imports: &[Missing]) -> LoadError {
    let named: Vec<_> = imports.iter().map(|import| format!("`{}`", import.name)).collect();
    let reasons = imports
        .iter()
        .filter_map(|import| Some(format!(" `{}`: {}.", import.name, import.why.as_ref()?)));
    error(
        "FB0504",
        format!(
            "nobody provides {}.{} A tool gets WASI 0.2, `fusebox:host`, and interfaces of other tools whose types are plain WIT values: \
             build it without what needs {}",
            named.join(", "),
            reasons.collect::<String>(),
            if imports.len() == 1 {
                "this import"
            } else {
                "these imports"
            }
        ),
    )
}

/// An import that is provided, but not as the component wants it.
pub(crate) fn unfit_import(what: impl Display) -> LoadError {
    error(
        "FB0504",
        format!(
            "an import is not what the host provides: {what}. Build the component against a released WASI 0.2, and against `fusebox:host` as this host has it"
        ),
    )
}

/// The compiler used up its memory or its time.
pub(crate) fn compiler_exhausted(what: impl Display) -> LoadError {
    error(
        "FB0505",
        format!(
            "the component was not compiled: {what}. Build it optimised, or raise the limits of compiling in \
             fusebox.toml"
        ),
    )
}

/// No function to call.
pub(crate) fn no_function(left_out: &[(String, String)]) -> LoadError {
    let why: Vec<_> = left_out
        .iter()
        .map(|(name, why)| format!("`{name}` is left out: {why}"))
        .collect();
    let why = if why.is_empty() {
        "it exports no function".to_owned()
    } else {
        why.join("; ")
    };
    error(
        "FB0506",
        format!(
            "the component has no function that can be called as a tool: {why}. Export one whose types are plain WIT values"
        ),
    )
}

/// Needs more than any tool gets.
pub(crate) fn needs_too_much(what: impl Display) -> LoadError {
    error(
        "FB0507",
        format!("the component needs more than a tool gets: {what}. Make it smaller, or split it into several tools"),
    )
}

/// The folder of compiled code cannot be used.
pub(crate) fn cache_folder(what: impl Display) -> LoadError {
    error("FB0508", format!("the folder of compiled code cannot be used: {what}"))
}

/// The machine refused something that the sandbox cannot do without.
pub(crate) fn host(what: impl Display) -> LoadError {
    error("FB0509", format!("the sandbox cannot work here: {what}"))
}

fn error(code: &'static str, message: String) -> LoadError {
    LoadError { code, message }
}
