//! The keys of a service, in a manifest and in the operator's file.

use super::policies::BREAKER_CHOICE;
use super::{ANY_COUNT, key, required, shape};
use crate::form::{Form, Shape};

/// The words of a service's `kind`.
const KINDS: &[&str] = &["http", "llm"];

/// A named upstream, of a manifest or of the operator's file.
pub(super) static SERVICE: Shape = shape(
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
