//! What faces ask of the host, and what it answers.

use crate::ports::sandbox::{ComponentFacts, Spelling};
use crate::records::{AttemptRecord, Log, ToolRecord};
use bytes::Bytes;
use fusebox_core::component::ComponentShape;
use fusebox_core::failure::Failure;
use fusebox_core::ids::{Digest, LetterId, RunId};
use fusebox_core::policy::ToolPolicy;
use std::sync::Arc;
use std::time::Duration;

/// What every request carries.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose data is meant.
    pub tenant: Arc<str>,
    /// Who asks.
    pub principal: Arc<str>,
    /// How names are spelled in JSON that is answered.
    pub spelling: Spelling,
    /// Trace id in hexadecimal, when the caller brought one.
    pub trace: Option<String>,
}

impl Caller {
    /// The one who types commands on this machine.
    #[must_use]
    pub fn local() -> Self {
        Self {
            tenant: Arc::from("default"),
            principal: Arc::from("local"),
            spelling: Spelling::Kebab,
            trace: None,
        }
    }
}

/// A call of a deployed function.
#[derive(Clone, Debug)]
pub struct Call {
    /// Deployed tool.
    pub tool: String,
    /// Exported function.
    pub function: String,
    /// Arguments: a JSON object with a property for each parameter; empty means none.
    pub input: String,
    /// The caller's idempotency key.
    pub key: Option<String>,
    /// How long to wait for the run that has the key already; `None` answers at once.
    pub wait: Option<Duration>,
    /// Shorter deadline than the function's own.
    pub deadline: Option<Duration>,
}

/// A call that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its run; `None` when the function's durability is `none`.
    pub run: Option<RunId>,
    /// The result as JSON text.
    pub output: String,
    /// Whether it is the stored outcome of an earlier call with the same key, or of an earlier replay.
    pub stored: bool,
    /// Attempts that this call took; 0 when it is a stored outcome.
    pub attempts: u32,
    /// Numbers of effects that are in doubt although the function returned well.
    pub in_doubt: Vec<u32>,
    /// The letter that was replayed before: its run's stored outcome is this one, whether or not the run had a key.
    pub replayed: Option<LetterId>,
}

/// A component tried without manifest and database.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The component.
    pub wasm: Bytes,
    /// Its policy; the default one grants nothing.
    pub policy: ToolPolicy,
    /// Exported function.
    pub function: String,
    /// Arguments, as in [`Call`].
    pub input: String,
}

/// What came of a trial.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The result as JSON text, or the failure.
    pub result: Result<String, Box<Failure>>,
    /// The one attempt.
    pub attempt: AttemptRecord,
    /// Symbolised frames, innermost first.
    pub backtrace: Vec<String>,
    /// What the guest printed.
    pub log: Log,
}

/// A component and the manifest that goes with it, already checked against each other.
#[derive(Clone, Debug)]
pub struct Deploy {
    /// The component.
    pub wasm: Bytes,
    /// The manifest's text.
    pub manifest: String,
    /// Where the manifest was read, for messages.
    pub source: String,
    /// What it came down to.
    pub policy: ToolPolicy,
}

/// A deployed tool.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The version that is in force now.
    pub tool: ToolRecord,
    /// Whether it was added; `false` when the newest version was the same.
    pub new: bool,
    /// What its component offers and needs.
    pub shape: ComponentShape,
    /// What is known of its component.
    pub facts: ComponentFacts,
}

/// A replay of a letter from its start.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The letter.
    pub letter: LetterId,
    /// Shorter deadline than the function's own.
    pub deadline: Option<Duration>,
}

/// What an operator does to a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerOrder {
    /// Refuse everything until told otherwise.
    ForceOpen,
    /// Let everything through and count nothing until told otherwise.
    Disable,
    /// Back to closed, with all counts at zero.
    Close,
}

/// A part of the memory that a letter keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// Index of the core instance in the snapshot.
    pub instance: usize,
    /// Index of the memory in that instance.
    pub memory: usize,
    /// First byte.
    pub offset: u64,
    /// Bytes; cut at the memory's end.
    pub length: u64,
}

/// SHA-256 of some bytes.
#[must_use]
pub fn digest_of(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    Digest(sha2::Sha256::digest(bytes).into())
}
