//! What the sandbox is told when it is opened.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// How the sandbox is set up.
#[derive(Clone, Debug)]
pub struct SandboxSettings {
    /// Folder of compiled code; made when it is missing, refused when others may write to it.
    pub cache: PathBuf,
    /// The program that compiles: it calls [`crate::compile_child`] with its stdin and stdout.
    pub compiler: CompileCommand,
    /// Bytes of memory of one compilation.
    pub compile_memory: u64,
    /// Wall time of one compilation.
    pub compile_time: Duration,
    /// Component instances that the pool holds at once.
    pub pool: u32,
}

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct CompileCommand {
    /// Path of the program, usually that of the running one.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}
