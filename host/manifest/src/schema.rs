//! The keys of all files, as data: parser, messages, JSON Schemas and `config show` are made from these tables.

mod host;

pub(crate) use host::HOST;

use crate::form::{Form, Key, Shape};

const fn key(name: &'static str, form: Form, default: &'static str, doc: &'static str) -> Key {
    Key {
        name,
        form,
        required: false,
        default,
        doc,
    }
}

const fn required(name: &'static str, form: Form, doc: &'static str) -> Key {
    Key {
        name,
        form,
        required: true,
        default: "",
        doc,
    }
}

const fn shape(title: &'static str, keys: &'static [Key]) -> Shape {
    Shape {
        title,
        keys,
        shared: &[],
    }
}

/// The words of `idempotency`, in the order of [`fusebox_core::policy::Idempotency`].
pub(crate) const LEVELS: &[&str] = &["readonly", "idempotent", "keyed", "non-idempotent"];
/// The words of `durability`.
pub(crate) const DURABILITIES: &[&str] = &["none", "on-failure", "always"];
/// The words of `jitter`.
pub(crate) const JITTERS: &[&str] = &["none", "full", "decorrelated"];
/// The words of a service's `kind`.
pub(crate) const KINDS: &[&str] = &["http", "llm"];
/// The classes that an error's case may be mapped to: what an upstream or a caller did, never what the host alone can see.
pub(crate) const CLASSES: &[&str] = &["transient", "throttled", "caller", "not-sent", "unknown"];

const ANY_COUNT: Form = Form::Count(1, 1_000_000);

/// A tool's manifest.
pub(crate) static MANIFEST: Shape = shape(
    "the manifest",
    &[
        required(
            "name",
            Form::Name,
            "Name of the tool, unique in its tenant; calls name it.",
        ),
        key("version", Form::Version, "\"0.0.0\"", "Version of the tool, by semver."),
        required(
            "component",
            Form::Component,
            "The component: a file beside the manifest, or `sha256:…` of a deployed one.",
        ),
        key(
            "description",
            Form::Text,
            "",
            "What the tool does, for people and models.",
        ),
        key(
            "wit",
            Form::Text,
            "",
            "Folder or file with the component's WIT source; its comments describe functions and parameters to models.",
        ),
        key(
            "uses",
            Form::List(&Form::Name),
            "[]",
            "Shared services of the operator's file that the tool may reach.",
        ),
        key(
            "retry",
            RETRY_CHOICE,
            "\"non-idempotent\"",
            "Retry of functions that have none of their own: a preset, or a table.",
        ),
        key(
            "services",
            Form::Map(&Form::Name, &Form::Table(&SERVICE)),
            "",
            "Upstreams of this tool; nothing else can be reached.",
        ),
        key(
            "functions",
            Form::Map(&Form::Function, &Form::Table(&FUNCTION)),
            "",
            "Policies of exported functions.",
        ),
        key("limits", Form::Table(&LIMITS), "", "Limits of each attempt."),
        key(
            "env",
            Form::Map(&Form::Variable, &Form::AnyText),
            "",
            "Environment variables that the guest sees; never secrets.",
        ),
        key(
            "words",
            Form::Map(&Form::Function, &Form::Table(&WORDS)),
            "",
            "What the component's own comments say; written by deploy, never by people.",
        ),
        key(
            "build",
            Form::Table(&BUILD),
            "",
            "How the component is built; kept as text.",
        ),
        key(
            "tools",
            Form::List(&Form::Name),
            "",
            "Other tools that this one may call. Not available in this version.",
        ),
        key(
            "interrupt-before",
            Form::List(&Form::Function),
            "",
            "Calls that wait for a person. Not available in this version.",
        ),
    ],
);

const RETRY_CHOICE: Form = Form::Either(&Form::Name, &RETRY);
const BREAKER_CHOICE: Form = Form::Either(&Form::Name, &BREAKER);

static BUILD: Shape = shape(
    "`build`",
    &[required(
        "command",
        Form::Text,
        "Command that builds the component, run by people in the manifest's folder.",
    )],
);

static WORDS: Shape = shape(
    "a function's words",
    &[
        key("description", Form::Text, "", "What the function does."),
        key(
            "params",
            Form::Map(&Form::Label, &Form::Text),
            "",
            "What each parameter means.",
        ),
    ],
);

/// One function of a manifest.
pub(crate) static FUNCTION: Shape = shape(
    "a function",
    &[
        key(
            "description",
            Form::Text,
            "",
            "What the function does, for people and models.",
        ),
        key(
            "params",
            Form::Map(&Form::Label, &Form::Text),
            "",
            "What each parameter means, for people and models.",
        ),
        key("retry", RETRY_CHOICE, "\"non-idempotent\"", "A preset, or a table."),
        key(
            "idempotency",
            Form::Word(LEVELS),
            "\"non-idempotent\"",
            "What makes a second run harmless.",
        ),
        key(
            "durability",
            Form::Word(DURABILITIES),
            "",
            "How much of a run is made durable; `on-failure` for readonly and idempotent functions, else `always`.",
        ),
        key("timeout", Form::SomeDuration, "\"30s\"", "Time of one attempt."),
        key("deadline", Form::SomeDuration, "\"60s\"", "Time of the whole call."),
        key(
            "errors",
            Form::Map(&Form::Label, &Form::Word(CLASSES)),
            "",
            "Cases of the function's WIT error type, and the class that each means.",
        ),
        key(
            "approval",
            Form::Word(&["none", "required"]),
            "\"none\"",
            "Whether a person is asked first. `required` is not available in this version.",
        ),
        key(
            "as",
            Form::ModelName,
            "",
            "Another name towards models; `tool_function` without it.",
        ),
        key(
            "retry-from",
            Form::Word(&["start", "failure"]),
            "",
            "Where a retry begins. Not available in this version.",
        ),
    ],
);

/// Keys of a retry policy.
static RETRY_KEYS: &[Key] = &[
    key("attempts", Form::Count(1, 1_000), "1", "Attempts, the first included."),
    key(
        "base",
        Form::SomeDuration,
        "\"500ms\"",
        "Delay before the second attempt, before jitter.",
    ),
    key(
        "factor",
        Form::Count(1, 10),
        "2",
        "What each further delay is multiplied by; 1 keeps it fixed.",
    ),
    key(
        "cap",
        Form::SomeDuration,
        "\"10s\"",
        "No delay before jitter is longer.",
    ),
    key("jitter", Form::Word(JITTERS), "\"full\"", "How delays are spread."),
    key(
        "max-retry-after",
        Form::Duration,
        "\"60s\"",
        "An upstream's hint above this ends the loop at once.",
    ),
    key(
        "max-total-attempts",
        Form::Count(1, 100_000),
        "50",
        "Attempts of a run over all resume points.",
    ),
];

static RETRY: Shape = Shape {
    title: "a retry policy",
    keys: &[key(
        "preset",
        Form::Name,
        "\"non-idempotent\"",
        "The preset that gives what the table does not say.",
    )],
    shared: RETRY_KEYS,
};

/// Keys of a breaker.
static BREAKER_KEYS: &[Key] = &[
    key(
        "failure-threshold",
        Form::OrNone(&ANY_COUNT),
        "5",
        "Consecutive failures that trip it.",
    ),
    key(
        "failure-rate",
        Form::Share,
        "",
        "Share of failures in the window that trips it; off without it.",
    ),
    key(
        "slow-rate",
        Form::Share,
        "",
        "Share of slow calls in the window that trips it; off without it.",
    ),
    key(
        "slow-call",
        Form::SomeDuration,
        "\"60s\"",
        "A call that takes longer is slow.",
    ),
    key(
        "minimum-calls",
        ANY_COUNT,
        "10",
        "Rates trip only once so many calls were seen.",
    ),
    key(
        "window",
        Form::Window,
        "100",
        "What the rates are computed over: a number of calls, or a duration.",
    ),
    key(
        "cooldown",
        Form::SomeDuration,
        "\"10s\"",
        "How long it stays open the first time; 30s for `kind = \"llm\"`.",
    ),
    key(
        "max-cooldown",
        Form::SomeDuration,
        "\"5m\"",
        "Doubling of the cooldown ends here.",
    ),
    key(
        "half-open-probes",
        Form::Count(1, 1_000),
        "1",
        "Probes admitted at once while half-open.",
    ),
    key(
        "probe-window",
        Form::SomeDuration,
        "\"60s\"",
        "A probe without a verdict for so long counts as a failure; at least the service's timeout.",
    ),
];

static BREAKER: Shape = Shape {
    title: "a breaker",
    keys: &[key(
        "preset",
        Form::Name,
        "",
        "The preset that gives what the table does not say.",
    )],
    shared: BREAKER_KEYS,
};

/// A named upstream, of a manifest or of the operator's file.
pub(crate) static SERVICE: Shape = shape(
    "a service",
    &[
        required(
            "hosts",
            Form::SomeList(&Form::Host),
            "The only hosts that it may be reached at: TLS on 443 unless written as `http://host:port`.",
        ),
        key(
            "kind",
            Form::Word(KINDS),
            "\"http\"",
            "`llm`: a longer cooldown, and completions may be repeated.",
        ),
        key(
            "breaker",
            BREAKER_CHOICE,
            "",
            "Its circuit breaker: a preset, or a table.",
        ),
        key("budget", Form::Table(&BUDGET), "", "Its retry budget, a token bucket."),
        key(
            "rate-limit",
            Form::OrNone(&Form::Rate),
            "\"none\"",
            "Requests per period, admitted first in, first out.",
        ),
        key("concurrency", ANY_COUNT, "64", "Exchanges in flight at once."),
        key(
            "headers",
            Form::Map(&Form::HeaderName, &Form::HeaderValue),
            "",
            "Headers that the host sets in place of the guest's own; secrets as `${secret:NAME}`.",
        ),
        key(
            "idempotency-header",
            Form::Table(&IDEMPOTENCY_HEADER),
            "",
            "How it recognises a repeated request.",
        ),
        key(
            "repeatable",
            Form::List(&Form::Pattern),
            "[]",
            "Requests that may be repeated although their method says no.",
        ),
        key(
            "rejects-before-effect",
            Form::List(&Form::Count(400, 599)),
            "[429]",
            "Statuses that prove that nothing happened.",
        ),
        key(
            "timeout",
            Form::SomeDuration,
            "\"30s\"",
            "Time of one exchange, from the lookup of the name to the last byte of the answer.",
        ),
        key("max-response", Form::Size, "\"8MiB\"", "Largest body of an answer."),
    ],
);

static BUDGET: Shape = shape(
    "a retry budget",
    &[
        key(
            "capacity",
            Form::Count(0, 1_000_000),
            "500",
            "Tokens of a full bucket; 0 means one attempt.",
        ),
        key("retry-cost", Form::Count(0, 1_000_000), "14", "What a retry costs."),
        key(
            "throttled-cost",
            Form::Count(0, 1_000_000),
            "5",
            "What a retry after throttling costs.",
        ),
        key(
            "success-refund",
            Form::Count(0, 1_000_000),
            "1",
            "What a success at the first attempt gives back.",
        ),
    ],
);

static IDEMPOTENCY_HEADER: Shape = shape(
    "an idempotency header",
    &[
        required("name", Form::HeaderName, "Header that carries the key."),
        key(
            "lifetime",
            Form::SomeDuration,
            "\"24h\"",
            "How long the upstream remembers a key.",
        ),
    ],
);

/// Limits of each attempt.
pub(crate) static LIMITS: Shape = shape(
    "limits",
    &[
        key(
            "memory",
            Form::Size,
            "\"64MiB\"",
            "Linear memory, all instances of the component together.",
        ),
        key(
            "table-elements",
            Form::Count(1, 100_000_000),
            "65536",
            "Elements of all tables together.",
        ),
        key(
            "instances",
            Form::Count(1, 100_000),
            "64",
            "Core instances, memories and tables, each.",
        ),
        key(
            "fuel",
            Form::OrNone(&Form::Count(1, i64::MAX as u64)),
            "\"none\"",
            "Units of computing; without it time alone bounds computing.",
        ),
        key("output", Form::Size, "\"4MiB\"", "Result as JSON."),
        key(
            "log",
            Form::Size,
            "\"64KiB\"",
            "Log that is kept: half of it from the start, half from the end.",
        ),
        key(
            "host-memory",
            Form::Size,
            "\"64MiB\"",
            "What the host may hold for a run: decoded values, buffered bodies, resource table.",
        ),
        key("concurrency", ANY_COUNT, "32", "Attempts of the tool at once."),
    ],
);

/// A preset.
pub(crate) static PRESET: Shape = shape(
    "a preset",
    &[
        key("description", Form::Text, "", "What it is meant for."),
        required("retry", Form::Table(&PRESET_RETRY), "Attempts and delays."),
        key(
            "breaker",
            Form::Table(&PRESET_BREAKER),
            "",
            "When a breaker trips and how it recovers.",
        ),
    ],
);

static PRESET_RETRY: Shape = Shape {
    title: "a preset's retry policy",
    keys: &[],
    shared: RETRY_KEYS,
};
static PRESET_BREAKER: Shape = Shape {
    title: "a preset's breaker",
    keys: &[],
    shared: BREAKER_KEYS,
};
