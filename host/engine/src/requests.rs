//! What faces ask of the host, and what it answers.

use crate::ports::sandbox::{ComponentFacts, Spelling};
use crate::records::{AttemptRecord, EffectRecord, Log, ToolRecord, text};
use bytes::Bytes;
use fusebox_core::component::{ComponentShape, Link};
use fusebox_core::failure::Failure;
use fusebox_core::ids::{Digest, LetterId, RunId};
use fusebox_core::policy::ToolPolicy;
use fusebox_core::role::Roles;
use fusebox_core::run::State;
use fusebox_core::trace::TraceContext;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// What every request carries.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose data is meant.
    pub tenant: Arc<str>,
    /// Who asks.
    pub principal: Arc<str>,
    /// What they may be to the host.
    pub roles: Roles,
    /// How names are spelled in JSON that is answered.
    pub spelling: Spelling,
    /// The span that called, when the caller brought one: `traceparent`.
    pub trace: Option<TraceContext>,
}

impl Caller {
    /// The one who types commands on this machine.
    #[must_use]
    pub fn local() -> Self {
        Self {
            tenant: Arc::from("default"),
            principal: Arc::from("local"),
            roles: Roles::ALL,
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
    /// Nobody waits: the call is accepted durably, and a serving host runs it.
    pub detach: bool,
}

/// A call that went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its run; `None` when the function's durability is `none`.
    pub run: Option<RunId>,
    /// `Succeeded`, or `Accepted` for a detached call.
    pub state: State,
    /// The result as JSON text; empty for a detached call.
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

impl Reply {
    /// A detached call was accepted.
    pub(crate) fn accepted(run: RunId) -> Self {
        Self {
            run: Some(run),
            state: State::Accepted,
            output: String::new(),
            stored: false,
            attempts: 0,
            in_doubt: Vec::new(),
            replayed: None,
        }
    }
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
    /// Who provides what it imports of other tools.
    pub links: Vec<Link>,
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

/// Where a replay begins to perform what it does, instead of being served from the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Begin {
    /// At the resume point (durability.md): what was settled before is not done again.
    #[default]
    ResumePoint,
    /// At the start: nothing is served.
    Start,
    /// At that effect.
    Effect(u32),
    /// At the start of a new run, with these arguments.
    Input(String),
}

impl Begin {
    /// What it is, without what it is given.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::ResumePoint => "resume-point",
            Self::Start => "start",
            Self::Effect(_) => "effect",
            Self::Input(_) => "input",
        }
    }
}

/// A replay of a letter.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The letter.
    pub letter: LetterId,
    /// Shorter deadline than the function's own.
    pub deadline: Option<Duration>,
    /// Where it begins.
    pub from: Begin,
    /// Settled effects that may not be repeated, and that are to happen again all the same.
    pub repeat: Vec<u32>,
    /// Another component over the same journal; `None` for the one that the run is pinned to.
    pub component: Option<Digest>,
    /// Performs nothing, and says what would be next.
    pub dry_run: bool,
}

/// What came of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// The run has succeeded.
    Done(Reply),
    /// Nothing was performed.
    Dry(DryRun),
}

/// What a replay would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct DryRun {
    /// Effects that the journal served.
    pub served: u32,
    /// What would be next, in a sentence.
    pub next: String,
    /// The effect that would be performed next; `None` when the function returns without one.
    pub effect: Option<EffectRecord>,
}

/// An answer that a person knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Bytes,
}

/// How a person settles a letter in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// The effect happened, and this is what came back.
    Happened {
        /// The run of the tree whose effect it is; `None` for the root.
        run: Option<RunId>,
        /// Its number.
        effect: u32,
        /// What the guest gets for it.
        response: Response,
    },
    /// The effect did not happen; it is made when the run goes on.
    NotHappened {
        /// The run of the tree whose effect it is; `None` for the root.
        run: Option<RunId>,
        /// Its number.
        effect: u32,
    },
    /// The run has failed.
    CloseFailed {
        /// Why, in the person's words.
        reason: Option<String>,
    },
    /// The run has succeeded.
    CloseSucceeded {
        /// Its result as JSON text.
        output: String,
    },
}

/// Which letters a bulk replay takes, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case", default)]
pub struct Redrive {
    /// Only of that service.
    pub service: Option<String>,
    /// Only of that tool.
    pub tool: Option<String>,
    /// Only of that class.
    pub class: Option<String>,
    /// Only that failed last at or after, milliseconds since 1970.
    pub since: Option<i64>,
    /// At most so many; zero means all.
    pub max: u32,
    /// Letters per minute; zero means as fast as they end.
    pub per_minute: u32,
    /// Stops after so many failures; zero never.
    pub stop_after_failures: u32,
}

/// Known-bad letters that are one defect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub struct LetterGroup {
    /// Digest of component, function, class and top frames.
    pub fingerprint: String,
    /// The tool.
    pub tool: String,
    /// The function.
    pub function: String,
    /// Class of the failure.
    pub class: String,
    /// Innermost frames.
    pub frames: Vec<String>,
    /// How many letters.
    pub count: u64,
    /// First failure of the oldest, milliseconds since 1970.
    pub oldest: i64,
    /// Last failure of the newest, milliseconds since 1970.
    pub newest: i64,
    /// One of them.
    #[serde(with = "text")]
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub sample: LetterId,
}

/// Open letters in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterStats {
    /// All that are open.
    pub open: u64,
    /// Of these, in doubt.
    pub in_doubt: u64,
    /// Of these, known to be bad.
    pub known_bad: u64,
    /// Being replayed.
    pub replaying: u64,
    /// By service, most first; what failed at none is left out.
    pub by_service: Vec<(String, u64)>,
    /// By class, most first.
    pub by_class: Vec<(String, u64)>,
    /// First failure of the oldest, milliseconds since 1970.
    pub oldest: Option<i64>,
    /// Known-bad ones, grouped, most first.
    pub groups: Vec<LetterGroup>,
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
