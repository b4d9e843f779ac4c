//! Effective policy: what manifest, presets and the operator's file came down to, as plain values with the documented defaults.

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
}

/// How much of a run is made durable (durability.md, "The journal").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// No record of a success at all: for pure functions.
    None,
    /// A record once it has ended; a crash before that loses the run and its caller repeats it.
    OnFailure,
    /// A record before it starts: accepted means not lost.
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

/// A failure rate, or slow-call rate, over a window (semantics.md §2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePolicy {
    /// Trips at this share of the window's calls or more, in `(0, 1]`.
    pub threshold: f64,
    /// Trips only once so many calls were seen.
    pub minimum_calls: u32,
}

/// What the rates are computed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowPolicy {
    /// The last so many calls.
    Count(u32),
    /// The calls of the last so much time.
    Time(Duration),
}

/// When a breaker trips and how it recovers.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerPolicy {
    /// Consecutive failures that trip it; `None` switches that off.
    pub failure_threshold: Option<u32>,
    /// Failure rate that trips it; off by default.
    pub failure_rate: Option<RatePolicy>,
    /// Rate of slow calls that trips it; off by default.
    pub slow_rate: Option<RatePolicy>,
    /// A call that takes longer than this is slow.
    pub slow_call: Duration,
    /// What the rates are computed over.
    pub window: WindowPolicy,
    /// How long it stays open the first time.
    pub cooldown: Duration,
    /// Doubling of the cooldown ends here.
    pub max_cooldown: Duration,
    /// Probes admitted at once while half-open.
    pub half_open_probes: u32,
    /// A probe without a verdict for so long is taken back and counts as a failure.
    pub probe_window: Duration,
}

impl BreakerPolicy {
    /// The defaults of a service of that kind.
    #[must_use]
    pub fn of_kind(kind: ServiceKind) -> Self {
        Self {
            failure_threshold: Some(5),
            failure_rate: None,
            slow_rate: None,
            slow_call: Duration::from_secs(60),
            window: WindowPolicy::Count(100),
            cooldown: match kind {
                ServiceKind::Llm => Duration::from_secs(30),
                ServiceKind::Http => Duration::from_secs(10),
            },
            max_cooldown: Duration::from_secs(300),
            half_open_probes: 1,
            probe_window: Duration::from_secs(60),
        }
    }
}

/// The retry budget of a service: a token bucket (vectors/standard-retry.yaml).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetPolicy {
    /// Tokens of a full bucket; zero means one attempt.
    pub capacity: u32,
    /// What a retry costs.
    pub retry_cost: u32,
    /// What a retry after throttling costs.
    pub throttled_cost: u32,
    /// What a success at the first attempt gives back.
    pub success_refund: u32,
}

impl Default for BudgetPolicy {
    /// The published "current" table.
    fn default() -> Self {
        Self {
            capacity: 500,
            retry_cost: 14,
            throttled_cost: 5,
            success_refund: 1,
        }
    }
}

/// So many requests in so much time, admitted first in, first out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests; at least 1.
    pub requests: u32,
    /// The period that they are counted over.
    pub per: Duration,
}

/// What a service is, which gives its defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServiceKind {
    /// Any HTTP service.
    #[default]
    Http,
    /// An LLM provider: longer cooldown, completions may be repeated.
    Llm,
}

/// One origin that a service may be reached at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// TLS, unless the manifest wrote `http://`.
    pub tls: bool,
    /// Lower-case host name or address literal, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A request that may be repeated although its method says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPattern {
    /// Upper-case method.
    pub method: String,
    /// Path; a trailing `*` matches any rest.
    pub path: String,
}

impl RequestPattern {
    /// Whether a request of that method and path (its query left off) is meant.
    #[must_use]
    pub fn matches(&self, method: &str, path: &str) -> bool {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        self.method == method
            && match self.path.strip_suffix('*') {
                Some(prefix) => path.starts_with(prefix),
                None => path == self.path,
            }
    }
}

/// A piece of a header's value that the host adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderPart {
    /// Plain text of the manifest.
    Text(String),
    /// The value of the secret with that name, read when the request is sent.
    Secret(String),
}

/// A header that the host sets in place of the guest's own of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPolicy {
    /// Lower-case name.
    pub name: String,
    /// The value's pieces, in order.
    pub value: Vec<HeaderPart>,
}

/// How an upstream recognises a repeated request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyHeader {
    /// Header that carries the effect key.
    pub name: String,
    /// How long the upstream remembers a key.
    pub lifetime: Duration,
}

/// One named upstream: its own breaker, budget and limit.
#[derive(Clone, Debug, PartialEq)]
pub struct ServicePolicy {
    /// Name, unique among the services that a tool can reach.
    pub name: String,
    /// Whether it stands in the operator's file, so that tools share its breaker, budget and limit.
    pub shared: bool,
    /// What it is.
    pub kind: ServiceKind,
    /// The only origins that it may be reached at.
    pub hosts: Vec<Origin>,
    /// Its breaker.
    pub breaker: BreakerPolicy,
    /// Its retry budget.
    pub budget: BudgetPolicy,
    /// Its rate limit, if any.
    pub rate_limit: Option<RateLimit>,
    /// Exchanges in flight at once.
    pub concurrency: u32,
    /// Headers that the host sets.
    pub headers: Vec<HeaderPolicy>,
    /// How it recognises a repeated request, if it does.
    pub idempotency_header: Option<IdempotencyHeader>,
    /// Requests that may be repeated although their method says no.
    pub repeatable: Vec<RequestPattern>,
    /// Statuses that prove that nothing happened.
    pub rejects_before_effect: Vec<u16>,
    /// One exchange, from the first lookup to the last byte of the answer.
    pub timeout: Duration,
    /// Largest response body, in bytes.
    pub max_response: u64,
}

impl ServicePolicy {
    /// A service with the defaults of its kind.
    #[must_use]
    pub fn new(name: &str, kind: ServiceKind, hosts: Vec<Origin>) -> Self {
        let completions = [
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/responses",
            "/v1/messages",
            "/v1/embeddings",
        ];
        Self {
            name: name.to_owned(),
            shared: false,
            kind,
            hosts,
            breaker: BreakerPolicy::of_kind(kind),
            budget: BudgetPolicy::default(),
            rate_limit: None,
            concurrency: 64,
            headers: Vec::new(),
            idempotency_header: None,
            repeatable: match kind {
                ServiceKind::Llm => completions
                    .iter()
                    .map(|path| RequestPattern {
                        method: "POST".to_owned(),
                        path: (*path).to_owned(),
                    })
                    .collect(),
                ServiceKind::Http => Vec::new(),
            },
            rejects_before_effect: vec![429],
            timeout: Duration::from_secs(30),
            max_response: 8 * MIB,
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
            rename: None,
        }
    }
}

impl FunctionPolicy {
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
#[derive(Clone, Debug, PartialEq)]
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
}

impl ToolPolicy {
    /// The policy of one function.
    #[must_use]
    pub fn function(&self, name: &str) -> &FunctionPolicy {
        self.functions.get(name).unwrap_or(&self.default_function)
    }
}
