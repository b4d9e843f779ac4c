//! One attempt: a fresh instance on the guests' runtime, its effects waited for, its end judged.

use crate::breakers::Held;
use crate::effects::{Ledger, Settled, Way, WayOut};
use crate::engine::Engine;
use crate::keys;
use crate::ports::sandbox::{AttemptEnd, AttemptReport, AttemptSpec};
use crate::records::{AttemptRecord, Log, millis};
use crate::runs::Run;
use fusebox_core::classify::{self, End, Evidence, Judgement};
use fusebox_core::time::{Tick, Wall};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

/// An attempt that is over, with all its effects.
pub(crate) struct Attempted {
    pub(crate) number: u32,
    pub(crate) started: Wall,
    pub(crate) took: Duration,
    pub(crate) report: AttemptReport,
    pub(crate) settled: Settled,
    /// Why it failed; `None` when it ended well.
    pub(crate) judgement: Option<Judgement>,
}

impl Attempted {
    /// The attempt as a row.
    pub(crate) fn record(&self, message: String) -> AttemptRecord {
        AttemptRecord {
            number: self.number,
            started: self.started.0,
            took_ms: millis(self.took),
            outcome: self
                .judgement
                .as_ref()
                .map_or("ok", |judgement| judgement.class.name())
                .to_owned(),
            message,
            then_waited_ms: None,
            effects: self.settled.records.clone(),
        }
    }
}

/// Makes one attempt of a run, within its deadline; `permit` is that of the tool's own breaker.
pub(crate) async fn attempt(engine: &Arc<Engine>, run: &Run, permit: Held) -> Attempted {
    let number = u32::try_from(run.attempts.len()).unwrap_or(u32::MAX).saturating_add(1);
    let span = tracing::info_span!(
        "attempt", number, tool = run.tool.policy.name, function = run.function.name, run = %run.id, class = tracing::field::Empty
    );
    let clock = &engine.ports.clock;
    let (start, started) = (clock.tick(), clock.wall());
    let timeout = run.function.policy.timeout.min(run.deadline.since(start));
    let ledger = Arc::new(Ledger::new(start, run.next_effect()));
    let ended = CancellationToken::new();
    let spec = specify(
        engine,
        run,
        Arc::clone(&ledger),
        &ended,
        start + timeout,
        timeout,
        &span,
    );
    let report = on_guests(engine, run, spec).instrument(span.clone()).await;
    let in_flight = ledger.close();
    ended.cancel();
    let settled = ledger.settled(in_flight).await;
    let took = clock.tick().since(start);
    let end = end_of(&report.end);
    let judgement = classify::judge(&Evidence {
        end,
        effects: &settled.effects,
        in_flight: &settled.in_flight,
        errors: &run.function.policy.errors,
    });
    if let Some(judgement) = &judgement {
        span.record("class", judgement.class.name());
    }
    permit.settle(classify::verdict_of_tool(end, judgement.as_ref()), took, clock.tick());
    Attempted {
        number,
        started,
        took,
        report,
        settled,
        judgement,
    }
}

fn specify(
    engine: &Arc<Engine>,
    run: &Run,
    ledger: Arc<Ledger>,
    ended: &CancellationToken,
    latest: Tick,
    timeout: Duration,
    span: &Span,
) -> AttemptSpec {
    let way = Way {
        engine: Arc::clone(engine),
        tool: Arc::clone(&run.tool),
        ledger,
        owner: run.key_owner(),
        right: run.ownership.as_ref().map(crate::ownership::Ownership::right),
        created: run.created,
        latest,
        ended: ended.clone(),
        span: span.clone(),
    };
    AttemptSpec {
        function: run.function.name.clone(),
        input: Arc::clone(&run.input),
        limits: Arc::clone(&run.tool.limits),
        env: Arc::clone(&run.tool.env),
        seed: keys::seed(&run.id),
        timeout,
        cancel: run.cancel.clone(),
        effects: Arc::new(WayOut(Arc::new(way))),
        spelling: run.spelling,
    }
}

/// A panic in there is a defect of the host, not of the tool; whatever it held is released.
async fn on_guests(engine: &Engine, run: &Run, spec: AttemptSpec) -> AttemptReport {
    let tool = Arc::clone(&run.tool);
    let task = engine
        .ports
        .guests
        .spawn(async move { tool.component.attempt(spec).await }.in_current_span());
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, "the attempt's task ended before its attempt did");
        AttemptReport {
            end: AttemptEnd::Host {
                message: "the attempt was lost by a defect of Fusebox; the log has its place".to_owned(),
            },
            backtrace: Vec::new(),
            log: Log::default(),
            remains: None,
        }
    })
}

fn end_of(end: &AttemptEnd) -> End<'_> {
    match end {
        AttemptEnd::Ok { .. } => End::Ok,
        AttemptEnd::Err { case, .. } => End::Err(case.as_deref()),
        AttemptEnd::Trap { .. } => End::Trap,
        AttemptEnd::Exit { .. } => End::Exit,
        AttemptEnd::Abi { .. } => End::Abi,
        AttemptEnd::Limit { .. } => End::Limit,
        AttemptEnd::Timeout => End::Timeout,
        AttemptEnd::Cancelled => End::Cancelled,
        AttemptEnd::Host { .. } => End::Host,
    }
}
