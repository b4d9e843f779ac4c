//! One thing that an attempt did to the world outside its sandbox, and the evidence of how it ended.

use crate::failure::Class;
use crate::ids::Digest;
use std::sync::Arc;
use std::time::Duration;

/// What kind of thing an effect is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An HTTP exchange.
    #[default]
    Http,
    /// A timer.
    Timer,
    /// A call of another tool: a run of its own.
    Call,
    /// Something read from the host: its state, its list of tools, the run's own context.
    Read,
    /// A write to the tool's or the run's state.
    Write,
    /// A person is asked.
    Approval,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Http,
        Self::Timer,
        Self::Call,
        Self::Read,
        Self::Write,
        Self::Approval,
    ];

    /// The name used in output and stored rows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Timer => "timer",
            Self::Call => "call",
            Self::Read => "read",
            Self::Write => "write",
            Self::Approval => "approval",
        }
    }

    /// The kind of that name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// What an upstream said about when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint(pub Duration);

/// Why nothing reached the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSent {
    /// The name has no address.
    Dns,
    /// Nobody listens, or the connection was refused.
    Refused,
    /// No connection in time.
    ConnectTimeout,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before the first byte of the request.
    NotWritten,
    /// Breaker open: nothing was tried.
    BreakerOpen,
    /// The rate limit or the bulkhead cannot be met within the deadline.
    RateLimited,
}

/// Why nobody knows what became of a request that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The connection was reset or closed before the answer was whole.
    Reset,
    /// No whole answer in time.
    Timeout,
    /// The answer breaks HTTP, or is larger than the service's limit.
    Malformed,
}

/// How an effect ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The upstream answered with that status, the body whole.
    Status {
        /// HTTP status.
        status: u16,
        /// Its Retry-After, parsed.
        hint: Option<Hint>,
    },
    /// Nothing reached the upstream.
    NotSent(NotSent),
    /// The request left and no whole answer came.
    Lost(Lost),
    /// The policy refused it: a host outside every service, or an address that may not be reached.
    Denied,
    /// The attempt ended before it was sent.
    Cancelled,
    /// What is no HTTP exchange was done: a timer fired, a call returned (well, or with an error of its own), a value was read or written.
    Done,
    /// A call of another tool failed, and not by an error that the tool answered with.
    Failed {
        /// Class of its failure.
        class: Class,
        /// When it said to come back.
        hint: Option<Hint>,
    },
}

/// One effect of an attempt, as evidence for the judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Number within the run, from 1.
    pub seq: u32,
    /// What kind of thing it is.
    pub kind: Kind,
    /// The service that it went to; empty when it was denied before one was found.
    pub service: Arc<str>,
    /// Upper-case method; for what is no HTTP exchange a word such as `CALL`.
    pub method: String,
    /// Path and query, as the guest made them; for a call the function, as `tool.function`.
    pub path: String,
    /// Digest of the request as the guest made it.
    pub request: Digest,
    /// Which of the equal requests of its attempt it is, from 0 ([`crate::idempotency::occurrence`]).
    pub occurrence: u32,
    /// Whether it may be repeated (semantics.md §3), before its answer is looked at.
    pub repeatable: bool,
    /// Whether it changes nothing, so that making it again after it was settled is of no account: a read, a GET or HEAD, a timer, a call of
    /// a `readonly` function.
    pub safe: bool,
    /// Whether the answer's status is among those that prove that nothing happened.
    pub rejected_before_effect: bool,
    /// How it ended; `None` while it is in flight.
    pub answer: Option<Answer>,
    /// How long it took.
    pub took: Duration,
}
