//! The sandbox: compiles components, runs one attempt in a fresh instance, and keeps what is left of a failed one.

use crate::ports::transport::Incoming;
use crate::records::{Log, Snapshot};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::component::ComponentShape;
use fusebox_core::effect::{Lost, NotSent};
use fusebox_core::ids::Digest;
use fusebox_core::policy::Limits;
use futures::future::BoxFuture;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why a component cannot be run. The codes are those of `fusebox explain`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct LoadError {
    /// Stable code, `FB05xx`.
    pub code: &'static str,
    /// What is wrong, and what to do next.
    pub message: String,
}

/// How names are spelled in JSON that is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// `max-items`, as WIT has it: CLI and HTTP.
    #[default]
    Kebab,
    /// `max_items`, as models write it: MCP.
    Snake,
}

/// What is known of a component once it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentFacts {
    /// Bytes of the component.
    pub size: u64,
    /// Bytes of the compiled code.
    pub compiled_size: u64,
    /// Why it runs on the engine that allocates on demand; `None` when the pool holds it.
    pub unpooled: Option<String>,
}

/// JSON Schemas of one function, as every model provider accepts them.
#[derive(Clone, Debug, PartialEq)]
pub struct Schemas {
    /// Of the arguments, an object.
    pub input: serde_json::Value,
    /// Of the result, an object; a result that is none is wrapped as `{"result": …}`.
    pub output: Option<serde_json::Value>,
}

/// A decoded input; only the component that decoded it looks inside.
pub trait Input: Send + Sync {
    /// SHA-256 of the value in canonical form: spelling and absent options do not matter.
    fn fingerprint(&self) -> Digest;
    /// For the component that made it.
    fn as_any(&self) -> &dyn Any;
}

/// A request as the guest made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestRequest {
    /// Whether the guest asked for TLS.
    pub tls: bool,
    /// Host and port as the guest wrote them.
    pub authority: String,
    /// Upper-case method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers in order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, whole.
    pub body: Bytes,
}

/// What a guest sees instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectError {
    /// Not granted.
    Denied,
    /// Nothing was sent.
    NotSent(NotSent),
    /// Sent, and no whole answer came.
    Lost(Lost),
    /// The attempt is over.
    Ended,
}

/// The one way out of the sandbox. Implemented by the engine; an effect goes on when the instance that asked is gone.
#[async_trait]
pub trait Effects: Send + Sync {
    /// Performs one HTTP exchange.
    async fn http(&self, request: GuestRequest) -> Result<Incoming, EffectError>;
}

/// What one attempt needs.
pub struct AttemptSpec {
    /// Exported function, by its name in the component's shape.
    pub function: String,
    /// Its arguments.
    pub input: Arc<dyn Input>,
    /// Its limits.
    pub limits: Arc<Limits>,
    /// Environment variables that the guest sees.
    pub env: Arc<[(String, String)]>,
    /// Seed of the guest's random numbers; kept like a secret.
    pub seed: [u8; 32],
    /// Wall time of the attempt, compute and host calls alike.
    pub timeout: Duration,
    /// Ends the attempt at once when cancelled.
    pub cancel: CancellationToken,
    /// The way out.
    pub effects: Arc<dyn Effects>,
    /// Spelling of names in the result.
    pub spelling: Spelling,
}

/// Which limit ended an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// `limits.memory`.
    Memory,
    /// `limits.table-elements`.
    Tables,
    /// `limits.instances`.
    Instances,
    /// `limits.fuel`.
    Fuel,
    /// `limits.output`.
    Output,
    /// `limits.host-memory`.
    HostMemory,
}

/// How an attempt ended, told by types alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// The function returned; its value as JSON text (`null` when it returns nothing).
    Ok {
        /// JSON text.
        json: String,
    },
    /// The function returned an error.
    Err {
        /// Case of its error type, when that is a variant or an enum.
        case: Option<String>,
        /// The error value as JSON text.
        json: String,
    },
    /// The guest trapped.
    Trap {
        /// The runtime's name of the trap, such as `unreachable`.
        trap: String,
    },
    /// The guest called `wasi:cli/exit`.
    Exit {
        /// Its exit code.
        code: i32,
    },
    /// The guest broke the ABI: a value that cannot be lifted, a missing `cabi_realloc`.
    Abi {
        /// What broke.
        message: String,
    },
    /// A limit was reached.
    Limit {
        /// Which.
        limit: Limit,
        /// What was asked for, and how much is allowed.
        message: String,
    },
    /// The attempt's time was over.
    Timeout,
    /// The attempt was cancelled.
    Cancelled,
    /// The host failed, not the guest.
    Host {
        /// What failed.
        message: String,
    },
}

/// What is left of a failed attempt: its store, still warm.
pub trait Remains: Send {
    /// Reads globals and memory, compresses pages. Done once the engine knows that a letter will keep them.
    fn snapshot(self: Box<Self>) -> BoxFuture<'static, Result<Snapshot, String>>;
}

/// The end of one attempt.
pub struct AttemptReport {
    /// How it ended.
    pub end: AttemptEnd,
    /// Symbolised frames of the guest, innermost first; empty unless it was stopped inside.
    pub backtrace: Vec<String>,
    /// What the guest printed.
    pub log: Log,
    /// What is left of it; `None` after a success.
    pub remains: Option<Box<dyn Remains>>,
}

/// A compiled component.
pub trait Component: Send + Sync {
    /// What it offers and needs.
    fn shape(&self) -> &ComponentShape;
    /// What is known of it.
    fn facts(&self) -> &ComponentFacts;
    /// Decodes arguments: a JSON object with a property for each parameter; empty text means none.
    ///
    /// # Errors
    /// What does not fit, with its path: `query.filters[2].max: 300 does not fit u8`.
    fn decode(&self, function: &str, json: &str, host_memory: u64) -> Result<Arc<dyn Input>, String>;
    /// JSON Schemas of one function with the words that a model reads.
    fn schemas(&self, function: &str, params: &std::collections::BTreeMap<String, String>) -> Option<Schemas>;
    /// Runs one attempt in a fresh instance. The future may be dropped: the instance is then gone, its effects go on.
    fn attempt(&self, spec: AttemptSpec) -> BoxFuture<'_, AttemptReport>;
}

/// Compiles components and keeps compiled code.
#[async_trait]
pub trait Sandbox: Send + Sync {
    /// The component with that digest, if its compiled code is in the cache and intact.
    async fn cached(&self, digest: Digest) -> Option<Arc<dyn Component>>;
    /// Validates and compiles a component in a child process with limits, and keeps the code.
    ///
    /// # Errors
    /// [`LoadError`] with its code.
    async fn compile(&self, digest: Digest, wasm: Bytes) -> Result<Arc<dyn Component>, LoadError>;
    /// A standard core dump made of a snapshot and its pages.
    ///
    /// # Errors
    /// What is missing or broken.
    fn coredump(&self, snapshot: &Snapshot, pages: &dyn Fn(Digest) -> Option<Bytes>) -> Result<Vec<u8>, String>;
}
