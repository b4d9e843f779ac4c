//! The sandbox: runs components of untrusted tools in fresh instances, and speaks JSON for them.

mod attempt;
mod backtrace;
mod cache;
mod classify;
mod compile;
mod component;
mod coredump;
mod deadline;
mod debug;
mod engine;
mod epoch;
mod fault;
mod fingerprint;
mod host_api;
mod http;
mod layout;
mod limits;
mod linking;
mod loaded;
mod pump;
mod registry;
mod resources;
mod sandbox;
mod schema;
mod settings;
mod shape;
mod snapshot;
mod state;
mod values;
mod wasi;

pub use compile::compile_child;
pub use engine::pooled_engine;
pub use sandbox::WasmSandbox;
pub use settings::{CompileCommand, SandboxSettings};
