//! How the run of a call ends, and what its caller gets for it.

use crate::effects::{Called, Stop, Way};
use crate::ended::{Ended, Failed};
use crate::ports::sandbox;
use crate::ports::store::{Append, Finish, LetterChange};
use crate::records::{FailureRecord, RunRecord, millis};
use crate::refusals;
use crate::runs::Run;
use fusebox_core::effect::{Answer, Hint};
use fusebox_core::failure::{Class, Code, Failure};
use fusebox_core::policy::Durability;
use fusebox_core::run::State;
use fusebox_core::time::Wall;
use std::sync::Arc;

/// Ends the run of a call, and says what its caller gets; `None` when the caller's attempt is over too.
pub(super) async fn finish(way: &Arc<Way>, seq: u32, mut run: Run, ended: Ended) -> Option<Called> {
    let engine = &way.engine;
    let now = engine.ports.clock.wall();
    let (record, called) = match ended {
        Ended::Ok { output, in_doubt, .. } => {
            let mut record = run.record(State::Succeeded);
            record.finished = Some(now.0);
            record.output = Some(output.clone());
            record.in_doubt = in_doubt;
            (record, Called::done(sandbox::Called::Ok(output)))
        }
        Ended::Failed(failed) => failed_end(&run, *failed, now),
        Ended::Suspended(asked) => {
            kept(way, &mut run).await;
            way.ledger.stop(Stop::Suspend(asked));
            return None;
        }
        Ended::HandedOver | Ended::Elsewhere | Ended::Dry => {
            kept(way, &mut run).await;
            way.ledger.stop(Stop::Drain);
            return None;
        }
    };
    if let Some(spent) = run.spent.filter(|_| called.failed()) {
        way.spent(seq, spent);
    }
    let over = State::from_name(&record.state).is_some_and(State::is_over);
    let finish = Finish {
        run: record,
        keep_key: true,
        letter: LetterChange::None,
        journal: if run.has_row() {
            run.journal.unstored()
        } else {
            Vec::new()
        },
    };
    match run.hold.get().filter(|_| run.has_row()) {
        Some(ownership) => {
            let written = engine.ports.store.finish_nested(ownership.fence(), finish).await;
            if let Err(error) = written {
                tracing::error!(run = %run.id, %error, "the end of a call could not be stored; whoever resumes its caller finds it not over");
                way.ledger.stop(Stop::Store(error));
                return None;
            }
        }
        None if run.durability != Durability::None && over => engine.history.finished(finish).await,
        None => {}
    }
    Some(called)
}

/// What is kept of a run whose caller is interrupted.
async fn kept(way: &Arc<Way>, run: &mut Run) {
    let Some(ownership) = run.hold.get().filter(|_| run.has_row()) else {
        return;
    };
    let append = Append {
        run: Some(run.id.clone()),
        records: run.journal.unstored(),
        ..Append::default()
    };
    let store = &way.engine.ports.store;
    if let Err(error) = store.append(&run.tenant, run.root(), ownership.fence(), append).await {
        tracing::warn!(run = %run.id, %error, "the journal of a call that is interrupted could not be written; what is missing is made again");
    }
}

/// A call that failed: not over as long as its root is not, unless it answered.
fn failed_end(run: &Run, failed: Failed, now: Wall) -> (RunRecord, Called) {
    let failure = &failed.failure;
    let answered = failure.code == Code::ToolFailed && failure.class == Class::Caller;
    let state = match failure.class {
        Class::InDoubt => State::InDoubt,
        _ if answered => State::Failed,
        _ => State::DeadLettered,
    };
    let mut record = run.record(state);
    record.finished = answered.then_some(now.0);
    record.failure = Some(FailureRecord::from(failure));
    record.in_doubt = failed.in_doubt;
    (record, of_failure(failure))
}

/// What a caller gets for a run that is over.
pub(super) fn outcome(record: RunRecord) -> Called {
    match (record.failure, record.output) {
        (None, Some(output)) => Called::done(sandbox::Called::Ok(output)),
        (Some(failure), _) => of_failure(&Failure::from(&failure)),
        (None, None) => refused(&refusals::internal(format!("{} is over and has no outcome", record.id))),
    }
}

/// What a caller gets for a failure: the tool's own error as such, with the class that it means.
fn of_failure(failure: &Failure) -> Called {
    let got = match &failure.error {
        Some(json) => sandbox::Called::Err {
            case: failure.case.clone(),
            json: json.clone(),
        },
        None => sandbox::Called::Failed {
            code: failure.code.name().to_owned(),
            class: failure.class.name().to_owned(),
            message: failure.message.clone(),
            retry_after_ms: failure.retry_after.map(millis),
        },
    };
    let answer = match failure.class {
        Class::Caller => Answer::Done,
        class => Answer::Failed {
            class,
            hint: failure.retry_after.map(Hint),
        },
    };
    Called {
        got,
        answer,
        service: failure.service.clone(),
        reason: Some(failure.message.clone()),
    }
}

/// A call that was not made.
pub(super) fn refused(failure: &Failure) -> Called {
    of_failure(failure)
}
