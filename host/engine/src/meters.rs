//! What is counted and measured, by the names that docs/metrics.md explains. Handles are made once, with what they count, so that a call
//! neither looks one up nor allocates; where no recorder is installed they do nothing.

mod gauges;
mod store;

pub(crate) use gauges::{Gauges, work};
pub use store::MeteredStore;

use crate::ports::sandbox;
use crate::requests::Reply;
use fusebox_core::breaker::State;
use fusebox_core::dead_letter::Kind;
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::run;
use metrics::{Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, histogram};
use std::time::Duration;

/// Bounds of `fusebox_call_seconds` and `fusebox_exchange_seconds`: from a pure function to one that a model answers.
pub const CALL_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
];
/// Bounds of `fusebox_store_seconds`: from a read in memory to a disk that stalls.
pub const STORE_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Histograms and the bounds of their buckets, in seconds.
pub const HISTOGRAMS: [(&str, &[f64]); 3] = [
    ("fusebox_call_seconds", CALL_SECONDS),
    ("fusebox_exchange_seconds", CALL_SECONDS),
    ("fusebox_store_seconds", STORE_SECONDS),
];

/// Tells the recorder that is installed what each name means.
pub fn describe() {
    describe_counter!("fusebox_calls_total", "Calls of a function by how they ended.");
    describe_counter!(
        "fusebox_refusals_total",
        "Calls that came to no function: the host is full, or there is no such tool."
    );
    describe_counter!(
        "fusebox_attempts_total",
        "Attempts by the class of their failure; `ok` without one."
    );
    describe_counter!("fusebox_retries_total", "Attempts that were made again.");
    describe_counter!(
        "fusebox_breaker_transitions_total",
        "Breakers that changed, by their new state."
    );
    describe_counter!("fusebox_letters_enqueued_total", "Runs that became dead letters.");
    describe_counter!(
        "fusebox_letters_replayed_total",
        "Replays of dead letters by what came of them."
    );
    describe_histogram!("fusebox_call_seconds", "How long calls took, in seconds.");
    describe_histogram!(
        "fusebox_exchange_seconds",
        "How long HTTP exchanges with a service took, in seconds."
    );
    describe_histogram!("fusebox_store_seconds", "How long the store took, in seconds.");
    describe_gauge!(
        "fusebox_budget_tokens",
        "Tokens in the retry budget of a service, of the tenant with the fewest."
    );
    describe_gauge!(
        "fusebox_breaker_state",
        "-1 disabled, 0 closed, 1 half-open, 2 open, 3 held open; of the tenant that is worst off."
    );
    describe_gauge!("fusebox_letters_open", "Open dead letters.");
    describe_gauge!(
        "fusebox_letters_oldest_seconds",
        "Age of the oldest open dead letter, in seconds; 0 without one."
    );
    describe_gauge!("fusebox_approvals_waiting", "Questions that wait for a person.");
    describe_gauge!(
        "fusebox_approvals_oldest_seconds",
        "Age of the oldest of them, in seconds; 0 without one."
    );
    describe_gauge!("fusebox_pool_in_use", "Places of a pool that are taken.");
    describe_gauge!("fusebox_pool_size", "Places of a pool.");
}

/// One for each failure code, and for what is none.
struct Outcomes {
    by_code: [Counter; Code::ALL.len()],
    ok: Counter,
    accepted: Counter,
}

/// What is counted of one function.
pub(crate) struct FunctionMeters {
    outcomes: Outcomes,
    attempts: [Counter; Class::ALL.len()],
    well: Counter,
    retries: Counter,
    seconds: Histogram,
}

impl FunctionMeters {
    /// Of a deployed function.
    pub(crate) fn new(tool: &str, function: &str) -> Self {
        let call = |outcome: &'static str| counter!("fusebox_calls_total", "tool" => tool.to_owned(), "function" => function.to_owned(), "outcome" => outcome);
        let attempt = |class: &'static str| counter!("fusebox_attempts_total", "tool" => tool.to_owned(), "function" => function.to_owned(), "class" => class);
        Self {
            outcomes: Outcomes {
                by_code: Code::ALL.map(|code| call(code.name())),
                ok: call("ok"),
                accepted: call("accepted"),
            },
            attempts: Class::ALL.map(|class| attempt(class.name())),
            well: attempt("ok"),
            retries: counter!("fusebox_retries_total", "tool" => tool.to_owned(), "function" => function.to_owned()),
            seconds: histogram!("fusebox_call_seconds", "tool" => tool.to_owned(), "function" => function.to_owned()),
        }
    }

    /// A call came back to whoever waits for it, after so long.
    pub(crate) fn called(&self, result: &Result<Reply, Box<Failure>>, took: Duration) {
        self.ended(result);
        self.seconds.record(took.as_secs_f64());
    }

    /// A run ended, or rests, that nobody waits for.
    pub(crate) fn ended(&self, result: &Result<Reply, Box<Failure>>) {
        match result {
            Ok(reply) if reply.state == run::State::Accepted => self.outcomes.accepted.increment(1),
            Ok(_) => self.outcomes.ok.increment(1),
            Err(failure) => self.failed(failure.code),
        }
    }

    /// Another tool's call came back to it, after so long.
    pub(crate) fn called_by_tool(&self, called: &sandbox::Called, took: Duration) {
        match called {
            sandbox::Called::Ok(_) => self.outcomes.ok.increment(1),
            sandbox::Called::Err { .. } => self.failed(Code::ToolFailed),
            sandbox::Called::Failed { code, .. } => self.failed(Code::from_name(code).unwrap_or(Code::Internal)),
        }
        self.seconds.record(took.as_secs_f64());
    }

    fn failed(&self, code: Code) {
        of(&Code::ALL, code, &self.outcomes.by_code).increment(1);
    }

    /// An attempt was judged.
    pub(crate) fn attempted(&self, class: Option<Class>) {
        class
            .map_or(&self.well, |class| of(&Class::ALL, class, &self.attempts))
            .increment(1);
    }

    /// An attempt is made again.
    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }
}

/// What is counted of one service.
pub(crate) struct ServiceMeters {
    seconds: Histogram,
    letters: LetterMeters,
}

impl ServiceMeters {
    /// Of the service with that key.
    pub(crate) fn new(key: &str) -> Self {
        Self {
            seconds: histogram!("fusebox_exchange_seconds", "service" => key.to_owned()),
            letters: LetterMeters::new(key),
        }
    }

    /// An exchange ended.
    pub(crate) fn exchanged(&self, took: Duration) {
        self.seconds.record(took.as_secs_f64());
    }

    /// New letters of runs that failed at it.
    pub(crate) fn letters(&self) -> &LetterMeters {
        &self.letters
    }
}

/// New letters of one service, or of none. All that can be are there from the start: what appears with its first letter shows no increase.
pub(crate) struct LetterMeters {
    service: String,
    known: Vec<(Class, Kind, Counter)>,
}

impl LetterMeters {
    /// Of the service with that key; empty for runs that failed at none.
    pub(crate) fn new(service: &str) -> Self {
        let usual = [
            (Class::Transient, Kind::Retryable),
            (Class::Throttled, Kind::Retryable),
            (Class::NotSent, Kind::Retryable),
            (Class::Unknown, Kind::Retryable),
            (Class::Exhausted, Kind::KnownBad),
            (Class::Fault, Kind::KnownBad),
            (Class::InDoubt, Kind::InDoubt),
        ];
        let known = usual.map(|(class, kind)| (class, kind, enqueued(service, class, kind)));
        Self {
            service: service.to_owned(),
            known: known.into(),
        }
    }

    /// A run became a letter.
    pub(crate) fn enqueued(&self, class: Class, kind: Kind) {
        let known = self.known.iter().find(|(of, as_a, _)| (*of, *as_a) == (class, kind));
        match known {
            Some((_, _, counter)) => counter.increment(1),
            // Such as one by a defect of the host.
            None => enqueued(&self.service, class, kind).increment(1),
        }
    }
}

fn enqueued(service: &str, class: Class, kind: Kind) -> Counter {
    counter!("fusebox_letters_enqueued_total", "service" => service.to_owned(), "class" => class.name(), "kind" => kind.name())
}

/// The transitions of one breaker.
pub(crate) struct BreakerMeters([Counter; State::ALL.len()]);

impl BreakerMeters {
    /// Of the breaker with that key.
    pub(crate) fn new(key: &str) -> Self {
        Self(
            State::ALL.map(
                |to| counter!("fusebox_breaker_transitions_total", "service" => key.to_owned(), "to" => to.name()),
            ),
        )
    }

    /// Of one that nobody shares.
    pub(crate) fn none() -> Self {
        Self(State::ALL.map(|_| Counter::noop()))
    }

    /// It changed.
    pub(crate) fn changed(&self, to: State) {
        of(&State::ALL, to, &self.0).increment(1);
    }
}

/// What is counted of a whole host.
pub(crate) struct HostMeters {
    refused: [Counter; Code::ALL.len()],
    /// New letters of runs that failed at no service.
    pub(crate) letters: LetterMeters,
    replayed: Counter,
    replayed_in_vain: Counter,
    pub(crate) gauges: Gauges,
}

impl HostMeters {
    pub(crate) fn new() -> Self {
        let replayed = |outcome: &'static str| counter!("fusebox_letters_replayed_total", "outcome" => outcome);
        Self {
            refused: Code::ALL.map(|code| counter!("fusebox_refusals_total", "code" => code.name())),
            letters: LetterMeters::new(""),
            replayed: replayed("succeeded"),
            replayed_in_vain: replayed("failed"),
            gauges: Gauges::default(),
        }
    }

    /// A call came to no function.
    pub(crate) fn refused(&self, code: Code) {
        of(&Code::ALL, code, &self.refused).increment(1);
    }

    /// A letter was replayed to its end.
    pub(crate) fn replayed(&self, succeeded: bool) {
        let counter = if succeeded {
            &self.replayed
        } else {
            &self.replayed_in_vain
        };
        counter.increment(1);
    }
}

/// The counter that stands where its value does among all values.
fn of<'c, T: PartialEq, const N: usize>(all: &[T; N], value: T, counters: &'c [Counter; N]) -> &'c Counter {
    let place = all.iter().position(|known| *known == value);
    // Every value is among all of them; the enumerations' own tests hold that.
    &counters[place.unwrap_or_default()]
}
