//! How the attempts of a run ended, and what is left of the last one.

use crate::attempt::Attempted;
use crate::failures;
use crate::ports::sandbox::{AttemptEnd, Remains};
use crate::records::{ApprovalRecord, Log, millis};
use crate::refusals;
use crate::runs::Run;
use fusebox_core::classify;
use fusebox_core::failure::{Class, Code, Failure};
use std::time::Duration;

/// How the attempts of a run ended.
pub(crate) enum Ended {
    /// The function returned well.
    Ok {
        output: String,
        in_doubt: Vec<u32>,
        attempts: u32,
    },
    /// It did not.
    Failed(Box<Failed>),
    /// Nobody holds it, and any host goes on with it: this one drains.
    HandedOver,
    /// Another host goes on with it.
    Elsewhere,
    /// A person has to be asked first.
    Suspended(Box<ApprovalRecord>),
    /// Nothing was to be performed, and something would have been.
    Dry,
}

/// A run that failed, and what is left of its last attempt.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) in_doubt: Vec<u32>,
    pub(crate) backtrace: Vec<String>,
    pub(crate) log: Log,
    pub(crate) remains: Option<Box<dyn Remains>>,
}

impl Failed {
    fn of(failure: Failure) -> Self {
        Self {
            failure,
            in_doubt: Vec::new(),
            backtrace: Vec::new(),
            log: Log::default(),
            remains: None,
        }
    }

    /// An attempt that is made again after a while: its instance is let go, its account is kept.
    pub(crate) fn between(run: &mut Run, attempted: Attempted, failure: Failure, after: Duration) -> Self {
        let failed = Self {
            remains: None,
            ..Self::after(run, attempted, failure)
        };
        if let Some(attempt) = run.attempts.last_mut() {
            attempt.then_waited_ms = Some(millis(after));
        }
        failed
    }

    /// An attempt that did not fail, and that goes on later.
    pub(crate) fn interrupted(run: &mut Run, attempted: Attempted, how: &str) {
        run.began |= attempted.settled.began;
        let mut record = attempted.record(String::new());
        how.clone_into(&mut record.outcome);
        run.attempts.push(record);
    }

    fn after(run: &mut Run, attempted: Attempted, failure: Failure) -> Self {
        run.began |= attempted.settled.began;
        let record = attempted.record(failures::in_short(run, &attempted));
        run.attempts.push(record);
        Self {
            failure,
            in_doubt: classify::in_doubt(&attempted.settled.effects),
            backtrace: attempted.report.backtrace,
            log: attempted.report.log,
            remains: attempted.report.remains,
        }
    }
}

impl Ended {
    pub(crate) fn succeeded(run: &mut Run, attempted: Attempted) -> Self {
        let before = run.letter.as_ref().map_or(0, |letter| letter.run.attempts.len());
        if run.is_recorded() {
            run.attempts.push(attempted.record(String::new()));
        }
        match attempted.report.end {
            AttemptEnd::Ok { json } => Self::Ok {
                output: json,
                in_doubt: classify::in_doubt(&attempted.settled.effects),
                attempts: attempted.number.saturating_sub(u32::try_from(before).unwrap_or(0)),
            },
            _ => Self::refused(*refusals::internal("an attempt was judged well that did not end well")),
        }
    }

    pub(crate) fn failed(run: &mut Run, attempted: Attempted, failure: Failure) -> Self {
        run.function.last_failed.store(
            failure
                .service
                .as_ref()
                .and_then(|name| run.tool.service(name))
                .cloned(),
        );
        Self::Failed(Box::new(Failed::after(run, attempted, failure)))
    }

    /// An effect that was sent cannot be sent again as it was.
    pub(crate) fn in_doubt(run: &mut Run, attempted: Attempted, failure: Failure, seq: u32) -> Self {
        let mut failed = Failed::after(run, attempted, failure);
        if !failed.in_doubt.contains(&seq) {
            failed.in_doubt.push(seq);
        }
        Self::Failed(Box::new(failed))
    }

    /// What was sent before the run was taken up, and of which nobody knows the end.
    pub(crate) fn left_in_doubt(run: &mut Run, effects: Vec<u32>) -> Self {
        run.began = true;
        let mut failed = Failed::of(failures::left_in_doubt(run, &effects));
        failed.in_doubt = effects;
        Self::Failed(Box::new(failed))
    }

    /// Nothing was run.
    pub(crate) fn refused(failure: Failure) -> Self {
        Self::Failed(Box::new(Failed::of(failure)))
    }

    /// The host ends the run before its next attempt; what failed before stays the failure, unless the end itself is the news.
    pub(crate) fn stopped(last: Option<Failed>, refused: Failure) -> Self {
        let Some(mut failed) = last else {
            return Self::refused(refused);
        };
        if matches!(refused.code, Code::Cancelled | Code::StoreUnavailable) {
            let earlier = std::mem::replace(&mut failed.failure, refused);
            failed.failure.chain.insert(0, earlier.message);
        } else {
            failed.failure.retry_after = refused.retry_after.max(failed.failure.retry_after);
            failed.failure.chain.push(refused.message);
        }
        Self::Failed(Box::new(failed))
    }

    /// The engine itself failed, and the evidence of what was in flight with it.
    pub(crate) fn panicked(run: &mut Run) -> Self {
        run.began = true;
        let mut failure = *refusals::internal("the run was lost by a defect of Fusebox; the log has its place");
        if !run.function.policy.idempotency.may_start_over() {
            failure.class = Class::InDoubt;
        }
        Self::refused(failure)
    }
}
