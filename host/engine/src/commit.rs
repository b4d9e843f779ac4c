//! What is written of a run while it is executed and when it ends, whatever the store does meanwhile.

use crate::engine::Engine;
use crate::ports::store::{Finish, StoreError};
use crate::records::{AttemptRecord, ErrorRecord, FailureRecord};
use crate::refusals;
use crate::requests::{Call, Caller};
use crate::runs::Run;
use fusebox_core::failure::{Code, Failure};
use fusebox_core::policy::Idempotency;
use std::time::Duration;

/// Pauses between the tries of a write that the store could not take.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
];
/// Bytes of an input, and of each text of a failure, that the error log keeps: its rows are many, and callers choose what is in them.
const TEXT: usize = 4096;

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

/// Says that an attempt of a replay is about to start, where the key alone allows it: should this host not live to tell of it, nobody
/// may take it for unmade. A run without a letter needs no such word: once its host has gone it is not run again.
///
/// # Errors
/// That it could not be written; the attempt must not start then.
pub(crate) async fn announce(engine: &Engine, run: &Run) -> Result<(), Box<Failure>> {
    if run.function.policy.idempotency != Idempotency::Keyed {
        return Ok(());
    }
    let attempt = AttemptRecord::unfinished(run.next_attempt(), engine.ports.clock.wall());
    let written = write_attempt(engine, run, &attempt).await;
    written.map_err(|error| refusals::store("the next attempt could not be announced, so it was not made", &error))
}

/// Keeps the last attempt, which is about to be followed by another.
///
/// # Errors
/// The run belongs to another host now.
pub(crate) async fn record_attempt(engine: &Engine, run: &Run) -> Result<(), Box<Failure>> {
    match record_last(engine, run).await {
        Err(error @ StoreError::Fenced { .. }) => Err(refusals::store("the run cannot go on here", &error)),
        _ => Ok(()),
    }
}

/// Keeps the last attempt. What cannot be written is logged.
pub(crate) async fn record_last(engine: &Engine, run: &Run) -> Result<(), StoreError> {
    let Some(attempt) = run.attempts.last() else {
        return Ok(());
    };
    let written = write_attempt(engine, run, attempt).await;
    if let Err(error) = &written {
        tracing::warn!(run = %run.id, %error, "an attempt could not be recorded; the end of the run will tell of it");
    }
    written
}

async fn write_attempt(engine: &Engine, run: &Run, attempt: &AttemptRecord) -> Result<(), StoreError> {
    match &run.ownership {
        Some(ownership) => {
            let store = &engine.ports.store;
            store
                .record_attempt(&run.tenant, &run.id, ownership.fence(), attempt)
                .await
        }
        None => Ok(()),
    }
}

/// Keeps a failure that became no letter in the error log.
pub(crate) async fn log(engine: &Engine, caller: &Caller, call: &Call, failure: &Failure) {
    if failure.letter.is_some() || !is_logged(failure.code) {
        return;
    }
    let mut failure = FailureRecord::from(failure);
    let causes = failure.chain.iter_mut();
    for text in causes.chain(&mut failure.error).chain([&mut failure.message]) {
        text.truncate(text.floor_char_boundary(TEXT));
    }
    let cut = |text: &str| text[..text.floor_char_boundary(TEXT)].to_owned();
    let error = ErrorRecord {
        id: 0,
        tenant: caller.tenant.to_string(),
        at: engine.ports.clock.wall().0,
        tool: cut(&call.tool),
        function: cut(&call.function),
        principal: caller.principal.to_string(),
        failure,
        input: cut(&call.input),
    };
    engine.history.error(error).await;
}

/// Whether a refused call belongs into the error log: what says something about the tool or its callers, not about the moment.
fn is_logged(code: Code) -> bool {
    !matches!(code, Code::KeyInUse | Code::Overloaded)
}
