//! The keys of retry policies and breakers, where they stand in manifests and in presets.

use super::{ANY_COUNT, key, required, shape};
use crate::form::{Form, Key, Shape};

/// The words of `jitter`.
const JITTERS: &[&str] = &["none", "full", "decorrelated"];

/// A preset's name, or a table.
pub(super) const RETRY_CHOICE: Form = Form::Either(&Form::Preset, &RETRY);
/// A preset's name, or a table.
pub(super) const BREAKER_CHOICE: Form = Form::Either(&Form::Preset, &BREAKER);

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
        Form::Preset,
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
        Form::Preset,
        "",
        "The preset that gives what the table does not say.",
    )],
    shared: BREAKER_KEYS,
};
