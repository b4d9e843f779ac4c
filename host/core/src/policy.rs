//! Effective policy: what manifest, presets and the operator's file came down to, as plain values with the documented defaults.

mod service;

pub use service::{
    BreakerPolicy, BudgetPolicy, HeaderPart, HeaderPolicy, IdempotencyHeader, Origin, RateLimit, RatePolicy,
    RequestPattern, ServiceKind, ServicePolicy, WindowPolicy,
};

use crate::failure::Class;
use std::collections::BTreeMap;
use std::time::Duration;

/// Mebibytes in bytes.
const MIB: u64 = 1 << 20;

/// How often a function may be run, and what makes a second run harmless (semantics.md §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Idempotency {
    /// Changes nothing anywhere; may start over.
    Readonly,
    /// Doing it twice is doing it once; may start over.
    Idempotent,
    /// May start over under its key, which its services honour.
    Keyed,
    /// Only ever goes on from where it stopped.
    #[default]
    NonIdempotent,
}

impl Idempotency {
    /// The name used in manifests and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Readonly => "readonly",
            Self::Idempotent => "idempotent",
            Self::Keyed => "keyed",
            Self::NonIdempotent => "non-idempotent",
        }
    }

    /// Whether a run may start over whatever it did before.
    #[must_use]
    pub fn may_start_over(self) -> bool {
        matches!(self, Self::Readonly | Self::Idempotent)
    }
}

/// How much of a run is made durable (durability.md, "The journal").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No journal, and no record of a success at all: for pure functions.
    None,
    /// The journal is in memory until the run fails, waits, is handed over, or does what may not be repeated; a crash before that loses
    /// the run, and its caller repeats it.
    OnFailure,
    /// The run is written down before it starts, each effect before the guest sees its answer: accepted means not lost.
    Always,
}

impl Durability {
    /// The name used in manifests and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

/// How delays are spread (semantics.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// The computed delay itself.
    None,
    /// Uniform between zero and the capped delay.
    Full,
    /// Uniform between the base and three times the previous delay, capped.
    Decorrelated,
}

/// Delays between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Delay before the second attempt, before jitter.
    pub base: Duration,
    /// What each further delay is multiplied by; 1 keeps the delay fixed.
    pub factor: u32,
    /// No delay before jitter is longer.
    pub cap: Duration,
    /// How delays are spread.
    pub jitter: Jitter,
}

/// When and how often a failed attempt is made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Name of the preset that it came from, or `custom`.
    pub preset: String,
    /// Attempts per resume point, the first included; at least 1.
    pub attempts: u32,
    /// Delays between attempts.
    pub backoff: BackoffPolicy,
    /// An upstream's hint above this ends the loop at once.
    pub max_retry_after: Duration,
    /// Attempts of a run over all resume points.
    pub max_total_attempts: u32,
}

impl RetryPolicy {
    /// One attempt, whatever happens: what a function gets that declares nothing.
    #[must_use]
    pub fn once(preset: &str) -> Self {
        Self {
            preset: preset.to_owned(),
            attempts: 1,
            backoff: BackoffPolicy {
                base: Duration::from_millis(500),
                factor: 2,
                cap: Duration::from_secs(10),
                jitter: Jitter::Full,
            },
            max_retry_after: Duration::from_secs(60),
            max_total_attempts: 50,
        }
    }
}

/// Limits of each attempt, all of them hard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, all instances of the component together.
    pub memory: u64,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Core instances, memories and tables of one component, each.
    pub instances: u32,
    /// Units of fuel, or `None` when only time bounds computing.
    pub fuel: Option<u64>,
    /// Bytes of the result as JSON.
    pub output: u64,
    /// Bytes of log kept: half of it from the start, half from the end.
    pub log: u64,
    /// Bytes that the host may hold for a run: decoded values, buffered bodies, resource table.
    pub host_memory: u64,
    /// Attempts of the tool at once.
    pub concurrency: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 * MIB,
            table_elements: 65_536,
            instances: 64,
            fuel: None,
            output: 4 * MIB,
            log: 64 << 10,
            host_memory: 64 * MIB,
            concurrency: 32,
        }
    }
}

/// Whether a person is asked before a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nobody is asked.
    #[default]
    None,
    /// The call waits for a person.
    Required,
}

/// How long a question to a person stands, and what they agreed to stays agreed, unless somebody says otherwise.
pub const APPROVAL_EXPIRES: Duration = Duration::from_secs(24 * 3600);

/// Where the attempt after a failed one begins (durability.md, "Where a run resumes").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetryFrom {
    /// At the resume point: what is settled is served from the journal.
    #[default]
    ResumePoint,
    /// At the start: nothing is served. Only for functions that may start over.
    Start,
}

impl RetryFrom {
    /// The name used in manifests and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ResumePoint => "resume-point",
            Self::Start => "start",
        }
    }
}

/// Whether letters are replayed without anybody asking; those of keyed and of detached calls alone (semantics.md §6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AutoReplay {
    /// A person replays them.
    #[default]
    Never,
    /// Once the breaker of the service that failed lets them through.
    WhenClosed,
}

impl AutoReplay {
    /// The name used in manifests and output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::WhenClosed => "when-closed",
        }
    }
}

/// What a tool may call of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolGrant {
    /// Deployed tool.
    pub tool: String,
    /// The one function that is granted; `None` grants all of them.
    pub function: Option<String>,
}

/// Effective policy of one function.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionPolicy {
    /// What a person or a model reads about it.
    pub description: Option<String>,
    /// What a person or a model reads about each parameter.
    pub params: BTreeMap<String, String>,
    /// Attempts and delays.
    pub retry: RetryPolicy,
    /// What makes a second run harmless.
    pub idempotency: Idempotency,
    /// How much of a run is made durable.
    pub durability: Durability,
    /// One attempt.
    pub timeout: Duration,
    /// The whole call.
    pub deadline: Duration,
    /// Cases of its WIT error type, and the class that each means.
    pub errors: BTreeMap<String, Class>,
    /// Whether a person is asked first.
    pub approval: Approval,
    /// How long a question stands before it expires: whether it may be called, and what its runs ask of their own accord.
    pub approval_expires: Duration,
    /// Where the attempt after a failed one begins.
    pub retry_from: RetryFrom,
    /// Whether its letters are replayed without anybody asking.
    pub auto_replay: AutoReplay,
    /// Another name towards models.
    pub rename: Option<String>,
}

impl Default for FunctionPolicy {
    fn default() -> Self {
        Self {
            description: None,
            params: BTreeMap::new(),
            retry: RetryPolicy::once("non-idempotent"),
            idempotency: Idempotency::default(),
            durability: Durability::Always,
            timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(60),
            errors: BTreeMap::new(),
            approval: Approval::None,
            approval_expires: APPROVAL_EXPIRES,
            retry_from: RetryFrom::default(),
            auto_replay: AutoReplay::default(),
            rename: None,
        }
    }
}

impl FunctionPolicy {
    /// The time of a call whose caller asked for so much: never more than the function's own.
    #[must_use]
    pub fn patience(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.deadline, |asked| asked.min(self.deadline))
    }

    /// The durability that a level has unless the manifest says otherwise.
    #[must_use]
    pub fn default_durability(level: Idempotency) -> Durability {
        match level {
            Idempotency::Readonly | Idempotency::Idempotent => Durability::OnFailure,
            Idempotency::Keyed | Idempotency::NonIdempotent => Durability::Always,
        }
    }
}

/// Effective policy of one deployed tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolPolicy {
    /// Kebab-case name, unique in its tenant.
    pub name: String,
    /// Version of the manifest's author.
    pub version: String,
    /// What a person or a model reads about it.
    pub description: Option<String>,
    /// Policies by exported function, as `name`, or `interface.name` where the bare name is ambiguous.
    pub functions: BTreeMap<String, FunctionPolicy>,
    /// Policy of the functions that the manifest does not name.
    pub default_function: FunctionPolicy,
    /// Upstreams that it may reach.
    pub services: Vec<ServicePolicy>,
    /// Limits of each attempt.
    pub limits: Limits,
    /// Environment variables that the guest sees, in order.
    pub env: Vec<(String, String)>,
    /// Whether it calls other tools: it then has [`Self::tools`].
    pub agent: bool,
    /// What it may call of other tools; nothing else of them.
    pub tools: Vec<ToolGrant>,
    /// Calls of other tools that wait for a person, as tool and function.
    pub interrupt_before: Vec<(String, String)>,
}

impl ToolPolicy {
    /// The policy of one function.
    #[must_use]
    pub fn function(&self, name: &str) -> &FunctionPolicy {
        self.functions.get(name).unwrap_or(&self.default_function)
    }

    /// Whether it may call that function of another tool.
    #[must_use]
    pub fn may_call(&self, tool: &str, function: &str) -> bool {
        let grants = self.tools.iter().filter(|grant| grant.tool == tool);
        let mut functions = grants.map(|grant| grant.function.as_deref());
        functions.any(|granted| granted.is_none_or(|granted| granted == function))
    }

    /// Whether a person is asked before it calls that function of another tool.
    #[must_use]
    pub fn interrupts_before(&self, tool: &str, function: &str) -> bool {
        let mut calls = self.interrupt_before.iter();
        calls.any(|(named, called)| named == tool && called == function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_granted_may_be_called() {
        let grant = |tool: &str, function: Option<&str>| ToolGrant {
            tool: tool.to_owned(),
            function: function.map(str::to_owned),
        };
        let policy = ToolPolicy {
            tools: vec![
                grant("search", None),
                grant("email", Some("send")),
                grant("email", Some("list")),
            ],
            interrupt_before: vec![("email".to_owned(), "send".to_owned())],
            ..ToolPolicy::default()
        };
        assert!(
            policy.may_call("search", "query") && policy.may_call("email", "send") && policy.may_call("email", "list")
        );
        assert!(!policy.may_call("email", "delete") && !policy.may_call("ledger", "send") && !policy.may_call("", ""));
        assert!(policy.interrupts_before("email", "send"));
        assert!(!policy.interrupts_before("email", "list") && !policy.interrupts_before("search", "send"));
        assert!(!ToolPolicy::default().may_call("search", "query"));
    }
}
