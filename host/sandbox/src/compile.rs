//! Compiling: untrusted bytes go through the compiler in a process of their own, with limits on its memory and time.

mod child;
mod message;

use crate::engine::Variant;
use crate::fault;
use crate::settings::{CompileCommand, SandboxSettings};
use bytes::Bytes;
pub use child::compile_child;
pub(crate) use child::compile_here;
use fusebox_engine::ports::clock::{Clock, SystemClock};
use fusebox_engine::ports::sandbox::LoadError;
use message::Request;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// Largest component, in bytes.
pub(crate) const MAX_COMPONENT: u64 = 64 << 20;
/// Largest compiled code, in bytes.
const MAX_CODE: u64 = 1 << 30;
/// What is kept of the compiler's stderr, in bytes.
const MAX_STDERR: u64 = 4 << 10;

/// How components are compiled.
pub(crate) enum Compiler {
    /// In a child process.
    Child {
        command: CompileCommand,
        memory: u64,
        time: Duration,
        /// Where its pipes are served: code may be asked for on the guests' runtime, which has no I/O.
        runtime: Handle,
    },
    /// In this process: for components that are trusted not to exhaust it.
    Here,
}

impl Compiler {
    /// A child of the runtime that this is called on.
    ///
    /// # Errors
    /// `FB0509` outside a runtime.
    pub(crate) fn child(settings: &SandboxSettings) -> Result<Self, LoadError> {
        Ok(Self::Child {
            command: settings.compiler.clone(),
            memory: settings.compile_memory,
            time: settings.compile_time,
            runtime: Handle::try_current().map_err(fault::host)?,
        })
    }

    /// Compiled code of a component, as the runtime loads it.
    ///
    /// # Errors
    /// [`LoadError`] with its code.
    pub(crate) async fn compile(&self, wasm: &Bytes, variant: Variant) -> Result<Vec<u8>, LoadError> {
        check_head(wasm)?;
        match self {
            Self::Here => {
                let wasm = wasm.clone();
                let compiled = tokio::task::spawn_blocking(move || compile_here(&wasm, variant)).await;
                compiled.unwrap_or_else(|failed| Err(fault::host(failed)))
            }
            Self::Child {
                command,
                memory,
                time,
                runtime,
            } => {
                let compiling = in_child(command.clone(), *memory, *time, wasm.clone(), variant);
                // Whoever no longer waits for the code ends the compiler.
                let compiled = AbortOnDropHandle::new(runtime.spawn(compiling)).await;
                compiled.unwrap_or_else(|failed| Err(fault::host(failed)))
            }
        }
    }
}

/// What is seen without parsing: size, and whether it is a component at all.
pub(crate) fn check_head(wasm: &[u8]) -> Result<(), LoadError> {
    let size = wasm.len() as u64;
    if size > MAX_COMPONENT {
        return Err(fault::too_large(size, MAX_COMPONENT));
    }
    match wasm.get(..8) {
        Some([0, b'a', b's', b'm', 1, 0, 0, 0]) => Err(fault::core_module()),
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        _ => Err(fault::broken("it does not begin as one")),
    }
}

async fn in_child(
    command: CompileCommand,
    memory: u64,
    time: Duration,
    wasm: Bytes,
    variant: Variant,
) -> Result<Vec<u8>, LoadError> {
    let mut child = Command::new(&command.program)
        .args(&command.args)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| fault::host(format!("{} does not start: {error}", command.program.display())))?;
    let request = Request { variant, memory, time };
    let clock = SystemClock::new();
    tokio::select! {
        biased;
        answer = converse(&mut child, &request, &wasm) => answer,
        () = clock.sleep(time) => {
            // It is dropped, and with it ended, at the end of this function.
            Err(fault::compiler_exhausted(format!("the compiler took longer than {} s", time.as_secs())))
        }
    }
}

/// Sends the component and reads the answer to its end, both at once so that neither side waits for the other.
async fn converse(child: &mut Child, request: &Request, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(fault::host("the compiler has no pipes"));
    };
    let head = request.head(wasm.len() as u64);
    let send = async move {
        // A compiler that ends early has said why, or is seen to have ended.
        if stdin.write_all(&head).await.is_ok() {
            let _ = stdin.write_all(wasm).await;
        }
    };
    let (mut answer, mut words) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(MAX_CODE), stderr.take(MAX_STDERR));
    let (receive, listen) = (stdout.read_to_end(&mut answer), stderr.read_to_end(&mut words));
    let ((), received, _) = tokio::join!(send, receive, listen);
    received.map_err(|error| fault::host(format!("the compiler's answer cannot be read: {error}")))?;
    let status = child
        .wait()
        .await
        .map_err(|error| fault::host(format!("the compiler is lost: {error}")))?;
    message::answer(answer).unwrap_or_else(|| {
        let words = String::from_utf8_lossy(&words);
        tracing::warn!(%status, stderr = %words.trim(), "the compiler ended without an answer");
        Err(fault::compiler_exhausted(format!(
            "the compiler ended without an answer ({status})"
        )))
    })
}
