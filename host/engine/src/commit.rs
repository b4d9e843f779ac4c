//! What is written of a run while it is executed and when it ends, whatever the store does meanwhile.

use crate::engine::Engine;
use crate::ports::store::{Finish, StoreError};
use crate::records::{ErrorRecord, FailureRecord};
use crate::refusals;
use crate::requests::{Call, Caller};
use crate::runs::Run;
use fusebox_core::failure::{Code, Failure};
use std::time::Duration;

/// Pauses between the tries of a write that the store could not take.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
];
/// Bytes of an input that the error log keeps.
const INPUT: usize = 4096;

/// Writes the end, again after a pause when the store could not take it. An end that was written although the store's answer was lost is written.
pub(crate) async fn commit(engine: &Engine, run: &Run, finish: Finish) -> Result<(), StoreError> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let written = match &run.ownership {
            Some(ownership) => engine.ports.store.finish(ownership.fence(), finish.clone()).await,
            None => engine.ports.store.record_finished(vec![finish.clone()]).await,
        };
        let Err(error) = written else { return Ok(()) };
        if is_written(engine, &finish).await {
            return Ok(());
        }
        match (error, pauses.next()) {
            (StoreError::Unavailable { .. }, Some(pause)) => engine.ports.clock.sleep(pause).await,
            (error, _) => return Err(error),
        }
    }
}

async fn is_written(engine: &Engine, finish: &Finish) -> bool {
    match engine.ports.store.run(&finish.run.tenant, &finish.run.id).await {
        Ok(Some(stored)) => {
            stored.state == finish.run.state
                && stored.attempts == finish.run.attempts
                && stored.failure == finish.run.failure
        }
        _ => false,
    }
}

/// Keeps an attempt that is about to be followed by another.
///
/// # Errors
/// The run belongs to another host now.
pub(crate) async fn record_attempt(engine: &Engine, run: &Run) -> Result<(), Box<Failure>> {
    let (Some(ownership), Some(attempt)) = (&run.ownership, run.attempts.last()) else {
        return Ok(());
    };
    match engine
        .ports
        .store
        .record_attempt(&run.tenant, &run.id, ownership.fence(), attempt)
        .await
    {
        Ok(()) => Ok(()),
        Err(error @ StoreError::Fenced { .. }) => Err(refusals::store("the run cannot go on here", &error)),
        Err(error) => {
            tracing::warn!(run = %run.id, %error, "an attempt could not be recorded; the end of the run will tell of it");
            Ok(())
        }
    }
}

/// Keeps a failure that became no letter in the error log.
pub(crate) async fn log(engine: &Engine, caller: &Caller, call: &Call, failure: &Failure) {
    if failure.letter.is_some() || !is_logged(failure.code) {
        return;
    }
    let mut end = call.input.len().min(INPUT);
    while !call.input.is_char_boundary(end) {
        end -= 1;
    }
    let error = ErrorRecord {
        id: 0,
        tenant: caller.tenant.to_string(),
        at: engine.ports.clock.wall().0,
        tool: call.tool.clone(),
        function: call.function.clone(),
        principal: caller.principal.to_string(),
        failure: FailureRecord::from(failure),
        input: call.input[..end].to_owned(),
    };
    engine.history.error(error).await;
}

/// Whether a refused call belongs into the error log: what says something about the tool or its callers, not about the moment.
fn is_logged(code: Code) -> bool {
    !matches!(code, Code::KeyInUse | Code::Overloaded)
}
