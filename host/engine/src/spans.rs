//! The spans of a call, an attempt and an effect. Their attributes have the names of OpenTelemetry's conventions where it has any, and begin
//! with `fusebox.` where it has none; docs/metrics.md lists them.

use crate::engine::Engine;
use crate::ports::sandbox::Ask;
use crate::ports::store::Taken;
use crate::records::LetterRecord;
use crate::runs::Facts;
use fusebox_core::effect::{Answer, Effect};
use fusebox_core::failure::Failure;
use fusebox_core::trace::TraceContext;
use tracing::Span;
use tracing::field::{Empty, display};

/// The span of a call, and the context that its run goes on in: that of the span, or what the caller brought where nothing is traced.
pub(crate) fn call(
    engine: &Engine,
    tool: &str,
    function: &str,
    parent: Option<TraceContext>,
) -> (Span, Option<TraceContext>) {
    let span = tracing::info_span!(
        "call",
        fusebox.tool = tool,
        fusebox.function = function,
        fusebox.run = Empty,
        fusebox.trace = Empty,
        "error.type" = Empty,
        otel.status_code = Empty
    );
    let trace = within(engine, &span, parent);
    (span, trace)
}

/// The span of a call that another tool makes: below its effect, which is the current one.
pub(crate) fn nested(
    engine: &Engine,
    tool: &str,
    function: &str,
    outer: Option<&TraceContext>,
) -> (Span, Option<TraceContext>) {
    let (span, trace) = call(engine, tool, function, None);
    let trace = trace.map(|trace| trace.with_state_of(outer)).or_else(|| outer.cloned());
    shows(&span, trace.as_ref());
    (span, trace)
}

/// The span of a run that a host takes up: in the trace of the call that it was accepted by.
pub(crate) fn resume(engine: &Engine, taken: &Taken) -> Span {
    let run = &taken.run;
    let span = tracing::info_span!(
        "resume",
        fusebox.run = run.id.as_str(),
        fusebox.tool = run.tool,
        fusebox.function = run.function,
        fusebox.why = ?taken.why,
        fusebox.trace = Empty
    );
    within(engine, &span, run.trace.clone());
    span
}

/// The span of a letter's replay: in the trace of the call that failed, or of whoever asks for the replay.
pub(crate) fn replay(engine: &Engine, letter: &LetterRecord, asked: Option<TraceContext>) -> Span {
    let run = &letter.run;
    let span = tracing::info_span!(
        "replay",
        fusebox.letter = letter.id.as_str(),
        fusebox.run = run.id.as_str(),
        fusebox.tool = run.tool,
        fusebox.function = run.function,
        fusebox.trace = Empty
    );
    within(engine, &span, run.trace.clone().or(asked));
    span
}

fn within(engine: &Engine, span: &Span, parent: Option<TraceContext>) -> Option<TraceContext> {
    let tracer = &engine.ports.tracer;
    if let Some(parent) = &parent {
        tracer.adopt(span, parent);
    }
    let trace = tracer.context(span).map(|trace| trace.with_state_of(parent.as_ref()));
    let trace = trace.or(parent);
    shows(span, trace.as_ref());
    trace
}

fn shows(span: &Span, trace: Option<&TraceContext>) {
    if let Some(trace) = trace {
        span.record("fusebox.trace", display(trace.trace_id()));
    }
}

/// The run that the current span is about.
pub(crate) fn is_run(run: &str) {
    Span::current().record("fusebox.run", run);
}

/// How the current span's call failed.
pub(crate) fn failed(failure: &Failure) {
    error(&Span::current(), failure.code.name());
}

/// What a span came to that did not go well.
pub(crate) fn error(span: &Span, kind: &str) {
    span.record("error.type", kind);
    span.record("otel.status_code", "ERROR");
}

/// The span of one attempt of a run.
pub(crate) fn attempt(run: &Facts, number: u32) -> Span {
    tracing::info_span!(
        "attempt",
        fusebox.attempt = number,
        fusebox.run = run.id.as_str(),
        fusebox.tool = run.tool.policy.name,
        fusebox.function = run.function.name,
        fusebox.class = Empty,
        "error.type" = Empty,
        otel.status_code = Empty
    )
}

/// The span of one effect of an attempt; the query of an address may hold anything, and is left out.
pub(crate) fn effect(attempt: &Span, effect: &Effect, ask: &Ask) -> Span {
    let http = match ask {
        Ask::Http(request) => Some(request),
        _ => None,
    };
    tracing::info_span!(
        parent: attempt,
        "effect",
        fusebox.effect = effect.seq,
        fusebox.kind = effect.kind.name(),
        fusebox.service = &*effect.service,
        fusebox.answer = Empty,
        otel.kind = http.map(|_| "client"),
        http.request.method = http.map(|_| effect.method.as_str()),
        server.address = http.map(|request| request.authority.as_str()),
        url.path = http.map(|_| effect.path.split_once('?').map_or(effect.path.as_str(), |(path, _)| path)),
        http.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty
    )
}

/// How the current span's effect ended; `shown` is the answer as text.
pub(crate) fn answered(answer: &Answer, shown: &str) {
    let span = Span::current();
    span.record("fusebox.answer", shown);
    match answer {
        Answer::Status { status, .. } => {
            span.record("http.response.status_code", u64::from(*status));
            if *status >= 400 {
                error(&span, shown);
            }
        }
        Answer::Done => {}
        Answer::Failed { class, .. } => error(&span, class.name()),
        Answer::NotSent(_) | Answer::Lost(_) | Answer::Denied | Answer::Cancelled => error(&span, shown),
    }
}
