//! One attempt: a fresh instance on the guests' runtime, its effects waited for, its end judged.

use crate::breakers::Held;
use crate::effects::{Ledger, Settled, Way};
use crate::engine::Engine;
use crate::guests::Lost;
use crate::journal::Stored;
use crate::ports::sandbox::{AttemptEnd, AttemptReport, AttemptSpec};
use crate::records::{AttemptRecord, Log, millis};
use crate::runs::Run;
use crate::spans;
use fusebox_core::classify::{self, End, Evidence, Judgement};
use fusebox_core::policy::Durability;
use fusebox_core::retry::Attempts;
use fusebox_core::time::{Tick, Wall};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

/// What the time of an attempt ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The function's `timeout`.
    Timeout,
    /// The deadline of the run, which is nearer.
    Deadline,
}

/// An attempt that is over, with all its effects.
pub(crate) struct Attempted {
    pub(crate) number: u32,
    pub(crate) started: Wall,
    pub(crate) took: Duration,
    pub(crate) bound: Bound,
    pub(crate) report: AttemptReport,
    pub(crate) settled: Settled,
    /// What nested calls that failed have used up of the step's attempts, by their number.
    pub(crate) spent: Vec<(u32, Attempts)>,
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
            served: self.settled.served,
            effects: self.settled.records.clone(),
        }
    }
}

/// Makes one attempt of a run, within its deadline; `permit` is that of the tool's own breaker.
pub(crate) async fn attempt(engine: &Arc<Engine>, run: &mut Run, permit: Held, attempts: Attempts) -> Attempted {
    let number = run.next_attempt();
    let span = spans::attempt(run, number);
    let clock = &engine.ports.clock;
    let (start, started) = (clock.tick(), clock.wall());
    let left = run.deadline.since(start);
    let (timeout, bound) = match run.function.policy.timeout {
        timeout if timeout < left => (timeout, Bound::Timeout),
        _ => (left, Bound::Deadline),
    };
    let way = way_out(engine, run, start, (start + timeout, bound), attempts, &span);
    let report = on_guests(engine, run, specify(run, &way, timeout), &span).await;
    let in_flight = way.ledger.close();
    way.ended.cancel();
    let mut settled = way.ledger.settled(in_flight).await;
    run.journal = std::mem::take(&mut settled.journal);
    let took = clock.tick().since(start);
    let end = end_of(&report.end);
    settled.stop = settled.stop.filter(|stop| stop.applies(&report.end));
    let interrupted = settled.stop.is_some() || run.dry;
    let judgement = classify::judge(&Evidence {
        end,
        effects: &settled.effects,
        in_flight: &settled.in_flight,
        errors: &run.function.policy.errors,
    });
    if let Some(judgement) = &judgement {
        span.record("fusebox.class", judgement.class.name());
        spans::error(&span, judgement.class.name());
    }
    if !interrupted {
        run.function
            .meters
            .attempted(judgement.as_ref().map(|judgement| judgement.class));
    }
    permit.settle(classify::verdict_of_tool(end, judgement.as_ref()), took, start + took);
    Attempted {
        number,
        started,
        took,
        bound,
        report,
        settled,
        spent: std::mem::take(&mut *way.spent.lock().unwrap_or_else(std::sync::PoisonError::into_inner)),
        judgement,
    }
}

fn way_out(
    engine: &Arc<Engine>,
    run: &mut Run,
    start: Tick,
    (latest, bound): (Tick, Bound),
    attempts: Attempts,
    span: &Span,
) -> Arc<Way> {
    let journal = std::mem::take(&mut run.journal);
    let stored = run.clock;
    if journal.is_empty() {
        // Nothing was seen of the past: the guest begins in the present.
        run.clock = engine.ports.clock.wall();
    }
    let always = run.durability == Durability::Always && run.has_row();
    let written = always || journal.iter().any(|entry| entry.stored > Stored::Nothing);
    Arc::new_cyclic(|me| Way {
        me: Weak::clone(me),
        engine: Arc::clone(engine),
        facts: Arc::clone(&run.facts),
        ledger: Ledger::new(start, run.clock, journal, written, run.clock != stored),
        hold: run.hold.clone(),
        latest,
        bound,
        dry: run.dry,
        replay: run.replay,
        number: run.next_attempt(),
        attempts,
        spent: std::sync::Mutex::default(),
        places: run.places.clone(),
        parent: run.parent.clone(),
        stop: run.cancel.clone(),
        ended: CancellationToken::new(),
        span: span.clone(),
    })
}

fn specify(run: &Run, way: &Arc<Way>, timeout: Duration) -> AttemptSpec {
    AttemptSpec {
        function: run.function.name.clone(),
        input: Arc::clone(&run.input),
        limits: Arc::clone(&run.tool.limits),
        env: Arc::clone(&run.tool.env),
        seed: run.seed.0,
        wall: run.clock,
        timeout,
        cancel: run.cancel.clone(),
        effects: Arc::clone(way) as _,
        spelling: run.spelling,
    }
}

/// A panic in there is a defect of the host, not of the tool; whatever it held is released.
async fn on_guests(engine: &Engine, run: &Run, spec: AttemptSpec, span: &Span) -> AttemptReport {
    let tool = Arc::clone(&run.tool);
    let attempt = async move { tool.component.attempt(spec).await }.instrument(span.clone());
    engine.ports.guests.run(attempt).await.unwrap_or_else(|Lost| {
        tracing::error!(parent: span, "the attempt was lost before its end");
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
        AttemptEnd::CallFailed => End::CallFailed,
        AttemptEnd::Exit { .. } => End::Exit,
        AttemptEnd::Abi { .. } => End::Abi,
        AttemptEnd::Limit { .. } => End::Limit,
        AttemptEnd::Timeout => End::Timeout,
        AttemptEnd::Cancelled | AttemptEnd::Stopped => End::Cancelled,
        AttemptEnd::Host { .. } => End::Host,
    }
}
