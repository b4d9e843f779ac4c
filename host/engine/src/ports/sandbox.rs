//! The sandbox: compiles components, runs one attempt in a fresh instance, and keeps what is left of a failed one.

use crate::ports::debugger::Debugger;
use crate::ports::transport::Incoming;
use crate::records::{Log, Snapshot};
use async_trait::async_trait;
use bytes::Bytes;
use fusebox_core::component::ComponentShape;
use fusebox_core::effect::{Lost, NotSent};
use fusebox_core::ids::Digest;
use fusebox_core::policy::Limits;
use fusebox_core::time::Wall;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
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
    /// How many usual components' share of the pool one instance takes.
    pub weight: u32,
}

/// JSON Schemas of one function, as every model provider accepts them.
#[derive(Clone, Debug, PartialEq)]
pub struct Schemas {
    /// Of the arguments, an object.
    pub input: serde_json::Value,
    /// Of the result, an object; a result that is none is wrapped as `{"result": …}`.
    pub output: Option<serde_json::Value>,
    /// Whether the result is wrapped so.
    pub wrapped: bool,
}

/// A decoded input; only the component that decoded it looks inside.
pub trait Input: Send + Sync {
    /// SHA-256 of the value in canonical form: spelling and absent options do not matter.
    fn fingerprint(&self) -> Digest;
    /// The value as a JSON object with a property for each parameter, spelled as in WIT, whatever the caller wrote.
    ///
    /// # Errors
    /// That a value is not of its type, which decoding rules out.
    fn json(&self) -> Result<String, String>;
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

/// Which function of another tool a guest calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By name, as `fusebox:host/tools` has it.
    Named {
        /// Deployed tool.
        tool: String,
        /// Exported function.
        function: String,
    },
    /// By an interface that the component imports.
    Linked {
        /// Such as `acme:search/api@1.0.0`.
        interface: String,
        /// A function of that interface.
        function: String,
    },
}

/// Whose keys a guest reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The tool's: shared by all its runs.
    Tool,
    /// The run's own.
    Run,
}

/// What a guest asks of its keyed store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateAsk {
    /// The value of a key.
    Get {
        /// The key.
        key: String,
    },
    /// Sets a key, or removes it.
    Set {
        /// The key.
        key: String,
        /// The value; `None` removes it.
        value: Option<Bytes>,
    },
    /// The keys that begin so, in order.
    List {
        /// What they begin with.
        prefix: String,
    },
}

/// What a guest asks of the world outside. Each is an effect: numbered in the order of asking, journaled whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// One HTTP exchange.
    Http(GuestRequest),
    /// A timer.
    Timer {
        /// How long from now, by the guest's clock.
        after: Duration,
    },
    /// A call of another tool.
    Call {
        /// Which function.
        target: Target,
        /// Arguments as JSON text.
        input: String,
    },
    /// The keyed store.
    State {
        /// Whose keys.
        scope: Scope,
        /// What about them.
        ask: StateAsk,
    },
    /// The functions that this run may call by name.
    Tools,
    /// JSON Schemas of one of them.
    Describe {
        /// Deployed tool.
        tool: String,
        /// Exported function.
        function: String,
    },
    /// What the run is told of itself.
    Context,
    /// A person is asked.
    Approval {
        /// What the person reads.
        question: String,
        /// What the answer is bound to, as JSON text.
        details: String,
    },
}

/// A function that a run may call by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Deployed tool.
    pub tool: String,
    /// Exported function.
    pub function: String,
    /// What a model reads about it.
    pub description: String,
}

/// What a run is told of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its run.
    pub run: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// Milliseconds that are left of its time.
    pub left_ms: u64,
    /// Whether a letter is replayed.
    pub replay: bool,
    /// Who called.
    pub principal: String,
}

/// How a call of another tool ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Called {
    /// The function returned well: JSON text.
    Ok(String),
    /// The function returned an error of its own: its case when it has cases, and JSON text.
    Err {
        /// Case of its error type.
        case: Option<String>,
        /// The error value as JSON text.
        json: String,
    },
    /// The call failed otherwise: refused, or its run failed.
    Failed {
        /// Name of the failure's code.
        code: String,
        /// Name of its class.
        class: String,
        /// What happened.
        message: String,
        /// Milliseconds to wait before trying again, when somebody said so.
        retry_after_ms: Option<u64>,
    },
}

/// What a guest gets for what it asked; each variant answers the [`Ask`] of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// An answer, or the evidence that there is none.
    Http(Result<Incoming, EffectError>),
    /// The timer fired.
    Timer,
    /// The call ended.
    Call(Called),
    /// A value; also of a write, as `None`.
    Value(Option<Bytes>),
    /// Keys.
    Keys(Vec<String>),
    /// Functions that may be called.
    Tools(Vec<Offered>),
    /// Schemas as JSON text: `{"description", "input", "output"}`; `None` when there is no such function for this run.
    Described(Option<String>),
    /// The run.
    Context(Told),
    /// A person agreed, or declined and said why.
    Approval(Result<(), String>),
    /// Refused: not granted, or not possible; the reason is told.
    Refused(String),
}

/// Where the guest's clocks stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Since the start of the run, as the guest knows it: its monotonic clock.
    pub passed: Duration,
    /// The guest's wall clock.
    pub wall: Wall,
}

/// One effect let in to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub seq: u32,
    /// What the guest gets.
    pub got: Got,
    /// Where the guest's clocks stand from now on.
    pub at: Moment,
}

/// The engine ends the attempt: its journal differs, a person is asked, the run sleeps, the host drains. The engine knows which; the
/// instance is ended by a typed error, so that its state can be read where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the attempt was ended by its host")]
pub struct Stopped;

/// The one way out of the sandbox. Implemented by the engine; an effect goes on when the instance that asked is gone.
///
/// What is in the journal is served from it, what is not is performed. The sandbox sees no difference, if it keeps two rules: the order of
/// [`Effects::begin`] is the order in which the guest asked, and [`Effects::next`] is asked only while the guest waits.
#[async_trait]
pub trait Effects: Send + Sync {
    /// Takes on what the guest asks for; answers at once with its number.
    ///
    /// # Errors
    /// [`Stopped`]: the attempt is over.
    fn begin(&self, _ask: Ask) -> Result<u32, Stopped> {
        Err(Stopped)
    }

    /// The next effect that has ended, in journaled order: waits for it. Whatever the guest waits for, this one is let in first.
    ///
    /// # Errors
    /// [`Stopped`]: the attempt is over.
    async fn next(&self) -> Result<Delivery, Stopped> {
        Err(Stopped)
    }

    /// The guest has let go of what it asked for and will not look at it: a timer is not waited for any more. What was sent goes on.
    fn abandon(&self, _seq: u32) {}

    /// Whether everything in the journal was let in: what the guest prints is news.
    fn is_live(&self) -> bool {
        true
    }
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
    /// Where the guest's wall clock starts: the same in every attempt that is served from one journal.
    pub wall: Wall,
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
    /// A call of another tool by its interface failed, and the type of its result has no room for that.
    CallFailed,
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
    /// The engine ended it ([`Stopped`]).
    Stopped,
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

/// A pool of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Instances that live.
    pub in_use: usize,
    /// Instances that it has room for.
    pub size: usize,
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
    /// How full its pool of instances is; `None` when it has none.
    fn pool(&self) -> Option<Pool> {
        None
    }
    /// The debugger that goes with it; `None` when it has none.
    fn debugger(&self) -> Option<&dyn Debugger> {
        None
    }
}
