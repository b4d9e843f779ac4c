//! Effective policy of one upstream: its breaker, budget, limit, and what is known of its requests.

use super::MIB;
use std::time::Duration;

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
