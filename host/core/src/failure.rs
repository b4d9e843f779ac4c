//! What can go wrong, as one closed vocabulary: a class for every decision, a code for every face.

use crate::ids::{ApprovalId, LetterId, RunId};
use crate::time::Wall;
use std::fmt;
use std::time::Duration;

/// The class of a failure (semantics.md §3). Retry, breaker, budget and dead letter decide by it and by nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// The upstream failed and may recover: any 5xx but 501 and 505.
    Transient,
    /// The upstream asked for fewer requests: 429.
    Throttled,
    /// The upstream or the component answered; repeating the same request cannot help.
    Caller,
    /// Nothing reached the upstream.
    NotSent,
    /// The request left, and nobody knows what became of it.
    Unknown,
    /// A limit of the attempt was reached: time, memory, tables, instances, output, host memory.
    Exhausted,
    /// The component itself is broken: a trap, an exit, a value that breaks the ABI.
    Fault,
    /// A person or a policy ended the run: denied, declined, expired, cancelled.
    Control,
    /// An effect that may not be repeated was left unknown: only a person can settle it.
    InDoubt,
}

impl Class {
    /// Every class, in the order of their severity.
    pub const ALL: [Self; 9] = [
        Self::Transient,
        Self::Throttled,
        Self::Caller,
        Self::NotSent,
        Self::Unknown,
        Self::Exhausted,
        Self::Fault,
        Self::Control,
        Self::InDoubt,
    ];

    /// The name used in manifests, filters and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Caller => "caller",
            Self::NotSent => "not-sent",
            Self::Unknown => "unknown",
            Self::Exhausted => "exhausted",
            Self::Fault => "fault",
            Self::Control => "control",
            Self::InDoubt => "in-doubt",
        }
    }

    /// The class of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The stable code of a failure: the key of the one table that gives exit code, HTTP status, MCP error and help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// The input does not fit the function's WIT types.
    BadInput,
    /// No deployed tool, or no exported function, has that name.
    NotFound,
    /// An operator switched the tool off.
    ToolDisabled,
    /// Nobody knows who asks: no key or token, or one that is not, or no longer, valid.
    Unauthenticated,
    /// The policy refuses this caller, these arguments, or this host.
    Denied,
    /// A person has to approve the call first; the run waits for it.
    NeedsApproval,
    /// A person declined the call, or nobody answered in time.
    Declined,
    /// What the component asked for differs from what the journal holds: it is another component, or none that can be replayed.
    Diverged,
    /// The function demands an idempotency key and the call has none.
    KeyRequired,
    /// The idempotency key was used with other arguments.
    KeyReused,
    /// A run has this key and is not finished.
    KeyInUse,
    /// A breaker is open, so nothing was tried.
    BreakerOpen,
    /// The tool answered with an error that repeating cannot mend.
    ToolFailed,
    /// An upstream failed until retries, budget or deadline were used up.
    UpstreamFailed,
    /// A limit of the attempt was reached.
    Exhausted,
    /// The component trapped, exited, or broke the ABI.
    Fault,
    /// An effect that may not be repeated is unsettled.
    InDoubt,
    /// Somebody cancelled the run.
    Cancelled,
    /// The host is full or drains, and took nothing on.
    Overloaded,
    /// The store could not be reached or refused a write.
    StoreUnavailable,
    /// A host that is asked over the network cannot be reached, or does not answer as one.
    Unreachable,
    /// A defect of Fusebox.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 22] = [
        Self::BadInput,
        Self::NotFound,
        Self::ToolDisabled,
        Self::Unauthenticated,
        Self::Denied,
        Self::NeedsApproval,
        Self::Declined,
        Self::Diverged,
        Self::KeyRequired,
        Self::KeyReused,
        Self::KeyInUse,
        Self::BreakerOpen,
        Self::ToolFailed,
        Self::UpstreamFailed,
        Self::Exhausted,
        Self::Fault,
        Self::InDoubt,
        Self::Cancelled,
        Self::Overloaded,
        Self::StoreUnavailable,
        Self::Unreachable,
        Self::Internal,
    ];

    /// The name used in output and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadInput => "bad-input",
            Self::NotFound => "not-found",
            Self::ToolDisabled => "tool-disabled",
            Self::Unauthenticated => "unauthenticated",
            Self::Denied => "denied",
            Self::NeedsApproval => "needs-approval",
            Self::Declined => "declined",
            Self::Diverged => "diverged",
            Self::KeyRequired => "key-required",
            Self::KeyReused => "key-reused",
            Self::KeyInUse => "key-in-use",
            Self::BreakerOpen => "breaker-open",
            Self::ToolFailed => "tool-failed",
            Self::UpstreamFailed => "upstream-failed",
            Self::Exhausted => "exhausted",
            Self::Fault => "fault",
            Self::InDoubt => "in-doubt",
            Self::Cancelled => "cancelled",
            Self::Overloaded => "overloaded",
            Self::StoreUnavailable => "store-unavailable",
            Self::Unreachable => "unreachable",
            Self::Internal => "internal",
        }
    }

    /// The code of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure as it is shown, stored and replayed: data, never a live error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What a face does with it.
    pub code: Code,
    /// What a policy does with it.
    pub class: Class,
    /// What happened, where, and what to change or type next.
    pub message: String,
    /// The service of the failed effect, or of the breaker that is open.
    pub service: Option<String>,
    /// The case of the function's WIT error type, when the component answered with one.
    pub case: Option<String>,
    /// The component's error value as JSON text, when it answered with one.
    pub error: Option<String>,
    /// How long to wait before trying again, when somebody said so.
    pub retry_after: Option<Duration>,
    /// Not before this instant may a replay be worth it: an upstream's own hint.
    pub not_before: Option<Wall>,
    /// The run that holds the key, or that failed.
    pub run: Option<RunId>,
    /// The letter that keeps what is needed to go on.
    pub letter: Option<LetterId>,
    /// The question that a person has to answer first.
    pub approval: Option<ApprovalId>,
    /// Causes, outermost first.
    pub chain: Vec<String>,
}

impl Failure {
    /// A failure that says `message` and nothing else yet.
    #[must_use]
    pub fn new(code: Code, class: Class, message: impl Into<String>) -> Self {
        Self {
            code,
            class,
            message: message.into(),
            service: None,
            case: None,
            error: None,
            retry_after: None,
            not_before: None,
            run: None,
            letter: None,
            approval: None,
            chain: Vec::new(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}
